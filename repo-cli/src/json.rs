//! What `--json` writes: message types and field names of restic 0.19, so that what reads restic reads us.
//!
//! Lines go to standard output, `error`, `warning` and `exit_error` to standard error. Fields of ours that restic does
//! not have come last.

mod browse;
mod copy;
mod derived;
mod forget;
mod history;
mod node;
mod prune;
mod repair;
mod requests;
mod stats;
mod sync;

pub use browse::{Change, ContentDiff, DiffStatistics, DumpSummary, FoundObject, Match, Matches};
pub use copy::{CopiedSnapshot, CopySummary};
pub use derived::{Changed, ChangedSummary, RepairSnapshotsSummary, paths};
pub use forget::{ForgetGroup, Forgotten};
pub use history::{HistorySummary, Moment};
pub use node::{ListedNode, Mode, ShownNode, kind};
pub use prune::PruneSummary;
pub use repair::{RecoverSummary, RepairIndexSummary, RepairLogSummary, RepairedPack};
pub use requests::{Counted, Requests};
pub use stats::{StatsByPart, StatsPart, StatsShare};
pub use sync::{Promoted, Replica, SyncSummary};

use crate::text::{is_unsafe, rfc3339};
use repo_core::format::snapshot::{Summary as SnapshotSummary, Totals};
use repo_core::ops::StatsSummary;
use repo_core::snapshot::{GroupKey, SnapshotInfo};
use repo_core::time::Timestamp;
use serde::Serialize;

/// A message as one line of JSON.
pub fn line(message: &impl Serialize) -> String {
    let line = serde_json::to_string(message).expect("messages are structs of plain values");
    escaped(line) + "\n"
}

/// JSON that a terminal can show: what it would obey, and JSON allows in strings, is escaped there. It means the same.
pub fn escaped(json: String) -> String {
    // Between values a line may end.
    let is_unsafe = |letter| is_unsafe(letter) && letter != '\n';
    if json.is_ascii() && !json.contains('\x7f') || !json.chars().any(is_unsafe) {
        return json;
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        match is_unsafe(letter) {
            false => safe.push(letter),
            true => {
                let units = letter.encode_utf16(&mut [0; 2]).to_vec();
                safe.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    safe
}

/// Why the command failed.
#[derive(Serialize)]
pub struct ExitError<'a> {
    pub message_type: &'static str,
    pub code: u8,
    pub message: &'a str,
}

/// Something odd that did not stop us.
#[derive(Serialize)]
pub struct Warning<'a> {
    pub message_type: &'static str,
    /// The snapshot that it is about, if it is about one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    pub message: &'a str,
}

/// Snapshots are served.
#[cfg(feature = "serve")]
#[derive(Serialize)]
pub struct Serving<'a> {
    pub message_type: &'static str,
    pub address: &'a str,
    /// Whether a token is needed.
    pub token: bool,
}

/// One item that could not be done.
#[derive(Serialize)]
pub struct Problem<'a> {
    pub message_type: &'static str,
    pub error: Message<'a>,
    pub during: &'static str,
    pub item: &'a str,
}

/// The text of a [`Problem`].
#[derive(Serialize)]
pub struct Message<'a> {
    pub message: &'a str,
}

/// `init`: what was made.
#[derive(Serialize)]
pub struct Initialized<'a> {
    pub message_type: &'static str,
    pub id: String,
    pub repository: &'a str,
    /// What the place promises: `A` or `C`.
    pub class: &'static str,
}

/// `backup`: how far it is. Totals that are not known are left out.
#[derive(Serialize)]
pub struct BackupStatus<'a> {
    pub message_type: &'static str,
    pub seconds_elapsed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_done: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_files: Option<u64>,
    pub files_done: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    pub bytes_done: u64,
    pub error_count: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub current_files: &'a [String],
}

/// `backup -vv`: one item, or how much there is in all.
///
/// What an item takes in the repository is not known, and restic's fields for it are left out: it is compressed together with
/// others.
#[derive(Serialize, Default)]
pub struct SavedItem<'a> {
    pub message_type: &'static str,
    pub action: &'static str,
    pub item: &'a str,
    pub duration: f64,
    pub data_size: u64,
    pub metadata_size: u64,
    pub total_files: u64,
}

/// `restore`: how far it is. Totals that are not known are left out.
#[derive(Serialize)]
pub struct RestoreStatus {
    pub message_type: &'static str,
    pub seconds_elapsed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_done: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_files: Option<u64>,
    pub files_restored: u64,
    pub files_skipped: u64,
    pub files_deleted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    pub bytes_restored: u64,
    pub bytes_skipped: u64,
    pub bytes_compared: u64,
    pub bytes_verified: u64,
    pub error_count: u64,
}

/// `restore -vv`: what became of one item.
#[derive(Serialize)]
pub struct RestoredItem<'a> {
    pub message_type: &'static str,
    pub action: &'static str,
    pub item: &'a str,
    pub size: u64,
}

