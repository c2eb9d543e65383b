//! The file of a version table: sealed blocks, and an end that lists them.
//!
//! Magic and version (8 bytes), salt (32), blocks, the sealed end, its length (u32, little endian). The key is derived from the salt. The
//! nonce of a block is its number: that of what is shown 2·n, that of what is known 2·n + 1; the end has the highest one.

use crate::compress::{Compressor, Decompressor, Encoding, Level};
use crate::crypto::{Cipher, KEY_LEN, KeyKind, Secret, contexts, derive, random_array};
use crate::error::{Error, Result, Subject};
use crate::format::codec;
use crate::fs::NewFile;
use crate::id::SnapshotId;
use crate::repo::Repo;
use crate::time::{self, Timestamp};
use bincode::{Decode, Encode};
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

/// What the file begins with; the last byte is the version.
const MAGIC: [u8; 8] = *b"LARDVER\x01";
const HEADER_LEN: usize = MAGIC.len() + KEY_LEN;
const TRAILER_LEN: u64 = 4;

/// A file that was being written so long ago is left from a process that ended.
const LEFT_OVER_AGE_S: i64 = 24 * 60 * 60;

/// The nonce of the end.
const END: u64 = u64::MAX;

/// A block is full with so many bytes of what is shown.
const BLOCK_BYTES: usize = 256 << 10;

/// Most bytes of an end: ten thousand snapshots and all blocks of the longest file take a tenth.
const END_BYTES_MAX: u32 = 16 << 20;

/// One half of a block in the file.
#[derive(Debug, Clone, Copy, Encode, Decode)]
struct Part {
    stored_len: u32,
    raw_len: u32,
    encoding: u8,
}

/// What the end says.
#[derive(Debug, Clone, Default, Encode, Decode)]
struct End {
    /// The snapshots that are in it, by their numbers.
    snapshots: Vec<SnapshotId>,
    /// Nothing is in it, because so many snapshots were too much.
    refused: Option<u64>,
    blocks: Vec<[Part; 2]>,
}

/// Where the table of a repository lies, what its keys are made of, and how long it may get.
pub struct Home {
    path: PathBuf,
    bytes_max: u64,
    repository: Vec<u8>,
    key: Secret,
}

impl Home {
    /// `None` without a cache, and for holders who may not read trees.
    pub fn of(repo: &Repo, bytes_max: u64) -> Option<Self> {
        let ring = repo.ring();
        let key = ring.epoch_key(KeyKind::MetaWrap, ring.epoch()).ok()?;
        Some(Self {
            path: repo.cache_dir()?.join("history/versions1"),
            bytes_max,
            repository: repo.id().0.to_vec(),
            key: key.clone(),
        })
    }

    /// The directory that it lies in.
    pub fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Removes the table.
    pub fn remove(&self) {
        // What cannot be removed is found to be damaged again.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Removes what processes left that ended while they wrote, a day ago or more.
    fn remove_left_over(&self) {
        for entry in std::fs::read_dir(self.dir())
            .into_iter()
            .flatten()
            .flatten()
        {
            let is_old = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .is_ok_and(|time| {
                    time::now().seconds - Timestamp::from(time).seconds > LEFT_OVER_AGE_S
                });
            if is_old && entry.path() != self.path {
                // Only room is lost.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn cipher(&self, salt: &[u8]) -> Cipher {
        let parts = [&self.key.expose()[..], salt, &self.repository];
        Cipher::new(&derive(contexts::VERSION_TABLE, &parts))
    }

    fn io(&self) -> impl Fn(std::io::Error) -> Error {
        |cause| Error::io(Subject::Path(self.path.clone()), cause)
    }
}

/// A table that can be read.
pub struct Table {
    file: File,
    cipher: Cipher,
    end: End,
    /// Where each block begins.
    offsets: Vec<u64>,
}

/// One block, opened.
#[derive(Default)]
pub struct Block {
    /// Records.
    pub shown: Vec<u8>,
    /// What they are known by; empty if that was not asked for.
    pub known: Vec<u8>,
}

fn damaged() -> Error {
    Error::damaged(Subject::None).detail("version table: damaged")
}

impl Table {
    /// Opens the table that is there; `None` if there is none. `Damaged` if it is not as it was written.
    pub fn open(home: &Home) -> Result<Option<Self>> {
        match File::open(&home.path) {
            Ok(file) => Self::read(home, file).map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(home.io()(e)),
        }
    }

    fn read(home: &Home, file: File) -> Result<Self> {
        let len = file.metadata().map_err(home.io())?.len();
        let read = |len: usize, at: u64| -> Result<Vec<u8>> {
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, at).map_err(|_| damaged())?;
            Ok(bytes)
        };
        let header = read(HEADER_LEN, 0)?;
        let trailer = len.checked_sub(TRAILER_LEN).ok_or_else(damaged)?;
        let end_len = read(4, trailer)?.try_into().map_err(|_| damaged())?;
        let end_len = u32::from_le_bytes(end_len);
        let at = trailer.checked_sub(end_len.into()).ok_or_else(damaged)?;
        if header[..MAGIC.len()] != MAGIC || end_len > END_BYTES_MAX {
            return Err(damaged());
        }
        let cipher = home.cipher(&header[MAGIC.len()..]);
        let mut end = read(end_len as usize, at)?;
        cipher.open(END, &MAGIC, &mut end)?;
        let end: End = codec::decode(&end)?;
        let mut offsets = Vec::with_capacity(end.blocks.len());
        let mut offset = HEADER_LEN as u64;
        for parts in &end.blocks {
            offsets.push(offset);
            offset += parts.iter().map(|p| u64::from(p.stored_len)).sum::<u64>();
        }
        match offset == at {
            true => Ok(Self {
                file,
                cipher,
                end,
                offsets,
            }),
            false => Err(damaged()),
        }
    }

    /// The snapshots that are in it, by their numbers.
    pub fn snapshots(&self) -> &[SnapshotId] {
        &self.end.snapshots
    }

    /// How many snapshots were too much for it, if they were.
    pub fn refused(&self) -> Option<u64> {
        self.end.refused
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.offsets.len()
    }

    /// Reads a block, with what its records are known by or without.
    pub fn block(&self, number: usize, with_known: bool, opener: &mut Opener) -> Result<Block> {
        let (offset, [shown, known]) = (self.offsets[number], self.end.blocks[number]);
        let mut block = Block::default();
        let nonce = 2 * number as u64;
        self.part(shown, offset, nonce, opener, &mut block.shown)?;
        if with_known {
            let offset = offset + u64::from(shown.stored_len);
            self.part(known, offset, nonce + 1, opener, &mut block.known)?;
        }
        Ok(block)
    }

    fn part(
        &self,
        part: Part,
        offset: u64,
        nonce: u64,
        opener: &mut Opener,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let sealed = &mut opener.sealed;
        sealed.resize(part.stored_len as usize, 0);
        let read = self.file.read_exact_at(sealed, offset);
        read.map_err(|_| damaged())?;
        let packed = self.cipher.open_slice(nonce, &MAGIC, sealed)?;
        let encoding = Encoding::try_from(part.encoding)?;
        let raw_len = part.raw_len as usize;
        opener
            .decompressor
            .decompress(encoding, packed, raw_len, None, out)
    }
}

/// What opens blocks, one after the other.
pub struct Opener {
    decompressor: Decompressor,
    sealed: Vec<u8>,
}

impl Opener {
    /// A new one.
    pub fn new() -> Result<Self> {
        Ok(Self {
            decompressor: Decompressor::new()?,
            sealed: Vec::new(),
        })
    }
}

/// A table that is being written.
pub struct Writer<'a> {
    home: &'a Home,
    file: NewFile,
    cipher: Cipher,
    compressor: Compressor,
    blocks: Vec<[Part; 2]>,
    written: u64,
    open: Block,
}

impl<'a> Writer<'a> {
    /// Begins a file beside the table; makes the directory.
    pub fn create(home: &'a Home) -> Result<Self> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(home.dir());
        made.map_err(home.io())?;
        home.remove_left_over();
        let mut file = NewFile::create(&home.path)?;
        let salt = random_array::<KEY_LEN>();
        let header = [&MAGIC[..], &salt].concat();
        file.file().write_all(&header).map_err(home.io())?;
        Ok(Self {
            home,
            file,
            cipher: home.cipher(&salt),
            compressor: Compressor::new(Level::Fast)?,
            blocks: Vec::new(),
            written: HEADER_LEN as u64,
            open: Block::default(),
        })
    }

