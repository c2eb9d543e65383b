//! `serve`: snapshots over HTTP and WebDAV.

use crate::environment::{Run, TestEnvironment, assert_same_entries, noise};
use crate::http::{Answer, ask, ask_raw};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program that serves, ended when it is dropped.
pub struct Served {
    child: Option<Child>,
    pub port: u16,
    /// The link with a new token.
    link: Option<String>,
}

impl Served {
    pub fn new(env: &TestEnvironment, arguments: &[&str]) -> Self {
        Self::started(
            env.command(&[&["serve", "--listen", "localhost:0"], arguments].concat()),
            false,
        )
    }

    fn started(mut command: Command, with_link: bool) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let first = line();
        let Some((_, rest)) = first.split_once("the snapshots are served on http://") else {
            panic!("{first}: {:?}", Run::of(child.wait_with_output().unwrap()));
        };
        let port = rest.trim_end_matches('/').rsplit(':').next().unwrap();
        let port = port.parse().unwrap();
        assert_eq!(line(), "Ctrl-C ends it.");
        let link = with_link.then(line);
        Self {
            child: Some(child),
            port,
            link,
        }
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        ask(self.port, "GET", path, &[])
    }

    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        ask(self.port, method, path, headers)
    }

    /// The most memory that it has had, in bytes.
    pub fn memory_max(&self) -> u64 {
        let pid = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() << 10
    }

    /// Ends it by a signal.
    #[track_caller]
    pub fn ended(mut self, signal: &str) -> Run {
        let mut child = self.child.take().unwrap();
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        Run::of(child.wait_with_output().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A repository with one snapshot of a small tree, and the address of that.
pub fn small() -> (TestEnvironment, String) {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&source]);
    (env, format!("/snapshots/latest{source}"))
}

#[test]
fn a_browser_walks_from_the_root_to_a_file() {
    let (env, source) = small();
    let served = Served::new(&env, &[]);
    let root = served.get("/").expect(200);
    for shelf in ["snapshots", "hosts", "ids", "versions"] {
        assert!(
            root.text().contains(&format!("<a href=\"./{shelf}/\">")),
            "{shelf}"
        );
    }
    let policy = root.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'"));
    assert!(!root.text().contains("<script"));
    let shelf = served.get("/snapshots/").expect(200);
    assert!(shelf.text().contains("@testhost") && shelf.text().contains("./latest/"));
    let moved = served.get(&source).expect(307);
    assert_eq!(moved.header("location"), Some(&*format!("{source}/")));
    let page = served.get(&format!("{source}/")).expect(200);
    assert!(
        page.text().contains("<a href=\"./a.txt?view\">"),
        "{}",
        page.text()
    );
    assert!(page.text().contains("symbolic link to <bdi>a.txt</bdi>"));
    assert!(page.text().contains("292.969 KiB"), "{}", page.text());
    let view = served.get(&format!("{source}/a.txt?view")).expect(200);
    assert!(view.text().contains("<pre>alpha</pre>"));
    let view = served.get(&format!("{source}/b.bin?view")).expect(200);
    assert!(view.text().contains("000000  "));
    let style = served.get("/style.css").expect(200);
    assert_eq!(
        style.header("content-type"),
        Some("text/css; charset=utf-8")
    );
    let none = served.get(&format!("{source}/absent")).expect(404);
    assert_eq!(none.header("x-content-type-options"), Some("nosniff"));
    served.get("/../etc/passwd").expect(404);
    served.get(&format!("{source}/link")).expect(404);
}

