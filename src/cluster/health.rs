//! Who is up, and whether the cluster is: the work of every tenth of a second, what has to be done before the loop sleeps, and when a node
//! is taken for failing (clusterCron, clusterBeforeSleep, clusterUpdateState, markNodeAsFailingIfNeeded).

use crate::base::clock::mstime;
use crate::base::key_slot::CLUSTER_SLOTS;
use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::cluster::node::NodeId;
use crate::cluster::state::{Cluster, Todo};
use crate::server::Server;
use crate::server_log;
use crate::wire::cluster::{Kind, NodeFlags};

/// A master that nobody has replaced counts as up again after so many times the node timeout (CLUSTER_FAIL_UNDO_TIME_MULT).
const CLUSTER_FAIL_UNDO_TIME_MULT: i64 = 2;
/// Milliseconds for which a master does not take the cluster for up again, after it was among a minority (CLUSTER_*_REJOIN_DELAY).
const CLUSTER_MAX_REJOIN_DELAY: i64 = 5000;
const CLUSTER_MIN_REJOIN_DELAY: i64 = 500;
/// The same after its start (CLUSTER_WRITABLE_DELAY).
const CLUSTER_WRITABLE_DELAY: i64 = 2000;

impl Cluster {
    /// Ten times a second (clusterCron).
    pub(super) fn cron(&mut self, server: &mut Server) {
        self.iterations += 1;
        self.resume_accepting(server);
        self.reconnect(server);
        if self.iterations.is_multiple_of(10) {
            self.ping_a_random_node(server);
        }
        let (update, orphaned, max_slaves, this_slaves) = self.look_at_nodes(server);
        if self.me().is_slave()
            && server.repl.master_host.is_none()
            && let Some(master) = self.me().slaveof
            && !self[master].has(NodeFlags::NOADDR)
            && !self[master].ip.is_empty()
        {
            let n = &self[master];
            let (ip, port) = (n.ip.clone(), n.port(server.config.tls_replication));
            server.replication_set_master(&ip, port);
        }
        self.manual_failover_check_timeout(server);
        if self.me().is_slave() {
            self.handle_manual_failover(server);
            self.handle_slave_failover(server);
            if orphaned > 0
                && max_slaves >= 2
                && this_slaves == max_slaves
                && server.config.cluster_allow_replica_migration
            {
                self.handle_slave_migration(server, max_slaves);
            }
        }
        self.migrate_slots(server);
        if update || self.down {
            self.update_state(server);
        }
    }

    /// Connects to those that we are not connected to, and gives handshakes up (clusterNodeCronHandleReconnect).
    fn reconnect(&mut self, server: &mut Server) {
        let now = mstime();
        let handshake_timeout = server.config.cluster_node_timeout.max(1000);
        let limited = server.config.cluster_link_sendbuf_limit != 0;
        if limited {
            for id in self.ids() {
                let (link, inbound) = (self[id].link, self[id].inbound_link);
                self.close_link_on_buffer_limit(server, link);
                self.close_link_on_buffer_limit(server, inbound);
            }
        }
        let own = NodeFlags::MYSELF | NodeFlags::NOADDR;
        let mut timed_out = 0;
        let mut wanting = Vec::new();
        // Most nodes are calm: with a hundred of them, waiting for their memory was most of this, ten times a second.
        for id in self.restless(now) {
            let n = &self[id];
            if n.has(own) {
                continue;
            }
            timed_out += usize::from(n.timed_out());
            if n.link.is_none() || n.in_handshake() {
                wanting.push(n.id);
            }
        }
        self.pfail_nodes = timed_out;
        for id in wanting {
            let n = &self[id];
            if n.in_handshake() && now - n.ctime > handshake_timeout {
                self.del_node(server, id);
                continue;
            }
            if n.link.is_some() {
                continue;
            }
            if let Err(e) = self.connect(server, id) {
                let n = &mut self[id];
                if n.ping_sent == 0 {
                    // Else nobody would notice that it does not answer.
                    n.ping_sent = now;
                }
                server_log!(
                    Level::Debug,
                    "Unable to connect to Cluster Node [{}]:{} -> {}",
                    n.ip,
                    n.cport,
                    strerror(&e)
                );
            }
        }
    }

