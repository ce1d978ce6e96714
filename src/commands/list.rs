//! The list commands that never wait (the commands of t_list.c); those that may are in [`blocking`].
//!
//! A key is hashed once and looked up once wherever nothing in between can change the table. Elements go from the list
//! straight into the client's buffer. A list that a command empties is deleted by it.
//!
//! Absent: what a list looks like in memory and when that changes (`store::list`).

mod blocking;

use super::change::Left;
use crate::ds::listpack::Needle;
use crate::ds::quicklist::{End, QlValue, Span};
use crate::server::Server;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{At, Lookup, Replied};
use crate::server::keyspace::notify::NOTIFY_LIST;
use crate::store::entry::NewValue;
use crate::store::entry::value::Value;
use crate::store::list::{List, ListLimits};

pub(crate) use blocking::{
    blmove_command, blmpop_command, blpop_command, brpop_command, brpoplpush_command,
};

/// The event of an element added at this end.
fn push_event(end: End) -> &'static str {
    match end {
        End::Head => "lpush",
        End::Tail => "rpush",
    }
}

/// The event of elements taken from this end.
fn pop_event(end: End) -> &'static str {
    match end {
        End::Head => "lpop",
        End::Tail => "rpop",
    }
}

/// The command that takes elements from this end, as it is propagated.
fn pop_word(end: End) -> &'static [u8] {
    match end {
        End::Head => b"LPOP",
        End::Tail => b"RPOP",
    }
}

/// Adds the arguments from the second on; returns the length then.
fn push_all(list: &mut List, args: &Args, end: End, limits: ListLimits) -> usize {
    let bytes = (2..args.len()).map(|i| args[i].len()).sum();
    list.grow(limits, bytes, args.len() - 2);
    for i in 2..args.len() {
        list.push(end, &args[i], limits);
    }
    list.len()
}

/// An element as a bulk string.
#[inline]
fn add_reply_element(clients: &mut Clients, cid: ClientId, v: QlValue<'_>) {
    use crate::ds::listpack::LpValue;
    match v {
        QlValue::Packed(LpValue::Str(s)) => clients.add_reply_bulk(cid, s),
        QlValue::Packed(LpValue::Int(n)) => clients.add_reply_bulk_long_long(cid, n),
        QlValue::Plain(b) => clients.add_reply_bulk_shared(cid, b, 0..b.len()),
    }
}

/// `n` elements from `index` on, towards the head with `reverse`, as an array; they must be there (addListRangeReply).
fn add_list_range_reply(
    clients: &mut Clients,
    cid: ClientId,
    list: &List,
    index: usize,
    n: usize,
    reverse: bool,
) {
    clients.add_reply_array_len(cid, n);
    if n == 0 {
        return;
    }
    let mut left = n;
    clients.write_bulks(cid, |w| {
        list.spans_from(index, reverse, |span| {
            if let (Span::Packed { lp, from, .. }, false) = (&span, reverse) {
                left -= w.bulks(lp.iter_from(*from).take(left));
                return left > 0;
            }
            span.for_each(reverse, |v| {
                match v {
                    QlValue::Packed(v) => w.bulk_value(v),
                    QlValue::Plain(b) => w.bulk_shared(b),
                }
                left -= 1;
                left > 0
            })
        });
    });
}

/// The range that LRANGE and LTRIM mean by `start` and `stop`: first index and number of elements (none: 0).
fn clamp_range(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
    let start = from_end(start).max(0);
    let stop = from_end(stop).min(len - 1);
    if start > stop {
        return (0, 0);
    }
    (start as usize, (stop - start) as usize + 1)
}

/// The index of an element that may be counted from the end; `None` when there is no such element.
#[inline]
fn clamp_index(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 {
        index.checked_add(len as i64)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|i| *i < len)
}

impl Server {
    /// The directives that shape lists.
    #[inline]
    pub(crate) fn list_limits(&self) -> ListLimits {
        ListLimits {
            fill: self.config.list_max_listpack_size,
            compress: self.config.list_compress_depth,
            large: self.debug.packed_threshold,
        }
    }

    /// A list that a command wants to change.
    #[inline]
    fn lookup_list_write(&mut self, cid: ClientId, key: &[u8]) -> Result<Option<At>, Replied> {
        self.lookup_typed::<List>(cid, key, Lookup::WRITE)
    }

