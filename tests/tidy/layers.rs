//! A module of `repo-core` imports only from rows above its own (inside one crate the compiler does not mind).

use crate::files::{root, rust_files};

/// The modules, lowest row first. Modules of one row do not import each other.
const ROWS: &[&[&str]] = &[
    &["id", "time"],
    &["error"],
    &["progress", "fs", "pattern"],
    &["chunk", "compress", "crypto", "backend"],
    &["format"],
    &["pack", "index", "log"],
    &["repo"],
    &["tree", "snapshot", "source"],
    &["vfs"],
    &["ops"],
];

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// Names of modules that a source text imports by `crate::…`, nested braces included.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(list) => found.extend(list.split(',').map(first_word)),
                None => found.push(first_word(rest)),
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.trim()
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

/// Every import of `text`, a file of `module`, that points sideways or up.
fn violations(module: &str, text: &str) -> Vec<String> {
    let own = row(module).unwrap_or_else(|| panic!("module `{module}` stands in no row of ROWS"));
    let wrong = |name: &String| name != module && row(name).is_some_and(|other| other >= own);
    imports(text).into_iter().filter(wrong).collect()
}

#[test]
fn imports_point_down() {
    let root = root().join("repo-core/src");
    let mut found = Vec::new();
    for file in rust_files(&root) {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let module = first.trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for name in violations(module, &text) {
            found.push(format!(
                "{}: `{module}` must not import `{name}`",
                inside.display()
            ));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_check_can_fail() {
    assert_eq!(violations("crypto", "use crate::repo::Repo;"), ["repo"]);
    assert_eq!(
        violations("pack", "use crate::{id, index::Table};"),
        ["index"]
    );
    assert!(violations("repo", "use crate::{id, crypto};\n// crate::ops").is_empty());
}
