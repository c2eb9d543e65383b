//! `larder backup`

mod command;
mod lists;
mod options;
mod select;

use crate::app::App;
use crate::cmd::version::VERSION;
use crate::exit::{Exit, Failure};
use crate::message::plain_io;
use crate::reporter::{Listing, Reporter, Work};
use crate::repository::{self, Opened};
use crate::selection;
use crate::stdin::Stdin;
use crate::text::{bytes, counted, duration, printable};
use crate::when;
use crate::{json, process};
use clap::Args;
use command::CommandOutput;
use options::{CompareFlags, ReadingFlags};
use repo_core::format::snapshot::Totals;
use repo_core::ops::{self, BackupOptions, BackupSummary, Input};
use repo_core::repo::Repo;
use repo_core::snapshot::Filter;
use repo_core::time::{self, Timestamp};
use select::SelectFlags;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the numbers of the summary mean, at the end of the help.
const AFTER_HELP: &str = "\
A path that is not there is an error (exit code 3), and the snapshot does not name it.
Packs are padded to a multiple of 64 KiB: what a small backup stores is more than what it adds.";

/// Arguments of `backup`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Files and directories to back up; with --stdin-from-command, the command and its arguments
    ///
    /// In the snapshot they lie as they are given: an absolute path from / on, a relative one from here on.
    #[arg(value_name = "PATH", required_unless_present_any = INSTEAD_OF_PATHS)]
    paths: Vec<PathBuf>,

    /// Make the repository first if there is none
    #[arg(long)]
    init: bool,

    /// Back up standard input as one file
    #[arg(long, conflicts_with_all = ["paths", "stdin_from_command"])]
    stdin: bool,

    /// Run the command that stands after `--`, without a shell, and back up what it writes to standard output as one file; if
    /// it fails, there is no snapshot
    #[arg(long)]
    stdin_from_command: bool,

    /// The name of that file, which may lie in directories: /dumps/db.sql [default: stdin]
    #[arg(long, value_name = "NAME")]
    stdin_filename: Option<PathBuf>,

    /// Make a snapshot even if nothing comes, as it is if a dump fails
    #[arg(long)]
    stdin_allow_empty: bool,

    /// Show what would be done, store nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Read every file, even if it looks unchanged
    #[arg(short, long)]
    force: bool,

    /// Compare with this snapshot, not with the newest of the same host and paths
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "force")]
    parent: Option<String>,

    /// Tags, TAG[,TAG...]; may be given more than once
    #[arg(long, value_name = "TAGS", help_heading = "What to record")]
    tag: Vec<String>,

    /// The host, instead of this one's name [$LARDER_HOST]
    #[arg(
        short = 'H',
        long,
        value_name = "HOST",
        help_heading = "What to record"
    )]
    host: Option<String>,

    /// The time, 'YYYY-MM-DD HH:MM:SS' by the local clock, instead of now; also `now`, a date alone, or one with a zone as in
    /// 2012-11-01T22:08:41Z
    #[arg(long, value_name = "TIME", value_parser = when::parse_past, help_heading = "What to record")]
    time: Option<Timestamp>,

    /// A name for the series of backups this one belongs to
    #[arg(long, value_name = "NAME", help_heading = "What to record")]
    label: Option<String>,

    /// Free text
    #[arg(long, value_name = "TEXT", help_heading = "What to record")]
    description: Option<String>,

    #[command(flatten)]
    compare: CompareFlags,

    #[command(flatten)]
    reading: ReadingFlags,

    #[command(flatten)]
    select: SelectFlags,
}

/// What may be given instead of paths.
const INSTEAD_OF_PATHS: [&str; 5] = [
    "stdin",
    "stdin_from_command",
    "files_from",
    "files_from_verbatim",
    "files_from_raw",
];

/// Makes a snapshot.
pub fn run(app: &App, mut arguments: Arguments) -> Result<Exit, Failure> {
    only_of_streams(&arguments)?;
    let selected = arguments.select.read(app)?;
    arguments.paths.extend(selected.listed);
    some_exist(&arguments)?;
    let mut options = options(app, &arguments)?;
    options.exclude = selected.exclusions;
    let stdin_is_data = arguments.stdin || arguments.select.reads_stdin();
    let Opened { repo, .. } = match arguments.init && !arguments.dry_run {
        true => repository::open_or_create(app, stdin_is_data)?,
        false => repository::open(app, stdin_is_data)?,
    };
    if let Some(name) = &arguments.parent {
        options.parent = Some(selection::find(&repo, name, &Filter::default())?.id);
    }
    let start = time::now();
    let reporter = reporter(app, options.dry_run);
    let verbose = app.terminal.verbosity() > 0 && !app.terminal.quiet();
    options.scan_after = match arguments.reading.scans() && (reporter.shows() || verbose) {
        true if verbose => Some(Duration::ZERO),
        true => Some(SCAN_AFTER),
        false => None,
    };
    let mut summary = back_up(arguments, &repo, &options, &reporter)?;
    summary.excluded += selected.excluded;
    let took = reporter.elapsed();
    match app.terminal.json() {
        true => app.json_summary(&message(&summary, &options, start, took))?,
        false => say(app, &summary, options.dry_run, took)?,
    }
    if let Some(time) = options.time.filter(|_| summary.snapshot.is_some()) {
        when::warn_of_future(app, time);
    }
    Ok(Exit::with_problems(summary.totals.problems))
}

