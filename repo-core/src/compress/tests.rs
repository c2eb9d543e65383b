use super::*;
use crate::ErrorKind;
use proptest::prelude::*;

fn random(label: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(label.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Words in lines, with a vocabulary of 4096.
fn text(label: &str, len: usize) -> Vec<u8> {
    let dice = random(label, len);
    let mut bytes = Vec::with_capacity(len + 16);
    for pair in dice.chunks_exact(2) {
        let word = u32::from(pair[0]) << 4 | u32::from(pair[1] & 15);
        bytes.extend_from_slice(format!("{:x}", word.wrapping_mul(2_654_435_761) >> 12).as_bytes());
        bytes.push(if pair[1] < 20 { b'\n' } else { b' ' });
        if bytes.len() >= len {
            break;
        }
    }
    bytes.resize(len, b'.');
    bytes
}

/// Lines as `pg_dump` writes them of a table with hashes in hexadecimal and a padded column.
fn hashes(label: &str, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 200);
    for (i, hash) in random(label, len / 4).chunks_exact(16).enumerate() {
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{hash} customer {} street {}", i % 500, i % 430);
        let line = format!("{}\t{}\t0\t{text:84}\n", 3_081_727 + i, 31 + i / 9999);
        bytes.extend_from_slice(line.as_bytes());
        if bytes.len() >= len {
            break;
        }
    }
    bytes.truncate(len);
    bytes
}

/// Markers now and then in bytes that nothing compresses, as in a photograph.
fn picture(label: &str, len: usize) -> Vec<u8> {
    let mut bytes = random(label, len);
    bytes[..600].fill(0);
    bytes.chunks_mut(3000).for_each(|chunk| chunk[0] = 0xff);
    bytes
}

fn machine(level: Level) -> (Compressor, Decompressor) {
    (
        Compressor::new(level).unwrap(),
        Decompressor::new().unwrap(),
    )
}

/// Compresses, verifies, expands; gives the encoding and the stored length.
fn there_and_back(level: Level, plain: &[u8]) -> (Encoding, usize) {
    let (mut compressor, mut decompressor) = machine(level);
    let (mut buffer, mut out) = (vec![1; 10], vec![2; 20]);
    let (encoding, stored) = compressor.compress(plain, &mut buffer).unwrap();
    decompressor.verify(encoding, stored, plain, None).unwrap();
    decompressor
        .decompress(encoding, stored, plain.len(), None, &mut out)
        .unwrap();
    assert!(out == plain);
    (encoding, stored.len())
}

const LEN: usize = 1 << 20;

#[test]
fn what_does_not_shrink_is_stored() {
    for level in [
        Level::Off,
        Level::Fast,
        Level::Auto,
        Level::Better,
        Level::Max,
    ] {
        for plain in [
            random("a", LEN),
            random("b", 5000),
            picture("c", LEN),
            random("d", 1),
            vec![],
        ] {
            let (encoding, len) = there_and_back(level, &plain);
            assert_eq!(
                (encoding, len),
                (Encoding::Stored, plain.len()),
                "{level:?}"
            );
        }
    }
}

#[test]
fn what_shrinks_is_compressed() {
    for level in [Level::Fast, Level::Auto, Level::Better] {
        for plain in [
            text("a", LEN),
            text("b", 5000),
            hashes("c", LEN),
            vec![0; LEN],
            vec![7; 500],
        ] {
            let (encoding, len) = there_and_back(level, &plain);
            assert!(
                encoding == Encoding::Zstd && len < plain.len() * 2 / 3,
                "{level:?} {len}"
            );
        }
    }
    let plain = text("a", LEN);
    assert_eq!(there_and_back(Level::Off, &plain), (Encoding::Stored, LEN));
    let lens = [Level::Fast, Level::Auto, Level::Better, Level::Max]
        .map(|level| there_and_back(level, &plain[..LEN / 4]).1);
    assert!(lens.is_sorted_by(|a, b| a > b), "{lens:?}");
}

#[test]
fn a_text_among_random_bytes_is_not_overlooked() {
    let mut sampler = sample::Sampler::new().unwrap();
    assert!(sampler.looks_random(&random("mixed", LEN)).unwrap());
    for at in (0..=LEN - (36 << 10)).step_by(5003) {
        let mut plain = random("mixed", LEN);
        plain[at..at + (36 << 10)].copy_from_slice(&text("mixed", 36 << 10));
        assert!(!sampler.looks_random(&plain).unwrap(), "at {at}");
    }
    let mut plain = random("mixed", LEN);
    plain[LEN / 2..].copy_from_slice(&text("mixed", LEN / 2));
    let (encoding, len) = there_and_back(Level::Auto, &plain);
    assert!(encoding == Encoding::Zstd && len < LEN * 4 / 5, "{len}");
}

#[test]
fn samples_tell_lean_from_rich() {
    let mut sampler = sample::Sampler::new().unwrap();
    assert!(sampler.looks_lean(&hashes("lean", LEN)).unwrap());
    assert!(!sampler.looks_lean(&text("rich", LEN)).unwrap());
    assert!(!sampler.looks_lean(&vec![0; LEN]).unwrap());
    let plain = hashes("lean", LEN);
    let zstd3 = zstd::bulk::compress(&plain, 3).unwrap().len();
    let (_, len) = there_and_back(Level::Auto, &plain);
    assert!(len < zstd3 * 95 / 100, "{len} {zstd3}");
}

#[test]
fn a_delta_is_as_short_as_the_change() {
    for base in [text("base", LEN), hashes("base", LEN), random("base", LEN)] {
        for level in [Level::Fast, Level::Auto, Level::Better] {
            let (mut compressor, mut decompressor) = machine(level);
            let mut plain = base[1000..].to_vec();
            plain.splice(500_000..500_010, *b"a new sentence");
            let mut stored = vec![3; 3];
            assert!(
                compressor
                    .compress_delta(&plain, &base, 4000, &mut stored)
                    .unwrap()
            );
            assert!(stored.len() < 2000, "{level:?} {}", stored.len());
            decompressor
                .verify(Encoding::Delta, &stored, &plain, Some(&base))
                .unwrap();
            let mut out = Vec::new();
            let other = [&base[..LEN - 1], b"?"].concat();
            let wrong = decompressor
                .decompress(
                    Encoding::Delta,
                    &stored,
                    plain.len(),
                    Some(&other[1..]),
                    &mut out,
                )
                .is_err();
            assert!(wrong || out != plain);
        }
    }
}

#[test]
fn a_prefix_that_looks_like_a_dictionary_is_bytes_all_the_same() {
    let (mut compressor, mut decompressor) = machine(Level::Auto);
    let mut prefix = text("dictionary", 100_000);
    prefix[..4].copy_from_slice(&0xec30_a437_u32.to_le_bytes());
    let (plain, mut stored) = (prefix.clone(), Vec::new());
    assert!(
        compressor
            .compress_delta(&plain, &prefix, 1000, &mut stored)
            .unwrap()
    );
    decompressor
        .verify(Encoding::Delta, &stored, &plain, Some(&prefix))
        .unwrap();
}

#[test]
fn a_delta_that_gains_nothing_is_declined() {
    let (mut compressor, _) = machine(Level::Auto);
    let (plain, mut out) = (random("plain", LEN), Vec::new());
    assert!(
        !compressor
            .compress_delta(&plain, &random("other", LEN), LEN / 2, &mut out)
            .unwrap()
    );
    let (mut off, _) = machine(Level::Off);
    assert!(!off.compress_delta(&plain, &plain, LEN, &mut out).unwrap());
}

#[test]
fn verify_finds_what_is_wrong() {
    let (mut compressor, mut decompressor) = machine(Level::Auto);
    let (plain, mut stored) = (text("verify", LEN), Vec::new());
    let (encoding, _) = compressor.compress(&plain, &mut stored).unwrap();
    let mut other = plain.clone();
    other[LEN / 2] ^= 1;
    let kind = |result: Result<()>| result.unwrap_err().kind();
    assert_eq!(
        kind(decompressor.verify(encoding, &stored, &other, None)),
        ErrorKind::Damaged
    );
    assert_eq!(
        kind(decompressor.verify(encoding, &stored, &plain[1..], None)),
        ErrorKind::Damaged
    );
    let as_is = Encoding::Stored;
    assert_eq!(
        kind(decompressor.verify(as_is, &plain, &other, None)),
        ErrorKind::Damaged
    );
    decompressor.verify(as_is, &plain, &plain, None).unwrap();
}

#[test]
fn damaged_input_is_refused() {
    let (mut compressor, mut decompressor) = machine(Level::Auto);
    let (plain, mut stored, mut out) = (text("damage", 100_000), Vec::new(), Vec::new());
    let (encoding, _) = compressor.compress(&plain, &mut stored).unwrap();
    let mut expect = |stored: &[u8], raw_len: usize, what: &str| {
        let result = decompressor.decompress(encoding, stored, raw_len, None, &mut out);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Damaged, "{what}");
    };
    for len in 0..stored.len().min(200) {
        expect(&stored[..len], plain.len(), "cut off");
    }
    expect(&stored[..stored.len() - 1], plain.len(), "cut off by one");
    expect(
        &[&stored[..], &[0]].concat(),
        plain.len(),
        "something behind",
    );
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    expect(
        &[&stored[..], &skippable].concat(),
        plain.len(),
        "a skippable frame behind",
    );
    expect(
        &[&skippable, &stored[..]].concat(),
        plain.len(),
        "a skippable frame before",
    );
    let empty = zstd::bulk::compress(&[], 3).unwrap();
    expect(
        &[&stored[..], &empty].concat(),
        plain.len(),
        "an empty frame behind",
    );
    expect(&stored, plain.len() - 1, "shorter");
    expect(&stored, plain.len() + 1, "longer");
    expect(&stored, 0, "empty");
}

