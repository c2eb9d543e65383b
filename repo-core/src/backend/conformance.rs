//! What every backend and every wrapper must do: the promises of [`Backend`], checked one by one.

use super::{Backend, Class, Listed, OBJECT_BYTES_MAX, Put, probe, put_if_absent_or_same};
use crate::error::{Error, ErrorKind, Result, Subject};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A promise to check on an empty place.
type Check = fn(&dyn Backend);

/// Checks every promise, each on an empty place of its own that `make` gives, and panics at the first broken one.
///
/// Answers the class that the place turned out to have, so that the caller can say which one it expects. Writes about
/// 1,300 objects and 50 MB in all.
pub fn run(make: impl Fn() -> Box<dyn Backend>) -> Class {
    check_on(&make, "names of folders", folders);
    run_over_files(make)
}

/// The same for a server over a directory, which fails for a name that is a folder there. Nobody asks for such a one.
pub fn run_over_files(make: impl Fn() -> Box<dyn Backend>) -> Class {
    let checks: [(&str, Check); 14] = [
        ("round trip", round_trip),
        ("empty object", empty_object),
        ("ranges", ranges),
        ("absent objects", absent),
        ("put again", put_again),
        ("put if absent", put_if_absent),
        ("racing creates", racing_creates),
        ("racing puts", racing_puts),
        ("listing", listing),
        ("an error in a listing", listing_stops),
        ("delete", delete),
        ("bad names", bad_names),
        ("too long", too_long),
        ("large and many", large_and_many),
    ];
    for (title, check) in checks {
        check_on(&make, title, check);
    }
    class_of(&*make())
}

fn check_on(make: &impl Fn() -> Box<dyn Backend>, title: &str, check: Check) {
    let backend = make();
    assert!(
        names(&*backend, "").is_empty(),
        "{title}: the place is not empty at the start"
    );
    check(&*backend);
}

/// Unwraps with the promise that was broken.
#[track_caller]
fn ok<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("must succeed: {error}"),
    }
}

