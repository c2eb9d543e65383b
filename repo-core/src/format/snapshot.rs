//! Snapshots and their summaries (`docs/format.md`, "Snapshots").

use super::codec::{self, Ext};
use crate::id::{BlobId, Domain, RepositoryId, SnapshotId, WriterId, stored_by_number};
use crate::time::Timestamp;
use bincode::{Decode, Encode};

/// One backup: its root tree and what is known of how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Snapshot {
    /// What listings show.
    pub summary: Summary,
    /// The domain of its blobs.
    pub domain: Domain,
    /// Who wrote it, and the how-manieth of that writer it is.
    pub writer: WriterId,
    /// Counts the writer's snapshots.
    pub sequence: u64,
    /// Where its data came from.
    pub sources: Vec<Source>,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

/// What listings show of a snapshot; it stands in `Commit` entries and checkpoints, sealed to meta.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Summary {
    /// The root tree.
    pub root: BlobId,
    /// The snapshot that was compared with.
    pub parent: Option<SnapshotId>,
    /// When, by the client's clock or as the user said.
    pub time: Timestamp,
    /// The client's distance from UTC at that time, in minutes, for showing it.
    pub utc_offset_min: i16,
    /// The host.
    pub host: String,
    /// The user.
    pub user: String,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The paths that were backed up, absolute, sorted.
    pub paths: Vec<Vec<u8>>,
    /// Tags.
    pub tags: Vec<String>,
    /// A name for the series of backups it belongs to.
    pub label: String,
    /// Free text.
    pub description: String,
    /// The program that wrote it.
    pub program: String,
    /// Numbers.
    pub totals: Totals,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

/// The number of the field that says which snapshot one was made from.
pub const ORIGINAL: u16 = 1;

/// The number of the field that says which snapshot of another repository one is a copy of.
pub const COPIED: u16 = 2;

/// The number of the field that says which snapshot the parent was made from.
pub const PARENT_ORIGINAL: u16 = 3;

/// What a snapshot is a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Copied {
    /// The other repository.
    pub repository: RepositoryId,
    /// The snapshot there.
    pub snapshot: SnapshotId,
    /// Its root tree there, as long as the tree here holds what that one does.
    pub root: Option<BlobId>,
}

impl Summary {
    /// The snapshot that this one was made from by changing tags, files or the like, if a field says so: the first one, however often it
    /// was changed. A field that makes no sense says nothing.
    pub fn original(&self) -> Option<SnapshotId> {
        self.snapshot_in(ORIGINAL)
    }

    /// Says which snapshot this one was made from.
    pub fn set_original(&mut self, id: &SnapshotId) {
        self.set_field(ORIGINAL, id.0.to_vec());
    }

    /// The first form of the parent, however often that was changed before this snapshot was made: what the parent became, and whether the
    /// log still knows it, does not matter.
    pub fn parent_form(&self) -> Option<SnapshotId> {
        self.snapshot_in(PARENT_ORIGINAL).or(self.parent)
    }

    /// Says which snapshot the parent was made from.
    pub fn set_parent_original(&mut self, id: &SnapshotId) {
        self.set_field(PARENT_ORIGINAL, id.0.to_vec());
    }

    fn snapshot_in(&self, tag: u16) -> Option<SnapshotId> {
        let field = self.ext.iter().find(|field| field.tag == tag)?;
        Some(SnapshotId(field.bytes.as_slice().try_into().ok()?))
    }

    fn set_field(&mut self, tag: u16, bytes: Vec<u8>) {
        self.ext.retain(|field| field.tag != tag);
        self.ext.push(Ext { tag, bytes });
    }

    /// What this snapshot is a copy of, if a field says so. A field that makes no sense says nothing.
    pub fn copied(&self) -> Option<Copied> {
        let field = self.ext.iter().find(|field| field.tag == COPIED)?;
        codec::decode(&field.bytes).ok()
    }

    /// Says what this snapshot is a copy of.
    pub fn set_copied(&mut self, copied: &Copied) {
        self.set_field(COPIED, codec::encode(copied));
    }

    /// Gives the snapshot another tree: what it was copied from holds something else then.
    pub fn set_root(&mut self, root: BlobId) {
        if self.root != root
            && let Some(copied) = self.copied()
        {
            self.set_copied(&Copied {
                root: None,
                ..copied
            });
        }
        self.root = root;
    }
}

/// Numbers of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Totals {
    /// Regular files, and what else is not a directory.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Plaintext bytes of all files.
    pub bytes: u64,
    /// Files that the parent did not have.
    pub files_new: u64,
    /// Files that differ from the parent's.
    pub files_changed: u64,
    /// Files that are as in the parent.
    pub files_unmodified: u64,
    /// Directories that the parent did not have.
    pub dirs_new: u64,
    /// Directories that differ from the parent's.
    pub dirs_changed: u64,
    /// Directories that are as in the parent.
    pub dirs_unmodified: u64,
    /// Blobs of file data that were new.
    pub data_blobs: u64,
    /// Blobs of trees that were new.
    pub tree_blobs: u64,
    /// Plaintext bytes that were new.
    pub bytes_added: u64,
    /// Bytes that they took in packs.
    pub bytes_stored: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Items that could not be backed up whole.
    pub problems: u64,
}

/// What a source of data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SourceKind {
    /// Files and directories.
    Files = 1,
    /// Standard input or another stream.
    Stream = 2,
    /// The output of a command.
    Command = 3,
    /// A database, by its own dump tool.
    Database = 4,
}

impl SourceKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Files, Self::Stream, Self::Command, Self::Database];
}

stored_by_number!(SourceKind, SourceKind::ALL);

/// One source of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Source {
    /// What it is.
    pub kind: SourceKind,
    /// Its path, or the name of the stream.
    pub name: Vec<u8>,
    /// The chunker: 1 = FastCDC with a secret gear table.
    pub chunker: u8,
    /// Numbers.
    pub totals: Totals,
    /// For a dump: what is known of it.
    pub dump: Option<Dump>,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

/// What is known of a dump.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Dump {
    /// `postgresql`, `mariadb`, `sqlite`, or empty for a plain command.
    pub engine: String,
    /// The server's version.
    pub server_version: String,
    /// The command, without secrets.
    pub command: Vec<String>,
    /// Its exit status.
    pub exit_status: i32,
    /// Tables and their rows.
    pub tables: Vec<(String, u64)>,
}
