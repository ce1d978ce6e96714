//! Connections of the bus (clusterLink): made to every node that is known, accepted from them, read and written as state machines over
//! the event loop.
//!
//! Invariants: a link's `node` has it as `link` or, if it is inbound, as `inbound_link`; a link that is closed is gone from the table at
//! once, so that an event or a message for it finds nothing. What a peer that is not known sends is bounded. Must not know: what messages
//! mean.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

use crate::ae::{ClientData, FileId, Mask};
use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::cluster::node::{Link, LinkId, NodeId};
use crate::cluster::state::{Cluster, Todo};
use crate::server::Server;
use crate::server::clients::connection::{Connection, begin_connecting};
use crate::server::clients::link_io::LinkState;
use crate::server_log;
use crate::wire::cluster::{Kind, NodeFlags, announced_length};

/// Bytes read from one link in a turn.
const READ_CHUNK: usize = 64 * 1024;
/// Bytes written to one link in a turn (NET_MAX_WRITES_PER_EVENT).
const WRITE_CHUNK: usize = 64 * 1024;
/// The longest message of a peer that has not said who it is: a MEET with an entry about each of so many nodes as are kept.
const UNKNOWN_PEER_MAX: usize = 2 << 20;
/// What upstream's list of messages, and each message in it, takes besides its bytes; CLUSTER LINKS tells of it.
const QUEUE_BYTES: usize = 48;
const MESSAGE_BYTES: usize = 48;
/// Connections that are accepted in a turn (MAX_CLUSTER_ACCEPTS_PER_CALL).
const MAX_ACCEPTS_PER_CALL: usize = 1000;

impl Link {
    /// Bytes that its messages take (send_msg_queue_mem).
    pub(super) fn queue_mem(&self) -> usize {
        QUEUE_BYTES + self.out_bytes + self.out.len() * MESSAGE_BYTES
    }

    /// What it takes in all.
    pub(super) fn mem_usage(&self) -> usize {
        self.queue_mem() + self.rcvbuf.capacity()
    }
}

impl Cluster {
    /// Begins to connect to a node (the part of clusterNodeCronHandleReconnect that does).
    ///
    /// # Errors
    /// Why it cannot be tried.
    pub(super) fn connect(&mut self, server: &mut Server, id: NodeId) -> io::Result<()> {
        let n = &self[id];
        let ip: IpAddr =
            n.ip.parse()
                .map_err(|_| io::Error::other("the node has no address"))?;
        let source = server.config.bind_source_addr.as_deref();
        let sock = begin_connecting(SocketAddr::new(ip, n.cport), source)?;
        // Only a delay where it cannot be set.
        let _ = sock.set_tcp_nodelay(true);
        let conn = server.tls.outgoing(sock, server.config.tls_cluster)?;
        let link = self.add_link(server, conn, ip, Some(id))?;
        self[id].link = Some(link);
        Ok(())
    }

    /// A connection is a link from now on.
    fn add_link(
        &mut self,
        server: &mut Server,
        conn: Connection,
        peer: IpAddr,
        node: Option<NodeId>,
    ) -> io::Result<LinkId> {
        let file = server.el.add_file(conn.as_raw_fd())?;
        let id = self.new_link_id();
        // An accepted one has to be heard first.
        let (state, mask) = match (node, conn.tls().is_some()) {
            (Some(_), _) => (LinkState::Connecting, Mask::WRITABLE),
            (None, true) => (LinkState::Handshake, Mask::READABLE),
            (None, false) => (LinkState::Up, Mask::READABLE),
        };
        server.el.create_file_event(file, mask, link_ready, id.0);
        self.links.insert(
            id,
            Link {
                id,
                ctime: mstime(),
                node,
                inbound: node.is_none(),
                peer: ip_text(peer).into(),
                conn,
                file,
                state,
                out: VecDeque::new(),
                sent: 0,
                out_bytes: 0,
                rcvbuf: Vec::new(),
            },
        );
        Ok(id)
    }

    /// Closes a link, if there is one (freeClusterLink).
    pub(super) fn close_link(&mut self, server: &mut Server, id: Option<LinkId>) {
        let Some(link) = id.and_then(|id| self.links.remove(&id)) else {
            return;
        };
        link.conn.end();
        server.el.remove_file(link.file);
        if let Some(node) = link.node
            && self.get(node).is_some()
        {
            let n = &mut self[node];
            if n.link == Some(link.id) {
                n.link = None;
            }
            if n.inbound_link == Some(link.id) {
                n.inbound_link = None;
            }
        }
    }

