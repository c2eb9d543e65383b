//! `larder diff`

mod content;

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::looking::Looking;
use crate::selection::{self, Named};
use crate::terminal::Out;
use crate::text::bytes;
use crate::{json, patterns, repository, signals};
use clap::Args;
use repo_core::ops::{self, DiffSummary, Difference, DiskOptions, OneSide};
use repo_core::repo::Repo;
use repo_core::snapshot::{Filter, SnapshotInfo};
use repo_core::vfs::{Found, Top};
use repo_core::{Error, ErrorKind};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the letters mean, at the end of the help.
const AFTER_HELP: &str = "\
The letters before a path say what became of it from the first to the second:
  +   it is new                    -   it is gone
  M   another content              M?  another content, and nothing else: perhaps by the disk
  T   another type                 U   other attributes (--metadata)
With one snapshot it is compared with the disk, as it lay there when it was backed up. Files are
read where their size is the same and a time is not. What was left out of the backup shows as new,
unless it is left out here too.";

/// Arguments of `diff`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The beginning of a snapshot's ID, or `latest`; with `:FOLDER` only that folder
    #[arg(value_name = "SNAPSHOT[:FOLDER]")]
    left: OsString,

    /// The snapshot that it is compared with; without it, the disk
    #[arg(value_name = "SNAPSHOT[:FOLDER]|PATH")]
    right: Option<OsString>,

    /// Compare only this; paths begin with / or with . and need no snapshot before them
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,

    /// Show what has other attributes only, too
    #[arg(long)]
    metadata: bool,

    /// Show what differs in the lines of this file, or of what is named by PATH
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    content: Option<Option<PathBuf>>,

    /// Read files of the same size and times too
    #[arg(long, help_heading = "Comparing with the disk")]
    content_check: bool,

    /// Leave out what matches this pattern; may be given more than once
    #[arg(
        short, long, value_name = "PATTERN", help_heading = "Comparing with the disk",
        value_parser = patterns::parser()
    )]
    exclude: Vec<OsString>,

    /// Leave out what matches the patterns of this file; may be given more than once
    #[arg(long, value_name = "FILE", help_heading = "Comparing with the disk")]
    exclude_file: Vec<PathBuf>,

    /// Stay on the file system of each path
    #[arg(short = 'x', long, help_heading = "Comparing with the disk")]
    one_file_system: bool,
}

/// A snapshot that is compared.
struct Side {
    info: SnapshotInfo,
    /// It, or the folder that is meant.
    top: Top,
    has_folder: bool,
    /// As it was named.
    name: String,
}

/// What is compared with the snapshot.
enum Other {
    Snapshot(Box<Side>),
    Disk,
}

/// Compares.
pub fn run(app: &App, mut arguments: Arguments) -> Result<Exit, Failure> {
    // What is a path by its looks is no snapshot.
    if let Some(path) = arguments.right.take_if(|right| looks_like_path(right))
        && arguments.path.replace(path.into()).is_some()
    {
        return Err(Failure::usage(
            "two paths are named, and one is compared\nName snapshots before it; see `--help`.",
        ));
    }
    if arguments.right.is_some() && disk_only(&arguments) {
        return Err(Failure::usage(
            "two snapshots are compared by what is stored, and nothing of the disk\nLeave out --content-check, --exclude, \
             --exclude-file and --one-file-system.",
        ));
    }
    let excludes = patterns::list(app, &arguments.exclude, &arguments.exclude_file, false)?;
    let left = Named::parse(&arguments.left)?;
    let right = arguments.right.as_deref().map(Named::parse).transpose()?;
    let repo = repository::open(app, false)?.repo;
    let left = side(&repo, &arguments.left, left)?;
    let other = match (right, &arguments.right) {
        (Some(named), Some(text)) => Other::Snapshot(Box::new(side(&repo, text, named)?)),
        _ => Other::Disk,
    };
    if let Some(named) = arguments.content.take() {
        let path = named.or(arguments.path.take()).ok_or_else(|| {
            Failure::usage(
                "no file is named\nSay which one: --content=FILE, or a PATH behind the snapshots.",
            )
        })?;
        return content::run(app, &repo, &left, &other, &path);
    }
    let mut printer = Printer {
        out: app.terminal.out(),
        json: app.terminal.json(),
        quiet: app.terminal.quiet(),
        broken: None,
    };
    printer.begin(&left, &other)?;
    let summary = match &other {
        Other::Snapshot(right) => {
            let path = arguments.path.as_deref();
            snapshots(
                app,
                &repo,
                (&left, right),
                (path, arguments.metadata),
                &mut printer,
            )?
        }
        Other::Disk => {
            let options = DiskOptions {
                metadata: arguments.metadata,
                all_content: arguments.content_check,
                excludes: (!excludes.is_empty()).then_some(excludes),
                one_file_system: arguments.one_file_system,
            };
            let path = arguments.path.as_deref();
            disk(app, &repo, &left, (path, &options), &mut printer)?
        }
    };
    printer.finish(&left, &other, &summary)?;
    Ok(Exit::with_problems(summary.problems))
}

