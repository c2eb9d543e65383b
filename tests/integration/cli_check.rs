//! `check`, and what the other commands say about damage.

use crate::environment::TestEnvironment;
use std::path::PathBuf;

/// A repository with one snapshot, and the largest object in `data`.
fn with_pack() -> (TestEnvironment, PathBuf, String) {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&source]);
    let packs = env
        .files("repo/data")
        .into_iter()
        .map(|name| env.path("repo/data").join(name));
    let pack = packs
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let id = pack.file_name().unwrap().to_str().unwrap().to_owned();
    (env, pack, id)
}

/// Turns over one bit in the middle of a file.
fn flip(path: &PathBuf) {
    let quarter = path.metadata().unwrap().len() / 4;
    flip_at(path, quarter);
}

fn flip_at(path: &PathBuf, at: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn a_sound_repository() {
    let (env, ..) = with_pack();
    env.ok(&["check"])
        .prints("no errors were found")
        .prints("checked 1 snapshot and ");
    env.ok(&["check", "--read-data"])
        .prints("no errors were found");
    let plain = env.json(&["check"]);
    assert_eq!(plain["message_type"], "summary");
    assert_eq!(plain["num_errors"], 0);
    assert_eq!(plain["broken_packs"].as_array().unwrap().len(), 0);
    let data = env.json(&["check", "--read-data"]);
    assert!(data["bytes_read"].as_u64().unwrap() > plain["bytes_read"].as_u64().unwrap());
}

/// A repository with a dozen packs of data, and one of them.
fn with_packs() -> (TestEnvironment, PathBuf) {
    let env = TestEnvironment::with_repository();
    for seed in 0..12 {
        env.write("src/file", crate::environment::noise(70_000, seed));
        env.backup(&["src"]);
    }
    let packs = env.files("repo/data");
    assert!(packs.len() >= 12, "{packs:?}");
    let pack = env.path("repo/data").join(&packs[5]);
    (env, pack)
}

fn read_of(env: &TestEnvironment, subset: &str) -> (u64, u64) {
    let summary = env.json(&["check", "--read-data-subset", subset]);
    let number = |field: &str| summary[field].as_u64().unwrap();
    (number("data_packs_read"), number("data_packs"))
}

#[test]
fn parts_of_all_data_cover_all_of_it() {
    let (env, pack) = with_packs();
    let all = env.json(&["check", "--read-data"]);
    let packs = all["data_packs"].as_u64().unwrap();
    assert_eq!(all["data_packs_read"], packs);
    assert_eq!(env.json(&["check"])["data_packs_read"], 0);

    let parts = ["1/4", "2/4", "3/4", "4/4"];
    let read = parts.map(|part| read_of(&env, part));
    assert_eq!(read.iter().map(|(read, _)| read).sum::<u64>(), packs);
    assert_eq!(read_of(&env, "1/1"), (packs, packs));
    assert_eq!(read_of(&env, "50%"), (packs.div_ceil(2), packs));
    assert_eq!(read_of(&env, "100%"), (packs, packs));
    assert_eq!(read_of(&env, "1K"), (1, packs));
    assert_eq!(read_of(&env, "1T"), (packs, packs));
    env.ok(&["check", "--read-data-subset", "1K"])
        .prints(&format!(
            "all data was read in 1 of {packs} packs of data\n"
        ));

    flip(&pack);
    let found = parts.map(|part| env.run(&["check", "--read-data-subset", part]).code);
    assert_eq!(found.iter().filter(|code| **code == 1).count(), 1);
    assert_eq!(found.iter().filter(|code| **code == 0).count(), 3);
}

#[test]
fn parts_that_make_no_sense_are_refused() {
    let env = TestEnvironment::new();
    for subset in ["0/2", "3/2", "x", "0%", "200%", "1000", ""] {
        let flag = format!("--read-data-subset={subset}");
        env.run(&["check", &flag])
            .expect(2)
            .says(&flag)
            .says("Give it as a part, 1/5, as a percentage, 2.5%, or as a size, 500M.");
    }
    env.run(&["check", "--read-data", "--read-data-subset", "1/2"])
        .expect(2)
        .says("contradict");
    let env = TestEnvironment::with_repository();
    env.ok(&["check", "--with-cache"]);
}

#[test]
fn a_flipped_bit_is_named_with_what_it_touches() {
    let (env, pack, id) = with_pack();
    flip(&pack);
    let run = env.run(&["check", "--read-data"]).expect(1);
    run.says(&id)
        .says("touches")
        .says("/src/b.bin")
        .says("repository contains errors");

    let run = env.run(&["--json", "check", "--read-data"]).expect(1);
    let summary = run.messages().pop().unwrap();
    assert_eq!(summary["broken_packs"][0], id);
    assert!(summary["num_errors"].as_u64().unwrap() >= 1);
    let errors = run.errors();
    assert_eq!(errors[0]["message_type"], "error");
    let touched = errors.iter().any(|error| {
        let affected = error["affected"].as_array();
        affected.is_some_and(|all| all.iter().any(|one| one["path"] == env.text("src/b.bin")))
    });
    assert!(touched, "{errors:?}");
    assert_eq!(errors.last().unwrap()["message_type"], "exit_error");
}

#[test]
fn damage_beside_the_blocks_of_a_pack_touches_no_file() {
    let (env, pack, id) = with_pack();
    let last = pack.metadata().unwrap().len() - 1;
    flip_at(&pack, last);
    env.run(&["check", "--read-data"])
        .expect(1)
        .says(&id)
        .says("\n  touches no file: all that is stored in it can be read\n")
        .says("Everything that was backed up restores as before.");
    env.ok(&["restore", "latest", "-t", "out"]);
}

#[test]
fn plain_check_sees_packs_that_are_short_or_gone() {
    let (env, pack, id) = with_pack();
    let bytes = std::fs::read(&pack).unwrap();
    std::fs::write(&pack, &bytes[..bytes.len() - 1]).unwrap();
    env.run(&["check"]).expect(1).says(&id);
    std::fs::remove_file(&pack).unwrap();
    env.run(&["check"]).expect(1).says(&id).says("missing");
    std::fs::write(&pack, bytes).unwrap();
    env.ok(&["check"]);
}

#[test]
fn damage_costs_a_restore_the_files_in_it() {
    let (env, pack, _) = with_pack();
    env.write("src/other.bin", crate::environment::noise(100_000, 9));
    env.backup(&["src"]);
    flip(&pack);
    let run = env.run(&["restore", "latest:src", "-t", "out"]).expect(3);
    run.says("error: ")
        .says("b.bin")
        .says("not be restored whole");
    let restored = std::fs::read(env.path("out/other.bin")).unwrap();
    assert!(restored == std::fs::read(env.path("src/other.bin")).unwrap());
}

#[test]
fn leftovers_are_mentioned_and_harmless() {
    let (env, pack, _) = with_pack();
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes.push(0);
    let name = "ab".repeat(32);
    env.write(&format!("repo/data/ab/{name}"), bytes);
    let run = env.run(&["-v", "check"]);
    assert!(
        run.stdout.contains(&name) || run.stderr.contains(&name),
        "{run:?}"
    );
}

/// What a damaged entry committed looks unused; nobody must be told to do away with it.
#[test]
fn what_an_unreadable_entry_may_use_is_not_called_harmless() {
    let (env, ..) = with_pack();
    let newest = env.files("repo").into_iter().filter(|file| {
        let name = file.file_name().and_then(|name| name.to_str());
        file.starts_with("log") && name.is_some_and(|name| name.parse::<u64>().is_ok())
    });
    let newest = env.path("repo").join(newest.max().unwrap());
    let mut bytes = std::fs::read(&newest).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    // A machine that has seen nothing of the repository yet.
    let fresh = env.path("fresh");
    let arguments = ["check", "--no-cache"];
    let run = env.run_with(&arguments, &[("LARDER_STATE_DIR", fresh.to_str().unwrap())]);
    let run = run.expect(1);
    assert!(run.stdout.contains("keep them"), "{run:?}");
    assert!(!run.stdout.contains("harmless"), "{run:?}");
    // Who reads the rest is told that it is not all.
    for command in ["snapshots", "ls"] {
        let arguments = [command, "--no-cache", "latest"];
        let fresh = env.path(&format!("fresh-{command}"));
        let state = [("LARDER_STATE_DIR", fresh.to_str().unwrap())];
        let run = env.run_with(&arguments[..if command == "ls" { 3 } else { 2 }], &state);
        assert!(
            run.stderr.contains("is damaged and is passed over"),
            "{run:?}"
        );
        assert!(run.code != 0, "{run:?}");
    }
}

#[test]
fn what_does_not_belong_to_the_repository_is_named_whatever_it_is_called() {
    let (env, ..) = with_pack();
    let strangers = [
        "note", "Read.me", ".hidden", "data/a_b", "photos/1", "tmp-x",
    ];
    for name in strangers {
        env.write(&format!("repo/{name}"), "x");
    }
    std::fs::create_dir(env.path("repo/lost+found")).unwrap();
    env.write("repo/data/tmp-0123456789abcdef", "x");
    for arguments in [&["check"][..], &["check", "--read-data"]] {
        let run = env.run(arguments).expect(1);
        for name in strangers {
            let line = format!("error: {name} does not belong to the repository\n");
            assert!(run.stderr.contains(&line), "{line} in {run:?}");
        }
        let run = run.says(": 6 errors\n").says("Move away");
        let run = run.says("Everything that was backed up restores as before.");
        assert!(!run.stderr.contains("at risk"), "{run:?}");
    }
    for name in strangers {
        std::fs::remove_file(env.path(&format!("repo/{name}"))).unwrap();
    }
    env.ok(&["check"]);
}

/// Two snapshots that share nothing, of other hosts, paths and tags; a pack of data that only the second one reaches.
fn with_two() -> (TestEnvironment, [String; 2], PathBuf) {
    let env = TestEnvironment::with_repository();
    env.write("one/file", crate::environment::noise(300_000, 1));
    env.write("two/file", crate::environment::noise(300_000, 2));
    let first = env.backup(&["one", "--host", "web", "--tag", "a,b"]);
    let before = env.files("repo/data");
    let second = env.backup(&["two", "--host", "db"]);
    let mut packs = env.files("repo/data").into_iter();
    let pack = packs.find(|pack| !before.contains(pack)).unwrap();
    let pack = env.path("repo/data").join(pack);
    (env, [first, second], pack)
}

#[test]
fn only_what_some_snapshots_reach_is_read() {
    let (env, [first, second], pack) = with_two();
    let whole = env.json(&["check", "--read-data"]);
    let read = |flags: &[&str]| {
        let summary = env.json(&[&["check", "--read-data"], flags].concat());
        assert_eq!(summary["snapshots"], 1, "{flags:?}");
        assert!(summary["bytes_read"].as_u64() < whole["bytes_read"].as_u64());
        assert_eq!(summary["data_packs_read"], summary["data_packs"]);
        let count = |summary: &serde_json::Value| summary["data_packs"].as_u64().unwrap();
        assert!((1..count(&whole)).contains(&count(&summary)), "{summary}");
    };
    flip(&pack);
    let path = env.text("one");
    for flags in [
        &[&first[..8]][..],
        &["--host", "web"],
        &["--path", &path],
        &["--tag", "a"],
        &["-H", "web", "latest"],
    ] {
        read(flags);
    }
    for flags in [&[&*second][..], &["--host", "db"], &["latest"], &[]] {
        let arguments = [&["check", "--read-data"], flags].concat();
        let run = env.run(&arguments).expect(1);
        run.says(&format!("file in snapshot {}", &second[..8]));
    }
    // A part counts of what is reached.
    env.ok(&["check", &first, "--read-data-subset", "1/1"]);
    env.run(&["check", &second, "--read-data-subset", "1/1"])
        .expect(1);
    // A pack that is gone is found, whoever needs it.
    std::fs::remove_file(&pack).unwrap();
    env.run(&["check", &first]).expect(1).says("missing");
}

#[test]
fn a_check_of_no_snapshot_is_none() {
    let (env, ..) = with_two();
    for flags in [
        &["--host", "mail"][..],
        &["--tag", "c"],
        &["-H", "mail", "latest"],
    ] {
        let run = env.run(&[&["check"], flags].concat()).expect(1);
        run.says("there is no snapshot that fits");
    }
    env.run(&["check", "0000"])
        .expect(1)
        .says("no snapshot has an ID");
    // The environment chooses none.
    let run = env
        .run_with(&["check", "--json"], &[("LARDER_HOST", "mail")])
        .expect(0);
    assert_eq!(run.messages().last().unwrap()["snapshots"], 2);
}
