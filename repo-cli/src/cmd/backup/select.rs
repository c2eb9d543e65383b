//! Flags of `backup` that say what is backed up, and what is left out of it.

use super::lists;
use crate::app::App;
use crate::exit::Failure;
use crate::{patterns, size};
use clap::Args;
use repo_core::ops::{Exclusions, Marker};
use std::ffi::OsString;
use std::path::PathBuf;

/// What else is backed up, and what is left out.
#[derive(Args, Debug, Default)]
pub struct SelectFlags {
    /// Back up also what the patterns of this file match, one a line
    ///
    /// `*`, `?`, `[a-z]` and `\` mean what they mean in --exclude, within one name. Lines that begin with `#` mean nothing.
    /// `-` is standard input. May be given more than once.
    #[arg(long, value_name = "FILE", conflicts_with_all = STREAMS, help_heading = LISTS)]
    pub files_from: Vec<PathBuf>,

    /// Back up also the paths of this file, one a line
    ///
    /// Every character means itself. `-` is standard input. May be given more than once.
    #[arg(long, value_name = "FILE", conflicts_with_all = STREAMS, help_heading = LISTS)]
    pub files_from_verbatim: Vec<PathBuf>,

    /// Back up also the paths of this file, a zero byte after each, as `find -print0` writes them
    ///
    /// `-` is standard input. May be given more than once.
    #[arg(long, value_name = "FILE", conflicts_with_all = STREAMS, help_heading = LISTS)]
    pub files_from_raw: Vec<PathBuf>,

    /// Leave out what this pattern matches; may be given more than once
    ///
    /// A pattern is compared with absolute paths, name by name. One that begins with `/` counts from the root, any other from
    /// any directory on: `cache` leaves out everything of that name and what lies below it. `*` stands for any part of a name,
    /// `?` for one character, `[a-z]` and `[^a-z]` for one of a class, `**` for any number of directories; `\` takes its
    /// meaning from the next character. `!` in front takes back what patterns before it leave out, but nothing is found in a
    /// directory that is left out. A path that is named on the command line is backed up, whatever patterns say.
    #[arg(short, long, value_name = "PATTERN", value_parser = patterns::parser(), help_heading = EXCLUDE)]
    exclude: Vec<OsString>,

    /// The same, without regard to upper and lower case
    #[arg(long, value_name = "PATTERN", value_parser = patterns::parser(), help_heading = EXCLUDE)]
    iexclude: Vec<OsString>,

    /// Leave out what the patterns of this file match, one a line; may be given more than once
    ///
    /// Blank lines and those that begin with `#` mean nothing. `$NAME` stands for a variable, `$$` for a dollar sign.
    #[arg(long, value_name = "FILE", help_heading = EXCLUDE)]
    exclude_file: Vec<PathBuf>,

    /// The same, without regard to upper and lower case
    #[arg(long, value_name = "FILE", help_heading = EXCLUDE)]
    iexclude_file: Vec<PathBuf>,

    /// Leave out what files of this name say, as .gitignore says it, of their directory and what lies below; may be given
    /// more than once
    #[arg(long, value_name = "NAME", value_parser = parse_name, help_heading = EXCLUDE)]
    ignore_file: Vec<OsString>,

    /// Leave out what lies in a directory with a file of this name, but for that file; with HEADER, one that begins so
    #[arg(long, value_name = "NAME[:HEADER]", value_parser = parse_marker, help_heading = EXCLUDE)]
    exclude_if_present: Vec<Marker>,

    /// Leave out what lies in a directory with a CACHEDIR.TAG, but for that (https://bford.info/cachedir/)
    #[arg(long, help_heading = EXCLUDE)]
    exclude_caches: bool,

    /// Leave out files larger than this many bytes; k, M, G and T stand for KiB, MiB, GiB and TiB, which will do too
    #[arg(long, value_name = "SIZE", value_parser = size::parse, allow_negative_numbers = true, help_heading = EXCLUDE)]
    exclude_larger_than: Option<u64>,

    /// Leave out other file systems below the paths; the directories where they begin are kept, empty
    #[arg(short = 'x', long, help_heading = EXCLUDE)]
    one_file_system: bool,
}

const LISTS: &str = "What to back up";
const EXCLUDE: &str = "What to leave out";
const STREAMS: [&str; 2] = ["stdin", "stdin_from_command"];

/// What the flags mean.
pub struct Selected {
    /// What the lists name and no pattern leaves out. In a list, unlike on the command line, a pattern may mean what was
    /// asked for, as with restic: lists are made by programs.
    pub listed: Vec<PathBuf>,
    /// How many a pattern left out.
    pub excluded: u64,
    /// What is left out.
    pub exclusions: Exclusions,
}

impl SelectFlags {
    /// Whether standard input is a list of paths.
    pub fn reads_stdin(&self) -> bool {
        lists::read_stdin(self)
    }

    /// Reads all files that the flags name.
    pub fn read(&self, app: &App) -> Result<Selected, Failure> {
        let exclusions = self.exclusions(app)?;
        let mut listed = lists::read(app, self)?;
        let all = listed.len();
        let mut failed = None;
        listed.retain(|path| match exclusions.match_path(path) {
            Ok(matches) => !matches,
            Err(error) => {
                failed.get_or_insert(error);
                false
            }
        });
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Selected {
                excluded: (all - listed.len()) as u64,
                listed,
                exclusions,
            }),
        }
    }

    fn exclusions(&self, app: &App) -> Result<Exclusions, Failure> {
        let mut markers = self.exclude_if_present.clone();
        if self.exclude_caches {
            markers.push(Marker::cachedir());
        }
        Ok(Exclusions {
            patterns: vec![
                patterns::list(app, &self.exclude, &self.exclude_file, false)?,
                patterns::list(app, &self.iexclude, &self.iexclude_file, true)?,
            ],
            markers,
            larger_than: self.exclude_larger_than,
            one_file_system: self.one_file_system,
            ignore_files: self.ignore_file.clone(),
        })
    }
}

/// Reads `NAME` or `NAME:HEADER`.
fn parse_marker(text: &str) -> Result<Marker, String> {
    let (name, header) = text.split_once(':').unwrap_or((text, ""));
    let marker = Marker::new(name, header);
    marker.map_err(|error| error.detail_text().unwrap_or("no name").to_owned())
}

/// A name that an entry of a directory can have.
fn parse_name(text: &str) -> Result<OsString, String> {
    parse_marker(text).map(|marker| marker.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_have_a_name_and_perhaps_a_header() {
        assert_eq!(parse_marker("a:b:c"), Ok(Marker::new("a", "b:c").unwrap()));
        assert_eq!(parse_marker("a:"), Ok(Marker::new("a", "").unwrap()));
        for wrong in ["", ":b", "a/b", ".."] {
            assert!(
                parse_marker(wrong).is_err() && parse_name(wrong).is_err(),
                "{wrong}"
            );
        }
        assert_eq!(parse_name(".gitignore").unwrap(), ".gitignore");
    }
}
