//! What the socket of a link does for it, a Sentinel's, one of the cluster's bus, that of slots that move, or of a question to a master: coming up, reading and
//! writing, each told to the event loop.
//!
//! Invariant: a direction is cleared exactly when the socket was seen to have, or to take, nothing more. Must not know: what is sent.

use std::io::{self, ErrorKind, Read, Write};

use crate::ae::{ClientData, FileId, FileProc, Mask};
use crate::server::Server;
use crate::server::clients::connection::Connection;
use crate::server::clients::tls::TlsConnection;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// The socket connects.
    Connecting,
    /// It is connected, and TLS is being agreed upon.
    Handshake,
    Up,
}

impl Server {
    /// Takes a link on towards being up, now that its socket is ready. True: it is.
    ///
    /// # Errors
    /// Why there is no connection, TLS' or the system's: the link is over.
    pub(crate) fn link_comes_up(
        &mut self,
        conn: &Connection,
        file: FileId,
        state: &mut LinkState,
        handler: FileProc<Server>,
        data: ClientData,
    ) -> io::Result<bool> {
        if *state == LinkState::Connecting {
            match conn.socket().take_error()? {
                None => *state = LinkState::Handshake,
                Some(e) => return Err(e),
            }
        }
        if *state == LinkState::Handshake && self.link_handshake(conn, file, handler, data)? {
            *state = LinkState::Up;
        }
        Ok(*state == LinkState::Up)
    }

    /// Goes on with what a link has to agree upon before it is up. True: that is done, and `handler` hears of both directions.
    ///
    /// # Errors
    /// TLS' or the system's: the link is over.
    fn link_handshake(
        &mut self,
        conn: &Connection,
        file: FileId,
        handler: FileProc<Server>,
        data: ClientData,
    ) -> io::Result<bool> {
        let done = conn.tls().map_or(Ok(true), TlsConnection::handshake)?;
        if done {
            let both = Mask::READABLE | Mask::WRITABLE;
            self.el.create_file_event(file, both, handler, data);
        } else {
            self.await_tls_handshake(file, conn.has_unsent(), handler, data);
        }
        Ok(done)
    }

    /// Reads once. 0: nothing now.
    ///
    /// # Errors
    /// The system's, or the other side has closed: the link is over.
    pub(crate) fn link_read(
        &mut self,
        mut conn: &Connection,
        file: FileId,
        buf: &mut [u8],
    ) -> io::Result<usize> {
        match conn.read(buf) {
            Ok(0) => Err(io::Error::other("connection closed")),
            Ok(n) => {
                if n < buf.len() && !conn.has_unread() {
                    self.el.clear_ready(file, Mask::READABLE);
                }
                Ok(n)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.el.clear_ready(file, Mask::READABLE);
                Ok(0)
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(0),
            Err(e) => Err(e),
        }
    }

    /// Writes what the socket takes of `bytes`, of which there are some. 0: it is full.
    ///
    /// # Errors
    /// The system's: the link is over.
    pub(crate) fn link_write(
        &mut self,
        mut conn: &Connection,
        file: FileId,
        bytes: &[u8],
    ) -> io::Result<usize> {
        loop {
            match conn.write(bytes) {
                Ok(0) => return Err(io::Error::other("nothing could be written")),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.el.clear_ready(file, Mask::WRITABLE);
                    return Ok(0);
                }
                done => return done,
            }
        }
    }

    /// All is written: what is encrypted goes too, and then the socket need not tell when it has room.
    ///
    /// # Errors
    /// The system's: the link is over.
    pub(crate) fn link_written(&mut self, mut conn: &Connection, file: FileId) -> io::Result<()> {
        if conn.has_unsent() {
            match conn.flush() {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.el.clear_ready(file, Mask::WRITABLE);
                    return Ok(());
                }
                done => done?,
            }
        }
        self.el.delete_file_event(file, Mask::WRITABLE);
        Ok(())
    }
}
