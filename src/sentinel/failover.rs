//! A master is replaced: the states, their timeouts, and the choice of the replica. The head of `sentinel` has a diagram.
//!
//! Invariants: `promoted_slave` is set from `SendSlaveofNoone` on, unless that replica is gone; up to the promotion a failover
//! can be given up and nothing has changed; from then on the new configuration has its epoch, is in the file, and wins.

use std::cmp::Ordering;

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::sentinel::election::desync;
use crate::sentinel::instance::{
    Address, Expected, FailoverState, FailoverTimes, Flags, Instance, InstanceId, Kind, Role,
};
use crate::sentinel::state::Sentinel;
use crate::server::Server;
use crate::server_log;
use crate::wire::reply::Reply;

/// Milliseconds from the end of a hand-over to when it must be known what came of it: INFO comes once a second.
const HANDOVER_SLACK: i64 = 5000;

/// Why a replica is no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    Down,
    Disconnected,
    /// Its last good answer to PING is this many milliseconds old.
    Silent(i64),
    /// Its priority is 0.
    Excluded,
    /// Its last INFO is this old; None: there was none.
    OldInfo(Option<i64>),
    /// It has been without its master for so long, where that many milliseconds are allowed.
    LinkDown(i64, i64),
}

/// Which of two candidates is the better one: by priority, by what it has of the master's data, by its id, so that all choose
/// the same (compareSlavesForPromotion).
fn compare_slaves_for_promotion(a: &Instance, b: &Instance) -> Ordering {
    a.slave_priority
        .cmp(&b.slave_priority)
        .then(b.slave_repl_offset.cmp(&a.slave_repl_offset))
        .then_with(|| match (&a.runid, &b.runid) {
            (Some(a), Some(b)) => a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()),
            (a, b) => b.is_some().cmp(&a.is_some()),
        })
}

impl Sentinel {
    /// Whether a replica can be promoted now.
    ///
    /// # Errors
    /// The first reason why not.
    pub(super) fn is_fit(&self, m: InstanceId, slave: InstanceId) -> Result<(), Unfit> {
        let now = mstime();
        let (master, s, link) = (&self[m], &self[slave], self.link(slave));
        let master_is_down = master.has(Flags::S_DOWN);
        if s.has(Flags::S_DOWN | Flags::O_DOWN) {
            return Err(Unfit::Down);
        }
        if link.disconnected {
            return Err(Unfit::Disconnected);
        }
        let silent = now - link.last_avail_time;
        if silent > self.periods.ping.saturating_mul(5) {
            return Err(Unfit::Silent(silent));
        }
        if s.slave_priority == 0 {
            return Err(Unfit::Excluded);
        }
        // INFO comes more often while the master is down.
        let validity = if master_is_down {
            self.periods.ping.saturating_mul(5)
        } else {
            self.periods.info.saturating_mul(3)
        };
        let age = now - s.info_refresh;
        if age > validity {
            return Err(Unfit::OldInfo((s.info_refresh != 0).then_some(age)));
        }
        let mut allowed = master.down_after_period.saturating_mul(10);
        if master_is_down {
            allowed = allowed.saturating_add(now - master.s_down_since_time);
        }
        if s.master_link_down_time > allowed {
            return Err(Unfit::LinkDown(s.master_link_down_time, allowed));
        }
        Ok(())
    }

    /// The best of those that can be promoted (sentinelSelectSlave).
    pub(super) fn select_slave(&self, m: InstanceId) -> Option<InstanceId> {
        let all = self[m].slaves.values().copied();
        all.filter(|s| self.is_fit(m, *s).is_ok())
            .min_by(|a, b| compare_slaves_for_promotion(&self[*a], &self[*b]))
    }

