//! Connections to the targets of MIGRATE, kept for a while (the socket cache of cluster.c, syncio.c).
//!
//! MIGRATE blocks the server on purpose: for nobody else may a key be in two places, or in none. So these sockets are
//! blocking ones outside the event loop, or, over TLS, such as are waited for; every wait on them has a limit. What was read
//! beyond a line stays with its socket.
//!
//! Must not know: RESTORE, or what else is said on a socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::base::sys;
use crate::server::clients::tls::{Scratch, TlsConnection};

/// Sockets kept at the most (MIGRATE_SOCKET_CACHE_ITEMS).
const MIGRATE_SOCKET_CACHE_ITEMS: usize = 64;
/// Seconds without use after which a socket is closed (MIGRATE_SOCKET_CACHE_TTL).
const MIGRATE_SOCKET_CACHE_TTL: i64 = 10;
/// A longer reply line is cut into several.
const LINE_MAX: usize = 1023;
/// Bytes that one write may take the whole timeout for.
const WRITE_CHUNK: usize = 64 * 1024;

/// Why talking to the target failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SyncIoError {
    /// The time was up.
    Timeout,
    /// The connection is gone, or the target does not speak the protocol.
    Broken,
}

impl From<io::Error> for SyncIoError {
    fn from(e: io::Error) -> SyncIoError {
        match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => SyncIoError::Timeout,
            _ => SyncIoError::Broken,
        }
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ConnectError {
    /// The host has no address, or says nothing in time.
    NoAnswer,
    /// The host says that nobody listens, or is known to be out of reach.
    Refused,
}

/// The time that one operation may take.
struct Limit {
    start: Instant,
    timeout: Duration,
}

impl Limit {
    fn new(timeout: Duration) -> Limit {
        Limit {
            start: Instant::now(),
            timeout,
        }
    }

    /// What is left, never zero.
    fn remaining(&self) -> Result<Duration, SyncIoError> {
        match self.timeout.checked_sub(self.start.elapsed()) {
            Some(d) if !d.is_zero() => Ok(d),
            _ => Err(SyncIoError::Timeout),
        }
    }
}

/// What a connection over TLS is made with.
pub(crate) type TlsClient = (Arc<ClientConfig>, Rc<Scratch>);

/// The socket of a connection.
enum Stream {
    Plain(TcpStream),
    /// It does not block.
    Tls(TlsConnection),
}

/// Milliseconds to wait at the most.
fn ms(d: Duration) -> i32 {
    i32::try_from(d.as_millis().max(1)).unwrap_or(i32::MAX)
}

impl Stream {
    fn over_tls(stream: TcpStream, tls: TlsClient, limit: &Limit) -> Result<Stream, ConnectError> {
        let no_answer = |_| ConnectError::NoAnswer;
        stream.set_nonblocking(true).map_err(no_answer)?;
        let (config, scratch) = tls;
        let conn = TlsConnection::connect(stream.into(), config, scratch)
            .map_err(|_| ConnectError::Refused)?;
        loop {
            match conn.handshake() {
                Ok(true) => return Ok(Stream::Tls(conn)),
                Ok(false) => {
                    let left = limit.remaining().map_err(|_| ConnectError::NoAnswer)?;
                    wait_for(&conn, conn.has_unsent(), left);
                }
                Err(_) => return Err(ConnectError::Refused),
            }
        }
    }

    fn write(&mut self, chunk: &[u8], limit: &Limit) -> Result<usize, SyncIoError> {
        match self {
            Stream::Plain(s) => loop {
                s.set_write_timeout(Some(limit.remaining()?))?;
                match s.write(chunk) {
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    r => return Ok(r?),
                }
            },
            Stream::Tls(conn) => loop {
                match conn.write(&[chunk]) {
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {
                        wait_for(conn, true, limit.remaining()?);
                    }
                    r => return Ok(r?),
                }
            },
        }
    }

    /// All that was written has gone.
    fn flush(&mut self, limit: &Limit) -> Result<(), SyncIoError> {
        let Stream::Tls(conn) = self else {
            return Ok(());
        };
        loop {
            match conn.flush() {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    wait_for(conn, true, limit.remaining()?);
                }
                r => return Ok(r?),
            }
        }
    }

