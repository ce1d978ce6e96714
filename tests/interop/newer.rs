//! Redis 7.2 and 8.2 and Valkey 9.1, as far as the environment names them (`Kind::PEERS`): their files, their masters, their
//! replicas, and ours for them, without a directive.

use super::defaults::pair;
use crate::support::server::{Scratch, free_port, run_to_end};
use crate::support::*;

/// Those that are there.
fn peers() -> impl Iterator<Item = Kind> {
    let all = Kind::PEERS.iter().map(|(kind, _)| *kind);
    all.filter(|kind| stand_in().is_none() && kind.is_here())
}

/// Those that have hash fields with an expiry.
fn with_field_expiry() -> impl Iterator<Item = Kind> {
    peers().filter(|kind| *kind != Kind::Redis72)
}

/// Keys of every type and encoding.
fn populate(c: &mut Conn) {
    for i in 0..300 {
        c.ok(&format!("SET string:{i} value:{i}"));
        c.run(&format!("RPUSH elements element:{i}"));
        c.run(&format!("SADD members member:{i}"));
        c.run(&format!("SADD intset {i}"));
        c.run(&format!("HSET fields field:{i} {i}"));
        c.run(&format!("ZADD scores {i} member:{i}"));
        c.run(&format!("XADD events {}-1 field {i}", i + 1));
    }
    for line in [
        "RPUSH smalllist a 1",
        "SADD smallset a 1",
        "SADD smallints 1 2",
        "HSET smallhash a 1",
        "ZADD smallzset 1 a 2.5 b",
        "XGROUP CREATE events group 0",
        "XREADGROUP GROUP group consumer COUNT 2 STREAMS events >",
        "XDEL events 5-1",
        "SET expiring v PX 100000000",
        "PFADD hll a b c",
        "SELECT 3",
        "SET three v",
        "SELECT 0",
    ] {
        assert!(!c.run(line).is_error(), "{line}");
    }
    let library = "#!lua name=lib\nredis.register_function{function_name='f', callback=function() return 7 end, flags={'no-writes'}}";
    assert_eq!(c.cmd(&["FUNCTION", "LOAD", library]).text(), "lib");
}

#[test]
fn each_leads_and_follows_on_defaults() {
    for kind in peers() {
        for (master, replica) in [(Kind::Aedile, kind), (kind, Kind::Aedile)] {
            let (m, r) = (Server::start(master, &[]), Server::start(replica, &[]));
            populate(&mut m.connect());
            pair(&m, &r, None);
            assert_eq!(r.connect().run("FCALL f 0"), 7);
        }
    }
}

#[test]
fn files_go_both_ways() {
    for kind in peers() {
        for (from, to) in [(Kind::Aedile, kind), (kind, Kind::Aedile)] {
            let a = Server::start(from, &["--appendonly", "yes"]);
            let mut c = a.connect();
            populate(&mut c);
            c.ok("SAVE");
            let want = dump_state(&mut c);
            let scratch = Scratch::new();
            std::fs::copy(a.rdb_path(), scratch.join("dump.rdb")).expect("the file");
            let b = Server::start_in(to, scratch, &[]);
            assert_equal_state(&want, &dump_state(&mut b.connect()));
            assert_eq!(b.connect().run("FCALL f 0"), 7);
            // The append-only file, with a base and commands behind it.
            c.run("BGREWRITEAOF");
            wait_until("the base", || {
                c.info("aof_rewrite_in_progress") == "0"
                    && c.info("aof_rewrite_scheduled") == "0"
                    && c.info("aof_last_bgrewrite_status") == "ok"
            });
            c.ok("SET behind it");
            let want = dump_state(&mut c);
            let scratch = Scratch::new();
            let folder = scratch.join("appendonlydir");
            std::fs::create_dir(&folder).expect("the folder");
            for entry in std::fs::read_dir(a.scratch.join("appendonlydir")).expect("the folder") {
                let entry = entry.expect("a file");
                std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("the file");
            }
            let b = Server::start_in(to, scratch, &["--appendonly", "yes"]);
            assert_equal_state(&want, &dump_state(&mut b.connect()));
        }
    }
}

