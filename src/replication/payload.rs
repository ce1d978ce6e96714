//! A full sync, the replica's side: the snapshot comes over the link, into a file that is loaded when it is whole, or straight
//! into the data set (readSyncBulkPayload).
//!
//! ```text
//!            $<size> or $EOF:<mark>
//!   header ─────────┬──────────────► into a temporary file ──whole──► renamed, loaded ──► the link becomes our master
//!                   │                    │ link lost                                         ▲
//!                   │                    └► kept: the next sync may bring the rest           │
//!                   └─ repl-diskless-load ► loaded as it comes: into the emptied data set ───┤
//!                                           or beside the old one, which is swapped ─────────┘
//! ```
//!
//! Invariants: the old data set goes only when the new one is whole (a file whose checksum is right, or a loaded second data
//! set), except where the user has asked for a diskless load into an empty one, and never for a file that this server cannot
//! read by its header; the file on the disk is replaced only by one that has been loaded. While a load runs, the link has no
//! read handler, since it would be entered again from the nested event loop.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use crate::ae::{ClientData, FileId, Mask};
use crate::base::clock::monotonic_us;
use crate::base::log::Level;
use crate::base::sys::{self, path_of, strerror};
use crate::config::value::ReplDisklessLoad;
use crate::script::function_set::Restore;
use crate::server::Server;
use crate::server::clients::connection::Connection;
use crate::server::clients::networking::PROTO_IOBUF_LEN;
use crate::server::master_link::{
    History, LinkSocket, MasterLink, PayloadEnd, PayloadTo, Transfer,
};
use crate::server::persist::{RdbFlags, RdbLoadInfo};
use crate::server::process::temp_file;
use crate::server::repl::PartialPayload;
use crate::server_log;
use crate::store::db::Db;
use crate::wire::rdb::{FrameCheck, RDB_HEADER_LEN, RdbErrorKind};
use crate::wire::replication::capabilities::SnapshotId;
use crate::wire::replication::diagnose::{self, Disk, NoAnswer, Stage, Unloadable};
use crate::wire::replication::handshake::{BULK_HEADER_LINE_SIZE, LineReader, LogLevel};
use crate::wire::replication::payload::{BulkHeader, EofMark, parse_bulk_header};
use crate::wire::replication::replid::REPLID_LEN;

use super::link::{LinkEnd, LinkRead, read_link};

/// The payload is forced to the disk every so many bytes, so that the end of a transfer does not wait for all of them
/// (REPL_MAX_WRITTEN_BEFORE_FSYNC).
const REPL_MAX_WRITTEN_BEFORE_FSYNC: u64 = 8 * 1024 * 1024;
/// Bytes of the payload read in one callback.
const BULK_READ: usize = 4 * PROTO_IOBUF_LEN;
/// Milliseconds that a diskless load sleeps at a time while nothing comes; a client's request ends it earlier.
const WAIT_MS: i32 = 100;

/// The link as the source of a diskless load: what was read behind the header, then the socket.
struct LinkSource<'a> {
    behind_header: &'a [u8],
    sock: Connection,
    /// Bytes of the payload to come; none: the payload ends in a mark.
    left: Option<u64>,
    /// Bytes that have come so far.
    got: &'a Cell<u64>,
}

impl Read for LinkSource<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == Some(0) {
            return Ok(0);
        }
        let most = self
            .left
            .map_or(buf.len(), |l| usize::try_from(l).unwrap_or(buf.len()))
            .min(buf.len());
        let buf = &mut buf[..most];
        let n = if self.behind_header.is_empty() {
            let n = (&self.sock).read(buf)?;
            self.got.set(self.got.get() + n as u64);
            n
        } else {
            self.behind_header.read(buf)?
        };
        if let Some(left) = self.left.as_mut() {
            *left -= n as u64;
        }
        Ok(n)
    }
}

impl Server {
    // Beginning -------------------------------------------------------------------------------------------------------

