//! Who becomes a master: elections and votes, the end of a failover, manual ones, replicas that move to where they are needed
//! (clusterHandleSlaveFailover and its kin).
//!
//! ```text
//!   master FAIL --> delay (500..1000 ms, a second more a rank) --> votes asked for, a new epoch --> most masters --> takes the slots
//!   FAILOVER -----> MFSTART: the master pauses its clients --> its offset reached -----^
//!   FAILOVER FORCE ------------------------------------------------------------------^
//!   FAILOVER TAKEOVER ------> a new epoch that nobody has agreed on ------------------------------------------> takes the slots
//! ```
//!
//! Invariants: a master votes once an epoch, and the file knows it before the loop sleeps; whoever takes slots has an epoch greater than
//! all that it knows, and the file has it before anybody is told.

use crate::ae::Next;
use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::cluster::gossip::Broadcast;
use crate::cluster::node::{LinkId, Node, NodeId};
use crate::cluster::state::{CantFailover, Cluster, Todo};
use crate::server::Server;
use crate::server::execution::args::OwnedArgs;
use crate::server::execution::blocked::{PauseActions, PausePurpose};
use crate::server::replica::Replica;
use crate::server_log;
use crate::wire::cluster::slot_set::slots_of;
use crate::wire::cluster::{Kind, Message, MessageFlags, NodeFlags};

/// Milliseconds that a manual failover may take (CLUSTER_MF_TIMEOUT).
pub(super) const CLUSTER_MF_TIMEOUT: i64 = 5000;
/// The master's clients are paused for so many times that (CLUSTER_MF_PAUSE_MULT).
const CLUSTER_MF_PAUSE_MULT: i64 = 2;
/// Milliseconds for which a master has to be without replicas before one moves to it (CLUSTER_SLAVE_MIGRATION_DELAY).
const CLUSTER_SLAVE_MIGRATION_DELAY: i64 = 5000;
/// Seconds between two lines about the same obstacle (CLUSTER_CANT_FAILOVER_RELOG_PERIOD).
const CLUSTER_CANT_FAILOVER_RELOG_PERIOD: i64 = 10;

impl Server {
    /// A master that ends tells a replica that has all to take its place, by its stream: the others see that it is not they
    /// (`auto-failover-on-shutdown`, as Valkey 9 has it).
    pub(crate) fn cluster_hand_over_at_shutdown(&mut self) {
        let Some(c) = self.cluster.as_deref() else {
            return;
        };
        if !self.config.auto_failover_on_shutdown || c.me().slots.is_empty() || c.me().is_slave() {
            return;
        }
        // Others would take the command for an error of ours, or worse.
        if self.replicas().any(|(_, r)| !r.can_resume) {
            server_log!(
                Level::Notice,
                "Unable to perform auto failover on shutdown since there are legacy replicas."
            );
            return;
        }
        let offset = self.repl.log.master_repl_offset();
        let complete = |r: &Replica| r.streams() && r.ack_off == offset;
        let is = |n: &Node, ip: &str, port: u16| {
            n.ip == ip && [n.tcp_port, n.tls_port].contains(&port) && !n.failed()
        };
        let node = self.replicas().find_map(|(cid, r)| {
            let ip = self.replica_ip(cid).filter(|_| complete(r))?;
            let mut slaves = c.me().slaves.iter().map(|s| &c[*s]);
            slaves
                .find(|n| is(n, &ip, r.listening_port))
                .map(|n| n.name)
        });
        let Some(node) = node else {
            server_log!(
                Level::Notice,
                "Unable to find a replica to perform the auto failover on shutdown."
            );
            return;
        };
        server_log!(
            Level::Notice,
            "Perform auto failover to replica {} on shutdown.",
            node
        );
        let words: [&[u8]; 5] = [
            b"CLUSTER",
            b"FAILOVER",
            b"FORCE",
            b"REPLICAID",
            node.as_bytes(),
        ];
        let words = OwnedArgs::from_slices(&words);
        self.replication_feed_slaves(None, &words.as_args());
    }
}

impl Cluster {
    fn needed_quorum(&self) -> usize {
        self.size / 2 + 1
    }

    // Votes ------------------------------------------------------------------------------------------------------------

