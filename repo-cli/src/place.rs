//! Which place is meant by flags and environment, and what may be done there.

use crate::env::Env;
use crate::exit::Failure;
use crate::message::plain_io;
use crate::repository::RepositoryFlags;
use crate::text::printable;
use repo_core::format::name::ObjectKind;
use repo_core::{Error, Subject};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most bytes of a repository file.
const PLACE_BYTES_MAX: u64 = 64 << 10;

/// Places that restic knows and this version does not.
const OTHER_PLACES: [&str; 12] = [
    "s3", "sftp", "rest", "b2", "azure", "gs", "swift", "rclone", "opendal", "webdav", "http",
    "https",
];

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(pub PathBuf);

/// The place that flags and environment name.
pub fn place(flags: &RepositoryFlags, env: &Env) -> Result<Place, Failure> {
    match (&flags.repo, &flags.repository_file) {
        (Some(_), Some(_)) => Err(Failure::usage(
            "--repo and --repository-file contradict each other\nGive only one of them.",
        )),
        (Some(repo), None) => parse(repo),
        (None, Some(file)) => parse(&read_place(file)?),
        (None, None) => place_from_env(env),
    }
}

fn place_from_env(env: &Env) -> Result<Place, Failure> {
    for family in crate::env::FAMILIES {
        let repo = env.of_family(family, "REPOSITORY");
        let file = env.of_family(family, "REPOSITORY_FILE");
        match (repo, file) {
            (Some(repo), Some(file)) => {
                return Err(Failure::usage(format!(
                    "${} and ${} contradict each other\nSet only one of them.",
                    repo.name, file.name
                )));
            }
            (Some(repo), None) => return parse(&repo.value),
            (None, Some(file)) => return parse(&read_place(Path::new(&file.value))?),
            (None, None) => {}
        }
    }
    Err(Failure::usage(match env.is_of_other() {
        false => {
            "no repository was named\nName it with --repo or --repository-file, or set LARDER_REPOSITORY."
        }
        true => {
            "no source repository was named\nName it with --from-repo or --from-repository-file, or set LARDER_FROM_REPOSITORY."
        }
    }))
}

fn read_place(file: &Path) -> Result<OsString, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(PLACE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| {
            let why = plain_io(&error);
            Failure::failed(format!(
                "cannot read the repository file {}: {why}",
                file.display()
            ))
        })?;
    Ok(OsStr::from_bytes(bytes.trim_ascii()).to_owned())
}

fn parse(text: &OsStr) -> Result<Place, Failure> {
    let bytes = text.as_bytes();
    if let Some(path) = bytes.strip_prefix(b"local:") {
        return parse_path(OsStr::from_bytes(path));
    }
    let scheme = OTHER_PLACES.iter().find(|scheme| {
        bytes
            .strip_prefix(scheme.as_bytes())
            .is_some_and(|rest| rest.starts_with(b":"))
    });
    match scheme {
        Some(scheme) => Err(Failure::usage(format!(
            "repositories at {scheme}: are not supported yet\n\
             For now a repository is a local directory; for one of that name write ./{}",
            text.display()
        ))),
        None if is_remote(bytes) => Err(Failure::usage(format!(
            "{} names a directory on another machine, which is not supported yet\n\
             Mount it, with sshfs for example, or write ./{0} for a local directory of that name.",
            text.display()
        ))),
        None => parse_path(text),
    }
}

/// Whether it is `user@host:path`, as scp writes it, or a URL.
fn is_remote(place: &[u8]) -> bool {
    let Some(colon) = place.iter().position(|&byte| byte == b':') else {
        return false;
    };
    let (host, path) = place.split_at(colon);
    !host.contains(&b'/') && (host.contains(&b'@') || path.starts_with(b"://"))
}

