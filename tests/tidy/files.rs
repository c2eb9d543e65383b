//! The files of the repository, without what builds leave there.

use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours: builds, and what fuzzing keeps. Nor do names that begin with a dot, `.ci` aside.
const SKIPPED: [&str; 3] = ["target", "artifacts", "coverage"];

/// Endings of files that are read as text; files without one are too.
const TEXT: [&str; 8] = ["rs", "toml", "md", "lock", "txt", "json", "sh", "py"];

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A path below [`root`] as it is shown.
pub fn relative(path: &Path) -> &Path {
    let inside = path.strip_prefix(root());
    inside.expect("files are found below the root")
}

/// All Rust sources below `dir`, sorted.
pub fn rust_files(dir: &Path) -> Vec<PathBuf> {
    found(dir, &|path| {
        path.extension().is_some_and(|ending| ending == "rs")
    })
}

/// All files below `dir` that are text by their names, sorted. Seeds and fixtures are data.
pub fn text_files(dir: &Path) -> Vec<PathBuf> {
    found(dir, &|path| {
        let data = |folder: &str| path.components().any(|part| part.as_os_str() == folder);
        let ending = path.extension().map(|ending| ending.to_string_lossy());
        let text = ending.is_none_or(|ending| TEXT.contains(&&*ending));
        text && !data("corpus") && !data("fixtures")
    })
}

fn found(dir: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(dir, wanted, &mut files);
    files.sort();
    assert!(
        files.len() > 10,
        "found only {} files in {}",
        files.len(),
        dir.display()
    );
    files
}

fn walk(dir: &Path, wanted: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        );
        if SKIPPED.contains(&&*name) || (name.starts_with('.') && name != ".ci") {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(&path, wanted, files);
        } else if wanted(&path) {
            files.push(path);
        }
    }
}
