//! Several clients of one repository at the same time.

use super::support::*;
use crate::backend::wrap::{Fault, Faults, Rule};
use crate::backend::{Backend, LocalBackend};
use crate::ops::{BackupOptions, Input, backup};
use crate::progress::Interrupt;
use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};

/// How many back up at once.
const CLIENTS: u64 = 6;

/// How many snapshots each makes.
const ROUNDS: u64 = 3;

/// Everybody backs up at once, half of the data the same; all snapshots are there, and nothing is lost.
fn all_at_once(backend: &(dyn Fn() -> Arc<dyn Backend> + Sync)) {
    let bed = Bed::empty();
    bed.init(backend()).unwrap();
    bed.write("common/large", &noise(1, 1 << 20));
    let dirs: Vec<_> = (0..CLIENTS).map(|_| tempfile::tempdir().unwrap()).collect();
    let start = Barrier::new(CLIENTS as usize);
    let made: Vec<_> = std::thread::scope(|scope| {
        let client = |number: u64| {
            let (bed, start, dir) = (&bed, &start, dirs[number as usize].path());
            scope.spawn(move || {
                let repo = bed.open_anew(backend(), &password()).unwrap();
                start.wait();
                let mut made = Vec::new();
                for round in 0..ROUNDS {
                    let own = noise(100 * number + round + 2, 200 << 10);
                    std::fs::write(dir.join(format!("own-{round}")), own).unwrap();
                    let input = Input::Paths(vec![bed.source(), dir.to_owned()]);
                    let options = BackupOptions {
                        host: format!("host {number}"),
                        ..BackupOptions::default()
                    };
                    let listener = Listener::default();
                    let summary =
                        backup(&repo, input, &options, &listener, &Interrupt::new()).unwrap();
                    assert_eq!(listener.problems(), [""; 0]);
                    made.push((summary.snapshot.unwrap(), round));
                }
                made
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    let repo = bed.open_anew(backend(), &password()).unwrap();
    let live: BTreeSet<_> = repo
        .live_snapshots()
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let all = made.iter().flatten().map(|(id, _)| *id).collect();
    assert_eq!(live, all);
    assert_eq!(live.len() as u64, CLIENTS * ROUNDS);
    // Roles, a commit each, and nothing was appended twice.
    assert_eq!(repo.state().tail().number, 1 + CLIENTS * ROUNDS);
    assert_clean(&repo);
    for (number, made) in made.iter().enumerate() {
        let (last, _) = made[made.len() - 1];
        let target = tempfile::tempdir().unwrap();
        let options = crate::ops::RestoreOptions {
            subfolder: Some(dirs[number].path().to_owned()),
            ..Default::default()
        };
        let listener = Listener::default();
        let restored = crate::ops::restore(
            &repo,
            &last,
            target.path(),
            &options,
            &listener,
            &Interrupt::new(),
        );
        restored.unwrap();
        assert_eq!(listener.problems(), [""; 0]);
        assert_same(&describe(target.path()), &describe(dirs[number].path()));
    }
}

#[test]
fn six_backups_at_once_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("repo");
    all_at_once(&|| Arc::new(LocalBackend::create(&path).unwrap()));
}

#[test]
fn six_backups_at_once_where_answers_get_lost() {
    let place = crate::backend::MemoryBackend::new();
    all_at_once(&|| {
        let lost = Rule::new(Fault::After(std::io::ErrorKind::TimedOut));
        let lost = lost.on(&[crate::backend::wrap::Operation::PutIfAbsent]);
        let faults = Faults::new(Arc::new(place.clone()));
        Arc::new(faults.rule(lost.kind("log").after(2).every(3)))
    });
}
