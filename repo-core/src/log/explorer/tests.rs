//! Every setup explored wholly; and every rule switched off once, to see that it is missed.

use super::search::Limits;
use super::setups::{explore, setups};
use crate::log::mutant::Rule;

const WHOLE: Limits = Limits {
    states: usize::MAX,
    steps: usize::MAX,
};

/// A test for each setup, named like it, and one that no setup was left out.
macro_rules! explored {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let setup = setups().into_iter().find(|setup| setup.name == stringify!($name));
            let report = explore(&setup.unwrap(), None, WHOLE);
            assert!(report.complete, "{report}");
        })*

        #[test]
        fn every_setup_is_explored() {
            let names: Vec<_> = setups().iter().map(|setup| setup.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

explored! {
    backups prunes both three lending lending_prunes publish bases unforget objects objects_prunes objects_publish waste shared_table orphan thief protect mirror mirror_new mirror_thief mirror_lost hand_over hand_over_prune c_backups c_prunes c_lending c_publish c_bases c_dead c_dead_prunes c_resume c_resume_both c_sweep c_shared_table c_orphan c_unforget c_protect
}

/// A test for each rule: without it, that setup ends so.
macro_rules! missed {
    ($($name:ident $rule:ident $setup:literal $what:literal)*) => {
        $(#[test]
        fn $name() {
            let setup = setups().into_iter().find(|setup| setup.name == $setup);
            let report = explore(&setup.unwrap(), Some(Rule::$rule), WHOLE);
            let what = report.violation.as_ref().map(|(what, _)| *what);
            assert_eq!(what, Some($what), "{report}");
        })*

        #[test]
        fn every_rule_is_missed() {
            assert_eq!(Rule::ALL, [$(Rule::$rule),*]);
        }
    };
}

missed! {
    no_roles Roles "thief" "a blob is lost"
    no_commit_check CommitCheck "backups" "a blob is lost"
    no_lent_check LentCheck "lending" "a blob is lost"
    no_bases Bases "bases" "a blob is lost"
    no_delete_check DeleteCheck "backups" "a blob is lost"
    no_unforget_check UnforgetCheck "unforget" "a blob is lost"
    no_quarantine Quarantine "c_dead" "a blob is lost"
    no_fence_void FenceVoid "c_dead" "a blob is lost"
    no_wait Wait "c_backups" "a blob is lost"
    no_one_deletes OneDeletes "c_resume_both" "a blob is lost"
    no_condemned_is_gone CondemnedIsGone "c_backups" "a blob is lost"
    no_forgotten_since ForgottenSince "c_lending" "a blob is lost"
    no_lost_objects LostObjects "objects" "a blob is lost"
    no_own_packs OwnPacks "backups" "a blob is lost"
    no_unforget_cas UnforgetCas "unforget" "a blob is lost"
    no_reprieve Reprieve "backups" "a blob is lost"
    no_race_lost RaceLost "prunes" "a blob is lost"
    no_commit_cas CommitCas "backups" "a blob is lost"
    no_deleting_cas DeletingCas "backups" "a blob is lost"
    no_entry_first EntryFirst "backups" "a pack was deleted that no entry names"
    no_orphans_first OrphansFirst "backups" "a pack was deleted that no entry names"
    no_deleted_stays DeletedStays "objects_publish" "a blob is lost"
    no_announce_first AnnounceFirst "c_backups" "a blob is lost"
    no_prune_announces PruneAnnounces "c_prunes" "a blob is lost"
    no_list_after_condemn ListAfterCondemn "c_backups" "a blob is lost"
    no_fold_after_wait FoldAfterWait "c_backups" "a blob is lost"
    no_look_after_put LookAfterPut "c_dead" "a commit that was reported is void"
    no_fence Fence "c_dead" "a blob is lost"
    no_sound_sweep SoundSweep "c_sweep" "a blob is lost"
    no_fold_anew FoldAnew "c_dead" "a fold depends on its order"
    no_protected Protected "protect" "a blob is lost"
    no_mirror_log_first MirrorLogFirst "mirror_new" "a replica lacks a blob"
    no_mirror_objects_first MirrorObjectsFirst "mirror_new" "a replica lacks a blob"
    no_mirror_looks_again MirrorLooksAgain "mirror_new" "a replica lacks a blob"
    no_mirror_no_stop_between MirrorNoStopBetween "mirror" "a replica lacks a blob"
    no_mirror_absent MirrorAbsent "mirror_thief" "a replica lacks a blob"
    no_mirror_waits MirrorWaits "mirror_lost" "a replica lacks a blob"
    no_hand_over_closes HandOverCloses "hand_over" "a reported commit is not in the new home"
    no_home_looks_again HomeLooksAgain "hand_over" "a reported commit is not in the new home"
}
