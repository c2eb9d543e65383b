//! An S3 server of its own for a test, on loopback.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What opens it.
pub const KEY_ID: &str = "larder-test";
pub const SECRET: &str = "larder-test-secret";

/// A server that ends with this value, over a directory in which each bucket is one.
pub struct S3Server {
    child: Child,
    port: u16,
    root: PathBuf,
}

impl S3Server {
    /// Starts a server with the empty bucket `bucket` over a fresh directory below `root`.
    pub fn start(root: &Path) -> Self {
        let root = root.join("s3");
        std::fs::create_dir_all(root.join("bucket")).unwrap();
        // Between being freed and being bound again the port may go to somebody else: then the server ends, and another is tried.
        for _ in 0..10 {
            let port = free_port();
            let child = Command::new(program())
                .args(["--access-key", KEY_ID, "--secret-key", SECRET])
                .args(["--host", &Ipv4Addr::LOCALHOST.to_string()])
                .args(["--port", &port.to_string()])
                .arg(&root)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|e| panic!("{}: {e}", program().display()));
            let mut server = Self {
                child,
                port,
                root: root.clone(),
            };
            if server.answers() {
                return server;
            }
        }
        panic!("no S3 server answers");
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

    /// The address of a folder of a bucket.
    pub fn place(&self, below: &str) -> String {
        format!("s3:http://{}:{}/{below}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
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

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
