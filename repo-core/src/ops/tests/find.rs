//! A search in the version table finds what a walk through all snapshots finds.

use super::support::*;
use crate::backend::Backend;
use crate::crypto::random_array;
use crate::error::Result;
use crate::ops::find::{Limits, find_in_table};
use crate::ops::{Patterns, Version, Wanted, find, forget_ids};
use crate::pattern::List;
use crate::progress::Interrupt;
use crate::repo::{OpenOptions, Repo};
use crate::snapshot::{Filter, SnapshotInfo, list};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A bed, and a cache.
struct Cached {
    bed: Bed,
    cache: TempDir,
    random: u64,
}

impl Cached {
    fn new(seed: u64) -> Self {
        Self {
            bed: Bed::new(),
            cache: tempfile::tempdir().unwrap(),
            random: seed,
        }
    }

    /// With so many snapshots, between which something happened.
    fn with_history(seed: u64, snapshots: usize) -> Self {
        let mut cached = Self::new(seed);
        for _ in 0..snapshots {
            cached.change();
            cached.backup();
        }
        cached
    }

    /// A number below `below`.
    fn random(&mut self, below: u64) -> u64 {
        self.random += 1;
        let bytes = noise(self.random, 8).try_into().unwrap();
        u64::from_le_bytes(bytes) % below
    }

    /// The repository as a process with a cache opens it.
    fn open(&self) -> Repo {
        let options = OpenOptions {
            cache_dir: Some(self.cache.path().to_path_buf()),
            ..self.bed.options()
        };
        Repo::open(Arc::new(self.bed.place.clone()), &password(), &options).unwrap()
    }

    fn table(&self) -> PathBuf {
        let id = self.bed.open().id().to_hex();
        self.cache.path().join(id).join("history/versions1")
    }

    /// Something happens to the source, mostly in few places.
    fn change(&mut self) {
        for _ in 0..1 + self.random(6) {
            let dir = ["", "one", "one/two", "one/two/three", "many", "other"];
            let dir = dir[self.random(6) as usize];
            let name = format!("{dir}/{}", self.random(12));
            let path = self.bed.source().join(&name);
            match self.random(5) {
                0 if path.is_file() => self.bed.remove(&name),
                1 if path.is_file() => {
                    let mode = 0o600 + self.random(64) as u32;
                    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
                }
                2 if self.bed.source().join(dir).is_dir() && !dir.is_empty() => {
                    let other = self.bed.source().join(format!("was-{}", self.random(3)));
                    let _ = std::fs::remove_dir_all(&other);
                    std::fs::rename(self.bed.source().join(dir), other).unwrap();
                }
                3 if self.random(4) == 0 => {
                    for number in 0..1500 {
                        self.bed.write(&format!("many/{number:04}"), b"");
                    }
                }
                _ if path.is_dir() => {}
                _ => {
                    let len = self.random(50) as usize;
                    let bytes = noise(self.random(9), len);
                    self.bed.write(&name, &bytes);
                }
            }
        }
    }

    fn backup(&self) -> crate::id::SnapshotId {
        self.bed.backup(&self.bed.open()).unwrap().snapshot.unwrap()
    }
}

fn wanted(pattern: &str) -> Wanted {
    let patterns = match pattern.strip_prefix("regex ") {
        Some(regex) => Patterns::regex(&[regex], false).unwrap(),
        None => Patterns::Paths(List::parse(&[pattern], false).unwrap()),
    };
    Wanted {
        patterns,
        oldest: None,
        newest: None,
        sizes: Vec::new(),
        kinds: Vec::new(),
    }
}

fn snapshots(repo: &Repo) -> Vec<SnapshotInfo> {
    list(repo, &Filter::default()).snapshots
}

fn in_order(mut versions: Vec<Version>) -> Vec<String> {
    versions.sort_by(|a, b| (&a.path, a.first).cmp(&(&b.path, b.first)));
    versions
        .iter()
        .map(|version| format!("{version:?}"))
        .collect()
}

/// What a walk finds.
fn walked(bed: &Bed, snapshots: &[SnapshotInfo], wanted: &Wanted) -> Vec<String> {
    in_order(found(&bed.open(), snapshots, wanted).unwrap())
}

