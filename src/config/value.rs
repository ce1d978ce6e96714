//! The types of directives' values: named choices, flag sets, save points, buffer limits.
//!
//! Invariant: every choice lists its names in the order in which error texts show them, and the first name of a value
//! is the one that CONFIG GET answers. Nothing here knows of files, clients or the server.

use std::borrow::Cow;

use bitflags::bitflags;

use crate::base::log::{Format, Level, Timestamp};
use crate::wire::rdb::{RDB_VERSION, RDB_VERSION_MIN_WRITTEN, VersionCheck};

/// Features that are not built, as error texts name them.
pub(crate) const MODULES: &str = "modules";

/// Declares a named choice: an enum, its names as a configuration file spells them, and both conversions.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:expr,)+ } { $($text:literal => $of:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub(crate) enum $name { $($(#[$vdoc])* $variant = $value,)+ }

        impl $name {
            /// Names and values, in the order of error texts.
            pub(crate) const NAMES: &'static [(&'static str, i32)] = &[$(($text, $name::$of as i32),)+];

            /// The choice with this number, if there is one.
            pub(crate) fn from_value(value: i32) -> Option<Self> {
                $(if value == $name::$variant as i32 { return Some($name::$variant); })+
                None
            }
        }
    };
}

choices! {
    /// `loglevel`: the least severe level that is logged.
    LogLevel {
        /// Everything.
        Debug = 0,
        /// Rarely useful detail.
        Verbose = 1,
        /// What one wants to see in production.
        Notice = 2,
        /// Only what needs attention.
        Warning = 3,
        /// Nothing at all.
        Nothing = 4,
    } { "debug" => Debug, "verbose" => Verbose, "notice" => Notice, "warning" => Warning, "nothing" => Nothing, }
}

choices! {
    /// `supervised`: which supervisor is told of readiness.
    Supervised {
        /// None.
        No = 0,
        /// Found out from the environment.
        Auto = 1,
        /// systemd, through NOTIFY_SOCKET.
        Systemd = 2,
        /// upstart, by stopping itself.
        Upstart = 3,
    } { "upstart" => Upstart, "systemd" => Systemd, "auto" => Auto, "no" => No, }
}

choices! {
    /// `syslog-facility`; the values are those of `syslog.h`.
    SyslogFacility {
        /// LOG_USER.
        User = 1 << 3,
        /// LOG_LOCAL0.
        Local0 = 16 << 3,
        /// LOG_LOCAL1.
        Local1 = 17 << 3,
        /// LOG_LOCAL2.
        Local2 = 18 << 3,
        /// LOG_LOCAL3.
        Local3 = 19 << 3,
        /// LOG_LOCAL4.
        Local4 = 20 << 3,
        /// LOG_LOCAL5.
        Local5 = 21 << 3,
        /// LOG_LOCAL6.
        Local6 = 22 << 3,
        /// LOG_LOCAL7.
        Local7 = 23 << 3,
    } {
        "user" => User, "local0" => Local0, "local1" => Local1, "local2" => Local2, "local3" => Local3,
        "local4" => Local4, "local5" => Local5, "local6" => Local6, "local7" => Local7,
    }
}

choices! {
    /// `maxmemory-policy`.
    MaxmemoryPolicy {
        /// Least recently used, among keys with an expiry.
        VolatileLru = 0,
        /// Least frequently used, among keys with an expiry.
        VolatileLfu = 1,
        /// Nearest expiry.
        VolatileTtl = 2,
        /// Any key with an expiry.
        VolatileRandom = 3,
        /// Least recently used.
        AllkeysLru = 4,
        /// Least frequently used.
        AllkeysLfu = 5,
        /// Any key.
        AllkeysRandom = 6,
        /// Nothing is evicted: writes are refused.
        NoEviction = 7,
    } {
        "volatile-lru" => VolatileLru, "volatile-lfu" => VolatileLfu, "volatile-random" => VolatileRandom,
        "volatile-ttl" => VolatileTtl, "allkeys-lru" => AllkeysLru, "allkeys-lfu" => AllkeysLfu,
        "allkeys-random" => AllkeysRandom, "noeviction" => NoEviction,
    }
}

