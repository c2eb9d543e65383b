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
        no_owner: false,
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
fn commit_changed(repo: &Repo, id: &SnapshotId, change: &dyn Fn(&mut Vec<Node>)) -> SnapshotId {
    let snapshot = repo.load_snapshot(id).unwrap();
    let options = WriteOptions {
        domain: repo.settings().domain,
        level: Default::default(),
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
    let request = CommitRequest {
        snapshot: repo.save_snapshot(&snapshot).unwrap(),
        summary,
        tables: written.tables,
        hits: written.hits,
        own: written.own,
        lender: None,
    };
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
