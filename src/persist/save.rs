//! Writing a snapshot: the records of an RDB file in upstream's order, and the file that appears under its name only when it
//! is whole and on the disk (rdbSaveRio, rdbSave of rdb.c).
//!
//! Invariant: whatever fails before the new file has its name, the file that was there stays, and the temporary one goes; what
//! has its name stays, also where the folder cannot be synced and the save counts as failed. The walk over the keys changes
//! nothing, so it runs in the server and in a forked child alike.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::child::Reporter;
use super::debug_delay;
use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::base::{alloc, sys};
use crate::server::persist::{HIDDEN_SLOTS, RdbSaveInfo, SnapshotForm};
use crate::server::process::temp_file;
use crate::server::replica::SlaveReq;
use crate::server::{REDIS_VERSION, Server};
use crate::server_log;
use crate::store::entry::keyspace::Unsaved;
use crate::store::rdb_value::{Records, rdb_save_object};
use crate::wire::rdb::{Paced, RDB_VERSION_FUNCTIONS, RdbWriter, RdbWriterOptions};
use crate::wire::replication::payload::BulkHeader;

/// Bytes written between two syncs (REDIS_AUTOSYNC_BYTES).
const AUTOSYNC_BYTES: u64 = 4 << 20;
/// Keys between two looks at the clock.
const REPORT_KEYS: u64 = 1024;
/// Milliseconds between two reports.
const REPORT_MS: i64 = 1000;

/// A file that is synced each [`AUTOSYNC_BYTES`], so that the last sync does not stall (rioSetAutoSync).
pub(super) fn autosync(file: &File) -> Autosynced<'_> {
    Paced::new(file, AUTOSYNC_BYTES, sync_written)
}

/// See [`autosync`].
pub(super) type Autosynced<'a> = Paced<&'a File, fn(&mut &'a File, u64) -> io::Result<()>>;

/// `total` bytes are written: the last stretch of them goes to the disk.
fn sync_written(file: &mut &File, total: u64) -> io::Result<()> {
    sys::sync_file_range(file, total - AUTOSYNC_BYTES, AUTOSYNC_BYTES)?;
    sys::drop_page_cache(file);
    Ok(())
}

/// Where a save failed: upstream's word for it, and the system's.
struct SaveError {
    op: &'static str,
    error: io::Error,
}

/// Names the operation that failed.
fn at(op: &'static str) -> impl Fn(io::Error) -> SaveError {
    move |error| SaveError { op, error }
}

/// What the walk over the keys carries along.
struct Walk<'a> {
    records: Records,
    delay: i32,
    calls: u64,
    keys: u64,
    reported_ms: i64,
    reporter: Option<&'a mut Reporter>,
}

impl Walk<'_> {
    /// One key with all that belongs to it (rdbSaveKeyValuePair).
    #[inline]
    fn key_value_pair<W: Write>(&mut self, w: &mut RdbWriter<W>, e: Unsaved<'_>) -> io::Result<()> {
        self.records.begin(w, &e)?;
        let before = w.bytes_written();
        rdb_save_object(w, &e)?;
        e.saved(w.bytes_written() - before);
        if self.delay != 0 {
            debug_delay(self.delay, &mut self.calls);
        }
        if sys::child_stop_asked() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.keys += 1;
        if self.keys.is_multiple_of(REPORT_KEYS) {
            self.report()?;
        }
        Ok(())
    }

    #[cold]
    fn report(&mut self) -> io::Result<()> {
        let Some(reporter) = self.reporter.as_deref_mut() else {
            return Ok(());
        };
        let now = mstime();
        if now - self.reported_ms >= REPORT_MS {
            self.reported_ms = now;
            reporter.progress(self.keys)?;
        }
        Ok(())
    }
}

impl Server {
    /// The form of a snapshot for this server's own disk.
    pub(super) fn snapshot_form(&self, rsi: Option<RdbSaveInfo>) -> SnapshotForm {
        SnapshotForm {
            version: self.config.rdb_save_version.of_files(),
            req: SlaveReq::empty(),
            rsi,
            aof_base: false,
        }
    }

    /// How the records of a snapshot that is taken now tell of the use of keys.
    pub(super) fn snapshot_records(&self) -> Records {
        Records::new(
            self.config.maxmemory_policy,
            self.clock.lru_clock,
            self.clock.lfu_minutes(),
            self.config.lfu_decay_time,
        )
    }

