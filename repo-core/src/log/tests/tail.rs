//! Finding the end of a log, and reading it in few reads.

use super::*;
use crate::crypto::{Keyring, Secret, Signer};
use crate::error::Result;
use crate::format::entry::{Entry, EntryAt, decode_file, encode_file, hash};
use crate::format::envelope::Envelopes;
use crate::id::{EntryHash, RepositoryId};
use crate::time::Timestamp;

/// A class A log as it is stored: file `n` at `n - 1`.
struct Stored {
    envelopes: Envelopes,
    admin: Signer,
    files: Vec<Vec<u8>>,
    cores: Vec<Vec<u8>>,
}

impl Stored {
    /// `len` entries, the first of them `Roles`, with `padding` bytes in each.
    fn new(len: u64, padding: usize) -> Self {
        let ring = Keyring::from_root(&Secret::new([1; 32]), 0, &[0]);
        let mut log = Self {
            envelopes: Envelopes::new(ring, RepositoryId([2; 32])),
            admin: Signer::from_seed(&Secret::new([3; 32])),
            files: Vec::new(),
            cores: Vec::new(),
        };
        for number in 1..=len {
            let action = match number {
                1 => first_action(),
                _ => Action::Commit {
                    snapshot: snapshot((number % 100) as u8),
                    index: vec![],
                    reprieve: vec![],
                    summary: vec![0; padding],
                },
            };
            log.push(number, action);
        }
        log
    }

    fn push(&mut self, number: u64, action: Action) {
        let entry = Entry {
            number,
            nonce: [0; 16],
            follows: self
                .cores
                .last()
                .map(|core| hash(core))
                .into_iter()
                .collect(),
            time: Timestamp::default(),
            process: None,
            action: Some(action),
        };
        let core = entry.seal(&self.envelopes, &self.admin).unwrap();
        let cores = &self.cores;
        let catch_up = catch_up_for(number, &|n| cores.get(n as usize - 1).map(Vec::as_slice));
        self.files.push(encode_file(&core, &catch_up));
        self.cores.push(core);
    }

    /// Leaves the entries alone in their files.
    fn repeat_nothing(&mut self) {
        self.files = self
            .cores
            .iter()
            .map(|core| encode_file(core, &[]))
            .collect();
    }

    fn read(&self) -> impl FnMut(u64) -> Result<Option<Vec<u8>>> + '_ {
        |number| Ok(self.files.get(number as usize - 1).cloned())
    }

    fn prove(&self) -> impl Fn(u64, &[u8]) -> Result<Option<Vec<EntryHash>>> + '_ {
        |number, core| {
            let opened = Entry::open(&self.envelopes, core).ok();
            let right = opened.filter(|signed| signed.entry.number == number);
            Ok(right.map(|signed| signed.entry.follows))
        }
    }

    /// The cores from a number up to another one, all there.
    fn all(&self, from: u64, to: u64) -> Vec<Option<Vec<u8>>> {
        let cores = &self.cores[from as usize - 1..to as usize];
        cores.iter().cloned().map(Some).collect()
    }

    fn open(&self) -> impl Fn(&[u8]) -> Result<SignedEntry> + '_ {
        |core| Entry::open(&self.envelopes, core)
    }
}

#[test]
fn the_tail_is_found_wherever_it_is() {
    let log = Stored::new(150, 0);
    for len in 0..=150 {
        for known in (0..=len).step_by(7).chain([len]) {
            let mut read = |n: u64| Ok((n <= len).then(|| log.files[n as usize - 1].clone()));
            for hint in [0, len / 2, len, len + 5] {
                let mut found = find_tail(known, hint, &mut read).unwrap();
                assert_eq!(found.tail, len, "from {known}, guessed {hint}");
                let cores = found.cores(known + 1, &mut read, &log.prove()).unwrap();
                assert_eq!(cores, log.all(known + 1, len));
            }
        }
    }
}

