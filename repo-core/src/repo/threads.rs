//! Threads that share one piece of work until it is done.

use crate::error::{Error, ErrorKind, Result, Subject};
use std::thread::{Builder, scope};

/// Does `work` on so many threads, the caller's among them, and gives what each gave. Fewer do it if no more can be had. The error of
/// any of them is given; one that panics is `Unavailable`.
pub fn on_threads<T: Send>(count: usize, work: &(dyn Fn() -> Result<T> + Sync)) -> Result<Vec<T>> {
    let results: Vec<Result<T>> = scope(|scope| {
        let others = (1..count).map_while(|number| {
            let thread = Builder::new().name(format!("larder.{number}"));
            thread.spawn_scoped(scope, work).ok()
        });
        let others: Vec<_> = others.collect();
        let own = work();
        let joined = others.into_iter().map(|other| {
            other.join().unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Unavailable, Subject::None)
                    .detail("a worker thread panicked"))
            })
        });
        std::iter::once(own).chain(joined).collect()
    });
    results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn all_work_and_a_panic_is_an_error() {
        let next = AtomicUsize::new(0);
        let count = || Ok(next.fetch_add(1, Ordering::Relaxed));
        let mut done = on_threads(4, &count).unwrap();
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2, 3]);
        let main = std::thread::current().id();
        let breaks = || match std::thread::current().id() == main {
            true => Ok(()),
            false => panic!("on purpose"),
        };
        let error = on_threads(2, &breaks).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