#[track_caller]
fn fails<T: Debug>(result: Result<T>, kind: ErrorKind) {
    match result {
        Ok(value) => panic!("must fail with {kind:?}, answered {value:?}"),
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
}

fn listed(backend: &dyn Backend, prefix: &str) -> BTreeMap<String, Listed> {
    let mut found = BTreeMap::new();
    ok(backend.list(prefix, &mut |listed| {
        let name = listed.name.clone();
        assert!(
            found.insert(name.clone(), listed).is_none(),
            "{name} was listed twice"
        );
        Ok(())
    }));
    found
}

/// The names of all objects below `prefix`, sorted. Panics if they cannot be listed or one is listed twice.
pub fn names(backend: &dyn Backend, prefix: &str) -> Vec<String> {
    listed(backend, prefix).into_keys().collect()
}

/// Bytes that no two positions or seeds share for long.
fn content(seed: u32, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    bytes.resize(len, 0);
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn class_of(backend: &dyn Backend) -> Class {
    ok(backend.put("log/0/1", b"entry"));
    let class = ok(probe::class(backend, "log/0/1", b"entry"));
    assert_eq!(
        ok(backend.get("log/0/1")),
        b"entry",
        "the probe must leave the object as it was"
    );
    match class {
        // A place that looks first and then writes refuses whoever comes later.
        Class::A => ok(probe::race(backend, "")),
        Class::C => Class::C,
    }
}

fn round_trip(backend: &dyn Backend) {
    assert!(!backend.place().is_empty());
    assert!(backend.limits().connections > 0);
    for (number, name) in ["config", "keys/0a", "data/3f/3fa0", "a/b/c/d/e/f/g/h"]
        .into_iter()
        .enumerate()
    {
        let bytes = content(number as u32, 1000 * number + 1);
        ok(backend.put(name, &bytes));
        assert_eq!(ok(backend.get(name)), bytes, "{name}");
        assert_eq!(ok(backend.size(name)), Some(bytes.len() as u64), "{name}");
    }
}

fn empty_object(backend: &dyn Backend) {
    ok(backend.put("empty", b""));
    assert_eq!(ok(backend.get("empty")), b"");
    assert_eq!(ok(backend.size("empty")), Some(0));
    assert_eq!(ok(backend.get_range("empty", 0, 0)), b"");
    fails(backend.get_range("empty", 0, 1), ErrorKind::Damaged);
    assert_eq!(listed(backend, "")["empty"].len, 0);
    assert_eq!(ok(backend.put_if_absent("marker", b"")), Put::Created);
    assert_eq!(ok(backend.size("marker")), Some(0));
}

fn ranges(backend: &dyn Backend) {
    let bytes = content(7, 100_000);
    ok(backend.put("data/a", &bytes));
    for (offset, len) in [
        (0, 1),
        (0, 100_000),
        (99_999, 1),
        (4096, 8192),
        (1, 65_537),
        (500, 0),
        (100_000, 0),
    ] {
        let expected = &bytes[offset..offset + len];
        assert_eq!(
            ok(backend.get_range("data/a", offset as u64, len as u64)),
            expected
        );
    }
    let past = [
        (0, 100_001),
        (100_000, 1),
        (100_001, 0),
        (1 << 40, 1),
        (0, 1 << 50),
        (u64::MAX, 1),
        (1, u64::MAX),
        (u64::MAX, u64::MAX),
    ];
    for (offset, len) in past {
        fails(backend.get_range("data/a", offset, len), ErrorKind::Damaged);
    }
}

fn absent(backend: &dyn Backend) {
    ok(backend.put("data/3f/a", b"1"));
    for name in ["b", "data/3f/b", "data/3e/a"] {
        is_absent(backend, name);
    }
}

fn is_absent(backend: &dyn Backend, name: &str) {
    fails(backend.get(name), ErrorKind::NotFound);
    fails(backend.get_range(name, 0, 1), ErrorKind::NotFound);
    fails(backend.get_range(name, 0, 0), ErrorKind::NotFound);
    assert_eq!(ok(backend.size(name)), None, "{name}");
}

fn folders(backend: &dyn Backend) {
    ok(backend.put("data/3f/a", b"1"));
    for name in ["data", "data/3f", "data/3f/a/b"] {
        is_absent(backend, name);
        ok(backend.delete(name));
    }
    for prefix in ["data/3f/a", "data/3f/a/b"] {
        assert!(
            names(backend, prefix).is_empty(),
            "nothing lies below {prefix}"
        );
    }
    assert_eq!(ok(backend.get("data/3f/a")), b"1");
}

fn put_again(backend: &dyn Backend) {
    let bytes = content(1, 3000);
    ok(backend.put("data/a", &bytes));
    ok(backend.put("data/a", &bytes));
    assert_eq!(ok(backend.get("data/a")), bytes);
    // Whatever a lesser program left under the name, the put heals: too short, too long, as long but other.
    let wrong = [
        bytes[..100].to_vec(),
        content(2, 3100),
        content(3, 3000),
        Vec::new(),
    ];
    for (number, wrong) in wrong.iter().enumerate() {
        let name = format!("data/{number}");
        ok(backend.put(&name, wrong));
        ok(backend.put(&name, &bytes));
        assert_eq!(ok(backend.get(&name)), bytes);
    }
    assert_eq!(names(backend, "data").len(), 5);
}

fn put_if_absent(backend: &dyn Backend) {
    assert_eq!(ok(backend.put_if_absent("log/0/1", b"first")), Put::Created);
    assert_eq!(ok(backend.get("log/0/1")), b"first");
    let again = ok(backend.put_if_absent("log/0/1", b"second"));
    let expected: &[u8] = match again {
        Put::Exists => b"first",
        Put::Created => b"second",
    };
    assert_eq!(ok(backend.get("log/0/1")), expected);
    ok(backend.delete("log/0/1"));
    assert_eq!(ok(backend.put_if_absent("log/0/1", b"third")), Put::Created);
    assert_eq!(ok(backend.get("log/0/1")), b"third");
}

/// As many threads as the backend bears, at most sixteen.
fn threads(backend: &dyn Backend) -> usize {
    backend.limits().connections.min(16)
}

fn racing_creates(backend: &dyn Backend) {
    let class = class_of(backend);
    let rounds = 20;
    let racers = threads(backend);
    let start = Barrier::new(racers);
    let created: Vec<AtomicUsize> = (0..rounds).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for racer in 0..racers {
            let (start, created) = (&start, &created);
            scope.spawn(move || {
                for (round, created) in created.iter().enumerate() {
                    let bytes = content(racer as u32, 5000);
                    start.wait();
                    let name = format!("race/{round}");
                    // Of a server the answer may be lost.
                    if ok(put_if_absent_or_same(backend, &name, &bytes)) == Put::Created {
                        created.fetch_add(1, Ordering::SeqCst);
                    }
                    // Whoever won, everybody sees one whole object at once.
                    if class == Class::A {
                        let seen = ok(backend.get(&name));
                        assert!((0..racers).any(|racer| seen == content(racer as u32, 5000)));
                    }
                }
            });
        }
    });
    for created in created {
        match class {
            Class::A => assert_eq!(
                created.into_inner(),
                1,
                "exactly one caller creates an object"
            ),
            Class::C => assert!(created.into_inner() > 0),
        }
    }
    assert_eq!(ok(probe::race(backend, "")), class);
    assert_eq!(names(backend, "").len(), rounds + 1);
}

