//! Which components of all patterns a name fits, found at once.

use super::part::{Part, Token, fits};
use crate::error::{Error, Result};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// How much text of globs goes into one automaton: compiled it takes some fifty times as much, and 10 MiB are the limit.
const SET_TEXT_BYTES: usize = 64 << 10;

/// The components of a list of patterns, each once.
///
/// Literal ones are looked up by their hash, so that their number does not matter; of the others a [`GlobSet`] says
/// which may fit, or a few for thousands. Memory: about 100 bytes a literal, a few KiB a glob.
#[derive(Debug, Default)]
pub(super) struct Names {
    count: u32,
    literals: HashMap<Vec<u8>, u32>,
    /// The number of `*`.
    any: Option<u32>,
    globs: Vec<Glob>,
    /// Their numbers, until all are added.
    by_text: HashMap<Vec<u8>, u32>,
    /// Sets of globs, and the place of the first of each.
    sets: Vec<(GlobSet, usize)>,
}

#[derive(Debug)]
struct Glob {
    tokens: Vec<Token>,
    number: u32,
    /// What the set says of it is not the last word.
    relaxed: bool,
}

impl Names {
    /// The number of this component, which is not `**`, and was made of `text`.
    pub(super) fn add(&mut self, text: Vec<u8>, part: Part) -> u32 {
        let next = self.count;
        let number = match part {
            Part::Literal(name) => *self.literals.entry(name).or_insert(next),
            Part::Any | Part::Deep => *self.any.get_or_insert(next),
            Part::Glob(tokens) => {
                let number = *self.by_text.entry(text).or_insert(next);
                if number < next {
                    return number;
                }
                let relaxed = is_relaxed(&tokens);
                self.globs.push(Glob {
                    tokens,
                    number: next,
                    relaxed,
                });
                next
            }
        };
        self.count += u32::from(number == next);
        number
    }

    /// Makes ready for [`Names::find`]; `InvalidInput` if a pattern is too long to be compiled.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.by_text = HashMap::new();
        let mut first = 0;
        while first < self.globs.len() {
            let (mut set, mut bytes, begin) = (GlobSetBuilder::new(), 0, first);
            while bytes < SET_TEXT_BYTES
                && let Some(glob) = self.globs.get(first)
            {
                let text = to_globset(&glob.tokens);
                let built = GlobBuilder::new(&text).backslash_escape(false).build();
                set.add(built.map_err(too_long)?);
                bytes += text.len();
                first += 1;
            }
            self.sets.push((set.build().map_err(too_long)?, begin));
        }
        Ok(())
    }

    /// Calls `found` with the number of each component that fits `name`.
    pub(super) fn find(&self, name: &[u8], mut found: impl FnMut(u32)) {
        self.any.iter().for_each(|number| found(*number));
        if let Some(number) = self.literals.get(name) {
            found(*number);
        }
        let mut hits = Vec::new();
        for (set, first) in &self.sets {
            set.matches_into(OsStr::from_bytes(name), &mut hits);
            for glob in hits.iter().map(|hit| &self.globs[first + hit]) {
                if !glob.relaxed || fits(&glob.tokens, name) {
                    found(glob.number);
                }
            }
        }
    }
}

fn too_long(error: globset::Error) -> Error {
    Error::invalid("patterns")
        .detail("one of them is too long to be compiled")
        .because(error)
}

fn is_relaxed(tokens: &[Token]) -> bool {
    let exact = |token: &Token| match token {
        Token::Star => true,
        Token::Literal(bytes) => str::from_utf8(bytes).is_ok(),
        Token::AnyChar | Token::Class { .. } => false,
    };
    !tokens.iter().all(exact)
}

/// The same component in the syntax of `globset`, with a star for what means something else there.
fn to_globset(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Literal(bytes) => match str::from_utf8(bytes) {
                Ok(literal) => text.push_str(&globset::escape(literal)),
                Err(_) => push_star(&mut text),
            },
            Token::Star | Token::AnyChar | Token::Class { .. } => push_star(&mut text),
        }
    }
    // Of a form with a literal ending like `.c` a set tries one regular expression after the other for every name that ends
    // so: a thousand `foo*.c` cost 10 µs a name. With a class at the end all forms are one automaton. What is nothing but a
    // beginning or an ending is found faster still.
    let plain_ending = text.rfind('*') == Some(0);
    match text.pop() {
        Some(last) if last.is_ascii_alphanumeric() && !plain_ending => {
            text.extend(['[', last, ']']);
        }
        last => text.extend(last),
    }
    text
}

/// Two stars would be taken for directories.
fn push_star(text: &mut String) {
    if !text.ends_with('*') {
        text.push('*');
    }
}