/// What is not done by then takes long enough for somebody to want to know how far it is. A shorter backup is not slowed down.
const SCAN_AFTER: Duration = Duration::from_secs(1);

fn reporter(app: &App, dry_run: bool) -> Reporter<'_> {
    let listing = match app.terminal.verbosity() {
        _ if app.terminal.quiet() => Listing::Nothing,
        0 => Listing::Nothing,
        1 if app.terminal.json() => Listing::Everything,
        1 if dry_run => Listing::Changes,
        1 => Listing::Nothing,
        _ => Listing::Everything,
    };
    Reporter::new(&app.terminal, &app.env, Work::Backup).listing(listing)
}

/// Backs up what the arguments name.
fn back_up(
    arguments: Arguments,
    repo: &Repo,
    options: &BackupOptions,
    reporter: &Reporter<'_>,
) -> Result<BackupSummary, Failure> {
    let back_up = |input| {
        reporter.run(|progress, interrupt| ops::backup(repo, input, options, progress, interrupt))
    };
    let name = arguments.stdin_filename.unwrap_or("stdin".into());
    let allow_empty = arguments.stdin_allow_empty;
    if arguments.stdin {
        let mut stdin = Stdin::open(allow_empty)?;
        let done = back_up(Input::Stream {
            name,
            reader: &mut stdin,
            program: None,
        });
        return done.map_err(|failure| stdin.explain(failure));
    }
    if !arguments.stdin_from_command {
        return back_up(Input::Paths(arguments.paths));
    }
    let words: Vec<OsString> = arguments.paths.into_iter().map(Into::into).collect();
    let mut output = CommandOutput::start(&words, allow_empty, reporter)?;
    let done = back_up(Input::Stream {
        name,
        reader: &mut output,
        program: words
            .first()
            .map(|word| word.to_string_lossy().into_owned()),
    });
    done.map_err(|failure| output.explain(failure))
}

fn options(app: &App, arguments: &Arguments) -> Result<BackupOptions, Failure> {
    let from_env = || {
        app.env
            .ours("HOST")
            .and_then(|host| host.value.into_string().ok())
    };
    let host = arguments
        .host
        .clone()
        .or_else(from_env)
        .filter(|host| !host.is_empty());
    let mut options = BackupOptions {
        host: host.unwrap_or_else(process::host),
        user: process::user(),
        time: arguments.time,
        utc_offset_min: process::utc_offset_min(arguments.time.unwrap_or_else(time::now)),
        tags: selection::tags(&arguments.tag),
        label: arguments.label.clone().unwrap_or_default(),
        description: arguments.description.clone().unwrap_or_default(),
        program: format!("larder {VERSION}"),
        force: arguments.force,
        dry_run: arguments.dry_run,
        level: app.writing.level(&app.env)?,
        pack_bytes: app.writing.pack_bytes(&app.env)?,
        ..BackupOptions::default()
    };
    arguments.compare.apply(&mut options);
    arguments.reading.apply(&app.env, &mut options)?;
    Ok(options)
}

/// Refuses what says something about a stream where none is read, and a stream without a command or with an impossible
/// name. clap lets it pass where there are paths.
fn only_of_streams(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.stdin_from_command && arguments.paths.is_empty() {
        return Err(command::no_command());
    }
    let given = match (&arguments.stdin_filename, arguments.stdin_allow_empty) {
        (Some(name), _) if arguments.stdin || arguments.stdin_from_command => {
            return stream_name(name);
        }
        _ if arguments.stdin || arguments.stdin_from_command => return Ok(()),
        (Some(_), _) => "--stdin-filename",
        (None, true) => "--stdin-allow-empty",
        (None, false) => return Ok(()),
    };
    Err(Failure::usage(format!(
        "{given} needs --stdin or --stdin-from-command\nGive one of them instead of paths to back up a stream."
    )))
}

