//! What a log entry says: its kinds and their fields (`docs/format.md`, "Log entries").

use super::codec::{self, Ext, MUST_UNDERSTAND, check_ext};
use super::entry::Nonce;
use super::name::ObjectKind;
use super::settings::Settings;
use crate::backend::Class;
use crate::crypto::{Role, SealPublic};
use crate::error::{Error, Result, Subject};
use crate::id::{Domain, EntryHash, EvidenceId, IndexId, KeyId, PackId, SnapshotId, WriterId};
use crate::time::Timestamp;
use bincode::{Decode, Encode};

/// A writer names no more packs, and no more other objects, in one entry, and appends several. An entry has room for a million.
pub const NAMED_MAX: usize = if cfg!(test) { 200 } else { 200_000 };

/// Who may write what: one holder of a key slot.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Member {
    /// The key that the holder signs with.
    pub writer: WriterId,
    /// The key that the holder's bundles are sealed to.
    pub seal: SealPublic,
    /// What it may do.
    pub role: Role,
    /// The domains that it may write to.
    pub domains: Vec<Domain>,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

/// A process taken for dead, and which of its entries stand all the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Fenced {
    /// The process.
    pub nonce: Nonce,
    /// Its entries that were seen.
    pub seen: Vec<EntryHash>,
}

/// An entry that cannot be read: its number and what lies there. Only both say which one is meant: of emptied files one is as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct EntryAt {
    /// Its number.
    pub number: u64,
    /// The hash that the next one follows, or if that is not known that of what lies there; of class C, where a name has more than a
    /// number, see [`super::entry::hash_of_damaged`].
    pub hash: EntryHash,
}

/// An object that a `Deleting` entry or a removed key names, readable without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ObjectRef {
    /// The folder.
    pub kind: ObjectKind,
    /// The name.
    pub id: [u8; 32],
}

impl ObjectRef {
    /// A snapshot.
    pub fn snapshot(id: &SnapshotId) -> Self {
        Self {
            kind: ObjectKind::Snapshot,
            id: id.0,
        }
    }

    /// An index table.
    pub fn table(id: &IndexId) -> Self {
        Self {
            kind: ObjectKind::Index,
            id: id.0,
        }
    }

    /// Whether it is a pack.
    pub fn is_pack(&self) -> bool {
        matches!(self.kind, ObjectKind::Data | ObjectKind::Meta)
    }
}

/// What an entry says. The fold of all of them is the repository's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Who may write what; replaces the list before it. Signed by the admin key.
    Roles {
        /// All holders.
        members: Vec<Member>,
        /// Key slots that are gone; a mirror removes them too.
        removed: Vec<KeyId>,
    },
    /// New settings.
    Settings(Box<Settings>),
    /// This place is of another class from here on.
    Class(Class),
    /// Finished packs of a run that is not over: these tables may be used.
    Publish {
        /// Their index tables.
        index: Vec<IndexId>,
    },
    /// A snapshot is there.
    Commit {
        /// Its object.
        snapshot: SnapshotId,
        /// Index tables that it brings.
        index: Vec<IndexId>,
        /// Condemned packs that it needs.
        reprieve: Vec<PackId>,
        /// What listings show of it: a sealed record of the type `Summary`.
        summary: Vec<u8>,
    },
    /// Snapshots are no longer wanted.
    Forget {
        /// Which.
        snapshots: Vec<SnapshotId>,
    },
    /// Forgotten snapshots are wanted again.
    Unforget {
        /// Which.
        snapshots: Vec<SnapshotId>,
        /// Condemned packs that they need.
        reprieve: Vec<PackId>,
    },
    /// Packs will be deleted after the grace, unless somebody needs them.
    Condemn {
        /// Which.
        packs: Vec<PackId>,
        /// Class C: other objects that will be deleted: those of forgotten snapshots, and those that no entry names.
        objects: Vec<ObjectRef>,
        /// Tables of packs that hold copies of what is still needed.
        index_add: Vec<IndexId>,
        /// Condemned packs that are needed after all.
        reprieve: Vec<PackId>,
    },
    /// These objects are deleted from now on. Their names stand in clear.
    Deleting {
        /// What is deleted: packs, index tables, snapshots and others.
        objects: Vec<ObjectRef>,
        /// Tables that no longer count.
        index_drop: Vec<IndexId>,
        /// Tables that stand in for them.
        index_add: Vec<IndexId>,
        /// Condemned packs that are needed after all.
        reprieve: Vec<PackId>,
        /// Class C: every process fenced so far, with what was seen of it; other entries of theirs are void.
        fenced: Vec<Fenced>,
    },
    /// A check or a drill left a result.
    Evidence {
        /// Which.
        evidence: EvidenceId,
    },
    /// Class C: the deletion of what an entry condemned waits for these processes.
    Waiting {
        /// The `Condemn` entry.
        condemn: EntryHash,
        /// The processes.
        nonces: Vec<Nonce>,
        /// The snapshots that were forgotten when the processes were listed; later deletions spare what others need.
        forgotten: Vec<SnapshotId>,
    },
    /// Class C: these processes are taken for dead.
    Fence {
        /// Which, and what had been seen of them before: those entries can no longer become void.
        fenced: Vec<Fenced>,
    },
    /// Entries that do not open count for nothing. Signed by the admin key.
    Void {
        /// Which; of class A only those of lower numbers count.
        entries: Vec<EntryAt>,
    },
    /// How long snapshots are kept; replaces what was said of them before.
    Terms {
        /// Which.
        snapshots: Vec<SnapshotId>,
        /// Until then they must not be forgotten.
        protected_until: Option<Timestamp>,
        /// From then on they need not be kept.
        expires: Option<Timestamp>,
    },
    /// The place where this entry was put is the home of the repository from now on.
    Promote {
        /// One more than that of the home before, which had 0 if none was ever promoted.
        generation: u64,
    },
}

