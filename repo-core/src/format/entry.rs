//! Entries of the commit log (`docs/format.md`, "Log entries").
//!
//! An entry file is a *core*, which is signed and hashed, and a *catch-up*: the cores of the entries before it since the
//! last number divisible by 16, so that a client that was away needs few reads.

pub use super::action::{Action, EntryAt, EntryKind, Fenced, Member, NAMED_MAX, ObjectRef};
use super::codec::{self, Ext, MUST_UNDERSTAND, check_ext};
use super::envelope::{self, Envelopes, RecordType};
use crate::crypto::Signer;
use crate::error::{Error, Result, Subject};
use crate::id::{EntryHash, WriterId};
use crate::time::Timestamp;
use bincode::{Decode, Encode};

/// Makes an entry unlike any other, and names a process on class C.
pub type Nonce = [u8; 16];

/// Checkpoints are written at numbers divisible by this; the catch-up of an entry goes back to the last of them.
pub const CHECKPOINT_EVERY: u64 = 16;

/// Most bytes that an entry's catch-up may take.
pub const CATCH_UP_BYTES_MAX: usize = 32 << 10;

/// So many they are at most: no core is shorter than 128 bytes, which its envelope and its signature take.
pub const CATCH_UP_ENTRIES_MAX: u64 = (CATCH_UP_BYTES_MAX / 128) as u64;

/// Most bytes that an entry file may have.
pub const ENTRY_BYTES_MAX: usize = 64 << 20;

/// A `Deleting` says what it rests on if that are no more objects.
pub const RESTS_ON_MAX: usize = 500_000;

/// The field of a `Deleting` that says what it rests on.
const RESTS_ON: u16 = 1;

/// Most bytes of an entry's sealed part: half of what a reader takes, for fields may need more in memory.
const BODY_BYTES_MAX: usize = codec::RECORD_BYTES_MAX / 2;

/// What anyone can read of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EntryClear {
    /// The kind; an unknown one with [`MUST_UNDERSTAND`] stops an old program from writing.
    pub kind: u16,
    /// Its number. Dense on class A.
    pub number: u64,
    /// Makes it unlike any other.
    pub nonce: Nonce,
    /// The hashes of the entries it follows: one on class A, none for the first.
    pub follows: Vec<EntryHash>,
    /// The objects that it deletes.
    pub objects: Vec<ObjectRef>,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

#[derive(Encode, Decode)]
struct EntryBody {
    time: Timestamp,
    process: Option<Nonce>,
    payload: Vec<u8>,
    ext: Vec<Ext>,
}

/// An entry as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u64,
    /// Makes it unlike any other.
    pub nonce: Nonce,
    /// The hashes of the entries it follows.
    pub follows: Vec<EntryHash>,
    /// When, by the writer's clock; a label only.
    pub time: Timestamp,
    /// Class C: the process that wrote it, as announced, or the nonce above if that has announced nothing.
    pub process: Option<Nonce>,
    /// What it says; `None` for a kind of a later version that may be skipped.
    pub action: Option<Action>,
}

/// An entry as it was read: authentic, from a known signer, with its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEntry {
    /// The entry.
    pub entry: Entry,
    /// Who signed it.
    pub signer: WriterId,
    /// The hash of its stored core.
    pub hash: EntryHash,
}

impl EntryClear {
    /// What a `Deleting` rests on, for who has no key: the snapshots and tables that came into force since the last `Deleting` of packs, and the packs that only
    /// these tables name.
    /// `None` if it does not say.
    pub fn rests_on(&self) -> Option<Vec<ObjectRef>> {
        let field = self.ext.iter().find(|field| field.tag == RESTS_ON)?;
        codec::decode(&field.bytes).ok()
    }
}

impl Entry {
    /// The stored core: sealed and signed. `InvalidInput` if it says more than anybody could read.
    pub fn seal(&self, envelopes: &Envelopes, signer: &Signer) -> Result<Vec<u8>> {
        self.seal_resting(envelopes, signer, None)
    }

    /// The same of a `Deleting` that says what it rests on ([`EntryClear::rests_on`]).
    pub fn seal_resting(
        &self,
        envelopes: &Envelopes,
        signer: &Signer,
        rests_on: Option<&Vec<ObjectRef>>,
    ) -> Result<Vec<u8>> {
        let action = self
            .action
            .as_ref()
            .ok_or_else(|| Error::unsupported(Subject::None))?;
        let clear = EntryClear {
            kind: action.kind() as u16,
            number: self.number,
            nonce: self.nonce,
            follows: self.follows.clone(),
            objects: action.objects(),
            ext: rests_on.map(rests_field).into_iter().collect(),
        };
        let body = EntryBody {
            time: self.time,
            process: self.process,
            payload: action.encode(),
            ext: Vec::new(),
        };
        let (clear, body) = (codec::encode(&clear), codec::encode(&body));
        if body.len() > BODY_BYTES_MAX {
            return Err(Error::invalid("log entry").detail("names more than it has room for"));
        }
        envelopes.seal(RecordType::Entry, &clear, &body, Some(signer))
    }

