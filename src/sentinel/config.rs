//! `sentinel` lines of the configuration: what they ask for at the start, and what they say after each change of state
//! (sentinelHandleConfiguration, rewriteConfigSentinelOption).
//!
//! Invariant: what is written is read again as it was, whatever its bytes: a word that is not plain is quoted. The file is
//! synced before anybody is told of a vote, a promotion, a command that was done; see the head of `sentinel`.

use std::ffi::CString;

use crate::base::log::Level;
use crate::base::num::strtol;
use crate::base::split_args::{sdscatrepr, sdsneedsrepr};
use crate::base::sys::{is_executable, strerror};
use crate::config::value::{DeferredLine, ExtraLines};
use crate::sentinel::instance::{
    Address, CreateError, InstanceId, Kind, SENTINEL_DEFAULT_PARALLEL_SYNCS, is_host, is_id,
};
use crate::sentinel::state::Sentinel;
use crate::server::Server;
use crate::server_log;

/// Characters of a Sentinel's id (CONFIG_RUN_ID_SIZE).
const RUN_ID_SIZE: usize = 40;

/// What must be known before a master is made (preMonitorCfgName).
const PRE_MONITOR: [&str; 9] = [
    "announce-ip",
    "announce-port",
    "deny-scripts-reconfig",
    "sentinel-user",
    "sentinel-pass",
    "current-epoch",
    "myid",
    "resolve-hostnames",
    "announce-hostnames",
];

/// In which turn a line is read, whatever its place in the file.
fn turn(line: &DeferredLine) -> u8 {
    let is = |name: &str| {
        line.args
            .get(1)
            .is_some_and(|a| a.eq_ignore_ascii_case(name.as_bytes()))
    };
    if PRE_MONITOR.iter().any(|name| is(name)) {
        0
    } else if is("monitor") {
        1
    } else {
        2
    }
}

/// A number as C's atoi reads it: what is none is 0.
fn atoi(word: &[u8]) -> i64 {
    strtol(word)
        .0
        .clamp(i64::from(i32::MIN), i64::from(i32::MAX))
}

/// An epoch: digits alone, no more than fit.
fn epoch(word: &[u8]) -> Result<u64, String> {
    let text = std::str::from_utf8(word).unwrap_or_default();
    text.parse().map_err(|_| "Invalid epoch.".into())
}

