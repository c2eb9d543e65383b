//! States to checkpoints and back.

use super::set::random_set;
use super::*;
use crate::error::ErrorKind;
use crate::format::checkpoint::{Checkpoint, StateKind};
use crate::format::codec;
use crate::id::{EntryHash, StateId, WriterId};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Tables = BTreeMap<StateId, Vec<u8>>;

/// Makes a checkpoint, through its bytes, and says how many tables were saved.
fn write(state: &State, previous: Option<&Checkpoint>, tables: &mut Tables) -> (Checkpoint, usize) {
    let before = tables.len();
    let mut save = |_: StateKind, body: Vec<u8>| {
        // As if sealed: the same rows never get the same name twice.
        let id = StateId::from(blake3::hash(&codec::encode(&(tables.len() as u64, &body))));
        tables.insert(id, body);
        Ok(id)
    };
    let checkpoint = state.to_checkpoint(previous, &mut save).unwrap();
    let bytes = codec::encode(&checkpoint);
    (codec::decode(&bytes).unwrap(), tables.len() - before)
}

fn read(checkpoint: &Checkpoint, tables: &Tables) -> State {
    let mut load = |_, id: &StateId| Ok(tables[id].clone());
    State::from_checkpoint(ADMIN, checkpoint, &mut load).unwrap()
}

/// A class A log of random entries.
fn random_log(choices: &[(u8, u8)]) -> Vec<SignedEntry> {
    let mut log = Log::new();
    let mut entries = vec![entry(1, vec![], ADMIN, None, first_action())];
    for &(what, n) in choices {
        let action = match what % 9 {
            0 | 1 => commit(n % 8, vec![pack(n % 5)]),
            2 => Action::Forget {
                snapshots: vec![snapshot(n % 8)],
            },
            3 => Action::Unforget {
                snapshots: vec![snapshot(n % 8)],
                reprieve: vec![pack(n % 5)],
            },
            4 => condemn(vec![pack(n % 8), pack(n % 5)]),
            5 => deleting(vec![data(n % 16)], vec![]),
            6 => terms(n % 8, n),
            7 => Action::Promote {
                generation: u64::from(n),
            },
            _ => Action::Evidence {
                evidence: crate::id::EvidenceId([n; 32]),
            },
        };
        let next = log.next(ADMIN, action);
        log.state.apply(&next).unwrap();
        entries.push(next);
    }
    entries
}

