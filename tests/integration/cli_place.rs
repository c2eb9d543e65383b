//! Where the repository is, and what is said if it is not there.

use crate::environment::TestEnvironment;

#[test]
fn a_repository_that_is_not_there() {
    let env = TestEnvironment::new();
    let commands: &[&[&str]] = &[
        &["snapshots"],
        &["ls", "latest"],
        &["restore", "latest", "--target", "x"],
        &["check"],
        &["key", "list"],
        &["backup", "home"],
    ];
    for command in commands {
        env.run(command)
            .expect(10)
            .says("Fatal: repository does not exist")
            .says("larder init");
    }
    std::fs::create_dir(env.path("repo")).unwrap();
    env.run(&["snapshots", "--insecure-no-password"])
        .expect(10)
        .says("repository does not exist");
    assert!(env.files("repo").is_empty());
}

#[test]
fn failures_are_json_too() {
    let env = TestEnvironment::new();
    let run = env.run(&["snapshots", "--json"]).expect(10);
    let [message] = &run.errors()[..] else {
        panic!("{run:?}")
    };
    assert_eq!(message["message_type"], "exit_error");
    assert_eq!(message["code"], 10);
    let text = message["message"].as_str().unwrap();
    assert!(
        text.starts_with("Fatal: repository does not exist"),
        "{text}"
    );
    assert!(run.stdout.is_empty());
}

#[test]
fn nothing_names_a_repository() {
    let env = TestEnvironment::new();
    let run = env.run_with(&["snapshots"], &[("LARDER_REPOSITORY", "")]);
    run.expect(2).says("LARDER_REPOSITORY");
}

#[test]
fn the_place_is_named_by_flag_then_larder_then_restic() {
    let env = TestEnvironment::new();
    let names = |arguments: &[&str], variables: &[(&str, &str)], place: &str| {
        env.run_with(arguments, variables)
            .expect(10)
            .says(&format!("at {place}\n"));
    };
    let both = [
        ("LARDER_REPOSITORY", "larder"),
        ("RESTIC_REPOSITORY", "restic"),
    ];
    names(&["snapshots", "-r", "flag"], &both, "flag");
    names(&["snapshots", "-r", "local:flag"], &both, "flag");
    names(&["snapshots"], &both, "larder");
    names(
        &["snapshots"],
        &[("LARDER_REPOSITORY", ""), both[1]],
        "restic",
    );
    env.write("place", "from-file\n");
    names(
        &["snapshots", "--repository-file", "place"],
        &both,
        "from-file",
    );
    let file = [
        ("LARDER_REPOSITORY", ""),
        ("RESTIC_REPOSITORY_FILE", "place"),
    ];
    names(&["snapshots"], &file, "from-file");
}

#[test]
fn places_that_there_is_no_way_to() {
    let env = TestEnvironment::new();
    for place in ["rest:http://host/", "rclone:host:x", "webdav://host/"] {
        let scheme = place.split(':').next().unwrap();
        env.run(&["snapshots", "-r", place])
            .expect(2)
            .says(&format!("repositories at {scheme}: are not supported"))
            .says("webdav+https:");
    }
    env.run(&["snapshots", "-r", "user@host:/x"])
        .expect(2)
        .says("Put sftp: before it");
}

#[test]
fn addresses_and_options_that_make_no_sense() {
    let env = TestEnvironment::new();
    let refused = |arguments: &[&str], why: &str| {
        let arguments = [arguments, &["snapshots", "--insecure-no-password"]].concat();
        env.run(&arguments).expect(2).says(why)
    };
    refused(&["-r", "s3:https://host"], "names no bucket");
    refused(&["-r", "sftp:host"], "names no path");
    refused(&["-r", "azure:box:/"], "AZURE_ACCOUNT_NAME");
    refused(&["-r", "b2:bucket:"], "B2_REGION");
    refused(&["-r", "s3:bucket", "-o", "s3.regoin=x"], "s3.region");
    refused(
        &["-r", "s3:bucket", "-o", "s3.bucket-lookup=x"],
        "auto, dns, path",
    );
    let secret = refused(
        &["-r", "s3:bucket", "-o", "s3.secret-access-key=hush"],
        "=@FILE",
    );
    assert!(!secret.stderr.contains("hush"), "{}", secret.stderr);
    let secret = refused(&["-r", "webdav+https://u:hush@"], "names no host");
    assert!(!secret.stderr.contains("hush"), "{}", secret.stderr);
    env.run(&[
        "snapshots",
        "-r",
        "opendal:nosuch",
        "--insecure-no-password",
    ])
    .expect(1)
    .says("without the service nosuch");
}

