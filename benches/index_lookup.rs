//! How long an index takes to open, how many lookups it does in a second, and how much memory that takes.
//!
//! `cargo bench -p repo-benches --bench index_lookup -- [blobs] [directory]`. The cache stays in a directory that is
//! given, so that a second run shows an opening client alone.

use repo_core::Result;
use repo_core::crypto::BlobType;
use repo_core::format::rows::{Blob, Block, ENCODING_ZSTD, PackEntry};
use repo_core::format::table::TableBuilder;
use repo_core::id::{BlobId, IndexId, PackId};
use repo_core::index::{Index, Limits, Pending, Place, Reserve, Want};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// A pack of 16 MiB in chunks of 64 KiB.
const BLOBS_PER_PACK: u64 = 256;
const BLOBS_PER_BLOCK: u64 = 24;
const PACKS_PER_TABLE: u64 = 2048;
const BLOBS_PER_TABLE: u64 = BLOBS_PER_PACK * PACKS_PER_TABLE;
const LOOKUPS: u64 = 2_000_000;

/// 32 bytes that look random (splitmix64), the same every time.
fn id(kind: u64, number: u64) -> [u8; 32] {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ kind << 56;
    let mut bytes = [0; 32];
    for part in bytes.as_chunks_mut::<8>().0 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        *part = (z ^ z >> 31).to_le_bytes();
    }
    bytes
}

fn blob_id(number: u64) -> BlobId {
    BlobId(id(1, number))
}

fn pack(number: u64) -> PackEntry {
    let block = |number: u64| Block {
        offset: number as u32 * (1 << 20),
        stored_len: 1 << 20,
        raw_len: BLOBS_PER_BLOCK as u32 * (64 << 10),
        counter: number as u32,
        encoding: ENCODING_ZSTD,
        ..Block::default()
    };
    let blob = |at: u64| Blob {
        id: blob_id(number * BLOBS_PER_PACK + at),
        block: (at / BLOBS_PER_BLOCK) as u32,
        offset: (at % BLOBS_PER_BLOCK) as u32 * (64 << 10),
        len: 64 << 10,
    };
    PackEntry {
        id: PackId(id(2, number)),
        len: 16 << 20,
        kind: BlobType::Data,
        epoch: 0,
        domain: 0,
        wrap_count: 1,
        wraps: vec![7; 84],
        blocks: (0..BLOBS_PER_PACK.div_ceil(BLOBS_PER_BLOCK))
            .map(block)
            .collect(),
        blobs: (0..BLOBS_PER_PACK).map(blob).collect(),
        bases: Vec::new(),
    }
}

fn table_id(number: u64) -> IndexId {
    let mut id = id(3, number);
    id[..8].copy_from_slice(&number.to_be_bytes());
    IndexId(id)
}

fn table(id: &IndexId) -> Result<Vec<u8>> {
    let number = u64::from_be_bytes(*id.0.first_chunk().expect("32 bytes"));
    let mut table = TableBuilder::new();
    for at in 0..PACKS_PER_TABLE {
        table.add_pack(&pack(number * PACKS_PER_TABLE + at))?;
    }
    Ok(table.finish())
}

/// Resident memory in MiB: now, of it this process's own, and the most so far.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mib = |field: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().ok());
        kib.unwrap_or(0u64) / 1024
    };
    let (now, own, most) = (mib("VmRSS"), mib("RssAnon"), mib("VmHWM"));
    format!("resident {now} MiB ({own} of its own), at most {most} MiB")
}

/// Looks up blobs from `first` on in an order that jumps about, and says how many there were.
fn look_up(index: &Index, first: u64, range: u64, want: Want) -> Result<u64> {
    let mut found = 0;
    for i in 0..LOOKUPS {
        let number = first + i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % range;
        found += u64::from(index.lookup(&blob_id(number), want)?.is_some());
    }
    Ok(found)
}

fn report(what: &str, count: u64, work: impl FnOnce() -> Result<u64>) -> Result<()> {
    let (start, before) = (Instant::now(), processor_seconds());
    let found = work()?;
    let seconds = start.elapsed().as_secs_f64();
    let each = (processor_seconds() - before) * 1e6 / count as f64;
    let speed = count as f64 / seconds / 1e6;
    let memory = memory();
    println!(
        "{what:26} {speed:5.2} M/s, {each:5.2} µs of a processor each, {found} found, {memory}"
    );
    Ok(())
}

/// The limits of an index, or another bound on resident memory: `--resident=<MiB>`.
fn limits() -> Limits {
    let mut limits = Limits::default();
    let bound = std::env::args().find_map(|a| a.strip_prefix("--resident=")?.parse().ok());
    if let Some(mib) = bound.and_then(|mib: usize| mib.checked_mul(1 << 20)) {
        limits.resident_bytes_max = mib;
    }
    limits
}

/// Processor seconds of this process so far; the machine's other work does not count.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}

fn measure(blobs: u64, dir: &Path) -> Result<()> {
    let tables = blobs.div_ceil(BLOBS_PER_TABLE);
    let in_force: BTreeSet<_> = (0..tables).map(table_id).collect();
    let start = Instant::now();
    let index = Index::open_with(Place::Cache(dir), limits())?;
    let synced = index.sync(&in_force, &mut table)?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{:?}", index.counts());
    println!(
        "open: {seconds:.3} s, {} of {tables} tables loaded, {}",
        synced.loaded,
        memory()
    );
    let range = tables * BLOBS_PER_TABLE;
    report("hits, first", LOOKUPS, || {
        look_up(&index, 0, range, Want::Live)
    })?;
    report("hits", LOOKUPS, || look_up(&index, 0, range, Want::Live))?;
    report("misses", LOOKUPS, || {
        look_up(&index, range, range, Want::Live)
    })?;
    report("misses, two threads", 2 * LOOKUPS, || {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| look_up(&index, range, range, Want::Live));
            let found = look_up(&index, 2 * range, range, Want::Live)?;
            Ok(found + other.join().expect("the other thread does not panic")?)
        })
    })?;
    let pending = index.pending();
    report("new blobs, packs, a table", LOOKUPS, || {
        first_backup(&index, &pending, range)
    })
}

/// Reserves blobs, adds their packs, and publishes a table now and then. Gives how many were new.
fn first_backup(index: &Index, pending: &Pending, first: u64) -> Result<u64> {
    let mut new = 0;
    let mut table = TableBuilder::new();
    let packs = first / BLOBS_PER_PACK;
    for number in packs..packs + LOOKUPS / BLOBS_PER_PACK {
        for at in 0..BLOBS_PER_PACK {
            let id = blob_id(number * BLOBS_PER_PACK + at);
            new += u64::from(pending.reserve(index, &id)? == Reserve::New);
        }
        let pack = pack(number);
        pending.add_pack(&pack)?;
        table.add_pack(&pack)?;
        if table.packs() as u64 == PACKS_PER_TABLE {
            let body = std::mem::take(&mut table).finish();
            pending.add_table(index, IndexId(id(4, number)), &body)?;
        }
    }
    Ok(new)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    let blobs = arguments
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(10_000_000);
    match arguments.next() {
        Some(dir) => measure(blobs, Path::new(&dir)),
        None => {
            let dir = std::env::temp_dir().join(format!("larder-bench-{}", std::process::id()));
            let measured = measure(blobs, &dir);
            let _: std::io::Result<()> = std::fs::remove_dir_all(&dir);
            measured
        }
    }
}
