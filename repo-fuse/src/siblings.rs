//! Gives the kernel the short files that come after one that was read.
//!
//! Who reads a tree in order, as `tar` and `grep -r` do, asks for each file by itself, and with short files the question costs more than
//! the answer. What comes next goes into the kernel's cache while he is at work, so that he need not ask.

use crate::inodes::{Inodes, Known};
use fuser::{INodeNo, Notifier};
use repo_core::format::tree::Content;
use repo_core::repo::lock;
use repo_core::vfs::{Facts, Listed, Object, Reader, Reading, Spot, View};
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// Longer files are asked for in several questions anyway.
const FILE_BYTES_MAX: u64 = 128 << 10;

/// So much is given ahead of a reader, and so many entries are looked at for that.
const BYTES_MAX: usize = 4 << 20;
const STEPS_MAX: usize = 2048;

/// So many files are left to a reader who has caught up, so that he is not met at each of them.
const START: usize = 8;

/// So many places are remembered where somebody is expected.
const PLACES_MAX: usize = 64;

/// Who passes over more entries than that does not read in order.
const PASSED_MAX: u64 = 16;

/// A directory by its number, and from where a list of it goes on.
type Place = (u64, u64);

/// Where readers are.
#[derive(Default)]
struct Readers {
    /// Behind the file that was read last.
    last: Place,
    /// Where somebody who reads in order comes next; the newest are at the end.
    expected: VecDeque<Place>,
}

impl Readers {
    fn expect(&mut self, place: Place) {
        self.expected.push_back(place);
        if self.expected.len() > PLACES_MAX {
            self.expected.pop_front();
        }
    }

    /// Whether somebody was expected here, or a little before.
    fn was_expected(&mut self, (directory, here): Place) -> bool {
        let found = self.expected.iter().position(|(of, next)| {
            *of == directory && here.checked_sub(*next).is_some_and(|n| n <= PASSED_MAX)
        });
        found.and_then(|at| self.expected.remove(at)).is_some()
    }
}

/// What those who answer and the one who gives share.
pub struct Siblings {
    view: Arc<View>,
    inodes: Arc<Inodes>,
    readers: Mutex<Readers>,
    wishes: SyncSender<u64>,
}

/// Gives what is wished for, on a thread of its own: it waits for pages that the kernel waits for the answers about, so it must be none
/// of those that answer.
pub struct Giver {
    siblings: Arc<Siblings>,
    reader: Reader,
    wishes: Receiver<u64>,
}

/// How a directory was left.
enum Left {
    /// All of it was seen.
    Up,
    /// Here is one that lies in it.
    Into(u64),
    /// Enough was given, or the kernel does not know what is here.
    Stop,
}

/// What may still be given.
struct Budget {
    bytes: usize,
    steps: usize,
    skip: usize,
}

/// What stands at a spot, as lists count.
fn place(spot: &Spot) -> u64 {
    u64::from(spot.page) << 32 | u64::from(spot.at)
}

impl Siblings {
    /// Takes wishes; nothing is given before [`Giver::start`].
    pub fn new(view: Arc<View>, inodes: Arc<Inodes>, reader: Reader) -> (Arc<Self>, Giver) {
        // Who comes while the giver is at work does without.
        let (sender, wishes) = sync_channel(0);
        let siblings = Arc::new(Self {
            view,
            inodes,
            readers: Mutex::default(),
            wishes: sender,
        });
        let giver = Giver {
            siblings: siblings.clone(),
            reader,
            wishes,
        };
        (siblings, giver)
    }

    /// A file was read from its beginning: wishes for what comes next, if that is read in order.
    pub fn was_read(&self, number: u64) {
        let Some(known) = self.inodes.get(number) else {
            return;
        };
        let Object::Node(spot) = &known.object else {
            return;
        };
        let here = (known.parent, place(spot));
        let next = (known.parent, here.1 + 1);
        let mut readers = lock(&self.readers);
        readers.last = next;
        let was_expected = readers.was_expected(here);
        readers.expect(next);
        drop(readers);
        if was_expected || self.is_first(here) {
            let _ = self.wishes.try_send(number);
        }
    }

    /// Whether no file stands before this place.
    fn is_first(&self, (directory, here): Place) -> bool {
        let mut is_first = here <= PASSED_MAX;
        let Some(known) = self.inodes.get(directory).filter(|_| is_first) else {
            return false;
        };
        let listed = self.view.list(&known.object, 0, &mut |listed| {
            let is_before = listed.next <= here;
            is_first &= !(is_before && size(&listed).is_some());
            is_before && is_first
        });
        is_first && listed.is_ok()
    }
}

