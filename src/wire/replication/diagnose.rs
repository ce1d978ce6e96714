//! What is wrong with a link to a master, in one line and with the cure: the words of masters and of the system, translated
//! for whoever runs the replica.
//!
//! A [`Problem`] belongs to the [`Stage`] of the link at which it shows, and is over when a link gets beyond that.
//!
//! Must not know sockets or the server: what was said and what is known of both ends comes in, a sentence goes out.

use std::net::IpAddr;

use crate::base::split_args::sdscatrepr;
use crate::wire::rdb::{
    RDB_VERSION, RDB_VERSION_REDIS, RDB_VERSION_VALKEY, RdbErrorKind, is_valkey,
};

/// Bytes that are quoted of what a peer has said.
const QUOTED: usize = 60;

/// How far a link to a master has come: what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The master's name has an address.
    Resolve,
    /// The connection is made.
    Connect,
    /// PING is answered as a Redis does.
    Greeting,
    /// AUTH is accepted, or none is sent.
    Auth,
    /// PSYNC is answered.
    Psync,
    /// There is a place for the payload.
    Open,
    /// The payload is here as a whole.
    Transfer,
    /// It is loaded, and the link is up.
    Load,
    /// The stream flows.
    Stream,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where it shows.
    pub stage: Stage,
    /// Trying again does not help by itself, and costs the master a snapshot each time.
    pub lasting: bool,
    /// The line for the log and for INFO: one sentence, with the cure where there is one.
    pub text: String,
}

impl Problem {
    /// One that may pass by itself, or costs little.
    pub(crate) fn passing(stage: Stage, text: String) -> Problem {
        let lasting = false;
        Problem {
            stage,
            lasting,
            text,
        }
    }

    /// One that stays until somebody does something.
    pub(crate) fn lasting(stage: Stage, text: String) -> Problem {
        let lasting = true;
        Problem {
            stage,
            lasting,
            text,
        }
    }
}

/// What is known of the two ends of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends<'a> {
    /// The master's host and port, as configured.
    pub host: &'a str,
    /// See `host`.
    pub port: u16,
    /// `masterauth`, and `masteruser`, are set.
    pub has_password: bool,
    /// See `has_password`.
    pub has_user: bool,
    /// One of our own replicas, or somebody who wants to be one, sits where our master should be.
    pub master_is_our_replica: bool,
}

/// The cure for an error reply of a master; none where its own words say enough, or where it passes by itself.
pub(crate) fn diagnose_reply(line: &[u8], ends: &Ends<'_>) -> Option<String> {
    let text = String::from_utf8_lossy(line.strip_prefix(b"-")?);
    let code = text.split(' ').next().unwrap_or_default();
    let Ends { host, port, .. } = ends;
    let no_password_there =
        text.contains("no password is set") || text.contains("without any password configured");
    Some(match code {
        "NOAUTH" if ends.has_password => format!(
            "the master {host}:{port} wants another user than ours: set masteruser to one that may use its data"
        ),
        "NOAUTH" => {
            format!("the master {host}:{port} wants a password: set masterauth to its requirepass")
        }
        "WRONGPASS" if ends.has_user => format!(
            "the master {host}:{port} does not know our user and password: compare masteruser and masterauth with its ACL"
        ),
        "WRONGPASS" => format!(
            "the master {host}:{port} has another password: set masterauth to its requirepass"
        ),
        "ERR" if no_password_there => format!(
            "the master {host}:{port} has no password, and masterauth is set: clear it, or check that this is the right master"
        ),
        "ERR" if text.contains("invalid password") => format!(
            "the master {host}:{port} has another password: set masterauth to its requirepass"
        ),
        "NOPERM" => format!(
            "our user at the master {host}:{port} lacks a right: give it +psync +replconf +ping there (ACL SETUSER)"
        ),
        "DENIED" => format!(
            "the master {host}:{port} is in protected mode: give it a bind address and a password, or set protected-mode no there"
        ),
        "NOMASTERLINK" if ends.master_is_our_replica => replica_loop(host, *port),
        "NOMASTERLINK" => format!(
            "the master {host}:{port} is a replica without a link to its own master: look there, or replicate from another"
        ),
        _ => return None,
    })
}

