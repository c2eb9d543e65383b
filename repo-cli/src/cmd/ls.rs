//! `larder ls`

mod ncdu;

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::json::{self, Mode};
use crate::selection::{self, SelectionFlags};
use crate::terminal::Out;
use crate::text::{bytes, local_time, printable};
use clap::{Args, ValueEnum};
use repo_core::Error;
use repo_core::format::tree::{Content, FileContent, Node};
use repo_core::ops::{self, LsOptions};
use repo_core::snapshot::SnapshotInfo;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Arguments of `ls`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The beginning of a snapshot's ID, or `latest`; with `:FOLDER` that folder as if it were the whole snapshot
    #[arg(value_name = "SNAPSHOT[:FOLDER]")]
    snapshot: OsString,

    /// List these paths only, and what lies directly below them; without any, everything is listed
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Show type, permissions, owner, size and time too
    #[arg(short, long)]
    long: bool,

    /// Show sizes as people read them
    #[arg(long)]
    human_readable: bool,

    /// List all that lies below each PATH
    #[arg(long)]
    recursive: bool,

    /// Sort by this, everything together, and not as the directories lie
    #[arg(short, long, value_name = "WHAT", conflicts_with = "ncdu")]
    sort: Option<Sort>,

    /// List in the opposite order
    #[arg(long, conflicts_with = "ncdu")]
    reverse: bool,

    /// Write what `ncdu -f -` reads
    #[arg(long)]
    ncdu: bool,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// What nodes are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    Name,
    Size,
    #[value(alias = "mtime")]
    Time,
    Atime,
    Ctime,
    Extension,
}

/// Lists the nodes of a snapshot in order of their paths, unless told otherwise.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    check(app, &arguments)?;
    let selection::Opened {
        repo,
        info,
        subfolder,
    } = selection::open(app, &arguments.snapshot, &arguments.selection)?;
    let options = LsOptions {
        subfolder: subfolder.clone(),
        paths: arguments.paths.clone(),
        recursive: arguments.recursive,
    };
    let mut printer = Printer::new(app, &arguments);
    let sorted = arguments.reverse || arguments.sort.is_some_and(|sort| sort != Sort::Name);
    let mut nodes = Vec::new();
    let mut begun = false;
    let mut broken = None;
    let listed = ops::ls(&repo, &info.id, &options, &mut |path, node| {
        if sorted {
            nodes.push((path.to_owned(), without_chunks(node)));
            return Ok(());
        }
        let begin = match std::mem::replace(&mut begun, true) {
            true => Ok(()),
            false => printer.begin(&info),
        };
        let written = begin.and_then(|()| printer.node(path, node));
        written.map_err(|failure| {
            broken = Some(failure);
            Error::interrupted()
        })
    });
    if let Some(failure) = broken {
        return Err(failure);
    }
    listed.map_err(|error| {
        let below = |path: &PathBuf| subfolder.iter().collect::<PathBuf>().join(path);
        let mut asked: Vec<PathBuf> = arguments.paths.iter().map(below).collect();
        asked.extend(subfolder.clone());
        selection::explain(&repo, &info, &asked, error.into())
    })?;
    if !begun {
        printer.begin(&info)?;
    }
    sort(
        &mut nodes,
        arguments.sort.unwrap_or(Sort::Name),
        arguments.reverse,
    );
    for (path, node) in &nodes {
        printer.node(path, node)?;
    }
    printer.finish()?;
    Ok(Exit::Done)
}

/// Refuses what cannot be done before anything is opened.
fn check(app: &App, arguments: &Arguments) -> Result<(), Failure> {
    if app.terminal.json() && arguments.ncdu {
        return Err(Failure::usage(
            "--json and --ncdu contradict each other\nGive only one of them.",
        ));
    }
    match arguments.paths.iter().find(|path| !path.is_absolute()) {
        None => Ok(()),
        Some(path) => Err(Failure::usage(format!(
            "{} is not a path from the root\nPaths in a snapshot begin with a slash; `larder ls SNAPSHOT` shows them.",
            printable(&path.to_string_lossy())
        ))),
    }
}

/// What is shown of a node, which is little: a file's chunks are not.
fn without_chunks(node: &Node) -> Node {
    let content = match &node.content {
        Content::File(file) => Content::File(FileContent {
            size: file.size,
            ..FileContent::default()
        }),
        other => other.clone(),
    };
    Node {
        name: node.name.clone(),
        xattrs: Vec::new(),
        ext: Vec::new(),
        content,
        ..*node
    }
}

/// Sorts nodes that are in order of their paths; those that are alike stay so.
fn sort(nodes: &mut [(PathBuf, Node)], by: Sort, reverse: bool) {
    let atime = |node: &Node| node.atime.unwrap_or(node.mtime);
    let extension = |path: &Path| path.extension().map(|ending| ending.to_owned());
    match by {
        Sort::Name => {}
        Sort::Size => nodes.sort_by_key(|(_, node)| size(node)),
        Sort::Time => nodes.sort_by_key(|(_, node)| node.mtime),
        Sort::Atime => nodes.sort_by_key(|(_, node)| atime(node)),
        Sort::Ctime => nodes.sort_by_key(|(_, node)| node.ctime),
        Sort::Extension => nodes.sort_by_cached_key(|(path, _)| extension(path)),
    }
    if reverse {
        nodes.reverse();
    }
}

/// Bytes of a file; 0 of anything else.
fn size(node: &Node) -> u64 {
    match &node.content {
        Content::File(file) => file.size,
        _ => 0,
    }
}

/// How nodes are written.
enum Form {
    Names,
    Long { human: bool },
    Json,
    Ncdu(ncdu::Writer),
}

