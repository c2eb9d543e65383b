//! The tools: a shell line for each step. `$REPO`, `$STATE`, `$TREE`, `$DUMP` and `$OUT` say where everything is.

use crate::Result;
use crate::arguments::Arguments;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Init,
    Tree,
    TreeAgain,
    RestoreTree,
    Check,
    CheckData,
    Dump,
    DumpAgain,
    RestoreDump,
}

/// The steps with the names that the table shows.
pub const SHOWN: [(Step, &str); 8] = [
    (Step::Tree, "tree, first"),
    (Step::TreeAgain, "tree, unchanged"),
    (Step::RestoreTree, "tree, restore"),
    (Step::Check, "check"),
    (Step::CheckData, "check, all data"),
    (Step::Dump, "dump, first"),
    (Step::DumpAgain, "dump, same again"),
    (Step::RestoreDump, "dump, restore"),
];

/// A tool. An empty line means that it has no such step.
pub struct Tool {
    pub name: &'static str,
    /// The programs that must be installed.
    needs: &'static [&'static str],
    /// Before every step, unmeasured but for a shell's assignment.
    before: &'static str,
    init: &'static str,
    tree: &'static str,
    restore_tree: &'static str,
    /// Whether the tree lies below its full path in `$OUT` then.
    full_path: bool,
    check: &'static str,
    check_data: &'static str,
    dump: &'static str,
    restore_dump: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "larder",
        needs: &[],
        before: "export LARDER_PASSWORD=bench LARDER_REPOSITORY=\"$REPO\"",
        init: "\"$LARDER\" init",
        tree: "\"$LARDER\" backup \"$TREE\"",
        restore_tree: "\"$LARDER\" restore latest --target \"$OUT\"",
        full_path: true,
        check: "\"$LARDER\" check",
        check_data: "\"$LARDER\" check --read-data",
        dump: "\"$LARDER\" backup --stdin --stdin-filename stream < \"$DUMP\"",
        restore_dump: "\"$LARDER\" restore latest --target \"$OUT\"",
    },
    Tool {
        name: "restic",
        needs: &["restic"],
        before: "export RESTIC_PASSWORD=bench RESTIC_REPOSITORY=\"$REPO\"",
        init: "restic init",
        tree: "restic backup -q \"$TREE\"",
        restore_tree: "restic restore -q latest --target \"$OUT\"",
        full_path: true,
        check: "restic check -q",
        check_data: "restic check -q --read-data",
        dump: "restic backup -q --stdin --stdin-filename stream < \"$DUMP\"",
        restore_dump: "restic restore -q latest --target \"$OUT\"",
    },
    Tool {
        name: "rustic",
        needs: &["rustic"],
        before: "export RUSTIC_PASSWORD=bench RUSTIC_REPOSITORY=\"$REPO\" RUSTIC_NO_PROGRESS=true RUSTIC_LOG_LEVEL=warn",
        init: "rustic init",
        tree: "rustic backup \"$TREE\"",
        restore_tree: "rustic restore latest:\"$TREE\" \"$OUT\"",
        full_path: false,
        check: "rustic check",
        check_data: "rustic check --read-data",
        // Without --force it takes the content of the snapshot before.
        dump: "rustic backup --force --stdin-filename stream - < \"$DUMP\"",
        restore_dump: "rustic dump latest:/stream > \"$OUT/stream\"",
    },
    Tool {
        name: "borg",
        needs: &["borg"],
        before: "export BORG_REPO=\"$REPO\" BORG_PASSPHRASE=bench BORG_BASE_DIR=\"$STATE\"",
        init: "borg init -e repokey-blake2",
        tree: "cd \"$TREE\"; borg create -C zstd,3 ::{utcnow:%f} .",
        restore_tree: "cd \"$OUT\"; borg extract ::\"$(borg list --short --last 1)\"",
        full_path: false,
        check: "borg check --archives-only",
        check_data: "borg check --verify-data",
        dump: "borg create -C zstd,3 --stdin-name stream ::{utcnow:%f} - < \"$DUMP\"",
        restore_dump: "borg extract --stdout ::\"$(borg list --short --last 1)\" > \"$OUT/stream\"",
    },
    Tool {
        name: "bupstash",
        needs: &["bupstash"],
        before: "export BUPSTASH_REPOSITORY=\"$REPO\" BUPSTASH_KEY=\"$STATE/key\"",
        init: "bupstash new-key -o \"$STATE/key\"; bupstash init",
        tree: "bupstash put -q name=tree \"$TREE\" > \"$STATE/id\"",
        restore_tree: "bupstash restore -q --into \"$OUT\" id=\"$(cat \"$STATE/id\")\"",
        full_path: false,
        check: "",
        check_data: "",
        dump: "bupstash put -q name=stream - < \"$DUMP\" > \"$STATE/id\"",
        restore_dump: "bupstash get -q id=\"$(cat \"$STATE/id\")\" > \"$OUT/stream\"",
    },
    Tool {
        name: "pipe",
        needs: &["tar", "zstd", "age", "age-keygen"],
        before: "pack() { zstd -q -3 -T0 | age -r \"$(age-keygen -y \"$STATE/key\")\" > \"$REPO/$1\"; }; \
                 unpack() { age -d -i \"$STATE/key\" \"$REPO/$1\" | zstd -dc; }",
        init: "mkdir \"$REPO\"; age-keygen -o \"$STATE/key\"",
        tree: "tar -c -C \"$TREE\" . | pack tree",
        restore_tree: "unpack tree | tar -x -C \"$OUT\"",
        full_path: false,
        check: "",
        check_data: "unpack tree > /dev/null",
        dump: "pack dump < \"$DUMP\"",
        restore_dump: "unpack dump > \"$OUT/stream\"",
    },
];

impl Tool {
    /// The shell script of a step, if there is one.
    pub fn script(&self, step: Step) -> Option<String> {
        let line = match step {
            Step::Init => self.init,
            Step::Tree | Step::TreeAgain => self.tree,
            Step::RestoreTree => self.restore_tree,
            Step::Check => self.check,
            Step::CheckData => self.check_data,
            Step::Dump | Step::DumpAgain => self.dump,
            Step::RestoreDump => self.restore_dump,
        };
        (!line.is_empty()).then(|| format!("{}\n{line}", self.before))
    }

    /// Where in the target a restored tree lies.
    pub fn restored_tree(&self, tree: &Path) -> PathBuf {
        match self.full_path {
            true => tree.strip_prefix("/").unwrap_or(tree).to_path_buf(),
            false => PathBuf::new(),
        }
    }
}

/// larder, and the others that are wanted, or that are there.
pub fn installed(arguments: &Arguments) -> Result<Vec<&'static Tool>> {
    let is_there = |tool: &Tool| tool.needs.iter().all(|program| on_path(program));
    let Some(wanted) = &arguments.tools else {
        return Ok(TOOLS.iter().filter(|tool| is_there(tool)).collect());
    };
    for name in wanted {
        match TOOLS.iter().find(|tool| tool.name == name) {
            None => return Err(format!("there is no tool {name} here").into()),
            Some(tool) if !is_there(tool) => {
                return Err(format!("{name} is not installed: it needs {:?}", tool.needs).into());
            }
            Some(_) => {}
        }
    }
    let is_wanted = |tool: &&Tool| tool.name == "larder" || wanted.iter().any(|w| w == tool.name);
    Ok(TOOLS.iter().filter(is_wanted).collect())
}

fn on_path(program: &str) -> bool {
    let look = format!("command -v {program} > /dev/null");
    let looked = Command::new("sh").args(["-c", &look]).status();
    looked.is_ok_and(|status| status.success())
}
