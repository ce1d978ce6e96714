//! Connections: accepting, reading and running requests, writing replies, closing (networking.c).
//!
//! Reading. One buffer is shared by all: a read lands there, complete requests run right out of it, and only an unfinished
//! tail is copied to the client. While requests run, the buffer is out of the server, so a nested event loop takes another.
//! An argument of 32 KB or more that is not all there is read into a buffer of its own, which then becomes the value.
//!
//! Writing. Replies gather in the client's output and are written once before the loop sleeps; what the socket does not
//! take is left to a writable handler.
//!
//! Closing. Anybody may mark a client ([`Server::free_client_async`]); it is freed in one place only, before the loop
//! sleeps, so that an id never dangles within a call.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::Socket;

use crate::ae::{ClientData, FileId, FileProc, Mask};
use crate::base::log::{self, Level, enabled};
use crate::base::sys::{self, Exhibit};
use crate::ds::sbuf::SBuf;
use crate::server::Server;
use crate::server::clients::client::{BigArg, Client, ClientType, Output};
use crate::server::clients::connection::{Connection, ListenKind};
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::clients::tls::TlsConnection;
use crate::server::execution::args::Args;
use crate::server::execution::exec::Processed;
use crate::server::process::crash::log_arguments;
use crate::server_log;
use crate::wire::ahead::Ahead;
use crate::wire::resp::{Limits, MAX_REQUEST, Parsed, Parser, ProtocolError};

/// Bytes read at a time (PROTO_IOBUF_LEN).
pub(crate) const PROTO_IOBUF_LEN: usize = 16 * 1024;
/// Connections accepted in one call (MAX_ACCEPTS_PER_CALL): half a millisecond of them. Those that wait have come to nobody else's
/// harm, and requests are served between two calls.
const MAX_ACCEPTS_PER_CALL: usize = 50;
/// The same for TLS: a handshake takes as long as hundreds of requests, and those wait meanwhile.
const MAX_TLS_ACCEPTS_PER_CALL: usize = 1;
/// Seconds that a client may take for its TLS handshake.
const TLS_HANDSHAKE_TIMEOUT: i64 = 10;
/// Bytes written to one client in one call, so that a fast one does not starve the others (NET_MAX_WRITES_PER_EVENT).
const NET_MAX_WRITES_PER_EVENT: usize = 64 * 1024;
/// A big argument is read in steps of this many bytes: memory follows what has arrived.
const BIG_READ: usize = 256 * 1024;
/// Steps in one call, so that a fast sender does not starve the others.
const BIG_READS: usize = 16;
/// Bytes that are reserved for a big argument before they have come, at the most, but for a client that has sent as much
/// before.
const BIG_RESERVE: usize = 1024 * 1024;

/// Output of a client that may not do anything before it has authenticated, in bytes, before it is cut off: more than the
/// errors that answer all of what one read brings.
const UNAUTHENTICATED_OUTPUT: u64 = 256 * 1024;

const PROTECTED_MODE_ERROR: &[u8] = b"-DENIED Redis is running in protected mode because protected mode is enabled and no \
password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to \
connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending \
the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is \
running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change \
permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the \
protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart \
it with the '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You only need to do \
one of the above things in order for the server to start accepting connections from the outside.\r\n";

/// A listening socket is readable (connSocketAcceptHandler).
pub(crate) fn accept_handler(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    server.exec.clock_stale = true;
    let most = match server.listeners.get(data).map(|l| l.kind) {
        Some(ListenKind::Tls) => MAX_TLS_ACCEPTS_PER_CALL,
        _ => MAX_ACCEPTS_PER_CALL,
    };
    for _ in 0..most {
        let Some(listener) = server.listeners.get(data) else {
            return;
        };
        match listener.socket.accept() {
            Ok((conn, _)) => {
                let kind = listener.kind;
                accept_common_handler(server, conn, kind);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                server.el.clear_ready(file, Mask::READABLE);
                return;
            }
            // That one is gone already; others may wait behind it.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                ) => {}
            Err(e) => {
                // Out of descriptors, most likely. Those who wait bring no new edge: the socket stays ready, and the cron
                // looks at it again.
                server.el.delete_file_event(file, Mask::READABLE);
                server.listeners.held = true;
                server_log!(Level::Warning, "Accepting client connection: {}", e);
                return;
            }
        }
    }
}

fn accept_common_handler(server: &mut Server, conn: Socket, kind: ListenKind) {
    if conn.set_nonblocking(true).is_err() {
        return;
    }
    let now = server.clock.unix_s;
    let nodes = server.cluster_connections_count();
    if server.connected_clients() + nodes >= server.config.maxclients as usize {
        if kind != ListenKind::Tls {
            let text: &[u8] = match server.config.cluster_enabled {
                false => b"-ERR max number of clients reached\r\n",
                true => b"-ERR max number of clients + cluster connections reached\r\n",
            };
            // A best effort: the socket's buffer is empty, so this fits or the peer is gone.
            let _ = (&conn).write(text);
        }
        server.stats.rejected_conn += 1;
        return;
    }
    let unix = kind == ListenKind::Unix;
    let conn = match kind {
        ListenKind::Tls => match server.tls.accepted(conn, &server.tls.server) {
            Ok(conn) => conn,
            Err(e) => {
                server_log!(Level::Warning, "Accepting client connection: {}", e);
                return;
            }
        },
        _ => Connection::Plain(conn),
    };
    if kind == ListenKind::Tcp && server.is_protected_from(&conn) {
        let _ = (&conn).write(PROTECTED_MODE_ERROR);
        server.stats.rejected_conn += 1;
        return;
    }
    if !unix {
        // Latency first; a failure of either is no reason to refuse the client.
        let _ = conn.socket().set_tcp_nodelay(true);
        server.set_keepalive(conn.socket());
    }
    let is_tls = kind == ListenKind::Tls;
    server.stats.num_connections += u64::from(!is_tls);
    let cid = server.clients.create_client(Some(conn), now);
    if unix {
        server.clients[cid].flags |= ClientFlags::UNIX_SOCKET;
    }
    server.client_set_default_auth(cid);
    let installed = match is_tls {
        true => server.install_handshake(cid),
        false => server.install_client(cid),
    };
    if let Err(e) = installed {
        server_log!(
            Level::Warning,
            "Error registering fd event for the new client: {}",
            e
        );
        server.clients.remove(cid);
        return;
    }
    if enabled(Level::Verbose) {
        let peer = server.client_peer(cid);
        server_log!(Level::Verbose, "Accepted {}", peer);
    }
}

