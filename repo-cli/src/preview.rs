//! The beginning of a file, as text or as bytes.

use crate::text::printable;

/// Most letters of a line.
const LETTERS_MAX: usize = 500;

/// Bytes in a line of the others, and how many lines there are.
const HEX_BYTES: usize = 16;
const HEX_LINES: usize = 64;

/// The lines of a preview, at most so many. `whole` says that these are all bytes of the file.
pub fn lines(bytes: &[u8], whole: bool, lines_max: usize) -> Vec<String> {
    match text(bytes, whole) {
        Some("") => vec!["(empty)".to_owned()],
        Some(text) => text.lines().take(lines_max).map(line).collect(),
        None => hex(bytes),
    }
}

/// The text that the bytes are, if they are; a letter may be cut at the end of what was read.
fn text(bytes: &[u8], whole: bool) -> Option<&str> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if !whole && error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let odd = |letter: char| {
        letter.is_control() && !matches!(letter, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}')
    };
    (!text.chars().any(odd)).then_some(text)
}

/// A line with spaces for tabs, and escapes for what a terminal would obey.
fn line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.trim_end_matches('\r').chars().take(LETTERS_MAX) {
        match letter {
            '\t' => line.extend(std::iter::repeat_n(' ', 8 - line.chars().count() % 8)),
            letter => line.push(letter),
        }
    }
    printable(&line).into_owned()
}

fn hex(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.chunks(HEX_BYTES).take(HEX_LINES);
    let line = |(number, bytes): (usize, &[u8])| {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let letter = |&byte: &u8| match byte {
            0x20..=0x7e => byte as char,
            _ => '.',
        };
        let letters: String = bytes.iter().map(letter).collect();
        format!(
            "{:06x}  {:<47}  {letters}",
            number * HEX_BYTES,
            digits.join(" ")
        )
    };
    lines.enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_lines() {
        assert_eq!(
            lines(b"a\tb\r\n\x1b[31mred\n", true, 200),
            ["a       b", "\\u{1b}[31mred"]
        );
        assert_eq!(lines("ä€".as_bytes(), true, 200), ["ä€"]);
        assert_eq!(lines(b"", true, 200), ["(empty)"]);
        let many = "x\n".repeat(1000);
        assert_eq!(lines(many.as_bytes(), true, 200).len(), 200);
        assert_eq!(
            lines("x".repeat(9000).as_bytes(), true, 200)[0].len(),
            LETTERS_MAX
        );
    }

    #[test]
    fn a_letter_may_be_cut_at_the_end_of_what_was_read() {
        let cut = &"ä€".as_bytes()[..4];
        assert_eq!(lines(cut, false, 200), ["ä"]);
        assert!(lines(cut, true, 200)[0].starts_with("000000  c3 a4 e2 82"));
    }

    #[test]
    fn other_bytes_are_shown_by_their_numbers() {
        let shown = lines(b"\x7fELF\x02\x01\0\0 0123456789", true, 200);
        assert_eq!(
            shown[0],
            "000000  7f 45 4c 46 02 01 00 00 20 30 31 32 33 34 35 36  .ELF.... 0123456"
        );
        assert_eq!(
            shown[1].trim_end(),
            format!("000010  37 38 39{}  789", " ".repeat(39))
        );
    }
}
