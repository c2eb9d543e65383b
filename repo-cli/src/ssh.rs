//! Clients of SSH that hold a connection for others, and run on by themselves once they are connected.
//!
//! Whoever starts one ends it when its connection is given up; but where the process ends before that, at a second signal or beside a thread that
//! still works, it would stay for good. So they become children of this process, and are ended with it.

use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether there may be any.
static ADOPTED: AtomicBool = AtomicBool::new(false);

/// Makes this process the parent of those that run on by themselves.
pub fn adopt() {
    ADOPTED.store(
        set_child_subreaper(Some(getpid())).is_ok(),
        Ordering::SeqCst,
    );
}

/// Ends those that are left. Nothing of theirs is waited for.
pub fn end() {
    if !ADOPTED.load(Ordering::SeqCst) {
        return;
    }
    for child in children().into_iter().filter(|child| is_ours(*child)) {
        let _ = kill_process(child, Signal::TERM);
    }
}

/// Processes whose parent this one is.
fn children() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let numbers = names.filter_map(|name| name.to_str()?.parse().ok());
    let is_child = |number: &i32| parent_of(*number) == Some(getpid().as_raw_nonzero().get());
    numbers.filter(is_child).filter_map(Pid::from_raw).collect()
}

/// The fourth field of its `stat`; the second one is a name in parentheses that may hold anything.
fn parent_of(number: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(1)?.parse().ok()
}

/// Whether its arguments are those with which a connection to a place is opened.
fn is_ours(child: Pid) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", child.as_raw_nonzero()));
    let line = line.unwrap_or_default();
    let mut arguments = line.split(|byte| *byte == 0);
    arguments.any(|argument| String::from_utf8_lossy(argument).contains("/.ssh-connection"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_clients_of_a_place_are_ours() {
        let start = |name: &str| {
            let mut command = Command::new("sh");
            command
                .args(["-c", "sleep 60 & wait", name])
                .spawn()
                .unwrap()
        };
        let (mut ours, mut other) = (start("/x/.ssh-connectionAbc/master"), start("/x/else"));
        let pid = |id: u32| Pid::from_raw(id as i32).unwrap();
        let (one, two) = (pid(ours.id()), pid(other.id()));
        // Until they have become what they were started as, they look like this process.
        while !is_ours(one) {
            std::thread::yield_now();
        }
        let all = children();
        assert!(all.contains(&one) && all.contains(&two));
        assert!(!is_ours(two));
        for child in [&mut ours, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
