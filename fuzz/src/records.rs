//! Everything that stands in an envelope or is a record of its own.

use crate::{Split, envelopes, repository_id, signer};
use bincode::{Decode, Encode};
use repo_core::crypto::{BundleKey, KdfParams, Role, Secret};
use repo_core::format::codec::{self, Ext};
use repo_core::format::entry::{self, Entry, EntryKind};
use repo_core::format::envelope::{self, RecordType};
use repo_core::format::key_slot::{self, Credential};
use repo_core::format::settings::Settings;
use repo_core::format::snapshot::{Snapshot, Summary};
use repo_core::format::{config as config_object, evidence as evidence_record};
use repo_core::id::Domain;
use std::fmt::Debug;

const TYPES: [RecordType; 10] = [
    RecordType::Config,
    RecordType::Entry,
    RecordType::Checkpoint,
    RecordType::State,
    RecordType::Index,
    RecordType::Snapshot,
    RecordType::Evidence,
    RecordType::Announcement,
    RecordType::Summary,
    RecordType::Label,
];

/// Decodes a record; one that is accepted survives being written and read again, in no more bytes than before.
pub(crate) fn again<T>(bytes: &[u8]) -> Option<T>
where
    T: Encode + Decode<()> + PartialEq + Debug,
{
    let record: T = codec::decode(bytes).ok()?;
    let encoded = codec::encode(&record);
    assert!(encoded.len() <= bytes.len(), "we write the shortest form");
    assert_eq!(codec::decode::<T>(&encoded).expect("just written"), record);
    Some(record)
}

/// Envelopes: what is seen without a key, and opening with every role's keys.
pub fn envelope(data: &[u8]) {
    if let Ok(visible) = envelope::visible(data) {
        assert!(visible.clear.len() < data.len());
        for role in Role::ALL {
            let envelopes = envelopes(role);
            let Ok(opened) = envelopes.open(visible.record_type, data) else {
                continue;
            };
            assert_eq!(opened.clear, visible.clear);
            // Authentic: then it is so as this type only, and no bit of it can be another.
            for other in TYPES.into_iter().filter(|t| *t != visible.record_type) {
                assert!(envelopes.open(other, data).is_err());
            }
            let mut changed = data.to_vec();
            let at = opened.body.len() * 31 % changed.len();
            changed[at] ^= 1;
            assert!(envelopes.open(visible.record_type, &changed).is_err());
        }
    }
    let mut split = Split(data);
    let record_type = TYPES[usize::from(split.byte()) % TYPES.len()];
    let signer = (split.byte() & 1 == 1).then(signer);
    let writer = envelopes(Role::ALL[usize::from(split.byte()) % Role::ALL.len()]);
    let clear = split.piece();
    let sealed = writer
        .seal(record_type, clear, split.0, signer)
        .expect("every role may write every type; the log says what counts");
    let opened = envelopes(Role::Full)
        .open(record_type, &sealed)
        .expect("just sealed");
    assert_eq!((&opened.clear[..], &opened.body[..]), (clear, split.0));
    assert_eq!(opened.signer, signer.map(|signer| signer.public()));
}

/// Log entries: the file, the core as it is, and an authentic core with any clear part and body.
pub fn entry(data: &[u8]) {
    let envelopes = envelopes(Role::Full);
    if let Ok((core, catch_up)) = entry::decode_file(data) {
        let owned: Vec<Vec<u8>> = catch_up.iter().map(|core| core.to_vec()).collect();
        assert_eq!(entry::encode_file(core, &owned), data);
        let clear = entry::clear(core);
        if let Ok(signed) = Entry::open(envelopes, core) {
            assert_eq!(clear.expect("it opened").number, signed.entry.number);
        }
    }
    let mut split = Split(data);
    let clear = split.piece();
    again::<entry::EntryClear>(clear);
    let core = envelopes
        .seal(RecordType::Entry, clear, split.0, Some(signer()))
        .expect("full keys");
    let Ok(signed) = Entry::open(envelopes, &core) else {
        return;
    };
    assert_eq!(
        (signed.signer, signed.hash),
        (signer().public(), entry::hash(&core))
    );
    let seen = entry::clear(&core).expect("it opened");
    assert_eq!(
        (seen.number, &seen.follows),
        (signed.entry.number, &signed.entry.follows)
    );
    let Some(action) = &signed.entry.action else {
        assert!(!EntryKind::ALL.iter().any(|kind| *kind as u16 == seen.kind));
        return;
    };
    assert_eq!(action.kind() as u16, seen.kind);
    let sealed = signed.entry.seal(envelopes, signer()).expect("full keys");
    let again = Entry::open(envelopes, &sealed).expect("just sealed");
    assert_eq!(again.entry, signed.entry);
    // Who has no key sees the same objects as who has.
    assert_eq!(
        entry::clear(&sealed).expect("just sealed").objects,
        seen.objects
    );
}

/// The config, as it is and with any settings under right keys.
pub fn config(data: &[u8]) {
    let envelopes = envelopes(Role::Full);
    if config_object::open(envelopes, data).is_ok() {
        assert_eq!(config_object::repository(data).ok(), Some(repository_id()));
    }
    let sealed = envelopes
        .seal(RecordType::Config, &repository_id().0, data, None)
        .expect("full keys");
    assert_eq!(
        config_object::repository(&sealed).ok(),
        Some(repository_id())
    );
    let Ok(settings) = config_object::open(envelopes, &sealed) else {
        return;
    };
    assert_eq!(again::<Settings>(data).as_ref(), Some(&settings));
    assert!(Settings::PACK_BYTES.contains(&settings.pack_bytes));
    assert!(Settings::BLOCK_BYTES.contains(&settings.block_bytes));
}

/// Snapshots and their summaries.
pub fn snapshot(data: &[u8]) {
    again::<Snapshot>(data);
    again::<Summary>(data);
}

/// Results of checks and drills.
pub fn evidence(data: &[u8]) {
    again::<evidence_record::Evidence>(data);
}

/// Key slots: their JSON, opening with a password and a key file, labels, and what a bundle holds.
pub fn key_slot(data: &[u8]) {
    again::<key_slot::Label>(data);
    // The layout of a bundle, which is private: role, domains, keys, ext.
    let _ = codec::decode::<(Role, Vec<Domain>, Vec<BundleKey>, Vec<Ext>)>(data);
    let Ok(slot) = key_slot::parse(data) else {
        return;
    };
    let json = serde_json::to_vec(&slot).expect("it was JSON");
    assert_eq!(key_slot::parse(&json).expect("just written"), slot);
    let _ = key_slot::label(envelopes(Role::Full), &slot);
    let cheap = KdfParams {
        m_kib: 64,
        t: 1,
        p: 1,
    };
    let credentials = [
        Credential::password("password"),
        Credential::KeyFile(Secret::new([7; 32])),
    ];
    for credential in &credentials {
        if let Ok(holder) = key_slot::open(&slot, repository_id(), credential, &cheap) {
            assert_eq!(Some(holder.role), key_slot::role_of(&slot).ok());
        }
    }
}