    /// Tells a server whom to follow, or that it is a master; its clients are closed, so that they ask again where the master
    /// is (sentinelSendSlaveOf). False: it cannot be told.
    pub(super) fn send_slave_of(
        &mut self,
        server: &mut Server,
        id: InstanceId,
        master: Option<&Address>,
    ) -> bool {
        let (host, port) = match master {
            Some(addr) => (self.announced(addr).to_string(), addr.port.to_string()),
            None => ("NO".into(), "ONE".into()),
        };
        let words: [&[&[u8]]; 6] = [
            &[b"MULTI"],
            &[b"SLAVEOF", host.as_bytes(), port.as_bytes()],
            &[b"CONFIG", b"REWRITE"],
            &[b"CLIENT", b"KILL", b"TYPE", b"normal"],
            &[b"CLIENT", b"KILL", b"TYPE", b"pubsub"],
            &[b"EXEC"],
        ];
        words
            .iter()
            .all(|w| self.send(server, id, Expected::Nothing, w))
    }

    /// Begins a failover (sentinelStartFailover).
    pub(super) fn start_failover(&mut self, server: &mut Server, m: InstanceId) {
        self.current_epoch = self.current_epoch.saturating_add(1);
        let epoch = self.current_epoch;
        let now = mstime();
        let i = &mut self[m];
        i.failover_state = FailoverState::WaitStart;
        i.flags |= Flags::FAILOVER_IN_PROGRESS;
        i.failover_epoch = epoch;
        i.failover_times = FailoverTimes {
            started: now,
            ..FailoverTimes::default()
        };
        let text = epoch.to_string();
        self.event(server, Level::Warning, "+new-epoch", Some(m), &text);
        self.event_of(server, Level::Warning, "+try-failover", m, "");
        self[m].failover_start_time = now + desync(server);
        self[m].failover_state_change_time = now;
    }

    /// Milliseconds from now before which no failover of this master is begun; not more than 0: one may be.
    pub(super) fn failover_cooldown(&self, m: InstanceId) -> i64 {
        let m = &self[m];
        let end = m
            .failover_start_time
            .saturating_add(m.failover_timeout.saturating_mul(2));
        end - mstime()
    }

    /// Begins a failover if the master is down for enough Sentinels, none is under way, and none was begun lately; true if so
    /// (sentinelStartFailoverIfNeeded).
    pub(super) fn start_failover_if_needed(&mut self, server: &mut Server, m: InstanceId) -> bool {
        if !self[m].has(Flags::O_DOWN) || self[m].has(Flags::FAILOVER_IN_PROGRESS) {
            return false;
        }
        let cooldown = self.failover_cooldown(m);
        if cooldown > 0 {
            let i = &mut self[m];
            if i.failover_delay_logged != i.failover_start_time {
                i.failover_delay_logged = i.failover_start_time;
                server_log!(
                    Level::Notice,
                    "Next failover delay: I will not start a failover before {}",
                    crate::base::log::ctime((mstime() + cooldown) / 1000)
                );
            }
            return false;
        }
        self.start_failover(server, m);
        true
    }

    fn enter(&mut self, m: InstanceId, state: FailoverState) {
        self[m].failover_state = state;
        self[m].failover_state_change_time = mstime();
    }

    fn time_in_state(&self, m: InstanceId) -> i64 {
        mstime() - self[m].failover_state_change_time
    }

    /// One step of a failover under way (sentinelFailoverStateMachine).
    pub(super) fn failover_state_machine(&mut self, server: &mut Server, m: InstanceId) {
        if !self[m].has(Flags::FAILOVER_IN_PROGRESS) {
            return;
        }
        if self[m].has(Flags::COORDINATED)
            && self[m].has(Flags::O_DOWN)
            && self[m].failover_state < FailoverState::ReconfSlaves
        {
            // It is not to begin when it is back. A failover that does without it may begin at once.
            self.event_of(server, Level::Warning, "-failover-abort-master-down", m, "");
            self.send_handover_abort(server, m);
            self.abort_failover(m, "the master is down and cannot hand over");
            self[m].failover_start_time = 0;
            return;
        }
        match self[m].failover_state {
            FailoverState::WaitStart => self.failover_wait_start(server, m),
            FailoverState::SelectSlave => self.failover_select_slave(server, m),
            FailoverState::SendSlaveofNoone => self.failover_send_slave_of_no_one(server, m),
            FailoverState::WaitPromotion => self.failover_wait_promotion(server, m),
            FailoverState::ReconfSlaves => self.failover_reconf_next_slave(server, m),
            FailoverState::None | FailoverState::UpdateConfig => {}
        }
    }

