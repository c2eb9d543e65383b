//! `larder dump`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::looking::Looking;
use crate::message;
use crate::selection::{self, SelectionFlags};
use crate::text::{bytes, counted, printable};
use crate::{json, repository, signals};
use clap::{Args, ValueEnum};
use repo_core::fs::NewFile;
use repo_core::ops::{Archive, Dump, DumpSummary};
use repo_core::repo::Repo;
use repo_core::{Error, ErrorKind, Subject};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the archives hold, at the end of the help.
const AFTER_HELP: &str = "\
In an archive names stand as in the snapshot, without the slash at their beginning; of SNAPSHOT:FOLDER they begin in that folder.
A tar holds everything: owners, times to the nanosecond, extended attributes, access control lists, hard links and holes, which GNU tar
unpacks with --xattrs --xattrs-include='*' --acls. A zip holds names, content, permissions, owners and times.
If something cannot be read, the archive ends there, cannot be taken for a whole one, and the exit code is 1.";

/// Arguments of `dump`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The beginning of a snapshot's ID, or `latest`; with `:FOLDER` that folder as if it were the whole snapshot
    #[arg(value_name = "SNAPSHOT[:FOLDER]")]
    snapshot: OsString,

    /// What is written: a file as it is, a directory as an archive; `/` is everything
    #[arg(value_name = "PATH")]
    what: PathBuf,

    /// The form of the archive [default: what the target's name says, or tar]
    #[arg(short, long, value_name = "FORM")]
    archive: Option<Form>,

    /// Write to this file, which is there once it is whole, and not to standard output
    #[arg(short, long, value_name = "FILE")]
    target: Option<PathBuf>,

    /// Replace the target if it is there
    #[arg(long, requires = "target")]
    overwrite: bool,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// Forms of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Tar,
    #[value(name = "tar.zst")]
    TarZst,
    Zip,
}

impl Form {
    fn archive(self) -> Archive {
        match self {
            Self::Tar => Archive::Tar,
            Self::TarZst => Archive::TarZst,
            Self::Zip => Archive::Zip,
        }
    }

    /// What the ending of a target's name says.
    fn of_name(target: &Path) -> Self {
        let name = target.file_name().unwrap_or_default().as_bytes();
        let name = name.to_ascii_lowercase();
        let ends = |ending: &str| name.ends_with(ending.as_bytes());
        match () {
            () if ends(".zip") => Self::Zip,
            () if ends(".tar.zst") || ends(".tzst") => Self::TarZst,
            () => Self::Tar,
        }
    }
}

/// Writes a file or an archive.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let named = arguments.target.as_deref().map(Form::of_name);
    let form = arguments.archive.or(named).unwrap_or(Form::Tar);
    if let Some(target) = &arguments.target {
        repository::refuse_inside(app, target)?;
        refuse_what_is_there(target, arguments.overwrite)?;
    }
    let selection::Opened {
        repo,
        info,
        subfolder,
    } = selection::open(app, &arguments.snapshot, &arguments.selection)?;
    let below = subfolder.iter().collect::<PathBuf>();
    let what = arguments.what.strip_prefix("/").unwrap_or(&arguments.what);
    let below = below.join(what);
    let asked = [below, subfolder.clone().unwrap_or_default()];
    let found = Dump::find(&repo, &info.id, subfolder.as_deref(), &arguments.what);
    let dump = found.map_err(|error| selection::explain(&repo, &info, &asked, error.into()))?;
    match &arguments.target {
        Some(target) => {
            let mut new = NewFile::create(target)?;
            let mut sink = Sink::new(new.file());
            let written = write(app, dump, &repo, form, &mut sink);
            let failed = sink.failed.take();
            drop(sink);
            if let Some(cause) = failed {
                return Err(Error::io(Subject::Path(target.clone()), cause)
                    .detail("write")
                    .into());
            }
            let summary = written?;
            new.finish(arguments.overwrite)?;
            say(app, &summary, target)?;
        }
        None => {
            let stdout = std::io::stdout();
            if dump.is_archive() && stdout.is_terminal() {
                return Err(Failure::usage(
                    "an archive is nothing for a terminal\nWrite it to a file with --target, or send it through a pipe.",
                ));
            }
            // Past the standard library's buffer, which looks for the ends of lines.
            let stdout = stdout.as_fd().try_clone_to_owned();
            let mut stdout = File::from(stdout.map_err(|error| Failure::output(&error))?);
            let mut sink = Sink::new(&mut stdout);
            let written = write(app, dump, &repo, form, &mut sink);
            if let Some(cause) = sink.failed.take() {
                return Err(Failure::output(&cause));
            }
            written?;
        }
    }
    Ok(Exit::Done)
}

