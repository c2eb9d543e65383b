//! larder beside whichever of restic, rustic, borg, bupstash and `tar | zstd | age` is installed.
//!
//! `cargo bench -p repo-benches --bench compare -- --tree DIR --dump FILE` backs up a tree twice, restores and checks it, then a
//! dump by standard input twice, with each tool in turn, in fresh repositories with fresh caches, and prints wall time, CPU,
//! peak memory and repository size, each also as the ratio of larder to the tool. Everything that was restored is compared with
//! the original. Without arguments both are made up. Compression is each tool's level-3 class of zstd, encryption is on.
//!
//! What is read was read before, so that it comes from the page cache; put `--work` on a tmpfs to take the disk out too. The
//! order of the tools rotates from run to run, a ratio is taken within its run, and medians are shown.

mod arguments;
mod data;
mod measure;
mod table;
mod tools;

use arguments::Arguments;
use measure::Sample;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tools::{Step, Tool};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What one tool did in one run.
#[derive(Debug, Default)]
pub struct Sequence {
    samples: Vec<(Step, Sample)>,
    tree_repository_bytes: u64,
    dump_repository_bytes: u64,
}

impl Sequence {
    fn sample(&self, step: Step) -> Option<&Sample> {
        let found = self.samples.iter().find(|(of, _)| *of == step);
        found.map(|(_, sample)| sample)
    }
}

/// All runs of one tool.
pub struct Results {
    tool: &'static Tool,
    runs: Vec<Sequence>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == measure::FLAG => return measure::measured(rest),
        _ => Arguments::parse(&arguments).and_then(|arguments| compare(&arguments)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<()> {
    let tools = tools::installed(arguments)?;
    let work = arguments
        .work
        .join(format!("larder-compare-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    let done = run_all(arguments, &tools, &work);
    std::fs::remove_dir_all(&work)?;
    let results = done?;
    table::print(&results);
    Ok(())
}

fn run_all(arguments: &Arguments, tools: &[&'static Tool], work: &Path) -> Result<Vec<Results>> {
    let tree = match &arguments.tree {
        Some(tree) => tree.canonicalize()?,
        None => data::make_tree(&work.join("tree"))?,
    };
    let dump = match &arguments.dump {
        Some(dump) => dump.canonicalize()?,
        None => data::make_dump(&work.join("dump.sql"))?,
    };
    println!("tree {}, dump {}", tree.display(), dump.display());
    let mut results: Vec<Results> = Vec::new();
    results.extend(tools.iter().map(|tool| Results {
        tool,
        runs: Vec::new(),
    }));
    for run in 0..arguments.runs {
        for turn in 0..results.len() {
            let at = (run + turn) % results.len();
            let tool = results[at].tool;
            eprintln!("run {} of {}: {}", run + 1, arguments.runs, tool.name);
            let place = Place {
                tool,
                work: work.join("run"),
                tree: tree.clone(),
                dump: dump.clone(),
                larder: arguments.larder.clone(),
            };
            results[at].runs.push(place.sequence()?);
        }
    }
    Ok(results)
}

/// Where one tool works.
pub struct Place {
    tool: &'static Tool,
    work: PathBuf,
    tree: PathBuf,
    dump: PathBuf,
    larder: PathBuf,
}

impl Place {
    fn sequence(&self) -> Result<Sequence> {
        let mut done = Sequence::default();
        self.fresh()?;
        self.step(Step::Init, &mut done)?;
        self.step(Step::Tree, &mut done)?;
        done.tree_repository_bytes = data::size_of(&self.work.join("repo"))?;
        self.step(Step::TreeAgain, &mut done)?;
        if self.step(Step::RestoreTree, &mut done)? {
            let restored = self
                .work
                .join("out")
                .join(self.tool.restored_tree(&self.tree));
            data::compare_trees(&self.tree, &restored)?;
        }
        self.step(Step::Check, &mut done)?;
        self.step(Step::CheckData, &mut done)?;
        self.fresh()?;
        self.step(Step::Init, &mut Sequence::default())?;
        self.step(Step::Dump, &mut done)?;
        self.step(Step::DumpAgain, &mut done)?;
        done.dump_repository_bytes = data::size_of(&self.work.join("repo"))?;
        if self.step(Step::RestoreDump, &mut done)? {
            data::compare_files(&self.dump, &self.work.join("out/stream"))?;
        }
        std::fs::remove_dir_all(&self.work)?;
        Ok(done)
    }

    fn fresh(&self) -> Result<()> {
        if self.work.exists() {
            std::fs::remove_dir_all(&self.work)?;
        }
        for dir in ["state", "out"] {
            std::fs::create_dir_all(self.work.join(dir))?;
        }
        Ok(())
    }

    /// Runs a step and measures it; false if the tool has none of the kind.
    fn step(&self, step: Step, done: &mut Sequence) -> Result<bool> {
        let Some(script) = self.tool.script(step) else {
            return Ok(false);
        };
        match step {
            Step::Tree | Step::TreeAgain => data::read_all(&self.tree)?,
            Step::Dump | Step::DumpAgain => data::read_all(&self.dump)?,
            _ => data::read_all(&self.work.join("repo"))?,
        }
        let state = self.work.join("state");
        let variables = [
            ("REPO", self.work.join("repo")),
            ("STATE", state.clone()),
            ("TREE", self.tree.clone()),
            ("DUMP", self.dump.clone()),
            ("OUT", self.work.join("out")),
            ("LARDER", self.larder.clone()),
            ("HOME", state.clone()),
            ("XDG_CACHE_HOME", state.join("cache")),
            ("XDG_CONFIG_HOME", state.join("config")),
            ("XDG_STATE_HOME", state.join("local")),
        ];
        let sample = measure::run(&script, &variables, &state.join("sample"))
            .map_err(|e| format!("{}, {step:?}: {e}", self.tool.name))?;
        done.samples.push((step, sample));
        Ok(true)
    }
}
