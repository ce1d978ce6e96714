//! REPLICATION EXPLAIN: in words, where each link stands, what it waits for, and what would happen if it broke now.
//!
//! Invariant: what is said of a break is what PSYNC would decide at this moment, by the same rule; nothing is changed by asking.

use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::master_link::{MasterLink, PayloadEnd};
use crate::server::persist::{ChildKind, RdbTarget};
use crate::server::repl::FailoverState;
use crate::server::replica::{ReplState, Replica, SlaveCapa};
use crate::wire::replication::handshake::HandshakeState;
use crate::wire::replication::psync::{History, Refusal};

use super::id_text;

/// Replicas that are explained; the others are counted.
const REPLICAS: usize = 64;

/// What an answer is awaited to, in a handshake.
fn step_name(state: HandshakeState) -> &'static str {
    match state {
        HandshakeState::ReceivePingReply | HandshakeState::SendHandshake => "PING",
        HandshakeState::ReceiveAuthReply => "AUTH",
        HandshakeState::ReceivePortReply => "REPLCONF listening-port",
        HandshakeState::ReceiveIpReply => "REPLCONF ip-address",
        HandshakeState::ReceiveCapaReply => "REPLCONF capa",
        HandshakeState::SendPsync | HandshakeState::ReceivePsyncReply => "PSYNC",
        HandshakeState::Done => "nothing",
    }
}

impl Server {
    /// The lines of REPLICATION EXPLAIN.
    pub(crate) fn explain_replication(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match &self.repl.master_host {
            Some(host) => self.explain_master(host, &mut lines),
            None => lines.push(format!(
                "This server is a master, at offset {} of history {}.",
                self.repl.log.master_repl_offset(),
                id_text(&self.repl.replid)
            )),
        }
        if self.repl.failover.state != FailoverState::None {
            lines.push(format!(
                "A failover is under way: {}.",
                self.repl.failover.state.name()
            ));
        }
        if self.clients.slaves.is_empty() {
            lines.push(match self.repl.log.backlog_active() {
                true => format!(
                    "No replica is connected. One that comes back gets a partial resync from offset {} on: the backlog keeps {} bytes.",
                    self.repl.log.backlog_first_byte_offset(),
                    self.repl.log.backlog_histlen()
                ),
                false => "No replica is connected, and there is no backlog: the first one gets a full sync.".into(),
            });
        }
        let shown = self.replicas().filter(|(_, r)| r.state != ReplState::None);
        for (cid, r) in shown.take(REPLICAS) {
            self.explain_replica(cid, r, &mut lines);
        }
        let more = self.clients.slaves.len().saturating_sub(REPLICAS);
        if more > 0 {
            lines.push(format!("{more} more replicas are connected."));
        }
        lines
    }

