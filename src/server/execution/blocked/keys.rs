//! Clients that wait for a key: BLPOP and its kin, BZPOPMIN and its kin, XREAD, XREADGROUP (the key half of blocked.c).
//!
//! A blocked client keeps its command. When a key that it waits for appears, the key is noted as ready; after the command
//! that made it (or the transaction) the waiting commands are run again, in the order in which their clients began to wait,
//! and those that still find nothing wait on, at the end of the queue, with the end of their waiting unchanged.
//!
//! Invariants: a client is in the queue of each key of its [`Waiting`], under the number in there, and in no other; a queue
//! is never empty; `by_type` and `on_nokey` count what the queues hold.
//!
//! It knows no command: what is run again is whatever blocked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::base::long_double::string2ld;
use crate::base::num::{string2d_range, string2ll};
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::OwnedArgs;
use crate::server::execution::block::Waiting;
use crate::server::execution::block::{Block, BlockType};
use crate::server::execution::exec::Processed;
use crate::server::keyspace::lookup::Lookup;
use crate::store::entry::Type;
use crate::wire::resp;

/// In what a time-out is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TimeoutUnit {
    /// Seconds, with a fraction.
    Seconds,
    /// Whole milliseconds.
    Milliseconds,
}

/// The clients that wait for one key.
#[derive(Default)]
struct Queue {
    /// By ticket: the first to come is the first.
    clients: BTreeMap<u64, ClientId>,
    /// How many of them want to know when the key goes away.
    on_nokey: usize,
    /// The key is in the list of ready keys.
    ready: bool,
}

/// Who waits for which key.
#[derive(Default)]
pub(crate) struct Blocking {
    queues: HashMap<(usize, Box<[u8]>), Queue>,
    /// Clients waiting for lists, sorted sets, streams.
    by_type: [usize; 3],
    on_nokey: usize,
    next_ticket: u64,
    /// Keys to look at after the running command, in the order in which they became ready.
    ready: Vec<(usize, Box<[u8]>)>,
    /// The ready keys are being served: what becomes ready meanwhile joins the list.
    serving: bool,
    /// While a command is run again: its client, and the end of its waiting (unix ms, 0: none).
    pub(super) reprocessing: Option<(ClientId, i64)>,
    /// The running command has blocked its client.
    pub just_blocked: bool,
    /// Ends of waiting, the next one first.
    pub(super) timeouts: BTreeSet<(i64, u64)>,
}

