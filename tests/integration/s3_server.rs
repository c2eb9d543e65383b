//! An S3 server of its own for a test, on loopback.

use crate::server::Server;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What opens it.
pub const KEY_ID: &str = "larder-test";
pub const SECRET: &str = "larder-test-secret";

/// A server that ends with this value, over a directory in which each bucket is one.
pub struct S3Server {
    server: Server,
    root: PathBuf,
}

impl S3Server {
    /// Starts a server with the empty bucket `bucket` over a fresh directory below `root`.
    pub fn start(root: &Path) -> Self {
        let root = root.join("s3");
        std::fs::create_dir_all(root.join("bucket")).unwrap();
        let command = |port: u16| {
            let mut command = Command::new(program());
            command
                .args(["--access-key", KEY_ID, "--secret-key", SECRET])
                .args(["--host", &Ipv4Addr::LOCALHOST.to_string()])
                .args(["--port", &port.to_string()])
                .arg(&root);
            command
        };
        let server = Server::start(command);
        let server = server.unwrap_or_else(|e| panic!("{}: {e}", program().display()));
        Self { server, root }
    }

    /// The address of a folder of a bucket.
    pub fn place(&self, below: &str) -> String {
        format!("s3:http://{}:{}/{below}", Ipv4Addr::LOCALHOST, self.port())
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The directory that holds the buckets.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What of the environment opens it, and keeps other credentials away.
    pub fn variables() -> [(&'static str, &'static str); 3] {
        [
            ("AWS_ACCESS_KEY_ID", KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }
}

/// Where `scripts/tools` has put it: `tools/bin` in the target directory, in which this program lies too.
fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own
        .ancestors()
        .find(|above| above.join("tools/bin").is_dir());
    let target = target.expect("scripts/tools installs the servers that tests talk to");
    target.join("tools/bin/s3s-fs")
}
