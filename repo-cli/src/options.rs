//! Extended options, `-o place.key=value`.

mod table;

use crate::exit::Failure;
use crate::text::printable;
use crate::text_file;
use std::path::Path;
pub use table::KNOWN;

/// Most bytes of a file that holds the value of an option.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// Kinds of places whose options are let be where the repository is of another kind: scripts give them everywhere.
const PLACES: [&str; 10] = [
    "azure", "b2", "gs", "opendal", "rclone", "rest", "s3", "sftp", "swift", "webdav",
];

/// Words in the name of an option of a service whose value nobody else should see.
const SECRET: [&str; 6] = [
    "secret",
    "password",
    "token",
    "account_key",
    "encryption_key",
    "credential",
];

/// An option that was given for the kind of place that the repository is at.
#[derive(Debug, PartialEq, Eq)]
pub struct Given {
    /// The key as the service calls it, or `connections`, which is ours.
    pub key: String,
    /// Its value, read from the file if it names one.
    pub value: String,
}

/// The options for places of kind `scheme`; `local` is the kind of a directory.
///
/// Refuses options that nobody knows, values that make no sense, and secrets that would stand in the list of processes.
pub fn of(scheme: &str, given: &[String]) -> Result<Vec<Given>, Failure> {
    let each = given
        .iter()
        .filter_map(|option| one(scheme, option).transpose());
    each.collect()
}

fn one(scheme: &str, option: &str) -> Result<Option<Given>, Failure> {
    let (key, value) = option.split_once('=').unwrap_or((option, ""));
    let (key, value) = (
        key.trim().to_ascii_lowercase().replace('_', "-"),
        value.trim(),
    );
    let (place, rest) = key.split_once('.').unwrap_or((&key, ""));
    if place != scheme && PLACES.contains(&place) {
        return Ok(None);
    }
    if place == "opendal" && !rest.is_empty() {
        let name = rest.replace('-', "_");
        let secret = SECRET.iter().any(|word| name.contains(word));
        let key = if name == "connections" {
            return number(&key, value, name.clone());
        } else {
            name
        };
        return Ok(Some(Given {
            value: value_of(option, value, secret)?,
            key,
        }));
    }
    let Some(known) = KNOWN
        .iter()
        .find(|known| known.key == key && place == scheme)
    else {
        return Err(unknown(scheme, &key));
    };
    match known.values {
        table::Values::Number => number(&key, value, known.of_service.to_owned()),
        table::Values::Any => Ok(Some(Given {
            key: known.of_service.to_owned(),
            value: value_of(option, value, false)?,
        })),
        table::Values::Secret => Ok(Some(Given {
            key: known.of_service.to_owned(),
            value: value_of(option, value, true)?,
        })),
        table::Values::Of(pairs) => match pairs.iter().find(|(word, _)| *word == value) {
            Some((_, "")) => Ok(None),
            Some((_, meant)) => Ok(Some(Given {
                key: known.of_service.to_owned(),
                value: (*meant).to_owned(),
            })),
            None => {
                let words: Vec<_> = pairs.iter().map(|(word, _)| *word).collect();
                Err(Failure::usage(format!(
                    "option {key} does not take {:?}\nIt takes: {}.",
                    printable(value),
                    words.join(", ")
                )))
            }
        },
    }
}

fn unknown(scheme: &str, key: &str) -> Failure {
    let known: Vec<_> = KNOWN
        .iter()
        .map(|known| known.key)
        .filter(|known| known.split('.').next() == Some(scheme))
        .collect();
    let place = match scheme {
        "local" => "a local directory".to_owned(),
        _ => format!("places at {scheme}:"),
    };
    Failure::usage(format!(
        "option {} is not known\nFor {place} there are: {}.",
        printable(key),
        known.join(", ")
    ))
}

