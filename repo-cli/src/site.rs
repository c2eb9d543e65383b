//! Where a repository is or is going to be, as something that can be asked.

use crate::app::App;
use crate::exit::Failure;
use crate::faulty::faulty;
use crate::place::Place;
use crate::remote::{self, Reached};
use crate::text::printable;
use repo_core::backend::{Backend, LocalBackend};
use repo_core::format::name::ObjectKind;
use repo_core::repo::{Recognized, Repo};
use repo_core::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place without a repository.
pub enum Site {
    /// A directory, which need not be there.
    Directory(PathBuf),
    /// On another machine.
    Remote(Reached),
}

/// What is at a place.
pub enum Existing {
    /// A repository of this version.
    Repository(Arc<dyn Backend>, Recognized),
    /// No repository.
    Nothing(Site),
}

/// The backend of a place; of a directory `NoRepository` if it is not there. Of another machine nobody is asked yet.
pub fn backend(app: &App, place: &Place) -> Result<Arc<dyn Backend>, Failure> {
    Ok(match place {
        Place::Local(path) => faulty(app, Arc::new(LocalBackend::open(path)?))?,
        Place::Remote(remote) => remote::reach(app, remote)?.backend,
    })
}

/// What is at a place.
pub fn existing(app: &App, place: &Place) -> Result<Existing, Failure> {
    let (backend, site) = match place {
        Place::Local(path) => match LocalBackend::open(path) {
            Err(error) if error.kind() == ErrorKind::NoRepository => {
                return Ok(Existing::Nothing(Site::Directory(path.clone())));
            }
            opened => {
                let backend = faulty(app, Arc::new(opened?))?;
                (backend, Site::Directory(path.clone()))
            }
        },
        Place::Remote(remote) => {
            let reached = remote::reach(app, remote)?;
            (Arc::clone(&reached.backend), Site::Remote(reached))
        }
    };
    Ok(match recognize(&*backend, place)? {
        Some(recognized) => Existing::Repository(backend, recognized),
        None => Existing::Nothing(site),
    })
}

/// The repository in this place; none if there is none. What is there and is no repository of this version is refused: nobody should be
/// asked for a password first.
pub fn recognize(backend: &dyn Backend, place: &Place) -> Result<Option<Recognized>, Failure> {
    let none =
        |error: &Error| error.kind() == ErrorKind::NoRepository && error.detail_text().is_none();
    match Repo::recognize(backend) {
        Ok(recognized) => Ok(Some(recognized)),
        Err(error) if none(&error) => Ok(None),
        Err(error) if error.kind() == ErrorKind::Unsupported => Err(place.name_in(error).into()),
        Err(error) => Err(Failure::cannot_open(place.name_in(error))),
    }
}

impl Site {
    /// The first thing that lies there and is not ours.
    fn first_stranger(&self) -> Result<Option<String>, Failure> {
        match self {
            Self::Directory(path) => Ok(stranger_in(path)),
            Self::Remote(reached) => Ok(reached.place.first_stranger(&is_ours)?),
        }
    }

    /// Refuses to make a repository among files of somebody else. What of a directory cannot be looked at is left to who makes it.
    pub fn check_vacant(&self, place: &Place) -> Result<(), Failure> {
        match self.first_stranger()? {
            None => Ok(()),
            Some(name) => Err(Failure::failed(format!(
                "{place} is not empty: {} lies there\nA repository needs a place of its own: choose another one.",
                printable(&name)
            ))),
        }
    }

    /// The backend to make a repository with; makes the directory.
    pub fn create(self, app: &App) -> Result<Arc<dyn Backend>, Failure> {
        let path = match self {
            Self::Remote(reached) => return Ok(reached.backend),
            Self::Directory(path) => path,
        };
        let made = LocalBackend::create(&path).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => Failure::failed(format!(
                "{} is not a directory\nA repository is one: choose another place.",
                path.display()
            )),
            _ => error.into(),
        });
        faulty(app, Arc::new(made?))
    }
}

fn stranger_in(path: &Path) -> Option<String> {
    let entries = std::fs::read_dir(path).ok()?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut names = names.map(|name| name.to_string_lossy().into_owned());
    names.find(|name| !is_ours(name))
}

/// What may lie where a repository is made: what an interrupted attempt leaves, and what file systems keep for themselves.
const OWN_NAMES: [&str; 4] = ["log", "checkpoints", "writers", "lost+found"];

/// Whether what is called so at the top of a place may be of a repository.
fn is_ours(name: &str) -> bool {
    let of_kind = ObjectKind::ALL.iter().any(|kind| kind.folder() == name);
    let temporary = ["tmp-", "race-"]
        .iter()
        .any(|start| name.starts_with(start));
    of_kind || temporary || OWN_NAMES.contains(&name)
}
