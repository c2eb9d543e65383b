//! Names of users and groups.

use super::private::read_bounded;
use crate::error::{ErrorKind, Result};
use std::collections::HashMap;
use std::path::Path;

/// Bound for each of the two files: a million accounts at 64 bytes each.
const TABLE_BYTES_MAX: usize = 64 << 20;

/// The users and groups of a system, by number and by name, read once.
///
/// Source are the two files in `/etc` alone: LDAP and other name services are not asked, since the only way to them
/// is C code that the whole process must load. About 150 bytes an account. Never changes, so threads share it.
#[derive(Debug, Default)]
pub struct Owners {
    users: Table,
    groups: Table,
}

impl Owners {
    /// Reads `passwd` and `group` in `etc`, which is `/etc` unless another system's root is mounted somewhere.
    ///
    /// A file that does not exist counts as empty.
    pub fn load(etc: &Path) -> Result<Self> {
        Ok(Self {
            users: Table::load(&etc.join("passwd"))?,
            groups: Table::load(&etc.join("group"))?,
        })
    }

    /// Takes in what another system calls a user; the first name of a number stays.
    pub fn know_user(&mut self, uid: u32, name: &str) {
        self.users.names.entry(uid).or_insert_with(|| name.into());
    }

    /// The same for a group.
    pub fn know_group(&mut self, gid: u32, name: &str) {
        self.groups.names.entry(gid).or_insert_with(|| name.into());
    }

    /// The name of the user with this number.
    pub fn user(&self, uid: u32) -> Option<&str> {
        self.users.names.get(&uid).map(|name| &**name)
    }

    /// The name of the group with this number.
    pub fn group(&self, gid: u32) -> Option<&str> {
        self.groups.names.get(&gid).map(|name| &**name)
    }

    /// The number of the user with this name.
    pub fn uid(&self, user: &str) -> Option<u32> {
        self.users.numbers.get(user).copied()
    }

    /// The number of the group with this name.
    pub fn gid(&self, group: &str) -> Option<u32> {
        self.groups.numbers.get(group).copied()
    }
}

#[derive(Debug, Default)]
struct Table {
    names: HashMap<u32, Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Table {
    fn load(path: &Path) -> Result<Self> {
        match read_bounded(path, TABLE_BYTES_MAX) {
            Ok(bytes) => Ok(Self::parse(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Reads lines of `name:password:number:…`, as passwd(5) and group(5) have them in common.
    ///
    /// As in the C library the first line of a number or name wins; comments, NIS lines (`+…`) and what does not
    /// parse are passed over.
    fn parse(bytes: &[u8]) -> Self {
        let mut table = Self::default();
        for line in bytes.split(|&byte| byte == b'\n') {
            let mut fields = line.split(|&byte| byte == b':');
            let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let (Ok(name), Ok(number)) = (str::from_utf8(name), str::from_utf8(number)) else {
                continue;
            };
            let Ok(number) = number.parse::<u32>() else {
                continue;
            };
            if name.is_empty() || name.starts_with(['#', '+', '-']) {
                continue;
            }
            table.names.entry(number).or_insert_with(|| name.into());
            table.numbers.entry(name.into()).or_insert(number);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_both_ways() {
        let dir = tempfile::tempdir().unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n#no:x:5:5\n+nis:x:6\n\
                      bad:x:-1:0\nshort:x\n\nalice:x:1000:1000:A:/home/a:/bin/sh";
        std::fs::write(dir.path().join("passwd"), passwd).unwrap();
        let owners = Owners::load(dir.path()).unwrap();
        assert_eq!(
            owners.user(0),
            Some("root"),
            "the first line of a number wins"
        );
        assert_eq!(owners.uid("toor"), Some(0));
        assert_eq!(
            owners.uid("alice"),
            Some(1000),
            "a last line without newline counts"
        );
        assert_eq!(
            (owners.user(5), owners.user(6), owners.uid("bad")),
            (None, None, None)
        );
        assert_eq!(owners.group(0), None, "a file that is not there is empty");
        std::fs::write(dir.path().join("group"), "wheel:x:10:alice,bob\n").unwrap();
        let owners = Owners::load(dir.path()).unwrap();
        assert_eq!(
            (owners.group(10), owners.gid("wheel")),
            (Some("wheel"), Some(10))
        );
    }
}
