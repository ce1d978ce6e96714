//! SAVE, BGSAVE, BGREWRITEAOF and LASTSAVE (rdb.c, aof.c, db.c). The work is in `persist/`.

use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::persist::ChildKind;

/// Upstream's bare error, for failures that only the log explains.
const ERR: &str = "-ERR";

impl Server {
    fn rdb_child_runs(&self) -> bool {
        self.persist
            .child
            .as_ref()
            .is_some_and(|c| c.kind == ChildKind::Rdb)
    }
}

/// SAVE
pub(crate) fn save_command(server: &mut Server, cid: ClientId, _args: &Args) {
    if server.rdb_child_runs() {
        server.add_reply_error(cid, "Background save already in progress");
        return;
    }
    server.persist.rdb_saves += 1;
    if server.rdb_save_to_dbfilename() {
        server.clients.add_reply_ok(cid);
    } else {
        server.add_reply_error(cid, ERR);
    }
}

/// `BGSAVE [SCHEDULE]`
pub(crate) fn bgsave_command(server: &mut Server, cid: ClientId, args: &Args) {
    let schedule = match args.len() {
        1 => false,
        2 if args.is(1, "schedule") => true,
        _ => return server.add_reply_syntax_error(cid),
    };
    if server.rdb_child_runs() {
        return server.add_reply_error(cid, "Background save already in progress");
    }
    let child = server.has_active_child_process();
    if child && !schedule && !server.exec.call.in_exec {
        return server.add_reply_error(
            cid,
            "Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a \
             BGSAVE whenever possible.",
        );
    }
    if child || server.exec.call.in_exec {
        // A transaction is one state: the child is made when it is over.
        server.persist.bgsave_scheduled = true;
        return server
            .clients
            .add_reply_status(cid, "Background saving scheduled");
    }
    let rsi = server.rdb_populate_save_info();
    let path = crate::base::sys::path_of(&server.config.dbfilename);
    if server.rdb_save_background(&path, rsi) {
        server
            .clients
            .add_reply_status(cid, "Background saving started");
    } else {
        server.add_reply_error(cid, ERR);
    }
}

/// BGREWRITEAOF
pub(crate) fn bgrewriteaof_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let child = server.persist.child.as_ref().map(|c| c.kind);
    if child == Some(ChildKind::Aof) {
        server.add_reply_error(
            cid,
            "Background append only file rewriting already in progress",
        );
    } else if child.is_some() || server.exec.call.in_exec {
        server.aof.rewrite_scheduled = true;
        // Asked for by hand, it does not wait for the end of a delay.
        server.aof.consecutive_failures = 0;
        server
            .clients
            .add_reply_status(cid, "Background append only file rewriting scheduled");
    } else if server.rewrite_append_only_file_background() {
        server
            .clients
            .add_reply_status(cid, "Background append only file rewriting started");
    } else {
        server.add_reply_error(
            cid,
            "Can't execute an AOF background rewriting. Please check the server logs for more information.",
        );
    }
}

/// LASTSAVE
pub(crate) fn lastsave_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let at = server.persist.last_save;
    server.clients.add_reply_long_long(cid, at);
}
