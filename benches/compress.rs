//! How fast blocks are compressed, verified and expanded, and how small they become.

use repo_benches::{random, report, text_or_argument};
use repo_core::compress::{Compressor, Decompressor, Encoding, Level};
use std::hint::black_box;

const BLOCK_BYTES: usize = 2 << 20;
const BLOCKS: usize = 16;

fn compress(name: &str, data: &[u8], level: Level) -> Vec<(Encoding, Vec<u8>)> {
    let mut compressor = Compressor::new(level).expect("memory for zstd");
    let mut stored = Vec::new();
    report(&format!("compress {name}, {level:?}"), data.len(), || {
        stored.clear();
        for plain in data.chunks(BLOCK_BYTES) {
            let mut out = Vec::new();
            let (encoding, _) = compressor
                .compress(plain, &mut out)
                .expect("a block of the bench");
            stored.push(match encoding {
                Encoding::Stored => (encoding, plain.to_vec()),
                _ => (encoding, out),
            });
        }
    });
    let bytes: usize = stored.iter().map(|(_, out)| out.len()).sum();
    println!(
        "{:40} {:8.3} of {} MB",
        "",
        bytes as f64 / data.len() as f64,
        data.len() / 1_000_000
    );
    stored
}

fn bare(name: &str, data: &[u8], level: i32) {
    let mut compressor = zstd::bulk::Compressor::new(level).expect("memory for zstd");
    let mut out = vec![0; zstd::zstd_safe::compress_bound(BLOCK_BYTES)];
    report(
        &format!("compress {name}, zstd -{level}"),
        data.len(),
        || {
            for plain in data.chunks(BLOCK_BYTES) {
                black_box(
                    compressor
                        .compress_to_buffer(plain, &mut out)
                        .expect("enough room"),
                );
            }
        },
    );
}

fn expand(name: &str, data: &[u8], stored: &[(Encoding, Vec<u8>)]) {
    let mut decompressor = Decompressor::new().expect("memory for zstd");
    let blocks = || data.chunks(BLOCK_BYTES).zip(stored);
    report(&format!("verify {name}"), data.len(), || {
        for (plain, (encoding, stored)) in blocks() {
            decompressor
                .verify(*encoding, stored, plain, None)
                .expect("what was compressed");
        }
    });
    let mut out = Vec::new();
    report(&format!("expand {name}"), data.len(), || {
        for (plain, (encoding, stored)) in blocks() {
            let len = plain.len();
            decompressor
                .decompress(*encoding, stored, len, None, &mut out)
                .expect("as verified");
        }
    });
}

fn delta(data: &[u8]) {
    let mut compressor = Compressor::new(Level::Auto).expect("memory for zstd");
    let (mut changed, mut out) = (data.to_vec(), Vec::new());
    for at in (0..changed.len()).step_by(100_000) {
        changed[at] ^= 1;
    }
    report("delta of text, one byte in 100,000", data.len(), || {
        for (plain, prefix) in changed.chunks(BLOCK_BYTES).zip(data.chunks(BLOCK_BYTES)) {
            black_box(compressor.compress_delta(plain, prefix, plain.len(), &mut out))
                .expect("a block of the bench");
        }
    });
}

fn main() {
    let len = BLOCKS * BLOCK_BYTES;
    let text = text_or_argument(len);
    for level in [Level::Fast, Level::Auto, Level::Better] {
        let stored = compress("text", &text, level);
        expand("text", &text, &stored);
    }
    bare("text", &text, 3);
    delta(&text);
    for (name, data) in [("random", random(len)), ("zeros", vec![0; len])] {
        let stored = compress(name, &data, Level::Auto);
        expand(name, &data, &stored);
    }
    bare("random", &random(len), 3);
}
