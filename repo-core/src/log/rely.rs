//! Whom a prune relies on: the packs that stay and hold what lies in those that go. What the log says of them is no proof that they can be
//! read.

use super::check::decodes;
use super::prune::{DeletePlan, Inventory, Kept, Needed, Rows};
use super::state::{PackState, State};
use crate::error::Result;
use crate::format::rows::CopyAt;
use crate::id::PackId;
use std::collections::BTreeSet;

/// The packs that stay and hold what lies in a pack too that goes, whole or not: whoever condemns that one relies on them. Walks
/// through all blobs once if any has several copies, else not at all.
pub fn chosen_over(rows: &dyn Rows, kept: &Kept, condemn: &[PackId]) -> Result<Vec<PackId>> {
    if !kept.has_copies {
        return Ok(Vec::new());
    }
    let condemn: BTreeSet<&PackId> = condemn.iter().collect();
    let mut goes = vec![false; rows.pack_count() as usize];
    rows.for_each_pack(&mut |pack, id| {
        goes[pack as usize] = condemn.contains(id);
        Ok(())
    })?;
    let mut chosen = BTreeSet::new();
    rows.for_each_blob(&mut |_, _, copies| {
        let (stay, go): (Vec<&CopyAt>, Vec<&CopyAt>) =
            copies.iter().partition(|copy| !goes[copy.pack as usize]);
        if !go.is_empty() {
            let stay = stay.iter().filter(|copy| kept.has_row(copy.row));
            chosen.extend(stay.map(|copy| copy.pack));
        }
        Ok(())
    })?;
    let mut packs = Vec::new();
    rows.for_each_pack(&mut |pack, id| {
        packs.extend(chosen.contains(&pack).then_some(*id));
        Ok(())
    })?;
    Ok(packs)
}

/// The packs that stay and hold what is needed of those that go by that plan: one copy each, in a pack of `trusted` where there is one.
/// Whoever deletes those relies on these.
pub fn stand_ins(
    state: &State,
    inventory: &dyn Inventory,
    needed: &dyn Needed,
    plan: &DeletePlan,
    trusted: &BTreeSet<PackId>,
) -> Result<BTreeSet<PackId>> {
    let mut found: BTreeSet<PackId> = BTreeSet::new();
    for pack in &plan.packs {
        inventory.blobs(pack, &mut |blob, _| {
            if !needed.needs(blob)? {
                return Ok(());
            }
            let stays = |pack: &PackId| {
                let live = state.pack_state(pack) == PackState::Live;
                live || plan.reprieve.binary_search(pack).is_ok()
            };
            let known = |pack: &PackId| trusted.contains(pack) || found.contains(pack);
            let packs = match decodes(inventory, blob, &|pack| stays(pack) && known(pack))? {
                Some(packs) => Some(packs),
                None => decodes(inventory, blob, &stays)?,
            };
            found.extend(packs.unwrap_or_default());
            Ok(())
        })?;
    }
    Ok(found)
}
