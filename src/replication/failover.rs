//! FAILOVER: a master hands its role over to one of its replicas, without losing a write (failoverCommand and the functions
//! around it).
//!
//! ```text
//!   None ──FAILOVER──► WaitForSync ── a replica has acknowledged all there is, ──► InProgress
//!                          │          or the time is up and FORCE was given           │
//!                          │                                                          │ the target took over:
//!    ◄── ABORT, or the ────┘                                                          │ +CONTINUE or +FULLRESYNC
//!        time is up                          ◄── ABORT, or the target refused ────────┴──► None, as its replica
//! ```
//!
//! Invariants:
//! - from the command to the end of the attempt writes are paused, so that the offset a replica has to reach stands still;
//! - in progress this server is already a replica: at no time are there two masters. An attempt that fails then makes it a
//!   master again, with a new history that its replicas can continue;
//! - `target` is known in progress; before, only if the caller named it.
//!
//! The target's side is one branch of PSYNC: [`Server::accept_failover`].

use crate::base::log::Level;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::execution::blocked::{PauseActions, PausePurpose};
use crate::server::repl::{Failover, FailoverState};
use crate::server::replica::ReplState;
use crate::server_log;

/// What FAILOVER was asked to do.
pub(crate) struct FailoverRequest {
    pub target: Option<(String, i64)>,
    /// Milliseconds; 0: wait for ever.
    pub timeout: i64,
    pub force: bool,
}

