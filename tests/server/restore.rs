//! Payloads that lie: whatever RESTORE takes can be read, changed, dumped and reloaded, and the server lives.
//!
//! `RESTORE_SEED` and `RESTORE_ROUNDS` override seed and number of payloads; a failure prints the seed and the payload.

use crate::support::*;

/// What is run on a key of each type; `K` is the key.
const TRAFFIC: &[(&str, &[&str])] = &[
    (
        "string",
        &[
            "GET K",
            "STRLEN K",
            "APPEND K x",
            "SETRANGE K 3 y",
            "PFCOUNT K",
            "PFADD K a",
            "BITCOUNT K",
            "INCR K",
        ],
    ),
    (
        "list",
        &[
            "LLEN K",
            "LRANGE K 0 -1",
            "LINDEX K -1",
            "LINDEX K 3",
            "LPOS K 1 COUNT 0",
            "LPUSH K head 1",
            "RPUSH K tail -7",
            "LINSERT K BEFORE 0 new",
            "LSET K 0 other",
            "LREM K -1 _1",
            "SORT K ALPHA",
            "LMOVE K K RIGHT LEFT",
            "LPOP K 2",
            "RPOP K",
            "LTRIM K 1 -2",
        ],
    ),
    (
        "set",
        &[
            "SCARD K",
            "SMEMBERS K",
            "SISMEMBER K 4",
            "SRANDMEMBER K 5",
            "SRANDMEMBER K -5",
            "SSCAN K 0",
            "SINTER K K",
            "SUNIONSTORE K: K K",
            "SADD K 3 member -90000000000",
            "SREM K 2 _3",
            "SPOP K",
            "SDIFF K K:",
            "SPOP K 3",
        ],
    ),
    (
        "hash",
        &[
            "HLEN K",
            "HGETALL K",
            "HGET K 1",
            "HMGET K 0 1 2 nosuch",
            "HRANDFIELD K 5 WITHVALUES",
            "HSCAN K 0",
            "HSET K 1 changed field new",
            "HINCRBY K 2 5",
            "HSTRLEN K 0",
            "HDEL K 1 3",
            "HKEYS K",
        ],
    ),
    (
        "zset",
        &[
            "ZCARD K",
            "ZRANGE K 0 -1 WITHSCORES",
            "ZRANGE K 2 0 BYSCORE REV LIMIT 0 5",
            "ZRANGEBYSCORE K (1 5",
            "ZRANGEBYLEX K - +",
            "ZCOUNT K -inf +inf",
            "ZLEXCOUNT K [a [z",
            "ZRANK K _1",
            "ZREVRANK K 2",
            "ZSCORE K 2",
            "ZRANDMEMBER K 5",
            "ZSCAN K 0",
            "ZADD K 2.5 new -1 2",
            "ZINCRBY K 3 _1",
            "ZUNION 2 K K",
            "ZINTERSTORE K: 2 K K",
            "ZREM K 0 new",
            "ZPOPMIN K 1",
            "ZREMRANGEBYSCORE K 2 3",
            "ZPOPMAX K",
            "ZREMRANGEBYRANK K 0 1",
        ],
    ),
    (
        "stream",
        &[
            "XLEN K",
            "XRANGE K - +",
            "XREVRANGE K + -",
            "XINFO STREAM K",
            "XINFO STREAM K FULL",
            "XINFO GROUPS K",
            "XINFO CONSUMERS K mygroup",
            "XPENDING K mygroup",
            "XPENDING K mygroup - + 10",
            "XREAD STREAMS K 0",
            "XREADGROUP GROUP mygroup Alice STREAMS K >",
            "XREADGROUP GROUP mygroup Bob STREAMS K 0",
            "XAUTOCLAIM K mygroup Bob 0 0",
            "XADD K * item 9 value 9",
            "XADD K * other field",
            "XACK K mygroup 1-1 2-2",
            "XDEL K 1-1 3-3 9-9",
            "XGROUP CREATE K second 0",
            "XGROUP DELCONSUMER K mygroup Alice",
            "XTRIM K MAXLEN ~ 8",
            "XTRIM K MAXLEN 3",
            "XTRIM K MINID 5",
            "XSETID K 999999999999999-1",
        ],
    ),
];

/// Of every type.
const GENERIC: &[&str] = &[
    "OBJECT ENCODING K",
    "MEMORY USAGE K SAMPLES 0",
    "DEBUG OBJECT K",
    "DEBUG DIGEST-VALUE K",
    "COPY K K:copy REPLACE",
    "UNLINK K:copy K:",
];

