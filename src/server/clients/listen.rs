//! Listening sockets (initListeners, listenToPort of server.c; anetTcpServer of anet.c).
//!
//! A set of sockets is opened whole or not at all: CONFIG SET port or bind opens the new set before the old one is closed,
//! so that a failure leaves the server listening where it was.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::ae::{FileId, Mask};
use crate::base::log::Level;
use crate::server::Server;
use crate::server::clients::connection::ListenKind;
use crate::server::clients::networking::accept_handler;
use crate::server_log;

/// One listening socket.
pub(crate) struct Listener {
    pub socket: Socket,
    pub kind: ListenKind,
    file: Option<FileId>,
}

/// All listening sockets; the number of one is what its event carries.
#[derive(Default)]
pub(crate) struct Listeners {
    list: Vec<Listener>,
    /// Added to the index in an event's data, so that events of a closed set are not taken for the new one's.
    epoch: u64,
    /// Accepting has failed: some sockets have no handler until the cron gives them one again.
    pub held: bool,
}

impl Listeners {
    /// The listener an event names, unless its set has been replaced.
    pub(crate) fn get(&self, data: u64) -> Option<&Listener> {
        if data >> 32 != self.epoch {
            return None;
        }
        self.list.get((data & 0xffff_ffff) as usize)
    }

    pub(crate) fn has(&self, kind: ListenKind) -> bool {
        self.list.iter().any(|l| l.kind == kind)
    }

    /// The port that the first listener of a kind has.
    fn port_of(&self, kind: ListenKind) -> Option<u16> {
        let l = self.list.iter().find(|l| l.kind == kind)?;
        l.socket.local_addr().ok()?.as_socket().map(|a| a.port())
    }
}

/// Why the server cannot listen.
#[derive(Debug)]
pub(crate) struct ListenError;

fn listen_tcp(ip: IpAddr, port: u16, backlog: i32) -> io::Result<Socket> {
    let addr = SocketAddr::new(ip, port);
    let domain = Domain::for_address(addr);
    let s = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if ip.is_ipv6() {
        s.set_only_v6(true)?;
    }
    s.set_reuse_address(true)?;
    s.bind(&addr.into())?;
    s.listen(backlog)?;
    s.set_nonblocking(true)?;
    Ok(s)
}

/// Whether the server does without an address that it could not have: an optional one (with a leading `-`) that this host
/// does not have, or any of a family that it does not know.
fn is_excused(e: &io::Error, optional: bool) -> bool {
    if optional && e.raw_os_error() == Some(libc::EADDRNOTAVAIL) {
        return true;
    }
    matches!(
        e.raw_os_error(),
        Some(
            libc::EAFNOSUPPORT
                | libc::EPFNOSUPPORT
                | libc::EPROTONOSUPPORT
                | libc::ESOCKTNOSUPPORT
                | libc::ENOPROTOOPT
        )
    )
}

impl Server {
    /// Opens the TCP sockets that a port and addresses ask for (listenToPort).
    pub(crate) fn listen_to_port(
        &self,
        port: u16,
        addresses: &[Vec<u8>],
    ) -> Result<Vec<Socket>, ListenError> {
        let mut sockets = Vec::new();
        for addr in addresses {
            let (optional, text) = match addr.strip_prefix(b"-") {
                Some(rest) => (true, rest),
                None => (false, addr.as_slice()),
            };
            let name = String::from_utf8_lossy(text);
            let host = match &*name {
                "*" => "0.0.0.0",
                "::*" => "::",
                other => other,
            };
            let result = match host.parse::<IpAddr>() {
                Ok(ip) => Ok(ip),
                Err(_) => (host, port)
                    .to_socket_addrs()
                    .and_then(|mut a| a.next().ok_or(io::ErrorKind::NotFound.into()))
                    .map(|a| a.ip()),
            };
            match result.and_then(|ip| listen_tcp(ip, port, self.config.tcp_backlog)) {
                Ok(s) => sockets.push(s),
                Err(e) => {
                    server_log!(
                        Level::Warning,
                        "Warning: Could not create server TCP listening socket {}:{}: bind: {}",
                        name,
                        port,
                        crate::base::sys::strerror(&e)
                    );
                    if !is_excused(&e, optional) {
                        return Err(ListenError);
                    }
                }
            }
        }
        Ok(sockets)
    }

