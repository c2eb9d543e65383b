//! Sync: checkpoints come behind the entries that they are of, and none that is damaged.

use super::support::*;
use super::sync::{content, mirror, run};
use crate::backend::wrap::Faults;
use crate::backend::{Backend, MemoryBackend};
use crate::format::name;
use crate::ops::{SyncOptions, sync};
use crate::progress::Interrupt;
use std::sync::Arc;

/// A home with a log that long, and a checkpoint.
fn home(entries: u64) -> Bed {
    let bed = Bed::new();
    let repo = bed.open();
    while repo.state().tail().number < entries {
        bed.write("file", &noise(repo.state().tail().number, 500));
        bed.backup(&repo).unwrap();
    }
    bed
}

fn checkpoint(place: &MemoryBackend) -> String {
    names(place, name::CHECKPOINTS).pop().unwrap()
}

#[test]
fn a_check_finds_nothing_wherever_a_sync_was_stopped() {
    let bed = home(6);
    let before = MemoryBackend::new();
    mirror(&bed.place, &before).unwrap();
    let repo = bed.open();
    for n in 0..12 {
        bed.write("file", &noise(100 + n, 500));
        bed.backup(&repo).unwrap();
    }
    checkpoint(&bed.place);
    for write in 0.. {
        let to = before.fork();
        let faults = Faults::crash_after(Arc::new(to.clone()), write);
        let (options, listener) = (SyncOptions::default(), Listener::default());
        let done = sync(
            &bed.place,
            &faults,
            None,
            &options,
            &listener,
            &Interrupt::new(),
        );
        assert_clean(&bed.open_anew(Arc::new(to), &password()).unwrap());
        if done.is_ok() {
            assert!(write > 20, "{write}");
            break;
        }
    }
}

/// With a key any damage is seen; without one what lies in the open.
#[test]
fn a_damaged_checkpoint_goes_nowhere() {
    let bed = home(18);
    let name = checkpoint(&bed.place);
    let whole = bed.place.get(&name).unwrap();
    let repo = bed.open();
    let damaged = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let last = whole.len() - 1;
    for (bytes, open) in [
        (damaged(0), true),
        (whole[..10].to_vec(), true),
        (damaged(last), false),
    ] {
        bed.place.put(&name, &bytes).unwrap();
        for by in [None, Some(&repo)] {
            if by.is_none() && !open {
                continue;
            }
            let to = MemoryBackend::new();
            let (done, problems) = run(&bed.place, &to, by, false);
            assert_eq!((done.unwrap().problems, problems.len()), (1, 1));
            assert!(problems[0].contains(&name), "{problems:?}");
            assert!(to.size(&name).unwrap().is_none());
            // Nor over a whole one.
            to.put(&name, &whole).unwrap();
            let (done, problems) = run(&bed.place, &to, by, true);
            assert_eq!((done.unwrap().problems, problems.len()), (1, 1));
            assert_eq!(to.get(&name).unwrap(), whole);
        }
    }
}

#[test]
fn reading_everything_finds_a_checkpoint_that_is_damaged_there() {
    let bed = home(18);
    let to = MemoryBackend::new();
    mirror(&bed.place, &to).unwrap();
    let name = checkpoint(&bed.place);
    let repo = bed.open();
    for at in [0, 200] {
        to.corrupt(&name, |bytes| bytes[at] ^= 1);
        let dry = SyncOptions {
            dry_run: true,
            read_data: true,
        };
        let listener = Listener::default();
        let found = sync(
            &bed.place,
            &to,
            Some(&repo),
            &dry,
            &listener,
            &Interrupt::new(),
        );
        assert_eq!(found.unwrap().log_damaged, 1);
        // Without a key nobody can tell which of two that come apart is right.
        let (done, problems) = run(&bed.place, &to, None, true);
        let is_open = at == 0;
        assert_eq!(
            done.unwrap().log_damaged,
            u64::from(is_open),
            "{problems:?}"
        );
        assert_eq!(problems.len(), usize::from(!is_open), "{problems:?}");
        let (done, problems) = run(&bed.place, &to, Some(&repo), true);
        let done = done.unwrap();
        assert_eq!((done.log_damaged, problems.len()), (u64::from(!is_open), 0));
        assert_eq!(content(&to), content(&bed.place));
    }
}
