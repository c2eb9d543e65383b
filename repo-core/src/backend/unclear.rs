//! Answers that did not arrive.

use super::{Backend, Put};
use crate::error::{ErrorKind, Result};

/// As [`Backend::put_if_absent`], but where no answer came it looks whether exactly these bytes stand there now: then they
/// are taken for the caller's, so they should be unlike any others or mean the same from whoever wrote them.
///
/// The error stays if nothing is there, or it cannot be seen, and also if a disk failed: then what can be read may not
/// be stored. One read, only where no answer came.
pub fn put_if_absent_or_same(backend: &dyn Backend, name: &str, bytes: &[u8]) -> Result<Put> {
    let error = match backend.put_if_absent(name, bytes) {
        Err(e) if e.kind() == ErrorKind::Unavailable && !e.is_unreadable() => e,
        answer => return answer,
    };
    match backend.get(name) {
        Ok(there) if there == bytes => Ok(Put::Created),
        Ok(_) => Ok(Put::Exists),
        Err(_) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryBackend;
    use super::super::wrap::{Fault, Faults, Operation, Rule};
    use super::*;
    use std::io::ErrorKind::TimedOut;
    use std::sync::Arc;

    fn answer(fault: Fault, before: Option<&[u8]>) -> Result<Put> {
        let place = MemoryBackend::new();
        if let Some(before) = before {
            place.put("a", before).unwrap();
        }
        let rule = Rule::new(fault).on(&[Operation::PutIfAbsent]);
        let faults = Faults::new(Arc::new(place)).rule(rule);
        put_if_absent_or_same(&faults, "a", b"1")
    }

    #[test]
    fn what_stands_there_is_the_answer() {
        let lost = Fault::After(TimedOut);
        assert_eq!(answer(lost, None).unwrap(), Put::Created);
        assert_eq!(answer(lost, Some(b"2")).unwrap(), Put::Exists);
        let error = answer(Fault::Before(TimedOut), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
