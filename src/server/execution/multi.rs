//! Transactions: what MULTI queues, which keys clients watch, and how EXEC runs (multi.c).
//!
//! A client that neither queues nor watches owns nothing for it. Watched keys are indexed by database and name; a change of a
//! key costs one test of a counter while nobody watches any. A client whose key was touched is marked and watches nothing
//! any more.
//!
//! Invariants: a client is in the list of a watched key if and only if the key is among its own; no list is empty;
//! `Watch::listeners` is the sum of all clients' watched keys, and one more while tracking listens too; the flags ClientFlags::MULTI,
//! ClientFlags::DIRTY_CAS and ClientFlags::DIRTY_EXEC tell the state, the [`MultiState`] only holds what belongs to it.

use std::collections::HashMap;
use std::rc::Rc;

use crate::base::num::string2ll;
use crate::ds::table::KeyHasher;
use crate::server::Server;
use crate::server::clients::client::Client;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::execution::command::{CommandFlags, CommandId, DatabaseArgs};
use crate::server::execution::multi_state::{MultiCmd, MultiState, WatchedKey};
use crate::server::execution::propagate::Propagate;

impl Client {
    /// Commands that wait for EXEC; -1 outside of MULTI.
    pub(crate) fn multi_count(&self) -> i64 {
        if !self.has(ClientFlags::MULTI) {
            return -1;
        }
        self.multi.as_deref().map_or(0, |m| m.count as i64)
    }

    /// The database that it will be in once what it has queued has run, if a SELECT is among that.
    pub(crate) fn multi_selected_db(&self) -> Option<usize> {
        self.multi.as_deref().and_then(|m| m.selected_db)
    }

    /// See [`MultiState::argv_len_sums`].
    pub(crate) fn multi_argv_len_sums(&self) -> usize {
        self.multi.as_deref().map_or(0, MultiState::argv_len_sums)
    }
}

type Watchers = HashMap<Rc<[u8]>, Vec<ClientId>, KeyHasher>;

/// Who watches which key.
pub(crate) struct Watch {
    hasher: KeyHasher,
    /// By number of the database.
    dbs: Vec<Watchers>,
    /// Who wants to hear of changed keys: nobody pays for it while this is 0.
    pub(in crate::server) listeners: usize,
}

impl Watch {
    pub(crate) fn new(databases: usize, hasher: &KeyHasher) -> Watch {
        Watch {
            hasher: hasher.clone(),
            dbs: (0..databases)
                .map(|_| HashMap::with_hasher(hasher.clone()))
                .collect(),
            listeners: 0,
        }
    }
}

impl Server {
    // The queue --------------------------------------------------------------------------------------------------------

    /// The flags that count for a command of a client in MULTI: EXEC is refused for what any of its commands would be
    /// refused for, and nothing but what ends a transaction is taken in while memory is short.
    pub(crate) fn flags_inside_multi(&self, cid: ClientId, flags: CommandFlags) -> CommandFlags {
        if flags.contains(CommandFlags::LEAVES_MULTI) {
            return flags;
        }
        if !flags.contains(CommandFlags::RUNS_QUEUED) {
            return flags | CommandFlags::DENYOOM;
        }
        const ANY: CommandFlags = CommandFlags::of(&[
            CommandFlags::READONLY,
            CommandFlags::WRITE,
            CommandFlags::DENYOOM,
            CommandFlags::MAY_REPLICATE,
            CommandFlags::NO_ASYNC_LOADING,
        ]);
        const ALL: CommandFlags = CommandFlags::of(&[CommandFlags::STALE, CommandFlags::LOADING]);
        match self.clients.get(cid).and_then(|c| c.multi.as_deref()) {
            Some(m) => (flags | (m.cmd_flags & ANY)) & !(m.cmd_inv_flags & ALL),
            None => flags,
        }
    }

    /// Queues a command of a client in MULTI, unless it is one that runs at once; true when it is queued.
    pub(in crate::server) fn queue_inside_multi(
        &mut self,
        cid: ClientId,
        id: CommandId,
        flags: CommandFlags,
        args: &Args,
    ) -> bool {
        if flags.contains(CommandFlags::RUNS_IN_MULTI) {
            return false;
        }
        self.queue_multi_command(cid, id, flags, args);
        self.clients.add_reply_proto(cid, b"+QUEUED\r\n");
        true
    }

