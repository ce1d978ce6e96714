//! Who fails a master over: by epochs and votes, as in Raft. A Sentinel asks the others whether they hold the master for down,
//! and, once it has begun a failover, for their votes, each of which is given once an epoch, to who asks first.

use std::collections::BTreeMap;

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::sentinel::instance::{Expected, FailoverState, Flags, InstanceId, is_id};
use crate::sentinel::state::Sentinel;
use crate::server::Server;
use crate::server_log;
use crate::wire::reply::Reply;

/// Milliseconds at random, so that not all Sentinels begin at the same time (SENTINEL_MAX_DESYNC).
pub(super) const SENTINEL_MAX_DESYNC: u64 = 1000;

/// Votes by id.
#[derive(Debug, Default)]
struct Votes(BTreeMap<String, u32>);

impl Votes {
    fn add(&mut self, id: &str) {
        *self.0.entry(id.into()).or_default() += 1;
    }

    /// Who has most; of several the first by id.
    fn leading(&self) -> Option<(&str, u32)> {
        let mut best: Option<(&str, u32)> = None;
        for (id, n) in &self.0 {
            if best.is_none_or(|(_, most)| *n > most) {
                best = Some((id, *n));
            }
        }
        best
    }

    /// Who has won: a majority of all voters, and no fewer than the quorum.
    fn winner(&self, voters: usize, quorum: u32) -> Option<&str> {
        let (id, votes) = self.leading()?;
        let majority = voters / 2 + 1;
        (usize::try_from(votes).is_ok_and(|n| n >= majority) && votes >= quorum).then_some(id)
    }
}

impl Sentinel {
    /// Asks all other Sentinels what they think of the master, and, during a failover, for their votes
    /// (sentinelAskMasterStateToOtherSentinels). Without `forced`, not before the ask period is over.
    pub(super) fn ask_master_state_to_other_sentinels(
        &mut self,
        server: &mut Server,
        m: InstanceId,
        forced: bool,
    ) {
        let host = self.announced(&self[m].addr).to_string();
        let port = self[m].addr.port.to_string();
        for id in self[m].sentinels.values().copied().collect::<Vec<_>>() {
            let elapsed = mstime() - self[id].last_master_down_reply_time;
            // What was said long ago does not count.
            if elapsed > self.periods.ask.saturating_mul(5) {
                self[id].flags.remove(Flags::MASTER_DOWN);
                self[id].leader = None;
            }
            if !self[m].has(Flags::S_DOWN)
                || self.link(id).disconnected
                || !forced && elapsed < self.periods.ask
            {
                continue;
            }
            let epoch = self.current_epoch.to_string();
            let voter = match self[m].failover_state {
                FailoverState::None => "*".to_string(),
                _ => self.myid.clone(),
            };
            let words: [&[u8]; 6] = [
                b"SENTINEL",
                b"is-master-down-by-addr",
                host.as_bytes(),
                port.as_bytes(),
                epoch.as_bytes(),
                voter.as_bytes(),
            ];
            self.send(server, id, Expected::IsMasterDown, &words);
        }
    }

    /// sentinelReceiveIsMasterDownReply.
    pub(super) fn receive_is_master_down_reply(&mut self, id: InstanceId, reply: &Reply) {
        let Reply::Array(parts) = reply else {
            return;
        };
        let [
            Reply::Integer(down),
            Reply::Bulk(leader),
            Reply::Integer(epoch),
        ] = &parts[..]
        else {
            return;
        };
        let i = &mut self[id];
        i.last_master_down_reply_time = mstime();
        i.flags.set(Flags::MASTER_DOWN, *down == 1);
        let leader = std::str::from_utf8(leader).ok().filter(|id| is_id(id));
        if let Some(leader) = leader.filter(|l| *l != "*")
            && let Ok(epoch) = u64::try_from(*epoch)
        {
            if i.leader_epoch != epoch {
                server_log!(Level::Notice, "{} voted for {} {}", i.name, leader, epoch);
            }
            i.leader = Some(leader.into());
            i.leader_epoch = epoch;
        }
    }

    /// Votes for `req_runid`, if this epoch's vote was not given yet; returns whom it was given to, and in which epoch
    /// (sentinelVoteLeader). The file has it before anybody is told.
    pub(super) fn vote_leader(
        &mut self,
        server: &mut Server,
        m: InstanceId,
        req_epoch: u64,
        req_runid: &str,
    ) -> (Option<String>, u64) {
        if req_epoch > self.current_epoch {
            self.current_epoch = req_epoch;
            self.flush_config(server);
            self.event(
                server,
                Level::Warning,
                "+new-epoch",
                Some(m),
                &req_epoch.to_string(),
            );
        }
        if self[m].leader_epoch < req_epoch && self.current_epoch <= req_epoch {
            self[m].leader = Some(req_runid.into());
            self[m].leader_epoch = self.current_epoch;
            self.flush_config(server);
            let text = format!("{req_runid} {}", self.current_epoch);
            self.event(server, Level::Warning, "+vote-for-leader", Some(m), &text);
            // Who votes for another gives that one the time to do it.
            if !req_runid.eq_ignore_ascii_case(&self.myid) {
                self[m].failover_start_time = mstime() + desync(server);
            }
        }
        (self[m].leader.clone(), self[m].leader_epoch)
    }

    /// Who has been elected for this epoch, so far (sentinelGetLeader). Our own vote is given here: to who has most, or to us.
    pub(super) fn get_leader(
        &mut self,
        server: &mut Server,
        m: InstanceId,
        epoch: u64,
    ) -> Option<String> {
        let mut votes = Votes::default();
        let voters = self[m].sentinels.len() + 1;
        for s in self[m].sentinels.values() {
            if let Some(leader) = &self[*s].leader
                && self[*s].leader_epoch == self.current_epoch
            {
                votes.add(leader);
            }
        }
        let candidate = votes
            .leading()
            .map_or_else(|| self.myid.clone(), |(id, _)| id.to_string());
        let (vote, vote_epoch) = self.vote_leader(server, m, epoch, &candidate);
        if let Some(vote) = vote
            && vote_epoch == epoch
        {
            votes.add(&vote);
        }
        votes.winner(voters, self[m].quorum).map(Into::into)
    }
}

/// Milliseconds from 0 to SENTINEL_MAX_DESYNC.
pub(super) fn desync(server: &mut Server) -> i64 {
    server.rng.below(SENTINEL_MAX_DESYNC).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(for_whom: &[&str]) -> Votes {
        let mut v = Votes::default();
        for id in for_whom {
            v.add(id);
        }
        v
    }

    #[test]
    fn a_majority_wins_and_no_less_than_the_quorum() {
        assert_eq!(votes(&["a", "a", "b"]).winner(3, 2), Some("a"));
        assert_eq!(votes(&["a", "b"]).winner(3, 2), None);
        assert_eq!(votes(&["a", "a"]).winner(5, 2), None);
        assert_eq!(votes(&["a", "a", "a"]).winner(5, 4), None);
        assert_eq!(votes(&["a", "a", "a", "a"]).winner(5, 4), Some("a"));
        assert_eq!(votes(&["a", "a"]).winner(4, 1), None);
        assert_eq!(votes(&["a"]).winner(1, 1), Some("a"));
        assert_eq!(votes(&[]).winner(1, 1), None);
    }

    #[test]
    fn the_first_of_equals_leads() {
        assert_eq!(votes(&["b", "a"]).leading(), Some(("a", 1)));
        assert_eq!(votes(&["b", "a", "b"]).leading(), Some(("b", 2)));
    }
}
