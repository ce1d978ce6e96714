//! Three Sentinels over a master and its replicas, each of them ours or real: the master is killed, a replica takes its place,
//! the others follow, and the old master comes back as a replica. Configuration files go from one kind to the other and back.

use super::load::populate;
use crate::support::server::Scratch;
use crate::support::*;

/// A server with a configuration file, which a Sentinel wants to rewrite.
fn node(kind: Kind) -> Server {
    let scratch = Scratch::in_memory();
    let conf = scratch.write("redis.conf", "repl-ping-replica-period 1\n");
    let conf = conf.to_str().expect("a path");
    Server::start_in(kind, scratch, &[conf])
}

/// Whether the server is a replica of this port whose link is up. A Sentinel that gives a server another role closes its clients: a
/// question that gets no answer is asked again.
fn follows(server: &Server, master: u16) -> bool {
    let asked = Conn::try_connect(server.port);
    let Ok(info) = asked.and_then(|mut c| c.try_cmd(&["INFO", "replication"])) else {
        return false;
    };
    let text = info.text();
    let has = |line: &str| text.lines().any(|l| l == line);
    has("role:slave") && has(&format!("master_port:{master}")) && has("master_link_status:up")
}

fn killed_master_is_replaced(kinds: [Kind; 3], watchers: [Kind; 3]) {
    let all_ours = kinds.iter().chain(&watchers).all(|k| *k == Kind::Aedile);
    if !all_ours && !Sentinel::real_available() {
        return;
    }
    let [mut master, a, b] = kinds.map(node);
    populate(&master, 1000);
    for r in [&a, &b] {
        r.replicate(master.port);
        r.wait_link_up();
    }
    let sentinels = watchers.map(|kind| Sentinel::watching(kind, master.port));
    for s in &sentinels {
        wait_until("a sentinel to know all", || s.knows(2, 2));
    }
    let mut c = master.connect();
    c.ok("SET last written");
    assert_eq!(c.run("WAIT 2 0"), 2);

    master.kill9();
    let promoted = wait_for("a new master", || {
        let port = sentinels[0].master_port();
        (port != master.port && sentinels.iter().all(|s| s.master_port() == port)).then_some(port)
    });
    let (new, other) = if promoted == a.port {
        (&a, &b)
    } else {
        (&b, &a)
    };
    assert_eq!(promoted, new.port);
    assert_eq!(new.connect().info("role"), "master");
    wait_until("the other replica to follow", || follows(other, promoted));
    let mut c = new.connect();
    assert_eq!(c.run("GET last"), "written");
    c.ok("SET last after");
    c.ok("SET more after");

    master.restart();
    wait_until("the old master to follow", || follows(&master, promoted));
    for s in &sentinels {
        wait_until("a sentinel to see both replicas", || {
            let replicas = Conn::connect(s.port).run("SENTINEL REPLICAS m");
            let up = |r: &Value| r.pairs()["flags"] == "slave";
            replicas.items().iter().filter(|r| up(r)).count() == 2
        });
        assert_eq!(s.master_port(), promoted);
    }
    c.ok("SET last end");
    assert_eq!(assert_synced(new, other).len(), 1002);
    assert_synced(new, &master);
    // What it was told survives a restart: the file was rewritten.
    let conf = std::fs::read_to_string(master.scratch.join("redis.conf")).expect("the file");
    assert!(
        conf.contains(&format!("replicaof 127.0.0.1 {promoted}")),
        "{conf}"
    );
}

const OURS: Kind = Kind::Aedile;
const REAL: Kind = Kind::Redis;

#[test]
fn all_aedile() {
    killed_master_is_replaced([OURS; 3], [OURS; 3]);
}

#[test]
fn real_sentinels() {
    killed_master_is_replaced([OURS; 3], [REAL; 3]);
}

#[test]
fn real_sentinels_and_a_real_replica() {
    killed_master_is_replaced([OURS, OURS, REAL], [REAL; 3]);
}

#[test]
fn real_sentinels_and_a_real_master() {
    // Whichever becomes the master, the others follow across versions.
    killed_master_is_replaced([REAL, OURS, OURS], [REAL; 3]);
}

#[test]
fn our_sentinels_over_real_servers() {
    killed_master_is_replaced([REAL; 3], [OURS; 3]);
}

#[test]
fn one_real_sentinel_among_ours() {
    killed_master_is_replaced([OURS, REAL, OURS], [OURS, OURS, REAL]);
}

#[test]
fn two_real_sentinels_with_one_of_ours() {
    killed_master_is_replaced([REAL, OURS, REAL], [OURS, REAL, REAL]);
}

