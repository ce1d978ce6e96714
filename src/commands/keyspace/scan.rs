//! SCAN and its kin for collections (scanGenericCommand of db.c).
//!
//! The table's own scan gives the guarantee: what is there from the first to the last call is returned. Filters are applied
//! to what a step has found, so an answer may be empty though the iteration has not ended.

use crate::base::glob::Glob;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{Lookup, Replied};
use crate::store::entry::value::SlotValue;
use crate::wire::resp;

/// Elements asked for when COUNT is not given.
const DEFAULT_COUNT: i64 = 10;
/// Buckets visited for one element asked for, at the most: a sparse table must not keep us long.
const BUCKETS_PER_COUNT: i64 = 10;

/// What `strtoul` and upstream's checks make of a cursor: no leading blank, a sign is allowed, no text is 0; what follows a
/// NUL is not seen.
fn parse_scan_cursor(s: &[u8]) -> Option<u64> {
    let s = s.split(|c| *c == 0).next().unwrap_or_default();
    let (negative, digits) = match s {
        [] => return Some(0),
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, s),
    };
    if digits.is_empty() {
        return None;
    }
    let mut v = 0u64;
    for c in digits {
        if !c.is_ascii_digit() {
            return None;
        }
        v = v.checked_mul(10)?.checked_add(u64::from(c - b'0'))?;
    }
    Some(if negative { v.wrapping_neg() } else { v })
}

/// The cursor argument, or the error (parseScanCursorOrReply).
pub(super) fn parse_scan_cursor_or_reply(
    server: &mut Server,
    cid: ClientId,
    arg: &[u8],
) -> Option<u64> {
    let cursor = parse_scan_cursor(arg);
    if cursor.is_none() {
        server.add_reply_error(cid, "invalid cursor");
    }
    cursor
}

/// What may follow the cursor.
struct ScanOptions<'a> {
    count: i64,
    pattern: Option<Glob<'a>>,
    type_name: Option<&'a [u8]>,
}

impl ScanOptions<'_> {
    fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|p| p.matches(name))
    }
}

/// The options from argument `first` on, or the error; TYPE only where it makes sense.
fn parse_scan_options_or_reply<'a>(
    server: &mut Server,
    cid: ClientId,
    args: &'a Args,
    first: usize,
    typed: bool,
) -> Option<ScanOptions<'a>> {
    let mut o = ScanOptions {
        count: DEFAULT_COUNT,
        pattern: None,
        type_name: None,
    };
    let mut i = first;
    while i < args.len() {
        let more = i + 1 < args.len();
        if more && args.is(i, "count") {
            o.count = server.get_long_long_or_reply(cid, args, i + 1)?;
            if o.count < 1 {
                server.add_reply_syntax_error(cid);
                return None;
            }
        } else if more && args.is(i, "match") {
            // `*` matches everything: the same as no pattern.
            let pattern = Some(&args[i + 1]).filter(|p| *p != b"*");
            o.pattern = pattern.map(Glob::new);
        } else if more && typed && args.is(i, "type") {
            o.type_name = Some(&args[i + 1]);
        } else {
            server.add_reply_syntax_error(cid);
            return None;
        }
        i += 2;
    }
    Some(o)
}

/// Takes elements one by one: a name and, where the type has one, its value.
pub(crate) type Emit<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

