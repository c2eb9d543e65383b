//! Which snapshots are meant.

use crate::app::App;
use crate::env::Env;
use crate::exit::Failure;
use crate::message::{self, plain_io};
use crate::text::printable;
use crate::{json, repository};
use clap::Args;
use repo_core::id::SnapshotId;
use repo_core::repo::Repo;
use repo_core::snapshot::{self, Filter, GroupBy, SnapshotInfo};
use repo_core::vfs::Top;
use repo_core::{Error, ErrorKind, Subject};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Flags that choose among snapshots.
#[derive(Args, Debug, Default)]
pub struct SelectionFlags {
    /// Only those of this host; may be given more than once [$LARDER_HOST]
    #[arg(
        short = 'H',
        long,
        value_name = "HOST",
        help_heading = "Which snapshots"
    )]
    pub host: Vec<String>,

    /// Only those with all tags of this list, TAG[,TAG...], or without tags if it is ''; may be given more than once
    #[arg(long, value_name = "TAGS", help_heading = "Which snapshots")]
    pub tag: Vec<String>,

    /// Only those with this label, or without one if it is ''; may be given more than once
    #[arg(long, value_name = "LABEL", help_heading = "Which snapshots")]
    pub label: Vec<String>,

    /// Only those that include this path; may be given more than once
    #[arg(long, value_name = "PATH", help_heading = "Which snapshots")]
    pub path: Vec<PathBuf>,
}

/// Snapshots that are named or match; all if nothing is said.
#[derive(Args, Debug, Default)]
pub struct ChosenFlags {
    /// The beginning of an ID, or `latest`; all that match if none is named
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,

    #[command(flatten)]
    selection: SelectionFlags,
}

impl ChosenFlags {
    /// The filter that the flags mean.
    pub fn filter(&self, env: &Env) -> Result<Filter, Failure> {
        self.selection.filter(env)
    }

    /// Those that are named, or match `filter`.
    pub fn list(&self, app: &App, repo: &Repo, filter: &Filter) -> Result<Found, Failure> {
        list(app, repo, &self.snapshots, filter)
    }
}

impl SelectionFlags {
    /// Whether there is any of these flags.
    pub fn given(&self) -> bool {
        let lists = [&self.host, &self.tag, &self.label];
        lists.iter().any(|list| !list.is_empty()) || !self.path.is_empty()
    }

    /// The filter that they mean. An empty --host takes back what the environment says.
    pub fn filter(&self, env: &Env) -> Result<Filter, Failure> {
        let mut hosts = self.host.clone();
        if hosts.is_empty() {
            hosts.extend(
                env.ours("HOST")
                    .and_then(|host| host.value.into_string().ok()),
            );
        }
        hosts.retain(|host| !host.is_empty());
        let paths = self
            .path
            .iter()
            .map(|path| absolute(path))
            .collect::<Result<_, _>>()?;
        let split = |list: &String| list.split(',').map(|tag| tag.trim().to_owned()).collect();
        let tags = self.tag.iter().map(split).collect();
        Ok(Filter {
            hosts,
            paths,
            tags,
            labels: self.label.clone(),
        })
    }
}

/// The tags of lists `TAG[,TAG...]`, each once, in their order.
pub fn tags(lists: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for tag in lists.iter().flat_map(|list| list.split(',')).map(str::trim) {
        if !tag.is_empty() && !found.iter().any(|other| other == tag) {
            found.push(tag.to_owned());
        }
    }
    found
}

/// Reads `host,paths,tags,label`, each in the singular or plural, in any order; nothing means no group.
pub fn parse_group_by(text: &str) -> Result<GroupBy, String> {
    let mut by = GroupBy::default();
    for word in text.split(',') {
        match word {
            "" => {}
            "host" | "hosts" => by.host = true,
            "path" | "paths" => by.paths = true,
            "tag" | "tags" => by.tags = true,
            "label" | "labels" => by.label = true,
            _ => {
                let word = printable(word);
                return Err(format!("`{word}` is none of host, paths, tags and label"));
            }
        }
    }
    Ok(by)
}

