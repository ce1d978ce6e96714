//! WAIT: a client that waits until enough replicas have acknowledged its writes.

use crate::base::log::Level;
use crate::server::Server;
use crate::server::client::{Block, BlockType, ClientId, ReplState};
use crate::server::exec::OwnedArgs;
use crate::server_log;

impl Server {
    /// How many replicas have acknowledged this offset (replicationCountAcksByOffset).
    pub fn replication_count_acks_by_offset(&self, offset: i64) -> i64 {
        self.replicas()
            .filter(|(_, r)| r.state == ReplState::Online && r.ack_off >= offset)
            .count() as i64
    }

    /// Blocks a client until `replicas` have acknowledged its last write, or until `timeout` (unix ms, 0 for ever)
    /// (blockForReplication).
    pub fn block_for_replication(&mut self, cid: ClientId, timeout: i64, replicas: i64) {
        let offset = self.clients[cid].woff;
        self.block_client(
            cid,
            Block {
                kind: BlockType::Wait,
                timeout,
                num_replicas: replicas,
                repl_offset: offset,
                waiting: None,
            },
        );
        self.repl.waiting_acks.push(cid);
        // One request serves all who wait: it is sent before the loop sleeps.
        self.repl.get_ack_from_slaves = true;
    }

    /// Asks the replicas for an ACK now (sendGetackToReplicas).
    pub fn send_getack_to_replicas(&mut self) {
        self.repl.get_ack_from_slaves = false;
        // Without replicas too: as upstream, for the sake of equal offsets.
        let getack = OwnedArgs::from_slices(&[b"REPLCONF", b"GETACK", b"*"]);
        self.replication_feed_slaves(None, &getack.as_args());
        server_log!(Level::Debug, "Asked the replicas for an acknowledgement");
    }

    /// Answers those whose replicas have acknowledged (processClientsWaitingReplicas).
    pub fn process_clients_waiting_replicas(&mut self) {
        for cid in self.repl.waiting_acks.clone() {
            let Some(b) = self.clients.get(cid).and_then(|c| c.block.as_deref()) else {
                continue;
            };
            let (offset, want) = (b.repl_offset, b.num_replicas);
            let have = self.replication_count_acks_by_offset(offset);
            if have >= want {
                self.add_reply_long_long(cid, have);
                self.unblock_client(cid);
            }
        }
    }
}
