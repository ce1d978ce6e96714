//! The string commands (t_string.c): SET and its kin, GET and its kin, counters, ranges.
//!
//! What they store: a value that is a canonical 64-bit integer becomes one (encoding `int`), a large argument is kept by
//! reference, all else is copied into the entry. A key is hashed once and looked up once wherever nothing in between can
//! change the table. Relative expiries are propagated as absolute ones. LCS has a file of its own, [`lcs`].
//!
//! Absent: what a value looks like in memory (`store::entry`), and bits ([`super::bitops`]).

mod lcs;

use crate::base::long_double::{LongDouble, ld2string, string2ld};
use crate::base::num::{LONG_STR_SIZE, ll2string, sdigits10, string2ll};
use crate::commands::expire::ExpireUnit;
use crate::ds::sbuf::SBuf;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::keyspace::lookup::{At, Free, Lookup};
use crate::server::keyspace::notify::{NOTIFY_GENERIC, NOTIFY_STRING};
use crate::store::entry::{Entry, NewValue, Str, Type};

pub(crate) use lcs::lcs_command;

/// The longest text of a 64-bit integer, in bytes.
const INT_TEXT_MAX: usize = 20;

/// What SET and GETEX were asked to do.
#[derive(Default, Clone, Copy)]
struct Options {
    nx: bool,
    xx: bool,
    get: bool,
    keep_ttl: bool,
    persist: bool,
    expire: Option<ExpireArg>,
}

/// Which argument holds an expiry, and how it is meant.
#[derive(Clone, Copy)]
struct ExpireArg {
    index: usize,
    unit: ExpireUnit,
}

/// What SET and its kin answer when they did it or did not; `None` is OK and null.
#[derive(Clone, Copy)]
enum SetReply {
    Ok,
    Integer,
}

/// The options behind a SET (from argument 3) or a GETEX (from argument 2); `None` is a syntax error. A unit may be
/// repeated, the last one counts, but not mixed with another one.
fn parse_extended_string_arguments(args: &Args, set: bool) -> Option<Options> {
    let mut o = Options::default();
    let mut i = if set { 3 } else { 2 };
    while i < args.len() {
        let word = &args[i];
        if let Some(unit) = ExpireUnit::by_name(word) {
            let other = o.expire.is_some_and(|e| e.unit != unit);
            if o.keep_ttl || o.persist || other || i + 1 == args.len() {
                return None;
            }
            i += 1;
            o.expire = Some(ExpireArg { index: i, unit });
        } else if set && word.eq_ignore_ascii_case(b"nx") && !o.xx {
            o.nx = true;
        } else if set && word.eq_ignore_ascii_case(b"xx") && !o.nx {
            o.xx = true;
        } else if set && word.eq_ignore_ascii_case(b"get") {
            o.get = true;
        } else if set && word.eq_ignore_ascii_case(b"keepttl") && o.expire.is_none() {
            o.keep_ttl = true;
        } else if !set && word.eq_ignore_ascii_case(b"persist") && o.expire.is_none() {
            o.persist = true;
        } else {
            return None;
        }
        i += 1;
    }
    Some(o)
}

/// The argument as it is to be stored (tryObjectEncoding).
#[inline]
fn try_object_encoding<'a>(args: &'a Args, i: usize) -> NewValue<'a> {
    if let Some(big) = args.big(i) {
        return NewValue::Buf(big.clone());
    }
    let bytes = &args[i];
    if bytes.len() <= INT_TEXT_MAX
        && let Some(n) = string2ll(bytes)
    {
        return NewValue::Int(n);
    }
    NewValue::Bytes { bytes, raw: false }
}

/// The length of a string value in bytes.
#[inline]
pub(super) fn string_object_len(e: &Entry) -> usize {
    match e.string() {
        Str::Int(n) => sdigits10(n) as usize,
        Str::Bytes(b) => b.len(),
    }
}

