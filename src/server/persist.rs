//! The state of persistence: the child that saves, what the last save did, a load under way. The code is in `persist/`.

use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};

use bitflags::bitflags;

use crate::ae::FileId;
use crate::base::sys::ChildExit;
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::block::{Block, BlockType};
use crate::server::keyspace::tracking::Notes;
use crate::server::replica::SlaveReq;
use crate::server::snapshot::{InlineSnapshot, InlineStats};
use crate::store::entry::Entry;
use crate::wire::replication::replid::ReplId;

/// What a forked child does (CHILD_TYPE_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ChildKind {
    Rdb,
    /// Rewrites the append-only file.
    Aof,
}

/// Where an RDB child writes to (RDB_CHILD_TYPE_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RdbTarget {
    Disk,
    /// A pipe, whose other end passes it on to replicas.
    Sockets,
}

/// A child at work.
pub(crate) struct Child {
    pub pid: i32,
    pub kind: ChildKind,
    pub target: RdbTarget,
    /// The RDB version that it writes, in whatever it writes.
    pub rdb_version: u16,
    /// It writes into this file, which has no name: replicas wait for it that cannot read what `dbfilename` is written in.
    pub nameless: Option<File>,
    /// The read end of the pipe it reports through. None: there is no such process, the snapshot is taken in the loop
    /// ([`Persist::inline`]), and all else is as with one; `pid` is ours.
    pub info: Option<File>,
    /// Its event, at which the child's end shows at once; none: the cron looks for it.
    pub info_file: Option<FileId>,
    /// Unix seconds of its start.
    pub start: i64,
    /// Its last report: bytes of copied memory now and at the most, keys done, keys in all.
    pub cow_size: u64,
    pub cow_peak: u64,
    pub cow_updated_us: u64,
    pub keys_processed: u64,
    pub keys_total: u64,
    /// `dirty` when it was forked.
    pub dirty_before: i64,
    /// It was killed on purpose: its end is no error.
    pub killed: bool,
    /// It has been reaped already; the cron has still to book its end.
    pub ended: Option<ChildExit>,
}

impl Child {
    /// There is no process: the snapshot is taken in the loop.
    #[inline]
    pub(crate) fn is_inline(&self) -> bool {
        self.info.is_none()
    }
}

/// A data set on its way in.
pub(crate) struct Loading {
    /// Unix seconds.
    pub start: i64,
    pub total_bytes: u64,
    pub loaded_bytes: u64,
    /// Bytes of the files before the one that is being read.
    pub done_bytes: u64,
    /// used_mem of the server that wrote the RDB.
    pub rdb_used_mem: u64,
    pub peak_mem: u64,
    /// Unix ms of the last log line on progress.
    pub last_report_ms: i64,
    /// An asynchronous load serves the old data meanwhile.
    pub is_async: bool,
    /// The code of function libraries that are to take the place of those that are served.
    pub functions: Vec<Vec<u8>>,
}

/// What a snapshot has in it and how it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotForm {
    /// RDB version.
    pub version: u16,
    /// Parts that are left out.
    pub req: SlaveReq,
    /// The stream that it is part of; none: it does not say.
    pub rsi: Option<RdbSaveInfo>,
    /// It says that it is the base of an append-only file.
    pub aof_base: bool,
}

/// What a save was asked for by (SAVE, BGSAVE, a full sync): the aux field repl-stream-db and ids go with it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct RdbSaveInfo {
    /// The database that the replication stream has selected.
    pub repl_stream_db: Option<usize>,
}

/// The aux field that names the slots whose keys the master has and does not serve. Aedile's own.
pub(crate) const HIDDEN_SLOTS: &str = "aedile-hidden-slots";

/// What an RDB file says about the replication stream that it is part of (rdbSaveInfo, when loading).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RdbLoadInfo {
    /// The database that the stream had selected.
    pub repl_stream_db: Option<usize>,
    pub repl_id: Option<ReplId>,
    /// The stream's offset; -1: the file does not say.
    pub repl_offset: i64,
    /// The slots whose keys the master does not serve, as text; empty: none.
    pub hidden_slots: Vec<u8>,
}

impl Default for RdbLoadInfo {
    fn default() -> RdbLoadInfo {
        RdbLoadInfo {
            repl_stream_db: None,
            repl_id: None,
            repl_offset: -1,
            hidden_slots: Vec::new(),
        }
    }
}

impl RdbLoadInfo {
    /// All that is needed to go on with the stream is there.
    pub(crate) fn is_valid(&self) -> bool {
        self.repl_id.is_some() && self.repl_offset != -1 && self.repl_stream_db.is_some()
    }
}

