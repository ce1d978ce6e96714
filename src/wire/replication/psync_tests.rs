//! Servers without sockets: the log, the handshake and the rule of PSYNC, run through all short schedules of writes, cuts,
//! reconnections, promotions and restarts.
//!
//! The world is a few nodes, each with a data set (the numbers of the writes that made it), a log, and a master or none. A
//! write is `width` bytes of the stream, so that a cut can fall into the middle of one. What must hold after every step: a
//! replica with a link has a beginning of what its master has, under the same name, at the offset that says so. A replica
//! that is told to go on is checked before its first byte.

use super::*;
use crate::wire::replication::backlog::ReaderId;
use crate::wire::replication::handshake::{Handshake, HandshakeParams, HandshakeState, Outcome};

const NO_ID: ReplId = [b'0'; 40];

struct Link {
    reader: ReaderId,
    replid: ReplId,
    /// Applied, and read besides.
    reploff: i64,
    unread: Vec<u8>,
}

struct Node {
    /// False: as a replica before Redis 4, it cannot be told another name for its history.
    psync2: bool,
    data: Vec<u8>,
    log: ReplicationLog,
    replid: ReplId,
    replid2: ReplId,
    second_offset: i64,
    master: Option<usize>,
    link: Option<Link>,
    cached: Option<(ReplId, i64)>,
}

impl Node {
    fn history(&self) -> History<'_> {
        History {
            replid: &self.replid,
            replid2: &self.replid2,
            second_offset: self.second_offset,
        }
    }

    fn offset(&self) -> i64 {
        self.log.master_repl_offset()
    }
}

/// What can happen to a node.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Write(usize),
    /// All that waits is read and applied.
    Deliver(usize),
    /// One byte is read.
    Byte(usize),
    Cut(usize),
    /// One attempt to connect to the configured master.
    Connect(usize),
    /// REPLICAOF NO ONE
    Promote(usize),
    /// REPLICAOF
    Follow(usize, usize),
    /// The process ends and starts again from a file that holds all it had.
    Restart(usize),
    /// The backlog's time to live is over.
    ForgetBacklog(usize),
}

#[derive(Default, Clone, Copy)]
struct Seen {
    partial: u64,
    full: u64,
    by_second_id: u64,
    refused: u64,
}

struct World {
    nodes: Vec<Node>,
    width: usize,
    writes: u8,
    ids: u32,
    seen: Seen,
}

impl World {
    /// Node 0 is a master, the others are in sync with it.
    fn new(nodes: usize, width: usize) -> World {
        let mut w = World {
            nodes: Vec::new(),
            width,
            writes: 0,
            ids: 0,
            seen: Seen::default(),
        };
        for n in 0..nodes {
            let replid = w.new_id();
            w.nodes.push(Node {
                psync2: true,
                data: Vec::new(),
                log: ReplicationLog::new(0),
                replid,
                replid2: NO_ID,
                second_offset: -1,
                master: (n > 0).then_some(0),
                link: None,
                cached: None,
            });
        }
        for n in 1..nodes {
            assert!(w.apply(Op::Connect(n)));
        }
        w.seen = Seen::default();
        w
    }

    fn new_id(&mut self) -> ReplId {
        self.ids += 1;
        let mut id = [b'a'; 40];
        let text = self.ids.to_string();
        id[..text.len()].copy_from_slice(text.as_bytes());
        id
    }

    /// Does it, if it can be done here.
    fn apply(&mut self, op: Op) -> bool {
        match op {
            Op::Write(n) => self.write(n),
            Op::Deliver(n) => self.deliver(n, usize::MAX),
            Op::Byte(n) => self.deliver(n, 1),
            Op::Cut(n) => self.cut(n),
            Op::Connect(n) => self.connect(n),
            Op::Promote(n) => self.promote(n),
            Op::Follow(n, master) => self.follow(n, master),
            Op::Restart(n) => self.restart(n),
            Op::ForgetBacklog(n) => self.forget_backlog(n),
        }
    }

    fn write(&mut self, n: usize) -> bool {
        let linked = self.replicas_of(n).next().is_some();
        let node = &mut self.nodes[n];
        if node.master.is_some() {
            return false;
        }
        self.writes += 1;
        node.data.push(self.writes);
        if node.log.backlog_active() || linked {
            node.log.append(&vec![self.writes; self.width]);
        } else {
            node.log.bump_offset();
        }
        true
    }

    fn replicas_of(&self, master: usize) -> impl Iterator<Item = usize> {
        let all = self.nodes.iter().enumerate();
        all.filter(move |(_, n)| n.master == Some(master) && n.link.is_some())
            .map(|(n, _)| n)
    }

