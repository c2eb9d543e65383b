//! `docs/format.md` and the library say the same: its hex blocks are what the library makes and decodes, its sections are
//! there where sources cite them.
//!
//! A block is a fence with the info string `hex NAME`; in it, hex digits of any grouping, and after two spaces a remark.

use crate::format_example_values::{
    announcement, checkpoint, delta, evidence, forget, leaf, member, sized_node, summary,
    table_entry, table_reference,
};
use crate::format_examples::{Pieces, examples};
use crate::format_values::settings;
use crate::format_vectors::{REPOSITORY, docs, envelopes, envelopes_of, ring_of, signer};
use repo_core::crypto::{BlobType, Role};
use repo_core::format::announcement::Announcement;
use repo_core::format::checkpoint::Checkpoint;
use repo_core::format::codec;
use repo_core::format::config;
use repo_core::format::entry::{Entry, EntryClear, Member, decode_file};
use repo_core::format::envelope::{self, RecordType};
use repo_core::format::evidence::Evidence;
use repo_core::format::pack::{decode_header, decode_wraps};
use repo_core::format::rows::{Block, Row};
use repo_core::format::settings::Settings;
use repo_core::format::snapshot::Summary;
use repo_core::format::table::TableView;
use repo_core::format::tree::{Node, Tree};
use repo_core::id::{from_hex, to_hex};
use std::collections::BTreeMap;

/// The bytes of every hex block of the document, by name.
fn stored() -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(docs("format.md")).unwrap();
    let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut inside: Option<String> = None;
    for line in text.lines() {
        match (&inside, line.strip_prefix("```hex ")) {
            (None, Some(name)) => {
                assert!(
                    found.insert(name.to_owned(), Vec::new()).is_none(),
                    "{name} twice"
                );
                inside = Some(name.to_owned());
            }
            (Some(_), _) if line == "```" => inside = None,
            (Some(name), _) => {
                let digits = line.split("  ").next().unwrap().replace(' ', "");
                let bytes = from_hex(&digits).unwrap_or_else(|| panic!("{name}: {line}"));
                found.get_mut(name).unwrap().extend(bytes);
            }
            (None, None) => {}
        }
    }
    found
}

fn show(pieces: &Pieces) -> String {
    const LINE_BYTES: usize = 40;
    let mut text = String::new();
    for (bytes, remark) in pieces {
        let lines: Vec<String> = bytes.chunks(LINE_BYTES).map(to_hex).collect();
        let (last, before) = lines.split_last().unwrap();
        before
            .iter()
            .for_each(|line| text.push_str(&format!("{line}\n")));
        text.push_str(&format!("{last}  {remark}\n"));
    }
    text
}

/// Writes the blocks anew; part of `write_vectors`.
pub fn write_examples() {
    let path = docs("format.md");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for example in examples() {
        let open = format!("```hex {}\n", example.name);
        let from = text
            .find(&open)
            .unwrap_or_else(|| panic!("no block {}", example.name))
            + open.len();
        let to = from + text[from..].find("```").unwrap();
        text.replace_range(from..to, &show(&example.pieces));
    }
    std::fs::write(path, text).unwrap();
}

#[test]
fn every_block_is_what_the_library_makes() {
    let stored = stored();
    let examples = examples();
    assert_eq!(stored.len(), examples.len(), "blocks without an example");
    for example in examples {
        let made: Vec<u8> = example
            .pieces
            .iter()
            .flat_map(|(bytes, _)| bytes.clone())
            .collect();
        let there = &stored[example.name];
        match example.random {
            true => assert_eq!(there.len(), made.len(), "{}", example.name),
            false => assert_eq!(to_hex(there), to_hex(&made), "{}", example.name),
        }
    }
}

