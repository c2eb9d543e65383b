//! Index tables that are missing or damaged, and what the packs themselves say instead.

use super::affected::Damage;
use super::surplus::Surplus;
use super::{CheckSummary, Finding, Harm, with};
use crate::error::{Error, ErrorKind};
use crate::format::name::ObjectKind;
use crate::id::IndexId;
use crate::repo::Repo;

/// Says what it means that these tables cannot be had.
///
/// A pack has a directory that says the same as the table, so that nothing is lost by this alone; but until a backup enters the
/// packs anew, what only they hold is not found. Once all is named by other tables, nothing needs the lost ones, and what was
/// healed so is no error any more.
pub fn conclude(
    repo: &Repo,
    lost: Vec<(IndexId, Error)>,
    surplus: &Surplus,
    summary: &mut CheckSummary,
    damage: &mut Damage,
) {
    let all_known = !damage.has_unknown() && !damage.is_in(surplus.only_here());
    let first = summary.findings.len();
    let packs = surplus.only_here().len();
    for (id, error) in lost {
        let (harm, more) = match (all_known, packs) {
            (true, 0) if has_come_to_harm(repo, &id) => {
                summary.absent.push(match error.kind() {
                    ErrorKind::Missing => ObjectKind::Index.name(&id.0),
                    _ => format!("{} (damaged)", ObjectKind::Index.name(&id.0)),
                });
                continue;
            }
            (true, 0) => (
                Harm::None,
                "other tables name all that is needed".to_owned(),
            ),
            (true, 1) => (
                Harm::Healable,
                "nothing is lost: one pack that no other table names says itself what it holds, and `larder repair index` enters it anew"
                    .to_owned(),
            ),
            (true, _) => (
                Harm::Healable,
                format!(
                    "nothing is lost: {packs} packs that no other table names say themselves what they hold, \
                     and `larder repair index` enters them anew"
                ),
            ),
            (false, 1) => (
                Harm::AtRisk,
                "not all is whole in the one pack that no other table names".to_owned(),
            ),
            (false, _) => (
                Harm::AtRisk,
                format!("not all is whole in the {packs} packs that no other table names"),
            ),
        };
        summary.findings.push(Finding {
            harm,
            ..Finding::new(with(error, &more))
        });
    }
    damage.unlisted(surplus.only_here(), first);
}

/// Whether a table is missing, or not as it was stored; otherwise it was never right, and that stays an error.
fn has_come_to_harm(repo: &Repo, id: &IndexId) -> bool {
    repo.load_table(id).is_err()
}
