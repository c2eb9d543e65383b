//! Backups, forgets, prunes without grace, restores and checks at once in one repository, killed at random: every snapshot
//! that is there afterwards restores as it was, and everything is clean.
//!
//! A minute in the suite; `scripts/storm` lets it go on for longer.

use crate::environment::{Run, TestEnvironment, noise};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const WRITERS: u64 = 6;

/// For how long, unless the variable says otherwise.
const SECONDS: u64 = 45;

/// Mode, time, length and a hash of the content, by path.
type Tree = BTreeMap<PathBuf, (u32, i128, u64, u64)>;

fn describe(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut below = vec![PathBuf::new()];
    while let Some(dir) = below.pop() {
        for entry in std::fs::read_dir(root.join(&dir)).unwrap() {
            let entry = entry.unwrap();
            let path = dir.join(entry.file_name());
            let meta = entry.metadata().unwrap();
            let mut hasher = DefaultHasher::new();
            if meta.is_file() {
                std::fs::read(entry.path()).unwrap().hash(&mut hasher);
            } else {
                below.push(path.clone());
            }
            let time = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
            let len = if meta.is_file() { meta.len() } else { 0 };
            tree.insert(path, (meta.mode(), time, len, hasher.finish()));
        }
    }
    tree
}

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What all of them share.
struct Storm {
    env: TestEnvironment,
    end: Instant,
    /// What a writer's source was at each backup, by the tag that it gave.
    made: Mutex<HashMap<String, Tree>>,
    ended: Mutex<BTreeMap<&'static str, (u64, u64)>>,
}

impl Storm {
    fn goes_on(&self) -> bool {
        Instant::now() < self.end
    }

    /// Runs the program to its end, or kills it: one time in `kill` at a random moment. `None` if it was killed.
    fn run(
        &self,
        dice: &mut Dice,
        kill: u64,
        what: &'static str,
        arguments: &[&str],
    ) -> Option<Run> {
        let mut child = self.env.start(arguments);
        let killed =
            dice.roll(kill) == 0 && kill_at(&mut child, Duration::from_millis(dice.roll(400)));
        let run = Run::of(child.wait_with_output().unwrap());
        let mut ended = self.ended.lock().unwrap();
        let counts = ended.entry(what).or_default();
        match killed {
            true => counts.1 += 1,
            false => counts.0 += 1,
        }
        (!killed).then_some(run)
    }

    fn writer(&self, me: u64) {
        let mut dice = Dice(me);
        let source = format!("src/w{me}");
        let mut round = 0;
        while self.goes_on() {
            round += 1;
            // Half of what is changed is what it was before, so that what was just let go is wanted again.
            for _ in 0..1 + dice.roll(6) {
                let (file, content) = (dice.roll(12), dice.roll(5));
                let len = 1000 + content as usize * 70_000 + file as usize * 777;
                let name = format!("{source}/d{}/{file}", file % 3);
                self.env
                    .write(&name, noise(len, me / 2 * 1000 + file * 10 + content + 1));
            }
            if dice.roll(5) == 0 {
                let _ =
                    std::fs::remove_dir_all(self.env.path(&format!("{source}/d{}", dice.roll(3))));
            }
            let tag = format!("w{me}r{round}");
            let tree = describe(&self.env.path(&source));
            self.made.lock().unwrap().insert(tag.clone(), tree);
            let backup = ["backup", &source, "--tag", &tag];
            if let Some(run) = self.run(&mut dice, 5, "backup", &backup) {
                run.expect(0);
            }
        }
    }

    fn forgetter(&self, me: u64) {
        let mut dice = Dice(100 + me);
        while self.goes_on() {
            let keep = (1 + dice.roll(3)).to_string();
            let path = self.env.text(&format!("src/w{}", dice.roll(WRITERS)));
            let forget = [
                "forget",
                "--keep-last",
                &keep,
                "--quarantine",
                "off",
                "--path",
                &path,
            ];
            if let Some(run) = self.run(&mut dice, 5, "forget", &forget) {
                run.expect(0);
            }
            if dice.roll(3) == 0 {
                self.unforget(&mut dice);
            }
            std::thread::sleep(Duration::from_millis(dice.roll(500)));
        }
    }

