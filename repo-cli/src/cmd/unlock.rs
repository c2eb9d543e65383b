//! `larder unlock`

use crate::app::App;
use crate::exit::{Exit, Failure};
use clap::Args;

/// Arguments of `unlock`, which mean nothing.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Accepted, because restic has it
    #[arg(long)]
    remove_all: bool,
}

/// Does nothing: there is nothing to unlock. Scripts written for restic go on.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { remove_all: _ } = arguments;
    app.terminal
        .say("larder has no locks: there is nothing to unlock")?;
    Ok(Exit::Done)
}
