//! Makes a snapshot of all directories that no snapshot reaches.

use super::derive::{PASSES_MAX, never_stands, plain_source};
use super::repair::{Mending, RepairSnapshotsOptions, is_lost};
use super::reshape::{Counts, Reshaper};
use super::rewrite::write_options;
use crate::backend::Class;
use crate::crypto::{BlobType, KeyKind};
use crate::error::{Error, Result, Subject};
use crate::format::snapshot::{Snapshot, Summary, Totals};
use crate::format::tree::{Chunks, Content, Node, Tree};
use crate::fs::Owners;
use crate::id::{BlobId, PackId, SnapshotId};
use crate::index::Want;
use crate::log::PackState;
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{CommitOutcome, CommitRequest, Repo, Writer};
use crate::time::now;
use crate::tree::{Borders, load_blob, write_directory};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

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
    /// Snapshots that cannot be read whole: what only they reach is among what was found.
    pub unreadable: Vec<SnapshotId>,
}

/// Makes one snapshot of all directories that no live snapshot reaches and that no other directory names: each under the beginning of
/// its id. What is lost of them is left out as by `repair_snapshots`, so that the snapshot is whole.
///
/// Directories of forgotten snapshots are among them until a prune has deleted them. Packs that were condemned are taken back on class
/// A; on class C there must be none: `Unsupported`. Memory: 32 bytes a tree blob, a bit for each blob of the index.
pub fn recover(
    repo: &Repo,
    options: &RecoverOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Recovered> {
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
            return Err(Error::unsupported(place).detail(
                "a prune is about to delete packs, and at a place of this class what is in them cannot be taken back",
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
        let roots = self.roots(&mut found)?;
        found.roots = roots.len() as u64;
        if roots.is_empty() {
            return Ok(Some(found));
        }
        let repo = self.repo;
        let write = write_options(repo, self.options.dry_run, self.progress, self.interrupt);
        let (made, written) = repo.write(write, |writer| {
            let (nodes, counts) = self.nodes(writer, &roots, &mut found)?;
            let root = self.root(writer, nodes)?;
            let relied = match self.options.dry_run {
                true => HashSet::new(),
                false => self.packs_below(&roots)?,
            };
            Ok((root, counts, relied))
        })?;
        let (root, counts, mut hits) = made;
        found.files = counts.files;
        if self.options.dry_run {
            return Ok(Some(found));
        }
        hits.extend(&written.hits);
        hits.retain(|pack| !written.own.contains(pack));
        let summary = self.summary(root, &counts);
        let snapshot = repo.save_snapshot(&Snapshot {
            domain: repo.settings().domain,
            writer: repo.writer(),
            sequence: repo.next_sequence(),
            sources: vec![plain_source(&summary)],
            summary: summary.clone(),
            ext: Vec::new(),
        })?;
        let request = CommitRequest {
            snapshot,
            summary,
            tables: written.tables,
            hits,
            own: written.own,
            lender: None,
        };
        found.snapshot = Some(snapshot);
        Ok(match repo.commit(&request)? {
            CommitOutcome::Committed => Some(found),
            CommitOutcome::Heal => None,
        })
    }

    /// Directories that nothing names, in the order of their ids.
    fn roots(&self, found: &mut Recovered) -> Result<Vec<BlobId>> {
        let mut reached = HashSet::new();
        let state = self.repo.state();
        for (id, row) in state.live_snapshots() {
            let whole = match self.repo.open_summary(id, &row.summary) {
                Ok(summary) => self.reach(&[summary.root], &mut reached, &mut |_, _| Ok(()))?,
                Err(e) if is_lost(&e) => false,
                Err(e) => return Err(e),
            };
            if !whole {
                found.unreadable.push(*id);
            }
        }
        let (mut left, mut named) = (BTreeSet::new(), HashSet::new());
        for id in self.trees()? {
            self.interrupt.check()?;
            if reached.contains(&id) {
                continue;
            }
            match load_blob(self.repo, &id) {
                Ok(Tree::Chunks(_)) => {}
                Ok(tree) => {
                    left.insert(id);
                    below(&tree, &mut |_, child| {
                        named.insert(child);
                    });
                }
                Err(e) if is_lost(&e) => {}
                Err(e) => return Err(e),
            }
        }
        left.retain(|id| !named.contains(id));
        Ok(left.into_iter().collect())
    }

    /// Walks through all trees below these that were not met before; whether all could be read. `each` is told of every blob.
    fn reach(
        &self,
        roots: &[BlobId],
        met: &mut HashSet<BlobId>,
        each: &mut dyn FnMut(BlobType, BlobId) -> Result<()>,
    ) -> Result<bool> {
        let (mut stack, mut whole) = (roots.to_vec(), true);
        while let Some(id) = stack.pop() {
            self.interrupt.check()?;
            if !met.insert(id) {
                continue;
            }
            let tree = match load_blob(self.repo, &id) {
                Ok(tree) => tree,
                Err(e) if is_lost(&e) => {
                    whole = false;
                    continue;
                }
                Err(e) => return Err(e),
            };
            self.progress.count(Counter::Objects, 1);
            each(BlobType::Tree, id)?;
            let mut data = Vec::new();
            below(&tree, &mut |kind, child| match kind {
                BlobType::Tree => stack.push(child),
                BlobType::Data => data.push(child),
            });
            data.into_iter()
                .try_for_each(|child| each(BlobType::Data, child))?;
        }
        Ok(whole)
    }

    /// All tree blobs of packs that are there.
    fn trees(&self) -> Result<BTreeSet<BlobId>> {
        let mut packs = Vec::new();
        self.repo.index().packs(&mut |pack, _| {
            packs.extend((pack.kind == BlobType::Tree).then_some(pack.id));
            Ok(ControlFlow::Continue(()))
        })?;
        let mut trees = BTreeSet::new();
        for pack in packs {
            let deleting = self.repo.state().pack_state(&pack) == PackState::Deleting;
            if !deleting && self.repo.is_there(&pack)? {
                let entry = self.repo.index().pack_entry(&pack)?;
                let blobs = entry.iter().flat_map(|entry| &entry.blobs);
                trees.extend(blobs.map(|blob| blob.id));
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
        let rule = Mending::new(&options);
        let seen = (self.progress, self.interrupt);
        let mut shaper = Reshaper::new(self.repo, writer, seen, rule)?;
        let mut nodes: BTreeMap<Vec<u8>, Node> = BTreeMap::new();
        let mut counts = Counts::default();
        for root in roots {
            let Some(shaped) = shaper.tree(root)? else {
                continue;
            };
            let mut name = root.short().into_bytes();
            if nodes.contains_key(&name) {
                name = root.to_hex().into_bytes();
            }
            let node = directory(name.clone(), shaped.id);
            counts.add(&shaped.counts);
            counts.node(&node);
            nodes.insert(name, node);
        }
        found.items_lost = shaper.rule.items;
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
        let outer = vec![directory(b"recover".to_vec(), inner)];
        write_directory(outer, &owners, &borders, &mut put)
    }

    /// The packs in which what lies below these directories can be had.
    fn packs_below(&self, roots: &[BlobId]) -> Result<HashSet<PackId>> {
        let mut packs = HashSet::new();
        self.reach(roots, &mut HashSet::new(), &mut |_, blob| {
            packs.extend(packs_of(self.repo, &blob)?);
            Ok(())
        })?;
        Ok(packs)
    }

    fn summary(&self, root: BlobId, counts: &Counts) -> Summary {
        let totals = Totals {
            files: counts.files,
            dirs: counts.dirs + 1,
            bytes: counts.bytes,
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

/// The packs of a copy of a blob that can be had, and of whole copies of its bases: live ones, if there are any. None if there is no
/// copy.
pub(super) fn packs_of(repo: &Repo, blob: &BlobId) -> Result<Vec<PackId>> {
    let mut copies = Vec::new();
    repo.index().copies(blob, &mut |location| {
        copies.push(location);
        ControlFlow::Continue(())
    })?;
    let (mut best, mut best_is_live) = (Vec::new(), false);
    for location in copies {
        let mut packs = vec![repo.index().pack_id_of(&location)?];
        for base in repo.index().bases(&location)? {
            if let Some(whole) = repo.index().whole_copy(&base, Want::Readable)? {
                packs.push(repo.index().pack_id_of(&whole)?);
            }
        }
        let (mut there, mut live) = (true, true);
        for pack in &packs {
            let state = repo.state().pack_state(pack);
            there &= state != PackState::Deleting && repo.is_there(pack)?;
            live &= state == PackState::Live;
        }
        if there && (best.is_empty() || live && !best_is_live) {
            (best, best_is_live) = (packs, live);
        }
    }
    Ok(best)
}

fn directory(name: Vec<u8>, tree: BlobId) -> Node {
    let time = now();
    Node {
        name,
        mode: 0o755,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        mtime: time,
        ctime: time,
        atime: None,
        inode: 0,
        device: 0,
        links: 1,
        xattrs: Vec::new(),
        content: Content::Dir(Some(tree)),
        ext: Vec::new(),
    }
}

/// Tells of what a tree blob names.
fn below(tree: &Tree, each: &mut dyn FnMut(BlobType, BlobId)) {
    match tree {
        Tree::Branch(branch) => branch
            .pages
            .iter()
            .for_each(|page| each(BlobType::Tree, page.id)),
        // Whether it lists data or further lists, its own file says; what is no tree is no directory either.
        Tree::Chunks(ids) => ids.iter().for_each(|id| each(BlobType::Data, *id)),
        Tree::Leaf(leaf) => {
            for node in &leaf.nodes {
                match &node.content {
                    Content::Dir(Some(tree)) => each(BlobType::Tree, *tree),
                    Content::File(file) => match &file.chunks {
                        Chunks::Direct(ids) => ids.iter().for_each(|id| each(BlobType::Data, *id)),
                        Chunks::Lists { lists, .. } => {
                            lists.iter().for_each(|id| each(BlobType::Tree, *id));
                        }
                    },
                    _ => {}
                }
            }
        }
    }
}
