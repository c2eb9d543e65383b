//! Every object flipped, cut short, removed; objects too many: what a check says, and what a restore still gives.

use super::support::*;
use crate::backend::{Backend, MemoryBackend};
use crate::format::key_slot::{Credential, Label};
use crate::format::name::{self, ObjectKind, parse_numbered};
use crate::id::SnapshotId;
use crate::ops::CheckSummary;
use crate::repo::Repo;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Which check finds a damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Plain,
    ReadData,
}

/// A repository with an object of every kind: four snapshots, several packs of data and trees, a checkpoint with a
/// state table, and a second key.
struct World {
    bed: Bed,
    snapshots: Vec<(SnapshotId, Tree)>,
}

fn second_key() -> Credential {
    Credential::password("the second one")
}

impl World {
    fn new() -> Self {
        let bed = Bed::new();
        let repo = bed.open();
        bed.write("a", b"a small one");
        bed.write("deep/er/large", &noise(1, 2 << 20 | 77));
        bed.write("other", &noise(2, 700 << 10));
        bed.write("empty", b"");
        // More than fits one page of a directory.
        for number in 0..400 {
            bed.write(&format!("many/{number:0200}"), b"");
        }
        let mut world = Self {
            bed,
            snapshots: Vec::new(),
        };
        // Rows of snapshots that need a table of their own in a checkpoint.
        let long = "long ".repeat(2000);
        world.backup(&repo, &long);
        world.bed.write("other", &noise(3, 300 << 10));
        world.backup(&repo, &long);
        let key = repo.key_add(&second_key(), CHEAP, &Label::default());
        key.unwrap();
        while repo.state().tail().number < 16 {
            let spare = Credential::password("spare");
            let key = repo.key_add(&spare, CHEAP, &Label::default()).unwrap();
            repo.key_remove(&key).unwrap();
        }
        world.bed.write("late", &noise(4, 100 << 10));
        world.backup(&repo, "");
        world.bed.write("a", b"another small one");
        world.backup(&repo, "");
        let kinds: BTreeSet<String> = world.bed.place.objects().into_keys().map(kind).collect();
        let all = [
            "checkpoints",
            "config",
            "data",
            "index",
            "keys",
            "log",
            "meta",
            "snapshots",
            "state",
        ];
        assert!(kinds.iter().eq(all.iter()), "{kinds:?}");
        assert_clean(&world.open(&world.bed.place, ""));
        world
    }

    fn backup(&mut self, repo: &Repo, description: &str) {
        let made = self.bed.backup_described(repo, description).unwrap();
        self.snapshots
            .push((made.snapshot.unwrap(), self.bed.tree()));
    }

    /// Opens a copy of the place as a new process does, with a key whose slot is not the damaged object. That the end of
    /// the log is missing only a client can know that was there before.
    fn try_open(&self, place: &MemoryBackend, damaged: &str) -> crate::Result<Repo> {
        let place: Arc<dyn Backend> = Arc::new(place.clone());
        let anew = |key: &Credential| self.bed.open_anew(place.clone(), key);
        match kind(damaged.to_owned()).as_str() {
            "keys" => anew(&second_key()).or_else(|_| anew(&password())),
            "log" => self.bed.open_on(place),
            _ => anew(&password()),
        }
    }

    fn open(&self, place: &MemoryBackend, damaged: &str) -> Repo {
        self.try_open(place, damaged).unwrap()
    }

    /// What a check says, a line each; an error that it cannot even begin with is such a line.
    fn check(&self, place: &MemoryBackend, damaged: &str, read_data: bool) -> Vec<String> {
        let checked = self
            .try_open(place, damaged)
            .and_then(|repo| check_with(&repo, read_data));
        match checked {
            Ok(summary) => findings(&summary),
            Err(error) => vec![error.to_string()],
        }
    }