/// HSCAN, SSCAN, ZSCAN: key cursor [MATCH pattern] [COUNT count]. `step` hands some of the collection's elements on and
/// answers the next cursor; an encoding that is no table hands on all of them and answers 0 (scanGenericCommand).
pub(crate) fn scan_generic_command<T: SlotValue>(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    step: fn(&T, u64, &mut Emit<'_>) -> u64,
) {
    let Some(mut cursor) = parse_scan_cursor_or_reply(server, cid, &args[2]) else {
        return;
    };
    let at = match server.lookup_typed::<T>(cid, &args[1], Lookup::READ) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_proto(cid, b"*2\r\n$1\r\n0\r\n*0\r\n"),
        Err(Replied) => return,
    };
    let Some(options) = parse_scan_options_or_reply(server, cid, args, 3, false) else {
        return;
    };
    let mut reply = Vec::new();
    let mut replies = 0;
    let mut sampled = 0i64;
    let mut steps = options.count.saturating_mul(BUCKETS_PER_COUNT);
    let Some(value) = at.value::<T>(&server.dbs) else {
        return;
    };
    loop {
        cursor = step(&value, cursor, &mut |name, value| {
            sampled += 1;
            if !options.matches(name) {
                return;
            }
            resp::push_bulk(&mut reply, name);
            replies += 1;
            if let Some(v) = value {
                resp::push_bulk(&mut reply, v);
                replies += 1;
            }
        });
        if cursor == 0 || steps == 0 || sampled >= options.count {
            break;
        }
        steps -= 1;
    }
    server.add_reply_array_len(cid, 2);
    server.add_reply_bulk_long_long(cid, cursor as i64);
    server.add_reply_array_len(cid, replies);
    server.add_reply_proto(cid, &reply);
}

/// A key that a scan has found: its place in the buffer of names, and what is known of it.
struct Found {
    start: usize,
    end: usize,
    expired: bool,
    type_matches: bool,
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`
pub(crate) fn scan_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(mut cursor) = parse_scan_cursor_or_reply(server, cid, &args[1]) else {
        return;
    };
    let Some(options) = parse_scan_options_or_reply(server, cid, args, 2, true) else {
        return;
    };
    let (count, type_name) = (options.count, options.type_name);

    let db = server.client_db(cid);
    let mut names = Vec::new();
    let mut found = Vec::new();
    let mut sampled = 0i64;
    let mut buckets = count.saturating_mul(BUCKETS_PER_COUNT);
    let keys = &server.dbs[db].keys;
    let hides = server.hides_keys();
    loop {
        cursor = keys.scan(cursor, |e| {
            sampled += 1;
            if !options.matches(e.name()) || hides && server.is_hidden_key(e.name()) {
                return;
            }
            let start = names.len();
            names.extend_from_slice(e.name());
            found.push(Found {
                start,
                end: names.len(),
                expired: server.entry_is_expired(e),
                type_matches: type_name
                    .is_none_or(|t| t.eq_ignore_ascii_case(e.value_type().name().as_bytes())),
            });
        });
        // The first step is always made, and an unknown type filters everything out but still iterates.
        if cursor == 0 || buckets == 0 || sampled >= count {
            break;
        }
        buckets -= 1;
    }

    if type_name.is_some() {
        // To look at a type is a look-up like any other, counted as such.
        found.retain(|f| {
            let key = &names[f.start..f.end];
            server
                .lookup_key(db, key, Lookup::NOTOUCH | Lookup::NONOTIFY)
                .is_some()
                && f.type_matches
        });
    } else {
        found.retain(|f| {
            let key = &names[f.start..f.end];
            let flags = Lookup::NOTOUCH | Lookup::NOSTATS | Lookup::NONOTIFY;
            !f.expired || server.lookup_key(db, key, flags).is_some()
        });
    }

    server.add_reply_array_len(cid, 2);
    server.add_reply_bulk_long_long(cid, cursor as i64);
    server.add_reply_array_len(cid, found.len());
    for f in &found {
        server.add_reply_bulk(cid, &names[f.start..f.end]);
    }
}

#[cfg(test)]
mod tests {
    use super::parse_scan_cursor;

    #[test]
    fn cursors_are_what_strtoul_takes_whole() {
        let cases: &[(&[u8], Option<u64>)] = &[
            (b"0", Some(0)),
            (b"", Some(0)),
            (b"\0x", Some(0)),
            (b"007", Some(7)),
            (b"+7", Some(7)),
            (b"-1", Some(u64::MAX)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"-18446744073709551616", None),
            (b" 1", None),
            (b"\t1", None),
            (b"1 ", None),
            (b"+", None),
            (b"-", None),
            (b"+-1", None),
            (b"0x1", None),
            (b"1\0z", Some(1)),
        ];
        for (text, want) in cases {
            assert_eq!(parse_scan_cursor(text), *want, "{}", text.escape_ascii());
        }
    }
}
