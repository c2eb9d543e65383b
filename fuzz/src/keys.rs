//! The fixed keys that every target seals and opens with.

use repo_core::crypto::{Keyring, Role, Secret, Signer};
use repo_core::format::envelope::Envelopes;
use repo_core::id::RepositoryId;
use std::sync::OnceLock;

/// The repository of all targets.
pub fn repository_id() -> RepositoryId {
    RepositoryId([2; 32])
}

/// The keys that a holder of `role` has, made once.
pub fn envelopes(role: Role) -> &'static Envelopes {
    static ALL: OnceLock<Vec<(Role, Envelopes)>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let ring = Keyring::from_root(&Secret::new([1; 32]), 0, &[0]);
        let of = |role: Role| Keyring::from_bundle(&ring.bundle(role, &[0]));
        let pair = |role| (role, Envelopes::new(of(role), repository_id()));
        Role::ALL.into_iter().map(pair).collect()
    });
    let found = all.iter().find(|(other, _)| *other == role);
    &found.expect("made for every role").1
}

/// Signs what is sealed.
pub fn signer() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| Signer::from_seed(&Secret::new([3; 32])))
}
