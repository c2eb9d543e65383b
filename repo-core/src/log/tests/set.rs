//! Class C: sets of entries.

use super::*;
use crate::error::{ErrorKind, Subject};
use crate::format::settings::Settings;
use proptest::prelude::*;
use std::collections::BTreeSet;

const W: [u8; 16] = [1; 16];

/// Class C: a log whose first entries are `Roles` and a commit; returns them and what the next ones follow.
fn set_begun() -> (Vec<SignedEntry>, State) {
    let base = State::new(ADMIN, Class::C);
    let roles = entry(1, vec![], ADMIN, None, first_action());
    let first = entry(
        2,
        vec![roles.hash],
        writer_of(Role::Writer),
        None,
        commit(0, vec![]),
    );
    let set = vec![roles, first];
    let state = base.fold(&set).unwrap().unwrap();
    (set, state)
}

fn after(state: &State, role: Role, process: [u8; 16], action: Action) -> SignedEntry {
    let tail = state.tail();
    entry(
        tail.number + 1,
        tail.heads.clone(),
        writer_of(role),
        Some(process),
        action,
    )
}

/// The same by the admin key.
fn by_admin(state: &State, action: Action) -> SignedEntry {
    let tail = state.tail();
    entry(tail.number + 1, tail.heads.clone(), ADMIN, None, action)
}

pub(super) fn folded(set: &[SignedEntry]) -> State {
    State::new(ADMIN, Class::C).fold(set).unwrap().unwrap()
}

#[test]
fn an_entry_that_a_deletion_had_not_seen_is_void() {
    let (mut set, state) = set_begun();
    let early = after(&state, Role::Writer, W, commit(1, vec![]));
    set.push(early.clone());
    let state = folded(&set);
    assert!(state.in_doubt().is_empty());
    let fenced = state.fenced_now(&[W]);
    assert_eq!(fenced[0].seen, [early.hash]);
    set.push(after(
        &state,
        Role::Prune,
        [2; 16],
        Action::Fence { fenced },
    ));
    let fenced_state = folded(&set);
    let late = after(&state, Role::Writer, W, commit(2, vec![]));
    set.push(late.clone());
    let doubt = folded(&set);
    assert_eq!(doubt.in_doubt(), &BTreeSet::from([late.hash]));
    assert_eq!(doubt.tables_in_doubt().collect::<Vec<_>>(), [&table(2)]);
    let cut = fenced_state.cut_off_now(&[2; 16]);
    set.push(after(
        &fenced_state,
        Role::Prune,
        [2; 16],
        deleting(vec![], cut),
    ));
    let state = folded(&set);
    assert!(state.is_live(&snapshot(1)), "seen before the fence");
    assert!(!state.is_live(&snapshot(2)) && !state.has_table(&table(2)));
    assert!(state.in_doubt().is_empty() && state.is_fenced(&W));
}

#[test]
fn deletion_waits_for_those_who_were_at_work() {
    let (mut set, state) = set_begun();
    let condemned = after(&state, Role::Prune, [2; 16], condemn(vec![pack(1)]));
    set.push(condemned.clone());
    let state = folded(&set);
    assert_eq!(state.waiting().count(), 0);
    let waiting = Action::Waiting {
        condemn: condemned.hash,
        nonces: vec![W],
        forgotten: vec![],
    };
    set.push(after(&state, Role::Prune, [2; 16], waiting));
    let state = folded(&set);
    let rows: Vec<_> = state.waiting().map(|(_, row)| row).collect();
    assert_eq!(rows[0].condemn, condemned.hash);
    assert_eq!(condemned_of(&state, &rows), BTreeSet::from([pack(1)]));
    let at = |nonce, expired, deletes| Announced {
        nonce,
        expired,
        deletes,
    };
    let blockers =
        |list: &[Announced]| deletion_blockers(&state, rows.iter().copied(), list, &[3; 16]);
    assert!(blockers(&[at([3; 16], false, true), at([4; 16], false, false)]).none());
    assert_eq!(blockers(&[at(W, false, false)]).at_work, [W]);
    assert_eq!(blockers(&[at(W, true, false)]).dead, [W]);
    assert_eq!(blockers(&[at([4; 16], false, true)]).at_work, [[4; 16]]);
}

#[test]
fn a_missing_entry_is_noticed() {
    let (mut set, state) = set_begun();
    set.push(after(&state, Role::Writer, W, commit(1, vec![])));
    let state = folded(&set);
    set.push(after(&state, Role::Writer, W, commit(2, vec![])));
    let missing = set.remove(2);
    let number = missing.entry.number;
    let lacking = folded(&set);
    let rows: Vec<_> = lacking.unreadable().collect();
    assert_eq!(rows, [(number, Unreadable::Missing)]);
    assert_eq!(lacking.barrier(), Some(number));
    lacking.refuse_unreadable().unwrap_err();
    // Cleared it counts for nothing, and comes into force if it is there again.
    let void = Action::Void {
        entries: lacking.to_void(),
    };
    set.push(after(&lacking, Role::Full, W, void.clone()));
    assert_eq!(folded(&set).barrier(), Some(number));
    set.pop();
    set.push(by_admin(&lacking, void));
    let cleared = folded(&set);
    assert_eq!((cleared.barrier(), cleared.may_prune()), (None, true));
    assert!(!cleared.is_live(&snapshot(1)) && cleared.is_live(&snapshot(2)));
    set.push(missing);
    assert!(folded(&set).is_live(&snapshot(1)));
    // Without the first one nobody may write.
    set.remove(0);
    let error = State::new(ADMIN, Class::C).fold(&set).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert_eq!(*error.subject(), Subject::Entry(1));
}

