//! Directories as JSON, a node a line.

use crate::app::App;
use crate::exit::Failure;
use crate::json::{Mode, escaped, kind, lossy};
use crate::selection::{self, Named};
use crate::terminal::Out;
use crate::text::rfc3339;
use repo_core::error::{Error, ErrorKind, Subject};
use repo_core::format::tree::{Chunks, Content, Leaf, Node, Tree};
use repo_core::id::BlobId;
use repo_core::repo::Repo;
use repo_core::snapshot::Filter;
use repo_core::tree::{find_node, load_blob};
use serde::Serialize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A node with restic's names for what is in it.
#[derive(Serialize)]
struct Shown {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: u32,
    mtime: String,
    atime: String,
    ctime: String,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    inode: u64,
    device_id: u64,
    links: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linktarget: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extended_attributes: Vec<Attribute>,
    content: Option<Vec<String>>,
    /// Of a large file: blobs that list its chunks, this many levels above them.
    #[serde(skip_serializing_if = "Option::is_none")]
    lists: Option<(u8, Vec<String>)>,
    /// Where data lies in a file with holes.
    #[serde(skip_serializing_if = "Option::is_none")]
    extents: Option<Vec<(u64, u64)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subtree: Option<String>,
}

/// An extended attribute, its value in base64.
#[derive(Serialize)]
struct Attribute {
    name: String,
    value: String,
}

/// Shows the directory of a snapshot, or the one of a tree blob. Memory: one page.
pub fn show(app: &App, repo: &Repo, named: &Named) -> Result<(), Failure> {
    let root = match selection::find(repo, &named.snapshot, &Filter::default()) {
        Ok(info) => info.summary.root,
        Err(failure) => match named.snapshot.parse() {
            Ok(blob) => blob,
            Err(_) => return Err(failure),
        },
    };
    let folder = named.subfolder.as_deref().unwrap_or(Path::new("/"));
    let tree = lookup(repo, root, folder)?;
    let mut out = app.terminal.out();
    let mut pages = vec![tree];
    let mut first = true;
    while let Some(page) = pages.pop() {
        match load_blob(repo, &page)? {
            Tree::Branch(branch) => pages.extend(branch.pages.iter().rev().map(|page| page.id)),
            Tree::Leaf(leaf) => {
                for node in &leaf.nodes {
                    begin(&mut out, "nodes", &mut first)?;
                    let text = serde_json::to_string(&Shown::new(&leaf, node));
                    out.text(&escaped(text.expect("structs of plain values")))?;
                }
            }
            Tree::Chunks(ids) => {
                for id in ids {
                    begin(&mut out, "chunks", &mut first)?;
                    out.text(&format!("\"{id}\""))?;
                }
            }
        }
    }
    if first {
        out.text("{\"nodes\":[")?;
    }
    out.text("\n]}\n")?;
    out.finish()
}

fn begin(out: &mut Out, what: &str, first: &mut bool) -> Result<(), Failure> {
    match std::mem::take(first) {
        true => out.text(&format!("{{\"{what}\":[\n")),
        false => out.text(",\n"),
    }
}

fn lookup(repo: &Repo, root: BlobId, folder: &Path) -> Result<BlobId, Failure> {
    let (mut tree, mut path) = (root, PathBuf::from("/"));
    for part in folder.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        path.push(name);
        let node = find_node(repo, &tree, name.as_bytes())?;
        let wrong = |detail: &'static str| {
            Error::new(ErrorKind::NotFound, Subject::Path(path.clone())).detail(detail)
        };
        tree = match node.map(|node| node.content) {
            Some(Content::Dir(Some(below))) => below,
            Some(_) => return Err(wrong("is no folder that could be read").into()),
            None => return Err(wrong("not in the snapshot").into()),
        };
    }
    Ok(tree)
}

impl Shown {
    fn new(leaf: &Leaf, node: &Node) -> Self {
        let name = |names: &[(u32, String)], number: u32| {
            let found = names.binary_search_by_key(&number, |(number, _)| *number);
            found.ok().map(|at| names[at].1.clone())
        };
        let mut shown = Self {
            name: lossy(&node.name),
            kind: kind(&node.content),
            mode: Mode::of(node).bits(),
            mtime: rfc3339(node.mtime, 0),
            atime: rfc3339(node.atime.unwrap_or(node.mtime), 0),
            ctime: rfc3339(node.ctime, 0),
            uid: node.uid,
            gid: node.gid,
            user: name(&leaf.users, node.uid),
            group: name(&leaf.groups, node.gid),
            inode: node.inode,
            device_id: node.device,
            links: node.links,
            size: None,
            linktarget: None,
            device: None,
            extended_attributes: node.xattrs.iter().map(Attribute::new).collect(),
            content: None,
            lists: None,
            extents: None,
            subtree: None,
        };
        let hex = |ids: &[BlobId]| ids.iter().map(BlobId::to_hex).collect::<Vec<_>>();
        match &node.content {
            Content::File(file) => {
                shown.size = Some(file.size);
                shown.extents.clone_from(&file.extents);
                match &file.chunks {
                    Chunks::Direct(ids) => shown.content = Some(hex(ids)),
                    Chunks::Lists { height, lists } => shown.lists = Some((*height, hex(lists))),
                }
            }
            Content::Dir(tree) => shown.subtree = tree.map(|tree| tree.to_hex()),
            Content::Symlink(target) => shown.linktarget = Some(lossy(target)),
            Content::BlockDevice(number) | Content::CharDevice(number) => {
                shown.device = Some(*number);
            }
            Content::Fifo | Content::Socket => {}
        }
        shown
    }
}

impl Attribute {
    fn new((name, value): &(Vec<u8>, Vec<u8>)) -> Self {
        Self {
            name: lossy(name),
            value: base64(value),
        }
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(*group.get(at).unwrap_or(&0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            let number = bits >> (18 - 6 * letter) & 63;
            text.push(match letter <= group.len() {
                true => char::from(LETTERS[number as usize]),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfb]), "//77");
    }
}