fn yes_no(word: &[u8]) -> Option<bool> {
    match word.to_ascii_lowercase().as_slice() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

fn non_empty(word: &[u8]) -> Option<Vec<u8>> {
    (!word.is_empty()).then(|| word.to_vec())
}

/// Whether the path is one of a program that may be run.
pub(super) fn is_script(path: &[u8]) -> bool {
    CString::new(path).is_ok_and(|p| is_executable(&p))
}

impl Sentinel {
    /// Heeds the lines of the configuration (loadSentinelConfigFromQueue).
    ///
    /// # Errors
    /// The line that is at fault, and why.
    pub(super) fn load_lines<'a>(
        &mut self,
        lines: &'a [DeferredLine],
    ) -> Result<(), (&'a DeferredLine, String)> {
        for now in 0..=2 {
            for line in lines.iter().filter(|line| turn(line) == now) {
                self.handle_configuration(line.args.get(1..).unwrap_or_default())
                    .map_err(|reason| (line, reason))?;
            }
        }
        Ok(())
    }

    fn master_named(&self, name: &[u8]) -> Result<InstanceId, String> {
        let name = std::str::from_utf8(name).ok();
        let found = name.and_then(|n| self.masters.get(n)).copied();
        found.ok_or_else(|| "No such master with specified name.".into())
    }

    /// One line, without the word `sentinel` (sentinelHandleConfiguration).
    fn handle_configuration(&mut self, args: &[Vec<u8>]) -> Result<(), String> {
        const UNKNOWN: &str = "Unrecognized sentinel configuration statement.";
        let name = args
            .first()
            .map(|a| a.to_ascii_lowercase())
            .unwrap_or_default();
        let name = std::str::from_utf8(&name).map_err(|_| UNKNOWN)?;
        match (name, args.get(1..).unwrap_or_default()) {
            ("monitor", [name, host, port, quorum]) => {
                let quorum = u32::try_from(atoi(quorum)).unwrap_or(0);
                if quorum == 0 {
                    return Err("Quorum must be 1 or greater.".into());
                }
                let name = text(name).map_err(|e| e.to_string())?;
                self.known(Kind::Master, &name, (host, port), quorum, None)?;
            }
            ("current-epoch", [value]) => {
                self.current_epoch = self.current_epoch.max(epoch(value)?);
            }
            ("myid", [id]) => {
                let id = text(id)
                    .ok()
                    .filter(|id| id.len() == RUN_ID_SIZE && is_id(id));
                self.myid = id.ok_or("Malformed Sentinel id in myid option.")?;
            }
            ("announce-ip", [ip]) => {
                if !ip.is_empty() {
                    let ip = text(ip).ok().filter(|ip| is_host(ip));
                    self.announce_ip = Some(ip.ok_or("Invalid address in announce-ip option.")?);
                }
            }
            ("announce-port", [port]) => {
                self.announce_port =
                    u16::try_from(atoi(port)).map_err(|_| CreateError::BadPort.to_string())?;
            }
            ("deny-scripts-reconfig", [value]) => {
                self.deny_scripts_reconfig = yes_no(value)
                    .ok_or("Please specify yes or no for the deny-scripts-reconfig options.")?;
            }
            ("resolve-hostnames", [value]) => {
                self.resolve_hostnames = yes_no(value)
                    .ok_or("Please specify yes or no for the resolve-hostnames option.")?;
            }
            ("announce-hostnames", [value]) => {
                self.announce_hostnames = yes_no(value)
                    .ok_or("Please specify yes or no for the announce-hostnames option.")?;
            }
            ("sentinel-user", [user]) => self.auth_user = non_empty(user),
            ("sentinel-pass", [pass]) => self.auth_pass = non_empty(pass),
            // Without an id it is of no use, and was written by no version since 2.8.
            ("known-sentinel", [_, _, _]) => {}
            (name, [master, values @ ..]) => {
                if !MASTER_DIRECTIVES.contains(&(name, values.len())) {
                    return Err(UNKNOWN.into());
                }
                let m = self.master_named(master)?;
                self.handle_master_configuration(m, name, values)?;
            }
            _ => return Err(UNKNOWN.into()),
        }
        Ok(())
    }

    fn handle_master_configuration(
        &mut self,
        m: InstanceId,
        name: &str,
        values: &[Vec<u8>],
    ) -> Result<(), String> {
        let quorum = self[m].quorum;
        match (name, values) {
            ("down-after-milliseconds", [ms]) => {
                self[m].down_after_period = positive(ms)?;
                self.propagate_down_after_period(m);
            }
            ("failover-timeout", [ms]) => self[m].failover_timeout = positive(ms)?,
            ("parallel-syncs", [n]) => {
                self[m].parallel_syncs = i32::try_from(atoi(n)).unwrap_or_default();
            }
            ("notification-script", [path]) => {
                if !is_script(path) {
                    return Err("Notification script seems non existing or non executable.".into());
                }
                self[m].notification_script = Some(path.clone());
            }
            ("client-reconfig-script", [path]) => {
                if !is_script(path) {
                    return Err(
                        "Client reconfiguration script seems non existing or non executable."
                            .into(),
                    );
                }
                self[m].client_reconfig_script = Some(path.clone());
            }
            ("auth-pass", [pass]) => self[m].auth_pass = Some(pass.clone()),
            ("auth-user", [user]) => self[m].auth_user = Some(user.clone()),
            ("config-epoch", [value]) => {
                let value = epoch(value)?;
                self[m].config_epoch = value;
                self.current_epoch = self.current_epoch.max(value);
            }
            ("leader-epoch", [value]) => self[m].leader_epoch = epoch(value)?,
            ("known-slave" | "known-replica", [host, port]) => {
                self.known(Kind::Slave, "", (host, port), quorum, Some(m))?;
            }
            ("known-sentinel", [host, port, id]) => {
                let id = text(id).map_err(|e| e.to_string())?;
                let si = self.known(Kind::Sentinel, &id, (host, port), quorum, Some(m))?;
                self[si].runid = Some(id);
                // Nothing is connected yet.
                drop(self.try_connection_sharing(si));
            }
            ("rename-command", [old, new]) => {
                let old = old.to_ascii_uppercase();
                if self[m].renamed_commands.insert(old, new.clone()).is_some() {
                    return Err("Same command renamed multiple times with rename-command.".into());
                }
            }
            ("master-reboot-down-after-period", [ms]) => {
                let ms = strtol(ms).0;
                if ms < 0 {
                    return Err("negative time parameter.".into());
                }
                self[m].master_reboot_down_after_period = ms;
            }
            _ => return Err("Unrecognized sentinel configuration statement.".into()),
        }
        Ok(())
    }

    fn known(
        &mut self,
        kind: Kind,
        name: &str,
        (host, port): (&[u8], &[u8]),
        quorum: u32,
        master: Option<InstanceId>,
    ) -> Result<InstanceId, String> {
        let host = text(host).map_err(|_| CreateError::Unresolved.to_string())?;
        self.create_instance(kind, name, (&host, atoi(port)), quorum, master)
            .map_err(|e| e.to_string())
    }

    /// Replicas and Sentinels have their master's (sentinelPropagateDownAfterPeriod).
    pub(super) fn propagate_down_after_period(&mut self, master: InstanceId) {
        let period = self[master].down_after_period;
        let of = |t: &std::collections::BTreeMap<String, InstanceId>| {
            t.values().copied().collect::<Vec<_>>()
        };
        let mut all = of(&self[master].slaves);
        all.extend(of(&self[master].sentinels));
        for id in all {
            self[id].down_after_period = period;
        }
    }

    /// The lines for the file, by directive.
    pub(super) fn config_lines(&self) -> Vec<ExtraLines> {
        let mut file = Lines::default();
        let yn = |b: bool| -> &[u8] { if b { b"yes" } else { b"no" } };
        file.put("myid", &[self.myid.as_bytes()]);
        // At their defaults these are written only where they stand already.
        file.put_unless(
            self.deny_scripts_reconfig,
            "deny-scripts-reconfig",
            yn(self.deny_scripts_reconfig),
        );
        file.put_unless(
            !self.resolve_hostnames,
            "resolve-hostnames",
            yn(self.resolve_hostnames),
        );
        file.put_unless(
            !self.announce_hostnames,
            "announce-hostnames",
            yn(self.announce_hostnames),
        );
        for option in PER_MASTER {
            file.of(option);
        }
        for m in self.masters.values() {
            self.master_lines(*m, &mut file);
        }
        file.put(
            "current-epoch",
            &[self.current_epoch.to_string().as_bytes()],
        );
        file.put_if(
            "announce-ip",
            self.announce_ip.as_ref().map(String::as_bytes),
        );
        let port = self.announce_port.to_string();
        file.put_if(
            "announce-port",
            (self.announce_port != 0).then_some(port.as_bytes()),
        );
        file.put_if("sentinel-user", self.auth_user.as_deref());
        file.put_if("sentinel-pass", self.auth_pass.as_deref());
        file.0
    }

    /// What the file has of an address. A host that has no address now keeps its name, or nobody would know where it was.
    fn written<'a>(&self, addr: &'a Address) -> &'a str {
        match self.announced(addr) {
            "" => &addr.hostname,
            known => known,
        }
    }

    fn master_lines(&self, id: InstanceId, file: &mut Lines) {
        let m = &self[id];
        let name = m.name.as_bytes();
        let addr = self.current_master_address(id);
        let host = |a| self.written(a).as_bytes();
        let port = addr.port.to_string();
        let quorum = m.quorum.to_string();
        file.put(
            "monitor",
            &[name, host(addr), port.as_bytes(), quorum.as_bytes()],
        );
        let mut number = |option: &str, n: i64, default: i64| {
            if n != default {
                file.put(option, &[name, n.to_string().as_bytes()]);
            }
        };
        number(
            "down-after-milliseconds",
            m.down_after_period,
            self.periods.default_down_after,
        );
        number(
            "failover-timeout",
            m.failover_timeout,
            self.periods.default_failover_timeout,
        );
        number(
            "parallel-syncs",
            i64::from(m.parallel_syncs),
            i64::from(SENTINEL_DEFAULT_PARALLEL_SYNCS),
        );
        number(
            "master-reboot-down-after-period",
            m.master_reboot_down_after_period,
            0,
        );
        for (option, value) in [
            ("notification-script", &m.notification_script),
            ("client-reconfig-script", &m.client_reconfig_script),
            ("auth-pass", &m.auth_pass),
            ("auth-user", &m.auth_user),
        ] {
            if let Some(value) = value {
                file.put(option, &[name, value]);
            }
        }
        for (option, epoch) in [
            ("config-epoch", m.config_epoch),
            ("leader-epoch", m.leader_epoch),
        ] {
            file.put(option, &[name, epoch.to_string().as_bytes()]);
        }
        for slave in m.slaves.values() {
            let mut at = &self[*slave].addr;
            // It is about to change places with the master.
            if at.is_same(addr) {
                at = &m.addr;
            }
            file.put(
                "known-replica",
                &[name, host(at), at.port.to_string().as_bytes()],
            );
        }
        for si in m.sentinels.values() {
            let si = &self[*si];
            if let Some(id) = &si.runid {
                let port = si.addr.port.to_string();
                file.put(
                    "known-sentinel",
                    &[name, host(&si.addr), port.as_bytes(), id.as_bytes()],
                );
            }
        }
        for (old, new) in &m.renamed_commands {
            file.put("rename-command", &[name, old, new]);
        }
    }

    /// Writes the file; false, and a line in the log, when that fails (sentinelFlushConfig).
    pub(super) fn flush_config(&mut self, server: &mut Server) -> bool {
        self.unsaved = false;
        match server.rewrite_config_with(self.config_lines()) {
            Ok(()) => {
                server_log!(Level::Notice, "Sentinel new configuration saved on disk");
                true
            }
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "WARNING: Sentinel was not able to save the new configuration on disk!!!: {}",
                    strerror(&e)
                );
                false
            }
        }
    }
}

