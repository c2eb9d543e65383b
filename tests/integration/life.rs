//! All that a user does with a repository, wherever it lies.

use crate::environment::{Run, TestEnvironment, assert_same_entries};

/// Makes a repository with the key file `key`, and goes through its life. `run` runs the program with it.
pub fn of_a_repository(env: &TestEnvironment, run: &dyn Fn(&[&str]) -> Run) {
    run(&["snapshots"])
        .expect(10)
        .says("repository does not exist");
    run(&["init", "--new-key-file", &env.text("key")]).expect(0);
    let source = env.write_source();
    run(&["backup", &source]).expect(0);
    env.write("src/more.txt", "more\n");
    run(&["backup", &source]).expect(0);
    let listed = run(&["snapshots", "--json"]).expect(0);
    assert_eq!(listed.messages()[0].as_array().unwrap().len(), 2);
    run(&["forget", "--keep-last", "1", "--prune"]).expect(0);
    run(&["check", "--read-data"]).expect(0);
    let target = env.text("restored");
    let inside = format!("latest:{source}");
    run(&["restore", &inside, "--target", &target]).expect(0);
    assert_same_entries(&env.path("src"), &env.path("restored"));
    run(&["init"]).expect(1).says("there is a repository");
}
