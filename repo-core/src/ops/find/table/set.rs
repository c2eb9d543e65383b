//! Sets of small numbers, as runs.

use super::bytes::{Bytes, put_number};
use crate::error::Result;

/// Numbers, ascending, as runs `[from, to)` that do not touch. Those of a version mostly follow each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set(Vec<(u32, u32)>);

impl Set {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(from, to)| from..to)
    }

    /// Adds one.
    pub fn insert(&mut self, number: u32) {
        let after = self.0.partition_point(|&(_, to)| to < number);
        match self.0.get_mut(after) {
            Some((from, to)) if *from <= number && number < *to => {}
            Some((_, to)) if *to == number => {
                *to += 1;
                let end = *to;
                if let Some(&(next, next_to)) = self.0.get(after + 1)
                    && next == end
                {
                    self.0[after].1 = next_to;
                    self.0.remove(after + 1);
                }
            }
            Some((from, _)) if *from == number + 1 => *from = number,
            _ => self.0.insert(after, (number, number + 1)),
        }
    }

    /// Adds those of another set.
    pub fn extend(&mut self, others: &Self) {
        match self.is_empty() {
            true => self.clone_from(others),
            false => others.iter().for_each(|number| self.insert(number)),
        }
    }

    /// The same under other numbers; what has none is left out.
    pub fn renumbered(&self, numbers: &[Option<u32>]) -> Self {
        let mut set = Self::default();
        let known = |number: u32| numbers.get(number as usize).copied().flatten();
        self.iter()
            .filter_map(known)
            .for_each(|number| set.insert(number));
        set
    }

    /// How many runs, then for each what lies before it and how long it is.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.0.len() as u64);
        let mut end = 0;
        for &(from, to) in &self.0 {
            put_number(out, u64::from(from - end));
            put_number(out, u64::from(to - from));
            end = to;
        }
    }

    /// Passes over what [`Set::encode`] wrote.
    pub fn skip(bytes: &mut Bytes<'_>) -> Result<()> {
        let count = bytes.count(2)?;
        (0..2 * count).try_for_each(|_| bytes.number().map(drop))
    }

    /// Reads what [`Set::encode`] wrote.
    pub fn decode(bytes: &mut Bytes<'_>) -> Result<Self> {
        let count = bytes.count(2)?;
        let mut runs = Vec::with_capacity(count);
        let mut end = 0u32;
        for at in 0..count {
            let (gap, len) = (bytes.number()?, bytes.number()?);
            let from = bytes.sum(end, gap)?;
            let to = bytes.sum(from, len)?;
            if to == from || (at > 0 && gap == 0) {
                return Err(bytes.bad());
            }
            runs.push((from, to));
            end = to;
        }
        Ok(Self(runs))
    }
}

impl FromIterator<u32> for Set {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut set = Self::default();
        numbers.into_iter().for_each(|number| set.insert(number));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn decoded(bytes: &[u8]) -> Result<Set> {
        let mut bytes = Bytes::new(bytes);
        let set = Set::decode(&mut bytes)?;
        assert!(bytes.is_empty());
        Ok(set)
    }

    proptest! {
        #[test]
        fn holds_what_was_put_in(numbers: Vec<u8>, others: Vec<u8>) {
            let set = |numbers: &[u8]| numbers.iter().map(|n| u32::from(*n)).collect::<Set>();
            let model = |numbers: &[u8]| numbers.iter().map(|n| u32::from(*n)).collect::<BTreeSet<u32>>();
            let mut a = set(&numbers);
            prop_assert!(a.iter().eq(model(&numbers)));
            let mut bytes = Vec::new();
            a.encode(&mut bytes);
            prop_assert_eq!(&decoded(&bytes).unwrap(), &a);
            a.extend(&set(&others));
            let both: Vec<u8> = numbers.iter().chain(&others).copied().collect();
            prop_assert_eq!(&a, &set(&both));
            let odd: Vec<Option<u32>> = (0..256).map(|n| (n % 2 == 1).then_some(n / 2)).collect();
            let expected = model(&both).into_iter().filter(|n| n % 2 == 1).map(|n| n / 2);
            prop_assert!(a.renumbered(&odd).iter().eq(expected));
        }
    }

    #[test]
    fn refuses_what_is_no_set() {
        for bytes in [
            &[][..],
            &[1],
            &[9, 0, 1],
            &[1, 0, 0],
            &[2, 0, 1, 0, 1],
            &[1, 255, 255, 255, 255, 15, 1],
        ] {
            assert!(Set::decode(&mut Bytes::new(bytes)).is_err(), "{bytes:?}");
        }
    }
}
