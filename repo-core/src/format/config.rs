//! The object `config` (`docs/format.md`, "Config"): magic, version and repository id in clear, the settings that the
//! repository began with sealed. It is never rewritten.

use super::codec;
use super::envelope::{self, Envelopes, RecordType};
use super::settings::Settings;
use crate::error::{Error, Result, Subject};
use crate::id::RepositoryId;

/// The stored bytes.
pub fn seal(envelopes: &Envelopes, settings: &Settings) -> Result<Vec<u8>> {
    let clear = envelopes.repository().0;
    envelopes.seal(RecordType::Config, &clear, &codec::encode(settings), None)
}

/// The repository's id, which stands in clear. `Damaged` if this is no config, `Unsupported` for a newer version.
pub fn repository(bytes: &[u8]) -> Result<RepositoryId> {
    let visible = envelope::visible(bytes)?;
    match (visible.record_type, RepositoryId::from_slice(visible.clear)) {
        (RecordType::Config, Some(id)) => Ok(id),
        _ => Err(Error::damaged(Subject::None).detail("not a config")),
    }
}

/// The settings; the keys prove that nothing was changed.
pub fn open(envelopes: &Envelopes, bytes: &[u8]) -> Result<Settings> {
    let opened = envelopes.open(RecordType::Config, bytes)?;
    let settings: Settings = codec::decode(&opened.body)?;
    settings.check()?;
    Ok(settings)
}
