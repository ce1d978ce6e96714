//! What becomes of a replica whose pending output passes its limit during a full sync (repl-overflow-policy): starting over
//! would only bring it to the same place again, with more to send.
//!
//! `spill` moves the oldest part of its output into a file of its own; what the file has goes out before what its reader has.
//! `backpressure` holds writes back until it has caught up. Once a replica has had the whole stream, the limit is what it
//! always was.

use std::io;

use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::config::value::ReplOverflowPolicy;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::clients::spill::Spill;
use crate::server::execution::blocked::{PauseActions, PausePurpose};
use crate::server::repl::SyncReason;
use crate::server::replica::ReplState;
use crate::server_log;

/// Bytes moved into a file at a time: each segment that joins the log moves up to so many out of it, so memory shrinks, and
/// no single write stalls for the whole of it.
const SPILL_STEP: usize = 4 << 20;
/// Pending bytes at which writers go on: this part of the limit.
const RESUME_AT: usize = 2;

impl Server {
    /// The log has grown: is this replica still within its limit?
    pub(crate) fn replica_output_limit(&mut self, cid: ClientId) {
        let Some(r) = self.replica(cid) else {
            return;
        };
        let policy = self.config.repl_overflow_policy;
        if !r.in_full_sync || policy == ReplOverflowPolicy::Disconnect {
            if self.close_client_on_output_buffer_limit_reached(cid) {
                self.clients[cid].repl_mut().lost_for = Some(SyncReason::OutputBufferLimit);
            }
            return;
        }
        if r.log_spill.as_ref().is_some_and(|s| s.pending() > 0) {
            return self.spill_replica(cid);
        }
        if self.repl.backpressure.contains(&cid) || !self.check_client_output_buffer_limits(cid) {
            return;
        }
        match policy {
            ReplOverflowPolicy::Spill => self.spill_replica(cid),
            _ => self.begin_backpressure(cid),
        }
    }

    /// Moves the oldest of a replica's output into its file.
    fn spill_replica(&mut self, cid: ClientId) {
        if let Err(e) = self.try_spill(cid) {
            server_log!(
                Level::Warning,
                "Can't keep the output of replica {} in a file: {}",
                self.replication_get_slave_name(cid),
                strerror(&e)
            );
            self.clients[cid].repl_mut().lost_for = Some(SyncReason::OutputBufferLimit);
            self.free_client_async(cid);
        }
    }

    fn try_spill(&mut self, cid: ClientId) -> io::Result<()> {
        let Some(r) = self
            .clients
            .get_mut(cid)
            .and_then(|c| c.replica.as_deref_mut())
        else {
            return Ok(());
        };
        let Some(reader) = r.reader else {
            return Ok(());
        };
        let first = r.log_spill.is_none();
        let mut moved = 0;
        while moved < SPILL_STEP
            && let Some(bytes) = self.repl.log.reader_slice(reader).filter(|b| !b.is_empty())
        {
            let n = bytes.len();
            Spill::append_to(&mut r.log_spill, bytes)?;
            self.repl.log.advance(reader, n);
            moved += n;
        }
        if first {
            server_log!(
                Level::Notice,
                "The output of replica {} passed its limit during the full sync: it goes on through a file",
                self.replication_get_slave_name(cid)
            );
        }
        Ok(())
    }

    fn begin_backpressure(&mut self, cid: ClientId) {
        server_log!(
            Level::Warning,
            "The output of replica {} passed its limit during the full sync: writes wait until it has caught up",
            self.replication_get_slave_name(cid)
        );
        self.repl.backpressure.push(cid);
        self.pause_actions(
            PausePurpose::Backpressure,
            i64::MAX,
            PauseActions::CLIENT_WRITE_SET,
        );
    }

    /// This replica holds nobody back any more.
    pub(super) fn end_backpressure(&mut self, cid: ClientId) {
        let before = self.repl.backpressure.len();
        self.repl.backpressure.retain(|c| *c != cid);
        if before > 0 && self.repl.backpressure.is_empty() {
            self.unpause_actions(PausePurpose::Backpressure);
        }
    }

    /// Before each sleep while writers wait: has a replica caught up?
    pub(crate) fn backpressure_before_sleep(&mut self) {
        for cid in self.repl.backpressure.clone() {
            let Some(reader) = self.replica(cid).and_then(|r| r.reader) else {
                self.end_backpressure(cid);
                continue;
            };
            let class = crate::server::clients::client::ClientType::Slave as usize;
            let limit = self.config.client_output_buffer_limit[class];
            let limit = [limit.hard_limit_bytes, limit.soft_limit_bytes]
                .into_iter()
                .filter(|l| *l > 0)
                .min()
                .unwrap_or(0)
                .max(self.config.repl_backlog_size);
            let pending = self.repl.log.pending_memory(reader) as u64;
            if pending < limit / RESUME_AT as u64 {
                server_log!(
                    Level::Notice,
                    "Replica {} has caught up: writes go on",
                    self.replication_get_slave_name(cid)
                );
                self.end_backpressure(cid);
            }
        }
    }

    /// Once a second: who has had the whole stream since its full sync is an ordinary replica again.
    pub(super) fn full_syncs_cron(&mut self) {
        for cid in self.clients.slaves.clone() {
            let Some(r) = self
                .clients
                .get_mut(cid)
                .and_then(|c| c.replica.as_deref_mut())
            else {
                continue;
            };
            let spilled = r.log_spill.as_ref().map_or(0, Spill::pending);
            let behind = r.reader.is_some_and(|r| self.repl.log.has_pending(r));
            if r.in_full_sync && r.state == ReplState::Online && spilled == 0 && !behind {
                r.in_full_sync = false;
                r.log_spill = None;
            }
        }
        self.kept_snapshot_cron();
    }
}
