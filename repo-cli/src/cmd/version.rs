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
            go_version: "",
            go_os: OS,
            go_arch: go_arch(),
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

/// The word of Go, and so of restic, for what this was built for.
fn go_arch() -> &'static str {
    match ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
