//! Threads for work on the processor, and results in the order the work was given.

use crate::error::{Error, Result, Subject};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// A rayon pool of our own; the process-wide one is never used.
///
/// Jobs own what they need, never wait for other jobs of the pool, and give one result each, which the caller takes from
/// a [`Ticket`] whenever it wants: a queue of tickets is an ordered parallel map.
pub struct Pool {
    threads: rayon::ThreadPool,
    count: usize,
}

/// The result of one job, sooner or later.
pub struct Ticket<T>(State<T>);

enum State<T> {
    Ready(T),
    Waiting(Receiver<T>, Job<T>),
}

/// A job until somebody begins it.
type Job<T> = Arc<Mutex<Option<Box<dyn FnOnce() -> T + Send>>>>;

fn begin<T>(job: &Job<T>) -> Option<Box<dyn FnOnce() -> T + Send>> {
    job.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Pool {
    /// A pool of `threads` threads; 0 means as many as the machine has cores.
    pub fn new(threads: usize) -> Result<Self> {
        Self::named("larder", threads)
    }

    /// As [`Pool::new`], with threads named after what they do.
    pub fn named(name: &'static str, threads: usize) -> Result<Self> {
        let count = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(move |n| format!("{name}.{n}"))
            // The job's ticket reports it: its sender is gone.
            .panic_handler(|_| ())
            .build()
            .map_err(|e| {
                Error::new(crate::ErrorKind::Unavailable, Subject::None)
                    .detail("cannot start threads")
                    .because(e)
            })?;
        Ok(Self { threads, count })
    }

    /// How many threads.
    pub fn threads(&self) -> usize {
        self.count
    }

    /// Gives a job to the pool; first come, first served.
    pub fn submit<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Ticket<T> {
        let (tx, rx) = sync_channel(1);
        let job: Job<T> = Arc::new(Mutex::new(Some(Box::new(job))));
        let ticket = Ticket(State::Waiting(rx, job.clone()));
        self.threads.spawn_fifo(move || {
            if let Some(job) = begin(&job) {
                // Nobody waits any more if the operation has failed meanwhile.
                let _ = tx.send(job());
            }
        });
        ticket
    }
}

impl<T> Ticket<T> {
    /// A result that needed no job.
    pub fn ready(value: T) -> Self {
        Self(State::Ready(value))
    }

    /// Waits for the result.
    pub fn wait(self) -> Result<T> {
        match self.0 {
            State::Ready(value) => Ok(value),
            State::Waiting(rx, _) => rx.recv().map_err(|_| stopped()),
        }
    }

    /// Waits for the result, or does the job here if no thread has begun it: for short ones that everything else waits
    /// for, behind long ones in the queue.
    pub fn wait_or_run(self) -> Result<T> {
        if let State::Waiting(_, job) = &self.0
            && let Some(job) = begin(job)
        {
            return Ok(job());
        }
        self.wait()
    }

    /// Whether [`Ticket::wait`] would return at once.
    pub fn is_ready(&mut self) -> Result<bool> {
        if let State::Waiting(rx, _) = &self.0 {
            match rx.try_recv() {
                Ok(value) => self.0 = State::Ready(value),
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => return Err(stopped()),
            }
        }
        Ok(true)
    }
}

fn stopped() -> Error {
    Error::new(crate::ErrorKind::Unavailable, Subject::None).detail("a worker thread panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_panics_are_errors() {
        let pool = Pool::new(3).unwrap();
        let tickets: Vec<_> = (0..100).map(|n| pool.submit(move || n * n)).collect();
        let results: Vec<i32> = tickets.into_iter().map(|t| t.wait().unwrap()).collect();
        assert_eq!(results, (0..100).map(|n| n * n).collect::<Vec<_>>());
        assert!(pool.submit(|| panic!("as a test")).wait().is_err());
        assert_eq!(pool.submit(|| 7).wait().unwrap(), 7);
        assert_eq!(pool.submit(|| 8).wait_or_run().unwrap(), 8);
    }
}
