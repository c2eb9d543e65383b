use super::*;
use fastcdc::v2020::cut_gear;
use proptest::prelude::*;
use std::io::Read;
use std::path::Path;

const VECTORS: &str = include_str!("../../../docs/vectors/chunk.txt");

fn random(label: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(label.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Bytes in which runs, repetitions and few symbols are frequent.
fn patchwork(label: &str, len: usize) -> Vec<u8> {
    let dice = random(label, len / 16 + 64);
    let mut bytes = Vec::with_capacity(len + 1024);
    for pair in dice.chunks_exact(8) {
        let run = usize::from(pair[1]) * 4;
        match pair[0] % 4 {
            0 => bytes.resize(bytes.len() + run, pair[2]),
            1 => bytes.extend_from_slice(&dice[..run.min(dice.len())]),
            2 => bytes.extend(dice.iter().take(run).map(|byte| b'a' + byte % 16)),
            _ => bytes.extend_from_slice(pair),
        }
    }
    bytes.resize(len, 0);
    bytes
}

fn chunker(key: u8, sizes: (u32, u32, u32)) -> Chunker {
    let sizes = Sizes::new(sizes.0, sizes.1, sizes.2).unwrap();
    Chunker::new(Arc::new(Gear::from_key(&[key; 32])), sizes)
}

/// Lengths of all chunks of `data`.
fn lengths(chunker: &Chunker, mut data: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    while let Some(len) = chunker.cut(data, true) {
        found.push(len);
        data = &data[len..];
    }
    assert!(data.is_empty());
    found
}

/// The same by the loop of the `fastcdc` crate.
fn oracle(chunker: &Chunker, mut data: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let (tables, sizes) = (chunker.gear.tables(), chunker.sizes);
    while !data.is_empty() {
        let (_, len) = cut_gear(
            data,
            as_usize(sizes.min()),
            as_usize(sizes.avg()),
            as_usize(sizes.max()),
            chunker.strict,
            chunker.loose,
            chunker.strict << 1,
            chunker.loose << 1,
            &tables.plain,
            &tables.shifted,
        );
        found.push(len);
        data = &data[len..];
    }
    found
}

/// A reader that hands out as many bytes as `portions` say, in turns.
struct Trickle<'a> {
    data: &'a [u8],
    portions: &'a [usize],
    turn: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(7) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let portion = self.portions[self.turn % self.portions.len()];
        let len = portion.min(buffer.len()).min(self.data.len());
        buffer[..len].copy_from_slice(&self.data[..len]);
        self.data = &self.data[len..];
        Ok(len)
    }
}

