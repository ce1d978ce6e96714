//! The masters above our own master: who is told of them, and how we come to know them.
//!
//! A master that is itself a replica tells them to a replica that asks in its handshake (`wire::replication::upstream`). That is
//! not enough: a server that is given another master of the same history goes on with a partial resync, and its replicas' links stay. So
//! whoever was told of some asks again from time to time, over a connection of its own, which it closes: the link itself carries the
//! stream, whose bytes are counted, and no answers. A replica whose master has no master asks nobody: when that one becomes a
//! replica, its history changes, and it closes the links of its replicas.
//!
//! Invariants: what is shown was told over the link that is there now, or later; nothing that goes wrong with a question touches the link,
//! and what was told stays, with its age. At most one question is under way.

use std::io;
use std::os::fd::AsRawFd;

use crate::ae::{ClientData, FileId, Mask};
use crate::server::Server;
use crate::server::clients::connection::begin_connecting;
use crate::server::clients::link_io::LinkState;
use crate::server::master_link::{Inquiry, LinkSocket, MasterLink};
use crate::server::repl::Upstream;
use crate::wire::replication::capabilities::Capability;
use crate::wire::replication::handshake::{HANDSHAKE_LINE_SIZE, LineReader};
use crate::wire::replication::upstream::{self, MasterAbove};
use crate::wire::resp;

/// Milliseconds between two questions.
const ASK_EVERY_MS: u64 = 10_000;
/// Seconds after which an answer is no longer awaited.
const PATIENCE_S: i64 = 5;

impl Server {
    /// The masters above our own, nearest first; none while there is no link over which they were told.
    pub(crate) fn masters_above(&self) -> &[MasterAbove] {
        match self.repl.link {
            MasterLink::Transfer(_) | MasterLink::Connected(_) => &self.repl.upstream.masters,
            _ => &[],
        }
    }

    /// Milliseconds since they were told.
    pub(crate) fn masters_above_age_ms(&self) -> u64 {
        self.el.now_ms().saturating_sub(self.repl.upstream.told_ms)
    }

    /// What a replica that asks is told; nothing where we have no master.
    pub(crate) fn tell_upstream(&self) -> Option<String> {
        let r = &self.repl;
        let host = r.master_host.as_ref()?;
        upstream::tell(
            host,
            r.master_port,
            r.link.is_connected(),
            self.masters_above(),
        )
    }

    /// Our master has said who is above it. An address that is our master's own is the end: we are told of a loop.
    pub(super) fn upstream_told(&mut self, mut masters: Vec<MasterAbove>) {
        let r = &mut self.repl;
        if let Some(host) = &r.master_host {
            let own = format!("{host}:{}", r.master_port);
            if let Some(at) = masters.iter().position(|m| m.address == own) {
                masters.truncate(at);
            }
        }
        r.upstream.masters = masters;
        r.upstream.told_ms = self.el.now_ms();
    }

    /// There is another master, or none.
    pub(super) fn forget_upstream(&mut self) {
        self.end_inquiry();
        self.repl.upstream = Upstream::default();
    }

    fn end_inquiry(&mut self) {
        if let Some(inquiry) = self.repl.upstream.inquiry.take() {
            self.el.remove_file(inquiry.conn.file);
        }
    }

    /// Once a second: asks again if it is time for it. See the head of the file.
    pub(super) fn ask_for_upstream(&mut self) {
        let now = self.el.now_ms();
        let u = &self.repl.upstream;
        let connected = self.repl.link.client();
        if let Some(inquiry) = &u.inquiry {
            let waited = self.clock.unix_s - inquiry.conn.last_io;
            if connected.is_none() || !(0..=PATIENCE_S).contains(&waited) {
                self.end_inquiry();
            }
            return;
        }
        let last = u.told_ms.max(u.asked_ms);
        let Some(master) = connected.and_then(|cid| self.clients.get(cid)?.conn.as_ref()) else {
            return;
        };
        if u.masters.is_empty() || now.saturating_sub(last) < ASK_EVERY_MS {
            return;
        }
        // Where the link leads, whatever the name means by now.
        let address = master.peer_addr().ok().and_then(|a| a.as_socket());
        let conn = address
            .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
            .and_then(|a| begin_connecting(a, self.config.bind_source_addr.as_deref()))
            .and_then(|s| self.tls.outgoing(s, self.config.tls_replication))
            .and_then(|sock| Ok((self.el.add_file(sock.as_raw_fd())?, sock)));
        self.repl.upstream.asked_ms = now;
        // There is another time.
        let Ok((file, sock)) = conn else {
            return;
        };
        self.repl.upstream.inquiry = Some(Inquiry {
            conn: LinkSocket {
                sock,
                file,
                last_io: self.clock.unix_s,
            },
            state: LinkState::Connecting,
            skip: 0,
            line: LineReader::new(HANDSHAKE_LINE_SIZE),
        });
        self.el
            .create_file_event(file, Mask::WRITABLE, go_on_asking, 0);
    }

    /// The question's socket is ready. True: it goes on.
    ///
    /// # Errors
    /// TLS' or the system's: it is over.
    fn inquiry_step(&mut self, inquiry: &mut Inquiry) -> io::Result<bool> {
        let (file, conn) = (inquiry.conn.file, &inquiry.conn.sock);
        let state = &mut inquiry.state;
        let was_up = *state == LinkState::Up;
        if !self.link_comes_up(conn, file, state, go_on_asking, 0)? {
            return Ok(true);
        }
        if !was_up {
            let asks = Capability::Upstream.word();
            let mut question = Vec::new();
            if let Some(auth) = &self.config.masterauth {
                let login = self.config.masteruser.iter().chain([auth]);
                let login = login.map(Vec::as_slice);
                let words: Vec<&[u8]> = std::iter::once(&b"AUTH"[..]).chain(login).collect();
                resp::push_command(&mut question, words.into_iter());
                inquiry.skip = 1;
            }
            let words = [&b"REPLCONF"[..], b"capa", &asks];
            resp::push_command(&mut question, words.into_iter());
            // A new socket has room for so little, or is none to wait for.
            if self.link_write(conn, file, &question)? != question.len() {
                return Ok(false);
            }
            self.link_written(conn, file)?;
            if conn.has_unsent() {
                return Ok(false);
            }
        }
        let mut buf = [0; 512];
        let n = self.link_read(conn, file, &mut buf)?;
        let mut rest = &buf[..n];
        while !rest.is_empty() {
            let (taken, line) = inquiry.line.feed(rest);
            rest = &rest[taken..];
            let Some(line) = line else {
                continue;
            };
            if inquiry.skip > 0 && line.first() == Some(&b'+') {
                inquiry.skip -= 1;
                continue;
            }
            if let Some(masters) = upstream::hear(line)
                && self.repl.link.is_connected()
            {
                self.upstream_told(masters);
            }
            return Ok(false);
        }
        Ok(true)
    }
}

/// The socket of a question is ready.
fn go_on_asking(server: &mut Server, file: FileId, _: ClientData, _: Mask) {
    let inquiry = &mut server.repl.upstream.inquiry;
    let Some(mut inquiry) = inquiry.take_if(|i| i.conn.file == file) else {
        return;
    };
    let goes_on = matches!(server.inquiry_step(&mut inquiry), Ok(true));
    server.repl.upstream.inquiry = Some(inquiry);
    if !goes_on {
        server.end_inquiry();
    }
}
