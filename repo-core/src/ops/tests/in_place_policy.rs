//! What a restore keeps, what it believes, what it reads back, and where holes are.

use super::stage::*;
use super::support::*;
use crate::ops::{Overwrite, RestoreOptions};
use crate::progress::Outcome;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

/// The default with this policy.
fn with(overwrite: Overwrite) -> RestoreOptions {
    RestoreOptions {
        overwrite,
        ..Default::default()
    }
}

#[test]
fn each_policy_keeps_what_it_says() {
    for (overwrite, newer, older, trusted) in [
        (Overwrite::Always, true, true, true),
        (Overwrite::IfChanged, true, true, false),
        (Overwrite::IfNewer, false, true, false),
        (Overwrite::Never, false, false, false),
    ] {
        let bed = bed();
        for name in ["newer", "older", "trusted", "gone"] {
            bed.write(name, b"right");
            touch(&bed.source().join(name), 1_600_000_000);
        }
        let stage = Stage::of(bed);
        for (name, time) in [
            ("newer", 1_700_000_000),
            ("older", 1_500_000_000),
            ("trusted", 1_600_000_000),
        ] {
            fs::write(stage.at(name), b"wrong").unwrap();
            touch(&stage.at(name), time);
        }
        fs::remove_file(stage.at("gone")).unwrap();
        let done = stage.restore(&with(overwrite));
        assert_eq!(done.items.problems(), [""; 0]);
        let is_right = |name| fs::read(stage.at(name)).unwrap() == b"right";
        assert_eq!(is_right("newer"), newer, "{overwrite:?}");
        assert_eq!(is_right("older"), older, "{overwrite:?}");
        assert_eq!(is_right("trusted"), trusted, "{overwrite:?}");
        assert!(is_right("gone"));
        assert_eq!(
            done.items.of(Outcome::Restored),
            ["/dir", "/dir/sub", "/gone"]
        );
        let expected = 1 + u64::from(newer) + u64::from(older) + u64::from(trusted);
        assert_eq!(done.summary.files, expected, "{overwrite:?}");
    }
}

#[test]
fn a_file_that_was_only_touched_gets_its_attributes_back() {
    for overwrite in [Overwrite::Always, Overwrite::IfChanged] {
        let stage = Stage::of(bed());
        let large = stage.at("dir/large");
        let before = inode(&large);
        touch(&large, 1_500_000_000);
        fs::set_permissions(stage.at("dir/small"), fs::Permissions::from_mode(0o601)).unwrap();
        fs::set_permissions(stage.at("dir"), fs::Permissions::from_mode(0o701)).unwrap();
        fs::set_permissions(stage.at("pipe"), fs::Permissions::from_mode(0o606)).unwrap();
        let done = stage.restore(&with(overwrite));
        assert_eq!(done.summary.files, 0, "only attributes");
        assert_eq!(inode(&large), before);
        stage.assert_restored();
    }
}

#[test]
fn holes_come_back_where_they_were() {
    let bed = Bed::new();
    let sparse = File::create(bed.source().join("sparse")).unwrap();
    sparse.set_len(4 << 20).unwrap();
    sparse.write_all_at(&noise(1, 200 << 10), 1 << 20).unwrap();
    // Zeros that are written are data.
    bed.write("zeros", &vec![0; 1 << 20]);
    bed.write("dense", &noise(2, 1 << 20));
    let extents = |path: &Path| {
        let file = File::open(path).unwrap();
        crate::fs::extents(&file, file.metadata().unwrap().len()).unwrap()
    };
    let stage = Stage::of(bed);
    let names = ["sparse", "zeros", "dense"];
    let source = names.map(|name| extents(&stage.bed.source().join(name)));
    let check = || {
        let there = names.map(|name| extents(&stage.at(name)));
        assert_eq!(there, source);
        stage.assert_restored();
    };
    check();
    // Data in the hole, zeros in the hole, a hole in the data, all at once.
    let file = File::options()
        .write(true)
        .open(stage.at("sparse"))
        .unwrap();
    file.write_all_at(b"x", 100).unwrap();
    file.write_all_at(&[0; 70_000], 3 << 20).unwrap();
    let zeros = File::options().write(true).open(stage.at("zeros")).unwrap();
    crate::fs::punch_hole(&zeros, 100_000, 500_000).unwrap();
    let dense = File::options().write(true).open(stage.at("dense")).unwrap();
    crate::fs::punch_hole(&dense, 100_000, 500_000).unwrap();
    let inodes = names.map(|name| inode(&stage.at(name)));
    let done = stage.restore(&RestoreOptions::default());
    assert_eq!(done.items.problems(), [""; 0]);
    check();
    assert_eq!(names.map(|name| inode(&stage.at(name))), inodes, "in place");
    let sparse = RestoreOptions {
        sparse: true,
        ..Default::default()
    };
    for fresh in [false, true] {
        if fresh {
            names
                .iter()
                .for_each(|name| fs::remove_file(stage.at(name)).unwrap());
        }
        stage.restore(&sparse);
        assert_eq!(extents(&stage.at("zeros")), []);
        assert_eq!(extents(&stage.at("sparse")), source[0]);
        stage.assert_restored();
    }
    stage.restore(&RestoreOptions::default());
    check();
}

