//! Clusters whose bus is TLS: made by redis-cli and by hand, failovers, redirections to the port that the client can use, slots that move
//! whole, and who comes without TLS.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::cluster::*;
use crate::support::tls::{Certs, connect_tls};
use crate::support::*;

/// Three masters and a replica of each, made as a user makes them. With the ports for TLS.
fn six(certs: &Certs) -> (Vec<Server>, Vec<u16>) {
    let all = (0..6).map(|_| tls_node(Kind::Aedile, certs, &[]));
    let (all, ports): (Vec<_>, Vec<_>) = all.unzip();
    let addresses: Vec<String> = ports.iter().map(|p| format!("127.0.0.1:{p}")).collect();
    let mut words = vec!["create"];
    words.extend(addresses.iter().map(String::as_str));
    words.extend(["--cluster-replicas", "1", "--cluster-yes"]);
    let out = cli_cluster_tls(certs, &words);
    assert!(out.contains("All 16384 slots covered"), "{out}");
    wait_agreement(&all.iter().collect::<Vec<_>>());
    (all, ports)
}

/// The masters in the order of their slots, and their replicas.
fn places(all: &[Server]) -> ([usize; 3], [usize; 3]) {
    let view = nodes(&all[0]);
    let ids: Vec<String> = all.iter().map(id_of).collect();
    let mut masters: Vec<usize> = (0..6).filter(|i| view[&ids[*i]].1 == "-").collect();
    let first = |i: &usize| -> u16 {
        let range = view[&ids[*i]].2[0].clone();
        let first = range.split('-').next().expect("a range");
        first.parse().expect("a slot")
    };
    masters.sort_by_key(first);
    let masters: [usize; 3] = masters.try_into().expect("three masters");
    let replica = |m: usize| {
        let mut all = (0..6).filter(|i| view[&ids[*i]].1 == ids[m]);
        all.next().expect("a replica")
    };
    (masters, masters.map(replica))
}

#[test]
fn a_cluster_over_tls_does_all_that_one_without_does() {
    let certs = Certs::new();
    let (mut all, ports) = six(&certs);
    let ([a, b, c], [_, replica_b, _]) = places(&all);
    for i in [a, b, c] {
        wait_until("its replica", || {
            all[i].connect().info("connected_slaves") == "1"
        });
    }
    // Each client is sent to a port that it can use. Slots 866 and 12182.
    let client = certs.client(Some("client"));
    let mut over_tls = connect_tls(ports[a], &client).expect("TLS");
    over_tls
        .run("GET foo")
        .assert_error(&format!("MOVED 12182 127.0.0.1:{}", ports[c]));
    let mut plain = all[a].connect();
    plain
        .run("GET foo")
        .assert_error(&format!("MOVED 12182 127.0.0.1:{}", all[c].port));
    let of_first = |c: &mut Conn| c.run("CLUSTER SLOTS").items()[0].items()[2].items()[1].int();
    assert_eq!(of_first(&mut over_tls), i64::from(ports[a]));
    assert_eq!(of_first(&mut plain), i64::from(all[a].port));

    // Slots move whole, by a connection that is TLS as well.
    for i in 0..200 {
        over_tls.ok(&format!("SET {{hello}}{i} {i}"));
    }
    let id = id_of(&all[b]);
    let before = all[b].connect().info("total_connections_received");
    plain.ok(&format!(
        "CLUSTER MIGRATESLOTS SLOTSRANGE 860 870 NODE {id}"
    ));
    wait_until("the slots to move", || {
        let jobs = plain.run("CLUSTER GETSLOTMIGRATIONS");
        let job = jobs.items()[0].pairs();
        assert_ne!(job["state"], "failed", "{}", job["message"]);
        job["state"] == "success"
    });
    assert_ne!(all[b].connect().info("total_connections_received"), before);
    wait_agreement(&all.iter().collect::<Vec<_>>());
    over_tls
        .run("GET {hello}1")
        .assert_error(&format!("MOVED 866 127.0.0.1:{}", ports[b]));
    let mut to = connect_tls(ports[b], &client).expect("TLS");
    assert_eq!(to.run("GET {hello}199"), "199");
    assert_eq!(to.run("WAIT 1 20000"), 1);

    // And as redis-cli moves them.
    let address = format!("127.0.0.1:{}", ports[a]);
    cli_cluster_tls(
        &certs,
        &[
            "reshard",
            &address,
            "--cluster-from",
            &id_of(&all[c]),
            "--cluster-to",
            &id_of(&all[a]),
            "--cluster-slots",
            "5",
            "--cluster-yes",
        ],
    );
    wait_agreement(&all.iter().collect::<Vec<_>>());
    cli_cluster_tls(&certs, &["check", &address]);

    // A master is killed, its replica takes its place, and it comes back as a replica.
    all[b].kill9();
    let rest: Vec<&Server> = (0..6).filter(|i| *i != b).map(|i| &all[i]).collect();
    wait_until("the replica to be a master", || {
        let well = |n: &&Server| cluster_info(n, "cluster_state") == "ok";
        all[replica_b].connect().info("role") == "master" && rest.iter().all(well)
    });
    over_tls
        .run("GET {hello}1")
        .assert_error(&format!("MOVED 866 127.0.0.1:{}", ports[replica_b]));
    let mut to = connect_tls(ports[replica_b], &client).expect("TLS");
    assert_eq!(to.run("GET {hello}199"), "199");
    all[b].restart();
    wait_agreement(&all.iter().collect::<Vec<_>>());
    assert_same_data(&all[replica_b], &all[b]);
    all[b].connect().ok("CLUSTER FAILOVER");
    wait_until("the old master to be one again", || {
        all[b].connect().info("role") == "master"
    });
    wait_agreement(&all.iter().collect::<Vec<_>>());
}

