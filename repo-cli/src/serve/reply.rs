//! How an answer goes out: at once, or piece by piece from a thread that may wait for its reader.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::http::response::Builder;
use hyper::{Response, StatusCode, header};
use std::io::{Error, ErrorKind, Result, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// So many bytes are sent at a time, and so many such pieces may wait.
const PIECE: usize = 64 << 10;
const PIECES_MAX: usize = 4;

/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is sent after the head.
pub enum Sent {
    /// All of it, once.
    Whole(Option<Bytes>),
    /// What a thread writes.
    Pieces(mpsc::Receiver<Piece>),
    /// Nothing more.
    Nothing,
}

/// A part of what is sent.
pub enum Piece {
    /// Bytes.
    Data(Bytes),
    /// No more come. Without it what was sent is not whole, and the connection breaks.
    End,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let next = match &mut *self {
            Self::Nothing => return Poll::Ready(None),
            Self::Whole(bytes) => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            Self::Pieces(pieces) => std::task::ready!(pieces.poll_recv(context)),
        };
        Poll::Ready(match next {
            Some(Piece::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::End) => {
                *self = Self::Nothing;
                None
            }
            None => Some(Err(Error::from(ErrorKind::UnexpectedEof))),
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Nothing | Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Self::Whole(None) | Self::Nothing => SizeHint::with_exact(0),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

/// Where an answer goes.
pub struct Reply {
    head: oneshot::Sender<Response<Sent>>,
    /// Whether only the head is wanted.
    only_head: bool,
    handle: Handle,
}

impl Reply {
    /// For a thread that may wait.
    pub fn new(head: oneshot::Sender<Response<Sent>>, only_head: bool, handle: Handle) -> Self {
        Self {
            head,
            only_head,
            handle,
        }
    }

    /// Answers with these bytes.
    pub fn whole(self, builder: Builder, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        let builder = builder.header(header::CONTENT_LENGTH, bytes.len());
        let sent = match self.only_head {
            true => Sent::Nothing,
            false => Sent::Whole(Some(bytes)),
        };
        send(self.head, builder, sent);
    }

    /// Answers with a line of text.
    pub fn text(self, status: StatusCode, text: &str) {
        let builder = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
        self.whole(builder, format!("{text}\n"));
    }

    /// Answers with a head alone.
    pub fn empty(self, builder: Builder) {
        send(self.head, builder, Sent::Nothing);
    }

    /// Answers with what is written then; nothing is to be written if only the head is wanted.
    pub fn stream(self, builder: Builder) -> Option<Stream> {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        if self.only_head {
            send(self.head, builder, Sent::Nothing);
            return None;
        }
        send(self.head, builder, Sent::Pieces(receiver));
        Some(Stream {
            sender,
            waiting: Vec::with_capacity(PIECE),
            handle: self.handle,
            broken: false,
        })
    }
}

/// Sends a head; who asked may be gone.
fn send(to: oneshot::Sender<Response<Sent>>, builder: Builder, sent: Sent) {
    let refused = |_| {
        let mut answer = Response::new(Sent::Nothing);
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    };
    let _ = to.send(builder.body(sent).unwrap_or_else(refused));
}

/// Takes what is sent after a head. Memory: 5 pieces of 64 KiB. Dropped without [`Stream::finish`] it breaks the connection.
pub struct Stream {
    sender: mpsc::Sender<Piece>,
    waiting: Vec<u8>,
    handle: Handle,
    broken: bool,
}

impl Stream {
    /// Whether its reader takes no more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Says that this was all.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.send(Piece::End)
    }

    fn send(&mut self, piece: Piece) -> Result<()> {
        // A reader that takes nothing any more must not hold the thread for ever.
        let sent = self
            .handle
            .block_on(timeout(PATIENCE, self.sender.send(piece)));
        self.broken = !matches!(sent, Ok(Ok(())));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(ErrorKind::BrokenPipe.into()),
            Err(_) => Err(ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let taken = bytes.len().min(PIECE - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        if self.waiting.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE));
        self.send(Piece::Data(piece.into()))
    }
}
