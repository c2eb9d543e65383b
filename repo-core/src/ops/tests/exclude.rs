//! What is left out of a backup, and what is taken all the same.

use super::support::{Bed, Listener, assert_clean, noise};
use crate::error::Error;
use crate::format::tree::Node;
use crate::ops::{BackupOptions, BackupSummary, Exclusions, Input, LsOptions, Marker, backup, ls};
use crate::pattern::List;
use crate::progress::{Counter, Interrupt, Note, Progress};
use rustix::fs::inotify;
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What was said of files that are not clear.
#[derive(Default)]
struct Notes {
    listener: Listener,
    unclear: Mutex<Vec<String>>,
}

impl Progress for Notes {
    fn count(&self, _: Counter, _: u64) {}
    fn problem(&self, path: &Path, error: &Error) {
        self.listener.problem(path, error);
    }
    fn note(&self, note: Note<'_>) {
        if let Note::Unclear { path, why } = note {
            let name = path.file_name().unwrap().to_string_lossy();
            self.unclear.lock().unwrap().push(format!("{name}: {why}"));
        }
    }
}

/// Backs up paths below the source; gives the summary, and what is in the snapshot, relative to the source.
fn made(bed: &Bed, paths: &[&str], exclude: &Exclusions) -> (BackupSummary, Vec<String>, Notes) {
    let repo = bed.open();
    let options = BackupOptions {
        host: "host".into(),
        exclude: exclude.clone(),
        ..BackupOptions::default()
    };
    let notes = Notes::default();
    let paths: Vec<PathBuf> = paths.iter().map(|path| bed.source().join(path)).collect();
    let input = Input::Paths(paths);
    let summary = backup(&repo, input, &options, &notes, &Interrupt::new()).unwrap();
    let mut found = Vec::new();
    let everything = LsOptions::default();
    let mut each = |path: &Path, _: &Node| {
        if let Ok(path) = path.strip_prefix(bed.source()) {
            found.push(path.to_str().unwrap().to_owned());
        }
        Ok(())
    };
    ls(&repo, &summary.snapshot.unwrap(), &everything, &mut each).unwrap();
    found.retain(|path| !path.is_empty());
    (summary, found, notes)
}

/// The same of the whole source, without a problem or a note.
fn taken(bed: &Bed, exclude: &Exclusions) -> Vec<String> {
    let (_, found, notes) = made(bed, &[""], exclude);
    assert_eq!(notes.listener.problems(), [""; 0]);
    assert_eq!(*notes.unclear.lock().unwrap(), [""; 0]);
    found
}

fn patterns(patterns: &[&str]) -> Exclusions {
    Exclusions {
        patterns: vec![List::parse(patterns, false).unwrap()],
        ..Exclusions::default()
    }
}

fn bed(files: &[&str]) -> Bed {
    let bed = Bed::new();
    for file in files {
        bed.write(file, file.as_bytes());
    }
    bed
}

#[test]
fn what_a_pattern_matches_is_left_out_and_counted() {
    let bed = bed(&[
        "a.o",
        "a.c",
        "cache/x",
        "cache/y/z",
        "sub/b.o",
        "sub/cache",
        "sub/d",
    ]);
    let (summary, found, _) = made(&bed, &[""], &patterns(&["*.o", "cache"]));
    assert_eq!(found, ["a.c", "sub", "sub/d"]);
    assert_eq!(summary.excluded, 4, "what lies below is not counted");
    assert_eq!(summary.totals.files, 2);
    let root = bed.source().to_str().unwrap().to_owned();
    let anchored = [&format!("{root}/*"), &*format!("!{root}/sub"), "*.o"];
    assert_eq!(
        taken(&bed, &patterns(&anchored.map(|s| s))),
        ["sub", "sub/cache", "sub/d"]
    );
    let both = Exclusions {
        patterns: vec![
            List::parse(&["*.c", "!a.c"], false).unwrap(),
            List::parse(&["A.C", "SUB"], true).unwrap(),
        ],
        ..Exclusions::default()
    };
    assert_eq!(
        taken(&bed, &both),
        ["a.o", "cache", "cache/x", "cache/y", "cache/y/z"]
    );
}

