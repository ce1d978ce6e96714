//! All that a Sentinel keeps (sentinelState of sentinel.c), in its one place: `Server::sentinel`.
//!
//! Invariants: an id in a table of names, in `master` or in `promoted_slave` is of an instance that lives; an instance's link
//! lives as long as it does; a link has as many owners as its `refcount` says.
//!
//! While a Sentinel works, it is taken out of the server, so that both can be changed (`sentinel::with_sentinel`).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::{Index, IndexMut};
use std::process::Child;

use crate::base::clock::mstime;
use crate::sentinel::instance::{Address, CreateError, Instance, InstanceId, Kind, Link, LinkId};
use crate::sentinel::instance::{is_id, is_name};

/// Replicas of one master, and Sentinels of one, that are kept at the most: they come from what others say.
const MAX_KNOWN: usize = 4096;

macro_rules! periods {
    ($($field:ident $name:literal $shown:literal = $default:literal,)+) => {
        /// Periods and limits, milliseconds, which SENTINEL DEBUG shows and changes.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct Periods {
            $(pub $field: i64,)+
        }

        impl Default for Periods {
            fn default() -> Periods {
                Periods { $($field: $default,)+ }
            }
        }

        impl Periods {
            /// By the name that SENTINEL DEBUG takes, whatever its case.
            pub(crate) fn by_name(&mut self, name: &[u8]) -> Option<&mut i64> {
                $(if name.eq_ignore_ascii_case($name.as_bytes()) {
                    return Some(&mut self.$field);
                })+
                None
            }

            /// All, as SENTINEL DEBUG shows them.
            pub(crate) fn all(&self) -> Vec<(&'static str, i64)> {
                vec![$(($shown, self.$field),)+]
            }
        }
    };
}

periods! {
    info "info-period" "INFO-PERIOD" = 10_000,
    ping "ping-period" "PING-PERIOD" = 1_000,
    ask "ask-period" "ASK-PERIOD" = 1_000,
    publish "publish-period" "PUBLISH-PERIOD" = 2_000,
    default_down_after "default-down-after" "DEFAULT-DOWN-AFTER" = 30_000,
    default_failover_timeout "default-failover-timeout" "DEFAULT-FAILOVER-TIMEOUT" = 180_000,
    tilt_trigger "tilt-trigger" "TILT-TRIGGER" = 2_000,
    tilt "tilt-period" "TILT-PERIOD" = 30_000,
    slave_reconf_timeout "slave-reconf-timeout" "SLAVE-RECONF-TIMEOUT" = 10_000,
    min_link_reconnect "min-link-reconnect-period" "MIN-LINK-RECONNECT-PERIOD" = 15_000,
    election_timeout "election-timeout" "ELECTION-TIMEOUT" = 10_000,
    script_max_runtime "script-max-runtime" "SCRIPT-MAX-RUNTIME" = 60_000,
    script_retry_delay "script-retry-delay" "SCRIPT-RETRY-DELAY" = 30_000,
}

/// A script that is to be run, or runs (sentinelScriptJob).
pub(crate) struct ScriptJob {
    /// The path first.
    pub argv: Vec<Vec<u8>>,
    /// Runs so far.
    pub retry_num: u32,
    /// Unix milliseconds: of a running one its start, of another the earliest time of its next one.
    pub start_time: i64,
    pub child: Option<Child>,
    /// It was told to end, once.
    pub killed: bool,
}

/// SENTINEL SIMULATE-FAILURE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SimulatedFailures {
    pub crash_after_election: bool,
    pub crash_after_promotion: bool,
}

/// See the head of the file.
pub(crate) struct Sentinel {
    /// 40 hexadecimal characters; empty until there is one.
    pub myid: String,
    pub current_epoch: u64,
    pub masters: BTreeMap<String, InstanceId>,
    instances: HashMap<InstanceId, Instance>,
    links: HashMap<LinkId, Link>,
    next_id: u64,
    /// The clock cannot be trusted: nothing is judged.
    pub tilt: bool,
    /// Something was learned that the file has not: it gets it at the next turn of the timer, so that who sends much does not
    /// make it be written as often.
    pub unsaved: bool,
    /// Unix milliseconds, as the next one.
    pub tilt_start_time: i64,
    pub previous_time: i64,
    pub scripts: VecDeque<ScriptJob>,
    pub announce_ip: Option<String>,
    /// 0: the port of the server.
    pub announce_port: u16,
    pub simulated: SimulatedFailures,
    pub deny_scripts_reconfig: bool,
    /// For other Sentinels.
    pub auth_pass: Option<Vec<u8>>,
    pub auth_user: Option<Vec<u8>>,
    pub resolve_hostnames: bool,
    pub announce_hostnames: bool,
    pub periods: Periods,
}