fn racing_puts(backend: &dyn Backend) {
    let bytes = content(9, 200_000);
    let racers = threads(backend);
    let start = Barrier::new(racers);
    std::thread::scope(|scope| {
        for _ in 0..racers {
            scope.spawn(|| {
                start.wait();
                ok(backend.put("data/00/a", &bytes));
                assert_eq!(
                    ok(backend.get("data/00/a")),
                    bytes,
                    "after a put the object is there"
                );
            });
        }
    });
    assert_eq!(names(backend, ""), ["data/00/a"]);
}

fn listing(backend: &dyn Backend) {
    let all = [
        "config",
        "data/3/a",
        "data/3f/a",
        "data/3f/b",
        "data/3f0/a",
        "data-3f/a",
        "log/0/1",
        "log/0/open",
    ];
    for (number, name) in all.into_iter().enumerate() {
        ok(backend.put(name, &content(0, number * 10)));
    }
    let found = listed(backend, "");
    let mut sorted = all.map(str::to_owned);
    sorted.sort();
    assert_eq!(found.keys().cloned().collect::<Vec<_>>(), sorted);
    for (number, name) in all.into_iter().enumerate() {
        assert_eq!(found[name].len, number as u64 * 10, "{name}");
        if let Some(modified) = found[name].modified {
            let age = crate::time::now().seconds - modified.seconds;
            assert!(
                (-86_400..86_400).contains(&age),
                "{name} was written {age} s ago"
            );
        }
    }
    assert_eq!(
        names(backend, "data"),
        ["data/3/a", "data/3f/a", "data/3f/b", "data/3f0/a"]
    );
    assert_eq!(names(backend, "data/3"), ["data/3/a"]);
    assert_eq!(names(backend, "data/3f"), ["data/3f/a", "data/3f/b"]);
    assert_eq!(names(backend, "log/0"), ["log/0/1", "log/0/open"]);
    for prefix in ["none", "data/4", "dat"] {
        assert!(
            names(backend, prefix).is_empty(),
            "nothing lies below {prefix}"
        );
    }
}

