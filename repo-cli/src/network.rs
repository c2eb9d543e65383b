//! How other machines are spoken to, in every command.

use crate::duration;
use crate::env::Env;
use crate::exit::Failure;
use crate::timetable::Timetable;
use crate::writing::{given, refused};
use clap::Args;
use std::ffi::OsString;
use std::time::Duration;

/// Longest time that can be asked for.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Flags about places on other machines.
#[derive(Args, Debug, Default)]
pub struct NetworkFlags {
    /// How many operations at once on another machine [default 5]
    #[arg(
        long,
        value_name = "N",
        global = true,
        hide_short_help = true,
        help_heading = "Repository",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=512)
    )]
    pub connections: Option<usize>,

    /// Send at most so many KiB a second to another machine, 0 for no limit; also by time of day
    /// [$LARDER_LIMIT_UPLOAD]
    ///
    /// A number may have a unit, as 2MiB. By time of day, parts follow each other behind commas: `08:00-18:00 2MiB, * 0` means 2 MiB a second
    /// from eight to six by the local clock, and no limit else. The first part counts whose time it is; `*` is any time.
    #[arg(
        long,
        value_name = "SPEED",
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub limit_upload: Option<OsString>,

    /// Receive at most so many KiB a second from another machine, likewise [$LARDER_LIMIT_DOWNLOAD]
    #[arg(
        long,
        value_name = "SPEED",
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub limit_download: Option<OsString>,

    /// Try for so long what another machine cannot do for the moment; 0 means once [$LARDER_RETRY_FOR, default 2m, or 7s if it
    /// never answered]
    ///
    /// That long are the pauses between the tries of one request in all, at most.
    #[arg(
        long,
        value_name = "DURATION",
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub retry_for: Option<OsString>,

    /// Take a request for lost that nothing came of for so long [$LARDER_STUCK_REQUEST_TIMEOUT, default 1m]
    ///
    /// What is sent has a second more for each 16 KiB.
    #[arg(
        long,
        value_name = "DURATION",
        global = true,
        hide_short_help = true,
        help_heading = "Repository"
    )]
    pub stuck_request_timeout: Option<OsString>,
}

impl NetworkFlags {
    /// Refuses flags that make no sense.
    pub fn check(&self) -> Result<(), Failure> {
        let none = Env::none();
        self.upload(&none)?;
        self.download(&none)?;
        self.retry_for(&none)?;
        self.stuck_request_timeout(&none).map(drop)
    }

    /// How fast bytes may go there, by flag or environment.
    pub fn upload(&self, env: &Env) -> Result<Option<Timetable>, Failure> {
        timetable("--limit-upload", &self.limit_upload, env, "LIMIT_UPLOAD")
    }

    /// How fast bytes may come from there.
    pub fn download(&self, env: &Env) -> Result<Option<Timetable>, Failure> {
        let flag = &self.limit_download;
        timetable("--limit-download", flag, env, "LIMIT_DOWNLOAD")
    }

    /// How long what may pass is tried again, if the user says.
    pub fn retry_for(&self, env: &Env) -> Result<Option<Duration>, Failure> {
        let advice = "It is a duration up to a week, as 90s, 5m or 1h30m; 0 means that nothing is tried again.";
        let range = Duration::ZERO..=LONGEST;
        let flag = given("--retry-for", &self.retry_for, env, "RETRY_FOR");
        duration_in(flag, range, advice)
    }

    /// How long an answer is waited for, if the user says.
    pub fn stuck_request_timeout(&self, env: &Env) -> Result<Option<Duration>, Failure> {
        let advice = "It is a duration from a second to a week, as 90s or 5m.";
        let range = Duration::from_secs(1)..=LONGEST;
        let (flag, variable) = ("--stuck-request-timeout", "STUCK_REQUEST_TIMEOUT");
        let flag = given(flag, &self.stuck_request_timeout, env, variable);
        duration_in(flag, range, advice)
    }
}

fn timetable(
    flag: &str,
    value: &Option<OsString>,
    env: &Env,
    variable: &str,
) -> Result<Option<Timetable>, Failure> {
    let Some((name, value)) = given(flag, value, env, variable) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok_or("it is no text".to_owned());
    match parsed.and_then(Timetable::parse) {
        Ok(timetable) => Ok(Some(timetable).filter(|timetable| timetable.slowest().is_some())),
        Err(why) => Err(refused(
            &name,
            &value,
            &format!(
                "There, {why}. It is a number of KiB a second, or of more with a unit as 2MiB, or a list by time of day as \"08:00-18:00 2MiB, * 0\"."
            ),
        )),
    }
}

fn duration_in(
    given: Option<(String, OsString)>,
    range: std::ops::RangeInclusive<Duration>,
    advice: &str,
) -> Result<Option<Duration>, Failure> {
    let Some((name, value)) = given else {
        return Ok(None);
    };
    let parsed = value.to_str().and_then(|text| duration::parse(text).ok());
    match parsed.filter(|duration| range.contains(duration)) {
        Some(duration) => Ok(Some(duration)),
        None => Err(refused(&name, &value, advice)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_before_variables_and_nonsense_is_refused() {
        let env = Env::fixed(&[
            ("LARDER_RETRY_FOR", "1h"),
            ("LARDER_STUCK_REQUEST_TIMEOUT", "0"),
            ("RESTIC_LIMIT_UPLOAD", "512"),
        ]);
        let mut flags = NetworkFlags::default();
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(flags.retry_for(&env).unwrap(), hour);
        assert!(flags.stuck_request_timeout(&env).is_err());
        let upload = flags.upload(&env).unwrap().unwrap();
        assert_eq!(upload.slowest(), Some(512 << 10));
        flags.retry_for = Some("0".into());
        assert_eq!(flags.retry_for(&env).unwrap(), Some(Duration::ZERO));
        for wrong in ["8d", "-1s", "soon"] {
            flags.retry_for = Some(wrong.into());
            assert!(flags.check().is_err(), "{wrong}");
        }
        flags.retry_for = None;
        flags.limit_upload = Some("0".into());
        assert!(flags.upload(&env).unwrap().is_none());
        flags.limit_upload = Some("8-18 2MiB".into());
        let text = flags.check().unwrap_err().text().to_owned();
        assert!(
            text.contains("--limit-upload") && text.contains("* 0"),
            "{text}"
        );
    }
}
