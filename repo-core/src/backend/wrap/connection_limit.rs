//! Lets only so many calls through at once.

use crate::backend::{Backend, Limits, Listed, Put, name};
use crate::error::Result;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ThreadId};

/// Keeps calls waiting beyond what the place bears.
///
/// A call from inside `list`'s `each` fails with `InvalidInput` whatever the limit, because with a limit of one it
/// would wait for ever.
pub struct ConnectionLimit {
    inner: Arc<dyn Backend>,
    connections: usize,
    /// Threads with a call under way.
    busy: Mutex<Vec<ThreadId>>,
    freed: Condvar,
}

/// The right to make a call.
struct Permit<'a>(&'a ConnectionLimit);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let own = thread::current().id();
        let mut busy = self
            .0
            .busy
            .lock()
            .expect("nothing panics while it holds this lock");
        busy.retain(|&thread| thread != own);
        drop(busy);
        self.0.freed.notify_one();
    }
}

impl ConnectionLimit {
    /// As many calls at once as the limits of `inner` say, but at least one.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        let connections = inner.limits().connections;
        Self::with(inner, connections)
    }

    /// As many calls at once as the user wants, but at least one.
    pub fn with(inner: Arc<dyn Backend>, connections: usize) -> Self {
        let connections = connections.max(1);
        Self {
            inner,
            connections,
            busy: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    fn permit(&self, name: &str) -> Result<Permit<'_>> {
        const POISON: &str = "nothing panics while it holds this lock";
        let own = thread::current().id();
        let mut busy = self.busy.lock().expect(POISON);
        if busy.contains(&own) {
            return Err(name::invalid(name, "a call from inside a listing"));
        }
        while busy.len() >= self.connections {
            busy = self.freed.wait(busy).expect(POISON);
        }
        busy.push(own);
        Ok(Permit(self))
    }
}

impl Backend for ConnectionLimit {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn limits(&self) -> Limits {
        Limits {
            connections: self.connections,
            ..self.inner.limits()
        }
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        let _permit = self.permit(name)?;
        self.inner.get(name)
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        let _permit = self.permit(name)?;
        self.inner.get_range(name, offset, len)
    }

    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        let _permit = self.permit(name)?;
        self.inner.put_parts(name, parts)
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        let _permit = self.permit(name)?;
        self.inner.put_if_absent(name, bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        let _permit = self.permit(prefix)?;
        self.inner.list(prefix, each)
    }

    fn list_strangers(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        let _permit = self.permit("")?;
        self.inner.list_strangers(each)
    }

    fn delete(&self, name: &str) -> Result<()> {
        let _permit = self.permit(name)?;
        self.inner.delete(name)
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        let _permit = self.permit(name)?;
        self.inner.size(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{MemoryBackend, MemoryOptions, conformance};
    use crate::error::ErrorKind;
    use std::time::Duration;

    fn place(connections: usize) -> MemoryBackend {
        let delay = Duration::from_millis(1);
        MemoryBackend::with(MemoryOptions {
            connections,
            delay,
            ..MemoryOptions::default()
        })
    }

    #[test]
    fn conforms() {
        conformance::run(|| Box::new(ConnectionLimit::new(Arc::new(MemoryBackend::new()))));
    }

    #[test]
    fn more_callers_than_connections_wait() {
        for connections in [1, 2, 3] {
            let backend = ConnectionLimit::new(Arc::new(place(connections)));
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let backend = &backend;
                    scope.spawn(move || {
                        for number in 0..4 {
                            let name = format!("data/{thread}-{number}");
                            backend.put(&name, b"x").unwrap();
                            assert_eq!(backend.get(&name).unwrap(), b"x");
                        }
                    });
                }
            });
        }
    }

    #[test]
    fn a_wish_beyond_the_place_would_fail() {
        let backend = ConnectionLimit::with(Arc::new(place(1)), 8);
        let failed: usize = std::thread::scope(|scope| {
            let put = |number: usize| usize::from(backend.put(&number.to_string(), b"").is_err());
            let callers: Vec<_> = (0..8)
                .map(|number| scope.spawn(move || put(number)))
                .collect();
            callers
                .into_iter()
                .map(|caller| caller.join().unwrap())
                .sum()
        });
        assert!(failed > 0);
    }

    #[test]
    fn a_call_from_inside_a_listing_fails_instead_of_waiting_for_ever() {
        let backend = ConnectionLimit::new(Arc::new(place(1)));
        backend.put("a", b"1").unwrap();
        let error = backend
            .list("", &mut |listed| backend.get(&listed.name).map(drop))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(backend.get("a").unwrap(), b"1");
    }
}
