//! Finding the end of a log, and reading it in few reads.

use super::*;
use crate::crypto::{Keyring, Secret, Signer};
use crate::error::{ErrorKind, Result};
use crate::format::entry::{Entry, encode_file, hash};
use crate::format::envelope::Envelopes;
use crate::id::RepositoryId;
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

    fn read(&self) -> impl FnMut(u64) -> Result<Option<Vec<u8>>> + '_ {
        |number| Ok(self.files.get(number as usize - 1).cloned())
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
            let mut found = find_tail(known, &mut read).unwrap();
            assert_eq!(found.tail, len, "from {known}");
            let cores = found.cores(known + 1, len, &mut read).unwrap();
            assert_eq!(cores, log.cores[known as usize..len as usize]);
        }
    }
}

#[test]
fn a_client_that_was_away_reads_little() {
    let log = Stored::new(10_005, 0);
    let mut read = log.read();
    assert_eq!(find_tail(10_005, &mut read).unwrap().reads, 1);
    // The group's end is absent, so the tail is searched for inside of the group.
    let mut near = find_tail(10_001, &mut read).unwrap();
    near.cores(10_002, 10_005, &mut read).unwrap();
    assert!(near.reads <= 6, "{}", near.reads);
    let mut far = find_tail(5, &mut read).unwrap();
    assert!(far.reads <= 25, "{}", far.reads);
    assert!(far.reads_from(6) > 500);
    // With a checkpoint at the newest place for one, hardly anything is left to read.
    let checkpoint = far.checkpoints(5).next().unwrap();
    assert_eq!(checkpoint, 10_000);
    let probes = far.reads;
    far.cores(checkpoint, far.tail, &mut read).unwrap();
    assert!(far.reads <= probes + 2, "{}", far.reads - probes);
    // Without one, a read for each sixteen entries.
    let cores = far.cores(6, far.tail, &mut read).unwrap();
    assert!(far.reads <= 10_005 / 16 + 30, "{}", far.reads);
    assert_eq!(cores, log.cores[5..]);
}

#[test]
fn long_entries_are_read_one_by_one() {
    let log = Stored::new(40, 5_000);
    let mut found = find_tail(0, &mut log.read()).unwrap();
    assert_eq!(found.cores(1, 40, &mut log.read()).unwrap(), log.cores);
    assert!(found.reads <= 14 + 6, "{}", found.reads);
    let file = |n: usize| {
        crate::format::entry::decode_file(&log.files[n - 1])
            .unwrap()
            .1
            .len()
    };
    assert_eq!(
        (file(1), file(5), file(16), file(17), file(32)),
        (0, 4, 6, 0, 6)
    );
}

#[test]
fn a_damaged_file_is_no_loss_while_a_later_one_repeats_it() {
    let mut log = Stored::new(20, 0);
    log.files[17][60] ^= 1;
    let mut found = find_tail(16, &mut log.read()).unwrap();
    assert_eq!(
        found.cores(17, 20, &mut log.read()).unwrap(),
        log.cores[16..]
    );
}

#[test]
fn what_does_not_open_is_stepped_over() {
    let mut log = Stored::new(18, 0);
    // Nothing repeats the core of 16.
    log.files[15][60] ^= 1;
    let mut found = find_tail(0, &mut log.read()).unwrap();
    let cores = found.cores(1, 18, &mut log.read()).unwrap();
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
            entries: vec![hash(&log.cores[15])],
        },
    );
    state.apply_cores(&log.cores[18..], &log.open()).unwrap();
    assert!(state.may_prune());
}

#[test]
fn a_hole_is_an_error() {
    let log = Stored::new(40, 40_000);
    let mut read = |n: u64| Ok(log.files.get(n as usize - 1).filter(|_| n != 20).cloned());
    let mut found = find_tail(30, &mut read).unwrap();
    let error = found.cores(17, 40, &mut read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Missing);
}