    /// Whether the payload is loaded as it comes (useDisklessLoad).
    fn use_diskless_load(&self) -> bool {
        match self.config.repl_diskless_load {
            ReplDisklessLoad::Disabled => false,
            ReplDisklessLoad::OnEmptyDb => self.dbs.iter().all(|d| d.keys.is_empty()),
            ReplDisklessLoad::SwapDb => true,
        }
    }

    /// The payload comes next: its header first.
    pub(super) fn begin_transfer(&mut self, history: History) {
        let to = if self.use_diskless_load() {
            PayloadTo::Parser { held: Vec::new() }
        } else {
            match self.open_payload_file() {
                Ok(file) => file,
                Err(e) => {
                    server_log!(
                        self.attempt_level(Level::Warning),
                        "Opening the temp file needed for MASTER <-> REPLICA synchronization: {}",
                        strerror(&e)
                    );
                    let dir = std::env::current_dir().unwrap_or_else(|_| "dir".into());
                    let (dir, name) = (dir.to_string_lossy(), path_of(&self.config.dbfilename));
                    let name = name.to_string_lossy();
                    let what = match e.kind() {
                        io::ErrorKind::IsADirectory => Disk::Folder(&name),
                        _ => Disk::Open(&dir),
                    };
                    self.found_disk(what, &e);
                    self.undo_connect_with_master();
                    return self.attempt_in_vain();
                }
            }
        };
        self.link_reached(Stage::Open);
        let link = self.repl.link.take_unfinished();
        let Some(mut conn) = link.and_then(MasterLink::into_conn) else {
            return;
        };
        conn.last_io = self.clock.unix_s;
        self.el
            .create_file_event(conn.file, Mask::READABLE, read_sync_bulk_payload, 0);
        self.repl.link = MasterLink::Transfer(Box::new(Transfer {
            conn,
            history,
            to,
            end: PayloadEnd::Unknown,
            read: 0,
            synced: 0,
            snapshot: None,
            frame: FrameCheck::new(0, self.config.rdb_version_check.into()),
            header: LineReader::new(BULK_HEADER_LINE_SIZE),
        }));
    }

    /// Where the payload goes, if it can become `dbfilename` at the end.
    fn open_payload_file(&self) -> io::Result<PayloadTo> {
        if path_of(&self.config.dbfilename).is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // Not the name of one of a moment ago, which may be kept.
        let path = temp_file::payload(self.clock.unix_us);
        let file = temp_file::create(&path)?;
        Ok(PayloadTo::File { file, path })
    }

    // What has come of an interrupted transfer -------------------------------------------------------------------------

    /// A transfer ends before its end: an Aedile may send the rest over the next link. Returns its connection.
    pub(super) fn keep_or_remove_payload(&mut self, t: Transfer) -> LinkSocket {
        let PayloadTo::File { file, path } = t.to else {
            return t.conn;
        };
        match (t.end, t.snapshot) {
            (PayloadEnd::Size(size), Some(snapshot))
                if self.config.repl_resume_full_sync && t.read > 0 =>
            {
                self.discard_partial_payload();
                self.repl.partial_payload = Some(PartialPayload {
                    file,
                    path,
                    snapshot,
                    size,
                    read: t.read,
                    frame: t.frame,
                });
            }
            _ => self.aof.bio.unlink(&path),
        }
        t.conn
    }

    /// What has come into a file is the caller's, to load or to remove; none: it is being loaded, or there is no transfer.
    fn take_payload_file(&mut self) -> Option<(File, PathBuf)> {
        let t = self.repl.link.transfer_mut()?;
        match std::mem::replace(&mut t.to, PayloadTo::Loading) {
            PayloadTo::File { file, path } => Some((file, path)),
            PayloadTo::Parser { .. } | PayloadTo::Loading => None,
        }
    }

    /// What has come is not what was sent, or cannot be kept here: nothing may go on with it.
    fn discard_transfer(&mut self) {
        if let Some((_, path)) = self.take_payload_file() {
            self.aof.bio.unlink(&path);
        }
    }

