//! A snapshot that is taken in the loop, without a fork (`snapshot-mode inline`): one more thing that the loop does, some tenths of a
//! millisecond a turn. Saves, bases of the append-only file and full syncs, by file or by pipe, differ in where its bytes go and in
//! what follows its end; the choice between this and a fork is made here and in `child`, and nothing behind it knows of it.
//!
//! ```text
//!   databases ── records ──► chunk ──► the thread of base::file_writer ──► file or pipe
//!      ▲ what is about to change has its record made first (store::entry::capture)
//! ```
//!
//! - **Exact.** The moment is that of `begin_inline`: the header is made then, and every database that holds something is captured.
//! - **Bounded.** The walk rests while [`SINK_BYTES`] are not written yet; so a slow disk, or a replica that does not read, slows it
//!   and nobody else. A command that would need a record made early while there is no room for it waits, alone; so does one that
//!   changes a bulky value which is not written yet, and that value is written next (`Server::snapshot_holds_back`). Both are
//!   counted in INFO. Waiting costs such a command what the value takes to be written: a second for some ten million elements.
//!   Expiry and eviction leave what it still needs alone while there is no room.
//! - **What cannot wait** is right all the same, and takes its time: commands of a script on keys that it did not declare, and of
//!   a client that was served for a key, change a bulky value only after all of it has been written to memory.
//! - **A part of the loop.** A step ends after [`STEP_US`]; while commands come without a pause it takes no more than
//!   `snapshot-cpu-share` of the time. An idle loop does nothing else.
//! - **Numbers.** Entries know the last snapshot that had them by a number of four bits. One is used again only when no entry can have
//!   it: a snapshot that has ended leaves no number but its own. After fourteen that were given up in a row all entries are
//!   looked at once, which is a wait.
//!
//! The base of an append-only file that is made of commands (`aof-use-rdb-preamble no`) is always made by a fork.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::base::clock::{monotonic_us, mstime};
use crate::base::file_writer::{FileWriter, Progress, WriterOptions};
use crate::base::log::Level;
use crate::base::sys::{self, ChildExit, strerror};
use crate::server::Server;
use crate::server::persist::{Child, ChildKind, RdbTarget, SnapshotForm};
use crate::server::process::temp_file;
use crate::server::replica::SlaveReq;
use crate::server::snapshot::{GoesTo, InlineSnapshot, Phase, SINK_BYTES};
use crate::server_log;
use crate::store::db::Db;
use crate::store::entry::capture::Capture;
use crate::wire::rdb::{RDB_OPCODE_EOF, RdbWriter, RdbWriterOptions};
use crate::wire::replication::payload::BulkHeader;

/// Bytes that are handed to the thread at once.
const CHUNK: usize = 256 * 1024;
/// The length of a step while clients are about, and while none has been for [`QUIET_US`]; microseconds.
const STEP_US: u64 = 20;
const LONG_STEP_US: u64 = 500;
const QUIET_US: u64 = 5_000;
/// How much of a step a busy turn leaves at least.
const SHORTEST_US: u64 = 10;

/// The exit code of a child that was told to stop (SERVER_CHILD_NOERROR_RETVAL).
const STOPPED: i32 = 255;

/// The bytes that select a database.
fn select_db(version: u16, db: usize) -> Vec<u8> {
    let mut w = RdbWriter::in_memory(RdbWriterOptions {
        version,
        ..RdbWriterOptions::default()
    });
    let done = w.select_db(db as u64);
    debug_assert!(done.is_ok());
    w.into_bytes()
}

/// All databases that a snapshot may have to do with.
fn each_db<'a>(dbs: &'a mut [Db], job: &'a mut InlineSnapshot) -> impl Iterator<Item = &'a mut Db> {
    dbs.iter_mut().chain(&mut job.detached)
}