/// Who does not speak TLS, or has no certificate, is nobody to the bus; a node that is met without it does not join.
#[test]
fn a_plain_connection_to_the_bus_is_dropped() {
    let certs = Certs::new();
    let [(a, port_a), (b, port_b)] = [(); 2].map(|()| tls_node(Kind::Aedile, &certs, &[]));
    meet_at(&a, port_b, &b);
    let plain = node(Kind::Aedile, &[]);
    wait_until("the two to know each other", || {
        [&a, &b].iter().all(|n| nodes(n).len() == 2)
    });
    wait_until("no handshake to be left", || {
        let done = |n: &&Server| {
            nodes(n)
                .values()
                .all(|(flags, ..)| !flags.contains("handshake"))
        };
        [&a, &b].iter().all(done)
    });
    let before = nodes(&a);
    // A plain node meets it, and the other way round.
    meet(&plain, &a);
    meet_at(&b, plain.port, &plain);
    // Two messages that would be sound: nothing comes back but perhaps an alert, then the end.
    for _ in 0..5 {
        let mut s = TcpStream::connect(("127.0.0.1", bus_port(&a))).expect("the bus");
        let mut packet = b"RCmb".to_vec();
        packet.extend(2256u32.to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, 2, 0, 0]);
        packet.resize(2256, 0);
        let _ = s.write_all(&packet);
        s.set_read_timeout(Some(HANG)).expect("a bound");
        let mut answer = Vec::new();
        // A reset is an end as well.
        if let Err(e) = s.read_to_end(&mut answer) {
            assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{e}");
        }
        assert!(!answer.starts_with(b"RCmb"));
    }
    // TLS without a certificate.
    let nobody = certs.client(None);
    let stranger = connect_tls(bus_port(&a), &nobody);
    assert!(stranger.and_then(|mut c| c.try_cmd(&["PING"])).is_err());
    wait_until("handshakes with nobody to be given up", || {
        nodes(&a) == before && nodes(&b) == before
    });
    wait_until("the plain one to give up", || nodes(&plain).len() == 1);
    let mut c = connect_tls(port_a, &certs.client(Some("client"))).expect("TLS");
    assert_eq!(c.run("PING"), "PONG");
}
