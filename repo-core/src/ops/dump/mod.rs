//! Dump: a file of a snapshot as it is, or a directory as an archive, into whatever takes bytes.

mod acl;
mod pax;
mod tar;
mod zip;

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::tree::{Content, FileContent};
use crate::id::SnapshotId;
use crate::progress::{Counter, Interrupt, Note, Progress};
use crate::repo::{BlockCache, Repo};
use crate::vfs::{CONTENTS_CACHE_BYTES, Contents, Entry, Found, Top, read_contents_by};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a directory is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Archive {
    /// POSIX pax, with every attribute.
    #[default]
    Tar,
    /// The same in one zstd frame.
    TarZst,
    /// What every system opens; without extended attributes, pipes, devices, and which names are one file.
    Zip,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DumpSummary {
    /// Files, directories and others.
    pub nodes: u64,
    /// Regular files among them.
    pub files: u64,
    /// Bytes of these, holes included.
    pub bytes: u64,
    /// What such an archive cannot hold; each was told of.
    pub left_out: u64,
}

/// What of a snapshot is going to be written.
#[derive(Clone)]
pub struct Dump {
    found: Found,
    cache: Arc<BlockCache>,
}

impl Dump {
    /// Finds what has `path` in a snapshot, or in a folder of it. `NotFound` if nothing has; `InvalidInput` of what is neither a
    /// file nor a directory.
    pub fn find(
        repo: &Repo,
        snapshot: &SnapshotId,
        folder: Option<&Path>,
        path: &Path,
    ) -> Result<Self> {
        let _following = repo.follow();
        let top = Top::open(repo, snapshot, folder)?;
        Self::below(repo, &top, path)
    }

    /// The same of what has `path` below a top.
    pub fn below(repo: &Repo, top: &Top, path: &Path) -> Result<Self> {
        let _following = repo.follow();
        let found = top.find(repo, path)?;
        let cache = Arc::new(BlockCache::new(CONTENTS_CACHE_BYTES));
        let is = match found.node.as_ref().map(|node| &node.content) {
            None | Some(Content::File(_)) => return Ok(Self { found, cache }),
            Some(Content::Dir(_)) if found.tree.is_some() => return Ok(Self { found, cache }),
            Some(Content::Dir(_)) => "is a directory that could not be read when it was backed up",
            Some(Content::Symlink(_)) => "is a symbolic link, which is not followed",
            Some(_) => "is neither a file nor a directory",
        };
        let path = top.in_snapshot(&found.path);
        Err(Error::new(ErrorKind::InvalidInput, Subject::Path(path)).detail(is))
    }

    /// Has it use the cache of others, in place of one of its own.
    pub fn sharing(self, cache: Arc<BlockCache>) -> Self {
        Self { cache, ..self }
    }

    /// Whether an archive is written, and not the content of a file.
    pub fn is_archive(&self) -> bool {
        self.found.is_dir()
    }

    /// Writes it.
    ///
    /// The first thing that cannot be read ends it: what was written until then is no archive, and cannot be taken for one. The error
    /// is about the path that it concerns, and so is that of `out`, which stands underneath. Memory: as
    /// [`read_contents`](crate::vfs::read_contents) says; of zip, 150 bytes for each entry besides.
    pub fn write(
        self,
        repo: &Repo,
        archive: Archive,
        out: &mut dyn Write,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<DumpSummary> {
        let _following = repo.follow();
        let mut told = Told {
            summary: DumpSummary::default(),
            progress,
        };
        // Further names of a file are links in a tar; elsewhere each has the content.
        let links = self.is_archive() && archive != Archive::Zip;
        let is_archive = self.is_archive();
        let from = (self.found, links);
        read_contents_by(repo, self.cache, from, interrupt, |contents| {
            match (is_archive, archive) {
                (false, _) => file(contents, out, &mut told),
                (true, Archive::Tar) => tar::write(contents, out, &mut told),
                (true, Archive::TarZst) => tar::write_compressed(contents, out, &mut told),
                (true, Archive::Zip) => zip::write(contents, out, &mut told),
            }
        })?;
        Ok(told.summary)
    }
}

/// Writes one file.
fn file(contents: &mut Contents, out: &mut dyn Write, told: &mut Told<'_>) -> Result<()> {
    while let Some(entry) = contents.next_entry()? {
        if let Content::File(file) = &entry.node.content {
            let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(unwritten);
            contents.whole(file, &mut put)?;
            told.written(&entry);
        }
    }
    out.flush().map_err(unwritten)
}

/// Counts, and tells of what is left out.
struct Told<'a> {
    summary: DumpSummary,
    progress: &'a dyn Progress,
}

impl Told<'_> {
    fn written(&mut self, entry: &Entry) {
        self.summary.nodes += 1;
        self.progress.count(Counter::Nodes, 1);
        if let Content::File(FileContent { size, .. }) = entry.node.content {
            self.summary.files += 1;
            self.summary.bytes += size;
            self.progress.count(Counter::Bytes, size);
        }
    }

    fn left_out(&mut self, path: &Path, what: &str) {
        self.summary.left_out += 1;
        self.progress.note(Note::LeftOut { path, what });
    }
}

/// What takes the bytes took no more.
fn unwritten(cause: std::io::Error) -> Error {
    Error::io(Subject::None, cause).detail("write")
}

/// What an entry is called in an archive: its path from the root, without the slash that it begins with.
fn name_of(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_path_buf()
}
