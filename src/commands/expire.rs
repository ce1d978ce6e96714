//! EXPIRE and its family, TTL and its family, PERSIST, TOUCH (the commands of expire.c).
//!
//! Relative times are propagated as PEXPIREAT with the absolute one, so that a replica and an AOF mean the same moment. A
//! time that has passed deletes the key and is propagated so, but only where this server decides: a replica keeps the key
//! until its master's DEL.

use crate::base::num::{LONG_STR_SIZE, ll2string};
use crate::server::Server;
use crate::server::client::ClientId;
use crate::server::exec::Args;
use crate::server::lookup::{Free, Lookup};
use crate::server::notify::NOTIFY_GENERIC;

// Conditions of EXPIRE.
const EXPIRE_NX: u8 = 1;
const EXPIRE_XX: u8 = 2;
const EXPIRE_GT: u8 = 4;
const EXPIRE_LT: u8 = 8;

/// The conditions after the time, or the error.
fn parse_conditions_or_reply(server: &mut Server, cid: ClientId, args: &Args) -> Option<u8> {
    let mut flags = 0;
    for i in 3..args.len() {
        flags |= match () {
            _ if args.is(i, "nx") => EXPIRE_NX,
            _ if args.is(i, "xx") => EXPIRE_XX,
            _ if args.is(i, "gt") => EXPIRE_GT,
            _ if args.is(i, "lt") => EXPIRE_LT,
            _ => {
                // Upstream shows the option as a C string.
                let shown = args[i].split(|c| *c == 0).next().unwrap_or_default();
                let text = [b"Unsupported option ", shown].concat();
                server.add_reply_error_bytes(cid, &text);
                return None;
            }
        };
    }
    if flags & EXPIRE_NX != 0 && flags != EXPIRE_NX {
        let text = "NX and XX, GT or LT options at the same time are not compatible";
        server.add_reply_error(cid, text);
        return None;
    }
    if flags & EXPIRE_GT != 0 && flags & EXPIRE_LT != 0 {
        let text = "GT and LT options at the same time are not compatible";
        server.add_reply_error(cid, text);
        return None;
    }
    Some(flags)
}

/// Whether the conditions let an expiry of `current` become `when`. No expiry counts as one that never comes.
fn conditions_hold(flags: u8, current: Option<i64>, when: i64) -> bool {
    match current {
        Some(at) => {
            flags & EXPIRE_NX == 0
                && (flags & EXPIRE_GT == 0 || when > at)
                && (flags & EXPIRE_LT == 0 || when < at)
        }
        None => flags & (EXPIRE_XX | EXPIRE_GT) == 0,
    }
}

/// The four commands (expireGenericCommand): `base` (unix ms) is added to the argument, which counts in `unit` ms;
/// `verbatim` says that the arguments can be propagated as they are.
#[inline]
fn expire_generic(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    base: i64,
    unit: i64,
    verbatim: bool,
) {
    let mut flags = 0;
    if args.len() > 3 {
        match parse_conditions_or_reply(server, cid, args) {
            Some(f) => flags = f,
            None => return,
        }
    }
    let Some(n) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let Some(when) = n.checked_mul(unit).and_then(|n| n.checked_add(base)) else {
        return server.add_reply_error_expire_time(cid);
    };
    let key = &args[1];
    let Some(at) = server.lookup_key_write(cid, key) else {
        return server.add_reply_long_long(cid, 0);
    };
    let db = server.client_db(cid);
    if flags != 0 && !conditions_hold(flags, at.entry(&server.dbs).expire(), when) {
        return server.add_reply_long_long(cid, 0);
    }
    if server.check_already_expired(when) {
        let free = Free::lazily_if(server.config.lazyfree_lazy_expire);
        server.db_generic_delete(db, key, free);
        server.rewrite_client_command_vector(&[free.verb(), key]);
        server.signal_modified_key(cid, db, key);
        server.notify_keyspace_event(NOTIFY_GENERIC, "del", key, db);
    } else {
        server.dbs[at.db].keys.set_expire(at.slot, Some(when));
        server.remember_slave_key_with_expire(cid, db, key);
        if !verbatim && server.propagation_wanted() {
            propagate_as_pexpireat(server, args, when);
        }
        server.signal_modified_key(cid, db, key);
        server.notify_keyspace_event(NOTIFY_GENERIC, "expire", key, db);
    }
    server.dirty += 1;
    server.add_reply_long_long(cid, 1);
}

/// The conditions go along: a replica must come to the same decision.
fn propagate_as_pexpireat(server: &mut Server, args: &Args, when: i64) {
    let mut buf = [0; LONG_STR_SIZE];
    let when = ll2string(&mut buf, when);
    if args.len() == 3 {
        return server.rewrite_client_command_vector(&[b"PEXPIREAT", &args[1], when]);
    }
    let mut words: Vec<&[u8]> = vec![b"PEXPIREAT", &args[1], when];
    words.extend((3..args.len()).map(|i| &args[i]));
    server.rewrite_client_command_vector(&words);
}