/// The socket of a client in its TLS handshake is ready.
fn tls_handshake_handler(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    let cid = ClientId::from_data(data);
    let Some(c) = server.clients.get(cid) else {
        return;
    };
    let Some(tls) = c.conn.as_ref().and_then(Connection::tls) else {
        return;
    };
    if c.has(ClientFlags::CLOSE_ASAP) {
        return;
    }
    server.exec.clock_stale = true;
    match tls.handshake() {
        Ok(true) => server.tls_accepted(cid, file),
        Ok(false) => {
            let unsent = tls.has_unsent();
            server.await_tls_handshake(file, unsent, tls_handshake_handler, data);
        }
        Err(e) => server.tls_accept_failed(cid, &e.to_string()),
    }
}

/// The socket of a client is readable (readQueryFromClient).
pub(crate) fn read_query_from_client(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    let cid = ClientId::from_data(data);
    let Some(c) = server.clients.get(cid) else {
        return;
    };
    if c.has(ClientFlags::CLOSE_ASAP) {
        return;
    }
    if c.big_arg.is_some() {
        return read_big_arg(server, cid, file);
    }
    let mut buf = std::mem::take(&mut server.read_buf);
    if buf.is_empty() {
        buf.resize(PROTO_IOBUF_LEN, 0);
    }
    let want = buf.len();
    let Some(n) = read_some(server, cid, file, want, |mut conn| conn.read(&mut buf)) else {
        server.read_buf = buf;
        return;
    };
    if server.clients[cid].has(ClientFlags::MULTI) && server.is_queue_too_long(cid, n) {
        server.read_buf = buf;
        return;
    }
    if server.clients[cid].querybuf.is_empty() && server.clients[cid].block.is_none() {
        let mut parser = std::mem::take(&mut server.exec.parser);
        let rest = process_input_buffer(server, cid, &mut parser, &buf[..n]);
        keep_rest(server, cid, &mut parser, &buf[..n], rest);
        server.exec.parser = parser;
        server.exec.parser.reset();
        if server.config.maxmemory_clients != 0 {
            server.update_client_mem_usage_and_bucket(cid);
        }
    } else {
        server.clients[cid].querybuf.extend_from_slice(&buf[..n]);
        server.read_buf = buf;
        server.check_query_buffer_limit(cid);
        server.process_pending_input(cid);
        return;
    }
    server.read_buf = buf;
}

/// One read, of up to `want` bytes; `None` when there is nothing to process. Does the accounting, and marks the client when
/// its end is reached.
fn read_some(
    server: &mut Server,
    cid: ClientId,
    file: FileId,
    want: usize,
    read: impl FnOnce(&Connection) -> io::Result<usize>,
) -> Option<usize> {
    server.stats.total_reads_processed += 1;
    let c = &mut server.clients[cid];
    let conn = c.conn.as_ref()?;
    match read(conn) {
        Ok(0) => {
            if enabled(Level::Verbose) {
                let info = server.client_log_string(cid);
                server_log!(Level::Verbose, "Client closed connection {}", info);
            }
            server.hung_up(cid);
            None
        }
        Ok(n) => {
            if n < want && !conn.has_unread() {
                server.el.clear_ready(file, Mask::READABLE);
            }
            c.last_interaction = server.clock.unix_s;
            if c.has(ClientFlags::MASTER) {
                if let Some(m) = c.master_stream.as_deref_mut() {
                    m.read_reploff += n as i64;
                }
                server.stats.net_repl_input_bytes += n as u64;
            } else {
                server.stats.net_input_bytes += n as u64;
            }
            Some(n)
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            server.el.clear_ready(file, Mask::READABLE);
            None
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => None,
        Err(e) => {
            let info = server.client_log_string(cid);
            server_log!(Level::Verbose, "Reading from client: {} {}", e, info);
            server.hung_up(cid);
            None
        }
    }
}

/// Runs the complete requests at the front of `buf` (processInputBuffer). Returns where the first one that did not run
/// begins; `parser` holds what is known of it.
fn process_input_buffer(
    server: &mut Server,
    cid: ClientId,
    parser: &mut Parser,
    buf: &[u8],
) -> Rest {
    server.refresh_shortcuts(cid);
    let rest = match server.looks_ahead(cid) {
        true => run_stream(server, cid, parser, buf),
        false => run_requests::<false>(server, cid, parser, buf),
    };
    server.exec.call.client = None;
    rest
}

/// Requests that run, as the report of a crash may see them.
struct Running<'a> {
    parser: &'a mut Parser,
    buf: &'a [u8],
    /// Where in `buf` the one begins that runs. Atomic, so that it is not kept in a register.
    start: &'a AtomicUsize,
}

impl Running<'_> {
    fn show(&mut self, _: usize) {
        let request = self.buf.get(self.start.load(Ordering::Relaxed)..);
        log_arguments(&Args::of(self.parser, request.unwrap_or_default()));
    }
}

/// Whether the client is in a state in which it runs no further request now.
#[inline]
fn runs_nothing(c: &Client) -> bool {
    const STOP: ClientFlags = ClientFlags::of(&[
        ClientFlags::CLOSE_ASAP,
        ClientFlags::CLOSE_AFTER_REPLY,
        ClientFlags::PROTOCOL_ERROR,
        ClientFlags::BLOCKED,
        ClientFlags::HELD,
    ]);
    c.has(STOP) || c.block.is_some()
}

