//! Which calls go wrong, and how.

use super::{Operation, first_part};
use std::io;
use std::time::Duration;

/// What goes wrong with a call. A fault that an operation cannot have passes it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has no effect.
    Before(io::ErrorKind),
    /// It has its effect, and the answer is lost.
    After(io::ErrorKind),
    /// The process ends before it: this call and every later one fail with `Interrupted`.
    CrashBefore,
    /// The process ends right after its effect, likewise.
    CrashAfter,
    /// The disk fails (`EIO`). Whether a put or a delete had its effect, nobody knows.
    Eio,
    /// It takes so long, and nothing is wrong.
    Slow(Duration),
    /// `put_if_absent` has its effect and answers that an object was there: somebody on the way has tried twice.
    Refused,
    /// `put` and `put_if_absent` store the beginning and fail, as SFTP does (class C only).
    Torn,
    /// `list` tells a part and fails.
    BrokenOff,
    /// `get` and `get_range` answer a part of the bytes, `list` every second object, all with success.
    Truncated,
    /// One bit of what `get` and `get_range` answer is wrong.
    Flipped,
    /// `get`, `get_range`, `size` and `list` see nothing, as a stale answer.
    Absent,
    /// `put`, `put_if_absent` and `delete` say that it is done and do nothing.
    Ignored,
}

impl Fault {
    /// Whether this can happen to `operation`.
    pub(super) fn fits(self, operation: Operation) -> bool {
        use Operation::{Delete, Get, GetRange, List, Put, PutIfAbsent, Size};
        match self {
            Self::Before(_) | Self::After(_) | Self::Eio | Self::Slow(_) => true,
            Self::CrashBefore | Self::CrashAfter => true,
            Self::Refused => operation == PutIfAbsent,
            Self::BrokenOff => operation == List,
            Self::Torn => matches!(operation, Put | PutIfAbsent),
            Self::Truncated => matches!(operation, Get | GetRange | List),
            Self::Flipped => matches!(operation, Get | GetRange),
            Self::Absent => matches!(operation, Get | GetRange | Size | List),
            Self::Ignored => matches!(operation, Put | PutIfAbsent | Delete),
        }
    }
}

/// Which calls have a fault.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(super) fault: Fault,
    operations: Option<Vec<Operation>>,
    kind: Option<String>,
    object: Option<String>,
    skip: u64,
    times: u64,
    every: u64,
    /// Calls that matched so far.
    seen: u64,
}

impl Rule {
    /// The first call of any operation on any object that can have `fault`.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            operations: None,
            kind: None,
            object: None,
            skip: 0,
            times: 1,
            every: 1,
            seen: 0,
        }
    }

    /// The first call that changes the place.
    pub fn write(fault: Fault) -> Self {
        Self::new(fault).on(&[Operation::Put, Operation::PutIfAbsent, Operation::Delete])
    }

    /// Only calls of these operations.
    pub fn on(mut self, operations: &[Operation]) -> Self {
        self.operations = Some(operations.to_vec());
        self
    }

    /// Only calls for objects of this kind, the first part of their names.
    pub fn kind(mut self, kind: &str) -> Self {
        self.kind = Some(kind.to_owned());
        self
    }

    /// Only calls for this object.
    pub fn object(mut self, name: &str) -> Self {
        self.object = Some(name.to_owned());
        self
    }

    /// Lets `calls` of the calls it means pass first.
    pub fn after(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// Has its fault this often; `u64::MAX` means for ever.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Has its fault for ever, with every `step`-th of the calls it means.
    pub fn every(mut self, step: u64) -> Self {
        self.every = step.max(1);
        self.times(u64::MAX)
    }

    /// Counts a call and says whether it has the fault.
    pub(super) fn strikes(&mut self, operation: Operation, name: &str) -> bool {
        let other_operation = self
            .operations
            .as_ref()
            .is_some_and(|list| !list.contains(&operation));
        let other_kind = self
            .kind
            .as_ref()
            .is_some_and(|kind| kind != first_part(name));
        let other_object = self.object.as_ref().is_some_and(|object| object != name);
        if other_operation || other_kind || other_object || !self.fault.fits(operation) {
            return false;
        }
        let number = self.seen;
        self.seen += 1;
        number
            .checked_sub(self.skip)
            .is_some_and(|past| past % self.every == 0 && past / self.every < self.times)
    }
}
