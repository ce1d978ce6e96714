//! TLS: who is let in, what is refused, certificates that change, and the same contract as without it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::conn::encode;
use crate::support::server::{Scratch, run_to_end};
use crate::support::tls::{Certs, connect_tls, is_taken, tls_server};
use crate::support::*;

#[test]
fn a_client_over_tls_is_served_as_others_are() {
    let certs = Certs::new();
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    assert!(server.log_has("Ready to accept connections tls"));
    let client = certs.client(Some("client"));
    let mut c = connect_tls(port, &client).expect("connected");
    assert_eq!(c.run("PING"), "PONG");
    // Large both ways, and by reference on the way out.
    let big: Vec<u8> = (0..5_000_003u32).map(|i| (i * 7 % 251) as u8).collect();
    c.cmd(&[b"SET".as_slice(), b"big", &big]).assert_ok();
    assert!(c.cmd(&["GET", "big"]).bytes() == big);
    // The same from a port without TLS.
    let mut plain = server.connect();
    assert!(plain.cmd(&["GET", "big"]).bytes() == big);
    let pings: Vec<Vec<String>> = (0..10_000)
        .map(|i| vec!["ECHO".into(), format!("number {i}")])
        .collect();
    for (i, v) in c.pipeline(&pings).iter().enumerate() {
        assert_eq!(*v, format!("number {i}").as_str());
    }
    c.run("SUBSCRIBE news");
    plain.run("PUBLISH news hello");
    assert!(c.read().items().iter().any(|v| *v == "hello"));
    let list = plain.run("CLIENT LIST").text();
    assert!(list.contains(&format!("laddr=127.0.0.1:{port}")), "{list}");
    let info = plain.run("INFO server").text();
    let line = format!("listener2:name=tls,bind=127.0.0.1,port={port}\r\n");
    assert!(info.contains(&line), "{info}");
    // The other version of TLS.
    plain.ok("CONFIG SET tls-protocols TLSv1.2");
    let mut c = connect_tls(port, &client).expect("connected");
    assert_eq!(
        c.tls().protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_2)
    );
    assert!(c.cmd(&["GET", "big"]).bytes() == big);
}

#[test]
fn who_is_let_in() {
    let certs = Certs::new();
    certs.authority("other");
    certs.sign("stranger", "other", Some("client"), "Stranger", 30);
    certs.sign("old", "ca", None, "Old", 0);
    certs.sign("eku", "ca", Some("eku_server"), "Server by usage", 30);
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let taken = |name: Option<&str>| is_taken(port, &certs.client(name));
    let mut c = server.connect();
    for (mode, none, wrong) in [
        ("yes", false, false),
        ("optional", true, false),
        ("no", true, true),
    ] {
        c.config_set("tls-auth-clients", mode);
        assert_eq!(taken(None), none, "{mode}");
        assert!(taken(Some("client")), "{mode}");
        // Version 1.
        assert!(taken(Some("redis")), "{mode}");
        for name in ["stranger", "server", "eku", "old"] {
            if name == "old" {
                // Its time is over with the second that it was made in.
                std::thread::sleep(Duration::from_millis(1100));
            }
            assert_eq!(taken(Some(name)), wrong, "{name} by {mode}");
        }
    }
    server.wait_log(
        "Error accepting a client connection: peer sent no certificates (addr=127.0.0.1:",
    );
    assert!(server.log_has("not one for clients"));
    // One that is trusted by itself.
    c.config_set("tls-auth-clients", "yes");
    certs.authority("self");
    let both = [
        std::fs::read(certs.path("ca.crt")).expect("read"),
        std::fs::read(certs.path("self.crt")).expect("read"),
    ];
    std::fs::write(certs.path("both.crt"), both.concat()).expect("written");
    assert!(!taken(Some("self")));
    c.config_set("tls-ca-cert-file", &certs.text("both.crt"));
    assert!(taken(Some("self")) && taken(Some("client")));
}

