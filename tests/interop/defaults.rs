//! What works without a single directive: a default Aedile leads a default Redis and follows one, with a password and without.

use crate::support::*;

each_direction!(without_a_password, with_passwords);

/// The two are synchronised by one full sync, what is written then follows, and a link that is cut goes on.
pub(super) fn pair(m: &Server, r: &Server, password: Option<&str>) {
    let login = |s: &Server| {
        let mut c = s.connect();
        if let Some(p) = password {
            c.ok(&format!("AUTH {p}"));
        }
        c
    };
    let (mut mc, mut rc) = (login(m), login(r));
    for i in 0..1_000 {
        mc.ok(&format!("SET key:{i} {i}"));
    }
    for line in [
        "XADD stream 1-1 f v",
        "XGROUP CREATE stream g 0",
        "XREADGROUP GROUP g who STREAMS stream >",
        "HSET hash f v",
        "SADD set a b c",
        "ZADD zset 1 a",
    ] {
        assert!(!mc.run(line).is_error(), "{line}");
    }
    assert!(
        !rc.run(&format!("REPLICAOF 127.0.0.1 {}", m.port))
            .is_error()
    );
    wait_until("the link", || rc.info("master_link_status") == "up");
    mc.ok("SET behind it");
    wait_until("the stream", || rc.run("GET behind") == "it");
    assert_eq!(dump_state(&mut mc), dump_state(&mut rc));
    assert_eq!(mc.info("sync_full"), "1");
    mc.run("CLIENT KILL TYPE replica");
    mc.ok("SET after 1");
    wait_until("the stream", || rc.run("GET after") == "1");
    assert_eq!(mc.info("sync_full"), "1");
    assert_eq!(mc.info("sync_partial_ok"), "1");
}

fn without_a_password(master: Kind, replica: Kind) {
    let (m, r) = (Server::start(master, &[]), Server::start(replica, &[]));
    pair(&m, &r, None);
}

fn with_passwords(master: Kind, replica: Kind) {
    let args = ["--requirepass", "sesame", "--masterauth", "sesame"];
    let (m, r) = (Server::start(master, &args), Server::start(replica, &args));
    pair(&m, &r, Some("sesame"));
    if replica == Kind::Aedile {
        // Nothing was ever wrong.
        assert!(!r.log_has("link problem"), "{}", r.log());
    }
}