/// The bytes of a string value; an integer's text goes to `buf`.
#[inline]
pub(super) fn string_bytes<'a>(e: &'a Entry, buf: &'a mut [u8; LONG_STR_SIZE]) -> &'a [u8] {
    match e.string() {
        Str::Int(n) => ll2string(buf, n),
        Str::Bytes(b) => b,
    }
}

impl Server {
    /// False, and upstream's error to the client, when the value at `at` is no string (checkType).
    #[inline]
    pub(super) fn check_type_string(&mut self, cid: ClientId, at: At) -> bool {
        if at.entry(&self.dbs).value_type() == Type::String {
            return true;
        }
        self.add_reply_wrong_type(cid);
        false
    }

    /// False, and an error to the client, when a string of `size + append` bytes would be longer than proto-max-bulk-len
    /// (checkStringLength). What our master sends is obeyed.
    fn check_string_length(&mut self, cid: ClientId, size: u64, append: u64) -> bool {
        if self.is_master_client(cid) {
            return true;
        }
        let limit = self.config.proto_max_bulk_len.max(0) as u64;
        if size.checked_add(append).is_some_and(|n| n <= limit) {
            return true;
        }
        self.add_reply_error(
            cid,
            "string exceeds maximum allowed size (proto-max-bulk-len)",
        );
        false
    }

    /// Stores a string at a key and propagates nothing; returns false when NX or XX forbid it. `expire` is unix ms; with
    /// `None` the old expiry stays if `keep_ttl`, else it goes.
    // Always inlined, so that a plain SET gets a copy without the options.
    #[inline(always)]
    fn set_string(
        &mut self,
        db: usize,
        key: &[u8],
        value: NewValue<'_>,
        options: Options,
        expire: Option<i64>,
    ) -> bool {
        let hash = self.dbs[db].keys.hash(key);
        let found = self.lookup_key_hashed(db, hash, key, Lookup::WRITE);
        let Some(at) = found else {
            if options.xx {
                return false;
            }
            self.db_add_hashed(db, hash, key, value, expire);
            return true;
        };
        if options.nx {
            return false;
        }
        let keys = &mut self.dbs[db].keys;
        let was = keys.at(at.slot).value_type();
        keys.set_value(at.slot, value);
        if expire.is_some() || (!options.keep_ttl && keys.at(at.slot).expire().is_some()) {
            keys.set_expire(at.slot, expire);
        }
        self.signal_deleted_key_as_ready(db, key, was);
        true
    }

    /// Sets a key to a string without an expiry, whatever it was; a value that has expired is deleted and propagated
    /// first (setKey).
    pub(super) fn set_key_with_lookup(&mut self, db: usize, key: &[u8], value: NewValue<'_>) {
        self.set_string(db, key, value, Options::default(), None);
    }

