//! The bytes of one run, verified group by group as they are first touched, and a bound on how many of them stay in
//! resident memory.

use super::layout::{self, CHECKSUM_LEN, Layout, Section};
use super::map::Map;
use crate::error::{Error, Result, Subject};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Where the bytes of a run are.
#[derive(Debug)]
pub(super) enum Bytes {
    /// In this process's memory, where they were made.
    Own(Vec<u8>),
    /// In this process's memory, read from a file.
    Heap(Vec<u8>),
    /// In a mapped file.
    Mapped { map: Map, file: File },
}

impl Bytes {
    /// Maps a whole file that nobody changes any more.
    pub(super) fn map(file: File) -> io::Result<Self> {
        let map = Map::new(&file)?;
        Ok(Self::Mapped { map, file })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Own(bytes) | Self::Heap(bytes) => bytes,
            Self::Mapped { map, .. } => map.bytes(),
        }
    }
}

/// The group has its checksum.
const VERIFIED: u8 = 1;
/// The group was read since resident pages were last released, and is counted.
const TOUCHED: u8 = 2;
const READY: u8 = VERIFIED | TOUCHED;

/// What a touched group is counted as: a page fault maps up to 64 KiB around it (Linux, `fault_around_bytes`).
const FAULT_AROUND: usize = 64 << 10;

/// The bytes of one run.
#[derive(Debug)]
pub(super) struct Region {
    bytes: Bytes,
    checksums: Vec<[u8; CHECKSUM_LEN]>,
    states: Box<[AtomicU8]>,
    damaged: AtomicBool,
    /// Groups and bytes that are released when there are too many; the rest stays.
    released: (usize, usize),
    /// Whether single rows are read from the file instead of mapped.
    reads: bool,
    residency: Arc<Residency>,
    path: Option<PathBuf>,
}

impl Region {
    /// Takes the bytes of a run with the checksums of its groups; `path` is only for messages.
    pub(super) fn new(
        bytes: Bytes,
        layout: &Layout,
        checksums: Vec<[u8; CHECKSUM_LEN]>,
        residency: &Arc<Residency>,
        path: Option<PathBuf>,
    ) -> Arc<Self> {
        let len = bytes.as_slice().len();
        let state = match bytes {
            Bytes::Own(_) => READY,
            _ => 0,
        };
        let region = Arc::new(Self {
            bytes,
            states: checksums.iter().map(|_| AtomicU8::new(state)).collect(),
            checksums,
            damaged: AtomicBool::new(false),
            released: (
                layout.group_number(Section::Prints, 0),
                layout.offset(Section::Prints) as usize,
            ),
            reads: len > residency.budget / 4 * 3,
            residency: Arc::clone(residency),
            path,
        });
        if let Bytes::Mapped { map, .. } = &region.bytes {
            map.release(len);
            residency.register(&region);
        }
        region
    }

    /// The verified bytes of a section's group. `Damaged` if there is no such group or its bytes are not those that
    /// were written.
    pub(super) fn group(&self, layout: &Layout, section: Section, group: u32) -> Result<&[u8]> {
        let (offset, len) = layout
            .group_range(section, group)
            .ok_or_else(|| self.outside())?;
        let number = layout.group_number(section, group);
        if self.states[number].load(Ordering::Acquire) != READY {
            self.touch(number, offset, len)?;
        }
        Ok(&self.bytes.as_slice()[offset as usize..][..len])
    }

    /// A copy of a row of `N` bytes, verified with its group. In a run that cannot stay mapped as a whole it is read from
    /// the file: a page that is mapped for one row and released again costs several times as much as a read (measured
    /// 5.8 against 1.5 µs in a virtual machine, against 0.1 µs if it stays mapped).
    pub(super) fn row<const N: usize>(
        &self,
        layout: &Layout,
        section: Section,
        row: u32,
    ) -> Result<[u8; N]> {
        let group = row / section.group_rows();
        let at = (row % section.group_rows()) as usize * N;
        if let (Bytes::Mapped { file, .. }, true) = (&self.bytes, self.reads) {
            let range = layout.group_range(section, group);
            let (offset, len) = range
                .filter(|(_, len)| at + N <= *len)
                .ok_or_else(|| self.outside())?;
            let number = layout.group_number(section, group);
            if self.states[number].load(Ordering::Acquire) & VERIFIED == 0 {
                self.verify(number, offset, len)?;
            }
            let mut bytes = [0; N];
            let read = file.read_exact_at(&mut bytes, offset + at as u64);
            read.map_err(|e| self.damage("cannot be read").because(e))?;
            return Ok(bytes);
        }
        let rows = self.group(layout, section, group)?;
        let row = rows.get(at..).and_then(|rest| rest.first_chunk());
        row.copied().ok_or_else(|| self.outside())
    }

