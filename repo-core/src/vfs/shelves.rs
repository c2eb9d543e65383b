//! Directories of snapshots.

use super::templates::Templates;
use crate::snapshot::SnapshotInfo;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the link to the newest snapshot of a shelf.
const LATEST: &str = "latest";

/// A directory that holds snapshots, or other shelves. Memory: some 150 bytes for each snapshot in it, and its name.
#[derive(Debug, Default)]
pub struct Shelf {
    entries: BTreeMap<Vec<u8>, OnShelf>,
    /// The name and time of the newest snapshot that stands there by its time.
    newest: Option<(Timestamp, Arc<[u8]>)>,
}

/// What stands on a shelf.
#[derive(Debug)]
pub enum OnShelf {
    /// A shelf.
    Shelf(Shelf),
    /// A snapshot.
    Snapshot(Arc<SnapshotInfo>),
    /// A link to the entry of this name.
    Link(Arc<[u8]>),
    /// The versions of everything.
    Versions,
}

impl Shelf {
    /// Puts snapshots, oldest first, where templates say. One whose name is taken already has a number behind it, as with restic.
    pub fn of(snapshots: &[Arc<SnapshotInfo>], templates: &Templates) -> Self {
        let mut root = Self::default();
        for info in snapshots {
            for place in templates.places(info) {
                root.put(&place.names, place.by_time, info);
            }
        }
        root.add_links();
        root
    }

    fn put(&mut self, names: &[String], by_time: bool, info: &Arc<SnapshotInfo>) {
        let [name, below @ ..] = names else { return };
        if below.is_empty() {
            let name = self.free_name(name);
            let newer = |(time, _): &(Timestamp, _)| *time <= info.summary.time;
            if by_time && self.newest.as_ref().is_none_or(newer) {
                self.newest = Some((info.summary.time, name.clone().into()));
            }
            self.entries.insert(name, OnShelf::Snapshot(info.clone()));
            return;
        }
        let shelf = match self.entries.get(name.as_bytes()) {
            None | Some(OnShelf::Shelf(_)) => name.clone().into_bytes(),
            Some(_) => self.free_shelf(name),
        };
        let entry = self.entries.entry(shelf);
        if let OnShelf::Shelf(shelf) = entry.or_insert_with(|| OnShelf::Shelf(Self::default())) {
            shelf.put(below, by_time, info);
        }
    }

    fn numbered(name: &str) -> impl Iterator<Item = Vec<u8>> {
        let numbered = (1u64..).map(move |number| format!("{name}-{number}").into_bytes());
        std::iter::once(name.as_bytes().to_vec()).chain(numbered)
    }

    fn free_name(&self, name: &str) -> Vec<u8> {
        let free = |name: &Vec<u8>| !self.entries.contains_key(name);
        let mut names = Self::numbered(name);
        names.find(free).expect("numbers do not end")
    }

    fn free_shelf(&self, name: &str) -> Vec<u8> {
        let fits =
            |name: &Vec<u8>| matches!(self.entries.get(name), None | Some(OnShelf::Shelf(_)));
        let mut names = Self::numbered(name);
        names.find(fits).expect("numbers do not end")
    }

    fn add_links(&mut self) {
        for entry in self.entries.values_mut() {
            if let OnShelf::Shelf(shelf) = entry {
                shelf.add_links();
            }
        }
        if let Some((_, name)) = &self.newest
            && !self.entries.contains_key(LATEST.as_bytes())
        {
            let link = OnShelf::Link(name.clone());
            self.entries.insert(LATEST.into(), link);
        }
    }

    /// Puts the versions of everything there, unless something has that name.
    pub fn with_versions(mut self, name: &str) -> Self {
        self.entries.entry(name.into()).or_insert(OnShelf::Versions);
        self
    }

    /// What has a name.
    pub fn get(&self, name: &[u8]) -> Option<&OnShelf> {
        self.entries.get(name)
    }

    /// The shelf of this path, with slashes between names; the empty one is this shelf.
    pub fn below(&self, path: &[u8]) -> Option<&Self> {
        let names = path.split(|&byte| byte == b'/');
        let mut names = names.filter(|name| !name.is_empty());
        names.try_fold(self, |shelf, name| match shelf.get(name) {
            Some(OnShelf::Shelf(below)) => Some(below),
            _ => None,
        })
    }

    /// What stands there, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &OnShelf)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_slice(), entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::snapshot::Summary;
    use crate::id::SnapshotId;

    fn snapshot(id: u8, second: i64, host: &str) -> Arc<SnapshotInfo> {
        let summary = Summary {
            time: Timestamp::new(second, 0),
            host: host.into(),
            ..Summary::default()
        };
        let id = SnapshotId([id; 32]);
        Arc::new(SnapshotInfo { id, summary })
    }

    fn listed(shelf: &Shelf, above: &str, lines: &mut Vec<String>) {
        for (name, entry) in shelf.entries() {
            let name = format!("{above}/{}", String::from_utf8_lossy(name));
            match entry {
                OnShelf::Shelf(below) => listed(below, &name, lines),
                OnShelf::Snapshot(info) => lines.push(format!("{name} {}", info.id.0[0])),
                OnShelf::Versions => lines.push(name),
                OnShelf::Link(to) => {
                    lines.push(format!("{name} -> {}", String::from_utf8_lossy(to)))
                }
            }
        }
    }

    fn shelved(snapshots: &[Arc<SnapshotInfo>], paths: &[&str]) -> Vec<String> {
        let templates = Templates::new(paths.iter().copied(), "15:04:05").unwrap();
        let mut lines = Vec::new();
        listed(&Shelf::of(snapshots, &templates), "", &mut lines);
        lines
    }

    #[test]
    fn the_newest_is_linked_to() {
        let all = [
            snapshot(1, 0, "a"),
            snapshot(2, 60, "b"),
            snapshot(3, 60, "b"),
        ];
        assert_eq!(
            shelved(&all, &["hosts/%h/%T", "ids/%i"]),
            [
                "/hosts/a/00:00:00 1",
                "/hosts/a/latest -> 00:00:00",
                "/hosts/b/00:01:00 2",
                "/hosts/b/00:01:00-1 3",
                "/hosts/b/latest -> 00:01:00-1",
                "/ids/01010101 1",
                "/ids/02020202 2",
                "/ids/03030303 3",
            ]
        );
        assert!(shelved(&[], &["%T"]).is_empty());
    }

    #[test]
    fn no_snapshot_hides_another() {
        let all = [snapshot(1, 0, "a"), snapshot(2, 1, "latest")];
        assert_eq!(
            shelved(&all, &["%h", "%h/%T", "%T"]),
            [
                "/00:00:00 1",
                "/00:00:01 2",
                "/a 1",
                "/a-1/00:00:00 1",
                "/a-1/latest -> 00:00:00",
                "/latest 2",
                "/latest-1/00:00:01 2",
                "/latest-1/latest -> 00:00:01",
            ]
        );
    }
}
