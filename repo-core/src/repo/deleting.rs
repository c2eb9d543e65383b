//! What a prune needs of the log besides appending: what others wrote meanwhile, and on class C whom a deletion waits for.

use super::{Process, Repo, Shared};
use crate::backend::Class;
use crate::error::Result;
use crate::format::announcement::Announcement;
use crate::format::checkpoint::{Tail, WaitingRow};
use crate::format::entry::{self, Action, Entry, Nonce, SignedEntry};
use crate::format::name;
use crate::id::EntryHash;
use crate::log::{Announced, State, deletion_blockers};
use crate::time::{Timestamp, now};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A process of class C that condemns and deletes, announced until it is dropped.
pub struct DeletingProcess(Arc<Process>);

impl DeletingProcess {
    /// Under which it is announced.
    pub fn nonce(&self) -> Nonce {
        self.0.nonce()
    }
}

/// Whom a deletion on class C waits for.
pub enum Waited {
    /// Nobody any more: what the `Condemn` entries of these rows condemned may be looked at.
    Clear(Vec<WaitingRow>),
    /// So many processes are at work. The next prune goes on.
    For(u64),
}

impl Repo {
    /// On class C announces this process as one that deletes, and folds the log once more; `None` on class A.
    pub fn announce_deleting(&self) -> Result<Option<DeletingProcess>> {
        self.refresh()?;
        let process = self.announce_as(true)?;
        if process.is_some() {
            self.refresh()?;
        }
        Ok(process.map(DeletingProcess))
    }

    /// Class C: says in the log whom the deletion of everything condemned waits for, once for each `Condemn`, and looks who of them is
    /// still at work; those whose announcement is older than `dead_after` are fenced.
    pub fn wait_for_others(&self, me: &DeletingProcess, dead_after: Duration) -> Result<Waited> {
        self.refresh()?;
        let announced = self.announced(dead_after)?;
        let others = announced.iter().map(|process| process.nonce);
        let others: Vec<Nonce> = others.filter(|nonce| *nonce != me.nonce()).collect();
        for condemn in condemns(&self.state()) {
            self.append(&mut |state| {
                let said = state.waiting().any(|(_, row)| row.condemn == condemn);
                let forgotten = state.forgotten_snapshots().map(|(id, _)| *id);
                Ok((!said).then(|| Action::Waiting {
                    condemn,
                    nonces: others.clone(),
                    forgotten: forgotten.collect(),
                }))
            })?;
        }
        loop {
            self.refresh()?;
            let state = self.state();
            let rows: Vec<WaitingRow> = state.waiting().map(|(_, row)| row.clone()).collect();
            let blockers =
                deletion_blockers(&state, &rows, &self.announced(dead_after)?, &me.nonce());
            if blockers.none() {
                return Ok(Waited::Clear(rows));
            }
            if blockers.dead.is_empty() {
                return Ok(Waited::For(blockers.at_work.len() as u64));
            }
            self.append(&mut |state| {
                let fenced = state.fenced_now(&blockers.dead);
                Ok((!fenced.is_empty()).then_some(Action::Fence { fenced }))
            })?;
        }
    }
}

impl Repo {
    /// Class C: removes the announcements of processes that the log has fenced: nobody waits for them any more.
    pub fn remove_fenced(&self) -> Result<()> {
        let state = self.state();
        if state.class() == Class::A {
            return Ok(());
        }
        for process in self.announced(Duration::MAX)? {
            if state.is_fenced(&process.nonce) {
                self.backend.delete(&name::announcement(&process.nonce))?;
            }
        }
        Ok(())
    }
}

/// The entries that condemned what is condemned now.
fn condemns(state: &State) -> BTreeSet<EntryHash> {
    let packs = state.condemned().map(|(_, by)| by.hash);
    packs
        .chain(state.condemned_objects().map(|(_, by)| by.hash))
        .collect()
}

impl Shared {
    /// The processes that are announced, and whether each counts as dead.
    fn announced(&self, dead_after: Duration) -> Result<Vec<Announced>> {
        let mut listed: Vec<(Nonce, Option<Timestamp>)> = Vec::new();
        self.backend.list("writers", &mut |object| {
            listed.extend(name::parse_announcement(&object.name).map(|n| (n, object.modified)));
            Ok(())
        })?;
        let now = now();
        let mut announced = Vec::new();
        for (nonce, modified) in listed {
            // One that cannot be read may be anybody's.
            let deletes = match self.backend.get(&name::announcement(&nonce)) {
                Ok(bytes) => {
                    Announcement::open(&self.envelopes, &bytes).map_or(true, |(a, _)| a.deletes)
                }
                Err(_) => true,
            };
            announced.push(Announced {
                nonce,
                expired: modified.is_some_and(|then| then.is_past(dead_after, now)),
                deletes,
            });
        }
        Ok(announced)
    }

    /// Class A: the entries after a tail that was folded before, up to that of `state`; `None` if any of them cannot be read.
    pub(crate) fn entries_after(
        &self,
        tail: &Tail,
        state: &State,
    ) -> Result<Option<Vec<SignedEntry>>> {
        debug_assert_eq!(state.class(), Class::A);
        let mut entries = Vec::new();
        for number in tail.number + 1..=state.tail().number {
            let Some(file) = self.read_entry(number)? else {
                return Ok(None);
            };
            match entry::decode_damaged_file(&file)
                .and_then(|(core, _)| Entry::open(&self.envelopes, core))
            {
                Ok(signed) => entries.push(signed),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(entries))
    }
}
