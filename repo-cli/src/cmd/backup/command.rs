//! The output of a command as a source of data.

use crate::env;
use crate::exit::Failure;
use crate::message::plain_io;
use crate::reporter::{Reporter, Work};
use crate::signals;
use crate::stdin::stop_if_signalled;
use crate::text::printable;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::io::{Error, Read, Result};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a read may wait before it looks for signals, and whether the command is still there.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// How long something may hold the output open, and write nothing, after the command itself has ended.
const HELD_MAX: Duration = Duration::from_secs(10);

/// How long a command that is told to end has for it before it is killed.
const GRACE: Duration = Duration::from_secs(3);

/// How often it is looked after, however much it writes.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often a command that has closed its output is asked whether it has ended.
const ASK_INTERVAL: Duration = Duration::from_millis(20);

/// Longest line of standard error that is held back until it is complete.
const LINE_BYTES_MAX: usize = 64 << 10;

/// What a running command writes to standard output; an end that is not a success is an error.
///
/// It is started without a shell, with nothing on standard input and without our passwords in its environment. Its standard
/// error is ours; where a line is redrawn, its lines go above that one. A command that is still running when this is dropped
/// is told to end, and killed if it does not.
pub struct CommandOutput<'a> {
    name: String,
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<Lines>,
    reporter: &'a Reporter<'a>,
    allow_empty: bool,
    any: bool,
    /// When it was last looked after.
    looked: Instant,
    /// When it was seen to have ended, nothing having come since.
    ended: Option<Instant>,
    fault: Option<Fault>,
}

/// Why there is no snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Status(ExitStatus),
    Held,
    Empty,
}

impl<'a> CommandOutput<'a> {
    /// Starts a command; `words` is the program and its arguments.
    pub fn start(
        words: &[OsString],
        allow_empty: bool,
        reporter: &'a Reporter<'a>,
    ) -> std::result::Result<Self, Failure> {
        let [program, arguments @ ..] = words else {
            return Err(no_command());
        };
        signals::interrupt();
        let name = printable(&program.to_string_lossy()).into_owned();
        let stderr = match reporter.redraws() {
            true => Stdio::piped(),
            false => Stdio::inherit(),
        };
        let started = env::child(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn();
        let mut child = started.map_err(|error| {
            Failure::failed(format!(
                "the command {name} cannot be started: {}\n\
                 It is run without a shell; no snapshot was made.",
                plain_io(&error)
            ))
        })?;
        Ok(Self {
            name,
            stdout: child.stdout.take(),
            stderr: child.stderr.take().map(Lines::new),
            child,
            reporter,
            allow_empty,
            any: false,
            looked: Instant::now(),
            ended: None,
            fault: None,
        })
    }

    /// What a failed backup of its output is called: if a signal came, or the command failed, that is why it failed.
    pub fn explain(&self, failure: Failure) -> Failure {
        let name = &self.name;
        match self.fault {
            _ if signals::came() => Failure::interrupted(Work::Backup.when_interrupted()),
            Some(Fault::Status(status)) => Failure::failed(format!(
                "the command {name} failed with {}, so no snapshot was made{}",
                described(status),
                self.said()
            )),
            Some(Fault::Held) => Failure::failed(format!(
                "the command {name} has ended, and something that it started still holds its output open, so no snapshot \
                 was made\nLet the command wait for what it starts, or give that another standard output."
            )),
            Some(Fault::Empty) => Failure::failed(format!(
                "the command {name} wrote nothing, so no snapshot was made\n\
                 If nothing is what it writes, allow it with --stdin-allow-empty."
            )),
            None => failure,
        }
    }

    /// Where the words of the command are. Whether there are any is not known where it writes to our standard error itself.
    fn said(&self) -> &'static str {
        match &self.stderr {
            Some(lines) if !lines.any => "",
            Some(_) => "\nWhat it had to say stands above.",
            None => "\nWhat it had to say, if anything, stands above.",
        }
    }

    /// Waits until there is output, or its end.
    fn wait(&mut self) -> Result<()> {
        loop {
            stop_if_signalled()?;
            if self.looked.elapsed() > LOOK_INTERVAL {
                self.look_after_child()?;
            }
            let Some(stdout) = &self.stdout else {
                return Ok(());
            };
            let mut fds = vec![PollFd::new(stdout, PollFlags::IN)];
            fds.extend(
                self.stderr
                    .as_ref()
                    .and_then(|lines| Some(PollFd::new(lines.from.as_ref()?, PollFlags::IN))),
            );
            match poll(&mut fds, Some(&PATIENCE)) {
                Ok(0) | Err(Errno::INTR) => {
                    self.look_after_child()?;
                    continue;
                }
                Ok(_) => {}
                Err(errno) => return Err(errno.into()),
            }
            let data = !fds[0].revents().is_empty();
            let said = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
            if said && let Some(lines) = &mut self.stderr {
                lines.pass_on(self.reporter);
            }
            if data {
                return Ok(());
            }
        }
    }

