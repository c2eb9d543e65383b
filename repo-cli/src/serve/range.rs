//! Parts of a file, and whether a reader has it already (RFC 9110).

use crate::text::http_date;
use hyper::HeaderMap;
use hyper::header::{HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use repo_core::time::Timestamp;
use std::ops::Range;

/// What of a file is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that it has not.
    Outside,
    /// Nothing: the reader has it.
    Nothing,
}

/// What a request wants of a file of that length, with this tag, changed last at that time.
pub fn wanted(headers: &HeaderMap, len: u64, tag: &str, time: Timestamp) -> Wanted {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let date = http_date(time);
    let has_tag = |list: &str| {
        list.split(',').any(
            |one| matches!(one.trim().trim_start_matches("W/"), own if own == tag || own == "*"),
        )
    };
    let fresh = match (text(IF_NONE_MATCH), text(IF_MODIFIED_SINCE)) {
        (Some(list), _) => has_tag(list),
        (None, Some(since)) => Some(since) == date.as_deref(),
        (None, None) => false,
    };
    if fresh {
        return Wanted::Nothing;
    }
    // A part of another version is no use.
    let same = text(IF_RANGE).is_none_or(|given| given == tag || Some(given) == date.as_deref());
    match text(RANGE)
        .filter(|_| same)
        .and_then(|range| part(range, len))
    {
        None => Wanted::Whole,
        Some(part) if part.is_empty() => Wanted::Outside,
        Some(part) => Wanted::Part(part),
    }
}

/// One range of bytes, empty if it lies outside; `None` of what is not understood, or several, which is as if nothing were asked.
fn part(range: &str, len: u64) -> Option<Range<u64>> {
    let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        let last: u64 = number(last)?;
        return Some(len.saturating_sub(last)..len);
    }
    let first = number(first)?;
    let end = match last {
        "" => len,
        _ => number(last)
            .filter(|last| *last >= first)?
            .saturating_add(1)
            .min(len),
    };
    Some(first.min(end)..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&str, &str)]) -> Wanted {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        wanted(&map, 10, "\"tag\"", Timestamp::new(784_111_777, 5))
    }

    #[test]
    fn parts_are_counted_as_the_standard_does() {
        let part = |range: &str| asked(&[("range", range)]);
        assert_eq!(part("bytes=0-0"), Wanted::Part(0..1));
        assert_eq!(part("bytes=3-"), Wanted::Part(3..10));
        assert_eq!(part("bytes=-4"), Wanted::Part(6..10));
        assert_eq!(part("bytes=-40"), Wanted::Part(0..10));
        assert_eq!(part("bytes=9-99999999999999999999"), Wanted::Part(9..10));
        for outside in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(part(outside), Wanted::Outside, "{outside}");
        }
        for odd in [
            "bytes=5-4",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=a-",
            "bytes=-",
            "bytes=+1-2",
        ] {
            assert_eq!(part(odd), Wanted::Whole, "{odd}");
        }
    }

    #[test]
    fn what_a_reader_has_is_not_sent() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(
            asked(&[("if-none-match", "\"a\", W/\"tag\"")]),
            Wanted::Nothing
        );
        assert_eq!(asked(&[("if-none-match", "*")]), Wanted::Nothing);
        assert_eq!(asked(&[("if-modified-since", date)]), Wanted::Nothing);
        assert_eq!(
            asked(&[("if-none-match", "\"a\""), ("if-modified-since", date)]),
            Wanted::Whole
        );
        assert_eq!(
            asked(&[("range", "bytes=1-2"), ("if-range", "\"tag\"")]),
            Wanted::Part(1..3)
        );
        assert_eq!(
            asked(&[("range", "bytes=1-2"), ("if-range", date)]),
            Wanted::Part(1..3)
        );
        assert_eq!(
            asked(&[("range", "bytes=1-2"), ("if-range", "\"old\"")]),
            Wanted::Whole
        );
    }
}
