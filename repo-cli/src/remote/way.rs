//! The way to a place on another machine, through OpenDAL.

use super::Remote;
use crate::app::App;
use crate::exit::Failure;
use repo_core::backend::wrap::{ConnectionLimit, Counting, Retry, RetryOptions};
use repo_core::backend::{Backend, OpenDalBackend, OpenDalOptions};
use std::sync::Arc;

/// The place itself, and the way there that every command goes: counted, tried again, so many calls at once.
pub struct Reached {
    /// The place without anything around it.
    pub place: Arc<OpenDalBackend>,
    /// The way there.
    pub backend: Arc<dyn Backend>,
}

/// The way to a place. Asks nobody yet.
pub fn reach(app: &App, remote: &Remote) -> Result<Reached, Failure> {
    let bytes = |kib: Option<u64>| kib.filter(|kib| *kib > 0).map(|kib| kib << 10);
    let options = OpenDalOptions {
        upload_bytes_per_second: bytes(app.repository.limit_upload),
        download_bytes_per_second: bytes(app.repository.limit_download),
    };
    let place = Arc::new(OpenDalBackend::new(&remote.address, options)?);
    let limited = match app.repository.connections.or(remote.connections) {
        Some(connections) => ConnectionLimit::with(place.clone(), connections),
        None => ConnectionLimit::new(place.clone()),
    };
    let terminal = app.terminal.clone();
    let shown = remote.address.to_string();
    let retry = Retry::new(Arc::new(limited), RetryOptions::default())
        .interrupted_by(crate::signals::check)
        .notifying(move |error, pause| {
            let error = crate::message::reason(error);
            let seconds = pause.as_secs_f32();
            terminal.warn(&format!("{shown}: {error}; trying again in {seconds:.1} s"));
        });
    let counting = Arc::new(Counting::new(Arc::new(retry)));
    app.requests.borrow_mut().push(Arc::clone(&counting));
    Ok(Reached {
        place,
        backend: counting,
    })
}
