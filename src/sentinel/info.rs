//! What INFO of a watched server says, and what follows from it (sentinelRefreshInstanceInfo): replicas are found, roles are
//! seen to change, a promotion is seen to be done, and who follows the wrong master is told the right one.

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::base::num::strtol;
use crate::sentinel::instance::{FailoverState, Flags, InstanceId, Kind, Role, is_host, is_id};
use crate::sentinel::state::Sentinel;
use crate::server::Server;

/// Characters of a run id.
const RUN_ID_SIZE: usize = 40;

/// What INFO says. A field that is not there, or is not what it should be, is None.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report<'a> {
    run_id: Option<&'a str>,
    /// Host and port of each replica.
    slaves: Vec<(&'a str, i64)>,
    link_down_ms: i64,
    is_master: bool,
    is_slave: bool,
    // The rest is a replica's, behind its role.
    master_host: Option<&'a str>,
    master_port: Option<u16>,
    link_up: Option<bool>,
    priority: Option<i32>,
    repl_offset: Option<u64>,
    announced: Option<bool>,
}

/// `field=` of a line of comma-separated fields.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(',')
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

/// Host and port of a `slaveN:` line, in the form of now or in that of 2.6 (`host,port,state`).
fn slave_line(value: &str) -> Option<(&str, i64)> {
    let (host, port) = if value.contains("ip=") {
        (field(value, "ip")?, field(value, "port")?)
    } else {
        let mut parts = value.split(',');
        let found = (parts.next()?, parts.next()?);
        parts.next()?;
        found
    };
    let port = port.parse().ok().filter(|p| (1..=65_535).contains(p))?;
    is_host(host).then_some((host, port))
}

impl Report<'_> {
    fn parse(text: &str) -> Report<'_> {
        let mut r = Report::default();
        let number = |v: &str| strtol(v.as_bytes()).0;
        for line in text.split("\r\n") {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            match name {
                "run_id" => r.run_id = value.get(..RUN_ID_SIZE).filter(|id| is_id(id)),
                "master_link_down_since_seconds" => {
                    r.link_down_ms = number(value).saturating_mul(1000);
                }
                "role" => {
                    r.is_master = value.starts_with("master");
                    r.is_slave = value.starts_with("slave");
                }
                "master_host" if r.is_slave => {
                    r.master_host = Some(value).filter(|h| is_host(h));
                }
                "master_port" if r.is_slave => r.master_port = value.parse().ok(),
                "master_link_status" if r.is_slave => {
                    r.link_up = Some(value.eq_ignore_ascii_case("up"));
                }
                "slave_priority" if r.is_slave => r.priority = value.parse().ok(),
                "slave_repl_offset" if r.is_slave => r.repl_offset = value.parse().ok(),
                "replica_announced" if r.is_slave => r.announced = Some(number(value) != 0),
                _ => {
                    let number = name.strip_prefix("slave").unwrap_or_default();
                    if number.starts_with(|c: char| c.is_ascii_digit()) {
                        r.slaves.extend(slave_line(value));
                    }
                }
            }
        }
        r
    }

    fn role(&self) -> Role {
        match (self.is_master, self.is_slave) {
            (true, _) => Role::Master,
            (_, true) => Role::Slave,
            _ => Role::Unknown,
        }
    }
}

impl Sentinel {
    /// The master answers, as one, and was heard of lately (sentinelMasterLooksSane).
    fn master_looks_sane(&self, m: InstanceId) -> bool {
        let m = &self[m];
        m.role_reported == Role::Master
            && !m.has(Flags::S_DOWN | Flags::O_DOWN)
            && mstime() - m.info_refresh < self.periods.info.saturating_mul(2)
    }

