//! The listener and its connections: who comes, what is asked for, and how answers leave in pieces.
//!
//! ```text
//!   accepted ──(TLS handshake)──► reading a head ──► producing and sending ──► reading the next head, or closed
//!                                                        └── /events: one event a second, until either side ends it
//! ```
//!
//! Invariants: while an answer is under way nothing is read but the end of a stream's other side; one call of a handler holds
//! the loop for about [`PIECE_US`] and sends once; there are [`METRICS_CONNS_MAX`] connections at the most, and each must get on:
//! with its handshake and its request within [`REQUEST_MS`], with taking its answer within [`SEND_MS`], with another request within
//! [`IDLE_MS`].
//!
//! Must not know what is in an answer.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use slab::Slab;
use socket2::Socket;

use super::http::{
    HEAD_MAX, LAST_CHUNK, Length, Method, Request, Status, is_safe_host, parse_request, push_chunk,
    response_head,
};
use super::state::{Conn, FirstEvent, METRICS_CONNS_MAX, Metrics, MetricsListener, Work};
use crate::ae::{ClientData, FileId, Mask};
use crate::base::clock::monotonic_us;
use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::server::Server;
use crate::server::clients::connection::{Connection, ListenKind};
use crate::server_log;

/// Connections accepted in one call; over TLS one, whose handshake costs as much as hundreds of requests.
const ACCEPTS_PER_CALL: usize = 16;
/// Microseconds of the loop that one call may take.
const PIECE_US: u64 = 300;
/// Bytes that are produced before they are sent.
const PIECE_BYTES: usize = 32 * 1024;
/// Bytes that may wait for somebody who reads a stream more slowly than it comes.
const STREAM_BACKLOG: usize = 256 * 1024;
/// Reads of what nobody will look at, at the end of a connection.
const DRAINS: usize = 8;
/// Milliseconds for a handshake and a request's head; for the other side to take something; and without a request.
const REQUEST_MS: u64 = 10_000;
const SEND_MS: u64 = 20_000;
const IDLE_MS: u64 = 75_000;
/// Milliseconds between two looks of the cron.
const LOOK_MS: u64 = 900;

const TEXT: &str = "text/plain; charset=utf-8";

/// The word of an event: which connection.
fn data_of(key: usize) -> ClientData {
    key as ClientData
}

impl Metrics {
    fn conn(&mut self, key: ClientData, file: FileId) -> Option<&mut Conn> {
        let key = usize::try_from(key).ok()?;
        self.conns.get_mut(key).filter(|c| c.file == file)
    }
}

/// A socket for metrics is readable.
fn metrics_accept_handler(server: &mut Server, file: FileId, _: ClientData, _: Mask) {
    for _ in 0..ACCEPTS_PER_CALL {
        let Some(metrics) = &server.metrics else {
            return;
        };
        let Some(l) = metrics.listeners.iter().find(|l| l.file == Some(file)) else {
            return;
        };
        let kind = l.kind;
        match l.socket.accept() {
            Ok((socket, _)) => server.metrics_accept(socket, kind),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                return server.el.clear_ready(file, Mask::READABLE);
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                ) => {}
            Err(e) => {
                server.el.delete_file_event(file, Mask::READABLE);
                if let Some(metrics) = &mut server.metrics {
                    metrics.held = true;
                }
                server_log!(
                    Level::Warning,
                    "Accepting a connection for metrics: {}",
                    strerror(&e)
                );
                return;
            }
        }
        if kind == ListenKind::Tls {
            return;
        }
    }
}

/// A connection in its TLS handshake is ready.
fn metrics_handshake_handler(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    let Some(c) = server.metrics.as_mut().and_then(|m| m.conn(data, file)) else {
        return;
    };
    let Some(tls) = c.conn.tls() else {
        return;
    };
    match tls.handshake() {
        Ok(true) => {
            let (unread, unsent) = (c.conn.has_unread(), c.conn.has_unsent());
            server.el.delete_file_event(file, Mask::WRITABLE);
            server
                .el
                .create_file_event(file, Mask::READABLE, metrics_read_handler, data);
            if unread {
                server.el.mark_readable(file);
            }
            if unsent {
                server
                    .el
                    .create_file_event(file, Mask::WRITABLE, metrics_write_handler, data);
            }
        }
        Ok(false) => {
            let unsent = tls.has_unsent();
            server.await_tls_handshake(file, unsent, metrics_handshake_handler, data);
        }
        Err(e) => {
            server_log!(Level::Verbose, "TLS handshake for metrics: {}", e);
            server.metrics_drop(data);
        }
    }
}

