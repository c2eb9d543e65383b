//! `larder find`

mod objects;

use crate::app::App;
use crate::cmd::ls::facts;
use crate::exit::{Exit, Failure};
use crate::json::{self, Mode};
use crate::looking::Looking;
use crate::selection::{self, Found, SelectionFlags};
use crate::terminal::Out;
use crate::text::{counted, local_time, rfc3339};
use crate::{repository, signals, size, when};
use clap::Args;
use repo_core::ErrorKind;
use repo_core::fs::Kind;
use repo_core::ops::{self, Patterns, SizeIs, Version, Wanted};
use repo_core::pattern::{self, List};
use repo_core::repo::Repo;
use repo_core::snapshot::SnapshotInfo;
use repo_core::time::Timestamp;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// What is listed, at the end of the help.
const AFTER_HELP: &str = "\
Each version of a path is listed once, under the last snapshot that has it; `since` names the first one.
A PATTERN is one of restic's: `*.conf`, `/etc/**/ssl`, `shadow` and what lies below it. Quote it, or the shell takes it for files here.";

/// Arguments of `find`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What is looked for: paths that match one of these patterns, and what lies below them
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<OsString>,

    /// Letters match whether small or large
    #[arg(short, long)]
    ignore_case: bool,

    /// PATTERNs are regular expressions, found anywhere in a path
    #[arg(long)]
    regex: bool,

    /// Not changed before this date
    #[arg(short = 'O', long, value_name = "DATE", value_parser = when::parse_past, help_heading = "Which files")]
    oldest: Option<Timestamp>,

    /// Not changed after this date
    #[arg(short = 'N', long, value_name = "DATE", value_parser = when::parse_past, help_heading = "Which files")]
    newest: Option<Timestamp>,

    /// Files longer than this (+1M), shorter (-1M) or just as long; may be given more than once
    #[arg(
        long, value_name = "SIZE", value_parser = size_is, allow_hyphen_values = true,
        help_heading = "Which files"
    )]
    size: Vec<SizeIs>,

    /// Only these: f file, d directory, l link, p pipe, s socket, b and c devices
    #[arg(
        long = "type", value_name = "TYPE", value_parser = kind, value_delimiter = ',',
        help_heading = "Which files"
    )]
    kinds: Vec<Kind>,

    /// PATTERNs are beginnings of IDs of blobs: show which files need them
    #[arg(long, help_heading = "IDs", conflicts_with_all = ["tree", "pack", "regex"])]
    blob: bool,

    /// PATTERNs are beginnings of IDs of trees: show which directories they are
    #[arg(long, help_heading = "IDs", conflicts_with_all = ["pack", "regex"])]
    tree: bool,

    /// PATTERNs are beginnings of IDs of packs: show what needs something in them
    #[arg(long, help_heading = "IDs", conflicts_with = "regex")]
    pack: bool,

    /// Show which pack holds what is found by --blob or --tree
    #[arg(long, help_heading = "IDs")]
    show_pack_id: bool,

    /// Show type, permissions, owner, size and time too
    #[arg(short, long)]
    long: bool,

    /// Show sizes as people read them
    #[arg(long)]
    human_readable: bool,

    /// List the oldest snapshots first
    #[arg(short = 'R', long)]
    reverse: bool,

    /// Search only this snapshot: the beginning of its ID, or `latest`; may be given more than once
    #[arg(short, long, value_name = "SNAPSHOT", help_heading = "Which snapshots")]
    snapshot: Vec<String>,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// Reads `+1M`, `-1M` or `1M`.
fn size_is(text: &str) -> Result<SizeIs, String> {
    let size = |text| size::parse(text);
    match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(above), _) => size(above).map(SizeIs::Above),
        (_, Some(below)) => size(below).map(SizeIs::Below),
        _ => size(text).map(SizeIs::Exactly),
    }
}

/// Reads a letter of find's, or a word of restic's.
fn kind(text: &str) -> Result<Kind, String> {
    Ok(match text {
        "f" | "file" => Kind::File,
        "d" | "dir" => Kind::Dir,
        "l" | "symlink" => Kind::Symlink,
        "p" | "fifo" => Kind::Fifo,
        "s" | "socket" => Kind::Socket,
        "b" | "dev" => Kind::BlockDevice,
        "c" | "chardev" => Kind::CharDevice,
        _ => return Err("expected one of f, d, l, p, s, b and c".into()),
    })
}

/// Searches.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let wanted = match arguments.blob || arguments.tree || arguments.pack {
        true => None,
        false => Some(wanted(&arguments)?),
    };
    let filter = arguments.selection.filter(&app.env)?;
    let repo = repository::open(app, false)?.repo;
    let found = selection::list(app, &repo, &arguments.snapshot, &filter)?;
    let Some(wanted) = wanted else {
        return objects::run(app, &repo, &arguments, &found);
    };
    let mut versions: Vec<Vec<Version>> = found.snapshots.iter().map(|_| Vec::new()).collect();
    let problems = search(app, &repo, &found.snapshots, &wanted, &mut versions)?;
    repository::say_what_is_not_kept(app, &repo);
    let mut order: Vec<usize> = (0..versions.len()).collect();
    if !arguments.reverse {
        order.reverse();
    }
    let mut printer = Printer {
        out: app.terminal.out(),
        quiet: app.terminal.quiet(),
        long: arguments.long,
        human: arguments.human_readable,
        snapshots: &found.snapshots,
    };
    match app.terminal.json() {
        true => printer.json(&order, &mut versions)?,
        false => printer.text(&order, &mut versions)?,
    }
    printer.out.finish()?;
    Ok(exit(problems, &found))
}

