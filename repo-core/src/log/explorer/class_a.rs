//! Class A: backups, prunes, a forget, an unforget and a thief with a writer's key, in every order.

use super::backup::{At, Backup, PACKS_MAX, PARENT, Site, draft, slot};
use super::hand_over::HandOver;
use super::mirror::Mirror;
use super::prune_a::Prune;
use super::search::{Model, Step};
use super::setups::Setup;
use super::world::{Draft, Log, Pack, Snap, World, blobs};
use crate::backend::Class;
use crate::crypto::Role;
use crate::format::entry::{Action, ObjectRef};
use crate::log::mutant::{Rule, off};
use crate::log::{UnforgetCheck, check_unforget};

/// One state of the whole.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    pub site: Site,
    backups: [Backup; 3],
    prunes: [Prune; 2],
    forgotten: bool,
    protected: bool,
    unforget: (u8, Log),
    thief: bool,
    mirror: Option<Mirror>,
    hand_over: Option<HandOver>,
    pub wrong: Option<&'static str>,
}

/// The model.
pub struct ClassA {
    pub setup: Setup,
    pub world: World,
    start: Log,
}

impl ClassA {
    /// A model in its first state.
    pub fn new(setup: Setup) -> Self {
        let (world, start) = World::new(Class::A, &setup.first(), setup.condemned);
        Self {
            setup,
            world,
            start,
        }
    }

    fn backup(&mut self, node: &Node, who: usize, found: &mut Vec<(Step, Node)>) {
        let job = self.setup.jobs[who];
        let mut next = *node;
        let (site, backup) = (&mut next.site, &mut next.backups[who]);
        let what = match backup.at {
            At::Begin => {
                backup.plan(&self.world, site, &job);
                "plan"
            }
            At::Work if backup.todo != 0 => {
                backup.upload(&self.world, site, &job);
                "upload"
            }
            At::Work if job.publish && !backup.published && backup.mine != 0 => {
                let (key, action) = backup.publish_entry(site);
                site.log = self
                    .world
                    .append(site.log, site.log, &key, || draft(None, action));
                backup.published = true;
                "PUBLISH"
            }
            At::Work => {
                site.snaps |= backup.slot(who as u8);
                backup.check(&self.world, site, &job, who as u8)
            }
            At::Checked if site.log == backup.seen || off(Rule::CommitCas) => {
                let (key, action) = backup.commit_entry(&self.world, site, &job, who as u8);
                site.log = self
                    .world
                    .append(site.log, site.log, &key, || draft(None, action));
                *backup = Backup {
                    at: At::Done,
                    ..Backup::default()
                };
                if let Some(hand_over) = &mut next.hand_over {
                    hand_over.was_put(who, next.site.log);
                }
                "COMMIT"
            }
            At::Checked => {
                backup.at = At::Work;
                "lost-race"
            }
            _ => return,
        };
        found.push((
            Step {
                who: ('w', who as u8),
                what,
            },
            next,
        ));
    }

    fn forget(&mut self, node: &Node, found: &mut Vec<(Step, Node)>) {
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
        next.site.log = self.world.append(node.site.log, node.site.log, &[6], entry);
        found.push((
            Step {
                who: ('f', 0),
                what: "FORGET",
            },
            next,
        ));
    }

    /// Somebody protects the first snapshot, as long as it is not forgotten.
    fn protect(&mut self, node: &Node, found: &mut Vec<(Step, Node)>) {
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

    fn unforget_check(&self, log: Log) -> UnforgetCheck {
        let log = self.world.at(log);
        let needed = blobs(PARENT.holds.into());
        check_unforget(&log.state, &log.catalog, &[PARENT.id()], &needed)
            .expect("catalogs in memory do not fail")
    }

    fn unforget(&mut self, node: &Node, found: &mut Vec<(Step, Node)>) {
        let mut next = *node;
        let log = node.site.log;
        let what = match node.unforget {
            (0, _) if node.forgotten && self.unforget_check(log).passes() => {
                next.unforget = (1, log);
                "check"
            }
            (0, _) if node.forgotten => {
                next.unforget = (2, 0);
                "refuse"
            }
            (1, seen) if seen != log && !off(Rule::UnforgetCas) => {
                next.unforget = (0, 0);
                "lost-race"
            }
            (1, seen) => {
                let reprieve = self.unforget_check(seen).reprieve;
                let mut key = vec![7];
                key.extend(reprieve.iter().map(|id| Pack::of(&id.0).key()));
                let action = Action::Unforget {
                    snapshots: vec![PARENT.id()],
                    reprieve,
                };
                let entry = || Draft {
                    role: Role::Prune,
                    process: None,
                    action,
                };
                next.site.log = self.world.append(log, log, &key, entry);
                next.unforget = (2, 0);
                "UNFORGET"
            }
            _ => return,
        };
        found.push((
            Step {
                who: ('u', 0),
                what,
            },
            next,
        ));
    }

    /// A home that hands over, and backups that look after their commits whether it has.
    fn hand_over(&self, node: &Node, found: &mut Vec<(Step, Node)>) {
        let (Some(hand_over), Some(mirror)) = (node.hand_over, node.mirror) else {
            return;
        };
        let mut add = |who, what: Option<&'static str>, hand_over| {
            let next = Node {
                hand_over: Some(hand_over),
                ..*node
            };
            found.extend(what.map(|what| (Step { who, what }, next)));
        };
        let mut closed = hand_over;
        add(('p', 0), closed.step(&mirror), closed);
        for who in 0..self.setup.jobs.len() {
            let mut looked = hand_over;
            let what = looked.look(who);
            add(('w', who as u8), what, looked);
        }
    }

