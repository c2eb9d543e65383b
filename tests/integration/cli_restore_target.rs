//! `restore` to all sorts of targets: such that are no directory, full, or not writable; traps in the target.

use crate::environment::{TestEnvironment, assert_same_entries, assert_same_tree, noise};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;

fn place() -> (TestEnvironment, String) {
    let env = TestEnvironment::with_repository();
    env.write_source();
    let what = "latest:/src".to_owned();
    env.backup(&["src"]);
    (env, what)
}

#[test]
fn a_target_that_is_no_directory_is_refused() {
    let (env, what) = place();
    env.write("file", "mine");
    for target in ["file", "file/below"] {
        let run = env.run(&["restore", &what, "-t", target]).expect(1);
        run.says("file").says("Choose another directory.");
        env.run(&["restore", &what, "-t", target, "--dry-run"])
            .expect(1);
    }
    assert_eq!(fs::read(env.path("file")).unwrap(), b"mine");
    symlink("nowhere", env.path("dangling")).unwrap();
    env.run(&["restore", &what, "-t", "dangling"])
        .expect(1)
        .says("dangling is a symbolic link that leads nowhere\nChoose another directory.");
    let run = env.run(&["restore", &what, "-t", "/proc/larder"]).expect(1);
    run.says("cannot create directory /proc/larder: no such file or directory\nChoose another");
    env.run(&["restore", "latest:/src/a.txt", "-t", "out"])
        .expect(1)
        .says("/src/a.txt is no folder in the snapshot\nRestore the folder that it lies in");
}

#[test]
fn patterns_that_match_nothing_are_told() {
    let (env, what) = place();
    let told = env.ok(&["restore", &what, "-t", "out", "-i", "/nothing/here"]);
    told.says("nothing in the snapshot matches --include");
    let told = env.ok(&["restore", &what, "-t", "out", "-i", "a.txt"]);
    assert_eq!(told.stderr, "");
    let told = env.ok(&["restore", &what, "-t", "out", "-i", "a.txt"]);
    assert_eq!(told.stderr, "", "it is there already");
}

#[test]
fn a_folder_gives_its_attributes_to_a_target_that_is_new() {
    let (env, what) = place();
    fs::set_permissions(env.path("src"), fs::Permissions::from_mode(0o2751)).unwrap();
    env.backup(&["src"]);
    env.ok(&["restore", &what, "-t", "new/below"]);
    assert_same_tree(&env.path("src"), &env.path("new/below"));
    assert_eq!(
        fs::metadata(env.path("new")).unwrap().mode() & 0o7777,
        0o700
    );
    fs::create_dir(env.path("mine")).unwrap();
    fs::set_permissions(env.path("mine"), fs::Permissions::from_mode(0o710)).unwrap();
    env.ok(&["restore", &what, "-t", "mine"]);
    assert_eq!(
        fs::metadata(env.path("mine")).unwrap().mode() & 0o7777,
        0o710
    );
    env.ok(&["restore", "latest", "-t", "whole"]);
    assert_eq!(
        fs::metadata(env.path("whole")).unwrap().mode() & 0o7777,
        0o700
    );
}

