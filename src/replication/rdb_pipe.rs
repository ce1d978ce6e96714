//! A diskless full sync, the master's side: a child writes the snapshot into a pipe, and what comes out of it is passed on to
//! every replica that takes part (rdbSaveToSlavesSockets, rdbPipeReadHandler, rdbPipeWriteHandler).
//!
//! ```text
//!   child ── pipe ──► one chunk ──┬──► replica: took all of it
//!                                 ├──► replica: took a part. The pipe waits (as upstream), or, by
//!                                 │    `repl-overflow-policy spill`, the rest goes into its file
//!                                 └──► replica with a file: all goes behind what the file has
//! ```
//!
//! Invariants: the pipe is read only while no replica has a part of the last chunk to come; bytes reach a replica in the
//! order of the pipe; the child lives until the pipe has been read to its end, so that its end means that all is passed on.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use crate::ae::{ClientData, FileId, FileProc, Mask, Next};
use crate::base::log::Level;
use crate::base::sys::{self, strerror};
use crate::config::value::ReplOverflowPolicy;
use crate::server::Server;
use crate::server::clients::connection::Connection;
use crate::server::clients::flags::ClientId;
use crate::server::clients::spill::Spill;
use crate::server::persist::SnapshotForm;
use crate::server::repl::RdbPipe;
use crate::server::replica::ReplState;
use crate::server_log;

/// Bytes of a chunk: what a pipe holds.
const CHUNK: usize = 64 * 1024;
/// Chunks passed on in one callback, so that clients get their turn.
const CHUNKS_PER_CALL: usize = 8;
/// Bytes sent from a replica's file in one callback.
const SPILL_STEP: usize = 256 * 1024;
/// Milliseconds that a transfer rests when it has used up its rate.
const RATE_PAUSE_MS: u64 = 10;

/// How a write to a replica went.
enum Sent {
    /// So many bytes; all that was asked for, or fewer.
    Bytes(usize),
    /// The link is gone, and the replica with it.
    Gone,
}

impl Server {
    /// Forks the child that writes the snapshot for these replicas (rdbSaveToSlavesSockets). False: a child runs already, or
    /// none could be made (then the log says why).
    pub(super) fn rdb_save_to_slaves_sockets(
        &mut self,
        form: SnapshotForm,
        replicas: &[ClientId],
    ) -> bool {
        if self.has_active_child_process() || self.repl.rdb_pipe.is_some() {
            return false;
        }
        match self.open_rdb_pipe(form, replicas) {
            Ok(pid) => {
                server_log!(
                    Level::Notice,
                    "Background RDB transfer started by pid {}",
                    pid
                );
                true
            }
            Err(e) => {
                self.close_rdb_pipe();
                server_log!(
                    Level::Warning,
                    "Can't save in background: fork: {}",
                    strerror(&e)
                );
                false
            }
        }
    }

    fn open_rdb_pipe(&mut self, form: SnapshotForm, replicas: &[ClientId]) -> io::Result<i32> {
        let (read, write) = sys::pipe()?;
        let (exit_read, exit_write) = sys::pipe()?;
        // The child has nothing else to do than to wait for its turn.
        sys::set_blocking(&write)?;
        sys::set_blocking(&exit_read)?;
        let file = self.el.add_file(read.as_raw_fd())?;
        self.repl.rdb_pipe = Some(RdbPipe {
            read,
            file,
            exit: Some(exit_write),
            replicas: replicas.to_vec(),
            buf: vec![0; CHUNK],
            len: 0,
        });
        let pid = self.rdb_save_to_pipe(write, exit_read, form)?;
        self.el
            .create_file_event(file, Mask::READABLE, rdb_pipe_read_handler, 0);
        Ok(pid)
    }

    /// The transfer is over, well or not (backgroundSaveDoneHandlerSocket).
    pub(crate) fn close_rdb_pipe(&mut self) {
        if let Some(pipe) = self.repl.rdb_pipe.take() {
            self.el.remove_file(pipe.file);
        }
    }

    /// A replica leaves the transfer, by a lost link or because the master gives it up.
    pub(super) fn rdb_pipe_replica_gone(&mut self, cid: ClientId) {
        let Some(pipe) = self.repl.rdb_pipe.as_mut() else {
            return;
        };
        let before = pipe.replicas.len();
        pipe.replicas.retain(|r| *r != cid);
        if pipe.replicas.len() < before {
            self.rdb_pipe_write_done(cid);
        }
    }

    /// This replica has nothing of the chunk to come any more: with the last of them the pipe is read again
    /// (rdbPipeWriteHandlerConnRemoved).
    fn rdb_pipe_write_done(&mut self, cid: ClientId) {
        if let Some(r) = self
            .clients
            .get_mut(cid)
            .and_then(|c| c.replica.as_deref_mut())
        {
            r.rdb_pipe_late = false;
        }
        if let Some(pipe) = &self.repl.rdb_pipe
            && pipe.exit.is_some()
            && !self.is_rdb_pipe_held()
        {
            self.el
                .create_file_event(pipe.file, Mask::READABLE, rdb_pipe_read_handler, 0);
        }
    }