impl Blocking {
    /// There are keys to be served.
    #[inline]
    pub(crate) fn has_ready_keys(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the ready keys out, for the time in which others run commands within the one that made them ready.
    pub(in crate::server) fn put_ready_keys_aside(&mut self) -> Vec<(usize, Box<[u8]>)> {
        std::mem::take(&mut self.ready)
    }

    /// Gives them back, before any that became ready meanwhile.
    pub(in crate::server) fn put_ready_keys_back(&mut self, mut keys: Vec<(usize, Box<[u8]>)>) {
        keys.append(&mut self.ready);
        self.ready = keys;
    }

    /// Clients whose waiting has an end.
    pub(crate) fn timeout_table_len(&self) -> usize {
        self.timeouts.len()
    }

    /// Keys with clients waiting, and those of them where somebody wants to know when they go away
    /// (totalNumberOfBlockingKeys).
    pub(crate) fn total_blocking_keys(&self) -> (usize, usize) {
        let nokey = self.queues.values().filter(|q| q.on_nokey > 0).count();
        (self.queues.len(), nokey)
    }

    /// A command is being run again that has been shown and counted before.
    #[inline]
    pub(crate) fn is_reprocessing(&self, cid: ClientId) -> bool {
        self.reprocessing.is_some_and(|(c, _)| c == cid)
    }

    fn slot(kind: BlockType) -> Option<usize> {
        match kind {
            BlockType::List => Some(0),
            BlockType::Zset => Some(1),
            BlockType::Stream => Some(2),
            BlockType::Wait
            | BlockType::WaitAof
            | BlockType::Postpone
            | BlockType::Shutdown
            | BlockType::Freeing => None,
        }
    }

    fn waits_for(kind: BlockType, t: Type) -> bool {
        matches!(
            (kind, t),
            (BlockType::List, Type::List)
                | (BlockType::Zset, Type::Zset)
                | (BlockType::Stream, Type::Stream)
        )
    }

    fn enqueue(&mut self, cid: ClientId, kind: BlockType, w: &Waiting) {
        for key in &w.keys {
            let q = self.queues.entry((w.db, key.clone())).or_default();
            q.clients.insert(w.ticket, cid);
            q.on_nokey += usize::from(w.on_nokey);
        }
        if let Some(i) = Self::slot(kind) {
            self.by_type[i] += 1;
        }
        self.on_nokey += usize::from(w.on_nokey);
    }

    /// Takes a client out of the queues of its keys (unblockClientWaitingData).
    pub(super) fn dequeue(&mut self, kind: BlockType, w: &Waiting) {
        for key in &w.keys {
            let place = (w.db, key.clone());
            let Some(q) = self.queues.get_mut(&place) else {
                continue;
            };
            q.clients.remove(&w.ticket);
            q.on_nokey -= usize::from(w.on_nokey);
            if q.clients.is_empty() {
                // It may still be in the list of ready keys, where it then finds nobody.
                self.queues.remove(&place);
            }
        }
        if let Some(i) = Self::slot(kind) {
            self.by_type[i] -= 1;
        }
        self.on_nokey -= usize::from(w.on_nokey);
    }

    fn signal(&mut self, db: usize, key: &[u8], deleted: bool) -> bool {
        let place = (db, Box::from(key));
        let Some(q) = self.queues.get_mut(&place) else {
            return false;
        };
        if q.ready || (deleted && q.on_nokey == 0) {
            return false;
        }
        q.ready = true;
        self.ready.push(place);
        true
    }
}

/// Seconds that are a long double upstream. A double is exact to the millisecond for some 285,000 years; what is too large
/// for one is infinite, and what is too small still is some time.
fn timeout_seconds(arg: &[u8]) -> Option<f64> {
    let exact = string2ld(arg)?;
    let seconds = string2d_range(arg)?;
    Some(if seconds == 0.0 && !exact.is_zero() {
        f64::MIN_POSITIVE.copysign(seconds)
    } else {
        seconds
    })
}

impl Server {
    /// A time-out argument as unix ms, 0 for none, or upstream's error to the client (getTimeoutFromObjectOrReply).
    pub(crate) fn get_timeout_or_reply(
        &mut self,
        cid: ClientId,
        arg: &[u8],
        unit: TimeoutUnit,
    ) -> Option<i64> {
        let ms = match unit {
            TimeoutUnit::Seconds => match timeout_seconds(arg).map(|s| s * 1000.0) {
                None => Err("timeout is not a float or out of range"),
                Some(ms) if ms > i64::MAX as f64 => Err("timeout is out of range"),
                Some(ms) => Ok(ms.ceil() as i64),
            },
            TimeoutUnit::Milliseconds => {
                string2ll(arg).ok_or("timeout is not an integer or out of range")
            }
        };
        let at = ms.and_then(|ms: i64| match ms {
            ..0 => Err("timeout is negative"),
            0 => Ok(0),
            _ => ms
                .checked_add(self.command_time_ms())
                .ok_or("timeout is out of range"),
        });
        match at {
            Ok(at) => Some(at),
            Err(text) => {
                self.add_reply_error(cid, text);
                None
            }
        }
    }

    /// The client may not wait: its command runs in a transaction or a script, or came from our master or a file. The
    /// command then answers as if its time were up.
    #[inline]
    pub(crate) fn is_blocking_denied(&self, cid: ClientId) -> bool {
        let c = self.clients.get(cid);
        c.is_none_or(|c| {
            c.has(ClientFlags::DENY_BLOCKING | ClientFlags::MASTER) || c.conn.is_none()
        })
    }

