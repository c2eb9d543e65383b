//! Checkpoints: the folded state of a log, so that a client that was away reads little (`docs/format.md`, "Checkpoints").
//!
//! A checkpoint is a small root. What grows stands in sorted *state tables*, each a list of rows of one kind; rows are in
//! the order of the entries they come from, so that a new checkpoint shares nearly all of its tables with the one before.

use super::codec::{self, Ext, check_ext};
use super::entry::{EntryAt, Fenced, Member, Nonce};
use super::name::ObjectKind;
use super::settings::Settings;
use crate::backend::Class;
use crate::error::{Error, Result, Subject};
use crate::id::{EntryHash, SnapshotId, StateId, WriterId};
use crate::time::Timestamp;
use bincode::{Decode, Encode};
use std::sync::Arc;

/// Most bytes that a state table may have before it is sealed.
pub const STATE_BYTES_MAX: usize = 4 << 20;

/// Where a folded log ends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Tail {
    /// The highest number; 0 before the first entry.
    pub number: u64,
    /// What the next entry follows: on class A the one entry of that number, on class C all that no other follows.
    pub heads: Vec<EntryHash>,
}

/// A `Roles` entry, or on class C all of one number.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RolesAt {
    /// The number; it counts for entries of higher numbers.
    pub number: u64,
    /// The entries, sorted.
    pub hashes: Vec<EntryHash>,
    /// Who may write. Of concurrent entries the revoking wins: only what all of them say.
    pub members: Vec<Member>,
}

/// An index table in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct TableRow {
    /// The entry that brought it in, by number.
    pub added: u64,
    /// Whether anything but a `Publish` brought it in.
    pub committed: bool,
    /// Class C: false while only entries in doubt name it; its packs are nobody's source then. Always true in a checkpoint.
    pub sound: bool,
}

/// A committed snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SnapshotRow {
    /// The entry that committed it, by number.
    pub number: u64,
    /// When, by the writer's clock.
    pub time: Timestamp,
    /// Who committed it.
    pub writer: WriterId,
    /// What listings show of it, sealed; shared, for folds of one log are copied often and hold the same.
    pub summary: Arc<[u8]>,
}

/// Whether a snapshot is wanted: numbers of the newest `Forget` and `Unforget`; a tie keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct WantedRow {
    /// Forgotten by the entry of that number.
    pub forgot: u64,
    /// Wanted again by the entry of that number.
    pub kept: u64,
}

/// How long a snapshot is kept, as the newest `Terms` entry says. On class C, of entries of one number, that which keeps
/// it longer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Terms {
    /// The entry, by number; 0 if there is none.
    pub number: u64,
    /// Until then it must not be forgotten.
    pub protected_until: Option<Timestamp>,
    /// From then on it need not be kept; without it, never.
    pub expires: Option<Timestamp>,
}

impl Terms {
    /// As late as a time can be: protection without an end.
    pub const FOREVER: Timestamp = Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };

    /// Whether the snapshot must not be forgotten at that time.
    pub fn is_protected(&self, now: Timestamp) -> bool {
        self.protected_until.is_some_and(|until| now < until)
    }

    /// What holds of two entries: the newer, and of one number what keeps the snapshot longer.
    pub fn or_newer(self, other: Self) -> Self {
        let never = |expires: Option<Timestamp>| expires.unwrap_or(Self::FOREVER);
        match self.number.cmp(&other.number) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => Self {
                number: self.number,
                protected_until: self.protected_until.max(other.protected_until),
                expires: match never(self.expires) < never(other.expires) {
                    true => other.expires,
                    false => self.expires,
                },
            },
        }
    }
}

/// By which entry something was condemned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Condemned {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: EntryHash,
    /// Its time, by the writer's clock.
    pub time: Timestamp,
}

/// What the log says of a pack that is or was condemned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct PackRow {
    /// The newest entry that condemned it.
    pub condemned: Option<Condemned>,
    /// The number of the newest entry that took that back; it wins over a condemnation of the same number.
    pub reprieved: u64,
}

impl PackRow {
    /// The condemnation that stands.
    pub fn standing(&self) -> Option<&Condemned> {
        self.condemned
            .as_ref()
            .filter(|by| by.number > self.reprieved)
    }
}

/// An object that a `Deleting` or a removed key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Deleted {
    /// Its folder.
    pub kind: ObjectKind,
    /// The first entry that names it, by number.
    pub number: u64,
    /// Class C: false while only entries in doubt name it; it must not be removed yet. Always true in a checkpoint.
    pub sound: bool,
}

