//! The sizes in which jemalloc gives memory.

/// `good_size`, computed here: jemalloc's classes are multiples of 16 up to 128, then four to each doubling. For values that
/// ask on every change. A test holds it against jemalloc; were it wrong, only memory would be wasted.
#[inline]
pub(crate) const fn size_class(size: usize) -> usize {
    if size <= 8 {
        return 8;
    }
    if size <= 128 {
        return (size + 15) & !15;
    }
    let step = 1usize << (size - 1).ilog2() >> 2;
    (size.saturating_add(step - 1)) & !(step - 1)
}
