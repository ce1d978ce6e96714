//! What must hold for any bytes at all, by decoder: the bodies of the fuzz targets (`fuzz/`, for `cargo fuzz`), and a seeded run
//! of the same in the tests.
//!
//! A target takes bytes that an attacker, a broken disk or another server may have written. It panics where a decoder is
//! wrong: it reads beyond the bytes, takes them for different things when they come in other pieces, or gives what it does
//! not take back. It must not know sockets or a server. Compiled for tests and under `cfg(fuzzing)` only.

use std::collections::VecDeque;

use crate::acl::rules::{RuleContext, merge_selector_arguments};
use crate::acl::user::User;
use crate::base::split_args::sdssplitargs;
use crate::config::fields::Config;
use crate::ds::listpack::{Listpack, LpValue, validate_integrity};
use crate::server::process::startup::command_table;
use crate::store::entry::Entry;
use crate::store::rdb_value::{LoadLimits, rdb_load_entry, rdb_save_object, rdb_save_object_type};
use crate::store::rewrite::rewrite_object;
use crate::wire::aof::{AofManifest, MANIFEST_MAX_LINE, parse_command};
use crate::wire::cluster::{Body, is_address};
use crate::wire::rdb::{RDB_VERSION, RdbReader, RdbRecord, RdbWriter, RdbWriterOptions, no_poll};
use crate::wire::replication::capabilities::Capability;
use crate::wire::replication::handshake::{
    HANDSHAKE_LINE_SIZE, Handshake, HandshakeParams, LineReader, Outcome,
};
use crate::wire::replication::payload::{BulkHeader, parse_bulk_header};
use crate::wire::reply::{Reply, ReplyError, ReplyReader};
use crate::wire::resp::{Limits, Parsed, Parser, ProtocolError, Span};

/// A target: any bytes.
pub type Target = fn(&[u8]);

/// All of them, by the name that `cargo fuzz` has for each.
pub const TARGETS: &[(&str, Target)] = &[
    ("resp", resp),
    ("rdb", rdb),
    ("dump_payload", dump_payload),
    ("aof_manifest", aof_manifest),
    ("aof_stream", aof_stream),
    ("listpack", listpack),
    ("handshake", handshake),
    ("acl_rules", acl_rules),
    ("replies", replies),
    ("cluster_bus", cluster_bus),
];

// The bus of a cluster ------------------------------------------------------------------------------------------------

/// A message of the bus is read or refused; what is read of it lies within it, and can be kept.
pub fn cluster_bus(bytes: &[u8]) {
    if let Ok(Some(m)) = crate::wire::cluster::parse_light(bytes) {
        assert!(m.channel.len() + m.message.len() + 24 == bytes.len());
    }
    let Ok(message) = crate::wire::cluster::parse(bytes) else {
        return;
    };
    assert!(is_address(message.ip.as_bytes()));
    match message.body {
        Body::Ping { gossip, .. } => {
            assert!(gossip.len() * 104 + 2256 <= bytes.len());
            assert!(gossip.iter().all(|g| is_address(g.ip.as_bytes())));
        }
        Body::Publish { channel, message } => {
            assert!(channel.len() + message.len() + 2264 == bytes.len());
        }
        _ => {}
    }
}

// Requests ------------------------------------------------------------------------------------------------------------

type Requests = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// The requests in `bytes`, which come `step` at a time, and the error behind them.
fn requests(bytes: &[u8], step: usize, limits: &Limits) -> Requests {
    let mut parser = Parser::default();
    let mut found = Vec::new();
    let (mut start, mut end) = (0, 0);
    while end < bytes.len() {
        end = (end + step).min(bytes.len());
        loop {
            match parser.parse(&bytes[start..end], limits) {
                Parsed::Request => {
                    let text = parser.inline_text().unwrap_or(&bytes[start..end]);
                    let word = |s: &Span| text[s.start as usize..s.end as usize].to_vec();
                    found.push(parser.spans().iter().map(word).collect());
                }
                Parsed::Empty => {}
                Parsed::Incomplete | Parsed::BigArg(_) => break,
                Parsed::Error(e) => return (found, Some(e)),
            }
            assert!(parser.consumed() > 0 && parser.consumed() <= end - start);
            start += parser.consumed();
            parser.reset();
            if start == end {
                break;
            }
        }
    }
    (found, None)
}