    /// Keeps a command for EXEC (queueMultiCommand); nothing when EXEC will not run them anyway.
    fn queue_multi_command(
        &mut self,
        cid: ClientId,
        id: CommandId,
        flags: CommandFlags,
        args: &Args,
    ) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        c.last_cmd = Some(id);
        if c.has(ClientFlags::DIRTY_CAS | ClientFlags::DIRTY_EXEC) {
            return;
        }
        let m = c.multi.get_or_insert_default();
        let bytes: usize = args.iter().map(<[u8]>::len).sum();
        m.argv_len_sums += bytes + args.len() * size_of::<usize>();
        m.cmd_flags |= flags;
        m.cmd_inv_flags |= !flags;
        m.count += 1;
        if matches!(self.commands.command(id).databases, DatabaseArgs::Selects)
            && let Some(db) = string2ll(&args[1]).and_then(|db| usize::try_from(db).ok())
        {
            m.selected_db = Some(db);
        }
        m.commands.push(MultiCmd {
            id,
            args: args.to_owned(),
        });
    }

    /// A command could not be queued: EXEC will refuse (flagTransaction).
    pub(crate) fn flag_transaction(&mut self, cid: ClientId) {
        if let Some(c) = self.clients.get_mut(cid)
            && c.has(ClientFlags::MULTI)
        {
            c.flags |= ClientFlags::DIRTY_EXEC;
        }
    }

    /// The client is out of MULTI; its commands are dropped and it watches nothing (discardTransaction).
    pub(crate) fn discard_transaction(&mut self, cid: ClientId) {
        self.unwatch_all_keys(cid);
        if let Some(c) = self.clients.get_mut(cid) {
            c.flags
                .remove(ClientFlags::MULTI | ClientFlags::DIRTY_CAS | ClientFlags::DIRTY_EXEC);
            c.multi = None;
        }
    }

    /// An EXEC that may not run: the transaction is over, and the client is told why (execCommandAbort).
    #[cold]
    pub(in crate::server) fn exec_command_abort(&mut self, cid: ClientId, text: &str) {
        self.discard_transaction(cid);
        let why = text.strip_prefix('-').unwrap_or(text);
        let text = format!("-EXECABORT Transaction discarded because of: {why}");
        self.add_reply_error(cid, &text);
        if !self.clients.monitors.is_empty() {
            // They have seen MULTI.
            let exec = OwnedArgs::from_slices(&[b"exec"]);
            self.replication_feed_monitors(cid, &exec.as_args());
        }
    }

    /// Runs the queued commands as one unit: time stands still, and what they change is propagated as one transaction when
    /// the unit ends (the second half of execCommand).
    pub(crate) fn exec_transaction(&mut self, cid: ClientId) {
        self.unwatch_all_keys(cid);
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        let denied = c.has(ClientFlags::DENY_BLOCKING);
        c.flags |= ClientFlags::DENY_BLOCKING;
        c.last_cmd = self.exec.call.cmd;
        let (mut commands, mut cmd_flags) = (Vec::new(), CommandFlags::empty());
        if let Some(m) = c.multi.as_deref_mut() {
            commands = std::mem::take(&mut m.commands);
            cmd_flags = m.cmd_flags;
        }
        self.exec.call.in_exec = true;
        self.add_reply_array_len(cid, commands.len());
        let mut now_us = self.clock.unix_us;
        for c in commands {
            // Rights may have changed since it was queued.
            let restricted = self.clients.get(cid);
            if restricted.is_some_and(|c| c.has(ClientFlags::RESTRICTED))
                && let Some(text) = self.acl_refusal_in_exec(cid, c.id, &c.args.as_args())
            {
                self.add_reply_error(cid, &text);
                continue;
            }
            now_us = self.call_in_unit(cid, c.id, &c.args.as_args(), now_us, Propagate::BOTH);
        }
        self.exec.call.in_exec = false;
        if let Some(c) = self.clients.get_mut(cid)
            && !denied
        {
            c.flags.remove(ClientFlags::DENY_BLOCKING);
        }
        self.discard_transaction(cid);
        if cmd_flags.contains(CommandFlags::ADMIN) {
            self.refresh_shortcuts(cid);
        }
        // The commands have queued themselves; EXEC goes with them when it is needed.
        self.prevent_command_propagation();
    }

    // Watched keys -----------------------------------------------------------------------------------------------------

    /// Whether a key is there although its time has come (keyIsExpired).
    fn key_is_expired(&self, db: usize, key: &[u8]) -> bool {
        let keys = &self.dbs[db].keys;
        keys.find(keys.hash(key), key)
            .is_some_and(|slot| self.entry_is_expired(keys.at(slot)))
    }

    fn key_exists(&self, db: usize, key: &[u8]) -> bool {
        let keys = &self.dbs[db].keys;
        keys.find(keys.hash(key), key).is_some()
    }

    /// The client watches a key of its database (watchForKey).
    pub(crate) fn watch_for_key(&mut self, cid: ClientId, key: &[u8]) {
        let db = self.client_db(cid);
        let expired = self.key_is_expired(db, key);
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        let name = match self.watch.dbs[db].get_key_value(key) {
            Some((_, list)) if list.contains(&cid) => return,
            Some((name, _)) => name.clone(),
            None => Rc::from(key),
        };
        let m = c.multi.get_or_insert_default();
        m.watched.push(WatchedKey {
            db,
            key: Rc::clone(&name),
            expired,
        });
        self.watch.dbs[db].entry(name).or_default().push(cid);
        self.watch.listeners += 1;
    }

    /// The client watches nothing any more; its ClientFlags::DIRTY_CAS is the caller's business (unwatchAllKeys).
    pub(crate) fn unwatch_all_keys(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        let Some(m) = c.multi.as_deref_mut() else {
            return;
        };
        let watched = std::mem::take(&mut m.watched);
        if m.is_empty() {
            c.multi = None;
        }
        self.watch.listeners -= watched.len();
        for w in watched {
            let lists = &mut self.watch.dbs[w.db];
            // A list that is being gone through is not there.
            let Some(list) = lists.get_mut(&w.key) else {
                continue;
            };
            list.retain(|c| *c != cid);
            if list.is_empty() {
                lists.remove(&w.key);
            }
        }
    }

    /// A watched key has expired since it was watched (isWatchedKeyExpired).
    pub(crate) fn is_watched_key_expired(&self, cid: ClientId) -> bool {
        let m = self.clients.get(cid).and_then(|c| c.multi.as_deref());
        m.is_some_and(|m| {
            m.watched
                .iter()
                .any(|w| !w.expired && self.key_is_expired(w.db, &w.key))
        })
    }

    /// A key has changed, by a client or, when that is none, by the server itself (signalModifiedKey).
    #[inline]
    pub(crate) fn key_modified(&mut self, cid: Option<ClientId>, db: usize, key: &[u8]) {
        if self.watch.listeners > 0 {
            self.tell_of_modified_key(cid, db, key);
        }
    }

    #[cold]
    fn tell_of_modified_key(&mut self, cid: Option<ClientId>, db: usize, key: &[u8]) {
        self.touch_watched_key(db, key);
        self.tracking_invalidate_key(cid, key, true);
    }

    /// The transactions of those who watch a key will not run (touchWatchedKey).
    fn touch_watched_key(&mut self, db: usize, key: &[u8]) {
        // Out of the index while it is gone through: those who are marked leave it.
        let Some((name, list)) = self.watch.dbs[db].remove_entry(key) else {
            return;
        };
        let mut kept = Vec::new();
        let mut rest = list.into_iter();
        for cid in rest.by_ref() {
            let gone = !self.key_exists(db, key);
            let Some(c) = self.clients.get_mut(cid) else {
                continue;
            };
            let watched = c
                .multi
                .as_deref_mut()
                .and_then(|m| m.watched.iter_mut().find(|w| w.db == db && *w.key == *key));
            if let Some(w) = watched
                && w.expired
            {
                kept.push(cid);
                if gone {
                    // It had expired before it was watched: that it is deleted now changes nothing.
                    w.expired = false;
                    continue;
                }
                break;
            }
            c.flags |= ClientFlags::DIRTY_CAS;
            self.unwatch_all_keys(cid);
        }
        kept.extend(rest);
        if !kept.is_empty() {
            self.watch.dbs[db].insert(name, kept);
        }
    }

    /// All keys of a database go, or those of `replaced_with` take their place: whoever watches a key that was there, or
    /// is there then, is marked (touchAllWatchedKeysInDb). To be called while the keys are still there.
    pub(crate) fn touch_all_watched_keys_in_db(
        &mut self,
        emptied: usize,
        replaced_with: Option<usize>,
    ) {
        if self.watch.dbs[emptied].is_empty() {
            return;
        }
        let lists = std::mem::replace(
            &mut self.watch.dbs[emptied],
            HashMap::with_hasher(self.watch.hasher.clone()),
        );
        for (key, list) in &lists {
            let was = self.key_exists(emptied, key);
            let comes = replaced_with.is_some_and(|db| self.key_exists(db, key));
            if !was && !comes {
                continue;
            }
            let comes_expired = replaced_with.is_some_and(|db| self.key_is_expired(db, key));
            for cid in list {
                let Some(c) = self.clients.get_mut(*cid) else {
                    continue;
                };
                let watched = c.multi.as_deref_mut().and_then(|m| {
                    m.watched
                        .iter_mut()
                        .find(|w| w.db == emptied && w.key == *key)
                });
                if let Some(w) = watched {
                    if w.expired && !comes {
                        w.expired = false;
                        continue;
                    }
                    if w.expired && comes_expired {
                        continue;
                    }
                    if !w.expired && !was && comes_expired {
                        w.expired = true;
                        continue;
                    }
                }
                c.flags |= ClientFlags::DIRTY_CAS;
            }
        }
        self.watch.dbs[emptied] = lists;
    }
}
