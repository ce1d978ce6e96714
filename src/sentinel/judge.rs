//! Who is down: for this Sentinel (S_DOWN), for enough of them (O_DOWN), and when this Sentinel does not trust its own clock
//! (TILT).

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::sentinel::instance::{Expected, Flags, InstanceId, Kind, Role};
use crate::sentinel::state::Sentinel;
use crate::server::Server;
use crate::wire::reply::Reply;

impl Sentinel {
    /// The timer has not run for too long, or the clock was set: nothing is judged for a while (sentinelCheckTiltCondition).
    pub(super) fn check_tilt_condition(&mut self, server: &mut Server) {
        let delta = mstime() - self.previous_time;
        if delta < 0 || delta > self.periods.tilt_trigger {
            self.tilt = true;
            self.tilt_start_time = mstime();
            self.event(server, Level::Warning, "+tilt", None, "#tilt mode entered");
        }
        self.previous_time = mstime();
    }

    /// True while nothing may be judged; ends TILT when its time is over.
    pub(super) fn is_tilted(&mut self, server: &mut Server) -> bool {
        if !self.tilt {
            return false;
        }
        if mstime() - self.tilt_start_time < self.periods.tilt {
            return true;
        }
        self.tilt = false;
        self.event(server, Level::Warning, "-tilt", None, "#tilt mode exited");
        false
    }

    /// PING is answered (sentinelPingReplyCallback).
    pub(super) fn ping_reply(&mut self, server: &mut Server, id: InstanceId, reply: &Reply) {
        let now = mstime();
        if let Reply::Status(text) | Reply::Error(text) = reply {
            let says = |word: &str| text.starts_with(word.as_bytes());
            if says("PONG") || says("LOADING") || says("MASTERDOWN") {
                let link = self.link_mut(id);
                link.last_avail_time = now;
                link.act_ping_time = 0;
                if says("PONG") {
                    self[id].flags.remove(Flags::MASTER_REBOOT);
                }
            } else if says("BUSY")
                && self[id].has(Flags::S_DOWN)
                && !self[id].has(Flags::SCRIPT_KILL_SENT)
            {
                // A script that only reads can be ended.
                let words: [&[u8]; 2] = [b"SCRIPT", b"KILL"];
                self.send(server, id, Expected::Nothing, &words);
                self[id].flags |= Flags::SCRIPT_KILL_SENT;
            }
        }
        self.link_mut(id).last_pong_time = now;
    }

    /// sentinelSendPing.
    pub(super) fn send_ping(&mut self, server: &mut Server, id: InstanceId) {
        if !self.send(server, id, Expected::Ping, &[b"PING"]) {
            return;
        }
        let now = mstime();
        let link = self.link_mut(id);
        link.last_ping_time = now;
        if link.act_ping_time == 0 {
            link.act_ping_time = now;
        }
    }

    /// Looks at what came of an instance, and what did not (sentinelCheckSubjectivelyDown).
    pub(super) fn check_subjectively_down(&mut self, server: &mut Server, id: InstanceId) {
        let now = mstime();
        let i = &self[id];
        let link = self.link(id);
        let elapsed = if link.act_ping_time != 0 {
            now - link.act_ping_time
        } else if link.disconnected {
            now - link.last_avail_time
        } else {
            0
        };
        let half = i.down_after_period / 2;
        // A connection on which nothing comes may be dead where a new one is not.
        let cc_is_dead = link.cc.is_some()
            && now - link.cc_conn_time > self.periods.min_link_reconnect
            && link.act_ping_time != 0
            && now - link.act_ping_time > half
            && now - link.last_pong_time > half;
        let pc_is_dead = link.pc.is_some()
            && now - link.pc_conn_time > self.periods.min_link_reconnect
            && now - link.pc_last_activity > self.periods.publish.saturating_mul(3);
        let is_slave_for_long = i.kind == Kind::Master
            && i.role_reported == Role::Slave
            && now - i.role_reported_time
                > (i.down_after_period).saturating_add(self.periods.info.saturating_mul(2));
        let loads_for_long = i.has(Flags::MASTER_REBOOT)
            && now - i.master_reboot_since_time > i.master_reboot_down_after_period;
        let down = elapsed > i.down_after_period || is_slave_for_long || loads_for_long;
        let was_down = i.has(Flags::S_DOWN);
        if cc_is_dead {
            self.close_commands(server, id);
        }
        if pc_is_dead {
            self.close_hello(server, id);
        }
        if down && !was_down {
            self.event_of(server, Level::Warning, "+sdown", id, "");
            self[id].s_down_since_time = now;
            self[id].flags |= Flags::S_DOWN;
        } else if was_down && !down {
            self.event_of(server, Level::Warning, "-sdown", id, "");
            self[id]
                .flags
                .remove(Flags::S_DOWN | Flags::SCRIPT_KILL_SENT);
        }
    }

    /// Counts who else says that the master is down (sentinelCheckObjectivelyDown).
    pub(super) fn check_objectively_down(&mut self, server: &mut Server, m: InstanceId) {
        let (agree, quorum) = (self.sentinels_that_agree(m), self[m].quorum);
        let down = self[m].has(Flags::S_DOWN) && agree >= quorum;
        let was_down = self[m].has(Flags::O_DOWN);
        if down && !was_down {
            let more = format!(" #quorum {agree}/{quorum}");
            self.event_of(server, Level::Warning, "+odown", m, &more);
            self[m].flags |= Flags::O_DOWN;
            self[m].o_down_since_time = mstime();
        } else if was_down && !down {
            self.event_of(server, Level::Warning, "-odown", m, "");
            self[m].flags.remove(Flags::O_DOWN);
        }
    }

    /// How many Sentinels say that the master is down, this one included.
    pub(super) fn sentinels_that_agree(&self, m: InstanceId) -> u32 {
        let others = self[m].sentinels.values();
        let agree = others.filter(|s| self[**s].has(Flags::MASTER_DOWN)).count();
        let own = usize::from(self[m].has(Flags::S_DOWN));
        u32::try_from(agree + own).unwrap_or(u32::MAX)
    }
}
