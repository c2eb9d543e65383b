//! Repairs of trees as no small source gives them: with long and nested lists of chunks, and with names in the way.

use super::support::*;
use crate::crypto::{BlobType, KeyKind};
use crate::error::Result;
use crate::format::codec;
use crate::format::snapshot::{Snapshot, Summary};
use crate::format::tree::{Chunks, Content, FileContent, Node, Tree as TreeBlob};
use crate::fs::Owners;
use crate::id::{BlobId, SnapshotId};
use crate::ops::backup::plain_node;
use crate::ops::derive::plain_source;
use crate::ops::{
    PruneOptions, RecoverOptions, RepairSnapshotsOptions, RepairedSnapshots, Replace,
    RestoreOptions, forget_ids, prune, recover, repair_snapshots, restore,
};
use crate::progress::Interrupt;
use crate::repo::{CommitOutcome, CommitRequest, Repo, WriteOptions, Writer, Written};
use crate::snapshot::{Filter, SnapshotInfo, list};
use crate::time::{Timestamp, now};
use crate::tree::{Borders, ChunkList, ChunkRef, for_each_chunk, load_nodes, write_directory};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

fn all(repo: &Repo) -> Vec<SnapshotInfo> {
    repo.refresh().unwrap();
    list(repo, &Filter::default()).snapshots
}

fn anew(bed: &Bed) -> Repo {
    let place = Arc::new(bed.place.clone());
    bed.open_anew(place, &password()).unwrap()
}

fn repair(repo: &Repo) -> RepairedSnapshots {
    let options = RepairSnapshotsOptions {
        suffix: ".repaired".into(),
        read_data: false,
        replace: Replace {
            forget: true,
            dry_run: false,
        },
    };
    let listener = Listener::default();
    repair_snapshots(repo, &all(repo), &options, &listener, &Interrupt::new()).unwrap()
}

/// Writes blobs to packs of their own.
fn write<T>(repo: &Repo, work: impl FnOnce(&mut Maker<'_, '_>) -> T) -> (T, Written) {
    let (listener, interrupt) = (Listener::default(), Interrupt::new());
    let options = WriteOptions {
        domain: repo.settings().domain,
        ..WriteOptions::new(&listener, &interrupt)
    };
    let written = repo.write(options, |writer| Ok(work(&mut Maker { repo, writer })));
    written.unwrap()
}

struct Maker<'a, 'w> {
    repo: &'a Repo,
    writer: &'a mut Writer<'w>,
}

impl Maker<'_, '_> {
    fn add(&mut self, kind: BlobType, bytes: &[u8]) -> Result<BlobId> {
        let id = self.repo.hasher(kind)?.id(bytes);
        self.writer.add(kind, &id, bytes)?;
        Ok(id)
    }

    fn data(&mut self, bytes: &[u8]) -> BlobId {
        self.add(BlobType::Data, bytes).unwrap()
    }

    fn list(&mut self, ids: Vec<BlobId>) -> BlobId {
        let bytes = codec::encode(&TreeBlob::Chunks(ids));
        self.add(BlobType::Tree, &bytes).unwrap()
    }

    fn long_list(&mut self, ids: impl Iterator<Item = BlobId>) -> Chunks {
        let mut list = ChunkList::default();
        let put = &mut |bytes: &[u8]| self.add(BlobType::Tree, bytes);
        ids.for_each(|id| list.push(id, put).unwrap());
        list.finish(put).unwrap()
    }

    fn directory(&mut self, nodes: Vec<Node>) -> BlobId {
        let repo = self.repo;
        let key = repo
            .ring()
            .domain_key(KeyKind::Border, repo.settings().domain);
        let borders = Borders::new(key.unwrap().clone());
        let put = &mut |bytes: &[u8]| self.add(BlobType::Tree, bytes);
        write_directory(nodes, &Owners::default(), &borders, put).unwrap()
    }
}

fn node(name: &str, content: Content) -> Node {
    let mode = match content {
        Content::Dir(_) => 0o755,
        _ => 0o644,
    };
    let time = Timestamp::new(1_000_000_000, 0);
    plain_node(name.as_bytes(), mode, time, content)
}

fn file(name: &str, size: u64, chunks: Chunks, extents: Option<Vec<(u64, u64)>>) -> Node {
    let content = FileContent {
        size,
        chunks,
        extents,
    };
    node(name, Content::File(content))
}

fn commit(repo: &Repo, root: BlobId, written: Written) -> SnapshotId {
    let summary = Summary {
        root,
        time: now(),
        host: "host".into(),
        paths: vec![b"/".to_vec()],
        ..Summary::default()
    };
    let snapshot = repo.save_snapshot(&Snapshot {
        domain: repo.settings().domain,
        writer: repo.writer(),
        sequence: repo.next_sequence(),
        sources: vec![plain_source(&summary)],
        summary: summary.clone(),
        ext: Vec::new(),
    });
    let snapshot = snapshot.unwrap();
    let request = CommitRequest::new(snapshot, summary, written);
    assert_eq!(repo.commit(&request).unwrap(), CommitOutcome::Committed);
    snapshot
}