#[test]
fn the_log_says_what_it_went_through() {
    let log = Stored::new(40, 0);
    for (tail, number) in [(40, 32), (32, 32), (33, 32), (40, 39), (40, 40)] {
        let mut read = |n: u64| Ok((n <= tail).then(|| log.files[n as usize - 1].clone()));
        let mut found = find_tail(tail - 1, 0, &mut read).unwrap();
        let heads = found.heads_at(number, &mut read, &log.prove()).unwrap();
        assert_eq!(heads, Some(vec![hash(&log.cores[number as usize - 1])]));
        let beyond = found.heads_at(tail + 1, &mut read, &log.prove());
        assert_eq!(beyond.unwrap(), None);
    }
}

#[test]
fn a_client_that_was_away_reads_little() {
    let log = Stored::new(10_005, 0);
    let mut read = log.read();
    assert_eq!(find_tail(10_005, 0, &mut read).unwrap().reads, 1);
    assert_eq!(find_tail(0, 10_005, &mut read).unwrap().reads, 2);
    // The group's end is absent, so the tail is searched for inside of the group.
    let mut near = find_tail(10_001, 0, &mut read).unwrap();
    near.cores(10_002, &mut read, &log.prove()).unwrap();
    assert!(near.reads <= 6, "{}", near.reads);
    let mut far = find_tail(5, 0, &mut read).unwrap();
    assert!(far.reads <= 25, "{}", far.reads);
    assert!(far.reads_from(6) > 500);
    // With a checkpoint at the newest place for one, hardly anything is left to read.
    let checkpoint = far.checkpoints(5).next().unwrap();
    assert_eq!(checkpoint, 10_000);
    let probes = far.reads;
    far.cores(checkpoint, &mut read, &log.prove()).unwrap();
    assert!(far.reads <= probes + 2, "{}", far.reads - probes);
    // Without one, a read for each sixteen entries.
    let cores = far.cores(6, &mut read, &log.prove()).unwrap();
    assert!(far.reads <= 10_005 / 16 + 30, "{}", far.reads);
    assert_eq!(cores, log.all(6, 10_005));
}

#[test]
fn long_entries_are_read_one_by_one() {
    let log = Stored::new(40, 5_000);
    let mut found = find_tail(0, 0, &mut log.read()).unwrap();
    let cores = found.cores(1, &mut log.read(), &log.prove()).unwrap();
    assert_eq!(cores, log.all(1, 40));
    assert!(found.reads <= 14 + 6, "{}", found.reads);
    let file = |n: usize| {
        crate::format::entry::decode_file(&log.files[n - 1])
            .unwrap()
            .1
            .len()
    };
    assert_eq!(
        (file(1), file(5), file(16), file(17), file(32)),
        (0, 4, 6, 1, 6)
    );
}

#[test]
fn a_damaged_file_is_no_loss_while_a_later_one_repeats_it() {
    let mut log = Stored::new(20, 0);
    log.files[17][60] ^= 1;
    let mut found = find_tail(16, 0, &mut log.read()).unwrap();
    let cores = found.cores(17, &mut log.read(), &log.prove()).unwrap();
    assert_eq!(cores, log.all(17, 20));
}

#[test]
fn any_file_that_repeats_an_entry_is_enough() {
    let log = Stored::new(40, 0);
    for number in [4, 16, 17, 31, 32] {
        let repeaters = number + 1..=(number / 16 + 1) * 16;
        for whole in repeaters.clone().filter(|n| *n <= 40) {
            let mut files = log.files.clone();
            files[number as usize - 1] = b"garbage".to_vec();
            for other in repeaters.clone().filter(|n| *n != whole && *n <= 40) {
                let (core, repeated) = decode_file(&log.files[other as usize - 1]).unwrap();
                let mut repeated: Vec<Vec<u8>> = repeated.iter().map(|c| c.to_vec()).collect();
                let at = repeated.len() - (other - number) as usize;
                repeated[at][60] ^= 1;
                files[other as usize - 1] = encode_file(core, &repeated);
            }
            let mut read = |n: u64| Ok(files.get(n as usize - 1).cloned());
            let mut found = find_tail(0, 0, &mut read).unwrap();
            let cores = found.cores(1, &mut read, &log.prove()).unwrap();
            assert_eq!(cores, log.all(1, 40), "{number} in {whole}");
        }
    }
}

