//! Damage of every kind to snapshots whose records are known: nothing is invented, and little is lost.

use std::fs::{self, File};
use std::io;

use super::output::{drop_duplicates, write_pieces};
use super::search::CHAIN;
use super::walk::Salvage;
use super::*;
use crate::base::random::Prng;
use crate::config::fields::Config;
use crate::ds::field::FieldValue;
use crate::store::entry::value::Value;
use crate::store::entry::{Entry, NewValue};
use crate::store::hash::Hash;
use crate::store::rdb_value::{LoadLimits, rdb_save_object, rdb_save_object_type};
use crate::wire::rdb::{RdbReader, RdbRecord, RdbWriter, RdbWriterOptions, no_poll};

/// A record of the sound file.
struct Truth {
    db: u64,
    start: usize,
    end: usize,
}

fn random_bytes(rng: &mut Prng, n: usize) -> Vec<u8> {
    (0..n).map(|_| rng.next_u64() as u8).collect()
}

/// A value of some type, as it is written.
fn write_value(w: &mut RdbWriter<Vec<u8>>, rng: &mut Prng, name: &[u8]) -> io::Result<()> {
    match rng.below(6) {
        0 => {
            w.type_byte(0)?;
            w.string(name)?;
            let n = rng.index(100);
            w.string(&random_bytes(rng, n))
        }
        1 => {
            w.type_byte(0)?;
            w.string(name)?;
            w.int_string(rng.next_u64() as i64 >> rng.below(64))
        }
        2 => {
            w.type_byte(0)?;
            w.string(name)?;
            w.string(&b"words and words ".repeat(rng.index(20)))
        }
        3 => {
            w.type_byte(1)?;
            w.string(name)?;
            let n = 1 + rng.below(8);
            w.len(n)?;
            (0..n).try_for_each(|i| w.string(format!("element {i}").as_bytes()))
        }
        4 => {
            w.type_byte(0)?;
            w.string(name)?;
            w.string(&b"some text, longer than a few letters"[..rng.index(30)])
        }
        _ => {
            let mut hash = Hash::default();
            let limits = LoadLimits::new(&Config::default(), true);
            for i in 0..1 + rng.below(9) {
                let field = format!("field {i}");
                let number = rng.next_u64().to_string();
                hash.set(
                    field.as_bytes(),
                    FieldValue::Bytes(number.as_bytes()),
                    &limits.hash,
                );
            }
            let e = Entry::new(name, NewValue::Value(Value::Hash(hash)), None);
            w.type_byte(rdb_save_object_type(&e, 11))?;
            w.string(name)?;
            rdb_save_object(w, &e)
        }
    }
}

/// A file of `keys` keys in each database.
fn sound(rng: &mut Prng, dbs: u64, keys: u64) -> (Vec<u8>, Vec<Truth>) {
    let mut truths = Vec::new();
    let mut w = RdbWriter::new(Vec::new(), RdbWriterOptions::default());
    let written = (|| {
        w.magic()?;
        w.aux(b"redis-ver", b"7.2.4")?;
        for db in 0..dbs {
            w.select_db(db)?;
            w.resize_db(keys, 0)?;
            for i in 0..keys {
                let start = w.bytes_written() as usize;
                if rng.below(5) == 0 {
                    w.expiry_ms(1_900_000_000_000 + i as i64)?;
                }
                write_value(&mut w, rng, format!("key:{db}:{i}").as_bytes())?;
                let end = w.bytes_written() as usize;
                truths.push(Truth { db, start, end });
            }
        }
        w.eof()
    })();
    assert!(written.is_ok());
    (std::mem::take(w.sink_mut()), truths)
}

