//! `larder mount --overlay`

use super::{Arguments, is_root, options, refused, say_in_use};
use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::looking::Looking;
use crate::text::printable;
use crate::{selection, signals};
use repo_core::snapshot::Filter;
use repo_core::vfs::{TIME, Templates, Top, View, ViewOptions};
use repo_fuse::{Leaving, MountOptions, Scratch};
use std::ffi::OsStr;
use std::path::PathBuf;

/// Shows one snapshot that can be written to until somebody ends it.
pub fn run(app: &App, arguments: &Arguments) -> Result<Exit, Failure> {
    if !is_root() {
        return Err(Failure::failed(
            "--overlay needs root: the kernel lets nobody else put a writable layer over a mount\nRun it as root, or restore to a directory.",
        ));
    }
    let named = arguments.snapshot.as_deref();
    let named = named.unwrap_or(OsStr::new("latest"));
    let selection::Opened {
        repo,
        info,
        subfolder,
    } = selection::open(app, named, &arguments.selection)?;
    let _following = repo.follow();
    let asked: Vec<PathBuf> = subfolder.iter().cloned().collect();
    let top = Top::open(&repo, &info.id, subfolder.as_deref());
    let top = top.map_err(|error| selection::explain(&repo, &info, &asked, error.into()))?;
    let view_options = ViewOptions {
        filter: Filter::default(),
        templates: Templates::new(["ids/%I"], TIME)?,
    };
    let (view, _) = View::new(repo.clone(), view_options);
    let base = arguments.scratch.clone();
    let scratch = Scratch::new(&base.unwrap_or_else(std::env::temp_dir))?;
    let interrupt = signals::interrupt();
    let lower = scratch.lower();
    let leaving = [Leaving::new(&arguments.point)?, Leaving::new(&lower)?];
    let remove = scratch.remover();
    signals::before_exit(move || {
        leaving.iter().for_each(Leaving::leave);
        remove();
    });
    // When somebody replaces a file, the kernel asks below as that user. Nobody else comes there: the scratch directory is root's alone.
    let mount_options = MountOptions {
        allow_other: true,
        ..options(arguments)
    };
    let mounted = repo_fuse::mount(view, &lower, &mount_options);
    let mounted = mounted.map_err(|error| refused(&error))?;
    let folder = top.folder.strip_prefix("/").unwrap_or(&top.folder);
    let lower = lower.join("ids").join(info.id.to_hex()).join(folder);
    let overlay = match repo_fuse::overlay(&lower, &arguments.point, &scratch) {
        Ok(overlay) => overlay,
        Err(error) => {
            mounted.end()?;
            return Err(refused(&error));
        }
    };
    let shown = arguments.point.to_string_lossy();
    let shown = printable(&shown);
    app.terminal.say(&format!(
        "snapshot {} is mounted on {shown}, and can be written to; what changes is gone at the end\nCtrl-C ends it, or `umount {shown}`.",
        info.id.short()
    ))?;
    let over = || interrupt.check().is_err() || overlay.is_gone();
    mounted.wait(&over, &Looking::new(&app.terminal, "mount"));
    let ended = overlay.end();
    mounted.end()?;
    if ended? {
        say_in_use(app, &shown);
    }
    Ok(Exit::Done)
}
