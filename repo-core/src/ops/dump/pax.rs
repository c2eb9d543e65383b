//! The header of one entry of a tar archive (POSIX.1-2001, pax): an old header of 512 bytes, and before it records of what that
//! cannot hold.

use super::{acl, name_of};
use crate::format::tree::{Content, FileContent, Node};
use crate::time::Timestamp;
use crate::vfs::Entry;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tar::{EntryType, Header};

/// Bytes of a block, of which an archive is made.
pub const BLOCK: usize = 512;

/// Bytes that a name, and a link's target, have in an old header.
const NAME_MAX: usize = 100;

/// Bytes that an owner's name has there, its end not counted.
const OWNER_MAX: usize = 31;

/// The largest numbers there: octal digits in 8 and 12 bytes, the last a space or nothing.
const SMALL_MAX: u64 = 0o7_777_777;
const LARGE_MAX: u64 = 0o77_777_777_777;

/// Where an old header has what the `tar` crate sets only where it approves of it.
const NAME_AT: usize = 0;
const LINK_AT: usize = 157;

/// A header, and what data follows it.
pub struct Head {
    /// Whole blocks.
    pub blocks: Vec<u8>,
    /// Bytes of content that follow, before they are padded to whole blocks.
    pub data_len: u64,
    /// What stands before the data of a file with holes, in whole blocks: where they lie.
    pub map: Vec<u8>,
}

/// Records of one entry.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
}

impl Records {
    /// Adds `len key=value\n`, where `len` is that of all of it.
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut len = rest + 1;
        while len != rest + len.to_string().len() {
            len = rest + len.to_string().len();
        }
        self.bytes.extend_from_slice(len.to_string().as_bytes());
        for part in [b" ", key, b"=", value, b"\n"] {
            self.bytes.extend_from_slice(part);
        }
    }

    /// Adds a time if an old header does not hold it exactly.
    fn time(&mut self, key: &str, time: Timestamp, always: bool) {
        let fits = time.nanos == 0 && u64::try_from(time.seconds).is_ok_and(|s| s <= LARGE_MAX);
        if always || !fits {
            self.add(key.as_bytes(), decimal(time).as_bytes());
        }
    }
}

/// A time as seconds with a fraction; before 1970 the fraction counts downwards.
fn decimal(time: Timestamp) -> String {
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, nanos) = (nanos.abs() / 1_000_000_000, nanos.abs() % 1_000_000_000);
    let text = match nanos {
        0 => return format!("{sign}{seconds}"),
        _ => format!("{sign}{seconds}.{nanos:09}"),
    };
    text.trim_end_matches('0').to_owned()
}

/// The header of an entry; `None` of what no tar can hold.
pub fn head(entry: &Entry) -> Option<Head> {
    let node = &entry.node;
    let mut records = Records::default();
    let mut header = Header::new_ustar();
    let mut name = name_of(&entry.path).into_os_string().into_encoded_bytes();
    let mut target = Vec::new();
    let (mut data_len, mut map) = (0, Vec::new());
    let kind = match (&entry.first, &node.content) {
        (Some(first), _) => {
            target = name_of(first).into_os_string().into_encoded_bytes();
            EntryType::Link
        }
        (None, Content::File(file)) => {
            (data_len, map) = extent(&mut records, file, &mut name);
            EntryType::Regular
        }
        (None, Content::Dir(_)) => {
            name.push(b'/');
            EntryType::Directory
        }
        (None, Content::Symlink(to)) => {
            target.clone_from(to);
            EntryType::Symlink
        }
        (None, Content::Fifo) => EntryType::Fifo,
        (None, Content::BlockDevice(number)) => device(&mut header, *number, EntryType::Block)?,
        (None, Content::CharDevice(number)) => device(&mut header, *number, EntryType::Char)?,
        (None, Content::Socket) => return None,
    };
    header.set_entry_type(kind);
    put(&mut header, NAME_AT, &name, "path", &mut records);
    put(&mut header, LINK_AT, &target, "linkpath", &mut records);
    attributes(entry, &mut header, &mut records);
    let total = map.len() as u64 + data_len;
    header.set_size(total.min(LARGE_MAX));
    if total > LARGE_MAX {
        records.add(b"size", total.to_string().as_bytes());
    }
    header.set_cksum();
    let mut blocks = records.blocks(&entry.path);
    blocks.extend_from_slice(header.as_bytes());
    Some(Head {
        blocks,
        data_len,
        map,
    })
}

