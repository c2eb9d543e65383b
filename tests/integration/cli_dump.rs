//! `dump`: files as they are, directories as archives that other programs unpack.

use crate::environment::{Run, TestEnvironment, assert_same_tree, noise};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

/// A repository with one snapshot of `src`, and what names that folder in it.
fn repository() -> (TestEnvironment, String) {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&env.text("src")]);
    (env, format!("latest:{source}"))
}

/// What a dump writes.
fn dumped(env: &TestEnvironment, arguments: &[&str]) -> Vec<u8> {
    let output = env
        .command(&[&["dump"], arguments].concat())
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    output.stdout
}

/// What the shell makes of a dump, which is its standard input.
fn piped(env: &TestEnvironment, arguments: &[&str], into: &str) -> Run {
    env.run_by_shell(
        &format!("\"$@\" | {into}"),
        &[&["dump"], arguments].concat(),
    )
}

#[test]
fn a_file_comes_as_it_is() {
    let (env, folder) = repository();
    env.write("src/empty", "");
    let holes = std::fs::File::create(env.path("src/holes")).unwrap();
    holes.set_len(5_000_000).unwrap();
    holes.write_all_at(&noise(9_000, 1), 1 << 20).unwrap();
    std::fs::hard_link(env.path("src/b.bin"), env.path("src/z.bin")).unwrap();
    env.backup(&[&env.text("src")]);
    for name in ["a.txt", "b.bin", "z.bin", "sub/c.txt", "empty", "holes"] {
        let expected = std::fs::read(env.path("src").join(name)).unwrap();
        assert!(dumped(&env, &[&folder, name]) == expected, "{name}");
        let whole = format!("{}/{name}", env.text("src"));
        assert!(dumped(&env, &["latest", &whole]) == expected, "{whole}");
    }
    // A form of archives says nothing about a file, as with restic.
    assert_eq!(
        dumped(&env, &[&folder, "/sub/../a.txt", "-a", "zip"]),
        b"alpha\n"
    );
}

#[test]
fn what_is_no_file_or_directory_is_refused() {
    let (env, folder) = repository();
    let run = env.run(&["dump", &folder, "/link"]).expect(1);
    run.says("/link is a symbolic link, which is not followed");
    let run = env.run(&["dump", "latest", "/absent/x"]).expect(1);
    run.says("/absent is not in the snapshot").says("larder ls");
    env.run(&["dump", &folder, "/a.txt/x"])
        .expect(1)
        .says("/a.txt/x is not in");
    env.run(&["dump", &folder]).expect(2).says("<PATH>");
    env.run(&["dump", &folder, "/", "-a", "rar"])
        .expect(2)
        .says("tar.zst");
}

