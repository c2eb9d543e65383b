//! A prune that was stopped while it rewrote packs goes on from the copies that it had written.

use super::prune::{assert_right, forget, prune_with, thorough};
use super::support::*;
use crate::backend::Backend;
use crate::ops::{PruneOptions, prune};
use crate::progress::{Counter, Interrupt, Progress};

fn data_packs(bed: &Bed) -> usize {
    let mut packs = 0;
    let count = &mut |_| {
        packs += 1;
        Ok(())
    };
    bed.place.list("data", count).unwrap();
    packs
}

/// Stops as soon as so many packs are there.
struct StopAt<'a>(&'a Bed, usize, &'a Interrupt);

impl Progress for StopAt<'_> {
    fn count(&self, _: Counter, _: u64) {
        if data_packs(self.0) >= self.1 {
            self.2.set();
        }
    }

    fn problem(&self, path: &std::path::Path, error: &crate::Error) {
        panic!("{}: {error}", path.display());
    }
}

#[test]
fn what_was_copied_before_a_stop_is_not_copied_again() {
    let bed = Bed::new();
    for n in 0..90u64 {
        bed.write(&format!("{n}"), &noise(n, 100_000));
    }
    let repo = bed.open();
    let first = bed.backup(&repo).unwrap().snapshot.unwrap();
    for n in (0..90u64).step_by(3) {
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
    let interrupt = Interrupt::new();
    let stop = StopAt(&bed, data_packs(&bed) + 3, &interrupt);
    assert!(prune(&repo, &thorough(), &stop, &interrupt).is_err());
    let repo = bed.open();
    let left = plan(&repo);
    let copied = whole.writes_bytes - left.writes_bytes;
    assert!(left.writes_bytes > 0);
    assert!(copied >= 3 << 19, "{copied} of {}", whole.writes_bytes);
    prune_with(&repo, &thorough()).unwrap();
    assert_right(&bed, &[&second]);
}
