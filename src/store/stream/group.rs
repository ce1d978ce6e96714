//! Consumer groups: which entries were delivered to whom and are not acknowledged yet (streamCG, streamConsumer, streamNACK).
//!
//! The pending entries of a group are a map from ids to [`Nack`]s, which name the consumer; a consumer has the set of its
//! ids only. So each NACK exists once, without shared ownership.
//!
//! Invariants: an id is in the set of exactly the consumer that its NACK names, and in no other; consumers are listed by
//! name, without repetitions. The one exception is a group that is being loaded: see [`Group::load_nack`].
//!
//! Times are unix ms and come from the caller.

use slab::Slab;

use crate::base::alloc::good_size;
use crate::ds::idmap::{IdMap, StreamId};

/// A pending entry: delivered and not acknowledged (streamNACK).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nack {
    /// When it was delivered last.
    pub delivery_time: i64,
    /// How often.
    pub delivery_count: u64,
    consumer: ConsumerId,
}

impl Nack {
    /// Who has it. It has been loaded and not claimed yet if nobody has.
    pub(crate) fn consumer(&self) -> ConsumerId {
        self.consumer
    }
}

/// Names a consumer within its group while it exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ConsumerId(u32);

impl ConsumerId {
    const NOBODY: ConsumerId = ConsumerId(u32::MAX);
}

/// A consumer of a group (streamConsumer).
#[derive(Clone)]
pub(crate) struct Consumer {
    name: Box<[u8]>,
    /// When it last tried to read or claim.
    pub seen_time: i64,
    /// When it last got something; -1: never.
    pub active_time: i64,
    pel: IdMap<()>,
}

impl Consumer {
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The ids that are pending for it.
    pub(crate) fn pel(&self) -> &IdMap<()> {
        &self.pel
    }
}

/// A consumer group (streamCG).
#[derive(Clone)]
pub(crate) struct Group {
    name: Box<[u8]>,
    /// The last id that was delivered.
    pub last_id: StreamId,
    /// How many entries were read up to there; -1 when that cannot be known (SCG_INVALID_ENTRIES_READ).
    pub entries_read: i64,
    pel: IdMap<Nack>,
    consumers: Slab<Consumer>,
    /// Keys of `consumers`, by name.
    by_name: Vec<ConsumerId>,
}

/// The counter of a group whose position is unknown (SCG_INVALID_ENTRIES_READ).
pub(crate) const SCG_INVALID_ENTRIES_READ: i64 = -1;

impl Group {
    /// The counter as an argument of XGROUP: one that has run over the largest number is not accepted there, and told as
    /// unknown.
    pub(crate) fn entries_read_argument(&self) -> i64 {
        self.entries_read.max(SCG_INVALID_ENTRIES_READ)
    }

    pub(super) fn new(name: &[u8], last_id: StreamId, entries_read: i64) -> Group {
        Group {
            name: name.into(),
            last_id,
            entries_read,
            pel: IdMap::new(),
            consumers: Slab::new(),
            by_name: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// All pending entries.
    pub(crate) fn pel(&self) -> &IdMap<Nack> {
        &self.pel
    }

    fn place_of(&self, name: &[u8]) -> Result<usize, usize> {
        self.by_name
            .binary_search_by(|c| self.consumer(*c).name().cmp(name))
    }

    pub(crate) fn consumers_len(&self) -> usize {
        self.by_name.len()
    }

    /// All consumers, by name.
    pub(crate) fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.by_name.iter().map(|c| self.consumer(*c))
    }

    /// The one at this place among them.
    pub(crate) fn consumer_at(&self, n: usize) -> Option<&Consumer> {
        self.by_name.get(n).map(|c| self.consumer(*c))
    }

    /// The consumer of that name (streamLookupConsumer).
    pub(crate) fn lookup_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.place_of(name).ok().map(|i| self.by_name[i])
    }

    /// A consumer that a look-up has found or a NACK names.
    pub(crate) fn consumer(&self, id: ConsumerId) -> &Consumer {
        &self.consumers[id.0 as usize]
    }