    /// Which check finds this damage; panics if none does, or if it does not name the object.
    fn finds(&self, place: &MemoryBackend, object: &str, damage: &str) -> By {
        let said = shown(object);
        for (by, read_data) in [(By::Plain, false), (By::ReadData, true)] {
            let lines = self.check(place, object, read_data);
            if lines.iter().any(|line| line.contains(&said)) {
                return by;
            }
            assert_eq!(lines, [""; 0], "{object}, {damage}: not named");
        }
        panic!("{object}, {damage}: not found");
    }
}

/// What a check found, a line each.
pub fn findings(summary: &CheckSummary) -> Vec<String> {
    let error = |finding: &crate::ops::Finding| finding.error.to_string();
    summary.findings.iter().map(error).collect()
}

fn kind(object: String) -> String {
    object.split('/').next().unwrap().to_owned()
}

/// How messages name an object.
pub fn shown(object: &str) -> String {
    match (ObjectKind::parse(object), parse_numbered(object)) {
        (Some((_, id)), _) => crate::id::to_hex(&id),
        (None, Some((number, None))) if name::entry(number) == object => {
            format!("log entry {number}:")
        }
        _ => format!("object {object}:"),
    }
}

/// A copy of the place in which one object is changed.
fn changed(world: &World, object: &str, change: impl FnOnce(&mut Vec<u8>)) -> MemoryBackend {
    let place = world.bed.place.fork();
    place.corrupt(object, change);
    place
}

