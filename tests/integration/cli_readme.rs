//! The commands of the README do what it says.

use crate::environment::{TestEnvironment, assert_same_tree};
use std::path::Path;

/// The commands of the README's first block.
fn example() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let block = readme.split("```sh\n").nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn the_example_of_the_readme_works() {
    let env = TestEnvironment::new();
    env.write("etc/hosts", "localhost\n");
    env.write("home/file", "at home\n");
    env.write("password", "something long\n");
    env.write("bin/mariadb-dump", "#!/bin/sh\necho \"dump of $1\"\n");
    std::os::unix::fs::symlink(env.command(&[]).get_program(), env.path("bin/larder")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(env.path("bin/mariadb-dump"), mode).unwrap();

    let mut script = example();
    for (name, place) in [
        (" /tmp/", "tmp/"),
        (":/etc", "etc"),
        (" /etc", "etc"),
        (" /home", "home"),
    ] {
        assert!(script.contains(name), "{name} in {script}");
        script = script.replace(name, &format!("{}{}", &name[..1], env.text(place)));
    }
    assert!(script.lines().count() >= 6, "{script}");
    let mut shell = env.command(&[]);
    let set: Vec<_> = shell
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    let path = format!("{}:/usr/bin:/bin", env.text("bin"));
    shell = std::process::Command::new("/bin/sh");
    let output = shell
        .args(["-euc", &script])
        .current_dir(env.path(""))
        .env_clear()
        .envs(set)
        .env("PATH", path)
        .env("LARDER_PASSWORD_FILE", env.path("password"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_same_tree(&env.path("etc/hosts"), &env.path("tmp/etc/hosts"));
    let dump = std::fs::read_to_string(env.path("tmp/dump/shop.sql")).unwrap();
    assert_eq!(dump, "dump of shop\n");
}
