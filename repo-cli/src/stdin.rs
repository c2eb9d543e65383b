//! Standard input as a source of data.

use crate::exit::Failure;
use crate::message::plain_io;
use crate::reporter::Work;
use crate::signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Error, Read, Result};
use std::os::fd::AsFd;

/// How long a read may wait before it looks whether a signal came.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// Standard input that stops at SIGINT and SIGTERM, even while it waits for data.
///
/// Ctrl-C goes to every process of a pipeline. The one that writes to us dies of it, which looks like the end of its
/// data: an end that comes with a signal is an error here, or half a dump would become a snapshot. Nothing at all is an
/// error too, unless it is allowed: a dump that could not even begin looks like that, and so does input that is closed.
pub struct Stdin {
    file: File,
    allow_empty: bool,
    seen: Seen,
}

/// What came so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Data,
    /// The end, before anything else, and that is not allowed.
    OnlyTheEnd,
}

impl Stdin {
    /// Standard input, without the buffer of the standard library, whose lock cannot go to another thread.
    pub fn open(allow_empty: bool) -> std::result::Result<Self, Failure> {
        signals::interrupt();
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        let stdin = stdin.map_err(|error| {
            Failure::failed(format!("cannot read standard input: {}", plain_io(&error)))
        })?;
        Ok(Self {
            file: stdin.into(),
            allow_empty,
            seen: Seen::Nothing,
        })
    }

    /// What a failed backup of standard input is called: if a signal came, or no data, that is why it failed.
    pub fn explain(&self, failure: Failure) -> Failure {
        match self.seen {
            _ if signals::came() => Failure::interrupted(Work::Backup.when_interrupted()),
            Seen::OnlyTheEnd => Failure::failed(
                "standard input is empty or closed, so no snapshot was made\n\
                 Look whether the program that should write to it failed; if nothing is what it writes, allow it with \
                 --stdin-allow-empty.",
            ),
            Seen::Nothing | Seen::Data => failure,
        }
    }

    fn wait(&self) -> Result<()> {
        loop {
            stop_if_signalled()?;
            match poll(
                &mut [PollFd::new(&self.file, PollFlags::IN)],
                Some(&PATIENCE),
            ) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.wait()?;
        let count = self.file.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            stop_if_signalled()?;
            if self.seen != Seen::Data && !self.allow_empty {
                self.seen = Seen::OnlyTheEnd;
                return Err(Error::other("standard input is empty"));
            }
        } else if count > 0 {
            self.seen = Seen::Data;
        }
        Ok(count)
    }
}

/// Not an error of kind `Interrupted`, after which readers try again.
pub fn stop_if_signalled() -> Result<()> {
    match signals::came() {
        true => Err(Error::other("stopped by a signal")),
        false => Ok(()),
    }
}