/// A connection is readable.
fn metrics_read_handler(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    let now = server.el.now_ms();
    let Some(c) = server.metrics.as_mut().and_then(|m| m.conn(data, file)) else {
        return;
    };
    let mut buf = [0; HEAD_MAX];
    match { &c.conn }.read(&mut buf) {
        Ok(0) => return server.metrics_drop(data),
        Ok(n) => {
            if n < buf.len() && !c.conn.has_unread() {
                server.el.clear_ready(file, Mask::READABLE);
            }
            // Who reads a stream has nothing to say.
            if !matches!(c.work, Work::None) {
                return;
            }
            c.input.extend_from_slice(&buf[..n]);
            c.request_since.get_or_insert(now);
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            return server.el.clear_ready(file, Mask::READABLE);
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => return,
        Err(_) => return server.metrics_drop(data),
    }
    server.metrics_next_request(data, file);
}

/// A connection takes bytes.
fn metrics_write_handler(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    let now = server.el.now_ms();
    let begun = monotonic_us();
    loop {
        let Some(c) = server.metrics.as_mut().and_then(|m| m.conn(data, file)) else {
            return;
        };
        if matches!(c.work, Work::None | Work::Events)
            || c.out.len() - c.out_at >= PIECE_BYTES
            || monotonic_us().saturating_sub(begun) >= PIECE_US
        {
            break;
        }
        server.metrics_produce(data);
    }
    let Some(c) = server.metrics.as_mut().and_then(|m| m.conn(data, file)) else {
        return;
    };
    let left = &c.out[c.out_at..];
    let sent = match left.is_empty() {
        true => { &c.conn }.flush().map(|()| 0),
        false => { &c.conn }.write(left),
    };
    match sent {
        Ok(n) => {
            if n > 0 {
                c.progress = now;
            }
            c.out_at += n;
            server.stats.net_output_bytes += n as u64;
        }
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            return server.el.clear_ready(file, Mask::WRITABLE);
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => return,
        Err(_) => return server.metrics_drop(data),
    }
    if c.out_at < c.out.len() || c.conn.has_unsent() {
        return server.el.clear_ready(file, Mask::WRITABLE);
    }
    c.out.clear();
    c.out_at = 0;
    match c.work {
        Work::None => server.metrics_answered(data, file),
        // The next event comes with the next second.
        Work::Events => server.el.delete_file_event(file, Mask::WRITABLE),
        _ => {}
    }
}

impl Server {
    // The listener ----------------------------------------------------------------------------------------------------

    /// Opens what the configuration asks for; says why not in the log.
    pub(crate) fn metrics_open_at_start(&mut self) -> bool {
        match self.metrics_apply_config() {
            Ok(()) => true,
            Err(text) => {
                server_log!(Level::Warning, "{}", text);
                false
            }
        }
    }

    /// Follows the directives: what listened is closed, and what is to listen is opened. Connections stay where they may.
    ///
    /// # Errors
    /// The text for whoever asked; nothing listens then.
    pub(crate) fn metrics_apply_config(&mut self) -> Result<(), String> {
        self.metrics_close_listeners(true);
        if self.config.metrics_port == 0 && self.config.metrics_unixsocket.is_none() {
            self.metrics_close(true);
            return Ok(());
        }
        let mut listeners = Vec::new();
        let mut add = |socket, kind, address| {
            listeners.push(MetricsListener {
                socket,
                kind,
                address,
                file: None,
            });
        };
        let port = self.config.metrics_port;
        if port != 0 {
            let kind = match self.config.metrics_tls {
                true if self.tls.server.is_none() => {
                    return Err("metrics-tls needs tls-cert-file and tls-key-file.".into());
                }
                true => ListenKind::Tls,
                false => ListenKind::Tcp,
            };
            let sockets = self.listen_to_port(port, &self.config.metrics_bind);
            let sockets = sockets.map_err(|_| {
                format!("Unable to listen on metrics-port {port}. Check server logs.")
            })?;
            for socket in sockets {
                add(socket, kind, port.to_string().into_bytes());
            }
        }
        if let Some(path) = &self.config.metrics_unixsocket {
            let socket = self
                .listen_unix(path)
                .map_err(|e| format!("Failed opening metrics-unixsocket: {}", strerror(&e)))?;
            add(socket, ListenKind::Unix, path.clone());
        }
        for l in &mut listeners {
            let file = self
                .el
                .add_file(l.socket.as_raw_fd())
                .map_err(|e| strerror(&e))?;
            l.file = Some(file);
            self.el
                .create_file_event(file, Mask::READABLE, metrics_accept_handler, 0);
        }
        for l in &listeners {
            server_log!(
                Level::Notice,
                "Metrics: listening on {} {}",
                l.kind.name(),
                String::from_utf8_lossy(&l.address)
            );
        }
        match &mut self.metrics {
            Some(metrics) => metrics.listeners = listeners,
            None => {
                // Descriptors for its connections.
                self.adjust_open_files_limit();
                self.metrics = Some(Box::new(Metrics {
                    listeners,
                    conns: Slab::new(),
                    history: Default::default(),
                    loop_duration: Default::default(),
                    scrapes: 0,
                    last_scrape_us: 0,
                    held: false,
                    looked: 0,
                    syncs: VecDeque::new(),
                    seen: Vec::new(),
                    page: None,
                }));
            }
        }
        Ok(())
    }

    fn metrics_close_listeners(&mut self, unlink: bool) {
        use std::os::unix::ffi::OsStrExt;
        let Some(metrics) = &mut self.metrics else {
            return;
        };
        for l in std::mem::take(&mut metrics.listeners) {
            if let Some(file) = l.file {
                self.el.remove_file(file);
            }
            if unlink && l.kind == ListenKind::Unix {
                let _ = std::fs::remove_file(std::ffi::OsStr::from_bytes(&l.address));
            }
        }
    }

    /// Closes the listener and all connections.
    pub(crate) fn metrics_close(&mut self, unlink_unix_socket: bool) {
        self.metrics_close_listeners(unlink_unix_socket);
        let Some(metrics) = self.metrics.take() else {
            return;
        };
        for (_, c) in metrics.conns {
            self.el.remove_file(c.file);
            c.conn.end();
        }
    }

    fn metrics_accept(&mut self, socket: Socket, kind: ListenKind) {
        let Some(metrics) = &mut self.metrics else {
            return;
        };
        if socket.set_nonblocking(true).is_err() {
            return;
        }
        if metrics.conns.len() as u64 >= METRICS_CONNS_MAX {
            if kind != ListenKind::Tls {
                let head = response_head(Status::Unavailable, TEXT, Length::Bytes(0), false, "");
                // A best effort: the socket's buffer is empty, so this fits or the peer is gone.
                let _ = { &socket }.write(&head);
            }
            return;
        }
        let is_local = match kind {
            ListenKind::Unix => true,
            _ => socket
                .peer_addr()
                .ok()
                .and_then(|a| a.as_socket())
                .is_some_and(|a| a.ip().to_canonical().is_loopback()),
        };
        if kind != ListenKind::Unix {
            let _ = socket.set_tcp_nodelay(true);
        }
        let conn = match kind {
            ListenKind::Tls => match self.tls.accepted(socket, &self.tls.server) {
                Ok(conn) => conn,
                Err(e) => {
                    server_log!(Level::Verbose, "TLS handshake for metrics: {}", e);
                    return;
                }
            },
            _ => Connection::Plain(socket),
        };
        let Ok(file) = self.el.add_file(conn.as_raw_fd()) else {
            return;
        };
        let now = self.el.now_ms();
        let key = metrics.conns.insert(Conn {
            conn,
            file,
            is_local,
            input: Vec::new(),
            out: Vec::new(),
            out_at: 0,
            work: Work::None,
            keep_alive: true,
            progress: now,
            request_since: Some(now),
        });
        let handler = match kind {
            ListenKind::Tls => metrics_handshake_handler,
            _ => metrics_read_handler,
        };
        self.el
            .create_file_event(file, Mask::READABLE, handler, data_of(key));
    }

    /// Takes a connection out and closes it.
    fn metrics_drop(&mut self, key: ClientData) {
        let Some(metrics) = &mut self.metrics else {
            return;
        };
        let Some(c) = usize::try_from(key)
            .ok()
            .and_then(|k| metrics.conns.try_remove(k))
        else {
            return;
        };
        self.el.remove_file(c.file);
        c.conn.end();
    }

    // Requests --------------------------------------------------------------------------------------------------------

    /// Serves the request at the front of what has come, if it is whole.
    fn metrics_next_request(&mut self, key: ClientData, file: FileId) {
        let now = self.el.now_ms();
        let Some(c) = self.metrics.as_mut().and_then(|m| m.conn(key, file)) else {
            return;
        };
        match parse_request(&c.input) {
            Ok(None) => return,
            Ok(Some((request, used))) => {
                c.input.drain(..used);
                c.keep_alive = request.keep_alive;
                self.metrics_answer(key, &request);
            }
            Err(refused) => {
                c.input.clear();
                c.keep_alive = false;
                self.metrics_answer_text(key, refused.status(), "", true, "");
            }
        }
        let Some(c) = self.metrics.as_mut().and_then(|m| m.conn(key, file)) else {
            return;
        };
        c.request_since = None;
        c.progress = now;
        // Who reads a stream may leave at any time; others may ask for more once they have what they asked for.
        if !matches!(c.work, Work::FirstEvent(_)) {
            self.el.delete_file_event(file, Mask::READABLE);
        }
        self.el
            .create_file_event(file, Mask::WRITABLE, metrics_write_handler, key);
    }

    /// The answer has left.
    fn metrics_answered(&mut self, key: ClientData, file: FileId) {
        let now = self.el.now_ms();
        let Some(c) = self.metrics.as_mut().and_then(|m| m.conn(key, file)) else {
            return;
        };
        if !c.keep_alive {
            // What has come and was not read would make the end of the connection an error, and the answer might be lost.
            let mut rest = [0; HEAD_MAX];
            for _ in 0..DRAINS {
                if !matches!((&c.conn).read(&mut rest), Ok(1..)) {
                    break;
                }
            }
            return self.metrics_drop(key);
        }
        c.progress = now;
        let (more, unread) = (!c.input.is_empty(), c.conn.has_unread());
        self.el.delete_file_event(file, Mask::WRITABLE);
        self.el
            .create_file_event(file, Mask::READABLE, metrics_read_handler, key);
        if unread {
            self.el.mark_readable(file);
        }
        if more {
            c.request_since = Some(now);
            self.metrics_next_request(key, file);
        }
    }

    fn metrics_conn(&mut self, key: ClientData) -> Option<&mut Conn> {
        let key = usize::try_from(key).ok()?;
        self.metrics.as_mut()?.conns.get_mut(key)
    }

    /// An answer that is a line of text.
    fn metrics_answer_text(
        &mut self,
        key: ClientData,
        status: Status,
        more: &str,
        with_body: bool,
        text: &str,
    ) {
        let Some(c) = self.metrics_conn(key) else {
            return;
        };
        let text = match text {
            "" => format!("{}\n", status.line()),
            text => format!("{text}\n"),
        };
        let length = Length::Bytes(text.len());
        c.out
            .extend_from_slice(&response_head(status, TEXT, length, c.keep_alive, more));
        if with_body {
            c.out.extend_from_slice(text.as_bytes());
        }
    }

    /// Whether this request may be answered; if not, it is.
    fn metrics_may_read(&mut self, key: ClientData, request: &Request) -> bool {
        let Some(c) = self.metrics_conn(key) else {
            return false;
        };
        let (is_local, with_body) = (c.is_local, request.method != Method::Head);
        let Some(user) = self.config.metrics_user.clone() else {
            if is_local && is_safe_host(request.host.as_deref()) {
                return true;
            }
            let text = match is_local {
                true => "403 Forbidden: the name in Host is none of this host's addresses",
                false => "403 Forbidden: no metrics-user is set, so only this host may read",
            };
            self.metrics_answer_text(key, Status::Forbidden, "", with_body, text);
            return false;
        };
        if let Some((name, password)) = &request.credentials {
            if *name == user && self.acl_check_user_credentials(name, password).is_some() {
                return true;
            }
            let peer = self
                .metrics_conn(key)
                .and_then(|c| c.conn.peer_addr().ok())
                .and_then(|a| a.as_socket())
                .map_or("unix".into(), |a| a.to_string());
            self.acl_note_failed_login(name, b"HTTP", &peer);
            // Trying again costs another connection.
            if let Some(c) = self.metrics_conn(key) {
                c.keep_alive = false;
            }
        }
        let ask = "WWW-Authenticate: Basic realm=\"aedile\", charset=\"UTF-8\"\r\n";
        self.metrics_answer_text(key, Status::Unauthorized, ask, with_body, "");
        false
    }

    fn metrics_answer(&mut self, key: ClientData, request: &Request) {
        let with_body = request.method != Method::Head;
        if request.method == Method::Other {
            let more = "Allow: GET, HEAD\r\n";
            return self.metrics_answer_text(key, Status::MethodNotAllowed, more, true, "");
        }
        if !self.metrics_may_read(key, request) {
            return;
        }
        match request.path.as_str() {
            "/" => {
                let page = self.metrics_page();
                let Some(c) = self.metrics_conn(key) else {
                    return;
                };
                let length = Length::Bytes(page.html.len());
                let content = "text/html; charset=utf-8";
                let head = response_head(Status::Ok, content, length, c.keep_alive, &page.policy);
                c.out.extend_from_slice(&head);
                if with_body {
                    c.work = Work::Body(page.html, 0);
                }
            }
            "/metrics" => {
                let scrape = self.metrics_begin_scrape(&request.accept, request.chunks);
                let Some(c) = self.metrics_conn(key) else {
                    return;
                };
                // Without chunks only the connection's end says that the answer is whole.
                c.keep_alive &= request.chunks;
                let length = match request.chunks {
                    true => Length::Chunks,
                    false => Length::Unknown,
                };
                let content = scrape.exposition.form().content_type();
                let more = "Vary: Accept\r\n";
                let head = response_head(Status::Ok, content, length, c.keep_alive, more);
                c.out.extend_from_slice(&head);
                if with_body {
                    c.work = Work::Scrape(scrape);
                }
            }
            "/state" => {
                let body: Rc<[u8]> = self.metrics_state_json().into_bytes().into();
                let Some(c) = self.metrics_conn(key) else {
                    return;
                };
                let (length, content) = (Length::Bytes(body.len()), "application/json");
                let head = response_head(Status::Ok, content, length, c.keep_alive, "");
                c.out.extend_from_slice(&head);
                if with_body {
                    c.work = Work::Body(body, 0);
                }
            }
            "/events" => {
                let Some(c) = self.metrics_conn(key) else {
                    return;
                };
                c.keep_alive = false;
                let content = "text/event-stream";
                let head = response_head(Status::Ok, content, Length::Unknown, false, "");
                c.out.extend_from_slice(&head);
                if with_body {
                    c.work = Work::FirstEvent(FirstEvent::default());
                }
            }
            "/healthz" => self.metrics_answer_text(key, Status::Ok, "", with_body, "ok"),
            "/readyz" => match self.metrics_not_ready() {
                None => self.metrics_answer_text(key, Status::Ok, "", with_body, "ready"),
                Some(why) => {
                    let text = format!("not ready: {why}");
                    self.metrics_answer_text(key, Status::Unavailable, "", with_body, &text);
                }
            },
            _ => self.metrics_answer_text(key, Status::NotFound, "", with_body, ""),
        }
    }

    /// Why this server is not ready to be asked; none: it is.
    fn metrics_not_ready(&self) -> Option<String> {
        if self.loading.as_ref().is_some_and(|l| !l.is_async) {
            return Some("the data set is being loaded".into());
        }
        self.repl.master_host.as_ref()?;
        let link = &self.repl.link;
        let Some(master) = link.client().and_then(|m| self.clients.get(m)) else {
            return Some(format!("the link to the master is {}", link.name()));
        };
        let silent = self.clock.unix_s - master.last_interaction;
        let most = i64::from(self.config.ready_max_lag);
        (most > 0 && silent > most)
            .then(|| format!("the master was last heard of {silent} seconds ago"))
    }

    // Answers ---------------------------------------------------------------------------------------------------------

    /// Produces a piece of what is asked for.
    fn metrics_produce(&mut self, key: ClientData) {
        let Some(c) = self.metrics_conn(key) else {
            return;
        };
        let mut work = std::mem::replace(&mut c.work, Work::None);
        let mut piece = Vec::new();
        let mut over = false;
        match &mut work {
            Work::None | Work::Events => {}
            Work::Body(bytes, at) => {
                let end = (*at + PIECE_BYTES).min(bytes.len());
                piece.extend_from_slice(&bytes[*at..end]);
                *at = end;
                over = end == bytes.len();
            }
            Work::Scrape(scrape) => {
                over = self.metrics_scrape_step(scrape);
                if over || scrape.exposition.len() >= PIECE_BYTES / 4 {
                    let bytes = scrape.exposition.take();
                    match scrape.chunked {
                        true => push_chunk(&mut piece, &bytes),
                        false => piece = bytes,
                    }
                }
                if over && scrape.chunked {
                    piece.extend_from_slice(LAST_CHUNK);
                }
            }
            Work::FirstEvent(event) => {
                over = self.metrics_first_event(event, &mut piece);
            }
        }
        if over {
            work = match work {
                Work::FirstEvent(_) => Work::Events,
                _ => Work::None,
            };
        }
        if let Some(c) = self.metrics_conn(key) {
            c.out.extend_from_slice(&piece);
            c.work = work;
        }
    }

    // Each second -----------------------------------------------------------------------------------------------------

    /// What is due each second: a look for the charts, an event for each stream, and connections that do not get on.
    pub(crate) fn metrics_cron(&mut self) {
        let now = self.el.now_ms();
        let Some(metrics) = &mut self.metrics else {
            return;
        };
        if now.saturating_sub(metrics.looked) < LOOK_MS && metrics.looked > 0 {
            return;
        }
        metrics.looked = now;
        if std::mem::take(&mut metrics.held) {
            for l in &metrics.listeners {
                if let Some(file) = l.file {
                    self.el
                        .create_file_event(file, Mask::READABLE, metrics_accept_handler, 0);
                }
            }
        }
        let late: Vec<ClientData> = metrics
            .conns
            .iter()
            .filter(|(_, c)| is_late(c, now))
            .map(|(key, _)| data_of(key))
            .collect();
        for key in late {
            self.metrics_drop(key);
        }
        self.metrics_look();
        self.metrics_send_events();
    }

    /// Gives each stream the state of this second.
    fn metrics_send_events(&mut self) {
        let Some(metrics) = &self.metrics else {
            return;
        };
        let is_stream = |c: &Conn| matches!(c.work, Work::Events);
        if !metrics.conns.iter().any(|(_, c)| is_stream(c)) {
            return;
        }
        let event = format!("event: state\ndata: {}\n\n", self.metrics_state_json());
        let Some(metrics) = &mut self.metrics else {
            return;
        };
        let now = self.el.now_ms();
        for (key, c) in &mut metrics.conns {
            // Who is behind gets the next one it has room for: each says all.
            if !is_stream(c) || c.out.len() - c.out_at > STREAM_BACKLOG {
                continue;
            }
            if c.out.is_empty() {
                c.progress = now;
            }
            c.out.drain(..c.out_at);
            c.out_at = 0;
            c.out.extend_from_slice(event.as_bytes());
            self.el
                .create_file_event(c.file, Mask::WRITABLE, metrics_write_handler, data_of(key));
        }
    }
}

/// Whether a connection has taken too long.
fn is_late(c: &Conn, now: u64) -> bool {
    let since = |t: u64| now.saturating_sub(t);
    if let Some(begun) = c.request_since {
        return since(begun) > REQUEST_MS;
    }
    if !c.out.is_empty() || !matches!(c.work, Work::None | Work::Events) {
        return since(c.progress) > SEND_MS;
    }
    matches!(c.work, Work::None) && since(c.progress) > IDLE_MS
}
