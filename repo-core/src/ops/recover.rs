//! Makes a snapshot of all directories that no snapshot reaches.

use super::backup::plain_node;
use super::derive::{PASSES_MAX, never_stands, plain_source, write_options};
use super::repair::{Mending, RepairSnapshotsOptions, packs_below};
use super::reshape::{Counts, Reshaper, Rule};
use crate::backend::Class;
use crate::crypto::{BlobType, KeyKind};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::snapshot::{Snapshot, Summary, Totals};
use crate::format::tree::{Content, Node, Tree};
use crate::fs::Owners;
use crate::id::{BlobId, SnapshotId};
use crate::log::{PackState, State};
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{CommitOutcome, CommitRequest, Repo, Writer};
use crate::time::now;
use crate::tree::{Borders, load_blob, write_directory};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The tag of snapshots that were made of what was found.
pub const RECOVERED_TAG: &str = "recovered";

/// Who recovers.
#[derive(Debug, Clone, Default)]
pub struct RecoverOptions {
    /// The host that the snapshot is said to be of.
    pub host: String,
    /// And the user.
    pub user: String,
    /// The program that makes it.
    pub program: String,
    /// How far the clock is ahead of UTC, in minutes.
    pub utc_offset_min: i16,
    /// Nothing is written.
    pub dry_run: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The snapshot that holds it; none in a dry run or if nothing was found.
    pub snapshot: Option<SnapshotId>,
    /// How many directories there are that nothing names.
    pub roots: u64,
    /// Files in them and below.
    pub files: u64,
    /// Of that many files and directories something is lost.
    pub items_lost: u64,
    /// Where they lie in the snapshot, the first thousand.
    pub paths: Vec<PathBuf>,
    /// Snapshots of which directories cannot be read: what only these reach is among what was found.
    pub unreadable: Vec<SnapshotId>,
}

/// Makes one snapshot of all directories that no live snapshot reaches and that no other directory names: each under the beginning of
/// its id. What is lost of them is left out as by `repair_snapshots`, so that the snapshot is whole.
///
/// Directories of forgotten snapshots are among them until a prune has deleted them. Packs that were condemned are taken back on class
/// A if they are what their names say, else `Damaged`: [`super::repair_packs`] saves what can be read of them. On class C there must be none:
/// `Unavailable`. What is lost of the snapshot counts as problems of it.
///
/// Memory: 35 to 75 bytes for each part of a directory that snapshots reach, 120 to 200 for each other tree blob; what writing
/// directories anew takes; and in the end a bit for each blob of the index.
pub fn recover(
    repo: &Repo,
    options: &RecoverOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Recovered> {
    repo.read_past_cache();
    repo.refresh()?;
    let _process = match options.dry_run {
        true => None,
        false => repo.announce()?,
    };
    for _ in 0..PASSES_MAX {
        repo.refresh()?;
        let state = repo.state();
        if state.class() == Class::C && state.condemned().next().is_some() {
            let place = Subject::Repository(repo.place());
            return Err(Error::new(ErrorKind::Unavailable, place).detail(
                "a prune is about to delete packs, and at a place of this class what is in them cannot be taken back; \
                 `larder prune --grace 0` deletes them at once",
            ));
        }
        let job = Job {
            repo,
            options,
            progress,
            interrupt,
        };
        if let Some(found) = job.run()? {
            return Ok(found);
        }
    }
    Err(never_stands())
}

struct Job<'a> {
    repo: &'a Repo,
    options: &'a RecoverOptions,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
}