    /// A list that a command is about to change; where there is none, `absent` answers.
    fn list_to_change(
        &mut self,
        cid: ClientId,
        key: &[u8],
        absent: impl FnOnce(&mut Server),
    ) -> Option<At> {
        let found = self.lookup_list_write(cid, key).ok()?;
        if found.is_none() {
            absent(self);
        }
        found
    }

    /// LEFT or RIGHT, or a syntax error to the client (getListPositionFromObjectOrReply).
    fn get_list_position_or_reply(&mut self, cid: ClientId, arg: &[u8]) -> Option<End> {
        if arg.eq_ignore_ascii_case(b"left") {
            Some(End::Head)
        } else if arg.eq_ignore_ascii_case(b"right") {
            Some(End::Tail)
        } else {
            self.add_reply_syntax_error(cid);
            None
        }
    }

    /// LPUSH and its kin (pushGenericCommand); with `xx` only to a list that is there.
    #[inline(always)]
    fn push_generic_command(&mut self, cid: ClientId, args: &Args, end: End, xx: bool) {
        let db = self.client_db(cid);
        let key = &args[1];
        let hash = self.dbs[db].keys.hash(key);
        let Ok(found) = self.lookup_typed_hashed::<List>(cid, db, hash, key, Lookup::WRITE) else {
            return;
        };
        let limits = self.list_limits();
        let n = args.len() - 2;
        let len = match found {
            Some(at) => match at.value_mut::<List>(&mut self.dbs) {
                Some(mut list) if n == 1 => {
                    let s = &args[2];
                    list.grow(limits, s.len(), 1);
                    list.push(end, s, limits);
                    list.len()
                }
                Some(mut list) => push_all(&mut list, args, end, limits),
                None => return,
            },
            None if xx => return self.add_reply_long_long(cid, 0),
            None => {
                let mut list = List::new();
                let len = push_all(&mut list, args, end, limits);
                let value = NewValue::Value(Value::List(list));
                self.db_add_hashed(db, hash, key, value, None);
                len
            }
        };
        self.dirty += n as i64;
        self.add_reply_long_long(cid, len as i64);
        self.signal_modified_key(cid, db, key);
        self.notify_keyspace_event(NOTIFY_LIST, push_event(end), key, db);
    }

    /// What follows when `count` elements were taken from the `end` of a list: the event, the deletion of an empty list or
    /// its return to a smaller encoding (listElementsRemoved).
    #[inline]
    fn list_elements_removed(
        &mut self,
        cid: ClientId,
        db: usize,
        key: &[u8],
        end: End,
        count: usize,
        left: Left,
    ) {
        self.notify_keyspace_event(NOTIFY_LIST, pop_event(end), key, db);
        self.delete_if_empty(db, key, left);
        self.signal_modified_key(cid, db, key);
        self.dirty += count as i64;
    }

    /// Takes one element from a list, with it as the reply.
    #[inline]
    fn pop_and_reply(&mut self, cid: ClientId, at: At, key: &[u8], end: End) {
        let limits = self.list_limits();
        let popped = self.change_value(at, |list: &mut List, clients| {
            list.pop(end, |v| add_reply_element(clients, cid, v));
            list.shrink(limits);
        });
        if let Some(((), left)) = popped {
            self.list_elements_removed(cid, at.db, key, end, 1, left);
        }
    }

    /// Takes up to `count` elements from a list, with an array of them as the reply; returns how many.
    fn pop_range_and_reply(
        &mut self,
        cid: ClientId,
        at: At,
        key: &[u8],
        end: End,
        count: usize,
    ) -> usize {
        let limits = self.list_limits();
        let popped = self.change_value(at, |list: &mut List, clients| {
            let len = list.len();
            let n = count.min(len);
            match end {
                End::Head => {
                    add_list_range_reply(clients, cid, list, 0, n, false);
                    list.delete_range(0, n);
                }
                End::Tail => {
                    add_list_range_reply(clients, cid, list, len.saturating_sub(1), n, true);
                    list.delete_range(len - n, n);
                }
            }
            list.shrink(limits);
            n
        });
        let Some((n, left)) = popped else {
            return 0;
        };
        self.list_elements_removed(cid, at.db, key, end, n, left);
        n
    }

