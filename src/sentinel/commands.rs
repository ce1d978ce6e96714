//! SENTINEL, and what INFO, ROLE and PUBLISH are in Sentinel mode: arguments in, replies out.
//!
//! A call that is refused has changed nothing. What a client gives is kept, and so written, without control characters.

use crate::base::clock::mstime;
use crate::base::glob::string_match_len;
use crate::base::log::{self, Level};
use crate::base::num::string2ll;
use crate::config::value::LogLevel;
use crate::sentinel::config::is_script;
use crate::sentinel::instance::{
    CreateError, Flags, Instance, InstanceId, Kind, Role, is_host, is_id, is_writable, resolve_host,
};
use crate::sentinel::link::HELLO_CHANNEL;
use crate::sentinel::state::{Sentinel, SimulatedFailures};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server_log;

const HELP: &[&str] = &[
    "CKQUORUM <master-name>",
    "    Check if the current Sentinel configuration is able to reach the quorum",
    "    needed to failover a master and the majority needed to authorize the",
    "    failover.",
    "CONFIG SET param value [param value ...]",
    "    Set a global Sentinel configuration parameter.",
    "CONFIG GET <param> [param param param ...]",
    "    Get global Sentinel configuration parameter.",
    "DEBUG [<param> <value> ...]",
    "    Show a list of configurable time parameters and their values (milliseconds).",
    "    Or update current configurable parameters values (one or more).",
    "EXPLAIN <master-name>",
    "    Say whether a failover would begin now, and why not.",
    "GET-MASTER-ADDR-BY-NAME <master-name>",
    "    Return the ip and port number of the master with that name.",
    "FAILOVER <master-name> [COORDINATED]",
    "    Manually failover a master node without asking for agreement from other",
    "    Sentinels. COORDINATED: the master hands over by itself, and loses no write.",
    "FLUSHCONFIG",
    "    Force Sentinel to rewrite its configuration on disk, including the current",
    "    Sentinel state.",
    "INFO-CACHE <master-name>",
    "    Return last cached INFO output from masters and all its replicas.",
    "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
    "    Check if the master specified by ip:port is down from current Sentinel's",
    "    point of view.",
    "MASTER <master-name>",
    "    Show the state and info of the specified master.",
    "MASTERS",
    "    Show a list of monitored masters and their state.",
    "MONITOR <name> <ip> <port> <quorum>",
    "    Start monitoring a new master with the specified name, ip, port and quorum.",
    "MYID",
    "    Return the ID of the Sentinel instance.",
    "PENDING-SCRIPTS",
    "    Get pending scripts information.",
    "REMOVE <master-name>",
    "    Remove master from Sentinel's monitor list.",
    "REPLICAS <master-name>",
    "    Show a list of replicas for this master and their state.",
    "RESET <pattern>",
    "    Reset masters for specific master name matching this pattern.",
    "SENTINELS <master-name>",
    "    Show a list of Sentinel instances for this master and their state.",
    "SET <master-name> <option> <value> [<option> <value> ...]",
    "    Set configuration parameters for certain masters.",
    "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
    "    Simulate a Sentinel crash.",
];

/// What SENTINEL CONFIG knows, in the order in which it shows it.
const GLOBALS: [&str; 7] = [
    "resolve-hostnames",
    "announce-hostnames",
    "announce-ip",
    "announce-port",
    "sentinel-user",
    "sentinel-pass",
    "loglevel",
];

fn log_level(word: &[u8]) -> Option<LogLevel> {
    let mut names = LogLevel::NAMES.iter();
    let found = names.find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))?;
    LogLevel::from_value(found.1)
}