/// Requests are the same however their bytes come, and a request in the form that servers write is read back as it was.
pub fn resp(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let limits = Limits {
        max_bulk_len: 1 << 20,
        authenticated: first & 1 == 0,
        is_master: first & 2 != 0,
    };
    let whole = requests(bytes, bytes.len().max(1), &limits);
    assert_eq!(whole, requests(bytes, 1, &limits));
    assert_eq!(whole, requests(bytes, 2 + usize::from(first >> 2), &limits));
    let mut again = Vec::new();
    for words in &whole.0 {
        crate::wire::resp::push_command(&mut again, words.iter().map(Vec::as_slice));
    }
    let limits = Limits {
        authenticated: true,
        ..limits
    };
    assert_eq!(requests(&again, again.len().max(1), &limits).0, whole.0);
}

// Replies -------------------------------------------------------------------------------------------------------------

fn replies_in(bytes: &[u8], step: usize) -> (Vec<Reply>, Option<ReplyError>) {
    let mut reader = ReplyReader::default();
    let mut found = Vec::new();
    for chunk in bytes.chunks(step) {
        reader.feed(chunk);
        loop {
            match reader.next_reply() {
                Ok(Some(reply)) => found.push(reply),
                Ok(None) => break,
                Err(e) => return (found, Some(e)),
            }
        }
    }
    (found, None)
}

/// Replies are the same however their bytes come.
pub fn replies(bytes: &[u8]) {
    let whole = replies_in(bytes, bytes.len().max(1));
    for step in [1, 3, 64] {
        let (found, error) = replies_in(bytes, step);
        assert_eq!(found, whole.0);
        // Where two things are wrong with one reply, which is seen first depends on what is there.
        assert_eq!(error.is_some(), whole.1.is_some());
    }
}

// Users ---------------------------------------------------------------------------------------------------------------

/// Rules, a line each, either make a user that can be written down and read again, or say why not.
pub fn acl_rules(bytes: &[u8]) {
    acl_round_trip(bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec));
}

/// A user of those of the rules that can be.
pub(crate) fn acl_user(rules: impl Iterator<Item = Vec<u8>>) -> User {
    let commands = command_table(false);
    let context = RuleContext {
        commands: &commands,
        all_channels: false,
        databases: 16,
    };
    let words: Vec<Vec<u8>> = rules.collect();
    let mut user = User::new(b"u", false);
    for rule in merge_selector_arguments(words.iter().map(|w| &w[..])).unwrap_or_default() {
        let before = user.clone();
        if user.set(&rule, &context).is_err() {
            assert_eq!(user, before);
        }
    }
    user
}

/// What is written down of a user makes the same user again: from the ACL file, and from a configuration file.
pub(crate) fn acl_round_trip(rules: impl Iterator<Item = Vec<u8>>) {
    let user = acl_user(rules);
    let line = user.line();
    assert!(!line.contains(&b'\n') && !line.contains(&0));
    let of_file = line.split(|b| *b == b' ').skip(2).map(<[u8]>::to_vec);
    assert_eq!(acl_user(of_file), user);
    let config = sdssplitargs(&user.config_line()).expect("quotes that are closed");
    assert_eq!(acl_user(config.into_iter().skip(2)), user);
}

// Snapshots -----------------------------------------------------------------------------------------------------------

fn load_limits(deep: bool) -> LoadLimits {
    LoadLimits::new(&Config::default(), deep)
}

/// The commands that make a value.
fn commands(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    rewrite_object(&mut out, entry).expect("memory takes all");
    out
}

/// Loads a value that a reader stands before; what is loaded can be saved and loaded again.
fn value<R: std::io::Read>(r: &mut RdbReader<R>, rdb_type: u8, deep: bool) -> bool {
    let limits = load_limits(deep);
    let Ok(loaded) = rdb_load_entry(r, rdb_type, b"key", None, &limits, &mut no_poll) else {
        return false;
    };
    if let Some(entry) = loaded {
        let mut w = RdbWriter::in_memory(RdbWriterOptions::default());
        rdb_save_object(&mut w, &entry).expect("memory takes all");
        let saved = w.into_bytes();
        let rdb_type = rdb_save_object_type(&entry, RDB_VERSION);
        let mut r = RdbReader::for_payload(&saved);
        let again = rdb_load_entry(
            &mut r,
            rdb_type,
            b"key",
            None,
            &load_limits(true),
            &mut no_poll,
        );
        let again = again.expect("what was saved here is sound");
        // The order of elements may be another, the commands that make them are as long.
        assert_eq!(
            again.map(|e| commands(&e).len()),
            Some(commands(&entry).len())
        );
    }
    true
}

