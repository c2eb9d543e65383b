//! Results of checks and drills (`docs/format.md`, "Evidence").

use super::codec::Ext;
use crate::id::PackId;
use crate::time::Timestamp;
use bincode::{Decode, Encode};

/// What a check or a drill found, sealed under `evidence/`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Evidence {
    /// 1 = check, 2 = drill.
    pub kind: u8,
    /// When it began and ended.
    pub begun: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The host it ran on.
    pub host: String,
    /// The program that ran.
    pub program: String,
    /// Up to which log entry it looked.
    pub entry: u64,
    /// Packs whose every byte was read, and found right.
    pub packs_read: Vec<PackId>,
    /// Packs that are damaged or missing: their content is *wanted*, and the next backup that meets it heals it.
    pub wanted: Vec<PackId>,
    /// How many things were wrong.
    pub problems: u64,
    /// Fields of later versions.
    pub ext: Vec<Ext>,
}
