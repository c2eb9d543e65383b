//! Addresses of places on other machines: `s3:https://host/bucket/prefix`, `sftp:user@host:/path` and their like.

mod short;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;

/// The longest address in bytes.
const ADDRESS_BYTES_MAX: usize = 4096;

/// A place on another machine: the service it speaks, what that must know, and where in it the repository lies.
///
/// `Display` gives the address as it was written, without a password in it. `Debug` gives the same, because options may
/// be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    service: String,
    scheme: &'static str,
    options: BTreeMap<String, String>,
    folder: String,
    shown: String,
}

/// Words before the colon that name a place on another machine.
const SCHEMES: [&str; 10] = [
    "s3",
    "gs",
    "azure",
    "b2",
    "swift",
    "sftp",
    "ssh",
    "webdav+http",
    "webdav+https",
    "opendal",
];

impl Address {
    /// Reads an address. `None` if it has no scheme of a place on another machine, and so is a path.
    ///
    /// `InvalidInput`, with the setting `place`, if it has and makes no sense: no bucket, a port that is no number, `..` in it.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Ok(None);
        };
        let Some(scheme) = SCHEMES.iter().find(|known| **known == scheme) else {
            return Ok(None);
        };
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(invalid("is too long"));
        }
        if text.contains(|letter: char| letter.is_control()) {
            return Err(invalid("has a control character in it"));
        }
        short::read(scheme, rest).map(Some)
    }

    /// What the service is called: `s3`, `gcs`, `azblob`, `sftp` and so on.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The word before the colon, which options of the program and variables go by.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The folder of the repository there: parts with `/` between them; empty means the top.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// Whether one of both lies in the other, or both are the same, as far as addresses show it.
    pub fn overlaps(&self, other: &Self) -> bool {
        let of = |key: &&str| (self.option(key), other.option(key));
        let is_same = |key: &&str| of(key).0 == of(key).1;
        let parts = |address: &'_ Self| -> Vec<String> {
            let parts = address.folder.split('/').filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let (ours, theirs) = (parts(self), parts(other));
        self.service == other.service
            && ["endpoint", "bucket", "container", "user", "root", "name"]
                .iter()
                .all(is_same)
            && (ours.starts_with(&theirs) || theirs.starts_with(&ours))
    }

    /// What the service must know.
    pub fn options(&self) -> &BTreeMap<String, String> {
        &self.options
    }

    /// The value of an option.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    /// Sets an option, whatever it was before.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.options.insert(key.into(), value.into());
    }

    /// Sets an option that nothing has set so far.
    pub fn set_default(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.options
            .entry(key.into())
            .or_insert_with(|| value.into());
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// An address that makes no sense.
fn invalid(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid("place").detail(why)
}