    /// As [`Group::consumer`].
    pub(crate) fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        &mut self.consumers[id.0 as usize]
    }

    /// Adds a consumer; `None` when there is one of that name (streamCreateConsumer).
    pub(crate) fn create_consumer(&mut self, name: &[u8], now: i64) -> Option<ConsumerId> {
        let at = self.place_of(name).err()?;
        let key = self.consumers.insert(Consumer {
            name: name.into(),
            seen_time: now,
            active_time: -1,
            pel: IdMap::new(),
        });
        let id = ConsumerId(u32::try_from(key).ok()?);
        self.by_name.insert(at, id);
        Some(id)
    }

    /// Removes a consumer and what is pending for it; the answer is how much that was (streamDelConsumer).
    pub(crate) fn del_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let at = self.place_of(name).ok()?;
        let id = self.by_name.remove(at);
        let c = self.consumers.remove(id.0 as usize);
        for (entry, ()) in c.pel.iter() {
            self.pel.remove(entry);
        }
        Some(c.pel.len())
    }

    /// An entry is delivered to a consumer: it is pending from now on, for the first time, whoever had it.
    pub(crate) fn deliver(&mut self, id: StreamId, to: ConsumerId, now: i64) {
        let nack = Nack {
            delivery_time: now,
            delivery_count: 1,
            consumer: to,
        };
        match self.pel.get_mut(id) {
            None => {
                self.pel.insert(id, nack);
                self.consumer_mut(to).pel.insert(id, ());
            }
            Some(old) => {
                let from = std::mem::replace(old, nack).consumer;
                self.hand_over(id, from, to);
            }
        }
    }

    /// A pending entry goes to a consumer, with whatever `change` does to it; the answer is what it is then.
    pub(crate) fn claim(
        &mut self,
        id: StreamId,
        to: ConsumerId,
        change: impl FnOnce(&mut Nack),
    ) -> Option<Nack> {
        let nack = self.pel.get_mut(id)?;
        let from = std::mem::replace(&mut nack.consumer, to);
        change(nack);
        let after = *nack;
        self.hand_over(id, from, to);
        Some(after)
    }

    fn hand_over(&mut self, id: StreamId, from: ConsumerId, to: ConsumerId) {
        if from == to {
            return;
        }
        if from != ConsumerId::NOBODY {
            self.consumer_mut(from).pel.remove(id);
        }
        self.consumer_mut(to).pel.insert(id, ());
    }

    /// An entry is delivered once more to the consumer that has it.
    pub(crate) fn redeliver(&mut self, id: StreamId, now: i64) {
        if let Some(nack) = self.pel.get_mut(id) {
            nack.delivery_time = now;
            nack.delivery_count = nack.delivery_count.wrapping_add(1);
        }
    }

    /// Takes an entry out of what is pending, if it is.
    pub(crate) fn acknowledge(&mut self, id: StreamId) -> Option<Nack> {
        let nack = self.pel.remove(id)?;
        if nack.consumer != ConsumerId::NOBODY {
            self.consumer_mut(nack.consumer).pel.remove(id);
        }
        Some(nack)
    }

    /// While loading: a pending entry, whose consumer comes later. False when there is one with this id.
    pub(crate) fn load_nack(
        &mut self,
        id: StreamId,
        delivery_time: i64,
        delivery_count: u64,
    ) -> bool {
        let nack = Nack {
            delivery_time,
            delivery_count,
            consumer: ConsumerId::NOBODY,
        };
        self.pel.insert(id, nack)
    }

    /// While loading: the consumer of an entry that [`Group::load_nack`] has seen.
    ///
    /// # Errors
    /// What is wrong, when the entry is not there or the consumer has it already.
    pub(crate) fn load_owner(
        &mut self,
        id: StreamId,
        consumer: ConsumerId,
    ) -> Result<(), &'static str> {
        let Some(nack) = self.pel.get_mut(id) else {
            return Err("Consumer entry not found in group global PEL");
        };
        let from = std::mem::replace(&mut nack.consumer, consumer);
        if from == consumer {
            return Err("Duplicated consumer PEL entry loading a stream consumer group");
        }
        self.hand_over(id, from, consumer);
        Ok(())
    }

    /// While loading: whether each pending entry has got its consumer.
    pub(crate) fn is_loaded(&self) -> bool {
        let owned: usize = self.consumers().map(|c| c.pel.len()).sum();
        owned == self.pel.len()
    }

    /// Bytes of its allocations.
    pub(super) fn mem_usage(&self) -> usize {
        let consumers: usize = self
            .consumers()
            .map(|c| good_size(c.name.len()) + c.pel.mem_usage())
            .sum();
        good_size(self.name.len())
            + self.pel.mem_usage()
            + good_size(self.consumers.capacity() * (size_of::<Consumer>() + size_of::<usize>()))
            + good_size(self.by_name.capacity() * size_of::<ConsumerId>())
            + consumers
    }
}

