//! What happens in a round. Each action leaves all servers running and the links a tree; faults of links may last.

use std::time::Duration;

use super::cluster::{Cluster, Keeps, Limits, Node, is_ours};
use super::ledger::NODES;
use super::writers::{BOOK_DB, Shared};
use crate::support::proxy::Dir;
use crate::support::*;

/// The limit of a replica's output when all has healed: it sends nobody away any more. Bytes.
const LAST_LIMIT: u64 = 64 << 20;

/// What a round is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Link,
    Freeze,
    RestartReplica,
    RestartMaster,
    Promote,
    Repoint,
    Snapshot,
    Overflow,
}

/// A dozen rounds' actions, shuffled: each kind comes in every episode.
pub fn deck(rng: &mut Rng) -> Vec<Action> {
    use Action::*;
    let mut deck = vec![
        Link,
        Link,
        Freeze,
        RestartReplica,
        RestartReplica,
        RestartMaster,
        Promote,
        Promote,
        Promote,
        Repoint,
        Snapshot,
        Overflow,
    ];
    for i in (1..deck.len()).rev() {
        deck.swap(i, rng.below(i + 1));
    }
    deck
}

fn ms(rng: &mut Rng, least: usize, most: usize) -> Duration {
    Duration::from_millis((least + rng.below(most - least)) as u64)
}

/// Runs one action.
#[track_caller]
pub fn run(action: Action, cluster: &mut Cluster, shared: &Shared, rng: &mut Rng) {
    match action {
        Action::Link => link_fault(cluster, rng),
        Action::Freeze => freeze(cluster, rng),
        Action::RestartReplica => restart_replica(cluster, shared, rng),
        Action::RestartMaster => restart_master(cluster, shared, rng),
        Action::Promote => promote(cluster, shared, rng),
        Action::Repoint => repoint(cluster, shared, rng),
        Action::Overflow => overflow(cluster, rng),
        Action::Snapshot => {
            let node = rng.below(NODES);
            let line = rng.pick(&["BGSAVE", "BGREWRITEAOF"]);
            cluster.note(&format!("{line} on {node}"));
            // Refused where another child runs.
            let _ = cluster.nodes[node].admin(line);
        }
    }
}

/// One link gets slow, silent or short-lived. It may stay so.
pub fn link_fault(cluster: &mut Cluster, rng: &mut Rng) {
    let replicas = cluster.replicas();
    let node = replicas[rng.below(replicas.len())];
    let kind = rng.below(7);
    let delay = ms(rng, 2, 60);
    let rate = (20_000 << rng.below(6)) as u64;
    let most = 300_000 >> rng.below(12);
    let bytes = 1 + rng.below(most) as u64;
    let time = ms(rng, 200, 3500);
    let Some(link) = cluster.link(node) else {
        return;
    };
    let (what, lasts) = match kind {
        0 => {
            link.cut();
            ("cut".to_string(), true)
        }
        1 => {
            link.delay(delay);
            (format!("delayed by {delay:?}"), true)
        }
        2 => {
            link.throttle(rate);
            (format!("throttled to {rate} bytes a second"), true)
        }
        3 => {
            link.blackhole(true);
            ("silent".to_string(), rng.one_in(4))
        }
        4 => {
            link.refuse(true);
            ("refused".to_string(), rng.one_in(4))
        }
        5 => {
            link.cut_after(Dir::Up, bytes / 100);
            (format!("cut after {} bytes up", bytes / 100), true)
        }
        _ => {
            link.cut_after(Dir::Down, bytes);
            (format!("cut after {bytes} bytes down"), true)
        }
    };
    cluster.note(&format!("the link of {node}: {what}"));
    if !lasts {
        cluster.watch(time);
        heal_link(cluster, node);
    }
}

/// Lifts the faults of a node's link.
pub fn heal_link(cluster: &mut Cluster, node: usize) {
    if let Some(link) = cluster.link(node) {
        link.heal();
        cluster.note(&format!("the link of {node}: healed"));
    }
}

