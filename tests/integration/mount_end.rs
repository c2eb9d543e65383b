//! How a `mount` ends, many readers at once, and what can be written to.

use crate::environment::{TestEnvironment, assert_same_tree, noise};
use crate::mount::{Mounted, NIGHT, backup_at, in_night, is_root, mounted};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::Command;
use std::time::Duration;

#[test]
fn signals_end_it() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    backup_at(&env, NIGHT, &[]);
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mounted = mounted!(&env);
        assert!(!mounted.names("ids").is_empty());
        let run = mounted.signalled(signal).expect(0);
        assert_eq!(run.stderr, "", "{signal}");
        assert_eq!(std::fs::read_dir(env.path("mnt")).unwrap().count(), 0);
    }
    // Something is open there.
    let mounted = mounted!(&env);
    let file = mounted.path(&format!("{}/a.txt", in_night(&env)));
    let open = std::fs::File::open(file).unwrap();
    let run = mounted.signalled("-TERM").expect(0);
    run.says("was still in use");
    assert_eq!(std::fs::read_dir(env.path("mnt")).unwrap().count(), 0);
    drop(open);
}

#[test]
fn two_signals_at_once_leave_no_mount() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    backup_at(&env, NIGHT, &[]);
    for round in 0..3 {
        let mounted = mounted!(&env);
        let file = mounted.path(&format!("{}/a.txt", in_night(&env)));
        let open = std::fs::File::open(file).unwrap();
        mounted.signal("-INT");
        std::thread::sleep(Duration::from_millis(30 * round));
        mounted.signal("-INT");
        mounted.ended();
        assert_eq!(std::fs::read_dir(env.path("mnt")).unwrap().count(), 0);
        drop(open);
    }
    if !is_root() {
        return;
    }
    std::fs::create_dir(env.path("scratch")).unwrap();
    let (scratch, folder) = (env.text("scratch"), format!("latest:{}", env.text("src")));
    let mounted = mounted!(&env, &folder, "--overlay", "--scratch", &scratch);
    mounted.shell("echo more >>a.txt");
    mounted.signal("-INT");
    mounted.signal("-INT");
    mounted.ended();
    for name in ["mnt", "scratch"] {
        assert_eq!(std::fs::read_dir(env.path(name)).unwrap().count(), 0);
    }
}

