//! What a directory does that other backends do not.

use super::super::conformance::{self, names};
use super::super::probe;
use super::trace::Step;
use super::write::Publish;
use super::*;
use crate::backend::Class;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// Picks steps that shall fail.
type Pick = fn(&Step<'_>) -> bool;

fn place() -> (TempDir, LocalBackend) {
    let dir = tempfile::tempdir().unwrap();
    let backend = LocalBackend::create(&dir.path().join("repository")).unwrap();
    (dir, backend)
}

fn with(publish: Publish) -> (TempDir, LocalBackend) {
    let (dir, backend) = place();
    backend.publish.store(publish as u8, Ordering::SeqCst);
    (dir, backend)
}

/// Runs the suite on directories made by `make`, which are kept until its end.
fn conforms(make: impl Fn() -> (TempDir, LocalBackend)) -> Class {
    let kept = Mutex::new(Vec::new());
    conformance::run(|| {
        let (dir, backend) = make();
        kept.lock().unwrap().push(dir);
        Box::new(backend)
    })
}

/// Sets the modification time of a file back.
fn age(path: &Path, seconds: i64) {
    let time = Timespec {
        tv_sec: crate::time::now().seconds - seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
}

fn files(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Makes every step that `which` picks fail with `errno`.
fn fail(backend: &LocalBackend, errno: Errno, which: Pick) {
    backend.trace.set(move |step| match which(step) {
        true => Err(io::Error::from_raw_os_error(errno.raw_os_error())),
        false => Ok(()),
    });
}

#[test]
fn conforms_by_rename() {
    assert_eq!(conforms(place), Class::A);
}

#[test]
fn conforms_by_link() {
    assert_eq!(conforms(|| with(Publish::Link)), Class::A);
}

#[test]
fn a_file_system_without_exclusive_names_is_class_c() {
    assert_eq!(conforms(|| with(Publish::Replace)), Class::C);
    let (_dir, backend) = with(Publish::Replace);
    assert_eq!(probe::race(&backend, "log").unwrap(), Class::C);
}

#[test]
fn modes_keep_others_out() {
    let (dir, backend) = place();
    backend.put("data/3f/a", b"1").unwrap();
    backend.put("config", b"1").unwrap();
    let root = dir.path().join("repository");
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    for path in ["", "data", "data/3f"] {
        assert_eq!(mode(path), 0o700, "{path}");
    }
    for path in ["config", "data/3f/a"] {
        assert_eq!(mode(path), 0o600, "{path}");
    }
}

#[test]
fn create_makes_parents_and_open_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/c");
    let kind = |result: Result<LocalBackend>| result.err().map(|error| error.kind());
    assert_eq!(
        kind(LocalBackend::open(&path)),
        Some(ErrorKind::NoRepository)
    );
    assert!(files(dir.path()).is_empty());
    LocalBackend::create(&path)
        .unwrap()
        .put("config", b"1")
        .unwrap();
    assert_eq!(
        LocalBackend::create(&path).unwrap().get("config").unwrap(),
        b"1"
    );
    assert_eq!(
        LocalBackend::open(&path).unwrap().get("config").unwrap(),
        b"1"
    );
    let file = path.join("config");
    assert_eq!(
        kind(LocalBackend::open(&file)),
        Some(ErrorKind::NoRepository)
    );
    assert_eq!(
        kind(LocalBackend::create(&file)),
        Some(ErrorKind::InvalidInput)
    );
}

#[test]
fn a_name_below_an_object_is_refused() {
    let (_dir, backend) = place();
    backend.put("a/b", b"1").unwrap();
    for name in ["a", "a/b/c", "a/b/c/d"] {
        assert_eq!(
            backend.put(name, b"2").unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{name}"
        );
        let error = backend.put_if_absent(name, b"2").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
    assert_eq!(names(&backend, ""), ["a/b"]);
}

#[test]
fn nothing_temporary_stays_after_success_refusal_or_failure() {
    for publish in [Publish::Rename, Publish::Link, Publish::Replace] {
        let (dir, backend) = with(publish);
        backend.put("data/a", b"1").unwrap();
        backend.put("data/a", b"1").unwrap();
        backend.put("data/a", b"other").unwrap();
        backend.put_if_absent("data/a", b"1").unwrap();
        fail(&backend, Errno::NOSPC, |step| {
            matches!(step, Step::Write(_))
        });
        backend.put("data/b", b"1").unwrap_err();
        fail(&backend, Errno::IO, |step| {
            matches!(step, Step::Publish(..))
        });
        backend.put("data/b", b"1").unwrap_err();
        assert_eq!(
            files(&dir.path().join("repository/data")),
            ["a"],
            "{publish:?}"
        );
    }
}

#[test]
fn a_full_disk_says_so_and_is_no_end() {
    let (_dir, backend) = place();
    for errno in [Errno::NOSPC, Errno::DQUOT] {
        fail(&backend, errno, |step| matches!(step, Step::Write(_)));
        let error = backend.put("data/a", b"1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.detail_text().unwrap().starts_with("no space left"));
        assert!(error.io_cause().is_some());
    }
    backend.trace.set(|_| Ok(()));
    backend.put("data/a", b"1").unwrap();
}

#[test]
fn a_failed_sync_poisons() {
    let syncs: [Pick; 3] = [
        |step| matches!(step, Step::SyncFile(_)),
        |step| *step == Step::SyncDirectory("data"),
        |step| *step == Step::SyncDirectory(""),
    ];
    for which in syncs {
        let (dir, backend) = place();
        backend.put("old", b"1").unwrap();
        fail(&backend, Errno::IO, which);
        let error = backend.put("data/a", b"1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        // From here on every sync would succeed, and nothing may trust it.
        backend.trace.set(|_| Ok(()));
        let kinds = [
            backend.put("data/b", b"1").map_err(|error| error.kind()),
            backend
                .put_if_absent("data/b", b"1")
                .map(drop)
                .map_err(|error| error.kind()),
            backend.delete("old").map_err(|error| error.kind()),
            backend
                .get("data/a")
                .map(drop)
                .map_err(|error| error.kind()),
            backend.size("old").map(drop).map_err(|error| error.kind()),
            backend
                .list("", &mut |_| Ok(()))
                .map_err(|error| error.kind()),
        ];
        assert_eq!(kinds, [Err(ErrorKind::Unavailable); 6]);
        let again = LocalBackend::open(&dir.path().join("repository")).unwrap();
        assert_eq!(again.get("old").unwrap(), b"1");
        assert_eq!(again.size("data/b").unwrap(), None);
    }
}

#[test]
fn a_failed_sync_of_the_file_leaves_it_unseen() {
    let (dir, backend) = place();
    fail(&backend, Errno::IO, |step| {
        matches!(step, Step::SyncFile(_))
    });
    backend.put("a", b"1").unwrap_err();
    assert!(files(&dir.path().join("repository")).is_empty());
}

#[test]
fn a_failed_sync_after_a_delete_poisons() {
    let (_dir, backend) = place();
    backend.put("a", b"1").unwrap();
    fail(&backend, Errno::IO, |step| {
        matches!(step, Step::SyncDirectory(_))
    });
    assert_eq!(
        backend.delete("a").unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert!(backend.size("a").is_err());
}

#[test]
fn only_stale_temporary_files_are_swept_and_none_is_listed() {
    let (dir, backend) = place();
    backend.put("data/a", b"1").unwrap();
    let data = dir.path().join("repository/data");
    let stale = "tmp-00000000000000aa";
    let kept = [
        "tmp-00000000000000bb",
        "tmp-00000000000000CC",
        "tmp-notes",
        "tmp-",
    ];
    for name in kept.into_iter().chain([stale]) {
        fs::write(data.join(name), b"x").unwrap();
        age(&data.join(name), 25 * 3600);
    }
    age(&data.join("a"), 25 * 3600);
    age(&data.join(kept[0]), 23 * 3600);
    assert_eq!(names(&backend, "data"), ["data/a"]);
    assert!(!data.join(stale).exists());
    assert!(data.join("a").exists());
    for name in kept {
        assert!(data.join(name).exists(), "{name}");
    }
}

#[test]
fn what_is_no_object_is_passed_over() {
    let (dir, backend) = place();
    backend.put("data/a", b"1").unwrap();
    let root = dir.path().join("repository");
    for name in ["README.txt", "data/.hidden", "data/A", "data/a_b"] {
        fs::write(root.join(name), b"x").unwrap();
    }
    fs::create_dir(root.join("lost+found")).unwrap();
    fs::write(root.join("lost+found/a"), b"x").unwrap();
    let deep = root.join("d/d/d/d/d/d/d/d");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("e"), b"x").unwrap();
    assert_eq!(names(&backend, ""), ["data/a"]);
    let file_name = std::os::unix::ffi::OsStrExt::from_bytes;
    let no_text: &std::ffi::OsStr = file_name(b"\xff");
    fs::write(root.join(no_text), b"x").unwrap();
    fs::write(root.join("tmp-0123456789abcdef"), b"x").unwrap();
    fs::create_dir(root.join("Photos")).unwrap();
    fs::write(root.join("Photos/a"), b"x").unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("link")).unwrap();
    let mut strangers = Vec::new();
    let mut add = |path: &str| strangers.push(path.to_owned());
    backend.list_strangers(&mut add).unwrap();
    strangers.sort();
    let expected = [
        "Photos",
        "README.txt",
        "d/d/d/d/d/d/d/d/e",
        "data/.hidden",
        "data/A",
        "data/a_b",
        "link",
        "\u{fffd}",
    ];
    assert_eq!(strangers, expected);
}

#[test]
fn a_pipe_is_no_object_and_blocks_nobody() {
    let (dir, backend) = place();
    let pipe = dir.path().join("repository/pipe");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(backend.get("pipe").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(backend.size("pipe").unwrap(), None);
    assert_eq!(
        backend.put("pipe", b"1").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert!(names(&backend, "").is_empty());
}

#[test]
fn a_part_may_lie_on_another_disk() {
    let (dir, backend) = place();
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink(&other, dir.path().join("repository/data")).unwrap();
    backend.put("data/3f/a", b"1").unwrap();
    assert_eq!(fs::read(other.join("3f/a")).unwrap(), b"1");
    assert_eq!(names(&backend, ""), ["data/3f/a"]);
    assert_eq!(backend.get("data/3f/a").unwrap(), b"1");
}

#[test]
fn a_directory_that_vanished_is_made_again() {
    let (dir, backend) = place();
    backend.put("data/3f/a", b"1").unwrap();
    fs::remove_dir_all(dir.path().join("repository/data")).unwrap();
    backend.put("data/3f/a", b"2").unwrap();
    assert_eq!(backend.get("data/3f/a").unwrap(), b"2");
}

#[test]
fn a_forged_length_costs_no_memory() {
    let (dir, backend) = place();
    let file = fs::File::create(dir.path().join("repository/a")).unwrap();
    file.set_len(OBJECT_BYTES_MAX + 1).unwrap();
    assert_eq!(backend.get("a").unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(
        backend.get_range("a", OBJECT_BYTES_MAX - 1, 2).unwrap(),
        [0, 0]
    );
    let error = backend.get_range("a", 0, OBJECT_BYTES_MAX + 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}

#[test]
fn a_file_system_that_cannot_do_better_gets_the_next_way() {
    let cases: [(Pick, Publish, Put); 3] = [
        (|_| false, Publish::Rename, Put::Exists),
        (
            |step| matches!(step, Step::Publish(_, Publish::Rename)),
            Publish::Link,
            Put::Exists,
        ),
        (
            |step| matches!(step, Step::Publish(_, Publish::Rename | Publish::Link)),
            Publish::Replace,
            Put::Created,
        ),
    ];
    for errno in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM] {
        for (which, way, again) in cases {
            let (_dir, backend) = place();
            fail(&backend, errno, which);
            assert_eq!(backend.put_if_absent("a", b"1").unwrap(), Put::Created);
            assert_eq!(backend.publish.load(Ordering::SeqCst), way as u8);
            assert_eq!(backend.put_if_absent("a", b"1").unwrap(), again);
            assert_eq!(backend.get("a").unwrap(), b"1");
        }
    }
}

#[test]
fn a_way_that_worked_once_is_never_stepped_down_from() {
    let (_dir, backend) = place();
    assert_eq!(backend.put_if_absent("a", b"1").unwrap(), Put::Created);
    fail(&backend, Errno::INVAL, |step| {
        matches!(step, Step::Publish(_, Publish::Rename))
    });
    assert_eq!(
        backend.put_if_absent("a", b"2").unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(
        backend.publish.load(Ordering::SeqCst),
        Publish::Rename as u8
    );
    assert_eq!(backend.get("a").unwrap(), b"1");
}

#[test]
fn other_errors_are_no_reason_to_step_down() {
    for errno in [Errno::IO, Errno::NOSPC, Errno::ACCESS, Errno::ROFS] {
        let (_dir, backend) = place();
        fail(&backend, errno, |step| matches!(step, Step::Publish(..)));
        backend.put_if_absent("a", b"1").unwrap_err();
        assert_eq!(
            backend.publish.load(Ordering::SeqCst),
            Publish::Rename as u8
        );
        assert_eq!(backend.size("a").unwrap(), None);
    }
}

#[test]
fn a_refusal_of_the_system_is_denied() {
    let (_dir, backend) = place();
    for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS] {
        fail(&backend, errno, |step| {
            matches!(step, Step::Write(_) | Step::Unlink(_))
        });
        assert_eq!(
            backend.put("a", b"1").unwrap_err().kind(),
            ErrorKind::Denied
        );
        assert_eq!(backend.delete("a").unwrap_err().kind(), ErrorKind::Denied);
    }
}
