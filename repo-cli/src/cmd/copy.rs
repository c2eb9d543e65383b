//! `larder copy`

use super::derived;
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::other::OtherFlags;
use crate::reporter::{Reporter, Work};
use crate::selection::ChosenFlags;
use crate::text::{bytes, counted};
use crate::{json, repository};
use clap::Args;
use repo_core::ErrorKind;
use repo_core::ops::{self, Became, CopyOptions, CopySummary};
use repo_core::snapshot::SnapshotInfo;

/// Arguments of `copy`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    chosen: ChosenFlags,

    /// Say which snapshots would be copied, and copy none
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    from: OtherFlags,
}

/// Copies snapshots of another repository.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let filter = arguments.chosen.filter(&app.env)?;
    let options = CopyOptions {
        level: app.writing.level(&app.env)?,
        pack_bytes: app.writing.pack_bytes(&app.env)?,
        dry_run: arguments.dry_run,
    };
    let from = arguments.from.open(app)?.repo;
    let to = repository::open(app, false)?.repo;
    let found = arguments.chosen.list(app, &from, &filter)?;
    let reporter = Reporter::new(&app.terminal, &app.env, Work::Copy);
    let mut told = Ok(());
    let tell = &mut |info: &SnapshotInfo, became| {
        let said = reporter.above_line(|| say(app, info, became));
        told = std::mem::replace(&mut told, Ok(())).and(said);
    };
    let done = reporter.attempt(|progress, interrupt| {
        ops::copy(
            &from,
            &to,
            &found.snapshots,
            &options,
            tell,
            progress,
            interrupt,
        )
    });
    let done = done.map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => Failure::usage(
            "both are the same repository\n--from-repo names the one that is copied from, --repo the one that gets the copies.",
        ),
        ErrorKind::Interrupted => Failure::interrupted(Work::Copy.when_interrupted()),
        _ => error.into(),
    })?;
    told?;
    summary(app, &done, options.dry_run)?;
    Ok(Exit::with_problems(found.unreadable + done.incomplete))
}

/// Tells what became of a snapshot.
pub(super) fn say(app: &App, info: &SnapshotInfo, became: Became) -> Result<(), Failure> {
    if let Became::Incomplete(lost) = became {
        let what = counted(lost, "thing in it is lost", "things in it are lost");
        app.terminal
            .warn_of(Some(&info.id), &format!("was not copied: {what}"));
    }
    if app.terminal.json() {
        return app
            .terminal
            .json_line(&json::CopiedSnapshot::new(&info.id, became));
    }
    let old = format!(
        "snapshot {} {}",
        info.id.short(),
        derived::of(&info.summary)
    );
    match became {
        Became::Copied(copy) => app
            .terminal
            .say(&format!("{old}: copied as {}", copy.short())),
        Became::ToCopy => app.terminal.say(&format!("{old}: would be copied")),
        Became::There(copy) => app
            .terminal
            .say_more(&format!("{old}: was copied before, as {}", copy.short())),
        Became::Incomplete(_) => Ok(()),
    }
}

fn summary(app: &App, done: &CopySummary, dry_run: bool) -> Result<(), Failure> {
    if app.terminal.json() {
        return app.json_summary(&json::CopySummary {
            message_type: "summary",
            dry_run,
            snapshots_copied: done.copied,
            snapshots_skipped: done.skipped,
            snapshots_incomplete: done.incomplete,
            data_blobs: done.data_blobs,
            tree_blobs: done.tree_blobs,
            data_added: done.bytes_added,
            data_added_packed: done.bytes_stored,
        });
    }
    let copied = counted(done.copied, "snapshot", "snapshots");
    let mut text = match (dry_run, done.copied) {
        (true, _) => format!("would copy {copied}"),
        (false, 0) => "no snapshot was copied".to_owned(),
        (false, _) => format!(
            "copied {copied}, added {} ({} stored)",
            bytes(done.bytes_added),
            bytes(done.bytes_stored)
        ),
    };
    if done.skipped > 0 {
        text += &format!("; {} had been copied before", done.skipped);
    }
    app.terminal.say(&text)?;
    let (data, trees) = (done.data_blobs, done.tree_blobs);
    match dry_run {
        true => Ok(()),
        false => app.terminal.say_more(&format!(
            "new: {} and {}",
            counted(data, "data blob", "data blobs"),
            counted(trees, "tree blob", "tree blobs")
        )),
    }
}
