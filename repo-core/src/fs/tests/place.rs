//! Creating and replacing, whatever lies in the way.

use super::*;
use crate::ErrorKind;
use crate::time::Timestamp;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};

#[test]
fn a_target_is_created_with_what_is_missing_above_it() {
    let temp = tempfile::tempdir().unwrap();
    let place = temp.path().join("a/b");
    let target = Target::open(&place).unwrap();
    assert_eq!(
        std::fs::metadata(&place).unwrap().permissions().mode() & 0o7777,
        0o700
    );
    complete(
        target
            .root()
            .put_file(b"f", b"x", &Attributes::default())
            .unwrap(),
    );
    symlink(&place, temp.path().join("link")).unwrap();
    assert!(
        Target::open(&temp.path().join("link"))
            .unwrap()
            .root()
            .stat(b"f")
            .unwrap()
            .is_some()
    );
    let error = Target::open(&place.join("f")).unwrap_err();
    assert!(matches!(error.subject(), crate::Subject::Path(path) if path.ends_with("a/b/f")));
}

#[test]
fn a_target_knows_whether_it_was_there() {
    let temp = tempfile::tempdir().unwrap();
    let place = temp.path().join("a/b");
    assert!(Target::open_existing(&place).unwrap().is_none());
    assert!(Target::open(&place).unwrap().root().is_new());
    assert!(!Target::open(&place).unwrap().root().is_new());
    let found = Target::open_existing(&place).unwrap().unwrap();
    assert!(!found.root().is_new());
    assert!(
        Target::open(&temp.path().join("c/./d"))
            .unwrap()
            .root()
            .is_new()
    );
    assert!(!Target::open(&place.join("..")).unwrap().root().is_new());
    std::fs::write(place.join("file"), b"").unwrap();
    let file = Target::open(&place.join("file")).unwrap_err();
    assert_eq!(file.kind(), ErrorKind::InvalidInput);
}

#[test]
fn only_empty_directories_are_removed_as_such() {
    with_target(|path, root| {
        let dir = root.create_dir(b"d").unwrap();
        std::fs::write(path.join("d/f"), b"x").unwrap();
        assert!(!root.remove_empty_dir(b"d").unwrap());
        assert!(root.remove_entry(b"d").is_err(), "and only so");
        dir.remove_entry(b"f").unwrap();
        dir.remove_entry(b"f").unwrap();
        assert!(root.remove_empty_dir(b"d").unwrap());
        symlink("/etc/\u{fe}", path.join("l")).unwrap();
        assert_eq!(root.read_link(b"l").unwrap(), "/etc/\u{fe}".as_bytes());
        root.remove_entry(b"l").unwrap();
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
    });
}

#[test]
fn names_that_lead_elsewhere_create_nothing() {
    with_target(|path, root| {
        let inside = root.create_dir(b"in").unwrap();
        let none = Attributes::default();
        for name in [&b""[..], b".", b"..", b"../x", b"/x", b"x/y", b"x\0"] {
            let results = [
                inside.create_dir(name).map(drop),
                inside.open_dir(name).map(drop),
                inside.create_file(name).map(drop),
                inside.open_existing_file(name).map(drop),
                inside.put_file(name, b"x", &none).map(drop),
                inside.symlink(b"t", name),
                inside.hardlink(root, name, b"y").map(drop),
                inside.hardlink(root, b"in", name).map(drop),
                inside.node(name, Kind::Fifo, 0),
                inside.apply_entry(name, Kind::Fifo, &none).map(drop),
                inside.stat(name).map(drop),
                inside.open_file_to_read(name).map(drop),
                inside.open_dir_of_same_mount(name).map(drop),
                inside.xattrs_of_entry(name).map(drop),
                inside.read_link(name).map(drop),
                inside.remove_empty_dir(name).map(drop),
                inside.remove_entry(name),
            ];
            for (at, result) in results.into_iter().enumerate() {
                let error = result.expect_err("no such name may pass");
                assert_eq!(
                    error.kind(),
                    ErrorKind::InvalidInput,
                    "operation {at} with {name:?}"
                );
            }
        }
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(path.join("in")).unwrap().count(), 0);
    });
}

