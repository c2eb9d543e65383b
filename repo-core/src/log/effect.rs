//! What each kind of entry does to the state.
//!
//! Every effect is a maximum, a minimum or a union over numbers, and what is deleted stays so. Entries may therefore take
//! effect in any order (class C needs it), and on class A the newest wins because its number is the highest.

use super::mutant::{Rule, off};
use super::state::State;
use crate::backend::Class;
use crate::format::checkpoint::{Condemned, Deleted, SnapshotRow, TableRow, Terms, WaitingRow};
use crate::format::entry::{Action, EntryAt, Fenced, ObjectRef, SignedEntry};
use crate::format::name::ObjectKind;
use crate::id::{IndexId, PackId, SnapshotId};

impl State {
    /// Lets an entry that counts take effect.
    pub(super) fn take_effect(&mut self, signed: &SignedEntry) {
        let entry = &signed.entry;
        let (number, hash) = (entry.number, signed.hash);
        let sound = !self.in_doubt.contains(&hash);
        let Some(action) = &entry.action else { return };
        match action {
            Action::Roles { members, removed } => {
                self.set_roles(number, hash, members);
                for key in removed {
                    self.delete(ObjectKind::Key, key.0, number, true);
                }
            }
            Action::Settings(settings) => {
                let newest = self.settings.as_ref().map(|(n, h, _)| (*n, *h));
                if newest < Some((number, hash)) {
                    self.settings = Some((number, hash, settings.as_ref().clone()));
                }
            }
            Action::Class(class) => self.class = *class,
            Action::Forget { snapshots } => self.forget(snapshots, number),
            Action::Evidence { evidence } => {
                if !self.is_deleted(&evidence.0) {
                    let first = self.evidence.entry(*evidence).or_insert(number);
                    *first = number.min(*first);
                }
            }
            Action::Waiting {
                condemn,
                nonces,
                forgotten,
            } => {
                let row = WaitingRow {
                    condemn: *condemn,
                    nonces: nonces.clone(),
                    forgotten: forgotten.clone(),
                };
                self.waiting.insert(hash, row);
            }
            Action::Fence { fenced } => {
                for Fenced { nonce, seen } in fenced {
                    self.fences.entry(*nonce).or_default().extend(seen);
                }
            }
            Action::Void { entries } => {
                // Of class C what was damaged may have had the same number, and no other file comes to the same hash.
                let known = |entry: &&EntryAt| entry.number < number || self.class == Class::C;
                self.voided.extend(entries.iter().filter(known));
            }
            Action::Terms {
                snapshots,
                protected_until,
                expires,
            } => {
                let terms = Terms {
                    number,
                    protected_until: *protected_until,
                    expires: *expires,
                };
                self.set_terms(snapshots, terms);
            }
            Action::Promote { generation } => {
                self.generation = self.generation.max(*generation);
            }
            Action::Publish { .. }
            | Action::Commit { .. }
            | Action::Unforget { .. }
            | Action::Condemn { .. }
            | Action::Deleting { .. } => self.change_packs(signed, action, sound),
        }
    }

    /// What entries do that say which packs are there; those in doubt are not sound.
    fn change_packs(&mut self, signed: &SignedEntry, action: &Action, sound: bool) {
        let entry = &signed.entry;
        let (number, hash) = (entry.number, signed.hash);
        match action {
            Action::Publish { index } => self.add_tables(index, number, false, sound),
            Action::Commit {
                snapshot,
                index,
                reprieve,
                summary,
            } => {
                self.add_tables(index, number, true, sound);
                self.reprieve(reprieve, number, sound);
                let row = SnapshotRow {
                    number,
                    time: entry.time,
                    writer: signed.signer,
                    summary: summary.as_slice().into(),
                };
                self.add_snapshot(*snapshot, row);
            }
            Action::Unforget {
                snapshots,
                reprieve,
            } => {
                self.reprieve(reprieve, number, sound);
                self.unforget(snapshots, number);
            }
            Action::Condemn {
                packs,
                objects,
                index_add,
                reprieve,
            } => {
                let by = Condemned {
                    number,
                    hash,
                    time: entry.time,
                };
                self.condemn(packs, objects, by);
                self.add_tables(index_add, number, true, sound);
                self.reprieve(reprieve, number, sound);
            }
            Action::Deleting {
                objects,
                index_drop,
                index_add,
                reprieve,
                fenced,
            } => {
                self.add_tables(index_add, number, true, sound);
                self.reprieve(reprieve, number, sound);
                index_drop.iter().for_each(|table| self.drop_table(table));
                for object in objects {
                    self.delete(object.kind, object.id, number, sound);
                }
                self.cut_off(fenced);
            }
            _ => {}
        }
    }