    /// The same for LMPOP and BLMPOP: the reply begins with the key, and LPOP or RPOP is propagated
    /// (listPopRangeAndReplyWithKey).
    fn pop_range_and_reply_with_key(
        &mut self,
        cid: ClientId,
        at: At,
        key: &[u8],
        end: End,
        count: usize,
    ) {
        self.add_reply_array_len(cid, 2);
        self.add_reply_bulk(cid, key);
        let n = self.pop_range_and_reply(cid, at, key, end, count);
        let mut number = itoa::Buffer::new();
        let n = number.format(n).as_bytes();
        self.rewrite_client_command_vector(&[pop_word(end), key, n]);
    }

    /// LPOP and RPOP (popGenericCommand).
    #[inline]
    fn pop_generic_command(&mut self, cid: ClientId, args: &Args, end: End) {
        let count = match args.len() {
            2 => None,
            3 => {
                let text = "value is out of range, must be positive";
                match self.get_range_long_or_reply(cid, args, 2, 0, i64::MAX, Some(text)) {
                    Some(n) => Some(n as usize),
                    None => return,
                }
            }
            _ => return self.add_reply_error_arity(cid),
        };
        let key = &args[1];
        let Ok(found) = self.lookup_typed::<List>(cid, key, Lookup::WRITE) else {
            return;
        };
        let Some(at) = found else {
            return match count {
                Some(_) => self.add_reply_null_array(cid),
                None => self.add_reply_null(cid),
            };
        };
        match count {
            None => self.pop_and_reply(cid, at, key, end),
            Some(0) => self.add_reply_array_len(cid, 0),
            Some(n) => {
                self.pop_range_and_reply(cid, at, key, end, n);
            }
        }
    }

    /// Moves an element from the list `args[1]` to `args[2]`, which are both looked at before anything is changed
    /// (lmoveGenericCommand). When it did so, `rewrite` is propagated instead of the command.
    fn lmove_generic_command(
        &mut self,
        cid: ClientId,
        args: &Args,
        from: End,
        to: End,
        rewrite: Option<&[&[u8]]>,
    ) {
        let db = self.client_db(cid);
        let (source, destination) = (&args[1], &args[2]);
        let source_hash = self.dbs[db].keys.hash(source);
        let hash = self.dbs[db].keys.hash(destination);
        match self.lookup_typed_hashed::<List>(cid, db, source_hash, source, Lookup::WRITE) {
            Err(Replied) => return,
            Ok(None) => return self.add_reply_null(cid),
            Ok(Some(_)) => {}
        }
        let Ok(target) =
            self.lookup_typed_hashed::<List>(cid, db, hash, destination, Lookup::WRITE)
        else {
            return;
        };
        let limits = self.list_limits();
        // The look-up of the destination may have deleted an expired key, so the source is found again.
        let mut taken = Vec::new();
        if let Some(at) = self.find_hashed(db, source_hash, source)
            && let Some(mut list) = at.value_mut::<List>(&mut self.dbs)
        {
            list.pop(from, |v| v.value().push_to(&mut taken));
        }
        match target {
            Some(at) => {
                if let Some(mut list) = at.value_mut::<List>(&mut self.dbs) {
                    list.grow(limits, taken.len(), 1);
                    list.push(to, &taken, limits);
                }
            }
            None => {
                let mut list = List::new();
                list.grow(limits, taken.len(), 1);
                list.push(to, &taken, limits);
                let value = NewValue::Value(Value::List(list));
                self.db_add_hashed(db, hash, destination, value, None);
            }
        }
        self.signal_modified_key(cid, db, destination);
        self.notify_keyspace_event(NOTIFY_LIST, push_event(to), destination, db);
        self.add_reply_bulk(cid, &taken);
        let left = self
            .find_hashed(db, source_hash, source)
            .and_then(|at| self.change_value(at, |list: &mut List, _| list.shrink(limits)))
            .map_or(Left::Something, |(_, left)| left);
        self.list_elements_removed(cid, db, source, from, 1, left);
        if let Some(words) = rewrite {
            self.rewrite_client_command_vector(words);
        }
    }
}

/// `LPUSH key element [element ...]`
pub(crate) fn lpush_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.push_generic_command(cid, args, End::Head, false);
}

