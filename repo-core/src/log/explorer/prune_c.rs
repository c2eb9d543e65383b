//! A prune on class C: announce, mark and repack, `Condemn`, list who is at work, wait, fence the dead, fold, `Deleting`, look
//! once more, delete.

use super::backup::{PARENT, Site, orphans, slot};
use super::class_c::{ClassC, NodeC, PRUNES};
use super::search::Step;
use super::world::{Bits, Draft, LATER, Log, Pack, Snap, blobs, nonce, numbers};
use crate::crypto::Role;
use crate::format::checkpoint::WaitingRow;
use crate::format::entry::{Action, ObjectRef};
use crate::id::{EntryHash, PackId};
use crate::log::mutant::{Rule, off};
use crate::log::{condemned_of, deletion_blockers, plan_delete, snapshots_to_spare};
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
enum At {
    #[default]
    Begin,
    Announced,
    Marked,
    Condemned,
    Listed,
    Clear,
    Planned,
    Put,
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
    copies: Bits,
    reprieve: Bits,
    /// Snapshot objects to delete.
    snaps: Bits,
    /// The fold before which everything condemned may be deleted once `waits` are gone.
    listed: Log,
    waits: Bits,
    /// Whether it goes by the `Waiting` entries of the fold `listed` instead.
    resumed: bool,
}

impl Prune {
    /// Every step that prune `who` can take.
    pub fn steps(model: &mut ClassC, node: &NodeC, who: u8, found: &mut Vec<(Step, NodeC)>) {
        let (process, mut next) = (PRUNES + who, *node);
        let mut prune = node.prunes[usize::from(who)];
        let at = prune.at;
        let what = match at {
            At::Begin => {
                if !off(Rule::PruneAnnounces) {
                    next.announce(process);
                }
                prune.at = At::Announced;
                "announce"
            }
            At::Announced => prune.mark(model, &mut next, process),
            At::Marked => prune.condemn(model, &mut next.site, process),
            At::Condemned => prune.list(model, &mut next, process),
            At::Listed => match prune.wait(model, &mut next, process) {
                Some(what) => what,
                None => return,
            },
            At::Clear => prune.plan(model, &mut next, process),
            At::Planned => prune.append(model, &mut next.site, process),
            At::Put => prune.look(model, &mut next, process),
            At::Deleting => prune.delete(model, &mut next, process),
            At::Done => return,
        };
        let mut push = |what, prune, mut next: NodeC| {
            next.prunes[usize::from(who)] = prune;
            found.push((
                Step {
                    who: ('g', who),
                    what,
                },
                next,
            ));
        };
        push(what, prune, next);
        let old = node.prunes[usize::from(who)];
        let rows = model
            .world
            .at(node.site.log)
            .state
            .waiting()
            .next()
            .is_some();
        if model.setup.resume && at == At::Announced && rows {
            let resumed = Self {
                at: At::Listed,
                listed: node.site.log,
                resumed: true,
                ..old
            };
            push("resume", resumed, *node);
        }
        if model.setup.resume && matches!(at, At::Listed) {
            let mut next = *node;
            next.leave(process);
            push(
                "leave",
                Self {
                    at: At::Done,
                    ..Self::default()
                },
                next,
            );
        }
    }

