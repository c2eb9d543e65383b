//! A directory as an archive.

use super::connections::Connection;
use super::file::disposition;
use super::reply::Reply;
use super::target::Target;
use super::{Library, RETRY_AFTER};
use crate::looking::Looking;
use hyper::{Response, StatusCode, header};
use repo_core::Result;
use repo_core::ops::{Archive, Dump};
use repo_core::repo::BlockCache;
use repo_core::vfs::CONTENTS_CACHE_BYTES;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most archives that are sent at a time, and most of them to one address that is not on this machine, where nobody can tell people apart.
pub const ARCHIVES_MAX: usize = 4;
const ARCHIVES_OF_ONE_MAX: usize = 3;

/// How long who was refused is expected to come again.
const WANTED_FOR: Duration = Duration::from_secs(60);

/// The archives that are being sent, and the opened blocks that all of them keep together.
pub struct Archives {
    sending: Mutex<Sending>,
    cache: Arc<BlockCache>,
}

#[derive(Default)]
struct Sending {
    to: Vec<IpAddr>,
    refused: Option<Instant>,
}

/// A place among them, until it is dropped.
struct Place<'a>(&'a Archives, Arc<Connection>);

impl Default for Archives {
    fn default() -> Self {
        Self {
            sending: Mutex::default(),
            cache: Arc::new(BlockCache::new(CONTENTS_CACHE_BYTES)),
        }
    }
}

impl Archives {
    /// Whether somebody was refused lately.
    pub fn are_wanted(&self) -> bool {
        let refused = self.locked().refused;
        refused.is_some_and(|at| at.elapsed() < WANTED_FOR)
    }

    fn place(&self, connection: &Arc<Connection>) -> Option<Place<'_>> {
        let mut sending = self.locked();
        let origin = connection.origin;
        let own = sending.to.iter().filter(|to| **to == origin).count();
        if sending.to.len() >= ARCHIVES_MAX {
            sending.refused = Some(Instant::now());
            return None;
        }
        if own >= ARCHIVES_OF_ONE_MAX && !origin.is_loopback() {
            return None;
        }
        sending.to.push(origin);
        connection.has_place(true);
        Some(Place(self, connection.clone()))
    }

    fn locked(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut sending = self.0.locked();
        if let Some(at) = sending.to.iter().position(|to| *to == self.1.origin) {
            sending.to.swap_remove(at);
        }
        self.1.has_place(false);
    }
}

/// The archive that is asked for.
fn archive_of(name: &[u8]) -> Option<(Archive, &'static str, &'static str)> {
    match name {
        b"tar" => Some((Archive::Tar, "tar", "application/x-tar")),
        b"tar.zst" => Some((Archive::TarZst, "tar.zst", "application/zstd")),
        b"zip" => Some((Archive::Zip, "zip", "application/zip")),
        _ => None,
    }
}

/// Sends a directory as an archive of this sort. What cannot be read breaks the connection, so that nobody takes a part for all.
pub fn send(library: &Library, target: &Target, sort: &[u8], reply: Reply) -> Result<()> {
    let Some((archive, ending, media)) = archive_of(sort) else {
        reply.text(StatusCode::BAD_REQUEST, "archives are tar, tar.zst and zip");
        return Ok(());
    };
    let Some((top, path)) = target.top().filter(|_| target.is_dir()) else {
        reply.text(
            StatusCode::NOT_FOUND,
            "only a directory of a snapshot is sent as an archive",
        );
        return Ok(());
    };
    let dump = Dump::below(library.view.repo(), &top, &path)?;
    let dump = dump.sharing(library.archives.cache.clone());
    let Some(_place) = library.archives.place(&reply.connection) else {
        let builder = Response::builder()
            .status(StatusCode::SERVICE_UNAVAILABLE)
            .header(header::RETRY_AFTER, RETRY_AFTER)
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        reply.whole(builder, "other archives are being sent: try again later\n");
        return Ok(());
    };
    let mut name = target.name().to_vec();
    name.push(b'.');
    name.extend_from_slice(ending.as_bytes());
    let builder = Response::builder()
        .header(header::CONTENT_TYPE, media)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_DISPOSITION, disposition(&name));
    let Some(mut stream) = reply.stream(builder) else {
        return Ok(());
    };
    let progress = Looking::new(&library.terminal, "serve");
    let written = dump.write(
        library.view.repo(),
        archive,
        &mut stream,
        &progress,
        library.interrupt,
    );
    match written {
        Ok(_) => {
            let _ = stream.finish();
            Ok(())
        }
        // The reader went away.
        Err(_) if stream.is_broken() => Ok(()),
        Err(error) => Err(error),
    }
}
