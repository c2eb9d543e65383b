//! `larder list`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::repository;
use crate::terminal::Out;
use clap::{Args, ValueEnum};
use repo_core::format::name::{self, ObjectKind};
use repo_core::id::to_hex;
use repo_core::repo::Repo;
use std::ops::ControlFlow;

/// Arguments of `list`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// What is listed
    #[arg(value_name = "KIND")]
    kind: Kind,
}

/// restic's words for what a repository is made of, and `log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// All blobs that the index names, each with its type
    Blobs,
    /// All packs that are stored
    Packs,
    /// All index tables that are stored
    Index,
    /// All snapshots that were not forgotten
    Snapshots,
    /// All key slots
    Keys,
    /// Nothing: larder has no locks
    Locks,
    /// The numbers of all entries of the log
    Log,
}

/// Lists the ids of objects, one a line, in JSON mode too, as restic does.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let repo = repository::open(app, false)?.repo;
    let mut out = app.terminal.out();
    match arguments.kind {
        Kind::Blobs => blobs(&repo, &mut out)?,
        Kind::Packs => stored(&repo, &[ObjectKind::Data, ObjectKind::Meta], &mut out)?,
        Kind::Index => stored(&repo, &[ObjectKind::Index], &mut out)?,
        Kind::Keys => stored(&repo, &[ObjectKind::Key], &mut out)?,
        Kind::Snapshots => {
            for (id, _) in repo.live_snapshots() {
                out.text(&format!("{id}\n"))?;
            }
        }
        Kind::Log => entries(&repo, &mut out)?,
        Kind::Locks if !app.terminal.quiet() && !app.terminal.json() => {
            app.terminal.to_stderr("larder has no locks\n");
        }
        Kind::Locks => {}
    }
    out.finish()?;
    Ok(Exit::Done)
}

/// Every blob once, however many copies there are. One bit a blob.
fn blobs(repo: &Repo, out: &mut Out) -> Result<(), Failure> {
    let (index, state) = (repo.index(), repo.state());
    let mut seen = index.marks();
    let mut broken = None;
    index.for_each_blob(&mut |id, location| {
        let pack = index.pack_of(&location)?;
        if state.is_deleted(&pack.id.0) || !seen.insert(&id)? {
            return Ok(ControlFlow::Continue(()));
        }
        let line = format!("{} {id}\n", super::cat::type_name(pack.kind));
        Ok(match out.text(&line) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                broken = Some(failure);
                ControlFlow::Break(())
            }
        })
    })?;
    broken.map_or(Ok(()), Err)
}

/// The ids of stored objects, sorted. 32 bytes each.
fn stored(repo: &Repo, kinds: &[ObjectKind], out: &mut Out) -> Result<(), Failure> {
    let mut ids = Vec::new();
    for kind in kinds {
        repo.backend().list(kind.folder(), &mut |listed| {
            if let Some((found, id)) = ObjectKind::parse(&listed.name)
                && found == *kind
            {
                ids.push(id);
            }
            Ok(())
        })?;
    }
    ids.sort_unstable();
    ids.iter()
        .try_for_each(|id| out.text(&format!("{}\n", to_hex(id))))
}

/// The numbers of entries, those of concurrent writers on class C with the nonce that tells them apart.
fn entries(repo: &Repo, out: &mut Out) -> Result<(), Failure> {
    let mut found = Vec::new();
    repo.backend().list("log", &mut |listed| {
        found.extend(name::parse_numbered(&listed.name));
        Ok(())
    })?;
    found.sort_unstable();
    found.iter().try_for_each(|(number, nonce)| match nonce {
        Some(nonce) => out.text(&format!("{number}-{}\n", to_hex(nonce))),
        None => out.text(&format!("{number}\n")),
    })
}