    /// Writes the data set as an RDB file into `sink` and flushes that (rdbSaveRio). In a child it does so once: the keys are
    /// gone then (see `Keyspace::save_each`).
    ///
    /// # Errors
    /// The sink's; `Interrupted` where the parent of this child wants it to stop.
    pub(super) fn rdb_save_rio<W: Write>(
        &mut self,
        sink: W,
        form: SnapshotForm,
        reporter: Option<&mut Reporter>,
    ) -> io::Result<()> {
        let c = &self.config;
        let mut w = RdbWriter::new(
            sink,
            RdbWriterOptions {
                version: form.version,
                compression: c.rdbcompression,
                checksum: c.rdbchecksum,
            },
        );
        w.magic()?;
        self.rdb_save_info_aux_fields(&mut w, form)?;
        self.rdb_save_functions(&mut w, form)?;
        let mut walk = Walk {
            records: self.snapshot_records(),
            delay: c.rdb_key_save_delay,
            calls: 0,
            keys: 0,
            reported_ms: mstime(),
            reporter,
        };
        for (id, db) in self.dbs.iter_mut().enumerate() {
            let keys = &mut db.keys;
            if keys.is_empty() || form.req.contains(SlaveReq::RDB_EXCLUDE_DATA) {
                continue;
            }
            w.select_db(id as u64)?;
            w.resize_db(keys.len() as u64, keys.expires_len() as u64)?;
            let mut done = Ok(());
            keys.save_each(|e| {
                if done.is_ok() {
                    done = walk.key_value_pair(&mut w, e);
                }
            });
            done?;
        }
        w.eof()
    }

    /// The function libraries (rdbSaveFunctions).
    pub(super) fn rdb_save_functions<W: Write>(
        &self,
        w: &mut RdbWriter<W>,
        form: SnapshotForm,
    ) -> io::Result<()> {
        if form.req.contains(SlaveReq::RDB_EXCLUDE_FUNCTIONS) {
            return Ok(());
        }
        let libraries = &self.scripts.libraries;
        if form.version < RDB_VERSION_FUNCTIONS && !libraries.is_empty() {
            server_log!(
                Level::Warning,
                "The function libraries are not in the snapshot: RDB version {} knows none",
                form.version
            );
            return Ok(());
        }
        libraries.iter().try_for_each(|l| w.function(&l.code))
    }

    /// The same for a stream, where nobody knows the length before: between a header that announces a random mark, and the
    /// mark (rdbSaveRioWithEOFMark).
    ///
    /// # Errors
    /// As [`Self::rdb_save_rio`].
    pub(super) fn rdb_save_rio_with_eof_mark(
        &mut self,
        mut sink: &File,
        form: SnapshotForm,
        reporter: &mut Reporter,
    ) -> io::Result<()> {
        let mark = self.random.run_id();
        sink.write_all(BulkHeader::EofMark(mark).line().as_bytes())?;
        self.rdb_save_rio(sink, form, Some(reporter))?;
        sink.write_all(&mark)
    }

    /// What the file says about itself (rdbSaveInfoAuxFields).
    pub(super) fn rdb_save_info_aux_fields<W: Write>(
        &self,
        w: &mut RdbWriter<W>,
        form: SnapshotForm,
    ) -> io::Result<()> {
        w.aux(b"redis-ver", REDIS_VERSION.as_bytes())?;
        w.aux_int(b"redis-bits", 64)?;
        w.aux_int(b"ctime", mstime().div_euclid(1000))?;
        w.aux_int(b"used-mem", alloc::used_memory() as i64)?;
        if let Some(RdbSaveInfo {
            repl_stream_db: Some(db),
        }) = form.rsi
        {
            w.aux_int(b"repl-stream-db", db as i64)?;
            w.aux(b"repl-id", &self.repl.replid)?;
            w.aux_int(b"repl-offset", self.repl.log.master_repl_offset())?;
            if self.hides_keys() {
                w.aux(HIDDEN_SLOTS.as_bytes(), self.hidden_slots_text().as_bytes())?;
            }
        }
        for script in self.scripts_of_snapshot() {
            w.aux(b"lua", script)?;
        }
        w.aux_int(b"aof-base", i64::from(form.aof_base))
    }

    /// Writes the snapshot into `path`, and it is on the disk (rdbSaveInternal).
    fn rdb_save_internal(
        &mut self,
        path: &Path,
        rsi: Option<RdbSaveInfo>,
        reporter: Option<&mut Reporter>,
    ) -> Result<(), SaveError> {
        let file = temp_file::create(path).map_err(at("fopen"))?;
        let form = self.snapshot_form(rsi);
        self.rdb_save_paced(&file, form, reporter)
            .map_err(at("rdbSaveRio"))?;
        file.sync_all().map_err(at("fsync"))?;
        sys::drop_page_cache(&file);
        Ok(())
    }