fn yes_no(word: &[u8]) -> Option<bool> {
    match word.to_ascii_lowercase().as_slice() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

/// A text, empty for none.
fn optional(word: &[u8]) -> Option<Vec<u8>> {
    (!word.is_empty()).then(|| word.to_vec())
}

/// A number above 0.
fn positive(word: &[u8]) -> Option<i64> {
    string2ll(word).filter(|n| *n > 0)
}

fn lossy(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

/// Fields of an instance, as they are shown.
#[derive(Default)]
struct Fields(Vec<(&'static str, Vec<u8>)>);

impl Fields {
    fn text(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        self.0.push((name, value.as_ref().to_vec()));
    }

    fn number(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.0.push((name, value.to_string().into_bytes()));
    }

    fn reply(self, server: &mut Server, cid: ClientId) {
        server.add_reply_map_len(cid, self.0.len());
        for (name, value) in self.0 {
            server.add_reply_bulk(cid, name.as_bytes());
            server.add_reply_bulk(cid, &value);
        }
    }
}

/// What an instance is and what is thought of it, in words.
fn flag_words(i: &Instance, disconnected: bool) -> String {
    let of = |flag, word| (i.has(flag), word);
    let words = [
        of(Flags::S_DOWN, "s_down"),
        of(Flags::O_DOWN, "o_down"),
        (true, i.kind.name()),
        (disconnected, "disconnected"),
        of(Flags::MASTER_DOWN, "master_down"),
        of(Flags::FAILOVER_IN_PROGRESS, "failover_in_progress"),
        of(Flags::PROMOTED, "promoted"),
        of(Flags::RECONF_SENT, "reconf_sent"),
        of(Flags::RECONF_INPROG, "reconf_inprog"),
        of(Flags::RECONF_DONE, "reconf_done"),
        of(Flags::FORCE_FAILOVER, "force_failover"),
        of(Flags::SCRIPT_KILL_SENT, "script_kill_sent"),
        of(Flags::MASTER_REBOOT, "master_reboot"),
    ];
    let set: Vec<&str> = words.iter().filter(|w| w.0).map(|w| w.1).collect();
    set.join(",")
}

/// One option of SENTINEL SET, judged. `at` is the place of its name among the arguments, `last` that of its last value.
struct Change {
    what: Setting,
    at: usize,
    last: usize,
}

enum Setting {
    DownAfter(i64),
    FailoverTimeout(i64),
    ParallelSyncs(i32),
    NotificationScript(Option<Vec<u8>>),
    ClientReconfigScript(Option<Vec<u8>>),
    AuthPass(Option<Vec<u8>>),
    AuthUser(Option<Vec<u8>>),
    Quorum(u32),
    RenameCommand(Vec<u8>, Vec<u8>),
    MasterReboot(i64),
}

impl Sentinel {
    /// What SENTINEL MASTER and the like show of one (addReplySentinelRedisInstance).
    fn fields(&self, id: InstanceId) -> Fields {
        let (i, link, now) = (&self[id], self.link(id), mstime());
        let mut f = Fields::default();
        f.text("name", &i.name);
        f.text("ip", self.announced(&i.addr));
        f.number("port", i.addr.port);
        f.text("runid", i.runid.as_deref().unwrap_or_default());
        f.text("flags", flag_words(i, link.disconnected));
        f.number("link-pending-commands", link.pending_commands());
        f.number("link-refcount", link.refcount);
        if i.has(Flags::FAILOVER_IN_PROGRESS) {
            f.text("failover-state", i.failover_state.name());
        }
        let since = |t: i64| if t == 0 { 0 } else { now - t };
        f.number("last-ping-sent", since(link.act_ping_time));
        f.number("last-ok-ping-reply", now - link.last_avail_time);
        f.number("last-ping-reply", now - link.last_pong_time);
        if i.has(Flags::S_DOWN) {
            f.number("s-down-time", now - i.s_down_since_time);
        }
        if i.has(Flags::O_DOWN) {
            f.number("o-down-time", now - i.o_down_since_time);
        }
        f.number("down-after-milliseconds", i.down_after_period);
        if i.kind != Kind::Sentinel {
            f.number("info-refresh", since(i.info_refresh));
            f.text(
                "role-reported",
                match i.role_reported {
                    Role::Master => "master",
                    _ => "slave",
                },
            );
            f.number("role-reported-time", now - i.role_reported_time);
        }
        match i.kind {
            Kind::Master => {
                f.number("config-epoch", i.config_epoch);
                f.number("num-slaves", i.slaves.len());
                f.number("num-other-sentinels", i.sentinels.len());
                f.number("quorum", i.quorum);
                f.number("failover-timeout", i.failover_timeout);
                f.number("parallel-syncs", i.parallel_syncs);
                if let Some(script) = &i.notification_script {
                    f.text("notification-script", script);
                }
                if let Some(script) = &i.client_reconfig_script {
                    f.text("client-reconfig-script", script);
                }
            }
            Kind::Slave => {
                f.number("master-link-down-time", i.master_link_down_time);
                let status = if i.slave_master_link_up { "ok" } else { "err" };
                f.text("master-link-status", status);
                let host = i.slave_master_host.as_deref();
                f.text("master-host", host.unwrap_or("?"));
                f.number("master-port", i.slave_master_port);
                f.number("slave-priority", i.slave_priority);
                f.number("slave-repl-offset", i.slave_repl_offset);
                f.number("replica-announced", u8::from(i.replica_announced));
            }
            Kind::Sentinel => {
                f.number("last-hello-message", now - i.last_hello_time);
                f.text("voted-leader", i.leader.as_deref().unwrap_or("?"));
                f.number("voted-leader-epoch", i.leader_epoch);
            }
        }
        f
    }

    /// A list of instances; replicas that do not want to be told of are left out (addReplyDictOfRedisInstances).
    fn reply_instances(
        &self,
        server: &mut Server,
        cid: ClientId,
        ids: impl Iterator<Item = InstanceId>,
    ) {
        let shown = |id: &InstanceId| {
            let i = &self[*id];
            i.kind != Kind::Slave || i.replica_announced
        };
        let ids: Vec<InstanceId> = ids.filter(shown).collect();
        server.add_reply_array_len(cid, ids.len());
        for id in ids {
            self.fields(id).reply(server, cid);
        }
    }

    fn by_name(&self, name: &[u8]) -> Option<InstanceId> {
        let name = std::str::from_utf8(name).ok()?;
        self.masters.get(name).copied()
    }

    /// sentinelGetMasterByNameOrReplyError.
    fn by_name_or_reply(
        &self,
        server: &mut Server,
        cid: ClientId,
        name: &[u8],
    ) -> Option<InstanceId> {
        let found = self.by_name(name);
        if found.is_none() {
            server.add_reply_error(cid, "No such master with that name");
        }
        found
    }

    /// Sentinels that are not down, this one included.
    pub(super) fn usable_sentinels(&self, m: InstanceId) -> usize {
        let down = Flags::S_DOWN | Flags::O_DOWN;
        let others = self[m].sentinels.values();
        1 + others.filter(|s| !self[**s].has(down)).count()
    }

    /// Whether a failover could be agreed upon and authorized now, in words (sentinelIsQuorumReachable).
    ///
    /// # Errors
    /// It could not; the text begins with the code NOQUORUM.
    pub(super) fn quorum_status(&self, m: InstanceId) -> Result<String, String> {
        let usable = self.usable_sentinels(m);
        let voters = self[m].sentinels.len() + 1;
        let quorum = usize::try_from(self[m].quorum).unwrap_or(usize::MAX);
        let mut why = Vec::new();
        if usable < quorum {
            why.push(
                "Not enough available Sentinels to reach the specified quorum for this master",
            );
        }
        if usable < voters / 2 + 1 {
            why.push(
                "Not enough available Sentinels to reach the majority and authorize a failover",
            );
        }
        if why.is_empty() {
            return Ok(format!(
                "OK {usable} usable Sentinels. Quorum and failover authorization can be reached"
            ));
        }
        let why = why.join(". ");
        Err(format!("NOQUORUM {usable} usable Sentinels. {why}"))
    }

    fn flush_config_and_reply(&mut self, server: &mut Server, cid: ClientId) {
        if self.flush_config(server) {
            server.add_reply_ok(cid);
        } else {
            server.add_reply_error(cid, "Failed to save config file. Check server logs.");
        }
    }

    /// Judges the options of SENTINEL SET.
    ///
    /// # Errors
    /// The text for the client.
    fn judge_set(&self, args: &Args) -> Result<Vec<Change>, Vec<u8>> {
        const DENIED: &[u8] = b"Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig \
            configuration directive in your Sentinel configuration";
        let mut changes = Vec::new();
        let mut at = 3;
        while at < args.len() {
            let option = args[at].to_ascii_lowercase();
            let more = args.len() - 1 - at;
            let bad = |value: &[u8]| {
                let text: [&[u8]; 5] = [
                    b"Invalid argument '",
                    value,
                    b"' for SENTINEL SET '",
                    &args[at],
                    b"'",
                ];
                text.concat()
            };
            let value = args.get(at + 1).unwrap_or_default();
            let words = if option == b"rename-command" { 2 } else { 1 };
            for i in 1..=words.min(more) {
                if !is_writable(&args[at + i]) {
                    let text = [&bad(&args[at + i])[..], b": it has control characters"];
                    return Err(text.concat());
                }
            }
            let number = || positive(value).ok_or_else(|| bad(value));
            let script = |refusal: &[u8]| {
                if self.deny_scripts_reconfig {
                    Err(DENIED.to_vec())
                } else if !value.is_empty() && !is_script(value) {
                    Err(refusal.to_vec())
                } else {
                    Ok(optional(value))
                }
            };
            let what = match &option[..] {
                _ if more < words => None,
                b"down-after-milliseconds" => Some(Setting::DownAfter(number()?)),
                b"failover-timeout" => Some(Setting::FailoverTimeout(number()?)),
                b"parallel-syncs" => {
                    let n = i32::try_from(number()?).map_err(|_| bad(value))?;
                    Some(Setting::ParallelSyncs(n))
                }
                b"notification-script" => Some(Setting::NotificationScript(script(
                    b"Notification script seems non existing or non executable",
                )?)),
                b"client-reconfig-script" => Some(Setting::ClientReconfigScript(script(
                    b"Client reconfiguration script seems non existing or non executable",
                )?)),
                b"auth-pass" => Some(Setting::AuthPass(optional(value))),
                b"auth-user" => Some(Setting::AuthUser(optional(value))),
                b"quorum" => {
                    let n = u32::try_from(number()?).map_err(|_| bad(value))?;
                    Some(Setting::Quorum(n))
                }
                b"rename-command" => {
                    let (old, new) = (value, &args[at + 2]);
                    if let Some(empty) = [old, new].into_iter().find(|w| w.is_empty()) {
                        return Err(bad(empty));
                    }
                    Some(Setting::RenameCommand(
                        old.to_ascii_uppercase(),
                        new.to_vec(),
                    ))
                }
                b"master-reboot-down-after-period" => {
                    let ms = string2ll(value).filter(|n| *n >= 0);
                    Some(Setting::MasterReboot(ms.ok_or_else(|| bad(value))?))
                }
                _ => None,
            };
            let Some(what) = what else {
                let text: [&[u8]; 3] = [
                    b"Unknown option or number of arguments for SENTINEL SET '",
                    &args[at],
                    b"'",
                ];
                return Err(text.concat());
            };
            let last = at + words;
            changes.push(Change { what, at, last });
            at = last + 1;
        }
        Ok(changes)
    }

    fn apply(&mut self, server: &mut Server, m: InstanceId, what: Setting) {
        match what {
            Setting::DownAfter(ms) => {
                self[m].down_after_period = ms;
                self.propagate_down_after_period(m);
            }
            Setting::FailoverTimeout(ms) => self[m].failover_timeout = ms,
            Setting::ParallelSyncs(n) => self[m].parallel_syncs = n,
            Setting::NotificationScript(path) => self[m].notification_script = path,
            Setting::ClientReconfigScript(path) => self[m].client_reconfig_script = path,
            Setting::AuthPass(pass) => {
                self[m].auth_pass = pass;
                self.drop_instance_connections(server, m);
            }
            Setting::AuthUser(user) => {
                self[m].auth_user = user;
                self.drop_instance_connections(server, m);
            }
            Setting::Quorum(n) => self[m].quorum = n,
            Setting::RenameCommand(old, new) => {
                if old.eq_ignore_ascii_case(&new) {
                    self[m].renamed_commands.remove(&old);
                } else {
                    self[m].renamed_commands.insert(old, new);
                }
            }
            Setting::MasterReboot(ms) => self[m].master_reboot_down_after_period = ms,
        }
    }

    /// What SENTINEL CONFIG GET shows of one.
    fn global(&self, server: &Server, name: &str) -> Vec<u8> {
        let yn = |b: bool| if b { b"yes".to_vec() } else { b"no".to_vec() };
        match name {
            "resolve-hostnames" => yn(self.resolve_hostnames),
            "announce-hostnames" => yn(self.announce_hostnames),
            "announce-ip" => self.announce_ip.clone().unwrap_or_default().into(),
            "announce-port" => self.announce_port.to_string().into(),
            "sentinel-user" => self.auth_user.clone().unwrap_or_default(),
            "sentinel-pass" => self.auth_pass.clone().unwrap_or_default(),
            _ => {
                let mut levels = LogLevel::NAMES.iter();
                let found = levels.find(|(_, level)| *level == server.config.loglevel as i32);
                found.map_or(Vec::new(), |(name, _)| name.as_bytes().to_vec())
            }
        }
    }

    /// Sets one that was judged; true if the other Sentinels must be spoken to anew.
    fn set_global(&mut self, server: &mut Server, name: &str, value: &[u8]) -> bool {
        match name {
            "resolve-hostnames" => self.resolve_hostnames = yes_no(value).unwrap_or_default(),
            "announce-hostnames" => self.announce_hostnames = yes_no(value).unwrap_or_default(),
            "announce-ip" => self.announce_ip = optional(value).map(|v| lossy(&v)),
            "announce-port" => {
                let port = string2ll(value).and_then(|n| u16::try_from(n).ok());
                self.announce_port = port.unwrap_or_default();
            }
            "sentinel-user" => self.auth_user = optional(value),
            "sentinel-pass" => self.auth_pass = optional(value),
            _ => {
                if let Some(level) = log_level(value) {
                    server.config.loglevel = level;
                    log::set_verbosity(level.into());
                }
            }
        }
        matches!(name, "sentinel-user" | "sentinel-pass")
    }
}

fn is_good_global(name: &str, value: &[u8]) -> bool {
    match name {
        "resolve-hostnames" | "announce-hostnames" => yes_no(value).is_some(),
        "announce-port" => string2ll(value).is_some_and(|n| (0..=65_535).contains(&n)),
        "announce-ip" => value.is_empty() || std::str::from_utf8(value).is_ok_and(is_host),
        "loglevel" => log_level(value).is_some(),
        _ => is_writable(value),
    }
}

/// SENTINEL HELP
pub(crate) fn help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, HELP);
}

/// SENTINEL MASTERS
pub(crate) fn masters_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.with_sentinel(|s, server| {
        s.reply_instances(server, cid, s.masters.values().copied());
    });
}

/// `SENTINEL MASTER master-name`
pub(crate) fn master_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| {
        if let Some(m) = s.by_name_or_reply(server, cid, &args[2]) {
            s.fields(m).reply(server, cid);
        }
    });
}