/// What may be wrong with content of the right length is for `--read-data` to find, in packs of data only.
fn content_is_found_by(object: &str) -> By {
    match object.starts_with("data/") {
        true => By::ReadData,
        false => By::Plain,
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_named() {
    let world = World::new();
    for (object, bytes) in world.bed.place.objects() {
        let len = bytes.len();
        let mut positions: BTreeSet<usize> = [0, 1, len / 4, len / 2, len / 4 * 3, len - 1].into();
        positions.extend((1..4).map(|n| n * 7919 % len));
        for position in positions {
            let flip = |bytes: &mut Vec<u8>| bytes[position] ^= 1 << (position % 8);
            let place = changed(&world, &object, flip);
            let by = world.finds(&place, &object, &format!("bit in byte {position} of {len}"));
            assert_eq!(by, content_is_found_by(&object), "{object} at {position}");
        }
    }
}

#[test]
fn an_object_of_another_length_is_found_and_named() {
    let world = World::new();
    for (object, bytes) in world.bed.place.objects() {
        for len in [bytes.len() - 1, bytes.len() / 2, 0] {
            let place = changed(&world, &object, |bytes| bytes.truncate(len));
            assert_eq!(world.finds(&place, &object, "cut short"), By::Plain);
        }
        let place = changed(&world, &object, |bytes| bytes.push(0));
        assert_eq!(world.finds(&place, &object, "longer"), By::Plain);
    }
}

#[test]
fn a_missing_object_is_found_and_named() {
    let world = World::new();
    for object in world.bed.place.objects().into_keys() {
        let place = world.bed.place.fork();
        assert!(place.remove(&object));
        match object.split('/').next().unwrap() {
            // Nothing needs it: who cannot read it reads more of the log. A run that ended right after its entry leaves
            // the same.
            "checkpoints" => {
                let summary = check_with(&world.open(&place, &object), false).unwrap();
                assert_eq!(summary.absent, [object]);
            }
            // The log does not name slots but writers.
            "keys" => {
                let summary = check_with(&world.open(&place, &object), false).unwrap();
                let lines = findings(&summary);
                assert_eq!(lines.len(), 1, "{lines:?}");
                assert!(
                    lines[0].starts_with("object keys/ of the writer "),
                    "{lines:?}"
                );
            }
            _ => assert_eq!(world.finds(&place, &object, "removed"), By::Plain),
        }
    }
}

/// The objects that a further backup leaves which never comes to its entry.
fn leftovers(world: &World) -> BTreeMap<String, Vec<u8>> {
    let place = world.bed.place.fork();
    let repo = world.open(&place, "");
    world.bed.write("more", &noise(9, 100 << 10));
    world.bed.backup(&repo).unwrap();
    world.bed.remove("more");
    let before = world.bed.place.objects();
    let mut left = place.objects();
    left.retain(|name, _| !before.contains_key(name) && !name.starts_with("log/"));
    assert_eq!(left.len(), 4, "{:?}", left.keys());
    left
}

#[test]
fn what_an_interrupted_run_leaves_is_named_and_no_error() {
    let world = World::new();
    let left = leftovers(&world);
    let place = world.bed.place.fork();
    for (name, bytes) in &left {
        place.put(name, bytes).unwrap();
    }
    let summary = check_all(&world.open(&place, ""));
    assert_eq!(findings(&summary), [""; 0]);
    let unreferenced: BTreeSet<&String> = summary.unreferenced.iter().collect();
    assert_eq!(unreferenced, left.keys().collect());
}

#[test]
fn what_no_run_leaves_is_found_and_named() {
    let world = World::new();
    let objects = world.bed.place.objects();
    let mut seen = BTreeSet::new();
    for (object, bytes) in &objects {
        let Some((kind, id)) = ObjectKind::parse(object) else {
            continue;
        };
        if !seen.insert(kind) {
            continue;
        }
        // A copy under a name that its content does not have.
        let copy = kind.name(&id.map(|byte| !byte));
        let place = world.bed.place.fork();
        place.put(&copy, bytes).unwrap();
        let by = match kind {
            ObjectKind::Data | ObjectKind::Meta => By::ReadData,
            _ => By::Plain,
        };
        assert_eq!(world.finds(&place, &copy, "copy"), by);
    }
    let other = [
        "readme",
        "data/x",
        "log/0/closed",
        "log/9/open",
        "checkpoints/7",
        "checkpoints/99",
        "checkpoints/3200",
        "snapshots/ab",
        "log/0/0",
        "log/0/99",
        "log/3/7",
        "writers/abc",
        "writers/0123456789abcdef0123456789abcdef",
        "unknown/thing",
    ];
    for object in other {
        let place = world.bed.place.fork();
        place.put(object, &objects["checkpoints/16"]).unwrap();
        let lines = world.check(&place, object, false);
        let named = |line: &String| line.contains(object) || line.contains("entries up to 99");
        assert!(lines.iter().any(named), "{object}: {lines:?}");
        let summary = check_with(&world.open(&place, object), false).unwrap();
        let of_log = object.starts_with("log/") && object != "log/0/0";
        let mut harms = summary.findings.iter().map(|finding| finding.harm);
        assert!(
            of_log || harms.all(|harm| harm == crate::ops::Harm::None),
            "{object}: {lines:?}"
        );
    }
    // The next entry, but nobody's.
    let place = world.bed.place.fork();
    let next = world.open(&place, "").state().tail().number + 1;
    place.put(&name::entry(next), b"nothing").unwrap();
    assert_eq!(world.finds(&place, &name::entry(next), "forged"), By::Plain);
}

#[test]
fn a_pack_that_lies_in_both_folders_is_one_too_many_and_no_loss() {
    let world = World::new();
    for (object, bytes) in world.bed.place.objects() {
        let (kind, id) = match ObjectKind::parse(&object) {
            Some((ObjectKind::Data, id)) => (ObjectKind::Meta, id),
            Some((ObjectKind::Meta, id)) => (ObjectKind::Data, id),
            _ => continue,
        };
        let place = world.bed.place.fork();
        place.put(&kind.name(&id), &bytes).unwrap();
        let summary = check_all(&world.open(&place, ""));
        let surplus = format!(
            "object {}: damaged: lies in the wrong folder",
            kind.name(&id)
        );
        assert_eq!(findings(&summary), [surplus]);
        assert_eq!(summary.findings[0].harm, crate::ops::Harm::None);
        // Moved, it is missing where it belongs.
        place.remove(&object);
        assert_eq!(world.finds(&place, &object, "moved"), By::Plain);
    }
}

/// The paths of one snapshot that a restore of a damaged place does not give; none at all if it gives nothing.
fn lost_paths(
    world: &World,
    repo: &Repo,
    id: &SnapshotId,
    tree: &Tree,
) -> Option<BTreeSet<PathBuf>> {
    let restored = world.bed.restore(repo, id).ok()?;
    let mut lost = BTreeSet::new();
    for (path, wanted) in tree {
        match restored.tree.get(path) {
            Some(there) if there == wanted => {}
            // Nothing is given that is not right.
            Some(there) => panic!("{} is {} bytes", path.display(), there.2.len()),
            None => drop(lost.insert(path.clone())),
        }
    }
    assert_eq!(lost.is_empty(), restored.problems.is_empty());
    assert_eq!(restored.summary.problems, restored.problems.len() as u64);
    for path in &lost {
        let named = |above: &std::path::Path| {
            let end = format!("{}: ", above.display());
            restored.problems.iter().any(|line| line.contains(&end))
        };
        assert!(
            path.ancestors().any(named),
            "{path:?} in {:?}",
            restored.problems
        );
    }
    Some(lost)
}

/// A check names exactly the files that a restore cannot give, and nothing else is lost.
fn assert_names_what_is_lost(world: &World, place: &MemoryBackend, object: &str) {
    let repo = world.open(place, object);
    let summary = check_all(&repo);
    let affected = summary.findings.iter().flat_map(|finding| {
        assert!(finding.affected_more == 0);
        &finding.affected
    });
    let mut named: BTreeMap<SnapshotId, BTreeSet<PathBuf>> = BTreeMap::new();
    for (snapshot, path) in affected {
        named.entry(*snapshot).or_default().insert(path.clone());
    }
    // Those in between hold nothing that these two do not.
    let (first, last) = (&world.snapshots[0], &world.snapshots[3]);
    for (id, tree) in [first, last] {
        let named = named.remove(id).unwrap_or_default();
        let Some(lost) = lost_paths(world, &repo, id, tree) else {
            let source = world.bed.source();
            let above = named.iter().any(|path| source.starts_with(path));
            assert!(above, "{object}: {named:?}");
            continue;
        };
        let lost: BTreeSet<PathBuf> = lost
            .iter()
            .map(|path| world.bed.source().join(path))
            .collect();
        let is_named = |path: &&PathBuf| path.ancestors().any(|above| named.contains(above));
        let silent: Vec<_> = lost.iter().filter(|path| !is_named(path)).collect();
        assert!(
            silent.is_empty(),
            "{object}: lost and not named: {silent:?}"
        );
        let is_lost = |path: &PathBuf| lost.iter().any(|lost| lost.starts_with(path));
        let wrong: Vec<_> = named.iter().filter(|path| !is_lost(path)).collect();
        assert!(wrong.is_empty(), "{object}: named and not lost: {wrong:?}");
    }
}

#[test]
fn damage_costs_the_files_in_it_and_a_check_names_just_those() {
    let world = World::new();
    let packs = world.bed.place.objects().into_iter();
    let packs = packs.filter(|(name, _)| name.starts_with("data/") || name.starts_with("meta/"));
    for (object, _) in packs {
        let removed = world.bed.place.fork();
        removed.remove(&object);
        assert_names_what_is_lost(&world, &removed, &object);
        for part in [5, 2] {
            let place = changed(&world, &object, |bytes| {
                let position = bytes.len() / part;
                bytes[position] ^= 1;
            });
            assert_names_what_is_lost(&world, &place, &object);
        }
        let place = changed(&world, &object, |bytes| bytes.truncate(bytes.len() / 2));
        let lines = world.check(&place, &object, true);
        assert!(
            lines.iter().any(|line| line.contains(&shown(&object))),
            "{lines:?}"
        );
    }
}

#[test]
fn a_lost_index_table_costs_what_only_it_names() {
    let world = World::new();
    for object in names(&world.bed.place, "index") {
        let place = world.bed.place.fork();
        place.remove(&object);
        assert_names_what_is_lost(&world, &place, &object);
    }
}
