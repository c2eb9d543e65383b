//! What a place's answer means, as an error of ours.
//!
//! Nothing of OpenDAL's own display is shown: it repeats addresses, and with some services those hold a signature.

use crate::backend::answer::{Answer, WEB_PAGE};
use crate::error::{Error, ErrorKind, Subject};

/// Most letters of a sentence that is shown.
const TEXT_MAX: usize = 300;

/// Codes for a bucket, or what is called so, that is not there.
const NO_BUCKET: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "InvalidBucketName"];

/// Codes that say nothing against the same request a moment later.
const PASSING: [&str; 4] = [
    "BadDigest",
    "IncompleteBody",
    "RequestTimeout",
    "XAmzContentChecksumMismatch",
];

/// The error that `error` means about the object `name` in `place`.
pub(super) fn error(error: &::opendal::Error, name: &str, place: &str) -> Error {
    use ::opendal::ErrorKind as Theirs;
    let answer = answer(error);
    let no_bucket =
        NO_BUCKET.contains(&answer.code()) || answer.text().contains("bucket does not exist");
    if no_bucket {
        return self::no_bucket(place);
    }
    let kind = match error.kind() {
        Theirs::NotFound => ErrorKind::NotFound,
        Theirs::PermissionDenied => ErrorKind::Denied,
        Theirs::Unsupported => ErrorKind::Unsupported,
        Theirs::ConfigInvalid => ErrorKind::InvalidInput,
        _ if refused_by_ssh(error, &answer) => ErrorKind::Denied,
        _ if error.is_temporary() || PASSING.contains(&answer.code()) => ErrorKind::Unavailable,
        _ if status(error) == Some(501) || answer.code() == "NotImplemented" => {
            ErrorKind::Unsupported
        }
        // Somebody else is at it right now.
        Theirs::Conflict => ErrorKind::Unavailable,
        _ if matches!(status(error), Some(408 | 409 | 425)) => ErrorKind::Unavailable,
        _ if refuses(error) => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    };
    let subject = match kind {
        ErrorKind::InvalidInput => Subject::Repository(place.to_owned()),
        _ => Subject::Object(name.to_owned()),
    };
    Error::new(kind, subject).because(answer)
}

/// The error that the bucket, or what is called so, is not there.
pub(super) fn no_bucket(place: &str) -> Error {
    Error::new(
        ErrorKind::NoRepository,
        Subject::Repository(place.to_owned()),
    )
    .detail("names a bucket that is not there")
}

/// Whether a place answered, and not that it cannot now, or there is nobody to ask for.
fn refuses(error: &::opendal::Error) -> bool {
    let local = [SIGNING, WEB_PAGE].contains(&error.message());
    local || status(error).is_some_and(|status| status < 500)
}

/// Whether `ssh` will not connect however often it is asked.
fn refused_by_ssh(error: &::opendal::Error, answer: &Answer) -> bool {
    let says = |what: &&str| answer.text().contains(what);
    let final_words = ["permission denied (", "host key verification failed"];
    error.message() == "ssh error" && final_words.iter().any(says)
}

/// What OpenDAL says when there are no credentials.
const SIGNING: &str = "signing http request";

/// The number of an answer's status line, which is nowhere but in what is printed of an error.
fn status(error: &::opendal::Error) -> Option<u16> {
    let shown = error.to_string();
    shown.split("status: ").nth(1)?.get(..3)?.parse().ok()
}

/// What of an error people may see: the code and sentence of an answer, or the last cause of what kept us from one.
fn answer(error: &::opendal::Error) -> Answer {
    let message = error.message();
    let code = field(message, "code: ").unwrap_or_default();
    let text = match field(message, "message: ") {
        Some(text) => text,
        None if error.message() == WEB_PAGE => WEB_PAGE.to_owned(),
        None => match last_cause(error) {
            Some(cause) => cause,
            None if message.trim_start().starts_with('<') => "the answer makes no sense".to_owned(),
            None => message.lines().next().unwrap_or_default().to_owned(),
        },
    };
    let text = match (text.is_empty(), code.is_empty()) {
        (true, true) => kind_text(error).to_owned(),
        _ => text.trim_end_matches('.').chars().take(TEXT_MAX).collect(),
    };
    Answer::new(&code, &text)
}

/// What is left to say of an answer without words.
fn kind_text(error: &::opendal::Error) -> &'static str {
    use ::opendal::ErrorKind as Theirs;
    match error.kind() {
        Theirs::PermissionDenied => "permission denied",
        Theirs::RateLimited => "too many requests",
        _ => "no reason was given",
    }
}

