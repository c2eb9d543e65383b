//! Key files: one line, `LARDER-KEY-1` and the Bech32 form (BIP 173) of 32 random bytes, in upper case.
//!
//! Bech32 finds typing errors, and text survives copying, printing and password managers. The form is that of age's
//! `AGE-SECRET-KEY-1…`.

use crate::exit::Failure;
use crate::message::plain_io;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use repo_core::crypto::{KEY_LEN, Secret};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// The human-readable part; with Bech32's separator `1` the line begins with `LARDER-KEY-1`.
const HRP: Hrp = Hrp::parse_unchecked("larder-key-");

/// A key file has 12 + 52 + 6 characters; this leaves room for white space.
const FILE_BYTES_MAX: u64 = 1024;

/// Permission bits that let others than the owner read or change a file.
const OTHERS: u32 = 0o077;

/// Reads a key file. Refuses one that others than its owner may read, write or execute.
pub fn read(path: &Path) -> Result<Secret, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::failed(format!(
            "cannot read the key file {}: {}",
            path.display(),
            plain_io(&error)
        ))
    };
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(Failure::failed(format!(
            "the key file {0} is open to others than its owner (mode {1:04o})\n\
             Close it with: chmod 600 '{0}'",
            path.display(),
            mode & 0o7777,
        )));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(cannot)?;
    decode(text.trim()).ok_or_else(|| {
        Failure::failed(format!(
            "{} is not a key file, or it has been damaged\n\
             A key file is one line that begins with LARDER-KEY-1.",
            path.display()
        ))
    })
}

/// Makes a new key file, mode 0600, and returns its key. On return it survives a crash. Never replaces a file.
pub fn create(path: &Path) -> Result<Secret, Failure> {
    let key = Secret::random();
    write(path, &encode(&key)).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "it exists already".to_owned(),
            _ => plain_io(&error),
        };
        Failure::failed(format!(
            "cannot make the key file {}: {why}",
            path.display()
        ))
    })?;
    Ok(key)
}

fn write(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file
        .write_all(line.as_bytes())
        .and_then(|()| file.sync_all());
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let written = written.and_then(|()| File::open(parent)?.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

fn encode(key: &Secret) -> Zeroizing<String> {
    let text = bech32::encode_upper::<Bech32>(HRP, key.expose());
    let mut line = Zeroizing::new(text.expect("32 bytes are below Bech32's bound"));
    line.push('\n');
    line
}

fn decode(line: &str) -> Option<Secret> {
    let parsed = CheckedHrpstring::new::<Bech32>(line).ok()?;
    if parsed.hrp() != HRP || parsed.byte_iter().len() != KEY_LEN {
        return None;
    }
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    bytes
        .iter_mut()
        .zip(parsed.byte_iter())
        .for_each(|(to, from)| *to = from);
    Some(Secret::new(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_key_has_a_known_line() {
        let line = encode(&Secret::new(std::array::from_fn(|i| i as u8)));
        assert_eq!(
            line.as_str(),
            "LARDER-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0SY3CRD7\n"
        );
    }

    #[test]
    fn only_whole_lines_of_our_own_kind_decode() {
        let line = encode(&Secret::new([7; 32]));
        let line = line.trim();
        assert_eq!(decode(line).unwrap().expose(), &[7; 32]);
        assert_eq!(decode(&line.to_lowercase()).unwrap().expose(), &[7; 32]);
        let other =
            bech32::encode_upper::<Bech32>(Hrp::parse("age-secret-key-").unwrap(), &[7; 32]);
        let short = bech32::encode_upper::<Bech32>(HRP, &[7; 31]);
        let typo = line.replacen("QURSWPC", "QURSWPD", 1);
        assert_ne!(typo, line);
        for bad in [
            other.unwrap(),
            short.unwrap(),
            typo,
            line[1..].to_owned(),
            String::new(),
        ] {
            assert!(decode(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_file_keeps_its_key_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = create(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(read(&path).unwrap().expose(), key.expose());
        assert!(create(&path).unwrap_err().text().contains("exists already"));
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let failure = read(&path).unwrap_err();
            assert!(failure.text().contains("chmod 600"), "{}", failure.text());
        }
    }
}