    /// Wants one of the forgotten again, if there still are any. It may be too late at any moment.
    fn unforget(&self, dice: &mut Dice) {
        let listed = Run::of(
            self.env
                .command(&["snapshots", "--forgotten", "--json"])
                .output()
                .unwrap(),
        );
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        let ids: Vec<&str> = listed
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|s| s["id"].as_str())
            .collect();
        if let Some(id) = ids.get(dice.roll(ids.len().max(1) as u64) as usize)
            && let Some(run) = self.run(dice, 8, "unforget", &["unforget", id])
        {
            assert!(matches!(run.code, 0 | 1), "{run:?}");
        }
    }

    fn pruner(&self, me: u64) {
        let mut dice = Dice(200 + me);
        while self.goes_on() {
            let unused = ["0%", "5%", "unlimited"][dice.roll(3) as usize];
            let prune = ["prune", "--grace", "0", "--max-unused", unused];
            if let Some(run) = self.run(&mut dice, 4, "prune", &prune) {
                run.expect(0);
            }
            std::thread::sleep(Duration::from_millis(dice.roll(300)));
        }
    }

    /// What it restores may be forgotten and pruned meanwhile: then it must say so, and what it says is right must be right.
    fn reader(&self, me: u64) {
        let mut dice = Dice(300 + me);
        let target = format!("out{me}");
        while self.goes_on() {
            if dice.roll(4) == 0 {
                self.run(&mut dice, 6, "check", &["check"]);
                continue;
            }
            let who = dice.roll(WRITERS);
            let listed = self.env.command(&[
                "snapshots",
                "--json",
                "--latest",
                "1",
                "--path",
                &self.env.text(&format!("src/w{who}")),
            ]);
            let listed = Run::of({ listed }.output().unwrap()).expect(0);
            let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
            let Some(snapshot) = listed.get(0) else {
                continue;
            };
            let (id, tag) = (
                snapshot["id"].as_str().unwrap(),
                snapshot["tags"][0].as_str().unwrap(),
            );
            let what = format!("{id}:src/w{who}");
            let _ = std::fs::remove_dir_all(self.env.path(&target));
            let restore = ["restore", &what, "--target", &target];
            match self.run(&mut dice, 8, "restore", &restore) {
                Some(run) if run.code == 0 => self.compare(tag, &target),
                Some(run) => assert!(matches!(run.code, 1 | 3), "{run:?}"),
                None => {}
            }
        }
    }

    fn compare(&self, tag: &str, target: &str) {
        let expected = self.made.lock().unwrap()[tag].clone();
        let restored = describe(&self.env.path(target));
        assert!(expected == restored, "{tag} is not what it was: {:?}", {
            let differ = |path: &&PathBuf| expected.get(*path) != restored.get(*path);
            expected
                .keys()
                .chain(restored.keys())
                .filter(differ)
                .collect::<Vec<_>>()
        });
    }

    /// Restores and compares every snapshot that is there; says how many.
    fn prove(&self) -> usize {
        self.env
            .ok(&["check", "--read-data"])
            .prints("no errors were found");
        let snapshots = self.env.json(&["snapshots"]);
        let snapshots = snapshots.as_array().unwrap();
        for snapshot in snapshots {
            let tag = snapshot["tags"][0].as_str().unwrap();
            let source = tag.split('r').next().unwrap();
            let id = snapshot["id"].as_str().unwrap();
            let _ = std::fs::remove_dir_all(self.env.path("proof"));
            let what = format!("{id}:src/{source}");
            self.env.ok(&["restore", &what, "--target", "proof"]);
            self.compare(tag, "proof");
        }
        snapshots.len()
    }
}

/// Kills a process after that long; whether it was still running.
fn kill_at(child: &mut Child, after: Duration) -> bool {
    std::thread::sleep(after);
    match child.try_wait().unwrap() {
        Some(_) => false,
        None => {
            child.kill().unwrap();
            true
        }
    }
}

#[test]
fn everything_at_once_loses_nothing() {
    #[expect(clippy::disallowed_methods, reason = "not a variable of the program")]
    let seconds = std::env::var("LARDER_STORM_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS, |text| {
        text.parse().expect("LARDER_STORM_SECONDS is a number")
    });
    let storm = Storm {
        env: TestEnvironment::with_repository(),
        end: Instant::now() + Duration::from_secs(seconds),
        made: Mutex::default(),
        ended: Mutex::default(),
    };
    for writer in 0..WRITERS {
        for dir in 0..3 {
            storm.env.write(
                &format!("src/w{writer}/d{dir}/first"),
                noise(5000, writer + 1),
            );
        }
    }
    std::thread::scope(|scope| {
        let storm = &storm;
        for me in 0..WRITERS {
            scope.spawn(move || storm.writer(me));
        }
        for me in 0..2 {
            scope.spawn(move || storm.forgetter(me));
            scope.spawn(move || storm.pruner(me));
            scope.spawn(move || storm.reader(me));
        }
    });
    let proved = storm.prove();
    // What nobody needs goes, and nothing else.
    storm
        .env
        .ok(&["prune", "--grace", "0", "--max-unused", "0%"]);
    assert_eq!(storm.prove(), proved);
    let ended = storm.ended.lock().unwrap();
    println!("{proved} snapshots; done and killed: {ended:?}");
    for what in ["backup", "forget", "prune", "restore"] {
        let (done, killed) = ended[what];
        assert!(
            done > 0 && killed > 0,
            "{what}: {done} done, {killed} killed"
        );
    }
}