/// A replica that misses more than the backlog has, and whose link then takes less than is written: its output passes the
/// limit during its full sync.
fn overflow(cluster: &mut Cluster, rng: &mut Rng) {
    let master = cluster.master;
    let direct: Vec<usize> = (0..NODES).filter(|n| cluster.direct()[*n]).collect();
    if direct.is_empty() {
        return;
    }
    let node = direct[rng.below(direct.len())];
    let n = &mut cluster.nodes[master];
    n.limits[0] = Limits {
        output: 256 << 10,
        backlog: 64 << 10,
    };
    let Limits { output, backlog } = n.limits[0];
    set(cluster, master, "repl-backlog-size", &backlog.to_string());
    let limit = format!("replica {output} 0 0");
    set(cluster, master, "client-output-buffer-limit", &limit);
    if is_ours(cluster.nodes[master].server.kind) {
        let policy = rng.pick(&["disconnect", "spill", "backpressure"]);
        cluster.note(&format!("{master}: repl-overflow-policy {policy}"));
        set(cluster, master, "repl-overflow-policy", policy);
    }
    let rate = 50_000 << rng.below(4);
    cluster.note(&format!(
        "the link of {node}: gone, then throttled to {rate} bytes a second; {master} has small buffers"
    ));
    if let Some(link) = cluster.link(node) {
        link.refuse(true);
    }
    cluster.watch(Duration::from_millis(400));
    if let Some(link) = cluster.link(node) {
        link.throttle(rate as u64);
        link.refuse(false);
    }
    cluster.watch(ms(rng, 1000, 4000));
    heal_link(cluster, node);
}

fn freeze(cluster: &mut Cluster, rng: &mut Rng) {
    let node = rng.below(NODES);
    let time = ms(rng, 100, 2500);
    cluster.note(&format!("SIGSTOP of {node} for {time:?}"));
    cluster.nodes[node].sigstop();
    cluster.watch(time);
    cluster.nodes[node].sigcont();
    cluster.note(&format!("SIGCONT of {node}"));
}

fn restart_replica(cluster: &mut Cluster, shared: &Shared, rng: &mut Rng) {
    let replicas = cluster.replicas();
    let node = replicas[rng.below(replicas.len())];
    let how = rng.pick(&["kill", "kill", "save and kill", "empty", "shutdown"]);
    cluster.note(&format!("restart of replica {node}: {how}"));
    shared.book().new_life(node);
    let n = &mut cluster.nodes[node];
    if how == "save and kill" {
        let _ = n.admin("SAVE");
    }
    if how == "shutdown" {
        shut_down(n, "SHUTDOWN");
    } else {
        n.server.kill9();
    }
    if how == "empty" {
        n.remove_data();
    }
    let knows_master = rng.one_in(2);
    let args = if knows_master {
        cluster.replicaof_args(node)
    } else {
        Vec::new()
    };
    cluster.watch_others(node, ms(rng, 1, 1500));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    cluster.nodes[node].restart(&args);
    let parent = cluster.nodes[node].parent;
    if let Some(parent) = parent
        && !knows_master
    {
        cluster.replicate(node, parent);
    }
    shared.book().new_life(node);
    cluster.note(&format!("replica {node} is back"));
}

/// Ends a server by its own command. It refuses as long as its append-only file is being made anew.
#[track_caller]
fn shut_down(node: &mut Node, line: &str) {
    wait_until(line, || node.try_admin(line).is_err());
    node.server.wait_exit();
}

/// The strings at these keys; none where there is no such.
#[track_caller]
pub fn values_of(c: &mut Conn, keys: &[String]) -> Vec<Option<String>> {
    let mut out = Vec::new();
    for chunk in keys.chunks(500) {
        let mut words = vec!["MGET"];
        words.extend(chunk.iter().map(String::as_str));
        let reply = c.cmd(&words);
        assert!(!reply.is_error(), "{reply:?}");
        out.extend(reply.items().iter().map(|v| match v {
            Value::Bulk(b) => Some(String::from_utf8_lossy(b).into_owned()),
            _ => None,
        }));
    }
    out
}