#[test]
fn what_differs_when_it_is_read_back_is_a_problem() {
    let bed = bed();
    bed.write("kept", b"right");
    let stage = Stage::of(bed);
    let verify = |overwrite| RestoreOptions {
        verify: true,
        overwrite,
        ..Default::default()
    };
    let done = stage.restore(&verify(Overwrite::Always));
    assert_eq!(
        (done.summary.files_verified, done.items.problems().len()),
        (5, 0)
    );
    let time = fs::metadata(stage.at("kept")).unwrap().modified().unwrap();
    fs::write(stage.at("kept"), b"wrong").unwrap();
    File::options()
        .write(true)
        .open(stage.at("kept"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    // What is kept by request is not compared; what is only believed is.
    let done = stage.restore(&verify(Overwrite::Never));
    assert_eq!(
        (done.summary.files_verified, done.items.problems().len()),
        (0, 0)
    );
    let done = stage.restore(&verify(Overwrite::IfChanged));
    assert_eq!(done.summary.files_verified, 4);
    let problems = done.items.problems();
    assert!(
        problems.len() == 1 && problems[0].starts_with("kept: "),
        "{problems:?}"
    );
    assert_eq!(done.summary.problems, 1);
}

#[test]
fn a_file_that_gets_holes_on_request_is_counted_as_changed() {
    let bed = Bed::new();
    bed.write("zeros", &vec![0; 1 << 20]);
    bed.write("dense", &noise(2, 1 << 20));
    let stage = Stage::of(bed);
    for (dry_run, expected) in [(true, &["/zeros"][..]), (false, &["/zeros"]), (false, &[])] {
        let done = stage.restore(&RestoreOptions {
            sparse: true,
            dry_run,
            ..Default::default()
        });
        let updated = done.items.of(Outcome::Updated);
        assert_eq!(updated, expected, "{dry_run}");
        assert_eq!(done.summary.files, expected.len() as u64);
        assert_eq!(done.summary.bytes, (expected.len() << 20) as u64);
    }
}

#[test]
fn what_is_compared_and_read_back_is_counted() {
    use crate::progress::Counter;
    let bed = bed();
    // More chunks than one thread compares at a time.
    bed.write("huge", &noise(7, 24 << 20));
    let stage = Stage::of(bed);
    let file = File::options().write(true).open(stage.at("huge")).unwrap();
    for at in [0, 11 << 20, (24 << 20) - 5] {
        file.write_all_at(b"other", at).unwrap();
    }
    let size = (24 << 20) + (3 << 20) + 10;
    for verify in [false, true] {
        let done = stage.restore(&RestoreOptions {
            verify,
            ..Default::default()
        });
        assert_eq!(done.items.problems(), [""; 0]);
        assert_eq!(done.items.counted(Counter::BytesCompared), size);
        let read_back = done.items.counted(Counter::BytesVerified);
        assert_eq!(read_back, if verify { size } else { 0 });
    }
    stage.assert_restored();
}
