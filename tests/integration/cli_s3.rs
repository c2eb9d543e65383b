//! A repository on an S3 server: all that a user does with one, and what is said when something is wrong.

use crate::environment::{Run, TestEnvironment, assert_same_tree, noise};
use crate::gate::{Gate, Rule};
use crate::life;
use crate::s3_server::S3Server;
use crate::server::free_port;
use repo_core::backend::wrap::{Retry, RetryOptions};
use repo_core::backend::{
    Address, Backend, Class, OpenDalBackend, OpenDalOptions, conformance, probe,
};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Runs the program with the repository at `place`.
fn run(env: &TestEnvironment, place: &str, arguments: &[&str]) -> Run {
    let mut variables = vec![("LARDER_REPOSITORY", place)];
    variables.extend(S3Server::variables());
    env.run_with(arguments, &variables)
}

/// A place of a server, past the program.
fn backend(server: &S3Server, below: &str) -> OpenDalBackend {
    let mut address = Address::parse(&server.place(below)).unwrap().unwrap();
    for (key, value) in [
        ("access_key_id", crate::s3_server::KEY_ID),
        ("secret_access_key", crate::s3_server::SECRET),
    ] {
        address.set(key, value);
    }
    OpenDalBackend::new(&address, OpenDalOptions::default()).unwrap()
}

#[test]
fn the_server_conforms_as_class_c() {
    let env = TestEnvironment::new();
    let server = S3Server::start(&env.path(""));
    let fresh = AtomicUsize::new(0);
    let found = conformance::run_over_files(|| {
        let number = fresh.fetch_add(1, Ordering::Relaxed);
        // A server that refuses before it has read everything may close the connection before its answer is read.
        let backend = backend(&server, &format!("bucket/c{number}"));
        Box::new(Retry::new(Arc::new(backend), RetryOptions::default()))
    });
    assert_eq!(found, Class::C);
}

/// This server looks first and then writes: a probe must find that out every time.
#[test]
fn a_server_that_looks_before_it_writes_is_class_c_every_time() {
    let env = TestEnvironment::new();
    let server = S3Server::start(&env.path(""));
    let backend = backend(&server, "bucket/race");
    for _ in 0..10 {
        assert_eq!(probe::race(&backend, "").unwrap(), Class::C);
        assert!(conformance::names(&backend, "").is_empty());
    }
    assert_eq!(backend.limits().connections, 5);
}

#[test]
fn a_life_of_a_repository() {
    let env = TestEnvironment::new();
    let server = S3Server::start(&env.path(""));
    let place = server.place("bucket/some/prefix");
    life::of_a_repository(&env, &|arguments| run(&env, &place, arguments));
    assert!(server.root().join("bucket/some/prefix/config").exists());
}

