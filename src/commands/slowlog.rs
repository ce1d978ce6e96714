//! SLOWLOG GET, LEN, RESET and HELP (slowlogCommand of slowlog.c). The log itself is the server's.

use crate::base::num::string2ll;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;

/// Entries that GET shows when it is not told.
const DEFAULT_COUNT: i64 = 10;

const HELP: &[&str] = &[
    "GET [<count>]",
    "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
    "    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port,",
    "    client name",
    "LEN",
    "    Return the length of the slowlog.",
    "RESET",
    "    Reset the slowlog.",
];

/// SLOWLOG HELP
pub(crate) fn slowlog_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, HELP);
}

/// SLOWLOG RESET
pub(crate) fn slowlog_reset_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.slowlog.entries.clear();
    server.clients.add_reply_ok(cid);
}

/// SLOWLOG LEN
pub(crate) fn slowlog_len_command(server: &mut Server, cid: ClientId, _: &Args) {
    let len = server.slowlog.entries.len();
    server.clients.add_reply_long_long(cid, len as i64);
}

/// `SLOWLOG GET [count]`
pub(crate) fn slowlog_get_command(server: &mut Server, cid: ClientId, args: &Args) {
    let count = match args.len() {
        2 => Some(DEFAULT_COUNT),
        3 => string2ll(&args[2]).filter(|n| *n >= -1),
        _ => return server.add_reply_subcommand_syntax_error(cid, args),
    };
    let Some(count) = count else {
        return server.add_reply_error(cid, "count should be greater than or equal to -1");
    };
    let all = server.slowlog.entries.len();
    // -1 is all of them.
    let count = usize::try_from(count).unwrap_or(all).min(all);
    let clients = &mut server.clients;
    clients.add_reply_array_len(cid, count);
    for e in server.slowlog.entries.iter().take(count) {
        clients.add_reply_array_len(cid, 6);
        clients.add_reply_long_long(cid, e.id as i64);
        clients.add_reply_long_long(cid, e.time);
        clients.add_reply_long_long(cid, e.duration_us as i64);
        clients.add_reply_array_len(cid, e.args.len());
        for a in &e.args {
            clients.add_reply_bulk(cid, a);
        }
        clients.add_reply_bulk(cid, e.peer.as_bytes());
        clients.add_reply_bulk(cid, &e.name);
    }
}