    /// The process ends: nothing of a payload stays on the disk.
    pub(crate) fn discard_payloads(&mut self) {
        self.discard_transfer();
        self.discard_partial_payload();
        if let Some(path) = self.repl.loading_payload.take() {
            let _ = fs::remove_file(path);
        }
    }

    /// The payload is no RDB file that can be loaded here, or not the one that was sent. Nothing has been changed by it.
    fn payload_refused(&mut self, why: &RdbErrorKind) {
        let from = match self.repl.link.transfer().map(|t| &t.to) {
            Some(PayloadTo::Parser { .. }) => "socket",
            _ => "disk",
        };
        self.discard_transfer();
        let level = self.attempt_level(Level::Warning);
        server_log!(
            level,
            "MASTER <-> REPLICA sync: the payload cannot be loaded, the data set stays as it is: {}",
            why
        );
        server_log!(
            level,
            "Failed trying to load the MASTER synchronization DB from {}, check server logs.",
            from
        );
        self.found(diagnose::bad_rdb(why));
    }

    /// Nobody will send the rest.
    pub(crate) fn discard_partial_payload(&mut self) {
        if let Some(p) = self.repl.partial_payload.take() {
            self.aof.bio.unlink(&p.path);
        }
    }

    /// The master goes on with the snapshot of which we have the beginning. False: that is not what we have.
    fn resume_payload(&mut self, snapshot: SnapshotId, size: u64, from: u64) -> bool {
        let mine = self
            .repl
            .partial_payload
            .take_if(|p| p.snapshot == snapshot && p.size == size && p.read == from);
        let (Some(p), Some(t)) = (mine, self.repl.link.transfer_mut()) else {
            return false;
        };
        let fresh = std::mem::replace(
            &mut t.to,
            PayloadTo::File {
                file: p.file,
                path: p.path,
            },
        );
        if let PayloadTo::File { path, .. } = fresh {
            self.aof.bio.unlink(&path);
        }
        t.end = PayloadEnd::Size(size);
        t.snapshot = Some(snapshot);
        t.frame = p.frame;
        t.read = from;
        t.synced = from;
        server_log!(
            Level::Notice,
            "MASTER <-> REPLICA sync: going on with the interrupted transfer at byte {} of {}",
            from,
            size
        );
        true
    }

    // Into a file -----------------------------------------------------------------------------------------------------

    /// Takes bytes of the payload's header line. Returns how many; the header is done when the payload's end is known then.
    fn take_payload_header(&mut self, bytes: &[u8]) -> Result<usize, ()> {
        let mut at = 0;
        let level = |l| self.attempt_level(l);
        let (notice, warning) = (level(Level::Notice), level(Level::Warning));
        let check = self.config.rdb_version_check.into();
        loop {
            let Some(t) = self.repl.link.transfer_mut() else {
                return Err(());
            };
            if at == bytes.len() || !matches!(t.end, PayloadEnd::Unknown) {
                return Ok(at);
            }
            let (n, line) = t.header.feed(&bytes[at..]);
            at += n;
            let Some(line) = line else {
                continue;
            };
            let header = parse_bulk_header(line);
            if let Some(l) = header.log(line, matches!(t.to, PayloadTo::Parser { .. })) {
                let level = match l.level {
                    LogLevel::Notice => notice,
                    LogLevel::Warning => warning,
                };
                server_log!(level, "{}", l.text);
            }
            match header {
                BulkHeader::Length(n) => t.end = PayloadEnd::Size(n),
                BulkHeader::Snapshot { id, size } => {
                    t.end = PayloadEnd::Size(size);
                    t.snapshot = Some(id);
                }
                BulkHeader::EofMark(m) => {
                    t.end = PayloadEnd::Mark(EofMark::new(m));
                    t.frame = FrameCheck::new(REPLID_LEN, check);
                }
                BulkHeader::KeepAlive => continue,
                BulkHeader::Resume { id, size, from } => {
                    if !self.resume_payload(id, size, from) {
                        const WHAT: &str =
                            "the master goes on with a transfer that was not begun here";
                        server_log!(warning, "MASTER <-> REPLICA sync: {}", WHAT);
                        self.found_damaged(WHAT);
                        return Err(());
                    }
                    self.repl.attempts.promising = true;
                    continue;
                }
                BulkHeader::Aborted(why) => {
                    let why = why.to_vec();
                    self.found_aborted(&why);
                    return Err(());
                }
                BulkHeader::Malformed => {
                    let line = line.to_vec();
                    self.found_no_payload(&line);
                    return Err(());
                }
            }
            self.repl.attempts.promising = true;
            // Another snapshot than the one that was interrupted.
            self.discard_partial_payload();
        }
    }