fn found(repo: &Repo, snapshots: &[SnapshotInfo], wanted: &Wanted) -> Result<Vec<Version>> {
    let mut found = Vec::new();
    let mut tell = |version| {
        found.push(version);
        Ok(())
    };
    let listener = Listener::default();
    let problems = find(
        repo,
        snapshots,
        wanted,
        &mut tell,
        &listener,
        &Interrupt::new(),
    )?;
    assert_eq!(problems, 0);
    Ok(found)
}

/// What the table has; `None` if it is not used.
fn in_table(
    repo: &Repo,
    snapshots: &[SnapshotInfo],
    wanted: &Wanted,
    limits: &Limits,
) -> Option<Vec<String>> {
    find_in_table(repo, snapshots, wanted, limits, &Interrupt::new())
        .unwrap()
        .map(in_order)
}

#[test]
fn random_histories_are_found_as_by_a_walk() {
    let patterns = [
        "*",
        "1",
        "one",
        "was-*/[0-5]",
        "two/*",
        "regex [13]$",
        "nothing",
    ];
    for seed in 0..6 {
        let mut cached = Cached::new(seed << 32);
        // So little that tables are merged while a snapshot is walked.
        let fresh_bytes_max = [1, 20_000, 64 << 20][seed as usize % 3];
        let limits = Limits {
            fresh_bytes_max,
            ..Limits::default()
        };
        for round in 0..5 {
            for _ in 0..1 + cached.random(3) {
                cached.change();
                cached.backup();
            }
            let repo = cached.open();
            let mut all = snapshots(&repo);
            if cached.random(3) == 0 && all.len() > 2 {
                let gone = all.remove(cached.random(all.len() as u64) as usize);
                forget_ids(&repo, &[gone.id]).unwrap();
            }
            // Some of them only, in their order.
            let mask = cached.random(4);
            let chosen: Vec<SnapshotInfo> = (0..)
                .zip(all)
                .filter(|(at, _)| mask == 0 || at % 3 != mask - 1)
                .map(|(_, info)| info)
                .collect();
            for pattern in patterns {
                let wanted = wanted(pattern);
                let found = in_table(&repo, &chosen, &wanted, &limits);
                let expected = walked(&cached.bed, &chosen, &wanted);
                assert_eq!(
                    found,
                    Some(expected),
                    "seed {seed}, round {round}, {pattern}"
                );
            }
        }
    }
}

#[test]
fn a_search_with_a_cache_reads_no_tree_a_second_time() {
    let cached = Cached::with_history(7, 5);
    let repo = cached.open();
    let all = snapshots(&repo);
    let first = in_order(found(&repo, &all, &wanted("*")).unwrap());
    assert_eq!(first, walked(&cached.bed, &all, &wanted("*")));
    let repo = cached.open();
    let place = &cached.bed.place;
    let mut packs = Vec::new();
    let listed = place.list("meta", &mut |listed| {
        packs.push(listed.name);
        Ok(())
    });
    listed.unwrap();
    assert!(!packs.is_empty());
    packs.iter().for_each(|pack| place.delete(pack).unwrap());
    assert_eq!(in_order(found(&repo, &all, &wanted("*")).unwrap()), first);
}

#[test]
fn a_pattern_that_begins_at_the_root_makes_no_table_and_uses_one() {
    let cached = Cached::new(0);
    cached.bed.write("one/two", b"");
    cached.backup();
    let repo = cached.open();
    let all = snapshots(&repo);
    let wanted_there = wanted(&format!("{}/one/*", cached.bed.source().display()));
    let limits = Limits::default();
    assert_eq!(in_table(&repo, &all, &wanted_there, &limits), None);
    assert!(!cached.table().exists());
    assert_eq!(found(&repo, &all, &wanted_there).unwrap().len(), 1);
    assert!(in_table(&repo, &all, &wanted("two"), &limits).is_some());
    let used = in_table(&repo, &all, &wanted_there, &limits);
    assert_eq!(used.map(|found| found.len()), Some(1));
}

