//! Takes a forget back, as long as everything that the snapshot holds is still there.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::Action;
use crate::format::name::ObjectKind;
use crate::format::tree::{Content, FileContent, Tree};
use crate::id::{BlobId, PackId, SnapshotId};
use crate::index::Marks;
use crate::log::{State, UnforgetCheck, check_unforget};
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::Repo;
use crate::tree::{ChunkRef, for_each_chunk, load_blob};
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// So many chunks of a file are looked up at a time.
const BATCH: usize = 1024;

/// What became of an [`unforget`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unforgotten {
    /// These are wanted again; others of those asked for were not forgotten.
    Done(Vec<SnapshotId>),
    /// It is too late for this one, and none is wanted again.
    TooLate(SnapshotId, TooLate),
    /// Class C: packs of this one are condemned, and would have to be copied first, which this version cannot.
    NeedsCopy(SnapshotId),
}

/// What is gone of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TooLate {
    /// The snapshot itself.
    pub snapshot: bool,
    /// Files and directories that are not whole any more: nothing else below one of these directories, and what lies in equal ones once.
    pub items: u64,
    /// The first of them.
    pub first: Option<PathBuf>,
}

impl TooLate {
    fn item(&mut self, path: &Path) {
        self.items += 1;
        self.first.get_or_insert_with(|| path.to_owned());
    }
}

/// Makes forgotten snapshots wanted again: checks that every blob they hold decodes from packs that stay, and appends an
/// `Unforget` that reprieves the condemned ones among those, as far as they are what their names say.
///
/// Without a pack that was condemned or deleted since, nothing is read; else every tree is. Checked again if packs were
/// condemned or deleted meanwhile. `NotFound` about one that the log does not know. Memory: one bit for each blob of the
/// index, 32 bytes for each condemned pack and each tree that is lost.
pub fn unforget(
    repo: &Repo,
    ids: &[SnapshotId],
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Unforgotten> {
    loop {
        // On class C no deletion goes by a process at work, which must be announced before it folds.
        let _process = repo.announce()?;
        repo.refresh()?;
        let state = repo.state();
        state.refuse_unreadable()?;
        let mut reprieve = BTreeSet::new();
        for id in ids {
            let Some(row) = state.snapshot(id) else {
                return gone_or_unknown(&state, id);
            };
            if state.is_live(id) || untouched(&state, id) {
                continue;
            }
            let summary = repo.open_summary(id, &row.summary)?;
            let mut walk = Walk::new(repo, &state, progress, interrupt);
            match walk.check(id, summary.root)? {
                Checked::Whole => reprieve.append(&mut walk.reprieve),
                Checked::Lost => return Ok(Unforgotten::TooLate(*id, walk.lost)),
                Checked::NeedsCopy => return Ok(Unforgotten::NeedsCopy(*id)),
            }
        }
        // A damaged one stays condemned, so that nothing new is taken for stored in it; a prune that needs it deletes nothing.
        let mut whole = BTreeSet::new();
        for pack in reprieve {
            interrupt.check()?;
            match repo.prove_pack(&pack) {
                Ok(()) => drop(whole.insert(pack)),
                Err(e) if e.is_lost() => {}
                Err(e) => return Err(e),
            }
        }
        if let Some(done) = append(repo, ids, &state, whole)? {
            return Ok(Unforgotten::Done(done));
        }
    }
}

fn gone_or_unknown(state: &State, id: &SnapshotId) -> Result<Unforgotten> {
    match state.is_deleted(&id.0) {
        true => Ok(Unforgotten::TooLate(
            *id,
            TooLate {
                snapshot: true,
                ..TooLate::default()
            },
        )),
        false => Err(Error::new(ErrorKind::NotFound, Subject::Snapshot(*id))),
    }
}

/// Whether no pack is condemned, and none was deleted since the snapshot was forgotten: while it was not, its packs were
/// kept.
fn untouched(state: &State, id: &SnapshotId) -> bool {
    let since = state.forgotten_by(id).unwrap_or(0);
    let deleted = |kind, number| is_pack(kind) && number > since;
    state.condemned().next().is_none()
        && state.condemned_objects().next().is_none()
        && !state
            .deleted()
            .any(|(object, row)| deleted(object.kind, row.number))
}

fn is_pack(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Data | ObjectKind::Meta)
}

/// Appends the entry to a fold in which no other packs are condemned or deleted than in `checked`; `None` if there are.
fn append(
    repo: &Repo,
    ids: &[SnapshotId],
    checked: &State,
    reprieve: BTreeSet<PackId>,
) -> Result<Option<Vec<SnapshotId>>> {
    let mut done = None;
    repo.append(&mut |state| {
        state.refuse_unreadable()?;
        done = None;
        if !holds(checked, state) || ids.iter().any(|id| state.snapshot(id).is_none()) {
            return Ok(None);
        }
        let forgotten = ids.iter().filter(|id| !state.is_live(id));
        let snapshots: Vec<SnapshotId> = forgotten.copied().collect();
        done = Some(snapshots.clone());
        Ok((!snapshots.is_empty()).then(|| Action::Unforget {
            snapshots,
            reprieve: reprieve.iter().copied().collect(),
        }))
    })?;
    Ok(done)
}

