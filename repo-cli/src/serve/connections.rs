//! Who is connected: who takes nothing must not keep others out.

use std::io::{IoSlice, Result};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::sleep;

/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// The same while others want the place that it has.
const PATIENCE_WANTED: Duration = Duration::from_secs(5);

/// Who takes less than that in a second takes nothing, as time goes by.
const BYTES_PER_SECOND_MIN: u64 = 1024;

/// How often it is looked who takes nothing.
const LOOK: Duration = Duration::from_millis(500);

/// All connections.
#[derive(Default)]
pub struct Connections(Mutex<Vec<Arc<Connection>>>);

impl Connections {
    /// Lets somebody in. Of more than `most` one goes: of the address that has most of them the one that was silent for longest.
    pub fn enter(&self, address: IpAddr, most: usize) -> Arc<Connection> {
        let own = Arc::new(Connection::new(origin(address), Instant::now()));
        let mut all = locked(&self.0);
        all.push(own.clone());
        while all.len() > most {
            let of_origin = |one: &Arc<Connection>| {
                let same = all.iter().filter(|other| other.origin == one.origin);
                (same.count(), std::cmp::Reverse(locked(&one.state).moved))
            };
            let places = 0..all.len() - 1;
            let Some(place) = places.max_by_key(|place| of_origin(&all[*place])) else {
                break;
            };
            all.swap_remove(place).end.notify_one();
        }
        own
    }

    /// Forgets somebody who went.
    pub fn leave(&self, connection: &Arc<Connection>) {
        locked(&self.0).retain(|other| !Arc::ptr_eq(other, connection));
    }
}

/// Where somebody comes from: of IPv6 the network, because one machine has all addresses of it.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

/// What is known of one connection.
pub struct Connection {
    /// Where it comes from.
    pub origin: IpAddr,
    state: Mutex<State>,
    end: Notify,
}

struct State {
    /// When anything came or went last.
    moved: Instant,
    /// Since when its reader takes nothing.
    blocked: Option<Instant>,
    /// For how long it took nothing before, less what it took since.
    waited: Duration,
    /// Whether it has a place that is scarce.
    place: bool,
}

impl Connection {
    fn new(origin: IpAddr, now: Instant) -> Self {
        let state = State {
            moved: now,
            blocked: None,
            waited: Duration::ZERO,
            place: false,
        };
        Self {
            origin,
            state: Mutex::new(state),
            end: Notify::new(),
        }
    }

    /// Says whether it has a place that is scarce.
    pub fn has_place(&self, place: bool) {
        locked(&self.state).place = place;
    }

    /// Returns when it must end: another needs the room, or it takes nothing. `wanted` says whether others want a place.
    pub async fn must_end(&self, wanted: impl Fn() -> bool) {
        loop {
            tokio::select! {
                () = self.end.notified() => return,
                () = sleep(LOOK) => {}
            }
            if locked(&self.state).takes_nothing(Instant::now(), &wanted) {
                return;
            }
        }
    }
}

impl State {
    /// The other side was given the chance to take something: it took so many bytes, or none.
    fn wrote(&mut self, bytes: Option<usize>, now: Instant) {
        let Some(bytes) = bytes else {
            self.blocked.get_or_insert(now);
            return;
        };
        if let Some(since) = self.blocked.take() {
            self.waited += now.saturating_duration_since(since);
        }
        let bought = Duration::from_millis(bytes as u64 * 1000 / BYTES_PER_SECOND_MIN);
        self.waited = self.waited.saturating_sub(bought);
        self.moved = now;
    }

    fn takes_nothing(&self, now: Instant, wanted: impl Fn() -> bool) -> bool {
        let Some(since) = self.blocked else {
            return false;
        };
        let waited = self.waited + now.saturating_duration_since(since);
        let patience = match self.place && wanted() {
            true => PATIENCE_WANTED,
            false => PATIENCE,
        };
        waited >= patience
    }
}

/// A socket that tells its connection what goes through it.
pub struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Watched {
    /// Tells this connection.
    pub fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }

    fn told(&self, written: Poll<Result<usize>>) -> Poll<Result<usize>> {
        let mut state = locked(&self.connection.state);
        match &written {
            Poll::Ready(Ok(bytes)) => state.wrote(Some(*bytes), Instant::now()),
            Poll::Pending => state.wrote(None, Instant::now()),
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            locked(&self.connection.state).moved = Instant::now();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.told(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.told(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What a thread that panicked left is whole: nothing here is changed in parts.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn v4(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn the_silent_of_the_most_go_first() {
        let all = Connections::default();
        let one = all.enter(v4(1), 3);
        let first = all.enter(v4(2), 3);
        let second = all.enter(v4(2), 3);
        locked(&first.state).moved += Duration::from_secs(1);
        let new = all.enter(v4(3), 3);
        let has = |one: &Arc<Connection>| locked(&all.0).iter().any(|own| Arc::ptr_eq(own, one));
        assert!(has(&one) && has(&first) && has(&new) && !has(&second));
        all.leave(&one);
        assert!(!has(&one));
        let v6 = |last: u64| Ipv6Addr::from_bits(5 << 64 | u128::from(last)).into();
        assert_eq!(origin(v6(1)), origin(v6(7)));
        assert_ne!(origin(v4(1)), origin(v4(2)));
    }

    #[test]
    fn who_takes_little_takes_nothing_in_the_end() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let connection = Connection::new(v4(1), begun);
        connection.has_place(true);
        let mut state = locked(&connection.state);
        assert!(
            !state.takes_nothing(at(999), || true),
            "nothing is to be taken"
        );
        state.wrote(None, at(0));
        assert!(!state.takes_nothing(at(4), || true));
        assert!(state.takes_nothing(at(5), || true));
        assert!(!state.takes_nothing(at(119), || false));
        state.wrote(Some(60 << 10), at(100));
        assert!(!state.takes_nothing(at(300), || true));
        state.wrote(None, at(300));
        assert!(
            state.takes_nothing(at(381), || false),
            "40 s are left from before"
        );
        for second in 400..1000 {
            state.wrote(Some(10 << 10), at(second));
            state.wrote(None, at(second));
        }
        assert!(!state.takes_nothing(at(1001), || true));
    }
}
