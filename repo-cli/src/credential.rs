//! Passwords and key files: where they come from, in which order, and how they are read.
//!
//! A flag goes before `LARDER_*`, which goes before `RESTIC_*`; without any of them the user is asked. Of one family a file or a command
//! goes before the password itself, as with restic; other pairs contradict each other.

use crate::env::{self, Env, FAMILIES};
use crate::exit::Failure;
use crate::message::plain_io;
use crate::{key_file, signals};
use clap::Args;
use repo_core::format::key_slot::Credential;
use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use zeroize::{Zeroize, Zeroizing};

/// Most bytes of a password, from wherever it comes.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

type Password = Zeroizing<Vec<u8>>;

/// Flags that say what opens the repository.
#[derive(Args, Debug, Default)]
pub struct CredentialFlags {
    /// Read the password from this file [$LARDER_PASSWORD_FILE]
    ///
    /// White space around it is ignored.
    #[arg(
        short,
        long,
        value_name = "FILE",
        global = true,
        help_heading = "Password and keys"
    )]
    pub password_file: Option<PathBuf>,

    /// Take what this command prints as the password [$LARDER_PASSWORD_COMMAND]
    ///
    /// It is run without a shell, with quotation marks as in one. White space around the password is ignored.
    #[arg(
        long,
        value_name = "COMMAND",
        global = true,
        help_heading = "Password and keys"
    )]
    pub password_command: Option<OsString>,

    /// Use this key file instead of a password [$LARDER_KEY_FILE]
    ///
    /// Only its owner may be allowed to read it. `key add --new-key-file` makes one.
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        help_heading = "Password and keys"
    )]
    pub key_file: Option<PathBuf>,

    /// Try the key whose ID begins so first [$LARDER_KEY_HINT]
    #[arg(
        long,
        value_name = "ID",
        global = true,
        hide_short_help = true,
        help_heading = "Password and keys"
    )]
    pub key_hint: Option<String>,

    /// Use an empty password, which protects nothing
    #[arg(long, global = true, help_heading = "Password and keys")]
    pub insecure_no_password: bool,

    /// Open a key even if its password derivation costs more than 1 GiB of memory or 64 passes
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        help_heading = "Password and keys"
    )]
    pub allow_costly_key: bool,
}

/// Flags that say what will open the repository from now on.
#[derive(Args, Debug, Default)]
pub struct NewCredentialFlags {
    /// Read the new password from this file
    #[arg(long, value_name = "FILE")]
    pub new_password_file: Option<PathBuf>,

    /// Make this key file and use it instead of a password
    #[arg(long, value_name = "FILE")]
    pub new_key_file: Option<PathBuf>,

    /// Use an empty password, which protects nothing
    #[arg(long)]
    pub new_insecure_no_password: bool,
}

/// A question to the user, and what to say where nobody can be asked.
struct Asked {
    prompt: &'static str,
    whose: &'static str,
    otherwise: &'static str,
}

const OF_REPOSITORY: Asked = Asked {
    prompt: "enter password for repository: ",
    whose: "",
    otherwise: "Use --password-file, --password-command or --key-file, or set LARDER_PASSWORD; a repository without a password opens with \
                --insecure-no-password.",
};

const OF_OTHER_REPOSITORY: Asked = Asked {
    prompt: "enter password for source repository: ",
    whose: " for the source repository",
    otherwise: "Use --from-password-file, --from-password-command or --from-key-file, or set LARDER_FROM_PASSWORD; one without a \
                password opens with --from-insecure-no-password.",
};

const OF_NEW_REPOSITORY: Asked = Asked {
    prompt: "enter password for new repository: ",
    whose: " for the new repository",
    otherwise: "Use --password-file, --password-command or --key-file, or set LARDER_PASSWORD; `larder init \
                --new-key-file` makes a key file, --insecure-no-password a repository without a password.",
};

const OF_NEW_KEY: Asked = Asked {
    prompt: "enter new password: ",
    whose: " for the new key",
    otherwise: "Use --new-password-file or --new-key-file; --new-insecure-no-password makes a key without a password.",
};

/// Where a credential comes from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Empty,
    KeyFile(PathBuf),
    Command(OsString),
    File(PathBuf),
    /// In this variable.
    Variable(OsString),
    Ask,
}

/// A credential, and whether the user was asked for it (and may be asked again).
pub struct Given {
    /// What opens a key slot.
    pub credential: Credential,
    /// Typed in by the user.
    pub typed: bool,
}