/// A snapshot, and the folder in it that is meant, if not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `latest` or the beginning of an id.
    pub snapshot: String,
    /// What stands after the colon.
    pub subfolder: Option<PathBuf>,
}

impl Named {
    /// Reads `SNAPSHOT` or `SNAPSHOT:subfolder`.
    pub fn parse(text: &OsStr) -> Result<Self, Failure> {
        let bytes = text.as_bytes();
        let (name, folder) = match bytes.iter().position(|&byte| byte == b':') {
            Some(colon) => (&bytes[..colon], Some(&bytes[colon + 1..])),
            None => (bytes, None),
        };
        let snapshot = str::from_utf8(name).ok().filter(|name| !name.is_empty());
        let snapshot = snapshot.ok_or_else(|| match bytes.is_empty() {
            true => Failure::usage(NO_NAME),
            false => Failure::usage(format!(
                "{} names no snapshot\nName one by the beginning of its ID, or by `latest`.",
                text.display()
            )),
        })?;
        let subfolder = folder.filter(|folder| !folder.is_empty() && *folder != b"/");
        Ok(Self {
            snapshot: snapshot.to_owned(),
            subfolder: subfolder.map(|folder| PathBuf::from(OsString::from_vec(folder.to_vec()))),
        })
    }
}

/// A snapshot in its repository.
pub struct Opened {
    /// The repository.
    pub repo: Repo,
    /// The snapshot.
    pub info: SnapshotInfo,
    /// The folder in it that is meant, if not all of it.
    pub subfolder: Option<PathBuf>,
}

/// Opens the repository and finds the snapshot `SNAPSHOT[:FOLDER]` in it. Wrong arguments are refused before anything is
/// opened.
pub fn open(app: &App, named: &OsStr, flags: &SelectionFlags) -> Result<Opened, Failure> {
    let Named {
        snapshot,
        subfolder,
    } = Named::parse(named)?;
    let filter = flags.filter(&app.env)?;
    let repo = repository::open(app, false)?.repo;
    let info = find(&repo, &snapshot, &filter)?;
    if snapshot == "latest" {
        for (_, error) in snapshot::list(&repo, &filter).unreadable {
            app.terminal
                .warn(&format!("{}, and passed over", message::reason(&error)));
        }
    }
    Ok(Opened {
        repo,
        info,
        subfolder,
    })
}

/// Snapshots that are meant, oldest first.
pub struct Found {
    /// The snapshots.
    pub snapshots: Vec<SnapshotInfo>,
    /// How many there are of which nothing can be told. Each was named.
    pub unreadable: u64,
}

/// The snapshots of these names, or else all that match `filter`, which counts for `latest` too.
pub fn list(app: &App, repo: &Repo, names: &[String], filter: &Filter) -> Result<Found, Failure> {
    if names.is_empty() {
        return Ok(named(app, snapshot::list(repo, filter)));
    }
    let found = names.iter().map(|name| find(repo, name, filter));
    let mut snapshots = found.collect::<Result<Vec<_>, _>>()?;
    snapshots.sort_by_key(|info| (info.summary.time, info.id));
    snapshots.dedup_by_key(|info| info.id);
    Ok(Found {
        snapshots,
        unreadable: 0,
    })
}

/// The forgotten snapshots of these names, or else all that match `filter`.
pub fn list_forgotten(
    app: &App,
    repo: &Repo,
    names: &[String],
    filter: &Filter,
) -> Result<Found, Failure> {
    let mut found = named(app, snapshot::list_forgotten(repo, filter));
    if !names.is_empty() {
        let ids = names.iter().map(|name| find_forgotten(repo, name));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        found.snapshots.retain(|info| ids.contains(&info.id));
    }
    Ok(found)
}

/// Names those of which nothing can be told.
fn named(app: &App, listing: snapshot::Listing) -> Found {
    for (_, error) in &listing.unreadable {
        app.terminal
            .warn(&format!("{}, and not listed", message::reason(error)));
    }
    Found {
        snapshots: listing.snapshots,
        unreadable: listing.unreadable.len() as u64,
    }
}