#[test]
fn frames_of_another_form_are_refused() {
    let (_, mut decompressor) = machine(Level::Auto);
    let (plain, mut out) = (text("form", 100_000), Vec::new());
    let mut expect = |stored: &[u8], raw_len: usize| {
        let result = decompressor.decompress(Encoding::Zstd, stored, raw_len, None, &mut out);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        error.detail_text().unwrap().to_owned()
    };
    let mut checksum = zstd::bulk::Compressor::new(3).unwrap();
    checksum.include_checksum(true).unwrap();
    assert!(expect(&checksum.compress(&plain).unwrap(), plain.len()).contains("form"));
    let mut sizeless = zstd::bulk::Compressor::new(3).unwrap();
    sizeless.include_contentsize(false).unwrap();
    assert!(expect(&sizeless.compress(&plain).unwrap(), plain.len()).contains("length"));
    // Magic, descriptor with 8 bytes of content size, window of 2^28 bytes, size, one empty last block.
    let mut wide = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1100_0000, 18 << 3];
    wide.extend_from_slice(&0u64.to_le_bytes());
    wide.extend_from_slice(&[1, 0, 0]);
    assert!(expect(&wide, 0).contains("window"));
    wide[5] = 17 << 3;
    let mut decompressor = Decompressor::new().unwrap();
    decompressor
        .decompress(Encoding::Zstd, &wide, 0, None, &mut Vec::new())
        .unwrap();
}