    /// The argument at `e.index` as unix ms, or an error to the client (getExpireMillisecondsOrReply).
    fn get_expire_milliseconds_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        e: ExpireArg,
    ) -> Option<i64> {
        let n = self.get_long_long_or_reply(cid, args, e.index)?;
        let at = Some(n)
            .filter(|n| *n > 0)
            .and_then(|n| n.checked_mul(e.unit.ms()))
            .and_then(|ms| match e.unit.is_relative() {
                true => ms.checked_add(self.command_time_ms()),
                false => Some(ms),
            })
            .filter(|ms| *ms > 0);
        if at.is_none() {
            self.add_reply_error_expire_time(cid);
        }
        at
    }

    /// SET, SETNX, SETEX and PSETEX (setGenericCommand); the value is argument `value_index`.
    fn set_generic_command(
        &mut self,
        cid: ClientId,
        args: &Args,
        value_index: usize,
        options: Options,
        reply: SetReply,
    ) {
        let mut expire = None;
        if let Some(e) = options.expire {
            expire = self.get_expire_milliseconds_or_reply(cid, args, e);
            if expire.is_none() {
                return;
            }
        }
        if options.get && !self.get_generic_command(cid, args) {
            return;
        }
        let db = self.client_db(cid);
        let key = &args[1];
        let value = try_object_encoding(args, value_index);
        if !self.set_string(db, key, value, options, expire) {
            if !options.get {
                match reply {
                    SetReply::Ok => self.add_reply_null(cid),
                    SetReply::Integer => self.add_reply_proto(cid, b":0\r\n"),
                }
            }
            return;
        }
        self.signal_modified_key(cid, db, key);
        self.dirty += 1;
        self.notify_keyspace_event(NOTIFY_STRING, "set", key, db);
        if expire.is_some() {
            self.remember_slave_key_with_expire(cid, db, key);
            self.notify_keyspace_event(NOTIFY_GENERIC, "expire", key, db);
        }
        if expire.is_some() || options.get {
            self.rewrite_set(args, value_index, options, expire);
        }
        if !options.get {
            match reply {
                SetReply::Ok => self.add_reply_ok(cid),
                SetReply::Integer => self.add_reply_proto(cid, b":1\r\n"),
            }
        }
    }

    /// How a SET with an expiry or with GET is propagated: the time as an absolute one in ms, GET left out. One that came
    /// with PXAT goes as it is.
    fn rewrite_set(
        &mut self,
        args: &Args,
        value_index: usize,
        options: Options,
        expire: Option<i64>,
    ) {
        if !self.propagation_wanted() {
            return;
        }
        let mut words = OwnedArgs::default();
        match (options.expire, expire) {
            (Some(e), _) if e.unit == ExpireUnit::PxAt => return,
            (_, Some(at)) => {
                words.push(b"SET");
                push_arg(&mut words, args, 1);
                push_arg(&mut words, args, value_index);
                words.push(b"PXAT");
                words.push(ll2string(&mut [0; LONG_STR_SIZE], at));
            }
            _ => {
                for i in 0..args.len() {
                    if i < 3 || !args.is(i, "get") {
                        push_arg(&mut words, args, i);
                    }
                }
            }
        }
        self.exec.call.rewrite_as(words);
    }

    /// Answers the string at argument 1, or null; false when it is no string (getGenericCommand).
    #[inline]
    fn get_generic_command(&mut self, cid: ClientId, args: &Args) -> bool {
        let db = self.client_db(cid);
        let Some(at) = self.lookup_key(db, &args[1], Lookup::READ) else {
            self.add_reply_null(cid);
            return true;
        };
        let e = at.entry(&self.dbs);
        if e.value_type() != Type::String {
            self.add_reply_wrong_type(cid);
            return false;
        }
        self.clients.add_reply_bulk_entry(cid, e);
        true
    }

    /// INCR and its kin (incrDecrCommand).
    #[inline]
    fn incr_decr_command(&mut self, cid: ClientId, args: &Args, incr: i64) {
        let db = self.client_db(cid);
        let key = &args[1];
        let hash = self.dbs[db].keys.hash(key);
        let found = self.lookup_key_hashed(db, hash, key, Lookup::WRITE);
        let old = match found {
            None => 0,
            Some(at) => {
                if !self.check_type_string(cid, at) {
                    return;
                }
                let n = match at.entry(&self.dbs).string() {
                    Str::Int(n) => Some(n),
                    Str::Bytes(b) => string2ll(b),
                };
                let Some(n) = n else {
                    self.add_reply_error(cid, "value is not an integer or out of range");
                    return;
                };
                n
            }
        };
        let Some(value) = old.checked_add(incr) else {
            self.add_reply_error(cid, "increment or decrement would overflow");
            return;
        };
        match found {
            Some(at) => self.dbs[at.db]
                .keys
                .set_value(at.slot, NewValue::Int(value)),
            None => {
                self.db_add_hashed(db, hash, key, NewValue::Int(value), None);
            }
        }
        self.signal_modified_key(cid, db, key);
        self.notify_keyspace_event(NOTIFY_STRING, "incrby", key, db);
        self.dirty += 1;
        self.add_reply_long_long(cid, value);
    }

    /// MSET and MSETNX (msetGenericCommand).
    #[inline]
    fn mset_generic_command(&mut self, cid: ClientId, args: &Args, nx: bool) {
        if args.len().is_multiple_of(2) {
            self.add_reply_error_arity(cid);
            return;
        }
        let db = self.client_db(cid);
        if nx {
            for i in (1..args.len()).step_by(2) {
                if self.lookup_key(db, &args[i], Lookup::WRITE).is_some() {
                    self.add_reply_long_long(cid, 0);
                    return;
                }
            }
        }
        for i in (1..args.len()).step_by(2) {
            let key = &args[i];
            let value = try_object_encoding(args, i + 1);
            self.set_key_with_lookup(db, key, value);
            self.signal_modified_key(cid, db, key);
            self.notify_keyspace_event(NOTIFY_STRING, "set", key, db);
        }
        self.dirty += (args.len() / 2) as i64;
        if nx {
            self.add_reply_long_long(cid, 1);
        } else {
            self.add_reply_ok(cid);
        }
    }
}

