//! What a Sentinel tells those who look at it other than by commands: metrics.

use crate::base::clock::mstime;
use crate::sentinel::instance::{Flags, InstanceId};
use crate::sentinel::state::Sentinel;
use crate::server::Server;
use crate::server::measures::watched::WatchedMaster;

impl Sentinel {
    fn watched(&self, id: InstanceId) -> WatchedMaster {
        let m = &self[id];
        let is_up = |id: &&InstanceId| !self[**id].has(Flags::S_DOWN | Flags::O_DOWN);
        let announced = |id: &&InstanceId| self[**id].replica_announced;
        let quorum = self.quorum_status(id);
        WatchedMaster {
            name: m.name.clone(),
            address: format!("{}:{}", self.announced(&m.addr), m.addr.port),
            status: m.status(),
            slaves: m.slaves.len(),
            ok_slaves: m.slaves.values().filter(announced).filter(is_up).count(),
            sentinels: m.sentinels.len() + 1,
            ok_sentinels: self.usable_sentinels(id),
            quorum_reachable: quorum.is_ok(),
            quorum_text: quorum.unwrap_or_else(|why| why),
            quorum: m.quorum,
            failover_timeout_ms: m.failover_timeout,
            parallel_syncs: m.parallel_syncs,
            down_after_ms: m.down_after_period,
            config_epoch: m.config_epoch,
            last_ok_ping_ms: mstime() - self.link(id).last_avail_time,
        }
    }
}

impl Server {
    /// Masters that this Sentinel watches, by name, the `n` behind the first `skip`; none where it is no Sentinel.
    pub(crate) fn sentinel_watched(&self, skip: usize, n: usize) -> Vec<WatchedMaster> {
        let Some(s) = &self.sentinel else {
            return Vec::new();
        };
        let ids = s.masters.values().skip(skip).take(n);
        ids.map(|id| s.watched(*id)).collect()
    }
}
