//! Redis Cluster (cluster.c): many masters, each with a part of the hash slots, and their replicas; who serves what is agreed on by all,
//! over a bus of their own.
//!
//! It is driven by the server's cron (`cluster_cron`), by what comes on the bus, by its clients, and before the loop sleeps. What must outlive
//! the process is in nodes.conf, which is replaced whenever it changes, before anybody is told what matters.
//!
//! | file | what it owns |
//! |---|---|
//! | `state`, `node` | all that is kept, and its invariants |
//! | `nodes_conf` | the file, read, written and locked |
//! | `links` | connections |
//! | `bus` | what a message does |
//! | `gossip` | what is said in messages |
//! | `health` | who is up, and whether the cluster is; the cron |
//! | `failover` | elections, votes, manual failovers, replicas that move |
//! | `home` | which slots are this node's, for requests in a hurry |
//! | `redirect` | which requests this node serves, and where others go |
//! | `keys` | the keys and channels of a slot |
//! | `migration` | slots that move whole, with their keys |
//! | `commands`, `slots`, `describe` | CLUSTER, INFO |
//!
//! The format of messages is in `wire::cluster`, the hash of a key in `base::key_slot`, the keys of a slot in `ds::slot_index`.
//!
//! Invariant: names, addresses and numbers that others send are checked before they are kept; nobody on the network writes a line of
//! nodes.conf.

mod bus;
pub(crate) mod commands;
mod describe;
mod failover;
mod gossip;
mod health;
pub(crate) mod home;
mod keys;
mod links;
pub(crate) mod migration;
pub(crate) mod node;
mod nodes_conf;
mod redirect;
pub(crate) mod slots;
pub(crate) mod state;

use std::os::fd::AsRawFd;

use crate::ae::Mask;
use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::base::sys::{self, strerror};
use crate::cluster::gossip::{announced_ports, bus_port};
use crate::cluster::links::bus_acceptable;
use crate::cluster::nodes_conf::{CLUSTER_PORT_INCR, lock_config, parse_nodes_conf};
use crate::cluster::state::{BusListener, Cluster, Todo, random_name};
use crate::server::Server;
use crate::server_log;
use crate::wire::cluster::NodeFlags;

impl Server {
    /// Lets the cluster work with the server. None: there is none, or it is at work already.
    pub(crate) fn with_cluster<R>(
        &mut self,
        f: impl FnOnce(&mut Cluster, &mut Server) -> R,
    ) -> Option<R> {
        let mut c = self.cluster.take()?;
        let result = f(&mut c, self);
        if !c.left.is_empty() {
            let left = std::mem::take(&mut c.left);
            self.unsubscribe_channels_of(&left);
        }
        self.cluster = Some(c);
        Some(result)
    }

