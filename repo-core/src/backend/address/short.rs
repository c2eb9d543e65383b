//! The short forms, each as the users of that service write it.

use super::{Address, invalid};
use crate::error::Result;
use std::collections::BTreeMap;

/// Reads what stands behind `scheme` and the colon.
pub(super) fn read(scheme: &str, rest: &str) -> Result<Address> {
    match scheme {
        "s3" => s3(rest),
        "gs" => bucket("gs", "gcs", "bucket", rest),
        "azure" => bucket("azure", "azblob", "container", rest),
        // Over its S3 endpoint: B2's own protocol has no put-if-absent.
        "b2" => bucket("b2", "s3", "bucket", rest),
        "swift" => bucket("swift", "swift", "container", rest),
        "sftp" | "ssh" => sftp(rest),
        "webdav+http" => webdav("http", rest),
        "webdav+https" => webdav("https", rest),
        _ => any(rest),
    }
}

/// An address without a password.
fn address(
    scheme: &'static str,
    service: &str,
    options: &[(&str, &str)],
    folder: &str,
    shown: String,
) -> Result<Address> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Ok(Address {
        service: service.to_owned(),
        scheme,
        options: options.iter().map(owned).collect::<BTreeMap<_, _>>(),
        folder: checked_folder(folder)?,
        shown,
    })
}

/// `https://host[:port]/bucket/prefix`, `host/bucket/prefix`, `bucket/prefix`. What has a dot or a port is a host, as with
/// restic; a bucket with a dot in its name needs its host in front.
fn s3(rest: &str) -> Result<Address> {
    let shown = format!("s3:{rest}");
    let (transport, place) = match rest.split_once("://") {
        Some((transport @ ("http" | "https"), place)) => (Some(transport), place),
        Some(_) => return Err(invalid("names no way to reach S3 but http:// and https://")),
        None => (None, rest.trim_start_matches("//")),
    };
    let (first, below) = split(place);
    let is_host = transport.is_some() || first.contains(['.', ':']) || first == "localhost";
    if !is_host {
        named("bucket", first)?;
        return address("s3", "s3", &[("bucket", first)], below, shown);
    }
    let host = host(first)?;
    let (bucket, folder) = split(below);
    named("bucket", bucket)?;
    let endpoint = format!("{}://{host}", transport.unwrap_or("https"));
    address(
        "s3",
        "s3",
        &[("bucket", bucket), ("endpoint", &endpoint)],
        folder,
        shown,
    )
}

/// `bucket:/prefix`, `bucket:prefix`, `bucket`.
fn bucket(scheme: &'static str, service: &str, key: &'static str, rest: &str) -> Result<Address> {
    let (name, folder) = rest.split_once([':', '/']).unwrap_or((rest, ""));
    named(key, name)?;
    address(
        scheme,
        service,
        &[(key, name)],
        folder,
        format!("{scheme}:{rest}"),
    )
}

/// `user@host:path`, or `//user@host:port/path`. A path that does not begin with `/` lies in the user's home; in the second form
/// that is the path behind the first `/`.
fn sftp(rest: &str) -> Result<Address> {
    let shown = format!("sftp:{rest}");
    let (target, path) = match rest.strip_prefix("//") {
        Some(url) => split(url),
        None => {
            split_at_path(rest).ok_or_else(|| invalid("names no path: sftp:user@host:/path"))?
        }
    };
    let (user, machine) = match target.rsplit_once('@') {
        Some((user, machine)) => (Some(user), machine),
        None => (None, target),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err(invalid(
            "has a password in it, which ssh does not take: use a key",
        ));
    }
    let endpoint = format!("ssh://{}", host(machine)?);
    let mut options = vec![("endpoint", endpoint.as_str())];
    options.extend(user.map(|user| ("user", user)));
    // The service makes the folder it begins in, also for one who only looks: it begins where nothing must be made.
    options.extend(path.starts_with('/').then_some(("root", "/")));
    let address = address("sftp", "sftp", &options, path, shown)?;
    match address.folder.is_empty() {
        true => Err(invalid("names no path: sftp:user@host:/path")),
        false => Ok(address),
    }
}