/// What the book's keys are on a server, in the book's order.
#[track_caller]
pub fn book_on(cluster: &mut Cluster, node: usize, keys: &[String]) -> Vec<Option<String>> {
    let mut c = cluster.nodes[node].server.connect();
    c.ok(&format!("SELECT {BOOK_DB}"));
    values_of(&mut c, keys)
}

/// Whoever is in the master's history has nothing that was lost before: a deposed master that had more was not let in with it.
#[track_caller]
pub fn check_lost(cluster: &mut Cluster, shared: &Shared) {
    let lost = shared.book().lost.clone();
    let master = cluster.master;
    let replid = cluster.nodes[master]
        .info()
        .remove("master_replid")
        .unwrap_or_default();
    if lost.is_empty() {
        return;
    }
    for candidate in cluster.candidates(&replid) {
        let mut c = cluster.nodes[candidate.node].server.connect();
        let mut words = vec!["EXISTS"];
        words.extend(lost.iter().map(String::as_str));
        c.run(&format!("SELECT {BOOK_DB}"));
        // It may have begun to load since; then it tells nothing.
        if let Value::Int(n) = c.cmd(&words) {
            assert_eq!(n, 0, "{candidate:?} has writes that {master} has not");
        }
    }
}

/// A long run forgets its oldest writes, on the servers and in the book: neither grows with the rounds.
pub fn shorten_book(cluster: &mut Cluster, shared: &Shared) {
    let old = shared.book().shorten();
    let master = cluster.master;
    let mut c = cluster.nodes[master].server.connect();
    c.ok(&format!("SELECT {BOOK_DB}"));
    for chunk in old.chunks(500) {
        let mut words = vec!["UNLINK"];
        words.extend(chunk.iter().map(String::as_str));
        assert!(!c.cmd(&words).is_error());
    }
}

fn keys_of(shared: &Shared) -> Vec<String> {
    shared.book().writes.keys().cloned().collect()
}

/// The append-only file holds everything, right now and whatever is written next.
fn aof_is_whole(cluster: &mut Cluster, node: usize) -> bool {
    let info = cluster.nodes[node].info();
    [
        ("aof_enabled", "1"),
        ("aof_rewrite_in_progress", "0"),
        ("aof_rewrite_scheduled", "0"),
        ("aof_last_bgrewrite_status", "ok"),
    ]
    .iter()
    .all(|(name, value)| info.get(*name).is_some_and(|v| v == value))
}

fn restart_master(cluster: &mut Cluster, shared: &Shared, rng: &mut Rng) {
    let node = cluster.master;
    let all = cluster.nodes[node].keeps == Keeps::All;
    // With an append-only file a kill loses nothing. Without, only a SHUTDOWN that saves.
    let (how, mut keeps) = match rng.below(6) {
        0 => ("SHUTDOWN NOSAVE", all),
        1..=2 => ("kill", all),
        3 => ("kill, and the data is removed", false),
        _ => ("SHUTDOWN SAVE", true),
    };
    if how == "kill" && keeps {
        // A file that is being made anew, as after a full sync, holds nothing yet.
        for _ in 0..50 {
            keeps = aof_is_whole(cluster, node);
            if keeps {
                break;
            }
            cluster.watch(Duration::from_millis(100));
        }
    }
    cluster.note(&format!(
        "restart of the master {node}: {how}; all is kept: {keeps}"
    ));
    shared.port.store(0, std::sync::atomic::Ordering::SeqCst);
    let n = &mut cluster.nodes[node];
    if how.starts_with("SHUTDOWN") {
        if !all && how == "SHUTDOWN SAVE" {
            // A child that saves already would make it an error.
            wait_until("no child", || {
                n.info()
                    .get("rdb_bgsave_in_progress")
                    .is_some_and(|v| v == "0")
            });
        }
        shut_down(n, how);
    } else {
        n.server.kill9();
    }
    if how.ends_with("removed") {
        n.remove_data();
    }
    cluster.watch_others(node, ms(rng, 1, 800));
    shared.book().close();
    cluster.nodes[node].restart(&[]);
    if !keeps {
        shared.book().forget_all();
    }
    new_epoch(cluster, shared);
    let keys = keys_of(shared);
    let has = book_on(cluster, node, &keys);
    let mut book = shared.book();
    book.assert_all(&has, "after its restart");
    book.counts.kept += keys.len();
    drop(book);
    open(cluster, shared);
}

