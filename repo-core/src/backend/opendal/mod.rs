//! Places on other machines, through OpenDAL.
//!
//! What OpenDAL does is asked for in calls that wait; its own retries and streaming writers are not used, for they have lost and
//! doubled data. A whole object goes out in one write, and is tried again as a whole by a wrapper of ours.

mod connect;
mod error;
mod rate;
mod read;
mod stage;
mod transport;

#[cfg(test)]
mod tests;

use super::{
    Address, Answer, Backend, Limits, Listed, OBJECT_BYTES_MAX, Put, len_of, name, too_short,
};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::time::Timestamp;
use ::opendal::options::{ListOptions, WriteOptions};
use ::opendal::{Buffer, Entry, Operator};
use futures_util::TryStreamExt;
use rate::Rate;
pub use rate::SpeedLimit;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

/// How many calls at once a place bears unless the user says otherwise, as with restic.
const CONNECTIONS: usize = 5;

/// Bytes that a round trip to another machine is worth.
const GAP_BYTES: u64 = 64 << 10;

/// Races before a place is believed to be class A: one that looks first and writes then passes one race of two.
const RACES: usize = 32;

/// The slowest uplink that we wait for: 16 KiB a second.
const BYTES_PER_SECOND_MIN: u64 = 16 << 10;

/// How a place on another machine is used.
#[derive(Clone)]
pub struct OpenDalOptions {
    /// How fast bytes may go there; `None` means as fast as they can. Holds for all calls together, and for bodies alone.
    pub upload: Option<SpeedLimit>,
    /// How fast bytes may come from there.
    pub download: Option<SpeedLimit>,
    /// How long to wait for an answer that carries nothing much.
    pub answer_timeout: Duration,
}

impl Default for OpenDalOptions {
    /// No limits, and a minute.
    fn default() -> Self {
        Self {
            upload: None,
            download: None,
            answer_timeout: Duration::from_secs(60),
        }
    }
}

/// A place on another machine.
///
/// Waits for each answer as long as its options say, and while it writes a second more for every 16 KiB; then the call is `Unavailable`. A write
/// copies the object once, so that every call under way may take as much memory as the object has bytes.
pub struct OpenDalBackend {
    operator: Operator,
    /// Lives as long as the operator, whose connections it drives.
    runtime: Runtime,
    service: String,
    place: String,
    /// The folder of the repository, with a `/` behind it; empty means the top.
    folder: String,
    /// Whether the place was asked to create only what is absent, and did not understand.
    unconditional: AtomicBool,
    upload: Option<Arc<Rate>>,
    download: Option<Arc<Rate>>,
    answer_timeout: Duration,
}

/// What one asks about the object of a call.
type Answered<T> = std::result::Result<T, ::opendal::Error>;

