//! Entries of the log as JSON.

use super::{Settings, pretty};
use crate::app::App;
use crate::exit::Failure;
use crate::json;
use crate::text::{printable, rfc3339};
use repo_core::backend::Class;
use repo_core::format::entry::{
    self, Action, ENTRY_BYTES_MAX, Entry, EntryAt, Fenced, Member, ObjectRef, SignedEntry,
};
use repo_core::format::name;
use repo_core::id::{SnapshotId, to_hex};
use repo_core::repo::Repo;
use repo_core::snapshot::SnapshotInfo;
use repo_core::{Error, ErrorKind, Subject};
use serde::Serialize;
use serde_json::{Value, json};

/// An entry, with the fields of its kind last.
#[derive(Serialize)]
struct Shown {
    number: u64,
    kind: String,
    time: String,
    hash: String,
    follows: Vec<String>,
    nonce: String,
    signer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<String>,
    #[serde(flatten)]
    fields: Value,
}

/// Shows the entry of a number, or those where several were appended at once; `number-nonce` means one of these.
pub fn show(app: &App, repo: &Repo, text: &str) -> Result<(), Failure> {
    let parsed = name::parse_numbered(text).filter(|_| !text.contains('/'));
    let (number, nonce) = parsed.ok_or_else(|| {
        Failure::usage(format!(
            "{} is no number of a log entry\n`larder list log` shows them.",
            printable(text)
        ))
    })?;
    let mut names = Vec::new();
    repo.backend()
        .list(&name::segment_folder(number), &mut |listed| {
            match name::parse_numbered(&listed.name) {
                Some((found, of)) if found == number && (nonce.is_none() || of == nonce) => {
                    names.push(listed.name);
                }
                _ => {}
            }
            Ok(())
        })?;
    names.sort();
    if names.is_empty() {
        return Err(Failure::failed(format!(
            "there is no log entry {text}\nThe newest one is {}.",
            repo.state().tail().number
        )));
    }
    names
        .iter()
        .try_for_each(|name| pretty(app, &shown(repo, &read(repo, number, name)?)))
}

/// Reads an entry and proves its signature, not whether it may say what it says.
fn read(repo: &Repo, number: u64, object: &str) -> Result<SignedEntry, Failure> {
    let about = |error: Error| error.about(Subject::Entry(number));
    let bytes = repo.backend().get(object)?;
    let read = match bytes.len() <= ENTRY_BYTES_MAX {
        true => {
            entry::decode_file(&bytes).and_then(|(core, _)| Entry::open(repo.envelopes(), core))
        }
        false => {
            Err(Error::new(ErrorKind::Damaged, Subject::None).detail("too large for an entry"))
        }
    };
    Ok(read.map_err(about)?)
}

fn shown(repo: &Repo, signed: &SignedEntry) -> Shown {
    let entry = &signed.entry;
    let (kind, fields) = match &entry.action {
        Some(action) => (format!("{:?}", action.kind()), fields(repo, action)),
        None => ("unknown".to_owned(), json!({})),
    };
    Shown {
        number: entry.number,
        kind,
        time: rfc3339(entry.time, 0),
        hash: signed.hash.to_hex(),
        follows: hex(&entry.follows),
        nonce: to_hex(&entry.nonce),
        signer: signed.signer.to_hex(),
        process: entry.process.map(|nonce| to_hex(&nonce)),
        fields,
    }
}

/// What its kind adds to an entry.
fn fields(repo: &Repo, action: &Action) -> Value {
    match action {
        Action::Roles { members, removed } => json!({
            "members": members.iter().map(member).collect::<Vec<_>>(),
            "removed": hex(removed),
        }),
        Action::Settings(settings) => json!(Settings::from(&**settings)),
        Action::Class(class) => json!({
            "class": match class {
                Class::A => "A",
                Class::C => "C",
            },
        }),
        Action::Publish { index } => json!({ "index": hex(index) }),
        Action::Commit {
            snapshot,
            index,
            reprieve,
            summary,
        } => json!({
            "snapshot": snapshot.to_hex(),
            "index": hex(index),
            "reprieve": hex(reprieve),
            "summary": opened(repo, snapshot, summary),
        }),
        Action::Forget { snapshots } => json!({ "snapshots": hex(snapshots) }),
        Action::Unforget {
            snapshots,
            reprieve,
        } => json!({ "snapshots": hex(snapshots), "reprieve": hex(reprieve) }),
        Action::Condemn {
            packs,
            objects,
            index_add,
            reprieve,
        } => json!({
            "packs": hex(packs),
            "objects": names(objects),
            "index_add": hex(index_add),
            "reprieve": hex(reprieve),
        }),
        Action::Deleting {
            objects,
            index_drop,
            index_add,
            reprieve,
            fenced,
        } => json!({
            "objects": names(objects),
            "index_drop": hex(index_drop),
            "index_add": hex(index_add),
            "reprieve": hex(reprieve),
            "fenced": fenced.iter().map(fence).collect::<Vec<_>>(),
        }),
        Action::Evidence { evidence } => json!({ "evidence": evidence.to_hex() }),
        Action::Waiting {
            condemn,
            nonces,
            forgotten,
        } => json!({
            "condemn": condemn.to_hex(),
            "nonces": nonces.iter().map(|nonce| to_hex(nonce)).collect::<Vec<_>>(),
            "forgotten": hex(forgotten),
        }),
        Action::Fence { fenced } => json!({
            "fenced": fenced.iter().map(fence).collect::<Vec<_>>(),
        }),
        Action::Void { entries } => json!({
            "entries": entries.iter().map(entry_at).collect::<Vec<_>>(),
        }),
        Action::Terms {
            snapshots,
            protected_until,
            expires,
        } => json!({
            "snapshots": hex(snapshots),
            "protected_until": protected_until.map(|time| rfc3339(time, 0)),
            "expires": expires.map(|time| rfc3339(time, 0)),
        }),
        Action::Promote { generation } => json!({ "generation": generation }),
    }
}

/// The summary of a snapshot, if it opens.
fn opened(repo: &Repo, snapshot: &SnapshotId, summary: &[u8]) -> Option<json::Snapshot> {
    let summary = repo.open_summary(snapshot, summary).ok()?;
    let info = SnapshotInfo {
        id: *snapshot,
        summary,
    };
    Some((&info).into())
}

fn member(member: &Member) -> Value {
    json!({
        "writer": member.writer.to_hex(),
        "role": member.role.name(),
        "domains": member.domains,
    })
}

fn fence(fenced: &Fenced) -> Value {
    json!({ "nonce": to_hex(&fenced.nonce), "seen": hex(&fenced.seen) })
}

fn entry_at(entry: &EntryAt) -> Value {
    json!({ "number": entry.number, "hash": entry.hash.to_hex() })
}

fn names(objects: &[ObjectRef]) -> Vec<String> {
    let name = |object: &ObjectRef| object.kind.name(&object.id);
    objects.iter().map(name).collect()
}

fn hex(ids: &[impl std::fmt::Display]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}
