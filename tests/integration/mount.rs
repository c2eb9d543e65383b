//! `mount`: snapshots as directories, for other programs to look into. Where nothing can be mounted, a test says so and ends.

use crate::environment::{Run, TestEnvironment, assert_same_tree, noise};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mount on `mnt`, which is ended when it is dropped.
pub struct Mounted<'e> {
    env: &'e TestEnvironment,
    child: Option<Child>,
}

impl<'e> Mounted<'e> {
    /// Mounts with these arguments, once the directory shows something. `None`, with a word about it, where that cannot be.
    pub fn new(env: &'e TestEnvironment, arguments: &[&str]) -> Option<Self> {
        let point = env.text("mnt");
        std::fs::create_dir_all(&point).unwrap();
        Self::by(env, env.command(&[&["mount", &point], arguments].concat()))
    }

    /// The same by a command of the caller's.
    pub fn by(env: &'e TestEnvironment, mut command: Command) -> Option<Self> {
        if !Path::new("/dev/fuse").exists() {
            eprintln!("skipped: no /dev/fuse");
            return None;
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        if !first.contains(" mounted on ") {
            let run = Run::of(child.wait_with_output().unwrap());
            let refused = ["cannot be mounted on", "cannot be overlaid"];
            let refused = run.code == 1 && refused.iter().any(|text| run.stderr.contains(text));
            assert!(refused, "{run:#?}");
            eprintln!("skipped: no /dev/fuse that may be used: {}", run.stderr);
            return None;
        }
        let child = Some(child);
        Some(Self { env, child })
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.env.path("mnt").join(name)
    }

    /// What a script of the shell prints, in the mount.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(self.path(""));
        let run = Run::of(command.output().unwrap());
        run.expect(0).stdout
    }

