//! What CLUSTER says and does about slots: who has them, what is in them (the parts of clusterCommand that do).

use crate::base::key_slot::CLUSTER_SLOTS;
use crate::base::log::Level;
use crate::base::num::string2ll;
use crate::cluster::commands::with;
use crate::cluster::node::NodeId;
use crate::cluster::state::{Cluster, Todo};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::Free;
use crate::server_log;
use crate::wire::cluster::slot_set::{SlotSet, slot_of};

/// Whether slots get an owner or lose it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Delete,
}

/// getSlotOrReply.
fn get_slot_or_reply(server: &mut Server, cid: ClientId, arg: &[u8]) -> Option<u16> {
    let slot = string2ll(arg).and_then(slot_of);
    if slot.is_none() {
        server.add_reply_error(cid, "Invalid or out of range slot");
    }
    slot
}

/// checkSlotAssignmentsOrReply.
fn check_slots_or_reply(
    c: &Cluster,
    server: &mut Server,
    cid: ClientId,
    slots: &mut SlotSet,
    range: (u16, u16),
    change: Change,
) -> Option<()> {
    for slot in range.0..=range.1 {
        let text = match (change, c.owner(slot)) {
            (Change::Delete, None) => format!("Slot {slot} is already unassigned"),
            (Change::Add, Some(_)) => format!("Slot {slot} is already busy"),
            _ if !slots.insert(slot) => format!("Slot {slot} specified multiple times"),
            _ => continue,
        };
        server.add_reply_error(cid, &text);
        return None;
    }
    Some(())
}

/// clusterUpdateSlots.
fn update_slots(c: &mut Cluster, slots: &SlotSet, change: Change) {
    let me = c.myself;
    for slot in slots.iter() {
        c.importing.remove(&slot);
        match change {
            Change::Add => c.add_slot(me, slot),
            Change::Delete => c.del_slot(slot),
        };
    }
    c.todo |= Todo::SAVE_AND_UPDATE;
}

fn change_slots(server: &mut Server, cid: ClientId, args: &Args, change: Change) {
    with(server, cid, |c, server| {
        let mut all = Vec::new();
        for i in 2..args.len() {
            let Some(slot) = get_slot_or_reply(server, cid, &args[i]) else {
                return;
            };
            all.push(slot);
        }
        let mut slots = SlotSet::default();
        for slot in all {
            let range = (slot, slot);
            if check_slots_or_reply(c, server, cid, &mut slots, range, change).is_none() {
                return;
            }
        }
        update_slots(c, &slots, change);
        server.add_reply_ok(cid);
    });
}

fn change_ranges(server: &mut Server, cid: ClientId, args: &Args, change: Change) {
    with(server, cid, |c, server| {
        if args.len() % 2 == 1 {
            return server.add_reply_error_arity(cid);
        }
        let mut slots = SlotSet::default();
        for i in (2..args.len()).step_by(2) {
            let Some(first) = get_slot_or_reply(server, cid, &args[i]) else {
                return;
            };
            let Some(last) = get_slot_or_reply(server, cid, &args[i + 1]) else {
                return;
            };
            if first > last {
                let text =
                    format!("start slot number {first} is greater than end slot number {last}");
                return server.add_reply_error(cid, &text);
            }
            let range = (first, last);
            if check_slots_or_reply(c, server, cid, &mut slots, range, change).is_none() {
                return;
            }
        }
        update_slots(c, &slots, change);
        server.add_reply_ok(cid);
    });
}

/// CLUSTER ADDSLOTS slot [slot ...]
pub(crate) fn addslots_command(server: &mut Server, cid: ClientId, args: &Args) {
    change_slots(server, cid, args, Change::Add);
}

/// CLUSTER DELSLOTS slot [slot ...]
pub(crate) fn delslots_command(server: &mut Server, cid: ClientId, args: &Args) {
    change_slots(server, cid, args, Change::Delete);
}

/// CLUSTER ADDSLOTSRANGE first last [first last ...]
pub(crate) fn addslotsrange_command(server: &mut Server, cid: ClientId, args: &Args) {
    change_ranges(server, cid, args, Change::Add);
}

/// CLUSTER DELSLOTSRANGE first last [first last ...]
pub(crate) fn delslotsrange_command(server: &mut Server, cid: ClientId, args: &Args) {
    change_ranges(server, cid, args, Change::Delete);
}

/// CLUSTER FLUSHSLOTS
pub(crate) fn flushslots_command(server: &mut Server, cid: ClientId, _: &Args) {
    with(server, cid, |c, server| {
        if !server.dbs[0].keys.is_empty() {
            let text = "DB must be empty to perform CLUSTER FLUSHSLOTS.";
            return server.add_reply_error(cid, text);
        }
        let me = c.myself;
        c.del_node_slots(me);
        c.todo |= Todo::SAVE_AND_UPDATE;
        server.add_reply_ok(cid);
    });
}

