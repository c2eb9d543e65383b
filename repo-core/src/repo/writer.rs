//! Writes blobs: reserve, fill blocks in order, compress, verify, seal, pack, upload, index.

mod copies;

use super::Repo;
use super::codec::encode_and_seal;
use super::memory::Published;
use super::pool::Ticket;
use super::uploads::Uploads;
use crate::chunk::Piece;
use crate::compress::Level;
use crate::crypto::BlobType;
use crate::error::{Error, Result, Subject};
use crate::format::rows::PackEntry;
use crate::id::{BlobId, Domain, IndexId, PackId};
use crate::index::{Location, Pending, Reserve};
use crate::pack::{BlockDraft, Dealer, PackBuilder, SealedBlock, Slabs};
use crate::progress::{Counter, Interrupt, Progress};
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Plaintext bytes of a block of trees. Smaller than data blocks: one directory is often all that is wanted.
const META_BLOCK_BYTES: usize = 512 << 10;

/// A table is published after this many packs, so that an interrupted run loses little.
const PUBLISH_PACKS: usize = 32;

/// Or after this many blobs: their rows (44 bytes each) lie in memory until then, and three times while a table is made.
const PUBLISH_BLOBS: usize = 64 << 10;

/// Or after this long.
const PUBLISH_AFTER: Duration = Duration::from_secs(60);

/// How blobs are written.
#[derive(Clone, Copy)]
pub struct WriteOptions<'a> {
    /// The dedup universe.
    pub domain: Domain,
    /// How hard to compress. With [`Level::Off`] trees are compressed nevertheless, as usual.
    pub level: Level,
    /// A pack is closed at this many bytes; as the repository's settings say if `None`.
    pub pack_bytes: Option<u32>,
    /// Find out what is new, store nothing.
    pub dry_run: bool,
    /// Told of bytes stored.
    pub progress: &'a dyn Progress,
    /// Asked before every block.
    pub interrupt: &'a Interrupt,
}

impl<'a> WriteOptions<'a> {
    /// Domain 0, compressed and packed as usual, and really written.
    pub fn new(progress: &'a dyn Progress, interrupt: &'a Interrupt) -> Self {
        Self {
            domain: 0,
            level: Level::default(),
            pack_bytes: None,
            dry_run: false,
            progress,
            interrupt,
        }
    }
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// Index tables that no log entry names yet.
    pub tables: Vec<IndexId>,
    /// Packs that were relied on and are not this run's own.
    pub hits: HashSet<PackId>,
    /// Packs that this run has made or taken over.
    pub own: HashSet<PackId>,
    /// Data blobs that were new.
    pub data_blobs: u64,
    /// Tree blobs that were new.
    pub tree_blobs: u64,
    /// Plaintext bytes that were new.
    pub bytes_added: u64,
    /// Bytes of their packs.
    pub bytes_stored: u64,
}

/// A pack that takes blocks.
struct OpenPack {
    number: u64,
    builder: PackBuilder,
    /// It is full from this length on.
    enough: usize,
    in_flight: u32,
    full: bool,
}

/// Blobs of one type on their way.
struct Lane {
    kind: BlobType,
    block_bytes: usize,
    draft: BlockDraft,
    dealer: Dealer,
    /// The packs that are dealt to.
    slots: [Option<u64>; 2],
    /// The first pack of the second slot is ended at half its size, so that the two are not full, and on their way, at
    /// the same time: a pack less in memory.
    staggered: bool,
    packs: Vec<OpenPack>,
}

struct Sealing {
    lane: usize,
    pack: u64,
    ticket: Ticket<Result<(SealedBlock, Vec<u8>)>>,
}

/// Writes blobs of one run. Used by one thread; compressing and uploading happen on others.
///
/// Memory: a block for each lane and for each sealing under way (threads + 2 of them, plaintext and ciphertext), two
/// packs of data, two of trees, and one for each upload under way.
pub struct Writer<'a> {
    repo: &'a Repo,
    options: WriteOptions<'a>,
    lanes: [Lane; 2],
    sealing: VecDeque<Sealing>,
    uploads: Uploads,
    pending: Pending,
    packs_made: u64,
    /// Packs that are safe and in no table yet.
    arrived: Vec<PackEntry>,
    published: Instant,
    plain_buffers: Vec<Vec<u8>>,
    slabs: Slabs,
    written: Written,
}

