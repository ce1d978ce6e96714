//! Loops of replicas, however long: a mark that a server sends to its master, and every master on to its own, comes back.
//!
//! A replica that somebody replicates from tells its master its mark, which names it and the time, and the marks that it has
//! heard itself lately. In a tree they all end at the master that has none. In a loop each server hears of itself, from one
//! of its replicas, after as many messages as there are servers.
//!
//! ```text
//!    A ──A1──► B ──A1 B1──► C ──A1 B1 C1──► A      A hears of itself: three servers, C replicates from here
//! ```
//!
//! Invariants:
//! - a mark is told apart from a former one of the same server by its time; what is known of a server is its latest, and that
//!   is forgotten when no later one follows for [`KEEP`] seconds, so that nothing goes round for ever;
//! - a loop is believed when a mark that was sent after the first one's return has come back as well: what somebody remembers
//!   of links that are no more cannot make one. It is no loop any more when no mark has returned for a few rounds;
//! - what is kept, and told, has a bound: a server knows [`MARKS_MAX`] others, and a mark passes [`LINKS_MAX`] links.
//!
//! Must not know sockets, clients or clocks: time is a number of seconds that never goes back.

use crate::wire::replication::replid::ReplId;

/// Servers whose marks are kept; and so many are read of one message.
pub(crate) const MARKS_MAX: usize = 32;
/// Links that a mark passes at the most: the longest loop that is found.
pub(crate) const LINKS_MAX: u32 = 16;
/// Seconds for which a mark is told on.
pub(crate) const KEEP: u64 = 5;
/// Characters that name a server: the first of its run id.
pub(crate) const NAME_LEN: usize = 16;
/// The longest message that is read: all marks with their separators, with the longest numbers. Bytes.
const MESSAGE_MAX: usize = MARKS_MAX * (NAME_LEN + 2 + 20 + 3);

/// A server's name.
pub(crate) type Name = [u8; NAME_LEN];

/// A mark as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    name: Name,
    /// When its server sent it, by that server's own count.
    sent: u64,
    /// The links it has passed, the one included over which it was sent here.
    links: u32,
}

/// A mark that was heard, when, and from which replica.
#[derive(Clone, Debug)]
struct Heard {
    mark: Mark,
    at: u64,
    replica: String,
}

/// A loop that this server is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    /// How many servers it has.
    pub servers: u32,
    /// Our replica in it, as the caller names it.
    pub replica: String,
}

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct RingWatch {
    name: Name,
    heard: Vec<Heard>,
    /// When somebody last said that he wants to replicate from here.
    asked: Option<u64>,
    /// Our marks count from this time on.
    from: u64,
    /// Returns in a row, the last of them, and until when it counts.
    returns: u32,
    last: Option<Ring>,
    until: u64,
}

impl RingWatch {
    /// The watch of the server with this run id.
    pub(crate) fn new(run_id: &ReplId) -> RingWatch {
        let mut name = Name::default();
        name.copy_from_slice(&run_id[..NAME_LEN]);
        RingWatch {
            name,
            heard: Vec::new(),
            asked: None,
            from: 0,
            returns: 0,
            last: None,
            until: 0,
        }
    }

    /// This server has another master than before, or none: no mark sent so far says anything.
    pub(crate) fn begin(&mut self, now: u64) {
        self.from = now + 1;
        self.returns = 0;
        self.last = None;
    }

    /// Somebody wants to replicate from here.
    pub(crate) fn asked(&mut self, now: u64) {
        self.asked = Some(now);
    }

