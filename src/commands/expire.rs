//! EXPIRE and its family, TTL and its family, PERSIST, TOUCH (the commands of expire.c).
//!
//! Relative times are propagated as PEXPIREAT with the absolute one, so that a replica and an AOF mean the same moment. A
//! time that has passed deletes the key and is propagated so, but only where this server decides: a replica keeps the key
//! until its master's DEL.

use bitflags::bitflags;

use crate::base::num::{LONG_STR_SIZE, ll2string};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{Free, Lookup};
use crate::server::keyspace::notify::NOTIFY_GENERIC;

/// How the number of an expiry counts: EX, PX, EXAT, PXAT.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpireUnit {
    Ex,
    Px,
    ExAt,
    PxAt,
}

impl ExpireUnit {
    pub(super) fn by_name(word: &[u8]) -> Option<ExpireUnit> {
        let is = |s: &str| word.eq_ignore_ascii_case(s.as_bytes());
        Some(match word.len() {
            2 if is("ex") => ExpireUnit::Ex,
            2 if is("px") => ExpireUnit::Px,
            4 if is("exat") => ExpireUnit::ExAt,
            4 if is("pxat") => ExpireUnit::PxAt,
            _ => return None,
        })
    }

    pub(super) fn in_seconds(self) -> bool {
        matches!(self, ExpireUnit::Ex | ExpireUnit::ExAt)
    }

    pub(super) fn is_relative(self) -> bool {
        matches!(self, ExpireUnit::Ex | ExpireUnit::Px)
    }

    /// What a unit is worth, in ms.
    #[inline]
    pub(super) fn ms(self) -> i64 {
        if self.in_seconds() { 1000 } else { 1 }
    }
}

bitflags! {
    /// Conditions of EXPIRE (EXPIRE_NX and its like of expire.c).
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Conditions: u8 {
        const NX = 1;
        const XX = 2;
        const GT = 4;
        const LT = 8;
    }
}

/// The conditions after the time, or the error.
fn parse_conditions_or_reply(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
) -> Option<Conditions> {
    let mut flags = Conditions::empty();
    for i in 3..args.len() {
        flags |= match () {
            _ if args.is(i, "nx") => Conditions::NX,
            _ if args.is(i, "xx") => Conditions::XX,
            _ if args.is(i, "gt") => Conditions::GT,
            _ if args.is(i, "lt") => Conditions::LT,
            _ => {
                // Upstream shows the option as a C string.
                let shown = args[i].split(|c| *c == 0).next().unwrap_or_default();
                let text = [b"Unsupported option ", shown].concat();
                server.add_reply_error_bytes(cid, &text);
                return None;
            }
        };
    }
    if flags.contains(Conditions::NX) && flags != Conditions::NX {
        let text = "NX and XX, GT or LT options at the same time are not compatible";
        server.add_reply_error(cid, text);
        return None;
    }
    if flags.contains(Conditions::GT | Conditions::LT) {
        let text = "GT and LT options at the same time are not compatible";
        server.add_reply_error(cid, text);
        return None;
    }
    Some(flags)
}

/// Whether the conditions let an expiry of `current` become `when`. No expiry counts as one that never comes.
fn conditions_hold(flags: Conditions, current: Option<i64>, when: i64) -> bool {
    match current {
        Some(at) => {
            !flags.contains(Conditions::NX)
                && (!flags.contains(Conditions::GT) || when > at)
                && (!flags.contains(Conditions::LT) || when < at)
        }
        None => !flags.intersects(Conditions::XX | Conditions::GT),
    }
}