/// The requests of [`process_input_buffer`]; with `ONE` only the first of them.
#[inline]
fn run_requests<const ONE: bool>(
    server: &mut Server,
    cid: ClientId,
    parser: &mut Parser,
    buf: &[u8],
) -> Rest {
    let start = AtomicUsize::new(0);
    let mut running = Running {
        parser,
        buf,
        start: &start,
    };
    sys::exhibit(Exhibit::Request, &mut running, Running::show, |r| {
        run_each::<ONE>(server, cid, r)
    })
}

/// The loop of [`run_requests`].
#[inline]
fn run_each<const ONE: bool>(server: &mut Server, cid: ClientId, running: &mut Running) -> Rest {
    let parser = &mut *running.parser;
    let buf = running.buf;
    let mut start = 0;
    while let Some(c) = server.clients.get(cid) {
        if runs_nothing(c) || (start >= buf.len() && !parser.in_request()) {
            return Rest::From(start);
        }
        let is_master = c.has(ClientFlags::MASTER);
        // The common case stays in this loop: a command that is done leaves its client as it was.
        let parsed = loop {
            let request = &buf[start..];
            let (args, n) = match parser.whole(request, server.exec.authenticated) {
                Some(n) => (Args::whole(request, parser.spans(), n), n),
                None => {
                    // As the last command left them: AUTH and RESET are requests like others.
                    let limits = Limits {
                        max_bulk_len: server.config.proto_max_bulk_len as u64,
                        authenticated: server.exec.authenticated,
                        is_master,
                    };
                    let parsed = parser.parse(request, &limits);
                    if parsed != Parsed::Request {
                        break parsed;
                    }
                    (Args::of(parser, request), parser.consumed())
                }
            };
            running.start.store(start, Ordering::Relaxed);
            let done = server.process_command(cid, &args);
            if done == Processed::Postponed {
                return Rest::From(start);
            }
            if is_master {
                server.command_from_master_processed(cid, &request[..n]);
            }
            start += n;
            parser.reset();
            if done == Processed::Stop {
                return Rest::of(server, cid, start);
            }
            if ONE || start >= buf.len() {
                return Rest::From(start);
            }
        };
        match parsed {
            // It has run.
            Parsed::Request => {}
            Parsed::Empty => {
                let n = parser.consumed();
                if is_master {
                    server.command_from_master_processed(cid, &buf[start..start + n]);
                } else if server.clients[cid].has(ClientFlags::SLAVE) {
                    // A replica that loads sends line ends to be known alive.
                    let now = server.clock.unix_s;
                    server.clients[cid].repl_mut().ack_time = now;
                }
                start += n;
                parser.reset();
                server.after_empty_request(cid);
            }
            Parsed::BigArg(len) if !is_master => return Rest::BigArg { start, len },
            Parsed::BigArg(_) | Parsed::Incomplete => return Rest::From(start),
            Parsed::Error(e) => {
                server.set_protocol_error(cid, e, &buf[start..]);
                return Rest::From(buf.len());
            }
        }
    }
    Rest::Gone
}

/// The same where it pays to look ahead, see [`Server::looks_ahead`]: whole requests run a group at a time, so that what a
/// group is going to touch is on its way while the ones before it run.
#[inline(never)]
fn run_stream(server: &mut Server, cid: ClientId, parser: &mut Parser, buf: &[u8]) -> Rest {
    let mut start = 0;
    loop {
        // One by itself: there may be no other, and what cannot run in a group runs like this.
        match run_requests::<true>(server, cid, parser, &buf[start..]) {
            Rest::From(0) => return Rest::From(start),
            Rest::From(n) => start += n,
            Rest::BigArg { start: n, len } => {
                return Rest::BigArg {
                    start: start + n,
                    len,
                };
            }
            Rest::Gone => return Rest::Gone,
        }
        if start >= buf.len() || server.clients.get(cid).is_none_or(runs_nothing) {
            return Rest::of(server, cid, start);
        }
        if parser.in_request() {
            continue;
        }
        let mut ahead = std::mem::take(&mut server.exec.ahead);
        let rest = run_groups(server, cid, &mut ahead, buf, &mut start);
        server.exec.ahead = ahead;
        if let Some(rest) = rest {
            return rest;
        }
    }
}

/// Runs requests from `start` on, up to the first that is not whole or of another form. Says what is left where it may not go
/// on.
fn run_groups(
    server: &mut Server,
    cid: ClientId,
    ahead: &mut Ahead,
    buf: &[u8],
    start: &mut usize,
) -> Option<Rest> {
    loop {
        let group = &buf[*start..];
        ahead.parse(group);
        if ahead.is_empty() {
            return None;
        }
        server.prefetch(cid, ahead, group);
        let nth = AtomicUsize::new(0);
        let mut running = RunningGroup {
            ahead,
            buf: group,
            nth: &nth,
        };
        let rest = sys::exhibit(Exhibit::Request, &mut running, RunningGroup::show, |g| {
            run_group(server, cid, g, start)
        });
        if rest.is_some() {
            return rest;
        }
    }
}

/// A group that runs, as the report of a crash may see it.
struct RunningGroup<'a> {
    ahead: &'a Ahead,
    buf: &'a [u8],
    /// Which request of it. See [`Running`].
    nth: &'a AtomicUsize,
}

impl RunningGroup<'_> {
    fn show(&mut self, _: usize) {
        let nth = self.nth.load(Ordering::Relaxed);
        if nth < self.ahead.len() {
            let (request, spans) = self.ahead.get(nth, self.buf);
            log_arguments(&Args::whole(request, spans, request.len()));
        }
    }
}