fn number(key: &str, value: &str, name: String) -> Result<Option<Given>, Failure> {
    match value.parse() {
        Ok(1_u32..) => Ok(Some(Given {
            key: name,
            value: value.to_owned(),
        })),
        _ => Err(Failure::usage(format!(
            "option {} needs a whole number from 1 on, not {:?}",
            printable(key),
            printable(value)
        ))),
    }
}

/// A value, or with `@` before it the content of the file that it names.
fn value_of(option: &str, value: &str, secret: bool) -> Result<String, Failure> {
    let key = printable(option.split('=').next().unwrap_or_default()).into_owned();
    let Some(file) = value.strip_prefix('@') else {
        return match (secret, value.is_empty()) {
            (_, true) => Err(Failure::usage(format!("option {key} needs a value"))),
            (false, _) => Ok(value.to_owned()),
            (true, _) => Err(Failure::usage(format!(
                "option {key} would show a secret to everybody on this machine\n\
                 Write it to a file that only you can read, and give {key}=@FILE."
            ))),
        };
    };
    let bytes = text_file::read_whole(Path::new(file), VALUE_BYTES_MAX)?;
    match std::str::from_utf8(bytes.trim_ascii()) {
        Ok(text) if !text.is_empty() && !text.contains(['\n', '\r', '\0']) => Ok(text.to_owned()),
        _ => Err(Failure::usage(format!(
            "the file for option {key} does not hold one line of text: {}",
            printable(file)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(scheme: &str, option: &str) -> Option<String> {
        let failure = of(scheme, &[option.to_owned()]).err()?;
        Some(failure.text().to_owned())
    }

    fn read(scheme: &str, option: &str) -> Vec<(String, String)> {
        let given = of(scheme, &[option.to_owned()]).unwrap();
        given
            .into_iter()
            .map(|given| (given.key, given.value))
            .collect()
    }

    fn pair(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
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
            assert_eq!(said("local", taken), None, "{taken}");
        }
        for refused in [
            "local.layout=s3",
            "foo=bar",
            "",
            "=x",
            "locale.connections=1",
        ] {
            let text = said("local", refused).unwrap();
            assert!(text.contains("local.connections"), "{text}");
        }
        for value in ["0", "x", "-1", ""] {
            let text = said("local", &format!("local.connections={value}")).unwrap();
            assert!(text.contains("from 1 on"), "{text}");
        }
        let text = said("s3", "s3.regoin=eu").unwrap();
        assert!(text.contains("s3.region"), "{text}");
    }

    #[test]
    fn keys_are_those_of_the_service() {
        assert_eq!(read("s3", "s3.region=eu"), pair("region", "eu"));
        assert_eq!(
            read("s3", "s3.storage_class=IA"),
            pair("default_storage_class", "IA")
        );
        assert_eq!(
            read("s3", "s3.bucket-lookup=path"),
            pair("enable_virtual_host_style", "false")
        );
        assert_eq!(read("s3", "s3.bucket-lookup=auto"), []);
        assert_eq!(read("s3", "gs.token=x"), []);
        assert_eq!(
            read("opendal", "opendal.access-key-id=x"),
            pair("access_key_id", "x")
        );
        assert!(
            said("s3", "s3.bucket-lookup=both")
                .unwrap()
                .contains("auto, dns, path")
        );
    }

    #[test]
    fn secrets_come_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        std::fs::write(&file, "hush\n").unwrap();
        for (scheme, key, name) in [
            ("s3", "s3.secret-access-key", "secret_access_key"),
            ("opendal", "opendal.account_key", "account_key"),
        ] {
            let refused = said(scheme, &format!("{key}=hush")).unwrap();
            assert!(
                refused.contains("=@FILE") && !refused.contains("hush"),
                "{refused}"
            );
            let option = format!("{key}=@{}", file.display());
            assert_eq!(read(scheme, &option), pair(name, "hush"));
        }
        std::fs::write(&file, "a\nb\n").unwrap();
        let text = said("s3", &format!("s3.session-token=@{}", file.display())).unwrap();
        assert!(text.contains("one line"), "{text}");
    }
}