fn parse_path(path: &OsStr) -> Result<Place, Failure> {
    match path.is_empty() {
        false => Ok(Place(path.into())),
        true => Err(Failure::usage(
            "the repository's place is empty\nName a directory with --repo.",
        )),
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Place {
    /// Names this place in an error about a repository that does not know where it is.
    pub fn name_in(&self, error: Error) -> Error {
        match error.subject() {
            Subject::None => error.about(Subject::Repository(self.to_string())),
            _ => error,
        }
    }
}

/// What may lie where a repository is made: what an interrupted attempt leaves, and what file systems keep for themselves.
const OWN_NAMES: [&str; 4] = ["log", "checkpoints", "writers", "lost+found"];

/// Refuses to make a repository among files of somebody else. What cannot be looked at is left to who makes it.
pub fn vacant(place: &Place) -> Result<(), Failure> {
    let Ok(entries) = std::fs::read_dir(&place.0) else {
        return Ok(());
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let is_strange = |name: &OsString| {
        let name = name.to_string_lossy();
        let of_kind = ObjectKind::ALL.iter().any(|kind| kind.folder() == name);
        let temporary = ["tmp-", "race-"]
            .iter()
            .any(|start| name.starts_with(start));
        !of_kind && !temporary && !OWN_NAMES.contains(&&*name)
    };
    match names.into_iter().find(is_strange) {
        None => Ok(()),
        Some(name) => Err(Failure::failed(format!(
            "{place} is not empty: {} lies there\nA repository needs a directory of its own: choose another place.",
            printable(&name.to_string_lossy())
        ))),
    }
}

/// Refuses to restore into the repository.
pub fn refuse_inside(place: &Place, target: &Path) -> Result<(), Failure> {
    let (Ok(repository), Ok(target)) = (place.0.canonicalize(), std::path::absolute(target)) else {
        return Ok(());
    };
    // What is not there yet will lie in the first directory above it that is.
    let there = target
        .ancestors()
        .find_map(|above| above.canonicalize().ok());
    match there.is_some_and(|there| there.starts_with(&repository)) {
        false => Ok(()),
        true => Err(Failure::failed(format!(
            "the target {} lies in the repository\nChoose another directory with --target.",
            printable(&target.to_string_lossy())
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Place, Failure> {
        place(&RepositoryFlags::default(), &Env::fixed(variables))
    }

    #[test]
    fn flags_go_before_larder_before_restic() {
        let all = [
            ("RESTIC_REPOSITORY", "/restic"),
            ("LARDER_REPOSITORY", "/larder"),
        ];
        let flags = RepositoryFlags {
            repo: Some("/flag".into()),
            ..Default::default()
        };
        assert_eq!(
            place(&flags, &Env::fixed(&all)).unwrap(),
            Place("/flag".into())
        );
        assert_eq!(from(&all).unwrap(), Place("/larder".into()));
        assert_eq!(from(&all[..1]).unwrap(), Place("/restic".into()));
        let none = from(&[]).unwrap_err();
        assert_eq!(none.code(), crate::exit::USAGE);
        assert!(none.text().contains("LARDER_REPOSITORY"));
    }

    #[test]
    fn a_file_can_name_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("place");
        std::fs::write(&file, "local:/srv/with space\n").unwrap();
        let name = file.to_str().unwrap();
        let expected = Place("/srv/with space".into());
        assert_eq!(from(&[("RESTIC_REPOSITORY_FILE", name)]).unwrap(), expected);
        let both = [
            ("LARDER_REPOSITORY_FILE", name),
            ("LARDER_REPOSITORY", "/x"),
        ];
        assert_eq!(from(&both).unwrap_err().code(), crate::exit::USAGE);
        assert!(from(&[("LARDER_REPOSITORY_FILE", "/does/not/exist")]).is_err());
    }

    #[test]
    fn places_of_other_kinds_are_named() {
        let failure = parse(OsStr::new("s3:https://host/bucket")).unwrap_err();
        assert!(failure.text().contains("s3:"), "{}", failure.text());
        for remote in ["user@host:/x", "user@host:x", "ssh://host/x"] {
            let failure = parse(OsStr::new(remote)).unwrap_err();
            assert_eq!(failure.code(), crate::exit::USAGE);
            assert!(failure.text().contains("another machine"), "{remote}");
        }
        for local in ["/mnt/a@b:c", "./user@host:x", "a@b"] {
            assert_eq!(parse(OsStr::new(local)).unwrap(), Place(local.into()));
        }
        assert!(parse(OsStr::new("")).is_err());
        assert_eq!(parse(OsStr::new("./s3:x")).unwrap(), Place("./s3:x".into()));
        assert_eq!(
            parse(OsStr::new("strange:name")).unwrap(),
            Place("strange:name".into())
        );
    }
}
