use super::*;
use repo_core::id::{KeyId, PackId};

#[test]
fn says_what_happened_to_what_and_what_to_do() {
    let place = Subject::Repository("/srv/x".into());
    let none = sentence(&Error::new(ErrorKind::NoRepository, place));
    assert!(
        none.starts_with("repository does not exist: there is none at /srv/x\n"),
        "{none}"
    );
    assert!(none.contains("larder init"));

    let wrong = sentence(&Error::new(ErrorKind::WrongPassword, Subject::None));
    assert!(wrong.starts_with("wrong password or no key found\n"));

    let pack = Error::damaged(Subject::Pack(PackId([0xab; 32])))
        .at(7)
        .detail("bad tag");
    let text = sentence(&pack);
    assert!(text.starts_with(&format!(
        "pack {} is damaged at byte 7: bad tag\n",
        "ab".repeat(32)
    )));
    assert!(text.contains("check --read-data"));
}

#[test]
fn a_full_disk_says_so() {
    let full = std::io::Error::from_raw_os_error(28);
    let text = sentence(&Error::io(Subject::Object("data/00/x".into()), full));
    assert!(text.contains("no space left on device\n"), "{text}");
    assert!(text.contains("Make room"));
}

#[test]
fn the_system_and_the_library_do_not_say_the_same_twice() {
    let about = |code, detail: &'static str| {
        let system = std::io::Error::from_raw_os_error(code);
        let error = Error::io(Subject::Object("data/00/x".into()), system).detail(detail);
        sentence(&error).lines().next().unwrap().to_owned()
    };
    assert_eq!(
        about(28, "no space left"),
        "object data/00/x cannot be written: no space left on device"
    );
    let full = std::io::Error::from_raw_os_error(28);
    let full = Error::io(Subject::Path("/a".into()), full)
        .detail("write")
        .at(7);
    assert_eq!(
        reason(&full),
        "cannot be written at byte 7: no space left on device"
    );
    let read_only = Error::io(
        Subject::Object("x".into()),
        std::io::Error::from_raw_os_error(30),
    );
    assert_eq!(
        reason(&read_only),
        "object x cannot be written: read-only file system"
    );
    let files = about(24, "too many open files");
    assert_eq!(files.matches("too many open files").count(), 1, "{files}");
    assert_eq!(
        about(5, "cannot be synced to disk"),
        "object data/00/x cannot be synced to disk: input/output error"
    );
    assert_eq!(
        about(13, "create directory"),
        "cannot create directory object data/00/x: permission denied"
    );
    let broken = std::io::Error::from_raw_os_error(5);
    let inner = Error::io(Subject::Object("data/00/x".into()), broken);
    let outer = Error::damaged(Subject::Object("data/00/x".into())).because(inner);
    assert_eq!(
        reason(&outer),
        "object data/00/x is damaged: input/output error"
    );
}

#[test]
fn every_sentence_has_one_subject_and_one_predicate() {
    let place = || Subject::Repository("/srv/x".into());
    let says = |kind, subject, detail: &'static str, expected: &str| {
        let text = sentence(&Error::new(kind, subject).detail(detail));
        assert_eq!(text.lines().next(), Some(expected));
    };
    says(
        ErrorKind::Unsupported,
        place(),
        "this is a restic repository",
        "there is a restic repository at /srv/x, which larder can neither read nor write",
    );
    says(
        ErrorKind::Unsupported,
        place(),
        "format version 2, this program reads 1",
        "repository /srv/x is not supported by this version: format version 2, this program reads 1",
    );
    says(
        ErrorKind::InvalidInput,
        Subject::Path("/srv/x".into()),
        "not a directory",
        "/srv/x is not a directory",
    );
    says(
        ErrorKind::InvalidInput,
        place(),
        "is there already",
        "repository /srv/x is there already",
    );
    says(
        ErrorKind::NotFound,
        Subject::Path("/a".into()),
        "not in the snapshot",
        "/a is not in the snapshot",
    );
    says(
        ErrorKind::Damaged,
        Subject::Entry(3),
        "does not decrypt",
        "log entry 3 is damaged: it does not decrypt",
    );
    says(
        ErrorKind::NoRepository,
        place(),
        "is not a directory",
        "repository does not exist: /srv/x is not a directory",
    );
    says(
        ErrorKind::Unavailable,
        Subject::None,
        "changed while it was read",
        "changed while it was read",
    );
    says(
        ErrorKind::Denied,
        place(),
        "this key may not write such a log entry",
        "repository /srv/x may not be changed: this key may not write such a log entry",
    );
}

#[test]
fn what_cannot_be_opened_cannot_be_checked() {
    let slot = Error::damaged(Subject::Key(KeyId([0xab; 32])));
    let gone = Error::missing(Subject::Object("keys".into()));
    let config = Error::damaged(Subject::Object("config".into()));
    for (error, named) in [
        (slot, "put keys/abab"),
        (gone, "Put one back"),
        (config, "Put config back"),
        (Error::missing(Subject::Entry(1)), "log/0/1-, back"),
        (Error::missing(Subject::Entry(2)), "Put log/0/2 back"),
    ] {
        let text = cannot_open(&error);
        assert!(text.contains(named), "{text}");
        assert!(!text.contains("--read-data"), "{text}");
    }
    let busy = Error::new(ErrorKind::Unavailable, Subject::Object("config".into()));
    assert_eq!(cannot_open(&busy), sentence(&busy));
}

#[test]
fn an_item_is_named_once() {
    let of = |error: Error| of_item("/srv/a", &error);
    let denied = || std::io::Error::from_raw_os_error(13);
    let path = || Subject::Path("/srv/a".into());
    assert_eq!(
        of(Error::io(path(), denied()).detail("open")),
        "cannot open /srv/a: permission denied"
    );
    assert_eq!(
        of(Error::new(ErrorKind::Unavailable, Subject::None).detail("changed while it was read")),
        "/srv/a changed while it was read"
    );
    assert_eq!(
        of(Error::new(ErrorKind::Unavailable, path()).detail("changed meanwhile: it is gone")),
        "/srv/a changed meanwhile: it is gone"
    );
    assert_eq!(
        of(Error::io(path(), denied()).detail("set times")),
        "cannot set times of /srv/a: permission denied"
    );
    assert_eq!(
        of(Error::io(path(), denied()).detail("set extended attribute user.x")),
        "cannot set extended attribute user.x of /srv/a: permission denied"
    );
    assert_eq!(
        of(Error::damaged(Subject::Entry(3)).detail("bad tag")),
        "/srv/a: log entry 3 is damaged: bad tag"
    );
}

#[test]
fn denied_is_said_once() {
    let denied = std::io::Error::from_raw_os_error(13);
    let error = Error::io(Subject::Path("/root/x".into()), denied);
    assert_eq!(reason(&error), "permission denied");
}

#[test]
fn costly_keys_name_their_flag() {
    let error = Error::invalid("password cost").detail("m = 9 KiB");
    assert!(sentence(&error).contains("--allow-costly-key"));
}

#[test]
fn names_cannot_command_the_terminal() {
    let text = sentence(&Error::new(
        ErrorKind::NotFound,
        Subject::Path("a\x1b[2Jb".into()),
    ));
    assert!(!text.contains('\x1b'), "{text:?}");
}
