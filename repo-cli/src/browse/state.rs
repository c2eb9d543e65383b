//! What is on the screen, and what a key does to it.

use super::list::{List, Row};
use super::marks::{Marked, Marks};
use super::restore::{Doing, Job, Restored};
use super::work::{Answer, Counted, Item, Place, Request, below};
use crate::text::{bytes_roughly, counted, printable};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use repo_core::fs::Kind;
use repo_core::ops::Overwrite;
use repo_core::snapshot::SnapshotInfo;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What keys mean now.
#[derive(Debug)]
pub enum Mode {
    /// Walking.
    Walk,
    /// Letters are those of the filter.
    Filter,
    /// The help is shown; any key ends that.
    Help,
    /// Letters are those of the directory to restore to.
    Target(String),
    /// That directory is being looked at.
    Looking,
    /// It holds something: what becomes of that?
    Existing(PathBuf),
    /// A restore is at work.
    Restoring(Arc<Doing>),
}

/// The beginning of what is under the cursor.
#[derive(Debug, Default)]
pub struct Pane {
    /// What it is of.
    of: Option<Item>,
    number: u64,
    /// The lines, once they are there.
    pub lines: Option<Vec<String>>,
}

/// Everything that is shown.
#[derive(Debug)]
pub struct Browser {
    /// What is listed.
    pub place: Place,
    above: Vec<Place>,
    /// Its rows.
    pub list: List,
    /// The number of the request for them, until they are there.
    awaited: Option<u64>,
    /// Where the cursor goes when they are there.
    aim: Option<Vec<u8>>,
    /// What keys mean.
    pub mode: Mode,
    /// What is marked.
    pub marks: Marks,
    /// The preview, if it is shown.
    pub pane: Option<Pane>,
    /// Something that a person should know; the next key takes it away.
    pub message: Option<String>,
    /// What restores could not restore.
    pub problems: Vec<String>,
    over: bool,
    numbers: u64,
    requests: Vec<Request>,
}

impl Browser {
    /// Begins with all snapshots, or a directory of one.
    pub fn new(start: Option<Item>) -> Self {
        let mut above = Vec::new();
        let mut place = Place::Snapshots;
        if let Some((info, path)) = start {
            let ways: Vec<_> = path.ancestors().collect();
            for way in ways.iter().rev() {
                let below = Place::Dir(info.clone(), way.to_path_buf());
                above.push(std::mem::replace(&mut place, below));
            }
        }
        let mut browser = Self {
            place,
            above,
            list: List::default(),
            awaited: None,
            aim: None,
            mode: Mode::Walk,
            marks: Marks::default(),
            pane: None,
            message: None,
            problems: Vec::new(),
            over: false,
            numbers: 0,
            requests: Vec::new(),
        };
        browser.ask_for_rows();
        browser
    }

    /// What was asked for since the last time.
    pub fn requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    /// Whether something is asked for.
    pub fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Whether somebody wants to leave.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Whether rows are on their way.
    pub fn is_loading(&self) -> bool {
        self.awaited.is_some()
    }

    /// What a row of the list stands for.
    pub fn item(&self, row: &Row) -> Option<Item> {
        row.kind?;
        match &self.place {
            Place::Snapshots => Some((row.info.clone()?, PathBuf::from("/"))),
            Place::Dir(info, path) => Some((info.clone(), below(path, &row.name))),
            Place::Versions(_, path) => Some((row.info.clone()?, path.clone())),
        }
    }

    /// How a row is marked.
    pub fn marked(&self, row: &Row) -> Marked {
        match self.item(row) {
            Some((info, path)) => self.marks.of(&info.id, &path),
            None => Marked::Not,
        }
    }

    fn current(&self) -> Option<Item> {
        self.item(self.list.current()?)
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) {
        self.message = None;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && key.code == KeyCode::Char('c') && !matches!(self.mode, Mode::Restoring(_)) {
            self.over = true;
            return;
        }
        match &mut self.mode {
            Mode::Walk => self.walk_key(key.code, control),
            Mode::Filter => self.filter_key(key.code, control),
            Mode::Help => self.mode = Mode::Walk,
            Mode::Looking => {}
            Mode::Target(text) => {
                let mut text = std::mem::take(text);
                match edited(&mut text, key.code, control) {
                    true => self.mode = Mode::Target(text),
                    false => self.target_key(key.code, text),
                }
            }
            Mode::Existing(target) => {
                let target = std::mem::take(target);
                self.existing_key(key.code, target);
            }
            Mode::Restoring(doing) => {
                if matches!(key.code, KeyCode::Esc | KeyCode::Char('q' | 'c')) {
                    doing.interrupt.set();
                }
            }
        }
        self.look();
    }

