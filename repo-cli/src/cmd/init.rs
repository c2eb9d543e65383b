//! `larder init`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::{credential, json, key_file, repository};
use clap::Args;
use repo_core::format::key_slot::Credential;
use std::path::PathBuf;

/// Arguments of `init`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Make this key file and use it instead of a password
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
}

/// Makes a repository.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let mut made = None;
    let created = repository::create(app, || match &arguments.new_key_file {
        Some(path) => {
            let key = key_file::create(path)?;
            made = Some(path);
            Ok(Credential::KeyFile(key))
        }
        None => credential::first(&app.credential, &app.env, false),
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
    if app.terminal.json() {
        app.terminal.json_line(&json::Initialized {
            message_type: "initialized",
            id: opened.repo.id().to_hex(),
            repository: &place.to_string(),
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
    Ok(Exit::Done)
}
