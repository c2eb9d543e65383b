//! Files that change, grow, shrink and vanish while they are read.

use super::support::{Bed, Listener, Restored, Tree, assert_clean, noise};
use crate::error::Error;
use crate::ops::{BackupOptions, BackupSummary, Input, backup};
use crate::progress::{Counter, Interrupt, Progress};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Long enough for the clock of the file system to go on.
const TICK: Duration = Duration::from_millis(25);

/// Does something each time so much more of the source was read.
struct Meddler<'a> {
    every: u64,
    read: AtomicU64,
    times: AtomicU64,
    act: Box<dyn Fn(u64) + Send + Sync + 'a>,
    problems: Mutex<Vec<String>>,
}

impl<'a> Meddler<'a> {
    fn new(every: u64, act: impl Fn(u64) + Send + Sync + 'a) -> Self {
        Self {
            every,
            read: AtomicU64::new(0),
            times: AtomicU64::new(0),
            act: Box::new(act),
            problems: Mutex::default(),
        }
    }

    fn back_up(&self, bed: &Bed) -> (BackupSummary, Vec<String>) {
        let input = Input::Paths(vec![bed.source()]);
        let options = BackupOptions {
            host: "host".into(),
            ..BackupOptions::default()
        };
        let made = backup(&bed.open(), input, &options, self, &Interrupt::new()).unwrap();
        let problems = self.problems.lock().unwrap().clone();
        assert_eq!(made.totals.problems, problems.len() as u64);
        (made, problems)
    }
}

impl Progress for Meddler<'_> {
    fn count(&self, counter: Counter, by: u64) {
        if counter != Counter::Bytes {
            return;
        }
        let before = self.read.fetch_add(by, Ordering::SeqCst);
        if (before + by) / self.every > before / self.every {
            (self.act)(self.times.fetch_add(1, Ordering::SeqCst) + 1);
        }
    }

    fn problem(&self, path: &Path, error: &Error) {
        let line = format!("{}: {error}", path.display());
        self.problems.lock().unwrap().push(line);
    }
}

fn restored(bed: &Bed, made: &BackupSummary) -> Restored {
    let restored = bed.restore(&bed.open(), &made.snapshot.unwrap()).unwrap();
    assert_eq!(restored.problems, [""; 0]);
    restored
}

fn content(bed: &Bed, made: &BackupSummary, name: &str) -> Vec<u8> {
    restored(bed, made).tree[Path::new(name)].2.clone()
}

const MIB: u64 = 1 << 20;

/// A file of 12 MiB, larger than what is read of it at a time.
fn large(bed: &Bed) -> PathBuf {
    bed.write("large", &noise(1, 12 << 20));
    std::thread::sleep(TICK);
    bed.source().join("large")
}

fn open(path: &Path) -> File {
    File::options().write(true).open(path).unwrap()
}

#[test]
fn a_large_file_that_changes_once_is_read_again() {
    let overwritten: &(dyn Fn(&Path) + Send + Sync) = &|path: &Path| {
        let file = open(path);
        file.write_all_at(&noise(2, 5000), 100).unwrap();
        file.write_all_at(&noise(3, 5000), 11 * MIB).unwrap();
    };
    let shortened: &(dyn Fn(&Path) + Send + Sync) =
        &|path: &Path| open(path).set_len(5 * MIB + 1).unwrap();
    let emptied: &(dyn Fn(&Path) + Send + Sync) = &|path: &Path| open(path).set_len(0).unwrap();
    let lengthened: &(dyn Fn(&Path) + Send + Sync) = &|path: &Path| {
        open(path)
            .write_all_at(&noise(4, 3 << 20), 12 * MIB)
            .unwrap()
    };
    let holed: &(dyn Fn(&Path) + Send + Sync) = &|path: &Path| {
        open(path).set_len(0).unwrap();
        open(path).write_all_at(b"end", 20 * MIB).unwrap();
    };
    for (what, change) in [
        ("overwritten", overwritten),
        ("shortened", shortened),
        ("emptied", emptied),
        ("lengthened", lengthened),
        ("with a hole", holed),
    ] {
        let bed = Bed::new();
        let path = large(&bed);
        let meddler = Meddler::new(MIB, |time| {
            if time == 2 {
                change(&path);
            }
        });
        let (made, problems) = meddler.back_up(&bed);
        assert_eq!(problems, [""; 0], "{what}");
        let now = std::fs::read(&path).unwrap();
        assert!(content(&bed, &made, "large") == now, "{what}");
        assert_eq!(
            (made.totals.files, made.totals.bytes),
            (1, now.len() as u64),
            "{what}"
        );
        let again = bed.backup(&bed.open()).unwrap();
        assert_eq!(again.totals.files_unmodified, 1, "{what}");
        assert_clean(&bed.open());
    }
}