impl OpenDalBackend {
    /// The place at an address. Asks nobody: whether it is there shows the first call.
    ///
    /// `InvalidInput` for options that make no sense, `Unsupported` for a service that this build lacks.
    pub fn new(address: &Address, options: OpenDalOptions) -> Result<Self> {
        let place = address.to_string();
        let rate = |limit: Option<SpeedLimit>| limit.map(|limit| Arc::new(Rate::new(limit)));
        let upload = rate(options.upload);
        let download = rate(options.download);
        let runtime = connect::runtime(&place)?;
        let operator = {
            let _inside = runtime.enter();
            connect::operator(address, upload.clone())?
        };
        let service = address.service();
        // SFTP shows what is half written: a create that is refused to others is worth nothing there, and what is renamed replaces.
        let conditional =
            operator.info().capability().write_with_if_not_exists && service != "sftp";
        Ok(Self {
            operator,
            runtime,
            service: service.to_owned(),
            place,
            folder: match address.folder() {
                "" => String::new(),
                folder => format!("{folder}/"),
            },
            unconditional: AtomicBool::new(!conditional),
            upload,
            download,
            answer_timeout: options.answer_timeout,
        })
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    /// Whether what is absent in a listing is the bucket, because folders are nothing but parts of names.
    fn has_buckets(&self) -> bool {
        matches!(
            self.service.as_str(),
            "s3" | "gcs" | "azblob" | "b2" | "swift"
        )
    }

    /// Whether the transport sees what goes out, and so holds it back itself.
    fn is_http(&self) -> bool {
        !matches!(self.service.as_str(), "sftp" | "memory")
    }

    /// Waits for the answer of a call that moves `bytes` bytes.
    fn wait<T>(
        &self,
        name: &str,
        bytes: usize,
        call: impl Future<Output = Answered<T>>,
    ) -> Result<T> {
        // Where a limit is lower than what is waited for, all calls together share it.
        let slowest = self.upload.as_ref().and_then(|rate| rate.slowest());
        let limit = slowest.map(|bytes| bytes / 64);
        let slowest = limit.map_or(BYTES_PER_SECOND_MIN, |limit| {
            limit.clamp(1, BYTES_PER_SECOND_MIN)
        });
        let more = Duration::from_secs(bytes as u64 / slowest);
        let bounded = async { tokio::time::timeout(self.answer_timeout + more, call).await };
        match self.runtime.block_on(bounded) {
            Ok(answer) => answer.map_err(|e| error::error(&e, name, &self.place)),
            Err(_) => Err(no_answer(name)),
        }
    }

    fn write(&self, name: &str, bytes: Buffer, if_absent: bool) -> Result<Put> {
        let options = WriteOptions {
            if_not_exists: if_absent,
            ..WriteOptions::default()
        };
        let len = bytes.len();
        let path = self.path(name);
        let staging = self.staging(&path)?;
        let paced = self.upload.as_deref().filter(|_| !self.is_http());
        let call = async {
            rate::pass(paced, len).await;
            if let Some(temporary) = &staging {
                let written = self.write_staged(temporary, &path, bytes);
                return written.await.map(|()| Put::Created);
            }
            match self.operator.write_options(&path, bytes, options).await {
                Ok(_) => Ok(Put::Created),
                Err(e) if e.kind() == ::opendal::ErrorKind::ConditionNotMatch => Ok(Put::Exists),
                Err(e) => Err(e),
            }
        };
        match self.wait(name, len, call) {
            Err(e) if e.kind() == ErrorKind::NotFound => Err(match self.file_above(&path) {
                Some(file) => Error::new(ErrorKind::Denied, Subject::Repository(self.place()))
                    .because(Answer::new("", &format!("{file} is a file and no folder"))),
                // Something else than the object is not there, or was not for a moment: the next try shows it.
                None => {
                    Error::new(ErrorKind::Unavailable, Subject::Object(name.to_owned())).because(e)
                }
            }),
            answer => answer,
        }
    }

    /// The file that is in the way of a folder that `path` lies in, where places have folders.
    fn file_above(&self, path: &str) -> Option<String> {
        if self.has_buckets() {
            return None;
        }
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        let is_file = |above: &&str| {
            let found = self.wait(above, 0, self.operator.stat(above));
            found.is_ok_and(|found| found.is_file())
        };
        let file = above.filter(|above| !above.is_empty()).find(is_file)?;
        Some(file.to_owned())
    }

    /// Writes unless an object of that name is there, where the place can do that; elsewhere always.
    fn write_new(&self, name: &str, bytes: &Buffer) -> Result<Put> {
        if !self.unconditional.load(Ordering::Relaxed) {
            match self.write(name, bytes.clone(), true) {
                Err(e) if e.kind() == ErrorKind::Unsupported => {
                    self.unconditional.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        self.write(name, bytes.clone(), false)
    }

    /// One object of a listing, if what is listed is one.
    fn listed(&self, entry: Entry) -> Result<Listed, Option<String>> {
        let (path, found) = entry.into_parts();
        let Some(name) = path.strip_prefix(&self.folder) else {
            return Err(None);
        };
        match name {
            "" => Err(None),
            _ if found.is_dir() || path.ends_with('/') => Err(None),
            _ if name::check_name(name).is_ok() => Ok(Listed {
                name: name.to_owned(),
                len: found.content_length(),
                modified: found.last_modified().map(modified),
            }),
            _ => Err(Some(name.to_owned())),
        }
    }

    /// Calls `each` for everything below `prefix` that the place lists.
    fn walk(&self, prefix: &str, each: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        let path = match prefix {
            "" => self.folder.clone(),
            _ => format!("{}{prefix}/", self.folder),
        };
        let options = ListOptions {
            recursive: true,
            ..ListOptions::default()
        };
        let absent = |e: &Error| e.kind() == ErrorKind::NotFound && !self.has_buckets();
        let mut lister = match self.wait(prefix, 0, self.operator.lister_options(&path, options)) {
            Err(e) if absent(&e) => return Ok(()),
            lister => lister.map_err(|e| self.no_bucket(e))?,
        };
        let mut first = None;
        loop {
            let entry = match self.wait(prefix, 0, lister.try_next()) {
                Err(e) if absent(&e) && first.is_none() => return Ok(()),
                entry => entry.map_err(|e| self.no_bucket(e))?,
            };
            let Some(entry) = entry else {
                return Ok(());
            };
            // A server that says "there is more" and not where would be asked for the same page for ever.
            match &first {
                None => first = Some(entry.path().to_owned()),
                Some(first) if first == entry.path() => return Err(begins_anew(prefix)),
                Some(_) => {}
            }
            each(entry)?;
        }
    }

    /// The first thing at this place of whose name `is_ours` says that it is not: told by the part before the first `/`.
    pub fn first_stranger(&self, is_ours: &dyn Fn(&str) -> bool) -> Result<Option<String>> {
        let mut stranger = None;
        let walked = self.walk("", &mut |entry| {
            let path = entry.path().strip_prefix(&self.folder).unwrap_or_default();
            let first = path.split('/').next().unwrap_or_default();
            match first.is_empty() || is_ours(first) || self.is_temporary(path) {
                true => Ok(()),
                false => {
                    stranger = Some(path.to_owned());
                    Err(Error::interrupted())
                }
            }
        });
        match stranger {
            None => walked.map(|()| None),
            found => Ok(found),
        }
    }

    /// What is not found by a listing of a bucket is the bucket.
    fn no_bucket(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::NotFound => error::no_bucket(&self.place),
            _ => error,
        }
    }

    /// Asks for an object in a way that is answered with a reason, where the answer to the first way had none.
    fn with_reason(&self, name: &str, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unsupported) {
            return error;
        }
        match self.read(name, Some((0, 1)), 1) {
            Err(told) if told.kind() != ErrorKind::NotFound => told,
            _ => error,
        }
    }
}

fn no_answer(name: &str) -> Error {
    Error::new(ErrorKind::Unavailable, Subject::Object(name.to_owned()))
        .because(Answer::new("", "no answer came in time"))
}

fn begins_anew(prefix: &str) -> Error {
    Error::new(ErrorKind::Unavailable, Subject::Object(prefix.to_owned()))
        .because(Answer::new("", "the listing begins anew in its middle"))
}

fn modified(time: ::opendal::raw::Timestamp) -> Timestamp {
    let time = time.into_inner();
    // Before 1970 nothing was stored.
    Timestamp::new(time.as_second(), time.subsec_nanosecond().max(0) as u32)
}

impl Backend for OpenDalBackend {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn limits(&self) -> Limits {
        Limits {
            connections: CONNECTIONS,
            gap_bytes: GAP_BYTES,
            remote: true,
            races: RACES,
        }
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        name::check_name(name)?;
        self.read(name, None, OBJECT_BYTES_MAX)
    }

    fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Vec<u8>> {
        name::check_name(name)?;
        let fits = offset
            .checked_add(len)
            .is_some_and(|end| end <= OBJECT_BYTES_MAX);
        let read = match fits && len > 0 {
            true => self.read(name, Some((offset, len)), len),
            false => Ok(Vec::new()),
        };
        if let Ok(bytes) = &read
            && bytes.len() as u64 == len
            && fits
            && len > 0
        {
            return read;
        }
        // Too short, or wrong otherwise: its length says which.
        match self.size(name)? {
            None => Err(Error::new(
                ErrorKind::NotFound,
                Subject::Object(name.to_owned()),
            )),
            Some(size) if offset.checked_add(len).is_none_or(|end| end > size) => {
                Err(too_short(name, size))
            }
            Some(_) if len == 0 => Ok(Vec::new()),
            Some(_) => Err(read.err().unwrap_or_else(|| no_answer(name))),
        }
    }

    /// Asks the place to create it first, so that whoever may only add needs no more; what is there already is compared, and
    /// replaced if it differs.
    fn put_parts(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        let bytes = checked(name, parts)?;
        match self.write_new(name, &bytes)? {
            Put::Created => Ok(()),
            Put::Exists
                if self.size(name)? == Some(bytes.len() as u64)
                    && self.get(name)? == bytes.to_vec() =>
            {
                Ok(())
            }
            Put::Exists => self.write(name, bytes, false).map(drop),
        }
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<Put> {
        let bytes = checked(name, &[bytes])?;
        self.write_new(name, &bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(Listed) -> Result<()>) -> Result<()> {
        name::check_prefix(prefix)?;
        let mut temporary = Vec::new();
        self.walk(prefix, &mut |entry| match self.is_temporary(entry.path()) {
            true => {
                temporary.push(entry);
                Ok(())
            }
            false => self.listed(entry).map_or(Ok(()), &mut *each),
        })?;
        self.sweep(&temporary);
        Ok(())
    }

    fn list_strangers(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.walk("", &mut |entry| {
            if let Err(Some(path)) = self.listed(entry)
                && !self.is_temporary(&path)
            {
                each(&path);
            }
            Ok(())
        })
    }

    fn delete(&self, name: &str) -> Result<()> {
        name::check_name(name)?;
        let path = self.path(name);
        self.wait(name, 0, self.operator.delete(&path))
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        name::check_name(name)?;
        let path = self.path(name);
        match self.wait(name, 0, self.operator.stat(&path)) {
            Ok(found) => Ok(found.is_file().then_some(found.content_length())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.with_reason(name, e)),
        }
    }
}

/// An object in one piece, as long as one may be.
fn checked(name: &str, parts: &[&[u8]]) -> Result<Buffer> {
    name::check_name(name)?;
    match len_of(parts) as u64 > OBJECT_BYTES_MAX {
        true => Err(name::invalid(name, "the object is too long")),
        false => Ok(Buffer::from(parts.concat())),
    }
}
