use super::Address;
use crate::error::ErrorKind;

fn parse(text: &str) -> Address {
    Address::parse(text).unwrap().expect(text)
}

/// Service, options and folder of an address.
fn read(text: &str) -> (String, Vec<(String, String)>, String) {
    let address = parse(text);
    let options = address.options().clone().into_iter().collect();
    (
        address.service().to_owned(),
        options,
        address.folder().to_owned(),
    )
}

fn expect(text: &str, service: &str, options: &[(&str, &str)], folder: &str) {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let options: Vec<_> = options.iter().map(owned).collect();
    assert_eq!(
        read(text),
        (service.to_owned(), options, folder.to_owned()),
        "{text}"
    );
}

#[test]
fn s3_is_a_host_and_a_bucket_or_a_bucket() {
    let at = |endpoint| [("bucket", "b"), ("endpoint", endpoint)];
    expect("s3:https://host/b/p/q", "s3", &at("https://host"), "p/q");
    expect("s3:http://host:9000/b", "s3", &at("http://host:9000"), "");
    expect(
        "s3:http://[::1]:9000/b/p/",
        "s3",
        &at("http://[::1]:9000"),
        "p",
    );
    expect(
        "s3:s3.eu.amazonaws.com/b/p",
        "s3",
        &at("https://s3.eu.amazonaws.com"),
        "p",
    );
    expect(
        "s3:localhost:9000/b",
        "s3",
        &at("https://localhost:9000"),
        "",
    );
    expect(
        "s3://host.example/b/p",
        "s3",
        &at("https://host.example"),
        "p",
    );
    expect("s3:b/p", "s3", &[("bucket", "b")], "p");
    expect("s3:b", "s3", &[("bucket", "b")], "");
}

#[test]
fn buckets_and_containers_of_others() {
    expect("gs:b:/p/q", "gcs", &[("bucket", "b")], "p/q");
    expect("gs:b:/", "gcs", &[("bucket", "b")], "");
    expect("azure:c:/p", "azblob", &[("container", "c")], "p");
    expect("b2:b:p/q", "s3", &[("bucket", "b")], "p/q");
    expect("b2:b", "s3", &[("bucket", "b")], "");
    expect("swift:c:/p", "swift", &[("container", "c")], "p");
    expect("opendal:s3", "s3", &[], "");
    assert_eq!(parse("b2:b").scheme(), "b2");
}

#[test]
fn sftp_knows_users_ports_and_homes() {
    let user = [("endpoint", "ssh://host"), ("root", "/"), ("user", "u")];
    expect("sftp:u@host:/srv/r", "sftp", &user, "srv/r");
    let home = [("endpoint", "ssh://host")];
    expect("sftp:host:r", "sftp", &home, "r");
    expect("sftp://host/r", "sftp", &home, "r");
    let port = [
        ("endpoint", "ssh://[::1]:2222"),
        ("root", "/"),
        ("user", "u@d"),
    ];
    expect("sftp://u@d@[::1]:2222//r", "sftp", &port, "r");
    let address = [("endpoint", "ssh://[::1]"), ("root", "/")];
    expect("sftp:[::1]:/r", "sftp", &address, "r");
}

#[test]
fn a_password_is_not_shown() {
    let at = [
        ("endpoint", "https://host:8443"),
        ("password", "p:@/"),
        ("username", "u"),
    ];
    let text = "webdav+https://u:p:%40%2f@host:8443/a%20b/r";
    expect(text, "webdav", &at, "a b/r");
    assert_eq!(
        parse(text).to_string(),
        "webdav+https://u@host:8443/a%20b/r"
    );
    assert_eq!(parse("s3:b/p").to_string(), "s3:b/p");
}

#[test]
fn what_has_no_scheme_is_a_path() {
    for path in [
        "/srv/r",
        "r",
        "./s3:x",
        "strange:name",
        "C:/r",
        "",
        ":x",
        "S3:x",
        "rest:http://h",
    ] {
        assert!(Address::parse(path).unwrap().is_none(), "{path}");
    }
}

#[test]
fn what_makes_no_sense_is_said() {
    let long = format!("s3:b/{}", "a".repeat(5000));
    for (text, why) in [
        ("s3:", "no bucket"),
        ("s3:https://host", "no bucket"),
        ("s3:https://host/", "no bucket"),
        ("s3:https:///b", "no host"),
        ("s3:https://user@host/b", "no host"),
        ("s3:https://host:0/b", "port"),
        ("s3:https://host:x/b", "port"),
        ("s3:ftp://host/b", "no way to reach"),
        ("s3:b/../c", ". or .."),
        ("s3:b ?/c", "strange letter"),
        ("gs::/p", "no bucket"),
        ("azure:", "no container"),
        ("sftp:host", "no path"),
        ("sftp:host:/", "no path"),
        ("sftp://u:p@host/r", "password"),
        ("sftp:-oProxyCommand=x:/r", "no host"),
        ("webdav+http:host/r", "no URL"),
        ("webdav+http://host/%4", "within a letter"),
        ("webdav+http://host/%zz", "hexadecimal"),
        ("webdav+http://host/%ff", "no text"),
        ("opendal:", "no service"),
        ("opendal:S 3", "no service"),
        ("s3:b/\n", "control"),
        (&long, "too long"),
    ] {
        let error = Address::parse(text)
            .err()
            .unwrap_or_else(|| panic!("{text}"));
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        let detail = error.detail_text().unwrap_or_default();
        assert!(detail.contains(why), "{text}: {detail}");
    }
}
