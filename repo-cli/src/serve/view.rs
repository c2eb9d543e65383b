//! The page of a file: its beginning, and what differs between two versions.

use super::Library;
use super::address::encoded;
use super::file::Bytes;
use super::html::{Page, shown};
use super::listing::versions_of;
use super::media::Media;
use super::reply::Reply;
use super::target::{Target, time_of};
use crate::preview;
use crate::text::{as_markup, bytes, local_time, printable};
use hyper::StatusCode;
use repo_core::Result;
use repo_core::ops::{TextDiff, TextSide, text_diff};
use repo_core::vfs::Found;
use std::sync::Arc;

/// So much of a file is shown, in so many lines.
const SHOWN_BYTES: u64 = 256 << 10;
const LINES_MAX: usize = 5000;

/// The largest picture that is shown.
const PICTURE_BYTES_MAX: u64 = 64 << 20;

/// The longest files that are compared: many may ask for that at a time.
const COMPARED_BYTES_MAX: u64 = 8 << 20;

/// The most of a comparison that is shown.
const DIFF_BYTES: usize = 1 << 20;

/// Sends the page of a file.
pub fn send(library: &Arc<Library>, target: &Target, reply: Reply) -> Result<()> {
    let Some((node, file)) = target.file() else {
        reply.text(StatusCode::NOT_FOUND, "is no file");
        return Ok(());
    };
    let name = encoded(target.names.last().map_or(&[], Vec::as_slice));
    let mut page = Page::new(&target.names, false);
    page.add(&format!(
        "<p>{}, {}; <a href=\"./{name}?download\">download</a>, <a href=\"./{name}\">raw</a>",
        bytes(file.size),
        local_time(time_of(&target.facts))
    ));
    if let Some(versions) = versions_of(target) {
        page.add(&format!(", <a href=\"{versions}\">versions</a>"));
    }
    page.add("\n");
    match Media::of(target.name()) {
        Media::Picture(_) if file.size <= PICTURE_BYTES_MAX => {
            page.add(&format!("<p><img src=\"./{name}\" alt=\"\">\n"));
        }
        _ => {
            let whole = file.size <= SHOWN_BYTES;
            let bytes =
                Bytes::new(library, target, (node, file))?.read(0..file.size.min(SHOWN_BYTES))?;
            let lines = preview::lines(&bytes, whole, LINES_MAX);
            page.add(&format!("<pre>{}</pre>\n", as_markup(&lines.join("\n"))));
            if !whole {
                page.add("<p class=\"quiet\">This is its beginning.\n");
            }
        }
    }
    page.send(StatusCode::OK, reply);
    Ok(())
}

/// Sends a page of what differs between a file and what has another name beside it.
pub fn compare(library: &Library, target: &Target, other: &[u8], reply: Reply) -> Result<()> {
    let mut names = target.names.clone();
    names.pop();
    names.push(other.to_vec());
    let one = Target::find(&library.view, names)?;
    let sizes = [one.as_ref(), Some(target)].map(|side| Some(side?.file()?.1.size));
    let (Some(one), [Some(left), Some(right)]) = (one, sizes) else {
        reply.text(StatusCode::NOT_FOUND, "only two files can be compared");
        return Ok(());
    };
    if left.max(right) > COMPARED_BYTES_MAX {
        let why =
            "files of more than 8 MiB are not compared here: `larder diff --content` does that";
        reply.text(StatusCode::PAYLOAD_TOO_LARGE, why);
        return Ok(());
    }
    let mut page = Page::new(&target.names, false);
    page.add(&format!("<p>compared with {}\n", shown(other)));
    let found = [&one, target].map(|side| found(library, side));
    let [Some(left), Some(right)] =
        [found[0].as_ref(), found[1].as_ref()].map(|side| side.ok().and_then(Option::as_ref))
    else {
        for side in found {
            side?;
        }
        reply.text(StatusCode::NOT_FOUND, "only two files can be compared");
        return Ok(());
    };
    let sides = [
        (left, other),
        (right, target.names.last().map_or(&[][..], Vec::as_slice)),
    ];
    let names = sides.map(|(_, name)| printable(&String::from_utf8_lossy(name)).into_owned());
    let diff = text_diff(
        library.view.repo(),
        (TextSide::Found(left), &names[0]),
        (TextSide::Found(right), &names[1]),
        library.interrupt,
    )?;
    page.add(&of_diff(diff));
    page.send(StatusCode::OK, reply);
    Ok(())
}

fn found(library: &Library, target: &Target) -> Result<Option<Found>> {
    let Some((top, path)) = target.top() else {
        return Ok(None);
    };
    top.find(library.view.repo(), &path).map(Some)
}

fn of_diff(diff: TextDiff) -> String {
    let text = match diff {
        TextDiff::Same => return "<p>The content is the same.\n".to_owned(),
        TextDiff::Binary => return "<p>The content differs, and is no text, or long.\n".to_owned(),
        TextDiff::Unified(text) => text,
    };
    let shown = &text[..text.len().min(DIFF_BYTES)];
    let lines = String::from_utf8_lossy(shown);
    let lines: Vec<String> = lines
        .lines()
        .map(|line| {
            line.split('\t')
                .map(|part| as_markup(&printable(part)))
                .collect::<Vec<_>>()
                .join("\t")
        })
        .collect();
    let more = match shown.len() < text.len() {
        true => "<p class=\"quiet\">There is more.\n",
        false => "",
    };
    format!("<pre>{}</pre>\n{more}", lines.join("\n"))
}
