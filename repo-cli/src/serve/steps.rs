//! Answers that are made as their readers take them: who takes nothing has no thread, and next to no memory.

use super::reply::{PIECE, Piece};
use hyper::body::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

/// How long what was read waits for its reader: then it is dropped, and read again when the reader takes more.
const TURN: Duration = Duration::from_millis(500);

/// What makes an answer.
pub trait Steps: Send + 'static {
    /// The bytes behind those of which `taken` were taken, of what was given last. Empty at the end; `None` if they cannot be
    /// read, which has been told then.
    fn next(&mut self, taken: usize) -> Option<Vec<u8>>;
}

/// Passes on what steps give, of which `bytes` come first, with this turn. Memory: what a step gives for each turn, and else one piece.
pub async fn pass(
    mut steps: Box<dyn Steps>,
    mut bytes: Vec<u8>,
    turns: Arc<Semaphore>,
    mut turn: OwnedSemaphorePermit,
    to: mpsc::Sender<Piece>,
) {
    while !bytes.is_empty() {
        let Some(taken) = taken(bytes, &to).await else {
            return;
        };
        drop(turn);
        // Whoever takes nothing waits here.
        if to.reserve().await.is_err() {
            return;
        }
        turn = match turns.clone().acquire_owned().await {
            Ok(turn) => turn,
            Err(_) => return,
        };
        let step = spawn_blocking(move || (steps.next(taken), steps)).await;
        (bytes, steps) = match step {
            Ok((Some(bytes), steps)) => (bytes, steps),
            // What is not whole breaks off.
            _ => return,
        };
    }
    drop(turn);
    let _ = to.send(Piece::End).await;
}

/// How many of these bytes a reader takes while it is their turn; `None` if it is gone.
async fn taken(bytes: Vec<u8>, to: &mpsc::Sender<Piece>) -> Option<usize> {
    let (end, mut taken) = (Instant::now() + TURN, 0);
    for piece in bytes.chunks(PIECE) {
        let Ok(room) = timeout_at(end, to.reserve()).await else {
            break;
        };
        room.ok()?.send(Piece::Data(Bytes::copy_from_slice(piece)));
        taken += piece.len();
    }
    Some(taken)
}
