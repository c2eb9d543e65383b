//! Class C: backups, prunes, a forget and an unforget, announced and in every order; any of them may be taken for dead at any
//! time, and may go on all the same.

use super::backup::{At, Backup, Job, PACKS_MAX, PARENT, Site, draft, slot};
use super::prune_c::Prune;
use super::search::{Model, Step};
use super::setups::Setup;
use super::unforget_c::Unforget;
use super::world::{Bits, Draft, Log, Snap, World, nonce, numbers};
use crate::backend::Class;
use crate::crypto::Role;
use crate::format::entry::Action;
use crate::log::Announced;
use crate::log::mutant::{Rule, off};

/// The process number of the first prune, and of the unforget.
pub const PRUNES: u8 = 4;
pub const UNFORGET: u8 = 8;

/// One state of the whole.
#[derive(Debug, Clone, Copy)]
pub struct NodeC {
    pub site: Site,
    /// Who is announced, and who of them is taken for dead.
    pub announced: Bits,
    pub expired: Bits,
    pub backups: [Backup; 3],
    pub prunes: [Prune; 3],
    pub unforget: Unforget,
    pub forgotten: bool,
    protected: bool,
    pub wrong: Option<&'static str>,
}

impl NodeC {
    /// What a listing of `writers/` shows.
    pub fn listing(&self) -> Vec<Announced> {
        let announced = |process| Announced {
            nonce: nonce(process),
            expired: self.expired >> process & 1 == 1,
            deletes: (PRUNES..UNFORGET).contains(&process),
        };
        numbers(self.announced).map(announced).collect()
    }

    pub fn announce(&mut self, process: u8) {
        self.announced |= 1 << process;
    }

    pub fn leave(&mut self, process: u8) {
        self.announced &= !(1 << process);
        self.expired &= !(1 << process);
    }
}

/// The model.
pub struct ClassC {
    pub setup: Setup,
    pub world: World,
    start: Log,
}

impl ClassC {
    /// A model in its first state.
    pub fn new(setup: Setup) -> Self {
        let (world, start) = World::new(Class::C, &setup.first(), setup.condemned);
        Self {
            setup,
            world,
            start,
        }
    }

    /// Whether a process is fenced by what the log says now.
    pub fn fenced(&self, site: &Site, process: u8) -> bool {
        self.world.at(site.log).state.is_fenced(&nonce(process))
    }

    /// Puts an entry that was made on the fold `seen`.
    pub fn put(&mut self, site: &mut Site, seen: Log, key: &[u32], draft: impl FnOnce() -> Draft) {
        site.log = self.world.append(site.log, seen, key, draft);
    }

    fn backup(&mut self, node: &NodeC, who: usize, found: &mut Vec<(Step, NodeC)>) {
        let process = who as u8;
        let mut next = *node;
        let mut backup = node.backups[who];
        let what = match backup.at {
            At::Begin if !off(Rule::AnnounceFirst) => {
                next.announce(process);
                backup.at = At::Announced;
                "announce"
            }
            At::Begin | At::Announced => {
                backup.plan(&self.world, &next.site, &self.setup.jobs[who]);
                "plan"
            }
            At::Work => self.work(&mut next, &mut backup, process),
            At::Checked => {
                let job = &self.setup.jobs[who];
                let entry = backup.commit_entry(&self.world, &next.site, job, process);
                self.put_of_backup(&mut next.site, backup.seen, process, entry);
                backup = backup.ended(At::Put);
                "COMMIT"
            }
            At::Put => {
                let fenced = self.fenced(&next.site, process) && !off(Rule::LookAfterPut);
                backup = backup.ended(if fenced { At::Stopped } else { At::Done });
                next.leave(process);
                if fenced { "begin-again" } else { "done" }
            }
            At::Done | At::Stopped => return,
        };
        next.backups[who] = backup;
        found.push((
            Step {
                who: ('w', process),
                what,
            },
            next,
        ));
    }

