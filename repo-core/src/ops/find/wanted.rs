//! What a search is for.

use crate::error::{Error, Result};
use crate::format::tree::{Content, Node};
use crate::fs::Kind;
use crate::pattern::{List, Reached};
use crate::time::Timestamp;
use regex::bytes::{RegexSet, RegexSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How long a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeIs {
    /// Longer than that many bytes.
    Above(u64),
    /// Shorter.
    Below(u64),
    /// Just that long.
    Exactly(u64),
}

impl SizeIs {
    fn fits(self, size: u64) -> bool {
        match self {
            Self::Above(bytes) => size > bytes,
            Self::Below(bytes) => size < bytes,
            Self::Exactly(bytes) => size == bytes,
        }
    }
}

/// Which paths are meant.
#[derive(Debug, Clone)]
pub enum Patterns {
    /// Those that a list of patterns matches, and all that lies below them.
    Paths(List),
    /// Those in which one of these regular expressions is found.
    Regex(RegexSet),
}

impl Patterns {
    /// Regular expressions, of which one has to fit some part of a path. `InvalidInput`, with what is wrong, of one that makes no sense.
    pub fn regex(expressions: &[impl AsRef<str>], ignore_case: bool) -> Result<Self> {
        let built = RegexSetBuilder::new(expressions)
            .case_insensitive(ignore_case)
            .build();
        built
            .map(Self::Regex)
            .map_err(|why| Error::invalid("regular expression").detail(why.to_string()))
    }
}

/// What a search is for: everything that is asked for has to fit.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The paths.
    pub patterns: Patterns,
    /// Not changed before.
    pub oldest: Option<Timestamp>,
    /// Not changed after.
    pub newest: Option<Timestamp>,
    /// Files of one of these lengths; all of them have to fit.
    pub sizes: Vec<SizeIs>,
    /// Of one of these sorts; none means all.
    pub kinds: Vec<Kind>,
}

/// How far a directory leads into the patterns.
#[derive(Debug, Clone, Default)]
pub struct Mark(Reached);

impl Wanted {
    /// Where a walk begins.
    pub fn root(&self) -> Mark {
        match &self.patterns {
            Patterns::Paths(list) => Mark(list.root()),
            Patterns::Regex(_) => Mark::default(),
        }
    }

    /// Whether patterns fit a name in the directory `path`; a mark if they may fit something below it.
    pub fn name(&self, path: &Path, above: &Mark, name: &[u8]) -> (bool, Option<Mark>) {
        match &self.patterns {
            Patterns::Paths(list) => {
                let reached = list.enter(&above.0, name);
                let goes_on = reached.below_may_match();
                (reached.matches(), goes_on.then_some(Mark(reached)))
            }
            Patterns::Regex(set) => {
                let path = path.join(OsStr::from_bytes(name));
                let matches = set.is_match(path.as_os_str().as_bytes());
                (matches, Some(above.clone()))
            }
        }
    }

    /// Whether patterns may fit in any directory, so that a search enters all of them.
    pub fn is_anywhere(&self) -> bool {
        match &self.patterns {
            Patterns::Paths(list) => list.is_anywhere(),
            Patterns::Regex(_) => true,
        }
    }

    /// Whether a node is wanted, whatever its path.
    pub fn fits(&self, node: &Node) -> bool {
        let size = match &node.content {
            Content::File(file) => Some(file.size),
            _ => None,
        };
        let mut sizes = self.sizes.iter();
        self.oldest.is_none_or(|oldest| node.mtime >= oldest)
            && self.newest.is_none_or(|newest| node.mtime <= newest)
            && sizes.all(|wanted| size.is_some_and(|size| wanted.fits(size)))
            && (self.kinds.is_empty() || self.kinds.contains(&node.content.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tree::FileContent;

    fn node(name: &str, size: Option<u64>, mtime: i64) -> Node {
        let file = |size| {
            Content::File(FileContent {
                size,
                ..FileContent::default()
            })
        };
        Node {
            name: name.into(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Timestamp::new(mtime, 0),
            ctime: Timestamp::default(),
            atime: None,
            inode: 0,
            device: 0,
            links: 1,
            xattrs: Vec::new(),
            content: size.map_or(Content::Dir(None), file),
            ext: Vec::new(),
        }
    }

    fn wanted(patterns: Patterns) -> Wanted {
        Wanted {
            patterns,
            oldest: None,
            newest: None,
            sizes: Vec::new(),
            kinds: Vec::new(),
        }
    }

    fn matches(wanted: &Wanted, dir: &str, node: &Node) -> bool {
        let mut mark = wanted.root();
        for name in dir.split('/').filter(|name| !name.is_empty()) {
            match wanted.name(Path::new("/"), &mark, name.as_bytes()).1 {
                Some(below) => mark = below,
                None => return false,
            }
        }
        wanted.name(Path::new(dir), &mark, &node.name).0 && wanted.fits(node)
    }

    #[test]
    fn patterns_match_paths_and_what_lies_below() {
        let list =
            |patterns: &[&str]| wanted(Patterns::Paths(List::parse(patterns, false).unwrap()));
        let file = |name| node(name, Some(1), 0);
        assert!(matches(&list(&["*.c"]), "/src/lib", &file("a.c")));
        assert!(matches(&list(&["lib"]), "/src/lib", &file("a.h")));
        assert!(matches(
            &list(&["x", "/src/*/a.h"]),
            "/src/lib",
            &file("a.h")
        ));
        assert!(!matches(&list(&["/lib"]), "/src/lib", &file("a.h")));
        let regex = wanted(Patterns::regex(&["^/src/.*\\.[ch]$"], false).unwrap());
        assert!(matches(&regex, "/src/lib", &file("a.h")));
        assert!(!matches(&regex, "/src/lib", &file("a.H")));
        let regex = wanted(Patterns::regex(&["nothing", "A\\.h"], true).unwrap());
        assert!(matches(&regex, "/src", &file("a.h")));
        assert!(Patterns::regex(&["("], false).is_err());
    }

    #[test]
    fn everything_that_is_asked_for_has_to_fit() {
        let all = || wanted(Patterns::Paths(List::parse(&["*"], false).unwrap()));
        let fits = |wanted: &Wanted, size, mtime| matches(wanted, "/", &node("n", size, mtime));
        let sizes = |sizes: &[SizeIs]| Wanted {
            sizes: sizes.to_vec(),
            ..all()
        };
        assert!(fits(&sizes(&[SizeIs::Above(9)]), Some(10), 0));
        assert!(!fits(&sizes(&[SizeIs::Above(9)]), Some(9), 0));
        assert!(!fits(
            &sizes(&[SizeIs::Above(9), SizeIs::Below(20)]),
            Some(20),
            0
        ));
        assert!(fits(&sizes(&[SizeIs::Exactly(9)]), Some(9), 0));
        assert!(
            !fits(&sizes(&[SizeIs::Below(9)]), None, 0),
            "a directory has no length"
        );
        let times = Wanted {
            oldest: Some(Timestamp::new(5, 0)),
            newest: Some(Timestamp::new(7, 0)),
            ..all()
        };
        let within: Vec<i64> = (0..10)
            .filter(|time| fits(&times, Some(0), *time))
            .collect();
        assert_eq!(within, [5, 6, 7]);
        let dirs = Wanted {
            kinds: vec![Kind::Dir],
            ..all()
        };
        assert!(fits(&dirs, None, 0) && !fits(&dirs, Some(0), 0));
    }
}
