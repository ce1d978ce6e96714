//! One connection, plain or over TLS, with one contract (connection.c).
//!
//! It is a socket that does not block, and reads and writes as one. Invariants, for both kinds:
//! - a read that brings less than was asked for has emptied the socket and what was decrypted, but where
//!   [`Connection::has_unread`] says otherwise: then the end is still to be read;
//! - a read that is `Interrupted` has left the rest for the next turn;
//! - a write that takes less than it was given, or that leaves [`Connection::has_unsent`], has filled the socket.
//!
//! So whoever waits for edges may clear a direction after either. What a write has taken is on its way: over TLS it may be
//! encrypted and wait here for the socket, and goes with the next write or [`Write::flush`].
//!
//! Must not know: clients, and the event loop.

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::base::sys;
use crate::server::clients::tls::TlsConnection;

/// What is spoken on a listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenKind {
    Tcp,
    Tls,
    Unix,
}

impl ListenKind {
    /// As the log names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ListenKind::Tcp => "tcp",
            ListenKind::Tls => "tls",
            ListenKind::Unix => "unix",
        }
    }
}

/// See the head of the file.
pub(crate) enum Connection {
    Plain(Socket),
    Tls(Rc<TlsConnection>),
}

/// Begins to connect, without waiting, from address `source` if that is one (anetTcpNonBlockBindConnect).
///
/// # Errors
/// The system's.
pub(crate) fn begin_connecting(addr: SocketAddr, source: Option<&[u8]>) -> io::Result<Socket> {
    let s = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    s.set_nonblocking(true)?;
    let source = source.and_then(|text| String::from_utf8_lossy(text).parse().ok());
    if let Some(ip) = source {
        s.bind(&SocketAddr::new(ip, 0).into())?;
    }
    match s.connect(&addr.into()) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => Ok(s),
    }
}

impl Connection {
    /// The socket below.
    #[inline]
    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Connection::Plain(s) => s,
            Connection::Tls(t) => t.socket(),
        }
    }

    pub(crate) fn tls(&self) -> Option<&TlsConnection> {
        match self {
            Connection::Plain(_) => None,
            Connection::Tls(t) => Some(t),
        }
    }

    /// Another name of the same connection: what is read or written by one is read or written by both.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn try_clone(&self) -> io::Result<Connection> {
        Ok(match self {
            Connection::Plain(s) => Connection::Plain(s.try_clone()?),
            Connection::Tls(t) => Connection::Tls(t.clone()),
        })
    }

    /// Something is left to read that the socket will not announce.
    #[inline]
    pub(crate) fn has_unread(&self) -> bool {
        match self {
            Connection::Plain(_) => false,
            Connection::Tls(t) => t.has_unread(),
        }
    }

    /// Something that was written waits for the socket.
    #[inline]
    pub(crate) fn has_unsent(&self) -> bool {
        match self {
            Connection::Plain(_) => false,
            Connection::Tls(t) => t.has_unsent(),
        }
    }

    /// The handshake is still to be finished.
    #[inline]
    pub(crate) fn is_handshaking(&self) -> bool {
        match self {
            Connection::Plain(_) => false,
            Connection::Tls(t) => t.is_handshaking(),
        }
    }

    /// Tells the peer that nothing follows, where there is a way to say it, and does not wait.
    pub(crate) fn end(&self) {
        if let Connection::Tls(t) = self {
            t.send_close_notify();
        }
    }

    /// Reads into memory that need not be initialised; returns the part that was filled.
    ///
    /// # Errors
    /// As of a read.
    pub(crate) fn read_uninit<'a>(
        &self,
        room: &'a mut [MaybeUninit<u8>],
    ) -> io::Result<&'a mut [u8]> {
        match self {
            Connection::Plain(s) => sys::recv(s, room),
            Connection::Tls(t) => {
                let room = sys::zeroed(room);
                let n = t.read(room)?;
                Ok(&mut room[..n])
            }
        }
    }

    /// Writes some slices as one.
    ///
    /// # Errors
    /// As of a write.
    pub(crate) fn write_slices(&self, slices: &[&[u8]]) -> io::Result<usize> {
        match self {
            Connection::Plain(s) => {
                let mut io = [IoSlice::new(&[]); 16];
                let mut n = 0;
                for (to, s) in io.iter_mut().zip(slices) {
                    *to = IoSlice::new(s);
                    n += 1;
                }
                let mut s: &Socket = s;
                s.write_vectored(&io[..n])
            }
            Connection::Tls(t) => t.write(slices),
        }
    }

    /// Writes up to `count` bytes of a file, from `offset` on. 0: the file has ended.
    ///
    /// # Errors
    /// The socket's or the file's.
    pub(crate) fn send_file(&self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
        match self {
            Connection::Plain(s) => sys::sendfile(s.as_raw_fd(), file, offset, count),
            Connection::Tls(t) => t.send_file(file, offset, count),
        }
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn peer_addr(&self) -> io::Result<SockAddr> {
        self.socket().peer_addr()
    }

    /// The address of this end.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn local_addr(&self) -> io::Result<SockAddr> {
        self.socket().local_addr()
    }
}

impl Read for &Connection {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Connection::Plain(s) => {
                let mut s: &Socket = s;
                s.read(buf)
            }
            Connection::Tls(t) => t.read(buf),
        }
    }
}

impl Write for &Connection {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Connection::Plain(s) => {
                let mut s: &Socket = s;
                s.write(bytes)
            }
            Connection::Tls(t) => t.write(&[bytes]),
        }
    }

    /// `WouldBlock`: something is left.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Connection::Plain(_) => Ok(()),
            Connection::Tls(t) => t.flush(),
        }
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}
