//! Breadth-first search through all states of a model.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

/// One step, for traces: who did what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Which process, `w0`, `g1` and so on.
    pub who: (char, u8),
    /// What it did.
    pub what: &'static str,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}.{}", self.who.0, self.who.1, self.what)
    }
}

/// A system of processes whose steps are atomic.
///
/// A crash needs no step of its own: a process that never takes another one is a crashed one, and every interleaving is looked
/// at.
pub trait Model {
    /// A state of the system.
    type Node: Clone;

    /// The state it begins in.
    fn start(&mut self) -> Self::Node;

    /// Every state that one step leads to.
    fn next(&mut self, node: &Self::Node, found: &mut Vec<(Step, Self::Node)>);

    /// What is wrong with a state, if anything.
    fn violation(&mut self, node: &Self::Node) -> Option<&'static str>;

    /// All that distinguishes a state from others.
    fn encode(&self, node: &Self::Node, bytes: &mut Vec<u8>);
}

/// Where a search stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// After so many states.
    pub states: usize,
    /// So many steps from the beginning.
    pub steps: usize,
}

/// How a search ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many different states were seen.
    pub states: usize,
    /// How many steps the farthest is from the beginning.
    pub depth: usize,
    /// Whether all states were looked at.
    pub complete: bool,
    /// The shortest way to a state that must not be, and what is wrong with it.
    pub violation: Option<(&'static str, Vec<Step>)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            states,
            depth,
            complete,
            violation,
        } = self;
        match violation {
            None if *complete => write!(f, "safe: {states} states, {depth} steps deep"),
            None => write!(
                f,
                "no violation in the first {states} states, {depth} steps deep"
            ),
            Some((what, trace)) => {
                write!(f, "{what} after {} steps, {states} states:", trace.len())?;
                trace.iter().try_for_each(|step| write!(f, " {step}"))
            }
        }
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let first = bytes.first_chunk().expect("keys have sixteen bytes");
        self.0 = u64::from_le_bytes(*first);
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// Looks at every state within the limits. Memory: about 40 bytes a state, and the states of one depth.
///
/// States are told apart by 128 bits of their BLAKE3 hash; that two of ten million collide has a probability below 10⁻²⁴.
pub fn search<M: Model>(model: &mut M, limits: Limits) -> Report {
    let mut seen: HashSet<u128, BuildHasherDefault<Identity>> = HashSet::default();
    let mut came_from: Vec<(u32, Step)> = Vec::new();
    let mut queue: VecDeque<(u32, u32, M::Node)> = VecDeque::new();
    let mut bytes = Vec::new();
    let mut found = Vec::new();
    let start = model.start();
    model.encode(&start, &mut bytes);
    seen.insert(key_of(&bytes));
    came_from.push((
        0,
        Step {
            who: ('-', 0),
            what: "start",
        },
    ));
    queue.push_back((0, 0, start));
    let mut report = Report {
        states: 0,
        depth: 0,
        complete: true,
        violation: None,
    };
    while let Some((index, steps, node)) = queue.pop_front() {
        (report.depth, report.states) = (steps as usize, seen.len());
        if let Some(what) = model.violation(&node) {
            report.violation = Some((what, trace(&came_from, index)));
        }
        if report.violation.is_some() || report.states > limits.states {
            report.complete = false;
            return report;
        }
        if report.depth == limits.steps {
            report.complete = false;
            continue;
        }
        model.next(&node, &mut found);
        for (step, next) in found.drain(..) {
            bytes.clear();
            model.encode(&next, &mut bytes);
            if seen.insert(key_of(&bytes)) {
                queue.push_back((came_from.len() as u32, steps + 1, next));
                came_from.push((index, step));
            }
        }
    }
    report
}

fn key_of(bytes: &[u8]) -> u128 {
    let hash = blake3::hash(bytes);
    u128::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

fn trace(came_from: &[(u32, Step)], mut index: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    while index != 0 {
        let (before, step) = came_from[index as usize];
        steps.push(step);
        index = before;
    }
    steps.reverse();
    steps
}
