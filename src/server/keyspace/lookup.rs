//! Keys as commands see them: found, expired under them, counted, deleted (the look-up half of db.c, expireIfNeeded).
//!
//! A look-up hashes the key once and returns where it is ([`At`]); the caller follows it as long as it changes nothing else in
//! the database. Expiry sits in the entry, so asking for it costs no second look-up.

use bitflags::bitflags;

use crate::base::key_slot::key_hash_slot;
use crate::ds::table::Slot;
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::execution::command::CommandFlags;
use crate::server::keyspace::notify::{NOTIFY_EXPIRED, NOTIFY_KEY_MISS, NOTIFY_NEW};
use crate::store::db::Db;
use crate::store::entry::value::{SlotValue, ValueMut, ValueRef};
use crate::store::entry::{Entry, NewValue, Type};
use crate::store::evict::policy_is_lfu;
use crate::wire::ahead::{AHEAD_MAX, Ahead};

bitflags! {
    /// What a look-up does besides finding the key (db.h, LOOKUP_*).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Lookup: u8 {
        /// Does not touch LRU or LFU data.
        const NOTOUCH = 1;
        /// Does not count a hit or a miss.
        const NOSTATS = 2;
        /// For a write: an expired key is deleted even on a writable replica.
        const WRITE = 4;
        /// Leaves an expired key alone, only hides it.
        const NOEXPIRE = 8;
        /// A miss is no event.
        const NONOTIFY = 16;
        /// A look that nobody notices (LOOKUP_NOEFFECTS).
        const NOEFFECTS = 1 | 2 | 8 | 16;
    }
}

impl Lookup {
    /// For a read, with all that goes with it (LOOKUP_NONE).
    pub(crate) const READ: Lookup = Lookup::empty();
}

/// A table of so many bytes is not found in the caches of most processors.
const UNCACHED_BYTES: usize = 1 << 20;

/// How the memory of a deleted key is freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Free {
    /// Before anything else happens, unless it takes long (`lazyfree-large`).
    Now,
    /// In the background when it is large.
    Lazily,
}

impl Free {
    /// As one of the lazyfree directives says.
    #[inline]
    pub(crate) fn lazily_if(lazy: bool) -> Free {
        match lazy {
            true => Free::Lazily,
            false => Free::Now,
        }
    }

    /// The command that does the same elsewhere.
    pub(crate) fn verb(self) -> &'static [u8] {
        match self {
            Free::Now => b"DEL",
            Free::Lazily => b"UNLINK",
        }
    }
}

/// Where a key is. Good until its database changes shape: whoever adds or deletes a key, looks another one up, or lets others
/// run, has to look up again; following a stale place panics.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub db: usize,
    pub slot: Slot,
}

impl At {
    #[inline]
    pub(crate) fn entry(self, dbs: &[Db]) -> &Entry {
        dbs[self.db].keys.at(self.slot)
    }

    /// The value, for reading; `None` when it is of another type.
    #[inline]
    pub(crate) fn value<T: SlotValue>(self, dbs: &[Db]) -> Option<ValueRef<'_, T>> {
        dbs[self.db].keys.value(self.slot)
    }

    /// The value, for a change; `None` when it is of another type. The place stays good.
    #[inline]
    pub(crate) fn value_mut<T: SlotValue>(self, dbs: &mut [Db]) -> Option<ValueMut<'_, T>> {
        dbs[self.db].keys.value_mut(self.slot)
    }
}

/// An error has been sent to the client: there is nothing left to do for the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Replied;

impl Server {
    /// Whether it pays to parse this client's next requests before the first one runs: it is our master, or its keys are too
    /// many for the processor's caches. A client that may have to authenticate is not trusted that far.
    pub(crate) fn looks_ahead(&self, cid: ClientId) -> bool {
        self.clients.get(cid).is_some_and(|c| {
            let many = self.dbs[c.db].keys.table().mem_usage() >= UNCACHED_BYTES;
            c.has(ClientFlags::MASTER) || c.authenticated && many
        })
    }