/// `RPUSH key element [element ...]`
pub(crate) fn rpush_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.push_generic_command(cid, args, End::Tail, false);
}

/// `LPUSHX key element [element ...]`
pub(crate) fn lpushx_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.push_generic_command(cid, args, End::Head, true);
}

/// `RPUSHX key element [element ...]`
pub(crate) fn rpushx_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.push_generic_command(cid, args, End::Tail, true);
}

/// `LPOP key [count]`
pub(crate) fn lpop_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.pop_generic_command(cid, args, End::Head);
}

/// `RPOP key [count]`
pub(crate) fn rpop_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.pop_generic_command(cid, args, End::Tail);
}

/// LLEN key
pub(crate) fn llen_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(found) = server.lookup_typed::<List>(cid, &args[1], Lookup::READ) else {
        return;
    };
    let list = found.and_then(|at| at.value::<List>(&server.dbs));
    let len = list.map_or(0, |l| l.len());
    server.add_reply_long_long(cid, len as i64);
}

/// LINDEX key index
pub(crate) fn lindex_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(found) = server.lookup_typed::<List>(cid, &args[1], Lookup::READ) else {
        return;
    };
    let Some(at) = found else {
        return server.add_reply_null(cid);
    };
    let Some(index) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let Server { clients, dbs, .. } = server;
    let Some(list) = at.value::<List>(dbs) else {
        return;
    };
    match clamp_index(index, list.len()) {
        Some(i) => list.for_each_from(i, false, |v| {
            add_reply_element(clients, cid, v);
            false
        }),
        None => clients.add_reply_null(cid),
    }
}

/// LSET key index element
pub(crate) fn lset_command(server: &mut Server, cid: ClientId, args: &Args) {
    let key = &args[1];
    let Some(at) = server.list_to_change(cid, key, |server| server.add_reply_no_such_key(cid))
    else {
        return;
    };
    let Some(index) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let limits = server.list_limits();
    let changed = server.change_value(at, |list: &mut List, _| {
        // Even when there is no such element.
        list.grow(limits, args[3].len(), 1);
        let done =
            clamp_index(index, list.len()).is_some_and(|i| list.replace(i, &args[3], limits));
        if done {
            list.shrink(limits);
        }
        done
    });
    let Some((true, _)) = changed else {
        return server.add_reply_error(cid, "index out of range");
    };
    server.add_reply_ok(cid);
    server.signal_modified_key(cid, at.db, key);
    server.notify_keyspace_event(NOTIFY_LIST, "lset", key, at.db);
    server.dirty += 1;
}

/// LINSERT key BEFORE|AFTER pivot element
pub(crate) fn linsert_command(server: &mut Server, cid: ClientId, args: &Args) {
    let after = if args.is(2, "after") {
        true
    } else if args.is(2, "before") {
        false
    } else {
        return server.add_reply_syntax_error(cid);
    };
    let key = &args[1];
    let Some(at) = server.list_to_change(cid, key, |server| server.add_reply_long_long(cid, 0))
    else {
        return;
    };
    let limits = server.list_limits();
    let changed = server.change_value(at, |list: &mut List, _| {
        // Even when the pivot is not there.
        list.grow(limits, args[4].len(), 1);
        let inserted = list.insert_at_pivot(&args[3], after, &args[4], limits);
        inserted.then(|| list.len())
    });
    let Some((Some(len), _)) = changed else {
        return server.add_reply_long_long(cid, -1);
    };
    server.signal_modified_key(cid, at.db, key);
    server.notify_keyspace_event(NOTIFY_LIST, "linsert", key, at.db);
    server.dirty += 1;
    server.add_reply_long_long(cid, len as i64);
}

/// LRANGE key start stop
pub(crate) fn lrange_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(start) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let Some(stop) = server.get_long_long_or_reply(cid, args, 3) else {
        return;
    };
    let Ok(found) = server.lookup_typed::<List>(cid, &args[1], Lookup::READ) else {
        return;
    };
    let Server { clients, dbs, .. } = server;
    let Some(list) = found.and_then(|at| at.value::<List>(dbs)) else {
        return clients.add_reply_array_len(cid, 0);
    };
    let (first, n) = clamp_range(start, stop, list.len());
    add_list_range_reply(clients, cid, &list, first, n, false);
}