    /// The thief says that pack 0 and the snapshot are deleted; somebody deletes what entries say is deleted.
    fn thief(&mut self, node: &Node, found: &mut Vec<(Step, Node)>) {
        let mut next = *node;
        if !node.thief {
            let pack = node.site.pack(0);
            let objects = vec![pack.object(), pack.table_object(), PARENT.object()];
            let action = Action::Deleting {
                objects,
                index_drop: vec![],
                index_add: vec![],
                reprieve: vec![],
                fenced: vec![],
            };
            next.site.log = self
                .world
                .append(node.site.log, node.site.log, &[8], || draft(None, action));
            next.thief = true;
            found.push((
                Step {
                    who: ('t', 0),
                    what: "DELETING",
                },
                next,
            ));
        }
        let mut next = *node;
        let state = &self.world.at(node.site.log).state;
        let gone = |object: ObjectRef| state.is_deleted(&object.id);
        for pack in node
            .site
            .packs_of(node.site.packs)
            .into_iter()
            .filter(|p| gone(p.object()))
        {
            next.site.packs &= !(1 << pack.no);
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

impl ClassA {
    fn lacks_reported(&self, node: &Node) -> bool {
        let both = node.hand_over.as_ref().zip(node.mirror.as_ref());
        both.is_some_and(|(hand_over, mirror)| hand_over.lacks(&self.world, mirror))
    }
}

impl Model for ClassA {
    type Node = Node;

    fn start(&mut self) -> Node {
        let site = self.setup.site(self.start);
        Node {
            site,
            backups: Default::default(),
            prunes: Default::default(),
            forgotten: false,
            protected: false,
            unforget: (if self.setup.unforget { 0 } else { 2 }, 0),
            thief: !self.setup.thief,
            mirror: self
                .setup
                .mirror
                .map(|new| Mirror::new(&self.world, &site, new)),
            hand_over: self.setup.hand_over.then(HandOver::default),
            wrong: None,
        }
    }

    fn next(&mut self, node: &Node, found: &mut Vec<(Step, Node)>) {
        assert!(
            usize::from(node.site.count) < PACKS_MAX,
            "a model makes few packs"
        );
        self.forget(node, found);
        self.protect(node, found);
        self.unforget(node, found);
        if self.setup.thief {
            self.thief(node, found);
        }
        self.hand_over(node, found);
        if let Some(mut mirror) = node.mirror
            && node.hand_over.is_none_or(|hand_over| hand_over.mirrors())
            && let Some(step) = mirror.step(&self.world, &node.site)
        {
            let next = Node {
                mirror: Some(mirror),
                ..*node
            };
            found.push((step, next));
        }
        if self.setup.loses
            && let Some(mirror) = &node.mirror
        {
            for (no, mirror) in mirror.losses(&node.site) {
                let next = Node {
                    mirror: Some(mirror),
                    ..*node
                };
                let who = ('x', no);
                found.push((Step { who, what: "lose" }, next));
            }
        }
        for who in 0..self.setup.jobs.len() {
            self.backup(node, who, found);
        }
        for who in 0..self.setup.prunes {
            let mut next = *node;
            let mut prune = node.prunes[usize::from(who)];
            if let Some(what) = prune.step(self, &mut next, who) {
                next.prunes[usize::from(who)] = prune;
                found.push((
                    Step {
                        who: ('g', who),
                        what,
                    },
                    next,
                ));
            }
        }
    }

    fn violation(&mut self, node: &Node) -> Option<&'static str> {
        let log = self.world.at(node.site.log);
        let gone = |snap: &Snap| self.setup.objects && node.site.snaps & slot(*snap) == 0;
        match node.wrong {
            Some(what) => Some(what),
            None if log.lost(node.site.packs, node.site.tables) => Some("a blob is lost"),
            None if log.live.iter().any(gone) => Some("a snapshot is lost"),
            None if node.mirror.is_some_and(|mirror| mirror.lacks(&self.world)) => {
                Some("a replica lacks a blob")
            }
            None if self.lacks_reported(node) => Some("a reported commit is not in the new home"),
            None => None,
        }
    }

    fn encode(&self, node: &Node, bytes: &mut Vec<u8>) {
        node.site.encode(bytes);
        node.backups[..self.setup.jobs.len()]
            .iter()
            .for_each(|backup| backup.encode(bytes));
        let prunes = &node.prunes[..usize::from(self.setup.prunes)];
        prunes.iter().for_each(|prune| prune.encode(bytes));
        bytes.extend_from_slice(&[
            u8::from(node.forgotten),
            u8::from(node.protected),
            node.unforget.0,
            u8::from(node.thief),
        ]);
        bytes.extend_from_slice(&node.unforget.1.to_le_bytes());
        bytes.push(u8::from(node.wrong.is_some()));
        if let Some(mirror) = &node.mirror {
            mirror.encode(bytes);
        }
        if let Some(hand_over) = &node.hand_over {
            hand_over.encode(bytes);
        }
    }
}
