//! `larder cache`

use crate::app::App;
use crate::cache::{self, Cache, MAX_AGE_DAYS};
use crate::exit::{Exit, Failure};
use crate::json;
use crate::message::plain_io;
use crate::text::{Table, bytes, counted, printable, rfc3339};
use clap::Args;
use std::path::Path;

/// Arguments of `cache`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Remove caches that are old
    #[arg(long)]
    cleanup: bool,

    /// A cache that was not used for so many days is old
    #[arg(long, value_name = "DAYS", default_value_t = MAX_AGE_DAYS)]
    max_age: u64,

    /// Do not show how large each is
    #[arg(long)]
    no_size: bool,
}

/// Lists or removes caches. They only save time: whatever is removed comes again.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    if app.repository.no_cache {
        return Err(Failure::usage(
            "--no-cache leaves no cache to list or remove",
        ));
    }
    let base = cache::base(&app.repository, &app.env).ok_or_else(|| {
        Failure::failed("there is no directory for caches\nSet HOME or LARDER_CACHE_DIR.")
    })?;
    let shown = printable(&base.to_string_lossy()).into_owned();
    let failed =
        |error: std::io::Error| Failure::failed(format!("caches in {shown}: {}", plain_io(&error)));
    if arguments.cleanup {
        clean_up(app, &base, &arguments, &shown).map_err(failed)?;
        return Ok(Exit::Done);
    }
    let caches = cache::list(&base).map_err(failed)?;
    if app.terminal.json() {
        let messages = caches.iter().map(|cache| message(cache, &arguments));
        app.terminal.json_line(&messages.collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    if caches.is_empty() {
        app.terminal.result(&format!("no caches in {shown}\n"))?;
        return Ok(Exit::Done);
    }
    let count = counted(caches.len() as u64, "cache", "caches");
    app.terminal.result(&format!(
        "{}{count} in {shown}\n",
        table(&caches, &arguments)
    ))?;
    Ok(Exit::Done)
}

fn clean_up(app: &App, base: &Path, arguments: &Arguments, shown: &str) -> std::io::Result<()> {
    let mut none = false;
    cache::remove_old(base, arguments.max_age, |old| {
        none = old.is_empty();
        if !none {
            let count = counted(old.len() as u64, "old cache", "old caches");
            // A reader that went away does not stop it.
            let _ = app.terminal.say(&format!("removing {count} in {shown}"));
        }
    })?;
    if none {
        let _ = app.terminal.say(&format!("no old caches in {shown}"));
    }
    Ok(())
}

fn message(cache: &Cache, arguments: &Arguments) -> json::Cache {
    json::Cache {
        id: cache.id.clone(),
        path: cache.path.to_string_lossy().into_owned(),
        last_used: rfc3339(cache.used, 0),
        old: cache.is_old(arguments.max_age),
        size: (!arguments.no_size).then(|| cache.bytes()),
    }
}

fn table(caches: &[Cache], arguments: &Arguments) -> String {
    let head = ["Repo ID", "Last Used", "Old", "Size"];
    let columns = if arguments.no_size { 3 } else { 4 };
    let mut table = Table::new(&head[..columns]).right(3);
    for cache in caches {
        let mut row = vec![
            cache.id[..10].to_owned(),
            format!("{} ago", counted(cache.age_days(), "day", "days")),
            String::from(if cache.is_old(arguments.max_age) {
                "yes"
            } else {
                ""
            }),
        ];
        if !arguments.no_size {
            row.push(bytes(cache.bytes()));
        }
        table.row(row);
    }
    table.render()
}
