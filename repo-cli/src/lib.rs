//! The command line of `larder`: arguments, terminal, exit codes. What it does is done by `repo_core`.

mod allocator;
mod app;
#[cfg(feature = "browse")]
mod browse;
mod cache;
mod choice;
mod cli;
mod cmd;
mod credential;
mod duration;
mod env;
mod exit;
mod faulty;
mod healing;
mod json;
mod key_file;
mod locks;
mod looking;
mod message;
mod network;
mod open_files;
mod options;
mod other;
mod patterns;
mod place;
#[cfg(any(feature = "browse", feature = "serve"))]
mod preview;
mod process;
mod remote;
mod replicas;
mod reporter;
mod repository;
mod selection;
#[cfg(feature = "serve")]
mod serve;
mod signals;
mod site;
mod size;
#[cfg(feature = "opendal")]
mod ssh;
mod stdin;
mod terminal;
mod text;
mod text_file;
mod timetable;
mod usage;
mod when;
mod writing;

use clap::{ColorChoice, CommandFactory, FromArgMatches};
use exit::Exit;
use std::ffi::OsString;
use std::process::ExitCode;
use terminal::Terminal;

/// Runs the program with these arguments, the program's own name first, and says how it ended.
///
/// Reads the environment, writes to the standard streams, and forbids core dumps for the rest of the process.
pub fn main_from(args: impl Iterator<Item = OsString>) -> ExitCode {
    process::forbid_core_dumps();
    allocator::give_large_buffers_back();
    open_files::allow_many();
    let args: Vec<OsString> = args.collect();
    let command = cli::Cli::command().color(color(&args));
    let parsed = command.try_get_matches_from(&args);
    let cli = match parsed.and_then(|matches| cli::Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage::show(error, &args),
    };
    if let Err(failure) = cli.global.output.check() {
        Terminal::new(cli.global.output).fatal(&failure);
        return failure.code().into();
    }
    signals::listen(Terminal::new(cli.global.output.clone()));
    let app = app::App::new(cli.global, env::Env::of_process());
    let done = app
        .look_at_flags()
        .and_then(|()| replicas::look_at_names(&app, cli.command.purpose()))
        .and_then(|()| cmd::run(&app, cli.command))
        .and_then(|exit| Ok(exit.and(replicas::follow(&app)?)))
        .and_then(|exit| app.say_requests().map(|()| exit));
    let code = match done {
        Ok(Exit::Done) if !app.passed_over.get() => Exit::Done.into(),
        Ok(_) => {
            app.terminal.partial();
            Exit::Partial.into()
        }
        Err(failure) => {
            app.terminal.fatal(&failure);
            failure.code().into()
        }
    };
    // With it connections are given up, which ends what can be ended so.
    drop(app);
    #[cfg(feature = "opendal")]
    ssh::end();
    code
}

/// Whether help and usage errors may be coloured where a terminal shows them; asked before the arguments are known.
fn color(args: &[OsString]) -> ColorChoice {
    let mut flags = args.iter().skip(1).take_while(|arg| *arg != "--");
    match flags.any(|arg| arg == "--no-color") {
        true => ColorChoice::Never,
        false => ColorChoice::Auto,
    }
}