/// `SENTINEL REPLICAS master-name`, and SLAVES
pub(crate) fn replicas_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| {
        if let Some(m) = s.by_name_or_reply(server, cid, &args[2]) {
            s.reply_instances(server, cid, s[m].slaves.values().copied());
        }
    });
}

/// `SENTINEL SENTINELS master-name`
pub(crate) fn sentinels_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| {
        if let Some(m) = s.by_name_or_reply(server, cid, &args[2]) {
            s.reply_instances(server, cid, s[m].sentinels.values().copied());
        }
    });
}

/// SENTINEL MYID
pub(crate) fn myid_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.with_sentinel(|s, server| server.add_reply_bulk(cid, s.myid.as_bytes()));
}

/// `SENTINEL IS-MASTER-DOWN-BY-ADDR ip port current-epoch runid`: what we think, and, if it is not `*`, our vote
pub(crate) fn is_master_down_by_addr_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(port) = server.get_long_long_or_reply(cid, args, 3) else {
        return;
    };
    let Some(epoch) = server.get_long_long_or_reply(cid, args, 4) else {
        return;
    };
    let Ok(epoch) = u64::try_from(epoch) else {
        return server.add_reply_error(cid, "Invalid epoch");
    };
    let candidate = std::str::from_utf8(&args[5]).ok().filter(|id| is_id(id));
    let Some(candidate) = candidate else {
        return server.add_reply_error(cid, "Invalid runid");
    };
    server.with_sentinel(|s, server| {
        let host = lossy(&args[2]);
        let addr = s.address(&host, port, true).ok();
        let m = addr.and_then(|addr| s.find(&s.masters, Some(&addr), None));
        let down = !s.tilt && m.is_some_and(|m| s[m].has(Flags::S_DOWN));
        let (mut leader, mut leader_epoch) = (None, 0);
        if let Some(m) = m
            && candidate != "*"
        {
            (leader, leader_epoch) = s.vote_leader(server, m, epoch, candidate);
        }
        server.add_reply_array_len(cid, 3);
        server.add_reply_long_long(cid, i64::from(down));
        server.add_reply_bulk(cid, leader.as_deref().unwrap_or("*").as_bytes());
        server.add_reply_long_long(cid, leader_epoch.cast_signed());
    });
}

