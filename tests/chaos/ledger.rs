//! The book of writes whose fate is known: each has a key and a value of its own, written once. It knows which of them must be
//! on the master at any time, and asserts no less, and no more, than what was promised.
//!
//! An *epoch* is the time of one master in one life. A write that a master has answered with OK is on that master until the
//! epoch ends. What the end of an epoch does to it:
//! - a restart from a file that holds everything: nothing;
//! - a restart without such a file: all is lost, and nothing is promised;
//! - a promotion: the new master has what its offset covers, for an offset means that everything up to it is applied
//!   (`covered`); and what WAIT has counted a replica for, where all that could have been counted stood for election and the
//!   one with the highest offset was elected (`promised`).
//!
//! An answer that arrives when its epoch is over is not entered: a deposed master promises nothing.

use std::collections::BTreeMap;

/// How many servers there are.
pub const NODES: usize = 4;

/// Writes that are kept in the book, and of those that were lost.
const WRITES_MOST: usize = 8_000;
const LOST_MOST: usize = 2_000;

/// One write.
#[derive(Clone, Debug)]
pub struct Write {
    pub value: String,
    /// The master's offset right behind it, or beyond: a replica at this offset has it.
    pub bound: i64,
    /// What WAIT answered; 0 where it was not asked.
    pub acked: usize,
    /// The lives of all nodes when the write was sent.
    pub lives: [u64; NODES],
}

/// What became of the book's writes.
#[derive(Default, Debug)]
pub struct Counts {
    pub entered: usize,
    pub acked: usize,
    pub late: usize,
    /// Asserted at a promotion, by offset, and by WAIT.
    pub covered: usize,
    pub promised: usize,
    /// Lost at a promotion without a promise, with an acknowledgement or none.
    pub lost: usize,
    pub lost_acked: usize,
    pub promotions: usize,
    /// Asserted at a restart of the master.
    pub kept: usize,
}

/// A replica that may be promoted.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub node: usize,
    pub offset: i64,
}

/// See the head of the file.
#[derive(Default)]
pub struct Ledger {
    pub epoch: u64,
    /// Nodes that were the master's direct replicas at any time of this epoch, those whose turn it was to become one included.
    pub direct: [bool; NODES],
    /// Changes whenever a node may have lost or changed what it has acknowledged.
    pub lives: [u64; NODES],
    pub writes: BTreeMap<String, Write>,
    /// Keys that were lost at promotions: nobody who follows a later master has them.
    pub lost: Vec<String>,
    pub counts: Counts,
}

impl Ledger {
    /// Enters a write that was answered, if its epoch still runs.
    pub fn enter(&mut self, epoch: u64, key: String, write: Write) {
        if epoch != self.epoch {
            self.counts.late += 1;
            return;
        }
        self.counts.entered += 1;
        self.counts.acked += usize::from(write.acked > 0);
        self.writes.insert(key, write);
    }

    /// The epoch is over: what has not been entered by now comes too late.
    pub fn close(&mut self) {
        self.epoch += 1;
    }

    /// A new epoch, whose master is at `offset` and has all that is in the book.
    pub fn begin_epoch(&mut self, offset: i64, direct: [bool; NODES]) {
        self.epoch += 1;
        self.direct = direct;
        for w in self.writes.values_mut() {
            w.bound = offset;
            // Who was counted was counted in another life of the master: the offset alone speaks from now on.
            w.acked = 0;
        }
    }

    /// When there is too much, the older half is promised no more; its keys.
    pub fn shorten(&mut self) -> Vec<String> {
        let most = self.lost.len().saturating_sub(LOST_MOST);
        self.lost.drain(..most);
        if self.writes.len() <= WRITES_MOST {
            return Vec::new();
        }
        let mut keys: Vec<String> = self.writes.keys().cloned().collect();
        // Each writer counts its own, and they write alike.
        let number = |k: &String| k.split(':').nth(1).and_then(|n| n.parse::<u64>().ok());
        keys.sort_by_key(number);
        keys.truncate(keys.len() / 2);
        for key in &keys {
            self.writes.remove(key);
        }
        keys
    }

    /// The master has lost an unknown part.
    pub fn forget_all(&mut self) {
        self.writes.clear();
        // It may have come back with something older.
        self.lost.clear();
    }

    /// A node goes through something after which it need not have what it acknowledged.
    pub fn new_life(&mut self, node: usize) {
        self.lives[node] += 1;
    }

