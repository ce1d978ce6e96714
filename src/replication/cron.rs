//! Once a second: time-outs, reconnection, acknowledgements, pings, the life of the backlog (replicationCron).

use std::io::Write;

use crate::base::log::Level;
use crate::base::sys::path_of;
use crate::server::Server;
use crate::server::clients::connection::Connection;
use crate::server::execution::args::OwnedArgs;
use crate::server::execution::blocked::PauseActions;
use crate::server::master_link::{HandshakeLink, LinkSocket, MasterLink};
use crate::server::persist::RdbTarget;
use crate::server::repl::{FailoverState, SyncReason};
use crate::server::replica::ReplState;
use crate::server_log;
use crate::wire::replication::diagnose::NoAnswer;

impl Server {
    /// See the head of the file.
    pub(crate) fn replication_cron(&mut self) {
        self.update_failover_status();
        self.replica_timeouts();
        if self.repl.failover.state == FailoverState::InProgress {
            // Its time is short.
            self.repl.attempts.pace.reset();
        }
        self.connect_when_due();
        self.diagnose_loop();
        let acks = self
            .repl
            .link
            .client()
            .and_then(|m| self.clients.get(m)?.master_stream())
            .is_some_and(|m| m.replid.is_some());
        if acks {
            self.send_ack_of_the_second();
        }
        self.ask_for_upstream();
        self.ping_replicas();
        self.disconnect_timed_out_replicas();
        self.full_syncs_cron();
        self.free_idle_backlog();
        self.replication_start_pending_fork();
        self.remove_rdb_used_to_sync_replicas();
        self.refresh_good_slaves_count();
        self.repl.cron_loops += 1;
    }

    /// Begins the next attempt at a link to the master if it is time for it.
    pub(crate) fn connect_when_due(&mut self) {
        if !matches!(self.repl.link, MasterLink::Connect)
            || self.repl.attempts.lookup.is_some()
            || self.repl.attempts.pace.wait(self.el.now_ms()) > 0
        {
            return;
        }
        let Some(host) = &self.repl.master_host else {
            return;
        };
        server_log!(
            self.attempt_level(Level::Notice),
            "Connecting to MASTER {}:{}",
            host,
            self.repl.master_port
        );
        self.connect_with_master();
    }

    /// Our own link: nothing heard for repl-timeout seconds, in whatever state.
    fn replica_timeouts(&mut self) {
        if self.repl.master_host.is_none() {
            return;
        }
        let now = self.clock.unix_s;
        let timeout = i64::from(self.config.repl_timeout);
        let silent = |conn: &LinkSocket| now - conn.last_io > timeout;
        match &self.repl.link {
            MasterLink::Connecting(conn) | MasterLink::Handshake(HandshakeLink { conn, .. })
                if silent(conn) =>
            {
                server_log!(
                    self.attempt_level(Level::Warning),
                    "Timeout connecting to the MASTER..."
                );
                self.found_end(NoAnswer::Silent(timeout));
                self.cancel_replication_handshake(true);
            }
            MasterLink::Transfer(t) if silent(&t.conn) => {
                server_log!(
                    self.attempt_level(Level::Warning),
                    "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' \
                     parameter in redis.conf to a larger value."
                );
                self.found_end(NoAnswer::Silent(timeout));
                self.cancel_replication_handshake(true);
            }
            MasterLink::Connected(cid) => {
                let cid = *cid;
                let last = self.clients.get(cid).map(|c| c.last_interaction);
                if last.is_some_and(|last| now - last > timeout) {
                    server_log!(
                        Level::Warning,
                        "MASTER timeout: no data nor PING received..."
                    );
                    self.free_client_async(cid);
                }
            }
            _ => {}
        }
    }

    /// A PING in the stream from time to time; a line end to those whose snapshot is still being made: it is outside of the
    /// stream and does not count in the offset.
    fn ping_replicas(&mut self) {
        let period = u64::try_from(self.config.repl_ping_replica_period)
            .unwrap_or(1)
            .max(1);
        // It would move the offset that a replica has to reach before the failover's time is up.
        let failing_over = self.repl.failover.end != 0 || self.cluster_is_failing_over();
        let held = failing_over && self.is_paused(PauseActions::REPLICA);
        if self.repl.cron_loops.is_multiple_of(period) && !self.clients.slaves.is_empty() && !held {
            let ping = OwnedArgs::from_slices(&[b"PING"]);
            self.replication_feed_slaves(None, &ping.as_args());
        }
        let now = self.clock.unix_s;
        // What goes to a socket while a child streams into it is the snapshot.
        let streaming = self.repl.rdb_pipe.is_some()
            || self
                .persist
                .child
                .as_ref()
                .is_some_and(|c| c.target == RdbTarget::Sockets);
        for i in 0..self.clients.slaves.len() {
            let cid = self.clients.slaves[i];
            let Some(c) = self.clients.get_mut(cid) else {
                continue;
            };
            let (Some(conn), Some(r)) = (c.conn.as_ref(), c.replica.as_deref_mut()) else {
                continue;
            };
            let waits = match r.state {
                ReplState::WaitBgsaveStart => true,
                ReplState::WaitBgsaveEnd => !streaming,
                _ => false,
            };
            if waits {
                let mut conn: &Connection = conn;
                // Best effort: the next second brings another.
                let _ = conn.write(b"\n");
                // It waits for us: its own time begins when the file is sent.
                r.ack_time = now;
            }
        }
    }

