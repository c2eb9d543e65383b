//! Walks the tree, makes what needs no data, and plans the rest window by window.

use super::attributes::Wanted;
use super::context::Context;
use super::file::{FilePlan, There};
use super::links::{Fate, FirstName};
use super::options::Chosen;
use super::place::{Place, Places, Presence};
use super::surplus::Surplus;
use super::window::Window;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, FileContent, Node};
use crate::fs::{Kind, Metadata, TargetDir, is_part_name};
use crate::id::BlobId;
use crate::tree::FirstNames;
use crate::tree::{ChunkRef, Nodes, data_len, does_not_add_up, for_each_chunk};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A directory on the walk's stack.
pub struct Frame {
    /// Where.
    pub place: Arc<Place>,
    /// Its tree.
    pub tree: Option<BlobId>,
    /// How far the selection got.
    pub chosen: Chosen,
    /// `None` if they could not be read, or are not meant.
    nodes: Option<Nodes>,
    wanted: Option<Wanted>,
    /// Whether all nodes could be read, so that what is not among them is not in the snapshot.
    is_whole: bool,
}

/// Restores a tree below `root`; in a dry run that need not be there. It gets the attributes of `wanted`, if there are any.
pub fn restore_tree(
    context: &Context<'_>,
    root: Option<TargetDir>,
    tree: BlobId,
    wanted: Option<Wanted>,
) -> Result<()> {
    let (places, place) = Places::new(root);
    let mut planner = Planner {
        context,
        places: &places,
        window: Window::default(),
        first_names: FirstNames::default(),
    };
    let nodes = Nodes::open(context.repo, &tree)?;
    let mut stack = vec![Frame {
        place,
        tree: Some(tree),
        chosen: context.options.selection.root(),
        nodes: Some(nodes),
        wanted,
        is_whole: true,
    }];
    while let Some(frame) = stack.last_mut() {
        context.go_on()?;
        let mut node = match frame.nodes.as_mut().map(|nodes| nodes.next(context.repo)) {
            Some(Ok(Some(node))) => node,
            // A page that cannot be read costs what it names; the next ones are read.
            Some(Err(error)) => {
                frame.is_whole = false;
                context.problem(&frame.place.path(), &error);
                continue;
            }
            Some(Ok(None)) | None => {
                let frame = stack.pop().expect("just looked at");
                planner.leave(frame)?;
                continue;
            }
        };
        let chosen = context.options.selection.enter(&frame.chosen, &node.name);
        let is_dir = matches!(node.content, Content::Dir(_));
        let is_wanted = chosen.selected || is_dir && chosen.below;
        if !is_wanted {
            continue;
        }
        if let Some(nodes) = &frame.nodes {
            context.options.own(nodes, &mut node);
        }
        let place = frame.place.clone();
        match planner.node(&place, &node, chosen) {
            Ok(Some(below)) => stack.push(below),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                context.others.add(|| place.path_of(&node.name));
                context.problem(&place.path_of(&node.name), &error);
            }
        }
        if planner.window.is_full(context.pieces_max) {
            planner.execute()?;
        }
    }
    planner.execute()
}

/// Plans node by node.
pub struct Planner<'a> {
    /// What every thread needs.
    pub context: &'a Context<'a>,
    /// Directories of the target.
    pub places: &'a Places,
    /// What is planned.
    pub window: Window,
    /// The first names of what has several.
    pub first_names: FirstNames<Arc<FirstName>>,
}