    /// The peer of an inbound link has said who it is (setClusterNodeToInboundClusterLink).
    pub(super) fn set_inbound_link(&mut self, server: &mut Server, node: NodeId, link: LinkId) {
        // A peer that connects anew may be faster than the end of its old connection.
        let old = self[node].inbound_link;
        self.close_link(server, old);
        self[node].inbound_link = Some(link);
        if let Some(l) = self.links.get_mut(&link) {
            l.node = Some(node);
        }
    }

    /// Forgets a node and closes its links (clusterDelNode).
    pub(super) fn del_node(&mut self, server: &mut Server, id: NodeId) {
        let (link, inbound) = (self[id].link, self[id].inbound_link);
        self.close_link(server, link);
        self.close_link(server, inbound);
        self.remove_node(id);
    }

    /// Queues a message, if there is a link (clusterSendMessage).
    pub(super) fn send(
        &mut self,
        server: &mut Server,
        link: Option<LinkId>,
        kind: Kind,
        message: &Rc<[u8]>,
    ) {
        let Some(l) = link.and_then(|id| self.links.get_mut(&id)) else {
            return;
        };
        l.out.push_back(message.clone());
        l.out_bytes += message.len();
        if l.state == LinkState::Up && l.out.len() == 1 {
            if server.exec.blocked_depth == 0 {
                // Else the loop does not come by before it sleeps.
                self.unsent.push(l.id);
            }
            server
                .el
                .create_file_event(l.file, Mask::WRITABLE, link_ready, l.id.0);
        }
        self.stats.sent[kind as usize] += 1;
    }

    /// Writes what this turn has queued, now that what must outlive the process is in the file: a turn of the loop less for each message.
    pub(super) fn write_unsent(&mut self, server: &mut Server) {
        for id in std::mem::take(&mut self.unsent) {
            let link = self.links.get_mut(&id);
            let Some(link) = link.filter(|l| l.state == LinkState::Up) else {
                continue;
            };
            if let Err(e) = write(server, link) {
                server_log!(Level::Debug, "I/O error with node link: {}", strerror(&e));
                self.close_link(server, Some(id));
            }
        }
    }

    /// To all that are connected (clusterBroadcastMessage).
    pub(super) fn broadcast(&mut self, server: &mut Server, kind: Kind, message: &Rc<[u8]>) {
        for id in self.ids() {
            let n = &self[id];
            if !n.has(NodeFlags::MYSELF | NodeFlags::HANDSHAKE) {
                let link = n.link;
                self.send(server, link, kind, message);
            }
        }
    }

    /// Closes a link for which too much waits (freeClusterLinkOnBufferLimitReached).
    pub(super) fn close_link_on_buffer_limit(&mut self, server: &mut Server, id: Option<LinkId>) {
        let limit = server.config.cluster_link_sendbuf_limit;
        let Some(l) = id.and_then(|id| self.links.get(&id)) else {
            return;
        };
        let mem = l.queue_mem();
        if limit == 0 || mem as u64 <= limit {
            return;
        }
        let name = l.node.map(|n| self[n].name.to_string());
        server_log!(
            Level::Warning,
            "Freeing cluster link({} node {}, used memory: {}) due to exceeding send buffer memory limit.",
            if l.inbound { "from" } else { "to" },
            name.unwrap_or_default(),
            mem
        );
        self.close_link(server, id);
        self.stats.buffer_limit_exceeded += 1;
    }

    /// The address of a link's other end.
    pub(super) fn peer_ip(&self, link: LinkId) -> Option<&str> {
        Some(&self.links.get(&link)?.peer)
    }

    /// The address of this end.
    pub(super) fn local_ip(&self, link: LinkId) -> Option<String> {
        let addr = self.links.get(&link)?.conn.local_addr().ok()?;
        Some(ip_text(addr.as_socket()?.ip()))
    }