/// Writes nodes.
struct Printer<'a> {
    out: Out,
    form: Form,
    quiet: bool,
    paths: &'a [PathBuf],
}

impl<'a> Printer<'a> {
    fn new(app: &App, arguments: &'a Arguments) -> Self {
        let form = match arguments {
            _ if app.terminal.json() => Form::Json,
            Arguments { ncdu: true, .. } => Form::Ncdu(ncdu::Writer::default()),
            Arguments { long: true, .. } => Form::Long {
                human: arguments.human_readable,
            },
            _ => Form::Names,
        };
        Self {
            out: app.terminal.out(),
            form,
            quiet: app.terminal.quiet(),
            paths: &arguments.paths,
        }
    }

    fn begin(&mut self, info: &SnapshotInfo) -> Result<(), Failure> {
        match &mut self.form {
            Form::Json => self.out.json_line(&json::ListedSnapshot {
                snapshot: info.into(),
                message_type: "snapshot",
                struct_type: "snapshot",
            }),
            Form::Ncdu(writer) => self.out.text(&writer.begin(info)),
            _ if self.quiet => Ok(()),
            _ => self.out.text(&heading(info, self.paths)),
        }
    }

    fn node(&mut self, path: &Path, node: &Node) -> Result<(), Failure> {
        match &mut self.form {
            Form::Json => {
                let message = json::ListedNode::new(path, node, Mode::of(node));
                self.out.json_line(&message)
            }
            Form::Ncdu(writer) => self.out.text(&writer.node(path, node)),
            Form::Long { human } => {
                self.out.text(&facts(node, *human))?;
                self.out.name(path.as_os_str().as_bytes())?;
                if let Content::Symlink(target) = &node.content {
                    self.out.text(" -> ")?;
                    self.out.name(target)?;
                }
                self.out.text("\n")
            }
            Form::Names => {
                self.out.name(path.as_os_str().as_bytes())?;
                self.out.text("\n")
            }
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        if let Form::Ncdu(writer) = &mut self.form {
            self.out.text(&writer.finish())?;
        }
        self.out.finish()
    }
}

fn heading(info: &SnapshotInfo, paths: &[PathBuf]) -> String {
    let of: Vec<String> = info
        .summary
        .paths
        .iter()
        .map(|path| json::lossy(path))
        .collect();
    let mut line = format!(
        "snapshot {} of [{}] at {} by {}@{}",
        info.id.short(),
        of.join(" "),
        local_time(info.summary.time),
        info.summary.user,
        info.summary.host
    );
    if !paths.is_empty() {
        let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
        line.push_str(&format!(" filtered by [{}]", paths.join(" ")));
    }
    printable(&line).into_owned() + ":\n"
}

/// What stands before the path in a long listing.
pub fn facts(node: &Node, human: bool) -> String {
    let (mode, time) = (Mode::of(node), local_time(node.mtime));
    let size = match human {
        true => format!("{:>12}", bytes(size(node))),
        false => format!("{:6}", size(node)),
    };
    format!("{mode} {:5} {:5} {size} {time} ", node.uid, node.gid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::time::Timestamp;

    fn node(size: u64, mtime: i64, atime: Option<i64>) -> Node {
        Node {
            name: Vec::new(),
            mode: 0o644,
            uid: 1000,
            gid: 100,
            mtime: Timestamp::new(mtime, 0),
            ctime: Timestamp::new(-mtime, 0),
            atime: atime.map(|atime| Timestamp::new(atime, 0)),
            inode: 0,
            device: 0,
            links: 1,
            xattrs: vec![(b"user.x".to_vec(), b"y".to_vec())],
            content: Content::File(FileContent {
                size,
                ..FileContent::default()
            }),
            ext: Vec::new(),
        }
    }

    fn order(by: Sort, reverse: bool) -> Vec<String> {
        let mut nodes = vec![
            (PathBuf::from("/a.z"), node(5, 1, Some(9))),
            (PathBuf::from("/b"), node(3, 2, None)),
            (PathBuf::from("/b/c.a"), node(5, 3, Some(0))),
        ];
        sort(&mut nodes, by, reverse);
        let paths = nodes.iter().map(|(path, _)| path.display().to_string());
        paths.collect()
    }

    #[test]
    fn nodes_are_sorted_and_those_alike_stay_in_order() {
        assert_eq!(order(Sort::Name, false), ["/a.z", "/b", "/b/c.a"]);
        assert_eq!(order(Sort::Name, true), ["/b/c.a", "/b", "/a.z"]);
        assert_eq!(order(Sort::Size, false), ["/b", "/a.z", "/b/c.a"]);
        assert_eq!(order(Sort::Size, true), ["/b/c.a", "/a.z", "/b"]);
        assert_eq!(order(Sort::Time, true), ["/b/c.a", "/b", "/a.z"]);
        assert_eq!(order(Sort::Ctime, false), ["/b/c.a", "/b", "/a.z"]);
        assert_eq!(order(Sort::Atime, false), ["/b/c.a", "/b", "/a.z"]);
        assert_eq!(order(Sort::Extension, false), ["/b", "/b/c.a", "/a.z"]);
    }

    #[test]
    fn long_lines_have_columns() {
        assert!(
            facts(&node(300_000, 0, None), false)
                .starts_with("-rw-r--r--  1000   100 300000 1970-")
        );
        assert!(facts(&node(300_000, 0, None), true).contains("  292.969 KiB 1970-"));
    }

    #[test]
    fn what_waits_to_be_sorted_is_small() {
        let small = without_chunks(&node(7, 1, None));
        assert!(small.xattrs.is_empty());
        assert_eq!((size(&small), small.uid), (7, 1000));
    }
}
