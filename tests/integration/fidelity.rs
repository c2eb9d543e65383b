//! A tree with one of everything comes back as it was: fresh, over a changed tree, after every kind of change, as root and
//! not as root.

mod look;
mod tree;

use crate::environment::{Run, TestEnvironment};
use look::{assert_same, look};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use tree::{Maker, is_root};

/// A user and group without rights.
const NOBODY: u32 = 65_534;

/// A place where a user backs up and restores.
struct Stage {
    env: TestEnvironment,
    /// Whether it is another user than the one who runs the test.
    as_nobody: bool,
}

impl Stage {
    fn new(as_nobody: bool) -> Self {
        let stage = Self {
            env: TestEnvironment::new(),
            as_nobody,
        };
        if as_nobody {
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(stage.env.path(""), open).unwrap();
            stage.give_away(&stage.env.path("home"));
            stage.give_away(&stage.env.path(""));
        }
        stage.run(&["init", "--new-key-file", &stage.env.text("key")]);
        stage.by_user(|| std::fs::create_dir(stage.env.path("src")).unwrap());
        stage
    }

    /// Makes a whole tree, or one entry, somebody else's.
    fn give_away(&self, path: &Path) {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }

    /// Does something in a process of the user, so that what it makes is theirs.
    fn by_user(&self, work: impl FnOnce() + Send) {
        if !self.as_nobody {
            return work();
        }
        // On Linux a thread has a user of its own, if it asks the kernel itself.
        std::thread::scope(|scope| {
            let user = scope.spawn(|| {
                use rustix::process::{Gid, Uid};
                rustix::thread::set_thread_groups(&[]).unwrap();
                let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
                rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
                rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
                work();
            });
            user.join().unwrap();
        });
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.env.command(arguments);
        if self.as_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
        Run::of(command.output().unwrap()).expect(0)
    }

    fn change(&self, name: &str, change: impl FnOnce(&Maker<'_>) + Send) {
        let root = self.env.path(name);
        let as_root = is_root() && !self.as_nobody;
        self.by_user(|| {
            change(&Maker {
                root: &root,
                as_root,
            })
        });
    }

    fn back_up(&self) {
        self.run(&["backup", &self.env.text("src")]);
    }

    #[track_caller]
    fn restore(&self, target: &str, flags: &[&str], case: &str) {
        let what = format!("latest:{}", self.env.text("src"));
        let arguments = [&["restore", &what, "--target", target], flags].concat();
        let is_new = !self.env.path(target).exists();
        self.run(&arguments);
        let [mut source, mut target] = ["src", target].map(|name| look(&self.env.path(name)));
        if !is_new {
            // A target that was there keeps its own attributes.
            source.remove(Path::new(""));
            target.remove(Path::new(""));
        }
        assert_same(&source, &target, case);
    }
}

/// Restores everything in every way.
fn everything_comes_back(as_nobody: bool) {
    let stage = Stage::new(as_nobody);
    stage.change("src", |maker| maker.make());
    stage.back_up();
    stage.restore("out", &[], "fresh");
    stage.restore("out", &["--delete", "--verify"], "over the same");
    stage.change("out", |maker| maker.spoil());
    stage.restore("out", &["--delete"], "over a changed tree");
    stage.change("out", |maker| maker.spoil());
    let compared = ["--delete", "--overwrite", "if-changed", "--verify"];
    stage.restore("out", &compared, "over a changed tree, believing times");
    stage.change("src", |maker| maker.go_on());
    stage.back_up();
    stage.restore("out", &["--delete"], "over the last version");
    stage.restore("new", &["--verify"], "the next version, fresh");
    stage.change("new", |maker| {
        std::fs::write(maker.at("plain/large"), b"").unwrap();
    });
    stage.restore("new", &[], "one file");
}

#[test]
fn everything_comes_back_to_whoever_runs_this() {
    everything_comes_back(false);
}

#[test]
fn everything_comes_back_to_a_user_without_rights() {
    if is_root() {
        everything_comes_back(true);
    }
}

/// GNU tar unpacks what `dump` writes, with everything that a tar can hold.
#[test]
fn everything_comes_out_of_an_archive() {
    let stage = Stage::new(false);
    stage.change("src", |maker| maker.make());
    // No tar holds sockets, and none unpacks paths that are longer than the system takes.
    let src = stage.env.path("src");
    std::fs::remove_file(src.join("specials/socket")).unwrap();
    std::fs::remove_dir_all(src.join("deep")).unwrap();
    // GNU tar 1.34 loses the sign of a time within the second before 1970.
    stage.change("src", |maker| {
        maker.touch("plain/before-1970", -86_400, 123_456_789)
    });
    stage.back_up();
    let what = format!("latest:{}", src.display());
    let mut source = look(&src);
    // The folder itself is where it is unpacked.
    source.remove(Path::new(""));
    for (form, unpack) in [("tar", "cat"), ("tar.zst", "zstd -dc")] {
        let script = format!(
            "mkdir {form}; \"$@\" | {unpack} | tar -xPp --warning=no-timestamp --xattrs --xattrs-include='*' --acls --numeric-owner -C {form} -f -"
        );
        let run = stage
            .env
            .run_by_shell(&script, &["dump", &what, "/", "-a", form]);
        assert_eq!(run.expect(0).stderr, "", "{form}");
        let mut target = look(&stage.env.path(form));
        target.remove(Path::new(""));
        assert_same(&source, &target, form);
    }
}
