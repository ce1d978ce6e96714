//! Transactions through a chain of both programs, while the link is cut in the midst of them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::load::master;
use crate::support::conn::encode;
use crate::support::proxy::Dir;
use crate::support::*;

each_direction!(whole_or_not_at_all);

/// Moves an amount between two keys in a transaction, again and again, with other writes around it.
fn transfer(port: u16, stop: &AtomicBool) -> u64 {
    let mut c = Conn::connect(port);
    let mut rng = Rng(21);
    let mut done = 0;
    while !stop.load(Ordering::SeqCst) {
        let n = (1 + rng.below(1000)).to_string();
        let note = format!("note:{}", rng.below(300));
        let mut lines = vec![
            encode(&["MULTI"]),
            encode(&["INCRBY", "from", &format!("-{n}")]),
            encode(&["SET", &note, "gone soon", "PX", "5"]),
            encode(&["INCRBY", "to", &n]),
        ];
        match rng.below(5) {
            0 => lines.extend([encode(&["GET", &note]), encode(&["DEL", "none"])]),
            1 => lines.extend([
                encode(&["SELECT", "1"]),
                encode(&["SET", &note, &"x".repeat(rng.below(3000))]),
                encode(&["SELECT", "0"]),
            ]),
            2 => lines.push(encode(&["PUBLISH", "transfers", &n])),
            _ => {}
        }
        lines.push(encode(&["EXEC"]));
        lines.push(encode(&["APPEND", "log", &n]));
        c.write_raw(&lines.concat());
        for i in 0..lines.len() {
            let r = c.read();
            assert!(!r.is_error() && !r.is_null(), "{i} {r:?}");
        }
        done += 1;
    }
    done
}

/// master <- replica <- replica of the first one's kind; nobody ever sees half of a transaction.
fn whole_or_not_at_all(master_kind: Kind, replica_kind: Kind) {
    let m = master(master_kind, &[]);
    m.connect()
        .cmd(&["MSET", "from", "0", "to", "0"])
        .assert_ok();
    let proxy = Proxy::start(m.port);
    let r = master(replica_kind, &[]);
    r.replicate(proxy.port);
    r.wait_link_up();
    let second = Proxy::start(r.port);
    let s = master(master_kind, &[]);
    s.replicate(second.port);
    s.wait_link_up();
    let stop = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        let writer = scope.spawn(|| transfer(m.port, &stop));
        let (mut rc, mut sc) = (r.connect(), s.connect());
        for round in 0..12 {
            let p = if round % 2 == 0 { &proxy } else { &second };
            p.cut_after(Dir::Down, 900 + 977 * round);
            wait_until("a cut", || {
                for c in [&mut rc, &mut sc] {
                    let both = c.run("MGET from to");
                    let n = |i: usize| both.items()[i].text().parse::<i64>().expect("a number");
                    assert_eq!(n(0) + n(1), 0);
                }
                p.has_cut()
            });
            r.wait_link_up();
            s.wait_link_up();
        }
        stop.store(true, Ordering::SeqCst);
        writer.join().expect("the writer")
    });
    assert!(done > 50, "{done}");
    let state = assert_synced(&m, &r);
    assert_eq!(assert_synced(&r, &s), state);
    for server in [&m, &r] {
        assert_eq!(server.connect().info("sync_full"), "1");
    }
}
