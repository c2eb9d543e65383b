//! A prune that was stopped while it rewrote packs goes on from the copies that it had written.

use super::prune::{assert_right, forget, prune_with, thorough};
use super::support::*;
use crate::ops::{PruneOptions, prune};
use crate::progress::Interrupt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn what_was_copied_before_a_stop_is_not_copied_again() {
    let bed = Bed::new();
    for n in 0..240u64 {
        bed.write(&format!("{n}"), &noise(n, 100_000));
    }
    let repo = bed.open();
    let first = bed.backup(&repo).unwrap().snapshot.unwrap();
    for n in (0..240u64).step_by(3) {
        bed.remove(&format!("{n}"));
    }
    let second = (bed.backup(&repo).unwrap().snapshot.unwrap(), bed.tree());
    forget(&repo, &[first]);
    let plan = |repo| {
        let dry = PruneOptions {
            dry_run: true,
            ..thorough()
        };
        prune_with(repo, &dry).unwrap().plan
    };
    let whole = plan(&repo);
    let interrupt = Arc::new(Interrupt::new());
    let (puts, stop) = (AtomicUsize::new(0), Arc::clone(&interrupt));
    let backend = Meanwhile::before(&bed.place, "data", u32::MAX, move |_| {
        if puts.fetch_add(1, Ordering::Relaxed) == 3 {
            stop.set();
        }
    });
    let stopped = bed.open_on(Arc::new(backend)).unwrap();
    assert!(prune(&stopped, &thorough(), &Listener::default(), &interrupt).is_err());
    let repo = bed.open();
    let left = plan(&repo);
    let copied = whole.writes_bytes - left.writes_bytes;
    assert!(left.writes_bytes > 0);
    assert!(copied >= 3 << 19, "{copied} of {}", whole.writes_bytes);
    prune_with(&repo, &thorough()).unwrap();
    assert_right(&bed, &[&second]);
}