    /// A replica asks for our vote (clusterSendFailoverAuthIfNeeded).
    pub(super) fn send_failover_auth_if_needed(
        &mut self,
        server: &mut Server,
        id: NodeId,
        request: &Message<'_>,
    ) {
        // Masters with slots are the voters.
        if self.me().is_slave() || self.me().slots.is_empty() {
            return;
        }
        let denied = |why: String| {
            server_log!(
                Level::Warning,
                "Failover auth denied to {}: {}",
                self.shown(id),
                why
            );
        };
        if request.current_epoch < self.current_epoch {
            return denied(format!(
                "reqEpoch ({}) < curEpoch({})",
                request.current_epoch, self.current_epoch
            ));
        }
        if self.last_vote_epoch == self.current_epoch {
            return denied(format!("already voted for epoch {}", self.current_epoch));
        }
        if self[id].is_master() {
            return denied("it is a master node".into());
        }
        let Some(master) = self[id].slaveof else {
            return denied("I don't know its master".into());
        };
        let forced = request.message_flags.contains(MessageFlags::FORCEACK);
        if !self[master].failed() && !forced {
            return denied("its master is up".into());
        }
        let now = mstime();
        let again = server.config.cluster_node_timeout.saturating_mul(2);
        let since = now - self[master].voted_time;
        if since < again {
            return denied(format!(
                "can't vote about this master before {} milliseconds",
                again - since
            ));
        }
        for slot in slots_of(request.slots) {
            let Some(owner) = self.owner(slot).filter(|_| !self.is_unclaimed(slot)) else {
                continue;
            };
            let epoch = self[owner].config_epoch;
            if epoch > request.config_epoch {
                return denied(format!(
                    "slot {slot} epoch ({epoch}) > reqEpoch ({})",
                    request.config_epoch
                ));
            }
        }
        self.last_vote_epoch = self.current_epoch;
        self[master].voted_time = now;
        // It is in the file before the vote can leave: links are written at this turn's end.
        self.save_config_or_die(server, true);
        self.send_header(server, id, Kind::AuthAck);
        server_log!(
            Level::Notice,
            "Failover auth granted to {} for epoch {}",
            self.shown(id),
            self.current_epoch
        );
    }

    // Elections --------------------------------------------------------------------------------------------------------

    /// How many replicas of our master have more of its stream than we (clusterGetSlaveRank).
    fn slave_rank(&self, server: &Server) -> usize {
        let Some(master) = self.me().slaveof else {
            return 0;
        };
        let mine = server.replication_get_slave_offset();
        let others = self[master].slaves.iter().filter(|s| **s != self.myself);
        others
            .filter(|s| {
                let n = &self[**s];
                !n.has(NodeFlags::NOFAILOVER) && n.repl_offset > mine
            })
            .count()
    }

    /// Says why we do not take our master's place, not too often (clusterLogCantFailover).
    fn log_cant_failover(&mut self, server: &Server, reason: CantFailover) {
        let now_s = server.clock.unix_s;
        if reason == self.election.cant
            && now_s - self.election.logged_s < CLUSTER_CANT_FAILOVER_RELOG_PERIOD
        {
            return;
        }
        self.election.cant = reason;
        // A failover that goes its way is none to be told of.
        let quiet = server.config.cluster_node_timeout.saturating_add(5000);
        let master = self.me().slaveof.map(|m| &self[m]);
        if master.is_some_and(|m| m.failed() && mstime() - m.fail_time < quiet) {
            return;
        }
        let text = match reason {
            CantFailover::DataAge => {
                "Disconnected from master for longer than allowed. Please check the 'cluster-replica-validity-factor' \
                 configuration option."
            }
            CantFailover::WaitingDelay => "Waiting the delay before I can start a new failover.",
            CantFailover::Expired => "Failover attempt expired.",
            CantFailover::WaitingVotes => "Waiting for votes, but majority still not reached.",
            CantFailover::None => "Unknown reason code.",
        };
        self.election.logged_s = now_s;
        server_log!(Level::Notice, "Currently unable to failover: {}", text);
        if matches!(reason, CantFailover::WaitingVotes | CantFailover::Expired) {
            server_log!(
                Level::Notice,
                "Needed quorum: {}. Number of votes received so far: {}",
                self.needed_quorum(),
                self.election.count
            );
        }
    }

    /// Milliseconds since we have heard of our master by its stream.
    fn data_age(server: &Server) -> i64 {
        let stream = server
            .repl
            .link
            .client()
            .and_then(|m| server.clients.get(m));
        let since = match stream {
            Some(c) => c.last_interaction,
            None => server.repl.master_heard_s,
        };
        (server.clock.unix_s - since).saturating_mul(1000)
    }