    /// Appends a record, or several. `Unsupported` if the file gets too long.
    pub fn put(&mut self, shown: &[u8], known: &[u8]) -> Result<()> {
        self.open.shown.extend_from_slice(shown);
        self.open.known.extend_from_slice(known);
        match self.open.shown.len() >= BLOCK_BYTES {
            true => self.end_block(),
            false => Ok(()),
        }
    }

    fn end_block(&mut self) -> Result<()> {
        let block = std::mem::take(&mut self.open);
        let nonce = 2 * self.blocks.len() as u64;
        let shown = self.part(&block.shown, nonce)?;
        let known = self.part(&block.known, nonce + 1)?;
        self.blocks.push([shown, known]);
        match self.written > self.home.bytes_max {
            true => Err(Error::unsupported(Subject::None).detail("version table: too long")),
            false => Ok(()),
        }
    }

    fn part(&mut self, raw: &[u8], nonce: u64) -> Result<Part> {
        let mut buffer = Vec::new();
        let (encoding, packed) = self.compressor.compress(raw, &mut buffer)?;
        let mut sealed = Vec::new();
        self.cipher.seal_from(nonce, &MAGIC, packed, &mut sealed);
        let written = self.file.file().write_all(&sealed);
        written.map_err(self.home.io())?;
        self.written += sealed.len() as u64;
        Ok(Part {
            stored_len: sealed.len() as u32,
            raw_len: raw.len() as u32,
            encoding: encoding.into(),
        })
    }

    /// Ends the file, and puts it in the place of the table if `place`; otherwise it is gone with what this gives.
    pub fn finish(mut self, snapshots: Vec<SnapshotId>, place: bool) -> Result<Table> {
        if !self.open.shown.is_empty() {
            self.end_block()?;
        }
        let end = End {
            snapshots,
            refused: None,
            blocks: std::mem::take(&mut self.blocks),
        };
        self.end(&end, place)
    }

    /// Leaves a table in place that says that so many snapshots are too much.
    pub fn refuse(home: &'a Home, snapshots: u64) -> Result<Table> {
        let end = End {
            refused: Some(snapshots),
            ..End::default()
        };
        Self::create(home)?.end(&end, true)
    }

    fn end(mut self, end: &End, place: bool) -> Result<Table> {
        let mut sealed = codec::encode(end);
        self.cipher.seal(END, &MAGIC, &mut sealed, 0);
        let len = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        if len > END_BYTES_MAX {
            return Err(Error::unsupported(Subject::None).detail("version table: too long"));
        }
        sealed.extend_from_slice(&len.to_le_bytes());
        let home = self.home;
        let written = self.file.file().write_all(&sealed);
        written.map_err(home.io())?;
        let file = self.file.file().try_clone().map_err(home.io())?;
        if place {
            self.file.place()?;
        }
        Table::read(home, file)
    }
}
