//! What must not stand in a source, and what must be compiled.

use crate::files::{relative, root, rust_files, text_files};
use std::path::PathBuf;

/// A pattern is written in two halves, so that this file does not hold it.
const UNFINISHED: [[&str; 2]; 4] = [
    ["todo", "!("],
    ["unimplemented", "!("],
    ["#[ig", "nore"],
    ["dbg", "!("],
];

/// What makes golden vectors is a test only because it shares code with those that read them.
const WRITES_VECTORS: [&str; 2] = ["#[ig", "nore = \"changes docs/\"]"];

/// Lines of `text` that hold one of `patterns`, with the number of each.
fn holding(text: &str, patterns: &[String]) -> Vec<(usize, String)> {
    let hit = |line: &&str| patterns.iter().any(|pattern| line.contains(pattern));
    let lines = text.lines().enumerate().filter(|(_, line)| hit(line));
    lines
        .map(|(at, line)| (at + 1, line.trim().to_owned()))
        .collect()
}

/// Lines that let the library unwrap outside its tests.
fn unwrap_allowed(text: &str) -> Vec<(usize, String)> {
    let mut found = holding(text, &["unwrap_used".to_owned()]);
    found.retain(|(_, line)| !line.starts_with("#![cfg_attr(test, allow("));
    found
}

/// Files of a test program that no line `mod <name>;` names.
fn not_compiled(main: &str, files: &[String]) -> Vec<String> {
    let named = |name: &&String| {
        main.lines()
            .any(|line| line.trim() == format!("mod {name};"))
    };
    files.iter().filter(|name| !named(name)).cloned().collect()
}

fn report(found: Vec<String>) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn nothing_is_left_to_be_written() {
    let patterns = UNFINISHED.map(|halves| halves.concat());
    let mut found = Vec::new();
    for file in rust_files(&root()) {
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, line) in holding(&text, &patterns) {
            if line != WRITES_VECTORS.concat() {
                found.push(format!("{}:{at}: {line}", relative(&file).display()));
            }
        }
    }
    report(found);
}

/// Clippy sees what is compiled for tests only, and we do not; here it is enough that it is asked.
#[test]
fn the_library_does_not_unwrap() {
    let mut found = Vec::new();
    for file in rust_files(&root().join("repo-core/src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let allowed = unwrap_allowed(&text).into_iter();
        found.extend(allowed.map(|(_, line)| (relative(&file).to_owned(), line)));
    }
    let denied = (
        PathBuf::from("repo-core/src/lib.rs"),
        "clippy::unwrap_used,".to_owned(),
    );
    assert_eq!(found, [denied], "one line, in the list of what is denied");
    let lib = std::fs::read_to_string(root().join("repo-core/src/lib.rs")).unwrap();
    let list = lib
        .split("#![deny(")
        .nth(1)
        .and_then(|rest| rest.split(")]").next());
    assert!(list.is_some_and(|list| list.contains("clippy::unwrap_used,")));
}

#[test]
fn every_test_file_is_compiled() {
    for program in ["integration", "tidy"] {
        let dir = root().join("tests").join(program);
        let main = std::fs::read_to_string(dir.join("main.rs")).unwrap();
        let entries = std::fs::read_dir(&dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let files: Vec<_> = names
            .filter_map(|name| match name.strip_suffix(".rs") {
                Some(name) => (name != "main").then(|| name.to_owned()),
                None => Some(name),
            })
            .collect();
        assert!(!files.is_empty());
        report(not_compiled(&main, &files));
    }
}

#[test]
fn texts_hold_nothing_of_the_machine_they_were_written_on() {
    let patterns = [["/wo", "rk/"], ["/ro", "ot/."], ["127.0.", "0.1:"]];
    let patterns = patterns.map(|halves| halves.concat());
    let mut found = Vec::new();
    for file in text_files(&root()) {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for (at, line) in holding(&text, &patterns) {
            found.push(format!("{}:{at}: {line}", relative(&file).display()));
        }
    }
    report(found);
}

/// Documents that are cited and will be written.
const NOT_YET: [&str; 3] = [
    "docs/design.md",
    "docs/design/0001-commit-log.md",
    "docs/glossary.md",
];

#[test]
fn documents_that_sources_cite_are_there() {
    let mut found = Vec::new();
    for file in &text_files(&root()) {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        for document in cited(&text) {
            if !NOT_YET.contains(&&*document) && !root().join(&document).exists() {
                found.push(format!("{} cites {document}", relative(file).display()));
            }
        }
    }
    report(found);
}

/// Paths in backticks that begin with `docs/`; those with a placeholder in them stand for several.
fn cited(text: &str) -> Vec<String> {
    let paths = text
        .split("`docs/")
        .skip(1)
        .filter_map(|rest| rest.split('`').next());
    let whole = paths.filter(|path| !path.contains(['<', '*', 'N', ' ']));
    whole.map(|path| format!("docs/{path}")).collect()
}

#[test]
fn packages_come_from_the_public_registry() {
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        report(other_sources(
            &std::fs::read_to_string(root().join(lock)).unwrap(),
        ));
    }
}

fn other_sources(lock: &str) -> Vec<String> {
    const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let sources = lock.lines().filter(|line| line.starts_with("source = "));
    sources
        .filter(|line| *line != REGISTRY)
        .map(str::to_owned)
        .collect()
}

#[test]
fn both_lock_files_hold_the_same_versions() {
    let read = |lock: &str| std::fs::read_to_string(root().join(lock)).unwrap();
    report(different_versions(
        &read("Cargo.lock"),
        &read("fuzz/Cargo.lock"),
    ));
}

/// Packages of `fuzz` that the main lock file has in other versions only.
fn different_versions(main: &str, fuzz: &str) -> Vec<String> {
    let versions = |lock: &str| -> Vec<(String, String)> {
        let blocks = lock.split("[[package]]").skip(1);
        let field = |block: &str, name: &str| {
            let line = block
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name} = ")));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        blocks
            .map(|block| (field(block, "name"), field(block, "version")))
            .collect()
    };
    let main = versions(main);
    let differs = |package: &&(String, String)| {
        main.iter().any(|(name, _)| *name == package.0) && !main.contains(package)
    };
    let found = versions(fuzz);
    found
        .iter()
        .filter(differs)
        .map(|(name, version)| format!("{name} {version}"))
        .collect()
}

#[test]
fn these_checks_can_fail() {
    let pattern = UNFINISHED[0].concat();
    let text = format!("fn f() {{\n    {pattern})\n}}");
    assert_eq!(
        holding(&text, std::slice::from_ref(&pattern)),
        [(2, format!("{pattern})"))]
    );

    assert_eq!(
        unwrap_allowed("#![cfg_attr(test, allow(clippy::unwrap_used))]\n").len(),
        0
    );
    assert_eq!(unwrap_allowed("#[allow(clippy::unwrap_used)]\n").len(), 1);

    let files = ["one".to_owned(), "two".to_owned()];
    assert_eq!(not_compiled("mod one;\n// mod two;\n", &files), ["two"]);

    assert_eq!(
        other_sources("source = \"git+https://example.org\"\n").len(),
        1
    );
    let lock = |version| format!("[[package]]\nname = \"a\"\nversion = \"{version}\"\n");
    assert_eq!(different_versions(&lock("1"), &lock("2")), ["a 2"]);
    assert!(different_versions(&lock("1"), &lock("1")).is_empty());
}