    fn walk_key(&mut self, key: KeyCode, control: bool) {
        let page = self.list.height() as isize;
        match key {
            KeyCode::Char('f') if control => self.list.by(page),
            KeyCode::Char('b') if control => self.list.by(-page),
            KeyCode::Char(_) if control => {}
            KeyCode::Up | KeyCode::Char('k') => self.list.by(-1),
            KeyCode::Down | KeyCode::Char('j') => self.list.by(1),
            KeyCode::PageUp => self.list.by(-page),
            KeyCode::PageDown => self.list.by(page),
            KeyCode::Home | KeyCode::Char('g') => self.list.to(0),
            KeyCode::End | KeyCode::Char('G') => self.list.to(usize::MAX),
            KeyCode::Enter | KeyCode::Right | KeyCode::Char('l') => self.open(),
            KeyCode::Backspace | KeyCode::Left | KeyCode::Char('h') => self.up(),
            KeyCode::Char(' ') => self.mark(),
            KeyCode::Char('u') => self.marks.clear(),
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('v') => self.versions(),
            KeyCode::Char('p') => {
                self.pane = match self.pane {
                    Some(_) => None,
                    None => Some(Pane::default()),
                }
            }
            KeyCode::Char('r') => self.begin_restore(),
            KeyCode::Char('?') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Char('q') => self.over = true,
            KeyCode::Esc => self.list.set_filter(""),
            _ => {}
        }
    }

    fn filter_key(&mut self, key: KeyCode, control: bool) {
        let mut filter = self.list.filter().to_owned();
        match key {
            KeyCode::Enter => self.mode = Mode::Walk,
            KeyCode::Esc => {
                self.list.set_filter("");
                self.mode = Mode::Walk;
            }
            KeyCode::Up => self.list.by(-1),
            KeyCode::Down => self.list.by(1),
            _ => {
                if edited(&mut filter, key, control) {
                    self.list.set_filter(&filter);
                }
            }
        }
    }

    fn ask_for_rows(&mut self) {
        self.numbers += 1;
        self.awaited = Some(self.numbers);
        self.list = List::new(Vec::new(), self.list.height());
        self.requests
            .push(Request::Rows(self.numbers, self.place.clone()));
    }

    fn go(&mut self, place: Place) {
        let before = std::mem::replace(&mut self.place, place);
        self.above.push(before);
        self.aim = None;
        self.ask_for_rows();
    }

    fn open(&mut self) {
        let (Some(row), Some((info, path))) = (self.list.current(), self.current()) else {
            return;
        };
        match row.kind {
            Some(Kind::Dir) => self.go(Place::Dir(info, path)),
            _ => {
                self.pane.get_or_insert_default();
            }
        }
    }

    fn up(&mut self) {
        let Some(above) = self.above.pop() else {
            return;
        };
        let left = std::mem::replace(&mut self.place, above);
        self.aim = match (&self.place, &left) {
            (Place::Dir(..), Place::Dir(_, path) | Place::Versions(_, path)) => path
                .file_name()
                .map(|name| name.as_encoded_bytes().to_vec()),
            (_, Place::Dir(info, _) | Place::Versions(info, _)) => Some(info.id.short().into()),
            (_, Place::Snapshots) => None,
        };
        self.ask_for_rows();
    }

    fn versions(&mut self) {
        match (&self.place, self.current()) {
            (Place::Dir(..), Some((info, path))) => self.go(Place::Versions(info, path)),
            _ => {
                self.message =
                    Some("versions are those of a file or directory in a snapshot".to_owned())
            }
        }
    }

    fn mark(&mut self) {
        let (Some(row), Some((info, path))) = (self.list.current(), self.current()) else {
            return;
        };
        match self.marks.of(&info.id, &path) {
            Marked::Above => {
                self.message = Some("it is marked with a directory above it".to_owned());
                return;
            }
            Marked::Itself => self.marks.remove(&(info.id, path)),
            Marked::Not => {
                let counted = known(row, &info, &path);
                let interrupt = self.marks.add(info.clone(), path.clone(), counted);
                if counted.is_none() {
                    self.requests
                        .push(Request::Count((info.id, path), info, interrupt));
                }
            }
        }
        self.list.by(1);
    }

    fn begin_restore(&mut self) {
        if self.marks.total().marks == 0 {
            self.mark_current();
        }
        if self.marks.total().marks > 0 {
            self.mode = Mode::Target(String::new());
        }
    }

    fn mark_current(&mut self) {
        let cursor = self.list.cursor();
        self.mark();
        self.list.to(cursor);
    }

    fn target_key(&mut self, key: KeyCode, text: String) {
        match key {
            KeyCode::Enter if text.is_empty() => {
                self.message = Some("name a directory; Esc leaves everything as it is".to_owned());
                self.mode = Mode::Target(text);
            }
            KeyCode::Enter => {
                self.requests
                    .push(Request::Target(PathBuf::from(OsString::from(text))));
                self.mode = Mode::Looking;
            }
            KeyCode::Esc => self.mode = Mode::Walk,
            _ => self.mode = Mode::Target(text),
        }
    }

