//! How an answer goes out: at once, in steps, or piece by piece from a thread that waits for its reader.

use super::connections::Connection;
use super::steps::{Steps, pass};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::http::response::Builder;
use hyper::{Response, StatusCode, header};
use std::io::{Error, ErrorKind, Result, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// So many bytes are sent at a time.
pub const PIECE: usize = 64 << 10;

/// So many such pieces may wait if a thread makes them.
const PIECES_MAX: usize = 4;

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
    /// What takes the head.
    pub head: oneshot::Sender<Response<Sent>>,
    /// Whether only the head is wanted.
    pub only_head: bool,
    /// Runs what passes the rest on.
    pub handle: Handle,
    /// Who asked.
    pub connection: Arc<Connection>,
    /// Whose turn it is to be answered by a thread.
    pub turns: Arc<Semaphore>,
    /// That it is this answer's turn.
    pub turn: OwnedSemaphorePermit,
}

impl Reply {
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

    /// Answers with `first`, and then with what steps give, if not only the head is wanted.
    pub fn steps(self, builder: Builder, first: Vec<u8>, steps: impl Steps) {
        if self.only_head {
            return self.empty(builder);
        }
        let (sender, receiver) = mpsc::channel(1);
        send(self.head, builder, Sent::Pieces(receiver));
        let steps = Box::new(steps);
        self.handle
            .spawn(pass(steps, first, self.turns, self.turn, sender));
    }

    /// Answers with what is written then; nothing is to be written if only the head is wanted. It is others' turn meanwhile.
    pub fn stream(self, builder: Builder) -> Option<Stream> {
        if self.only_head {
            self.empty(builder);
            return None;
        }
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        send(self.head, builder, Sent::Pieces(receiver));
        Some(Stream {
            sender,
            waiting: Vec::with_capacity(PIECE),
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
///
/// It waits for its reader as long as the connection stands.
pub struct Stream {
    sender: mpsc::Sender<Piece>,
    waiting: Vec<u8>,
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
        self.broken = self.sender.blocking_send(piece).is_err();
        match self.broken {
            false => Ok(()),
            true => Err(ErrorKind::BrokenPipe.into()),
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