    /// The names in a directory.
    pub fn names(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Waits until it ends by itself, and gives how.
    pub fn ended(mut self) -> Run {
        let mut child = self.child.take().unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        Run::of(child.wait_with_output().unwrap())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Sends a signal and waits for the end.
    pub fn signalled(self, signal: &str) -> Run {
        self.signal(signal);
        self.ended()
    }

    /// Unmounts it as users do.
    pub fn unmounted(self) -> Run {
        let point = self.path("");
        let as_root = Command::new("umount").arg(&point).output().unwrap();
        if !as_root.status.success() {
            let as_user = Command::new("fusermount3").arg("-u").arg(&point).status();
            assert!(as_user.unwrap().success(), "{as_root:?}");
        }
        self.ended()
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("umount").arg("-l").arg(self.path("")).output();
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A mount, or the end of the test.
macro_rules! mounted {
    ($env:expr $(, $argument:expr)*) => {
        match Mounted::new($env, &[$($argument),*]) {
            Some(mounted) => mounted,
            None => return,
        }
    };
}
pub(crate) use mounted;

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a program is there; says so if not.
pub fn has(program: &str) -> bool {
    let there = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if there.is_err() {
        eprintln!("skipped: no {program}");
    }
    there.is_ok()
}

/// Backs `src` up at that time.
pub fn backup_at(env: &TestEnvironment, time: &str, more: &[&str]) -> String {
    let source = env.text("src");
    env.backup(&[&[source.as_str(), "--time", time], more].concat())
}

pub const NIGHT: &str = "2026-01-02 03:04:05";

/// Where `src` is in that snapshot.
pub fn in_night(env: &TestEnvironment) -> String {
    format!("snapshots/2026-01-02T03:04:05Z{}", env.text("src"))
}

#[test]
fn files_are_what_they_were() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    env.write("src/empty", "");
    env.write("src/big", noise(9_000_000, 3));
    let holes = std::fs::File::create(env.path("src/holes")).unwrap();
    holes.set_len(5_000_000).unwrap();
    holes.write_all_at(&noise(9_000, 1), 1 << 20).unwrap();
    std::fs::hard_link(env.path("src/b.bin"), env.path("src/sub/z.bin")).unwrap();
    let tight = std::fs::Permissions::from_mode(0o4750);
    std::fs::set_permissions(env.path("src/a.txt"), tight).unwrap();
    for number in 0..3_000 {
        env.write(&format!("src/many/{number}"), noise(number % 500, 7));
    }
    backup_at(&env, NIGHT, &[]);
    let mounted = mounted!(&env);
    let there = mounted.path(&in_night(&env));
    assert_same_tree(&env.path("src"), &there);
    let (first, second) = (there.join("b.bin"), there.join("sub/z.bin"));
    let [first, second] = [first, second].map(|path| path.metadata().unwrap());
    assert_eq!((first.nlink(), first.ino()), (2, second.ino()));
    let holes = there.join("holes").metadata().unwrap();
    assert!(holes.blocks() * 512 < 100_000, "{holes:?}");
    assert_eq!(
        mounted
            .shell("find ids hosts -type f | grep -c /many/")
            .trim(),
        "6000"
    );
    // Copies have links and holes again.
    let to = env.text("copy");
    mounted.shell(&format!("cp -a '{}' '{to}'", there.display()));
    assert_same_tree(&env.path("src"), Path::new(&to));
    let copied = Path::new(&to).join("holes").metadata().unwrap();
    assert!(copied.blocks() * 512 < 1_000_000, "{copied:?}");
    assert_eq!(Path::new(&to).join("b.bin").metadata().unwrap().nlink(), 2);
    assert_eq!(mounted.unmounted().expect(0).stderr, "");
}

#[test]
fn rsync_finds_no_difference() {
    if !has("rsync") {
        return;
    }
    let env = TestEnvironment::with_repository();
    env.write_source();
    backup_at(&env, NIGHT, &[]);
    let mounted = mounted!(&env);
    let script = format!(
        "rsync -aHcni --delete '{}/' '{}/'",
        env.text("src"),
        mounted.path(&in_night(&env)).display()
    );
    assert_eq!(mounted.shell(&script), "");
}

#[test]
fn attributes_and_access_control_lists_are_there() {
    if !has("setfattr") || !has("setfacl") {
        return;
    }
    let env = TestEnvironment::with_repository();
    env.write_source();
    let set = "setfattr -n user.colour -v green a.txt && setfacl -m u:12345:rw a.txt && setfacl -d -m g:54321:r sub";
    let mut command = Command::new("sh");
    command.args(["-ec", set]).current_dir(env.path("src"));
    if !command.status().unwrap().success() {
        eprintln!("skipped: no extended attributes in {:?}", env.path("src"));
        return;
    }
    if is_root() {
        let script = "mknod dev c 1 3; mkfifo fifo";
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(env.path("src"));
        assert!(command.status().unwrap().success());
    }
    backup_at(&env, NIGHT, &[]);
    let mounted = mounted!(&env);
    let there = mounted.path(&in_night(&env));
    let looked = |dir: &Path| {
        let look = "getfattr -d -m '^user' . * sub/*; getfacl . * sub/*; stat -c '%n %f %u %g %t:%T %h %Y' *";
        let script = format!("cd '{}'; {look}", dir.display());
        mounted.shell(&script)
    };
    let shown = looked(&there);
    assert_eq!(shown, looked(&env.path("src")));
    for expected in [
        "user.colour=\"green\"",
        "user:12345:rw-",
        "default:group:54321:r--",
    ] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
}

#[test]
fn snapshots_stand_by_time_host_tag_and_label() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    let first = backup_at(&env, NIGHT, &["--tag", "a", "--tag", "b"]);
    let more = ["--host", "other", "--label", "nightly"];
    let second = backup_at(&env, "2026-01-03 00:00:00", &more);
    // The environment names a host.
    let mounted = mounted!(&env, "--host", "");
    let (old, new) = ("2026-01-02T03:04:05Z", "2026-01-03T00:00:00Z");
    for (dir, expected) in [
        (
            "",
            vec!["hosts", "ids", "labels", "snapshots", "tags", "versions"],
        ),
        ("snapshots", vec![old, new, "latest"]),
        ("hosts", vec!["other", "testhost"]),
        ("hosts/testhost", vec![old, "latest"]),
        ("tags", vec!["a", "b"]),
        ("tags/b", vec![old, "latest"]),
        ("labels/nightly", vec![new, "latest"]),
    ] {
        assert_eq!(mounted.names(dir), expected, "{dir}");
    }
    let mut ids = [&first[..8], &second[..8]];
    ids.sort();
    assert_eq!(mounted.names("ids"), ids);
    let latest = std::fs::read_link(mounted.path("snapshots/latest")).unwrap();
    assert_eq!(latest, Path::new(new));
    assert!(!mounted.path("snapshots/absent").exists());
    drop(mounted);
    let mounted = mounted!(
        &env,
        "--host",
        "other",
        "--path-template",
        "%u/%T/%I",
        "--time-template",
        "2006/Jan"
    );
    let root = mounted.names("");
    assert_eq!(root.len(), 2, "{root:?}");
    let below = mounted
        .shell("find . -maxdepth 4 -mindepth 4 -path '*/2026/Jan/*' -not -path './versions/*'");
    assert!(
        below.trim().ends_with(&format!("/2026/Jan/{second}")),
        "{below}"
    );
}

#[test]
fn new_snapshots_appear_and_forgotten_ones_go() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    let first = backup_at(&env, NIGHT, &[]);
    let mounted = mounted!(&env);
    assert_eq!(mounted.names("ids"), [&first[..8]]);
    env.write("src/new", "new\n");
    let second = backup_at(&env, "2026-01-03 00:00:00", &["--tag", "x"]);
    let until = |shown: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !shown() {
            assert!(begun.elapsed() < PATIENCE, "{:?}", mounted.names("ids"));
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    until(&|| mounted.names("ids").len() == 2);
    let new = format!("snapshots/latest{}/new", env.text("src"));
    until(&|| std::fs::read(mounted.path(&new)).is_ok_and(|read| read == b"new\n"));
    assert_eq!(mounted.names("tags"), ["x"]);
    env.ok(&["forget", &first]);
    until(&|| mounted.names("ids") == [&second[..8]]);
    assert!(!mounted.path("snapshots/2026-01-02T03:04:05Z").exists());
}

#[test]
fn each_version_is_there_once() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    let versions = |mounted: &Mounted<'_>, name: &str| {
        mounted.names(&format!("versions{}{name}", env.text("src")))
    };
    for (day, content) in [
        (1, None),
        (2, Some("two\n")),
        (3, None),
        (4, Some("four\n")),
    ] {
        if let Some(content) = content {
            env.write("src/sub/c.txt", content);
        }
        backup_at(&env, &format!("2026-01-0{day} 00:00:00"), &[]);
    }
    let mounted = mounted!(&env);
    let day = |day: u32| format!("2026-01-0{day}T00:00:00Z");
    assert_eq!(versions(&mounted, "/sub/c.txt"), [day(1), day(2), day(4)]);
    assert_eq!(versions(&mounted, "/a.txt"), [day(1)]);
    let mut below = vec![day(1), day(2), day(4)];
    below.push("c.txt".into());
    assert_eq!(versions(&mounted, "/sub"), below);
    let at = |name: &str| mounted.path(&format!("versions{}{name}", env.text("src")));
    let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
    assert_eq!(read(&format!("/sub/c.txt/{}", day(1))), "gamma\n");
    assert_eq!(read(&format!("/sub/c.txt/{}", day(4))), "four\n");
    assert_eq!(read(&format!("/sub/{}/c.txt", day(2))), "two\n");
    assert!(!at("/absent").exists());
}

