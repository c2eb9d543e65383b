//! What the places of a round do, and which errors that may lead to.

use crate::backend::wrap::{Fault, Faults, Odds, Retry, RetryOptions};
use crate::backend::{Backend, Class, MemoryBackend, MemoryOptions};
use crate::error::{Error, ErrorKind, Subject};
use std::sync::{Arc, Mutex};

/// Kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A disk that fails and is full.
    Local,
    /// A store of class A that keeps its promises and loses answers.
    Store,
    /// One of class C that does, and keeps parts of objects.
    Weak,
    /// One of class A that lies.
    Lying,
    /// One of class C that lies about bytes and deletions: of its listings everything there hangs on.
    LyingWeak,
}

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::Local,
        Self::Store,
        Self::Weak,
        Self::Lying,
        Self::LyingWeak,
    ];

    pub fn class(self) -> Class {
        match self {
            Self::Weak | Self::LyingWeak => Class::C,
            _ => Class::A,
        }
    }

    /// Whether what is whole may look lost there: a disk that cannot read something is taken to have lost it.
    pub fn misleads(self) -> bool {
        !matches!(self, Self::Store | Self::Weak)
    }

    /// Whether it breaks what the trait promises.
    pub fn lies(self) -> bool {
        matches!(self, Self::Lying | Self::LyingWeak)
    }

    /// An empty place.
    pub fn place(self) -> MemoryBackend {
        MemoryBackend::with(MemoryOptions {
            class: self.class(),
            remote: self != Self::Local,
            ..MemoryOptions::default()
        })
    }

    /// What goes wrong there, besides processes that end.
    fn odds(self, seed: u64) -> Odds {
        let of = |odds: Odds, name| odds.of_place(name).unwrap();
        let odds = Odds::new(seed);
        match self {
            Self::Local => of(odds, "local"),
            Self::Store => of(odds, "s3"),
            Self::Weak => of(odds, "sftp"),
            Self::Lying => of(of(odds, "s3"), "lying").hidden(10),
            Self::LyingWeak => of(of(odds, "sftp"), "lying"),
        }
    }

    /// The way of one process to `place`, with faults `often` times as often as usual.
    pub fn way(
        self,
        place: &MemoryBackend,
        seed: u64,
        often: u32,
        story: Arc<Mutex<Vec<String>>>,
    ) -> (Arc<Faults>, Arc<dyn Backend>) {
        let odds = self
            .odds(seed)
            .with(Fault::CrashBefore, 1)
            .with(Fault::CrashAfter, 1)
            .with(Fault::Before(std::io::ErrorKind::PermissionDenied), 1);
        let tell = move |operation, name: &str, fault| {
            story
                .lock()
                .unwrap()
                .push(format!("  {operation:?} {name}: {fault:?}"));
        };
        let faults = Faults::new(Arc::new(place.clone()));
        let faults = Arc::new(faults.odds(odds.times(often)).notifying(tell));
        let quick = RetryOptions {
            tries_max: 4,
            pause_ms: 0,
            pause_ms_max: 0,
            first_tries_max: 4,
        };
        match self {
            Self::Local => (faults.clone(), faults),
            _ => (faults.clone(), Arc::new(Retry::new(faults, quick))),
        }
    }

    /// Panics if an operation may not end like this here.
    pub fn assert_clear(self, error: &Error) {
        let text = error.to_string();
        assert!(!text.contains("panicked"), "{text}");
        let named = *error.subject() != Subject::None || error.kind() == ErrorKind::Interrupted;
        assert!(named, "about nothing: {text}");
        use ErrorKind::{
            Damaged, Denied, Interrupted, Missing, NotFound, RolledBack, Unavailable, Unsupported,
        };
        let passing = matches!(error.kind(), Unavailable | Denied | Interrupted);
        let fits = match self {
            Self::Store => passing,
            // What a disk cannot read is as good as damaged, and torn objects are.
            Self::Local | Self::Weak => passing || matches!(error.kind(), Damaged | Missing),
            Self::Lying | Self::LyingWeak => {
                passing
                    || matches!(
                        error.kind(),
                        Damaged | Missing | NotFound | RolledBack | Unsupported
                    )
            }
        };
        // Without a listing nobody knows of a key slot, or of a log without its config.
        let unseen = self.lies()
            && matches!(
                error.kind(),
                ErrorKind::WrongPassword | ErrorKind::NoRepository
            );
        // What a prune is about to delete cannot be taken back on class C.
        let too_late = error.kind() == Unsupported && self.class() == Class::C;
        assert!(
            fits || unseen || too_late,
            "nobody would look for it: {text}"
        );
    }
}