#[test]
fn names_in_an_archive_are_those_of_restic() {
    let (env, folder) = repository();
    let listed = |arguments: &[&str]| {
        let run = piped(&env, arguments, "tar -tf -").expect(0);
        run.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let below = ["a.txt", "b.bin", "link", "sub/", "sub/c.txt"];
    assert_eq!(listed(&[&folder, "/"]), below);
    let sub = format!("{}/sub", env.text("src"));
    let inside = sub.trim_start_matches('/');
    assert_eq!(
        listed(&["latest", &sub]),
        [format!("{inside}/"), format!("{inside}/c.txt")]
    );
    let all = listed(&["latest", "/"]);
    assert_eq!(all.last().unwrap(), &format!("{inside}/c.txt"));
    assert!(all.iter().all(|name| !name.starts_with('/')), "{all:?}");
}

#[test]
fn long_names_and_many_files_come_out_of_a_tar() {
    let env = TestEnvironment::with_repository();
    let deep = format!("src/{}/{}", "d".repeat(150), "e".repeat(200));
    for number in 0..3_000 {
        env.write(
            &format!("{deep}/{number}"),
            noise(number % 700, number as u64),
        );
    }
    env.write("src/bytes", noise(7_000_000, 1));
    std::os::unix::fs::symlink("t".repeat(300), env.path("src/to-long")).unwrap();
    env.backup(&[&env.text("src")]);
    let folder = format!("latest:{}", env.text("src"));
    std::fs::create_dir(env.path("out")).unwrap();
    piped(&env, &[&folder, "/"], "tar -xp -C out -f -").expect(0);
    for name in ["bytes", "to-long", &"d".repeat(150)] {
        assert_same_tree(&env.path("src").join(name), &env.path("out").join(name));
    }
    // As many as there are, each with its size.
    let counted = piped(
        &env,
        &[&folder, "/", "-a", "tar.zst"],
        "zstd -dc | tar -t -f - | wc -l",
    );
    assert_eq!(counted.expect(0).stdout.trim(), "3004");
}

#[test]
fn a_zip_is_unpacked_by_info_zip() {
    let (env, folder) = repository();
    env.write("src/empty", "");
    env.write("src/ünïcode", "ü");
    env.write("src/run.sh", "#!/bin/sh\n");
    let run = env.path("src/run.sh");
    std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o751)).unwrap();
    std::fs::write(
        env.path("src").join(std::ffi::OsStr::from_bytes(b"\xe4")),
        "x",
    )
    .unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        env.path("src/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    env.backup(&[&env.text("src")]);
    let run = env.ok(&["dump", &folder, "/", "-t", "all.zip"]);
    run.says("/pipe is left out: a zip archive holds no pipes")
        .prints("to all.zip");
    let unzip = |arguments: &[&str]| {
        let run = Command::new("unzip")
            .args(arguments)
            .current_dir(env.path(""))
            .output();
        Run::of(run.unwrap())
    };
    unzip(&["-tq", "all.zip"]).expect(0).prints("No errors");
    unzip(&["-qX", "all.zip", "-d", "out"]).expect(0);
    for name in ["a.txt", "b.bin", "sub/c.txt", "empty", "ünïcode", "run.sh"] {
        let (one, other) = (env.path("src").join(name), env.path("out").join(name));
        assert!(
            std::fs::read(&one).unwrap() == std::fs::read(&other).unwrap(),
            "{name}"
        );
        let facts = |path: &Path| {
            let meta = path.metadata().unwrap();
            (meta.mode(), meta.mtime(), meta.uid(), meta.gid())
        };
        assert_eq!(facts(&one), facts(&other), "{name}");
    }
    let link = std::fs::read_link(env.path("out/link")).unwrap();
    assert_eq!(link, Path::new("a.txt"));
    assert!(!env.path("out/pipe").exists());
}

#[test]
fn a_target_is_there_once_it_is_whole() {
    let (env, folder) = repository();
    let files = || {
        env.files("")
            .into_iter()
            .filter(|path| path.components().count() == 1)
            .count()
    };
    let before = files();
    env.ok(&["dump", &folder, "b.bin", "-t", "b"])
        .prints("wrote 1 file or directory (292.969 KiB) to b");
    assert!(std::fs::read(env.path("b")).unwrap() == noise(300_000, 1));
    assert_eq!(env.path("b").metadata().unwrap().mode() & 0o777, 0o600);
    let run = env.run(&["dump", &folder, "a.txt", "-t", "b"]).expect(1);
    run.says("the target b is there already")
        .says("--overwrite");
    assert_eq!(env.path("b").metadata().unwrap().len(), 300_000);
    env.ok(&["-q", "dump", &folder, "a.txt", "-t", "b", "--overwrite"]);
    assert_eq!(std::fs::read(env.path("b")).unwrap(), b"alpha\n");
    for wrong in ["src", "/dev/null"] {
        let run = env
            .run(&["dump", &folder, "a.txt", "-t", wrong, "--overwrite"])
            .expect(1);
        run.says("no regular file");
    }
    env.run(&["dump", &folder, "/", "-t", "repo/x"])
        .expect(1)
        .says("lies in the repository");
    env.run(&["dump", &folder, "/", "-t", "none/x"])
        .expect(1)
        .says("none/x");
    env.run(&["dump", &folder, "/absent", "-t", "c"]).expect(1);
    let message = env.json(&["dump", &folder, "/", "-t", "c.tar"]);
    assert_eq!(message["message_type"], "summary");
    assert_eq!(
        (&message["total_files"], &message["left_out"]),
        (&5.into(), &0.into())
    );
    assert_eq!(files(), before + 2, "{:?}", env.files(""));
}