/// `SENTINEL RESET pattern`
pub(crate) fn reset_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| {
        let all = s.masters.iter();
        let matching: Vec<InstanceId> = all
            .filter(|(name, _)| string_match_len(&args[2], name.as_bytes(), false))
            .map(|(_, id)| *id)
            .collect();
        for m in &matching {
            s.reset_master(server, *m, true);
            s.event_of(server, Level::Warning, "+reset-master", *m, "");
        }
        server.add_reply_long_long(cid, matching.len() as i64);
    });
}

/// `SENTINEL GET-MASTER-ADDR-BY-NAME master-name`
pub(crate) fn get_master_addr_by_name_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| match s.by_name(&args[2]) {
        None => server.add_reply_null_array(cid),
        Some(m) => {
            let addr = s.current_master_address(m);
            server.add_reply_array_len(cid, 2);
            server.add_reply_bulk(cid, s.announced(addr).as_bytes());
            server.add_reply_bulk_long_long(cid, i64::from(addr.port));
        }
    });
}

/// `SENTINEL FAILOVER master-name [COORDINATED]`
pub(crate) fn failover_command(server: &mut Server, cid: ClientId, args: &Args) {
    let coordinated = match args.len() {
        3 => false,
        4 if args.is(3, "coordinated") => true,
        4 => return server.add_reply_syntax_error(cid),
        _ => return server.add_reply_error_arity(cid),
    };
    server.with_sentinel(|s, server| {
        let Some(m) = s.by_name_or_reply(server, cid, &args[2]) else {
            return;
        };
        if s[m].has(Flags::FAILOVER_IN_PROGRESS) {
            return server.add_reply_error(cid, "-INPROG Failover already in progress");
        }
        if s.select_slave(m).is_none() {
            return server.add_reply_error(cid, "-NOGOODSLAVE No suitable replica to promote");
        }
        if coordinated && (s[m].has(Flags::S_DOWN | Flags::O_DOWN) || s.link(m).disconnected) {
            let text = "-MASTERDOWN A master that cannot be reached cannot hand over";
            return server.add_reply_error(cid, text);
        }
        server_log!(
            Level::Notice,
            "Executing user requested FAILOVER of '{}'",
            s[m].name
        );
        s.start_failover(server, m);
        s[m].flags |= Flags::FORCE_FAILOVER;
        s[m].flags.set(Flags::COORDINATED, coordinated);
        server.add_reply_ok(cid);
    });
}