/// The line for a master that `said` this to REPLCONF, and closed the link when the first acknowledgement came.
pub(crate) fn replconf_refused(said: &str, host: &str, port: u16) -> String {
    let said = said.trim_start_matches('-');
    format!(
        "the master {host}:{port} takes no REPLCONF from us ({said}), and so closes the link at the first acknowledgement: give our \
         user +replconf there (ACL SETUSER), and do not rename the command"
    )
}

/// The line for a master that replicates from this server.
pub(crate) fn replica_loop(host: &str, port: u16) -> String {
    format!(
        "loop of replicas: {host}:{port} replicates from here, and we from it: make one of the two a master (REPLICAOF NO ONE)"
    )
}

/// The line for a loop of so many replicas, this server one of them; `replica` is the one that replicates from here.
pub(crate) fn ring(host: &str, port: u16, servers: u32, replica: &str) -> String {
    match servers {
        0 | 1 => myself(host, port),
        2 => replica_loop(host, port),
        n => format!(
            "loop of {n} replicas: {host}:{port}, from which we replicate, gets its data by way of {replica}, which replicates \
             from here: make one of them a master (REPLICAOF NO ONE)"
        ),
    }
}

/// Whether a connection leads back to this very server: both ends have one address, and the port is one we listen on.
pub(crate) fn is_myself(local: IpAddr, peer: IpAddr, peer_port: u16, our_port: u16) -> bool {
    local == peer && peer_port == our_port
}

/// The line for a master that is this server itself.
pub(crate) fn myself(host: &str, port: u16) -> String {
    format!("{host}:{port} is this server itself: correct replicaof, or send REPLICAOF NO ONE")
}

/// How the system refuses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoConnection {
    /// Nobody listens there.
    Refused,
    /// No answer came within this many seconds.
    Silence(i64),
    /// There is no way to that machine.
    NoRoute,
    /// Our side cannot use its own address (bind-source-addr).
    NoSource,
    /// Anything else.
    Other,
}

/// The line for a master's name that has no address; `why` is the system's text.
pub(crate) fn unresolved(host: &str, why: &str) -> String {
    format!(
        "the name {host} does not resolve ({why}): correct replicaof, or the name service of this machine"
    )
}

/// The line for a connection that could not be made; `why` is the system's text.
pub(crate) fn diagnose_connect(how: NoConnection, why: &str, host: &str, port: u16) -> String {
    match how {
        NoConnection::Refused => format!(
            "nothing listens at {host}:{port}: is the master up, is the port right, and does its bind include that address?"
        ),
        NoConnection::Silence(seconds) => format!(
            "{host}:{port} does not answer within {seconds} seconds: is the machine up, and does a firewall let us through?"
        ),
        NoConnection::NoRoute => {
            format!(
                "there is no route to {host}:{port} ({why}): is the address right, and the network up?"
            )
        }
        NoConnection::NoSource => format!(
            "cannot connect to {host}:{port} from bind-source-addr ({why}): it has to be an address of this machine"
        ),
        NoConnection::Other => format!("cannot connect to {host}:{port}: {why}"),
    }
}

/// What a peer has said, for a line of text: not all of it, and nothing that a terminal or a log takes for its own.
fn quoted(said: &[u8]) -> String {
    let mut out = Vec::new();
    sdscatrepr(&mut out, &said[..said.len().min(QUOTED)]);
    String::from_utf8_lossy(&out).into_owned()
}

/// The line for a peer that answers PING with no reply of a Redis; `said` are its first bytes. None where it is one.
pub(crate) fn diagnose_stranger(said: &[u8], host: &str, port: u16) -> Option<String> {
    let is_http = said.starts_with(b"HTTP/") || said.starts_with(b"<");
    Some(match said {
        [] | [b'+' | b'-', ..] => return None,
        // The first bytes of a TLS record: an alert, or a handshake.
        [0x15 | 0x16, 3, ..] => format!(
            "{host}:{port} speaks TLS: set tls-replication, or replicate from its port without TLS"
        ),
        _ if is_http => {
            format!("{host}:{port} is a web server, not a Redis: is the port right?")
        }
        _ => format!(
            "{host}:{port} is no Redis: it answers PING with {}: is the port right?",
            quoted(said)
        ),
    })
}

