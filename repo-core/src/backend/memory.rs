//! Objects in memory, in a place as strict as the worst real one.
//!
//! restic's prune once deadlocked on S3 and passed every test, because the backend of the tests had no connection limit.

use super::{Backend, Class, Limits, Listed, OBJECT_BYTES_MAX, Put, len_of, name, random};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::time::{self, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How a [`MemoryBackend`] behaves.
#[derive(Debug, Clone)]
pub struct MemoryOptions {
    /// How many calls may be under way at once; one more fails with `Unavailable`.
    pub connections: usize,
    /// Whether put-if-absent is atomic or always writes and answers `Created`, as Garage does.
    pub class: Class,
    /// Seed of the order of listings, another order for every call; none means by name.
    pub shuffle: Option<u64>,
    /// How long every call takes at least.
    pub delay: Duration,
    /// The gap that [`Limits`] reports.
    pub gap_bytes: u64,
    /// Whether it says of itself that it lies behind a network.
    pub remote: bool,
    /// The races that [`Limits`] reports.
    pub races: usize,
}

impl Default for MemoryOptions {
    /// Class A, sixteen connections, listings by name, no delay, gaps of 64 KiB, one race.
    fn default() -> Self {
        Self {
            connections: 16,
            class: Class::A,
            shuffle: None,
            delay: Duration::ZERO,
            gap_bytes: 64 << 10,
            remote: false,
            races: 1,
        }
    }
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Arc<[u8]>,
    modified: Timestamp,
}

/// A place in memory. Clones share it, so that a test can open again what another opened. Takes the bytes of its
/// objects, names, and about 100 bytes for each.
#[derive(Clone)]
pub struct MemoryBackend {
    options: Arc<MemoryOptions>,
    objects: Arc<Mutex<BTreeMap<String, Object>>>,
    busy: Arc<AtomicUsize>,
    listings: Arc<AtomicUsize>,
}

/// One call under way.
struct Call<'a>(&'a AtomicUsize);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBackend {
    /// An empty place with the default options.
    pub fn new() -> Self {
        Self::with(MemoryOptions::default())
    }

    /// An empty place.
    pub fn with(options: MemoryOptions) -> Self {
        Self {
            options: Arc::new(options),
            objects: Arc::default(),
            busy: Arc::default(),
            listings: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    /// Begins a call. Fails if the place has all the calls under way that it bears.
    fn call(&self, name: &str) -> Result<Call<'_>> {
        let others = self.busy.fetch_add(1, Ordering::SeqCst);
        let call = Call(&self.busy);
        if others >= self.options.connections {
            let subject = Subject::Object(name.to_owned());
            return Err(Error::new(ErrorKind::Unavailable, subject).detail("too many connections"));
        }
        if !self.options.delay.is_zero() {
            std::thread::sleep(self.options.delay);
        }
        Ok(call)
    }

    fn named(&self, name: &str) -> Result<Call<'_>> {
        name::check_name(name)?;
        self.call(name)
    }

    fn find(&self, name: &str) -> Result<Arc<[u8]>> {
        let absent = || Error::new(ErrorKind::NotFound, Subject::Object(name.to_owned()));
        self.lock()
            .get(name)
            .map(|object| object.bytes.clone())
            .ok_or_else(absent)
    }

    fn store(&self, name: &str, parts: &[&[u8]], keep: bool) -> Result<Put> {
        let _call = self.named(name)?;
        if len_of(parts) as u64 > OBJECT_BYTES_MAX {
            return Err(name::invalid(name, "the object is too long"));
        }
        let object = Object {
            bytes: parts.concat().into(),
            modified: time::now(),
        };
        let mut objects = self.lock();
        if keep && objects.contains_key(name) {
            return Ok(Put::Exists);
        }
        check_place(&objects, name)?;
        objects.insert(name.to_owned(), object);
        Ok(Put::Created)
    }
}

