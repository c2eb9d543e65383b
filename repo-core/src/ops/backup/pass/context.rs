//! What is the same for every item of a pass.

use crate::chunk::{Chunker, Gear, Sizes};
use crate::crypto::{BlobHasher, BlobType, KeyKind};
use crate::error::Result;
use crate::id::Domain;
use crate::ops::backup::assemble::TreeMaker;
use crate::ops::backup::node::Rules;
use crate::ops::backup::read::Cutter;
use crate::ops::backup::select::Selection;
use crate::pattern;
use crate::progress::{Interrupt, Problems};
use crate::repo::{Pool, Repo};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// What a pass needs to know.
pub struct PassContext<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// Told of everything.
    pub problems: &'a Problems<'a>,
    /// Asked between entries.
    pub interrupt: &'a Interrupt,
    /// Makes trees.
    pub maker: &'a TreeMaker,
    /// Makes chunks.
    pub cutters: Cutters,
    /// What is recorded, and what shows that a file changed.
    pub rules: Rules,
    /// What of the paths is taken.
    pub selection: Selection,
    /// Look up every chunk of unchanged files too: the parent may have lost some.
    pub distrust: bool,
    /// Files whose blocks are kept apart.
    pub isolate: Option<&'a pattern::List>,
    /// Reads small files, if the repository's own threads do not.
    pub readers: Option<&'a Pool>,
}

impl PassContext<'_> {
    /// What reads small files.
    pub(super) fn readers(&self) -> &Pool {
        self.readers.unwrap_or(self.repo.pool())
    }
}

/// Chunkers by size, all with the gear table of one domain.
pub struct Cutters {
    gear: Arc<Gear>,
    hasher: BlobHasher,
    made: RefCell<HashMap<Sizes, Arc<Cutter>>>,
}

impl Cutters {
    /// Chunkers of a domain.
    pub fn new(repo: &Repo, domain: Domain) -> Result<Self> {
        let key = repo.ring().domain_key(KeyKind::Chunker, domain)?;
        let gear = Arc::new(Gear::from_key(key.expose()));
        let hasher = repo.ring().blob_hasher(domain, BlobType::Data)?;
        Ok(Self {
            gear,
            hasher,
            made: Default::default(),
        })
    }

    /// The one that cuts to these sizes.
    pub fn of(&self, sizes: Sizes) -> Arc<Cutter> {
        let make = || {
            let chunker = Chunker::new(self.gear.clone(), sizes);
            Arc::new(Cutter {
                chunker,
                hasher: self.hasher.clone(),
            })
        };
        self.made
            .borrow_mut()
            .entry(sizes)
            .or_insert_with(make)
            .clone()
    }
}