/// The packs of data, each with what it holds.
fn damage(env: &TestEnvironment) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = env.files("repo/data").into_iter();
    files
        .map(|file| {
            let path = env.path("repo/data").join(file);
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

#[test]
fn what_cannot_be_read_makes_no_archive() {
    let env = TestEnvironment::with_repository();
    env.write("src/a", "the first");
    env.write("src/b", noise(6_000_000, 1));
    env.write("src/c", "the last");
    env.backup(&[&env.text("src")]);
    let folder = format!("latest:{}", env.text("src"));
    for (path, good) in damage(&env) {
        let mut bad = good.clone();
        bad.iter_mut().step_by(50_000).for_each(|byte| *byte ^= 1);
        for way in 0..2 {
            match way {
                0 => std::fs::write(&path, &bad).unwrap(),
                _ => std::fs::remove_file(&path).unwrap(),
            }
            let run = env.run(&["dump", &folder, "/b"]).expect(1);
            run.says("/b: ").says("pack").says("is not whole");
            for (form, test) in [
                ("tar", "tar -t"),
                ("tar.zst", "zstd -t"),
                ("zip", "cat > x.zip; unzip -tq x.zip"),
            ] {
                let script = format!("set +e; \"$@\" > archive; echo $? > code; {test} < archive");
                let run = env.run_by_shell(&script, &["dump", &folder, "/", "-a", form]);
                assert_ne!(run.code, 0, "{form} is taken for whole: {run:?}");
                run.says(": pack");
                assert_eq!(std::fs::read(env.path("code")).unwrap(), b"1\n");
            }
            env.run(&["dump", &folder, "/", "-t", "x.tar"])
                .expect(1)
                .says("Fatal: /");
            assert!(!env.path("x.tar").exists());
            std::fs::write(&path, &good).unwrap();
        }
    }
    env.ok(&["dump", &folder, "/", "-t", "x.tar"]);
}

/// Between two entries tar would take what is missing for the end.
#[test]
fn a_directory_that_cannot_be_read_makes_no_archive() {
    let env = TestEnvironment::with_repository();
    env.write("src/a", "the first");
    env.write("src/sub/b", "below");
    env.backup(&[&env.text("src/sub")]);
    env.backup(&[&env.text("src")]);
    // The tree of `sub` lies in the pack of the first backup alone.
    let text = env
        .ok(&["cat", "tree", &format!("latest:{}", env.text("src"))])
        .stdout;
    let sub: serde_json::Value = serde_json::from_str(&text).unwrap();
    let subtree = sub["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["name"] == "sub");
    let subtree = subtree.unwrap()["subtree"].as_str().unwrap().to_owned();
    let mut found = false;
    for file in env.files("repo/meta") {
        let path = env.path("repo/meta").join(&file);
        let good = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let first = env.run(&["cat", "blob", &subtree]).code != 0;
        let run = env.run_by_shell(
            "set +e; \"$@\" > archive; tar -tf archive",
            &[
                "dump",
                "--no-cache",
                &format!("latest:{}", env.text("src")),
                "/",
            ],
        );
        if first && run.stdout.contains("a\n") {
            found = true;
            assert_ne!(run.code, 0, "{run:?}");
            run.says("/sub: pack");
        }
        std::fs::write(&path, good).unwrap();
    }
    assert!(found, "no pack holds that tree alone");
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let env = TestEnvironment::with_repository();
    env.write("src/b", noise(9_000_000, 1));
    env.backup(&[&env.text("src")]);
    for form in ["tar", "tar.zst", "zip"] {
        let mut child = env.start(&["dump", "latest", "/", "-a", form]);
        let mut some = [0; 1000];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut some)
            .unwrap();
        drop(child.stdout.take());
        let run = Run::of(child.wait_with_output().unwrap()).expect(141);
        assert_eq!(run.stderr, "", "{form}");
    }
    let run = env.run_by_shell("\"$@\" > /dev/full", &["dump", "latest", "/"]);
    run.expect(1).says("cannot write to standard output");
}

#[test]
fn an_interrupted_dump_leaves_no_target() {
    let env = TestEnvironment::with_repository();
    env.write("src/b", noise(60_000_000, 1));
    env.backup(&[&env.text("src")]);
    let mut command = env.command(&["dump", "latest", "/"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 1000];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut some)
        .unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut rest = Vec::new();
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_to_end(&mut rest)
        .unwrap();
    let run = Run::of(child.wait_with_output().unwrap()).expect(130);
    run.says("interrupted");
    assert!(rest.len() < 59_000_000, "{}", rest.len());
}
