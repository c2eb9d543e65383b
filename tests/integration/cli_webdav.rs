//! A repository on a WebDAV server.

use crate::environment::{Run, TestEnvironment};
use crate::life;
use crate::webdav_server::{PASSWORD, USER, WebDavServer};
use repo_core::backend::wrap::{Retry, RetryOptions};
use repo_core::backend::{Address, Class, OpenDalBackend, OpenDalOptions, conformance};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs the program with the repository at `place`.
fn run(env: &TestEnvironment, place: &str, arguments: &[&str]) -> Run {
    let mut variables = vec![("LARDER_REPOSITORY", place)];
    variables.extend(WebDavServer::variables());
    env.run_with(arguments, &variables)
}

#[test]
fn the_server_conforms_as_class_c() {
    let env = TestEnvironment::new();
    let Some(server) = WebDavServer::start(&env.path("")) else {
        return;
    };
    let fresh = AtomicUsize::new(0);
    let found = conformance::run_over_files(|| {
        let number = fresh.fetch_add(1, Ordering::Relaxed);
        let place = server.place(&format!("c{number}"));
        let mut address = Address::parse(&place).unwrap().unwrap();
        address.set("username", USER);
        address.set("password", PASSWORD);
        let backend = OpenDalBackend::new(&address, OpenDalOptions::default()).unwrap();
        // While one writes, this server locks the object for others, who have to come again.
        Box::new(Retry::new(Arc::new(backend), RetryOptions::default()))
    });
    assert_eq!(found, Class::C);
}

#[test]
fn a_life_of_a_repository() {
    let env = TestEnvironment::new();
    let Some(server) = WebDavServer::start(&env.path("")) else {
        return;
    };
    let place = server.place("some/where");
    life::of_a_repository(&env, &|arguments| run(&env, &place, arguments));
    assert!(server.root().join("some/where/config").exists());
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_made() {
    let env = TestEnvironment::new();
    let Some(server) = WebDavServer::start(&env.path("")) else {
        return;
    };
    let place = server.place("r");
    let wrong = [
        ("LARDER_REPOSITORY", place.as_str()),
        ("LARDER_WEBDAV_USERNAME", USER),
        ("LARDER_WEBDAV_PASSWORD", "hush"),
    ];
    let refused = env
        .run_with(&["init", "--insecure-no-password"], &wrong)
        .expect(1);
    let refused = refused.says("credentials");
    assert!(!refused.stderr.contains("hush"), "{refused:?}");
    std::fs::create_dir(server.root().join("taken")).unwrap();
    std::fs::write(server.root().join("taken/notes.txt"), "mine").unwrap();
    run(
        &env,
        &server.place("taken"),
        &["init", "--insecure-no-password"],
    )
    .expect(1)
    .says("notes.txt lies there");
    assert_eq!(std::fs::read_dir(server.root()).unwrap().count(), 1);
}
