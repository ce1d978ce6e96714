//! What a Sentinel keeps of each server that it watches, and of each other Sentinel: addresses, links, instances
//! (sentinelAddr, instanceLink, sentinelRedisInstance of sentinel.c).
//!
//! Texts here come from configurations and from the network. Invariant: an address, a name and an id hold no control
//! characters, and no bytes but UTF-8; whoever makes one has asked [`is_host`], [`is_name`] or [`is_id`].
//!
//! Must not know: the event loop's handlers, commands.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};

use bitflags::bitflags;

use crate::ae::FileId;
use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::server::clients::connection::Connection;
use crate::server::clients::link_io::LinkState;
use crate::server_log;
use crate::wire::reply::ReplyReader;

/// Priority of a replica whose INFO has not said one (SENTINEL_DEFAULT_SLAVE_PRIORITY).
const SENTINEL_DEFAULT_SLAVE_PRIORITY: i32 = 100;
/// Replicas that are reconfigured at a time, unless configured (SENTINEL_DEFAULT_PARALLEL_SYNCS).
pub(crate) const SENTINEL_DEFAULT_PARALLEL_SYNCS: i32 = 1;
/// Bytes of a name, host or id at the most.
const MAX_TEXT: usize = 255;

/// Whether a text can be a master's name.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}

/// Whether a text can be an address or a host's name: one word that stands in a configuration and in a hello as it is.
pub(crate) fn is_host(text: &str) -> bool {
    is_word(text) && text.len() <= MAX_TEXT
}

/// Whether a text can be the id of a server or a Sentinel.
pub(crate) fn is_id(text: &str) -> bool {
    is_word(text) && text.len() <= 64
}

fn is_word(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b',' | b'#');
    !text.is_empty() && text.bytes().all(fits)
}

/// Whether bytes that a client gave may stand in the configuration file.
pub(crate) fn is_writable(bytes: &[u8]) -> bool {
    !bytes.iter().any(u8::is_ascii_control)
}

/// Why there is no instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreateError {
    /// There is one of that name.
    Duplicate(Kind),
    /// The host has no address.
    Unresolved,
    BadPort,
    BadName,
    /// There are as many as this process is ready to keep.
    TooMany,
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CreateError::Duplicate(Kind::Master) => "Duplicate master name.",
            CreateError::Duplicate(Kind::Slave) => "Duplicate hostname and port for replica.",
            CreateError::Duplicate(Kind::Sentinel) => "Duplicate runid for sentinel.",
            CreateError::Unresolved => "Can't resolve instance hostname.",
            CreateError::BadPort => "Invalid port number.",
            CreateError::BadName => "Invalid name or id.",
            CreateError::TooMany => "Too many instances.",
        })
    }
}

/// Where an instance is: the host as it was given, the address that it stands for (empty: not known), the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub hostname: String,
    pub ip: String,
    pub port: u16,
}

/// The address of a host. With `resolve`, names are looked up, and the caller waits for that, as upstream's Sentinel does.
pub(crate) fn resolve_host(host: &str, resolve: bool) -> Option<String> {
    if !is_host(host) {
        return None;
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(ip.to_string());
    }
    if !resolve {
        return None;
    }
    let mut found = (host, 0).to_socket_addrs().ok()?;
    found.next().map(|a| a.ip().to_string())
}

impl Address {
    /// An address (createSentinelAddr). With `accept_unresolved`, a name that has no address now is taken where names are
    /// allowed.
    ///
    /// # Errors
    /// The port is none, or the host has no address.
    pub(crate) fn create(
        host: &str,
        port: i64,
        resolve: bool,
        accept_unresolved: bool,
    ) -> Result<Address, CreateError> {
        let port = u16::try_from(port).map_err(|_| CreateError::BadPort)?;
        let ip = match resolve_host(host, resolve) {
            Some(ip) => ip,
            None => {
                server_log!(
                    Level::Warning,
                    "Failed to resolve hostname '{}'",
                    host.get(..MAX_TEXT).unwrap_or(host)
                );
                if !(resolve && accept_unresolved && is_host(host)) {
                    return Err(CreateError::Unresolved);
                }
                String::new()
            }
        };
        Ok(Address {
            hostname: host.to_string(),
            ip,
            port,
        })
    }

