//! Copy: snapshots of one repository into another, which has other keys, and cuts and names content in its own way.
//!
//! For some snapshots at a time, oldest first, after each step of which a stop is safe:
//! 1. walk the tree beside that of a copy that is there, or comes right before; what both have is not looked into;
//! 2. read what is left, prove it, cut it as the target does, and store what is new there;
//! 3. for each store a snapshot and commit it, as a backup does. What is gone by then is stored again (back to 1).
//!
//! `docs/design/0009-copy.md` says why.

mod base;
mod pass;
mod read;
mod walk;

use super::backup::Cutters;
use super::derive::{PASSES_MAX, never_stands, plain_source, put_under};
use crate::chunk::{SourceKind as Cut, sizes_for};
use crate::compress::Level;
use crate::crypto::{BlobType, KeyKind};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::snapshot::{Copied, ORIGINAL, Snapshot, Source, SourceKind, Summary};
use crate::id::{BlobId, IndexId, SnapshotId};
use crate::log::Terms;
use crate::progress::{Interrupt, Note, Problems, Progress};
use crate::repo::{
    BlockCache, CommitOutcome, CommitRequest, Pool, Repo, Resumed, Run, WriteOptions, Writer,
    Written,
};
use crate::snapshot::SnapshotInfo;
use crate::tree::Borders;
use base::{Lender, There};
use pass::{Context, Pass};
use read::Blobs;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Opened blocks of the source are kept up to so many bytes.
const CACHE_BYTES: usize = 16 << 20;

/// So many new bytes are stored before snapshots are committed that are complete: few snapshots share no pack with their neighbours, and
/// little is done again after a stop.
const SESSION_BYTES: u64 = 256 << 20;

/// Or after this long.
const SESSION_AFTER: Duration = Duration::from_secs(60);

/// How snapshots are copied.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// How hard to compress.
    pub level: Level,
    /// A pack is closed at this many bytes; as the target's settings say if `None`.
    pub pack_bytes: Option<u32>,
    /// Say which snapshots would be copied, read none of them and store nothing.
    pub dry_run: bool,
}

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// It was copied, and is this one there.
    Copied(SnapshotId),
    /// It would be copied.
    ToCopy,
    /// It had been copied before.
    There(SnapshotId),
    /// So many things in it are lost in the source. It was not committed.
    Incomplete(u64),
}

/// What a copy did.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopySummary {
    /// Snapshots that were copied, or would be.
    pub copied: u64,
    /// Snapshots that had been copied before.
    pub skipped: u64,
    /// Snapshots of which something is lost in the source: they were not copied.
    pub incomplete: u64,
    /// Data blobs that were new in the target.
    pub data_blobs: u64,
    /// Tree blobs that were new.
    pub tree_blobs: u64,
    /// Their bytes.
    pub bytes_added: u64,
    /// Bytes of their packs.
    pub bytes_stored: u64,
    /// What interrupted runs had stored already.
    pub resumed: Resumed,
}

impl CopySummary {
    fn count(&mut self, became: Became) {
        *match became {
            Became::Copied(_) | Became::ToCopy => &mut self.copied,
            Became::There(_) => &mut self.skipped,
            Became::Incomplete(_) => &mut self.incomplete,
        } += 1;
    }

    fn add(&mut self, written: &Written) {
        self.data_blobs += written.data_blobs;
        self.tree_blobs += written.tree_blobs;
        self.bytes_added += written.bytes_added;
        self.bytes_stored += written.bytes_stored;
    }
}

