//! FLUSHDB and FLUSHALL (flushAllDataAndResetRDB of db.c).

use crate::base::alloc;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::execution::propagate::Propagate;
use crate::server::persist::ChildKind;

impl Server {
    /// FLUSHALL's work: the data set is emptied, a snapshot that is being taken of the old one is given up, and the file on
    /// the disk, where one is kept, becomes that of the empty data set (flushAllDataAndResetRDB).
    pub(crate) fn flush_all_data_and_reset_rdb(&mut self, lazy: bool) {
        self.dirty += self.empty_data(None, lazy) as i64;
        let saving = self
            .persist
            .child
            .as_ref()
            .is_some_and(|c| c.kind == ChildKind::Rdb);
        if saving {
            self.kill_rdb_child();
        }
        if !self.config.save.is_empty() {
            self.rdb_save_to_dbfilename();
        }
        if !lazy {
            alloc::purge();
        }
    }
}

/// `[ASYNC | SYNC]`: whether to free in the background; an error to the client and none when it is something else.
fn get_flush_command_flags(server: &mut Server, cid: ClientId, args: &Args) -> Option<bool> {
    match args.len() {
        1 => Some(server.config.lazyfree_lazy_user_flush),
        2 if args.is(1, "sync") => Some(false),
        2 if args.is(1, "async") => Some(true),
        _ => {
            server.add_reply_syntax_error(cid);
            None
        }
    }
}

/// `FLUSHDB [ASYNC | SYNC]`: propagated even when the database was empty.
pub(crate) fn flushdb_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(lazy) = get_flush_command_flags(server, cid, args) else {
        return;
    };
    let db = server.client_db(cid);
    server.dirty += server.empty_data(Some(db), lazy) as i64;
    server.force_command_propagation(Propagate::BOTH);
    reply(server, cid, lazy);
    if !lazy {
        alloc::purge();
    }
}

/// Who has not asked for what is freed in the background is answered when it has been freed: what comes next finds the memory.
fn reply(server: &mut Server, cid: ClientId, lazy: bool) {
    match lazy {
        true => server.add_reply_ok(cid),
        false => server.reply_ok_when_freed(cid),
    }
}

/// `FLUSHALL [ASYNC | SYNC]`
pub(crate) fn flushall_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(lazy) = get_flush_command_flags(server, cid, args) else {
        return;
    };
    server.flush_all_data_and_reset_rdb(lazy);
    server.force_command_propagation(Propagate::BOTH);
    reply(server, cid, lazy);
}