/// A file is loaded up to what is wrong with it.
pub fn rdb(bytes: &[u8]) {
    let mut r = RdbReader::new(bytes);
    r.set_verify_checksum(false);
    r.set_total_len(bytes.len() as u64);
    if r.header(&mut no_poll).is_err() {
        return;
    }
    let mut key = Vec::new();
    loop {
        let rdb_type = match r.next_record(&mut key, &mut no_poll) {
            Ok(RdbRecord::Key(k)) => k.rdb_type,
            Ok(RdbRecord::ModuleAux { .. }) => match r.skip_module_value(&mut no_poll) {
                Ok(()) => continue,
                Err(_) => return,
            },
            Ok(RdbRecord::Eof(_)) | Err(_) => return,
            Ok(_) => continue,
        };
        if !value(&mut r, rdb_type, key.len() % 2 == 0) {
            return;
        }
    }
}

/// A value of any type, as RESTORE gets it.
pub fn dump_payload(bytes: &[u8]) {
    let Some((&rdb_type, _)) = bytes.split_first() else {
        return;
    };
    let mut r = RdbReader::for_payload(bytes);
    // A type byte has another meaning in files of Valkey, and more have one in those of Redis 7.4.
    r.assume_version([RDB_VERSION, 13, 80][bytes.len() % 3]);
    if r.read_u8(&mut no_poll).is_ok() {
        value(&mut r, rdb_type, true);
    }
}

/// Bytes that pass for a listpack are one: it can be walked both ways and changed.
pub fn listpack(bytes: &[u8]) {
    if !validate_integrity(bytes, true, &mut |_| true) {
        return;
    }
    let mut lp = Listpack::from_validated(bytes);
    let there: Vec<Vec<u8>> = lp.iter().map(LpValue::to_vec).collect();
    let mut back: VecDeque<Vec<u8>> = VecDeque::new();
    for v in lp.iter_rev() {
        back.push_front(v.to_vec());
    }
    assert!(there.iter().eq(&back));
    assert_eq!(lp.len(), there.len());
    lp.append(b"last");
    lp.prepend_int(-1);
    assert_eq!(lp.len(), there.len() + 2);
    if let Some(p) = lp.seek(there.len() as i64 / 2) {
        lp.delete(p);
    }
    assert!(validate_integrity(lp.bytes(), true, &mut |_| true));
}

// The append-only file ------------------------------------------------------------------------------------------------

/// A manifest that is taken and names files is written back as the same.
pub fn aof_manifest(bytes: &[u8]) {
    if let Ok(manifest) = AofManifest::parse(bytes) {
        let written = manifest.to_bytes();
        // Comments alone are taken, and nothing remains of them. A name may get too long for its line by its quotes: none that a
        // file can have (255 bytes).
        let too_long = |line: &[u8]| line.len() >= MANIFEST_MAX_LINE;
        if written.is_empty() || written.split(|b| *b == b'\n').any(too_long) {
            return;
        }
        let again = AofManifest::parse(&written).expect("our own manifest");
        assert_eq!(again.to_bytes(), written);
    }
}

/// A command is what it is, or not all there, however much of it is looked at.
pub fn aof_stream(bytes: &[u8]) {
    let mut spans = Vec::new();
    let mut rest = bytes;
    while let Ok(Some(n)) = parse_command(rest, &mut spans) {
        assert!(n > 0 && n <= rest.len());
        let words = spans.clone();
        for s in &words {
            assert_eq!(
                rest.get(s.end as usize..s.end as usize + 2),
                Some(&b"\r\n"[..])
            );
        }
        for part in [0, 1, n / 2, n - 1] {
            assert_eq!(parse_command(&rest[..part], &mut spans), Ok(None));
        }
        assert_eq!(parse_command(&rest[..n], &mut spans), Ok(Some(n)));
        assert!(
            spans
                .iter()
                .zip(&words)
                .all(|(a, b)| a.start == b.start && a.end == b.end)
        );
        rest = &rest[n..];
    }
}

// The link to a master, and to a replica ------------------------------------------------------------------------------

fn lines(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut reader = LineReader::new(HANDSHAKE_LINE_SIZE);
    let mut found = Vec::new();
    for part in bytes.chunks(step) {
        let mut part = part;
        while !part.is_empty() {
            let (taken, line) = reader.feed(part);
            assert!(taken > 0 && taken <= part.len());
            found.extend(line.map(<[u8]>::to_vec));
            part = &part[taken..];
        }
    }
    found
}

