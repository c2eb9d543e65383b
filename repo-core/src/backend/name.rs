//! Which names objects may have.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::time::Timestamp;

/// The longest name in bytes. Every backend we know takes at least this.
pub const NAME_BYTES_MAX: usize = 255;

/// How many parts a name may have, `/` between them.
pub const NAME_PARTS_MAX: usize = 8;

/// What temporary files of a backend are called, in front of sixteen random hex digits.
const TEMPORARY: &str = "tmp-";

/// A temporary file that was not written to for so long belongs to a run that crashed: 24 hours.
const STALE_SECONDS: i64 = 24 * 60 * 60;

/// Fails with `InvalidInput` unless `name` is one that every backend can store and every one stores alike.
///
/// That is: 1 to 8 parts with `/` between them, each of one or more of `a-z`, `0-9` and `-`, none starting with `tmp-`,
/// at most 255 bytes in all. So no name leaves the repository (`..`, absolute paths), none means two things on a file
/// system that ignores case, and none is taken for a temporary file.
pub fn check_name(name: &str) -> Result<()> {
    let bad = |why| Err(invalid(name, why));
    if name.len() > NAME_BYTES_MAX {
        return bad("the name is too long");
    }
    if name.split('/').count() > NAME_PARTS_MAX {
        return bad("the name has too many parts");
    }
    match name.split('/').all(is_part) {
        true => Ok(()),
        false => bad("not a name of an object"),
    }
}

/// Checks the prefix of a listing: a name, or the empty string.
pub(super) fn check_prefix(prefix: &str) -> Result<()> {
    match prefix.is_empty() {
        true => Ok(()),
        false => check_name(prefix),
    }
}

/// Whether `text` can be one part of a name.
pub(super) fn is_part(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.bytes().all(allowed) && !text.starts_with(TEMPORARY)
}

/// The name of a temporary file, without the folder.
pub(super) fn temporary(random: u64) -> String {
    format!("{TEMPORARY}{random:016x}")
}

/// Whether a name without its folder is one that we give temporary files.
pub(super) fn is_temporary(part: &str) -> bool {
    let digits = part.strip_prefix(TEMPORARY).unwrap_or_default();
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.len() == 16 && digits.bytes().all(is_digit)
}

/// Whether a temporary file that was written to then is left of a run that crashed.
pub(super) fn is_stale(modified: Timestamp, now: Timestamp) -> bool {
    now.seconds.saturating_sub(modified.seconds) > STALE_SECONDS
}

/// The part before the last `/`, empty if there is none, and the part after it.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

/// The name of `part` in the directory `path`, which may be empty.
pub(super) fn join(path: &str, part: &str) -> String {
    match path {
        "" => part.to_owned(),
        _ => format!("{path}/{part}"),
    }
}

/// An `InvalidInput` error about the object `name`, of which at most the first 300 bytes are kept.
pub(super) fn invalid(name: &str, why: &'static str) -> Error {
    let shown = String::from_utf8_lossy(&name.as_bytes()[..name.len().min(300)]).into_owned();
    Error::new(ErrorKind::InvalidInput, Subject::Object(shown)).detail(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_format_are_good() {
        for name in [
            "config",
            "data/3f/3fa0",
            "log/0/1",
            "log/4096/open",
            "checkpoints/16-0a",
            "a-b",
            "-",
        ] {
            check_name(name).unwrap();
        }
    }

    #[test]
    fn everything_else_is_invalid() {
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        let deep = ["a"; NAME_PARTS_MAX + 1].join("/");
        let bad = [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "A", "a/B", "a.b", "a b",
            "a\\b", "é", "a\0", "a_b", "tmp-0", "a/tmp-0", "tmp-0/a", &long, &deep,
        ];
        for name in bad {
            let error = check_name(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
        }
    }

    #[test]
    fn the_longest_and_deepest_are_good() {
        check_name(&"a".repeat(NAME_BYTES_MAX)).unwrap();
        check_name(&["a"; NAME_PARTS_MAX].join("/")).unwrap();
    }

    #[test]
    fn only_a_prefix_may_be_empty() {
        check_prefix("").unwrap();
        check_prefix("data/3f").unwrap();
        assert!(check_prefix("data/").is_err());
    }
}