#[test]
fn lengths_and_prefixes_from_outside_are_checked() {
    let (mut compressor, mut decompressor) = machine(Level::Auto);
    let mut out = Vec::new();
    let mut kind = |encoding, raw_len, prefix| {
        decompressor
            .decompress(encoding, &[], raw_len, prefix, &mut out)
            .unwrap_err()
            .kind()
    };
    assert_eq!(
        kind(Encoding::Stored, RAW_LEN_MAX + 1, None),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        kind(Encoding::Zstd, usize::MAX, None),
        ErrorKind::InvalidInput
    );
    assert_eq!(kind(Encoding::Stored, 1, None), ErrorKind::Damaged);
    assert_eq!(kind(Encoding::Zstd, RAW_LEN_MAX, None), ErrorKind::Damaged);
    assert_eq!(kind(Encoding::Delta, 1, None), ErrorKind::InvalidInput);
    assert_eq!(kind(Encoding::Zstd, 1, Some(&[1])), ErrorKind::InvalidInput);
    assert_eq!(
        kind(Encoding::Stored, 1, Some(&[1])),
        ErrorKind::InvalidInput
    );
    assert_eq!(kind(Encoding::Dictionary, 1, None), ErrorKind::Unsupported);
    assert!(
        out.capacity() < RAW_LEN_MAX,
        "refused before anything is reserved"
    );
    let large = vec![0; RAW_LEN_MAX + 1];
    assert!(compressor.compress(&large, &mut Vec::new()).is_err());
    assert!(
        compressor
            .compress_delta(&[], &large, 1, &mut Vec::new())
            .is_err()
    );
}

