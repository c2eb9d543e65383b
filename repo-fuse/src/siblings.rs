//! Gives the kernel the short files that stand behind one that was read.
//!
//! Who reads a tree in order, as `tar`, `cp` and `grep -r` do, asks for each file by itself, and with short files the question costs more
//! than the answer. What comes next in the same directory goes into the kernel's cache before the answer, as far as its blocks are open.

use crate::inodes::Known;
use crate::shown::Mount;
use fuser::{INodeNo, Notifier};
use repo_core::format::tree::Content;
use repo_core::vfs::{Facts, Listed, Object, Reading, Spot};
use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};

/// Longer files are asked for in several questions anyway.
const FILE_BYTES_MAX: u64 = 128 << 10;

/// So many files, and bytes, are given at a time: the answer waits for them.
const FILES_MAX: usize = 64;
const BYTES_MAX: usize = 512 << 10;

/// So many directories are remembered.
const DIRECTORIES_MAX: usize = 8;

/// Who passes over more entries than that does not read in order.
const PASSED_MAX: u64 = 16;

/// Who reads which directories in order.
///
/// One thread at a time gives. It waits for pages that the kernel waits for an answer about, so another has to be there to answer: with one
/// thread alone nothing is given.
pub struct Siblings {
    notifier: OnceLock<Notifier>,
    /// Directories by number, and from where a list of what was not read yet goes on; the last is the newest.
    reads: Mutex<VecDeque<(u64, u64)>>,
}

impl Siblings {
    pub fn new() -> Self {
        Self {
            notifier: OnceLock::new(),
            reads: Mutex::default(),
        }
    }

    /// Begins.
    pub fn start(&self, notifier: Notifier) {
        let _ = self.notifier.set(notifier);
    }
}

/// What stands at a spot, as lists count.
fn place(spot: &Spot) -> u64 {
    u64::from(spot.page) << 32 | u64::from(spot.at)
}

impl Mount {
    /// Gives the kernel what follows a file in its directory, if that is read in order. Nothing that fails here is told: whoever reads it
    /// meets it again.
    pub(crate) fn give_siblings(&self, number: INodeNo) {
        let (Some(notifier), Ok(mut reads)) =
            (self.siblings.notifier.get(), self.siblings.reads.try_lock())
        else {
            return;
        };
        let Some(known) = self.inodes.get(number.0) else {
            return;
        };
        let (Object::Node(spot), Some(directory)) = (&known.object, self.inodes.get(known.parent))
        else {
            return;
        };
        let here = place(spot);
        let found = reads.iter().position(|(read, _)| *read == known.parent);
        let expected = found.and_then(|at| reads.remove(at)).map(|(_, next)| next);
        let in_order = match expected {
            Some(next) => here.checked_sub(next).is_some_and(|n| n <= PASSED_MAX),
            None => self.is_first(&directory, here),
        };
        let next = match in_order {
            true => self.give_from(notifier, number.0, (known.parent, &directory), here + 1),
            false => here + 1,
        };
        reads.push_back((known.parent, next));
        if reads.len() > DIRECTORIES_MAX {
            reads.pop_front();
        }
    }

    /// Whether no file stands before this place.
    fn is_first(&self, directory: &Known, here: u64) -> bool {
        let mut is_first = here <= PASSED_MAX;
        let listed = self.view.list(&directory.object, 0, &mut |listed| {
            let is_before = listed.next <= here;
            is_first &= !(is_before && is_file(&listed));
            is_before && is_first
        });
        is_first && listed.is_ok()
    }

    /// Gives what stands at `from` and behind, but for the file that is read itself, whose pages are locked. Gives where to go on.
    fn give_from(
        &self,
        notifier: &Notifier,
        read: u64,
        (parent, directory): (u64, &Known),
        from: u64,
    ) -> u64 {
        let (mut next, mut files, mut bytes) = (from, 0, 0);
        let above = || self.spots(parent);
        let _ = self.view.list(&directory.object, from, &mut |listed| {
            if !is_file(&listed) {
                next = listed.next;
                return true;
            }
            let (object, facts) = (&listed.object, &listed.facts);
            let entry = (parent, directory);
            let number = self.inodes.known(entry, listed.name, object, facts);
            let Some(number) = number.filter(|number| *number != read) else {
                return false;
            };
            match self.at_hand(facts, &above) {
                Some(content) if notifier.store(INodeNo(number), 0, &content).is_ok() => {
                    bytes += content.len();
                    files += 1;
                    next = listed.next;
                    files < FILES_MAX && bytes < BYTES_MAX
                }
                _ => false,
            }
        });
        next
    }

    /// What a short file holds, if nothing has to be fetched for that.
    fn at_hand(&self, facts: &Facts, above: &dyn Fn() -> Vec<Spot>) -> Option<Vec<u8>> {
        let Facts::Node(node) = facts else {
            return None;
        };
        let Content::File(file) = &node.content else {
            return None;
        };
        if file.size > FILE_BYTES_MAX {
            return None;
        }
        let map = self.reader.map(&node.spot, file).ok()?;
        let spots = || [vec![node.spot], above()].concat();
        self.reader.at_hand(&Reading {
            map: &map,
            spots: &spots,
        })
    }
}

fn is_file(listed: &Listed<'_>) -> bool {
    match &listed.facts {
        Facts::Node(node) => matches!(&node.content, Content::File(file) if file.size > 0),
        Facts::Plain(_) => false,
    }
}