    fn failover_wait_start(&mut self, server: &mut Server, m: InstanceId) {
        let leader = self.get_leader(server, m, self[m].failover_epoch);
        let elected = leader.is_some_and(|l| l.eq_ignore_ascii_case(&self.myid));
        if !elected && !self[m].has(Flags::FORCE_FAILOVER) {
            let timeout = self.periods.election_timeout.min(self[m].failover_timeout);
            if mstime() - self[m].failover_start_time > timeout {
                self.event_of(server, Level::Warning, "-failover-abort-not-elected", m, "");
                self.abort_failover(m, "not elected");
            }
            return;
        }
        self.event_of(server, Level::Warning, "+elected-leader", m, "");
        if self.simulated.crash_after_election {
            self.sim_failure_crash();
        }
        self[m].failover_times.elected = mstime();
        self.enter(m, FailoverState::SelectSlave);
        self.event_of(
            server,
            Level::Warning,
            "+failover-state-select-slave",
            m,
            "",
        );
    }

    fn failover_select_slave(&mut self, server: &mut Server, m: InstanceId) {
        let Some(slave) = self.select_slave(m) else {
            self.event_of(
                server,
                Level::Warning,
                "-failover-abort-no-good-slave",
                m,
                "",
            );
            return self.abort_failover(m, "no suitable replica");
        };
        self.event_of(server, Level::Warning, "+selected-slave", slave, "");
        self[slave].flags |= Flags::PROMOTED;
        self[m].promoted_slave = Some(slave);
        self[m].failover_times.selected = mstime();
        self.enter(m, FailoverState::SendSlaveofNoone);
        let event = "+failover-state-send-slaveof-noone";
        self.event_of(server, Level::Notice, event, slave, "");
    }

    fn failover_send_slave_of_no_one(&mut self, server: &mut Server, m: InstanceId) {
        let Some(slave) = self[m].promoted_slave else {
            self.event_of(
                server,
                Level::Warning,
                "-failover-abort-no-good-slave",
                m,
                "",
            );
            return self.abort_failover(m, "the selected replica is gone");
        };
        let sent = if self.link(slave).disconnected {
            false
        } else if self[m].has(Flags::COORDINATED) {
            self.send_handover(server, m, slave)
        } else {
            self.send_slave_of(server, slave, None)
        };
        if !sent {
            if self.time_in_state(m) > self[m].failover_timeout {
                self.event_of(
                    server,
                    Level::Warning,
                    "-failover-abort-slave-timeout",
                    m,
                    "",
                );
                self.abort_failover(m, "nobody was there to be told in time");
            }
            return;
        }
        let event = "+failover-state-wait-promotion";
        self.event_of(server, Level::Notice, event, slave, "");
        self[m].failover_times.sent = mstime();
        self.enter(m, FailoverState::WaitPromotion);
    }

    /// Lets the master hand over by itself (`FAILOVER TO`): it pauses its writers, waits until the replica has all, and
    /// changes roles with it.
    fn send_handover(&mut self, server: &mut Server, m: InstanceId, slave: InstanceId) -> bool {
        let addr = &self[slave].addr;
        let (host, port) = (self.announced(addr).to_string(), addr.port.to_string());
        let timeout = self.handover_timeout(m).to_string();
        let words: [&[u8]; 6] = [
            b"FAILOVER",
            b"TO",
            host.as_bytes(),
            port.as_bytes(),
            b"TIMEOUT",
            timeout.as_bytes(),
        ];
        self.send(server, m, Expected::Handover, &words)
    }

