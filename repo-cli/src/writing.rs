//! How what is new is written, in every command that writes.

use crate::env::Env;
use crate::exit::Failure;
use crate::text::printable;
use clap::Args;
use repo_core::compress::Level;
use repo_core::format::settings::Settings;
use std::ffi::{OsStr, OsString};

/// Flags that say how packs are made.
#[derive(Args, Debug, Default)]
pub struct WritingFlags {
    /// How hard to compress: off, fast, auto, better or max [$LARDER_COMPRESSION, default auto]
    ///
    /// `auto` is zstd 3, `fast` 1, `better` 9, `max` 19; data of which zstd 1 makes less, as of database dumps, gets that in
    /// `auto` and `better`. What does not become smaller is stored as it is. `off` stores all data as it is, and compresses
    /// only what describes files. Reading takes the same time and memory for all.
    #[arg(
        long,
        value_name = "MODE",
        global = true,
        hide_short_help = true,
        help_heading = "Writing"
    )]
    pub compression: Option<OsString>,

    /// Close a pack once it has this many MiB, 1 to 256, or 0 for what the repository has; it may get some blocks more
    /// [$LARDER_PACK_SIZE, default 16]
    ///
    /// Fewer and larger objects suit a place that is slow to answer. A pack may become larger by some blocks of 2 MiB. About six
    /// packs are in memory at a time.
    #[arg(
        long,
        value_name = "MIB",
        global = true,
        hide_short_help = true,
        help_heading = "Writing"
    )]
    pub pack_size: Option<OsString>,

    /// Accepted without effect: what is written is always verified
    #[arg(long, global = true, hide_short_help = true, help_heading = "Writing")]
    pub no_extra_verify: bool,
}

impl WritingFlags {
    /// Refuses flags that make no sense.
    pub fn check(&self) -> Result<(), Failure> {
        let none = Env::none();
        self.level(&none)?;
        self.pack_bytes(&none).map(drop)
    }

    /// How hard to compress, by flag or environment.
    pub fn level(&self, env: &Env) -> Result<Level, Failure> {
        let Some((name, value)) = given("--compression", &self.compression, env, "COMPRESSION")
        else {
            return Ok(Level::default());
        };
        match value.to_str() {
            Some("off") => Ok(Level::Off),
            Some("fast" | "fastest") => Ok(Level::Fast),
            Some("auto") => Ok(Level::Auto),
            Some("better") => Ok(Level::Better),
            Some("max") => Ok(Level::Max),
            _ => Err(refused(
                &name,
                &value,
                "Modes are off, fast, auto, better and max.",
            )),
        }
    }

    /// At how many bytes a pack is closed, by flag or environment; `None` leaves it to the repository, as 0 does.
    pub fn pack_bytes(&self, env: &Env) -> Result<Option<u32>, Failure> {
        let Some((name, value)) = given("--pack-size", &self.pack_size, env, "PACK_SIZE") else {
            return Ok(None);
        };
        let bytes = match value.to_str().map(str::parse::<u32>) {
            Some(Ok(0)) => return Ok(None),
            Some(Ok(mib)) => mib.checked_mul(1 << 20),
            _ => None,
        };
        match bytes.filter(|bytes| Settings::PACK_BYTES.contains(bytes)) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(refused(
                &name,
                &value,
                "It is a number of MiB from 1 to 256.",
            )),
        }
    }
}

/// What a flag says, or else `LARDER_<variable>` or `RESTIC_<variable>`, and which of them said it.
pub fn given(
    flag: &str,
    value: &Option<OsString>,
    env: &Env,
    variable: &str,
) -> Option<(String, OsString)> {
    let by_flag = value.clone().map(|value| (flag.to_owned(), value));
    let by_variable = || {
        let variable = env.ours(variable)?;
        Some((format!("${}", variable.name), variable.value))
    };
    by_flag.or_else(by_variable)
}

/// What is said of a value that makes no sense.
pub fn refused(name: &str, value: &OsStr, advice: &str) -> Failure {
    let value = value.to_string_lossy();
    Failure::usage(format!(
        "{name} cannot be `{}`\n{advice}",
        printable(&value)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(flag: Option<&str>, env: &[(&str, &str)]) -> Result<Level, Failure> {
        let flags = WritingFlags {
            compression: flag.map(Into::into),
            ..WritingFlags::default()
        };
        flags.level(&Env::fixed(env))
    }

    #[test]
    fn modes_are_those_of_restic_and_fast() {
        for (mode, expected) in [
            ("off", Level::Off),
            ("fast", Level::Fast),
            ("fastest", Level::Fast),
            ("auto", Level::Auto),
            ("better", Level::Better),
            ("max", Level::Max),
        ] {
            assert_eq!(
                level(Some(mode), &[("LARDER_COMPRESSION", "x")]).unwrap(),
                expected
            );
            assert_eq!(
                level(None, &[("RESTIC_COMPRESSION", mode)]).unwrap(),
                expected
            );
        }
        assert_eq!(level(None, &[]).unwrap(), Level::Auto);
        assert_eq!(
            level(None, &[("RESTIC_COMPRESSION", "")]).unwrap(),
            Level::Auto
        );
        for wrong in ["", "AUTO", "3", "best"] {
            let failure = level(Some(wrong), &[]).unwrap_err();
            assert!(failure.text().starts_with("--compression cannot be"));
        }
        let failure = level(None, &[("RESTIC_COMPRESSION", "best")]).unwrap_err();
        assert!(
            failure
                .text()
                .starts_with("$RESTIC_COMPRESSION cannot be `best`")
        );
    }

    #[test]
    fn packs_have_bounds() {
        let size = |flag: Option<&str>, env: &[(&str, &str)]| {
            let flags = WritingFlags {
                pack_size: flag.map(Into::into),
                ..WritingFlags::default()
            };
            flags.pack_bytes(&Env::fixed(env))
        };
        assert_eq!(size(None, &[]).unwrap(), None);
        assert_eq!(size(Some("0"), &[]).unwrap(), None);
        assert_eq!(size(Some("1"), &[]).unwrap(), Some(1 << 20));
        assert_eq!(
            size(None, &[("RESTIC_PACK_SIZE", "256")]).unwrap(),
            Some(256 << 20)
        );
        for wrong in [
            "",
            "257",
            "-1",
            "4096",
            "99999999999999999999",
            "16M",
            "1.5",
        ] {
            let failure = size(Some(wrong), &[]).unwrap_err();
            assert!(
                failure.text().starts_with("--pack-size cannot be"),
                "{wrong}"
            );
        }
    }
}
