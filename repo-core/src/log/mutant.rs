//! Switches rules of the protocol off, one at a time, so that the explorer can be seen to fail.

/// A rule that the explorer breaks on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(not(any(test, feature = "mutants")), allow(dead_code))]
pub enum Rule {
    /// Void what its signer may not write.
    Roles,
    /// Look at what a commit rests on before appending it.
    CommitCheck,
    /// Look at lent subtrees when their parent is forgotten.
    LentCheck,
    /// A block needs its bases too.
    Bases,
    /// Before deleting, spare what became needed.
    DeleteCheck,
    /// Unforget only what is still there.
    UnforgetCheck,
    /// Class C: what is known through entries in doubt only is nobody's source.
    Quarantine,
    /// Class C: what a `Deleting` had not seen of a fenced process is void.
    FenceVoid,
    /// Class C: deletion waits for those who were at work.
    Wait,
    /// Class C: what was condemned before a process began is not there for it.
    CondemnedIsGone,
    /// Class C: spare what was forgotten after the processes were listed.
    ForgottenSince,
    /// A table or snapshot object that was deleted meanwhile is put again.
    LostObjects,
}

#[cfg(any(test, feature = "mutants"))]
mod switch {
    use super::Rule;
    use std::cell::Cell;

    thread_local! {
        static OFF: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    /// Whether a rule is off for this thread.
    pub fn off(rule: Rule) -> bool {
        OFF.get() == Some(rule)
    }

    /// Runs `f` on this thread with a rule switched off.
    #[allow(dead_code)]
    pub fn without<T>(rule: Option<Rule>, f: impl FnOnce() -> T) -> T {
        OFF.set(rule);
        let result = f();
        OFF.set(None);
        result
    }
}

#[cfg(any(test, feature = "mutants"))]
pub use switch::off;
#[cfg(any(test, feature = "mutants"))]
#[allow(unused_imports)]
pub use switch::without;

/// Every rule holds in a normal build.
#[cfg(not(any(test, feature = "mutants")))]
pub const fn off(_: Rule) -> bool {
    false
}
