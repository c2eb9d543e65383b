//! Small commands and flags: `cache`, `generate`, `options`, `-o`, `--no-color`, and what programs are told at the end.

use crate::environment::TestEnvironment;
use std::fs::File;
use std::time::{Duration, SystemTime};

/// Makes the cache `name` look as if it was not used for so many days.
fn age(env: &TestEnvironment, name: &str, days: u64) {
    let dir = File::open(env.path(&format!("cache/larder/{name}"))).unwrap();
    let then = repo_core::time::now().seconds as u64 - days * 24 * 3600 - 60;
    dir.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(then))
        .unwrap();
}

#[test]
fn caches_are_listed_and_old_ones_removed() {
    let env = TestEnvironment::with_repository();
    let none = env.ok(&["cache"]);
    env.backup(&["key"]);
    let id = env.json(&["cache"])[0]["id"].as_str().unwrap().to_owned();
    assert!(none.stdout.contains("no caches in ") || none.stdout.contains(&id[..10]));
    let other = "ab".repeat(32);
    env.write(&format!("cache/larder/{other}/index/run"), "12345");
    age(&env, &other, 40);
    age(&env, &id, 40);
    let text = env.ok(&["cache"]).stdout;
    let line = |text: &str, id: &str| -> Vec<String> {
        let line = text
            .lines()
            .find(|line| line.starts_with(&id[..10]))
            .unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(
        line(&text, &other),
        [&other[..10], "40", "days", "ago", "yes", "5", "B"]
    );
    assert!(
        text.ends_with(&format!("2 caches in {}\n", env.text("cache/larder"))),
        "{text}"
    );
    let text = env.ok(&["cache", "--no-size", "--max-age", "50"]).stdout;
    assert_eq!(line(&text, &other), [&other[..10], "40", "days", "ago"]);

    // Whatever uses a cache makes it new again.
    env.ok(&["snapshots"]);
    assert!(env.path(&format!("cache/larder/{other}")).exists());
    env.ok(&["snapshots", "--cleanup-cache"]);
    assert!(!env.path(&format!("cache/larder/{other}")).exists());
    assert!(env.path(&format!("cache/larder/{id}")).exists());
    env.ok(&["cache", "--cleanup"]).prints("no old caches");
    env.ok(&["cache", "--cleanup", "--max-age", "0"])
        .prints("removing 1 old cache");
    env.ok(&["cache"]).prints("no caches in ");
    env.run(&["cache", "--no-cache"]).expect(2);
    env.ok(&["snapshots", "-H", ""]).prints("1 snapshot");
    assert!(env.path("cache/larder/CACHEDIR.TAG").exists());
}

#[test]
fn extended_options_are_checked() {
    let env = TestEnvironment::with_repository();
    env.ok(&[
        "-o",
        "local.connections=5",
        "-o",
        "s3.region=eu",
        "snapshots",
    ]);
    for option in ["local.layout=x", "nonsense=1", "local.connections=0"] {
        env.run(&["snapshots", "--option", option])
            .expect(2)
            .says("local.connections");
    }
    env.ok(&["options"]).prints("  local.connections  ");
}

#[test]
fn completions_and_man_pages_are_written() {
    let env = TestEnvironment::new();
    std::fs::create_dir(env.path("man")).unwrap();
    env.ok(&[
        "generate",
        "--bash-completion",
        "bash",
        "--zsh-completion",
        "zsh",
        "--fish-completion",
        "fish",
        "--powershell-completion",
        "ps1",
        "--man",
        "man",
    ]);
    for shell in ["bash", "zsh", "fish", "ps1"] {
        let text = std::fs::read_to_string(env.path(shell)).unwrap();
        assert!(text.contains("read-data-subset"), "{shell}");
    }
    let page = std::fs::read_to_string(env.path("man/larder-backup.1")).unwrap();
    assert!(page.contains("stdin\\-filename"), "{page}");
    for name in ["larder.1", "larder-key-add.1", "larder-restore.1"] {
        assert!(env.path("man").join(name).exists(), "{name}");
    }
    let text = env.ok(&["generate", "--bash-completion", "-"]).stdout;
    assert_eq!(text, std::fs::read_to_string(env.path("bash")).unwrap());

    env.run(&["generate"])
        .expect(2)
        .says("nothing was asked for");
    env.run(&[
        "generate",
        "--bash-completion",
        "-",
        "--zsh-completion",
        "-",
    ])
    .expect(2)
    .says("one shell only");
    env.run(&["generate", "--man", "absent"])
        .expect(1)
        .says("cannot write to absent");
    env.run(&["generate", "--zsh-completion", "absent/x"])
        .expect(1);
}

#[test]
fn the_shell_can_read_the_completions() {
    let env = TestEnvironment::new();
    env.ok(&["generate", "--bash-completion", "bash"]);
    let bash = std::process::Command::new("bash")
        .args(["-n"])
        .arg(env.path("bash"))
        .output();
    // Not every machine has one.
    if let Ok(output) = bash {
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn every_failure_ends_with_one_message_for_programs() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    for (arguments, code) in [
        (&["snapshots", "-r", "absent"][..], 10),
        (&["snapshots", "--password-file", "key"], 12),
        (&["cat", "masterkey"], 1),
        (&["cat", "frog"], 2),
        (&["frobnicate"], 2),
        (&["ls", "ffff"], 1),
        (&["generate"], 2),
        (&["-o", "x=y", "stats"], 2),
        (&["backup", &source, "absent"], 3),
    ] {
        let run = env.run(&[&["--json"], arguments].concat()).expect(code);
        let errors = run.errors();
        let exits = errors
            .iter()
            .filter(|error| error["message_type"] == "exit_error");
        assert_eq!(exits.count(), 1, "{run:?}");
        let last = errors.last().unwrap();
        assert_eq!(last["message_type"], "exit_error", "{run:?}");
        assert_eq!(last["code"], code, "{run:?}");
        assert!(last["message"].as_str().unwrap().len() > 10);
    }
    let run = env.ok(&["--json", "backup", &source]);
    assert_eq!(run.stderr, "");
}

#[test]
fn colours_can_be_forbidden() {
    let env = TestEnvironment::with_repository();
    env.ok(&["--no-color", "snapshots"]);
    env.ok(&["snapshots", "--no-color"]);
    for arguments in [&["--no-color", "frobnicate"][..], &["backup", "--no-color"]] {
        let run = env.run(arguments).expect(2);
        assert!(!run.stderr.contains('\x1b'), "{run:?}");
    }
}
