//! `stats`.

use crate::environment::{TestEnvironment, noise};
use serde_json::Value;

/// Two snapshots: the second one has another `sub/c.txt` and comes from another host.
fn with_snapshots() -> (TestEnvironment, [String; 2]) {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.write("src/again.bin", noise(300_000, 1));
    std::fs::hard_link(env.path("src/a.txt"), env.path("src/linked")).unwrap();
    let first = env.backup(&[&source]);
    env.write("src/sub/c.txt", "changed\n");
    let second = env.backup(&[&source, "--host", "db"]);
    (env, [first, second])
}

fn number(stats: &Value, field: &str) -> u64 {
    stats[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field} in {stats}"))
}

#[test]
fn modes_count_what_those_of_restic_count() {
    let (env, _) = with_snapshots();
    let stats = |arguments: &[&str]| env.json(&[&["stats", "-H", ""], arguments].concat());
    let restore = stats(&[]);
    assert_eq!(restore, stats(&["--mode", "restore-size"]));
    let above = env.path("src").components().count() as u64 - 1;
    assert_eq!(number(&restore, "snapshots_count"), 2);
    assert_eq!(number(&restore, "total_file_count"), 2 * (above + 7));
    assert_eq!(number(&restore, "total_size"), 2 * 600_006 + 6 + 8);
    for field in [
        "total_blob_count",
        "total_uncompressed_size",
        "compression_ratio",
        "error_count",
    ] {
        assert_eq!(restore.get(field), None, "{field}");
    }

    let contents = stats(&["--mode", "files-by-contents"]);
    assert_eq!(number(&contents, "total_file_count"), 4);
    assert_eq!(number(&contents, "total_size"), 300_006 + 6 + 8);

    let per_file = stats(&["--mode", "blobs-per-file"]);
    assert_eq!(number(&per_file, "total_file_count"), 3);
    assert_eq!(number(&per_file, "total_size"), 300_006 + 6 + 8);
    assert!(number(&per_file, "total_blob_count") >= 4);

    let raw = stats(&["--mode", "raw-data"]);
    assert_eq!(raw.get("total_file_count"), None);
    assert_eq!(raw["compression_progress"], 100.0);
    let (stored, plain) = (
        number(&raw, "total_size"),
        number(&raw, "total_uncompressed_size"),
    );
    assert!(plain > 300_000 && stored > 290_000, "{raw}");
    let ratio = raw["compression_ratio"].as_f64().unwrap();
    assert!((ratio - plain as f64 / stored as f64).abs() < 1e-9);
    assert!(raw["compression_space_saving"].is_f64());
}

#[test]
fn snapshots_are_chosen() {
    let (env, ids) = with_snapshots();
    let count = |arguments: &[&str]| {
        let stats = env.json(&[&["stats"], arguments].concat());
        number(&stats, "snapshots_count")
    };
    assert_eq!(count(&["-H", "db"]), 1);
    assert_eq!(count(&["-H", "nobody"]), 0);
    assert_eq!(count(&[&ids[0], &ids[1][..10]]), 2);
    assert_eq!(count(&[&ids[0], &ids[0]]), 1);
    assert_eq!(count(&["-H", "", "latest"]), 1);
    env.run(&["stats", "ffff"])
        .expect(1)
        .says("no snapshot has an ID that begins with ffff");
    env.run(&["stats", "--mode", "size"])
        .expect(2)
        .says("restore-size");
}

#[test]
fn people_read_columns() {
    let (env, ids) = with_snapshots();
    let text = env.ok(&["stats", "--mode", "raw-data", &ids[0]]).stdout;
    assert!(
        text.starts_with("Stats in raw-data mode:\n     Snapshots processed:  1\n"),
        "{text}"
    );
    assert!(text.contains("Compression Space Saving:  "), "{text}");
    env.ok(&["-q", "stats"]).prints("Total File Count");
}

#[test]
fn what_is_damaged_is_named_and_not_counted() {
    let (env, ids) = with_snapshots();
    let whole = env.json(&["stats", &ids[1]]);
    for pack in env.files("repo/meta") {
        std::fs::write(env.path("repo/meta").join(pack), "x").unwrap();
    }
    let run = env.run(&["stats", &ids[1]]).expect(3);
    run.says("error: ").says("is not counted");
    let run = env.run(&["--json", "stats", &ids[1]]).expect(3);
    let stats = run.messages().pop().unwrap();
    assert!(number(&stats, "error_count") > 0);
    assert!(number(&stats, "total_size") < number(&whole, "total_size"));
    assert_eq!(run.errors()[0]["during"], "stats");
}

