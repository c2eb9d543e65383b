//! From nodes to attributes of files.

use super::execute::Context;
use crate::format::tree::Node;
use crate::fs::{Applied, Attributes, Xattr};
use crate::progress::Progress;
use std::path::Path;
use std::sync::atomic::Ordering;

/// What is set of a restored file, directory or special file.
pub struct Wanted {
    mode: Option<u32>,
    owner: Option<(u32, u32)>,
    xattrs: Vec<Xattr>,
    atime: Option<crate::time::Timestamp>,
    mtime: crate::time::Timestamp,
}

impl Wanted {
    /// The attributes of a node.
    pub fn of(node: &Node, no_owner: bool, is_link: bool) -> Self {
        let xattr = |(name, value): &(Vec<u8>, Vec<u8>)| Xattr {
            name: name.clone(),
            value: value.clone(),
        };
        Self {
            mode: (!is_link).then_some(u32::from(node.mode)),
            owner: (!no_owner).then_some((node.uid, node.gid)),
            xattrs: node.xattrs.iter().map(xattr).collect(),
            atime: Some(node.atime.unwrap_or(node.mtime)),
            mtime: node.mtime,
        }
    }

    /// As the file system layer wants them.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes {
            owner: self.owner,
            mode: self.mode,
            xattrs: Some(&self.xattrs),
            only_these_xattrs: false,
            atime: self.atime,
            mtime: Some(self.mtime),
        }
    }
}

/// Counts and reports what became of attributes.
pub fn note(context: &Context<'_>, path: impl Fn() -> std::path::PathBuf, applied: Applied) {
    if applied.owner_skipped {
        context
            .counts
            .owners_skipped
            .fetch_add(1, Ordering::Relaxed);
    }
    for problem in &applied.problems {
        context.problems.problem(Path::new(&path()), problem);
    }
}
