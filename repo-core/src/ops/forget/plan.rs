//! What a forget by policy would do: pure, over snapshots, their terms and the log's order.

use super::groups::Grouping;
use super::policy::{Clock, Item, Policy, Reason, evaluate};
use super::quarantine::{ACCEPTED, Break, Look, Quarantine, standing};
use super::times::{Claim, Commit, Times};
use crate::error::Error;
use crate::id::SnapshotId;
use crate::log::Terms;
use crate::snapshot::{Filter, GroupKey, SnapshotInfo};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// What to forget by policy.
#[derive(Debug, Clone, Default)]
pub struct ForgetOptions {
    /// Only snapshots that match are looked at.
    pub filter: Filter,
    /// Which of them are of one series.
    pub grouping: Grouping,
    /// Which of a series to keep.
    pub policy: Policy,
    /// A policy may keep nothing of a series.
    pub allow_empty: bool,
    /// Claimed times count whatever the log and the backend say.
    pub trust_times: bool,
    /// When a series is kept whole because of what went wrong in it.
    pub quarantine: Quarantine,
    /// How many seconds the clock on the wall is ahead of UTC where the caller is, at any time. `None` goes by the newest
    /// snapshot's alone.
    pub offset_at: Option<fn(Timestamp) -> i64>,
}

/// A snapshot that a policy looks at.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The snapshot.
    pub info: SnapshotInfo,
    /// The entry that committed it.
    pub commit: Commit,
    /// Until when it must be kept, and from when on it may go.
    pub terms: Terms,
    /// The snapshot that it was compared with when it was made; if that was made from another one, as by `tag`, the first of all.
    pub parent: Option<SnapshotId>,
    /// It was made from another one, as by `tag`, by somebody who may forget snapshots: its time is that of the other, however
    /// long ago.
    pub vouched: bool,
}

impl Candidate {
    /// When it was made, as far as that is borne out.
    fn made(&self, times: Option<&Times>) -> Timestamp {
        let claimed = self.info.summary.time;
        let times = times.filter(|_| !self.vouched);
        times.map_or(claimed, |times| times.made(&self.commit, claimed))
    }
}

/// Why a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeps {
    /// A part of the policy keeps it.
    Policy(Reason),
    /// It is protected until then.
    Protected(Timestamp),
    /// No part of the policy keeps it, or it is past its time, but its series is in quarantine.
    Quarantine,
}

/// Why a snapshot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// No part of the policy keeps it.
    NoRule,
    /// It was to be kept until then.
    Expired(Timestamp),
}

/// A snapshot that stays.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Which.
    pub info: SnapshotInfo,
    /// Why, at least one.
    pub reasons: Vec<Keeps>,
}

/// A snapshot that goes.
#[derive(Debug, Clone)]
pub struct Removed {
    /// Which.
    pub info: SnapshotInfo,
    /// Why.
    pub reason: Goes,
}

/// What becomes of a series.
#[derive(Debug, Clone)]
pub struct PlannedGroup {
    /// What its snapshots have in common.
    pub key: GroupKey,
    /// And whether their times are borne out: those that are not form a series of their own.
    pub claim: Claim,
    /// Why nothing of it goes, though something would, oldest first; empty if there is nothing to say against it.
    pub quarantine: Vec<Break>,
    /// Snapshots that stay, newest first.
    pub keep: Vec<Kept>,
    /// Snapshots that go, newest first.
    pub remove: Vec<Removed>,
}

/// What becomes of the snapshots that match.
#[derive(Debug, Default)]
pub struct ForgetPlan {
    /// In the order of their keys.
    pub groups: Vec<PlannedGroup>,
    /// Snapshots of which nothing can be told, and why: they stay.
    pub unreadable: Vec<(SnapshotId, Error)>,
}

impl ForgetPlan {
    /// The snapshots that go.
    pub fn removed(&self) -> impl Iterator<Item = &Removed> {
        self.groups.iter().flat_map(|group| &group.remove)
    }

    /// The first series of which the policy keeps nothing, though not all of it is past its time.
    pub fn emptied(&self) -> Option<&PlannedGroup> {
        let by_policy = |removed: &Removed| removed.reason == Goes::NoRule;
        self.groups
            .iter()
            .find(|group| group.keep.is_empty() && group.remove.iter().any(by_policy))
    }
}

