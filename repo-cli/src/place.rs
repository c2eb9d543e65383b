//! Which place is meant by flags and environment, and what may be done there.

use crate::env::Env;
use crate::exit::Failure;
use crate::message::plain_io;
use crate::options;
use crate::remote::{self, Remote};
use crate::repository::RepositoryFlags;
use crate::text::printable;
use repo_core::backend::Address;
use repo_core::{Error, Subject};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Most bytes of a repository file.
const PLACE_BYTES_MAX: u64 = 64 << 10;

/// Places that restic knows, or that look like an address, and that there is no way to.
const OTHER_PLACES: [&str; 6] = ["rest", "rclone", "webdav", "http", "https", "file"];

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A directory.
    Local(PathBuf),
    /// On another machine.
    Remote(Box<Remote>),
}

/// The place that flags and environment name.
pub fn place(flags: &RepositoryFlags, env: &Env) -> Result<Place, Failure> {
    match (&flags.repo, &flags.repository_file) {
        (Some(_), Some(_)) => Err(Failure::usage(
            "--repo and --repository-file contradict each other\nGive only one of them.",
        )),
        (Some(repo), None) => parse(repo, flags, env),
        (None, Some(file)) => parse(&read_place(file)?, flags, env),
        (None, None) => place_from_env(flags, env),
    }
}

fn place_from_env(flags: &RepositoryFlags, env: &Env) -> Result<Place, Failure> {
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
            (Some(repo), None) => return parse(&repo.value, flags, env),
            (None, Some(file)) => return parse(&read_place(Path::new(&file.value))?, flags, env),
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

/// A place that a flag or variable names beside the repository.
pub fn named(text: &OsStr, flags: &RepositoryFlags, env: &Env) -> Result<Place, Failure> {
    parse(text, flags, env)
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

fn parse(text: &OsStr, flags: &RepositoryFlags, env: &Env) -> Result<Place, Failure> {
    let bytes = text.as_bytes();
    if let Some(path) = bytes.strip_prefix(b"local:") {
        return parse_path(OsStr::from_bytes(path), flags);
    }
    match text.to_str().map(Address::parse).transpose() {
        Ok(Some(Some(address))) => {
            let options = options::of(address.scheme(), &flags.option)?;
            let remote = remote::complete(address, options, env)?;
            return Ok(Place::Remote(Box::new(remote)));
        }
        Ok(Some(None) | None) => {}
        // The address is not repeated: there may be a password in it.
        Err(error) => {
            return Err(Failure::usage(format!(
                "the repository's place {}\nLook at how it is written.",
                error.detail_text().unwrap_or("makes no sense")
            )));
        }
    }
    let scheme = OTHER_PLACES.iter().find(|scheme| {
        bytes
            .strip_prefix(scheme.as_bytes())
            .is_some_and(|rest| rest.starts_with(b":"))
    });
    match scheme {
        Some(scheme) => Err(Failure::usage(format!(
            "repositories at {scheme}: are not supported\n\
             There are s3:, gs:, azure:, b2:, swift:, sftp:, webdav+https: and opendal:. For a local directory of that name put ./ \
             before it."
        ))),
        None if is_remote(bytes) => Err(Failure::usage(
            "the repository's place names a directory on another machine\n\
             Put sftp: before it, as in sftp:user@host:/path. For a local directory of that name put ./ before it.",
        )),
        None => parse_path(text, flags),
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

fn parse_path(path: &OsStr, flags: &RepositoryFlags) -> Result<Place, Failure> {
    options::of("local", &flags.option)?;
    match path.is_empty() {
        false => Ok(Place::Local(path.into())),
        true => Err(Failure::usage(
            "the repository's place is empty\nName a directory with --repo.",
        )),
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Remote(remote) => remote.address.fmt(f),
        }
    }
}

impl Place {
    /// The directory, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Remote(_) => None,
        }
    }

    /// Names this place in an error about a repository that does not know where it is.
    pub fn name_in(&self, error: Error) -> Error {
        match error.subject() {
            Subject::None => error.about(Subject::Repository(self.to_string())),
            _ => error,
        }
    }
}

/// Whether two places are the same, or one lies in the other, however they are spelt, as far as that is seen without asking another machine.
pub fn overlap(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Local(one), Place::Local(other)) => {
            let (one, other) = (resolved(one), resolved(other));
            one.starts_with(&other) || other.starts_with(&one) || is_one_file(&one, &other)
        }
        (Place::Remote(one), Place::Remote(other)) => one.address.overlaps(&other.address),
        _ => false,
    }
}

