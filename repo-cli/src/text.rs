//! Numbers, times and tables as people read them.

use jiff::tz::{Offset, TimeZone};
use repo_core::ops::Changed;
use repo_core::time::Timestamp;
use std::borrow::Cow;
use std::time::Duration;

/// A number of bytes with a binary unit, as restic writes it.
pub fn bytes(count: u64) -> String {
    bytes_to(count, 3)
}

/// The same with one digit after the point, for what changes while it is read.
pub fn bytes_roughly(count: u64) -> String {
    bytes_to(count, 1)
}

fn bytes_to(count: u64, digits: usize) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = count as f64 / 1024.0;
    if value < 1.0 {
        return format!("{count} B");
    }
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `m:ss`, with hours in front if there are any.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// `count` and a word for one or for more of it.
pub fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Words for that in which a version differs from the one before.
pub fn changed_words(changed: &Changed) -> Vec<&'static str> {
    let all = [
        ("type", changed.kind),
        ("content", changed.content),
        ("mtime", changed.mtime),
        ("mode", changed.mode),
        ("owner", changed.owner),
        ("xattrs", changed.xattrs),
        ("other", changed.other),
    ];
    let there = all.iter().filter(|(_, there)| *there);
    there.map(|(word, _)| *word).collect()
}

/// A time as this machine's clock on the wall showed it.
pub fn local_time(time: Timestamp) -> String {
    match instant(time) {
        Some(at) => at
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        None => format!("{} s", time.seconds),
    }
}

/// RFC 3339 in UTC plus this many minutes.
pub fn rfc3339(time: Timestamp, utc_offset_min: i16) -> String {
    let offset = Offset::from_seconds(i32::from(utc_offset_min) * 60).unwrap_or(Offset::UTC);
    match instant(time) {
        Some(at) if offset == Offset::UTC => at.to_string(),
        Some(at) => at.display_with_offset(offset).to_string(),
        // What no calendar of four-digit years can say.
        None => "0001-01-01T00:00:00Z".into(),
    }
}

/// The same as HTTP writes it; `None` of a time that no server should say: the future, or what no calendar has.
#[cfg(feature = "serve")]
pub fn http_date(time: Timestamp) -> Option<String> {
    let at = instant(time).filter(|_| time <= repo_core::time::now())?;
    Some(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(time.seconds, i32::try_from(time.nanos).ok()?).ok()
}

/// Text from outside, safe to show: control characters, which could command a terminal, and format characters, which could
/// make one name look like another, are written as escapes.
pub fn printable(text: &str) -> Cow<'_, str> {
    match text.chars().any(is_unsafe) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.chars().flat_map(escaped).collect()),
    }
}

/// Text as it stands in HTML or SVG: also in an attribute between double quotes.
pub fn as_markup(text: &str) -> String {
    let mut markup = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => markup.push_str("&amp;"),
            '<' => markup.push_str("&lt;"),
            '>' => markup.push_str("&gt;"),
            '"' => markup.push_str("&quot;"),
            '\'' => markup.push_str("&#39;"),
            letter => markup.push(letter),
        }
    }
    markup
}

/// Whether a terminal would obey it, or show nothing or text in another order for it: control characters, separators of lines,
/// marks and overrides of direction, spaces without width, tags. Joiners stay: some scripts need them.
pub fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn escaped(letter: char) -> impl Iterator<Item = char> {
    let (kept, escape) = match is_unsafe(letter) {
        true => (None, Some(letter.escape_default())),
        false => (Some(letter), None),
    };
    kept.into_iter().chain(escape.into_iter().flatten())
}

/// How many columns of a terminal a text takes: Chinese and Japanese letters take two, combining ones none (Unicode annex 11).
pub fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// Text whose lines end between words before so many columns; a longer word goes on. Further lines of one begin as it does, and
/// with so many spaces more.
pub fn wrapped(text: &str, columns: usize, hang: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let mut used = 0;
        for word in line.split_inclusive(' ') {
            let len = self::columns(word.trim_end());
            if used > indent && used + len > columns {
                out.truncate(out.trim_end_matches(' ').len());
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent + hang));
                used = indent + hang;
            }
            out.push_str(word);
            used += self::columns(word);
        }
    }
    out
}