#[track_caller]
fn new_epoch(cluster: &mut Cluster, shared: &Shared) {
    let info = cluster.nodes[cluster.master].info();
    let offset = info
        .get("master_repl_offset")
        .and_then(|v| v.parse().ok())
        .expect("an offset");
    let direct = cluster.direct();
    shared.book().begin_epoch(offset, direct);
}

fn open(cluster: &mut Cluster, shared: &Shared) {
    let master = cluster.master;
    let port = cluster.nodes[master].server.port;
    shared.port.store(port, std::sync::atomic::Ordering::SeqCst);
    cluster.note(&format!("the master is {master}"));
}

/// Makes 0 the master, and lets the writers in.
pub fn begin(cluster: &mut Cluster, shared: &Shared) {
    new_epoch(cluster, shared);
    open(cluster, shared);
}

/// The master stops or dies; of the replicas that know where they stand, the one with the highest offset takes over.
fn promote(cluster: &mut Cluster, shared: &Shared, rng: &mut Rng) {
    let old = cluster.master;
    // All have fallen silent just before, and nothing can have been acknowledged since; or one after the other, and what some
    // have not got was acknowledged by others, if by anybody.
    let at_once = rng.one_in(3);
    for node in cluster.replicas() {
        if let Some(link) = cluster.link(node)
            && (at_once || rng.one_in(2))
        {
            link.blackhole(true);
            cluster.note(&format!("the link of {node}: silent"));
            if !at_once {
                std::thread::sleep(ms(rng, 1, 150));
            }
        }
    }
    if at_once {
        std::thread::sleep(ms(rng, 20, 300));
    }
    let replid = cluster.nodes[old]
        .info()
        .remove("master_replid")
        .unwrap_or_default();
    shared.port.store(0, std::sync::atomic::Ordering::SeqCst);
    cluster.nodes[old].sigstop();
    // What writers have been told by now is in the book; what they hear later comes too late.
    std::thread::sleep(Duration::from_millis(30));
    shared.book().close();
    let candidates = cluster.candidates(&replid);
    let Some(elected) = candidates.iter().copied().max_by_key(|c| c.offset) else {
        cluster.note("nobody can be promoted");
        cluster.nodes[old].sigcont();
        open(cluster, shared);
        return;
    };
    let new = elected.node;
    let killed = rng.one_in(2);
    cluster.note(&format!(
        "promotion of {elected:?} of {candidates:?}; the master {old} is {}",
        if killed { "killed" } else { "stopped" }
    ));
    if killed {
        cluster.nodes[old].server.kill9();
    }
    cluster.nodes[new].insist("REPLICAOF NO ONE");
    cluster.nodes[new].parent = None;
    cluster.master = new;
    // Nobody writes yet: what is there is what the election has saved.
    let keys = keys_of(shared);
    let has = book_on(cluster, new, &keys);
    shared.book().promote(elected, &candidates, &has);
    new_epoch(cluster, shared);
    // The others join in some order, below whoever belongs to the new master's tree already.
    let mut joined = vec![new];
    let mut rest: Vec<usize> = (0..NODES).filter(|n| *n != new && *n != old).collect();
    if rng.one_in(2) {
        rest.reverse();
    }
    let early = rng.one_in(2);
    if early {
        open(cluster, shared);
    }
    let mut back = false;
    if killed && rng.one_in(2) {
        cluster.nodes[old].restart(&[]);
        back = true;
    }
    rest.push(old);
    for node in rest {
        if node == old {
            // It may have written what nobody has; by the time it is back the new history has passed its offset.
            if !back {
                cluster.watch_others(old, ms(rng, 1, 800));
            }
            if killed && !back {
                cluster.nodes[old].restart(&[]);
            } else if !killed {
                cluster.nodes[old].sigcont();
            }
        }
        let parent = if rng.one_in(3) {
            joined[rng.below(joined.len())]
        } else {
            new
        };
        point(cluster, shared, node, parent);
        joined.push(node);
    }
    if !early {
        open(cluster, shared);
    }
}