impl Server {
    /// Starts to fail over.
    ///
    /// # Errors
    /// The text for the client.
    pub(crate) fn start_failover(&mut self, request: FailoverRequest) -> Result<(), &'static str> {
        if self.repl.failover.state != FailoverState::None {
            return Err("FAILOVER already in progress.");
        }
        if self.repl.master_host.is_some() {
            return Err("FAILOVER is not valid when server is a replica.");
        }
        if self.clients.slaves.is_empty() {
            return Err("FAILOVER requires connected replicas.");
        }
        let FailoverRequest {
            target,
            timeout,
            force,
        } = request;
        if force && (timeout == 0 || target.is_none()) {
            return Err(
                "FAILOVER with force option requires both a timeout and target HOST and IP.",
            );
        }
        let target = match target {
            Some((host, port)) => {
                let replica = self
                    .find_replica(&host, port)
                    .ok_or("FAILOVER target HOST and PORT is not a replica.")?;
                if !self.is_online(replica) {
                    return Err("FAILOVER target replica is not online.");
                }
                server_log!(Level::Notice, "FAILOVER requested to {}:{}.", host, port);
                // It is a replica's, so it is one.
                u16::try_from(port).ok().map(|port| (host, port))
            }
            None => {
                server_log!(Level::Notice, "FAILOVER requested to any replica.");
                None
            }
        };
        let end = match timeout {
            0 => 0,
            ms => self.command_time_ms().saturating_add(ms),
        };
        self.repl.failover = Failover {
            state: FailoverState::WaitForSync,
            end,
            force,
            target,
        };
        // Without being asked a replica says where it is once a second, and clients would wait for that.
        if self.synced_target().is_none() && !self.is_paused(PauseActions::REPLICA) {
            self.send_getack_to_replicas();
        }
        self.pause_actions(
            PausePurpose::DuringFailover,
            i64::MAX,
            PauseActions::CLIENT_WRITE_SET,
        );
        Ok(())
    }

    /// The address of the replica to fail over to, if there is one that has all.
    fn synced_target(&self) -> Option<(String, u16)> {
        let offset = self.repl.log.master_repl_offset();
        let synced = |cid: &ClientId| {
            let r = self.clients.get(*cid).and_then(|c| c.repl());
            r.is_some_and(|r| r.state == ReplState::Online && r.ack_off == offset)
        };
        match &self.repl.failover.target {
            Some((host, port)) => self
                .find_replica(host, i64::from(*port))
                .filter(synced)
                .map(|_| (host.clone(), *port)),
            // Any that has all and can be reached.
            None => self
                .clients
                .slaves
                .iter()
                .filter(|s| synced(s))
                .find_map(|s| {
                    let port = self.clients.get(*s)?.repl()?.listening_port;
                    Some((self.replica_ip(*s)?, port)).filter(|(_, port)| *port != 0)
                }),
        }
    }

    /// Gives an attempt up, if there is one; `why` is for the log (abortFailover).
    pub(crate) fn abort_failover(&mut self, why: &str) {
        match (&self.repl.failover.state, &self.repl.failover.target) {
            (FailoverState::None, _) => return,
            (_, Some((host, port))) => {
                server_log!(
                    Level::Notice,
                    "FAILOVER to {}:{} aborted: {}",
                    host,
                    port,
                    why
                );
            }
            (_, None) => server_log!(Level::Notice, "FAILOVER to any replica aborted: {}", why),
        }
        if self.repl.failover.state == FailoverState::InProgress {
            self.replication_unset_master();
        }
        self.clear_failover_state();
    }

    /// The attempt is over, whichever way: writes go on, here or, with an error, elsewhere (clearFailoverState).
    pub(super) fn clear_failover_state(&mut self) {
        self.repl.failover = Failover::default();
        self.unpause_actions(PausePurpose::DuringFailover);
    }

    /// Goes on with an attempt that waits for a replica; called before each sleep and by the cron (updateFailoverStatus).
    pub(crate) fn update_failover_status(&mut self) {
        let f = &self.repl.failover;
        if f.state != FailoverState::WaitForSync {
            return;
        }
        if f.end != 0 && f.end <= self.clock.unix_ms {
            if !f.force {
                return self.abort_failover("Replica never caught up before timeout");
            }
            if let Some((host, port)) = f.target.clone() {
                server_log!(
                    Level::Notice,
                    "FAILOVER to {}:{} time out exceeded, failing over.",
                    host,
                    port
                );
                self.fail_over_to(host, port);
            }
            return;
        }
        if let Some((host, port)) = self.synced_target() {
            server_log!(
                Level::Notice,
                "Failover target {}:{} is synced, failing over.",
                host,
                port
            );
            self.fail_over_to(host, port);
        }
    }

    fn fail_over_to(&mut self, host: String, port: u16) {
        let f = &mut self.repl.failover;
        f.state = FailoverState::InProgress;
        f.target = Some((host.clone(), port));
        self.replication_set_master(&host, port);
    }

    /// PSYNC id offset FAILOVER: our master hands over to us. The request must be for the history that we have; then this
    /// server is a master, and the request goes on as a plain PSYNC. False: an error has been sent.
    pub(super) fn accept_failover(&mut self, cid: ClientId, args: &Args) -> bool {
        server_log!(
            Level::Notice,
            "Failover request received for replid {}.",
            String::from_utf8_lossy(&args[1])
        );
        let refused = if self.repl.master_host.is_none() {
            "PSYNC FAILOVER can't be sent to a master."
        } else if !args[1].eq_ignore_ascii_case(&self.repl.replid) {
            "PSYNC FAILOVER replid must match my replid."
        } else {
            self.replication_unset_master();
            let info = self.client_log_string(cid);
            server_log!(
                Level::Notice,
                "MASTER MODE enabled (failover request from '{}')",
                info
            );
            return true;
        };
        self.add_reply_error(cid, refused);
        false
    }

    /// The replica that announced this address, or connects from it (findReplica).
    fn find_replica(&self, host: &str, port: i64) -> Option<ClientId> {
        self.clients.slaves.iter().copied().find(|s| {
            let announced = self.clients.get(*s).and_then(|c| c.repl());
            announced.is_some_and(|r| i64::from(r.listening_port) == port)
                && self
                    .replica_ip(*s)
                    .is_some_and(|ip| ip.eq_ignore_ascii_case(host))
        })
    }

    fn is_online(&self, cid: ClientId) -> bool {
        let r = self.clients.get(cid).and_then(|c| c.repl());
        r.is_some_and(|r| r.state == ReplState::Online)
    }
}
