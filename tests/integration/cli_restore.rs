//! `restore`

use crate::environment::{TestEnvironment, assert_same_tree, noise};

#[test]
fn what_was_backed_up_comes_back() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    let id = env.backup(&[&source]);
    let run = env.ok(&["restore", &id[..8], "--target", "out"]);
    run.prints("restoring snapshot ")
        .prints("Summary: Restored ");
    let inside = format!("out{source}");
    assert_same_tree(&env.path("src"), &env.path(&inside));
}

#[test]
fn a_folder_alone_becomes_the_target() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&source]);
    env.ok(&["restore", &format!("latest:{source}"), "-t", "out"]);
    for name in ["a.txt", "b.bin", "link", "sub"] {
        let (original, restored) = (format!("src/{name}"), format!("out/{name}"));
        assert_same_tree(&env.path(&original), &env.path(&restored));
    }
    env.ok(&["restore", &format!("latest:{source}/sub"), "-t", "sub"]);
    assert_eq!(std::fs::read(env.path("sub/c.txt")).unwrap(), b"gamma\n");
    env.run(&["restore", "latest:/absent", "-t", "none"])
        .expect(1)
        .says("/absent is not in the snapshot")
        .says(&format!(" is one of {source}."))
        .says("--path");
    env.run(&["ls", "latest", "/absent"])
        .expect(1)
        .says("/absent is not in the snapshot")
        .says(&format!(" is one of {source}."));
}

#[test]
fn a_further_name_of_what_is_lost_says_of_what() {
    let env = TestEnvironment::with_repository();
    env.write("src/a/one", noise(100_000, 1));
    std::fs::hard_link(env.path("src/a/one"), env.path("src/b")).unwrap();
    env.backup(&["src"]);
    std::fs::remove_dir_all(env.path("repo/data")).unwrap();
    env.run(&["restore", "latest", "-t", "out"])
        .expect(3)
        .says("/src/b has the content of /src/a/one, which is lost\n");
}

#[test]
fn where_a_relative_path_lies_is_told() {
    let env = TestEnvironment::with_repository();
    env.write("src/sub/c.txt", "gamma");
    env.write("src/d", "delta");
    env.backup(&["src"]);
    let asked = env.text("src/sub");
    let folder = format!("latest:{asked}");
    env.run(&["restore", &folder, "-t", "out"])
        .expect(1)
        .says(&format!(
            "{asked} is not in the snapshot\nIt lies there as /src/sub: "
        ));
    env.run(&["ls", "latest", &env.text("src/d")])
        .expect(1)
        .says("\nIt lies there as /src/d: ");
    // What is not there has no place; nor has what lies elsewhere on the machine.
    for absent in [
        env.text("src/none"),
        "/src/sub/none".to_owned(),
        "/sub".into(),
    ] {
        env.run(&["ls", "latest", &absent])
            .expect(1)
            .says(" is one of ");
    }
}

#[test]
fn summaries_have_the_fields_of_restic() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&source]);
    let summary = env.json(&["restore", &format!("latest:{source}"), "-t", "out"]);
    assert_eq!(summary["message_type"], "summary");
    assert_eq!(summary["total_bytes"], 300_012);
    assert_eq!(summary["bytes_restored"], 300_012);
    assert!(summary["total_files"].as_u64().unwrap() >= 5, "{summary}");
    for field in [
        "seconds_elapsed",
        "files_restored",
        "files_skipped",
        "files_deleted",
        "bytes_skipped",
    ] {
        assert!(summary[field].is_u64(), "{field} in {summary}");
    }
}

#[test]
fn the_latest_of_a_host_a_tag_or_a_path() {
    let env = TestEnvironment::with_repository();
    let restored = |arguments: &[&str]| {
        let _ = std::fs::remove_dir_all(env.path("out"));
        env.ok(&[&["restore", "latest", "-t", "out"], arguments].concat());
        std::fs::read_to_string(env.path("out/src/file")).unwrap()
    };
    env.write("src/file", "web");
    env.backup(&[
        "src",
        "--host",
        "web",
        "--tag",
        "t",
        "--time",
        "2024-01-01 00:00:00",
    ]);
    env.write("src/file", "db");
    env.backup(&["src", "--host", "db", "--time", "2024-01-02 00:00:00"]);
    assert_eq!(restored(&["--host", "web"]), "web");
    assert_eq!(restored(&["--host", ""]), "db");
    assert_eq!(restored(&["--host", "", "--tag", "t"]), "web");
    let none = [
        "restore",
        "latest",
        "-t",
        "out",
        "--host",
        "",
        "--path",
        "/elsewhere",
    ];
    env.run(&none).expect(1).says("no snapshot that fits");
}

#[test]
fn nothing_is_restored_into_the_repository() {
    let env = TestEnvironment::with_repository();
    env.backup(&[&env.write_source()]);
    let before = env.files("repo");
    std::os::unix::fs::symlink("repo", env.path("alias")).unwrap();
    for target in ["repo", "repo/out", "repo/data/../out/x", "alias/out"] {
        let run = env.run(&["restore", "latest", "-t", target]).expect(1);
        run.says("lies in the repository");
    }
    assert_eq!(env.files("repo"), before);
    env.ok(&["restore", "latest", "-t", "repo-2/out"]);
}

#[test]
fn progress_knows_the_totals_of_a_whole_snapshot() {
    let env = TestEnvironment::with_repository();
    env.write("src/large", crate::environment::noise(40_000_000, 4));
    env.write("src/small", "x");
    env.backup(&["src"]);
    let fps = [("LARDER_PROGRESS_FPS", "60")];
    let run = env.run_with(&["--json", "restore", "latest", "-t", "out"], &fps);
    let mut messages = run.expect(0).messages();
    let summary = messages.pop().unwrap();
    assert_eq!(summary["message_type"], "summary");
    assert!(!messages.is_empty());
    for status in &messages {
        assert_eq!(status["total_files"], 2);
        assert_eq!(status["total_bytes"], 40_000_001);
    }
    // The parts of a large file are counted, not only the whole of it.
    let halfway = |status: &serde_json::Value| {
        let bytes = status["bytes_restored"].as_u64().unwrap();
        bytes > 1 && bytes < 40_000_000
    };
    assert!(messages.iter().any(halfway), "{messages:?}");
}