    /// Somebody has a part of the chunk to come.
    fn is_rdb_pipe_held(&self) -> bool {
        let replicas = self.repl.rdb_pipe.iter().flat_map(|p| &p.replicas);
        replicas
            .filter_map(|r| self.replica(*r))
            .any(|r| r.rdb_pipe_late)
    }

    /// Passes the chunk on to everybody. Returns how many replicas are left.
    fn rdb_pipe_pass_on(&mut self, chunk: &[u8]) -> usize {
        let replicas = match self.repl.rdb_pipe.as_ref() {
            Some(p) => p.replicas.clone(),
            None => return 0,
        };
        // With one replica there is nobody to be held up, and the child may as well wait.
        let spills =
            self.config.repl_overflow_policy == ReplOverflowPolicy::Spill && replicas.len() > 1;
        for &cid in &replicas {
            let Some(r) = self
                .clients
                .get_mut(cid)
                .and_then(|c| c.replica.as_deref_mut())
            else {
                self.rdb_pipe_replica_gone(cid);
                continue;
            };
            if let Some(spill) = r.rdb_spill.as_mut().filter(|s| s.pending() > 0) {
                if let Err(e) = spill.append(chunk) {
                    self.spill_failed(cid, &e);
                }
                continue;
            }
            let n = match self.send_to_replica(cid, chunk) {
                Sent::Bytes(n) => n,
                Sent::Gone => continue,
            };
            if n == chunk.len() {
                continue;
            }
            let now = self.clock.unix_s;
            let Some(c) = self.clients.get_mut(cid) else {
                continue;
            };
            let file = c.file;
            let r = c.repl_mut();
            r.repl_last_partial_write = now;
            if spills {
                if let Err(e) = Spill::append_to(&mut r.rdb_spill, &chunk[n..]) {
                    self.spill_failed(cid, &e);
                    continue;
                }
            } else {
                r.db_off = n as u64;
                r.rdb_pipe_late = true;
            }
            if let Some(file) = file {
                self.el.create_file_event(
                    file,
                    Mask::WRITABLE,
                    rdb_pipe_write_handler,
                    cid.to_data(),
                );
            }
        }
        self.repl.rdb_pipe.as_ref().map_or(0, |p| p.replicas.len())
    }

    fn spill_failed(&mut self, cid: ClientId, e: &io::Error) {
        server_log!(
            Level::Warning,
            "Can't keep the data of a slow replica {} in a file: {}",
            self.replication_get_slave_name(cid),
            strerror(e)
        );
        self.drop_from_transfer(cid);
    }

    fn drop_from_transfer(&mut self, cid: ClientId) {
        self.rdb_pipe_replica_gone(cid);
        self.free_client_async(cid);
    }

    /// One write to a replica's socket.
    fn send_to_replica(&mut self, cid: ClientId, bytes: &[u8]) -> Sent {
        let Some(c) = self.clients.get(cid) else {
            self.rdb_pipe_replica_gone(cid);
            return Sent::Gone;
        };
        let (Some(conn), Some(file)) = (c.conn.as_ref(), c.file) else {
            self.rdb_pipe_replica_gone(cid);
            return Sent::Gone;
        };
        let mut conn: &Connection = conn;
        match conn.write(bytes) {
            Ok(n) => {
                self.stats.net_repl_output_bytes += n as u64;
                if n < bytes.len() {
                    self.el.clear_ready(file, Mask::WRITABLE);
                }
                Sent::Bytes(n)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.el.clear_ready(file, Mask::WRITABLE);
                Sent::Bytes(0)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Sent::Bytes(0),
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Diskless rdb transfer, write error sending DB to replica: {}",
                    strerror(&e)
                );
                self.rdb_pipe_replica_gone(cid);
                self.hung_up(cid);
                Sent::Gone
            }
        }
    }

    /// The child's end of the pipe is closed: it may go, and with its end the replicas are online.
    fn rdb_pipe_at_end(&mut self) {
        let Some(pipe) = self.repl.rdb_pipe.as_mut() else {
            return;
        };
        pipe.exit = None;
        let (file, left) = (pipe.file, pipe.replicas.len());
        self.el.delete_file_event(file, Mask::READABLE);
        server_log!(
            Level::Notice,
            "Diskless rdb transfer, done reading from pipe, {} replicas still up.",
            left
        );
    }

    // repl-full-sync-rate ---------------------------------------------------------------------------------------------

    /// How many of `want` bytes a full sync may send now.
    pub(super) fn full_sync_allowance(&mut self, want: usize) -> usize {
        let rate = self.config.repl_full_sync_rate;
        self.repl
            .sync_rate
            .allowance(rate, self.el.now_ms())
            .min(want)
    }

    /// A transfer has used up its rate: its handler rests for a moment.
    pub(super) fn pause_full_sync_io(
        &mut self,
        file: FileId,
        mask: Mask,
        handler: FileProc<Server>,
        data: ClientData,
    ) {
        self.el.delete_file_event(file, mask);
        if self.repl.paused_io.is_empty() {
            self.el.create_time_event(RATE_PAUSE_MS, |server, _| {
                for (file, mask, handler, data) in std::mem::take(&mut server.repl.paused_io) {
                    // Of those that are gone meanwhile the event loop knows.
                    server.el.create_file_event(file, mask, handler, data);
                }
                Next::Stop
            });
        }
        self.repl.paused_io.push((file, mask, handler, data));
    }
}

