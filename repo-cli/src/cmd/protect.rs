//! `larder protect` and `larder expire`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::selection::{self, SelectionFlags};
use crate::text::counted;
use crate::{json, repository, when};
use clap::Args;
use repo_core::ErrorKind;
use repo_core::log::State;
use repo_core::ops::{NewTerms, set_terms};
use repo_core::repo::Repo;
use repo_core::snapshot::SnapshotInfo;
use repo_core::time::{self, Timestamp};

/// Arguments of `protect`.
#[derive(Args, Debug)]
pub struct ProtectArguments {
    /// The beginning of an ID, or `latest`
    #[arg(value_name = "SNAPSHOT", required = true)]
    snapshots: Vec<String>,

    #[command(flatten)]
    selection: SelectionFlags,

    /// A date, a duration from now such as 1y6m, or `forever`
    #[arg(long, value_name = "WHEN", value_parser = when::parse_until, required_unless_present = "remove")]
    until: Option<Timestamp>,

    /// Protect them no longer
    #[arg(long, conflicts_with = "until")]
    remove: bool,
}

/// Arguments of `expire`.
#[derive(Args, Debug)]
pub struct ExpireArguments {
    /// The beginning of an ID, or `latest`
    #[arg(value_name = "SNAPSHOT", required = true)]
    snapshots: Vec<String>,

    #[command(flatten)]
    selection: SelectionFlags,

    /// A date, a duration from now such as 30d, or `never`
    #[arg(long, value_name = "WHEN", value_parser = parse_at)]
    at: At,
}

/// From when on snapshots need not be kept.
#[derive(Debug, Clone, Copy)]
struct At(Option<Timestamp>);

fn parse_at(text: &str) -> Result<At, String> {
    match text {
        "never" => Ok(At(None)),
        _ => Ok(At(Some(when::parse_or(text, "never")?))),
    }
}

/// Keeps snapshots from being forgotten until a time.
pub fn protect(app: &App, arguments: ProtectArguments) -> Result<Exit, Failure> {
    if let Some(until) = arguments.until.filter(|until| *until <= time::now()) {
        let until = when::shown(until);
        return Err(Failure::usage(format!(
            "--until {until}: that time is over"
        )));
    }
    let new = NewTerms {
        protected_until: Some(arguments.until),
        ..NewTerms::default()
    };
    let (repo, found) = find(app, &arguments.snapshots, &arguments.selection)?;
    let before = repo.state();
    set(app, &repo, &found, &new)?;
    if app.terminal.json() {
        return Ok(Exit::Done);
    }
    let number = |count: usize| counted(count as u64, "snapshot", "snapshots");
    let Some(until) = arguments.until else {
        let (protected, others): (Vec<_>, Vec<_>) = found
            .iter()
            .partition(|info| before.is_protected(&info.id, time::now()));
        if !protected.is_empty() {
            let count = number(protected.len());
            app.terminal.say(&format!("{count} no longer protected"))?;
        }
        if !others.is_empty() {
            let was = if others.len() == 1 { "was" } else { "were" };
            let count = number(others.len());
            app.terminal.say(&format!("{count} {was} not protected"))?;
        }
        return Ok(Exit::Done);
    };
    let count = number(found.len());
    app.terminal.say(&match when::shown(until).as_str() {
        "forever" => format!("{count} protected, forever"),
        time => format!("{count} protected until {time}"),
    })?;
    for (id, was) in shortened(&before, &found, until) {
        let was = match when::shown(was).as_str() {
            "forever" => "forever".to_owned(),
            time => format!("until {time}"),
        };
        app.terminal
            .say(&format!("that is shorter: {id} was protected {was}"))?;
    }
    Ok(Exit::Done)
}

/// Those that were protected for longer, and until when.
fn shortened(before: &State, found: &[SnapshotInfo], until: Timestamp) -> Vec<(String, Timestamp)> {
    let longer = found.iter().filter_map(|info| {
        let was = before.terms(&info.id).protected_until?;
        (was > until).then(|| (info.id.short(), was))
    });
    longer.collect()
}

/// Says from when on snapshots need not be kept.
pub fn expire(app: &App, arguments: ExpireArguments) -> Result<Exit, Failure> {
    let At(at) = arguments.at;
    let new = NewTerms {
        expires: Some(at),
        ..NewTerms::default()
    };
    let (repo, found) = find(app, &arguments.snapshots, &arguments.selection)?;
    set(app, &repo, &found, &new)?;
    let count = counted(found.len() as u64, "snapshot", "snapshots");
    let will = if found.len() == 1 { "goes" } else { "go" };
    app.terminal.say(&match at {
        None => format!("{count} {will} only as the policy says"),
        Some(time) if time <= time::now() => {
            format!("{count} {will} with the next forget by policy: that time is over")
        }
        Some(time) => format!(
            "{count} {will} with the first forget by policy after {}",
            when::shown(time)
        ),
    })?;
    Ok(Exit::Done)
}

fn find(
    app: &App,
    names: &[String],
    selection: &SelectionFlags,
) -> Result<(Repo, Vec<SnapshotInfo>), Failure> {
    let filter = selection.filter(&app.env)?;
    let repo = repository::open(app, false)?.repo;
    let found = selection::list(app, &repo, names, &filter)?.snapshots;
    Ok((repo, found))
}

/// Says it of these snapshots; tells programs of which that was not so already.
fn set(app: &App, repo: &Repo, found: &[SnapshotInfo], new: &NewTerms) -> Result<(), Failure> {
    let ids: Vec<_> = found.iter().map(|info| info.id).collect();
    let changed = set_terms(repo, &ids, new).map_err(|error| match error.kind() {
        ErrorKind::Denied => Failure::from(error)
            .advising("Only a key with full access may say how long a snapshot is kept."),
        _ => error.into(),
    })?;
    if app.terminal.json() {
        app.terminal.json_line(&json::Forgotten {
            message_type: "terms",
            snapshots: changed.iter().map(|id| id.to_hex()).collect(),
        })?;
    }
    Ok(())
}
