//! A cache that forgets what was not used for a while.

use std::collections::HashMap;
use std::hash::Hash;

/// Two generations of entries: what is used moves to the young one, and when that is half of what may be kept, it becomes the old
/// one and the old one goes. No entry is ever looked for, so every step takes the same short time.
pub struct Generations<K, V> {
    cost_max: usize,
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    cost: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Generations<K, V> {
    /// Keeps values that cost so much together, and one that costs more.
    pub fn new(cost_max: usize) -> Self {
        Self {
            cost_max,
            young: HashMap::new(),
            old: HashMap::new(),
            cost: 0,
        }
    }

    /// The value, which counts as used.
    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (value, cost) = self.old.remove(key)?;
        self.put(key.clone(), value.clone(), cost);
        Some(value)
    }

    /// Keeps a value.
    pub fn put(&mut self, key: K, value: V, cost: usize) {
        if self.cost + cost > self.cost_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.cost = 0;
        }
        self.cost += cost;
        if let Some((_, before)) = self.young.insert(key, (value, cost)) {
            self.cost -= before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays() {
        let mut cache = Generations::new(8);
        for key in 0..100 {
            cache.put(key, key * 2, 1);
            assert_eq!(cache.get(&0), Some(0), "after {key}");
            assert!(cache.young.len() + cache.old.len() <= 8);
        }
        assert_eq!(cache.get(&99), Some(198));
        assert_eq!(cache.get(&50), None);
    }

    #[test]
    fn one_that_costs_more_than_all_is_kept_alone() {
        let mut cache = Generations::new(4);
        cache.put("small", 1, 1);
        cache.put("large", 2, 100);
        assert_eq!(cache.get(&"large"), Some(2));
        cache.put("other", 3, 100);
        cache.put("last", 4, 100);
        assert_eq!(cache.get(&"large"), None);
        assert_eq!(cache.young.len() + cache.old.len(), 2);
    }
}
