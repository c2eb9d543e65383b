//! What a place on another machine was asked.

use serde::Serialize;

/// The end of a command, with what a place on another machine was asked for it.
#[derive(Serialize)]
pub struct Counted<'a, T> {
    #[serde(flatten)]
    pub summary: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_made: Option<Requests>,
}

/// What a place was asked; what was tried again counts once, and a listing too, however many pages it has.
#[derive(Serialize)]
pub struct Requests {
    pub put: u64,
    pub get: u64,
    pub head: u64,
    pub list: u64,
    pub delete: u64,
}
