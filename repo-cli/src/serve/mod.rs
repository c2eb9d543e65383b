//! Snapshots over HTTP and WebDAV, to be read and never written.
//!
//! Requests are heard by asynchronous tasks and answered by threads that may wait for the repository: the view is the mount's.

mod address;
mod archive;
mod connections;
mod dav;
mod file;
mod gate;
mod html;
mod listing;
mod media;
mod range;
mod reply;
mod steps;
mod target;
mod view;

pub use gate::Gate;

use crate::looking::{self, Looking};
use crate::terminal::Terminal;
use address::field;
use archive::{ARCHIVES_MAX, Archives};
use connections::{Connection, Connections, Watched};
use gate::Verdict;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use reply::{Reply, Sent};
use repo_core::progress::{Interrupt, Progress as _};
use repo_core::vfs::{Reader, View};
use repo_core::{Error, ErrorKind, Result};
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use target::Target;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Most connections, and most threads that answer them.
const CONNECTIONS_MAX: usize = 256;
const TURNS_MAX: usize = 16;

/// How long a request may take to be asked, and then wait for its turn.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// After so many seconds somebody who was refused may come again.
const RETRY_AFTER: &str = "10";

/// How long answers may still take at the end.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// How soon a signal is seen.
const TICK: Duration = Duration::from_millis(50);

/// What every answer says: that nothing of it is to be guessed, embedded elsewhere, or told to others.
const OF_ALL: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
];

/// What is served.
pub struct Library {
    /// All snapshots.
    pub view: View,
    /// Reads files.
    pub reader: Reader,
    /// Ends everything.
    pub interrupt: &'static Interrupt,
    /// Hears of what cannot be read.
    pub terminal: Terminal,
    archives: Archives,
}

impl Library {
    /// Serves this view.
    pub fn new(
        view: View,
        reader: Reader,
        interrupt: &'static Interrupt,
        terminal: Terminal,
    ) -> Self {
        Self {
            view,
            reader,
            interrupt,
            terminal,
            archives: Archives::default(),
        }
    }

    fn tell(&self, path: &str, error: &Error) {
        Looking::new(&self.terminal, "serve").problem(Path::new(path), error);
    }

    /// What was found. Of an error the terminal hears, unless everything ends, and of what was lost beside what was found.
    fn told<T>(&self, path: impl FnOnce() -> String, found: Result<T>) -> Option<T> {
        for (place, error) in self.view.lost() {
            self.tell(&place.to_string_lossy(), &error);
        }
        if let Err(error) = &found
            && error.kind() != ErrorKind::Interrupted
        {
            self.tell(&path(), error);
        }
        found.ok()
    }
}

/// What tasks share.
struct Shared {
    library: Arc<Library>,
    gate: Gate,
    turns: Arc<Semaphore>,
    connections: Connections,
}

/// Answers until a signal comes. What is being sent then ends within about a second, and what is not whole breaks off.
///
/// Memory: for each of 16 threads a MiB and the block that it opens, 200 KiB for each of 256 connections, what an archive takes for each
/// of 4, and the caches of view and reader.
pub fn serve(library: Library, gate: Gate, listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(TURNS_MAX + ARCHIVES_MAX)
        .thread_name("larder.serve")
        .enable_all()
        .build()?;
    let shared = Arc::new(Shared {
        library: Arc::new(library),
        gate,
        turns: Arc::new(Semaphore::new(TURNS_MAX)),
        connections: Connections::default(),
    });
    let served = runtime.block_on(accept(&shared, listener));
    runtime.shutdown_timeout(END_PATIENCE);
    served
}

async fn accept(shared: &Arc<Shared>, listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let (stop, stopped) = watch::channel(());
    let mut tasks = JoinSet::new();
    while shared.library.interrupt.check().is_ok() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sleep(TICK) => continue,
        };
        let Ok((stream, address)) = accepted else {
            // Too many files are open, or the other side is gone: others are heard again soon.
            sleep(TICK).await;
            continue;
        };
        let (shared, stopped) = (shared.clone(), stopped.clone());
        let own = shared.connections.enter(address.ip(), CONNECTIONS_MAX);
        tasks.spawn(async move {
            connection(&shared, &own, stream, stopped).await;
            shared.connections.leave(&own);
        });
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    let _ = stop.send(());
    let _ = timeout(END_PATIENCE, async {
        while tasks.join_next().await.is_some() {}
    })
    .await;
    Ok(())
}