/// Splits `user@host:path` behind the host, which may be an IPv6 address in brackets.
fn split_at_path(text: &str) -> Option<(&str, &str)> {
    let after = text.find(']').map_or(0, |end| end + 1);
    let colon = after + text[after..].find(':')?;
    Some((&text[..colon], &text[colon + 1..]))
}

/// `//[user[:password]@]host[:port]/path`.
fn webdav(transport: &str, rest: &str) -> Result<Address> {
    let url = rest
        .strip_prefix("//")
        .ok_or_else(|| invalid(format!("is no URL: webdav+{transport}://host/path")))?;
    let (authority, path) = split(url);
    let (user, machine) = match authority.rsplit_once('@') {
        Some((user, machine)) => (Some(user), machine),
        None => (None, authority),
    };
    let (name, password) = match user {
        Some(user) => user
            .split_once(':')
            .map_or((Some(user), None), |(n, p)| (Some(n), Some(p))),
        None => (None, None),
    };
    let machine = host(machine)?;
    let endpoint = format!("{transport}://{machine}");
    let at = name.map_or(String::new(), |name| format!("{name}@"));
    let shown = format!("webdav+{transport}://{at}{machine}/{path}");
    let mut address = address(
        "webdav",
        "webdav",
        &[("endpoint", &endpoint)],
        &decoded(path)?,
        shown,
    )?;
    for (key, value) in [("username", name), ("password", password)] {
        if let Some(value) = value {
            address.set(key, decoded(value)?);
        }
    }
    Ok(address)
}

/// The name of a service; everything else is in options.
fn any(service: &str) -> Result<Address> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    match !service.is_empty() && service.bytes().all(allowed) {
        true => address("opendal", service, &[], "", format!("opendal:{service}")),
        false => Err(invalid(
            "names no service: opendal:s3, with options -o opendal.bucket=… and so on",
        )),
    }
}

/// What stands before the first `/`, and behind it.
fn split(text: &str) -> (&str, &str) {
    text.split_once('/').unwrap_or((text, ""))
}

/// Refuses an empty name, and one that would mean something else in an address.
fn named(what: &'static str, name: &str) -> Result<()> {
    let strange = |letter: char| letter.is_whitespace() || "?#@\\\"<>".contains(letter);
    match (
        name.is_empty() || name == "." || name == "..",
        name.contains(strange),
    ) {
        (true, _) => Err(invalid(format!("names no {what}"))),
        (_, true) => Err(invalid(format!(
            "has a strange letter in the name of the {what}"
        ))),
        _ => Ok(()),
    }
}

/// A host, and a port if there is one.
fn host(text: &str) -> Result<&str> {
    let (name, port) = match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    };
    let strange = |letter: char| letter.is_whitespace() || "@?#\\\"<>%".contains(letter);
    if name.is_empty() || name.starts_with('-') || name.contains(strange) {
        return Err(invalid("names no host"));
    }
    match port {
        Some(port) if !matches!(port.parse::<u16>(), Ok(1..)) => {
            Err(invalid("has a port that is no number from 1 to 65535"))
        }
        _ => Ok(text),
    }
}

/// A folder without empty parts.
fn checked_folder(folder: &str) -> Result<String> {
    let parts: Vec<_> = folder.split('/').filter(|part| !part.is_empty()).collect();
    match parts.iter().any(|part| matches!(*part, "." | "..")) {
        true => Err(invalid("has . or .. in its path")),
        false => Ok(parts.join("/")),
    }
}

/// Text of a URL, where `%41` means `A`.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        (bytes, rest) = match (first, others) {
            (b'%', [high, low, others @ ..]) => {
                let digits = [*high, *low].map(|digit| char::from(digit).to_digit(16));
                let [Some(high), Some(low)] = digits else {
                    return Err(invalid(
                        "has a % in it that two hexadecimal digits do not follow",
                    ));
                };
                bytes.push((high * 16 + low) as u8);
                (bytes, others)
            }
            (b'%', _) => return Err(invalid("ends within a letter written with %")),
            _ => {
                bytes.push(*first);
                (bytes, others)
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| invalid("is no text once % is read"))
}