    /// Milliseconds for which a master may keep its writers waiting: no longer than it takes to be down, or other Sentinels, whose
    /// PUBLISH waits as well, would replace it meanwhile by a replica that has not all.
    fn handover_timeout(&self, m: InstanceId) -> i64 {
        let m = &self[m];
        m.failover_timeout.min(m.down_after_period)
    }

    /// The master has been told to hand over, and it is not known what came of it.
    pub(super) fn is_handing_over(&self, m: InstanceId) -> bool {
        let m = &self[m];
        m.has(Flags::COORDINATED) && m.failover_state == FailoverState::WaitPromotion
    }

    fn send_handover_abort(&mut self, server: &mut Server, m: InstanceId) {
        let words: [&[u8]; 2] = [b"FAILOVER", b"ABORT"];
        self.send(server, m, Expected::Nothing, &words);
    }

    /// What the master says to `FAILOVER TO`.
    pub(super) fn handover_reply(&mut self, server: &mut Server, m: InstanceId, reply: &Reply) {
        let Reply::Error(text) = reply else {
            return;
        };
        if !self.is_handing_over(m) {
            return;
        }
        let more = format!(
            " #{}",
            String::from_utf8_lossy(&text[..text.len().min(200)])
        );
        self.event_of(server, Level::Warning, "-failover-abort-refused", m, &more);
        self.abort_failover(m, "the master refused to hand over");
    }

    fn failover_wait_promotion(&mut self, server: &mut Server, m: InstanceId) {
        let gone = self[m].promoted_slave.is_none();
        let mut timeout = self[m].failover_timeout;
        if self[m].has(Flags::COORDINATED) {
            // By then it has handed over or given up, and the replica's INFO has come.
            let told = self.handover_timeout(m);
            timeout = timeout.min(told.saturating_add(HANDOVER_SLACK));
        }
        if !gone && self.time_in_state(m) <= timeout {
            return;
        }
        self.event_of(
            server,
            Level::Warning,
            "-failover-abort-slave-timeout",
            m,
            "",
        );
        if self[m].has(Flags::COORDINATED) {
            // Writers are not to wait for what will not come.
            self.send_handover_abort(server, m);
        }
        self.abort_failover(m, "the promotion was not seen in time");
    }

    /// The replica says that it is a master: the new configuration is made.
    pub(super) fn slave_is_promoted(&mut self, server: &mut Server, id: InstanceId, m: InstanceId) {
        self[m].config_epoch = self[m].failover_epoch;
        self[m].failover_times.promoted = mstime();
        self.enter(m, FailoverState::ReconfSlaves);
        self.flush_config(server);
        self.event_of(server, Level::Warning, "+promoted-slave", id, "");
        if self.simulated.crash_after_promotion {
            self.sim_failure_crash();
        }
        self.event_of(
            server,
            Level::Warning,
            "+failover-state-reconf-slaves",
            m,
            "",
        );
        let (old, new) = (self[m].addr.clone(), self[id].addr.clone());
        self.call_client_reconf_script(m, "leader", &old, &new);
        self.force_hello_update_for_master(m);
        if self[m].has(Flags::COORDINATED) {
            self.keep_roles(server, id);
            self.keep_roles(server, m);
        }
    }

    /// FAILOVER has changed a server's role, but neither its file nor its clients know: what is told else with the role.
    fn keep_roles(&mut self, server: &mut Server, id: InstanceId) {
        let words: [&[&[u8]]; 3] = [
            &[b"CONFIG", b"REWRITE"],
            &[b"CLIENT", b"KILL", b"TYPE", b"normal"],
            &[b"CLIENT", b"KILL", b"TYPE", b"pubsub"],
        ];
        for w in words {
            self.send(server, id, Expected::Nothing, w);
        }
    }