/// How a link ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer<'a> {
    /// The other side closed it.
    Closed,
    /// The system says why it broke.
    Broken(&'a str),
    /// Nothing has come for this many seconds (repl-timeout).
    Silent(i64),
}

/// The line for a link that ended at this stage, without an answer that says why.
pub(crate) fn diagnose_end(stage: Stage, how: NoAnswer<'_>, host: &str, port: u16) -> String {
    let ended = match how {
        NoAnswer::Closed => "closes the link".to_string(),
        NoAnswer::Broken(why) => format!("breaks the link ({why})"),
        NoAnswer::Silent(seconds) => format!("says nothing for {seconds} seconds (repl-timeout)"),
    };
    match (stage, how) {
        (Stage::Resolve | Stage::Connect, NoAnswer::Silent(s)) => {
            diagnose_connect(NoConnection::Silence(s), "", host, port)
        }
        (Stage::Greeting, NoAnswer::Silent(_)) => format!(
            "{host}:{port} accepts connections and {ended}: is it a Redis, and not stopped or hung?"
        ),
        // rustls' words for what the other side refuses.
        (_, NoAnswer::Broken(why)) if why.starts_with("received fatal alert") => format!(
            "{host}:{port} refuses the TLS connection ({why}): does it trust who signed this server's certificate \
             (tls-client-cert-file, else tls-cert-file), is that made for clients too, and not expired? Its log says more"
        ),
        (Stage::Resolve | Stage::Connect | Stage::Greeting, _) => format!(
            "{host}:{port} {ended} without a word: is it a Redis, is the port one without TLS, does a firewall interfere?"
        ),
        (Stage::Auth, _) => {
            format!("the master {host}:{port} {ended} during AUTH: look at its log")
        }
        (Stage::Psync, NoAnswer::Silent(_)) => format!(
            "the master {host}:{port} {ended} when it is asked for PSYNC: is it stopped or hung?"
        ),
        (Stage::Psync, _) => format!(
            "the master {host}:{port} {ended} instead of an answer to PSYNC: look at its log"
        ),
        (_, NoAnswer::Silent(_)) => format!(
            "the master {host}:{port} {ended} in the middle of a full sync: if that happens again, raise repl-timeout on both sides"
        ),
        _ => format!(
            "the master {host}:{port} {ended} in the middle of a full sync: if that happens again, look at its log (its disk \
             may be full, its client-output-buffer-limit for replicas too small, or it cannot write what it has in a version for us)"
        ),
    }
}

