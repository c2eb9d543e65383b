//! Another repository than the one that a command works with, which something is taken from.

use crate::app::App;
use crate::credential::CredentialFlags;
use crate::exit::Failure;
use crate::place;
use crate::repository::{self, By, Opened, RepositoryFlags};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Flags about the other repository.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Another repository")]
pub struct OtherFlags {
    /// The other repository [$LARDER_FROM_REPOSITORY]
    #[arg(long, value_name = "PLACE", conflicts_with = "from_repository_file")]
    from_repo: Option<OsString>,

    /// Read its place from this file [$LARDER_FROM_REPOSITORY_FILE]
    #[arg(long, value_name = "FILE")]
    from_repository_file: Option<PathBuf>,

    /// Read its password from this file [$LARDER_FROM_PASSWORD_FILE]
    #[arg(long, value_name = "FILE", group = "from_credential")]
    from_password_file: Option<PathBuf>,

    /// Take what this command prints as its password [$LARDER_FROM_PASSWORD_COMMAND]
    #[arg(long, value_name = "COMMAND", group = "from_credential")]
    from_password_command: Option<OsString>,

    /// Open it with this key file [$LARDER_FROM_KEY_FILE]
    #[arg(long, value_name = "FILE", group = "from_credential")]
    from_key_file: Option<PathBuf>,

    /// Open it with an empty password
    #[arg(long, group = "from_credential")]
    from_insecure_no_password: bool,

    /// Try its key whose ID begins so first [$LARDER_FROM_KEY_HINT]
    #[arg(long, value_name = "ID")]
    from_key_hint: Option<String>,
}

impl OtherFlags {
    /// Whether a flag names it. Variables may be set for other commands.
    pub fn is_named(&self) -> bool {
        self.from_repo.is_some() || self.from_repository_file.is_some()
    }

    /// Opens it.
    pub fn open(self, app: &App) -> Result<Opened, Failure> {
        let env = app.env.of_other();
        let repository = RepositoryFlags {
            repo: self.from_repo,
            repository_file: self.from_repository_file,
            ..RepositoryFlags::default()
        };
        let credential = CredentialFlags {
            password_file: self.from_password_file,
            password_command: self.from_password_command,
            key_file: self.from_key_file,
            key_hint: self.from_key_hint,
            insecure_no_password: self.from_insecure_no_password,
            allow_costly_key: app.credential.allow_costly_key,
        };
        let place = place::place(&repository, &env)?;
        let by = By {
            credential: &credential,
            env: &env,
        };
        repository::open_other(app, &place, &by)
    }
}
