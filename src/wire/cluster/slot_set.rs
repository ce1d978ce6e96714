//! A set of hash slots, as the bus carries it: a bit each, the lowest bit of a byte first (bitmapTestBit and its kin).
//!
//! Invariant: `len` is the number of bits that are set.

use std::ops::RangeInclusive;

use super::format::SLOT_BYTES;
use crate::base::key_slot::CLUSTER_SLOTS;

/// The bits as they stand in a message.
pub(crate) type SlotBits = [u8; SLOT_BYTES];

/// Whether a slot is in a map.
#[inline]
pub(crate) fn has_slot(bits: &SlotBits, slot: u16) -> bool {
    bits[usize::from(slot) / 8] & 1 << (slot % 8) != 0
}

/// The slots of a map, in order.
pub(crate) fn slots_of(bits: &SlotBits) -> impl Iterator<Item = u16> {
    let some = bits.iter().enumerate().filter(|(_, byte)| **byte != 0);
    some.flat_map(|(i, byte)| {
        let byte = *byte;
        (0..8u16)
            .filter(move |bit| byte & 1 << bit != 0)
            .map(move |bit| i as u16 * 8 + bit)
    })
}

#[derive(Clone)]
pub(crate) struct SlotSet {
    bits: Box<SlotBits>,
    len: usize,
}

impl Default for SlotSet {
    fn default() -> SlotSet {
        SlotSet {
            bits: Box::new([0; SLOT_BYTES]),
            len: 0,
        }
    }
}

impl SlotSet {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn contains(&self, slot: u16) -> bool {
        has_slot(&self.bits, slot)
    }

    /// False when it was there.
    pub(crate) fn insert(&mut self, slot: u16) -> bool {
        let new = !self.contains(slot);
        self.bits[usize::from(slot) / 8] |= 1 << (slot % 8);
        self.len += usize::from(new);
        new
    }

    /// False when it was not there.
    pub(crate) fn remove(&mut self, slot: u16) -> bool {
        let was = self.contains(slot);
        self.bits[usize::from(slot) / 8] &= !(1 << (slot % 8));
        self.len -= usize::from(was);
        was
    }

    pub(crate) fn bits(&self) -> &SlotBits {
        &self.bits
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> {
        slots_of(&self.bits)
    }

    /// The set as ranges, first and last slot of each.
    pub(crate) fn ranges(&self) -> Vec<(u16, u16)> {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for slot in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == slot => *last = slot,
                _ => ranges.push((slot, slot)),
            }
        }
        ranges
    }

    /// The ranges as text, `0-5` or `9-9` each.
    pub(crate) fn text(&self, separator: &str) -> String {
        let ranges = self.ranges();
        let texts: Vec<String> = ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
        texts.join(separator)
    }

    /// The slots of a text such as `0-5,9`. None: it is none.
    pub(crate) fn parse(text: &str) -> Option<SlotSet> {
        let mut slots = SlotSet::default();
        for range in text.split(',') {
            for slot in slot_range(range)? {
                slots.insert(slot);
            }
        }
        Some(slots)
    }
}

/// A slot or a range as nodes.conf has it, `9` or `0-5`. None: it is neither.
pub(crate) fn slot_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(parse_slot(first)?..=parse_slot(last)?)
}

/// The text of a number as a slot.
pub(crate) fn parse_slot(text: &str) -> Option<u16> {
    slot_of(text.parse().ok()?)
}

/// A number as a slot.
pub(crate) fn slot_of(n: i64) -> Option<u16> {
    u16::try_from(n)
        .ok()
        .filter(|s| usize::from(*s) < CLUSTER_SLOTS)
}
