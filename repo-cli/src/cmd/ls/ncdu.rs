//! The export format of ncdu: a directory is a list of itself and what is in it.
//!
//! <https://dev.yorhel.nl/ncdu/jsonfmt>, as restic writes it.

use crate::json::Snapshot;
use repo_core::format::tree::{Content, Node};
use repo_core::snapshot::SnapshotInfo;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What ncdu is told of a node.
#[derive(Serialize)]
struct Entry {
    name: String,
    asize: u64,
    dsize: u64,
    dev: u64,
    ino: u64,
    nlink: u64,
    notreg: bool,
    uid: u32,
    gid: u32,
    mode: u16,
    mtime: i64,
}

impl Entry {
    /// A node of this name. What it took on disk is not known: blocks of 512 bytes are assumed.
    fn new(name: String, node: &Node) -> Self {
        let size = super::size(node);
        Self {
            name,
            asize: size,
            dsize: size.div_ceil(512).saturating_mul(512),
            dev: node.device,
            ino: node.inode,
            nlink: node.links,
            notreg: !matches!(node.content, Content::File(_) | Content::Dir(_)),
            uid: node.uid,
            gid: node.gid,
            mode: node.mode,
            mtime: node.mtime.seconds,
        }
    }
}

/// Makes the text, node by node. Nodes come in order of their paths.
#[derive(Default)]
pub struct Writer {
    /// Directories that are not closed yet.
    open: Vec<PathBuf>,
}

impl Writer {
    /// What stands before the first node.
    pub fn begin(&mut self, info: &SnapshotInfo) -> String {
        format!(
            "[1, 2, {}, [{{\"name\":\"/\"}}",
            json(&Snapshot::from(info))
        )
    }

    /// One node. Directories above it that are not listed are only named.
    pub fn node(&mut self, path: &Path, node: &Node) -> String {
        let mut text = String::new();
        while self.open.last().is_some_and(|dir| !path.starts_with(dir)) {
            text.push_str(&self.close());
        }
        let open = self.open.last().map_or(Path::new("/"), PathBuf::as_path);
        let above: Vec<PathBuf> = path
            .ancestors()
            .skip(1)
            .take_while(|above| *above != open)
            .map(Path::to_owned)
            .collect();
        for above in above.into_iter().rev() {
            let name = json(&serde_json::json!({ "name": name(&above) }));
            text.push_str(&self.enter(above, &name));
        }
        let entry = json(&Entry::new(name(path), node));
        match node.content {
            Content::Dir(_) => text.push_str(&self.enter(path.to_owned(), &entry)),
            _ => {
                text.push_str(",\n");
                self.indent(&mut text);
                text.push_str(&entry);
            }
        }
        text
    }

    /// What stands behind the last node.
    pub fn finish(&mut self) -> String {
        let mut text = String::new();
        while !self.open.is_empty() {
            text.push_str(&self.close());
        }
        text.push_str("\n]\n]\n");
        text
    }

    fn enter(&mut self, path: PathBuf, entry: &str) -> String {
        let mut text = ",\n".to_owned();
        self.indent(&mut text);
        text.push_str("[\n");
        self.open.push(path);
        self.indent(&mut text);
        text.push_str(entry);
        text
    }

    fn close(&mut self) -> String {
        self.open.pop();
        let mut text = "\n".to_owned();
        self.indent(&mut text);
        text.push(']');
        text
    }

    fn indent(&self, text: &mut String) {
        text.push_str(&"  ".repeat(self.open.len() + 1));
    }
}

/// The last name of a path.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn json(value: &impl Serialize) -> String {
    crate::json::escaped(serde_json::to_string(value).expect("structs of plain values"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::format::snapshot::Summary;
    use repo_core::format::tree::FileContent;
    use repo_core::id::SnapshotId;
    use repo_core::time::Timestamp;

    fn node(content: Content) -> Node {
        Node {
            name: Vec::new(),
            mode: 0o4755,
            uid: 1,
            gid: 2,
            mtime: Timestamp::new(7, 5),
            ctime: Timestamp::default(),
            atime: None,
            inode: 3,
            device: 4,
            links: 2,
            xattrs: Vec::new(),
            content,
            ext: Vec::new(),
        }
    }

    fn written(paths: &[(&str, bool)]) -> serde_json::Value {
        let mut writer = Writer::default();
        let info = SnapshotInfo {
            id: SnapshotId([1; 32]),
            summary: Summary::default(),
        };
        let mut text = writer.begin(&info);
        for (path, is_dir) in paths {
            let node = node(match is_dir {
                true => Content::Dir(None),
                false => Content::File(FileContent {
                    size: 513,
                    ..FileContent::default()
                }),
            });
            text.push_str(&writer.node(Path::new(path), &node));
        }
        text.push_str(&writer.finish());
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// Names, a directory as a list.
    fn names(value: &serde_json::Value) -> String {
        match value.as_array() {
            Some(list) => format!("({})", list.iter().map(names).collect::<Vec<_>>().join(" ")),
            None => value["name"].as_str().unwrap().to_owned(),
        }
    }

    #[test]
    fn directories_nest() {
        let tree = [
            ("/a", true),
            ("/a/b", true),
            ("/a/b/c", false),
            ("/a/e", true),
            ("/a/f", false),
            ("/g", false),
        ];
        assert_eq!(names(&written(&tree)[3]), "(/ (a (b c) (e) f) g)");
        assert_eq!(names(&written(&[])[3]), "(/)");
        let filtered = [("/a/b", true), ("/a/b/c", false), ("/d", false)];
        assert_eq!(names(&written(&filtered)[3]), "(/ (a (b c)) d)");
    }

    #[test]
    fn entries_have_the_fields_of_ncdu() {
        let value = written(&[("/a", false)]);
        assert_eq!((&value[0], &value[1]), (&1.into(), &2.into()));
        assert!(value[2]["hostname"].is_string());
        let expected = serde_json::json!({
            "name": "a", "asize": 513, "dsize": 1024, "dev": 4, "ino": 3, "nlink": 2, "notreg": false, "uid": 1,
            "gid": 2, "mode": 0o4755, "mtime": 7,
        });
        assert_eq!(value[3][1], expected);
    }
}
