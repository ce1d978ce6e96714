//! A snapshot is of its moment, whatever happens while it is taken: random streams of all commands run beside it, and what it has
//! is compared with DEBUG DIGEST of the moment at which it began.
//!
//! `DIFF_SEED` and `DIFF_SNAPSHOTS` override seed and number of snapshots; a failure prints both. `DIFF_ROUNDS`, which counts commands, is not meant here.

use super::generator;
use super::run::show;
use crate::support::conn::encode;
use crate::support::*;

/// Elements of a value that is written by pieces.
const BULKY: usize = 3000;

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|w| w.as_bytes().to_vec()).collect()
}

/// A command that makes a bulky value, or makes one larger, under a name that the other commands use too.
fn bulky(rng: &mut Rng) -> Vec<Vec<u8>> {
    let n = rng.below(4);
    let (name, key) = match rng.below(6) {
        0 => ("RPUSH", format!("l{n}")),
        1 => ("SADD", format!("s{n}")),
        2 => ("ZADD", format!("z{n}")),
        3 => ("HSET", format!("h{n}")),
        4 => ("XADD", format!("x{n}")),
        _ => ("SET", format!("k{n}")),
    };
    let mut cmd = vec![name.as_bytes().to_vec(), key.into_bytes()];
    let from = rng.below(5000);
    match name {
        "SET" => cmd.push(rng.bytes(300_000)),
        "XADD" => {
            cmd.push(b"*".to_vec());
            cmd.push(b"field".to_vec());
            cmd.push(rng.bytes(20_000));
        }
        _ => {
            for i in from..from + BULKY {
                match name {
                    "HSET" => {
                        cmd.push(format!("f{i}").into_bytes());
                        cmd.push(format!("value {}", rng.below(1000)).into_bytes());
                    }
                    "ZADD" => {
                        cmd.push(rng.below(500).to_string().into_bytes());
                        cmd.push(format!("member {i}").into_bytes());
                    }
                    _ => cmd.push(format!("some element {i}").into_bytes()),
                }
            }
        }
    }
    cmd
}

/// What the generator does not draw: commands on bulky values and many keys, scripts on keys that they do not name, groups of
/// streams, transactions, whole databases.
fn more(rng: &mut Rng) -> Vec<Vec<Vec<u8>>> {
    let n = rng.below(4);
    let filler = rng.below(4000);
    let line = match rng.below(22) {
        0 => format!("DEL l{n} s{n}"),
        1 => format!("UNLINK h{n} z{n}"),
        2 => format!("RENAME l{n} s{n}"),
        3 => format!("COPY h{n} z{n} REPLACE"),
        4 => format!("COPY s{n} s{n} DB {} REPLACE", rng.below(16)),
        5 => format!("MOVE h{n} {}", rng.below(16)),
        6 => format!("SWAPDB {} {}", rng.below(4), rng.below(4)),
        7 => format!("SUNIONSTORE z{n} s0 s1"),
        8 => format!("LTRIM l{n} 5 1000"),
        9 => format!("ZREMRANGEBYRANK z{n} 0 100"),
        10 => format!("SPOP s{n} 100"),
        11 => format!("XTRIM x{n} MAXLEN 3"),
        12 => format!("XGROUP CREATE x{n} g 0 MKSTREAM"),
        13 => format!(
            "XREADGROUP GROUP g c{} COUNT 20 STREAMS x{n} >",
            rng.below(3)
        ),
        14 => format!("PEXPIRE f:{filler} {}", rng.below(30)),
        15 => format!("APPEND f:{filler} more"),
        16 => format!("DEL f:{filler}"),
        17 => {
            let script = "redis.call('APPEND',ARGV[1],'x') redis.call('DEL',ARGV[2]) \
                          return redis.pcall('HSET',ARGV[3],'f','v')";
            let mut cmd = words("EVAL");
            cmd.push(script.as_bytes().to_vec());
            cmd.extend(words(&format!("0 f:{filler} s{n} h{n}")));
            return vec![cmd];
        }
        18 => {
            return vec![
                words("MULTI"),
                words(&format!("HSET h{n} f v")),
                words("SELECT 1"),
                words(&format!("RPUSH l{n} x")),
                words(&format!("SET f:{filler} y")),
                words("EXEC"),
            ];
        }
        19 if rng.one_in(4) => words_of(rng, &["FLUSHDB ASYNC", "FLUSHDB SYNC", "FLUSHDB"]),
        20 => format!("GETEX k{n} PX {}", 1 + rng.below(40)),
        _ => {
            // Many keys at once: tables grow.
            return (0..200)
                .map(|i| words(&format!("SET g:{}:{i} v", rng.below(1000))))
                .collect();
        }
    };
    vec![words(&line)]
}

fn words_of(rng: &mut Rng, list: &[&str]) -> String {
    rng.pick(list).to_string()
}

/// How snapshots are taken, and where they go.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Save,
    Base,
}

fn random_stream(rng: &mut Rng, step: &mut usize) -> Vec<Vec<Vec<u8>>> {
    let mut cmds = Vec::new();
    for _ in 0..1 + rng.below(30) {
        match rng.below(10) {
            0 => cmds.push(bulky(rng)),
            1..5 => cmds.extend(more(rng)),
            _ => cmds.push(generator::command(rng, *step)),
        }
        *step += 1;
    }
    // What would end the snapshot or speak another protocol is not meant.
    cmds.retain(|c| {
        let name = c
            .first()
            .map(|n| n.to_ascii_uppercase())
            .unwrap_or_default();
        !matches!(
            name.as_slice(),
            b"FLUSHALL"
                | b"RESET"
                | b"HELLO"
                | b"QUIT"
                | b"SUBSCRIBE"
                | b"PSUBSCRIBE"
                | b"SSUBSCRIBE"
                | b"MONITOR"
                | b"CLIENT"
                | b"CONFIG"
                | b"DEBUG"
                | b"SHUTDOWN"
        )
    });
    cmds
}

