//! Gives the kernel the short files that come after one that was read.
//!
//! Who reads a tree in order, as `tar` and `grep -r` do, asks for each file by itself, and with short files the question costs more than
//! the answer. What comes next goes into the kernel's cache while he is at work, so that he need not ask.

use crate::inodes::{Inodes, Known};
use fuser::{INodeNo, Notifier};
use repo_core::format::tree::Content;
use repo_core::repo::lock;
use repo_core::vfs::{Facts, Listed, Object, Reader, Spot, View};
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// Longer files are asked for in several questions anyway.
const FILE_BYTES_MAX: u64 = 128 << 10;

/// So much is given at a time, and so many entries are looked at for that.
const BYTES_MAX: usize = 512 << 10;
const STEPS_MAX: usize = 2048;

/// So many of the files that are left to a reader are ahead of him, with all that is given between them.
const MARKS_MAX: usize = 4;

/// Of so many files it is known that they were given, or are left to a reader.
const GIVEN_MAX: usize = 8192;

/// So many readers are followed.
const STREAMS_MAX: usize = 8;

/// So many files are left to a reader who has caught up, so that he is not met at each of them.
const START: usize = 8;

/// So many places are remembered where somebody is expected.
const PLACES_MAX: usize = 64;

/// Who passes over more entries than that does not read in order.
const PASSED_MAX: u64 = 16;

/// A directory by its number, and from where a list of it goes on.
type Place = (u64, u64);

/// Somebody who reads in order.
///
/// What was given he does not ask for, so that nothing would be known of him: a file is left to him now and then, and when he asks for
/// that, he is given more. Long files are left to him anyway.
struct Stream {
    id: u64,
    /// The files that are left to him, in order.
    marks: VecDeque<Place>,
    /// What he was not given yet begins here.
    end: Place,
}

/// Where readers are.
#[derive(Default)]
struct Readers {
    /// Behind the file that was read last.
    last: Place,
    /// Where somebody who reads in order comes next; the newest are at the end.
    expected: VecDeque<Place>,
    /// Those who are given what comes next; the newest are at the end.
    streams: VecDeque<Stream>,
    streams_before: u64,
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

    /// The one to whom this file was left, who has now come there.
    fn met(&mut self, here: Place) -> Option<u64> {
        self.streams.iter_mut().find_map(|stream| {
            let mark = stream.marks.iter().position(|mark| *mark == here)?;
            stream.marks.drain(..=mark);
            Some(stream.id)
        })
    }

    /// Follows one more, who is given what begins here.
    fn follow(&mut self, end: Place) -> u64 {
        self.streams_before += 1;
        self.streams.push_back(Stream {
            id: self.streams_before,
            marks: VecDeque::new(),
            end,
        });
        if self.streams.len() > STREAMS_MAX {
            self.streams.pop_front();
        }
        self.streams_before
    }

    fn stream(&mut self, id: u64) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.id == id)
    }
}

/// For whom more is wished.
enum Wish {
    /// Somebody who has read this file, and is not followed yet.
    From(u64),
    /// One who is followed.
    On(u64),
}

/// What those who answer and the one who gives share.
pub struct Siblings {
    view: Arc<View>,
    inodes: Arc<Inodes>,
    readers: Mutex<Readers>,
    wishes: SyncSender<Wish>,
}

/// Gives what is wished for, on a thread of its own: it waits for pages that the kernel waits for the answers about, so it must be none
/// of those that answer.
pub struct Giver {
    siblings: Arc<Siblings>,
    reader: Reader,
    wishes: Receiver<Wish>,
}

/// The files that were given last, or are left to a reader: the kernel has them, or asks for them.
#[derive(Default)]
struct Given {
    order: VecDeque<u64>,
    numbers: HashSet<u64>,
}

impl Given {
    fn contains(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }

    fn add(&mut self, number: u64) {
        if self.numbers.insert(number) {
            self.order.push_back(number);
        }
        if self.order.len() > GIVEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
    }
}