    /// What to tell our master: our own mark and those heard lately. Empty where nobody replicates from here: whoever has no
    /// replica is part of no loop. `replicas`: there are some that have a link.
    pub(crate) fn tell(&self, now: u64, replicas: bool) -> String {
        let recent = |at: u64| now.saturating_sub(at) <= KEEP;
        if !replicas && !self.asked.is_some_and(recent) {
            return String::new();
        }
        let own = Mark {
            name: self.name,
            sent: now,
            links: 1,
        };
        let others = self.heard.iter().filter(|h| recent(h.at)).map(|h| Mark {
            links: h.mark.links + 1,
            ..h.mark
        });
        std::iter::once(own)
            .chain(others.filter(|m| m.links <= LINKS_MAX))
            .map(|m| {
                let name = String::from_utf8_lossy(&m.name);
                format!("{name}.{}.{}", m.sent, m.links)
            })
            .collect::<Vec<_>>()
            .join(",")
    }

    /// What a replica, or somebody who wants to be one, has told. What makes no sense is passed over.
    pub(crate) fn hear(&mut self, message: &[u8], replica: &str, now: u64) {
        self.asked(now);
        if message.len() > MESSAGE_MAX {
            return;
        }
        self.heard.retain(|h| now.saturating_sub(h.at) <= KEEP);
        for mark in message
            .split(|b| *b == b',')
            .take(MARKS_MAX)
            .filter_map(parse)
        {
            if mark.name == self.name {
                self.came_back(mark, replica, now);
            } else {
                self.keep(mark, replica, now);
            }
        }
    }

    /// A replica has gone: what it told says nothing any more.
    pub(crate) fn gone(&mut self, replica: &str) {
        self.heard.retain(|h| h.replica != replica);
    }

    fn keep(&mut self, mark: Mark, replica: &str, now: u64) {
        let new = Heard {
            mark,
            at: now,
            replica: replica.to_string(),
        };
        let known = self.heard.iter_mut().find(|h| h.mark.name == mark.name);
        if let Some(known) = known {
            let old = known.mark;
            if mark.sent > old.sent || mark.sent == old.sent && mark.links < old.links {
                *known = new;
            }
        } else if self.heard.len() < MARKS_MAX - 1 {
            // With our own that is all that a message holds.
            self.heard.push(new);
        } else if let Some(far) = self.heard.iter_mut().max_by_key(|h| h.mark.links)
            && far.mark.links > mark.links
        {
            *far = new;
        }
    }

    fn came_back(&mut self, mark: Mark, replica: &str, now: u64) {
        if mark.sent < self.from || mark.sent > now {
            return;
        }
        if now > self.until {
            self.returns = 0;
        }
        self.returns = self.returns.saturating_add(1);
        self.last = Some(Ring {
            servers: mark.links,
            replica: replica.to_string(),
        });
        // Only what is sent from now on confirms it.
        self.from = now + 1;
        let round = (now - mark.sent).max(u64::from(mark.links));
        self.until = now + 2 * round + KEEP;
    }

    /// The loop that this server is part of.
    pub(crate) fn ring(&self, now: u64) -> Option<&Ring> {
        let sure = self.returns > 1 && now <= self.until;
        self.last.as_ref().filter(|_| sure)
    }
}