#[test]
fn sealed_blocks_open() {
    let stored = stored();
    let config = &stored["envelope-config"];
    assert_eq!(config::repository(config).unwrap(), REPOSITORY);
    assert_eq!(config::open(&envelopes(), config).unwrap(), settings());
    let visible = envelope::visible(config).unwrap();
    assert_eq!(
        (visible.record_type, visible.epoch),
        (RecordType::Config, 0)
    );

    let header = decode_header(&stored["pack-header"]).unwrap();
    assert_eq!(
        (header.kind, header.domain, header.wrap_count),
        (BlobType::Tree, 7, 1)
    );
    let wrap = &decode_wraps(&header.wraps).unwrap()[0];
    wrap.open(&ring_of(Role::Prune), &REPOSITORY, BlobType::Tree)
        .unwrap();
    assert!(
        wrap.open(&ring_of(Role::Writer), &REPOSITORY, BlobType::Tree)
            .is_err()
    );
    assert!(
        wrap.open(&ring_of(Role::Full), &REPOSITORY, BlobType::Data)
            .is_err()
    );
}

#[test]
fn plain_blocks_decode() {
    let stored = stored();
    assert_eq!(
        codec::decode::<Settings>(&stored["settings"]).unwrap(),
        Settings::default()
    );
    assert_eq!(
        codec::decode::<Summary>(&stored["summary"]).unwrap(),
        summary()
    );
    assert_eq!(codec::decode::<Tree>(&stored["tree-leaf"]).unwrap(), leaf());
    let sized = Node {
        ext: codec::decode(&stored["chunk-sizes"]).unwrap(),
        ..sized_node()
    };
    assert_eq!(sized.chunk_sizes(), sized_node().chunk_sizes());
    let clear: EntryClear = codec::decode(&stored["entry-clear"]).unwrap();
    assert_eq!(
        (clear.kind, clear.number, clear.nonce),
        (0x8006, 7, [4; 16])
    );
    let resting = EntryClear {
        ext: codec::decode(&stored["rests-on"]).unwrap(),
        ..clear
    };
    assert_eq!(resting.rests_on(), Some(vec![table_reference()]));
    let (core, catch_up) = decode_file(&stored["entry-file"]).unwrap();
    assert_eq!(
        (core, catch_up),
        (&b"third"[..], vec![&b"first"[..], b"second"])
    );
    let members: Vec<Member> = codec::decode(&stored["roles"]).unwrap();
    assert_eq!(members, [member()]);
    let folded: Checkpoint = codec::decode(&stored["checkpoint"]).unwrap();
    folded.check().unwrap();
    assert_eq!(folded, checkpoint());
    let found: Evidence = codec::decode(&stored["evidence"]).unwrap();
    assert_eq!(found, evidence());
    let said: Announcement = codec::decode(&stored["announcement"]).unwrap();
    assert_eq!(said, announcement());
    assert_eq!(Block::read(&stored["block-row"]).unwrap(), delta());
    let table = TableView::parse(&stored["index-table"]).unwrap();
    assert_eq!(table.pack(0).unwrap().wraps, [1, 2, 3]);
    assert_eq!(table.blobs.get(0).unwrap(), table_entry().blobs[0]);
    let envelope = envelopes_of(Role::Writer).seal(
        RecordType::Entry,
        &stored["entry-clear"],
        &stored["entry-body"],
        Some(&signer()),
    );
    assert_eq!(
        Entry::open(&envelopes(), &envelope.unwrap()).unwrap().entry,
        forget()
    );
}

/// Sources cite sections of the document by their titles.
#[test]
fn cited_sections_exist() {
    let text = std::fs::read_to_string(docs("format.md")).unwrap();
    let titles: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' '))
        .collect();
    let mut cited = 0;
    let mut folders = vec![docs("../repo-core/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for after in source.split("`docs/format.md`, \"").skip(1) {
                let title = after.split('"').next().unwrap();
                assert!(
                    titles.contains(&title),
                    "{} cites {title:?}",
                    path.display()
                );
                cited += 1;
            }
        }
    }
    assert!(cited > 10, "found only {cited} citations");
}