/// Refuses an object below or above another one, as a file system does.
fn check_place(objects: &BTreeMap<String, Object>, name: &str) -> Result<()> {
    let above = name
        .match_indices('/')
        .any(|(at, _)| objects.contains_key(&name[..at]));
    let below = format!("{name}/");
    let next = objects.range(below.clone()..).next();
    match above || next.is_some_and(|(other, _)| other.starts_with(&below)) {
        true => Err(name::invalid(name, "another object is in the way")),
        false => Ok(()),
    }
}

impl Backend for MemoryBackend {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn limits(&self) -> Limits {
        Limits {
            connections: self.options.connections,
            gap_bytes: self.options.gap_bytes,
            remote: self.options.remote,
            races: self.options.races,
        }
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        let _call = self.named(name)?;
        Ok(self.find(name)?.to_vec())
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        let _call = self.named(name)?;
        let bytes = self.find(name)?;
        let end = offset
            .checked_add(len)
            .filter(|&end| end <= bytes.len() as u64);
        match end {
            Some(end) => Ok(bytes[offset as usize..end as usize].to_vec()),
            None => Err(super::too_short(name, bytes.len() as u64)),
        }
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        self.store(name, parts, false).map(drop)
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        self.store(name, &[bytes], self.options.class == Class::A)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        name::check_prefix(prefix)?;
        let _call = self.call(prefix)?;
        let mut found: Vec<Listed> = self
            .lock()
            .iter()
            .filter(|(name, _)| is_below(name, prefix))
            .map(|(name, object)| Listed {
                name: name.clone(),
                len: object.bytes.len() as u64,
                modified: Some(object.modified),
            })
            .collect();
        if let Some(seed) = self.options.shuffle {
            let call = self.listings.fetch_add(1, Ordering::Relaxed) as u64;
            shuffle(&mut found, seed.wrapping_add(call));
        }
        found.into_iter().try_for_each(each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        let _call = self.named(name)?;
        self.lock().remove(name);
        Ok(())
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        let _call = self.named(name)?;
        Ok(self
            .lock()
            .get(name)
            .map(|object| object.bytes.len() as u64))
    }
}

/// Whether `name` lies below `prefix`, a name or empty.
fn is_below(name: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || name
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// Fisher and Yates; the bias of the remainder does not matter here.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for at in (1..items.len()).rev() {
        let other = random::next(&mut state) % (at as u64 + 1);
        items.swap(at, other as usize);
    }
}