fn run_group(
    server: &mut Server,
    cid: ClientId,
    group: &RunningGroup,
    start: &mut usize,
) -> Option<Rest> {
    let is_master = server
        .clients
        .get(cid)
        .is_some_and(|c| c.has(ClientFlags::MASTER));
    let mut at = 0;
    for nth in 0..group.ahead.len() {
        group.nth.store(nth, Ordering::Relaxed);
        let (request, spans) = group.ahead.get(nth, group.buf);
        // With what follows: a name is compared as a word of eight bytes.
        let args = Args::whole(&group.buf[at..], spans, request.len());
        let done = server.process_command(cid, &args);
        if done == Processed::Postponed {
            return Some(Rest::From(*start));
        }
        if is_master {
            server.command_from_master_processed(cid, request);
        }
        at += request.len();
        *start += request.len();
        if done == Processed::Stop {
            return Some(Rest::of(server, cid, *start));
        }
    }
    None
}

/// What [`process_input_buffer`] left.
enum Rest {
    /// The client is gone.
    Gone,
    From(usize),
    /// The request at `start` goes on with an argument of `len` bytes that gets its own buffer.
    BigArg {
        start: usize,
        len: usize,
    },
}

impl Rest {
    /// What is left from `start` on, if the client is still there.
    fn of(server: &Server, cid: ClientId, start: usize) -> Rest {
        match server.clients.get(cid) {
            Some(_) => Rest::From(start),
            None => Rest::Gone,
        }
    }
}

/// Keeps an unfinished request with its client.
fn keep_rest(server: &mut Server, cid: ClientId, parser: &mut Parser, buf: &[u8], rest: Rest) {
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    match rest {
        Rest::Gone => {}
        Rest::From(start) => {
            if start < buf.len() {
                c.querybuf = buf[start..].to_vec();
                if parser.in_request() {
                    c.parser = Some(Box::new(std::mem::take(parser)));
                }
            }
        }
        Rest::BigArg { start, len } => {
            let head = parser.consumed();
            let request = &buf[start..];
            c.querybuf = request[..head].to_vec();
            let reserve = len.min(c.fat_room.max(BIG_RESERVE));
            let mut b = SBuf::with_capacity((request.len() - head).max(reserve) + 2);
            b.extend_from_slice(&request[head..]);
            c.parser = Some(Box::new(std::mem::take(parser)));
            c.big_arg = Some(Box::new(BigArg { buf: b, len }));
        }
    }
}

/// Reads on into a big argument, in steps, as long as bytes are there; runs the request when the argument was its last.
fn read_big_arg(server: &mut Server, cid: ClientId, file: FileId) {
    for _ in 0..BIG_READS {
        if !read_big_step(server, cid, file) {
            return;
        }
    }
}

/// One step of that; true when there is likely to be more of the argument.
fn read_big_step(server: &mut Server, cid: ClientId, file: FileId) -> bool {
    let Some(mut big) = server.clients.get_mut(cid).and_then(|c| c.big_arg.take()) else {
        return false;
    };
    let have = big.buf.len();
    let want = (big.len + 2 - have).min(BIG_READ);
    // The whole of it may be reserved once a good part has come: no more than doubling.
    let whole = big.len + 2 - have <= have.max(BIG_READ);
    big.buf
        .reserve(if whole { big.len + 2 - have } else { want }, whole);
    let buf = &mut big.buf;
    let n = read_some(server, cid, file, want, |conn| {
        buf.append_with(want, false, |room| conn.read_uninit(room))
    });
    let complete = big.buf.len() == big.len + 2;
    let len = big.len;
    let Some(c) = server.clients.get_mut(cid) else {
        return false;
    };
    c.big_arg = Some(big);
    if server.config.maxmemory_clients != 0 {
        server.update_client_mem_usage_and_bucket(cid);
        if complete {
            // As an argument it would not be counted any more.
            server.evict_clients();
        }
    }
    if !complete {
        server.check_query_buffer_limit(cid);
        return n == Some(want) && !server.clients[cid].has(ClientFlags::CLOSE_ASAP);
    }
    let c = &mut server.clients[cid];
    let Some(mut big) = c.big_arg.take().filter(|_| !c.has(ClientFlags::CLOSE_ASAP)) else {
        return false;
    };
    big.buf.resize(len, false);
    // One fat argument is likely not the last.
    c.fat_room = len + 2;
    c.querybuf_peak = c.querybuf_peak.max(len + 2);
    if let Some(p) = c.parser.as_deref_mut() {
        p.push_big(big.buf);
    }
    server.process_pending_input(cid);
    false
}

/// Bytes sent from a replica's file at a time.
const SPILL_STEP: usize = 256 * 1024;

impl Server {
    /// Clients with a connection, replicas included, and without those that are only still to be freed.
    pub(crate) fn connected_clients(&self) -> usize {
        let gone = self.exec.fake_clients + self.clients.to_close.len();
        self.clients.len().saturating_sub(gone)
    }

    /// Registers the socket of a client that begins with a TLS handshake.
    fn install_handshake(&mut self, cid: ClientId) -> io::Result<()> {
        let Some(conn) = &self.clients[cid].conn else {
            return Ok(());
        };
        let file = self.el.add_file(conn.as_raw_fd())?;
        self.clients[cid].file = Some(file);
        self.el
            .create_file_event(file, Mask::READABLE, tls_handshake_handler, cid.to_data());
        Ok(())
    }

    /// A TLS handshake waits for its peer and, while something is unsent, for the socket: `handler` goes on with it.
    pub(crate) fn await_tls_handshake(
        &mut self,
        file: FileId,
        unsent: bool,
        handler: FileProc<Server>,
        data: ClientData,
    ) {
        let both = Mask::READABLE | Mask::WRITABLE;
        self.el.clear_ready(file, both);
        if !unsent {
            self.el.delete_file_event(file, Mask::WRITABLE);
        }
        let wanted = if unsent { both } else { Mask::READABLE };
        self.el.create_file_event(file, wanted, handler, data);
    }

