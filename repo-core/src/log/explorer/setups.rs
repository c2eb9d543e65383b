//! Which processes are put together.

use super::backup::{Job, PARENT, Site, slot};
use super::class_a::ClassA;
use super::class_c::ClassC;
use super::search::{Limits, Report, search};
use super::world::{Log, Pack};
use crate::backend::Class;
use crate::log::mutant::{Rule, without};

/// What takes part.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What to call it.
    pub name: &'static str,
    /// What the place can do.
    pub class: Class,
    /// The backups, three at most.
    pub jobs: Vec<Job>,
    /// How many prunes, two at most.
    pub prunes: u8,
    /// The blobs in pack 0, which is there at the beginning; the first snapshot needs blobs 0 and 1.
    pub first: u8,
    /// The blobs in pack 1, if it is there at the beginning; one table names it and pack 0.
    pub second: u8,
    /// Whether these packs are condemned at the beginning.
    pub condemned: bool,
    /// A pack that an interrupted backup left; it is in no table.
    pub orphan: u8,
    /// Whether the first snapshot is forgotten at some time.
    pub forget: bool,
    /// Whether somebody wants it again.
    pub unforget: bool,
    /// Whether somebody protects the first snapshot while it is not forgotten.
    pub protect: bool,
    /// Whether index tables (class A) and snapshots are objects that are deleted too.
    pub objects: bool,
    /// Class A: whether a thief has a writer's key, and somebody deletes whatever any entry says is deleted.
    pub thief: bool,
    /// Class A: whether somebody without a key mirrors the place, into one where nothing is yet.
    pub mirror: Option<bool>,
    /// Class A: whether the place loses a pack that is not in the mirror yet.
    pub loses: bool,
    /// Class A: whether the place hands over to its mirror, which begins then.
    pub hand_over: bool,
    /// Class C: how many processes at most may be taken for dead.
    pub dead: u32,
    /// Class C: whether a prune may leave the deletion to the next one, by a `Waiting` entry.
    pub resume: bool,
    /// Class C: whether somebody removes whatever entries say is deleted, at any time.
    pub sweep: bool,
}

impl Setup {
    /// Backups and prunes while the first snapshot is forgotten.
    pub fn new(name: &'static str, class: Class, jobs: &[Job], prunes: u8) -> Self {
        Self {
            name,
            class,
            jobs: jobs.to_vec(),
            prunes,
            first: PARENT.holds,
            second: 0,
            condemned: false,
            orphan: 0,
            forget: true,
            unforget: false,
            protect: false,
            objects: false,
            thief: false,
            mirror: None,
            hand_over: false,
            loses: false,
            dead: 0,
            resume: false,
            sweep: false,
        }
    }

    /// The packs that are there at the beginning.
    pub(super) fn first(&self) -> Vec<Pack> {
        let wholes = [self.first, self.second];
        let packs = (0..).zip(wholes).filter(|(_, whole)| *whole != 0);
        let pack = |(no, whole)| Pack {
            no,
            whole,
            ..Pack::default()
        };
        packs.map(pack).collect()
    }

    pub(super) fn site(&self, log: Log) -> Site {
        let mut site = Site {
            log,
            snaps: slot(PARENT),
            ..Site::default()
        };
        for pack in self.first() {
            site.put(pack.whole.into(), 0, 0);
        }
        if self.orphan != 0 {
            site.put(self.orphan.into(), 0, 0);
        }
        site
    }
}

/// A backup that wants these blobs.
pub fn job(want: u16) -> Job {
    Job { want, ..JOB }
}

const JOB: Job = Job {
    want: 0,
    lend: 0,
    delta: None,
    publish: false,
    adopt: false,
};

/// A backup that takes blobs 0 and 1 from its parent without a look, and adds blob 2.
const LENDER: Job = Job {
    want: 0b111,
    lend: 0b011,
    ..JOB
};

/// A backup that stores blob 2 on the base blob 0, which it does not hold itself.
const ON_BASE: Job = Job {
    want: 0b110,
    delta: Some((2, 0)),
    ..JOB
};

/// A backup that makes its packs known before it is done.
const PUBLISHER: Job = Job {
    want: 0b101,
    publish: true,
    ..JOB
};

/// A backup that takes over what an interrupted one left.
const HEIR: Job = Job {
    want: 0b101,
    adopt: true,
    ..JOB
};

const OTHER_HEIR: Job = Job {
    want: 0b110,
    ..HEIR
};

/// Pack 0 holds a blob that nobody needs.
const WASTE: u8 = 0b1011;

