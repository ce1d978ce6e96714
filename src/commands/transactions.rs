//! MULTI, EXEC, DISCARD, WATCH and UNWATCH (the commands of multi.c). The queue and the watched keys are the server's
//! ([`crate::server::execution::multi`]).

use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;

/// MULTI
pub(crate) fn multi_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    if c.has(ClientFlags::MULTI) {
        return server.add_reply_error(cid, "MULTI calls can not be nested");
    }
    c.flags |= ClientFlags::MULTI;
    server.clients.add_reply_ok(cid);
}

/// DISCARD
pub(crate) fn discard_command(server: &mut Server, cid: ClientId, _args: &Args) {
    if !server
        .clients
        .get(cid)
        .is_some_and(|c| c.has(ClientFlags::MULTI))
    {
        return server.add_reply_error(cid, "DISCARD without MULTI");
    }
    server.discard_transaction(cid);
    server.clients.add_reply_ok(cid);
}

/// EXEC: a null array when a watched key was touched, an error when a command could not be queued.
pub(crate) fn exec_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let Some(flags) = server.clients.get(cid).map(|c| c.flags) else {
        return;
    };
    if !flags.intersects(ClientFlags::MULTI) {
        return server.add_reply_error(cid, "EXEC without MULTI");
    }
    if flags.intersects(ClientFlags::DIRTY_EXEC) {
        server.add_reply_error(
            cid,
            "-EXECABORT Transaction discarded because of previous errors.",
        );
    } else if flags.intersects(ClientFlags::DIRTY_CAS) || server.is_watched_key_expired(cid) {
        server.clients.add_reply_null_array(cid);
    } else {
        return server.exec_transaction(cid);
    }
    server.discard_transaction(cid);
}

/// `WATCH key [key ...]`
pub(crate) fn watch_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(flags) = server.clients.get(cid).map(|c| c.flags) else {
        return;
    };
    if flags.intersects(ClientFlags::MULTI) {
        return server.add_reply_error(cid, "WATCH inside MULTI is not allowed");
    }
    // Once dirty, more keys change nothing.
    if !flags.intersects(ClientFlags::DIRTY_CAS) {
        for i in 1..args.len() {
            server.watch_for_key(cid, &args[i]);
        }
    }
    server.clients.add_reply_ok(cid);
}

/// UNWATCH
pub(crate) fn unwatch_command(server: &mut Server, cid: ClientId, _args: &Args) {
    server.unwatch_all_keys(cid);
    if let Some(c) = server.clients.get_mut(cid) {
        c.flags.remove(ClientFlags::DIRTY_CAS);
    }
    server.clients.add_reply_ok(cid);
}
