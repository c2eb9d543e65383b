//! `larder protect` and `larder expire`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::selection::{self, SelectionFlags};
use crate::text::counted;
use crate::{json, repository, when};
use clap::Args;
use repo_core::ErrorKind;
use repo_core::ops::{NewTerms, set_terms};
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
        _ => Ok(At(Some(when::parse(text)?))),
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
    let done = match arguments.until.map(when::shown).as_deref() {
        None => "no longer protected".to_owned(),
        Some("forever") => "protected, forever".to_owned(),
        Some(time) => format!("protected until {time}"),
    };
    say(app, &arguments.snapshots, &arguments.selection, &new, &done)
}

/// Says from when on snapshots need not be kept.
pub fn expire(app: &App, arguments: ExpireArguments) -> Result<Exit, Failure> {
    let At(at) = arguments.at;
    let new = NewTerms {
        expires: Some(at),
        ..NewTerms::default()
    };
    let done = match at.map(when::shown) {
        None => "kept as the policy says".to_owned(),
        Some(time) => format!("gone with the first forget by policy after {time}"),
    };
    say(app, &arguments.snapshots, &arguments.selection, &new, &done)
}

fn say(
    app: &App,
    names: &[String],
    selection: &SelectionFlags,
    new: &NewTerms,
    done: &str,
) -> Result<Exit, Failure> {
    let filter = selection.filter(&app.env)?;
    let repo = repository::open(app, false)?.repo;
    let found = selection::list(app, &repo, names, &filter)?.snapshots;
    let ids: Vec<_> = found.iter().map(|info| info.id).collect();
    let changed = set_terms(&repo, &ids, new).map_err(|error| match error.kind() {
        ErrorKind::Denied => Failure::from(error)
            .advising("Only a key with full access may say how long a snapshot is kept."),
        _ => error.into(),
    })?;
    if app.terminal.json() {
        return app
            .terminal
            .json_line(&json::Forgotten {
                message_type: "terms",
                snapshots: changed.iter().map(|id| id.to_hex()).collect(),
            })
            .map(|()| Exit::Done);
    }
    let count = counted(ids.len() as u64, "snapshot", "snapshots");
    app.terminal.say(&format!("{count} {done}"))?;
    Ok(Exit::Done)
}
