//! A WebDAV server of its own for a test, on loopback.

use crate::s3_server::free_port;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What opens it.
pub const USER: &str = "larder-test";
pub const PASSWORD: &str = "larder-test-password";

/// A server that ends with this value, over a directory.
pub struct WebDavServer {
    child: Child,
    port: u16,
    root: PathBuf,
}

impl WebDavServer {
    /// Starts rclone's over a fresh directory below `root`. None, and it is said, where it is not installed.
    pub fn start(root: &Path) -> Option<Self> {
        let root = root.join("dav");
        std::fs::create_dir_all(&root).unwrap();
        for _ in 0..10 {
            let port = free_port();
            let child = Command::new("rclone")
                .args(["serve", "webdav", "--config", "/dev/null", "--addr"])
                .arg(format!("{}:{port}", Ipv4Addr::LOCALHOST))
                .arg(&root)
                .env("RCLONE_USER", USER)
                .env("RCLONE_PASS", PASSWORD)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let child = match child {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    eprintln!("skipped: rclone is not installed; scripts/test does that");
                    return None;
                }
                spawned => spawned.unwrap(),
            };
            let mut server = Self {
                child,
                port,
                root: root.clone(),
            };
            if server.answers() {
                return Some(server);
            }
        }
        panic!("no WebDAV server answers");
    }

    fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// The address of a folder.
    pub fn place(&self, below: &str) -> String {
        format!(
            "webdav+http://{}:{}/{below}",
            Ipv4Addr::LOCALHOST,
            self.port
        )
    }

    /// The directory that it serves.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What of the environment opens it.
    pub fn variables() -> [(&'static str, &'static str); 2] {
        [
            ("LARDER_WEBDAV_USERNAME", USER),
            ("LARDER_WEBDAV_PASSWORD", PASSWORD),
        ]
    }
}

impl Drop for WebDavServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
