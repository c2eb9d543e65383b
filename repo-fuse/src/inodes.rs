//! Numbers for what the kernel knows, as long as it does.

use repo_core::repo::lock;
use repo_core::tree::file_key;
use repo_core::vfs::{Facts, Object, Spot};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};

/// The number of the root.
pub const ROOT: u64 = 1;

/// What has a number.
#[derive(Debug, Clone)]
pub struct Known {
    /// What it is.
    pub object: Object,
    /// The directory in which it was met.
    pub parent: u64,
    /// The snapshot that it belongs to.
    pub top: u64,
    /// Its name, unless its node says it.
    pub name: Option<Arc<[u8]>>,
    check: u64,
    lookups: u64,
}

/// What the kernel knows. Memory: some 150 bytes for each, until the kernel forgets it.
///
/// A number comes from where a thing stands, so that it is the same after it was forgotten, and in the next mount; names of one file
/// in one snapshot have one number. Numbers of other files are in the order of their directory: `cp` reads them in that of numbers.
pub struct Inodes(Mutex<HashMap<u64, Known>>);

impl Inodes {
    /// Knows the root.
    pub fn new(root: Object) -> Self {
        let known = Known {
            object: root,
            parent: ROOT,
            top: ROOT,
            name: None,
            check: 0,
            lookups: 1,
        };
        Self(Mutex::new(HashMap::from([(ROOT, known)])))
    }

    /// What has this number.
    pub fn get(&self, number: u64) -> Option<Known> {
        lock(&self.0).get(&number).cloned()
    }

    /// The spot of what has a number, and those of the directories above, up to that of a snapshot.
    pub fn spots(&self, mut number: u64) -> Vec<Spot> {
        let mut spots = Vec::new();
        while let Some(known) = self.get(number)
            && let Object::Node(spot) = known.object
        {
            spots.push(spot);
            number = known.parent;
        }
        spots
    }

    /// The number of what has this name in a directory of that number; the kernel hears of it once more.
    pub fn enter(
        &self,
        (parent, of): (u64, &Known),
        name: &[u8],
        object: Object,
        facts: &Facts,
    ) -> u64 {
        let (mut number, check) = identity((parent, of), name, &object, facts);
        let mut table = lock(&self.0);
        loop {
            match table.entry(number) {
                Entry::Occupied(mut known) if known.get().check == check => {
                    known.get_mut().lookups += 1;
                    return number;
                }
                // Another thing has the same hash.
                Entry::Occupied(_) => number = next(number, check),
                Entry::Vacant(free) => {
                    let is_top = matches!(object, Object::Snapshot(_)) || is_versions(of);
                    let has_name = matches!(object, Object::Node(_)) && !is_versions(of);
                    free.insert(Known {
                        object,
                        parent,
                        top: if is_top { number } else { of.top },
                        name: (!has_name).then(|| name.into()),
                        check,
                        lookups: 1,
                    });
                    return number;
                }
            }
        }
    }

    /// The number that [`Inodes::enter`] would give, for a list of names.
    pub fn number(
        &self,
        directory: (u64, &Known),
        name: &[u8],
        object: &Object,
        facts: &Facts,
    ) -> u64 {
        match self.sought(directory, name, object, facts) {
            Ok(number) | Err(number) => number,
        }
    }

    /// The number of what has this name in a directory of that number, if the kernel has heard of it.
    pub fn known(
        &self,
        directory: (u64, &Known),
        name: &[u8],
        object: &Object,
        facts: &Facts,
    ) -> Option<u64> {
        self.sought(directory, name, object, facts).ok()
    }

    /// The number that it has, or else the one that it would get.
    fn sought(
        &self,
        directory: (u64, &Known),
        name: &[u8],
        object: &Object,
        facts: &Facts,
    ) -> Result<u64, u64> {
        let (mut number, check) = identity(directory, name, object, facts);
        let table = lock(&self.0);
        loop {
            match table.get(&number) {
                Some(known) if known.check == check => return Ok(number),
                // Another thing has the same number.
                Some(_) => number = next(number, check),
                None => return Err(number),
            }
        }
    }

    /// The kernel takes back that it heard of a number so many times.
    pub fn forget(&self, number: u64, times: u64) {
        let mut table = lock(&self.0);
        if number == ROOT {
            return;
        }
        if let Entry::Occupied(mut known) = table.entry(number) {
            let left = known.get().lookups.saturating_sub(times);
            known.get_mut().lookups = left;
            if left == 0 {
                known.remove();
            }
        }
        // What was large once needs no room for ever.
        if table.capacity() > 1 << 16 && table.len() < table.capacity() / 8 {
            table.shrink_to_fit();
        }
    }
}

fn is_versions(known: &Known) -> bool {
    matches!(known.object, Object::Versions(_))
}

/// Where a thing looks on whose number another one has. Neighbours jump to different places.
fn next(number: u64, check: u64) -> u64 {
    plain(number.wrapping_add(check | 1))
}

/// A number that the kernel, and programs that count with a sign, take.
fn plain(number: u64) -> u64 {
    (number & (u64::MAX >> 1)).max(ROOT + 1)
}

