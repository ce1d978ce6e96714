//! Rewriting the append-only file: a new base, made by a child, that replaces base and increments so far (the rewrite half
//! of aof.c).
//!
//! Before the child is forked a new increment is opened, so what the child does not see is in there; when it succeeds the
//! manifest names its base and that increment, and what was before becomes history. A rewrite that fails costs nothing but
//! the increment more.
//!
//! Invariant: once the manifest is in place, what it names stays, whether or not the folder could be synced.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::aof::ManifestWritten;
use super::child::{Outcome, Reporter};
use super::save::autosync;
use crate::base::clock::{monotonic_us, mstime};
use crate::base::log::Level;
use crate::base::sys::{self, strerror};
use crate::server::Server;
use crate::server::aof::AofState;
use crate::server::persist::{Child, ChildKind, RdbTarget, SnapshotForm};
use crate::server::process::temp_file;
use crate::server::snapshot::GoesTo;
use crate::server_log;
use crate::store::rewrite::rewrite_object;
use crate::wire::aof::{temp_incr_file_name, timestamp_annotation};
use crate::wire::resp;

/// Failures in a row after which rewrites wait (AOF_REWRITE_LIMITE_THRESHOLD).
const AOF_REWRITE_LIMITE_THRESHOLD: u64 = 3;
/// The longest wait, in minutes (AOF_REWRITE_LIMITE_MAX_MINUTES).
const AOF_REWRITE_LIMITE_MAX_MINUTES: i64 = 60;
/// Bytes that are gathered before a write.
const WRITE_BUFFER: usize = 256 * 1024;

