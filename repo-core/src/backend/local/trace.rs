//! A look at the steps that durability rests on, for tests: they read them, and make some fail.

use super::write::Publish;
use std::io;

/// A step towards a durable object, named by the object or directory it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A directory is made.
    MakeDirectory(&'a str),
    /// The bytes go to a temporary file.
    Write(&'a str),
    /// That file is synced.
    SyncFile(&'a str),
    /// It is to get its name in this way.
    Publish(&'a str, Publish),
    /// It gets its name in place of what had it.
    Replace(&'a str),
    /// A directory is synced.
    SyncDirectory(&'a str),
    /// A name is removed.
    Unlink(&'a str),
}

/// Sees every step before it is done. Outside tests there is nothing to it.
#[derive(Default)]
pub(super) struct Trace {
    #[cfg(test)]
    hook: std::sync::Mutex<Option<Hook>>,
}

#[cfg(test)]
type Hook = Box<dyn FnMut(&Step<'_>) -> io::Result<()> + Send>;

impl Trace {
    #[cfg(not(test))]
    #[inline]
    pub(super) fn step(&self, _: Step<'_>) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn step(&self, step: Step<'_>) -> io::Result<()> {
        self.hook
            .lock()
            .unwrap()
            .as_mut()
            .map_or(Ok(()), |hook| hook(&step))
    }

    /// Calls `hook` before each step; an error of it takes the place of the step.
    #[cfg(test)]
    pub(super) fn set(&self, hook: impl FnMut(&Step<'_>) -> io::Result<()> + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }
}
