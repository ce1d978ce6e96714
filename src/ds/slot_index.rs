//! Which keys are in a hash slot, for a cluster's node: of each key three bytes of its hash, by slot. With these and the slot, the key is
//! found in the table that has it, so that no entry carries anything, and may move.
//!
//! A slot's hashes stand in the index itself while they are no more than a handful, are a list while they are few, and groups of such lists
//! when they are many: group `i` of `n` has the hashes that
//! linear hashing sends there, and each addition or removal splits or merges one group at the most, so that nothing ever takes long,
//! however skewed the slots are.
//!
//! Invariants: there are as many hashes in a slot as keys, equal ones as often as there are keys with them, all in one group; no list is
//! much larger than what is in it. Must not know: keys.

/// The part of a hash that is kept.
pub(crate) const HASH_BITS: u32 = 24;

type Part = [u8; 3];
type Group = Vec<Part>;

/// A list that grows beyond this becomes groups, and a group of this many is split, on the average.
const SPLIT: usize = 256;
/// Groups that have fewer, on the average, are merged.
const MERGE: usize = 64;

fn part_of(hash: u64) -> Part {
    let [a, b, c, ..] = hash.to_le_bytes();
    [a, b, c]
}

fn hash_of(part: Part) -> u32 {
    u32::from_le_bytes([part[0], part[1], part[2], 0])
}

/// Where linear hashing sends a hash among `n` groups. By its lowest bits, as the table chooses its bucket: what is in one bucket is in one
/// group, so that a listing of all goes to each bucket once.
fn group_of(hash: u32, n: usize) -> usize {
    let all = n.next_power_of_two();
    let i = hash as usize & (all - 1);
    if i < n { i } else { i - all / 2 }
}

/// Where a walk over the keys of a slot ends.
pub(crate) const WALK_END: u32 = 1 << HASH_BITS;

/// The bits of a hash that are kept, in reverse order.
fn mirror(bits: u32) -> u32 {
    (bits << (u32::BITS - HASH_BITS)).reverse_bits()
}

/// Where a walk over the keys of a slot comes by one with this hash, below [`WALK_END`]: by the bits of the hash from the lowest on, so
/// that a group is a stretch of the way.
pub(crate) fn walk_place(hash: u64) -> u32 {
    mirror(hash_of(part_of(hash)))
}

/// Room for one more, without much that stays empty.
fn push(group: &mut Group, part: Part) {
    if group.len() == group.capacity() {
        group.reserve_exact((group.len() / 8).max(8));
    }
    group.push(part);
}

#[inline(never)]
fn take(group: &mut Group, part: Part) -> bool {
    let Some(i) = group.iter().position(|p| *p == part) else {
        return false;
    };
    group.swap_remove(i);
    if group.capacity() - group.len() > (group.len() / 4).max(16) {
        group.shrink_to(group.len() + group.len() / 8);
    }
    true
}

/// So many fit where a list's address and length would be.
const HANDFUL: usize = 5;

/// The keys of one slot.
enum Slot {
    Handful(u8, [Part; HANDFUL]),
    Few(Group),
    Many(Box<Groups>),
}

impl Slot {
    /// One more than the index itself has room for.
    #[inline(never)]
    fn add_to_list(&mut self, part: Part) {
        match self {
            Slot::Handful(_, parts) => {
                let mut group = Group::with_capacity(2 * HANDFUL);
                group.extend_from_slice(parts);
                group.push(part);
                *self = Slot::Few(group);
            }
            Slot::Few(group) if group.len() < SPLIT => push(group, part),
            Slot::Few(group) => {
                let mut groups = Box::new(Groups {
                    len: group.len(),
                    groups: vec![std::mem::take(group)],
                });
                groups.add(part);
                *self = Slot::Many(groups);
            }
            Slot::Many(groups) => groups.add(part),
        }
    }

    fn remove(&mut self, part: Part) -> bool {
        match self {
            Slot::Handful(n, parts) => {
                let there = &mut parts[..usize::from(*n)];
                let (Some(i), Some(last)) =
                    (there.iter().position(|p| *p == part), there.last().copied())
                else {
                    return false;
                };
                there[i] = last;
                *n -= 1;
                true
            }
            Slot::Few(group) => {
                let found = take(group, part);
                if group.len() < HANDFUL {
                    let mut parts = [[0; 3]; HANDFUL];
                    parts[..group.len()].copy_from_slice(group);
                    *self = Slot::Handful(group.len() as u8, parts);
                }
                found
            }
            Slot::Many(groups) => {
                let found = groups.remove(part);
                if let [only] = &mut groups.groups[..]
                    && groups.len < SPLIT / 2
                {
                    *self = Slot::Few(std::mem::take(only));
                }
                found
            }
        }
    }
}

