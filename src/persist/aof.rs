//! The append-only file's files while the server runs: written, synced, switched on and off, their manifest replaced, what
//! is superfluous removed (flushAppendOnlyFile, startAppendOnly, stopAppendOnly, the manifest half of aof.c).
//!
//! Invariants: the manifest on the disk names a set of files that, loaded in order, is the data set; it is replaced whole,
//! and the folder is synced before anything that it does not name any more is removed. While that sync fails, the manifest
//! in place and the one before both name whole data sets: after a power loss either may be there. A write that fails leaves its bytes in the buffer
//! and no part of them in the file, or is cut from the buffer exactly as far as it got.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::log::Level;
use crate::base::sys::{self, path_of, strerror};
use crate::config::value::AppendFsync;
use crate::server::Server;
use crate::server::aof::AofState;
use crate::server::persist::ChildKind;
use crate::server_log;
use crate::wire::aof::{
    AofManifest, ManifestError, manifest_file_name, temp_incr_file_name, temp_manifest_file_name,
};

/// Seconds between two log lines about writes that fail (AOF_WRITE_LOG_ERROR_RATE).
const AOF_WRITE_LOG_ERROR_RATE: i64 = 30;
/// Seconds for which a write waits for a slow sync.
const POSTPONE_MAX: i64 = 2;
/// Seconds between two tries to sync the folder.
const FOLDER_SYNC_RETRY: i64 = 1;
/// Bytes of what has waited for a sync that are written in one turn, at the least, and which part of it.
const WRITE_PIECE: usize = 512 * 1024;
const WRITE_PART: usize = 32;
/// A buffer larger than this is given back after a write.
const KEEP_BUFFER: usize = 64 * 1024;

/// How the replacing of a manifest came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ManifestWritten {
    /// It is in place and on the disk.
    Synced,
    /// It is in place, and what it names must stay; so must what the one before names, which a power loss may bring back.
    Unsynced,
    /// The one before is in place.
    No,
}

/// Says what is wrong with a manifest, as the loader and `redis-check-aof` do.
pub(super) fn log_manifest_error(e: &ManifestError) {
    server_log!(Level::Warning, "\n*** FATAL AOF MANIFEST FILE ERROR ***\n");
    if e.line > 0 {
        server_log!(
            Level::Warning,
            "Reading the manifest file, at line {}\n",
            e.line
        );
        server_log!(
            Level::Warning,
            ">>> '{}'\n",
            String::from_utf8_lossy(&e.text)
        );
    }
    server_log!(Level::Warning, "{}\n", e.reason);
}

impl Server {
    /// A file of the append-only folder.
    pub(super) fn aof_path(&self, name: &[u8]) -> PathBuf {
        path_of(&self.config.appenddirname).join(path_of(name))
    }

    /// Makes the append-only folder (dirCreateIfMissing). False: it cannot be made, and the log says why.
    pub(super) fn create_append_only_dir(&self) -> bool {
        let dir = path_of(&self.config.appenddirname);
        match fs::create_dir(&dir) {
            Ok(()) => match sys::fsync_file_dir(&dir) {
                Ok(()) => true,
                Err(e) => {
                    server_log!(
                        Level::Warning,
                        "Fail to fsync the folder of {}: {}",
                        dir.display(),
                        strerror(&e)
                    );
                    // Whoever finds it there takes it for lasting.
                    let _ = fs::remove_dir(&dir);
                    false
                }
            },
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => {
                server_log!(
                    Level::Warning,
                    "Can't open or create append-only dir {}: {}",
                    dir.display(),
                    strerror(&e)
                );
                false
            }
            _ => true,
        }
    }

