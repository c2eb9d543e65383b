//! Checkpoints of the log: loaded from what this machine keeps or from the place, proved, and written.

use super::Shared;
use super::history::History;
use crate::backend::Class;
use crate::error::{Error, Result, Subject};
use crate::format::checkpoint::Checkpoint;
use crate::format::codec;
use crate::format::entry::{self, Entry, Nonce};
use crate::format::envelope::RecordType;
use crate::format::name::{self, ObjectKind};
use crate::id::{EntryHash, StateId};
use crate::log::{State, check_checkpoint};

/// A checkpoint that counts.
pub struct Loaded {
    /// What it says the log came to.
    pub state: State,
    /// Itself.
    pub checkpoint: Checkpoint,
    /// The files of entries by which it was proved.
    pub files: Vec<Vec<u8>>,
}

impl Shared {
    /// Loads a checkpoint, from what this machine keeps if it is there, proves that the log went through it and that its signer may
    /// write such, and unfolds it. `heads` is what the log went through at its number, if that is known.
    pub(super) fn load_checkpoint(
        &self,
        object: &str,
        heads: Option<Vec<EntryHash>>,
    ) -> Result<Loaded> {
        if let Some(bytes) = self.kept.get(object)
            && let Ok(loaded) = self.open_checkpoint(object, &bytes, heads.clone())
        {
            return Ok(loaded);
        }
        let bytes = self.backend.get(object)?;
        let loaded = self.open_checkpoint(object, &bytes, heads)?;
        self.kept.put(object, &[&bytes]);
        Ok(loaded)
    }

    fn open_checkpoint(
        &self,
        object: &str,
        bytes: &[u8],
        heads: Option<Vec<EntryHash>>,
    ) -> Result<Loaded> {
        let about = |e: Error| e.about(Subject::Object(object.to_owned()));
        let opened = self
            .envelopes
            .open(RecordType::Checkpoint, bytes)
            .map_err(about)?;
        let checkpoint: Checkpoint = codec::decode(&opened.body).map_err(about)?;
        let unsigned = || about(Error::damaged(Subject::None).detail("is not signed"));
        let signer = opened.signer.ok_or_else(unsigned)?;
        let admin = self.holder.admin;
        let state = State::from_checkpoint(admin, &checkpoint, &mut |_, id| {
            Ok(self
                .load_record(ObjectKind::State, &id.0, RecordType::State)?
                .body)
        })
        // A state table that is missing or damaged is named itself.
        .map_err(|e| match e.subject() {
            Subject::None => about(e),
            _ => e,
        })?;
        if name::parse_numbered(object).map(|(number, _)| number) != Some(checkpoint.tail.number) {
            return Err(about(
                Error::damaged(Subject::None).detail("is the checkpoint of another number"),
            ));
        }
        let mut files = Vec::new();
        let heads = match heads {
            Some(heads) => heads,
            None => self.heads_of(&state, &checkpoint, &mut files)?,
        };
        let newest = checkpoint.roles.last();
        let hash = newest.and_then(|roles| roles.hashes.first());
        let (newest, hash) = newest.zip(hash).ok_or_else(|| {
            about(Error::damaged(Subject::None).detail("does not say who may write"))
        })?;
        let name = entry_name(&state, newest.number, hash);
        let roles_file = match self.read_known_entry(&name, hash)? {
            Some(file) => file,
            None => repeated_core(&files, hash)
                .ok_or_else(|| Error::missing(Subject::Entry(newest.number)))?,
        };
        let (roles_core, _) = entry::decode_damaged_file(&roles_file).map_err(about)?;
        let roles = Entry::open(&self.envelopes, roles_core).map_err(about)?;
        check_checkpoint(&checkpoint, &signer, &admin, &heads, &roles).map_err(about)?;
        files.push(roles_file);
        Ok(Loaded {
            state,
            checkpoint,
            files,
        })
    }

