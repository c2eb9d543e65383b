//! Packs that somebody removed or cut off: nothing new relies on them, and what the source still holds is stored again.

use super::support::*;
use crate::backend::Backend;
use crate::ops::{BackupOptions, Input};
use crate::progress::Interrupt;
use crate::repo::Repo;
use std::path::Path;

pub fn forced(bed: &Bed, repo: &Repo) -> crate::ops::BackupSummary {
    let options = BackupOptions {
        host: "host".into(),
        force: true,
        ..BackupOptions::default()
    };
    quietly(repo, Input::Paths(vec![bed.source()]), &options).unwrap()
}

/// Removes all packs of a kind but the first, which is cut off.
pub fn lose(bed: &Bed, kind: &str) -> usize {
    let packs = names(&bed.place, kind);
    for (n, pack) in packs.iter().enumerate() {
        let bytes = bed.place.get(pack).unwrap();
        bed.place.delete(pack).unwrap();
        if n == 0 {
            bed.place.put(pack, &bytes[..bytes.len() / 2]).unwrap();
        }
    }
    packs.len()
}

#[test]
fn a_forced_backup_replaces_lost_packs() {
    for kind in ["data", "meta"] {
        let bed = Bed::new();
        bed.write("one", &noise(1, 300 << 10));
        bed.write("deep/other", &noise(2, 100 << 10));
        let first = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
        let tree = bed.tree();
        let lost = lose(&bed, kind);
        assert!(lost > 0, "{kind}");
        let found = check_all(&bed.open());
        assert_eq!(found.findings.len(), lost, "{kind}");
        let made = forced(&bed, &bed.open());
        assert!(made.totals.bytes_added > 0, "{kind}");
        let repo = bed.open();
        bed.assert_restores(&repo, &made.snapshot.unwrap(), &tree);
        // What lies above the source changes with other tests beside this one, so that old trees may be lost.
        if kind == "data" {
            bed.assert_restores(&repo, &first, &tree);
            let found = check_all(&bed.open());
            let errors: Vec<_> = found.findings.iter().map(|f| f.error.to_string()).collect();
            assert_eq!(errors, [""; 0]);
            let absent = |name: &&String| name.starts_with(kind);
            assert_eq!(found.absent.iter().filter(absent).count(), lost);
        }
        let again = forced(&bed, &bed.open());
        assert_eq!(again.totals.data_blobs, 0, "{kind}");
    }
}

#[test]
fn a_stream_does_not_rely_on_lost_packs() {
    let bed = Bed::new();
    let dump = noise(3, 3 << 20);
    let stream = |repo: &Repo| {
        let input = Input::Stream {
            name: "dump".into(),
            reader: &mut &dump[..],
            program: None,
        };
        quietly(repo, input, &BackupOptions::default()).unwrap()
    };
    stream(&bed.open());
    lose(&bed, "data");
    let made = stream(&bed.open());
    assert_eq!(made.totals.bytes_added as usize / dump.len(), 1);
    let repo = bed.open();
    let target = tempfile::tempdir().unwrap();
    let options = crate::ops::RestoreOptions::default();
    crate::ops::restore(
        &repo,
        &made.snapshot.unwrap(),
        target.path(),
        &options,
        &Listener::default(),
        &Interrupt::new(),
    )
    .unwrap();
    assert!(std::fs::read(target.path().join(Path::new("dump"))).unwrap() == dump);
}

#[test]
fn a_changed_file_does_not_rely_on_a_lost_pack() {
    let bed = Bed::new();
    bed.write("one", &noise(1, 300 << 10));
    bed.backup(&bed.open()).unwrap();
    lose(&bed, "data");
    bed.write("copy", &noise(1, 300 << 10));
    let made = bed.backup(&bed.open()).unwrap().snapshot.unwrap();
    bed.assert_restores(&bed.open(), &made, &bed.tree());
}