fn applied(mut state: State, entries: &[SignedEntry]) -> State {
    for entry in entries {
        state.apply(entry).unwrap();
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_checkpoint_and_the_rest_are_the_whole(
        choices in prop::collection::vec(any::<(u8, u8)>(), 1..40),
        at in any::<prop::sample::Index>(),
    ) {
        let entries = random_log(&choices);
        let (before, rest) = entries.split_at(1 + at.index(entries.len()));
        let half = applied(State::new(ADMIN, Class::A), before);
        let mut tables = Tables::new();
        let (checkpoint, _) = write(&half, None, &mut tables);
        let restored = read(&checkpoint, &tables);
        prop_assert_eq!(&restored, &half);
        let whole = applied(State::new(ADMIN, Class::A), &entries);
        prop_assert_eq!(applied(restored, rest), whole);
    }

    #[test]
    fn a_checkpoint_of_a_set_and_the_rest_are_the_whole(
        choices in prop::collection::vec(any::<(u8, u8, u8)>(), 0..24),
        at in any::<prop::sample::Index>(),
    ) {
        let set = random_set(&choices);
        // A reader sees what was put before it looked; what is in doubt then is left out.
        let seen = &set[..2 + at.index(set.len() - 1)];
        let doubt = super::set::folded(seen).in_doubt().clone();
        let settled: Vec<_> = seen.iter().filter(|s| !doubt.contains(&s.hash)).collect();
        // Nor can what follows the first one be folded; what follows others lacks them, and then there is no checkpoint yet.
        let Ok(Some(half)) = State::new(ADMIN, Class::C).fold(settled) else { return Ok(()) };
        if !half.may_prune() { return Ok(()) }
        // What an entry in doubt had settled may be in doubt without it; then there is no checkpoint yet.
        if !half.in_doubt().is_empty() { return Ok(()) }
        let mut tables = Tables::new();
        let (checkpoint, _) = write(&half, None, &mut tables);
        let restored = read(&checkpoint, &tables);
        prop_assert_eq!(&restored, &half);
        let whole = super::set::folded(&set);
        let Some(again) = restored.fold(&set).unwrap() else { return Ok(()) };
        // Who saw an entry before its process was fenced knows that it stands; who did not, doubts it.
        if half.entries.values().all(|row| !whole.in_doubt().contains(&row.hash)) {
            prop_assert_eq!(again, whole);
        }
    }
}

/// A state with many rows: `count` snapshots, and as many deleted packs.
fn large(count: u64) -> State {
    let mut log = Log::new();
    for n in 0..count {
        let id = |what: u64| *blake3::hash(&codec::encode(&(what, n))).as_bytes();
        let commit = Action::Commit {
            snapshot: SnapshotId(id(1)),
            index: vec![IndexId(id(2))],
            reprieve: vec![],
            summary: vec![7; 200],
        };
        log.add(ADMIN, commit);
        let gone = ObjectRef {
            kind: ObjectKind::Data,
            id: id(3),
        };
        log.add(ADMIN, deleting(vec![gone], vec![]));
    }
    log.state
}

#[test]
fn a_checkpoint_rewrites_little() {
    let state = large(8_000);
    let mut tables = Tables::new();
    let (first, written) = write(&state, None, &mut tables);
    assert!((10..100).contains(&written), "{written} tables");
    assert_eq!(read(&first, &tables), state);
    let again = write(&state, Some(&first), &mut tables);
    assert_eq!(again.1, 0);
    // Forgetting one in the middle and adding some at the end changes a few tables only.
    let mut log = Log { state };
    let middle = log
        .state
        .live_snapshots()
        .find(|(_, row)| row.number > 8_000);
    let middle = *middle.unwrap().0;
    let gone = ObjectRef {
        kind: ObjectKind::Snapshot,
        id: middle.0,
    };
    log.add(ADMIN, deleting(vec![gone], vec![]));
    for n in 0..10 {
        log.add(ADMIN, commit(n, vec![]));
    }
    let (second, written) = write(&log.state, Some(&first), &mut tables);
    assert!(written <= 6, "{written} tables");
    assert_eq!(read(&second, &tables), log.state);
    let largest = tables.values().map(Vec::len).max().unwrap();
    assert!(
        largest <= crate::format::checkpoint::STATE_BYTES_MAX,
        "{largest}"
    );
}

#[test]
fn a_table_that_is_another_is_noticed() {
    let state = large(800);
    let mut tables = Tables::new();
    let (checkpoint, _) = write(&state, None, &mut tables);
    let body = tables.values_mut().next().unwrap();
    *body = codec::encode(&Vec::<u8>::new());
    let mut load = |_, id: &StateId| Ok(tables[id].clone());
    let error = State::from_checkpoint(ADMIN, &checkpoint, &mut load).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[test]
fn only_some_may_write_checkpoints() {
    let roles = entry(1, vec![], ADMIN, None, first_action());
    let state = applied(State::new(ADMIN, Class::A), std::slice::from_ref(&roles));
    let (checkpoint, _) = write(&state, None, &mut Tables::new());
    let check = |signer: WriterId, heads: &[EntryHash], roles: &SignedEntry| {
        check_checkpoint(&checkpoint, &signer, &ADMIN, heads, roles).is_ok()
    };
    let heads = [roles.hash];
    let may = Role::ALL.map(|role| check(writer_of(role), &heads, &roles));
    assert_eq!(may, [true, false, true, false]);
    assert!(check(ADMIN, &heads, &roles));
    assert!(!check(WriterId([9; 32]), &heads, &roles));
    assert!(!check(ADMIN, &[EntryHash([9; 32])], &roles));
    let forged = entry(1, vec![], writer_of(Role::Writer), None, first_action());
    assert!(!check(writer_of(Role::Full), &heads, &forged));
}

#[test]
fn what_is_not_settled_stays_out_of_checkpoints() {
    let mut log = Log::new();
    log.state
        .note_unreadable(2, EntryHash([1; 32]), Unreadable::Damaged)
        .unwrap();
    let error = log
        .state
        .to_checkpoint(None, &mut |_, _| unreachable!())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
