//! `redis-check-rdb` and `redis-check-aof` beside those of redis-server 7.0.15: the same files, sound and damaged, get the
//! same verdict, exit code and, but for what names versions, the same words.

use crate::need_redis;
use crate::support::conn::encode;
use crate::support::server::{Ended, Scratch};
use crate::support::state::small_snapshot;
use crate::support::tools::run_check;
use crate::support::*;

/// Both tools on the same file.
fn both(tool: &str, dir: &Scratch, args: &[&str], stdin: &[u8]) -> [Ended; 2] {
    [Kind::Redis, Kind::Aedile].map(|kind| run_check(kind, tool, dir.path(), args, stdin))
}

#[track_caller]
fn assert_same_code(ends: &[Ended; 2], what: &str) {
    assert_eq!(
        ends[0].status.code(),
        ends[1].status.code(),
        "{what}:\n{}\n{}",
        ends[0].stdout,
        ends[1].stdout
    );
}

/// A snapshot of all types, small, that 7.0 has written; with a checksum or without.
fn snapshot(checksum: bool) -> Vec<u8> {
    let onoff = if checksum { "yes" } else { "no" };
    let server = Server::start(Kind::Redis, &["--rdbchecksum", onoff]);
    small_snapshot(&server)
}

#[test]
fn sound_snapshots() {
    need_redis!();
    for checksum in [true, false] {
        let dir = Scratch::new();
        dir.write("dump.rdb", snapshot(checksum));
        let ends = both("redis-check-rdb", &dir, &["dump.rdb"], b"");
        assert_eq!(ends[0].stdout, ends[1].stdout);
        assert_eq!(ends[1].status.code(), Some(0));
    }
    let dir = Scratch::new();
    let ends = both("redis-check-rdb", &dir, &["no-such-file"], b"");
    assert_same_code(&ends, "no file");
    assert_eq!(ends[0].stdout, ends[1].stdout);
    let ends = both("redis-check-rdb", &dir, &[], b"");
    assert_same_code(&ends, "no argument");
    assert_eq!(ends[0].stderr, ends[1].stderr);
}

#[test]
fn cut_snapshots() {
    need_redis!();
    let bytes = snapshot(true);
    let dir = Scratch::new();
    for cut in (0..bytes.len()).step_by(3) {
        dir.write("dump.rdb", &bytes[..cut]);
        let ends = both("redis-check-rdb", &dir, &["dump.rdb"], b"");
        assert_same_code(&ends, &format!("cut at {cut}"));
        assert_eq!(ends[1].status.code(), Some(1), "cut at {cut}");
    }
}

#[test]
fn altered_snapshots() {
    need_redis!();
    let mut rng = Rng(11);
    for checksum in [true, false] {
        let bytes = snapshot(checksum);
        let dir = Scratch::new();
        for at in (0..bytes.len()).step_by(2) {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << rng.below(8);
            dir.write("dump.rdb", &bad);
            let ends = both("redis-check-rdb", &dir, &["dump.rdb"], b"");
            // Types that came with 7.2.
            let newer = ["Invalid object type: 20", "Invalid object type: 21"];
            if newer.iter().any(|t| ends[0].stdout.contains(t)) {
                continue;
            }
            let what = format!("byte {at} from {:02x} to {:02x}", bytes[at], bad[at]);
            // Ours may look closer, never less closely.
            if ends[0].status.code() != Some(0) {
                assert_eq!(
                    ends[1].status.code(),
                    Some(1),
                    "{what}:\n{}",
                    ends[0].stdout
                );
            } else if checksum && at > 8 {
                assert_eq!(
                    ends[1].status.code(),
                    Some(0),
                    "{what}:\n{}",
                    ends[1].stdout
                );
            }
        }
    }
}

/// An increment with a transaction and annotations.
fn commands() -> Vec<u8> {
    let mut out = b"#TS:1628217470\r\n".to_vec();
    out.extend(encode(&["SELECT", "0"]));
    out.extend(encode(&["SET", "a", "1"]));
    out.extend_from_slice(b"#TS:1628217471\r\n");
    out.extend(encode(&["MULTI"]));
    out.extend(encode(&["SET", "b", "two"]));
    out.extend(encode(&["RPUSH", "l", "x", ""]));
    out.extend(encode(&["EXEC"]));
    out.extend_from_slice(b"#TS:1628217473\r\n");
    out.extend(encode(&["INCR", "a"]));
    out
}

