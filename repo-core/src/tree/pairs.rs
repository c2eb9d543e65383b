//! Two directories side by side, without what they share.

use super::read::{TreeReader, bad, check_names, load_blob};
use crate::error::Result;
use crate::format::tree::{HEIGHT_MAX, Node, Tree};
use crate::id::BlobId;
use std::cmp::Ordering;

/// The entries of two directories, by name; what pages with the same id hold is passed over, and such pages are not read.
///
/// Pages of a large directory end where names say so, and not where neighbours do, so that pages without a change have the
/// same id in both. Memory: the pages of one branch a level, and one leaf, of each.
pub struct Pairs {
    sides: [Side; 2],
}

/// One of the directories.
#[derive(Default)]
struct Side {
    /// What comes, the next last.
    ahead: Vec<Item>,
    last: Option<Vec<u8>>,
    /// The pages that were read.
    read: Vec<BlobId>,
}

enum Item {
    /// A page, and how high it may be.
    Page(BlobId, u8),
    Node(Box<Node>),
}

/// What is next in a directory.
enum Head {
    Page(BlobId, u8),
    Name(Vec<u8>),
    End,
}

impl Pairs {
    /// Two directories, or one and nothing. Nothing is read yet.
    pub fn new(left: Option<BlobId>, right: Option<BlobId>) -> Self {
        let side = |tree: Option<BlobId>| Side {
            ahead: tree
                .map(|id| Item::Page(id, HEIGHT_MAX))
                .into_iter()
                .collect(),
            ..Side::default()
        };
        Self {
            sides: [side(left), side(right)],
        }
    }

    /// The next name, with what has it on each side; `None` at the end.
    pub fn next(&mut self, reader: &dyn TreeReader) -> Result<Option<[Option<Node>; 2]>> {
        loop {
            match [self.sides[0].head(), self.sides[1].head()] {
                [Head::Page(left, _), Head::Page(right, _)] if left == right => {
                    self.sides
                        .iter_mut()
                        .for_each(|side| drop(side.ahead.pop()));
                }
                // The higher one first: what the lower one is may be among its pages.
                [Head::Page(_, left), Head::Page(_, right)] => {
                    if left >= right {
                        self.sides[0].open(reader)?;
                    }
                    if right >= left {
                        self.sides[1].open(reader)?;
                    }
                }
                [Head::Page(..), _] => self.sides[0].open(reader)?,
                [_, Head::Page(..)] => self.sides[1].open(reader)?,
                [Head::Name(left), Head::Name(right)] => {
                    let order = left.cmp(&right);
                    let left = self.sides[0].take(order != Ordering::Greater);
                    let right = self.sides[1].take(order != Ordering::Less);
                    return Ok(Some([left, right]));
                }
                [Head::Name(_), Head::End] => return Ok(Some([self.sides[0].take(true), None])),
                [Head::End, Head::Name(_)] => return Ok(Some([None, self.sides[1].take(true)])),
                [Head::End, Head::End] => return Ok(None),
            }
        }
    }

    /// The tree blobs that were read so far, of each side.
    pub fn read(&self) -> [&[BlobId]; 2] {
        [&self.sides[0].read, &self.sides[1].read]
    }
}

impl Side {
    fn head(&self) -> Head {
        match self.ahead.last() {
            Some(Item::Page(id, height)) => Head::Page(*id, *height),
            Some(Item::Node(node)) => Head::Name(node.name.clone()),
            None => Head::End,
        }
    }

    /// The next node, if it is meant.
    fn take(&mut self, meant: bool) -> Option<Node> {
        match self
            .ahead
            .pop_if(|item| meant && matches!(item, Item::Node(_)))
        {
            Some(Item::Node(node)) => Some(*node),
            _ => None,
        }
    }

    /// Puts what a page holds in its place.
    fn open(&mut self, reader: &dyn TreeReader) -> Result<()> {
        let Some(Item::Page(id, height_max)) = self.ahead.pop() else {
            return Ok(());
        };
        self.read.push(id);
        match load_blob(reader, &id)? {
            Tree::Leaf(leaf) => {
                check_names(&id, &mut self.last, &leaf.nodes)?;
                let nodes = leaf.nodes.into_iter().rev();
                self.ahead
                    .extend(nodes.map(|node| Item::Node(Box::new(node))));
                Ok(())
            }
            Tree::Branch(branch) if branch.height == 0 || branch.height > height_max => {
                Err(bad(&id, "pages are nested too deep"))
            }
            Tree::Branch(branch) => {
                let pages = branch.pages.iter().rev();
                let height = branch.height - 1;
                self.ahead
                    .extend(pages.map(|page| Item::Page(page.id, height)));
                Ok(())
            }
            Tree::Chunks(_) => Err(bad(&id, "a list of chunks where a directory must be")),
        }
    }
}
