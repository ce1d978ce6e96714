//! kill -9 at random moments: under each fsync policy, during a rewrite of the append-only file, during BGSAVE.

use std::time::{Duration, Instant};

use super::writers::{Script, State, Timeline, Writer};
use crate::support::{Rng, Server, seed_from_env};

const WRITERS: usize = 4;
/// What `appendfsync everysec` may lose to a kill: a write is held back for up to two seconds while the disk is busy with
/// the sync before it, plus the cron's period. What was written has reached the kernel and survives the process.
const EVERYSEC_BOUND: Duration = Duration::from_secs(3);

/// Rounds of a test: `CRASH_ROUNDS`, or what keeps the normal run short.
fn rounds(normal: usize) -> usize {
    std::env::var("CRASH_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(normal)
}

/// One server that dies again and again, and everything its clients know.
struct Proof {
    server: Server,
    rng: Rng,
    seed: u64,
    round: usize,
    /// States of earlier rounds, as they were found: they stay.
    settled: Vec<(Script, State)>,
}

impl Proof {
    fn start(args: &[&str]) -> Proof {
        let seed = seed_from_env("CRASH_SEED");
        eprintln!("CRASH_SEED={seed}");
        let args = [args, &["--enable-debug-command", "yes"]].concat();
        Proof {
            server: Server::aedile(&args),
            rng: Rng(seed),
            seed,
            round: 0,
            settled: Vec::new(),
        }
    }

    fn writers(&mut self) -> Vec<Writer> {
        self.round += 1;
        (0..WRITERS)
            .map(|w| {
                let script = Script {
                    prefix: format!("r{}w{w}", self.round),
                    seed: self.rng.next_u64(),
                };
                Writer::start(self.server.port, script)
            })
            .collect()
    }

    fn where_am_i(&self) -> String {
        format!("CRASH_SEED={} round {}", self.seed, self.round)
    }

    /// What earlier rounds left is there still.
    fn check_settled(&mut self) {
        let mut c = self.server.connect();
        for (script, state) in &self.settled {
            let found = script.read(&mut c);
            assert!(
                found == *state,
                "{}: {} has changed",
                self.where_am_i(),
                script.prefix
            );
        }
        // Older ones have been seen often enough.
        let extra = self.settled.len().saturating_sub(10 * WRITERS);
        self.settled.drain(..extra);
    }

    /// After the kill and the restart: each writer's part is the state after some step from its `least` on.
    fn check(&mut self, writers: Vec<Writer>, least: impl Fn(usize, usize) -> usize) {
        let mut c = self.server.connect();
        for (w, writer) in writers.into_iter().enumerate() {
            let (script, acked, sent, error) = writer.join();
            assert_eq!(error, None, "{}", self.where_am_i());
            let least = least(w, acked);
            let found = script.read(&mut c);
            assert!(
                script.find(&found, least, sent).is_some(),
                "{}: {}: acknowledged {acked}, sent {sent}, and what is there is the state after {:?} steps, or none; after \
                 {least} it differs so:{}",
                self.where_am_i(),
                script.prefix,
                script.find(&found, 0, sent),
                script.difference(&found, least)
            );
            self.settled.push((script, found));
        }
    }

    fn pause(&mut self, least_ms: usize, most_ms: usize) {
        let ms = least_ms + self.rng.below(most_ms - least_ms);
        std::thread::sleep(Duration::from_millis(ms as u64));
    }

    fn kill_and_restart(&mut self) {
        self.server.kill9();
        self.server.restart();
        // A kill may cut the last command, and says so; it may not damage what is before.
        assert!(
            !self.server.log_has("Bad file format"),
            "{}",
            self.server.log()
        );
    }
}

#[test]
fn always_keeps_every_acknowledged_write() {
    let mut p = Proof::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    for _ in 0..rounds(30) {
        let writers = p.writers();
        p.pause(10, 300);
        let written = writers.iter().any(|w| w.acked() > 0);
        p.kill_and_restart();
        p.check_settled();
        p.check(writers, |_, acked| acked);
        let libraries = p.server.connect().cmd(&["FUNCTION", "LIST"]);
        assert!(!written || libraries.items().len() == 1, "{libraries:?}");
    }
}

#[test]
fn everysec_keeps_what_is_older_than_its_bound() {
    let mut p = Proof::start(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let (mut lost, mut all) = (0, 0);
    for _ in 0..rounds(4) {
        let writers = p.writers();
        let mut timeline = Timeline::default();
        let run = Duration::from_millis(4000 + p.rng.below(1500) as u64);
        let start = Instant::now();
        while start.elapsed() < run {
            timeline.note(&writers);
            std::thread::sleep(Duration::from_millis(20));
        }
        let killed = Instant::now();
        p.kill_and_restart();
        p.check_settled();
        let bound = timeline.at(killed - EVERYSEC_BOUND, WRITERS);
        assert!(
            bound.iter().all(|n| *n > 0),
            "the bound was not put to a test"
        );
        p.check(writers, |w, acked| {
            assert!(bound[w] <= acked);
            bound[w]
        });
        let found = p.settled.iter().rev().take(WRITERS);
        all += found.len();
        lost += usize::from(p.server.log_has("Truncating the AOF"));
    }
    eprintln!("{all} writers; {lost} files were cut in their last command");
}

/// Rewrites with a snapshot that takes its time, so that the kill hits each of its stages.
fn during_rewrites(policy: &str, preamble: &str, mode: &str, normal: usize) {
    let mut p = Proof::start(&[
        "--snapshot-mode",
        mode,
        "--appendonly",
        "yes",
        "--appendfsync",
        policy,
        "--aof-use-rdb-preamble",
        preamble,
    ]);
    let (mut begun, mut ended) = (0, 0);
    for _ in 0..rounds(normal) {
        // Something for the child to do.
        p.server.connect().run("DEBUG POPULATE 300 filler 100");
        p.server.connect().config_set("rdb-key-save-delay", "300");
        let writers = p.writers();
        p.pause(5, 60);
        let mut c = p.server.connect();
        let run = Instant::now() + Duration::from_millis(p.rng.below(500) as u64);
        while Instant::now() < run {
            begun += i32::from(!c.run("BGREWRITEAOF").is_error());
            std::thread::sleep(Duration::from_millis(5));
        }
        ended += p
            .server
            .log_count("Background AOF rewrite finished successfully");
        p.kill_and_restart();
        p.check_settled();
        p.check(writers, |_, acked| acked);
    }
    eprintln!("{begun} rewrites begun, {ended} ended before the kill");
    assert!(begun > 0);
}

#[test]
fn rewrites_with_a_preamble_lose_nothing() {
    during_rewrites("always", "yes", "fork", 14);
}

#[test]
fn rewrites_in_the_loop_lose_nothing() {
    during_rewrites("always", "yes", "inline", 14);
}

#[test]
fn rewrites_as_commands_lose_nothing() {
    during_rewrites("always", "no", "fork", 14);
}

/// Without an append-only file, the last snapshot that was reported as saved is there, whole, or one that was under way.
#[test]
fn bgsave_keeps_the_last_snapshot() {
    killed_between_snapshots("fork");
}

#[test]
fn bgsave_in_the_loop_keeps_the_last_snapshot() {
    killed_between_snapshots("inline");
}

fn killed_between_snapshots(mode: &str) {
    let mut p = Proof::start(&["--appendonly", "no", "--snapshot-mode", mode]);
    let mut saves = 0;
    for _ in 0..rounds(14) {
        p.server.connect().run("DEBUG POPULATE 200 filler 100");
        p.server.connect().config_set("rdb-key-save-delay", "200");
        let writers = p.writers();
        p.pause(5, 40);
        let mut c = p.server.connect();
        // For each snapshot, between which steps of each writer it was taken; the last one may not be on the disk.
        let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
        let until = Instant::now() + Duration::from_millis(150 + p.rng.below(500) as u64);
        let mut saved = 0;
        while Instant::now() < until {
            if c.info("rdb_bgsave_in_progress") == "0" {
                if !taken.is_empty() {
                    assert_eq!(c.info("rdb_last_bgsave_status"), "ok");
                    saved = taken.len();
                }
                let from: Vec<usize> = writers.iter().map(Writer::acked).collect();
                assert!(!c.run("BGSAVE").is_error());
                taken.push(
                    from.into_iter()
                        .zip(writers.iter().map(Writer::sent))
                        .collect(),
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        saves += saved;
        p.kill_and_restart();
        p.check_settled();
        let mut c = p.server.connect();
        let parts: Vec<_> = writers
            .into_iter()
            .map(|w| {
                let (script, _, _, error) = w.join();
                assert_eq!(error, None, "{}", p.where_am_i());
                let found = script.read(&mut c);
                (script, found)
            })
            .collect();
        let empty = vec![(0, 0); WRITERS];
        // Without any that was saved in this round, the one before it is what is there.
        let older = (saved == 0).then_some(&empty);
        let candidates = taken[saved.saturating_sub(1)..].iter().chain(older);
        let fits = |ranges: &Vec<(usize, usize)>| {
            parts
                .iter()
                .zip(ranges)
                .all(|((script, found), (from, to))| script.find(found, *from, *to).is_some())
        };
        assert!(
            candidates.clone().any(fits),
            "{}: {saved} of {} snapshots saved, and what is there is neither the last nor a later one",
            p.where_am_i(),
            taken.len()
        );
        p.settled.extend(parts);
    }
    eprintln!("{saves} snapshots");
    assert!(saves > 0);
}
