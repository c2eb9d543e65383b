//! Files with several names: they are one file again after a restore, and none is lost because another name is.

use super::support::*;
use crate::crypto::{BlobType, KeyKind};
use crate::format::snapshot::Snapshot;
use crate::format::tree::{Content, Node};
use crate::fs::Owners;
use crate::id::{BlobId, SnapshotId};
use crate::ops::{RestoreOptions, RestoreSummary, restore};
use crate::progress::Interrupt;
use crate::repo::{CommitOutcome, CommitRequest, Repo, WriteOptions, Writer};
use crate::time::now;
use crate::tree::{Borders, load_nodes, write_directory};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Restores what was the source into `target`; gives the numbers and what was said.
fn restore_to(
    bed: &Bed,
    repo: &Repo,
    id: &SnapshotId,
    target: &Path,
) -> (RestoreSummary, Vec<String>) {
    let options = RestoreOptions {
        subfolder: Some(bed.source()),
        ..RestoreOptions::default()
    };
    let listener = Listener::default();
    let summary = restore(repo, id, target, &options, &listener, &Interrupt::new());
    (summary.unwrap(), listener.problems())
}

/// Which of these names are one file, by inode.
fn inodes(target: &Path, names: &[&str]) -> Vec<u64> {
    let inode = |name: &&str| std::fs::symlink_metadata(target.join(name)).unwrap().ino();
    names.iter().map(inode).collect()
}

fn all_equal(numbers: &[u64]) -> bool {
    numbers.iter().all(|number| *number == numbers[0])
}

/// Stores a tree anew after `change` was made to its nodes, all that lie below too.
fn changed_tree(
    repo: &Repo,
    writer: &mut Writer<'_>,
    tree: &BlobId,
    change: &dyn Fn(&mut Vec<Node>),
) -> BlobId {
    let mut nodes = load_nodes(repo, tree).unwrap();
    change(&mut nodes);
    for node in &mut nodes {
        if let Content::Dir(Some(below)) = &mut node.content {
            *below = changed_tree(repo, writer, below, change);
        }
    }
    let domain = repo.settings().domain;
    let hasher = repo.hasher(BlobType::Tree).unwrap();
    let key = repo.ring().domain_key(KeyKind::Border, domain).unwrap();
    let owners = Owners::load(Path::new("/etc")).unwrap();
    let mut put = |bytes: &[u8]| {
        let id = hasher.id(bytes);
        writer.add(BlobType::Tree, &id, bytes)?;
        Ok(id)
    };
    write_directory(nodes, &owners, &Borders::new(key.clone()), &mut put).unwrap()
}

/// Commits a snapshot that is `id` but for what `change` makes of its nodes.
pub fn commit_changed(repo: &Repo, id: &SnapshotId, change: &dyn Fn(&mut Vec<Node>)) -> SnapshotId {
    let snapshot = repo.load_snapshot(id).unwrap();
    let options = WriteOptions {
        domain: repo.settings().domain,
        level: Default::default(),
        pack_bytes: None,
        dry_run: false,
        progress: &Listener::default(),
        interrupt: &Interrupt::new(),
    };
    let root = snapshot.summary.root;
    let written = repo.write(options, |writer| {
        Ok(changed_tree(repo, writer, &root, change))
    });
    let (root, written) = written.unwrap();
    let mut summary = snapshot.summary.clone();
    (summary.root, summary.time) = (root, now());
    let snapshot = Snapshot {
        summary: summary.clone(),
        sequence: repo.next_sequence(),
        ..snapshot
    };
    let request = CommitRequest::new(repo.save_snapshot(&snapshot).unwrap(), summary, written);
    assert_eq!(repo.commit(&request).unwrap(), CommitOutcome::Committed);
    request.snapshot
}

/// The node of that path below the source.
fn node(bed: &Bed, repo: &Repo, id: &SnapshotId, path: &str) -> Node {
    let mut tree = repo.load_snapshot(id).unwrap().summary.root;
    let path = bed.source().join(path);
    let mut parts: Vec<PathBuf> = path.iter().skip(1).map(PathBuf::from).collect();
    let last = parts.pop().unwrap();
    let find = |tree: &BlobId, name: &Path| {
        let nodes = load_nodes(repo, tree).unwrap();
        let named = |node: &Node| node.name == name.as_os_str().as_encoded_bytes();
        nodes.into_iter().find(named).unwrap()
    };
    for part in parts {
        let Content::Dir(Some(below)) = find(&tree, &part).content else {
            panic!("{part:?} is no directory");
        };
        tree = below;
    }
    find(&tree, &last)
}

