//! A directory as an archive.

use super::Library;
use super::file::disposition;
use super::reply::Reply;
use super::target::Target;
use crate::looking::Looking;
use hyper::{Response, StatusCode, header};
use repo_core::Result;
use repo_core::ops::{Archive, Dump};

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
    let Ok(_permit) = library.archives.try_acquire() else {
        reply.text(
            StatusCode::SERVICE_UNAVAILABLE,
            "other archives are being sent: try again later",
        );
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
