//! The way down and back: what a restore puts in place, seen through what a backup reads.

mod attributes;
mod place;

use super::*;
use std::path::Path;

fn with_target(test: impl FnOnce(&Path, &TargetDir)) {
    let temp = tempfile::tempdir().unwrap();
    let target = Target::open(temp.path()).unwrap();
    test(temp.path(), target.root());
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn complete(applied: Applied) {
    assert!(
        !applied.owner_skipped && applied.problems.is_empty() && applied.refused.is_empty(),
        "{applied:?}"
    );
}

fn own() -> (u32, u32) {
    (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    )
}