    /// Brings near what the first keys of these requests lead to, as far as they look like keys: all buckets at once, then all
    /// entries. Nothing depends on it but the time that the requests take.
    pub(crate) fn prefetch(&self, cid: ClientId, requests: &Ahead, buf: &[u8]) {
        let keys = &self.dbs[self.client_db(cid)].keys;
        let mut hashes = [0; AHEAD_MAX];
        let mut n = 0;
        for i in 0..requests.len() {
            let (request, spans) = requests.get(i, buf);
            if let Some(s) = spans.get(1) {
                let hash = keys.hash(&request[s.start as usize..s.end as usize]);
                keys.prefetch_bucket(hash);
                hashes[n] = hash;
                n += 1;
            }
        }
        for hash in &hashes[..n] {
            keys.prefetch_element(*hash);
        }
    }

    /// Finds a key whose value must be a `T`; `flags` as for [`Server::lookup_key`].
    ///
    /// # Errors
    /// The key holds a value of another type: WRONGTYPE has been sent.
    #[inline(always)]
    pub(crate) fn lookup_typed<T: SlotValue>(
        &mut self,
        cid: ClientId,
        key: &[u8],
        flags: Lookup,
    ) -> Result<Option<At>, Replied> {
        let db = self.client_db(cid);
        let hash = self.dbs[db].keys.hash(key);
        self.lookup_typed_hashed::<T>(cid, db, hash, key, flags)
    }

    /// The same for a caller that keeps the key's hash, to add the key when it is not there.
    ///
    /// # Errors
    /// As [`Server::lookup_typed`].
    #[inline(always)]
    pub(crate) fn lookup_typed_hashed<T: SlotValue>(
        &mut self,
        cid: ClientId,
        db: usize,
        hash: u64,
        key: &[u8],
        flags: Lookup,
    ) -> Result<Option<At>, Replied> {
        let found = self.lookup_key_hashed(db, hash, key, flags);
        if let Some(at) = found
            && !at.entry(&self.dbs).is_a(T::TYPE)
        {
            self.add_reply_wrong_type(cid);
            return Err(Replied);
        }
        Ok(found)
    }

    /// The database that the client has selected.
    #[inline]
    pub(crate) fn client_db(&self, cid: ClientId) -> usize {
        self.clients.get(cid).map_or(0, |c| c.db)
    }

    /// The time by which keys expire: fixed while a command runs (commandTimeSnapshot).
    #[inline]
    pub(crate) fn command_time_ms(&self) -> i64 {
        self.clock.unix_ms
    }

    /// Finds a key (lookupKey). An expired key is not found; it is deleted too, where this server decides about that.
    #[inline]
    pub(crate) fn lookup_key(&mut self, db: usize, key: &[u8], flags: Lookup) -> Option<At> {
        let hash = self.dbs[db].keys.hash(key);
        self.lookup_key_hashed(db, hash, key, flags)
    }

    /// The same for a caller that keeps the key's hash, to add the key when it is not there.
    #[inline(always)]
    pub(crate) fn lookup_key_hashed(
        &mut self,
        db: usize,
        hash: u64,
        key: &[u8],
        flags: Lookup,
    ) -> Option<At> {
        let d = &mut self.dbs[db];
        let mut found = d.keys.find(hash, key);
        if let Some(slot) = found
            && let Some(at) = d.keys.at(slot).expire()
            && self.clock.unix_ms > at
            && self.expire_if_needed(db, key, flags)
        {
            found = None;
        }
        match found {
            Some(slot) => {
                if !flags.contains(Lookup::NOTOUCH) && self.touch_allowed() {
                    let lru = if policy_is_lfu(self.config.maxmemory_policy) {
                        self.lfu_bits_after_access(db, slot)
                    } else {
                        self.clock.lru_clock
                    };
                    self.dbs[db].keys.set_lru(slot, lru);
                }
                if !flags.intersects(Lookup::NOSTATS | Lookup::WRITE) {
                    self.stats.keyspace_hits += 1;
                }
                Some(At { db, slot })
            }
            None => {
                if !flags.intersects(Lookup::NONOTIFY | Lookup::WRITE) {
                    self.notify_keyspace_event(NOTIFY_KEY_MISS, "keymiss", key, db);
                }
                if !flags.intersects(Lookup::NOSTATS | Lookup::WRITE) {
                    self.stats.keyspace_misses += 1;
                }
                None
            }
        }
    }

    /// LRU bits are left alone while a child shares the pages, and for a CLIENT NO-TOUCH client unless it says TOUCH.
    #[inline]
    fn touch_allowed(&self) -> bool {
        !self.exec.no_touch || self.touch_command_of_no_touch()
    }

