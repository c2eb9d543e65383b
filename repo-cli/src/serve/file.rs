//! A file, or a part of it.

use super::media::Media;
use super::range::{Wanted, wanted};
use super::reply::Reply;
use super::steps::Steps;
use super::target::{Target, tag_of, time_of};
use super::{Library, address};
use crate::text::http_date;
use hyper::http::request::Parts;
use hyper::http::response::Builder;
use hyper::{Response, StatusCode, header};
use repo_core::format::tree::FileContent;
use repo_core::vfs::{FileMap, NodeRef, Reading};
use repo_core::{Error, Result, Subject};
use std::ops::Range;
use std::sync::Arc;

/// So many bytes are read at a time, and at least so many.
const STEP: u64 = 1 << 20;
const STEP_MIN: u64 = 64 << 10;

/// What a browser may do with something out of a backup that it shows: nothing.
const SANDBOX: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:";

/// Sends a file as the headers ask for it; for keeping if `keep`. What cannot be read is an error if nothing was sent before.
pub fn send(
    library: &Arc<Library>,
    target: &Target,
    asked: &Parts,
    keep: bool,
    reply: Reply,
) -> Result<()> {
    let Some((node, file)) = target.file() else {
        reply.text(StatusCode::NOT_FOUND, "is no file");
        return Ok(());
    };
    let tag = tag_of(node).unwrap_or_default();
    let builder = head(target, &tag, keep);
    let time = time_of(&target.facts);
    let part = match wanted(&asked.method, &asked.headers, file.size, &tag, time) {
        Wanted::Other => {
            let builder = Response::builder().status(StatusCode::PRECONDITION_FAILED);
            reply.whole(builder.header(header::ETAG, tag), "");
            return Ok(());
        }
        Wanted::Nothing => {
            reply.empty(builder.status(StatusCode::NOT_MODIFIED));
            return Ok(());
        }
        Wanted::Outside => {
            let range = format!("bytes */{}", file.size);
            let builder = builder.status(StatusCode::RANGE_NOT_SATISFIABLE);
            reply.whole(builder.header(header::CONTENT_RANGE, range), "");
            return Ok(());
        }
        Wanted::Whole => None,
        Wanted::Part(part) => Some(part),
    };
    let builder = match &part {
        None => builder,
        Some(part) => builder.status(StatusCode::PARTIAL_CONTENT).header(
            header::CONTENT_RANGE,
            format!("bytes {}-{}/{}", part.start, part.end - 1, file.size),
        ),
    };
    let part = part.unwrap_or(0..file.size);
    let builder = builder.header(header::CONTENT_LENGTH, part.end - part.start);
    let mut sending = Sending {
        bytes: Bytes::new(library, target, (node, file))?,
        rest: part,
        given: 0,
        step: STEP,
    };
    // Damage at its beginning can still be said.
    let first = sending.read(0)?;
    reply.steps(builder, first, sending);
    Ok(())
}

/// A part of a file on its way.
struct Sending {
    bytes: Bytes,
    rest: Range<u64>,
    given: usize,
    /// So many bytes are read next.
    step: u64,
}

impl Sending {
    fn read(&mut self, taken: usize) -> Result<Vec<u8>> {
        self.rest.start += taken as u64;
        // Who takes little at a time is read little.
        self.step = match taken < self.given {
            true => (taken as u64).max(STEP_MIN),
            false => (self.step * 2).min(STEP),
        };
        let Range { start, end } = self.rest;
        let bytes = self.bytes.read(start..end.min(start + self.step))?;
        self.given = bytes.len();
        Ok(bytes)
    }
}

impl Steps for Sending {
    fn next(&mut self, taken: usize) -> Option<Vec<u8>> {
        let library = self.bytes.library.clone();
        let read = library.interrupt.check().and_then(|()| self.read(taken));
        library.told(|| address::shown(&self.bytes.target.names), read)
    }
}

fn head(target: &Target, tag: &str, keep: bool) -> Builder {
    let media = Media::of(target.name());
    let mut builder = Response::builder()
        .header(header::CONTENT_TYPE, media.content_type())
        .header(header::CONTENT_SECURITY_POLICY, SANDBOX)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CACHE_CONTROL, "private, no-cache")
        .header(header::ETAG, tag);
    if let Some(date) = http_date(time_of(&target.facts)) {
        builder = builder.header(header::LAST_MODIFIED, date);
    }
    if keep || media == Media::Other {
        builder = builder.header(header::CONTENT_DISPOSITION, disposition(target.name()));
    }
    builder
}

/// Says that something is to be kept under a name.
pub fn disposition(name: &[u8]) -> String {
    let plain: String = String::from_utf8_lossy(name)
        .chars()
        .map(|letter| match letter {
            '"' | '\\' | '/' => '_',
            ' '..='~' => letter,
            _ => '_',
        })
        .collect();
    format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        address::encoded(name)
    )
}

/// The bytes of a file.
pub struct Bytes {
    library: Arc<Library>,
    target: Target,
    map: Arc<FileMap>,
}

impl Bytes {
    /// Of the file that the target is.
    pub fn new(
        library: &Arc<Library>,
        target: &Target,
        (node, file): (&NodeRef, &FileContent),
    ) -> Result<Self> {
        Ok(Self {
            map: library.reader.map(&node.spot, file)?,
            library: library.clone(),
            target: target.clone(),
        })
    }

    /// These bytes, all of which it has.
    pub fn read(&self, part: Range<u64>) -> Result<Vec<u8>> {
        let spots = || self.target.spots();
        let reading = Reading {
            map: &self.map,
            spots: &spots,
        };
        let len = part.end.saturating_sub(part.start);
        let mut bytes = Vec::with_capacity(len as usize);
        self.library
            .reader
            .read(&reading, part.start, len, &mut bytes)?;
        match bytes.len() as u64 == len {
            true => Ok(bytes),
            false => Err(Error::damaged(Subject::None).detail("is shorter than it says")),
        }
    }
}
