//! Clients that wait: for keys ([`keys`]), in WAIT and WAITAOF, behind CLIENT PAUSE, in SHUTDOWN (blocked.c, and pauseActions of
//! networking.c).
//!
//! A blocked client reads nothing. It is unblocked by the event it waits for, by its time-out, by CLIENT UNBLOCK, or by the
//! end of its connection. A postponed command stays in the query buffer and is looked at again when the pause ends.

mod keys;

pub(crate) use keys::{Blocking, TimeoutUnit};

use bitflags::bitflags;

use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::block::{Block, BlockType};

bitflags! {
    /// What a pause holds back (PAUSE_ACTION_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct PauseActions: u32 {
        const CLIENT_WRITE = 1 << 0;
        const CLIENT_ALL = 1 << 1;
        const EXPIRE = 1 << 2;
        const EVICT = 1 << 3;
        const REPLICA = 1 << 4;
        /// CLIENT PAUSE ALL.
        const CLIENT_ALL_SET = PauseActions::CLIENT_ALL.bits() | PauseActions::NOTHING_MOVES.bits();
        /// CLIENT PAUSE WRITE.
        const CLIENT_WRITE_SET = PauseActions::CLIENT_WRITE.bits() | PauseActions::NOTHING_MOVES.bits();
        /// What would change the data set, or what replicas know of it, without a client's doing.
        const NOTHING_MOVES =
            PauseActions::EXPIRE.bits() | PauseActions::EVICT.bits() | PauseActions::REPLICA.bits();
    }
}

/// Who asked for a pause; each has its own end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PausePurpose {
    ByClientCommand = 0,
    DuringShutdown = 1,
    DuringFailover = 2,
    /// A replica in a full sync has to catch up.
    Backpressure = 3,
}

/// The pauses in force.
#[derive(Default)]
pub(crate) struct Pause {
    /// Actions held back and until when (unix ms), by purpose.
    by: [(PauseActions, i64); 4],
    /// The union of the actions.
    pub actions: PauseActions,
    /// Clients whose command waits for the end, in the order in which they came.
    pub postponed: Vec<ClientId>,
}

impl Pause {
    pub(crate) fn expire_paused(&self) -> bool {
        self.actions.intersects(PauseActions::EXPIRE)
    }

    fn refresh(&mut self) {
        self.actions = self.by.iter().map(|(actions, _)| *actions).collect();
    }
}

impl Server {
    /// Holds `actions` back until `end` (unix ms; i64::MAX for ever). A pause only grows: a later end and more actions win
    /// (pauseActions).
    pub(crate) fn pause_actions(&mut self, purpose: PausePurpose, end: i64, actions: PauseActions) {
        let p = &mut self.pause.by[purpose as usize];
        p.0 = actions;
        p.1 = p.1.max(end);
        self.pause.refresh();
        // It may begin within a command (backpressure): those behind it in the pipeline have to be held back too.
        self.exec.unusual = true;
    }

    /// Ends a pause (unpauseActions).
    pub(crate) fn unpause_actions(&mut self, purpose: PausePurpose) {
        self.pause.by[purpose as usize] = Default::default();
        self.update_paused_actions();
    }

    /// Ends the pauses whose time has come (updatePausedActions).
    pub(crate) fn update_paused_actions(&mut self) {
        let before = self.pause.actions;
        let now = self.clock.unix_ms;
        for p in &mut self.pause.by {
            if !p.0.is_empty() && p.1 <= now {
                *p = Default::default();
            }
        }
        self.pause.refresh();
        let was = before & (PauseActions::CLIENT_ALL | PauseActions::CLIENT_WRITE);
        let is = self.pause.actions & (PauseActions::CLIENT_ALL | PauseActions::CLIENT_WRITE);
        if is.bits() < was.bits() {
            self.unblock_postponed_clients();
        }
    }

    /// The actions that are paused, ended pauses taken off (isPausedActionsWithUpdate).
    pub(crate) fn is_paused(&mut self, actions: PauseActions) -> bool {
        if !self.pause.actions.intersects(actions) {
            return false;
        }
        self.update_paused_actions();
        self.pause.actions.intersects(actions)
    }

    /// Blocks a client (blockClient), until `block.timeout` (unix ms, 0 for ever).
    pub(crate) fn block_client(&mut self, cid: ClientId, block: Block) {
        if let Some(c) = self.clients.get_mut(cid) {
            c.flags |= ClientFlags::BLOCKED;
            self.repl.blocked_clients += 1;
            if block.timeout != 0 {
                self.blocking
                    .timeouts
                    .insert((block.timeout, cid.to_data()));
            }
            c.block = Some(Box::new(block));
        }
    }

