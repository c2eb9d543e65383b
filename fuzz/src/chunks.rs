//! The chunker, which meets the content of every file.

use crate::Split;
use repo_core::chunk::{Chunker, Gear, Segments, Sizes};
use std::io::Read;
use std::sync::{Arc, OnceLock};

/// Hands out at most so many bytes at a time.
struct Slow<'a> {
    rest: &'a [u8],
    step: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let len = self.step.min(into.len()).min(self.rest.len());
        into[..len].copy_from_slice(&self.rest[..len]);
        self.rest = &self.rest[len..];
        Ok(len)
    }
}

fn gear() -> Arc<Gear> {
    static GEAR: OnceLock<Arc<Gear>> = OnceLock::new();
    GEAR.get_or_init(|| Arc::new(Gear::from_key(&[5; 32])))
        .clone()
}

/// Chunks are in bounds and add up; a cut does not move when more follows, nor with the way the bytes are read.
pub fn chunker(data: &[u8]) {
    let mut split = Split(data);
    let (avg_log, min, max, step) = (
        split.byte() % 4,
        split.number(),
        split.number(),
        split.byte(),
    );
    let avg = 1024u32 << avg_log;
    let min = (64 + min % (avg / 2)) & !1;
    let max = (2 * avg + max % (8 * avg)) & !1;
    let Ok(sizes) = Sizes::new(min, avg, max) else {
        return;
    };
    let chunker = Chunker::new(gear(), sizes);
    let whole = split.0;
    let mut cuts = Vec::new();
    let mut rest = whole;
    while let Some(len) = chunker.cut(rest, true) {
        assert!(len > 0 && len <= rest.len() && len <= max as usize);
        assert!(len >= min as usize || len == rest.len());
        match chunker.cut(rest, false) {
            Some(open) => assert_eq!(open, len),
            None => assert!(len == rest.len() && len < max as usize),
        }
        if let Some(early) = chunker.cut(&rest[..len], false) {
            assert_eq!(early, len);
        }
        cuts.push(&rest[..len]);
        rest = &rest[len..];
    }
    assert!(rest.is_empty());
    let mut segments = Segments::new(4 * max as usize);
    let slow = Slow {
        rest: whole,
        step: usize::from(step) * 16 + 1,
    };
    let hint = (step & 1 == 1).then_some(whole.len() as u64 / 2);
    let mut streamed = segments.stream(&chunker, slow, hint);
    for cut in cuts {
        let piece = streamed
            .next()
            .expect("as many chunks")
            .expect("no read fails");
        assert_eq!(&piece[..], cut);
    }
    assert!(streamed.next().is_none());
}
