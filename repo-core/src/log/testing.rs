//! Logs and catalogs made by hand, for tests and for the explorer.

use super::check::{Catalog, Reliance};
use super::prune::Inventory;
use crate::crypto::{Role, SealPublic};
use crate::error::Result;
use crate::format::entry::{Action, Entry, Member, Nonce, SignedEntry};
use crate::id::{BlobId, EntryHash, PackId, WriterId};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The key that signs `Roles`.
pub const ADMIN: WriterId = WriterId([0xad; 32]);

/// The signing key of a made-up member of that role.
pub fn writer_of(role: Role) -> WriterId {
    WriterId([role as u8; 32])
}

/// A member of each role, for domain 0.
pub fn members() -> Vec<Member> {
    let member = |role| Member {
        writer: writer_of(role),
        seal: SealPublic([0; 32]),
        role,
        domains: vec![0],
        ext: Vec::new(),
    };
    Role::ALL.into_iter().map(member).collect()
}

/// The entry that a log begins with.
pub fn first_action() -> Action {
    Action::Roles {
        members: members(),
        removed: Vec::new(),
    }
}

/// An entry that was never sealed. Its hash is that of what is given here, so equal ones are the same entry.
pub fn entry(
    number: u64,
    follows: Vec<EntryHash>,
    signer: WriterId,
    process: Option<Nonce>,
    action: Action,
) -> SignedEntry {
    let text = format!("{number} {follows:?} {signer:?} {process:?} {action:?}");
    let hash = blake3::hash(text.as_bytes());
    let nonce = *hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    SignedEntry {
        entry: Entry {
            number,
            nonce,
            follows,
            time: Timestamp::new(number as i64, 0),
            process,
            action: Some(action),
        },
        signer,
        hash: hash.into(),
    }
}

/// A catalog in memory: packs and their blobs, each with the bases of its block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packs(pub BTreeMap<PackId, Vec<(BlobId, Vec<BlobId>)>>);

impl Catalog for Packs {
    fn copies(&self, blob: &BlobId, each: &mut dyn FnMut(&PackId, &[BlobId])) -> Result<()> {
        for (pack, blobs) in &self.0 {
            for (_, bases) in blobs.iter().filter(|(id, _)| id == blob) {
                each(pack, bases);
            }
        }
        Ok(())
    }

    fn knows(&self, pack: &PackId) -> Result<bool> {
        Ok(self.0.contains_key(pack))
    }
}

impl Inventory for Packs {
    fn packs(&self, each: &mut dyn FnMut(&PackId) -> Result<()>) -> Result<()> {
        self.0.keys().try_for_each(each)
    }

    fn blobs(
        &self,
        pack: &PackId,
        each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>,
    ) -> Result<()> {
        let blobs = self.0.get(pack).map_or(&[][..], Vec::as_slice);
        blobs.iter().try_for_each(|(blob, bases)| each(blob, bases))
    }

    fn with_bases(&self, each: &mut dyn FnMut(&BlobId, &[BlobId]) -> Result<()>) -> Result<()> {
        let rows = self
            .0
            .values()
            .flatten()
            .filter(|(_, bases)| !bases.is_empty());
        rows.into_iter()
            .try_for_each(|(blob, bases)| each(blob, bases))
    }
}

/// Rests on each of these blobs in that pack, decoded with the packs that follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rests(pub BTreeMap<BlobId, Vec<PackId>>);

impl Reliance for Rests {
    fn packs(&self, each: &mut dyn FnMut(&PackId)) -> Result<()> {
        self.0.values().flatten().for_each(each);
        Ok(())
    }

    fn blobs_in(
        &self,
        packs: &BTreeSet<PackId>,
        each: &mut dyn FnMut(&BlobId) -> Result<()>,
    ) -> Result<()> {
        let touched = self
            .0
            .iter()
            .filter(|(_, on)| on.iter().any(|p| packs.contains(p)));
        touched.into_iter().try_for_each(|(blob, _)| each(blob))
    }
}