#[test]
fn what_is_no_tls_is_closed_without_a_word() {
    let certs = Certs::new();
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let mut c = Conn::connect(port);
    c.write_raw(b"PING\r\n");
    assert_eq!(c.expect_close(), b"");
    server.wait_log("Error accepting a client connection: ");
    // Half a record, and then the end.
    let mut s = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    s.write_all(b"\x16\x03\x01\x02\x00\x01").expect("written");
    s.shutdown(Shutdown::Write).expect("shut");
    let mut rest = Vec::new();
    s.read_to_end(&mut rest).expect("closed");
    assert_eq!(rest, b"");
    assert_eq!(server.connect().run("PING"), "PONG");
}

#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let certs = Certs::new();
    let (server, port) = tls_server(Kind::Aedile, &certs, &["--maxclients", "3"]);
    let mut c = server.connect();
    let mut silent: Vec<TcpStream> = (0..2)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).expect("connected"))
        .collect();
    // They are counted, and nobody waits for them.
    wait_until("all clients", || c.info_int("connected_clients") == 3);
    assert!(!is_taken(port, &certs.client(Some("client"))));
    assert_eq!(c.info("rejected_connections"), "1");
    for s in &mut silent {
        let mut rest = Vec::new();
        s.read_to_end(&mut rest).expect("closed by the server");
    }
    assert_eq!(
        server
            .log_count("Error accepting a client connection: the TLS handshake has taken too long"),
        2
    );
    assert!(is_taken(port, &certs.client(Some("client"))));
}

/// A socket on which each byte goes by itself.
struct Dripping(TcpStream);

impl Write for Dripping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for Dripping {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(7);
        self.0.read(&mut buf[..n])
    }
}

#[test]
fn records_may_come_byte_by_byte() {
    let certs = Certs::new();
    let (_server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let name = "localhost".try_into().expect("a name");
    let tls = rustls::ClientConnection::new(certs.client(Some("client")), name).expect("a client");
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    socket.set_nodelay(true).expect("nodelay");
    socket.set_read_timeout(Some(HANG)).expect("a bound");
    let mut s = rustls::StreamOwned::new(tls, Dripping(socket));
    s.write_all(b"SET a 1\r\nGET a\r\n").expect("written");
    let mut reply = [0; 12];
    s.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"+OK\r\n$1\r\n1\r\n");
    // New keys, in the midst of it.
    for _ in 0..3 {
        s.conn.refresh_traffic_keys().expect("new keys");
        s.write_all(b"GET a\r\n").expect("written");
        let mut reply = [0; 7];
        s.read_exact(&mut reply).expect("a reply");
    }
}

#[test]
fn who_reads_late_gets_all_of_it() {
    let certs = Certs::new();
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let mut c = connect_tls(port, &certs.client(Some("client"))).expect("connected");
    let value = "v".repeat(300_000);
    c.cmd(&["SET", "k", &value]).assert_ok();
    let get = encode(&["GET", "k"]);
    for _ in 0..100 {
        c.write_raw(&get);
    }
    let mut other = server.connect();
    wait_until("output that waits", || {
        let list = other.run("CLIENT LIST").text();
        list.lines()
            .any(|l| l.contains(&format!(":{port} ")) && !l.contains(" omem=0 "))
    });
    for _ in 0..100 {
        assert!(c.read().bytes() == value.as_bytes());
    }
    // Close after the reply, with all of the reply before it.
    c.write_raw(&get);
    c.write_raw(&encode(&["QUIT"]));
    assert!(c.read().bytes() == value.as_bytes());
    assert_eq!(c.read(), "OK");
    // close_notify: not a cut.
    assert_eq!(c.expect_close(), b"");
}

#[test]
fn the_end_of_a_client_is_noticed_however_it_says_it() {
    let certs = Certs::new();
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let client = certs.client(Some("client"));
    let mut own = server.connect();
    // With close_notify and an open socket, with the end of the socket alone, by a reset.
    let mut a = connect_tls(port, &client).expect("connected");
    assert_eq!(a.run("PING"), "PONG");
    a.tls().send_close_notify();
    a.write_raw(b"");
    let b = connect_tls(port, &client).expect("connected");
    b.shutdown_write();
    drop(connect_tls(port, &client).expect("connected"));
    wait_until("the last client", || own.info_int("connected_clients") == 1);
    drop((a, b));
}