#[test]
fn init_says_what_it_made() {
    let env = TestEnvironment::new();
    let key = env.text("key");
    let message = env.json(&["init", "--new-key-file", &key]);
    assert_eq!(message["message_type"], "initialized");
    assert_eq!(message["id"].as_str().unwrap().len(), 64);
    assert_eq!(message["repository"], env.text("repo"));
    env.ok(&["snapshots"]).prints("0 snapshots");
}

#[test]
fn init_never_touches_what_is_there() {
    let env = TestEnvironment::with_repository();
    let before = env.files("repo");
    env.run(&["init"]).expect(1).says("already");
    let other = env.text("other-key");
    env.run(&["init", "--new-key-file", &other])
        .expect(1)
        .says("already");
    assert!(!env.path("other-key").exists());
    assert_eq!(env.files("repo"), before);

    let key = env.text("key");
    env.run(&["init", "-r", "second", "--new-key-file", &key])
        .expect(1)
        .says("exists already");
    assert!(!env.path("second").exists());
}

#[test]
fn a_restic_repository_is_recognized() {
    let env = TestEnvironment::new();
    env.write("repo/config", [0x5a; 155]);
    let slot = r#"{"created":"2024-01-01T00:00:00Z","username":"u","hostname":"h","kdf":"scrypt","N":32768,"r":8,"p":3,"salt":"","data":""}"#;
    env.write("repo/keys/0123456789abcdef", slot);
    let run = env.run(&["snapshots", "--insecure-no-password"]).expect(1);
    let run = run.says("there is a restic repository at");
    let run = run.says("can neither read nor write").says("Use restic");
    let before = env.files("repo");
    let said = run.stderr;
    // Every command says the same, and says it before it asks for a password.
    let commands: &[&[&str]] = &[
        &["init"],
        &["init", "--insecure-no-password"],
        &["snapshots"],
        &["check"],
        &["backup", "home"],
        &["backup", "--init", "home"],
    ];
    for command in commands {
        assert_eq!(env.run(command).expect(1).stderr, said, "{command:?}");
    }
    assert_eq!(env.files("repo"), before);
}

#[test]
fn an_old_copy_is_refused_until_accepted() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&source]);
    let copy = |from: &str, to: &str| {
        let status = std::process::Command::new("cp")
            .arg("-a")
            .args([env.path(from), env.path(to)])
            .status();
        assert!(status.unwrap().success());
    };
    copy("repo", "old");
    env.backup(&[&source]);
    std::fs::rename(env.path("repo"), env.path("new")).unwrap();
    copy("old", "repo");
    env.run(&["snapshots"])
        .expect(1)
        .says("older than")
        .says("--accept-rollback");
    env.run(&["snapshots", "--accept-rollback"])
        .expect(0)
        .prints("1 snapshot\n");
    env.run(&["snapshots"]).expect(0).prints("1 snapshot\n");
}

#[test]
fn without_a_home_one_warning() {
    let env = TestEnvironment::with_repository();
    let nothing = [("HOME", ""), ("XDG_CACHE_HOME", ""), ("XDG_STATE_HOME", "")];
    let run = env.run_with(&["snapshots"], &nothing).expect(0);
    assert_eq!(run.stderr.matches("warning:").count(), 1, "{run:?}");
}

#[test]
fn state_and_cache_lie_where_they_should() {
    let env = TestEnvironment::with_repository();
    env.backup(&[&env.write_source()]);
    assert!(env.path("state/larder").is_dir());
    assert!(env.path("cache/larder").is_dir());
    std::fs::remove_dir_all(env.path("cache")).unwrap();
    env.ok(&["snapshots", "--no-cache"]);
    assert!(!env.path("cache").exists());
    env.ok(&["snapshots", "--cache-dir", "elsewhere"]);
    assert!(env.path("elsewhere").is_dir() && !env.path("cache").exists());
}

#[test]
fn a_repository_is_not_made_among_other_files() {
    let env = TestEnvironment::new();
    env.write("repo/My files/letter.txt", "x");
    let before = env.files("repo");
    let commands: &[&[&str]] = &[
        &["init", "--insecure-no-password"],
        &["backup", "--init", "--insecure-no-password", "home"],
    ];
    for command in commands {
        let run = env.run(command).expect(1);
        run.says("is not empty: My files lies there");
    }
    assert_eq!(env.files("repo"), before);
    // A file system of its own, and what an attempt left that was stopped.
    for name in ["lost+found", "keys", "log"] {
        std::fs::create_dir_all(env.path("other").join(name)).unwrap();
    }
    env.write("other/tmp-0123456789abcdef", "x");
    env.ok(&["init", "-r", "other", "--insecure-no-password"]);
}

#[test]
fn restic_variables_name_the_cache() {
    let env = TestEnvironment::with_repository();
    let cache = env.text("restic-cache");
    let run = env.run_with(&["snapshots"], &[("RESTIC_CACHE_DIR", &cache)]);
    run.expect(0);
    assert!(env.path("restic-cache").is_dir());
}
