//! The marks of a log: whether a place is the home, which takes entries, or a replica, which follows it.

use super::listing::Log;
use crate::backend::{Backend, Put, put_if_absent_or_same};
use crate::error::{ErrorKind, Result};
use crate::format::name::{self, REPLICA, REPLICA_MARK, SEGMENT_ENTRIES, SEGMENT_OPEN};

/// Makes a place whose log was listed a replica; with `closes` its log takes no entries from now on. Gives whether it did until now.
///
/// What says that it is a replica comes first: a log that takes no entries and is none is a damaged one.
pub fn take(place: &dyn Backend, log: &Log, closes: bool) -> Result<bool> {
    if !log.is_replica {
        place.put(REPLICA, REPLICA_MARK)?;
    }
    let was_home = closes && !log.open.is_empty();
    for segment in log.open.iter().filter(|_| closes) {
        place.delete(&open_mark(*segment))?;
    }
    Ok(was_home)
}

/// Lets the log of a place, which has entries up to `tail`, take entries from now on.
pub fn open(place: &dyn Backend, tail: u64) -> Result<()> {
    for segment in 0..=tail / SEGMENT_ENTRIES {
        let name = open_mark(segment);
        if put_if_absent_or_same(place, &name, SEGMENT_OPEN)? == Put::Exists
            && place.get(&name)? != SEGMENT_OPEN
        {
            place.put(&name, SEGMENT_OPEN)?;
        }
    }
    Ok(())
}

/// Says no more of a place that it is a replica.
pub fn release(place: &dyn Backend) -> Result<()> {
    match place.delete(REPLICA) {
        // Where nothing can be deleted it says nothing beside the marks.
        Err(e) if e.kind() != ErrorKind::Denied => Err(e),
        _ => Ok(()),
    }
}

fn open_mark(segment: u64) -> String {
    name::segment_open(segment.saturating_mul(SEGMENT_ENTRIES))
}
