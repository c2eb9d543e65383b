//! Patterns: which paths a list of them means, in restic's sense.
//!
//! A pattern is a path whose components may be globs ([`part`]'s syntax). One that begins with `/` counts from the root,
//! any other from any directory on. It matches what it names and everything below that: `foo` matches `/a/foo` and
//! `/a/foo/b`, not `/a/foobar`. `**` stands for any number of directories, none too. A pattern that begins with `!` takes
//! back what earlier ones match, so that the last one that matches decides. Empty patterns mean nothing. Names are
//! bytes: what is not UTF-8 is compared as it is.
//!
//! A walk follows the list from name to name ([`List::root`], [`Reached::enter`]), at the cost of one look-up a name, and
//! learns at each directory what may still come below it.

mod names;
mod part;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use names::Names;
use part::{Part, Wrong, fits};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes of the longest pattern: what the system takes as a path.
const PATTERN_BYTES_MAX: usize = 4096;

/// Where patterns that begin at any directory begin: always reached.
const ANYWHERE: u32 = 0;

/// Where patterns that begin with `/` begin.
const ROOT: u32 = 1;

/// A list of patterns, ready to be matched. Clones share nothing; memory: about 300 bytes a component, a few KiB if it
/// is a glob.
#[derive(Debug, Clone)]
pub struct List {
    names: Names,
    /// The patterns, as a tree of what they have in common at their beginning.
    nodes: Vec<Node>,
    /// Which node follows a node by a component.
    edges: HashMap<(u32, u32), u32>,
    ignore_case: bool,
}

/// The last pattern of each sort, by its number in the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Last {
    plain: Option<u32>,
    /// Of those that begin with `!`.
    negated: Option<u32>,
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

/// How far a path leads into the patterns of a list.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    /// Which patterns matched the path, or something above it.
    matched: Last,
    /// Which patterns may match something below.
    ahead: Last,
    /// The places in patterns that are reached, without [`ANYWHERE`].
    nodes: Vec<u32>,
}

impl Reached {
    /// Whether the list matches this path.
    pub fn matches(&self) -> bool {
        self.matched.plain > self.matched.negated
    }

    /// Whether the list may match something below this path. `false` is certain.
    pub fn below_may_match(&self) -> bool {
        self.matched.plain.max(self.ahead.plain) > self.matched.negated
    }

    /// The same as if nothing up to here had matched: what was asked for by name is not what a pattern is about.
    pub fn forgiven(self) -> Self {
        Self {
            matched: Last::default(),
            ..self
        }
    }

    /// Whether the list matches everything below this path. `true` is certain.
    pub fn all_below_match(&self) -> bool {
        self.matches() && self.ahead.negated < self.matched.plain
    }
}

/// Says what is wrong with a pattern, if something is: `InvalidInput` about the pattern.
pub fn check(pattern: impl AsRef<OsStr>) -> Result<()> {
    parse(pattern.as_ref().as_bytes()).map(drop)
}

/// One component of a pattern, for who walks by himself. `**` is `*` here.
#[derive(Debug, Clone)]
pub struct Component(Part);

impl Component {
    /// Parses a component, which should hold no `/`: `InvalidInput` about it.
    pub fn parse(component: &[u8]) -> Result<Self> {
        Part::parse(component).map(Self).map_err(|why| {
            let shown = String::from_utf8_lossy(component).into_owned();
            Error::invalid(shown).detail(why)
        })
    }

    /// The one name that it stands for, if that is so.
    pub fn literal(&self) -> Option<&[u8]> {
        match &self.0 {
            Part::Literal(name) => Some(name),
            Part::Deep | Part::Any | Part::Glob(_) => None,
        }
    }

    /// Whether `name` has its form.
    pub fn matches(&self, name: &[u8]) -> bool {
        match &self.0 {
            Part::Deep | Part::Any => true,
            Part::Literal(literal) => literal == name,
            Part::Glob(tokens) => fits(tokens, name),
        }
    }
}

impl List {
    /// Parses patterns in their order. `ignore_case` compares letters without regard to their case, whatever the script.
    ///
    /// `InvalidInput` about the first pattern that makes no sense: a `[` that is not closed, a `\` at the end.
    pub fn parse(patterns: &[impl AsRef<OsStr>], ignore_case: bool) -> Result<Self> {
        let mut list = Self {
            names: Names::default(),
            nodes: vec![Node::default(); 2],
            edges: HashMap::new(),
            ignore_case,
        };
        let mut globs = HashMap::new();
        for (number, pattern) in (0..).zip(patterns) {
            let bytes = pattern.as_ref().as_bytes();
            let Some(pattern) = parse(&folded(bytes, ignore_case))? else {
                continue;
            };
            list.add(number, pattern, &mut globs);
        }
        list.names.finish()?;
        Ok(list)
    }