impl Planner<'_> {
    fn node(&mut self, place: &Arc<Place>, node: &Node, chosen: Chosen) -> Result<Option<Frame>> {
        if let Content::Dir(tree) = &node.content {
            return self.dir(place, node, tree.as_ref(), chosen);
        }
        if !self.ensure(place)? {
            return Ok(None);
        }
        if is_part_name(&node.name) {
            self.is_no_part(place, &node.name)?;
        }
        match &node.content {
            Content::File(file) => self.file(place, node, file, &chosen)?,
            _ => self.special(place, node, &chosen)?,
        }
        Ok(None)
    }

    fn dir(
        &mut self,
        place: &Arc<Place>,
        node: &Node,
        tree: Option<&BlobId>,
        chosen: Chosen,
    ) -> Result<Option<Frame>> {
        let below = Place::below(place, &node.name, Some(node.mtime));
        if chosen.selected && !self.ensure(&below)? {
            return Ok(None);
        }
        let tree = tree.filter(|_| chosen.below);
        let opened = tree.map(|tree| Nodes::open(self.context.repo, tree));
        let nodes = opened.transpose().unwrap_or_else(|error| {
            self.context.problem(&below.path(), &error);
            None
        });
        Ok(Some(Frame {
            place: below,
            tree: tree.copied(),
            chosen,
            is_whole: nodes.is_some(),
            nodes,
            wanted: Some(Wanted::of(node, self.context.options, false)),
        }))
    }

    /// A directory gets its attributes once its window is written; what is not in the snapshot goes now, to make room.
    fn leave(&mut self, frame: Frame) -> Result<()> {
        let Some(presence) = frame.place.presence() else {
            return Ok(());
        };
        let options = self.context.options;
        if options.delete && presence == Presence::Existing && frame.is_whole {
            // Patterns that match nothing of the snapshot are more likely wrong than meant to remove everything.
            if !(options.selection.is_partial() && self.is_nothing_restored()) {
                Surplus::new(self.context, self.places, &self.window).remove(&frame)?;
            }
        }
        // A target that nothing is restored to stays as it was made.
        let is_root = frame.place.above().is_none();
        if is_root && options.selection.is_partial() && self.is_nothing_restored() {
            return Ok(());
        }
        if let (Some(wanted), true) = (frame.wanted, presence.is_usable()) {
            self.window.add_dir(frame.place, wanted);
        }
        Ok(())
    }

    /// What has this name in a directory.
    pub fn found(&self, place: &Arc<Place>, name: &[u8]) -> Result<Option<Metadata>> {
        match place.is_fresh() {
            true => Ok(None),
            false => self.places.open(place)?.stat(name),
        }
    }

    /// Sees to it that a name can be taken: by what replaces an empty directory, once it is there; of what a directory may be
    /// removed with all that is in it, at once.
    pub fn make_way(
        &self,
        place: &Arc<Place>,
        name: &[u8],
        found: &Metadata,
        chosen: &Chosen,
    ) -> Result<()> {
        if found.kind != Kind::Dir {
            return Ok(());
        }
        let options = self.context.options;
        let dir = self.places.open(place)?;
        let is_empty = dir.open_dir(name)?.read()?.names()?.is_empty();
        let surplus = Surplus::new(self.context, self.places, &self.window);
        if is_empty || options.delete && surplus.remove_entry(place, name, chosen)? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable, Subject::None)
            .detail("a directory that is not empty is in its place"))
    }

    /// Takes a file into the window, with its chunks.
    pub(super) fn plan(&mut self, plan: FilePlan, file: &FileContent) -> Result<()> {
        let trusted = plan.there == There::Trusted;
        let mut first_piece = self.window.pieces.len();
        self.window.add_file(plan);
        let planned = match trusted {
            true => Ok(()),
            false => self.chunks(file, &mut first_piece),
        };
        let Err(error) = planned else {
            self.window.close_file(first_piece);
            return Ok(());
        };
        self.window.pieces.truncate(first_piece);
        if let Some(plan) = self.window.files.pop_if(|plan| !plan.begun) {
            self.context.file_expected(plan.size);
            plan.becomes(Fate::Lost);
            return Err(error);
        }
        self.window.close_file(first_piece);
        match self.window.files.last() {
            // Parts of it are written: it ends as a file that failed does.
            Some(plan) if error.kind() != ErrorKind::Interrupted => {
                plan.becomes(Fate::Lost);
                plan.fails(self.context, &error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Looks up where each chunk of the window's last file lies. Of a file with more chunks than a window may have, the
    /// first ones are written on the way.
    fn chunks(&mut self, file: &FileContent, first_piece: &mut usize) -> Result<()> {
        let repo = self.context.repo;
        let expected = data_len(file)?;
        let mut data_offset = 0;
        let flow = for_each_chunk(repo, &file.chunks, &mut |chunk| {
            let ChunkRef::Data(id) = chunk else {
                return Ok(ControlFlow::Continue(()));
            };
            if self.window.pieces.len() >= self.context.pieces_max {
                self.spill(*first_piece)?;
                *first_piece = 0;
            }
            let location = repo.locate(&id)?;
            let from = data_offset;
            data_offset += u64::from(location.blob_len);
            if data_offset > expected {
                return Err(does_not_add_up());
            }
            let pack = repo.index().pack_id_of(&location)?;
            self.window.add_piece(id, from, pack, location);
            Ok(ControlFlow::Continue(()))
        })?;
        debug_assert!(flow.is_continue());
        match data_offset == expected {
            true => Ok(()),
            false => Err(does_not_add_up()),
        }
    }

    /// Writes the window in the middle of its last file.
    fn spill(&mut self, first_piece: usize) -> Result<()> {
        self.window.close_file(first_piece);
        if let Some(file) = self.window.files.last_mut() {
            file.goes_on = true;
        }
        self.execute()
    }

    fn execute(&mut self) -> Result<()> {
        let window = std::mem::take(&mut self.window);
        let carried = window.execute(self.context, self.places)?;
        self.window.files.extend(carried);
        Ok(())
    }

    /// The snapshot has an entry of such a name as is given to what is not whole: it is neither taken for that, nor written
    /// while something else has it.
    fn is_no_part(&mut self, place: &Arc<Place>, name: &[u8]) -> Result<()> {
        place.is_taken(name);
        match self.window.has_part(place, name) {
            true => self.execute(),
            false => Ok(()),
        }
    }

    fn is_nothing_restored(&self) -> bool {
        let counts = self.context.counts;
        let counted = [&counts.nodes_expected, &counts.nodes_skipped];
        let counted = counted.map(|count| count.load(Ordering::Relaxed));
        counted == [0; 2] && self.window.files.is_empty()
    }
}
