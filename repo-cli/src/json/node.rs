//! Nodes of a snapshot as restic shows them.

use super::lossy;
use crate::text::rfc3339;
use repo_core::format::tree::{Content, Node};
use serde::Serialize;
use std::path::Path;

/// `ls`: one node.
#[derive(Serialize)]
pub struct ListedNode {
    pub name: String,
    #[serde(flatten)]
    pub node: ShownNode,
    pub message_type: &'static str,
    pub struct_type: &'static str,
}

impl ListedNode {
    /// The node at this path.
    pub fn new(path: &Path, node: &Node, mode: Mode) -> Self {
        Self {
            name: lossy(&node.name),
            node: ShownNode::new(path, node, mode),
            message_type: "node",
            struct_type: "node",
        }
    }
}

/// What `ls` and `find` say of a node.
#[derive(Serialize)]
pub struct ShownNode {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub path: String,
    pub uid: u32,
    pub gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    pub mode: u32,
    pub permissions: String,
    pub mtime: String,
    /// As with restic that of the change if none was recorded.
    pub atime: String,
    pub ctime: String,
    pub inode: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_target: Option<String>,
}

impl ShownNode {
    /// The node at this path.
    pub fn new(path: &Path, node: &Node, mode: Mode) -> Self {
        let (size, link_target) = match &node.content {
            Content::File(file) => (Some(file.size), None),
            Content::Symlink(target) => (None, Some(lossy(target))),
            _ => (None, None),
        };
        Self {
            kind: kind(&node.content),
            path: path.to_string_lossy().into_owned(),
            uid: node.uid,
            gid: node.gid,
            size,
            mode: mode.bits(),
            permissions: mode.to_string(),
            mtime: rfc3339(node.mtime, 0),
            atime: rfc3339(node.atime.unwrap_or(node.mtime), 0),
            ctime: rfc3339(node.ctime, 0),
            inode: node.inode,
            link_target,
        }
    }
}

/// Type and permissions of a node as Go, and so restic, writes them: letters of its own, bits of its own.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    bits: u32,
}

/// Go's bits above the nine of the permissions, each with the letter of `fs.FileMode.String`.
const GO_BITS: [(u32, char); 9] = [
    (1 << 31, 'd'),
    (1 << 27, 'L'),
    (1 << 26, 'D'),
    (1 << 25, 'p'),
    (1 << 24, 'S'),
    (1 << 23, 'u'),
    (1 << 22, 'g'),
    (1 << 21, 'c'),
    (1 << 20, 't'),
];

impl Mode {
    /// The mode of a node.
    pub fn of(node: &Node) -> Self {
        let kind = match node.content {
            Content::File(_) => 0,
            Content::Dir(_) => 1 << 31,
            Content::Symlink(_) => 1 << 27,
            Content::BlockDevice(_) => 1 << 26,
            Content::CharDevice(_) => 1 << 26 | 1 << 21,
            Content::Fifo => 1 << 25,
            Content::Socket => 1 << 24,
        };
        let mode = u32::from(node.mode);
        let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
        let special = special
            .iter()
            .filter(|(unix, _)| mode & unix != 0)
            .map(|(_, go)| go);
        Self {
            bits: kind | mode & 0o777 | special.sum::<u32>(),
        }
    }

    /// The number.
    pub fn bits(self) -> u32 {
        self.bits
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        match self.bits >> 9 {
            0 => f.write_char('-')?,
            _ => {
                let set = GO_BITS.iter().filter(|(bit, _)| self.bits & bit != 0);
                set.map(|(_, letter)| *letter)
                    .try_for_each(|letter| f.write_char(letter))?;
            }
        }
        for place in (0..9).rev() {
            let letter = ['x', 'w', 'r'][place % 3];
            f.write_char(if self.bits >> place & 1 == 1 {
                letter
            } else {
                '-'
            })?;
        }
        Ok(())
    }
}

/// restic's word for what a node is.
pub fn kind(content: &Content) -> &'static str {
    match content {
        Content::File(_) => "file",
        Content::Dir(_) => "dir",
        Content::Symlink(_) => "symlink",
        Content::Fifo => "fifo",
        Content::Socket => "socket",
        Content::BlockDevice(_) => "dev",
        Content::CharDevice(_) => "chardev",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::time::Timestamp;

    fn node(mode: u16, content: Content) -> Node {
        Node {
            name: b"n".to_vec(),
            mode,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
            atime: None,
            inode: 0,
            device: 0,
            links: 1,
            xattrs: Vec::new(),
            content,
            ext: Vec::new(),
        }
    }

    #[test]
    fn modes_are_those_of_go() {
        let mode = |mode, content| {
            let mode = Mode::of(&node(mode, content));
            (mode.bits(), mode.to_string())
        };
        assert_eq!(
            mode(0o644, Content::File(Default::default())),
            (0o644, "-rw-r--r--".into())
        );
        assert_eq!(
            mode(0o755, Content::Dir(None)),
            (0x8000_01ed, "drwxr-xr-x".into())
        );
        assert_eq!(
            mode(0o1777, Content::Dir(None)),
            (0x8010_01ff, "dtrwxrwxrwx".into())
        );
        assert_eq!(
            mode(0o777, Content::Symlink(vec![])),
            (0x0800_01ff, "Lrwxrwxrwx".into())
        );
        assert_eq!(
            mode(0o4755, Content::File(Default::default())).1,
            "urwxr-xr-x"
        );
        assert_eq!(mode(0o600, Content::CharDevice(0)).1, "Dcrw-------");
    }
}
