//! `larder serve`

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::message::plain_io;
use crate::selection::SelectionFlags;
use crate::serve::{Gate, Library, serve};
use crate::text::printable;
use crate::text_file::read_whole;
use crate::{json, looking, repository, signals, size};
use clap::Args;
use repo_core::vfs::{Reader, ViewOptions};
use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What is where, at the end of the help.
const AFTER_HELP: &str = "\
A browser walks through snapshots, compares versions, shows text and pictures, and downloads files, or directories as zip or tar. Programs
mount it by WebDAV, as far as reading goes: links and devices are not shown there. New snapshots appear while it is served. It ends with
Ctrl-C or SIGTERM.

On localhost all users of this machine can connect, unless there is a token. Elsewhere there is always one: that of --token-file or
$LARDER_SERVE_TOKEN, or else one is made and shown. It is the password of any user name, or a bearer token; ?token=TOKEN gives a browser a
cookie. What is sent is not encrypted: between machines put it behind a server that speaks TLS, or into a tunnel (ssh -L 8080:localhost:8080).";

/// The shortest token.
const TOKEN_BYTES_MIN: usize = 16;

/// The longest token.
const TOKEN_BYTES_MAX: usize = 1024;

/// Arguments of `serve`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:8080")]
    listen: String,

    /// Ask for the token that this file holds [$LARDER_SERVE_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Keep so much of what was read at hand, in memory
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size::parse)]
    cache_size: u64,

    #[command(flatten)]
    selection: SelectionFlags,
}

/// A token, and whether nobody knows it yet.
struct Token {
    text: Zeroizing<String>,
    is_new: bool,
}

/// Serves snapshots until a signal comes.
pub fn run(app: &App, arguments: Arguments) -> Result<Exit, Failure> {
    let given = given_token(app, &arguments)?;
    let (host, address) = address(&arguments.listen)?;
    let token = match given {
        None if !address.ip().is_loopback() => Some(new_token(app)?),
        given => given,
    };
    let view_options = ViewOptions {
        filter: arguments.selection.filter(&app.env)?,
        ..ViewOptions::default()
    };
    let repo = repository::open(app, false)?.repo;
    let _following = repo.follow();
    let view = looking::view(app, &repo, view_options);
    let cache_bytes = usize::try_from(arguments.cache_size).unwrap_or(usize::MAX);
    let reader = Reader::new(&view, cache_bytes)?;
    let interrupt = signals::interrupt();
    let cannot = |error: std::io::Error| {
        Failure::failed(format!(
            "cannot listen on {}: {}\nChoose another address with --listen.",
            printable(&arguments.listen),
            plain_io(&error)
        ))
    };
    let listener = TcpListener::bind(address).map_err(cannot)?;
    let port = listener.local_addr().map_err(cannot)?.port();
    say(app, &host, port, token.as_ref())?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let gate = Gate::new(name, port, token.as_ref().map(|token| token.text.as_str()));
    drop(token);
    let library = Library::new(view, reader, interrupt, app.terminal.clone());
    serve(library, gate, listener).map_err(cannot)?;
    Ok(Exit::Done)
}

/// The host as it is named, and an address of it; IPv4 if it has both, as most links do.
fn address(listen: &str) -> Result<(String, SocketAddr), Failure> {
    let shown = printable(listen);
    let none = |why: &str| {
        Failure::usage(format!(
            "--listen {shown}: {why}\nGive a host and a port, as in localhost:8080, 0.0.0.0:8080 or [::1]:8080."
        ))
    };
    let (host, _) = listen
        .rsplit_once(':')
        .ok_or_else(|| none("is no HOST:PORT"))?;
    let found = listen
        .to_socket_addrs()
        .map_err(|error| none(&plain_io(&error)))?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let first = found.first().ok_or_else(|| none("has no address"))?;
    Ok((host.to_owned(), *first))
}

/// The token that a file or the environment holds.
fn given_token(app: &App, arguments: &Arguments) -> Result<Option<Token>, Failure> {
    let (text, whence) = match &arguments.token_file {
        Some(file) => {
            let bytes = Zeroizing::new(read_whole(file, TOKEN_BYTES_MAX)?);
            let text = Zeroizing::new(String::from_utf8_lossy(bytes.trim_ascii()).into_owned());
            (text, "the token file")
        }
        None => match app.env.get("LARDER_SERVE_TOKEN") {
            Some(value) => {
                let text = Zeroizing::new(value.to_string_lossy().into_owned());
                (text, "$LARDER_SERVE_TOKEN")
            }
            // Whoever set it wanted one.
            None if app.env.is_empty("LARDER_SERVE_TOKEN") => {
                (Zeroizing::default(), "$LARDER_SERVE_TOKEN")
            }
            None => return Ok(None),
        },
    };
    let fits = text.bytes().all(|byte| byte.is_ascii_graphic());
    match fits && (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&text.len()) {
        true => Ok(Some(Token {
            text,
            is_new: false,
        })),
        false => Err(Failure::usage(format!(
            "{whence} holds no token of {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} letters, digits and signs\n`openssl rand -hex 16` makes one."
        ))),
    }
}

/// A token of 128 bits, for a person to be shown.
fn new_token(app: &App) -> Result<Token, Failure> {
    if app.terminal.json() {
        return Err(Failure::usage(
            "with --json no token is shown, and elsewhere than on this machine one is needed\nGive one by --token-file or $LARDER_SERVE_TOKEN.",
        ));
    }
    let mut bytes = Zeroizing::new([0; 16]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| Failure::failed(format!("the system gives no random bytes: {error}")))?;
    let mut text = Zeroizing::new(String::with_capacity(32));
    for byte in bytes.iter() {
        let _ = write!(*text, "{byte:02x}");
    }
    Ok(Token { text, is_new: true })
}

/// Says where it is served. A link with a new token is what was asked for, also of who wants to hear nothing else.
fn say(app: &App, host: &str, port: u16, token: Option<&Token>) -> Result<(), Failure> {
    let address = format!("http://{host}:{port}/");
    if app.terminal.json() {
        return app.terminal.json_line(&json::Serving {
            message_type: "serving",
            address: &address,
            token: token.is_some(),
        });
    }
    let address = printable(&address).into_owned();
    app.terminal.say(&format!(
        "the snapshots are served on {address}\nCtrl-C ends it."
    ))?;
    match token {
        Some(Token { text, is_new: true }) => {
            let link = Zeroizing::new(format!("{address}?token={}\n", text.as_str()));
            app.terminal.result(&link)
        }
        _ => Ok(()),
    }
}
