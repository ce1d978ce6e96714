//! A word that is a pointer with other bits around its address, or bits alone.
//!
//! User space has 47 bits of addresses on the machines we run on, and allocations are aligned to eight bytes, so the bits around
//! the address are free. The word is kept as a pointer, not as a number: what it points to may be reached through it.

use std::ptr::NonNull;

/// The bits that an address may have.
pub(super) const ADDRESS: u64 = (1 << 48) - 1;

/// Its bytes in memory are the little-endian ones of [`Tagged::bits`], whatever the machine.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Tagged(NonNull<u8>);

const _: () = assert!(size_of::<Tagged>() == size_of::<u64>());

impl Tagged {
    /// Bits alone; not 0.
    #[inline]
    pub(super) fn of_bits(bits: u64) -> Tagged {
        let word = std::ptr::without_provenance_mut(bits.to_le() as usize);
        Tagged(NonNull::new(word).unwrap_or(NonNull::dangling()))
    }

    /// A pointer and what stands around its address: no bit in the place of one that `address` has.
    #[inline]
    pub(super) fn of_pointer(p: NonNull<u8>, bits: u64, address: u64) -> Tagged {
        debug_assert!(bits & address == 0);
        let word = p.as_ptr().map_addr(|a| {
            assert!(a as u64 & !address == 0, "an address beyond 48 bits");
            (a as u64 | bits).to_le() as usize
        });
        // SAFETY: an address is not zero.
        Tagged(unsafe { NonNull::new_unchecked(word) })
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u64 {
        u64::from_le(self.0.addr().get() as u64)
    }

    /// The pointer alone, out of the bits of `address`.
    ///
    /// # Safety
    /// There is one.
    #[inline(always)]
    pub(super) unsafe fn pointer(self, address: u64) -> NonNull<u8> {
        let p = self.0.as_ptr();
        let p = p.map_addr(|w| (u64::from_le(w as u64) & address) as usize);
        // SAFETY: by the caller's word it is the address of an allocation.
        unsafe { NonNull::new_unchecked(p) }
    }
}
