//! Seeds and finds of the fuzz targets go through their targets again: what was broken once stays repaired.

use larder_fuzz::TARGETS;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The inputs in a folder with one folder for each target.
fn inputs(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let of_target = |dir: &PathBuf| {
        let target = dir.file_name().unwrap().to_str().unwrap().to_owned();
        let files = entries(dir).into_iter();
        files
            .map(move |file| (target.clone(), file))
            .collect::<Vec<_>>()
    };
    entries(folder).iter().flat_map(of_target).collect()
}

fn replay(folder: &Path) -> Vec<String> {
    let mut targets = Vec::new();
    for (target, file) in inputs(folder) {
        let found = TARGETS.iter().find(|(name, _)| *name == target);
        let (name, body) = found.unwrap_or_else(|| panic!("no target for {}", file.display()));
        println!("{}", file.display());
        body(&std::fs::read(&file).unwrap());
        targets.push((*name).to_owned());
    }
    targets.dedup();
    targets
}

#[test]
fn every_target_has_a_program_and_seeds_that_pass() {
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert!(names.is_sorted());
    assert_eq!(replay(&root().join("fuzz/corpus")), names);
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for name in &names {
        assert!(
            root()
                .join(format!("fuzz/fuzz_targets/{name}.rs"))
                .is_file()
        );
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name}"
        );
    }
    let programs = std::fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap();
    assert_eq!(programs.count(), names.len());
}

#[test]
fn finds_pass() {
    replay(&root().join("tests/fixtures/fuzz"));
}
