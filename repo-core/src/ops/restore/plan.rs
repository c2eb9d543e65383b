//! Walks the tree, makes what needs no data, and plans the rest window by window.

use super::attributes::{Wanted, note};
use super::execute::{Context, FilePlan, Window};
use super::links::{Fate, FirstName, no_link};
use super::place::{Place, Places};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::codec;
use crate::format::tree::{Content, FileContent, Node};
use crate::fs::{Existing, Kind, Target};
use crate::id::BlobId;
use crate::progress::{Counter, Progress};
use crate::tree::{ChunkRef, Nodes, for_each_chunk};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A directory on the walk's stack.
struct Frame {
    place: Arc<Place>,
    /// `None` if they could not be read.
    nodes: Option<Nodes>,
    wanted: Option<Wanted>,
}

/// Restores a tree below `target`.
pub fn restore_tree(context: &Context<'_>, target: Target, root: BlobId) -> Result<()> {
    let (places, place) = Places::new(target.into_root());
    let mut planner = Planner {
        context,
        places: &places,
        window: Window::default(),
        first_names: HashMap::new(),
    };
    let nodes = Nodes::open(context.repo, &root)?;
    let mut stack = vec![Frame {
        place,
        nodes: Some(nodes),
        wanted: None,
    }];
    while let Some(frame) = stack.last_mut() {
        context.interrupt.check()?;
        let node = match frame.nodes.as_mut().map(|nodes| nodes.next(context.repo)) {
            Some(Ok(Some(node))) => node,
            // A page that cannot be read costs what it names; the next ones are read.
            Some(Err(error)) => {
                context.problems.problem(&frame.place.path(), &error);
                continue;
            }
            Some(Ok(None)) | None => {
                let frame = stack.pop().expect("just looked at");
                planner.leave(frame);
                continue;
            }
        };
        let place = frame.place.clone();
        let path = || place.path_of(&node.name);
        match planner.node(&place, &node) {
            Ok(Some(below)) => stack.push(below),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => context.problems.problem(&path(), &error),
        }
        if planner.window.is_full() {
            planner.execute()?;
        }
    }
    planner.execute()
}

struct Planner<'a> {
    context: &'a Context<'a>,
    places: &'a Places,
    window: Window,
    /// The first names of what has several.
    first_names: HashMap<FileKey, Arc<FirstName>>,
}

/// What the names of one file have in common: device, inode, and a hash of what it holds. Numbers of devices change, so that
/// the first two alone may be those of two files.
type FileKey = (u64, u64, [u8; 32]);

/// `None` of what has one name only.
fn file_key(node: &Node) -> Option<FileKey> {
    let content = || blake3::hash(&codec::encode(&(&node.content, node.mtime)));
    let several = node.links > 1 && node.inode != 0;
    several.then(|| (node.device, node.inode, *content().as_bytes()))
}