/// SENTINEL FAILOVER of one of them, which leads: the others, of the other kind, take its configuration over.
fn manual_failover(leader: Kind, others: Kind) {
    if !Sentinel::real_available() {
        return;
    }
    let (master, replica) = (node(OURS), node(OURS));
    replica.replicate(master.port);
    replica.wait_link_up();
    let leads = Sentinel::watching(leader, master.port);
    let follow = [0; 2].map(|_| Sentinel::watching(others, master.port));
    for s in follow.iter().chain([&leads]) {
        wait_until("a sentinel to know all", || s.knows(1, 2));
    }
    leads.connect().ok("SENTINEL FAILOVER m");
    for s in follow.iter().chain([&leads]) {
        wait_until("the new master", || s.master_port() == replica.port);
    }
    wait_until("the old master to follow", || {
        follows(&master, replica.port)
    });
    let epoch = leads.master("config-epoch");
    for s in &follow {
        wait_until("the epoch", || s.master("config-epoch") == epoch);
        wait_until("it in the file", || {
            s.conf()
                .contains(&format!("sentinel config-epoch m {epoch}"))
                && s.conf()
                    .contains(&format!("sentinel monitor m 127.0.0.1 {} 2", replica.port))
        });
    }
}

#[test]
fn real_ones_follow_our_leader() {
    manual_failover(OURS, REAL);
}

#[test]
fn ours_follow_a_real_leader() {
    manual_failover(REAL, OURS);
}

/// A file that one kind has written is taken over by the other one, as it is, and back again.
#[test]
fn configuration_files_go_there_and_back() {
    if !Sentinel::real_available() {
        return;
    }
    let (master, replica) = (node(OURS), node(OURS));
    replica.replicate(master.port);
    replica.wait_link_up();
    let other = Sentinel::watching(OURS, master.port);
    for first in [OURS, REAL] {
        let mut s = Sentinel::with_lines(
            first,
            &format!(
                "# a comment that stays\nsentinel monitor m 127.0.0.1 {} 2\nsentinel parallel-syncs m 3\n\
                 sentinel auth-pass m secret\nsentinel rename-command m CLIENT CLIENT\n\
                 sentinel monitor far 127.0.0.1 1 7\nsentinel down-after-milliseconds far 5000\nuser bob on nopass ~* &* +@all\n",
                master.port
            ),
        );
        s.hurry();
        wait_until("the replica and the other sentinel", || {
            let conf = s.conf();
            conf.contains("sentinel known-replica m") && conf.contains("sentinel known-sentinel m")
        });
        let me = s.connect().run("SENTINEL MYID").text();
        let known = |s: &Sentinel| {
            let conf = s.conf();
            let of = |word: &str| {
                let mut lines: Vec<String> = conf
                    .lines()
                    .filter(|l| l.starts_with("sentinel ") && l.contains(word))
                    .map(|l| l.replace('"', ""))
                    .collect();
                lines.sort();
                lines
            };
            (of(" m "), of(" far "), of("myid"))
        };
        let before = known(&s);
        for kind in [first.other(), first] {
            s.stop();
            s.kind = kind;
            s.start();
            assert_eq!(s.connect().run("SENTINEL MYID"), me.as_str());
            s.connect().ok("SENTINEL FLUSHCONFIG");
            assert_eq!(known(&s), before, "{kind:?}");
            assert!(s.conf().contains("# a comment that stays"));
            assert!(s.conf().contains("user bob on"), "{}", s.conf());
            let far = s.connect().run("SENTINEL MASTER far");
            assert_eq!(far.pairs()["quorum"], "7");
            assert_eq!(far.pairs()["down-after-milliseconds"], "5000");
            assert_eq!(s.master("parallel-syncs"), "3");
            assert_eq!(
                (
                    &s.master("num-slaves")[..],
                    &s.master("num-other-sentinels")[..]
                ),
                ("1", "1")
            );
        }
        s.stop();
        other.connect().run("SENTINEL RESET m");
    }
}

/// The master hands over by itself: a writer that goes on all the time loses nothing that was acknowledged.
#[test]
fn a_coordinated_failover_loses_nothing() {
    let (master, replica) = (node(OURS), node(OURS));
    replica.replicate(master.port);
    replica.wait_link_up();
    let s = Sentinel::watching(OURS, master.port);
    s.connect().ok("SENTINEL SET m quorum 1");
    wait_until("the sentinel to know all", || s.knows(1, 0));
    let mut c = master.connect();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let acknowledged = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                match c.try_cmd(&["INCR", "n"]) {
                    Ok(Value::Int(_)) => n += 1,
                    // It is no master any more, or has closed its clients.
                    _ => break,
                }
            }
            n
        });
        s.connect().ok("SENTINEL FAILOVER m COORDINATED");
        wait_until("the new master", || s.master_port() == replica.port);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().expect("the writer")
    });
    assert!(acknowledged > 0);
    let mut c = replica.connect();
    assert_eq!(c.info("role"), "master");
    let there: i64 = c.run("GET n").text().parse().expect("a number");
    // The last one may have been done without its answer.
    assert!(
        there == acknowledged || there == acknowledged + 1,
        "{there} {acknowledged}"
    );
    wait_until("the old master to follow", || {
        follows(&master, replica.port)
    });
    assert_synced(&replica, &master);
    wait_until("the times of the failover", || {
        s.log()
            .contains("Failover of 'm' in epoch 1: done, election ")
    });
    // Roles outlive a restart.
    let conf =
        |node: &Server| std::fs::read_to_string(node.scratch.join("redis.conf")).expect("the file");
    wait_until("the files", || {
        let told = format!("replicaof 127.0.0.1 {}", replica.port);
        conf(&master).contains(&told) && !conf(&replica).contains("replicaof 127")
    });
}

