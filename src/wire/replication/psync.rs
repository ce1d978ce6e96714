//! The master's side of PSYNC: may this replica go on where its history ends?
//!
//! Owns the rule, and the words upstream logs when the answer is no. Must not know clients, sockets, or how a full
//! resynchronisation is made. Source: masterTryPartialResynchronization of Redis 7.2.
//!
//! A history is named by an id and counted in bytes. A server that was promoted keeps the former name beside its own, valid
//! up to the byte where it left its master:
//!
//! ```text
//! former master   id A  1 ............... 100 | 101 .. 120      written by A after the promotion: nobody else has it
//! promoted        id A  1 ............... 100 |
//!                 id B  1 ............... 100 | 101 ...... 150
//!                                               ^ second_offset: the last byte that may be asked for by A's name
//! ```
//!
//! A replica of Redis 4 or later says that it knows of two names (`capa psync2`), and is told the present one when it goes on.
//! An older one cannot be told. It would go on under a name that another server may use for other bytes, and be told there
//! to go on as well: to the second name it is therefore refused.
//!
//! Invariant: a replica that is told to go on has, byte for byte, what the master has before the offset asked for.

use crate::wire::replication::backlog::ReplicationLog;
use crate::wire::replication::replid::ReplId;

/// By which names, and how far, a server knows its stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History<'a> {
    pub replid: &'a ReplId,
    /// The name before the last promotion; all '0' when there is none.
    pub replid2: &'a ReplId,
    /// The last offset that may be asked for by the second name (second_replid_offset); -1: none.
    pub second_offset: i64,
}

/// Why a replica cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It asked for nothing: it has no history.
    FullResyncRequested,
    /// Its history is none of ours.
    UnknownId,
    /// It is the one before the last promotion, and the replica has more of it than we had.
    BeyondSecondId,
    /// It is that one, and the replica cannot be told what the history is called now.
    CannotBeRenamed,
    /// The bytes are not kept any more, or were never kept.
    LackOfBacklog,
    /// It has more than there is.
    AheadOfMaster,
}

impl History<'_> {
    /// Whether the stream may go on at `offset`, the first byte that the replica has not got, in the history `asked`; `psync2`:
    /// it can be told another name for it.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn try_partial(
        &self,
        log: &ReplicationLog,
        asked: &[u8],
        offset: i64,
        psync2: bool,
    ) -> Result<(), Refusal> {
        if !asked.eq_ignore_ascii_case(self.replid) {
            if asked.first() == Some(&b'?') {
                return Err(Refusal::FullResyncRequested);
            }
            if !asked.eq_ignore_ascii_case(self.replid2) {
                return Err(Refusal::UnknownId);
            }
            if offset > self.second_offset {
                return Err(Refusal::BeyondSecondId);
            }
            if !psync2 {
                return Err(Refusal::CannotBeRenamed);
            }
        }
        if log.can_serve(offset) {
            Ok(())
        } else if offset > log.master_repl_offset() {
            Err(Refusal::AheadOfMaster)
        } else {
            Err(Refusal::LackOfBacklog)
        }
    }

    /// What upstream logs about a refusal; `name` is the replica's.
    pub(crate) fn log_refusal(
        &self,
        why: Refusal,
        name: &str,
        asked: &[u8],
        offset: i64,
    ) -> String {
        let text = String::from_utf8_lossy;
        match why {
            Refusal::FullResyncRequested => format!("Full resync requested by replica {name}"),
            Refusal::UnknownId => format!(
                "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{}', my replication \
                 IDs are '{}' and '{}')",
                text(asked),
                text(self.replid),
                text(self.replid2)
            ),
            Refusal::BeyondSecondId => format!(
                "Partial resynchronization not accepted: Requested offset for second ID was {offset}, but I can reply up \
                 to {}",
                self.second_offset
            ),
            Refusal::CannotBeRenamed => format!(
                "Partial resynchronization not accepted: Replica {name} asked for '{}', which is '{}' now, and it can't change \
                 its replication ID",
                text(asked),
                text(self.replid)
            ),
            Refusal::LackOfBacklog | Refusal::AheadOfMaster => format!(
                "Unable to partial resync with replica {name} for lack of backlog (Replica request was: {offset})."
            ),
        }
    }
}

#[cfg(test)]
#[path = "psync_tests.rs"]
mod tests;
