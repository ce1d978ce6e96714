//! Ending: SHUTDOWN, signals, and what is done before the process exits (prepareForShutdown, finishShutdown).
//!
//! Invariant: the process exits only when what it was asked to keep is kept. A save that fails ends the attempt, not the
//! server, unless the caller said FORCE.

use crate::base::log::Level;
use crate::base::sys;
use crate::config::value::ShutdownFlags;
use crate::server::Server;
use crate::server::aof::AofState;
use crate::server::clients::flags::ClientId;
use crate::server::execution::block::BlockType;
use crate::server::execution::blocked::{PauseActions, PausePurpose};
use crate::server::persist::ChildKind;
use crate::server::process::supervise::pid_file_path;
use crate::server::replica::ReplState;
use crate::server_log;

/// A shutdown that waits for replicas.
#[derive(Clone, Copy)]
pub(crate) struct ShutdownState {
    pub flags: ShutdownFlags,
    /// Unix ms at which it stops waiting.
    pub until_ms: i64,
}

impl Server {
    /// A SIGTERM or SIGINT has come; called by the cron.
    pub(crate) fn shutdown_on_signal(&mut self, signal: i32) {
        if self.shutdown.is_some() {
            return;
        }
        let (name, flags) = if signal == sys::SIGINT {
            ("SIGINT", self.config.shutdown_on_sigint)
        } else {
            ("SIGTERM", self.config.shutdown_on_sigterm)
        };
        server_log!(Level::Warning, "Received {} scheduling shutdown...", name);
        if self.prepare_for_shutdown(flags) {
            self.exit(0);
        }
        if self.shutdown.is_none() {
            server_log!(
                Level::Warning,
                "Errors trying to shut down the server. Check the logs for more information."
            );
            sys::clear_shutdown_signal();
        }
    }

    /// A signal while a data set is being loaded: nothing can be saved (whileBlockedCron).
    pub(crate) fn exit_while_loading(&mut self) {
        if self.prepare_for_shutdown(ShutdownFlags::NOSAVE) {
            self.exit(0);
        }
    }

    /// Ends the process. What has come of a master's snapshot is of no use to the next one.
    pub(crate) fn exit(&mut self, code: i32) -> ! {
        self.discard_payloads();
        std::process::exit(code)
    }

    /// Goes on with a shutdown that waits; called by the cron.
    pub(crate) fn shutdown_cron(&mut self) {
        let Some(s) = self.shutdown else {
            return;
        };
        if (self.clock.unix_ms >= s.until_ms || self.is_ready_to_shutdown())
            && self.finish_shutdown()
        {
            self.exit(0);
        }
    }

    /// Starts a shutdown. True: the process may exit now. False: it waits for replicas (then `shutdown` is set), or it
    /// failed.
    pub(crate) fn prepare_for_shutdown(&mut self, flags: ShutdownFlags) -> bool {
        if self.shutdown.is_some() {
            return false;
        }
        let flags = if self.loading.is_some() || self.config.sentinel_mode {
            (flags - ShutdownFlags::SAVE) | ShutdownFlags::NOSAVE
        } else {
            flags
        };
        server_log!(Level::Notice, "User requested shutdown...");
        self.notify_systemd("STOPPING=1\n");
        let timeout = i64::from(self.config.shutdown_timeout);
        let mut state = ShutdownState { flags, until_ms: 0 };
        if !flags.contains(ShutdownFlags::NOW) && timeout != 0 && !self.is_ready_to_shutdown() {
            state.until_ms = self
                .clock
                .unix_ms
                .saturating_add(timeout.saturating_mul(1000));
            if !self.is_paused(PauseActions::REPLICA) {
                self.send_getack_to_replicas();
            }
            self.pause_actions(
                PausePurpose::DuringShutdown,
                i64::MAX,
                PauseActions::CLIENT_WRITE_SET,
            );
            server_log!(Level::Notice, "Waiting for replicas before shutting down.");
            self.shutdown = Some(state);
            return false;
        }
        self.shutdown = Some(state);
        self.finish_shutdown()
    }

    /// Whether no replica lags behind.
    fn is_ready_to_shutdown(&self) -> bool {
        let offset = self.repl.log.master_repl_offset();
        self.clients
            .slaves
            .iter()
            .filter_map(|s| self.clients.get(*s)?.repl())
            .all(|r| r.ack_off == offset)
    }

    fn cancel_shutdown(&mut self) {
        self.shutdown = None;
        sys::clear_shutdown_signal();
        self.reply_to_clients_blocked_on_shutdown();
        self.unpause_actions(PausePurpose::DuringShutdown);
    }

