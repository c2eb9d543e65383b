//! `serve` while many connect who want nothing, or take nothing: others are answered.

use crate::cli_serve::{Served, small};
use crate::environment::{TestEnvironment, noise};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How soon others are answered. Who takes nothing is let go after two minutes if nobody else waits.
const SOON: Duration = Duration::from_secs(20);

/// More than the system takes of an answer that nobody reads.
const LONG: usize = 30 << 20;

fn long() -> (TestEnvironment, String) {
    let env = TestEnvironment::with_repository();
    env.write("src/long", noise(LONG, 3));
    env.write("src/short", "short");
    env.backup(&[&env.text("src")]);
    let source = format!("/snapshots/latest{}", env.text("src"));
    (env, source)
}

/// Asks, and takes the beginning of an answer.
fn asked(served: &Served, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("localhost", served.port)).unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    stream
}

#[test]
fn who_takes_nothing_keeps_nobody_out() {
    let (env, source) = long();
    let served = Served::new(&env, &[]);
    let path = format!("{source}/long");
    let mut stalled: Vec<_> = (0..60).map(|_| asked(&served, &path)).collect();
    let begun = Instant::now();
    assert_eq!(served.get(&format!("{source}/short")).text(), "short");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    // It goes on when they do, with nothing missing.
    let mut rest = Vec::new();
    stalled[7].read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&noise(LONG, 3)[100 << 10..]));
}

#[test]
fn who_asks_nothing_keeps_nobody_out() {
    let (env, source) = small();
    let served = Served::new(&env, &[]);
    let connect = || TcpStream::connect(("localhost", served.port)).unwrap();
    let silent: Vec<_> = (0..300).map(|_| connect()).collect();
    let begun = Instant::now();
    served.get(&format!("{source}/a.txt")).expect(200);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    drop(silent);
}

#[test]
fn an_archive_that_nobody_takes_makes_room_for_another() {
    let (env, source) = long();
    let served = Served::new(&env, &[]);
    let path = format!("{source}/?archive=tar");
    let stalled: Vec<_> = (0..4).map(|_| asked(&served, &path)).collect();
    let refused = served.get(&path).expect(503);
    assert_eq!(refused.header("retry-after"), Some("10"));
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < SOON, "still no room");
        let answer = served.get(&path);
        if answer.status == 200 {
            assert!(answer.whole && answer.body.len() > LONG);
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(stalled);
}

/// With a thread and its buffers for each download it took 240 MiB.
#[test]
fn many_downloads_take_little_memory() {
    let (env, source) = long();
    for n in 0..4 {
        env.write(&format!("src/{n}"), noise(LONG, 10 + n));
    }
    env.backup(&[&env.text("src")]);
    let served = Served::new(&env, &["--cache-size", "16M"]);
    std::thread::scope(|scope| {
        for n in 0..40 {
            let (served, path) = (&served, format!("{source}/{}", n % 4));
            scope.spawn(move || assert!(served.get(&path).expect(200).whole));
        }
    });
    let most = served.memory_max();
    assert!(most < 200 << 20, "{} MiB", most >> 20);
}

/// PROPFIND of a large directory is as long as a file.
#[test]
fn a_long_list_keeps_nobody_out() {
    let env = TestEnvironment::with_repository();
    (0..3000).for_each(|n| drop(env.write(&format!("src/{n:04}{}", "x".repeat(200)), "")));
    env.backup(&[&env.text("src")]);
    let served = Served::new(&env, &[]);
    let path = format!("/snapshots/latest{}/", env.text("src"));
    let mut question = "<D:propfind xmlns:D=\"DAV:\" xmlns:x=\"urn:x\"><D:prop>".to_owned();
    (0..100).for_each(|n| question.push_str(&format!("<x:{}{n}/>", "y".repeat(60))));
    question.push_str("</D:prop></D:propfind>");
    let connect = || {
        let mut stream = TcpStream::connect(("localhost", served.port)).unwrap();
        let ask = format!(
            "PROPFIND {path} HTTP/1.1\r\nHost: localhost\r\nDepth: 1\r\nContent-Length: {}\r\n\r\n{question}",
            question.len()
        );
        stream.write_all(ask.as_bytes()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        stream
    };
    let stalled: Vec<_> = (0..40).map(|_| connect()).collect();
    let begun = Instant::now();
    let found = served.ask("PROPFIND", &path, &[("Depth", "1")]).expect(207);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(found.whole);
    assert_eq!(found.text().matches("<D:response>").count(), 3001);
    drop(stalled);
}