    /// Our own link.
    fn explain_master(&self, host: &str, lines: &mut Vec<String>) {
        let r = &self.repl;
        let name = format!("Master {host}:{}", r.master_port);
        let attempts = &r.attempts;
        let known = match &r.cached_master {
            Some(c) => format!(
                "It will ask for a partial resync from offset {} of history {}.",
                c.reploff.saturating_add(1),
                id_text(&c.replid)
            ),
            None => "It knows no history of a master: it will ask for a full sync.".into(),
        };
        let state = match &r.link {
            MasterLink::None => "there is no link".into(),
            MasterLink::Connect => match attempts.pace.wait(self.el.now_ms()) {
                0 => format!("Connect. The next attempt is due. {known}"),
                ms => format!(
                    "Connect. The next attempt is in {ms} milliseconds, {} having failed in a row for a reason that stays. {known}",
                    attempts.pace.failures()
                ),
            },
            MasterLink::Connecting(_) => format!("Connecting. {known}"),
            MasterLink::Handshake(h) => format!(
                "Handshake. It waits for the answer to {}. {known}",
                step_name(h.handshake.state())
            ),
            MasterLink::Transfer(t) => {
                let of = match &t.end {
                    PayloadEnd::Size(n) => format!("{} of {n} bytes have come", t.read),
                    PayloadEnd::Mark(_) => format!(
                        "{} bytes have come, of a stream without a known end",
                        t.read
                    ),
                    PayloadEnd::Unknown => "the master has not begun to send it".into(),
                };
                let broken = match t.snapshot {
                    Some(_) => "a master that still has the snapshot would send the rest of it",
                    None => "the full sync would begin anew",
                };
                format!("Transfer. The snapshot is coming: {of}. If the link broke now, {broken}.")
            }
            MasterLink::Connected(cid) => {
                let stream = self.clients.get(*cid).and_then(|m| m.master_stream());
                match stream {
                    Some(m) if m.replid.is_some() => format!(
                        "Connected. The stream is applied up to offset {}{}. If the link broke now, this server would ask for a partial \
                         resync from offset {} of history {}, and get it while the master's backlog goes back so far.",
                        m.reploff,
                        match m.read_reploff - m.reploff {
                            0 => String::new(),
                            n => format!(", and {n} bytes are read and not applied"),
                        },
                        m.reploff.saturating_add(1),
                        id_text(&r.replid)
                    ),
                    _ => "Connected. If the link broke now, a full sync would follow: this master does not count its stream.".into(),
                }
            }
        };
        lines.push(format!("{name}: {state}"));
        if let Some(problem) = &attempts.problem {
            lines.push(format!("{name}: {}", problem.text));
        }
        self.explain_masters_above(&name, lines);
        if r.refusal.is_some() {
            lines.push(format!(
                "{name}: its full sync is refused since it has come back without its data (replica-refuse-empty-master); REPLICAOF {host} {} \
                 consents to it.",
                r.master_port
            ));
        }
    }

    /// Those above our own master, as they were told.
    fn explain_masters_above(&self, own: &str, lines: &mut Vec<String>) {
        let above = self.masters_above();
        if above.is_empty() {
            return;
        }
        let each = above.iter().map(|m| match m.up {
            true => format!("of {}", m.address),
            false => format!("of {}, to which it has no link", m.address),
        });
        lines.push(format!(
            "{own}: it is itself a replica {}, as it said {} seconds ago.",
            each.collect::<Vec<_>>().join(", and that one "),
            self.masters_above_age_ms() / 1000
        ));
    }

    /// One replica of ours.
    fn explain_replica(&self, cid: ClientId, r: &Replica, lines: &mut Vec<String>) {
        let name = format!("Replica {}", self.replication_get_slave_name(cid));
        let why = r.sync_reason.map_or("none", |w| w.name());
        let state = match r.state {
            ReplState::None => return,
            ReplState::WaitBgsaveStart => format!(
                "WaitBgsaveStart. It needs a full sync ({why}), and waits {}.",
                self.why_no_snapshot(r)
            ),
            ReplState::WaitBgsaveEnd => {
                let child = self.persist.child.as_ref();
                let done = child.map_or((0, 0), |c| (c.keys_processed, c.keys_total));
                format!(
                    "WaitBgsaveEnd. It gets a full sync ({why}); the snapshot is being written, {} of {} keys are done.",
                    done.0, done.1
                )
            }
            ReplState::SendBulk => format!(
                "SendBulk. It gets a full sync ({why}); {} of {} bytes of the snapshot have been sent.",
                r.db_off, r.db_size
            ),
            ReplState::RdbTransmitted => {
                "RdbTransmitted. It has the snapshot that it asked for, and nothing follows.".into()
            }
            ReplState::Online if r.start_cmd_stream_on_ack => {
                "Online, but without the stream: it has been sent the whole snapshot, and its first acknowledgement is awaited.".into()
            }
            ReplState::Online => match self.replica_lag(r) {
                Some(lag) if lag.bytes > 0 => format!(
                    "Online. It has not acknowledged {} bytes, which are {} writes, the oldest {} milliseconds old.",
                    lag.bytes, lag.writes, lag.ms
                ),
                _ => "Online, and up to date.".into(),
            },
        };
        let spilled = match r.spilled_bytes() {
            0 => String::new(),
            n => format!(" {n} bytes for it wait in a file (repl-overflow-policy spill)."),
        };
        lines.push(format!(
            "{name}: {state}{spilled} {}",
            self.if_broken(cid, r)
        ));
        let lost = self.replication_get_slave_name(cid);
        let (times, wait) = self.repl.lost.unacknowledged(&lost, self.el.now_ms());
        if times > 0 {
            lines.push(format!(
                "{name}: it has ended {times} full syncs in a row without acknowledging one; the next is put off by {wait} milliseconds. \
                 Look into its log: it may not be able to load what it gets."
            ));
        }
    }

