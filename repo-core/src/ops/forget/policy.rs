//! Which snapshots of a series to keep: counts, spans, tags and ids, and what they add up to.

use super::calendar::{before, bucket};
use crate::error::{Error, Result};
use crate::id::SnapshotId;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A stretch of the calendar of which one snapshot may stand for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// None: every snapshot stands for itself.
    Last,
    /// An hour.
    Hourly,
    /// A day.
    Daily,
    /// A week, from Monday.
    Weekly,
    /// A month.
    Monthly,
    /// A quarter of a year, from January.
    Quarterly,
    /// A year.
    Yearly,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Self; 7] = [
        Self::Last,
        Self::Hourly,
        Self::Daily,
        Self::Weekly,
        Self::Monthly,
        Self::Quarterly,
        Self::Yearly,
    ];
}

/// Of how many periods a snapshot is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// The newest so many that have snapshots.
    Newest(u32),
    /// All of them.
    All,
}

/// A length of time by the calendar. The default, and no other, is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Years.
    pub years: u32,
    /// Months.
    pub months: u32,
    /// Days.
    pub days: u32,
    /// Hours.
    pub hours: u32,
}

impl Span {
    /// Whether it is no time at all.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Reads numbers with the units `y`, `m`, `d` and `h`, each at most once, such as `1y5m7d2h`.
    ///
    /// `InvalidInput` for anything else, and for numbers of more than 32 bits.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: String| Error::invalid("span").detail(why);
        let mut span = Self::default();
        let mut seen = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let Some(unit) = after.chars().next() else {
                return Err(wrong(format!("no unit follows {number}")));
            };
            if number.is_empty() {
                return Err(wrong(format!("no number before `{}`", unit.escape_debug())));
            }
            let number = number
                .parse()
                .map_err(|_| wrong(format!("{number} is too much")))?;
            let field = match unit {
                'y' => &mut span.years,
                'm' => &mut span.months,
                'd' => &mut span.days,
                'h' => &mut span.hours,
                _ => {
                    let unit = unit.escape_debug();
                    return Err(wrong(format!(
                        "`{unit}` is none of the units y, m, d and h"
                    )));
                }
            };
            if seen.contains(unit) {
                return Err(wrong(format!("the unit {unit} comes twice")));
            }
            seen.push(unit);
            *field = number;
            rest = &after[unit.len_utf8()..];
        }
        match seen.is_empty() {
            true => Err(wrong("it is empty".to_owned())),
            false => Ok(span),
        }
    }
}

impl fmt::Display for Span {
    /// As [`Span::parse`] reads it; nothing for zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            (self.years, 'y'),
            (self.months, 'm'),
            (self.days, 'd'),
            (self.hours, 'h'),
        ];
        let mut given = fields.iter().filter(|(number, _)| *number > 0);
        given.try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

/// Which snapshots of a series to keep. A snapshot stays if any part says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Of so many periods with snapshots the newest snapshot; of [`Period::Last`], so many snapshots.
    pub counts: BTreeMap<Period, Count>,
    /// Of every period within this span before the newest snapshot of the series the newest snapshot; of
    /// [`Period::Last`], all snapshots.
    pub within: BTreeMap<Period, Span>,
    /// Those that have all tags of one of these lists; an empty one means those without tags.
    pub tags: Vec<Vec<String>>,
    /// These.
    pub ids: Vec<SnapshotId>,
    /// All but those that do not fit into so many bytes.
    pub within_size: Option<WithinSize>,
}

/// The snapshots that do not fit into a number of bytes, as [`fit`](crate::ops::fit) found: whoever came since is not among them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WithinSize {
    /// The bytes.
    pub bytes: u64,
    /// Those that are too much.
    pub beyond: BTreeSet<SnapshotId>,
}

impl Policy {
    /// Whether it can keep nothing, because no part of it asks for anything.
    pub fn is_empty(&self) -> bool {
        let counts = |count: &Count| *count == Count::Newest(0);
        self.counts.values().all(counts)
            && self.within.values().all(Span::is_zero)
            && self.tags.is_empty()
            && self.ids.is_empty()
            && self.within_size.is_none()
    }
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The policy names it.
    Id,
    /// It has all of these tags.
    Tags(Vec<String>),
    /// It is not older than that.
    Within(Span),
    /// It is the newest of one of the periods that count.
    Newest(Period),
    /// It is the oldest of all, and there are fewer periods than the policy would keep.
    Oldest(Period),
    /// It is the newest of a period that is not older than that.
    NewestWithin(Period, Span),
    /// It is the oldest of all, and not older than that.
    OldestWithin(Period, Span),
    /// It and all newer ones fit into so many bytes.
    WithinSize(u64),
}

/// What a policy looks at.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// Its id.
    pub id: SnapshotId,
    /// When it was made.
    pub time: Timestamp,
    /// How many seconds the clock on the wall was ahead of UTC where it was made.
    pub offset: i64,
    /// Its tags.
    pub tags: &'a [String],
}

