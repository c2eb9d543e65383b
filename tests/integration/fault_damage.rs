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

#[test]
fn an_orphan_pack_is_named_and_no_error() {
    let env = repository();
    let id = "0".repeat(64);
    env.write(&format!("repo/data/00/{id}"), "no pack");
    env.ok(&["check"]).prints(&id).prints("used by nothing");
    env.run(&["check", "--read-data"]).expect(1).says(&id);
}

/// Runs the program with little memory to give it.
fn with_little_memory(env: &TestEnvironment, arguments: &[&str]) -> Run {
    let larder = env.command(arguments);
    let mut command = Command::new("sh");
    command
        .args(["-ec", "ulimit -v 1000000; exec \"$@\"", "sh"])
        .arg(larder.get_program())
        .args(larder.get_args())
        .current_dir(env.path(""))
        .env_clear();
    for (name, value) in larder.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Run::of(command.output().unwrap())
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
    for name in ["config", slot.as_str(), "log/0/1"] {
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
        // An entry that only is damaged is stepped over, and check can say what became of it.
        if name != "log/0/1" {
            flip(&path, 2);
            look("flipped");
        }
        std::fs::remove_file(&path).unwrap();
        look("missing");
        std::fs::write(&path, good).unwrap();
    }
    env.ok(&["check", "--read-data"]);
}