    /// Takes bytes of the payload into the file. Returns how many belong to it, the rest is the stream that follows; and
    /// whether it is whole. An error ends the transfer.
    fn take_payload(&mut self, bytes: &[u8]) -> Result<(usize, bool), ()> {
        let Some(t) = self.repl.link.transfer_mut() else {
            return Err(());
        };
        let PayloadTo::File { file, .. } = &mut t.to else {
            return Err(());
        };
        let mine = match &t.end {
            PayloadEnd::Size(size) => {
                let left = usize::try_from(size - t.read).unwrap_or(usize::MAX);
                &bytes[..left.min(bytes.len())]
            }
            _ => bytes,
        };
        if let Err(e) = file.write_all(mine) {
            server_log!(
                self.attempt_level(Level::Warning),
                "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA synchronization: {}",
                strerror(&e)
            );
            // A part of it may be in the file.
            self.discard_transfer();
            self.found_disk(Disk::Write, &e);
            return Err(());
        }
        if let Err(why) = t.frame.push(mine) {
            self.payload_refused(&why);
            return Err(());
        }
        t.read += mine.len() as u64;
        let done = match &mut t.end {
            PayloadEnd::Size(size) => t.read == *size,
            PayloadEnd::Mark(m) => {
                let done = m.push(mine);
                if done && let Err(e) = file.set_len(t.read.saturating_sub(REPLID_LEN as u64)) {
                    server_log!(
                        Level::Warning,
                        "Error truncating the RDB file received from the master for SYNC: {}",
                        strerror(&e)
                    );
                    self.found_disk(Disk::Write, &e);
                    return Err(());
                }
                done
            }
            PayloadEnd::Unknown => false,
        };
        if t.read >= t.synced + REPL_MAX_WRITTEN_BEFORE_FSYNC {
            // Best effort: the file is synced as a whole at the end.
            let _ = sys::sync_file_range(file, t.synced, t.read - t.synced);
            t.synced = t.read;
        }
        Ok((mine.len(), done))
    }

