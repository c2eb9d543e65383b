//! What went wrong, sorted by what the caller can do about it.
//!
//! An [`Error`] is a kind, the thing it is about, an optional detail and a cause. Sentences for people are made
//! where errors are shown; `Display` here is a plain line for logs and tests.

use crate::id::{BlobId, EvidenceId, IndexId, KeyId, PackId, SnapshotId, StateId};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// The result of nearly everything in this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no repository at that place.
    NoRepository,
    /// No key slot opens with what was given.
    WrongPassword,
    /// What was asked for does not exist: a snapshot, a path, a key.
    NotFound,
    /// An object that must be there is not: the repository is incomplete.
    Missing,
    /// Something is there and wrong.
    Damaged,
    /// A place did not answer, or answered that it cannot now: disk full, I/O error, time-out.
    Unavailable,
    /// A place refused: permissions, read-only, credentials.
    Denied,
    /// This version of the program cannot do or read this.
    Unsupported,
    /// What the caller gave makes no sense.
    InvalidInput,
    /// The repository is older than what this client has seen of it, or another one.
    RolledBack,
    /// Stopped on request.
    Interrupted,
}

/// The thing an error is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// Nothing in particular.
    None,
    /// The repository at this place.
    Repository(String),
    /// A stored file by its name in the repository.
    Object(String),
    /// A pack.
    Pack(PackId),
    /// A blob.
    Blob(BlobId),
    /// An index table.
    Index(IndexId),
    /// A snapshot.
    Snapshot(SnapshotId),
    /// A state table.
    State(StateId),
    /// A result of a check or a drill.
    Evidence(EvidenceId),
    /// A key slot.
    Key(KeyId),
    /// A log entry by its number.
    Entry(u64),
    /// A file outside the repository.
    Path(PathBuf),
    /// A setting or an argument by its name.
    Setting(Cow<'static, str>),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("operation"),
            Self::Repository(place) => write!(f, "repository {place}"),
            Self::Object(name) => write!(f, "object {name}"),
            Self::Pack(id) => write!(f, "pack {id}"),
            Self::Blob(id) => write!(f, "blob {id}"),
            Self::Index(id) => write!(f, "index {id}"),
            Self::Snapshot(id) => write!(f, "snapshot {id}"),
            Self::State(id) => write!(f, "state table {id}"),
            Self::Evidence(id) => write!(f, "evidence {id}"),
            Self::Key(id) => write!(f, "key slot {id}"),
            Self::Entry(number) => write!(f, "log entry {number}"),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Setting(name) => write!(f, "{name}"),
        }
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    subject: Subject,
    detail: Option<Cow<'static, str>>,
    offset: Option<u64>,
    cause: Option<Cause>,
}

/// An error: a kind, a subject, and what is known of the cause. One pointer wide.
#[derive(Debug)]
pub struct Error(Box<Inner>);

/// What is said of [`Error::unindexed`].
const UNINDEXED: &str = "no index table names it";

impl Error {
    /// An error of `kind` about `subject`.
    pub fn new(kind: ErrorKind, subject: Subject) -> Self {
        Self(Box::new(Inner {
            kind,
            subject,
            detail: None,
            offset: None,
            cause: None,
        }))
    }

    /// `subject` is there and wrong.
    pub fn damaged(subject: Subject) -> Self {
        Self::new(ErrorKind::Damaged, subject)
    }

    /// `subject` must be there and is not.
    pub fn missing(subject: Subject) -> Self {
        Self::new(ErrorKind::Missing, subject)
    }

    /// A blob that no index table names.
    pub fn unindexed(id: &BlobId) -> Self {
        Self::missing(Subject::Blob(*id)).detail(UNINDEXED)
    }

    /// What the caller gave as `name` makes no sense.
    pub fn invalid(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, Subject::Setting(name.into()))
    }

    /// This version of the program cannot do or read `subject`.
    pub fn unsupported(subject: Subject) -> Self {
        Self::new(ErrorKind::Unsupported, subject)
    }

    /// Stopped on request.
    pub fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, Subject::None)
    }

    /// An error of the operating system, with the kind that fits it.
    pub fn io(subject: Subject, cause: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match cause.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
            Io::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, subject).because(cause)
    }

    /// Says more precisely what is wrong, in a few words without a full stop.
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Says at which byte of the subject.
    pub fn at(mut self, offset: u64) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// Names the cause.
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same error about another subject, for a caller that knows better what it was doing.
    pub fn about(mut self, subject: Subject) -> Self {
        self.0.subject = subject;
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// What is wrong, in a few words.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// At which byte of the subject.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// Whether a disk could not read what it holds (`EIO`): as good as damaged, and no reason to give up the rest.
    pub fn is_unreadable(&self) -> bool {
        let code = self.io_cause().and_then(std::io::Error::raw_os_error);
        self.kind() == ErrorKind::Unavailable && code == Some(rustix::io::Errno::IO.raw_os_error())
    }

    /// Whether it is of [`Error::unindexed`].
    pub fn is_unindexed(&self) -> bool {
        self.kind() == ErrorKind::Missing && self.detail_text() == Some(UNINDEXED)
    }

    /// Whether a place has no room left, or none for this user.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let cause = self.io_cause().map(std::io::Error::kind);
        self.kind() == ErrorKind::Unavailable && matches!(cause, Some(StorageFull | QuotaExceeded))
    }

    /// Whether what it is about is gone or wrong for good, as far as anybody can tell; any other error may pass. A damaged file of this
    /// machine, such as one of its cache, says nothing about the repository.
    pub fn is_lost(&self) -> bool {
        use ErrorKind::{Damaged, Missing, NotFound};
        let lost = self.is_unreadable() || matches!(self.kind(), Damaged | Missing | NotFound);
        lost && !self.is_of_a_local_file()
    }

    fn is_of_a_local_file(&self) -> bool {
        let own = self.kind() == ErrorKind::Damaged && matches!(self.subject(), Subject::Path(_));
        let cause = || self.0.cause.as_ref()?.downcast_ref::<Self>();
        own || cause().is_some_and(Self::is_of_a_local_file)
    }

    /// The operating system's error underneath, if that is the cause.
    pub fn io_cause(&self) -> Option<&std::io::Error> {
        self.0.cause.as_ref()?.downcast_ref()
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRepository => "no repository",
            Self::WrongPassword => "wrong password or key",
            Self::NotFound => "not found",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Unsupported => "not supported",
            Self::InvalidInput => "invalid",
            Self::RolledBack => "rolled back",
            Self::Interrupted => "interrupted",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.subject, self.0.kind)?;
        if let Some(offset) = self.0.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(cause) = &self.0.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_and_why() {
        let error = Error::damaged(Subject::Entry(7))
            .at(12)
            .detail("bad tag")
            .because("cause");
        assert_eq!(
            error.to_string(),
            "log entry 7: damaged at byte 12: bad tag: cause"
        );
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn io_errors_keep_their_meaning() {
        let kind = |io: std::io::ErrorKind| Error::io(Subject::None, io.into()).kind();
        assert_eq!(kind(std::io::ErrorKind::NotFound), ErrorKind::NotFound);
        assert_eq!(
            kind(std::io::ErrorKind::PermissionDenied),
            ErrorKind::Denied
        );
        assert_eq!(
            kind(std::io::ErrorKind::StorageFull),
            ErrorKind::Unavailable
        );
    }
}
