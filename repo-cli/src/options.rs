//! Extended options, `-o key=value`.

use crate::exit::Failure;
use crate::text::printable;

/// An option of a place that we know, and what it does.
pub struct Known {
    /// Its name.
    pub key: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// Options of local directories, which are all places that there are so far.
pub const KNOWN: &[Known] = &[Known {
    key: "local.connections",
    help: "accepted without effect: a local directory takes as many operations at once as there are",
}];

/// Places of restic whose options mean nothing for a local directory; restic takes them there too.
const OTHER_PLACES: [&str; 8] = ["azure", "b2", "gs", "rclone", "rest", "s3", "sftp", "swift"];

/// Refuses options that nobody knows, and values that make no sense.
pub fn check(given: &[String]) -> Result<(), Failure> {
    given.iter().try_for_each(|option| check_one(option))
}

fn check_one(option: &str) -> Result<(), Failure> {
    let (key, value) = option.split_once('=').unwrap_or((option, ""));
    let key = key.trim().to_ascii_lowercase();
    let place = key.split('.').next().unwrap_or_default();
    if OTHER_PLACES.contains(&place) {
        return Ok(());
    }
    let shown = printable(&key);
    if !KNOWN.iter().any(|known| known.key == key) {
        let known: Vec<_> = KNOWN.iter().map(|known| known.key).collect();
        return Err(Failure::usage(format!(
            "option {shown} is not known\nFor a local directory there are: {}.",
            known.join(", ")
        )));
    }
    match value.trim().parse() {
        Ok(1_u32..) => Ok(()),
        _ => Err(Failure::usage(format!(
            "option {shown} needs a whole number from 1 on, not {:?}",
            printable(value)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(option: &str) -> Option<String> {
        let failure = check(&[option.to_owned()]).err()?;
        Some(failure.text().to_owned())
    }

    #[test]
    fn options_of_other_places_are_taken_and_unknown_ones_are_not() {
        for taken in [
            "local.connections=5",
            " LOCAL.Connections = 1 ",
            "s3.region=eu",
            "sftp.args=x=y",
            "rest.x",
        ] {
            assert_eq!(said(taken), None, "{taken}");
        }
        for refused in [
            "local.layout=s3",
            "foo=bar",
            "",
            "=x",
            "locale.connections=1",
        ] {
            let text = said(refused).unwrap();
            assert!(text.contains("local.connections"), "{text}");
        }
        for value in ["0", "x", "-1", ""] {
            let text = said(&format!("local.connections={value}")).unwrap();
            assert!(text.contains("from 1 on"), "{text}");
        }
    }
}
