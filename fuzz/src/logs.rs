//! The commit log: checkpoints, the fold of entries, finding the tail.

use crate::records::again;
use crate::{Split, envelopes, signer};
use repo_core::backend::Class;
use repo_core::crypto::{Role, SealPublic};
use repo_core::error::{Error, Result, Subject};
use repo_core::format::checkpoint::{Checkpoint, StateKind};
use repo_core::format::codec::{self, Ext};
use repo_core::format::entry::{
    Action, Entry, EntryClear, EntryKind, Member, Nonce, ObjectRef, SignedEntry, decode_file,
};
use repo_core::format::envelope::RecordType;
use repo_core::id::{EntryHash, PackId, StateId, WriterId};
use repo_core::log::{State, find_tail};
use repo_core::time::Timestamp;
use std::collections::HashMap;

/// The key that signs `Roles` here.
pub const ADMIN: WriterId = WriterId([0xad; 32]);

/// Entries of one input; more of them only take longer.
const STEPS_MAX: usize = 12;

fn writer_of(role: Role) -> WriterId {
    WriterId([role as u8; 32])
}

/// Saves the tables of a state and gives its checkpoint; `None` while something is not settled.
fn save(state: &State) -> Option<(Checkpoint, HashMap<StateId, Vec<u8>>)> {
    let mut tables = HashMap::new();
    let checkpoint = state.to_checkpoint(None, &mut |_, body| {
        let id = StateId::from(blake3::hash(&body));
        tables.insert(id, body);
        Ok(id)
    });
    checkpoint.ok().map(|checkpoint| (checkpoint, tables))
}

/// What a state says survives a checkpoint.
fn survives(state: &State) {
    let Some((checkpoint, tables)) = save(state) else {
        return;
    };
    again::<Checkpoint>(&codec::encode(&checkpoint)).expect("a checkpoint is a record");
    let mut load = |_: StateKind, id: &StateId| -> Result<Vec<u8>> {
        tables
            .get(id)
            .cloned()
            .ok_or_else(|| Error::missing(Subject::State(*id)))
    };
    let read = State::from_checkpoint(state.admin(), &checkpoint, &mut load).expect("just saved");
    let (again, _) = save(&read).expect("nothing is open in what was saved");
    assert_eq!(again, checkpoint);
    ask(&read);
}

/// Asks a state everything that has an answer.
fn ask(state: &State) {
    let live = state
        .live_snapshots()
        .filter(|(id, _)| state.is_live(id))
        .count();
    assert_eq!(live, state.live_snapshots().count());
    assert!(
        state
            .forgotten_snapshots()
            .all(|(id, _)| !state.is_live(id))
    );
    for (id, condemned) in state.condemned() {
        assert_eq!(state.condemned_by(id), Some(condemned));
        state.pack_state(id);
    }
    assert!(
        state
            .deleted()
            .all(|(object, _)| state.is_deleted(&object.id))
    );
    let _ = (
        state.pack_state(&PackId([5; 32])),
        state.may_append(),
        state.may_prune(),
    );
    let _ = (
        state.seen(),
        state.settings(),
        state.may_checkpoint(&writer_of(Role::Prune)),
    );
}

/// Checkpoints with any state tables: the tables are given the hashes that the checkpoint must have for them.
pub fn checkpoint(data: &[u8]) {
    again::<Checkpoint>(data);
    let mut split = Split(data);
    let Some(mut checkpoint) = again::<Checkpoint>(split.piece()) else {
        return;
    };
    let mut tables = Vec::new();
    while !split.0.is_empty() && tables.len() < 256 {
        tables.push(split.piece());
    }
    let named = checkpoint
        .parts
        .iter_mut()
        .flat_map(|part| &mut part.tables);
    for table in named {
        if let Some(body) = tables.get(usize::from(table.id.0[0])) {
            table.content = *blake3::hash(body).as_bytes();
        }
    }
    let mut load = |_: StateKind, id: &StateId| -> Result<Vec<u8>> {
        let table = tables.get(usize::from(id.0[0])).map(|table| table.to_vec());
        table.ok_or_else(|| Error::missing(Subject::State(*id)))
    };
    let Ok(state) = State::from_checkpoint(ADMIN, &checkpoint, &mut load) else {
        return;
    };
    ask(&state);
    survives(&state);
    // The log goes on from there.
    let mut next = first_entry();
    next.entry.number = checkpoint.tail.number.wrapping_add(1);
    next.entry.follows = checkpoint.tail.heads;
    let mut on = state.clone();
    if on.apply(&next).is_ok() {
        ask(&on);
        survives(&on);
    }
    if let Ok(Some(on)) = state.fold([&next]) {
        ask(&on);
    }
}

