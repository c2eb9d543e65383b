//! Keys are pressed, what they ask for is answered at once, and the screen is looked at.

mod bed;

use super::restore::Job;
use super::state::Mode;
use super::work::{Answer, Place, Request};
use crate::text::local_time;
use bed::{Bed, Desk, has, line};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use repo_core::progress::Interrupt;
use repo_core::time::Timestamp;
use repo_core::vfs::{View, ViewOptions};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

macro_rules! desk {
    ($bed:expr, $view:ident, $desk:ident) => {
        let (interrupt, ($view, _)) = (
            Interrupt::new(),
            View::new($bed.repo.clone(), ViewOptions::default()),
        );
        let mut $desk = Desk::new(&$view, &interrupt);
    };
}

#[test]
fn keys_walk_through_snapshots_and_directories() {
    let bed = Bed::new();
    bed.write("a.txt", "alpha\n");
    bed.write("sub/c.txt", "gamma\n");
    bed.backup(1_700_000_000, "web");
    bed.backup(1_700_003_600, "db");
    desk!(bed, view, desk);
    let screen = desk.screen();
    has(
        &screen,
        &["snapshots  (2 entries)", "web", "db", "nothing is marked"],
    );
    let (first, second) = (screen.find(" db"), screen.find(" web"));
    assert!(first < second, "the newest stands first:\n{screen}");
    let screen = desk.enter_source(&bed.dir.path().join("src"));
    has(&screen, &["a.txt", "sub/", "6 B", "/src  (2 entries)"]);
    has(
        &desk.press("<End><Enter>"),
        &["/src/sub  (1 entry)", "c.txt"],
    );
    has(&desk.press("<Back>"), &["/src  (2 entries)"]);
    assert_eq!(desk.browser.list.cursor(), 1, "the cursor is where it was");
    desk.press(&"h".repeat(20));
    has(&desk.screen(), &["snapshots  (2 entries)"]);
    assert!(!desk.browser.is_over());
    has(&desk.press("?"), &["take the mark away"]);
    desk.press("<Esc>q");
    assert!(desk.browser.is_over());
}

#[test]
fn a_filter_and_the_preview_follow_the_keys() {
    let bed = Bed::new();
    bed.write("a.txt", "first line\nsecond\tline\n");
    bed.write("b.bin", b"\x7fELF\0\x01");
    bed.write("B\x1b[31m.txt", "red");
    bed.backup(0, "web");
    desk!(bed, view, desk);
    desk.enter_source(&bed.dir.path().join("src"));
    has(&desk.screen(), &["B\\u{1b}[31m.txt"]);
    has(&desk.press("/a.t"), &["(1 entry)", "/a.t_"]);
    has(
        &desk.press("<Enter>p"),
        &["first line", "second  line", "preview"],
    );
    let screen = desk.press("<Esc><End>");
    has(
        &screen,
        &["(3 entries)", "000000  7f 45 4c 46 00 01", ".ELF.."],
    );
    let screen = desk.press("p");
    assert!(
        !screen.contains("preview -") && !screen.contains("7f 45"),
        "{screen}"
    );
    has(&desk.press("/zz"), &["no name has that"]);
    has(&desk.press("<Esc>"), &["(3 entries)"]);
}

#[test]
fn versions_are_those_of_one_host() {
    let bed = Bed::new();
    bed.write("a.txt", "one");
    bed.backup(60, "web");
    bed.backup(120, "web");
    bed.write("a.txt", "three");
    bed.backup(180, "web");
    std::fs::remove_file(bed.dir.path().join("src/a.txt")).unwrap();
    bed.write("other", "");
    bed.backup(240, "web");
    bed.write("a.txt", "elsewhere");
    bed.backup(300, "db");
    desk!(bed, view, desk);
    has(&desk.press("v"), &["versions are those of a file"]);
    desk.press("<End>");
    desk.enter_source(&bed.dir.path().join("src"));
    let screen = desk.press("v");
    has(
        &screen,
        &["versions of ", "/src/a.txt on web", "(3 entries)"],
    );
    let rows: Vec<&str> = screen.lines().skip(2).take(3).collect();
    let at = |second| local_time(Timestamp::new(second, 0));
    has(rows[0], &[&at(240), "is not there"]);
    has(rows[1], &[&at(180), "5 B", "content mtime"]);
    has(rows[2], &[&at(60), "3 B", "new"]);
    // What is not there is neither marked nor restored.
    has(&desk.press(" r"), &["nothing is marked"]);
    assert!(matches!(desk.browser.mode, Mode::Walk));
    has(&desk.press("<Down>p"), &["three"]);
    let target = bed.dir.path().join("out");
    let screen = desk.press(&format!("<Down> r{}<Enter>", target.display()));
    has(&screen, &["restored", "3 B"]);
    let source = bed.dir.path().strip_prefix("/").unwrap();
    assert_eq!(
        std::fs::read(target.join(source).join("src/a.txt")).unwrap(),
        b"one"
    );
    has(&desk.press("<Back>"), &["/src  (1 entry)", "a.txt"]);
}

