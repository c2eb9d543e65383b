//! Replicas give what the repository has lost, and it is put back.

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::replicas;
use crate::text::counted;
use repo_core::ops;
use repo_core::repo::Repo;

/// Lets a command that only reads have from the replicas what the repository cannot give. One that cannot be reached is left out.
pub fn read_also(app: &App, repo: &Repo) -> Result<(), Failure> {
    let mut reached = Vec::new();
    for place in replicas::named(app)? {
        match replicas::reach(app, &place, true) {
            Ok(backend) => reached.push(backend),
            Err(failure) => app.terminal.say_more(&format!(
                "nothing is read from {place}: {}",
                failure.happened()
            ))?,
        }
    }
    match reached.is_empty() {
        true => Ok(()),
        false => Ok(repo.read_also(reached)?),
    }
}

/// Puts back what replicas gave, and says so.
pub fn heal(app: &App, repo: &Repo) -> Result<Exit, Failure> {
    let healed = ops::heal(repo)?;
    let places = healed.places.join(" and ");
    if healed.back > 0 {
        let objects = counted(
            healed.back,
            "object that was damaged or missing was read from",
            "objects that were damaged or missing were read from",
        );
        app.terminal
            .warn(&format!("{objects} {places}, and put back"));
    }
    if let Some((object, error)) = healed.failed.first() {
        let objects = counted(
            healed.failed.len() as u64,
            "object that is damaged or missing was read from",
            "objects that are damaged or missing were read from",
        );
        app.terminal.warn(&format!(
            "{objects} {places}, and cannot be put back, such as {object}: {error}; `larder check --read-data` says more"
        ));
    }
    Ok(Exit::with_problems(healed.failed.len() as u64))
}
