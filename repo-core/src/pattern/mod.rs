//! Patterns: which paths a list of them means, in restic's sense.
//!
//! A pattern is a path whose components may be globs, as Go's `filepath.Match` reads them. One that begins with `/` counts from the root,
//! any other from any directory on. It matches what it names and everything below that: `foo` matches `/a/foo` and
//! `/a/foo/b`, not `/a/foobar`. `**` stands for any number of directories, none too. A pattern that begins with `!` takes
//! back what earlier ones match, so that the last one that matches decides. Empty patterns mean nothing. Names are
//! bytes: what is not UTF-8 is compared as it is.
//!
//! A walk follows the list from name to name ([`List::root`], [`List::enter`]), at the cost of one look-up a name, and
//! learns at each directory what may still come below it.

mod names;
mod parse;
mod part;
#[cfg(test)]
mod tests;
mod tree;

use crate::error::{Error, Result, Subject};
use parse::{folded, parse};
use part::{Part, Wrong, fits};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use tree::{Last, Tree};

/// Bytes of the longest pattern: what the system takes as a path.
const PATTERN_BYTES_MAX: usize = 4096;

/// A list of patterns, ready to be matched. Clones share it; memory: about 300 bytes a component, a few KiB if it is a glob.
#[derive(Debug, Clone)]
pub struct List {
    tree: Arc<Tree>,
    ignore_case: bool,
}

/// How far a path leads into the patterns of a list.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    /// Which patterns matched the path, or something above it.
    matched: Last,
    /// Which patterns may match something below.
    ahead: Last,
    /// The places in patterns that are reached, but for the one that always is.
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

    /// The same as if nothing up to here had been matched by a pattern without `!`: what was asked for by name is not what such a
    /// one is about. What is taken back up to here stays so, and what a `**` at the end of one means below is matched still.
    pub fn forgiven(self) -> Self {
        Self {
            matched: Last {
                plain: None,
                ..self.matched
            },
            ..self
        }
    }

    /// Whether the list matches everything below this path. `true` is certain.
    pub fn all_below_match(&self) -> bool {
        self.matches() && self.ahead.negated < self.matched.plain
    }
}

/// What is wrong with a pattern.
fn wrong(pattern: &[u8], why: Wrong) -> Error {
    about(Error::invalid("").detail(why), pattern)
}

/// The same error about this pattern.
fn about(error: Error, pattern: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(pattern).into_owned();
    error.about(Subject::Setting(shown.into()))
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
        let parsed = Part::parse(component);
        parsed.map(Self).map_err(|why| wrong(component, why))
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
        let mut tree = Tree::new();
        for (number, pattern) in (0..).zip(patterns) {
            let bytes = pattern.as_ref().as_bytes();
            let parsed = parse(&folded(bytes, ignore_case)).map_err(|error| about(error, bytes))?;
            if let Some(pattern) = parsed {
                tree.add(number, pattern);
            }
        }
        tree.finish()?;
        Ok(Self {
            tree: Arc::new(tree),
            ignore_case,
        })
    }

    /// Whether there is no pattern that could match anything.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// Whether a pattern may match in any directory, as it does not begin with `/`. `false` is certain.
    pub fn is_anywhere(&self) -> bool {
        self.tree.anywhere().below_may_match()
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
            _ => self.tree.anywhere(),
        };
        let names = bytes.split(|byte| *byte == b'/');
        names
            .filter(|name| !name.is_empty())
            .fold(start, |reached, name| self.enter(&reached, name))
    }

    /// How far `/` leads: where a walk begins.
    pub fn root(&self) -> Reached {
        self.tree.root()
    }

    /// How far the entry `name` of a directory leads, which itself led to `above`.
    ///
    /// Costs one look-up of the name, however many patterns are literal, and an allocation only if a pattern goes on.
    pub fn enter(&self, above: &Reached, name: &[u8]) -> Reached {
        self.tree.enter(above, &folded(name, self.ignore_case))
    }
}
