//! Index tables that name what goes, and small ones, are replaced by larger ones.

use super::Job;
use super::survey::Survey;
use crate::error::Result;
use crate::format::name::ObjectKind;
use crate::id::{IndexId, PackId};
use crate::repo::{Tables, pack_object};
use std::collections::{HashMap, HashSet};

/// One with fewer is small.
const SMALL_BLOBS: u64 = 32 << 10;

/// So many small ones are merged.
const SMALL_MAX: usize = 16;

/// Tables to drop, and those that say what stays of them.
#[derive(Debug, Default)]
pub struct Replaced {
    pub drop: Vec<IndexId>,
    pub add: Vec<IndexId>,
    /// What kind of packs go.
    pub kinds: HashMap<PackId, ObjectKind>,
}

impl Replaced {
    /// Whether no table changes.
    pub fn is_empty(&self) -> bool {
        self.drop.is_empty()
    }
}

/// Stores the tables that replace those which name any of the packs `gone`, and small ones once there are many.
///
/// Memory: one table, and 40 bytes for each pack of tables that are replaced.
pub fn replace(job: &Job<'_>, survey: &Survey, gone: &[PackId]) -> Result<Replaced> {
    let repo = job.repo;
    let state = repo.state();
    let gone: HashSet<&PackId> = gone.iter().collect();
    let mut replaced = Replaced::default();
    let (mut small, mut packs) = (Vec::new(), Vec::new());
    survey.picture.for_each_table(&mut |table, blobs, named| {
        if !state.has_table(&table) {
            return Ok(());
        }
        let mut ids = Vec::new();
        let mut names_gone = false;
        for number in named {
            let row = survey.picture.pack_row(number)?;
            if gone.contains(&row.id) {
                names_gone = true;
                replaced.kinds.insert(row.id, pack_object(row.kind));
            } else {
                ids.push(row.id);
            }
        }
        if names_gone {
            replaced.drop.push(table);
            packs.extend(ids);
        } else if blobs < SMALL_BLOBS {
            small.push((table, ids));
        }
        Ok(())
    })?;
    if !replaced.is_empty() && small.len() > 1 || small.len() > SMALL_MAX {
        for (table, ids) in small {
            replaced.drop.push(table);
            packs.extend(ids);
        }
    }
    let mut seen = HashSet::new();
    let mut tables = Tables::new(repo);
    for id in packs {
        if !seen.insert(id) {
            continue;
        }
        job.interrupt.check()?;
        if let Some(entry) = repo.index().pack_entry(&id)? {
            tables.add(entry)?;
        }
    }
    replaced.add = tables.finish()?;
    Ok(replaced)
}