impl Item<'_> {
    fn has(&self, list: &[String]) -> bool {
        match list.is_empty() {
            true => self.tags.is_empty(),
            false => list.iter().all(|tag| self.tags.contains(tag)),
        }
    }
}

/// The clock by which a policy is applied.
#[derive(Clone, Copy)]
pub struct Clock<'a> {
    /// What time it is.
    pub now: Timestamp,
    /// How many seconds the clock on the wall is ahead of UTC where the caller is, at any time: spans are measured by it
    /// if the newest snapshot was made by the same clock.
    pub offset_at: Option<&'a dyn Fn(Timestamp) -> i64>,
}

impl Clock<'_> {
    /// The point in time `span` before the newest item; `None` for the beginning of time.
    fn cutoff(&self, newest: Option<&Item<'_>>, span: &Span) -> Option<Timestamp> {
        let newest = newest?;
        let dates = Span { hours: 0, ..*span };
        let far = before(newest.time, &dates, newest.offset);
        let wall = far.seconds.saturating_add(newest.offset);
        let at = |seconds| Timestamp::new(seconds, far.nanos);
        let here = self
            .offset_at
            .filter(|offset_at| offset_at(newest.time) == newest.offset);
        // Where the clock was put forward or back meanwhile, the same hour comes at another time.
        let offset = here.map_or(newest.offset, |offset_at| {
            offset_at(at(wall.saturating_sub(offset_at(at(wall)))))
        });
        let seconds = wall.saturating_sub(offset);
        Some(at(seconds.saturating_sub(i64::from(span.hours) * 3600)))
    }
}

/// What one part of a policy that goes by periods has come to.
struct Run<'a> {
    period: Period,
    limit: Limit<'a>,
    last: Option<i64>,
}

enum Limit<'a> {
    Count(Count),
    Within(&'a Span, Option<Timestamp>),
}

impl Run<'_> {
    /// Whether the next older item is kept by this part.
    fn keeps(&mut self, item: &Item<'_>, oldest: bool) -> Option<Reason> {
        let counts = match self.limit {
            Limit::Count(count) => count != Count::Newest(0),
            Limit::Within(span, cutoff) => {
                !span.is_zero() && cutoff.is_none_or(|cutoff| item.time > cutoff)
            }
        };
        if !counts {
            return None;
        }
        let bucket = bucket(self.period, item.time, item.offset);
        let same = bucket.is_some() && bucket == self.last;
        if same && !oldest {
            return None;
        }
        self.last = bucket;
        if let Limit::Count(Count::Newest(left)) = &mut self.limit {
            *left -= 1;
        }
        Some(match (&self.limit, same) {
            (Limit::Count(_), false) => Reason::Newest(self.period),
            (Limit::Count(_), true) => Reason::Oldest(self.period),
            (Limit::Within(span, _), false) => Reason::NewestWithin(self.period, **span),
            (Limit::Within(span, _), true) => Reason::OldestWithin(self.period, **span),
        })
    }
}

/// Why each of these items is kept, newest first; an empty list means that nothing keeps it.
///
/// As restic 0.19: a period counts by the clock on the wall where the snapshot was made; spans go back from the newest item
/// that is not in the future; where a part would keep more periods than there are, it keeps the oldest item too.
/// Time: linear in the items.
pub fn evaluate(policy: &Policy, items: &[Item<'_>], clock: &Clock<'_>) -> Vec<Vec<Reason>> {
    debug_assert!(items.is_sorted_by(|a, b| a.time >= b.time));
    let newest = items.iter().find(|item| item.time < clock.now);
    let cutoff = |span: &Span| clock.cutoff(newest, span);
    let within_all = policy.within.get(&Period::Last).filter(|s| !s.is_zero());
    let within_all = within_all.map(|span| (span, cutoff(span)));
    let counts = policy.counts.iter().map(|(period, count)| Run {
        period: *period,
        limit: Limit::Count(*count),
        last: None,
    });
    let within = policy.within.iter().filter(|(p, _)| **p != Period::Last);
    let within = within.map(|(period, span)| Run {
        period: *period,
        limit: Limit::Within(span, cutoff(span)),
        last: None,
    });
    let mut runs: Vec<Run<'_>> = counts.chain(within).collect();
    let mut all = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let mut reasons = Vec::new();
        if policy.ids.contains(&item.id) {
            reasons.push(Reason::Id);
        }
        let lists = policy.tags.iter().filter(|list| item.has(list)).cloned();
        reasons.extend(lists.map(Reason::Tags));
        if let Some((span, cutoff)) = within_all
            && cutoff.is_none_or(|cutoff| item.time > cutoff)
        {
            reasons.push(Reason::Within(*span));
        }
        if let Some(size) = &policy.within_size
            && !size.beyond.contains(&item.id)
        {
            reasons.push(Reason::WithinSize(size.bytes));
        }
        let oldest = at + 1 == items.len();
        reasons.extend(runs.iter_mut().filter_map(|run| run.keeps(item, oldest)));
        all.push(reasons);
    }
    all
}
