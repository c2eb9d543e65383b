//! `kill -9` and full disks: nothing committed is lost, nothing must be repaired, what was finished is used.

use crate::environment::{Run, TestEnvironment, assert_same_tree, noise};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How many runs are killed.
const KILLS: u64 = 50;

/// Bytes of a directory's files, but for what is still being written.
fn bytes_below(env: &TestEnvironment, name: &str) -> u64 {
    let whole = |path: &PathBuf| !path.to_string_lossy().contains("/tmp-");
    let len = |path: PathBuf| env.path(name).join(path).metadata().unwrap().len();
    env.files(name).into_iter().filter(whole).map(len).sum()
}

fn write_files(env: &TestEnvironment, round: u64) {
    for number in 0..8 {
        let name = format!("src/{round}/{number}");
        env.write(&name, noise(150_000, round * 100 + number + 1));
    }
}

#[test]
fn killed_at_any_moment_the_next_run_goes_on() {
    let env = TestEnvironment::with_repository();
    write_files(&env, 0);
    let begun = Instant::now();
    env.backup(&["src"]);
    let whole = begun.elapsed();
    let mut committed = 1;
    for round in 1..=KILLS {
        write_files(&env, round);
        let mut child = env.start(&["backup", "src"]);
        // Every moment of a run in turn, in an order that is not that of time.
        std::thread::sleep(whole * u32::try_from(round * 37 % KILLS).unwrap() / KILLS as u32);
        child.kill().unwrap();
        let ended = Run::of(child.wait_with_output().unwrap());
        let list = env.json(&["snapshots"]);
        let now = list.as_array().unwrap().len();
        let said = ended.stdout.contains("saved");
        assert!(
            now == committed || now == committed + 1,
            "{committed} then {now}: {ended:?}"
        );
        assert!(!said || now == committed + 1, "{ended:?}");
        committed = now;
    }
    env.ok(&["check"]);
    env.backup(&["src"]);
    env.ok(&["check", "--read-data"])
        .prints("no errors were found");
    env.ok(&["restore", "latest:src", "--target", "out"]);
    for round in 0..=KILLS {
        let (original, restored) = (format!("src/{round}"), format!("out/{round}"));
        assert_same_tree(&env.path(&original), &env.path(&restored));
    }
    let (source, stored) = (bytes_below(&env, "src"), bytes_below(&env, "repo/data"));
    assert!(
        stored < source * 13 / 10,
        "{stored} bytes stored of {source}"
    );
}

#[test]
fn a_killed_first_backup_is_gone_on_with() {
    const SOURCE: u64 = 44_000_000;
    let env = TestEnvironment::with_repository();
    env.write("src/large", noise(SOURCE as usize, 5));
    let mut child = env.start(&["backup", "src"]);
    // A pack is stored when it is full, at 16 MiB.
    while bytes_below(&env, "repo") < 16 << 20 {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    env.ok(&["snapshots"]).prints("0 snapshots");
    env.ok(&["backup", "src"])
        .prints("resumes: ")
        .prints(" were stored already by an interrupted backup\n");
    let stored = bytes_below(&env, "repo/data");
    assert!(
        stored < SOURCE * 11 / 10,
        "{stored} bytes stored of {SOURCE}"
    );
    env.ok(&["check", "--read-data"]);
}

/// Runs a command in a shell that may mount: in a namespace of its own, as root or not.
fn in_namespace(env: &TestEnvironment, script: &str) -> Run {
    let larder = env.command(&[]);
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "sh", "-ec", script, "sh"])
        .arg(larder.get_program());
    command.current_dir(env.path("")).env_clear();
    for (name, value) in larder.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Run::of(command.output().unwrap())
}

#[test]
fn a_full_disk_costs_what_was_not_committed() {
    let env = TestEnvironment::new();
    env.write("src/first", noise(1_000_000, 1));
    env.write("more/second", noise(20_000_000, 2));
    std::fs::create_dir(env.path("repo")).unwrap();
    let script = r#"
        mount -t tmpfs -o size=12m none repo
        "$1" init --new-key-file key
        export LARDER_KEY_FILE="$PWD/key"
        "$1" backup src
        code=0; "$1" backup more || code=$?
        echo "code $code"
        "$1" snapshots
        "$1" check --read-data
        "$1" restore latest --target out
        mount -o remount,size=64m repo
        "$1" backup more
        "$1" check --read-data
    "#;
    let run = in_namespace(&env, script).expect(0);
    run.says("no space left on device")
        .says("Make room")
        .prints("code 1\n")
        .prints("1 snapshot\n");
    assert_same_tree(&env.path("src"), &env.path("out/src"));
}
