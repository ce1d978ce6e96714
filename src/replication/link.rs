//! The socket of a link to a master that is no client yet: reading it, and taking it out of the event loop.

use std::io::{self, Read};

use crate::ae::Mask;
use crate::base::sys::strerror;
use crate::server::Server;
use crate::server::clients::connection::Connection;

/// How a link that is no client yet has ended.
pub(super) enum LinkEnd {
    /// The master has closed it.
    Closed,
    Failed(io::Error),
}

impl LinkEnd {
    /// As the log has it.
    pub(super) fn text(&self) -> String {
        match self {
            LinkEnd::Closed => "Connection closed by peer".into(),
            LinkEnd::Failed(e) => strerror(e),
        }
    }
}

/// What one read of a link has brought.
pub(super) enum LinkRead {
    /// So many bytes, never 0.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    Ended(LinkEnd),
}

impl Server {
    /// The socket out of a link that is no client yet, out of the event loop; the link is to be made anew.
    pub(super) fn take_link_socket(&mut self) -> Option<Connection> {
        let conn = self.repl.link.take_unfinished()?.into_conn()?;
        self.el.remove_file(conn.file);
        Some(conn.sock)
    }

    /// Closes the link that is no client yet (undoConnectWithMaster).
    pub(super) fn undo_connect_with_master(&mut self) {
        drop(self.take_link_socket());
    }
}

/// One read of the link.
pub(super) fn read_link(server: &mut Server, buf: &mut [u8]) -> LinkRead {
    let now = server.clock.unix_s;
    let Some(conn) = server.repl.link.conn_mut() else {
        return LinkRead::Nothing;
    };
    let file = conn.file;
    match (&conn.sock).read(buf) {
        Ok(0) => LinkRead::Ended(LinkEnd::Closed),
        Ok(n) => {
            conn.last_io = now;
            if n < buf.len() && !conn.sock.has_unread() {
                server.el.clear_ready(file, Mask::READABLE);
            }
            server.stats.net_repl_input_bytes += n as u64;
            LinkRead::Bytes(n)
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            server.el.clear_ready(file, Mask::READABLE);
            LinkRead::Nothing
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => LinkRead::Nothing,
        Err(e) => LinkRead::Ended(LinkEnd::Failed(e)),
    }
}