    /// Fails if there is nobody to wait for any more: it has failed, or has ended and nothing has come for long.
    fn look_after_child(&mut self) -> Result<()> {
        self.looked = Instant::now();
        match self.child.try_wait()? {
            Some(status) if !status.success() => Err(self.fails(Fault::Status(status))),
            Some(_) if self.ended.get_or_insert_with(Instant::now).elapsed() > HELD_MAX => {
                Err(self.fails(Fault::Held))
            }
            _ => Ok(()),
        }
    }

    /// The output is complete: waits for the command, and says how it ended.
    fn end(&mut self) -> Result<()> {
        self.stdout = None;
        let status = loop {
            stop_if_signalled()?;
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            self.pass_on_what_is_there();
            std::thread::sleep(ASK_INTERVAL);
        };
        // What came with a signal may be its doing.
        stop_if_signalled()?;
        self.pass_on_what_is_there();
        match status.success() {
            false => Err(self.fails(Fault::Status(status))),
            true if !self.any && !self.allow_empty => Err(self.fails(Fault::Empty)),
            true => Ok(()),
        }
    }

    /// Passes on what the command has said so far. What it started may hold standard error open for ever.
    fn pass_on_what_is_there(&mut self) {
        const NOW: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        while let Some(lines) = &mut self.stderr
            && let Some(from) = &lines.from
            && poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&NOW)) == Ok(1)
        {
            lines.pass_on(self.reporter);
        }
    }

    fn fails(&mut self, fault: Fault) -> Error {
        self.fault = Some(fault);
        Error::other("the command failed")
    }
}

impl Read for CommandOutput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.wait()?;
        let Some(stdout) = &mut self.stdout else {
            return Ok(0);
        };
        let count = stdout.read(buffer)?;
        if count == 0 {
            self.end()?;
        } else {
            self.any = true;
            self.ended = None;
        }
        Ok(count)
    }
}

impl Drop for CommandOutput<'_> {
    fn drop(&mut self) {
        // Who writes on gets to know that nobody reads any more.
        self.stdout = None;
        let begun = Instant::now();
        let pid = Pid::from_child(&self.child);
        let mut told = false;
        while let Ok(None) = self.child.try_wait() {
            if begun.elapsed() > GRACE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                break;
            }
            if !told {
                let _ = kill_process(pid, Signal::TERM);
                told = true;
            }
            std::thread::sleep(ASK_INTERVAL);
        }
        self.pass_on_what_is_there();
        if let Some(lines) = &mut self.stderr {
            lines.flush(self.reporter);
        }
    }
}

/// Lines that go above the one that is redrawn.
struct Lines {
    from: Option<ChildStderr>,
    held: Vec<u8>,
    /// Whether anything came.
    any: bool,
}

impl Lines {
    fn new(from: ChildStderr) -> Self {
        Self {
            from: Some(from),
            held: Vec::new(),
            any: false,
        }
    }

    /// Passes on complete lines of what one read gives.
    fn pass_on(&mut self, reporter: &Reporter<'_>) {
        let mut buffer = [0; 4096];
        let read = self
            .from
            .as_mut()
            .map_or(Ok(0), |from| from.read(&mut buffer));
        match read {
            Ok(0) => self.from = None,
            Ok(count) => {
                self.any = true;
                self.held.extend_from_slice(&buffer[..count]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => self.from = None,
        }
        let complete = match self.held.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if self.held.len() > LINE_BYTES_MAX => self.held.len(),
            None => return,
        };
        let lines: Vec<u8> = self.held.drain(..complete).collect();
        reporter.above(&String::from_utf8_lossy(&lines));
    }

    fn flush(&mut self, reporter: &Reporter<'_>) {
        if !self.held.is_empty() {
            let rest = String::from_utf8_lossy(&self.held).into_owned();
            reporter.above(&(rest + "\n"));
            self.held.clear();
        }
    }
}

/// What is said where no command was given.
pub fn no_command() -> Failure {
    Failure::usage(
        "no command was given\nGive it after --stdin-from-command and --, as in `larder backup --stdin-from-command -- \
         pg_dump shop`.",
    )
}

fn described(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(number)) => match signal_hook::low_level::signal_name(number) {
            Some(name) => format!("signal {number} ({name})"),
            None => format!("signal {number}"),
        },
        (None, None) => "an unknown status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_named() {
        assert_eq!(described(ExitStatus::from_raw(3 << 8)), "exit status 3");
        assert_eq!(described(ExitStatus::from_raw(9)), "signal 9 (SIGKILL)");
    }
}