#[test]
fn a_change_is_made_as_a_whole_or_not() {
    let certs = Certs::new();
    certs.encrypt_key("server", "secret.key", "1234", false);
    certs.encrypt_key("server", "legacy.key", "1234", true);
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let mut c = server.connect();
    const FAILED: &str = "Unable to update TLS configuration. Check server logs.";
    let mut refused = |name: &str, value: &str, said: &str| {
        let before = c.config_get(name);
        let reply = c.cmd(&["CONFIG", "SET", "timeout", "77", name, value]);
        assert!(
            reply.is_error() && reply.text().contains(FAILED),
            "{reply:?}"
        );
        assert_eq!(c.config_get(name), before);
        assert_eq!(c.config_get("timeout"), "0");
        assert!(server.log_has(said), "{said}:\n{}", server.log());
        assert!(is_taken(port, &certs.client(Some("client"))));
    };
    refused(
        "tls-ciphers",
        "AES512",
        "Those there are: ECDHE-ECDSA-AES256-GCM-SHA384:",
    );
    refused("tls-ciphers", "AES128-SHA", "leaves no cipher");
    refused(
        "tls-ciphersuites",
        "TLS_X",
        "Those there are: TLS_AES_256_GCM_SHA384:",
    );
    refused(
        "tls-protocols",
        "TLSv1.1",
        "the versions there are, are 'TLSv1.2' and 'TLSv1.3'",
    );
    refused(
        "tls-key-file",
        &certs.text("client.key"),
        "key values mismatch",
    );
    refused(
        "tls-key-file",
        &certs.text("nowhere.key"),
        "No such file or directory",
    );
    refused(
        "tls-cert-file",
        &certs.text("server.key"),
        "no certificate in it",
    );
    refused(
        "tls-ca-cert-file",
        &certs.text("server.key"),
        "no certificate in it",
    );
    refused(
        "tls-key-file",
        &certs.text("secret.key"),
        "there is no tls-key-file-pass",
    );
    refused(
        "tls-key-file",
        &certs.text("legacy.key"),
        "Proc-Type: 4,ENCRYPTED",
    );
    let mut set = |pairs: &[&str]| {
        let words: Vec<&str> = ["CONFIG", "SET"].iter().chain(pairs).copied().collect();
        c.cmd(&words)
    };
    let secret = certs.text("secret.key");
    assert!(set(&["tls-key-file-pass", "4321", "tls-key-file", &secret]).is_error());
    set(&["tls-key-file-pass", "1234", "tls-key-file", &secret]).assert_ok();
    assert!(is_taken(port, &certs.client(Some("client"))));
    set(&[
        "tls-ciphers",
        "DEFAULT:-AES128-SHA256",
        "tls-protocols",
        "TLSv1.2 TLSv1.3",
    ])
    .assert_ok();
    // The port goes, and comes back beside the other.
    set(&["tls-port", "0"]).assert_ok();
    assert!(!is_taken(port, &certs.client(Some("client"))));
    set(&["tls-port", &port.to_string()]).assert_ok();
    assert!(is_taken(port, &certs.client(Some("client"))));
}

#[test]
fn it_does_not_start_without_what_it_needs() {
    let certs = Certs::new();
    let dir = Scratch::new();
    let (key, cert) = (certs.text("server.key"), certs.text("server.crt"));
    for (options, said) in [
        (vec![], "No tls-cert-file configured!"),
        (
            vec!["--tls-cert-file", &cert],
            "No tls-key-file configured!",
        ),
        (
            vec!["--tls-cert-file", &cert, "--tls-key-file", &key],
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified",
        ),
    ] {
        let mut all = vec!["--port", "0", "--tls-port", "6390"];
        all.extend(options);
        let end = run_to_end(Kind::Aedile, dir.path(), &all, b"");
        assert_eq!(end.status.code(), Some(1));
        assert!(end.stdout.contains(said), "{}", end.stdout);
        assert!(
            end.stdout
                .contains("Failed to configure TLS. Check logs for more info.")
        );
    }
}

