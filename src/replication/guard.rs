//! What a replica tells, and refuses, on its own: a link that will never work is named with its cure, and a master that came
//! back without its data is not followed into the void (replica-refuse-empty-master).
//!
//! A loop of replicas is found by the marks of `wire::ring`. They go to the master with the handshake, for a loop need not have
//! a single link that is up, and then with the acknowledgement of each second.
//!
//! Invariant: a refusal changes nothing of the data set or of the history that is known.

use crate::base::log::Level;
use crate::server::Server;
use crate::server::client::ClientId;
use crate::server::repl::{Refusal, ReplicaState};
use crate::server_log;
use crate::wire::backoff::backoff_ms;
use crate::wire::diagnose::{self, Ends};
use crate::wire::handshake::Outcome;

use super::id_text;

/// The most milliseconds before a master that was refused is asked again, unless repl-sync-backoff-max is longer.
const ASK_AGAIN_MS: i64 = 60_000;
/// Seconds between two log lines on the same refusal.
const LOG_AGAIN: i64 = 3600;

impl Server {
    /// A problem of the link with its cure: told once, shown in INFO until the link is up.
    pub(super) fn link_problem(&mut self, text: String) {
        if self.repl.link_problem.as_ref() != Some(&text) {
            server_log!(Level::Warning, "MASTER link problem: {}", text);
            self.repl.link_problem = Some(text);
        }
    }

    /// The master has answered with an error.
    pub(super) fn diagnose_reply(&mut self, line: &[u8]) {
        let Some(host) = self.repl.master_host.clone() else {
            return;
        };
        let port = self.repl.master_port;
        if self.master_is_myself() {
            // Whatever it says, we said it.
            return self.link_problem(diagnose::myself(&host, port));
        }
        let ends = Ends {
            host: &host,
            port,
            has_password: self.config.masterauth.is_some(),
            has_user: self.config.masteruser.is_some(),
            master_is_our_replica: self.somebody_replicates_from_here(&host, port),
        };
        if line.starts_with(b"-NOMASTERLINK")
            && let Some(text) = self.ring_problem()
        {
            return self.link_problem(text);
        }
        if let Some(text) = diagnose::diagnose_reply(line, &ends) {
            self.link_problem(text);
        }
    }

    /// A client that has announced the port of our master, from the address of our master.
    fn somebody_replicates_from_here(&self, host: &str, port: u16) -> bool {
        let peer = self
            .repl
            .sock
            .as_ref()
            .and_then(|s| s.peer_addr().ok()?.as_socket())
            .map(|a| a.ip().to_canonical().to_string());
        let mut ids = self.clients.ids().into_iter();
        ids.any(|cid| {
            self.sits_at(cid, host, port) || peer.iter().any(|p| self.sits_at(cid, p, port))
        })
    }

    /// A client that is a replica, or is about to become one, and listens at this address.
    fn sits_at(&self, cid: ClientId, host: &str, port: u16) -> bool {
        self.replica(cid).is_some_and(|r| r.listening_port == port)
            && self.replica_ip(cid).as_deref() == Some(host)
    }

    /// The connection leads back here.
    fn master_is_myself(&self) -> bool {
        let ends = self.repl.sock.as_ref().and_then(|s| {
            let local = s.local_addr().ok()?.as_socket()?;
            let peer = s.peer_addr().ok()?.as_socket()?;
            Some((local.ip(), peer.ip(), peer.port()))
        });
        ends.is_some_and(|(local, peer, port)| {
            diagnose::is_myself(local, peer, port, self.config.port)
        })
    }

    /// What we tell our master of those behind us.
    pub(super) fn marks_behind(&self) -> String {
        let replicas = !self.clients.slaves.is_empty();
        self.repl.ring.tell(self.repl.cron_loops, replicas)
    }

    /// A replica, or somebody who wants to be one, has told who is behind it.
    pub fn replica_tells_behind(&mut self, cid: ClientId, marks: &[u8]) {
        let name = self.replication_get_slave_name(cid);
        self.repl.ring.hear(marks, &name, self.repl.cron_loops);
    }

    /// The line for the loop of replicas that this server is part of.
    fn ring_problem(&self) -> Option<String> {
        let host = self.repl.master_host.as_deref()?;
        let ring = self.repl.ring.ring(self.repl.cron_loops)?;
        Some(diagnose::ring(
            host,
            self.repl.master_port,
            ring.servers,
            &ring.replica,
        ))
    }

