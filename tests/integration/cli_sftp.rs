//! A repository on a machine with an SSH server.

use crate::environment::{Run, TestEnvironment};
use crate::life;
use crate::ssh_server::SshServer;
use repo_core::backend::{Address, Class, OpenDalBackend, OpenDalOptions, conformance};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The place that the process of its own is to look at, in which a test is run again.
const INSIDE: &str = "LARDER_TEST_SFTP_PLACE";

/// Runs the program with the repository at `place`.
fn run(env: &TestEnvironment, server: &SshServer, place: &str, arguments: &[&str]) -> Run {
    let path = server.search_path();
    env.run_with(arguments, &[("LARDER_REPOSITORY", place), ("PATH", &path)])
}

#[expect(clippy::disallowed_methods, reason = "a test tells itself")]
fn inside() -> Option<String> {
    std::env::var(INSIDE).ok()
}

/// `ssh` is found by the search path of the process, so that the test runs itself with another one.
#[test]
fn the_server_conforms_as_class_c() {
    if let Some(place) = inside() {
        let fresh = AtomicUsize::new(0);
        let found = conformance::run_over_files(|| {
            let number = fresh.fetch_add(1, Ordering::Relaxed);
            let address = Address::parse(&format!("{place}/c{number}")).unwrap();
            let options = OpenDalOptions::default();
            Box::new(OpenDalBackend::new(&address.unwrap(), options).unwrap())
        });
        assert_eq!(found, Class::C);
        return;
    }
    let env = TestEnvironment::new();
    let Some(server) = SshServer::start(&env.path("")) else {
        return;
    };
    let again = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "cli_sftp::the_server_conforms_as_class_c",
            "--nocapture",
        ])
        .env("PATH", server.search_path())
        .env(INSIDE, server.place(&env.path("there")))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(
        again.status.success() && said.contains("1 passed"),
        "{again:?}"
    );
    assert!(env.path("there/c0").exists());
}

#[test]
fn a_life_of_a_repository() {
    let env = TestEnvironment::new();
    let Some(server) = SshServer::start(&env.path("")) else {
        return;
    };
    let place = server.place(&env.path("there/some/where"));
    life::of_a_repository(&env, &|arguments| run(&env, &server, &place, arguments));
    assert!(env.path("there/some/where/config").exists());
    assert!(server.is_left_alone());
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_made() {
    let env = TestEnvironment::new();
    let Some(server) = SshServer::start(&env.path("")) else {
        return;
    };
    let place = server.place(&env.path("there"));
    let init = ["init", "--insecure-no-password"];
    // The server does not know the user, or is not the one that is known.
    std::fs::rename(env.path("ssh/user.pub"), env.path("ssh/hidden")).unwrap();
    let at_once = |run: Run| {
        assert!(!run.stderr.contains("trying again"), "{run:?}");
        run.expect(1)
    };
    at_once(run(&env, &server, &place, &init)).says("permission denied");
    std::fs::rename(env.path("ssh/hidden"), env.path("ssh/user.pub")).unwrap();
    server.change_known_host();
    at_once(run(&env, &server, &place, &init)).says("host key verification failed");
    assert!(!env.path("there").exists());
}

#[test]
fn a_file_where_a_folder_should_be_is_named_at_once() {
    let env = TestEnvironment::new();
    let Some(server) = SshServer::start(&env.path("")) else {
        return;
    };
    env.write("file", "not a folder");
    for below in ["file", "file/below"] {
        let place = server.place(&env.path(below));
        let run = run(&env, &server, &place, &["init", "--insecure-no-password"]);
        assert!(!run.stderr.contains("trying again"), "{run:?}");
        run.expect(1).says("is a file and no folder");
    }
}

/// The second signal ends the process at once, and nothing is given up in order.
#[test]
fn no_client_is_left_behind_by_a_process_that_ends_at_once() {
    let env = TestEnvironment::new();
    let Some(server) = SshServer::start(&env.path("")) else {
        return;
    };
    let (place, path) = (server.place(&env.path("there")), server.search_path());
    let init = ["init", "--insecure-no-password"];
    run(&env, &server, &place, &init).expect(0);
    let mut backup = env
        .command(&["backup", "--insecure-no-password", "--stdin"])
        .env("LARDER_REPOSITORY", &place)
        .env("PATH", &path)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while server.is_left_alone() {
        assert!(backup.try_wait().unwrap().is_none());
    }
    let pid = Pid::from_child(&backup);
    for signal in [Signal::TERM, Signal::INT] {
        kill_process(pid, signal).unwrap();
    }
    assert_eq!(backup.wait().unwrap().code(), Some(130));
    assert!(server.is_left_alone());
}
