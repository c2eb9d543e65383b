//! Backup: one run makes one snapshot.
//!
//! Steps, after each of which a stop is safe:
//! 1. fold the log; find the parent; take over packs that an interrupted run left;
//! 2. walk the sources and store what is new: packs, then index tables (orphans until a log entry names them);
//! 3. store the snapshot (an orphan too);
//! 4. fold again and check every pack relied on; what is condemned is reprieved, what is gone is read again (back to 2);
//! 5. append `Commit`: from here on everything is visible and durable.

mod assemble;
mod batch;
mod input;
mod node;
mod options;
mod parent;
mod pass;
mod read;
mod roots;
mod scan;
mod select;
mod sparse;
mod totals;

use crate::backend::Class;
use crate::crypto::{BlobType, KeyKind};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::snapshot::{Snapshot, Source, Summary, Totals};
use crate::fs::Owners;
use crate::id::{BlobId, SnapshotId};
use crate::log::Removals;
use crate::progress::{Interrupt, Note, Problems, Progress};
use crate::repo::{CommitOutcome, CommitRequest, Pool, Repo, Resumed, Run, WriteOptions, Written};
use crate::snapshot::SnapshotInfo;
use crate::time::{Timestamp, now};
use crate::tree::Borders;
use assemble::TreeMaker;
use input::Prepared;
use pass::{Done, Pass, PassContext};
use std::path::Path;
use std::time::Instant;
use totals::Counting;

pub use input::Input;
pub(super) use node::{plain_node, sizes_of};
pub use options::{BackupOptions, READERS_MAX};
pub(super) use pass::Cutters;
pub(super) use read::{Cutter, NamedRange, cut_whole, name_pieces};
pub use select::{Exclusions, Marker};

/// How often the sources are read when others delete what was found stored; each pass finds what is left.
const PASSES_MAX: u32 = 8;

/// What a backup did.
#[derive(Debug, Clone)]
pub struct BackupSummary {
    /// The snapshot; `None` for a dry run, and if it was skipped.
    pub snapshot: Option<SnapshotId>,
    /// No snapshot was made because nothing has changed, or none would be made; see [`BackupOptions::skip_if_unchanged`].
    pub skipped: bool,
    /// The parent it was compared with.
    pub parent: Option<SnapshotId>,
    /// Numbers, problems among them.
    pub totals: Totals,
    /// Entries that were left out as asked; what lies below them is not counted.
    pub excluded: u64,
    /// Entries that were gone when they were to be read: no problem.
    pub vanished: u64,
    /// What interrupted backups had stored already.
    pub resumed: Resumed,
}

/// Backs up. Files that cannot be read are problems, counted and reported, and the rest goes on.
///
/// `InvalidInput` if there is nothing at all to be backed up: an empty snapshot would be the newest.
///
/// `Interrupted` when asked to stop: what was finished stays and is used by the next run. Memory does not grow with the
/// repository nor with the source.
pub fn backup(
    repo: &Repo,
    input: Input<'_>,
    options: &BackupOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<BackupSummary> {
    options.check()?;
    let begun = Instant::now();
    let time = options.time.unwrap_or_else(now);
    let problems = Problems::new(progress);
    let mut prepared = Prepared::new(input, &options.exclude)?;
    let run = repo.begin_run(options.dry_run)?;
    let parent = parent::find(repo, &prepared.series(), options)?;
    let removals = repo.state().removals();
    let distrust = may_lack(repo, &removals, parent.as_ref());
    // Of a stream nothing is compared.
    if let Prepared::Files { .. } = prepared {
        let short = parent.as_ref().map(|parent| parent.id.short());
        progress.note(Note::Parent(short.as_deref()));
    }
    let mut attempt = Attempt {
        repo,
        options,
        progress,
        interrupt,
        problems: &problems,
        maker: tree_maker(repo)?,
        parent,
        may_skip: options.skip_if_unchanged,
        readers: match options.readers {
            0 => None,
            readers => Some(Pool::named("larder.read", readers)?),
        },
        begun,
        time,
        distrust,
        removals,
        sum: Written::default(),
        resumed: None,
    };
    std::thread::scope(|scope| {
        // Goes at the end, which ends the counting.
        let _running = Counting::start(scope, &prepared, options.scan_after, progress);
        attempt.make_at_last(run, &mut prepared)
    })
}

/// Whether what the parent holds may be lost, as far as the log and the index can tell: a table is missing, or packs were condemned or
/// anything was deleted after it was committed. A prune takes nothing that it needs, a repair may have to. Of another form of a snapshot
/// nobody knows when its content was, and on class C not what its commit had seen: an entry may come late, under a lower number.
pub(super) fn may_lack(repo: &Repo, removals: &Removals, parent: Option<&SnapshotInfo>) -> bool {
    let state = repo.state();
    let since = parent.is_some_and(|parent| {
        let committed = state.snapshot(&parent.id).map_or(0, |row| row.number);
        let in_order = state.class() == Class::A && parent.summary.original().is_none();
        removals.newest > 0 && !(in_order && committed > removals.newest)
    });
    since || repo.index_is_incomplete()
}

/// One backup, from pass to pass.
struct Attempt<'a> {
    repo: &'a Repo,
    options: &'a BackupOptions,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    problems: &'a Problems<'a>,
    maker: TreeMaker,
    parent: Option<SnapshotInfo>,
    /// Make no snapshot if it would be the parent once more.
    may_skip: bool,
    /// Reads small files, if the repository's own threads do not.
    readers: Option<Pool>,
    begun: Instant,
    time: Timestamp,
    /// Look everything up that the parent would vouch for.
    distrust: bool,
    /// When that was decided.
    removals: Removals,
    sum: Written,
    /// What interrupted backups left, once that was looked at.
    resumed: Option<Resumed>,
}