/// REPLICAOF, told to the book: who moves may lose what it has acknowledged, and may be counted from now on.
fn point(cluster: &mut Cluster, shared: &Shared, node: usize, parent: usize) {
    let mut book = shared.book();
    book.new_life(node);
    book.direct[node] |= parent == cluster.master;
    drop(book);
    cluster.replicate(node, parent);
    shared.book().new_life(node);
}

/// A replica moves to another place in the tree.
fn repoint(cluster: &mut Cluster, shared: &Shared, rng: &mut Rng) {
    let replicas = cluster.replicas();
    let node = replicas[rng.below(replicas.len())];
    let places: Vec<usize> = (0..NODES)
        .filter(|p| !cluster.is_below(*p, node) && cluster.nodes[node].parent != Some(*p))
        .collect();
    if !places.is_empty() {
        let parent = places[rng.below(places.len())];
        point(cluster, shared, node, parent);
    }
}

/// A setting of one server changes.
#[track_caller]
pub fn configure(cluster: &mut Cluster, rng: &mut Rng) {
    // The master's settings matter most.
    let node = if rng.one_in(2) {
        cluster.master
    } else {
        rng.below(NODES)
    };
    let ours = is_ours(cluster.nodes[node].server.kind);
    let (name, value) = match rng.below(if ours { 8 } else { 7 }) {
        0 => ("repl-diskless-sync", rng.pick(&["yes", "no"]).to_string()),
        1 => (
            "repl-diskless-load",
            rng.pick(&["disabled", "swapdb", "on-empty-db"]).to_string(),
        ),
        2 | 3 => {
            let size = [16 << 10, 64 << 10, 1 << 20, 8 << 20][rng.below(4)];
            cluster.nodes[node].limits[0].backlog = size;
            ("repl-backlog-size", size.to_string())
        }
        4 | 5 => {
            let size = [256 << 10, 1 << 20, 4 << 20][rng.below(3)];
            cluster.nodes[node].limits[0].output = size;
            (
                "client-output-buffer-limit",
                format!("replica {size} {} 5", size / 2),
            )
        }
        6 => ("repl-timeout", rng.pick(&["2", "3", "20"]).to_string()),
        _ => (
            "repl-overflow-policy",
            rng.pick(&["disconnect", "spill", "backpressure"])
                .to_string(),
        ),
    };
    cluster.note(&format!("{node}: {name} {value}"));
    set(cluster, node, name, &value);
}

#[track_caller]
fn set(cluster: &mut Cluster, node: usize, name: &str, value: &str) {
    let mut c = cluster.nodes[node].server.connect();
    wait_until(name, || {
        let reply = c.cmd(&["CONFIG", "SET", name, value]);
        let loads = matches!(&reply, Value::Error(e) if e.starts_with(b"LOADING"));
        assert!(loads || !reply.is_error(), "{name} {value}: {reply:?}");
        !loads
    });
}

/// The end of the trouble: links pass, and no limit or time-out sends anybody away.
pub fn heal(cluster: &mut Cluster) {
    cluster.note("all heals");
    for node in cluster.replicas() {
        heal_link(cluster, node);
    }
    for node in 0..NODES {
        set(cluster, node, "repl-timeout", "60");
        let limit = format!("replica {LAST_LIMIT} 0 0");
        set(cluster, node, "client-output-buffer-limit", &limit);
        cluster.nodes[node].limits[0].output = LAST_LIMIT;
    }
}