    fn outside(&self) -> Error {
        self.damage("a row number leads outside")
    }

    #[cold]
    fn touch(&self, number: usize, offset: u64, len: usize) -> Result<()> {
        let state = &self.states[number];
        if state.load(Ordering::Acquire) & VERIFIED == 0 {
            self.verify(number, offset, len)?;
        }
        let before = state.fetch_or(TOUCHED, Ordering::AcqRel);
        let counts = number < self.released.0 && matches!(self.bytes, Bytes::Mapped { .. });
        if counts && before & TOUCHED == 0 {
            self.residency.count(FAULT_AROUND);
        }
        Ok(())
    }

    /// Compares a group with its checksum. A mapped one is read from the file, so that a disk that fails is an error here
    /// and not a signal.
    #[cold]
    fn verify(&self, number: usize, offset: u64, len: usize) -> Result<()> {
        let found = match &self.bytes {
            Bytes::Own(bytes) | Bytes::Heap(bytes) => {
                layout::checksum(&bytes[offset as usize..][..len])
            }
            Bytes::Mapped { file, .. } => {
                let mut bytes = vec![0; len];
                let read = file.read_exact_at(&mut bytes, offset);
                read.map_err(|e| self.damage("cannot be read").because(e))?;
                layout::checksum(&bytes)
            }
        };
        if found != self.checksums[number] {
            return Err(self.damage("a checksum is wrong").at(offset));
        }
        self.states[number].fetch_or(VERIFIED, Ordering::AcqRel);
        Ok(())
    }

    /// Marks the run as damaged, removes its file, so that whoever comes next makes it anew, and gives the error that says so: not that anything
    /// of the repository is damaged.
    pub(super) fn damage(&self, detail: &'static str) -> Error {
        if !self.damaged.swap(true, Ordering::AcqRel)
            && let Some(path) = &self.path
        {
            // A file that stays is found damaged again.
            let _ = std::fs::remove_file(path);
        }
        let subject = match &self.path {
            Some(path) => Subject::Path(path.clone()),
            None => Subject::None,
        };
        Error::damaged(subject).detail(format!(
            "index cache: {detail}; run this again, and it is made anew"
        ))
    }

    /// Whether wrong bytes were found in it.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// Bytes in all.
    pub(super) fn len(&self) -> u64 {
        self.bytes.as_slice().len() as u64
    }

    fn release(&self) {
        if let Bytes::Mapped { map, .. } = &self.bytes {
            for state in &self.states[..self.released.0] {
                state.fetch_and(!TOUCHED, Ordering::AcqRel);
            }
            map.release(self.released.1);
        }
    }
}

/// Bounds the resident memory of all mapped runs of an index.
///
/// Mapped pages belong to the system's file cache, but count as this process's memory while they are mapped, and
/// lookups of random ids touch all of them in the end. So touched groups are counted, and when they reach the budget
/// all maps are released. Prints are not counted and stay: 2 bytes a blob, touched by each lookup.
#[derive(Debug)]
pub(super) struct Residency {
    budget: usize,
    counted: AtomicUsize,
    regions: Mutex<Vec<Weak<Region>>>,
}

impl Residency {
    pub(super) fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self {
            budget,
            counted: AtomicUsize::new(0),
            regions: Mutex::new(Vec::new()),
        })
    }

    fn register(&self, region: &Arc<Region>) {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions.retain(|region| region.strong_count() > 0);
        regions.push(Arc::downgrade(region));
    }

    fn count(&self, len: usize) {
        if self.counted.fetch_add(len, Ordering::AcqRel) + len < self.budget {
            return;
        }
        // Who comes second finds the work being done.
        if let Ok(regions) = self.regions.try_lock() {
            self.counted.store(0, Ordering::Release);
            for region in regions.iter().filter_map(Weak::upgrade) {
                region.release();
            }
        }
    }
}
