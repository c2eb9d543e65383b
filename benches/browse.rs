//! How long it takes to look into the past: `find` for the first time and again, and `diff` of two snapshots that differ in 1 %.
//!
//! `cargo bench -p repo-benches --bench browse -- 90000 200` makes 200 snapshots of 90,000 files, of which one in a hundred changes each
//! time, in the system's temporary directory. Every time is that of a process: the repository is opened with a password that costs what
//! `larder init` makes it cost, which is measured by itself too.

use repo_benches::made::{commit, make, write};
use repo_core::crypto::KdfParams;
use repo_core::format::key_slot::Credential;
use repo_core::format::tree::{Chunks, Content, FileContent, Leaf, Node, Tree};
use repo_core::id::BlobId;
use repo_core::ops::{self, Patterns, Wanted};
use repo_core::pattern::List;
use repo_core::progress::{Interrupt, Silent};
use repo_core::repo::{OpenOptions, Repo};
use repo_core::snapshot::{Filter, list};
use repo_core::time::Timestamp;
use repo_core::vfs::Top;
use repo_core::{Result, backend::LocalBackend};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Files in a directory, and directories in one: as in the sources of Linux, about.
const FILES: u64 = 15;
const DIRS: u64 = 77;

fn node(name: String, content: Content, version: i64) -> Node {
    Node {
        name: name.into_bytes(),
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        mtime: Timestamp::new(1_700_000_000 + version, 123_456_789),
        ctime: Timestamp::new(1_700_000_000 + version, 987_654_321),
        atime: None,
        inode: 0,
        device: 1,
        links: 1,
        xattrs: Vec::new(),
        content,
        ext: Vec::new(),
    }
}

fn file(number: u64, version: u64) -> Node {
    let id = blake3::keyed_hash(
        &[7; 32],
        &[number.to_le_bytes(), version.to_le_bytes()].concat(),
    );
    let content = Content::File(FileContent {
        size: 1000 + version,
        chunks: Chunks::Direct(vec![BlobId(*id.as_bytes())]),
        extents: None,
    });
    node(format!("file{number:06}.c"), content, version as i64)
}

fn leaf(nodes: Vec<Node>) -> Tree {
    Tree::Leaf(Leaf {
        nodes,
        ..Leaf::default()
    })
}

/// Commits snapshots of a tree in which each time every hundredth file changes, another one each time.
fn fill(repo: &Repo, entries: u64, count: u64) -> Result<()> {
    let mut versions = vec![0u64; entries as usize];
    let mut trees: Vec<Option<BlobId>> = vec![None; entries.div_ceil(FILES) as usize];
    for number in 0..count {
        for at in 0..entries / 100 * u64::from(number > 0) {
            let random = blake3::hash(&[number.to_le_bytes(), at.to_le_bytes()].concat());
            let random = random.as_bytes()[..8].try_into().expect("eight bytes");
            let changed = u64::from_le_bytes(random) % entries;
            versions[changed as usize] = number;
            trees[(changed / FILES) as usize] = None;
        }
        let (root, written) = write(repo, |put| {
            let mut above = Vec::new();
            for (group, dirs) in trees.chunks_mut(DIRS as usize).enumerate() {
                let mut below = Vec::new();
                for (at, tree) in dirs.iter_mut().enumerate() {
                    let dir = (group as u64 * DIRS + at as u64) * FILES;
                    let files = dir..entries.min(dir + FILES);
                    let nodes =
                        files.map(|file_number| file(file_number, versions[file_number as usize]));
                    let id = match tree {
                        Some(id) => *id,
                        None => put(&leaf(nodes.collect()))?,
                    };
                    *tree = Some(id);
                    below.push(node(format!("dir{at:03}"), Content::Dir(Some(id)), 0));
                }
                let tree = put(&leaf(below))?;
                above.push(node(
                    format!("group{group:04}"),
                    Content::Dir(Some(tree)),
                    0,
                ));
            }
            put(&leaf(above))
        })?;
        commit(repo, (number, "host"), root, written)?;
    }
    Ok(())
}

fn open(dir: &Path) -> Result<Repo> {
    let options = OpenOptions {
        cache_dir: Some(dir.join("cache")),
        ..OpenOptions::default()
    };
    let backend = Arc::new(LocalBackend::open(&dir.join("repo"))?);
    Repo::open(backend, &Credential::password("x"), &options)
}

fn find(dir: &Path) -> Result<u64> {
    let repo = open(dir)?;
    let wanted = Wanted {
        patterns: Patterns::Paths(List::parse(&["file004711.c"], false)?),
        oldest: None,
        newest: None,
        sizes: Vec::new(),
        kinds: Vec::new(),
    };
    let snapshots = list(&repo, &Filter::default()).snapshots;
    let mut found = 0;
    let mut tell = |_| {
        found += 1;
        Ok(())
    };
    ops::find(
        &repo,
        &snapshots,
        &wanted,
        &mut tell,
        &Silent,
        &Interrupt::new(),
    )?;
    Ok(found)
}

fn diff(dir: &Path) -> Result<u64> {
    let repo = open(dir)?;
    let snapshots = list(&repo, &Filter::default()).snapshots;
    let [.., left, right] = &snapshots[..] else {
        return Ok(0);
    };
    let found = |info: &repo_core::snapshot::SnapshotInfo| {
        let top = Top {
            tree: info.summary.root,
            folder: PathBuf::from("/"),
        };
        top.find(&repo, Path::new("/"))
    };
    let (left, right) = (found(left)?, found(right)?);
    let sides = (Some(&left), Some(&right));
    let summary = ops::diff(
        &repo,
        sides,
        false,
        &mut |_| Ok(()),
        &Silent,
        &Interrupt::new(),
    )?;
    Ok(summary.changed_files)
}

fn timed(what: &str, act: impl Fn() -> Result<u64>) -> Result<()> {
    let begin = Instant::now();
    let found = act()?;
    println!(
        "{what:28} {:8.3} s  ({found})",
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

fn main() -> Result<()> {
    let numbers = std::env::args().skip(1).filter(|a| a != "--bench");
    let numbers: Option<Vec<u64>> = numbers.map(|number| number.parse().ok()).collect();
    let Some([entries, count]) = numbers.as_deref() else {
        println!("usage: browse FILES SNAPSHOTS");
        return Ok(());
    };
    let scratch = std::env::temp_dir().join(format!("larder-browse-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("a temporary directory");
    let measured = measure(&scratch, *entries, *count);
    std::fs::remove_dir_all(&scratch).expect("it is ours");
    measured
}

fn measure(dir: &Path, entries: u64, count: u64) -> Result<()> {
    fill(
        &make(&dir.join("repo"), KdfParams::default())?,
        entries,
        count,
    )?;
    timed("open", || open(dir).map(|_| 1))?;
    timed("find, the first time", || find(dir))?;
    for _ in 0..3 {
        timed("open", || open(dir).map(|_| 1))?;
        timed("find, again", || find(dir))?;
        timed("diff", || diff(dir))?;
    }
    let table = dir.join("cache");
    let mut left = vec![table];
    let mut bytes = 0;
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).expect("is there").flatten() {
            match entry.metadata().expect("is there") {
                meta if meta.is_dir() => left.push(entry.path()),
                meta => bytes += meta.len(),
            }
        }
    }
    println!("{:28} {:8} KiB", "cache", bytes / 1024);
    Ok(())
}