#[test]
fn what_is_set_survives_a_rewrite() {
    let certs = Certs::new();
    let dir = Scratch::new();
    let conf = dir.write("a.conf", "tls-auth-clients optional\n");
    let conf = conf.to_str().expect("utf8").to_string();
    let mut server = Server::start_in(Kind::Aedile, dir, &[&conf]);
    let mut c = server.connect();
    let port = server::free_port().to_string();
    let (cert, key, ca) = (
        certs.text("server.crt"),
        certs.text("server.key"),
        certs.text("ca.crt"),
    );
    let pairs = [
        ("tls-cert-file", cert.as_str()),
        ("tls-key-file", &key),
        ("tls-ca-cert-file", &ca),
        ("tls-port", &port),
        ("tls-auto-reload-interval", "7"),
        ("tls-auth-clients-user", "CN"),
        ("tls-session-caching", "no"),
        ("tls-ciphers", "ECDHE+AESGCM"),
    ];
    for (name, value) in pairs {
        c.config_set(name, value);
    }
    c.ok("CONFIG REWRITE");
    drop(c);
    server.terminate();
    server.restart();
    let mut c = server.connect();
    for (name, value) in pairs {
        assert_eq!(c.config_get(name), value);
    }
    assert_eq!(c.config_get("tls-auth-clients"), "optional");
    let number: u16 = port.parse().expect("a port");
    assert!(is_taken(number, &certs.client(None)));
}

/// The certificate that the server shows now.
fn shown(port: u16, certs: &Certs) -> Vec<u8> {
    let mut c = connect_tls(port, &certs.client(Some("client"))).expect("connected");
    assert_eq!(c.run("PING"), "PONG");
    c.tls().peer_certificates().expect("a certificate")[0].to_vec()
}

#[test]
fn certificates_that_change_are_taken_where_they_are_good() {
    let certs = Certs::new();
    for (from, to) in [("server.crt", "live.crt"), ("server.key", "live.key")] {
        certs.copy(from, to);
    }
    certs.sign("next", "ca", Some("server"), "Next", 40);
    certs.sign("expired", "ca", Some("server"), "Expired", 0);
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let mut own = server.connect();
    let (cert, key) = (certs.text("live.crt"), certs.text("live.key"));
    let set = [
        "CONFIG",
        "SET",
        "tls-cert-file",
        &cert,
        "tls-key-file",
        &key,
    ];
    own.cmd(&set).assert_ok();
    own.config_set("tls-auto-reload-interval", "1");
    let field = |c: &mut Conn, name: &str| {
        let info = c.run("INFO tls").text();
        let line = info
            .lines()
            .find_map(|l| l.strip_prefix(&format!("{name}:")));
        line.expect(name).to_string()
    };
    let left: i64 = field(&mut own, "tls_server_cert_expires_in_seconds")
        .parse()
        .expect("a number");
    assert!((29 * 86400..=30 * 86400).contains(&left), "{left}");
    let serial = field(&mut own, "tls_server_cert_serial");

    // A client works all the time.
    let stop = Arc::new(AtomicBool::new(false));
    let worker = {
        let (stop, config) = (stop.clone(), certs.client(Some("client")));
        std::thread::spawn(move || {
            let mut c = connect_tls(port, &config).expect("connected");
            let mut n = 0;
            while !stop.load(Ordering::SeqCst) {
                assert_eq!(c.run("INCR counter"), n + 1);
                n += 1;
            }
            n
        })
    };
    certs.copy("next.key", "live.key");
    certs.copy("next.crt", "live.crt");
    wait_until("the new certificate", || {
        shown(port, &certs) == *certs.der("next")
    });
    assert!(server.log_has("TLS: certificates have been reloaded"));
    assert_ne!(field(&mut own, "tls_server_cert_serial"), serial);
    // One whose time is over, and one that is none: the good one stays.
    std::thread::sleep(Duration::from_millis(1100));
    let kept = "TLS: the changed certificates cannot be used, the former ones stay in use";
    let before = server.log_count(kept);
    certs.copy("expired.key", "live.key");
    certs.copy("expired.crt", "live.crt");
    server.wait_log("live.crt has expired");
    assert!(server.log_count(kept) > before);
    assert!(shown(port, &certs) == *certs.der("next"));
    std::fs::write(certs.path("live.crt"), "rubbish").expect("written");
    server.wait_log("live.crt: no certificate in it");
    assert!(shown(port, &certs) == *certs.der("next"));
    // Another authority is trusted from now on, and the former is not: those that are in, stay.
    certs.authority("other");
    certs.sign("stranger", "other", Some("client"), "Stranger", 30);
    certs.copy("next.key", "live.key");
    certs.copy("next.crt", "live.crt");
    certs.copy("other.crt", "ca.crt");
    wait_until("the other authority", || {
        is_taken(port, &certs.client(Some("stranger")))
    });
    assert!(!is_taken(port, &certs.client(Some("client"))));
    let written = own.run("GET counter").text();
    wait_until("more from who was in before", || {
        own.run("GET counter").text() != written
    });
    stop.store(true, Ordering::SeqCst);
    assert!(worker.join().expect("the worker") > 0);
}

