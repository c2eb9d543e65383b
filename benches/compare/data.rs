//! What is backed up, if nothing is given, and whether what comes back is the same.

use crate::Result;
use repo_benches::{random, text};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Files of the tree that is made up: 20 directories of 400, some of them not compressible.
const DIRS: usize = 20;
const FILES: usize = 400;
const FILE_BYTES_MEAN: usize = 16 << 10;

/// Bytes of the dump that is made up.
const DUMP_BYTES: usize = 256 << 20;

/// Makes a tree of about 130 MB.
pub fn make_tree(root: &Path) -> Result<PathBuf> {
    let words = text(DIRS * FILES * FILE_BYTES_MEAN);
    let noise = random(4 << 20);
    let mut at = 0;
    for number in 0..DIRS * FILES {
        let dir = root.join(format!("{:02}", number / FILES));
        if number % FILES == 0 {
            fs::create_dir_all(&dir)?;
        }
        let from = if number % 16 == 0 { &noise } else { &words };
        // From nothing to four times the mean.
        let len = FILE_BYTES_MEAN * (number * number % 9) / 4;
        at = (at + len) % (from.len() - 4 * FILE_BYTES_MEAN);
        fs::write(dir.join(format!("{number:05}")), &from[at..at + len])?;
    }
    Ok(root.canonicalize()?)
}

/// Makes a file like a dump of a database.
pub fn make_dump(path: &Path) -> Result<PathBuf> {
    let words = text(DUMP_BYTES / 4);
    let mut file = File::create(path)?;
    for number in 0..4 {
        writeln!(file, "-- part {number}")?;
        file.write_all(&words[number * 7..])?;
    }
    Ok(path.canonicalize()?)
}

/// The bytes of all files.
pub fn size_of(path: &Path) -> Result<u64> {
    let mut sum = 0;
    each_file(path, &mut |file| {
        sum += file.symlink_metadata()?.len();
        Ok(())
    })?;
    Ok(sum)
}

/// Reads everything once, so that it is in the page cache.
pub fn read_all(path: &Path) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    each_file(path, &mut |file| {
        if file.symlink_metadata()?.is_file() {
            let mut file = File::open(file)?;
            while file.read(&mut buffer)? > 0 {}
        }
        Ok(())
    })
}

/// Calls `each` for everything below `path`, or for that alone if it is no directory.
fn each_file(path: &Path, each: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    match path.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Ok(meta) if meta.is_dir() => {}
        _ => return each(path),
    }
    for entry in fs::read_dir(path)? {
        each_file(&entry?.path(), each)?;
    }
    Ok(())
}

/// An error if `there` is not the same as `wanted`: names, types, modes, link targets and contents.
pub fn compare_trees(wanted: &Path, there: &Path) -> Result<()> {
    let other =
        || -> Result<()> { Err(format!("{} came back otherwise", wanted.display()).into()) };
    let (a, b) = (wanted.symlink_metadata()?, there.symlink_metadata()?);
    let modes = (a.permissions().mode(), b.permissions().mode());
    if a.file_type() != b.file_type() || (!a.is_symlink() && modes.0 != modes.1) {
        return other();
    }
    if a.is_symlink() {
        return match fs::read_link(wanted)? == fs::read_link(there)? {
            true => Ok(()),
            false => other(),
        };
    }
    if a.is_file() {
        return compare_files(wanted, there);
    }
    if !a.is_dir() {
        return Ok(());
    }
    let names = names_in(wanted)?;
    if names != names_in(there)? {
        return other();
    }
    names
        .iter()
        .try_for_each(|name| compare_trees(&wanted.join(name), &there.join(name)))
}

fn names_in(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

/// An error if two files do not hold the same.
pub fn compare_files(wanted: &Path, there: &Path) -> Result<()> {
    let hash = |path: &Path| -> Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(hasher.finalize())
    };
    match hash(wanted)? == hash(there)? {
        true => Ok(()),
        false => Err(format!("{} came back otherwise", wanted.display()).into()),
    }
}
