//! SAVE, BGSAVE and LASTSAVE (rdb.c, db.c). The work is in `persist/`.

use crate::server::Server;
use crate::server::client::ClientId;
use crate::server::exec::Args;
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
pub fn save_command(server: &mut Server, cid: ClientId, _args: &Args) {
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

/// BGSAVE [SCHEDULE]
pub fn bgsave_command(server: &mut Server, cid: ClientId, args: &Args) {
    // There is one kind of child, so SCHEDULE never has to wait for another.
    if args.len() > 1 && (args.len() != 2 || !args.is(1, "schedule")) {
        server.add_reply_syntax_error(cid);
        return;
    }
    if server.rdb_child_runs() {
        server.add_reply_error(cid, "Background save already in progress");
        return;
    }
    if server.exec.in_exec {
        // The transaction is one state: the child is made when it is over.
        server.persist.bgsave_scheduled = true;
        server
            .clients
            .add_reply_status(cid, "Background saving scheduled");
        return;
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

/// LASTSAVE
pub fn lastsave_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let at = server.persist.last_save;
    server.clients.add_reply_long_long(cid, at);
}
