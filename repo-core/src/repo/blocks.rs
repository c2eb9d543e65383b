//! Reads blocks and blobs: from the cache, or from a pack; every blob is proved to be what its id says.

use super::Repo;
use super::uploads::pack_object;
use crate::compress::{Decompressor, Encoding, RAW_LEN_MAX};
use crate::crypto::BlobType;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::pack::decode_wraps;
use crate::format::rows::Block;
use crate::id::{BlobId, PackId};
use crate::index::Location;
use crate::pack::{BlockReader, open_block_of};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

type Key = (PackId, u32);
type Slot = Arc<Mutex<Option<Arc<Vec<u8>>>>>;

/// Opened blocks, the least recently used ones dropped. Shared by all threads; a block is opened once even if several
/// ask for it at the same time.
pub struct BlockCache {
    bytes_max: usize,
    inner: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    slots: HashMap<Key, (u64, usize, Slot)>,
    bytes: usize,
    clock: u64,
}

impl BlockCache {
    /// A cache of at most `bytes_max` plaintext bytes, or one block.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            inner: Mutex::default(),
        }
    }

    fn slot(&self, key: Key, len: usize) -> Slot {
        let mut inner = lock(&self.inner);
        inner.clock += 1;
        let clock = inner.clock;
        if let Some((used, _, slot)) = inner.slots.get_mut(&key) {
            *used = clock;
            return slot.clone();
        }
        inner.bytes += len;
        while inner.bytes > self.bytes_max && !inner.slots.is_empty() {
            let oldest = inner
                .slots
                .iter()
                .min_by_key(|(_, (used, ..))| *used)
                .map(|(key, _)| *key);
            if let Some((_, len, _)) = oldest.and_then(|key| inner.slots.remove(&key)) {
                inner.bytes -= len;
            }
        }
        let slot = Slot::default();
        inner.slots.insert(key, (clock, len, slot.clone()));
        slot
    }
}

/// A thread that panicked while it held a lock of ours left nothing half done: all are held for single steps.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor>> = const { RefCell::new(None) };
}

impl Repo {
    /// The plaintext of a block, through the cache for trees.
    pub fn block(&self, location: &Location) -> Result<Arc<Vec<u8>>> {
        self.block_in(&self.blocks, location)
    }

    /// The plaintext of a block, through a cache of the caller's own.
    pub fn block_in(&self, cache: &BlockCache, location: &Location) -> Result<Arc<Vec<u8>>> {
        let pack = self.index().pack_id_of(location)?;
        let key = (pack, location.block.offset);
        let slot = cache.slot(key, location.block.raw_len as usize);
        let mut slot = lock(&slot);
        if let Some(block) = &*slot {
            return Ok(block.clone());
        }
        let mut plain = Vec::new();
        self.read_block(location, &mut plain)?;
        let block = Arc::new(plain);
        *slot = Some(block.clone());
        Ok(block)
    }

    /// Reads and opens a block, past the cache, into `plain`.
    pub fn read_block(&self, location: &Location, plain: &mut Vec<u8>) -> Result<()> {
        let info = self.index().pack_of(location)?;
        let name = pack_object(info.kind).name(&info.id.0);
        let block = &location.block;
        let missing = |e: Error| match e.kind() {
            ErrorKind::NotFound => Error::missing(Subject::Pack(info.id)),
            _ => e,
        };
        let bases = self.index().bases(location)?;
        let prefix = self.read_bases(info.id, info.kind, &bases)?;
        let reader = self.block_reader(info.id, info.kind, &info.wraps, block.wrap)?;
        let mut open = |stored: &mut [u8]| {
            let opened = self.open_block(&reader, block, stored, prefix.as_deref(), plain);
            opened.map_err(|e| e.about(Subject::Pack(info.id)).at(u64::from(block.offset)))
        };
        let is_kept = info.kind == BlobType::Tree && self.kept.keeps();
        if is_kept
            && let Some(mut stored) = self.kept.block(&name, block.offset, block.stored_len)
            && open(&mut stored).is_ok()
        {
            return Ok(());
        }
        self.read_anywhere(&name, &mut |place| {
            let mut stored = place
                .get_range(&name, u64::from(block.offset), u64::from(block.stored_len))
                .map_err(missing)?;
            let sealed = is_kept.then(|| stored.clone());
            open(&mut stored)?;
            if let Some(sealed) = sealed {
                self.kept.put_block(&name, block.offset, &sealed);
            }
            Ok(())
        })
    }

    /// Opens a block whose stored bytes are at hand, and are used up, into `plain`; `prefix` is what [`Repo::read_bases`]
    /// gives.
    pub fn open_block(
        &self,
        reader: &BlockReader,
        block: &Block,
        stored: &mut [u8],
        prefix: Option<&[u8]>,
        plain: &mut Vec<u8>,
    ) -> Result<()> {
        DECOMPRESSOR.with_borrow_mut(|decompressor| {
            let decompressor = match decompressor {
                Some(decompressor) => decompressor,
                None => decompressor.insert(Decompressor::new()?),
            };
            open_block_of(reader, block, stored, prefix, decompressor, plain)
        })
    }