    /// The file is whole: it becomes the data set, and its sender our master. `rest` is what came behind it.
    fn finish_transfer(&mut self, rest: &[u8]) {
        let sound = match self.repl.link.transfer().map(|t| t.frame.finish()) {
            // Files whose checksums are not looked at are loaded as they are.
            Some(Err(RdbErrorKind::ChecksumMismatch { .. })) if !self.config.rdbchecksum => Ok(()),
            Some(sound) => sound,
            None => return,
        };
        if let Err(why) = sound {
            self.payload_refused(&why);
            self.cancel_replication_handshake(true);
            return;
        }
        let Some((file, temp_path)) = self.take_payload_file() else {
            return;
        };
        let path = path_of(&self.config.dbfilename);
        self.link_reached(Stage::Transfer);
        if let Err(e) = file.sync_all() {
            server_log!(
                self.attempt_level(Level::Warning),
                "Failed trying to sync the temp DB to disk in MASTER <-> REPLICA synchronization: {}",
                strerror(&e)
            );
            self.found_disk(Disk::Write, &e);
            self.aof.bio.unlink(&temp_path);
            self.cancel_replication_handshake(true);
            return;
        }
        let link = self.repl.link.file();
        if let Some(f) = link {
            // Events are served while it is looked at.
            self.el.delete_file_event(f, Mask::READABLE);
        }
        self.repl.loading_payload = Some(temp_path.clone());
        let checked = self.check_rdb_content(&temp_path);
        self.repl.loading_payload = None;
        if self.repl.link.file() != link {
            // Given up from inside.
            self.aof.bio.unlink(&temp_path);
            return;
        }
        if let Err(e) = checked {
            server_log!(
                self.attempt_level(Level::Warning),
                "MASTER <-> REPLICA sync: the payload cannot be loaded, the data set stays as it is"
            );
            self.found(e.problem());
            self.aof.bio.unlink(&temp_path);
            self.cancel_replication_handshake(true);
            return;
        }
        self.stop_writers_before_load(false);
        self.flush_old_data();
        self.loading_begins();
        self.repl.loading_payload = Some(temp_path.clone());
        let loaded = self.rdb_load(&temp_path, RdbFlags::REPLICATION);
        self.repl.loading_payload = None;
        let info = match loaded {
            Ok(info) => info,
            Err(e) => {
                server_log!(
                    self.attempt_level(Level::Warning),
                    "Failed trying to load the MASTER synchronization DB from disk, check server logs."
                );
                self.found(e.problem());
                self.aof.bio.unlink(&temp_path);
                self.empty_after_failed_sync();
                self.cancel_replication_handshake(true);
                return;
            }
        };
        if self.config.rdb_del_sync_files && self.all_persistence_disabled() {
            server_log!(
                Level::Notice,
                "Removing the RDB file obtained from the master. This replica has persistence disabled"
            );
            self.aof.bio.unlink(&temp_path);
            self.aof.bio.unlink(&path);
        } else if let Err(e) = self.aof.bio.rename(&temp_path, &path) {
            server_log!(
                Level::Warning,
                "Failed trying to rename the temp DB into place in MASTER <-> REPLICA synchronization: {}",
                strerror(&e)
            );
            self.aof.bio.unlink(&temp_path);
            // No file on the disk has these data.
            self.dirty += 1;
        } else if let Err(e) = sys::fsync_file_dir(&path) {
            server_log!(
                Level::Warning,
                "Failed trying to sync DB directory . in MASTER <-> REPLICA synchronization: {}",
                strerror(&e)
            );
        }
        self.sync_succeeded(info, rest);
    }

    // Straight into the data set ---------------------------------------------------------------------------------------

    /// Loads the payload as it comes once enough of it is there to tell that it can be read: until then the old data set stays.
    fn load_from_link_if_readable(&mut self) {
        let Some(t) = self.repl.link.transfer_mut() else {
            return;
        };
        let PayloadTo::Parser { held } = &mut t.to else {
            return;
        };
        let short = matches!(t.end, PayloadEnd::Size(n) if n < RDB_HEADER_LEN as u64);
        if held.len() < RDB_HEADER_LEN && !short {
            return;
        }
        let held = std::mem::take(held);
        let readable = match short {
            true => Err(RdbErrorKind::ShortRead),
            false => t.frame.push(&held),
        };
        match readable {
            Ok(()) => self.load_from_link(&held),
            Err(why) => {
                self.payload_refused(&why);
                self.cancel_replication_handshake(true);
            }
        }
    }