    fn stop(&mut self, node: &mut NodeC, process: u8) -> &'static str {
        node.leave(process);
        *self = Self {
            at: At::Done,
            ..Self::default()
        };
        "end"
    }

    fn mark(&mut self, model: &ClassC, node: &mut NodeC, process: u8) -> &'static str {
        if model.fenced(&node.site, process) {
            return self.stop(node, process);
        }
        let site = &mut node.site;
        let log = model.world.at(site.log);
        let ids = |bits| {
            site.packs_of(bits)
                .iter()
                .map(|pack| pack.id())
                .collect::<Vec<_>>()
        };
        let (condemn, copy) = log.to_condemn(process, &ids(orphans(&model.world, site)));
        self.seen = site.log;
        self.packs = bits_of(&condemn);
        let unsaid = |snap: &Snap| log.forgotten.contains(snap);
        if model.setup.objects && unsaid(&PARENT) {
            self.snaps = slot(PARENT);
        }
        // For the rule that the list comes later.
        self.waits = node.announced & !(1 << process);
        self.at = if self.packs | self.snaps == 0 {
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

    fn condemn(&mut self, model: &mut ClassC, site: &mut Site, process: u8) -> &'static str {
        let (packs, copies) = (site.packs_of(self.packs), site.packs_of(self.copies));
        let mut key = vec![process.into(), 4, self.snaps.into()];
        key.extend(packs.iter().map(|pack| pack.key()));
        key.push(u32::MAX);
        key.extend(copies.iter().map(|pack| pack.key()));
        let objects = if self.snaps == 0 {
            vec![]
        } else {
            vec![PARENT.object()]
        };
        let action = Action::Condemn {
            packs: packs.iter().map(|pack| pack.id()).collect(),
            objects,
            index_add: copies.iter().map(|pack| pack.table()).collect(),
            reprieve: vec![],
        };
        let entry = || Draft {
            role: Role::Prune,
            process: Some(process),
            action,
        };
        model.put(site, self.seen, &key, entry);
        *self = Self {
            at: At::Condemned,
            waits: self.waits,
            ..Self::default()
        };
        "CONDEMN"
    }

    fn list(&mut self, model: &mut ClassC, node: &mut NodeC, process: u8) -> &'static str {
        if model.fenced(&node.site, process) {
            return self.stop(node, process);
        }
        let log = model.world.at(node.site.log);
        if log.condemned.is_empty() && log.state.condemned_objects().next().is_none() {
            return self.stop(node, process);
        }
        if !off(Rule::ListAfterCondemn) {
            self.waits = node.announced & !(1 << process);
        }
        (self.at, self.listed) = (At::Listed, node.site.log);
        if !model.setup.resume {
            return "list";
        }
        // One entry for each `Condemn`.
        let state = &log.state;
        let hashes = state.condemned().map(|(_, by)| by.hash);
        let others = state.condemned_objects().map(|(_, by)| by.hash);
        let condemns: BTreeSet<EntryHash> = hashes.chain(others).collect();
        let forgotten: Vec<_> = log.forgotten.iter().map(|snap| snap.id()).collect();
        for condemn in condemns {
            let nonces = numbers(self.waits).map(nonce).collect();
            let word = u32::from_le_bytes(*condemn.0.first_chunk().expect("32 bytes"));
            let key = [process.into(), 9, word, self.waits.into()];
            let forgotten = forgotten.clone();
            let action = Action::Waiting {
                condemn,
                nonces,
                forgotten,
            };
            let entry = || Draft {
                role: Role::Prune,
                process: Some(process),
                action,
            };
            model.put(&mut node.site, self.listed, &key, entry);
        }
        "WAITING"
    }

    fn rows(&self, model: &ClassC) -> Vec<WaitingRow> {
        let log = model.world.at(self.listed);
        if self.resumed {
            return log.state.waiting().map(|(_, row)| row.clone()).collect();
        }
        vec![WaitingRow {
            condemn: EntryHash::default(),
            nonces: numbers(self.waits).map(nonce).collect(),
            forgotten: log.forgotten.iter().map(|snap| snap.id()).collect(),
        }]
    }

    /// Who is waited for is gone, or is fenced if it is taken for dead; `None` while somebody is at work.
    fn wait(&mut self, model: &mut ClassC, node: &mut NodeC, process: u8) -> Option<&'static str> {
        if model.fenced(&node.site, process) {
            return Some(self.stop(node, process));
        }
        let state = &model.world.at(node.site.log).state;
        let rows = self.rows(model);
        let blockers = deletion_blockers(state, &rows, &node.listing(), &nonce(process));
        if !blockers.dead.is_empty() {
            let fenced = state.fenced_now(&blockers.dead);
            let mut key = vec![process.into(), 10];
            key.extend(blockers.dead.iter().map(|nonce| u32::from(nonce[0])));
            let action = Action::Fence { fenced };
            let entry = || Draft {
                role: Role::Prune,
                process: Some(process),
                action,
            };
            let seen = node.site.log;
            model.put(&mut node.site, seen, &key, entry);
            return Some("FENCE");
        }
        if !blockers.none() {
            return None;
        }
        (self.at, self.seen) = (At::Clear, node.site.log);
        if off(Rule::FoldAfterWait) {
            self.seen = self.listed;
        }
        Some("all-gone")
    }

    fn plan(&mut self, model: &ClassC, node: &mut NodeC, process: u8) -> &'static str {
        if model.fenced(&node.site, process) {
            return self.stop(node, process);
        }
        if !off(Rule::FoldAfterWait) {
            self.seen = node.site.log;
        }
        let log = model.world.at(self.seen);
        let rows = self.rows(model);
        let rows: Vec<&WaitingRow> = rows.iter().collect();
        let candidates: BTreeSet<PackId> = match self.resumed {
            true => condemned_of(&log.state, &rows),
            false => model
                .world
                .at(self.listed)
                .condemned
                .iter()
                .map(|pack| pack.id())
                .collect(),
        };
        let spare = snapshots_to_spare(&log.state, &rows, LATER);
        let needed = spare
            .iter()
            .fold(0, |bits, id| bits | Bits::from(Snap::of(id).holds));
        let plan = plan_delete(
            &log.state,
            &log.seen_by(process),
            &blobs(needed),
            &candidates,
        )
        .expect("catalogs in memory do not fail");
        self.packs = bits_of(&plan.packs);
        self.reprieve = bits_of(&plan.reprieve);
        let listed = |object: ObjectRef| {
            let before = &model.world.at(self.listed).state;
            let was = before
                .condemned_objects()
                .any(|(condemned, _)| *condemned == object);
            was && !log.state.wants(&object) && !log.state.is_deleted(&object.id)
        };
        self.snaps = if listed(PARENT.object()) {
            slot(PARENT)
        } else {
            0
        };
        match self.packs | self.snaps {
            0 => self.stop(node, process),
            _ => {
                self.at = At::Planned;
                "plan"
            }
        }
    }

    fn append(&mut self, model: &mut ClassC, site: &mut Site, process: u8) -> &'static str {
        let gone = site.packs_of(self.packs);
        let spared = site.packs_of(self.reprieve);
        let log = model.world.at(self.seen);
        let (tables, index_drop, index_add) = log.without(&gone);
        let mut objects: Vec<ObjectRef> = gone.iter().map(|pack| pack.object()).collect();
        objects.extend(tables.iter().map(ObjectRef::table));
        if self.snaps != 0 {
            objects.push(PARENT.object());
        }
        let mut key = vec![process.into(), 5, self.snaps.into()];
        key.extend(gone.iter().map(|pack| pack.key()));
        key.push(u32::MAX);
        key.extend(spared.iter().map(|pack| pack.key()));
        let action = Action::Deleting {
            objects,
            index_drop,
            index_add,
            reprieve: spared.iter().map(|pack| pack.id()).collect(),
            fenced: log.state.cut_off_now(&nonce(process)),
        };
        let entry = || Draft {
            role: Role::Prune,
            process: Some(process),
            action,
        };
        model.put(site, self.seen, &key, entry);
        *self = Self {
            at: At::Put,
            packs: self.packs,
            snaps: self.snaps,
            ..Self::default()
        };
        "DELETING"
    }

    fn look(&mut self, model: &ClassC, node: &mut NodeC, process: u8) -> &'static str {
        if model.fenced(&node.site, process) && !off(Rule::LookAfterPut) {
            return self.stop(node, process);
        }
        self.at = At::Deleting;
        "look"
    }

    fn delete(&mut self, model: &ClassC, node: &mut NodeC, process: u8) -> &'static str {
        let state = &model.world.at(node.site.log).state;
        if let Some(no) = numbers(self.packs).next() {
            self.packs &= !(1 << no);
            let pack = node.site.pack(no);
            node.site.packs &= !(1 << no);
            if !state.is_deleted(&pack.id().0) {
                node.wrong = Some("a pack was deleted that no entry names");
            }
            return "rm";
        }
        node.site.snaps &= !self.snaps;
        self.stop(node, process);
        "rm-others"
    }

    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.at as u8);
        if matches!(self.at, At::Begin | At::Done) {
            return;
        }
        for log in [self.seen, self.listed] {
            bytes.extend_from_slice(&log.to_le_bytes());
        }
        bytes.push(u8::from(self.resumed));
        for bits in [
            self.packs,
            self.copies,
            self.reprieve,
            self.snaps,
            self.waits,
        ] {
            bytes.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

fn bits_of(packs: &[PackId]) -> Bits {
    packs
        .iter()
        .fold(0, |bits, id| bits | 1 << Pack::of(&id.0).no)
}