#[test]
fn what_is_left_out_is_not_opened() {
    let bed = bed(&[
        "a/x",
        "caches/a/x",
        "caches/b/x",
        "more/secret/y",
        "more/ok",
        "secret/x",
    ]);
    let watched = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    let mut watch = |name: &str| {
        let flags = inotify::WatchFlags::OPEN | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&watched, bed.source().join(name), flags).unwrap()
    };
    let out = ["secret", "more/secret", "caches/a", "caches/b"].map(&mut watch);
    let taken_dirs = ["a", "caches", "more"].map(&mut watch);
    bed.write("caches/CACHEDIR.TAG", b"any");
    let exclude = Exclusions {
        markers: vec![Marker::new("CACHEDIR.TAG", "").unwrap()],
        ..patterns(&["secret"])
    };
    let found = taken(&bed, &exclude);
    assert_eq!(
        found,
        [
            "a",
            "a/x",
            "caches",
            "caches/CACHEDIR.TAG",
            "more",
            "more/ok"
        ]
    );
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watched, &mut buffer);
    let mut opened = BTreeSet::new();
    while let Ok(event) = events.next() {
        opened.insert(event.wd());
    }
    assert!(
        taken_dirs.iter().all(|dir| opened.contains(dir)),
        "as far as can be seen"
    );
    assert!(!out.iter().any(|dir| opened.contains(dir)), "{opened:?}");
}

#[test]
fn a_directory_that_lost_entries_to_a_pattern_has_changed() {
    let bed = bed(&["a/x", "a/y", "b/x"]);
    bed.write("a/large", &noise(1, 100_000));
    let trees = |made: &BackupSummary| {
        ["a", "b"].map(|name| {
            let (mut tree, wanted) = (None, bed.source().join(name));
            let snapshot = made.snapshot.unwrap();
            let mut each = |path: &Path, node: &Node| {
                if path == wanted {
                    tree = Some(node.content.clone());
                }
                Ok(())
            };
            ls(&bed.open(), &snapshot, &LsOptions::default(), &mut each).unwrap();
            tree.unwrap()
        })
    };
    let (everything, without) = (Exclusions::default(), patterns(&["y"]));
    let (first, all, _) = made(&bed, &[""], &everything);
    assert_eq!(all, ["a", "a/large", "a/x", "a/y", "b", "b/x"]);
    let [a, b] = trees(&first);

    let (second, found, _) = made(&bed, &[""], &without);
    assert_eq!(found, ["a", "a/large", "a/x", "b", "b/x"]);
    assert_eq!(second.totals.files_unmodified, 3);
    assert_eq!(
        (second.totals.files_new, second.totals.files_changed),
        (0, 0)
    );
    let [less, same] = trees(&second);
    assert!(less != a && same == b);

    let (third, found, _) = made(&bed, &[""], &without);
    assert_eq!(found.len(), 5);
    assert_eq!(trees(&third), [less, b.clone()]);

    let (last, found, _) = made(&bed, &[""], &everything);
    assert_eq!(found, all);
    assert_eq!(
        (last.totals.files_new, last.totals.files_unmodified),
        (1, 3)
    );
    assert_eq!(trees(&last), [a, b]);
    assert_clean(&bed.open());
}

#[test]
fn what_was_asked_for_is_taken_whatever_patterns_say() {
    let bed = bed(&["a/cache/b/x.o", "a/cache/b/y", "a/cache/c", "a/d", "e"]);
    let exclude = patterns(&["cache", "*.o"]);
    let (_, found, _) = made(&bed, &["a/cache"], &exclude);
    assert_eq!(
        found,
        ["a", "a/cache", "a/cache/b", "a/cache/b/y", "a/cache/c"]
    );
    let (_, found, _) = made(&bed, &["a/cache/b/x.o"], &exclude);
    assert_eq!(found, ["a", "a/cache", "a/cache/b", "a/cache/b/x.o"]);
    // Below a path that was given too, with the way that leads there, and nothing beside it.
    let (summary, found, _) = made(&bed, &["", "a/cache/b"], &exclude);
    assert_eq!(
        found,
        ["a", "a/cache", "a/cache/b", "a/cache/b/y", "a/d", "e"]
    );
    assert_eq!(summary.excluded, 2);
    let (_, found, _) = made(&bed, &["", "a/cache/b/x.o"], &exclude);
    assert_eq!(
        found,
        ["a", "a/cache", "a/cache/b", "a/cache/b/x.o", "a/d", "e"]
    );
    // A pattern that means it from above does not mean what lies below.
    let source = bed.source().to_str().unwrap().to_owned();
    let (_, found, _) = made(&bed, &["a"], &patterns(&[&source]));
    assert_eq!(found.len(), 7);
}

