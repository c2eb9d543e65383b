//! Which processes are put together, and what each rule of the protocol is needed for.

use super::backup::Job;
use super::class_a::{ClassA, Setup};
use super::class_c::{ClassC, SetupC};
use super::search::{Report, search};
use crate::log::mutant::{Rule, without};

fn job(want: u16) -> Job {
    Job {
        want,
        ..Job::default()
    }
}

fn forgotten(jobs: &[Job], prunes: u8) -> Setup {
    Setup {
        jobs: jobs.to_vec(),
        prunes,
        forget: true,
        ..Setup::default()
    }
}

/// The setups of class A by name. The first snapshot holds blobs 0 and 1, in pack 0.
pub fn class_a() -> Vec<(&'static str, Setup)> {
    let lender = Job {
        want: 0b111,
        lend: 0b011,
        ..Job::default()
    };
    let on_base = Job {
        want: 0b110,
        delta: Some((2, 0)),
        ..Job::default()
    };
    let publisher = Job {
        want: 0b101,
        publish: true,
        ..Job::default()
    };
    let with_objects = |setup| Setup {
        objects: true,
        ..setup
    };
    vec![
        ("prunes", forgotten(&[job(0b101)], 2)),
        ("backups", forgotten(&[job(0b101), job(0b011)], 1)),
        ("lending", forgotten(&[lender, job(0b001)], 1)),
        ("publish", forgotten(&[publisher, job(0b110)], 1)),
        ("bases", forgotten(&[on_base, job(0b100)], 1)),
        (
            "unforget",
            Setup {
                unforget: true,
                ..forgotten(&[job(0b101)], 1)
            },
        ),
        (
            "objects",
            with_objects(Setup {
                unforget: true,
                ..forgotten(&[job(0b101)], 1)
            }),
        ),
        ("objects2", with_objects(forgotten(&[job(0b101)], 2))),
        ("wide", forgotten(&[job(0b101), job(0b011)], 2)),
        ("lending2", forgotten(&[lender, job(0b001)], 2)),
        ("publish2", forgotten(&[publisher, job(0b110)], 2)),
        (
            "publish3",
            with_objects(forgotten(&[publisher, job(0b110)], 1)),
        ),
        ("bases2", forgotten(&[on_base, job(0b100)], 2)),
        (
            "unforget2",
            Setup {
                unforget: true,
                ..forgotten(&[job(0b101)], 2)
            },
        ),
        ("three", forgotten(&[job(0b101), job(0b011), job(0b110)], 1)),
        (
            "thief",
            Setup {
                thief: true,
                ..forgotten(&[job(0b101)], 1)
            },
        ),
    ]
}

/// Explores a setup of class A, with one rule switched off if one is given.
pub fn explore_a(setup: Setup, rule: Option<Rule>, limit: usize) -> Report {
    without(rule, || search(&mut ClassA::new(setup), limit))
}

fn set(jobs: &[Job], prunes: u8, expire: u32) -> SetupC {
    SetupC {
        jobs: jobs.to_vec(),
        prunes,
        forget: true,
        expire,
        ..SetupC::default()
    }
}

/// The setups of class C by name.
pub fn class_c() -> Vec<(&'static str, SetupC)> {
    let lender = Job {
        want: 0b111,
        lend: 0b011,
        ..Job::default()
    };
    let publisher = Job {
        want: 0b101,
        publish: true,
        ..Job::default()
    };
    vec![
        ("c-prune", set(&[job(0b101)], 1, 0)),
        ("c-prunes", set(&[job(0b101)], 2, 0)),
        ("c-backups", set(&[job(0b101), job(0b100)], 1, 0)),
        ("c-lending", set(&[lender], 1, 0)),
        ("c-publish", set(&[publisher, job(0b100)], 1, 0)),
        ("c-dead", set(&[job(0b101)], 1, 1)),
        ("c-dead2", set(&[job(0b101), job(0b100)], 1, 1)),
        ("c-dead-prunes", set(&[job(0b101)], 2, 1)),
        (
            "c-resume",
            SetupC {
                resume: true,
                ..set(&[job(0b101)], 2, 0)
            },
        ),
        (
            "c-sweep",
            SetupC {
                sweep: true,
                ..set(&[job(0b101)], 2, 1)
            },
        ),
        (
            "c-unforget",
            SetupC {
                unforget: true,
                objects: true,
                ..set(&[], 1, 0)
            },
        ),
        (
            "c-unforget-dead",
            SetupC {
                unforget: true,
                objects: true,
                ..set(&[], 1, 1)
            },
        ),
    ]
}

/// Explores a setup of class C, with one rule switched off if one is given.
pub fn explore_c(setup: SetupC, rule: Option<Rule>, limit: usize) -> Report {
    without(rule, || search(&mut ClassC::new(setup), limit))
}