    #[cold]
    fn touch_command_of_no_touch(&self) -> bool {
        !self.has_forked_child()
            && self.exec.call.cmd.is_some_and(|id| {
                self.commands
                    .row(id)
                    .flags
                    .contains(CommandFlags::ALWAYS_TOUCHES)
            })
    }

    /// For a command that reads (lookupKeyRead).
    #[inline]
    pub(crate) fn lookup_key_read(&mut self, cid: ClientId, key: &[u8]) -> Option<At> {
        let db = self.client_db(cid);
        self.lookup_key(db, key, Lookup::READ)
    }

    /// For a command that writes (lookupKeyWrite).
    #[inline]
    pub(crate) fn lookup_key_write(&mut self, cid: ClientId, key: &[u8]) -> Option<At> {
        let db = self.client_db(cid);
        self.lookup_key(db, key, Lookup::WRITE)
    }

    /// A key as it is in the table: expired or not, touched and counted by nobody. `hash` is that of the key.
    #[inline]
    pub(crate) fn find_hashed(&self, db: usize, hash: u64, key: &[u8]) -> Option<At> {
        let slot = self.dbs[db].keys.find(hash, key)?;
        Some(At { db, slot })
    }

    /// The same by the key alone.
    pub(crate) fn find_key(&self, db: usize, key: &[u8]) -> Option<At> {
        self.find_hashed(db, self.dbs[db].keys.hash(key), key)
    }

    /// Whether the key is here but not served: it comes from another node, or has to go.
    #[cold]
    pub(crate) fn is_hidden_key(&self, key: &[u8]) -> bool {
        self.slot_migrations.hidden.contains(key_hash_slot(key))
    }

    /// Some keys are.
    #[inline]
    pub(crate) fn hides_keys(&self) -> bool {
        !self.slot_migrations.hidden.is_empty()
    }

    /// An expired key was met: true when it must count as missing. Deletes it where that is this server's business
    /// (expireIfNeeded): a replica waits for its master's DEL, yet shows nobody but the master an expired key.
    #[cold]
    fn expire_if_needed(&mut self, db: usize, key: &[u8], flags: Lookup) -> bool {
        if self.loading.is_some() {
            return false;
        }
        if self.repl.master_host.is_some() {
            let from_master = self
                .exec
                .call
                .client
                .and_then(|c| self.clients.get(c))
                .is_some_and(|c| c.has(ClientFlags::MASTER));
            if from_master {
                return false;
            }
            if !flags.contains(Lookup::WRITE) || self.config.replica_read_only {
                return true;
            }
        }
        if self.hides_keys() && self.is_hidden_key(key) {
            // The node that serves it says when it goes; for its commands it is there.
            return false;
        }
        if flags.contains(Lookup::NOEXPIRE) || self.pause.expire_paused() {
            return true;
        }
        self.delete_expired_key_and_propagate(db, key);
        true
    }

    /// Whether the entry counts as missing at this moment.
    pub(crate) fn entry_is_expired(&self, e: &Entry) -> bool {
        self.loading.is_none() && e.expire().is_some_and(|at| self.clock.unix_ms > at)
    }

    /// Deletes an expired key and tells AOF and replicas (deleteExpiredKeyAndPropagate).
    pub(crate) fn delete_expired_key_and_propagate(&mut self, db: usize, key: &[u8]) {
        let free = Free::lazily_if(self.config.lazyfree_lazy_expire);
        let start = self.latency_start_monitor();
        if self.db_generic_delete(db, key, free) {
            self.latency_end_monitor("expire-del", start);
            self.after_expired_key_was_deleted(db, key, free);
        }
    }

    /// What follows when a key has been deleted because its time had come.
    pub(crate) fn after_expired_key_was_deleted(&mut self, db: usize, key: &[u8], free: Free) {
        self.notify_keyspace_event(NOTIFY_EXPIRED, "expired", key, db);
        self.key_modified(None, db, key);
        self.propagate_deletion(db, key, free);
        self.stats.expired_keys += 1;
    }

    /// Takes a key out and frees it (dbGenericDelete). False when it was not there.
    pub(crate) fn db_generic_delete(&mut self, db: usize, key: &[u8], free: Free) -> bool {
        let keys = &mut self.dbs[db].keys;
        let hash = keys.hash(key);
        match keys.remove_for_good(hash, key) {
            Some(e) => {
                self.signal_deleted_key_as_ready(db, key, e.value_type());
                self.free_entry(e, free);
                true
            }
            None => false,
        }
    }