/// Directives of a master, with the number of values behind its name.
const MASTER_DIRECTIVES: [(&str, usize); 14] = [
    ("down-after-milliseconds", 1),
    ("failover-timeout", 1),
    ("parallel-syncs", 1),
    ("notification-script", 1),
    ("client-reconfig-script", 1),
    ("auth-pass", 1),
    ("auth-user", 1),
    ("config-epoch", 1),
    ("leader-epoch", 1),
    ("known-slave", 2),
    ("known-replica", 2),
    ("known-sentinel", 3),
    ("rename-command", 2),
    ("master-reboot-down-after-period", 1),
];

/// Those whose lines are all the Sentinel's to write.
const PER_MASTER: [&str; 14] = [
    "monitor",
    "down-after-milliseconds",
    "failover-timeout",
    "parallel-syncs",
    "notification-script",
    "client-reconfig-script",
    "auth-pass",
    "auth-user",
    "master-reboot-down-after-period",
    "config-epoch",
    "leader-epoch",
    "known-replica",
    "known-sentinel",
    "rename-command",
];

fn text(word: &[u8]) -> Result<String, CreateError> {
    String::from_utf8(word.to_vec()).map_err(|_| CreateError::BadName)
}

fn positive(word: &[u8]) -> Result<i64, String> {
    // Not as atoi: whatever SENTINEL SET takes is read again as it was.
    match strtol(word).0 {
        n if n > 0 => Ok(n),
        _ => Err("negative or zero time parameter.".into()),
    }
}