#[test]
fn payloads_go_both_ways() {
    for kind in peers() {
        for (from, to) in [(Kind::Aedile, kind), (kind, Kind::Aedile)] {
            let (a, b) = (Server::start(from, &[]), Server::start(to, &[]));
            let (mut a_conn, mut b_conn) = (a.connect(), b.connect());
            populate(&mut a_conn);
            // A time is given relative to now.
            a_conn.run("PERSIST expiring");
            let want = dump_state(&mut a_conn);
            // FUNCTION DUMP and DUMP.
            let dump = a_conn.cmd(&["FUNCTION", "DUMP"]).bytes();
            b_conn
                .cmd(&[&b"FUNCTION"[..], b"RESTORE", &dump])
                .assert_ok();
            let payload = a_conn.cmd(&["DUMP", "events"]).bytes();
            b_conn
                .cmd(&[&b"RESTORE"[..], b"events", b"0", &payload])
                .assert_ok();
            // MIGRATE of the rest; of database 3 too.
            let port = b.port.to_string();
            for db in ["0", "3"] {
                a_conn.cmd(&["SELECT", db]).assert_ok();
                let keys = a_conn.run("KEYS *");
                let mut command: Vec<String> = [
                    "MIGRATE",
                    "127.0.0.1",
                    &port,
                    "",
                    db,
                    "10000",
                    "COPY",
                    "REPLACE",
                    "KEYS",
                ]
                .map(Into::into)
                .to_vec();
                command.extend(keys.items().iter().map(Value::text));
                a_conn.cmd(&command).assert_ok();
            }
            assert_equal_state(&want, &dump_state(&mut b_conn));
        }
    }
}

/// Hash fields with an expiry have no place here: nothing that is there goes for them, and once they are none any more all is
/// well.
#[test]
fn hash_fields_with_an_expiry_are_refused_and_nothing_is_lost() {
    for kind in with_field_expiry() {
        for entries in ["128", "0"] {
            let peer = Server::start(kind, &["--hash-max-listpack-entries", entries]);
            let mut p = peer.connect();
            p.ok("SET k v");
            p.run("HSET h a 1 b 2");
            assert_eq!(p.run("HPEXPIRE h 100000000 FIELDS 1 a").items()[0], 1);
            // RESTORE.
            let server = Server::aedile(&[]);
            let mut c = server.connect();
            let payload = p.cmd(&["DUMP", "h"]).bytes();
            c.cmd(&[&b"RESTORE"[..], b"h", b"0", &payload])
                .assert_error_prefix("ERR Bad data format: Hash fields have an expiry");
            // A file.
            p.ok("SAVE");
            let scratch = Scratch::new();
            std::fs::copy(peer.rdb_path(), scratch.join("dump.rdb")).expect("the file");
            let mut args = vec!["--dir", "."];
            let port = free_port().to_string();
            args.extend(["--port", &port]);
            let e = run_to_end(Kind::Aedile, scratch.path(), &args, b"");
            assert_eq!(e.status.code(), Some(1));
            assert!(
                e.stdout.contains("(key 'h' in DB 0)"),
                "{kind:?}: {}",
                e.stdout
            );
            // A master: one of Valkey finds nothing to write it as for us, and says so only in its own log.
            c.ok("SET old value");
            server.replicate(peer.port);
            let why = match kind {
                Kind::Valkey9 => "in the middle of a full sync",
                _ => "(key 'h' in DB 0)",
            };
            wait_until("the reason", || c.info("master_link_problem").contains(why));
            assert_eq!(c.run("GET old"), "value");
            assert!(!server.log_has("Flushing old data"));
            p.run("HPERSIST h FIELDS 1 a");
            server.wait_link_up();
            assert_eq!(c.run("HGET h a"), "1");
            assert_eq!(c.run("EXISTS old"), 0);
            // What has expired is no loss.
            p.run("DEBUG SET-ACTIVE-EXPIRE 0");
            p.run("HPEXPIRE h 1 FIELDS 1 a");
            let payload = p.cmd(&["DUMP", "h"]).bytes();
            std::thread::sleep(std::time::Duration::from_millis(50));
            c.ok("REPLICAOF NO ONE");
            c.cmd(&[&b"RESTORE"[..], b"other", b"0", &payload])
                .assert_ok();
            assert_eq!(c.run("HGET other b"), "2");
            assert_eq!(c.run("HLEN other"), 1);
        }
    }
}
