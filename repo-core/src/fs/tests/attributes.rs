//! Owner, mode, extended attributes, access control lists and times of what was put in place.

use super::*;
use crate::ErrorKind;
use crate::time::Timestamp;
use rustix::io::Errno;

fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr {
        name: name.into(),
        value: value.to_vec(),
    }
}

/// An access control list as the kernel stores it: version 2, then (tag, permissions, id) for each entry.
fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

/// Owner all, user 12345 all, group read, mask all, others nothing.
fn acl_for_a_stranger() -> Vec<u8> {
    let none = u32::MAX;
    acl(&[
        (1, 7, none),
        (2, 7, 12_345),
        (4, 4, none),
        (0x10, 7, none),
        (0x20, 0, none),
    ])
}

#[test]
fn every_kind_comes_back_with_its_attributes() {
    with_target(|_, root| {
        let long = [b'\xff'; 255];
        complete(root.put_file(&long, b"x", &Attributes::default()).unwrap());
        root.symlink(b"\xfe/../nowhere", b"link").unwrap();
        root.node(b"fifo", Kind::Fifo, 7).unwrap();
        root.node(b"socket", Kind::Socket, 7).unwrap();
        let mut kinds = vec![(&b"fifo"[..], Kind::Fifo), (b"socket", Kind::Socket)];
        if is_root() {
            let null = stat_path(Path::new("/dev/null")).unwrap().rdev;
            if root.node(b"char", Kind::CharDevice, null).is_ok() {
                root.node(b"block", Kind::BlockDevice, null).unwrap();
                assert_eq!(root.stat(b"char").unwrap().unwrap().rdev, null);
                kinds.extend([
                    (&b"char"[..], Kind::CharDevice),
                    (b"block", Kind::BlockDevice),
                ]);
            }
        } else {
            let error = root.node(b"char", Kind::CharDevice, 259).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied);
        }
        assert_eq!(
            root.node(b"d", Kind::Dir, 0).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        kinds.extend([(&b"link"[..], Kind::Symlink), (&long, Kind::File)]);
        let attributes = Attributes {
            owner: Some(if is_root() { (1234, 2345) } else { own() }),
            mode: Some(0o4641),
            atime: Some(Timestamp::new(1_500_000_000, 999_999_999)),
            mtime: Some(Timestamp::new(-1, 123_456_789)),
            ..Default::default()
        };
        for (name, kind) in kinds {
            complete(root.apply_entry(name, kind, &attributes).unwrap());
            let found = root.stat(name).unwrap().unwrap();
            assert_eq!(found.kind, kind);
            assert_eq!(Some((found.uid, found.gid)), attributes.owner);
            assert_eq!(
                (Some(found.atime), Some(found.mtime)),
                (attributes.atime, attributes.mtime)
            );
            assert_eq!(
                found.mode,
                if kind == Kind::Symlink { 0o777 } else { 0o4641 }
            );
        }
        assert_eq!(
            root.read().unwrap().read_link(b"link").unwrap(),
            b"\xfe/../nowhere"
        );
    });
}

#[test]
fn set_id_bits_come_back_only_with_their_owner() {
    with_target(|path, root| {
        let mode = |name: &str| stat_path(&path.join(name)).unwrap().mode;
        let owner = if is_root() { (1234, 1234) } else { own() };
        let with = Attributes {
            owner: Some(owner),
            mode: Some(0o6755),
            ..Default::default()
        };
        complete(root.put_file(b"same", b"#!", &with).unwrap());
        assert_eq!(mode("same"), 0o6755);
        complete(
            root.put_file(
                b"none",
                b"",
                &Attributes {
                    owner: None,
                    ..with
                },
            )
            .unwrap(),
        );
        assert_eq!(mode("none"), 0o755);
        let nobody = Attributes {
            owner: Some((u32::MAX, owner.1)),
            ..with
        };
        let applied = root.put_file(b"half", b"", &nobody).unwrap();
        assert!(applied.owner_skipped && applied.problems.is_empty());
        assert_eq!(mode("half"), 0o2755, "the group was set, the user was not");
        if !is_root() {
            let root_owned = Attributes {
                owner: Some((0, 0)),
                ..with
            };
            let applied = root.put_file(b"root", b"", &root_owned).unwrap();
            assert!(applied.owner_skipped && applied.problems.is_empty());
            assert_eq!(mode("root"), 0o755);
        }
        let dir = root.create_dir(b"dir").unwrap();
        complete(dir.apply(&Attributes {
            mode: Some(0o3770),
            ..Default::default()
        }));
        assert_eq!(
            mode("dir"),
            0o3770,
            "on a directory they give nobody's rights away"
        );
    });
}