/// Many write all the time while the master is handed over again and again: what was answered is there, what was refused is not, and
/// nobody takes the whole data set anew.
fn coordinated_failovers_under_load(kinds: [Kind; 3], watchers: [Kind; 3]) {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    const WRITERS: usize = 6;
    let all_ours = kinds.iter().chain(&watchers).all(|k| *k == OURS);
    if !all_ours && !Sentinel::real_available() {
        return;
    }
    let nodes = kinds.map(node);
    populate(&nodes[0], 20_000);
    for n in &nodes {
        // A replica that a slow machine keeps waiting finds what it has missed.
        n.connect().config_set("repl-backlog-size", "256mb");
    }
    for r in &nodes[1..] {
        r.replicate(nodes[0].port);
        r.wait_link_up();
    }
    let sentinels = watchers.map(|kind| Sentinel::watching(kind, nodes[0].port));
    for s in &sentinels {
        s.connect().ok("SENTINEL SET m failover-timeout 10000");
        wait_until("a sentinel to know all", || s.knows(2, 2));
    }
    let full_syncs = || {
        nodes
            .iter()
            .map(|n| wait_for("INFO", || Conn::try_connect(n.port).ok()).info_int("sync_full"))
            .sum::<i64>()
    };
    assert_eq!(full_syncs(), 2);
    let stop = AtomicBool::new(false);
    // Done, and perhaps done.
    let write = |number: usize| {
        let (mut done, mut open) = (0i64, 0i64);
        let key = format!("n{number}");
        let incr = ["INCR", key.as_str()];
        let batch = vec![incr.to_vec(); 1 + number * 3];
        while !stop.load(SeqCst) {
            let asked = Conn::try_connect(sentinels[number % 3].master_port());
            let Ok(mut c) = asked else { continue };
            'link: while !stop.load(SeqCst) {
                let out: Vec<u8> = batch.iter().flat_map(|w| conn::encode(w)).collect();
                if c.try_write_raw(&out).is_err() {
                    open += batch.len() as i64;
                    break;
                }
                for n in 0..batch.len() {
                    match c.try_read() {
                        Ok(Value::Int(_)) => done += 1,
                        Ok(_) => {}
                        Err(_) => {
                            open += (batch.len() - n) as i64;
                            break 'link;
                        }
                    }
                }
            }
        }
        (done, open)
    };
    let mut master = nodes[0].port;
    let told = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| scope.spawn(move || write(n)))
            .collect();
        for round in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(300));
            let s = sentinels.iter().filter(|s| s.kind == OURS).nth(round % 2);
            let s = s.expect("two of ours");
            let old = master;
            let mut c = s.connect();
            master = wait_for("the new master", || {
                if s.master_port() == old {
                    // It may be refused, or given up in time, and is then asked for again; one that is under way refuses this.
                    c.run("SENTINEL FAILOVER m COORDINATED");
                }
                let port = sentinels[0].master_port();
                let all = sentinels.iter().all(|s| s.master_port() == port);
                (all && port != old).then_some(port)
            });
            for n in nodes.iter().filter(|n| n.port != master) {
                wait_until("a replica to follow", || follows(n, master));
            }
            for s in &sentinels {
                wait_until("a sentinel to know all", || s.knows(2, 2));
            }
        }
        stop.store(true, SeqCst);
        let ended = writers.into_iter().map(|w| w.join().expect("a writer"));
        ended.collect::<Vec<_>>()
    });
    let new = nodes
        .iter()
        .find(|n| n.port == master)
        .expect("one of ours");
    let mut c = new.connect();
    for (n, (done, open)) in told.iter().enumerate() {
        let there: i64 = c
            .run(&format!("GET n{n}"))
            .text()
            .parse()
            .expect("a number");
        assert!(*done > 100, "writer {n} has written {done}");
        assert!(
            (*done..=done + open).contains(&there),
            "writer {n}: {there} there, {done} answered, {open} not"
        );
    }
    assert_eq!(full_syncs(), 2, "somebody took all the data anew");
    for n in nodes.iter().filter(|n| n.port != master) {
        assert_synced(new, n);
    }
}

