//! Operations that change history, and repairs, in a place that overwrites: the same comes of them as elsewhere, no deletion goes by
//! them, and what they do while they are taken for dead counts for nothing.

use super::damage::findings;
use super::prune::{prune_with, thorough};
use super::support::*;
use crate::backend::{Backend, Class, MemoryBackend, MemoryOptions};
use crate::error::{ErrorKind, Result};
use crate::format::entry::{Action, Nonce, decode_file, encode_file};
use crate::format::name::{self, ObjectKind, parse_announcement};
use crate::id::{PackId, SnapshotId};
use crate::ops::{
    BackupOptions, Input, PruneOptions, RecoverOptions, RepairIndexOptions, RepairLogOptions,
    RepairSnapshotsOptions, Replace, RewriteOptions, Selection, TagChange, recover, repair_index,
    repair_log, repair_packs, repair_snapshots, rewrite, tag,
};
use crate::pattern::List;
use crate::progress::Interrupt;
use crate::repo::Repo;
use crate::snapshot::{Filter, SnapshotInfo, list};
use crate::time::{Timestamp, now};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Three snapshots, the first of which is forgotten: a directory is in no other.
pub struct History {
    pub bed: Arc<Bed>,
    pub made: Vec<(SnapshotId, Tree)>,
    /// The packs of data that came with each.
    pub packs: Vec<Vec<String>>,
    /// And the tables.
    pub tables: Vec<Vec<String>>,
}

fn since(bed: &Bed, kind: &str, before: &[String]) -> Vec<String> {
    let mut there = names(&bed.place, kind);
    there.retain(|name| !before.contains(name));
    there
}

/// A place of that class and what was done in it; the newest entry commits the third snapshot.
pub fn history(class: Class) -> History {
    let mut bed = Bed::empty();
    bed.place = MemoryBackend::with(MemoryOptions {
        class,
        ..MemoryOptions::default()
    });
    bed.init(Arc::new(bed.place.clone())).unwrap();
    let repo = bed.open();
    bed.write("dir/small", b"small");
    bed.write("other/secret", &noise(50, 70_000));
    bed.write("old/gone", &noise(60, 300_000));
    let (mut made, mut packs, mut tables) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..3u64 {
        let before = names(&bed.place, "data");
        let tables_before = names(&bed.place, "index");
        bed.write(&format!("dir/large{n}"), &noise(n, 300_000));
        let id = bed.backup(&repo).unwrap().snapshot.unwrap();
        made.push((id, bed.tree()));
        packs.push(since(&bed, "data", &before));
        tables.push(since(&bed, "index", &tables_before));
        match n {
            0 => {
                bed.remove("old/gone");
                std::fs::remove_dir(bed.source().join("old")).unwrap();
            }
            1 => super::prune::forget(&repo, &[made[0].0]),
            _ => {}
        }
    }
    History {
        bed: Arc::new(bed),
        made,
        packs,
        tables,
    }
}

/// Opens the repository as a process on another machine.
pub fn anew(bed: &Bed, place: &MemoryBackend) -> Repo {
    bed.open_anew(Arc::new(place.clone()), &password()).unwrap()
}

fn all(repo: &Repo) -> Vec<SnapshotInfo> {
    repo.refresh().unwrap();
    list(repo, &Filter::default()).snapshots
}

/// An operation, what is wrong with the place before, and what it says, whatever the class.
struct Case {
    name: &'static str,
    damage: fn(&History, &MemoryBackend),
    act: fn(&Repo, &History) -> Result<String>,
    /// Entries that it appends in an undamaged run.
    entries: usize,
}