/// Rows under a heading, columns as wide as they must be. A cell may have several lines.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Columns whose cells are pushed to the right.
    right: Vec<usize>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
            right: Vec::new(),
        }
    }

    /// Pushes the cells of a column to the right.
    pub fn right(mut self, column: usize) -> Self {
        self.right.push(column);
        self
    }

    /// Adds a row; as many cells as there are headings.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.head.len());
        self.rows.push(cells);
    }

    /// How many columns its lines take.
    pub fn columns(&self) -> usize {
        let widths = (0..self.head.len()).map(|column| self.width(column));
        widths.sum::<usize>() + 2 * (self.head.len() - 1)
    }

    /// The table between rules, every line ended.
    pub fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| self.width(column))
            .collect();
        let rule = "-".repeat(self.columns());
        let head = self
            .head
            .iter()
            .map(|h| (*h).to_owned())
            .collect::<Vec<_>>();
        let mut text = self.line(&head, &widths);
        text.push_str(&rule);
        text.push('\n');
        for row in &self.rows {
            let height = row
                .iter()
                .map(|cell| cell.split('\n').count())
                .max()
                .unwrap_or(1);
            for line in 0..height {
                let part = |cell: &String| cell.split('\n').nth(line).unwrap_or("").to_owned();
                text.push_str(&self.line(&row.iter().map(part).collect::<Vec<_>>(), &widths));
            }
        }
        text.push_str(&rule);
        text.push('\n');
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().flat_map(|row| row[column].split('\n'));
        let lens = cells.chain([self.head[column]]).map(columns);
        lens.max().unwrap_or(0)
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            let room = " ".repeat(width.saturating_sub(columns(cell)));
            let (before, after) = match self.right.contains(&column) {
                true => (room.as_str(), ""),
                false => ("", room.as_str()),
            };
            line.extend([before, cell, after]);
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_with_restic() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1024), "1.000 KiB");
        assert_eq!(bytes(1_288_490_189), "1.200 GiB");
        assert_eq!(bytes(u64::MAX), "16.000 EiB");
        assert_eq!(duration(Duration::from_secs(65)), "1:05");
        assert_eq!(duration(Duration::from_secs(3 * 3600 + 62)), "3:01:02");
        assert_eq!(counted(1, "file", "files"), "1 file");
        assert_eq!(counted(0, "file", "files"), "0 files");
    }

    #[test]
    fn wide_letters_take_two_columns() {
        let mut table = Table::new(&["Name", "Size"]).right(1);
        table.row(vec!["写真".into(), "1".into()]);
        table.row(vec!["e\u{301}t".into(), "20".into()]);
        let rule = "-".repeat(10);
        let rows = "Name  Size\n-\n写真     1\ne\u{301}t      20\n-\n";
        assert_eq!(table.render(), rows.replace("-\n", &format!("{rule}\n")));
        assert_eq!(wrapped("写真 写真", 8, 0), "写真\n写真");
    }

    #[test]
    fn times_carry_their_offset() {
        let time = Timestamp::new(1_700_000_000, 500_000_000);
        assert_eq!(rfc3339(time, 0), "2023-11-14T22:13:20.5Z");
        assert_eq!(rfc3339(time, 90), "2023-11-14T23:43:20.5+01:30");
        assert_eq!(
            rfc3339(Timestamp::new(i64::MAX, 0), 0),
            "0001-01-01T00:00:00Z"
        );
    }

    #[test]
    fn control_characters_become_escapes() {
        assert_eq!(printable("a\x1b[1m\nü"), "a\\u{1b}[1m\\nü");
        assert_eq!(
            printable("a\u{202e}b\u{2066}c\u{200b}\u{feff}\u{2028}\u{9b}"),
            "a\\u{202e}b\\u{2066}c\\u{200b}\\u{feff}\\u{2028}\\u{9b}"
        );
        assert!(matches!(printable("plain ü"), Cow::Borrowed(_)));
        // Emoji and Persian need joiners.
        assert!(matches!(
            printable("\u{1f468}\u{200d}\u{1f469}\u{200c}"),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn lines_end_between_words() {
        let text = "error: this is long\n  and that too";
        assert_eq!(wrapped(text, 80, 0), text);
        assert_eq!(
            wrapped(text, 12, 0),
            "error: this\nis long\n  and that\n  too"
        );
        assert_eq!(
            wrapped("a /very/long/path b\n", 6, 2),
            "a\n  /very/long/path\n  b\n"
        );
        assert_eq!(wrapped("", 6, 2), "");
    }

    #[test]
    fn tables_align() {
        let mut table = Table::new(&["ID", "Paths", "Size"]).right(2);
        table.row(vec![
            "12345678".into(),
            "/a\n/long/path".into(),
            "1 B".into(),
        ]);
        assert_eq!(
            table.render(),
            "ID        Paths       Size\n\
             --------------------------\n\
             12345678  /a           1 B\n\
             \x20         /long/path\n\
             --------------------------\n"
        );
    }
}
