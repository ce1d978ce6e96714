//! How far behind each replica is, in time, bytes and writes, and why it was synced: for INFO and REPLCONF GETLAG.

use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::replica::{ReplState, Replica};
use crate::wire::replication::lag::Lag;

impl Server {
    /// Before each sleep: what has been fed so far has this moment's time.
    #[inline]
    pub(crate) fn note_lag(&mut self) {
        if !self.clients.slaves.is_empty() {
            let offset = self.repl.log.master_repl_offset();
            self.repl.lag.note(offset, self.el.now_ms());
        }
    }

    /// How far this replica's acknowledgements are behind the stream; none before it is online.
    pub(crate) fn replica_lag(&self, r: &Replica) -> Option<Lag> {
        (r.state == ReplState::Online).then(|| {
            let offset = self.repl.log.master_repl_offset();
            self.repl.lag.lag(r.ack_off, offset, self.el.now_ms())
        })
    }

    /// REPLCONF GETLAG *: for each replica its address, port, state, acknowledged offset, how far it is behind in
    /// milliseconds, bytes and writes (-1 before it is online), and why it had its last full sync.
    pub(crate) fn reply_with_lags(&mut self, cid: ClientId) {
        let rows: Vec<_> = self
            .replicas()
            .filter(|(_, r)| !r.state.name().is_empty())
            .map(|(s, r)| {
                (
                    self.replica_ip(s).unwrap_or_default(),
                    r.listening_port,
                    r.state.name(),
                    r.ack_off,
                    self.replica_lag(r),
                    r.sync_reason.map_or("none", |w| w.name()),
                )
            })
            .collect();
        self.add_reply_array_len(cid, rows.len());
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for (ip, port, state, offset, lag, why) in rows {
            self.add_reply_array_len(cid, 8);
            self.add_reply_bulk(cid, ip.as_bytes());
            self.add_reply_long_long(cid, i64::from(port));
            self.add_reply_bulk(cid, state.as_bytes());
            self.add_reply_long_long(cid, offset);
            self.add_reply_long_long(cid, lag.map_or(-1, |l| number(l.ms)));
            self.add_reply_long_long(cid, lag.map_or(-1, |l| number(l.bytes)));
            self.add_reply_long_long(cid, lag.map_or(-1, |l| number(l.writes)));
            self.add_reply_bulk(cid, why.as_bytes());
        }
    }
}
