//! How long it takes until an object is safe on a local file system: packs and log entries, in memory and on disk.
//!
//! `cargo bench -p repo-benches --bench local_put -- [directory]...`; without any, `/dev/shm` and the temporary directory.

use repo_benches::random;
use repo_core::Result;
use repo_core::backend::{Backend, LocalBackend, Put};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PACK_BYTES: usize = 16 << 20;
const PACKS: usize = 12;
const ENTRY_BYTES: usize = 4 << 10;
const ENTRIES: usize = 200;
const THREADS: usize = 4;

/// The middle and the largest of some times.
fn spread(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let last = times.last().copied().unwrap_or_default();
    (times[times.len() / 2], last)
}

fn show(what: &str, bytes: usize, times: Vec<Duration>) {
    let (usual, most) = spread(times);
    let speed = bytes as f64 / 1e6 / usual.as_secs_f64();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "  {what:28} {:9.0} µs, at most {:9.0} µs, {speed:6.0} MB/s",
        micros(usual),
        micros(most)
    );
}

/// The name of a pack, each in a directory of its own as most of the first 256 are.
fn pack_name(number: usize) -> String {
    let id = blake3::hash(&(number as u64).to_le_bytes()).to_hex();
    format!("data/{}/{id}", &id[..2])
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn put_packs(
    backend: &LocalBackend,
    pack: &[u8],
    numbers: std::ops::Range<usize>,
) -> Result<Vec<Duration>> {
    let put = |number| timed(|| backend.put(&pack_name(number), pack));
    numbers.map(put).collect()
}

fn measure(place: &Path) -> Result<()> {
    println!("{}", place.display());
    let backend = LocalBackend::create(place)?;
    let pack = random(PACK_BYTES);
    show(
        "pack, 16 MiB",
        PACK_BYTES,
        put_packs(&backend, &pack, 0..PACKS)?,
    );
    let (backend, pack) = (&backend, &pack);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let share = |thread: usize| {
            let first = PACKS * (1 + thread);
            scope.spawn(move || put_packs(backend, pack, first..first + PACKS / THREADS))
        };
        let threads: Vec<_> = (0..THREADS).map(share).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<Duration>>>| {
            thread.join().expect("no thread panics").map(drop)
        };
        threads.into_iter().try_for_each(join)
    })?;
    let each = start.elapsed() / PACKS as u32;
    show("pack, four threads, each", PACK_BYTES, vec![each]);
    let entry = random(ENTRY_BYTES);
    let append = |number: usize| {
        timed(|| {
            let put = backend.put_if_absent(&format!("log/0/{number}"), &entry)?;
            assert_eq!(put, Put::Created);
            Ok(())
        })
    };
    let times: Result<Vec<Duration>> = (1..=ENTRIES).map(append).collect();
    show("entry, 4 KiB, if absent", ENTRY_BYTES, times?);
    Ok(())
}

fn main() -> Result<()> {
    let given = std::env::args_os()
        .skip(1)
        .filter(|a| !a.as_encoded_bytes().starts_with(b"--"));
    let mut places: Vec<PathBuf> = given.map(PathBuf::from).collect();
    if places.is_empty() {
        places = vec![PathBuf::from("/dev/shm"), std::env::temp_dir()];
    }
    for place in places {
        let place = place.join(format!("larder-bench-{}", std::process::id()));
        let measured = measure(&place);
        let _: std::io::Result<()> = std::fs::remove_dir_all(&place);
        measured?;
    }
    Ok(())
}
