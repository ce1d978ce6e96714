//! Scripted peers: a master that a replica connects to, and the reading side of a scripted replica.
//!
//! A `FakeMaster` owns a listening port for its whole life, so that "the same port" means the same listener, and hands
//! out one `Peer` per accepted link. A `Peer` reads the replica's commands, inline or multi-bulk, and writes what it is
//! told, whole or one byte at a time. It has no protocol of its own: the script is in the test.

use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::conn::Conn;
use super::server::free_listener;
use super::{HANG, rdb};

/// A listening socket that plays a master.
pub struct FakeMaster {
    pub port: u16,
    listener: TcpListener,
}

/// One link from a replica.
pub struct Peer {
    pub conn: Conn,
    /// Every command seen on this link, as upper-case words joined by spaces.
    pub seen: Vec<String>,
    /// Write one byte per system call.
    pub slowly: bool,
}

impl FakeMaster {
    pub fn new() -> FakeMaster {
        let listener = free_listener();
        let port = listener.local_addr().expect("local_addr").port();
        listener.set_nonblocking(true).expect("set_nonblocking");
        FakeMaster { port, listener }
    }

    pub fn try_accept(&self, bound: Duration) -> Option<Peer> {
        let start = Instant::now();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Some(Peer::new(stream)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if start.elapsed() > bound {
                        return None;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(e) => panic!("accept: {e}"),
            }
        }
    }

    /// The next link.
    #[track_caller]
    pub fn accept(&self) -> Peer {
        self.try_accept(HANG).expect("no replica connected")
    }
}

impl Peer {
    pub fn new(stream: TcpStream) -> Peer {
        stream.set_nonblocking(false).expect("set_nonblocking");
        Peer {
            conn: Conn::from_tcp(stream).expect("socket options"),
            seen: Vec::new(),
            slowly: false,
        }
    }

    pub fn slowly(mut self) -> Peer {
        self.slowly = true;
        self
    }

    /// The next command's words. Empty lines (the replica's keep-alives) are skipped.
    pub fn try_command(&mut self) -> io::Result<Vec<Vec<u8>>> {
        loop {
            let line = self.conn.read_line()?;
            if line.is_empty() {
                continue;
            }
            let words = if line[0] == b'*' {
                let bad = || io::Error::new(ErrorKind::InvalidData, "bad multi-bulk");
                let number = |b: &[u8]| -> io::Result<usize> {
                    std::str::from_utf8(b)
                        .ok()
                        .and_then(|s| s.parse().ok())
                        .ok_or_else(bad)
                };
                let count = number(&line[1..])?;
                let mut words = Vec::new();
                for _ in 0..count {
                    let header = self.conn.read_line()?;
                    if header.first() != Some(&b'$') {
                        return Err(bad());
                    }
                    let len = number(&header[1..])?;
                    words.push(self.conn.read_exact(len)?);
                    self.conn.read_exact(2)?;
                }
                words
            } else {
                line.split(|&b| b == b' ').map(<[u8]>::to_vec).collect()
            };
            let text: Vec<String> = words
                .iter()
                .map(|w| String::from_utf8_lossy(w).to_uppercase())
                .collect();
            self.seen.push(text.join(" "));
            return Ok(words);
        }
    }

    #[track_caller]
    pub fn command(&mut self) -> String {
        self.try_command()
            .unwrap_or_else(|e| panic!("no command (seen: {:?}): {e}", self.seen));
        self.seen.last().cloned().unwrap_or_default()
    }

    /// Reads one command, which must start so (upper case).
    #[track_caller]
    pub fn expect(&mut self, prefix: &str) -> String {
        let command = self.command();
        assert!(
            command.starts_with(prefix),
            "expected {prefix}, got {command} (seen: {:?})",
            self.seen
        );
        command
    }

    /// Writes, whole or one byte at a time. A replica may hang up in the middle: that is not this side's failure.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.slowly {
            for b in bytes {
                if self.conn.try_write_raw(&[*b]).is_err() {
                    return;
                }
            }
        } else {
            let _ = self.conn.try_write_raw(bytes);
        }
    }

    pub fn line(&mut self, text: &str) {
        self.write(format!("{text}\r\n").as_bytes());
    }

    /// Answers PING and REPLCONFs well until PSYNC or SYNC comes; returns that command.
    #[track_caller]
    pub fn handshake(&mut self) -> String {
        loop {
            let command = self.command();
            match command.split(' ').next().unwrap_or("") {
                "PING" => self.line("+PONG"),
                "REPLCONF" => self.line("+OK"),
                "AUTH" => self.line("+OK"),
                "PSYNC" | "SYNC" => return command,
                _ => panic!(
                    "unexpected in a handshake: {command} (seen: {:?})",
                    self.seen
                ),
            }
        }
    }

    /// A well-behaved full resynchronisation with the given keys.
    #[track_caller]
    pub fn serve_full(&mut self, replid: &str, offset: i64, keys: &[(&str, &str, Option<u64>)]) {
        self.handshake();
        self.line(&format!("+FULLRESYNC {replid} {offset}"));
        let payload = rdb::file(keys);
        self.write(format!("${}\r\n", payload.len()).as_bytes());
        self.write(&payload);
    }

    /// Reads commands until a `REPLCONF ACK` of at least `offset`.
    #[track_caller]
    pub fn wait_ack(&mut self, offset: i64) {
        loop {
            let command = self.command();
            let acked = command
                .strip_prefix("REPLCONF ACK ")
                .and_then(|rest| rest.split(' ').next()?.parse::<i64>().ok());
            if acked.is_some_and(|n| n >= offset) {
                return;
            }
        }
    }
}