/// Refuses a target before anything is read.
fn refuse_what_is_there(target: &Path, overwrite: bool) -> Result<(), Failure> {
    let shown = printable(&target.to_string_lossy()).into_owned();
    match target.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(found) if !found.is_file() => Err(Failure::failed(format!(
            "the target {shown} is there and no regular file\nChoose another one, or let the shell write to it: without --target the \
             bytes go to standard output."
        ))),
        Ok(_) if !overwrite => Err(Failure::failed(format!(
            "the target {shown} is there already\nChoose another one, or replace it with --overwrite."
        ))),
        Ok(_) => Ok(()),
    }
}

fn write(
    app: &App,
    dump: Dump,
    repo: &Repo,
    form: Form,
    sink: &mut Sink<'_>,
) -> Result<DumpSummary, Failure> {
    let is_archive = dump.is_archive();
    let looking = Looking::new(&app.terminal, "dump");
    let interrupt = signals::interrupt();
    let written = dump.write(repo, form.archive(), sink, &looking, interrupt);
    written.map_err(|error| match error.kind() {
        ErrorKind::Interrupted => Failure::interrupted("What was written is not whole."),
        _ => unread(&error, is_archive),
    })
}

/// What could not be read, and what that makes of what was written.
fn unread(error: &Error, is_archive: bool) -> Failure {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<Error>());
    let happened = match (error.subject(), cause) {
        (Subject::Path(path), Some(cause)) => {
            message::of_item(&printable(&path.to_string_lossy()), cause)
        }
        _ => message::reason(error),
    };
    let what = match is_archive {
        true => "archive",
        false => "file",
    };
    Failure::failed(format!(
        "{happened}\nWhat was written of the {what} is not whole. `larder check` says what else is touched; a restore writes everything that can \
         be read."
    ))
}

fn say(app: &App, summary: &DumpSummary, target: &Path) -> Result<(), Failure> {
    let target = target.to_string_lossy();
    if app.terminal.json() {
        return app.terminal.json_line(&json::DumpSummary {
            message_type: "summary",
            target: &target,
            total_files: summary.nodes,
            total_bytes: summary.bytes,
            left_out: summary.left_out,
        });
    }
    app.terminal.say(&format!(
        "wrote {} ({}) to {}",
        counted(summary.nodes, "file or directory", "files and directories"),
        bytes(summary.bytes),
        printable(&target)
    ))
}

/// Takes the bytes, and remembers what kept it from taking more.
struct Sink<'f> {
    out: BufWriter<&'f mut File>,
    failed: Option<std::io::Error>,
}

impl<'f> Sink<'f> {
    fn new(file: &'f mut File) -> Self {
        Self {
            out: BufWriter::with_capacity(256 << 10, file),
            failed: None,
        }
    }

    fn note<T>(&mut self, result: std::io::Result<T>) -> std::io::Result<T> {
        result.inspect_err(|error| {
            let same = error.raw_os_error().map(std::io::Error::from_raw_os_error);
            self.failed = Some(same.unwrap_or_else(|| error.kind().into()));
        })
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.out.flush();
        self.note(flushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_targets_say_which_archive_is_meant() {
        for (name, form) in [
            ("a.zip", Form::Zip),
            ("dir/A.ZIP", Form::Zip),
            ("a.tar.zst", Form::TarZst),
            ("a.tzst", Form::TarZst),
            ("a.tar", Form::Tar),
            ("zip", Form::Tar),
        ] {
            assert_eq!(Form::of_name(Path::new(name)), form, "{name}");
        }
    }
}