    /// Opens a Unix socket, in the place of whatever has its name.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn listen_unix(&self, path: &[u8]) -> io::Result<Socket> {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::PermissionsExt;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
        // A socket that a former run left behind.
        let _ = std::fs::remove_file(path);
        let s = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        s.bind(&SockAddr::unix(path)?)?;
        if self.config.unixsocketperm != 0 {
            let mode = std::fs::Permissions::from_mode(self.config.unixsocketperm);
            std::fs::set_permissions(path, mode)?;
        }
        s.listen(self.config.tcp_backlog)?;
        s.set_nonblocking(true)?;
        Ok(s)
    }

    /// Opens what the configuration asks for, at start-up; says why not in the log.
    pub(crate) fn init_listeners(&mut self) -> Result<(), ListenError> {
        let mut list = Vec::new();
        for kind in [ListenKind::Tcp, ListenKind::Tls] {
            let port = self.port_for(kind);
            if port == 0 {
                continue;
            }
            let Ok(sockets) = self.listen_to_port(port, &self.config.bind) else {
                server_log!(
                    Level::Warning,
                    "Failed listening on port {} ({}), aborting.",
                    port,
                    kind.name()
                );
                return Err(ListenError);
            };
            list.extend(sockets.into_iter().map(|socket| Listener {
                socket,
                kind,
                file: None,
            }));
        }
        if let Some(path) = self.config.unixsocket.clone() {
            match self.listen_unix(&path) {
                Ok(socket) => list.push(Listener {
                    socket,
                    kind: ListenKind::Unix,
                    file: None,
                }),
                Err(e) => {
                    server_log!(
                        Level::Warning,
                        "Failed opening Unix socket: bind: {}",
                        crate::base::sys::strerror(&e)
                    );
                    return Err(ListenError);
                }
            }
        }
        if list.is_empty() {
            server_log!(
                Level::Warning,
                "Configured to not listen anywhere, exiting."
            );
            return Err(ListenError);
        }
        self.replace_listeners(list)
    }

    /// Accepts again, after a time in which it could not.
    pub(crate) fn resume_accepting(&mut self) {
        self.listeners.held = false;
        for (i, l) in self.listeners.list.iter().enumerate() {
            if let Some(file) = l.file {
                let data = self.listeners.epoch << 32 | i as u64;
                self.el
                    .create_file_event(file, Mask::READABLE, accept_handler, data);
            }
        }
    }

    /// Takes over a set of open sockets and closes the old one.
    fn replace_listeners(&mut self, mut list: Vec<Listener>) -> Result<(), ListenError> {
        let epoch = self.listeners.epoch + 1;
        for (i, l) in list.iter_mut().enumerate() {
            match self.el.add_file(l.socket.as_raw_fd()) {
                Ok(file) => {
                    l.file = Some(file);
                    let data = epoch << 32 | i as u64;
                    self.el
                        .create_file_event(file, Mask::READABLE, accept_handler, data);
                }
                Err(e) => {
                    server_log!(Level::Warning, "Registering a listening socket: {}", e);
                    for file in list.iter_mut().filter_map(|l| l.file.take()) {
                        self.el.remove_file(file);
                    }
                    return Err(ListenError);
                }
            }
        }
        let old = std::mem::replace(
            &mut self.listeners,
            Listeners {
                list,
                epoch,
                held: false,
            },
        );
        for l in old.list {
            if let Some(file) = l.file {
                self.el.remove_file(file);
            }
        }
        Ok(())
    }

    /// The port that the configuration has for a kind; 0: none.
    fn port_for(&self, kind: ListenKind) -> u16 {
        match kind {
            ListenKind::Tcp => self.config.port,
            ListenKind::Tls => self.config.tls_port,
            ListenKind::Unix => 0,
        }
    }

    /// Follows a change of `port`, `tls-port` or `bind` (changeListener, changeBindAddr). A new port is opened beside the old
    /// one, so on an error the old sockets stay. Other addresses of the same port may overlap with the old ones: those are
    /// closed first, and a failure leaves none until the caller has put the old values back and calls again.
    pub(crate) fn change_listeners(&mut self, kinds: &[ListenKind]) -> Result<(), ListenError> {
        let mut result = Ok(());
        let mut list = Vec::new();
        for &kind in kinds {
            let port = self.port_for(kind);
            let moved = self.listeners.port_of(kind) != Some(port);
            let old = self.take_listeners(kind);
            let kept = if moved {
                old
            } else {
                // Now, not at the end of this function: their addresses are needed.
                drop(old);
                Vec::new()
            };
            let opened = if port == 0 {
                Ok(Vec::new())
            } else {
                self.listen_to_port(port, &self.config.bind)
            };
            match opened {
                Ok(sockets) => list.extend(sockets.into_iter().map(|socket| Listener {
                    socket,
                    kind,
                    file: None,
                })),
                Err(e) => {
                    list.extend(kept);
                    result = Err(e);
                }
            }
        }
        for l in std::mem::take(&mut self.listeners.list) {
            if let Some(file) = l.file {
                self.el.remove_file(file);
            }
            list.push(Listener { file: None, ..l });
        }
        self.replace_listeners(list)?;
        self.set_proc_title(None);
        result
    }

    /// Takes the listeners of a kind out; their sockets stay bound while the caller keeps them.
    fn take_listeners(&mut self, kind: ListenKind) -> Vec<Listener> {
        let all = std::mem::take(&mut self.listeners.list);
        let (taken, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|l| l.kind == kind);
        self.listeners.list = others;
        self.listeners.epoch += 1;
        // Their events carry an old epoch now; the others are registered anew by the caller.
        taken
            .into_iter()
            .map(|mut l| {
                if let Some(file) = l.file.take() {
                    self.el.remove_file(file);
                }
                l
            })
            .collect()
    }

    /// Closes all listening sockets and removes the Unix socket's file (closeListeningSockets).
    pub(crate) fn close_listening_sockets(&mut self, unlink_unix_socket: bool) {
        use std::os::unix::ffi::OsStrExt;
        for l in std::mem::take(&mut self.listeners.list) {
            if let Some(file) = l.file {
                self.el.remove_file(file);
            }
        }
        if self.metrics.is_some() {
            self.metrics_close(unlink_unix_socket);
        }
        self.cluster_close_listeners();
        if let (true, Some(path)) = (unlink_unix_socket, &self.config.unixsocket) {
            server_log!(Level::Notice, "Removing the unix socket file.");
            let _ = std::fs::remove_file(std::path::Path::new(std::ffi::OsStr::from_bytes(path)));
        }
    }

    /// In a forked child: the sockets are the parent's, whose successor needs their addresses. They are closed here only, not
    /// deregistered: the event queue is the parent's too (closeChildUnusedResourceAfterFork).
    pub(crate) fn close_inherited_listening_sockets(&mut self) {
        drop(std::mem::take(&mut self.listeners.list));
        self.metrics = None;
        self.cluster_close_inherited();
    }

    /// "Ready to accept ..." for each kind of listener.
    pub(crate) fn log_ready(&self) {
        for kind in [ListenKind::Tcp, ListenKind::Unix, ListenKind::Tls] {
            if self.listeners.has(kind) {
                server_log!(Level::Notice, "Ready to accept connections {}", kind.name());
            }
        }
    }
}
