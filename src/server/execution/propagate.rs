//! What a command's effect sends to the AOF and to the replicas (alsoPropagate, propagateNow, propagatePendingCommands).
//!
//! A command that propagates unchanged and came in canonical form is passed on as its raw bytes. When one call propagates
//! several commands (keys that expired under it, for one) they are wrapped in MULTI and EXEC.

use bitflags::bitflags;

use crate::server::Server;
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::execution::command::CommandFlags;
use crate::server::keyspace::lookup::Free;

bitflags! {
    /// Where a command is propagated to (PROPAGATE_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Propagate: u8 {
        const AOF = 1 << 0;
        const REPL = 1 << 1;
        const BOTH = Propagate::AOF.bits() | Propagate::REPL.bits();
    }
}

/// A command waiting to be propagated.
pub(crate) struct PropagateOp {
    pub db: usize,
    pub args: OwnedArgs,
    pub target: Propagate,
}

impl Server {
    /// Whether anybody takes what is propagated.
    #[inline]
    pub(crate) fn propagation_wanted(&self) -> bool {
        self.should_propagate(Propagate::BOTH)
    }

    /// Whether anybody takes what is propagated to `target` (shouldPropagate).
    #[inline]
    pub(crate) fn should_propagate(&self, target: Propagate) -> bool {
        self.loading.is_none()
            && ((target.intersects(Propagate::AOF) && !self.aof.is_off())
                || (target.intersects(Propagate::REPL)
                    && self.repl.master_host.is_none()
                    && (self.repl.log.backlog_active() || !self.clients.slaves.is_empty())))
    }

    /// No append-only file, no backlog, no replica, and nothing queued: a write is nobody's business.
    #[inline]
    pub(crate) fn nobody_listens(&self) -> bool {
        !self.repl.log.backlog_active()
            && self.clients.slaves.is_empty()
            && !self.exec.call.has_queued()
            && self.aof.is_off()
    }

    /// Sends a command to those who take it, now; `db` is none where no database need be selected for it.
    #[inline]
    pub(crate) fn propagate_now(&mut self, db: Option<usize>, args: &Args, target: Propagate) {
        if !self.should_propagate(target) {
            return;
        }
        if target.intersects(Propagate::AOF) && !self.aof.is_off() {
            self.feed_append_only_file(db, args);
        }
        // A replica feeds nobody: its replicas get what its master sends, byte by byte.
        if target.intersects(Propagate::REPL) {
            self.replication_feed_slaves(db, args);
        }
    }

    /// Queues a command behind the running one's others (alsoPropagate).
    pub(crate) fn also_propagate(&mut self, db: usize, args: OwnedArgs, target: Propagate) {
        if self.should_propagate(target) {
            self.exec.call.queue(PropagateOp { db, args, target });
        }
    }

    /// Sends what is queued, as a transaction when it is more than one command (propagatePendingCommands).
    pub(crate) fn propagate_pending_commands(&mut self) {
        if !self.exec.call.has_queued() {
            return;
        }
        let ops = self.exec.call.take_queued();
        // A command that met expired keys on its way (SCAN, say) is no transaction.
        let arbitrary = self.exec.call.client.is_some()
            && self.exec.call.cmd.is_some_and(|id| {
                self.commands
                    .row(id)
                    .flags
                    .contains(CommandFlags::TOUCHES_ARBITRARY_KEYS)
            });
        let wrap = ops.len() > 1 && !arbitrary;
        if wrap {
            // A SELECT comes with the next command, inside the transaction.
            let multi = OwnedArgs::from_slices(&[b"MULTI"]);
            self.propagate_now(None, &multi.as_args(), Propagate::BOTH);
        }
        for op in &ops {
            self.propagate_now(Some(op.db), &op.args.as_args(), op.target);
        }
        if wrap {
            let exec = OwnedArgs::from_slices(&[b"EXEC"]);
            self.propagate_now(None, &exec.as_args(), Propagate::BOTH);
        }
        self.exec.call.recycle_queue(ops);
    }

    /// The deletion of an expired or evicted key, as DEL or UNLINK (propagateDeletion).
    pub(crate) fn propagate_deletion(&mut self, db: usize, key: &[u8], free: Free) {
        if !self.propagation_wanted() {
            return;
        }
        let op = OwnedArgs::from_slices(&[free.verb(), key]);
        self.also_propagate(db, op, Propagate::BOTH);
    }
}
