//! `larder generate`

use crate::app::App;
use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::message::plain_io;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Arguments of `generate`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Write completions for bash to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    bash_completion: Option<PathBuf>,

    /// Write completions for fish to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    fish_completion: Option<PathBuf>,

    /// Write completions for PowerShell to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    powershell_completion: Option<PathBuf>,

    /// Write completions for zsh to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    zsh_completion: Option<PathBuf>,

    /// Write man pages into this directory
    #[arg(long, value_name = "DIR")]
    man: Option<PathBuf>,
}

/// Writes what was asked for; existing files are replaced.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let shells = [
        (Shell::Bash, &arguments.bash_completion),
        (Shell::Fish, &arguments.fish_completion),
        (Shell::PowerShell, &arguments.powershell_completion),
        (Shell::Zsh, &arguments.zsh_completion),
    ];
    let shells = shells.map(|(shell, path)| path.as_ref().map(|path| (shell, path)));
    let shells: Vec<(Shell, &PathBuf)> = shells.into_iter().flatten().collect();
    if shells.is_empty() && arguments.man.is_none() {
        return Err(Failure::usage(
            "nothing was asked for\nName a file or a directory; `larder generate --help` says how.",
        ));
    }
    let is_stdout = |path: &Path| path == Path::new("-");
    if shells.iter().filter(|(_, path)| is_stdout(path)).count() > 1 {
        return Err(Failure::usage(
            "standard output takes the completions of one shell only\nWrite the others to files.",
        ));
    }
    for (shell, path) in shells {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "larder", &mut text);
        match is_stdout(path) {
            true => {
                let mut out = app.terminal.out();
                out.bytes(&text)?;
                out.finish()?;
            }
            false => std::fs::write(path, text).map_err(|error| cannot_write(path, &error))?,
        }
    }
    if let Some(dir) = &arguments.man {
        let pages = clap_mangen::generate_to(Cli::command(), dir);
        pages.map_err(|error| cannot_write(dir, &error))?;
    }
    Ok(Exit::Done)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let why = plain_io(error);
    Failure::failed(format!("cannot write to {}: {why}", path.display()))
}