    /// Writes the snapshot into `file`, and to the disk as it goes where rdb-save-incremental-fsync says so.
    fn rdb_save_paced(
        &mut self,
        file: &File,
        form: SnapshotForm,
        reporter: Option<&mut Reporter>,
    ) -> io::Result<()> {
        if self.config.rdb_save_incremental_fsync {
            self.rdb_save_rio(autosync(file), form, reporter)
        } else {
            self.rdb_save_rio(file, form, reporter)
        }
    }

    /// Writes a snapshot that only replicas will read. It is not forced to the disk: it does not outlive this process. False:
    /// it failed, and the log says why.
    pub(super) fn rdb_save_nameless(
        &mut self,
        file: &File,
        form: SnapshotForm,
        reporter: &mut Reporter,
    ) -> bool {
        let saved = self.rdb_save_paced(file, form, Some(reporter));
        if let Err(e) = &saved
            && !sys::child_stop_asked()
        {
            server_log!(
                Level::Warning,
                "Write error while saving DB for replicas to a file without a name: {}",
                strerror(e)
            );
        }
        saved.is_ok()
    }

    /// Writes the snapshot under a temporary name, then gives it the name `path` (rdbSave, without its bookkeeping). False:
    /// it failed, and the log says why; `path` is what it was, or whole and new where only its folder could not be synced.
    pub(super) fn rdb_save_file(
        &mut self,
        path: &Path,
        rsi: Option<RdbSaveInfo>,
        reporter: Option<&mut Reporter>,
    ) -> bool {
        let temp = temp_file::rdb(std::process::id());
        if let Ok(path) = CString::new(temp.as_os_str().as_bytes()) {
            sys::set_unfinished_file(path);
        }
        let cwd = || match std::env::current_dir() {
            Ok(d) => d.display().to_string(),
            Err(_) => "unknown".into(),
        };
        if let Err(SaveError { op, error }) = self.rdb_save_internal(&temp, rsi, reporter) {
            if op == "fopen" {
                server_log!(
                    Level::Warning,
                    "Failed opening the temp RDB file {} (in server root dir {}) for saving: {}",
                    temp.display(),
                    cwd(),
                    strerror(&error)
                );
                return false;
            }
            if !sys::child_stop_asked() {
                server_log!(
                    Level::Warning,
                    "Write error while saving DB to the disk({}): {}",
                    op,
                    strerror(&error)
                );
            }
            let _ = fs::remove_file(&temp);
            return false;
        }
        if let Err(e) = fs::rename(&temp, path) {
            server_log!(
                Level::Warning,
                "Error moving temp DB file {} on the final destination {} (in server root dir {}): {}",
                temp.display(),
                path.display(),
                cwd(),
                strerror(&e)
            );
            let _ = fs::remove_file(&temp);
            return false;
        }
        if let Err(e) = sys::fsync_file_dir(path) {
            server_log!(
                Level::Warning,
                "Failed to fsync directory while saving DB: {}",
                strerror(&e)
            );
            return false;
        }
        server_log!(Level::Notice, "DB saved on disk");
        true
    }

    /// Saves here and now, while nobody is served (rdbSave). False: it failed, and the log says why.
    pub(crate) fn rdb_save(&mut self, path: &Path, rsi: Option<RdbSaveInfo>) -> bool {
        let saved = self.rdb_save_file(path, rsi, None);
        self.exec.clock_stale = true;
        if saved {
            self.dirty = 0;
            self.persist.last_save = mstime().div_euclid(1000);
            self.persist.last_bgsave_failed = false;
            self.persist.emptied_by_sync = false;
        }
        saved
    }

    /// [`Self::rdb_save`] to `dbfilename`: SAVE, the end of the process, FLUSHALL.
    pub(crate) fn rdb_save_to_dbfilename(&mut self) -> bool {
        let path = super::db_path(&self.config).to_owned();
        let rsi = self.rdb_populate_save_info();
        self.rdb_save(&path, rsi)
    }

    /// What a snapshot says about the replication stream (rdbPopulateSaveInfo). None where it is part of no stream: a master
    /// without a backlog, a replica that has never known its master.
    pub(crate) fn rdb_populate_save_info(&self) -> Option<RdbSaveInfo> {
        let repl = &self.repl;
        let db = if repl.master_host.is_none() && repl.log.backlog_active() {
            // Nothing selected yet: the next write sends a SELECT whatever is taken for selected.
            repl.slave_seldb.unwrap_or(0)
        } else if let Some(master) = repl.link.client().and_then(|m| self.clients.get(m)) {
            master.db
        } else {
            // Cut off from the master: the offset has not moved since.
            repl.cached_master.as_ref()?.db
        };
        Some(RdbSaveInfo {
            repl_stream_db: Some(db),
        })
    }
}