async fn connection(
    shared: &Arc<Shared>,
    own: &Arc<Connection>,
    stream: TcpStream,
    mut stopped: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let (shared, own) = (shared.clone(), own.clone());
        async move { Ok::<_, Infallible>(hear(shared, own, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Who has asked may have nothing more to say.
        .half_close(true)
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(Watched::new(stream, own.clone())), service);
    let mut connection = std::pin::pin!(connection);
    // An error is the other side's: it went away, or speaks no HTTP.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = own.must_end(|| shared.library.archives.are_wanted()) => {}
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn hear(
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Response<Sent> {
    let (head, body) = request.into_parts();
    let mut answer = match shared.gate.ask(&head) {
        Verdict::Enter => enter(shared, connection, head, body).await,
        Verdict::Remember { cookie, address } => {
            let mut answer = said(StatusCode::SEE_OTHER, "");
            let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, address)];
            insert(&mut answer, headers);
            answer
        }
        Verdict::Ask => {
            let mut answer = said(
                StatusCode::UNAUTHORIZED,
                "a token is needed: as the password of any user, or as a bearer\n",
            );
            insert(
                &mut answer,
                [(
                    header::WWW_AUTHENTICATE,
                    "Basic realm=\"larder\", charset=\"UTF-8\"".to_owned(),
                )],
            );
            answer
        }
        Verdict::OtherHost => said(
            StatusCode::MISDIRECTED_REQUEST,
            "this is for another host: only with a token any name of this one is answered to\n",
        ),
    };
    for (name, value) in OF_ALL {
        let name = HeaderName::from_static(name);
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn said(status: StatusCode, text: &'static str) -> Response<Sent> {
    let mut answer = Response::new(Sent::Whole(Some(Bytes::from_static(text.as_bytes()))));
    *answer.status_mut() = status;
    insert(
        &mut answer,
        [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ],
    );
    answer
}

fn insert<const N: usize>(answer: &mut Response<Sent>, headers: [(HeaderName, String); N]) {
    for (name, value) in headers {
        // What no header can hold is left out.
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
            answer.headers_mut().insert(name, value);
        }
    }
}

async fn enter(
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    head: Parts,
    body: Incoming,
) -> Response<Sent> {
    let read = Limited::new(body, dav::QUESTION_BYTES_MAX).collect();
    let body = match head.method.as_str() {
        "PROPFIND" => match timeout(HEAD_PATIENCE, read).await {
            Ok(Ok(body)) => body.to_bytes(),
            _ => {
                return said(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "the question is too long, or did not end\n",
                );
            }
        },
        _ => Bytes::new(),
    };
    let turn = timeout(HEAD_PATIENCE, shared.turns.clone().acquire_owned());
    let Ok(Ok(turn)) = turn.await else {
        let mut answer = said(
            StatusCode::SERVICE_UNAVAILABLE,
            "too much is asked at once: try again later\n",
        );
        insert(&mut answer, [(header::RETRY_AFTER, RETRY_AFTER.to_owned())]);
        return answer;
    };
    let (sender, receiver) = oneshot::channel();
    let reply = Reply {
        head: sender,
        only_head: head.method == Method::HEAD,
        handle: Handle::current(),
        connection,
        turns: shared.turns.clone(),
        turn,
    };
    tokio::task::spawn_blocking(move || answer(&shared.library, &head, &body, reply));
    // A thread that says nothing has met an error, and told of it.
    let answer = receiver.await;
    answer.unwrap_or_else(|_| {
        said(
            StatusCode::INTERNAL_SERVER_ERROR,
            "something here cannot be read: the terminal of larder says what\n",
        )
    })
}

/// Answers one request. What cannot be read is told of, and ends the answer.
fn answer(library: &Arc<Library>, head: &Parts, body: &[u8], reply: Reply) {
    // What is known already is shown where nothing new can be learned.
    match library.view.refresh() {
        Ok(unreadable) => looking::warn_unreadable(&library.terminal, &unreadable),
        Err(error) => library.tell("snapshots", &error),
    }
    let routed = route(library, head, body, reply);
    library.told(|| shown_path(head), routed);
}

fn shown_path(head: &Parts) -> String {
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(head.uri.path()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn route(library: &Arc<Library>, head: &Parts, body: &[u8], reply: Reply) -> Result<()> {
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    let asks = head.method.as_str() == "PROPFIND";
    if head.method == Method::OPTIONS {
        dav::options(reply);
        return Ok(());
    }
    if !reads && !asks {
        let builder = Response::builder().status(StatusCode::METHOD_NOT_ALLOWED);
        reply.whole(
            builder.header(header::ALLOW, dav::ALLOWED),
            "what is in a repository is not changed\n",
        );
        return Ok(());
    }
    let (path, query) = (head.uri.path(), head.uri.query());
    if path == html::STYLE_ADDRESS {
        let builder = Response::builder().header(header::CONTENT_TYPE, "text/css; charset=utf-8");
        reply.whole(
            builder.header(header::CACHE_CONTROL, "max-age=3600"),
            html::STYLE,
        );
        return Ok(());
    }
    let found = match address::names(path) {
        Some(names) => Target::find(&library.view, names)?,
        None => None,
    };
    let Some(target) = found else {
        reply.text(StatusCode::NOT_FOUND, "nothing has this address");
        return Ok(());
    };
    if asks {
        return dav::propfind(library, &target, &head.headers, body, reply);
    }
    if let Some(sort) = field(query, "archive") {
        return archive::send(library, &target, &sort, reply);
    }
    if target.is_dir() {
        return match path.ends_with('/') {
            true => listing::send(library, &target, query, reply),
            false => {
                let builder = Response::builder().status(StatusCode::TEMPORARY_REDIRECT);
                let address = address::href(&target.names, true);
                reply.whole(builder.header(header::LOCATION, address), "");
                Ok(())
            }
        };
    }
    if let Some(other) = field(query, "against") {
        return view::compare(library, &target, &other, reply);
    }
    match field(query, "view") {
        Some(_) => view::send(library, &target, reply),
        None => file::send(
            library,
            &target,
            head,
            field(query, "download").is_some(),
            reply,
        ),
    }
}
