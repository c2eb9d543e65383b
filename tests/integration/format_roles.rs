//! What each role can open and write, from the key slot to the fold.

use crate::format_place::{Opened, Place, commit, write};
use repo_core::crypto::{BlobType, KeyKind, Role};
use repo_core::error::ErrorKind;
use repo_core::format::codec;
use repo_core::format::entry::{Action, EntryAt, ObjectRef};
use repo_core::format::envelope::RecordType;
use repo_core::format::evidence::Evidence;
use repo_core::format::name::ObjectKind;
use repo_core::id::{BlobId, EntryHash, EvidenceId, IndexId, PackId, SnapshotId};
use repo_core::repo::{CommitOutcome, Repo};
use repo_core::time::Timestamp;

const DATA: &[u8] = b"content of a file";
const TREE: &[u8] = b"a directory";

/// Backs two blobs up as that holder; gives the snapshot and the ids of data and tree.
fn back_up(repo: &Repo) -> (SnapshotId, BlobId, BlobId) {
    let (ids, written) = write(
        repo,
        &[(BlobType::Data, &[DATA]), (BlobType::Tree, &[TREE])],
    )
    .unwrap();
    assert_eq!(written.bytes_added as usize, DATA.len() + TREE.len());
    let (snapshot, outcome) = commit(repo, ids[1], written).unwrap();
    assert_eq!(outcome, CommitOutcome::Committed);
    (snapshot, ids[0], ids[1])
}

fn reads(repo: &Repo, kind: BlobType, id: &BlobId, plain: &[u8]) -> bool {
    match repo.read_blob(kind, id) {
        Ok(found) => {
            assert_eq!(found, plain);
            true
        }
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Denied, "{e}");
            false
        }
    }
}

/// What `role` reads of a backup: its snapshot, its trees, its data.
fn can_read(place: &Place, role: Role, backup: &(SnapshotId, BlobId, BlobId)) -> [bool; 4] {
    let repo = place.open(role).unwrap();
    let (snapshot, data, tree) = backup;
    let denied = |e: repo_core::Error| assert_eq!(e.kind(), ErrorKind::Denied, "{e}");
    let summaries = repo.live_snapshots();
    let (_, sealed) = summaries.iter().find(|(id, _)| id == snapshot).unwrap();
    [
        repo.open_summary(snapshot, sealed).map_err(denied).is_ok(),
        repo.load_snapshot(snapshot).map_err(denied).is_ok(),
        reads(&repo, BlobType::Tree, tree, TREE),
        reads(&repo, BlobType::Data, data, DATA),
    ]
}

#[test]
fn a_writer_backs_up_what_only_others_read() {
    let place = Place::new();
    for role in [Role::Writer, Role::Prune, Role::Read] {
        place.add(role);
    }
    let writer = place.open(Role::Writer).unwrap();
    let backup = back_up(&writer);
    assert_eq!(can_read(&place, Role::Full, &backup), [true; 4]);
    assert_eq!(can_read(&place, Role::Read, &backup), [true; 4]);
    assert_eq!(
        can_read(&place, Role::Prune, &backup),
        [true, true, true, false]
    );
    assert_eq!(can_read(&place, Role::Writer, &backup), [false; 4]);
    place.full.refresh().unwrap();
    let snapshot = place.full.load_snapshot(&backup.0).unwrap();
    assert_eq!(snapshot.writer, writer.writer());
}

#[test]
fn what_a_full_holder_backs_up_a_writer_neither_reads_nor_stores_again() {
    let place = Place::new();
    place.add(Role::Writer);
    place.add(Role::Prune);
    let backup = back_up(&place.full);
    assert_eq!(can_read(&place, Role::Writer, &backup), [false; 4]);
    assert_eq!(
        can_read(&place, Role::Prune, &backup),
        [true, true, true, false]
    );
    let writer = place.open(Role::Writer).unwrap();
    let (ids, written) = write(&writer, &[(BlobType::Data, &[DATA])]).unwrap();
    assert_eq!(
        (ids[0], written.bytes_added, written.hits.len()),
        (backup.1, 0, 1)
    );
}

/// A bundle holds what the table of `docs/format.md` says, and nothing else.
#[test]
fn slots_open_to_the_keys_of_their_role() {
    let place = Place::new();
    for (role, holds, lacks) in [
        (Role::Writer, KeyKind::Index, KeyKind::MetaWrap),
        (Role::Prune, KeyKind::MetaSecret, KeyKind::DataSecret),
        (Role::Read, KeyKind::DataSecret, KeyKind::Root),
    ] {
        let opened = place.add(role);
        assert!(opened.holder.ring.has(holds, 0), "{role:?} {holds:?}");
        assert!(!opened.holder.ring.has(lacks, 0), "{role:?} {lacks:?}");
        assert!(opened.holder.ring.admin().is_err(), "{role:?}");
        assert_eq!(opened.repo.writer(), opened.holder.signer.public());
    }
}