    /// Writes the manifest, and it is on the disk (persistAofManifest). What fails is in the log.
    pub(super) fn persist_aof_manifest(&mut self, m: &mut AofManifest) -> ManifestWritten {
        if !m.dirty {
            return ManifestWritten::Synced;
        }
        let temp = self.aof_path(&temp_manifest_file_name(&self.config.appendfilename));
        let path = self.aof_path(&manifest_file_name(&self.config.appendfilename));
        let name = |p: &Path| {
            p.file_name()
                .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
        };
        let fail = |text: String| {
            server_log!(Level::Warning, "{}", text);
            ManifestWritten::No
        };
        let mut file = match File::create(&temp) {
            Ok(f) => f,
            Err(e) => {
                return fail(format!(
                    "Can't open the AOF manifest file {}: {}",
                    name(&temp),
                    strerror(&e)
                ));
            }
        };
        if let Err(e) = file.write_all(&m.to_bytes()) {
            return fail(format!(
                "Error trying to write the temporary AOF manifest file {}: {}",
                name(&temp),
                strerror(&e)
            ));
        }
        if let Err(e) = file.sync_all() {
            return fail(format!(
                "Fail to fsync the temp AOF file {}: {}.",
                name(&temp),
                strerror(&e)
            ));
        }
        if let Err(e) = fs::rename(&temp, &path) {
            return fail(format!(
                "Error trying to rename the temporary AOF manifest file {} into {}: {}",
                name(&temp),
                name(&path),
                strerror(&e)
            ));
        }
        m.dirty = false;
        self.aof.folder_unsynced = true;
        self.aof.folder_sync_error_log = 0;
        if self.sync_aof_folder() {
            ManifestWritten::Synced
        } else {
            ManifestWritten::Unsynced
        }
    }

    /// Makes the manifest in place last. False: the log says why, from time to time.
    fn sync_aof_folder(&mut self) -> bool {
        let path = self.aof_path(&manifest_file_name(&self.config.appendfilename));
        let now = self.clock.unix_s;
        self.aof.folder_sync_try = now;
        let Err(e) = sys::fsync_file_dir(&path) else {
            self.aof.folder_unsynced = false;
            return true;
        };
        if now - self.aof.folder_sync_error_log > AOF_WRITE_LOG_ERROR_RATE {
            self.aof.folder_sync_error_log = now;
            server_log!(
                Level::Warning,
                "Fail to fsync AOF directory {}: {}.",
                path.display(),
                strerror(&e)
            );
        }
        false
    }

    /// Once a second the folder that could not be synced is tried again; then what was kept for its sake goes.
    fn retry_aof_folder(&mut self) {
        if self.clock.unix_s - self.aof.folder_sync_try >= FOLDER_SYNC_RETRY
            && self.sync_aof_folder()
        {
            if self.aof.folder_sync_error_log != 0 {
                server_log!(Level::Notice, "The AOF directory is synced again.");
            }
            self.aof_del_history_files();
        }
    }