    fn deliver(&mut self, n: usize, most: usize) -> bool {
        let Some(master) = self.nodes[n].master else {
            return false;
        };
        let Some(mut link) = self.nodes[n].link.take() else {
            return false;
        };
        let log = &mut self.nodes[master].log;
        let mut read = 0;
        while let Some(bytes) = log.reader_slice(link.reader) {
            let k = bytes.len().min(most - read);
            if k == 0 {
                break;
            }
            link.unread.extend_from_slice(&bytes[..k]);
            log.advance(link.reader, k);
            read += k;
        }
        let node = &mut self.nodes[n];
        while link.unread.len() >= self.width {
            let command: Vec<u8> = link.unread.drain(..self.width).collect();
            assert!(
                command.iter().all(|b| *b == command[0]),
                "torn: {command:?}"
            );
            node.data.push(command[0]);
            link.reploff += self.width as i64;
            if node.log.backlog_active() {
                node.log.append(&command);
            }
        }
        node.link = Some(link);
        read > 0
    }

    /// The link ends, and what is known of it is kept.
    fn cut(&mut self, n: usize) -> bool {
        let Some(link) = self.nodes[n].link.take() else {
            return false;
        };
        let master = self.nodes[n].master.expect("a link has a master");
        self.nodes[master].log.remove_reader(link.reader);
        self.nodes[n].cached = Some((link.replid, link.reploff));
        true
    }

    fn disconnect_slaves(&mut self, n: usize) {
        let all: Vec<usize> = self.replicas_of(n).collect();
        for r in all {
            self.cut(r);
        }
    }

    fn promote(&mut self, n: usize) -> bool {
        if self.nodes[n].master.is_none() {
            return false;
        }
        self.cut(n);
        let id = self.new_id();
        let node = &mut self.nodes[n];
        node.master = None;
        node.cached = None;
        node.replid2 = std::mem::replace(&mut node.replid, id);
        node.second_offset = node.log.master_repl_offset() + 1;
        self.disconnect_slaves(n);
        true
    }

    fn follow(&mut self, n: usize, master: usize) -> bool {
        // A ring would wait for itself for ever; that is not this test's business.
        let mut up = Some(master);
        while let Some(m) = up {
            if m == n {
                return false;
            }
            up = self.nodes[m].master;
        }
        if self.nodes[n].master == Some(master) {
            return false;
        }
        let was_master = self.nodes[n].master.is_none();
        self.cut(n);
        let node = &mut self.nodes[n];
        if was_master {
            node.cached = Some((node.replid, node.log.master_repl_offset()));
        }
        node.master = Some(master);
        true
    }

    fn restart(&mut self, n: usize) -> bool {
        self.cut(n);
        self.disconnect_slaves(n);
        let id = self.new_id();
        let node = &mut self.nodes[n];
        let (old, offset) = (node.replid, node.offset());
        node.log = ReplicationLog::new(0);
        node.replid = id;
        node.replid2 = NO_ID;
        node.second_offset = -1;
        node.cached = None;
        if node.master.is_some() {
            node.replid = old;
            drop(node.log.reset(offset));
            node.cached = Some((old, offset));
        } else {
            node.replid2 = old;
            node.second_offset = offset + 1;
            node.log.rebase(offset);
        }
        true
    }

    fn forget_backlog(&mut self, n: usize) -> bool {
        let idle = self.replicas_of(n).next().is_none();
        if !idle || self.nodes[n].master.is_some() || !self.nodes[n].log.backlog_active() {
            return false;
        }
        let id = self.new_id();
        let node = &mut self.nodes[n];
        node.replid = id;
        node.replid2 = NO_ID;
        node.second_offset = -1;
        drop(node.log.deactivate_backlog());
        true
    }

