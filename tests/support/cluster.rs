//! Nodes of a cluster on free ports, ours or real, and what is asked of all of them.

use std::collections::BTreeMap;

use super::server::{Kind, Scratch, Server, free_port};
use super::tls::Certs;
use super::tools::run_cli;
use super::{Conn, wait_until};

/// How long a node may be silent in these tests, milliseconds. Short enough to see failovers, long enough for a busy machine.
pub const NODE_TIMEOUT: u64 = 3000;

/// Starts a node that knows nobody.
pub fn node(kind: Kind, more: &[&str]) -> Server {
    node_in(kind, Scratch::new(), more)
}

/// The same, in a folder that may have its nodes.conf.
pub fn node_in(kind: Kind, scratch: Scratch, more: &[&str]) -> Server {
    let bus = free_port().to_string();
    let timeout = NODE_TIMEOUT.to_string();
    let mut args = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
    args.extend(["--cluster-node-timeout", &timeout]);
    args.extend(["--repl-diskless-sync-delay", "0"]);
    args.extend(more);
    Server::start_in(kind, scratch, &args)
}

/// Starts a node whose bus and replication are TLS; with its port for TLS, beside which it has its plain one.
pub fn tls_node(kind: Kind, certs: &Certs, more: &[&str]) -> (Server, u16) {
    let port = free_port();
    let number = port.to_string();
    let options = certs.options();
    let mut args = vec!["--tls-port", &number];
    args.extend(["--tls-cluster", "yes", "--tls-replication", "yes"]);
    args.extend(options.iter().map(String::as_str));
    args.extend(more);
    (node(kind, &args), port)
}

/// The port of a node's bus.
pub fn bus_port(node: &Server) -> u16 {
    node.connect()
        .config_get("cluster-port")
        .parse()
        .expect("a port")
}

pub fn id_of(node: &Server) -> String {
    node.connect().run("CLUSTER MYID").text()
}

/// A field of CLUSTER INFO.
pub fn cluster_info(node: &Server, field: &str) -> String {
    let mut c = node.connect();
    let text = c.run("CLUSTER INFO").text();
    let prefix = format!("{field}:");
    let line = text.lines().find_map(|l| l.strip_prefix(&prefix[..]));
    line.unwrap_or_default().to_string()
}

/// What a node knows of all: by id, flags, master's id or `-`, and slots.
pub fn nodes(node: &Server) -> BTreeMap<String, (String, String, Vec<String>)> {
    let text = node.connect().run("CLUSTER NODES").text();
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let slots = words[8..].iter().map(|s| s.to_string()).collect();
            let flags = words[2].replace("myself,", "");
            (words[0].to_string(), (flags, words[3].to_string(), slots))
        })
        .collect()
}

/// All nodes know each other, say that the cluster is well, and agree on who has which slots.
pub fn wait_agreement(all: &[&Server]) {
    wait_until("the cluster to agree", || {
        let views: Vec<_> = all.iter().map(|n| nodes(n)).collect();
        all.iter().all(|n| cluster_info(n, "cluster_state") == "ok")
            && views.iter().all(|v| *v == views[0] && v.len() == all.len())
            && views[0].values().all(|(flags, ..)| {
                !["fail", "handshake", "noaddr"]
                    .iter()
                    .any(|f| flags.contains(f))
            })
    });
}

/// Makes one cluster of these masters by hand; each gets its part of the slots, in order.
pub fn join_masters(masters: &[&Server]) {
    let share = 16384 / masters.len();
    for (i, m) in masters.iter().enumerate() {
        let last = match i + 1 == masters.len() {
            true => 16383,
            false => (i + 1) * share - 1,
        };
        let mut c = m.connect();
        c.ok(&format!("CLUSTER SET-CONFIG-EPOCH {}", i + 1));
        c.ok(&format!("CLUSTER ADDSLOTSRANGE {} {last}", i * share));
    }
    for m in &masters[1..] {
        meet(masters[0], m);
    }
    wait_agreement(masters);
}

/// Lets a node get to know another one.
pub fn meet(from: &Server, to: &Server) {
    meet_at(from, to.port, to);
}

/// The same by the port that the bus' kind of connection has for clients.
pub fn meet_at(from: &Server, port: u16, to: &Server) {
    let bus = bus_port(to);
    from.connect()
        .ok(&format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
}

/// Makes a node a replica of one that it knows.
pub fn replicate(replica: &Server, master: &Server) {
    let id = id_of(master);
    wait_until("the replica to know its master", || {
        nodes(replica).contains_key(&id)
    });
    replica.connect().ok(&format!("CLUSTER REPLICATE {id}"));
    wait_until("the link to the master", || {
        replica.connect().info("master_link_status") == "up"
    });
}

/// `redis-cli --cluster` with these words, which must succeed.
pub fn cli_cluster(args: &[&str]) -> String {
    run_cli_cluster(&[], args)
}

/// The same over TLS.
pub fn cli_cluster_tls(certs: &Certs, args: &[&str]) -> String {
    let files = ["ca.crt", "client.crt", "client.key"].map(|f| certs.text(f));
    let [ca, cert, key] = files.each_ref().map(String::as_str);
    let tls = ["--tls", "--cacert", ca, "--cert", cert, "--key", key];
    run_cli_cluster(&tls, args)
}

fn run_cli_cluster(options: &[&str], args: &[&str]) -> String {
    let mut all = options.to_vec();
    all.push("--cluster");
    all.extend(args);
    let end = run_cli(1, &all, b"");
    assert!(
        end.status.success(),
        "{args:?}: {}{}",
        end.stdout,
        end.stderr
    );
    end.stdout
}

/// Runs a command wherever it leads, from any node on.
pub fn anywhere(nodes: &[&Server], words: &[&str]) -> super::Value {
    let mut c = nodes[0].connect();
    let mut asking = false;
    for _ in 0..200 {
        if asking {
            c.ok("ASKING");
        }
        let reply = c.cmd(words);
        let text = match reply.is_error() {
            true => reply.text(),
            false => return reply,
        };
        asking = text.contains("ASK ");
        if asking || text.contains("MOVED ") {
            let port = text.rsplit(':').next().and_then(|p| p.parse().ok());
            c = Conn::connect(port.expect("a port"));
        } else {
            asking = false;
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    panic!("{words:?} leads nowhere");
}

/// A replica has what its master has, once it has caught up.
#[track_caller]
pub fn assert_same_data(master: &Server, replica: &Server) {
    wait_until("the replica to catch up", || {
        let (mut m, mut r) = (master.connect(), replica.connect());
        r.info("master_link_status") == "up"
            && m.info("master_repl_offset") == r.info("slave_repl_offset")
    });
    let data = |node: &Server| -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut c = node.connect();
        c.ok("READONLY");
        let keys = c.run("KEYS *");
        let keys = keys.items().iter().map(super::Value::bytes);
        let keys: Vec<_> = keys.collect();
        keys.into_iter()
            .map(|k| {
                let dump = c.cmd(&[&b"DUMP"[..], &k]);
                assert!(!dump.is_error(), "{dump:?}");
                (k, dump.bytes())
            })
            .collect()
    };
    assert_eq!(data(master), data(replica));
}