/// The snapshot of this name; `filter` counts for `latest` only.
pub fn find(repo: &Repo, name: &str, filter: &Filter) -> Result<SnapshotInfo, Failure> {
    snapshot::find(repo, name, filter).map_err(|error| match error.kind() {
        ErrorKind::NotFound => forgotten(repo, name).unwrap_or_else(|| not_found(name, error)),
        _ => not_found(name, error),
    })
}

/// The id of the forgotten snapshot of this name, or of the one that is not forgotten.
pub fn find_forgotten(repo: &Repo, name: &str) -> Result<SnapshotId, Failure> {
    match snapshot::find_forgotten(repo, name) {
        Ok(info) => Ok(info.id),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match snapshot::find(repo, name, &Filter::default()) {
                Ok(info) if name != "latest" => Ok(info.id),
                _ => Err(deleted(repo, name).unwrap_or_else(|| {
                    Failure::failed(format!(
                        "no forgotten snapshot has an ID that begins with {}\n`larder snapshots --forgotten` lists those that can be had again.",
                        printable(name)
                    ))
                })),
            }
        }
        Err(error) => Err(not_found(name, error)),
    }
}

/// What is said of a name that only fits forgotten snapshots.
fn forgotten(repo: &Repo, name: &str) -> Option<Failure> {
    let state = repo.state();
    if name == "latest" {
        let any =
            state.live_snapshots().next().is_none() && state.forgotten_snapshots().next().is_some();
        return any.then(|| {
            Failure::failed(
                "there is no snapshot that is not forgotten\n`larder snapshots --forgotten` lists those that `larder unforget` brings back.",
            )
        });
    }
    let name = name.to_ascii_lowercase();
    let fits = |id: &SnapshotId| !name.is_empty() && id.to_hex().starts_with(&name);
    let mut found = state.forgotten_snapshots().filter(|(id, _)| fits(id));
    let Some((id, _)) = found.next() else {
        return deleted(repo, &name);
    };
    let id = id.short();
    Some(Failure::failed(format!(
        "snapshot {id} is forgotten\n`larder unforget {id}` brings it back, until a prune has deleted its data."
    )))
}

/// What is said of a name that only fits snapshots that are gone.
fn deleted(repo: &Repo, name: &str) -> Option<Failure> {
    let found = snapshot::find_deleted(repo, name)?;
    let when = found.time.map_or(String::new(), |time| {
        format!(", {}", crate::text::local_time(time))
    });
    Some(Failure::failed(format!(
        "snapshot {} was forgotten, and deleted by a prune{when}\n`larder snapshots --forgotten` lists those that can be had again.",
        found.id.short()
    )))
}

/// What is said of a name that is empty, as that of a variable of a script may be that is not set.
const NO_NAME: &str =
    "the name of the snapshot is empty\nName one by the beginning of its ID, or by `latest`.";

fn not_found(name: &str, error: Error) -> Failure {
    let said = matches!(error.subject(), Subject::None | Subject::Setting(_));
    match error.kind() {
        _ if name.is_empty() => Failure::usage(NO_NAME),
        ErrorKind::NotFound if name == "latest" => Failure::failed(
            "there is no snapshot that fits\n`larder snapshots` lists those that there are.",
        ),
        ErrorKind::NotFound => Failure::failed(format!(
            "no snapshot has an ID that begins with {name}\n`larder snapshots` lists those that there are."
        )),
        ErrorKind::InvalidInput if said => Failure::failed(format!(
            "{name} does not name one snapshot{}\nGive more of its ID; `larder snapshots --json` shows all of it.",
            error
                .detail_text()
                .map_or(String::new(), |detail| format!(": {detail}"))
        )),
        _ => error.into(),
    }
}

/// What a failure about the paths that were asked for in this snapshot is called: if it holds no such path, where it holds it, or what it
/// holds and how to choose another.
pub fn explain(repo: &Repo, info: &SnapshotInfo, asked: &[PathBuf], failure: Failure) -> Failure {
    if failure.kind() != Some(ErrorKind::NotFound) || failure.is_of_system() {
        return failure;
    }
    let id = info.id.short();
    if let Some(place) = asked.iter().find_map(|path| lies_as(repo, info, path)) {
        let place = place.display().to_string();
        return failure.advising(&printable(&format!(
            "It lies there as {place}: what is backed up by a relative path is stored so. `larder ls {id}` lists all of it."
        )));
    }
    let paths = info.summary.paths.iter();
    let mut shown: Vec<String> = paths
        .take(PATHS_SHOWN)
        .map(|path| json::lossy(path))
        .collect();
    let more = info.summary.paths.len() - shown.len();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    let advice = format!(
        "Snapshot {id} is one of {}. Name another by its ID, or choose one with --path, --host, --tag or --label; \
         `larder snapshots` lists them, `larder ls {id}` what is in this one.",
        shown.join(", ")
    );
    failure.advising(&printable(&advice))
}

