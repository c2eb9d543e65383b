//! Switches rules of the protocol off, one at a time, so that the explorer can be seen to fail.

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident,)*) => {
        /// A rule that the explorer breaks on purpose.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(not(any(test, feature = "mutants")), allow(dead_code))]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// All rules.
            #[cfg_attr(not(any(test, feature = "testutil")), allow(dead_code))]
            pub const ALL: &[Self] = &[$(Self::$rule),*];
        }
    };
}

rules! {
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
    /// Class C: deletion waits for every other process that deletes, named or not.
    OneDeletes,
    /// Class C: what was condemned before a process began is not there for it.
    CondemnedIsGone,
    /// Class C: spare what was forgotten after the processes were listed.
    ForgottenSince,
    /// A table or snapshot object that was deleted meanwhile is put again.
    LostObjects,
    /// A backup looks at its own packs like at others.
    OwnPacks,
    /// An `Unforget` stands right after the fold it was checked on.
    UnforgetCas,
    /// What is relied on and condemned is taken back by the entry that relies on it.
    Reprieve,
    /// Class A: on a lost race to an entry that may take copies away a prune plans from the beginning.
    RaceLost,
    /// Class A: a `Commit` stands right after the fold it was checked on.
    CommitCas,
    /// Class A: a `Deleting` stands right after the fold it was computed from.
    DeletingCas,
    /// Nothing is deleted before an entry says so.
    EntryFirst,
    /// What no entry names is condemned first like anything else.
    OrphansFirst,
    /// What a `Deleting` names stays deleted, whatever later entries name.
    DeletedStays,
    /// Class C: a process announces itself before it folds.
    AnnounceFirst,
    /// Class C: a prune announces itself too.
    PruneAnnounces,
    /// Class C: processes are listed after the `Condemn` is there.
    ListAfterCondemn,
    /// Class C: what is deleted is planned on a fold after everybody waited for was gone.
    FoldAfterWait,
    /// Class C: a process looks at the log once more after its put.
    LookAfterPut,
    /// Class C: whoever is taken for dead is fenced, not just passed over.
    Fence,
    /// Class C: what only an entry in doubt says is deleted is left alone.
    SoundSweep,
    /// Class C: a state is folded anew when an entry comes late that changes what was folded before.
    FoldAnew,
    /// What is protected is not deleted, though it is forgotten.
    Protected,
    /// A mirror lists the log before what else there is.
    MirrorLogFirst,
    /// It copies objects before entries.
    MirrorObjectsFirst,
    /// It begins anew if something was deleted since it listed the log.
    MirrorLooksAgain,
    /// It does not stop before an entry that deletes.
    MirrorNoStopBetween,
    /// It deletes only what the source has no more.
    MirrorAbsent,
    /// It puts no entry while what a new deletion rests on is nowhere.
    MirrorWaits,
    /// A home that hands over takes no more entries before its log is listed for the last time.
    HandOverCloses,
    /// Who put an entry looks afterwards whether the home takes entries.
    HomeLooksAgain,
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

/// Runs `f`; without the feature `mutants` no rule can be switched off.
#[cfg(all(feature = "testutil", not(any(test, feature = "mutants"))))]
pub fn without<T>(rule: Option<Rule>, f: impl FnOnce() -> T) -> T {
    assert!(rule.is_none(), "the feature `mutants` is not there");
    f()
}
