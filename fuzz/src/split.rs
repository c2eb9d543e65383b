//! Cuts fuzzer bytes into the arguments of what is tried.

/// What is left of the bytes. Reads past the end give zeros and empty slices, so that every input means something.
pub struct Split<'a>(pub &'a [u8]);

impl<'a> Split<'a> {
    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// A little-endian number.
    pub fn number(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// `N` bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let head = self.take(N);
        array[..head.len()].copy_from_slice(head);
        array
    }

    /// A piece whose length, 16 bits, stands before it.
    pub fn piece(&mut self) -> &'a [u8] {
        let len = u16::from_le_bytes(self.array());
        self.take(usize::from(len))
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// The bytes that [`Split::piece`] reads back, for seeds. At most 64 KiB.
    pub fn join(pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in pieces {
            let len = u16::try_from(piece.len()).expect("seeds are short");
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(piece);
        }
        out
    }
}
