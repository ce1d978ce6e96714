//! WAIT and WAITAOF: clients that wait until enough replicas have their writes, in memory or on the disk.
//!
//! What a client waits for is a number of acknowledgements of one offset: that of its last write. Replicas tell two offsets
//! with REPLCONF ACK, the one they have applied and the one that is on their disk; this server's own disk is
//! `aof.fsynced_reploff`. Whoever has waited is answered before the loop sleeps, never from where an acknowledgement comes
//! in: one pass serves them all.

use crate::base::log::Level;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::OwnedArgs;
use crate::server::execution::block::{Block, BlockType};
use crate::server::replica::{ReplState, Replica};
use crate::server_log;

/// WAITAOF wants this server's own disk, and there is no append-only file.
pub(crate) const WAITAOF_WITHOUT_AOF: &str =
    "WAITAOF cannot be used when numlocal is set but appendonly is disabled.";

impl Server {
    fn count_online(&self, has: impl Fn(&Replica) -> bool) -> i64 {
        self.replicas()
            .filter(|(_, r)| r.state == ReplState::Online && has(r))
            .count() as i64
    }

    /// How many replicas have acknowledged this offset (replicationCountAcksByOffset).
    pub(crate) fn replication_count_acks_by_offset(&self, offset: i64) -> i64 {
        self.count_online(|r| r.ack_off >= offset)
    }

    /// How many replicas have this offset on their disk (replicationCountAOFAcksByOffset).
    pub(crate) fn replication_count_aof_acks_by_offset(&self, offset: i64) -> i64 {
        self.count_online(|r| r.aof_off >= offset)
    }

    fn count_acks(&self, kind: BlockType, offset: i64) -> i64 {
        match kind {
            BlockType::WaitAof => self.replication_count_aof_acks_by_offset(offset),
            _ => self.replication_count_acks_by_offset(offset),
        }
    }

    /// The reply of WAIT or WAITAOF: who has this offset now.
    pub(crate) fn reply_acks(&mut self, cid: ClientId, kind: BlockType, offset: i64) {
        let n = self.count_acks(kind, offset);
        self.reply_acks_counted(cid, kind, offset, n);
    }

    fn reply_acks_counted(&mut self, cid: ClientId, kind: BlockType, offset: i64, replicas: i64) {
        if kind == BlockType::WaitAof {
            self.add_reply_array_len(cid, 2);
            self.add_reply_long_long(cid, i64::from(self.aof.fsynced_reploff >= offset));
        }
        self.add_reply_long_long(cid, replicas);
    }

    /// Blocks a client until `replicas` have acknowledged its last write, or until `timeout` (unix ms, 0 for ever)
    /// (blockForReplication).
    pub(crate) fn block_for_replication(&mut self, cid: ClientId, timeout: i64, replicas: i64) {
        let block = Block {
            timeout,
            num_replicas: replicas,
            ..Block::new(BlockType::Wait)
        };
        self.block_for_acks(cid, block);
    }

    /// The same for the disks of `replicas` and, with `local`, for our own (blockForAofFsync).
    pub(crate) fn block_for_aof_fsync(
        &mut self,
        cid: ClientId,
        timeout: i64,
        local: bool,
        replicas: i64,
    ) {
        let block = Block {
            timeout,
            num_replicas: replicas,
            num_local: local,
            ..Block::new(BlockType::WaitAof)
        };
        self.block_for_acks(cid, block);
    }

    fn block_for_acks(&mut self, cid: ClientId, mut block: Block) {
        block.repl_offset = self.clients[cid].woff;
        self.block_client(cid, block);
        self.repl.waiting_acks.push(cid);
        // One request serves all who wait: it is sent before the loop sleeps (replicationRequestAckFromSlaves).
        self.repl.get_ack_from_slaves = true;
    }

    /// Asks the replicas for an ACK now (sendGetackToReplicas).
    pub(crate) fn send_getack_to_replicas(&mut self) {
        self.repl.get_ack_from_slaves = false;
        // Without replicas too: as upstream, for the sake of equal offsets.
        let getack = OwnedArgs::from_slices(&[b"REPLCONF", b"GETACK", b"*"]);
        self.replication_feed_slaves(None, &getack.as_args());
        server_log!(Level::Debug, "Asked the replicas for an acknowledgement");
    }

    /// As a replica: answers the master's request for an acknowledgement, and tells it again when what it asked for has
    /// reached the disk, so that its clients in WAITAOF need not wait for the next second. `synced`: the disk has more than
    /// at the last call.
    pub(crate) fn acknowledge_before_sleep(&mut self, synced: bool) {
        let on_disk = synced && self.repl.ack_when_synced;
        if !std::mem::take(&mut self.repl.ack_asked) && !on_disk {
            return;
        }
        self.replication_send_ack();
        let applied = self
            .repl
            .link
            .client()
            .and_then(|m| self.clients.get(m)?.master_stream())
            .map_or(0, |r| r.reploff);
        let synced = self.aof.fsynced_reploff;
        self.repl.ack_when_synced = synced != -1 && synced < applied;
    }

    /// Answers those who have waited long enough (processClientsWaitingReplicas).
    pub(crate) fn process_clients_waiting_replicas(&mut self) {
        // Counts made in this pass, by kind: many wait for much the same offset.
        let mut counted: [Option<(i64, i64)>; 2] = [None; 2];
        for cid in self.repl.waiting_acks.clone() {
            let Some(b) = self.clients.get(cid).and_then(|c| c.block.as_deref()) else {
                continue;
            };
            let (kind, offset) = (b.kind, b.repl_offset);
            let (local, want) = (b.num_local, b.num_replicas);
            if local && !self.config.appendonly {
                self.add_reply_error(cid, WAITAOF_WITHOUT_AOF);
                self.unblock_client(cid);
                continue;
            }
            let memo = &mut counted[usize::from(kind == BlockType::WaitAof)];
            let have = match *memo {
                Some((at, n)) if at == offset => n,
                _ => {
                    let n = self.count_acks(kind, offset);
                    *memo = Some((offset, n));
                    n
                }
            };
            if have >= want && (!local || self.aof.fsynced_reploff >= offset) {
                self.reply_acks_counted(cid, kind, offset, have);
                self.unblock_client(cid);
            }
        }
    }
}
