//! What restic 0.19 keeps of the same snapshots, as `restic.txt` has it.

use super::super::policy::{Clock, Item, evaluate};
use super::{policy, text};
use crate::id::SnapshotId;
use crate::time::Timestamp;

const TABLE: &str = include_str!("restic.txt");

/// A list of snapshots, newest first: seconds, offset in minutes, tags.
type List = Vec<(i64, i64, Vec<String>)>;

/// Central European time of 2022 to 2024, by the seconds at which the clock was put forward and back.
fn berlin(time: Timestamp) -> i64 {
    const SUMMERS: [(i64, i64); 4] = [
        (1_616_893_200, 1_635_642_000),
        (1_648_342_800, 1_667_091_600),
        (1_679_792_400, 1_698_541_200),
        (1_711_846_800, 1_729_990_800),
    ];
    let summer = SUMMERS
        .iter()
        .any(|(from, to)| (*from..*to).contains(&time.seconds));
    if summer { 7200 } else { 3600 }
}

fn kept(list: &List, flags: &str, zone: &dyn Fn(Timestamp) -> i64) -> String {
    let item = |(at, (seconds, offset, tags)): (usize, &'_ (i64, i64, Vec<String>))| {
        let id = SnapshotId([u8::try_from(at).unwrap(); 32]);
        (id, Timestamp::new(*seconds, 0), offset * 60, tags.clone())
    };
    let made: Vec<_> = list.iter().enumerate().map(item).collect();
    let items: Vec<Item<'_>> = made
        .iter()
        .map(|(id, time, offset, tags)| Item {
            id: *id,
            time: *time,
            offset: *offset,
            tags,
        })
        .collect();
    let clock = Clock {
        now: Timestamp::new(1_790_000_000, 0),
        offset_at: Some(zone),
    };
    let policy = policy(flags);
    let reasons = evaluate(&policy, &items, &clock);
    let kept = items.iter().zip(&reasons).filter(|(_, r)| !r.is_empty());
    let one = |(item, reasons): (&Item<'_>, &Vec<_>)| {
        let reasons: Vec<String> = reasons.iter().map(text).collect();
        format!("{}={}", item.time.seconds, reasons.join(";"))
    };
    kept.map(one).collect::<Vec<_>>().join("|")
}

#[test]
fn the_same_snapshots_are_kept_for_the_same_reasons() {
    let mut list = List::new();
    let mut zone: &dyn Fn(Timestamp) -> i64 = &|_| 0;
    let (mut flags, mut compared) = ("", 0);
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap();
        match word {
            "list" => {
                list.clear();
                zone = match rest.ends_with("Europe/Berlin") {
                    true => &berlin,
                    false => &|_| 0,
                };
            }
            "snapshot" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let tags = words.iter().skip(2).flat_map(|tags| tags.split(','));
                list.push((
                    words[0].parse().unwrap(),
                    words[1].parse().unwrap(),
                    tags.map(str::to_owned).collect(),
                ));
                list.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.0));
            }
            "policy" => flags = rest,
            "keep" => {
                assert_eq!(kept(&list, flags, zone), rest, "{flags}");
                compared += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(compared > 100, "{compared}");
}