impl Repo {
    /// Writes blobs inside `work`. On return all packs and their tables are safe on the backend; in the log stand those
    /// that were published on the way.
    ///
    /// If `work` fails, for instance because it was interrupted, what had arrived is published, so that the next run
    /// finds it, and the error is given back.
    pub fn write<T>(
        &self,
        options: WriteOptions<'_>,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T>,
    ) -> Result<(T, Written)> {
        let _writing = self.writes();
        std::thread::scope(|scope| {
            let mut writer = Writer::new(self, options, Uploads::start(scope, self)?);
            match work(&mut writer).and_then(|done| Ok((done, writer.finish()?))) {
                Ok((done, written)) => Ok((done, written)),
                Err(error) => {
                    // The first error is what matters; publishing only saves work later.
                    let _ = writer.salvage();
                    Err(error)
                }
            }
        })
    }
}

impl<'a> Writer<'a> {
    fn new(repo: &'a Repo, options: WriteOptions<'a>, uploads: Uploads) -> Self {
        let lane = |kind, block_bytes| Lane {
            kind,
            block_bytes,
            draft: BlockDraft::default(),
            dealer: Dealer::default(),
            slots: [None, None],
            staggered: false,
            packs: Vec::new(),
        };
        let data_bytes = repo.settings().block_bytes as usize;
        Self {
            repo,
            options,
            lanes: [
                lane(BlobType::Data, data_bytes),
                lane(BlobType::Tree, META_BLOCK_BYTES),
            ],
            sealing: VecDeque::new(),
            uploads,
            pending: repo.index().pending(),
            packs_made: 0,
            arrived: Vec::new(),
            published: Instant::now(),
            plain_buffers: Vec::new(),
            slabs: Slabs::default(),
            written: Written::default(),
        }
    }

    /// Adds a blob unless it is stored or on its way; says whether it was new. Blobs of one type that are added one
    /// after another lie beside each other.
    pub fn add(&mut self, kind: BlobType, id: &BlobId, plaintext: &[u8]) -> Result<bool> {
        let takes = |draft: &BlockDraft, max| draft.takes(plaintext.len(), max);
        let (new, draft) = self.room(kind, id, plaintext.len(), &takes)?;
        if let Some(draft) = draft {
            draft.push(*id, plaintext);
        }
        Ok(new)
    }

    /// As [`Writer::add`], for a blob whose buffer is shared: neighbours in it are not copied.
    pub fn add_piece(&mut self, kind: BlobType, id: &BlobId, piece: Piece) -> Result<bool> {
        let takes = |draft: &BlockDraft, max| draft.takes_piece(&piece, max);
        let (new, draft) = self.room(kind, id, piece.len(), &takes)?;
        if let Some(draft) = draft {
            draft.push_piece(*id, piece);
        }
        Ok(new)
    }

    /// Whether a blob is new, and the draft that it goes to if it is to be stored: the current one if that `takes` it in a block
    /// of so many bytes, else a fresh one.
    fn room(
        &mut self,
        kind: BlobType,
        id: &BlobId,
        len: usize,
        takes: &dyn Fn(&BlockDraft, usize) -> bool,
    ) -> Result<(bool, Option<&mut BlockDraft>)> {
        let new = self.reserve(kind, id, len)?;
        if !new || self.options.dry_run {
            return Ok((new, None));
        }
        Ok((new, Some(self.draft(kind, takes)?)))
    }

    /// The draft of a lane if that `takes` it in a block of so many bytes, else a fresh one.
    fn draft(
        &mut self,
        kind: BlobType,
        takes: &dyn Fn(&BlockDraft, usize) -> bool,
    ) -> Result<&mut BlockDraft> {
        let lane = lane_of(kind);
        if !takes(&self.lanes[lane].draft, self.lanes[lane].block_bytes) {
            self.flush(lane)?;
        }
        Ok(&mut self.lanes[lane].draft)
    }

    /// Whether a blob is new; counts it then, and remembers what is relied on else.
    fn reserve(&mut self, kind: BlobType, id: &BlobId, len: usize) -> Result<bool> {
        loop {
            match self.pending.reserve(self.repo.index(), id)? {
                Reserve::New => break,
                Reserve::OnItsWay => return Ok(false),
                Reserve::Stored(location) if self.rely_on(&location)? => return Ok(false),
                // Its pack is lost, and is not found any more.
                Reserve::Stored(_) => {}
            }
        }
        let blobs = match kind {
            BlobType::Data => &mut self.written.data_blobs,
            BlobType::Tree => &mut self.written.tree_blobs,
        };
        *blobs += 1;
        self.written.bytes_added += len as u64;
        Ok(true)
    }

