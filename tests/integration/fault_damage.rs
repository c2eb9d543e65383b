//! What the program says of damaged objects, and with which exit codes.

use crate::environment::{Run, TestEnvironment, noise};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository of two snapshots.
fn repository() -> TestEnvironment {
    let env = TestEnvironment::with_repository();
    env.write("src/a", noise(400_000, 1));
    env.write("src/sub/b", noise(50_000, 2));
    env.backup(&["src"]);
    env.write("src/c", noise(50_000, 3));
    env.backup(&["src"]);
    env
}

fn flip(path: &Path, part: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let position = bytes.len() / part;
    bytes[position] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// One object of every kind.
fn samples(env: &TestEnvironment) -> Vec<PathBuf> {
    let mut seen = std::collections::BTreeSet::new();
    let kind = |file: &PathBuf| file.components().next().unwrap().as_os_str().to_owned();
    let mut files = env.files("repo");
    files.retain(|file| file.file_name().unwrap() == "open" || seen.insert(kind(file)));
    assert!(files.len() >= 8, "{files:?}");
    files
}

#[test]
fn damage_of_every_kind_of_object_has_exit_code_1_and_its_name() {
    let env = repository();
    for file in samples(&env) {
        let path = env.path("repo").join(&file);
        let good = std::fs::read(&path).unwrap();
        let last = file.file_name().unwrap().to_str().unwrap();
        let check = |what: &str| {
            let run = env.run(&["check", "--read-data"]).expect(1);
            assert!(run.stderr.contains(last), "{file:?} {what}: {run:?}");
        };
        flip(&path, 2);
        check("flipped");
        std::fs::write(&path, &good[..good.len() / 2]).unwrap();
        check("cut");
        std::fs::write(&path, []).unwrap();
        check("empty");
        std::fs::remove_file(&path).unwrap();
        let run = env.run(&["check"]);
        // Without the only key slot nobody can open anything.
        let said = if file.starts_with("keys") {
            "key slot"
        } else {
            last
        };
        assert!(
            run.code == 1 && run.stderr.contains(said),
            "{file:?}: {run:?}"
        );
        std::fs::write(&path, good).unwrap();
    }
    env.ok(&["check", "--read-data"]);
    env.write("repo/snapshots/unknown", "x");
    env.run(&["check"]).expect(1).says("snapshots/unknown");
}

/// Of a second repository, one pack of data: `aa/<id>`, and its bytes.
fn foreign_pack(env: &TestEnvironment) -> (PathBuf, Vec<u8>) {
    env.ok(&["init", "-r", "second"]);
    env.ok(&["-r", "second", "backup", "src"]);
    let pack = env.files("second/data").remove(0);
    let bytes = std::fs::read(env.path("second/data").join(&pack)).unwrap();
    (pack, bytes)
}

#[test]
fn a_pack_that_no_run_of_this_repository_left_is_named_with_exit_code_1() {
    let env = repository();
    let id = "0".repeat(64);
    env.write(&format!("repo/data/00/{id}"), "no pack");
    env.run(&["check"]).expect(1).says(&id);
    env.run(&["check", "--read-data"]).expect(1).says(&id);
    std::fs::remove_file(env.path(&format!("repo/data/00/{id}"))).unwrap();
    let (pack, bytes) = foreign_pack(&env);
    let name = format!("repo/data/{}", pack.display());
    env.write(&name, bytes);
    let last = pack.file_name().unwrap().to_str().unwrap();
    for check in [&["check"][..], &["check", "--read-data"]] {
        env.run(check)
            .expect(1)
            .says(last)
            .says("no pack of this repository");
    }
    std::fs::remove_file(env.path(&name)).unwrap();
    env.ok(&["check", "--read-data"]);
}

#[test]
fn an_orphan_pack_is_named_and_no_error() {
    let env = repository();
    let before = env.files("repo/data");
    // As a run leaves them that is stopped before its entry: a copy from before it gets its packs.
    let copy = Command::new("cp")
        .arg("-a")
        .args([env.path("repo"), env.path("copy")])
        .status();
    assert!(copy.unwrap().success());
    env.write("src/d", noise(60_000, 4));
    env.backup(&["src"]);
    let mut new = env.files("repo/data");
    new.retain(|pack| !before.contains(pack));
    assert!(!new.is_empty());
    for pack in &new {
        let bytes = std::fs::read(env.path("repo/data").join(pack)).unwrap();
        env.write(&format!("copy/data/{}", pack.display()), bytes);
    }
    let last = new[0].file_name().unwrap().to_str().unwrap();
    let other = env.text("other-state");
    for check in [
        &["-r", "copy", "check"][..],
        &["-r", "copy", "check", "--read-data"],
    ] {
        let run = env.run_with(check, &[("XDG_STATE_HOME", other.as_str())]);
        run.expect(0).prints(last).prints("used by nothing");
    }
}

#[test]
fn a_lost_index_table_is_no_loss_and_healed_by_a_repair_or_a_backup_without_what_it_held() {
    let env = repository();
    let table = env
        .path("repo/index")
        .join(env.files("repo/index").remove(0));
    std::fs::remove_file(&table).unwrap();
    let id = table.file_name().unwrap().to_str().unwrap();
    let check = env.run(&["check"]).expect(1);
    check.says(id).says("nothing is lost").says("touches");
    // What this machine still knows of it counts here.
    env.ok(&["restore", "latest", "--target", "known"]);
    let again = env.run(&["check"]).expect(1);
    again.says(id).says("larder repair index");
    env.ok(&["repair", "index", "-n"])
        .prints("2 packs would be named anew");
    env.backup(&["src", "--no-cache"]);
    env.ok(&["check", "--read-data"]).prints(id);
    for snapshot in env.json(&["snapshots"]).as_array().unwrap() {
        let snapshot = snapshot["id"].as_str().unwrap();
        env.ok(&["restore", snapshot, "--target", "out"]);
    }
}

/// Runs the program with little memory to give it.
fn with_little_memory(env: &TestEnvironment, arguments: &[&str]) -> Run {
    env.run_by_shell("ulimit -v 1000000; exec \"$@\"", arguments)
}

#[test]
fn objects_of_absurd_lengths_cost_no_memory() {
    const ABSURD: u64 = 1 << 40;
    let env = repository();
    with_little_memory(&env, &["check", "--read-data"]).expect(0);
    for file in samples(&env) {
        let path = env.path("repo").join(&file);
        let good = std::fs::metadata(&path).unwrap().len();
        let absurd = std::fs::File::options().write(true).open(&path).unwrap();
        absurd.set_len(ABSURD).unwrap();
        let last = file.file_name().unwrap().to_str().unwrap();
        for read_data in [&["check"][..], &["check", "--read-data"]] {
            let run = with_little_memory(&env, read_data).expect(1);
            let said = if file.starts_with("keys") {
                "key slot"
            } else {
                last
            };
            assert!(run.stderr.contains(said), "{file:?}: {run:?}");
            // Slots of such lengths are passed over; of packs the listing has the length.
            let by_listing = ["keys", "data", "meta"]
                .iter()
                .any(|kind| file.starts_with(kind));
            let refused = run.stderr.contains("longer than any object");
            assert!(refused || by_listing, "{file:?}: {run:?}");
        }
        let run = with_little_memory(&env, &["restore", "latest", "--target", "out"]);
        assert!([0, 1, 3].contains(&run.code), "{file:?}: {run:?}");
        absurd.set_len(good).unwrap();
    }
    env.ok(&["check", "--read-data"]);
}

#[test]
fn a_newer_repository_is_refused_as_such() {
    let env = repository();
    let config = env.path("repo/config");
    let good = std::fs::read(&config).unwrap();
    let newer = (0..16).any(|position| {
        let mut bytes = good.clone();
        bytes[position] = bytes[position].wrapping_add(1);
        std::fs::write(&config, bytes).unwrap();
        let run = env.run(&["snapshots"]).expect(1);
        run.stderr.contains("newer version")
    });
    assert!(newer);
}

#[test]
fn a_wrong_key_file_is_told_from_damage() {
    let env = repository();
    env.ok(&["init", "-r", "second", "--new-key-file", "other-key"]);
    let other = env.text("other-key");
    let run = env.run_with(&["snapshots"], &[("LARDER_KEY_FILE", &other)]);
    run.expect(12).says("wrong password or no key found");
}

#[test]
fn what_keeps_a_repository_shut_is_not_left_to_check() {
    let env = repository();
    let slot = env
        .files("repo")
        .into_iter()
        .find(|file| file.starts_with("keys"));
    let slot = slot.unwrap().to_str().unwrap().to_owned();
    for name in ["config", slot.as_str()] {
        let path = env.path("repo").join(name);
        let good = std::fs::read(&path).unwrap();
        let look = |what: &str| {
            for command in ["check", "snapshots"] {
                let run = env.run(&[command]).expect(1);
                let advice = run.stderr.lines().last().unwrap();
                assert!(
                    advice.contains("from a copy of the repository"),
                    "{name} {what}: {run:?}"
                );
                // It may be named, but not as what helps.
                assert!(
                    !advice.contains("check --read-data"),
                    "{name} {what}: {run:?}"
                );
                let named = advice.contains(name) || (what == "missing" && name == slot);
                assert!(named, "{name} {what}: {run:?}");
            }
        };
        flip(&path, 2);
        look("flipped");
        std::fs::remove_file(&path).unwrap();
        look("missing");
        std::fs::write(&path, good).unwrap();
    }
    env.ok(&["check", "--read-data"]);
}