    /// The same place, by either name (sentinelAddrOrHostnameEqual).
    pub(crate) fn is_same(&self, other: &Address) -> bool {
        self.port == other.port
            && (!self.ip.is_empty() && self.ip == other.ip
                || self.hostname.eq_ignore_ascii_case(&other.hostname))
    }

    /// Whether `host` is this one's (sentinelAddrEqualsHostname).
    pub(crate) fn is_host(&self, host: &str, resolve: bool) -> bool {
        match resolve_host(host, resolve) {
            Some(ip) => self.ip.eq_ignore_ascii_case(&ip),
            None if resolve => self.hostname.eq_ignore_ascii_case(host),
            None => self.ip.eq_ignore_ascii_case(host),
        }
    }

    /// What others are told (announceSentinelAddr).
    pub(crate) fn announced(&self, hostnames: bool) -> &str {
        if hostnames { &self.hostname } else { &self.ip }
    }

    /// The same with the port: a replica's name (announceSentinelAddrAndPort).
    pub(crate) fn announced_with_port(&self, hostnames: bool) -> String {
        let host = self.announced(hostnames);
        if host.contains(':') {
            format!("[{host}]:{}", self.port)
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

/// Names an instance for ever: no other one gets the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceId(pub(super) u64);

/// Names a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkId(pub(super) u64);

/// What a reply that is to come answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nobody looks at it.
    Nothing,
    Info,
    Ping,
    Publish,
    IsMasterDown,
    /// FAILOVER's, or what was said before it.
    Handover,
}

/// A command that has been sent, or waits to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// Whom it is about: gone perhaps when the reply comes, as a link may be shared.
    pub about: InstanceId,
    pub expected: Expected,
}

/// One connection of a link. What is to be sent waits in `out` until it is up.
pub(crate) struct LinkConn {
    pub sock: Connection,
    pub file: FileId,
    pub state: LinkState,
    pub out: Vec<u8>,
    pub reader: ReplyReader,
    pub pending: VecDeque<Pending>,
}

/// The two connections to an instance, and what they tell of its life (instanceLink). Sentinels that are the same in several
/// masters' lists share one. Times are Unix milliseconds.
pub(crate) struct Link {
    pub refcount: usize,
    /// One of the connections is to be made.
    pub disconnected: bool,
    /// For commands, and for the hello channel.
    pub cc: Option<LinkConn>,
    pub pc: Option<LinkConn>,
    pub cc_conn_time: i64,
    pub pc_conn_time: i64,
    pub pc_last_activity: i64,
    /// The last answer to PING that says that the instance is well.
    pub last_avail_time: i64,
    /// Of the oldest PING that has no good answer; 0: there is none.
    pub act_ping_time: i64,
    pub last_ping_time: i64,
    /// The last answer to PING, whatever it was.
    pub last_pong_time: i64,
    pub last_reconn_time: i64,
}

impl Link {
    /// Not connected (createInstanceLink). The time in which nothing comes counts from now.
    pub(crate) fn new() -> Link {
        let now = mstime();
        Link {
            refcount: 1,
            disconnected: true,
            cc: None,
            pc: None,
            cc_conn_time: 0,
            pc_conn_time: 0,
            pc_last_activity: 0,
            last_avail_time: now,
            act_ping_time: now,
            last_ping_time: 0,
            last_pong_time: now,
            last_reconn_time: 0,
        }
    }

    /// Commands whose replies are to come.
    pub(crate) fn pending_commands(&self) -> usize {
        let of = |c: &Option<LinkConn>| c.as_ref().map_or(0, |c| c.pending.len());
        of(&self.cc) + of(&self.pc)
    }
}

/// What an instance is to this Sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Master,
    Slave,
    Sentinel,
}

impl Kind {
    /// As events have it (sentinelRedisInstanceTypeStr).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Master => "master",
            Kind::Slave => "slave",
            Kind::Sentinel => "sentinel",
        }
    }
}

/// What an instance says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Unknown,
    Master,
    Slave,
}