    /// The TLS handshake is done: the client may send requests (clientAcceptHandler).
    fn tls_accepted(&mut self, cid: ClientId, file: FileId) {
        let Some(conn) = self.clients.get(cid).and_then(|c| c.conn.as_ref()) else {
            return;
        };
        if self.is_protected_from(conn) {
            let _ = { conn }.write(PROTECTED_MODE_ERROR);
            self.stats.rejected_conn += 1;
            return self.free_client_async(cid);
        }
        let shown = conn.tls().and_then(TlsConnection::peer_certificate);
        let (unread, unsent) = (conn.has_unread(), conn.has_unsent());
        let names = self.tls_names_of_peer(shown.as_ref());
        self.acl_authenticate_by_certificate(cid, &names);
        self.stats.num_connections += 1;
        self.el.delete_file_event(file, Mask::WRITABLE);
        self.el
            .create_file_event(file, Mask::READABLE, read_query_from_client, cid.to_data());
        if unread {
            self.el.mark_readable(file);
        }
        if unsent {
            self.install_write_handler(cid);
        }
    }

    #[cold]
    fn tls_accept_failed(&mut self, cid: ClientId, why: &str) {
        server_log!(
            Level::Warning,
            "Error accepting a client connection: {} (addr={} laddr={})",
            why,
            self.client_peer(cid),
            self.client_sock(cid)
        );
        self.free_client_async(cid);
    }

    /// Whether the client has taken too long for its TLS handshake; it is closed then.
    pub(crate) fn tls_handshake_timed_out(&mut self, cid: ClientId) -> bool {
        let is_late = |server: &Server| {
            let c = server.clients.get(cid)?;
            let late = server.clock.unix_s - c.ctime > TLS_HANDSHAKE_TIMEOUT
                && c.conn.as_ref().is_some_and(Connection::is_handshaking)
                && !c.has(ClientFlags::CLOSE_ASAP | ClientFlags::MASTER);
            late.then_some(c.file)
        };
        if let Some(Some(file)) = is_late(self) {
            // It may have been the server that had no time: what the client has sent meanwhile counts.
            tls_handshake_handler(self, file, cid.to_data(), Mask::READABLE);
        }
        let late = is_late(self).is_some();
        if late {
            self.tls_accept_failed(cid, "the TLS handshake has taken too long");
        }
        late
    }

    /// Whether protected mode keeps this connection out: it is not from this host, and nobody has to authenticate.
    fn is_protected_from(&self, conn: &Connection) -> bool {
        self.config.protected_mode
            && self.acl.default_user().nopass
            && !conn
                .peer_addr()
                .ok()
                .and_then(|a| a.as_socket())
                .is_some_and(|a| a.ip().to_canonical().is_loopback())
    }

    /// Registers a client's socket and reads from it.
    pub(crate) fn install_client(&mut self, cid: ClientId) -> io::Result<()> {
        let Some(conn) = &self.clients[cid].conn else {
            return Ok(());
        };
        let file = self.el.add_file(conn.as_raw_fd())?;
        let unread = conn.has_unread();
        self.clients[cid].file = Some(file);
        self.el
            .create_file_event(file, Mask::READABLE, read_query_from_client, cid.to_data());
        if unread {
            self.el.mark_readable(file);
        }
        Ok(())
    }

    /// tcp-keepalive, as anetKeepAlive sets it.
    pub(crate) fn set_keepalive(&self, conn: &Socket) {
        let secs = self.config.tcp_keepalive;
        if secs > 0 {
            let secs = secs as u64;
            let k = socket2::TcpKeepalive::new()
                .with_time(std::time::Duration::from_secs(secs))
                .with_interval(std::time::Duration::from_secs((secs / 3).max(1)))
                .with_retries(3);
            let _ = conn.set_tcp_keepalive(&k);
        }
    }

    /// Goes on with the requests that wait in the client's own buffer.
    pub(crate) fn process_pending_input(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        if c.querybuf.is_empty() || c.block.is_some() || c.big_arg.is_some() {
            return;
        }
        let buf = std::mem::take(&mut c.querybuf);
        let mut parser = c.parser.take().unwrap_or_default();
        let rest = process_input_buffer(self, cid, &mut parser, &buf);
        self.keep_pending_input(cid, parser, buf, rest);
        if self.config.maxmemory_clients != 0 {
            self.update_client_mem_usage_and_bucket(cid);
        }
    }

    /// Keeps what is left of a client's own buffer.
    fn keep_pending_input(
        &mut self,
        cid: ClientId,
        mut parser: Box<Parser>,
        buf: Vec<u8>,
        rest: Rest,
    ) {
        // What was not consumed stays in the same allocation when nothing was.
        if let (Rest::From(0), Some(c)) = (&rest, self.clients.get_mut(cid)) {
            c.querybuf = buf;
            if parser.in_request() {
                c.parser = Some(parser);
            }
            return;
        }
        keep_rest(self, cid, &mut parser, &buf, rest);
    }

    /// What a transaction has queued counts as input that has not run yet, together with `more` bytes just read; a client
    /// past the limit is closed.
    fn is_queue_too_long(&mut self, cid: ClientId, more: usize) -> bool {
        let c = &self.clients[cid];
        let size = c.querybuf.len() + more + c.multi_argv_len_sums();
        if c.has(ClientFlags::MASTER) || size <= self.config.client_query_buffer_limit {
            return false;
        }
        self.close_client_of_long_query(cid);
        true
    }

    fn check_query_buffer_limit(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get(cid) else {
            return;
        };
        let size = c.querybuf.len() + c.big_arg.as_ref().map_or(0, |b| b.buf.len());
        let limit = self.config.client_query_buffer_limit;
        if (!c.has(ClientFlags::MASTER) && size > limit) || c.querybuf.len() > MAX_REQUEST {
            self.close_client_of_long_query(cid);
        }
    }

