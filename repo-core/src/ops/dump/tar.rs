//! A directory as a tar archive.

use super::pax::{BLOCK, head};
use super::{Told, unwritten};
use crate::error::{Result, Subject};
use crate::format::tree::Content;
use crate::tree::does_not_add_up;
use crate::vfs::{Contents, Entry};
use std::io::Write;

/// How hard zstd tries.
const LEVEL: i32 = 3;

/// The end of an archive.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// What stands in the block after which nothing comes because of an error.
const NO_END: &[u8] = b"This archive is not whole: reading what belongs here failed.\n";

/// Writes an archive, and its end only if all of it could be read.
pub fn write(contents: &mut Contents, out: &mut dyn Write, told: &mut Told<'_>) -> Result<()> {
    let mut left = 0;
    if let Err(error) = entries(contents, out, told, &mut left) {
        // Where an entry ends tar takes what is missing for the end; of this it complains. Within one it misses what it was promised.
        let mut block = [b'\n'; BLOCK];
        block[..NO_END.len()].copy_from_slice(NO_END);
        let ended = match left {
            0 => out.write_all(&block),
            _ => Ok(()),
        };
        // What cannot be written is no news after that.
        let _ = ended.and_then(|()| out.flush());
        return Err(error);
    }
    out.write_all(&END)
        .and_then(|()| out.flush())
        .map_err(unwritten)
}

/// The same in one zstd frame with a checksum. After an error it has no end.
pub fn write_compressed(
    contents: &mut Contents,
    out: &mut dyn Write,
    told: &mut Told<'_>,
) -> Result<()> {
    let mut frame = zstd::stream::write::Encoder::new(&mut *out, LEVEL).map_err(unwritten)?;
    frame.include_checksum(true).map_err(unwritten)?;
    write(contents, &mut frame, told)?;
    frame.finish().and_then(Write::flush).map_err(unwritten)
}

/// Writes entry by entry; `left` says how much of the one at hand was promised and is not written.
fn entries(
    contents: &mut Contents,
    out: &mut dyn Write,
    told: &mut Told<'_>,
    left: &mut u64,
) -> Result<()> {
    while let Some(entry) = contents.next_entry()? {
        let Some(head) = head(&entry) else {
            let what = "a tar archive holds no sockets and no devices of such a number";
            told.left_out(&entry.path, what);
            continue;
        };
        *left = head.data_len.next_multiple_of(BLOCK as u64);
        out.write_all(&head.blocks).map_err(unwritten)?;
        out.write_all(&head.map).map_err(unwritten)?;
        if let (Content::File(_), None) = (&entry.node.content, &entry.first) {
            content(contents, &entry, head.data_len, (out, left))?;
        }
        told.written(&entry);
    }
    Ok(())
}

/// Writes the data of a file, padded to whole blocks.
fn content(
    contents: &mut Contents,
    entry: &Entry,
    len: u64,
    (out, left): (&mut dyn Write, &mut u64),
) -> Result<()> {
    let mut written = 0;
    contents.data(&mut |bytes| {
        written += bytes.len() as u64;
        *left = left.saturating_sub(bytes.len() as u64);
        out.write_all(bytes).map_err(unwritten)
    })?;
    if written != len {
        return Err(does_not_add_up().about(Subject::Path(entry.path.clone())));
    }
    out.write_all(&END[..*left as usize]).map_err(unwritten)?;
    *left = 0;
    Ok(())
}