    /// Sends the others to the new master, a few at a time (sentinelFailoverReconfNextSlave).
    fn failover_reconf_next_slave(&mut self, server: &mut Server, m: InstanceId) {
        let slaves: Vec<InstanceId> = self[m].slaves.values().copied().collect();
        let busy = Flags::RECONF_SENT | Flags::RECONF_INPROG;
        let mut in_progress = slaves.iter().filter(|s| self[**s].has(busy)).count();
        let at_a_time = usize::try_from(self[m].parallel_syncs).unwrap_or(0);
        let new = self[m].promoted_slave.map(|p| self[p].addr.clone());
        for s in slaves {
            if in_progress >= at_a_time {
                break;
            }
            if self[s].has(Flags::PROMOTED | Flags::RECONF_DONE) {
                continue;
            }
            if self[s].has(Flags::RECONF_SENT)
                && mstime() - self[s].slave_reconf_sent_time > self.periods.slave_reconf_timeout
            {
                self.event_of(server, Level::Notice, "-slave-reconf-sent-timeout", s, "");
                self[s].flags.remove(Flags::RECONF_SENT);
                self[s].flags |= Flags::RECONF_DONE;
                continue;
            }
            if self[s].has(busy) || self.link(s).disconnected {
                continue;
            }
            if let Some(new) = &new
                && self.send_slave_of(server, s, Some(new))
            {
                self[s].flags |= Flags::RECONF_SENT;
                self[s].slave_reconf_sent_time = mstime();
                self.event_of(server, Level::Notice, "+slave-reconf-sent", s, "");
                in_progress += 1;
            }
        }
        self.failover_detect_end(server, m);
    }

    /// Ends it when all have been sent, or the time is over (sentinelFailoverDetectEnd).
    fn failover_detect_end(&mut self, server: &mut Server, m: InstanceId) {
        let timed_out = self.time_in_state(m) > self[m].failover_timeout;
        let Some(promoted) = self[m].promoted_slave else {
            return;
        };
        if self[promoted].has(Flags::S_DOWN) {
            return;
        }
        let slaves: Vec<InstanceId> = self[m].slaves.values().copied().collect();
        let settled = Flags::PROMOTED | Flags::RECONF_DONE | Flags::S_DOWN;
        let all_settled = slaves.iter().all(|s| self[*s].has(settled));
        if timed_out {
            self.event_of(server, Level::Warning, "+failover-end-for-timeout", m, "");
        }
        if timed_out || all_settled {
            self.event_of(server, Level::Warning, "+failover-end", m, "");
            self.enter(m, FailoverState::UpdateConfig);
        }
        if !timed_out {
            return;
        }
        let new = self[promoted].addr.clone();
        for s in slaves {
            let sent = Flags::PROMOTED | Flags::RECONF_DONE | Flags::RECONF_SENT;
            if self[s].has(sent) || self.link(s).disconnected {
                continue;
            }
            if self.send_slave_of(server, s, Some(&new)) {
                self.event_of(server, Level::Notice, "+slave-reconf-sent-be", s, "");
                self[s].flags |= Flags::RECONF_SENT;
            }
        }
    }

    /// The replica takes the master's place in our configuration (sentinelFailoverSwitchToPromotedSlave).
    pub(super) fn failover_switch_to_promoted_slave(&mut self, server: &mut Server, m: InstanceId) {
        let new = self[self[m].promoted_slave.unwrap_or(m)].addr.clone();
        let old = &self[m].addr;
        let text = format!(
            "{} {} {} {} {}",
            self[m].name,
            self.announced(old),
            old.port,
            self.announced(&new),
            new.port
        );
        self.event(server, Level::Warning, "+switch-master", Some(m), &text);
        self.log_failover_times(m, "done");
        self.reset_master_and_change_address(server, m, &new.hostname, i64::from(new.port));
    }

