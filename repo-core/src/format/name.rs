//! Where each kind of object lies in a repository (`docs/format.md`, "Names").

use crate::id::{stored_by_number, to_hex};

/// The one object that is there in every repository.
pub const CONFIG: &str = "config";

/// How many log entries share a folder.
pub const SEGMENT_ENTRIES: u64 = 4096;

/// The folders of objects whose name is the hash of their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// `data/`: packs of data blobs.
    Data = 1,
    /// `meta/`: packs of tree blobs.
    Meta = 2,
    /// `index/`: index tables.
    Index = 3,
    /// `snapshots/`: snapshots.
    Snapshot = 4,
    /// `state/`: tables of a checkpoint.
    State = 5,
    /// `evidence/`: results of checks and drills.
    Evidence = 6,
    /// `keys/`: key slots.
    Key = 7,
}

stored_by_number!(ObjectKind, ObjectKind::ALL);

impl ObjectKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Data,
        Self::Meta,
        Self::Index,
        Self::Snapshot,
        Self::State,
        Self::Evidence,
        Self::Key,
    ];

    /// The folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Meta => "meta",
            Self::Index => "index",
            Self::Snapshot => "snapshots",
            Self::State => "state",
            Self::Evidence => "evidence",
            Self::Key => "keys",
        }
    }

    /// The name of the object with that id.
    pub fn name(self, id: &[u8; 32]) -> String {
        let hex = to_hex(id);
        match self {
            Self::Data | Self::Meta => format!("{}/{}/{hex}", self.folder(), &hex[..2]),
            _ => format!("{}/{hex}", self.folder()),
        }
    }

    /// What kind of object a name stands for, and its id; `None` for any other name.
    pub fn parse(name: &str) -> Option<(Self, [u8; 32])> {
        let (folder, _) = name.split_once('/')?;
        let kind = Self::ALL.into_iter().find(|kind| kind.folder() == folder)?;
        let last = name.rsplit('/').next()?;
        let id: [u8; 32] = crate::id::from_hex(last)?.try_into().ok()?;
        (kind.name(&id) == name).then_some((kind, id))
    }
}

/// The name of a log entry of class A.
pub fn entry(number: u64) -> String {
    format!("{}/{number}", segment_folder(number))
}

/// The name of a log entry of class C.
pub fn entry_of(number: u64, nonce: &[u8; 16]) -> String {
    format!("{}/{number}-{}", segment_folder(number), to_hex(nonce))
}

/// The object that says that a log segment takes entries.
pub fn segment_open(number: u64) -> String {
    format!("{}/open", segment_folder(number))
}

/// What that object holds.
pub const SEGMENT_OPEN: &[u8] = b"open\n";

/// Says of a place that it is a replica, so that it is no damage if no segment of its log takes entries.
pub const REPLICA: &str = "log/replica";

/// What that object holds.
pub const REPLICA_MARK: &[u8] = b"replica\n";

/// Reads the number of a segment from the name of such an object.
pub fn parse_segment_open(name: &str) -> Option<u64> {
    let segment: u64 = name
        .strip_prefix("log/")?
        .strip_suffix("/open")?
        .parse()
        .ok()?;
    (segment_open(segment.checked_mul(SEGMENT_ENTRIES)?) == name).then_some(segment)
}

/// The folder of the log segment that a number belongs to.
pub fn segment_folder(number: u64) -> String {
    format!("log/{}", number / SEGMENT_ENTRIES)
}

/// The folder of checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";

/// The name of a checkpoint of class A.
pub fn checkpoint(number: u64) -> String {
    format!("{CHECKPOINTS}/{number}")
}

/// The name of a checkpoint of class C.
pub fn checkpoint_of(number: u64, nonce: &[u8; 16]) -> String {
    format!("{CHECKPOINTS}/{number}-{}", to_hex(nonce))
}

/// A full log segment stored whole.
pub fn segment(segment: u64) -> String {
    format!("segments/{segment}")
}

/// The announcement of a process on class C.
pub fn announcement(nonce: &[u8; 16]) -> String {
    format!("writers/{}", to_hex(nonce))
}

/// Reads the number, and on class C the nonce, from the last part of an entry's or checkpoint's name.
pub fn parse_numbered(name: &str) -> Option<(u64, Option<[u8; 16]>)> {
    let last = name.rsplit('/').next()?;
    let (number, nonce) = match last.split_once('-') {
        Some((number, nonce)) => (number, Some(parse_nonce(nonce)?)),
        None => (last, None),
    };
    let value: u64 = number.parse().ok()?;
    (value.to_string() == number).then_some((value, nonce))
}

/// The number, and on class C the nonce, of the entry that lies under this name: each has one, and numbers begin with 1.
pub fn parse_entry(name: &str) -> Option<(u64, Option<[u8; 16]>)> {
    let (number, nonce) = parse_numbered(name).filter(|(number, _)| *number > 0)?;
    let canonical = match &nonce {
        None => entry(number),
        Some(nonce) => entry_of(number, nonce),
    };
    (canonical == name).then_some((number, nonce))
}

/// The process that the name of an announcement names.
pub fn parse_announcement(name: &str) -> Option<[u8; 16]> {
    name.strip_prefix("writers/").and_then(parse_nonce)
}

/// A nonce in the one form that it has in names.
fn parse_nonce(text: &str) -> Option<[u8; 16]> {
    let nonce: [u8; 16] = crate::id::from_hex(text)?.try_into().ok()?;
    (to_hex(&nonce) == text).then_some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_documented() {
        assert_eq!(entry(1), "log/0/1");
        assert_eq!(entry(4096), "log/1/4096");
        assert_eq!(segment_open(4095), "log/0/open");
        assert_eq!(
            entry_of(2, &[0xab; 16]),
            format!("log/0/2-{}", "ab".repeat(16))
        );
        let data = ObjectKind::Data.name(&[0x3f; 32]);
        assert_eq!(data, format!("data/3f/{}", "3f".repeat(32)));
        assert_eq!(
            ObjectKind::parse(&data),
            Some((ObjectKind::Data, [0x3f; 32]))
        );
        assert_eq!(ObjectKind::parse("data/3e/3f"), None);
        assert_eq!(parse_numbered("log/1/4096"), Some((4096, None)));
        assert_eq!(parse_numbered("log/1/04096"), None);
        assert_eq!(
            parse_numbered(&entry_of(7, &[1; 16])),
            Some((7, Some([1; 16])))
        );
        assert_eq!(parse_numbered("log/0/open"), None);
        assert_eq!(parse_entry("log/1/4096"), Some((4096, None)));
        assert_eq!(parse_entry("log/0/4096"), None);
        assert_eq!(parse_entry("log/0/0"), None);
        assert_eq!(parse_entry(&checkpoint(16)), None);
        assert_eq!(parse_segment_open(&segment_open(4096)), Some(1));
        assert_eq!(parse_segment_open("log/01/open"), None);
        let upper = entry_of(7, &[0xab; 16]).to_uppercase();
        assert_eq!(parse_numbered(&upper), None, "one entry has one name");
    }
}