    /// SHUTDOWN ABORT. False when there was nothing to abort.
    pub(crate) fn abort_shutdown(&mut self) -> bool {
        if self.shutdown.is_some() {
            self.cancel_shutdown();
        } else if sys::shutdown_signal().is_some() {
            sys::clear_shutdown_signal();
        } else {
            return false;
        }
        server_log!(Level::Notice, "Shutdown manually aborted.");
        true
    }

    fn reply_to_clients_blocked_on_shutdown(&mut self) {
        let waiting: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|c| {
                c.block
                    .as_deref()
                    .is_some_and(|b| b.kind == BlockType::Shutdown)
            })
            .map(|c| c.cid)
            .collect();
        for cid in waiting {
            self.add_reply_error(cid, "Errors trying to SHUTDOWN. Check logs.");
            self.unblock_client(cid);
        }
    }

    /// The last steps. True: exit now.
    fn finish_shutdown(&mut self) -> bool {
        let flags = self.shutdown.map_or(ShutdownFlags::empty(), |s| s.flags);
        self.log_lagging_replicas();
        self.ldb_kill_forked_sessions();
        let child = self.persist.child.as_ref().map(|c| c.kind);
        if child == Some(ChildKind::Aof) {
            if self.aof.state == AofState::WaitRewrite {
                // What is in memory is nowhere else yet.
                if flags.contains(ShutdownFlags::FORCE) {
                    server_log!(Level::Warning, "Writing initial AOF. Exit anyway.");
                } else {
                    server_log!(Level::Warning, "Writing initial AOF, can't exit.");
                    self.notify_systemd("STATUS=Writing initial AOF, can't exit.\n");
                    return self.shutdown_failed();
                }
            }
            server_log!(
                Level::Warning,
                "There is a child rewriting the AOF. Killing it!"
            );
            self.kill_append_only_child();
        }
        if child == Some(ChildKind::Rdb) {
            server_log!(
                Level::Warning,
                "There is a child saving an .rdb. Killing it!"
            );
            self.kill_rdb_child();
        }
        self.finish_append_only_file();
        let save = flags.contains(ShutdownFlags::SAVE)
            || (!self.config.save.is_empty() && !flags.contains(ShutdownFlags::NOSAVE));
        if save && !flags.contains(ShutdownFlags::SAVE) && self.file_is_worth_more() {
            server_log!(
                Level::Warning,
                "Not saving a final RDB snapshot: the data set was emptied for a full sync that failed. The file on the disk stays \
                 as it is."
            );
        } else if save {
            server_log!(
                Level::Notice,
                "Saving the final RDB snapshot before exiting."
            );
            self.notify_systemd("STATUS=Saving the final RDB snapshot\n");
            if !self.rdb_save_to_dbfilename() {
                if flags.contains(ShutdownFlags::FORCE) {
                    server_log!(Level::Warning, "Error trying to save the DB. Exit anyway.");
                } else {
                    server_log!(Level::Warning, "Error trying to save the DB, can't exit.");
                    self.notify_systemd("STATUS=Error trying to save the DB, can't exit.\n");
                    return self.shutdown_failed();
                }
            }
        }
        if let Some(path) = pid_file_path(&self.config) {
            server_log!(Level::Notice, "Removing the pid file.");
            let _ = std::fs::remove_file(path);
        }
        self.cluster_hand_over_at_shutdown();
        self.flush_slaves_output_buffers();
        self.close_listening_sockets(true);
        server_log!(
            Level::Warning,
            "{} is now ready to exit, bye bye...",
            if self.config.sentinel_mode {
                "Sentinel"
            } else {
                "Redis"
            }
        );
        true
    }

    /// The attempt is over, the server goes on.
    fn shutdown_failed(&mut self) -> bool {
        server_log!(
            Level::Warning,
            "Errors trying to shut down the server. Check the logs for more information."
        );
        self.cancel_shutdown();
        false
    }

    fn log_lagging_replicas(&self) {
        let offset = self.repl.log.master_repl_offset();
        let (mut all, mut lagging) = (0, 0);
        for cid in &self.clients.slaves {
            let Some(r) = self.clients.get(*cid).and_then(|c| c.repl()) else {
                continue;
            };
            all += 1;
            if r.ack_off != offset {
                lagging += 1;
                let lag = if r.state == ReplState::Online {
                    self.clock.unix_s - r.ack_time
                } else {
                    0
                };
                server_log!(
                    Level::Notice,
                    "Lagging replica {} reported offset {} behind master, lag={}, state={}.",
                    self.replication_get_slave_name(*cid),
                    offset - r.ack_off,
                    lag,
                    r.state.name()
                );
            }
        }
        if all > 0 {
            server_log!(
                Level::Notice,
                "{} of {} replicas are in sync when shutting down.",
                all - lagging,
                all
            );
        }
    }
}
