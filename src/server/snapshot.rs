//! The state of a snapshot that is taken in the loop (`snapshot-mode inline`). The engine is `persist::snapshot`; what each
//! database owes to it is `store::entry::capture`.
//!
//! Here is also what others have to know of it: that a database which is being captured must not be dropped, how much memory it
//! takes, and which commands have to wait ([`Server::snapshot_holds_back`]).

use std::path::PathBuf;

use crate::base::alloc;
use crate::base::file_writer::FileWriter;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Argv;
use crate::server::execution::command::{
    CommandFlags, CommandId, KeyFlags, KeyRefs, KeySearch, get_keys_from_command,
};
use crate::store::db::Db;
use crate::store::entry::capture::Unsaved;

/// Memory that a snapshot may take beyond the data: this much, or one part in [`ROOM_PART`] of the data.
const ROOM_BYTES: usize = 32 << 20;
const ROOM_PART: usize = 33;
/// Below so many of its hundredths those that wait for room go on.
const ROOM_AGAIN_PERCENT: usize = 60;
/// Of which this much waits for the file at the most.
pub(crate) const SINK_BYTES: usize = 8 << 20;

/// What becomes of the file when it is whole.
#[derive(Debug)]
pub(crate) enum GoesTo {
    /// It gets another name.
    Name { temp: PathBuf, path: PathBuf },
    /// The same for a base of the append-only file, which the manifest gets to know.
    AofBase { temp: PathBuf, path: PathBuf },
    /// It has no name.
    Nameless,
    /// It is the pipe of a diskless sync; this is the mark at its end.
    Pipe { mark: Vec<u8> },
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Records are being made.
    Walking,
    /// All are made, and are being written.
    Ending,
    /// The file has its name, its folder is being synced.
    Naming,
    /// It is over, well or not: the end has to be booked.
    Over,
}

/// A snapshot that is being taken.
pub(crate) struct InlineSnapshot {
    pub writer: FileWriter,
    pub goes_to: GoesTo,
    pub phase: Phase,
    /// The RDB version, for the opcodes between records.
    pub version: u16,
    /// What goes to the writer next.
    pub chunk: Vec<u8>,
    /// The database that the bytes so far have selected, by its number when the snapshot began.
    pub selected: Option<usize>,
    /// The database that the last record is of, while that goes on.
    pub amid: Option<usize>,
    /// Databases that were flushed or replaced before all of them was written.
    pub detached: Vec<Db>,
    /// Databases that have something that is waited for.
    pub urgent: bool,
    /// Records begun, and bytes of those that changes made; and of databases that are done.
    pub keys: u64,
    pub early_bytes: u64,
    pub keys_done: u64,
    pub early_done: u64,
    /// Bulky values that were written at once, of databases that are done.
    pub forced: u64,
    /// When the last step ended and what had been called by then; monotonic microseconds.
    pub step_end_us: u64,
    pub commands: u64,
    /// When a client last had a command run.
    pub busy_us: u64,
    pub start_us: u64,
    /// Commands wait for a bulky value to be written, or for room.
    pub awaits_value: bool,
    pub awaits_room: bool,
    /// What some of them wait for has come.
    pub release: bool,
}

/// What is counted of all snapshots of this kind.
#[derive(Default)]
pub(crate) struct InlineStats {
    /// Snapshots taken in the loop.
    pub taken: u64,
    /// Commands that waited for a value to be written, and for room.
    pub value_waits: u64,
    pub room_waits: u64,
    /// Bulky values that were written at once, since who changed them could not wait.
    pub forced: u64,
}

impl Server {
    /// Whether a save or the like is under way, in a child or in the loop (hasActiveChildProcess).
    pub(crate) fn has_active_child_process(&self) -> bool {
        self.persist.child.is_some()
    }

    /// A process shares its memory with this one: what is written to is copied.
    #[inline]
    pub(crate) fn has_forked_child(&self) -> bool {
        self.persist.child.as_ref().is_some_and(|c| !c.is_inline())
    }

    /// Takes over a database that is in nobody's use any more, if a snapshot has still to write some of it. Else it comes back.
    pub(crate) fn detach_captured(&mut self, mut db: Db) -> Option<Db> {
        match self.persist.inline.as_deref_mut() {
            Some(job) if db.keys.is_captured() => {
                job.detached.push(db);
                None
            }
            _ => {
                drop(db.keys.end_capture());
                Some(db)
            }
        }
    }

    /// Bytes that a snapshot in the loop takes beyond the data: records that are not written yet.
    pub(crate) fn snapshot_memory(&self) -> usize {
        let Some(job) = self.persist.inline.as_deref() else {
            return 0;
        };
        let dbs = self.dbs.iter().chain(&job.detached);
        let buffered: usize = dbs.map(|db| db.keys.capture_buffered()).sum();
        buffered + job.writer.in_flight() + job.chunk.capacity()
    }