/// EXPIRE key seconds [NX | XX | GT | LT]
pub fn expire_command(server: &mut Server, cid: ClientId, args: &Args) {
    let now = server.command_time_ms();
    expire_generic(server, cid, args, now, 1000, false);
}

/// EXPIREAT key unix-time-seconds [NX | XX | GT | LT]
pub fn expireat_command(server: &mut Server, cid: ClientId, args: &Args) {
    expire_generic(server, cid, args, 0, 1000, false);
}

/// PEXPIRE key milliseconds [NX | XX | GT | LT]
pub fn pexpire_command(server: &mut Server, cid: ClientId, args: &Args) {
    let now = server.command_time_ms();
    expire_generic(server, cid, args, now, 1, false);
}

/// PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]
pub fn pexpireat_command(server: &mut Server, cid: ClientId, args: &Args) {
    expire_generic(server, cid, args, 0, 1, true);
}

/// TTL and its family (ttlGenericCommand): -2 for no key, -1 for no expiry; seconds are rounded.
fn ttl_generic(server: &mut Server, cid: ClientId, args: &Args, ms: bool, absolute: bool) {
    let db = server.client_db(cid);
    let n = match server.lookup_key(db, &args[1], Lookup::NOTOUCH) {
        None => -2,
        Some(at) => match at.entry(&server.dbs).expire() {
            None => -1,
            Some(at) => {
                let now = if absolute {
                    0
                } else {
                    server.command_time_ms()
                };
                let ttl = at.saturating_sub(now).max(0);
                if ms {
                    ttl
                } else {
                    // Unsigned: at the very end of time the sum passes i64.
                    ((ttl as u64 + 500) / 1000) as i64
                }
            }
        },
    };
    server.add_reply_long_long(cid, n);
}

/// TTL key
pub fn ttl_command(server: &mut Server, cid: ClientId, args: &Args) {
    ttl_generic(server, cid, args, false, false);
}

/// PTTL key
pub fn pttl_command(server: &mut Server, cid: ClientId, args: &Args) {
    ttl_generic(server, cid, args, true, false);
}

/// EXPIRETIME key
pub fn expiretime_command(server: &mut Server, cid: ClientId, args: &Args) {
    ttl_generic(server, cid, args, false, true);
}

/// PEXPIRETIME key
pub fn pexpiretime_command(server: &mut Server, cid: ClientId, args: &Args) {
    ttl_generic(server, cid, args, true, true);
}

/// PERSIST key
pub fn persist_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let at = server.lookup_key_write(cid, &args[1]);
    let Some(at) = at.filter(|s| s.entry(&server.dbs).expire().is_some()) else {
        return server.add_reply_long_long(cid, 0);
    };
    server.dbs[at.db].keys.set_expire(at.slot, None);
    server.signal_modified_key(cid, db, &args[1]);
    server.notify_keyspace_event(NOTIFY_GENERIC, "persist", &args[1], db);
    server.dirty += 1;
    server.add_reply_long_long(cid, 1);
}

/// TOUCH key [key ...]
pub fn touch_command(server: &mut Server, cid: ClientId, args: &Args) {
    let touched = (1..args.len())
        .filter(|i| server.lookup_key_read(cid, &args[*i]).is_some())
        .count();
    server.add_reply_long_long(cid, touched as i64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_take_no_expiry_for_one_that_never_comes() {
        // flags, current, when, result
        let cases = [
            (0, None, 5, true),
            (0, Some(9), 5, true),
            (EXPIRE_NX, None, 5, true),
            (EXPIRE_NX, Some(9), 5, false),
            (EXPIRE_XX, None, 5, false),
            (EXPIRE_XX, Some(9), 5, true),
            (EXPIRE_GT, None, 5, false),
            (EXPIRE_GT, Some(5), 5, false),
            (EXPIRE_GT, Some(4), 5, true),
            (EXPIRE_LT, None, 5, true),
            (EXPIRE_LT, Some(5), 5, false),
            (EXPIRE_LT, Some(6), 5, true),
            (EXPIRE_XX | EXPIRE_LT, None, 5, false),
            (EXPIRE_XX | EXPIRE_LT, Some(6), 5, true),
            (EXPIRE_XX | EXPIRE_GT, Some(6), 5, false),
        ];
        for (flags, current, when, want) in cases {
            assert_eq!(
                conditions_hold(flags, current, when),
                want,
                "{flags} {current:?} {when}"
            );
        }
    }
}