#[test]
fn a_path_that_was_given_is_taken_back_with_all_below() {
    let bed = bed(&["s/A", "s/ab/c/z", "s/ab/x", "s/b/y", "s/b/ab/q"]);
    let all = |path: &str| {
        let (_, found, _) = made(&bed, &[path], &Exclusions::default());
        found
    };
    let source = bed.source().to_str().unwrap().to_owned();
    let above = source.rsplit('/').next().unwrap();
    let backs = [
        "!s".to_owned(),
        format!("!{source}/s"),
        format!("!{source}/s/**"),
        format!("!{above}"),
        "!/".into(),
    ];
    for back in &backs {
        let (_, found, _) = made(&bed, &["s"], &patterns(&["a*", back]));
        assert_eq!(found, all("s"), "{back}");
        let (_, found, _) = made(&bed, &["s"], &patterns(&[back, "a*"]));
        assert_eq!(found, ["s", "s/A", "s/b", "s/b/y"], "{back} before it");
    }
    // Below another path that was given.
    let (_, found, _) = made(&bed, &["", "s"], &patterns(&["a*", "!s"]));
    assert_eq!(found, all("s"));
}

#[test]
fn markers_leave_themselves_and_nothing_else() {
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# more";
    let bed = bed(&["a/x", "a/sub/y", "b/x", "c/x", "d/.nobackup/x", "d/y", "e"]);
    bed.write("a/CACHEDIR.TAG", tag.as_bytes());
    bed.write("b/CACHEDIR.TAG", b"Signature: 8a477f");
    bed.write("c/.nobackup", b"");
    let caches = Exclusions {
        markers: vec![Marker::cachedir()],
        ..Exclusions::default()
    };
    let (summary, found, notes) = made(&bed, &[""], &caches);
    assert_eq!(
        found,
        [
            "a",
            "a/CACHEDIR.TAG",
            "b",
            "b/CACHEDIR.TAG",
            "b/x",
            "c",
            "c/.nobackup",
            "c/x",
            "d",
            "d/.nobackup",
            "d/.nobackup/x",
            "d/y",
            "e"
        ]
    );
    assert_eq!(summary.excluded, 2);
    let said = notes.unclear.lock().unwrap().clone();
    assert_eq!(
        said,
        ["CACHEDIR.TAG: does not begin with what makes it a marker"]
    );
    assert_eq!(notes.listener.problems(), [""; 0]);

    let both = Exclusions {
        markers: vec![
            Marker::new(".nobackup", "").unwrap(),
            Marker::new("CACHEDIR.TAG", "Sig").unwrap(),
        ],
        ..Exclusions::default()
    };
    let expected = [
        "a",
        "a/CACHEDIR.TAG",
        "b",
        "b/CACHEDIR.TAG",
        "c",
        "c/.nobackup",
        "d",
        "d/.nobackup",
        "d/.nobackup/x",
        "e",
    ];
    assert_eq!(taken(&bed, &both), expected);
    // In the path that was given as well.
    let (_, found, _) = made(&bed, &["c"], &both);
    assert_eq!(found, ["c", "c/.nobackup"]);
    for wrong in ["", ".", "..", "a/b", "a\0"] {
        assert!(Marker::new(wrong, "").is_err(), "{wrong:?}");
    }
}

