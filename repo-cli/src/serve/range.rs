//! Parts of a file, and whether a reader has it already (RFC 9110).

use crate::text::http_date;
use hyper::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use hyper::{HeaderMap, Method};
use repo_core::time::Timestamp;
use std::ops::Range;
use std::time::UNIX_EPOCH;

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
    /// Nothing: it is another than the reader believes.
    Other,
}

/// What a request wants of a file of that length, with this tag, changed last at that time (RFC 9110, 13.2.2).
pub fn wanted(
    method: &Method,
    headers: &HeaderMap,
    len: u64,
    tag: &str,
    time: Timestamp,
) -> Wanted {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let date = http_date(time);
    let is_older = |limit: &str| {
        let limit = httpdate::parse_http_date(limit).ok()?;
        let limit = limit.duration_since(UNIX_EPOCH).ok()?;
        Some(time.seconds <= i64::try_from(limit.as_secs()).ok()?)
    };
    let is_meant = match has_tag(headers, IF_MATCH, |one| one == tag) {
        Some(has) => has,
        // What is no date asks nothing, and neither does one of what has none.
        None => text(IF_UNMODIFIED_SINCE)
            .filter(|_| date.is_some())
            .and_then(is_older)
            .unwrap_or(true),
    };
    if !is_meant {
        return Wanted::Other;
    }
    let is_weakly = |one: &str| one.strip_prefix("W/").unwrap_or(one) == tag;
    // An older one may have come back: that is another too.
    let is_known = match has_tag(headers, IF_NONE_MATCH, is_weakly) {
        Some(has) => has,
        None => text(IF_MODIFIED_SINCE).is_some_and(|since| Some(since) == date.as_deref()),
    };
    if is_known {
        return Wanted::Nothing;
    }
    // A part of another version is no use.
    let is_same = |given: &str| given == tag || Some(given) == date.as_deref();
    match text(RANGE)
        .filter(|_| *method == Method::GET && text(IF_RANGE).is_none_or(is_same))
        .and_then(|range| part(range, len))
    {
        None => Wanted::Whole,
        Some(part) if part.is_empty() => Wanted::Outside,
        Some(part) => Wanted::Part(part),
    }
}

/// Whether a list of tags, on one line or several, has one that is meant, or `*`; `None` if there is no list.
fn has_tag(headers: &HeaderMap, name: HeaderName, is: impl Fn(&str) -> bool) -> Option<bool> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let mut tags = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    Some(tags.any(|one| one.trim() == "*" || is(one.trim())))
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
        asked_by(Method::GET, headers)
    }

    fn asked_by(method: Method, headers: &[(&str, &str)]) -> Wanted {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        wanted(&method, &map, 10, "\"tag\"", Timestamp::new(784_111_777, 5))
    }

    #[test]
    fn what_is_another_than_believed_is_not_sent() {
        let (before, then) = (
            "Sun, 06 Nov 1994 08:49:36 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT",
        );
        for other in [
            ("if-match", "\"a\", \"b\""),
            ("if-match", "W/\"tag\""),
            ("if-unmodified-since", before),
        ] {
            assert_eq!(asked(&[other]), Wanted::Other, "{other:?}");
            assert_eq!(
                asked(&[other, ("range", "bytes=1-2"), ("if-none-match", "*")]),
                Wanted::Other
            );
        }
        for meant in [
            ("if-match", "*"),
            ("if-match", "\"a\", \"tag\""),
            ("if-unmodified-since", then),
            ("if-unmodified-since", "Sunday, 06-Nov-94 08:49:38 GMT"),
            ("if-unmodified-since", "never"),
        ] {
            assert_eq!(asked(&[meant]), Wanted::Whole, "{meant:?}");
        }
        assert_eq!(
            asked(&[("if-match", "\"tag\""), ("if-unmodified-since", before)]),
            Wanted::Whole
        );
    }

    #[test]
    fn lists_of_tags_may_have_several_lines() {
        let two = |name| asked(&[(name, "\"a\""), (name, "\"b\", \"tag\"")]);
        assert_eq!(two("if-none-match"), Wanted::Nothing);
        assert_eq!(two("if-match"), Wanted::Whole);
    }

    #[test]
    fn parts_are_for_get_alone() {
        for range in ["bytes=1-2", "bytes=10-"] {
            let wanted = asked_by(Method::HEAD, &[("range", range)]);
            assert_eq!(wanted, Wanted::Whole, "{range}");
        }
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