fn salvaged(bytes: &[u8]) -> (Findings, File) {
    // A file without a name.
    let path = std::env::temp_dir().join(format!(
        "aedile-salvage-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    fs::write(&path, bytes).expect("temporary file");
    let file = File::open(&path).expect("temporary file");
    fs::remove_file(&path).expect("temporary file");
    let mut found = Salvage::new(&file, bytes.len() as u64).walk();
    drop_duplicates(&file, &mut found).expect("readable");
    (found, file)
}

/// The records in what was found: database, start, end.
fn records(found: &Findings, bytes: &[u8]) -> Vec<(u64, usize, usize)> {
    let mut out = Vec::new();
    for p in &found.pieces {
        let Some(db) = p.db else {
            continue;
        };
        let mut r = RdbReader::new(&bytes[p.start as usize..]);
        r.set_verify_checksum(false);
        let mut name = Vec::new();
        while p.start + r.bytes_read() < p.end {
            let start = (p.start + r.bytes_read()) as usize;
            match r.next_record(&mut name, &mut no_poll) {
                Ok(RdbRecord::Key(k)) => {
                    r.skip_value(k.rdb_type, &mut no_poll).expect("a value");
                }
                other => panic!("{other:?} at {start}"),
            }
            out.push((db, start, (p.start + r.bytes_read()) as usize));
        }
    }
    out
}

/// Nothing but true records, and those that damage has touched without moving their ends; returns how many of the
/// untouched ones away from the damage are missing.
fn judge(bad: &[u8], truths: &[Truth], damage: &[(usize, usize)], what: &str) -> usize {
    let (found, _) = salvaged(bad);
    let got = records(&found, bad);
    let hit = |a: usize, b: usize| damage.iter().any(|&(x, y)| x < b && y > a);
    // Damage may change a key's value without a trace, and even its length, if what follows happens to begin there.
    let mut after_hit = usize::MAX;
    for &(db, start, end) in &got {
        let here = truths.iter().find(|t| t.db == db && t.start == start);
        let is_hit = hit(start, end);
        let is_true = match here {
            Some(t) => t.end == end || is_hit,
            None => start == after_hit && truths.iter().any(|t| t.end == end),
        };
        if is_hit {
            after_hit = end;
        }
        assert!(
            is_true,
            "{what}: an invented key at {start}..{end} of DB {db}: {:?}; {:?}",
            found.losses,
            &bad[start..end.min(start + 60)]
        );
    }
    let touched = |t: &Truth| damage.iter().any(|&(a, b)| a < t.end && b > t.start);
    let mut missing = 0;
    for (i, t) in truths.iter().enumerate() {
        let near = truths[i.saturating_sub(3)..truths.len().min(i + 4)]
            .iter()
            .any(touched);
        let is_there = got.contains(&(t.db, t.start, t.end));
        if !near && !is_there {
            missing += 1;
            eprintln!(
                "{what}: {}..{} is missing: {:?}",
                t.start, t.end, found.losses
            );
        }
    }
    missing
}

#[test]
fn a_sound_file_is_copied() {
    let mut rng = Prng::new(1);
    let (bytes, truths) = sound(&mut rng, 3, 20);
    let (found, file) = salvaged(&bytes);
    assert_eq!(found.losses, []);
    assert_eq!(found.checksum, Some(RdbChecksum::Verified));
    assert_eq!(records(&found, &bytes).len(), truths.len());
    let mut copy = Vec::new();
    write_pieces(&file, &found, &mut copy).expect("written");
    let (again, _) = salvaged(&copy);
    assert_eq!(records(&again, &copy).len(), truths.len());
    assert_eq!(again.checksum, Some(RdbChecksum::Verified));
    assert_eq!(bytes[bytes.len() - 9], 0xff);
}

/// Beyond the neighbours a few keys more may go where records can be read in two ways, but seldom.
struct Toll {
    rounds: usize,
    missing: usize,
}

impl Toll {
    fn add(&mut self, missing: usize) {
        assert!(missing <= 2 * CHAIN, "{missing} keys missing at once");
        self.rounds += 1;
        self.missing += missing;
    }

    fn is_small(&self) -> bool {
        self.missing * 50 <= self.rounds
    }
}

#[test]
fn one_changed_byte_costs_its_neighbours_at_the_most() {
    let mut rng = Prng::new(20_241_124);
    let mut toll = Toll {
        rounds: 0,
        missing: 0,
    };
    for round in 0..60 {
        let (bytes, truths) = sound(&mut rng, 1, 30);
        let first = truths[0].start;
        for _ in 0..40 {
            let at = first + rng.index(bytes.len() - 9 - first);
            let mut bad = bytes.clone();
            bad[at] ^= 1 + rng.below(255) as u8;
            let damage = [(at, at + 1)];
            toll.add(judge(&bad, &truths, &damage, &format!("{round}, {at}")));
        }
    }
    assert!(toll.is_small(), "{} missing", toll.missing);
}

#[test]
fn holes_cost_what_was_in_them() {
    let mut rng = Prng::new(7);
    let mut toll = Toll {
        rounds: 0,
        missing: 0,
    };
    for round in 0..600 {
        let (bytes, truths) = sound(&mut rng, 1, 40);
        let first = truths[0].start;
        let len = 1 + rng.index(200);
        let at = first + rng.index(bytes.len() - 9 - first - len);
        let mut bad = bytes.clone();
        let noise = match round % 3 {
            0 => vec![0; len],
            1 => random_bytes(&mut rng, len),
            _ => vec![b'A'; len],
        };
        bad[at..at + len].copy_from_slice(&noise);
        let what = format!("round {round}, {len} bytes at {at}");
        toll.add(judge(&bad, &truths, &[(at, at + len)], &what));
    }
    assert!(toll.is_small(), "{} missing", toll.missing);
}

#[test]
fn cut_files_and_missing_stretches() {
    let mut rng = Prng::new(77);
    for _ in 0..200 {
        let (bytes, truths) = sound(&mut rng, 1, 20);
        let first = truths[0].start;
        let cut = first + rng.index(bytes.len() - first);
        let missing = judge(&bytes[..cut], &truths, &[(cut, bytes.len())], "cut");
        assert_eq!(missing, 0, "cut at {cut}");
    }
}

#[test]
fn nothing_is_invented_in_other_databases() {
    let mut rng = Prng::new(99);
    for round in 0..300 {
        let (bytes, truths) = sound(&mut rng, 4, 12);
        let mut bad = bytes.clone();
        let mut damage = Vec::new();
        for _ in 0..1 + rng.below(3) {
            let len = 1 + rng.index(60);
            let at = 9 + rng.index(bytes.len() - 9 - len);
            let noise = random_bytes(&mut rng, len);
            bad[at..at + len].copy_from_slice(&noise);
            damage.push((at, at + len));
        }
        judge(
            &bad,
            &truths,
            &damage,
            &format!("round {round}, {damage:?}"),
        );
    }
}

#[test]
fn noise_alone_gives_nothing() {
    let mut rng = Prng::new(5);
    for _ in 0..10 {
        let bytes = random_bytes(&mut rng, 20_000);
        let (found, _) = salvaged(&bytes);
        assert!(found.pieces.is_empty(), "{:?}", found.pieces);
    }
    let (found, _) = salvaged(&[0; 20_000]);
    assert!(found.pieces.is_empty());
}

#[test]
fn a_snapshot_inside_a_value_is_no_find() {
    let mut rng = Prng::new(31);
    let (inner, _) = sound(&mut rng, 1, 30);
    let (outer, truths) = sound(&mut rng, 1, 30);
    // The inner one as the value of a key amid the outer one's keys, whose length is damaged.
    let t = &truths[15];
    let mut value = vec![0, 5];
    value.extend_from_slice(b"inner\x80");
    value.extend_from_slice(&(inner.len() as u32).to_be_bytes());
    let at = t.start + value.len() - 1;
    value.extend_from_slice(&inner);
    let mut bad = outer[..t.start].to_vec();
    bad.extend_from_slice(&value);
    bad.extend_from_slice(&outer[t.start..]);
    bad[at] ^= 0xff;
    let (found, _) = salvaged(&bad);
    for (_, start, end) in records(&found, &bad) {
        assert!(
            end <= t.start || start >= t.start + value.len(),
            "{start}..{end} is of the inner snapshot"
        );
    }
}

#[test]
fn without_a_head_the_database_is_told_by_the_next_one() {
    let mut rng = Prng::new(57);
    for (dbs, presumed) in [(1, true), (2, false), (4, false)] {
        let (bytes, truths) = sound(&mut rng, dbs, 30);
        let mut bad = bytes.clone();
        let lost = truths[2].start;
        bad[..lost].fill(0);
        let missing = judge(&bad, &truths, &[(0, lost)], "no head");
        assert_eq!(missing, 0);
        let (found, _) = salvaged(&bad);
        assert_eq!(found.presumed > 0, presumed, "{:?}", found.losses);
        assert!(found.pieces.iter().any(|p| p.db == Some(0)));
    }
    // Two selections are lost: nobody knows whose keys come before the third.
    let (bytes, truths) = sound(&mut rng, 3, 30);
    let mut bad = bytes.clone();
    let second = truths[29].end..truths[30].start;
    bad[..truths[2].start].fill(0);
    bad[second.clone()].fill(0);
    let damage = [(0, truths[2].start), (second.start, second.end)];
    judge(&bad, &truths, &damage, "two selections lost");
    let (found, _) = salvaged(&bad);
    assert!(
        found.pieces.iter().all(|p| p.db == Some(2)),
        "{:?}",
        found.pieces
    );
    assert_eq!(found.presumed, 0);
}

/// Damage in a large collection of short elements: each of them begins like a key with a long name, and all together do not
/// exhaust the search.
#[test]
fn a_large_collection_does_not_stop_the_search() {
    let mut rng = Prng::new(4711);
    let mut w = RdbWriter::new(Vec::new(), RdbWriterOptions::default());
    let mut truths = Vec::new();
    let mut middle = 0;
    let written = (|| {
        w.magic()?;
        w.select_db(0)?;
        w.resize_db(61, 0)?;
        for i in 0..61 {
            let start = w.bytes_written() as usize;
            let name = format!("key:{i}");
            if i == 30 {
                // Twelve is a type, and "me" a length of many kilobytes.
                w.type_byte(1)?;
                w.string(name.as_bytes())?;
                w.len(200_000)?;
                middle = w.bytes_written() as usize + 1000;
                for n in 0..200_000 {
                    w.string(format!("member{n:06}").as_bytes())?;
                }
            } else {
                write_value(&mut w, &mut rng, name.as_bytes())?;
            }
            let end = w.bytes_written() as usize;
            truths.push(Truth { db: 0, start, end });
        }
        w.eof()
    })();
    assert!(written.is_ok());
    let bytes = std::mem::take(w.sink_mut());
    let mut bad = bytes.clone();
    bad[middle..middle + 4].fill(0xc5);
    let missing = judge(&bad, &truths, &[(middle, middle + 4)], "in a list");
    assert_eq!(missing, 0);
}
