//! `larder cat`

mod entry;
mod table;
mod tree;

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::selection::{self, Named};
use crate::text::{counted, printable};
use crate::{json, repository};
use clap::{Args, ValueEnum};
use repo_core::Error;
use repo_core::crypto::BlobType;
use repo_core::format::name::ObjectKind;
use repo_core::id::{BlobId, IndexId, to_hex};
use repo_core::index::Want;
use repo_core::repo::Repo;
use repo_core::snapshot::{Filter, SnapshotInfo};
use serde::Serialize;
use std::ffi::OsString;

/// Arguments of `cat`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// What is shown
    #[arg(value_name = "KIND")]
    kind: Kind,

    /// Which one: the ID, or its beginning where KIND is no blob; of a log entry its number; of a tree a snapshot with the folder
    /// in it, SNAPSHOT:FOLDER
    #[arg(value_name = "ID")]
    id: Option<OsString>,
}

/// restic's words for what can be shown, and `log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Format, ID and settings of the repository
    Config,
    /// What is known of a snapshot
    Snapshot,
    /// An entry of the log
    Log,
    /// A key slot as it is stored: sealed
    Key,
    /// The content of a blob
    Blob,
    /// The nodes of a directory
    Tree,
    /// A pack as it is stored: sealed
    Pack,
    /// An index table
    Index,
    /// Refused: who has seen the keys can read everything for good
    Masterkey,
    /// Refused: larder has no locks
    Lock,
}

/// Shows an object.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let kind = arguments.kind;
    let name = kind
        .to_possible_value()
        .map_or(String::new(), |value| value.get_name().to_owned());
    match kind {
        Kind::Masterkey => {
            return Err(Failure::failed(
                "the keys of the repository are not shown: whoever has seen them can read all backups, those to come too\n\
                 `larder key add` gives somebody access.",
            ));
        }
        Kind::Lock => return Err(Failure::failed("larder has no locks")),
        Kind::Config if arguments.id.is_some() => {
            return Err(Failure::usage("there is one config, so it has no ID"));
        }
        Kind::Config => {}
        _ if arguments.id.as_ref().is_none_or(|id| id.is_empty()) => {
            return Err(Failure::usage(format!(
                "`cat {name}` needs an ID\n`larder cat --help` says what it may be."
            )));
        }
        _ => {}
    }
    let id = arguments.id.unwrap_or_default();
    let text = id.to_string_lossy().into_owned();
    let repo = repository::open(app, false)?.repo;
    match kind {
        Kind::Config => pretty(app, &config(&repo)),
        Kind::Snapshot => {
            let info = selection::find(&repo, &text, &Filter::default())?;
            pretty(app, &snapshot(&repo, &info)?)
        }
        Kind::Log => entry::show(app, &repo, &text),
        Kind::Key => {
            let bytes = object(&repo, &[ObjectKind::Key], &text, "key")?.1;
            let slot: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| {
                Failure::failed(format!("key {} is damaged: {error}", printable(&text)))
            })?;
            pretty(app, &slot)
        }
        Kind::Blob => blob(app, &repo, &text),
        Kind::Tree => tree::show(app, &repo, &Named::parse(&id)?),
        Kind::Pack => {
            let kinds = [ObjectKind::Data, ObjectKind::Meta];
            let (id, bytes) = object(&repo, &kinds, &text, "pack")?;
            raw(app, &bytes)?;
            verify(app, &id, &bytes)
        }
        Kind::Index => {
            let id = find(&repo, &[ObjectKind::Index], &text, "index table")?.1;
            table::show(app, &repo.load_table(&IndexId(id))?)
        }
        Kind::Masterkey | Kind::Lock => Ok(()),
    }?;
    Ok(Exit::Done)
}

/// restic's word for a type of blob.
pub fn type_name(kind: BlobType) -> &'static str {
    match kind {
        BlobType::Data => "data",
        BlobType::Tree => "tree",
    }
}

/// JSON on several lines, as restic writes it.
fn pretty(app: &App, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).expect("structs of plain values");
    app.terminal.result(&(json::escaped(text) + "\n"))
}

fn raw(app: &App, bytes: &[u8]) -> Result<(), Failure> {
    let mut out = app.terminal.out();
    out.bytes(bytes)?;
    out.finish()
}

/// Format, id and settings in force.
#[derive(Serialize)]
struct Config {
    version: u8,
    id: String,
    #[serde(flatten)]
    settings: Settings,
}

/// Settings of a repository.
#[derive(Serialize)]
pub struct Settings {
    epoch: u32,
    domain: u32,
    pack_bytes: u32,
    block_bytes: u32,
    level: i32,
    grace_s: u64,
}