/// LTRIM key start stop
pub(crate) fn ltrim_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(start) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let Some(stop) = server.get_long_long_or_reply(cid, args, 3) else {
        return;
    };
    let key = &args[1];
    let Some(at) = server.list_to_change(cid, key, |server| server.add_reply_ok(cid)) else {
        return;
    };
    let limits = server.list_limits();
    let trimmed = server.change_value(at, |list: &mut List, _| {
        let len = list.len();
        let (first, n) = clamp_range(start, stop, len);
        list.delete_range(first + n, len - first - n);
        list.delete_range(0, first);
        list.shrink(limits);
        len - n
    });
    let Some((removed, left)) = trimmed else {
        return;
    };
    server.notify_keyspace_event(NOTIFY_LIST, "ltrim", key, at.db);
    server.delete_if_empty(at.db, key, left);
    server.signal_modified_key(cid, at.db, key);
    server.dirty += removed as i64;
    server.add_reply_ok(cid);
}

/// LREM key count element
pub(crate) fn lrem_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(count) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let key = &args[1];
    let Some(at) = server.list_to_change(cid, key, |server| server.add_reply_long_long(cid, 0))
    else {
        return;
    };
    let limits = server.list_limits();
    let (max, from) = match count {
        0 => (usize::MAX, End::Head),
        1.. => (count as usize, End::Head),
        _ => (count.unsigned_abs() as usize, End::Tail),
    };
    let changed = server.change_value(at, |list: &mut List, _| {
        let removed = list.remove(&args[3], max, from);
        if removed > 0 {
            list.shrink(limits);
        }
        removed
    });
    let Some((removed, left)) = changed else {
        return;
    };
    server.dirty += removed as i64;
    if removed > 0 {
        server.signal_modified_key(cid, at.db, key);
        server.notify_keyspace_event(NOTIFY_LIST, "lrem", key, at.db);
    }
    server.delete_if_empty(at.db, key, left);
    server.add_reply_long_long(cid, removed as i64);
}

/// `LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]`
pub(crate) fn lpos_command(server: &mut Server, cid: ClientId, args: &Args) {
    let (mut rank, mut count, mut max_len) = (1i64, None, 0i64);
    let mut i = 3;
    while i < args.len() {
        let more = i + 1 < args.len();
        if args.is(i, "rank") && more {
            let Some(n) =
                server.get_range_long_or_reply(cid, args, i + 1, -i64::MAX, i64::MAX, None)
            else {
                return;
            };
            if n == 0 {
                return server.add_reply_error(
                    cid,
                    "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
                );
            }
            rank = n;
        } else if args.is(i, "count") && more {
            let text = "COUNT can't be negative";
            count = server.get_range_long_or_reply(cid, args, i + 1, 0, i64::MAX, Some(text));
            if count.is_none() {
                return;
            }
        } else if args.is(i, "maxlen") && more {
            let text = "MAXLEN can't be negative";
            match server.get_range_long_or_reply(cid, args, i + 1, 0, i64::MAX, Some(text)) {
                Some(n) => max_len = n,
                None => return,
            }
        } else {
            return server.add_reply_syntax_error(cid);
        }
        i += 2;
    }
    let Ok(found) = server.lookup_typed::<List>(cid, &args[1], Lookup::READ) else {
        return;
    };
    let Server { clients, dbs, .. } = server;
    let Some(list) = found.and_then(|at| at.value::<List>(dbs)) else {
        return match count {
            Some(_) => clients.add_reply_array_len(cid, 0),
            None => clients.add_reply_null(cid),
        };
    };
    let len = list.len();
    let backward = rank < 0;
    // The matches before the first that counts.
    let mut skip = rank.unsigned_abs() - 1;
    let wanted = match count {
        None => 1,
        Some(0) => usize::MAX,
        Some(n) => n as usize,
    };
    let max_len = if max_len == 0 {
        usize::MAX
    } else {
        max_len as usize
    };
    let needle = Needle::new(&args[2]);
    let start = if backward { len.saturating_sub(1) } else { 0 };
    let mut matches: Vec<usize> = Vec::new();
    let mut seen = 0;
    list.for_each_from(start, backward, |v| {
        if needle.is(v.value()) {
            if skip > 0 {
                skip -= 1;
            } else {
                matches.push(if backward { len - 1 - seen } else { seen });
            }
        }
        seen += 1;
        seen < max_len && matches.len() < wanted
    });
    if count.is_some() {
        clients.add_reply_array_len(cid, matches.len());
        for m in matches {
            clients.add_reply_long_long(cid, m as i64);
        }
    } else {
        match matches.first() {
            Some(m) => clients.add_reply_long_long(cid, *m as i64),
            None => clients.add_reply_null(cid),
        }
    }
}

