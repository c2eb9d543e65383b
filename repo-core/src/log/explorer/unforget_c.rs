//! Somebody on class C who wants the first snapshot again: as it is if all of it stays, else as another form, for which is copied
//! what may go.

use super::backup::{At as Pass, Backup, Job, PARENT, draft};
use super::class_c::{ClassC, NodeC, UNFORGET};
use super::search::Step;
use super::world::{Draft, Log, blobs};
use crate::crypto::Role;
use crate::format::entry::Action;
use crate::log::{State, check_unforget};

/// The other form, as a backup of what the first snapshot holds.
const FORM: Job = Job {
    want: PARENT.holds as u16,
    lend: 0,
    delta: None,
    publish: false,
    adopt: false,
};

/// Whose snapshot it is: no backup's.
const WHO: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
enum At {
    #[default]
    Begin,
    Announced,
    /// All of it stays.
    Checked,
    /// Something of it may go.
    Copies,
    Put,
    Done,
    Stopped,
}

/// An unforget under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unforget {
    at: At,
    seen: Log,
    form: Backup,
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
            At::Copies => unforget.copy(model, &mut next),
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

    fn stop(&mut self, node: &mut NodeC, what: &'static str) -> &'static str {
        node.leave(UNFORGET);
        *self = Self {
            at: At::Stopped,
            ..Self::default()
        };
        what
    }

    fn check(&mut self, model: &ClassC, node: &mut NodeC) -> &'static str {
        let log = model.world.at(node.site.log);
        let needed = blobs(PARENT.holds.into());
        let check = check_unforget(&log.state, &log.catalog, &[PARENT.id()], &needed)
            .expect("catalogs in memory do not fail");
        self.seen = node.site.log;
        if model.fenced(&node.site, UNFORGET) || !check.gone.is_empty() || !check.lost.is_empty() {
            return self.stop(node, "refuse");
        }
        if check.passes() {
            self.at = At::Checked;
            return "check";
        }
        self.form.plan(&model.world, &node.site, &FORM);
        self.at = At::Copies;
        "plan"
    }

    /// A step of a backup, which has nothing to read but what is there.
    fn copy(&mut self, model: &mut ClassC, node: &mut NodeC) -> &'static str {
        if self.form.at == Pass::Checked {
            let (key, action) = self.form.commit_entry(&model.world, &node.site, &FORM, WHO);
            let key = [vec![u32::from(UNFORGET)], key].concat();
            let entry = || draft(Some(UNFORGET), action);
            model.put(&mut node.site, self.form.seen, &key, entry);
            self.form = self.form.ended(Pass::Put);
            self.at = At::Put;
            return "COMMIT";
        }
        if self.form.todo != 0 {
            let log = model.world.at(node.site.log);
            if log.lost_of(self.form.todo, node.site.packs, node.site.tables) {
                return self.stop(node, "not-there");
            }
            self.form.upload(&model.world, &mut node.site, &FORM);
            return "copy";
        }
        if model.fenced(&node.site, UNFORGET) {
            return self.stop(node, "begin-again");
        }
        node.site.snaps |= self.form.slot(WHO);
        self.form.check(&model.world, &mut node.site, &FORM, WHO)
    }

    /// Whether it was reported done and does not stand, in neither form. The snapshot is forgotten once only.
    pub fn is_void(&self, state: &State) -> bool {
        let form = self.form.snap(&FORM, WHO).id();
        self.at == At::Done && !state.is_live(&PARENT.id()) && !state.is_live(&form)
    }

    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.at as u8);
        if self.at == At::Checked {
            bytes.extend_from_slice(&self.seen.to_le_bytes());
        }
        if matches!(self.at, At::Copies | At::Put | At::Done) {
            self.form.encode(bytes);
        }
    }
}
