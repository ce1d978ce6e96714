//! DEBUG's looks into listpacks and quicklists. The pictures go to the server's standard output, for people; only a status
//! goes to the client.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::base::num::memtoull;
use crate::base::strtod::strtod;
use crate::ds::listpack::Listpack;
use crate::ds::quicklist::{NodeRef, PACKED_THRESHOLD, PACKED_THRESHOLD_MAX, Quicklist};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{At, Lookup};
use crate::store::entry::Entry;
use crate::store::entry::value::Value;
use crate::store::hash::Hash;
use crate::store::list::List;
use crate::store::set::Set;
use crate::store::zset::Zset;

/// Bytes of an element that are shown.
const SHOWN: usize = 40;

/// A key for a command that shows its inside (objectCommandLookupOrReply).
pub(super) fn lookup_or_reply(server: &mut Server, cid: ClientId, key: &[u8]) -> Option<At> {
    let db = server.client_db(cid);
    let at = server.lookup_key(db, key, Lookup::NOTOUCH | Lookup::NONOTIFY);
    if at.is_none() {
        server.add_reply_no_such_key(cid);
    }
    at
}

/// DEBUG QUICKLIST-PACKED-THRESHOLD size
pub(super) fn packed_threshold(server: &mut Server, cid: ClientId, args: &Args) {
    let size = memtoull(&args[2])
        .ok()
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| *n <= PACKED_THRESHOLD_MAX);
    match size {
        Some(n) => {
            server.debug.packed_threshold = if n == 0 { PACKED_THRESHOLD } else { n };
            server.add_reply_ok(cid);
        }
        None => server.add_reply_error(
            cid,
            "argument must be a memory value bigger than 1 and smaller than 4gb",
        ),
    }
}

/// The listpack that is the whole of an entry's value.
fn listpack_of<R>(e: &Entry, f: impl FnOnce(&Listpack) -> R) -> Option<R> {
    match &*e.any_value()? {
        Value::List(List::Listpack(lp))
        | Value::Set(Set::Listpack(lp))
        | Value::Hash(Hash::Listpack(lp))
        | Value::Zset(Zset::Listpack(lp)) => Some(f(lp)),
        _ => None,
    }
}

fn print(text: &str) {
    // Nobody may be there to read it.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Appends what a listpack looks like (lpRepr).
fn listpack_repr(out: &mut String, lp: &Listpack) {
    let _ = writeln!(
        out,
        "{{total bytes {}}} {{num entries {}}}",
        lp.total_bytes(),
        lp.len()
    );
    for (i, v) in lp.iter().enumerate() {
        let text = v.to_vec();
        let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
        let more = if text.len() > SHOWN { "..." } else { "" };
        let _ = writeln!(out, "{{index: {i}, length: {}}} {shown}{more}", text.len());
    }
    out.push_str("{end}\n\n");
}

/// Appends what a quicklist looks like, in `full` with all elements (quicklistRepr).
fn quicklist_repr(out: &mut String, q: &Quicklist, full: bool) {
    let _ = writeln!(
        out,
        "{{count : {}}}\n{{len : {}}}\n{{fill : {}}}\n{{compress : {}}}",
        q.len(),
        q.node_count(),
        q.fill(),
        q.compress_depth()
    );
    for (i, (node, count)) in q.nodes().enumerate() {
        let (container, encoding, size) = match node {
            NodeRef::Packed(b) => ("PACKED", "RAW", b.len()),
            NodeRef::Lzf { raw_len, .. } => ("PACKED", "LZF", raw_len),
            NodeRef::Plain(b) => ("PLAIN", "RAW", b.len()),
        };
        let _ = writeln!(
            out,
            "{{quicklist node({i})\n{{container : {container}, encoding: {encoding}, size: {size}, count: {count}}}"
        );
    }
    if full {
        q.for_each_from(0, false, |v| {
            let text = v.value().to_vec();
            let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
            let _ = writeln!(out, "{shown}");
            true
        });
    }
}

/// DEBUG LISTPACK key
pub(super) fn listpack(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(at) = lookup_or_reply(server, cid, &args[2]) else {
        return;
    };
    let mut text = String::new();
    let found = listpack_of(at.entry(&server.dbs), |lp| listpack_repr(&mut text, lp));
    match found {
        Some(()) => {
            print(&text);
            server
                .clients
                .add_reply_status(cid, "Listpack structure printed on stdout");
        }
        None => server.add_reply_error(cid, "Not a listpack encoded object."),
    }
}

/// `DEBUG QUICKLIST key [0|1]`
pub(super) fn quicklist(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(at) = lookup_or_reply(server, cid, &args[2]) else {
        return;
    };
    let full = args.len() == 4 && strtod(&args[3]).value != 0.0;
    let mut text = String::new();
    match at.entry(&server.dbs).value::<List>().as_deref() {
        Some(List::Quicklist(q)) => quicklist_repr(&mut text, q, full),
        _ => return server.add_reply_error(cid, "Not a quicklist encoded object."),
    }
    print(&text);
    server
        .clients
        .add_reply_status(cid, "Quicklist structure printed on stdout");
}

/// What DEBUG OBJECT adds for a quicklist.
pub(super) fn quicklist_facts(e: &Entry) -> String {
    match e.value::<List>().as_deref() {
        Some(List::Quicklist(q)) => format!(
            " ql_nodes:{} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{}",
            q.node_count(),
            q.len() as f64 / q.node_count().max(1) as f64,
            q.fill(),
            i32::from(q.compress_depth() != 0),
            q.raw_bytes()
        ),
        _ => String::new(),
    }
}
