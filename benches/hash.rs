//! How fast blobs of several lengths are hashed with a key, on one core.

use repo_benches::{random, report};
use std::hint::black_box;

const BYTES: usize = 64 << 20;

fn main() {
    let data = random(BYTES);
    for kib in [4, 16, 64, 256, 1024] {
        report(&format!("keyed BLAKE3, {kib} KiB"), data.len(), || {
            for blob in black_box(&data).chunks(kib << 10) {
                black_box(blake3::keyed_hash(&[7; 32], blob));
            }
        });
    }
}
