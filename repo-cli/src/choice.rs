//! Flags that choose files of a snapshot.

use crate::app::App;
use crate::exit::Failure;
use crate::patterns;
use clap::Args;
use repo_core::ops::Selection;
use repo_core::pattern::List;
use std::ffi::OsString;
use std::path::PathBuf;

/// What cannot be given together with `--include` and its kin.
const EXCLUDES: [&str; 4] = ["exclude", "iexclude", "exclude_file", "iexclude_file"];

/// Patterns of paths in the snapshot, or in its folder.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which files")]
pub struct ChoiceFlags {
    /// Only what this pattern matches, and what is in directories that it matches; may be given more than once
    #[arg(short, long, value_name = "PATTERN", value_parser = patterns::parser(), conflicts_with_all = EXCLUDES)]
    include: Vec<OsString>,

    /// The same, whatever the case of letters
    #[arg(long, value_name = "PATTERN", value_parser = patterns::parser(), conflicts_with_all = EXCLUDES)]
    iinclude: Vec<OsString>,

    /// Only what a pattern of this file matches, one a line
    #[arg(long, value_name = "FILE", conflicts_with_all = EXCLUDES)]
    include_file: Vec<PathBuf>,

    /// The same, whatever the case of letters
    #[arg(long, value_name = "FILE", conflicts_with_all = EXCLUDES)]
    iinclude_file: Vec<PathBuf>,

    /// Not what this pattern matches; may be given more than once
    #[arg(short, long, value_name = "PATTERN", value_parser = patterns::parser())]
    exclude: Vec<OsString>,

    /// The same, whatever the case of letters
    #[arg(long, value_name = "PATTERN", value_parser = patterns::parser())]
    iexclude: Vec<OsString>,

    /// Not what a pattern of this file matches, one a line
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,

    /// The same, whatever the case of letters
    #[arg(long, value_name = "FILE")]
    iexclude_file: Vec<PathBuf>,
}

impl ChoiceFlags {
    /// What they select; a file without patterns selects nothing, or leaves nothing out.
    pub fn selection(&self, app: &App) -> Result<Selection, Failure> {
        let includes = [
            (&self.include, &self.include_file, false),
            (&self.iinclude, &self.iinclude_file, true),
        ];
        let excludes = [
            (&self.exclude, &self.exclude_file, false),
            (&self.iexclude, &self.iexclude_file, true),
        ];
        let includes = lists(app, &includes)?;
        Ok(match includes.is_empty() {
            false => Selection::Include(includes),
            true => match lists(app, &excludes)? {
                none if none.is_empty() => Selection::All,
                excludes => Selection::Exclude(excludes),
            },
        })
    }
}

/// Patterns, files of them, and whether case does not count.
type Given<'a> = (&'a Vec<OsString>, &'a Vec<PathBuf>, bool);

/// A list for each that was given at all: a file without patterns means nothing, and not everything.
fn lists(app: &App, given: &[Given<'_>]) -> Result<Vec<List>, Failure> {
    let given = given.iter();
    let given = given.filter(|(patterns, files, _)| !patterns.is_empty() || !files.is_empty());
    let list = |(patterns, files, ignore_case): &Given<'_>| {
        patterns::list(app, patterns, files, *ignore_case)
    };
    given.map(list).collect()
}
