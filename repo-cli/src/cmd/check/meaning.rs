//! What the findings of a check mean together for what was backed up, and what to do.

use repo_core::format::name::{self, CHECKPOINTS, ObjectKind};
use repo_core::log::PackState;
use repo_core::ops::{Finding, Harm};
use repo_core::repo::Repo;
use repo_core::{ErrorKind, Subject};

/// Whether a finding is of some sort.
type Sort = fn(&Finding) -> bool;

/// Lines of what to do, each if there is any finding of a sort.
const ADVICE: [(Sort, &str); 8] = [
    (
        |f| f.harm == Harm::None && matches!(f.error.subject(), Subject::Pack(_)),
        "`larder repair packs ID` copies what such a pack holds to a new one, and takes it out of use.",
    ),
    (
        |f| f.harm == Harm::AtRisk && matches!(f.error.subject(), Subject::Snapshot(_)),
        "Put the snapshots back from a copy of the repository. If there is none, `larder repair snapshots --forget` makes \
         them anew from what the log says of them.",
    ),
    (
        |f| f.harm == Harm::AtRisk && f.is_of_log(),
        "Put the log entries back from a copy of the repository before anything else is done with it. If there is none, \
         `larder repair log` clears them.",
    ),
    (
        |f| f.harm == Harm::None && is_repeated(f),
        "`larder repair log` writes again what of the log is known otherwise, and removes checkpoints that cannot be read.",
    ),
    (
        is_of_index,
        "`larder repair index` enters anew what the packs hold that index tables were lost of.",
    ),
    (
        is_surplus,
        "A prune removes what nothing refers to once it is two days old.",
    ),
    (
        is_lost_slot,
        "Put the key back from a copy of the repository, or give its user another one with `larder key add`, \
         which takes the lost one off the list.",
    ),
    (
        is_stranger,
        "Move away what does not belong to the repository; larder never touches it.",
    ),
];

/// What they mean, a line each.
pub fn meaning(repo: &Repo, findings: &[Finding]) -> String {
    let mut lines = vec![harm(findings)];
    lines.extend(about_data(repo, findings));
    let advice = ADVICE.iter().filter(|(is, _)| findings.iter().any(is));
    lines.extend(advice.map(|(_, text)| *text));
    lines.join("\n")
}

fn harm(findings: &[Finding]) -> &'static str {
    let any = |harm| findings.iter().any(|finding| finding.harm == harm);
    if any(Harm::AtRisk) {
        "What the lines above name is lost or at risk, unless they say otherwise; everything else restores as before."
    } else if any(Harm::Healable) {
        "Nothing is lost: what cannot be found until then is entered anew by a repair."
    } else {
        "Everything that was backed up restores as before."
    }
}

/// What to do about content that is lost.
fn about_data(repo: &Repo, findings: &[Finding]) -> Option<&'static str> {
    let (mut packs, mut condemned, mut blobs) = (false, false, false);
    for finding in findings.iter().filter(|f| f.harm == Harm::AtRisk) {
        match finding.error.subject() {
            Subject::Pack(id) if repo.state().pack_state(id) == PackState::Condemned => {
                condemned = true;
            }
            Subject::Pack(_) => packs = true,
            Subject::Blob(_) => blobs = true,
            _ => {}
        }
    }
    if packs {
        Some(
            "Put the packs back from a copy of the repository. If there is none, in this order, and with no prune before the end: \
             `larder repair packs ID` saves what can be read of one and takes it out of use, `larder backup` stores again what \
             the sources still hold, and `larder repair snapshots --forget` makes do without the rest.",
        )
    } else if condemned {
        Some(
            "The packs are out of use; what could be read of them was saved then. `larder backup` stores again what the sources still \
             hold, and `larder repair snapshots --forget` makes do without the rest.",
        )
    } else if blobs {
        Some(
            "Put packs and index tables back from a copy of the repository, if there is one, and run `larder repair index`. \
             `larder backup` stores again what the sources still hold, and `larder repair snapshots --forget` makes do without the rest.",
        )
    } else {
        None
    }
}

/// Whether it is about what other files say too, if it does no harm.
fn is_repeated(finding: &Finding) -> bool {
    match finding.error.subject() {
        Subject::Object(name) if name.starts_with(CHECKPOINTS) => true,
        Subject::Object(name) if name::parse_segment_open(name).is_some() => true,
        _ => finding.is_of_log() && !is_stranger(finding),
    }
}

/// Whether it is about an index table.
pub fn is_of_index(finding: &Finding) -> bool {
    matches!(finding.error.subject(), Subject::Index(_))
}

/// Whether it is about an object that nothing refers to.
fn is_surplus(finding: &Finding) -> bool {
    let (Harm::None, Subject::Object(name)) = (finding.harm, finding.error.subject()) else {
        return false;
    };
    let kind = ObjectKind::parse(name).map(|(kind, _)| kind);
    kind.is_some_and(|kind| !matches!(kind, ObjectKind::Key | ObjectKind::State))
}

/// Whether it says that the slot of a password or key file is not there.
fn is_lost_slot(finding: &Finding) -> bool {
    let of_keys = |name: &str| ObjectKind::parse(name).is_none() && name.starts_with("keys/");
    finding.error.kind() == ErrorKind::Missing
        && matches!(finding.error.subject(), Subject::Object(name) if of_keys(name))
}

/// Whether it is about what lies in the repository's directory and is no part of it.
pub fn is_stranger(finding: &Finding) -> bool {
    finding.error.kind() == ErrorKind::InvalidInput
        || finding.error.detail_text() == Some("is no part of this log")
}
