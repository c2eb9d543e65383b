//! What needs a blob, a tree or a pack.

use super::{Arguments, exit};
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::looking::Looking;
use crate::selection::Found;
use crate::signals;
use crate::terminal::Out;
use crate::text::{counted, local_time, printable, rfc3339};
use repo_core::ErrorKind;
use repo_core::ops::{self, FoundObject, ObjectIds};
use repo_core::repo::Repo;
use repo_core::snapshot::SnapshotInfo;
use std::os::unix::ffi::OsStrExt;

/// Shortest beginning of an ID.
const DIGITS_MIN: usize = 4;

/// Searches for IDs.
pub fn run(app: &App, repo: &Repo, arguments: &Arguments, found: &Found) -> Result<Exit, Failure> {
    let ids = ids(repo, arguments)?;
    let mut objects = Vec::new();
    let looking = Looking::new(&app.terminal, "find");
    let mut tell = |object: &FoundObject| {
        objects.push(object.clone());
        Ok(())
    };
    let interrupt = signals::interrupt();
    let done = ops::find_objects(repo, &found.snapshots, &ids, &mut tell, &looking, interrupt);
    let problems = done.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => Failure::interrupted(""),
        _ => error.into(),
    })?;
    objects.sort();
    let mut out = app.terminal.out();
    if app.terminal.json() {
        let shown: Vec<_> = objects
            .iter()
            .map(|object| message(object, &found.snapshots))
            .collect();
        out.json_line(&shown)?;
    } else {
        let with_pack = arguments.show_pack_id;
        for object in &objects {
            text(&mut out, object, &found.snapshots, with_pack)?;
        }
    }
    out.finish()?;
    Ok(exit(problems, found))
}

fn ids(repo: &Repo, arguments: &Arguments) -> Result<ObjectIds, Failure> {
    let mut beginnings = Vec::new();
    for text in &arguments.patterns {
        let text = text.to_string_lossy().to_ascii_lowercase();
        let hex = text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !hex || !(DIGITS_MIN..=64).contains(&text.len()) {
            return Err(Failure::usage(format!(
                "{} is no ID\nGive at least {DIGITS_MIN} of its hexadecimal digits; `larder list` shows the IDs of all.",
                printable(&text)
            )));
        }
        beginnings.push(text);
    }
    let mut ids = ObjectIds::default();
    match (arguments.blob, arguments.tree) {
        (true, _) => ids.data = beginnings,
        (_, true) => ids.trees = beginnings,
        _ => ids.add_packs(repo, &beginnings)?,
    }
    Ok(ids)
}

fn text(
    out: &mut Out,
    object: &FoundObject,
    snapshots: &[SnapshotInfo],
    with_pack: bool,
) -> Result<(), Failure> {
    let kind = kind(object);
    out.text(&format!("Found {kind} {}\n", object.id))?;
    match object.parent {
        Some(_) => out.text(" ... in file ")?,
        None => out.text(" ... path ")?,
    }
    out.name(object.path.as_os_str().as_bytes())?;
    out.text("\n")?;
    if let Some(parent) = object.parent {
        out.text(&format!("     (tree {parent})\n"))?;
    }
    let shown = |place: usize| {
        let SnapshotInfo { id, summary } = &snapshots[place];
        format!("{} ({})", id.short(), local_time(summary.time))
    };
    out.text(&format!(" ... in snapshot {}", shown(object.last)))?;
    if object.first != object.last {
        let count = counted(object.count as u64, "snapshot", "snapshots");
        out.text(&format!(", since {}, {count}", shown(object.first)))?;
    }
    out.text("\n")?;
    if let (Some(pack), true) = (object.pack, with_pack) {
        out.text(&format!("Object belongs to pack {pack}\n"))?;
    }
    Ok(())
}

fn kind(object: &FoundObject) -> &'static str {
    match object.is_tree {
        true => "tree",
        false => "blob",
    }
}

fn message(object: &FoundObject, snapshots: &[SnapshotInfo]) -> json::FoundObject {
    let (first, last) = (&snapshots[object.first], &snapshots[object.last]);
    json::FoundObject {
        object_type: kind(object),
        id: object.id.to_hex(),
        path: object.path.to_string_lossy().into_owned(),
        parent_tree: object.parent.map(|tree| tree.to_hex()),
        snapshot: last.id.to_hex(),
        time: rfc3339(last.summary.time, 0),
        pack: object.pack.map(|pack| pack.to_hex()),
        first_snapshot: first.id.to_hex(),
        first_time: rfc3339(first.summary.time, 0),
        snapshots: object.count,
    }
}
