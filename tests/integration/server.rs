//! A server that a test starts on loopback and that ends with the test.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that answers on a port, and is killed with this value.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts what `command` makes for a port, and waits until it answers. The error of the system if it cannot be started at all.
    ///
    /// Between being freed and being bound again a port may go to somebody else: then the server ends, and another port is tried.
    pub fn start(command: impl Fn(u16) -> Command) -> io::Result<Self> {
        for _ in 0..10 {
            let port = free_port();
            let child = command(port)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            let mut server = Self { child, port };
            if server.answers() {
                return Ok(server);
            }
        }
        panic!("no server answers");
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

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
