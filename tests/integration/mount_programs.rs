//! Programs at work on a `mount`: a database that starts from last night's state, readers by chance and in order, and who is not root.

use crate::environment::{Run, TestEnvironment, assert_same_tree, noise};
use crate::mount::{Mounted, NIGHT, backup_at, has, in_night, is_root, mounted};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The user `nobody`, which every system has.
const NOBODY: u32 = 65534;

/// A command as that user, in this directory.
fn as_nobody(dir: &Path, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(program)
        .current_dir(dir)
        .env("HOME", dir)
        .env("LC_ALL", "C");
    command
}

/// Where the programs of the newest PostgreSQL are; says so if there is none.
fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter();
    let versions = versions.flatten().flatten().map(|version| version.path());
    let programs = versions.map(|version| version.join("bin"));
    let newest = programs.filter(|dir| dir.join("initdb").exists()).max();
    if newest.is_none() {
        eprintln!("skipped: no PostgreSQL");
    }
    newest
}

/// A PostgreSQL that listens on a socket in `sockets` alone.
struct Database<'e> {
    programs: &'e Path,
    sockets: &'e Path,
}

impl Database<'_> {
    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = as_nobody(self.sockets, &self.programs.join(program));
        command.args(arguments).stdin(Stdio::null());
        Run::of(command.output().unwrap()).expect(0).stdout
    }

    #[track_caller]
    fn control(&self, data: &str, arguments: &[&str]) {
        let sockets = self.sockets.display();
        let options = format!("-k {sockets} -c listen_addresses='' -c shared_buffers=1MB");
        let log = format!("{sockets}/log");
        let fixed = ["-w", "-s", "-D", data, "-l", &log, "-o", &options];
        self.run("pg_ctl", &[arguments, &fixed].concat());
    }

    #[track_caller]
    fn ask(&self, question: &str) -> String {
        let sockets = self.sockets.to_str().unwrap();
        let asked = [
            "-h", sockets, "-U", "larder", "-d", "postgres", "-qAtc", question,
        ];
        self.run("psql", &asked).trim().to_owned()
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // The lock of its socket begins with the number of its process; it goes when that ends.
        let lock = std::fs::read_to_string(self.sockets.join(".s.PGSQL.5432.lock"));
        if let Some(pid) = lock.unwrap_or_default().lines().next() {
            let _ = Command::new("kill").args(["-QUIT", pid]).status();
        }
    }
}

