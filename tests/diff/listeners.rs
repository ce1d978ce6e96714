//! Clients that wait: for messages, and for keys. Several on each server do the same at random; each of them must hear the
//! same, in the same order.
//!
//! `DIFF_SEED` overrides the seed. A failure prints it with the steps before it.

use crate::need_redis;
use crate::support::conn::encode;
use crate::support::*;

/// The same connections to the reference and to the server under test.
struct Both {
    servers: [Server; 2],
    clients: Vec<[Conn; 2]>,
    log: Vec<String>,
    seed: u64,
}

impl Both {
    fn start(clients: usize) -> Both {
        let servers = [Server::redis(&[]), Server::aedile(&[])];
        let clients = (0..clients)
            .map(|_| [servers[0].connect(), servers[1].connect()])
            .collect();
        let seed = seed_from_env("DIFF_SEED");
        println!("DIFF_SEED={seed}");
        Both {
            servers,
            clients,
            log: Vec::new(),
            seed,
        }
    }

    fn send(&mut self, client: usize, line: &str) {
        self.log.push(format!("{client}: {line}"));
        let bytes = encode(&line.split(' ').collect::<Vec<_>>());
        for c in &mut self.clients[client] {
            c.write_raw(&bytes);
        }
    }

    fn read(&mut self, client: usize) -> [Value; 2] {
        self.clients[client].each_mut().map(Conn::read)
    }

    /// Sends a command whose only reply must be equal.
    #[track_caller]
    fn same(&mut self, client: usize, line: &str) -> Value {
        self.send(client, line);
        let replies = self.read(client);
        self.equal(client, &replies);
        let [reply, _] = replies;
        reply
    }

    #[track_caller]
    fn equal<T: PartialEq + std::fmt::Debug>(&self, client: usize, heard: &[T; 2]) {
        assert!(
            heard[0] == heard[1],
            "client {client} hears other things\n  reference: {:?}\n  tested:    {:?}\nDIFF_SEED={}\n{}",
            heard[0],
            heard[1],
            self.seed,
            self.log[self.log.len().saturating_sub(60)..].join("\n")
        );
    }

    /// What one client has heard up to now, by a PING behind it.
    fn heard(&mut self, client: usize) -> [Vec<Value>; 2] {
        let mark = b"that is all";
        self.clients[client].each_mut().map(|c| {
            c.write_raw(&encode(&[&b"PING"[..], mark]));
            let mut all = Vec::new();
            loop {
                match c.read() {
                    Value::Bulk(b) if b == mark => return all,
                    Value::Array(v) if v.len() == 2 && v[1] == Value::Bulk(mark.to_vec()) => {
                        return all;
                    }
                    v => all.push(v),
                }
            }
        })
    }
}

/// What comes in no order: the patterns that match a message, and the channels of a client that leaves them all (their
/// counts do).
fn sort_unordered(all: &mut [Value]) {
    let is_pattern = |v: &Value| match v {
        Value::Array(p) | Value::Push(p) => p.first() == Some(&Value::Bulk(b"pmessage".to_vec())),
        _ => false,
    };
    for run in all.chunk_by_mut(|a, b| is_pattern(a) && is_pattern(b)) {
        run.sort();
    }
    let is_departure = |v: &Value| match v {
        Value::Array(p) | Value::Push(p) => {
            matches!(p.first(), Some(Value::Bulk(b)) if b.ends_with(b"unsubscribe"))
        }
        _ => false,
    };
    for run in all.chunk_by_mut(|a, b| is_departure(a) && is_departure(b)) {
        if !is_departure(&run[0]) {
            continue;
        }
        let mut names: Vec<Value> = run.iter().map(|v| v.items()[1].clone()).collect();
        names.sort();
        for (v, name) in run.iter_mut().zip(names) {
            if let Value::Array(p) | Value::Push(p) = v {
                p[1] = name;
            }
        }
    }
}

