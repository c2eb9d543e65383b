//! Data that the benches share, and how they measure.
//!
//! Every bench is a program that prints a table: `cargo bench -p repo-benches --bench chunk`. A path given as argument
//! is read instead of the text that is made up here.

pub mod made;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Runs of `work` that are timed; the fastest counts, because everything else on the machine only slows down.
const RUNS: usize = 40;

/// No more runs once they took so long together.
const ENOUGH: Duration = Duration::from_millis(1500);

/// The shortest time that `work` takes on what `prepare` makes for it, in many runs after one that is not counted.
pub fn fastest_of<T>(mut prepare: impl FnMut() -> T, mut work: impl FnMut(T)) -> Duration {
    work(prepare());
    let begun = Instant::now();
    let mut fastest = Duration::MAX;
    for run in 0..RUNS {
        if run >= 3 && begun.elapsed() > ENOUGH {
            break;
        }
        let prepared = prepare();
        let start = Instant::now();
        work(prepared);
        fastest = fastest.min(start.elapsed());
    }
    fastest
}

/// The shortest time that `work` takes, in many runs after one that is not counted.
pub fn fastest(mut work: impl FnMut()) -> Duration {
    fastest_of(|| (), |()| work())
}

/// Prints `name` and the speed of `work`, which handles `bytes`, in MB/s (10⁶ bytes). Returns the speed.
pub fn report(name: &str, bytes: usize, work: impl FnMut()) -> f64 {
    show(name, bytes, fastest(work))
}

/// Prints `name` and the speed of handling `bytes` in `time`. Returns the speed.
pub fn show(name: &str, bytes: usize, time: Duration) -> f64 {
    let speed = bytes as f64 / 1e6 / time.as_secs_f64();
    println!("{name:40} {speed:8.0} MB/s");
    speed
}

/// `len` bytes that nothing compresses, the same every time.
pub fn random(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// `len` bytes that compress about as well as source text, the same every time.
///
/// Words of a made-up vocabulary, the frequent ones much more often, in lines that are indented and sometimes repeated.
pub fn text(len: usize) -> Vec<u8> {
    let dice = random(len / 2 + 4096);
    let mut dice = dice.iter().map(|byte| usize::from(*byte)).cycle();
    let mut roll = move |sides: usize| {
        let high = dice.next().unwrap_or_default();
        ((high << 8 | dice.next().unwrap_or_default()) * sides) >> 16
    };
    let letters = b"etaoinsrhldcumfpgwybvkxjqz_";
    let words: Vec<Vec<u8>> = (0..6000)
        .map(|_| {
            (0..2 + roll(9))
                .map(|_| letters[roll(27) * roll(28) / 27])
                .collect()
        })
        .collect();
    let mut bytes = Vec::with_capacity(len + 256);
    while bytes.len() < len {
        if bytes.len() > 2000 && roll(12) == 0 {
            let from = bytes.len() - 40 - roll(1900);
            bytes.extend_from_within(from..from + 40);
        }
        bytes.extend(std::iter::repeat_n(b'\t', roll(4)));
        for _ in 0..2 + roll(7) {
            bytes.extend_from_slice(&words[roll(78) * roll(79) % 6000]);
            bytes.extend_from_slice([" ", "(", ", ", " = ", "->", ") "][roll(6)].as_bytes());
        }
        bytes.extend_from_slice(b";\n");
    }
    bytes.truncate(len);
    bytes
}

/// The files below the path given on the command line in walk order, concatenated up to `len` bytes, else [`text`].
pub fn text_or_argument(len: usize) -> Vec<u8> {
    match std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"))
    {
        Some(path) => concatenated(Path::new(&path), len),
        None => text(len),
    }
}

fn concatenated(path: &Path, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop().filter(|_| bytes.len() < len) {
        if path.is_dir() && !path.is_symlink() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let mut inside: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            inside.sort_by(|a, b| b.cmp(a));
            paths.extend(inside);
        } else if path.is_file() && !path.is_symlink() {
            bytes.extend(std::fs::read(&path).unwrap_or_default());
        }
    }
    bytes.truncate(len);
    bytes
}