/// Copies snapshots of `from` into `to`, in the order in which they are given; `told` is told of each.
///
/// A copy says all that its snapshot says, and which one it is a copy of; where both repositories cut content alike even its trees have the
/// same ids. What cannot be read in `from` is a problem, counted and reported, and the snapshots that need it are not committed; the others
/// are.
///
/// `InvalidInput` if both are one repository. `Interrupted` when asked to stop: what was committed stays, and what was stored is used by the
/// next run. Memory: see `copy/pass.rs`, 16 MiB of blocks, what a [`Writer`](crate::repo::Writer) takes, and a summary for each snapshot of `to`.
pub fn copy(
    from: &Repo,
    to: &Repo,
    snapshots: &[SnapshotInfo],
    options: &CopyOptions,
    told: &mut dyn FnMut(&SnapshotInfo, Became),
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<CopySummary> {
    if from.id() == to.id() {
        let same = Error::new(ErrorKind::InvalidInput, Subject::Repository(to.place()));
        return Err(same.detail("is the repository that is to be copied from"));
    }
    copy_to(from, to, snapshots, options, told, progress, interrupt)
}

/// The same, also between two places of one repository whose logs are not one any more.
pub(super) fn copy_to(
    from: &Repo,
    to: &Repo,
    snapshots: &[SnapshotInfo],
    options: &CopyOptions,
    told: &mut dyn FnMut(&SnapshotInfo, Became),
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<CopySummary> {
    let problems = Problems::new(progress);
    let run = to.begin_run(options.dry_run)?;
    let _following = from.follow();
    let mut work = Work {
        options,
        context: context(from, to, &problems, interrupt)?,
        there: There::of(to, from.id()),
        distrust: false,
        tables: Vec::new(),
        told,
        resumed: None,
        summary: CopySummary::default(),
    };
    let left = work.pass_over(snapshots);
    match options.dry_run {
        true => left.iter().for_each(|info| work.tell(info, Became::ToCopy)),
        false => work.copy_all(run, &left)?,
    }
    work.summary.resumed = work.resumed.unwrap_or_default();
    Ok(work.summary)
}

fn context<'a>(
    from: &'a Repo,
    to: &'a Repo,
    problems: &'a Problems<'a>,
    interrupt: &'a Interrupt,
) -> Result<Context<'a>> {
    let (ours, theirs) = (to.settings().domain, from.settings().domain);
    let alike = |kind| -> Result<bool> {
        let keys = [
            from.ring().domain_key(kind, theirs)?,
            to.ring().domain_key(kind, ours)?,
        ];
        Ok(keys[0].expose() == keys[1].expose())
    };
    let limits = from.backend().limits();
    Ok(Context {
        from,
        to,
        alike: alike(KeyKind::Chunker)? && alike(KeyKind::IdData)? && alike(KeyKind::IdTree)?,
        cutters: Cutters::new(to, ours)?,
        blobs: Blobs {
            repo: from.clone(),
            cache: Arc::new(BlockCache::new(CACHE_BYTES)),
            hasher: from.hasher(BlobType::Data)?,
        },
        trees: to.ring().blob_hasher(ours, BlobType::Tree)?,
        borders: Borders::new(to.ring().domain_key(KeyKind::Border, ours)?.clone()),
        far: match limits.remote && limits.connections > from.pool().threads() {
            true => Some(Pool::named("larder.read", limits.connections)?),
            false => None,
        },
        problems,
        interrupt,
        fresh: RefCell::default(),
    })
}

/// A snapshot that was stored and is to be committed.
struct Stored {
    sources: Vec<Source>,
    /// Its root in the target; none if something of it is lost.
    root: Option<BlobId>,
    /// How many things are.
    lost: u64,
    lender: Option<Lender>,
}

struct Work<'a, 't> {
    options: &'a CopyOptions,
    context: Context<'a>,
    there: There,
    /// Look everything up that a copy would vouch for.
    distrust: bool,
    /// What was stored and no entry of the log names.
    tables: Vec<IndexId>,
    told: &'t mut dyn FnMut(&SnapshotInfo, Became),
    /// What interrupted runs left, once that was looked at.
    resumed: Option<Resumed>,
    summary: CopySummary,
}