    /// Heeds an answer to INFO.
    pub(super) fn refresh_instance_info(
        &mut self,
        server: &mut Server,
        id: InstanceId,
        info: &[u8],
    ) {
        let text = String::from_utf8_lossy(info);
        let report = Report::parse(&text);
        self[id].info = Some(info.to_vec());
        self[id].master_link_down_time = report.link_down_ms;
        self.heed_run_id(server, id, report.run_id);
        if self[id].kind == Kind::Master {
            for place in &report.slaves {
                self.heed_slave(server, id, *place);
            }
        }
        let now = mstime();
        let role = report.role();
        let i = &mut self[id];
        if let Some(host) = report.master_host
            && !i
                .slave_master_host
                .as_ref()
                .is_some_and(|h| h.eq_ignore_ascii_case(host))
        {
            i.slave_master_host = Some(host.into());
            i.slave_conf_change_time = now;
        }
        if let Some(port) = report.master_port
            && i.slave_master_port != port
        {
            i.slave_master_port = port;
            i.slave_conf_change_time = now;
        }
        i.slave_master_link_up = report.link_up.unwrap_or(i.slave_master_link_up);
        i.slave_priority = report.priority.unwrap_or(i.slave_priority);
        i.slave_repl_offset = report.repl_offset.unwrap_or(i.slave_repl_offset);
        i.replica_announced = report.announced.unwrap_or(i.replica_announced);
        i.info_refresh = now;
        if role != i.role_reported {
            i.role_reported_time = now;
            i.role_reported = role;
            if role == Role::Slave {
                i.slave_conf_change_time = now;
            }
            self.tell_role(server, id, role);
        }
        // What follows acts upon others: not while the clock is not to be trusted.
        if self.tilt || self[id].kind != Kind::Slave {
            return;
        }
        let Some(m) = self[id].master else {
            return;
        };
        match role {
            Role::Master => self.slave_is_master(server, id, m),
            Role::Slave => {
                self.fix_slave_config(server, id, m);
                self.slave_reconfigures(server, id, m);
            }
            Role::Unknown => {}
        }
    }

    fn heed_run_id(&mut self, server: &mut Server, id: InstanceId, run_id: Option<&str>) {
        let Some(run_id) = run_id else {
            return;
        };
        let old = self[id].runid.replace(run_id.into());
        if old.is_some_and(|old| old != run_id) {
            self.event_of(server, Level::Notice, "+reboot", id, "");
            let i = &mut self[id];
            if i.kind == Kind::Master && i.master_reboot_down_after_period != 0 {
                i.flags |= Flags::MASTER_REBOOT;
                i.master_reboot_since_time = mstime();
            }
        }
    }

    fn heed_slave(&mut self, server: &mut Server, m: InstanceId, (host, port): (&str, i64)) {
        let known = self.address(host, port, false).ok().is_some_and(|addr| {
            let name = addr.announced_with_port(self.announce_hostnames);
            self[m].slaves.contains_key(&name)
        });
        if known {
            return;
        }
        let quorum = self[m].quorum;
        if let Ok(slave) = self.create_instance(Kind::Slave, "", (host, port), quorum, Some(m)) {
            self.event_of(server, Level::Notice, "+slave", slave, "");
            self.unsaved = true;
        }
    }

    fn tell_role(&mut self, server: &mut Server, id: InstanceId, role: Role) {
        let (shown, expected) = match role {
            Role::Master => ("master", Kind::Master),
            Role::Slave => ("slave", Kind::Slave),
            Role::Unknown => return,
        };
        let event = if self[id].kind == expected {
            "+role-change"
        } else {
            "-role-change"
        };
        let more = format!(" new reported role is {shown}");
        self.event_of(server, Level::Verbose, event, id, &more);
    }

    /// A replica says that it is a master: it is the one that we promoted, or must be told that it is none.
    fn slave_is_master(&mut self, server: &mut Server, id: InstanceId, m: InstanceId) {
        let promoted = self[id].has(Flags::PROMOTED);
        if promoted
            && self[m].has(Flags::FAILOVER_IN_PROGRESS)
            && self[m].failover_state == FailoverState::WaitPromotion
        {
            return self.slave_is_promoted(server, id, m);
        }
        // Another Sentinel may have promoted it: hello has the time to tell us.
        let wait = self.periods.publish.saturating_mul(4);
        if !promoted
            && self.master_looks_sane(m)
            && self[id].no_down_for(wait)
            && mstime() - self[id].role_reported_time > wait
        {
            let addr = self[m].addr.clone();
            if self.send_slave_of(server, id, Some(&addr)) {
                self.event_of(server, Level::Notice, "+convert-to-slave", id, "");
            }
        }
    }