/// `check`: how far it is. restic has no such message.
#[derive(Serialize)]
pub struct CheckStatus {
    pub message_type: &'static str,
    pub seconds_elapsed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent_done: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_objects: Option<u64>,
    pub objects_done: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    pub bytes_done: u64,
}

/// `backup`: what was done.
#[derive(Serialize)]
pub struct BackupSummary {
    pub message_type: &'static str,
    pub dry_run: bool,
    #[serde(flatten)]
    pub statistics: Statistics,
    pub total_duration: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    pub error_count: u64,
    /// What was left out as asked, without what lies below it.
    pub excluded_count: u64,
    /// Entries that were gone when they were to be read.
    pub vanished_count: u64,
    /// What interrupted backups had stored already.
    pub resumed_packs: u64,
    pub resumed_bytes: u64,
}

/// Numbers of a backup, in its summary and in listings.
#[derive(Serialize)]
pub struct Statistics {
    pub backup_start: String,
    pub backup_end: String,
    pub files_new: u64,
    pub files_changed: u64,
    pub files_unmodified: u64,
    pub dirs_new: u64,
    pub dirs_changed: u64,
    pub dirs_unmodified: u64,
    pub data_blobs: u64,
    pub tree_blobs: u64,
    pub data_added: u64,
    pub data_added_packed: u64,
    pub total_files_processed: u64,
    pub total_bytes_processed: u64,
}

impl Statistics {
    /// Numbers of a backup that began at `start` and ended at `end`.
    pub fn new(totals: &Totals, start: Timestamp, end: Timestamp, utc_offset_min: i16) -> Self {
        Self {
            backup_start: rfc3339(start, utc_offset_min),
            backup_end: rfc3339(end, utc_offset_min),
            files_new: totals.files_new,
            files_changed: totals.files_changed,
            files_unmodified: totals.files_unmodified,
            dirs_new: totals.dirs_new,
            dirs_changed: totals.dirs_changed,
            dirs_unmodified: totals.dirs_unmodified,
            data_blobs: totals.data_blobs,
            tree_blobs: totals.tree_blobs,
            data_added: totals.bytes_added,
            data_added_packed: totals.bytes_stored,
            total_files_processed: totals.files,
            total_bytes_processed: totals.bytes,
        }
    }
}

/// `restore`: what was done.
#[derive(Serialize)]
pub struct RestoreSummary {
    pub message_type: &'static str,
    pub seconds_elapsed: u64,
    pub total_files: u64,
    pub files_restored: u64,
    pub files_skipped: u64,
    pub files_deleted: u64,
    pub total_bytes: u64,
    pub bytes_restored: u64,
    pub bytes_skipped: u64,
    pub owners_skipped: u64,
    /// Extended attributes that could not be set, and entries for which there was no room.
    pub xattrs_refused: u64,
    pub without_room: u64,
    pub error_count: u64,
    pub dry_run: bool,
    pub files_verified: u64,
}

/// `check`: what is wrong.
#[derive(Serialize)]
pub struct CheckSummary {
    pub message_type: &'static str,
    pub num_errors: u64,
    pub broken_packs: Vec<String>,
    pub suggest_repair_index: bool,
    pub suggest_prune: bool,
    pub snapshots: u64,
    pub packs: u64,
    /// Packs of data, and how many of them were read whole.
    pub data_packs: u64,
    pub data_packs_read: u64,
    pub bytes_read: u64,
    pub unreferenced: Vec<String>,
    /// Snapshots among those: no entry of the log that can be read commits them.
    pub uncommitted: Vec<String>,
    /// Objects that are not there and that nothing needs.
    pub absent: Vec<String>,
    /// Packs that are condemned, not whole, and that nothing needs.
    pub condemned: Vec<String>,
}

/// `check`: one thing that is wrong.
#[derive(Serialize)]
pub struct CheckError {
    pub message_type: &'static str,
    pub message: String,
    pub affected: Vec<Affected>,
    pub affected_more: u64,
}

/// A file of a snapshot that something wrong touches.
#[derive(Serialize)]
pub struct Affected {
    pub snapshot: String,
    pub path: String,
}

/// A snapshot, in `snapshots` and at the head of `ls`.
#[derive(Serialize)]
pub struct Snapshot {
    pub time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    pub tree: String,
    pub paths: Vec<String>,
    pub hostname: String,
    pub username: String,
    pub uid: u32,
    pub gid: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    pub program_version: String,
    pub summary: Statistics,
    pub id: String,
    pub short_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// Until when it must be kept, and from when on it need not be; only where that is asked for and said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// When it was forgotten; only where that is asked for and known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_at: Option<String>,
}