    /// The bases of a block of that pack, one after another; `None` if it has none. Only copies that are no deltas themselves
    /// count, so this takes one step and no more.
    ///
    /// An error is about the base that cannot be read. Memory: at most [`RAW_LEN_MAX`] and one base.
    pub fn read_bases(
        &self,
        pack: PackId,
        kind: BlobType,
        bases: &[BlobId],
    ) -> Result<Option<Vec<u8>>> {
        let mut prefix = Vec::new();
        for id in bases {
            let is_whole = |location: &Location| location.block.encoding != Encoding::Delta as u8;
            let base = self.read_copy(kind, id, &is_whole).map_err(|e| {
                Error::new(e.kind(), Subject::Blob(*id))
                    .detail(format!("base of a block in pack {pack}"))
                    .because(e)
            })?;
            prefix.extend_from_slice(&base);
            if prefix.len() > RAW_LEN_MAX {
                let detail = "more bases than a block may have";
                return Err(Error::damaged(Subject::Pack(pack)).detail(detail));
            }
        }
        Ok((!bases.is_empty()).then_some(prefix))
    }

    /// The reader for blocks of a pack under one of its key wraps.
    pub fn block_reader(
        &self,
        pack: PackId,
        kind: BlobType,
        wraps: &[u8],
        wrap: u8,
    ) -> Result<Arc<BlockReader>> {
        if let Some(reader) = lock(&self.readers).get(&(pack, wrap)) {
            return Ok(reader.clone());
        }
        let wraps = decode_wraps(wraps)?;
        let found = wraps.get(usize::from(wrap)).ok_or_else(|| {
            Error::damaged(Subject::Pack(pack)).detail("a block names a key wrap that is not there")
        })?;
        let reader = BlockReader::new(self.ring(), &self.id(), kind, found)
            .map_err(|e| e.about(Subject::Pack(pack)))?;
        let reader = Arc::new(reader);
        let mut readers = lock(&self.readers);
        if readers.len() >= READERS_MAX {
            readers.clear();
        }
        readers.insert((pack, wrap), reader.clone());
        Ok(reader)
    }

    /// The plaintext of a blob, from any copy that can be read and is right.
    ///
    /// `Missing` if the index knows none. If none can be read, the error of the last copy; of one that may be read later, if there is
    /// such: nobody must take for lost what another copy may still hold.
    pub fn read_blob(&self, kind: BlobType, id: &BlobId) -> Result<Vec<u8>> {
        self.read_copy(kind, id, &|_| true)
    }

    /// The same of any copy but the one in that block, which could not be read or is wrong, as `why` says; that, if there is no other.
    pub fn read_other_copy(
        &self,
        kind: BlobType,
        id: &BlobId,
        (bad, why): (&Location, &Error),
    ) -> Result<Vec<u8>> {
        let pack = self.index().pack_id_of(bad)?;
        let any = Cell::new(false);
        let is_other = |location: &Location| {
            let there = self.index().pack_id_of(location);
            let other =
                location.block.offset != bad.block.offset || there.is_ok_and(|there| there != pack);
            any.set(any.get() || other);
            other
        };
        let read = self.read_copy(kind, id, &is_other);
        read.map_err(|e| match (any.get(), why.detail_text()) {
            (true, _) => e,
            (false, None) => Error::new(why.kind(), why.subject().clone()),
            (false, Some(detail)) => {
                Error::new(why.kind(), why.subject().clone()).detail(detail.to_owned())
            }
        })
    }

    /// A copy, looked for once more when its pack is gone and a prune may have moved it ([`Shared::follow`](super::Shared::follow)).
    fn read_copy(
        &self,
        kind: BlobType,
        id: &BlobId,
        wanted: &dyn Fn(&Location) -> bool,
    ) -> Result<Vec<u8>> {
        let mut looks = 0;
        loop {
            let seen = self.state();
            let read = self.read_known_copy(kind, id, wanted);
            match &read {
                Err(e) if e.kind() == ErrorKind::Missing && looks < LOOKS_MAX => {
                    if !self.has_moved_on(&seen, e.subject())? {
                        return read;
                    }
                }
                _ => return read,
            }
            looks += 1;
        }
    }

    fn read_known_copy(
        &self,
        kind: BlobType,
        id: &BlobId,
        wanted: &dyn Fn(&Location) -> bool,
    ) -> Result<Vec<u8>> {
        let mut result = Err(Error::unindexed(id));
        for location in self.index().copies(id)?.into_iter().filter(wanted) {
            match (self.blob_at(kind, id, &location), &result) {
                (Ok(read), _) => return Ok(read),
                (Err(error), Err(before)) if error.is_lost() && !before.is_lost() => {}
                (read, _) => result = read,
            }
        }
        result
    }

    fn blob_at(&self, kind: BlobType, id: &BlobId, location: &Location) -> Result<Vec<u8>> {
        let block = self.block(location)?;
        let plain = blob_in(&block, location)?;
        match self.hasher(kind)?.id(plain) == *id {
            true => Ok(plain.to_vec()),
            false => {
                Err(Error::damaged(Subject::Blob(*id)).detail("content is not what its id says"))
            }
        }
    }
}

/// The blob's part of its block's plaintext.
pub fn blob_in<'a>(block: &'a [u8], location: &Location) -> Result<&'a [u8]> {
    let from = location.blob_offset as usize;
    block
        .get(from..from + location.blob_len as usize)
        .ok_or_else(|| Error::damaged(Subject::None).detail("a blob ends outside its block"))
}

/// How often what is missing is looked for in a log that grows.
const LOOKS_MAX: u32 = 20;

/// Keys of this many packs are kept open; a kilobyte each.
const READERS_MAX: usize = 4096;
