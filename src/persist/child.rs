//! Saving in a forked child: its start, its reports, its end (rdbSaveBackground, redisFork, childinfo.c, checkChildrenDone,
//! backgroundSaveDoneHandler, and the save points of serverCron).
//!
//! Invariants: there is one child at the most. While it lives, the tables avoid to resize, since that would copy the pages
//! they share. `persist.child` is cleared only in `check_children_done`, so whoever sees it gone sees its end in the
//! statistics too.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use crate::ae::{ClientData, FileId, Mask};
use crate::base::alloc;
use crate::base::clock::{monotonic_us, mstime};
use crate::base::log::{self, Level, Role};
use crate::base::sys::strerror;
use crate::base::sys::{self, ChildExit};
use crate::config::value::SnapshotMode;
use crate::ds::table::Resize;
use crate::server::Server;
use crate::server::clients::client::Chunk;
use crate::server::persist::{Child, ChildKind, RdbSaveInfo, RdbTarget, SnapshotForm};
use crate::server::process::oom_score::ProcessClass;
use crate::server::process::temp_file;
use crate::server::snapshot::GoesTo;
use crate::server_log;
use crate::wire::rdb::RDB_VERSION;

/// Exit code of a child that was asked to stop (SERVER_CHILD_NOERROR_RETVAL).
const SERVER_CHILD_NOERROR_RETVAL: i32 = 255;
/// Seconds before a save that failed is tried again (CONFIG_BGSAVE_RETRY_DELAY).
const CONFIG_BGSAVE_RETRY_DELAY: i64 = 5;
/// Reading one's own memory map is slow; it may take one part in so many of the child's time (CHILD_COW_DUTY_CYCLE).
const CHILD_COW_DUTY_CYCLE: u64 = 100;
/// How long a child that was told to stop is waited for, in steps of a millisecond.
const KILL_WAIT_MS: u32 = 20;
/// How often, and after which pause, it is looked for a child that has closed its files: its last steps take less than that.
const REAP_TRIES: u32 = 20;
const REAP_PAUSE: Duration = Duration::from_micros(50);

/// What a report is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InfoKind {
    Current,
    /// The last one of a snapshot, and of a rewrite of the append-only file.
    RdbCowSize,
    AofCowSize,
}

/// A report. Its form in the pipe is this process' own business: parent and child are the same program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Info {
    kind: InfoKind,
    keys: u64,
    cow: u64,
    cow_updated_us: u64,
}

/// Bytes of a report: less than PIPE_BUF, so it is written whole or not at all.
const INFO_LEN: usize = 32;

impl Info {
    fn encode(&self) -> [u8; INFO_LEN] {
        let mut b = [0; INFO_LEN];
        b[0] = match self.kind {
            InfoKind::Current => 0,
            InfoKind::RdbCowSize => 1,
            InfoKind::AofCowSize => 2,
        };
        b[8..16].copy_from_slice(&self.keys.to_ne_bytes());
        b[16..24].copy_from_slice(&self.cow.to_ne_bytes());
        b[24..].copy_from_slice(&self.cow_updated_us.to_ne_bytes());
        b
    }

    fn decode(b: &[u8; INFO_LEN]) -> Option<Info> {
        let word = |i: usize| {
            let mut w = [0; 8];
            w.copy_from_slice(&b[i..i + 8]);
            u64::from_ne_bytes(w)
        };
        Some(Info {
            kind: match b[0] {
                0 => InfoKind::Current,
                1 => InfoKind::RdbCowSize,
                2 => InfoKind::AofCowSize,
                _ => return None,
            },
            keys: word(8),
            cow: word(16),
            cow_updated_us: word(24),
        })
    }
}

/// The child's end of the pipe (sendChildInfoGeneric).
pub(super) struct Reporter {
    pipe: File,
    kind: ChildKind,
    cow: u64,
    peak: u64,
    sum: u64,
    count: u64,
    updated_us: u64,
    cost_us: u64,
}

impl Reporter {
    fn new(pipe: File, kind: ChildKind) -> Reporter {
        Reporter {
            pipe,
            kind,
            cow: 0,
            peak: 0,
            sum: 0,
            count: 0,
            updated_us: 0,
            cost_us: 0,
        }
    }

    /// Tells how many keys are done.
    ///
    /// # Errors
    /// The pipe's: the parent is gone. A full pipe is none, the next report says more.
    pub(super) fn progress(&mut self, keys: u64) -> io::Result<()> {
        self.send(InfoKind::Current, keys)
    }