/// The text behind `key` in a record as Rust prints it for programmers.
fn field(message: &str, key: &str) -> Option<String> {
    let mut letters = message.split_once(key)?.1.strip_prefix('"')?.chars();
    let mut text = String::new();
    loop {
        match letters.next()? {
            '"' => return Some(text),
            '\\' => match letters.next()? {
                'n' | 'r' | 't' => text.push(' '),
                letter => text.push(letter),
            },
            letter => text.push(letter),
        }
    }
}

/// The cause of causes; a name that cannot be resolved or a refused connection is one.
fn last_cause(error: &::opendal::Error) -> Option<String> {
    let mut cause = std::error::Error::source(error)?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    let text = text.split(" (os error ").next().unwrap_or(&text);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    // `ssh` frames what is most important to it, and ends with what came of it.
    let line = match first.contains(char::is_alphanumeric) {
        true => first,
        false => lines.rfind(|line| !line.is_empty()).unwrap_or(first),
    };
    Some(match cause.downcast_ref::<std::io::Error>() {
        Some(_) => line.to_ascii_lowercase(),
        None => line.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::opendal::{Error as Theirs, ErrorKind as Kind};

    fn of(kind: Kind, message: &str) -> Error {
        error(&Theirs::new(kind, message), "config", "s3:b")
    }

    #[test]
    fn a_missing_bucket_is_no_absent_object() {
        for message in [
            r#"S3Error { code: "NoSuchBucket", message: "" }"#,
            r#"AzblobError { code: "ContainerNotFound", message: "x" }"#,
            r#"{"error":{"message":"The specified bucket does not exist."}}"#,
        ] {
            assert_eq!(
                of(Kind::NotFound, message).kind(),
                ErrorKind::NoRepository,
                "{message}"
            );
        }
        let key = r#"S3Error { code: "NoSuchKey", message: "" }"#;
        assert_eq!(of(Kind::NotFound, key).kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_may_pass_is_unavailable_and_nothing_else() {
        let temporary = Theirs::new(Kind::Unexpected, "x").set_temporary();
        assert_eq!(error(&temporary, "a", "p").kind(), ErrorKind::Unavailable);
        let digest = r#"S3Error { code: "BadDigest", message: "m" }"#;
        assert_eq!(of(Kind::Unexpected, digest).kind(), ErrorKind::Unavailable);
        assert_eq!(of(Kind::PermissionDenied, "").kind(), ErrorKind::Denied);
        assert_eq!(of(Kind::Unexpected, WEB_PAGE).kind(), ErrorKind::Denied);
        let old = Theirs::new(
            Kind::Unexpected,
            r#"S3Error { code: "ExpiredToken", message: "m" }"#,
        )
        .with_context("response", "Parts { status: 400, version: HTTP/1.1 }");
        assert_eq!(error(&old, "a", "p").kind(), ErrorKind::Denied);
        let unknown = r#"S3Error { code: "NotImplemented", message: "m" }"#;
        assert_eq!(of(Kind::Unexpected, unknown).kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn the_place_speaks_and_addresses_do_not() {
        let secret = Theirs::new(
            Kind::PermissionDenied,
            r#"S3Error { code: "AccessDenied", message: "Not \"you\"." }"#,
        )
        .with_context("uri", "https://host/b?sig=secret");
        let error = error(&secret, "config", "s3:b");
        assert!(
            error.to_string().ends_with(r#"Not "you" (AccessDenied)"#),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("secret"));
        let empty = of(Kind::PermissionDenied, "");
        assert!(empty.to_string().ends_with("permission denied"), "{empty}");
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let refused = Theirs::new(Kind::Unexpected, "send http request")
            .set_source(io)
            .set_temporary();
        let refused = super::error(&refused, "config", "s3:b").to_string();
        assert!(refused.ends_with("connection refused"), "{refused}");
        let framed = std::io::Error::other("@@@@\n@ WARNING @\n@@@@\nIt says much.\nIt failed.\n");
        let framed = Theirs::new(Kind::Unexpected, "ssh error").set_source(framed);
        let framed = super::error(&framed, "config", "sftp:h").to_string();
        assert!(framed.ends_with("it failed"), "{framed}");
        for (text, kind) in [
            ("u@h: Permission denied (publickey).", ErrorKind::Denied),
            ("Host key verification failed.", ErrorKind::Denied),
            (
                "connect to host h port 22: Connection refused",
                ErrorKind::Unavailable,
            ),
        ] {
            let said =
                Theirs::new(Kind::Unexpected, "ssh error").set_source(std::io::Error::other(text));
            assert_eq!(
                super::error(&said, "config", "sftp:h").kind(),
                kind,
                "{text}"
            );
        }
        let busy = Theirs::new(Kind::Unexpected, "")
            .with_context("response", "Parts { status: 409, version: HTTP/1.1 }");
        assert_eq!(super::error(&busy, "a", "p").kind(), ErrorKind::Unavailable);
    }
}