    fn existing_key(&mut self, key: KeyCode, target: PathBuf) {
        match key {
            KeyCode::Char('k') => self.restore(target, Overwrite::Never),
            KeyCode::Char('o') => self.restore(target, Overwrite::Always),
            KeyCode::Esc | KeyCode::Char('q') => self.mode = Mode::Walk,
            _ => self.mode = Mode::Existing(target),
        }
    }

    fn restore(&mut self, target: PathBuf, overwrite: Overwrite) {
        let doing = Arc::new(Doing::default());
        self.mode = Mode::Restoring(doing.clone());
        self.requests.push(Request::Restore(Job {
            marks: self.marks.by_snapshot(),
            target,
            overwrite,
            doing,
        }));
    }

    /// Asks for the preview of what is under the cursor now.
    fn look(&mut self) {
        let current = self.current();
        let Some(pane) = &mut self.pane else { return };
        let id = |of: &Option<Item>| of.as_ref().map(|(info, path)| (info.id, path.clone()));
        if id(&pane.of) == id(&current) {
            return;
        }
        self.numbers += 1;
        *pane = Pane {
            of: current.clone(),
            number: self.numbers,
            lines: None,
        };
        if let Some((info, path)) = current {
            self.requests
                .push(Request::Preview(self.numbers, info, path));
        }
    }

    /// An answer came.
    pub fn answer(&mut self, answer: Answer) {
        match answer {
            Answer::Rows(number, rows) if self.awaited == Some(number) => {
                self.awaited = None;
                match rows {
                    Ok(rows) => self.list = List::new(rows, self.list.height()),
                    Err(why) => self.message = Some(why),
                }
                if let Some(aim) = self.aim.take() {
                    self.list.go_to(|row| is_meant(row, &aim));
                }
            }
            Answer::Preview(number, lines) => {
                if let Some(pane) = self.pane.as_mut().filter(|pane| pane.number == number) {
                    pane.lines = Some(lines);
                }
            }
            Answer::Counted(key, counted) => self.marks.count(&key, counted),
            Answer::Target(target, found) if matches!(self.mode, Mode::Looking) => match found {
                Ok(false) => self.restore(target, Overwrite::Always),
                Ok(true) => self.mode = Mode::Existing(target),
                Err(why) => {
                    self.message = Some(why);
                    self.mode = Mode::Target(target.to_string_lossy().into_owned());
                }
            },
            Answer::Restored(restored) => self.restored(restored),
            // Of a place that was left meanwhile.
            Answer::Rows(..) | Answer::Target(..) => {}
        }
        self.look();
    }

    fn restored(&mut self, restored: Restored) {
        let Restored {
            summary,
            target,
            mut problems,
            failed,
        } = restored;
        let done = counted(summary.nodes, "entry", "entries");
        let target = printable(&target.to_string_lossy()).into_owned();
        let mut message = format!(
            "restored {done}, {}, to {target}",
            bytes_roughly(summary.bytes)
        );
        if summary.nodes_skipped > 0 {
            message.push_str(&format!("; {} stayed as they were", summary.nodes_skipped));
        }
        if let Some(first) = problems.first() {
            let all = counted(summary.problems, "problem", "problems");
            message.push_str(&format!("; {all}: {first}"));
        }
        if let Some(why) = failed {
            message = format!("not all was restored to {target}: {why}");
            problems.push(message.clone());
        } else if problems.is_empty() {
            self.marks.clear();
        }
        self.problems.append(&mut problems);
        self.message = Some(message);
        self.mode = Mode::Walk;
    }
}

/// How much something is, if its row says that.
fn known(row: &Row, info: &SnapshotInfo, path: &Path) -> Option<Counted> {
    let totals = &info.summary.totals;
    match row.kind {
        Some(Kind::Dir) if path.parent().is_none() => Some(Counted {
            files: totals.files,
            bytes: totals.bytes,
            partial: totals.problems > 0,
        }),
        Some(Kind::Dir) => None,
        _ => Some(Counted {
            files: 1,
            bytes: row.size,
            partial: false,
        }),
    }
}

/// Whether a row is an entry of this name, or stands for the snapshot of this short id.
fn is_meant(row: &Row, name: &[u8]) -> bool {
    match &row.info {
        Some(info) => info.id.short().as_bytes() == name,
        None => row.name == name,
    }
}

/// Changes a line of text as a key says; false if the key has another meaning.
fn edited(text: &mut String, key: KeyCode, control: bool) -> bool {
    match key {
        KeyCode::Char('u') if control => text.clear(),
        KeyCode::Char(letter) if !control => text.push(letter),
        KeyCode::Backspace => drop(text.pop()),
        _ => return false,
    }
    true
}