bitflags! {
    /// What is thought of an instance (SRI_*).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Flags: u16 {
        /// It does not answer us.
        const S_DOWN = 1 << 0;
        /// It does not answer enough Sentinels.
        const O_DOWN = 1 << 1;
        /// Of a Sentinel: it says that the master is down.
        const MASTER_DOWN = 1 << 2;
        const FAILOVER_IN_PROGRESS = 1 << 3;
        /// The replica that is to be the master.
        const PROMOTED = 1 << 4;
        const RECONF_SENT = 1 << 5;
        const RECONF_INPROG = 1 << 6;
        const RECONF_DONE = 1 << 7;
        /// SENTINEL FAILOVER: nobody else is asked.
        const FORCE_FAILOVER = 1 << 8;
        const SCRIPT_KILL_SENT = 1 << 9;
        const MASTER_REBOOT = 1 << 10;
        /// The roles are to be changed by the servers themselves, with FAILOVER.
        const COORDINATED = 1 << 11;
    }
}

/// The states of a failover, in order; see the head of `sentinel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FailoverState {
    None,
    WaitStart,
    SelectSlave,
    SendSlaveofNoone,
    WaitPromotion,
    ReconfSlaves,
    UpdateConfig,
}

impl FailoverState {
    /// As SENTINEL MASTER shows it (sentinelFailoverStateStr).
    pub(crate) fn name(self) -> &'static str {
        match self {
            FailoverState::None => "none",
            FailoverState::WaitStart => "wait_start",
            FailoverState::SelectSlave => "select_slave",
            FailoverState::SendSlaveofNoone => "send_slaveof_noone",
            FailoverState::WaitPromotion => "wait_promotion",
            FailoverState::ReconfSlaves => "reconf_slaves",
            FailoverState::UpdateConfig => "update_config",
        }
    }
}

/// When a failover came how far, Unix milliseconds; 0: it did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FailoverTimes {
    pub started: i64,
    pub elected: i64,
    pub selected: i64,
    pub sent: i64,
    pub promoted: i64,
}

/// A master, a replica, or another Sentinel. Times are Unix milliseconds, 0 for never; periods are milliseconds.
pub(crate) struct Instance {
    pub kind: Kind,
    pub flags: Flags,
    /// A master's is the user's, a replica's its address, a Sentinel's its id.
    pub name: String,
    /// Of a server as its INFO has it; of a Sentinel its id.
    pub runid: Option<String>,
    pub config_epoch: u64,
    pub addr: Address,
    pub link: LinkId,
    pub last_pub_time: i64,
    pub last_hello_time: i64,
    pub last_master_down_reply_time: i64,
    pub s_down_since_time: i64,
    pub o_down_since_time: i64,
    pub down_after_period: i64,
    pub master_reboot_down_after_period: i64,
    pub master_reboot_since_time: i64,
    /// When INFO was answered last.
    pub info_refresh: i64,
    /// What commands are called there: by the usual name in upper case.
    pub renamed_commands: BTreeMap<Vec<u8>, Vec<u8>>,
    pub role_reported: Role,
    pub role_reported_time: i64,
    pub slave_conf_change_time: i64,

    // Of a master.
    pub sentinels: BTreeMap<String, InstanceId>,
    pub slaves: BTreeMap<String, InstanceId>,
    pub quorum: u32,
    pub parallel_syncs: i32,
    pub auth_pass: Option<Vec<u8>>,
    pub auth_user: Option<Vec<u8>>,

    // Of a replica, and its master or a Sentinel's.
    pub master: Option<InstanceId>,
    pub master_link_down_time: i64,
    pub slave_priority: i32,
    pub replica_announced: bool,
    pub slave_reconf_sent_time: i64,
    pub slave_master_host: Option<String>,
    pub slave_master_port: u16,
    pub slave_master_link_up: bool,
    pub slave_repl_offset: u64,

    // Of a failover.
    /// Of a master: whom we voted for. Of a Sentinel: whom it voted for.
    pub leader: Option<String>,
    pub leader_epoch: u64,
    pub failover_epoch: u64,
    pub failover_state: FailoverState,
    pub failover_state_change_time: i64,
    pub failover_start_time: i64,
    pub failover_timeout: i64,
    /// The start time for which the delay was logged.
    pub failover_delay_logged: i64,
    pub failover_times: FailoverTimes,
    pub promoted_slave: Option<InstanceId>,
    pub notification_script: Option<Vec<u8>>,
    pub client_reconfig_script: Option<Vec<u8>>,
    /// The last answer to INFO.
    pub info: Option<Vec<u8>>,
}

