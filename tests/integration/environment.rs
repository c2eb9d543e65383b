//! A place of its own for a test: directories, a clean environment, and the program in it.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_repo-under-test");

/// A temporary directory with a home, and a repository's place in it that the program finds by itself.
pub struct TestEnvironment {
    root: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl TestEnvironment {
    /// An environment without a repository.
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("home")).unwrap();
        Self { root }
    }

    /// An environment with a new repository that the key file `key` opens: that takes no time, a password does.
    pub fn with_repository() -> Self {
        let env = Self::new();
        let key = env.text("key");
        env.ok(&["init", "--new-key-file", &key]);
        env
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a file in it, with its directories.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A small tree to back up, `src`.
    pub fn write_source(&self) -> String {
        self.write("src/a.txt", "alpha\n");
        self.write("src/b.bin", noise(300_000, 1));
        self.write("src/sub/c.txt", "gamma\n");
        std::os::unix::fs::symlink("a.txt", self.path("src/link")).unwrap();
        self.text("src")
    }

    /// The program with these arguments, in the root, with a clean environment, the repository `repo` and, once it is
    /// there, the key file `key`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(self.root.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TZ", "UTC")
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("LARDER_REPOSITORY", self.path("repo"))
            .env("LARDER_HOST", "testhost")
            .stdin(Stdio::null());
        let asks_otherwise = [
            "--password-file",
            "--password-command",
            "--insecure-no-password",
        ];
        if self.path("key").exists() && !arguments.iter().any(|a| asks_otherwise.contains(a)) {
            command.env("LARDER_KEY_FILE", self.path("key"));
        }
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, &[])
    }

    /// Runs the program with these variables on top; an empty value takes one away.
    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = self.command(arguments);
        for (name, value) in variables {
            match value.is_empty() {
                true => command.env_remove(name),
                false => command.env(name, value),
            };
        }
        Run::of(command.output().unwrap())
    }

    /// Runs a script of the shell to which the program and these arguments are given as `"$@"`.
    pub fn run_by_shell(&self, script: &str, arguments: &[&str]) -> Run {
        let larder = self.command(arguments);
        let mut command = Command::new("sh");
        command
            .args(["-ec", script, "sh"])
            .arg(larder.get_program())
            .args(larder.get_args())
            .current_dir(self.root.path())
            .env_clear();
        for (name, value) in larder.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        Run::of(command.output().unwrap())
    }

    /// Runs the program with this standard input.
    pub fn run_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Run {
        let mut child = self.start(arguments);
        // The program may end before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        Run::of(child.wait_with_output().unwrap())
    }

    /// Starts the program with pipes on all three streams.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs the program, which must succeed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Run {
        self.run(arguments).expect(0)
    }

    /// Runs the program with `--json`, which must succeed, and gives the last line of what it prints.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [&["--json"], arguments].concat();
        self.ok(&arguments).messages().pop().unwrap()
    }

    /// Backs up and gives the id of the snapshot.
    #[track_caller]
    pub fn backup(&self, arguments: &[&str]) -> String {
        let summary = self.json(&[&["backup"], arguments].concat());
        summary["snapshot_id"].as_str().unwrap().to_owned()
    }

    /// The files below a directory, relative to it, sorted.
    pub fn files(&self, name: &str) -> Vec<PathBuf> {
        let root = self.path(name);
        let mut found = Vec::new();
        let mut left = vec![root.clone()];
        while let Some(dir) = left.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.symlink_metadata().unwrap().is_dir() {
                    true => left.push(path),
                    false => found.push(path.strip_prefix(&root).unwrap().to_owned()),
                }
            }
        }
        found.sort();
        found
    }
}

impl Run {
    /// What a finished process leaves.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Checks that standard error says this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "{text:?} is missing in {self:#?}"
        );
        self
    }

    /// Checks that standard output has this.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "{text:?} is missing in {self:#?}"
        );
        self
    }

    /// Standard output as lines of JSON.
    #[track_caller]
    pub fn messages(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }

    /// Standard error as lines of JSON.
    #[track_caller]
    pub fn errors(&self) -> Vec<Value> {
        json_lines(&self.stderr)
    }
}

#[track_caller]
fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(parse).collect()
}

/// Bytes that do not compress and depend on nothing but `seed`.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Whether two trees hold the same files, links and directories, with the same bytes, modes and times.
#[track_caller]
pub fn assert_same_tree(left: &Path, right: &Path) {
    use std::os::unix::fs::MetadataExt;
    let meta = |path: &Path| {
        path.symlink_metadata()
            .unwrap_or_else(|e| panic!("{path:?}: {e}"))
    };
    let (a, b) = (meta(left), meta(right));
    let facts = |m: &std::fs::Metadata| (m.mode(), m.mtime(), m.mtime_nsec(), m.uid(), m.gid());
    assert_eq!(facts(&a), facts(&b), "{left:?} and {right:?}");
    if a.is_symlink() {
        assert_eq!(
            std::fs::read_link(left).unwrap(),
            std::fs::read_link(right).unwrap()
        );
    } else if a.is_dir() {
        assert_same_entries(left, right);
    } else {
        assert!(
            std::fs::read(left).unwrap() == std::fs::read(right).unwrap(),
            "{right:?} differs"
        );
    }
}

/// The same for the entries of two directories, which may differ themselves.
#[track_caller]
pub fn assert_same_entries(left: &Path, right: &Path) {
    let names = |path: &Path| {
        let entries = std::fs::read_dir(path).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(left), names(right), "{left:?} and {right:?}");
    for name in names(left) {
        assert_same_tree(&left.join(&name), &right.join(&name));
    }
}