/// Whatever byte is damaged, what is found is right, also once snapshots are added; and names do not lie in the file in clear.
#[test]
fn a_damaged_table_is_made_anew() {
    let cached = Cached::new(0);
    for number in 0..40 {
        cached.bed.write(&format!("secretname{number}"), b"");
    }
    cached.backup();
    let one = snapshots(&cached.open());
    let limits = Limits::default();
    let search = |all: &[SnapshotInfo]| in_table(&cached.open(), all, &wanted("*"), &limits);
    let expected = Some(walked(&cached.bed, &one, &wanted("*")));
    assert!(search(&one) == expected);
    let whole = std::fs::read(cached.table()).unwrap();
    assert!(!whole.windows(10).any(|bytes| bytes == b"secretname"));
    let mode = std::fs::metadata(cached.table()).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    cached.bed.write("secretname7", b"changed");
    cached.backup();
    let both = snapshots(&cached.open());
    let expected_of_both = Some(walked(&cached.bed, &both, &wanted("*")));
    assert!(expected_of_both != expected);
    let step = whole.len() / 60 + 1;
    let mut damaged: Vec<Vec<u8>> = (0..whole.len())
        .step_by(step)
        .map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            bytes
        })
        .collect();
    damaged.extend([0, 1, 44, whole.len() / 2, whole.len() - 1].map(|len| whole[..len].to_vec()));
    damaged.push([&whole[..], b"\0"].concat());
    damaged.push(random_array::<500>().to_vec());
    for (number, bytes) in damaged.iter().enumerate() {
        std::fs::write(cached.table(), bytes).unwrap();
        assert!(search(&one) == expected, "damage {number}");
        std::fs::write(cached.table(), bytes).unwrap();
        assert!(search(&both) == expected_of_both, "damage {number}");
        let remade = std::fs::read(cached.table()).unwrap();
        assert!(remade != *bytes && search(&both) == expected_of_both);
    }
}

#[test]
fn a_table_that_gets_too_long_is_not_made_again_for_as_many_snapshots() {
    let cached = Cached::with_history(3, 8);
    let repo = cached.open();
    let all = snapshots(&repo);
    let small = Limits {
        file_bytes_max: 100,
        ..Limits::default()
    };
    let large = Limits::default();
    assert_eq!(in_table(&repo, &all, &wanted("*"), &small), None);
    assert_eq!(in_table(&repo, &all, &wanted("*"), &large), None);
    let expected = walked(&cached.bed, &all, &wanted("*"));
    assert_eq!(
        in_order(found(&repo, &all, &wanted("*")).unwrap()),
        expected
    );
    assert!(in_table(&repo, &all[..4], &wanted("*"), &large).is_some());
    assert_eq!(in_table(&repo, &all, &wanted("*"), &large), Some(expected));
}

#[test]
fn what_cannot_be_kept_costs_time_only() {
    let cached = Cached::new(0);
    cached.bed.write("file", b"");
    cached.backup();
    let repo = cached.open();
    let all = snapshots(&repo);
    let dir = cached.table();
    std::fs::write(dir.parent().unwrap(), b"in the way").unwrap();
    assert_eq!(
        in_table(&repo, &all, &wanted("file"), &Limits::default()),
        None
    );
    let why = repo.cache_failure().unwrap();
    assert!(why.to_string().contains("history"), "{why}");
    assert_eq!(found(&repo, &all, &wanted("file")).unwrap().len(), 1);
}

/// A tree that cannot be read makes no table in which it is missing.
#[test]
fn damage_in_the_repository_makes_no_table() {
    let cached = Cached::new(0);
    cached.bed.write("dir/file", b"");
    cached.backup();
    let place = &cached.bed.place;
    let mut packs = Vec::new();
    let listed = place.list("meta", &mut |listed| {
        packs.push(listed.name);
        Ok(())
    });
    listed.unwrap();
    packs.iter().for_each(|pack| place.delete(pack).unwrap());
    let repo = cached.open();
    let all = snapshots(&repo);
    assert_eq!(
        in_table(&repo, &all, &wanted("file"), &Limits::default()),
        None
    );
    assert!(!cached.table().exists());
}