    /// A step of a backup between its first look and its commit.
    fn work(&mut self, next: &mut NodeC, backup: &mut Backup, process: u8) -> &'static str {
        let job = self.setup.jobs[usize::from(process)];
        if next.announced >> process & 1 == 0 {
            next.announce(process);
            "announce"
        } else if backup.todo != 0 {
            backup.upload(&self.world, &mut next.site, &job);
            "upload"
        } else if self.fenced(&next.site, process) {
            *backup = backup.ended(At::Stopped);
            next.leave(process);
            "begin-again"
        } else if job.publish && !backup.published && backup.mine != 0 {
            let entry = backup.publish_entry(&next.site);
            self.put_of_backup(&mut next.site, backup.seen, process, entry);
            backup.published = true;
            "PUBLISH"
        } else {
            next.site.snaps |= backup.slot(process);
            backup.check(&self.world, &mut next.site, &job, process)
        }
    }

    fn put_of_backup(
        &mut self,
        site: &mut Site,
        seen: Log,
        process: u8,
        (key, action): (Vec<u32>, Action),
    ) {
        let key = [vec![u32::from(process)], key].concat();
        self.put(site, seen, &key, || draft(Some(process), action));
    }

    fn forget(&mut self, node: &NodeC, found: &mut Vec<(Step, NodeC)>) {
        if !self.setup.forget || node.forgotten {
            return;
        }
        let mut next = *node;
        next.forgotten = true;
        let action = Action::Forget {
            snapshots: vec![PARENT.id()],
        };
        let entry = || Draft {
            role: Role::Prune,
            process: None,
            action,
        };
        self.put(&mut next.site, node.site.log, &[6], entry);
        found.push((
            Step {
                who: ('f', 0),
                what: "FORGET",
            },
            next,
        ));
    }

    /// Somebody protects the first snapshot, as long as it is not forgotten.
    fn protect(&mut self, node: &NodeC, found: &mut Vec<(Step, NodeC)>) {
        if !self.setup.protect || node.protected {
            return;
        }
        let Some(log) = self.world.protect(node.site.log) else {
            return;
        };
        let mut next = *node;
        (next.protected, next.site.log) = (true, log);
        found.push((
            Step {
                who: ('k', 0),
                what: "PROTECT",
            },
            next,
        ));
    }

    fn expire(&self, node: &NodeC, found: &mut Vec<(Step, NodeC)>) {
        if node.expired.count_ones() >= self.setup.dead {
            return;
        }
        for process in numbers(node.announced & !node.expired) {
            let mut next = *node;
            next.expired |= 1 << process;
            found.push((
                Step {
                    who: ('p', process),
                    what: "taken-for-dead",
                },
                next,
            ));
        }
    }

    /// Somebody removes what settled entries say is deleted.
    fn sweep(&self, node: &NodeC, found: &mut Vec<(Step, NodeC)>) {
        if !self.setup.sweep {
            return;
        }
        let mut next = *node;
        let state = &self.world.at(node.site.log).state;
        for pack in node.site.packs_of(node.site.packs) {
            if state.may_remove(&pack.id().0) {
                next.site.packs &= !(1 << pack.no);
            }
        }
        if next.site.packs != node.site.packs {
            found.push((
                Step {
                    who: ('s', 0),
                    what: "rm",
                },
                next,
            ));
        }
    }
}

impl Model for ClassC {
    type Node = NodeC;

    fn start(&mut self) -> NodeC {
        let site = self.setup.site(self.start);
        NodeC {
            site,
            announced: 0,
            expired: 0,
            backups: Default::default(),
            prunes: Default::default(),
            unforget: Unforget::default(),
            forgotten: false,
            protected: false,
            wrong: None,
        }
    }

    fn next(&mut self, node: &NodeC, found: &mut Vec<(Step, NodeC)>) {
        assert!(
            usize::from(node.site.count) < PACKS_MAX,
            "a model makes few packs"
        );
        self.forget(node, found);
        self.protect(node, found);
        self.expire(node, found);
        self.sweep(node, found);
        for who in 0..self.setup.jobs.len() {
            self.backup(node, who, found);
        }
        for who in 0..self.setup.prunes {
            Prune::steps(self, node, who, found);
        }
        if self.setup.unforget {
            Unforget::step(self, node, found);
        }
    }

    fn violation(&mut self, node: &NodeC) -> Option<&'static str> {
        let log = self.world.at(node.site.log);
        let gone = |snap: &Snap| self.setup.objects && node.site.snaps & slot(*snap) == 0;
        let void = |(who, job): (usize, &Job)| {
            let backup = &node.backups[who];
            let id = backup.snap(job, who as u8).id();
            backup.at == At::Done && !log.state.is_live(&id)
        };
        if node.wrong.is_some() {
            node.wrong
        } else if log.lost(node.site.packs, node.site.tables) {
            Some("a blob is lost")
        } else if log.live.iter().any(gone) {
            Some("a snapshot is lost")
        } else if self.setup.jobs.iter().enumerate().any(void) {
            Some("a commit that was reported is void")
        } else if node.unforget.is_void(&log.state) {
            Some("an unforget that was reported is void")
        } else if log.diverges {
            Some("a fold depends on its order")
        } else {
            None
        }
    }

    fn encode(&self, node: &NodeC, bytes: &mut Vec<u8>) {
        node.site.encode(bytes);
        bytes.extend_from_slice(&node.announced.to_le_bytes());
        bytes.extend_from_slice(&node.expired.to_le_bytes());
        node.backups[..self.setup.jobs.len()]
            .iter()
            .for_each(|backup| backup.encode(bytes));
        let prunes = &node.prunes[..usize::from(self.setup.prunes)];
        prunes.iter().for_each(|prune| prune.encode(bytes));
        node.unforget.encode(bytes);
        let facts = [node.forgotten, node.protected, node.wrong.is_some()];
        bytes.extend(facts.map(u8::from));
    }
}
