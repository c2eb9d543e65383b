//! Caches of repositories on this machine: a directory each, named by the repository's id.

use crate::env::Env;
use crate::repository::RepositoryFlags;
use repo_core::time::{self, Timestamp};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A cache that was not used for so many days is old, as with restic.
pub const MAX_AGE_DAYS: u64 = 30;

const DAY_S: i64 = 24 * 3600;

/// Marks the directory of all caches as one that backups may leave out: <https://bford.info/cachedir/>.
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# Caches of larder; they may be removed at any time.\n";

/// The cache of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The repository's id.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// When it was last used.
    pub used: Timestamp,
}

impl Cache {
    /// Whole days since it was used; none if the clock says that this is still to come.
    pub fn age_days(&self) -> u64 {
        let seconds = time::now().seconds.saturating_sub(self.used.seconds);
        u64::try_from(seconds / DAY_S).unwrap_or(0)
    }

    /// Whether it was not used for so many days.
    pub fn is_old(&self, max_age_days: u64) -> bool {
        self.age_days() >= max_age_days
    }

    /// Bytes of its files. What goes away meanwhile counts for nothing.
    pub fn bytes(&self) -> u64 {
        let mut left = vec![self.path.clone()];
        let mut sum = 0;
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(meta) if meta.is_dir() => left.push(entry.path()),
                    Ok(meta) => sum += meta.len(),
                    Err(_) => {}
                }
            }
        }
        sum
    }
}

/// Where all caches are; `None` if none is used.
pub fn base(flags: &RepositoryFlags, env: &Env) -> Option<PathBuf> {
    let named = || env.ours("CACHE_DIR").map(|dir| dir.value.into());
    let cache = flags.cache_dir.clone().or_else(named);
    let cache = cache.or_else(|| env.directory("XDG_CACHE_HOME", ".cache"));
    cache.filter(|_| !flags.no_cache)
}

/// All caches, longest unused first. What is not named by an id is none of ours.
pub fn list(base: &Path) -> io::Result<Vec<Cache>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(base) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(id) = entry.file_name().into_string() else {
            continue;
        };
        let is_id = id.len() == 64
            && id
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        // Not through a link: what it leads to is not ours to remove.
        if is_id && entry.file_type()?.is_dir() {
            found.push(Cache {
                id,
                path: entry.path(),
                used: entry.metadata()?.modified()?.into(),
            });
        }
    }
    found.sort_by(|a, b| (a.used, &a.id).cmp(&(b.used, &b.id)));
    Ok(found)
}

/// Removes caches that were not used for so many days, and says which before.
pub fn remove_old(
    base: &Path,
    max_age_days: u64,
    mut removing: impl FnMut(&[Cache]),
) -> io::Result<()> {
    let mut old = list(base)?;
    old.retain(|cache| cache.is_old(max_age_days));
    removing(&old);
    old.iter()
        .try_for_each(|cache| fs::remove_dir_all(&cache.path))
}

/// Notes that the cache of a repository was used. Where that cannot be noted it looks older than it is, and may be removed
/// before its time: nothing is lost by that.
pub fn note_use(base: &Path, id: &str) {
    let now = u64::try_from(time::now().seconds).map(Duration::from_secs);
    if let (Ok(dir), Ok(now)) = (File::open(base.join(id)), now) {
        let _ = dir.set_modified(SystemTime::UNIX_EPOCH + now);
        let tag = base.join("CACHEDIR.TAG");
        if !tag.exists() {
            let _ = fs::write(tag, TAG);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(dir: &Path, days: u64) {
        let then = time::now().seconds as u64 - days * DAY_S as u64;
        let dir = File::open(dir).unwrap();
        dir.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(then))
            .unwrap();
    }

    #[test]
    fn only_old_caches_of_repositories_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        let (old, new) = ("ab".repeat(32), "cd".repeat(32));
        let names = [&old[..], &new, "notes", &"AB".repeat(32)];
        for name in names {
            fs::create_dir_all(base.join(name).join("index")).unwrap();
            fs::write(base.join(name).join("index/run"), "12345").unwrap();
            age(&base.join(name), if name == new { 3 } else { 40 });
        }
        std::os::unix::fs::symlink("notes", base.join("ef".repeat(32))).unwrap();
        let found = list(base).unwrap();
        let ids: Vec<&str> = found.iter().map(|cache| cache.id.as_str()).collect();
        assert_eq!(ids, [&old, &new]);
        assert_eq!((found[0].age_days(), found[1].age_days()), (40, 3));
        assert_eq!(found[0].bytes(), 5);
        assert!(found[0].is_old(MAX_AGE_DAYS) && !found[1].is_old(MAX_AGE_DAYS));

        let mut said = Vec::new();
        remove_old(base, MAX_AGE_DAYS, |caches| said.extend(caches.to_vec())).unwrap();
        assert_eq!(said, found[..1]);
        assert_eq!(list(base).unwrap(), found[1..]);
        assert!(base.join("notes/index/run").exists());
        remove_old(base, MAX_AGE_DAYS, |caches| assert!(caches.is_empty())).unwrap();
        assert_eq!(list(&base.join("absent")).unwrap(), []);
    }

    #[test]
    fn use_makes_a_cache_new_again() {
        let dir = tempfile::tempdir().unwrap();
        let id = "ab".repeat(32);
        note_use(dir.path(), &id);
        assert!(!dir.path().join("CACHEDIR.TAG").exists(), "nothing is used");
        fs::create_dir(dir.path().join(&id)).unwrap();
        age(&dir.path().join(&id), 100);
        note_use(dir.path(), &id);
        assert_eq!(list(dir.path()).unwrap()[0].age_days(), 0);
        let tag = fs::read_to_string(dir.path().join("CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
    }
}
