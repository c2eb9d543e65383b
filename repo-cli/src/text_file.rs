//! Files of lines that users write: lists of paths, patterns.

use crate::exit::Failure;
use repo_core::Error;
use repo_core::fs::read_bounded;
use std::path::Path;

/// A line, without what ends it. Not always UTF-8: names are not.
pub type Line = Vec<u8>;

/// Reads the lines of a file of at most `bytes_max` bytes.
pub fn read(path: &Path, bytes_max: usize) -> Result<Vec<Line>, Failure> {
    lines(read_whole(path, bytes_max)?, path)
}

/// Reads the bytes of a file of at most `bytes_max` bytes, which a flag names.
pub fn read_whole(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let read = read_bounded(path, bytes_max).map_err(Failure::from);
    read.map_err(|failure| match failure.text().lines().count() {
        1 => {
            failure.advising("A flag names this file: look at how it is spelled. Nothing was done.")
        }
        _ => failure,
    })
}

/// The lines of a text: bytes as they are, or UTF-16 that begins with a byte order mark, as some editors write it.
pub fn lines(bytes: Vec<u8>, path: &Path) -> Result<Vec<Line>, Failure> {
    let utf16 = |decode: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks();
        let units = pairs.iter().map(|pair| decode(*pair));
        let text: Option<String> = char::decode_utf16(units)
            .collect::<Result<_, _>>()
            .ok()
            .filter(|_| rest.is_empty());
        text.map(String::into_bytes).ok_or_else(|| {
            let error = Error::new(
                repo_core::ErrorKind::InvalidInput,
                repo_core::Subject::Path(path.to_path_buf()),
            );
            Failure::from(error.detail("begins as UTF-16, but is not"))
        })
    };
    let bytes = match &bytes[..] {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes)?,
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes)?,
        [0xef, 0xbb, 0xbf, rest @ ..] => rest.to_vec(),
        _ => bytes,
    };
    let mut lines: Vec<Line> = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        .collect();
    // What follows the last end of a line is none, unless it is something.
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    Ok(lines)
}

/// A line without white space around it; `None` if nothing is left, or a comment.
pub fn meaning(line: &[u8]) -> Option<&[u8]> {
    let line = match str::from_utf8(line) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => line.trim_ascii(),
    };
    (!line.is_empty() && line[0] != b'#').then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        let lines = lines(bytes.to_vec(), Path::new("list")).unwrap();
        let text = |line: Line| String::from_utf8_lossy(&line).into_owned();
        lines.into_iter().map(text).collect()
    }

    #[test]
    fn lines_end_in_several_ways() {
        assert_eq!(read(b"a\nb\r\n\n c \r\r\nd"), ["a", "b", "", " c \r", "d"]);
        assert_eq!(read(b""), [""; 0]);
        assert_eq!(read(b"\n"), [""]);
    }

    #[test]
    fn byte_order_marks_are_heeded() {
        assert_eq!(read("\u{feff}ä\nb".as_bytes()), ["ä", "b"]);
        let units: Vec<u16> = "\u{feff}ä\r\n😀".encode_utf16().collect();
        let le: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let be: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert_eq!(read(&le), ["ä", "😀"]);
        assert_eq!(read(&be), ["ä", "😀"]);
        for wrong in [&b"\xff\xfea"[..], b"\xff\xfe\x00\xd8"] {
            let failure = lines(wrong.to_vec(), Path::new("list")).unwrap_err();
            assert!(failure.text().contains("UTF-16"), "{}", failure.text());
        }
        assert_eq!(lines(b"\xff\n".to_vec(), Path::new("")).unwrap(), [b"\xff"]);
    }

    #[test]
    fn comments_and_blank_lines_mean_nothing() {
        assert_eq!(meaning("\u{a0} a b\t".as_bytes()), Some(&b"a b"[..]));
        assert_eq!(meaning(b" \xff "), Some(&b"\xff"[..]));
        for line in [&b""[..], b"  ", b"# a", b"  #a"] {
            assert_eq!(meaning(line), None);
        }
        assert_eq!(meaning(b"\\#a"), Some(&b"\\#a"[..]));
    }
}