bitflags! {
    /// What an RDB file is read for (RDBFLAGS_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct RdbFlags: u32 {
        /// The base of an append-only file, or its beginning: no key is dropped from it, expired or not.
        const AOF_PREAMBLE = 1 << 0;
        /// The file came from our master.
        const REPLICATION = 1 << 1;
        /// A key that is there already is replaced; else it is an error.
        const ALLOW_DUP = 1 << 2;
        /// Keys that have expired are fed to the backlog as deletions.
        const FEED_REPL = 1 << 3;
        /// The file stays in the page cache.
        const KEEP_CACHE = 1 << 4;
    }
}

bitflags! {
    /// What DEBUG RELOAD does besides loading, or leaves out.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct ReloadFlags: u8 {
        /// The file is the one that is there.
        const NOSAVE = 1 << 0;
        /// What is in memory stays.
        const NOFLUSH = 1 << 1;
        /// Keys of the file replace those in memory.
        const MERGE = 1 << 2;
    }
}

/// Frees large values in a thread of its own (lazyfree.c, bio.c).
#[derive(Default)]
pub(crate) struct Lazyfree {
    to: Option<Sender<Garbage>>,
    done: std::sync::Arc<std::sync::atomic::AtomicU64>,
    /// The same of what is large.
    large_done: std::sync::Arc<std::sync::atomic::AtomicU64>,
    sent: u64,
    large_sent: u64,
    /// Called by the thread when something large is gone.
    wake: Option<std::sync::Arc<dyn Fn() + Send + Sync>>,
    /// Clients that are answered when so many large ones are gone.
    pub waiting: Vec<(ClientId, u64)>,
    /// `done` when the counter was reset.
    done_before: u64,
}

/// What is to be freed.
enum Garbage {
    Entry(Entry),
    Large(Entry),
    Databases(Vec<crate::store::db::Db>, u64),
    Notes(Notes),
    Machine(Box<dyn Send>),
}

/// Values of up to this many allocations are freed at once: handing them over costs more (LAZYFREE_THRESHOLD).
const LAZYFREE_THRESHOLD: usize = 64;

impl Lazyfree {
    /// `wake` is called by the thread when something large is gone.
    pub(crate) fn on_done(&mut self, wake: impl Fn() + Send + Sync + 'static) {
        self.wake = Some(std::sync::Arc::new(wake));
    }

    fn thread(&mut self) -> Option<&Sender<Garbage>> {
        if self.to.is_none() {
            let (to, from): (Sender<Garbage>, Receiver<Garbage>) = channel();
            let (done, large_done) = (self.done.clone(), self.large_done.clone());
            let wake = self.wake.clone();
            let started = std::thread::Builder::new()
                .name("bio_lazy_free".into())
                .spawn(move || {
                    crate::base::sys::block_signals();
                    crate::base::alloc::work_for_ever(|| {
                        for g in from {
                            let large = matches!(g, Garbage::Large(_) | Garbage::Databases(..));
                            let n = match g {
                                Garbage::Entry(e) | Garbage::Large(e) => {
                                    drop(e);
                                    1
                                }
                                Garbage::Databases(dbs, n) => {
                                    drop(dbs);
                                    n
                                }
                                Garbage::Notes(notes) => notes.len() as u64,
                                Garbage::Machine(m) => {
                                    drop(m);
                                    1
                                }
                            };
                            if large {
                                crate::base::alloc::flush_thread_cache();
                            }
                            done.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
                            large_done
                                .fetch_add(u64::from(large), std::sync::atomic::Ordering::Relaxed);
                            if let Some(wake) = wake.as_ref().filter(|_| large) {
                                wake();
                            }
                        }
                        // The server is gone, and soon the process: what this thread has freed still counts.
                        loop {
                            std::thread::park();
                        }
                    })
                });
            if started.is_err() {
                return None;
            }
            self.to = Some(to);
        }
        self.to.as_ref()
    }

    /// Frees an entry, in the background when it is large.
    pub(crate) fn free(&mut self, e: Entry) {
        if e.is_large() {
            return self.free_large(e);
        }
        if e.free_effort() <= LAZYFREE_THRESHOLD {
            return drop(e);
        }
        self.sent += 1;
        self.send(Garbage::Entry(e));
    }

    /// Frees an entry in the background.
    pub(crate) fn free_large(&mut self, e: Entry) {
        self.sent += 1;
        self.large_sent += 1;
        self.send(Garbage::Large(e));
    }

