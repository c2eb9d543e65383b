//! The terminal while it is ours, put back whatever happens.

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::io::{Result, Stdout, stdout};
use std::ops::{Deref, DerefMut};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is ours.
static OURS: AtomicBool = AtomicBool::new(false);

/// Whether a thread panicked meanwhile.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// A screen of its own, until it is dropped.
pub struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    /// Takes the terminal.
    pub fn enter() -> Result<Self> {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                leave();
                PANICKED.store(true, Ordering::SeqCst);
                before(panic);
            }));
        });
        enable_raw_mode()?;
        OURS.store(true, Ordering::SeqCst);
        let screen = Terminal::new(CrosstermBackend::new(stdout())).map(Self);
        execute!(stdout(), EnterAlternateScreen)
            .and(screen)
            .inspect_err(|_| leave())
    }

    /// Whether a thread panicked: the terminal is not ours any more.
    pub fn panicked() -> bool {
        PANICKED.load(Ordering::SeqCst)
    }
}

impl Deref for Screen {
    type Target = Terminal<CrosstermBackend<Stdout>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Screen {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Puts the terminal back if it is ours. A terminal that is gone needs nothing.
pub fn leave() {
    if OURS.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