    /// Of a few nodes, the one that we have not heard of for the longest.
    fn ping_a_random_node(&mut self, server: &mut Server) {
        let mut oldest: Option<NodeId> = None;
        for _ in 0..5 {
            let id = self.nth(server.rng.index(self.len()));
            let n = &self[id];
            if n.link.is_none()
                || n.ping_sent != 0
                || n.has(NodeFlags::MYSELF | NodeFlags::HANDSHAKE)
            {
                continue;
            }
            if oldest.is_none_or(|o| self[o].pong_received > n.pong_received) {
                oldest = Some(id);
            }
        }
        if let Some(link) = oldest.and_then(|id| self[id].link) {
            self.send_ping(server, link, Kind::Ping);
        }
    }

    /// Pings who is due and suspects who does not answer. Returns whether the state has to be worked out, how many masters have lost all
    /// replicas, the most that a master has, and how many ours has.
    fn look_at_nodes(&mut self, server: &mut Server) -> (bool, usize, usize, usize) {
        let timeout = server.config.cluster_node_timeout;
        let (mut update, mut orphaned, mut max_slaves, mut this_slaves) = (false, 0, 0, 0);
        let ping_interval = match server.config.cluster_ping_interval {
            0 => timeout / 2,
            ms => ms,
        };
        if ping_interval != self.ping_interval {
            self.ping_interval = ping_interval;
            self.wake_all();
        }
        let now = mstime();
        let (is_slave, my_master) = (self.me().is_slave(), self.me().slaveof);
        // A master that hands over tells its offset often.
        let heir = self
            .manual
            .slave
            .filter(|_| self.manual.end != 0 && !is_slave);
        let others = NodeFlags::MYSELF | NodeFlags::NOADDR | NodeFlags::HANDSHAKE;
        let mut wanting = Vec::new();
        let looked_at = match is_slave || heir.is_some() {
            true => self.ids(),
            false => self.restless(now),
        };
        for id in &looked_at {
            let n = &self[*id];
            if n.has(others) {
                continue;
            }
            if is_slave && n.is_master() && !n.failed() {
                let ok = self.count_non_failing_slaves(n.id);
                if ok == 0 && n.numslots() > 0 && n.has(NodeFlags::MIGRATE_TO) {
                    orphaned += 1;
                }
                max_slaves = max_slaves.max(ok);
                if my_master == Some(n.id) {
                    this_slaves = ok;
                }
            }
            let due = now - n.pong_received > ping_interval;
            if n.ping_sent != 0 || due || heir == Some(n.id) {
                wanting.push(n.id);
            }
        }
        for id in wanting {
            let n = &self[id];
            let ping_delay = now - n.ping_sent;
            let data_delay = now - n.data_received;
            let link = n.link;
            let age = || {
                let link = self.links.get(&link?)?;
                Some(now - link.ctime)
            };
            if n.ping_sent != 0
                && ping_delay > timeout / 2
                && data_delay > timeout / 2
                && age().is_some_and(|age| age > timeout)
            {
                // It may be the connection: another one is made.
                let link = n.link;
                self.close_link(server, link);
            }
            let n = &self[id];
            if let Some(link) = n.link {
                let due = n.ping_sent == 0 && now - n.pong_received > ping_interval;
                if due || heir == Some(id) {
                    self.send_ping(server, link, Kind::Ping);
                    continue;
                }
            }
            let n = &mut self[id];
            if n.ping_sent == 0
                || ping_delay.min(data_delay) <= timeout
                || n.has(NodeFlags::PFAIL | NodeFlags::FAIL)
            {
                continue;
            }
            n.flags |= NodeFlags::PFAIL;
            update = true;
            if self.me().is_master() && self.size == 1 {
                self.mark_node_as_failing_if_needed(server, id);
            } else {
                server_log!(Level::Debug, "*** NODE {} possibly failing", self[id].name);
            }
        }
        for id in looked_at {
            let until = self[id].calm_until(ping_interval);
            self.set_calm(id, until);
        }
        (update, orphaned, max_slaves, this_slaves)
    }