impl Instance {
    pub(crate) fn new(
        kind: Kind,
        name: String,
        addr: Address,
        link: LinkId,
        quorum: u32,
        master: Option<InstanceId>,
    ) -> Instance {
        let now = mstime();
        Instance {
            kind,
            flags: Flags::empty(),
            name,
            runid: None,
            config_epoch: 0,
            addr,
            link,
            last_pub_time: now,
            last_hello_time: now,
            last_master_down_reply_time: now,
            s_down_since_time: 0,
            o_down_since_time: 0,
            down_after_period: 0,
            master_reboot_down_after_period: 0,
            master_reboot_since_time: 0,
            info_refresh: 0,
            renamed_commands: BTreeMap::new(),
            role_reported: match kind {
                Kind::Master => Role::Master,
                Kind::Slave => Role::Slave,
                Kind::Sentinel => Role::Unknown,
            },
            role_reported_time: now,
            slave_conf_change_time: now,
            sentinels: BTreeMap::new(),
            slaves: BTreeMap::new(),
            quorum,
            parallel_syncs: SENTINEL_DEFAULT_PARALLEL_SYNCS,
            auth_pass: None,
            auth_user: None,
            master,
            master_link_down_time: 0,
            slave_priority: SENTINEL_DEFAULT_SLAVE_PRIORITY,
            replica_announced: true,
            slave_reconf_sent_time: 0,
            slave_master_host: None,
            slave_master_port: 0,
            slave_master_link_up: false,
            slave_repl_offset: 0,
            leader: None,
            leader_epoch: 0,
            failover_epoch: 0,
            failover_state: FailoverState::None,
            failover_state_change_time: 0,
            failover_start_time: 0,
            failover_timeout: 0,
            failover_delay_logged: 0,
            failover_times: FailoverTimes::default(),
            promoted_slave: None,
            notification_script: None,
            client_reconfig_script: None,
            info: None,
        }
    }

    pub(crate) fn has(&self, flags: Flags) -> bool {
        self.flags.intersects(flags)
    }

    /// How it is, in INFO's words.
    pub(crate) fn status(&self) -> &'static str {
        if self.has(Flags::O_DOWN) {
            "odown"
        } else if self.has(Flags::S_DOWN) {
            "sdown"
        } else {
            "ok"
        }
    }

    /// It has not been down in the last `ms` milliseconds (sentinelRedisInstanceNoDownFor).
    pub(crate) fn no_down_for(&self, ms: i64) -> bool {
        let last = self.s_down_since_time.max(self.o_down_since_time);
        last == 0 || mstime() - last > ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_may_not_reach_a_file() {
        for bad in ["", "a b", "a\nb", "a\"b", "a,b", "\u{e9}", "#x", "a\u{1}"] {
            assert!(!is_host(bad) && !is_id(bad), "{bad:?}");
        }
        assert!(is_host("fe80::1%eth0") && is_host("host.example") && is_id(&"a".repeat(40)));
        assert!(!is_id(&"a".repeat(65)) && !is_host(&"a".repeat(256)));
        assert!(is_name("my master \u{e9}") && !is_name("a\nb") && !is_name(""));
    }

    #[test]
    fn addresses() {
        let a = Address::create("127.0.0.1", 6379, false, false).expect("an address");
        assert_eq!(a.announced_with_port(false), "127.0.0.1:6379");
        let six = Address::create("0:0::1", 1, false, false).expect("an address");
        assert_eq!(
            (&six.ip[..], six.announced_with_port(false)),
            ("::1", "[::1]:1".into())
        );
        assert!(a.is_host("127.0.0.1", false) && !a.is_host("localhost", false));
        for (host, port, error) in [
            ("127.0.0.1", -1, CreateError::BadPort),
            ("127.0.0.1", 65_536, CreateError::BadPort),
            ("localhost", 1, CreateError::Unresolved),
            ("a b", 1, CreateError::Unresolved),
        ] {
            assert_eq!(Address::create(host, port, false, true), Err(error));
        }
        let unknown = Address::create("no such host", 1, true, true);
        assert_eq!(unknown, Err(CreateError::Unresolved));
    }
}
