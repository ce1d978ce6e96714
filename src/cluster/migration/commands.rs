//! CLUSTER MIGRATESLOTS, CANCELSLOTMIGRATIONS, GETSLOTMIGRATIONS and SYNCSLOTS: arguments in, replies out. Their texts are Valkey's.

use crate::base::log::Level;
use crate::base::num::string2ll;
use crate::cluster::commands::with;
use crate::cluster::migration::state::{End, Export, JobState, Operation, Record};
use crate::cluster::node::NodeId;
use crate::cluster::state::{Cluster, Todo, random_name};
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server_log;
use crate::wire::cluster::name::Name;
use crate::wire::cluster::slot_set::{SlotSet, slot_of};

/// Ranges of slots that one node serves.
struct Ranges {
    slots: SlotSet,
    owner: NodeId,
    /// The argument behind them.
    next: usize,
}

/// Reads ranges from argument `from` on, up to one that is no number (parseSlotRangesOrReply).
///
/// # Errors
/// What the client is told.
fn slot_ranges(c: &Cluster, args: &Args<'_>, from: usize) -> Result<Ranges, String> {
    let mut slots = SlotSet::default();
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    let mut owner = None;
    let mut i = from;
    while i < args.len() && string2ll(&args[i]).is_some() {
        let slot = |i: usize| {
            let slot = args.get(i).and_then(string2ll).and_then(slot_of);
            slot.ok_or_else(|| "Invalid or out of range slot".to_string())
        };
        let first = slot(i)?;
        if i + 1 >= args.len() {
            return Err("No end slot for final slot range".into());
        }
        let last = slot(i + 1)?;
        if first > last {
            return Err(format!(
                "Start slot number {first} is greater than end slot number {last}."
            ));
        }
        for s in first..=last {
            let Some(node) = c.owner(s) else {
                return Err(format!("Slot {s} has no node served."));
            };
            if owner.replace(node).is_some_and(|o| o != node) {
                return Err("Requested slots span multiple shards".into());
            }
        }
        if let Some((a, b)) = ranges.iter().find(|(a, b)| last >= *a && first <= *b) {
            return Err(format!(
                "Slot range {first}-{last} overlaps with previous range {a}-{b}."
            ));
        }
        ranges.push((first, last));
        for s in first..=last {
            slots.insert(s);
        }
        i += 2;
    }
    match owner {
        Some(owner) => Ok(Ranges {
            slots,
            owner,
            next: i,
        }),
        None => Err("No slot ranges specified".into()),
    }
}

/// Replies an error, which [`SYNTAX`] stands for too.
fn refuse(server: &mut Server, cid: ClientId, why: &str) {
    match why {
        SYNTAX => server.add_reply_syntax_error(cid),
        why => server.add_reply_error(cid, why),
    }
}

const SYNTAX: &str = "syntax error";

/// CLUSTER MIGRATESLOTS SLOTSRANGE first last [first last ...] NODE node [SLOTSRANGE ...]
pub(crate) fn migrateslots_command(server: &mut Server, cid: ClientId, args: &Args<'_>) {
    with(server, cid, |c, server| {
        match wanted_exports(c, server, args) {
            Err(why) => refuse(server, cid, &why),
            Ok(jobs) => {
                server.begin_to_keep_stream();
                let client = server.client_log_string(cid);
                let now = server.clock.unix_s;
                for (slots, target) in jobs {
                    let name = random_name(&mut server.random);
                    let id = server.slot_migrations.next_export_id();
                    let target = (target, c[target].name);
                    let export = Export::new(id, name, c.me().name, target, slots, now);
                    server_log!(
                        Level::Notice,
                        "Slot migration initiated through CLUSTER MIGRATESLOTS command: {} (user request from '{}')",
                        export.record.description(),
                        client
                    );
                    server.slot_migrations.exports.push(export);
                }
                c.todo |= Todo::MIGRATE_SLOTS;
                server.add_reply_ok(cid);
            }
        }
    });
}