fn stream_name(name: &Path) -> Result<(), Failure> {
    Input::check_stream_name(name).map_err(|error| {
        let name = name.to_string_lossy();
        let why = error.detail_text().unwrap_or("names no file");
        Failure::usage(format!(
            "--stdin-filename {}: it {why}\nGive the path that the file is to have in the snapshot, as in /dumps/db.sql.",
            printable(&name)
        ))
    })
}

/// How many paths a message names.
const REFUSED_SHOWN: usize = 5;

/// Refuses to make a snapshot of nothing. One of several paths that is not there is a problem like any other.
fn some_exist(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.stdin || arguments.stdin_from_command {
        return Ok(());
    }
    let mut refused = Vec::new();
    for path in &arguments.paths {
        match path.symlink_metadata() {
            Ok(_) => return Ok(()),
            Err(_) if refused.len() > REFUSED_SHOWN => {}
            Err(_) if refused.len() == REFUSED_SHOWN => refused.push("and more".into()),
            Err(error) => refused.push(format!("{}: {}", path.display(), plain_io(&error))),
        }
    }
    if refused.is_empty() {
        return Err(Failure::failed(
            "there is nothing to back up: the lists name no path that is not left out\nNo snapshot was made.",
        ));
    }
    let advice = match arguments.paths.iter().any(|path| path.as_os_str() == "-") {
        true => "For standard input use --stdin instead of `-`; no snapshot was made.",
        false => "Look at how they are spelled; no snapshot was made.",
    };
    Err(Failure::failed(format!(
        "there is nothing to back up: {}\n{advice}",
        printable(&refused.join(", "))
    )))
}

fn message(
    summary: &BackupSummary,
    options: &BackupOptions,
    start: Timestamp,
    took: Duration,
) -> json::BackupSummary {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let end = json::after(start, millis);
    json::BackupSummary {
        message_type: "summary",
        dry_run: options.dry_run,
        statistics: json::Statistics::new(&summary.totals, start, end, options.utc_offset_min),
        total_duration: took.as_secs_f64(),
        snapshot_id: summary.snapshot.map(|id| id.to_hex()),
        error_count: summary.totals.problems,
        excluded_count: summary.excluded,
        vanished_count: summary.vanished,
        resumed_packs: summary.resumed.packs,
        resumed_bytes: summary.resumed.bytes,
    }
}

fn say(app: &App, summary: &BackupSummary, dry_run: bool, took: Duration) -> Result<(), Failure> {
    let Totals {
        files_new,
        files_changed,
        files_unmodified,
        ..
    } = summary.totals;
    let Totals {
        dirs_new,
        dirs_changed,
        dirs_unmodified,
        ..
    } = summary.totals;
    let Totals {
        data_blobs,
        tree_blobs,
        bytes_added,
        bytes_stored,
        ..
    } = summary.totals;
    let terminal = &app.terminal;
    terminal.say("")?;
    terminal.say(&format!(
        "Files:       {files_new:5} new, {files_changed:5} changed, {files_unmodified:5} unmodified"
    ))?;
    terminal.say(&format!(
        "Dirs:        {dirs_new:5} new, {dirs_changed:5} changed, {dirs_unmodified:5} unmodified"
    ))?;
    if summary.excluded > 0 {
        let entries = if summary.excluded == 1 {
            "entry"
        } else {
            "entries"
        };
        terminal.say_more(&format!("Excluded:    {:5} {entries}", summary.excluded))?;
    }
    if summary.vanished > 0 {
        let vanished = counted(summary.vanished, "entry", "entries");
        terminal.say_more(&format!(
            "Vanished:    {vanished} while they were being backed up"
        ))?;
    }
    terminal.say_more(&format!("Data Blobs:  {data_blobs:5} new"))?;
    terminal.say_more(&format!("Tree Blobs:  {tree_blobs:5} new"))?;
    // Nothing is compressed on trial.
    terminal.say(&match dry_run {
        true => format!(
            "Would add to the repository: {} before compression",
            bytes(bytes_added)
        ),
        false => format!(
            "Added to the repository: {} ({} stored)",
            bytes(bytes_added),
            bytes(bytes_stored)
        ),
    })?;
    terminal.say("")?;
    let files = counted(summary.totals.files, "file", "files");
    let (total, took) = (bytes(summary.totals.bytes), duration(took));
    terminal.say(&format!("processed {files}, {total} in {took}"))?;
    if summary.skipped {
        terminal.say(match dry_run {
            true => "nothing has changed: no snapshot would be made",
            false => "skipped creating snapshot",
        })?;
    }
    if let Some(id) = summary.snapshot {
        terminal.say(&format!("snapshot {} saved", id.short()))?;
    }
    if summary.totals.problems > 0 {
        terminal.warn("some items could not be backed up whole; the lines above name them");
    }
    Ok(())
}
