//! Patterns as arguments and in files.

use crate::app::App;
use crate::env::Env;
use crate::exit::Failure;
use crate::text::printable;
use crate::text_file;
use clap::builder::{OsStringValueParser, TypedValueParser};
use repo_core::pattern::{self, List};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Bytes of the largest file of patterns.
const FILE_BYTES_MAX: usize = 64 << 20;

/// Takes an argument that is a pattern.
pub fn parser() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|text| match pattern::check(&text) {
        Ok(()) => Ok(text),
        Err(error) => Err(why(&error)),
    })
}

/// The list of patterns that arguments give, and after them those of files.
pub fn list(
    app: &App,
    given: &[OsString],
    files: &[PathBuf],
    ignore_case: bool,
) -> Result<List, Failure> {
    let mut patterns = given.to_vec();
    for file in files {
        patterns.extend(of_file(app, file)?);
    }
    Ok(List::parse(&patterns, ignore_case)?)
}

/// The patterns of a file, one a line. Blank lines and those that begin with `#` mean nothing; `$NAME` and `${NAME}` stand for
/// variables, `$$` for a dollar sign. One that makes no sense fails with its file and line.
fn of_file(app: &App, file: &Path) -> Result<Vec<OsString>, Failure> {
    let mut patterns = Vec::new();
    for (number, line) in (1..).zip(text_file::read(file, FILE_BYTES_MAX)?) {
        let Some(line) = text_file::meaning(&line) else {
            continue;
        };
        let place = || printable(&format!("{}, line {number}", file.display())).into_owned();
        let mut unset = Vec::new();
        let text = OsString::from_vec(expanded(line, &app.env, &mut unset));
        for name in unset {
            let name = printable(&name).into_owned();
            app.terminal.warn(&format!(
                "{}: ${name} is not set, and stands for nothing; for a dollar sign write $$",
                place()
            ));
        }
        if let Err(error) = pattern::check(&text) {
            return Err(Failure::usage(format!(
                "{}: the pattern {} makes no sense: {}\nCorrect it; nothing was done.",
                place(),
                printable(&text.to_string_lossy()),
                why(&error)
            )));
        }
        patterns.push(text);
    }
    Ok(patterns)
}

fn why(error: &repo_core::Error) -> String {
    error.detail_text().unwrap_or("invalid").to_owned()
}

/// The text with variables in place of their names, as Go's `os.Expand` does it for restic. Notes names that are not set.
fn expanded(text: &[u8], env: &Env, unset: &mut Vec<String>) -> Vec<u8> {
    let mut expanded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        expanded.extend_from_slice(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let (name, len) = variable(rest);
        rest = &rest[len..];
        match name {
            // No name follows.
            None if len == 0 => expanded.push(b'$'),
            // Braces that hold none, or are not closed, mean nothing.
            None => {}
            Some(b"$") => expanded.push(b'$'),
            Some(name) => {
                let name = String::from_utf8_lossy(name);
                match env.get(&name) {
                    Some(value) => expanded.extend_from_slice(&value.into_vec()),
                    None => unset.push(name.into_owned()),
                }
            }
        }
    }
    expanded.extend_from_slice(rest);
    expanded
}

/// The name of the variable that stands at the beginning, and how many bytes it takes with its braces.
fn variable(text: &[u8]) -> (Option<&[u8]>, usize) {
    let special = |byte: u8| b"*#$@!?-".contains(&byte) || byte.is_ascii_digit();
    match text {
        [b'{', ..] => match text.iter().position(|byte| *byte == b'}') {
            Some(1) => (None, 2),
            Some(end) => (Some(&text[1..end]), end + 1),
            None => (None, 1),
        },
        [first, ..] if special(*first) => (Some(&text[..1]), 1),
        _ => {
            let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let len = text.iter().take_while(|byte| in_name(byte)).count();
            (Some(&text[..len]).filter(|name| !name.is_empty()), len)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_as_by_restic() {
        let env = Env::fixed(&[("HOME", "/home/bob"), ("A_1", "x y"), ("E", "")]);
        for (text, expected, missing) in [
            ("$HOME/*", "/home/bob/*", &[][..]),
            ("a${A_1}b$A_1", "ax ybx y", &[]),
            ("$$HOME $$", "$HOME $", &[]),
            ("a$", "a$", &[]),
            ("$/a$.b", "$/a$.b", &[]),
            ("${}a${b", "ab", &[]),
            ("${HOME", "HOME", &[]),
            ("$HOMER/$E-$1x", "/-x", &["HOMER", "E", "1"]),
            ("${no such}", "", &["no such"]),
            ("nothing", "nothing", &[]),
            ("${$}", "$", &[]),
        ] {
            let mut unset = Vec::new();
            let found = expanded(text.as_bytes(), &env, &mut unset);
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{text}");
            assert_eq!(unset, missing, "{text}");
        }
        let mut unset = Vec::new();
        assert_eq!(expanded(b"\xff$HOME", &env, &mut unset), b"\xff/home/bob");
    }
}