/// Where a snapshot holds a path of the machine that it does not hold as it is.
fn lies_as(repo: &Repo, info: &SnapshotInfo, asked: &Path) -> Option<PathBuf> {
    let asked = Path::new("/").join(asked);
    let top = Top::open(repo, &info.id, None).ok()?;
    let path = top.origin(repo, &asked, &info.summary.paths).ok()?;
    let holds = |path: &Path| matches!(top.find_if_there(repo, path), Ok(Some(_)));
    (path != asked && !holds(&asked) && holds(&path)).then_some(path)
}

/// How many paths of a snapshot a message names.
const PATHS_SHOWN: usize = 5;

fn absolute(path: &Path) -> Result<Vec<u8>, Failure> {
    let path = std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("{}: {}", path.display(), plain_io(&error))))?;
    Ok(path.into_os_string().into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags() {
        assert_eq!(tags(&["a,b".into(), "b, c,".into()]), ["a", "b", "c"]);
    }

    #[test]
    fn names_may_have_a_folder() {
        let parse = |text: &str| Named::parse(OsStr::new(text)).unwrap();
        let named = parse("latest:/srv/a:b");
        assert_eq!(named.snapshot, "latest");
        assert_eq!(named.subfolder, Some("/srv/a:b".into()));
        assert_eq!(parse("0123:/").subfolder, None);
        assert_eq!(parse("0123").subfolder, None);
        assert!(Named::parse(OsStr::new(":/srv")).is_err());
    }

    #[test]
    fn the_environment_names_a_host_unless_told_otherwise() {
        let hosts = |given: &[&str]| {
            let host = given.iter().map(|&host| host.to_owned()).collect();
            let flags = SelectionFlags {
                host,
                ..Default::default()
            };
            flags
                .filter(&Env::fixed(&[("RESTIC_HOST", "web")]))
                .unwrap()
                .hosts
        };
        assert_eq!(hosts(&[]), ["web"]);
        assert_eq!(hosts(&["db", "mail"]), ["db", "mail"]);
        assert!(hosts(&[""]).is_empty());
    }

    #[test]
    fn filters_keep_lists_of_tags_apart() {
        let flags = SelectionFlags {
            tag: vec!["a,b".into(), "c".into()],
            ..Default::default()
        };
        let filter = flags.filter(&Env::fixed(&[])).unwrap();
        assert_eq!(
            filter.tags,
            [vec!["a".to_owned(), "b".into()], vec!["c".into()]]
        );
        let none = SelectionFlags {
            tag: vec!["".into(), " a, ".into()],
            ..Default::default()
        };
        assert!(none.given() && !SelectionFlags::default().given());
        let filter = none.filter(&Env::fixed(&[])).unwrap();
        assert_eq!(
            filter.tags,
            [vec!["".to_owned()], vec!["a".into(), "".into()]]
        );
    }

    #[test]
    fn groups_are_named_as_restic_names_them() {
        assert_eq!(parse_group_by("host,paths"), Ok(GroupBy::HOST_AND_PATHS));
        assert_eq!(parse_group_by("paths,host,"), Ok(GroupBy::HOST_AND_PATHS));
        let none = parse_group_by("").unwrap();
        assert!(!none.host && !none.paths && !none.tags && !none.label);
        let rest = parse_group_by("tag,labels").unwrap();
        assert!(!rest.host && !rest.paths && rest.tags && rest.label);
        for wrong in ["hostname", "host;paths", "host, paths", "HOST", " "] {
            assert!(parse_group_by(wrong).is_err(), "{wrong}");
        }
    }
}