/// Lines by directive, in the order in which they are to stand in a new file.
#[derive(Default)]
struct Lines(Vec<ExtraLines>);

impl Lines {
    fn of(&mut self, option: &str) -> &mut ExtraLines {
        let option = format!("sentinel {option}");
        let at = match self.0.iter().position(|e| e.option == option) {
            Some(at) => at,
            None => {
                self.0.push(ExtraLines {
                    option,
                    lines: Vec::new(),
                    force: true,
                });
                self.0.len() - 1
            }
        };
        &mut self.0[at]
    }

    fn put(&mut self, option: &str, words: &[&[u8]]) {
        let mut line = format!("sentinel {option}").into_bytes();
        for word in words {
            line.push(b' ');
            if word.is_empty() || sdsneedsrepr(word) || word.contains(&b'\'') {
                sdscatrepr(&mut line, word);
            } else {
                line.extend_from_slice(word);
            }
        }
        self.of(option).lines.push(line);
    }

    fn put_if(&mut self, option: &str, word: Option<&[u8]>) {
        match word {
            Some(word) => self.put(option, &[word]),
            None => drop(self.of(option)),
        }
    }

    /// With `is_default`, it is written only in place of an old line.
    fn put_unless(&mut self, is_default: bool, option: &str, word: &[u8]) {
        self.put(option, &[word]);
        self.of(option).force = !is_default;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::split_args::sdssplitargs;
    use proptest::prelude::*;

    fn parsed(text: &[u8]) -> Vec<DeferredLine> {
        let lines = text.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        lines
            .enumerate()
            .map(|(i, line)| DeferredLine {
                number: i + 1,
                text: line.to_vec(),
                args: sdssplitargs(line).expect("balanced"),
            })
            .collect()
    }

    fn loaded(text: &[u8]) -> Result<Sentinel, String> {
        let mut s = Sentinel::default();
        let lines = parsed(text);
        let result = s.load_lines(&lines).map_err(|(_, why)| why);
        result.map(|()| s)
    }

    fn written(s: &Sentinel) -> Vec<u8> {
        let all = s.config_lines();
        let lines: Vec<Vec<u8>> = all.into_iter().flat_map(|e| e.lines).collect();
        lines.join(&b'\n')
    }

    #[test]
    fn a_file_of_a_real_one() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let text = format!(
            "sentinel known-replica m 10.0.0.2 6379\nsentinel monitor m 10.0.0.1 6379 2\nsentinel myid {id}\n\
             sentinel deny-scripts-reconfig yes\nsentinel config-epoch m 3\nsentinel leader-epoch m 4\n\
             sentinel current-epoch 5\nsentinel known-sentinel m 10.0.0.9 26379 {}\nsentinel known-slave m 10.0.0.3 6379\n\
             sentinel MASTER-reboot-down-after-period m 7\nsentinel known-sentinel m 10.0.0.8 1\n",
            id.replace('0', "f")
        );
        let s = loaded(text.as_bytes()).expect("good");
        let m = &s[s.masters["m"]];
        assert_eq!((m.slaves.len(), m.sentinels.len()), (2, 1));
        assert_eq!((m.config_epoch, m.leader_epoch, s.current_epoch), (3, 4, 5));
        assert_eq!(s.myid, id);
        let text = String::from_utf8(written(&s)).expect("text");
        assert!(text.contains("sentinel known-replica m 10.0.0.3 6379\n"));
        assert_eq!(
            written(&loaded(text.as_bytes()).expect("good")),
            text.as_bytes()
        );
    }

