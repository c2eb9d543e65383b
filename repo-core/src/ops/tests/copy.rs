//! Snapshots are copied into a repository with other keys, which cuts and names content in its own way.

use super::prune::{forget, prune_with, thorough};
use super::support::*;
use crate::backend::wrap::{Counting, Operation};
use crate::chunk::{SourceKind, sizes_for};
use crate::error::{Error, ErrorKind, Result};
use crate::id::SnapshotId;
use crate::ops::{
    BackupOptions, Became, CopyOptions, CopySummary, Input, NewTerms, Replace, RewriteOptions,
    Selection, TagChange, copy, rewrite, set_terms, tag,
};
use crate::pattern::List;
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{InitOptions, Repo};
use crate::snapshot::{Filter, SnapshotInfo, list};
use crate::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source with three snapshots, and what was in each.
pub fn nights() -> (Bed, Vec<(SnapshotId, Tree)>) {
    let bed = Bed::new();
    let repo = bed.open();
    bed.write("a/small", b"a small one");
    bed.write("a/other", &noise(1, 300 << 10));
    bed.write("b/large", &noise(2, 3 << 20 | 77));
    bed.write("b/deep/er/file", &noise(3, 70 << 10));
    bed.write("empty", b"");
    std::os::unix::fs::symlink("small", bed.source().join("a/link")).unwrap();
    std::fs::hard_link(bed.source().join("a/other"), bed.source().join("a/same")).unwrap();
    let holes = std::fs::File::create(bed.source().join("holes")).unwrap();
    holes.set_len(9 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, &noise(4, 100 << 10), 5 << 20).unwrap();
    let mut made = Vec::new();
    for night in 0..3u64 {
        bed.write("c/changes", &noise(10 + night, 200 << 10));
        bed.write(&format!("c/new{night}"), &noise(20 + night, 10_000));
        made.push((bed.backup(&repo).unwrap().snapshot.unwrap(), bed.tree()));
    }
    (bed, made)
}

pub fn all(repo: &Repo) -> Vec<SnapshotInfo> {
    repo.refresh().unwrap();
    list(repo, &Filter::default()).snapshots
}

/// Counts what is read, and remembers problems.
#[derive(Default)]
pub struct Meter {
    listener: Listener,
    bytes: AtomicU64,
    nodes: AtomicU64,
}

impl Meter {
    /// Bytes that were read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Progress for Meter {
    fn count(&self, counter: Counter, by: u64) {
        match counter {
            Counter::Bytes => self.bytes.fetch_add(by, Ordering::Relaxed),
            Counter::Nodes => self.nodes.fetch_add(by, Ordering::Relaxed),
            _ => 0,
        };
    }

    fn problem(&self, path: &Path, error: &Error) {
        self.listener.problem(path, error);
    }

    fn note(&self, note: crate::progress::Note<'_>) {
        self.listener.note(note);
    }
}

/// What a copy of all snapshots did.
pub struct Done {
    pub became: Vec<(SnapshotId, Became)>,
    pub summary: CopySummary,
    pub problems: Vec<String>,
    pub resumed: u64,
    bytes: u64,
    nodes: u64,
}

impl Done {
    /// The copies, of which there must be nothing else.
    pub fn copies(&self) -> Vec<SnapshotId> {
        let copies = self.became.iter().map(|(_, became)| match became {
            Became::Copied(id) => *id,
            other => panic!("{other:?}"),
        });
        copies.collect()
    }

    pub fn all_there(&self) -> bool {
        let there = |(_, became): &(SnapshotId, Became)| matches!(became, Became::There(_));
        self.became.iter().all(there) && self.summary.bytes_added == 0
    }
}

pub fn copy_with(from: &Repo, to: &Repo, options: &CopyOptions) -> Result<Done> {
    let meter = Meter::default();
    let mut became = Vec::new();
    let told = &mut |info: &SnapshotInfo, what| became.push((info.id, what));
    let snapshots = all(from);
    let summary = copy(
        from,
        to,
        &snapshots,
        options,
        told,
        &meter,
        &Interrupt::new(),
    )?;
    Ok(Done {
        became,
        summary,
        problems: meter.listener.problems(),
        resumed: meter.listener.resumed(),
        bytes: meter.bytes.into_inner(),
        nodes: meter.nodes.into_inner(),
    })
}

