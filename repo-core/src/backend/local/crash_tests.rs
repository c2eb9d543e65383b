//! A disk that forgets what was not synced, fed with the steps that the backend really takes.
//!
//! After each step the power may fail. What then must be there: everything whose call had returned. What may be there:
//! anything published, synced or not. Neither may ever be an object whose bytes were not synced before it got its name.

use super::trace::Step;
use super::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the disk has for sure, and what a lucky write-back may have added.
#[derive(Default)]
struct Disk {
    /// Temporary files whose bytes are synced, by the name they are for.
    synced: BTreeSet<String>,
    /// Files and directories with a name that a sync of their directory has not covered yet.
    volatile: BTreeSet<String>,
    /// Names that survive a crash if all directories above them do.
    durable: BTreeSet<String>,
}

impl Disk {
    fn step(&mut self, step: &Step<'_>) {
        match *step {
            Step::MakeDirectory(path) => {
                if !self.durable.contains(path) {
                    self.volatile.insert(path.to_owned());
                }
            }
            Step::Write(name) => {
                self.synced.remove(name);
            }
            Step::SyncFile(name) => {
                self.synced.insert(name.to_owned());
            }
            Step::Publish(name, _) | Step::Replace(name) => {
                assert!(
                    self.synced.contains(name),
                    "{name} gets its name before its bytes are synced"
                );
                self.volatile.insert(name.to_owned());
            }
            Step::SyncDirectory(path) => {
                let inside = |name: &String| name::split(name).0 == path;
                let (synced, left) = std::mem::take(&mut self.volatile)
                    .into_iter()
                    .partition(inside);
                self.volatile = left;
                self.durable.extend::<BTreeSet<String>>(synced);
            }
            Step::Unlink(name) => {
                self.durable.remove(name);
                self.volatile.remove(name);
            }
        }
    }

    /// Whether `name` is there after a crash that forgets as much as it may.
    fn survives(&self, name: &str) -> bool {
        let ends = name
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([name.len()]);
        ends.into_iter()
            .all(|end| self.durable.contains(&name[..end]))
    }
}

/// A backend whose steps a disk follows, those that `which` picks.
fn watched(path: &Path, disk: &Arc<Mutex<Disk>>, which: fn(&Step<'_>) -> bool) -> LocalBackend {
    let backend = LocalBackend::create(path).unwrap();
    let disk = disk.clone();
    backend.trace.set(move |step| {
        if which(step) {
            disk.lock().unwrap().step(step);
        }
        Ok(())
    });
    backend
}

#[test]
fn what_a_call_has_stored_survives() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Mutex::new(Disk::default()));
    let backend = watched(dir.path(), &disk, |_| true);
    let survives = |name: &str| disk.lock().unwrap().survives(name);
    let names = [
        "config",
        "data/3f/a",
        "data/3f/b",
        "data/40/a",
        "log/0/1",
        "log/0/2",
        "a/b/c/d/e",
    ];
    for (number, name) in names.into_iter().enumerate() {
        match number % 2 {
            0 => backend.put(name, b"1").unwrap(),
            _ => assert_eq!(backend.put_if_absent(name, b"1").unwrap(), Put::Created),
        }
        for name in &names[..=number] {
            assert!(survives(name), "{name}");
        }
    }
    backend.put("data/3f/a", b"other").unwrap();
    assert!(survives("data/3f/a"));
    backend.delete("data/3f/b").unwrap();
    assert!(!survives("data/3f/b"));
}

#[test]
fn what_another_process_has_not_synced_yet_is_synced_before_it_is_relied_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Mutex::new(Disk::default()));
    // The first one is always about to sync a directory and never comes to it.
    let first = watched(dir.path(), &disk, |step| {
        !matches!(step, Step::SyncDirectory(_))
    });
    let second = watched(dir.path(), &disk, |_| true);
    let survives = |name: &str| disk.lock().unwrap().survives(name);
    first.put("data/3f/a", b"1").unwrap();
    first.put("log/0/1", b"1").unwrap();
    assert!(!survives("data") && !survives("log/0/1"));
    second.put("data/3f/b", b"1").unwrap();
    assert!(survives("data/3f/b"));
    assert_eq!(second.put_if_absent("log/0/1", b"2").unwrap(), Put::Exists);
    assert!(survives("log/0/1"));
}

#[test]
fn a_put_takes_these_steps_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let backend = LocalBackend::create(dir.path()).unwrap();
    backend.put("data/3f/a", b"1").unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    backend.trace.set(move |step| {
        seen.lock().unwrap().push(format!("{step:?}"));
        Ok(())
    });
    backend.put("data/3f/b", b"1").unwrap();
    let expected = [
        r#"Write("data/3f/b")"#,
        r#"SyncFile("data/3f/b")"#,
        r#"Publish("data/3f/b", Rename)"#,
        r#"SyncDirectory("data/3f")"#,
    ];
    assert_eq!(*steps.lock().unwrap(), expected);
}

#[test]
fn what_was_there_is_synced_before_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    LocalBackend::create(dir.path())
        .unwrap()
        .put("a", b"1")
        .unwrap();
    let disk = Arc::new(Mutex::new(Disk::default()));
    let backend = LocalBackend::create(dir.path()).unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    backend.trace.set(move |step| {
        seen.lock().unwrap().push(format!("{step:?}"));
        disk.lock().unwrap().step(step);
        Ok(())
    });
    let mut expected = vec![
        r#"Write("a")"#,
        r#"SyncFile("a")"#,
        r#"Publish("a", Rename)"#,
        r#"SyncFile("a")"#,
        r#"SyncDirectory("")"#,
    ];
    assert_eq!(backend.put_if_absent("a", b"2").unwrap(), Put::Exists);
    assert_eq!(*steps.lock().unwrap(), expected);
    steps.lock().unwrap().clear();
    expected.extend([
        r#"Write("a")"#,
        r#"SyncFile("a")"#,
        r#"Replace("a")"#,
        r#"SyncDirectory("")"#,
    ]);
    backend.put("a", b"2").unwrap();
    assert_eq!(*steps.lock().unwrap(), expected);
}