#[test]
fn subscribers() {
    need_redis!();
    let mut both = Both::start(6);
    let mut rng = Rng(both.seed ^ 9);
    for client in &mut both.clients[3..5] {
        for c in client {
            c.run("HELLO 3");
        }
    }
    let mut messages = 0;
    for round in 0..3_000 {
        let name = |rng: &mut Rng| format!("c{}", rng.below(5));
        let pattern = |rng: &mut Rng| {
            rng.pick(&["*", "c*", "c[0-2]", "c?", "d*", "c1"])
                .to_string()
        };
        let client = rng.below(5);
        let line = match rng.below(16) {
            0..2 => format!("SUBSCRIBE {}", name(&mut rng)),
            2 => format!("SUBSCRIBE {} {} c1", name(&mut rng), name(&mut rng)),
            3 => format!("PSUBSCRIBE {}", pattern(&mut rng)),
            4 => format!("PSUBSCRIBE {} {}", pattern(&mut rng), pattern(&mut rng)),
            5 => format!("SSUBSCRIBE {}", name(&mut rng)),
            6 => format!("UNSUBSCRIBE {}", name(&mut rng)),
            7 => format!("PUNSUBSCRIBE {}", pattern(&mut rng)),
            8 => format!("SUNSUBSCRIBE {}", name(&mut rng)),
            9 if rng.one_in(3) => rng
                .pick(&["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "RESET"])
                .to_string(),
            10..13 => format!("PUBLISH {} m{round}", name(&mut rng)),
            13 => format!("SPUBLISH {} m{round}", name(&mut rng)),
            14 => rng
                .pick(&[
                    "PUBSUB NUMPAT",
                    "PUBSUB NUMSUB c0 c1 c2",
                    "PUBSUB SHARDNUMSUB c0 c1",
                ])
                .to_string(),
            _ => rng
                .pick(&["GET x", "PING", "SUBSCRIBE", "EXEC", "ECHO x"])
                .to_string(),
        };
        // 7.0 sends a listener its own message ahead of the reply, 7.2 behind it: those who publish do not listen.
        let client = if line.contains("PUBLISH") { 5 } else { client };
        both.send(client, &line);
        for client in 0..both.clients.len() {
            let mut heard = both.heard(client);
            for all in &mut heard {
                sort_unordered(all);
            }
            messages += heard[0].len();
            both.equal(client, &heard);
        }
    }
    assert!(messages > 4_000, "{messages}");
}

/// A key of another type is no part of this: a waiting command that runs again then fails in 7.2, and is passed over in 7.0.
#[test]
fn waiting_for_keys() {
    need_redis!();
    const WAITERS: usize = 6;
    let mut both = Both::start(WAITERS + 1);
    let mut rng = Rng(both.seed ^ 10);
    let ids: Vec<[i64; 2]> = (0..WAITERS)
        .map(|i| both.clients[i].each_mut().map(|c| c.run("CLIENT ID").int()))
        .collect();
    let (mut served, mut in_vain) = (0, 0);
    for round in 0..400 {
        let list = |rng: &mut Rng| format!("l{}", rng.below(3));
        let zset = |rng: &mut Rng| format!("z{}", rng.below(3));
        let waiters = 1 + rng.below(WAITERS);
        for (waiter, id) in ids.iter().enumerate().take(waiters) {
            let (a, b) = (list(&mut rng), list(&mut rng));
            let (y, z) = (zset(&mut rng), zset(&mut rng));
            // Nobody waits for a moved element and for something else at once: which of them comes first, 7.0 decides by
            // the time, 7.2 by the order of the keys.
            let d = format!("d{}", rng.below(2));
            let line = match rng.below(11) {
                0 => format!("BLPOP {a} {b} 0"),
                1 => format!("BRPOP {a} {b} none 0"),
                2 => format!("BLMOVE {a} {d} LEFT RIGHT 0"),
                3 => format!("BRPOPLPUSH {a} {d} 0"),
                4 => format!("BLMPOP 0 2 {a} {b} RIGHT COUNT 2"),
                5 => format!("BZPOPMIN {y} {z} 0"),
                6 => format!("BZPOPMAX {y} {z} 0"),
                7 => format!("BZMPOP 0 2 {y} {z} MIN COUNT 2"),
                8 => format!("BLPOP {d} 0"),
                9 => format!("BLMPOP 0 1 {d} LEFT COUNT 3"),
                _ => "XREAD COUNT 2 BLOCK 0 STREAMS x0 x1 $ $".to_string(),
            };
            both.same(waiter, "CLIENT SETNAME waiter");
            both.send(waiter, &line);
            // One after the other, on both servers.
            for (i, id) in id.iter().enumerate() {
                let admin = &mut both.clients[WAITERS][i];
                wait_until("the command to be seen", || {
                    let info = admin.run(&format!("CLIENT LIST ID {id}")).text();
                    !info.contains("cmd=client|setname")
                });
            }
        }
        for _ in 0..1 + rng.below(5) {
            let (a, z) = (list(&mut rng), zset(&mut rng));
            let n = rng.below(100);
            let mut lines = vec![match rng.below(9) {
                0..2 => format!("RPUSH {a} r{round} s{n}"),
                2 => format!("LPUSH {a} l{round}"),
                3 => format!("ZADD {z} {n} m{n} 5 five"),
                4 => format!("ZADD {z} {n} m{round}"),
                5 => format!("XADD x{} {}-{} f v", n % 2, round + 1, both.log.len()),
                6 => format!("DEL {a} {z}"),
                7 => format!("RENAME {a} l0"),
                _ => format!("ZUNIONSTORE {z} 2 z0 z1"),
            }];
            // Where two keys of one waiting command get something at once, 7.0 takes the first that did, 7.2 the first named.
            if rng.one_in(3) && !lines[0].starts_with("RENAME") {
                lines.insert(0, "MULTI".to_string());
                lines.push(format!("RPUSH {a} t{n}"));
                if rng.one_in(2) {
                    lines.push(format!("DEL {}", list(&mut rng)));
                }
                lines.push("EXEC".to_string());
            }
            for line in lines {
                both.same(WAITERS, &line);
            }
        }
        // Whoever still waits goes away with nothing; each has one reply.
        for (waiter, id) in ids.iter().enumerate().take(waiters) {
            for (i, id) in id.iter().enumerate() {
                both.clients[WAITERS][i].run(&format!("CLIENT UNBLOCK {id}"));
            }
            let replies = both.read(waiter);
            both.equal(waiter, &replies);
            match &replies[0] {
                Value::NullArray | Value::NullBulk => in_vain += 1,
                _ => served += 1,
            }
        }
        for key in ["l0", "l1", "l2", "d0", "d1", "z0", "z1", "z2", "x0", "x1"] {
            let dump = if key.starts_with(['l', 'd']) {
                format!("LRANGE {key} 0 -1")
            } else if key.starts_with('z') {
                format!("ZRANGE {key} 0 -1 WITHSCORES")
            } else {
                format!("XRANGE {key} - +")
            };
            both.same(WAITERS, &dump);
        }
        if rng.one_in(4) {
            both.same(WAITERS, "FLUSHALL");
        }
    }
    println!("{served} served, {in_vain} in vain");
    assert!(served.min(in_vain) > 100, "{served} {in_vain}");
    drop(both.servers);
}