#[test]
fn a_file_is_sent_whole_and_in_parts() {
    let (env, source) = small();
    let served = Served::new(&env, &[]);
    let file = format!("{source}/b.bin");
    let bytes = noise(300_000, 1);
    let whole = served.get(&file).expect(200);
    assert!(whole.body == bytes, "{} bytes", whole.body.len());
    assert_eq!(whole.header("content-length"), Some("300000"));
    assert_eq!(
        whole.header("content-type"),
        Some("application/octet-stream")
    );
    assert!(
        whole
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment; filename=\"b.bin\"")
    );
    let head = served.ask("HEAD", &file, &[]).expect(200);
    assert_eq!(
        (head.header("content-length"), head.body.len()),
        (Some("300000"), 0)
    );
    let tag = whole.header("etag").unwrap();
    served
        .ask("GET", &file, &[("If-None-Match", tag)])
        .expect(304);
    let part = served
        .ask(
            "GET",
            &file,
            &[("Range", "bytes=1000-1999"), ("If-Range", tag)],
        )
        .expect(206);
    assert!(part.body == bytes[1000..2000]);
    assert_eq!(part.header("content-range"), Some("bytes 1000-1999/300000"));
    let end = served
        .ask("GET", &file, &[("Range", "bytes=-5")])
        .expect(206);
    assert!(end.body == bytes[299_995..]);
    let outside = served
        .ask("GET", &file, &[("Range", "bytes=300000-")])
        .expect(416);
    assert_eq!(outside.header("content-range"), Some("bytes */300000"));
    let head = served
        .ask("HEAD", &file, &[("Range", "bytes=0-9")])
        .expect(200);
    assert_eq!(head.header("content-length"), Some("300000"));
    let other = [("If-Match", "\"other\""), ("Range", "bytes=0-9")];
    let refused = served.ask("GET", &file, &other).expect(412);
    assert_eq!(refused.header("etag"), Some(tag));
    // The same content has the same tag in another snapshot.
    env.write("src/more", "more");
    env.backup(&[&env.text("src")]);
    std::thread::sleep(Duration::from_secs(3));
    served.get(&format!("{source}/more")).expect(200);
    assert_eq!(served.get(&file).header("etag"), Some(tag));
}

/// What a backup holds may be of somebody who wants to read the rest.
#[test]
fn nothing_of_a_backup_runs_in_a_browser() {
    let env = TestEnvironment::with_repository();
    let evil = "<script>alert(1)</script>";
    for name in ["a.html", "a.svg", "a.xml", "a.js"] {
        env.write(&format!("src/{name}"), evil);
    }
    env.write("src/pic.png", b"\x89PNG\r\n\x1a\n");
    env.write("src/<script>alert(2)<\u{202e}script>", "x");
    env.backup(&[&env.text("src")]);
    let served = Served::new(&env, &[]);
    let source = format!("/snapshots/latest{}", env.text("src"));
    for name in ["a.html", "a.svg", "a.xml", "a.js"] {
        let raw = served.get(&format!("{source}/{name}")).expect(200);
        assert_eq!(
            raw.header("content-type"),
            Some("text/plain; charset=utf-8"),
            "{name}"
        );
        assert_eq!(raw.header("x-content-type-options"), Some("nosniff"));
        assert!(
            raw.header("content-security-policy")
                .unwrap()
                .starts_with("sandbox; default-src 'none'")
        );
        let view = served.get(&format!("{source}/{name}?view")).expect(200);
        assert!(view.text().contains("&lt;script&gt;alert(1)") && !view.text().contains("<script"));
    }
    let page = served.get(&format!("{source}/")).expect(200).text();
    assert!(
        page.contains("&lt;script&gt;alert(2)&lt;\\u{202e}script&gt;") && !page.contains("<script"),
        "{page}"
    );
    let picture = served.get(&format!("{source}/pic.png")).expect(200);
    assert_eq!(picture.header("content-type"), Some("image/png"));
    assert!(
        served
            .get(&format!("{source}/pic.png?view"))
            .text()
            .contains("<img src=\"./pic.png\"")
    );
}

#[test]
fn names_of_any_bytes_have_an_address() {
    let env = TestEnvironment::with_repository();
    env.write("src/a", "");
    let odd = std::ffi::OsStr::from_bytes(b"b\xff %?#\"\n");
    std::fs::write(env.path("src").join(odd), "odd").unwrap();
    env.backup(&[&env.text("src")]);
    let served = Served::new(&env, &[]);
    let source = format!("/snapshots/latest{}", env.text("src"));
    let address = "b%FF%20%25%3F%23%22%0A";
    let page = served.get(&format!("{source}/")).text();
    assert!(
        page.contains(&format!("href=\"./{address}?view\"")),
        "{page}"
    );
    let file = served
        .get(&format!("{source}/{address}?download"))
        .expect(200);
    assert_eq!(file.text(), "odd");
    let kept = file.header("content-disposition").unwrap();
    assert_eq!(
        kept,
        format!("attachment; filename=\"b_ %?#__\"; filename*=UTF-8''{address}")
    );
    let found = served
        .ask("PROPFIND", &format!("{source}/"), &[("Depth", "1")])
        .expect(207);
    assert!(
        found.text().contains(&format!("/{address}</D:href>")),
        "{}",
        found.text()
    );
}