/// Appends argument `i`, shared when it has a buffer of its own.
fn push_arg(words: &mut OwnedArgs, args: &Args, i: usize) {
    match args.big(i) {
        Some(b) => words.push_big(b.clone()),
        None => words.push(&args[i]),
    }
}

/// `SET key value [NX|XX] [GET] [EX|PX|EXAT|PXAT time | KEEPTTL]`.
pub(crate) fn set_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() == 3 {
        let db = server.client_db(cid);
        let key = &args[1];
        server.set_key_with_lookup(db, key, try_object_encoding(args, 2));
        server.signal_modified_key(cid, db, key);
        server.notify_keyspace_event(NOTIFY_STRING, "set", key, db);
        server.dirty += 1;
        return server.add_reply_ok(cid);
    }
    match parse_extended_string_arguments(args, true) {
        Some(options) => server.set_generic_command(cid, args, 2, options, SetReply::Ok),
        None => server.add_reply_syntax_error(cid),
    }
}

/// SETNX key value.
pub(crate) fn setnx_command(server: &mut Server, cid: ClientId, args: &Args) {
    let options = Options {
        nx: true,
        ..Options::default()
    };
    server.set_generic_command(cid, args, 2, options, SetReply::Integer);
}

/// SETEX key seconds value.
pub(crate) fn setex_command(server: &mut Server, cid: ClientId, args: &Args) {
    set_with_ttl(server, cid, args, ExpireUnit::Ex);
}

/// PSETEX key milliseconds value.
pub(crate) fn psetex_command(server: &mut Server, cid: ClientId, args: &Args) {
    set_with_ttl(server, cid, args, ExpireUnit::Px);
}

fn set_with_ttl(server: &mut Server, cid: ClientId, args: &Args, unit: ExpireUnit) {
    let options = Options {
        expire: Some(ExpireArg { index: 2, unit }),
        ..Options::default()
    };
    server.set_generic_command(cid, args, 3, options, SetReply::Ok);
}

/// GET key.
pub(crate) fn get_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.get_generic_command(cid, args);
}

/// `GETEX key [EX|PX|EXAT|PXAT time | PERSIST]`. Propagated as what it did to the expiry, or not at all.
pub(crate) fn getex_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(options) = parse_extended_string_arguments(args, false) else {
        return server.add_reply_syntax_error(cid);
    };
    let db = server.client_db(cid);
    let key = &args[1];
    let Some(at) = server.lookup_key(db, key, Lookup::READ) else {
        return server.add_reply_null(cid);
    };
    if !server.check_type_string(cid, at) {
        return;
    }
    let mut expire = None;
    if let Some(e) = options.expire {
        expire = server.get_expire_milliseconds_or_reply(cid, args, e);
        if expire.is_none() {
            return;
        }
    }
    let e = at.entry(&server.dbs);
    let had_expire = e.expire().is_some();
    server.clients.add_reply_bulk_entry(cid, e);
    let event;
    if let Some(when) = expire {
        let absolute = options.expire.is_some_and(|e| !e.unit.is_relative());
        if absolute && server.check_already_expired(when) {
            let free = Free::lazily_if(server.config.lazyfree_lazy_expire);
            server.db_generic_delete(db, key, free);
            server.rewrite_client_command_vector(&[free.verb(), key]);
            event = "del";
        } else {
            server.dbs[at.db].keys.set_expire(at.slot, Some(when));
            server.remember_slave_key_with_expire(cid, db, key);
            let mut text = [0; LONG_STR_SIZE];
            let when = ll2string(&mut text, when);
            server.rewrite_client_command_vector(&[b"PEXPIREAT", key, when]);
            event = "expire";
        }
    } else if options.persist && had_expire {
        server.dbs[at.db].keys.set_expire(at.slot, None);
        server.rewrite_client_command_vector(&[b"PERSIST", key]);
        event = "persist";
    } else {
        return;
    }
    server.signal_modified_key(cid, db, key);
    server.notify_keyspace_event(NOTIFY_GENERIC, event, key, db);
    server.dirty += 1;
}

