//! A repository on a machine with an SSH server.

use crate::environment::{Run, TestEnvironment};
use crate::life;
use crate::ssh_server::SshServer;
use repo_core::backend::{
    Address, Backend, Class, Listed, OpenDalBackend, OpenDalOptions, conformance,
};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

/// The place that the process of its own is to look at, in which a test is run again.
const INSIDE: &str = "LARDER_TEST_SFTP_PLACE";
/// The folder that it is on this machine.
const THERE: &str = "LARDER_TEST_SFTP_FOLDER";

/// Runs the program with the repository at `place`.
fn run(env: &TestEnvironment, server: &SshServer, place: &str, arguments: &[&str]) -> Run {
    let path = server.search_path();
    env.run_with(arguments, &[("LARDER_REPOSITORY", place), ("PATH", &path)])
}

#[expect(clippy::disallowed_methods, reason = "a test tells itself")]
fn inside(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// `ssh` is found by the search path of the process, so that the test runs itself with another one.
#[test]
fn the_server_conforms_as_class_c() {
    if let Some(place) = inside(INSIDE) {
        let fresh = AtomicUsize::new(0);
        let found = conformance::run_over_files(|| {
            let number = fresh.fetch_add(1, Ordering::Relaxed);
            Box::new(backend(&format!("{place}/c{number}")))
        });
        assert_eq!(found, Class::C);
        return;
    }
    let env = TestEnvironment::new();
    if run_inside(&env, &[], "the_server_conforms_as_class_c") {
        assert!(env.path("there/c0").exists());
    }
}

/// Runs a test once more in a process of its own that finds our `ssh` and is told of a place on a server, below `there`, that refuses these
/// requests. False if there is no server.
fn run_inside(env: &TestEnvironment, refused: &[&str], test: &str) -> bool {
    let Some(server) = SshServer::start_without(&env.path(""), refused) else {
        return false;
    };
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("cli_sftp::{test}"), "--nocapture"])
        .env("PATH", server.search_path())
        .env(INSIDE, server.place(&env.path("there")))
        .env(THERE, env.path("there"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(
        again.status.success() && said.contains("1 passed"),
        "{again:?}"
    );
    true
}

fn backend(place: &str) -> OpenDalBackend {
    let address = Address::parse(place).unwrap().unwrap();
    OpenDalBackend::new(&address, OpenDalOptions::default()).unwrap()
}

#[test]
fn an_object_is_there_whole_or_not_at_all() {
    let Some(place) = inside(INSIDE) else {
        let test = "an_object_is_there_whole_or_not_at_all";
        run_inside(&TestEnvironment::new(), &[], test);
        return;
    };
    let there = PathBuf::from(inside(THERE).unwrap());
    let backend = backend(&place);
    let seen_until = AtomicBool::new(false);
    let lens = [32 << 20, 33 << 20];
    let seen = std::thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !seen_until.load(Ordering::Relaxed) {
                let found = std::fs::metadata(there.join("data/aa/object"));
                seen.extend(found.ok().map(|found| found.len()));
            }
            seen
        });
        for len in lens {
            backend.put("data/aa/object", &vec![7; len]).unwrap();
        }
        seen_until.store(true, Ordering::Relaxed);
        seen.join().unwrap()
    });
    let whole = lens.map(|len| len as u64);
    assert!(seen.iter().all(|len| whole.contains(len)), "{seen:?}");
    let folder = there.join("data/aa");
    assert_eq!(files(&folder), ["object"]);
    // What crashed runs left is swept, but what a run writes now is not, and neither is anybody's.
    let [stale, fresh] = ["tmp-00000000000000aa", "tmp-00000000000000bb"];
    for name in [stale, fresh] {
        std::fs::write(folder.join(name), b"part").unwrap();
    }
    std::fs::File::options()
        .write(true)
        .open(folder.join(stale))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    let mut listed = Vec::new();
    let mut note = |found: Listed| {
        listed.push(found.name);
        Ok(())
    };
    backend.list("data", &mut note).unwrap();
    assert_eq!(listed, ["data/aa/object"]);
    assert_eq!(files(&folder), ["object", fresh]);
    let mut strangers = 0;
    backend.list_strangers(&mut |_| strangers += 1).unwrap();
    assert_eq!(strangers, 0);
}

/// The names in a folder.
fn files(folder: &Path) -> Vec<String> {
    let found = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = found
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_server_that_renames_onto_nothing_is_written_in_place() {
    let Some(place) = inside(INSIDE) else {
        let test = "a_server_that_renames_onto_nothing_is_written_in_place";
        run_inside(&TestEnvironment::new(), &["posix-rename"], test);
        return;
    };
    let folder = PathBuf::from(inside(THERE).unwrap()).join("data/aa");
    let backend = backend(&place);
    for content in ["one", "another", "more"] {
        backend.put("data/aa/object", content.as_bytes()).unwrap();
        assert_eq!(backend.get("data/aa/object").unwrap(), content.as_bytes());
        assert_eq!(files(&folder), ["object"]);
    }
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
