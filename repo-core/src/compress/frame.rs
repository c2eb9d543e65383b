//! The header of a zstd frame (RFC 8878, section 3.1.1.1), as strict as we write it.

use super::damaged;
use crate::error::Result;
use zstd::zstd_safe::find_frame_compressed_size;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Windows above 128 MiB are refused, as the `zstd` program does without `--long`.
const WINDOW_LOG_MAX: u32 = 27;

/// Damaged unless `stored` is exactly one frame that says it expands to `raw_len` bytes.
///
/// Reads the header and the headers of the blocks inside, no content; takes no memory.
pub(super) fn check(stored: &[u8], raw_len: usize) -> Result<()> {
    let rest = stored
        .strip_prefix(&MAGIC)
        .ok_or_else(|| damaged("no zstd frame"))?;
    let (descriptor, rest) = rest
        .split_first()
        .ok_or_else(|| damaged("a zstd frame is cut off"))?;
    // Bits 0 and 1: dictionary id; 2: checksum; 3 and 4: reserved.
    if descriptor & 0b0001_1111 != 0 {
        return Err(damaged("a zstd frame of another form"));
    }
    let single_segment = descriptor & 0b0010_0000 != 0;
    let rest = match single_segment {
        true => rest,
        false => check_window(rest)?,
    };
    if content_size(descriptor >> 6, single_segment, rest) != u64::try_from(raw_len).ok() {
        return Err(damaged("a zstd frame of another length"));
    }
    match find_frame_compressed_size(stored) == Ok(stored.len()) {
        true => Ok(()),
        false => Err(damaged("a zstd frame is cut off, or something follows it")),
    }
}

/// The header behind its window descriptor, which must name a window that we can hold.
fn check_window(header: &[u8]) -> Result<&[u8]> {
    let (window, rest) = header
        .split_first()
        .ok_or_else(|| damaged("a zstd frame is cut off"))?;
    let base = 1u64 << (10 + u32::from(window >> 3));
    match base + base / 8 * u64::from(window & 7) <= 1 << WINDOW_LOG_MAX {
        true => Ok(rest),
        false => Err(damaged("a zstd frame with too large a window")),
    }
}

/// The length that a header claims for its content, if it does.
fn content_size(flag: u8, single_segment: bool, field: &[u8]) -> Option<u64> {
    Some(match flag {
        0 if single_segment => u64::from(*field.first()?),
        0 => return None,
        1 => u64::from(u16::from_le_bytes(*field.first_chunk()?)) + 256,
        2 => u64::from(u32::from_le_bytes(*field.first_chunk()?)),
        _ => u64::from_le_bytes(*field.first_chunk()?),
    })
}