    /// Whether there is no pattern that could match anything.
    pub fn is_empty(&self) -> bool {
        let ways = [ANYWHERE, ROOT].map(|node| self.nodes[node as usize].clone());
        ways.iter()
            .all(|node| node.ahead.plain.max(node.ends.plain).is_none())
    }

    /// Whether the list matches `path`, or something above it. A path that does not begin with `/` fits no pattern that
    /// does.
    pub fn matches(&self, path: &Path) -> bool {
        self.reach(path).matches()
    }

    /// Whether the list may match something below `path`. `false` is certain.
    pub fn child_may_match(&self, path: &Path) -> bool {
        self.reach(path).below_may_match()
    }

    /// How far a path leads, from its beginning.
    pub fn reach(&self, path: &Path) -> Reached {
        let bytes = path.as_os_str().as_bytes();
        let start = match bytes.first() {
            Some(b'/') => self.root(),
            _ => self.reached(Reached::default()),
        };
        let names = bytes.split(|byte| *byte == b'/');
        names
            .filter(|name| !name.is_empty())
            .fold(start, |reached, name| self.enter(&reached, name))
    }

    /// How far `/` leads: where a walk begins.
    pub fn root(&self) -> Reached {
        let mut reached = Reached::default();
        self.arrive(ROOT, &mut reached);
        self.reached(reached)
    }

    /// How far the entry `name` of a directory leads, which itself led to `above`.
    ///
    /// Costs one look-up of the name, however many patterns are literal, and an allocation only if a pattern goes on.
    pub fn enter(&self, above: &Reached, name: &[u8]) -> Reached {
        let mut below = Reached {
            matched: above.matched,
            ..Reached::default()
        };
        for node in &above.nodes {
            if self.nodes[*node as usize].deep {
                self.arrive(*node, &mut below);
            }
        }
        self.names.find(&folded(name, self.ignore_case), |part| {
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

    fn add(&mut self, number: u32, pattern: Pattern, globs: &mut HashMap<Vec<u8>, u32>) {
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
                    let part = match &part {
                        Part::Glob(_) => *globs.entry(text).or_insert_with(|| self.names.add(part)),
                        _ => self.names.add(part),
                    };
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
        self.nodes[at as usize].ends.raise(mine);
    }

    fn push(&mut self, deep: bool) -> u32 {
        let number = self.nodes.len() as u32;
        self.nodes.push(Node {
            deep,
            ..Node::default()
        });
        number
    }
}

/// A pattern, taken apart.
struct Pattern {
    negated: bool,
    /// Begins at the root.
    anchored: bool,
    /// The components, and what they were made of.
    parts: Vec<(Vec<u8>, Part)>,
}

/// Takes a pattern apart; `None` if it is empty.
fn parse(text: &[u8]) -> Result<Option<Pattern>> {
    let wrong = |why: Wrong| {
        let shown = String::from_utf8_lossy(text).into_owned();
        Err(Error::invalid(shown).detail(why))
    };
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > PATTERN_BYTES_MAX {
        return wrong("longer than a path can be");
    }
    let (negated, path) = match text.strip_prefix(b"!") {
        Some(path) => (true, path),
        None => (false, text),
    };
    let anchored = path.first() == Some(&b'/');
    let mut parts = Vec::new();
    for component in cleaned(path, anchored) {
        match Part::parse(component) {
            // Begins anywhere already.
            Ok(Part::Deep) if parts.is_empty() && !anchored => {}
            Ok(part) => parts.push((component.to_vec(), part)),
            Err(why) => return wrong(why),
        }
    }
    if parts.is_empty() && !anchored {
        parts.push((b"*".to_vec(), Part::Any));
    }
    Ok(Some(Pattern {
        negated,
        anchored,
        parts,
    }))
}

/// The components of a pattern, without empty ones, `.` and, as far as something stands before them, `..`.
fn cleaned(path: &[u8], anchored: bool) -> Vec<&[u8]> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|last| *last != b"..") => {
                kept.pop();
            }
            b".." if anchored => {}
            _ => kept.push(component),
        }
    }
    // What leads nowhere is a name that no entry has.
    if kept.is_empty() && !anchored {
        kept.push(b".");
    }
    kept
}

/// The text in lower case, if case does not matter; bytes that are not UTF-8 stay as they are.
fn folded(text: &[u8], ignore_case: bool) -> Cow<'_, [u8]> {
    if !ignore_case
        || !text
            .iter()
            .any(|byte| byte.is_ascii_uppercase() || *byte >= 0x80)
    {
        return Cow::Borrowed(text);
    }
    let mut folded = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        let lower = chunk.valid().chars().flat_map(char::to_lowercase);
        folded.extend_from_slice(lower.collect::<String>().as_bytes());
        folded.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(folded)
}