    fn read(&mut self, buf: &mut [u8], limit: &Limit) -> Result<usize, SyncIoError> {
        match self {
            Stream::Plain(s) => loop {
                s.set_read_timeout(Some(limit.remaining()?))?;
                match s.read(buf) {
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    r => return Ok(r?),
                }
            },
            Stream::Tls(conn) => loop {
                match conn.read(buf) {
                    Err(e) if e.kind() == ErrorKind::WouldBlock => {
                        wait_for(conn, false, limit.remaining()?);
                    }
                    Err(e) if e.kind() == ErrorKind::Interrupted => {
                        limit.remaining()?;
                    }
                    r => return Ok(r?),
                }
            },
        }
    }
}

fn wait_for(conn: &TlsConnection, room: bool, left: Duration) {
    let fd = conn.socket().as_raw_fd();
    match room {
        true => sys::wait_writable(fd, ms(left)),
        false => sys::wait_readable(fd, ms(left)),
    }
}

/// A connection to a target (migrateCachedSocket).
pub(crate) struct MigrateSocket {
    stream: Stream,
    /// Read, and not yet taken as lines.
    unread: Vec<u8>,
    host: Vec<u8>,
    port: Vec<u8>,
    /// The database that is selected there, if that is known.
    pub last_dbid: Option<i64>,
    /// Unix seconds.
    last_use: i64,
}

impl MigrateSocket {
    fn connect(host: &[u8], port: &[u8], timeout: Duration) -> Result<TcpStream, ConnectError> {
        let limit = Limit::new(timeout);
        // No number is no port, and nobody listens on port 0.
        let number: Option<u16> = std::str::from_utf8(port).ok().and_then(|p| p.parse().ok());
        let name = std::str::from_utf8(host).map_err(|_| ConnectError::NoAnswer)?;
        let addresses = (name, number.unwrap_or(0))
            .to_socket_addrs()
            .map_err(|_| ConnectError::NoAnswer)?;
        let mut last = ConnectError::NoAnswer;
        for address in addresses {
            let left = limit.remaining().map_err(|_| ConnectError::NoAnswer)?;
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    // Only a delay when it cannot be set.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(e) if e.kind() == ErrorKind::TimedOut => {}
                Err(_) => last = ConnectError::Refused,
            }
        }
        Err(last)
    }

    /// Writes everything; each chunk may take `timeout` (connSyncWrite).
    pub(crate) fn sync_write(
        &mut self,
        bytes: &[u8],
        timeout: Duration,
    ) -> Result<(), SyncIoError> {
        for mut chunk in bytes.chunks(WRITE_CHUNK) {
            let limit = Limit::new(timeout);
            while !chunk.is_empty() {
                match self.stream.write(chunk, &limit)? {
                    0 => return Err(SyncIoError::Broken),
                    n => chunk = &chunk[n..],
                }
            }
        }
        self.stream.flush(&Limit::new(timeout))
    }

    /// The next line, without its end; it may take `timeout` (connSyncReadLine). An empty one is no reply.
    pub(crate) fn sync_read_line(&mut self, timeout: Duration) -> Result<Vec<u8>, SyncIoError> {
        let limit = Limit::new(timeout);
        let mut seen = 0;
        loop {
            let end = memchr::memchr(b'\n', &self.unread[seen..]).map(|i| seen + i);
            let (len, used) = match end {
                Some(i) if i <= LINE_MAX => (i, i + 1),
                _ if self.unread.len() >= LINE_MAX => (LINE_MAX, LINE_MAX),
                _ => {
                    seen = self.unread.len();
                    self.fill(&limit)?;
                    continue;
                }
            };
            let mut line: Vec<u8> = self.unread.drain(..used).take(len).collect();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return if len == 0 {
                Err(SyncIoError::Broken)
            } else {
                Ok(line)
            };
        }
    }

    fn fill(&mut self, limit: &Limit) -> Result<(), SyncIoError> {
        let mut buf = [0; 4096];
        match self.stream.read(&mut buf, limit)? {
            0 => Err(SyncIoError::Broken),
            n => {
                self.unread.extend_from_slice(&buf[..n]);
                Ok(())
            }
        }
    }

    fn leads_to(&self, host: &[u8], port: &[u8], tls: bool) -> bool {
        self.host == host && self.port == port && matches!(self.stream, Stream::Tls(_)) == tls
    }
}

/// The sockets that are kept (migrate_cached_sockets). One that is in use is not among them.
#[derive(Default)]
pub(crate) struct MigrateSockets {
    sockets: Vec<MigrateSocket>,
}