#[test]
fn what_is_marked_is_counted_once() {
    let bed = Bed::new();
    bed.write("sub/a", vec![b'x'; 2048]);
    bed.write("sub/deep/b", vec![b'y'; 1024]);
    bed.write("z", "zz");
    bed.backup(0, "web");
    desk!(bed, view, desk);
    desk.enter_source(&bed.dir.path().join("src"));
    let screen = desk.press(" ");
    has(&screen, &["1 marked: 2 files, 3.0 KiB"]);
    has(line(&screen, "sub/"), &["\"*"]);
    has(&desk.press(" "), &["2 marked: 3 files, 3.0 KiB"]);
    let screen = desk.press("g<Enter>");
    has(line(&screen, " a "), &["\"+"]);
    has(
        &desk.press(" "),
        &["it is marked with a directory above it"],
    );
    has(&desk.press("<Back> "), &["1 marked: 1 file, 2 B"]);
    has(&desk.press("u"), &["nothing is marked"]);
    // A directory that is marked after something in it counts that once.
    has(
        &desk.press("g<Enter> <Back>g "),
        &["2 marked: 2 files, 3.0 KiB"],
    );
    // The size of a count that nobody waits for is dropped.
    desk.browser
        .key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::NONE));
    desk.press("g");
    desk.browser
        .key(KeyEvent::new(KeyCode::Char(' '), KeyModifiers::NONE));
    let requests = desk.browser.requests();
    has(&desk.screen(), &["counting..."]);
    desk.press("u");
    for request in requests {
        let Request::Count(key, info, interrupt) = request else {
            continue;
        };
        assert!(desk.library.count(&key, &info, &interrupt).is_none());
    }
}

#[test]
fn what_is_marked_is_restored_where_asked() {
    let bed = Bed::new();
    bed.write("a*b", "star");
    bed.write("axb", "other");
    bed.backup(0, "web");
    let odd = bed
        .dir
        .path()
        .join("src")
        .join(OsStr::from_bytes(b"\xff[odd]"));
    std::fs::write(&odd, "odd").unwrap();
    bed.backup(60, "web");
    desk!(bed, view, desk);
    let source = bed.dir.path().join("src");
    desk.enter_source(&source);
    desk.press("/odd<Enter> <Esc>/a*<Enter> ");
    let target = bed.dir.path().join("out");
    has(&desk.press("r"), &["restore below which directory?"]);
    has(&desk.press("<Enter>"), &["name a directory"]);
    let screen = desk.press(&format!("{}<Enter>", target.display()));
    has(&screen, &["restored", "7 B", "nothing is marked"]);
    let restored = |name: &OsStr| {
        std::fs::read(target.join(source.strip_prefix("/").unwrap()).join(name)).ok()
    };
    assert_eq!(
        restored(odd.file_name().unwrap()).as_deref(),
        Some(&b"odd"[..])
    );
    assert_eq!(restored(OsStr::new("a*b")).as_deref(), Some(&b"star"[..]));
    assert_eq!(restored(OsStr::new("axb")), None);

    // What is there is not touched before it is said what becomes of it.
    let there = target.join(source.strip_prefix("/").unwrap()).join("a*b");
    std::fs::write(&there, "mine").unwrap();
    let into = format!(" r{}<Enter>", target.display());
    has(&desk.press(&into), &["is not empty"]);
    has(&desk.press("<Esc>"), &["1 marked"]);
    desk.press("u");
    desk.press(&into);
    has(&desk.press("k"), &["stayed as they were"]);
    assert_eq!(std::fs::read(&there).unwrap(), b"mine");
    desk.press(&into);
    desk.press("o");
    assert_eq!(std::fs::read(&there).unwrap(), b"star");
    assert!(desk.browser.problems.is_empty());
}