impl Planner<'_> {
    fn node(&mut self, place: &Arc<Place>, node: &Node) -> Result<Option<Frame>> {
        match &node.content {
            Content::Dir(tree) => return self.dir(place, node, tree.as_ref()).map(Some),
            Content::File(file) => self.file(place, node, file)?,
            _ => self.special(place, node)?,
        }
        Ok(None)
    }

    fn dir(&mut self, place: &Arc<Place>, node: &Node, tree: Option<&BlobId>) -> Result<Frame> {
        let dir = self
            .places
            .open(place)?
            .create_dir(&node.name, Existing::Replace)?;
        let below = self.places.add(place, &node.name, dir);
        let wanted = Some(Wanted::of(node, self.context.options.no_owner, false));
        let opened = tree.map(|tree| Nodes::open(self.context.repo, tree));
        let nodes = opened.transpose().unwrap_or_else(|error| {
            self.context.problems.problem(&below.path(), &error);
            None
        });
        Ok(Frame {
            place: below,
            nodes,
            wanted,
        })
    }

    /// A directory gets its attributes once its window is written.
    fn leave(&mut self, frame: Frame) {
        if let Some(wanted) = frame.wanted {
            self.window.dirs.push((frame.place, wanted));
        }
    }

    fn file(&mut self, place: &Arc<Place>, node: &Node, file: &FileContent) -> Result<()> {
        let key = file_key(node);
        if let Some(first) = key.and_then(|key| self.first_names.get(&key)) {
            self.window.links.add(first.clone(), place.clone(), node);
            return Ok(());
        }
        let first = key.map(|key| {
            let first = FirstName::new(place, &node.name, Fate::Planned);
            self.first_names.insert(key, first.clone());
            first
        });
        let number = u32::try_from(self.window.files.len()).map_err(|_| {
            Error::new(ErrorKind::Unavailable, Subject::None).detail("window overflow")
        })?;
        let pieces_before = self.window.pieces.len();
        let planned = self.chunks(number, file);
        if let Err(error) = planned {
            self.window.pieces.truncate(pieces_before);
            first.inspect(|first| first.becomes(Fate::Lost));
            return Err(error);
        }
        let pieces = self.window.pieces.len() - pieces_before;
        self.context
            .problems
            .count(Counter::BytesExpected, file.size);
        self.window.files.push(FilePlan::new(
            place.clone(),
            node,
            file,
            Wanted::of(node, self.context.options.no_owner, false),
            pieces,
            first,
        ));
        Ok(())
    }

    /// Looks up where each chunk of a file lies.
    fn chunks(&mut self, number: u32, file: &FileContent) -> Result<()> {
        let (repo, window) = (self.context.repo, &mut self.window);
        let mut data_offset = 0;
        let flow = for_each_chunk(repo, &file.chunks, &mut |chunk| {
            let ChunkRef::Data(id) = chunk else {
                return Ok(ControlFlow::Continue(()));
            };
            let location = repo.locate(&id)?;
            data_offset += u64::from(location.blob_len);
            let from = data_offset - u64::from(location.blob_len);
            let pack = repo.index().pack_id_of(&location)?;
            window.add_piece(number, id, from, pack, location);
            Ok(ControlFlow::Continue(()))
        })?;
        debug_assert!(flow.is_continue());
        let expected = match &file.extents {
            Some(extents) => extents.iter().map(|(_, len)| len).sum(),
            None => file.size,
        };
        match data_offset == expected {
            true => Ok(()),
            false => {
                Err(Error::damaged(Subject::None).detail("chunks do not add up to the file's size"))
            }
        }
    }

    /// Links, pipes, sockets and devices; a further name of one is linked to the first.
    fn special(&mut self, place: &Arc<Place>, node: &Node) -> Result<()> {
        let key = file_key(node);
        let first = key.and_then(|key| self.first_names.get(&key));
        let linked = first.map(|first| first.link_to(self.places, place, &node.name));
        if !matches!(linked, Some(Ok(()))) {
            self.make_special(place, node)?;
        }
        self.context.counts.nodes.fetch_add(1, Ordering::Relaxed);
        match (linked, key) {
            (Some(linked), _) => linked.map_err(no_link),
            (None, Some(key)) => {
                let first = FirstName::new(place, &node.name, Fate::Written);
                self.first_names.insert(key, first);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    fn make_special(&self, place: &Arc<Place>, node: &Node) -> Result<()> {
        let dir = self.places.open(place)?;
        let kind = match &node.content {
            Content::Symlink(target) => {
                dir.symlink(target, &node.name, Existing::Replace)?;
                Kind::Symlink
            }
            Content::Fifo => self.make(&dir, node, Kind::Fifo, 0)?,
            Content::Socket => self.make(&dir, node, Kind::Socket, 0)?,
            Content::BlockDevice(rdev) => self.make(&dir, node, Kind::BlockDevice, *rdev)?,
            Content::CharDevice(rdev) => self.make(&dir, node, Kind::CharDevice, *rdev)?,
            Content::File(_) | Content::Dir(_) => return Ok(()),
        };
        let wanted = Wanted::of(node, self.context.options.no_owner, kind == Kind::Symlink);
        let applied = dir.apply_entry(&node.name, kind, &wanted.attributes())?;
        note(self.context, || place.path_of(&node.name), applied);
        Ok(())
    }

    fn make(&self, dir: &crate::fs::TargetDir, node: &Node, kind: Kind, rdev: u64) -> Result<Kind> {
        dir.node(&node.name, kind, rdev, Existing::Replace)?;
        Ok(kind)
    }

    fn execute(&mut self) -> Result<()> {
        std::mem::take(&mut self.window).execute(self.context, self.places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tree::Chunks;
    use crate::time::Timestamp;

    /// A name of a file with two names, always of the same device and inode.
    fn named(name: &[u8], second: i64, chunk: u8) -> Node {
        let file = FileContent {
            size: 1,
            chunks: Chunks::Direct(vec![BlobId([chunk; 32])]),
            ..FileContent::default()
        };
        let time = Timestamp::new(second, 0);
        Node {
            name: name.to_vec(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: time,
            ctime: time,
            atime: None,
            inode: 2,
            device: 1,
            links: 2,
            xattrs: Vec::new(),
            content: Content::File(file),
            ext: Vec::new(),
        }
    }

    #[test]
    fn names_are_of_one_file_only_if_they_hold_the_same() {
        let key = |name: &[u8], second, chunk| file_key(&named(name, second, chunk)).unwrap();
        let first = key(b"one", 5, 7);
        assert_eq!(key(b"other", 5, 7), first);
        assert_ne!(key(b"other", 5, 8), first, "another content");
        assert_ne!(key(b"other", 6, 7), first, "another time");
        let single = Node {
            links: 1,
            ..named(b"one", 5, 7)
        };
        assert_eq!(file_key(&single), None);
    }
}