#[test]
fn a_large_directory_has_several_pages() {
    let env = TestEnvironment::with_repository();
    (0..2500).for_each(|n| drop(env.write(&format!("src/f{n:04}"), "")));
    env.backup(&[&env.text("src")]);
    let served = Served::new(&env, &[]);
    let mut address = format!("/snapshots/latest{}/", env.text("src"));
    let source = address.clone();
    let mut seen = Vec::new();
    loop {
        let page = served.get(&address).expect(200).text();
        seen.push(page.matches("?view\"").count());
        let next = page
            .split_once("<a href=\"?from=")
            .map(|(_, rest)| rest.split('"').next().unwrap().to_owned());
        match next {
            Some(next) => address = format!("{source}?from={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [1000, 1000, 500]);
    let found = served
        .ask("PROPFIND", &source, &[("Depth", "1")])
        .expect(207);
    assert_eq!(found.text().matches("<D:response>").count(), 2501);
}

#[test]
fn a_directory_is_downloaded_as_an_archive() {
    let (env, source) = small();
    let served = Served::new(&env, &[]);
    let tar = served.get(&format!("{source}/?archive=tar")).expect(200);
    assert!(tar.whole, "it has an end");
    assert!(
        tar.header("content-disposition")
            .unwrap()
            .contains("filename=\"src.tar\"")
    );
    std::fs::create_dir(env.path("out")).unwrap();
    std::fs::write(env.path("src.tar"), &tar.body).unwrap();
    let untar = Command::new("tar")
        .args(["-xpf", &env.text("src.tar"), "-C", &env.text("out")])
        .status();
    assert!(untar.unwrap().success());
    assert_same_entries(&env.path("src"), &env.path("out/src"));
    let zip = served.get(&format!("{source}/?archive=zip")).expect(200);
    assert!(zip.body.starts_with(b"PK") && zip.whole);
    let all = served.get("/snapshots/latest/?archive=tar.zst").expect(200);
    assert!(all.body.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) && all.whole);
    assert_eq!(
        served
            .ask("HEAD", &format!("{source}/?archive=zip"), &[])
            .expect(200)
            .body
            .len(),
        0
    );
    served.get(&format!("{source}/?archive=rar")).expect(400);
    served.get("/snapshots/?archive=zip").expect(404);
}

#[test]
fn what_is_damaged_is_no_whole_answer() {
    let (env, source) = small();
    for pack in env.files("repo/data") {
        let pack = env.path("repo/data").join(pack);
        std::fs::remove_file(pack).unwrap();
    }
    let served = Served::new(&env, &["--no-cache"]);
    served.get(&format!("{source}/")).expect(200);
    served.get(&format!("{source}/b.bin")).expect(500);
    let archive = served.get(&format!("{source}/?archive=tar"));
    assert!(archive.status == 200 && !archive.whole, "{archive:?}");
    served.get(&format!("{source}/a.txt?view")).expect(500);
    let run = served.ended("-TERM");
    run.expect(0).says("b.bin").says("error: ");
}

#[test]
fn versions_are_listed_and_compared() {
    let env = TestEnvironment::with_repository();
    env.write("src/a.txt", "one\ntwo\nthree\n");
    env.backup(&[&env.text("src"), "--time", "2024-01-01 12:00:00"]);
    env.write("src/a.txt", "one\n2 < 3\nthree\n");
    env.backup(&[&env.text("src"), "--time", "2024-01-02 12:00:00"]);
    let served = Served::new(&env, &[]);
    let versions = format!("/versions{}/a.txt/", env.text("src"));
    let page = served
        .get(&format!("/snapshots/latest{}/", env.text("src")))
        .text();
    assert!(
        page.contains(&format!("<a href=\"{versions}\">versions</a>")),
        "{page}"
    );
    let page = served.get(&versions).expect(200).text();
    assert!(
        page.contains("first version") && page.contains("changed: content, mtime; "),
        "{page}"
    );
    let (_, compare) = page
        .split_once("<a href=\"./2024-01-02")
        .unwrap()
        .1
        .split_once("<a href=\"./")
        .unwrap();
    let compare = compare.split('"').next().unwrap();
    let page = served
        .get(&format!("{versions}{compare}"))
        .expect(200)
        .text();
    assert!(page.contains("\n-two\n+2 &lt; 3\n"), "{page}");
    served
        .get(&format!(
            "{versions}{}?against=absent",
            compare.split('?').next().unwrap()
        ))
        .expect(404);
}

/// A tree that is lost takes nothing of other snapshots away.
#[test]
fn versions_beside_a_lost_one_are_shown() {
    let env = TestEnvironment::with_repository();
    let mut lost = Vec::new();
    for day in 1..=3 {
        if day == 2 {
            lost = env.files("repo/meta");
        }
        env.write("src/sub/a.txt", "x".repeat(day));
        env.backup(&[
            &env.text("src"),
            "--time",
            &format!("2024-01-0{day} 12:00:00"),
        ]);
        if day == 2 {
            let before = std::mem::replace(&mut lost, env.files("repo/meta"));
            lost.retain(|pack| !before.contains(pack));
        }
    }
    assert!(!lost.is_empty());
    for pack in lost {
        std::fs::remove_file(env.path("repo/meta").join(pack)).unwrap();
    }
    let served = Served::new(&env, &["--no-cache"]);
    let top = format!("/versions{}/sub/", env.text("src"));
    let versions = served.get(&format!("{top}a.txt/")).expect(200).text();
    let of = |day: u32| versions.contains(&format!("<a href=\"./2024-01-0{day}"));
    assert_eq!([1, 2, 3].map(of), [true, false, true], "{versions}");
    let names = served.get(&top).expect(200).text();
    assert!(names.contains("<a href=\"./a.txt/\">"), "{names}");
    // It may have been in the lost one.
    served.get(&format!("{top}absent/")).expect(500);
    let run = served.ended("-TERM");
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains(":/"), "{lines:?}");
    assert!(lines[1].contains("sub/absent"), "{lines:?}");
}

#[test]
fn webdav_reads_and_never_writes() {
    let (env, source) = small();
    let served = Served::new(&env, &[]);
    let options = served.ask("OPTIONS", &source, &[]).expect(200);
    assert_eq!(
        (options.header("dav"), options.header("allow")),
        (Some("1"), Some("OPTIONS, GET, HEAD, PROPFIND"))
    );
    let one = served
        .ask("PROPFIND", &format!("{source}/a.txt"), &[("Depth", "0")])
        .expect(207)
        .text();
    assert!(
        one.contains("<D:getcontentlength>6</D:getcontentlength>"),
        "{one}"
    );
    assert!(one.contains("<D:resourcetype></D:resourcetype>"));
    let all = served
        .ask("PROPFIND", &format!("{source}/"), &[("Depth", "1")])
        .expect(207)
        .text();
    assert!(
        all.contains("<D:collection/>")
            && all.contains("/sub/</D:href>")
            && !all.contains("/link<"),
        "{all}"
    );
    let question =
        "<propfind xmlns=\"DAV:\"><prop><getetag/><quota/><x xmlns=\"urn:y\"/></prop></propfind>";
    let asked = ask_raw(
        served.port,
        "PROPFIND",
        &format!("{source}/a.txt"),
        &[("Depth", "0")],
        question.as_bytes(),
    );
    let text = asked.expect(207).text();
    assert!(
        text.contains("<D:getetag>&quot;") && text.contains("404 Not Found"),
        "{text}"
    );
    assert!(text.contains("<x:x xmlns:x=\"urn:y\"/>"), "{text}");
    let question = "<propfind xmlns=\"DAV:\"><prop/></propfind>";
    let nothing = ask_raw(
        served.port,
        "PROPFIND",
        &format!("{source}/a.txt"),
        &[("Depth", "0")],
        question.as_bytes(),
    );
    let text = nothing.expect(207).text();
    assert!(
        text.contains("<D:propstat><D:prop></D:prop><D:status>HTTP/1.1 200 OK</D:status>"),
        "{text}"
    );
    for depth in ["infinity", "2"] {
        let refused = served.ask("PROPFIND", "/", &[("Depth", depth)]).expect(403);
        assert!(refused.text().contains("propfind-finite-depth"));
    }
    served
        .ask("PROPFIND", "/absent", &[("Depth", "0")])
        .expect(404);
    ask_raw(
        served.port,
        "PROPFIND",
        "/",
        &[("Depth", "0")],
        b"<nonsense",
    )
    .expect(400);
    ask_raw(
        served.port,
        "PROPFIND",
        "/",
        &[("Depth", "0")],
        &vec![b' '; 100_000],
    )
    .expect(413);
    for method in [
        "PUT",
        "DELETE",
        "MKCOL",
        "MOVE",
        "COPY",
        "PROPPATCH",
        "LOCK",
        "POST",
        "PATCH",
    ] {
        let refused = served
            .ask(method, &format!("{source}/new"), &[])
            .expect(405);
        assert_eq!(
            refused.header("allow"),
            Some("OPTIONS, GET, HEAD, PROPFIND")
        );
    }
}

#[test]
fn rclone_copies_a_tree_out_of_it() {
    let (env, source) = small();
    std::fs::remove_file(env.path("src/link")).unwrap();
    if Command::new("rclone")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("skipped: rclone is not installed; scripts/test does that");
        return;
    }
    let token = "a-token-for-rclone-0123456789";
    env.write("token", format!("{token}\n"));
    let served = Served::new(&env, &["--token-file", &env.text("token")]);
    let obscured = Command::new("rclone")
        .args(["obscure", token])
        .output()
        .unwrap();
    let password = String::from_utf8(obscured.stdout).unwrap();
    let remote = format!(
        ":webdav,url='http://localhost:{}',user=any,pass={}:{source}",
        served.port,
        password.trim()
    );
    let copied = Command::new("rclone")
        .args(["copy", "--config", "", &remote, &env.text("out")])
        .env("HOME", env.path("home"))
        .output()
        .unwrap();
    assert!(copied.status.success(), "{copied:?}");
    for name in ["a.txt", "b.bin", "sub/c.txt"] {
        let read = |top: &str| std::fs::read(env.path(top).join(name)).unwrap();
        assert!(read("out") == read("src"), "{name}");
    }
    let put = Command::new("rclone")
        .args([
            "copy",
            "--config",
            "",
            "--retries",
            "1",
            &env.text("token"),
            &remote,
        ])
        .env("HOME", env.path("home"))
        .output()
        .unwrap();
    assert!(!put.status.success());
}

