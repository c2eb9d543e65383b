//! Numbers and strings of bytes, one after the other.

use crate::error::{Error, Result, Subject};

/// Appends a number: seven bits a byte, the lowest first.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends bytes after their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// All of these.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How much is left.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// An error that says that this is no version table.
    pub fn bad(&self) -> Error {
        Error::damaged(Subject::None).detail("version table: makes no sense")
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(|| self.bad())?;
        self.0 = rest;
        Ok(*first)
    }

    /// The next number.
    pub fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.bad())
    }

    /// The next number, of things of which each takes at least `bytes` of what is left.
    pub fn count(&mut self, bytes: usize) -> Result<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| self.bad())?;
        match count.checked_mul(bytes) {
            Some(all) if all <= self.0.len() => Ok(count),
            _ => Err(self.bad()),
        }
    }

    /// So many bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(|| self.bad())?;
        self.0 = rest;
        Ok(taken)
    }

    /// Bytes after their length.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.count(1)?;
        self.take(len)
    }

    /// A number so far behind another one.
    pub fn sum(&self, base: u32, more: u64) -> Result<u32> {
        let sum = u64::from(base).checked_add(more);
        sum.and_then(|sum| u32::try_from(sum).ok())
            .ok_or_else(|| self.bad())
    }
}
