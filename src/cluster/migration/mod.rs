//! Slots that move whole, with all their keys and at one moment (CLUSTER MIGRATESLOTS, as Valkey 9 defines it: cluster_migrateslots.c).
//!
//! ```text
//!   source (export)                                              target (import)
//!   connecting, AUTH, SYNCSLOTS ESTABLISH ---------------------> what it has of these slots goes first (cleaning-up)
//!                                         <--------------- +OK   waiting-for-ack
//!   snapshotting: keys as commands, writes behind them --------> receiving-snapshot
//!   SNAPSHOT-EOF ----------------------------------------------> waiting-for-paused
//!   waiting-to-pause <-------------------------- REQUEST-PAUSE
//!   failover-paused: writes to these slots wait; PAUSED -------> failover-requested
//!   failover-granted <----------------------- REQUEST-FAILOVER
//!   FAILOVER-GRANTED ------------------------------------------> a new epoch, the slots are its own, all are told
//!   success: the slots are seen to be the target's              success
//!   the keys go, some in a turn
//! ```
//!
//! - Clients never see ASK: up to the last step the source serves the slots, then MOVED leads to the target.
//! - Whatever fails before the last step leaves the slots and every key where they were; the target deletes what has come.
//! - There is no moment of which the target has a snapshot, and no fork: `export` says how the walk and the writes meet.
//! - Keys that are not served, since they are on their way here or have to go (`hidden`, of them `leaving`), are in no listing, and
//!   neither expire here nor are evicted. nodes.conf has their slots (straySlots), so that a node that was ended in the middle
//!   deletes them at its start.
//!
//! Invariants: a slot is in one job at the most, and in none while SETSLOT has it open; a slot of an import, or one that is leaving, is
//! hidden; a job that has ended is a record and nothing else. Commands of SYNCSLOTS other than ESTABLISH are taken from the
//! client that established an import, and from no other. Steps are made before the loop sleeps, never while a command runs.
//!
//! Replicas of the target get the keys by its stream, and hide what it hides (`replica`): one that is promoted in the middle of an import
//! deletes what has come of it. A replica of another make knows nothing of that and keeps such keys, served by nobody, until the slots
//! come to it.

pub(crate) mod commands;
mod export;
mod import;
mod replica;
pub(crate) mod state;

use crate::base::clock::monotonic_us;
use crate::cluster::node::NodeId;
use crate::cluster::state::{Cluster, Todo};
use crate::server::Server;
use crate::server::keyspace::lookup::Free;
use crate::wire::cluster::slot_set::SlotSet;

/// Microseconds of a turn for all that is done here: while commands come, as many as these have taken of it, within bounds; while none do.
const SHORTEST_STEP_US: u64 = 100;
const LONGEST_STEP_US: u64 = 500;
const IDLE_STEP_US: u64 = 1000;
/// Keys that are deleted between two looks at the clock.
const DELETE_BATCH: usize = 16;

impl Server {
    /// How many keys are here but not served.
    pub(crate) fn hidden_keys(&self) -> usize {
        let slots = self.slot_migrations.hidden.iter();
        slots.map(|slot| self.count_keys_in_slot(slot)).sum()
    }

    /// There is something to do before the loop sleeps.
    fn wake_slot_migrations(&mut self) {
        if let Some(c) = self.cluster.as_deref_mut() {
            c.todo |= Todo::MIGRATE_SLOTS;
        }
    }

    /// DEBUG SLOTMIGRATION PREVENT-PAUSE | PREVENT-FAILOVER 0 | 1
    pub(crate) fn debug_slotmigration(&mut self, what: &[u8], on: bool) -> bool {
        let m = &mut self.slot_migrations;
        if what.eq_ignore_ascii_case(b"prevent-pause") {
            m.prevent_pause = on;
        } else if what.eq_ignore_ascii_case(b"prevent-failover") {
            m.prevent_failover = on;
        } else {
            return false;
        }
        self.wake_slot_migrations();
        true
    }
}

impl Cluster {
    /// The master whose slots these are, if all are one's.
    fn owner_of_all(&self, slots: &SlotSet) -> Option<NodeId> {
        let mut owners = slots.iter().map(|s| self.owner(s));
        let first = owners.next().flatten()?;
        owners.all(|o| o == Some(first)).then_some(first)
    }

    /// The keys of a slot that has left this node, or its master, have to go.
    pub(super) fn slot_is_leaving(&mut self, server: &mut Server, slot: u16) {
        server.slot_migrations.hidden.insert(slot);
        server.slot_migrations.leaving.insert(slot);
        self.todo |= Todo::MIGRATE_SLOTS | Todo::SAVE_CONFIG;
    }

    /// All jobs, once a turn (clusterSlotMigrationCron and what its events do).
    pub(super) fn migrate_slots(&mut self, server: &mut Server) {
        if server.slot_migrations.is_idle() {
            return;
        }
        if server.exec.blocked_depth > 0 {
            // A command is in its middle: what it writes has to come before anything that is said here.
            self.todo |= Todo::MIGRATE_SLOTS;
            return;
        }
        let m = &server.slot_migrations;
        let now = monotonic_us();
        let budget = match server.stats.num_commands != m.commands {
            true => now
                .saturating_sub(server.stats.cycle_start_us)
                .clamp(SHORTEST_STEP_US, LONGEST_STEP_US),
            false => IDLE_STEP_US,
        };
        let until = now + budget;
        let mut more = self.step_exports(server, until);
        self.step_imports(server);
        more |= self.delete_leaving(server, until);
        self.master_has_taken(server);
        self.tell_replicas_what_is_hidden(server);
        if more {
            self.todo |= Todo::MIGRATE_SLOTS;
            server.el.set_dont_wait(true);
        }
        server.exec.clock_stale = true;
        server.slot_migrations.commands = server.stats.num_commands;
    }

    /// Deletes keys that have to go. True: there are more.
    fn delete_leaving(&mut self, server: &mut Server, until: u64) -> bool {
        if server.slot_migrations.leaving.is_empty() {
            return false;
        }
        let master = self.me().is_master();
        let mine = self.master_of(self.myself);
        let free = Free::lazily_if(server.config.lazyfree_lazy_server_del);
        let leaving: Vec<u16> = server.slot_migrations.leaving.iter().collect();
        let mut gone = false;
        for slot in leaving {
            let over = loop {
                if server.count_keys_in_slot(slot) == 0 {
                    break true;
                }
                if !master {
                    // They are its master's to delete, or to keep.
                    break self.owner(slot) == Some(mine);
                }
                if monotonic_us() >= until {
                    break false;
                }
                server.del_some_keys_in_slot(slot, DELETE_BATCH, free);
            };
            if !over {
                if master {
                    break;
                }
                continue;
            }
            gone = true;
            server.slot_migrations.leaving.remove(slot);
        }
        if gone {
            server.slot_migrations.rehide();
            self.todo |= Todo::SAVE_CONFIG;
            self.imports_may_begin(server);
        }
        master && !server.slot_migrations.leaving.is_empty()
    }
}
