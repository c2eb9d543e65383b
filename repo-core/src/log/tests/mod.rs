//! Tests of the fold and of the checks, one rule each.

mod chain;
mod checkpoint;
mod checks;
mod set;
mod tail;

use super::testing::*;
use super::*;
use crate::backend::Class;
use crate::crypto::Role;
use crate::format::entry::{Action, Fenced, ObjectRef, SignedEntry};
use crate::format::name::ObjectKind;
use crate::id::{BlobId, IndexId, PackId, SnapshotId};

fn pack(n: u8) -> PackId {
    PackId([n; 32])
}

fn snapshot(n: u8) -> SnapshotId {
    SnapshotId([0x50 + n; 32])
}

fn blob(n: u8) -> BlobId {
    BlobId([0xb0 + n; 32])
}

fn table(n: u8) -> IndexId {
    IndexId([0x20 + n; 32])
}

fn data(n: u8) -> ObjectRef {
    ObjectRef {
        kind: ObjectKind::Data,
        id: pack(n).0,
    }
}

fn commit(n: u8, reprieve: Vec<PackId>) -> Action {
    Action::Commit {
        snapshot: snapshot(n),
        index: vec![table(n)],
        reprieve,
        summary: vec![n],
    }
}

fn condemn(packs: Vec<PackId>) -> Action {
    Action::Condemn {
        packs,
        objects: vec![],
        index_add: vec![],
        reprieve: vec![],
    }
}

/// Terms of one snapshot; which depends on `n`.
fn terms(id: u8, n: u8) -> Action {
    let at = |n| (n > 0).then(|| crate::time::Timestamp::new(i64::from(n), 0));
    Action::Terms {
        snapshots: vec![snapshot(id)],
        protected_until: at(n % 3),
        expires: at(n / 3 % 3),
    }
}

fn deleting(objects: Vec<ObjectRef>, fenced: Vec<Fenced>) -> Action {
    Action::Deleting {
        objects,
        index_drop: vec![],
        index_add: vec![],
        reprieve: vec![],
        fenced,
    }
}

/// A class A log under way.
struct Log {
    state: State,
}

impl Log {
    fn new() -> Self {
        let mut log = Self {
            state: State::new(ADMIN, Class::A),
        };
        log.add(ADMIN, first_action());
        log
    }

    fn next(&self, signer: crate::id::WriterId, action: Action) -> SignedEntry {
        let tail = self.state.tail();
        entry(tail.number + 1, tail.heads.clone(), signer, None, action)
    }

    fn add(&mut self, signer: crate::id::WriterId, action: Action) -> Outcome {
        let next = self.next(signer, action);
        self.state.apply(&next).unwrap()
    }

    fn by(&mut self, role: Role, action: Action) -> Outcome {
        self.add(writer_of(role), action)
    }
}