/// Why a payload cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unloadable<'a> {
    /// It has keys in database `db`, and here are `databases`.
    Databases {
        /// See above; both count from 0.
        db: u64,
        /// See above.
        databases: usize,
    },
    /// It is of this RDB version, and the highest that is read here is `ours`.
    Version {
        /// See above.
        theirs: u32,
        /// See above.
        ours: u32,
    },
    /// It has a function library that cannot be loaded; the words of FUNCTION LOAD.
    Function(&'a str),
    /// It has data of a module of this name.
    Module(&'a str),
    /// It has something that there is no place for here; the words name it.
    Foreign(&'a str),
    /// It is no RDB at all.
    NoRdb,
    /// It is damaged, or contradicts itself; the reader's words.
    Damaged(&'a str),
    /// The file that it was put into cannot be read again; the system's words.
    Unreadable(&'a str),
}

/// The line for a full sync whose payload cannot be loaded, and why.
pub(crate) fn unloadable(why: Unloadable<'_>) -> Problem {
    let why = match why {
        Unloadable::Databases { db, databases } => format!(
            "the master has keys in database {db}, and databases is {databases} here: set databases to at least {}",
            db.saturating_add(1)
        ),
        Unloadable::Version { theirs, ours } => format!(
            "the master writes RDB version {theirs}, this server reads up to {ours}: set rdb-save-version {RDB_VERSION} at the \
             master if it knows that, or try rdb-version-check relaxed here, or upgrade this server"
        ),
        Unloadable::Foreign(words) => {
            format!("{words}: take it away at the master, or replicate with a server of its kind")
        }
        Unloadable::Function(words) => format!(
            "a function library of the master's cannot be loaded here: {words}: mend or FUNCTION DELETE it there"
        ),
        Unloadable::Module(name) => {
            format!("the master has data of the module {name}, which this server does not have")
        }
        Unloadable::NoRdb => "what the master sends does not begin as an RDB file of Redis does: is it a server of another kind?"
            .to_string(),
        Unloadable::Damaged(text) => format!(
            "{text}: the snapshot is damaged, or of another kind; look at the master, at the network, at this machine's memory \
             and disk"
        ),
        Unloadable::Unreadable(text) => format!("the file cannot be read: {text}"),
    };
    Problem::lasting(Stage::Load, format!("full sync cannot be loaded: {why}"))
}

/// The line for a payload that is no RDB file that can be loaded here.
pub(crate) fn bad_rdb(kind: &RdbErrorKind) -> Problem {
    let words = match kind {
        // Its numbers are others each time.
        RdbErrorKind::ChecksumMismatch { .. } => "wrong RDB checksum".to_string(),
        kind => kind.to_string(),
    };
    unloadable(match kind {
        RdbErrorKind::BadMagic => Unloadable::NoRdb,
        RdbErrorKind::UnsupportedVersion(theirs) => Unloadable::Version {
            theirs: *theirs,
            ours: u32::from(match u16::try_from(*theirs).is_ok_and(is_valkey) {
                true => RDB_VERSION_VALKEY,
                false => RDB_VERSION_REDIS,
            }),
        },
        kind if kind.is_foreign() => Unloadable::Foreign(&words),
        _ => Unloadable::Damaged(&words),
    })
}

/// What cannot be done with the file of a full sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk<'a> {
    /// It cannot be made in this folder (`dir`).
    Open(&'a str),
    /// It cannot be written.
    Write,
    /// It would have to take the place of this folder (`dbfilename`).
    Folder(&'a str),
}

/// The line for a full sync that the disk of this server does not take; `why` is the system's text.
pub(crate) fn disk(what: Disk<'_>, why: &str) -> Problem {
    let (stage, text) = match what {
        Disk::Open(dir) => (
            Stage::Open,
            format!(
                "no file can be made in {dir} ({why}): give this server the right to write there, or set dir"
            ),
        ),
        Disk::Write => (
            Stage::Transfer,
            format!("writing its file fails ({why}): is the disk of dir full?"),
        ),
        Disk::Folder(name) => (
            Stage::Open,
            format!("dbfilename {name} is a folder: remove it, or set dbfilename to another name"),
        ),
    };
    Problem::lasting(stage, format!("full sync cannot be kept: {text}"))
}

/// The line for a master that answers PING with an error that has no cure of its own.
pub(crate) fn no_greeting(said: &[u8], host: &str, port: u16) -> String {
    format!(
        "the master {host}:{port} answers PING with an error: {}",
        quoted(said.strip_prefix(b"-").unwrap_or(said))
    )
}

/// The line for a master that announced a full sync and gave it up with this error.
pub(crate) fn aborted(said: &[u8], host: &str, port: u16) -> Problem {
    Problem::lasting(
        Stage::Transfer,
        format!(
            "the master {host}:{port} gives the full sync up: {}: look at its log",
            quoted(said)
        ),
    )
}

/// The line for a payload whose header is none; `said` is what came in its place.
pub(crate) fn no_payload(said: &[u8], host: &str, port: u16) -> Problem {
    Problem::lasting(
        Stage::Transfer,
        format!(
            "{host}:{port} sends {} where the snapshot should begin: is it a Redis?",
            quoted(said)
        ),
    )
}

/// The line for a history that is refused (replica-refuse-empty-master).
pub(crate) fn refused_history(host: &str, port: u16) -> Problem {
    Problem::lasting(
        Stage::Open,
        format!(
            "the master {host}:{port} has another history, not longer than ours, and replica-refuse-empty-master is set: REPLICAOF \
             {host} {port} accepts its data, REPLICAOF NO ONE promotes this replica"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_mistake_names_its_cure() {
        let ends = Ends {
            host: "h",
            port: 7,
            has_password: false,
            has_user: false,
            master_is_our_replica: false,
        };
        let with = Ends {
            has_password: true,
            has_user: true,
            master_is_our_replica: true,
            ..ends
        };
        let cases: [(&[u8], &Ends<'_>, Option<&str>); 12] = [
            (b"-NOAUTH Authentication required.", &ends, Some("masterauth")),
            (b"-NOAUTH Authentication required.", &with, Some("masteruser")),
            (b"-WRONGPASS invalid username-password pair or user is disabled.", &ends, Some("requirepass")),
            (b"-WRONGPASS invalid username-password pair or user is disabled.", &with, Some("ACL")),
            (b"-ERR invalid password", &ends, Some("masterauth")),
            (b"-ERR Client sent AUTH, but no password is set", &with, Some("clear it")),
            (
                b"-ERR AUTH <password> called without any password configured for the default user.",
                &with,
                Some("clear it"),
            ),
            (b"-NOPERM User x has no permissions to run the 'psync' command", &with, Some("+psync")),
            (b"-DENIED Redis is running in protected mode because", &ends, Some("protected-mode no")),
            (b"-NOMASTERLINK Can't SYNC while not connected with my master", &with, Some("loop")),
            (b"-LOADING Redis is loading the dataset in memory", &ends, None),
            (b"+PONG", &ends, None),
        ];
        for (line, ends, want) in cases {
            let got = diagnose_reply(line, ends);
            match want {
                None => assert_eq!(got, None),
                Some(w) => assert!(got.as_deref().is_some_and(|g| g.contains(w)), "{got:?}"),
            }
        }
    }

    #[test]
    fn a_connection_to_oneself() {
        let lo: IpAddr = "127.0.0.1".parse().expect("address");
        let other: IpAddr = "10.0.0.2".parse().expect("address");
        assert!(is_myself(lo, lo, 6379, 6379));
        // Two servers on one machine.
        assert!(!is_myself(lo, lo, 6380, 6379));
        assert!(!is_myself(lo, other, 6379, 6379));
    }

    /// A line that goes into the log and into INFO as it is.
    #[track_caller]
    fn one_line(text: &str, has: &str) {
        assert!(text.contains(has), "{text}");
        assert!(text.bytes().all(|b| (b' '..0x7f).contains(&b)), "{text}");
        assert!(text.len() < 300, "{text}");
    }

    #[test]
    fn what_is_no_redis_is_named() {
        let cases: [(&[u8], Option<&str>); 9] = [
            (b"HTTP/1.1 400 Bad Request", Some("h:7 is a web server")),
            (b"<html>", Some("web server")),
            (b"\x15\x03\x01\x00\x02\x02\x46", Some("speaks TLS")),
            (
                b"SSH-2.0-OpenSSH_9.2",
                Some("answers PING with \"SSH-2.0-OpenSSH_9.2\""),
            ),
            (
                b"\x00\n\xff\x1b[2J",
                Some("answers PING with \"\\x00\\n\\xff"),
            ),
            (&[b'x'; 5000], Some("is no Redis")),
            (b"", None),
            (b"+PONG", None),
            (b"-LOADING", None),
        ];
        for (said, want) in cases {
            let got = diagnose_stranger(said, "h", 7);
            match want {
                None => assert_eq!(got, None),
                Some(want) => one_line(&got.unwrap_or_default(), want),
            }
        }
    }

    #[test]
    fn connections_that_are_not_made() {
        for (how, want) in [
            (NoConnection::Refused, "nothing listens at h:7"),
            (
                NoConnection::Silence(60),
                "h:7 does not answer within 60 seconds",
            ),
            (NoConnection::NoRoute, "no route to h:7 (why)"),
            (NoConnection::NoSource, "from bind-source-addr (why)"),
            (NoConnection::Other, "cannot connect to h:7: why"),
        ] {
            one_line(&diagnose_connect(how, "why", "h", 7), want);
        }
        one_line(&unresolved("h", "why"), "the name h does not resolve (why)");
    }

    #[test]
    fn links_that_end_without_an_answer() {
        use NoAnswer::*;
        use Stage::*;
        for (stage, how, want) in [
            (Connect, Silent(9), "does not answer within 9 seconds"),
            (
                Greeting,
                Silent(9),
                "accepts connections and says nothing for 9 seconds",
            ),
            (Greeting, Closed, "h:7 closes the link without a word"),
            (
                Greeting,
                Broken("why"),
                "h:7 breaks the link (why) without a word",
            ),
            (
                Greeting,
                Broken("received fatal alert: CertificateUnknown"),
                "h:7 refuses the TLS connection (received fatal alert: CertificateUnknown)",
            ),
            (Auth, Closed, "during AUTH"),
            (Psync, Silent(9), "when it is asked for PSYNC"),
            (
                Psync,
                Closed,
                "closes the link instead of an answer to PSYNC",
            ),
            (
                Transfer,
                Closed,
                "closes the link in the middle of a full sync",
            ),
            (Transfer, Silent(9), "raise repl-timeout"),
            (
                Load,
                Broken("why"),
                "breaks the link (why) in the middle of a full sync",
            ),
        ] {
            one_line(&diagnose_end(stage, how, "h", 7), want);
        }
    }

    #[test]
    fn full_syncs_that_cannot_be_had_stay_a_problem() {
        let cases = [
            (
                unloadable(Unloadable::Databases {
                    db: 5,
                    databases: 1,
                }),
                Stage::Load,
                "set databases to at least 6",
            ),
            (
                unloadable(Unloadable::Databases {
                    db: u64::MAX,
                    databases: 1,
                }),
                Stage::Load,
                "full sync cannot be loaded: the master has keys in database 18446744073709551615",
            ),
            (
                unloadable(Unloadable::Version {
                    theirs: 12,
                    ours: 11,
                }),
                Stage::Load,
                "the master writes RDB version 12, this server reads up to 11",
            ),
            (
                bad_rdb(&RdbErrorKind::UnsupportedVersion(81)),
                Stage::Load,
                "the master writes RDB version 81, this server reads up to 80",
            ),
            (
                bad_rdb(&RdbErrorKind::UnsupportedVersion(15)),
                Stage::Load,
                "RDB version 15, this server reads up to 13: set rdb-save-version 11 at the master",
            ),
            (
                bad_rdb(&RdbErrorKind::FieldExpiry),
                Stage::Load,
                "Hash fields have an expiry",
            ),
            (
                unloadable(Unloadable::Function("Engine 'x' not found")),
                Stage::Load,
                "a function library",
            ),
            (
                unloadable(Unloadable::Module("m")),
                Stage::Load,
                "the module m",
            ),
            (
                unloadable(Unloadable::Damaged("why")),
                Stage::Load,
                "cannot be loaded: why",
            ),
            (
                unloadable(Unloadable::Unreadable("why")),
                Stage::Load,
                "cannot be read: why",
            ),
            (
                disk(Disk::Open("/d"), "why"),
                Stage::Open,
                "no file can be made in /d (why)",
            ),
            (
                disk(Disk::Write, "why"),
                Stage::Transfer,
                "writing its file fails (why)",
            ),
            (
                disk(Disk::Folder("f"), "why"),
                Stage::Open,
                "dbfilename f is a folder",
            ),
            (
                unloadable(Unloadable::NoRdb),
                Stage::Load,
                "does not begin as an RDB file",
            ),
            (
                aborted(b"ERR\r", "h", 7),
                Stage::Transfer,
                "gives the full sync up: \"ERR\\r\"",
            ),
            (
                no_payload(b"*5", "h", 7),
                Stage::Transfer,
                "sends \"*5\" where",
            ),
            (
                refused_history("h", 7),
                Stage::Open,
                "REPLICAOF h 7 accepts",
            ),
        ];
        for (problem, stage, want) in cases {
            one_line(&problem.text, want);
            assert_eq!(
                (problem.stage, problem.lasting),
                (stage, true),
                "{problem:?}"
            );
        }
    }
}