#[test]
fn versions_of_others_stand_beside_a_lost_one() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    let day = |day: u32| format!("2026-01-0{day}T00:00:00Z");
    let mut packs = Vec::new();
    for day in 1..=3 {
        env.write("src/sub/c.txt", "x".repeat(day));
        backup_at(&env, &format!("2026-01-0{day} 00:00:00"), &[]);
        packs.push(env.files("repo/meta"));
    }
    for pack in packs[1].iter().filter(|pack| !packs[0].contains(pack)) {
        std::fs::remove_file(env.path("repo/meta").join(pack)).unwrap();
    }
    let mounted = mounted!(&env, "--no-cache");
    let at = |name: &str| format!("versions{}{name}", env.text("src"));
    assert_eq!(mounted.names(&at("/sub/c.txt")), [day(1), day(3)]);
    assert_eq!(
        mounted.names(&at("/sub")),
        [day(1), day(3), "c.txt".to_owned()]
    );
    let absent = std::fs::metadata(mounted.path(&at("/absent"))).unwrap_err();
    assert_eq!(absent.raw_os_error(), Some(5), "the lost one may have it");
    let said = mounted.unmounted().expect(0).stderr;
    assert!(
        said.starts_with("error: ") && said.contains(":/: "),
        "{said}"
    );
}