/// Owner, mode, times and extended attributes.
fn attributes(entry: &Entry, header: &mut Header, records: &mut Records) {
    let node = &entry.node;
    header.set_mode(u32::from(node.mode));
    header.set_uid(u64::from(node.uid).min(SMALL_MAX));
    header.set_gid(u64::from(node.gid).min(SMALL_MAX));
    for (key, number) in [("uid", node.uid), ("gid", node.gid)] {
        if u64::from(number) > SMALL_MAX {
            records.add(key.as_bytes(), number.to_string().as_bytes());
        }
    }
    let (user, group) = (entry.user.as_deref(), entry.group.as_deref());
    for (key, name) in [("uname", user), ("gname", group)] {
        let Some(name) = name else { continue };
        if name.len() > OWNER_MAX {
            records.add(key.as_bytes(), name.as_bytes());
            continue;
        }
        // What is not too long is taken.
        let _ = match key {
            "uname" => header.set_username(name),
            _ => header.set_groupname(name),
        };
    }
    let seconds = u64::try_from(node.mtime.seconds).unwrap_or(0);
    header.set_mtime(seconds.min(LARGE_MAX));
    records.time("mtime", node.mtime, false);
    if let Some(atime) = node.atime {
        records.time("atime", atime, true);
    }
    records.time("ctime", node.ctime, true);
    if entry.first.is_none() {
        xattrs(node, records);
    }
}

/// Extended attributes as star, GNU tar and libarchive write them; access control lists as text.
fn xattrs(node: &Node, records: &mut Records) {
    for (name, value) in &node.xattrs {
        let list = match &name[..] {
            b"system.posix_acl_access" => Some("SCHILY.acl.access"),
            b"system.posix_acl_default" => Some("SCHILY.acl.default"),
            _ => None,
        };
        match list.and_then(|key| Some((key, acl::to_text(value)?))) {
            Some((key, text)) => records.add(key.as_bytes(), text.as_bytes()),
            None => {
                let mut key = b"SCHILY.xattr.".to_vec();
                for byte in name {
                    match byte {
                        // As GNU tar, as `=` ends a key.
                        b'=' => key.extend_from_slice(b"%3D"),
                        b'%' => key.extend_from_slice(b"%25"),
                        byte => key.push(*byte),
                    }
                }
                records.add(&key, value);
            }
        }
    }
}

/// What follows of a file; if it has holes, in the form of GNU tar (sparse 1.0): where its data lies, and that without them.
fn extent(records: &mut Records, file: &FileContent, name: &mut Vec<u8>) -> (u64, Vec<u8>) {
    let Some(extents) = &file.extents else {
        return (file.size, Vec::new());
    };
    let mut extents: Vec<(u64, u64)> = extents
        .iter()
        .filter(|(_, len)| *len > 0)
        .copied()
        .collect();
    let data_len = extents.iter().map(|(_, len)| len).sum();
    if extents
        .last()
        .is_none_or(|(offset, len)| offset + len < file.size)
    {
        extents.push((file.size, 0));
    }
    let mut map = format!("{}\n", extents.len()).into_bytes();
    for (offset, len) in extents {
        map.extend_from_slice(format!("{offset}\n{len}\n").as_bytes());
    }
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    records.add(b"GNU.sparse.major", b"1");
    records.add(b"GNU.sparse.minor", b"0");
    records.add(b"GNU.sparse.name", name);
    records.add(b"GNU.sparse.realsize", file.size.to_string().as_bytes());
    // Who does not know the form must not take it for the file.
    let last = name
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    name.splice(last..last, b"GNUSparseFile.0/".iter().copied());
    (data_len, map)
}

