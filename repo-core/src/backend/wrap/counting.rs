//! Counts what is asked of a backend.

use super::{Operation, first_part};
use crate::backend::{Backend, Limits, Listed, Put, len_of};
use crate::error::Result;
use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard};

/// Calls of one operation, and what they moved.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Calls, failed ones too.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Bytes of objects that successful calls read or wrote; an `Exists` wrote them too, as far as we know.
    pub bytes: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.bytes += other.bytes;
    }
}

/// Counts calls and bytes per operation and per kind of object (the first part of its name).
///
/// One short lock a call; memory for each operation and kind, some dozens of entries.
pub struct Counting {
    inner: Arc<dyn Backend>,
    counts: Mutex<BTreeMap<(Operation, String), Count>>,
}

impl Counting {
    /// Counts what is asked of `inner` from now on.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self {
            inner,
            counts: Mutex::default(),
        }
    }

    /// Everything so far, by operation and kind. A listing of everything has the kind `""`.
    pub fn counts(&self) -> BTreeMap<(Operation, String), Count> {
        self.lock().clone()
    }

    /// One operation on one kind.
    pub fn of(&self, operation: Operation, kind: &str) -> Count {
        self.lock()
            .get(&(operation, kind.to_owned()))
            .copied()
            .unwrap_or_default()
    }

    /// One operation on all kinds.
    pub fn total(&self, operation: Operation) -> Count {
        let mut total = Count::default();
        for ((_, _), count) in self
            .lock()
            .iter()
            .filter(|((found, _), _)| *found == operation)
        {
            total += *count;
        }
        total
    }

    /// Starts from nothing again.
    pub fn reset(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Operation, String), Count>> {
        self.counts
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    fn count<T>(
        &self,
        operation: Operation,
        name: &str,
        result: Result<T>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Result<T> {
        let moved = result.as_ref().map_or(0, bytes);
        let one = Count {
            calls: 1,
            failed: result.is_err().into(),
            bytes: moved as u64,
        };
        *self
            .lock()
            .entry((operation, first_part(name).to_owned()))
            .or_default() += one;
        result
    }
}

impl Backend for Counting {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        self.count(Operation::Get, name, self.inner.get(name), Vec::len)
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.count(
            Operation::GetRange,
            name,
            self.inner.get_range(name, offset, len),
            Vec::len,
        )
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        let result = self.inner.put_parts(name, parts);
        self.count(Operation::Put, name, result, |()| len_of(parts))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        let result = self.inner.put_if_absent(name, bytes);
        self.count(Operation::PutIfAbsent, name, result, |_| bytes.len())
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        self.count(
            Operation::List,
            prefix,
            self.inner.list(prefix, each),
            |()| 0,
        )
    }

    fn list_strangers(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.inner.list_strangers(each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        self.count(Operation::Delete, name, self.inner.delete(name), |()| 0)
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        self.count(Operation::Size, name, self.inner.size(name), |_| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{MemoryBackend, conformance};

    #[test]
    fn conforms() {
        conformance::run(|| Box::new(Counting::new(Arc::new(MemoryBackend::new()))));
    }

    #[test]
    fn counts_by_operation_and_kind() {
        let backend = Counting::new(Arc::new(MemoryBackend::new()));
        backend.put("data/1", b"123").unwrap();
        backend.put("data/2", b"12").unwrap();
        backend.put("index/1", b"1").unwrap();
        backend.put_if_absent("config", b"1234").unwrap();
        backend.get("data/1").unwrap();
        backend.get_range("data/1", 1, 1).unwrap();
        backend.get("data/3").unwrap_err();
        backend.list("data", &mut |_| Ok(())).unwrap();
        backend.list("", &mut |_| Ok(())).unwrap();
        backend.delete("data/1").unwrap();
        backend.size("data/2").unwrap();

        let count = |calls, failed, bytes| Count {
            calls,
            failed,
            bytes,
        };
        assert_eq!(backend.of(Operation::Put, "data"), count(2, 0, 5));
        assert_eq!(backend.of(Operation::Put, "index"), count(1, 0, 1));
        assert_eq!(backend.total(Operation::Put), count(3, 0, 6));
        assert_eq!(backend.of(Operation::PutIfAbsent, "config"), count(1, 0, 4));
        assert_eq!(backend.of(Operation::Get, "data"), count(2, 1, 3));
        assert_eq!(backend.of(Operation::GetRange, "data"), count(1, 0, 1));
        assert_eq!(backend.of(Operation::List, "data"), count(1, 0, 0));
        assert_eq!(backend.of(Operation::List, ""), count(1, 0, 0));
        assert_eq!(backend.total(Operation::Delete), count(1, 0, 0));
        assert_eq!(backend.total(Operation::Size), count(1, 0, 0));
        assert_eq!(backend.counts().len(), 9);
        backend.reset();
        assert!(backend.counts().is_empty());
    }
}