/// `SENTINEL EXPLAIN master-name`
pub(crate) fn explain_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| {
        if let Some(m) = s.by_name_or_reply(server, cid, &args[2]) {
            let lines = s.explain(m);
            server.add_reply_array_len(cid, lines.len());
            for line in lines {
                server.add_reply_bulk(cid, line.as_bytes());
            }
        }
    });
}

/// SENTINEL PENDING-SCRIPTS
pub(crate) fn pending_scripts_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.with_sentinel(|s, server| {
        let now = mstime();
        server.add_reply_array_len(cid, s.scripts.len());
        for job in &s.scripts {
            server.add_reply_map_len(cid, 5);
            server.add_reply_bulk(cid, b"argv");
            server.add_reply_array_len(cid, job.argv.len());
            for arg in &job.argv {
                server.add_reply_bulk(cid, arg);
            }
            let pid = job.child.as_ref().map(|c| i64::from(c.id()));
            let (state, time): (&[u8], &[u8]) = match pid {
                Some(_) => (b"running", b"run-time"),
                None => (b"scheduled", b"run-delay"),
            };
            let ms = match (pid, job.start_time) {
                (Some(_), start) => now - start,
                (None, 0) => 0,
                (None, due) => (due - now).max(0),
            };
            server.add_reply_bulk(cid, b"flags");
            server.add_reply_bulk(cid, state);
            server.add_reply_bulk(cid, b"pid");
            server.add_reply_bulk_long_long(cid, pid.unwrap_or(0));
            server.add_reply_bulk(cid, time);
            server.add_reply_bulk_long_long(cid, ms);
            server.add_reply_bulk(cid, b"retry-num");
            server.add_reply_bulk_long_long(cid, i64::from(job.retry_num));
        }
    });
}

