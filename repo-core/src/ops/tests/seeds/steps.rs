//! The operations of a round, each of a process of its own.

use super::super::prune::{prune_with, thorough};
use super::super::support::*;
use super::Run;
use crate::backend::Backend;
use crate::crypto::BlobType;
use crate::error::Result;
use crate::format::key_slot::{Credential, Label};
use crate::id::{PackId, SnapshotId, from_hex};
use crate::ops::{
    Became, CopyOptions, Harm, MaxUnused, PruneOptions, RecoverOptions, RepairIndexOptions,
    RepairLogOptions, RepairSnapshotsOptions, Replace, TagChange, copy, forget_ids, recover,
    repair_index, repair_log, repair_packs, repair_snapshots, tag, unforget,
};
use crate::progress::{Interrupt, Silent};
use crate::repo::Repo;
use crate::snapshot::{Filter, SnapshotInfo, list};
use std::sync::Arc;

/// What a process is asked to do.
#[derive(Debug, Clone, Copy)]
enum Step {
    Backup,
    Forget,
    Unforget,
    Prune,
    Restore,
    Check,
    CopyFrom,
    CopyTo,
    Tag,
    AddKey,
    RepairIndex,
    RepairPacks,
    RepairSnapshots,
    RepairLog,
    Recover,
}

/// As often as they stand here, of so many.
const STEPS: [Step; 24] = [
    Step::Backup,
    Step::Backup,
    Step::Backup,
    Step::Backup,
    Step::Backup,
    Step::Backup,
    Step::Forget,
    Step::Forget,
    Step::Unforget,
    Step::Prune,
    Step::Prune,
    Step::Prune,
    Step::Prune,
    Step::Restore,
    Step::Restore,
    Step::Check,
    Step::CopyFrom,
    Step::CopyTo,
    Step::Tag,
    Step::AddKey,
    Step::RepairIndex,
    Step::RepairPacks,
    Step::RepairSnapshots,
    Step::RepairLog,
];

impl Run {
    /// One operation of a process of its own.
    pub(super) fn step(&mut self) -> Result<()> {
        let step = match self.below(30) {
            0 => Step::Recover,
            _ => STEPS[self.below(STEPS.len() as u64) as usize],
        };
        let (seed, often) = (self.below(u64::MAX), [1, 3, 10][self.below(3) as usize]);
        self.tell(format!(
            "{step:?}, faults {often} times as often, by {seed}"
        ));
        let at = match step {
            Step::CopyTo => &self.other.place,
            _ => &self.bed.place,
        };
        let (faults, backend) = self.kind.way(at, seed, often, self.story.clone());
        let done = self.operate(step, backend);
        self.struck += faults.struck();
        done
    }

    fn operate(&mut self, step: Step, backend: Arc<dyn Backend>) -> Result<()> {
        let interrupt = Interrupt::new();
        if let Step::Backup = step {
            self.change();
        }
        if let Step::CopyTo = step {
            let from = self.bed.open();
            let to = self.other.open_on(backend)?;
            return self.copy(&from, &to);
        }
        let repo = self.bed.open_on(backend)?;
        match step {
            Step::Backup => self.back_up(&repo),
            Step::Forget => {
                let id = self.one_standing();
                self.forgotten.insert(id);
                forget_ids(&repo, &[id]).map(drop)
            }
            Step::Unforget => {
                let known = |id: &&SnapshotId| repo.state().snapshot(id).is_some();
                let ids: Vec<_> = self.forgotten.iter().filter(known).copied().collect();
                unforget(&repo, &ids, &Silent, &interrupt).map(drop)
            }
            Step::Prune => self.prune(&repo),
            Step::Restore => self.restore(&repo),
            Step::Check => self.check(&repo),
            Step::CopyFrom | Step::CopyTo => {
                let to = self.other.open();
                self.copy(&repo, &to)
            }
            Step::Tag => self.tag(&repo),
            Step::AddKey => {
                let second = Credential::password("second");
                let added = repo.key_add(&second, CHEAP, &Label::default());
                added.map(drop).map_err(|failure| failure.error)
            }
            Step::RepairIndex => {
                let options = RepairIndexOptions {
                    read_all_packs: self.below(2) == 0,
                    dry_run: false,
                };
                repair_index(&repo, &options, &Silent, &interrupt).map(drop)
            }
            Step::RepairPacks => {
                let packs = self.some_packs();
                repair_packs(&repo, &packs, false, &Silent, &interrupt).map(drop)
            }
            Step::RepairSnapshots => self.repair_snapshots(&repo),
            Step::RepairLog => {
                // What lies twice about an entry makes it look lost for good.
                let options = RepairLogOptions {
                    dry_run: self.kind.lies(),
                    ..RepairLogOptions::default()
                };
                repair_log(&repo, &options, &Silent, &interrupt).map(drop)
            }
            Step::Recover => {
                let options = RecoverOptions {
                    host: "host".into(),
                    user: "user".into(),
                    program: "test".into(),
                    utc_offset_min: 0,
                    dry_run: false,
                };
                recover(&repo, &options, &Silent, &interrupt).map(drop)
            }
        }
    }