/// The child has written (rdbPipeReadHandler).
fn rdb_pipe_read_handler(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    server.exec.clock_stale = true;
    for _ in 0..CHUNKS_PER_CALL {
        let allowed = server.full_sync_allowance(CHUNK);
        if allowed == 0 {
            return server.pause_full_sync_io(file, Mask::READABLE, rdb_pipe_read_handler, data);
        }
        let Some(pipe) = server.repl.rdb_pipe.as_mut().filter(|p| p.file == file) else {
            return;
        };
        let n = match pipe.read.read(&mut pipe.buf[..allowed.min(CHUNK)]) {
            Ok(0) => return server.rdb_pipe_at_end(),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                return server.el.clear_ready(file, Mask::READABLE);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return,
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Diskless rdb transfer, read error sending DB to replicas: {}",
                    strerror(&e)
                );
                for cid in std::mem::take(&mut pipe.replicas) {
                    server.free_client_async(cid);
                }
                return server.kill_rdb_child();
            }
        };
        pipe.len = n;
        let chunk = std::mem::take(&mut pipe.buf);
        server.repl.sync_rate.take(n);
        let alive = server.rdb_pipe_pass_on(&chunk[..n]);
        let Some(pipe) = server.repl.rdb_pipe.as_mut() else {
            return;
        };
        pipe.buf = chunk;
        if alive == 0 {
            server_log!(
                Level::Warning,
                "Diskless rdb transfer, last replica dropped, killing fork child."
            );
            server.el.delete_file_event(file, Mask::READABLE);
            return server.kill_rdb_child();
        }
        if server.is_rdb_pipe_held() {
            return server.el.delete_file_event(file, Mask::READABLE);
        }
    }
}

/// A replica that was late can take more (rdbPipeWriteHandler).
fn rdb_pipe_write_handler(server: &mut Server, file: FileId, data: ClientData, _: Mask) {
    let cid = ClientId::from_data(data);
    server.exec.clock_stale = true;
    let now = server.clock.unix_s;
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    let (Some(conn), Some(r)) = (c.conn.as_ref(), c.replica.as_deref_mut()) else {
        return;
    };
    if let Some(spill) = r.rdb_spill.as_mut() {
        match spill.send(conn, SPILL_STEP) {
            Ok(sent) => {
                server.stats.net_repl_output_bytes += sent.bytes as u64;
                r.repl_last_partial_write = now;
                if sent.full {
                    return server.el.clear_ready(file, Mask::WRITABLE);
                }
                if spill.pending() > 0 {
                    return;
                }
                r.repl_last_partial_write = 0;
                let done = r.state == ReplState::SendBulk;
                server.el.delete_file_event(file, Mask::WRITABLE);
                if done {
                    server.streamed_replica_online(cid);
                }
            }
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Write error sending DB to replica: {}",
                    strerror(&e)
                );
                server.drop_from_transfer(cid);
            }
        }
        return;
    }
    let from = r.db_off as usize;
    let Some(pipe) = server.repl.rdb_pipe.as_mut() else {
        return server.el.delete_file_event(file, Mask::WRITABLE);
    };
    let (chunk, len) = (std::mem::take(&mut pipe.buf), pipe.len);
    let sent = server.send_to_replica(cid, &chunk[from.min(len)..len]);
    if let Some(pipe) = server.repl.rdb_pipe.as_mut() {
        pipe.buf = chunk;
    }
    let Sent::Bytes(n) = sent else {
        return;
    };
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    let r = c.repl_mut();
    r.db_off += n as u64;
    if (r.db_off as usize) < len {
        if n > 0 {
            r.repl_last_partial_write = now;
        }
        return;
    }
    r.repl_last_partial_write = 0;
    server.el.delete_file_event(file, Mask::WRITABLE);
    server.rdb_pipe_write_done(cid);
}
