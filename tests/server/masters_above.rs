//! The masters above a replica's own: what a chain of servers tells from one to the next, and what becomes of it when the chain changes.

use std::time::Duration;

use super::metrics::with_metrics;
use crate::support::http::get;
use crate::support::tls::{Certs, tls_server};
use crate::support::*;

const ID: &str = "1234567890123456789012345678901234567890";

fn chain_of(s: &Server) -> String {
    s.connect().info("master_chain")
}

/// As INFO has it.
fn chain(servers: &[&Server]) -> String {
    chain_at(&servers.iter().map(|s| s.port).collect::<Vec<_>>())
}

fn chain_at(ports: &[u16]) -> String {
    let each = ports.iter().map(|p| format!("127.0.0.1:{p}"));
    each.collect::<Vec<_>>().join(",")
}

/// The line of REPLICATION EXPLAIN that speaks of them.
fn explained(s: &Server) -> String {
    let all = s.connect().run("REPLICATION EXPLAIN");
    let lines = all.items().iter().map(|l| l.text());
    lines
        .into_iter()
        .find(|l| l.contains("it is itself a replica"))
        .unwrap_or_default()
}

fn follow(replica: &Server, master: &Server) {
    follow_port(replica, master.port);
}

#[test]
fn all_of_a_chain_know_who_is_above_them() {
    let [a, b, c, d] = [(); 4].map(|()| Server::aedile(&[]));
    follow(&b, &a);
    follow(&c, &b);
    follow(&d, &c);
    for s in [&a, &b] {
        assert_eq!(chain_of(s), "");
        assert_eq!(s.connect().info("master_chain_told_seconds_ago"), "");
        assert_eq!(explained(s), "");
    }
    assert_eq!(chain_of(&c), chain(&[&b, &a]));
    assert_eq!(chain_of(&d), chain(&[&c, &b, &a]));
    let told = d.connect().info_int("master_chain_told_seconds_ago");
    assert!((0..60).contains(&told), "{told}");
    let said = explained(&d);
    let (two, one) = (b.port, a.port);
    let start = format!(
        "Master 127.0.0.1:{}: it is itself a replica of 127.0.0.1:{two}, and that one of 127.0.0.1:{one}, as it said ",
        c.port
    );
    assert!(said.starts_with(&start), "{said}");

    // The one in the middle becomes a master: those below it are told at once.
    c.connect().ok("REPLICAOF NO ONE");
    assert_eq!(chain_of(&c), "");
    wait_until("the end of the chain", || {
        d.connect().info("master_link_status") == "up" && chain_of(&d).is_empty()
    });
    // And a replica of another history: by a full sync, and all below it with it.
    follow(&c, &b);
    wait_until("the chain", || chain_of(&d) == chain(&[&c, &b, &a]));
    // Who has another master knows nothing yet, and then what that one tells.
    d.replicate(a.port);
    assert_eq!(chain_of(&d), "");
    d.wait_link_up();
    assert_eq!(chain_of(&d), "");
}

