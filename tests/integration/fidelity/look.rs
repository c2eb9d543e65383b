//! What a tree is made of, entry by entry, as the system tells it. Nothing here goes by way of the program.
//!
//! Directories are held open and their entries reached through `/proc/self/fd`, so that paths may be of any length.

use rustix::fs::{SeekFrom, seek};
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Everything that is said of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Type, permissions, set-id and sticky bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Time of the last change, with nanoseconds.
    pub mtime: (i64, i64),
    /// Names of attributes and their values, access control lists among them.
    pub xattrs: BTreeMap<OsString, Vec<u8>>,
    /// Of devices.
    pub rdev: u64,
    /// The first path of the same file; its own of what has one name only.
    pub same_as: PathBuf,
    /// The bytes of a file, or where a symbolic link points to.
    pub content: Vec<u8>,
    /// Where data lies in a file.
    pub extents: Vec<(u64, u64)>,
}

/// The path by which an entry of an open directory can be reached, whatever its own path is.
pub fn entry_of(dir: &File, name: &OsStr) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name)
}

/// Looks at a whole tree. The path of its root is empty.
pub fn look(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    let mut first = HashMap::new();
    let (dir, name) = (root.parent().unwrap(), root.file_name().unwrap());
    let dir = File::open(dir).unwrap();
    walk(&dir, name, Path::new(""), &mut first, &mut found);
    found
}

fn walk(
    dir: &File,
    name: &OsStr,
    path: &Path,
    first: &mut HashMap<(u64, u64), PathBuf>,
    found: &mut BTreeMap<PathBuf, Entry>,
) {
    let at = entry_of(dir, name);
    found.insert(path.to_owned(), describe(&at, path, first));
    if !at.symlink_metadata().unwrap().is_dir() {
        return;
    }
    let below = File::open(&at).unwrap();
    let entries = std::fs::read_dir(&at).unwrap();
    let mut names: Vec<OsString> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        walk(&below, &name, &path.join(&name), first, found);
    }
}

fn describe(at: &Path, path: &Path, first: &mut HashMap<(u64, u64), PathBuf>) -> Entry {
    let meta = at.symlink_metadata().unwrap();
    let kind = meta.file_type();
    let identity = (meta.dev(), meta.ino());
    let same_as = match meta.is_dir() {
        true => path.to_owned(),
        false => first.entry(identity).or_insert(path.to_owned()).clone(),
    };
    let (content, extents) = match () {
        () if meta.is_file() => read(at),
        () if meta.is_symlink() => {
            let target = std::fs::read_link(at).unwrap();
            (target.into_os_string().into_vec(), Vec::new())
        }
        () => Default::default(),
    };
    let is_device = kind.is_block_device() || kind.is_char_device();
    Entry {
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        xattrs: xattrs(at),
        rdev: if is_device { meta.rdev() } else { 0 },
        same_as,
        content,
        extents,
    }
}

fn read(at: &Path) -> (Vec<u8>, Vec<(u64, u64)>) {
    let mut file = File::open(at).unwrap();
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    let (size, mut extents, mut offset) = (content.len() as u64, Vec::new(), 0);
    while offset < size {
        let Ok(start) = seek(&file, SeekFrom::Data(offset)) else {
            break;
        };
        let end = seek(&file, SeekFrom::Hole(start)).unwrap().min(size);
        extents.push((start, end - start));
        offset = end;
    }
    (content, extents)
}

fn xattrs(at: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let mut names = vec![0; 65_536];
    let Ok(len) = rustix::fs::llistxattr(at, &mut names[..]) else {
        return BTreeMap::new();
    };
    let names = names[..len].split(|byte| *byte == 0);
    let names = names.filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0; 65_536];
        let len = rustix::fs::lgetxattr(at, name, &mut value[..]).unwrap();
        value.truncate(len);
        value
    };
    names
        .map(|name| (OsStr::from_bytes(name).to_owned(), value(name)))
        .collect()
}

/// Compares two trees entry by entry; says of each that differs what differs.
#[track_caller]
pub fn assert_same(left: &BTreeMap<PathBuf, Entry>, right: &BTreeMap<PathBuf, Entry>, case: &str) {
    let mut paths: Vec<&PathBuf> = left.keys().chain(right.keys()).collect();
    paths.sort();
    paths.dedup();
    let mut wrong = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let name: String = name.chars().take(120).collect();
        match (left.get(path), right.get(path)) {
            (Some(one), Some(other)) if one == other => {}
            (Some(one), Some(other)) => wrong.push(format!("{name}: {}", differences(one, other))),
            (Some(_), None) => wrong.push(format!("{name}: is missing")),
            (None, _) => wrong.push(format!("{name}: must not be there")),
        }
    }
    assert!(wrong.is_empty(), "{case}:\n{}", wrong.join("\n"));
}

fn differences(one: &Entry, other: &Entry) -> String {
    let mut said = Vec::new();
    let mut say = |what: &str, differs: bool, text: String| {
        if differs {
            said.push(format!("{what} {text}"));
        }
    };
    let both = |a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| format!("{a:?} became {b:?}");
    let mode = format!("{:o} became {:o}", one.mode, other.mode);
    say("mode", one.mode != other.mode, mode);
    say(
        "owner",
        one.owner != other.owner,
        both(&one.owner, &other.owner),
    );
    say(
        "mtime",
        one.mtime != other.mtime,
        both(&one.mtime, &other.mtime),
    );
    say(
        "xattrs",
        one.xattrs != other.xattrs,
        both(&one.xattrs, &other.xattrs),
    );
    say("rdev", one.rdev != other.rdev, both(&one.rdev, &other.rdev));
    say(
        "same as",
        one.same_as != other.same_as,
        both(&one.same_as, &other.same_as),
    );
    let lens = both(&one.content.len(), &other.content.len());
    say("content, length", one.content != other.content, lens);
    say(
        "extents",
        one.extents != other.extents,
        both(&one.extents, &other.extents),
    );
    said.join("; ")
}