/// As `nc -N` does.
#[test]
fn who_has_nothing_more_to_say_is_answered() {
    let (env, source) = small();
    let served = Served::new(&env, &[]);
    let mut stream = TcpStream::connect(("localhost", served.port)).unwrap();
    let ask = format!("GET {source}/a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nalpha\n"));
}

#[test]
fn other_hosts_are_not_answered_without_a_token() {
    let (env, _) = small();
    let served = Served::new(&env, &[]);
    for host in ["evil.example", "evil.example:80", "10.1.2.3"] {
        served.ask("GET", "/", &[("Host", host)]).expect(421);
    }
    for host in ["localhost", "[::1]:1"] {
        served.ask("GET", "/", &[("Host", host)]).expect(200);
    }
}

#[test]
fn a_token_is_made_where_one_is_needed() {
    let (env, _) = small();
    let served = Served::started(env.command(&["serve", "--listen", "0.0.0.0:0"]), true);
    let link = served.link.clone().unwrap();
    let (_, token) = link.split_once("/?token=").unwrap();
    assert_eq!(token.len(), 32);
    let refused = served.get("/").expect(401);
    assert!(
        refused
            .header("www-authenticate")
            .unwrap()
            .starts_with("Basic ")
    );
    served
        .get("/?token=00000000000000000000000000000000")
        .expect(401);
    let entered = served
        .ask(
            "GET",
            &format!("/hosts/?token={token}"),
            &[("Host", "backup.example")],
        )
        .expect(303);
    assert_eq!(entered.header("location"), Some("/hosts/"));
    let cookie = entered.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains(token));
    let cookie = cookie.split(';').next().unwrap();
    served
        .ask("GET", "/hosts/", &[("Cookie", cookie)])
        .expect(200);
    served
        .ask("GET", "/", &[("Authorization", &format!("Bearer {token}"))])
        .expect(200);
    let run = served.ended("-INT").expect(0);
    assert!(!run.stderr.contains(token));
}

