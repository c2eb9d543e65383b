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
/// data: an end that comes with a signal is an error here, or half a dump would become a snapshot.
pub struct Stdin(File);

impl Stdin {
    /// Standard input, without the buffer of the standard library, whose lock cannot go to another thread.
    pub fn open() -> std::result::Result<Self, Failure> {
        signals::listen();
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        stdin.map(|stdin| Self(stdin.into())).map_err(|error| {
            Failure::failed(format!("cannot read standard input: {}", plain_io(&error)))
        })
    }

    /// What a failed backup of standard input is called: if a signal came, that is why it failed.
    pub fn explain(failure: Failure) -> Failure {
        match signals::came() {
            true => Failure::interrupted(Work::Backup.when_interrupted()),
            false => failure,
        }
    }

    fn wait(&self) -> Result<()> {
        loop {
            stop_if_signalled()?;
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&PATIENCE)) {
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
        let count = self.0.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            stop_if_signalled()?;
        }
        Ok(count)
    }
}

/// Not an error of kind `Interrupted`, after which readers try again.
fn stop_if_signalled() -> Result<()> {
    match signals::came() {
        true => Err(Error::other("stopped by a signal")),
        false => Ok(()),
    }
}