    #[cold]
    fn close_client_of_long_query(&mut self, cid: ClientId) {
        let query = &self.clients[cid].querybuf;
        let mut start = Vec::new();
        crate::base::split_args::sdscatrepr(&mut start, &query[..query.len().min(64)]);
        let info = self.client_log_string(cid);
        server_log!(
            Level::Warning,
            "Closing client that reached max query buffer length: {} (qbuf initial bytes: {})",
            info,
            log::user_data(&start)
        );
        self.stats.client_query_buffer_limit_disconnections += 1;
        self.free_client_async(cid);
    }

    /// A peer broke the protocol: it is told, and the connection ends (setProtocolError).
    fn set_protocol_error(&mut self, cid: ClientId, e: ProtocolError, request: &[u8]) {
        let text = e.text();
        if e == ProtocolError::MasterInline {
            server_log!(
                Level::Warning,
                "WARNING: Receiving inline protocol from master, master stream corruption? Closing the master connection \
                 and discarding the cached master."
            );
        } else {
            self.add_reply_error_bytes(cid, &[b"Protocol error: ", &text[..]].concat());
        }
        let is_master = self.is_master_client(cid);
        if enabled(Level::Verbose) || is_master {
            let mut dump = Vec::new();
            crate::base::split_args::sdscatrepr(&mut dump, &request[..request.len().min(128)]);
            let info = self.client_log_string(cid);
            server_log!(
                if is_master {
                    Level::Warning
                } else {
                    Level::Verbose
                },
                "Protocol error ({}) from client: {}. Query buffer during protocol error: {}",
                String::from_utf8_lossy(&text),
                info,
                log::user_data(&dump)
            );
        }
        // No command has failed by it.
        self.exec.call.forget_error_reply();
        let c = &mut self.clients[cid];
        c.flags |= ClientFlags::PROTOCOL_ERROR;
        c.querybuf = Vec::new();
        c.parser = None;
        self.close_after_reply(cid);
        if is_master {
            self.free_client_async(cid);
        }
    }

    // Writing -----------------------------------------------------------------------------------------------------------

    /// Writes what is queued, last first; what does not fit is left to a writable handler (handleClientsWithPendingWrites).
    pub(crate) fn handle_clients_with_pending_writes(&mut self) -> usize {
        let mut queue = std::mem::take(&mut self.clients.pending_write);
        let n = queue.len();
        // Who publishes has its reply behind all subscribers' messages, and a replica its stream behind the writer's reply.
        for cid in queue.drain(..).rev() {
            let Some(c) = self.clients.get_mut(cid) else {
                continue;
            };
            c.pending_write = false;
            if c.has(ClientFlags::CLOSE_ASAP | ClientFlags::PROTECTED) {
                continue;
            }
            if !self.write_to_client(cid) {
                continue;
            }
            if self.client_has_pending_replies(cid) {
                self.install_write_handler(cid);
            }
        }
        // Keep the allocation, unless a nested turn has queued more meanwhile.
        if self.clients.pending_write.is_empty() {
            self.clients.pending_write = queue;
        }
        n
    }

    /// Lets the event loop write to this client when its socket can take more.
    pub(crate) fn install_write_handler(&mut self, cid: ClientId) {
        let c = &mut self.clients[cid];
        if let Some(file) = c.file {
            c.writing = true;
            self.el
                .create_file_event(file, Mask::WRITABLE, send_reply_to_client, cid.to_data());
        }
    }

    /// Whether there is output for the client, its part of the replication log included (clientHasPendingReplies).
    pub(crate) fn client_has_pending_replies(&self, cid: ClientId) -> bool {
        let Some(c) = self.clients.get(cid) else {
            return false;
        };
        if !c.out.is_empty() || c.conn.as_ref().is_some_and(Connection::has_unsent) {
            return true;
        }
        match c.repl() {
            Some(r) if c.is_replica() && r.streams() => {
                r.log_spill.as_ref().is_some_and(|s| s.pending() > 0)
                    || r.reader.is_some_and(|r| self.repl.log.has_pending(r))
            }
            _ => false,
        }
    }

