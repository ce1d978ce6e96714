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

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use crate::ae::{ClientData, FileId, Mask};
use crate::server::Server;
use crate::server::clients::connection::begin_connecting;
use crate::server::clients::tls::TlsConnection;
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
            sent: false,
            skip: 0,
            line: LineReader::new(HANDSHAKE_LINE_SIZE),
        });
        self.el
            .create_file_event(file, Mask::WRITABLE, go_on_asking, 0);
    }

    /// The question's socket is ready; false: it is over.
    fn inquiry_step(&mut self) -> bool {
        let Some(inquiry) = &mut self.repl.upstream.inquiry else {
            return false;
        };
        let (file, sock) = (inquiry.conn.file, &inquiry.conn.sock);
        if !inquiry.sent {
            if !matches!(sock.socket().take_error(), Ok(None)) {
                return false;
            }
            match sock.tls().map_or(Ok(true), TlsConnection::handshake) {
                Ok(true) => {}
                Ok(false) => {
                    let unsent = sock.has_unsent();
                    self.await_tls_handshake(file, unsent, go_on_asking, 0);
                    return true;
                }
                Err(_) => return false,
            }
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
            let mut to = sock;
            if !matches!(to.write(&question), Ok(n) if n == question.len())
                || to.flush().is_err()
                || sock.has_unsent()
            {
                return false;
            }
            inquiry.sent = true;
            self.el.delete_file_event(file, Mask::WRITABLE);
            self.el
                .create_file_event(file, Mask::READABLE, go_on_asking, 0);
            if sock.has_unread() {
                self.el.mark_readable(file);
            }
            return true;
        }
        let mut buf = [0; 512];
        let n = match { sock }.read(&mut buf) {
            Ok(0) => return false,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.el.clear_ready(file, Mask::READABLE);
                return true;
            }
            Err(e) => return e.kind() == io::ErrorKind::Interrupted,
        };
        if n < buf.len() && !sock.has_unread() {
            self.el.clear_ready(file, Mask::READABLE);
        }
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
            return false;
        }
        true
    }
}

/// The socket of a question is ready.
fn go_on_asking(server: &mut Server, file: FileId, _: ClientData, _: Mask) {
    let inquiry = server.repl.upstream.inquiry.as_ref();
    if inquiry.map(|i| i.conn.file) == Some(file) && !server.inquiry_step() {
        server.end_inquiry();
    }
}