/// Whether two places are the same, however they are spelt, as far as that is seen without asking another machine.
pub fn same(one: &Place, other: &Place) -> bool {
    match (one, other) {
        (Place::Local(one), Place::Local(other)) => {
            resolved(one) == resolved(other) || is_one_file(one, other)
        }
        _ => one == other,
    }
}

/// A path without links and `..`, also of what is not there yet.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(resolved.pop()),
            part => resolved.push(part),
        }
        resolved = resolved.canonicalize().unwrap_or(resolved);
    }
    resolved
}

fn is_one_file(one: &Path, other: &Path) -> bool {
    let of = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino())).ok();
    of(one).is_some() && of(one) == of(other)
}

/// Refuses to restore into the repository.
pub fn refuse_inside(place: &Place, target: &Path) -> Result<(), Failure> {
    let Some(place) = place.path() else {
        return Ok(());
    };
    let (Ok(repository), Ok(target)) = (place.canonicalize(), std::path::absolute(target)) else {
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

    fn local(path: &str) -> Place {
        Place::Local(path.into())
    }

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
        assert_eq!(place(&flags, &Env::fixed(&all)).unwrap(), local("/flag"));
        assert_eq!(from(&all).unwrap(), local("/larder"));
        assert_eq!(from(&all[..1]).unwrap(), local("/restic"));
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
        let expected = local("/srv/with space");
        assert_eq!(from(&[("RESTIC_REPOSITORY_FILE", name)]).unwrap(), expected);
        let both = [
            ("LARDER_REPOSITORY_FILE", name),
            ("LARDER_REPOSITORY", "/x"),
        ];
        assert_eq!(from(&both).unwrap_err().code(), crate::exit::USAGE);
        assert!(from(&[("LARDER_REPOSITORY_FILE", "/does/not/exist")]).is_err());
    }

    fn parse(text: &str) -> Result<Place, Failure> {
        super::parse(text.as_ref(), &RepositoryFlags::default(), &Env::none())
    }

    #[test]
    fn a_place_is_known_by_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| Place::Local(dir.path().join(path));
        std::fs::create_dir_all(dir.path().join("repo/data")).unwrap();
        std::os::unix::fs::symlink("repo", dir.path().join("link")).unwrap();
        for same in [
            "repo",
            "repo/",
            "link",
            "x/../repo",
            "repo/data",
            "link/not-there",
            "",
            "repo/..",
        ] {
            assert!(overlap(&at("repo"), &at(same)), "{same}");
            assert!(overlap(&at(same), &at("repo")), "{same}");
        }
        for other in ["repo2", "other", "link2/repo", "repo/../other"] {
            assert!(!overlap(&at("repo"), &at(other)), "{other}");
        }
        let remote = |text| parse(text).unwrap();
        let home = remote("s3:https://host/bucket/a/b");
        for same in [
            "s3:https://host/bucket/a/b",
            "s3:https://host/bucket/a",
            "s3:https://host/bucket/a/b/c",
        ] {
            assert!(overlap(&home, &remote(same)), "{same}");
        }
        for other in [
            "s3:https://host/bucket/a/bc",
            "s3:https://host/other/a/b",
            "s3:https://two/bucket/a/b",
        ] {
            assert!(!overlap(&home, &remote(other)), "{other}");
        }
    }

    #[test]
    fn places_of_other_kinds_are_named() {
        for other in ["rest:https://host/", "rclone:x:y", "webdav://host/"] {
            let failure = parse(other).unwrap_err();
            assert!(
                failure.text().contains("webdav+https:"),
                "{}",
                failure.text()
            );
        }
        for remote in ["user@host:/x", "user@host:x", "ftp://host/x"] {
            let failure = parse(remote).unwrap_err();
            assert_eq!(failure.code(), crate::exit::USAGE);
            assert!(failure.text().contains("another machine"), "{remote}");
        }
        for path in [
            "/mnt/a@b:c",
            "./user@host:x",
            "a@b",
            "./s3:x",
            "strange:name",
        ] {
            assert_eq!(parse(path).unwrap(), local(path));
        }
        assert!(parse("").is_err());
    }

    #[test]
    fn what_is_said_of_an_address_does_not_repeat_it() {
        let text = parse("webdav+https://u:hush@/x")
            .unwrap_err()
            .text()
            .to_owned();
        assert!(
            text.contains("names no host") && !text.contains("hush"),
            "{text}"
        );
    }
}
