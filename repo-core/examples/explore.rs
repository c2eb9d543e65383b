//! Explores the commit log's protocol: `explore [SETUP|all [RULE|-|all [LIMIT]]]`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::exit)]

use repo_core::log::explorer::{Report, Rule, class_a, class_c, explore_a, explore_c};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let limit = args.get(2).map_or(50_000_000, |n| n.parse().unwrap());
    let rules: Vec<Option<Rule>> = match args.get(1).map(String::as_str) {
        None | Some("-") => vec![None],
        Some("all") => Rule::ALL.into_iter().map(Some).collect(),
        Some(name) => Rule::ALL
            .into_iter()
            .filter(|r| format!("{r:?}") == name)
            .map(Some)
            .collect(),
    };
    for rule in rules {
        let wanted = |name: &str| match args.first().map(String::as_str) {
            None | Some("all") => true,
            Some("a") => !name.starts_with("c-"),
            Some("c") => name.starts_with("c-"),
            Some(only) => only == name,
        };
        for (name, setup) in class_a().into_iter().filter(|(name, _)| wanted(name)) {
            show(name, rule, || explore_a(setup, rule, limit));
        }
        for (name, setup) in class_c().into_iter().filter(|(name, _)| wanted(name)) {
            show(name, rule, || explore_c(setup, rule, limit));
        }
    }
}

fn show(name: &str, rule: Option<Rule>, explore: impl FnOnce() -> Report) {
    let begun = std::time::Instant::now();
    let report = explore();
    let seconds = begun.elapsed().as_secs_f64();
    match rule {
        None => println!("{name}: {report} ({seconds:.1} s)"),
        Some(rule) => println!("without {rule:?}: {name}: {report} ({seconds:.1} s)"),
    }
}
