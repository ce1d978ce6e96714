//! Which hash slots this node serves, in the form that every request asks for it: one look for a short key.
//!
//! Invariant: it says what `Cluster` says of the owners of slots; `Cluster` alone changes it. Must not know: who serves the others, and what
//! else may be in the way of a request.

use std::cell::Cell;
use std::rc::Rc;

use crate::base::key_slot::{CLUSTER_SLOTS, KeySlots, SeveralSlots};

/// See the head of the file.
pub(crate) struct Home {
    mine: [Cell<bool>; CLUSTER_SLOTS],
    slots: KeySlots,
}

impl Home {
    /// That of a node without slots.
    pub(super) fn new() -> Rc<Home> {
        Rc::new(Home {
            mine: [const { Cell::new(false) }; CLUSTER_SLOTS],
            slots: KeySlots::new(),
        })
    }

    pub(super) fn set(&self, slot: u16, mine: bool) {
        debug_assert!(usize::from(slot) < CLUSTER_SLOTS);
        self.mine[usize::from(slot) % CLUSTER_SLOTS].set(mine);
    }

    /// Whether this node serves a slot.
    #[inline]
    pub(crate) fn has(&self, slot: u16) -> bool {
        self.mine[usize::from(slot) % CLUSTER_SLOTS].get()
    }

    /// This node serves the slot of the key that is `text[start..end]`. False too where that is outside of the text.
    #[inline(always)]
    pub(crate) fn has_key_in(&self, text: &[u8], span: (u32, u32)) -> bool {
        let has = self.slots.with(text, span, |slot| self.has(slot));
        has == Some(true)
    }

    /// The slot of a key.
    #[inline]
    pub(crate) fn slot_of(&self, key: &[u8]) -> u16 {
        self.slots.of(key)
    }

    /// See [`KeySlots::of_all`].
    #[inline(always)]
    pub(crate) fn slot_of_all<'a>(
        &self,
        keys: impl Iterator<Item = (&'a [u8], (u32, u32))>,
    ) -> Result<Option<u16>, SeveralSlots> {
        self.slots.of_all(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::key_slot::key_hash_slot;

    #[test]
    fn a_key_is_at_home_where_its_slot_is() {
        let home = Home::new();
        let in_text = |key: &[u8]| {
            let text = [&[b'{'; 16], key].concat();
            home.has_key_in(&text, (16, text.len() as u32))
        };
        let keys = [
            &b"user"[..],
            b"",
            b"u",
            b"key:000000000001",
            b"{user}1",
            b"1{",
            b"more than sixteen {bytes}",
        ];
        for key in keys {
            assert!(!in_text(key));
            home.set(key_hash_slot(key), true);
            assert!(in_text(key));
            home.set(key_hash_slot(key), false);
        }
        for slot in 0..CLUSTER_SLOTS as u16 {
            home.set(slot, true);
        }
        assert!(keys.into_iter().all(in_text));
        assert!(!home.has_key_in(b"a key", (2, 6)));
    }
}
