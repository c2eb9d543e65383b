//! Random numbers: those nobody can foretell, and those a seed fixes.

use crate::error::{Error, ErrorKind, Result, Subject};

/// A number that nobody else draws at the same time, from the operating system.
pub(super) fn fresh() -> Result<u64> {
    getrandom::u64().map_err(|error| {
        Error::new(ErrorKind::Unavailable, Subject::None)
            .detail("the system gives no random numbers")
            .because(error)
    })
}

/// The next number of a sequence that `state` fixes (SplitMix64, Steele, Lea, Flood, OOPSLA 2014).
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_seed_fixes_the_sequence() {
        let mut state = 1_234_567;
        let drawn: Vec<u64> = (0..3).map(|_| super::next(&mut state)).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(drawn, published);
    }
}