/// Whether what was checked on one fold holds on a newer one: what decoded then does so now.
fn holds(checked: &State, now: &State) -> bool {
    let before: BTreeSet<&PackId> = checked.condemned().map(|(pack, _)| pack).collect();
    now.class() == checked.class()
        && now.deleted().count() == checked.deleted().count()
        && now.condemned_objects().eq(checked.condemned_objects())
        && now.condemned().all(|(pack, _)| before.contains(pack))
}

enum Checked {
    Whole,
    Lost,
    NeedsCopy,
}

/// Goes through everything that a snapshot holds.
struct Walk<'a> {
    repo: &'a Repo,
    state: &'a State,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    /// Trees that were met.
    seen: Marks,
    /// Those of them that are lost.
    gone: HashSet<BlobId>,
    reprieve: BTreeSet<PackId>,
    needs_copy: bool,
    lost: TooLate,
}

impl<'a> Walk<'a> {
    fn new(
        repo: &'a Repo,
        state: &'a State,
        progress: &'a dyn Progress,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self {
            repo,
            state,
            progress,
            interrupt,
            seen: repo.index().marks(),
            gone: HashSet::new(),
            reprieve: BTreeSet::new(),
            needs_copy: false,
            lost: TooLate::default(),
        }
    }

    fn check(&mut self, id: &SnapshotId, root: BlobId) -> Result<Checked> {
        let own = self.ask(&[*id], &[])?;
        self.lost.snapshot = !own.gone.is_empty();
        self.trees(root)?;
        Ok(match self.lost == TooLate::default() {
            false => Checked::Lost,
            true if self.needs_copy => Checked::NeedsCopy,
            true => Checked::Whole,
        })
    }

    /// Asks the log's own check, and takes in what is to be reprieved or copied.
    fn ask(&mut self, snapshots: &[SnapshotId], blobs: &[BlobId]) -> Result<UnforgetCheck> {
        let check = check_unforget(self.state, &self.repo.catalog(), snapshots, blobs)?;
        self.reprieve.extend(&check.reprieve);
        self.needs_copy |= !check.copy.is_empty();
        Ok(check)
    }

    /// Whether these blobs decode. Asked of every item that holds them, for each that does not is told.
    fn decode(&mut self, blobs: &[BlobId]) -> Result<bool> {
        Ok(self.ask(&[], blobs)?.lost.is_empty())
    }

    fn trees(&mut self, root: BlobId) -> Result<()> {
        let mut stack = vec![(root, PathBuf::from("/"))];
        while let Some((id, path)) = stack.pop() {
            self.interrupt.check()?;
            if !self.seen.insert(&id)? {
                if self.gone.contains(&id) {
                    self.lost.item(&path);
                }
                continue;
            }
            let tree = match self.decode(&[id])? {
                true => self.read(load_blob(self.repo, &id))?,
                false => None,
            };
            match tree {
                None => {
                    self.gone.insert(id);
                    self.lost.item(&path);
                }
                Some(Tree::Branch(branch)) => {
                    let pages = branch.pages.into_iter().rev();
                    stack.extend(pages.map(|page| (page.id, path.clone())));
                }
                Some(Tree::Leaf(leaf)) => {
                    for node in leaf.nodes {
                        self.progress.count(Counter::Nodes, 1);
                        let path = path.join(OsStr::from_bytes(&node.name));
                        match node.content {
                            Content::Dir(Some(tree)) => stack.push((tree, path)),
                            Content::File(file) => self.file(&file, &path)?,
                            _ => {}
                        }
                    }
                }
                Some(Tree::Chunks(_)) => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &FileContent, path: &Path) -> Result<()> {
        let (mut batch, mut whole) = (Vec::new(), true);
        let repo = self.repo;
        let walked = for_each_chunk(repo, &file.chunks, &mut |chunk| {
            let (ChunkRef::Data(id) | ChunkRef::List(id)) = chunk;
            batch.push(id);
            // A list is read next: it must be known to be there.
            if batch.len() == BATCH || matches!(chunk, ChunkRef::List(_)) {
                whole = self.decode(&batch)? && whole;
                batch.clear();
            }
            Ok(match whole {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        });
        let read = self.read(walked)?.is_some();
        whole = read && whole && self.decode(&batch)?;
        if !whole {
            self.lost.item(path);
        }
        Ok(())
    }

    /// What cannot be read for good is lost; any other error ends the walk.
    fn read<T>(&self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(e) if e.is_lost() => Ok(None),
            Err(e) => Err(e),
        }
    }
}
