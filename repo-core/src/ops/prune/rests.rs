//! What a `Deleting` says in clear that it rests on: whoever makes a copy without a key deletes nothing while any of it lacks.

use super::survey::Survey;
use super::tables::Replaced;
use crate::backend::Class;
use crate::error::Result;
use crate::format::checkpoint::TableRow;
use crate::format::entry::{ObjectRef, RESTS_ON_MAX};
use crate::format::table::TableView;
use crate::id::IndexId;
use crate::log::State;
use crate::repo::{Repo, pack_ref};
use std::collections::{BTreeSet, HashSet};

/// On class C everything is said each time, so that it has to be less.
const OF_CLASS_C_MAX: usize = 20_000;

/// The snapshots and tables that came into force since the last `Deleting` of packs, those tables that replace others now, and the packs that only such tables name. With what
/// earlier ones say it is all that snapshots may need once `deleted` has gone.
///
/// What tables that replace others name these have named. On class C an entry may yet come that the last `Deleting` has not seen: there it is all tables in force. `None` if that is too much to be said. Memory: 40 bytes for each pack.
pub fn on(
    repo: &Repo,
    survey: &Survey,
    state: &State,
    deleted: &[ObjectRef],
    replaced: &Replaced,
) -> Result<Option<Vec<ObjectRef>>> {
    let since = newest_deletion(state);
    let of_class_c = state.class() == Class::C;
    let live = state.live_snapshots();
    let new = live.filter(|(_, row)| of_class_c || row.number > since);
    let mut rests: HashSet<ObjectRef> = new.map(|(id, _)| ObjectRef::snapshot(id)).collect();
    rests.extend(replaced.add.iter().map(ObjectRef::table));
    if !deleted.iter().any(ObjectRef::is_pack) {
        return Ok(Some(rests.into_iter().collect()));
    }
    let is_new = |row: &TableRow| row.added > since || of_class_c;
    let new = state.tables().filter(|(_, row)| is_new(row));
    let mut unread: BTreeSet<IndexId> = new.map(|(id, _)| *id).collect();
    rests.extend(unread.iter().map(ObjectRef::table));
    let mut said_before = HashSet::new();
    survey.picture.for_each_table(&mut |id, _, packs| {
        let Some(row) = state.table(&id) else {
            return Ok(());
        };
        unread.remove(&id);
        for number in packs {
            let pack = survey.picture.pack_row(number)?;
            let pack = pack_ref(pack.kind, &pack.id);
            match is_new(row) {
                true => rests.insert(pack),
                false => said_before.insert(pack),
            };
        }
        Ok(())
    })?;
    for id in &unread {
        let body = repo.load_table(id)?;
        let view = TableView::parse(&body)?;
        for row in 0..view.packs.len() {
            let pack = view.packs.get(row)?;
            rests.insert(pack_ref(pack.kind, &pack.id));
        }
    }
    let deleted: HashSet<&ObjectRef> = deleted.iter().collect();
    rests.retain(|object| !said_before.contains(object) && !deleted.contains(object));
    let most = match state.class() {
        Class::A => RESTS_ON_MAX,
        Class::C => OF_CLASS_C_MAX,
    };
    let mut rests: Vec<ObjectRef> = rests.into_iter().collect();
    rests.sort_unstable();
    Ok((rests.len() <= most).then_some(rests))
}

/// The number of the newest entry that deletes a pack; 0 if there is none.
fn newest_deletion(state: &State) -> u64 {
    let packs = state.deleted().filter(|(object, _)| object.is_pack());
    packs.map(|(_, row)| row.number).max().unwrap_or(0)
}