/// GETDEL key.
pub(crate) fn getdel_command(server: &mut Server, cid: ClientId, args: &Args) {
    if !server.get_generic_command(cid, args) {
        return;
    }
    let db = server.client_db(cid);
    let key = &args[1];
    if server.db_generic_delete(db, key, Free::Now) {
        server.rewrite_client_command_vector(&[b"DEL", key]);
        server.signal_modified_key(cid, db, key);
        server.notify_keyspace_event(NOTIFY_GENERIC, "del", key, db);
        server.dirty += 1;
    }
}

/// GETSET key value. Propagated as SET.
pub(crate) fn getset_command(server: &mut Server, cid: ClientId, args: &Args) {
    if !server.get_generic_command(cid, args) {
        return;
    }
    let db = server.client_db(cid);
    let key = &args[1];
    let value = try_object_encoding(args, 2);
    server.set_key_with_lookup(db, key, value);
    server.notify_keyspace_event(NOTIFY_STRING, "set", key, db);
    server.signal_modified_key(cid, db, key);
    server.dirty += 1;
    if server.propagation_wanted() {
        let mut words = OwnedArgs::default();
        words.push(b"SET");
        push_arg(&mut words, args, 1);
        push_arg(&mut words, args, 2);
        server.exec.call.rewrite_as(words);
    }
}

/// `MGET key [key ...]`. What is no string counts as missing.
pub(crate) fn mget_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    server.add_reply_array_len(cid, args.len() - 1);
    for i in 1..args.len() {
        let at = server.lookup_key(db, &args[i], Lookup::READ);
        match at.map(|s| s.entry(&server.dbs)) {
            Some(e) if e.value_type() == Type::String => {
                server.clients.add_reply_bulk_entry(cid, e);
            }
            _ => server.add_reply_null(cid),
        }
    }
}

/// `MSET key value [key value ...]`.
pub(crate) fn mset_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.mset_generic_command(cid, args, false);
}

/// `MSETNX key value [key value ...]`: all or nothing.
pub(crate) fn msetnx_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.mset_generic_command(cid, args, true);
}

/// APPEND key value.
pub(crate) fn append_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let key = &args[1];
    let hash = server.dbs[db].keys.hash(key);
    let len = match server.lookup_key_hashed(db, hash, key, Lookup::WRITE) {
        None => {
            let value = try_object_encoding(args, 2);
            server.db_add_hashed(db, hash, key, value, None);
            args[2].len()
        }
        Some(at) => {
            if !server.check_type_string(cid, at) {
                return;
            }
            let len = string_object_len(at.entry(&server.dbs));
            if !server.check_string_length(cid, len as u64, args[2].len() as u64) {
                return;
            }
            server.dbs[at.db].keys.update_raw(at.slot, |b| {
                b.extend_from_slice(&args[2]);
                b.len()
            })
        }
    };
    server.signal_modified_key(cid, db, key);
    server.notify_keyspace_event(NOTIFY_STRING, "append", key, db);
    server.dirty += 1;
    server.add_reply_long_long(cid, len as i64);
}