#[test]
fn marks_of_several_snapshots_go_to_a_directory_each() {
    let bed = Bed::new();
    bed.write("a", "old");
    bed.backup(0, "web");
    bed.write("a", "new");
    bed.backup(60, "web");
    desk!(bed, view, desk);
    let target = bed.dir.path().join("out");
    desk.press("  ");
    let marks = desk.browser.marks.by_snapshot();
    desk.press(&format!("r{}<Enter>", target.display()));
    let source = bed.dir.path().join("src");
    for (info, _) in &marks {
        let content = if info.summary.time.seconds == 0 {
            "old"
        } else {
            "new"
        };
        let file = target
            .join(info.id.short())
            .join(source.strip_prefix("/").unwrap())
            .join("a");
        assert_eq!(std::fs::read_to_string(file).unwrap(), content);
    }
    assert_eq!(marks.len(), 2);
}

#[test]
fn an_interrupted_restore_says_so() {
    let bed = Bed::new();
    bed.write("a", "content");
    bed.backup(0, "web");
    desk!(bed, view, desk);
    desk.press(" r");
    let target = bed.dir.path().join("out");
    desk.browser.mode = Mode::Looking;
    desk.browser.answer(Answer::Target(target, Ok(false)));
    has(&desk.screen(), &["restoring: 0 entries"]);
    desk.browser
        .key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
    desk.answer();
    has(&desk.screen(), &["not all was restored", "interrupted"]);
    has(&desk.screen(), &["1 marked"]);
    assert_eq!(desk.browser.problems.len(), 1);
}

#[test]
fn an_answer_that_nobody_waits_for_is_dropped() {
    let bed = Bed::new();
    bed.write("a", "");
    bed.backup(0, "web");
    desk!(bed, view, desk);
    desk.browser
        .key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    let late = desk.browser.requests();
    desk.browser
        .key(KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE));
    desk.answer();
    for request in late {
        let answer = desk.library.answer(request).unwrap();
        desk.browser.answer(answer);
    }
    has(&desk.screen(), &["snapshots  (1 entry)"]);
}

#[test]
fn a_directory_that_cannot_be_read_is_a_line() {
    let bed = Bed::new();
    bed.write("a", "");
    bed.backup(0, "web");
    desk!(bed, view, desk);
    let requests = desk.browser.requests();
    assert!(requests.is_empty());
    desk.browser
        .key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    let Some(Request::Rows(number, place)) = desk.browser.requests().pop() else {
        panic!("nothing was asked for")
    };
    let Place::Dir(info, _) = place else {
        panic!("{place:?}")
    };
    let missing = Place::Dir(info, PathBuf::from("/nowhere"));
    desk.browser
        .answer(Answer::Rows(number, desk.library.rows(&missing)));
    has(
        &desk.screen(),
        &["/nowhere", "not in the snapshot", "nothing is here"],
    );
}

/// Drawing takes as long as the screen is high, whatever the directory holds.
#[test]
fn only_rows_on_the_screen_are_drawn() {
    let bed = Bed::new();
    for number in 0..3000 {
        bed.write(&format!("f{number:04}"), "");
    }
    bed.backup(0, "web");
    desk!(bed, view, desk);
    desk.enter_source(&bed.dir.path().join("src"));
    let screen = desk.press("<End>");
    has(&screen, &["f2999", "f2992", "(3000 entries)"]);
    assert!(!screen.contains("f2991"), "{screen}");
    has(&desk.press("g<PgDn>"), &["f0008"]);
}

#[test]
fn a_job_names_what_is_marked() {
    let bed = Bed::new();
    bed.write("a", "");
    bed.backup(0, "web");
    desk!(bed, view, desk);
    desk.press(" r");
    for letter in "out".chars() {
        desk.browser
            .key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE));
    }
    desk.browser
        .key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    desk.browser.requests();
    desk.browser
        .answer(Answer::Target("out".into(), Err("no room".into())));
    has(&desk.screen(), &["no room"]);
    desk.browser
        .key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
    desk.browser.requests();
    desk.browser.answer(Answer::Target("out".into(), Ok(false)));
    let Some(Request::Restore(Job { marks, target, .. })) = desk.browser.requests().pop() else {
        panic!("nothing is restored")
    };
    assert_eq!(
        (target, marks[0].1.as_slice()),
        (PathBuf::from("out"), &[PathBuf::from("/")][..])
    );
}
