//! Links: connections that this Sentinel makes, what is sent on them, and whom a reply is for (instanceLink and hiredis' part).
//!
//! A connection is a state machine over the event loop: it connects, agrees upon TLS where `tls-replication` says so, and is
//! up; what is sent before waits in its output. Nothing here waits, but for a name that is looked up.
//!
//! Invariants: of a connection for commands, each reply answers the oldest entry of `pending`; of one for the hello channel,
//! too, until there is none left: what then comes are messages. A connection that fails is closed at once, and made anew by
//! the timer, not before a ping period is over.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use crate::ae::{ClientData, FileId, Mask};
use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::sentinel::instance::{Expected, InstanceId, Kind, Link, LinkConn, LinkId, Pending};
use crate::sentinel::state::Sentinel;
use crate::server::Server;
use crate::server::clients::connection::begin_connecting;
use crate::server::clients::link_io::LinkState;
use crate::wire::reply::{Reply, ReplyReader};
use crate::wire::resp::push_command;

/// The channel on which Sentinels find each other (SENTINEL_HELLO_CHANNEL).
pub(super) const HELLO_CHANNEL: &[u8] = b"__sentinel__:hello";
/// Bytes read from one connection in a turn.
const READ_CHUNK: usize = 16 * 1024;
/// Bytes that may wait to be sent; there are at most some hundred short commands.
const MAX_OUTPUT: usize = 1 << 20;

/// Which of a link's two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Commands,
    Hello,
}

impl Which {
    fn of(self, link: &mut Link) -> &mut Option<LinkConn> {
        match self {
            Which::Commands => &mut link.cc,
            Which::Hello => &mut link.pc,
        }
    }
}

fn data_of(link: LinkId, which: Which) -> ClientData {
    link.0 << 1 | u64::from(which == Which::Hello)
}

fn of_data(data: ClientData) -> (LinkId, Which) {
    let which = match data & 1 {
        0 => Which::Commands,
        _ => Which::Hello,
    };
    (LinkId(data >> 1), which)
}

impl Sentinel {
    /// Closes both connections of a link that nobody owns any more.
    pub(super) fn close_link(&mut self, server: &mut Server, link: Option<Link>) {
        if let Some(mut link) = link {
            for which in [Which::Commands, Which::Hello] {
                close(server, which.of(&mut link));
            }
        }
    }

    /// Closes an instance's connections (instanceLinkCloseConnection, twice).
    pub(super) fn close_connections(&mut self, server: &mut Server, id: InstanceId) {
        self.close_commands(server, id);
        self.close_hello(server, id);
    }

    pub(super) fn close_commands(&mut self, server: &mut Server, id: InstanceId) {
        let link = self.link_mut(id);
        link.disconnected |= link.cc.is_some();
        close(server, &mut link.cc);
    }

    pub(super) fn close_hello(&mut self, server: &mut Server, id: InstanceId) {
        let link = self.link_mut(id);
        link.disconnected |= link.pc.is_some();
        close(server, &mut link.pc);
    }

    /// Lets a Sentinel use the link that there is to the same one in another master's list; what it leaves is returned
    /// (sentinelTryConnectionSharing).
    pub(super) fn try_connection_sharing(&mut self, id: InstanceId) -> Option<Link> {
        let runid = self[id].runid.clone()?;
        if self.link(id).refcount > 1 {
            return None;
        }
        let own = self[id].master;
        let same = self
            .masters
            .values()
            .filter(|m| Some(**m) != own)
            .find_map(|m| self.find(&self[*m].sentinels, None, Some(&runid)))?;
        self.share_link(id, same)
    }

    /// Closes the connections of a master and its replicas (dropInstanceConnections).
    pub(super) fn drop_instance_connections(&mut self, server: &mut Server, master: InstanceId) {
        self.close_connections(server, master);
        for id in self[master].slaves.values().copied().collect::<Vec<_>>() {
            self.close_connections(server, id);
        }
    }

