//! A prune on class A: mark and repack, `Condemn`, check again, `Deleting`, delete.

use super::backup::{Site, orphans, slot};
use super::class_a::{ClassA, Node};
use super::world::{Bits, Draft, Log, Pack, Snap, blobs, numbers};
use crate::crypto::Role;
use crate::format::checkpoint::Tail;
use crate::format::entry::{Action, ObjectRef};
use crate::id::PackId;
use crate::log::mutant::{Rule, off};
use crate::log::{DeletePlan, may_append_deleting, plan_delete, plan_holds};
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
enum At {
    #[default]
    Begin,
    Marked,
    Condemned,
    Planned,
    Deleting,
    Done,
}

/// A prune under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prune {
    at: At,
    seen: Log,
    /// Packs to condemn, then to delete.
    packs: Bits,
    /// The pack of copies.
    copies: Bits,
    reprieve: Bits,
    /// Other objects to delete.
    tables: Bits,
    snaps: Bits,
}

fn bits_of(packs: &[PackId]) -> Bits {
    packs
        .iter()
        .fold(0, |bits, id| bits | 1 << Pack::of(&id.0).no)
}

impl Prune {
    /// One step, if there is one to take.
    pub fn step(&mut self, model: &mut ClassA, node: &mut Node, who: u8) -> Option<&'static str> {
        Some(match self.at {
            At::Begin => self.mark(model, &mut node.site, who),
            At::Marked => self.condemn(model, &mut node.site),
            At::Condemned => self.plan(model, &node.site, who),
            At::Planned => self.append(model, &mut node.site),
            At::Deleting => self.delete(model, node),
            At::Done => return None,
        })
    }

    fn mark(&mut self, model: &ClassA, site: &mut Site, who: u8) -> &'static str {
        let log = model.world.at(site.log);
        let orphans = orphans(&model.world, site);
        if off(Rule::OrphansFirst) && orphans != 0 {
            (self.at, self.packs) = (At::Deleting, orphans);
            return "orphans";
        }
        let ids: Vec<PackId> = site
            .packs_of(orphans)
            .iter()
            .map(|pack| pack.id())
            .collect();
        let (condemn, copy) = log.to_condemn(who, &ids);
        self.seen = site.log;
        self.packs = bits_of(&condemn);
        self.at = if self.packs == 0 {
            At::Condemned
        } else {
            At::Marked
        };
        if copy.is_empty() {
            return "mark";
        }
        let copies = copy.iter().fold(0, |bits, id| bits | 1 << id.0[0]);
        self.copies = 1 << site.put(copies, 0, 0).no;
        "repack"
    }

    /// What is condemned may rest on an old fold: it is looked at again before anything is deleted.
    fn condemn(&mut self, model: &mut ClassA, site: &mut Site) -> &'static str {
        let (packs, copies) = (site.packs_of(self.packs), site.packs_of(self.copies));
        let mut key = vec![4];
        key.extend(packs.iter().map(|pack| pack.key()));
        key.push(u32::MAX);
        key.extend(copies.iter().map(|pack| pack.key()));
        let action = Action::Condemn {
            packs: packs.iter().map(|pack| pack.id()).collect(),
            objects: vec![],
            index_add: copies.iter().map(|pack| pack.table()).collect(),
            reprieve: vec![],
        };
        let entry = || Draft {
            role: Role::Prune,
            process: None,
            action,
        };
        site.log = model.world.append(site.log, site.log, &key, entry);
        *self = Self {
            at: At::Condemned,
            ..Self::default()
        };
        "CONDEMN"
    }

    fn plan(&mut self, model: &ClassA, site: &Site, who: u8) -> &'static str {
        let log = model.world.at(site.log);
        let candidates: BTreeSet<PackId> = log.condemned.iter().map(|pack| pack.id()).collect();
        let plan = plan_delete(
            &log.state,
            &log.seen_by(who),
            &blobs(log.needed),
            &candidates,
        )
        .expect("catalogs in memory do not fail");
        self.take(plan, site.log);
        self.find_objects(model, site);
        match self.packs | self.tables | self.snaps {
            0 => {
                *self = Self {
                    at: At::Done,
                    ..Self::default()
                }
            }
            _ => self.at = At::Planned,
        }
        "plan"
    }

    fn take(&mut self, plan: DeletePlan, log: Log) {
        self.packs = bits_of(&plan.packs);
        self.reprieve = bits_of(&plan.reprieve);
        self.seen = log;
    }

    /// Objects that no entry wants: orphans, and those of forgotten snapshots.
    fn find_objects(&mut self, model: &ClassA, site: &Site) {
        if !model.setup.objects {
            return;
        }
        let state = &model.world.at(site.log).state;
        let unwanted = |object: &ObjectRef| !state.wants(object) && !state.is_deleted(&object.id);
        let tables = numbers(site.tables).filter(|no| unwanted(&site.pack(*no).table_object()));
        self.tables = tables.fold(0, |bits, no| bits | 1 << no);
        let snaps = all_snaps(model)
            .into_iter()
            .filter(|snap| site.snaps & slot(*snap) != 0);
        let snaps = snaps.filter(|snap| unwanted(&snap.object()));
        self.snaps = snaps.fold(0, |bits, snap| bits | slot(snap));
    }

    fn append(&mut self, model: &mut ClassA, site: &mut Site) -> &'static str {
        if off(Rule::EntryFirst) {
            self.at = At::Deleting;
            return "rm-first";
        }
        let planned_on = model.world.at(self.seen).state.tail().clone();
        if !may_append_deleting(&planned_on, &model.world.at(site.log).state) {
            return self.plan_again(model, site);
        }
        let gone = site.packs_of(self.packs);
        let log = model.world.at(site.log);
        let (tables, index_drop, index_add) = log.without(&gone);
        // The table of an orphan is not known by it; it is an orphan of its own.
        let orphans = site.packs_of(self.tables);
        let mut objects: Vec<ObjectRef> = gone.iter().map(|pack| pack.object()).collect();
        objects.extend(orphans.iter().map(|pack| pack.table_object()));
        objects.extend(tables.iter().map(ObjectRef::table));
        let snaps = all_snaps(model)
            .into_iter()
            .filter(|snap| self.snaps & slot(*snap) != 0);
        objects.extend(snaps.map(|snap| snap.object()));
        let spared = site.packs_of(self.reprieve);
        let mut key = vec![5, self.snaps.into()];
        key.extend(gone.iter().map(|pack| pack.key()));
        key.push(u32::MAX);
        key.extend(orphans.iter().map(|pack| pack.key()));
        key.push(u32::MAX);
        key.extend(spared.iter().map(|pack| pack.key()));
        let known = |no: &u8| log.knows(site.pack(*no));
        let tables = numbers(self.packs).filter(known);
        self.tables = tables.fold(self.tables, |bits, no| bits | 1 << no);
        let action = Action::Deleting {
            objects,
            index_drop,
            index_add,
            reprieve: spared.iter().map(|pack| pack.id()).collect(),
            fenced: vec![],
        };
        let entry = || Draft {
            role: Role::Prune,
            process: None,
            action,
        };
        site.log = model.world.append(site.log, site.log, &key, entry);
        (self.at, self.seen, self.reprieve) = (At::Deleting, 0, 0);
        "DELETING"
    }

    /// On a lost race only the entries in between are looked at, if they allow it.
    fn plan_again(&mut self, model: &ClassA, site: &Site) -> &'static str {
        if !plan_holds(&model.world.between(self.seen, site.log)) {
            *self = Self {
                at: At::Condemned,
                ..Self::default()
            };
            return "start-over";
        }
        let ids = |bits| site.packs_of(bits).iter().map(|pack| pack.id()).collect();
        let plan = DeletePlan {
            planned_on: Tail::default(),
            packs: ids(self.packs),
            reprieve: ids(self.reprieve),
            lost: vec![],
        };
        self.take(plan.renew(&model.world.at(site.log).state), site.log);
        self.find_objects(model, site);
        "plan-again"
    }

    fn delete(&mut self, model: &ClassA, node: &mut Node) -> &'static str {
        let state = &model.world.at(node.site.log).state;
        if let Some(no) = numbers(self.packs).next() {
            self.packs &= !(1 << no);
            node.site.packs &= !(1 << no);
            if !state.is_deleted(&node.site.pack(no).id().0) {
                node.wrong = Some("a pack was deleted that no entry names");
            }
            return "rm";
        }
        node.site.tables &= !self.tables;
        node.site.snaps &= !self.snaps;
        *self = Self {
            at: At::Done,
            ..Self::default()
        };
        "rm-others"
    }

    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.at as u8);
        if matches!(self.at, At::Begin | At::Done) {
            return;
        }
        bytes.extend_from_slice(&self.seen.to_le_bytes());
        for bits in [
            self.packs,
            self.copies,
            self.reprieve,
            self.tables,
            self.snaps,
        ] {
            bytes.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

/// Every snapshot that the model may have made.
fn all_snaps(model: &ClassA) -> Vec<Snap> {
    let mut snaps = vec![super::backup::PARENT];
    for (who, job) in model.setup.jobs.iter().enumerate() {
        let snap = |attempt| Snap {
            by: who as u8 + 1,
            attempt,
            holds: job.want as u8,
        };
        snaps.extend((0..4).map(snap));
    }
    snaps
}