#[test]
fn a_given_token_is_not_shown() {
    let (env, _) = small();
    env.write("token", " 0123456789-secret \n");
    let mut command = env.command(&["serve", "--listen", "localhost:0"]);
    command.env("LARDER_SERVE_TOKEN", "0123456789-secret");
    let served = Served::started(command, false);
    served.get("/").expect(401);
    served
        .ask("GET", "/", &[("Authorization", "Bearer 0123456789-secret")])
        .expect(200);
    env.write("short", "short");
    env.run(&["serve", "--token-file", &env.text("short")])
        .expect(2)
        .says("holds no token");
    let mut empty = env.command(&["serve", "--listen", "localhost:0"]);
    empty.env("LARDER_SERVE_TOKEN", "");
    let ended = empty.output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    env.run(&["serve", "--listen", "nonsense"])
        .expect(2)
        .says("--listen nonsense");
    env.run(&["--json", "serve", "--listen", "0.0.0.0:0"])
        .expect(2)
        .says("with --json no token is shown");
    let taken = format!("localhost:{}", served.port);
    env.run(&["serve", "--listen", &taken])
        .expect(1)
        .says("cannot listen on");
}

#[test]
fn programs_are_told_where_it_is() {
    let (env, _) = small();
    let mut child = env.start(&["--json", "serve", "--listen", "localhost:0"]);
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    let served = Served {
        child: Some(child),
        port: 0,
        link: None,
    };
    let message: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(message["message_type"], "serving");
    assert_eq!(message["token"], false);
    let address = message["address"].as_str().unwrap();
    let port = address.trim_end_matches('/').rsplit(':').next().unwrap();
    ask(port.parse().unwrap(), "GET", "/", &[]).expect(200);
    served.ended("-TERM").expect(0);
}