#[test]
fn of_concurrent_entries_the_keeping_one_wins() {
    let (mut set, state) = set_begun();
    let forget = Action::Forget {
        snapshots: vec![snapshot(0)],
    };
    let unforget = Action::Unforget {
        snapshots: vec![snapshot(0)],
        reprieve: vec![],
    };
    set.push(after(&state, Role::Prune, [2; 16], forget.clone()));
    set.push(after(&state, Role::Prune, [3; 16], unforget));
    let both = folded(&set);
    assert!(both.is_live(&snapshot(0)));
    set.push(after(&both, Role::Prune, [2; 16], forget));
    assert!(!folded(&set).is_live(&snapshot(0)));
}

#[test]
fn of_concurrent_roles_the_revoking_one_wins() {
    let (mut set, state) = set_begun();
    let without = |gone: Role| {
        let members = members().into_iter().filter(|m| m.role != gone).collect();
        let removed = vec![];
        let tail = state.tail();
        let roles = Action::Roles { members, removed };
        entry(tail.number + 1, tail.heads.clone(), ADMIN, None, roles)
    };
    set.extend([without(Role::Writer), without(Role::Read)]);
    let roles: Vec<Role> = folded(&set).members().iter().map(|m| m.role).collect();
    assert_eq!(roles, [Role::Full, Role::Prune]);
}

#[test]
fn a_late_change_of_roles_asks_for_a_fold_from_the_beginning() {
    let (set, state) = set_begun();
    let members = members()
        .into_iter()
        .filter(|m| m.role != Role::Writer)
        .collect();
    let action = Action::Roles {
        members,
        removed: vec![],
    };
    let late = entry(2, vec![set[0].hash], ADMIN, None, action);
    assert_eq!(state.fold([&late]).unwrap(), None);
    let all = folded(&[&set[..], &[late]].concat());
    assert!(
        all.is_live(&snapshot(0)),
        "it has the same number and stands"
    );
}

#[test]
fn a_place_turns_out_weaker_and_is_mended() {
    let mut log = Log::new();
    let mut set = vec![entry(1, vec![], ADMIN, None, first_action())];
    set.push(log.next(writer_of(Role::Writer), commit(1, vec![])));
    log.by(Role::Writer, commit(1, vec![]));
    set.push(log.next(writer_of(Role::Writer), Action::Class(Class::C)));
    log.by(Role::Writer, Action::Class(Class::C));
    let state = State::new(ADMIN, Class::A).fold(&set).unwrap().unwrap();
    assert_eq!(state.class(), Class::C);
    let (two, three) = (commit(2, vec![]), commit(3, vec![]));
    set.extend([
        after(&state, Role::Writer, W, two),
        after(&state, Role::Full, [3; 16], three),
    ]);
    let state = State::new(ADMIN, Class::A).fold(&set).unwrap().unwrap();
    assert_eq!((state.tail().number, state.tail().heads.len()), (4, 2));
    let tail = state.tail().clone();
    let mended = entry(5, tail.heads, ADMIN, None, Action::Class(Class::A));
    let next = entry(6, vec![mended.hash], ADMIN, None, commit(4, vec![]));
    let stray = after(&state, Role::Writer, W, commit(5, vec![]));
    set.extend([next, stray, mended]);
    let state = State::new(ADMIN, Class::A).fold(&set).unwrap().unwrap();
    assert_eq!((state.class(), state.tail().number), (Class::A, 6));
    let live: Vec<_> = state.live_snapshots().map(|(id, _)| *id).collect();
    assert_eq!(live, [1, 2, 3, 4].map(snapshot));
}

/// Random sets of concurrent entries: each process folds some of what is there and appends something.
pub(super) fn random_set(choices: &[(u8, u8, u8)]) -> Vec<SignedEntry> {
    let (mut set, _) = set_begun();
    let mut views: [usize; 3] = [set.len(); 3];
    for &(who, what, arg) in choices {
        let process = usize::from(who % 3);
        if what % 4 == 0 {
            views[process] = set.len();
        }
        let state = folded(&set[..views[process]]);
        let n = arg % 4;
        let action = match what % 13 {
            0 | 1 => commit(n, vec![pack(arg % 3)]),
            2 => Action::Forget {
                snapshots: vec![snapshot(n)],
            },
            3 => Action::Unforget {
                snapshots: vec![snapshot(n)],
                reprieve: vec![pack(n)],
            },
            4 | 5 => condemn(vec![pack(n)]),
            6 => deleting(vec![data(n)], state.cut_off_now(&[who % 3; 16])),
            7 => Action::Fence {
                fenced: state.fenced_now(&[[(who % 3 + 1) % 3; 16]]),
            },
            8 => Action::Settings(Box::new(Settings {
                level: i32::from(n),
                ..Settings::default()
            })),
            9 => Action::Waiting {
                condemn: set[usize::from(arg) % set.len()].hash,
                nonces: vec![[n; 16]],
                forgotten: vec![],
            },
            10 => terms(n, arg),
            11 => Action::Promote {
                generation: u64::from(arg),
            },
            _ => Action::Publish {
                index: vec![table(n)],
            },
        };
        let tail = state.tail();
        let follows = tail.heads.clone();
        set.push(entry(
            tail.number + 1,
            follows,
            ADMIN,
            Some([who % 3; 16]),
            action,
        ));
    }
    set
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_set_folds_to_one_state_in_any_order(
        choices in prop::collection::vec(any::<(u8, u8, u8)>(), 0..24),
        seed in any::<u64>(),
    ) {
        let set = random_set(&choices);
        let mut shuffled = set.clone();
        let mut random = seed | 1;
        for at in (1..shuffled.len()).rev() {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            shuffled.swap(at, (random >> 33) as usize % (at + 1));
        }
        prop_assert_eq!(folded(&set), folded(&shuffled));
    }
}