    /// Blocks the client until one of `keys` holds a value of the kind that it waits for, or until `timeout` (unix ms, 0:
    /// for ever); then the command `words` runs again (blockForKeys). With `on_nokey` also when a key goes away or changes
    /// its type. A command that runs again keeps the end of its waiting, whatever `timeout` says.
    pub(crate) fn block_for_keys<'k>(
        &mut self,
        cid: ClientId,
        kind: BlockType,
        keys: impl Iterator<Item = &'k [u8]>,
        timeout: i64,
        on_nokey: bool,
        words: OwnedArgs,
    ) {
        let Some(cmd) = self.exec.call.cmd else {
            return;
        };
        let db = self.client_db(cid);
        let mut seen: Vec<Box<[u8]>> = Vec::new();
        for k in keys {
            if !seen.iter().any(|s| **s == *k) {
                seen.push(k.into());
            }
        }
        let b = &mut self.blocking;
        let timeout = match b.reprocessing {
            Some((c, end)) if c == cid => end,
            _ => timeout,
        };
        b.next_ticket += 1;
        let waiting = Waiting {
            db,
            keys: seen,
            ticket: b.next_ticket,
            on_nokey,
            words,
            cmd,
            duration: 0,
        };
        b.enqueue(cid, kind, &waiting);
        b.just_blocked = true;
        self.block_client(
            cid,
            Block {
                timeout,
                waiting: Some(Box::new(waiting)),
                ..Block::new(kind)
            },
        );
    }

    /// The running command has blocked its client: it counts when it is done, with the time of all its attempts.
    #[cold]
    pub(in crate::server) fn after_blocking_call(&mut self, cid: ClientId, us: u64) {
        self.blocking.just_blocked = false;
        if let Some(b) = self.clients.get_mut(cid).and_then(|c| c.block.as_mut())
            && let Some(w) = b.waiting.as_mut()
        {
            w.duration = w.duration.saturating_add(us);
        }
    }

    /// A key has got a value that somebody may wait for (signalKeyAsReady). Adding a key says so by itself; a command that
    /// adds to a key that is there, and whose kind of value can be waited for while it is there, must say it.
    #[inline]
    pub(crate) fn signal_key_as_ready(&mut self, db: usize, key: &[u8], t: Type) {
        let waiting = match t {
            Type::List => self.blocking.by_type[0],
            Type::Zset => self.blocking.by_type[1],
            Type::Stream => self.blocking.by_type[2],
            _ => 0,
        };
        if waiting > 0 {
            self.blocking.signal(db, key, false);
        }
    }

    /// A key has gone away, or holds a value of another type than `t` now (signalDeletedKeyAsReady).
    #[inline]
    pub(crate) fn signal_deleted_key_as_ready(&mut self, db: usize, key: &[u8], t: Type) {
        if self.blocking.on_nokey > 0 && t == Type::Stream {
            self.blocking.signal(db, key, true);
        }
    }

    /// A whole database has been replaced: whoever waits for a key that is there now shall see it
    /// (scanDatabaseForReadyKeys).
    pub(crate) fn scan_database_for_ready_keys(&mut self, db: usize) {
        let keys = &self.dbs[db].keys;
        let there: Vec<(Box<[u8]>, Type)> = self
            .blocking
            .queues
            .keys()
            .filter(|(d, _)| *d == db)
            .filter_map(|(_, k)| {
                let slot = keys.find(keys.hash(k), k)?;
                Some((k.clone(), keys.at(slot).value_type()))
            })
            .collect();
        for (k, t) in there {
            self.signal_key_as_ready(db, &k, t);
        }
    }

    /// A whole database is about to go, or `other` takes its place: whoever wants to know that a key goes away or is no
    /// stream any more is told (scanDatabaseForDeletedKeys). To be called before the change.
    pub(crate) fn scan_database_for_deleted_keys(&mut self, db: usize, other: Option<usize>) {
        let type_in = |s: &Server, db: usize, k: &[u8]| {
            let keys = &s.dbs[db].keys;
            let slot = keys.find(keys.hash(k), k)?;
            Some(keys.at(slot).value_type())
        };
        let gone: Vec<(Box<[u8]>, Type)> = self
            .blocking
            .queues
            .iter()
            .filter(|((d, _), q)| *d == db && q.on_nokey > 0)
            .filter_map(|((_, k), _)| {
                let old = type_in(self, db, k)?;
                let new = other.and_then(|o| type_in(self, o, k));
                (new != Some(old)).then(|| (k.clone(), old))
            })
            .collect();
        for (k, t) in gone {
            self.signal_deleted_key_as_ready(db, &k, t);
        }
    }