    /// Closes the connections to all other Sentinels (sentinelDropConnections).
    pub(super) fn drop_connections(&mut self, server: &mut Server) {
        let masters = self.masters.values();
        let all: Vec<InstanceId> = masters
            .flat_map(|m| self[*m].sentinels.values().copied())
            .collect();
        for id in all {
            if !self.link(id).disconnected {
                self.close_connections(server, id);
            }
        }
    }

    /// Makes what is missing of a link, if its time has come (sentinelReconnectInstance).
    pub(super) fn reconnect_instance(&mut self, server: &mut Server, id: InstanceId) {
        let now = mstime();
        // Port 0 is none: an instance whose place is not known.
        if !self.link(id).disconnected || self[id].addr.port == 0 {
            return;
        }
        if now - self.link(id).last_reconn_time < self.periods.ping {
            return;
        }
        self.link_mut(id).last_reconn_time = now;
        if self.link(id).cc.is_none() {
            if self.resolve_hostnames {
                let addr = &self[id].addr;
                let again = self.address(&addr.hostname, i64::from(addr.port), false);
                if let Ok(addr) = again {
                    self[id].addr = addr;
                }
            }
            match self.connect(server, id, Which::Commands) {
                Ok(conn) => {
                    let link = self.link_mut(id);
                    link.cc = Some(conn);
                    link.cc_conn_time = mstime();
                    self.send_auth_if_needed(server, id, Which::Commands);
                    self.set_client_name(server, id, Which::Commands);
                    self.send_ping(server, id);
                }
                Err(e) => {
                    let why = format!(" #{}", strerror(&e));
                    self.event_of(server, Level::Debug, "-cmd-link-reconnection", id, &why);
                }
            }
        }
        let watched = self[id].kind != Kind::Sentinel;
        if watched && self.link(id).pc.is_none() {
            match self.connect(server, id, Which::Hello) {
                Ok(conn) => {
                    let link = self.link_mut(id);
                    link.pc = Some(conn);
                    link.pc_conn_time = mstime();
                    self.send_auth_if_needed(server, id, Which::Hello);
                    self.set_client_name(server, id, Which::Hello);
                    let subscribe = self.mapped(id, b"SUBSCRIBE");
                    let words = [&subscribe[..], HELLO_CHANNEL];
                    self.queue(server, id, Which::Hello, None, &words);
                }
                Err(e) => {
                    let why = format!(" #{}", strerror(&e));
                    self.event_of(server, Level::Debug, "-pubsub-link-reconnection", id, &why);
                }
            }
        }
        let link = self.link_mut(id);
        if link.cc.is_some() && (!watched || link.pc.is_some()) {
            link.disconnected = false;
        }
    }

    /// Begins to connect.
    fn connect(&self, server: &mut Server, id: InstanceId, which: Which) -> io::Result<LinkConn> {
        let addr = &self[id].addr;
        let ip: IpAddr = addr
            .ip
            .parse()
            .map_err(|_| io::Error::other("the host has no address"))?;
        let source = server.config.bind_source_addr.as_deref();
        let sock = begin_connecting(SocketAddr::new(ip, addr.port), source)?;
        // Only a delay where it cannot be set.
        let _ = sock.set_tcp_nodelay(true);
        let sock = server.tls.outgoing(sock, server.config.tls_replication)?;
        let file = server.el.add_file(sock.as_raw_fd())?;
        let data = data_of(self[id].link, which);
        server
            .el
            .create_file_event(file, Mask::WRITABLE, link_ready, data);
        Ok(LinkConn {
            sock,
            file,
            state: LinkState::Connecting,
            out: Vec::new(),
            reader: ReplyReader::default(),
            pending: Default::default(),
        })
    }