/// The four commands (expireGenericCommand): `unit` is that of the argument.
#[inline]
fn expire_generic(server: &mut Server, cid: ClientId, args: &Args, unit: ExpireUnit) {
    let mut flags = Conditions::empty();
    if args.len() > 3 {
        match parse_conditions_or_reply(server, cid, args) {
            Some(f) => flags = f,
            None => return,
        }
    }
    let Some(n) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let base = match unit.is_relative() {
        true => server.command_time_ms(),
        false => 0,
    };
    let when = n.checked_mul(unit.ms());
    let Some(when) = when.and_then(|ms| ms.checked_add(base)) else {
        return server.add_reply_error_expire_time(cid);
    };
    let key = &args[1];
    let Some(at) = server.lookup_key_write(cid, key) else {
        return server.add_reply_long_long(cid, 0);
    };
    let db = at.db;
    if !flags.is_empty() && !conditions_hold(flags, at.entry(&server.dbs).expire(), when) {
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
        if unit != ExpireUnit::PxAt && server.propagation_wanted() {
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

/// `EXPIRE key seconds [NX | XX | GT | LT]`
pub(crate) fn expire_command(server: &mut Server, cid: ClientId, args: &Args) {
    expire_generic(server, cid, args, ExpireUnit::Ex);
}

/// `EXPIREAT key unix-time-seconds [NX | XX | GT | LT]`
pub(crate) fn expireat_command(server: &mut Server, cid: ClientId, args: &Args) {
    expire_generic(server, cid, args, ExpireUnit::ExAt);
}

/// `PEXPIRE key milliseconds [NX | XX | GT | LT]`
pub(crate) fn pexpire_command(server: &mut Server, cid: ClientId, args: &Args) {
    expire_generic(server, cid, args, ExpireUnit::Px);
}

/// `PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]`
pub(crate) fn pexpireat_command(server: &mut Server, cid: ClientId, args: &Args) {
    expire_generic(server, cid, args, ExpireUnit::PxAt);
}

/// TTL and its family (ttlGenericCommand): -2 for no key, -1 for no expiry; seconds are rounded.
fn ttl_generic(server: &mut Server, cid: ClientId, args: &Args, unit: ExpireUnit) {
    let db = server.client_db(cid);
    let n = match server.lookup_key(db, &args[1], Lookup::NOTOUCH) {
        None => -2,
        Some(at) => match at.entry(&server.dbs).expire() {
            None => -1,
            Some(at) => {
                let now = match unit.is_relative() {
                    true => server.command_time_ms(),
                    false => 0,
                };
                let ttl = at.saturating_sub(now).max(0);
                match unit.in_seconds() {
                    // Unsigned: at the very end of time the sum passes i64.
                    true => ((ttl as u64 + 500) / 1000) as i64,
                    false => ttl,
                }
            }
        },
    };
    server.add_reply_long_long(cid, n);
}

/// TTL key
pub(crate) fn ttl_command(server: &mut Server, cid: ClientId, args: &Args) {
    ttl_generic(server, cid, args, ExpireUnit::Ex);
}

/// PTTL key
pub(crate) fn pttl_command(server: &mut Server, cid: ClientId, args: &Args) {
    ttl_generic(server, cid, args, ExpireUnit::Px);
}

/// EXPIRETIME key
pub(crate) fn expiretime_command(server: &mut Server, cid: ClientId, args: &Args) {
    ttl_generic(server, cid, args, ExpireUnit::ExAt);
}

/// PEXPIRETIME key
pub(crate) fn pexpiretime_command(server: &mut Server, cid: ClientId, args: &Args) {
    ttl_generic(server, cid, args, ExpireUnit::PxAt);
}

/// PERSIST key
pub(crate) fn persist_command(server: &mut Server, cid: ClientId, args: &Args) {
    let at = server.lookup_key_write(cid, &args[1]);
    let Some(at) = at.filter(|s| s.entry(&server.dbs).expire().is_some()) else {
        return server.add_reply_long_long(cid, 0);
    };
    server.dbs[at.db].keys.set_expire(at.slot, None);
    server.signal_modified_key(cid, at.db, &args[1]);
    server.notify_keyspace_event(NOTIFY_GENERIC, "persist", &args[1], at.db);
    server.dirty += 1;
    server.add_reply_long_long(cid, 1);
}

/// `TOUCH key [key ...]`
pub(crate) fn touch_command(server: &mut Server, cid: ClientId, args: &Args) {
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
            (Conditions::empty(), None, 5, true),
            (Conditions::empty(), Some(9), 5, true),
            (Conditions::NX, None, 5, true),
            (Conditions::NX, Some(9), 5, false),
            (Conditions::XX, None, 5, false),
            (Conditions::XX, Some(9), 5, true),
            (Conditions::GT, None, 5, false),
            (Conditions::GT, Some(5), 5, false),
            (Conditions::GT, Some(4), 5, true),
            (Conditions::LT, None, 5, true),
            (Conditions::LT, Some(5), 5, false),
            (Conditions::LT, Some(6), 5, true),
            (Conditions::XX | Conditions::LT, None, 5, false),
            (Conditions::XX | Conditions::LT, Some(6), 5, true),
            (Conditions::XX | Conditions::GT, Some(6), 5, false),
        ];
        for (flags, current, when, want) in cases {
            assert_eq!(
                conditions_hold(flags, current, when),
                want,
                "{:?} {current:?} {when}",
                flags.bits()
            );
        }
    }
}