/// Refuses flags and variables that contradict each other, before anything else is tried.
pub fn check(flags: &CredentialFlags, env: &Env) -> Result<(), Failure> {
    source(flags, env).map(drop)
}

/// Finds the credential of an existing repository.
///
/// `stdin_is_data` says that standard input is being backed up, so no password can come from there.
pub fn existing(flags: &CredentialFlags, env: &Env, stdin_is_data: bool) -> Result<Given, Failure> {
    match source(flags, env)? {
        Source::Ask => {
            let asked = match env.is_of_other() {
                true => &OF_OTHER_REPOSITORY,
                false => &OF_REPOSITORY,
            };
            let (password, typed) = ask(asked, stdin_is_data)?;
            Ok(Given {
                credential: Credential::Password(password),
                typed,
            })
        }
        other => Ok(Given {
            credential: from_source(other)?,
            typed: false,
        }),
    }
}

/// Finds the credential of a repository that is about to be made; a user is asked twice.
pub fn first(
    flags: &CredentialFlags,
    env: &Env,
    stdin_is_data: bool,
) -> Result<Credential, Failure> {
    match source(flags, env)? {
        Source::Ask => ask_twice(&OF_NEW_REPOSITORY, stdin_is_data),
        other => from_source(other),
    }
}

/// Finds the credential that a key slot gets; a user is asked twice. Makes the key file if one is asked for.
pub fn new(flags: &NewCredentialFlags) -> Result<Credential, Failure> {
    let given = [
        ("--new-password-file", flags.new_password_file.is_some()),
        ("--new-key-file", flags.new_key_file.is_some()),
        ("--new-insecure-no-password", flags.new_insecure_no_password),
    ];
    at_most_one(&given)?;
    if let Some(path) = &flags.new_key_file {
        return Ok(Credential::KeyFile(key_file::create(path)?));
    }
    if let Some(path) = &flags.new_password_file {
        return from_source(Source::File(path.clone()));
    }
    match flags.new_insecure_no_password {
        true => from_source(Source::Empty),
        false => ask_twice(&OF_NEW_KEY, false),
    }
}

fn source(flags: &CredentialFlags, env: &Env) -> Result<Source, Failure> {
    let given = [
        ("--password-file", flags.password_file.is_some()),
        ("--password-command", flags.password_command.is_some()),
        ("--key-file", flags.key_file.is_some()),
        ("--insecure-no-password", flags.insecure_no_password),
    ];
    at_most_one(&given)?;
    if flags.insecure_no_password {
        return match from_env(env)? {
            None => Ok(Source::Empty),
            Some((name, _)) => Err(Failure::usage(format!(
                "--insecure-no-password and ${name} contradict each other\nGive only one of them."
            ))),
        };
    }
    if let Some(path) = &flags.key_file {
        return Ok(Source::KeyFile(path.clone()));
    }
    if let Some(command) = &flags.password_command {
        return Ok(Source::Command(command.clone()));
    }
    if let Some(path) = &flags.password_file {
        return Ok(Source::File(path.clone()));
    }
    Ok(from_env(env)?.map_or(Source::Ask, |(_, source)| source))
}

