//! `larder key list`, `add`, `remove`, `passwd`

use crate::app::App;
use crate::credential::{self, NewCredentialFlags};
use crate::exit::{Exit, Failure};
use crate::repository::{self, Opened};
use crate::text::{Table, local_time, printable};
use crate::{json, message};
use clap::{Args, Subcommand};
use repo_core::crypto::KdfParams;
use repo_core::format::key_slot::{Credential, Label, SlotKind};
use repo_core::repo::{KeyFailure, KeyInfo, NewOwner};

/// Arguments of `key`.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What to do with keys.
#[derive(Subcommand, Debug)]
enum Command {
    /// List passwords and key files that open the repository
    List,
    /// Add a password or a key file
    Add(Add),
    /// Remove a password or a key file
    Remove {
        /// The beginning of the key's ID
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Replace the password or key file that opens the repository now
    Passwd(Passwd),
}

/// Arguments of `key add`.
#[derive(Args, Debug)]
struct Add {
    #[command(flatten)]
    new: NewCredentialFlags,

    /// The user to record, instead of the one who runs this
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// The host to record, instead of this one
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

/// Arguments of `key passwd`.
#[derive(Args, Debug)]
struct Passwd {
    #[command(flatten)]
    new: NewCredentialFlags,

    /// The user to record from now on
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// The host to record from now on
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

/// Does it.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let opened = repository::open(app, false)?;
    match arguments.command {
        Command::List => list(app, &opened),
        Command::Add(add) => add_key(app, &opened, add),
        Command::Remove { id } => remove(app, &opened, &id),
        Command::Passwd(arguments) => passwd(app, &opened, arguments),
    }
}

fn list(app: &App, opened: &Opened) -> Result<Exit, Failure> {
    let mut keys = opened.repo.keys()?;
    let created = |key: &KeyInfo| key.label.as_ref().map(|label| label.created);
    keys.sort_by_key(|key| (created(key), key.id));
    if app.terminal.json() {
        let keys: Vec<json::Key> = keys.iter().map(message).collect();
        app.terminal.json_line(&keys)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[" ID", "User", "Host", "Created", "Kind", "Role"]);
    for key in &keys {
        let key = message(key);
        table.row(vec![
            format!("{}{}", if key.current { "*" } else { " " }, &key.id[..8]),
            printable(&key.user_name).into_owned(),
            printable(&key.host_name).into_owned(),
            key.created,
            key.kind.into(),
            key.role.into(),
        ]);
    }
    app.terminal.result(&table.render())?;
    Ok(Exit::Done)
}

fn message(key: &KeyInfo) -> json::Key {
    let label = key.label.clone().unwrap_or_default();
    json::Key {
        current: key.current,
        id: key.id.to_hex(),
        created: key
            .label
            .as_ref()
            .map_or(String::new(), |label| local_time(label.created)),
        user_name: label.user,
        host_name: label.host,
        kind: match key.kind {
            SlotKind::Password => "password",
            SlotKind::KeyFile => "key-file",
        },
        role: key.role.name(),
    }
}

fn add_key(app: &App, opened: &Opened, add: Add) -> Result<Exit, Failure> {
    let label: Label = repository::label(add.user, add.host);
    let id = with_new(app, &add.new, |credential| {
        opened
            .repo
            .key_add(credential, KdfParams::default(), &label)
    })?;
    app.terminal.say(&format!("saved new key with ID {id}"))?;
    Ok(Exit::Done)
}

fn passwd(app: &App, opened: &Opened, arguments: Passwd) -> Result<Exit, Failure> {
    let Passwd { new, user, host } = arguments;
    let (old, owner) = (&opened.credential, NewOwner { user, host });
    let changed = with_new(app, &new, |credential| {
        opened
            .repo
            .key_passwd(old, credential, KdfParams::default(), &owner)
    })?;
    app.terminal
        .say(&format!("saved new key as {}", changed.id))?;
    let Some(error) = changed.left else {
        return Ok(Exit::Done);
    };
    app.terminal.warn(&format!(
        "the old key opens the repository still, because it could not be deleted: {}; remove it with `larder key remove {}`",
        message::reason(&error),
        opened.repo.key().short()
    ));
    Ok(Exit::Partial)
}

/// Gets the new credential and uses it. A key file that was made for nothing is removed again; one that may open the
/// repository stays, whatever went wrong.
fn with_new<T>(
    app: &App,
    flags: &NewCredentialFlags,
    act: impl FnOnce(&Credential) -> Result<T, KeyFailure>,
) -> Result<T, Failure> {
    let credential = credential::new(flags)?;
    act(&credential).map_err(|failure| {
        match (&flags.new_key_file, failure.slot_may_stand) {
            (Some(path), false) => drop(std::fs::remove_file(path)),
            (_, true) => app.terminal.warn(
                "the new key may open the repository already, so keep it; `larder key list` shows which keys there are",
            ),
            (None, false) => {}
        }
        failure.error.into()
    })
}

fn remove(app: &App, opened: &Opened, beginning: &str) -> Result<Exit, Failure> {
    let keys = opened.repo.keys()?;
    let key = find(&keys, beginning)?;
    if key.current {
        return Err(Failure::failed(format!(
            "key {} is the one that opens the repository now, so it stays\n\
             Open the repository with another key to remove it, or replace it with `larder key passwd`.",
            key.id.short()
        )));
    }
    opened.repo.key_remove(&key.id)?;
    app.terminal.say(&format!("removed key {}", key.id))?;
    Ok(Exit::Done)
}

fn find<'a>(keys: &'a [KeyInfo], beginning: &str) -> Result<&'a KeyInfo, Failure> {
    let wanted = beginning.to_ascii_lowercase();
    let mut fits = keys
        .iter()
        .filter(|key| !wanted.is_empty() && key.id.to_hex().starts_with(&wanted));
    match (fits.next(), fits.next()) {
        (Some(key), None) => Ok(key),
        (None, _) if beginning.is_empty() => Err(Failure::usage(
            "the ID of the key is empty\n`larder key list` shows those that there are.",
        )),
        (None, _) => Err(Failure::failed(format!(
            "no key has an ID that begins with {}\n`larder key list` shows those that there are.",
            printable(beginning)
        ))),
        (Some(_), Some(_)) => Err(Failure::failed(format!(
            "several keys have an ID that begins with {}\nGive more of it.",
            printable(beginning)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use repo_core::crypto::Role;
    use repo_core::id::KeyId;

    fn key(first: u8) -> KeyInfo {
        let mut id = KeyId([7; 32]);
        id.0[0] = first;
        KeyInfo {
            id,
            kind: SlotKind::Password,
            role: Role::Full,
            label: None,
            current: false,
        }
    }

    #[test]
    fn a_key_is_found_by_the_beginning_of_its_id() {
        let keys = [key(0xab), key(0xac)];
        assert_eq!(find(&keys, "AB").unwrap().id, keys[0].id);
        assert!(find(&keys, "a").unwrap_err().text().contains("several"));
        assert!(find(&keys, "ff").unwrap_err().text().contains("no key"));
        assert!(find(&keys, "").is_err());
    }

    #[test]
    fn a_key_file_goes_only_if_it_opens_nothing() {
        let app = App {
            repository: Default::default(),
            credential: Default::default(),
            writing: Default::default(),
            env: crate::env::Env::fixed(&[]),
            passed_over: Default::default(),
            purpose: Default::default(),
            opened: Default::default(),
            requests: Default::default(),
            terminal: crate::terminal::Terminal::new(Default::default()),
        };
        let dir = tempfile::tempdir().unwrap();
        for slot_may_stand in [false, true] {
            let path = dir.path().join("key");
            let flags = NewCredentialFlags {
                new_key_file: Some(path.clone()),
                ..Default::default()
            };
            let failed = with_new(&app, &flags, |_| -> Result<(), _> {
                assert!(path.exists());
                let error = repo_core::Error::interrupted();
                Err(KeyFailure {
                    error,
                    slot_may_stand,
                })
            });
            assert!(failed.is_err());
            assert_eq!(path.exists(), slot_may_stand);
        }
    }

    #[test]
    fn a_key_without_a_label_is_listed_all_the_same() {
        let message = message(&key(1));
        assert_eq!(
            (message.user_name.as_str(), message.created.as_str()),
            ("", "")
        );
        assert_eq!((message.kind, message.role), ("password", "full"));
    }
}
