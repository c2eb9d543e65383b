//! Loads and saves records: snapshots, summaries, index tables.

use super::{Repo, Shared, lock};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::codec::{self, check_ext};
use crate::format::envelope::{Opened, RecordType};
use crate::format::name::ObjectKind;
use crate::format::rows::PackEntry;
use crate::format::snapshot::{Snapshot, Summary};
use crate::format::table::TableBuilder;
use crate::id::{IndexId, SnapshotId, WriterId};

impl Shared {
    /// Loads a record that is named by its hash, from what this machine keeps if it is there, and opens it. `Missing` if it is
    /// not there, `Damaged` if it is not what its name says or the disk cannot read it.
    pub fn load_record(
        &self,
        kind: ObjectKind,
        id: &[u8; 32],
        record_type: RecordType,
    ) -> Result<Opened> {
        let name = kind.name(id);
        let subject = || Subject::Object(name.clone());
        let is_right = |bytes: &[u8]| blake3::hash(bytes) == blake3::Hash::from_bytes(*id);
        let open = |bytes: &[u8]| {
            let opened = self.envelopes.open(record_type, bytes);
            opened.map_err(|e| e.about(subject()))
        };
        if let Some(bytes) = self.kept.get(&name).filter(|bytes| is_right(bytes)) {
            return open(&bytes);
        }
        let bytes = self.read_anywhere(&name, &mut |place| {
            let bytes = place.get(&name).map_err(|e| match e.kind() {
                ErrorKind::NotFound => Error::missing(subject()),
                _ if e.is_unreadable() => Error::damaged(subject()).because(e),
                _ => e,
            })?;
            match is_right(&bytes) {
                true => Ok(bytes),
                false => Err(Error::damaged(subject()).detail("content is not what its name says")),
            }
        })?;
        let opened = open(&bytes)?;
        self.keep_record(kind, &name, &bytes);
        Ok(opened)
    }

    /// Index tables are kept as runs of the index.
    fn keep_record(&self, kind: ObjectKind, name: &str, bytes: &[u8]) {
        if matches!(kind, ObjectKind::Snapshot | ObjectKind::State) {
            self.kept.put(name, &[bytes]);
        }
    }

    /// Seals a record, stores it under the hash of its bytes, and gives that.
    pub fn save_record(
        &self,
        kind: ObjectKind,
        record_type: RecordType,
        body: &[u8],
    ) -> Result<[u8; 32]> {
        let bytes = self
            .envelopes
            .seal(record_type, &[], body, Some(&self.holder.signer))?;
        let id = *blake3::hash(&bytes).as_bytes();
        let name = kind.name(&id);
        self.backend.put(&name, &bytes)?;
        self.keep_record(kind, &name, &bytes);
        Ok(id)
    }

    /// Stores a snapshot. It counts only once a `Commit` names it.
    pub fn save_snapshot(&self, snapshot: &Snapshot) -> Result<SnapshotId> {
        let body = codec::encode(snapshot);
        self.save_record(ObjectKind::Snapshot, RecordType::Snapshot, &body)
            .map(SnapshotId)
    }

    /// Loads a snapshot and proves that who the log says has written it has signed it.
    pub fn load_snapshot(&self, id: &SnapshotId) -> Result<Snapshot> {
        self.load_signed_snapshot(id).map(|(snapshot, _)| snapshot)
    }

    /// The same, and who has signed it: of one that the log does not know anybody.
    pub fn load_signed_snapshot(&self, id: &SnapshotId) -> Result<(Snapshot, WriterId)> {
        let about = |e: Error| e.about(Subject::Snapshot(*id));
        let opened = self
            .load_record(ObjectKind::Snapshot, &id.0, RecordType::Snapshot)
            .map_err(about)?;
        let snapshot: Snapshot = codec::decode(&opened.body).map_err(about)?;
        check_ext(&snapshot.ext).map_err(about)?;
        check_ext(&snapshot.summary.ext).map_err(about)?;
        let mut sources = snapshot.sources.iter();
        sources.try_for_each(|s| check_ext(&s.ext).map_err(about))?;
        let committed_by = self.state().snapshot(id).map(|row| row.writer);
        match opened.signer {
            Some(signer) if committed_by.is_none_or(|by| by == signer) => Ok((snapshot, signer)),
            _ => Err(Error::damaged(Subject::Snapshot(*id)).detail("not signed by its writer")),
        }
    }

    /// Seals what a `Commit` carries of a snapshot for listings.
    pub fn seal_summary(&self, summary: &Summary) -> Result<Vec<u8>> {
        self.envelopes
            .seal(RecordType::Summary, &[], &codec::encode(summary), None)
    }

    /// Opens what a `Commit` carries of a snapshot.
    pub fn open_summary(&self, id: &SnapshotId, sealed: &[u8]) -> Result<Summary> {
        let about = |e: Error| e.about(Subject::Snapshot(*id));
        let opened = self
            .envelopes
            .open(RecordType::Summary, sealed)
            .map_err(about)?;
        let summary: Summary = codec::decode(&opened.body).map_err(about)?;
        check_ext(&summary.ext).map_err(about)?;
        Ok(summary)
    }

    /// Stores an index table of these packs, and gives its body too. It counts for others once an entry names it.
    pub fn save_table(&self, entries: Vec<PackEntry>) -> Result<(IndexId, Vec<u8>)> {
        let mut table = TableBuilder::new();
        entries.iter().try_for_each(|entry| table.add_pack(entry))?;
        let body = table.finish();
        let id = self
            .save_record(ObjectKind::Index, RecordType::Index, &body)
            .map(IndexId)?;
        Ok((id, body))
    }

    /// Loads an index table's body.
    pub fn load_table(&self, id: &IndexId) -> Result<Vec<u8>> {
        let opened = self.load_record(ObjectKind::Index, &id.0, RecordType::Index);
        Ok(opened.map_err(|e| e.about(Subject::Index(*id)))?.body)
    }
}

impl Repo {
    /// Folds the log to its end, and brings the index to the tables in force. One that is not there may have been replaced
    /// since the fold, so that is looked at once more; if it still lacks, [`Shared::index_is_incomplete`] says so.
    pub fn refresh(&self) -> Result<()> {
        self.fold()?;
        self.sync_index(&[])?;
        if self.index_is_incomplete() {
            self.fold()?;
            self.sync_index(&[])?;
        }
        Ok(())
    }

    /// The same; the log is read from its beginning, or a checkpoint, once more: what could not be read may be there by now.
    pub(crate) fn refresh_anew(&self) -> Result<()> {
        lock(&self.history).restart();
        self.refresh()
    }
}
