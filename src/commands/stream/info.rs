//! XINFO.

use super::Reply;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{At, Lookup, Replied};
use crate::store::stream::{
    Consumer, Group, SCG_INVALID_ENTRIES_READ, Stream, StreamData, StreamId, StreamMeta,
};

const HELP: &[&str] = &[
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
];

/// XINFO HELP
pub(crate) fn xinfo_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, HELP);
}

/// Where the stream at argument 2 is, or an error to the client.
fn stream_or_reply(server: &mut Server, cid: ClientId, args: &Args) -> Result<At, Replied> {
    match server.lookup_typed::<Stream>(cid, &args[2], Lookup::READ)? {
        Some(at) => Ok(at),
        None => {
            server.add_reply_no_such_key(cid);
            Err(Replied)
        }
    }
}

/// XINFO CONSUMERS key group
pub(crate) fn xinfo_consumers_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(at) = stream_or_reply(server, cid, args) else {
        return;
    };
    let now = server.command_time_ms();
    let mut reply = Reply::new(server, cid);
    let Some(s) = at.value::<Stream>(&server.dbs) else {
        return;
    };
    match s.0.lookup_cg(&args[3]) {
        Some(group) => consumers(&mut reply, group, now),
        None => return server.reply_no_group(cid, &args[2], &args[3]),
    }
    reply.send(server, cid);
}

/// XINFO GROUPS key
pub(crate) fn xinfo_groups_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(at) = stream_or_reply(server, cid, args) else {
        return;
    };
    let mut reply = Reply::new(server, cid);
    let Some(s) = at.value::<Stream>(&server.dbs) else {
        return;
    };
    reply.array(s.0.groups().len());
    for group in s.0.groups() {
        group_line(&mut reply, &s.0.meta, group);
    }
    reply.send(server, cid);
}

/// `XINFO STREAM key [FULL [COUNT count]]`
pub(crate) fn xinfo_stream_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(at) = stream_or_reply(server, cid, args) else {
        return;
    };
    let Some(full) = server.full_count_or_reply(cid, args) else {
        return;
    };
    let mut reply = Reply::new(server, cid);
    let Some(s) = at.value::<Stream>(&server.dbs) else {
        return;
    };
    stream_info(&mut reply, &s.0, full);
    reply.send(server, cid);
}

impl Server {
    /// How much XINFO STREAM shows with FULL (0: everything); `Some(None)` without it.
    fn full_count_or_reply(&mut self, cid: ClientId, args: &Args) -> Option<Option<usize>> {
        const DEFAULT: usize = 10;
        match args.len() {
            3 => Some(None),
            4 if args.is(3, "full") => Some(Some(DEFAULT)),
            6 if args.is(3, "full") && args.is(4, "count") => {
                let n = self.get_long_long_or_reply(cid, args, 5)?;
                Some(Some(usize::try_from(n).unwrap_or(DEFAULT)))
            }
            _ => {
                self.add_reply_subcommand_syntax_error(cid, args);
                None
            }
        }
    }
}

fn consumers(reply: &mut Reply, group: &Group, now: i64) {
    reply.array(group.consumers_len());
    for c in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(c.name());
        reply.bulk(b"pending");
        reply.int(c.pel().len() as i64);
        reply.bulk(b"idle");
        reply.int(now.wrapping_sub(c.seen_time).max(0));
        reply.bulk(b"inactive");
        reply.int(match c.active_time {
            -1 => -1,
            t => now.wrapping_sub(t),
        });
    }
}

/// How far the group has read, where that is known.
fn entries_read(group: &Group) -> Option<i64> {
    (group.entries_read != SCG_INVALID_ENTRIES_READ).then_some(group.entries_read)
}