impl Default for Sentinel {
    fn default() -> Sentinel {
        Sentinel {
            myid: String::new(),
            current_epoch: 0,
            masters: BTreeMap::new(),
            instances: HashMap::new(),
            links: HashMap::new(),
            next_id: 0,
            tilt: false,
            unsaved: false,
            tilt_start_time: 0,
            previous_time: mstime(),
            scripts: VecDeque::new(),
            announce_ip: None,
            announce_port: 0,
            simulated: SimulatedFailures::default(),
            deny_scripts_reconfig: true,
            auth_pass: None,
            auth_user: None,
            resolve_hostnames: false,
            announce_hostnames: false,
            periods: Periods::default(),
        }
    }
}

/// # Panics
/// The instance lives, by the invariant of the head. Who kept an id asks [`Sentinel::lives`] first.
impl Index<InstanceId> for Sentinel {
    type Output = Instance;
    fn index(&self, id: InstanceId) -> &Instance {
        &self.instances[&id]
    }
}

impl IndexMut<InstanceId> for Sentinel {
    #[allow(clippy::expect_used)]
    fn index_mut(&mut self, id: InstanceId) -> &mut Instance {
        self.instances.get_mut(&id).expect("a living instance")
    }
}

impl Sentinel {
    fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Whether the instance is still there.
    pub(crate) fn lives(&self, id: InstanceId) -> bool {
        self.instances.contains_key(&id)
    }

    /// The link of an instance that lives.
    pub(crate) fn link(&self, id: InstanceId) -> &Link {
        &self.links[&self[id].link]
    }

    #[allow(clippy::expect_used)]
    pub(crate) fn link_mut(&mut self, id: InstanceId) -> &mut Link {
        let link = self[id].link;
        self.links.get_mut(&link).expect("a living link")
    }