/// CLUSTER FLUSHSLOT slot [ASYNC | SYNC], as Valkey 9 has it
pub(crate) fn flushslot_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        let free = match args.len() {
            3 => Free::lazily_if(server.config.lazyfree_lazy_user_flush),
            4 if args.is(3, "async") => Free::Lazily,
            4 if args.is(3, "sync") => Free::Now,
            _ => return server.add_reply_syntax_error(cid),
        };
        let Some(slot) = get_slot_or_reply(server, cid, &args[2]) else {
            return;
        };
        if c.me().is_slave() {
            // The keys are its master's to delete.
            return server.add_reply_error(cid, "Please use FLUSHSLOT only with masters.");
        }
        server.del_keys_in_slot(slot, free);
        // Each deletion has told of itself.
        server.prevent_command_propagation();
        server.add_reply_ok(cid);
    });
}

/// CLUSTER SLOT-STATS SLOTSRANGE first last | ORDERBY key-count [LIMIT n] [ASC | DESC], as Valkey 8 has it. What it counts by
/// itself is all that is told: keys.
pub(crate) fn slot_stats_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        let master = c.master_of(c.myself);
        let count = |server: &Server, slot: u16| server.count_keys_in_slot(slot);
        let slots: Vec<u16> = if args.is(2, "slotsrange") && args.len() == 5 {
            let Some(first) = get_slot_or_reply(server, cid, &args[3]) else {
                return;
            };
            let Some(last) = get_slot_or_reply(server, cid, &args[4]) else {
                return;
            };
            if first > last {
                let text =
                    format!("Start slot number {first} is greater than end slot number {last}");
                return server.add_reply_error(cid, &text);
            }
            let mine = c[master].slots.iter();
            mine.filter(|s| (first..=last).contains(s)).collect()
        } else if args.is(2, "orderby") {
            if !args.is(3, "key-count") {
                let text = "Unrecognized sort metric for ORDERBY.";
                return server.add_reply_error(cid, text);
            }
            let Some((limit, descending)) = order_or_reply(server, cid, args) else {
                return;
            };
            let mut slots: Vec<u16> = c[master].slots.iter().collect();
            slots.sort_by_key(|s| {
                let n = count(server, *s) as i64;
                (if descending { -n } else { n }, *s)
            });
            slots.truncate(limit);
            slots
        } else {
            return server.add_reply_subcommand_syntax_error(cid, args);
        };
        server.add_reply_array_len(cid, slots.len());
        for slot in slots {
            let n = count(server, slot);
            server.add_reply_array_len(cid, 2);
            server.add_reply_long_long(cid, i64::from(slot));
            server.clients.add_reply_map_len(cid, 1);
            server.add_reply_bulk(cid, b"key-count");
            server.add_reply_long_long(cid, n as i64);
        }
    });
}

/// How many slots SLOT-STATS ORDERBY tells of, and whether the fullest first.
fn order_or_reply(server: &mut Server, cid: ClientId, args: &Args) -> Option<(usize, bool)> {
    let (mut limit, mut descending) = (None, None);
    let mut i = 4;
    while i < args.len() {
        let twice = if args.is(i, "limit") && i + 1 < args.len() {
            let text = "Limit has to lie in between 1 and 16384 (maximum number of slots).";
            let most = CLUSTER_SLOTS as i64;
            let n = server.get_range_long_or_reply(cid, args, i + 1, 1, most, Some(text))?;
            i += 1;
            limit
                .replace(usize::try_from(n).unwrap_or(CLUSTER_SLOTS))
                .is_some()
        } else if args.is(i, "asc") || args.is(i, "desc") {
            descending.replace(args.is(i, "desc")).is_some()
        } else {
            server.add_reply_syntax_error(cid);
            return None;
        };
        if twice {
            let text = "Multiple filters of the same type are disallowed.";
            server.add_reply_error(cid, text);
            return None;
        }
        i += 1;
    }
    Some((limit.unwrap_or(CLUSTER_SLOTS), descending.unwrap_or(true)))
}

/// CLUSTER COUNTKEYSINSLOT slot
pub(crate) fn countkeysinslot_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |_, server| {
        let Some(slot) = server.get_long_long_or_reply(cid, args, 2) else {
            return;
        };
        match slot_of(slot) {
            Some(slot) => {
                let n = server.count_keys_in_slot(slot);
                server.add_reply_long_long(cid, n as i64);
            }
            None => server.add_reply_error(cid, "Invalid slot"),
        }
    });
}

