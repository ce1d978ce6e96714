//! Sentinel (sentinel.c): watches masters, their replicas and the other Sentinels, agrees with these on who is down, and puts
//! a replica in the place of a master that is.
//!
//! It is driven by the server's cron (`sentinel_timer`), by what comes on its links, and by its clients. Nothing of a data set
//! is there; what must outlive the process (who is watched, epochs, votes) is in the configuration file, which is written
//! anew at each change, before anybody is told of it. What others have told (who they are, which epochs there are) and what is
//! no promise of ours follows with the next turn of the timer.
//!
//! | file | what it owns |
//! |---|---|
//! | `state`, `instance` | all that is kept, and its invariants |
//! | `config` | `sentinel` lines, read and written |
//! | `link` | connections, and whom a reply is for |
//! | `info`, `hello` | what servers and other Sentinels say |
//! | `judge` | S_DOWN, O_DOWN, TILT |
//! | `election` | epochs and votes |
//! | `failover` | the states below, and the choice of the replica |
//! | `scripts`, `events` | what the user's scripts, the log and subscribers hear |
//! | `commands`, `explain` | SENTINEL, INFO, ROLE and PUBLISH |
//! | `look` | what metrics show |
//!
//! # A failover
//!
//! ```text
//!            O_DOWN, or SENTINEL FAILOVER: a new epoch
//!                          |
//!                          v
//!     .------------- wait_start -----------> not elected in time: given up
//!     |                    | elected, or forced
//!     |                    v
//!     |              select_slave ---------> no replica is fit: given up
//!     |                    |
//!     |                    v
//!     |           send_slaveof_noone ------> it cannot be reached: given up
//!     |                    | REPLICAOF NO ONE to it; COORDINATED: FAILOVER to the master
//!     |                    v
//!     |             wait_promotion --------> it says not that it is a master: given up
//!     |                    | INFO says role:master: the configuration has the failover's epoch, and is in the file
//!     |                    v
//!     |             reconf_slaves            the others are sent to it, a few at a time
//!     |                    | all are, or the time is over
//!     |                    v
//!     |             update_config            the replica is the master in our tables, and the old one a replica
//!     |                    |
//!     '---> none <---------'
//! ```
//!
//! Up to the promotion nothing has changed but epochs. After it, the configuration with the greatest epoch wins: others take it
//! over from our hello, even if this process ends here, for then the promoted replica is found to be a master by the next one
//! that is elected. A failover that hello overtakes (a newer configuration of somebody else) ends with the reset of the master.
//!
//! Invariant: names, hosts and ids that others send are checked before they are kept, and quoted when they are written: nobody
//! on the network writes a line of the configuration.

pub(crate) mod commands;
mod config;
mod election;
mod events;
mod explain;
mod failover;
mod hello;
mod info;
pub(crate) mod instance;
mod judge;
mod link;
mod look;
mod scripts;
pub(crate) mod state;

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::config::value::DeferredLine;
use crate::sentinel::instance::{Expected, FailoverState, Flags, InstanceId, Kind};
use crate::sentinel::state::Sentinel;
use crate::server::Server;
use crate::server_log;

/// Commands that may wait for their replies on one link, for each of its owners (SENTINEL_MAX_PENDING_COMMANDS).
const MAX_PENDING_COMMANDS: usize = 100;
/// The rate of the timer: between this and twice as often a second, at random, so that Sentinels that were started together
/// do not stay in step and split votes for ever.
const HZ: i32 = 10;

impl Server {
    /// Lets the Sentinel work with the server. None: there is none, or it is at work already.
    pub(crate) fn with_sentinel<R>(
        &mut self,
        f: impl FnOnce(&mut Sentinel, &mut Server) -> R,
    ) -> Option<R> {
        let mut s = self.sentinel.take()?;
        let result = f(&mut s, self);
        self.sentinel = Some(s);
        Some(result)
    }

    /// Heeds the `sentinel` lines, at the start.
    ///
    /// # Errors
    /// The line that is at fault, and why.
    pub(crate) fn sentinel_load_config(&mut self) -> Result<(), (DeferredLine, String)> {
        let lines = std::mem::take(&mut self.config.sentinel_lines);
        let loaded = self.with_sentinel(|s, _| {
            s.load_lines(&lines)
                .map_err(|(line, why)| (line.clone(), why))
        });
        loaded.unwrap_or(Ok(()))
    }