/// What two rounds of writing left.
fn both(first: Written, second: Written) -> Written {
    Written {
        tables: [first.tables, second.tables].concat(),
        hits: &first.hits | &second.hits,
        own: &first.own | &second.own,
        ..Written::default()
    }
}

/// Restores all of a snapshot; gives the files by path.
fn restored(repo: &Repo, id: &SnapshotId) -> Tree {
    let target = tempfile::tempdir().unwrap();
    let (options, listener) = (RestoreOptions::default(), Listener::default());
    let done = restore(
        repo,
        id,
        target.path(),
        &options,
        &listener,
        &Interrupt::new(),
    );
    done.unwrap();
    assert_eq!(listener.problems(), [""; 0]);
    describe(target.path())
}

/// The commit of what was recovered took nothing back that lay below a list of lists: the next step of a prune deleted it.
#[test]
fn what_nested_lists_name_is_taken_back_with_what_is_recovered() {
    let bed = Bed::new();
    let repo = bed.open();
    let content = noise(1, 300_000);
    let (root, written) = write(&repo, |maker| {
        let ids = content.chunks(100_000).map(|bytes| maker.data(bytes));
        let ids: Vec<BlobId> = ids.collect();
        let inner = maker.list(ids);
        let outer = maker.list(vec![inner]);
        let chunks = Chunks::Lists {
            height: 2,
            lists: vec![outer],
        };
        maker.directory(vec![file("large", 300_000, chunks, None)])
    });
    let made = commit(&repo, root, written);
    let before = restored(&repo, &made);
    assert_eq!(before[Path::new("large")].2, content);
    forget_ids(&repo, &[made]).unwrap();
    let options = PruneOptions::default();
    prune(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
    assert!(repo.state().condemned().count() >= 2);
    let options = RecoverOptions::default();
    let found = recover(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
    assert_eq!((found.roots, found.files, found.items_lost), (1, 1, 0));
    assert_eq!(repo.state().condemned().count(), 0);
    let after = restored(&repo, &found.snapshot.unwrap());
    let (_, (_, _, bytes)) = after.last_key_value().unwrap();
    assert_eq!(*bytes, content);
}

/// Lists of what is left were put into the node itself, whatever their length.
#[test]
fn what_is_left_of_a_long_list_is_a_list_again() {
    const HALF: u64 = 10_000;
    for holes in [false, true] {
        let bed = Bed::new();
        let repo = bed.open();
        let (often, first) = write(&repo, |maker| maker.data(b"0123456789abcdef"));
        let packs: BTreeSet<String> = names(&bed.place, "data").into_iter().collect();
        let (root, second) = write(&repo, |maker| {
            let once = maker.data(b"once");
            let half = || std::iter::repeat_n(often, HALF as usize);
            let chunks = maker.long_list(half().chain([once]).chain(half()));
            assert!(matches!(chunks, Chunks::Lists { .. }));
            let extents = vec![(0, HALF * 16 + 2), (1 << 30, HALF * 16 + 2)];
            let size = if holes { 2 << 30 } else { HALF * 32 + 4 };
            maker.directory(vec![file("long", size, chunks, holes.then_some(extents))])
        });
        let made = commit(&repo, root, both(first, second));
        for lost in names(&bed.place, "data") {
            if !packs.contains(&lost) {
                bed.place.remove(&lost);
            }
        }
        let repo = anew(&bed);
        let found = repair(&repo);
        assert_eq!(found.items, 1);
        assert_eq!(found.changed[0].old, made);
        let nodes = load_nodes(&repo, &all(&repo)[0].summary.root).unwrap();
        let Content::File(file) = &nodes[0].content else {
            panic!("{nodes:?}");
        };
        assert!(matches!(file.chunks, Chunks::Lists { .. }));
        let mut chunks = 0;
        let each = &mut |chunk| {
            chunks += u64::from(chunk == ChunkRef::Data(often));
            Ok(ControlFlow::Continue(()))
        };
        assert!(
            for_each_chunk(&repo, &file.chunks, each)
                .unwrap()
                .is_continue()
        );
        assert_eq!(chunks, 2 * HALF);
        match holes {
            false => assert_eq!((file.size, &file.extents), (HALF * 32, &None)),
            true => {
                let left = vec![(0, HALF * 16), ((1 << 30) + 2, HALF * 16)];
                assert_eq!((file.size, &file.extents), (2 << 30, &Some(left)));
            }
        }
    }
}

/// A directory that could not be read was told of once for each snapshot, and what replaced it counted as no problem of them.
#[test]
fn a_lost_directory_is_told_of_once_and_a_problem_of_each_snapshot() {
    let bed = Bed::new();
    let repo = bed.open();
    let (inner, first) = write(&repo, |maker| {
        maker.directory(vec![node("fifo", Content::Fifo)])
    });
    let packs: Vec<String> = names(&bed.place, "meta");
    let mut written = first;
    let mut made = Vec::new();
    for name in ["x", "y"] {
        let (root, more) = write(&repo, |maker| {
            let nodes = vec![
                node("inner", Content::Dir(Some(inner))),
                node(name, Content::Fifo),
            ];
            maker.directory(nodes)
        });
        made.push(commit(&repo, root, both(written, more)));
        written = Written::default();
    }
    assert!(packs.iter().all(|pack| bed.place.remove(pack)));
    let repo = anew(&bed);
    let found = repair(&repo);
    assert_eq!((found.changed.len(), found.items), (2, 1));
    assert_eq!(found.paths, [Path::new("/inner")]);
    for info in all(&repo) {
        assert_eq!(info.summary.totals.problems, 1);
        let there: Vec<_> = restored(&repo, &info.id).into_keys().collect();
        assert_eq!(there[0], Path::new("inner.repaired"));
        assert_eq!(there.len(), 2);
    }
}

/// Two files of one name were written, which is a directory that nobody can read.
#[test]
fn a_name_that_another_has_is_not_given() {
    let bed = Bed::new();
    let repo = bed.open();
    let (kept, first) = write(&repo, |maker| maker.data(b"kept"));
    let packs = names(&bed.place, "data");
    let long = "n".repeat(250);
    let (root, second) = write(&repo, |maker| {
        let mut lost = |name: &str| {
            let id = maker.data(name.as_bytes());
            file(name, name.len() as u64, Chunks::Direct(vec![id]), None)
        };
        let mut nodes = vec![lost("a"), lost("a.2.repaired"), lost("b"), lost(&long)];
        for name in ["a.repaired", "a.3.repaired"] {
            nodes.push(file(name, 4, Chunks::Direct(vec![kept]), None));
        }
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        maker.directory(nodes)
    });
    commit(&repo, root, both(first, second));
    for lost in names(&bed.place, "data") {
        if !packs.contains(&lost) {
            bed.place.remove(&lost);
        }
    }
    let repo = anew(&bed);
    assert_eq!(repair(&repo).items, 4);
    let tree = restored(&repo, &all(&repo)[0].id);
    let lens: Vec<_> = tree
        .iter()
        .map(|(path, (_, _, bytes))| (path.to_str().unwrap(), bytes.len()))
        .collect();
    let expected = [
        ("a.2.repaired", 0),
        ("a.3.repaired", 4),
        ("a.4.repaired", 0),
        ("a.repaired", 4),
        ("b.repaired", 0),
        (&long, 0),
    ];
    assert_eq!(lens, expected);
}

/// A restore with `delete` took away whole files for those that a repair had renamed, and all below a directory it had made empty.
#[test]
fn a_restore_removes_nothing_for_what_a_repair_has_not_got() {
    let bed = Bed::new();
    let repo = bed.open();
    bed.write("dir/large", &noise(1, 3 << 20));
    bed.backup(&repo).unwrap();
    let whole = bed.tree();
    bed.place.remove(&names(&bed.place, "data")[0]);
    let repo = anew(&bed);
    let found = repair(&repo);
    assert_eq!(found.items, 1);
    let new = found.changed[0].new.unwrap();
    assert_eq!(all(&repo)[0].summary.totals.problems, 1);
    let options = RestoreOptions {
        subfolder: Some(bed.source()),
        delete: true,
        ..RestoreOptions::default()
    };
    let listener = Listener::default();
    let target = bed.source();
    restore(&repo, &new, &target, &options, &listener, &Interrupt::new()).unwrap();
    assert_eq!(listener.problems().len(), 1);
    let large = Path::new("dir/large");
    assert_eq!(bed.tree()[large].2, whole[large].2);
}

#[test]
fn what_is_lost_of_what_is_recovered_is_named_and_a_problem_of_it() {
    let bed = Bed::new();
    let repo = bed.open();
    bed.write("dir/large", &noise(1, 3 << 20));
    let made = bed.backup(&repo).unwrap().snapshot.unwrap();
    forget_ids(&repo, &[made]).unwrap();
    bed.place.remove(&names(&bed.place, "data")[0]);
    let repo = anew(&bed);
    let options = RecoverOptions::default();
    let found = recover(&repo, &options, &Listener::default(), &Interrupt::new()).unwrap();
    assert_eq!((found.roots, found.items_lost), (1, 1));
    assert!(found.paths[0].starts_with("/recover/"));
    assert!(found.paths[0].ends_with("dir/large"));
    assert_eq!(all(&repo)[0].summary.totals.problems, 1);
    let tree = restored(&repo, &found.snapshot.unwrap());
    assert!(
        tree.into_keys()
            .any(|path| path.ends_with("dir/large.repaired"))
    );
}
