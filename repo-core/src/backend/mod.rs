//! Named byte files in some place: the trait, its implementers and the wrappers around them.
//!
//! A *name* is a relative path of lower-case letters, digits, `-` and `/`, such as `data/3f/3fa0…`; [`check_name`] has
//! the exact rules. What a backend promises is written at each method of [`Backend`] and checked by one conformance
//! suite for all of them.

mod address;
mod answer;
mod local;
mod memory;
mod name;
#[cfg(feature = "opendal")]
mod opendal;
pub(crate) mod random;
mod unclear;

#[cfg(any(test, feature = "testutil"))]
pub mod conformance;
pub mod probe;
pub mod wrap;

pub use address::Address;
pub use answer::{Answer, WEB_PAGE};
pub use local::LocalBackend;
pub use memory::{MemoryBackend, MemoryOptions};
pub use name::{NAME_BYTES_MAX, NAME_PARTS_MAX, check_name};
#[cfg(feature = "opendal")]
pub use opendal::{OpenDalBackend, OpenDalOptions, SpeedLimit};
pub use probe::Class;
pub use unclear::put_if_absent_or_same;

use crate::error::{Error, Result, Subject};
use crate::time::Timestamp;

/// The longest object that a backend stores or hands out whole: 1 GiB, so that a forged length cannot ask for more
/// memory than that.
pub const OBJECT_BYTES_MAX: u64 = 1 << 30;

/// What became of a [`Backend::put_if_absent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object was not there and is now.
    Created,
    /// An object of that name was there already; it is unchanged.
    Exists,
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The full name, relative to the repository.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
    /// When it was last written, by the backend's clock, where the backend knows.
    pub modified: Option<Timestamp>,
}

/// What a backend can bear. Callers keep to it; a wrapper enforces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many calls may be under way at once.
    pub connections: usize,
    /// Gaps up to this many bytes are cheaper to read than to skip.
    pub gap_bytes: u64,
    /// Every call costs a round trip through a network: what was read is worth keeping.
    pub remote: bool,
    /// How many times [`probe::race`] lets writers race before it believes in class A: once where the code behind this is known,
    /// more often where nothing but trying tells.
    pub races: usize,
}

/// Named byte files in some place.
///
/// Every method may be called from any thread. Errors: `NotFound` where an object is absent and only then (a refusal
/// is `Denied`, never "absent"), `Denied`, `Unavailable`, `InvalidInput` for a bad name and for an object longer than
/// [`OBJECT_BYTES_MAX`]. No caller stores an object below another (`a/b` where `a` is one): some places refuse that.
pub trait Backend: Send + Sync {
    /// Where this is, for people; never holds a secret.
    fn place(&self) -> String;

    /// What it can bear.
    fn limits(&self) -> Limits;

    /// The whole object.
    fn get(&self, name: &str) -> Result<Vec<u8>>;

    /// Exactly `len` bytes from `offset`. An object that ends before is `Damaged`.
    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>>;

    /// Stores an object of a name that is only ever given to these bytes: one that is there already may be kept if it
    /// holds them and is replaced otherwise. On return the object survives a crash and is visible whole; before, it is
    /// not visible at all where the backend can do that (see [`Backend::put_if_absent`]).
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.put_parts(name, &[bytes])
    }

    /// As [`Backend::put`], with the bytes in parts that follow each other: a pack is stored from where its blocks lie,
    /// and needs no second place in memory.
    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()>;

    /// Stores an object unless one of that name is there. On a class A place exactly one of any number of callers gets
    /// [`Put::Created`], and no reader ever sees part of an object. On a class C place this is a plain write. After
    /// either answer the object that is there survives a crash; what a reader sees while its writer still waits for
    /// the answer may not. An `Unavailable` error leaves open whether the object was stored.
    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put>;

    /// Calls `each` for every object below `prefix` (whole path parts, such as `log` or `data/3f`; the empty string means
    /// all), in no order, temporary files of the backend left out. Fails rather than leave something out; an error of
    /// `each` ends it and is returned. Objects that come or go meanwhile may be listed or not. `each` must not call the
    /// backend: the listing may occupy its only connection.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()>;

    /// Calls `each` with the path, as far as it is text, of everything at this place that [`Backend::list`] passes over
    /// because no object can have its name, or because it is no file; temporary files of the backend left out. A directory
    /// is named, not what is in it. Places of which listing shows everything have nothing of the kind.
    fn list_strangers(&self, _each: &mut dyn FnMut(&str)) -> Result<()> {
        Ok(())
    }

    /// Removes an object. One that is absent is no error.
    fn delete(&self, name: &str) -> Result<()>;

    /// Whether an object is there, and its length.
    fn size(&self, name: &str) -> Result<Option<u64>>;
}

/// The length of an object in parts.
fn len_of(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// The error of a range that ends after the object, which has `len` bytes.
fn too_short(name: &str, len: u64) -> Error {
    Error::damaged(Subject::Object(name.to_owned()))
        .at(len)
        .detail("the object ends too early")
}
