//! Golden vectors: bytes under `docs/vectors/` that version 1 must write again, or at least go on reading.
//!
//! *Exact* files hold what has one right form. *Sealed* files hold what is sealed with a random salt: they are opened, and what
//! they hold is compared. All hold under the example keys of `docs/format.md`.

use repo_core::crypto::{Keyring, Role, Secret, Signer};
use repo_core::format::envelope::Envelopes;
use repo_core::id::{RepositoryId, from_hex, to_hex};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub const REPOSITORY: RepositoryId = RepositoryId([2; 32]);

pub fn ring() -> Keyring {
    Keyring::from_root(&Secret::new([1; 32]), 0, &[0, 7])
}

/// What a holder of `role` has.
pub fn ring_of(role: Role) -> Keyring {
    Keyring::from_bundle(&ring().bundle(role, &[0, 7]))
}

pub fn envelopes() -> Envelopes {
    envelopes_of(Role::Full)
}

pub fn envelopes_of(role: Role) -> Envelopes {
    Envelopes::new(ring_of(role), REPOSITORY)
}

pub fn signer() -> Signer {
    Signer::from_seed(&Secret::new([3; 32]))
}

pub fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name)
}

/// Named byte strings in the order they are written.
pub type Named = Vec<(String, Vec<u8>)>;

pub fn named(name: &str, bytes: impl Into<Vec<u8>>) -> (String, Vec<u8>) {
    (name.to_owned(), bytes.into())
}

/// Reads a file of `name: hex` lines.
pub fn read(file: &str) -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(docs("vectors").join(file)).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, hex) = line
            .split_once(": ")
            .unwrap_or_else(|| panic!("{file}: {line}"));
        (
            name.to_owned(),
            from_hex(hex).unwrap_or_else(|| panic!("{file}: {name}")),
        )
    };
    lines.map(pair).collect()
}

/// Every vector of a file is what the library makes, and none is missing.
pub fn assert_exact(file: &str, made: &Named) {
    let stored = read(file);
    for (name, bytes) in made {
        let stored = stored
            .get(name)
            .unwrap_or_else(|| panic!("{file} lacks {name}"));
        assert_eq!(to_hex(bytes), to_hex(stored), "{file}: {name}");
    }
    assert_eq!(
        stored.len(),
        made.len(),
        "{file} holds vectors that nothing makes"
    );
}

fn write(file: &str, about: &str, made: &Named) {
    let mut text = format!("# {about}\n# Keys: docs/format.md, \"Example keys\".\n\n");
    for (name, bytes) in made {
        text.push_str(&format!("{name}: {}\n", to_hex(bytes)));
    }
    std::fs::write(docs("vectors").join(file), text).unwrap();
}

/// Writes all vectors and the examples anew. Only `tests/fixtures/make-v1` runs it, and only while version 1 may change.
#[test]
#[ignore = "changes docs/"]
fn write_vectors() {
    use super::{format_document, format_keys, format_packs, format_records, format_trees};
    write(
        "records.txt",
        "Records as they are encoded.",
        &format_records::exact(),
    );
    write(
        "sealed.txt",
        "Records as they are stored; salts are random.",
        &format_records::sealed(),
    );
    write(
        "keys.txt",
        "Derived keys, names and signatures.",
        &format_keys::exact(),
    );
    write(
        "slots.txt",
        "Key slots and what is sealed to public keys.",
        &format_keys::sealed(),
    );
    write(
        "trees.txt",
        "Borders of directories and chunk lists.",
        &format_trees::exact(),
    );
    format_packs::write_packs();
    format_document::write_examples();
}
