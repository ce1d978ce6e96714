//! Replication, both sides (replication.c). Everything runs as readiness callbacks; nothing here waits.
//!
//! A replica, as its master sees it ([`master`], states in `server::replica::ReplState`):
//!
//! ```text
//!                      SYNC, or PSYNC that cannot continue
//!   (a client) ──────────────────────────────────────────────► WaitBgsaveStart
//!       │                                                          │ a child starts to write the RDB:
//!       │ PSYNC within the backlog:                                │ +FULLRESYNC id offset, and from here on the replica
//!       │ +CONTINUE                                                │ is a reader of the log
//!       ▼                                                          ▼
//!    Online ◄── the file is sent ── SendBulk ◄── child done ── WaitBgsaveEnd
//!      ▲                           (send_bulk_to_slave)            │ │ child failed: closed
//!      │                                                           │
//!      └── its first ACK ── (online, no stream yet) ◄── pipe read to its end, child done (rdb_pipe: a diskless sync)
//! ```
//!
//! A master, as its replica sees it ([`replica`], states in `server::master_link::MasterLink`; the steps of the handshake are
//! those of `wire::replication::handshake`):
//!
//! ```text
//!   None ──REPLICAOF──► Connect ──► Connecting ──► Handshake ──+FULLRESYNC──► Transfer ──loaded──► Connected
//!                          ▲                          └──+CONTINUE──────────────────────────────►    │
//!                          └── any failure, any lost link: again, with what cached_master knows ◄────┘
//! ```
//!
//! Who does what: [`master`] SYNC, PSYNC and the stream; [`full_sync`] which snapshot serves whom, [`rdb_pipe`] one that goes
//! through a pipe, [`resume`] one that goes on after a lost link, [`overflow`] a replica that cannot keep up meanwhile;
//! [`wait`] WAIT and WAITAOF, [`failover`] FAILOVER, [`lag`] how far behind replicas are, [`explain`] all of it in words. [`replica`] the link to a master,
//! [`payload`] the snapshot that comes over it, [`cached_master`] what stays of a lost link, [`guard`] how its attempts are
//! spaced, and what it refuses and explains, [`upstream`] the masters further up. [`cron`] the once-a-second part of all.
//!
//! Invariants:
//! - the stream's bytes and offsets are in one place, `server.repl.log`; a replica's output is a position in it;
//! - a replica's stream starts exactly at the offset its snapshot was forked at: it becomes a reader in the same call;
//! - a server that is itself a replica never puts bytes of its own into the log: it passes on its master's, so that offsets
//!   mean the same bytes all along a chain, and a promoted replica can go on with its siblings;
//! - while an RDB is being loaded, the link has no read handler: it would be entered again from the nested event loop.

mod cached_master;
mod cron;
mod explain;
mod failover;
mod full_sync;
mod guard;
mod lag;
mod link;
mod master;
mod overflow;
mod payload;
mod rdb_pipe;
mod replica;
mod resume;
mod upstream;
mod wait;

pub(crate) use failover::FailoverRequest;
pub(crate) use wait::WAITAOF_WITHOUT_AOF;

/// An id as text: it may be whatever forty bytes a master sent.
fn id_text(id: &crate::wire::replication::replid::ReplId) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(id)
}
