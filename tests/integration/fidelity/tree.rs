//! A tree with one of everything, and what may happen to it.

use super::look::entry_of;
use crate::environment::noise;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Who does it.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes things in a directory; what the file system or the user may not, is left out.
pub struct Maker<'a> {
    /// Where.
    pub root: &'a Path,
    /// Whether what only root may is made too.
    pub as_root: bool,
}

/// An access control list as the kernel takes it: version 2, then (tag, permissions, id) for each entry.
pub fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

/// Owner all, user 12345 this, group read, mask all, others nothing.
pub fn acl_for(permissions: u16) -> Vec<u8> {
    let none = u32::MAX;
    acl(&[
        (1, 7, none),
        (2, permissions, 12_345),
        (4, 4, none),
        (0x10, 7, none),
        (0x20, 0, none),
    ])
}

impl Maker<'_> {
    /// A path below the root.
    pub fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file, with its directories.
    pub fn write(&self, name: &str, content: &[u8]) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Sets permissions.
    pub fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Sets an attribute; a file system without them has none to lose.
    pub fn xattr(&self, name: &str, key: &str, value: &[u8]) {
        let _ = rustix::fs::lsetxattr(self.at(name), key, value, XattrFlags::empty());
    }

    /// Sets the time of the last change.
    pub fn touch(&self, name: &str, seconds: i64, nanos: u32) {
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: nanos.into(),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(CWD, self.at(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }

    /// Makes a pipe, socket or device; devices where that is allowed.
    pub fn node(&self, name: &str, kind: FileType, rdev: u64) {
        let mode = Mode::from_raw_mode(0o640);
        let made = rustix::fs::mknodat(CWD, self.at(name), kind, mode, rdev);
        assert!(made.is_ok() || rdev != 0, "{name}: {made:?}");
    }

    /// A file with data at these places only.
    pub fn sparse(&self, name: &str, size: u64, data: &[(u64, usize)]) {
        let file = File::create(self.at(name)).unwrap();
        file.set_len(size).unwrap();
        for (offset, len) in data {
            file.write_all_at(&noise(*len, *offset + 1), *offset)
                .unwrap();
        }
    }

    /// Makes everything.
    pub fn make(&self) {
        self.contents();
        self.names();
        self.deep();
        self.specials();
        self.attributes();
        if self.as_root {
            self.of_root();
        }
        // Last, for entries change the times of their directories.
        for (n, name) in [
            "plain",
            "links",
            "specials",
            "attributes",
            "attributes/read-only",
            "",
        ]
        .iter()
        .enumerate()
        {
            self.touch(name, 1_400_000_000 + n as i64, 1 + n as u32);
        }
        self.touch("plain/before-1970", -1, 123_456_789);
        self.touch("plain/far-away", 4_102_444_800, 999_999_999);
        self.touch("specials/dangling", 86_400, 1);
        self.touch("specials/pipe", 86_401, 2);
    }

    fn contents(&self) {
        self.write("plain/small", b"small\n");
        self.write("plain/empty", b"");
        self.write("plain/large", &noise(9_000_000, 7));
        self.write("plain/zeros", &vec![0; 300_000]);
        self.write("plain/before-1970", b"old");
        self.write("plain/far-away", b"new");
        fs::create_dir(self.at("plain/nothing-in-it")).unwrap();
        self.sparse("plain/hole-first", 3 << 20, &[(2 << 20, 1 << 20)]);
        self.sparse("plain/hole-last", 3 << 20, &[(0, 4096)]);
        self.sparse(
            "plain/holes",
            40 << 20,
            &[(1 << 20, 5000), (7 << 20, 1 << 20), (30 << 20, 1)],
        );
        self.sparse("plain/hole-only", 5_000_001, &[]);
        self.write("links/one", b"of one file");
        fs::hard_link(self.at("links/one"), self.at("links/two")).unwrap();
        fs::create_dir(self.at("links/below")).unwrap();
        fs::hard_link(self.at("links/one"), self.at("links/below/three")).unwrap();
        self.write("links/alike", b"of one file");
        self.write("links/large", &noise(2_000_000, 8));
        fs::hard_link(self.at("links/large"), self.at("links/zlarge")).unwrap();
        self.sparse("links/sparse", 2 << 20, &[(1 << 20, 4096)]);
        fs::hard_link(self.at("links/sparse"), self.at("links/zsparse")).unwrap();
    }

    fn names(&self) {
        let long = [b'\xe4'; 255];
        let names = [
            &long[..],
            b"\xff\xfe",
            b" ",
            b"a\nb",
            b"-rf",
            b"...",
            b"*",
            b"\\",
            b"\"",
            b"\x1b[2J",
        ];
        fs::create_dir(self.at("names")).unwrap();
        for (n, name) in names.iter().enumerate() {
            fs::write(self.at("names").join(OsStr::from_bytes(name)), [n as u8]).unwrap();
        }
        fs::create_dir(self.at("names").join(OsStr::from_bytes(b"\xf0dir"))).unwrap();
    }

    /// Twice as deep as a path may be long.
    fn deep(&self) {
        fs::create_dir(self.at("deep")).unwrap();
        let mut dir = File::open(self.at("deep")).unwrap();
        let name = OsStr::from_bytes(&[b'd'; 200]);
        for level in 0..41 {
            fs::write(entry_of(&dir, OsStr::new("file")), [level]).unwrap();
            fs::create_dir(entry_of(&dir, name)).unwrap();
            dir = File::open(entry_of(&dir, name)).unwrap();
        }
    }

    fn specials(&self) {
        fs::create_dir(self.at("specials")).unwrap();
        symlink("/nowhere/at/all", self.at("specials/dangling")).unwrap();
        symlink("../plain/small", self.at("specials/to-small")).unwrap();
        symlink(OsStr::from_bytes(b"\xfe\xff"), self.at("specials/to-bytes")).unwrap();
        symlink(
            OsStr::from_bytes(&[b'x'; 4095]),
            self.at("specials/to-long"),
        )
        .unwrap();
        fs::hard_link(self.at("specials/dangling"), self.at("specials/dangling-2")).unwrap();
        self.node("specials/pipe", FileType::Fifo, 0);
        fs::hard_link(self.at("specials/pipe"), self.at("specials/pipe-2")).unwrap();
        self.node("specials/socket", FileType::Socket, 0);
        self.chmod("specials/pipe", 0o602);
    }

    fn attributes(&self) {
        for (name, mode) in [
            ("set-user", 0o4755),
            ("set-group", 0o2755),
            ("sticky", 0o1644),
            ("read-only-file", 0o444),
        ] {
            self.write(&format!("attributes/{name}"), name.as_bytes());
            self.chmod(&format!("attributes/{name}"), mode);
        }
        for (name, mode) in [
            ("shared", 0o1777),
            ("inherits", 0o2770),
            ("read-only", 0o555),
        ] {
            self.write(&format!("attributes/{name}/inside"), b"inside");
            self.chmod(&format!("attributes/{name}"), mode);
        }
        self.write("attributes/labelled", b"labelled");
        self.xattr("attributes/labelled", "user.note", b"text");
        self.xattr("attributes/labelled", "user.bytes", b"\0\xff");
        self.xattr("attributes/labelled", "user.empty", b"");
        self.xattr("attributes/shared", "user.dir", &noise(1500, 3));
        self.write("attributes/listed/inside", b"inside");
        self.write("attributes/listed-file", b"listed");
        self.xattr("attributes/listed", "system.posix_acl_access", &acl_for(5));
        self.xattr("attributes/listed", "system.posix_acl_default", &acl_for(7));
        self.xattr(
            "attributes/listed-file",
            "system.posix_acl_access",
            &acl_for(6),
        );
    }

    fn of_root(&self) {
        let owners = [
            ("plain/small", 1234, 5678),
            ("specials/dangling", 77, 88),
            ("specials/pipe", 99, 0),
            ("attributes/set-user", 1234, 1234),
            ("attributes/shared", 4_000_000_000, 1),
        ];
        for (name, uid, gid) in owners {
            std::os::unix::fs::lchown(self.at(name), Some(uid), Some(gid)).unwrap();
        }
        self.chmod("attributes/set-user", 0o4755);
        self.chmod("attributes/shared", 0o1777);
        self.write("attributes/locked", b"locked");
        self.chmod("attributes/locked", 0);
        self.node(
            "specials/block",
            FileType::BlockDevice,
            rustix::fs::makedev(7, 300),
        );
        self.node(
            "specials/char",
            FileType::CharacterDevice,
            rustix::fs::makedev(1, 3),
        );
        self.xattr("specials/to-small", "trusted.of-link", b"x");
        self.xattr("specials/pipe", "trusted.of-pipe", b"y");
        self.xattr("plain/large", "trusted.of-file", b"z");
        // Version 2, effective, may bind to low ports.
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        self.write("attributes/capable", b"#!");
        self.xattr("attributes/capable", "security.capability", &capability);
    }

    /// What happens to a tree from one backup to the next.
    pub fn go_on(&self) {
        self.touch("plain/empty", 1_500_000_000, 5);
        let large = File::options()
            .write(true)
            .open(self.at("plain/large"))
            .unwrap();
        large.write_all_at(b"edited", 4_000_000).unwrap();
        let mut inserted = noise(2_000_000, 8);
        inserted.splice(700_000..700_000, *b"inserted");
        fs::write(self.at("links/large"), inserted).unwrap();
        fs::rename(self.at("names"), self.at("other-names")).unwrap();
        fs::rename(self.at("plain/small"), self.at("plain/renamed")).unwrap();
        fs::remove_file(self.at("links/two")).unwrap();
        fs::remove_file(self.at("specials/pipe")).unwrap();
        fs::remove_dir(self.at("plain/nothing-in-it")).unwrap();
        self.write("plain/nothing-in-it", b"a file now");
        fs::remove_file(self.at("plain/zeros")).unwrap();
        self.write("plain/zeros/is", b"a directory now");
        let holes = File::options()
            .write(true)
            .open(self.at("plain/holes"))
            .unwrap();
        holes.write_all_at(&noise(100_000, 4), 20 << 20).unwrap();
        self.chmod("attributes/shared", 0o700);
        self.chmod("attributes/set-group", 0o644);
        self.xattr("attributes/labelled", "user.note", b"another");
        let _ = rustix::fs::lremovexattr(self.at("attributes/labelled"), "user.bytes");
        let _ = rustix::fs::lremovexattr(self.at("attributes/listed"), "system.posix_acl_default");
        self.xattr(
            "attributes/listed-file",
            "system.posix_acl_access",
            &acl_for(4),
        );
    }

    /// What somebody does to a target before it is restored once more.
    pub fn spoil(&self) {
        let edit = |name: &str, offset: u64| {
            let file = File::options().write(true).open(self.at(name)).unwrap();
            file.write_all_at(b"spoilt", offset).unwrap();
        };
        edit("plain/large", 8_000_000);
        edit("plain/hole-first", 100);
        edit("plain/hole-only", 5_000_001);
        let punched = File::options()
            .write(true)
            .open(self.at("plain/zeros"))
            .unwrap();
        let punch = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(&punched, punch, 0, 200_000);
        File::options()
            .write(true)
            .open(self.at("plain/hole-last"))
            .unwrap()
            .set_len(1 << 20)
            .unwrap();
        fs::write(self.at("plain/empty"), b"full").unwrap();
        fs::remove_file(self.at("plain/small")).unwrap();
        fs::create_dir(self.at("plain/small")).unwrap();
        self.write("plain/small/surplus", b"x");
        fs::remove_dir(self.at("plain/nothing-in-it")).unwrap();
        symlink("..", self.at("plain/nothing-in-it")).unwrap();
        self.write("surplus/deep/inside", b"x");
        self.node("surplus/pipe", FileType::Fifo, 0);
        fs::remove_file(self.at("links/two")).unwrap();
        fs::write(self.at("links/two"), b"of one file").unwrap();
        fs::remove_file(self.at("links/alike")).unwrap();
        fs::hard_link(self.at("links/one"), self.at("links/alike")).unwrap();
        edit("links/zlarge", 5);
        fs::remove_file(self.at("specials/to-small")).unwrap();
        symlink("elsewhere", self.at("specials/to-small")).unwrap();
        fs::remove_file(self.at("specials/socket")).unwrap();
        fs::write(self.at("specials/socket"), b"a file").unwrap();
        self.chmod("specials/pipe", 0o666);
        self.chmod("attributes", 0o700);
        self.chmod("attributes/read-only", 0o755);
        self.write("attributes/read-only/surplus", b"x");
        self.chmod("attributes/read-only", 0o500);
        self.chmod("attributes/read-only-file", 0o666);
        fs::write(self.at("attributes/read-only-file"), b"spoilt").unwrap();
        self.chmod("attributes/read-only-file", 0o400);
        self.chmod("attributes/shared", 0o755);
        self.xattr("attributes/labelled", "user.note", b"spoilt");
        self.xattr("attributes/labelled", "user.surplus", b"spoilt");
        self.xattr(
            "attributes/set-group",
            "system.posix_acl_access",
            &acl_for(7),
        );
        self.xattr("attributes/shared", "system.posix_acl_default", &acl_for(7));
        let _ = rustix::fs::lremovexattr(self.at("attributes/listed"), "system.posix_acl_access");
        let _ = rustix::fs::lremovexattr(self.at("attributes/shared"), "user.dir");
        self.touch("plain/far-away", 5, 6);
        self.touch("specials", 5, 6);
        if self.as_root {
            std::os::unix::fs::lchown(self.at("plain/large"), Some(1), Some(2)).unwrap();
            std::os::unix::fs::lchown(self.at("specials/dangling"), Some(1), Some(2)).unwrap();
            let _ = rustix::fs::lremovexattr(self.at("attributes/capable"), "security.capability");
            self.xattr(
                "attributes/sticky",
                "security.capability",
                &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            );
        }
    }
}