impl<'a> Attempt<'a> {
    /// Makes it in as many passes as are needed.
    fn make_at_last(
        &mut self,
        mut run: Run<'a>,
        prepared: &mut Prepared<'_>,
    ) -> Result<BackupSummary> {
        for _ in 0..PASSES_MAX {
            match self.make(&run, prepared) {
                Ok(Some(done)) => {
                    run.end();
                    return Ok(done);
                }
                Ok(None) => self.forget_what_is_gone(),
                // What others thought of this process while it was taken for dead is not known: nothing of it counts.
                Err(_) if self.repo.is_fenced() => {
                    run = self.repo.begin_run(false)?;
                    self.sum = Written::default();
                }
                Err(e) => return Err(e),
            }
            self.distrust = true;
            if !prepared.can_be_read_again() {
                return Err(deleted_meanwhile(
                    "a stream cannot be read again: run it once more",
                ));
            }
        }
        Err(deleted_meanwhile("each time it was read again"))
    }

    /// Reads the sources, stores what is new and commits. `None` if something that was relied on is gone by now.
    fn make(
        &mut self,
        run: &Run<'_>,
        prepared: &mut Prepared<'_>,
    ) -> Result<Option<BackupSummary>> {
        let (repo, options) = (self.repo, self.options);
        let parent = self.parent.as_ref().map(|parent| parent.id);
        let Done {
            root,
            mut totals,
            unchanged,
            is_empty,
            excluded,
            vanished,
        } = self.read(run, prepared)?;
        if is_empty {
            return Err(Error::new(ErrorKind::InvalidInput, Subject::None)
                .detail("it holds nothing, and would be the newest snapshot"));
        }
        count(&mut totals, &self.sum, self.problems, self.begun);
        let mut done = BackupSummary {
            snapshot: None,
            skipped: unchanged,
            parent,
            totals,
            excluded,
            vanished,
            resumed: self.resumed.unwrap_or_default(),
        };
        if options.dry_run || unchanged && self.parent_stands()? {
            return Ok(Some(done));
        }
        if unchanged {
            self.may_skip = false;
            return Ok(None);
        }
        let mut summary = summary(options, prepared, root, parent, self.time, totals);
        let original = self.parent.as_ref().and_then(|p| p.summary.original());
        if let Some(original) = original {
            summary.set_parent_original(&original);
        }
        let snapshot = repo.save_snapshot(&record(repo, summary.clone(), prepared))?;
        let lender = parent.filter(|_| !self.distrust && prepared.can_be_read_again());
        let request = CommitRequest {
            snapshot,
            summary,
            tables: self.sum.tables.clone(),
            hits: self.sum.hits.clone(),
            own: self.sum.own.clone(),
            lender,
            lent_on: lender.map(|_| self.removals),
        };
        done.snapshot = Some(snapshot);
        Ok(match repo.commit(&request)? {
            CommitOutcome::Committed => Some(done),
            CommitOutcome::Heal | CommitOutcome::Damaged(_) => None,
        })
    }

    /// Whether the parent is a snapshot still.
    fn parent_stands(&self) -> Result<bool> {
        self.repo.refresh()?;
        let is_parent = |id| self.parent.as_ref().is_some_and(|parent| parent.id == id);
        Ok(self
            .repo
            .live_snapshots()
            .iter()
            .any(|(id, _)| is_parent(*id)))
    }