#[test]
fn a_large_file_that_never_holds_still_is_kept_and_named() {
    let bed = Bed::new();
    let path = large(&bed);
    let meddler = Meddler::new(MIB, |time| {
        std::thread::sleep(TICK / 5);
        open(&path).write_all_at(&[time as u8], 11 * MIB).unwrap();
    });
    let (made, problems) = meddler.back_up(&bed);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].contains("/large") && problems[0].contains("changed while it was backed up"),
        "{problems:?}"
    );
    let read = meddler.read.load(Ordering::SeqCst);
    assert_eq!(read, 36 * MIB, "three times, no more");
    let kept = content(&bed, &made, "large");
    assert_eq!(kept.len() as u64, 12 * MIB);
    assert!(kept[..10 << 20] == noise(1, 12 << 20)[..10 << 20]);
    // The next backup does not take it for unchanged.
    std::thread::sleep(TICK);
    let next = bed.backup(&bed.open()).unwrap();
    assert_eq!(next.totals.files_changed, 1);
    bed.assert_restores(&bed.open(), &next.snapshot.unwrap(), &bed.tree());
    assert_clean(&bed.open());
}

#[test]
fn a_large_file_that_is_replaced_is_kept_as_it_was() {
    for vanishes in [false, true] {
        let bed = Bed::new();
        let path = large(&bed);
        let meddler = Meddler::new(MIB, |time| {
            if time == 2 {
                std::fs::remove_file(&path).unwrap();
                if !vanishes {
                    std::fs::create_dir(&path).unwrap();
                }
            }
        });
        let (made, problems) = meddler.back_up(&bed);
        assert_eq!(problems, [""; 0]);
        assert!(content(&bed, &made, "large") == noise(1, 12 << 20));
        assert_clean(&bed.open());
    }
}

/// What is gone before it is read is not in the snapshot, as if the walk had come a moment later; what was named to be backed up must be
/// there.
#[test]
fn what_vanishes_before_it_is_read_is_no_problem() {
    let bed = Bed::new();
    large(&bed);
    for n in 0..9 {
        bed.write(&format!("z{n}"), b"small");
        bed.write(&format!("zdir{n}/file"), b"small");
    }
    bed.write("zlast", &noise(8, 3 << 20));
    let meddler = Meddler::new(MIB, |time| {
        if time == 1 {
            for n in 0..8 {
                bed.remove(&format!("z{n}"));
                std::fs::remove_dir_all(bed.source().join(format!("zdir{n}"))).unwrap();
            }
            bed.remove("zlast");
        }
    });
    let (made, problems) = meddler.back_up(&bed);
    assert_eq!((problems, made.totals.problems), (vec![], 0));
    // Some of the directories were listed ahead; their files are gone all the same.
    assert!((9..=25).contains(&made.vanished), "{}", made.vanished);
    let files = |tree: &Tree| -> Vec<PathBuf> {
        let is_file = |(_, (mode, ..)): &(_, &(u32, _, _))| mode & 0o170_000 == 0o100_000;
        let files = tree.iter().filter(is_file);
        files.map(|(path, _)| path.clone()).collect()
    };
    assert_eq!(files(&restored(&bed, &made).tree), files(&bed.tree()));
    assert_clean(&bed.open());
}

