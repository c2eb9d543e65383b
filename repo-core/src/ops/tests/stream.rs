//! Streams: where their file lies, and what is recorded of them.

use super::support::{Bed, Listener, assert_clean, names, noise, quietly};
use crate::error::{ErrorKind, Result};
use crate::format::snapshot::{Snapshot, SourceKind};
use crate::format::tree::Content;
use crate::ops::{BackupOptions, BackupSummary, Input, LsOptions, backup, ls};
use crate::progress::Interrupt;
use std::io::Read;

fn made(bed: &Bed, name: &str, program: Option<&str>, mut reader: &[u8]) -> Result<BackupSummary> {
    let input = Input::Stream {
        name: name.into(),
        reader: &mut reader,
        program: program.map(str::to_owned),
    };
    quietly(&bed.open(), input, &BackupOptions::default())
}

fn record(bed: &Bed, made: &BackupSummary) -> Snapshot {
    bed.open().load_snapshot(&made.snapshot.unwrap()).unwrap()
}

#[test]
fn a_stream_lies_in_the_directories_of_its_name() {
    let bed = Bed::new();
    let dump = noise(1, 200_000);
    let made = made(&bed, "/dumps//shop/db.sql", None, &dump).unwrap();
    let record = record(&bed, &made);
    assert_eq!(record.summary.paths, [b"/dumps/shop/db.sql"]);
    assert_eq!(record.sources[0].name, b"/dumps/shop/db.sql");
    assert_eq!(
        (record.sources[0].kind, &record.sources[0].dump),
        (SourceKind::Stream, &None)
    );
    let mut seen = Vec::new();
    let repo = bed.open();
    let list = LsOptions::default();
    ls(&repo, &made.snapshot.unwrap(), &list, &mut |path, node| {
        let size = match &node.content {
            Content::File(file) => Some(file.size),
            _ => None,
        };
        seen.push((path.to_path_buf(), node.mode, size));
        Ok(())
    })
    .unwrap();
    let expected = [
        ("/dumps", 0o755, None),
        ("/dumps/shop", 0o755, None),
        ("/dumps/shop/db.sql", 0o600, Some(200_000)),
    ];
    assert_eq!(
        seen,
        expected.map(|(path, mode, size)| (path.into(), mode, size))
    );
    assert_eq!((made.totals.files, made.totals.dirs), (1, 2));
    assert_clean(&bed.open());
}

#[test]
fn of_a_command_the_program_is_recorded() {
    let bed = Bed::new();
    let made = made(&bed, "db", Some("pg_dump"), b"dump").unwrap();
    let source = record(&bed, &made).sources.remove(0);
    assert_eq!(source.kind, SourceKind::Command);
    let dump = source.dump.unwrap();
    assert_eq!(
        (dump.command, dump.exit_status),
        (vec!["pg_dump".to_owned()], 0)
    );
}

#[test]
fn names_that_no_file_can_have_are_refused() {
    let bed = Bed::new();
    for name in ["", "/", "a/..", "..", "a/"] {
        let error = made(&bed, name, None, b"data").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
    }
}

/// Gives some data, and fails.
struct Fails(u64);

impl Read for Fails {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.min(into.len() as u64);
        self.0 -= count;
        match count {
            0 => Err(std::io::Error::other("the command failed")),
            _ => {
                into[..count as usize].fill(7);
                Ok(count as usize)
            }
        }
    }
}

#[test]
fn an_error_at_the_end_of_a_stream_makes_no_snapshot() {
    let bed = Bed::new();
    for len in [0, 1, 100_000, 20 << 20] {
        let mut reader = Fails(len);
        let input = Input::Stream {
            name: "db".into(),
            reader: &mut reader,
            program: Some("false".into()),
        };
        let (options, listener) = (BackupOptions::default(), Listener::default());
        backup(&bed.open(), input, &options, &listener, &Interrupt::new()).unwrap_err();
        assert_eq!(names(&bed.place, "snapshots"), [""; 0], "{len}");
    }
    assert_clean(&bed.open());
}
