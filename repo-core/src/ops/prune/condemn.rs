//! Has written what is kept of packs that go, and condemns them.

use super::survey::Survey;
use super::{Job, PruneSummary, repack};
use crate::error::Result;
use crate::format::entry::{Action, NAMED_MAX};
use crate::id::{Domain, PackId};
use crate::repo::{WriteOptions, Writer};
use std::collections::{BTreeMap, HashSet};

/// Copies what is kept of the packs to be rewritten, and appends `Condemn`. Gives the packs that were written.
pub fn execute(
    job: &Job<'_>,
    survey: &Survey,
    summary: &mut PruneSummary,
) -> Result<HashSet<PackId>> {
    let mut tables = Vec::new();
    let mut own = HashSet::new();
    for ((domain, _), packs) in by_domain(survey)? {
        let options = WriteOptions {
            domain,
            ..WriteOptions::new(job.progress, job.interrupt)
        };
        let copy = |writer: &mut Writer<'_>| repack::copy_packs(job, survey, &packs, writer);
        let ((), written) = job.repo.write(options, copy)?;
        summary.written.count += written.own.len() as u64;
        summary.written.bytes += written.bytes_stored;
        tables.extend(written.tables);
        own.extend(written.own);
    }
    let (packs, objects) = (&survey.condemn.condemn, &survey.objects);
    if packs.is_empty() && objects.is_empty() {
        return Ok(own);
    }
    let (mut packs, mut objects) = (packs.chunks(NAMED_MAX), objects.chunks(NAMED_MAX));
    loop {
        let parts = (packs.next(), objects.next());
        if parts == (None, None) {
            break;
        }
        // It may rest on an older fold: what is needed is looked at again before anything is deleted.
        job.repo.append(&mut |_| {
            Ok(Some(Action::Condemn {
                packs: parts.0.unwrap_or_default().to_vec(),
                objects: parts.1.unwrap_or_default().to_vec(),
                index_add: tables.clone(),
                reprieve: Vec::new(),
            }))
        })?;
        // The first entry brings what is to be in force before anything goes.
        tables.clear();
    }
    let plan = &survey.plan;
    for sum in [plan.to_condemn, plan.to_rewrite, plan.strays] {
        summary.condemned.count += sum.count;
        summary.condemned.bytes += sum.bytes;
    }
    Ok(own)
}

/// The packs to be rewritten by what may lie beside each other; each list in the order in which they were written.
fn by_domain(survey: &Survey) -> Result<BTreeMap<(Domain, u8), Vec<u32>>> {
    let mut packs: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for number in &survey.condemn.repack {
        let row = survey.picture.pack_row(*number)?;
        let key = (row.domain, row.kind as u8);
        packs.entry(key).or_default().push(*number);
    }
    Ok(packs)
}