#[test]
fn snapshots_stand_side_by_side_with_what_each_added() {
    let (env, ids) = with_snapshots();
    let by = env.json(&["stats", "-H", "", "--by", "snapshot"]);
    let parts = by["parts"].as_array().unwrap();
    let snapshots: Vec<&Value> = parts.iter().map(|part| &part["snapshot"]).collect();
    assert_eq!(snapshots, [&*ids[0], &*ids[1]]);
    let whole = env.json(&["stats", &ids[0]]);
    assert_eq!(
        number(&parts[0], "files"),
        number(&whole, "total_file_count")
    );
    assert_eq!(number(&parts[0], "size"), number(&whole, "total_size"));
    let raw = |ids: &[&str]| env.json(&[&["stats", "--mode", "raw-data"], ids].concat());
    let (one, both) = (raw(&[&ids[0]]), raw(&[&ids[0], &ids[1]]));
    let part = |at: usize, field| number(&parts[at], field);
    assert_eq!(part(0, "new_size"), number(&one, "total_uncompressed_size"));
    assert_eq!(part(0, "stored_size"), number(&one, "total_size"));
    let sum = part(0, "stored_size") + part(1, "stored_size");
    assert_eq!(sum, number(&both, "total_size"));
    assert_eq!(number(&by["total"], "stored_size"), sum);
    assert!(
        part(1, "new_size") < 20_000 && part(1, "new_size") >= 8,
        "{by}"
    );
    let ratio = parts[1]["deduplication_ratio"].as_f64().unwrap();
    assert!(ratio > 10.0, "{by}");
    let run = env.ok(&["stats", "-H", "", "--by", "snapshot"]);
    run.prints(&ids[1][..8])
        .prints(" db ")
        .prints("total")
        .prints("Dedup");
}

#[test]
fn extensions_stand_side_by_side() {
    let (env, _) = with_snapshots();
    env.write("src/OTHER.BIN", noise(1000, 9));
    env.backup(&[&env.text("src")]);
    let by = env.json(&["stats", "-H", "", "--by", "extension"]);
    let parts = by["parts"].as_array().unwrap();
    let names: Vec<&Value> = parts.iter().map(|part| &part["extension"]).collect();
    assert_eq!(names, ["bin", "txt"], "what takes most first");
    // b.bin and again.bin are one content; a.txt and two versions of c.txt.
    let counts = |at: usize| (number(&parts[at], "files"), number(&parts[at], "size"));
    assert_eq!((counts(0), counts(1)), ((2, 301_000), (3, 6 + 6 + 8)));
    assert_eq!(number(&parts[0], "new_size"), 301_000);
    assert!(number(&parts[0], "stored_size") > 290_000);
    let run = env.ok(&["stats", "-H", "", "--by", "type"]);
    run.prints("Extension").prints("bin ").prints("total");
    env.write("src/noending", "n");
    env.backup(&[&env.text("src")]);
    env.ok(&["stats", "--by", "extension"]).prints("(none) ");
}

#[test]
fn a_picture_is_written() {
    let (env, _) = with_snapshots();
    for by in ["snapshot", "extension"] {
        let file = env.text(&format!("{by}.svg"));
        env.ok(&["stats", "-H", "", "--by", by, "--svg", &file]);
        let svg = std::fs::read_to_string(&file).unwrap();
        assert!(
            svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        let mark = if by == "snapshot" {
            "<polyline"
        } else {
            ">bin</text>"
        };
        assert!(svg.contains(mark), "{svg}");
    }
    let nowhere = env.text("nowhere/x.svg");
    env.run(&["stats", "--by", "snapshot", "--svg", &nowhere])
        .expect(1)
        .says("the picture cannot be written to");
    env.run(&["stats", "--svg", &nowhere]).expect(2);
    env.run(&["stats", "--by", "snapshot", "--mode", "raw-data"])
        .expect(2);
}