pub fn copy_all(from: &Repo, to: &Repo) -> Done {
    copy_with(from, to, &CopyOptions::default()).unwrap()
}

/// Panics unless the copies restore to what was backed up, and the target is whole.
pub fn assert_copied(bed: &Bed, to: &Repo, copies: &[SnapshotId], made: &[(SnapshotId, Tree)]) {
    assert_eq!(copies.len(), made.len());
    for (copy, (_, tree)) in copies.iter().zip(made) {
        bed.assert_restores(to, copy, tree);
    }
    assert_clean(to);
}

#[test]
fn copies_hold_what_was_backed_up_and_are_made_once() {
    let (bed, made) = nights();
    let (from, target) = (bed.open(), Bed::new());
    let to = target.open();
    let done = copy_all(&from, &to);
    assert_eq!(done.problems, [""; 0]);
    let copies = done.copies();
    assert_copied(&bed, &to, &copies, &made);
    assert_eq!((done.summary.copied, done.summary.skipped), (3, 0));

    // Nothing is stored twice: all is new once, and of the later ones no more is read than changed.
    let of_changes = 2 * (200 << 10) + 2 * 10_000;
    let once = done.summary.bytes_added;
    assert!(
        done.bytes < (4 << 20) + (1 << 20) + of_changes,
        "{}",
        done.bytes
    );
    assert!(once < done.bytes + (100 << 10), "{once} of {}", done.bytes);
    assert!(copies_of_data(&to) == 1);

    let before = target.place.objects();
    let again = copy_all(&from, &to);
    assert!(again.all_there());
    assert_eq!((again.summary.skipped, again.nodes), (3, 0));
    assert_eq!(target.place.objects(), before);

    // Both cut by keys of their own.
    let ids = |repo: &Repo| crate::ops::tests::support::copies(repo).into_keys();
    let ours: Vec<_> = ids(&to).collect();
    assert!(ids(&from).all(|id| !ours.contains(&id)));
}

/// How often the blob is stored that is stored most often.
pub fn copies_of_data(repo: &Repo) -> usize {
    copies(repo).into_values().max().unwrap()
}

#[test]
fn a_copy_says_what_its_snapshot_says() {
    let bed = Bed::new();
    let (from, target) = (bed.open(), Bed::new());
    let to = target.open();
    bed.write("file", &noise(1, 5000));
    for time in [1_000_000, 2_000_000] {
        let options = BackupOptions {
            host: "host".into(),
            user: "somebody".into(),
            tags: vec!["a".into(), "b".into()],
            label: "job".into(),
            description: "words".into(),
            program: "test 1".into(),
            time: Some(Timestamp::new(time, 7)),
            utc_offset_min: 90,
            ..BackupOptions::default()
        };
        quietly(&from, Input::Paths(vec![bed.source()]), &options).unwrap();
    }
    let change = TagChange::Set(vec!["other".into()]);
    let first = &all(&from)[..1];
    tag(&from, first, &change, false, &Interrupt::new()).unwrap();
    let made = all(&from);
    let terms = NewTerms {
        protected_until: Some(Some(Timestamp::new(i64::MAX / 4, 0))),
        expires: Some(Some(Timestamp::new(3_000_000, 0))),
    };
    set_terms(&from, &[made[1].id], &terms).unwrap();
    from.refresh().unwrap();

    let copies = copy_all(&from, &to).copies();
    let stored = all(&to);
    for (n, (old, new)) in made.iter().zip(&stored).enumerate() {
        assert_eq!(new.id, copies[n]);
        let copied = new.summary.copied().unwrap();
        assert_eq!((copied.repository, copied.snapshot), (from.id(), old.id));
        assert_eq!(copied.root, Some(old.summary.root));
        assert_eq!(new.summary.original(), None);
        let words = |info: &SnapshotInfo| {
            let mut words = info.summary.clone();
            (words.root, words.parent) = (made[0].summary.root, None);
            words.ext.clear();
            words
        };
        assert_eq!(words(old), words(new));
        let records = [&from, &to].map(|repo| {
            repo.load_snapshot(&if repo.id() == from.id() {
                old.id
            } else {
                new.id
            })
        });
        let [old, new] = records.map(Result::unwrap);
        assert_eq!(old.sources, new.sources);
        assert_eq!((new.writer, new.sequence), (to.writer(), n as u64 + 1));
    }
    // The parent of the second was made anew by `tag`.
    assert_eq!(stored[1].summary.parent, None);
    let terms = to.state().terms(&copies[1]);
    assert_eq!(terms.expires, Some(Timestamp::new(3_000_000, 0)));
    assert_eq!(
        terms.protected_until, None,
        "that is for who owns the target"
    );

    // The next one has a parent that was copied.
    bed.backup(&from).unwrap();
    bed.write("file", &noise(2, 5000));
    bed.backup(&from).unwrap();
    copy_all(&from, &to);
    let last = all(&to).pop().unwrap();
    assert_eq!(last.summary.parent, Some(all(&to)[2].id));
}