    /// One attempt to connect: the true handshake, with the master's answers.
    fn connect(&mut self, n: usize) -> bool {
        let Some(m) = self.nodes[n].master else {
            return false;
        };
        // A master whose own link is down says so, and the replica comes again.
        let up = |m: usize| self.nodes[m].master.is_none() || self.nodes[m].link.is_some();
        if self.nodes[n].link.is_some() || !up(m) {
            return false;
        }
        let cached = self.nodes[n].cached;
        let params = HandshakeParams {
            listening_port: 1,
            cached_master: cached.as_ref().map(|(id, off)| (id, off + 1)),
            ..HandshakeParams::default()
        };
        let mut h = Handshake::begin().0;
        let mut step = h.on_reply(b"+PONG", &params);
        while h.state() != HandshakeState::ReceivePsyncReply {
            step = h.on_reply(b"+OK", &params);
        }
        let sent = String::from_utf8(step.send).expect("text");
        let words: Vec<&str> = sent.split("\r\n").collect();
        assert_eq!(words[2], "PSYNC", "{sent}");
        let (asked, offset): (&str, i64) = (words[4], words[6].parse().expect("an offset"));

        let master = &self.nodes[m];
        let verdict = master.history().try_partial(
            &master.log,
            asked.as_bytes(),
            offset,
            self.nodes[n].psync2,
        );
        let reply = match verdict {
            Ok(()) if !self.nodes[n].psync2 => {
                self.seen.partial += 1;
                b"+CONTINUE".to_vec()
            }
            Ok(()) => {
                self.seen.partial += 1;
                self.seen.by_second_id += u64::from(asked.as_bytes() != master.replid);
                [b"+CONTINUE ", &master.replid[..]].concat()
            }
            Err(_) => {
                self.seen.full += 1;
                self.seen.refused += u64::from(asked != "?");
                if !master.log.backlog_active() && self.replicas_of(m).next().is_none() {
                    let id = self.new_id();
                    let master = &mut self.nodes[m];
                    master.replid = id;
                    master.replid2 = NO_ID;
                    master.second_offset = -1;
                    master.log.activate_backlog();
                }
                let master = &self.nodes[m];
                let id = String::from_utf8_lossy(&master.replid);
                format!("+FULLRESYNC {id} {}", master.offset()).into_bytes()
            }
        };
        let step = h.on_reply(&reply, &params);
        match step.outcome {
            Outcome::Continue { new_replid } => {
                let (old, reploff) = cached.expect("only who has a history goes on");
                assert!(verdict.is_ok());
                let (mine, theirs) = (&self.nodes[n].data, &self.nodes[m].data);
                assert!(
                    theirs.starts_with(mine),
                    "told to go on, with {mine:?} where the master has {theirs:?}"
                );
                let added = self.nodes[m].log.add_reader_at(offset);
                let (reader, _) = added.expect("it can be served");
                if let Some(id) = new_replid {
                    let node = &mut self.nodes[n];
                    node.replid2 = old;
                    node.second_offset = node.log.master_repl_offset() + 1;
                    node.replid = id;
                    self.disconnect_slaves(n);
                }
                let node = &mut self.nodes[n];
                node.log.activate_backlog();
                node.cached = None;
                node.link = Some(Link {
                    reader,
                    replid: new_replid.unwrap_or(old),
                    reploff,
                    unread: Vec::new(),
                });
            }
            Outcome::FullResync(Some((id, offset))) => {
                self.disconnect_slaves(n);
                let reader = self.nodes[m].log.add_reader();
                let data = self.nodes[m].data.clone();
                let node = &mut self.nodes[n];
                drop(node.log.deactivate_backlog());
                node.data = data;
                node.cached = None;
                node.replid = id;
                node.replid2 = NO_ID;
                node.second_offset = -1;
                drop(node.log.reset(offset));
                node.log.activate_backlog();
                node.link = Some(Link {
                    reader,
                    replid: id,
                    reploff: offset,
                    unread: Vec::new(),
                });
            }
            other => panic!("{other:?} to {}", String::from_utf8_lossy(&reply)),
        }
        true
    }

    fn check(&self) {
        for node in &self.nodes {
            let (Some(m), Some(link)) = (node.master, &node.link) else {
                continue;
            };
            let master = &self.nodes[m];
            assert_eq!(node.replid, master.replid, "one history, one name");
            assert_eq!(link.replid, node.replid);
            assert_eq!(
                node.offset(),
                link.reploff,
                "the replica's log is its place"
            );
            assert!(
                master.data.starts_with(&node.data),
                "{:?} is no beginning of {:?}",
                node.data,
                master.data
            );
            let behind = master.offset() - link.reploff;
            let missing = (master.data.len() - node.data.len()) * self.width;
            assert_eq!(behind, missing as i64, "offsets count what is missing");
            let position = master.log.reader_position(link.reader);
            let read = link.reploff + link.unread.len() as i64;
            assert_eq!(position, Some(read + 1));
        }
    }

    /// All links are made and all bytes delivered: everybody has what the top of their chain has.
    fn settle(&mut self) {
        for _ in 0..=self.nodes.len() {
            for n in 0..self.nodes.len() {
                self.apply(Op::Connect(n));
            }
            for n in 0..self.nodes.len() {
                self.apply(Op::Deliver(n));
            }
        }
        self.check();
        for node in &self.nodes {
            if let Some(m) = node.master {
                assert!(node.link.is_some());
                assert_eq!(node.data, self.nodes[m].data);
            }
        }
    }
}

fn all_ops(nodes: usize) -> Vec<Op> {
    let mut ops = Vec::new();
    for n in 0..nodes {
        ops.extend([
            Op::Write(n),
            Op::Deliver(n),
            Op::Byte(n),
            Op::Cut(n),
            Op::Connect(n),
            Op::Promote(n),
            Op::Restart(n),
            Op::ForgetBacklog(n),
        ]);
        ops.extend((0..nodes).filter(|m| *m != n).map(|m| Op::Follow(n, m)));
    }
    ops
}