    fn link_event(&mut self, server: &mut Server, id: LinkId, file: FileId, mask: Mask) {
        let has_output = |l: &Link| !l.out.is_empty();
        if self.todo.contains(Todo::SAVE_CONFIG) && self.links.get(&id).is_some_and(has_output) {
            self.save_config_if_due(server);
        }
        let Some(link) = self.links.get_mut(&id).filter(|l| l.file == file) else {
            return;
        };
        let was_connecting = link.state != LinkState::Up && !link.inbound;
        let mut buf = std::mem::take(&mut self.read_buffer);
        if buf.is_empty() {
            buf.resize(READ_CHUNK, 0);
        }
        let step = progress(server, link, mask, &mut buf);
        let is_up = link.state == LinkState::Up;
        if was_connecting && is_up {
            self.link_is_up(server, id);
        }
        if let Ok(n) = step {
            self.process_input(server, id, &buf[..n]);
        }
        self.read_buffer = buf;
        if let Err(e) = step
            && let Some(l) = self.links.get(&id)
        {
            let why = strerror(&e);
            if was_connecting && !is_up {
                let node = l.node.map(|n| &self[n]);
                let (name, ip, port) = node.map_or_else(Default::default, |n| {
                    (n.name.to_string(), n.ip.clone(), n.cport)
                });
                server_log!(
                    Level::Verbose,
                    "Connection with Node {} at {}:{} failed: {}",
                    name,
                    ip,
                    port,
                    why
                );
            } else {
                server_log!(Level::Debug, "I/O error with node link: {}", why);
            }
            self.close_link(server, Some(id));
        }
    }

    /// What has come on a link, behind what it had of a message.
    fn process_input(&mut self, server: &mut Server, id: LinkId, fresh: &[u8]) {
        let Some(l) = self.links.get_mut(&id) else {
            return;
        };
        let mut part = std::mem::take(&mut l.rcvbuf);
        if part.is_empty() {
            // As it is nearly always: whole messages are looked at where they are.
            let done = self.process_messages(server, id, fresh);
            part.extend_from_slice(&fresh[done..]);
        } else {
            part.extend_from_slice(fresh);
            let done = self.process_messages(server, id, &part);
            part.drain(..done);
        }
        if let Some(l) = self.links.get_mut(&id).filter(|_| !part.is_empty()) {
            l.rcvbuf = part;
        }
    }

    /// The messages that are whole. Returns how many bytes they are.
    fn process_messages(&mut self, server: &mut Server, id: LinkId, bytes: &[u8]) -> usize {
        let mut done = 0;
        loop {
            let Some(l) = self.links.get(&id) else {
                return done;
            };
            let rest = &bytes[done..];
            let Some(head) = rest.first_chunk::<8>() else {
                return done;
            };
            // A node has a message of pub/sub at the most, with a channel as long.
            let bulk = usize::try_from(server.config.proto_max_bulk_len).unwrap_or(usize::MAX);
            let most = match l.node.is_some() {
                true => bulk.saturating_mul(2).saturating_add(UNKNOWN_PEER_MAX),
                false => UNKNOWN_PEER_MAX,
            };
            let len = match announced_length(head) {
                Ok(len) if len <= most => len,
                _ => {
                    self.bad_peer(server, id);
                    return done;
                }
            };
            let Some(message) = rest.get(..len) else {
                return done;
            };
            self.process_packet(server, id, message);
            done += len;
        }
    }

    /// What comes on a link is no message: there is no way to find the next one.
    fn bad_peer(&mut self, server: &mut Server, id: LinkId) {
        let from = self.links.get(&id).and_then(|l| l.conn.peer_addr().ok());
        let from = from.and_then(|a| a.as_socket());
        self.stats.invalid += 1;
        if self.may_log_invalid(server) {
            match from {
                Some(a) => server_log!(
                    Level::Warning,
                    "Bad message length or signature received on the Cluster bus from {}:{}",
                    a.ip(),
                    a.port()
                ),
                None => server_log!(
                    Level::Warning,
                    "Bad message length or signature received on the Cluster bus."
                ),
            }
        }
        self.close_link(server, Some(id));
    }

    /// Whoever sends rubbish is not to fill the log: a line a second.
    pub(super) fn may_log_invalid(&mut self, server: &Server) -> bool {
        let now = server.clock.unix_s;
        if now == self.invalid_logged_s {
            self.invalid_unlogged += 1;
            return false;
        }
        if self.invalid_unlogged > 0 {
            server_log!(
                Level::Warning,
                "{} more packets of the Cluster bus were dropped and not logged",
                self.invalid_unlogged
            );
        }
        self.invalid_logged_s = now;
        self.invalid_unlogged = 0;
        true
    }