/// Whatever a master says, the handshake goes on or ends; a header, and what a replica can do, are read back as they are written.
pub fn handshake(bytes: &[u8]) {
    let lines_of = lines(bytes, bytes.len().max(1));
    assert_eq!(lines_of, lines(bytes, 1));
    let params = HandshakeParams {
        masterauth: bytes
            .first()
            .filter(|b| **b & 1 != 0)
            .map(|_| &b"secret"[..]),
        cached_master: Some((b"0123456789abcdef0123456789abcdef01234567", 1)),
        ..HandshakeParams::default()
    };
    let (mut h, _) = Handshake::begin();
    for line in &lines_of {
        let step = h.on_reply(line, &params);
        if step.outcome != Outcome::Pending {
            break;
        }
    }
    for line in &lines_of {
        let header = parse_bulk_header(line);
        // A name may be any bytes; those that are written are none but hexadecimal ones.
        if line.is_ascii()
            && !matches!(
                header,
                BulkHeader::Malformed | BulkHeader::KeepAlive | BulkHeader::Aborted(_)
            )
        {
            let text = header.line();
            // Its line end alone: a name may end in one too.
            let line = text.strip_suffix("\r\n").expect("a line");
            assert_eq!(parse_bulk_header(line.as_bytes()).line(), text);
        }
        let capability = Capability::parse(line);
        let word = capability.word();
        assert_eq!(Capability::parse(&word).word(), word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Prng;

    /// Sound inputs of each target, to begin with.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let owned = |all: &[&[u8]]| all.iter().map(|s| s.to_vec()).collect();
        match target {
            "resp" => owned(&[
                b"\0*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nabc\r\n*1\r\n$4\r\nPING\r\n",
                b"\x04set k \"a\\x00 b\"\r\nPING\n\r\n*0\r\n",
                b"\x01*2\r\n$4\r\nECHO\r\n$12\r\n0123456789ab\r\n",
            ]),
            "rdb" => owned(&[
                include_bytes!("../tests/assets/types-7.0.rdb"),
                include_bytes!("../tests/assets/strings-7.0.rdb"),
            ]),
            "dump_payload" => {
                // The values of a file that has all types.
                let file = include_bytes!("../tests/assets/types-7.0.rdb");
                let mut r = RdbReader::new(&file[..]);
                r.header(&mut no_poll).expect("a sound file");
                let (mut key, mut found) = (Vec::new(), Vec::new());
                while let Ok(record) = r.next_record(&mut key, &mut no_poll) {
                    if let RdbRecord::Key(k) = record {
                        let from = r.bytes_read() as usize;
                        r.skip_value(k.rdb_type, &mut no_poll).expect("a sound value");
                        let value = &file[from..r.bytes_read() as usize];
                        found.push([&[k.rdb_type], value].concat());
                    }
                }
                assert!(found.len() > 10);
                found
            }
            "aof_manifest" => owned(&[
                b"file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type h\nfile \"a b.2.incr.aof\" seq 2 type i\n",
                b"# nothing but this\n",
                &[&b"file "[..], &[0xff; 300], b" seq 1 type b\n"].concat(),
            ]),
            "aof_stream" => owned(&[
                // A line that is one byte too long.
                &[&b"#"[..], &[b'x'; 1022], b"\n*1\r\n$4\r\nPING\r\n"].concat(),
                b"#TS:1700000000\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n",
            ]),
            "listpack" => {
                let mut lp = Listpack::new();
                lp.append(b"");
                lp.append(&[b'x'; 70]);
                for n in [0, 127, -1, 4095, -4096, 32_767, 1 << 22, 1 << 30, i64::MIN] {
                    lp.append_int(n);
                }
                lp.append(&[b'y'; 5000]);
                vec![lp.bytes().to_vec(), Listpack::new().bytes().to_vec()]
            }
            "replies" => owned(&[
                b"+PONG\r\n-ERR no\r\n:-7\r\n$5\r\nab\r\nc\r\n$-1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
                b"*3\r\n:0\r\n$1\r\n*\r\n:0\r\n>1\r\n_\r\n=5\r\ntxt:a\r\n*2\r\n*1\r\n:1\r\n*-1\r\n",
            ]),
            "cluster_bus" => crate::wire::cluster::sound_messages(),
            "acl_rules" => owned(&[
                b"on\n>foo\n~a*\n%R~b\n&c\n+@all\n-@dangerous\n+config|get\n+select|0\n(+get ~x* db=1,2)\n(~\"y)\" -get)\nresetdbs",
                b"allkeys\nallchannels\n+get\n-get\nclearselectors\n#2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            ]),
            _ => owned(&[
                b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+FULLRESYNC 0123456789abcdef0123456789abcdef01234567 12\r\n$1000\r\n",
                b"+PONG\r\n+OK upstream=10.0.0.1:6379/up,::1:1/down\r\n+OK\r\n+CONTINUE 0123456789abcdef0123456789abcdef01234567\r\n",
                b"$EOF:0123456789abcdef0123456789abcdef01234567\r\n$-1\r\n\n",
                b"$SNAPSHOT:0123456789abcdef0123456789abcdef01234567:100\r\n",
                b"$EOF:0123456789abcdef0123456789abcdef0123456\r\x07\n",
                b"$RESUME:0123456789abcdef0123456789abcdef01234567:100:50\r\n",
                b"eof\r\npsync2\r\nrdb:11\r\nresume:0123456789abcdef0123456789abcdef01234567:10\r\nbehind:a,b\r\n",
            ]),
        }
    }

    /// Some changes to an input: bytes and numbers replaced, parts doubled, moved, cut.
    fn mutate(input: &[u8], rng: &mut Prng) -> Vec<u8> {
        let mut out = input.to_vec();
        let below = |rng: &mut Prng, n: usize| (rng.next_u64() % n.max(1) as u64) as usize;
        for _ in 0..1 + below(rng, 4) {
            let (at, n) = (below(rng, out.len()), below(rng, 12));
            let end = (at + n).min(out.len());
            match below(rng, 7) {
                _ if out.is_empty() => out.push(rng.next_u64() as u8),
                0 => out[at] = rng.next_u64() as u8,
                1 => out[at] ^= 1 << below(rng, 8),
                2 => drop(out.drain(at..end)),
                3 => {
                    let part = out[at..end].to_vec();
                    let to = below(rng, out.len());
                    drop(out.splice(to..to, part));
                }
                4 => {
                    let numbers: [&[u8]; 8] = [
                        b"-1",
                        b"0",
                        b"2147483648",
                        b"99999999999999999999",
                        b"\xff\xff\xff\xff",
                        b"\x80\0",
                        b"\r\n",
                        b"\0",
                    ];
                    drop(out.splice(at..at, numbers[below(rng, 8)].iter().copied()));
                }
                5 => out.truncate(at),
                _ => {
                    let byte = [0, 0x7f, 0x80, 0xc0, 0xfe, 0xff, b'$', b'*'][below(rng, 8)];
                    out[at] = byte;
                }
            }
        }
        out
    }

    #[test]
    fn each_target_has_its_program() {
        let manifest = include_str!("../fuzz/Cargo.toml");
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for (name, _) in TARGETS {
            let bin = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"");
            assert!(manifest.contains(&bin), "{name}");
        }
    }

    /// `FUZZ_RUNS`: how many inputs each target gets (default: two thousand). `FUZZ_SEED`: another beginning. `FUZZ_CORPUS`: a
    /// folder that gets the sound inputs too, for `cargo fuzz` to begin with (`fuzz/corpus`).
    #[test]
    fn targets_bear_any_bytes() {
        let number = |name: &str| std::env::var(name).ok().and_then(|s| s.parse::<u64>().ok());
        let runs = number("FUZZ_RUNS").unwrap_or(if cfg!(miri) { 20 } else { 2_000 });
        let seed = number("FUZZ_SEED").unwrap_or(20_261_128);
        let corpus = std::env::var_os("FUZZ_CORPUS").map(std::path::PathBuf::from);
        for (name, target) in TARGETS {
            let seeds = seeds(name);
            if let Some(folder) = corpus.as_ref().map(|c| c.join(name)) {
                std::fs::create_dir_all(&folder).expect("the folder of the corpus");
                for (i, s) in seeds.iter().enumerate() {
                    std::fs::write(folder.join(format!("sound-{i}")), s).expect("an input");
                }
            }
            seeds.iter().for_each(|s| target(s));
            for run in 0..runs {
                let mut rng = Prng::new(seed ^ run.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let from = &seeds[(rng.next_u64() % seeds.len() as u64) as usize];
                let input = mutate(from, &mut rng);
                let caught = std::panic::catch_unwind(|| target(&input));
                assert!(
                    caught.is_ok(),
                    "{name} fails with FUZZ_SEED={seed}, run {run}: {}",
                    input.escape_ascii()
                );
            }
        }
    }
}