choices! {
    /// `appendfsync`.
    AppendFsync {
        /// Left to the kernel.
        No = 0,
        /// Before each reply.
        Always = 1,
        /// Once a second.
        EverySec = 2,
    } { "everysec" => EverySec, "always" => Always, "no" => No, }
}

choices! {
    /// `repl-overflow-policy`: what happens to a replica whose pending output passes its limit during a full sync.
    ReplOverflowPolicy {
        /// It is disconnected, and starts over.
        Disconnect = 0,
        /// What its socket does not take goes into a file.
        Spill = 1,
        /// Clients that write are slowed until it has caught up.
        Backpressure = 2,
    } { "disconnect" => Disconnect, "spill" => Spill, "backpressure" => Backpressure, }
}

choices! {
    /// `snapshot-mode`: how a snapshot is taken while clients are served.
    SnapshotMode {
        /// By a forked child, which shares the memory.
        Fork = 0,
        /// In the loop, a part each turn.
        Inline = 1,
    } { "fork" => Fork, "inline" => Inline, }
}

choices! {
    /// `rdb-save-version`.
    RdbSaveVersion {
        /// The newest for files, for a full sync what its replicas read.
        Auto = 0,
        /// That of Redis 5 and 6.
        V9 = 9,
        /// That of Redis 7.0.
        V10 = 10,
        /// That of Redis 7.2.
        V11 = 11,
    } { "auto" => Auto, "9" => V9, "10" => V10, "11" => V11, }
}

impl RdbSaveVersion {
    /// The RDB version of files and of DUMP's payloads.
    pub(crate) fn of_files(self) -> u16 {
        match self {
            RdbSaveVersion::Auto => RDB_VERSION,
            fixed => fixed as u16,
        }
    }

    /// The RDB version of a full sync for replicas that read versions up to `reads`.
    pub(crate) fn of_full_sync(self, reads: u16) -> u16 {
        match self {
            RdbSaveVersion::Auto => reads.clamp(RDB_VERSION_MIN_WRITTEN, RDB_VERSION),
            fixed => fixed as u16,
        }
    }
}

choices! {
    /// `rdb-version-check`: which RDB versions are read.
    RdbVersionCheck {
        /// Those whose content is known.
        Strict = 0,
        /// Later ones too, as far as what is in them is known.
        Relaxed = 1,
    } { "strict" => Strict, "relaxed" => Relaxed, }
}

impl From<RdbVersionCheck> for VersionCheck {
    fn from(check: RdbVersionCheck) -> VersionCheck {
        match check {
            RdbVersionCheck::Strict => VersionCheck::Strict,
            RdbVersionCheck::Relaxed => VersionCheck::Relaxed,
        }
    }
}

choices! {
    /// `log-format`.
    LogFormat {
        /// As Redis has it.
        Legacy = 0,
        /// Names and values.
        Logfmt = 1,
        /// An object a line.
        Json = 2,
    } { "legacy" => Legacy, "logfmt" => Logfmt, "json" => Json, }
}

choices! {
    /// `log-timestamp-format`.
    LogTimestampFormat {
        /// As Redis has it.
        Legacy = 0,
        /// With the offset to UTC.
        Iso8601 = 1,
        /// Unix milliseconds.
        Milliseconds = 2,
    } { "legacy" => Legacy, "iso8601" => Iso8601, "milliseconds" => Milliseconds, }
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Format {
        match format {
            LogFormat::Legacy => Format::Legacy,
            LogFormat::Logfmt => Format::Logfmt,
            LogFormat::Json => Format::Json,
        }
    }
}

impl From<LogTimestampFormat> for Timestamp {
    fn from(format: LogTimestampFormat) -> Timestamp {
        match format {
            LogTimestampFormat::Legacy => Timestamp::Legacy,
            LogTimestampFormat::Iso8601 => Timestamp::Iso8601,
            LogTimestampFormat::Milliseconds => Timestamp::Milliseconds,
        }
    }
}