#[test]
fn nothing_leaves_the_target_whatever_lies_there() {
    let (env, what) = place();
    env.write("src/dir/deep/file", "new");
    env.backup(&["src"]);
    let outside = env.write("outside/deep/file", "mine");
    env.write("outside/a.txt", "mine");
    let check = |flags: &[&str]| {
        let _ = fs::remove_dir_all(env.path("out"));
        fs::create_dir(env.path("out")).unwrap();
        symlink(env.path("outside"), env.path("out/dir")).unwrap();
        symlink(env.path("outside/a.txt"), env.path("out/a.txt")).unwrap();
        symlink(env.path("outside"), env.path("out/surplus")).unwrap();
        fs::hard_link(env.path("outside/a.txt"), env.path("out/b.bin")).unwrap();
        let run = env.run(&[&["restore", &what, "-t", "out"], flags].concat());
        assert_eq!(fs::read(&outside).unwrap(), b"mine", "{flags:?}");
        assert_eq!(
            fs::read(env.path("outside/a.txt")).unwrap(),
            b"mine",
            "{flags:?}"
        );
        assert_eq!(env.files("outside").len(), 2, "{flags:?}");
        run
    };
    for flags in [&[][..], &["--delete"], &["--sparse", "--verify"]] {
        check(flags).expect(0);
    }
    assert!(env.path("out/surplus").exists());
    check(&["--delete"]);
    assert!(env.path("out/surplus").symlink_metadata().is_err());
    assert_same_entries(&env.path("src"), &env.path("out"));
    // What must stay, stays, and what cannot be restored therefore is named.
    for policy in ["never", "if-newer"] {
        check(&["--overwrite", policy])
            .expect(3)
            .says("dir is no directory");
    }
    check(&["--delete", "--dry-run"]).expect(0);
    assert!(env.path("out/surplus").symlink_metadata().is_ok());
}

