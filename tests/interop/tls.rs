//! Over TLS: replication with a real server, both ways, and the real tools as clients.

use super::load::{Load, populate};
use crate::need_redis;
use crate::support::tls::{Certs, tls_server};
use crate::support::*;

const FAST: &[&str] = &[
    "--repl-diskless-sync-delay",
    "0",
    "--tls-replication",
    "yes",
];

/// A replica takes a snapshot over TLS while its master is written to, loses the link, and goes on.
fn follow(master: Kind, replica: Kind, master_options: &[&str], replica_options: &[&str]) {
    let certs = Certs::new();
    let (m, port) = tls_server(master, &certs, &[FAST, master_options].concat());
    let (r, _) = tls_server(replica, &certs, &[FAST, replica_options].concat());
    populate(&m, 20_000);
    let mut c = m.connect();
    // Larger than what a socket takes at once.
    let big = "b".repeat(9_000_000);
    c.cmd(&["SET", "big", &big]).assert_ok();
    let load = Load::start(m.port, 3);
    r.replicate(port);
    r.wait_link_up();
    c.cmd(&["SET", "later", &big]).assert_ok();
    load.stop();
    assert_synced(&m, &r);
    // A link that breaks goes on where it was.
    let partial = c.info_int("sync_partial_ok");
    c.run("CLIENT KILL TYPE replica");
    populate(&m, 2_000);
    wait_until("a partial resync", || {
        c.info_int("sync_partial_ok") > partial
    });
    r.wait_link_up();
    assert_synced(&m, &r);
    assert!(r.connect().cmd(&["GET", "later"]).bytes() == big.as_bytes());
}

fn through_a_file(master: Kind, replica: Kind) {
    let disk = ["--repl-diskless-sync", "no"];
    follow(
        master,
        replica,
        &disk,
        &["--repl-diskless-load", "disabled"],
    );
}

fn through_a_pipe(master: Kind, replica: Kind) {
    let pipe = ["--repl-diskless-sync", "yes"];
    follow(
        master,
        replica,
        &pipe,
        &["--repl-diskless-load", "disabled"],
    );
}

fn into_memory(master: Kind, replica: Kind) {
    let pipe = ["--repl-diskless-sync", "yes"];
    follow(master, replica, &pipe, &["--repl-diskless-load", "swapdb"]);
}

each_direction!(through_a_file, through_a_pipe, into_memory);

/// Both ends ours.
#[test]
fn aedile_follows_aedile() {
    follow(
        Kind::Aedile,
        Kind::Aedile,
        &[],
        &["--repl-diskless-load", "swapdb"],
    );
    follow(
        Kind::Aedile,
        Kind::Aedile,
        &["--repl-diskless-sync", "no"],
        &[],
    );
}

/// Several replicas on one pipe, one of them without TLS.
#[test]
fn one_pipe_for_all() {
    let certs = Certs::new();
    let (m, port) = tls_server(
        Kind::Aedile,
        &certs,
        &[
            "--repl-diskless-sync-delay",
            "30",
            "--repl-diskless-sync-max-replicas",
            "3",
        ],
    );
    populate(&m, 30_000);
    let replicas: Vec<Server> = [("yes", "disabled"), ("yes", "swapdb"), ("no", "disabled")]
        .iter()
        .map(|(tls, load)| {
            let options = ["--tls-replication", tls, "--repl-diskless-load", load];
            tls_server(Kind::Aedile, &certs, &options).0
        })
        .collect();
    for (r, port) in replicas.iter().zip([port, port, m.port]) {
        r.replicate(port);
    }
    for r in &replicas {
        r.wait_link_up();
        assert_synced(&m, r);
    }
    assert_eq!(m.connect().info("sync_full"), "3");
}

/// A link that cannot be: the log and INFO say why, and it is made once it can be.
#[test]
fn a_link_without_trust_is_not_made() {
    let certs = Certs::new();
    certs.authority("other");
    let (m, port) = tls_server(Kind::Aedile, &certs, &[]);
    let (r, _) = tls_server(Kind::Aedile, &certs, &["--tls-replication", "yes"]);
    let mut c = r.connect();
    c.config_set("tls-ca-cert-file", &certs.text("other.crt"));
    r.replicate(port);
    r.wait_log("invalid peer certificate: UnknownIssuer");
    assert_eq!(c.info("master_link_status"), "down");
    c.config_set("tls-ca-cert-file", &certs.text("ca.crt"));
    r.wait_link_up();
    // To a port without TLS.
    r.replicate(m.port);
    r.wait_log("received corrupt message");
    r.replicate(port);
    r.wait_link_up();
}

fn tool_options(certs: &Certs) -> Vec<String> {
    let mut options = vec!["--tls".to_string()];
    for (o, f) in [
        ("--cert", "client.crt"),
        ("--key", "client.key"),
        ("--cacert", "ca.crt"),
    ] {
        options.extend([o.to_string(), certs.text(f)]);
    }
    options
}

#[test]
fn the_real_tools_are_served() {
    need_redis!();
    let certs = Certs::new();
    let (m, port) = tls_server(Kind::Aedile, &certs, &[]);
    populate(&m, 1_000);
    let options = tool_options(&certs);
    let with = |more: &[&str]| -> Vec<String> {
        options
            .iter()
            .cloned()
            .chain(more.iter().map(|s| (*s).to_string()))
            .collect()
    };
    let cli = |more: &[&str], stdin: &[u8]| {
        let all = with(more);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        tools::run_cli(port, &all, stdin)
    };
    assert_eq!(cli(&["GET", "key:1"], b"").stdout, "value-1-x\n");
    let value = "v".repeat(3_000_000);
    assert_eq!(cli(&["-x", "SET", "big"], value.as_bytes()).stdout, "OK\n");
    assert_eq!(cli(&["GET", "big"], b"").stdout, format!("{value}\n"));
    // A dump of a replica that it plays.
    let rdb = certs.text("remote.rdb");
    let dump = cli(&["--rdb", &rdb], b"");
    assert!(dump.status.success(), "{}{}", dump.stdout, dump.stderr);
    assert!(std::fs::read(&rdb).expect("the dump").starts_with(b"REDIS"));
    for depth in ["1", "16"] {
        let all = with(&[
            "-q",
            "-n",
            "20000",
            "-c",
            "50",
            "-P",
            depth,
            "-t",
            "set,get,lpush,lrange_300",
        ]);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let end = tools::run_benchmark(port, &all);
        assert!(end.status.success(), "{}{}", end.stdout, end.stderr);
        assert_eq!(
            end.stdout.matches("requests per second").count(),
            5,
            "{}",
            end.stdout
        );
    }
    let mut c = m.connect();
    wait_until("all to leave", || c.info_int("connected_clients") == 1);
}