/// How it ends if something could not be read.
fn exit(problems: u64, found: &Found) -> Exit {
    Exit::with_problems(problems + found.unreadable)
}

fn wanted(arguments: &Arguments) -> Result<Wanted, Failure> {
    if let (Some(oldest), Some(newest)) = (arguments.oldest, arguments.newest)
        && oldest > newest
    {
        return Err(Failure::usage(
            "--oldest is after --newest, so that nothing fits\nGive the earlier date to --oldest.",
        ));
    }
    let patterns = match arguments.regex {
        false => {
            for text in &arguments.patterns {
                pattern::check(text).map_err(|error| {
                    let why = error.detail_text().unwrap_or("invalid").to_owned();
                    Failure::usage(format!(
                        "the pattern {} makes no sense: {why}",
                        text.display()
                    ))
                })?;
            }
            Patterns::Paths(List::parse(&arguments.patterns, arguments.ignore_case)?)
        }
        true => {
            let texts: Option<Vec<&str>> = arguments
                .patterns
                .iter()
                .map(|text| text.to_str())
                .collect();
            let texts =
                texts.ok_or_else(|| Failure::usage("a regular expression has to be UTF-8"))?;
            Patterns::regex(&texts, arguments.ignore_case).map_err(|error| {
                let why = error.detail_text().unwrap_or_default().to_owned();
                Failure::usage(format!("the regular expression makes no sense: {why}"))
            })?
        }
    };
    Ok(Wanted {
        patterns,
        oldest: arguments.oldest,
        newest: arguments.newest,
        sizes: arguments.size.clone(),
        kinds: arguments.kinds.clone(),
    })
}

/// Puts each version under the last snapshot that has it.
fn search(
    app: &App,
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    wanted: &Wanted,
    versions: &mut [Vec<Version>],
) -> Result<u64, Failure> {
    let looking = Looking::new(&app.terminal, "find");
    let mut tell = |version: Version| {
        if let Some(those) = versions.get_mut(version.last) {
            those.push(version);
        }
        Ok(())
    };
    let done = ops::find(
        repo,
        snapshots,
        wanted,
        &mut tell,
        &looking,
        signals::interrupt(),
    );
    done.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => Failure::interrupted(""),
        _ => error.into(),
    })
}

/// Writes versions as restic does.
struct Printer<'a> {
    out: Out,
    quiet: bool,
    long: bool,
    human: bool,
    snapshots: &'a [SnapshotInfo],
}

impl Printer<'_> {
    fn text(&mut self, order: &[usize], versions: &mut [Vec<Version>]) -> Result<(), Failure> {
        let mut begun = false;
        for &place in order {
            let versions = &mut versions[place];
            if versions.is_empty() {
                continue;
            }
            versions.sort_by(|a, b| a.path.cmp(&b.path));
            if !self.quiet {
                let SnapshotInfo { id, summary } = &self.snapshots[place];
                let gap = if std::mem::replace(&mut begun, true) {
                    "\n"
                } else {
                    ""
                };
                self.out.text(&format!(
                    "{gap}Found matching entries in snapshot {} from {}\n",
                    id.short(),
                    local_time(summary.time)
                ))?;
            }
            for version in versions {
                self.line(version)?;
            }
        }
        Ok(())
    }

    fn line(&mut self, version: &Version) -> Result<(), Failure> {
        if self.long {
            self.out.text(&facts(&version.node, self.human))?;
        }
        self.out.name(version.path.as_os_str().as_bytes())?;
        if version.first != version.last && !self.quiet {
            let SnapshotInfo { id, summary } = &self.snapshots[version.first];
            self.out.text(&format!(
                "  (since {} from {}, {})",
                id.short(),
                local_time(summary.time),
                counted(version.count as u64, "snapshot", "snapshots")
            ))?;
        }
        self.out.text("\n")
    }

    /// One list of snapshots, each with what was found in it.
    fn json(&mut self, order: &[usize], versions: &mut [Vec<Version>]) -> Result<(), Failure> {
        let mut groups = Vec::new();
        for &place in order {
            let versions = &mut versions[place];
            if versions.is_empty() {
                continue;
            }
            versions.sort_by(|a, b| a.path.cmp(&b.path));
            let matches: Vec<json::Match> = versions
                .iter()
                .map(|version| {
                    let first = &self.snapshots[version.first];
                    json::Match {
                        node: json::ShownNode::new(
                            &version.path,
                            &version.node,
                            Mode::of(&version.node),
                        ),
                        first_snapshot: first.id.to_hex(),
                        first_time: rfc3339(first.summary.time, 0),
                        snapshots: version.count,
                    }
                })
                .collect();
            groups.push(json::Matches {
                hits: matches.len(),
                matches,
                snapshot: self.snapshots[place].id.to_hex(),
            });
        }
        self.out.json_line(&groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_sign() {
        assert_eq!(size_is("+1M"), Ok(SizeIs::Above(1 << 20)));
        assert_eq!(size_is("-1k"), Ok(SizeIs::Below(1024)));
        assert_eq!(size_is("0"), Ok(SizeIs::Exactly(0)));
        assert!(size_is("+").is_err() && size_is("+-1").is_err() && size_is("x").is_err());
    }

    #[test]
    fn types_have_letters_and_words() {
        assert_eq!(kind("f"), Ok(Kind::File));
        assert_eq!(kind("symlink"), Ok(Kind::Symlink));
        assert!(kind("x").is_err());
    }
}
