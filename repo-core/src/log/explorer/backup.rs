//! A backup as both models run it: look up, upload, check, commit. Each method is one step.

use super::world::{Bits, Draft, Log, Pack, Snap, With, World, blob, numbers, packs_of};
use crate::backend::Class;
use crate::crypto::Role;
use crate::format::entry::Action;
use crate::id::{IndexId, PackId, SnapshotId};
use crate::log::mutant::{Rule, off};
use crate::log::testing::Rests;
use crate::log::{CommitCheck, Lost, PackState, check_commit, decodes};

/// Most packs that one run of a model makes.
pub const PACKS_MAX: usize = 12;

/// How many blobs there are.
pub const BLOBS: usize = 4;

/// What lies on the backend, and the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Site {
    pub log: Log,
    pub made: [Pack; PACKS_MAX],
    pub count: u8,
    pub packs: Bits,
    pub tables: Bits,
    pub snaps: Bits,
}

impl Site {
    /// Puts a new pack and its table.
    pub fn put(&mut self, whole: Bits, delta: Bits, base: u8) -> Pack {
        let pack = Pack {
            no: self.count,
            whole: whole as u8,
            delta: delta as u8,
            base,
        };
        self.made[usize::from(self.count)] = pack;
        self.packs |= 1 << self.count;
        self.tables |= 1 << self.count;
        self.count += 1;
        pack
    }

    pub fn pack(&self, no: u8) -> Pack {
        self.made[usize::from(no)]
    }

    pub fn packs_of(&self, bits: Bits) -> Vec<Pack> {
        numbers(bits).map(|no| self.pack(no)).collect()
    }

    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.log.to_le_bytes());
        for pack in &self.made[..usize::from(self.count)] {
            bytes.extend_from_slice(&pack.key().to_be_bytes());
        }
        for bits in [self.packs, self.tables, self.snaps] {
            bytes.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

/// What a backup is to store, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Job {
    /// The blobs of its source.
    pub want: Bits,
    /// Those of them that the first snapshot lends unseen, if it is live.
    pub lend: Bits,
    /// A blob to store on a base, and that base.
    pub delta: Option<(u8, u8)>,
    /// Whether it publishes what it uploaded before it is done.
    pub publish: bool,
    /// Whether it takes over packs that no table names.
    pub adopt: bool,
}

/// The snapshot that lends subtrees, and that is forgotten.
pub const PARENT: Snap = Snap {
    by: 0,
    attempt: 0,
    holds: 0b11,
};

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum At {
    #[default]
    Begin,
    Announced,
    Work,
    Checked,
    Put,
    Done,
    Stopped,
}

/// A backup under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backup {
    pub at: At,
    /// The fold it goes by.
    pub seen: Log,
    /// Blobs to upload.
    pub todo: Bits,
    /// Its packs.
    pub mine: Bits,
    /// The packs that each blob is decoded from.
    pub relied: [Bits; BLOBS],
    /// Blobs lent unseen.
    pub lent: Bits,
    pub published: bool,
    pub attempt: u8,
}

impl Backup {
    /// Looks up what is there already. Only what decodes from live packs counts.
    pub fn plan(&mut self, world: &World, site: &Site, job: &Job) {
        let log = world.at(site.log);
        let lends = log.state.is_live(&PARENT.id());
        self.lent = if lends { job.lend } else { 0 };
        self.seen = site.log;
        self.todo = 0;
        if job.adopt {
            self.mine = self.adoptable(world, site);
        }
        self.look_up(world, site, job.want & !self.lent, false);
        self.at = At::Work;
    }

    /// On class A also what is condemned: its commit will take that back.
    fn adoptable(&self, world: &World, site: &Site) -> Bits {
        let state = &world.at(site.log).state;
        let live = |no: &u8| state.pack_state(&site.pack(*no).id()) == PackState::Live;
        let orphans = numbers(orphans(world, site));
        let found = orphans.filter(|no| state.class() == Class::A || live(no));
        found.fold(0, |bits, no| bits | 1 << no)
    }

    fn look_up(&mut self, world: &World, site: &Site, wanted: Bits, condemned_too: bool) {
        let log = world.at(site.log);
        let usable = |pack: &PackId| match log.state.pack_state(pack) {
            PackState::Live => true,
            PackState::Condemned => {
                let adopted = self.mine >> Pack::of(&pack.0).no & 1 == 1;
                adopted || condemned_too || off(Rule::CondemnedIsGone)
            }
            PackState::Quarantined | PackState::Deleting => false,
        };
        let own = site.packs_of(self.mine);
        let catalog = With {
            catalog: &log.catalog,
            own: &own,
            backwards: false,
        };
        for n in numbers(wanted) {
            match decodes(&catalog, &blob(n), &usable).expect("catalogs in memory do not fail") {
                Some(packs) => {
                    let bits = packs
                        .iter()
                        .fold(0, |bits, id| bits | 1 << Pack::of(&id.0).no);
                    self.relied[usize::from(n)] = bits;
                }
                None => {
                    self.relied[usize::from(n)] = 0;
                    self.todo |= 1 << n;
                }
            }
        }
    }

    /// Uploads what is missing in one pack, at first with a block on a base.
    pub fn upload(&mut self, world: &World, site: &mut Site, job: &Job) {
        let (mut delta, mut base, mut on) = (0, 0, 0);
        if let Some((n, of)) = job.delta
            && self.mine == 0
            && self.todo >> n & 1 == 1
            && let Some(pack) = self.live_whole(world, of)
        {
            (delta, base, on) = (1 << n, of, 1 << pack.no);
        }
        let pack = site.put(self.todo & !delta, delta, base);
        for n in numbers(self.todo) {
            self.relied[usize::from(n)] = 1 << pack.no;
        }
        for n in numbers(delta) {
            self.relied[usize::from(n)] |= on;
        }
        self.mine |= 1 << pack.no;
        self.todo = 0;
    }

