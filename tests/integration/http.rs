//! Asks a server as a program does that speaks the barest HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub whole: bool,
}

impl Answer {
    /// Checks the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}: {}", self.headers, self.text());
        self
    }

    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks with these headers.
#[track_caller]
pub fn ask(port: u16, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask_raw(port, method, path, headers, b"")
}

/// The same with a body.
#[track_caller]
pub fn ask_raw(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(("localhost", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    // It may refuse before it has read everything.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    // A connection that breaks gives what came before.
    let _ = stream.read_to_end(&mut answer);
    parsed(&answer, method == "HEAD")
}

#[track_caller]
fn parsed(answer: &[u8], only_head: bool) -> Answer {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("{:?} is no answer", String::from_utf8_lossy(answer)));
    let head = str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines.map(|line| line.split_once(':').unwrap());
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let mut found = Answer {
        status,
        headers: headers.collect(),
        body: Vec::new(),
        whole: true,
    };
    let rest = &answer[end + 4..];
    match found.header("transfer-encoding") {
        _ if only_head => found.body = rest.to_vec(),
        Some("chunked") => (found.body, found.whole) = unchunked(rest),
        _ => {
            let len = found
                .header("content-length")
                .map(|len| len.parse::<usize>().unwrap());
            found.whole = len.is_none_or(|len| len == rest.len());
            found.body = rest.to_vec();
        }
    }
    found
}

/// The bytes of chunks, and whether the last came.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (body, false);
        };
        let len = str::from_utf8(&rest[..line]).unwrap();
        let len = usize::from_str_radix(len, 16).unwrap();
        rest = &rest[line + 2..];
        if len == 0 {
            return (body, true);
        }
        if rest.len() < len + 2 {
            body.extend_from_slice(&rest[..rest.len().min(len)]);
            return (body, false);
        }
        body.extend_from_slice(&rest[..len]);
        rest = &rest[len + 2..];
    }
}