    /// The hashes of the entries at a checkpoint's number, as the place has them; of class C also their files.
    fn heads_of(
        &self,
        state: &State,
        checkpoint: &Checkpoint,
        files: &mut Vec<Vec<u8>>,
    ) -> Result<Vec<EntryHash>> {
        let number = checkpoint.tail.number;
        let mut heads = Vec::new();
        for head in &checkpoint.tail.heads {
            let object = entry_name(state, number, head);
            if object == name::entry(number) {
                heads.extend(self.chain_hashes(number, &[*head])?);
            } else if let Some(file) = self.read_entry_file(&object)? {
                let about = |e: Error| e.about(Subject::Object(object));
                let (core, _) = entry::decode_damaged_file(&file).map_err(about)?;
                heads.push(entry::hash(core));
                files.push(file);
            }
        }
        Ok(heads)
    }

    /// The file of an entry with that hash, from what this machine keeps if it is there; `None` if it is not there, or is none.
    fn read_known_entry(&self, object: &str, wanted: &EntryHash) -> Result<Option<Vec<u8>>> {
        let is_wanted = |file: &Vec<u8>| {
            let decoded = entry::decode_damaged_file(file);
            decoded.is_ok_and(|(core, _)| entry::hash(core) == *wanted)
        };
        if let Some(file) = self.kept.get(object).filter(is_wanted) {
            return Ok(Some(file));
        }
        let file = self.read_entry_file(object)?.filter(is_wanted);
        if let Some(file) = &file {
            self.kept.put(object, &[file]);
        }
        Ok(file)
    }

    /// Reads and proves a checkpoint and its state tables, and names those.
    pub fn check_checkpoint(&self, object: &str) -> Result<Vec<StateId>> {
        let loaded = self.load_checkpoint(object, None)?;
        let tables = loaded.checkpoint.parts.iter().flat_map(|part| &part.tables);
        Ok(tables.map(|table| table.id).collect())
    }

    /// Writes a checkpoint of the fold, once its number is divisible by sixteen and if it would count: a writer's would only
    /// take the name of one that does. That it cannot be written costs others
    /// reads and nothing else.
    pub(super) fn save_checkpoint(&self, history: &mut History, nonce: &Nonce) -> Result<()> {
        let number = history.state.tail().number;
        let counts = history.state.may_checkpoint(&self.holder.signer.public());
        if !number.is_multiple_of(entry::CHECKPOINT_EVERY) || !counts {
            return Ok(());
        }
        let object = match history.state.class() {
            Class::A => name::checkpoint(number),
            Class::C => name::checkpoint_of(number, nonce),
        };
        let signer = Some(&self.holder.signer);
        let checkpoint =
            history
                .state
                .to_checkpoint(history.checkpoint.as_ref(), &mut |_, body| {
                    self.save_record(ObjectKind::State, RecordType::State, &body)
                        .map(StateId)
                })?;
        let body = codec::encode(&checkpoint);
        let bytes = self
            .envelopes
            .seal(RecordType::Checkpoint, &[], &body, signer)?;
        self.backend.put_if_absent(&object, &bytes)?;
        self.kept.put(&object, &[&bytes]);
        history.checkpoint = Some(checkpoint);
        Ok(())
    }
}

/// The file of an entry of that hash which one of these repeats, itself repeating nothing.
fn repeated_core(files: &[Vec<u8>], wanted: &EntryHash) -> Option<Vec<u8>> {
    let repeated = files
        .iter()
        .filter_map(|file| entry::decode_damaged_file(file).ok());
    let mut cores = repeated.flat_map(|(_, repeated)| repeated);
    let core = cores.find(|core| entry::hash(core) == *wanted)?;
    Some(entry::encode_file(core, &[]))
}

/// Where the entry lies that has this hash; on class A its number says that.
fn entry_name(state: &State, number: u64, hash: &EntryHash) -> String {
    let mut set = state.entries();
    match set.find(|(_, nonce, found)| found == hash && *nonce != [0; 16]) {
        Some((number, nonce, _)) => name::entry_of(number, &nonce),
        None => name::entry(number),
    }
}
