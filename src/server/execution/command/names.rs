//! What a command is called: its number in the running server, and the way from a name to it, in any case and without a
//! copy.

use std::borrow::Cow;

/// A command or subcommand of the running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CommandId(pub u16);

/// "No command", "no parent", "no name to compare": an id that is never given out.
pub(super) const NONE: u16 = u16::MAX;

impl CommandId {
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A name that leads to a command.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Lower case.
    pub(super) name: Cow<'static, [u8]>,
    /// The container of a subcommand, else `NONE`.
    pub(super) parent: u16,
    pub(super) id: u16,
}

/// Open addressing over (parent, name). The hash and the comparison work on two words that hold the name with bit 5 of
/// every byte set. For names of up to 16 letters the words hold all of the name, and equal words mean equal names up to
/// case: only `a`..`z` and `A`..`Z` become letters when bit 5 is set. Other names are compared byte by byte besides.
#[derive(Debug)]
pub(super) struct NameIndex {
    /// A power of two of them, at most a quarter full, so that every probe ends at an empty one.
    slots: Box<[Slot]>,
    pub(super) entries: Vec<Entry>,
}

/// 24 bytes.
#[derive(Clone, Copy, Debug)]
struct Slot {
    words: (u64, u64),
    /// Parent and length of the name.
    tag: u32,
    /// `NONE` in an empty slot.
    id: u16,
    /// The entry whose name has to be compared, or `NONE` where words and tag suffice.
    entry: u16,
}

const CASE_BITS: u64 = 0x2020_2020_2020_2020;

/// The case-folded words of a name. Of names longer than 16 bytes the middle is missing.
#[inline]
fn fold(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (
            u64::from_le_bytes(*head) | CASE_BITS,
            u64::from_le_bytes(*tail) | CASE_BITS,
        )
    } else if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (
            u64::from(u32::from_le_bytes(*head)) | CASE_BITS,
            u64::from(u32::from_le_bytes(*tail)) | CASE_BITS,
        )
    } else if let [first, .., last] = *name {
        let mid = name[name.len() / 2];
        let word = u64::from(first) | u64::from(mid) << 8 | u64::from(last) << 16;
        (word | CASE_BITS, 0)
    } else {
        (u64::from(name.first().copied().unwrap_or(0)) | CASE_BITS, 0)
    }
}

#[inline]
fn tag_of(parent: u16, name: &[u8]) -> u32 {
    // Lengths that do not fit share a tag; the words of such names never suffice.
    u32::from(parent) << 16 | name.len().min(0xffff) as u32
}

#[inline]
fn hash(words: (u64, u64), tag: u32) -> u64 {
    let h = (words.0 ^ u64::from(tag)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ words.1.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    h ^ h >> 32
}

impl NameIndex {
    pub(super) fn new(entries: Vec<Entry>) -> NameIndex {
        let empty = Slot {
            words: (0, 0),
            tag: 0,
            id: NONE,
            entry: NONE,
        };
        let mut slots =
            vec![empty; (entries.len() * 4).next_power_of_two().max(16)].into_boxed_slice();
        let mask = slots.len() - 1;
        for (n, e) in entries.iter().enumerate() {
            let words = fold(&e.name);
            let tag = tag_of(e.parent, &e.name);
            let exact = e.name.len() <= 16 && e.name.iter().all(u8::is_ascii_lowercase);
            let mut at = hash(words, tag) as usize & mask;
            while slots[at].id != NONE {
                at = (at + 1) & mask;
            }
            slots[at] = Slot {
                words,
                tag,
                id: e.id,
                entry: if exact { NONE } else { n as u16 },
            };
        }
        NameIndex { slots, entries }
    }

    #[inline]
    pub(super) fn find(&self, parent: u16, name: &[u8]) -> Option<CommandId> {
        let words = fold(name);
        let tag = tag_of(parent, name);
        let mask = self.slots.len() - 1;
        let mut at = hash(words, tag) as usize & mask;
        loop {
            let slot = self.slots.get(at)?;
            if slot.id == NONE {
                return None;
            }
            if slot.words == words && slot.tag == tag {
                if slot.entry == NONE {
                    return Some(CommandId(slot.id));
                }
                return self.find_by_comparison(at, words, tag, name);
            }
            at = (at + 1) & mask;
        }
    }

    /// `find` from slot `at` on, for names that their words do not determine. Apart, so that the probing above has no call
    /// in its loop.
    #[cold]
    #[inline(never)]
    fn find_by_comparison(
        &self,
        mut at: usize,
        words: (u64, u64),
        tag: u32,
        name: &[u8],
    ) -> Option<CommandId> {
        let mask = self.slots.len() - 1;
        loop {
            let slot = self.slots.get(at)?;
            if slot.id == NONE {
                return None;
            }
            if slot.words == words
                && slot.tag == tag
                && (slot.entry == NONE || self.has_name(slot.entry, name))
            {
                return Some(CommandId(slot.id));
            }
            at = (at + 1) & mask;
        }
    }

    fn has_name(&self, entry: u16, name: &[u8]) -> bool {
        let same = |(own, byte): (&u8, &u8)| *own == byte.to_ascii_lowercase();
        self.entries
            .get(usize::from(entry))
            .is_some_and(|e| e.name.len() == name.len() && e.name.iter().zip(name).all(same))
    }
}
