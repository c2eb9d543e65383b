//! One component of a pattern, in the syntax of Go's `filepath.Match`, which is restic's.
//!
//! `*` stands for any bytes, `?` for one character, `[a-z]` and `[^a-z]` for one of a class, and `\` takes its meaning
//! from what follows. Unlike in other dialects `{` and `!` mean themselves, and `?` is a character, not a byte: that is
//! why `globset`, which counts bytes, has only the first word about those (`super::names`).

/// What is wrong with a pattern, in a few words.
pub(super) type Wrong = &'static str;

/// One component of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// `**`: any number of names, none too.
    Deep,
    /// `*`: any name.
    Any,
    /// This name.
    Literal(Vec<u8>),
    /// A name of this form.
    Glob(Vec<Token>),
}

/// A piece of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// These bytes.
    Literal(Vec<u8>),
    /// Any bytes.
    Star,
    /// One character, or one byte that belongs to none.
    AnyChar,
    /// One character that is, or is not, in one of these ranges.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Part {
    /// Parses one component, which holds no `/`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Wrong> {
        if text == b"**" {
            return Ok(Self::Deep);
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            match first {
                b'*' if tokens.last() == Some(&Token::Star) => {}
                b'*' => tokens.push(Token::Star),
                b'?' => tokens.push(Token::AnyChar),
                b'[' => tokens.push(class(&mut rest)?),
                b'\\' => {
                    let (&escaped, after) = rest.split_first().ok_or("nothing follows its `\\`")?;
                    rest = after;
                    push_byte(&mut tokens, escaped);
                }
                byte => push_byte(&mut tokens, byte),
            }
        }
        Ok(match &mut tokens[..] {
            [] => Self::Literal(Vec::new()),
            [Token::Star] => Self::Any,
            [Token::Literal(bytes)] => Self::Literal(std::mem::take(bytes)),
            _ => Self::Glob(tokens),
        })
    }
}

fn push_byte(tokens: &mut Vec<Token>, byte: u8) {
    match tokens.last_mut() {
        Some(Token::Literal(bytes)) => bytes.push(byte),
        _ => tokens.push(Token::Literal(vec![byte])),
    }
}

/// Parses what follows a `[`, up to and with its `]`.
fn class(rest: &mut &[u8]) -> Result<Token, Wrong> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.first() == Some(&b']') {
            *rest = &rest[1..];
            return Ok(Token::Class { negated, ranges });
        }
        let low = member(rest)?;
        let mut high = low;
        if rest.first() == Some(&b'-') {
            *rest = &rest[1..];
            if rest.first() == Some(&b']') {
                return Err(
                    "its `[...]` ends with a `-`, to which nothing follows; it is written `\\-`",
                );
            }
            high = member(rest)?;
        }
        ranges.push((low, high));
    }
}

/// One character of a class; a `]` must still follow it.
fn member(rest: &mut &[u8]) -> Result<char, Wrong> {
    const UNCLOSED: Wrong = "its `[` is not closed";
    match rest.first() {
        None => return Err(UNCLOSED),
        Some(b']') => return Err("its `[]` is empty; a `]` in it is written `\\]`"),
        Some(b'-') => {
            return Err("its `[...]` has a `-` that stands between nothing; it is written `\\-`");
        }
        Some(b'\\') => *rest = &rest[1..],
        Some(_) => {}
    }
    let (found, len) = decode(rest).ok_or(UNCLOSED)?;
    let found = found.ok_or("its `[...]` holds what is not UTF-8")?;
    *rest = &rest[len..];
    match rest.is_empty() {
        true => Err(UNCLOSED),
        false => Ok(found),
    }
}

/// The first character of `bytes` and its length, or `None` and 1 if they begin with none. `None` if they are empty.
fn decode(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let first = *bytes.first()?;
    let len = match first {
        0..0x80 => return Some((Some(char::from(first)), 1)),
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => return Some((None, 1)),
    };
    let text = bytes
        .get(..len)
        .and_then(|bytes| str::from_utf8(bytes).ok());
    Some(match text.and_then(|text| text.chars().next()) {
        Some(found) => (Some(found), len),
        None => (None, 1),
    })
}

/// Whether all of `name` has the form of `tokens`.
///
/// As in Go, what stands between two stars is looked for from the left, and the first place counts. That takes
/// `name × tokens` steps, not more, whatever the pattern.
pub(super) fn fits(tokens: &[Token], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where to go on if it does not fit: behind the last star, one byte further than the last time.
    let mut again = None;
    loop {
        let step = match tokens.get(at) {
            Some(Token::Star) => {
                at += 1;
                again = Some((at, from));
                continue;
            }
            Some(token) => one(token, &name[from..]),
            None if from == name.len() => return true,
            None => None,
        };
        match (step, again) {
            (Some(len), _) => (at, from) = (at + 1, from + len),
            (None, Some((star, begin))) if begin < name.len() => {
                again = Some((star, begin + 1));
                (at, from) = (star, begin + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How many bytes at the beginning of `name` this token takes, which is no star.
fn one(token: &Token, name: &[u8]) -> Option<usize> {
    match token {
        Token::Literal(bytes) => name.starts_with(bytes).then_some(bytes.len()),
        Token::Star => None,
        Token::AnyChar => decode(name).map(|(_, len)| len),
        Token::Class { negated, ranges } => {
            let (found, len) = decode(name)?;
            let found = found.unwrap_or(char::REPLACEMENT_CHARACTER);
            let inside = ranges
                .iter()
                .any(|(low, high)| (*low..=*high).contains(&found));
            (inside != *negated).then_some(len)
        }
    }
}