/// A writer that counts what went through it.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.bytes += buf.len() as u64;
        self.inner.write_all(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Server {
    /// Writes a base: an RDB file, or the commands that make the data set (rewriteAppendOnlyFile). False: it failed, and the
    /// log says why.
    pub(super) fn rewrite_append_only_file(
        &mut self,
        path: &Path,
        reporter: Option<&mut Reporter>,
    ) -> bool {
        let temp = temp_file::aof(std::process::id());
        let file = match temp_file::create(&temp) {
            Ok(f) => f,
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Opening the temp file for AOF rewrite in rewriteAppendOnlyFile(): {}",
                    strerror(&e)
                );
                return false;
            }
        };
        let written = if self.config.aof_rewrite_incremental_fsync {
            self.write_base(autosync(&file), reporter)
        } else {
            self.write_base(&file, reporter)
        };
        if let Err(e) = written.and_then(|()| file.sync_all()) {
            if !sys::child_stop_asked() {
                server_log!(
                    Level::Warning,
                    "Write error writing append only file on disk: {}",
                    strerror(&e)
                );
            }
            let _ = fs::remove_file(&temp);
            return false;
        }
        sys::drop_page_cache(&file);
        if let Err(e) = fs::rename(&temp, path) {
            server_log!(
                Level::Warning,
                "Error moving temp append only file on the final destination: {}",
                strerror(&e)
            );
            let _ = fs::remove_file(&temp);
            return false;
        }
        true
    }

    fn write_base<W: Write>(&mut self, sink: W, reporter: Option<&mut Reporter>) -> io::Result<()> {
        if self.config.aof_use_rdb_preamble {
            let form = SnapshotForm {
                aof_base: true,
                ..self.snapshot_form(None)
            };
            return self.rdb_save_rio(sink, form, reporter);
        }
        let mut w = Counted {
            inner: BufWriter::with_capacity(WRITE_BUFFER, sink),
            bytes: 0,
        };
        self.rewrite_append_only_file_rio(&mut w, reporter)?;
        w.flush()
    }

    /// The commands that make the data set (rewriteAppendOnlyFileRio).
    fn rewrite_append_only_file_rio<W: Write>(
        &mut self,
        w: &mut Counted<W>,
        mut reporter: Option<&mut Reporter>,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        if self.config.aof_timestamp_enabled {
            timestamp_annotation(&mut line, mstime().div_euclid(1000));
            w.write_all(&line)?;
        }
        for library in self.scripts.libraries.iter() {
            line.clear();
            let words: [&[u8]; 3] = [b"FUNCTION", b"LOAD", &library.code];
            resp::push_command(&mut line, words.into_iter());
            w.write_all(&line)?;
        }
        let (mut keys, mut delays, mut reported) = (0u64, 0, mstime());
        for (id, db) in self.dbs.iter_mut().enumerate() {
            if db.keys.is_empty() {
                continue;
            }
            line.clear();
            let mut n = itoa::Buffer::new();
            let select: [&[u8]; 2] = [b"SELECT", n.format(id).as_bytes()];
            resp::push_command(&mut line, select.into_iter());
            w.write_all(&line)?;
            let mut done = Ok(());
            db.keys.save_each(|e| {
                if done.is_err() {
                    return;
                }
                if sys::child_stop_asked() {
                    done = Err(io::ErrorKind::Interrupted.into());
                    return;
                }
                line.clear();
                let before = w.bytes;
                done = rewrite_object(w, &e);
                let value_bytes = w.bytes - before;
                if let (Ok(()), Some(at)) = (&done, e.expire()) {
                    let mut n = itoa::Buffer::new();
                    let words: [&[u8]; 3] = [b"PEXPIREAT", e.name(), n.format(at).as_bytes()];
                    resp::push_command(&mut line, words.into_iter());
                    done = w.write_all(&line);
                }
                e.saved(value_bytes);
                keys += 1;
                if self.config.rdb_key_save_delay != 0 {
                    super::debug_delay(self.config.rdb_key_save_delay, &mut delays);
                }
                if keys.is_multiple_of(1024)
                    && let Some(r) = reporter.as_deref_mut()
                    && mstime() - reported >= 1000
                    && done.is_ok()
                {
                    reported = mstime();
                    done = r.progress(keys);
                }
            });
            done?;
        }
        Ok(())
    }

    /// Opens the increment that takes what comes after the fork (openNewIncrAofForAppend). False: it failed, and the log says
    /// why.
    fn open_new_incr_aof_for_append(&mut self) -> bool {
        if self.aof.is_off() {
            return true;
        }
        let first = self.aof.state == AofState::WaitRewrite;
        let mut m = self.aof.manifest.clone();
        let name = if first {
            temp_incr_file_name(&self.config.appendfilename)
        } else {
            m.new_incr(&self.config.appendfilename)
        };
        let shown = String::from_utf8_lossy(&name).into_owned();
        let file = match File::create(self.aof_path(&name)) {
            Ok(f) => f,
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Can't open the append-only file {}: {}",
                    shown,
                    strerror(&e)
                );
                return false;
            }
        };
        if !first {
            match self.persist_aof_manifest(&mut m) {
                ManifestWritten::Synced => {}
                ManifestWritten::Unsynced => {
                    // What is written goes on into the increment that both manifests name; where it is the last one, a cut
                    // end of it is no fault. The empty one stays, for a power loss may leave either manifest.
                    let mut before = std::mem::take(&mut self.aof.manifest);
                    before.dirty = true;
                    self.persist_aof_manifest(&mut before);
                    self.aof.manifest = before;
                    return false;
                }
                ManifestWritten::No => return false,
            }
        }
        server_log!(
            Level::Notice,
            "Creating AOF incr file {} on background rewrite",
            shown
        );
        if let Some(old) = self.aof.file.take() {
            let mark = self.repl.log.master_repl_offset();
            self.aof.bio.sync_and_close(old, mark);
            self.aof.last_fsync = self.clock.unix_s;
        }
        self.aof.begin_incr(file, 0);
        if !first {
            self.aof.manifest = m;
        }
        true
    }

    /// Starts a rewrite in a child (rewriteAppendOnlyFileBackground). False: a child runs already, or it failed and the log
    /// says why.
    pub(crate) fn rewrite_append_only_file_background(&mut self) -> bool {
        if self.has_active_child_process() {
            return false;
        }
        if !self.create_append_only_dir() {
            self.aof.last_rewrite_failed = true;
            return false;
        }
        self.replication_script_cache_flush();
        // The next command says which database it is for, since it opens a file.
        self.aof.selected_db = None;
        self.flush_append_only_file(true);
        if !self.aof.is_off() && !self.aof.buf.is_empty() && self.aof.file.is_some() {
            // The snapshot would have what these commands did, and the new increment would do it again.
            server_log!(
                Level::Warning,
                "Can't rewrite append only file in background: what was written before is not on the disk yet."
            );
            self.aof.last_rewrite_failed = true;
            // The cron would ask again, and log again, ten times a second.
            self.aof.consecutive_failures += 1;
            return false;
        }
        if !self.open_new_incr_aof_for_append() {
            self.aof.last_rewrite_failed = true;
            return false;
        }
        if self.aof.state == AofState::WaitRewrite {
            // Marks of the file before must not be taken for this one's.
            self.aof.bio.drain();
            self.aof.bio.set_mark(self.repl.log.master_repl_offset());
            self.aof.fsynced_reploff = 0;
        }
        self.aof.rewrites += 1;
        let fork = |server: &mut Server| {
            server.fork_child(ChildKind::Aof, RdbTarget::Disk, |server, reporter| {
                let path = temp_file::aof_background(std::process::id());
                let ok = server.rewrite_append_only_file(&path, Some(reporter));
                if ok {
                    server_log!(
                        Level::Notice,
                        "Successfully created the temporary AOF base file {}",
                        path.display()
                    );
                }
                ok
            })
        };
        let forked = match self.config.aof_use_rdb_preamble {
            true => self.fork_or_inline(fork, Server::begin_inline_base),
            false => fork(self),
        };
        match forked {
            Ok(pid) => {
                server_log!(
                    Level::Notice,
                    "Background append only file rewriting started by pid {}",
                    pid
                );
                self.aof.rewrite_scheduled = false;
                self.aof.rewrite_time_start = Some(mstime().div_euclid(1000));
                true
            }
            Err(e) => {
                self.aof.last_rewrite_failed = true;
                server_log!(
                    Level::Warning,
                    "Can't rewrite append only file in background: {}",
                    strerror(&e)
                );
                false
            }
        }
    }

    /// Begins a base that is made in the loop.
    fn begin_inline_base(&mut self) -> io::Result<i32> {
        let pid = std::process::id();
        let temp = temp_file::aof(pid);
        let path = temp_file::aof_background(pid);
        let file = temp_file::create(&temp)?;
        let form = SnapshotForm {
            aof_base: true,
            ..self.snapshot_form(None)
        };
        let to = GoesTo::AofBase { temp, path };
        self.begin_inline(ChildKind::Aof, RdbTarget::Disk, file, to, form)
    }

    /// Ends a rewrite that runs (killAppendOnlyChild).
    pub(crate) fn kill_append_only_child(&mut self) {
        let child = self.persist.child.as_ref();
        let Some(pid) = child.filter(|c| c.kind == ChildKind::Aof).map(|c| c.pid) else {
            return;
        };
        server_log!(Level::Notice, "Killing running AOF rewrite child: {}", pid);
        self.kill_child(ChildKind::Aof);
        self.aof.rewrite_time_start = None;
    }

    /// Books the end of a rewrite (backgroundRewriteDoneHandler).
    pub(super) fn background_rewrite_done(&mut self, child: &Child, outcome: Outcome) {
        match outcome {
            Outcome::Success if !child.killed => {
                server_log!(
                    Level::Notice,
                    "Background AOF rewrite terminated with success"
                );
                let start = monotonic_us();
                let installed = self.install_base(child.pid);
                if installed != ManifestWritten::No && self.aof.state == AofState::WaitRewrite {
                    self.aof.state = AofState::On;
                }
                if installed == ManifestWritten::Synced {
                    self.aof.last_rewrite_failed = false;
                    self.aof.consecutive_failures = 0;
                    server_log!(
                        Level::Notice,
                        "Background AOF rewrite finished successfully"
                    );
                    server_log!(
                        Level::Verbose,
                        "Background AOF rewrite signal handler took {}us",
                        monotonic_us().saturating_sub(start)
                    );
                } else {
                    self.aof.last_rewrite_failed = true;
                    self.aof.consecutive_failures += 1;
                    if installed == ManifestWritten::Unsynced {
                        server_log!(
                            Level::Warning,
                            "The rewritten AOF is in use. The files before it are kept until the AOF directory can be synced."
                        );
                    }
                }
            }
            Outcome::Error if !child.killed => {
                self.aof.last_rewrite_failed = true;
                self.aof.consecutive_failures += 1;
                server_log!(
                    Level::Warning,
                    "Background AOF rewrite terminated with error"
                );
            }
            Outcome::Success | Outcome::Error | Outcome::Signal(_) => {
                let signal = match outcome {
                    Outcome::Signal(s) => s,
                    _ => sys::SIGUSR1,
                };
                if signal != sys::SIGUSR1 && !child.killed {
                    self.aof.last_rewrite_failed = true;
                    self.aof.consecutive_failures += 1;
                }
                server_log!(
                    Level::Warning,
                    "Background AOF rewrite terminated by signal {}",
                    signal
                );
            }
        }
        temp_file::remove_aof(&mut self.aof.bio, child.pid);
        if self.aof.state == AofState::WaitRewrite {
            self.aof.drop_buffer();
            self.aof.file = None;
            self.aof_del_temp_incr_file();
            self.aof.rewrite_scheduled = true;
        }
        if let Some(start) = self.aof.rewrite_time_start.take() {
            self.aof.rewrite_time_last = Some((mstime().div_euclid(1000) - start).max(0));
        }
    }

    /// The child's file becomes the base, and the manifest says so. What fails is in the log; `No`: the data set on the disk is
    /// what it was.
    fn install_base(&mut self, pid: i32) -> ManifestWritten {
        let filename = self.config.appendfilename.clone();
        let mut m = self.aof.manifest.clone();
        let base = m.new_base(&filename, self.config.aof_use_rdb_preamble);
        let base_path = self.aof_path(&base);
        let temp = temp_file::aof_background(pid.unsigned_abs());
        let start = self.latency_start_monitor();
        if let Err(e) = fs::rename(&temp, &base_path) {
            server_log!(
                Level::Warning,
                "Error trying to rename the temporary AOF base file {} into {}: {}",
                temp.display(),
                base_path.display(),
                strerror(&e)
            );
            return ManifestWritten::No;
        }
        self.latency_end_monitor("aof-rename", start);
        server_log!(
            Level::Notice,
            "Successfully renamed the temporary AOF base file {} into {}",
            temp.display(),
            String::from_utf8_lossy(&base)
        );
        let mut incr_path = None;
        if self.aof.state == AofState::WaitRewrite {
            let temp_name = temp_incr_file_name(&filename);
            let temp = self.aof_path(&temp_name);
            let name = m.new_incr(&filename);
            let path = self.aof_path(&name);
            let start = self.latency_start_monitor();
            if let Err(e) = fs::rename(&temp, &path) {
                server_log!(
                    Level::Warning,
                    "Error trying to rename the temporary AOF incr file {} into {}: {}",
                    temp.display(),
                    path.display(),
                    strerror(&e)
                );
                self.aof.bio.unlink(&base_path);
                return ManifestWritten::No;
            }
            self.latency_end_monitor("aof-rename", start);
            server_log!(
                Level::Notice,
                "Successfully renamed the temporary AOF incr file {} into {}",
                String::from_utf8_lossy(&temp_name),
                String::from_utf8_lossy(&name)
            );
            incr_path = Some(path);
        }
        m.mark_rewritten_incr_as_history(self.aof.file.is_some());
        let written = self.persist_aof_manifest(&mut m);
        if written == ManifestWritten::No {
            self.aof.bio.unlink(&base_path);
            if let Some(path) = incr_path {
                self.aof.bio.unlink(&path);
            }
            return ManifestWritten::No;
        }
        self.aof.manifest = m;
        if !self.aof.is_off() {
            self.aof.current_size = self.append_only_file_size(&base) + self.aof.last_incr_size;
            self.aof.rewrite_base_size = self.aof.current_size;
        }
        if written == ManifestWritten::Synced {
            self.aof_del_history_files();
        }
        written
    }

    /// After several failures in a row the next tries wait, twice as long each time (aofRewriteLimited).
    pub(super) fn aof_rewrite_limited(&mut self) -> bool {
        let aof = &mut self.aof;
        if aof.consecutive_failures < AOF_REWRITE_LIMITE_THRESHOLD {
            aof.next_delay_minutes = 0;
            aof.next_rewrite_time = 0;
            return false;
        }
        if aof.next_rewrite_time != 0 {
            if self.clock.unix_s < aof.next_rewrite_time {
                return true;
            }
            aof.next_rewrite_time = 0;
            return false;
        }
        aof.next_delay_minutes =
            (aof.next_delay_minutes * 2).clamp(1, AOF_REWRITE_LIMITE_MAX_MINUTES);
        aof.next_rewrite_time = self.clock.unix_s + aof.next_delay_minutes * 60;
        server_log!(
            Level::Warning,
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {} minutes",
            aof.next_delay_minutes
        );
        true
    }

    /// The file has grown by the configured percentage since its last rewrite: another one.
    pub(super) fn rewrite_if_due(&mut self) {
        let percentage = i64::from(self.config.auto_aof_rewrite_percentage);
        if self.aof.state != AofState::On
            || self.has_active_child_process()
            || percentage == 0
            || self.aof.current_size <= self.config.auto_aof_rewrite_min_size
        {
            return;
        }
        let (size, base) = (self.aof.current_size, self.aof.rewrite_base_size.max(1));
        let growth = (u128::from(size) * 100 / u128::from(base)) as i64 - 100;
        if growth >= percentage && !self.aof_rewrite_limited() {
            server_log!(
                Level::Notice,
                "Starting automatic rewriting of AOF on {}% growth",
                growth
            );
            self.rewrite_append_only_file_background();
        }
    }
}
