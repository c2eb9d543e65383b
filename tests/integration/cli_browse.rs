//! `browse`: the program on a terminal of its own. What keys do is tried beside the code; here it is that the terminal is put back.

use crate::environment::{Run, TestEnvironment};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program on a terminal.
struct OnTerminal {
    child: Child,
    keys: File,
    /// The terminal's other end, which keeps its settings.
    terminal: File,
    shown: Arc<Mutex<Vec<u8>>>,
    /// Whether it takes nothing.
    takes_nothing: Arc<AtomicBool>,
}

fn resize(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

impl OnTerminal {
    fn new(env: &TestEnvironment, arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = File::from(rustix::fs::open(name, flags, Mode::empty()).unwrap());
        resize(&terminal, 24, 100);
        let stream = || Stdio::from(terminal.try_clone().unwrap());
        let mut command = env.command(arguments);
        command
            .env("TERM", "xterm")
            .stdin(stream())
            .stdout(stream());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let keys = File::from(master);
        let mut output = keys.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (all, takes_nothing) = (shown.clone(), Arc::new(AtomicBool::new(false)));
        let waits = takes_nothing.clone();
        // Ends with the terminal.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut bytes) {
                all.lock().unwrap().extend_from_slice(&bytes[..len]);
                while waits.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Self {
            child,
            keys,
            terminal,
            shown,
            takes_nothing,
        }
    }

    /// Waits until a line of the screen has that.
    #[track_caller]
    fn shows(&self, text: &str) {
        let begun = Instant::now();
        loop {
            let lines = screen(&self.shown.lock().unwrap());
            if lines.iter().any(|line| line.contains(text)) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{text:?} is missing in {lines:#?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether the terminal gives lines, and shows what is typed.
    fn is_as_before(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    #[track_caller]
    fn waits_for_its_end(&mut self) {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(self.is_as_before(), "the terminal is not put back");
    }

    #[track_caller]
    fn ended(mut self) -> Run {
        self.waits_for_its_end();
        let shown = self.shown.clone();
        let output = self.child.wait_with_output().unwrap();
        let begun = Instant::now();
        // It is told to show what it showed before; what was written last may still be on its way to us.
        loop {
            let told = String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
            if told.contains("\x1b[?1049l") {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{told:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Run::of(output)
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([name, &pid])
            .status();
        assert!(sent.unwrap().success());
    }
}

/// What a terminal shows that was sent these bytes: only the places and letters of them.
fn screen(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = vec![vec![' '; 100]; 24];
    let (mut row, mut column) = (0, 0);
    for (number, part) in text.split("\x1b[").enumerate() {
        let end = part.find(|letter: char| letter.is_ascii_alphabetic());
        let (place, letters) = match (number, end) {
            (0, _) => ("", part),
            (_, Some(end)) => (&part[..=end], &part[end + 1..]),
            (_, None) => continue,
        };
        if let Some((to_row, to_column)) = place
            .strip_suffix('H')
            .and_then(|place| place.split_once(';'))
        {
            (row, column) = (to_row.parse().unwrap(), to_column.parse().unwrap());
            (row, column) = (row - 1, column - 1);
        }
        for letter in letters.chars() {
            if let Some(cell) = lines
                .get_mut(row)
                .and_then(|line: &mut Vec<char>| line.get_mut(column))
            {
                *cell = letter;
            }
            column += 1;
        }
    }
    lines
        .into_iter()
        .map(|line| line.into_iter().collect())
        .collect()
}

#[test]
fn a_file_is_found_previewed_and_restored() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&source]);
    let mut browse = OnTerminal::new(&env, &["browse", &format!("latest:{source}")]);
    browse.shows("a.txt");
    assert!(!browse.is_as_before());
    browse.press("p");
    browse.shows("alpha");
    browse.press(" r");
    browse.shows("restore below which directory?");
    browse.press("~/out\r");
    browse.shows("restored ");
    browse.press("\x1b[B\x1b[Bq");
    browse.ended().expect(0);
    let restored = env.path("home/out").join(source.strip_prefix('/').unwrap());
    assert_eq!(std::fs::read(restored.join("a.txt")).unwrap(), b"alpha\n");
    assert!(!restored.join("b.bin").exists());
}

#[test]
fn nothing_is_restored_into_the_repository() {
    let env = TestEnvironment::with_repository();
    env.backup(&[&env.write_source()]);
    let mut browse = OnTerminal::new(&env, &["browse"]);
    browse.shows("testhost");
    browse.press(" rrepo/data\r");
    browse.shows("lies in the repository");
    browse.press("\x03");
    browse.ended().expect(0);
}

#[test]
fn a_signal_puts_the_terminal_back() {
    let env = TestEnvironment::with_repository();
    env.backup(&[&env.write_source()]);
    for signal in ["-TERM", "-INT", "-HUP"] {
        let browse = OnTerminal::new(&env, &["browse"]);
        browse.shows("testhost");
        browse.signal(signal);
        browse.ended().expect(130).says("interrupted");
    }
}

/// As one at the other end of a connection that broke.
#[test]
fn a_terminal_that_takes_nothing_is_put_back() {
    let env = TestEnvironment::with_repository();
    (0..300).for_each(|n| drop(env.write(&format!("src/{n:03}{}", "x".repeat(250)), "")));
    env.backup(&[&env.text("src")]);
    let mut browse = OnTerminal::new(&env, &["browse", &format!("latest:{}", env.text("src"))]);
    browse.shows("000x");
    browse.takes_nothing.store(true, Ordering::SeqCst);
    resize(&browse.terminal, 300, 1000);
    for key in ["j", "G", "g", "G", "g"] {
        browse.press(key);
        std::thread::sleep(Duration::from_millis(200));
    }
    for _ in 0..2 {
        browse.signal("-TERM");
        std::thread::sleep(Duration::from_millis(500));
    }
    browse.waits_for_its_end();
    browse.takes_nothing.store(false, Ordering::SeqCst);
}

#[test]
fn a_terminal_may_say_that_it_is_of_any_size() {
    let env = TestEnvironment::with_repository();
    env.backup(&[&env.write_source()]);
    let mut browse = OnTerminal::new(&env, &["browse"]);
    browse.shows("testhost");
    for (rows, columns) in [(u16::MAX, u16::MAX), (0, 0), (1, u16::MAX), (u16::MAX, 1)] {
        resize(&browse.terminal, rows, columns);
        browse.press("j");
        std::thread::sleep(Duration::from_millis(200));
    }
    resize(&browse.terminal, 24, 100);
    browse.shown.lock().unwrap().clear();
    browse.press("?");
    browse.shows("take the mark away");
    browse.press("qq");
    browse.ended().expect(0);
}

#[test]
fn what_cannot_be_restored_is_said_at_the_end() {
    let env = TestEnvironment::with_repository();
    env.backup(&[&env.write_source()]);
    for pack in env.files("repo/data") {
        std::fs::remove_file(env.path("repo/data").join(pack)).unwrap();
    }
    let mut browse = OnTerminal::new(&env, &["browse"]);
    browse.shows("testhost");
    browse.press(" rout\r");
    browse.shows("problem");
    browse.press("q");
    browse.ended().expect(3).says("error: ").says("b.bin");
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let env = TestEnvironment::with_repository();
    env.run(&["browse"])
        .expect(1)
        .says("browse needs a terminal");
}