    /// A node connects to the bus.
    fn accept(&mut self, server: &mut Server, sock: Socket, from: SocketAddr) -> io::Result<()> {
        sock.set_nonblocking(true)?;
        let _ = sock.set_tcp_nodelay(true);
        let secs = (server.config.cluster_node_timeout / 1000 * 2).max(1);
        let secs = Duration::from_secs(u64::try_from(secs).unwrap_or(1));
        let alive = TcpKeepalive::new().with_time(secs).with_interval(secs / 3);
        let _ = sock.set_tcp_keepalive(&alive);
        server_log!(
            Level::Verbose,
            "Accepting cluster node connection from {}:{}",
            from.ip(),
            from.port()
        );
        let conn = match server.config.tls_cluster {
            false => Connection::Plain(sock),
            true => server.tls.accepted(sock, &server.tls.bus)?,
        };
        self.add_link(server, conn, from.ip(), None).map(|_| ())
    }

    fn accept_ready(&mut self, server: &mut Server, file: FileId) {
        for _ in 0..MAX_ACCEPTS_PER_CALL {
            let Some(l) = self.listeners.iter().find(|l| l.file == file) else {
                return;
            };
            match l.socket.accept() {
                Ok((sock, from)) => {
                    // An UPDATE could change a data set that is half there.
                    if server.loading.is_some() && server.repl.master_host.is_none() {
                        continue;
                    }
                    let Some(from) = from.as_socket() else {
                        continue;
                    };
                    if let Err(e) = self.accept(server, sock, from) {
                        server_log!(
                            Level::Verbose,
                            "Error accepting cluster node connection: {}",
                            strerror(&e)
                        );
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    server.el.clear_ready(file, Mask::READABLE);
                    return;
                }
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                    ) => {}
                Err(e) => {
                    // Out of descriptors, most likely: the cron gives it its handler back.
                    server_log!(
                        Level::Verbose,
                        "Error accepting cluster node: {}",
                        strerror(&e)
                    );
                    server.el.delete_file_event(file, Mask::READABLE);
                    self.accepting_rests = true;
                    return;
                }
            }
        }
    }

    /// Accepts again where accepting had failed.
    pub(super) fn resume_accepting(&mut self, server: &mut Server) {
        if !std::mem::take(&mut self.accepting_rests) {
            return;
        }
        for l in &self.listeners {
            server
                .el
                .create_file_event(l.file, Mask::READABLE, bus_acceptable, 0);
        }
    }
}

/// The text of an address, of an IPv4 one that came over IPv6 as well.
fn ip_text(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

/// The bus' listening socket is readable (clusterAcceptHandler).
pub(super) fn bus_acceptable(server: &mut Server, file: FileId, _: ClientData, _: Mask) {
    server.with_cluster(|c, server| c.accept_ready(server, file));
}

/// A link's socket is ready (clusterReadHandler, clusterWriteHandler).
fn link_ready(server: &mut Server, file: FileId, data: ClientData, mask: Mask) {
    server.exec.clock_stale = true;
    server.with_cluster(|c, server| c.link_event(server, LinkId(data), file, mask));
}

/// Does what the socket is ready for. Returns how many bytes have come, into `buf`.
///
/// # Errors
/// Why the link is over.
fn progress(server: &mut Server, link: &mut Link, mask: Mask, buf: &mut [u8]) -> io::Result<usize> {
    let state = &mut link.state;
    if !server.link_comes_up(&link.conn, link.file, state, link_ready, link.id.0)? {
        return Ok(0);
    }
    write(server, link)?;
    // What came with the end of a handshake is announced by nobody.
    if mask.has(Mask::READABLE) || link.conn.has_unread() {
        return server.link_read(&link.conn, link.file, buf);
    }
    Ok(0)
}

/// Sends what waits, some of it in a turn.
fn write(server: &mut Server, link: &mut Link) -> io::Result<()> {
    let mut written = 0;
    while let Some(first) = link.out.front() {
        if written >= WRITE_CHUNK {
            return Ok(());
        }
        let n = server.link_write(&link.conn, link.file, &first[link.sent..])?;
        if n == 0 {
            return Ok(());
        }
        written += n;
        link.sent += n;
        if link.sent == first.len() {
            link.out_bytes -= first.len();
            link.sent = 0;
            link.out.pop_front();
        }
    }
    server.link_written(&link.conn, link.file)
}