/// What is in the file of authorities is one only if it says so: else who has any certificate in it could make others.
#[test]
fn only_authorities_sign() {
    let certs = Certs::new();
    let mut file = std::fs::read(certs.path("ca.crt")).expect("read");
    for name in ["leaf", "sub", "no_sign", "server_sub"] {
        certs.sign(name, "ca", Some(name), name, 30);
        certs.sign(&format!("by_{name}"), name, Some("client"), "alice", 30);
        certs.sign(&format!("old_by_{name}"), name, None, "alice", 30);
        file.extend(std::fs::read(certs.path(&format!("{name}.crt"))).expect("read"));
    }
    std::fs::write(certs.path("all.crt"), file).expect("written");
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let mut own = server.connect();
    own.config_set("tls-ca-cert-file", &certs.text("all.crt"));
    let taken = |name: &str| is_taken(port, &certs.client(Some(name)));
    assert!(taken("client") && taken("redis"));
    assert_eq!(server.log_count("is left out: it is no authority"), 2);
    for (name, wanted) in [
        ("leaf", false),
        ("sub", true),
        ("no_sign", false),
        ("server_sub", false),
    ] {
        assert_eq!(taken(&format!("by_{name}")), wanted, "{name}");
        assert_eq!(
            taken(&format!("old_by_{name}")),
            wanted,
            "{name}, version 1"
        );
    }
}

#[test]
fn a_certificate_may_name_the_user() {
    let certs = Certs::new();
    certs.sign("alice", "ca", Some("client"), "alice", 30);
    certs.sign("alicex", "ca", Some("client"), "alicex", 30);
    certs.sign("uri", "ca", Some("uri"), "whoever", 30);
    let (server, port) = tls_server(Kind::Aedile, &certs, &["--requirepass", "secret"]);
    let mut own = server.connect();
    own.ok("AUTH secret");
    own.ok("ACL SETUSER alice on >pw ~* +@all");
    own.ok("ACL SETUSER urn:user:alice on >pw ~* +@all");
    let who = |name: &str| {
        let mut c = connect_tls(port, &certs.client(Some(name))).expect("connected");
        c.run("ACL WHOAMI").text()
    };
    const NOAUTH: &str = "NOAUTH Authentication required.";
    assert_eq!(who("alice"), NOAUTH);
    own.ok("CONFIG SET tls-auth-clients-user CN");
    assert_eq!(who("alice"), "alice");
    assert_eq!(who("alicex"), NOAUTH);
    assert_eq!(who("uri"), NOAUTH);
    let log = format!("{:?}", own.run("ACL LOG"));
    assert!(log.contains("tls-cert") && log.contains("alicex"), "{log}");
    assert_eq!(own.info("acl_access_denied_tls_cert"), "2");
    own.ok("CONFIG SET tls-auth-clients-user URI");
    assert_eq!(who("uri"), "urn:user:alice");
    assert_eq!(who("alice"), NOAUTH);
    own.ok("ACL SETUSER urn:user:alice off");
    assert_eq!(who("uri"), NOAUTH);
    // Who is switched off is not somebody else by another name.
    own.ok("ACL SETUSER urn:user:alice on");
    own.ok("ACL SETUSER urn:nobody off");
    assert_eq!(who("uri"), NOAUTH);
}