    fn add_tables(&mut self, tables: &[IndexId], number: u64, committed: bool, sound: bool) {
        for table in tables {
            let gone = self.is_deleted(&table.0) || self.dropped.contains(table);
            if gone && !off(Rule::DeletedStays) {
                continue;
            }
            let new = TableRow {
                added: number,
                committed,
                sound,
            };
            let row = self.tables.entry(*table).or_insert(new);
            row.added = row.added.min(number);
            row.committed |= committed;
            row.sound |= sound;
        }
    }

    fn drop_table(&mut self, table: &IndexId) {
        self.tables.remove(table);
        if self.class == Class::C {
            self.dropped.insert(*table);
        }
    }

    fn add_snapshot(&mut self, id: SnapshotId, row: SnapshotRow) {
        if self.is_deleted(&id.0) {
            return;
        }
        let known = self.snapshots.get(&id);
        if known.is_none_or(|known| (row.number, row.writer) < (known.number, known.writer)) {
            self.snapshots.insert(id, row);
        }
    }

    fn forget(&mut self, snapshots: &[SnapshotId], number: u64) {
        for id in snapshots {
            if !self.is_deleted(&id.0) {
                let wanted = self.wanted.entry(*id).or_default();
                wanted.forgot = wanted.forgot.max(number);
            }
        }
    }

    fn unforget(&mut self, snapshots: &[SnapshotId], number: u64) {
        for id in snapshots {
            if !self.is_deleted(&id.0) {
                let wanted = self.wanted.entry(*id).or_default();
                wanted.kept = wanted.kept.max(number);
            }
        }
    }

    fn set_terms(&mut self, snapshots: &[SnapshotId], terms: Terms) {
        for id in snapshots {
            if !self.is_deleted(&id.0) {
                let row = self.terms.entry(*id).or_insert(terms);
                *row = row.or_newer(terms);
            }
        }
    }

    fn condemn(&mut self, packs: &[PackId], objects: &[ObjectRef], by: Condemned) {
        for id in packs {
            if !self.is_deleted(&id.0) {
                let row = self.packs.entry(*id).or_default();
                row.condemned = row.condemned.max(Some(by));
            }
        }
        for object in objects {
            if !self.is_deleted(&object.id) {
                let row = self.objects.entry(*object).or_insert(by);
                *row = by.max(*row);
            }
        }
    }

    /// A reprieve by an entry in doubt does not count: nobody may rely on it yet.
    fn reprieve(&mut self, packs: &[PackId], number: u64, sound: bool) {
        if !sound && !off(Rule::Quarantine) || off(Rule::Reprieve) {
            return;
        }
        for id in packs {
            if self.is_deleted(&id.0) {
                continue;
            }
            let row = self.packs.entry(*id).or_default();
            row.reprieved = row.reprieved.max(number);
            if self.class == Class::A && row.standing().is_none() {
                self.packs.remove(id);
            }
        }
    }

    fn delete(&mut self, kind: ObjectKind, id: [u8; 32], number: u64, sound: bool) {
        match kind {
            ObjectKind::Data | ObjectKind::Meta => {
                self.packs.remove(&PackId(id));
            }
            ObjectKind::Index => self.drop_table(&IndexId(id)),
            ObjectKind::Snapshot => {
                self.snapshots.remove(&SnapshotId(id));
                self.wanted.remove(&SnapshotId(id));
                self.terms.remove(&SnapshotId(id));
            }
            ObjectKind::Evidence => {
                self.evidence.remove(&crate::id::EvidenceId(id));
            }
            ObjectKind::State | ObjectKind::Key => {}
        }
        self.objects.remove(&ObjectRef { kind, id });
        let new = Deleted {
            kind,
            number,
            sound,
        };
        let row = self.deleted.entry(id).or_insert(new);
        row.number = row.number.min(number);
        row.sound |= sound;
    }

    /// What of a fenced process stands is what every `Deleting` that names it saw.
    pub(super) fn cut_off(&mut self, fenced: &[Fenced]) {
        for Fenced { nonce, seen } in fenced {
            match self.cut_off.get_mut(nonce) {
                Some(stand) => stand.retain(|hash| seen.contains(hash)),
                None => {
                    self.cut_off.insert(*nonce, seen.iter().copied().collect());
                }
            }
        }
    }
}
