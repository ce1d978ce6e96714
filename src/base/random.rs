//! Random bytes: run ids and the like from SHA-1 in counter mode, and a fast generator for sampling.
//!
//! `RandomSource` hashes a seed from `/dev/urandom` together with a counter; where the device cannot be read, it makes do
//! with the clock, the process id and whatever entropy the standard library's hasher keys hold, and tries the device
//! again on the next call. Good for names that must not collide, not for secrets.
//!
//! Invariants: no hidden state: whoever wants randomness owns a source; asking never fails and never blocks for long.
//! Must not know: what the bytes are for.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha1::{Digest, Sha1};

/// Bytes of a run id, a replication id, a node name (server.h's CONFIG_RUN_ID_SIZE).
pub(crate) const CONFIG_RUN_ID_SIZE: usize = 40;

const SEED_SIZE: usize = 64;
const DIGEST_SIZE: usize = 20;

/// A stream of random bytes. One belongs to the server.
#[derive(Debug)]
pub(crate) struct RandomSource {
    path: PathBuf,
    seed: [u8; SEED_SIZE],
    /// Whether the seed came from the device; a weak one is made anew on every call.
    seeded: bool,
    /// Number of blocks made so far.
    counter: u64,
}

impl RandomSource {
    /// Seeded from `/dev/urandom` on first use.
    pub(crate) fn new() -> Self {
        RandomSource::from_path("/dev/urandom")
    }

    /// Seeded from the first 64 bytes of the file at `path`, on first use.
    pub(crate) fn from_path(path: impl AsRef<Path>) -> Self {
        RandomSource {
            path: path.as_ref().to_owned(),
            seed: [0; SEED_SIZE],
            seeded: false,
            counter: 0,
        }
    }

    /// Fills `buf` with random bytes. util.c.
    pub(crate) fn get_random_bytes(&mut self, buf: &mut [u8]) {
        if !self.seeded {
            let mut seed = [0; SEED_SIZE];
            if File::open(&self.path)
                .and_then(|mut f| f.read_exact(&mut seed))
                .is_ok()
            {
                self.seed = seed;
                self.seeded = true;
            } else {
                self.weak_seed();
            }
        }
        for part in buf.chunks_mut(DIGEST_SIZE) {
            let digest = Sha1::new()
                .chain_update(self.seed)
                .chain_update(self.counter.to_le_bytes())
                .finalize();
            self.counter = self.counter.wrapping_add(1);
            part.copy_from_slice(&digest[..part.len()]);
        }
    }

    /// Fills `buf` with the characters `0` to `9` and `a` to `f`. util.c.
    pub(crate) fn get_random_hex_chars(&mut self, buf: &mut [u8]) {
        self.get_random_bytes(buf);
        for b in buf {
            *b = b"0123456789abcdef"[usize::from(*b & 0x0f)];
        }
    }

    /// A new run id: 40 hex characters.
    pub(crate) fn run_id(&mut self) -> [u8; CONFIG_RUN_ID_SIZE] {
        let mut id = [0; CONFIG_RUN_ID_SIZE];
        self.get_random_hex_chars(&mut id);
        id
    }

    /// 64 random bits, for a hash key or a `Prng`'s seed.
    pub(crate) fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.get_random_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn weak_seed(&mut self) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut mix = Prng::new(
            now.as_secs().rotate_left(32)
                ^ u64::from(now.subsec_nanos())
                ^ u64::from(std::process::id()).rotate_left(48)
                ^ RandomState::new().build_hasher().finish(),
        );
        for part in self.seed.chunks_exact_mut(8) {
            part.copy_from_slice(&mix.next_u64().to_le_bytes());
        }
    }
}

impl Default for RandomSource {
    fn default() -> Self {
        RandomSource::new()
    }
}

/// xoshiro256++ (Blackman and Vigna, 2019): for eviction and RANDOMKEY samples. Same seed, same numbers.
#[derive(Clone, Debug)]
pub(crate) struct Prng {
    state: [u64; 4],
}

