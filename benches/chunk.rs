//! How fast content is cut, against the loop of the `fastcdc` crate.

use fastcdc::v2020::{Normalization, cut_gear, select_masks};
use repo_benches::{random, report, text_or_argument};
use repo_core::chunk::{Chunker, Gear, Segments, Sizes};
use std::hint::black_box;
use std::sync::Arc;

/// What fits in the cache, as a segment does that was just read.
const BYTES: usize = 8 << 20;

fn ours(chunker: &Chunker, mut data: &[u8]) -> u64 {
    let mut chunks = 0;
    while let Some(len) = chunker.cut(data, true) {
        data = &data[len..];
        chunks += 1;
    }
    chunks
}

/// The same table as any, not ours: what it holds makes no difference to the speed.
fn theirs(sizes: Sizes, mut data: &[u8]) -> u64 {
    let bytes = random(2048);
    let word = |word: &[u8; 8]| u64::from_le_bytes(*word);
    let gear: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(word).collect();
    let shifted: Vec<u64> = gear.iter().map(|word| word << 1).collect();
    let (min, avg, max) = (
        sizes.min() as usize,
        sizes.avg() as usize,
        sizes.max() as usize,
    );
    let (strict, loose) = select_masks(avg, Normalization::Level1);
    let masks = (strict, loose, strict << 1, loose << 1);
    let mut chunks = 0;
    while !data.is_empty() {
        let (_, len) = cut_gear(
            data, min, avg, max, masks.0, masks.1, masks.2, masks.3, &gear, &shifted,
        );
        data = &data[len..];
        chunks += 1;
    }
    chunks
}

fn main() {
    for (name, data) in [("random", random(BYTES)), ("text", text_or_argument(BYTES))] {
        for kib in [16, 64, 256, 1024] {
            let sizes = Sizes::new(kib << 8, kib << 10, kib << 12).expect("sizes of the bench");
            let chunker = Chunker::new(Arc::new(Gear::from_key(&[7; 32])), sizes);
            report(&format!("cut {name}, {kib} KiB"), data.len(), || {
                black_box(ours(&chunker, black_box(&data)));
            });
            report(
                &format!("cut {name}, {kib} KiB, fastcdc 5.0.0"),
                data.len(),
                || {
                    black_box(theirs(sizes, black_box(&data)));
                },
            );
            let mut segments = Segments::new(4 << 20);
            report(&format!("stream {name}, {kib} KiB"), data.len(), || {
                black_box(segments.stream(&chunker, &data[..], None).count());
            });
        }
    }
}