/// The number of a file by its place in its directory. The upper bits are the directory's.
fn in_order(directory: u64, spot: &Spot) -> Option<u64> {
    let fits = spot.page >> PAGE_BITS == 0 && spot.at >> AT_BITS == 0;
    let upper = directory.wrapping_mul(SPREAD) >> (PAGE_BITS + AT_BITS);
    let place = u64::from(spot.page) << AT_BITS | u64::from(spot.at);
    fits.then_some(plain(upper << (PAGE_BITS + AT_BITS) | place))
}

/// So many pages of a directory, and files of a page, are numbered in order.
const PAGE_BITS: u32 = 9;
const AT_BITS: u32 = 15;

/// The golden ratio: what is multiplied by it is spread over the upper bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number of a thing, and what tells it from others that have the same.
fn identity(
    (parent, of): (u64, &Known),
    name: &[u8],
    object: &Object,
    facts: &Facts,
) -> (u64, u64) {
    let file = match facts {
        // A version stands for itself, whatever other names its file had.
        Facts::Node(node) if !is_versions(of) => file_key(node),
        _ => None,
    };
    let mut hasher = blake3::Hasher::new();
    match file {
        Some((device, inode, content)) => {
            hasher.update(b"file");
            hasher.update(&of.top.to_le_bytes());
            hasher.update(&device.to_le_bytes());
            hasher.update(&inode.to_le_bytes());
            hasher.update(&content);
        }
        None => {
            hasher.update(b"name");
            hasher.update(&parent.to_le_bytes());
            hasher.update(name);
            // What the name of a snapshot, a link or a version means may change.
            match object {
                Object::Snapshot(info) => drop(hasher.update(&info.id.0)),
                Object::Node(spot) if is_versions(of) => {
                    hasher.update(&spot.tree.0);
                    hasher.update(&spot.page.to_le_bytes());
                    hasher.update(&spot.at.to_le_bytes());
                }
                Object::Link(target) => drop(hasher.update(&[b"/", &target[..]].concat())),
                _ => {}
            }
        }
    }
    let hash = hasher.finalize();
    let (number, rest) = hash.as_bytes().split_at(8);
    let word = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte))
    };
    let ordered = match object {
        Object::Node(spot) if file.is_none() && !is_versions(of) => in_order(parent, spot),
        _ => None,
    };
    let number = ordered.unwrap_or_else(|| plain(word(number)));
    (number, word(&rest[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::fs::Kind;
    use repo_core::time::Timestamp;
    use repo_core::vfs::Plain;

    fn shelf(path: &[u8]) -> (Object, Facts) {
        let plain = Plain {
            kind: Kind::Dir,
            mode: 0o555,
            time: Timestamp::default(),
            owner: None,
            size: 0,
        };
        (Object::Shelf(path.into()), Facts::Plain(plain))
    }

    fn enter(inodes: &Inodes, name: &[u8]) -> u64 {
        let root = inodes.get(ROOT).unwrap();
        let (object, facts) = shelf(name);
        inodes.enter((ROOT, &root), name, object, &facts)
    }

    #[test]
    fn what_is_forgotten_as_often_as_it_was_heard_of_goes() {
        let inodes = Inodes::new(shelf(b"").0);
        let number = enter(&inodes, b"a");
        assert_eq!(enter(&inodes, b"a"), number);
        assert_ne!(enter(&inodes, b"b"), number);
        inodes.forget(number, 1);
        assert!(inodes.get(number).is_some());
        inodes.forget(number, 1);
        assert!(inodes.get(number).is_none());
        assert_eq!(enter(&inodes, b"a"), number, "the same again");
        inodes.forget(ROOT, 5);
        assert!(inodes.get(ROOT).is_some());
    }

    #[test]
    fn another_thing_of_the_same_hash_has_a_number_of_its_own() {
        let inodes = Inodes::new(shelf(b"").0);
        let number = enter(&inodes, b"a");
        lock(&inodes.0).get_mut(&number).unwrap().check ^= 1;
        let other = enter(&inodes, b"a");
        assert_ne!(other, number);
        assert_eq!(enter(&inodes, b"a"), other);
        let root = inodes.get(ROOT).unwrap();
        let (object, facts) = shelf(b"a");
        assert_eq!(inodes.number((ROOT, &root), b"a", &object, &facts), other);
    }

    #[test]
    fn numbers_of_files_are_in_the_order_of_their_directory() {
        let inodes = Inodes::new(shelf(b"").0);
        let root = inodes.get(ROOT).unwrap();
        let number = |page, at| {
            let spot = Spot {
                tree: repo_core::id::BlobId([1; 32]),
                page,
                at,
            };
            let (_, facts) = shelf(b"");
            let name = format!("{page}.{at}");
            inodes.enter((ROOT, &root), name.as_bytes(), Object::Node(spot), &facts)
        };
        let places = [(0, 0), (0, 1), (0, 9_000), (1, 0), (500, 7)];
        assert!(places.map(|(page, at)| number(page, at)).is_sorted());
        assert_ne!(number(512, 0), number(0, 0));
    }
}
