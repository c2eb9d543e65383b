//! An SSH server of its own for a test, on loopback, with keys of its own.

use crate::server::Server;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian puts both where no search path leads.
const SSHD: &str = "/usr/sbin/sshd";
const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

/// A server that ends with this value.
pub struct SshServer {
    server: Server,
    dir: PathBuf,
}

impl SshServer {
    /// Starts a server with its keys in a fresh directory below `root`. None, and it is said, where OpenSSH's is not installed.
    pub fn start(root: &Path) -> Option<Self> {
        Self::start_without(root, &[])
    }

    /// The same, of a server that refuses these requests.
    pub fn start_without(root: &Path, requests: &[&str]) -> Option<Self> {
        if !Path::new(SSHD).exists() || !Path::new(SFTP_SERVER).exists() {
            eprintln!("skipped: openssh-server is not installed; scripts/test does that");
            return None;
        }
        let dir = root.join("ssh");
        std::fs::create_dir_all(dir.join("bin")).unwrap();
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(dir.join(key))
                .status();
            assert!(made.unwrap().success());
        }
        // Who starts it as root must have this directory.
        let _ = std::fs::create_dir("/run/sshd");
        let server = Server::start(|port| sshd(&dir, port, requests)).unwrap();
        let server = Self { server, dir };
        server.set_up_client();
        Some(server)
    }

    /// An `ssh` that reads nothing of the user's, and knows this server.
    fn set_up_client(&self) {
        let dir = self.dir.display();
        let host = std::fs::read_to_string(self.dir.join("host.pub")).unwrap();
        let known = format!("[{}]:{} {host}", Ipv4Addr::LOCALHOST, self.server.port());
        std::fs::write(self.dir.join("known"), known).unwrap();
        let config = format!(
            "IdentityFile {dir}/user\nIdentitiesOnly yes\nUserKnownHostsFile {dir}/known\n"
        );
        std::fs::write(self.dir.join("ssh_config"), config).unwrap();
        let ssh = format!("#!/bin/sh\nexec /usr/bin/ssh -F '{dir}/ssh_config' \"$@\"\n");
        let path = self.dir.join("bin/ssh");
        std::fs::write(&path, ssh).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// The address of a directory.
    pub fn place(&self, dir: &Path) -> String {
        format!(
            "sftp://{}@{}:{}/{}",
            user(),
            Ipv4Addr::LOCALHOST,
            self.server.port(),
            dir.display()
        )
    }

    /// The search path by which that `ssh` is found.
    pub fn search_path(&self) -> String {
        format!("{}/bin:/usr/local/bin:/usr/bin:/bin", self.dir.display())
    }

    /// Forgets the client's key for the server, as if another machine answered.
    pub fn change_known_host(&self) {
        let other = std::fs::read_to_string(self.dir.join("user.pub")).unwrap();
        let known = format!("[{}]:{} {other}", Ipv4Addr::LOCALHOST, self.server.port());
        std::fs::write(self.dir.join("known"), known).unwrap();
    }
}

/// The server, with its configuration for that port.
fn sshd(dir: &Path, port: u16, refused: &[&str]) -> Command {
    let at = dir.display();
    let refuse = match refused {
        [] => String::new(),
        _ => format!(" -P {}", refused.join(",")),
    };
    let config = format!(
        "Port {port}\nListenAddress {}\nHostKey {at}/host\nAuthorizedKeysFile {at}/user.pub\nStrictModes no\nUsePAM no\n\
         PidFile none\nPasswordAuthentication no\nMaxStartups 100\nMaxSessions 100\nSubsystem sftp {SFTP_SERVER}{refuse}\n",
        Ipv4Addr::LOCALHOST
    );
    std::fs::write(dir.join("sshd_config"), config).unwrap();
    let mut command = Command::new(SSHD);
    command
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"));
    command
}

/// Who runs the tests.
fn user() -> String {
    let id = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

impl SshServer {
    /// Clients that hold a connection for others, and whom a program that ended left behind.
    fn clients(&self) -> Vec<String> {
        // One that holds a connection calls itself by its socket, which lies below the home of the test.
        let config = self.dir.join("ssh_config").display().to_string();
        let home = self.dir.parent().unwrap().display().to_string();
        let is_client = |pid: &String| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            let holds = line.contains("/.ssh-connection") && line.contains(&home);
            holds || line.split('\0').any(|argument| argument == config)
        };
        let names = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = names.filter_map(|entry| entry.file_name().into_string().ok());
        let pids = pids.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        pids.filter(is_client).collect()
    }
}

impl SshServer {
    /// Whether no client is there, or none that does not go by itself within two seconds.
    pub fn is_left_alone(&self) -> bool {
        (0..20).any(|_| {
            let gone = self.clients().is_empty();
            if !gone {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            gone
        })
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let clients = self.clients();
        if !clients.is_empty() {
            let _ = Command::new("kill").args(clients).status();
        }
    }
}
