//! The program at places that fail by chance: each command ends in success or says what is wrong, and nothing is lost.

use crate::environment::{Run, TestEnvironment, assert_same_tree, noise};
use std::collections::BTreeMap;

/// Rounds, each with a seed of its own.
const SEEDS: u64 = 12;

fn run(env: &TestEnvironment, arguments: &[&str], faults: &str) -> Run {
    env.run_with(arguments, &[("LARDER_FAULTS", faults)])
}

/// Panics unless a run that may fail says why. Whether it did not.
fn clear(run: &Run, arguments: &[&str], faults: &str) -> bool {
    let what = format!("{arguments:?} with LARDER_FAULTS={faults} says {run:?}");
    assert!(!run.stderr.contains("panicked"), "{what}");
    assert!([0, 1, 3].contains(&run.code), "{what}");
    assert!(run.code == 0 || run.stderr.lines().count() > 1, "{what}");
    run.code == 0
}

#[test]
fn each_command_ends_and_nothing_is_lost() {
    let mut failed = 0;
    for seed in 0..SEEDS {
        let env = TestEnvironment::with_repository();
        let mut made = BTreeMap::new();
        for round in 0..3u64 {
            let place = ["local", "s3", "lying"][(seed % 3) as usize];
            let faults = format!("place={place},timeout=10,seed={}", seed * 10 + round);
            let source = format!("source{round}");
            env.write(&format!("{source}/a"), noise(200_000, seed + round));
            env.write(&format!("{source}/b"), noise(30_000, round));
            let tag = format!("round{round}");
            let mut ends = |arguments: &[&str]| {
                let ended = clear(&run(&env, arguments, &faults), arguments, &faults);
                failed += usize::from(!ended);
                ended
            };
            if ends(&["backup", &source, "--tag", &tag]) {
                made.insert(tag, source);
            }
            ends(&["forget", "--keep-last", "1", "--group-by", "tags"]);
            ends(&["prune", "--grace", "0", "--max-unused", "0"]);
            ends(&["check", "--read-data"]);
            ends(&["snapshots"]);
            ends(&["restore", "latest", "--target", &format!("lost{round}")]);
        }
        env.ok(&["check", "--read-data"]);
        for (tag, source) in &made {
            let out = format!("out-{tag}");
            let what = format!("latest:{source}");
            env.ok(&["restore", &what, "--tag", tag, "--target", &out]);
            assert_same_tree(&env.path(source), &env.path(&out));
        }
    }
    assert!(failed > 0, "nothing went wrong");
}

#[test]
fn what_was_drawn_is_said_so_that_it_can_be_replayed() {
    let env = TestEnvironment::with_repository();
    let drawn = run(&env, &["snapshots"], "slow=0").expect(0);
    assert!(
        drawn.stderr.contains("LARDER_FAULTS=slow=0,seed="),
        "{drawn:?}"
    );
    run(&env, &["snapshots", "-v"], "timeout=1000,seed=3")
        .expect(1)
        .says("fault: Get config: Before(TimedOut)");
    run(&env, &["snapshots"], "place=moon")
        .expect(2)
        .says("place needs one of local, s3, sftp, lying");
}