/// Small and large values of each type; the limits are so low that few elements are many.
fn fill(c: &mut Conn) -> Vec<Vec<u8>> {
    for (suffix, n) in [("", 3), ("big", 12)] {
        for i in 0..n {
            let v = if i % 2 == 0 {
                i.to_string()
            } else {
                format!("_{i}")
            };
            let i = i.to_string();
            for words in [
                vec!["HSET", "hash", &i, &v],
                vec!["RPUSH", "list", &v],
                vec!["ZADD", "zset", &i, &v],
                vec!["SADD", "set", &v],
                vec!["SADD", "intset", &i],
                vec![
                    "XADD",
                    "stream",
                    &format!("{i}-1"),
                    "item",
                    "1",
                    "value",
                    &v,
                ],
            ] {
                let mut words: Vec<String> = words.iter().map(|w| w.to_string()).collect();
                words[1] += suffix;
                if words[2] == "0-1" {
                    words[2] = "0-5".into();
                }
                let r = c.cmd(&words);
                assert!(!r.is_error(), "{words:?}: {r:?}");
            }
        }
    }
    for line in [
        "SET string some",
        "SET int 12345",
        "PFADD hll a b c",
        "ZADD zset 1.5 half",
        "RPUSH listbig -5 70000 8000000000",
        "XGROUP CREATE stream mygroup 0",
        "XREADGROUP GROUP mygroup Alice COUNT 2 STREAMS stream >",
        "XDEL stream 1-1",
        "XADD streambig * item 1 unique value",
    ] {
        let r = c.run(line);
        assert!(!r.is_error(), "{line}: {r:?}");
    }
    let keys = c.run("KEYS *");
    let mut dumps = Vec::new();
    for key in keys.items() {
        dumps.push(c.cmd(&[&b"DUMP"[..], &key.bytes()]).bytes());
    }
    dumps
}

/// Numbers at the ends of their ranges.
const EXTREMES: [u64; 6] = [
    u64::MAX,
    u64::MAX - 1,
    1 << 63,
    (1 << 63) - 1,
    u32::MAX as u64,
    1 << 32,
];

/// A byte or two become others or a number of eight bytes, or a stretch is cut out or doubled; the checksum is made right
/// again.
fn damage(rng: &mut Rng, dump: &[u8]) -> Vec<u8> {
    let mut body = dump[..dump.len() - 10].to_vec();
    for _ in 0..1 + rng.below(2) {
        let at = rng.below(body.len());
        match rng.below(14) {
            12 => {
                // In place of a short length, say.
                let number = EXTREMES[rng.below(EXTREMES.len())];
                let bytes = [&[0x81][..], &number.to_be_bytes()].concat();
                body.splice(at..=at, bytes);
            }
            13 => {
                let end = (at + 8).min(body.len());
                let number = EXTREMES[rng.below(EXTREMES.len())].to_le_bytes();
                body[at..end].copy_from_slice(&number[..end - at]);
            }
            0 => {
                let end = (at + 1 + rng.below(6)).min(body.len());
                body.drain(at..end);
            }
            1 => {
                let end = (at + 1 + rng.below(6)).min(body.len());
                let part = body[at..end].to_vec();
                body.splice(at..at, part);
            }
            2 => body[at] = body[at].wrapping_add(1),
            3 => body[at] = 0xff,
            4 => body[at] ^= 1 << rng.below(8),
            _ => body[at] = rng.next_u64() as u8,
        }
        if body.is_empty() {
            body.push(0);
        }
    }
    body.extend(11u16.to_le_bytes());
    let sum = rdb::crc64(&body);
    body.extend(sum.to_le_bytes());
    body
}