    /// Reads the sources and stores what is new. What is given as unchanged has stored nothing, and is to be skipped.
    fn read(&mut self, run: &Run<'_>, prepared: &mut Prepared<'_>) -> Result<Done> {
        let repo = self.repo;
        let context = PassContext {
            repo,
            problems: self.problems,
            interrupt: self.interrupt,
            maker: &self.maker,
            cutters: Cutters::new(repo, repo.settings().domain)?,
            rules: self.options.rules(),
            selection: prepared.selection(),
            distrust: self.distrust,
            isolate: self.options.isolate.as_ref(),
            readers: self.readers.as_ref(),
        };
        let write = WriteOptions {
            domain: repo.settings().domain,
            level: self.options.level,
            pack_bytes: self.options.pack_bytes,
            dry_run: self.options.dry_run,
            progress: self.progress,
            interrupt: self.interrupt,
        };
        let root = self.parent.as_ref().map(|parent| parent.summary.root);
        let resumed = &mut self.resumed;
        let (progress, may_skip) = (self.progress, self.may_skip);
        let (done, written) = repo.write(write, |writer| {
            let found = run.take_over_orphans(repo, writer)?;
            say_once(resumed, found, progress);
            let mut done = pass(&context, writer, prepared, root, self.time)?;
            done.unchanged = may_skip && done.unchanged && writer.discard();
            Ok(done)
        })?;
        add(&mut self.sum, written);
        Ok(done)
    }

    /// What the pass relied on no longer counts. What it wrote may be used, and is named by tables unless those are gone.
    fn forget_what_is_gone(&mut self) {
        self.sum.hits.clear();
        self.sum.own.clear();
        let state = self.repo.state();
        self.sum.tables.retain(|table| !state.is_deleted(&table.0));
    }
}

/// What a later pass finds is what the first one left.
fn say_once(resumed: &mut Option<Resumed>, found: Resumed, progress: &dyn Progress) {
    let first = resumed.is_none();
    let Resumed { packs, bytes } = *resumed.get_or_insert(found);
    if first && packs > 0 {
        progress.note(Note::Resumed { packs, bytes });
    }
}

fn deleted_meanwhile(detail: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, Subject::None).detail(format!(
        "what it has in common with older backups was deleted meanwhile, or found to be damaged; {detail}"
    ))
}

fn tree_maker(repo: &Repo) -> Result<TreeMaker> {
    let domain = repo.settings().domain;
    Ok(TreeMaker {
        hasher: repo.ring().blob_hasher(domain, BlobType::Tree)?,
        borders: Borders::new(repo.ring().domain_key(KeyKind::Border, domain)?.clone()),
        owners: Owners::load(Path::new("/etc"))?,
    })
}

fn pass(
    context: &PassContext<'_>,
    writer: &mut crate::repo::Writer<'_>,
    prepared: &mut Prepared<'_>,
    parent: Option<BlobId>,
    time: Timestamp,
) -> Result<Done> {
    let pass = Pass::new(context, writer);
    match prepared {
        Prepared::Files { root, .. } => pass.files(root, parent),
        Prepared::Stream { names, reader, .. } => pass.stream(names, reader, time, parent),
    }
}

fn add(sum: &mut Written, more: Written) {
    sum.tables.extend(more.tables);
    sum.hits.extend(more.hits);
    sum.own.extend(more.own);
    sum.hits.retain(|pack| !sum.own.contains(pack));
    sum.data_blobs += more.data_blobs;
    sum.tree_blobs += more.tree_blobs;
    sum.bytes_added += more.bytes_added;
    sum.bytes_stored += more.bytes_stored;
}

fn count(totals: &mut Totals, written: &Written, problems: &Problems<'_>, begun: Instant) {
    totals.data_blobs = written.data_blobs;
    totals.tree_blobs = written.tree_blobs;
    totals.bytes_added = written.bytes_added;
    totals.bytes_stored = written.bytes_stored;
    totals.problems = problems.seen();
    totals.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
}

fn summary(
    options: &BackupOptions,
    prepared: &Prepared<'_>,
    root: BlobId,
    parent: Option<SnapshotId>,
    time: Timestamp,
    totals: Totals,
) -> Summary {
    Summary {
        root,
        parent,
        time,
        utc_offset_min: options.utc_offset_min,
        host: options.host.clone(),
        user: options.user.clone(),
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        paths: prepared.paths(),
        tags: options.tags.clone(),
        label: options.label.clone(),
        description: options.description.clone(),
        program: options.program.clone(),
        totals,
        ext: Vec::new(),
    }
}

fn record(repo: &Repo, summary: Summary, prepared: &Prepared<'_>) -> Snapshot {
    let (kind, dump) = prepared.kind();
    let source = Source {
        kind,
        name: summary.paths.first().cloned().unwrap_or_default(),
        chunker: 1,
        totals: summary.totals,
        dump,
        ext: Vec::new(),
    };
    Snapshot {
        domain: repo.settings().domain,
        writer: repo.writer(),
        sequence: repo.next_sequence(),
        sources: vec![source],
        summary,
        ext: Vec::new(),
    }
}
