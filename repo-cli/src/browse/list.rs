//! The rows of one place, which of them a filter leaves, and which are on the screen.

use repo_core::fs::Kind;
use repo_core::snapshot::SnapshotInfo;
use repo_core::time::Timestamp;
use std::ops::Range;
use std::sync::Arc;

/// A snapshot, an entry of a directory, or a version. Memory: some 120 bytes and the name.
#[derive(Debug, Clone)]
pub struct Row {
    /// The name of an entry; what a filter looks at.
    pub name: Vec<u8>,
    /// What it is; `None` of a version that is not there.
    pub kind: Option<Kind>,
    /// The length of a file, or what a snapshot holds.
    pub size: u64,
    /// When its content changed last, or the snapshot was made.
    pub time: Timestamp,
    /// The snapshot of a row that stands for one, or for a version that it has.
    pub info: Option<Arc<SnapshotInfo>>,
    /// In what a version differs from the one before, or where a link leads.
    pub note: Option<Box<str>>,
}

/// Rows and a cursor.
#[derive(Debug, Default)]
pub struct List {
    rows: Vec<Row>,
    /// Rows that the filter leaves, if there is one.
    left: Option<Vec<u32>>,
    filter: String,
    cursor: usize,
    top: usize,
    height: usize,
}

impl List {
    /// All of these rows, the cursor on the first.
    pub fn new(rows: Vec<Row>, height: usize) -> Self {
        Self {
            rows,
            height,
            ..Self::default()
        }
    }

    /// How many rows the filter leaves.
    pub fn len(&self) -> usize {
        self.left.as_ref().map_or(self.rows.len(), Vec::len)
    }

    /// A row, counted among those that the filter leaves.
    pub fn row(&self, at: usize) -> Option<&Row> {
        match &self.left {
            Some(left) => self.rows.get(*left.get(at)? as usize),
            None => self.rows.get(at),
        }
    }

    /// The row under the cursor.
    pub fn current(&self) -> Option<&Row> {
        self.row(self.cursor)
    }

    /// Where the cursor is.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// How many rows the screen has.
    pub fn height(&self) -> usize {
        self.height.max(1)
    }

    /// The text that names must have.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Puts the cursor on a row, or the last.
    pub fn to(&mut self, at: usize) {
        self.cursor = at.min(self.len().saturating_sub(1));
    }

    /// Moves the cursor, as far as there are rows.
    pub fn by(&mut self, rows: isize) {
        self.to(self.cursor.saturating_add_signed(rows));
    }

    /// Puts the cursor on the first row that is meant, if there is one.
    pub fn go_to(&mut self, meant: impl Fn(&Row) -> bool) {
        let found = (0..self.len()).find(|&at| self.row(at).is_some_and(&meant));
        if let Some(at) = found {
            self.to(at);
        }
    }

    /// Leaves rows whose name has this text; capital letters count if there are any in it. The cursor stays on its row if that is left.
    pub fn set_filter(&mut self, filter: &str) {
        let stood = self.current().map(|row| row.name.clone());
        self.filter = filter.to_owned();
        let any_case = !filter.chars().any(char::is_uppercase);
        let fits = |row: &Row| {
            let name = String::from_utf8_lossy(&row.name);
            match any_case {
                true => name.to_lowercase().contains(filter),
                false => name.contains(filter),
            }
        };
        let rows = (0..).zip(&self.rows);
        self.left = (!filter.is_empty()).then(|| {
            let left = rows.filter(|(_, row)| fits(row));
            left.map(|(at, _)| at).collect()
        });
        self.to(0);
        if let Some(name) = stood {
            self.go_to(|row| row.name == name);
        }
    }

    /// The rows on a screen of this height: the cursor is among them, and no more are moved than must be.
    pub fn on_screen(&mut self, height: usize) -> Range<usize> {
        self.height = height;
        if height == 0 {
            return self.top..self.top;
        }
        let len = self.len();
        let lowest = (self.cursor + 1).saturating_sub(height);
        let most = len.saturating_sub(height);
        self.top = self.top.clamp(lowest, self.cursor).min(most.max(lowest));
        self.top..(self.top + height).min(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[&str]) -> Vec<Row> {
        let row = |name: &&str| Row {
            name: name.as_bytes().to_vec(),
            kind: Some(Kind::File),
            size: 0,
            time: Timestamp::new(0, 0),
            info: None,
            note: None,
        };
        names.iter().map(row).collect()
    }

    #[test]
    fn the_screen_follows_the_cursor() {
        let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut list = List::new(rows(&names), 10);
        assert_eq!(list.on_screen(10), 0..10);
        list.by(9);
        assert_eq!(list.on_screen(10), 0..10);
        list.by(1);
        assert_eq!(list.on_screen(10), 1..11);
        list.to(usize::MAX);
        assert_eq!((list.cursor(), list.on_screen(10)), (99, 90..100));
        list.by(-5);
        assert_eq!(list.on_screen(10), 90..100);
        assert_eq!(list.on_screen(200), 0..100);
        list.to(50);
        assert!(list.on_screen(0).is_empty());
        list.by(isize::MIN);
        assert_eq!(list.on_screen(10), 0..10);
        assert_eq!(List::default().on_screen(10), 0..0);
    }

    #[test]
    fn a_filter_leaves_names_that_have_it() {
        let mut list = List::new(rows(&["Alpha", "beta", "alphabet"]), 10);
        let names = |list: &List| {
            let rows = (0..list.len()).filter_map(|at| list.row(at));
            let names = rows.map(|row| String::from_utf8(row.name.clone()).unwrap());
            names.collect::<Vec<_>>().join(" ")
        };
        list.to(2);
        list.set_filter("alpha");
        assert_eq!(
            (names(&list).as_str(), list.cursor()),
            ("Alpha alphabet", 1)
        );
        list.set_filter("Alpha");
        assert_eq!((names(&list).as_str(), list.cursor()), ("Alpha", 0));
        list.set_filter("nothing");
        assert!(list.current().is_none());
        list.set_filter("");
        assert_eq!(list.len(), 3);
    }
}