    /// Opens a stored core and checks its signature, but not whether its signer may write it: the fold does.
    ///
    /// `Unsupported` for a kind that must be understood and is not known.
    pub fn open(envelopes: &Envelopes, core: &[u8]) -> Result<SignedEntry> {
        let opened = envelopes.open(RecordType::Entry, core)?;
        let unsigned = || Error::damaged(Subject::None).detail("a log entry must be signed");
        let signer = opened.signer.ok_or_else(unsigned)?;
        let clear: EntryClear = codec::decode(&opened.clear)?;
        let body: EntryBody = codec::decode(&opened.body)?;
        check_ext(&clear.ext)?;
        check_ext(&body.ext)?;
        let action = match EntryKind::from_u16(clear.kind) {
            Some(kind) => Some(Action::decode(kind, &body.payload, clear.objects)?),
            None if clear.kind & MUST_UNDERSTAND == 0 => None,
            None => {
                let detail = format!("kind {:#06x} was written by a newer version", clear.kind);
                return Err(Error::unsupported(Subject::Entry(clear.number)).detail(detail));
            }
        };
        let entry = Self {
            number: clear.number,
            nonce: clear.nonce,
            follows: clear.follows,
            time: body.time,
            process: body.process,
            action,
        };
        Ok(SignedEntry {
            entry,
            signer,
            hash: hash(core),
        })
    }
}

fn rests_field(objects: &Vec<ObjectRef>) -> Ext {
    Ext {
        tag: RESTS_ON,
        bytes: codec::encode(objects),
    }
}

/// The hash that later entries follow.
pub fn hash(core: &[u8]) -> EntryHash {
    blake3::hash(core).into()
}

/// Class C: what a damaged file is known by. Another one with the same bytes comes to another hash.
pub fn hash_of_damaged(nonce: &Nonce, file: &[u8]) -> EntryHash {
    hash(&[nonce, file].concat())
}

/// What anyone can read of a stored core, without a key and not authenticated.
pub fn clear(core: &[u8]) -> Result<EntryClear> {
    codec::decode(envelope::visible(core)?.clear)
}

/// An entry file: the core and what it repeats, newest last.
pub fn encode_file(core: &[u8], catch_up: &[Vec<u8>]) -> Vec<u8> {
    let parts = std::iter::once(core).chain(catch_up.iter().map(Vec::as_slice));
    let mut out = Vec::new();
    for part in parts {
        let len = u32::try_from(part.len()).expect("cores are bounded by ENTRY_BYTES_MAX");
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// Takes an entry file apart: the core, and the cores it repeats. Their hashes are for the caller to check. `Damaged` if it does not come
/// apart to its end.
pub fn decode_file(bytes: &[u8]) -> Result<(&[u8], Vec<&[u8]>)> {
    match take_apart(bytes) {
        (parts, true) => first_of(&parts),
        (_, false) => Err(cut_short()),
    }
}

/// The same of a file that may be damaged behind the core: what it repeats up to there.
pub fn decode_damaged_file(bytes: &[u8]) -> Result<(&[u8], Vec<&[u8]>)> {
    first_of(&take_apart(bytes).0)
}

/// The parts that come apart, and whether these are all.
fn take_apart(bytes: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some((len, after)) = rest.split_first_chunk::<4>()
        && let Some((part, after)) = after.split_at_checked(u32::from_le_bytes(*len) as usize)
    {
        parts.push(part);
        rest = after;
    }
    (parts, rest.is_empty())
}

fn first_of<'a>(parts: &[&'a [u8]]) -> Result<(&'a [u8], Vec<&'a [u8]>)> {
    let (core, catch_up) = parts.split_first().ok_or_else(cut_short)?;
    Ok((core, catch_up.to_vec()))
}

