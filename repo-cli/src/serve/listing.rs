//! The page of a directory.

use super::Library;
use super::address::{encoded, field, href};
use super::html::{Page, shown, shown_text};
use super::reply::Reply;
use super::target::{Target, time_of};
use crate::text::{bytes, changed_words, local_time};
use hyper::StatusCode;
use repo_core::Result;
use repo_core::format::tree::Content;
use repo_core::fs::Kind;
use repo_core::ops::Changed;
use repo_core::snapshot::SnapshotInfo;
use repo_core::vfs::{Facts, Listed, NodeRef, Object};
use std::os::unix::ffi::OsStrExt;

/// Most entries of one page: those behind it have pages of their own.
const ENTRIES_MAX: usize = 1000;

/// Sends the page of a directory, from the entry on that the query says.
pub fn send(library: &Library, target: &Target, query: Option<&str>, reply: Reply) -> Result<()> {
    let from = field(query, "from").and_then(|text| String::from_utf8(text).ok()?.parse().ok());
    let mut page = Page::new(&target.names, true);
    page.add(&about(target));
    page.add("<table>\n<tr><th>Name<th class=\"number\">Size<th>Modified<th>\n");
    let (mut rows, mut next, mut before) = (0, None, None);
    library
        .view
        .list(&target.object, from.unwrap_or(0), &mut |listed| {
            rows += 1;
            page.add(&row(target, &listed, before.as_ref()));
            before = version(target, &listed);
            next = (rows == ENTRIES_MAX).then_some(listed.next);
            next.is_none()
        })?;
    page.add("</table>\n");
    if rows == 0 {
        page.add("<p class=\"quiet\">nothing is here\n");
    }
    if let Some(next) = next {
        page.add(&format!(
            "<p><a href=\"?from={next}\">further entries</a>\n"
        ));
    }
    page.send(StatusCode::OK, reply);
    Ok(())
}

/// What can be done with the directory as a whole.
fn about(target: &Target) -> String {
    let mut html = String::new();
    if let Some((info, _)) = &target.snapshot {
        html.push_str(&format!("<p class=\"quiet\">{}\n", of_snapshot(info)));
    }
    if let Some(Content::Dir(None)) = target.node().map(|node| &node.content) {
        html.push_str("<p>This directory could not be read when it was backed up.\n");
    } else if target.top().is_some() {
        html.push_str(
            "<p>download as <a href=\"?archive=zip\">zip</a>, <a href=\"?archive=tar\">tar</a> or <a href=\"?archive=tar.zst\">tar.zst</a>",
        );
        if let Some(versions) = versions_of(target) {
            html.push_str(&format!(
                "; <a href=\"{versions}\">versions</a> of this directory"
            ));
        }
        html.push('\n');
    }
    html
}

/// The address of the versions of something in a snapshot.
pub fn versions_of(target: &Target) -> Option<String> {
    let (_, path) = target.snapshot.as_ref()?;
    versions_at(path.as_os_str().as_bytes())
}

fn versions_at(path: &[u8]) -> Option<String> {
    let mut names = vec![b"versions".to_vec()];
    let parts = path
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty());
    names.extend(parts.map(<[u8]>::to_vec));
    (names.len() > 1).then(|| href(&names, true))
}

fn of_snapshot(info: &SnapshotInfo) -> String {
    let summary = &info.summary;
    let paths: Vec<_> = summary
        .paths
        .iter()
        .map(|path| String::from_utf8_lossy(path))
        .collect();
    let tags = match summary.tags.is_empty() {
        true => String::new(),
        false => format!(", {}", summary.tags.join(" ")),
    };
    let text = format!(
        "snapshot {}, {}, {}@{}{tags}: {}",
        info.id.short(),
        local_time(summary.time),
        summary.user,
        summary.host,
        paths.join(" ")
    );
    shown_text(&text)
}

/// The node of an entry among versions, which the next is compared with.
fn version(target: &Target, listed: &Listed<'_>) -> Option<(NodeRef, Vec<u8>)> {
    match (&target.object, &listed.facts) {
        (Object::Versions(_), Facts::Node(node)) => Some((node.clone(), listed.name.to_vec())),
        _ => None,
    }
}

fn row(target: &Target, listed: &Listed<'_>, before: Option<&(NodeRef, Vec<u8>)>) -> String {
    let kind = listed.facts.kind();
    // A link of ours leads to a snapshot; those of a backup lead nowhere.
    let is_dir = kind == Kind::Dir || matches!(listed.object, Object::Link(_));
    let slash = if is_dir { "/" } else { "" };
    let name = shown(listed.name);
    let address = encoded(listed.name);
    let name = match kind {
        Kind::File => format!("<a href=\"./{address}?view\">{name}</a>"),
        _ if is_dir => format!("<a href=\"./{address}/\">{name}{slash}</a>"),
        _ => name,
    };
    let size = match &listed.facts {
        Facts::Node(node) => match &node.content {
            Content::File(file) => bytes(file.size),
            _ => String::new(),
        },
        Facts::Plain(_) => String::new(),
    };
    format!(
        "<tr><td>{name}<td class=\"number\">{size}<td class=\"time\">{}<td class=\"quiet\">{}\n",
        local_time(time_of(&listed.facts)),
        note(target, listed, before)
    )
}

/// What else is said of an entry.
fn note(target: &Target, listed: &Listed<'_>, before: Option<&(NodeRef, Vec<u8>)>) -> String {
    match (&listed.object, &listed.facts) {
        (Object::Snapshot(info), _) => of_snapshot(info),
        (Object::Link(to), _) => format!("is {}", shown(to)),
        (_, Facts::Node(node)) => {
            let mut note = of_node(node);
            match (&target.object, before) {
                (Object::Versions(_), None) => note.push_str("first version"),
                (Object::Versions(_), Some((before, name))) => {
                    note.push_str(&compared(before, name, node, listed.name))
                }
                _ => {
                    if let Some((_, path)) = &target.snapshot
                        && let Some(address) = versions_at(
                            path.join(std::ffi::OsStr::from_bytes(listed.name))
                                .as_os_str()
                                .as_bytes(),
                        )
                    {
                        note.push_str(&format!("<a href=\"{address}\">versions</a>"));
                    }
                }
            }
            note
        }
        _ => String::new(),
    }
}

/// In what a version differs from the one before, and where that can be seen.
fn compared(before: &NodeRef, name: &[u8], node: &NodeRef, own: &[u8]) -> String {
    let words = Changed::between(before, node).map(|changed| changed_words(&changed).join(", "));
    let words = words.unwrap_or_else(|| "nothing".to_owned());
    match (&before.content, &node.content) {
        (Content::File(_), Content::File(_)) => format!(
            "changed: {words}; <a href=\"./{}?against={}\">compare</a>",
            encoded(own),
            encoded(name)
        ),
        _ => format!("changed: {words}"),
    }
}

fn of_node(node: &NodeRef) -> String {
    match &node.content {
        Content::Symlink(target) => format!("symbolic link to {} ", shown(target)),
        Content::Fifo => "named pipe ".to_owned(),
        Content::Socket => "socket ".to_owned(),
        Content::BlockDevice(_) | Content::CharDevice(_) => "device ".to_owned(),
        Content::File(_) | Content::Dir(_) => String::new(),
    }
}