    /// Frees whole databases in the background (FLUSHALL ASYNC).
    pub(crate) fn free_databases(&mut self, dbs: Vec<crate::store::db::Db>) {
        let n: usize = dbs.iter().map(|d| d.keys.len()).sum();
        self.sent += n as u64;
        self.large_sent += 1;
        self.send(Garbage::Databases(dbs, n as u64));
    }

    /// Frees the table of tracked keys, in the background when it is large (freeTrackingRadixTreeAsync).
    pub(crate) fn free_notes(&mut self, notes: Notes) {
        let n = notes.len();
        if n > LAZYFREE_THRESHOLD {
            self.sent += n as u64;
            self.send(Garbage::Notes(notes));
        }
    }

    /// Frees a machine of scripts in the background (freeLuaScriptsAsync).
    pub(crate) fn free_machine(&mut self, m: Box<dyn Send>) {
        self.sent += 1;
        self.send(Garbage::Machine(m));
    }

    fn send(&mut self, g: Garbage) {
        match self.thread() {
            // A dead thread gives the garbage back in the error, which frees it here.
            Some(to) if to.send(g).is_ok() => {}
            _ => {
                let order = std::sync::atomic::Ordering::Relaxed;
                self.done.store(self.sent, order);
                self.large_done.store(self.large_sent, order);
            }
        }
    }

    /// Large values and databases handed over and not freed yet.
    pub(crate) fn large_pending(&self) -> u64 {
        let done = self.large_done.load(std::sync::atomic::Ordering::Relaxed);
        self.large_sent - done.min(self.large_sent)
    }

    /// Objects handed over and not freed yet.
    pub(crate) fn pending(&self) -> u64 {
        self.sent - self.done().min(self.sent)
    }

    fn done(&self) -> u64 {
        self.done.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Objects freed since the counter was reset.
    pub(crate) fn freed(&self) -> u64 {
        self.done() - self.done_before
    }

    /// Counts from here on (lazyfreeResetStats).
    pub(crate) fn reset_stats(&mut self) {
        self.done_before = self.done();
    }
}

/// See INFO persistence.
#[derive(Default)]
pub(crate) struct Persist {
    pub child: Option<Child>,
    /// The snapshot that is taken in the loop: exactly while `child` says so.
    pub inline: Option<Box<InlineSnapshot>>,
    pub inline_stats: InlineStats,
    /// The numbers of snapshots that entries may have, a bit each, and that of the last one; 0: it had no data.
    pub inline_numbers: u16,
    pub inline_number: u8,
    pub last_save: i64,
    /// When the last attempt began, unix seconds.
    pub last_bgsave_try: i64,
    /// The data set was emptied for a full sync that then failed. See [`Server::file_is_worth_more`].
    pub emptied_by_sync: bool,
    pub last_bgsave_failed: bool,
    pub last_bgsave_seconds: Option<i64>,
    pub last_cow_size: u64,
    pub rdb_saves: u64,
    pub last_load_keys_loaded: u64,
    pub last_load_keys_expired: u64,
    pub bgsave_scheduled: bool,
    pub lazyfree: Lazyfree,
}

impl Server {
    /// Answers a client, OK, when all that is large and has been removed is freed; at once if that is so, or if it cannot wait.
    pub(crate) fn reply_ok_when_freed(&mut self, cid: ClientId) {
        const NEVER: ClientFlags = ClientFlags::DENY_BLOCKING.union(ClientFlags::MASTER);
        let may_wait = self
            .clients
            .get(cid)
            .is_some_and(|c| c.conn.is_some() && !c.has(NEVER));
        if !may_wait || self.persist.lazyfree.large_pending() == 0 {
            return self.clients.add_reply_ok(cid);
        }
        self.block_client(cid, Block::new(BlockType::Freeing));
        let lazyfree = &mut self.persist.lazyfree;
        lazyfree.waiting.push((cid, lazyfree.large_sent));
    }

    /// Answers those whose waiting is over.
    pub(crate) fn unblock_clients_waiting_for_memory(&mut self) {
        let lazyfree = &self.persist.lazyfree;
        let gone = lazyfree.large_sent - lazyfree.large_pending();
        let over: Vec<ClientId> = lazyfree
            .waiting
            .iter()
            .filter_map(|(cid, sent)| (*sent <= gone).then_some(*cid))
            .collect();
        for cid in over {
            self.clients.add_reply_ok(cid);
            self.unblock_client(cid);
        }
    }

    /// The file on the disk has data that nobody has any more: a full sync emptied the data set, failed, and nothing was
    /// written since. Nothing but a user's own SAVE or BGSAVE may replace it.
    pub(crate) fn file_is_worth_more(&self) -> bool {
        self.persist.emptied_by_sync && self.dirty == 0
    }
}