    /// Reads the manifest at the start (aofLoadManifestFromDisk). A manifest that cannot be read ends the process.
    pub(crate) fn aof_load_manifest_from_disk(&mut self) {
        self.aof.manifest = AofManifest::default();
        let dir = path_of(&self.config.appenddirname);
        if !dir.is_dir() {
            server_log!(
                Level::Debug,
                "The AOF directory {} doesn't exist",
                dir.display()
            );
            return;
        }
        let path = self.aof_path(&manifest_file_name(&self.config.appendfilename));
        let text = match fs::read(&path) {
            Ok(t) => t,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                server_log!(
                    Level::Debug,
                    "The AOF manifest file {} doesn't exist",
                    path.display()
                );
                return;
            }
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Fatal error: can't open the AOF manifest file {} for reading: {}",
                    path.display(),
                    strerror(&e)
                );
                self.exit(1);
            }
        };
        match AofManifest::parse(&text) {
            Ok(m) => {
                // Whether it was synced before its writer ended, nobody knows; it matters where something is to be removed.
                self.aof.folder_unsynced = !m.history.is_empty();
                self.aof.manifest = m;
            }
            Err(e) => {
                log_manifest_error(&e);
                self.exit(1);
            }
        }
    }

    /// Opens the increment that is written to, after the load at the start (aofOpenIfNeededOnServerStart). A data set that
    /// has no files yet gets a base first. What cannot be written ends the process.
    pub(crate) fn aof_open_if_needed_on_server_start(&mut self) {
        if self.aof.state != AofState::On {
            return;
        }
        if !self.create_append_only_dir() {
            self.exit(1);
        }
        let mut m = self.aof.manifest.clone();
        let had_incr = !m.incr.is_empty();
        if m.base.is_none() && !had_incr {
            let rdb = self.config.aof_use_rdb_preamble;
            let name = m.new_base(&self.config.appendfilename, rdb);
            let path = self.aof_path(&name);
            if !self.rewrite_append_only_file(&path, None) {
                self.exit(1);
            }
            server_log!(
                Level::Notice,
                "Creating AOF base file {} on server start",
                String::from_utf8_lossy(&name)
            );
        }
        let name = m.last_incr(&self.config.appendfilename);
        let shown = String::from_utf8_lossy(&name).into_owned();
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.aof_path(&name))
            .and_then(|f| {
                let len = f.metadata()?.len();
                Ok((f, len))
            });
        let (file, len) = match opened {
            Ok(o) => o,
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Can't open the append-only file {}: {}",
                    shown,
                    strerror(&e)
                );
                self.exit(1);
            }
        };
        if self.persist_aof_manifest(&mut m) != ManifestWritten::Synced {
            self.exit(1);
        }
        self.aof.manifest = m;
        self.aof.begin_incr(file, len);
        let verb = if had_incr { "Opening" } else { "Creating" };
        server_log!(
            Level::Notice,
            "{} AOF incr file {} on server start",
            verb,
            shown
        );
    }

    /// The bytes of a part; 0 and a log line when they cannot be told (getAppendOnlyFileSize).
    pub(super) fn append_only_file_size(&mut self, name: &[u8]) -> u64 {
        let start = self.latency_start_monitor();
        let size = fs::metadata(self.aof_path(name)).map(|m| m.len());
        self.latency_end_monitor("aof-fstat", start);
        size.unwrap_or_else(|e| {
            server_log!(
                Level::Warning,
                "Unable to obtain the AOF file {} length. stat: {}",
                String::from_utf8_lossy(name),
                strerror(&e)
            );
            0
        })
    }

    /// Writes what has been propagated, and syncs as `appendfsync` says (flushAppendOnlyFile). Called before replies are
    /// written. With `force` a slow sync in the background is not waited for.
    pub(crate) fn flush_append_only_file(&mut self, force: bool) {
        if self.aof.is_off() {
            return;
        }
        let policy = self.config.appendfsync;
        if self.config.aof_replication_state {
            self.annotate_replication_state();
        }
        if self.aof.buf.is_empty() {
            // A sync that failed is tried again: writes are refused until one succeeds, so none will bring one about.
            let unsynced = self.aof.last_incr_fsync_offset != self.aof.last_incr_size
                || self.aof.bio.error().is_some();
            let due = match policy {
                AppendFsync::EverySec => {
                    self.clock.unix_s > self.aof.last_fsync && self.aof.bio.syncing() == 0
                }
                AppendFsync::Always => true,
                AppendFsync::No => false,
            };
            if unsynced && due {
                self.sync_append_only_file(false);
            } else if !unsynced
                && self.aof.state == AofState::On
                && self.aof.bio.is_idle()
                && self.aof.bio.error().is_none()
            {
                // What the stream has gained since the last sync (a PING, a PUBLISH) is not in this file.
                self.aof.bio.set_mark(self.repl.log.master_repl_offset());
            }
            return;
        }
        let syncing = policy == AppendFsync::EverySec && self.aof.bio.syncing() > 0;
        if syncing && !force && self.aof.written_front == 0 {
            let now = self.clock.unix_s;
            if self.aof.flush_postponed_start == 0 {
                self.aof.flush_postponed_start = now;
                return;
            }
            if now - self.aof.flush_postponed_start < POSTPONE_MAX {
                return;
            }
            self.aof.delayed_fsync += 1;
            server_log!(
                Level::Notice,
                "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync \
                 to complete, this may slow down Redis."
            );
        }
        if self.aof.flush_sleep_us > 0 {
            std::thread::sleep(Duration::from_micros(self.aof.flush_sleep_us));
        }
        // What has waited for seconds is written by pieces: its replies have left long ago.
        let waited = self.aof.flush_postponed_start != 0 && policy == AppendFsync::EverySec;
        let most = match waited && !force {
            true => WRITE_PIECE.max(self.aof.unwritten() / WRITE_PART),
            false => usize::MAX,
        };
        let start = self.latency_start_monitor();
        let (written, error) = self.write_append_only_file(most);
        let event = if syncing {
            "aof-write-pending-fsync"
        } else if self.has_active_child_process() {
            "aof-write-active-child"
        } else {
            "aof-write-alone"
        };
        self.latency_end_monitor(event, start);
        self.latency_end_monitor("aof-write", start);
        if let Some(error) = error {
            self.aof.flush_postponed_start = 0;
            return self.append_only_write_failed(written, &error);
        }
        if self.aof.last_write_errno.take().is_some() {
            server_log!(
                Level::Notice,
                "AOF write error looks solved, Redis can write again."
            );
        }
        self.aof.current_size += written as u64;
        self.aof.last_incr_size += written as u64;
        self.aof.written_front += written;
        if self.aof.unwritten() > 0 {
            // A sync would tell of more than is there: it comes when all is written.
            return self.el.set_dont_wait(true);
        }
        self.aof.flush_postponed_start = 0;
        self.aof.written_front = 0;
        if self.aof.buf.capacity() > KEEP_BUFFER {
            self.aof.buf = Vec::new();
        } else {
            self.aof.buf.clear();
        }
        self.sync_append_only_file(syncing);
    }

    /// Says where the commands so far stand in the replication stream, if that has moved (aof-replication-state). All that is
    /// in the stream up to this moment has been fed here too, and nothing else; so whoever loads the file up to this line
    /// stands exactly there.
    fn annotate_replication_state(&mut self) {
        if self.aof.file.is_none() {
            return;
        }
        let Some(mark) = self.replication_mark() else {
            return;
        };
        if self.aof.annotated != Some(mark) {
            mark.annotation(self.aof.annotated.as_ref(), &mut self.aof.buf);
            self.aof.annotated = Some(mark);
        }
    }

    /// Hands the buffer to the kernel, or so many bytes of it: how much it took, and why not all (aofWrite).
    fn write_append_only_file(&mut self, most: usize) -> (usize, Option<io::Error>) {
        let front = self.aof.written_front;
        let Some(file) = self.aof.file.as_mut() else {
            // Propagated before there was a file: the snapshot of the rewrite has it.
            return (self.aof.unwritten(), None);
        };
        let bytes = &self.aof.buf[front..];
        let bytes = &bytes[..bytes.len().min(most)];
        let mut done = 0;
        while done < bytes.len() {
            match file.write(&bytes[done..]) {
                Ok(0) => return (done, Some(io::ErrorKind::WriteZero.into())),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return (done, Some(e)),
            }
        }
        (done, None)
    }

    /// A write failed after `written` bytes: they are taken back, or else remembered, and no write command is accepted until
    /// one succeeds again. Under `appendfsync always` there is no going on: replies that promise the disk are on their way.
    #[cold]
    fn append_only_write_failed(&mut self, mut written: usize, error: &io::Error) {
        let now = self.clock.unix_s;
        let can_log = now - self.aof.last_write_error_log > AOF_WRITE_LOG_ERROR_RATE;
        if can_log {
            self.aof.last_write_error_log = now;
        }
        if written == 0 {
            if can_log {
                server_log!(
                    Level::Warning,
                    "Error writing to the AOF file: {}",
                    strerror(error)
                );
            }
            self.aof.last_write_errno = Some(error.raw_os_error().unwrap_or(libc::EIO));
        } else {
            if can_log {
                server_log!(
                    Level::Warning,
                    "Short write while writing to the AOF file: (nwritten={}, expected={})",
                    written,
                    self.aof.unwritten()
                );
            }
            let size = self.aof.last_incr_size;
            match self.aof.file.as_ref().map(|f| f.set_len(size)) {
                Some(Err(e)) => {
                    if can_log {
                        server_log!(
                            Level::Warning,
                            "Could not remove short write from the append-only file.  Redis may refuse to load the AOF the \
                             next time it starts.  ftruncate: {}",
                            strerror(&e)
                        );
                    }
                }
                _ => written = 0,
            }
            self.aof.last_write_errno = Some(libc::ENOSPC);
        }
        if self.config.appendfsync == AppendFsync::Always {
            server_log!(
                Level::Warning,
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."
            );
            self.exit(1);
        }
        self.aof.current_size += written as u64;
        self.aof.last_incr_size += written as u64;
        let gone = std::mem::take(&mut self.aof.written_front) + written;
        self.aof.buf.drain(..gone);
    }

    /// Syncs what is written, when the policy wants it now.
    fn sync_append_only_file(&mut self, syncing: bool) {
        if self.config.no_appendfsync_on_rewrite && self.has_active_child_process() {
            return;
        }
        let mark = self.repl.log.master_repl_offset();
        match self.config.appendfsync {
            AppendFsync::Always => {
                let start = self.latency_start_monitor();
                if let Some(Err(e)) = self.aof.file.as_ref().map(File::sync_data) {
                    server_log!(
                        Level::Warning,
                        "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {}. Exiting...",
                        strerror(&e)
                    );
                    self.exit(1);
                }
                self.latency_end_monitor("aof-fsync-always", start);
                self.aof.last_incr_fsync_offset = self.aof.last_incr_size;
                self.aof.last_fsync = self.clock.unix_s;
                self.aof.bio.set_mark(mark);
            }
            AppendFsync::EverySec if self.clock.unix_s > self.aof.last_fsync => {
                if !syncing && let Some(Ok(file)) = self.aof.file.as_ref().map(File::try_clone) {
                    self.aof.bio.sync(file, mark);
                    self.aof.last_incr_fsync_offset = self.aof.last_incr_size;
                }
                self.aof.last_fsync = self.clock.unix_s;
            }
            AppendFsync::EverySec | AppendFsync::No => {}
        }
    }

    /// `appendfsync` has changed (updateAppendFsync): where the loop itself syncs from now on, no older mark may follow.
    pub(crate) fn update_append_fsync(&mut self) {
        if self.config.appendfsync == AppendFsync::Always {
            self.aof.bio.drain();
        }
    }

    /// What the cron does: writes that wait for a sync, or failed, are tried again.
    pub(super) fn aof_cron(&mut self) {
        if self.aof.is_off() {
            return;
        }
        if self.aof.folder_unsynced {
            self.retry_aof_folder();
        }
        if self.aof.flush_postponed_start != 0 || self.aof.last_write_errno.is_some() {
            self.flush_append_only_file(false);
        }
    }

    /// `appendonly` was switched on: a base is made in the background, and what is written meanwhile is kept
    /// (startAppendOnly). False: it cannot be, the log says why, and it stays off.
    pub(crate) fn start_append_only(&mut self) -> bool {
        debug_assert!(self.aof.is_off());
        self.aof.state = AofState::WaitRewrite;
        let child = self.persist.child.as_ref().map(|c| c.kind);
        if child.is_some_and(|k| k != ChildKind::Aof) {
            self.aof.rewrite_scheduled = true;
            server_log!(
                Level::Notice,
                "AOF was enabled but there is already another background operation. An AOF background was scheduled to start \
                 when possible."
            );
        } else if self.exec.call.in_exec {
            self.aof.rewrite_scheduled = true;
            server_log!(
                Level::Notice,
                "AOF was enabled during a transaction. An AOF background was scheduled to start when possible."
            );
        } else {
            if child == Some(ChildKind::Aof) {
                server_log!(
                    Level::Notice,
                    "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and \
                     starting a rewrite now."
                );
                // That one began without keeping what came after it.
                self.kill_append_only_child();
            }
            if !self.rewrite_append_only_file_background() {
                self.aof.state = AofState::Off;
                server_log!(
                    Level::Warning,
                    "Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs \
                     for more info about the error."
                );
                return false;
            }
        }
        self.aof.last_fsync = self.clock.unix_s;
        if self.aof.bio.error().is_some() {
            server_log!(
                Level::Warning,
                "AOF reopen, just ignore the AOF fsync error in bio job"
            );
            self.aof.bio.clear_error();
        }
        if self.aof.last_write_errno.take().is_some() {
            server_log!(Level::Warning, "AOF reopen, just ignore the last error.");
        }
        true
    }

    /// `appendonly` was switched off: all is written and synced, and nothing more is (stopAppendOnly).
    pub(crate) fn stop_append_only(&mut self) {
        debug_assert!(!self.aof.is_off());
        self.flush_append_only_file(true);
        match self.aof.file.as_ref().map(File::sync_data) {
            Some(Err(e)) => server_log!(
                Level::Warning,
                "Fail to fsync the AOF file: {}",
                strerror(&e)
            ),
            _ => self.aof.last_fsync = self.clock.unix_s,
        }
        self.aof.file = None;
        self.aof.selected_db = None;
        self.aof.state = AofState::Off;
        self.aof.rewrite_scheduled = false;
        self.aof.last_incr_size = 0;
        self.aof.last_incr_fsync_offset = 0;
        self.aof.fsynced_reploff = -1;
        self.aof.bio.set_mark(0);
        self.kill_append_only_child();
        self.aof.drop_buffer();
    }

    /// CONFIG SET appendonly.
    ///
    /// # Errors
    /// The text for the client.
    pub(crate) fn update_append_only(&mut self) -> Result<(), String> {
        if self.config.appendonly && self.aof.is_off() {
            if !self.start_append_only() {
                return Err("Unable to turn on AOF. Check server logs.".into());
            }
        } else if !self.config.appendonly && !self.aof.is_off() {
            self.stop_append_only();
        }
        Ok(())
    }

    /// The end of the process is near: everything goes to the disk.
    pub(crate) fn finish_append_only_file(&mut self) {
        if self.aof.is_off() {
            return;
        }
        server_log!(Level::Notice, "Calling fsync() on the AOF file.");
        self.flush_append_only_file(true);
        if let Some(Err(e)) = self.aof.file.as_ref().map(File::sync_data) {
            server_log!(
                Level::Warning,
                "Fail to fsync the AOF file: {}.",
                strerror(&e)
            );
        }
    }

    /// Removes what a rewrite has made superfluous (aofDelHistoryFiles), unless a power loss may make it the data set again.
    pub(crate) fn aof_del_history_files(&mut self) {
        if self.config.aof_disable_auto_gc || self.aof.manifest.history.is_empty() {
            return;
        }
        if self.aof.folder_unsynced && !self.sync_aof_folder() {
            return;
        }
        for info in std::mem::take(&mut self.aof.manifest.history) {
            server_log!(
                Level::Notice,
                "Removing the history file {} in the background",
                String::from_utf8_lossy(&info.file_name)
            );
            let path = self.aof_path(&info.file_name);
            self.aof.bio.unlink(&path);
        }
        let mut m = std::mem::take(&mut self.aof.manifest);
        m.dirty = true;
        self.persist_aof_manifest(&mut m);
        self.aof.manifest = m;
    }

    /// Removes the increment of a first rewrite that failed (aofDelTempIncrAofFile).
    pub(super) fn aof_del_temp_incr_file(&mut self) {
        let name = temp_incr_file_name(&self.config.appendfilename);
        server_log!(
            Level::Notice,
            "Removing the temp incr aof file {} in the background",
            String::from_utf8_lossy(&name)
        );
        let path = self.aof_path(&name);
        self.aof.bio.unlink(&path);
    }
}