struct Groups {
    len: usize,
    groups: Vec<Group>,
}

impl Groups {
    fn add(&mut self, part: Part) {
        let i = group_of(hash_of(part), self.groups.len());
        push(&mut self.groups[i], part);
        self.len += 1;
        if self.len > self.groups.len() * SPLIT {
            self.split();
        }
    }

    /// One more group, which takes its part of another one.
    fn split(&mut self) {
        let n = self.groups.len() + 1;
        let from = n - 1 - n.next_power_of_two() / 2;
        let old = std::mem::take(&mut self.groups[from]);
        self.groups.push(Group::new());
        for part in old {
            let i = group_of(hash_of(part), n);
            push(&mut self.groups[i], part);
        }
    }

    fn remove(&mut self, part: Part) -> bool {
        let i = group_of(hash_of(part), self.groups.len());
        if !take(&mut self.groups[i], part) {
            return false;
        }
        self.len -= 1;
        let n = self.groups.len();
        if n > 1
            && self.len < n * MERGE
            && let Some(last) = self.groups.pop()
        {
            let to = n - 1 - n.next_power_of_two() / 2;
            for part in last {
                push(&mut self.groups[to], part);
            }
        }
        true
    }
}

/// See the head of the file.
pub(crate) struct SlotIndex {
    slots: Box<[Slot]>,
}

impl SlotIndex {
    pub(crate) fn new(slots: usize) -> SlotIndex {
        SlotIndex {
            slots: (0..slots)
                .map(|_| Slot::Handful(0, [[0; 3]; HANDFUL]))
                .collect(),
        }
    }

    /// How many keys a slot has.
    pub(crate) fn len(&self, slot: u16) -> usize {
        match self.slots.get(usize::from(slot)) {
            Some(Slot::Handful(n, _)) => usize::from(*n),
            Some(Slot::Few(group)) => group.len(),
            Some(Slot::Many(groups)) => groups.len,
            None => 0,
        }
    }

    /// A key with this hash is in the slot from now on.
    pub(crate) fn add(&mut self, slot: u16, hash: u64) {
        let Some(s) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        if let Slot::Handful(n, parts) = s
            && let Some(free) = parts.get_mut(usize::from(*n))
        {
            *free = part_of(hash);
            *n += 1;
            return;
        }
        s.add_to_list(part_of(hash));
    }

    /// A key with this hash has left the slot.
    pub(crate) fn remove(&mut self, slot: u16, hash: u64) {
        if let Some(s) = self.slots.get_mut(usize::from(slot)) {
            let found = s.remove(part_of(hash));
            debug_assert!(found, "a key that was not added");
        }
    }

    fn group(&self, slot: u16, i: usize) -> &[Part] {
        match self.slots.get(usize::from(slot)) {
            Some(Slot::Handful(n, parts)) if i == 0 => &parts[..usize::from(*n)],
            Some(Slot::Few(group)) if i == 0 => group,
            Some(Slot::Many(groups)) => groups.groups.get(i).map_or(&[], |g| g),
            _ => &[],
        }
    }

    /// In how many groups the keys of a slot are.
    pub(crate) fn groups(&self, slot: u16) -> usize {
        match self.slots.get(usize::from(slot)) {
            Some(Slot::Many(groups)) => groups.groups.len(),
            _ => 1,
        }
    }

    /// In which of them a key with this hash is.
    pub(crate) fn group_of(&self, slot: u16, hash: u64) -> usize {
        group_of(hash_of(part_of(hash)), self.groups(slot))
    }