fn looks_like_path(text: &OsStr) -> bool {
    let bytes = text.as_bytes();
    bytes.starts_with(b"/") || bytes.starts_with(b".")
}

fn disk_only(arguments: &Arguments) -> bool {
    arguments.content_check
        || arguments.one_file_system
        || !(arguments.exclude.is_empty() && arguments.exclude_file.is_empty())
}

fn side(repo: &Repo, text: &OsStr, named: Named) -> Result<Side, Failure> {
    let info = selection::find(repo, &named.snapshot, &Filter::default())?;
    let folder = named.subfolder.as_deref();
    let top = Top::open(repo, &info.id, folder);
    Ok(Side {
        top: top.map_err(|error| {
            let asked: Vec<PathBuf> = named.subfolder.iter().cloned().collect();
            selection::explain(repo, &info, &asked, error.into())
        })?,
        has_folder: folder.is_some(),
        name: text.to_string_lossy().into_owned(),
        info,
    })
}

fn snapshots(
    app: &App,
    repo: &Repo,
    (left, right): (&Side, &Side),
    (path, metadata): (Option<&Path>, bool),
    printer: &mut Printer,
) -> Result<DiffSummary, Failure> {
    let path = path.unwrap_or(Path::new("/"));
    let [one, other] = both(repo, left, right, path)?;
    let looking = Looking::new(&app.terminal, "diff");
    let interrupt = signals::interrupt();
    let sides = (one.as_ref(), other.as_ref());
    let done = ops::diff(
        repo,
        sides,
        metadata,
        &mut |difference| printer.difference(difference),
        &looking,
        interrupt,
    );
    printer.explain(done)
}

/// What has a path in two snapshots, of which one may lack it.
fn both(
    repo: &Repo,
    left: &Side,
    right: &Side,
    path: &Path,
) -> Result<[Option<Found>; 2], Failure> {
    let find = |side: &Side| side.top.find_if_there(repo, path);
    match (find(left)?, find(right)?) {
        (None, None) => {
            let error = left.top.find(repo, path).err();
            let failure = error.map_or_else(|| Failure::failed("nothing is there"), Failure::from);
            Err(selection::explain(
                repo,
                &left.info,
                &[left.top.in_snapshot(path)],
                failure,
            ))
        }
        (one, other) => Ok([one, other]),
    }
}

/// What of the snapshot is compared with which paths of the disk; nothing of what is new there.
fn places(
    repo: &Repo,
    side: &Side,
    path: Option<&Path>,
) -> Result<Vec<(PathBuf, Option<Found>)>, Failure> {
    let absolute = path.map(std::path::absolute).transpose();
    let absolute = absolute.map_err(|error| Failure::usage(error.to_string()))?;
    if side.has_folder {
        let root = side.top.find(repo, Path::new("/"))?;
        let path = absolute.unwrap_or_else(|| side.top.folder.clone());
        return Ok(vec![(path, Some(root))]);
    }
    let sources = &side.info.summary.paths;
    let all: Vec<PathBuf> = match absolute {
        Some(path) => vec![path],
        None => sources
            .iter()
            .map(|path| PathBuf::from(OsStr::from_bytes(path)))
            .collect(),
    };
    let mut places = Vec::new();
    for path in all {
        let there = side.top.origin(repo, &path, sources)?;
        let found = side.top.find_if_there(repo, &there)?;
        // It may be named as a listing of the snapshot shows it.
        let elsewhere = match found.is_some() && path.symlink_metadata().is_err() {
            true => side.top.on_disk(repo, &there, sources)?,
            false => None,
        };
        places.push((elsewhere.unwrap_or(path), found));
    }
    Ok(places)
}

