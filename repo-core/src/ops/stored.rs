//! Whether what a file holds is stored, and may be relied on.

use crate::error::Result;
use crate::format::tree::Content;
use crate::index::Want;
use crate::repo::{Repo, Writer};
use crate::tree::{ChunkRef, for_each_chunk};
use std::ops::ControlFlow;

/// Whether every chunk of a file, and every list of them, lies in a pack that may be relied on; they are relied on then. Of what is no file
/// there is nothing to be looked for.
pub(super) fn still_stored(
    repo: &Repo,
    writer: &mut Writer<'_>,
    content: &Content,
) -> Result<bool> {
    let Content::File(file) = content else {
        return Ok(true);
    };
    let walked = for_each_chunk(repo, &file.chunks, &mut |chunk| {
        let (ChunkRef::Data(id) | ChunkRef::List(id)) = chunk;
        let relied_on = match repo.index().lookup(&id, Want::Live)? {
            Some(location) => writer.rely_on(&location)?,
            None => false,
        };
        Ok(match relied_on {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    });
    Ok(walked.is_ok_and(|flow| flow.is_continue()))
}