/// `<name>.<time>.<links>`
fn parse(text: &[u8]) -> Option<Mark> {
    let (name, rest) = text.split_first_chunk::<NAME_LEN>()?;
    let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if !name.iter().all(hex) {
        return None;
    }
    let rest = std::str::from_utf8(rest.strip_prefix(b".")?).ok()?;
    let (sent, links) = rest.split_once('.')?;
    let number = |s: &str| {
        let plain = !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        s.parse::<u64>().ok().filter(|_| plain)
    };
    let links = u32::try_from(number(links)?).ok()?;
    (1..=LINKS_MAX).contains(&links).then_some(())?;
    Some(Mark {
        name: *name,
        sent: number(sent)?,
        links,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::Prng;

    /// Servers that tell their masters once a second, in an order that differs each time.
    struct World {
        watches: Vec<RingWatch>,
        masters: Vec<Option<usize>>,
        /// Each counts for itself.
        clocks: Vec<u64>,
        random: Prng,
        forgetful: bool,
    }

    impl World {
        fn new(masters: &[Option<usize>], seed: u64) -> World {
            let mut random = Prng::new(seed);
            let watches = (0..masters.len())
                .map(|n| RingWatch::new(format!("{n:040x}").as_bytes().first_chunk().expect("40")))
                .collect();
            let mut w = World {
                watches,
                masters: masters.to_vec(),
                clocks: masters.iter().map(|_| random.next_u64() % 1000).collect(),
                random,
                forgetful: false,
            };
            for n in 0..w.watches.len() {
                // Names that differ in their first characters.
                w.watches[n].name = *format!("{n:016x}").as_bytes().first_chunk().expect("16");
                w.watches[n].begin(w.clocks[n]);
            }
            w
        }

        fn below(&mut self, n: usize) -> usize {
            (self.random.next_u64() % n as u64) as usize
        }

        fn point(&mut self, n: usize, master: Option<usize>) {
            let unnoticed = self.forgetful && self.below(4) == 0;
            if let (Some(old), false) = (self.masters[n], unnoticed) {
                self.watches[old].gone(&n.to_string());
            }
            self.masters[n] = master;
            self.watches[n].begin(self.clocks[n]);
        }

        fn second(&mut self) {
            let mut order: Vec<usize> = (0..self.watches.len()).collect();
            for i in (1..order.len()).rev() {
                let j = self.below(i + 1);
                order.swap(i, j);
            }
            for n in order {
                self.clocks[n] += 1;
                if let Some(m) = self.masters[n] {
                    let has = self.masters.contains(&Some(n));
                    let text = self.watches[n].tell(self.clocks[n], has);
                    if !text.is_empty() {
                        let now = self.clocks[m];
                        self.watches[m].hear(text.as_bytes(), &n.to_string(), now);
                    }
                }
            }
        }

        fn ring(&self, n: usize) -> Option<&Ring> {
            self.watches[n].ring(self.clocks[n])
        }

        /// How many servers the loop has that `n` is part of, by looking at all of them.
        fn truth(&self, n: usize) -> Option<u32> {
            let mut at = n;
            for links in 1..=self.masters.len() {
                at = self.masters[at]?;
                if at == n {
                    return Some(links as u32);
                }
            }
            None
        }
    }

    #[test]
    fn a_loop_of_any_length_is_known_to_all_in_it() {
        for n in 1..=LINKS_MAX as usize {
            for seed in 0..20 {
                let masters: Vec<_> = (0..n).map(|i| Some((i + 1) % n)).collect();
                let mut w = World::new(&masters, seed);
                // Once around, and once more to be sure; each link may cost a second.
                for _ in 0..2 * n + 3 {
                    w.second();
                }
                for i in 0..n {
                    let ring = w.ring(i).unwrap_or_else(|| panic!("{i} of {n}, {seed}"));
                    assert_eq!(ring.servers, n as u32);
                    assert_eq!(ring.replica, ((i + n - 1) % n).to_string());
                }
                // It stays known, and is over when one of them becomes a master.
                for _ in 0..50 {
                    w.second();
                    assert!((0..n).all(|i| w.ring(i).is_some()));
                }
                w.point(0, None);
                assert_eq!(w.ring(0), None);
                for _ in 0..3 * n as u64 + 2 * KEEP {
                    w.second();
                }
                assert!((0..n).all(|i| w.ring(i).is_none()), "{n}");
            }
        }
    }

    #[test]
    fn others_below_a_loop_are_not_in_it() {
        // 0, 1, 2 in a loop; 3 below 1, 4 below 3, 5 below 4.
        let mut w = World::new(&[Some(1), Some(2), Some(0), Some(1), Some(3), Some(4)], 1);
        for _ in 0..100 {
            w.second();
            assert!((3..6).all(|i| w.ring(i).is_none()));
        }
        assert!((0..3).all(|i| w.ring(i).is_some_and(|r| r.servers == 3)));
        // What is known of those below has not gone round.
        assert!(w.watches.iter().all(|w| w.heard.len() <= 5));
    }

    /// Trees that are rearranged all the time, in every order of steps, with never a loop: nobody sees one. In every other
    /// world a master does not always notice that a replica has gone.
    #[test]
    fn a_tree_that_is_rearranged_is_no_loop() {
        for seed in 0..300u64 {
            let n = 2 + (seed % 6) as usize;
            let masters: Vec<_> = (0..n).map(|i| i.checked_sub(1)).collect();
            let mut w = World::new(&masters, seed);
            w.forgetful = seed % 2 == 1;
            for _ in 0..300 {
                let changes = match w.forgetful {
                    true => usize::from(w.below(5) == 0),
                    false => w.below(3),
                };
                for _ in 0..changes {
                    let i = w.below(n);
                    let to = w.below(n + 1);
                    let before = w.masters[i];
                    w.masters[i] = (to < n).then_some(to);
                    let fits = (0..n).all(|k| w.truth(k).is_none());
                    let to = w.masters[i];
                    w.masters[i] = before;
                    if fits && to != before {
                        w.point(i, to);
                    }
                }
                w.second();
                for i in 0..n {
                    assert_eq!(w.ring(i), None, "seed {seed}: {i} of {:?}", w.masters);
                }
            }
        }
    }

    #[test]
    fn who_has_no_replicas_says_nothing() {
        let mut w = RingWatch::new(&[b'a'; 40]);
        assert_eq!(w.tell(7, false), "");
        assert_eq!(w.tell(7, true), "aaaaaaaaaaaaaaaa.7.1");
        w.asked(7);
        assert_eq!(w.tell(7 + KEEP, false), "aaaaaaaaaaaaaaaa.12.1");
        assert_eq!(w.tell(8 + KEEP, false), "");
        w.hear(b"bbbbbbbbbbbbbbbb.99.15,cccccccccccccccc.5.16", "r", 20);
        // The second has passed all the links it may.
        assert_eq!(
            w.tell(20, true),
            "aaaaaaaaaaaaaaaa.20.1,bbbbbbbbbbbbbbbb.99.16"
        );
    }

    #[test]
    fn nonsense_is_passed_over_and_nothing_grows() {
        let mut w = RingWatch::new(&[b'a'; 40]);
        for bad in [
            &b""[..],
            b",",
            b"aaaaaaaaaaaaaaaa",
            b"aaaaaaaaaaaaaaaa.1",
            b"aaaaaaaaaaaaaaaa.1.",
            b"aaaaaaaaaaaaaaaa.+1.1",
            b"aaaaaaaaaaaaaaaa.1.0",
            b"aaaaaaaaaaaaaaaa.1.17",
            b"aaaaaaaaaaaaaaaa.99999999999999999999.1",
            b"AAAAAAAAAAAAAAAA.1.1",
            b"aaaaaaaaaaaaaaa\xff.1.1",
            b"bbbbbbbbbbbbbbbb 1 1",
            // From the future.
            b"aaaaaaaaaaaaaaaa.2.1",
        ] {
            w.hear(bad, "r", 1);
            assert!(w.heard.is_empty() && w.returns == 0, "{bad:?}");
        }
        for n in 0..1000u64 {
            let far = n % 16 + 1;
            w.hear(format!("{n:016x}.5.{far}").as_bytes(), "r", 1);
        }
        assert_eq!(w.heard.len(), MARKS_MAX - 1);
        // The nearest have stayed.
        assert!(w.heard.iter().all(|h| h.mark.links == 1));
        assert!(w.tell(1, true).len() <= MESSAGE_MAX);
        let all: Vec<String> = (0..1000).map(|n| format!("{n:016x}.6.1")).collect();
        w.hear(all.join(",").as_bytes(), "r", 100);
        assert!(w.heard.len() < MARKS_MAX);
    }
}
