//! `larder tag`

use super::derived;
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::selection::{ChosenFlags, tags};
use crate::{repository, signals};
use clap::Args;
use repo_core::ops::{self, Replace, TagChange};

/// Arguments of `tag`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    chosen: ChosenFlags,

    /// The tags from now on, TAG[,TAG...], in place of those that are there; '' for none; may be given more than once
    #[arg(long, value_name = "TAGS", conflicts_with_all = ["add", "remove"])]
    set: Vec<String>,

    /// Tags to add; may be given more than once
    #[arg(long, value_name = "TAGS")]
    add: Vec<String>,

    /// Tags to take away; may be given more than once
    #[arg(long, value_name = "TAGS")]
    remove: Vec<String>,

    /// Say what would be changed, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Changes the tags of snapshots.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    if arguments.set.is_empty() && arguments.add.is_empty() && arguments.remove.is_empty() {
        return Err(Failure::usage(
            "nothing is to be changed\nSay which tags with --add, --remove or --set.",
        ));
    }
    let filter = arguments.chosen.filter(&app.env)?;
    let change = match arguments.set.is_empty() {
        false => TagChange::Set(tags(&arguments.set)),
        true => TagChange::Change {
            add: tags(&arguments.add),
            remove: tags(&arguments.remove),
        },
    };
    let repo = repository::open(app, false)?.repo;
    let found = arguments.chosen.list(app, &repo, &filter)?;
    let replace = Replace {
        forget: true,
        dry_run: arguments.dry_run,
    };
    let done = ops::tag(
        &repo,
        &found.snapshots,
        &change,
        replace.dry_run,
        signals::interrupt(),
    );
    let done = done.map_err(derived::failure)?;
    derived::say(app, &done, replace, "changed the tags of")?;
    Ok(Exit::with_problems(found.unreadable))
}