fn listing_stops(backend: &dyn Backend) {
    for name in ["a", "b", "c"] {
        ok(backend.put(name, b"1"));
    }
    let mut calls = 0;
    let result = backend.list("", &mut |_| {
        calls += 1;
        Err(Error::missing(Subject::Setting("mine".into())))
    });
    fails(result, ErrorKind::Missing);
    assert_eq!(calls, 1, "the first error ends a listing");
}

fn delete(backend: &dyn Backend) {
    ok(backend.put("data/a", b"1"));
    ok(backend.put("data/b", b"2"));
    ok(backend.delete("data/a"));
    fails(backend.get("data/a"), ErrorKind::NotFound);
    assert_eq!(ok(backend.size("data/a")), None);
    assert_eq!(names(backend, ""), ["data/b"]);
    for name in ["data/a", "data/a", "data/never", "never/there"] {
        ok(backend.delete(name));
    }
    assert_eq!(ok(backend.get("data/b")), b"2");
    ok(backend.put("data/a", b"3"));
    assert_eq!(ok(backend.get("data/a")), b"3");
}

fn bad_names(backend: &dyn Backend) {
    let long = "a".repeat(256);
    let deep = ["a"; 9].join("/");
    let bad = [
        "/etc",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../../b",
        ".",
        "./a",
        "A",
        "data/3F",
        "a.b",
        "a b",
        "a\0b",
        "ä",
        "a\\b",
        "tmp-00",
        "data/tmp-00",
        &long,
        &deep,
    ];
    for name in bad.into_iter().chain([""]) {
        fails(backend.get(name), ErrorKind::InvalidInput);
        fails(backend.get_range(name, 0, 1), ErrorKind::InvalidInput);
        fails(backend.put(name, b"1"), ErrorKind::InvalidInput);
        fails(backend.put_if_absent(name, b"1"), ErrorKind::InvalidInput);
        fails(backend.delete(name), ErrorKind::InvalidInput);
        fails(backend.size(name), ErrorKind::InvalidInput);
    }
    for prefix in bad {
        fails(
            backend.list(prefix, &mut |_| Ok(())),
            ErrorKind::InvalidInput,
        );
    }
    assert!(names(backend, "").is_empty());
}

fn too_long(backend: &dyn Backend) {
    // Zeros that nobody reads take no memory.
    let bytes = vec![0; OBJECT_BYTES_MAX as usize + 1];
    fails(backend.put("data/a", &bytes), ErrorKind::InvalidInput);
    fails(
        backend.put_if_absent("data/a", &bytes),
        ErrorKind::InvalidInput,
    );
    assert!(names(backend, "").is_empty());
}

fn large_and_many(backend: &dyn Backend) {
    let large = content(5, 20_000_000);
    ok(backend.put("data/large", &large));
    assert!(ok(backend.get("data/large")) == large);
    assert!(ok(backend.get_range("data/large", 10_000_001, 1000)) == large[10_000_001..10_001_001]);
    assert_eq!(listed(backend, "data")["data/large"].len, 20_000_000);
    ok(backend.delete("data/large"));
    // More than a page of an S3 listing.
    let next = AtomicUsize::new(0);
    let name = |number: usize| format!("data/{:02x}/{number:08x}", number % 256);
    std::thread::scope(|scope| {
        for _ in 0..threads(backend) {
            scope.spawn(|| {
                let numbers =
                    || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&number| number < 1100);
                std::iter::from_fn(numbers).for_each(|number| {
                    ok(backend.put(&name(number), &content(number as u32, number)));
                });
            });
        }
    });
    let found = listed(backend, "");
    assert_eq!(found.len(), 1100);
    for number in 0..1100 {
        assert_eq!(found[&name(number)].len, number as u64);
    }
    for number in [0, 1, 500, 1099] {
        assert_eq!(
            ok(backend.get(&name(number))),
            content(number as u32, number)
        );
    }
}
