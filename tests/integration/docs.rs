//! What the documents for users say, held against the program.

use crate::cli_help::{BLESS, COMMANDS};
use crate::environment::{Run, TestEnvironment};
use repo_core::pattern::List;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document(name: &str) -> String {
    let path = root().join("docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Sections of the help that all commands have.
const OF_ALL: [&str; 4] = ["Repository:", "Password and keys:", "Writing:", "Output:"];

/// The sections of a help text, each with the line that it begins with.
fn sections(help: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for line in help.lines() {
        let heading = line.ends_with(':') && !line.starts_with(' ');
        if heading {
            found.push(String::new());
        }
        let last = found.last_mut().unwrap();
        last.push_str(line);
        last.push('\n');
    }
    found
        .iter()
        .map(|text| text.trim_end().to_owned())
        .collect()
}

fn is_of_all(section: &str) -> bool {
    OF_ALL.iter().any(|heading| section.starts_with(heading))
}

/// The reference of all commands, out of their help.
fn reference(env: &TestEnvironment) -> String {
    let help = |command: &[&str]| sections(&env.ok(&[command, &["--help"]].concat()).stdout);
    let mut text = "\
# Commands

This is what `larder help` says. Flags that every command takes stand here once.
"
    .to_owned();
    let mut add = |heading: &str, sections: &[String]| {
        text.push_str(&format!(
            "\n## {heading}\n\n```text\n{}\n```\n",
            sections.join("\n\n")
        ));
    };
    let (of_all, own): (Vec<_>, Vec<_>) = help(&[]).into_iter().partition(|s| is_of_all(s));
    add("larder", &own);
    add("Flags of all commands", &of_all);
    for command in &COMMANDS[1..] {
        let mut own = help(command);
        own.retain(|section| !is_of_all(section));
        add(&[&["larder"], *command].concat().join(" "), &own);
    }
    text
}

#[test]
fn the_reference_of_commands_is_current() {
    let env = TestEnvironment::new();
    let current = reference(&env);
    if BLESS {
        std::fs::write(root().join("docs/commands.md"), &current).unwrap();
    }
    assert_eq!(
        current,
        document("commands.md"),
        "build with LARDER_BLESS=1 to write it anew"
    );
}

/// The first cells of the rows of the first table, without their backticks.
fn rows(text: &str) -> Vec<Vec<String>> {
    let table = text.lines().skip_while(|line| !line.starts_with("| "));
    let rows = table.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split(" | ");
        cells
            .map(|cell| cell.trim().trim_matches('`').to_owned())
            .collect()
    };
    rows.map(cells).collect()
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let source = std::fs::read_to_string(root().join("repo-cli/src/exit.rs")).unwrap();
    let constants = source.lines().filter_map(|line| {
        let (_, rest) = line.split_once("const ")?;
        let (_, number) = rest.strip_suffix(';')?.split_once(": u8 = ")?;
        Some(number.to_owned())
    });
    let rows = rows(&document("exit-codes.md"));
    let documented: BTreeSet<String> = rows.into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(documented, constants.collect());
    assert!(documented.len() >= 8);
}

#[test]
fn patterns_match_as_their_examples_say() {
    let rows = rows(&document("patterns.md"));
    assert!(rows.len() >= 12);
    for row in rows {
        let [pattern, path, matches] = &row[..] else {
            panic!("{row:?}")
        };
        let list = List::parse(&[pattern], false).unwrap();
        let expected = match matches.as_str() {
            "yes" => true,
            "no" => false,
            other => panic!("{other} in {row:?}"),
        };
        assert_eq!(list.matches(Path::new(path)), expected, "{row:?}");
    }
}

/// Runs that end in each of the documented messages.
fn provoke(env: &TestEnvironment, message: &str) -> Run {
    let unwritable = env.text("key/no-directory");
    let without_home = |name: &str| env.run_with(&["snapshots"], &[(name, &unwritable)]);
    let without_folder = |name: &str, arguments: &[&str]| {
        let folder = env.path("repo").join(name);
        std::fs::rename(&folder, env.path("away")).unwrap();
        let run = env.run(arguments);
        std::fs::rename(env.path("away"), folder).unwrap();
        run
    };
    match message {
        "repository does not exist" => env.run(&["snapshots", "-r", "absent"]),
        "wrong password or no key found" => env.run(&["snapshots", "--password-file", "key"]),
        "contradict each other" => env.run(&["snapshots", "--key-file", "a", "--password-file", "b"]),
        "no repository was named" => env.run_with(&["snapshots"], &[("LARDER_REPOSITORY", "")]),
        "no password was given" => {
            let nothing = [("LARDER_KEY_FILE", "")];
            env.run_with(&["snapshots"], &nothing)
        }
        "is not empty" => env.run(&["init", "-r", "src"]),
        "is older than what this machine has seen of it" => {
            let log = env.files("repo/log");
            let newest = log.iter().filter(|file| !file.ends_with("open"));
            let newest = env.path("repo/log").join(newest.max().unwrap());
            let bytes = std::fs::read(&newest).unwrap();
            std::fs::remove_file(&newest).unwrap();
            let run = env.run(&["snapshots"]);
            std::fs::write(&newest, bytes).unwrap();
            run
        }
        "no snapshot has an ID that begins with" => env.run(&["ls", "ffff"]),
        "is not in the snapshot" => env.run(&["ls", "latest", "/absent"]),
        "does not belong to the repository" => {
            let stranger = env.write("repo/stranger", "");
            let run = env.run(&["check"]);
            std::fs::remove_file(stranger).unwrap();
            run
        }
        "repository contains errors" => {
            let pack = env.path("repo/data").join(&env.files("repo/data")[0]);
            let bytes = std::fs::read(&pack).unwrap();
            std::fs::remove_file(&pack).unwrap();
            let run = env.run(&["check"]);
            std::fs::write(pack, bytes).unwrap();
            run
        }
        "log entry" => env.run(&["cat", "log", "99"]),
        "no cache is used" => without_home("LARDER_CACHE_DIR"),
        "an old copy put in place of the repository would go unseen" => {
            without_home("LARDER_STATE_DIR")
        }
        "cannot write to standard output" => env.run_by_shell("\"$@\" > /dev/full", &["snapshots"]),
        "no space left on device" => env.run_by_shell("\"$@\" > /dev/full", &["version"]),
        "permission denied" => env.run_by_shell(
            "mkdir -p shut; : > shut/f; chmod 0 shut/f; if [ -r shut/f ]; then echo permission denied >&2; else \"$@\"; fi",
            &["backup", "shut"],
        ),
        "stays, as asked for" => {
            env.write("kept/src", "a file");
            env.run(&["restore", "latest", "-t", "kept", "--overwrite", "never"])
        }
        "behind the symbolic link" => {
            std::os::unix::fs::symlink("src", env.path("to-src")).unwrap();
            env.run(&["backup", "to-src/../src"])
        }
        "is protected and cannot be replaced" => {
            env.ok(&["protect", "latest", "--until", "forever"]);
            let run = env.run(&["tag", "--add", "a"]);
            env.ok(&["protect", "latest", "--remove"]);
            run
        }
        "nothing is forgotten or deleted" => {
            let number = |file: &PathBuf| file.file_name()?.to_str()?.parse::<u64>().ok();
            let newest = env.files("repo/log").into_iter().max_by_key(number);
            let newest = env.path("repo/log").join(newest.unwrap());
            let right = std::fs::read(&newest).unwrap();
            let mut wrong = right.clone();
            wrong[100] ^= 1;
            std::fs::remove_file(&newest).unwrap();
            std::fs::write(&newest, wrong).unwrap();
            let run = env.run(&["prune"]);
            std::fs::write(&newest, right).unwrap();
            run
        }
        "snapshots need what it holds" => without_folder("data", &["prune"]),
        "what the snapshots would free is not known" => {
            env.write("src/later", "more");
            env.backup(&["src"]);
            without_folder("meta", &["forget", "--keep-last", "1", "--dry-run"])
        }
        "in quarantine" => {
            (0..100).for_each(|n| drop(env.write(&format!("many/{n}"), "")));
            env.backup(&["many"]);
            (0..60).for_each(|n| std::fs::remove_file(env.path(&format!("many/{n}"))).unwrap());
            env.backup(&["many"]);
            let run = env.run(&["forget", "--keep-last", "1", "--path", &env.text("many")]);
            env.backup(&["src"]);
            run
        }
        "deleted by a prune" => {
            let id = env.backup(&["key"]);
            env.ok(&["forget", &id, "--prune", "--grace", "0"]);
            env.run(&["unforget", &id])
        }
        "there is no snapshot that fits" => env.run(&["check", "--tag", "none"]),
        "both are the same repository" => {
            env.run(&["copy", "--from-repo", "repo", "--from-key-file", "key"])
        }
        "is another repository than the source" => {
            env.ok(&["init", "-r", "foreign", "--new-key-file", "foreign-key"]);
            env.run(&["sync", "--to", "foreign"])
        }
        "has another log entry" => {
            env.ok(&["sync", "--to", "strayed"]);
            let state = env.text("state-strayed");
            let promote = ["promote", "-r", "strayed"];
            env.run_with(&promote, &[("LARDER_STATE_DIR", &state)])
                .expect(0);
            env.backup(&["src"]);
            env.run(&["sync", "--to", "strayed"])
        }
        "has log entries up to" => {
            env.ok(&["sync", "--to", "ahead"]);
            let state = env.text("state-ahead");
            let promote = ["promote", "-r", "ahead"];
            env.run_with(&promote, &[("LARDER_STATE_DIR", &state)])
                .expect(0);
            env.run(&["sync", "--to", "ahead"])
        }
        "is the repository itself" => env.run(&["sync", "--to", "x/../repo"]),
        "that are deleted stay in" | "stays what it was" => {
            let replica = ["sync", "--to", "held"];
            env.ok(&replica);
            let first = env.backup(&["key"]);
            env.ok(&replica);
            env.ok(&["forget", &first]);
            let before = env.files("repo/meta");
            env.write("src/held", format!("{before:?}"));
            env.backup(&["src", "key"]);
            let mut new = env.files("repo/meta").into_iter().filter(|file| !before.contains(file));
            let new = new.next().expect("a pack of trees");
            env.ok(&["prune", "--grace", "0"]);
            std::fs::rename(env.path("repo/meta").join(&new), env.path("lost")).unwrap();
            let run = env.run(&replica);
            std::fs::rename(env.path("lost"), env.path("repo/meta").join(new)).unwrap();
            run
        }
        "is not the same in" => {
            env.ok(&["sync", "--to", "spoilt"]);
            let mut config = std::fs::read(env.path("spoilt/config")).unwrap();
            let last = config.len() - 1;
            config[last] ^= 1;
            std::fs::write(env.path("spoilt/config"), config).unwrap();
            env.run(&["sync", "--to", "spoilt"])
        }
        "was not brought up" => {
            env.write("in-the-way", "a file");
            env.run(&["backup", "src", "--replica", "in-the-way"])
        }
        "is a replica, which gets what it holds" => {
            env.ok(&["sync", "--to", "follower"]);
            env.run(&["backup", "-r", "follower", "src"])
        }
        "went its own way" => {
            let elsewhere = env.text("elsewhere");
            let elsewhere = [("LARDER_STATE_DIR", elsewhere.as_str())];
            env.ok(&["sync", "--to", "apart"]);
            env.run_with(&["promote", "-r", "apart"], &elsewhere)
                .expect(0);
            env.backup(&["src"]);
            let promote = ["promote", "-r", "apart", "--replica", "repo"];
            env.run_with(&promote, &elsewhere)
        }
        "was not compared" => {
            env.ok(&["sync", "--to", "next"]);
            let promote = ["promote", "-r", "next", "--replica", "nowhere", "-n"];
            env.run(&promote)
        }
        "took backups of its own until now" => {
            env.ok(&["sync", "--to", "by-hand"]);
            std::fs::remove_file(env.path("by-hand/log/replica")).unwrap();
            std::fs::write(env.path("by-hand/log/0/open"), "open\n").unwrap();
            env.run(&["sync", "--to", "by-hand"])
        }
        "cannot be put back" => {
            env.ok(&["sync", "--to", "healer"]);
            let (data, away) = (env.path("repo/data"), env.path("away"));
            std::fs::rename(&data, &away).unwrap();
            std::fs::write(&data, "").unwrap();
            let run = env.run(&["restore", "latest", "-t", "healed", "--replica", "healer"]);
            std::fs::remove_file(&data).unwrap();
            std::fs::rename(away, data).unwrap();
            run
        }
        "was not copied" => {
            env.ok(&["init", "-r", "copies", "--new-key-file", "copies-key"]);
            let copy = ["-r", "copies", "--key-file", "copies-key"];
            let from = ["--from-repo", "repo", "--from-key-file", "key"];
            without_folder("data", &[&["copy"][..], &copy, &from].concat())
        }
        "is not there yet" => env.run(&["migrate", "x"]),
        "is no directory" => env.run(&["mount", &env.text("key")]),
        "holds no token" => env.run(&["serve", "--token-file", &env.text("src/a.txt")]),
        "cannot listen on" => {
            let taken = std::net::TcpListener::bind("localhost:0").unwrap();
            let address = taken.local_addr().unwrap().to_string();
            env.run(&["serve", "--listen", &address])
        }
        "browse needs a terminal" => env.run(&["browse"]),
        other => panic!("nothing leads to {other:?}"),
    }
}

#[test]
fn messages_are_those_of_the_program() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    env.backup(&["src"]);
    let text = document("messages.md");
    let headings = text.lines().filter_map(|line| line.strip_prefix("### `"));
    let messages: Vec<&str> = headings.map(|rest| rest.trim_end_matches('`')).collect();
    assert!(messages.len() >= 15, "{messages:?}");
    // What takes a process that is told to stop is tested where signals are.
    for message in messages.iter().filter(|message| **message != "interrupted") {
        let run = provoke(&env, message);
        assert!(
            run.stderr.contains(message),
            "{message:?} is not said: {run:?}"
        );
    }
    env.ok(&["check"]);
}