fn wanted_exports(
    c: &Cluster,
    server: &Server,
    args: &Args<'_>,
) -> Result<Vec<(SlotSet, NodeId)>, String> {
    if c.me().is_slave() {
        return Err("Slot migration can only be used on primary nodes.".into());
    }
    if !c.importing.is_empty() {
        return Err("Slots are being manually imported".into());
    }
    if !c.migrating.is_empty() {
        return Err("Slots are being manually migrated".into());
    }
    let mut jobs: Vec<(SlotSet, NodeId)> = Vec::new();
    let mut i = 2;
    while i < args.len() {
        if !args.is(i, "slotsrange") {
            return Err(SYNTAX.into());
        }
        let ranges = slot_ranges(c, args, i + 1)?;
        if ranges.owner != c.myself {
            return Err("Slots are not served by this node.".into());
        }
        let busy = |s: &u16| server.slot_migrations.exporting(*s);
        if let Some(s) = ranges.slots.iter().find(busy) {
            return Err(format!("I am already migrating slot {s}."));
        }
        let overlap = |other: &SlotSet| ranges.slots.iter().any(|s| other.contains(s));
        if jobs.iter().any(|(other, _)| overlap(other)) {
            return Err("Slot ranges in migrations overlap".into());
        }
        i = ranges.next;
        if i + 1 >= args.len() || !args.is(i, "node") {
            return Err(SYNTAX.into());
        }
        let shown = || String::from_utf8_lossy(&args[i + 1]).into_owned();
        let Some(name) = Name::parse(&args[i + 1]) else {
            return Err(format!("Invalid node name: {}", shown()));
        };
        let Some(target) = c.lookup(name) else {
            return Err(format!("Unknown node name: {}", shown()));
        };
        if target == c.myself {
            return Err("Target node can not be this node.".into());
        }
        jobs.push((ranges.slots, target));
        i += 2;
    }
    Ok(jobs)
}

/// CLUSTER CANCELSLOTMIGRATIONS
pub(crate) fn cancelslotmigrations_command(server: &mut Server, cid: ClientId, _: &Args<'_>) {
    with(server, cid, |c, server| {
        let mut some = false;
        // Of one whose slots the target may have taken only time can tell.
        let open = |e: &&mut Export| e.record.state != JobState::FailoverGranted;
        for e in server.slot_migrations.exports.iter_mut().filter(open) {
            e.end.get_or_insert(End::Cancelled);
            some = true;
        }
        if !some {
            return server.add_reply_error(cid, "No migrations ongoing");
        }
        let client = server.client_log_string(cid);
        server_log!(
            Level::Notice,
            "Canceled all in progress slot migrations (user request from '{}')",
            client
        );
        c.migrate_slots(server);
        server.add_reply_ok(cid);
    });
}

/// CLUSTER GETSLOTMIGRATIONS
pub(crate) fn getslotmigrations_command(server: &mut Server, cid: ClientId, _: &Args<'_>) {
    with(server, cid, |_, server| {
        let m = &server.slot_migrations;
        let exports = m.exports.iter().rev();
        let exports = exports.map(|e| (e.record.clone(), e.pending()));
        let imports = m.imports.iter().rev().map(|i| (i.record.clone(), 0));
        let ended = m.log.iter().map(|r| (r.clone(), 0));
        let all: Vec<_> = exports.chain(imports).chain(ended).collect();
        server.add_reply_array_len(cid, all.len());
        for (record, pending) in all {
            reply_record(server, cid, &record, pending);
        }
    });
}