fn disk(
    app: &App,
    repo: &Repo,
    left: &Side,
    (path, options): (Option<&Path>, &DiskOptions),
    printer: &mut Printer,
) -> Result<DiffSummary, Failure> {
    let looking = Looking::new(&app.terminal, "diff");
    let interrupt = signals::interrupt();
    let mut sum = DiffSummary::default();
    for (path, found) in places(repo, left, path)? {
        let done = ops::diff_disk(
            repo,
            (found.as_ref(), &path),
            options,
            &mut |difference| printer.difference(difference),
            &looking,
            interrupt,
        );
        let done = printer.explain(done);
        let one = done.map_err(|failure| selection::explain(repo, &left.info, &[], failure))?;
        sum.changed_files += one.changed_files;
        sum.problems += one.problems;
        for (all, one) in [(&mut sum.added, one.added), (&mut sum.removed, one.removed)] {
            all.files += one.files;
            all.dirs += one.dirs;
            all.others += one.others;
            all.bytes += one.bytes;
        }
    }
    Ok(sum)
}

/// Writes differences as restic does.
struct Printer {
    out: Out,
    json: bool,
    quiet: bool,
    broken: Option<Failure>,
}

impl Printer {
    fn begin(&mut self, left: &Side, other: &Other) -> Result<(), Failure> {
        if self.json || self.quiet {
            return Ok(());
        }
        let right = match other {
            Other::Snapshot(right) => right.info.id.short(),
            Other::Disk => "the disk".to_owned(),
        };
        let left = left.info.id.short();
        self.out
            .text(&format!("comparing snapshot {left} to {right}:\n\n"))
    }

    fn difference(&mut self, difference: &Difference<'_>) -> repo_core::Result<()> {
        let written = self.write(difference);
        written.map_err(|failure| {
            self.broken = Some(failure);
            Error::interrupted()
        })
    }

    fn write(&mut self, difference: &Difference<'_>) -> Result<(), Failure> {
        let letters = difference.modifier.letters();
        let slash = if difference.is_dir && difference.path != Path::new("/") {
            "/"
        } else {
            ""
        };
        if self.json {
            return self.out.json_line(&json::Change {
                message_type: "change",
                path: &format!("{}{slash}", difference.path.to_string_lossy()),
                modifier: letters,
            });
        }
        if self.quiet {
            return Ok(());
        }
        self.out.text(&format!("{letters:<5}"))?;
        self.out.name(difference.path.as_os_str().as_bytes())?;
        self.out.text(slash)?;
        self.out.text("\n")
    }

    /// What an operation is called that could not write, or was stopped.
    fn explain<T>(&mut self, done: repo_core::Result<T>) -> Result<T, Failure> {
        if let Some(failure) = self.broken.take() {
            return Err(failure);
        }
        done.map_err(|error| match error.kind() {
            ErrorKind::Interrupted => Failure::interrupted(""),
            _ => error.into(),
        })
    }

    fn finish(mut self, left: &Side, other: &Other, summary: &DiffSummary) -> Result<(), Failure> {
        let DiffSummary {
            changed_files,
            added,
            removed,
            ..
        } = summary;
        if self.json {
            let target = match other {
                Other::Snapshot(right) => &right.name,
                Other::Disk => "",
            };
            self.out.json_line(&json::DiffStatistics {
                message_type: "statistics",
                source_snapshot: &left.name,
                target_snapshot: target,
                changed_files: *changed_files,
                added: added.into(),
                removed: removed.into(),
            })?;
            return self.out.finish();
        }
        let line = |what: &str, of: fn(&OneSide) -> u64| {
            format!(
                "{what:<12} {:>5} new, {:>5} removed",
                of(added),
                of(removed)
            )
        };
        let mut text = format!(
            "\n{}, {changed_files:>5} changed\n",
            line("Files:", |s| s.files)
        );
        let mut add = |what, of: fn(&OneSide) -> u64| text.push_str(&(line(what, of) + "\n"));
        add("Dirs:", |side| side.dirs);
        add("Others:", |side| side.others);
        if let Other::Snapshot(_) = other {
            add("Data Blobs:", |side| side.data_blobs);
            add("Tree Blobs:", |side| side.tree_blobs);
        }
        text.push_str(&format!("  Added:   {}\n", bytes(added.bytes)));
        text.push_str(&format!("  Removed: {}\n", bytes(removed.bytes)));
        self.out.text(&text)?;
        self.out.finish()
    }
}