    /// Loads the payload as it comes (the diskless half of readSyncBulkPayload). `behind_header` was read with the header.
    fn load_from_link(&mut self, behind_header: &[u8]) {
        let Some(t) = self.repl.link.transfer_mut() else {
            return;
        };
        t.to = PayloadTo::Loading;
        let (link, history) = (t.conn.file, t.history);
        let sock = t.conn.sock.try_clone();
        let (size, mark) = match &t.end {
            PayloadEnd::Size(n) => (*n, None),
            PayloadEnd::Mark(m) => (0, Some(m.mark())),
            PayloadEnd::Unknown => return,
        };
        let swap = self.config.repl_diskless_load == ReplDisklessLoad::SwapDb;
        let mine = usize::try_from(size).unwrap_or(usize::MAX);
        let (mine, rest) = match mark {
            Some(_) => (behind_header, &[][..]),
            None => behind_header.split_at(mine.min(behind_header.len())),
        };
        let Ok(sock) = sock else {
            self.cancel_replication_handshake(true);
            return;
        };
        self.stop_writers_before_load(true);
        let mut second: Option<Vec<Db>> = None;
        if swap {
            let new = || Db::new(self.hasher.clone(), self.config.cluster_enabled);
            second = Some(self.dbs.iter().map(|_| new()).collect());
        } else {
            self.flush_old_data();
        }
        self.loading_begins();
        // An older state of the same data set is worth serving meanwhile; another data set is not.
        let is_async = swap && self.repl.replid == history.replid;
        let got = Cell::new(0);
        let source = LinkSource {
            behind_header: mine,
            sock,
            left: mark.is_none().then_some(size),
            got: &got,
        };
        self.start_loading(size, is_async);
        let (mut seen, mut since_us) = (0, monotonic_us());
        let mut wait = |server: &mut Server| {
            if got.get() != seen {
                (seen, since_us) = (got.get(), monotonic_us());
            }
            server.wait_for_payload(link, since_us)
        };
        let loaded = self.rdb_load_stream(source, size, mark, second.as_mut(), &mut wait);
        self.stats.net_repl_input_bytes += got.get();
        let functions = self
            .loading
            .as_mut()
            .map(|l| std::mem::take(&mut l.functions));
        self.stop_loading();
        let failed = match &loaded {
            Err(e) => {
                server_log!(
                    self.attempt_level(Level::Warning),
                    "Failed trying to load the MASTER synchronization DB from socket, check server logs."
                );
                // What came is the whole, or it ends before its end.
                let whole = mark.is_none() && got.get() + mine.len() as u64 == size;
                match e.is_read_error() && !whole {
                    true => self.found_end(NoAnswer::Closed),
                    false => self.found(e.problem()),
                }
                true
            }
            Ok((_, false)) => {
                server_log!(
                    self.attempt_level(Level::Warning),
                    "Replication stream EOF marker is broken"
                );
                self.found_damaged("the mark at the end is broken");
                true
            }
            Ok(_) => match functions
                .filter(|_| swap)
                .map(|codes| self.replace_functions(&codes))
            {
                Some(Err(problem)) => {
                    self.found(diagnose::unloadable(Unloadable::Function(&problem)));
                    true
                }
                _ => false,
            },
        };
        self.update_cached_time();
        // Given up from inside: a shutdown, or a link that was closed.
        let link_gone = self.repl.link.file() != Some(link);
        let (Ok((info, _)), false) = (loaded, failed || link_gone) else {
            if !link_gone {
                self.cancel_replication_handshake(true);
            }
            match second {
                Some(dbs) => {
                    self.persist.lazyfree.free_databases(dbs);
                    server_log!(
                        Level::Notice,
                        "MASTER <-> REPLICA sync: Discarding temporary DB in background"
                    );
                }
                None => self.empty_after_failed_sync(),
            }
            return;
        };
        if let Some(dbs) = second {
            self.replication_attach_to_new_master();
            server_log!(
                Level::Notice,
                "MASTER <-> REPLICA sync: Swapping active DB with loaded DB"
            );
            let old = self.swap_main_db_with_temp_db(dbs);
            self.persist.lazyfree.free_databases(old);
            server_log!(
                Level::Notice,
                "MASTER <-> REPLICA sync: Discarding old DB in background"
            );
        }
        // No file on the disk has these data.
        self.dirty += 1;
        self.sync_succeeded(info, rest);
    }

