//! The environment: the one place that reads it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

/// Gives the value of a variable.
type Read = dyn Fn(&str) -> Option<OsString>;

/// The variables of a process, or of a test.
pub struct Env {
    read: Rc<Read>,
    /// What stands in names of variables behind the family.
    infix: &'static str,
}

/// A variable that is set, and its name for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, never empty.
    pub value: OsString,
}

impl Env {
    /// The variables of this process.
    pub fn of_process() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the environment"
        )]
        let read = |name: &str| std::env::var_os(name);
        Self {
            read: Rc::new(read),
            infix: "",
        }
    }

    /// The variables about another repository that something is copied from: `LARDER_FROM_REPOSITORY` and so on.
    pub fn of_other(&self) -> Self {
        Self {
            read: Rc::clone(&self.read),
            infix: "FROM_",
        }
    }

    /// Whether these are the variables about another repository.
    pub fn is_of_other(&self) -> bool {
        !self.infix.is_empty()
    }

    /// The value of a variable. One that is empty counts as not set, as with restic.
    pub fn get(&self, name: &str) -> Option<OsString> {
        (self.read)(name).filter(|value| !value.is_empty())
    }

    /// Whether a variable is set and empty.
    #[cfg(feature = "serve")]
    pub fn is_empty(&self, name: &str) -> bool {
        (self.read)(name).is_some_and(|value| value.is_empty())
    }

    /// The variable `LARDER_<name>`, or else `RESTIC_<name>`.
    pub fn ours(&self, name: &str) -> Option<Variable> {
        FAMILIES
            .iter()
            .find_map(|family| self.of_family(family, name))
    }

    /// The variable `<family>_<name>`.
    pub fn of_family(&self, family: &str, name: &str) -> Option<Variable> {
        let name = format!("{family}_{}{name}", self.infix);
        self.get(&name).map(|value| Variable { name, value })
    }

    /// The directory that is named by `xdg`, or else `below` in the home directory, then `larder`.
    ///
    /// A relative path in `xdg` is ignored, as the XDG Base Directory Specification demands.
    pub fn directory(&self, xdg: &str, below: &str) -> Option<PathBuf> {
        let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|p| p.is_absolute());
        let named = self.get(xdg).and_then(absolute);
        let base = named.or_else(|| Some(self.get("HOME").and_then(absolute)?.join(below)))?;
        Some(base.join("larder"))
    }
}

/// Prefixes of variables, in the order in which they are asked.
pub const FAMILIES: [&str; 2] = ["LARDER", "RESTIC"];

/// A command that will not find our passwords in its environment, nor what leads to them.
pub fn child(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_secret(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether a variable holds a password or a token, or says where one is: `LARDER_PASSWORD`, `RESTIC_PASSWORD_FILE`,
/// `RESTIC_FROM_PASSWORD_COMMAND` and their like.
fn is_secret(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    FAMILIES.iter().any(|family| {
        let ours = name
            .strip_prefix(family)
            .and_then(|rest| rest.strip_prefix('_'));
        ours.is_some_and(|rest| {
            rest.starts_with("PASSWORD") || rest.contains("_PASSWORD") || rest.ends_with("_TOKEN")
        })
    })
}

impl Env {
    /// An environment without variables.
    pub fn none() -> Self {
        Self {
            read: Rc::new(|_| None),
            infix: "",
        }
    }
}

#[cfg(test)]
impl Env {
    /// An environment of these variables.
    pub fn fixed(variables: &[(&str, &str)]) -> Self {
        let owned: Vec<(String, OsString)> = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).into()))
            .collect();
        let read = move |name: &str| {
            owned
                .iter()
                .find(|(other, _)| other == name)
                .map(|(_, value)| value.clone())
        };
        Self {
            read: Rc::new(read),
            infix: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_variables_come_first_and_empty_ones_do_not_count() {
        let env = Env::fixed(&[
            ("LARDER_X", "a"),
            ("RESTIC_X", "b"),
            ("LARDER_Y", ""),
            ("RESTIC_Y", "c"),
        ]);
        assert_eq!(env.ours("X").unwrap().name, "LARDER_X");
        assert_eq!(env.ours("Y").unwrap().value, "c");
        assert_eq!(env.ours("Z"), None);
    }

    #[test]
    fn the_other_repository_has_variables_of_its_own() {
        let env = Env::fixed(&[("RESTIC_FROM_PASSWORD", "a"), ("RESTIC_PASSWORD", "b")]);
        let other = env.of_other();
        assert_eq!(other.ours("PASSWORD").unwrap().name, "RESTIC_FROM_PASSWORD");
        assert_eq!(env.ours("PASSWORD").unwrap().value, "b");
        assert!(other.is_of_other() && !env.is_of_other());
    }

    #[test]
    fn directories_follow_xdg() {
        let directory = |variables: &[(&str, &str)]| {
            Env::fixed(variables).directory("XDG_STATE_HOME", ".local/state")
        };
        let home = ("HOME", "/home/u");
        assert_eq!(
            directory(&[home]),
            Some("/home/u/.local/state/larder".into())
        );
        assert_eq!(
            directory(&[home, ("XDG_STATE_HOME", "/s")]),
            Some("/s/larder".into())
        );
        let relative = directory(&[home, ("XDG_STATE_HOME", "s")]);
        assert_eq!(relative, Some("/home/u/.local/state/larder".into()));
        assert_eq!(directory(&[]), None);
    }

    #[test]
    fn what_leads_to_a_password_is_known_by_its_name() {
        for name in [
            "LARDER_PASSWORD",
            "LARDER_SERVE_TOKEN",
            "RESTIC_PASSWORD",
            "LARDER_PASSWORD_FILE",
            "RESTIC_PASSWORD_COMMAND",
            "RESTIC_FROM_PASSWORD",
            "LARDER_PASSWORD2",
        ] {
            assert!(is_secret(name.as_ref()), "{name}");
        }
        for name in ["PGPASSWORD", "LARDER_HOST", "RESTIC_REPOSITORY", "PASSWORD"] {
            assert!(!is_secret(name.as_ref()), "{name}");
        }
    }
}