/// How a directory was left.
enum Left {
    /// All of it was seen.
    Up,
    /// Here is one that lies in it.
    Into(u64),
    /// Enough was given: the file here is left to the reader.
    Mark(Place),
    /// The kernel does not know what is here, or nothing was found for long.
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
        let met = readers.met(here);
        let was_expected = met.is_none() && readers.was_expected(here);
        readers.expect(next);
        drop(readers);
        let wish = match met {
            Some(id) => Wish::On(id),
            None if was_expected || self.is_first(here) => Wish::From(number),
            None => return,
        };
        let _ = self.wishes.try_send(wish);
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
            let given = RefCell::default();
            while let Ok(wish) = wishes.recv() {
                if let Some(siblings) = shared.upgrade() {
                    let giving = Giving {
                        siblings: &siblings,
                        reader: &reader,
                        notifier: &notifier,
                        given: &given,
                    };
                    giving.grant(wish);
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
    given: &'a RefCell<Given>,
}

impl Giving<'_> {
    /// Gives somebody what comes next in the order of a walk, until he has enough. Nothing that fails here is told: whoever reads it meets
    /// it again.
    fn grant(&self, wish: Wish) {
        let readers = &self.siblings.readers;
        let id = match wish {
            Wish::On(id) => id,
            Wish::From(number) => match self.behind(number) {
                Some(end) => lock(readers).follow(end),
                None => return,
            },
        };
        let not_enough = |stream: &&mut Stream| stream.marks.len() < MARKS_MAX;
        loop {
            let stream = lock(readers)
                .stream(id)
                .filter(not_enough)
                .map(|stream| stream.end);
            let Some(mut here) = stream else {
                return;
            };
            let mark = self.along(&mut here);
            let mut readers = lock(readers);
            let Some(stream) = readers.stream(id) else {
                return;
            };
            stream.end = here;
            match mark {
                Some(mark) => stream.marks.push_back(mark),
                None => {
                    readers.streams.retain(|stream| stream.id != id);
                    return readers.expect(here);
                }
            }
        }
    }

    /// What comes behind something that has a number.
    fn behind(&self, number: u64) -> Option<Place> {
        let known = self.siblings.inodes.get(number)?;
        match &known.object {
            Object::Node(spot) => Some((known.parent, place(spot) + 1)),
            _ => None,
        }
    }

    /// Gives some of what stands here and behind, and moves there. Gives the file that is left to the reader, if there is one.
    fn along(&self, here: &mut Place) -> Option<Place> {
        let mut budget = Budget {
            bytes: BYTES_MAX,
            steps: STEPS_MAX,
            skip: 0,
        };
        loop {
            let directory = self.siblings.inodes.get(here.0)?;
            match self.below(here, &directory, &mut budget) {
                Left::Stop => return None,
                Left::Mark(mark) => return Some(mark),
                Left::Into(child) => *here = (child, 0),
                Left::Up => *here = self.behind(here.0)?,
            }
        }
    }

    /// Gives what stands in a directory from here on.
    fn below(&self, here: &mut Place, directory: &Known, budget: &mut Budget) -> Left {
        let (of, mut next) = *here;
        let mut left = Left::Up;
        let view = &self.siblings.view;
        let listed = view.list(&directory.object, next, &mut |listed| {
            let (at, is_dir) = (listed.next - 1, is_dir(&listed));
            budget.steps = budget.steps.saturating_sub(1);
            let long = match size(&listed) {
                Some(size) => size > FILE_BYTES_MAX,
                None if is_dir => false,
                None => {
                    next = listed.next;
                    return budget.steps > 0;
                }
            };
            let entry = (of, directory);
            let inodes = &self.siblings.inodes;
            let number = inodes.known(entry, listed.name, &listed.object, &listed.facts);
            left = match number {
                Some(number) if is_dir => Left::Into(number),
                Some(number) if !long && self.given.borrow().contains(number) => Left::Up,
                Some(number) if long || budget.bytes == 0 => {
                    self.given.borrow_mut().add(number);
                    next = listed.next;
                    Left::Mark((of, at))
                }
                Some(number) if self.gives(number, (of, at), &listed.facts, budget) => Left::Up,
                _ => Left::Stop,
            };
            if matches!(left, Left::Up) {
                next = listed.next;
            }
            matches!(left, Left::Up) && budget.steps > 0
        });
        *here = (of, next);
        match (listed, &left) {
            (Ok(()), Left::Mark(_)) => left,
            (Ok(()), _) if budget.steps > 0 => left,
            _ => Left::Stop,
        }
    }

    /// Gives one file, unless somebody who reads has come here meanwhile: then he gets a start. False if it cannot be given.
    fn gives(&self, number: u64, (of, at): Place, facts: &Facts, budget: &mut Budget) -> bool {
        let (directory, last) = lock(&self.siblings.readers).last;
        if directory == of && last >= at {
            budget.skip = START;
        }
        if budget.skip > 0 {
            budget.skip -= 1;
            return true;
        }
        let Facts::Node(node) = facts else {
            return false;
        };
        let Content::File(file) = &node.content else {
            return false;
        };
        budget.bytes = budget.bytes.saturating_sub(file.size as usize);
        let spots = || [vec![node.spot], self.siblings.inodes.spots(of)].concat();
        let store = |bytes: &[u8]| self.notifier.store(INodeNo(number), 0, bytes).is_ok();
        // What is in many pieces, or has holes, is left to the reader, as is what cannot be read.
        self.given.borrow_mut().add(number);
        let given = self.reader.whole(file, &spots, store);
        given.is_ok_and(|stored| stored.unwrap_or(true))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_to_a_mark_is_given_more() {
        let mut readers = Readers::default();
        let id = readers.follow((1, 0));
        let marks = [(1, 10), (1, 20), (2, 5)];
        readers.stream(id).unwrap().marks.extend(marks);
        assert_eq!(readers.met((1, 11)), None, "it was given");
        assert_eq!(readers.met((1, 20)), Some(id));
        assert_eq!(readers.stream(id).unwrap().marks, [(2, 5)]);
        assert_eq!(readers.met((1, 10)), None, "he is past it");
        for _ in 0..STREAMS_MAX {
            readers.follow((3, 0));
        }
        assert!(readers.stream(id).is_none());
    }

    #[test]
    fn what_was_given_is_known_for_a_while() {
        let mut given = Given::default();
        given.add(0);
        for number in 1..GIVEN_MAX as u64 {
            given.add(number);
            given.add(number);
        }
        assert!(given.contains(0));
        given.add(u64::MAX);
        assert!(!given.contains(0) && given.contains(1));
    }
}