    /// A link by its own id, which an event brings: it may be gone.
    pub(crate) fn link_by_id(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    /// The master of an instance: itself, if it is one.
    pub(crate) fn master_of(&self, id: InstanceId) -> InstanceId {
        self[id].master.unwrap_or(id)
    }

    pub(crate) fn address(
        &self,
        host: &str,
        port: i64,
        accept_unresolved: bool,
    ) -> Result<Address, CreateError> {
        Address::create(host, port, self.resolve_hostnames, accept_unresolved)
    }

    /// What others are told of an address.
    pub(crate) fn announced<'a>(&self, addr: &'a Address) -> &'a str {
        addr.announced(self.announce_hostnames)
    }

    /// Makes an instance (createSentinelRedisInstance). A replica's name is its address; `name` is then not looked at.
    ///
    /// # Errors
    /// Nothing has changed.
    pub(crate) fn create_instance(
        &mut self,
        kind: Kind,
        name: &str,
        (host, port): (&str, i64),
        quorum: u32,
        master: Option<InstanceId>,
    ) -> Result<InstanceId, CreateError> {
        let addr = self.address(host, port, true)?;
        let name = match kind {
            Kind::Slave => addr.announced_with_port(self.announce_hostnames),
            Kind::Master if !is_name(name) => return Err(CreateError::BadName),
            Kind::Sentinel if !is_id(name) => return Err(CreateError::BadName),
            _ => name.to_string(),
        };
        let table = match (kind, master) {
            (Kind::Slave, Some(m)) => &self[m].slaves,
            (Kind::Sentinel, Some(m)) => &self[m].sentinels,
            _ => &self.masters,
        };
        if table.contains_key(&name) {
            return Err(CreateError::Duplicate(kind));
        }
        if table.len() >= MAX_KNOWN {
            return Err(CreateError::TooMany);
        }
        let link = LinkId(self.number());
        self.links.insert(link, Link::new());
        let id = InstanceId(self.number());
        let mut instance = Instance::new(kind, name.clone(), addr, link, quorum, master);
        instance.down_after_period = match master {
            Some(m) => self[m].down_after_period,
            None => self.periods.default_down_after,
        };
        instance.failover_timeout = self.periods.default_failover_timeout;
        self.instances.insert(id, instance);
        match (kind, master) {
            (Kind::Slave, Some(m)) => self[m].slaves.insert(name, id),
            (Kind::Sentinel, Some(m)) => self[m].sentinels.insert(name, id),
            _ => self.masters.insert(name, id),
        };
        Ok(id)
    }

    /// Takes an instance out of all tables; its link comes along if nobody else owns it.
    pub(crate) fn take_instance(&mut self, id: InstanceId) -> Option<Link> {
        let instance = self.instances.remove(&id)?;
        match (instance.kind, instance.master) {
            (Kind::Slave, Some(m)) => {
                if let Some(m) = self.instances.get_mut(&m) {
                    m.slaves.remove(&instance.name);
                    if m.promoted_slave == Some(id) {
                        m.promoted_slave = None;
                    }
                }
            }
            (Kind::Sentinel, Some(m)) => {
                if let Some(m) = self.instances.get_mut(&m) {
                    m.sentinels.remove(&instance.name);
                }
            }
            _ => {
                self.masters.remove(&instance.name);
            }
        }
        self.release_link(instance.link)
    }

    fn release_link(&mut self, id: LinkId) -> Option<Link> {
        let link = self.links.get_mut(&id)?;
        link.refcount -= 1;
        if link.refcount > 0 {
            return None;
        }
        self.links.remove(&id)
    }

    /// Lets an instance use the link of another one; its own is returned if nobody else owns it.
    pub(crate) fn share_link(&mut self, id: InstanceId, with: InstanceId) -> Option<Link> {
        let (old, new) = (self[id].link, self[with].link);
        if old == new {
            return None;
        }
        self.link_mut(with).refcount += 1;
        self[id].link = new;
        self.release_link(old)
    }

    /// An instance of a table by address, by id, or by both (getSentinelRedisInstanceByAddrAndRunID).
    pub(crate) fn find(
        &self,
        table: &BTreeMap<String, InstanceId>,
        addr: Option<&Address>,
        runid: Option<&str>,
    ) -> Option<InstanceId> {
        table.values().copied().find(|id| {
            let i = &self[*id];
            runid.is_none_or(|r| i.runid.as_deref() == Some(r))
                && addr.is_none_or(|a| i.addr.is_same(a))
        })
    }

    /// Where clients are to find the master: from its promotion on, the replica (sentinelGetCurrentMasterAddress).
    pub(crate) fn current_master_address(&self, master: InstanceId) -> &Address {
        use crate::sentinel::instance::{FailoverState, Flags};
        let m = &self[master];
        match m.promoted_slave {
            Some(slave)
                if m.has(Flags::FAILOVER_IN_PROGRESS)
                    && m.failover_state >= FailoverState::ReconfSlaves =>
            {
                &self[slave].addr
            }
            _ => &m.addr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: (&str, i64) = ("127.0.0.1", 6379);

    #[test]
    fn instances_come_and_go_with_their_links() {
        let mut s = Sentinel::default();
        let m = s.create_instance(Kind::Master, "m", HERE, 2, None).unwrap();
        assert_eq!(
            s.create_instance(Kind::Master, "m", HERE, 2, None),
            Err(CreateError::Duplicate(Kind::Master))
        );
        let r = s.create_instance(Kind::Slave, "", ("127.0.0.1", 7000), 2, Some(m));
        let r = r.unwrap();
        assert_eq!(s[r].name, "127.0.0.1:7000");
        assert_eq!(
            s.create_instance(Kind::Slave, "x", ("127.0.0.1", 7000), 2, Some(m)),
            Err(CreateError::Duplicate(Kind::Slave))
        );
        assert_eq!(
            s.create_instance(Kind::Sentinel, "a\nb", HERE, 2, Some(m)),
            Err(CreateError::BadName)
        );
        s[m].promoted_slave = Some(r);
        assert!(s.take_instance(r).is_some() && !s.lives(r));
        assert_eq!(s[m].promoted_slave, None);
        assert!(s[m].slaves.is_empty());
    }

    #[test]
    fn sentinels_share_a_link() {
        let mut s = Sentinel::default();
        let a = s.create_instance(Kind::Master, "a", HERE, 2, None).unwrap();
        let b = s.create_instance(Kind::Master, "b", HERE, 2, None).unwrap();
        let id = "f".repeat(40);
        let sa = s.create_instance(Kind::Sentinel, &id, HERE, 2, Some(a));
        let sb = s.create_instance(Kind::Sentinel, &id, HERE, 2, Some(b));
        let (sa, sb) = (sa.unwrap(), sb.unwrap());
        assert!(s.share_link(sb, sa).is_some());
        assert_eq!(s.link(sa).refcount, 2);
        assert!(s.take_instance(sa).is_none());
        assert_eq!(s.link(sb).refcount, 1);
        assert!(s.take_instance(sb).is_some());
    }

    #[test]
    fn periods_by_name() {
        let mut p = Periods::default();
        *p.by_name(b"Info-Period").unwrap() = 7;
        assert_eq!(p.all()[0], ("INFO-PERIOD", 7));
        assert_eq!(p.by_name(b"nothing"), None);
        assert_eq!(p.all().len(), 13);
    }
}