/// The number of a device, as Linux takes it apart (`makedev(3)`); `None` of one that no header holds.
fn device(header: &mut Header, number: u64, kind: EntryType) -> Option<EntryType> {
    let major = (number >> 8 & 0xfff) | (number >> 32 & !0xfff);
    let minor = (number & 0xff) | (number >> 12 & !0xff);
    let small = |number: u64| {
        u32::try_from(number)
            .ok()
            .filter(|n| u64::from(*n) <= SMALL_MAX)
    };
    header.set_device_major(small(major)?).ok()?;
    header.set_device_minor(small(minor & 0xffff_ffff)?).ok()?;
    Some(kind)
}

/// Puts a name where the old header has it, as far as there is room, and else into a record too.
fn put(header: &mut Header, at: usize, name: &[u8], key: &str, records: &mut Records) {
    let room = name.len().min(NAME_MAX);
    header.as_mut_bytes()[at..at + room].copy_from_slice(&name[..room]);
    // A record is UTF-8 by definition; what is not goes into one only where there is no other room. GNU tar takes the bytes as they
    // are, and complains of the record (`hdrcharset`) that would say so.
    if name.len() > NAME_MAX || str::from_utf8(name).is_ok() && !name.is_ascii() {
        records.add(key.as_bytes(), name);
    }
}

impl Records {
    /// A header of their own before them, all in whole blocks; nothing if there are none.
    fn blocks(mut self, path: &Path) -> Vec<u8> {
        if self.bytes.is_empty() {
            return Vec::new();
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        let own = path.file_name().map_or(&b"-"[..], |name| name.as_bytes());
        let name = [b"PaxHeaders.0/", own].concat();
        let room = name.len().min(NAME_MAX);
        header.as_mut_bytes()[..room].copy_from_slice(&name[..room]);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(self.bytes.len() as u64);
        header.set_cksum();
        let mut blocks = header.as_bytes().to_vec();
        blocks.append(&mut self.bytes);
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_their_own_length() {
        let record = |key: &str, value: &[u8]| {
            let mut records = Records::default();
            records.add(key.as_bytes(), value);
            records.bytes
        };
        assert_eq!(record("a", b"b"), b"6 a=b\n");
        for len in [1, 2, 3, 85, 90, 93, 94, 95, 96, 990, 991, 992, 993, 9_990] {
            let bytes = record("k", &vec![b'x'; len]);
            let text = String::from_utf8(bytes.clone()).unwrap();
            let said: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, bytes.len(), "{len}");
        }
    }

    #[test]
    fn times_have_the_fraction_that_they_need() {
        let text = |seconds, nanos| decimal(Timestamp::new(seconds, nanos));
        assert_eq!(text(5, 0), "5");
        assert_eq!(text(5, 120_000_000), "5.12");
        assert_eq!(text(5, 1), "5.000000001");
        assert_eq!(text(-2, 500_000_000), "-1.5");
        assert_eq!(text(-1, 0), "-1");
    }

    #[test]
    fn numbers_of_devices_are_taken_apart() {
        let numbers = |number| {
            let mut header = Header::new_ustar();
            device(&mut header, number, EntryType::Block)?;
            let (major, minor) = (header.device_major(), header.device_minor());
            Some((major.unwrap().unwrap(), minor.unwrap().unwrap()))
        };
        assert_eq!(numbers(0x0801), Some((8, 1)));
        assert_eq!(
            numbers(rustix::fs::makedev(259, 70_000)),
            Some((259, 70_000))
        );
        assert_eq!(numbers(rustix::fs::makedev(u32::MAX, 1)), None);
    }
}