    /// Replicas that say nothing any more, or take nothing of their file: a place in the stream that nobody leaves would
    /// keep all that is written from now on.
    fn disconnect_timed_out_replicas(&mut self) {
        let now = self.clock.unix_s;
        let timeout = i64::from(self.config.repl_timeout);
        let late: Vec<_> = self
            .replicas()
            .filter(|(_, r)| now - r.ack_time > timeout)
            .filter_map(|(cid, r)| match r.state {
                // One that knows no PSYNC acknowledges nothing.
                ReplState::Online if !r.pre_psync => Some((cid, "streaming sync")),
                ReplState::SendBulk if r.rdb_spill.is_none() => Some((cid, "full sync")),
                _ => None,
            })
            .collect();
        for (cid, phase) in late {
            server_log!(
                Level::Warning,
                "Disconnecting timedout replica ({}): {}",
                phase,
                self.replication_get_slave_name(cid)
            );
            self.clients[cid].repl_mut().lost_for = Some(SyncReason::Timeout);
            self.free_client_async(cid);
        }
        // Whether a replica still reads its snapshot shows only where it has been late; one that waits for a busy disk of
        // its own reads nothing for a while.
        let stuck: Vec<_> = self
            .replicas()
            .filter(|(_, r)| {
                r.repl_last_partial_write != 0
                    && (r.state == ReplState::WaitBgsaveEnd
                        || r.state == ReplState::SendBulk && r.rdb_spill.is_some())
                    && now - r.repl_last_partial_write > timeout
            })
            .map(|(cid, _)| cid)
            .collect();
        for cid in stuck {
            server_log!(
                Level::Warning,
                "Disconnecting timedout replica (full sync): {}",
                self.replication_get_slave_name(cid)
            );
            self.clients[cid].repl_mut().lost_for = Some(SyncReason::Timeout);
            self.rdb_pipe_replica_gone(cid);
            self.free_client_async(cid);
        }
    }

    /// A master without replicas gives the backlog up after a while, and with it the history's name: writes from then on
    /// are in no stream, so nobody may continue from before. A replica keeps its backlog: it may be promoted.
    fn free_idle_backlog(&mut self) {
        let limit = self.config.repl_backlog_ttl;
        if !self.clients.slaves.is_empty()
            || !self.slot_migrations.exports.is_empty()
            || limit == 0
            || !self.repl.log.backlog_active()
            || self.repl.master_host.is_some()
        {
            return;
        }
        if self.clock.unix_s - self.repl.no_slaves_since > limit {
            self.drop_kept_snapshot();
            self.change_replication_id();
            self.clear_replication_id2();
            self.free_replication_backlog();
            server_log!(
                Level::Notice,
                "Replication backlog freed after {} seconds without connected replicas.",
                limit
            );
        }
    }

    /// rdb-del-sync-files: an instance without persistence leaves no file behind that only a replica needed
    /// (removeRDBUsedToSyncReplicas).
    fn remove_rdb_used_to_sync_replicas(&mut self) {
        if !self.config.rdb_del_sync_files {
            self.repl.rdb_generated_by_replication = false;
            return;
        }
        if !self.repl.rdb_generated_by_replication || !self.all_persistence_disabled() {
            return;
        }
        let busy = self.replicas().any(|(_, r)| {
            matches!(
                r.state,
                ReplState::WaitBgsaveStart | ReplState::WaitBgsaveEnd | ReplState::SendBulk
            )
        });
        if !busy {
            self.repl.rdb_generated_by_replication = false;
            server_log!(
                Level::Notice,
                "Removing the RDB file used to feed replicas in a persistence-less instance"
            );
            let path = path_of(&self.config.dbfilename);
            self.aof.bio.unlink(&path);
        }
    }
}