const CASES: &[Case] = &[
    Case {
        name: "tag",
        damage: |_, _| {},
        act: |repo, _| {
            let change = TagChange::Change {
                add: vec!["new".into()],
                remove: vec![],
            };
            let done = tag(repo, &all(repo), &change, false, &Interrupt::new())?;
            Ok(format!("{} tagged", done.len()))
        },
        entries: 3,
    },
    Case {
        name: "rewrite",
        damage: |_, _| {},
        act: |repo, _| {
            let options = RewriteOptions {
                selection: Selection::Exclude(vec![List::parse(&["secret"], false).unwrap()]),
                replace: Replace {
                    forget: true,
                    dry_run: false,
                },
                ..RewriteOptions::default()
            };
            let listener = Listener::default();
            let done = rewrite(repo, &all(repo), &options, &listener, &Interrupt::new())?;
            Ok(format!("{} rewritten", done.len()))
        },
        entries: 3,
    },
    Case {
        name: "repair snapshots",
        damage: |history, place| {
            for pack in &history.packs[1] {
                assert!(place.remove(pack));
            }
        },
        act: repair_all_snapshots,
        entries: 3,
    },
    Case {
        name: "repair index",
        damage: |history, place| assert!(place.remove(&history.tables[1][0])),
        act: |repo, _| {
            let options = RepairIndexOptions::default();
            let done = repair_index(repo, &options, &Listener::default(), &Interrupt::new())?;
            Ok(format!(
                "{} {} {}",
                done.packs_added, done.tables_dropped, done.tables_added
            ))
        },
        entries: 1,
    },
    Case {
        name: "repair packs",
        damage: damage_ends,
        act: save_packs,
        entries: 1,
    },
    Case {
        name: "repair log",
        damage: |_, place| damage_newest_entry(place),
        act: |repo, history| {
            // Behind the first step of a run that was stopped it must be asked for.
            let options = RepairLogOptions {
                snapshots: vec![history.made[2].0],
                dry_run: false,
            };
            let done = repair_log(repo, &options, &Listener::default(), &Interrupt::new())?;
            let found = done.snapshots.iter().map(|found| found.outcome.is_ok());
            let found: Vec<bool> = found.collect();
            Ok(format!(
                "{} {} {found:?}",
                done.entries.len(),
                done.tables.len()
            ))
        },
        entries: 3,
    },
    Case {
        name: "recover",
        damage: |_, _| {},
        act: |repo, _| {
            let options = RecoverOptions {
                host: "host".into(),
                ..RecoverOptions::default()
            };
            let done = recover(repo, &options, &Listener::default(), &Interrupt::new())?;
            Ok(format!(
                "{} {} {} {:?}",
                done.roots, done.files, done.items_lost, done.unreadable
            ))
        },
        entries: 1,
    },
];

pub fn repair_all_snapshots(repo: &Repo, _: &History) -> Result<String> {
    let options = RepairSnapshotsOptions {
        replace: Replace {
            forget: true,
            dry_run: false,
        },
        ..RepairSnapshotsOptions::default()
    };
    let listener = Listener::default();
    let done = repair_snapshots(repo, &all(repo), &options, &listener, &Interrupt::new())?;
    Ok(format!("{} {}", done.changed.len(), done.items))
}

/// Damages packs only where they say what is in them.
fn damage_ends(history: &History, place: &MemoryBackend) {
    for pack in &history.packs[1] {
        place.corrupt(pack, |bytes| *bytes.last_mut().unwrap() ^= 1);
    }
}

fn save_packs(repo: &Repo, history: &History) -> Result<String> {
    let parsed = history.packs[1].iter().map(|name| ObjectKind::parse(name));
    let packs: Vec<PackId> = parsed.map(|parsed| PackId(parsed.unwrap().1)).collect();
    let listener = Listener::default();
    let done = repair_packs(repo, &packs, false, &listener, &Interrupt::new())?;
    // Where files are cut is every repository's own.
    let saved: Vec<_> = done
        .iter()
        .map(|p| (p.whole, p.saved > 0, p.lost))
        .collect();
    Ok(format!("{saved:?}"))
}

/// Damages the packs of the second snapshot, condemns them, and moves all that is in them.
pub fn repair_damaged(history: &History, place: &MemoryBackend) {
    repair_damaged_through(history, place, Arc::new(place.clone()));
}

/// The same by a process that sees the place as `backend` does.
pub fn repair_damaged_through(history: &History, place: &MemoryBackend, backend: Arc<dyn Backend>) {
    damage_ends(history, place);
    let repo = history.bed.open_anew(backend, &password()).unwrap();
    save_packs(&repo, history).unwrap();
}

/// Damages the entry, or the entries, of the highest number.
pub fn damage_newest_entry(place: &MemoryBackend) {
    let newest = entries(place).pop().unwrap();
    place.corrupt(&newest, |bytes| bytes[200] ^= 1);
}

/// Lets no entry's file repeat others.
pub fn repeat_nothing(place: &MemoryBackend) {
    for entry in entries(place) {
        place.corrupt(&entry, |file| {
            let core = decode_file(file).unwrap().0.to_vec();
            *file = encode_file(&core, &[]);
        });
    }
}

/// The names of all entries of the log, by number.
pub fn entries(place: &MemoryBackend) -> Vec<String> {
    let entries = names(place, "log").into_iter();
    let mut numbered: Vec<(u64, String)> = entries
        .filter_map(|entry| Some((name::parse_numbered(&entry)?.0, entry)))
        .collect();
    numbered.sort_unstable();
    numbered.into_iter().map(|(_, entry)| entry).collect()
}

/// What can be seen of the snapshots that are not `beside` others: tags, numbers, and contents by path.
type Picture = Vec<(Vec<String>, u64, u64, BTreeMap<PathBuf, Vec<u8>>)>;