    /// Whether the state can be kept; else the log has why not, and there must be no Sentinel (sentinelCheckConfigFile).
    pub(crate) fn sentinel_check_config_file(&self) -> bool {
        let Some(path) = &self.config.configfile else {
            server_log!(
                Level::Warning,
                "Sentinel needs config file on disk to save state. Exiting..."
            );
            return false;
        };
        match std::fs::File::options().append(true).open(path) {
            Ok(_) => true,
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Sentinel config file {} is not writable: {}. Exiting...",
                    path.display(),
                    strerror(&e)
                );
                false
            }
        }
    }

    /// The last step of the start (sentinelIsRunning).
    pub(crate) fn sentinel_is_running(&mut self) {
        self.with_sentinel(|s, server| {
            if s.myid.is_empty() {
                s.myid = String::from_utf8_lossy(&server.random.run_id()).into_owned();
                s.flush_config(server);
            }
            server_log!(Level::Notice, "Sentinel ID is {}", s.myid);
            s.generate_initial_monitor_events(server);
        });
    }

    /// The Sentinel's turn of the cron (sentinelTimer).
    pub(crate) fn sentinel_timer(&mut self) {
        self.with_sentinel(|s, server| s.timer(server));
        self.cron.hz = HZ + self.rng.below(HZ as u64) as i32;
    }
}

impl Sentinel {
    fn timer(&mut self, server: &mut Server) {
        self.check_tilt_condition(server);
        for m in self.masters.values().copied().collect::<Vec<_>>() {
            self.handle_master(server, m);
        }
        if self.unsaved {
            self.flush_config(server);
        }
        self.run_pending_scripts(server);
        self.collect_terminated_scripts(server);
        self.kill_timedout_scripts(server);
    }

    fn handle_master(&mut self, server: &mut Server, m: InstanceId) {
        self.handle_instance(server, m);
        let mut others: Vec<InstanceId> = self[m].slaves.values().copied().collect();
        others.extend(self[m].sentinels.values());
        for id in others {
            self.handle_instance(server, id);
        }
        if self[m].failover_state == FailoverState::UpdateConfig {
            self.failover_switch_to_promoted_slave(server, m);
        }
    }

    /// sentinelHandleRedisInstance.
    fn handle_instance(&mut self, server: &mut Server, id: InstanceId) {
        self.reconnect_instance(server, id);
        self.send_periodic_commands(server, id);
        if self.is_tilted(server) {
            return;
        }
        self.check_subjectively_down(server, id);
        if self[id].kind != Kind::Master {
            return;
        }
        self.check_objectively_down(server, id);
        if self.start_failover_if_needed(server, id) {
            self.ask_master_state_to_other_sentinels(server, id, true);
        }
        self.failover_state_machine(server, id);
        self.ask_master_state_to_other_sentinels(server, id, false);
    }

    /// INFO, PING and hello, each when its time has come (sentinelSendPeriodicCommands).
    fn send_periodic_commands(&mut self, server: &mut Server, id: InstanceId) {
        let now = mstime();
        let link = self.link(id);
        if link.disconnected || link.pending_commands() >= MAX_PENDING_COMMANDS * link.refcount {
            return;
        }
        let i = &self[id];
        // A replica of a master that is down, or that has lost its master, is looked at once a second: it may be chosen.
        let m = &self[self.master_of(id)];
        let closely = i.kind == Kind::Slave
            && (m.has(Flags::O_DOWN | Flags::FAILOVER_IN_PROGRESS) || i.master_link_down_time != 0);
        let info_period = if closely { 1000 } else { self.periods.info };
        let ping_period = i.down_after_period.min(self.periods.ping);
        let wants_info =
            i.kind != Kind::Sentinel && (i.info_refresh == 0 || now - i.info_refresh > info_period);
        let wants_ping =
            now - link.last_pong_time > ping_period && now - link.last_ping_time > ping_period / 2;
        // A master that hands over keeps PUBLISH waiting as it does writes, and with it all that is behind: it would seem dead.
        let wants_hello = now - i.last_pub_time > self.periods.publish && !self.is_handing_over(id);
        if wants_info {
            self.send(server, id, Expected::Info, &[b"INFO"]);
        }
        if wants_ping {
            self.send_ping(server, id);
        }
        if wants_hello {
            self.send_hello(server, id);
        }
    }
}