    /// Frees a key's memory, where it is best done.
    pub(crate) fn free_entry(&mut self, e: Entry, free: Free) {
        match free {
            Free::Lazily => self.persist.lazyfree.free(e),
            Free::Now if e.is_large() && self.config.lazyfree_large => {
                self.persist.lazyfree.free_large(e);
            }
            Free::Now => drop(e),
        }
    }

    /// Frees large values that others have replaced.
    pub(crate) fn free_replaced(&mut self) {
        for db in &mut self.dbs {
            for e in db.keys.take_replaced() {
                match self.config.lazyfree_large {
                    true => self.persist.lazyfree.free_large(e),
                    false => drop(e),
                }
            }
        }
    }

    /// Deletes a key for a command: as dbDelete, lazily when lazyfree-lazy-server-del says so.
    pub(crate) fn db_delete(&mut self, db: usize, key: &[u8]) -> bool {
        let free = Free::lazily_if(self.config.lazyfree_lazy_server_del);
        self.db_generic_delete(db, key, free)
    }

    /// Adds a key that is not there (dbAdd).
    #[inline]
    pub(crate) fn db_add(
        &mut self,
        db: usize,
        key: &[u8],
        value: NewValue<'_>,
        expire: Option<i64>,
    ) -> At {
        let hash = self.dbs[db].keys.hash(key);
        self.db_add_hashed(db, hash, key, value, expire)
    }

    /// The same with the key's hash at hand.
    #[inline]
    pub(crate) fn db_add_hashed(
        &mut self,
        db: usize,
        hash: u64,
        key: &[u8],
        value: NewValue<'_>,
        expire: Option<i64>,
    ) -> At {
        if let NewValue::Value(v) = &value {
            self.signal_key_as_ready(db, key, v.value_type());
        }
        let mut e = Entry::new(key, value, expire);
        e.set_lru(self.lru_bits_of_new());
        let slot = self.dbs[db].keys.add(hash, e);
        self.notify_keyspace_event(NOTIFY_NEW, "new", key, db);
        At { db, slot }
    }

    /// Adds an entry, whose key `key` is not there, as a whole.
    pub(crate) fn db_add_entry(&mut self, db: usize, key: &[u8], mut e: Entry) {
        if e.value_type() != Type::String {
            self.signal_key_as_ready(db, key, e.value_type());
        }
        e.set_lru(self.lru_bits_of_new());
        let keys = &mut self.dbs[db].keys;
        let hash = keys.hash(key);
        keys.add(hash, e);
        self.notify_keyspace_event(NOTIFY_NEW, "new", key, db);
    }

    /// A client has changed a key: who watches or tracks it is told here (signalModifiedKey).
    #[inline]
    pub(crate) fn signal_modified_key(&mut self, cid: ClientId, db: usize, key: &[u8]) {
        self.key_modified(Some(cid), db, key);
    }

    /// An argument as an integer, or upstream's error to the client (getLongLongFromObjectOrReply).
    #[inline]
    pub(crate) fn get_long_long_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        i: usize,
    ) -> Option<i64> {
        match crate::base::num::string2ll(&args[i]) {
            None => self.no_integer(cid),
            n => n,
        }
    }

    #[cold]
    #[inline(never)]
    fn no_integer(&mut self, cid: ClientId) -> Option<i64> {
        self.add_reply_error(cid, "value is not an integer or out of range");
        None
    }

    /// An argument as an integer in a range, with upstream's errors (getRangeLongFromObjectOrReply).
    pub(crate) fn get_range_long_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        i: usize,
        min: i64,
        max: i64,
        text: Option<&str>,
    ) -> Option<i64> {
        let n = match text {
            Some(_) => crate::base::num::string2ll(&args[i]),
            None => Some(self.get_long_long_or_reply(cid, args, i)?),
        };
        if n.is_some_and(|n| (min..=max).contains(&n)) {
            return n;
        }
        match text {
            Some(t) => self.add_reply_error(cid, t),
            None => self.add_reply_error(
                cid,
                &format!("value is out of range, value must between {min} and {max}"),
            ),
        }
        None
    }
}

impl Server {
    /// A key with this expiry (unix ms) would have expired already, and this server is the one to act on it
    /// (checkAlreadyExpired).
    #[inline]
    pub(crate) fn check_already_expired(&self, when: i64) -> bool {
        when <= self.command_time_ms() && self.loading.is_none() && self.repl.master_host.is_none()
    }
}