/// Also while somebody has begun to ask, and somebody else takes nothing of a long answer.
#[test]
fn a_signal_ends_it() {
    let env = TestEnvironment::with_repository();
    env.write("src/long", noise(30 << 20, 3));
    env.backup(&[&env.text("src")]);
    for signal in ["-TERM", "-INT"] {
        let served = Served::new(&env, &[]);
        let mut silent = TcpStream::connect(("localhost", served.port)).unwrap();
        silent.write_all(b"GET / HT").unwrap();
        let mut slow = TcpStream::connect(("localhost", served.port)).unwrap();
        let ask = format!(
            "GET /snapshots/latest{}/long HTTP/1.1\r\nHost: localhost\r\n\r\n",
            env.text("src")
        );
        slow.write_all(ask.as_bytes()).unwrap();
        slow.read_exact(&mut [0; 1000]).unwrap();
        let begun = Instant::now();
        served.ended(signal).expect(0);
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn many_ask_at_once() {
    let (env, source) = small();
    let served = Served::new(&env, &[]);
    let bytes = noise(300_000, 1);
    std::thread::scope(|scope| {
        for _ in 0..60 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert!(served.get(&format!("{source}/b.bin")).expect(200).body == bytes);
                    served.get(&format!("{source}/")).expect(200);
                }
            });
        }
    });
}

#[test]
fn new_snapshots_appear() {
    let (env, _) = small();
    let served = Served::new(&env, &[]);
    let count = |served: &Served| served.get("/ids/").text().matches("@testhost").count();
    assert_eq!(count(&served), 1);
    env.backup(&[&env.text("src")]);
    let begun = Instant::now();
    while count(&served) != 2 {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The program of a headless Chromium, if there is one; says so if not.
fn chromium() -> Option<&'static str> {
    let names = [
        "chromium-headless-shell",
        "chromium",
        "/usr/lib/chromium/chromium-headless-shell",
    ];
    let found = names.into_iter().find(|name| {
        let version = Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        version.is_ok_and(|status| status.success())
    });
    if found.is_none() {
        eprintln!("skipped: no chromium");
    }
    found
}

/// What a browser makes of a page.
fn shown_by(chromium: &str, home: &Path, address: &str) -> String {
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--dump-dom",
            "--timeout=20000",
        ])
        .arg(format!(
            "--user-data-dir={}",
            home.join("chromium").display()
        ))
        .arg(address)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_real_browser_shows_it_and_runs_nothing_of_it() {
    let Some(chromium) = chromium() else { return };
    let env = TestEnvironment::with_repository();
    let evil = "<svg xmlns='http://www.w3.org/2000/svg'><script>document.documentElement.setAttribute('ran', 'yes')</script></svg>";
    env.write("src/evil.svg", evil);
    env.write("src/evil.html", "<script>document.title = 'ran'</script>");
    env.backup(&[&env.text("src")]);
    let served = Served::new(&env, &[]);
    let top = format!("http://localhost:{}", served.port);
    let home = env.path("home");
    let root = shown_by(chromium, &home, &format!("{top}/"));
    assert!(root.contains("<bdi>snapshots</bdi>"), "{root}");
    let page = shown_by(
        chromium,
        &home,
        &format!("{top}/snapshots/latest{}/", env.text("src")),
    );
    assert!(
        page.contains("<bdi>evil.svg</bdi>") && page.contains("<tbody>"),
        "{page}"
    );
    for name in ["evil.svg", "evil.html"] {
        let raw = shown_by(
            chromium,
            &home,
            &format!("{top}/snapshots/latest{}/{name}", env.text("src")),
        );
        assert!(raw.contains("&lt;script&gt;"), "{name} is text: {raw}");
        assert!(
            !raw.contains("ran=\"yes\"") && !raw.contains("<title>ran"),
            "{raw}"
        );
    }
}