fn picture(bed: &Bed, place: &MemoryBackend, leave_out: &[&str]) -> Picture {
    let repo = anew(bed, place);
    let mut found = all(&repo);
    found.sort_by_key(|info| (info.summary.time, info.summary.tags.clone()));
    found.retain(|info| {
        let left_out = |tag: &String| leave_out.contains(&tag.as_str());
        !info.summary.tags.iter().any(left_out)
    });
    let found = found.into_iter().map(|info| {
        let summary = info.summary;
        let recovered = summary.tags.iter().any(|tag| tag == "recovered");
        let contents = match recovered {
            // Under names by ids, which no other repository has.
            true => Default::default(),
            false => {
                let restored = bed.restore(&repo, &info.id).unwrap();
                assert_eq!(restored.problems, [""; 0]);
                let files = restored.tree.into_iter();
                files.map(|(path, (.., bytes))| (path, bytes)).collect()
            }
        };
        let totals = summary.totals;
        (summary.tags, totals.files, totals.problems, contents)
    });
    found.collect()
}

/// Nothing is found by a check, once before and once behind what prunes delete; nobody is announced.
pub fn assert_sound(bed: &Bed, place: &MemoryBackend, what: &str) {
    for _ in 0..2 {
        let pruned = prune_with(&anew(bed, place), &thorough()).unwrap();
        assert_eq!(pruned.waits_for, 0, "{what}");
    }
    let found = findings(&check_all(&anew(bed, place)));
    assert_eq!(found, [""; 0], "{what}");
    assert_eq!(names(place, "writers"), [""; 0], "{what}");
}

/// What the operation says with nobody beside it, and what is there then.
fn undisturbed(case: &Case, history: &History) -> (String, Picture) {
    let place = history.bed.place.fork();
    (case.damage)(history, &place);
    let before = names(&place, "log").len();
    let said = (case.act)(&anew(&history.bed, &place), history).unwrap();
    let entries = names(&place, "log").len() - before;
    assert_eq!(entries, case.entries, "{}: {said}", case.name);
    assert_sound(&history.bed, &place, case.name);
    (said, picture(&history.bed, &place, &[]))
}

#[test]
fn each_does_what_it_does_elsewhere() {
    let [one, other] = [Class::A, Class::C].map(history);
    assert_eq!(anew(&other.bed, &other.bed.place).state().class(), Class::C);
    for case in CASES {
        let (said, there) = undisturbed(case, &one);
        let (also_said, also_there) = undisturbed(case, &other);
        assert_eq!(said, also_said, "{}", case.name);
        assert_eq!(there, also_there, "{}", case.name);
        assert!(there.len() >= 2, "{}", case.name);
    }
}