impl From<&repo_core::format::settings::Settings> for Settings {
    fn from(settings: &repo_core::format::settings::Settings) -> Self {
        Self {
            epoch: settings.epoch,
            domain: settings.domain,
            pack_bytes: settings.pack_bytes,
            block_bytes: settings.block_bytes,
            level: settings.level,
            grace_s: settings.grace_s,
        }
    }
}

fn config(repo: &Repo) -> Config {
    Config {
        version: repo_core::format::VERSION,
        id: repo.id().to_hex(),
        settings: (&repo.settings()).into(),
    }
}

/// A snapshot object: restic's fields, and those that only we have.
#[derive(Serialize)]
struct Snapshot {
    #[serde(flatten)]
    snapshot: json::Snapshot,
    domain: u32,
    writer: String,
    sequence: u64,
    sources: Vec<Source>,
}

/// One source of a snapshot.
#[derive(Serialize)]
struct Source {
    kind: &'static str,
    name: String,
    chunker: u8,
    files: u64,
    bytes: u64,
    error_count: u64,
}

fn snapshot(repo: &Repo, info: &SnapshotInfo) -> Result<Snapshot, Failure> {
    use repo_core::format::snapshot::SourceKind;
    let loaded = repo.load_snapshot(&info.id)?;
    let source = |source: &repo_core::format::snapshot::Source| Source {
        kind: match source.kind {
            SourceKind::Files => "files",
            SourceKind::Stream => "stream",
            SourceKind::Command => "command",
            SourceKind::Database => "database",
        },
        name: json::lossy(&source.name),
        chunker: source.chunker,
        files: source.totals.files,
        bytes: source.totals.bytes,
        error_count: source.totals.problems,
    };
    let info = SnapshotInfo {
        id: info.id,
        summary: loaded.summary,
    };
    Ok(Snapshot {
        snapshot: (&info).into(),
        domain: loaded.domain,
        writer: loaded.writer.to_hex(),
        sequence: loaded.sequence,
        sources: loaded.sources.iter().map(source).collect(),
    })
}

/// The content of a blob of either type.
fn blob(app: &App, repo: &Repo, text: &str) -> Result<(), Failure> {
    let id: BlobId = text.parse().map_err(|_| {
        Failure::usage(format!(
            "{} is no ID of a blob, which has 64 hexadecimal digits\n`larder list blobs` shows them.",
            printable(text)
        ))
    })?;
    let unknown = || Error::unindexed(&id);
    let location = repo.index().lookup(&id, Want::Readable)?;
    let pack = repo.index().pack_of(&location.ok_or_else(unknown)?)?;
    raw(app, &repo.read_blob(pack.kind, &id)?)
}

/// The stored bytes of the object whose id begins so.
fn object(
    repo: &Repo,
    kinds: &[ObjectKind],
    beginning: &str,
    what: &str,
) -> Result<([u8; 32], Vec<u8>), Failure> {
    let (kind, id) = find(repo, kinds, beginning, what)?;
    Ok((id, repo.backend().get(&kind.name(&id))?))
}

/// The one object whose id begins so.
fn find(
    repo: &Repo,
    kinds: &[ObjectKind],
    beginning: &str,
    what: &str,
) -> Result<(ObjectKind, [u8; 32]), Failure> {
    let wanted = beginning.to_ascii_lowercase();
    let mut found = Vec::new();
    for kind in kinds.iter().filter(|_| !wanted.is_empty()) {
        repo.backend().list(kind.folder(), &mut |listed| {
            match ObjectKind::parse(&listed.name) {
                Some(object) if object.0 == *kind && to_hex(&object.1).starts_with(&wanted) => {
                    found.push(object);
                }
                _ => {}
            }
            Ok(())
        })?;
    }
    let beginning = printable(beginning);
    match found[..] {
        [object] => Ok(object),
        [] => Err(Failure::failed(format!(
            "no {what} has an ID that begins with {beginning}\n`larder list` shows the IDs of all."
        ))),
        _ => Err(Failure::failed(format!(
            "{} have an ID that begins with {beginning}\nGive more of it.",
            counted(found.len() as u64, what, &format!("{what}s"))
        ))),
    }
}

/// Says so if an object is not what its name says; it was shown all the same.
fn verify(app: &App, id: &[u8; 32], bytes: &[u8]) -> Result<(), Failure> {
    if blake3::hash(bytes).as_bytes() == id {
        return Ok(());
    }
    app.terminal
        .warn("the pack is damaged: its content is not what its name says");
    Ok(())
}
