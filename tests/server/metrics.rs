//! Metrics over HTTP: names and labels of the usual exporter, the three forms, who may read, bounds, health checks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::cluster;
use crate::support::http::{self, get, request};
use crate::support::sentinel::Sentinel;
use crate::support::server::{Scratch, free_port};
use crate::support::tls::Certs;
use crate::support::*;

/// A server with a port for metrics, and that port.
#[track_caller]
pub(crate) fn with_metrics(args: &[&str]) -> (Server, u16) {
    for _ in 0..20 {
        let port = free_port();
        let number = port.to_string();
        let mut all = vec!["--metrics-port", number.as_str()];
        all.extend(args);
        let server = Server::aedile(&all);
        if server.log_has(&format!("Metrics: listening on tcp {port}")) {
            return (server, port);
        }
    }
    panic!("no port could be had");
}

/// A sample: its labels and its value.
type Sample = (BTreeMap<String, String>, f64);

/// What a scrape in text has: families with their types, and samples by name. Panics where it is not well-formed.
struct Scraped {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, Vec<Sample>>,
}

fn labels(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("a label");
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{name}"
        );
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect("the end of a value") {
                (i, '"') => break i,
                (_, '\\') => match chars.next().expect("an escape").1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    c => panic!("escape of {c}"),
                },
                (_, c) => value.push(c),
            }
        };
        assert!(all.insert(name.to_string(), value).is_none(), "{text}");
        rest = after[end + 1..].trim_start_matches(',');
    }
    all
}

fn parse(text: &str, open: bool) -> Scraped {
    let mut s = Scraped {
        types: BTreeMap::new(),
        samples: BTreeMap::new(),
    };
    let mut family = String::new();
    let mut seen = BTreeSet::new();
    let body = match open {
        true => text.strip_suffix("# EOF\n").expect("the end"),
        false => text,
    };
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(
                s.types.insert(name.into(), kind.into()).is_none(),
                "twice: {name}"
            );
            family = name.into();
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        assert!(!line.starts_with('#') && !line.is_empty(), "{line}");
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect("labels"))),
            None => (series, BTreeMap::new()),
        };
        // It stands in its family.
        let suffix = name
            .strip_prefix(&family)
            .unwrap_or_else(|| panic!("{line} in {family}"));
        let kind = s.types[&family].as_str();
        let fits = match kind {
            "counter" if open => suffix == "_total",
            "counter" | "gauge" | "unknown" => suffix.is_empty(),
            "summary" => ["", "_sum", "_count"].contains(&suffix),
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
            _ => false,
        };
        assert!(fits, "{line}: {kind} {family}");
        assert!(seen.insert(series.to_string()), "twice: {series}");
        s.samples
            .entry(name.into())
            .or_default()
            .push((labels, value));
    }
    for samples in s.samples.values() {
        let names: BTreeSet<Vec<&String>> = samples
            .iter()
            .map(|(l, _)| l.keys().filter(|k| *k != "quantile").collect())
            .collect();
        assert_eq!(names.len(), 1, "labels differ: {names:?}");
    }
    s
}

impl Scraped {
    fn of(port: u16) -> Scraped {
        let answer = get(port, "/metrics", "");
        assert_eq!(answer.status, 200, "{}", answer.head);
        parse(&answer.text(), false)
    }

    #[track_caller]
    fn one(&self, name: &str) -> f64 {
        let all = self
            .samples
            .get(name)
            .unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        all[0].1
    }

    #[track_caller]
    fn with(&self, name: &str, label: &str, value: &str) -> f64 {
        let all = self
            .samples
            .get(name)
            .unwrap_or_else(|| panic!("no {name}"));
        let found = all
            .iter()
            .find(|(l, _)| l.get(label).is_some_and(|v| v == value));
        found
            .unwrap_or_else(|| panic!("no {name} of {value}: {all:?}"))
            .1
    }
}

