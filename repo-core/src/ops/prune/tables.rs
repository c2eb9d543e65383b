//! Index tables that name what goes, and small ones, are replaced by larger ones.

use super::Job;
use super::survey::Survey;
use crate::error::Result;
use crate::format::name::ObjectKind;
use crate::format::rows::{Blob, Block, PackEntry};
use crate::id::{IndexId, PackId};
use crate::index::Picture;
use crate::repo::{Repo, Tables, pack_object};
use std::collections::{HashMap, HashSet};

/// One with fewer is small.
const SMALL_BLOBS: u64 = 32 << 10;

/// So many small ones are merged.
const SMALL_MAX: usize = 16;

/// Tables to drop, and those that say what stays of them.
#[derive(Debug, Default)]
pub struct Replaced {
    pub drop: Vec<IndexId>,
    pub add: Vec<IndexId>,
    /// What kind of packs go.
    pub kinds: HashMap<PackId, ObjectKind>,
}

impl Replaced {
    /// Whether no table changes.
    pub fn is_empty(&self) -> bool {
        self.drop.is_empty()
    }
}

/// Stores the tables that replace those which name any of the packs `gone`, and small ones once there are many.
///
/// What stays is taken from the picture that showed the tables, whatever the index can tell by now: nothing is dropped that is not in
/// one of the new tables. Memory: one table, and 40 bytes, twice that for room, for each pack of tables that are replaced.
pub fn replace(job: &Job<'_>, survey: &Survey, gone: &[PackId]) -> Result<Replaced> {
    let repo = job.repo;
    let state = repo.state();
    let gone: HashSet<&PackId> = gone.iter().collect();
    let mut replaced = Replaced::default();
    let (mut small, mut stay) = (Vec::new(), HashSet::new());
    survey.picture.for_each_table(&mut |table, blobs, named| {
        if !state.has_table(&table) {
            return Ok(());
        }
        let mut ids = Vec::new();
        let mut names_gone = false;
        for number in named {
            let row = survey.picture.pack_row(number)?;
            if gone.contains(&row.id) {
                names_gone = true;
                replaced.kinds.insert(row.id, pack_object(row.kind));
            } else {
                ids.push(row.id);
            }
        }
        if names_gone {
            replaced.drop.push(table);
            stay.extend(ids);
        } else if blobs < SMALL_BLOBS {
            small.push((table, ids));
        }
        Ok(())
    })?;
    if !replaced.is_empty() && small.len() > 1 || small.len() > SMALL_MAX {
        for (table, ids) in small {
            replaced.drop.push(table);
            stay.extend(ids);
        }
    }
    replaced.add = store(job, &survey.picture, &stay)?;
    Ok(replaced)
}

/// Stores tables that name these packs.
fn store(job: &Job<'_>, picture: &Picture, packs: &HashSet<PackId>) -> Result<Vec<IndexId>> {
    let mut tables = Tables::new(job.repo);
    if !packs.is_empty() {
        for number in picture.packs() {
            if packs.contains(&picture.pack_row(number)?.id) {
                job.interrupt.check()?;
                tables.add(entry(job.repo, picture, number)?)?;
            }
        }
    }
    tables.finish()
}

/// Everything that tables of the picture say of a pack.
fn entry(repo: &Repo, picture: &Picture, number: u32) -> Result<PackEntry> {
    let mut entry = PackEntry::from(picture.pack_info(number)?);
    for at in picture.blocks_of(repo.index(), number)? {
        let block = entry.blocks.len() as u32;
        let first_base = match at.bases.len() {
            0 => 0,
            _ => entry.bases.len() as u32,
        };
        entry.blocks.push(Block {
            pack: 0,
            first_base,
            ..at.block
        });
        entry.bases.extend(at.bases);
        let blobs = at.blobs.into_iter();
        entry
            .blobs
            .extend(blobs.map(|(blob, _)| Blob { block, ..blob }));
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::prune::listing::Listing;
    use crate::ops::tests::prune::thorough;
    use crate::ops::tests::support::*;
    use crate::progress::Interrupt;

    /// The index may lose a table whose cached rows turned out to be damaged, after the survey and before its replacement is written.
    #[test]
    fn nothing_is_left_out_that_the_index_lacks_by_now() {
        let bed = Bed::new();
        for n in 1..4 {
            bed.write("file", &noise(n, 2 << 20));
            bed.backup(&bed.open()).unwrap();
        }
        let repo = bed.open();
        let job = Job {
            repo: &repo,
            options: &thorough(),
            progress: &Listener::default(),
            interrupt: &Interrupt::new(),
        };
        let survey = Survey::make(&job, &Listing::of(&repo).unwrap()).unwrap();
        let pack = |number| survey.picture.pack_row(number).unwrap().id;
        let mut packs: Vec<PackId> = survey.picture.packs().map(pack).collect();
        let gone = packs.remove(0);
        let entries = |packs: &[PackId]| -> Vec<Option<PackEntry>> {
            let entry = |pack| repo.index().pack_entry(pack).unwrap();
            packs.iter().map(entry).collect()
        };
        let before = entries(&packs);
        assert!(before.len() > 3 && before.iter().all(Option::is_some));
        let tables: Vec<IndexId> = repo.state().tables().map(|(id, _)| *id).collect();
        repo.index().forget_tables(&tables).unwrap();
        assert!(entries(&packs).iter().all(Option::is_none));
        let replaced = replace(&job, &survey, &[gone]).unwrap();
        assert_eq!(replaced.drop.len(), tables.len());
        for table in &replaced.add {
            let body = repo.load_table(table).unwrap();
            repo.index().add_table(*table, &body).unwrap();
        }
        assert_eq!(entries(&packs), before);
        assert_eq!(entries(&[gone]), [None]);
    }
}
