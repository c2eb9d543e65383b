//! A home that cannot be written: what is kept there is done without, and that is said.

use crate::environment::TestEnvironment;

#[test]
fn without_a_cache_and_a_memory_everything_works() {
    let env = TestEnvironment::with_repository();
    let source = env.write_source();
    env.backup(&[&source]);
    env.write("file", "");
    let cache = env.text("file/cache");
    let variables = [
        ("XDG_CACHE_HOME", cache.as_str()),
        ("XDG_STATE_HOME", "/proc/none"),
    ];
    let run = |arguments: &[&str]| {
        let run = env.run_with(arguments, &variables).expect(0);
        let run = run.says("no cache is used").says("LARDER_CACHE_DIR");
        let run = run.says("would go unseen").says("LARDER_STATE_DIR");
        assert_eq!(run.stderr.matches("warning").count(), 2, "{run:?}");
        run
    };
    run(&["snapshots"]).prints("1 snapshot");
    run(&["backup", &source]);
    run(&["restore", "latest", "--target", "out"]);
    run(&["check"]);
    run(&["init", "-r", "another", "--new-key-file", "another-key"]);
    env.ok(&["snapshots", "-r", "another", "--key-file", "another-key"]);
}
