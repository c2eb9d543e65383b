//! The patterns of a list, as a tree of what they have in common at their beginning.

use super::Reached;
use super::names::Names;
use super::parse::Pattern;
use super::part::Part;
use crate::error::Result;
use std::collections::HashMap;

/// Where patterns that begin at any directory begin: always reached.
const ANYWHERE: u32 = 0;

/// Where patterns that begin with `/` begin.
const ROOT: u32 = 1;

/// The tree. A walk is at several of its nodes at once.
#[derive(Debug)]
pub(super) struct Tree {
    names: Names,
    nodes: Vec<Node>,
    /// Which node follows a node by a component.
    edges: HashMap<(u32, u32), u32>,
}

/// The last pattern of each sort, by its number in the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Last {
    pub plain: Option<u32>,
    /// Of those that begin with `!`.
    pub negated: Option<u32>,
}

impl Last {
    fn raise(&mut self, other: Self) {
        self.plain = self.plain.max(other.plain);
        self.negated = self.negated.max(other.negated);
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// A place in patterns.
#[derive(Debug, Clone, Default)]
struct Node {
    /// Behind a `**`: stays reached at every name.
    deep: bool,
    /// Where a `**` leads from here.
    after_deep: Option<u32>,
    /// The patterns that end here.
    ends: Last,
    /// Those that go on.
    ahead: Last,
}

impl Tree {
    /// Without patterns.
    pub(super) fn new() -> Self {
        Self {
            names: Names::default(),
            nodes: vec![Node::default(); 2],
            edges: HashMap::new(),
        }
    }

    /// Adds a pattern by its number in the list.
    pub(super) fn add(&mut self, number: u32, pattern: Pattern) {
        let mine = match pattern.negated {
            true => Last {
                negated: Some(number),
                ..Last::default()
            },
            false => Last {
                plain: Some(number),
                ..Last::default()
            },
        };
        let mut at = match pattern.anchored {
            true => ROOT,
            false => ANYWHERE,
        };
        for (text, part) in pattern.parts {
            self.nodes[at as usize].ahead.raise(mine);
            at = match part {
                Part::Deep if self.nodes[at as usize].deep => at,
                Part::Deep => match self.nodes[at as usize].after_deep {
                    Some(deep) => deep,
                    None => {
                        let deep = self.push(true);
                        self.nodes[at as usize].after_deep = Some(deep);
                        deep
                    }
                },
                part => {
                    let part = self.names.add(text, part);
                    match self.edges.get(&(at, part)) {
                        Some(next) => *next,
                        None => {
                            let next = self.push(false);
                            self.edges.insert((at, part), next);
                            next
                        }
                    }
                }
            };
        }
        let last = &mut self.nodes[at as usize];
        last.ends.raise(mine);
        // A `**` at the end goes on to match below.
        if last.deep {
            last.ahead.raise(mine);
        }
    }

    fn push(&mut self, deep: bool) -> u32 {
        let number = self.nodes.len() as u32;
        self.nodes.push(Node {
            deep,
            ..Node::default()
        });
        number
    }

    /// Makes ready to be followed.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.names.finish()
    }

    /// Whether nothing can ever match.
    pub(super) fn is_empty(&self) -> bool {
        let none = |node: &Node| node.ahead.plain.max(node.ends.plain).is_none();
        [ANYWHERE, ROOT]
            .iter()
            .all(|node| none(&self.nodes[*node as usize]))
    }

    /// Where a path begins that is not absolute.
    pub(super) fn anywhere(&self) -> Reached {
        self.reached(Reached::default())
    }

    /// Where an absolute path begins.
    pub(super) fn root(&self) -> Reached {
        let mut reached = Reached::default();
        self.arrive(ROOT, &mut reached);
        self.reached(reached)
    }

    /// Where `name` leads from `above`.
    pub(super) fn enter(&self, above: &Reached, name: &[u8]) -> Reached {
        let mut below = Reached {
            matched: above.matched,
            ..Reached::default()
        };
        for node in &above.nodes {
            if self.nodes[*node as usize].deep {
                self.arrive(*node, &mut below);
            }
        }
        self.names.find(name, |part| {
            for node in above.nodes.iter().chain(&[ANYWHERE]) {
                if let Some(next) = self.edges.get(&(*node, part)) {
                    self.arrive(*next, &mut below);
                }
            }
        });
        if below.nodes.len() > 1 {
            below.nodes.sort_unstable();
            below.nodes.dedup();
        }
        self.reached(below)
    }

    /// Arrives at a node, and at what a `**` of length nothing leads to.
    fn arrive(&self, node: u32, reached: &mut Reached) {
        let at = &self.nodes[node as usize];
        reached.matched.raise(at.ends);
        if !at.ahead.is_none() {
            reached.nodes.push(node);
        }
        if let Some(deep) = at.after_deep {
            self.arrive(deep, reached);
        }
    }

    /// Sums up what is ahead of the nodes.
    fn reached(&self, mut reached: Reached) -> Reached {
        reached.ahead = self.nodes[ANYWHERE as usize].ahead;
        for node in &reached.nodes {
            reached.ahead.raise(self.nodes[*node as usize].ahead);
        }
        reached
    }
}