    /// What a command is called at an instance (sentinelInstanceMapCommand).
    pub(super) fn mapped(&self, id: InstanceId, command: &[u8]) -> Vec<u8> {
        let renamed = &self[self.master_of(id)].renamed_commands;
        renamed
            .get(command)
            .map_or_else(|| command.to_vec(), Clone::clone)
    }

    /// Sends a command, the first word by its usual name. False: there is no connection.
    pub(super) fn send(
        &mut self,
        server: &mut Server,
        id: InstanceId,
        expected: Expected,
        words: &[&[u8]],
    ) -> bool {
        self.send_on(server, id, Which::Commands, expected, words)
    }

    fn send_on(
        &mut self,
        server: &mut Server,
        id: InstanceId,
        which: Which,
        expected: Expected,
        words: &[&[u8]],
    ) -> bool {
        let Some((first, rest)) = words.split_first() else {
            return false;
        };
        let first = self.mapped(id, first);
        let mut all = vec![&first[..]];
        all.extend_from_slice(rest);
        self.queue(server, id, which, Some(expected), &all)
    }

    fn queue(
        &mut self,
        server: &mut Server,
        id: InstanceId,
        which: Which,
        expected: Option<Expected>,
        words: &[&[u8]],
    ) -> bool {
        let data = data_of(self[id].link, which);
        let Some(conn) = which.of(self.link_mut(id)) else {
            return false;
        };
        if conn.out.len() > MAX_OUTPUT {
            return false;
        }
        push_command(&mut conn.out, words.iter().copied());
        if let Some(expected) = expected {
            let about = id;
            conn.pending.push_back(Pending { about, expected });
        }
        if conn.state == LinkState::Up {
            server
                .el
                .create_file_event(conn.file, Mask::WRITABLE, link_ready, data);
        }
        true
    }

    /// sentinelSendAuthIfNeeded.
    fn send_auth_if_needed(&mut self, server: &mut Server, id: InstanceId, which: Which) {
        let (user, pass) = match self[id].kind {
            Kind::Sentinel if self.auth_pass.is_some() => {
                (self.auth_user.clone(), self.auth_pass.clone())
            }
            // Sentinels that have a password have the same one.
            Kind::Sentinel => (None, server.config.requirepass.clone()),
            _ => {
                let m = &self[self.master_of(id)];
                (m.auth_user.clone(), m.auth_pass.clone())
            }
        };
        match (user, pass) {
            (Some(user), Some(pass)) => {
                let words: [&[u8]; 3] = [b"AUTH", &user, &pass];
                self.send_on(server, id, which, Expected::Nothing, &words);
            }
            (None, Some(pass)) => {
                let words: [&[u8]; 2] = [b"AUTH", &pass];
                self.send_on(server, id, which, Expected::Nothing, &words);
            }
            (_, None) => {}
        }
    }

    /// sentinelSetClientName.
    fn set_client_name(&mut self, server: &mut Server, id: InstanceId, which: Which) {
        let kind = match which {
            Which::Commands => "cmd",
            Which::Hello => "pubsub",
        };
        let short = self.myid.get(..8).unwrap_or_default();
        let name = format!("sentinel-{short}-{kind}");
        let words: [&[u8]; 3] = [b"CLIENT", b"SETNAME", name.as_bytes()];
        self.send_on(server, id, which, Expected::Nothing, &words);
    }

    /// The socket of a connection is ready.
    fn link_event(
        &mut self,
        server: &mut Server,
        file: FileId,
        link: LinkId,
        which: Which,
        mask: Mask,
    ) {
        let step = match self.connection(link, which, file) {
            Some(conn) => progress(server, conn, data_of(link, which), mask),
            None => return,
        };
        let mut over = step.is_err();
        // What has come before the end still counts.
        while let Some(conn) = self.connection(link, which, file) {
            match conn.reader.next_reply() {
                Ok(Some(reply)) => over |= !self.take_reply(server, link, which, reply),
                Ok(None) => break,
                Err(_) => {
                    over = true;
                    break;
                }
            }
        }
        if over && self.connection(link, which, file).is_some() {
            self.connection_is_gone(server, link, which);
        }
    }

