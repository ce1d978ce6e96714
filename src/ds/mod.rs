//! Data structures that the stores are made of. Floor 1: they know bytes and pointers, never a key's meaning, a client or a
//! clock. Each file states its own invariants; `unsafe` is confined to them.

pub mod field;
pub mod hll;
pub mod idmap;
pub mod intset;
pub mod listpack;
pub mod member;
pub mod ordered;
pub mod quicklist;
pub mod sbuf;
pub mod table;
pub mod ziplist;
pub mod zipmap;

/// Copies `from` to `to`, which is as long; without a call when that is a few dozen bytes.
#[inline(always)]
pub fn copy_short(to: &mut [u8], from: &[u8]) {
    match from.len() {
        8..=16 => copy_ends::<8>(to, from),
        17..=32 => copy_ends::<16>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Two moves that may overlap: `N` bytes at each end, which must be all of it.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk()) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn copies_of_all_lengths_are_whole() {
        let from: Vec<u8> = (1..=100).collect();
        for n in 0..from.len() {
            let mut to = vec![0; n];
            super::copy_short(&mut to, &from[..n]);
            assert_eq!(to, from[..n]);
        }
    }
}