    pub(super) fn back_up(&mut self, repo: &Repo) -> Result<()> {
        let tree = self.bed.tree();
        let (listener, interrupt) = (Listener::default(), Interrupt::new());
        let made = self.bed.backup_with(repo, &listener, &interrupt);
        assert_eq!(listener.problems(), [""; 0]);
        match made {
            Ok(made) => {
                self.made.insert(made.snapshot.unwrap(), tree);
                Ok(())
            }
            Err(e) => {
                self.tried.push(tree);
                Err(e)
            }
        }
    }

    fn prune(&mut self, repo: &Repo) -> Result<()> {
        let all = self.below(2) == 0;
        let options = PruneOptions {
            max_unused: match all {
                true => MaxUnused::Bytes(0),
                false => MaxUnused::Percent(20.0),
            },
            repack_small: self.below(2) == 0,
            ..thorough()
        };
        prune_with(repo, &options).map(drop)
    }

    fn restore(&mut self, repo: &Repo) -> Result<()> {
        let id = self.one_standing();
        if self.forgotten.contains(&id) || self.replaced.contains(&id) {
            return Ok(());
        }
        let restored = self.bed.restore(repo, &id)?;
        if restored.problems.is_empty() {
            assert_same(&restored.tree, &self.made[&id]);
        }
        Ok(())
    }

    fn check(&mut self, repo: &Repo) -> Result<()> {
        for finding in check_with(repo, true)?.findings {
            self.tell(format!("check: {}", finding.error));
            // A key that was being added stands in the log before its slot is there.
            let is_key = finding.error.to_string().contains("being added");
            if !(is_key && finding.harm == Harm::None) {
                self.kind.assert_clear(&finding.error);
            }
        }
        Ok(())
    }

    /// Copies everything; what was copied before is found to be.
    fn copy(&mut self, from: &Repo, to: &Repo) -> Result<()> {
        let snapshots = list(from, &Filter::default()).snapshots;
        let mut told = |info: &SnapshotInfo, became| {
            if let (Became::Copied(copy) | Became::There(copy), Some(tree)) =
                (became, self.made.get(&info.id))
            {
                self.copied.insert(copy, tree.clone());
            }
        };
        let (options, interrupt) = (CopyOptions::default(), Interrupt::new());
        copy(
            from, to, &snapshots, &options, &mut told, &Silent, &interrupt,
        )
        .map(drop)
    }

    fn tag(&mut self, repo: &Repo) -> Result<()> {
        let id = self.one_standing();
        let mut of = list(repo, &Filter::default()).snapshots;
        of.retain(|info| info.id == id);
        let change = TagChange::Set(vec![format!("tag{}", self.below(1000))]);
        self.replaced.insert(id);
        for derived in tag(repo, &of, &change, false, &Interrupt::new())? {
            self.took_place(&derived.old, derived.new);
        }
        Ok(())
    }

    /// `new` is another form of `old`, which is forgotten.
    fn took_place(&mut self, old: &SnapshotId, new: Option<SnapshotId>) {
        self.forgotten.insert(*old);
        if let (Some(new), Some(tree)) = (new, self.made.get(old).cloned()) {
            self.made.insert(new, tree);
            let first = self.first_form(old);
            self.first_forms.insert(new, first);
        }
    }

    fn some_packs(&mut self) -> Vec<PackId> {
        let kind = [BlobType::Data, BlobType::Tree][self.below(2) as usize];
        let folder = match kind {
            BlobType::Data => "data",
            BlobType::Tree => "meta",
        };
        let names = names(&self.bed.place, folder);
        let id = |name: &String| PackId::from_slice(&from_hex(name.rsplit('/').next()?)?);
        let packs: Vec<PackId> = names.iter().filter_map(id).collect();
        let which = self.below(packs.len().max(1) as u64) as usize;
        packs.get(which).into_iter().copied().collect()
    }

    /// Where a place shows as lost what is not, the old ones stay.
    fn repair_snapshots(&mut self, repo: &Repo) -> Result<()> {
        let options = RepairSnapshotsOptions {
            suffix: ".repaired".into(),
            read_data: self.below(2) == 0,
            replace: Replace {
                forget: self.below(2) == 0 && !self.kind.misleads(),
                dry_run: false,
            },
        };
        let snapshots = list(repo, &Filter::default()).snapshots;
        let repaired = repair_snapshots(repo, &snapshots, &options, &Silent, &Interrupt::new())?;
        let whole = repaired.changed.is_empty() && repaired.hopeless.is_empty();
        assert!(whole || self.kind.misleads(), "{:?}", repaired.changed);
        Ok(())
    }
}