/// All that the usual exporter shows: whether it is here, and its labels.
fn exporter_list() -> Vec<(String, bool, Vec<String>)> {
    let text = include_str!("../assets/exporter_metrics.txt");
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| {
            let (mark, rest) = l.split_at(2);
            assert!(mark == "+ " || rest.ends_with(')'), "no reason: {l}");
            let rest = rest.split(" (").next().unwrap_or(rest);
            let (name, labels) = rest.split_once(": ").unwrap_or((rest, ""));
            let labels = labels.split(',').filter(|l| !l.is_empty());
            (name.into(), mark == "+ ", labels.map(Into::into).collect())
        })
        .collect()
}

#[test]
fn names_and_labels_are_those_of_the_usual_exporter() {
    let (master, port) = with_metrics(&[
        "--appendonly",
        "yes",
        "--enable-debug-command",
        "yes",
        "--latency-monitor-threshold",
        "1",
        "--slowlog-log-slower-than",
        "1000",
    ]);
    let of = format!("127.0.0.1 {}", master.port);
    let (replica, replica_port) = with_metrics(&["--replicaof", &of]);
    let mut c = master.connect();
    wait_until("the replica online", || c.info("slave0").contains("online"));
    c.ok("SET a 1 EX 1000");
    c.run("GET a");
    c.run("GET nothing");
    c.run("LPUSH a 1").assert_error_prefix("WRONGTYPE");
    c.run("DEBUG SLEEP 0.005");
    c.run("EVAL return(1) 0");
    c.ok("CONFIG SET maxmemory 100mb");
    let (m, r) = (Scraped::of(port), Scraped::of(replica_port));
    let (_node, node_port) = node_with_metrics();
    let (_sentinel, sentinel_port) = sentinel_with_metrics(master.port, 1);
    let (n, s) = (Scraped::of(node_port), Scraped::of(sentinel_port));
    let all = [&m, &r, &n, &s];
    let both: BTreeSet<String> = all.iter().flat_map(|s| s.types.keys().cloned()).collect();
    let mut listed = BTreeSet::new();
    for (name, here, labels) in exporter_list() {
        let full = format!("redis_{name}");
        assert_eq!(both.contains(&full), here, "{name}");
        if here {
            let samples = all.into_iter().find_map(|s| {
                let plain = s.samples.get(&full);
                plain.or_else(|| s.samples.get(&format!("{full}_count")))
            });
            let samples = samples.unwrap_or_else(|| panic!("no sample of {name}"));
            let has: Vec<String> = samples[0]
                .0
                .keys()
                .filter(|k| *k != "quantile")
                .cloned()
                .collect();
            let mut wanted = labels;
            wanted.sort_unstable();
            assert_eq!(has, wanted, "labels of {name}");
        }
        listed.insert(full);
    }
    // What is here besides is Aedile's own, by its name.
    let others: Vec<&String> = both.difference(&listed).collect();
    let allowed = [
        "redis_total_system_memory_bytes",
        "redis_number_of_libraries",
    ];
    for name in others {
        assert!(
            // The exporter shows all that CLUSTER INFO says.
            name.starts_with("aedile_")
                || name.starts_with("redis_cluster_")
                || allowed.contains(&name.as_str()),
            "{name}"
        );
    }
    assert_eq!(m.one("redis_up"), 1.0);
    assert_eq!(m.one("redis_connected_slaves"), 1.0);
    assert_eq!(m.one("redis_memory_max_bytes"), 104_857_600.0);
    assert_eq!(m.one("redis_config_maxmemory"), 104_857_600.0);
    assert_eq!(m.one("redis_aof_last_write_status"), 1.0);
    assert_eq!(m.with("redis_db_keys", "db", "db0"), 1.0);
    assert_eq!(m.with("redis_db_keys", "db", "db15"), 0.0);
    assert_eq!(m.with("redis_db_keys_expiring", "db", "db0"), 1.0);
    assert_eq!(m.with("redis_commands_total", "cmd", "get"), 2.0);
    assert_eq!(
        m.with("redis_commands_failed_calls_total", "cmd", "lpush"),
        1.0
    );
    assert_eq!(
        m.with("redis_commands_latencies_usec_count", "cmd", "config|set"),
        1.0
    );
    assert_eq!(
        m.with("redis_latency_percentiles_usec_count", "cmd", "get"),
        2.0
    );
    assert!(m.with("redis_latency_percentiles_usec", "quantile", "99.9") > 0.0);
    assert_eq!(m.with("redis_errors_total", "err", "WRONGTYPE"), 1.0);
    assert!(m.one("redis_last_slow_execution_duration_seconds") > 0.0);
    assert!(
        m.with(
            "redis_latency_spike_duration_seconds",
            "event_name",
            "command"
        ) >= 0.005
    );
    let replica_of_ours = replica.port.to_string();
    assert!(
        m.with(
            "redis_connected_slave_offset_bytes",
            "slave_port",
            &replica_of_ours
        ) >= 0.0
    );
    assert_eq!(m.with("redis_instance_info", "role", "master"), 1.0);
    assert_eq!(r.with("redis_slave_info", "read_only", "1"), 1.0);
    assert_eq!(
        r.with(
            "redis_master_link_up",
            "master_port",
            &master.port.to_string()
        ),
        1.0
    );
}