#[test]
fn encodings_have_their_numbers() {
    for number in 0..=3 {
        assert_eq!(u8::from(Encoding::try_from(number).unwrap()), number);
    }
    for number in 4..=255 {
        assert_eq!(
            Encoding::try_from(number).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }
    assert_eq!(u8::from(Encoding::Delta), 3);
}

/// Frames stay readable: one by hand from RFC 8878, and what the header of ours looks like.
#[test]
fn the_form_of_a_frame() {
    let (mut compressor, mut decompressor) = machine(Level::Auto);
    let mut out = Vec::new();
    // Magic, one segment, ten bytes of content; one last block, a run of one byte, ten times.
    let frame = [
        0x28,
        0xb5,
        0x2f,
        0xfd,
        0x20,
        10,
        1 | 1 << 1 | 10 << 3,
        0,
        0,
        b'a',
    ];
    decompressor
        .decompress(Encoding::Zstd, &frame, 10, None, &mut out)
        .unwrap();
    assert_eq!(out, [b'a'; 10]);
    compressor.compress(&[b'a'; 300_000], &mut out).unwrap();
    assert_eq!(out[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(out[4] & 0b11111, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn anything_comes_back(
        label in ".{4}", parts in prop::collection::vec((0..5usize, 0..40_000usize), 0..8), level in 0..4usize,
    ) {
        let level = [Level::Off, Level::Fast, Level::Auto, Level::Better][level];
        let kinds = [random, text, hashes, picture_or_less, zeros];
        let plain: Vec<u8> = parts.iter().flat_map(|(kind, len)| kinds[*kind](&label, *len)).collect();
        let (encoding, len) = there_and_back(level, &plain);
        prop_assert!(encoding == Encoding::Stored || len < plain.len() - plain.len() / 64);
    }

    #[test]
    fn a_delta_comes_back(label in ".{4}", at in 0..50_000usize, len in 0..50_000usize, keep in 0..100_000usize) {
        let base = text(&label, 100_000);
        let mut plain = base[..keep].to_vec();
        plain.splice(at.min(keep)..at.min(keep), random(&label, len));
        let (mut compressor, mut decompressor) = machine(Level::Auto);
        let mut stored = Vec::new();
        compressor.compress_delta(&plain, &base, 0, &mut stored).unwrap();
        decompressor.verify(Encoding::Delta, &stored, &plain, Some(&base)).unwrap();
    }

    #[test]
    fn a_flipped_bit_never_panics(at in 0usize..30_000, bit in 0..8, len in 1usize..70_000) {
        let (mut compressor, mut decompressor) = machine(Level::Fast);
        let (plain, mut stored, mut out) = (text("flip", 60_000), Vec::new(), Vec::new());
        let (encoding, _) = compressor.compress(&plain, &mut stored).unwrap();
        let at = at % stored.len();
        stored[at] ^= 1u8 << bit;
        match decompressor.decompress(encoding, &stored, plain.len(), None, &mut out) {
            Ok(()) => prop_assert_eq!(out.len(), plain.len()),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Damaged),
        }
        prop_assert!(len == plain.len()
            || decompressor.decompress(encoding, &stored, len, None, &mut Vec::new()).is_err());
    }
}

fn picture_or_less(label: &str, len: usize) -> Vec<u8> {
    if len < 600 {
        random(label, len)
    } else {
        picture(label, len)
    }
}

fn zeros(_: &str, len: usize) -> Vec<u8> {
    vec![0; len]
}