#[test]
fn what_is_wrong_is_said_within_seconds_and_nothing_is_made() {
    let env = TestEnvironment::new();
    let server = S3Server::start(&env.path(""));
    let begun = Instant::now();
    let init = ["init", "--insecure-no-password"];

    run(&env, &server.place("absent/r"), &init)
        .expect(10)
        .says("a bucket that is not there");
    run(
        &env,
        &server.place("absent/r"),
        &["snapshots", "--insecure-no-password"],
    )
    .expect(10)
    .says("a bucket that is not there");

    let place = server.place("bucket/r");
    let wrong = [
        ("LARDER_REPOSITORY", place.as_str()),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
    ];
    let refused = env.run_with(&init, &wrong).expect(1).says("credentials");
    assert!(!refused.stderr.contains("hush"), "{}", refused.stderr);

    let none = [
        ("LARDER_REPOSITORY", place.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    env.run_with(&init, &none).expect(1).says("credentials");

    let nobody = format!("s3:http://{}:{}/bucket", Ipv4Addr::LOCALHOST, free_port());
    run(&env, &nobody, &init)
        .expect(1)
        .says("connection refused")
        .says("trying again");

    std::fs::write(server.root().join("bucket/notes.txt"), "mine").unwrap();
    run(&env, &server.place("bucket"), &init)
        .expect(1)
        .says("notes.txt lies there");

    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    let entries = std::fs::read_dir(server.root().join("bucket")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["notes.txt"]);
    assert!(!server.root().join("absent").exists());
}

#[test]
fn a_client_that_may_only_add_backs_up() {
    let env = TestEnvironment::new();
    let server = S3Server::start(&env.path(""));
    let whole = Gate::open(server.port(), Rule::InTurn).place("bucket/r");
    let adds = Gate::open(server.port(), Rule::WriteOnce).place("bucket/r");
    let key = env.text("key");
    let made = run(&env, &whole, &["init", "--new-key-file", &key, "--json"]).expect(0);
    assert_eq!(made.messages()[0]["class"], "A");

    let source = env.write_source();
    for content in ["one", "two", "three"] {
        env.write("src/changes.txt", content);
        run(&env, &adds, &["backup", &source]).expect(0);
    }
    run(&env, &adds, &["backup", &source]).expect(0);
    let listed = run(&env, &adds, &["snapshots", "--json"]).expect(0);
    assert_eq!(listed.messages()[0].as_array().unwrap().len(), 4);
    run(
        &env,
        &adds,
        &["restore", "latest", "--target", &env.text("out")],
    )
    .expect(0);

    run(&env, &adds, &["init"]).expect(1);
    let objects = env.files("s3/bucket/r");
    run(
        &env,
        &adds,
        &[
            "forget",
            "--keep-last",
            "1",
            "--prune",
            "--unsafe-grace",
            "0",
        ],
    );
    let left = env.files("s3/bucket/r");
    assert!(objects.iter().all(|object| left.contains(object)));
    run(&env, &whole, &["check", "--read-data"]).expect(0);
}

#[test]
fn what_servers_refuse_is_said_in_their_words_and_with_advice() {
    let env = TestEnvironment::new();
    let cases = [
        ("403 Forbidden", "RequestTimeTooSkewed", "Set the clock"),
        ("400 Bad Request", "ExpiredToken", "Get new credentials"),
        (
            "400 Bad Request",
            "AuthorizationHeaderMalformed",
            "-o s3.region=",
        ),
        (
            "301 Moved Permanently",
            "PermanentRedirect",
            "-o s3.region=",
        ),
        (
            "403 Forbidden",
            "SignatureDoesNotMatch",
            "the right credentials",
        ),
        (
            "501 Not Implemented",
            "NotImplemented",
            "cannot do what larder needs",
        ),
    ];
    for (status, code, advice) in cases {
        let body = format!("<Error><Code>{code}</Code><Message>What they say.</Message></Error>");
        let gate = Gate::open(0, Rule::Always(status, Box::leak(body.into_boxed_str())));
        let begun = Instant::now();
        run(
            &env,
            &gate.place("bucket/r"),
            &["snapshots", "--insecure-no-password"],
        )
        .expect(1)
        .says(&format!("What they say ({code})"))
        .says(advice);
        assert!(
            begun.elapsed().as_secs() < 20,
            "{code}: {:?}",
            begun.elapsed()
        );
    }
    let page = Gate::open(0, Rule::WebPage).place("bucket/r");
    run(&env, &page, &["init", "--insecure-no-password"])
        .expect(1)
        .says("a web page came")
        .says("HTTPS_PROXY");
}

#[test]
fn requests_are_counted() {
    let env = TestEnvironment::new();
    let server = S3Server::start(&env.path(""));
    let place = server.place("bucket/r");
    let key = env.text("key");
    run(&env, &place, &["init", "--new-key-file", &key]).expect(0);
    let source = env.write_source();
    let backup = run(&env, &place, &["backup", &source, "--json"]).expect(0);
    let made = backup.messages().pop().unwrap()["requests_made"].clone();
    for method in ["put", "get", "list"] {
        assert!(made[method].as_u64().unwrap() > 0, "{made}");
    }
    run(&env, &place, &["snapshots", "-v"])
        .expect(0)
        .prints("requests: 0 PUT, ");
    run(
        &env,
        &place,
        &["forget", "--keep-last", "1", "--prune", "--verbose"],
    )
    .expect(0)
    .prints("requests: ");
    let pruned = run(&env, &place, &["prune", "--json"]).expect(0);
    let made = &pruned.messages()[0]["requests_made"];
    assert!(made["list"].as_u64() > Some(0), "{pruned:?}");
}

/// What the program asks more than the library, which has tests of its own, is nothing.
#[test]
fn few_requests_are_made() {
    let env = TestEnvironment::new();
    let server = S3Server::start(&env.path(""));
    let place = Gate::open(server.port(), Rule::InTurn).place("bucket/r");
    let key = env.text("key");
    run(&env, &place, &["init", "--new-key-file", &key]).expect(0);
    let source = env.write_source();
    let made = |arguments: &[&str]| {
        let last = run(&env, &place, arguments).expect(0).messages().pop();
        let made = last.unwrap()["requests_made"].clone();
        let made = made.as_object().unwrap().values();
        made.map(|count| count.as_u64().unwrap()).sum::<u64>()
    };
    // Directories above change while other tests run, and one entry of sixteen brings a checkpoint.
    let fewest = (0..8).map(|_| made(&["backup", &source, "--json"])).min();
    assert_eq!(fewest, Some(12));
    let listed = run(&env, &place, &["snapshots", "-v"]).expect(0);
    let line = listed
        .stdout
        .lines()
        .find(|line| line.starts_with("requests: "));
    let numbers = line
        .unwrap()
        .split(' ')
        .filter_map(|word| word.parse::<u64>().ok());
    assert!(numbers.sum::<u64>() <= 5, "{listed:?}");
}

#[test]
fn limits_hold_for_all_connections_together() {
    let env = TestEnvironment::new();
    let server = S3Server::start(&env.path(""));
    let place = server.place("bucket/r");
    let key = env.text("key");
    run(&env, &place, &["init", "--new-key-file", &key]).expect(0);
    env.write("src/a", noise(1 << 20, 1));
    let source = env.text("src");
    let took = |arguments: &[&str]| {
        let begun = Instant::now();
        run(&env, &place, arguments).expect(0);
        begun.elapsed().as_secs_f64()
    };
    let up = took(&["backup", &source, "--limit-upload", "512"]);
    assert!(up > 1.8, "a mebibyte at half of one a second took {up} s");
    let target = env.text("out");
    let down = took(&[
        "restore",
        "latest",
        "--target",
        &target,
        "--limit-download",
        "512",
        "--connections",
        "3",
    ]);
    assert!(down > 1.8, "the way back took {down} s");
    assert_same_tree(&env.path("src/a"), &env.path(&format!("out{source}/a")));
}
