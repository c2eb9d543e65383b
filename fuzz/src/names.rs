//! Names of objects, as a listing gives them.

use repo_core::backend::check_name;
use repo_core::format::name::{self, ObjectKind};

/// A name that is taken for one of ours is the one we would give, and every backend can store it.
pub fn names(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Some((kind, id)) = ObjectKind::parse(text) {
        assert_eq!(kind.name(&id), text);
        check_name(text).expect("our names can be stored");
    }
    let Some((number, nonce)) = name::parse_numbered(text) else {
        return;
    };
    let last = text.rsplit('/').next().unwrap_or(text);
    let ours = match nonce {
        Some(nonce) => [
            name::entry_of(number, &nonce),
            name::checkpoint_of(number, &nonce),
        ],
        None => [name::entry(number), name::checkpoint(number)],
    };
    for ours in ours {
        check_name(&ours).expect("our names can be stored");
        assert!(
            ours.ends_with(&format!("/{last}")),
            "{text:?} stands for {ours:?}"
        );
    }
}
