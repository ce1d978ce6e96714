//! XREAD and XREADGROUP, blocking or not.
//!
//! XREADGROUP is propagated by what it did, never as itself. When it finds nothing and blocks, the command is kept and run
//! again when a stream gets an entry, is deleted, or loses its group; `$` has become the last id of that moment.

use super::{Effects, Reply};
use crate::ds::idmap::{IdMap, STREAM_ID_STR_LEN};
use crate::ds::listpack::Listpack;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::execution::block::BlockType;
use crate::server::execution::blocked::TimeoutUnit;
use crate::server::keyspace::lookup::Lookup;
use crate::server::keyspace::notify::NOTIFY_STREAM;
use crate::store::stream::{ConsumerId, Group, Stream, StreamId, StreamIter, StreamMeta};

/// The command's arguments.
struct ReadArgs<'a> {
    /// When to stop waiting (unix ms, 0: never); `None` is not to wait.
    timeout: Option<i64>,
    /// Entries of each stream at the most; 0: all.
    count: usize,
    noack: bool,
    group: Option<(&'a [u8], &'a [u8])>,
    /// The argument that is the first key.
    first_key: usize,
    streams: usize,
}

/// `XREAD [COUNT count] [BLOCK ms] STREAMS key [key ...] id [id ...]`
pub(crate) fn xread_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.xread_generic(cid, args, false);
}

/// `XREADGROUP GROUP group consumer [COUNT count] [BLOCK ms] [NOACK] STREAMS key [key ...] id [id ...]`
pub(crate) fn xreadgroup_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.xread_generic(cid, args, true);
    server.prevent_command_propagation();
}

