//! The line on a terminal that is drawn and redrawn, and what stands in it where there is not room for all.

use crate::terminal;
use crate::text::{columns as columns_of, printable};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Columns that stay free behind the line: a terminal shows `^C` there and not on a line of its own.
const FREE: u16 = 3;

/// Redraws that are let through a second: more than there ever are.
const DRAWS_MAX: u8 = 255;

/// Columns that a path gets at the expense of what counts for less.
const PATH_COLUMNS: usize = 16;

/// With fewer than these a path is not shown.
const PATH_COLUMNS_MIN: usize = 8;

/// The line. It is there only while it says something: text above it takes it away until it is drawn again, so that many
/// lines one after another cost nothing more, and what another program writes to the same terminal begins on the left.
#[derive(Default)]
pub(super) struct Line(Mutex<Option<ProgressBar>>);

impl Line {
    fn lock(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws it.
    pub(super) fn show(&self, text: String) {
        self.lock().get_or_insert_with(bar).set_message(text);
    }

    /// Takes it away.
    pub(super) fn clear(&self) {
        if let Some(bar) = self.lock().take() {
            bar.finish_and_clear();
        }
    }

    /// Writes something where it was; nobody draws it meanwhile.
    pub(super) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        let mut line = self.lock();
        if let Some(bar) = line.take() {
            bar.finish_and_clear();
        }
        write()
    }
}

fn bar() -> ProgressBar {
    let target = ProgressDrawTarget::term_like_with_hz(Box::<Screen>::default(), DRAWS_MAX);
    let style = ProgressStyle::with_template("{wide_msg}").expect("the template is valid");
    ProgressBar::with_draw_target(None, target).with_style(style)
}

/// How many columns the line may have.
pub(super) fn columns() -> usize {
    usize::from(Screen::default().width())
}

/// Standard error as indicatif draws on it: one write a redraw, and the cursor stays behind the text.
#[derive(Debug, Default)]
struct Screen(Mutex<String>);

impl Screen {
    fn add(&self, text: &str) -> io::Result<()> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_str(text);
        Ok(())
    }

    fn cursor(&self, n: usize, direction: char) -> io::Result<()> {
        match n {
            0 => Ok(()),
            _ => self.add(&format!("\x1b[{n}{direction}")),
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        // Where there is no terminal nothing is drawn.
        let columns = terminal::columns(&io::stderr()).unwrap_or_default();
        u16::try_from(columns)
            .unwrap_or(u16::MAX)
            .saturating_sub(FREE)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::mem::take(&mut *waiting);
        // What fills the line to its end would push the cursor onto the next one.
        io::stderr()
            .lock()
            .write_all(text.trim_end_matches(' ').as_bytes())
    }
}

/// How much a part of the line counts where there is not room for all; the first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    Beside,
    Items,
    Amount,
    Reading,
    Rate,
    Errors,
    Remaining,
}

/// What the line says, in parts.
#[derive(Debug)]
pub(super) struct Words {
    /// Time and percentage, which always stand there.
    pub(super) head: String,
    parts: Vec<(Weight, String)>,
}

impl Words {
    pub(super) fn new(head: String) -> Self {
        let parts = Vec::new();
        Self { head, parts }
    }

    pub(super) fn add(&mut self, weight: Weight, text: String) {
        self.parts.push((weight, text));
    }

    /// As much as there is room for in so many columns, and of the path its end: first what counts least makes way for it.
    pub(super) fn fit(mut self, path: &str, columns: usize) -> String {
        let path = printable(path);
        let wanted = match columns_of(&path) {
            0 => 0,
            len => len.min(PATH_COLUMNS) + 2,
        };
        while self.len() + wanted > columns && self.drop_below(Weight::Reading) {}
        while self.len() > columns && self.drop_below(Weight::Remaining) {}
        let mut text = self.text();
        let room = columns.saturating_sub(columns_of(&text) + 2);
        if room >= PATH_COLUMNS_MIN && !path.is_empty() {
            text.push_str("  ");
            text.push_str(&end_of(&path, room));
        }
        text
    }

    /// Everything.
    pub(super) fn text(&self) -> String {
        let mut text = self.head.clone();
        for (n, (_, part)) in self.parts.iter().enumerate() {
            text.push_str(if n == 0 { "  " } else { ", " });
            text.push_str(part);
        }
        text
    }

    fn len(&self) -> usize {
        columns_of(&self.text())
    }

    /// Drops the part that counts least, if it counts less than `weight`.
    fn drop_below(&mut self, weight: Weight) -> bool {
        let least = self.parts.iter().map(|(weight, _)| *weight).min();
        let Some(least) = least.filter(|least| *least < weight) else {
            return false;
        };
        self.parts.retain(|(weight, _)| *weight != least);
        true
    }
}

/// The last `columns` of a text.
fn end_of(text: &str, columns: usize) -> String {
    let mut width = columns_of(text);
    if width <= columns {
        return text.to_owned();
    }
    let mut rest = text.chars();
    while width >= columns
        && let Some(letter) = rest.next()
    {
        width -= columns_of(letter.encode_utf8(&mut [0; 4])).min(width);
    }
    format!("…{}", rest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let mut words = Words::new("[0:02] 50.0%".into());
        for (weight, text) in [
            (Weight::Items, "123456 items"),
            (Weight::Amount, "10.0 MiB of 20.0 MiB"),
            (Weight::Beside, "skipped 3 items, 1.0 MiB"),
            (Weight::Rate, "5.0 MiB/s"),
            (Weight::Remaining, "ETA 0:02"),
            (Weight::Errors, "1 error"),
        ] {
            words.add(weight, text.into());
        }
        words
    }

    #[test]
    fn what_counts_least_makes_way() {
        let fit = |path: &str, columns| words().fit(path, columns);
        assert_eq!(fit("", 200), words().text());
        assert_eq!(
            fit("/srv/www/index.html", 77),
            "[0:02] 50.0%  5.0 MiB/s, ETA 0:02, 1 error  /srv/www/index.html"
        );
        assert_eq!(
            fit("/srv/x", 77),
            "[0:02] 50.0%  10.0 MiB of 20.0 MiB, 5.0 MiB/s, ETA 0:02, 1 error  /srv/x"
        );
        assert_eq!(fit("/srv/x", 25), "[0:02] 50.0%  ETA 0:02");
        assert_eq!(fit("/srv/x", 5), "[0:02] 50.0%  ETA 0:02");
        let long = format!("/{}/end", "x".repeat(100));
        let text = fit(&long, 77);
        assert!(text.ends_with("xx/end") && text.contains("  …x"), "{text}");
        assert_eq!(text.chars().count(), 77);
    }

    #[test]
    fn nothing_drawn_is_nothing_cleared() {
        let line = Line::default();
        assert_eq!(line.above(|| 7), 7);
        line.clear();
        assert!(line.lock().is_none());
    }
}
