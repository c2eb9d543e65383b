//! A program that was built without the way to other machines.

use super::Remote;
use crate::app::App;
use crate::exit::Failure;
use repo_core::Result;
use repo_core::backend::Backend;
use std::sync::Arc;

/// No place: there is none.
pub enum Nowhere {}

/// A place and the way there, as programs with the feature `opendal` have it.
pub struct Reached {
    /// The place without anything around it.
    pub place: Nowhere,
    /// The way there.
    pub backend: Arc<dyn Backend>,
}

impl Nowhere {
    /// The first thing at this place that is not ours.
    pub fn first_stranger(&self, _: &dyn Fn(&str) -> bool) -> Result<Option<String>> {
        match *self {}
    }
}

/// Always fails.
pub fn reach(_: &App, remote: &Remote) -> Result<Reached, Failure> {
    Err(Failure::failed(format!(
        "{} is on another machine, and this program was built without a way there",
        remote.address
    )))
}