/// Applies the policy to every series of the candidates, which all match the filter.
///
/// What is past its time goes first and fills no place in the policy, unless it is protected or the policy names it by id
/// or tag. Time: n log n; memory: the candidates.
pub fn plan(
    candidates: Vec<Candidate>,
    options: &ForgetOptions,
    times: Option<&Times>,
    now: Timestamp,
) -> Vec<PlannedGroup> {
    let mut series: BTreeMap<(GroupKey, Claim), Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        let summary = &candidate.info.summary;
        let duration = summary.totals.duration_ms;
        let judge = |times: &Times| times.judge(&candidate.commit, summary.time, duration);
        let claim = match times.map_or(Claim::Plausible, judge) {
            Claim::Early if candidate.vouched => Claim::Plausible,
            claim => claim,
        };
        let key = options.grouping.key(&candidate.info);
        series.entry((key, claim)).or_default().push(candidate);
    }
    let planned = series.into_iter().map(|((key, claim), mut members)| {
        let order = |c: &Candidate| (c.info.summary.time, c.commit.number, c.info.id);
        members.sort_unstable_by_key(|candidate| std::cmp::Reverse(order(candidate)));
        plan_series(key, claim, members, options, times, now)
    });
    planned.collect()
}

/// One series, newest first.
fn plan_series(
    key: GroupKey,
    claim: Claim,
    members: Vec<Candidate>,
    options: &ForgetOptions,
    times: Option<&Times>,
    now: Timestamp,
) -> PlannedGroup {
    let reasons = reasons(&members, options, now);
    let goes: Vec<bool> = reasons.iter().map(Result::is_err).collect();
    let quarantine = breaks(&members, &goes, &options.quarantine, times, now);
    let held = !quarantine.is_empty();
    let mut group = PlannedGroup {
        key,
        claim,
        quarantine,
        keep: Vec::new(),
        remove: Vec::new(),
    };
    for (member, reasons) in members.into_iter().zip(reasons) {
        let info = member.info;
        match reasons {
            Ok(reasons) => group.keep.push(Kept { info, reasons }),
            Err(_) if held => group.keep.push(Kept {
                info,
                reasons: vec![Keeps::Quarantine],
            }),
            Err(reason) => group.remove.push(Removed { info, reason }),
        }
    }
    group
}

/// Why nothing of a series may go. Where the caller has put together what comes from several sources, each is looked at by
/// itself: a small one among large ones is no break.
fn breaks(
    members: &[Candidate],
    goes: &[bool],
    quarantine: &Quarantine,
    times: Option<&Times>,
    now: Timestamp,
) -> Vec<Break> {
    let mut sources: BTreeMap<GroupKey, Vec<Look<'_>>> = BTreeMap::new();
    for (member, goes) in members.iter().zip(goes) {
        let tags = &member.info.summary.tags;
        let look = Look {
            info: &member.info,
            parent: member.parent,
            made: member.made(times),
            accepted: member.vouched && tags.iter().any(|tag| tag == ACCEPTED),
            goes: *goes,
        };
        let source = Grouping::Series.key(&member.info);
        sources.entry(source).or_default().push(look);
    }
    let found = sources
        .values()
        .flat_map(|source| standing(quarantine, source, now));
    let mut found: Vec<Break> = found.collect();
    found.sort_by_key(|found| found.time);
    found
}

/// Why each member of a series stays, or why it goes.
fn reasons(
    members: &[Candidate],
    options: &ForgetOptions,
    now: Timestamp,
) -> Vec<Result<Vec<Keeps>, Goes>> {
    let offset_at = options.offset_at.as_ref();
    let clock = Clock {
        now,
        offset_at: offset_at.map(|offset_at| offset_at as &dyn Fn(Timestamp) -> i64),
    };
    let always = Policy {
        tags: options.policy.tags.clone(),
        ids: options.policy.ids.clone(),
        ..Policy::default()
    };
    let items = |chosen: &[bool]| -> Vec<Item<'_>> {
        let all = members.iter().zip(chosen).filter(|(_, chosen)| **chosen);
        all.map(|(member, _)| item(member)).collect()
    };
    let named = evaluate(&always, &items(&vec![true; members.len()]), &clock);
    let expired: Vec<Option<Timestamp>> = members
        .iter()
        .zip(&named)
        .map(|(member, named)| {
            let spared = !named.is_empty() || member.terms.is_protected(now);
            member.terms.expires.filter(|at| *at <= now && !spared)
        })
        .collect();
    let staying: Vec<bool> = expired.iter().map(Option::is_none).collect();
    let mut kept = evaluate(&options.policy, &items(&staying), &clock).into_iter();
    let one = |(member, expired): (&Candidate, &Option<Timestamp>)| {
        if let Some(at) = expired {
            return Err(Goes::Expired(*at));
        }
        let policy = kept.next().expect("one for each that is not expired");
        let mut reasons: Vec<Keeps> = policy.into_iter().map(Keeps::Policy).collect();
        if member.terms.is_protected(now) {
            reasons.extend(member.terms.protected_until.map(Keeps::Protected));
        }
        match reasons.is_empty() {
            true => Err(Goes::NoRule),
            false => Ok(reasons),
        }
    };
    members.iter().zip(&expired).map(one).collect()
}

fn item(member: &Candidate) -> Item<'_> {
    let summary = &member.info.summary;
    Item {
        id: member.info.id,
        time: summary.time,
        offset: i64::from(summary.utc_offset_min) * 60,
        tags: &summary.tags,
    }
}
