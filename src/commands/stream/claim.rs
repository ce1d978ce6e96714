//! XCLAIM and XAUTOCLAIM: pending entries change hands.
//!
//! Both are propagated as one XCLAIM for each entry that they touched, with the NACK as it is then. An entry that is gone
//! from the stream leaves the pending ones too.

use super::{Effects, Reply, parse_strict_id, up_to_nul};
use crate::ds::idmap::STREAM_ID_STR_LEN;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{At, Lookup};
use crate::server::keyspace::notify::NOTIFY_STREAM;
use crate::store::stream::{Stream, StreamId, StreamIter};

/// The options of XCLAIM.
#[derive(Default)]
struct ClaimOptions {
    force: bool,
    justid: bool,
    delivery_time: Option<i64>,
    retry_count: Option<u64>,
    last_id: StreamId,
}

impl Server {
    /// The stream at `key`, if it has the group; else an error to the client.
    fn lookup_group_or_reply(&mut self, cid: ClientId, key: &[u8], group: &[u8]) -> Option<At> {
        let at = self.lookup_typed::<Stream>(cid, key, Lookup::READ).ok()?;
        let found = at.filter(|at| {
            let s = at.value::<Stream>(&self.dbs);
            s.is_some_and(|s| s.0.lookup_cg(group).is_some())
        });
        if found.is_none() {
            self.reply_no_key_or_group(cid, key, group, "");
        }
        found
    }
}

/// `XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-ms] [RETRYCOUNT count] [FORCE] [JUSTID]`
/// [LASTID id]
pub(crate) fn xclaim_command(server: &mut Server, cid: ClientId, args: &Args) {
    let (key, group_name, consumer_name) = (&args[1], &args[2], &args[3]);
    let db = server.client_db(cid);
    let Some(at) = server.lookup_group_or_reply(cid, key, group_name) else {
        return;
    };
    let text = "Invalid min-idle-time argument for XCLAIM";
    let Some(min_idle) = server.long_long_or_text(cid, args, 4, text) else {
        return;
    };
    let ids: Vec<StreamId> = (5..args.len())
        .map_while(|i| parse_strict_id(&args[i], 0))
        .collect();
    let now = server.command_time_ms();
    let Some(options) = server.xclaim_options_or_reply(cid, args, 5 + ids.len(), now) else {
        return;
    };
    // A time that makes no sense counts as now: clients reckon from clocks of their own.
    let delivery_time = options
        .delivery_time
        .filter(|t| (0..=now).contains(t))
        .unwrap_or(now);
    let mut effects = Effects::new(server);
    let mut reply = Reply::new(server, cid);
    let Some(mut s) = at.value_mut::<Stream>(&mut server.dbs) else {
        return;
    };
    let Some((nodes, _, group)) = s.0.split_for_group(group_name) else {
        return;
    };
    // It goes along with an XCLAIM, if there is one.
    let mut propagate_last_id = options.last_id > group.last_id;
    group.last_id = group.last_id.max(options.last_id);
    let mut dirty = 0;
    let (consumer, created) = match group.lookup_consumer(consumer_name) {
        Some(c) => (Some(c), false),
        None => (group.create_consumer(consumer_name, now), true),
    };
    let Some(consumer) = consumer else {
        return;
    };
    group.consumer_mut(consumer).seen_time = now;
    reply.deferred_array(|r| {
        let mut n = 0;
        for (i, &id) in ids.iter().enumerate() {
            let word = &args[5 + i];
            let Some(item) = StreamIter::new(nodes, id, id, false).next() else {
                if let Some(nack) = group.pel().get(id) {
                    effects.xclaim(key, group, word, nack);
                    propagate_last_id = false;
                    dirty += 1;
                    group.acknowledge(id);
                }
                continue;
            };
            match group.pel().get(id) {
                Some(nack) => {
                    if min_idle > 0 && now.wrapping_sub(nack.delivery_time) < min_idle {
                        continue;
                    }
                }
                None if options.force => {
                    group.load_nack(id, now, 1);
                }
                None => continue,
            }
            let nack = group.claim(id, consumer, |nack| {
                nack.delivery_time = delivery_time;
                match options.retry_count {
                    Some(count) => nack.delivery_count = count,
                    None if options.justid => {}
                    None => nack.delivery_count = nack.delivery_count.wrapping_add(1),
                }
            });
            if options.justid {
                r.id(id);
            } else {
                r.item(&item);
            }
            n += 1;
            group.consumer_mut(consumer).active_time = now;
            if let Some(nack) = nack {
                effects.xclaim(key, group, word, &nack);
            }
            propagate_last_id = false;
            dirty += 1;
        }
        n
    });
    if propagate_last_id {
        effects.group_id(key, group);
        dirty += 1;
    }
    drop(s);
    server.dirty += dirty + i64::from(created);
    if created {
        server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-createconsumer", key, db);
    }
    server.propagate_effects(db, effects);
    reply.send(server, cid);
    server.prevent_command_propagation();
}

