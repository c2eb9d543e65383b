//! `larder version`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::json;
use repo_core::format;
use std::env::consts::{ARCH, OS};

/// The program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Says which version this is, and which repositories it reads.
pub fn run(app: &App) -> Result<Exit, Failure> {
    if app.terminal.json() {
        app.terminal.json_line(&json::Version {
            message_type: "version",
            version: VERSION,
            format_version: format::VERSION,
            os: OS,
            arch: ARCH,
        })?;
    } else {
        let format = format::VERSION;
        app.terminal.result(&format!(
            "larder {VERSION} ({OS}/{ARCH}), repository format {format}\n"
        ))?;
    }
    Ok(Exit::Done)
}