impl MigrateSockets {
    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// A kept socket to this target, or a new one (migrateGetSocket). Whoever took it gives it back with `keep` while it is
    /// good, and drops it after an error.
    pub(crate) fn take(
        &mut self,
        host: &[u8],
        port: &[u8],
        timeout: Duration,
        now_s: i64,
        tls: Option<TlsClient>,
    ) -> Result<MigrateSocket, ConnectError> {
        let mut kept = self.sockets.iter();
        if let Some(i) = kept.position(|s| s.leads_to(host, port, tls.is_some())) {
            let mut socket = self.sockets.swap_remove(i);
            socket.last_use = now_s;
            return Ok(socket);
        }
        let limit = Limit::new(timeout);
        let stream = MigrateSocket::connect(host, port, timeout)?;
        Ok(MigrateSocket {
            stream: match tls {
                Some(tls) => Stream::over_tls(stream, tls, &limit)?,
                None => Stream::Plain(stream),
            },
            unread: Vec::new(),
            host: host.to_vec(),
            port: port.to_vec(),
            last_dbid: None,
            last_use: now_s,
        })
    }

    /// Keeps a socket for the next MIGRATE; the one that was idle the longest gives way when there are too many.
    pub(crate) fn keep(&mut self, socket: MigrateSocket) {
        if self.sockets.len() >= MIGRATE_SOCKET_CACHE_ITEMS {
            let idlest = (0..self.sockets.len()).min_by_key(|i| self.sockets[*i].last_use);
            if let Some(i) = idlest {
                self.sockets.swap_remove(i);
            }
        }
        self.sockets.push(socket);
    }

    /// Closes those that nobody has used for a while (migrateCloseTimedoutSockets).
    pub(crate) fn close_timedout(&mut self, now_s: i64) {
        self.sockets
            .retain(|s| now_s.saturating_sub(s.last_use) <= MIGRATE_SOCKET_CACHE_TTL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(20);

    fn port_of(listener: &TcpListener) -> Vec<u8> {
        let port = listener.local_addr().unwrap().port();
        port.to_string().into_bytes()
    }

    #[test]
    fn lines_come_in_pieces_and_several_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port_of(&listener);
        let peer = thread::spawn(move || {
            let (mut s, _) = listener.accept().unwrap();
            for b in b"+OK\r\n" {
                s.write_all(&[*b]).unwrap();
                s.flush().unwrap();
            }
            s.write_all(b"-ERR no\r\n+").unwrap();
            s.write_all(&[b'x'; 2000]).unwrap();
            s.write_all(b"\n\n").unwrap();
            s
        });
        let mut sockets = MigrateSockets::default();
        let mut s = sockets.take(b"127.0.0.1", &port, LONG, 0, None).unwrap();
        assert_eq!(s.sync_read_line(LONG).unwrap(), b"+OK");
        assert_eq!(s.sync_read_line(LONG).unwrap(), b"-ERR no");
        assert_eq!(s.sync_read_line(LONG).unwrap().len(), LINE_MAX);
        assert_eq!(s.sync_read_line(LONG).unwrap().len(), 2001 - LINE_MAX);
        assert_eq!(s.sync_read_line(LONG), Err(SyncIoError::Broken));
        let peer = peer.join().unwrap();
        assert_eq!(s.sync_read_line(SHORT), Err(SyncIoError::Timeout));
        drop(peer);
        assert_eq!(s.sync_read_line(LONG), Err(SyncIoError::Broken));
    }

    #[test]
    fn sockets_are_kept_by_target_and_closed_when_idle() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port_of(&listener);
        let mut sockets = MigrateSockets::default();
        let mut s = sockets.take(b"127.0.0.1", &port, LONG, 100, None).unwrap();
        s.last_dbid = Some(9);
        sockets.keep(s);
        let s = sockets.take(b"127.0.0.1", &port, LONG, 105, None).unwrap();
        assert_eq!((s.last_dbid, sockets.len()), (Some(9), 0));
        sockets.keep(s);
        sockets.close_timedout(105 + MIGRATE_SOCKET_CACHE_TTL);
        assert_eq!(sockets.len(), 1);
        sockets.close_timedout(106 + MIGRATE_SOCKET_CACHE_TTL);
        assert!(sockets.is_empty());
        let bad = sockets.take(b"127.0.0.1", b"port", LONG, 0, None);
        assert_eq!(bad.err(), Some(ConnectError::Refused));
    }

    #[test]
    fn a_target_that_does_not_read_times_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port_of(&listener);
        let mut sockets = MigrateSockets::default();
        let mut s = sockets.take(b"127.0.0.1", &port, LONG, 0, None).unwrap();
        let much = vec![0; 64 << 20];
        assert_eq!(s.sync_write(&much, SHORT), Err(SyncIoError::Timeout));
    }
}