    /// Writes as much as the socket and fairness allow (writeToClient). False when the client was marked for closing.
    pub(crate) fn write_to_client(&mut self, cid: ClientId) -> bool {
        self.stats.total_writes_processed += 1;
        let Some(file) = self.clients.get(cid).and_then(|c| c.file) else {
            return true;
        };
        let mut total = 0;
        let mut blocked = false;
        if let Some(conn) = self.clients[cid].conn.as_ref()
            && conn.has_unsent()
        {
            match { conn }.flush() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return self.written(cid, 0, true, file);
                }
                // The write finds what has failed.
                _ => {}
            }
        }
        loop {
            let Some(c) = self.clients.get_mut(cid) else {
                return false;
            };
            let is_replica = c.is_replica();
            // A replica is never cut short for fairness: its lag is worth more than the others' latency.
            if total > NET_MAX_WRITES_PER_EVENT && !is_replica {
                break;
            }
            let Some(conn) = c.conn.as_ref() else {
                break;
            };
            let (asked, result) = if !c.out.is_empty() {
                // What went on behind the buffer would have filled a larger one.
                let spilled = !c.out.list.is_empty();
                let (asked, result) = write_output(conn, &c.out);
                if let Ok(n) = result
                    && let Some(buf) = c.out.advance(n)
                {
                    let used = if spilled { c.reply_size } else { buf.len() };
                    c.reply_peak = c.reply_peak.max(used);
                    self.clients.recycle(buf);
                }
                (asked, result)
            } else if let Some(spill) = c
                .replica
                .as_deref_mut()
                .filter(|r| is_replica && r.streams())
                .and_then(|r| r.log_spill.as_mut())
                .filter(|s| s.pending() > 0)
            {
                // Older than what its reader has.
                let result = spill.send(conn, SPILL_STEP);
                let full = result.as_ref().is_ok_and(|s| s.full);
                let n = result.map(|s| s.bytes);
                (n.as_ref().map_or(0, |n| n + usize::from(full)), n)
            } else {
                let reader = c
                    .repl()
                    .filter(|r| is_replica && r.streams())
                    .and_then(|r| r.reader);
                let Some((reader, bytes)) = reader
                    .and_then(|r| Some((r, self.repl.log.reader_slice(r)?)))
                    .filter(|(_, b)| !b.is_empty())
                else {
                    break;
                };
                let mut conn: &Connection = conn;
                let (asked, result) = (bytes.len(), conn.write(bytes));
                if let Ok(n) = result {
                    self.repl.log.advance(reader, n);
                }
                (asked, result)
            };
            match result {
                Ok(n) => {
                    total += n;
                    if n < asked {
                        blocked = true;
                        break;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    blocked = true;
                    break;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    server_log!(Level::Verbose, "Error writing to client: {}", e);
                    self.hung_up(cid);
                    return false;
                }
            }
        }
        self.written(cid, total, blocked, file)
    }

    /// The accounting after a write.
    fn written(&mut self, cid: ClientId, total: usize, blocked: bool, file: FileId) -> bool {
        let now = self.clock.unix_s;
        let Some(c) = self.clients.get_mut(cid) else {
            return false;
        };
        let unsent = c.conn.as_ref().is_some_and(Connection::has_unsent);
        if blocked || unsent {
            self.el.clear_ready(file, Mask::WRITABLE);
        }
        if c.is_replica() {
            self.stats.net_repl_output_bytes += total as u64;
        } else {
            self.stats.net_output_bytes += total as u64;
        }
        // The master link is kept alive by what it sends, not by what we send.
        if total > 0 && !c.has(ClientFlags::MASTER) {
            c.last_interaction = now;
        }
        if c.has(ClientFlags::CLOSE_AFTER_REPLY) && c.out.is_empty() && !unsent {
            self.free_client_async(cid);
            return false;
        }
        if self.config.maxmemory_clients != 0 {
            self.update_client_mem_usage_and_bucket(cid);
        }
        true
    }

    // Closing -----------------------------------------------------------------------------------------------------------

    /// Marks a client to be freed before the loop sleeps (freeClientAsync).
    pub(crate) fn free_client_async(&mut self, cid: ClientId) {
        if let Some(c) = self.clients.get_mut(cid) {
            c.flags |= ClientFlags::CLOSE_ASAP;
            if !c.pending_free {
                c.pending_free = true;
                self.clients.to_close.push(cid);
            }
            self.forget_client_memory(cid);
        }
    }

    /// The other side has closed the connection, or has gone: that it did so is told apart from what is closed here.
    #[cold]
    pub(crate) fn hung_up(&mut self, cid: ClientId) {
        if let Some(c) = self.clients.get_mut(cid)
            && !c.has(ClientFlags::CLOSE_ASAP)
            && let Some(r) = c.replica.as_deref_mut()
        {
            r.hung_up = true;
        }
        self.free_client_async(cid);
    }

    /// Frees the clients that are marked: the only place that does.
    pub(crate) fn free_clients_in_async_queue(&mut self) {
        // A client whose command has re-entered the loop lives until that command ends.
        let mut kept = Vec::new();
        while !self.clients.to_close.is_empty() {
            for cid in std::mem::take(&mut self.clients.to_close) {
                match self.clients.get(cid) {
                    Some(c) if c.has(ClientFlags::PROTECTED) => kept.push(cid),
                    _ => self.free_client(cid),
                }
            }
        }
        self.clients.to_close = kept;
    }

    fn free_client(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        let (flags, last_cmd) = (c.flags, c.last_cmd);
        if flags.intersects(ClientFlags::REPLY_ON_LINK) {
            let info = self.client_log_string(cid);
            server_log!(
                Level::Warning,
                "Replica generated a reply to command '{}', disconnecting it: {}",
                last_cmd.map_or("<unknown>", |id| self.commands.full_name(id)),
                info
            );
        }
        self.forget_client_memory(cid);
        if self.clients[cid].block.is_some() {
            self.unblock_client(cid);
        }
        self.unwatch_all_keys(cid);
        self.pubsub_unsubscribe_all(cid);
        if flags.intersects(ClientFlags::TRACKING) {
            self.disable_tracking(cid);
        }
        if flags.intersects(ClientFlags::MONITOR) {
            self.clients.monitors.retain(|m| *m != cid);
        }
        if flags.intersects(ClientFlags::SLAVE) && !flags.intersects(ClientFlags::MONITOR) {
            self.free_replica(cid);
        }
        if flags.intersects(ClientFlags::MASTER) {
            self.master_link_closed(cid);
        }
        if flags.intersects(ClientFlags::IMPORT) {
            self.slot_import_closed(cid);
        }
        let Some(mut c) = self.clients.remove(cid) else {
            return;
        };
        if c.conn.is_none() {
            self.exec.fake_clients = self.exec.fake_clients.saturating_sub(1);
        }
        if let Some(file) = c.file.take() {
            self.el.remove_file(file);
        }
        if let Some(conn) = &c.conn
            && !c.has(ClientFlags::HANDED_OVER)
        {
            conn.end();
            if self.has_forked_child() {
                // The child has the socket too: until it ends, our closing it would not be seen.
                let _ = conn.socket().shutdown(Shutdown::Both);
            }
        }
        let buf = std::mem::take(&mut c.out.buf);
        self.clients.recycle(buf);
    }

    /// Output and its bookkeeping, in bytes; a replica counts its part of the log too (getClientOutputBufferMemoryUsage).
    pub(crate) fn client_output_memory(&self, cid: ClientId) -> usize {
        let Some(c) = self.clients.get(cid) else {
            return 0;
        };
        let log = match c.repl() {
            Some(r) if c.is_replica() => r.reader.map_or(0, |r| self.repl.log.pending_memory(r)),
            _ => 0,
        };
        c.out.memory() + log
    }

    /// Whether the client may not do anything before it has authenticated (authRequired).
    pub(crate) fn auth_required(&self, cid: ClientId) -> bool {
        !self.acl.is_open() && self.clients.get(cid).is_some_and(|c| !c.authenticated)
    }

    /// Whether the client has passed its class's output limit, hard, or soft for too long (checkClientOutputBufferLimits), or
    /// lets output gather without having authenticated (CVE-2025-21605).
    pub(crate) fn check_client_output_buffer_limits(&mut self, cid: ClientId) -> bool {
        let used = self.client_output_memory(cid) as u64;
        let now = self.clock.unix_s;
        let class = match self.clients[cid].client_type() {
            // The link to our master is not limited.
            ClientType::Master => return false,
            _ if used > UNAUTHENTICATED_OUTPUT && self.auth_required(cid) => return true,
            t => t as usize,
        };
        let mut limit = self.config.client_output_buffer_limit[class];
        if class == ClientType::Slave as usize {
            // Less than the backlog makes no sense: it could not even hold what a partial resync needs.
            let backlog = self.config.repl_backlog_size;
            if limit.hard_limit_bytes > 0 {
                limit.hard_limit_bytes = limit.hard_limit_bytes.max(backlog);
            }
            if limit.soft_limit_bytes > 0 {
                limit.soft_limit_bytes = limit.soft_limit_bytes.max(backlog);
            }
        }
        let hard = limit.hard_limit_bytes > 0 && used >= limit.hard_limit_bytes;
        let mut soft = limit.soft_limit_bytes > 0 && used >= limit.soft_limit_bytes;
        let c = &mut self.clients[cid];
        if soft {
            if c.obuf_soft_limit_reached_time == 0 {
                c.obuf_soft_limit_reached_time = now;
                soft = false;
            } else if now - c.obuf_soft_limit_reached_time <= limit.soft_limit_seconds {
                soft = false;
            }
        } else {
            c.obuf_soft_limit_reached_time = 0;
        }
        soft || hard
    }

    /// Closes a client whose output is past its limit (closeClientOnOutputBufferLimitReached). True when it did.
    pub(crate) fn close_client_on_output_buffer_limit_reached(&mut self, cid: ClientId) -> bool {
        let Some(c) = self.clients.get(cid) else {
            return false;
        };
        let nothing = c.out.list.is_empty() && !c.is_replica();
        if c.conn.is_none() || nothing || c.has(ClientFlags::CLOSE_ASAP) {
            return false;
        }
        if !self.check_client_output_buffer_limits(cid) {
            return false;
        }
        let info = self.client_log_string(cid);
        self.free_client_async(cid);
        server_log!(
            Level::Warning,
            "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
            info
        );
        self.stats.client_output_buffer_limit_disconnections += 1;
        true
    }

    /// `ip:port`, or `path:0`, of the other end (getClientPeerId).
    pub(crate) fn client_peer(&self, cid: ClientId) -> String {
        let Some(c) = self.clients.get(cid) else {
            return "?:0".into();
        };
        match &c.conn {
            Some(_) if c.has(ClientFlags::UNIX_SOCKET) => self.unix_socket_name(),
            Some(s) => addresses_of(c, s)[0].to_string(),
            None => "?:0".into(),
        }
    }

    /// The same of our end (getClientSockname).
    pub(crate) fn client_sock(&self, cid: ClientId) -> String {
        let Some(c) = self.clients.get(cid) else {
            return "?:0".into();
        };
        match &c.conn {
            Some(_) if c.has(ClientFlags::UNIX_SOCKET) => self.unix_socket_name(),
            Some(s) => addresses_of(c, s)[1].to_string(),
            None => "?:0".into(),
        }
    }

    fn unix_socket_name(&self) -> String {
        let path = self.config.unixsocket.as_deref().unwrap_or_default();
        format!("{}:0", String::from_utf8_lossy(path))
    }
}