/// `SENTINEL MONITOR name ip port quorum`
pub(crate) fn monitor_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(quorum) = string2ll(&args[5]) else {
        return server.add_reply_error(cid, "Invalid quorum");
    };
    let Some(port) = string2ll(&args[4]) else {
        return server.add_reply_error(cid, "Invalid port");
    };
    if quorum <= 0 {
        return server.add_reply_error(cid, "Quorum must be 1 or greater.");
    }
    let Ok(quorum) = u32::try_from(quorum) else {
        return server.add_reply_error(cid, "Invalid quorum");
    };
    server.with_sentinel(|s, server| {
        let (name, host) = (std::str::from_utf8(&args[2]), lossy(&args[3]));
        if resolve_host(&host, s.resolve_hostnames).is_none() {
            let text = "Invalid IP address or hostname specified";
            return server.add_reply_error(cid, text);
        }
        let made = match name {
            Ok(name) => s.create_instance(Kind::Master, name, (&host, port), quorum, None),
            Err(_) => Err(CreateError::BadName),
        };
        match made {
            Ok(m) => {
                s.flush_config_and_reply(server, cid);
                let more = format!(" quorum {quorum}");
                s.event_of(server, Level::Warning, "+monitor", m, &more);
            }
            Err(e) => server.add_reply_error(cid, &e.to_string()),
        }
    });
}

/// SENTINEL FLUSHCONFIG
pub(crate) fn flushconfig_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.with_sentinel(|s, server| s.flush_config_and_reply(server, cid));
}

/// `SENTINEL REMOVE master-name`
pub(crate) fn remove_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| {
        let Some(m) = s.by_name_or_reply(server, cid, &args[2]) else {
            return;
        };
        s.event_of(server, Level::Warning, "-monitor", m, "");
        s.reset_master(server, m, true);
        let link = s.take_instance(m);
        s.close_link(server, link);
        s.flush_config_and_reply(server, cid);
    });
}

/// `SENTINEL CKQUORUM master-name`
pub(crate) fn ckquorum_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| {
        let Some(m) = s.by_name_or_reply(server, cid, &args[2]) else {
            return;
        };
        match s.quorum_status(m) {
            Ok(text) => server.add_reply_status(cid, &text),
            Err(text) => server.add_reply_error(cid, &format!("-{text}")),
        }
    });
}

