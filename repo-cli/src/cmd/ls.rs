//! `larder ls`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::json::{self, Mode};
use crate::selection::{self, SelectionFlags};
use crate::terminal::Out;
use crate::text::local_time;
use clap::Args;
use repo_core::Error;
use repo_core::format::tree::{Content, Node};
use repo_core::ops;
use repo_core::snapshot::SnapshotInfo;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Arguments of `ls`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The beginning of a snapshot's ID, or `latest`
    #[arg(value_name = "SNAPSHOT")]
    snapshot: OsString,

    /// List this directory only; without one, everything is listed
    #[arg(value_name = "PATH")]
    directory: Option<PathBuf>,

    /// Show type, permissions, owner, size and time too
    #[arg(short, long)]
    long: bool,

    /// List directories below PATH too
    #[arg(long)]
    recursive: bool,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// Lists the nodes of a snapshot in order of their paths.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let selection::Opened {
        repo,
        info,
        subfolder,
    } = selection::open(app, &arguments.snapshot, &arguments.selection)?;
    let recursive = arguments.recursive || arguments.directory.is_none();
    let root = Path::new("/");
    let below = subfolder
        .as_deref()
        .map_or(root.to_owned(), |folder| root.join(folder));
    let below = arguments
        .directory
        .map_or(below.clone(), |path| below.join(path));

    let mut out = app.terminal.out();
    if app.terminal.json() {
        out.json_line(&json::ListedSnapshot {
            snapshot: (&info).into(),
            message_type: "snapshot",
            struct_type: "snapshot",
        })?;
    } else if !app.terminal.quiet() {
        out.text(&heading(&info))?;
    }
    let mut broken = None;
    let listed = ops::ls(&repo, &info.id, &below, recursive, &mut |path, node| {
        let written = match app.terminal.json() {
            true => out.json_line(&json::ListedNode::new(path, node, Mode::of(node))),
            false => write_line(&mut out, path, node, arguments.long),
        };
        written.map_err(|failure| {
            broken = Some(failure);
            Error::interrupted()
        })
    });
    if let Some(failure) = broken {
        return Err(failure);
    }
    listed.map_err(|error| selection::explain(&info, error.into()))?;
    out.finish()?;
    Ok(Exit::Done)
}

fn heading(info: &SnapshotInfo) -> String {
    let paths: Vec<String> = info
        .summary
        .paths
        .iter()
        .map(|path| json::lossy(path))
        .collect();
    let line = format!(
        "snapshot {} of [{}] at {} by {}@{}:",
        info.id.short(),
        paths.join(" "),
        local_time(info.summary.time),
        info.summary.user,
        info.summary.host
    );
    crate::text::printable(&line).into_owned() + "\n"
}

fn write_line(out: &mut Out, path: &Path, node: &Node, long: bool) -> Result<(), Failure> {
    if long {
        let size = match &node.content {
            Content::File(file) => file.size,
            _ => 0,
        };
        let (mode, time) = (Mode::of(node), local_time(node.mtime));
        out.text(&format!(
            "{mode} {:5} {:5} {size:6} {time} ",
            node.uid, node.gid
        ))?;
    }
    out.name(path.as_os_str().as_bytes())?;
    if let (true, Content::Symlink(target)) = (long, &node.content) {
        out.text(" -> ")?;
        out.name(target)?;
    }
    out.text("\n")
}