#[test]
fn sessions_are_resumed_where_they_are_kept() {
    let certs = Certs::new();
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let mut own = server.connect();
    let kind = |config: &Arc<rustls::ClientConfig>| {
        let mut c = connect_tls(port, config).expect("connected");
        assert_eq!(c.run("PING"), "PONG");
        c.tls().handshake_kind().expect("a kind")
    };
    for protocol in ["TLSv1.3", "TLSv1.2"] {
        own.config_set("tls-protocols", protocol);
        let client = certs.client(Some("client"));
        assert_eq!(kind(&client), rustls::HandshakeKind::Full);
        assert_eq!(kind(&client), rustls::HandshakeKind::Resumed, "{protocol}");
        own.config_set("tls-session-caching", "no");
        let client = certs.client(Some("client"));
        assert_eq!(kind(&client), rustls::HandshakeKind::Full);
        assert_eq!(kind(&client), rustls::HandshakeKind::Full, "{protocol}");
        own.config_set("tls-session-caching", "yes");
    }
}

#[test]
fn keys_migrate_over_tls() {
    let certs = Certs::new();
    let (a, _) = tls_server(Kind::Aedile, &certs, &["--tls-cluster", "yes"]);
    let (b, port) = tls_server(Kind::Aedile, &certs, &[]);
    let (mut from, mut to) = (a.connect(), b.connect());
    let value = "x".repeat(3_000_000);
    from.cmd(&["SET", "k", &value]).assert_ok();
    from.ok(&format!("MIGRATE 127.0.0.1 {port} k 0 60000"));
    assert_eq!(from.run("EXISTS k"), 0);
    assert!(to.run("GET k").bytes() == value.as_bytes());
    // The kept connection serves again; and one without TLS is refused as such.
    from.ok("SET k2 v");
    from.ok(&format!("MIGRATE 127.0.0.1 {port} k2 0 60000"));
    assert_eq!(from.info("migrate_cached_sockets"), "1");
    from.ok("SET k3 v");
    let reply = from.run(&format!("MIGRATE 127.0.0.1 {} k3 0 2000", b.port));
    assert!(reply.is_error(), "{reply:?}");
    assert_eq!(from.run("EXISTS k3"), 1);
}

#[test]
fn the_debugger_works_over_tls() {
    let certs = Certs::new();
    let (_server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let client = certs.client(Some("client"));
    for mode in ["YES", "SYNC"] {
        let mut c = connect_tls(port, &client).expect("connected");
        c.ok(&format!("SCRIPT DEBUG {mode}"));
        c.send(&["EVAL", "local a = 41\nreturn a + 1", "0"]);
        assert!(format!("{:?}", c.read()).contains("local a = 41"));
        c.send(&["continue"]);
        let mut said = format!("{:?}", c.read());
        if !said.contains("endsession") {
            said += &format!("{:?}", c.read());
        }
        assert!(said.contains("endsession"), "{said}");
        assert_eq!(c.read(), 42);
        assert_eq!(c.expect_close(), b"", "{mode}");
    }
}

/// Many who connect at once, each with a handshake, do not hold up who is in.
#[test]
fn others_are_served_while_many_connect() {
    let certs = Certs::new();
    let (server, port) = tls_server(Kind::Aedile, &certs, &[]);
    let done = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (done, config) = (done.clone(), certs.client(Some("client")));
            std::thread::spawn(move || {
                let mut n = 0;
                while !done.load(Ordering::SeqCst) {
                    assert!(is_taken(port, &config));
                    n += 1;
                }
                n
            })
        })
        .collect();
    let mut c = server.connect();
    let start = Instant::now();
    let mut replies = 0;
    while start.elapsed() < Duration::from_secs(1) {
        assert_eq!(c.run("PING"), "PONG");
        replies += 1;
    }
    done.store(true, Ordering::SeqCst);
    for t in threads {
        assert!(t.join().expect("a client") > 0);
    }
    assert!(replies > 0);
    wait_until("one client", || c.info_int("connected_clients") == 1);
}