fn reply_record(server: &mut Server, cid: ClientId, r: &Record, pending: usize) {
    let operation = match r.operation {
        Operation::Export => "EXPORT",
        Operation::Import => "IMPORT",
    };
    let texts = |server: &mut Server, pairs: &[(&str, &[u8])]| {
        for (name, value) in pairs {
            server.add_reply_bulk(cid, name.as_bytes());
            server.add_reply_bulk(cid, value);
        }
    };
    let numbers = |server: &mut Server, pairs: &[(&str, i64)]| {
        for (name, value) in pairs {
            server.add_reply_bulk(cid, name.as_bytes());
            server.add_reply_long_long(cid, *value);
        }
    };
    server.clients.add_reply_map_len(cid, 12);
    let ranges = r.slots.text(" ");
    texts(
        server,
        &[
            ("name", r.name.as_bytes()),
            ("operation", operation.as_bytes()),
            ("slot_ranges", ranges.as_bytes()),
            ("target_node", r.target.as_bytes()),
            ("source_node", r.source.as_bytes()),
        ],
    );
    numbers(
        server,
        &[
            ("create_time", r.created),
            ("last_update_time", r.updated),
            ("last_ack_time", r.acked),
        ],
    );
    texts(
        server,
        &[
            ("state", r.state.word().as_bytes()),
            ("message", r.message.as_bytes()),
        ],
    );
    // Nothing is copied: there is no fork.
    numbers(
        server,
        &[("cow_size", 0), ("remaining_repl_size", pending as i64)],
    );
}

/// CLUSTER SYNCSLOTS ESTABLISH SOURCE node NAME name SLOTSRANGE first last [first last ...], and what is said on that connection
pub(crate) fn syncslots_command(server: &mut Server, cid: ClientId, args: &Args<'_>) {
    if server.is_master_client(cid) {
        with(server, cid, |c, server| c.hear_master(server, args));
        return;
    }
    with(server, cid, |c, server| {
        if args.is(2, "establish") {
            return match wanted_import(c, server, cid, args) {
                Err(why) => refuse(server, cid, &why),
                Ok((name, source, slots)) => c.begin_import(server, cid, name, source, slots),
            };
        }
        let known = [
            "snapshot-eof",
            "request-pause",
            "paused",
            "request-failover",
            "failover-granted",
            "ack",
        ];
        if server.hear_source(cid, &args[2]) {
            return;
        }
        match known.iter().find(|w| args.is(2, w)) {
            Some(word) => {
                let word = word.to_ascii_uppercase();
                let text = format!(
                    "CLUSTER SYNCSLOTS {word} should only be used by slot migration clients"
                );
                server.add_reply_error(cid, &text);
            }
            None => server.add_reply_syntax_error(cid),
        }
    });
}

fn wanted_import(
    c: &Cluster,
    server: &Server,
    cid: ClientId,
    args: &Args<'_>,
) -> Result<(Name, NodeId, SlotSet), String> {
    if c.me().is_slave() {
        return Err("Target node is not a primary".into());
    }
    if !c.importing.is_empty() || !c.migrating.is_empty() {
        return Err("A slot on the target node is being manually imported or migrated".into());
    }
    let client = server.clients.get(cid);
    if client.is_some_and(|c| c.has(ClientFlags::IMPORT)) {
        return Err("Slot migration client is already a slot migration job".into());
    }
    let (mut source, mut name, mut ranges) = (None, None, None);
    let mut i = 3;
    while i < args.len() {
        let value = args.get(i + 1).and_then(Name::parse);
        if args.is(i, "source") && source.is_none() {
            let known = c.lookup(value.ok_or(SYNTAX)?);
            let node = known.ok_or("Target node does not know the source node")?;
            if node == c.myself {
                return Err("Source node is target node itself".into());
            }
            source = Some(node);
            i += 2;
        } else if args.is(i, "name") && name.is_none() {
            name = Some(value.ok_or(SYNTAX)?);
            i += 2;
        } else if args.is(i, "slotsrange") && ranges.is_none() {
            let r = slot_ranges(c, args, i + 1)?;
            if r.slots.iter().any(|s| server.slot_migrations.importing(s)) {
                return Err(
                    "Slot is already being imported on the target by a different migration".into(),
                );
            }
            i = r.next;
            ranges = Some(r);
        } else {
            return Err(SYNTAX.into());
        }
    }
    let (Some(source), Some(name), Some(ranges)) = (source, name, ranges) else {
        return Err(SYNTAX.into());
    };
    if source != ranges.owner {
        return Err("Target node does not agree about current slot ownership".into());
    }
    Ok((name, source, ranges.slots))
}