#[test]
fn names_are_one_file_after_devices_were_numbered_anew() {
    let bed = Bed::new();
    bed.write("known", b"content");
    bed.write("alone", b"other content");
    let link = |to: &str| {
        let to = bed.source().join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::hard_link(bed.source().join("known"), to).unwrap();
    };
    link("new");
    link("same/again");
    let repo = bed.open();
    let first = bed.backup(&repo).unwrap();
    let device = node(&bed, &repo, &first.snapshot.unwrap(), "known").device;
    // As if it had been made before a boot that numbered the devices anew, and without one of the names.
    commit_changed(&repo, &first.snapshot.unwrap(), &|nodes| {
        nodes.retain(|node| node.name != b"new");
        nodes.iter_mut().for_each(|node| node.device ^= 0x55);
    });
    let made = bed.backup(&repo).unwrap();
    let id = made.snapshot.unwrap();
    assert_eq!(
        made.totals.files_unmodified, 3,
        "what has several names too"
    );
    assert_eq!(node(&bed, &repo, &id, "known").device, device);
    assert_eq!(node(&bed, &repo, &id, "same/again").device, device);
    assert_eq!(node(&bed, &repo, &id, "alone").device, device ^ 0x55);
    let target = tempfile::tempdir().unwrap();
    let (_, problems) = restore_to(&bed, &repo, &id, target.path());
    assert_eq!(problems, [""; 0]);
    let inodes = inodes(target.path(), &["known", "new", "same/again"]);
    assert!(all_equal(&inodes), "{inodes:?}");
    // What has one name each makes no tree new, however devices are numbered.
    let other = commit_changed(&repo, &id, &|nodes| {
        let alone = nodes.iter_mut().filter(|node| node.links == 1);
        alone.for_each(|node| node.device ^= 0x33);
    });
    let made = bed.backup(&repo).unwrap();
    let roots = [other, made.snapshot.unwrap()].map(|id| node(&bed, &repo, &id, "alone"));
    assert_eq!(roots[0], roots[1]);
}

/// A file under several names; the last one of a directory that is left long before.
const NAMES: [&str; 4] = ["a", "b", "d/first", "z"];

/// A place with one snapshot of a file with these names.
fn place_of_links(content: &[u8]) -> (Bed, Repo, SnapshotId) {
    let bed = Bed::new();
    bed.write(NAMES[0], content);
    std::fs::create_dir(bed.source().join("d")).unwrap();
    for name in &NAMES[1..] {
        std::fs::hard_link(bed.source().join(NAMES[0]), bed.source().join(name)).unwrap();
    }
    bed.write("other", b"other");
    let repo = bed.open();
    let id = bed.backup(&repo).unwrap().snapshot.unwrap();
    (bed, repo, id)
}

#[test]
fn the_next_name_takes_the_content_if_the_first_cannot_be_written() {
    let long = noise(3, 3 << 20);
    for content in [&b"short"[..], b"", &long] {
        let (bed, repo, id) = place_of_links(content);
        for blocked in 1..NAMES.len() {
            let target = tempfile::tempdir().unwrap();
            let (blocked, free) = NAMES.split_at(blocked);
            for name in blocked {
                std::fs::create_dir_all(target.path().join(name).join("full")).unwrap();
            }
            let (summary, problems) = restore_to(&bed, &repo, &id, target.path());
            assert_eq!(problems.len(), blocked.len(), "{problems:?}");
            for (name, problem) in blocked.iter().zip(&problems) {
                assert!(problem.starts_with(&format!("{name}: ")), "{problem}");
            }
            for name in free {
                let there = target.path().join(name);
                assert!(std::fs::read(&there).unwrap() == content, "{name}");
                let mtime = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
                assert_eq!(mtime(&there), mtime(&bed.source().join(name)));
            }
            assert!(all_equal(&inodes(target.path(), free)), "{free:?}");
            assert_eq!(summary.files, 2);
            assert_eq!(summary.bytes, content.len() as u64 + 5);
        }
    }
}

