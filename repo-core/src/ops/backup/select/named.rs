//! The paths that were given, as a tree.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A directory on the way to paths that were given, or one of them.
#[derive(Debug, Default)]
pub struct Named {
    given: bool,
    children: BTreeMap<Vec<u8>, Arc<Named>>,
}

impl Named {
    /// The tree of these absolute paths.
    pub fn of(paths: &[PathBuf]) -> Self {
        let paths: Vec<Vec<&[u8]>> = paths.iter().map(|path| names(path)).collect();
        Self::below(&mut paths.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// The tree of paths from one directory on. Paths are no longer than the system allows, so this is not deep.
    fn below(paths: &mut [&[&[u8]]]) -> Self {
        paths.sort_unstable();
        let mut named = Self::default();
        for group in paths.chunk_by_mut(|a, b| a.first() == b.first()) {
            let Some(first) = group[0].first() else {
                named.given = true;
                continue;
            };
            let name = first.to_vec();
            group.iter_mut().for_each(|path| *path = &path[1..]);
            named.children.insert(name, Arc::new(Self::below(group)));
        }
        named
    }

    /// What lies at this path from here on, if a way leads on from there.
    pub fn at(self: &Arc<Self>, path: &Path) -> Option<Arc<Self>> {
        let found = names(path)
            .into_iter()
            .try_fold(self.clone(), |named, name| named.child(name))?;
        (!found.children.is_empty()).then_some(found)
    }

    /// What is named `name` here.
    pub fn child(&self, name: &[u8]) -> Option<Arc<Self>> {
        self.children.get(name).cloned()
    }

    /// Whether this path itself was given.
    pub fn is_given(&self) -> bool {
        self.given
    }
}

fn names(path: &Path) -> Vec<&[u8]> {
    let name = |part| match part {
        Component::Normal(name) => Some(name.as_bytes()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}
