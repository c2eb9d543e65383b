//! `larder features`

use crate::app::App;
use crate::exit::{Exit, Failure};

/// Lists no feature flags, because there are none; restic's are about its own formats and places.
pub fn run(app: &App) -> Result<Exit, Failure> {
    app.terminal
        .result("larder has no feature flags; RESTIC_FEATURES means nothing to it.\n")?;
    Ok(Exit::Done)
}