/// The groups of a stream, by name.
#[derive(Clone, Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    fn place_of(&self, name: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|g| (*g.name).cmp(name))
    }

    pub(super) fn as_slice(&self) -> &[Group] {
        &self.0
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Group> {
        self.place_of(name).ok().map(|i| &self.0[i])
    }

    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.place_of(name).ok().map(|i| &mut self.0[i])
    }

    /// `None` when there is one of that name.
    pub(super) fn insert(&mut self, group: Group) -> Option<&mut Group> {
        let at = self.place_of(&group.name).err()?;
        self.0.insert(at, group);
        Some(&mut self.0[at])
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Group> {
        self.place_of(name).ok().map(|i| self.0.remove(i))
    }

    pub(super) fn mem_usage(&self) -> usize {
        let own = good_size(self.0.capacity() * size_of::<Group>());
        own + self.0.iter().map(|g| g.mem_usage()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Model = BTreeMap<u64, (String, i64, u64)>;

    fn check(g: &Group, model: &Model) {
        let seen: Model = g
            .pel()
            .iter()
            .map(|(id, n)| {
                let name = String::from_utf8(g.consumer(n.consumer()).name().to_vec());
                (
                    id.ms,
                    (name.unwrap_or_default(), n.delivery_time, n.delivery_count),
                )
            })
            .collect();
        assert_eq!(&seen, model);
        for c in g.consumers() {
            let name = String::from_utf8_lossy(c.name());
            let ids = model.iter().filter(|(_, n)| n.0 == name).map(|(id, _)| *id);
            assert!(c.pel().iter().map(|(id, ())| id.ms).eq(ids));
        }
        assert!(g.is_loaded());
        assert!(g.consumers().is_sorted_by_key(|c| c.name()));
    }

    proptest! {
        #[test]
        fn each_pending_entry_is_with_the_consumer_that_it_names(
            ops in proptest::collection::vec((0u8..7, 0u64..40, 0u8..6), 0..400),
        ) {
            let mut g = Group::new(b"g", StreamId::MIN, 0);
            let mut model = Model::new();
            for (now, (op, id, c)) in ops.into_iter().enumerate() {
                let now = now as i64;
                let name = format!("c{c}");
                let key = StreamId::new(id, 0);
                let who = match g.lookup_consumer(name.as_bytes()) {
                    Some(w) => w,
                    None => g.create_consumer(name.as_bytes(), now).expect("it is not there"),
                };
                prop_assert!(g.create_consumer(name.as_bytes(), now).is_none());
                match op {
                    0 | 1 => {
                        g.deliver(key, who, now);
                        model.insert(id, (name, now, 1));
                    }
                    2 => {
                        let n = g.claim(key, who, |n| n.delivery_count += 5);
                        prop_assert_eq!(n.is_some(), model.contains_key(&id));
                        if let Some(m) = model.get_mut(&id) {
                            *m = (name, m.1, m.2 + 5);
                        }
                    }
                    3 => prop_assert_eq!(g.acknowledge(key).is_some(), model.remove(&id).is_some()),
                    4 => {
                        let n = model.len();
                        model.retain(|_, m| m.0 != name);
                        prop_assert_eq!(g.del_consumer(name.as_bytes()), Some(n - model.len()));
                    }
                    5 => {
                        if g.load_nack(key, now, 3) {
                            prop_assert!(!g.is_loaded());
                            prop_assert!(g.load_owner(key, who).is_ok());
                            model.insert(id, (name, now, 3));
                        }
                        prop_assert!(!g.load_nack(key, now, 3));
                    }
                    _ => {
                        g.redeliver(key, now);
                        if let Some(m) = model.get_mut(&id) {
                            *m = (m.0.clone(), now, m.2 + 1);
                        }
                    }
                }
                check(&g, &model);
            }
        }
    }
}
