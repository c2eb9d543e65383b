//! Removed key slots. They go whatever else lacks: nobody needs them, and somebody may have them who should not.

use super::deletions::deleted;
use super::listing::object_name;
use super::transfer::is_whole;
use super::{Job, Lacking, SyncSummary};
use crate::error::{Error, Result, Subject};
use crate::format::entry::ObjectRef;
use crate::format::name::ObjectKind;
use crate::progress::Progress;
use std::path::Path;

/// Those that are to be deleted in the replica. None, and a problem, if no whole one would be left there.
pub fn removed(job: &Job<'_>, lacking: &Lacking) -> Result<Vec<ObjectRef>> {
    let is_key = |object: &&ObjectRef| object.kind == ObjectKind::Key;
    let gone = deleted(job, lacking, &mut lacking.there.named.keys().filter(is_key))?;
    if gone.is_empty() || has_another(job, lacking, &gone)? {
        return Ok(gone);
    }
    let error = Error::missing(Subject::Object(ObjectKind::Key.folder().to_owned()));
    let detail = "no whole key slot would be left here, so that removed ones stay";
    let place = job.to.place();
    job.progress
        .problem(Path::new(&place), &error.detail(detail));
    Ok(Vec::new())
}

/// Deletes them.
pub fn delete(job: &Job<'_>, lacking: &mut Lacking, summary: &mut SyncSummary) -> Result<()> {
    for key in removed(job, lacking)? {
        job.delete(&object_name(&key), summary)?;
        lacking.there.named.remove(&key);
    }
    Ok(())
}

/// Whether the replica has a whole key slot besides these, or in a dry run would get one.
fn has_another(job: &Job<'_>, lacking: &Lacking, gone: &[ObjectRef]) -> Result<bool> {
    let mut others = Vec::new();
    job.to.list(ObjectKind::Key.folder(), &mut |found| {
        others.extend(ObjectKind::parse(&found.name).map(|(kind, id)| ObjectRef { kind, id }));
        Ok(())
    })?;
    let is_other = |key: &&ObjectRef| key.kind == ObjectKind::Key && !gone.contains(key);
    for key in others.iter().filter(is_other) {
        if is_whole(job.to, key)? {
            return Ok(true);
        }
    }
    let new = lacking.objects.iter().filter(|_| job.options.dry_run);
    for key in new.filter(is_other) {
        if is_whole(job.from, key)? {
            return Ok(true);
        }
    }
    Ok(false)
}