    /// Remembers that a copy of a blob is relied on: its pack, and those of the bases of its block. Gives false, and
    /// remembers nothing, if one of those is [not there](super::Shared::is_there).
    pub fn rely_on(&mut self, location: &Location) -> Result<bool> {
        let index = self.repo.index();
        let mut packs = vec![index.pack_id_of(location)?];
        for base in index.bases(location)? {
            if let Some(whole) = self.pending.whole_copy(index, &base)? {
                packs.push(index.pack_id_of(&whole)?);
            }
        }
        packs.retain(|pack| !self.written.own.contains(pack) && !self.written.hits.contains(pack));
        for pack in &packs {
            if !self.repo.is_there(pack)? {
                return Ok(false);
            }
        }
        self.written.hits.extend(packs);
        Ok(true)
    }

    /// How many blobs were new so far.
    pub fn new_blobs(&self) -> u64 {
        self.written.data_blobs + self.written.tree_blobs
    }

    /// How many bytes they have.
    pub fn bytes_added(&self) -> u64 {
        self.written.bytes_added
    }

    /// Forgets what was added, if none of it has left for the backend yet, and says whether that was so. What is added
    /// afterwards may be taken for stored: only for a run that ends now.
    pub fn discard(&mut self) -> bool {
        if self.packs_made > 0 || !self.written.own.is_empty() {
            return false;
        }
        for lane in &mut self.lanes {
            lane.draft = BlockDraft::default();
        }
        self.written = Written::default();
        true
    }

    /// Ends the current data block: what follows comes from another source, which shares no block with this one.
    pub fn end_source(&mut self) -> Result<()> {
        self.flush(lane_of(BlobType::Data))
    }

    /// Gives the current block to the pool, and takes in what is ready.
    fn flush(&mut self, lane: usize) -> Result<()> {
        self.options.interrupt.check()?;
        if self.lanes[lane].draft.is_empty() {
            return Ok(());
        }
        while self.sealing.len() >= self.repo.pool().threads() + 2 {
            self.take_sealed()?;
        }
        while self
            .sealing
            .front_mut()
            .map_or(Ok(false), |first| first.ticket.is_ready())?
        {
            self.take_sealed()?;
        }
        let buffer = self.plain_buffers.pop().unwrap_or_default();
        let next = BlockDraft::with_buffer(buffer);
        let draft = std::mem::replace(&mut self.lanes[lane].draft, next);
        let level = match (self.options.level, self.lanes[lane].kind) {
            (Level::Off, BlobType::Tree) => Level::default(),
            (level, _) => level,
        };
        let slabs = self.slabs.clone();
        let pack = self.open_pack(lane)?;
        let (key, counter) = pack.builder.reserve();
        pack.in_flight += 1;
        let number = pack.number;
        let ticket = self.repo.pool().submit(move || {
            let raw_len = u32::try_from(draft.bytes().len()).expect("blocks are below 64 MiB");
            let (encoding, sealed) = encode_and_seal(level, draft.bytes(), &key, counter, &slabs)?;
            let (blobs, buffer) = draft.into_parts();
            let block = SealedBlock {
                bytes: sealed,
                encoding,
                raw_len,
                counter,
                blobs,
                bases: Vec::new(),
            };
            Ok((block, buffer))
        });
        self.sealing.push_back(Sealing {
            lane,
            pack: number,
            ticket,
        });
        Ok(())
    }

    /// The pack that the next block of a lane goes to.
    fn open_pack(&mut self, lane: usize) -> Result<&mut OpenPack> {
        let slot = self.lanes[lane].dealer.deal();
        let number = match self.lanes[lane].slots[slot] {
            Some(number) => number,
            None => self.new_pack(lane, slot)?,
        };
        self.pack(lane, number)
    }

    fn new_pack(&mut self, lane: usize, slot: usize) -> Result<u64> {
        let number = self.packs_made;
        self.packs_made += 1;
        let builder = PackBuilder::new(
            self.repo.ring(),
            &self.repo.id(),
            self.lanes[lane].kind,
            self.options.domain,
        )?;
        let lane = &mut self.lanes[lane];
        let usual = self.repo.settings().pack_bytes;
        let whole = self.options.pack_bytes.unwrap_or(usual) as usize;
        let first_of_second = slot == 1 && !lane.staggered;
        lane.staggered |= first_of_second;
        lane.packs.push(OpenPack {
            number,
            builder,
            enough: if first_of_second { whole / 2 } else { whole },
            in_flight: 0,
            full: false,
        });
        lane.slots[slot] = Some(number);
        Ok(number)
    }

    /// Waits for the oldest block that is being sealed, and puts it into its pack.
    fn take_sealed(&mut self) -> Result<()> {
        let Some(first) = self.sealing.pop_front() else {
            return Ok(());
        };
        let (block, buffer) = first.ticket.wait()??;
        self.plain_buffers.push(buffer);
        let pack = self.pack(first.lane, first.pack)?;
        pack.builder.push(block);
        pack.in_flight -= 1;
        self.settle(first.lane, first.pack)
    }