    /// Once a second: is there a master at the end of our chain, or do we replicate from ourselves?
    pub(super) fn diagnose_loop(&mut self) {
        let Some(host) = self.repl.master_host.clone() else {
            return;
        };
        if let Some(text) = self.ring_problem() {
            return self.link_problem(text);
        }
        if self.repl.state != ReplicaState::Connected {
            return;
        }
        let port = self.repl.master_port;
        let mut replicas = self.clients.slaves.iter();
        if replicas.any(|s| self.sits_at(*s, &host, port)) {
            self.link_problem(diagnose::replica_loop(&host, port));
        } else {
            self.repl.link_problem = None;
        }
    }

    /// The connection could not be made.
    pub(super) fn diagnose_connect_error(&mut self, e: &std::io::Error) {
        let refused = e.kind() == std::io::ErrorKind::ConnectionRefused;
        if let Some(host) = self.repl.master_host.clone()
            && let Some(text) = diagnose::diagnose_connect(refused, &host, self.repl.master_port)
        {
            self.link_problem(text);
        }
    }

    /// Whether the full sync that the master offers is refused: its history is not ours, and not longer. A user's REPLICAOF is
    /// consent, for the sync that follows it.
    pub(super) fn refuses_full_sync(&mut self, history: Option<([u8; 40], i64)>) -> bool {
        let Some((id, offset)) = history else {
            return false;
        };
        let (ours, upto) = match &self.repl.cached_master {
            Some(c) => (c.replid, c.reploff),
            None => (self.repl.replid, self.repl.log.master_repl_offset()),
        };
        let related = id == ours || id == self.repl.replid || id == self.repl.replid2;
        let empty = self.dbs.iter().all(|d| d.keys.is_empty());
        if !self.config.replica_refuse_empty_master
            || self.repl.full_sync_consent
            || empty
            || related
            || offset > upto
        {
            self.repl.refusal = None;
            return false;
        }
        let now = self.clock.unix_s;
        let told = self
            .repl
            .refusal
            .as_ref()
            .is_some_and(|r| r.replid == id && now - r.logged < LOG_AGAIN);
        self.repl.refused_syncs += 1;
        let times = self.repl.refusal.map_or(0, |r| r.times).saturating_add(1);
        let most = i64::from(self.config.repl_sync_backoff_max) * 1000;
        let delay = backoff_ms(times, most.max(ASK_AGAIN_MS), self.random.next_u64());
        self.repl.connect_not_before = self.clock.unix_ms + delay;
        if let Some(r) = &mut self.repl.refusal {
            r.times = times;
        }
        if !told {
            let host = self.repl.master_host.clone().unwrap_or_default();
            let port = self.repl.master_port;
            server_log!(
                Level::Warning,
                "Refusing a full sync: MASTER {}:{} has another history ({} up to {}), not longer than ours ({} up to {}). It has \
                 probably restarted without its data. This replica keeps what it has; send it REPLICAOF {} {} to accept the \
                 master's data, or REPLICAOF NO ONE to promote it.",
                host,
                port,
                id_text(&id),
                offset,
                id_text(&ours),
                upto,
                host,
                port
            );
            self.repl.refusal = Some(Refusal {
                replid: id,
                offset,
                logged: now,
                times,
            });
        }
        true
    }

    /// The level of what is logged about an attempt to connect: a master that was refused is asked again and again.
    pub(super) fn asking_level(&self) -> Level {
        match self.repl.refusal {
            Some(_) => Level::Verbose,
            None => Level::Notice,
        }
    }

    /// Whether a step of the handshake tells nothing new: the master was refused, and offers what it offered then.
    pub(super) fn asks_a_refused_master(&self, outcome: &Outcome) -> bool {
        self.repl.refusal.is_some_and(|r| match outcome {
            Outcome::FullResync(Some((id, _))) => *id == r.replid,
            Outcome::Pending | Outcome::RetryLater | Outcome::Error => true,
            _ => false,
        })
    }

    /// REPLICAOF with the master that is refused: the user accepts its data. False: none is refused.
    pub fn consent_to_refused_sync(&mut self) -> bool {
        if self.repl.refusal.take().is_none() {
            return false;
        }
        self.repl.full_sync_consent = true;
        self.repl.connect_not_before = 0;
        true
    }
}
