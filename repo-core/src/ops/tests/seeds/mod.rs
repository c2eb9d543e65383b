//! Every operation at places that fail by chance: nothing is lost, none hangs, and each ends in success or a clear error.
//!
//! `LARDER_SEEDS=FROM..TO` says which seeds; a failure names its own and tells what happened. A seed fixes the operations and the odds of each.
//! Names are others in each run, and what is asked in their order strikes others with them: it may take some runs to see a failure again.
//! `scripts/faults` runs many.

mod place;
mod steps;

use super::support::*;
use crate::backend::random;
use crate::id::SnapshotId;
use crate::ops::{
    Harm, RECOVERED_TAG, REPAIRED_TAG, RepairIndexOptions, RepairLogOptions, repair_index,
    repair_log,
};
use crate::progress::{Interrupt, Silent};
use crate::snapshot::{Filter, list};
use place::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// So many operations have faults.
const STEPS: u64 = 8;

/// Whoever takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was done so far, as far as the answers tell.
struct Run {
    kind: Kind,
    bed: Bed,
    /// Where copies go.
    other: Bed,
    random: u64,
    /// What a backup has said is there, and what was backed up.
    made: BTreeMap<SnapshotId, Tree>,
    /// What a copy has said is there.
    copied: BTreeMap<SnapshotId, Tree>,
    /// Sources of backups that failed: they may be there all the same.
    tried: Vec<Tree>,
    /// What somebody has tried to forget.
    forgotten: BTreeSet<SnapshotId>,
    /// What somebody has tried to replace by another form.
    replaced: BTreeSet<SnapshotId>,
    /// The first forms of those that replaced others.
    first_forms: BTreeMap<SnapshotId, SnapshotId>,
    struck: u64,
    /// What happened, for whoever looks for the reason of a failure.
    story: Arc<Mutex<Vec<String>>>,
}

/// Where a sequence of its own begins.
fn seeded(mut seed: u64) -> u64 {
    random::next(&mut seed)
}

impl Run {
    fn new(seed: u64, story: Arc<Mutex<Vec<String>>>) -> Self {
        let kind = Kind::ALL[(seed % Kind::ALL.len() as u64) as usize];
        let mut random = seeded(seed * (STEPS + 1));
        let mut bed = Bed::empty();
        bed.place = kind.place();
        bed.cached = random::next(&mut random).is_multiple_of(3);
        let repo = bed.init(Arc::new(bed.place.clone())).unwrap();
        let mut run = Self {
            kind,
            bed,
            other: Bed::new(),
            random,
            made: BTreeMap::new(),
            copied: BTreeMap::new(),
            tried: Vec::new(),
            forgotten: BTreeSet::new(),
            replaced: BTreeSet::new(),
            first_forms: BTreeMap::new(),
            struck: 0,
            story,
        };
        for _ in 0..2 {
            run.change();
            run.back_up(&repo).unwrap();
        }
        run
    }

