//! A directory as a zip archive (PKWARE's APPNOTE.TXT 6.3.10), written without going back, so that a pipe takes it.

use super::{Told, name_of, unwritten};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, Node};
use crate::vfs::{Contents, Entry};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::extra_fields::ExtraFieldId;
use rawzip::path::EntryPath;
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, Header, ZipArchiveWriter};
use std::io::Write;

/// Types of files above the bits of the mode.
const FILE: u32 = 0o100_000;
const DIR: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;

/// Info-ZIP's field of times, and of owners by number.
const TIMES: u16 = 0x5455;
const OWNERS: u16 = 0x7875;

/// The first and the last second that the time of an entry may have without the field: those of MS-DOS.
const DOS_FIRST: i64 = 315_532_800;
const DOS_LAST: i64 = 4_354_819_198;

/// Writes an archive, and its directory only if all of it could be read: without that nobody takes it for one.
pub fn write(contents: &mut Contents, out: &mut dyn Write, told: &mut Told<'_>) -> Result<()> {
    let mut archive = ZipArchiveWriter::new(out);
    while let Some(entry) = contents.next_entry()? {
        match &entry.node.content {
            Content::File(_) => file(contents, &mut archive, &entry)?,
            Content::Symlink(target) => symlink(&mut archive, &entry, target)?,
            Content::Dir(_) => dir(&mut archive, &entry)?,
            _ => {
                told.left_out(
                    &entry.path,
                    "a zip archive holds no pipes, sockets and devices",
                );
                continue;
            }
        }
        told.written(&entry);
    }
    archive
        .finish()
        .and_then(|out| Ok(out.flush()?))
        .map_err(failed)
}

type Archive<'w> = ZipArchiveWriter<&'w mut dyn Write>;

fn file(contents: &mut Contents, archive: &mut Archive<'_>, entry: &Entry) -> Result<()> {
    let Content::File(content) = &entry.node.content else {
        return Ok(());
    };
    let method = match content.size {
        0 => CompressionMethod::STORE,
        _ => CompressionMethod::DEFLATE,
    };
    let name = name(entry, false);
    let file = archive.new_file(path(&name)).compression_method(method);
    let file = file.last_modified(modified(&entry.node));
    let file = file.unix_permissions(FILE | u32::from(entry.node.mode));
    let file = file.extra_field(ExtraFieldId::new(TIMES), &times(&entry.node), Header::LOCAL);
    let owners = owners(&entry.node);
    let file = file
        .and_then(|file| file.extra_field(ExtraFieldId::new(OWNERS), &owners, Header::default()));
    let (mut file, config) = file.and_then(|file| file.start()).map_err(failed)?;
    if content.size == 0 {
        let (_, sums) = config.wrap(&mut file).finish().map_err(failed)?;
        return file.finish(sums).map(drop).map_err(failed);
    }
    let mut data = config.wrap(DeflateEncoder::new(&mut file, Compression::default()));
    contents.whole(content, &mut |bytes| {
        data.write_all(bytes).map_err(unwritten)
    })?;
    let (encoder, sums) = data.finish().map_err(failed)?;
    encoder.finish().map_err(unwritten)?;
    file.finish(sums).map(drop).map_err(failed)
}

fn symlink(archive: &mut Archive<'_>, entry: &Entry, target: &[u8]) -> Result<()> {
    let name = name(entry, false);
    let link = archive
        .new_file(path(&name))
        .last_modified(modified(&entry.node));
    let link = link.unix_permissions(SYMLINK | 0o777);
    let link = link.extra_field(ExtraFieldId::new(TIMES), &times(&entry.node), Header::LOCAL);
    let (mut link, config) = link.and_then(|link| link.start()).map_err(failed)?;
    let mut data = config.wrap(&mut link);
    data.write_all(target).map_err(unwritten)?;
    let (_, sums) = data.finish().map_err(failed)?;
    link.finish(sums).map(drop).map_err(failed)
}

fn dir(archive: &mut Archive<'_>, entry: &Entry) -> Result<()> {
    let name = name(entry, true);
    let dir = archive
        .new_dir(path(&name))
        .last_modified(modified(&entry.node));
    let dir = dir.unix_permissions(DIR | u32::from(entry.node.mode));
    let dir = dir.extra_field(ExtraFieldId::new(TIMES), &times(&entry.node), Header::LOCAL);
    let owners = owners(&entry.node);
    let dir =
        dir.and_then(|dir| dir.extra_field(ExtraFieldId::new(OWNERS), &owners, Header::default()));
    dir.and_then(|dir| dir.create()).map(drop).map_err(failed)
}

/// The name in the archive.
fn name(entry: &Entry, is_dir: bool) -> Vec<u8> {
    let mut name = name_of(&entry.path).into_os_string().into_encoded_bytes();
    if is_dir {
        name.push(b'/');
    }
    name
}

/// A name that says that it is UTF-8 if it is. Text goes through a form that changes none of ours: they are clean.
fn path(name: &[u8]) -> EntryPath<'_> {
    match str::from_utf8(name) {
        Ok(text) if !text.is_ascii() && !text.contains('\\') => EntryPath::conformant(text),
        _ => EntryPath::verbatim(name),
    }
}

/// The time to the second, within the years that an entry can have.
fn modified(node: &Node) -> UtcDateTime {
    UtcDateTime::from_unix(node.mtime.seconds.clamp(DOS_FIRST, DOS_LAST))
}

/// When it changed, in Info-ZIP's form, which knows the time zone where that of MS-DOS does not; of other centuries the nearest.
fn times(node: &Node) -> [u8; 5] {
    let seconds = node.mtime.seconds.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    let [a, b, c, d] = seconds.to_le_bytes();
    [1, a, b, c, d]
}

/// Owner and group, in Info-ZIP's form: a version, then each with its length.
fn owners(node: &Node) -> Vec<u8> {
    let (uid, gid) = (node.uid.to_le_bytes(), node.gid.to_le_bytes());
    [&[1, 4][..], &uid, &[4], &gid].concat()
}

/// An error of the crate; what it could not write stands underneath.
fn failed(error: rawzip::Error) -> Error {
    match error.kind() {
        rawzip::ErrorKind::IO(cause) => match cause.raw_os_error() {
            Some(code) => unwritten(std::io::Error::from_raw_os_error(code)),
            None => unwritten(cause.kind().into()),
        },
        _ => Error::new(ErrorKind::Unsupported, Subject::None)
            .detail("an entry that no zip archive can hold")
            .because(error),
    }
}
