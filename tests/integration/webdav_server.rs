//! A WebDAV server of its own for a test, on loopback.

use crate::server::Server;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What opens it.
pub const USER: &str = "larder-test";
pub const PASSWORD: &str = "larder-test-password";

/// A server that ends with this value, over a directory.
pub struct WebDavServer {
    server: Server,
    root: PathBuf,
}

impl WebDavServer {
    /// Starts rclone's over a fresh directory below `root`. None, and it is said, where it is not installed.
    pub fn start(root: &Path) -> Option<Self> {
        let root = root.join("dav");
        std::fs::create_dir_all(&root).unwrap();
        let command = |port: u16| {
            let mut command = Command::new("rclone");
            command
                .args(["serve", "webdav", "--config", "/dev/null", "--addr"])
                .arg(format!("{}:{port}", Ipv4Addr::LOCALHOST))
                .arg(&root)
                .env("RCLONE_USER", USER)
                .env("RCLONE_PASS", PASSWORD);
            command
        };
        match Server::start(command) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                eprintln!("skipped: rclone is not installed; scripts/test does that");
                None
            }
            started => Some(Self {
                server: started.unwrap(),
                root,
            }),
        }
    }

    /// The address of a folder.
    pub fn place(&self, below: &str) -> String {
        format!(
            "webdav+http://{}:{}/{below}",
            Ipv4Addr::LOCALHOST,
            self.server.port()
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
