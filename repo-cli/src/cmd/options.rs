//! `larder options`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::options::KNOWN;

/// Lists extended options.
pub fn run(app: &App) -> Result<Exit, Failure> {
    let lines = KNOWN
        .iter()
        .map(|known| format!("  {}  {}\n", known.key, known.help));
    let lines: String = lines.collect();
    app.terminal
        .result(&format!("Extended options, for `-o key=value`:\n{lines}"))?;
    Ok(Exit::Done)
}