/// CLUSTER GETKEYSINSLOT slot count
pub(crate) fn getkeysinslot_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |_, server| {
        let Some(slot) = server.get_long_long_or_reply(cid, args, 2) else {
            return;
        };
        let Some(most) = server.get_long_long_or_reply(cid, args, 3) else {
            return;
        };
        let (Some(slot), Ok(most)) = (slot_of(slot), usize::try_from(most)) else {
            return server.add_reply_error(cid, "Invalid slot or number of keys");
        };
        let keys = server.dbs[0].keys.keys_in_slot(slot, most);
        server.add_reply_array_len(cid, keys.len());
        for key in &keys {
            server.add_reply_bulk(cid, key);
        }
    });
}

/// CLUSTER SETSLOT slot IMPORTING node | MIGRATING node | STABLE | NODE node
pub(crate) fn setslot_command(server: &mut Server, cid: ClientId, args: &Args) {
    with(server, cid, |c, server| {
        if c.me().is_slave() {
            let text = "Please use SETSLOT only with masters.";
            return server.add_reply_error(cid, text);
        }
        let Some(slot) = get_slot_or_reply(server, cid, &args[2]) else {
            return;
        };
        let n = args.len();
        let me = c.myself;
        let opens = n == 5 && (args.is(3, "migrating") || args.is(3, "importing"));
        let m = &server.slot_migrations;
        if opens && !m.imports.is_empty() {
            return server.add_reply_error(cid, "Slot import in progress.");
        }
        if opens && !m.exports.is_empty() {
            return server.add_reply_error(cid, "Slot export in progress.");
        }
        let target = |c: &Cluster, server: &mut Server, unknown: &str| {
            let Some(id) = c.lookup_bytes(&args[4]) else {
                let text = [unknown.as_bytes(), b" ", &args[4]].concat();
                server.add_reply_error_bytes(cid, &text);
                return None;
            };
            if c[id].is_slave() {
                server.add_reply_error(cid, "Target node is not a master");
                return None;
            }
            Some(id)
        };
        if n == 5 && args.is(3, "migrating") {
            if c.owner(slot) != Some(me) {
                let text = format!("I'm not the owner of hash slot {slot}");
                return server.add_reply_error(cid, &text);
            }
            let Some(to) = target(c, server, "I don't know about node") else {
                return;
            };
            c.migrating.insert(slot, to);
        } else if n == 5 && args.is(3, "importing") {
            if c.owner(slot) == Some(me) {
                let text = format!("I'm already the owner of hash slot {slot}");
                return server.add_reply_error(cid, &text);
            }
            let Some(from) = target(c, server, "I don't know about node") else {
                return;
            };
            c.importing.insert(slot, from);
        } else if n == 4 && args.is(3, "stable") {
            c.importing.remove(&slot);
            c.migrating.remove(&slot);
        } else if n == 5 && args.is(3, "node") {
            let Some(to) = target(c, server, "Unknown node") else {
                return;
            };
            if !c.set_slot_node(server, cid, slot, to) {
                return;
            }
        } else {
            let text = "Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP";
            return server.add_reply_error(cid, text);
        }
        c.todo |= Todo::SAVE_AND_UPDATE;
        server.add_reply_ok(cid);
    });
}

impl Cluster {
    /// The end of a slot's move, on either side. False: it was refused, and the client knows why.
    fn set_slot_node(&mut self, server: &mut Server, cid: ClientId, slot: u16, to: NodeId) -> bool {
        let me = self.myself;
        let was_mine = self.owner(slot) == Some(me);
        let is_empty = server.count_keys_in_slot(slot) == 0;
        if was_mine && to != me && !is_empty {
            let text = format!(
                "Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
            );
            server.add_reply_error(cid, &text);
            return false;
        }
        if is_empty {
            self.migrating.remove(&slot);
        }
        self.del_slot(slot);
        self.add_slot(to, slot);
        if was_mine
            && to != me
            && self.me().slots.is_empty()
            && server.config.cluster_allow_replica_migration
        {
            server_log!(
                Level::Notice,
                "Configuration change detected. Reconfiguring myself as a replica of {}",
                self.shown(to)
            );
            self.set_master(server, to);
            self.todo |= Todo::ALL_OF_CONFIG;
        }
        if to == me && self.importing.remove(&slot).is_some() {
            // Others believe in the newest epoch.
            if self.bump_config_epoch(Level::Notice) {
                server_log!(
                    Level::Notice,
                    "configEpoch updated after importing slot {}",
                    slot
                );
            }
            self.tell_all(server);
        }
        true
    }
}
