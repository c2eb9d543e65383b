//! Scripts that were written for restic, with larder in its place.

use crate::environment::{Run, TestEnvironment, assert_same_tree, noise};
use std::os::unix::fs::symlink;

/// A nightly script as its users write it: makes the repository the first time, backs up with excludes and tags, lists, checks,
/// restores.
const NIGHTLY: &str = r#"
restic cat config >/dev/null 2>&1 || restic init
restic unlock
restic --verbose backup --one-file-system --exclude-caches --exclude '*.tmp' \
    --exclude-file exclude.txt --tag nightly --tag web --host web1 --files-from from.txt
restic snapshots --json --host web1 --tag nightly --path "$PWD/srv/www" > snapshots.json
restic snapshots --compact --latest 1
restic ls --json latest > ls.json
restic stats --json latest > stats.json
restic check --read-data-subset 1/1
restic restore latest --host web1 --target out --exclude '*.log' --verify
"#;

/// Relative to where it is run, as tar does it.
const RELATIVE: &str = r#"
restic init
cd srv/www
restic backup .
restic backup sub ../other
cd ../..
restic restore latest --target two
first=$(restic snapshots --json | sed 's/.*"short_id":"\([0-9a-f]*\)".*"short_id".*/\1/')
restic restore "$first" --target one
"#;

fn run(env: &TestEnvironment, script: &str) -> Run {
    let bin = env.path("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        symlink(env.command(&[]).get_program(), bin.join("restic")).unwrap();
    }
    env.write("password", "secret\n");
    let prologue = format!(
        "unset LARDER_REPOSITORY LARDER_HOST; export RESTIC_REPOSITORY={} RESTIC_PASSWORD_FILE={} PATH={}:$PATH\n",
        env.text("repo"),
        env.text("password"),
        bin.display()
    );
    env.run_by_shell(&format!("{prologue}{script}"), &[])
}

fn site(env: &TestEnvironment) {
    env.write("srv/www/index.html", "<h1>hello</h1>");
    env.write("srv/www/sub/image.png", noise(200_000, 1));
    env.write("srv/other/note", "beside");
}

#[test]
fn a_nightly_script_runs() {
    let env = TestEnvironment::new();
    site(&env);
    env.write("srv/www/upload.tmp", "no");
    env.write("srv/www/access.log", "restored without");
    env.write(
        "srv/www/cache/CACHEDIR.TAG",
        "Signature: 8a477f597d28d172789f06886806bc55",
    );
    env.write("srv/www/cache/page", "no");
    env.write("srv/www/.git/HEAD", "no");
    env.write("exclude.txt", "# what comes from elsewhere\n.git\n");
    env.write("from.txt", format!("{}\n", env.text("srv/www")));
    for night in 1..=2 {
        env.write("srv/www/new", format!("of night {night}"));
        let _ = std::fs::remove_dir_all(env.path("out"));
        run(&env, NIGHTLY).expect(0);
        let snapshots: serde_json::Value =
            serde_json::from_slice(&std::fs::read(env.path("snapshots.json")).unwrap()).unwrap();
        assert_eq!(snapshots.as_array().unwrap().len(), night);
        assert_eq!(snapshots[0]["hostname"], "web1");
        assert_eq!(snapshots[0]["tags"], serde_json::json!(["nightly", "web"]));
        let out = env
            .path("out")
            .join(env.text("srv/www").trim_start_matches('/'));
        for gone in ["upload.tmp", "access.log", "cache/page", ".git"] {
            assert!(!out.join(gone).exists(), "{gone}");
        }
        assert_same_tree(&env.path("srv/www/sub"), &out.join("sub"));
        assert_eq!(
            std::fs::read(out.join("new")).unwrap(),
            format!("of night {night}").as_bytes()
        );
    }
}

#[test]
fn what_is_named_relatively_stays_relative() {
    let env = TestEnvironment::new();
    site(&env);
    run(&env, RELATIVE).expect(0);
    assert_same_tree(&env.path("srv/www/sub"), &env.path("one/sub"));
    assert!(env.path("one/index.html").exists());
    assert_same_tree(&env.path("srv/www/sub"), &env.path("two/sub"));
    assert_same_tree(&env.path("srv/other"), &env.path("two/other"));
}