fn group_line(reply: &mut Reply, meta: &StreamMeta, group: &Group) {
    reply.map(6);
    reply.bulk(b"name");
    reply.bulk(group.name());
    reply.bulk(b"consumers");
    reply.int(group.consumers_len() as i64);
    reply.bulk(b"pending");
    reply.int(group.pel().len() as i64);
    reply.bulk(b"last-delivered-id");
    reply.id(group.last_id);
    reply.bulk(b"entries-read");
    reply.null_or_int(entries_read(group));
    reply.bulk(b"lag");
    reply.null_or_int(meta.lag(group));
}

/// XINFO STREAM; `full` is how many entries and pending entries of each kind FULL shows at the most, 0 for all
/// (xinfoReplyWithStreamInfo).
fn stream_info(reply: &mut Reply, s: &StreamData, full: Option<usize>) {
    let m = &s.meta;
    reply.map(if full.is_some() { 9 } else { 10 });
    reply.bulk(b"length");
    reply.int(m.length as i64);
    reply.bulk(b"radix-tree-keys");
    reply.int(s.nodes().len() as i64);
    reply.bulk(b"radix-tree-nodes");
    reply.int(s.nodes().radix_tree_nodes() as i64);
    reply.bulk(b"last-generated-id");
    reply.id(m.last_id);
    reply.bulk(b"max-deleted-entry-id");
    reply.id(m.max_deleted_entry_id);
    reply.bulk(b"entries-added");
    reply.int(m.entries_added as i64);
    reply.bulk(b"recorded-first-entry-id");
    reply.id(m.first_id);
    let range = |rev| s.range(StreamId::MIN, StreamId::MAX, rev);
    match full {
        None => {
            reply.bulk(b"groups");
            reply.int(s.groups().len() as i64);
            for (name, rev) in [("first-entry", false), ("last-entry", true)] {
                reply.bulk(name.as_bytes());
                match range(rev).next() {
                    Some(item) => reply.item(&item),
                    None => reply.null(),
                }
            }
        }
        Some(count) => {
            reply.bulk(b"entries");
            reply.deferred_array(|r| r.items(range(false), count));
            reply.bulk(b"groups");
            reply.array(s.groups().len());
            for group in s.groups() {
                full_group(reply, m, group, count);
            }
        }
    }
}

/// At most `count` of `n`, unless `count` is 0.
fn limited(n: usize, count: usize) -> usize {
    if count == 0 { n } else { n.min(count) }
}

fn full_group(reply: &mut Reply, meta: &StreamMeta, group: &Group, count: usize) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(group.name());
    reply.bulk(b"last-delivered-id");
    reply.id(group.last_id);
    reply.bulk(b"entries-read");
    reply.null_or_int(entries_read(group));
    reply.bulk(b"lag");
    reply.null_or_int(meta.lag(group));
    reply.bulk(b"pel-count");
    reply.int(group.pel().len() as i64);
    reply.bulk(b"pending");
    let shown = limited(group.pel().len(), count);
    reply.array(shown);
    for (id, nack) in group.pel().iter().take(shown) {
        reply.array(4);
        reply.id(id);
        reply.bulk(group.consumer(nack.consumer()).name());
        reply.int(nack.delivery_time);
        reply.int(nack.delivery_count as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers_len());
    for c in group.consumers() {
        full_consumer(reply, group, c, count);
    }
}

fn full_consumer(reply: &mut Reply, group: &Group, c: &Consumer, count: usize) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(c.name());
    reply.bulk(b"seen-time");
    reply.int(c.seen_time);
    reply.bulk(b"active-time");
    reply.int(c.active_time);
    reply.bulk(b"pel-count");
    reply.int(c.pel().len() as i64);
    reply.bulk(b"pending");
    reply.deferred_array(|r| {
        let shown = limited(c.pel().len(), count);
        let nacks = c.pel().iter().take(shown);
        let mut n = 0;
        for (id, nack) in nacks.filter_map(|(id, ())| Some((id, group.pel().get(id)?))) {
            r.array(3);
            r.id(id);
            r.int(nack.delivery_time);
            r.int(nack.delivery_count as i64);
            n += 1;
        }
        n
    });
}
