//! What cannot be found at the moment, as when a disk is not mounted, is not taken for lost.

use super::prune::forget;
use super::support::*;
use crate::backend::Backend;
use crate::error::{ErrorKind, Result};
use crate::ops::{
    Regained, RepairSnapshotsOptions, RepairedSnapshots, Replace, Unforgotten, repair_snapshots,
    unforget,
};
use crate::progress::{Interrupt, Silent};
use crate::snapshot::{Filter, list};

/// A place with two snapshots.
fn place() -> Bed {
    let bed = Bed::new();
    for n in 0..2 {
        bed.write(&format!("dir{n}/file"), &noise(n, 100_000));
        bed.backup(&bed.open()).unwrap();
    }
    bed
}

/// Takes away all objects of a kind.
fn take_away(bed: &Bed, kind: &str) -> Vec<(String, Vec<u8>)> {
    let names = names(&bed.place, kind).into_iter();
    let away: Vec<_> = names
        .map(|name| (name.clone(), bed.place.get(&name).unwrap()))
        .collect();
    assert!(away.iter().all(|(name, _)| bed.place.remove(name)));
    away
}

fn put_back(bed: &Bed, away: &[(String, Vec<u8>)]) {
    for (name, bytes) in away {
        bed.place.put(name, bytes).unwrap();
    }
}

fn repair(bed: &Bed, dry_run: bool) -> Result<RepairedSnapshots> {
    let options = RepairSnapshotsOptions {
        suffix: ".repaired".into(),
        read_data: false,
        replace: Replace {
            forget: true,
            dry_run,
        },
    };
    let repo = bed.open();
    let snapshots = list(&repo, &Filter::default()).snapshots;
    let listener = Listener::default();
    repair_snapshots(&repo, &snapshots, &options, &listener, &Interrupt::new())
}

#[test]
fn no_snapshot_is_forgotten_while_nothing_of_a_kind_is_there() {
    for kind in ["data", "meta", "snapshots"] {
        let bed = place();
        let away = take_away(&bed, kind);
        for dry_run in [true, false] {
            let error = repair(&bed, dry_run).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.to_string().contains(&format!("{kind}/")), "{error}");
        }
        put_back(&bed, &away);
        assert_eq!(bed.open().live_snapshots().len(), 2);
        let found = repair(&bed, false).unwrap();
        assert!(found.changed.is_empty() && found.hopeless.is_empty());
    }
}

#[test]
fn what_is_still_missing_after_a_backup_is_lost() {
    let bed = place();
    take_away(&bed, "data");
    assert!(repair(&bed, false).is_err());
    bed.write("new", &noise(3, 1000));
    bed.backup(&bed.open()).unwrap();
    let found = repair(&bed, false).unwrap();
    assert!(found.items > 0, "{found:?}");
    assert_eq!(repair(&bed, false).unwrap().items, 0);
}

#[test]
fn no_forgotten_snapshot_is_called_gone_while_a_table_is_lost() {
    let bed = place();
    let id = bed.open().live_snapshots()[0].0;
    forget(&bed.open(), &[id]);
    let again = || unforget(&bed.open(), &[id], &Silent, &Interrupt::new());
    let away = take_away(&bed, "index");
    let error = again().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    put_back(&bed, &away);
    let back = Regained { asked: id, id };
    assert_eq!(again().unwrap(), Unforgotten::Done(vec![back]));
}
