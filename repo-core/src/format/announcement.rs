//! Processes at work in a place of class C (`docs/format.md`, "Announcements").

use super::codec::{self, Ext, check_ext};
use super::entry::Nonce;
use super::envelope::{Envelopes, RecordType};
use crate::crypto::Signer;
use crate::error::{Error, Result, Subject};
use crate::id::WriterId;
use crate::time::Timestamp;
use bincode::{Decode, Encode};

/// What a process says of itself under `writers/<nonce>` before it folds the log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Announcement {
    /// The process: the same as in the object's name and in every entry that it writes.
    pub nonce: Nonce,
    /// Whether it condemns or deletes.
    pub deletes: bool,
    /// When it began, by its own clock; for people only. What counts is when the place says it was written.
    pub time: Timestamp,
    /// The host it runs on.
    pub host: String,
    /// The program.
    pub program: String,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}

impl Announcement {
    /// The stored bytes: sealed and signed.
    pub fn seal(&self, envelopes: &Envelopes, signer: &Signer) -> Result<Vec<u8>> {
        envelopes.seal(
            RecordType::Announcement,
            &[],
            &codec::encode(self),
            Some(signer),
        )
    }

    /// Opens stored bytes; who signed them is for the caller to judge. `Damaged` if nobody did.
    pub fn open(envelopes: &Envelopes, bytes: &[u8]) -> Result<(Self, WriterId)> {
        let opened = envelopes.open(RecordType::Announcement, bytes)?;
        let announcement: Self = codec::decode(&opened.body)?;
        check_ext(&announcement.ext)?;
        let unsigned = || Error::damaged(Subject::None).detail("an announcement must be signed");
        Ok((announcement, opened.signer.ok_or_else(unsigned)?))
    }
}
