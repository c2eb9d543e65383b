//! What the run after an interrupted one says of what it need not store again.

use super::support::*;
use crate::backend::wrap::{Fault, Faults, Rule};
use crate::error::ErrorKind;
use crate::progress::{Counter, Interrupt, Progress};
use crate::repo::{Repo, Resumed};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A repository with one snapshot, and more in the source.
fn bed(more: usize) -> Bed {
    let bed = Bed::new();
    bed.write("first", b"a snapshot before");
    bed.backup(&bed.open()).unwrap();
    bed.write("large", &noise(9, more));
    bed
}

/// The packs of a place.
fn packs(bed: &Bed) -> BTreeSet<String> {
    let kinds = ["data", "meta"];
    kinds
        .into_iter()
        .flat_map(|kind| names(&bed.place, kind))
        .collect()
}

/// What was stored since the place had these packs.
fn stored_since(bed: &Bed, before: &BTreeSet<String>) -> Resumed {
    use crate::backend::Backend;
    let now = packs(bed);
    let new = now.difference(before);
    let bytes = new.map(|name| bed.place.size(name).unwrap().unwrap());
    let bytes: Vec<u64> = bytes.collect();
    Resumed {
        packs: bytes.len() as u64,
        bytes: bytes.iter().sum(),
    }
}

/// Backs up; gives what the run said of earlier ones and what its summary says.
fn resumes(bed: &Bed, repo: &Repo) -> (u64, Resumed) {
    let listener = Listener::default();
    let made = bed.backup_with(repo, &listener, &Interrupt::new()).unwrap();
    assert_eq!(listener.problems(), [""; 0]);
    bed.assert_restores(repo, &made.snapshot.unwrap(), &bed.tree());
    (listener.resumed(), made.resumed)
}

/// How far a run had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    ToNothing,
    ToPublish,
    ToCommit,
    Through,
}

/// A crash after the `write`-th write to the log, of a run that publishes.
fn crash_after(write: u64) -> Came {
    let bed = bed(40 << 20);
    let before = packs(&bed);
    let faults = Faults::new(Arc::new(bed.place.clone()));
    let rule = Rule::write(Fault::CrashAfter).kind("log").after(write);
    let faults = Arc::new(faults.rule(rule));
    let made = bed.backup(&bed.open_on(faults.clone()).unwrap());
    if !faults.crashed() {
        made.unwrap();
        return Came::Through;
    }
    assert_eq!(made.unwrap_err().kind(), ErrorKind::Interrupted);
    let repo = bed.open();
    let tables = repo.state().tables().count();
    let came = match repo.state().live_snapshots().count() {
        2 => Came::ToCommit,
        _ if tables > 1 => Came::ToPublish,
        _ => Came::ToNothing,
    };
    let left = match came {
        // What a snapshot uses is no news.
        Came::ToCommit => Resumed::default(),
        _ => stored_since(&bed, &before),
    };
    assert!(left.packs >= 32 || came != Came::ToPublish, "{left:?}");
    assert_eq!(resumes(&bed, &repo), (left.packs, left), "{came:?}");
    assert!(copies(&repo).into_values().all(|copies| copies == 1));
    assert_eq!(resumes(&bed, &repo), (0, Resumed::default()));
    assert_clean(&repo);
    came
}

#[test]
fn after_a_crash_before_or_behind_a_publish_all_that_is_stored_is_named() {
    let came = (0..).map(crash_after);
    let mut came: Vec<Came> = came.take_while(|came| *came != Came::Through).collect();
    came.dedup();
    assert_eq!(came, [Came::ToNothing, Came::ToPublish, Came::ToCommit]);
}

/// Asks to stop once so many packs are there.
struct StopAt<'a> {
    bed: &'a Bed,
    packs: usize,
    interrupt: &'a Interrupt,
}

impl Progress for StopAt<'_> {
    fn count(&self, _: Counter, _: u64) {
        if packs(self.bed).len() >= self.packs {
            self.interrupt.set();
        }
    }

    fn problem(&self, path: &std::path::Path, error: &crate::Error) {
        panic!("{}: {error}", path.display());
    }
}

#[test]
fn what_several_runs_left_that_were_asked_to_stop_is_named_by_each() {
    let bed = bed(12 << 20);
    let before = packs(&bed);
    let mut last = 0;
    for more in [3, 6] {
        let interrupt = Interrupt::new();
        let stop = StopAt {
            bed: &bed,
            packs: before.len() + more,
            interrupt: &interrupt,
        };
        let options = crate::ops::BackupOptions {
            host: "host".into(),
            ..Default::default()
        };
        let input = crate::ops::Input::Paths(vec![bed.source()]);
        let error = crate::ops::backup(&bed.open(), input, &options, &stop, &interrupt);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Interrupted);
        let now = stored_since(&bed, &before).packs;
        assert!(now > last, "{now}");
        last = now;
    }
    let stored = stored_since(&bed, &before);
    let repo = bed.open();
    assert_eq!(resumes(&bed, &repo), (stored.packs, stored));
    assert_eq!(resumes(&bed, &repo), (0, Resumed::default()));
}