    /// Takes the place of a master that is down, or hands itself to us, step by step (clusterHandleSlaveFailover).
    pub(super) fn handle_slave_failover(&mut self, server: &mut Server) {
        self.todo.remove(Todo::HANDLE_FAILOVER);
        let now = mstime();
        let timeout = server.config.cluster_node_timeout;
        let auth_timeout = timeout.saturating_mul(2).max(2000);
        let auth_retry = auth_timeout.saturating_mul(2);
        let auth_age = now - self.election.time;
        let manual = self.manual.end != 0 && self.manual.can_start;
        let master = match self.me().slaveof {
            Some(m) if !self.me().is_master() => m,
            _ => {
                self.election.cant = CantFailover::None;
                return;
            }
        };
        let may = self[master].failed() && !server.config.cluster_replica_no_failover;
        if !manual && !may || self[master].slots.is_empty() {
            self.election.cant = CantFailover::None;
            return;
        }
        let mut age = Self::data_age(server);
        if age > timeout {
            age -= timeout;
        }
        let factor = i64::from(server.config.cluster_replica_validity_factor);
        let ping = i64::from(server.config.repl_ping_replica_period).saturating_mul(1000);
        let most = timeout.saturating_mul(factor).saturating_add(ping);
        if factor != 0 && age > most && !manual {
            return self.log_cant_failover(server, CantFailover::DataAge);
        }
        if auth_age > auth_retry {
            return self.schedule_election(server, now);
        }
        if !self.election.sent && self.manual.end == 0 {
            let rank = self.slave_rank(server);
            if rank > self.election.rank {
                let added = (rank - self.election.rank) as i64 * 1000;
                self.election.time += added;
                self.election.rank = rank;
                self.wake_for_election(server, now);
                server_log!(
                    Level::Notice,
                    "Replica rank updated to #{}, added {} milliseconds of delay.",
                    rank,
                    added
                );
            }
        }
        if now < self.election.time {
            return self.log_cant_failover(server, CantFailover::WaitingDelay);
        }
        if auth_age > auth_timeout {
            return self.log_cant_failover(server, CantFailover::Expired);
        }
        if !self.election.sent {
            self.current_epoch += 1;
            self.election.epoch = self.current_epoch;
            server_log!(
                Level::Notice,
                "Starting a failover election for epoch {}.",
                self.current_epoch
            );
            // A process that comes back after this must not ask for votes in the same epoch.
            self.save_config_or_die(server, true);
            self.request_failover_auth(server);
            self.election.sent = true;
            self.todo |= Todo::UPDATE_STATE;
            return;
        }
        if self.election.count < self.needed_quorum() {
            return self.log_cant_failover(server, CantFailover::WaitingVotes);
        }
        server_log!(Level::Notice, "Failover election won: I'm the new master.");
        if self.me().config_epoch < self.election.epoch {
            self.me_mut().config_epoch = self.election.epoch;
            server_log!(
                Level::Notice,
                "configEpoch set to {} after successful failover",
                self.election.epoch
            );
        }
        self.failover_replace_your_master(server);
    }

    fn schedule_election(&mut self, server: &mut Server, now: i64) {
        let rank = self.slave_rank(server);
        let delay = 500 + server.rng.below(500) as i64 + rank as i64 * 1000;
        self.election.time = now + delay;
        self.election.count = 0;
        self.election.sent = false;
        self.election.rank = rank;
        if self.manual.end != 0 {
            self.election.time = now;
            self.election.rank = 0;
            self.todo |= Todo::HANDLE_FAILOVER;
        }
        server_log!(
            Level::Notice,
            "Start of election delayed for {} milliseconds (rank #{}, offset {}).",
            self.election.time - now,
            self.election.rank,
            server.replication_get_slave_offset()
        );
        self.wake_for_election(server, now);
        // The others know by it how they stand to us.
        self.broadcast_pong(server, Broadcast::LocalSlaves);
    }

    /// The cron, which comes by ten times a second, would begin it late.
    fn wake_for_election(&self, server: &mut Server, now: i64) {
        let ms = u64::try_from(self.election.time - now).unwrap_or(0);
        // Timers have a clock of another phase than that of the day: with one more it is never too early.
        server
            .el
            .create_time_event(ms.saturating_add(1), |server, _| {
                server.with_cluster(|c, server| {
                    if !c.election.sent && c.election.time <= mstime() {
                        c.handle_slave_failover(server);
                    }
                });
                Next::Stop
            });
    }

    /// We are the master of our master's slots (clusterFailoverReplaceYourMaster).
    pub(super) fn failover_replace_your_master(&mut self, server: &mut Server) {
        let (false, Some(old)) = (self.me().is_master(), self.me().slaveof) else {
            return;
        };
        let me = self.myself;
        self.set_node_as_master(me);
        server.replication_unset_master();
        let slots: Vec<u16> = self[old].slots.iter().collect();
        for slot in slots {
            self.del_slot(slot);
            self.add_slot(me, slot);
        }
        self.imports_of_master_end(server);
        self.update_state(server);
        self.save_config_or_die(server, true);
        self.tell_all(server);
        self.reset_manual_failover(server);
    }