choices! {
    /// `script-replication`: what goes to replicas and to the append-only file for a script.
    ScriptReplication {
        /// What it did.
        Effects = 0,
        /// The script.
        Verbatim = 1,
    } { "effects" => Effects, "verbatim" => Verbatim, }
}

choices! {
    /// `repl-diskless-load`.
    ReplDisklessLoad {
        /// Through a file.
        Disabled = 0,
        /// From the socket, when there is no data to lose.
        OnEmptyDb = 1,
        /// From the socket, beside the old data.
        SwapDb = 2,
    } { "disabled" => Disabled, "on-empty-db" => OnEmptyDb, "swapdb" => SwapDb, }
}

choices! {
    /// `tls-auth-clients`.
    TlsAuthClients {
        /// Certificates are not asked for.
        No = 0,
        /// A certificate is required.
        Yes = 1,
        /// A certificate is checked if there is one.
        Optional = 2,
    } { "no" => No, "yes" => Yes, "optional" => Optional, }
}

choices! {
    /// `tls-auth-clients-user`.
    TlsAuthClientsUser {
        /// Certificates are nobody's names.
        Off = 0,
        /// The subject's common name.
        Cn = 1,
        /// A URI among the alternative names.
        Uri = 2,
    } { "off" => Off, "CN" => Cn, "URI" => Uri, }
}

choices! {
    /// `oom-score-adj`. `yes` and `relative` are one value, which CONFIG GET calls `yes`.
    OomScoreAdj {
        /// Left alone.
        No = 0,
        /// Relative to the score at the start.
        Relative = 1,
        /// As it stands.
        Absolute = 2,
    } { "no" => No, "yes" => Relative, "relative" => Relative, "absolute" => Absolute, }
}

choices! {
    /// `acl-pubsub-default`.
    AclPubsubDefault {
        /// No channel.
        ResetChannels = 0,
        /// Every channel.
        AllChannels = 8,
    } { "allchannels" => AllChannels, "resetchannels" => ResetChannels, }
}

choices! {
    /// `sanitize-dump-payload`.
    SanitizeDumpPayload {
        /// Shallow checks only.
        No = 0,
        /// Deep checks always.
        Yes = 1,
        /// Deep checks of what clients send, but not of a master's data or a file.
        Clients = 2,
    } { "no" => No, "yes" => Yes, "clients" => Clients, }
}

choices! {
    /// Who may do what `enable-protected-configs`, `enable-debug-command` and `enable-module-command` guard.
    ProtectedAction {
        /// Nobody.
        No = 0,
        /// Every client.
        Yes = 1,
        /// Clients of this host and of the Unix socket.
        Local = 2,
    } { "no" => No, "yes" => Yes, "local" => Local, }
}

choices! {
    /// `cluster-preferred-endpoint-type`.
    ClusterEndpointType {
        /// Address.
        Ip = 0,
        /// Announced host name.
        Hostname = 1,
        /// Unknown: the client goes on with the host it used.
        UnknownEndpoint = 2,
    } { "ip" => Ip, "hostname" => Hostname, "unknown-endpoint" => UnknownEndpoint, }
}

choices! {
    /// `propagation-error-behavior`.
    PropagationErrorBehavior {
        /// Go on.
        Ignore = 0,
        /// Stop.
        Panic = 1,
        /// Stop if the command came from a master.
        PanicOnReplicas = 2,
    } { "ignore" => Ignore, "panic" => Panic, "panic-on-replicas" => PanicOnReplicas, }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Level {
        match level {
            LogLevel::Debug => Level::Debug,
            LogLevel::Verbose => Level::Verbose,
            LogLevel::Notice => Level::Notice,
            LogLevel::Warning => Level::Warning,
            LogLevel::Nothing => Level::Nothing,
        }
    }
}

impl ProtectedAction {
    /// Whether a client may act; `is_local` says that it is on this host (connIsLocal).
    pub(crate) fn allows(self, is_local: bool) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::Local => is_local,
        }
    }
}

