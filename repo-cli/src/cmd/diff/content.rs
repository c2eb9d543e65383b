//! What differs in the lines of a file.

use super::{Other, Side, both, places};
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::json;
use crate::selection;
use crate::signals;
use crate::terminal::Out;
use crate::text::printable;
use repo_core::ErrorKind;
use repo_core::ops::{self, TextDiff, TextSide};
use repo_core::repo::Repo;
use repo_core::vfs::Found;
use std::path::{Path, PathBuf};

/// One side of it.
enum Text {
    Stored(Option<Box<Found>>),
    Disk(PathBuf),
}

impl Text {
    fn side(&self) -> TextSide<'_> {
        match self {
            Self::Stored(Some(found)) => TextSide::Found(found),
            Self::Disk(path) if path.symlink_metadata().is_ok() => TextSide::Disk(path),
            _ => TextSide::Nothing,
        }
    }
}

/// Shows what differs in a file, as a unified diff.
pub fn run(
    app: &App,
    repo: &Repo,
    left: &Side,
    other: &Other,
    path: &Path,
) -> Result<Exit, Failure> {
    let stored = |found: Option<Found>| Text::Stored(found.map(Box::new));
    let label = |side: &Side| format!("{}:{}", side.info.id.short(), path.display());
    let (texts, labels) = match other {
        Other::Snapshot(right) => {
            let found = both(repo, left, right, path)?;
            (found.map(stored), [label(left), label(right)])
        }
        Other::Disk => {
            let mut found = places(repo, left, Some(path))?;
            let (at, found) = found.pop().unwrap_or_else(|| (path.to_path_buf(), None));
            let labels = [label(left), at.display().to_string()];
            ([stored(found), Text::Disk(at)], labels)
        }
    };
    let [one, two] = [texts[0].side(), texts[1].side()];
    if matches!((one, two), (TextSide::Nothing, TextSide::Nothing)) {
        let absent = left.top.find(repo, path).err();
        let failure = absent.map_or_else(|| Failure::failed("nothing is there"), Failure::from);
        return Err(selection::explain(
            repo,
            &left.info,
            &[left.top.in_snapshot(path)],
            failure,
        ));
    }
    let sides = ((one, &labels[0][..]), (two, &labels[1][..]));
    let diff = ops::text_diff(repo, sides.0, sides.1, signals::interrupt());
    let diff = diff.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => Failure::interrupted(""),
        _ => error.into(),
    })?;
    let mut out = app.terminal.out();
    match app.terminal.json() {
        true => tell(&mut out, path, &diff)?,
        false => show(&mut out, &labels, &diff)?,
    }
    out.finish().map(|()| Exit::Done)
}

fn tell(out: &mut Out, path: &Path, diff: &TextDiff) -> Result<(), Failure> {
    let text = match diff {
        TextDiff::Unified(text) => Some(String::from_utf8_lossy(text)),
        _ => None,
    };
    out.json_line(&json::ContentDiff {
        message_type: "content_diff",
        path: &path.to_string_lossy(),
        same: *diff == TextDiff::Same,
        binary: *diff == TextDiff::Binary,
        diff: text.as_deref(),
    })
}

fn show(out: &mut Out, labels: &[String; 2], diff: &TextDiff) -> Result<(), Failure> {
    let text = match diff {
        TextDiff::Same => return Ok(()),
        TextDiff::Binary => {
            let [one, other] = labels.each_ref().map(|label| printable(label));
            return out.text(&format!("Binary files {one} and {other} differ\n"));
        }
        TextDiff::Unified(text) => text,
    };
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = match line.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        // A tabulator is no danger to a terminal, and stands in many lines.
        for (number, part) in line.split(|byte| *byte == b'\t').enumerate() {
            if number > 0 {
                out.text("\t")?;
            }
            out.name(part)?;
        }
        out.text(end)?;
    }
    Ok(())
}