    /// Lets a client wait until the pause ends (blockPostponeClient). Its command stays in the query buffer as if it had not
    /// been looked at; so the link to our master, too, has not moved on.
    pub(crate) fn block_postpone_client(&mut self, cid: ClientId) {
        self.block_client(cid, Block::new(BlockType::Postpone));
        self.pause.postponed.push(cid);
    }

    /// Takes the client out of whatever it waits in. It is not blocked any more, and nothing else happens.
    fn take_block(&mut self, cid: ClientId) -> Option<Box<Block>> {
        let c = self.clients.get_mut(cid)?;
        let block = c.block.take()?;
        // A postponed client that is unblocked keeps its command, and can still be closed before that runs.
        if c.has(ClientFlags::BLOCKED) {
            self.repl.blocked_clients -= 1;
        }
        c.flags.remove(ClientFlags::BLOCKED);
        if block.timeout != 0 {
            self.blocking
                .timeouts
                .remove(&(block.timeout, cid.to_data()));
        }
        match block.kind {
            BlockType::Postpone => self.pause.postponed.retain(|p| *p != cid),
            BlockType::Wait | BlockType::WaitAof => {
                self.repl.waiting_acks.retain(|p| *p != cid);
            }
            BlockType::Shutdown => {}
            BlockType::Freeing => self.persist.lazyfree.waiting.retain(|(p, _)| *p != cid),
            BlockType::List | BlockType::Zset | BlockType::Stream => {
                if let Some(w) = &block.waiting {
                    self.blocking.dequeue(block.kind, w);
                }
            }
        }
        Some(block)
    }

    /// Lets a client go on: its requests are looked at again before the next sleep (unblockClient).
    pub(crate) fn unblock_client(&mut self, cid: ClientId) {
        if let Some(block) = self.take_block(cid) {
            if block.kind != BlockType::Postpone {
                self.after_waiting(cid);
            }
            self.exec.unblocked.push(cid);
        }
    }

    pub(crate) fn unblock_postponed_clients(&mut self) {
        for cid in std::mem::take(&mut self.pause.postponed) {
            self.unblock_client(cid);
        }
    }

    /// Goes on with the requests of unblocked clients (processUnblockedClients).
    pub(crate) fn process_unblocked_clients(&mut self) {
        while !self.exec.unblocked.is_empty() {
            for cid in std::mem::take(&mut self.exec.unblocked) {
                let Some(c) = self.clients.get(cid) else {
                    continue;
                };
                if !c.has(ClientFlags::BLOCKED) {
                    self.process_pending_input(cid);
                }
            }
        }
    }

    /// A blocked client's time is up, or CLIENT UNBLOCK says so (unblockClientOnTimeout). A pause, a shutdown and
    /// freeing have ends of their own.
    pub(crate) fn unblock_client_on_timeout(&mut self, cid: ClientId, error: bool) {
        let kind = self.clients.get(cid).and_then(|c| c.block.as_ref());
        let Some(kind) = kind.map(|b| b.kind) else {
            return;
        };
        if error && !kind.ends_by_itself() {
            return self
                .unblock_client_on_error(cid, "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
        }
        match kind {
            BlockType::Wait | BlockType::WaitAof => {
                let Some(block) = self.take_block(cid) else {
                    return;
                };
                self.reply_acks(cid, kind, block.repl_offset);
                self.after_waiting(cid);
                self.exec.unblocked.push(cid);
            }
            BlockType::List | BlockType::Zset | BlockType::Stream => {
                let waiting = self.take_block(cid).and_then(|b| b.waiting);
                self.clients.add_reply_null_array(cid);
                if let Some(w) = waiting {
                    self.update_stats_on_unblock(cid, &w, false);
                }
                self.after_waiting(cid);
                self.exec.unblocked.push(cid);
            }
            BlockType::Postpone | BlockType::Shutdown | BlockType::Freeing => {}
        }
    }

    /// Unblocks a client with an error (unblockClientOnError).
    pub(crate) fn unblock_client_on_error(&mut self, cid: ClientId, text: &str) {
        let Some(block) = self.take_block(cid) else {
            return;
        };
        self.add_reply_error(cid, text);
        if let Some(w) = &block.waiting {
            self.update_stats_on_unblock(cid, w, true);
        }
        self.after_waiting(cid);
        self.exec.unblocked.push(cid);
    }
}