/// `SENTINEL SET master-name option value [option value ...]`
pub(crate) fn set_command(server: &mut Server, cid: ClientId, args: &Args) {
    for i in 3..args.len() {
        if args.is(i, "auth-pass") && i + 1 < args.len() {
            server.redact_client_command_argument(cid, i + 1);
        }
    }
    server.with_sentinel(|s, server| {
        let Some(m) = s.by_name_or_reply(server, cid, &args[2]) else {
            return;
        };
        let changes = match s.judge_set(args) {
            Ok(changes) => changes,
            Err(text) => return server.add_reply_error_bytes(cid, &text),
        };
        for Change { what, at, last } in changes {
            let secret = matches!(what, Setting::AuthPass(_));
            s.apply(server, m, what);
            let mut more = format!(" {}", lossy(&args[at]));
            for i in at + 1..=last {
                more.push(' ');
                more.push_str(&if secret {
                    "******".into()
                } else {
                    lossy(&args[i])
                });
            }
            s.event_of(server, Level::Warning, "+set", m, &more);
        }
        s.flush_config_and_reply(server, cid);
    });
}

/// `SENTINEL CONFIG SET name value [name value ...]`, `SENTINEL CONFIG GET pattern [pattern ...]`
pub(crate) fn config_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.is(2, "set") && args.len() >= 5 {
        server.with_sentinel(|s, server| config_set(s, server, cid, args));
    } else if args.is(2, "get") {
        server.with_sentinel(|s, server| config_get(s, server, cid, args));
    } else {
        let text = "Only SENTINEL CONFIG GET <param> [<param> <param> ...]/ SET <param> <value> [<param> <value> ...] are \
             supported.";
        server.add_reply_error(cid, text);
    }
}

fn config_set(s: &mut Sentinel, server: &mut Server, cid: ClientId, args: &Args) {
    let mut pairs: Vec<(&str, &[u8])> = Vec::new();
    let mut i = 3;
    while i < args.len() {
        let quoted = |before: &str, after: &str| {
            let text: [&[u8]; 3] = [before.as_bytes(), &args[i], after.as_bytes()];
            text.concat()
        };
        let Some(name) = GLOBALS.into_iter().find(|name| args.is(i, name)) else {
            let text = quoted("Invalid argument '", "' to SENTINEL CONFIG SET");
            return server.add_reply_error_bytes(cid, &text);
        };
        if pairs.iter().any(|(known, _)| *known == name) {
            let text = quoted("Duplicate argument '", "' to SENTINEL CONFIG SET");
            return server.add_reply_error_bytes(cid, &text);
        }
        let Some(value) = args.get(i + 1) else {
            let text = quoted("Missing argument '", "' value");
            return server.add_reply_error_bytes(cid, &text);
        };
        if name == "sentinel-pass" {
            server.redact_client_command_argument(cid, i + 1);
        }
        if !is_good_global(name, value) {
            let text: [&[u8]; 5] = [
                b"Invalid value '",
                value,
                b"' to SENTINEL CONFIG SET '",
                &args[i],
                b"'",
            ];
            return server.add_reply_error_bytes(cid, &text.concat());
        }
        pairs.push((name, value));
        i += 2;
    }
    let mut drop = false;
    for (name, value) in pairs {
        drop |= s.set_global(server, name, value);
    }
    s.flush_config_and_reply(server, cid);
    if drop {
        s.drop_connections(server);
    }
}

fn config_get(s: &Sentinel, server: &mut Server, cid: ClientId, args: &Args) {
    let mut shown: Vec<&str> = Vec::new();
    for i in 3..args.len() {
        for name in GLOBALS {
            if !shown.contains(&name) && string_match_len(&args[i], name.as_bytes(), true) {
                shown.push(name);
            }
        }
    }
    server.add_reply_map_len(cid, shown.len());
    for name in shown {
        server.add_reply_bulk(cid, name.as_bytes());
        let value = s.global(server, name);
        server.add_reply_bulk(cid, &value);
    }
}

/// `SENTINEL INFO-CACHE master-name [master-name ...]`
pub(crate) fn info_cache_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| {
        let mut asked: Vec<InstanceId> = Vec::new();
        for i in 2..args.len() {
            if let Some(m) = s.by_name(&args[i])
                && !asked.contains(&m)
            {
                asked.push(m);
            }
        }
        let now = mstime();
        server.add_reply_array_len(cid, asked.len() * 2);
        for m in asked {
            server.add_reply_bulk(cid, s[m].name.as_bytes());
            server.add_reply_array_len(cid, s[m].slaves.len() + 1);
            for id in std::iter::once(m).chain(s[m].slaves.values().copied()) {
                let i = &s[id];
                let age = if i.info_refresh == 0 {
                    0
                } else {
                    now - i.info_refresh
                };
                server.add_reply_array_len(cid, 2);
                server.add_reply_long_long(cid, age);
                match &i.info {
                    Some(info) => server.add_reply_bulk(cid, info),
                    None => server.add_reply_null(cid),
                }
            }
        }
    });
}

