//! A disk that cannot read or write: at any call, once or from then on, or one object for ever.

use super::damage::{findings, shown};
use super::support::*;
use crate::backend::{Backend, Limits, Listed, MemoryBackend, Put};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::ops::BackupSummary;
use crate::progress::Interrupt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Which calls fail, by number and name.
type Fails = dyn Fn(u64, &str) -> bool + Send + Sync;

/// A place whose disk fails.
struct Broken {
    place: MemoryBackend,
    fails: Box<Fails>,
    calls: AtomicU64,
    struck: AtomicU64,
}

impl Broken {
    fn new(
        place: &MemoryBackend,
        fails: impl Fn(u64, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            place: place.clone(),
            fails: Box::new(fails),
            calls: AtomicU64::new(0),
            struck: AtomicU64::new(0),
        }
    }

    fn call(&self, name: &str) -> Result<()> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if !(self.fails)(number, name) {
            return Ok(());
        }
        self.struck.fetch_add(1, Ordering::SeqCst);
        let eio = std::io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error());
        Err(Error::io(Subject::Object(name.to_owned()), eio))
    }
}

impl Backend for Broken {
    fn place(&self) -> String {
        self.place.place()
    }

    fn limits(&self) -> Limits {
        self.place.limits()
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        self.call(name).and_then(|()| self.place.get(name))
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.call(name)?;
        self.place.get_range(name, offset, len)
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        self.call(name)
            .and_then(|()| self.place.put_parts(name, parts))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        self.call(name)?;
        self.place.put_if_absent(name, bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.call(prefix)?;
        self.place.list(prefix, each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.call(name).and_then(|()| self.place.delete(name))
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        self.call(name).and_then(|()| self.place.size(name))
    }
}

/// A repository of one snapshot.
fn bed() -> Bed {
    let bed = Bed::new();
    bed.write("a", b"a small one");
    bed.write("b/large", &noise(1, 2 << 20));
    bed.backup(&bed.open()).unwrap();
    bed
}

/// Fails the test rather than wait for ever.
fn in_time<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let (done, result) = channel();
        scope.spawn(move || done.send(work()));
        match result.recv_timeout(Duration::from_secs(120)) {
            Ok(result) => result,
            // The scope tells of the panic.
            Err(RecvTimeoutError::Disconnected) => panic!("it panicked"),
            Err(RecvTimeoutError::Timeout) => {
                // A thread that hangs cannot be joined, so that a panic would wait for it.
                std::process::abort()
            }
        }
    })
}

/// Lets `work` run with a failure at every call in turn, once and from then on, on copies of the place.
fn at_every_call(bed: &Bed, work: impl Fn(&MemoryBackend, Arc<Broken>, &str) + Sync) {
    for lasting in [false, true] {
        let mut strikes = 0;
        for at in 0.. {
            let place = bed.place.fork();
            let fails = move |call: u64, _: &str| call == at || (lasting && call > at);
            let broken = Arc::new(Broken::new(&place, fails));
            let case = format!("call {at}, lasting: {lasting}");
            in_time(|| work(&place, broken.clone(), &case));
            if broken.struck.load(Ordering::SeqCst) == 0 {
                break;
            }
            strikes += 1;
        }
        assert!(strikes > 10, "{strikes}");
    }
}

/// The error says what and why.
fn assert_clear(error: &Error, case: &str) {
    let text = error.to_string();
    let kinds = [
        ErrorKind::Unavailable,
        ErrorKind::Damaged,
        ErrorKind::Missing,
    ];
    assert!(kinds.contains(&error.kind()), "{case}: {text}");
    assert!(text.contains("Input/output error"), "{case}: {text}");
}

#[test]
fn a_backup_fails_clearly_and_the_next_one_works() {
    let bed = bed();
    let first_tree = bed.tree();
    let first = bed.open().live_snapshots()[0].0;
    bed.write("new", &noise(2, 1 << 20));
    let tree = bed.tree();
    at_every_call(&bed, |place, broken, case| {
        let run = || -> Result<BackupSummary> {
            let repo = bed.open_anew(broken, &password())?;
            bed.backup_with(&repo, &Listener::default(), &Interrupt::new())
        };
        let made = run();
        if let Err(error) = &made {
            assert_clear(error, case);
        }
        let repo = bed.open_anew(Arc::new(place.clone()), &password()).unwrap();
        bed.assert_restores(&repo, &first, &first_tree);
        if let Ok(made) = made {
            bed.assert_restores(&repo, &made.snapshot.unwrap(), &tree);
        }
        let made = bed.backup(&repo).unwrap();
        bed.assert_restores(&repo, &made.snapshot.unwrap(), &tree);
        assert_clean(&repo);
    });
}

#[test]
fn a_restore_gives_what_can_be_read() {
    let bed = bed();
    let tree = bed.tree();
    let first = bed.open().live_snapshots()[0].0;
    at_every_call(&bed, |_, broken, case| {
        let run = bed
            .open_anew(broken, &password())
            .and_then(|repo| bed.restore(&repo, &first));
        match run {
            Err(error) => assert_clear(&error, case),
            Ok(restored) if restored.problems.is_empty() => assert_same(&restored.tree, &tree),
            Ok(restored) => {
                let wrong = |(path, there)| tree.get(path) != Some(there);
                let wrong: Vec<_> = restored.tree.iter().filter(|one| wrong(*one)).collect();
                assert_eq!(wrong.len(), 0, "{case}");
            }
        }
    });
}

#[test]
fn a_check_goes_on_and_names_what_it_cannot_read() {
    let bed = bed();
    at_every_call(&bed, |_, broken, case| {
        let repo = bed.open_anew(broken.clone(), &password());
        // What fails once while the repository is opened may be read again.
        let struck = || broken.struck.load(Ordering::SeqCst);
        let at_opening = struck();
        match repo.and_then(|repo| check_with(&repo, true)) {
            Err(error) => assert_clear(&error, case),
            Ok(summary) if struck() > at_opening => {
                assert_ne!(findings(&summary), [""; 0], "{case}");
            }
            Ok(summary) => assert_eq!(findings(&summary), [""; 0]),
        }
    });
    for object in bed.place.objects().into_keys() {
        let name = object.clone();
        let broken = Broken::new(&bed.place, move |_, called| called == name);
        let repo = bed.open_anew(Arc::new(broken), &password());
        let lines = match repo.and_then(|repo| check_with(&repo, true)) {
            Err(error) => vec![error.to_string()],
            Ok(summary) => findings(&summary),
        };
        let said = shown(&object).trim_end_matches(':').to_owned();
        let named = |line: &String| line.contains(&said) || line.contains(&object);
        assert!(lines.iter().any(named), "{object}: {lines:?}");
    }
}

#[test]
fn one_object_that_the_disk_cannot_read_ends_nothing_but_what_needs_it() {
    let bed = bed();
    bed.write("more", &noise(3, 100 << 10));
    bed.backup(&bed.open()).unwrap();
    for kind in ["data", "index", "meta"] {
        let object = names(&bed.place, kind).pop().unwrap();
        let broken = Broken::new(&bed.place, move |_, called| called == object);
        let repo = bed.open_anew(Arc::new(broken), &password()).unwrap();
        let summary = check_with(&repo, true).unwrap();
        assert!(!summary.findings.is_empty(), "{kind}");
        let touched = summary
            .findings
            .iter()
            .any(|finding| !finding.affected.is_empty());
        assert!(touched, "{kind}");
    }
}