impl Server {
    /// Begins a snapshot of the data set as it is now, which goes into `file`; from here on it takes place by itself, and its end is
    /// booked as that of a child. Returns the number that stands for that child's pid: this process'.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn begin_inline(
        &mut self,
        kind: ChildKind,
        target: RdbTarget,
        file: File,
        goes_to: GoesTo,
        form: SnapshotForm,
    ) -> io::Result<i32> {
        let to_disk = matches!(goes_to, GoesTo::Name { .. } | GoesTo::AofBase { .. });
        let incremental = match kind {
            ChildKind::Rdb => self.config.rdb_save_incremental_fsync,
            ChildKind::Aof => self.config.aof_rewrite_incremental_fsync,
        };
        let waker = self.el.waker();
        let writer = FileWriter::new(
            file,
            WriterOptions {
                checksum: self.config.rdbchecksum,
                sync: to_disk,
                autosync: incremental && target == RdbTarget::Disk,
            },
            move || waker.wake(),
        )?;
        if let GoesTo::Pipe { mark } = &goes_to
            && let Ok(mark) = <[u8; 40]>::try_from(mark.as_slice())
        {
            writer.write_plain(BulkHeader::EofMark(mark).line().into_bytes());
        }
        let options = RdbWriterOptions {
            version: form.version,
            compression: self.config.rdbcompression,
            checksum: false,
        };
        let mut w = RdbWriter::in_memory(options);
        w.magic()?;
        self.rdb_save_info_aux_fields(&mut w, form)?;
        self.rdb_save_functions(&mut w, form)?;
        let mut total = 0;
        self.persist.inline_number = 0;
        if !form.req.contains(SlaveReq::RDB_EXCLUDE_DATA) {
            let (records, number) = (self.snapshot_records(), self.next_snapshot_number());
            for (id, db) in self.dbs.iter_mut().enumerate() {
                let keys = &mut db.keys;
                if keys.is_empty() {
                    continue;
                }
                w.select_db(id as u64)?;
                w.resize_db(keys.len() as u64, keys.expires_len() as u64)?;
                total += keys.len() as u64;
                keys.capture(Capture::new(id, number, records, options));
            }
        }
        let pid = sys::getpid();
        let now = monotonic_us();
        self.persist.inline = Some(Box::new(InlineSnapshot {
            writer,
            goes_to,
            phase: Phase::Walking,
            version: form.version,
            chunk: w.into_bytes(),
            selected: None,
            amid: None,
            detached: Vec::new(),
            urgent: false,
            keys: 0,
            early_bytes: 0,
            keys_done: 0,
            early_done: 0,
            forced: 0,
            step_end_us: now,
            commands: self.stats.num_commands,
            busy_us: now,
            start_us: now,
            awaits_value: false,
            awaits_room: false,
            release: false,
        }));
        self.persist.inline_stats.taken += 1;
        self.persist.child = Some(Child {
            pid,
            kind,
            target,
            rdb_version: form.version,
            nameless: None,
            info: None,
            info_file: None,
            start: mstime().div_euclid(1000),
            cow_size: 0,
            cow_peak: 0,
            cow_updated_us: 0,
            keys_processed: 0,
            keys_total: total,
            dirty_before: self.dirty,
            killed: false,
            ended: None,
        });
        // The commands behind this one in a pipeline are looked at more closely.
        self.exec.unusual = true;
        self.update_dict_resize_policy();
        Ok(pid)
    }

    /// [`Self::begin_inline`] to a file that gets the name `path` when it is whole.
    ///
    /// # Errors
    /// The system's; the log says which file cannot be made.
    pub(super) fn begin_inline_to_file(
        &mut self,
        path: &Path,
        form: SnapshotForm,
    ) -> io::Result<i32> {
        let temp = temp_file::rdb_inline(std::process::id());
        let file = temp_file::create(&temp).inspect_err(|e| {
            server_log!(
                Level::Warning,
                "Failed opening the temp RDB file {} for saving: {}",
                temp.display(),
                strerror(e)
            );
        })?;
        let goes_to = GoesTo::Name {
            temp,
            path: path.to_owned(),
        };
        self.begin_inline(ChildKind::Rdb, RdbTarget::Disk, file, goes_to, form)
    }

    /// A number that no entry has.
    fn next_snapshot_number(&mut self) -> u8 {
        let free = |used: u16| (1..16u8).find(|n| used >> n & 1 == 0);
        let number = match free(self.persist.inline_numbers) {
            Some(n) => n,
            None => {
                for db in &mut self.dbs {
                    db.keys.forget_captures();
                }
                self.persist.inline_numbers = 0;
                self.exec.clock_stale = true;
                1
            }
        };
        self.persist.inline_numbers |= 1 << number;
        self.persist.inline_number = number;
        number
    }

    /// The snapshot's part of a turn, before the loop sleeps. To be called only while there is one.
    pub(crate) fn snapshot_before_sleep(&mut self) {
        let Some(mut job) = self.persist.inline.take() else {
            return;
        };
        match job.phase {
            Phase::Walking if job.writer.progress() == Progress::Failed => {
                self.inline_failed(&mut job);
            }
            Phase::Walking => {
                if self.snapshot_steps(&mut job) {
                    self.el.set_dont_wait(true);
                }
            }
            Phase::Ending | Phase::Naming => self.inline_ending(&mut job),
            Phase::Over => {}
        }
        let over = job.phase == Phase::Over;
        self.persist.inline = Some(job);
        self.release_held_back();
        if over {
            self.check_children_done();
        }
        self.exec.clock_stale = true;
        if !self.exec.unblocked.is_empty() {
            self.el.set_dont_wait(true);
        }
    }

    /// How many microseconds the next step may take.
    fn step_budget(&self, job: &mut InlineSnapshot, now: u64) -> u64 {
        let busy = now.saturating_sub(job.step_end_us);
        if self.stats.num_commands == job.commands {
            return match now.saturating_sub(job.busy_us) > QUIET_US {
                true => LONG_STEP_US,
                false => STEP_US,
            };
        }
        job.busy_us = now;
        let share = u64::from(self.config.snapshot_cpu_share.unsigned_abs());
        match 100u64.checked_sub(share) {
            None | Some(0) => LONG_STEP_US,
            Some(rest) => (busy.saturating_mul(share) / rest).clamp(SHORTEST_US, LONG_STEP_US),
        }
    }

    /// Keys that `rdb-key-save-delay` allows by now.
    fn delay_allows(&self, job: &InlineSnapshot, now: u64) -> bool {
        let delay = self.config.rdb_key_save_delay;
        let us = match delay {
            0 => return true,
            1.. => job.keys.saturating_mul(delay.unsigned_abs().into()),
            _ => job.keys / u64::from(delay.unsigned_abs()),
        };
        job.start_us.saturating_add(us) <= now
    }

    /// True: there is more to do that nothing will announce.
    fn snapshot_steps(&mut self, job: &mut InlineSnapshot) -> bool {
        let mut now = monotonic_us();
        let end = now + self.step_budget(job, now);
        let mut more = true;
        loop {
            if job.writer.in_flight() >= SINK_BYTES {
                // The thread wakes the loop.
                more = false;
                break;
            }
            if !self.delay_allows(job, now) {
                // The cron comes by.
                more = false;
                break;
            }
            if !self.snapshot_step(job) {
                more = false;
                job.chunk.push(RDB_OPCODE_EOF);
                job.writer.write(std::mem::take(&mut job.chunk));
                let mark = match &job.goes_to {
                    GoesTo::Pipe { mark } => mark.clone(),
                    _ => Vec::new(),
                };
                job.writer.end(mark);
                job.phase = Phase::Ending;
                break;
            }
            now = monotonic_us();
            if now >= end {
                break;
            }
        }
        job.step_end_us = monotonic_us();
        job.commands = self.stats.num_commands;
        if let Some(child) = self.persist.child.as_mut() {
            child.keys_processed = job.keys;
            child.cow_size = job.early_bytes;
            child.cow_peak = job.early_bytes;
            child.cow_updated_us = job.step_end_us;
        }
        more
    }

    /// One bounded part of the work. False: all records are made, and in the chunk.
    fn snapshot_step(&mut self, job: &mut InlineSnapshot) -> bool {
        let group = match self.config.rdb_key_save_delay {
            0 => usize::MAX,
            _ => 1,
        };
        let (amid, urgent) = (job.amid, job.urgent);
        let mut found: Option<&mut Db> = None;
        for db in self.dbs.iter_mut().chain(&mut job.detached) {
            let Some(c) = db.keys.captured() else {
                continue;
            };
            match amid {
                // Nothing may come between the pieces of a value.
                Some(n) if c.db() != n => continue,
                Some(_) => {}
                None if urgent && c.is_wanted() => {}
                None => {
                    // The first one, unless another is urgent.
                    if found.is_none() {
                        found = Some(db);
                    }
                    if !urgent {
                        break;
                    }
                    continue;
                }
            }
            found = Some(db);
            break;
        }
        let Some(db) = found else {
            return false;
        };
        if amid.is_none() && urgent && !db.keys.captured().is_some_and(|c| c.is_wanted()) {
            job.urgent = false;
        }
        let more = db.keys.capture_step(group);
        let Some(c) = db.keys.captured() else {
            return true;
        };
        let (id, is_amid) = (c.db(), c.is_amid_value());
        let put = |selected: &mut Option<usize>, chunk: &mut Vec<u8>, from: &mut Vec<u8>| {
            if from.is_empty() {
                return;
            }
            if *selected != Some(id) {
                chunk.extend_from_slice(&select_db(job.version, id));
                *selected = Some(id);
            }
            chunk.extend_from_slice(from);
            from.clear();
            from.shrink_to(2 * CHUNK);
        };
        put(&mut job.selected, &mut job.chunk, c.stream());
        job.amid = is_amid.then_some(id);
        let mut freed = c.spent();
        let value_done = c.value_done();
        if !more {
            job.keys_done += c.keys();
            job.early_done += c.early_bytes();
            job.forced += c.forced();
            put(&mut job.selected, &mut job.chunk, c.early());
            freed.extend(db.keys.end_capture());
        }
        for e in freed {
            self.persist.lazyfree.free(e);
        }
        if job.amid.is_none() {
            self.take_early(job);
        }
        job.release |= value_done && job.awaits_value;
        if job.chunk.len() >= CHUNK {
            let chunk = std::mem::replace(&mut job.chunk, Vec::with_capacity(CHUNK + CHUNK / 2));
            job.writer.write(chunk);
        }
        if !more {
            self.free_detached(job);
        }
        let (mut keys, mut early) = (job.keys_done, job.early_done);
        for db in each_db(&mut self.dbs, job) {
            if let Some(c) = db.keys.captured() {
                keys += c.keys();
                early += c.early_bytes();
            }
        }
        (job.keys, job.early_bytes) = (keys, early);
        true
    }

    /// The records that changes have made go into the chunk: the last one there is whole.
    fn take_early(&mut self, job: &mut InlineSnapshot) {
        let InlineSnapshot {
            chunk,
            selected,
            version,
            detached,
            ..
        } = job;
        for db in self.dbs.iter_mut().chain(detached) {
            let Some(c) = db.keys.captured() else {
                continue;
            };
            let id = c.db();
            let early = c.early();
            if early.is_empty() {
                continue;
            }
            if *selected != Some(id) {
                chunk.extend_from_slice(&select_db(*version, id));
                *selected = Some(id);
            }
            chunk.append(early);
            early.shrink_to(CHUNK);
        }
    }

    /// Databases that nobody needs any more go.
    fn free_detached(&mut self, job: &mut InlineSnapshot) {
        let (left, over): (Vec<_>, Vec<_>) = std::mem::take(&mut job.detached)
            .into_iter()
            .partition(|db| db.keys.is_captured());
        job.detached = left;
        if !over.is_empty() {
            self.persist.lazyfree.free_databases(over);
        }
    }

    /// All records are made: the file ends, gets its name, and is the snapshot.
    fn inline_ending(&mut self, job: &mut InlineSnapshot) {
        match (job.writer.progress(), job.phase) {
            (Progress::Working, _) | (Progress::Ended, Phase::Naming) => {}
            (Progress::Failed, _) => self.inline_failed(job),
            (Progress::Named, _) => {
                server_log!(Level::Notice, "DB saved on disk");
                self.inline_over(job, 0);
            }
            (Progress::Ended, _) => match &job.goes_to {
                GoesTo::Nameless => self.inline_over(job, 0),
                GoesTo::Pipe { .. } => {
                    let passed_on = self.repl.rdb_pipe.as_ref().is_none_or(|p| p.exit.is_none());
                    if passed_on {
                        self.inline_over(job, 0);
                    }
                }
                GoesTo::Name { temp, path } => match self.aof.bio.rename(temp, path) {
                    Ok(()) => {
                        job.writer.sync_folder(path.clone());
                        job.phase = Phase::Naming;
                    }
                    Err(e) => {
                        server_log!(
                            Level::Warning,
                            "Error moving temp DB file {} on the final destination {}: {}",
                            temp.display(),
                            path.display(),
                            strerror(&e)
                        );
                        self.aof.bio.unlink(temp);
                        self.inline_over(job, 1);
                    }
                },
                GoesTo::AofBase { temp, path } => match self.aof.bio.rename(temp, path) {
                    Ok(()) => {
                        server_log!(
                            Level::Notice,
                            "Successfully created the temporary AOF base file {}",
                            path.display()
                        );
                        self.inline_over(job, 0);
                    }
                    Err(e) => {
                        server_log!(
                            Level::Warning,
                            "Error moving temp append only file on the final destination: {}",
                            strerror(&e)
                        );
                        self.aof.bio.unlink(temp);
                        self.inline_over(job, 1);
                    }
                },
            },
        }
    }

    /// The file cannot be written.
    fn inline_failed(&mut self, job: &mut InlineSnapshot) {
        if let Some((op, e)) = job.writer.take_error() {
            let op = match op {
                "write" | "sync_file_range" => "rdbSaveRio",
                op => op,
            };
            match &job.goes_to {
                GoesTo::Name { .. } if op == "fsync folder" => server_log!(
                    Level::Warning,
                    "Failed to fsync directory while saving DB: {}",
                    strerror(&e)
                ),
                GoesTo::Name { .. } => server_log!(
                    Level::Warning,
                    "Write error while saving DB to the disk({}): {}",
                    op,
                    strerror(&e)
                ),
                GoesTo::AofBase { .. } => server_log!(
                    Level::Warning,
                    "Write error writing append only file on disk: {}",
                    strerror(&e)
                ),
                GoesTo::Nameless => server_log!(
                    Level::Warning,
                    "Write error while saving DB for replicas to a file without a name: {}",
                    strerror(&e)
                ),
                GoesTo::Pipe { .. } => {}
            }
        }
        self.end_captures(job);
        self.inline_over(job, 1);
    }

    /// It is over, as a child is that exits with this code.
    fn inline_over(&mut self, job: &mut InlineSnapshot, code: i32) {
        job.phase = Phase::Over;
        self.persist.inline_stats.forced += job.forced;
        if code == 0 {
            // All that was captured has the number of this one, and nothing has another one. One without data had none.
            if self.persist.inline_number != 0 {
                self.persist.inline_numbers = 1 << self.persist.inline_number;
            }
        } else if let GoesTo::Name { temp, .. } | GoesTo::AofBase { temp, .. } = &job.goes_to {
            self.aof.bio.unlink(temp);
        }
        if let Some(child) = self.persist.child.as_mut() {
            let last = child.cow_peak;
            match child.kind {
                ChildKind::Rdb => self.persist.last_cow_size = last,
                ChildKind::Aof => self.aof.last_cow_size = last,
            }
            if child.ended.is_none() {
                child.ended = Some(ChildExit {
                    pid: child.pid,
                    code: Some(code),
                    signal: None,
                });
            }
        }
    }

    /// No database is captured any more.
    fn end_captures(&mut self, job: &mut InlineSnapshot) {
        let mut freed = Vec::new();
        for db in each_db(&mut self.dbs, job) {
            if let Some(c) = db.keys.captured() {
                self.persist.inline_stats.forced += c.forced();
            }
            freed.extend(db.keys.end_capture());
        }
        for e in freed {
            self.persist.lazyfree.free(e);
        }
        self.free_detached(job);
        job.amid = None;
    }

    /// Gives the snapshot up. Its end is booked by the next turn, or by who calls `check_children_done`; from here on it neither
    /// writes nor renames anything.
    pub(super) fn abandon_inline(&mut self) {
        let Some(mut job) = self.persist.inline.take() else {
            return;
        };
        job.writer.stop();
        self.end_captures(&mut job);
        if job.phase != Phase::Over {
            self.inline_over(&mut job, STOPPED);
        }
        self.persist.inline = Some(job);
        self.release_held_back();
    }

    /// A copy of the server that goes its own way has no snapshot.
    pub(crate) fn forget_inline(&mut self) {
        if let Some(mut job) = self.persist.inline.take() {
            for db in each_db(&mut self.dbs, &mut job) {
                std::mem::forget(db.keys.end_capture());
            }
            std::mem::forget(job);
        }
    }

    /// Books that no process could be made for a snapshot, which is taken in the loop instead.
    pub(super) fn log_fork_failed(&self, e: &io::Error) {
        server_log!(
            Level::Warning,
            "Can't save in background: fork: {}. The snapshot is taken in the server's own loop instead.",
            strerror(e)
        );
    }
}