    /// The group in which a walk over a slot goes on at `place`, and the place at which it goes on behind that group; [`WALK_END`]: nowhere.
    /// Groups that are split or merged meanwhile change nothing: each has all places from one to another.
    pub(crate) fn group_at(&self, slot: u16, place: u32) -> (usize, u32) {
        let n = self.groups(slot);
        let group = group_of(mirror(place), n);
        let half = n.next_power_of_two() / 2;
        let mut bits = n.next_power_of_two().trailing_zeros();
        if group < half && group + half >= n {
            // Its other half has not been split off yet.
            bits -= 1;
        }
        let size = 1 << (HASH_BITS - bits.min(HASH_BITS));
        (group, (place & !(size - 1)) + size)
    }

    /// The lowest `bits` bits, [`HASH_BITS`] at the most, of the hashes of a group, each once and in order.
    pub(crate) fn low_bits(&self, slot: u16, group: usize, bits: u32) -> Vec<u64> {
        let mask = (1u64 << bits.min(HASH_BITS)) - 1;
        let hashes = self.group(slot, group).iter();
        let mut low: Vec<u64> = hashes.map(|p| u64::from(hash_of(*p)) & mask).collect();
        low.sort_unstable();
        low.dedup();
        low
    }

    /// Bytes that it takes.
    pub(crate) fn mem_usage(&self) -> usize {
        let of = |g: &Group| g.capacity() * size_of::<Part>();
        let heap = self.slots.iter().map(|s| match s {
            Slot::Handful(..) => 0,
            Slot::Few(group) => of(group),
            Slot::Many(groups) => {
                let lists: usize = groups.groups.iter().map(of).sum();
                size_of::<Groups>() + groups.groups.capacity() * size_of::<Group>() + lists
            }
        });
        self.slots.len() * size_of::<Slot>() + heap.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_handful_takes_no_more_than_an_empty_list() {
        assert_eq!(size_of::<Slot>(), size_of::<Group>());
    }

    fn all(index: &SlotIndex, slot: u16) -> Vec<u64> {
        let groups = 0..index.groups(slot);
        let mut seen: Vec<u64> = groups
            .flat_map(|g| {
                let low = index.low_bits(slot, g, HASH_BITS);
                assert!(low.iter().all(|h| index.group_of(slot, *h) == g));
                low
            })
            .collect();
        seen.sort_unstable();
        seen
    }

    #[test]
    fn many_keys_of_one_slot_come_and_go() {
        let mut index = SlotIndex::new(4);
        let n = crate::ds::effort::of(20_000, 1500) as u64;
        let hash = |i: u64| i.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 13;
        for i in 0..n {
            index.add(2, hash(i));
            assert_eq!(index.len(2), i as usize + 1);
        }
        let mut expected: Vec<u64> = (0..n).map(|i| hash(i) & 0xff_ffff).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(all(&index, 2), expected);
        assert!(
            index.mem_usage() < n as usize * 7 / 2 + 2000,
            "{}",
            index.mem_usage()
        );
        assert!(index.low_bits(2, 0, 3).iter().all(|h| *h < 8));
        for i in 0..n {
            index.remove(2, hash(i));
        }
        assert_eq!((index.len(2), all(&index, 2).len()), (0, 0));
        assert_eq!(index.mem_usage(), 4 * size_of::<Slot>());
        // A slot that there is not has no keys.
        index.add(9, 1);
        assert_eq!(index.len(9), 0);
    }

    proptest! {
        #![proptest_config(crate::ds::effort::cases(ProptestConfig::default(), 1))]
        #[test]
        fn it_counts_as_a_model_does(ops in proptest::collection::vec((any::<bool>(), 0u16..3, 0u64..400), 0..crate::ds::effort::of(4000, 60))) {
            let mut index = SlotIndex::new(3);
            let mut model: BTreeMap<(u16, u64), usize> = BTreeMap::new();
            for (add, slot, h) in ops {
                let count = model.entry((slot, h)).or_default();
                // The upper bits do not matter.
                let hash = h | h << 40;
                if add {
                    index.add(slot, hash);
                    *count += 1;
                } else if *count > 0 {
                    index.remove(slot, hash);
                    *count -= 1;
                }
            }
            for slot in 0..3 {
                let mine = model.iter().filter(|((s, _), n)| *s == slot && **n > 0);
                let (hashes, counts): (Vec<u64>, Vec<usize>) = mine.map(|((_, h), n)| (*h, *n)).unzip();
                prop_assert_eq!(index.len(slot), counts.iter().sum::<usize>());
                prop_assert_eq!(all(&index, slot), hashes);
            }
        }
    }
}