    fn live_whole(&self, world: &World, n: u8) -> Option<Pack> {
        let log = world.at(self.seen);
        let live = |pack: &&Pack| log.state.pack_state(&pack.id()) == PackState::Live;
        log.readable
            .iter()
            .filter(live)
            .find(|pack| pack.whole >> n & 1 == 1)
            .copied()
    }

    /// What the real check says on the fold `log`.
    pub fn checked(&self, world: &World, site: &Site, log: Log, job: &Job, who: u8) -> CommitCheck {
        let folded = world.at(log);
        let own = site.packs_of(self.mine);
        let catalog = With {
            catalog: &folded.catalog,
            own: &own,
            backwards: who % 2 == 1,
        };
        let ignored = if off(Rule::OwnPacks) { self.mine } else { 0 };
        let rows = numbers(job.want & !self.lent).map(|n| {
            let packs =
                numbers(self.relied[usize::from(n)] & !ignored).map(|no| site.pack(no).id());
            (blob(n), packs.collect())
        });
        let rests = Rests(rows.collect());
        let parents: Vec<SnapshotId> = match self.lent {
            0 => vec![],
            _ => vec![PARENT.id()],
        };
        let tables: Vec<IndexId> = own.iter().map(|pack| pack.table()).collect();
        let snapshot = self.snap(job, who).id();
        check_commit(
            &folded.state,
            &catalog,
            &rests,
            &parents,
            &tables,
            Some(&snapshot),
        )
        .expect("catalogs in memory do not fail")
    }

    /// Checks on the newest fold, and goes back to work for what is not there any more.
    pub fn check(&mut self, world: &World, site: &mut Site, job: &Job, who: u8) -> &'static str {
        let check = self.checked(world, site, site.log, job, who);
        self.seen = site.log;
        if !check.parents.is_empty() {
            let lent = std::mem::take(&mut self.lent);
            let class_a = world.at(site.log).state.class() == Class::A;
            self.look_up(world, site, lent, class_a);
            return "descend";
        }
        for lost in &check.lost {
            match lost {
                Lost::Table(id) => {
                    let pack = packs_of(id).next().expect("its own tables name one pack");
                    self.mine &= !(1 << pack.no);
                    let needs = |n: &u8| self.relied[usize::from(*n)] >> pack.no & 1 == 1;
                    let again = numbers(job.want & !self.lent).filter(needs);
                    self.todo |= again.fold(0, |bits, n| bits | 1 << n);
                }
                Lost::Snapshot(_) => {
                    self.attempt += 1;
                    site.snaps |= self.slot(who);
                }
            }
        }
        for id in &check.heal {
            self.todo |= 1 << id.0[0];
        }
        if check.passes() {
            self.at = At::Checked;
            return "check";
        }
        "heal"
    }

    /// It has nothing more to do than to say how it went.
    pub fn ended(self, at: At) -> Self {
        Self {
            at,
            attempt: self.attempt,
            ..Self::default()
        }
    }

    /// The snapshot it writes.
    pub fn snap(&self, job: &Job, who: u8) -> Snap {
        Snap {
            by: who + 1,
            attempt: self.attempt,
            holds: job.want as u8,
        }
    }

    /// The bit of its snapshot object.
    pub fn slot(&self, who: u8) -> Bits {
        slot(self.snap(&Job::default(), who))
    }

    /// The entry that makes its packs known before it is done.
    pub fn publish_entry(&self, site: &Site) -> (Vec<u32>, Action) {
        let own = site.packs_of(self.mine);
        let key = [vec![2], own.iter().map(|pack| pack.key()).collect()].concat();
        (
            key,
            Action::Publish {
                index: own.iter().map(|pack| pack.table()).collect(),
            },
        )
    }

    /// The entry that commits it, checked on the fold `self.seen`.
    pub fn commit_entry(
        &self,
        world: &World,
        site: &Site,
        job: &Job,
        who: u8,
    ) -> (Vec<u32>, Action) {
        let check = self.checked(world, site, self.seen, job, who);
        let (own, snap) = (site.packs_of(self.mine), self.snap(job, who));
        let mut key = vec![3, snap.key()];
        key.extend(own.iter().map(|pack| pack.key()));
        key.push(u32::MAX);
        key.extend(check.reprieve.iter().map(|id| Pack::of(&id.0).key()));
        let action = Action::Commit {
            snapshot: snap.id(),
            index: own.iter().map(|pack| pack.table()).collect(),
            reprieve: check.reprieve,
            summary: vec![],
        };
        (key, action)
    }

    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&[self.at as u8, u8::from(self.published), self.attempt]);
        if matches!(self.at, At::Begin | At::Done | At::Stopped) {
            return;
        }
        bytes.extend_from_slice(&self.seen.to_le_bytes());
        for bits in [self.todo, self.mine, self.lent].iter().chain(&self.relied) {
            bytes.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

/// The bit of a snapshot object.
pub fn slot(snap: Snap) -> Bits {
    1 << (snap.by * 4 + snap.attempt)
}

/// An entry of a backup.
pub fn draft(process: Option<u8>, action: Action) -> Draft {
    Draft {
        role: Role::Writer,
        process,
        action,
    }
}

/// The packs of a site that no table in force names and that nothing was said about.
pub fn orphans(world: &World, site: &Site) -> Bits {
    let log = world.at(site.log);
    let unknown = |no: &u8| {
        let pack = site.pack(*no);
        !log.knows(pack) && !log.state.is_deleted(&pack.id().0)
    };
    numbers(site.packs)
        .filter(unknown)
        .fold(0, |bits, no| bits | 1 << no)
}