    fn tell(&self, what: impl Into<String>) {
        self.story.lock().unwrap().push(what.into());
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

    /// Those that nobody has tried to forget or replace; if there are none, some.
    fn standing(&self) -> Vec<SnapshotId> {
        let gone = |id: &SnapshotId| self.forgotten.contains(id) || self.replaced.contains(id);
        let standing: Vec<_> = self.made.keys().copied().filter(|id| !gone(id)).collect();
        match standing.is_empty() {
            true => self.made.keys().copied().collect(),
            false => standing,
        }
    }

    fn first_form(&self, id: &SnapshotId) -> SnapshotId {
        *self.first_forms.get(id).unwrap_or(id)
    }

    fn one_standing(&mut self) -> SnapshotId {
        let standing = self.standing();
        standing[self.below(standing.len() as u64) as usize]
    }

    /// Panics if anything is lost that was said to be there. What a place of class C keeps of an entry is cleared first, and where a place lies
    /// twice about a pack the index is repaired once more, as whoever runs into it is told.
    fn assert_nothing_lost(&self) {
        if self.kind == Kind::Weak || self.kind == Kind::LyingWeak {
            for bed in [&self.bed, &self.other] {
                let options = RepairLogOptions::default();
                repair_log(&bed.open(), &options, &Silent, &Interrupt::new()).unwrap();
            }
        }
        if self.kind.lies() {
            for bed in [&self.bed, &self.other] {
                let options = RepairIndexOptions::default();
                repair_index(&bed.open(), &options, &Silent, &Interrupt::new()).unwrap();
            }
        }
        let known: Vec<&Tree> = self.made.values().chain(&self.tried).collect();
        let live = assert_whole(&self.bed, &self.bed, &self.made, &known);
        let first: BTreeSet<SnapshotId> = live.values().copied().collect();
        for id in self.made.keys() {
            let replaced = self.replaced.contains(id) && first.contains(&self.first_form(id));
            let there = live.contains_key(id) || replaced;
            assert!(there || self.forgotten.contains(id), "{id:?} is gone");
        }
        let copies = assert_whole(&self.bed, &self.other, &self.copied, &known);
        for id in self.copied.keys() {
            assert!(copies.contains_key(id), "the copy {id:?} is gone");
        }
    }
}

/// Panics unless every live snapshot of `at` restores to what it was made of, or else to one of `known`, and a check finds nothing at risk. Gives the
/// live ones with their first forms.
fn assert_whole(
    source: &Bed,
    at: &Bed,
    made: &BTreeMap<SnapshotId, Tree>,
    known: &[&Tree],
) -> BTreeMap<SnapshotId, SnapshotId> {
    let backend = Arc::new(at.place.clone());
    let repo = at.open_anew(backend, &password()).unwrap();
    let mut live = BTreeMap::new();
    for info in list(&repo, &Filter::default()).snapshots {
        live.insert(info.id, info.first_form());
        // What a place that misled left of something; the check looks at it.
        let rest = |tag: &String| tag == RECOVERED_TAG || tag == REPAIRED_TAG;
        if info.summary.tags.iter().any(rest) {
            continue;
        }
        let restored = source.restore(&repo, &info.id).unwrap();
        assert_eq!(restored.problems, [""; 0]);
        match made.get(&info.id) {
            Some(tree) => assert_same(&restored.tree, tree),
            None => assert!(known.contains(&&restored.tree), "made of nothing"),
        }
    }
    assert_eq!(
        live.len(),
        repo.live_snapshots().len(),
        "not all are listed"
    );
    let at_risk = |finding: &&crate::ops::Finding| finding.harm == Harm::AtRisk;
    let found = check_all(&repo).findings;
    let errors: Vec<String> = found
        .iter()
        .filter(at_risk)
        .map(|finding| finding.error.to_string())
        .collect();
    assert_eq!(errors, [""; 0]);
    live
}

/// What a seed came to: the faults that struck, and the operations that failed.
fn run(seed: u64, story: Arc<Mutex<Vec<String>>>) -> (u64, usize) {
    let mut run = Run::new(seed, story);
    let mut failed = 0;
    for step in 1..=STEPS {
        // Whatever the steps before came to, this one is the same.
        run.random = seeded(seed * (STEPS + 1) + step);
        if let Err(e) = run.step() {
            run.tell(format!("ended with: {e}"));
            run.kind.assert_clear(&e);
            failed += 1;
        }
    }
    run.assert_nothing_lost();
    (run.struck, failed)
}

/// Runs a seed on a thread of its own, which may hang. What went wrong, and what went before.
fn run_watched(seed: u64) -> Result<(u64, usize), String> {
    let story = Arc::new(Mutex::new(Vec::new()));
    let (tx, rx) = sync_channel(1);
    let told = story.clone();
    std::thread::spawn(move || {
        let _ = tx.send(catch_unwind(AssertUnwindSafe(|| run(seed, told))));
    });
    let why = match rx.recv_timeout(PATIENCE) {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(panic)) => match panic.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "it panicked".to_owned(),
        },
        Err(_) => "it hangs".to_owned(),
    };
    let story = story.lock().unwrap().join("\n");
    let next = seed + 1;
    Err(format!("{story}\n{why}\nLARDER_SEEDS={seed}..{next}\n"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says which seeds"
)]
fn seeds() -> Range<u64> {
    let given = std::env::var("LARDER_SEEDS").unwrap_or_else(|_| "0..250".into());
    let (from, to) = given.split_once("..").expect("LARDER_SEEDS=FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn whatever_a_place_answers_nothing_is_lost() {
    let (mut struck, mut failed, mut wrong) = (0, 0, Vec::new());
    for seed in seeds() {
        match run_watched(seed) {
            Ok((faults, errors)) => {
                struck += faults;
                failed += errors;
            }
            Err(why) => wrong.push(why),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(struck > 0 && failed > 0, "{struck} faults, {failed} errors");
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in 0..5 {
        let steps = || {
            let story = Arc::new(Mutex::new(Vec::new()));
            run(seed, story.clone());
            let mut told = story.lock().unwrap().clone();
            told.retain(|line: &String| line.contains("times as often"));
            told
        };
        let first = steps();
        assert_eq!(first.len() as u64, STEPS);
        assert_eq!(first, steps(), "seed {seed}");
    }
}
