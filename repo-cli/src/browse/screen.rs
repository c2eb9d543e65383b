//! The terminal while it is ours, put back whatever happens.

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{Result, Stdout, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is ours.
static OURS: AtomicBool = AtomicBool::new(false);

/// Whether a thread panicked meanwhile.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// How long a terminal may take to take how it is put back.
const TAKES_WITHIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// A screen of its own, until it is dropped.
pub struct Screen(Terminal<CrosstermBackend<Stdout>>);

/// The most columns and rows that are drawn: a terminal may say that it has any number. Memory: 90 bytes for each cell.
const SIZE_MAX: (u16, u16) = (1000, 300);

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
        let options = area().map(|area| TerminalOptions {
            viewport: Viewport::Fixed(area),
        });
        let screen = options
            .and_then(|options| Terminal::with_options(CrosstermBackend::new(stdout()), options))
            .map(Self);
        execute!(stdout(), EnterAlternateScreen)
            .and(screen)
            .inspect_err(|_| leave())
    }

    /// Draws, as large as the terminal is now.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        let area = area()?;
        if area != self.0.get_frame().area() {
            self.0.resize(area)?;
        }
        self.0.draw(draw).map(drop)
    }

    /// Whether a thread panicked: the terminal is not ours any more.
    pub fn panicked() -> bool {
        PANICKED.load(Ordering::SeqCst)
    }
}

fn area() -> Result<Rect> {
    let (columns, rows) = size()?;
    let (columns_max, rows_max) = SIZE_MAX;
    Ok(Rect::new(
        0,
        0,
        columns.min(columns_max),
        rows.min(rows_max),
    ))
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Puts the terminal back if it is ours. A terminal that is gone needs nothing.
pub fn leave() {
    if OURS.swap(false, Ordering::SeqCst) {
        let _ = disable_raw_mode();
        let mut told = Vec::new();
        let _ = execute!(told, LeaveAlternateScreen, Show);
        // Not through what another thread may hold that waits for the terminal; and one that takes nothing is not waited for.
        let out = rustix::stdio::stdout();
        let mut output = [PollFd::new(&out, PollFlags::OUT)];
        if rustix::event::poll(&mut output, Some(&TAKES_WITHIN)).is_ok_and(|ready| ready > 0) {
            let _ = rustix::io::write(out, &told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
    use std::fs::File;
    use std::io::Read;
    use std::process::{Command, Stdio};

    /// Says to the test that it is the process with a terminal of its own: an argument that its harness takes, and that does nothing.
    const INNER: [&str; 2] = ["--skip", "on a terminal of its own"];

    fn panics_while_the_terminal_is_ours() -> ! {
        let _screen = Screen::enter().unwrap();
        let modes = tcgetattr(rustix::stdio::stdout()).unwrap().local_modes;
        eprintln!("raw: {}", !modes.contains(LocalModes::ICANON));
        let thread = std::thread::spawn(|| panic!("on purpose"));
        assert!(thread.join().is_err());
        eprintln!("noticed: {}", Screen::panicked());
        // The guard is not dropped, so that none but the hook puts it back.
        std::process::exit(7);
    }

    #[test]
    fn a_panic_puts_the_terminal_back() {
        if std::env::args().any(|argument| argument == INNER[1]) {
            panics_while_the_terminal_is_ours();
        }
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = File::from(rustix::fs::open(name, flags, Mode::empty()).unwrap());
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).unwrap();
        let stream = || Stdio::from(terminal.try_clone().unwrap());
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("browse::screen::tests::a_panic_puts_the_terminal_back")
            .args(INNER)
            .env("TERM", "xterm")
            .stdin(stream())
            .stdout(stream())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{told}");
        assert!(
            told.contains("raw: true") && told.contains("noticed: true"),
            "{told}"
        );
        assert!(told.contains("on purpose"), "{told}");
        let modes = tcgetattr(&terminal).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        let mut shown = [0; 4096];
        let len = File::from(master).read(&mut shown).unwrap();
        let shown = String::from_utf8_lossy(&shown[..len]).into_owned();
        assert!(
            shown.contains("\x1b[?1049h") && shown.contains("\x1b[?1049l"),
            "{shown:?}"
        );
    }
}