/// LMOVE source destination LEFT|RIGHT LEFT|RIGHT
pub(crate) fn lmove_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(from) = server.get_list_position_or_reply(cid, &args[3]) else {
        return;
    };
    let Some(to) = server.get_list_position_or_reply(cid, &args[4]) else {
        return;
    };
    server.lmove_generic_command(cid, args, from, to, None);
}

/// RPOPLPUSH source destination
pub(crate) fn rpoplpush_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.lmove_generic_command(cid, args, End::Tail, End::Head, None);
}

/// `LMPOP numkeys key [key ...] LEFT|RIGHT [COUNT count]`
pub(crate) fn lmpop_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some((keys, end, count)) = server.parse_lmpop(cid, args, 1) else {
        return;
    };
    for i in keys {
        let Ok(found) = server.lookup_list_write(cid, &args[i]) else {
            return;
        };
        if let Some(at) = found {
            return server.pop_range_and_reply_with_key(cid, at, &args[i], end, count);
        }
    }
    server.add_reply_null_array(cid);
}

impl Server {
    /// The arguments of LMPOP and BLMPOP from the number of keys on: the keys' places, the end, how many elements; or an
    /// error to the client (lmpopGenericCommand).
    fn parse_lmpop(
        &mut self,
        cid: ClientId,
        args: &Args,
        numkeys_index: usize,
    ) -> Option<(std::ops::Range<usize>, End, usize)> {
        let text = "numkeys should be greater than 0";
        let n = self.get_range_long_or_reply(cid, args, numkeys_index, 1, i64::MAX, Some(text))?;
        let first = numkeys_index + 1;
        let where_index = usize::try_from(n)
            .ok()
            .and_then(|n| first.checked_add(n))
            .filter(|i| *i < args.len());
        let Some(where_index) = where_index else {
            self.add_reply_syntax_error(cid);
            return None;
        };
        let end = self.get_list_position_or_reply(cid, &args[where_index])?;
        let mut count = None;
        let mut i = where_index + 1;
        while i < args.len() {
            if count.is_some() || !args.is(i, "count") || i + 1 == args.len() {
                self.add_reply_syntax_error(cid);
                return None;
            }
            let text = "count should be greater than 0";
            count = self.get_range_long_or_reply(cid, args, i + 1, 1, i64::MAX, Some(text));
            count?;
            i += 2;
        }
        let count = count.and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        Some((first..where_index, end, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_as_lrange_documents_it() {
        assert_eq!(clamp_range(0, -1, 3), (0, 3));
        assert_eq!(clamp_range(-100, 100, 3), (0, 3));
        assert_eq!(clamp_range(1, 1, 3), (1, 1));
        assert_eq!(clamp_range(-2, -1, 3), (1, 2));
        assert_eq!(clamp_range(3, 5, 3), (0, 0));
        assert_eq!(clamp_range(2, 1, 3), (0, 0));
        assert_eq!(clamp_range(0, -4, 3), (0, 0));
        assert_eq!(clamp_range(i64::MIN, i64::MAX, 3), (0, 3));
        assert_eq!(clamp_range(i64::MAX, i64::MIN, 3), (0, 0));
        assert_eq!(clamp_range(0, -1, 0), (0, 0));
    }

    #[test]
    fn indices_count_from_either_end() {
        assert_eq!(clamp_index(0, 3), Some(0));
        assert_eq!(clamp_index(-1, 3), Some(2));
        assert_eq!(clamp_index(-3, 3), Some(0));
        assert_eq!(clamp_index(3, 3), None);
        assert_eq!(clamp_index(-4, 3), None);
        assert_eq!(clamp_index(i64::MIN, 3), None);
    }
}
