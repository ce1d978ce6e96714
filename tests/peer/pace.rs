//! How often a replica tries to reach a master: on defaults, in every way in which it fails.

use std::time::{Duration, Instant};

use super::masters::*;
use crate::support::server::free_port;
use crate::support::*;

/// Attempts begun so far; they are told at every level but the loudest only while they are news.
fn attempts(server: &Server) -> usize {
    server.log_count("Connecting to MASTER")
}

/// Attempts that may begin in so many milliseconds, where ten do in a minute.
fn most(ms: u128) -> usize {
    let mut at = 0;
    // The longer waits are shorter by a quarter at the most.
    let waits = [1000, 1000, 2000, 3000, 3750, 6000, 9750, 15_000, 22_500];
    let begin = waits.into_iter().map(|w| {
        at += w;
        at
    });
    1 + begin.filter(|at| *at <= ms).count()
}

/// A port where nobody listens, and one who hangs up: the attempts come ever more seldom, until REPLICAOF.
#[test]
fn what_never_was_up_is_tried_ever_more_seldom() {
    if stand_in().is_some() {
        return;
    }
    let server = Server::aedile(&["--loglevel", "debug"]);
    let closed = free_port();
    let begin = Instant::now();
    server.replicate(closed);
    wait_until("five attempts", || attempts(&server) >= 5);
    let (n, ms) = (attempts(&server), begin.elapsed().as_millis());
    assert!(n <= most(ms), "{n} attempts in {ms} ms");
    std::thread::sleep(Duration::from_secs(5));
    let (n, ms) = (attempts(&server), begin.elapsed().as_millis());
    assert!(n <= most(ms), "{n} attempts in {ms} ms");
    // One that is there now is found at once by who is told again.
    let fake = FakeMaster::new();
    server.replicate(fake.port);
    let mut c = server.connect();
    for _ in 0..4 {
        drop(fake.accept());
    }
    assert!(c.info_int("master_link_next_attempt_ms") > 0);
    let again = format!("REPLICAOF 127.0.0.1 {}", fake.port);
    c.run(&again);
    // None is left to wait for; there may be a link already, and no such field.
    assert!(["", "0"].contains(&c.info("master_link_next_attempt_ms").as_str()));
    good_master_follows(&fake, &server);
}

/// A link that was up is tried each second, as Redis does, however long it is away; and so is a master that loads its data.
#[test]
fn what_was_up_or_will_be_is_tried_each_second() {
    if stand_in().is_some() {
        return;
    }
    let (fake, server) = replica(&["--loglevel", "debug"]);
    drop(good_master_follows(&fake, &server));
    // By the other rule they would take forty seconds.
    let begin = Instant::now();
    let mut n = 0;
    while n < 9 {
        drop(fake.accept());
        n += 1;
    }
    assert!(begin.elapsed() < Duration::from_secs(30));
    good_master_follows(&fake, &server);
    let (fake, server) = replica(&[]);
    let begin = Instant::now();
    for _ in 0..9 {
        let mut peer = fake.accept();
        peer.handshake();
        peer.line("-LOADING Redis is loading the dataset in memory");
        peer.conn.expect_close();
    }
    assert!(begin.elapsed() < Duration::from_secs(30));
    good_master_follows(&fake, &server);
}

/// With repl-sync-backoff-max 0 nothing is slower than with Redis.
#[test]
fn without_backoff_each_second() {
    if stand_in().is_some() {
        return;
    }
    let (fake, server) = replica(&["--repl-sync-backoff-max", "0"]);
    let begin = Instant::now();
    for _ in 0..8 {
        drop(fake.accept());
    }
    assert!(begin.elapsed() < Duration::from_secs(30));
    good_master_follows(&fake, &server);
}
