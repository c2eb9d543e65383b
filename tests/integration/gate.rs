//! A gate before an HTTP server on loopback, which lets through what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a gate makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Writes go through one after the other, so that a server that looks before it writes becomes one of class A.
    InTurn,
    /// The same, and what could replace or delete something is refused, as a bucket policy does.
    WriteOnce,
    /// A web page for everything.
    WebPage,
    /// The same answer for everything: a status line, and a body.
    Always(&'static str, &'static str),
}

/// A gate that listens as long as the process runs.
pub struct Gate {
    port: u16,
}

/// A request without its body.
struct Head {
    method: String,
    text: String,
    length: u64,
    only_if_absent: bool,
}

impl Gate {
    /// Opens a gate before the server at `port`.
    pub fn open(port: u16, rule: Rule) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let turn = Arc::new(Mutex::new(()));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let turn = Arc::clone(&turn);
                // Whoever hangs up has its own reasons.
                std::thread::spawn(move || drop(serve(client, port, rule, &turn)));
            }
        });
        Self { port: own }
    }

    /// The address of a folder of a bucket behind it.
    pub fn place(&self, below: &str) -> String {
        format!("s3:http://{}:{}/{below}", Ipv4Addr::LOCALHOST, self.port)
    }
}

/// One request: what is answered closes the connection.
fn serve(client: TcpStream, port: u16, rule: Rule, turn: &Mutex<()>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let Some(head) = read_head(&mut reader)? else {
        return Ok(());
    };
    let writes = matches!(head.method.as_str(), "PUT" | "POST" | "DELETE");
    let adds = head.method == "PUT" && head.only_if_absent;
    match rule {
        Rule::WriteOnce if writes && !adds => {
            let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
            answer(
                client,
                reader,
                &head,
                "403 Forbidden",
                "application/xml",
                denied,
            )
        }
        Rule::WebPage => answer(
            client,
            reader,
            &head,
            "200 OK",
            "text/html",
            "<html>Log in first</html>",
        ),
        Rule::Always(status, body) => {
            answer(client, reader, &head, status, "application/xml", body)
        }
        Rule::WriteOnce | Rule::InTurn => {
            let _turn = writes.then(|| turn.lock().unwrap());
            pass(client, reader, &head, port)
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> std::io::Result<Option<Head>> {
    let mut text = String::new();
    let mut line = String::new();
    let (mut length, mut only_if_absent) = (0, false);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let lower = line.to_ascii_lowercase();
        match lower.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("if-none-match", value)) => only_if_absent = value == "*",
            _ => {}
        }
        if line == "\r\n" {
            text.push_str("connection: close\r\n\r\n");
            let method = text.split(' ').next().unwrap_or_default().to_owned();
            return Ok(Some(Head {
                method,
                text,
                length,
                only_if_absent,
            }));
        }
        if !lower.starts_with("connection:") {
            text.push_str(&line);
        }
    }
}

fn answer(
    mut client: TcpStream,
    mut reader: impl Read,
    head: &Head,
    status: &str,
    kind: &str,
    body: &str,
) -> std::io::Result<()> {
    std::io::copy(&mut reader.by_ref().take(head.length), &mut std::io::sink())?;
    let body = if head.method == "HEAD" { "" } else { body };
    write!(
        client,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn pass(
    mut client: TcpStream,
    mut reader: impl Read,
    head: &Head,
    port: u16,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    server.write_all(head.text.as_bytes())?;
    std::io::copy(&mut reader.by_ref().take(head.length), &mut server)?;
    std::io::copy(&mut server, &mut client)?;
    Ok(())
}
