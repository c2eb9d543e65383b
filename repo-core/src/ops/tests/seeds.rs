//! Backups, forgets, prunes, unforgets and restores at a place that fails by chance: nothing is lost, and each ends in success or an error.
//!
//! `LARDER_SEEDS=FROM..TO` says which seeds; a failure names its own, which replays it.

use super::prune::{prune_with, thorough};
use super::support::*;
use crate::backend::wrap::{Fault, Faults, Operation, Retry, RetryOptions, Rule};
use crate::backend::{Backend, Class, MemoryBackend, MemoryOptions, random};
use crate::error::Result;
use crate::id::SnapshotId;
use crate::ops::{MaxUnused, PruneOptions, forget_ids, unforget};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;

/// What any place may do.
const FAULTS: [Fault; 13] = [
    Fault::Before(ErrorKind::TimedOut),
    Fault::Before(ErrorKind::ConnectionReset),
    Fault::Before(ErrorKind::PermissionDenied),
    Fault::Before(ErrorKind::StorageFull),
    Fault::Before(ErrorKind::Other),
    Fault::After(ErrorKind::TimedOut),
    Fault::After(ErrorKind::ConnectionReset),
    Fault::After(ErrorKind::Other),
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Truncated,
    Fault::Flipped,
    Fault::Absent,
];

/// So many operations have faults.
const STEPS: usize = 8;