#[test]
fn who_ignores_the_end_of_the_terminal_stays_mounted() {
    let env = TestEnvironment::with_repository();
    env.write_source();
    backup_at(&env, NIGHT, &[]);
    std::fs::create_dir(env.path("mnt")).unwrap();
    let larder = env.command(&["mount", &env.text("mnt")]);
    // As `nohup` does it.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(larder.get_program())
        .args(larder.get_args())
        .current_dir(env.path(""))
        .env_clear();
    for (name, value) in larder.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let Some(mounted) = Mounted::by(&env, command) else {
        return;
    };
    mounted.signal("-HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(mounted.names("ids").len(), 1);
    mounted.signalled("-TERM").expect(0);
}

#[test]
fn parallel_readers_see_the_same_until_it_is_unmounted() {
    let env = TestEnvironment::with_repository();
    for number in 0..400u64 {
        let len = 40_000 + 997 * number as usize;
        env.write(&format!("src/{}/{number}", number % 7), noise(len, number));
    }
    env.write("src/big", noise(30_000_000, 1000));
    backup_at(&env, NIGHT, &[]);
    // A cache that holds but one block.
    let mounted = mounted!(&env, "--cache-size", "1M");
    let there = mounted.path(&in_night(&env));
    std::thread::scope(|scope| {
        for reader in 0..4u64 {
            let there = &there;
            scope.spawn(move || {
                for step in 0..400u64 {
                    let number = (step * 31 + reader * 101) % 400;
                    let file = there.join(format!("{}/{number}", number % 7));
                    let expected = noise(40_000 + 997 * number as usize, number);
                    assert!(std::fs::read(&file).unwrap() == expected, "{number}");
                }
            });
        }
        scope.spawn(|| {
            assert!(std::fs::read(there.join("big")).unwrap() == noise(30_000_000, 1000))
        });
    });
    // Random places of a large file.
    let (big, expected) = (
        std::fs::File::open(there.join("big")).unwrap(),
        noise(30_000_000, 1000),
    );
    for step in 0..200usize {
        let (at, mut bytes) = (step * 7_654_321 % 29_990_000, [0; 4096]);
        big.read_exact_at(&mut bytes, at as u64).unwrap();
        assert!(bytes[..] == expected[at..at + 4096], "{at}");
    }
    drop(big);
    // Somebody reads while it goes away.
    let script = format!(
        "while cat '{}'/[0-6]/* >/dev/null 2>&1; do :; done",
        there.display()
    );
    let mut reader = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    mounted.signalled("-TERM").expect(0);
    reader.wait().unwrap();
    assert_eq!(std::fs::read_dir(env.path("mnt")).unwrap().count(), 0);
}

#[test]
fn an_overlay_can_be_written_to_and_vanishes() {
    let env = TestEnvironment::with_repository();
    if !is_root() {
        let point = env.write_source();
        let run = env.run(&["mount", "--overlay", &point]).expect(1);
        run.says("--overlay needs root");
        return;
    }
    env.write_source();
    std::os::unix::fs::chown(env.path("src"), Some(1234), Some(4321)).unwrap();
    backup_at(&env, NIGHT, &[]);
    std::fs::create_dir(env.path("scratch")).unwrap();
    let (scratch, folder) = (env.text("scratch"), format!("latest:{}", env.text("src")));
    let arguments = [folder.as_str(), "--overlay", "--scratch", &scratch];
    let Some(mounted) = Mounted::new(&env, &arguments) else {
        return;
    };
    let top = mounted.path("").metadata().unwrap();
    assert_eq!((top.uid(), top.gid()), (1234, 4321));
    assert_same_tree(&env.path("src"), &mounted.path(""));
    mounted.shell(
        "echo more >>a.txt; rm b.bin; mv sub/c.txt d.txt; mkdir new; echo x >new/file; sync",
    );
    assert_eq!(mounted.names(""), ["a.txt", "d.txt", "link", "new", "sub"]);
    assert_eq!(
        std::fs::read(mounted.path("a.txt")).unwrap(),
        b"alpha\nmore\n"
    );
    assert_eq!(mounted.unmounted().expect(0).stderr, "");
    let empty = |name: &str| std::fs::read_dir(env.path(name)).unwrap().next().is_none();
    assert!(empty("mnt") && empty("scratch"));
    // The snapshot is what it was; and something open does not keep it.
    let Some(mounted) = Mounted::new(&env, &arguments) else {
        return;
    };
    assert_same_tree(&env.path("src"), &mounted.path(""));
    let open = std::fs::File::create(mounted.path("open")).unwrap();
    mounted
        .signalled("-TERM")
        .expect(0)
        .says("was still in use");
    assert!(empty("mnt") && empty("scratch"));
    drop(open);
    env.ok(&["check", "--read-data"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let env = TestEnvironment::with_repository();
    let absent = env.text("absent");
    env.run(&["mount", &absent])
        .expect(1)
        .says("/absent does not exist")
        .says("directory");
    let file = env.write("file", "").to_str().unwrap().to_owned();
    env.run(&["mount", &file]).expect(1).says("is no directory");
    let inside = env.text("repo/data");
    env.run(&["mount", &inside]).expect(1).says("repository");
    std::fs::create_dir(env.path("mnt")).unwrap();
    let point = env.text("mnt");
    env.run(&["mount", &point, "--path-template", "//"])
        .expect(2)
        .says("path-template names no directory");
    env.run(&["mount", &point, "--time-template", "/2006"])
        .expect(2)
        .says("time-template");
    env.run(&["mount", &point, "latest"])
        .expect(2)
        .says("--overlay");
}