    /// Runs the commands again that wait for the keys that became ready, and for those that become ready by that
    /// (handleClientsBlockedOnKeys).
    #[cold]
    pub(crate) fn handle_clients_blocked_on_keys(&mut self) {
        if self.blocking.serving {
            return;
        }
        self.blocking.serving = true;
        while self.blocking.has_ready_keys() {
            for (db, key) in std::mem::take(&mut self.blocking.ready) {
                self.handle_clients_blocked_on_key(db, key);
            }
        }
        self.blocking.serving = false;
    }

    fn handle_clients_blocked_on_key(&mut self, db: usize, key: Box<[u8]>) {
        let place = (db, key);
        let Some(q) = self.blocking.queues.get_mut(&place) else {
            return;
        };
        q.ready = false;
        // Those who block again are not looked at twice.
        let clients: Vec<(u64, ClientId)> = q.clients.iter().map(|(t, c)| (*t, *c)).collect();
        for (ticket, cid) in clients {
            let still = |s: &Server| {
                s.blocking
                    .queues
                    .get(&place)
                    .is_some_and(|q| q.clients.contains_key(&ticket))
            };
            if !still(self) {
                continue;
            }
            let there = self
                .lookup_key(db, &place.1, Lookup::NOEFFECTS)
                .map(|at| at.entry(&self.dbs).value_type());
            let block = self.clients.get(cid).and_then(|c| c.block.as_deref());
            let Some((kind, on_nokey)) =
                block.map(|b| (b.kind, b.waiting.as_ref().is_some_and(|w| w.on_nokey)))
            else {
                continue;
            };
            if on_nokey || there.is_some_and(|t| Blocking::waits_for(kind, t)) {
                self.unblock_client_on_key(cid);
            }
        }
    }

    /// Runs the command of a blocked client again (unblockClientOnKey).
    fn unblock_client_on_key(&mut self, cid: ClientId) {
        let end = self
            .clients
            .get(cid)
            .and_then(|c| c.block.as_ref())
            .map(|b| b.timeout);
        let (Some(end), Some(block)) = (end, self.take_block(cid)) else {
            return;
        };
        let Some(w) = block.waiting else {
            return;
        };
        let before = self.exec.call.client;
        self.refresh_shortcuts(cid);
        let outer = self.blocking.reprocessing.replace((cid, end));
        let calls = self.commands.stats(w.cmd).calls;
        let done = self.process_command(cid, &w.words.as_args());
        self.blocking.reprocessing = outer;
        match self.clients.get_mut(cid) {
            Some(c) if done == Processed::Postponed => {
                // It runs when the pause is over, and has to be in the query buffer for that.
                let mut wire = Vec::with_capacity(c.querybuf.len() + 64);
                resp::push_command(&mut wire, w.words.as_args().iter());
                wire.append(&mut c.querybuf);
                c.querybuf = wire;
            }
            Some(c) if c.has(ClientFlags::BLOCKED) => {
                // It waits on; what it took so far is not forgotten.
                if let Some(again) = c.block.as_mut().and_then(|b| b.waiting.as_mut()) {
                    again.duration = again.duration.saturating_add(w.duration);
                }
            }
            Some(_) => {
                // One that was refused now has not run.
                let stats = self.commands.stats_mut(w.cmd);
                if stats.calls != calls {
                    stats.microseconds += w.duration;
                }
                self.exec.unblocked.push(cid);
            }
            None => {}
        }
        match before {
            Some(c) => self.refresh_shortcuts(c),
            None => {
                self.exec.call.client = None;
                self.refresh_no_touch();
            }
        }
    }

    /// A command that ends without running again (its time is up, or an error unblocks it) is counted, and may be slow
    /// (updateStatsOnUnblock).
    pub(super) fn update_stats_on_unblock(&mut self, cid: ClientId, w: &Waiting, failed: bool) {
        self.commands.stats_mut(w.cmd).failed_calls += u64::from(failed);
        let flags = self.commands.row(w.cmd).flags;
        self.count(cid, w.cmd, flags, &w.words.as_args(), w.duration);
    }

    /// Unblocks those whose time is up (handleBlockedClientsTimeout).
    pub(crate) fn handle_blocked_clients_timeout(&mut self) {
        let now = self.clock.unix_ms;
        while let Some(&(end, id)) = self.blocking.timeouts.first()
            && end <= now
        {
            self.blocking.timeouts.pop_first();
            self.unblock_client_on_timeout(ClientId::from_data(id), false);
        }
    }
}