/// The words but for bytes shown in hexadecimal, which upstream extends by their sign, and for the name of a snapshot, which
/// 7.2 gives with its folder.
fn words(e: &Ended) -> Vec<String> {
    let lines = e.stdout.lines();
    lines
        .filter(|l| !l.contains("got: ") && !l.contains("Checking RDB file"))
        .map(str::to_string)
        .collect()
}

#[test]
fn cut_and_altered_commands() {
    need_redis!();
    let bytes = commands();
    let dir = Scratch::new();
    let mut rng = Rng(12);
    for at in 0..=bytes.len() {
        dir.write("a.aof", &bytes[..at]);
        let ends = both("redis-check-aof", &dir, &["a.aof"], b"");
        assert_same_code(&ends, &format!("cut at {at}"));
        assert_eq!(words(&ends[0]), words(&ends[1]), "cut at {at}");
        if at == bytes.len() {
            break;
        }
        let mut bad = bytes.clone();
        bad[at] ^= 1 << rng.below(8);
        dir.write("a.aof", &bad);
        let ends = both("redis-check-aof", &dir, &["a.aof"], b"");
        let what = format!("byte {at} is {:02x}", bad[at]);
        assert_same_code(&ends, &what);
        assert_eq!(words(&ends[0]), words(&ends[1]), "{what}");
    }
}

#[test]
fn repairs() {
    need_redis!();
    let bytes = commands();
    for (args, answer) in [
        (&["--fix", "a.aof"][..], &b"y\n"[..]),
        (&["--fix", "a.aof"], b"n\n"),
        (&["--fix", "a.aof"], b""),
        (&["--truncate-to-timestamp", "1628217473", "a.aof"], b""),
        (&["--truncate-to-timestamp", "1628217471", "a.aof"], b""),
        (&["--truncate-to-timestamp", "1628217469", "a.aof"], b""),
        (&["--truncate-to-timestamp", "x", "a.aof"], b""),
        (&["--mend", "a.aof"], b""),
        (&[], b""),
    ] {
        for cut in [bytes.len(), bytes.len() - 3, 90] {
            let ends = [Kind::Redis, Kind::Aedile].map(|kind| {
                let dir = Scratch::new();
                dir.write("a.aof", &bytes[..cut]);
                let e = run_check(kind, "redis-check-aof", dir.path(), args, answer);
                let left = std::fs::read(dir.join("a.aof")).expect("the file");
                (e.status.code(), e.stdout, left)
            });
            assert_eq!(ends[0], ends[1], "{args:?}, {cut}");
        }
    }
}

/// Parts and their manifest, as 7.0 writes them.
#[test]
fn parts() {
    need_redis!();
    for preamble in ["yes", "no"] {
        let args = ["--appendonly", "yes", "--aof-use-rdb-preamble", preamble];
        let server = Server::start(Kind::Redis, &args);
        let mut c = server.connect();
        c.ok("SET a 1");
        c.run("BGREWRITEAOF");
        wait_until("a rewrite", || c.info("aof_rewrite_in_progress") == "0");
        c.ok("SET b 2");
        let dir = server.scratch.join("appendonlydir");
        let manifest = "appendonlydir/appendonly.aof.manifest";
        let check = |what: &str| {
            let ends = both("redis-check-aof", &server.scratch, &[manifest], b"");
            assert_same_code(&ends, what);
            assert_eq!(words(&ends[0]), words(&ends[1]), "{what}");
            ends[1].status.code()
        };
        assert_eq!(check("sound"), Some(0));
        let text = std::fs::read_to_string(dir.join("appendonly.aof.manifest")).expect("text");
        for (what, bad) in [
            ("no type", text.replace(" type b", "")),
            ("no end of line", text.trim_end().to_string()),
            ("a part is missing", text.replace(".incr.", ".incr-x.")),
        ] {
            std::fs::write(dir.join("appendonly.aof.manifest"), bad).expect("written");
            let ends = both("redis-check-aof", &server.scratch, &[manifest], b"");
            assert_same_code(&ends, what);
            assert_eq!(ends[1].status.code(), Some(1), "{what}");
        }
    }
}