    /// Why `w` must be on `elected`, if it must. `candidates` are all that stood for election.
    pub fn claim(
        &self,
        w: &Write,
        elected: Candidate,
        candidates: &[Candidate],
    ) -> Option<&'static str> {
        if w.acked > 0 {
            let gone = (0..NODES)
                .filter(|n| self.direct[*n])
                .filter(|n| {
                    let stands = candidates.iter().any(|c| c.node == *n);
                    !stands || self.lives[*n] != w.lives[*n]
                })
                .count();
            // At least one of those who were counted stood, and the elected one was not behind it.
            if w.acked > gone {
                return Some("WAIT counted a replica for it that stood for election");
            }
        }
        (elected.offset >= w.bound).then_some("the elected replica's offset covers it")
    }

    /// A replica is promoted, and `has` what it has of the book's keys, in their order. Panics if what it must have is not
    /// there.
    #[track_caller]
    pub fn promote(
        &mut self,
        elected: Candidate,
        candidates: &[Candidate],
        has: &[Option<String>],
    ) {
        assert_eq!(has.len(), self.writes.len());
        let mut missing = Vec::new();
        let mut lost = Vec::new();
        self.counts.promotions += 1;
        for ((key, w), has) in self.writes.iter().zip(has) {
            let there = has.as_deref() == Some(&w.value);
            match self.claim(w, elected, candidates) {
                Some(why) if !there => missing.push(format!("{key} {w:?}: {has:?}; {why}")),
                Some(why) if why.starts_with("WAIT") => self.counts.promised += 1,
                Some(_) => self.counts.covered += 1,
                None if !there => {
                    self.counts.lost += 1;
                    self.counts.lost_acked += usize::from(w.acked > 0);
                    lost.push(key.clone());
                }
                None => {}
            }
        }
        assert!(
            missing.is_empty(),
            "{} writes are missing on the promoted {elected:?} of {candidates:?} (direct: {:?}, lives: {:?}):\n{}",
            missing.len(),
            self.direct,
            self.lives,
            missing[..missing.len().min(10)].join("\n")
        );
        for key in lost {
            self.writes.remove(&key);
            self.lost.push(key);
        }
    }

    /// All of the book must be there.
    #[track_caller]
    pub fn assert_all(&self, has: &[Option<String>], when: &str) {
        let missing: Vec<_> = self
            .writes
            .iter()
            .zip(has)
            .filter(|((_, w), has)| has.as_deref() != Some(&w.value))
            .map(|((key, w), has)| format!("{key} {w:?}: {has:?}"))
            .collect();
        assert!(
            missing.is_empty() && has.len() == self.writes.len(),
            "{} of {} writes are missing on the master {when}:\n{}",
            missing.len(),
            self.writes.len(),
            missing[..missing.len().min(10)].join("\n")
        );
    }
}

#[test]
fn the_book_forgets_the_oldest() {
    let mut l = Ledger::default();
    for n in 0..=WRITES_MOST {
        let write = Write {
            value: String::new(),
            bound: 0,
            acked: 0,
            lives: [0; NODES],
        };
        l.writes.insert(format!("w{}:{}", n % 2, n / 2), write);
        l.lost.push(n.to_string());
    }
    let gone = l.shorten();
    assert_eq!(gone.len() + l.writes.len(), WRITES_MOST + 1);
    assert!(
        l.writes
            .contains_key(&format!("w1:{}", WRITES_MOST / 2 - 1))
    );
    assert!(gone.contains(&"w0:0".to_string()) && gone.contains(&"w1:9".to_string()));
    assert_eq!(l.lost.len(), LOST_MOST);
    assert!(l.shorten().is_empty());
}

#[test]
fn what_is_promised() {
    let mut l = Ledger {
        direct: [false, true, true, false],
        ..Ledger::default()
    };
    let write = |bound, acked| Write {
        value: "v".into(),
        bound,
        acked,
        lives: [0; NODES],
    };
    let at = |node, offset| Candidate { node, offset };
    let both = [at(1, 50), at(2, 40)];
    // By offset.
    assert!(l.claim(&write(50, 0), both[0], &both).is_some());
    assert!(l.claim(&write(51, 0), both[0], &both).is_none());
    // By WAIT, whatever the offset says, while all who may have been counted stand.
    assert!(l.claim(&write(51, 1), both[0], &both).is_some());
    assert!(l.claim(&write(51, 1), both[0], &both[..1]).is_none());
    assert!(l.claim(&write(51, 2), both[0], &both[..1]).is_some());
    l.new_life(2);
    assert!(l.claim(&write(51, 1), both[0], &both).is_none());
}