#[cfg(any(test, feature = "testutil"))]
impl MemoryBackend {
    /// All objects, past limits and delays.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock()
            .iter()
            .map(|(name, object)| (name.clone(), object.bytes.to_vec()))
            .collect()
    }

    /// Another place with the same objects and options, to let two futures of one place differ.
    pub fn fork(&self) -> Self {
        let copy = Self::with((*self.options).clone());
        *copy.lock() = self.lock().clone();
        copy
    }

    /// Makes the place hold exactly `objects`, as when it is rolled back to an older state.
    pub fn reset(&self, objects: BTreeMap<String, Vec<u8>>) {
        let modified = time::now();
        let object = |bytes: Vec<u8>| Object {
            bytes: bytes.into(),
            modified,
        };
        *self.lock() = objects
            .into_iter()
            .map(|(name, bytes)| (name, object(bytes)))
            .collect();
    }

    /// Makes `name` hold `bytes`, whatever was there.
    pub fn replace(&self, name: &str, bytes: &[u8]) {
        self.lock().insert(
            name.to_owned(),
            Object {
                bytes: bytes.into(),
                modified: time::now(),
            },
        );
    }

    /// Removes `name`; says whether it was there.
    pub fn remove(&self, name: &str) -> bool {
        self.lock().remove(name).is_some()
    }

    /// Changes the bytes of `name` in place, its time kept. Panics if there is no such object.
    pub fn corrupt(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut objects = self.lock();
        let object = objects
            .get_mut(name)
            .expect("the test names an object that is there");
        let mut bytes = object.bytes.to_vec();
        change(&mut bytes);
        object.bytes = bytes.into();
    }

    /// Says when `name` was last written. Panics if there is no such object.
    pub fn set_modified(&self, name: &str, modified: Timestamp) {
        let mut objects = self.lock();
        objects
            .get_mut(name)
            .expect("the test names an object that is there")
            .modified = modified;
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    fn listed(backend: &MemoryBackend) -> Vec<String> {
        let mut found = Vec::new();
        let listing = backend.list("", &mut |listed| {
            found.push(listed.name);
            Ok(())
        });
        listing.unwrap();
        found
    }

    #[test]
    fn conforms() {
        assert_eq!(
            conformance::run(|| Box::new(MemoryBackend::new())),
            Class::A
        );
    }

    #[test]
    fn conforms_as_class_c_and_in_random_order() {
        let options = MemoryOptions {
            class: Class::C,
            shuffle: Some(1),
            ..Default::default()
        };
        let make = || Box::new(MemoryBackend::with(options.clone())) as Box<dyn Backend>;
        assert_eq!(conformance::run(make), Class::C);
    }

    #[test]
    fn one_call_too_many_fails() {
        let options = MemoryOptions {
            connections: 1,
            ..Default::default()
        };
        let backend = MemoryBackend::with(options);
        backend.put("a", b"1").unwrap();
        let mut inside = None;
        let listing = backend.list("", &mut |listed| {
            inside = Some(backend.get(&listed.name).unwrap_err().kind());
            Ok(())
        });
        listing.unwrap();
        assert_eq!(inside, Some(ErrorKind::Unavailable));
        assert_eq!(backend.get("a").unwrap(), b"1");
    }

    #[test]
    fn an_object_below_another_is_refused() {
        let backend = MemoryBackend::new();
        backend.put("a/b", b"1").unwrap();
        for name in ["a", "a/b/c", "a/b/c/d"] {
            let kind = backend.put(name, b"2").unwrap_err().kind();
            assert_eq!(kind, ErrorKind::InvalidInput, "{name}");
        }
        backend.put("a/bc", b"2").unwrap();
    }

    #[test]
    fn listings_come_in_another_order_each_time() {
        let options = MemoryOptions {
            shuffle: Some(7),
            ..Default::default()
        };
        let backend = MemoryBackend::with(options);
        for number in 0..50 {
            backend.put(&format!("data/{number}"), b"").unwrap();
        }
        let (mut first, mut second) = (listed(&backend), listed(&backend));
        assert_ne!(first, second);
        first.sort();
        second.sort();
        assert_eq!(first, second);
    }

    #[test]
    fn clones_share_and_forks_do_not() {
        let backend = MemoryBackend::new();
        let (clone, fork) = (backend.clone(), backend.fork());
        backend.put("a", b"1").unwrap();
        assert_eq!(clone.get("a").unwrap(), b"1");
        assert_eq!(fork.size("a").unwrap(), None);
    }

    #[test]
    fn tests_can_damage_it() {
        let backend = MemoryBackend::new();
        backend.put("a", b"123").unwrap();
        backend.corrupt("a", |bytes| bytes[1] ^= 1);
        assert_eq!(backend.get("a").unwrap(), b"133");
        let yesterday = backend.objects();
        backend.replace("b/c", b"x");
        assert!(backend.remove("a"));
        assert!(!backend.remove("a"));
        backend.reset(yesterday);
        assert_eq!(conformance::names(&backend, ""), ["a"]);
        backend.set_modified("a", Timestamp::new(5, 0));
        let mut seen = None;
        let listing = backend.list("", &mut |listed| {
            seen = listed.modified;
            Ok(())
        });
        listing.unwrap();
        assert_eq!(seen, Some(Timestamp::new(5, 0)));
    }
}