/// Class C: the processes that a deletion waits for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct WaitingRow {
    /// The `Condemn` entry.
    pub condemn: EntryHash,
    /// The processes that were at work when it was visible.
    pub nonces: Vec<Nonce>,
    /// The snapshots that were forgotten then.
    pub forgotten: Vec<SnapshotId>,
}

/// Class C: an entry that was folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct EntryRow {
    /// Its hash.
    pub hash: EntryHash,
    /// The process that wrote it.
    pub process: Option<Nonce>,
}

/// What the rows of a state table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum StateKind {
    /// `(IndexId, TableRow)`.
    Table,
    /// `(SnapshotId, SnapshotRow)`.
    Snapshot,
    /// `(SnapshotId, WantedRow)`.
    Wanted,
    /// `(PackId, PackRow)`.
    Pack,
    /// `(ObjectRef, Condemned)`: class C, other objects that are condemned.
    Object,
    /// `(id, Deleted)`.
    Deleted,
    /// `(EvidenceId, number)`.
    Evidence,
    /// `((number, Nonce), EntryRow)`: class C, the entries folded.
    Entry,
    /// `(SnapshotId, Terms)`. A checkpoint has this part only if there are any.
    Terms,
}

impl StateKind {
    /// All kinds, in the order of a checkpoint's parts.
    pub const ALL: [Self; 9] = [
        Self::Table,
        Self::Snapshot,
        Self::Wanted,
        Self::Pack,
        Self::Object,
        Self::Deleted,
        Self::Evidence,
        Self::Entry,
        Self::Terms,
    ];
}

/// A state table that a checkpoint names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct StateTable {
    /// Its object.
    pub id: StateId,
    /// The BLAKE3 hash of its rows as encoded, so that the next checkpoint can name it again.
    pub content: [u8; 32],
}

/// All rows of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StatePart {
    /// What they are.
    pub kind: StateKind,
    /// How many.
    pub rows: u64,
    /// The tables that hold them, in order.
    pub tables: Vec<StateTable>,
    /// The last rows, encoded like a table, if they are few.
    pub inline: Vec<u8>,
}

/// The root of a folded state.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Checkpoint {
    /// Up to which entries it was folded.
    pub tail: Tail,
    /// The class of the place from there on.
    pub class: Class,
    /// The lists of members, oldest first.
    pub roles: Vec<RolesAt>,
    /// The settings and the entry that said them.
    pub settings: Option<(u64, EntryHash, Settings)>,
    /// Class C: tables that must not come into force again.
    pub dropped: Vec<crate::id::IndexId>,
    /// Class C: which deletions wait for whom, by `Waiting` entry.
    pub waiting: Vec<(EntryHash, WaitingRow)>,
    /// Class C: fenced processes, and what had been seen of them before.
    pub fences: Vec<Fenced>,
    /// Class C: fenced processes that a `Deleting` names, and what all such had seen.
    pub cut_off: Vec<Fenced>,
    /// Entries that count for nothing because an admin said so.
    pub voided: Vec<EntryAt>,
    /// What grows, one part for each [`StateKind`].
    pub parts: Vec<StatePart>,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

/// The number of the field that says how often another place was made the home; without it, never.
pub const GENERATION: u16 = 1;

impl Checkpoint {
    /// How often another place was made the home. `Damaged` if the field is not what it must be.
    pub fn generation(&self) -> Result<u64> {
        let field = self.ext.iter().find(|field| field.tag == GENERATION);
        field.map_or(Ok(0), |field| codec::decode(&field.bytes))
    }

    /// The fields of a state of that generation.
    pub fn ext_of(generation: u64) -> Vec<Ext> {
        let field = Ext {
            tag: GENERATION,
            bytes: codec::encode(&generation),
        };
        Some(field).filter(|_| generation > 0).into_iter().collect()
    }

    /// Refuses what must be understood and is not, and parts that are not those of this version.
    pub fn check(&self) -> Result<()> {
        check_ext(&self.ext)?;
        if let Some((_, _, settings)) = &self.settings {
            settings.check()?;
        }
        let kinds: Vec<StateKind> = self.parts.iter().map(|part| part.kind).collect();
        let without_terms = &StateKind::ALL[..StateKind::ALL.len() - 1];
        match kinds == StateKind::ALL || kinds == without_terms {
            true => Ok(()),
            false => Err(Error::damaged(Subject::None).detail("a checkpoint with other parts")),
        }
    }
}
