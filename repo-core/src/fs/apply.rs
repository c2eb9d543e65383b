//! Owner, mode, extended attributes and times of what a restore put in place.

use super::meta::{Kind, Metadata};
use super::name::{about, failed};
use super::xattr::{Handle, Xattr};
use crate::error::{Error, ErrorKind, Result};
use crate::time::{NANOS, Timestamp};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;

/// Lets a program do what else only root may, so it must not outlive the content it was given to.
const CAPABILITY: &[u8] = b"security.capability";

/// Attributes to give to a file; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// Numbers of owner and group.
    pub owner: Option<(u32, u32)>,
    /// Permissions, at most `0o7777`; links have none.
    ///
    /// A file keeps set-user-id and set-group-id only if the owner, or group, given here was set with it, as in
    /// `cp -p`: a program that ran as one user must not begin to run as whoever restores it.
    pub mode: Option<u32>,
    /// Extended attributes, access control lists among them.
    pub xattrs: Option<&'a [Xattr]>,
    /// Names of extended attributes to remove; none of that name is fine. See [`surplus_xattrs`].
    pub removed_xattrs: &'a [Vec<u8>],
    /// When the content was last read.
    pub atime: Option<Timestamp>,
    /// When the content last changed.
    pub mtime: Option<Timestamp>,
}

impl From<&Metadata> for Attributes<'_> {
    /// Everything but the extended attributes, which metadata has not got.
    fn from(metadata: &Metadata) -> Self {
        Self {
            owner: Some((metadata.uid, metadata.gid)),
            mode: Some(metadata.mode),
            atime: Some(metadata.atime),
            mtime: Some(metadata.mtime),
            ..Self::default()
        }
    }
}

/// What became of attributes.
#[derive(Debug, Default)]
#[must_use]
pub struct Applied {
    /// Owner or group could not be set, as is normal for who is not root (or not root of that user namespace).
    pub owner_skipped: bool,
    /// Extended attributes that the file system does not take, or that this user may not set.
    pub refused: Vec<RefusedXattr>,
    /// What else could not be set; all the rest was.
    pub problems: Vec<Error>,
}

/// An extended attribute that was refused for what it is, and would be to every other file.
#[derive(Debug)]
pub struct RefusedXattr {
    name: Vec<u8>,
    errno: Errno,
    /// What to say of it.
    pub error: Error,
}

impl RefusedXattr {
    /// What it has in common with others: its namespace, or name if it is one of the system's, and the number of the error.
    pub fn sort(&self) -> (Vec<u8>, i32) {
        let name = &self.name;
        let dot = name.iter().position(|byte| *byte == b'.');
        let len = dot.filter(|_| !is_acl(name)).unwrap_or(name.len());
        (name[..len].to_vec(), self.errno.raw_os_error())
    }
}

/// Sets attributes of an open file or directory.
///
/// In this order, since each may undo the ones before: removal of attributes, owner (a change clears set-id
/// bits and capabilities), attributes (of `user` only while we may still write), mode, access control lists (they
/// refine the mode), times.
/// One system call for each of owner, mode and times, and for each extended attribute.
pub fn apply_to(fd: impl AsFd, kind: Kind, attributes: &Attributes<'_>) -> Applied {
    Object::Open(fd.as_fd(), kind).apply(b"", attributes)
}

/// What attributes are set of.
pub(super) enum Object<'a> {
    /// An open file or directory.
    Open(BorrowedFd<'a>, Kind),
    /// An entry of an open directory that cannot be opened itself: a link, pipe, socket or device.
    Entry(BorrowedFd<'a>, &'a [u8], Kind),
}

