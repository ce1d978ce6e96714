//! XACK and XPENDING.

use super::Reply;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::Lookup;
use crate::store::stream::{Group, Nack, Stream, StreamId};

/// `XACK key group id [id ...]`
pub(crate) fn xack_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(at) = server.lookup_typed::<Stream>(cid, &args[1], Lookup::READ) else {
        return;
    };
    let found = at.filter(|at| {
        let s = at.value::<Stream>(&server.dbs);
        s.is_some_and(|s| s.0.lookup_cg(&args[2]).is_some())
    });
    let Some(at) = found else {
        return server.add_reply_long_long(cid, 0);
    };
    let Some(ids) = server.strict_ids_or_reply(cid, args, 3) else {
        return;
    };
    let mut acknowledged = 0;
    if let Some(mut s) = at.value_mut::<Stream>(&mut server.dbs)
        && let Some(group) = s.0.lookup_cg_mut(&args[2])
    {
        for id in ids {
            acknowledged += i64::from(group.acknowledge(id).is_some());
        }
    }
    server.dirty += acknowledged;
    server.add_reply_long_long(cid, acknowledged);
}

/// The long form's arguments.
struct PendingArgs<'a> {
    min_idle: i64,
    start: StreamId,
    end: StreamId,
    count: i64,
    consumer: Option<&'a [u8]>,
}

/// `XPENDING key group [[IDLE min-idle] start end count [consumer]]`
pub(crate) fn xpending_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() != 3 && !(6..=9).contains(&args.len()) {
        return server.add_reply_syntax_error(cid);
    }
    let long = if args.len() == 3 {
        None
    } else {
        match server.xpending_args_or_reply(cid, args) {
            Some(a) => Some(a),
            None => return,
        }
    };
    let Ok(at) = server.lookup_typed::<Stream>(cid, &args[1], Lookup::READ) else {
        return;
    };
    let now = server.command_time_ms();
    let mut reply = Reply::new(server, cid);
    let stream = at.and_then(|at| at.value::<Stream>(&server.dbs));
    match stream.as_ref().and_then(|s| s.0.lookup_cg(&args[2])) {
        None => {
            return server.reply_no_key_or_group(cid, &args[1], &args[2], "");
        }
        Some(group) => match long {
            None => summary(&mut reply, group),
            Some(a) => list(&mut reply, group, &a, now),
        },
    }
    reply.send(server, cid);
}

impl Server {
    fn xpending_args_or_reply<'a>(
        &mut self,
        cid: ClientId,
        args: &'a Args,
    ) -> Option<PendingArgs<'a>> {
        let mut at = 3;
        let mut min_idle = 0;
        if args.is(3, "idle") {
            min_idle = self.get_long_long_or_reply(cid, args, 4)?;
            if args.len() < 8 {
                self.add_reply_syntax_error(cid);
                return None;
            }
            at = 5;
        }
        let count = self.get_long_long_or_reply(cid, args, at + 2)?;
        let start = self.interval_start_or_reply(cid, &args[at])?;
        let end = self.interval_end_or_reply(cid, &args[at + 1])?;
        let consumer = (at + 3 < args.len()).then(|| &args[at + 3]);
        Some(PendingArgs {
            min_idle,
            start,
            end,
            count,
            consumer,
        })
    }
}

/// How much is pending, from where to where, and for whom.
fn summary(reply: &mut Reply, group: &Group) {
    reply.array(4);
    let pel = group.pel();
    reply.int(pel.len() as i64);
    let (Some(first), Some(last)) = (pel.first(), pel.last()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply.id(pel.at(first).0);
    reply.id(pel.at(last).0);
    let busy = || group.consumers().filter(|c| !c.pel().is_empty());
    reply.array(busy().count());
    for c in busy() {
        reply.array(2);
        reply.bulk(c.name());
        reply.bulk_long_long(c.pel().len() as i64);
    }
}

/// The pending entries of a range, of all consumers or of one.
fn list(reply: &mut Reply, group: &Group, a: &PendingArgs, now: i64) {
    let only = match a.consumer {
        None => None,
        Some(name) => match group.lookup_consumer(name) {
            Some(c) => Some(group.consumer(c).pel()),
            None => return reply.array(0),
        },
    };
    reply.deferred_array(|r| {
        let mut n = 0;
        let mut entry = |id: StreamId, nack: &Nack| {
            if n >= a.count || id > a.end {
                return false;
            }
            let idle = now.wrapping_sub(nack.delivery_time);
            if a.min_idle == 0 || idle >= a.min_idle {
                r.array(4);
                r.id(id);
                r.bulk(group.consumer(nack.consumer()).name());
                r.int(idle.max(0));
                r.int(nack.delivery_count as i64);
                n += 1;
            }
            true
        };
        match only {
            None => {
                let pel = group.pel();
                let mut items = pel.iter_from(pel.at_or_after(a.start));
                while items.next().is_some_and(|(id, nack)| entry(id, nack)) {}
            }
            Some(pel) => {
                let mut items = pel.iter_from(pel.at_or_after(a.start));
                while items
                    .next()
                    .is_some_and(|(id, ())| group.pel().get(id).is_none_or(|nack| entry(id, nack)))
                {
                }
            }
        }
        n as usize
    });
}