    /// Gives up; nothing has been promoted (sentinelAbortFailover).
    pub(super) fn abort_failover(&mut self, m: InstanceId, why: &str) {
        self.log_failover_times(m, why);
        let flags = Flags::FAILOVER_IN_PROGRESS | Flags::FORCE_FAILOVER | Flags::COORDINATED;
        self[m].flags.remove(flags);
        self.enter(m, FailoverState::None);
        if let Some(slave) = self[m].promoted_slave.take() {
            self[slave].flags.remove(Flags::PROMOTED);
        }
    }

    /// One line on how long each phase took.
    fn log_failover_times(&self, m: InstanceId, how: &str) {
        let text = phases(&self[m].failover_times, mstime());
        server_log!(
            Level::Notice,
            "Failover of '{}' in epoch {}: {}, {}",
            self[m].name,
            self[m].failover_epoch,
            how,
            text
        );
    }

    /// SENTINEL SIMULATE-FAILURE (sentinelSimFailureCrash).
    fn sim_failure_crash(&self) {
        server_log!(
            Level::Warning,
            "Sentinel CRASH because of SENTINEL simulate-failure"
        );
        std::process::exit(99);
    }

    /// Forgets what is known of a master but its place; of its Sentinels too, if `sentinels` (sentinelResetMaster).
    pub(super) fn reset_master(&mut self, server: &mut Server, m: InstanceId, sentinels: bool) {
        let mut gone: Vec<InstanceId> = self[m].slaves.values().copied().collect();
        if sentinels {
            gone.extend(self[m].sentinels.values());
        }
        for id in gone {
            let link = self.take_instance(id);
            self.close_link(server, link);
        }
        self.close_connections(server, m);
        let now = mstime();
        let i = &mut self[m];
        i.flags = Flags::empty();
        i.leader = None;
        i.failover_state = FailoverState::None;
        i.failover_state_change_time = 0;
        i.failover_start_time = 0;
        i.promoted_slave = None;
        i.runid = None;
        i.slave_master_host = None;
        i.role_reported_time = now;
        i.role_reported = Role::Master;
        let link = self.link_mut(m);
        link.act_ping_time = now;
        link.last_ping_time = 0;
        link.last_avail_time = now;
        link.last_pong_time = now;
    }

    /// The master is elsewhere now; where it was is taken for a replica (sentinelResetMasterAndChangeAddress). The file is
    /// written.
    pub(super) fn reset_master_and_change_address(
        &mut self,
        server: &mut Server,
        m: InstanceId,
        host: &str,
        port: i64,
    ) {
        let Ok(new) = self.address(host, port, false) else {
            return;
        };
        let slaves = self[m].slaves.values().map(|s| &self[*s].addr);
        let mut places: Vec<Address> = slaves.filter(|a| !a.is_same(&new)).cloned().collect();
        if !new.is_same(&self[m].addr) {
            places.push(self[m].addr.clone());
        }
        self.reset_master(server, m, false);
        self[m].addr = new;
        self[m].o_down_since_time = 0;
        self[m].s_down_since_time = 0;
        let quorum = self[m].quorum;
        for place in places {
            let at = (&place.hostname[..], i64::from(place.port));
            if let Ok(slave) = self.create_instance(Kind::Slave, "", at, quorum, Some(m)) {
                self.event_of(server, Level::Notice, "+slave", slave, "");
            }
        }
        self.flush_config(server);
    }
}

