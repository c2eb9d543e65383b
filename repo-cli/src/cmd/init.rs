//! `larder init`

mod from;

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::{credential, json, key_file, repository};
use clap::Args;
use from::FromFlags;
use repo_core::backend::Class;
use repo_core::format;
use repo_core::format::key_slot::Credential;
use std::path::PathBuf;

/// Arguments of `init`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Make this key file and use it instead of a password
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,

    /// The format of the repository: 1, `stable` and `latest` are the same so far
    #[arg(long, value_name = "VERSION", default_value = "stable", value_parser = parse_version, hide_short_help = true)]
    repository_version: u8,

    #[command(flatten)]
    from: FromFlags,
}

/// Reads a version of the format, as restic takes it.
fn parse_version(text: &str) -> Result<u8, String> {
    match text {
        "stable" | "latest" => Ok(format::VERSION),
        _ if text.parse() == Ok(format::VERSION) => Ok(format::VERSION),
        _ => Err(format!(
            "larder makes repositories of format {} only; restic's numbers mean others",
            format::VERSION
        )),
    }
}

/// Makes a repository.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments {
        new_key_file,
        repository_version: _,
        from,
    } = arguments;
    from.check()?;
    let mut made = None;
    let created = repository::create(app, || {
        let universe = from.universe(app)?;
        let credential = match &new_key_file {
            Some(path) => {
                let key = key_file::create(path)?;
                made = Some(path);
                Credential::KeyFile(key)
            }
            None => credential::first(&app.credential, &app.env, false)?,
        };
        Ok((credential, universe))
    });
    if let (Err(_), Some(path)) = (&created, made) {
        match repository::is_absent(app) {
            // The key opens nothing; left behind it would be in the way of the next attempt.
            true => drop(std::fs::remove_file(path)),
            false => app.terminal.warn(&format!(
                "there may be a repository already that {} opens, so keep it",
                path.display()
            )),
        }
    }
    let (opened, place) = created?;
    let class = opened.repo.state().class();
    if app.terminal.json() {
        app.terminal.json_line(&json::Initialized {
            message_type: "initialized",
            id: opened.repo.id().to_hex(),
            repository: &place.to_string(),
            class: match class {
                Class::A => "A",
                Class::C => "C",
            },
        })?;
        return Ok(Exit::Done);
    }
    app.terminal.say(&repository::created(&opened, &place))?;
    app.terminal.say(match (&opened.credential, app.credential.insecure_no_password) {
        (Credential::KeyFile(_), _) => {
            "\nKeep a copy of the key file in another place: without it nobody, we included, can\n\
             read your backups."
        }
        (_, true) => {
            "\nIt has no password: whoever can read its files can read your backups.\n\
             Give it one with `larder key add`."
        }
        _ => {
            "\nKeep the password in a safe place: without it nobody, we included, can read\n\
             your backups."
        }
    })?;
    if class == Class::C {
        app.terminal.say(
            "\nThis place lets several writers create one object (class C): nothing is lost, but prune waits for\n\
             whoever is at work. docs/places.md says more.",
        )?;
    }
    Ok(Exit::Done)
}