/// The kinds of entries by number. All of version 1 must be understood, but for evidence, waiting and promotions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[expect(missing_docs, reason = "each is the action of the same name")]
pub enum EntryKind {
    Roles = MUST_UNDERSTAND | 1,
    Settings = MUST_UNDERSTAND | 2,
    Class = MUST_UNDERSTAND | 3,
    Publish = MUST_UNDERSTAND | 4,
    Commit = MUST_UNDERSTAND | 5,
    Forget = MUST_UNDERSTAND | 6,
    Unforget = MUST_UNDERSTAND | 7,
    Condemn = MUST_UNDERSTAND | 8,
    Deleting = MUST_UNDERSTAND | 9,
    Evidence = 10,
    Waiting = 11,
    Fence = MUST_UNDERSTAND | 12,
    Void = MUST_UNDERSTAND | 13,
    Terms = MUST_UNDERSTAND | 14,
    Promote = 15,
}

impl EntryKind {
    /// All kinds of version 1.
    pub const ALL: [Self; 15] = {
        use EntryKind::*;
        [
            Roles, Settings, Class, Publish, Commit, Forget, Unforget, Condemn, Deleting, Evidence,
            Waiting, Fence, Void, Terms, Promote,
        ]
    };

    /// The kind of that number, if this version knows it.
    pub fn from_u16(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }
}