#[test]
fn what_does_not_open_is_stepped_over() {
    let mut log = Stored::new(18, 0);
    log.repeat_nothing();
    log.files[15][60] ^= 1;
    let mut found = find_tail(0, 0, &mut log.read()).unwrap();
    let cores = found.cores(1, &mut log.read(), &log.prove()).unwrap();
    let mut state = State::new(log.admin.public(), Class::A);
    let entries = state.apply_cores(&cores, &log.open()).unwrap();
    assert_eq!((entries.len(), state.tail().number), (17, 18));
    assert_eq!(
        state.unreadable().collect::<Vec<_>>(),
        [(16, Unreadable::Damaged)]
    );
    log.push(
        19,
        Action::Void {
            entries: vec![EntryAt {
                number: 16,
                hash: hash(&log.cores[15]),
            }],
        },
    );
    state.apply_cores(&log.all(19, 19), &log.open()).unwrap();
    assert!(state.may_prune());
}

#[test]
fn a_missing_file_is_no_loss_while_a_later_one_repeats_it() {
    let log = Stored::new(40, 0);
    for gone in 17..40 {
        let mut read = |n: u64| Ok(log.files.get(n as usize - 1).filter(|_| n != gone).cloned());
        let mut found = find_tail(16, 0, &mut read).unwrap();
        found.tail = 40;
        let cores = found.cores(17, &mut read, &log.prove()).unwrap();
        assert!(cores.iter().all(Option::is_some), "without {gone}");
    }
}

#[test]
fn what_is_missing_and_not_repeated_is_stepped_over() {
    let mut log = Stored::new(18, 0);
    log.repeat_nothing();
    let mut read = |n: u64| Ok(log.files.get(n as usize - 1).filter(|_| n != 16).cloned());
    let mut found = find_tail(0, 0, &mut read).unwrap();
    found.tail = 18;
    let cores = found.cores(1, &mut read, &log.prove()).unwrap();
    let mut state = State::new(log.admin.public(), Class::A);
    let entries = state.apply_cores(&cores, &log.open()).unwrap();
    assert_eq!((entries.len(), state.tail().number), (17, 18));
    let lost: Vec<_> = state.unreadable().collect();
    assert_eq!(lost, [(16, Unreadable::Damaged)]);
}

/// Files that nobody wrote there, behind the log or where its end is looked for.
#[test]
fn what_does_not_belong_there_changes_nothing_before_it() {
    let log = Stored::new(20, 0);
    let other = {
        let mut other = Stored::new(1, 0);
        other.envelopes = Envelopes::new(
            Keyring::from_root(&Secret::new([9; 32]), 0, &[0]),
            RepositoryId([8; 32]),
        );
        (2..=40).for_each(|number| other.push(number, first_action()));
        other
    };
    let foreign = |n: u64| other.files[n as usize - 1].clone();
    let cases: [(u64, Vec<u8>); 7] = [
        (21, foreign(21)),
        (21, log.files[19].clone()),
        (21, vec![7; 5000]),
        (22, vec![7; 5000]),
        (24, foreign(24)),
        (32, foreign(32)),
        (32, vec![]),
    ];
    for (at, file) in cases {
        let mut read = |n: u64| match n == at {
            true => Ok(Some(file.clone())),
            false => Ok(log.files.get(n as usize - 1).cloned()),
        };
        for known in [0, 16, 20] {
            let mut found = find_tail(known, 0, &mut read).unwrap();
            let cores = found.cores(known + 1, &mut read, &log.prove()).unwrap();
            let tail = found.tail;
            // Right behind the log it may be an entry that was damaged.
            assert_eq!(tail, if at == 21 { 21 } else { 20 }, "{at} from {known}");
            assert_eq!(cores[..20 - known as usize], log.all(known + 1, 20));
            assert!(cores.len() as u64 == tail - known);
            if known == 0 {
                let mut state = State::new(log.admin.public(), Class::A);
                assert_eq!(state.apply_cores(&cores, &log.open()).unwrap().len(), 20);
                assert_eq!(state.ends_unreadable(), at == 21);
            }
        }
    }
}
