//! Wrappers: each is a backend around another one and changes one thing.
//!
//! From the outside in: [`Counting`], [`Retry`], [`ConnectionLimit`], faults if somebody wants them, the place. So a try that waits for its next
//! occupies no connection, and what is counted is what was asked for.

mod connection_limit;
mod counting;
#[cfg(any(test, feature = "faults"))]
mod faults;
#[cfg(any(test, feature = "faults"))]
mod odds;
mod patience;
mod retry;
#[cfg(any(test, feature = "faults"))]
mod rule;

pub use connection_limit::ConnectionLimit;
pub use counting::{Count, Counting};
#[cfg(any(test, feature = "faults"))]
pub use faults::Faults;
#[cfg(any(test, feature = "faults"))]
pub use odds::Odds;
pub use patience::RetryOptions;
pub use retry::Retry;
#[cfg(any(test, feature = "faults"))]
pub use rule::{Fault, Rule};

/// A method of a backend, as wrappers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// [`get`](super::Backend::get).
    Get,
    /// [`get_range`](super::Backend::get_range).
    GetRange,
    /// [`put`](super::Backend::put).
    Put,
    /// [`put_if_absent`](super::Backend::put_if_absent).
    PutIfAbsent,
    /// [`list`](super::Backend::list).
    List,
    /// [`delete`](super::Backend::delete).
    Delete,
    /// [`size`](super::Backend::size).
    Size,
}

impl Operation {
    /// Whether it changes the place.
    pub fn writes(self) -> bool {
        matches!(self, Self::Put | Self::PutIfAbsent | Self::Delete)
    }
}

/// The first part of a name or prefix: its kind.
fn first_part(name: &str) -> &str {
    name.split('/').next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Class, MemoryBackend, MemoryOptions, conformance};
    use std::io;
    use std::sync::Arc;

    #[test]
    fn a_whole_stack_over_a_bad_place_conforms() {
        for class in [Class::A, Class::C] {
            let options = MemoryOptions {
                connections: 3,
                class,
                shuffle: Some(5),
                ..MemoryOptions::default()
            };
            let found = conformance::run(|| {
                let place = Arc::new(MemoryBackend::with(options.clone()));
                let reads = [
                    Operation::Get,
                    Operation::GetRange,
                    Operation::Size,
                    Operation::List,
                ];
                let fault = Fault::Before(io::ErrorKind::TimedOut);
                let faults = Faults::new(place).rule(Rule::new(fault).on(&reads).every(5));
                let limited = ConnectionLimit::new(Arc::new(faults));
                let patience = RetryOptions {
                    tries_max: 1000,
                    pause_ms: 1,
                    pause_ms_max: 1,
                    first_tries_max: 1000,
                };
                let retry = Retry::new(Arc::new(limited), patience);
                Box::new(Counting::new(Arc::new(retry)))
            });
            assert_eq!(found, class);
        }
    }
}