impl Server {
    fn xread_args_or_reply<'a>(
        &mut self,
        cid: ClientId,
        args: &'a Args,
        readgroup: bool,
    ) -> Option<ReadArgs<'a>> {
        let mut parsed = ReadArgs {
            timeout: None,
            count: 0,
            noack: false,
            group: None,
            first_key: 0,
            streams: 0,
        };
        let mut i = 1;
        while i < args.len() {
            let more = args.len() - 1 - i;
            if args.is(i, "block") && more > 0 {
                i += 1;
                let unit = TimeoutUnit::Milliseconds;
                if self.is_script_client(cid) {
                    let name = String::from_utf8_lossy(&args[0]);
                    let text =
                        format!("{name} command is not allowed with BLOCK option from scripts");
                    self.add_reply_error(cid, &text);
                    return None;
                }
                parsed.timeout = Some(self.get_timeout_or_reply(cid, &args[i], unit)?);
            } else if args.is(i, "count") && more > 0 {
                i += 1;
                let n = self.get_long_long_or_reply(cid, args, i)?;
                parsed.count = usize::try_from(n).unwrap_or(0);
            } else if args.is(i, "streams") && more > 0 {
                parsed.first_key = i + 1;
                if !more.is_multiple_of(2) {
                    let (name, symbol) = if readgroup {
                        ("xreadgroup", '>')
                    } else {
                        ("xread", '$')
                    };
                    self.add_reply_error(
                        cid,
                        &format!(
                            "Unbalanced '{name}' list of streams: for each stream key an ID or '{symbol}' must be specified."
                        ),
                    );
                    return None;
                }
                parsed.streams = more / 2;
                break;
            } else if args.is(i, "group") && more >= 2 {
                if !readgroup {
                    self.add_reply_error(
                        cid,
                        "The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    );
                    return None;
                }
                parsed.group = Some((&args[i + 1], &args[i + 2]));
                i += 2;
            } else if args.is(i, "noack") {
                if !readgroup {
                    self.add_reply_error(
                        cid,
                        "The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    );
                    return None;
                }
                parsed.noack = true;
            } else {
                self.add_reply_syntax_error(cid);
                return None;
            }
            i += 1;
        }
        if parsed.first_key == 0 {
            self.add_reply_syntax_error(cid);
            return None;
        }
        if readgroup && parsed.group.is_none() {
            self.add_reply_error(cid, "Missing GROUP option for XREADGROUP");
            return None;
        }
        Some(parsed)
    }

    /// The ids above which entries are wanted; `>` is the highest one. Keys and groups are checked on the way.
    fn xread_ids_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        read: &ReadArgs,
    ) -> Option<Vec<StreamId>> {
        let mut ids = Vec::with_capacity(read.streams);
        for i in 0..read.streams {
            let key = &args[read.first_key + i];
            let at = self.lookup_typed::<Stream>(cid, key, Lookup::READ).ok()?;
            let stream = at.and_then(|s| s.value::<Stream>(&self.dbs));
            if let Some((group, _)) = read.group
                && stream.as_ref().and_then(|s| s.0.lookup_cg(group)).is_none()
            {
                self.reply_no_key_or_group(cid, key, group, " in XREADGROUP with GROUP option");
                return None;
            }
            ids.push(match &args[read.first_key + read.streams + i] {
                b"$" if read.group.is_some() => {
                    self.add_reply_error(
                        cid,
                        "The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                         consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just \
                         return an empty result set.",
                    );
                    return None;
                }
                b"$" => stream.map_or(StreamId::MIN, |s| s.0.meta.last_id),
                b">" if read.group.is_none() => {
                    self.add_reply_error(
                        cid,
                        "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                    );
                    return None;
                }
                b">" => StreamId::MAX,
                id => self.strict_id_or_reply(cid, id)?,
            });
        }
        Some(ids)
    }

    fn xread_generic(&mut self, cid: ClientId, args: &Args, readgroup: bool) {
        let Some(read) = self.xread_args_or_reply(cid, args, readgroup) else {
            return;
        };
        let Some(ids) = self.xread_ids_or_reply(cid, args, &read) else {
            return;
        };
        let mut reply = Reply::new(self, cid);
        let prefix = if reply.resp == 2 { b'*' } else { b'%' };
        let served = reply.deferred(prefix, |r| {
            let mut served = 0;
            for (i, id) in ids.iter().enumerate() {
                let key = &args[read.first_key + i];
                served += usize::from(match read.group {
                    Some(names) => self.read_for_group(cid, key, names, &read, *id, r),
                    None => self.read_after(cid, key, &read, *id, r),
                });
            }
            served
        });
        if served > 0 {
            return reply.send(self, cid);
        }
        match read.timeout {
            Some(timeout) if !self.is_blocking_denied(cid) => {
                let mut words = OwnedArgs::default();
                for i in 0..args.len() {
                    let id = i.checked_sub(read.first_key + read.streams);
                    match id.and_then(|n| ids.get(n)) {
                        Some(id) if &args[i] == b"$" => {
                            words.push(id.text(&mut [0; STREAM_ID_STR_LEN]));
                        }
                        _ => words.push(&args[i]),
                    }
                }
                let keys = (read.first_key..read.first_key + read.streams).map(|i| &args[i]);
                self.block_for_keys(cid, BlockType::Stream, keys, timeout, readgroup, words);
            }
            _ => self.add_reply_null_array(cid),
        }
    }

    /// XREAD of one stream; false when it has nothing above `id`.
    fn read_after(
        &mut self,
        cid: ClientId,
        key: &[u8],
        read: &ReadArgs,
        id: StreamId,
        reply: &mut Reply,
    ) -> bool {
        let Some(at) = self.lookup_key_read(cid, key) else {
            return false;
        };
        let Some(s) = at.value::<Stream>(&self.dbs) else {
            return false;
        };
        let Some(start) = id.next() else {
            return false;
        };
        if s.0.meta.length == 0 || s.0.last_valid_id() < start {
            return false;
        }
        if reply.resp == 2 {
            reply.array(2);
        }
        reply.bulk(key);
        let items = s.0.range(start, StreamId::MAX, false);
        reply.deferred_array(|r| r.items(items, read.count));
        true
    }

    /// XREADGROUP of one stream: new entries for `>`, else the consumer's own pending ones above `id`.
    fn read_for_group(
        &mut self,
        cid: ClientId,
        key: &[u8],
        (group_name, consumer_name): (&[u8], &[u8]),
        read: &ReadArgs,
        id: StreamId,
        reply: &mut Reply,
    ) -> bool {
        let Some(at) = self.lookup_key_read(cid, key) else {
            return false;
        };
        let db = self.client_db(cid);
        let now = self.command_time_ms();
        let mut effects = Effects::new(self);
        let Some(mut s) = at.value_mut::<Stream>(&mut self.dbs) else {
            return false;
        };
        let last_valid = (id == StreamId::MAX && s.0.meta.length > 0).then(|| s.0.last_valid_id());
        let Some((nodes, meta, group)) = s.0.split_for_group(group_name) else {
            return false;
        };
        let history = id != StreamId::MAX;
        let serve = history || last_valid.is_some_and(|max| max > group.last_id);
        let (consumer, created) = match group.lookup_consumer(consumer_name) {
            Some(c) => (c, false),
            None => match group.create_consumer(consumer_name, now) {
                Some(c) => (c, true),
                None => return false,
            },
        };
        if created && read.noack {
            effects.consumer_creation(key, group_name, consumer_name);
        }
        group.consumer_mut(consumer).seen_time = now;
        if serve {
            if reply.resp == 2 {
                reply.array(2);
            }
            reply.bulk(key);
            let mut delivery = Delivery {
                nodes,
                meta,
                group,
                consumer,
                now,
            };
            if history {
                let start = id.next().unwrap_or(StreamId::MIN);
                reply.deferred_array(|r| delivery.history(r, start, read.count));
            } else {
                reply.deferred_array(|r| delivery.new_entries(r, key, read, &mut effects));
            }
        }
        drop(s);
        self.dirty += i64::from(created) + i64::from(serve);
        if created {
            self.notify_keyspace_event(NOTIFY_STREAM, "xgroup-createconsumer", key, db);
        }
        self.propagate_effects(db, effects);
        serve
    }
}