impl Giver {
    /// Begins; ends when it is the last that knows of the wishes.
    pub fn start(self, notifier: Notifier) -> io::Result<()> {
        let named = std::thread::Builder::new().name("mount.siblings".into());
        let Self {
            siblings,
            reader,
            wishes,
        } = self;
        let shared = Arc::downgrade(&siblings);
        drop(siblings);
        named.spawn(move || {
            while let Ok(number) = wishes.recv() {
                if let Some(siblings) = shared.upgrade() {
                    let giving = Giving {
                        siblings: &siblings,
                        reader: &reader,
                        notifier: &notifier,
                    };
                    giving.along(number);
                }
            }
        })?;
        Ok(())
    }
}

struct Giving<'a> {
    siblings: &'a Siblings,
    reader: &'a Reader,
    notifier: &'a Notifier,
}

impl Giving<'_> {
    /// Gives what comes after a file in the order of a walk. Nothing that fails here is told: whoever reads it meets it again.
    fn along(&self, number: u64) {
        let inodes = &self.siblings.inodes;
        let behind = |known: &Known| match &known.object {
            Object::Node(spot) => Some((known.parent, place(spot) + 1)),
            _ => None,
        };
        let Some(mut here) = inodes.get(number).as_ref().and_then(behind) else {
            return;
        };
        let mut budget = Budget {
            bytes: BYTES_MAX,
            steps: STEPS_MAX,
            skip: 0,
        };
        while let Some(directory) = inodes.get(here.0) {
            match self.below(&mut here, &directory, &mut budget) {
                Left::Stop => break,
                Left::Into(child) => here = (child, 0),
                Left::Up => match behind(&directory) {
                    Some(next) => here = next,
                    None => break,
                },
            }
        }
        lock(&self.siblings.readers).expect(here);
    }

    /// Gives what stands in a directory from here on.
    fn below(&self, here: &mut Place, directory: &Known, budget: &mut Budget) -> Left {
        let (of, mut next) = *here;
        let mut left = Left::Up;
        let listed = self
            .siblings
            .view
            .list(&directory.object, next, &mut |listed| {
                let (at, is_dir) = (next, is_dir(&listed));
                budget.steps = budget.steps.saturating_sub(1);
                let size = size(&listed).filter(|size| *size <= FILE_BYTES_MAX);
                if size.is_none() && !is_dir {
                    next = listed.next;
                    return budget.steps > 0;
                }
                let entry = (of, directory);
                let known = &self.siblings.inodes;
                let number = known.known(entry, listed.name, &listed.object, &listed.facts);
                left = match number {
                    Some(number) if is_dir => Left::Into(number),
                    Some(number) if self.gives(number, (of, at), &listed.facts, budget) => Left::Up,
                    _ => Left::Stop,
                };
                if matches!(left, Left::Up) {
                    next = listed.next;
                }
                matches!(left, Left::Up)
            });
        *here = (of, next);
        match listed {
            Ok(()) if budget.steps > 0 => left,
            _ => Left::Stop,
        }
    }

    /// Gives one file, unless somebody who reads has come here meanwhile: then he gets a start. False if it is enough.
    fn gives(&self, number: u64, (of, at): Place, facts: &Facts, budget: &mut Budget) -> bool {
        let (directory, last) = lock(&self.siblings.readers).last;
        if directory == of && last >= at {
            budget.skip = START;
        }
        if budget.skip > 0 {
            budget.skip -= 1;
            return true;
        }
        let Some(content) = self.content(of, facts) else {
            return false;
        };
        budget.bytes = budget.bytes.saturating_sub(content.len());
        self.notifier.store(INodeNo(number), 0, &content).is_ok() && budget.bytes > 0
    }

    fn content(&self, directory: u64, facts: &Facts) -> Option<Vec<u8>> {
        let Facts::Node(node) = facts else {
            return None;
        };
        let Content::File(file) = &node.content else {
            return None;
        };
        let map = self.reader.map(&node.spot, file).ok()?;
        let spots = || {
            let above = self.siblings.inodes.spots(directory);
            [vec![node.spot], above].concat()
        };
        let reading = Reading {
            map: &map,
            spots: &spots,
        };
        let mut bytes = Vec::with_capacity(file.size as usize);
        let read = self.reader.read(&reading, 0, file.size, &mut bytes);
        read.ok().map(|_| bytes)
    }
}

/// How long a regular file is that is not empty.
fn size(listed: &Listed<'_>) -> Option<u64> {
    match &listed.facts {
        Facts::Node(node) => match &node.content {
            Content::File(file) => Some(file.size).filter(|size| *size > 0),
            _ => None,
        },
        Facts::Plain(_) => None,
    }
}

fn is_dir(listed: &Listed<'_>) -> bool {
    matches!(&listed.facts, Facts::Node(node) if node.content.tree().is_some())
}