impl Action {
    /// Which kind of entry this is.
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Roles { .. } => EntryKind::Roles,
            Self::Settings(_) => EntryKind::Settings,
            Self::Class(_) => EntryKind::Class,
            Self::Publish { .. } => EntryKind::Publish,
            Self::Commit { .. } => EntryKind::Commit,
            Self::Forget { .. } => EntryKind::Forget,
            Self::Unforget { .. } => EntryKind::Unforget,
            Self::Condemn { .. } => EntryKind::Condemn,
            Self::Deleting { .. } => EntryKind::Deleting,
            Self::Evidence { .. } => EntryKind::Evidence,
            Self::Waiting { .. } => EntryKind::Waiting,
            Self::Fence { .. } => EntryKind::Fence,
            Self::Void { .. } => EntryKind::Void,
            Self::Terms { .. } => EntryKind::Terms,
            Self::Promote { .. } => EntryKind::Promote,
        }
    }

    /// The bytes of what the kind itself adds, without the objects that stand in clear.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Roles { members, .. } => codec::encode(members),
            Self::Settings(settings) => codec::encode(settings.as_ref()),
            Self::Class(class) => codec::encode(class),
            Self::Publish { index } => codec::encode(index),
            Self::Commit {
                snapshot,
                index,
                reprieve,
                summary,
            } => codec::encode(&(snapshot, index, reprieve, summary)),
            Self::Forget { snapshots } => codec::encode(snapshots),
            Self::Unforget {
                snapshots,
                reprieve,
            } => codec::encode(&(snapshots, reprieve)),
            Self::Condemn {
                packs,
                objects,
                index_add,
                reprieve,
            } => codec::encode(&(packs, objects, index_add, reprieve)),
            Self::Deleting {
                index_drop,
                index_add,
                reprieve,
                fenced,
                ..
            } => codec::encode(&(index_drop, index_add, reprieve, fenced)),
            Self::Evidence { evidence } => codec::encode(evidence),
            Self::Waiting {
                condemn,
                nonces,
                forgotten,
            } => codec::encode(&(condemn, nonces, forgotten)),
            Self::Fence { fenced } => codec::encode(fenced),
            Self::Void { entries } => codec::encode(entries),
            Self::Terms {
                snapshots,
                protected_until,
                expires,
            } => codec::encode(&(snapshots, protected_until, expires)),
            Self::Promote { generation } => codec::encode(generation),
        }
    }

    /// `Damaged` if it names objects in clear that an entry of that kind does not delete: a mirror, which has no key,
    /// would take them for deleted.
    pub(super) fn decode(kind: EntryKind, payload: &[u8], objects: Vec<ObjectRef>) -> Result<Self> {
        let deletes = |object: &ObjectRef| match kind {
            EntryKind::Deleting => true,
            EntryKind::Roles => object.kind == ObjectKind::Key,
            _ => false,
        };
        if !objects.iter().all(deletes) {
            let detail = "names objects that such an entry does not delete";
            return Err(Error::damaged(Subject::None).detail(detail));
        }
        Ok(match kind {
            EntryKind::Roles => {
                let removed = objects.iter().map(|object| KeyId(object.id)).collect();
                let members: Vec<Member> = codec::decode(payload)?;
                members.iter().try_for_each(|m| check_ext(&m.ext))?;
                Self::Roles { members, removed }
            }
            EntryKind::Settings => {
                let settings: Settings = codec::decode(payload)?;
                settings.check()?;
                Self::Settings(Box::new(settings))
            }
            EntryKind::Class => Self::Class(codec::decode(payload)?),
            EntryKind::Publish => Self::Publish {
                index: codec::decode(payload)?,
            },
            EntryKind::Commit => {
                let (snapshot, index, reprieve, summary) = codec::decode(payload)?;
                Self::Commit {
                    snapshot,
                    index,
                    reprieve,
                    summary,
                }
            }
            EntryKind::Forget => Self::Forget {
                snapshots: codec::decode(payload)?,
            },
            EntryKind::Unforget => {
                let (snapshots, reprieve) = codec::decode(payload)?;
                Self::Unforget {
                    snapshots,
                    reprieve,
                }
            }
            EntryKind::Condemn => {
                let (packs, objects, index_add, reprieve) = codec::decode(payload)?;
                Self::Condemn {
                    packs,
                    objects,
                    index_add,
                    reprieve,
                }
            }
            EntryKind::Deleting => {
                let (index_drop, index_add, reprieve, fenced) = codec::decode(payload)?;
                Self::Deleting {
                    objects,
                    index_drop,
                    index_add,
                    reprieve,
                    fenced,
                }
            }
            EntryKind::Evidence => Self::Evidence {
                evidence: codec::decode(payload)?,
            },
            EntryKind::Waiting => {
                let (condemn, nonces, forgotten) = codec::decode(payload)?;
                Self::Waiting {
                    condemn,
                    nonces,
                    forgotten,
                }
            }
            EntryKind::Fence => Self::Fence {
                fenced: codec::decode(payload)?,
            },
            EntryKind::Void => Self::Void {
                entries: codec::decode(payload)?,
            },
            EntryKind::Terms => {
                let (snapshots, protected_until, expires) = codec::decode(payload)?;
                Self::Terms {
                    snapshots,
                    protected_until,
                    expires,
                }
            }
            EntryKind::Promote => Self::Promote {
                generation: codec::decode(payload)?,
            },
        })
    }

    /// The objects whose names stand in clear.
    pub(super) fn objects(&self) -> Vec<ObjectRef> {
        match self {
            Self::Deleting { objects, .. } => objects.clone(),
            Self::Roles { removed, .. } => removed
                .iter()
                .map(|id| ObjectRef {
                    kind: ObjectKind::Key,
                    id: id.0,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}
