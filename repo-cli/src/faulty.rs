//! Places that fail on purpose, for whoever wants to see how the program fares; only in builds with the feature `faults`.

use crate::app::App;
use crate::exit::Failure;
use repo_core::backend::Backend;
use std::sync::Arc;

/// The place with the faults that `LARDER_FAULTS` asks for.
#[cfg(feature = "faults")]
pub fn faulty(app: &App, place: Arc<dyn Backend>) -> Result<Arc<dyn Backend>, Failure> {
    use repo_core::backend::wrap::{Faults, Odds};

    let Some(asked) = app.env.get("LARDER_FAULTS") else {
        return Ok(place);
    };
    let mut asked = asked.to_string_lossy().into_owned();
    if !asked.contains("seed=") {
        let seed = u32::from_le_bytes(repo_core::crypto::random_array());
        asked = format!("{asked},seed={seed}");
    }
    let odds = Odds::parse(&asked).map_err(|error| {
        let why = error
            .detail_text()
            .unwrap_or("it makes no sense")
            .to_owned();
        Failure::usage(format!("$LARDER_FAULTS cannot be `{asked}`\nThere, {why}."))
    })?;
    let terminal = app.terminal.clone();
    terminal.warn(&format!(
        "this place fails on purpose: LARDER_FAULTS={asked}"
    ));
    let told = app.terminal.verbosity() > 0;
    let tell = move |operation, name: &str, fault| {
        if told {
            terminal.warn(&format!("fault: {operation:?} {name}: {fault:?}"));
        }
    };
    Ok(Arc::new(Faults::new(place).odds(odds).notifying(tell)))
}

/// The place itself: this program was built without faults.
#[cfg(not(feature = "faults"))]
pub fn faulty(_: &App, place: Arc<dyn Backend>) -> Result<Arc<dyn Backend>, Failure> {
    Ok(place)
}