/// Every file of the program's sources.
fn sources() -> String {
    let mut text = String::new();
    let mut left = vec![root().join("repo-cli/src")];
    while let Some(path) = left.pop() {
        match path.is_dir() {
            true => left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path())),
            false => text += &std::fs::read_to_string(path).unwrap(),
        }
    }
    text
}

/// The names in capitals that follow `before` in a text.
fn names_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !(letter.is_ascii_uppercase() || letter == '_'));
        Some(&rest[..end.unwrap_or(rest.len())]).filter(|name| name.len() > 1)
    })
}

#[test]
fn the_variables_are_those_of_the_program() {
    let (text, sources) = (document("environment.md"), sources());
    let documented: BTreeSet<&str> = names_after(&text, "`").collect();
    // What help says, and what is asked for besides.
    let help = document("commands.md");
    for name in names_after(&help, "[$") {
        assert!(documented.contains(name), "{name}");
    }
    for asks in ["ours(\"", "find(\"", "of_family(family, \""] {
        for name in names_after(&sources, asks).filter(|name| name.len() > 2) {
            let name = format!("LARDER_{name}");
            assert!(documented.contains(&*name), "{name}");
        }
    }
    for name in documented {
        let asked = match name.strip_prefix("LARDER_") {
            Some(rest) => format!("\"{}\"", rest.trim_start_matches("FROM_")),
            None => name.to_owned(),
        };
        // What libraries look at.
        let by_others = ["TZ", "TMPDIR", "LARDER_", "RESTIC_"].contains(&name);
        let whole = format!("\"{name}\"");
        let known = sources.contains(&asked) || sources.contains(&whole);
        assert!(known || by_others, "{name} is not asked for");
    }
}

#[test]
fn documents_lead_to_documents_that_are_there() {
    let mut count = 0;
    let documents = std::fs::read_dir(root().join("docs")).unwrap();
    let documents = documents.map(|entry| entry.unwrap().path());
    let documents = documents.chain([root().join("README.md")]);
    for path in documents.filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| target.ends_with(".md")) {
            let target = path.parent().unwrap().join(target);
            assert!(
                target.exists(),
                "{} leads to {}",
                path.display(),
                target.display()
            );
            count += 1;
        }
    }
    assert!(count >= 4);
}