/// SETRANGE key offset value. The gap before `offset` is filled with zero bytes.
pub(crate) fn setrange_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(offset) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let Ok(offset) = usize::try_from(offset) else {
        return server.add_reply_error(cid, "offset is out of range");
    };
    let db = server.client_db(cid);
    let (key, value) = (&args[1], &args[3]);
    let hash = server.dbs[db].keys.hash(key);
    let found = server.lookup_key_hashed(db, hash, key, Lookup::WRITE);
    if let Some(at) = found
        && !server.check_type_string(cid, at)
    {
        return;
    }
    if value.is_empty() {
        let len = found.map_or(0, |s| string_object_len(s.entry(&server.dbs)));
        return server.add_reply_long_long(cid, len as i64);
    }
    if !server.check_string_length(cid, offset as u64, value.len() as u64) {
        return;
    }
    // From our master any offset is taken, but none that no address space holds.
    let Some(end) = offset
        .checked_add(value.len())
        .filter(|n| *n <= isize::MAX as usize / 2)
    else {
        return server.add_reply_error(cid, "offset is out of range");
    };
    let write = |b: &mut SBuf, exact: bool| {
        if b.len() < end {
            b.resize(end, exact);
        }
        b.as_mut_slice()[offset..end].copy_from_slice(value);
        b.len()
    };
    let len = match found {
        Some(at) => server.dbs[at.db]
            .keys
            .update_raw(at.slot, |b| write(b, false)),
        None => {
            let mut b = SBuf::with_capacity(end);
            let len = write(&mut b, true);
            server.db_add_hashed(db, hash, key, NewValue::Buf(b), None);
            len
        }
    };
    server.signal_modified_key(cid, db, key);
    server.notify_keyspace_event(NOTIFY_STRING, "setrange", key, db);
    server.dirty += 1;
    server.add_reply_long_long(cid, len as i64);
}

/// The bytes from `start` to `end`, both inclusive and counted from the end when negative, of a string of `len` bytes.
fn clamp_range(len: usize, start: i64, end: i64) -> std::ops::Range<usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let from_end = |i: i64| if i < 0 { (len + i).max(0) } else { i };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    if start > end {
        return 0..0;
    }
    start as usize..end as usize + 1
}

/// GETRANGE key start end, also as SUBSTR.
pub(crate) fn getrange_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(start) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let Some(end) = server.get_long_long_or_reply(cid, args, 3) else {
        return;
    };
    let db = server.client_db(cid);
    let Some(at) = server.lookup_key(db, &args[1], Lookup::READ) else {
        return server.add_reply_bulk(cid, b"");
    };
    if !server.check_type_string(cid, at) {
        return;
    }
    let e = at.entry(&server.dbs);
    let mut text = [0; LONG_STR_SIZE];
    let bytes = string_bytes(e, &mut text);
    let range = clamp_range(bytes.len(), start, end);
    match e.buf() {
        Some(b) => server.clients.add_reply_bulk_shared(cid, b, range),
        None => server.clients.add_reply_bulk(cid, &bytes[range]),
    }
}

/// STRLEN key.
pub(crate) fn strlen_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let Some(at) = server.lookup_key(db, &args[1], Lookup::READ) else {
        return server.add_reply_long_long(cid, 0);
    };
    if server.check_type_string(cid, at) {
        let len = string_object_len(at.entry(&server.dbs));
        server.add_reply_long_long(cid, len as i64);
    }
}

/// INCR key.
pub(crate) fn incr_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.incr_decr_command(cid, args, 1);
}

/// DECR key.
pub(crate) fn decr_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.incr_decr_command(cid, args, -1);
}

/// INCRBY key increment.
pub(crate) fn incrby_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Some(incr) = server.get_long_long_or_reply(cid, args, 2) {
        server.incr_decr_command(cid, args, incr);
    }
}

/// DECRBY key decrement.
pub(crate) fn decrby_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Some(decr) = server.get_long_long_or_reply(cid, args, 2) {
        match decr.checked_neg() {
            Some(incr) => server.incr_decr_command(cid, args, incr),
            None => server.add_reply_error(cid, "decrement would overflow"),
        }
    }
}

