//! What starts this process and waits for word of it: systemd, upstart, or who reads its pid file (redisIsSupervised of server.c).
//!
//! systemd is told by datagrams to the socket that NOTIFY_SOCKET names, as sd_notify does it; nothing is sent unless the
//! configuration asks for it.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;

use crate::base::log::Level;
use crate::base::sys::{self, strerror};
use crate::config::fields::Config;
use crate::config::value::Supervised;
use crate::server::Server;
use crate::server_log;

/// Where the pid is written: only for a daemon, or when a file is named.
pub(crate) fn pid_file_path(config: &Config) -> Option<PathBuf> {
    match &config.pidfile {
        Some(p) => Some(sys::path_of(p)),
        None if config.daemonize => Some("/var/run/redis.pid".into()),
        None => None,
    }
}

/// Finds out who supervises, and tells it that the start has begun. True: the process must stay in the foreground, and
/// `supervised` says by whom it is watched.
pub(crate) fn redis_is_supervised(config: &mut Config) -> bool {
    let mode = match config.supervised {
        Supervised::Auto if std::env::var_os("UPSTART_JOB").is_some() => {
            server_log!(Level::Verbose, "Upstart supervision detected.");
            Supervised::Upstart
        }
        Supervised::Auto if std::env::var_os("NOTIFY_SOCKET").is_some() => {
            server_log!(Level::Verbose, "Systemd supervision detected.");
            Supervised::Systemd
        }
        mode => mode,
    };
    let supervised = match mode {
        Supervised::Upstart => supervised_by_upstart(),
        Supervised::Systemd => supervised_by_systemd(),
        Supervised::No | Supervised::Auto => false,
    };
    if supervised {
        config.supervised = mode;
    }
    supervised
}

/// redisSupervisedUpstart: it waits for us to stop, and lets us go on.
fn supervised_by_upstart() -> bool {
    if std::env::var_os("UPSTART_JOB").is_none() {
        server_log!(
            Level::Warning,
            "upstart supervision requested, but UPSTART_JOB not found!"
        );
        return false;
    }
    server_log!(
        Level::Notice,
        "supervised by upstart, will stop to signal readiness."
    );
    let _ = sys::kill(std::process::id().cast_signed(), libc::SIGSTOP);
    true
}

/// redisSupervisedSystemd.
fn supervised_by_systemd() -> bool {
    if !communicate_systemd("STATUS=Redis is loading...\n") {
        return false;
    }
    server_log!(
        Level::Notice,
        "Supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and TimeoutStopSec in your \
         service unit."
    );
    true
}

/// Sends one message (redisCommunicateSystemd). False: the log says why not.
fn communicate_systemd(state: &str) -> bool {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        server_log!(
            Level::Warning,
            "systemd supervision error: NOTIFY_SOCKET not found!"
        );
        return false;
    };
    // A name that begins with '@' is in the abstract namespace.
    let sent =
        UnixDatagram::unbound().and_then(|socket| match path.as_bytes().strip_prefix(b"@") {
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                socket.send_to_addr(state.as_bytes(), &SocketAddr::from_abstract_name(name)?)
            }
            None => socket.send_to(state.as_bytes(), &path),
        });
    if let Err(e) = &sent {
        server_log!(
            Level::Warning,
            "systemd supervision error: sd_notify: {}",
            strerror(e)
        );
    }
    sent.is_ok()
}

impl Server {
    /// Tells systemd about our state, when it supervises us.
    pub(crate) fn notify_systemd(&self, state: &str) {
        if self.config.supervised == Supervised::Systemd {
            communicate_systemd(state);
        }
    }
}
