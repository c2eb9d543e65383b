//! The way to a place on another machine, through OpenDAL.

use super::Remote;
use crate::app::App;
use crate::exit::Failure;
use crate::faulty::faulty;
use crate::timetable::Timetable;
use repo_core::backend::wrap::{ConnectionLimit, Counting, Retry, RetryOptions};
use repo_core::backend::{Backend, OpenDalBackend, OpenDalOptions, SpeedLimit};
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
    let network = &app.repository.network;
    let mut options = OpenDalOptions {
        upload: network.upload(&app.env)?.map(limit),
        download: network.download(&app.env)?.map(limit),
        ..OpenDalOptions::default()
    };
    if let Some(timeout) = network.stuck_request_timeout(&app.env)? {
        options.answer_timeout = timeout;
    }
    let patience = network.retry_for(&app.env)?;
    let patience = patience.map_or_else(RetryOptions::default, RetryOptions::for_so_long);
    if remote.address.service() == "sftp" {
        crate::ssh::adopt();
    }
    let place = Arc::new(OpenDalBackend::new(&remote.address, options)?);
    let inner = faulty(app, place.clone())?;
    let limited = match network.connections.or(remote.connections) {
        Some(connections) => ConnectionLimit::with(inner, connections),
        None => ConnectionLimit::new(inner),
    };
    let terminal = app.terminal.clone();
    let shown = remote.address.to_string();
    let retry = Retry::new(Arc::new(limited), patience)
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

fn limit(timetable: Timetable) -> SpeedLimit {
    SpeedLimit::varying(timetable.slowest(), move || timetable.now())
}