#[test]
fn without_privilege_owners_are_skipped_and_counted() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (env, what) = place();
    chown(env.path("src/a.txt"), Some(1234), Some(5678)).unwrap();
    fs::hard_link(env.path("src/a.txt"), env.path("src/a2")).unwrap();
    env.backup(&["src"]);
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(env.path(""), everybody).unwrap();
    fs::create_dir(env.path("theirs")).unwrap();
    let run = |target: &str, flags: &[&str]| {
        let arguments = [
            &["--json", "restore", &what, "-t", target, "--no-cache"],
            flags,
        ]
        .concat();
        let mut command = env.command(&arguments);
        command
            .uid(NOBODY)
            .gid(NOBODY)
            .env("LARDER_STATE_DIR", env.path("theirs/state"));
        crate::environment::Run::of(command.output().unwrap())
    };
    for path in ["theirs", "key"] {
        chown(env.path(path), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::create_dir(env.path("root's")).unwrap();
    let open = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    for file in env.files("repo") {
        let path = env.path("repo").join(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path.ancestors()
            .skip(1)
            .take_while(|above| *above != env.path(""))
            .for_each(open);
    }
    let done = run("theirs/out", &[]).expect(0);
    let summary = done.messages().pop().unwrap();
    // Root owns four of them, another user one.
    assert_eq!(summary["owners_skipped"], 6, "{summary}");
    let linked = || ["a.txt", "a2"].map(|name| fs::metadata(env.path("theirs/out").join(name)));
    let linked = || {
        linked()
            .map(|found| found.unwrap())
            .map(|it| (it.uid(), it.ino()))
    };
    let before = linked();
    assert!(
        before[0] == before[1] && before[0].0 == NOBODY,
        "{before:?}"
    );
    // The target itself keeps its own now. What nobody but root can set is no reason to write a file with several names anew.
    let again = run("theirs/out", &[]).expect(0).messages().pop().unwrap();
    assert_eq!(linked(), before);
    assert_eq!(
        (&again["bytes_restored"], &again["owners_skipped"]),
        (&0.into(), &5.into())
    );
    let summary = run("theirs/out", &["--no-owner"])
        .expect(0)
        .messages()
        .pop()
        .unwrap();
    assert_eq!(
        (&summary["owners_skipped"], &summary["bytes_restored"]),
        (&0.into(), &0.into())
    );
    // A directory of somebody else's: nothing can be made there, and each is named.
    let denied = run("root's", &[]).expect(3);
    assert!(denied.errors().len() >= 4, "{denied:?}");
    assert_eq!(env.files("root's").len(), 0);
}

/// Runs a script in a mount namespace of its own; `None` where that is not allowed.
fn with_mounts(
    env: &TestEnvironment,
    script: &str,
    arguments: &[&str],
) -> Option<crate::environment::Run> {
    let script = format!("mount --make-rprivate / || exit 77\n{script}");
    let inner = env.command(arguments);
    let mut command = std::process::Command::new("unshare");
    command
        .args(["-m", "sh", "-ec", &script, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    command.current_dir(env.path("")).env_clear();
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let run = crate::environment::Run::of(command.output().ok()?);
    (run.code != 77 && rustix::process::geteuid().is_root()).then_some(run)
}

#[test]
fn a_full_target_loses_nothing_and_the_next_run_goes_on() {
    let (env, what) = place();
    fs::create_dir(env.path("small")).unwrap();
    let script = "mount -t tmpfs -o size=200k none small || exit 77\n\
                  echo mine > small/mine\n\
                  code=0; \"$@\" || code=$?\n\
                  cat small/a.txt small/mine small/sub/c.txt\n\
                  test ! -e small/b.bin\n\
                  mount -o remount,size=10m small\n\
                  \"$@\" --verify > /dev/null\n\
                  cmp small/b.bin src/b.bin\n\
                  exit $code";
    let Some(run) = with_mounts(&env, script, &["restore", &what, "-t", "small", "-q"]) else {
        return;
    };
    run.expect(3)
        .says("b.bin cannot be written")
        .says("no space left on device")
        .prints("alpha\nmine\ngamma\n");
}

#[test]
fn a_file_that_cannot_grow_for_lack_of_room_is_not_touched() {
    let (env, what) = place();
    fs::create_dir(env.path("small")).unwrap();
    // The old one is older, and shorter, than what is to be written into it.
    let script = "mount -t tmpfs -o size=200k none small || exit 77\n\
                  head -c 5000 src/b.bin | tr '\\000' x > small/b.bin\n\
                  touch -d 2020-01-01 small/b.bin; chmod 640 small/b.bin; cp -a small/b.bin old\n\
                  code=0; \"$@\" || code=$?\n\
                  cmp small/b.bin old; stat -c '%a %y' small/b.bin; ls -A small | wc -l\n\
                  mount -o remount,size=10m small\n\
                  \"$@\" --overwrite if-newer > /dev/null\n\
                  cmp small/b.bin src/b.bin\n\
                  exit $code";
    let arguments = ["restore", &what, "-t", "small", "-q", "-i", "b.bin"];
    let Some(run) = with_mounts(&env, script, &arguments) else {
        return;
    };
    run.expect(3)
        .says("b.bin cannot be written")
        .prints("640 2020-01-01")
        .prints("\n1\n");
}

#[test]
fn a_file_too_large_for_the_target_costs_no_other() {
    let env = TestEnvironment::with_repository();
    env.write("src/a-large", noise(20_000_000, 1));
    let small: Vec<String> = (0..26).map(|n| format!("src/z{n}")).collect();
    for (name, seed) in small.iter().zip(2..) {
        env.write(name, noise(100_000, seed));
    }
    env.backup(&["src"]);
    fs::create_dir(env.path("out")).unwrap();
    let script = "mount -t tmpfs -o size=8m none out || exit 77\n\
                  code=0; \"$@\" || code=$?\n\
                  for f in src/z*; do cmp $f out/${f#src/} || exit 99; done\n\
                  ls -A out | wc -l\n\
                  exit $code";
    let arguments = ["restore", "latest:/src", "-t", "out", "-q"];
    let Some(run) = with_mounts(&env, script, &arguments) else {
        return;
    };
    let run = run
        .expect(3)
        .prints("26\n")
        .says("a-large cannot be written")
        .says("1 file is too large for the room in the target: make room and run it again");
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{run:?}");
}

#[test]
fn a_target_that_nothing_fits_into_ends_the_restore() {
    let env = TestEnvironment::with_repository();
    for n in 0..50 {
        env.write(&format!("src/z{n}"), noise(20_000, n));
    }
    env.backup(&["src"]);
    fs::create_dir(env.path("out")).unwrap();
    let script = "mount -t tmpfs -o size=200k none out || exit 77\n\
                  code=0; \"$@\" || code=$?\n\
                  mount -o remount,size=10m out\n\
                  \"$@\" > /dev/null\n\
                  ls -A out | wc -l\n\
                  exit $code";
    let arguments = ["restore", "latest:/src", "-t", "out", "-q"];
    let Some(run) = with_mounts(&env, script, &arguments) else {
        return;
    };
    let run = run.expect(1).prints("50\n");
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{run:?}");
    assert!(lines[0].starts_with("Fatal: out/z"), "{run:?}");
    assert!(lines[0].ends_with(" cannot be written: no space left on device"));
    assert!(lines[1].starts_with("Make room there and run it again"));
}

#[test]
fn a_target_that_is_read_only_is_said_once() {
    let (env, what) = place();
    fs::create_dir(env.path("out")).unwrap();
    let script = "mount -t tmpfs -o ro none out || exit 77\n\"$@\"";
    let Some(run) = with_mounts(&env, script, &["restore", &what, "-t", "out"]) else {
        return;
    };
    let run = run
        .expect(1)
        .says("read-only file system")
        .says("Mount it for writing");
    assert_eq!(run.stderr.lines().count(), 2, "{run:?}");
}

#[test]
fn a_target_without_attributes_says_once_what_it_cannot_keep() {
    let env = TestEnvironment::with_repository();
    env.write("src/file", "content");
    env.write("src/other", "content");
    let empty = rustix::fs::XattrFlags::empty();
    for name in ["src", "src/file", "src/other"] {
        for attribute in ["user.note", "user.more"] {
            if rustix::fs::setxattr(env.path(name), attribute, b"x", empty).is_err() {
                return;
            }
        }
    }
    env.backup(&["src"]);
    fs::create_dir(env.path("out")).unwrap();
    let what = "latest:/src".to_owned();
    let script = "mount -t ramfs none out || exit 77\n\
                  code=0; \"$@\" || code=$?; cat out/new/file; exit $code";
    let restore = ["restore", &what, "-t", "out/new", "-q"];
    let Some(run) = with_mounts(&env, script, &restore) else {
        return;
    };
    let run = run.expect(3).prints("content");
    let said = run
        .says("error: cannot set extended attribute user.more of ")
        .says(": operation not supported\n")
        .says("warning: 6 extended attributes were not set")
        .says("--exclude-xattr '*'");
    assert_eq!(said.stderr.matches("error: ").count(), 1, "{said:?}");
    let one = [&restore[..], &["-i", "file"]].concat();
    let said = with_mounts(&env, script, &one).unwrap().expect(3);
    said.says("warning: 4 extended attributes were not set");
    // The target's own, which is named by its whole path.
    let none = [&restore[..], &["-e", "*"]].concat();
    let script = "mount -t ramfs none out || exit 77\n\"$@\"";
    let said = with_mounts(&env, script, &none).unwrap().expect(3);
    said.says(&format!(
        "user.more of {}: operation not supported",
        env.text("out/new")
    ));
    // What nothing is restored to is left as it was made.
    let nothing = [&restore[..], &["-i", "/nothing"]].concat();
    with_mounts(&env, script, &nothing).unwrap().expect(0);
    let without = [&restore[..], &["--exclude-xattr", "*"]].concat();
    with_mounts(&env, script, &without).unwrap().expect(0);
}

#[test]
fn what_is_mounted_in_the_target_is_not_removed() {
    let (env, what) = place();
    for dir in ["out/surplus/mounted", "outside"] {
        fs::create_dir_all(env.path(dir)).unwrap();
    }
    env.write("outside/file", "mine");
    let script = "mount --bind outside out/surplus/mounted || exit 77\n\"$@\"";
    let arguments = ["restore", &what, "-t", "out", "--delete"];
    let Some(run) = with_mounts(&env, script, &arguments) else {
        return;
    };
    run.expect(3).says("surplus/mounted");
    assert!(
        env.path("outside/file").exists(),
        "the same file system, mounted a second time"
    );
}
