//! What a place on another machine says of itself.

use std::fmt;

/// What is said of a web page where an answer should be.
pub const WEB_PAGE: &str = "a web page came where an answer should be";

/// What a place said, in its own words: a code where it has one, and a sentence. The cause of an error; holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    code: String,
    text: String,
}

impl Answer {
    /// An answer with a code, which may be empty.
    pub fn new(code: &str, text: &str) -> Self {
        Self {
            code: code.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The code of S3 and its like, such as `SignatureDoesNotMatch`; empty where there is none.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence; may be empty if there is a code.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.is_empty(), self.text.is_empty()) {
            (true, _) => f.write_str(&self.text),
            (false, true) => f.write_str(&self.code),
            (false, false) => write!(f, "{} ({})", self.text, self.code),
        }
    }
}

impl std::error::Error for Answer {}