impl Job<'_> {
    /// `None` if what was relied on is gone by now.
    fn run(&self) -> Result<Option<Recovered>> {
        let mut found = Recovered::default();
        let repo = self.repo;
        let fold = repo.state();
        let roots = self.roots(&mut found)?;
        found.roots = roots.len() as u64;
        if self.is_outdated(&fold)? {
            return Ok(None);
        }
        if roots.is_empty() {
            return Ok(Some(found));
        }
        let write = write_options(repo, self.options.dry_run, self.progress, self.interrupt);
        let (made, written) = repo.write(write, |writer| {
            let (nodes, counts) = self.nodes(writer, &roots, &mut found)?;
            Ok((self.root(writer, nodes)?, counts))
        })?;
        let (root, counts) = made;
        found.files = counts.files;
        if self.is_outdated(&fold)? {
            return Ok(None);
        }
        if self.options.dry_run {
            return Ok(Some(found));
        }
        let summary = self.summary(root, &counts);
        let snapshot = repo.save_snapshot(&Snapshot {
            domain: repo.settings().domain,
            writer: repo.writer(),
            sequence: repo.next_sequence(),
            sources: vec![plain_source(&summary)],
            summary: summary.clone(),
            ext: Vec::new(),
        })?;
        // No entry names the new tables yet.
        repo.sync_index(&written.tables)?;
        let seen = (self.progress, self.interrupt);
        let Some(mut hits) = packs_below(repo, &snapshot, &root, seen)? else {
            return Ok(None);
        };
        hits.retain(|pack| !written.own.contains(pack));
        let request = CommitRequest {
            hits,
            ..CommitRequest::new(snapshot, summary, written)
        };
        found.snapshot = Some(snapshot);
        Ok(match repo.commit(&request)? {
            CommitOutcome::Committed => Some(found),
            CommitOutcome::Heal => None,
            // What is needed of it may be read, and lies nowhere else.
            CommitOutcome::Damaged(pack) => {
                let detail = "it is about to be deleted, and what was found rests on it; `larder repair packs` saves what can be read of it";
                return Err(Error::damaged(Subject::Pack(pack)).detail(detail));
            }
        })
    }

    /// Whether a prune has deleted something since, which would seem to be lost.
    fn is_outdated(&self, fold: &State) -> Result<bool> {
        self.repo.refresh()?;
        Ok(self.repo.state().has_deleted_since(fold))
    }

    /// Directories that nothing names, in the order of their ids.
    fn roots(&self, found: &mut Recovered) -> Result<Vec<BlobId>> {
        let mut reached = HashSet::new();
        let state = self.repo.state();
        for (id, row) in state.live_snapshots() {
            let whole = match self.repo.open_summary(id, &row.summary) {
                Ok(summary) => self.reach(summary.root, &mut reached)?,
                Err(e) if e.is_lost() => false,
                Err(e) => return Err(e),
            };
            if !whole {
                found.unreadable.push(*id);
            }
        }
        let (mut left, mut named) = (BTreeSet::new(), HashSet::new());
        for id in self.trees(&reached)? {
            self.interrupt.check()?;
            match load_blob(self.repo, &id) {
                Ok(Tree::Chunks(_)) => {}
                Ok(tree) => {
                    left.insert(id);
                    named.extend(below(&tree));
                }
                Err(e) if e.is_lost() => {}
                Err(e) => return Err(e),
            }
        }
        // What has been committed since is not nobody's.
        self.repo.refresh()?;
        let now = self.repo.state();
        for (id, row) in now.live_snapshots().filter(|(id, _)| !state.is_live(id)) {
            let summary = self.repo.open_summary(id, &row.summary)?;
            self.reach(summary.root, &mut reached)?;
        }
        left.retain(|id| !named.contains(id) && !reached.contains(id));
        Ok(left.into_iter().collect())
    }

    /// Walks through all directories below this one that were not met before; whether all could be read.
    fn reach(&self, root: BlobId, met: &mut HashSet<BlobId>) -> Result<bool> {
        let (mut stack, mut whole) = (vec![root], true);
        while let Some(id) = stack.pop() {
            self.interrupt.check()?;
            if !met.insert(id) {
                continue;
            }
            match load_blob(self.repo, &id) {
                Ok(tree) => stack.extend(below(&tree)),
                Err(e) if e.is_lost() => whole = false,
                Err(e) => return Err(e),
            }
            self.progress.count(Counter::Objects, 1);
        }
        Ok(whole)
    }

    /// All tree blobs of packs that are there, but for these.
    fn trees(&self, reached: &HashSet<BlobId>) -> Result<BTreeSet<BlobId>> {
        let mut packs = Vec::new();
        self.repo.index().packs(&mut |pack, _| {
            packs.extend((pack.kind == BlobType::Tree).then_some(pack.id));
            Ok(ControlFlow::Continue(()))
        })?;
        let mut trees = BTreeSet::new();
        for pack in packs {
            let deleting = self.repo.state().pack_state(&pack) == PackState::Deleting;
            if !deleting && !self.repo.is_gone(&pack)? {
                let entry = self.repo.index().pack_entry(&pack)?;
                let blobs = entry.iter().flat_map(|entry| &entry.blobs);
                let ids = blobs.map(|blob| blob.id);
                trees.extend(ids.filter(|id| !reached.contains(id)));
            }
        }
        Ok(trees)
    }

    /// The directories as nodes, each as far as it can be had.
    fn nodes(
        &self,
        writer: &mut Writer<'_>,
        roots: &[BlobId],
        found: &mut Recovered,
    ) -> Result<(Vec<Node>, Counts)> {
        let options = RepairSnapshotsOptions {
            suffix: ".repaired".into(),
            ..RepairSnapshotsOptions::default()
        };
        let rule = Mending::new(&options, self.interrupt);
        let seen = (self.progress, self.interrupt);
        let mut shaper = Reshaper::new(self.repo, writer, seen, rule)?;
        let mut nodes: BTreeMap<Vec<u8>, Node> = BTreeMap::new();
        let mut counts = Counts::default();
        for root in roots {
            let mut name = root.short();
            if nodes.contains_key(name.as_bytes()) {
                name = root.to_hex();
            }
            let path = Path::new("/recover").join(&name);
            let Some(shaped) = shaper.tree(root, &path)? else {
                shaper.rule.lost(&path);
                counts.lost += 1;
                continue;
            };
            let name = name.into_bytes();
            let node = directory(&name, shaped.id);
            counts.add(&shaped.counts);
            counts.node(&node);
            nodes.insert(name, node);
        }
        (found.paths, found.items_lost) = (shaper.rule.paths, shaper.rule.items);
        Ok((nodes.into_values().collect(), counts))
    }

    /// Writes the directory above all, in which `/recover` is.
    fn root(&self, writer: &mut Writer<'_>, nodes: Vec<Node>) -> Result<BlobId> {
        let repo = self.repo;
        let domain = repo.settings().domain;
        let borders = Borders::new(repo.ring().domain_key(KeyKind::Border, domain)?.clone());
        let hasher = repo.hasher(BlobType::Tree)?;
        let mut put = |bytes: &[u8]| {
            let id = hasher.id(bytes);
            writer.add(BlobType::Tree, &id, bytes)?;
            Ok(id)
        };
        let owners = Owners::default();
        let inner = write_directory(nodes, &owners, &borders, &mut put)?;
        let outer = vec![directory(b"recover", inner)];
        write_directory(outer, &owners, &borders, &mut put)
    }

    fn summary(&self, root: BlobId, counts: &Counts) -> Summary {
        let totals = Totals {
            files: counts.files,
            dirs: counts.dirs + 1,
            bytes: counts.bytes,
            problems: counts.lost,
            ..Totals::default()
        };
        Summary {
            root,
            time: now(),
            utc_offset_min: self.options.utc_offset_min,
            host: self.options.host.clone(),
            user: self.options.user.clone(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            paths: vec![b"/recover".to_vec()],
            tags: vec![RECOVERED_TAG.to_owned()],
            program: self.options.program.clone(),
            totals,
            ..Summary::default()
        }
    }
}

fn directory(name: &[u8], tree: BlobId) -> Node {
    plain_node(name, 0o755, now(), Content::Dir(Some(tree)))
}

/// The directories that a part of one names, and its further parts.
fn below(tree: &Tree) -> Vec<BlobId> {
    match tree {
        Tree::Branch(branch) => branch.pages.iter().map(|page| page.id).collect(),
        Tree::Leaf(leaf) => {
            let dirs = leaf.nodes.iter().filter_map(|node| node.content.tree());
            dirs.collect()
        }
        // No part of a directory.
        Tree::Chunks(_) => Vec::new(),
    }
}