/// Runs the operation at `place`, where `event` happens right before its `nth` put of a kind; whether it came to that.
fn run_while(
    (case, history): (&Case, &History),
    place: &MemoryBackend,
    (kind, nth): (&'static str, usize),
    event: impl Fn(&MemoryBackend) + Send + Sync + 'static,
) -> (Result<String>, bool) {
    let puts = Arc::new(AtomicUsize::new(0));
    let counter = puts.clone();
    let backend = Meanwhile::before(place, kind, u32::MAX, move |place| {
        if counter.fetch_add(1, Ordering::SeqCst) == nth {
            event(place);
        }
    });
    let repo = history.bed.open_anew(Arc::new(backend), &password());
    let done = (case.act)(&repo.unwrap(), history);
    (done, puts.load(Ordering::SeqCst) > nth)
}

const KINDS: [&str; 5] = ["data", "meta", "index", "snapshots", "log"];

/// A backup of something else.
fn backup_beside(bed: &Bed, place: &MemoryBackend) {
    let aside = tempfile::tempdir().unwrap();
    std::fs::write(aside.path().join("file"), noise(77, 100_000)).unwrap();
    let options = BackupOptions {
        host: "other".into(),
        tags: vec!["beside".into()],
        ..BackupOptions::default()
    };
    let input = Input::Paths(vec![aside.path().to_path_buf()]);
    quietly(&anew(bed, place), input, &options).unwrap();
}

#[test]
fn backups_and_prunes_beside_it_change_nothing_and_no_deletion_goes_by_it() {
    let history = history(Class::C);
    for case in CASES {
        let (said, there) = undisturbed(case, &history);
        let mut waited = 0;
        for kind in KINDS {
            for nth in 0.. {
                let what = format!("{} {kind} {nth}", case.name);
                let place = history.bed.place.fork();
                (case.damage)(&history, &place);
                let (bed, at_work) = (history.bed.clone(), Arc::new(AtomicUsize::new(0)));
                let (counter, told) = (at_work.clone(), what.clone());
                let beside = move |place: &MemoryBackend| {
                    assert_eq!(names(place, "writers").len(), 1, "{told}");
                    backup_beside(&bed, place);
                    match prune_with(&anew(&bed, place), &thorough()) {
                        Ok(pruned) => {
                            assert_eq!((pruned.waits_for, pruned.deleted.count), (1, 0), "{told}");
                            assert!(pruned.condemned.count > 0, "{told}");
                            counter.fetch_add(1, Ordering::SeqCst);
                        }
                        // It decides nothing on half of the truth.
                        Err(e) => assert!(e.is_lost(), "{told}: {e}"),
                    }
                };
                let (done, happened) = run_while((case, &history), &place, (kind, nth), beside);
                assert_eq!(done.unwrap(), said, "{what}");
                assert!(happened || nth > 0 || kind != "log", "{what}");
                waited += at_work.load(Ordering::SeqCst);
                assert_sound(&history.bed, &place, &what);
                let found = picture(&history.bed, &place, &["beside"]);
                assert_eq!(found, there, "{what}");
                if !happened {
                    break;
                }
                assert_eq!(all(&anew(&history.bed, &place)).len(), there.len() + 1);
            }
        }
        let prunes = !matches!(case.name, "repair index" | "repair snapshots");
        assert_eq!(waited > 0, prunes, "{}", case.name);
    }
}

/// Days pass at once, and a prune takes for dead who is announced; if none can be done, somebody else does. Gives their nonces.
pub fn take_for_dead(bed: &Bed, place: &MemoryBackend) -> Vec<Nonce> {
    let announced = names(place, "writers");
    let long_ago = Timestamp::new(now().seconds - 2 * 24 * 3600, 0);
    for name in &announced {
        place.set_modified(name, long_ago);
    }
    let nonces = announced.iter().map(|name| parse_announcement(name));
    let nonces: Vec<Nonce> = nonces.map(Option::unwrap).collect();
    let repo = anew(bed, place);
    // What is on its way lies there since yesterday at most.
    let options = PruneOptions {
        stray_age: PruneOptions::default().stray_age,
        ..thorough()
    };
    let pruned = prune_with(&repo, &options);
    assert!(pruned.is_err() || nonces.is_empty() || pruned.unwrap().deleted.count > 0);
    let fenced = repo.state().fenced_now(&nonces);
    if !fenced.is_empty() {
        let fence = |_: &_| {
            Ok(Some(Action::Fence {
                fenced: fenced.clone(),
            }))
        };
        repo.append(&mut { fence }).unwrap();
        let deleting = |state: &Arc<crate::log::State>| {
            Ok(Some(Action::Deleting {
                objects: vec![],
                index_drop: vec![],
                index_add: vec![],
                reprieve: vec![],
                fenced: state.cut_off_now(&[0; 16]),
            }))
        };
        repo.append(&mut { deleting }).unwrap();
    }
    nonces
}

/// It failed, and says why; only a recovery may find that there is nothing left to do.
fn assert_taken_for_dead(case: &Case, done: Result<String>, what: &str) {
    match done {
        Ok(said) => assert_eq!((case.name, &said[..]), ("recover", "0 0 0 []"), "{what}"),
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Unavailable, "{what}: {e}");
            assert!(e.to_string().contains("taken for dead"), "{what}: {e}");
        }
    }
}

#[test]
fn one_that_slept_past_its_announcement_fails_and_is_done_by_the_next() {
    let history = history(Class::C);
    for case in CASES {
        let (_, there) = undisturbed(case, &history);
        let mut fenced = 0;
        for kind in KINDS {
            for nth in 0.. {
                let what = format!("{} {kind} {nth}", case.name);
                let place = history.bed.place.fork();
                (case.damage)(&history, &place);
                let (bed, dead) = (history.bed.clone(), Arc::new(Mutex::new(Vec::new())));
                let kept = dead.clone();
                let sleep = move |place: &MemoryBackend| {
                    *kept.lock().unwrap() = take_for_dead(&bed, place);
                };
                let (done, happened) = run_while((case, &history), &place, (kind, nth), sleep);
                let dead = dead.lock().unwrap();
                match dead.is_empty() {
                    true => drop(done.unwrap()),
                    false => {
                        fenced += 1;
                        assert_taken_for_dead(case, done, &what);
                    }
                }
                let repo = anew(&history.bed, &place);
                assert!(dead.iter().all(|nonce| repo.state().is_fenced(nonce)));
                (case.act)(&repo, &history).unwrap();
                assert_sound(&history.bed, &place, &what);
                // What was to be recovered or entered again may be deleted by then, as nothing else needs it.
                let found = picture(&history.bed, &place, &["recovered"]);
                let mut expected = there.clone();
                expected.retain(|(tags, ..)| !tags.contains(&"recovered".into()));
                if case.name == "repair log" && !dead.is_empty() {
                    expected.truncate(found.len().max(1));
                }
                assert_eq!(found, expected, "{what}");
                if !happened {
                    break;
                }
            }
        }
        assert!(fenced >= case.entries, "{}: {fenced}", case.name);
    }
}