/// What was done so far, as far as the answers tell.
struct Run {
    bed: Bed,
    random: u64,
    class: Class,
    /// What a backup has said is there, and what was backed up.
    made: BTreeMap<SnapshotId, Tree>,
    /// Sources of backups that failed: they may be there all the same.
    tried: Vec<Tree>,
    /// What somebody has tried to forget.
    forgotten: BTreeSet<SnapshotId>,
    struck: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let class = match seed % 4 {
            3 => Class::C,
            _ => Class::A,
        };
        let mut bed = Bed::empty();
        bed.place = MemoryBackend::with(MemoryOptions {
            class,
            ..MemoryOptions::default()
        });
        let repo = bed.init(Arc::new(bed.place.clone())).unwrap();
        let mut run = Self {
            bed,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            class,
            made: BTreeMap::new(),
            tried: Vec::new(),
            forgotten: BTreeSet::new(),
            struck: 0,
        };
        for _ in 0..2 {
            run.change();
            run.back_up(&repo).unwrap();
        }
        run
    }

    fn below(&mut self, bound: u64) -> u64 {
        random::next(&mut self.random) % bound
    }

    /// Another source: of some content that was there before.
    fn change(&mut self) {
        for _ in 0..=self.below(3) {
            let (name, content) = (self.below(5), self.below(20));
            let len = 1000 + 20_000 * self.below(5) as usize;
            let name = format!("dir{}/file{name}", name % 2);
            self.bed.write(&name, &noise(content, len));
        }
    }

    fn faults(&mut self) -> Arc<Faults> {
        let (seed, often) = (self.below(u64::MAX), [2, 10, 40][self.below(3) as usize]);
        let mut kinds = FAULTS.to_vec();
        if self.class == Class::C {
            kinds.push(Fault::Torn);
        }
        let faults = Faults::new(Arc::new(self.bed.place.clone())).chance(seed, often, &kinds);
        let lazy = Rule::new(Fault::Ignored).on(&[Operation::Delete]);
        Arc::new(match self.below(4) {
            0 => faults.rule(lazy.times(u64::MAX).every(2)),
            _ => faults,
        })
    }

    /// One operation of a process of its own.
    fn step(&mut self) -> Result<()> {
        let faults = self.faults();
        let quick = RetryOptions {
            tries_max: 4,
            pause_ms: 0,
            pause_ms_max: 0,
            first_tries_max: 4,
        };
        let backend: Arc<dyn Backend> = Arc::new(Retry::new(faults.clone(), quick));
        let done = self.operate(backend);
        self.struck += faults.struck();
        done
    }

    fn operate(&mut self, backend: Arc<dyn Backend>) -> Result<()> {
        let what = self.below(10);
        if what < 4 {
            self.change();
        }
        let repo = self.bed.open_on(backend)?;
        match what {
            0..4 => self.back_up(&repo),
            4 => {
                let live = self.standing();
                let id = live[self.below(live.len() as u64) as usize];
                self.forgotten.insert(id);
                forget_ids(&repo, &[id]).map(drop)
            }
            5 => {
                let ids: Vec<SnapshotId> = self.forgotten.iter().copied().collect();
                let known = |id: &&SnapshotId| repo.state().snapshot(id).is_some();
                let ids: Vec<SnapshotId> = ids.iter().filter(known).copied().collect();
                unforget(&repo, &ids, &Silent, &Interrupt::new()).map(drop)
            }
            6..9 => {
                let all = self.below(2) == 0;
                let options = PruneOptions {
                    max_unused: match all {
                        true => MaxUnused::Bytes(0),
                        false => MaxUnused::Percent(20.0),
                    },
                    repack_small: self.below(2) == 0,
                    ..thorough()
                };
                prune_with(&repo, &options).map(drop)
            }
            _ => self.restore(&repo),
        }
    }

    /// Those that nobody has tried to forget; at least one.
    fn standing(&self) -> Vec<SnapshotId> {
        let made = self.made.keys();
        let standing = made.filter(|id| !self.forgotten.contains(id));
        let standing: Vec<SnapshotId> = standing.copied().collect();
        match standing.is_empty() {
            true => self.made.keys().copied().collect(),
            false => standing,
        }
    }

    fn back_up(&mut self, repo: &Repo) -> Result<()> {
        let tree = self.bed.tree();
        let (listener, interrupt) = (Listener::default(), Interrupt::new());
        let made = self.bed.backup_with(repo, &listener, &interrupt);
        assert_eq!(listener.problems(), [""; 0]);
        match made {
            Ok(made) => {
                self.made.insert(made.snapshot.unwrap(), tree);
                Ok(())
            }
            Err(e) => {
                self.tried.push(tree);
                Err(e)
            }
        }
    }

    fn restore(&mut self, repo: &Repo) -> Result<()> {
        let live = self.standing();
        let id = live[self.below(live.len() as u64) as usize];
        let restored = self.bed.restore(repo, &id)?;
        if restored.problems.is_empty() {
            assert_same(&restored.tree, &self.made[&id]);
        }
        Ok(())
    }

    /// Whether a failed backup may have made that; on class C an unforget makes another form of what was there.
    fn is_of_tried(&self, tree: &Tree) -> bool {
        let again = self.class == Class::C && self.made.values().any(|made| made == tree);
        again || self.tried.contains(tree)
    }

    /// Panics if anything is lost that was said to be there.
    fn assert_nothing_lost(&self) {
        let backend = Arc::new(self.bed.place.clone());
        let repo = self.bed.open_anew(backend, &password()).unwrap();
        let live: BTreeSet<SnapshotId> = repo.live_snapshots().iter().map(|(id, _)| *id).collect();
        for id in self.made.keys() {
            assert!(live.contains(id) || self.forgotten.contains(id), "{id:?}");
        }
        for id in &live {
            let restored = self.bed.restore(&repo, id).unwrap();
            assert_eq!(restored.problems, [""; 0]);
            match self.made.get(id) {
                Some(tree) => assert_same(&restored.tree, tree),
                None => assert!(self.is_of_tried(&restored.tree), "made of nothing"),
            }
        }
        assert_clean(&repo);
    }
}

/// Gives the faults that struck, and the operations that failed.
fn run(seed: u64) -> (u64, usize) {
    let mut run = Run::new(seed);
    let mut failed = 0;
    for _ in 0..STEPS {
        if let Err(e) = run.step() {
            assert!(!e.to_string().is_empty());
            failed += 1;
        }
    }
    run.assert_nothing_lost();
    (run.struck, failed)
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says which seeds"
)]
fn seeds() -> Range<u64> {
    let given = std::env::var("LARDER_SEEDS").unwrap_or_else(|_| "0..60".into());
    let (from, to) = given.split_once("..").expect("LARDER_SEEDS=FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn whatever_a_place_answers_nothing_is_lost() {
    let (mut struck, mut failed) = (0, 0);
    for seed in seeds() {
        let done = std::panic::catch_unwind(|| run(seed));
        let (faults, errors) = done.unwrap_or_else(|_| panic!("LARDER_SEEDS={seed}..{}", seed + 1));
        struck += faults;
        failed += errors;
    }
    assert!(struck > 0 && failed > 0, "{struck} faults, {failed} errors");
}