/// Both ends of a client's socket, as text. The system is asked once: a list of all clients would else be little but that.
fn addresses_of<'a>(c: &'a Client, s: &Connection) -> &'a [Box<str>; 2] {
    c.addresses.get_or_init(|| {
        let text = |a: io::Result<_>| address_text(a.ok()).into_boxed_str();
        Box::new([text(s.peer_addr()), text(s.local_addr())])
    })
}

/// Writes the front of a client's own output: how much there was to write, and what became of it.
fn write_output(mut conn: &Connection, out: &Output) -> (usize, io::Result<usize>) {
    let (slices, n) = out.slices::<16>();
    if n == 1 {
        return (slices[0].len(), conn.write(slices[0]));
    }
    let asked = slices[..n].iter().map(|s| s.len()).sum();
    (asked, conn.write_slices(&slices[..n]))
}

/// `ip:port`; IPv6 in brackets (anetFormatAddr).
pub(crate) fn address_text(a: Option<socket2::SockAddr>) -> String {
    match a.and_then(|a| a.as_socket()) {
        Some(std::net::SocketAddr::V6(a)) => match a.ip().to_ipv4_mapped() {
            Some(v4) => format!("{v4}:{}", a.port()),
            None => format!("[{}]:{}", a.ip(), a.port()),
        },
        Some(a) => a.to_string(),
        None => "?:0".into(),
    }
}

/// The socket of a client with pending output is writable (sendReplyToClient).
pub(crate) fn send_reply_to_client(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    let cid = ClientId::from_data(data);
    // This turn's commands have answered already, but nobody may hear of them before the file has them.
    if !server.aof.buf.is_empty() {
        server.flush_append_only_file(false);
    }
    if !server.write_to_client(cid) {
        return;
    }
    if !server.client_has_pending_replies(cid) {
        server.el.delete_file_event(file, Mask::WRITABLE);
        if let Some(c) = server.clients.get_mut(cid) {
            c.writing = false;
        }
    }
}
