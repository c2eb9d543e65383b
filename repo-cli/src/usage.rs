//! What is said about wrong arguments.

use crate::exit::{self, Failure};
use crate::terminal::{OutputFlags, Terminal};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;
use std::process::ExitCode;

/// Commands of restic that this version does not have.
const COMMANDS: &[&str] = &["debug", "migrate", "self-update"];

/// Flags of restic's commands that this version does not have, in the order of their commands there.
const FLAGS: &[&str] = &[
    // All commands.
    "--cacert",
    "--http-user-agent",
    "--insecure-tls",
    "--stuck-request-timeout",
    "--tls-client-cert",
    // backup
    "--exclude-cloud-files",
    "--use-fs-snapshot",
    // check
    "--check-unused",
    // prune
    "--unsafe-recover-no-free-space",
    // key
    "--new-password-command",
];

/// Prints help, the version, or what is wrong with the arguments.
pub fn show(mut error: clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Ok(()) => exit::DONE.into(),
            Err(error) => exit::Failure::output(&error).code().into(),
        };
    }
    // Tells to hide a flag from us behind `--`, which would make it a path.
    error.remove(ContextKind::Suggested);
    let json = wants_json(arguments);
    let ours = not_there(&error).or_else(|| conflict(&error));
    if !json && ours.is_none() {
        // Where standard error cannot be written, nobody could be told so.
        let _ = error.print();
        return exit::USAGE.into();
    }
    let failure = Failure::usage(ours.unwrap_or_else(|| plain(&error)));
    let output = OutputFlags {
        json,
        ..OutputFlags::default()
    };
    Terminal::new(output).fatal(&failure);
    failure.code().into()
}

/// Whether programs read us, as far as arguments tell that could not be read.
fn wants_json(arguments: &[OsString]) -> bool {
    let flags = arguments.iter().skip(1);
    flags
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json")
}

/// A sentence about what restic has and this version does not.
fn not_there(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (name, advice) = match error.kind() {
        ErrorKind::UnknownArgument => {
            let flag = text(ContextKind::InvalidArg)?;
            let flag = flag.split('=').next().unwrap_or(flag);
            let known = FLAGS.iter().find(|known| **known == flag)?;
            (*known, "Nothing was done. Run it without, or see `--help`.")
        }
        ErrorKind::InvalidSubcommand => {
            let command = text(ContextKind::InvalidSubcommand)?;
            let known = COMMANDS.iter().find(|known| **known == command)?;
            (*known, "`larder help` shows what is there.")
        }
        _ => return None,
    };
    Some(format!("`{name}` is not there yet\n{advice}"))
}

/// What clap says of arguments that exclude each other, and what to do. Its line of usage shows but one of them.
fn conflict(error: &clap::Error) -> Option<String> {
    let text = plain(error);
    let said = text.split("\n\nUsage:").next().unwrap_or(&text);
    (error.kind() == ErrorKind::ArgumentConflict)
        .then(|| format!("{said}\nLeave one of them out; see `--help`."))
}

/// What clap says, without its heading.
fn plain(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn said(line: &[&str]) -> Option<String> {
        not_there(&Cli::try_parse_from(line).unwrap_err())
    }

    #[test]
    fn what_only_restic_has_is_named() {
        for line in [
            &["larder", "backup", "x", "--http-user-agent", "9"][..],
            &["larder", "backup", "x", "--http-user-agent=9"],
            &["larder", "--http-user-agent", "9", "backup", "x"],
        ] {
            let said = said(line).unwrap();
            assert!(
                said.starts_with("`--http-user-agent` is not there"),
                "{said}"
            );
        }
        for command in COMMANDS {
            assert!(said(&["larder", command, "--keep-daily", "7"]).is_some());
        }
        assert_eq!(said(&["larder", "frobnicate"]), None);
        assert_eq!(said(&["larder", "backup", "x", "--frobnicate"]), None);
    }

    #[test]
    fn of_arguments_that_exclude_each_other_one_is_to_go() {
        let line = ["larder", "backup", "x", "--force", "--parent", "1"];
        let error = Cli::try_parse_from(line).unwrap_err();
        let said = "the argument '--force' cannot be used with '--parent <SNAPSHOT>'\nLeave one of them out; see `--help`.";
        assert_eq!(conflict(&error).as_deref(), Some(said));
        let other = Cli::try_parse_from(["larder", "backup", "x", "--frobnicate"]).unwrap_err();
        assert_eq!(conflict(&other), None);
    }

    #[test]
    fn what_is_there_is_not_in_the_lists() {
        use clap::CommandFactory;
        let cli = Cli::command();
        for command in cli.get_subcommands() {
            assert!(!COMMANDS.contains(&command.get_name()));
            let commands = std::iter::once(command).chain(command.get_subcommands());
            for flag in commands.flat_map(|command| command.get_arguments()) {
                let long = flag.get_long().map(|name| format!("--{name}"));
                let short = flag.get_short().map(|letter| format!("-{letter}"));
                for name in long.iter().chain(&short) {
                    assert!(!FLAGS.contains(&name.as_str()), "{name}");
                }
            }
        }
    }

    #[test]
    fn programs_are_told_before_the_arguments_are_known() {
        let wants = |line: &[&str]| {
            let line: Vec<OsString> = line.iter().map(OsString::from).collect();
            wants_json(&line)
        };
        assert!(wants(&["larder", "backup", "--frobnicate", "--json"]));
        assert!(!wants(&["larder", "backup", "--", "--json"]));
        assert!(!wants(&["--json"]));
    }
}