#[test]
fn coordinated_failovers_under_load_lose_nothing() {
    coordinated_failovers_under_load([OURS; 3], [OURS; 3]);
}

#[test]
fn coordinated_failovers_under_load_among_real_ones() {
    coordinated_failovers_under_load([OURS, OURS, REAL], [OURS, REAL, OURS]);
}

#[test]
fn coordinated_failovers_under_load_of_real_servers() {
    coordinated_failovers_under_load([REAL; 3], [OURS, OURS, REAL]);
}

/// A master that is a real one is asked in the same way; one that cannot hand over refuses, and nothing has changed.
#[test]
fn a_coordinated_failover_of_real_servers() {
    if !Sentinel::real_available() {
        return;
    }
    let (master, replica) = (node(REAL), node(REAL));
    replica.replicate(master.port);
    replica.wait_link_up();
    let s = Sentinel::watching(OURS, master.port);
    s.connect().ok("SENTINEL SET m quorum 1");
    wait_until("the sentinel to know all", || s.knows(1, 0));
    s.connect()
        .ok("SENTINEL SET m rename-command FAILOVER NOSUCH");
    s.connect().ok("SENTINEL FAILOVER m COORDINATED");
    wait_until("the refusal", || {
        s.log().contains("-failover-abort-refused master m")
    });
    assert_eq!(s.master_port(), master.port);
    assert!(!s.master("flags").contains("failover"));
    s.connect()
        .ok("SENTINEL SET m rename-command FAILOVER FAILOVER");
    s.connect().ok("SENTINEL FAILOVER m COORDINATED");
    wait_until("the new master", || s.master_port() == replica.port);
    wait_until("the old master to follow", || {
        follows(&master, replica.port)
    });
}

/// All links are over TLS: those of the servers, and those of the Sentinels to them and to each other.
#[test]
fn over_tls() {
    use crate::support::tls::{Certs, tls_server};
    let certs = Certs::new();
    let tls = ["--tls-replication", "yes"];
    let (mut master, port) = tls_server(OURS, &certs, &tls);
    let (replica, replica_port) = tls_server(OURS, &certs, &tls);
    replica.replicate(port);
    replica.wait_link_up();
    let options = certs.options();
    let pairs = options.chunks(2);
    let lines: String = pairs
        .map(|pair| format!("{} {}\n", pair[0].trim_start_matches("--"), pair[1]))
        .collect();
    let sentinels = [0; 3].map(|_| {
        let own = crate::support::server::free_port();
        let text = format!(
            "{lines}tls-replication yes\ntls-port {own}\nsentinel monitor m 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds m 1000\nsentinel failover-timeout m 3000\n"
        );
        let s = Sentinel::with_lines(OURS, &text);
        s.hurry();
        s
    });
    for s in &sentinels {
        wait_until("a sentinel to know all", || s.knows(1, 2));
    }
    master.kill9();
    for s in &sentinels {
        wait_until("the new master", || s.master_port() == replica_port);
    }
    wait_until("its role", || replica.connect().info("role") == "master");
}

/// A user with the rights that the sample of a configuration names is enough, and one without any is none.
#[test]
fn a_user_of_few_rights() {
    let rights = "+multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill \
                  +script|kill";
    let (master, replica) = (node(OURS), node(OURS));
    replica.replicate(master.port);
    replica.wait_link_up();
    for node in [&master, &replica] {
        let mut c = node.connect();
        c.ok(&format!(
            "ACL SETUSER watcher on >secret resetchannels &__sentinel__:hello {rights}"
        ));
        c.ok("CONFIG SET masterauth admin");
        c.ok("ACL SETUSER default >admin");
    }
    let s = Sentinel::watching(OURS, master.port);
    let mut c = s.connect();
    c.ok("SENTINEL SET m quorum 1");
    wait_until("it to be down", || s.master("flags").contains("s_down"));
    c.ok("SENTINEL SET m auth-user watcher auth-pass secret");
    wait_until("the sentinel to know all", || s.knows(1, 0));
    wait_until("a failover", || !c.run("SENTINEL FAILOVER m").is_error());
    wait_until("the new master", || s.master_port() == replica.port);
    let mut c = master.connect();
    c.ok("AUTH admin");
    wait_until("the old master to follow", || {
        c.try_cmd(&["INFO", "replication"])
            .is_ok_and(|r| r.text().contains("role:slave"))
            || {
                // The Sentinel has closed the clients.
                c = master.connect();
                c.ok("AUTH admin");
                false
            }
    });
}