    #[test]
    fn the_promoted_replica_is_written_as_the_master() {
        use crate::sentinel::instance::{FailoverState, Flags};
        let text = b"sentinel monitor m 10.0.0.1 1 1\nsentinel known-replica m 10.0.0.2 2";
        let mut s = loaded(text).expect("good");
        let m = s.masters["m"];
        s[m].promoted_slave = s[m].slaves.values().next().copied();
        s[m].flags |= Flags::FAILOVER_IN_PROGRESS;
        s[m].failover_state = FailoverState::ReconfSlaves;
        let text = String::from_utf8(written(&s)).expect("text");
        assert!(text.contains("sentinel monitor m 10.0.0.2 2 1\n"), "{text}");
        assert!(
            text.contains("sentinel known-replica m 10.0.0.1 1\n"),
            "{text}"
        );
    }

    #[test]
    fn a_host_without_an_address_keeps_its_name() {
        let text = b"sentinel resolve-hostnames yes\nsentinel monitor m no..such 1 1\nsentinel known-replica m no..where 2\n";
        let mut s = loaded(text).expect("good");
        s.myid = "a".repeat(40);
        assert_eq!(s[s.masters["m"]].addr.ip, "");
        let text = String::from_utf8(written(&s)).expect("text");
        assert!(text.contains("sentinel monitor m no..such 1 1\n"), "{text}");
        assert!(
            text.contains("sentinel known-replica m no..where 2"),
            "{text}"
        );
        assert_eq!(
            written(&loaded(text.as_bytes()).expect("good")),
            text.as_bytes()
        );
    }

    proptest! {
        /// Whatever is kept is written so that the next start keeps the same, and nothing else.
        #[test]
        fn what_is_written_is_read_again(
            name in "[ -~\u{e9}]{1,12}",
            pass in prop::collection::vec(any::<u8>(), 1..20),
            user in prop::collection::vec(any::<u8>(), 1..20),
            renamed in prop::collection::vec(any::<u8>(), 1..20),
        ) {
            let mut s = Sentinel::default();
            let at = ("127.0.0.1", 1);
            let m = s.create_instance(Kind::Master, &name, at, 2, None).expect("good");
            s.myid = "a".repeat(40);
            s[m].auth_pass = Some(pass.clone());
            s[m].auth_user = Some(user);
            s[m].renamed_commands.insert(b"PING".to_vec(), renamed);
            s.auth_pass = Some(pass);
            let text = written(&s);
            let again = loaded(&text).expect("good");
            prop_assert_eq!(&again[again.masters[&name]].auth_pass, &s[m].auth_pass);
            prop_assert_eq!(written(&again), text);
        }
    }
}
