//! `--test-memory`: patterns are written over as much memory as was asked for, and read back (memtest of memtest.c).
//!
//! It tests what the allocator gives: other memory than a server would have, and no address of the machine twice. An error is one
//! for sure; none is no proof.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

/// Passes over all of it: an address in each word, its complement, two checkerboards, two of random bits.
const PASSES: u32 = 3;

/// The word at a place, by pattern.
fn pattern(n: u32, i: usize, pass: u32) -> u64 {
    let i = i as u64;
    match n {
        0 => i,
        1 => !i,
        2 => 0x5555_5555_5555_5555,
        3 => 0xaaaa_aaaa_aaaa_aaaa,
        n => {
            // A mixer (splitmix64): neighbours have nothing in common.
            let mut z = i
                .wrapping_add(u64::from(pass * 2 + n) << 40)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z ^ (z >> 31)
        }
    }
}

/// Writes and reads every pattern; how many words were not what was written.
fn test_words(words: &mut [u64], pass: u32) -> u64 {
    let mut errors = 0;
    for n in 0..6 {
        for (i, w) in words.iter_mut().enumerate() {
            *w = pattern(n, i, pass);
        }
        // What is read is what is in memory, as far as the compiler knows.
        let words = black_box(&mut *words);
        errors += words
            .iter()
            .enumerate()
            .filter(|(i, w)| **w != pattern(n, *i, pass))
            .count() as u64;
    }
    errors
}

/// Tests so many megabytes; returns the exit code.
pub(crate) fn memtest(megabytes: u64) -> i32 {
    let words = megabytes.saturating_mul(1 << 20) / 8;
    let mut memory: Vec<u64> = Vec::new();
    let room = usize::try_from(words).ok();
    let Some(words) = room.filter(|n| *n > 0 && memory.try_reserve_exact(*n).is_ok()) else {
        eprintln!("Unable to allocate {megabytes} megabytes");
        return 1;
    };
    memory.resize(words, 0);
    let began = Instant::now();
    let mut errors = 0;
    for pass in 1..=PASSES {
        print!("Testing {megabytes} megabytes, pass {pass} of {PASSES} ...");
        let _ = std::io::stdout().flush();
        errors += test_words(&mut memory, pass);
        println!(" {errors} errors so far, {} s", began.elapsed().as_secs());
    }
    if errors > 0 {
        println!("\nThe memory does not keep what is written to it: {errors} words were wrong.");
        return 1;
    }
    println!("\nYour memory passed this test.");
    println!("If in doubt, test it from outside of the running system: memtest86+ sees all of it.");
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_memory_has_no_errors_and_patterns_differ() {
        let mut words = vec![0; 4096];
        assert_eq!(test_words(&mut words, 1), 0);
        for i in [0, 1, 77] {
            let all: Vec<u64> = (0..6).map(|n| pattern(n, i, 1)).collect();
            assert!(
                all.iter().enumerate().all(|(a, v)| !all[..a].contains(v)),
                "{all:?}"
            );
        }
        assert_ne!(pattern(4, 9, 1), pattern(4, 9, 2));
    }
}