    /// Takes up nodes.conf, or begins a cluster of one (clusterInit). False: the log has why not, and there must be no node.
    pub(crate) fn cluster_init(&mut self) -> bool {
        let path = sys::path_of(&self.config.cluster_config_file);
        let Some(lock) = lock_config(&path) else {
            return false;
        };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Loading the cluster node config from {}: {}",
                    path.display(),
                    strerror(&e)
                );
                return false;
            }
        };
        let now = mstime();
        let tls = self.config.tls_cluster;
        let loaded = match parse_nodes_conf(&text, &mut self.random, now, tls) {
            Ok(loaded) => loaded,
            Err(bad) => {
                server_log!(
                    Level::Warning,
                    "Unrecoverable error: corrupted cluster config file \"{}\".",
                    bad.0
                );
                return false;
            }
        };
        let is_new = loaded.is_none();
        let mut c = loaded.unwrap_or_else(|| {
            let name = random_name(&mut self.random);
            Cluster::new(name, random_name(&mut self.random), now)
        });
        c.lock = Some(lock);
        let name = c.me().name;
        match is_new {
            true => server_log!(
                Level::Notice,
                "No cluster configuration found, I'm {}",
                name
            ),
            false => server_log!(Level::Notice, "Node configuration loaded, I'm {}", name),
        }
        if is_new && c.save_config(self, true).is_err() {
            server_log!(Level::Warning, "Fatal: can't update cluster config file.");
            return false;
        }
        let port = match tls {
            true => self.config.tls_port,
            false => self.config.port,
        };
        if self.config.cluster_port == 0 && port > u16::MAX - CLUSTER_PORT_INCR {
            server_log!(
                Level::Warning,
                "Redis port number too high. Cluster communication port is 10,000 port numbers higher than your Redis \
                 port. Your Redis port number must be 55535 or less."
            );
            return false;
        }
        if self.config.bind.is_empty() {
            server_log!(
                Level::Warning,
                "No bind address is configured, but it is required for the Cluster bus."
            );
            return false;
        }
        // What a process has left that was ended in the middle of a slot's move.
        let stray = std::mem::take(&mut c.stray);
        self.slot_migrations.stray(stray, c.me().is_master());
        c.todo |= Todo::MIGRATE_SLOTS;
        self.exec.home = Some(c.home.clone());
        self.cluster = Some(Box::new(c));
        self.cluster_update_myself();
        true
    }

    /// Opens the sockets of the bus (clusterInitListeners). False: the log has why not.
    pub(crate) fn cluster_init_listeners(&mut self) -> bool {
        let port = bus_port(self);
        let kind_is_there = match self.config.tls_cluster {
            true => self.config.tls_port != 0,
            false => self.config.port != 0,
        };
        if !kind_is_there {
            let kind = if self.config.tls_cluster {
                "tls"
            } else {
                "tcp"
            };
            server_log!(
                Level::Warning,
                "Missing connection type {}, but it is required for the Cluster bus.",
                kind
            );
            return false;
        }
        let Ok(sockets) = self.listen_to_port(port, &self.config.bind) else {
            server_log!(
                Level::Warning,
                "Failed listening on port {} (cluster), aborting.",
                port
            );
            return false;
        };
        let mut listeners = Vec::new();
        for socket in sockets {
            let Ok(file) = self.el.add_file(socket.as_raw_fd()) else {
                return false;
            };
            self.el
                .create_file_event(file, Mask::READABLE, bus_acceptable, 0);
            listeners.push(BusListener { socket, file });
        }
        self.with_cluster(|c, _| c.listeners = listeners);
        true
    }

    /// No more nodes are accepted: the process ends (closeListeningSockets).
    pub(crate) fn cluster_close_listeners(&mut self) {
        self.with_cluster(|c, server| {
            for l in std::mem::take(&mut c.listeners) {
                server.el.remove_file(l.file);
            }
            // The next process may have the file.
            c.lock = None;
        });
    }

    /// In a forked child: sockets and lock are the parent's.
    pub(crate) fn cluster_close_inherited(&mut self) {
        if let Some(c) = &mut self.cluster {
            drop(std::mem::take(&mut c.listeners));
            c.lock = None;
        }
    }

    /// clusterCron.
    pub(crate) fn cluster_cron(&mut self) {
        self.with_cluster(|c, server| c.cron(server));
    }

    /// clusterBeforeSleep.
    pub(crate) fn cluster_before_sleep(&mut self) {
        let has_work = |c: &Cluster| !c.todo.is_empty() || !c.unsent.is_empty();
        if self.cluster.as_deref().is_some_and(has_work) {
            self.with_cluster(|c, server| c.before_sleep(server));
        }
    }

    /// What a directive says of this node, in its own entry: flags, address, ports, names (clusterUpdateMyself*).
    pub(crate) fn cluster_update_myself(&mut self) {
        self.with_cluster(|c, server| {
            let nofailover = server.config.cluster_replica_no_failover;
            if c.me().has(NodeFlags::NOFAILOVER) != nofailover {
                c.me_mut().flags.set(NodeFlags::NOFAILOVER, nofailover);
                c.todo |= Todo::SAVE_AND_UPDATE;
            }
            let (tcp, tls, bus) = announced_ports(server);
            let me = c.me_mut();
            (me.tcp_port, me.tls_port, me.cport) = (tcp, tls, bus);
            let ip = server.config.cluster_announce_ip.clone();
            if ip != c.announced_ip {
                // None: others see it.
                let text = String::from_utf8_lossy(ip.as_deref().unwrap_or_default());
                c.me_mut().ip = text.chars().take(45).collect();
                c.announced_ip = ip;
            }
            c.update_myself_hostname(server);
            let name = server.config.cluster_announce_human_nodename.as_deref();
            let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
            let me = c.myself;
            c.update_announced_human_nodename(me, &name);
        });
    }

    /// How many connections of the bus there are, or will be (getClusterConnectionsCount).
    pub(crate) fn cluster_connections_count(&self) -> usize {
        self.cluster.as_ref().map_or(0, |c| (c.len() - 1) * 2)
    }

    /// A manual failover is under way: the stream must not move on by itself.
    pub(crate) fn cluster_is_failing_over(&self) -> bool {
        self.cluster.as_ref().is_some_and(|c| c.manual.end != 0)
    }

    /// This node is a master, so that a data set of its own is complete (iAmMaster).
    pub(crate) fn cluster_says_master(&self) -> Option<bool> {
        self.cluster.as_ref().map(|c| c.me().is_master())
    }

    /// PUBLISH and SPUBLISH reach the clients of other nodes (clusterPropagatePublish).
    pub(crate) fn cluster_propagate_publish(
        &mut self,
        channel: &[u8],
        message: &[u8],
        sharded: bool,
    ) {
        self.with_cluster(|c, server| c.propagate_publish(server, channel, message, sharded));
    }
}

impl Cluster {
    /// clusterUpdateMyselfHostname.
    fn update_myself_hostname(&mut self, server: &Server) {
        let name = server.config.cluster_announce_hostname.as_deref();
        let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        let me = self.myself;
        self.update_announced_hostname(me, &name);
    }
}
