//! Takes patterns apart.

use super::part::Part;
use super::{PATTERN_BYTES_MAX, wrong};
use crate::error::Result;
use std::borrow::Cow;

/// A pattern, taken apart.
pub(super) struct Pattern {
    /// Begins with `!`.
    pub negated: bool,
    /// Begins at the root.
    pub anchored: bool,
    /// The components, and what they were made of.
    pub parts: Vec<(Vec<u8>, Part)>,
}

/// Takes a pattern apart; `None` if it is empty.
pub(super) fn parse(text: &[u8]) -> Result<Option<Pattern>> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > PATTERN_BYTES_MAX {
        return Err(wrong(text, "longer than a path can be"));
    }
    let (negated, path) = match text.strip_prefix(b"!") {
        Some(path) => (true, path),
        None => (false, text),
    };
    let anchored = path.first() == Some(&b'/');
    let mut parts = Vec::new();
    for component in cleaned(path, anchored) {
        match Part::parse(component) {
            // Begins anywhere already.
            Ok(Part::Deep) if parts.is_empty() && !anchored => {}
            Ok(part) => parts.push((component.to_vec(), part)),
            Err(why) => return Err(wrong(text, why)),
        }
    }
    if parts.is_empty() {
        // `/` is all that is, as `/**`.
        let (text, any) = match anchored {
            true => (b"**".to_vec(), Part::Deep),
            false => (b"*".to_vec(), Part::Any),
        };
        parts.push((text, any));
    }
    Ok(Some(Pattern {
        negated,
        anchored,
        parts,
    }))
}

/// The components of a pattern, without empty ones, `.` and, as far as something stands before them, `..`.
fn cleaned(path: &[u8], anchored: bool) -> Vec<&[u8]> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|last| *last != b"..") => {
                kept.pop();
            }
            b".." if anchored => {}
            _ => kept.push(component),
        }
    }
    // What leads nowhere is a name that no entry has.
    if kept.is_empty() && !anchored {
        kept.push(b".");
    }
    kept
}

/// The text in lower case, if case does not matter; bytes that are not UTF-8 stay as they are.
pub(super) fn folded(text: &[u8], ignore_case: bool) -> Cow<'_, [u8]> {
    if !ignore_case
        || !text
            .iter()
            .any(|byte| byte.is_ascii_uppercase() || *byte >= 0x80)
    {
        return Cow::Borrowed(text);
    }
    let mut folded = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let lower = chunk.valid().chars().flat_map(char::to_lowercase);
        folded.extend_from_slice(lower.collect::<String>().as_bytes());
        folded.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(folded)
}