/// Runs every schedule of up to `depth` steps that can be done; returns how many there are, and what was seen in them.
fn explore(nodes: usize, width: usize, depth: usize) -> (u64, Seen) {
    fn go(
        path: &mut Vec<Op>,
        ops: &[Op],
        make: &dyn Fn() -> World,
        depth: usize,
        count: &mut u64,
        seen: &mut Seen,
    ) {
        for op in ops {
            let mut w = make();
            for done in path.iter() {
                w.apply(*done);
            }
            if !w.apply(*op) {
                continue;
            }
            path.push(*op);
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                w.check();
                if path.len() == depth {
                    w.settle();
                }
            }));
            assert!(checked.is_ok(), "after {path:?}");
            *count += 1;
            if path.len() == depth {
                seen.partial += w.seen.partial;
                seen.full += w.seen.full;
                seen.by_second_id += w.seen.by_second_id;
                seen.refused += w.seen.refused;
            } else {
                go(path, ops, make, depth, count, seen);
            }
            path.pop();
        }
    }
    let (mut count, mut seen) = (0, Seen::default());
    let make = || World::new(nodes, width);
    go(
        &mut Vec::new(),
        &all_ops(nodes),
        &make,
        depth,
        &mut count,
        &mut seen,
    );
    // A test that met no promotion's name and refused nobody would show nothing.
    assert!(seen.partial > 0 && seen.full > 0 && seen.by_second_id > 0 && seen.refused > 0);
    (count, seen)
}

#[test]
fn two_nodes() {
    let (count, _) = explore(2, 2, 6);
    assert!(count > 10_000, "{count}");
}

#[test]
fn three_nodes() {
    let (count, _) = explore(3, 2, 4);
    assert!(count > 10_000, "{count}");
}

/// Writes so large that the backlog forgets the first of them.
#[test]
fn a_backlog_too_short() {
    let (count, seen) = explore(2, 9_000, 4);
    assert!(count > 500, "{count}");
    assert!(seen.refused > 0);
}

/// Long random schedules, where the exhaustive ones are short.
#[test]
fn long_schedules() {
    let mut state = 7u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    let ops = all_ops(4);
    let mut seen = Seen::default();
    for round in 0..300 {
        let mut w = World::new(4, if round % 4 == 0 { 5_000 } else { 3 });
        for n in 0..4 {
            w.nodes[n].psync2 = round % 3 != 0 || below(2) == 0;
        }
        let mut path = Vec::new();
        for _ in 0..200 {
            let op = ops[below(ops.len())];
            if w.writes < u8::MAX && w.apply(op) {
                path.push(op);
                let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| w.check()));
                assert!(checked.is_ok(), "after {path:?}");
            }
        }
        w.settle();
        seen.by_second_id += w.seen.by_second_id;
        seen.refused += w.seen.refused;
    }
    assert!(seen.by_second_id > 0 && seen.refused > 0);
}

#[test]
fn what_is_logged() {
    let mut log = ReplicationLog::new(0);
    log.activate_backlog();
    log.append(&[b'x'; 100]);
    let (a, b) = ([b'a'; 40], [b'b'; 40]);
    let h = History {
        replid: &a,
        replid2: &b,
        second_offset: 51,
    };
    let c = "c".repeat(40);
    for (asked, offset, verdict) in [
        ("a".repeat(40), 1, Ok(())),
        ("A".repeat(40), 101, Ok(())),
        ("a".repeat(40), 0, Err(Refusal::LackOfBacklog)),
        ("a".repeat(40), 102, Err(Refusal::AheadOfMaster)),
        ("b".repeat(40), 51, Ok(())),
        ("b".repeat(40), 52, Err(Refusal::BeyondSecondId)),
        (c.clone(), 1, Err(Refusal::UnknownId)),
        ("?".into(), -1, Err(Refusal::FullResyncRequested)),
        (String::new(), 1, Err(Refusal::UnknownId)),
    ] {
        let found = h.try_partial(&log, asked.as_bytes(), offset, true);
        assert_eq!(found, verdict, "{asked} {offset}");
    }
    assert_eq!(h.try_partial(&log, &a, 51, false), Ok(()));
    let found = h.try_partial(&log, &b, 51, false);
    assert_eq!(found, Err(Refusal::CannotBeRenamed));
    let line = h.log_refusal(Refusal::UnknownId, "r", c.as_bytes(), 1);
    assert!(line.contains(&format!(
        "(Replica asked for '{c}', my replication IDs are 'aaa"
    )));
    let line = h.log_refusal(Refusal::BeyondSecondId, "r", &b, 52);
    assert!(line.ends_with("Requested offset for second ID was 52, but I can reply up to 51"));
}