#[test]
fn a_failover_turns_the_chain() {
    let [a, b, c] = [(); 3].map(|()| Server::aedile(&[]));
    follow(&b, &a);
    follow(&c, &b);
    assert_eq!(chain_of(&c), chain(&[&b, &a]));
    a.connect()
        .ok(&format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 30000", b.port));
    wait_until("the failover", || {
        a.connect().info("role") == "slave" && a.connect().info("master_link_status") == "up"
    });
    // The former master follows, and so does its replica.
    wait_until("no chain", || {
        c.connect().info("master_link_status") == "up" && chain_of(&c).is_empty()
    });
    follow(&c, &a);
    assert_eq!(chain_of(&c), chain(&[&a, &b]));
}

/// The middle one goes on with the same history at another master: nobody's link is cut, and all the same the news comes through,
/// with passwords and without.
#[test]
fn a_chain_that_changes_further_up_is_told_over_links_that_stay() {
    let secret = ["--requirepass", "pw", "--masterauth", "pw"];
    let [a, b, c, d, e] = [(); 5].map(|()| Server::aedile(&secret));
    let servers = [&a, &b, &c, &d, &e];
    let conn = |s: &Server| {
        let mut c = s.connect();
        c.ok("AUTH pw");
        c
    };
    let chain_of = |s: &Server| conn(s).info("master_chain");
    for pair in servers.windows(2) {
        conn(pair[1]).ok(&format!("REPLICAOF 127.0.0.1 {}", pair[0].port));
        wait_until("the link", || {
            conn(pair[1]).info("master_link_status") == "up"
        });
    }
    assert_eq!(chain_of(&e), chain(&[&d, &c, &b, &a]));
    let lost = |s: &Server| s.log_count("Connection with master lost");
    let before = (lost(&d), lost(&e), conn(&d).info("sync_full"));
    conn(&c).ok(&format!("REPLICAOF 127.0.0.1 {}", a.port));
    wait_until("the chain of the next", || chain_of(&d) == chain(&[&c, &a]));
    wait_until("the chain of the last", || {
        chain_of(&e) == chain(&[&d, &c, &a])
    });
    assert_eq!(before, (lost(&d), lost(&e), conn(&d).info("sync_full")));
    assert_eq!(conn(&a).info("sync_partial_err"), "1");
    // Whoever asks is an ordinary client, and is gone when it has been answered.
    wait_until("no question under way", || {
        conn(&d).info("connected_clients") == "2"
    });
}

/// What is above a link that does not work is not known any more; who is behind it says so.
#[test]
fn a_link_that_broke_further_up_is_told() {
    let [a, b] = [(); 2].map(|()| Server::aedile(&[]));
    let proxy = Proxy::start(a.port);
    let (c, page) = with_metrics(&[]);
    b.replicate(proxy.port);
    b.wait_link_up();
    follow(&c, &b);
    let state = || get(page, "/state", "").text();
    let entry = |up| format!(r#"{{"address":"127.0.0.1:{}","up":{up}}}"#, proxy.port);
    assert!(state().contains(&entry(true)), "{}", state());
    proxy.refuse(true);
    proxy.cut();
    wait_until("the news", || state().contains(&entry(false)));
    assert!(explained(&c).contains(", to which it has no link, as it said"));
    assert_eq!(c.connect().info("master_link_status"), "up");
    proxy.heal();
    proxy.refuse(false);
    wait_until("the good news", || state().contains(&entry(true)));
    // The own link: as long as there is none, nothing is known of who is above.
    b.sigstop();
    c.connect().run("CLIENT KILL TYPE master");
    assert!(state().contains(r#""above":[]"#), "{}", state());
    b.sigcont();
    wait_until("all is well", || state().contains(&entry(true)));
}

#[test]
fn over_tls() {
    let certs = Certs::new();
    let tls = || tls_server(Kind::Aedile, &certs, &["--tls-replication", "yes"]);
    let ((_a, a), (b, b_port), (c, c_port), (d, _)) = (tls(), tls(), tls(), tls());
    for (replica, port) in [(&b, a), (&c, b_port), (&d, c_port)] {
        follow_port(replica, port);
    }
    assert_eq!(chain_of(&d), chain_at(&[c_port, b_port, a]));
    follow_port(&c, a);
    wait_until("the chain", || chain_of(&d) == chain_at(&[c_port, a]));
}

fn follow_port(replica: &Server, port: u16) {
    replica.replicate(port);
    replica.wait_link_up();
}

/// What is said on the wire, and to whom: who does not ask is told nothing.
#[test]
fn only_who_asks_is_told() {
    let a = Server::aedile(&[]);
    let b = Server::aedile(&[]);
    let ask = "REPLCONF capa upstream";
    assert_eq!(a.connect().run(ask), "OK");
    follow(&b, &a);
    let mut c = b.connect();
    let told = format!("upstream=127.0.0.1:{}/up", a.port);
    assert_eq!(c.run(ask), format!("OK {told}").as_str());
    assert_eq!(
        c.run(&format!(
            "{ask} capa behind {}",
            "capa upstream ".repeat(50)
        )),
        format!("OK behind {told}").as_str()
    );
    for other in [
        "REPLCONF listening-port 1 capa eof capa psync2",
        "REPLCONF capa upstreams",
        "REPLCONF capa upstream:x",
    ] {
        assert_eq!(c.run(other), "OK");
    }
    // Nobody is there, and it has its name all the same; what is no name is not said.
    for (host, said) in [
        ("::1", "OK upstream=::1:1/down"),
        (
            "no-such-host.invalid",
            "OK upstream=no-such-host.invalid:1/down",
        ),
        ("<b>", "OK"),
        ("a,b/up", "OK"),
    ] {
        c.ok(&format!("REPLICAOF {host} 1"));
        assert_eq!(c.run(ask), said);
    }
}

/// A master that tells nonsense, and then one that tells a chain and never answers again.
#[test]
fn nonsense_is_passed_over_and_what_is_old_says_so() {
    let fake = FakeMaster::new();
    let s = Server::aedile(&[]);
    s.replicate(fake.port);
    for told in [
        "+OK upstream=<img>:1/up",
        "+OK upstream=a:1/up,a:1/up",
        "+OK upstream=a:1",
        "+OK upstream=a:1/up,b:2/down",
    ] {
        let mut peer = fake.accept();
        peer.expect("PING");
        peer.line("+PONG");
        let asked = peer.expect("REPLCONF LISTENING-PORT");
        assert!(asked.ends_with(" CAPA UPSTREAM"), "{asked}");
        peer.line(told);
        peer.serve_full(ID, 1, &[]);
        wait_until("the link", || {
            s.connect().info("master_link_status") == "up"
        });
        let known = format!("127.0.0.1:{},a:1,b:2", fake.port);
        if !told.contains("b:2") {
            assert_eq!(chain_of(&s), "", "{told}");
            continue;
        }
        assert_eq!(chain_of(&s), known);
        // It asks again, gets no answer, and then one that makes no sense: what is known stays, and grows old; so does the link.
        let mut question = fake.accept();
        question.expect("REPLCONF CAPA UPSTREAM");
        question.conn.expect_close();
        let mut question = fake.accept();
        question.expect("REPLCONF CAPA UPSTREAM");
        question.line("+OK upstream=/");
        question.conn.expect_close();
        assert_eq!(chain_of(&s), known);
        let age = s.connect().info_int("master_chain_told_seconds_ago");
        assert!(age >= 19, "{age}");
        // The next answer counts.
        let mut question = fake.accept();
        question.expect("REPLCONF CAPA UPSTREAM");
        question.slowly = true;
        question.line("+OK upstream=c:3/up");
        question.conn.expect_close();
        assert_eq!(chain_of(&s), format!("127.0.0.1:{},c:3", fake.port));
        assert_eq!(s.connect().info("master_link_status"), "up");
        assert_eq!(s.log_count("Connection with master lost"), 3);
        drop(peer);
        wait_until("the end", || chain_of(&s).is_empty());
    }
    // It is asked for while there is somebody above only.
    let mut peer = fake.accept();
    peer.serve_full(ID, 1, &[]);
    wait_until("the link", || {
        s.connect().info("master_link_status") == "up"
    });
    assert_eq!(chain_of(&s), "");
    assert!(fake.try_accept(Duration::from_secs(12)).is_none());
}
