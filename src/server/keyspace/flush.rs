//! Emptying databases (emptyData of db.c): what FLUSHALL, a full sync and a reload share.

use crate::ds::table::Resize;
use crate::server::Server;
use crate::store::db::Db;

impl Server {
    /// Removes all keys of one database, or of all, and returns how many there were. With `lazy`, or if it takes long
    /// (`lazyfree-large`), their memory is freed in the background. A replica in the midst of a sync lets its master know that it lives, once a database
    /// (replicationEmptyDbCallback).
    pub(crate) fn empty_data(&mut self, db: Option<usize>, lazy: bool) -> usize {
        let range = match db {
            Some(n) if n < self.dbs.len() => n..n + 1,
            Some(_) => return 0,
            None => 0..self.dbs.len(),
        };
        let resize = if self.has_active_child_process() {
            Resize::Avoid
        } else {
            Resize::Allow
        };
        self.slot_migrations.data_was_flushed();
        self.tracking_invalidate_keys_on_flush(lazy);
        let mut removed = 0;
        let mut old = Vec::new();
        for i in range {
            self.touch_all_watched_keys_in_db(i, None);
            let n = self.dbs[i].keys.len();
            if n == 0 {
                continue;
            }
            removed += n;
            self.scan_database_for_deleted_keys(i, None);
            let mut new = Db::new(self.hasher.clone(), self.config.cluster_enabled);
            new.keys.set_resize(resize);
            let db = std::mem::replace(&mut self.dbs[i], new);
            let Some(db) = self.detach_captured(db) else {
                continue;
            };
            if lazy || self.config.lazyfree_large && db.is_large() {
                old.push(db);
                continue;
            }
            drop(db);
            self.exec.clock_stale = true;
            if self.repl.link.transfer().is_some() {
                self.replication_send_newline_to_master();
            }
        }
        if db.is_none() {
            self.flush_slave_keys_with_expire_list();
        }
        if !old.is_empty() {
            self.persist.lazyfree.free_databases(old);
        }
        removed
    }
}
