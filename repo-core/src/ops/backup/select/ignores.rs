//! Ignore files: what is left out, said beside it, in the syntax of `.gitignore`.

use crate::error::{Error, Result, Subject};
use crate::fs::{Dir, Kind, read_at};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// The longest ignore file that is followed. One of a large project has a few KiB.
const FILE_BYTES_MAX: usize = 1 << 20;

/// An ignore file, and those that count less: in the same directory or above it.
#[derive(Debug)]
pub struct Ignores {
    matcher: Gitignore,
    /// Where names below its directory begin in an absolute path.
    from: usize,
    above: Option<Arc<Ignores>>,
}

impl Ignores {
    /// Reads the ignore file `name` of `dir`, in whose paths the names of entries begin at `from`; and says which lines mean
    /// nothing. `None` if none means anything.
    ///
    /// A directory of that name is no ignore file. A link is not followed, as git does not.
    pub fn read(
        dir: &Dir,
        name: &[u8],
        from: usize,
        above: &Option<Arc<Self>>,
    ) -> (Option<Self>, Option<String>) {
        if dir.stat(name).is_ok_and(|meta| meta.kind == Kind::Dir) {
            return (None, None);
        }
        let bytes = match content(dir, name) {
            Ok(bytes) => bytes,
            Err(error) => return (None, Some(error.about(Subject::None).to_string())),
        };
        let (matcher, said) = parse(&bytes);
        let above = above.clone();
        let found = matcher.map(|matcher| Self {
            matcher,
            from,
            above,
        });
        (found, said)
    }

    /// Whether the entry of this absolute path is left out: the nearest file that says something of it decides.
    pub fn leave_out(&self, path: &[u8], is_dir: bool) -> bool {
        let mut next = Some(self);
        while let Some(ignores) = next {
            let relative = Path::new(OsStr::from_bytes(&path[ignores.from..]));
            match ignores.matcher.matched(relative, is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => next = ignores.above.as_deref(),
            }
        }
        false
    }
}

fn content(dir: &Dir, name: &[u8]) -> Result<Vec<u8>> {
    let (file, _) = dir.open_file(name).map_err(super::never_a_file)?;
    let mut bytes = vec![0; FILE_BYTES_MAX + 1];
    let len = read_at(&file, 0, bytes.len(), &mut bytes)?;
    bytes.truncate(len);
    match len > FILE_BYTES_MAX {
        true => Err(Error::unsupported(Subject::None).detail("longer than 1 MiB")),
        false => Ok(bytes),
    }
}

/// The line with its braces escaped: for git they mean themselves, for the matcher alternatives.
fn without_braces(line: &str) -> Cow<'_, str> {
    if !line.contains(['{', '}']) {
        return Cow::Borrowed(line);
    }
    let (mut escaped, mut in_class) = (String::with_capacity(line.len() + 8), false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '[' => in_class = true,
            ']' => in_class = false,
            '{' | '}' if !in_class => escaped.push('\\'),
            _ => {}
        }
        escaped.push(letter);
        if letter == '\\' {
            escaped.extend(letters.next());
        }
    }
    Cow::Owned(escaped)
}

/// What the lines mean, if one means something; and the first that cannot be read, with its number.
fn parse(bytes: &[u8]) -> (Option<Gitignore>, Option<String>) {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    // Paths are relative to its directory already.
    let mut builder = GitignoreBuilder::new("");
    let mut wrong: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match str::from_utf8(line) {
            Err(_) => wrong.push((number, "not UTF-8".into())),
            Ok(line) => {
                if let Err(error) = builder.add_line(None, &without_braces(line)) {
                    wrong.push((number, error.to_string()));
                }
            }
        }
    }
    let more = wrong.len().saturating_sub(1);
    let mut said = wrong.into_iter().next().map(|(number, why)| match more {
        0 => format!("line {number}: {why}"),
        _ => format!("line {number} and {more} more: {why}"),
    });
    let built = match builder.build() {
        Ok(built) => Some(built),
        Err(error) => {
            said = Some(error.to_string());
            None
        }
    };
    (built.filter(|built| !built.is_empty()), said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignores(lines: &str, path: &str, is_dir: bool) -> bool {
        let (matcher, said) = parse(lines.as_bytes());
        assert_eq!(said, None, "{lines:?}");
        matcher.unwrap().matched(path, is_dir).is_ignore()
    }

    #[test]
    fn lines_mean_what_they_mean_to_git() {
        for (line, path, is_dir, expected) in [
            ("*.o", "a/b.o", false, true),
            ("/b.o", "a/b.o", false, false),
            ("a/b", "x/a/b", false, false),
            ("a/b", "a/b", false, true),
            ("b/", "a/b", true, true),
            ("b/", "a/b", false, false),
            ("**/b", "a/x/b", false, true),
            ("a/**", "a", true, false),
            ("a/**", "a/x/y", false, true),
            ("a*c", "a/c", false, false),
            ("\\!x", "!x", false, true),
            ("\\#x", "#x", false, true),
            ("x ", "x", false, true),
            ("{a,b}", "a", false, false),
            ("{a,b}", "{a,b}", false, true),
            ("{a", "{a", false, true),
            ("\\{a", "{a", false, true),
            ("[{]a", "{a", false, true),
            ("[a", "[a", false, true),
        ] {
            assert_eq!(ignores(line, path, is_dir), expected, "{line} {path}");
        }
    }

    #[test]
    fn lines_that_mean_nothing_are_told_by_number() {
        let (matcher, said) = parse(b"\xef\xbb\xbf# a\n\n[z-a]\r\n\xff\nok\n");
        assert!(said.unwrap().starts_with("line 3 and 1 more: "));
        assert_eq!(matcher.unwrap().len(), 1);
        let (matcher, said) = parse(b"\xff");
        assert!(matcher.is_none());
        assert_eq!(said.unwrap(), "line 1: not UTF-8");
        assert!(parse(b"# nothing\n").0.is_none());
    }
}