    /// This node is a replica of `id` from now on (clusterSetMaster).
    pub(super) fn set_master(&mut self, server: &mut Server, id: NodeId) {
        debug_assert!(id != self.myself && self.me().slots.is_empty());
        let me = self.myself;
        if self.me().is_master() {
            let n = self.me_mut();
            n.flags -= NodeFlags::MASTER | NodeFlags::MIGRATE_TO;
            n.flags |= NodeFlags::SLAVE;
            self.close_all_slots();
        } else if let Some(old) = self.me().slaveof {
            self.forget_slave(old, me);
        }
        self.imports_of_old_master(server);
        self.me_mut().slaveof = Some(id);
        let shard = self[id].shard_id;
        self.update_shard_id(me, shard);
        self.add_slave(id, me);
        let n = &self[id];
        let (ip, port) = (n.ip.clone(), n.port(server.config.tls_replication));
        server.replication_set_master(&ip, port);
        self.reset_manual_failover(server);
    }

    // Manual failovers -------------------------------------------------------------------------------------------------

    /// resetManualFailover.
    pub(super) fn reset_manual_failover(&mut self, server: &mut Server) {
        if self.manual.slave.is_some() {
            server.unpause_actions(PausePurpose::DuringFailover);
        }
        self.clear_manual_failover();
    }

    /// manualFailoverCheckTimeout.
    pub(super) fn manual_failover_check_timeout(&mut self, server: &mut Server) {
        if self.manual.end != 0 && self.manual.end < mstime() {
            server_log!(Level::Warning, "Manual failover timed out.");
            self.reset_manual_failover(server);
        }
    }

    /// A replica of ours wants to take our place.
    pub(super) fn hear_mfstart(&mut self, server: &mut Server, link: LinkId, sender: NodeId) {
        if self[sender].slaveof != Some(self.myself) {
            return;
        }
        self.reset_manual_failover(server);
        let now = mstime();
        self.manual.end = now + CLUSTER_MF_TIMEOUT;
        self.manual.slave = Some(sender);
        server.pause_actions(
            PausePurpose::DuringFailover,
            now + CLUSTER_MF_TIMEOUT * CLUSTER_MF_PAUSE_MULT,
            PauseActions::CLIENT_WRITE_SET,
        );
        server_log!(
            Level::Notice,
            "Manual failover requested by replica {}.",
            self.shown(sender)
        );
        // It carries the offset at which the clients were paused.
        self.send_ping(server, link, Kind::Ping);
    }

    /// Waits for the end of a paused master's stream (clusterHandleManualFailover).
    pub(super) fn handle_manual_failover(&mut self, server: &Server) {
        if self.manual.end == 0 || self.manual.can_start {
            return;
        }
        let Some(offset) = self.manual.master_offset else {
            return;
        };
        if offset == server.replication_get_slave_offset() {
            self.manual.can_start = true;
            server_log!(
                Level::Notice,
                "All master replication stream processed, manual failover can start."
            );
            self.todo |= Todo::HANDLE_FAILOVER;
            return;
        }
        self.todo |= Todo::HANDLE_MANUALFAILOVER;
    }

    // Replicas that move -----------------------------------------------------------------------------------------------

    /// Moves to a master that has lost its replicas, if we are the one of all who has to (clusterHandleSlaveMigration).
    /// `max_slaves` is the greatest number of working replicas that a master has.
    pub(super) fn handle_slave_migration(&mut self, server: &mut Server, max_slaves: usize) {
        let Some(my_master) = self.me().slaveof.filter(|_| !self.down) else {
            return;
        };
        let working = self[my_master]
            .slaves
            .iter()
            .filter(|s| !self[**s].has(NodeFlags::FAIL | NodeFlags::PFAIL))
            .count();
        let barrier = usize::try_from(server.config.cluster_migration_barrier).unwrap_or(0);
        if working <= barrier {
            return;
        }
        let now = mstime();
        let mut candidate = self.myself;
        let mut target = None;
        for id in self.ids() {
            let n = &self[id];
            let ok = match n.is_master() {
                true => self.count_non_failing_slaves(id),
                false => 0,
            };
            let orphaned = !n.is_slave() && !n.failed() && n.has(NodeFlags::MIGRATE_TO) && ok == 0;
            if ok == max_slaves {
                for s in &n.slaves {
                    if self[*s].name < self[candidate].name {
                        candidate = *s;
                    }
                }
            }
            if !orphaned {
                self[id].orphaned_time = 0;
                continue;
            }
            if target.is_none() && n.numslots() > 0 {
                target = Some(id);
            }
            if n.orphaned_time == 0 {
                self[id].orphaned_time = now;
            }
        }
        if let Some(target) = target
            && candidate == self.myself
            && now - self[target].orphaned_time > CLUSTER_SLAVE_MIGRATION_DELAY
        {
            server_log!(
                Level::Notice,
                "Migrating to orphaned master {}",
                self[target].name
            );
            self.set_master(server, target);
            self.todo |= Todo::SAVE_AND_UPDATE;
        }
    }
}