impl Server {
    fn xclaim_options_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        from: usize,
        now: i64,
    ) -> Option<ClaimOptions> {
        let mut o = ClaimOptions::default();
        let mut i = from;
        while i < args.len() {
            let more = i + 1 < args.len();
            if args.is(i, "force") {
                o.force = true;
            } else if args.is(i, "justid") {
                o.justid = true;
            } else if args.is(i, "idle") && more {
                i += 1;
                let text = "Invalid IDLE option argument for XCLAIM";
                let idle = self.long_long_or_text(cid, args, i, text)?;
                o.delivery_time = Some(now.wrapping_sub(idle));
            } else if args.is(i, "time") && more {
                i += 1;
                let text = "Invalid TIME option argument for XCLAIM";
                o.delivery_time = Some(self.long_long_or_text(cid, args, i, text)?);
            } else if args.is(i, "retrycount") && more {
                i += 1;
                let text = "Invalid RETRYCOUNT option argument for XCLAIM";
                o.retry_count = u64::try_from(self.long_long_or_text(cid, args, i, text)?).ok();
            } else if args.is(i, "lastid") && more {
                i += 1;
                o.last_id = self.strict_id_or_reply(cid, &args[i])?;
            } else {
                let text: [&[u8]; 3] = [b"Unrecognized XCLAIM option '", up_to_nul(&args[i]), b"'"];
                self.add_reply_error_bytes(cid, &text.concat());
                return None;
            }
            i += 1;
        }
        Some(o)
    }
}

/// How many pending entries XAUTOCLAIM looks at for each one that it may claim.
const ATTEMPTS_FACTOR: i64 = 10;

/// `XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]`
pub(crate) fn xautoclaim_command(server: &mut Server, cid: ClientId, args: &Args) {
    let (key, group_name, consumer_name) = (&args[1], &args[2], &args[3]);
    let text = "Invalid min-idle-time argument for XAUTOCLAIM";
    let Some(min_idle) = server.long_long_or_text(cid, args, 4, text) else {
        return;
    };
    let Some(start) = server.interval_start_or_reply(cid, &args[5]) else {
        return;
    };
    let mut count = 100;
    let mut justid = false;
    let mut i = 6;
    while i < args.len() {
        if args.is(i, "count") && i + 1 < args.len() {
            i += 1;
            let max = i64::MAX / 16;
            let text = Some("COUNT must be > 0");
            match server.get_range_long_or_reply(cid, args, i, 1, max, text) {
                Some(n) => count = n,
                None => return,
            }
        } else if args.is(i, "justid") {
            justid = true;
        } else {
            return server.add_reply_syntax_error(cid);
        }
        i += 1;
    }
    let db = server.client_db(cid);
    let Some(at) = server.lookup_group_or_reply(cid, key, group_name) else {
        return;
    };
    let now = server.command_time_ms();
    let mut effects = Effects::new(server);
    let mut claimed = Reply::new(server, cid);
    let Some(mut s) = at.value_mut::<Stream>(&mut server.dbs) else {
        return;
    };
    let Some((nodes, _, group)) = s.0.split_for_group(group_name) else {
        return;
    };
    let (consumer, created) = match group.lookup_consumer(consumer_name) {
        Some(c) => (Some(c), false),
        None => (group.create_consumer(consumer_name, now), true),
    };
    let Some(consumer) = consumer else {
        return;
    };
    group.consumer_mut(consumer).seen_time = now;
    let mut dirty = 0;
    let mut deleted = Vec::new();
    let mut attempts = count.saturating_mul(ATTEMPTS_FACTOR);
    let mut at = group.pel().at_or_after(start);
    claimed.deferred_array(|r| {
        let mut n = 0;
        while attempts > 0 && count > 0 {
            attempts -= 1;
            let Some(p) = at else {
                break;
            };
            let (id, &nack) = group.pel().at(p);
            let mut text = [0; STREAM_ID_STR_LEN];
            let Some(item) = StreamIter::new(nodes, id, id, false).next() else {
                effects.xclaim(key, group, id.text(&mut text), &nack);
                dirty += 1;
                group.acknowledge(id);
                deleted.push(id);
                at = group.pel().at_or_after(id);
                count -= 1;
                continue;
            };
            at = group.pel().next(p);
            if min_idle > 0 && now.wrapping_sub(nack.delivery_time) < min_idle {
                continue;
            }
            let nack = group.claim(id, consumer, |nack| {
                nack.delivery_time = now;
                if !justid {
                    nack.delivery_count = nack.delivery_count.wrapping_add(1);
                }
            });
            if justid {
                r.id(id);
            } else {
                r.item(&item);
            }
            n += 1;
            count -= 1;
            group.consumer_mut(consumer).active_time = now;
            if let Some(nack) = nack {
                effects.xclaim(key, group, id.text(&mut text), &nack);
            }
            dirty += 1;
        }
        n
    });
    let end = at.map_or(StreamId::MIN, |p| group.pel().at(p).0);
    drop(s);
    let mut reply = Reply::new(server, cid);
    reply.array(3);
    reply.id(end);
    reply.buf.append(&mut claimed.buf);
    reply.array(deleted.len());
    for id in deleted {
        reply.id(id);
    }
    server.dirty += dirty + i64::from(created);
    if created {
        server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-createconsumer", key, db);
    }
    server.propagate_effects(db, effects);
    reply.send(server, cid);
    server.prevent_command_propagation();
}