#[test]
fn golden_vectors() {
    let mut seen = 0;
    for line in VECTORS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (head, cuts) = line.split_once(':').unwrap();
        let head: Vec<&str> = head.split_whitespace().collect();
        let [label, len, key, min, avg, max] = head[..] else {
            panic!("{line}")
        };
        let number = |text: &str| text.parse::<u32>().unwrap();
        let sizes = Sizes::new(number(min), number(avg), number(max)).unwrap();
        let key: Vec<u8> = (0..32)
            .map(|i| u8::from_str_radix(&key[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let gear = Gear::from_key(key.as_slice().try_into().unwrap());
        let data = random(label, len.parse().unwrap());
        let found = lengths(&Chunker::new(Arc::new(gear), sizes), &data);
        let wanted: Vec<usize> = cuts
            .split_whitespace()
            .map(|cut| cut.parse().unwrap())
            .collect();
        assert_eq!(found, wanted, "{label} {sizes:?}");
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn the_table_is_the_key_expanded() {
    let gear = Gear::from_key(&[7; 32]);
    let mut bytes = [0; 2048];
    let mut hasher = blake3::Hasher::new_derive_key("larder v1 gear table");
    hasher.update(&[7; 32]).finalize_xof().fill(&mut bytes);
    for i in 0..256 {
        let word = u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap());
        assert_eq!(
            (gear.tables().plain[i], gear.tables().shifted[i]),
            (word, word << 1)
        );
    }
    assert_eq!(format!("{gear:?}"), "Gear(secret)");
}

#[test]
fn masks_end_below_the_window() {
    for bits in 10..=22 {
        let (strict, loose) = select_masks(1 << bits, Normalization::Level1);
        assert_eq!((strict | loose) >> scan::WINDOW, 0);
        assert_eq!(
            (strict.count_ones(), loose.count_ones()),
            (bits + 1, bits - 1)
        );
    }
}

#[test]
fn nothing_is_not_a_chunk_and_a_rest_is_one_at_the_end() {
    let chunker = chunker(1, (256, 1024, 4096));
    assert_eq!(chunker.cut(&[], true), None);
    assert_eq!(chunker.cut(&[], false), None);
    assert_eq!(chunker.cut(&[0; 100], false), None);
    assert_eq!(chunker.cut(&[0; 100], true), Some(100));
    assert_eq!(chunker.cut(&[0; 4095], false), None);
    assert_eq!(chunker.cut(&[0; 4096], false), Some(4096));
    assert_eq!(chunker.cut(&[0; 9000], true), Some(4096));
}

#[test]
fn mean_and_bounds_are_what_the_documents_say() {
    let chunker = chunker(3, (16 << 10, 64 << 10, 256 << 10));
    let found = lengths(&chunker, &random("mean", 32 << 20));
    let (_, inner) = found.split_last().unwrap();
    assert!(inner.iter().all(|len| (16 << 10..=256 << 10).contains(len)));
    let mean = (32 << 20) / found.len();
    assert!((72 << 10..88 << 10).contains(&mean), "{mean}");
}

#[test]
fn keys_cut_differently() {
    let data = random("keys", 4 << 20);
    let ends = |key| {
        let cuts = lengths(&chunker(key, (1 << 10, 4 << 10, 16 << 10)), &data);
        cuts.iter()
            .scan(0, |end, len| {
                *end += len;
                Some(*end)
            })
            .collect::<std::collections::HashSet<_>>()
    };
    let (one, other) = (ends(1), ends(2));
    assert!(one.len() > 500 && one.intersection(&other).count() < one.len() / 50);
}

#[test]
fn large_sizes_agree_with_the_oracle() {
    for (kind, len) in [
        (SourceKind::Stream, 9_000_001),
        (SourceKind::File { len: 5 << 30 }, 9_000_000),
        (SourceKind::File { len: 1 << 40 }, 20_000_003),
        (SourceKind::of_file(Path::new("a.mkv"), 1 << 30), 30_000_001),
    ] {
        let chunker = Chunker::new(Arc::new(Gear::from_key(&[9; 32])), sizes_for(kind));
        for data in [random("large", len), patchwork("large", len), vec![0; len]] {
            assert_eq!(
                lengths(&chunker, &data),
                oracle(&chunker, &data),
                "{kind:?}"
            );
        }
    }
}

#[test]
fn an_insert_moves_few_chunks() {
    let chunker = chunker(5, (1 << 10, 4 << 10, 16 << 10));
    let before = random("insert", 1 << 20);
    let mut after = before.clone();
    after.splice(500_000..500_000, *b"seventeen letters");
    let chunks = |data: &[u8]| -> Vec<Vec<u8>> {
        let mut rest = data;
        let cut = |len| {
            let (chunk, tail) = rest.split_at(len);
            rest = tail;
            chunk.to_vec()
        };
        lengths(&chunker, data).into_iter().map(cut).collect()
    };
    let (old, new) = (chunks(&before), chunks(&after));
    let fresh = new.iter().filter(|chunk| !old.contains(chunk)).count();
    assert!((1..=4).contains(&fresh), "{fresh} of {}", new.len());
}

#[test]
fn a_stream_reuses_its_buffers() {
    let chunker = chunker(1, (64, 1024, 4096));
    let data = random("reuse", 1 << 20);
    let mut segments = Segments::new(16 << 10);
    let addresses: std::collections::HashSet<_> = (0..3)
        .flat_map(|_| {
            let pieces = segments.stream(&chunker, &data[..], None);
            pieces
                .map(|piece| piece.unwrap().into_parts().0.as_ptr())
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(
        addresses.len() <= 1 + stream::RETIRED_MAX,
        "{}",
        addresses.len()
    );
    let held: Vec<_> = segments
        .stream(&chunker, &data[..], None)
        .map(Result::unwrap)
        .collect();
    let again: Vec<u8> = held.iter().flat_map(|piece| piece.to_vec()).collect();
    assert!(again == data, "pieces that are held are not overwritten");
}

#[test]
fn a_short_source_gets_a_short_buffer() {
    let chunker = chunker(1, (64, 1024, 4096));
    let data = random("short", 5000);
    let mut segments = Segments::new(1 << 20);
    for piece in segments.stream(&chunker, &data[..], Some(5000)) {
        assert_eq!(piece.unwrap().into_parts().0.len(), 5001);
    }
    // The source has grown since it was asked for its length.
    let pieces: Vec<_> = segments.stream(&chunker, &data[..], Some(2000)).collect();
    let all: Vec<u8> = pieces
        .into_iter()
        .flat_map(|piece| piece.unwrap().to_vec())
        .collect();
    assert!(all == data);
    assert_eq!(&*Piece::from(data.clone()), &data[..]);
}

#[test]
fn a_reader_that_fails_ends_the_stream() {
    struct Fails(usize);
    impl Read for Fails {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 -= buffer.len().min(self.0);
            match self.0 {
                0 => Err(std::io::ErrorKind::PermissionDenied.into()),
                _ => Ok(buffer.len()),
            }
        }
    }
    let chunker = chunker(1, (64, 1024, 4096));
    let mut segments = Segments::new(0);
    let mut pieces = segments.stream(&chunker, Fails(100_000), None);
    let error = pieces.by_ref().find_map(Result::err).unwrap();
    assert_eq!(error.kind(), crate::ErrorKind::Denied);
    assert!(pieces.next().is_none());
}

prop_compose! {
    fn some_sizes()(bits in 10u32..15, shift in 1u32..4, factor in 2u32..9, odd in 0u32..16) -> (u32, u32, u32) {
        let avg = 1u32 << bits;
        ((avg >> shift) - 2 * odd, avg, avg * factor + 2 * odd)
    }
}

prop_compose! {
    fn some_data()(label in ".{8}", len in 0usize..200_000, kind in 0..3) -> Vec<u8> {
        match kind {
            0 => random(&label, len),
            1 => patchwork(&label, len),
            _ => random(&label, len).into_iter().map(|byte| byte & 3).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn chunks_have_bounds_and_agree_with_the_oracle(sizes in some_sizes(), data in some_data(), key: u8) {
        let chunker = chunker(key, sizes);
        let found = lengths(&chunker, &data);
        prop_assert_eq!(found.iter().sum::<usize>(), data.len());
        prop_assert!(found.iter().all(|len| *len <= as_usize(sizes.2)));
        prop_assert!(found.iter().rev().skip(1).all(|len| *len >= as_usize(sizes.0)));
        prop_assert_eq!(found, oracle(&chunker, &data));
    }

    #[test]
    fn a_cut_stays_when_more_data_comes(sizes in some_sizes(), data in some_data(), part in 0.0..1.0f64) {
        let chunker = chunker(7, sizes);
        let whole = chunker.cut(&data, true);
        let part = &data[..(data.len() as f64 * part) as usize];
        if let Some(len) = chunker.cut(part, false) {
            prop_assert_eq!(Some(len), whole);
        } else {
            prop_assert!(whole.is_none_or(|len| len + 1 >= part.len()));
        }
    }

    #[test]
    fn a_stream_cuts_as_if_all_were_there(
        sizes in some_sizes(),
        data in some_data(),
        segment in 0usize..300_000,
        portions in prop::collection::vec(1usize..70_000, 1..5),
        hint in prop::option::of(0u64..400_000),
    ) {
        let chunker = chunker(7, sizes);
        let mut segments = Segments::new(segment);
        let reader = Trickle { data: &data, portions: &portions, turn: 0 };
        let pieces: Vec<Piece> = segments.stream(&chunker, reader, hint).map(Result::unwrap).collect();
        let found: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
        prop_assert_eq!(found, lengths(&chunker, &data));
        let again: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        prop_assert!(again == data);
    }

    #[test]
    fn cuts_meet_again_after_an_insert(
        label in ".{8}", at in 0usize..50_000, insert in prop::collection::vec(any::<u8>(), 1..100),
    ) {
        let chunker = chunker(7, (256, 1024, 4096));
        let before = random(&label, 200_000);
        let mut after = before.clone();
        after.splice(at..at, insert.iter().copied());
        let ends = |data: &[u8]| -> Vec<usize> {
            let mut left = data.len();
            lengths(&chunker, data).into_iter().map(|len| { left -= len; left }).collect()
        };
        let (old, new) = (ends(&before), ends(&after));
        // Counted from the end, all cuts in the last half of the data are the same.
        let tail = |ends: Vec<usize>| ends.into_iter().filter(|left| *left < 100_000).collect::<Vec<_>>();
        prop_assert_eq!(tail(old), tail(new));
    }
}