impl<'a> Work<'a, '_> {
    fn tell(&mut self, info: &SnapshotInfo, became: Became) {
        self.summary.count(became);
        (self.told)(info, became);
    }

    /// Those that are not there yet.
    fn pass_over<'s>(&mut self, snapshots: &'s [SnapshotInfo]) -> Vec<&'s SnapshotInfo> {
        let mut left = Vec::new();
        for info in snapshots {
            match self.there.find(info) {
                Some(copy) => self.tell(info, Became::There(copy)),
                None => left.push(info),
            }
        }
        left
    }

    /// Copies in as many sessions as are needed.
    fn copy_all(&mut self, mut run: Run<'a>, mut left: &[&SnapshotInfo]) -> Result<()> {
        let to = self.context.to;
        let mut passes = 0;
        while !left.is_empty() {
            match self.session(&run, &mut left) {
                Ok(true) => (passes, self.distrust) = (0, false),
                Ok(false) => (passes, self.distrust) = (passes + 1, true),
                // What others thought of this process while it was taken for dead is not known: nothing of it counts.
                Err(_) if to.is_fenced() => {
                    run = to.begin_run(false)?;
                    self.tables.clear();
                    (passes, self.distrust) = (passes + 1, true);
                }
                Err(e) => return Err(e),
            }
            if passes == PASSES_MAX {
                return Err(never_stands());
            }
        }
        // What was stored of incomplete ones is found by the next run.
        if self.summary.incomplete == 0 {
            run.end();
        }
        Ok(())
    }

    /// Stores some of the snapshots and commits them; takes those from `left`. False if what the next one relied on is gone: it is to be
    /// stored again.
    fn session(&mut self, run: &Run<'a>, left: &mut &[&SnapshotInfo]) -> Result<bool> {
        let to = self.context.to;
        self.there = There::of(to, self.context.from.id());
        self.context.fresh.take();
        let options = WriteOptions {
            domain: to.settings().domain,
            level: self.options.level,
            pack_bytes: self.options.pack_bytes,
            ..WriteOptions::new(self.context.problems, self.context.interrupt)
        };
        let (stored, written) = to.write(options, |writer| {
            self.resume(run, writer)?;
            self.store(writer, left)
        })?;
        self.summary.add(&written);
        self.tables.extend(&written.tables);
        let mut committed = Vec::new();
        for stored in stored {
            let (info, rest) = left.split_first().expect("as many as were stored");
            let became = match stored.root {
                None => Became::Incomplete(stored.lost),
                Some(root) => {
                    let lender = stored.lender.and_then(|lender| match lender {
                        Lender::There(id) => Some(id),
                        Lender::Earlier(number) => committed[number],
                    });
                    let snapshot = self.snapshot(info, root, stored.sources);
                    match self.commit(info, snapshot, lender, &written)? {
                        Some(copy) => Became::Copied(copy),
                        None => return Ok(false),
                    }
                }
            };
            committed.push(match became {
                Became::Copied(copy) => Some(copy),
                _ => None,
            });
            *left = rest;
            self.tell(info, became);
        }
        Ok(true)
    }

    /// Takes over what interrupted runs left, in the first session.
    fn resume(&mut self, run: &Run<'_>, writer: &mut Writer<'_>) -> Result<()> {
        if self.resumed.is_some() {
            return Ok(());
        }
        let found = run.take_over_orphans(self.context.to, writer)?;
        self.resumed = Some(found);
        if found.packs > 0 {
            let Resumed { packs, bytes } = found;
            self.context.problems.note(Note::Resumed { packs, bytes });
        }
        Ok(())
    }

    /// Stores snapshots until it is enough for a session.
    fn store(&mut self, writer: &mut Writer<'_>, left: &[&SnapshotInfo]) -> Result<Vec<Stored>> {
        let begun = Instant::now();
        let problems = self.context.problems;
        let mut all = Vec::new();
        for info in left {
            let base = self.there.base(info);
            let distrust = self.distrust || base.as_ref().is_some_and(|base| !base.whole);
            let sources = sources(self.context.from, info)?;
            // What came as a stream is cut as streams are.
            let files = sources.iter().any(|one| one.kind == SourceKind::Files);
            let stream = (!files).then(|| sizes_for(Cut::Stream));
            let seen = problems.seen();
            let pass = Pass::new(&self.context, writer, stream, distrust);
            let root = pass.run(&info.summary.root, base.as_ref().map(|base| base.roots))?;
            let lost = problems.seen() - seen;
            let root = root.filter(|_| lost == 0);
            if let Some(root) = root {
                self.there.push(info, root, all.len());
            }
            all.push(Stored {
                sources,
                root,
                lost,
                lender: base.filter(|_| !distrust).map(|base| base.lender),
            });
            let much = writer.bytes_added() >= SESSION_BYTES || begun.elapsed() >= SESSION_AFTER;
            if much || self.context.fresh.borrow().is_full() {
                break;
            }
        }
        Ok(all)
    }

    /// Commits a copy. None if something that it relies on is gone.
    fn commit(
        &mut self,
        info: &SnapshotInfo,
        copy: Snapshot,
        lender: Option<SnapshotId>,
        written: &Written,
    ) -> Result<Option<SnapshotId>> {
        let Context { from, to, .. } = self.context;
        let id = to.save_snapshot(&copy)?;
        let request = CommitRequest {
            snapshot: id,
            summary: copy.summary,
            tables: self.tables.clone(),
            hits: written.hits.clone(),
            own: written.own.clone(),
            lender,
            lent_on: lender.map(|_| self.there.removals),
        };
        if to.commit(&request)? != CommitOutcome::Committed {
            let state = to.state();
            self.tables.retain(|table| !state.is_deleted(&table.0));
            return Ok(None);
        }
        self.tables.clear();
        self.there.committed(info.id, id);
        let terms = Terms {
            protected_until: None,
            ..from.state().terms(&info.id)
        };
        put_under(to, &id, terms)?;
        Ok(Some(id))
    }

    /// A copy with that root: it says all that its snapshot says, and which one it was.
    fn snapshot(&self, info: &SnapshotInfo, root: BlobId, sources: Vec<Source>) -> Snapshot {
        let to = self.context.to;
        // One that both places of a repository have keeps its id.
        let is_same = |id: &SnapshotId| {
            self.context.from.id() == to.id() && to.state().snapshot(id).is_some()
        };
        let here = |id: SnapshotId| self.there.copy_of(&id).or(Some(id).filter(is_same));
        let mut summary = Summary {
            root,
            parent: info.summary.parent.and_then(here),
            ..info.summary.clone()
        };
        summary.ext.retain(|field| field.tag != ORIGINAL);
        summary.set_copied(&Copied {
            repository: self.context.from.id(),
            snapshot: info.id,
            root: Some(info.summary.root),
        });
        Snapshot {
            domain: to.settings().domain,
            writer: to.writer(),
            sequence: to.next_sequence(),
            sources,
            summary,
            ext: Vec::new(),
        }
    }
}

/// What a snapshot says of its sources. One that cannot be read any more is made up for by its summary, which the log holds too.
fn sources(from: &Repo, info: &SnapshotInfo) -> Result<Vec<Source>> {
    match from.load_snapshot(&info.id) {
        Ok(snapshot) => Ok(snapshot.sources),
        Err(e) if e.is_lost() => Ok(vec![plain_source(&info.summary)]),
        Err(e) => Err(e),
    }
}
