//! Class A: entry by entry.

use super::*;
use crate::error::{ErrorKind, Subject};
use crate::format::entry::EntryAt;
use crate::id::EntryHash;

#[test]
fn a_chain_is_checked() {
    let mut state = State::new(ADMIN, Class::A);
    let by_other = entry(1, vec![], writer_of(Role::Full), None, first_action());
    assert_eq!(
        state.apply(&by_other).unwrap_err().kind(),
        ErrorKind::Damaged
    );
    let first = entry(1, vec![], ADMIN, None, first_action());
    assert_eq!(state.apply(&first).unwrap(), Outcome::Applied);
    let skips = entry(3, vec![first.hash], ADMIN, None, condemn(vec![]));
    let forks = entry(2, vec![EntryHash([9; 32])], ADMIN, None, condemn(vec![]));
    for wrong in [skips, forks, first.clone()] {
        let before = state.clone();
        assert_eq!(state.apply(&wrong).unwrap_err().kind(), ErrorKind::Damaged);
        assert_eq!(state, before);
    }
}

#[test]
fn roles_say_who_may_write_what() {
    let void = Outcome::Void(VoidReason::NotAllowed);
    let cases = [
        (commit(1, vec![]), [true, true, false, false]),
        (condemn(vec![pack(1)]), [true, false, true, false]),
        (deleting(vec![data(1)], vec![]), [true, false, true, false]),
        (
            Action::Forget { snapshots: vec![] },
            [true, false, true, false],
        ),
        (Action::Settings(Box::default()), [false; 4]),
        (Action::Class(Class::A), [false; 4]),
        (Action::Void { entries: vec![] }, [false; 4]),
        (
            Action::Terms {
                snapshots: vec![],
                protected_until: None,
                expires: None,
            },
            [true, false, false, false],
        ),
        (
            Action::Promote { generation: 1 },
            [true, false, false, false],
        ),
        (first_action(), [false; 4]),
    ];
    for (action, expected) in cases {
        for (role, may) in Role::ALL.into_iter().zip(expected) {
            let mut log = Log::new();
            let before = log.state.clone();
            assert_eq!(log.state.may_write(&writer_of(role), &action), may);
            let outcome = log.by(role, action.clone());
            assert_eq!(outcome == Outcome::Applied, may, "{role:?} {action:?}");
            if outcome == void {
                log.state.tail = before.tail.clone();
                assert_eq!(log.state, before, "a void entry has an effect");
            }
        }
        assert_eq!(Log::new().add(ADMIN, action), Outcome::Applied);
    }
}

#[test]
fn a_revoked_writer_commits_no_more() {
    let mut log = Log::new();
    assert_eq!(log.by(Role::Writer, commit(1, vec![])), Outcome::Applied);
    let members = members()
        .into_iter()
        .filter(|m| m.role != Role::Writer)
        .collect();
    log.add(
        ADMIN,
        Action::Roles {
            members,
            removed: vec![],
        },
    );
    assert_ne!(log.by(Role::Writer, commit(2, vec![])), Outcome::Applied);
    assert!(log.state.is_live(&snapshot(1)) && !log.state.is_live(&snapshot(2)));
}

#[test]
fn a_pack_is_condemned_reprieved_and_deleted() {
    let mut log = Log::new();
    assert_eq!(log.state.pack_state(&pack(1)), PackState::Live);
    log.by(Role::Prune, condemn(vec![pack(1), pack(2)]));
    assert_eq!(log.state.pack_state(&pack(1)), PackState::Condemned);
    log.by(Role::Writer, commit(1, vec![pack(1)]));
    assert_eq!(log.state.pack_state(&pack(1)), PackState::Live);
    log.by(Role::Prune, deleting(vec![data(2)], vec![]));
    assert_eq!(log.state.pack_state(&pack(2)), PackState::Deleting);
    log.by(Role::Writer, commit(2, vec![pack(2)]));
    assert_eq!(log.state.pack_state(&pack(2)), PackState::Deleting);
    assert_eq!(log.state.condemned().count(), 0);
}

#[test]
fn a_snapshot_is_forgotten_and_wanted_again() {
    let mut log = Log::new();
    log.by(Role::Writer, commit(1, vec![]));
    let forget = Action::Forget {
        snapshots: vec![snapshot(1)],
    };
    let unforget = Action::Unforget {
        snapshots: vec![snapshot(1)],
        reprieve: vec![],
    };
    log.by(Role::Prune, forget.clone());
    assert_eq!(log.state.forgotten_snapshots().count(), 1);
    log.by(Role::Prune, unforget.clone());
    assert!(log.state.is_live(&snapshot(1)));
    log.by(Role::Prune, forget);
    let gone = ObjectRef {
        kind: ObjectKind::Snapshot,
        id: snapshot(1).0,
    };
    log.by(Role::Prune, deleting(vec![gone], vec![]));
    log.by(Role::Prune, unforget);
    assert!(log.state.snapshot(&snapshot(1)).is_none());
}

#[test]
fn unreadable_entries_stop_prune_until_they_are_voided() {
    let mut log = Log::new();
    let hash = EntryHash([7; 32]);
    log.state
        .note_unreadable(2, hash, Unreadable::Damaged)
        .unwrap();
    assert!(log.state.may_append() && !log.state.may_prune());
    let refused = log.state.refuse_unreadable().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Damaged);
    log.by(Role::Writer, commit(1, vec![]));
    let void = Action::Void {
        entries: vec![EntryAt { number: 2, hash }],
    };
    assert_ne!(log.by(Role::Full, void.clone()), Outcome::Applied);
    assert!(!log.state.may_prune());
    log.add(ADMIN, void);
    assert!(log.state.may_prune());
    log.state.refuse_unreadable().unwrap();
    let number = log.state.tail().number;
    log.state
        .note_unreadable(number + 1, EntryHash([8; 32]), Unreadable::Newer)
        .unwrap();
    assert!(!log.state.may_append());
    // That no clearing helps is said first.
    let (number, hash) = (log.state.tail().number + 1, EntryHash([6; 32]));
    log.state
        .note_unreadable(number, hash, Unreadable::Damaged)
        .unwrap();
    let refused = log.state.refuse_unreadable().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert_eq!(refused.subject(), &Subject::Entry(number - 1));
}

#[test]
fn a_void_clears_what_it_names_and_nothing_that_is_like_it() {
    let mut log = Log::new();
    let hash = EntryHash([7; 32]);
    let damaged = |log: &mut Log| {
        let number = log.state.tail().number + 1;
        log.state
            .note_unreadable(number, hash, Unreadable::Damaged)
            .unwrap();
        EntryAt { number, hash }
    };
    let (first, second) = (damaged(&mut log), damaged(&mut log));
    assert_eq!(log.state.to_void(), [first, second]);
    log.add(
        ADMIN,
        Action::Void {
            entries: vec![first],
        },
    );
    assert_eq!(log.state.to_void(), [second]);
    // One that is to come: nobody can know it.
    let number = log.state.tail().number + 2;
    log.add(
        ADMIN,
        Action::Void {
            entries: vec![second, EntryAt { number, hash }],
        },
    );
    log.state.refuse_unreadable().unwrap();
    let third = damaged(&mut log);
    assert_eq!(third.number, number);
    assert_eq!(log.state.to_void(), [third]);
    assert!(log.state.ends_unreadable());
}