    /// What a replica waits for that needs a snapshot.
    fn why_no_snapshot(&self, r: &Replica) -> String {
        let now = self.el.now_ms();
        let own = r.snapshot_not_before.saturating_sub(now);
        if own > 0 {
            return format!(
                "{own} milliseconds, as its full syncs before failed (repl-sync-backoff-max)"
            );
        }
        if let Some(child) = &self.persist.child {
            return match (child.kind, child.target) {
                (ChildKind::Rdb, RdbTarget::Sockets) => {
                    "for the diskless sync of others to end".into()
                }
                (ChildKind::Rdb, _) => "for a snapshot that it cannot share to end".into(),
                _ => "for another child to end".into(),
            };
        }
        let floor = self.repl.snapshots.wait(now);
        if floor > 0 {
            return format!(
                "{floor} milliseconds: as many snapshots were made as may follow each other at once"
            );
        }
        let most = self.config.repl_max_full_syncs;
        let busy = self
            .replicas()
            .filter(|(_, r)| matches!(r.state, ReplState::WaitBgsaveEnd | ReplState::SendBulk))
            .count();
        if usize::try_from(most).is_ok_and(|m| m > 0 && busy >= m) {
            return format!(
                "for one of the {most} full syncs at a time (repl-max-full-syncs) to end"
            );
        }
        if self.config.repl_diskless_sync {
            return format!(
                "up to {} seconds, so that others may share it (repl-diskless-sync-delay)",
                self.config.repl_diskless_sync_delay
            );
        }
        "for the snapshot to begin".into()
    }

    /// What would happen if a replica's link broke now.
    fn if_broken(&self, _: ClientId, r: &Replica) -> String {
        if r.state == ReplState::RdbTransmitted || r.rdb_only {
            return "If the link broke now, it would have to ask again.".into();
        }
        if r.in_full_sync && r.unacknowledged {
            return match (&r.snapshot, self.config.repl_resume_full_sync) {
                (Some(_), true) => {
                    "If the link broke now, it could go on with the same snapshot (repl-resume-full-sync).".into()
                }
                _ => "If the link broke now, the full sync would begin anew.".into(),
            };
        }
        if r.pre_psync {
            return "If the link broke now, a full sync would follow: it asked with SYNC, and knows no offsets.".into();
        }
        let history = History {
            replid: &self.repl.replid,
            replid2: &self.repl.replid2,
            second_offset: self.repl.second_replid_offset,
        };
        let next = r.ack_off.saturating_add(1);
        let psync2 = r.capa.contains(SlaveCapa::PSYNC2);
        let log = &self.repl.log;
        match history.try_partial(log, &self.repl.replid, next, psync2) {
            Ok(()) => format!(
                "If the link broke now, it would go on with a partial resync from offset {next}: the backlog goes back to {}.",
                log.backlog_first_byte_offset()
            ),
            Err(Refusal::LackOfBacklog) => format!(
                "If the link broke now, a full sync would follow, unless it has got more than it has acknowledged: it would ask for offset {next}, and the backlog goes back to {} only \
                 (repl-backlog-size).",
                log.backlog_first_byte_offset()
            ),
            Err(_) => "If the link broke now, a full sync would follow.".into(),
        }
    }
}