/// `SENTINEL SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]`
pub(crate) fn simulate_failure_command(server: &mut Server, cid: ClientId, args: &Args) {
    let mut wanted = SimulatedFailures::default();
    for i in 2..args.len() {
        if args.is(i, "crash-after-election") {
            wanted.crash_after_election = true;
        } else if args.is(i, "crash-after-promotion") {
            wanted.crash_after_promotion = true;
        } else if args.is(i, "help") {
            server.add_reply_array_len(cid, 2);
            server.add_reply_bulk(cid, b"crash-after-election");
            server.add_reply_bulk(cid, b"crash-after-promotion");
            return;
        } else {
            return server.add_reply_error(cid, "Unknown failure simulation specified");
        }
    }
    for (is_wanted, when) in [
        (
            wanted.crash_after_election,
            "being successfully elected as failover leader",
        ),
        (
            wanted.crash_after_promotion,
            "promoting the selected replica to master",
        ),
    ] {
        if is_wanted {
            server_log!(
                Level::Warning,
                "Failure simulation: this Sentinel will crash after {}",
                when
            );
        }
    }
    server.with_sentinel(|s, server| {
        s.simulated = wanted;
        server.add_reply_ok(cid);
    });
}

/// `SENTINEL DEBUG [name ms ...]`
pub(crate) fn debug_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.with_sentinel(|s, server| {
        if args.len() == 2 {
            let all = s.periods.all();
            server.add_reply_map_len(cid, all.len());
            for (name, ms) in all {
                server.add_reply_bulk(cid, name.as_bytes());
                server.add_reply_bulk_long_long(cid, ms);
            }
            return;
        }
        let mut periods = s.periods.clone();
        for i in (2..args.len()).step_by(2) {
            let (Some(period), Some(value)) = (periods.by_name(&args[i]), args.get(i + 1)) else {
                let text: [&[u8]; 3] = [
                    b"Unknown option or number of arguments for SENTINEL DEBUG '",
                    &args[i],
                    b"'",
                ];
                return server.add_reply_error_bytes(cid, &text.concat());
            };
            let Some(ms) = positive(value) else {
                let text: [&[u8]; 5] = [
                    b"Invalid argument '",
                    value,
                    b"' for SENTINEL DEBUG '",
                    &args[i],
                    b"'",
                ];
                return server.add_reply_error_bytes(cid, &text.concat());
            };
            *period = ms;
        }
        s.periods = periods;
        server.add_reply_ok(cid);
    });
}

impl Server {
    /// ROLE in Sentinel mode (sentinelRoleCommand).
    pub(crate) fn sentinel_role(&mut self, cid: ClientId) {
        self.with_sentinel(|s, server| {
            server.add_reply_array_len(cid, 2);
            server.add_reply_bulk(cid, b"sentinel");
            server.add_reply_array_len(cid, s.masters.len());
            for name in s.masters.keys() {
                server.add_reply_bulk(cid, name.as_bytes());
            }
        });
    }

    /// PUBLISH in Sentinel mode: what another Sentinel says (sentinelPublishCommand).
    pub(crate) fn sentinel_publish(&mut self, cid: ClientId, args: &Args) {
        if &args[1] != HELLO_CHANNEL {
            let text = "Only HELLO messages are accepted by Sentinel instances.";
            return self.add_reply_error(cid, text);
        }
        self.with_sentinel(|s, server| {
            s.process_hello_message(server, &args[2]);
            server.add_reply_long_long(cid, 1);
        });
    }

    /// INFO's section `sentinel`.
    pub(crate) fn sentinel_info_section(&self) -> String {
        let Some(s) = &self.sentinel else {
            return String::new();
        };
        let tilt_s = if s.tilt {
            (mstime() - s.tilt_start_time) / 1000
        } else {
            -1
        };
        let simulated = u8::from(s.simulated.crash_after_election)
            | u8::from(s.simulated.crash_after_promotion) << 1;
        let mut text = format!(
            "# Sentinel\r\nsentinel_masters:{}\r\nsentinel_tilt:{}\r\nsentinel_tilt_since_seconds:{tilt_s}\r\n\
             sentinel_running_scripts:{}\r\nsentinel_scripts_queue_length:{}\r\nsentinel_simulate_failure_flags:{simulated}\r\n",
            s.masters.len(),
            u8::from(s.tilt),
            s.running_scripts(),
            s.scripts.len(),
        );
        for (n, m) in s.masters.values().enumerate() {
            let m = &s[*m];
            text.push_str(&format!(
                "master{n}:name={},status={},address={}:{},slaves={},sentinels={}\r\n",
                m.name,
                m.status(),
                s.announced(&m.addr),
                m.addr.port,
                m.slaves.len(),
                m.sentinels.len() + 1
            ));
        }
        text
    }
}