fn snapshots_are_of_their_moment(kind: Kind, args: &[&str], rounds: usize) {
    let seed = seed_from_env("DIFF_SEED");
    let rounds = std::env::var("DIFF_SNAPSHOTS")
        .ok()
        .and_then(|r| r.parse().ok())
        .unwrap_or(rounds);
    let mut rng = Rng(seed);
    let server = Server::aedile(&[args, &["--enable-debug-command", "yes"]].concat());
    let mut c = server.connect();
    let mut control = server.connect();
    let mut step = 0;
    for round in 0..rounds {
        let context = format!("DIFF_SEED={seed} round {round} of {rounds}");
        control.config_set("maxmemory", "0");
        let fill: Vec<_> = (0..2000)
            .map(|i| {
                let n = rng.below(4000);
                match i % 7 {
                    0 => words(&format!(
                        "SET f:{n} {} PX {}",
                        rng.below(9),
                        50 + rng.below(3000)
                    )),
                    1 => words(&format!("RPUSH list:{n} a b c")),
                    _ => words(&format!("SET f:{n} value-{}", rng.next_u64())),
                }
            })
            .collect();
        c.pipeline(&fill);
        for _ in 0..10 {
            c.cmd(&bulky(&mut rng));
        }
        let delay = rng.pick(&["0", "-10", "5", "20", "100"]).to_string();
        control.config_set("rdb-key-save-delay", &delay);
        let share = rng.pick(&["1", "50", "100"]).to_string();
        if control
            .cmd(&["CONFIG", "SET", "snapshot-cpu-share", &share])
            .is_error()
        {
            panic!("no snapshot-cpu-share");
        }
        // In one write, so that nothing happens between the two.
        let begin: &[u8] = match kind {
            Kind::Save => b"BGSAVE",
            Kind::Base => b"BGREWRITEAOF",
        };
        let behind = random_stream(&mut rng, &mut step);
        let mut bytes = encode(&[&b"DEBUG"[..], b"DIGEST"]);
        bytes.extend(encode(&[begin]));
        for cmd in &behind {
            bytes.extend(encode(cmd));
        }
        c.write_raw(&bytes);
        let digest = c.read().text();
        let began = c.read();
        assert!(!began.is_error(), "{began:?} {context}");
        for _ in &behind {
            c.read();
        }
        let running = match kind {
            Kind::Save => "rdb_bgsave_in_progress",
            Kind::Base => "aof_rewrite_in_progress",
        };
        let mut n = 0;
        while control.info(running) == "1" {
            let cmds = random_stream(&mut rng, &mut step);
            n += cmds.len();
            if rng.one_in(40) {
                let used = control.info_int("used_memory") - 300_000;
                control.config_set("maxmemory-policy", "allkeys-random");
                control.config_set("maxmemory", &used.to_string());
            } else if rng.one_in(10) {
                control.config_set("maxmemory", "0");
            }
            if rng.one_in(60) {
                control.config_set("rdb-key-save-delay", "0");
            }
            c.pipeline(&cmds);
        }
        control.config_set("maxmemory", "0");
        let status = match kind {
            Kind::Save => "rdb_last_bgsave_status",
            Kind::Base => "aof_last_bgrewrite_status",
        };
        assert_eq!(control.info(status), "ok", "{context}\n{}", server.log());
        if kind == Kind::Base {
            // The base alone; what came behind it is in the increment.
            let dir = server
                .rdb_path()
                .parent()
                .expect("a folder")
                .join("appendonlydir");
            let base = std::fs::read_dir(dir)
                .expect("the folder")
                .filter_map(|e| Some(e.ok()?.path()))
                .find(|p| p.to_string_lossy().ends_with(".base.rdb"))
                .expect("a base");
            std::fs::copy(base, server.rdb_path()).expect("a copy");
        }
        // A replica drops nothing that has expired when it loads.
        control.ok("REPLICAOF 127.0.0.1 1");
        let loaded = control.run("DEBUG RELOAD NOSAVE");
        assert!(!loaded.is_error(), "{loaded:?} {context}\n{}", server.log());
        let found = control.run("DEBUG DIGEST").text();
        control.ok("REPLICAOF NO ONE");
        c.ok("SELECT 0");
        assert_eq!(
            found,
            digest,
            "{context}: {n} commands beside the snapshot, among them {}",
            behind.first().map_or(String::new(), |c| show(c))
        );
    }
    if args.contains(&"inline") {
        assert!(control.info_int("snapshot_inline_taken") as usize >= rounds);
    }
}

#[test]
fn saves_in_the_loop_are_of_their_moment() {
    snapshots_are_of_their_moment(Kind::Save, &["--snapshot-mode", "inline"], 25);
}

#[test]
fn saves_in_the_loop_in_an_old_version_are_of_their_moment() {
    let args = ["--snapshot-mode", "inline", "--rdb-save-version", "9"];
    snapshots_are_of_their_moment(Kind::Save, &args, 8);
}

#[test]
fn bases_in_the_loop_are_of_their_moment() {
    let args = ["--snapshot-mode", "inline"];
    snapshots_are_of_their_moment(Kind::Base, &args, 10);
}

/// The same stream finds the same of a child.
#[test]
fn saves_by_a_child_are_of_their_moment() {
    snapshots_are_of_their_moment(Kind::Save, &["--snapshot-mode", "fork"], 5);
}