#[test]
fn holes_stay_where_they_are_under_the_next_name() {
    use std::os::unix::fs::FileExt;
    let bed = Bed::new();
    let sparse = std::fs::File::create(bed.source().join("a")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    sparse.write_all_at(&noise(1, 200 << 10), 1 << 20).unwrap();
    std::fs::hard_link(bed.source().join("a"), bed.source().join("b")).unwrap();
    let repo = bed.open();
    let id = bed.backup(&repo).unwrap().snapshot.unwrap();
    let target = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(target.path().join("a/full")).unwrap();
    let (_, problems) = restore_to(&bed, &repo, &id, target.path());
    assert_eq!(problems.len(), 1);
    let read = |path: PathBuf| std::fs::read(path).unwrap();
    assert!(read(target.path().join("b")) == read(bed.source().join("b")));
    let there = std::fs::metadata(target.path().join("b")).unwrap();
    assert!(there.blocks() * 512 < there.len());
}

#[test]
fn each_name_of_lost_content_is_named() {
    let (bed, repo, id) = place_of_links(&noise(3, 3 << 20));
    for pack in names(&bed.place, "data") {
        bed.place.remove(&pack);
    }
    bed.write("other", b"");
    let target = tempfile::tempdir().unwrap();
    let (summary, problems) = restore_to(&bed, &repo, &id, target.path());
    for name in NAMES {
        let of_it = problems
            .iter()
            .filter(|line| line.starts_with(&format!("{name}: ")));
        assert_eq!(of_it.count(), 1, "{name} in {problems:?}");
        assert!(!target.path().join(name).exists());
    }
    assert_eq!(summary.files, 0);
}

#[test]
fn what_is_no_file_may_have_several_names_too() {
    let bed = Bed::new();
    let source = bed.source();
    std::os::unix::fs::symlink("where", source.join("link")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, source.join("pipe"), fifo, 0o600.into(), 0).unwrap();
    std::os::unix::net::UnixListener::bind(source.join("socket")).unwrap();
    let kinds = ["link", "pipe", "socket"];
    for name in kinds {
        for copy in ["1", "2"] {
            std::fs::hard_link(source.join(name), source.join(format!("{name}{copy}"))).unwrap();
        }
    }
    // Alike, and not the same.
    std::os::unix::fs::symlink("where", source.join("alike")).unwrap();
    let repo = bed.open();
    let id = bed.backup(&repo).unwrap().snapshot.unwrap();
    for blocked in [false, true] {
        let target = tempfile::tempdir().unwrap();
        if blocked {
            for name in kinds {
                std::fs::create_dir_all(target.path().join(name).join("full")).unwrap();
            }
        }
        let (summary, problems) = restore_to(&bed, &repo, &id, target.path());
        assert_eq!(problems.len(), if blocked { 3 } else { 0 }, "{problems:?}");
        assert_eq!(summary.nodes, if blocked { 7 } else { 10 });
        for name in kinds {
            let all = [name.to_owned(), format!("{name}1"), format!("{name}2")];
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let same = inodes(target.path(), &all[usize::from(blocked)..]);
            assert!(all_equal(&same), "{name}: {same:?}");
        }
        let links = inodes(target.path(), &["alike", "link1"]);
        assert!(!all_equal(&links));
        if blocked {
            continue;
        }
        let changed = || {
            let names = kinds
                .iter()
                .flat_map(|kind| ["", "1", "2"].map(|n| format!("{kind}{n}")));
            let changed = names.map(|name| {
                let found = std::fs::symlink_metadata(target.path().join(name)).unwrap();
                (found.ino(), found.ctime(), found.ctime_nsec())
            });
            changed.collect::<Vec<_>>()
        };
        let before = changed();
        let (summary, problems) = restore_to(&bed, &repo, &id, target.path());
        assert_eq!(
            (problems.len(), summary.nodes_skipped),
            (0, 10),
            "{problems:?}"
        );
        assert_eq!(changed(), before, "what is right is not touched");
        // What is not right is made anew, for its other names may lie anywhere.
        let other = tempfile::tempdir_in(target.path().parent().unwrap()).unwrap();
        std::fs::hard_link(target.path().join("pipe"), other.path().join("pipe")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(target.path().join("pipe"), mode).unwrap();
        let (_, problems) = restore_to(&bed, &repo, &id, target.path());
        assert_eq!(problems, [""; 0]);
        let pipes = inodes(target.path(), &["pipe", "pipe1", "pipe2"]);
        let there = std::fs::symlink_metadata(other.path().join("pipe")).unwrap();
        assert!(all_equal(&pipes) && there.ino() != pipes[0]);
        assert_eq!(there.mode() & 0o777, 0o644);
    }
}
