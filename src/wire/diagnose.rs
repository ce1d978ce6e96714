//! What is wrong with a link to a master, in one line and with the cure: the words of masters and of the system, translated
//! for whoever runs the replica.
//!
//! Must not know sockets or the server: what was said and what is known of both ends comes in, a sentence goes out.

use std::net::IpAddr;

use crate::wire::rdb::{RDB_VERSION, RdbErrorKind};

/// What is known of the two ends of a link.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
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
pub fn diagnose_reply(line: &[u8], ends: &Ends<'_>) -> Option<String> {
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

/// The line for a master that replicates from this server.
pub fn replica_loop(host: &str, port: u16) -> String {
    format!(
        "loop of replicas: {host}:{port} replicates from here, and we from it: make one of the two a master (REPLICAOF NO ONE)"
    )
}

/// The line for a loop of so many replicas, this server one of them; `replica` is the one that replicates from here.
pub fn ring(host: &str, port: u16, servers: u32, replica: &str) -> String {
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
pub fn is_myself(local: IpAddr, peer: IpAddr, peer_port: u16, our_port: u16) -> bool {
    local == peer && peer_port == our_port
}

/// The line for a master that is this server itself.
pub fn myself(host: &str, port: u16) -> String {
    format!("{host}:{port} is this server itself: correct replicaof, or send REPLICAOF NO ONE")
}

/// The line for a full sync whose payload is no file that can be loaded here.
pub fn payload_refused(why: &RdbErrorKind) -> String {
    match why {
        RdbErrorKind::UnsupportedVersion(v) => format!(
            "the master sends RDB version {v}, and this server reads {RDB_VERSION} at the most: replicate from an older server, or \
             have the master write an older version (rdb-save-version, if it is an Aedile)"
        ),
        RdbErrorKind::BadMagic => format!(
            "the master's full sync does not begin as an RDB file of Redis does: is it a server of another kind?"
        ),
        why => format!(
            "the master's full sync came damaged ({why}): look at the network, and at the master's disk"
        ),
    }
}

/// The line for a full sync that the disk here does not take.
pub fn local_disk(why: &str) -> String {
    format!(
        "a full sync cannot be kept on the disk here ({why}): look at dir, dbfilename and the space that is left"
    )
}

/// The line for a connection that the system refused; none for other errors.
pub fn diagnose_connect(refused: bool, host: &str, port: u16) -> Option<String> {
    refused.then(|| {
        format!(
            "nothing listens at {host}:{port}: is the master up, is the port right, and does its bind include that address?"
        )
    })
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
}
