//! Explores the protocol of the commit log further than the tests do (`docs/design/0001-commit-log.md`).

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::exit)]

use repo_core::log::explorer::{Limits, Rule, Setup, deep_setups, explore, setups};
use std::time::Instant;

const USAGE: &str = "\
usage: explore [OPTION VALUE]... [SETUP]...
  --without RULE   switch a rule of the protocol off; `each` for one after the other
  --backups N      only so many of the setup's backups
  --prunes N       so many prunes, two at most
  --dead N         class C: so many processes may be taken for dead
  --states N       stop after so many states
  --steps N        look no further than so many steps
SETUP is the name of one, `a` or `c` for a class, `deep` for the larger ones; without any, those of the tests.";

struct Options {
    rules: Vec<Option<Rule>>,
    backups: usize,
    prunes: Option<u8>,
    dead: Option<u32>,
    limits: Limits,
    names: Vec<String>,
}

fn options() -> Option<Options> {
    let mut options = Options {
        rules: vec![None],
        backups: usize::MAX,
        prunes: None,
        dead: None,
        limits: Limits {
            states: usize::MAX,
            steps: usize::MAX,
        },
        names: Vec::new(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if !arg.starts_with("--") {
            options.names.push(arg);
            continue;
        }
        let value = args.next()?;
        match arg.as_str() {
            "--without" => {
                let wanted = |rule: &Rule| value == "each" || value == format!("{rule:?}");
                options.rules = Rule::ALL.iter().copied().filter(wanted).map(Some).collect();
            }
            "--backups" => options.backups = value.parse().ok()?,
            "--prunes" => options.prunes = Some(value.parse().ok().filter(|n| *n <= 2)?),
            "--dead" => options.dead = Some(value.parse().ok()?),
            "--states" => options.limits.states = value.parse().ok()?,
            "--steps" => options.limits.steps = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(options)
}

fn chosen(names: &[String]) -> Vec<Setup> {
    let class_c = |setup: &Setup| setup.name.starts_with("c_");
    if names.is_empty() {
        return setups();
    }
    let deep = deep_setups();
    let is_deep = |setup: &Setup| deep.iter().any(|one| one.name == setup.name);
    let all = setups().into_iter().chain(deep_setups());
    let wanted = |setup: &Setup| {
        names.iter().any(|name| match name.as_str() {
            "a" => !class_c(setup) && !is_deep(setup),
            "c" => class_c(setup) && !is_deep(setup),
            "deep" => is_deep(setup),
            name => setup.name == name,
        })
    };
    all.filter(wanted).collect()
}

fn main() {
    let options = options().filter(|options| !options.rules.is_empty());
    let Some(options) = options else {
        println!("{USAGE}");
        std::process::exit(2);
    };
    for rule in &options.rules {
        for mut setup in chosen(&options.names) {
            setup.jobs.truncate(options.backups);
            setup.prunes = options.prunes.unwrap_or(setup.prunes);
            setup.dead = options.dead.unwrap_or(setup.dead);
            let begun = Instant::now();
            let report = explore(&setup, *rule, options.limits);
            let seconds = begun.elapsed().as_secs_f64();
            let without = rule.map_or(String::new(), |rule| format!("without {rule:?}: "));
            println!("{without}{}: {report} ({seconds:.1} s)", setup.name);
        }
    }
}
