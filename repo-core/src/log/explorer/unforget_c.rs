//! Somebody on class C who wants the first snapshot again.

use super::backup::PARENT;
use super::class_c::{ClassC, NodeC, UNFORGET};
use super::search::Step;
use super::world::{Bits, Draft, Log, blobs};
use crate::crypto::Role;
use crate::format::entry::Action;
use crate::log::{State, check_unforget};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
enum At {
    #[default]
    Begin,
    Announced,
    Copied,
    Checked,
    Put,
    Done,
    Stopped,
}

/// An unforget under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unforget {
    at: At,
    seen: Log,
    mine: Bits,
}

impl Unforget {
    /// The next step, if there is one.
    pub fn step(model: &mut ClassC, node: &NodeC, found: &mut Vec<(Step, NodeC)>) {
        let mut next = *node;
        let mut unforget = node.unforget;
        let what = match unforget.at {
            At::Begin if node.forgotten => {
                next.announce(UNFORGET);
                unforget.at = At::Announced;
                "announce"
            }
            At::Announced => unforget.check(model, &mut next),
            At::Copied => {
                let own = next.site.packs_of(unforget.mine);
                let index: Vec<_> = own.iter().map(|pack| pack.table()).collect();
                let mut key = vec![u32::from(UNFORGET), 2];
                key.extend(own.iter().map(|pack| pack.key()));
                let action = Action::Publish { index };
                let entry = || Draft {
                    role: Role::Prune,
                    process: Some(UNFORGET),
                    action,
                };
                model.put(&mut next.site, unforget.seen, &key, entry);
                unforget.at = At::Announced;
                "PUBLISH"
            }
            At::Checked => {
                let action = Action::Unforget {
                    snapshots: vec![PARENT.id()],
                    reprieve: vec![],
                };
                let entry = || Draft {
                    role: Role::Prune,
                    process: Some(UNFORGET),
                    action,
                };
                model.put(&mut next.site, unforget.seen, &[UNFORGET.into(), 7], entry);
                unforget.at = At::Put;
                "UNFORGET"
            }
            At::Put => {
                next.leave(UNFORGET);
                let fenced = model.fenced(&next.site, UNFORGET);
                unforget.at = if fenced { At::Stopped } else { At::Done };
                if fenced { "begin-again" } else { "done" }
            }
            _ => return,
        };
        next.unforget = unforget;
        found.push((
            Step {
                who: ('u', 0),
                what,
            },
            next,
        ));
    }

    fn check(&mut self, model: &ClassC, node: &mut NodeC) -> &'static str {
        let log = model.world.at(node.site.log);
        let needed = blobs(PARENT.holds.into());
        let check = check_unforget(&log.state, &log.catalog, &[PARENT.id()], &needed)
            .expect("catalogs in memory do not fail");
        let holds = log.lost_of(PARENT.holds.into(), node.site.packs, node.site.tables);
        self.seen = node.site.log;
        if model.fenced(&node.site, UNFORGET) || !check.gone.is_empty() || !check.lost.is_empty() {
            node.leave(UNFORGET);
            self.at = At::Stopped;
            return "refuse";
        }
        if check.copy.is_empty() {
            self.at = At::Checked;
            return "check";
        }
        if holds {
            node.leave(UNFORGET);
            self.at = At::Stopped;
            return "not-there";
        }
        let copies = check.copy.iter().fold(0, |bits, id| bits | 1 << id.0[0]);
        self.mine = 1 << node.site.put(copies, 0, 0).no;
        self.at = At::Copied;
        "copy"
    }

    /// Whether it was reported done and does not stand. The snapshot is forgotten once only.
    pub fn is_void(&self, state: &State) -> bool {
        self.at == At::Done && !state.is_live(&PARENT.id())
    }

    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.at as u8);
        if matches!(self.at, At::Copied | At::Checked) {
            bytes.extend_from_slice(&self.seen.to_le_bytes());
        }
        bytes.extend_from_slice(&self.mine.to_le_bytes());
    }
}
