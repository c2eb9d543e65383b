//! Lists of what to back up: files whose lines are patterns, or paths.

use super::select::SelectFlags;
use crate::app::App;
use crate::exit::Failure;
use crate::message::plain_io;
use crate::signals;
use crate::text::printable;
use crate::text_file;
use repo_core::pattern::Component;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Bytes of the largest list: ten million paths of a hundred bytes.
const LIST_BYTES_MAX: usize = 1 << 30;

/// What one path takes in messages.
const STDIN: &str = "-";

/// Whether one of the lists is standard input.
pub fn read_stdin(flags: &SelectFlags) -> bool {
    all(flags).any(|list| list.as_os_str() == STDIN)
}

/// The paths that the lists name. Standard input can be only one of them.
pub fn read(app: &App, flags: &SelectFlags) -> Result<Vec<PathBuf>, Failure> {
    if all(flags).filter(|list| list.as_os_str() == STDIN).count() > 1 {
        return Err(Failure::usage(
            "standard input is given as more than one list\nIt can be read once; put the others into files.",
        ));
    }
    let mut paths = Vec::new();
    for list in &flags.files_from {
        for (number, line) in (1..).zip(text_file::lines(content(list)?, list)?) {
            if let Some(pattern) = text_file::meaning(&line) {
                paths.extend(matching(app, list, number, pattern)?);
            }
        }
    }
    for list in &flags.files_from_verbatim {
        let lines = text_file::lines(content(list)?, list)?;
        paths.extend(lines.into_iter().filter(|line| !line.is_empty()).map(path));
    }
    for list in &flags.files_from_raw {
        paths.extend(raw(&content(list)?, list)?);
    }
    Ok(paths)
}

fn all(flags: &SelectFlags) -> impl Iterator<Item = &PathBuf> {
    let lists = flags.files_from.iter();
    lists
        .chain(&flags.files_from_verbatim)
        .chain(&flags.files_from_raw)
}

fn path(bytes: Vec<u8>) -> PathBuf {
    std::ffi::OsString::from_vec(bytes).into()
}

fn content(list: &Path) -> Result<Vec<u8>, Failure> {
    if list.as_os_str() != STDIN {
        return text_file::read_whole(list, LIST_BYTES_MAX);
    }
    let mut bytes = Vec::new();
    let stdin = std::io::stdin().lock().take(LIST_BYTES_MAX as u64 + 1);
    let read = { stdin }.read_to_end(&mut bytes);
    if signals::came() {
        // What ended the list may have been the end of who wrote it.
        return Err(Failure::interrupted(""));
    }
    read.map_err(|error| {
        Failure::failed(format!("cannot read standard input: {}", plain_io(&error)))
    })?;
    match bytes.len() > LIST_BYTES_MAX {
        true => Err(Failure::failed(
            "the list on standard input is longer than 1 GiB",
        )),
        false => Ok(bytes),
    }
}

/// The paths of a list in which a zero byte ends each.
fn raw(bytes: &[u8], list: &Path) -> Result<Vec<PathBuf>, Failure> {
    let Some(bytes) = bytes.strip_suffix(b"\0") else {
        return match bytes.is_empty() {
            true => Ok(Vec::new()),
            false => Err(wrong(
                list,
                "no zero byte ends its last path, so it may be cut off",
            )),
        };
    };
    let paths = bytes.split(|byte| *byte == 0);
    paths
        .map(|name| match name.is_empty() {
            true => Err(wrong(list, "one of its paths is empty")),
            false => Ok(path(name.to_vec())),
        })
        .collect()
}

fn wrong(list: &Path, why: &str) -> Failure {
    Failure::failed(format!(
        "--files-from-raw {}: {why}\nA zero byte must end each path, as `find -print0` writes them; nothing was done.",
        printable(&list.to_string_lossy())
    ))
}

