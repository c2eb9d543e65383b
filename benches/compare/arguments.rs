//! The command line.

use crate::Result;
use std::path::PathBuf;

const USAGE: &str = "\
compare [--tree DIR] [--dump FILE] [--work DIR] [--runs N] [--tools NAME,...] [--larder PATH]
  --tree, --dump   what is backed up; made up without
  --work           where repositories and restores go, by default the directory for temporary files
  --runs           how often, 3 by default
  --tools          larder and these only, of restic, rustic, borg, bupstash, pipe; by default what is installed
  --larder         the program, by default target/release/larder";

/// What is compared, and where.
pub struct Arguments {
    pub tree: Option<PathBuf>,
    pub dump: Option<PathBuf>,
    pub work: PathBuf,
    pub runs: usize,
    pub tools: Option<Vec<String>>,
    pub larder: PathBuf,
}

impl Arguments {
    /// Reads them; cargo adds `--bench`.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut parsed = Self {
            tree: None,
            dump: None,
            work: std::env::temp_dir(),
            runs: 3,
            tools: None,
            larder: root.join("target/release/larder"),
        };
        let mut rest = arguments.iter().filter(|argument| *argument != "--bench");
        while let Some(flag) = rest.next() {
            let mut value = || rest.next().cloned().ok_or(USAGE);
            match flag.as_str() {
                "--tree" => parsed.tree = Some(value()?.into()),
                "--dump" => parsed.dump = Some(value()?.into()),
                "--work" => parsed.work = value()?.into(),
                "--runs" => parsed.runs = value()?.parse::<usize>().map_err(|_| USAGE)?.max(1),
                "--tools" => parsed.tools = Some(value()?.split(',').map(str::to_owned).collect()),
                "--larder" => parsed.larder = value()?.into(),
                _ => return Err(USAGE.into()),
            }
        }
        if !parsed.larder.is_file() {
            let larder = parsed.larder.display();
            let how = "build it with `cargo build --release`, or say where it is with --larder";
            return Err(format!("there is no {larder}: {how}").into());
        }
        parsed.larder = parsed.larder.canonicalize()?;
        Ok(parsed)
    }
}
