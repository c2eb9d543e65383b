//! What a `Deleting` says in clear that it rests on: whoever makes a copy without a key deletes nothing while any of it lacks.

use super::survey::Survey;
use super::tables::Replaced;
use crate::backend::Class;
use crate::error::Result;
use crate::format::checkpoint::TableRow;
use crate::format::entry::{ObjectRef, RESTS_ON_MAX};
use crate::format::name::ObjectKind;
use crate::format::table::TableView;
use crate::id::IndexId;
use crate::log::State;
use crate::repo::{Repo, pack_object};
use std::collections::{BTreeSet, HashSet};

/// On class C everything is said each time, so that it has to be less.
const OF_CLASS_C_MAX: usize = 20_000;

/// The tables that came into force since the last `Deleting` of packs, those that replace others now, and the packs that only such tables name. With what
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
    let mut rests: HashSet<ObjectRef> = replaced.add.iter().map(table).collect();
    if !deleted.iter().any(ObjectRef::is_pack) {
        return Ok(Some(rests.into_iter().collect()));
    }
    let since = newest_deletion(state);
    let is_new = |row: &TableRow| row.added > since || state.class() == Class::C;
    let new = state.tables().filter(|(_, row)| is_new(row));
    let mut unread: BTreeSet<IndexId> = new.map(|(id, _)| *id).collect();
    rests.extend(unread.iter().map(table));
    let mut said_before = HashSet::new();
    survey.picture.for_each_table(&mut |id, _, packs| {
        let Some(row) = state.table(&id) else {
            return Ok(());
        };
        unread.remove(&id);
        for number in packs {
            let pack = survey.picture.pack_row(number)?;
            let pack = ObjectRef {
                kind: pack_object(pack.kind),
                id: pack.id.0,
            };
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
            rests.insert(ObjectRef {
                kind: pack_object(pack.kind),
                id: pack.id.0,
            });
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

fn table(id: &IndexId) -> ObjectRef {
    ObjectRef {
        kind: ObjectKind::Index,
        id: id.0,
    }
}