impl Object<'_> {
    /// Sets all that is given; `name` is only for errors.
    pub(super) fn apply(&self, name: &[u8], attributes: &Attributes<'_>) -> Applied {
        let mut applied = Applied::default();
        let xattrs = attributes.xattrs.unwrap_or_default();
        self.remove_xattrs(name, attributes.removed_xattrs, &mut applied);
        let (user_set, group_set) = match attributes.owner {
            Some((uid, gid)) => self.set_owner(name, uid, gid, &mut applied),
            None => (false, false),
        };
        self.set_xattrs(
            name,
            xattrs.iter().filter(|x| !is_acl(&x.name)),
            &mut applied,
        );
        if let Some(mut mode) = attributes.mode {
            if self.kind() != Kind::Dir {
                mode &= !(if user_set { 0 } else { SET_USER_ID });
                mode &= !(if group_set { 0 } else { SET_GROUP_ID });
            }
            self.set_mode(name, mode, &mut applied.problems);
        }
        self.set_xattrs(
            name,
            xattrs.iter().filter(|x| is_acl(&x.name)),
            &mut applied,
        );
        if attributes.atime.is_some() || attributes.mtime.is_some() {
            let result = self.set_times(name, attributes.atime, attributes.mtime);
            applied.problems.extend(result.err());
        }
        applied
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Open(_, kind) | Self::Entry(_, _, kind) => *kind,
        }
    }

    fn chown(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        match self {
            Self::Open(fd, _) => rustix::fs::fchown(fd, uid, gid),
            Self::Entry(dir, name, _) => {
                rustix::fs::chownat(dir, *name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }

    /// Returns whether the user and whether the group is what it shall be.
    fn set_owner(&self, name: &[u8], uid: u32, gid: u32, applied: &mut Applied) -> (bool, bool) {
        // Refused for who may not, and in a user namespace for numbers that it has not got.
        let refused = |errno| matches!(errno, Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP);
        let result = match (uid, gid) {
            // The system takes this number as "no change".
            (u32::MAX, _) | (_, u32::MAX) => Err(Errno::INVAL),
            _ => self.chown(Some(uid), Some(gid)),
        };
        match result {
            Ok(()) => (true, true),
            Err(errno) if refused(errno) => {
                applied.owner_skipped = true;
                let user_set = uid != u32::MAX && self.chown(Some(uid), None).is_ok();
                let group_set = gid != u32::MAX && self.chown(None, Some(gid)).is_ok();
                (user_set, group_set)
            }
            Err(errno) => {
                applied.problems.push(failed(name, "set owner", errno));
                (false, false)
            }
        }
    }

    fn set_mode(&self, name: &[u8], mode: u32, problems: &mut Vec<Error>) {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        let result = match self {
            Self::Open(fd, _) => rustix::fs::fchmod(fd, mode),
            Self::Entry(_, _, Kind::Symlink) => Ok(()),
            Self::Entry(dir, entry, kind) => chmod_entry(*dir, entry, *kind, mode),
        };
        problems.extend(result.err().map(|errno| failed(name, "set mode", errno)));
    }

    fn handle(&self) -> Handle<'_> {
        match self {
            Self::Open(fd, _) => Handle::Open(*fd),
            Self::Entry(dir, name, _) => Handle::entry(*dir, name),
        }
    }

    fn set_xattrs<'x>(
        &self,
        name: &[u8],
        xattrs: impl Iterator<Item = &'x Xattr>,
        applied: &mut Applied,
    ) {
        let mut xattrs = xattrs.peekable();
        if xattrs.peek().is_none() {
            return;
        }
        let handle = self.handle();
        for xattr in xattrs {
            if let Err(errno) = handle.set(xattr) {
                applied.xattr_failed("set", name, &xattr.name, errno);
            }
        }
    }

    fn remove_xattrs(&self, name: &[u8], removed: &[Vec<u8>], applied: &mut Applied) {
        if removed.is_empty() {
            return;
        }
        let handle = self.handle();
        for xattr in removed {
            if let Err(errno) = handle.remove(xattr) {
                applied.xattr_failed("remove", name, xattr, errno);
            }
        }
    }

    fn set_times(
        &self,
        name: &[u8],
        atime: Option<Timestamp>,
        mtime: Option<Timestamp>,
    ) -> Result<()> {
        let times = Timestamps {
            last_access: timespec(name, atime)?,
            last_modification: timespec(name, mtime)?,
        };
        match self {
            Self::Open(fd, _) => rustix::fs::futimens(fd, &times),
            Self::Entry(dir, entry, _) => {
                rustix::fs::utimensat(dir, *entry, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
        .map_err(|errno| failed(name, "set times", errno))
    }
}

/// Sets the mode of what cannot be opened, such as a pipe, without following a link that took its place.
///
/// The old system call follows links and the new one needs Linux 6.6; the entry is pinned without opening it, seen to
/// be what it shall be, and reached through `/proc`. `NOENT` without that.
pub(super) fn chmod_entry(
    dir: BorrowedFd<'_>,
    name: &[u8],
    kind: Kind,
    mode: Mode,
) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pinned = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let found = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&pinned)?.st_mode);
    if found != kind.file_type() {
        return Err(Errno::STALE);
    }
    let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())
}

/// Names of the attributes that a file has and shall not keep: those in the namespace `user`, access control lists and
/// capabilities that `wanted` does not hold. All others are the system's own business.
pub fn surplus_xattrs(found: &[Xattr], wanted: &[Xattr]) -> Vec<Vec<u8>> {
    let ours = |name: &[u8]| name.starts_with(b"user.") || is_acl(name) || name == CAPABILITY;
    let wanted = |name: &[u8]| wanted.iter().any(|xattr| xattr.name == name);
    let names = found.iter().map(|xattr| &xattr.name);
    let surplus = names.filter(|name| ours(name) && !wanted(name));
    surplus.cloned().collect()
}

fn is_acl(name: &[u8]) -> bool {
    name.starts_with(b"system.posix_acl_")
}

impl Applied {
    /// Notes that an extended attribute could not be set or removed.
    fn xattr_failed(&mut self, verb: &str, name: &[u8], xattr: &[u8], errno: Errno) {
        let what = match xattr {
            b"system.posix_acl_access" => "access control list".into(),
            b"system.posix_acl_default" => "default access control list".into(),
            other => format!("extended attribute {}", String::from_utf8_lossy(other)),
        };
        let error = failed(name, "", errno).detail(format!("{verb} {what} of"));
        let is_of_all = matches!(errno, Errno::OPNOTSUPP | Errno::PERM);
        match is_of_all && xattr.contains(&b'.') {
            true => self.refused.push(RefusedXattr {
                name: xattr.to_vec(),
                errno,
                error,
            }),
            false => self.problems.push(error),
        }
    }
}

/// Nanoseconds out of range would mean "now" or "leave it" to the system, so they are refused here.
fn timespec(name: &[u8], time: Option<Timestamp>) -> Result<Timespec> {
    match time {
        None => Ok(Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        }),
        Some(time) if time.nanos < NANOS => Ok(Timespec {
            tv_sec: time.seconds,
            tv_nsec: time.nanos.into(),
        }),
        Some(_) => {
            Err(Error::new(ErrorKind::InvalidInput, about(name)).detail("nanoseconds out of range"))
        }
    }
}
