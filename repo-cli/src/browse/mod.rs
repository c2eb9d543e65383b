//! A terminal to walk through snapshots with: keys change a state, threads answer what it asks for.

mod draw;
mod list;
mod marks;
mod restore;
mod screen;
mod state;
#[cfg(test)]
mod tests;
mod work;

pub use screen::leave;
pub use work::{Item, Library};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use screen::Screen;
use state::{Browser, Mode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};
use std::time::Duration;
use work::{Answer, Request};

/// How long a key may take to be seen as one, and what is counted to be drawn anew.
const TICK: Duration = Duration::from_millis(50);

/// Looks whether something may be restored to a directory: whether it holds something, or why not.
pub type Target<'a> = &'a dyn Fn(&Path) -> (PathBuf, Result<bool, String>);

/// Shows snapshots, beginning with all or in a directory of one, until the user leaves or a signal comes. Gives what restores could
/// not restore.
///
/// An error is that of the terminal, which is put back.
pub fn browse(
    library: &Library<'_>,
    start: Option<Item>,
    target: Target<'_>,
) -> io::Result<Vec<String>> {
    let mut browser = Browser::new(start);
    std::thread::scope(|scope| {
        let threads = Threads::start(scope, library)?;
        let shown = Screen::enter()
            .and_then(|mut screen| show(&mut screen, &mut browser, &threads, target, library));
        // What still works for us has no reader any more.
        if let Mode::Restoring(doing) = &browser.mode {
            doing.interrupt.set();
        }
        browser.marks.clear();
        let Threads {
            requests,
            answer,
            answers,
        } = threads;
        drop((requests, answer));
        if let Mode::Restoring(_) = browser.mode {
            answers.iter().for_each(|answer| browser.answer(answer));
        }
        shown
    })?;
    Ok(browser.problems)
}

fn show(
    screen: &mut Screen,
    browser: &mut Browser,
    threads: &Threads,
    target: Target<'_>,
    library: &Library<'_>,
) -> io::Result<()> {
    let mut changed = true;
    while !browser.is_over() && !Screen::panicked() && library.interrupt.check().is_ok() {
        for request in browser.requests() {
            threads.ask(request, target);
        }
        while let Ok(answer) = threads.answers.try_recv() {
            browser.answer(answer);
            changed = true;
        }
        if changed || matches!(browser.mode, Mode::Restoring(_)) {
            screen.draw(|frame| draw::draw(frame, browser))?;
        }
        changed = event::poll(TICK)?;
        // Keys that wait are taken before anything is drawn.
        while event::poll(Duration::ZERO)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => browser.key(key),
                _ => {}
            }
        }
        changed |= browser.has_requests();
    }
    Ok(())
}

/// Threads that answer. They end when nobody asks any more.
struct Threads {
    requests: [Sender<Request>; 3],
    answer: Sender<Answer>,
    answers: Receiver<Answer>,
}

impl Threads {
    fn start<'s>(scope: &'s Scope<'s, '_>, library: &'s Library<'_>) -> io::Result<Self> {
        let (answer, answers) = channel();
        let start = |name: &str, work: fn(&Library<'_>, &Receiver<Request>, &Sender<Answer>)| {
            let (ask, asked) = channel();
            let answer = answer.clone();
            let thread = Builder::new().name(format!("browse.{name}"));
            thread.spawn_scoped(scope, move || work(library, &asked, &answer))?;
            io::Result::Ok(ask)
        };
        let requests = [
            start("list", list)?,
            start("count", one_by_one)?,
            start("restore", one_by_one)?,
        ];
        Ok(Self {
            requests,
            answer,
            answers,
        })
    }

    fn ask(&self, request: Request, target: Target<'_>) {
        let thread = match &request {
            Request::Rows(..) | Request::Preview(..) => 0,
            Request::Count(..) => 1,
            Request::Restore(_) => 2,
            Request::Target(path) => {
                let (path, found) = target(path);
                let _ = self.answer.send(Answer::Target(path, found));
                return;
            }
        };
        // A thread that is gone has panicked, and that ends everything.
        let _ = self.requests[thread].send(request);
    }
}

/// Answers the last request of a sort: nobody waits for those before it.
fn list(library: &Library<'_>, asked: &Receiver<Request>, answer: &Sender<Answer>) {
    while let Ok(first) = asked.recv() {
        let (mut rows, mut preview) = (None, None);
        for request in [first].into_iter().chain(asked.try_iter()) {
            match request {
                Request::Rows(..) => rows = Some(request),
                _ => preview = Some(request),
            }
        }
        for request in [rows, preview].into_iter().flatten() {
            one(library, request, answer);
        }
    }
}

fn one_by_one(library: &Library<'_>, asked: &Receiver<Request>, answer: &Sender<Answer>) {
    while let Ok(request) = asked.recv() {
        one(library, request, answer);
    }
}

fn one(library: &Library<'_>, request: Request, answer: &Sender<Answer>) {
    if let Some(found) = library.answer(request) {
        let _ = answer.send(found);
    }
}