#[test]
fn what_is_larger_is_left_out() {
    let bed = bed(&["sub/small"]);
    bed.write("sub/limit", &[7; 1000]);
    bed.write("sub/more", &[7; 1001]);
    let exclude = Exclusions {
        larger_than: Some(1000),
        ..Exclusions::default()
    };
    let (summary, found, _) = made(&bed, &[""], &exclude);
    assert_eq!(found, ["sub", "sub/limit", "sub/small"]);
    assert_eq!(summary.excluded, 1);
    let (summary, found, _) = made(&bed, &["sub/more", "sub/small"], &exclude);
    assert_eq!(found, ["sub", "sub/small"]);
    assert_eq!(summary.excluded, 1);
}

#[test]
fn ignore_files_count_where_they_lie_and_below() {
    let bed = bed(&[
        "build/x",
        "src/build/x",
        "src/a.o",
        "src/keep.o",
        "src/deep/a.o",
        "src/deep/b.tmp",
        "a.tmp",
        "other/a.o",
    ]);
    bed.write(
        ".gitignore",
        b"\xef\xbb\xbf# said beside it\r\n/build/\r\n*.tmp\r\n\r\n",
    );
    bed.write("src/.gitignore", b"*.o\n!keep.o\n");
    bed.write("src/deep/.gitignore", b"!b.tmp\n");
    let exclude = Exclusions {
        ignore_files: vec![".gitignore".into()],
        ..Exclusions::default()
    };
    let expected = [
        ".gitignore",
        "other",
        "other/a.o",
        "src",
        "src/.gitignore",
        "src/build",
        "src/build/x",
        "src/deep",
        "src/deep/.gitignore",
        "src/deep/b.tmp",
        "src/keep.o",
    ];
    assert_eq!(taken(&bed, &exclude), expected);

    // Of two names the last counts more.
    bed.write("src/.backupignore", b"keep.o\n!a.o\nbuild/\n");
    let two = Exclusions {
        ignore_files: vec![".gitignore".into(), ".backupignore".into()],
        ..Exclusions::default()
    };
    let (_, found, _) = made(&bed, &["src"], &two);
    let expected = [
        "src",
        "src/.backupignore",
        "src/.gitignore",
        "src/a.o",
        "src/deep",
        "src/deep/.gitignore",
        "src/deep/a.o",
        "src/deep/b.tmp",
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_ignore_file_that_is_not_clear_loses_nothing() {
    let bed = bed(&["a/x", "b/x", "c/x", "d/x", ".gitignore/x"]);
    bed.write("a/.gitignore", b"[z-a]\n\xff\ny\n");
    bed.write("a/y", b"");
    bed.write("b/.gitignore", &vec![b'x'; (1 << 20) + 1]);
    std::os::unix::fs::symlink("../a/.gitignore", bed.source().join("c/.gitignore")).unwrap();
    let exclude = Exclusions {
        ignore_files: vec![".gitignore".into()],
        ..Exclusions::default()
    };
    let (summary, found, notes) = made(&bed, &[""], &exclude);
    assert!(
        ["a/x", "b/x", "c/x", "d/x", ".gitignore/x"]
            .iter()
            .all(|x| found.iter().any(|y| y == x))
    );
    assert!(
        !found.iter().any(|path| path == "a/y"),
        "the other line counts"
    );
    assert_eq!(summary.excluded, 1);
    assert_eq!(summary.totals.problems, 0);
    let said = notes.unclear.lock().unwrap().clone();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("line 1 and 1 more"), "{said:?}");
    assert!(said[1].contains("longer than 1 MiB"), "{said:?}");
    assert!(said[2].contains("not a regular file"), "{said:?}");
}

#[test]
fn a_directory_with_many_entries_is_chosen_from_as_any_other() {
    let bed = Bed::new();
    for n in 0..5000 {
        bed.write(&format!("many/{n:04}.{}", n % 3), b"");
    }
    std::fs::create_dir(bed.source().join("many/5000.1")).unwrap();
    let (summary, found, _) = made(&bed, &[""], &patterns(&["*.1", "*.[0]"]));
    assert_eq!(found.len(), 1 + 1666);
    assert!(
        found
            .iter()
            .all(|path| !path.ends_with('1') && !path.ends_with(".0"))
    );
    assert_eq!(summary.excluded, 5001 - 1666);
}