/// The source that the environment names, and the variable that names it.
fn from_env(env: &Env) -> Result<Option<(String, Source)>, Failure> {
    for family in FAMILIES {
        let find = |name: &str| env.of_family(family, name);
        let key_file = if family == "LARDER" {
            find("KEY_FILE")
        } else {
            None
        };
        let found: Vec<(String, Source)> = [
            key_file.map(|v| (v.name, Source::KeyFile(v.value.into()))),
            find("PASSWORD_COMMAND").map(|v| (v.name, Source::Command(v.value))),
            find("PASSWORD_FILE").map(|v| (v.name, Source::File(v.value.into()))),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let [(first, _), (second, _), ..] = &found[..] {
            return Err(Failure::usage(format!(
                "${first} and ${second} contradict each other\nSet only one of them."
            )));
        }
        let plain = || find("PASSWORD").map(|v| (v.name, Source::Variable(v.value)));
        if let Some(found) = found.into_iter().next().or_else(plain) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn at_most_one(flags: &[(&str, bool)]) -> Result<(), Failure> {
    let mut given = flags
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| name);
    match (given.next(), given.next()) {
        (Some(first), Some(second)) => Err(Failure::usage(format!(
            "{first} and {second} contradict each other\nGive only one of them."
        ))),
        _ => Ok(()),
    }
}

fn from_source(source: Source) -> Result<Credential, Failure> {
    let password = match source {
        Source::Empty => return Ok(Credential::password(Vec::new())),
        Source::KeyFile(path) => return Ok(Credential::KeyFile(key_file::read(&path)?)),
        Source::Command(command) => run(&command)?,
        Source::File(path) => read_file(&path)?,
        Source::Variable(value) => Zeroizing::new(value.into_encoded_bytes()),
        Source::Ask => ask(&OF_REPOSITORY, false)?.0,
    };
    not_empty(password).map(Credential::Password)
}

fn not_empty(password: Password) -> Result<Password, Failure> {
    match password.is_empty() {
        false => Ok(password),
        true => Err(Failure::failed(
            "an empty password is not a password\n\
             For a repository without one use --insecure-no-password.",
        )),
    }
}

/// The content of a password file: a byte order mark and white space around it are left out.
fn read_file(path: &Path) -> Result<Password, Failure> {
    let cannot = |why: String| {
        Failure::failed(format!(
            "cannot read the password file {}: {why}",
            path.display()
        ))
    };
    let file = std::fs::File::open(path).map_err(|error| cannot(plain_io(&error)))?;
    let bytes = read_bounded(file).map_err(cannot)?;
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    Ok(Zeroizing::new(text.trim_ascii().to_vec()))
}

fn read_bounded(from: impl Read) -> Result<Password, String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    from.take(PASSWORD_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| plain_io(&error))?;
    match bytes.len() as u64 > PASSWORD_BYTES_MAX {
        true => Err("it is too long for a password".into()),
        false => Ok(bytes),
    }
}

/// What a command prints, white space around it left out. The command's own words are not repeated in messages.
fn run(command: &OsString) -> Result<Password, Failure> {
    let text = command
        .to_str()
        .ok_or_else(|| Failure::usage("the password command is not valid UTF-8"))?;
    let words = shell_words::split(text)
        .map_err(|_| Failure::usage("the password command has an unclosed quotation mark"))?;
    let [program, arguments @ ..] = &words[..] else {
        return Err(Failure::usage("the password command is empty"));
    };
    let cannot = |why: &str| Failure::failed(format!("the password command {program} {why}"));
    let mut child = env::child(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot(&format!("cannot be started: {}", plain_io(&error))))?;
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let printed = read_bounded(stdout);
    let status = child.wait().map_err(|error| cannot(&plain_io(&error)))?;
    if !status.success() {
        return Err(cannot(&format!("failed ({status})")));
    }
    let printed = printed.map_err(|why| cannot(&format!("printed no password: {why}")))?;
    Ok(Zeroizing::new(printed.trim_ascii().to_vec()))
}

/// Asks the user, or reads the first line of standard input if that is no terminal, as restic does.
///
/// Says whether the user can be asked again.
fn ask(asked: &Asked, stdin_is_data: bool) -> Result<(Password, bool), Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() || (stdin_is_data && std::io::stderr().is_terminal()) {
        let typed = signals::during_prompt(|| rpassword::prompt_password(asked.prompt));
        let typed = typed.map_err(|error| match error.kind() {
            std::io::ErrorKind::Interrupted => Failure::interrupted_at_prompt(),
            _ => Failure::failed(format!("cannot read the password: {}", plain_io(&error))),
        })?;
        return Ok((not_empty(Zeroizing::new(typed.into_bytes()))?, true));
    }
    let line = match stdin_is_data {
        true => Password::default(),
        false => first_line(stdin.lock())?,
    };
    match line.is_empty() {
        false => Ok((line, false)),
        true => Err(Failure::usage(format!(
            "no password was given{}, and there is no terminal to ask for one\n{}",
            asked.whose, asked.otherwise
        ))),
    }
}

fn first_line(from: impl BufRead) -> Result<Password, Failure> {
    let mut line = Password::default();
    from.take(PASSWORD_BYTES_MAX)
        .read_until(b'\n', &mut line)
        .map_err(|error| {
            Failure::failed(format!("cannot read the password: {}", plain_io(&error)))
        })?;
    while line
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        line.pop();
    }
    Ok(line)
}

fn ask_twice(asked: &Asked, stdin_is_data: bool) -> Result<Credential, Failure> {
    let (password, typed) = ask(asked, stdin_is_data)?;
    if typed {
        let again = Asked {
            prompt: "enter password again: ",
            ..*asked
        };
        let (mut again, _) = ask(&again, stdin_is_data)?;
        let same = password == again;
        again.zeroize();
        if !same {
            return Err(Failure::failed(
                "the two passwords are not the same\nTry again.",
            ));
        }
    }
    Ok(Credential::Password(password))
}

#[cfg(test)]
mod tests;
