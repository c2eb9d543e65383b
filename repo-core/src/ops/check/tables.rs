//! Index tables that are missing or damaged, and what the packs themselves say instead.

use super::affected::Damage;
use super::surplus::Surplus;
use super::{CheckSummary, Finding, Harm, with};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::name::ObjectKind;
use crate::id::IndexId;
use crate::repo::Repo;

/// Says what it means that these tables cannot be had.
///
/// A pack has a directory that says the same as the table, so that nothing is lost by this alone; but until a backup enters the
/// packs anew, what only they hold is not found. Once all is named by other tables, nothing needs the lost ones.
pub fn conclude(
    lost: Vec<(IndexId, Error)>,
    surplus: &Surplus,
    summary: &mut CheckSummary,
    damage: &mut Damage,
) {
    let all_known = !damage.has_unknown();
    let first = summary.findings.len();
    for (id, error) in lost {
        if all_known && surplus.only_here().is_empty() {
            let object = ObjectKind::Index.name(&id.0);
            summary.absent.push(match error.kind() {
                ErrorKind::Missing => object,
                _ => format!("{object} (damaged)"),
            });
            continue;
        }
        let packs = surplus.only_here().len();
        let (harm, more) = match all_known {
            true => (
                Harm::Healable,
                format!(
                    "nothing is lost: {packs} packs that no other table names say themselves what they hold, \
                     and the next backup enters them anew"
                ),
            ),
            false => (
                Harm::AtRisk,
                format!("not all is found again in the {packs} packs that no other table names"),
            ),
        };
        summary.findings.push(Finding {
            harm,
            ..Finding::new(with(error, &more))
        });
    }
    damage.unlisted(surplus.only_here(), first);
}

/// Forgets what this client's cache has of tables whose packs are all there: who backs up here must see that they are lost.
/// Of others the cache may be the last to know what was in them.
pub fn forget(repo: &Repo, summary: &CheckSummary) -> Result<()> {
    let healable = |finding: &&Finding| finding.harm == Harm::Healable;
    let table = |finding: &Finding| match finding.error.subject() {
        Subject::Index(id) => Some(*id),
        _ => None,
    };
    let findings = summary.findings.iter();
    let tables: Vec<IndexId> = findings.filter(healable).filter_map(table).collect();
    match tables.is_empty() {
        true => Ok(()),
        false => {
            repo.index().forget_tables(&tables)?;
            repo.refresh()
        }
    }
}
