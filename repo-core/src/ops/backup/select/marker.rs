//! Files that say, by being there, that a directory is not worth a backup.

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::fs::{Dir, read_at};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Bytes of the longest beginning that a marker may be asked for.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// A file whose presence means that what lies beside it is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    name: OsString,
    header: Vec<u8>,
}

impl Marker {
    /// A file of this name, of any kind; or with a `header`, a regular file that begins with it.
    ///
    /// `InvalidInput` if it is no name of an entry, or the header is longer than 64 KiB.
    pub fn new(name: impl Into<OsString>, header: impl Into<Vec<u8>>) -> Result<Self> {
        let (name, header) = (name.into(), header.into());
        let wrong = |why| {
            let subject = Subject::Path(name.clone().into());
            Err(Error::new(ErrorKind::InvalidInput, subject).detail(why))
        };
        let bytes = name.as_bytes();
        if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') || bytes.contains(&0) {
            return wrong("not a plain file name");
        }
        match header.len() > HEADER_BYTES_MAX {
            true => wrong("the beginning it is to have is longer than 64 KiB"),
            false => Ok(Self { name, header }),
        }
    }

    /// The mark of a directory that a program can fill again (<https://bford.info/cachedir/>).
    pub fn cachedir() -> Self {
        Self {
            name: "CACHEDIR.TAG".into(),
            header: b"Signature: 8a477f597d28d172789f06886806bc55".to_vec(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    pub(super) fn name_bytes(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// Whether the file of its name in `dir` is what it should be; or why that cannot be said.
    pub(super) fn counts(&self, dir: &Dir) -> Result<bool, String> {
        if self.header.is_empty() {
            return Ok(true);
        }
        let mut found = vec![0; self.header.len()];
        let read = dir
            .open_file(self.name_bytes())
            .map_err(super::never_a_file)
            .and_then(|(file, _)| read_at(&file, 0, found.len(), &mut found));
        match read {
            Ok(read) if found[..read] == self.header => Ok(true),
            Ok(_) => Err("does not begin with what makes it a marker".into()),
            Err(error) => Err(error.about(Subject::None).to_string()),
        }
    }
}