    /// There is room for the records that changes need.
    fn snapshot_has_room(&self, percent: usize) -> bool {
        let limit = ROOM_BYTES.max(alloc::used_memory() / ROOM_PART);
        self.snapshot_memory() < limit / 100 * percent
    }

    /// Changes that nobody asked for (expiry) may happen now.
    pub(crate) fn snapshot_lets_change(&self) -> bool {
        self.persist.inline.is_none() || self.snapshot_has_room(100)
    }

    /// Whether the command must wait since a snapshot needs the old value of a key first: that is bulky, and the snapshot now goes
    /// on with it; or there is no room for it.
    #[cold]
    pub(crate) fn snapshot_holds_back(
        &mut self,
        cid: ClientId,
        id: CommandId,
        flags: CommandFlags,
        args: &(impl Argv + ?Sized),
    ) -> bool {
        let job = self.persist.inline.as_deref();
        let walks = job.is_some_and(|j| j.phase == Phase::Walking);
        // In a load and beside a slow script the snapshot rests, and commands are refused.
        let rests = self.loading.is_some() || self.scripts.is_timed_out();
        if !walks || rests || !flags.intersects(CommandFlags::WRITE | CommandFlags::MAY_REPLICATE) {
            return false;
        }
        let mut wait = None;
        if flags.contains(CommandFlags::RUNS_QUEUED) {
            // Taken out, so that the databases may be looked at; what it queues may SELECT.
            let queue = self.clients.get_mut(cid).and_then(|c| c.multi.take());
            if let Some(q) = &queue {
                for (id, args) in q.queued() {
                    if wait.is_none() {
                        wait = self.unsaved_key(None, id, &args);
                    }
                }
            }
            if let Some(c) = self.clients.get_mut(cid) {
                c.multi = queue;
            }
        } else {
            wait = self.unsaved_key(Some(self.client_db(cid)), id, args);
        }
        let Some(wait) = wait else {
            return false;
        };
        let stats = &mut self.persist.inline_stats;
        let Some(job) = self.persist.inline.as_deref_mut() else {
            return false;
        };
        match wait {
            Unsaved::Bulky => {
                stats.value_waits += 1;
                job.awaits_value = true;
            }
            Unsaved::Small | Unsaved::No => {
                stats.room_waits += 1;
                job.awaits_room = true;
            }
        }
        true
    }

    /// What the snapshot has against this command, if anything: see [`Self::snapshot_holds_back`].
    fn unsaved_key(
        &mut self,
        db: Option<usize>,
        id: CommandId,
        args: &(impl Argv + ?Sized),
    ) -> Option<Unsaved> {
        let mut keys = KeyRefs::default();
        // A call whose keys cannot be told changes none, or the procedure says why.
        let _ = get_keys_from_command(
            self.commands.command(id),
            args,
            KeySearch::RETURN_PARTIAL,
            &mut keys,
        );
        const CHANGES: KeyFlags = KeyFlags::of(&[KeyFlags::RW, KeyFlags::OW, KeyFlags::RM]);
        let only_reads = !keys.iter().any(|k| k.flags.intersects(CHANGES));
        let mut small = false;
        let mut bulky = false;
        for k in keys.iter() {
            let key = args.arg(k.pos);
            // One that is replaced or removed as a whole is set aside; what is called a read and stands alone is XREADGROUP's.
            let in_place = k.flags.contains(KeyFlags::RW) || only_reads;
            for (n, d) in self.dbs.iter_mut().enumerate() {
                if db.is_some_and(|db| db != n) {
                    continue;
                }
                match d.keys.unsaved(key) {
                    Unsaved::No => {}
                    Unsaved::Small => small = true,
                    Unsaved::Bulky if in_place => {
                        bulky = true;
                        d.keys.capture_soon(key);
                    }
                    Unsaved::Bulky => {}
                }
            }
        }
        if bulky {
            if let Some(job) = self.persist.inline.as_deref_mut() {
                job.urgent = true;
            }
            return Some(Unsaved::Bulky);
        }
        (small && !self.snapshot_has_room(100)).then_some(Unsaved::Small)
    }

    /// Commands that wait for the snapshot are looked at again, if what they wait for may have come.
    pub(crate) fn release_held_back(&mut self) {
        let Some(job) = self.persist.inline.as_deref() else {
            return;
        };
        let over = job.phase != Phase::Walking && (job.awaits_value || job.awaits_room);
        let room = job.awaits_room && self.snapshot_has_room(ROOM_AGAIN_PERCENT);
        if !(job.release || over || room) {
            return;
        }
        if let Some(job) = self.persist.inline.as_deref_mut() {
            (job.release, job.awaits_value, job.awaits_room) = (false, false, false);
        }
        self.unblock_postponed_clients();
    }
}