    /// An open pack.
    fn pack(&mut self, lane: usize, number: u64) -> Result<&mut OpenPack> {
        let mut packs = self.lanes[lane].packs.iter_mut();
        packs
            .find(|pack| pack.number == number)
            .ok_or_else(lost_track)
    }

    /// Closes a pack if it is large enough, and sends it once nothing of it is under way.
    fn settle(&mut self, lane: usize, number: u64) -> Result<()> {
        let pack = self.pack(lane, number)?;
        match pack.full || pack.builder.is_full(pack.enough) {
            true => self.close(lane, number),
            false => Ok(()),
        }
    }

    /// Nothing more goes to a pack: it is sent once nothing of it is under way.
    fn close(&mut self, lane: usize, number: u64) -> Result<()> {
        let pack = self.pack(lane, number)?;
        pack.full = true;
        let ready = pack.in_flight == 0;
        let lane = &mut self.lanes[lane];
        let mut slots = lane.slots.iter_mut();
        if let Some(slot) = slots.find(|slot| **slot == Some(number)) {
            *slot = None;
        }
        let at = lane.packs.iter().position(|pack| pack.number == number);
        match at.filter(|_| ready) {
            Some(at) => {
                let pack = lane.packs.swap_remove(at);
                self.send(pack)
            }
            None => Ok(()),
        }
    }

    fn send(&mut self, pack: OpenPack) -> Result<()> {
        self.uploads.send(pack.builder)?;
        while let Some(arrived) = self.uploads.arrived() {
            self.take_uploaded(arrived?)?;
        }
        let blobs: usize = self.arrived.iter().map(|pack| pack.blobs.len()).sum();
        let many = self.arrived.len() >= PUBLISH_PACKS || blobs >= PUBLISH_BLOBS;
        if many || self.published.elapsed() >= PUBLISH_AFTER {
            self.publish()?;
        }
        Ok(())
    }

    fn take_uploaded(&mut self, entry: PackEntry) -> Result<()> {
        self.options.progress.count(Counter::BytesStored, entry.len);
        self.written.bytes_stored += entry.len;
        self.take_over(entry)
    }

    /// Counts a pack that lies on the backend among this run's own: one just uploaded, or one that an interrupted run
    /// had finished.
    pub fn take_over(&mut self, entry: PackEntry) -> Result<()> {
        self.written.own.insert(entry.id);
        self.pending.add_pack(&entry)?;
        self.arrived.push(entry);
        Ok(())
    }

    /// Puts the packs that have arrived into a table and names it in the log, so that whoever comes next may use them.
    pub fn publish(&mut self) -> Result<()> {
        self.published = Instant::now();
        let packs = self.arrived.len() as u64;
        let bytes = self.arrived.iter().map(|entry| entry.len).sum();
        if let Some(table) = self.save_table()? {
            self.repo.publish(Published {
                table,
                packs,
                bytes,
            })?;
        }
        Ok(())
    }

    fn save_table(&mut self) -> Result<Option<IndexId>> {
        if self.arrived.is_empty() {
            return Ok(None);
        }
        let (id, body) = self.repo.save_table(std::mem::take(&mut self.arrived))?;
        self.pending.add_table(self.repo.index(), id, &body)?;
        Ok(Some(id))
    }

    /// Closes everything and waits until it is safe.
    fn finish(&mut self) -> Result<Written> {
        (0..self.lanes.len()).try_for_each(|lane| self.flush(lane))?;
        while !self.sealing.is_empty() {
            self.take_sealed()?;
        }
        for lane in 0..self.lanes.len() {
            for pack in std::mem::take(&mut self.lanes[lane].packs) {
                self.send(pack)?;
            }
        }
        while let Some(arrived) = self.uploads.next() {
            self.take_uploaded(arrived?)?;
        }
        let table = self.save_table()?;
        self.written.tables.extend(table);
        Ok(std::mem::take(&mut self.written))
    }

    /// After a failure: waits for what is under way and publishes what has arrived.
    fn salvage(&mut self) -> Result<()> {
        while let Some(arrived) = self.uploads.next() {
            if let Ok(entry) = arrived {
                self.take_uploaded(entry)?;
            }
        }
        self.publish()
    }
}

fn lane_of(kind: BlobType) -> usize {
    match kind {
        BlobType::Data => 0,
        BlobType::Tree => 1,
    }
}

fn lost_track() -> Error {
    Error::new(crate::ErrorKind::Unavailable, Subject::None).detail("lost track of an open pack")
}