bitflags! {
    /// How to shut down: `shutdown-on-sigint`, `shutdown-on-sigterm` and SHUTDOWN itself (SHUTDOWN_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct ShutdownFlags: i32 {
        /// Save even without save points.
        const SAVE = 1 << 0;
        /// Do not save.
        const NOSAVE = 1 << 1;
        /// Do not wait for replicas.
        const NOW = 1 << 2;
        /// Errors do not stop it.
        const FORCE = 1 << 3;
    }

    /// The classes of `notify-keyspace-events` (notify.c), with their letters.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct NotifyFlags: u32 {
        /// `K`: publish to `__keyspace@<db>__:<key>`.
        const KEYSPACE = 1 << 0;
        /// `E`: publish to `__keyevent@<db>__:<event>`.
        const KEYEVENT = 1 << 1;
        /// `g`: commands of any type.
        const GENERIC = 1 << 2;
        /// `$`: strings.
        const STRING = 1 << 3;
        /// `l`: lists.
        const LIST = 1 << 4;
        /// `s`: sets.
        const SET = 1 << 5;
        /// `h`: hashes.
        const HASH = 1 << 6;
        /// `z`: sorted sets.
        const ZSET = 1 << 7;
        /// `x`: expired keys.
        const EXPIRED = 1 << 8;
        /// `e`: evicted keys.
        const EVICTED = 1 << 9;
        /// `t`: streams.
        const STREAM = 1 << 10;
        /// `m`: misses; not part of `A`.
        const KEY_MISS = 1 << 11;
        /// `d`: modules.
        const MODULE = 1 << 13;
        /// `n`: new keys; not part of `A`.
        const NEW = 1 << 14;
        /// `A`: all but misses and new keys.
        const ALL = Self::GENERIC.bits()
            | Self::STRING.bits()
            | Self::LIST.bits()
            | Self::SET.bits()
            | Self::HASH.bits()
            | Self::ZSET.bits()
            | Self::EXPIRED.bits()
            | Self::EVICTED.bits()
            | Self::STREAM.bits()
            | Self::MODULE.bits();
    }
}

impl ShutdownFlags {
    /// What nobody may ask for at once.
    pub(crate) const SAVE_AND_NOSAVE: ShutdownFlags = Self::SAVE.union(Self::NOSAVE);

    /// Names for the two directives.
    pub(crate) const NAMES: &'static [(&'static str, i32)] = &[
        ("default", 0),
        ("save", Self::SAVE.bits()),
        ("nosave", Self::NOSAVE.bits()),
        ("now", Self::NOW.bits()),
        ("force", Self::FORCE.bits()),
    ];
}

impl NotifyFlags {
    /// Letters in the order in which they are shown, those that `A` stands for first.
    const LETTERS: [(u8, NotifyFlags); 14] = [
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
        (b'n', Self::NEW),
        (b'K', Self::KEYSPACE),
        (b'E', Self::KEYEVENT),
        (b'm', Self::KEY_MISS),
    ];
}

/// Bits of a string of event classes (notify.c, keyspaceEventsStringToFlags); `None` at an unknown letter.
pub(crate) fn keyspace_events_string_to_flags(classes: &[u8]) -> Option<NotifyFlags> {
    let mut flags = NotifyFlags::empty();
    for &letter in classes {
        flags |= if letter == b'A' {
            NotifyFlags::ALL
        } else {
            NotifyFlags::LETTERS.iter().find(|(l, _)| *l == letter)?.1
        };
    }
    Some(flags)
}

/// The shortest string of event classes for these bits (notify.c, keyspaceEventsFlagsToString). As upstream's, it
/// leaves `n` out where `A` stands for the rest.
pub(crate) fn keyspace_events_flags_to_string(flags: NotifyFlags) -> Vec<u8> {
    let all = flags.contains(NotifyFlags::ALL);
    let mut text = Vec::new();
    if all {
        text.push(b'A');
    }
    for (letter, bit) in NotifyFlags::LETTERS {
        let folded = all && bit.intersects(NotifyFlags::ALL | NotifyFlags::NEW);
        if flags.intersects(bit) && !folded {
            text.push(letter);
        }
    }
    text
}

/// One `save` point: a snapshot is due `seconds` after the last one if there were at least `changes` changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SaveParam {
    /// Seconds, at least 1.
    pub seconds: i64,
    /// Changes, not negative.
    pub changes: i32,
}