#[test]
fn what_is_damaged_is_an_error_of_input_and_named() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    backup_at(&env, NIGHT, &[]);
    let mounted = mounted!(&env);
    let file = mounted.path(&format!("{}/b.bin", in_night(&env)));
    assert!(file.metadata().is_ok());
    // A pack goes missing under the mount.
    for pack in env.files("repo/data") {
        std::fs::remove_file(env.path("repo/data").join(pack)).unwrap();
    }
    let failed = std::fs::read(&file).unwrap_err();
    assert_eq!(failed.raw_os_error(), Some(5), "{failed}");
    assert!(file.metadata().is_ok(), "it is still there");
    let said = mounted.unmounted().expect(0).stderr;
    let line = said.lines().find(|line| line.contains("/b.bin"));
    let line = line.unwrap_or_else(|| panic!("{said}"));
    assert!(
        line.starts_with("error: ") && line.contains("is missing"),
        "{line}"
    );
}

#[test]
fn what_a_prune_moves_is_found_again() {
    let env = TestEnvironment::with_repository();
    env.write("src/keep", noise(3_000_000, 1));
    env.write("src/go", noise(3_000_000, 2));
    let first = backup_at(&env, NIGHT, &[]);
    std::fs::remove_file(env.path("src/go")).unwrap();
    let second = backup_at(&env, "2026-01-03 00:00:00", &[]);
    let mounted = mounted!(&env);
    let kept = mounted.path(&format!("ids/{}{}/keep", &second[..8], env.text("src")));
    assert_eq!(kept.metadata().unwrap().len(), 3_000_000);
    env.ok(&[
        "forget",
        &first,
        "--prune",
        "--max-unused",
        "0",
        "--grace",
        "0s",
    ]);
    assert!(std::fs::read(&kept).unwrap() == noise(3_000_000, 1));
    assert_eq!(mounted.unmounted().expect(0).stderr, "");
}

#[test]
fn owners_and_permissions_are_as_asked() {
    if !is_root() {
        eprintln!("skipped: not root");
        return;
    }
    let env = TestEnvironment::with_repository();
    env.write_source();
    std::os::unix::fs::chown(env.path("src/a.txt"), Some(1234), Some(4321)).unwrap();
    let tight = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(env.path("src/a.txt"), tight).unwrap();
    backup_at(&env, NIGHT, &[]);
    // Others must get to the mount at all.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(env.path(""), open).unwrap();
    let owner = |mounted: &Mounted<'_>| {
        let file = mounted.path(&format!("{}/a.txt", in_night(&env)));
        let found = file.metadata().unwrap();
        (found.uid(), found.gid())
    };
    let other_reads = |mounted: &Mounted<'_>| {
        let file = mounted.path(&format!("{}/a.txt", in_night(&env)));
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"]);
        command.arg(file).output().unwrap().status.success()
    };
    let mounted = mounted!(&env);
    assert_eq!(owner(&mounted), (1234, 4321));
    assert!(!other_reads(&mounted));
    drop(mounted);
    let mounted = mounted!(&env, "--allow-other", "--owner-root");
    assert_eq!(owner(&mounted), (0, 0));
    assert!(!other_reads(&mounted));
    drop(mounted);
    let mounted = mounted!(&env, "--allow-other", "--no-default-permissions");
    assert!(other_reads(&mounted));
}