fn class_a() -> Vec<Setup> {
    let set = |name, jobs: &[Job], prunes| Setup::new(name, Class::A, jobs, prunes);
    vec![
        set("backups", &[job(0b101), job(0b011)], 1),
        set("prunes", &[job(0b101)], 2),
        set("both", &[job(0b101), job(0b011)], 2),
        set("three", &[job(0b101), job(0b011), job(0b110)], 1),
        set("lending", &[LENDER, job(0b001)], 1),
        set("lending_prunes", &[LENDER, job(0b001)], 2),
        set("publish", &[PUBLISHER, job(0b110)], 1),
        set("bases", &[ON_BASE, job(0b100)], 1),
        Setup {
            unforget: true,
            ..set("unforget", &[job(0b101)], 2)
        },
        Setup {
            objects: true,
            unforget: true,
            ..set("objects", &[job(0b101)], 1)
        },
        Setup {
            objects: true,
            ..set("objects_prunes", &[job(0b101)], 2)
        },
        Setup {
            objects: true,
            ..set("objects_publish", &[PUBLISHER, job(0b110)], 1)
        },
        Setup {
            first: WASTE,
            ..set("waste", &[job(0b010), job(0b001)], 2)
        },
        Setup {
            second: 0b101,
            ..set("shared_table", &[job(0b101), job(0b110)], 2)
        },
        Setup {
            orphan: 0b100,
            ..set("orphan", &[HEIR, OTHER_HEIR], 1)
        },
        Setup {
            thief: true,
            ..set("thief", &[job(0b101)], 1)
        },
        Setup {
            protect: true,
            ..set("protect", &[job(0b101)], 2)
        },
        Setup {
            first: WASTE,
            mirror: Some(false),
            ..set("mirror", &[job(0b010)], 2)
        },
        Setup {
            mirror: Some(true),
            ..set("mirror_new", &[job(0b101)], 1)
        },
        Setup {
            thief: true,
            mirror: Some(false),
            ..set("mirror_thief", &[job(0b101)], 1)
        },
        Setup {
            first: WASTE,
            mirror: Some(false),
            loses: true,
            ..set("mirror_lost", &[job(0b010)], 1)
        },
        Setup {
            mirror: Some(false),
            hand_over: true,
            ..set("hand_over", &[job(0b010), job(0b101)], 0)
        },
        Setup {
            first: WASTE,
            mirror: Some(false),
            hand_over: true,
            ..set("hand_over_prune", &[job(0b010), job(0b101)], 1)
        },
    ]
}

fn class_c() -> Vec<Setup> {
    let set = |name, jobs: &[Job], prunes| Setup::new(name, Class::C, jobs, prunes);
    vec![
        set("c_backups", &[job(0b101), job(0b100)], 1),
        Setup {
            first: WASTE,
            ..set("c_prunes", &[job(0b010)], 2)
        },
        Setup {
            condemned: true,
            ..set("c_lending", &[LENDER], 1)
        },
        set("c_publish", &[PUBLISHER, job(0b100)], 1),
        set("c_bases", &[ON_BASE, job(0b100)], 1),
        Setup {
            dead: 1,
            ..set("c_dead", &[job(0b101), job(0b100)], 1)
        },
        Setup {
            dead: 1,
            ..set("c_dead_prunes", &[job(0b101)], 2)
        },
        Setup {
            first: WASTE,
            resume: true,
            ..set("c_resume", &[job(0b010)], 2)
        },
        Setup {
            second: 0b011,
            condemned: true,
            resume: true,
            ..set("c_resume_both", &[job(0b010)], 2)
        },
        Setup {
            first: WASTE,
            dead: 1,
            sweep: true,
            ..set("c_sweep", &[job(0b010)], 2)
        },
        Setup {
            second: 0b101,
            dead: 1,
            ..set("c_shared_table", &[job(0b101)], 2)
        },
        Setup {
            orphan: 0b100,
            ..set("c_orphan", &[HEIR, job(0b100)], 1)
        },
        Setup {
            unforget: true,
            objects: true,
            dead: 1,
            ..set("c_unforget", &[job(0b010)], 1)
        },
        Setup {
            protect: true,
            dead: 1,
            ..set("c_protect", &[job(0b101)], 1)
        },
    ]
}

/// The setups that the tests explore wholly.
pub fn setups() -> Vec<Setup> {
    let mut setups = class_a();
    setups.extend(class_c());
    setups
}

/// Larger ones, for the example.
pub fn deep_setups() -> Vec<Setup> {
    let a = |name, jobs: &[Job], prunes| Setup::new(name, Class::A, jobs, prunes);
    let c = |name, jobs: &[Job], prunes| Setup::new(name, Class::C, jobs, prunes);
    vec![
        a("three_prunes", &[job(0b101), job(0b011), job(0b110)], 2),
        a("publish_prunes", &[PUBLISHER, job(0b110)], 2),
        a("bases_prunes", &[ON_BASE, job(0b100)], 2),
        c("c_both", &[job(0b101), job(0b100)], 2),
        Setup {
            dead: 1,
            ..c("c_dead_both", &[job(0b101), job(0b100)], 2)
        },
        Setup {
            dead: 2,
            first: WASTE,
            sweep: true,
            ..c("c_dead_two", &[job(0b010)], 2)
        },
        Setup {
            dead: 1,
            first: WASTE,
            resume: true,
            ..c("c_resume_dead", &[job(0b010)], 2)
        },
        Setup {
            dead: 1,
            unforget: true,
            objects: true,
            ..c("c_unforget_prunes", &[job(0b010)], 2)
        },
    ]
}

/// Explores a setup, with one rule switched off if one is given.
pub fn explore(setup: &Setup, rule: Option<Rule>, limits: Limits) -> Report {
    without(rule, || match setup.class {
        Class::A => search(&mut ClassA::new(setup.clone()), limits),
        Class::C => search(&mut ClassC::new(setup.clone()), limits),
    })
}