/// Entries on their way to a consumer.
struct Delivery<'a> {
    nodes: &'a IdMap<Listpack>,
    meta: &'a StreamMeta,
    group: &'a mut Group,
    consumer: ConsumerId,
    now: i64,
}

impl Delivery<'_> {
    /// Entries above the group's position, which moves on (streamReplyWithRange with a group).
    fn new_entries(
        &mut self,
        reply: &mut Reply,
        key: &[u8],
        read: &ReadArgs,
        effects: &mut Effects,
    ) -> usize {
        let Some(start) = self.group.last_id.next() else {
            return 0;
        };
        let mut n = 0;
        for item in StreamIter::new(self.nodes, start, StreamId::MAX, false) {
            let g = &mut *self.group;
            g.entries_read = self.meta.entries_read_after(g.entries_read, item.id);
            g.last_id = item.id;
            reply.item(&item);
            if !read.noack {
                g.deliver(item.id, self.consumer, self.now);
                g.consumer_mut(self.consumer).active_time = self.now;
                if let Some(nack) = g.pel().get(item.id) {
                    let mut text = [0; STREAM_ID_STR_LEN];
                    effects.xclaim(key, g, item.id.text(&mut text), nack);
                }
            }
            n += 1;
            if n == read.count {
                break;
            }
        }
        if read.noack && n > 0 {
            // With XCLAIM the position goes along.
            effects.group_id(key, self.group);
        }
        n
    }

    /// What is pending for the consumer from `start` on, once more; of an entry that is gone only the id
    /// (streamReplyWithRangeFromConsumerPEL).
    fn history(&mut self, reply: &mut Reply, start: StreamId, count: usize) -> usize {
        let mut n = 0;
        let mut at = self.group.consumer(self.consumer).pel().at_or_after(start);
        while let Some(p) = at {
            let pel = self.group.consumer(self.consumer).pel();
            let (id, ()) = pel.at(p);
            at = pel.next(p);
            match StreamIter::new(self.nodes, id, id, false).next() {
                Some(item) => {
                    reply.item(&item);
                    self.group.redeliver(id, self.now);
                }
                None => {
                    reply.array(2);
                    reply.id(id);
                    reply.null_array();
                }
            }
            n += 1;
            if n == count {
                break;
            }
        }
        n
    }
}