fn rounds() -> usize {
    std::env::var("RESTORE_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(2_000)
}

fn lies(sanitize: &str, seed: u64) {
    let seed = std::env::var("RESTORE_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(seed);
    let server = Server::aedile(&[
        "--enable-debug-command",
        "yes",
        "--sanitize-dump-payload",
        sanitize,
        "--list-max-listpack-size",
        "5",
        "--hash-max-listpack-entries",
        "5",
        "--set-max-listpack-entries",
        "5",
        "--set-max-intset-entries",
        "5",
        "--zset-max-listpack-entries",
        "5",
        "--stream-node-max-entries",
        "5",
    ]);
    let mut c = server.connect();
    let dumps = fill(&mut c);
    let mut rng = Rng(seed);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..rounds() {
        let dump = &dumps[rng.below(dumps.len())];
        let payload = damage(&mut rng, dump);
        let what = || format!("seed {seed}, round {round}: {}", payload.escape_ascii());
        let restore = [&b"RESTORE"[..], b"_k", b"0", &payload, b"REPLACE"];
        match c.try_cmd(&restore) {
            Ok(Value::Error(e)) => {
                assert!(e.starts_with(b"ERR Bad data format"), "{}", what());
                refused += 1;
                continue;
            }
            Ok(_) => taken += 1,
            Err(e) => panic!("{e}: {}", what()),
        }
        let again = c.run("DUMP _k").bytes();
        let back = c.cmd(&[&b"RESTORE"[..], b"_again", b"0", &again, b"REPLACE"]);
        assert!(!back.is_error() || sanitize == "no", "{back:?} {}", what());
        let kind = c.run("TYPE _k").text();
        let own = TRAFFIC.iter().find(|t| t.0 == kind).expect("a type").1;
        for line in GENERIC.iter().chain(own).chain(GENERIC) {
            let words: Vec<String> = line
                .split(' ')
                .map(|w| match w.strip_prefix('K') {
                    Some(rest) if rest.is_empty() || rest.starts_with(':') => format!("_k{rest}"),
                    _ => w.to_string(),
                })
                .collect();
            if let Err(e) = c.try_cmd(&words) {
                panic!("{line}: {e}: {}", what());
            }
        }
        if rng.one_in(50) {
            let r = c.try_cmd(&["DEBUG", "RELOAD"]);
            assert!(r.is_ok_and(|r| !r.is_error()), "RELOAD: {}", what());
        }
        let gone = c.try_cmd(&["DEL", "_k", "_k:", "_again", "_k:copy"]);
        assert!(gone.is_ok(), "DEL: {}", what());
    }
    assert!(taken > 50 && refused > 50, "{taken} {refused}");
    let counted = c.info_int("dump_payload_sanitizations");
    assert_eq!(counted > 0, sanitize != "no");
    assert_eq!(c.run("PING"), "PONG");
}

#[test]
fn lies_are_survived_without_a_deep_check() {
    lies("no", 31);
}

#[test]
fn lies_are_survived_with_a_deep_check() {
    lies("yes", 32);
}

#[test]
fn what_a_client_sends_is_looked_at_more_closely_than_a_file() {
    let mut server = Server::aedile(&["--sanitize-dump-payload", "clients"]);
    let mut c = server.connect();
    // A hash that has one field twice.
    let lp = b"\x10\x16\x16\0\0\0\x04\0\x81a\x02\x81b\x02\x81a\x02\x81d\x02\xff";
    let mut twice = lp.to_vec();
    let listpack_len = (twice.len() - 2) as u8;
    twice[1] = listpack_len;
    twice[2] = listpack_len;
    twice.extend(11u16.to_le_bytes());
    let sum = rdb::crc64(&twice);
    twice.extend(sum.to_le_bytes());
    let restore = [&b"RESTORE"[..], b"h", b"0", &twice];
    c.cmd(&restore).assert_error("ERR Bad data format");
    assert_eq!(c.info("dump_payload_sanitizations"), "1");
    assert!(c.run("GET h").is_null());
    c.config_set("sanitize-dump-payload", "no");
    c.cmd(&restore).assert_ok();
    c.config_set("sanitize-dump-payload", "clients");
    c.ok("SAVE");
    server.kill9();
    server.restart();
    assert_eq!(server.connect().run("HLEN h"), 2);
}

#[test]
fn values_of_modules_are_refused_by_name() {
    let server = Server::aedile(&["--loglevel", "verbose"]);
    let mut c = server.connect();
    let name = b"ABCDEFGHI";
    let id = name
        .iter()
        .fold(0u64, |id, b| id << 6 | u64::from(b - b'A'))
        << 10;
    let mut payload = vec![7, 0x81];
    payload.extend(id.to_be_bytes());
    payload.push(0);
    payload.extend(11u16.to_le_bytes());
    let sum = rdb::crc64(&payload);
    payload.extend(sum.to_le_bytes());
    c.cmd(&[&b"RESTORE"[..], b"m", b"0", &payload])
        .assert_error("ERR Bad data format");
    server.wait_log("no matching module type 'ABCDEFGHI'");
}

/// A payload's length, in eight bytes.
fn long_len(n: u64) -> Vec<u8> {
    [&[0x81][..], &n.to_be_bytes()].concat()
}

/// A stream of one entry, 1-0, and one group with one pending entry, whose counters say this.
fn stream_payload(c: &mut Conn, counters: &[u64; 12]) -> Vec<u8> {
    let [
        length,
        last_ms,
        last_seq,
        first,
        deleted_ms,
        deleted_seq,
        added,
        read,
        group_seq,
        time,
        count,
        seen,
    ] = *counters;
    c.run("DEL source");
    c.run("XADD source 1-0 f v");
    let dump = c.run("DUMP source").bytes();
    // The type, one node: its key of 16 bytes and its listpack, each with a short length.
    let listpack = 2 + 1 + 16;
    let node = listpack + 1 + usize::from(dump[listpack]);
    let mut out = dump[..node].to_vec();
    for n in [
        length,
        last_ms,
        last_seq,
        first,
        0,
        deleted_ms,
        deleted_seq,
        added,
        1,
    ] {
        out.extend(long_len(n));
    }
    out.extend(b"\x01g");
    for n in [1, group_seq, read, 1] {
        out.extend(long_len(n));
    }
    let id = [1u64.to_be_bytes(), 0u64.to_be_bytes()].concat();
    out.extend(&id);
    out.extend(time.to_le_bytes());
    out.extend(long_len(count));
    out.extend(b"\x01\x01c");
    out.extend(seen.to_le_bytes());
    out.extend(seen.to_le_bytes());
    out.push(1);
    out.extend(&id);
    out.extend(11u16.to_le_bytes());
    let sum = rdb::crc64(&out);
    out.extend(sum.to_le_bytes());
    out
}

/// Counters of a stream that later arithmetic would run over: such a payload is refused, or the number does no harm.
#[test]
fn counters_at_the_end_of_their_range() {
    let server = Server::aedile(&["--enable-debug-command", "yes", "--loglevel", "verbose"]);
    let mut c = server.connect();
    let good = [1, 1, 0, 1, 0, 0, 1, 1, 0, 1000, 1, 1000];
    let restore = |c: &mut Conn, counters: &[u64; 12]| {
        let payload = stream_payload(c, counters);
        c.cmd(&[&b"RESTORE"[..], b"s", b"0", &payload, b"REPLACE"])
    };
    restore(&mut c, &good).assert_ok();
    assert_eq!(c.run("XADD s 2 f v"), "2-0");
    for n in EXTREMES {
        for field in 0..good.len() {
            let mut counters = good;
            counters[field] = n;
            let reply = restore(&mut c, &counters);
            if n >= (1 << 63) - 1 && (field == 0 || field == 6) {
                reply.assert_error("ERR Bad data format");
                continue;
            }
            reply.assert_ok();
            for line in [
                "XLEN s",
                "XINFO STREAM s",
                "XINFO STREAM s FULL",
                "XINFO GROUPS s",
                "XINFO CONSUMERS s g",
                "XPENDING s g",
                "XPENDING s g IDLE 1 - + 10",
                "XADD s * f v",
                "XADD s MAXLEN ~ 3 * f v",
                "XREADGROUP GROUP g c STREAMS s 0",
                "XREADGROUP GROUP g d STREAMS s >",
                "XCLAIM s g d 0 1-0",
                "XAUTOCLAIM s g e 1 0",
                "XDEL s 1-0",
                "XGROUP SETID s g 0 ENTRIESREAD 1",
                "XSETID s 18446744073709551615-18446744073709551615",
                "XTRIM s MAXLEN 0",
                "DUMP s",
            ] {
                let done = c.try_cmd(&line.split(' ').collect::<Vec<_>>());
                assert!(done.is_ok(), "{n} in field {field}: {line}");
            }
        }
    }
    c.ok("DEBUG RELOAD");
    server.wait_log("Stream length or entries added beyond any real number");
}

/// Times and frequencies of a key.
#[test]
fn expiry_and_idle_time_at_the_end_of_their_range() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.ok("SET k v");
    let dump = c.run("DUMP k").bytes();
    for policy in ["noeviction", "allkeys-lru", "allkeys-lfu", "volatile-ttl"] {
        c.config_set("maxmemory-policy", policy);
        for ttl in ["1", "9223372036854775807", "9223372036854775806"] {
            for option in [
                &["ABSTTL"][..],
                &[],
                &["ABSTTL", "IDLETIME", "9223372036854775807"],
                &["IDLETIME", "9223372036854775807"],
                &["FREQ", "255"],
            ] {
                let mut words = vec![&b"RESTORE"[..], b"k", ttl.as_bytes(), &dump, b"REPLACE"];
                words.extend(option.iter().map(|o| o.as_bytes()));
                assert!(c.try_cmd(&words).is_ok_and(|r| !r.is_error()));
                for line in [
                    "TTL k",
                    "PTTL k",
                    "EXPIRETIME k",
                    "PEXPIRETIME k",
                    "OBJECT IDLETIME k",
                    "OBJECT FREQ k",
                    "DEBUG OBJECT k",
                    "GETEX k EX 9223372036854775",
                    "COPY k l REPLACE",
                    "INFO keyspace",
                    "DEBUG RELOAD",
                ] {
                    let done = c.try_cmd(&line.split(' ').collect::<Vec<_>>());
                    assert!(done.is_ok(), "{policy} {ttl} {option:?}: {line}");
                }
            }
        }
    }
    // What a file says besides.
    for at in [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1] {
        std::fs::write(
            server.rdb_path(),
            rdb::file(&[("k", "v", Some(at)), ("l", "v", None)]),
        )
        .expect("written");
        c.ok("DEBUG RELOAD NOSAVE");
        assert_eq!(c.run("GET l"), "v");
        c.run("TTL k");
    }
}
