//! A process that ends before or after any of its writes, and the next one.

use super::support::*;
use crate::backend::Backend;
use crate::backend::wrap::{Counting, Faults, Operation};
use crate::error::{ErrorKind, Result};
use crate::id::SnapshotId;
use crate::progress::Interrupt;
use std::sync::Arc;

/// What a client does until it crashes: makes a repository and backs up twice. Says what was committed.
fn life(bed: &Bed, backend: Arc<dyn Backend>, done: &mut Vec<(SnapshotId, Tree)>) -> Result<()> {
    let repo = bed.open_or_init(backend)?;
    for round in 0..2u64 {
        bed.write("late/file", &noise(100 + round, 300 << 10));
        let tree = bed.tree();
        let made = bed.backup(&repo)?;
        done.push((made.snapshot.unwrap(), tree));
    }
    Ok(())
}

fn source() -> Bed {
    let bed = Bed::empty();
    bed.write("a", b"a small one");
    bed.write("b/large", &noise(1, 2 << 20 | 77));
    bed.write("b/other", &noise(2, 700 << 10));
    bed.write("empty", b"");
    bed
}

/// After a crash at the `write`-th write: everything committed is there, the next run works, and nothing that was
/// finished is stored again. Says whether it crashed.
fn crash_at(bed: &mut Bed, write: u64, before: bool) -> bool {
    bed.place = crate::backend::MemoryBackend::new();
    let inner = Arc::new(bed.place.clone());
    let faults = Arc::new(match before {
        true => Faults::crash_before(inner, write),
        false => Faults::crash_after(inner, write),
    });
    let mut done = Vec::new();
    let lived = life(bed, faults.clone(), &mut done);
    if !faults.crashed() {
        lived.unwrap();
        return false;
    }
    let at = format!(
        "crash {} write {write}",
        if before { "before" } else { "after" }
    );
    // The answer to the very last write may be all that was lost.
    assert!(lived.is_err(), "{at}");
    let repo = bed
        .open_or_init(Arc::new(bed.place.clone()))
        .unwrap_or_else(|e| panic!("{at}: {e}"));
    for (id, tree) in &done {
        bed.assert_restores(&repo, id, tree);
    }
    let tree = bed.tree();
    let made = bed.backup(&repo).unwrap_or_else(|e| panic!("{at}: {e}"));
    bed.assert_restores(&repo, &made.snapshot.unwrap(), &tree);
    assert_clean(&repo);
    let twice = copies(&repo)
        .into_values()
        .filter(|copies| *copies > 1)
        .count();
    assert_eq!(twice, 0, "{at}: blobs stored twice");
    assert_eq!(
        check_all(&repo)
            .unreferenced
            .iter()
            .filter(|name| is_pack(name))
            .count(),
        0,
        "{at}"
    );
    true
}

fn is_pack(name: &str) -> bool {
    name.starts_with("data/") || name.starts_with("meta/")
}

#[test]
fn a_crash_before_any_write_costs_nothing() {
    let mut bed = source();
    let crashes = (0..)
        .take_while(|write| crash_at(&mut bed, *write, true))
        .count();
    assert!(crashes > 30, "{crashes}");
}

#[test]
fn a_crash_after_any_write_costs_nothing() {
    let mut bed = source();
    let crashes = (0..)
        .take_while(|write| crash_at(&mut bed, *write, false))
        .count();
    assert!(crashes > 30, "{crashes}");
}

#[test]
fn an_interrupted_first_backup_goes_on_where_it_stopped() {
    let bed = Bed::new();
    bed.write("large", &noise(7, 6 << 20));
    // The fifth pack does not arrive any more.
    let faults = Faults::new(Arc::new(bed.place.clone()));
    let rule = crate::backend::wrap::Rule::write(crate::backend::wrap::Fault::CrashBefore);
    let faults = Arc::new(faults.rule(rule.kind("data").after(4)));
    let repo = bed.open_on(faults.clone()).unwrap();
    assert_eq!(
        bed.backup(&repo).unwrap_err().kind(),
        ErrorKind::Interrupted
    );
    assert!(faults.crashed());
    let finished = names(&bed.place, "data").len() as u64;
    assert_eq!(finished, 4);

    let counting = Arc::new(Counting::new(Arc::new(bed.place.clone())));
    let repo = bed.open_on(counting.clone()).unwrap();
    let listener = Listener::default();
    let made = bed
        .backup_with(&repo, &listener, &Interrupt::new())
        .unwrap();
    assert_eq!(listener.problems(), [""; 0]);
    assert_eq!(listener.resumed(), finished);
    let written = counting.of(Operation::Put, "data").bytes;
    assert!(written < 3 << 20, "{written} bytes were stored again");
    assert!(copies(&repo).into_values().all(|copies| copies == 1));
    bed.assert_restores(&repo, &made.snapshot.unwrap(), &bed.tree());
    // It has ended: the next one has nothing to look for.
    let counting = Arc::new(Counting::new(Arc::new(bed.place.clone())));
    bed.backup(&bed.open_on(counting.clone()).unwrap()).unwrap();
    assert_eq!(counting.of(Operation::List, "data").calls, 0);
}

#[test]
fn a_run_that_was_asked_to_stop_leaves_what_it_finished_to_the_next() {
    let bed = Bed::new();
    bed.write("first", b"a snapshot before");
    let repo = bed.open();
    let first = bed.backup(&repo).unwrap();
    let first_tree = bed.tree();
    bed.write("large", &noise(8, 8 << 20));
    let interrupt = Interrupt::new();
    // Stops once two packs are there.
    let stop = Stop {
        place: bed.place.clone(),
        interrupt: &interrupt,
    };
    let options = crate::ops::BackupOptions {
        host: "host".into(),
        ..Default::default()
    };
    let input = crate::ops::Input::Paths(vec![bed.source()]);
    let error = crate::ops::backup(&repo, input, &options, &stop, &interrupt).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let before = names(&bed.place, "data").len();
    let repo = bed.open();
    let made = bed.backup(&repo).unwrap();
    assert!(before >= 3, "{before}");
    bed.assert_restores(&repo, &made.snapshot.unwrap(), &bed.tree());
    bed.assert_restores(&repo, &first.snapshot.unwrap(), &first_tree);
    assert!(copies(&repo).into_values().all(|copies| copies == 1));
    assert_clean(&repo);
}

struct Stop<'a> {
    place: crate::backend::MemoryBackend,
    interrupt: &'a Interrupt,
}

impl crate::progress::Progress for Stop<'_> {
    fn count(&self, _: crate::progress::Counter, _: u64) {
        if names(&self.place, "data").len() >= 3 {
            self.interrupt.set();
        }
    }

    fn problem(&self, path: &std::path::Path, error: &crate::Error) {
        panic!("{}: {error}", path.display());
    }
}
