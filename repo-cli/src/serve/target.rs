//! From an address to what has it.

use repo_core::Result;
use repo_core::format::codec;
use repo_core::format::tree::{Content, FileContent, Node};
use repo_core::fs::Kind;
use repo_core::snapshot::SnapshotInfo;
use repo_core::time::Timestamp;
use repo_core::vfs::{Facts, NodeRef, Object, Spot, Top, View};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// What has an address.
#[derive(Debug, Clone)]
pub struct Target {
    /// The names on the way to it.
    pub names: Vec<Vec<u8>>,
    /// What it is.
    pub object: Object,
    /// What is known of it.
    pub facts: Facts,
    /// The snapshot that it lies in, and where.
    pub snapshot: Option<(Arc<SnapshotInfo>, PathBuf)>,
    /// Where its node stands, and then those of directories above it.
    spots: Vec<Spot>,
}

impl Target {
    /// What has these names; a link to a snapshot is followed, links in snapshots are not.
    pub fn find(view: &View, names: Vec<Vec<u8>>) -> Result<Option<Self>> {
        let root = view.root();
        let mut found = Self {
            facts: view.facts(&root)?,
            object: root,
            snapshot: None,
            spots: Vec::new(),
            names: Vec::new(),
        };
        for name in &names {
            let Some((object, facts)) = found.child(view, name)? else {
                return Ok(None);
            };
            found.enter(name, object, facts);
        }
        Ok(Some(Self { names, ..found }))
    }

    fn child(&self, view: &View, name: &[u8]) -> Result<Option<(Object, Facts)>> {
        match view.child(&self.object, name)? {
            Some((Object::Link(to), _)) => view.child(&self.object, &to),
            found => Ok(found),
        }
    }

    fn enter(&mut self, name: &[u8], object: Object, facts: Facts) {
        if let Some((_, path)) = &mut self.snapshot {
            path.push(OsStr::from_bytes(name));
        }
        match &object {
            Object::Snapshot(info) => self.snapshot = Some((info.clone(), PathBuf::from("/"))),
            Object::Node(spot) => self.spots.insert(0, *spot),
            _ => {}
        }
        (self.object, self.facts) = (object, facts);
    }

    /// Whether it is shown as a directory.
    pub fn is_dir(&self) -> bool {
        self.facts.kind() == Kind::Dir
    }

    /// Its node, if a snapshot describes it.
    pub fn node(&self) -> Option<&NodeRef> {
        match &self.facts {
            Facts::Node(node) => Some(node),
            Facts::Plain(_) => None,
        }
    }

    /// Its content and where it stands, if it is a file.
    pub fn file(&self) -> Option<(&NodeRef, &FileContent)> {
        let node = self.node()?;
        match &node.content {
            Content::File(file) => Some((node, file)),
            _ => None,
        }
    }

    /// Its spot and those of the directories above it.
    pub fn spots(&self) -> Vec<Spot> {
        self.spots.clone()
    }

    /// The name that it has in a file system.
    pub fn name(&self) -> &[u8] {
        match self.node() {
            Some(node) => &node.name,
            None => self.names.last().map_or(b"larder", Vec::as_slice),
        }
    }

    /// What holds it, and its path there, for those who read all of it; nothing of what holds several snapshots.
    pub fn top(&self) -> Option<(Top, PathBuf)> {
        let (tree, path) = match (&self.object, self.node()) {
            (Object::Snapshot(info), _) => (info.summary.root, PathBuf::from("/")),
            (Object::Node(spot), Some(node)) => {
                let path = PathBuf::from("/").join(OsStr::from_bytes(&node.name));
                (spot.tree, path)
            }
            _ => return None,
        };
        let folder = PathBuf::from("/");
        Some((Top { tree, folder }, path))
    }
}

/// When something changed last.
pub fn time_of(facts: &Facts) -> Timestamp {
    match facts {
        Facts::Plain(plain) => plain.time,
        Facts::Node(node) => node.mtime,
    }
}

/// The entity tag of a file: the same for the same content, whatever snapshot has it.
pub fn tag_of(node: &Node) -> Option<String> {
    match &node.content {
        Content::File(file) => {
            let hash = blake3::hash(&codec::encode(&(&file.size, &file.extents, &file.chunks)));
            Some(format!("\"{}\"", &hash.to_hex()[..32]))
        }
        _ => None,
    }
}