    /// A replica follows somebody else than our master.
    fn fix_slave_config(&mut self, server: &mut Server, id: InstanceId, m: InstanceId) {
        let addr = &self[m].addr;
        let right = self[id].slave_master_port == addr.port
            && self[id]
                .slave_master_host
                .as_ref()
                .is_some_and(|host| addr.is_host(host, self.resolve_hostnames));
        if right {
            return;
        }
        let wait = self[m].failover_timeout;
        if self.master_looks_sane(m)
            && self[id].no_down_for(wait)
            && mstime() - self[id].slave_conf_change_time > wait
        {
            let addr = addr.clone();
            if self.send_slave_of(server, id, Some(&addr)) {
                self.event_of(server, Level::Notice, "+fix-slave-config", id, "");
            }
        }
    }

    /// A replica on its way to the promoted one.
    fn slave_reconfigures(&mut self, server: &mut Server, id: InstanceId, m: InstanceId) {
        if self[id].has(Flags::RECONF_SENT)
            && let Some(promoted) = self[m].promoted_slave
            && let Some(host) = &self[id].slave_master_host
            && self[promoted].addr.is_host(host, self.resolve_hostnames)
            && self[id].slave_master_port == self[promoted].addr.port
        {
            self[id].flags.remove(Flags::RECONF_SENT);
            self[id].flags |= Flags::RECONF_INPROG;
            self.event_of(server, Level::Notice, "+slave-reconf-inprog", id, "");
        }
        if self[id].has(Flags::RECONF_INPROG) && self[id].slave_master_link_up {
            self[id].flags.remove(Flags::RECONF_INPROG);
            self[id].flags |= Flags::RECONF_DONE;
            self.event_of(server, Level::Notice, "+slave-reconf-done", id, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_master() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let text = format!(
            "# Server\r\nrun_id:{id}\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:3\r\n\
             slave0:ip=127.0.0.1,port=7001,state=online,offset=14,lag=1\r\nslave1:10.0.0.1,7002,online\r\n\
             slave2:ip=a b,port=1,state=x\r\nslave3:ip=::1,port=0\r\nslave_expires_tracked_keys:0\r\nmaster_host:x\r\n"
        );
        let r = Report::parse(&text);
        assert_eq!((r.run_id, r.role()), (Some(id), Role::Master));
        assert_eq!(r.slaves, [("127.0.0.1", 7001), ("10.0.0.1", 7002)]);
        assert_eq!(r.master_host, None);
    }

    #[test]
    fn a_replica() {
        let r = Report::parse(
            "role:slave\r\nmaster_host:localhost\r\nmaster_port:6379\r\nmaster_link_status:down\r\nslave_repl_offset:77\r\n\
             master_link_down_since_seconds:3\r\nslave_priority:5\r\nreplica_announced:0\r\n",
        );
        assert_eq!(r.role(), Role::Slave);
        assert_eq!(
            (r.master_host, r.master_port),
            (Some("localhost"), Some(6379))
        );
        assert_eq!((r.link_up, r.link_down_ms), (Some(false), 3000));
        assert_eq!(
            (r.priority, r.repl_offset, r.announced),
            (Some(5), Some(77), Some(false))
        );
    }

    #[test]
    fn what_must_not_reach_the_file() {
        let evil = format!(
            "run_id:{}\r\nrole:slave\r\nmaster_host:a\nport 1\r\n",
            "a\n".repeat(20)
        );
        let r = Report::parse(&evil);
        assert_eq!((r.run_id, r.master_host), (None, None));
        assert_eq!(slave_line("ip=1.2.3.4\nx,port=5"), None);
        assert_eq!(slave_line("ip=1.2.3.4,port=99999"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_borne(text in "(run_id:|slave[0-9]|role:slave\r\n|master_port:|ip=|port=|[a-z0-9:,\r\n]){0,20}") {
            let _ = Report::parse(&text);
        }
    }
}
