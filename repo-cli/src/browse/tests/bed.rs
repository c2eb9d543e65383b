//! A repository in memory, and a screen with keys before it.

use crate::browse::draw::draw;
use crate::browse::state::Browser;
use crate::browse::work::{Answer, Library, Request};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use repo_core::backend::MemoryBackend;
use repo_core::crypto::KdfParams;
use repo_core::format::key_slot::Credential;
use repo_core::ops::{BackupOptions, Input, backup};
use repo_core::progress::{Interrupt, Silent};
use repo_core::repo::{InitOptions, OpenOptions, Repo};
use repo_core::snapshot::Filter;
use repo_core::time::Timestamp;
use repo_core::vfs::{Reader, View};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A tree to back up, and a repository in memory.
pub struct Bed {
    pub dir: TempDir,
    pub repo: Repo,
}

impl Bed {
    pub fn new() -> Self {
        let init = InitOptions {
            kdf: KdfParams {
                m_kib: 64,
                t: 1,
                p: 1,
            },
            ..InitOptions::default()
        };
        let options = OpenOptions {
            threads: 2,
            ..OpenOptions::default()
        };
        let place = Arc::new(MemoryBackend::new());
        let repo = Repo::init(place, &Credential::password("p"), &init, &options).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        Self { dir, repo }
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.dir.path().join("src").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn backup(&self, second: i64, host: &str) {
        let options = BackupOptions {
            time: Some(Timestamp::new(second, 0)),
            host: host.into(),
            ..BackupOptions::default()
        };
        let source = self.dir.path().join("src");
        let input = Input::Paths(vec![source]);
        backup(&self.repo, input, &options, &Silent, &Interrupt::new()).unwrap();
    }
}

/// A screen, and the keys before it.
pub struct Desk<'a> {
    pub library: Library<'a>,
    pub browser: Browser,
    terminal: Terminal<TestBackend>,
}

impl<'a> Desk<'a> {
    pub fn new(view: &'a View, interrupt: &'a Interrupt) -> Self {
        let library = Library {
            view,
            filter: Filter::default(),
            reader: Reader::new(view, 1 << 20).unwrap(),
            interrupt,
        };
        let mut desk = Self {
            library,
            browser: Browser::new(None),
            terminal: Terminal::new(TestBackend::new(90, 12)).unwrap(),
        };
        desk.answer();
        desk
    }

    pub fn answer(&mut self) {
        loop {
            let requests = self.browser.requests();
            if requests.is_empty() {
                break;
            }
            for request in requests {
                let answer = match request {
                    Request::Target(path) => {
                        let full =
                            std::fs::read_dir(&path).is_ok_and(|mut dir| dir.next().is_some());
                        Some(Answer::Target(path, Ok(full)))
                    }
                    request => self.library.answer(request),
                };
                answer
                    .into_iter()
                    .for_each(|answer| self.browser.answer(answer));
            }
        }
    }

    /// Presses keys; those with names stand in angle brackets.
    pub fn press(&mut self, keys: &str) -> String {
        let mut rest = keys;
        while let Some(letter) = rest.chars().next() {
            let (code, len) = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
                Some((name, _)) => (named(name), name.len() + 2),
                None => (KeyCode::Char(letter), letter.len_utf8()),
            };
            rest = &rest[len..];
            self.browser.key(KeyEvent::new(code, KeyModifiers::NONE));
            self.answer();
        }
        self.screen()
    }

    pub fn screen(&mut self) -> String {
        let browser = &mut self.browser;
        self.terminal.draw(|frame| draw(frame, browser)).unwrap();
        self.terminal.backend().to_string()
    }

    /// Goes into the source directory of the snapshot under the cursor.
    pub fn enter_source(&mut self, source: &Path) -> String {
        let deep = source.components().count();
        self.press(&"<Enter>".repeat(deep))
    }
}

pub fn named(name: &str) -> KeyCode {
    match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Back" => KeyCode::Backspace,
        "Down" => KeyCode::Down,
        "End" => KeyCode::End,
        "PgDn" => KeyCode::PageDown,
        other => panic!("no key {other}"),
    }
}

#[track_caller]
pub fn has(screen: &str, texts: &[&str]) {
    for text in texts {
        assert!(screen.contains(text), "{text:?} is missing in\n{screen}");
    }
}

/// The row that is drawn with this text.
#[track_caller]
pub fn line<'s>(screen: &'s str, text: &str) -> &'s str {
    let mut lines = screen.lines();
    lines
        .find(|line| line.contains(text))
        .unwrap_or_else(|| panic!("{text:?} is missing in\n{screen}"))
}