#[test]
fn attributes_of_open_files_and_directories() {
    with_target(|path, root| {
        let dir = root.create_dir(b"dir").unwrap();
        let file = dir.create_file(b"file").unwrap();
        assert_eq!(stat_path(&path.join("dir/file")).unwrap().mode, BEGUN_MODE);
        write_at(&file, 0, b"abc").unwrap();
        std::fs::write(path.join("model"), b"").unwrap();
        let mut model = stat_path(&path.join("model")).unwrap();
        (model.mode, model.mtime) = (0o1544, Timestamp::new(i64::from(i32::MAX) + 10, 1));
        complete(apply_to(&file, Kind::File, &Attributes::from(&model)));
        complete(dir.apply(&Attributes::from(&model)));
        for found in [
            stat_path(&path.join("dir/file")).unwrap(),
            stat_path(&path.join("dir")).unwrap(),
        ] {
            assert_eq!(
                (found.mode, found.mtime, found.atime),
                (0o1544, model.mtime, model.atime)
            );
            assert_eq!((found.uid, found.gid), (model.uid, model.gid));
        }
        let only = Attributes {
            atime: Some(Timestamp::new(5, 5)),
            ..Default::default()
        };
        complete(apply_to(&file, Kind::File, &only));
        let found = metadata_of(&file).unwrap();
        assert_eq!(
            (found.mtime, found.atime),
            (model.mtime, Timestamp::new(5, 5))
        );
        // The kernel would take this for *now*; only a decoder's check or a constructor keeps it out.
        let now = Timestamp {
            seconds: 0,
            nanos: 0x3fff_ffff,
        };
        let bad = Attributes {
            mtime: Some(now),
            mode: Some(0o600),
            ..Default::default()
        };
        let applied = apply_to(&file, Kind::File, &bad);
        assert_eq!(applied.problems[0].kind(), ErrorKind::InvalidInput);
        let found = metadata_of(&file).unwrap();
        assert_eq!(
            (found.mtime, found.mode),
            (model.mtime, 0o600),
            "the rest is applied"
        );
        complete(dir.apply(&Attributes {
            mode: Some(0o700),
            ..Default::default()
        }));
    });
}

#[test]
fn extended_attributes_round_trip_even_to_read_only_files() {
    with_target(|_, root| {
        let file = root.create_file(b"f").unwrap();
        if rustix::fs::fsetxattr(&file, "user.old", b"x", rustix::fs::XattrFlags::empty())
            == Err(Errno::OPNOTSUPP)
        {
            return;
        }
        let wanted = [xattr("user.a", b"1"), xattr("user.\u{fc}", &[0xff; 300])];
        let attributes = Attributes {
            mode: Some(0o444),
            xattrs: Some(&wanted),
            ..Default::default()
        };
        complete(apply_to(&file, Kind::File, &attributes));
        let user = |found: Vec<Xattr>| -> Vec<Xattr> {
            found
                .into_iter()
                .filter(|xattr| xattr.name.starts_with(b"user."))
                .collect()
        };
        let mut with_old = wanted.to_vec();
        with_old.insert(1, xattr("user.old", b"x"));
        assert_eq!(user(xattrs_of(&file).unwrap()), with_old);
        complete(root.put_file(b"fresh", b"", &attributes).unwrap());
        assert_eq!(
            user(root.read().unwrap().xattrs(b"fresh", Kind::File).unwrap()),
            wanted
        );

        complete(apply_to(
            &file,
            Kind::File,
            &Attributes {
                mode: Some(0o600),
                ..Default::default()
            },
        ));
        let surplus = surplus_xattrs(&xattrs_of(&file).unwrap(), &wanted);
        assert_eq!(surplus, [b"user.old"]);
        complete(apply_to(
            &file,
            Kind::File,
            &Attributes {
                removed_xattrs: &surplus,
                ..attributes
            },
        ));
        assert_eq!(user(xattrs_of(&file).unwrap()), wanted);

        let impossible = [xattr("nonsense", b"1"), xattr("user.a", b"2")];
        let applied = apply_to(
            root,
            Kind::Dir,
            &Attributes {
                xattrs: Some(&impossible),
                ..Default::default()
            },
        );
        assert_eq!(applied.problems.len(), 1);
        assert!(
            applied.problems[0].to_string().contains("nonsense"),
            "{applied:?}"
        );
        assert_eq!(
            user(xattrs_of(root).unwrap()),
            impossible[1..],
            "one failure stops no other"
        );
        let dir = root.create_dir(b"d").unwrap();
        complete(dir.apply(&Attributes {
            mode: Some(0o555),
            xattrs: Some(&wanted),
            ..Default::default()
        }));
        assert_eq!(
            user(root.read().unwrap().xattrs(b"d", Kind::Dir).unwrap()),
            wanted
        );
    });
}