/// The paths that a pattern of a list matches, sorted; without anything special in it, the path that it is. A pattern that
/// matches nothing is passed over, as restic does, and said.
fn matching(
    app: &App,
    list: &Path,
    number: usize,
    pattern: &[u8],
) -> Result<Vec<PathBuf>, Failure> {
    let text = pattern.split(|byte| *byte == b'/');
    let parts: Result<Vec<Component>, _> = text.map(Component::parse).collect();
    let shown = || printable(&String::from_utf8_lossy(pattern)).into_owned();
    let place = || printable(&format!("{}, line {number}", list.display())).into_owned();
    let parts = parts.map_err(|error| {
        Failure::usage(format!(
            "{}: the pattern {} makes no sense: {}\n\
             Correct it, or give the list as --files-from-verbatim; nothing was done.",
            place(),
            shown(),
            error.detail_text().unwrap_or("invalid")
        ))
    })?;
    let (found, refused) = glob(pattern.starts_with(b"/"), &parts);
    for (dir, error) in refused {
        app.terminal.warn(&format!(
            "{}: cannot read {} to see what matches {}: {}",
            place(),
            printable(&dir.to_string_lossy()),
            shown(),
            plain_io(&error)
        ));
    }
    if found.is_empty() {
        app.terminal
            .warn(&format!("{}: nothing matches {}", place(), shown()));
    }
    Ok(found)
}

type Refused = Vec<(PathBuf, std::io::Error)>;

/// What is there of this form, and the directories that could not be read. What follows a component that is not literal
/// must be there; a pattern that is all literal is not looked up.
fn glob(absolute: bool, parts: &[Component]) -> (Vec<PathBuf>, Refused) {
    let mut found = vec![PathBuf::from(if absolute { "/" } else { "" })];
    let (mut refused, mut any_glob) = (Refused::new(), false);
    for part in parts {
        match part.literal() {
            Some(b"") => {}
            Some(name) => {
                found
                    .iter_mut()
                    .for_each(|path| path.push(OsStr::from_bytes(name)));
                if any_glob {
                    found.retain(|path| path.symlink_metadata().is_ok());
                }
            }
            None => {
                any_glob = true;
                let above = std::mem::take(&mut found);
                for dir in above {
                    match entries(&dir, part) {
                        Ok(entries) => found.extend(entries),
                        Err(error) if is_no_directory(&error) => {}
                        Err(error) => refused.push((dir, error)),
                    }
                }
            }
        }
    }
    (found, refused)
}

fn entries(dir: &Path, part: &Component) -> std::io::Result<Vec<PathBuf>> {
    let open = match dir.as_os_str().is_empty() {
        true => Path::new("."),
        false => dir,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(open)? {
        let name = entry?.file_name();
        if part.matches(name.as_bytes()) {
            found.push(dir.join(name));
        }
    }
    found.sort();
    Ok(found)
}

fn is_no_directory(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globbed(root: &Path, pattern: &str) -> Vec<String> {
        let whole = root.join(pattern);
        let text = whole.as_os_str().as_bytes().split(|byte| *byte == b'/');
        let parts: Vec<Component> = text.map(|part| Component::parse(part).unwrap()).collect();
        let (found, refused) = glob(true, &parts);
        assert!(refused.is_empty());
        let relative = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        found.iter().map(relative).collect()
    }

    #[test]
    fn patterns_of_lists_are_looked_up() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a/x", "a/y.c", "b/x", "b/.h", "c*", "ä"] {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        for (pattern, expected) in [
            ("*", &["a", "b", "c*", "ä"][..]),
            ("?", &["a", "b", "ä"]),
            ("*/x", &["a/x", "b/x"]),
            ("*/*", &["a/x", "a/y.c", "b/.h", "b/x"]),
            ("**/*.c", &["a/y.c"]),
            ("[^a]/./x", &["b/./x"]),
            ("b*//x/", &["b/x"]),
            ("c\\*", &["c*"]),
            ("c*", &["c*"]),
            ("none", &["none"]),
            ("none/*", &[]),
            ("a/x/*", &[]),
            ("*/none", &[]),
        ] {
            assert_eq!(globbed(place.path(), pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn raw_lists_are_ended_by_zero_bytes() {
        let read = |bytes: &[u8]| raw(bytes, Path::new("list"));
        assert_eq!(read(b"").unwrap(), [""; 0].map(PathBuf::from));
        assert_eq!(
            read(b"a\nb\0 c\0").unwrap(),
            ["a\nb", " c"].map(PathBuf::from)
        );
        for (wrong, why) in [
            (&b"a\0b"[..], "cut off"),
            (b"a\0\0b\0", "empty"),
            (b"\0", "empty"),
        ] {
            let failure = read(wrong).unwrap_err();
            assert!(failure.text().contains(why), "{}", failure.text());
        }
    }
}