/// A node of a cluster that knows nobody, and its port for metrics.
#[track_caller]
fn node_with_metrics() -> (Server, u16) {
    let port = free_port();
    let node = cluster::node(Kind::Aedile, &["--metrics-port", &port.to_string()]);
    wait_until("the node's metrics", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    (node, port)
}

/// A Sentinel that watches `m` at this port, and its port for metrics.
#[track_caller]
fn sentinel_with_metrics(master: u16, quorum: u32) -> (Sentinel, u16) {
    let port = free_port();
    let sentinel = Sentinel::with_lines(
        Kind::Aedile,
        &format!(
            "metrics-port {port}\nsentinel monitor m 127.0.0.1 {master} {quorum}\n\
             sentinel down-after-milliseconds m 1000\n"
        ),
    );
    sentinel.hurry();
    (sentinel, port)
}

#[test]
fn a_node_of_a_cluster() {
    let (node, port) = node_with_metrics();
    let m = Scraped::of(port);
    assert_eq!(m.one("redis_cluster_enabled"), 1.0);
    assert_eq!(m.one("redis_cluster_state"), 0.0);
    assert_eq!(m.one("redis_cluster_known_nodes"), 1.0);
    assert_eq!(m.one("redis_cluster_slots_assigned"), 0.0);
    assert_eq!(m.one("redis_cluster_messages_sent_total"), 0.0);
    let mut c = node.connect();
    c.ok("CLUSTER ADDSLOTSRANGE 0 16383");
    let (other, _) = node_with_metrics();
    c.ok(&format!(
        "CLUSTER MEET 127.0.0.1 {} {}",
        other.port,
        cluster::bus_port(&other)
    ));
    wait_until("both know each other", || {
        let m = Scraped::of(port);
        m.one("redis_cluster_state") == 1.0
            && m.one("redis_cluster_known_nodes") == 2.0
            && m.one("redis_cluster_messages_received_total") > 0.0
    });
    let m = Scraped::of(port);
    assert_eq!(m.one("redis_cluster_slots_ok"), 16384.0);
    assert_eq!(m.one("redis_cluster_size"), 1.0);
    assert!(m.one("redis_cluster_stats_messages_ping_sent") > 0.0);
    // No server but a node shows any of it.
    let (_plain, port) = with_metrics(&[]);
    let m = Scraped::of(port);
    assert!(!m.types.contains_key("redis_cluster_state"));
    assert!(!m.types.contains_key("redis_cluster_messages_sent_total"));
}

#[test]
fn a_sentinel() {
    let master = Server::aedile(&[]);
    let of = format!("127.0.0.1 {}", master.port);
    let replica = Server::aedile(&["--replicaof", &of]);
    let (sentinel, port) = sentinel_with_metrics(master.port, 1);
    let of_m = |s: &Scraped, name: &str| {
        s.with(&format!("redis_sentinel_master_{name}"), "master_name", "m")
    };
    wait_until("the replica is known", || {
        of_m(&Scraped::of(port), "ok_slaves") == 1.0
    });
    let s = Scraped::of(port);
    assert_eq!(s.one("redis_sentinel_masters"), 1.0);
    assert_eq!(s.one("redis_sentinel_tilt"), 0.0);
    let address = format!("127.0.0.1:{}", master.port);
    assert_eq!(
        s.with("redis_sentinel_master_status", "master_address", &address),
        1.0
    );
    for (name, v) in [
        ("ckquorum_status", 1.0),
        ("slaves", 1.0),
        ("sentinels", 1.0),
        ("ok_sentinels", 1.0),
        ("setting_ckquorum", 1.0),
        ("setting_down_after_milliseconds", 1000.0),
        ("setting_failover_timeout", 180_000.0),
        ("setting_parallel_syncs", 1.0),
        ("config_epoch", 0.0),
    ] {
        assert_eq!(of_m(&s, name), v, "{name}");
    }
    assert!(of_m(&s, "last_ok_ping_reply_seconds") < 60.0);
    // There is no data set to be shown.
    assert!(s.types.contains_key("redis_commands_total"));
    for name in [
        "redis_db_keys",
        "redis_connected_slaves",
        "aedile_forks_total",
    ] {
        assert!(!s.types.contains_key(name), "{name}");
    }
    // Two Sentinels are wanted now, and the replica is gone.
    let mut c = sentinel.connect();
    c.ok("SENTINEL SET m quorum 2");
    drop(replica);
    wait_until("it is noticed", || {
        of_m(&Scraped::of(port), "ok_slaves") == 0.0
    });
    let s = Scraped::of(port);
    assert_eq!(of_m(&s, "ckquorum_status"), 0.0);
    assert_eq!(of_m(&s, "slaves"), 1.0);
    let (labels, _) = &s.samples["redis_sentinel_master_ckquorum_status"][0];
    assert!(labels["message"].starts_with("NOQUORUM 1 usable Sentinels"));
    drop(master);
    wait_until("the master is down", || {
        of_m(&Scraped::of(port), "status") == 0.0
    });
    let s = Scraped::of(port);
    assert_eq!(
        s.with("redis_sentinel_master_status", "master_status", "sdown"),
        0.0
    );
    // As many as one step takes, and one more.
    for i in 0..16 {
        c.ok(&format!("SENTINEL MONITOR m{i} 127.0.0.1 {} 1", 1000 + i));
    }
    let s = Scraped::of(port);
    assert_eq!(s.samples["redis_sentinel_master_status"].len(), 17);
    assert_eq!(s.samples["redis_sentinel_master_config_epoch"].len(), 17);
}

/// What is Aedile's own, on a server with its defaults but for the port.
#[test]
fn what_the_exporter_does_not_know() {
    let (master, port) = with_metrics(&[]);
    let of = format!("127.0.0.1 {}", master.port);
    let replica = Server::aedile(&["--replicaof", &of]);
    let mut c = master.connect();
    wait_until("the replica online", || c.info("slave0").contains("online"));
    c.run("EVAL return(7) 0");
    let port_label = replica.port.to_string();
    replica.sigstop();
    for i in 0..10 {
        c.ok(&format!("SET k{i} v"));
    }
    wait_until("the lag of a stopped replica", || {
        let m = Scraped::of(port);
        m.with("aedile_replica_lag_seconds", "slave_port", &port_label) > 0.5
    });
    let m = Scraped::of(port);
    assert_eq!(
        m.with("aedile_replica_lag_writes", "slave_port", &port_label),
        10.0
    );
    assert!(m.with("aedile_replica_lag_bytes", "slave_port", &port_label) > 100.0);
    assert_eq!(
        m.with("aedile_replica_spilled_bytes", "slave_port", &port_label),
        0.0
    );
    assert_eq!(
        m.with("aedile_full_syncs_total", "reason", "first_sync"),
        1.0
    );
    assert_eq!(m.with("aedile_full_syncs_total", "reason", "timeout"), 0.0);
    assert_eq!(m.with("aedile_script_calls_total", "kind", "script"), 1.0);
    assert!(m.one("aedile_forks_total") >= 1.0);
    let loops = m.one("aedile_loop_duration_seconds_count");
    assert!(loops > 1.0);
    assert!(m.one("aedile_loop_duration_seconds_sum") > 0.0);
    let buckets = &m.samples["aedile_loop_duration_seconds_bucket"];
    assert!(buckets.windows(2).all(|w| w[0].1 <= w[1].1));
    replica.sigcont();
    wait_until("the replica has caught up", || {
        let m = Scraped::of(port);
        m.with("aedile_replica_lag_writes", "slave_port", &port_label) == 0.0
    });
    // A replica names what is wrong with its link.
    let nobody = free_port();
    let (replica, port) = with_metrics(&["--replicaof", &format!("127.0.0.1 {nobody}")]);
    wait_until("a problem", || {
        let m = Scraped::of(port);
        let all = &m.samples["aedile_master_link_problem"];
        all[0].1 == 1.0 && all[0].0["problem"].contains("127.0.0.1")
    });
    assert_eq!(Scraped::of(port).one("redis_master_link_up"), 0.0);
    drop(replica);
}

#[test]
fn three_forms() {
    let (server, port) = with_metrics(&[]);
    let mut c = server.connect();
    c.ok("SET a b");
    // A code of an error is a client's, as far as a script may name one.
    c.run(r#"EVAL "return {err='A\"\\nB x'}" 0"#);
    let plain = get(port, "/metrics", "");
    assert!(
        plain
            .header("content-type")
            .is_some_and(|t| t.starts_with("text/plain"))
    );
    parse(&plain.text(), false);
    let open = get(
        port,
        "/metrics",
        "Accept: application/openmetrics-text; version=1.0.0\r\n",
    );
    let content = open.header("content-type").expect("a type").to_string();
    assert!(content.starts_with("application/openmetrics-text; version=1.0.0"));
    let open = parse(&open.text(), true);
    // Names are the same as in the other text.
    let names: Vec<_> = parse(&plain.text(), false).samples.into_keys().collect();
    let open_names: Vec<_> = open.samples.keys().cloned().collect();
    assert_eq!(open_names, names);
    assert_eq!(open.types["redis_commands"], "counter");
    assert_eq!(open.types["redis_total_error_replies"], "unknown");
    let accept = "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";
    let binary = get(port, "/metrics", accept);
    let content = binary.header("content-type").expect("a type");
    assert!(content.starts_with("application/vnd.google.protobuf"));
    let mut rest = &binary.body[..];
    let mut families = 0;
    let mut loop_family = None;
    while !rest.is_empty() {
        let (mut n, mut shift) = (0usize, 0);
        loop {
            let b = rest[0];
            rest = &rest[1..];
            n |= usize::from(b & 0x7f) << shift;
            shift += 7;
            if b < 0x80 {
                break;
            }
        }
        let (family, after) = rest.split_at(n);
        rest = after;
        families += 1;
        assert_eq!(family[0], 0x0a, "a name");
        let name = &family[2..2 + usize::from(family[1])];
        if name == b"aedile_loop_duration_seconds" {
            loop_family = Some(family.to_vec());
        }
    }
    assert!(families > 150, "{families}");
    // Field 5 (schema) is 3, of which zigzag makes 6; the spans of field 12 follow.
    let family = loop_family.expect("the loop");
    assert!(family.windows(2).any(|w| w == [0x28, 6]));
    // Without chunks, and without a body.
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let old = http::exchange(stream, b"GET /metrics HTTP/1.0\r\n\r\n");
    assert!(!old.head.to_ascii_lowercase().contains("chunked"));
    parse(&old.text(), false);
    let head = request(port, "HEAD", "/metrics", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(request(port, "HEAD", "/", "").body.len(), 0);
}

#[test]
fn who_may_read() {
    let (server, port) = with_metrics(&["--requirepass", "secret"]);
    let status = |headers: &str| get(port, "/metrics", headers).status;
    assert_eq!(status(""), 200);
    // A page elsewhere cannot lead a browser here by a name of its own.
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let text = b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(http::exchange(stream, text).status, 403);
    let mut c = server.connect();
    c.ok("AUTH secret");
    c.ok("ACL SETUSER ops on >pass:word resetchannels -@all");
    c.config_set("metrics-user", "ops");
    for path in [
        "/", "/metrics", "/state", "/events", "/healthz", "/readyz", "/nothing",
    ] {
        let answer = get(port, path, "");
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer
                .header("www-authenticate")
                .is_some_and(|h| h.starts_with("Basic "))
        );
    }
    let basic = |text: &str| format!("Authorization: Basic {text}\r\n");
    // ops:pass:word, ops:wrong, default:secret
    assert_eq!(status(&basic("b3BzOnBhc3M6d29yZA==")), 200);
    assert_eq!(status(&basic("b3BzOndyb25n")), 401);
    assert_eq!(status(&basic("ZGVmYXVsdDpzZWNyZXQ=")), 401);
    assert_eq!(status(&basic("!!!")), 401);
    let log = format!("{:?}", c.run("ACL LOG"));
    assert!(log.contains("\"HTTP\"") && log.contains("\"ops\""), "{log}");
    assert_eq!(c.info_int("acl_access_denied_auth"), 2);
    c.ok("ACL SETUSER ops off");
    assert_eq!(status(&basic("b3BzOnBhc3M6d29yZA==")), 401);
    // From elsewhere nobody may read without a user: an address of this host that is no loopback is as good as another's.
    let Some(own) = own_address() else {
        return;
    };
    let port = free_port();
    let (number, bind) = (port.to_string(), "0.0.0.0");
    let server = Server::aedile(&["--metrics-port", &number, "--metrics-bind", bind]);
    let ask = || {
        let stream = TcpStream::connect((own.as_str(), port)).expect("connected");
        let text = format!("GET /metrics HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n");
        http::exchange(stream, text.as_bytes())
    };
    assert_eq!(ask().status, 403);
    assert_eq!(get(port, "/metrics", "").status, 200);
    let mut c = server.connect();
    c.ok("ACL SETUSER ops on nopass");
    c.config_set("metrics-user", "ops");
    assert_eq!(ask().status, 401);
}

/// An address of this host that is not on the loopback.
fn own_address() -> Option<String> {
    let s = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent.
    s.connect("192.0.2.1:9").ok()?;
    let ip = s.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then(|| ip.to_string())
}

#[test]
fn what_is_no_request_is_refused() {
    let (server, port) = with_metrics(&[]);
    assert_eq!(request(port, "POST", "/metrics", "").status, 405);
    assert_eq!(
        request(port, "DELETE", "/", "").header("allow"),
        Some("GET, HEAD")
    );
    assert_eq!(get(port, "/nothing", "").status, 404);
    assert_eq!(get(port, "/", "Content-Length: 5\r\n").status, 413);
    assert_eq!(
        get(port, "/", &format!("X: {}\r\n", "x".repeat(9000))).status,
        431
    );
    assert_eq!(get(port, "/", &"a: b\r\n".repeat(70)).status, 431);
    let raw = |bytes: &[u8]| {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        http::exchange(stream, bytes).status
    };
    assert_eq!(raw(b"*1\r\n$4\r\nPING\r\n"), 400);
    assert_eq!(raw(b"\x16\x03\x01\x02\x00\x01"), 400);
    let mut rng = Rng(11);
    for _ in 0..300 {
        let n = 1 + rng.below(400);
        let bytes = rng.bytes(n);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut all = Vec::new();
        // Refused, or closed as it was not whole.
        let _ = stream.read_to_end(&mut all);
        assert!(all.is_empty() || all.starts_with(b"HTTP/1.1 4"));
    }
    // Several in one connection, the last one in two pieces.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream.set_read_timeout(Some(HANG)).expect("timeout");
    let one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(one.repeat(3).as_bytes()).expect("written");
    stream.write_all(&one.as_bytes()[..20]).expect("written");
    std::thread::sleep(Duration::from_millis(50));
    stream.write_all(&one.as_bytes()[20..]).expect("written");
    let mut got = String::new();
    while got.matches("\r\n\r\nok\n").count() < 4 {
        let mut buf = [0; 1000];
        let n = stream.read(&mut buf).expect("read");
        assert!(n > 0, "{got}");
        got.push_str(std::str::from_utf8(&buf[..n]).expect("text"));
    }
    assert_eq!(server.connect().run("PING"), "PONG");
}

#[test]
fn connections_are_bounded_in_number_and_time() {
    let (server, port) = with_metrics(&[]);
    let mut c = server.connect();
    let connect = || {
        let s = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        s.set_read_timeout(Some(HANG)).expect("timeout");
        s
    };
    let idle: Vec<TcpStream> = (0..64).map(|_| connect()).collect();
    // Those before it were accepted before it.
    let mut all = String::new();
    connect().read_to_string(&mut all).expect("closed");
    assert!(all.starts_with("HTTP/1.1 503 "), "{all}");
    // They are no clients, and clients are served.
    assert_eq!(c.info_int("connected_clients"), 1);
    let begun = Instant::now();
    for mut s in &idle {
        // Half a request is none.
        s.write_all(b"GET / HT").expect("written");
    }
    for mut s in idle {
        let mut all = Vec::new();
        s.read_to_end(&mut all).expect("closed");
        assert!(all.is_empty());
    }
    assert!(begun.elapsed() < HANG);
    wait_until("room again", || get(port, "/healthz", "").status == 200);
    // Who asks for a stream and does not read it costs no more than its bound.
    let mut deaf = connect();
    deaf.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("written");
    wait_until("a server that serves others", || c.run("PING") == "PONG");
    drop(deaf);
}

#[test]
fn ready_is_who_is_loaded_and_in_sync() {
    let (master, port) = with_metrics(&[]);
    assert_eq!(get(port, "/readyz", "").text(), "ready\n");
    assert_eq!(get(port, "/healthz", "").text(), "ok\n");
    let of = format!("127.0.0.1 {}", master.port);
    let (replica, port) = with_metrics(&["--replicaof", &of, "--ready-max-lag", "2"]);
    let mut c = master.connect();
    c.config_set("repl-ping-replica-period", "1");
    let status = || get(port, "/readyz", "").status;
    wait_until("a replica in sync", || status() == 200);
    master.sigstop();
    wait_until("a silent master", || status() == 503);
    let text = get(port, "/readyz", "").text();
    assert!(
        text.starts_with("not ready: the master was last heard of "),
        "{text}"
    );
    assert_eq!(get(port, "/healthz", "").status, 200);
    master.sigcont();
    wait_until("in sync again", || status() == 200);
    let mut r = replica.connect();
    r.ok(&format!("REPLICAOF 127.0.0.1 {}", free_port()));
    wait_until("no link", || status() == 503);
    r.ok("REPLICAOF NO ONE");
    assert_eq!(status(), 200);
}

/// While a data set is loaded the server lives and is not ready, and its page goes on.
#[test]
fn health_while_loading() {
    let scratch = Scratch::new();
    let mut server = Server::start_in(Kind::Aedile, scratch, &[]);
    let mut c = server.connect();
    for i in 0..3000 {
        c.send(&["SET", &format!("k{i}"), "v"]);
    }
    for _ in 0..3000 {
        c.read().assert_ok();
    }
    c.ok("SAVE");
    server.terminate();
    let port = free_port();
    let number = port.to_string();
    std::thread::scope(|scope| {
        let asked = scope.spawn(move || {
            wait_for("a server that loads", || {
                TcpStream::connect(("127.0.0.1", port)).ok()?;
                let ready = get(port, "/readyz", "");
                if ready.status != 503 {
                    return None;
                }
                assert_eq!(ready.text(), "not ready: the data set is being loaded\n");
                assert_eq!(get(port, "/healthz", "").status, 200);
                let loading = Scraped::of(port).one("redis_loading_dump_file");
                (loading == 1.0).then_some(())
            });
        });
        server.restart_with(&[
            "--metrics-port",
            &number,
            "--key-load-delay",
            "2000",
            "--loading-process-events-interval-bytes",
            "1024",
        ]);
        asked.join().expect("asked while it loaded");
    });
    wait_until("loaded", || get(port, "/readyz", "").status == 200);
}

#[test]
fn by_unix_socket_over_tls_and_by_config_set() {
    let certs = Certs::new();
    let mut options = certs.options();
    let server = Server::aedile(&options.iter().map(String::as_str).collect::<Vec<_>>());
    let path = server.scratch.join("metrics.sock");
    let mut c = server.connect();
    assert_eq!(c.config_get("metrics-port"), "0");
    c.config_set("metrics-unixsocket", path.to_str().expect("text"));
    let by_unix = || {
        let stream = UnixStream::connect(&path).expect("connected");
        http::exchange(
            stream,
            b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        )
        .status
    };
    assert_eq!(by_unix(), 200);
    let port = free_port();
    c.config_set("metrics-port", &port.to_string());
    assert_eq!((get(port, "/healthz", "").status, by_unix()), (200, 200));
    // One that is taken is refused, and all stays.
    let busy = server.port.to_string();
    c.cmd(&["CONFIG", "SET", "metrics-port", &busy])
        .assert_error_prefix("ERR CONFIG SET failed");
    assert_eq!((get(port, "/healthz", "").status, by_unix()), (200, 200));
    c.config_set("metrics-tls", "yes");
    let client = certs.client(Some("client"));
    let over_tls = |config: &Arc<rustls::ClientConfig>| -> Option<u16> {
        let name = rustls::pki_types::ServerName::try_from("localhost").ok()?;
        let tls = rustls::ClientConnection::new(config.clone(), name).ok()?;
        let tcp = TcpStream::connect(("127.0.0.1", port)).ok()?;
        tcp.set_read_timeout(Some(HANG)).ok()?;
        let mut stream = rustls::StreamOwned::new(tls, tcp);
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).ok()?;
        let answer = http::parse(&all);
        parse(&answer.text(), false);
        Some(answer.status)
    };
    assert_eq!(over_tls(&client), Some(200));
    // As for clients: who has no certificate is not let in.
    assert_eq!(over_tls(&certs.client(None)), None);
    c.config_set("tls-auth-clients", "no");
    assert_eq!(over_tls(&certs.client(None)), Some(200));
    c.ok("CONFIG SET metrics-port 0 metrics-unixsocket \"\"");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!path.exists());
    options.clear();
}

#[test]
fn a_port_that_cannot_be_had_is_no_start() {
    let held = crate::support::server::free_listener();
    let port = held.local_addr().expect("an address").port().to_string();
    let scratch = Scratch::new();
    let own = free_port().to_string();
    let args = ["--port", &own, "--metrics-port", &port];
    let ended = crate::support::server::run_to_end(Kind::Aedile, scratch.path(), &args, b"");
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stdout.contains("Unable to listen on metrics-port"),
        "{}",
        ended.stdout
    );
}
