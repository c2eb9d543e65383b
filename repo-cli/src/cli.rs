//! The arguments of the program.

use crate::cmd::Command;
use crate::credential::CredentialFlags;
use crate::repository::RepositoryFlags;
use crate::terminal::OutputFlags;
use crate::writing::WritingFlags;
use clap::{Args, Parser};

/// Where else to look, at the end of the help.
const AFTER_HELP: &str = "\
Every LARDER_* variable may also be given as RESTIC_*, where restic has it; flags go before both.
What this machine has seen of a repository is kept in $LARDER_STATE_DIR, default ~/.local/state/larder.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done except for some items, 10 no repository,
12 wrong password, 130 interrupted.";

/// The command line.
#[derive(Parser, Debug)]
#[command(
    name = "larder",
    bin_name = "larder",
    version,
    about = "Deduplicating, encrypting backups that prove themselves",
    after_help = AFTER_HELP,
    arg_required_else_help = true,
    args_override_self = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Args, Debug)]
pub struct Global {
    /// Where the repository is.
    #[command(flatten)]
    pub repository: RepositoryFlags,

    /// What opens it.
    #[command(flatten)]
    pub credential: CredentialFlags,

    /// How packs are made.
    #[command(flatten)]
    pub writing: WritingFlags,

    /// What is shown.
    #[command(flatten)]
    pub output: OutputFlags,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn verbosity(arguments: &[&str]) -> u32 {
        let line = ["larder", "version"].iter().chain(arguments);
        let cli = Cli::try_parse_from(line).unwrap();
        crate::terminal::Terminal::new(cli.global.output).verbosity()
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn verbose_counts_and_takes_a_number() {
        assert_eq!(verbosity(&[]), 0);
        assert_eq!(verbosity(&["-v"]), 1);
        assert_eq!(verbosity(&["-vv"]), 2);
        assert_eq!(verbosity(&["-v", "-v"]), 2);
        assert_eq!(verbosity(&["--verbose=2"]), 2);
    }

    /// As with restic: a script may add flags to those of its user.
    #[test]
    fn of_flags_that_have_one_value_the_last_counts() {
        let parse = |line: &[&str]| Cli::try_parse_from([&["larder"], line].concat());
        let cli = parse(&["-r", "/x", "snapshots", "-r", "/y", "--json", "--json"]).unwrap();
        assert_eq!(cli.global.repository.repo.as_deref(), Some("/y".as_ref()));
        let said = parse(&["forget", "--keep-last", "1", "-n", "--dry-run", "-l", "2"]);
        let said = format!("{:?}", said.unwrap().command);
        assert!(said.contains("keep_last: Some(Newest(2))"), "{said}");
        let said = parse(&["snapshots", "--tag", "a", "--tag", "b"]).unwrap();
        let said = format!("{:?}", said.command);
        assert!(said.contains(r#"tag: ["a", "b"]"#), "{said}");
    }

    #[test]
    fn flags_of_every_command_may_stand_before_or_after_it() {
        for line in [
            ["larder", "-r", "/x", "snapshots"],
            ["larder", "snapshots", "-r", "/x"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.global.repository.repo.as_deref(), Some("/x".as_ref()));
        }
    }
}
