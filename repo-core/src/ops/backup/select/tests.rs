//! Where other file systems begin, and the way to paths below others.

use super::*;
use crate::fs::stat_path;

fn selection(exclude: Exclusions, named: &[&str]) -> Selection {
    let named: Vec<PathBuf> = named.iter().map(PathBuf::from).collect();
    Selection::new(&exclude, &named)
}

fn one_file_system(named: &[&str]) -> (Selection, Chosen) {
    let exclude = Exclusions {
        one_file_system: true,
        ..Exclusions::default()
    };
    let selection = selection(exclude, named);
    let chosen = selection.at(Path::new("/"), &stat_path(Path::new("/")).unwrap());
    (selection, chosen)
}

/// `/proc` is a file system of its own on every Linux.
fn proc() -> Metadata {
    stat_path(Path::new("/proc")).unwrap()
}

#[test]
fn another_file_system_is_not_entered() {
    let (_, chosen) = one_file_system(&["/"]);
    let root = stat_path(Path::new("/")).unwrap();
    assert!(chosen.stops_at(b"proc", &proc()) && !chosen.stops_at(b"etc", &root));
    let dir = Dir::open_root(Path::new("/")).unwrap();
    let taken = chosen.take(&dir).unwrap();
    assert_eq!(taken.excluded, 0, "where it begins is kept");
    let index = taken.scan.find(b"proc").unwrap();
    assert!(taken.chosen.ahead(&taken.scan, index).is_none());
    let file = Metadata {
        kind: Kind::File,
        ..proc()
    };
    assert!(!taken.chosen.leaves_out(&file));
}

#[test]
fn another_file_system_is_entered_if_it_was_asked_for() {
    let (selection, chosen) = one_file_system(&["/", "/proc"]);
    assert!(!chosen.stops_at(b"proc", &proc()));
    let inside = chosen.enter(b"proc", proc().device);
    assert!(!inside.stops_at(b"self", &proc()));
    let root = stat_path(Path::new("/")).unwrap();
    assert!(inside.stops_at(b"elsewhere", &root));
    let alone = selection.at(Path::new("/proc"), &proc());
    assert!(alone.stops_at(b"elsewhere", &root));

    // Of what only leads there nothing else is taken.
    let (_, chosen) = one_file_system(&["/", "/proc/sys"]);
    assert!(!chosen.stops_at(b"proc", &proc()));
    let dir = Dir::open_root(Path::new("/proc")).unwrap();
    let taken = chosen.enter(b"proc", proc().device).take(&dir).unwrap();
    assert_eq!(taken.scan.names().collect::<Vec<_>>(), [b"sys"]);
    assert!(taken.excluded > 1);
}

#[test]
fn without_exclusions_nothing_is_kept_in_memory() {
    let chosen = selection(Exclusions::default(), &["/", "/proc"]);
    assert!(chosen.0.is_none());
    let nothing = Exclusions {
        patterns: vec![List::parse(&["", "!x"], false).unwrap()],
        ..Exclusions::default()
    };
    assert!(selection(nothing, &["/"]).0.is_none());
}

#[test]
fn paths_that_were_given_are_a_tree() {
    let paths = ["/a", "/a/b/c", "/a/b/d", "/e"].map(PathBuf::from);
    let named = Arc::new(Named::of(&paths));
    let a = named.at(Path::new("/a")).unwrap();
    assert!(a.is_given() && !a.child(b"b").unwrap().is_given());
    assert!(a.child(b"b").unwrap().child(b"d").unwrap().is_given());
    assert!(named.at(Path::new("/e")).is_none() && named.at(Path::new("/x")).is_none());
    assert!(!named.is_given() && Named::of(&["/".into()]).is_given());
}
