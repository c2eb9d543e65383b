//! Several programs at work in one repository.

use crate::environment::{Run, TestEnvironment, assert_same_tree, noise};

#[test]
fn four_backups_at_once() {
    const PROGRAMS: u64 = 4;
    const ROUNDS: u64 = 2;
    let env = TestEnvironment::with_repository();
    env.write("common/large", noise(400_000, 1));
    for round in 0..ROUNDS {
        let start = |number: u64| {
            let own = format!("own-{number}");
            env.write(
                &format!("{own}/{round}"),
                noise(100_000, 10 + number * 10 + round),
            );
            env.start(&["backup", "common", &own, "--host", &own])
        };
        let children: Vec<_> = (0..PROGRAMS).map(start).collect();
        for child in children {
            Run::of(child.wait_with_output().unwrap()).expect(0);
        }
    }
    let list = env.json(&["snapshots", "--host", ""]);
    assert_eq!(list.as_array().unwrap().len() as u64, PROGRAMS * ROUNDS);
    env.ok(&["check", "--read-data"]);
    for number in 0..PROGRAMS {
        let own = format!("own-{number}");
        let out = format!("out-{number}");
        let what = format!("latest:{own}");
        env.ok(&["restore", &what, "--host", &own, "--target", &out]);
        for round in 0..ROUNDS {
            let name = |dir: &str| env.path(&format!("{dir}/{round}"));
            assert_same_tree(&name(&own), &name(&out));
        }
    }
}