#[test]
fn what_came_as_a_stream_is_cut_as_one() {
    let bed = Bed::new();
    let (from, target) = (bed.open(), Bed::new());
    let to = target.open();
    let dump = noise(1, 3 << 20);
    let stream = |repo: &Repo| {
        let mut reader = &dump[..];
        let input = Input::Stream {
            name: "/dump.zip".into(),
            reader: &mut reader,
            program: Some("dumper".into()),
        };
        quietly(repo, input, &BackupOptions::default()).unwrap()
    };
    stream(&from);
    copy_all(&from, &to);
    // What the target gets itself later shares all of it.
    assert_eq!(stream(&to).totals.data_blobs, 0);
    assert!(dump.len() > 4 * sizes_for(SourceKind::Stream).max() as usize);
    assert_clean(&to);
}

#[test]
fn what_the_target_gets_itself_shares_all_of_what_was_copied() {
    let (bed, _) = nights();
    let (from, target) = (bed.open(), Bed::new());
    let to = target.open();
    copy_all(&from, &to);
    assert_eq!(bed.backup(&to).unwrap().totals.data_blobs, 0);
}

#[test]
fn of_a_new_snapshot_only_what_changed_is_read() {
    let (bed, mut made) = nights();
    let (from, target) = (bed.open(), Bed::new());
    let mut copies = copy_all(&from, &target.open()).copies();
    bed.write("c/changes", &noise(30, 200 << 10));
    made.push((bed.backup(&from).unwrap().snapshot.unwrap(), bed.tree()));
    let counting = Arc::new(Counting::new(Arc::new(bed.place.clone())));
    let counted = bed.open_on(counting.clone()).unwrap();
    let to = target.open();
    counting.reset();
    let done = copy_all(&counted, &to);
    let Became::Copied(fourth) = done.became[3].1 else {
        panic!("{:?}", done.became);
    };
    assert_eq!(done.bytes, 200 << 10);
    // Of what lies beside what changed only the directories on the way were looked into.
    let above = bed.source().components().count() as u64;
    assert!(done.nodes <= above + 15, "{}", done.nodes);
    let read = counting.of(Operation::GetRange, "data").bytes;
    assert!(read < 400 << 10, "{read}");
    copies.push(fourth);
    assert_copied(&bed, &to, &copies, &made);

    // After a prune in the target nothing is taken for granted, and nothing but trees is read.
    forget(&to, &copies[..2]);
    prune_with(&to, &thorough()).unwrap();
    bed.write("c/changes", &noise(31, 200 << 10));
    made.push((bed.backup(&from).unwrap().snapshot.unwrap(), bed.tree()));
    let newest = all(&from).split_off(4);
    let meter = Meter::default();
    let mut last = None;
    let told = &mut |_: &SnapshotInfo, became| last = Some(became);
    let (options, interrupt) = (CopyOptions::default(), Interrupt::new());
    copy(&from, &to, &newest, &options, told, &meter, &interrupt).unwrap();
    assert_eq!(meter.bytes.into_inner(), 200 << 10);
    let Some(Became::Copied(last)) = last else {
        panic!("{last:?}");
    };
    let copies = [copies[2], copies[3], last];
    assert_copied(&bed, &to, &copies, &made[2..]);
}