    /// That connection, unless another one has taken its place.
    fn connection(&mut self, link: LinkId, which: Which, file: FileId) -> Option<&mut LinkConn> {
        let conn = which.of(self.link_by_id(link)?).as_mut();
        conn.filter(|c| c.file == file)
    }

    /// instanceLinkConnectionError.
    fn connection_is_gone(&mut self, server: &mut Server, link: LinkId, which: Which) {
        if let Some(link) = self.link_by_id(link) {
            close(server, which.of(link));
            link.disconnected = true;
        }
    }

    /// Hands a reply to whom it is for. False: the connection is of no use any more.
    fn take_reply(
        &mut self,
        server: &mut Server,
        link: LinkId,
        which: Which,
        reply: Reply,
    ) -> bool {
        let Some(conn) = self.link_by_id(link).and_then(|l| which.of(l).as_mut()) else {
            return true;
        };
        match (conn.pending.pop_front(), which) {
            (Some(p), _) => {
                if self.lives(p.about) {
                    self.reply_to(server, p, &reply);
                }
                true
            }
            // Nobody asked.
            (None, Which::Commands) => false,
            (None, Which::Hello) => {
                if let Some(link) = self.link_by_id(link) {
                    link.pc_last_activity = mstime();
                }
                self.receive_hello_message(server, &reply);
                // The subscription was refused.
                !matches!(reply, Reply::Error(_))
            }
        }
    }

    fn reply_to(&mut self, server: &mut Server, p: Pending, reply: &Reply) {
        let id = p.about;
        match p.expected {
            Expected::Nothing => {}
            Expected::Info => {
                if let Reply::Bulk(text) = reply {
                    self.refresh_instance_info(server, id, text);
                }
            }
            Expected::Ping => self.ping_reply(server, id, reply),
            Expected::Publish => {
                if !matches!(reply, Reply::Error(_)) {
                    self[id].last_pub_time = mstime();
                }
            }
            Expected::IsMasterDown => self.receive_is_master_down_reply(id, reply),
            Expected::Handover => self.handover_reply(server, id, reply),
        }
    }
}

/// Closes a connection, if there is one.
fn close(server: &mut Server, conn: &mut Option<LinkConn>) {
    if let Some(conn) = conn.take() {
        conn.sock.end();
        server.el.remove_file(conn.file);
    }
}

/// The socket of a link is ready, as the event loop says.
fn link_ready(server: &mut Server, file: FileId, data: ClientData, mask: Mask) {
    let (link, which) = of_data(data);
    server.with_sentinel(|s, server| s.link_event(server, file, link, which, mask));
}

/// Does what the socket is ready for.
///
/// # Errors
/// Why the connection is over.
fn progress(
    server: &mut Server,
    conn: &mut LinkConn,
    data: ClientData,
    mask: Mask,
) -> io::Result<()> {
    if !server.link_comes_up(&conn.sock, conn.file, &mut conn.state, link_ready, data)? {
        return Ok(());
    }
    write(server, conn)?;
    // What came with the end of a handshake is announced by nobody.
    if mask.has(Mask::READABLE) || conn.sock.has_unread() {
        let mut buf = [0; READ_CHUNK];
        let n = server.link_read(&conn.sock, conn.file, &mut buf)?;
        server.stats.net_input_bytes += n as u64;
        conn.reader.feed(&buf[..n]);
    }
    Ok(())
}

/// Sends what waits.
fn write(server: &mut Server, conn: &mut LinkConn) -> io::Result<()> {
    while !conn.out.is_empty() {
        let n = server.link_write(&conn.sock, conn.file, &conn.out)?;
        if n == 0 {
            return Ok(());
        }
        server.stats.net_output_bytes += n as u64;
        conn.out.drain(..n);
    }
    server.link_written(&conn.sock, conn.file)
}