    /// Most masters report a node that does not answer us: it has failed, and all are told (markNodeAsFailingIfNeeded).
    pub(super) fn mark_node_as_failing_if_needed(&mut self, server: &mut Server, id: NodeId) {
        if !self[id].timed_out() || self[id].failed() {
            return;
        }
        let timeout = server.config.cluster_node_timeout;
        let mut failures = self.failure_reports_count(id, mstime(), timeout);
        failures += usize::from(self.me().is_master());
        if failures < self.size / 2 + 1 {
            return;
        }
        server_log!(
            Level::Notice,
            "Marking node {} as failing (quorum reached).",
            self.shown(id)
        );
        let n = &mut self[id];
        n.flags = (n.flags - NodeFlags::PFAIL) | NodeFlags::FAIL;
        n.fail_time = mstime();
        let name = n.name;
        self.send_fail(server, name);
        self.todo |= Todo::SAVE_AND_UPDATE;
    }

    /// A node that has failed answers: it has not, if nobody has taken, or could take, its place (clearNodeFailureIfNeeded).
    pub(super) fn clear_node_failure_if_needed(&mut self, server: &Server, id: NodeId) {
        let n = &self[id];
        let undo = server
            .config
            .cluster_node_timeout
            .saturating_mul(CLUSTER_FAIL_UNDO_TIME_MULT);
        if n.is_slave() || n.slots.is_empty() {
            let what = match n.is_slave() {
                true => "replica",
                false => "master without slots",
            };
            server_log!(
                Level::Notice,
                "Clear FAIL state for node {}:{} is reachable again.",
                self.shown(id),
                what
            );
        } else if n.is_master() && mstime() - n.fail_time > undo {
            server_log!(
                Level::Notice,
                "Clear FAIL state for node {}: is reachable again and nobody is serving its slots after some time.",
                self.shown(id)
            );
        } else {
            return;
        }
        self[id].flags.remove(NodeFlags::FAIL);
        self.todo |= Todo::SAVE_AND_UPDATE;
    }

    /// What events have asked for, once before the loop sleeps (clusterBeforeSleep).
    pub(super) fn before_sleep(&mut self, server: &mut Server) {
        let todo = std::mem::take(&mut self.todo);
        if todo.contains(Todo::HANDLE_MANUALFAILOVER) {
            if self.me().is_slave() {
                self.handle_manual_failover(server);
                self.handle_slave_failover(server);
            }
        } else if todo.contains(Todo::HANDLE_FAILOVER) {
            self.handle_slave_failover(server);
        }
        self.migrate_slots(server);
        if todo.contains(Todo::UPDATE_STATE) {
            self.update_state(server);
        }
        self.todo |= todo & Todo::SAVE_AND_SYNC;
        self.save_config_if_due(server);
        self.write_unsent(server);
    }

    /// To be called before anything leaves.
    pub(super) fn save_config_if_due(&mut self, server: &mut Server) {
        let todo = self.todo & Todo::SAVE_AND_SYNC;
        if todo.contains(Todo::SAVE_CONFIG) {
            self.todo -= todo;
            self.save_config_or_die(server, todo.contains(Todo::FSYNC_CONFIG));
        }
    }

    /// Whether requests for keys are served (clusterUpdateState).
    pub(super) fn update_state(&mut self, server: &Server) {
        self.todo.remove(Todo::UPDATE_STATE);
        let now = mstime();
        if self.first_update == 0 {
            self.first_update = now;
        }
        // A master that comes back may have been replaced: it hears of that first.
        if self.me().is_master() && self.down && now - self.first_update < CLUSTER_WRITABLE_DELAY {
            return;
        }
        let mut down = server.config.cluster_require_full_coverage
            && (0..CLUSTER_SLOTS as u16)
                .any(|slot| self.owner(slot).is_none_or(|n| self[n].failed()));
        let voters = self.nodes().filter(|n| n.is_master() && n.numslots() > 0);
        let (mut size, mut reachable) = (0, 0);
        for n in voters {
            size += 1;
            reachable += usize::from(!n.has(NodeFlags::FAIL | NodeFlags::PFAIL));
        }
        self.size = size;
        if reachable < size / 2 + 1 {
            down = true;
            self.among_minority = now;
        }
        if down == self.down {
            return;
        }
        let rejoin = server
            .config
            .cluster_node_timeout
            .clamp(CLUSTER_MIN_REJOIN_DELAY, CLUSTER_MAX_REJOIN_DELAY);
        if !down && self.me().is_master() && now - self.among_minority < rejoin {
            return;
        }
        let (level, word) = match down {
            true => (Level::Warning, "fail"),
            false => (Level::Notice, "ok"),
        };
        server_log!(level, "Cluster state changed: {}", word);
        self.down = down;
    }
}
