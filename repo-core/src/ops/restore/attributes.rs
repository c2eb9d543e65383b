//! From nodes to attributes of files.

use super::context::Context;
use super::options::RestoreOptions;
use crate::error::Result;
use crate::format::tree::Node;
use crate::fs::{
    Applied, Attributes, Kind, Metadata, TargetDir, Xattr, apply_to, surplus_xattrs, xattrs_of,
};
use std::fs::File;
use std::sync::atomic::Ordering;

/// The access control list of a file itself.
const ACCESS_LIST: &[u8] = b"system.posix_acl_access";

/// Read or write by anybody but the owner.
const OTHERS: u32 = 0o066;

/// What is set of a restored file, directory or special file.
pub struct Wanted {
    mode: Option<u32>,
    owner: Option<(u32, u32)>,
    xattrs: Vec<Xattr>,
    atime: Option<crate::time::Timestamp>,
    mtime: crate::time::Timestamp,
    /// Whether a time of access was recorded.
    knows_atime: bool,
}

impl Wanted {
    /// What they take beside themselves.
    pub fn heap_bytes(&self) -> usize {
        let xattrs = self.xattrs.iter();
        let bytes = |xattr: &Xattr| size_of::<Xattr>() + xattr.name.len() + xattr.value.len();
        xattrs.map(bytes).sum()
    }

    /// The attributes of a node.
    pub fn of(node: &Node, options: &RestoreOptions, is_link: bool) -> Self {
        let xattrs = node.xattrs.iter();
        let xattrs = xattrs.filter(|(name, _)| options.xattrs.selects(name));
        let xattr = |(name, value): &(Vec<u8>, Vec<u8>)| Xattr {
            name: name.clone(),
            value: value.clone(),
        };
        Self {
            mode: (!is_link).then_some(u32::from(node.mode)),
            owner: (!options.no_owner).then_some((node.uid, node.gid)),
            xattrs: xattrs.map(xattr).collect(),
            atime: Some(node.atime.unwrap_or(node.mtime)),
            mtime: node.mtime,
            knows_atime: node.atime.is_some(),
        }
    }

    /// As the file system layer wants them, for what was just made.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes {
            owner: self.owner,
            mode: self.mode,
            xattrs: Some(&self.xattrs),
            removed_xattrs: &[],
            atime: self.atime,
            mtime: Some(self.mtime),
        }
    }

    /// What is still to be done for something that has these attributes; `None` if that is nothing.
    fn change<'a>(
        &'a self,
        options: &RestoreOptions,
        found: &Metadata,
        xattrs: &[Xattr],
        surplus: &'a mut Vec<Vec<u8>>,
    ) -> Option<Attributes<'a>> {
        *surplus = surplus_xattrs(xattrs, &self.xattrs);
        surplus.retain(|name| options.xattrs.selects(name));
        let same = self.mode.is_none_or(|mode| mode == found.mode)
            && self
                .owner
                .is_none_or(|owner| owner == (found.uid, found.gid))
            && self.mtime == found.mtime
            && (!self.knows_atime || self.atime == Some(found.atime))
            && surplus.is_empty()
            && self.xattrs.iter().all(|xattr| xattrs.contains(xattr));
        (!same).then(|| Attributes {
            removed_xattrs: surplus,
            ..self.attributes()
        })
    }

    /// Whether something with these extended attributes has them all, or all that this user could give to a new one. What it
    /// would still lack is told.
    pub fn are_those_of(
        &self,
        options: &RestoreOptions,
        xattrs: &[Xattr],
        found: &Metadata,
    ) -> Option<Applied> {
        let same = |wanted: &Self| {
            let mut surplus = Vec::new();
            let change = wanted.change(options, found, xattrs, &mut surplus);
            change.is_none()
        };
        if same(self) {
            return Some(Applied::default());
        }
        let settable = Self {
            owner: None,
            // Set-id bits go only with the owner that they belong to.
            mode: self.mode.map(|mode| mode & 0o1777),
            xattrs: self.xattrs.clone(),
            ..*self
        };
        (self.is_of_others() && is_as_made_by_us(self.owner, found) && same(&settable)).then(|| {
            Applied {
                owner_skipped: true,
                ..Applied::default()
            }
        })
    }

    /// Whether the owner is one that this user cannot give.
    fn is_of_others(&self) -> bool {
        let us = rustix::process::geteuid();
        let other = |(uid, _): (u32, u32)| uid != us.as_raw();
        !us.is_root() && self.owner.is_some_and(other)
    }

    /// Gives them to an open file or directory that was there before, as far as it has others.
    pub fn settle(
        &self,
        options: &RestoreOptions,
        file: impl std::os::fd::AsFd,
        found: &Metadata,
    ) -> Applied {
        let (xattrs, mut surplus) = (xattrs_of(&file), Vec::new());
        let (xattrs, problem) = match xattrs {
            Ok(xattrs) => (xattrs, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let mut applied = match self.change(options, found, &xattrs, &mut surplus) {
            Some(attributes) => apply_to(file, found.kind, &attributes),
            None => Applied::default(),
        };
        applied.problems.extend(problem);
        applied
    }

    /// The same for the entry `name` of a directory: a link, pipe, socket or device, or a file that cannot be opened.
    pub fn settle_entry(
        &self,
        options: &RestoreOptions,
        dir: &TargetDir,
        name: &[u8],
        found: &Metadata,
    ) -> Result<Applied> {
        let mut surplus = Vec::new();
        let xattrs = dir.xattrs_of_entry(name).unwrap_or_default();
        match self.change(options, found, &xattrs, &mut surplus) {
            Some(attributes) => dir.apply_entry(name, found.kind, &attributes),
            None => Ok(Applied::default()),
        }
    }

    /// Whether content may be written into a file that is there, so that nobody reads it who could not read the restored
    /// file: the same or our own user owns it, it has no other name, and lets no others in. Whoever has it open already
    /// would go on reading.
    pub fn may_go_into(&self, file: &File, found: &Metadata) -> bool {
        let own_user = rustix::process::geteuid().as_raw() == found.uid;
        let own_group = rustix::process::getegid().as_raw() == found.gid;
        let (user, group) = match self.owner {
            Some((uid, gid)) => (
                own_user || uid == found.uid,
                own_user && own_group || gid == found.gid,
            ),
            None => (true, true),
        };
        let opened = found.mode & !self.mode.unwrap_or(0) & OTHERS;
        let list = |xattrs: &[Xattr]| {
            let list = xattrs.iter().find(|xattr| xattr.name == ACCESS_LIST);
            list.cloned()
        };
        let lists = || xattrs_of(file).map(|found| list(&found) == list(&self.xattrs));
        found.kind == Kind::File
            && found.links == 1
            && user
            && (group || found.mode & 0o060 == 0)
            && opened == 0
            && lists().unwrap_or(false)
    }
}

/// Whether a file that this user made would be owned as the one that was found: by us, and by the group that is wanted if it
/// is one of ours.
fn is_as_made_by_us(wanted: Option<(u32, u32)>, found: &Metadata) -> bool {
    let group = wanted.map(|(_, gid)| gid);
    let groups = rustix::process::getgroups().unwrap_or_default();
    let is_ours = |gid: u32| {
        gid == rustix::process::getegid().as_raw() || groups.iter().any(|it| it.as_raw() == gid)
    };
    found.uid == rustix::process::geteuid().as_raw()
        && group.is_none_or(|gid| gid == found.gid || !is_ours(gid))
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
        context.tells(&path(), problem);
    }
    for refused in &applied.refused {
        context.refused(&path(), refused);
    }
}