/// INCRBYFLOAT key increment. Propagated as the SET of its result, so that no replica computes another one.
pub(crate) fn incrbyfloat_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let key = &args[1];
    let hash = server.dbs[db].keys.hash(key);
    let found = server.lookup_key_hashed(db, hash, key, Lookup::WRITE);
    let mut old = Some(LongDouble::ZERO);
    if let Some(at) = found {
        if !server.check_type_string(cid, at) {
            return;
        }
        old = match at.entry(&server.dbs).string() {
            Str::Int(n) => Some(LongDouble::from(n)),
            Str::Bytes(b) => string2ld(b),
        };
    }
    let (Some(old), Some(incr)) = (old, string2ld(&args[2])) else {
        return server.add_reply_error(cid, "value is not a valid float");
    };
    let value = old + incr;
    if value.is_nan() || value.is_infinite() {
        return server.add_reply_error(cid, "increment would produce NaN or Infinity");
    }
    let mut text = Vec::new();
    ld2string(&mut text, value);
    let new = NewValue::Bytes {
        bytes: &text,
        raw: false,
    };
    match found {
        Some(at) => server.dbs[at.db].keys.set_value(at.slot, new),
        None => {
            server.db_add_hashed(db, hash, key, new, None);
        }
    }
    server.signal_modified_key(cid, db, key);
    server.notify_keyspace_event(NOTIFY_STRING, "incrbyfloat", key, db);
    server.dirty += 1;
    server.add_reply_bulk(cid, &text);
    server.rewrite_client_command_vector(&[b"SET", key, &text, b"KEEPTTL"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_as_getrange_documents_it() {
        for (len, start, end, want) in [
            (5usize, 0i64, -1i64, 0..5usize),
            (5, 1, 2, 1..3),
            (5, -3, -1, 2..5),
            (5, -1, -3, 0..0),
            (5, -100, 100, 0..5),
            (5, -100, -90, 0..1),
            (5, 4, 3, 0..0),
            (5, 5, 9, 0..0),
            (0, 0, -1, 0..0),
            (0, 0, 0, 0..0),
            (5, i64::MIN, i64::MAX, 0..5),
            (5, i64::MAX, i64::MIN, 0..0),
        ] {
            let got = clamp_range(len, start, end);
            assert_eq!(got, want, "{len} {start} {end}");
        }
    }

    #[test]
    fn options_conflict_as_upstream_has_it() {
        let parse = |line: &str, set: bool| {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let owned = OwnedArgs::from_slices(&words);
            parse_extended_string_arguments(&owned.as_args(), set)
        };
        for good in [
            "SET k v nx NX get GET",
            "SET k v EX 1 EX 2 xx",
            "SET k v KEEPTTL keepttl GET NX",
            "SET k v pxat 7 get",
        ] {
            assert!(parse(good, true).is_some(), "{good}");
        }
        for bad in [
            "SET k v nx xx",
            "SET k v xx nx",
            "SET k v EX",
            "SET k v EX 1 PX 1",
            "SET k v EX 1 KEEPTTL",
            "SET k v KEEPTTL EXAT 1",
            "SET k v PERSIST",
            "SET k v nx2",
        ] {
            assert!(parse(bad, true).is_none(), "{bad}");
        }
        for (line, ok) in [
            ("GETEX k PERSIST persist", true),
            ("GETEX k EX 1 EX 2", true),
            ("GETEX k EX 1 PERSIST", false),
            ("GETEX k PERSIST PX 1", false),
            ("GETEX k KEEPTTL", false),
            ("GETEX k NX", false),
        ] {
            assert_eq!(parse(line, false).is_some(), ok, "{line}");
        }
        let o = parse("SET k v EX 1 ex 22", true).and_then(|o| o.expire);
        assert!(o.is_some_and(|e| e.index == 6 && e.unit == ExpireUnit::Ex));
    }
}