#[test]
fn a_planted_link_is_never_followed() {
    with_target(|path, root| {
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        std::fs::write(&victim, b"untouched").unwrap();
        symlink(outside.path(), path.join("dir")).unwrap();
        symlink(&victim, path.join("file")).unwrap();
        assert_eq!(
            root.open_dir(b"dir").unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        let refused = [
            root.open_dir_of_same_mount(b"dir").map(drop),
            root.open_existing_file(b"file").map(drop),
            root.open_file_to_read(b"file").map(drop),
        ];
        for result in refused {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
        }
        assert!(root.remove_empty_dir(b"dir").is_err());
        assert!(root.hardlink(root, b"file", b"same").is_ok());
        assert_eq!(root.stat(b"same").unwrap().unwrap().kind, Kind::Symlink);

        let before = stat_path(&victim).unwrap();
        let attributes = Attributes {
            mode: Some(0o777),
            mtime: Some(Timestamp::new(1, 2)),
            ..Default::default()
        };
        let applied = root.apply_entry(b"file", Kind::Fifo, &attributes).unwrap();
        assert_eq!(
            applied.problems.len(),
            1,
            "the pipe that it shall be is a link: {applied:?}"
        );
        assert_eq!(stat_path(&victim).unwrap(), before);

        let dir = root.create_dir(b"dir").unwrap();
        assert!(dir.is_new());
        complete(
            dir.put_file(b"victim", b"new", &Attributes::default())
                .unwrap(),
        );
        complete(
            root.put_file(b"file", b"new", &Attributes::default())
                .unwrap(),
        );
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(std::fs::read(path.join("dir/victim")).unwrap(), b"new");
    });
}

#[test]
fn existing_things_are_replaced() {
    with_target(|path, root| {
        let none = Attributes::default();
        complete(root.put_file(b"a", b"old", &none).unwrap());
        root.hardlink(root, b"a", b"b").unwrap();
        complete(root.put_file(b"a", b"new", &none).unwrap());
        assert_eq!(std::fs::read(path.join("a")).unwrap(), b"new");
        assert_eq!(
            std::fs::read(path.join("b")).unwrap(),
            b"old",
            "the other name keeps it"
        );

        root.hardlink(root, b"a", b"b").unwrap();
        root.hardlink(root, b"a", b"b").unwrap();
        root.hardlink(root, b"a", b"a").unwrap();
        assert_eq!(root.stat(b"a").unwrap().unwrap().links, 2);
        assert_eq!(root.stat(b"a").unwrap(), root.stat(b"b").unwrap());

        let dir = root.create_dir(b"d").unwrap();
        complete(dir.put_file(b"kept", b"", &none).unwrap());
        assert!(dir.is_new() && !root.create_dir(b"d").unwrap().is_new());
        assert!(dir.stat(b"kept").unwrap().is_some());
        assert!(
            root.create_file(b"d").is_err(),
            "a directory with something in it stays"
        );
        assert!(root.open_existing_file(b"d").is_err());
        assert!(root.create_dir(b"a").unwrap().is_new());
        root.symlink(b"x", b"b").unwrap();
        assert_eq!(root.read().unwrap().read_link(b"b").unwrap(), b"x");
        root.node(b"b", Kind::Fifo, 0).unwrap();
        assert_eq!(root.stat(b"b").unwrap().unwrap().kind, Kind::Fifo);
    });
}

#[test]
fn existing_files_are_changed_in_place() {
    with_target(|path, root| {
        std::fs::write(path.join("f"), vec![1; 1 << 20]).unwrap();
        let (file, metadata) = root.open_existing_file(b"f").unwrap();
        assert_eq!((metadata.size, metadata.links), (1 << 20, 1));
        punch_hole(&file, 0, 1 << 19).unwrap();
        set_len(&file, 1 << 21).unwrap();
        write_at(&file, (1 << 21) - 1, b"e").unwrap();
        let mut bytes = vec![0; 1 << 21];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let wanted = |at: usize| match at {
            0x8_0000..0x10_0000 => 1,
            0x1f_ffff => b'e',
            _ => 0,
        };
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(at, &byte)| byte == wanted(at))
        );
        let data: u64 = extents(&file, 1 << 21)
            .unwrap()
            .iter()
            .map(|extent| extent.len)
            .sum();
        assert!((1 << 19..1 << 21).contains(&data));
    });
}

#[test]
fn a_full_disk_is_unavailable() {
    let full = Path::new("/dev/full");
    let Ok(file) = std::fs::OpenOptions::new().write(true).open(full) else {
        return;
    };
    let error = write_at(&file, 0, b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.offset(), Some(0));
}

#[test]
fn a_tree_deeper_than_any_path() {
    // 40 × 200 bytes are twice the longest path; 1,200 levels are more than the usual limit of descriptors.
    for (levels, name) in [(40, vec![b'\xee'; 200]), (1200, b"d".to_vec())] {
        with_target(|path, root| {
            let mut below = root.create_dir(b"top").unwrap();
            for level in 0_u32..levels {
                complete(
                    below
                        .put_file(b"file", &level.to_le_bytes(), &Attributes::default())
                        .unwrap(),
                );
                below.symlink(b"..", b"up").unwrap();
                below = below.create_dir(&name).unwrap();
            }
            let mut dir = Dir::open_root(path).unwrap().open_dir(b"top").unwrap();
            for level in 0..levels {
                let mut scan = dir.scan().unwrap();
                assert_eq!(scan.len(), 3);
                let at = scan.names().position(|found| found == b"file").unwrap();
                assert_eq!(scan.metadata(&dir, at).unwrap().size, 4);
                let mut bytes = [0; 10];
                let (file, _) = dir.open_file(b"file").unwrap();
                let read = read_at(&file, 0, 10, &mut bytes).unwrap();
                assert_eq!(bytes[..read], level.to_le_bytes());
                let kinds = [
                    (&b"file"[..], Kind::File),
                    (&name, Kind::Dir),
                    (b"up", Kind::Symlink),
                ];
                assert!(
                    kinds
                        .iter()
                        .all(|(entry, kind)| dir.xattrs(entry, *kind).is_ok())
                );
                dir = dir.open_dir(&name).unwrap();
            }
            assert!(dir.scan().unwrap().is_empty());
            // The standard library holds a descriptor for each level that it removes.
            let mut remove = std::process::Command::new("rm");
            let removed = remove.arg("-rf").arg(path.join("top")).status().unwrap();
            assert!(removed.success());
        });
    }
}