/// One entry of an input of [`fold`].
pub struct Step<'a> {
    /// Admin, one of the four roles, or a stranger.
    pub signer: u8,
    /// Which of the known kinds.
    pub kind: u8,
    /// A bit for each of the eight entries before it that it follows, the newest first.
    pub follows: u8,
    /// None, or one of three processes.
    pub process: u8,
    /// The objects in clear, encoded.
    pub objects: &'a [u8],
    /// What the kind itself adds.
    pub payload: &'a [u8],
}

impl<'a> Step<'a> {
    fn read(split: &mut Split<'a>) -> Self {
        let [signer, kind, follows, process] = split.array();
        let (objects, payload) = (split.piece(), split.piece());
        Self {
            signer,
            kind,
            follows,
            process,
            objects,
            payload,
        }
    }

    /// The bytes that the target reads back, for seeds.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.signer, self.kind, self.follows, self.process]);
        out.extend_from_slice(&Split::join(&[self.objects, self.payload]));
    }

    fn writer(&self) -> WriterId {
        match self.signer % 6 {
            0 => ADMIN,
            stranger @ 5 => WriterId([stranger; 32]),
            role => writer_of(Role::ALL[usize::from(role) - 1]),
        }
    }

    /// The entry, as if its writer had sealed it; `None` if what it says is nothing.
    fn entry(&self, before: &[SignedEntry]) -> Option<SignedEntry> {
        let newest = before.iter().rev().take(8).enumerate();
        let followed = newest.filter(|(back, _)| self.follows >> back & 1 == 1);
        let followed: Vec<&SignedEntry> = followed.map(|(_, entry)| entry).collect();
        let number = followed.iter().map(|signed| signed.entry.number).max();
        let process: Option<Nonce> = match self.process % 4 {
            0 => None,
            process => Some([process; 16]),
        };
        let mut nonce = [0; 16];
        nonce[0] = u8::try_from(before.len()).expect("few steps");
        let clear = codec::encode(&EntryClear {
            kind: EntryKind::ALL[usize::from(self.kind) % EntryKind::ALL.len()] as u16,
            number: number.unwrap_or(0) + 1,
            nonce,
            follows: followed.iter().map(|signed| signed.hash).collect(),
            objects: codec::decode::<Vec<ObjectRef>>(self.objects).unwrap_or_default(),
            ext: Vec::new(),
        });
        let time = Timestamp::new(i64::from(self.process), 0);
        let body = codec::encode(&(time, process, self.payload.to_vec(), Vec::<Ext>::new()));
        let envelopes = envelopes(Role::Full);
        let core = envelopes
            .seal(RecordType::Entry, &clear, &body, Some(signer()))
            .expect("full keys");
        let mut signed = Entry::open(envelopes, &core).ok()?;
        signed.signer = self.writer();
        // Sealing is random; what an input means is not.
        signed.hash = EntryHash::from(blake3::hash(&[clear, body].concat()));
        Some(signed)
    }
}