    fn send(&mut self, kind: InfoKind, keys: u64) -> io::Result<()> {
        let now = monotonic_us();
        let due = now.saturating_sub(self.updated_us) > self.cost_us * CHILD_COW_DUTY_CYCLE;
        if kind != InfoKind::Current || self.count == 0 || due {
            self.cow = sys::private_dirty() as u64;
            self.updated_us = monotonic_us();
            self.cost_us = self.updated_us.saturating_sub(now);
            self.peak = self.peak.max(self.cow);
            self.sum = self.sum.saturating_add(self.cow);
            self.count += 1;
            let last = kind != InfoKind::Current;
            if self.cow > 0 || last {
                let level = if last { Level::Notice } else { Level::Verbose };
                server_log!(
                    level,
                    "Fork CoW for {}: current {} MB, peak {} MB, average {} MB",
                    match self.kind {
                        ChildKind::Rdb => "RDB",
                        ChildKind::Aof => "AOF rewrite",
                    },
                    self.cow >> 20,
                    self.peak >> 20,
                    (self.sum / self.count) >> 20
                );
            }
        }
        let info = Info {
            kind,
            keys,
            cow: self.cow,
            cow_updated_us: self.updated_us,
        };
        match self.pipe.write(&info.encode()) {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => {
                server_log!(
                    Level::Warning,
                    "Child failed reporting info to parent, exiting. {}",
                    strerror(&e)
                );
                Err(e)
            }
            _ => Ok(()),
        }
    }
}

/// How a child ended, as its parent judges it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Success,
    Error,
    Signal(i32),
}

impl Outcome {
    fn of(exit: ChildExit) -> Outcome {
        match exit {
            ChildExit {
                signal: Some(s), ..
            } => Outcome::Signal(s),
            ChildExit { code: Some(0), .. } => Outcome::Success,
            ChildExit {
                code: Some(SERVER_CHILD_NOERROR_RETVAL),
                ..
            } => Outcome::Signal(sys::SIGUSR1),
            _ => Outcome::Error,
        }
    }
}

impl Server {
    /// Tables resize freely only while no child shares their pages (updateDictResizePolicy). A snapshot in the loop does not mind,
    /// but has no part in their work: the loop has enough to do.
    pub(crate) fn update_dict_resize_policy(&mut self) {
        let resize = if self.has_active_child_process() {
            Resize::Avoid
        } else {
            Resize::Allow
        };
        for db in &mut self.dbs {
            db.keys.set_resize(resize);
        }
        // Nor are their LRU bits changed.
        self.refresh_no_touch();
    }

    /// Starts to save to `path` in a child (rdbSaveBackground). False: a child runs already, or none could be made (then the
    /// log says why). What follows its end is up to [`Server::persistence_cron`].
    pub(crate) fn rdb_save_background(&mut self, path: &Path, rsi: Option<RdbSaveInfo>) -> bool {
        if self.has_active_child_process() {
            return false;
        }
        self.persist.rdb_saves += 1;
        self.persist.last_bgsave_try = mstime().div_euclid(1000);
        let form = self.snapshot_form(rsi);
        let started = self.fork_or_inline(
            |server| {
                server.fork_child(ChildKind::Rdb, RdbTarget::Disk, |server, reporter| {
                    server.rdb_save_file(path, rsi, Some(reporter))
                })
            },
            |server| server.begin_inline_to_file(path, form),
        );
        self.background_save_started(started, form.version, None)
    }

