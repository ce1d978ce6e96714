//! INFO, TIME, LOLWUT, SHUTDOWN, MONITOR: commands about the server as a whole. What INFO says is in `info`.

use crate::base::num::string2ll;
use crate::commands::info::InfoSections;
use crate::config::value::ShutdownFlags;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::execution::block::{Block, BlockType};
use crate::server::{REDIS_VERSION, Server};

/// `INFO [section ...]`
pub(crate) fn info_command(server: &mut Server, cid: ClientId, args: &Args) {
    if server.config.sentinel_mode {
        let sections = InfoSections::of_sentinel((1..args.len()).map(|i| &args[i]));
        let mut info = server.gen_redis_info_string(&sections);
        if sections.named("sentinel") {
            if !info.is_empty() {
                info.push_str("\r\n");
            }
            info.push_str(&server.sentinel_info_section());
        }
        return server.add_reply_bulk(cid, info.as_bytes());
    }
    let sections = InfoSections::of((1..args.len()).map(|i| &args[i]));
    let info = server.gen_redis_info_string(&sections);
    server
        .clients
        .add_reply_verbatim(cid, info.as_bytes(), *b"txt");
}

/// TIME
pub(crate) fn time_command(server: &mut Server, cid: ClientId, _args: &Args) {
    // A script that waits for the time to go on is not to wait for ever.
    let served_us = server.exec.call.served_us();
    let us = served_us.unwrap_or(server.clock.unix_us);
    server.clients.add_reply_array_len(cid, 2);
    let clients = &mut server.clients;
    clients.add_reply_bulk_long_long(cid, us.div_euclid(1_000_000));
    clients.add_reply_bulk_long_long(cid, us.rem_euclid(1_000_000));
}

/// Columns of the temple, when LOLWUT is not told.
const LOLWUT_COLUMNS: i64 = 6;
/// The most columns that it has.
const LOLWUT_COLUMNS_MAX: i64 = 40;

/// `LOLWUT [VERSION version] [columns]`
pub(crate) fn lolwut_command(server: &mut Server, cid: ClientId, args: &Args) {
    let mut next = 1;
    if args.len() >= 3 && args.is(1, "version") {
        // Every version draws the same.
        if server.get_long_long_or_reply(cid, args, 2).is_none() {
            return;
        }
        next = 3;
    }
    let columns = match args.len() > next {
        true => string2ll(&args[next]).unwrap_or(LOLWUT_COLUMNS),
        false => LOLWUT_COLUMNS,
    };
    let columns = columns.clamp(2, LOLWUT_COLUMNS_MAX) as usize;
    let mut text = temple(columns, || server.rng.index(100));
    text.push_str("\nRedis ver. ");
    text.push_str(REDIS_VERSION);
    text.push('\n');
    server
        .clients
        .add_reply_verbatim(cid, text.as_bytes(), *b"txt");
}

/// A temple's front, as an aedile looked after; `random` (0..100) decides on how well it was kept.
fn temple(columns: usize, mut random: impl FnMut() -> usize) -> String {
    let width = columns * 5 + 1;
    let mut out = String::new();
    // The gable: two slopes that meet in the middle.
    let half = width.div_ceil(2);
    for row in (0..half).step_by(3) {
        let inside = width.saturating_sub(2 * (half - row));
        out.push_str(&" ".repeat(half - row));
        out.push('/');
        out.push_str(&"_".repeat(inside));
        out.push_str("\\\n");
    }
    out.push_str(&format!(" |{}|\n", "=".repeat(width)));
    for row in 0..6 {
        out.push_str("  ");
        for _ in 0..columns {
            let stone = match (row, random()) {
                (0, _) => "(==) ",
                (5, _) => "[__] ",
                (_, 0..4) => " :|| ",
                (_, 4..8) => " ||; ",
                _ => " ||| ",
            };
            out.push_str(stone);
        }
        out.push('\n');
    }
    out.push_str(&format!(" {}\n", "_".repeat(width + 2)));
    out.push_str(&format!("/{}\\\n", "_".repeat(width + 2)));
    out
}

/// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]`
pub(crate) fn shutdown_command(server: &mut Server, cid: ClientId, args: &Args) {
    let mut flags = ShutdownFlags::empty();
    let mut abort = false;
    for i in 1..args.len() {
        flags |= match () {
            _ if args.is(i, "nosave") => ShutdownFlags::NOSAVE,
            _ if args.is(i, "save") => ShutdownFlags::SAVE,
            _ if args.is(i, "now") => ShutdownFlags::NOW,
            _ if args.is(i, "force") => ShutdownFlags::FORCE,
            _ if args.is(i, "abort") => {
                abort = true;
                ShutdownFlags::empty()
            }
            _ => return server.add_reply_syntax_error(cid),
        };
    }
    if (abort && !flags.is_empty()) || flags.contains(ShutdownFlags::SAVE_AND_NOSAVE) {
        return server.add_reply_syntax_error(cid);
    }
    if abort {
        if server.abort_shutdown() {
            server.clients.add_reply_ok(cid);
        } else {
            server.add_reply_error(cid, "No shutdown in progress.");
        }
        return;
    }
    let denied = server
        .clients
        .get(cid)
        .is_some_and(|c| c.has(ClientFlags::DENY_BLOCKING));
    if denied && !flags.contains(ShutdownFlags::NOW) {
        return server.add_reply_error(
            cid,
            "SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client",
        );
    }
    if server.scripts.is_timed_out() && !flags.contains(ShutdownFlags::NOSAVE) {
        let text = server.busy_script_error();
        return server.add_reply_error(cid, text);
    }
    // Blocked first: whatever ends the attempt answers those who are blocked on it.
    server.block_client(cid, Block::new(BlockType::Shutdown));
    if server.prepare_for_shutdown(flags) {
        server.exit(0);
    }
}

/// MONITOR
pub(crate) fn monitor_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    if c.has(ClientFlags::DENY_BLOCKING) {
        let text = "MONITOR isn't allowed for DENY BLOCKING client";
        return server.add_reply_error(cid, text);
    }
    if c.has(ClientFlags::SLAVE) {
        return;
    }
    c.flags |= ClientFlags::SLAVE | ClientFlags::MONITOR;
    server.clients.monitors.push(cid);
    server.clients.add_reply_ok(cid);
}

#[cfg(test)]
mod tests {
    use super::temple;

    #[test]
    fn a_temple_has_its_columns() {
        for columns in [2, 6, 40] {
            let t = temple(columns, || 50);
            assert_eq!(t.matches("(==)").count(), columns);
            assert_eq!(t.matches(" ||| ").count(), columns * 4);
            assert!(t.lines().all(|l| l.len() <= columns * 5 + 8));
        }
    }
}
