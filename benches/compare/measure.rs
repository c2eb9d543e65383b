//! Measures one command: wall time, CPU of all its processes, and the memory of the largest of them.
//!
//! The system tells the peak of all children that a process ever had, so each command is the only child of a process of its
//! own: this program again, with [`FLAG`].

use crate::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// The argument that makes this program measure: then the file for the result, and the script.
pub const FLAG: &str = "--measure";

/// What a command took.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub wall_seconds: f64,
    /// User and system, of all processes.
    pub cpu_seconds: f64,
    /// The peak of the largest process.
    pub peak_bytes: f64,
}

/// Runs a shell script and measures it. What it prints is shown if it fails.
pub fn run(script: &str, variables: &[(&str, PathBuf)], result: &Path) -> Result<Sample> {
    let output = Command::new(std::env::current_exe()?)
        .arg(FLAG)
        .arg(result)
        .arg(script)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{script}` failed: {said}").into());
    }
    let text = std::fs::read_to_string(result)?;
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    match numbers[..] {
        [wall_seconds, cpu_seconds, peak_bytes] => Ok(Sample {
            wall_seconds,
            cpu_seconds,
            peak_bytes,
        }),
        _ => Err("no measurement".into()),
    }
}

/// The process of its own: runs the script and writes what it took.
pub fn measured(arguments: &[String]) -> ExitCode {
    let [result, script] = arguments else {
        return ExitCode::FAILURE;
    };
    let begun = Instant::now();
    let status = Command::new("sh").args(["-euc", script]).status();
    let wall = begun.elapsed().as_secs_f64();
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return ExitCode::FAILURE;
    };
    let cpu = (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6;
    let peak = usage.max_rss() * 1024;
    let written = std::fs::write(result, format!("{wall} {cpu} {peak}"));
    match status.is_ok_and(|status| status.success()) && written.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