    /// Starts to save in a child to a file without a name, for replicas that cannot read the version of `dbfilename`, which is
    /// left alone. False: as with [`Self::rdb_save_background`], or there can be no such file.
    pub(crate) fn rdb_save_background_nameless(&mut self, form: SnapshotForm) -> bool {
        if self.has_active_child_process() {
            return false;
        }
        let made = sys::nameless_file().and_then(|file| Ok((file.try_clone()?, file)));
        let (file, written) = match made {
            Ok(files) => files,
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Failed opening a file without a name for the replicas' snapshot: {}",
                    strerror(&e)
                );
                return false;
            }
        };
        self.persist.rdb_saves += 1;
        let again = written.try_clone();
        let started = self.fork_or_inline(
            |server| {
                server.fork_child(ChildKind::Rdb, RdbTarget::Disk, |server, reporter| {
                    server.rdb_save_nameless(&written, form, reporter)
                })
            },
            |server| {
                let to = GoesTo::Nameless;
                server.begin_inline(ChildKind::Rdb, RdbTarget::Disk, again?, to, form)
            },
        );
        self.background_save_started(started, form.version, Some(file))
    }

    /// Begins a snapshot as `snapshot-mode` says; in the loop, too, where there is no process to be had.
    ///
    /// # Errors
    /// The system's: neither can be done.
    pub(super) fn fork_or_inline(
        &mut self,
        fork: impl FnOnce(&mut Server) -> io::Result<i32>,
        inline: impl FnOnce(&mut Server) -> io::Result<i32>,
    ) -> io::Result<i32> {
        if self.config.snapshot_mode == SnapshotMode::Fork {
            match fork(self) {
                Ok(pid) => return Ok(pid),
                Err(e) => self.log_fork_failed(&e),
            }
        }
        inline(self)
    }

    /// Books the start of a child that saves to a file; false: there is none.
    fn background_save_started(
        &mut self,
        forked: io::Result<i32>,
        version: u16,
        nameless: Option<File>,
    ) -> bool {
        match forked {
            Ok(pid) => {
                if let Some(child) = self.persist.child.as_mut() {
                    child.rdb_version = version;
                    child.nameless = nameless;
                }
                server_log!(Level::Notice, "Background saving started by pid {}", pid);
                true
            }
            Err(e) => {
                if nameless.is_none() {
                    self.persist.last_bgsave_failed = true;
                }
                server_log!(Level::Warning, "Can't save in background: {}", strerror(&e));
                false
            }
        }
    }

    /// Starts a child that runs `work` and ends, well when that returns true (redisFork). Returns its pid.
    ///
    /// # Errors
    /// The system's: no pipe, no process.
    pub(super) fn fork_child(
        &mut self,
        kind: ChildKind,
        target: RdbTarget,
        work: impl FnOnce(&mut Server, &mut Reporter) -> bool,
    ) -> io::Result<i32> {
        let start = monotonic_us();
        let (read, write) = sys::pipe()?;
        let mut write = Some(write);
        let parent = sys::getpid();
        let pid = sys::fork(|| {
            // A child that outlived the server would replace files of the next one.
            sys::die_with_parent(parent);
            match write.take() {
                Some(write) => self.run_child(kind, write, work),
                None => 1,
            }
        })?;
        drop(write);
        self.note_fork(start);
        let info_file = self.el.add_file(read.as_raw_fd()).ok();
        if let Some(file) = info_file {
            self.el
                .create_file_event(file, Mask::READABLE, child_has_reported, 0);
        }
        self.persist.child = Some(Child {
            pid,
            kind,
            target,
            rdb_version: RDB_VERSION,
            nameless: None,
            info: Some(read),
            info_file,
            start: mstime().div_euclid(1000),
            cow_size: 0,
            cow_peak: 0,
            cow_updated_us: 0,
            keys_processed: 0,
            keys_total: self.dbs.iter().map(|d| d.keys.len() as u64).sum(),
            dirty_before: self.dirty,
            killed: false,
            ended: None,
        });
        self.update_dict_resize_policy();
        Ok(pid)
    }

    /// A fork that began at `start`, of the clock of [`monotonic_us`], has succeeded: INFO and LATENCY tell of it.
    pub(crate) fn note_fork(&mut self, start: u64) {
        let us = monotonic_us().saturating_sub(start).max(1);
        self.stats.total_forks += 1;
        self.stats.last_fork_us = us;
        self.stats.fork_rate_gb_s =
            alloc::used_memory() as f64 * 1e6 / us as f64 / (1u64 << 30) as f64;
        self.latency_add_sample_if_needed("fork", (us / 1000) as i64);
        self.exec.clock_stale = true;
    }

    /// Clients and the replication log are nothing to a child (dismissMemoryInChild). What a client shares with a value
    /// stays: that is to be saved.
    fn dismiss_memory_in_child(&mut self) {
        for bytes in self.repl.log.segments_mut() {
            sys::dismiss_bytes(bytes);
        }
        for c in self.clients.iter_mut() {
            sys::dismiss_bytes(&mut c.querybuf);
            sys::dismiss_bytes(&mut c.out.buf);
            for chunk in &mut c.out.list {
                if let Chunk::Bytes(b) = chunk {
                    sys::dismiss_bytes(b);
                }
            }
        }
    }

    /// The child's whole life.
    fn run_child(
        &mut self,
        kind: ChildKind,
        pipe: File,
        work: impl FnOnce(&mut Server, &mut Reporter) -> bool,
    ) -> ! {
        log::set_role(Role::Child);
        sys::setup_child_signal_handlers();
        self.set_proc_title(Some(match kind {
            ChildKind::Rdb => "redis-rdb-bgsave",
            ChildKind::Aof => "redis-aof-rewrite",
        }));
        self.close_inherited_listening_sockets();
        // A failure is in the log.
        let _ = self.set_oom_score_adj(ProcessClass::Child);
        self.dismiss_memory_in_child();
        let last = match kind {
            ChildKind::Rdb => InfoKind::RdbCowSize,
            ChildKind::Aof => InfoKind::AofCowSize,
        };
        // The pipe is closed by the end of the process, not before: so the server is told when all but that is done.
        let mut reporter = Reporter::new(pipe, kind);
        let saved = work(self, &mut reporter) && reporter.send(last, 0).is_ok();
        sys::exit_now(match saved {
            true => 0,
            false if sys::child_stop_asked() => SERVER_CHILD_NOERROR_RETVAL,
            false => 1,
        })
    }

    /// Asks the child that saves to stop and forgets what it has written (killRDBChild). Its end is booked by the next turn of
    /// the loop, or the next [`Server::persistence_cron`], as no error; from here on it neither writes nor renames anything. That of a rewrite, by
    /// [`Self::kill_child`], is booked before it returns.
    pub(crate) fn kill_rdb_child(&mut self) {
        self.kill_child(ChildKind::Rdb);
    }

    /// The same for a child of this kind.
    pub(super) fn kill_child(&mut self, kind: ChildKind) {
        let Some(child) = self.persist.child.as_mut().filter(|c| c.kind == kind) else {
            return;
        };
        child.killed = true;
        let pid = child.pid;
        if child.is_inline() {
            self.abandon_inline();
        } else if child.ended.is_none() {
            let _ = sys::kill(pid, sys::SIGUSR1);
            for _ in 0..KILL_WAIT_MS {
                child.ended = sys::wait_child().filter(|e| e.pid == pid);
                if child.ended.is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            if child.ended.is_none() {
                // Stuck in a slow system call: it will not come back from that one.
                let _ = sys::kill(pid, sys::SIGKILL);
                if kind == ChildKind::Aof {
                    sys::wait_for(pid);
                    child.ended = Some(ChildExit {
                        pid,
                        code: None,
                        signal: Some(sys::SIGKILL),
                    });
                }
            }
        }
        match kind {
            ChildKind::Rdb => temp_file::remove_rdb(&mut self.aof.bio, pid),
            ChildKind::Aof => {
                temp_file::remove_aof(&mut self.aof.bio, pid);
                // Whoever ends a rewrite may want to begin another at once.
                self.check_children_done();
            }
        }
        self.exec.clock_stale = true;
    }

    /// Takes in what the child has reported (receiveChildInfo). True: it will report no more, since it has ended.
    fn receive_child_info(&mut self) -> bool {
        let Some(child) = self.persist.child.as_mut() else {
            return false;
        };
        let Some(mut pipe) = child.info.as_ref() else {
            return false;
        };
        let mut record = [0; INFO_LEN];
        loop {
            match pipe.read(&mut record) {
                Ok(INFO_LEN) => {}
                Ok(n) => return n == 0,
                Err(_) => return false,
            }
            let Some(info) = Info::decode(&record) else {
                continue;
            };
            child.cow_peak = child.cow_peak.max(info.cow);
            match info.kind {
                InfoKind::Current => {
                    child.cow_size = info.cow;
                    child.cow_updated_us = info.cow_updated_us;
                    child.keys_processed = info.keys;
                }
                InfoKind::RdbCowSize => self.persist.last_cow_size = child.cow_peak,
                InfoKind::AofCowSize => self.aof.last_cow_size = child.cow_peak,
            }
        }
    }

    /// The child has closed its end of the pipe, which is one of the last things that a process does: its end is booked now,
    /// not at the next cron, for replicas and others wait for it.
    fn reap_child_soon(&mut self) {
        let ending = self.persist.child.as_ref().map(|c| c.pid);
        for _ in 0..REAP_TRIES {
            self.check_children_done();
            if self.persist.child.as_ref().map(|c| c.pid) != ending {
                return;
            }
            std::thread::sleep(REAP_PAUSE);
        }
    }

    /// Reaps the child if it has ended (checkChildrenDone).
    pub(super) fn check_children_done(&mut self) {
        let Some(pid) = self.persist.child.as_ref().map(|c| c.pid) else {
            return;
        };
        let mut ended = self.persist.child.as_mut().and_then(|c| c.ended.take());
        if ended.is_none() {
            ended = sys::wait_child();
        }
        let Some(exit) = ended else {
            return;
        };
        if exit.pid != pid {
            if !self.ldb_remove_child(exit.pid) {
                server_log!(
                    Level::Warning,
                    "Warning, detected child with unmatched pid: {}",
                    exit.pid
                );
            }
            return;
        }
        self.receive_child_info();
        let Some(child) = self.persist.child.take() else {
            return;
        };
        if let Some(file) = child.info_file {
            self.el.remove_file(file);
        }
        if child.is_inline() {
            self.persist.inline = None;
        }
        self.update_dict_resize_policy();
        let outcome = Outcome::of(exit);
        match child.kind {
            ChildKind::Rdb => {
                let ok = match child.target {
                    RdbTarget::Disk => self.background_save_done(&child, outcome),
                    RdbTarget::Sockets => self.background_transfer_done(outcome),
                };
                self.persist.last_bgsave_seconds =
                    Some((mstime().div_euclid(1000) - child.start).max(0));
                self.update_slaves_waiting_bgsave(ok, child.target, child.nameless);
            }
            ChildKind::Aof => self.background_rewrite_done(&child, outcome),
        }
    }

    /// Books the end of a BGSAVE (backgroundSaveDoneHandlerDisk). True: the file is there. One without a name is nobody's
    /// backup: it says nothing about what is saved.
    fn background_save_done(&mut self, child: &Child, outcome: Outcome) -> bool {
        let now = mstime().div_euclid(1000);
        let is_backup = child.nameless.is_none();
        let p = &mut self.persist;
        match outcome {
            Outcome::Success => {
                server_log!(Level::Notice, "Background saving terminated with success");
                if is_backup {
                    self.dirty -= child.dirty_before;
                    p.last_save = now;
                    p.last_bgsave_failed = false;
                    p.emptied_by_sync = false;
                }
            }
            Outcome::Error => {
                server_log!(Level::Warning, "Background saving error");
                p.last_bgsave_failed |= is_backup;
            }
            Outcome::Signal(signal) => {
                server_log!(
                    Level::Warning,
                    "Background saving terminated by signal {}",
                    signal
                );
                if signal != sys::SIGUSR1 && !child.killed {
                    p.last_bgsave_failed |= is_backup;
                }
                let start = self.latency_start_monitor();
                temp_file::remove_rdb(&mut self.aof.bio, child.pid);
                self.latency_end_monitor("rdb-unlink-temp-file", start);
            }
        }
        outcome == Outcome::Success
    }

    /// The end of a child that wrote for replicas (backgroundSaveDoneHandlerSocket).
    fn background_transfer_done(&mut self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Success => server_log!(
                Level::Notice,
                "Background RDB transfer terminated with success"
            ),
            Outcome::Error => server_log!(Level::Warning, "Background transfer error"),
            Outcome::Signal(signal) => server_log!(
                Level::Warning,
                "Background transfer terminated by signal {}",
                signal
            ),
        }
        self.close_rdb_pipe();
        outcome == Outcome::Success
    }

    /// Starts a child that writes the snapshot into `pipe` and lives on until the other end of `safe_to_exit` is closed: what
    /// is in the pipe has to be passed on first (the fork of rdbSaveToSlavesSockets).
    ///
    /// # Errors
    /// The system's: no process.
    pub(crate) fn rdb_save_to_pipe(
        &mut self,
        pipe: File,
        safe_to_exit: File,
        form: SnapshotForm,
    ) -> io::Result<i32> {
        // Whichever of the two takes place has it.
        let pipe = Cell::new(Some(pipe));
        let work = |server: &mut Server, reporter: &mut Reporter| {
            // Else this process would keep itself alive.
            server.repl.rdb_pipe = None;
            let Some(pipe) = pipe.take() else {
                return false;
            };
            let saved = server.rdb_save_rio_with_eof_mark(&pipe, form, reporter);
            // The reader is to see its end.
            drop(pipe);
            let _ = (&safe_to_exit).read(&mut [0]);
            saved.is_ok()
        };
        let pid = self.fork_or_inline(
            |server| server.fork_child(ChildKind::Rdb, RdbTarget::Sockets, work),
            |server| {
                let pipe = pipe.take().ok_or(io::ErrorKind::BrokenPipe)?;
                let mark = server.random.run_id().to_vec();
                let to = GoesTo::Pipe { mark };
                server.begin_inline(ChildKind::Rdb, RdbTarget::Sockets, pipe, to, form)
            },
        )?;
        if let Some(child) = self.persist.child.as_mut() {
            child.rdb_version = form.version;
        }
        Ok(pid)
    }

    /// The part of the cron that starts saves and sees to their end; `hz` times a second.
    pub(crate) fn persistence_cron(&mut self) {
        if !self.has_active_child_process()
            && self.aof.rewrite_scheduled
            && !self.aof_rewrite_limited()
        {
            self.rewrite_append_only_file_background();
        }
        self.reap_debug_sessions();
        if self.has_active_child_process() {
            self.receive_child_info();
            self.check_children_done();
        } else {
            self.save_if_due();
            self.rewrite_if_due();
        }
        self.aof_cron();
        if self.persist.bgsave_scheduled && !self.has_active_child_process() && self.may_retry() {
            let rsi = self.rdb_populate_save_info();
            let path = super::db_path(&self.config).to_owned();
            if self.rdb_save_background(&path, rsi) {
                self.persist.bgsave_scheduled = false;
            }
        }
    }

    /// The last save succeeded, or failed long enough ago.
    fn may_retry(&self) -> bool {
        !self.persist.last_bgsave_failed
            || self.clock.unix_s - self.persist.last_bgsave_try > CONFIG_BGSAVE_RETRY_DELAY
    }

    fn save_if_due(&mut self) {
        if self.file_is_worth_more() {
            return;
        }
        let since = self.clock.unix_s - self.persist.last_save;
        let due = self
            .config
            .save
            .iter()
            .find(|p| self.dirty >= i64::from(p.changes) && since > p.seconds)
            .map(|p| (p.changes, p.seconds));
        let Some((changes, seconds)) = due else {
            return;
        };
        if !self.may_retry() {
            return;
        }
        server_log!(
            Level::Notice,
            "{} changes in {} seconds. Saving...",
            changes,
            seconds
        );
        let rsi = self.rdb_populate_save_info();
        let path = super::db_path(&self.config).to_owned();
        self.rdb_save_background(&path, rsi);
    }
}