    /// Nothing has come: others are served until something does, or until the master has been silent for repl-timeout.
    fn wait_for_payload(&mut self, link: FileId, since_us: u64) -> io::Result<()> {
        self.replication_send_newline_to_master();
        if let Some(fd) = self.el.wait_fd() {
            sys::wait_readable(fd, WAIT_MS);
        }
        self.process_events_while_blocked();
        if self.repl.link.file() != Some(link) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let silent_s = monotonic_us().saturating_sub(since_us) / 1_000_000;
        if silent_s > u64::from(self.config.repl_timeout.unsigned_abs()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    /// The loaded data set takes the place of the served one, which is returned (swapMainDbWithTempDb).
    fn swap_main_db_with_temp_db(&mut self, temp: Vec<Db>) -> Vec<Db> {
        let n = self.dbs.len();
        // For the time of the call both have numbers.
        self.dbs.extend(temp);
        for i in 0..n {
            self.touch_all_watched_keys_in_db(i, Some(n + i));
            self.scan_database_for_deleted_keys(i, Some(n + i));
            self.dbs.swap(i, n + i);
        }
        let old = self.dbs.split_off(n);
        let old = old
            .into_iter()
            .filter_map(|db| self.detach_captured(db))
            .collect();
        for i in 0..n {
            self.scan_database_for_ready_keys(i);
        }
        self.tracking_invalidate_keys_on_flush(true);
        self.flush_slave_keys_with_expire_list();
        old
    }

    // The end ---------------------------------------------------------------------------------------------------------

    /// Whoever writes the old data set to the disk stops: the new one must not be overwritten by it, nor be copied page by
    /// page for it.
    fn stop_writers_before_load(&mut self, diskless: bool) {
        // It would get what the load does; a new base of it follows.
        if !self.aof.is_off() {
            self.stop_append_only();
        }
        if let Some(child) = self.persist.child.as_ref()
            && child.kind == crate::server::persist::ChildKind::Rdb
        {
            if !diskless {
                server_log!(
                    Level::Notice,
                    "Replica is about to load the RDB file received from the master, but there is a pending RDB child \
                     running. Killing process {} and removing its temp file to avoid any race",
                    child.pid
                );
            }
            self.kill_rdb_child();
        }
    }

    /// The old history is over, for us and for our own replicas (replicationAttachToNewMaster).
    fn replication_attach_to_new_master(&mut self) {
        self.replication_discard_cached_master();
        self.disconnect_slaves();
        self.free_replication_backlog();
    }

    /// The old data set goes before the new one is loaded in its place.
    fn flush_old_data(&mut self) {
        self.replication_attach_to_new_master();
        server_log!(
            self.attempt_level(Level::Notice),
            "MASTER <-> REPLICA sync: Flushing old data"
        );
        self.empty_data(None, self.config.replica_lazy_flush);
        self.flush_functions(self.config.replica_lazy_flush);
    }

    /// The master's function libraries take the place of ours.
    fn replace_functions(&mut self, codes: &[Vec<u8>]) -> Result<(), String> {
        self.functions_restore(codes.iter().map(|c| &c[..]), Restore::Flush, true)
    }

    /// The old data set is gone and the new one is not whole: what there is of it is nobody's. The file on the disk is of more
    /// worth, until somebody writes.
    fn empty_after_failed_sync(&mut self) {
        self.empty_data(None, self.config.replica_lazy_flush);
        self.flush_functions(self.config.replica_lazy_flush);
        self.persist.emptied_by_sync = true;
        self.dirty = 0;
    }

    /// A load is next: the link's handler would be entered again from the nested event loop.
    fn loading_begins(&mut self) {
        if let Some(f) = self.repl.link.file() {
            self.el.delete_file_event(f, Mask::READABLE);
        }
        server_log!(
            self.attempt_level(Level::Notice),
            "MASTER <-> REPLICA sync: Loading DB in memory"
        );
    }

    /// The data set is the master's: the link becomes its stream. `rest` came behind the payload.
    fn sync_succeeded(&mut self, info: RdbLoadInfo, rest: &[u8]) {
        let Some(t) = self.repl.link.transfer() else {
            return;
        };
        let (history, used_mark) = (t.history, matches!(t.end, PayloadEnd::Mark(_)));
        let Some(sock) = self.take_link_socket() else {
            return;
        };
        self.update_cached_time();
        let db = info.repl_stream_db;
        let Some(cid) = self.replication_create_master_client(sock, history, db) else {
            return self.attempt_in_vain();
        };
        self.master_hides_slots(&info.hidden_slots);
        self.persist.emptied_by_sync = false;
        self.repl.down_since = 0;
        self.repl.full_sync_consent = false;
        self.link_is_up();
        // The master's history is ours now.
        self.repl.replid = history.replid;
        self.clear_replication_id2();
        // -1 where the master counts nothing; then we count.
        drop(self.repl.log.reset(history.offset.max(0)));
        self.create_replication_backlog();
        server_log!(
            Level::Notice,
            "MASTER <-> REPLICA sync: Finished with success"
        );
        self.notify_systemd(
            "STATUS=MASTER <-> REPLICA sync: Finished with success. Ready to accept connections in read-write mode.\n",
        );
        if self.config.appendonly {
            self.restart_aof_after_sync();
        }
        if used_mark {
            // The master waits for this before it sends the stream.
            self.replication_send_ack();
        }
        if !rest.is_empty() {
            self.feed_master_client(cid, rest);
        }
    }

    /// No save points and no AOF: files on the disk are nobody's data.
    pub(crate) fn all_persistence_disabled(&self) -> bool {
        self.config.save.is_empty() && !self.config.appendonly
    }
}

/// The link is readable while the payload comes (readSyncBulkPayload).
pub(super) fn read_sync_bulk_payload(server: &mut Server, file: FileId, _: ClientData, _: Mask) {
    server.exec.clock_stale = true;
    let Some(t) = server.repl.link.transfer() else {
        return;
    };
    if t.conn.file != file {
        return;
    }
    let mut buf = [0; BULK_READ];
    // Of a payload with a size nothing beyond its end is read: that is the stream's.
    let limit = match t.end {
        PayloadEnd::Size(size) => usize::try_from(size - t.read)
            .unwrap_or(BULK_READ)
            .clamp(1, BULK_READ),
        _ => BULK_READ,
    };
    let started = !matches!(t.end, PayloadEnd::Unknown);
    match read_link(server, &mut buf[..limit]) {
        LinkRead::Bytes(n) => payload_bytes(server, &buf[..n]),
        LinkRead::Nothing => {}
        LinkRead::Ended(why) => {
            server.found_broken(&why);
            let what = match started {
                true => "I/O error trying to sync with MASTER",
                false => "I/O error reading bulk count from MASTER",
            };
            let why = match why {
                LinkEnd::Closed if started => "connection lost".into(),
                why => why.text(),
            };
            server_log!(server.attempt_level(Level::Warning), "{}: {}", what, why);
            server.cancel_replication_handshake(true);
        }
    }
}

/// Bytes of the link while the payload comes.
pub(super) fn payload_bytes(server: &mut Server, bytes: &[u8]) {
    let Ok(at) = server.take_payload_header(bytes) else {
        server.cancel_replication_handshake(true);
        return;
    };
    let bytes = &bytes[at..];
    match server.repl.link.transfer_mut() {
        Some(t) if !matches!(t.end, PayloadEnd::Unknown) => {
            if let PayloadTo::Parser { held } = &mut t.to {
                held.extend_from_slice(bytes);
                return server.load_from_link_if_readable();
            }
        }
        _ => return,
    }
    match server.take_payload(bytes) {
        Ok((n, true)) => server.finish_transfer(&bytes[n..]),
        Ok((_, false)) => {}
        Err(()) => {
            server.cancel_replication_handshake(true);
        }
    }
}