/// How long each phase took that was entered, in ms.
fn phases(t: &FailoverTimes, now: i64) -> String {
    let steps = [
        ("election", t.started, t.elected),
        ("selection", t.elected, t.selected),
        ("command", t.selected, t.sent),
        ("promotion", t.sent, t.promoted),
        ("reconfiguration", t.promoted, 0),
    ];
    let mut text = String::new();
    for (name, from, to) in steps {
        if from == 0 {
            break;
        }
        let to = if to == 0 { now } else { to };
        text.push_str(&format!("{name} {} ms, ", to - from));
    }
    format!("{text}in all {} ms", now - t.started)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: (&str, i64) = ("127.0.0.1", 6379);

    /// A master with replicas that are all fit, and equal.
    fn made(replicas: i64) -> (Sentinel, InstanceId, Vec<InstanceId>) {
        let mut s = Sentinel::default();
        let m = s.create_instance(Kind::Master, "m", HERE, 2, None).unwrap();
        let mut all = Vec::new();
        for n in 0..replicas {
            let at = ("127.0.0.1", 7000 + n);
            let r = s.create_instance(Kind::Slave, "", at, 2, Some(m)).unwrap();
            s.link_mut(r).disconnected = false;
            s[r].info_refresh = mstime();
            s[r].runid = Some(format!("{:040}", 100 - n));
            all.push(r);
        }
        (s, m, all)
    }

    #[test]
    fn the_best_replica_is_chosen() {
        let (mut s, m, r) = made(3);
        // By id, as everything else is equal.
        assert_eq!(s.select_slave(m), Some(r[2]));
        s[r[2]].runid = None;
        assert_eq!(s.select_slave(m), Some(r[1]));
        // What it has of the data counts more than its id.
        s[r[0]].slave_repl_offset = 9;
        assert_eq!(s.select_slave(m), Some(r[0]));
        // Its priority counts more than that.
        s[r[2]].slave_priority = 50;
        assert_eq!(s.select_slave(m), Some(r[2]));
        s[r[2]].slave_priority = 0;
        assert_eq!(s.is_fit(m, r[2]), Err(Unfit::Excluded));
        assert_eq!(s.select_slave(m), Some(r[0]));
    }

    #[test]
    fn replicas_that_are_no_candidates() {
        let (mut s, m, r) = made(6);
        let now = mstime();
        s[r[0]].flags |= Flags::S_DOWN;
        s.link_mut(r[1]).disconnected = true;
        s.link_mut(r[2]).last_avail_time = now - 6000;
        s[r[3]].info_refresh = 0;
        s[m].down_after_period = 100;
        s[r[4]].master_link_down_time = 2000;
        assert_eq!(s.is_fit(m, r[0]), Err(Unfit::Down));
        assert_eq!(s.is_fit(m, r[1]), Err(Unfit::Disconnected));
        assert!(matches!(s.is_fit(m, r[2]), Err(Unfit::Silent(n)) if n >= 6000));
        assert_eq!(s.is_fit(m, r[3]), Err(Unfit::OldInfo(None)));
        assert_eq!(s.is_fit(m, r[4]), Err(Unfit::LinkDown(2000, 1000)));
        assert_eq!(s.select_slave(m), Some(r[5]));
        // A master that is down has been so for a while: its replicas have been without it for that long.
        s[m].flags |= Flags::S_DOWN;
        s[m].s_down_since_time = now - 1500;
        assert_eq!(s.is_fit(m, r[4]), Ok(()));
        // And INFO must be newer.
        s[r[5]].info_refresh = now - 6000;
        assert!(matches!(s.is_fit(m, r[5]), Err(Unfit::OldInfo(Some(_)))));
    }

    #[test]
    fn periods_without_end_are_borne() {
        let (mut s, m, r) = made(1);
        let all: Vec<&str> = s.periods.all().iter().map(|p| p.0).collect();
        for name in all {
            *s.periods.by_name(name.as_bytes()).expect("a period") = i64::MAX;
        }
        s[m].down_after_period = i64::MAX;
        for down in [false, true] {
            s[m].flags.set(Flags::S_DOWN, down);
            assert_eq!(s.is_fit(m, r[0]), Ok(()));
        }
        assert_eq!(s.select_slave(m), Some(r[0]));
        s.force_hello_update_for_master(m);
    }

    #[test]
    fn phases_in_words() {
        let t = FailoverTimes {
            started: 1000,
            elected: 1500,
            selected: 1600,
            ..FailoverTimes::default()
        };
        assert_eq!(
            phases(&t, 2000),
            "election 500 ms, selection 100 ms, command 400 ms, in all 1000 ms"
        );
    }
}