impl From<&SnapshotInfo> for Snapshot {
    fn from(info: &SnapshotInfo) -> Self {
        let summary: &SnapshotSummary = &info.summary;
        let end = after(summary.time, summary.totals.duration_ms);
        let offset = summary.utc_offset_min;
        Self {
            time: rfc3339(summary.time, offset),
            parent: summary.parent.map(|id| id.to_hex()),
            tree: summary.root.to_hex(),
            paths: summary.paths.iter().map(|path| lossy(path)).collect(),
            hostname: summary.host.clone(),
            username: summary.user.clone(),
            uid: summary.uid,
            gid: summary.gid,
            tags: summary.tags.clone(),
            program_version: summary.program.clone(),
            summary: Statistics::new(&summary.totals, summary.time, end, offset),
            id: info.id.to_hex(),
            short_id: info.id.short(),
            label: summary.label.clone(),
            description: summary.description.clone(),
            original: summary
                .original()
                .or(summary.copied().map(|copied| copied.snapshot))
                .map(|id| id.to_hex()),
            protected_until: None,
            expires: None,
            forgotten_at: None,
        }
    }
}

/// `snapshots --group-by`: snapshots with something in common.
#[derive(Serialize)]
pub struct SnapshotGroup {
    pub group_key: SnapshotGroupKey,
    pub snapshots: Vec<Snapshot>,
}

/// What a [`SnapshotGroup`] has in common; what does not count is empty or null, and so are no tags.
#[derive(Serialize)]
pub struct SnapshotGroupKey {
    pub hostname: String,
    pub paths: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl From<&GroupKey> for SnapshotGroupKey {
    fn from(key: &GroupKey) -> Self {
        let paths = key.paths.as_ref();
        Self {
            hostname: key.host.clone().unwrap_or_default(),
            paths: paths.map(|paths| paths.iter().map(|path| lossy(path)).collect()),
            tags: key.tags.clone().filter(|tags| !tags.is_empty()),
            label: key.label.clone(),
        }
    }
}

/// `ls`: the snapshot that is listed.
#[derive(Serialize)]
pub struct ListedSnapshot {
    #[serde(flatten)]
    pub snapshot: Snapshot,
    pub message_type: &'static str,
    pub struct_type: &'static str,
}

/// `stats`: what was counted. What a mode does not count is left out, and what is 0, as with restic.
#[derive(Serialize)]
pub struct Stats {
    pub total_size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub total_uncompressed_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_progress: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression_space_saving: Option<f64>,
    #[serde(skip_serializing_if = "is_zero")]
    pub total_file_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub total_blob_count: u64,
    pub snapshots_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub error_count: u64,
}

impl From<&StatsSummary> for Stats {
    fn from(summary: &StatsSummary) -> Self {
        let compression = crate::cmd::compression(summary);
        Self {
            total_size: summary.bytes,
            total_uncompressed_size: summary.bytes_plain,
            compression_ratio: compression.map(|(ratio, _)| ratio),
            compression_progress: compression.map(|_| 100.0),
            compression_space_saving: compression.map(|(_, saving)| saving),
            total_file_count: summary.files,
            total_blob_count: summary.blobs,
            snapshots_count: summary.snapshots,
            error_count: summary.problems,
        }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// `key list`: one key slot.
#[derive(Serialize)]
pub struct Key {
    pub current: bool,
    pub id: String,
    #[serde(rename = "userName")]
    pub user_name: String,
    #[serde(rename = "hostName")]
    pub host_name: String,
    pub created: String,
    pub kind: &'static str,
    pub role: &'static str,
}

/// `cache`: one cache. restic writes no JSON here.
#[derive(Serialize)]
pub struct Cache {
    pub id: String,
    pub path: String,
    pub last_used: String,
    pub old: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// `version`.
#[derive(Serialize)]
pub struct Version {
    pub message_type: &'static str,
    pub version: &'static str,
    /// Empty: no Go was used.
    pub go_version: &'static str,
    pub go_os: &'static str,
    /// What Go calls it.
    pub go_arch: &'static str,
    pub format_version: u8,
    pub os: &'static str,
    pub arch: &'static str,
}

/// The point in time so many milliseconds later.
pub fn after(time: Timestamp, millis: u64) -> Timestamp {
    let nanos = u64::from(time.nanos) + millis % 1000 * 1_000_000;
    let seconds = i64::try_from(millis / 1000 + nanos / 1_000_000_000).unwrap_or(0);
    Timestamp::new(
        time.seconds.saturating_add(seconds),
        (nanos % 1_000_000_000) as u32,
    )
}

/// Bytes as text; what is not UTF-8 is replaced.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_cannot_command_a_terminal() {
        let text = line(&"a\u{9b}31m\x7f\u{202e}\u{2028}\u{feff}\u{e0041}ü\n");
        assert_eq!(
            text,
            "\"a\\u009b31m\\u007f\\u202e\\u2028\\ufeff\\udb40\\udc41ü\\n\"\n"
        );
        let read: String = serde_json::from_str(&text).unwrap();
        assert_eq!(read, "a\u{9b}31m\x7f\u{202e}\u{2028}\u{feff}\u{e0041}ü\n");
        assert_eq!(escaped("{\n}".into()), "{\n}");
    }

    #[test]
    fn ends_come_after_beginnings() {
        let end = after(Timestamp::new(10, 999_000_000), 2_001);
        assert_eq!(end, Timestamp::new(13, 0));
    }
}
