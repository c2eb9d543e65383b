//! A file, or a part of it.

use super::media::Media;
use super::range::{Wanted, wanted};
use super::reply::{Reply, Stream};
use super::target::{Target, tag_of, time_of};
use super::{Library, address};
use crate::text::http_date;
use hyper::http::response::Builder;
use hyper::{HeaderMap, Response, StatusCode, header};
use repo_core::format::tree::FileContent;
use repo_core::vfs::{FileMap, NodeRef, Reading};
use repo_core::{Error, Result, Subject};
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

/// So many bytes are read at a time.
const STEP: u64 = 1 << 20;

/// What a browser may do with something out of a backup that it shows: nothing.
const SANDBOX: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:";

/// Sends a file as the headers ask for it; for keeping if `keep`. What cannot be read is an error if nothing was sent before.
pub fn send(
    library: &Library,
    target: &Target,
    headers: &HeaderMap,
    keep: bool,
    reply: Reply,
) -> Result<()> {
    let Some((node, file)) = target.file() else {
        reply.text(StatusCode::NOT_FOUND, "is no file");
        return Ok(());
    };
    let tag = tag_of(node).unwrap_or_default();
    let builder = head(target, &tag, keep);
    let part = match wanted(headers, file.size, &tag, time_of(&target.facts)) {
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
    let bytes = Bytes::new(library, target, (node, file))?;
    // Damage at its beginning can still be said.
    let first = bytes.read(part.start..part.end.min(part.start.saturating_add(STEP)))?;
    let Some(stream) = reply.stream(builder) else {
        return Ok(());
    };
    write(library, &bytes, first, part, stream)
}

fn write(
    library: &Library,
    bytes: &Bytes<'_>,
    mut piece: Vec<u8>,
    part: Range<u64>,
    mut stream: Stream,
) -> Result<()> {
    let mut at = part.start;
    loop {
        if stream.write_all(&piece).is_err() {
            // The reader went away.
            return Ok(());
        }
        at += piece.len() as u64;
        if at >= part.end {
            let _ = stream.finish();
            return Ok(());
        }
        library.interrupt.check()?;
        piece = bytes.read(at..part.end.min(at + STEP))?;
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
pub struct Bytes<'a> {
    library: &'a Library,
    target: &'a Target,
    map: Arc<FileMap>,
}

impl<'a> Bytes<'a> {
    /// Of the file that the target is.
    pub fn new(
        library: &'a Library,
        target: &'a Target,
        (node, file): (&NodeRef, &FileContent),
    ) -> Result<Self> {
        Ok(Self {
            map: library.reader.map(&node.spot, file)?,
            library,
            target,
        })
    }

    /// These bytes, all of which it has.
    pub fn read(&self, part: Range<u64>) -> Result<Vec<u8>> {
        let spots = || self.target.spots();
        let reading = Reading {
            map: &self.map,
            spots: &spots,
        };
        let (len, mut bytes) = (part.end - part.start, Vec::new());
        self.library
            .reader
            .read(&reading, part.start, len, &mut bytes)?;
        match bytes.len() as u64 == len {
            true => Ok(bytes),
            false => Err(Error::damaged(Subject::None).detail("is shorter than it says")),
        }
    }
}