#[test]
fn a_database_starts_from_last_night() {
    let Some(programs) = postgres().filter(|_| is_root()) else {
        return;
    };
    let env = TestEnvironment::with_repository();
    let open = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(env.path(""), open).unwrap();
    for name in ["src", "sockets"] {
        std::fs::create_dir(env.path(name)).unwrap();
        chown(env.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let (data, overlaid) = (env.text("src"), env.text("mnt"));
    let sockets = env.path("sockets");
    let database = Database {
        programs: &programs,
        sockets: &sockets,
    };
    let made = ["-D", &data, "-A", "trust", "-U", "larder", "--no-sync"];
    database.run("initdb", &made);
    database.control(&data, &["start"]);
    database.ask("create table sold as select generate_series(1, 1000) as number");
    // As if the machine had failed: what was written last is in its log alone.
    database.control(&data, &["stop", "-m", "immediate"]);
    backup_at(&env, NIGHT, &[]);
    let folder = format!("latest:{data}");
    let mounted = mounted!(&env, &folder, "--overlay", "--scratch", &env.text(""));
    database.control(&overlaid, &["start"]);
    assert_eq!(database.ask("select count(*) from sold"), "1000");
    database.ask("insert into sold select generate_series(1001, 3000); checkpoint");
    assert_eq!(database.ask("select count(*) from sold"), "3000");
    database.control(&overlaid, &["stop", "-m", "fast"]);
    assert_eq!(mounted.unmounted().expect(0).stderr, "");
    // All of that vanished.
    let mounted = mounted!(&env);
    assert_same_tree(&env.path("src"), &mounted.path(&in_night(&env)));
}

#[test]
fn others_than_root_replace_files_of_an_overlay() {
    if !is_root() || !has("setpriv") {
        return;
    }
    let env = TestEnvironment::with_repository();
    env.write_source();
    let open = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(env.path(""), open).unwrap();
    let source = env.path("src");
    let owned = Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(&source)
        .status();
    assert!(owned.unwrap().success());
    backup_at(&env, NIGHT, &[]);
    let folder = format!("latest:{}", source.display());
    let mounted = mounted!(&env, &folder, "--overlay", "--scratch", &env.text(""));
    // As who wants a file to be old or new, and nothing between, whatever happens.
    let replace = "echo new >tmp && : >>a.txt && mv -T tmp a.txt && cat a.txt";
    let mut command = as_nobody(&mounted.path(""), Path::new("sh"));
    let run = Run::of(command.args(["-ec", replace]).output().unwrap());
    assert_eq!(run.expect(0).stdout, "new\n");
    assert_eq!(mounted.unmounted().expect(0).stderr, "");
}

#[test]
fn fio_reads_what_it_wrote() {
    if !has("fio") {
        return;
    }
    let env = TestEnvironment::with_repository();
    std::fs::create_dir(env.path("src")).unwrap();
    let fio = |file: &Path, more: &[&str]| {
        let mut command = Command::new("fio");
        let fixed = [
            "--name=image",
            "--size=24M",
            "--bs=4k",
            "--verify=crc32c",
            "--output-format=json",
        ];
        command
            .args(fixed)
            .args(more)
            .arg(format!("--filename={}", file.display()))
            .current_dir(env.path("home"));
        let done = Run::of(command.output().unwrap()).expect(0);
        let from = done.stdout.find('{').unwrap();
        let told: serde_json::Value = serde_json::from_str(&done.stdout[from..]).unwrap();
        told["jobs"][0].clone()
    };
    fio(&env.path("src/image"), &["--rw=write", "--do_verify=0"]);
    let id = backup_at(&env, NIGHT, &[]);
    let mounted = mounted!(&env);
    // Colons separate the names of files.
    let image = mounted.path(&format!("ids/{}{}/image", &id[..8], env.text("src")));
    // Each block says where it belongs and what it must hold.
    let told = fio(&image, &["--readonly", "--rw=randread"]);
    assert_eq!(told["error"], 0, "{told}");
    assert_eq!(told["read"]["total_ios"], 24 * 256, "{told}");
    assert_eq!(mounted.unmounted().expect(0).stderr, "");
}

#[test]
fn short_files_are_right_in_whatever_order_they_are_read() {
    let env = TestEnvironment::with_repository();
    let content = |number: usize| noise(100 + 37 * number, number as u64);
    let mut names = Vec::new();
    for number in 0..600 {
        let name = format!("{}/{number:03}", number / 200);
        let file = env.write(&format!("src/{name}"), content(number));
        names.push((name.clone(), number));
        // Names of one file next to each other: pages of what is read are not given once more.
        if number % 5 == 0 {
            std::fs::hard_link(&file, file.with_extension("again")).unwrap();
            names.push((format!("{name}.again"), number));
        }
    }
    backup_at(&env, NIGHT, &[]);
    let mounted = mounted!(&env);
    let there = mounted.path(&in_night(&env));
    let count = names.len();
    let orders: [&(dyn Fn(usize) -> usize + Sync); 5] = [
        &|at| at,
        &|at| at,
        &|at| count - 1 - at,
        &|at| at * 7 % count,
        &|at| (at + count / 2) % count,
    ];
    std::thread::scope(|scope| {
        for order in orders {
            let (names, there) = (&names, &there);
            scope.spawn(move || {
                for at in 0..count {
                    let (name, number) = &names[order(at)];
                    let read = std::fs::read(there.join(name)).unwrap();
                    assert!(read == content(*number), "{name}");
                }
            });
        }
    });
    assert_eq!(mounted.unmounted().expect(0).stderr, "");
}

#[test]
fn who_detaches_it_while_it_is_read_ends_it() {
    let env = TestEnvironment::with_repository();
    for number in 0..200u64 {
        env.write(&format!("src/{number}"), noise(20_000, number));
    }
    backup_at(&env, NIGHT, &[]);
    let mounted = mounted!(&env);
    let there = mounted.path(&in_night(&env));
    let script = format!(
        "while cat '{}'/* >/dev/null 2>&1; do :; done",
        there.display()
    );
    let mut reader = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    mounted.shell("cd /; umount -l \"$OLDPWD\" || fusermount3 -u -z \"$OLDPWD\"");
    reader.wait().unwrap();
    let run = mounted.ended().expect(0);
    assert_eq!(run.stderr, "");
    assert_eq!(std::fs::read_dir(env.path("mnt")).unwrap().count(), 0);
}

#[test]
fn who_is_not_root_ends_it_even_if_it_is_in_use() {
    let env = TestEnvironment::with_repository();
    let larder = env.command(&["mount", &env.text("mnt")]);
    let program = PathBuf::from(larder.get_program());
    let tried = as_nobody(Path::new("/"), &program).arg("version").output();
    if !is_root() || !tried.is_ok_and(|tried| tried.status.success()) {
        eprintln!("skipped: the program cannot be run as nobody");
        return;
    }
    env.write_source();
    backup_at(&env, NIGHT, &[]);
    std::fs::create_dir(env.path("mnt")).unwrap();
    let owned = Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(env.path(""))
        .status();
    assert!(owned.unwrap().success());
    let mut command = as_nobody(&env.path(""), &program);
    command.args(larder.get_args()).env_clear();
    for (name, value) in larder.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let Some(mounted) = Mounted::by(&env, command) else {
        return;
    };
    // Nobody but that user may look, not even root.
    let reader = as_nobody(Path::new("/"), Path::new("sh"))
        .arg("-c")
        .arg(format!(
            "exec <'{}/{}/a.txt' && echo open && exec sleep 30",
            env.text("mnt"),
            in_night(&env)
        ))
        .stdout(Stdio::piped())
        .spawn();
    let mut reader = reader.unwrap();
    let mut open = String::new();
    let mut out = BufReader::new(reader.stdout.take().unwrap());
    out.read_line(&mut open).unwrap();
    assert_eq!(open, "open\n");
    let run = mounted.signalled("-INT").expect(0);
    run.says("was still in use");
    assert_eq!(std::fs::read_dir(env.path("mnt")).unwrap().count(), 0);
    reader.kill().unwrap();
    reader.wait().unwrap();
}
