//! What is kept of a master whose link broke, so that the next one can be asked to go on from there: its id, the offset, the
//! database its stream had selected (replicationCacheMaster and the functions after it).

use crate::base::log::Level;
use crate::server::Server;
use crate::server::clients::connection::Connection;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::master_link::{History, MasterLink};
use crate::server::repl::CachedMaster;
use crate::server_log;
use crate::wire::aof::ReplicationMark;

impl Server {
    /// The client that was the link to our master is being freed, or is to be replaced: its state is kept unless the stream
    /// itself was at fault (the master part of freeClient, replicationCacheMaster).
    pub(crate) fn master_link_closed(&mut self, cid: ClientId) {
        self.replication_cache_master(cid);
        self.replication_handle_master_disconnection();
    }

    /// Takes what is worth keeping out of the link's client and makes that an ordinary client about to be freed.
    pub(super) fn replication_cache_master(&mut self, cid: ClientId) {
        server_log!(Level::Notice, "Connection with master lost.");
        self.repl.link = MasterLink::Connect;
        self.repl.down_since = self.clock.unix_s;
        self.discard_transaction(cid);
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        self.repl.master_heard_s = c.last_interaction;
        let broken = c.has(ClientFlags::PROTOCOL_ERROR | ClientFlags::BLOCKED);
        c.flags.remove(ClientFlags::MASTER | ClientFlags::HELD);
        let db = c.db;
        let kept = c.master_stream.take().filter(|_| !broken).and_then(|m| {
            Some(CachedMaster {
                replid: m.replid?,
                // Bytes that were read and not run yet are asked for again.
                reploff: m.reploff,
                db,
            })
        });
        if kept.is_some() {
            server_log!(Level::Notice, "Caching the disconnected master state.");
            self.repl.cached_master = kept;
        }
        self.free_client_async(cid);
    }

    /// The link is down: connect again at once, before the backlog over there moves on
    /// (replicationHandleMasterDisconnection).
    pub(super) fn replication_handle_master_disconnection(&mut self) {
        self.link_was_up();
        // At once, but not without a pause where the master closes each link that is up.
        let wait = self.repl.attempts.pace.lost(self.el.now_ms());
        if let Some(host) = self.repl.master_host.clone()
            && wait == 0
        {
            server_log!(
                Level::Notice,
                "Reconnecting to MASTER {}:{}",
                host,
                self.repl.master_port
            );
            self.connect_with_master();
        }
    }

    /// A master that becomes a replica keeps its own history in hand: the new master may be a former replica that can go on
    /// with it (replicationCacheMasterUsingMyself).
    pub(super) fn replication_cache_master_using_myself(&mut self) {
        server_log!(
            Level::Notice,
            "Before turning into a replica, using my own master parameters to synthesize a cached master: I may be able to \
             synchronize with the new master with just a partial transfer."
        );
        let offset = self.repl.log.master_repl_offset();
        // Any database does: the new master's stream starts with a SELECT.
        self.repl.cached_master = Some(CachedMaster {
            replid: self.repl.replid,
            reploff: offset,
            db: 0,
        });
    }

    /// Where our data set stands in the stream right now; none where it is part of no stream that anybody could go on with.
    pub(crate) fn replication_mark(&self) -> Option<ReplicationMark> {
        let repl = &self.repl;
        if repl.master_host.is_none() {
            return repl.log.backlog_active().then(|| ReplicationMark {
                replid: repl.replid,
                offset: repl.log.master_repl_offset(),
                db: repl.slave_seldb.unwrap_or(0),
            });
        }
        let (offset, db, replid) = match repl.link.client().and_then(|m| self.clients.get(m)) {
            Some(c) => {
                let m = c.master_stream().filter(|m| m.replid.is_some())?;
                (m.reploff, c.db, repl.replid)
            }
            None => {
                let c = repl.cached_master.as_ref()?;
                (c.reploff, c.db, c.replid)
            }
        };
        Some(ReplicationMark { replid, offset, db })
    }

    /// Forgets it: the history it stands for is over (replicationDiscardCachedMaster).
    pub(super) fn replication_discard_cached_master(&mut self) {
        if self.repl.cached_master.take().is_some() {
            server_log!(Level::Notice, "Discarding previously cached master state.");
        }
    }

    /// The master goes on where the link broke: the new connection takes the old one's place
    /// (replicationResurrectCachedMaster).
    pub(super) fn replication_resurrect_cached_master(
        &mut self,
        conn: Connection,
    ) -> Option<ClientId> {
        let cached = self.repl.cached_master.take()?;
        let history = History {
            replid: cached.replid,
            offset: cached.reploff,
        };
        let cid = self.replication_create_master_client(conn, history, Some(cached.db))?;
        self.repl.down_since = 0;
        Some(cid)
    }
}