fn every_action() -> Vec<Action> {
    let snapshots = vec![SnapshotId([1; 32])];
    let hash = EntryHash([2; 32]);
    let object = ObjectRef {
        kind: ObjectKind::Data,
        id: [3; 32],
    };
    vec![
        Action::Settings(Box::default()),
        Action::Publish { index: vec![] },
        Action::Commit {
            snapshot: SnapshotId([4; 32]),
            index: vec![],
            reprieve: vec![],
            summary: vec![],
        },
        Action::Forget {
            snapshots: snapshots.clone(),
        },
        Action::Unforget {
            snapshots: snapshots.clone(),
            reprieve: vec![],
        },
        Action::Condemn {
            packs: vec![PackId([3; 32])],
            objects: vec![],
            index_add: vec![],
            reprieve: vec![],
        },
        Action::Deleting {
            objects: vec![object],
            index_drop: vec![IndexId([5; 32])],
            index_add: vec![],
            reprieve: vec![],
            fenced: vec![],
        },
        Action::Evidence {
            evidence: EvidenceId([6; 32]),
        },
        Action::Waiting {
            condemn: hash,
            nonces: vec![],
            forgotten: snapshots,
        },
        Action::Fence { fenced: vec![] },
        Action::Void {
            entries: vec![EntryAt { number: 1, hash }],
        },
        Action::Roles {
            members: vec![],
            removed: vec![],
        },
        Action::Terms {
            snapshots: vec![SnapshotId([1; 32])],
            protected_until: Some(Timestamp::new(1, 0)),
            expires: None,
        },
        Action::Promote { generation: 1 },
    ]
}

/// Which kinds of `every_action` count if a holder of that role signs them, as a word of one letter each.
fn allowed(role: Role) -> String {
    every_action()
        .into_iter()
        .map(|action| {
            let place = Place::new();
            let Opened { holder, .. } = place.add(role);
            let before = place.full.state();
            let may = before.may_write(&holder.signer.public(), &action);
            let nothing_said = matches!(&action, Action::Publish { .. } | Action::Fence { .. });
            place.append(&holder.signer, action);
            let after = place.full.state();
            assert_eq!(
                after.tail().number,
                before.tail().number + 1,
                "it keeps its number"
            );
            let without_tail = |state: &repo_core::log::State| {
                let tables: Vec<_> = state.tables().map(|(id, _)| *id).collect();
                let live: Vec<_> = state.live_snapshots().map(|(id, _)| *id).collect();
                let condemned: Vec<_> = state.condemned().map(|(id, _)| *id).collect();
                let deleted: Vec<_> = state.deleted().map(|(object, _)| object).collect();
                let evidence = state.evidence().count();
                let waiting = (state.waiting().count(), state.terms(&SnapshotId([1; 32])));
                (
                    tables,
                    live,
                    condemned,
                    deleted,
                    evidence,
                    waiting,
                    state.members().len(),
                    state.settings().is_some(),
                )
            };
            if !may && !nothing_said {
                assert_eq!(
                    without_tail(&before),
                    without_tail(&after),
                    "a void entry has no effect"
                );
            }
            if may { '+' } else { '-' }
        })
        .collect()
}

#[test]
fn entries_count_as_their_signer_may_write_them() {
    // Settings Publish Commit Forget Unforget Condemn Deleting Evidence Waiting Fence Void Roles Terms Promote
    assert_eq!(allowed(Role::Full), "-+++++++++--++");
    assert_eq!(allowed(Role::Writer), "-++----+------");
    assert_eq!(allowed(Role::Prune), "-+-+++++++----");
    assert_eq!(allowed(Role::Read), "-------+------");
}

/// A holder that may not commit is told so, and not that its backup stands.
#[test]
fn a_backup_that_would_not_count_fails() {
    for role in [Role::Prune, Role::Read] {
        let place = Place::new();
        let Opened { repo, .. } = place.add(role);
        let result = write(
            &repo,
            &[(BlobType::Data, &[DATA]), (BlobType::Tree, &[TREE])],
        )
        .and_then(|(ids, written)| commit(&repo, ids[1], written));
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Denied, "{role:?}");
        assert_eq!(place.full.live_snapshots().len(), 0);
    }
}

#[test]
fn evidence_of_a_reader_is_read_by_those_who_read_trees() {
    let place = Place::new();
    let Opened { repo, holder } = place.add(Role::Read);
    let evidence = Evidence {
        kind: 1,
        begun: Timestamp::new(1, 0),
        ended: Timestamp::new(2, 0),
        host: "host".into(),
        program: "program".into(),
        entry: 2,
        packs_read: vec![],
        wanted: vec![PackId([1; 32])],
        problems: 1,
        ext: vec![],
    };
    let body = codec::encode(&evidence);
    let id = repo
        .save_record(ObjectKind::Evidence, RecordType::Evidence, &body)
        .unwrap();
    place.append(
        &holder.signer,
        Action::Evidence {
            evidence: EvidenceId(id),
        },
    );
    assert_eq!(place.full.state().evidence().count(), 1);
    let opened = place
        .full
        .load_record(ObjectKind::Evidence, &id, RecordType::Evidence)
        .unwrap();
    assert_eq!(opened.signer, Some(holder.signer.public()));
    assert_eq!(codec::decode::<Evidence>(&opened.body).unwrap(), evidence);
    let writer = place.add(Role::Writer).repo;
    let error = writer
        .load_record(ObjectKind::Evidence, &id, RecordType::Evidence)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}