#[test]
fn a_file_that_has_grown_very_large_is_streamed() {
    let bed = Bed::new();
    // While the large one is read, the small one waits to be read, in front of it.
    bed.write("1-small", b"small");
    bed.write("2-large", &noise(5, 9 << 20));
    bed.write("3-small", b"small too");
    let path = bed.source().join("1-small");
    let grown = noise(6, 66 << 20);
    let meddler = Meddler::new(MIB, |time| {
        if time == 1 {
            open(&path).write_all_at(&grown, 0).unwrap();
        }
    });
    let (made, problems) = meddler.back_up(&bed);
    assert_eq!(problems, [""; 0]);
    let tree = restored(&bed, &made).tree;
    assert!(tree[Path::new("1-small")].2 == grown);
    assert!(tree[Path::new("2-large")].2 == noise(5, 9 << 20));
    assert_eq!(tree[Path::new("3-small")].2, b"small too");
    assert_eq!(made.totals.bytes, (66 << 20) + (9 << 20) + 9);
    assert_clean(&bed.open());
}

/// Changes files in many ways until told to stop. All bytes of `replaced` and `log` are the same at any time.
fn unrest(dir: &Path, stop: &AtomicBool, turn: u64) {
    let path = |name: &str| dir.join(name);
    let mut value = turn as u8;
    while !stop.load(Ordering::Relaxed) {
        value = value.wrapping_add(1);
        let fill = vec![value; 40_000 + usize::from(value) * 64];
        match turn % 5 {
            // As careful programs do it.
            0 => {
                let new = path("replaced.new");
                std::fs::write(&new, &fill).unwrap();
                std::fs::rename(&new, path("replaced")).unwrap();
            }
            1 => {
                let file = File::options()
                    .create(true)
                    .truncate(false)
                    .write(true)
                    .open(path("rewritten"))
                    .unwrap();
                let half = 15_000;
                file.write_all_at(&fill[..half], 0).unwrap();
                std::thread::sleep(TICK);
                file.write_all_at(&fill[..half], half as u64).unwrap();
            }
            2 => {
                let log = path("log");
                let grown = std::fs::metadata(&log).map_or(0, |meta| meta.len());
                let file = File::options()
                    .create(true)
                    .truncate(false)
                    .write(true)
                    .open(&log)
                    .unwrap();
                match grown > 3 << 20 {
                    true => file.set_len(0).unwrap(),
                    false => file.write_all_at(&[7; 50_000], grown).unwrap(),
                }
            }
            3 => {
                let path = path("comes-and-goes");
                let _ = std::fs::remove_file(&path);
                let _ = std::fs::remove_dir(&path);
                match value % 3 {
                    0 => std::fs::write(&path, &fill).unwrap(),
                    1 => std::fs::create_dir(&path).unwrap(),
                    _ => std::os::unix::fs::symlink("replaced", &path).unwrap(),
                }
            }
            _ => {
                for n in 0..20 {
                    std::fs::write(path(&format!("dir/{n}")), &fill[..usize::from(value) * 100])
                        .unwrap();
                }
                for n in 0..20 {
                    std::fs::remove_file(path(&format!("dir/{n}"))).unwrap();
                }
            }
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn what_changes_under_load_harms_nothing() {
    let bed = Bed::new();
    for n in 0..300 {
        bed.write(&format!("still/{n}"), &noise(n, 20_000));
    }
    bed.write("dir/still", b"x");
    let still: Vec<(PathBuf, Vec<u8>)> = (0..300)
        .map(|n| (format!("still/{n}").into(), noise(n, 20_000)))
        .collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for turn in 0..5 {
            let (source, stop) = (bed.source(), &stop);
            scope.spawn(move || unrest(&source, stop, turn));
        }
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..12 {
                let listener = Listener::default();
                let made = bed
                    .backup_with(&bed.open(), &listener, &Interrupt::new())
                    .unwrap();
                let problems = listener.problems();
                let tree = restored(&bed, &made).tree;
                for (name, content) in &still {
                    assert!(&tree[name].2 == content, "{name:?}");
                }
                for name in ["replaced", "log"] {
                    if let Some((_, _, content)) = tree.get(Path::new(name)) {
                        let even = content.windows(2).all(|pair| pair[0] == pair[1]);
                        assert!(even, "{name} was never like that: {problems:?}");
                    }
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
    });
    assert_clean(&bed.open());
}