impl Prng {
    /// Expands `seed` with splitmix64, as the authors advise.
    pub(crate) fn new(seed: u64) -> Self {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        };
        Prng {
            state: [next(), next(), next(), next()],
        }
    }

    /// 64 random bits.
    #[inline]
    pub(crate) fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let c = c ^ a;
        let d = d ^ b;
        self.state = [a ^ d, b ^ c, c ^ b << 17, d.rotate_left(45)];
        result
    }

    /// A number below `bound` (0 when `bound` is 0), by multiplication: the bias is below `bound / 2^64`.
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// `below` for indices.
    #[inline]
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A double in `[0, 1)` with 53 random bits.
    #[inline]
    pub(crate) fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Chooses so many of so many in one pass, each subset with the same chance (Knuth's selection sampling).
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    left: usize,
    wanted: usize,
}

impl Selection {
    /// Chooses `wanted` of `all`; all of them when that is more.
    pub(crate) fn new(all: usize, wanted: usize) -> Selection {
        Selection { left: all, wanted }
    }

    /// Whether the next one is chosen. To be asked once for each.
    #[inline]
    pub(crate) fn takes(&mut self, prng: &mut Prng) -> bool {
        let taken = self.wanted > 0 && prng.index(self.left) < self.wanted;
        self.left = self.left.saturating_sub(1);
        self.wanted -= usize::from(taken);
        taken
    }

    /// Whether all that are wanted have been chosen.
    pub(crate) fn is_done(&self) -> bool {
        self.wanted == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn run_ids_are_hex_and_differ() {
        let mut source = RandomSource::new();
        let mut other = RandomSource::new();
        let mut seen = HashSet::new();
        for _ in 0..500 {
            for id in [source.run_id(), other.run_id()] {
                assert!(id.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn the_weak_seed_serves() {
        let mut source = RandomSource::from_path("/nonexistent/urandom");
        let (a, b) = (source.run_id(), source.run_id());
        assert_ne!(a, b);
        assert!(!source.seeded);
        assert_ne!(RandomSource::from_path("/nonexistent").run_id(), a);
        // A file that is too short is as bad as none.
        let mut source = RandomSource::from_path("/dev/null");
        assert_ne!(source.run_id(), source.run_id());
        assert!(!source.seeded);
    }

    #[test]
    fn the_stream_is_sha1_of_seed_and_counter() {
        let mut source = RandomSource::from_path("/dev/zero");
        let mut bytes = [0; 50];
        source.get_random_bytes(&mut bytes);
        assert!(source.seeded);
        let block = |n: u64| {
            Sha1::new()
                .chain_update([0; 64])
                .chain_update(n.to_le_bytes())
                .finalize()
        };
        assert_eq!(bytes[..20], block(0)[..]);
        assert_eq!(bytes[20..40], block(1)[..]);
        assert_eq!(bytes[40..], block(2)[..10]);
        source.get_random_bytes(&mut []);
        let mut more = [0; 20];
        source.get_random_bytes(&mut more);
        assert_eq!(more[..], block(3)[..]);
    }

    #[test]
    fn xoshiro_reference() {
        // From the state 1, 2, 3, 4: the published implementation's first numbers.
        let mut prng = Prng {
            state: [1, 2, 3, 4],
        };
        let got: Vec<u64> = (0..4).map(|_| prng.next_u64()).collect();
        assert_eq!(
            got,
            [41943041, 58720359, 3588806011781223, 3591011842654386]
        );
    }

    #[test]
    fn selections_are_exact_and_fair() {
        let mut prng = Prng::new(3);
        for (all, wanted) in [(10, 0), (10, 1), (10, 5), (10, 9), (10, 10)] {
            let mut hits = [0u32; 10];
            for _ in 0..10_000 {
                let mut s = Selection::new(all, wanted);
                let mut taken = 0;
                for h in &mut hits {
                    let t = s.takes(&mut prng);
                    *h += u32::from(t);
                    taken += usize::from(t);
                }
                assert!(taken == wanted && s.is_done());
            }
            let expected = 1000.0 * wanted as f64;
            let good = |n: &u32| (f64::from(*n) - expected).abs() < 250.0;
            assert!(hits.iter().all(good), "{wanted}: {hits:?}");
        }
    }

    #[test]
    fn bounds() {
        let mut prng = Prng::new(7);
        let mut hits = [0u32; 10];
        for _ in 0..10_000 {
            hits[prng.index(10)] += 1;
            let unit = prng.unit_f64();
            assert!((0.0..1.0).contains(&unit));
        }
        assert!(hits.iter().all(|n| (800..1200).contains(n)), "{hits:?}");
        assert_eq!(prng.below(0), 0);
        assert_eq!(prng.below(1), 0);
    }
}
