//! Who may write what.

use super::mutant::{Rule, off};
use super::state::State;
use crate::backend::Class;
use crate::crypto::Role;
use crate::format::checkpoint::RolesAt;
use crate::format::entry::{Action, Member};
use crate::id::{EntryHash, WriterId};

/// Takes in a concurrent list: who is not in both with the same role loses it, and domains are those of both.
fn restrict(roles: &mut RolesAt, hash: EntryHash, members: &[Member]) {
    roles.members.retain_mut(|member| {
        let same = |other: &&Member| other.writer == member.writer && other.role == member.role;
        match members.iter().find(same) {
            Some(other) => {
                member
                    .domains
                    .retain(|domain| other.domains.contains(domain));
                true
            }
            None => false,
        }
    });
    roles.hashes.push(hash);
    roles.hashes.sort_unstable();
}

impl State {
    /// The lists of members, oldest first; on class A only the newest.
    pub fn roles(&self) -> &[RolesAt] {
        &self.roles
    }

    /// The members as of the tail.
    pub fn members(&self) -> &[Member] {
        self.roles.last().map_or(&[], |roles| &roles.members)
    }

    /// The member that signs with that key, as of the tail.
    pub fn member(&self, writer: &WriterId) -> Option<&Member> {
        self.members()
            .iter()
            .find(|member| member.writer == *writer)
    }

    /// Whether an entry by that signer would count if it were the next.
    pub fn may_write(&self, signer: &WriterId, action: &Action) -> bool {
        self.may_append() && self.may_write_at(signer, action, self.tail.number + 1)
    }

    /// Whether a checkpoint of this state by that signer counts.
    pub fn may_checkpoint(&self, signer: &WriterId) -> bool {
        let role = self.member(signer).map(|member| member.role);
        *signer == self.admin || matches!(role, Some(Role::Full | Role::Prune))
    }

    pub(super) fn may_write_at(&self, signer: &WriterId, action: &Action, number: u64) -> bool {
        if *signer == self.admin || off(Rule::Roles) {
            return true;
        }
        let before = self.roles.iter().rev().find(|roles| roles.number < number);
        let member = before.and_then(|r| r.members.iter().find(|m| m.writer == *signer));
        member.is_some_and(|member| allows(member.role, action))
    }

    pub(super) fn set_roles(&mut self, number: u64, hash: EntryHash, members: &[Member]) {
        let roles = RolesAt {
            number,
            hashes: vec![hash],
            members: members.to_vec(),
        };
        if self.class == Class::A {
            self.roles = vec![roles];
            return;
        }
        match self.roles.last_mut() {
            Some(last) if last.number == number => restrict(last, hash, members),
            _ => self.roles.push(roles),
        }
    }
}

/// What a role may write; everything else only the admin key may.
fn allows(role: Role, action: &Action) -> bool {
    use Action as A;
    match action {
        A::Roles { .. } | A::Settings(_) | A::Void { .. } | A::Class(Class::A) => false,
        A::Terms { .. } | A::Promote { .. } => role == Role::Full,
        A::Evidence { .. } => true,
        A::Class(Class::C) => role != Role::Read,
        A::Publish { .. } => matches!(role, Role::Full | Role::Writer | Role::Prune),
        A::Commit { .. } => matches!(role, Role::Full | Role::Writer),
        A::Forget { .. }
        | A::Unforget { .. }
        | A::Condemn { .. }
        | A::Deleting { .. }
        | A::Waiting { .. }
        | A::Fence { .. } => matches!(role, Role::Full | Role::Prune),
    }
}