#[test]
fn what_is_cut_alike_keeps_its_ids_and_is_not_read_twice() {
    let (bed, made) = nights();
    let from = bed.open();
    let target = Bed::empty();
    let init = InitOptions {
        kdf: CHEAP,
        universe: Some(from.ring().domain_keys(0).unwrap()),
        ..InitOptions::default()
    };
    let place = Arc::new(target.place.clone());
    let to = Repo::init(place, &password(), &init, &target.options()).unwrap();
    // The target has the last night already, but for a piece of a large file and a small one.
    let mut large = noise(2, 3 << 20 | 77);
    large[1 << 20..1 << 20 | 999].fill(7);
    bed.write("b/large", &large);
    bed.write("a/small", b"another");
    bed.backup(&to).unwrap();
    let done = copy_all(&from, &to);
    let copies = done.copies();
    assert_copied(&bed, &to, &copies, &made);
    let roots = |repo: &Repo, skip| {
        let infos = all(repo).into_iter().skip(skip);
        infos.map(|info| info.summary.root).collect::<Vec<_>>()
    };
    assert_eq!(roots(&from, 0)[..], roots(&to, 0)[..3]);
    assert!(done.bytes < 2 << 20, "{}", done.bytes);
    assert!(done.summary.bytes_added <= done.bytes + (200 << 10));
    assert_eq!(copies_of_data(&to), 1);
}

#[test]
fn a_dry_run_only_says_what_is_to_be_copied() {
    let (bed, made) = nights();
    let (from, target) = (bed.open(), Bed::new());
    let to = target.open();
    let before = target.place.objects();
    let options = CopyOptions {
        dry_run: true,
        ..CopyOptions::default()
    };
    let done = copy_with(&from, &to, &options).unwrap();
    let expected: Vec<_> = made.iter().map(|(id, _)| (*id, Became::ToCopy)).collect();
    assert_eq!(done.became, expected);
    assert_eq!((done.summary.copied, done.bytes, done.nodes), (3, 0, 0));
    assert_eq!(target.place.objects(), before);
    let same = copy_with(&from, &bed.open(), &options).err().unwrap();
    assert_eq!(same.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_copy_that_was_changed_is_not_copied_again_nor_taken_for_whole() {
    let (bed, mut made) = nights();
    let (from, target) = (bed.open(), Bed::new());
    let to = target.open();
    copy_all(&from, &to);
    let (quiet, interrupt) = (Listener::default(), Interrupt::new());
    let list = List::parse(&["new*"], false).unwrap();
    let options = RewriteOptions {
        selection: Selection::Exclude(vec![list]),
        replace: Replace {
            forget: true,
            dry_run: false,
        },
        ..RewriteOptions::default()
    };
    let rewritten = rewrite(&to, &all(&to), &options, &quiet, &interrupt).unwrap();
    assert_eq!(rewritten.len(), 3);
    let roots = all(&to)
        .into_iter()
        .map(|i| i.summary.copied().unwrap().root);
    assert!(roots.into_iter().all(|root| root.is_none()));
    let change = TagChange::Set(vec!["x".into()]);
    tag(&to, &all(&to), &change, false, &interrupt).unwrap();
    assert!(copy_all(&from, &to).all_there());

    bed.write("more", b"more");
    made.push((bed.backup(&from).unwrap().snapshot.unwrap(), bed.tree()));
    let done = copy_all(&from, &to);
    let Became::Copied(copy) = done.became[3].1 else {
        panic!("{:?}", done.became);
    };
    assert_copied(&bed, &to, &[copy], &made[3..]);
}

#[test]
fn what_came_by_way_of_a_third_repository_is_there() {
    let (bed, _) = nights();
    let (second, third) = (Bed::new(), Bed::new());
    let [a, b, c] = [bed.open(), second.open(), third.open()];
    copy_all(&a, &b);
    copy_all(&b, &c);
    assert!(copy_all(&a, &c).all_there());
    assert!(copy_all(&c, &a).all_there());
    // What was forgotten comes back.
    forget(&c, &[all(&c)[0].id]);
    let done = copy_all(&a, &c);
    assert!(matches!(done.became[2].1, Became::Copied(_)));
    assert_eq!(done.summary.skipped, 2);
}