#[test]
fn access_control_lists_round_trip_and_are_not_inherited() {
    with_target(|path, root| {
        let list = acl_for_a_stranger();
        let dir = root.create_dir(b"d").unwrap();
        let both = [
            xattr("system.posix_acl_access", &list),
            xattr("system.posix_acl_default", &list),
        ];
        let set = rustix::fs::XattrFlags::empty();
        if rustix::fs::fsetxattr(&dir, "system.posix_acl_access", &list, set)
            == Err(Errno::OPNOTSUPP)
        {
            return;
        }
        // The mode of a file with a list has the mask of the list in place of the group.
        complete(dir.apply(&Attributes {
            mode: Some(0o770),
            xattrs: Some(&both),
            ..Default::default()
        }));
        assert_eq!(stat_path(&path.join("d")).unwrap().mode, 0o770);
        let lists = |found: Vec<Xattr>| -> Vec<Xattr> {
            found
                .into_iter()
                .filter(|xattr| xattr.name.starts_with(b"system.posix_acl"))
                .collect()
        };
        assert_eq!(lists(xattrs_of(&dir).unwrap()), both);

        std::fs::write(path.join("d/by-others"), b"").unwrap();
        let by_others = root.read().unwrap().open_dir(b"d").unwrap();
        let inherited = lists(by_others.xattrs(b"by-others", Kind::File).unwrap());
        assert_eq!(inherited.len(), 1, "the kernel hands the list down");
        let dir = root.open_dir(b"d").unwrap();
        let plain = Attributes {
            mode: Some(0o666),
            ..Default::default()
        };
        complete(dir.put_file(b"ours", b"", &plain).unwrap());
        dir.node(b"pipe", Kind::Fifo, 0).unwrap();
        assert!(lists(by_others.xattrs(b"pipe", Kind::Fifo).unwrap()).is_empty());
        let below = dir.create_dir(b"below").unwrap();
        complete(below.put_file(b"deeper", b"", &plain).unwrap());
        assert!(lists(by_others.xattrs(b"ours", Kind::File).unwrap()).is_empty());
        assert!(lists(xattrs_of(&below).unwrap()).is_empty());
        assert!(lists(below.read().unwrap().xattrs(b"deeper", Kind::File).unwrap()).is_empty());
        assert_eq!(stat_path(&path.join("d/ours")).unwrap().mode, 0o666);

        let (file, _) = dir.open_existing_file(b"by-others").unwrap();
        let surplus = surplus_xattrs(&xattrs_of(&file).unwrap(), &[]);
        let without = Attributes {
            removed_xattrs: &surplus,
            mode: Some(0o640),
            ..Default::default()
        };
        complete(apply_to(&file, Kind::File, &without));
        assert!(lists(xattrs_of(&file).unwrap()).is_empty());
        assert_eq!(metadata_of(&file).unwrap().mode, 0o640);
    });
}