/// The child has reported, or has ended.
fn child_has_reported(server: &mut Server, file: FileId, _: ClientData, _: Mask) {
    let mine = server.persist.child.as_ref();
    if mine.is_none_or(|c| c.info_file != Some(file)) {
        return;
    }
    server.exec.clock_stale = true;
    server.el.clear_ready(file, Mask::READABLE);
    if server.receive_child_info() {
        server.el.delete_file_event(file, Mask::READABLE);
        // What follows a child's end is not for the middle of a load.
        if server.loading.is_none() {
            server.reap_child_soon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_survive_the_pipe() {
        let (mut r, w) = sys::pipe().expect("pipe");
        let mut reporter = Reporter::new(w, ChildKind::Rdb);
        reporter.progress(7).expect("room in the pipe");
        reporter.send(InfoKind::RdbCowSize, 0).expect("room");
        let mut b = [0; INFO_LEN];
        assert_eq!(r.read(&mut b).expect("a report"), INFO_LEN);
        let first = Info::decode(&b).expect("valid");
        assert_eq!((first.kind, first.keys), (InfoKind::Current, 7));
        assert_eq!(r.read(&mut b).expect("a report"), INFO_LEN);
        assert_eq!(Info::decode(&b).expect("valid").kind, InfoKind::RdbCowSize);
        b[0] = 9;
        assert_eq!(Info::decode(&b), None);
        drop(r);
        assert!(reporter.progress(8).is_err());
    }

    #[test]
    fn a_full_pipe_is_no_error() {
        let (_r, w) = sys::pipe().expect("pipe");
        let mut reporter = Reporter::new(w, ChildKind::Aof);
        reporter.cost_us = u64::MAX / 1000;
        reporter.count = 1;
        for n in 0..10_000 {
            reporter.progress(n).expect("dropped, not failed");
        }
    }

    #[test]
    fn outcomes() {
        let exit = |code, signal| {
            Outcome::of(ChildExit {
                pid: 1,
                code,
                signal,
            })
        };
        assert_eq!(exit(Some(0), None), Outcome::Success);
        assert_eq!(exit(Some(1), None), Outcome::Error);
        assert_eq!(exit(Some(255), None), Outcome::Signal(sys::SIGUSR1));
        assert_eq!(exit(None, Some(9)), Outcome::Signal(9));
    }
}