/// The entry that every log here begins with: a member of each role.
pub fn first_entry() -> SignedEntry {
    let member = |role| Member {
        writer: writer_of(role),
        seal: SealPublic([0; 32]),
        role,
        domains: vec![0],
        ext: Vec::new(),
    };
    let members = Role::ALL.into_iter().map(member).collect();
    SignedEntry {
        entry: Entry {
            number: 1,
            nonce: [0xff; 16],
            follows: Vec::new(),
            time: Timestamp::new(0, 0),
            process: None,
            action: Some(Action::Roles {
                members,
                removed: Vec::new(),
            }),
        },
        signer: ADMIN,
        hash: EntryHash([0xee; 32]),
    }
}

/// The fold of authentic entries that say anything, as a chain of class A and as a set of class C.
pub fn fold(data: &[u8]) {
    let mut split = Split(data);
    let class = [Class::A, Class::C][usize::from(split.byte() & 1)];
    let mut entries = vec![first_entry()];
    while !split.0.is_empty() && entries.len() <= STEPS_MAX {
        let step = Step::read(&mut split);
        entries.extend(step.entry(&entries));
    }
    let mut chain = State::new(ADMIN, Class::A);
    for signed in &entries {
        let before = chain.clone();
        match chain.apply(signed) {
            Ok(_) => assert_eq!(chain.tail().heads, [signed.hash]),
            Err(_) => assert_eq!(chain, before),
        }
    }
    ask(&chain);
    survives(&chain);
    let Ok(whole) = State::new(ADMIN, class).fold(&entries) else {
        return;
    };
    let whole = whole.expect("nothing was folded before, so nothing comes late");
    ask(&whole);
    survives(&whole);
    let reversed = State::new(ADMIN, class).fold(entries.iter().rev());
    assert_eq!(reversed.ok().flatten().as_ref(), Some(&whole));
    // With entries in doubt it takes nothing in, be it nothing.
    let settled = whole.fold([]).is_ok_and(|same| same.is_some());
    let again = whole.fold(&entries).ok().flatten();
    assert_eq!(again.as_ref(), settled.then_some(&whole));
}

/// Finding the tail of a log whose files are anything, and whose store may claim to have all of them.
pub fn tail(data: &[u8]) {
    const READS_MAX: u32 = 10_000;
    let mut split = Split(data);
    let (known, len, lies) = (
        u64::from(split.byte()),
        u64::from(split.byte()),
        split.byte(),
    );
    let mut files = Vec::new();
    while !split.0.is_empty() && files.len() < 64 {
        files.push(split.piece());
    }
    let mut reads = 0;
    let mut read = |number: u64| -> Result<Option<Vec<u8>>> {
        reads += 1;
        assert!(reads < READS_MAX, "it asks without end");
        let there = match lies {
            0 => number <= len,
            255 => true,
            _ => number <= len || number % u64::from(lies) == 0,
        };
        let file = files.get(usize::try_from(number).unwrap_or(usize::MAX) % files.len().max(1));
        Ok(there.then(|| file.map_or_else(Vec::new, |file| file.to_vec())))
    };
    let hint = known ^ len;
    let Ok(mut found) = find_tail(known, hint, &mut read) else {
        return;
    };
    if lies == 0 && known <= len {
        assert_eq!(found.tail, len);
    }
    if found.tail - known > 512 {
        return;
    }
    let prove = |number, core: &[u8]| {
        let opened = Entry::open(envelopes(Role::Full), core).ok();
        let right = opened.filter(|signed| signed.entry.number == number);
        Ok(right.map(|signed| signed.entry.follows))
    };
    let Ok(cores) = found.cores(known + 1, &mut read, &prove) else {
        return;
    };
    assert_eq!(cores.len() as u64, found.tail - known);
    let mut state = State::new(ADMIN, Class::A);
    let envelopes = envelopes(Role::Full);
    if known == 0 {
        let _ = state.apply_cores(&cores, &|core| Entry::open(envelopes, core));
        ask(&state);
    }
    for file in &files {
        if let Ok((core, catch_up)) = decode_file(file) {
            assert!(core.len() + catch_up.len() <= file.len());
        }
    }
}
