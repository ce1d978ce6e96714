//! `SENTINEL EXPLAIN`: whether a failover would happen now, and why not, in plain words.

use crate::base::clock::mstime;
use crate::sentinel::failover::Unfit;
use crate::sentinel::instance::{Flags, InstanceId};
use crate::sentinel::state::Sentinel;

impl Unfit {
    fn words(self) -> String {
        match self {
            Unfit::Down => "it is down".into(),
            Unfit::Disconnected => "this Sentinel is not connected to it".into(),
            Unfit::Silent(ms) => format!("its last good answer to PING came {ms} ms ago"),
            Unfit::Excluded => "its replica-priority is 0".into(),
            Unfit::OldInfo(None) => "it has not answered INFO yet".into(),
            Unfit::OldInfo(Some(ms)) => format!("its last answer to INFO came {ms} ms ago"),
            Unfit::LinkDown(ms, allowed) => {
                format!("it has been without its master for {ms} ms, and {allowed} are allowed")
            }
        }
    }
}

impl Sentinel {
    /// What would become of a failover, a line for each thing that it needs; the first one is the answer.
    pub(super) fn explain(&self, id: InstanceId) -> Vec<String> {
        let m = &self[id];
        let mut lines = Vec::new();
        let mut obstacles: Vec<&str> = Vec::new();
        if m.has(Flags::FAILOVER_IN_PROGRESS) {
            lines.push(format!(
                "failover: one is under way, in state {} for {} ms",
                m.failover_state.name(),
                mstime() - m.failover_state_change_time
            ));
            obstacles.push("one is under way");
        }
        if self.tilt {
            let left = self.periods.tilt - (mstime() - self.tilt_start_time);
            lines.push(format!(
                "tilt: this Sentinel does not trust its clock, and judges nothing for {} ms more",
                left.max(0)
            ));
            obstacles.push("this Sentinel is in TILT mode");
        }
        let agree = self.sentinels_that_agree(id);
        let (needs, down) = (m.quorum, m.has(Flags::S_DOWN));
        lines.push(if down {
            format!(
                "master: down for this Sentinel for {} ms; {agree} of {needs} Sentinels that the quorum needs agree",
                mstime() - m.s_down_since_time
            )
        } else {
            let silent = mstime() - self.link(id).last_avail_time;
            format!(
                "master: up; its last good answer to PING came {silent} ms ago, and it is down after {} ms",
                m.down_after_period
            )
        });
        if !down {
            obstacles.push("the master is up");
        } else if agree < needs {
            obstacles.push("too few Sentinels agree that the master is down");
        }
        let voters = m.sentinels.len() + 1;
        let usable = self.usable_sentinels(id);
        let majority = voters / 2 + 1;
        let votes = majority.max(usize::try_from(needs).unwrap_or(usize::MAX));
        lines.push(format!(
            "votes: {usable} of {voters} Sentinels can be reached; the quorum is {needs}, the majority {majority}"
        ));
        if usable < votes {
            obstacles.push("too few Sentinels can be reached to elect one");
        }
        let cooldown = self.failover_cooldown(id);
        if cooldown > 0 && !m.has(Flags::FAILOVER_IN_PROGRESS) {
            lines.push(format!(
                "cooldown: after the last attempt or vote, none is begun for {cooldown} ms more"
            ));
            obstacles.push("the last attempt was not long ago");
        }
        let chosen = self.select_slave(id);
        if chosen.is_none() {
            obstacles.push("no replica can be promoted");
        }
        for slave in m.slaves.values() {
            let s = &self[*slave];
            lines.push(match self.is_fit(id, *slave) {
                Ok(()) => format!(
                    "replica {}: {}; priority {}, offset {}",
                    s.name,
                    if chosen == Some(*slave) {
                        "it would be promoted"
                    } else {
                        "a candidate, behind the one that would be promoted"
                    },
                    s.slave_priority,
                    s.slave_repl_offset
                ),
                Err(why) => format!("replica {}: no candidate, since {}", s.name, why.words()),
            });
        }
        let answer = if obstacles.is_empty() {
            "A failover would begin now.".to_string()
        } else {
            format!("No failover begins now: {}.", obstacles.join("; "))
        };
        lines.insert(0, answer);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentinel::instance::Kind;

    #[test]
    fn reasons_are_named() {
        let mut s = Sentinel::default();
        let here = ("127.0.0.1", 6379);
        let m = s.create_instance(Kind::Master, "m", here, 2, None).unwrap();
        let at = ("127.0.0.1", 7000);
        let r = s.create_instance(Kind::Slave, "", at, 2, Some(m)).unwrap();
        let text = s.explain(m).join("\n");
        assert!(
            text.starts_with("No failover begins now: the master is up; too few"),
            "{text}"
        );
        assert!(text.contains(
            "replica 127.0.0.1:7000: no candidate, since this Sentinel is not connected"
        ));
        s[m].flags |= Flags::S_DOWN;
        s[m].quorum = 1;
        s[m].failover_start_time = mstime();
        s.link_mut(r).disconnected = false;
        s[r].info_refresh = mstime();
        let text = s.explain(m).join("\n");
        assert!(
            text.starts_with("No failover begins now: the last attempt was not long ago.\n"),
            "{text}"
        );
        s[m].failover_start_time = 0;
        let text = s.explain(m).join("\n");
        assert!(text.starts_with("A failover would begin now.\n"), "{text}");
        assert!(text.contains("it would be promoted"));
    }
}