impl SaveParam {
    /// The points of a server whose configuration does not mention `save`.
    pub(crate) fn defaults() -> Vec<SaveParam> {
        let point = |seconds, changes| SaveParam { seconds, changes };
        vec![point(3600, 1), point(300, 100), point(60, 10000)]
    }
}

impl MaxmemoryPolicy {
    /// The name that CONFIG GET answers.
    pub(crate) fn name(self) -> &'static str {
        let known = Self::NAMES.iter().find(|(_, v)| *v == self as i32);
        known.map_or("unknown", |(name, _)| name)
    }
}

/// Limits of a client's output buffer; a limit of 0 does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientBufferLimit {
    /// Bytes at which the client is closed at once.
    pub hard_limit_bytes: u64,
    /// Bytes at which it is closed after `soft_limit_seconds`.
    pub soft_limit_bytes: u64,
    /// Seconds, not negative.
    pub soft_limit_seconds: i64,
}

impl ClientBufferLimit {
    /// Limits of a server whose configuration does not mention them.
    pub(crate) const DEFAULTS: [ClientBufferLimit; 3] = [
        ClientBufferLimit {
            hard_limit_bytes: 0,
            soft_limit_bytes: 0,
            soft_limit_seconds: 0,
        },
        ClientBufferLimit {
            hard_limit_bytes: 256 << 20,
            soft_limit_bytes: 64 << 20,
            soft_limit_seconds: 60,
        },
        ClientBufferLimit {
            hard_limit_bytes: 32 << 20,
            soft_limit_bytes: 8 << 20,
            soft_limit_seconds: 60,
        },
    ];
}

/// A rule of a user as texts for others than its author may show it: a password, or its hash, is left out.
pub(crate) fn rule_without_secret(rule: &[u8]) -> Cow<'_, [u8]> {
    match rule.first() {
        Some(sign @ (b'>' | b'<' | b'#' | b'!')) => {
            [std::slice::from_ref(sign), REDACTED].concat().into()
        }
        _ => rule.into(),
    }
}

/// What stands for a secret.
pub(crate) const REDACTED: &[u8] = b"(redacted)";

/// A line of the configuration that somebody else must judge later, with what is needed to report it as a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeferredLine {
    /// Number of the line, from 1.
    pub number: usize,
    /// The trimmed line.
    pub text: Vec<u8>,
    /// Its arguments, the lower-cased directive first.
    pub args: Vec<Vec<u8>>,
}

/// New lines of a directive that the table does not have: `user`, `loadmodule`, `sentinel monitor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExtraLines {
    /// The directive, in lower case.
    pub option: String,
    /// Whole lines; none removes all lines of the directive.
    pub lines: Vec<Vec<u8>>,
    /// They are written also where there is no old line in whose place they could stand.
    pub force: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_classes_round_trip() {
        for text in ["", "A", "AKE", "g$", "lshzxetdn", "gKEm", "AKEm"] {
            let flags = keyspace_events_string_to_flags(text.as_bytes()).expect("known letters");
            assert_eq!(keyspace_events_flags_to_string(flags), text.as_bytes());
        }
        let all = keyspace_events_string_to_flags(b"KEg$lshzxetd").expect("known letters");
        assert_eq!(keyspace_events_flags_to_string(all), b"AKE");
        assert_eq!(
            keyspace_events_flags_to_string(NotifyFlags::ALL | NotifyFlags::NEW),
            b"A"
        );
        assert_eq!(keyspace_events_string_to_flags(b"K@"), None);
    }

    #[test]
    fn first_name_wins() {
        assert_eq!(OomScoreAdj::NAMES[1], ("yes", OomScoreAdj::Relative as i32));
        assert_eq!(LogLevel::from_value(3), Some(LogLevel::Warning));
        assert_eq!(LogLevel::from_value(9), None);
    }

    #[test]
    fn protected_actions() {
        assert!(!ProtectedAction::No.allows(true));
        assert!(ProtectedAction::Yes.allows(false));
        assert!(ProtectedAction::Local.allows(true) && !ProtectedAction::Local.allows(false));
    }
}