fn cut_short() -> Error {
    Error::damaged(Subject::None).detail("log entry is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Class;
    use crate::crypto::{Keyring, Role, SealPublic, Secret};
    use crate::format::name::ObjectKind;
    use crate::id::{EvidenceId, IndexId, KeyId, PackId, RepositoryId, SnapshotId};

    fn actions() -> Vec<Action> {
        let signer = Signer::from_seed(&Secret::new([3; 32]));
        vec![
            Action::Roles {
                members: vec![Member {
                    writer: signer.public(),
                    seal: SealPublic([4; 32]),
                    role: Role::Writer,
                    domains: vec![0, 5],
                    ext: vec![],
                }],
                removed: vec![KeyId([8; 32])],
            },
            Action::Settings(Box::default()),
            Action::Class(Class::C),
            Action::Publish {
                index: vec![IndexId([1; 32])],
            },
            Action::Commit {
                snapshot: SnapshotId([2; 32]),
                index: vec![IndexId([1; 32])],
                reprieve: vec![PackId([5; 32])],
                summary: vec![1, 2, 3],
            },
            Action::Forget {
                snapshots: vec![SnapshotId([2; 32])],
            },
            Action::Unforget {
                snapshots: vec![SnapshotId([2; 32])],
                reprieve: vec![],
            },
            Action::Condemn {
                packs: vec![PackId([5; 32])],
                objects: vec![ObjectRef {
                    kind: ObjectKind::Snapshot,
                    id: [2; 32],
                }],
                index_add: vec![IndexId([6; 32])],
                reprieve: vec![],
            },
            Action::Deleting {
                objects: vec![ObjectRef {
                    kind: ObjectKind::Data,
                    id: [5; 32],
                }],
                index_drop: vec![IndexId([1; 32])],
                index_add: vec![],
                reprieve: vec![],
                fenced: vec![Fenced {
                    nonce: [1; 16],
                    seen: vec![EntryHash([9; 32])],
                }],
            },
            Action::Evidence {
                evidence: EvidenceId([7; 32]),
            },
            Action::Waiting {
                condemn: EntryHash([9; 32]),
                nonces: vec![[1; 16]],
                forgotten: vec![SnapshotId([2; 32])],
            },
            Action::Fence {
                fenced: vec![Fenced {
                    nonce: [1; 16],
                    seen: vec![],
                }],
            },
            Action::Void {
                entries: vec![EntryAt {
                    number: 3,
                    hash: EntryHash([9; 32]),
                }],
            },
            Action::Terms {
                snapshots: vec![SnapshotId([2; 32])],
                protected_until: Some(Timestamp::new(8, 0)),
                expires: None,
            },
            Action::Promote { generation: 7 },
        ]
    }

    #[test]
    fn every_kind_round_trips() {
        let ring = Keyring::from_root(&Secret::new([1; 32]), 0, &[0]);
        let envelopes = Envelopes::new(ring, RepositoryId([2; 32]));
        let signer = Signer::from_seed(&Secret::new([3; 32]));
        let mut kinds = Vec::new();
        for action in actions() {
            kinds.push(action.kind());
            let entry = Entry {
                number: 7,
                nonce: [4; 16],
                follows: vec![EntryHash([9; 32])],
                time: Timestamp::new(1, 2),
                process: Some([6; 16]),
                action: Some(action),
            };
            let core = entry.seal(&envelopes, &signer).unwrap();
            let signed = Entry::open(&envelopes, &core).unwrap();
            assert_eq!(signed.entry, entry);
            assert_eq!((signed.signer, signed.hash), (signer.public(), hash(&core)));
            assert_eq!(clear(&core).unwrap().number, 7);
        }
        assert_eq!(kinds, EntryKind::ALL);
    }

    #[test]
    fn only_what_is_deleted_is_named_in_clear() {
        let ring = Keyring::from_root(&Secret::new([1; 32]), 0, &[0]);
        let envelopes = Envelopes::new(ring, RepositoryId([2; 32]));
        let signer = Signer::from_seed(&Secret::new([3; 32]));
        let open = |action: Action, kind| {
            let clear = EntryClear {
                kind: action.kind() as u16,
                number: 7,
                nonce: [4; 16],
                follows: vec![],
                objects: vec![ObjectRef { kind, id: [5; 32] }],
                ext: vec![],
            };
            let body = EntryBody {
                time: Timestamp::default(),
                process: None,
                payload: action.encode(),
                ext: vec![],
            };
            let (clear, body) = (codec::encode(&clear), codec::encode(&body));
            let core = envelopes.seal(RecordType::Entry, &clear, &body, Some(&signer));
            Entry::open(&envelopes, &core.unwrap()).is_ok()
        };
        for action in actions() {
            let kind = action.kind();
            assert_eq!(
                open(action.clone(), ObjectKind::Data),
                kind == EntryKind::Deleting
            );
            let deletes_keys = matches!(kind, EntryKind::Deleting | EntryKind::Roles);
            assert_eq!(open(action, ObjectKind::Key), deletes_keys, "{kind:?}");
        }
    }

    #[test]
    fn an_entry_says_no_more_than_can_be_read() {
        let ring = Keyring::from_root(&Secret::new([1; 32]), 0, &[0]);
        let envelopes = Envelopes::new(ring, RepositoryId([2; 32]));
        let signer = Signer::from_seed(&Secret::new([3; 32]));
        let forget = |count| {
            let snapshots = vec![SnapshotId([5; 32]); count];
            let entry = Entry {
                number: 7,
                nonce: [4; 16],
                follows: vec![],
                time: Timestamp::default(),
                process: None,
                action: Some(Action::Forget { snapshots }),
            };
            let core = entry.seal(&envelopes, &signer)?;
            Ok::<_, Error>(Entry::open(&envelopes, &core)?.entry == entry)
        };
        let most = BODY_BYTES_MAX / 32;
        assert!(forget(most - 1).unwrap());
        let error = forget(most).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    }

    #[test]
    fn files_carry_what_came_before() {
        let file = encode_file(b"core", &[b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(
            decode_file(&file).unwrap(),
            (&b"core"[..], vec![&b"one"[..], b"two"])
        );
        assert!(decode_file(&file[..file.len() - 1]).is_err());
        assert!(decode_file(&[]).is_err());
    }
}
