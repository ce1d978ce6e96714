//! A quick test of the memory that a crashed process used (memtest_test_linux_anonymous_maps, memtest_preserving_test of
//! memtest.c): patterns are written over each stretch of it and read back, then what was there is put back.
//!
//! Invariants: only for a process that reports on its end, with all other threads stopped. Only pages that are in memory are
//! touched, never our own stack, nor what the C library and the kernel keep for this thread; signals wait meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use super::crash::freeze_other_threads;
use super::{PAGE_SIZE, is_saving_child};

/// Pages that are tested at a time.
const BLOCK_PAGES: usize = 256;
const BLOCK_WORDS: usize = BLOCK_PAGES * PAGE_SIZE / 8;
/// The most regions that are listed.
const MAX_REGIONS: usize = 4096;

/// How a test went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryTest {
    /// Bytes in memory that were tested, and words that did not keep what was written.
    pub bytes: u64,
    pub errors: u64,
    /// The time was up before all was tested.
    pub cut: bool,
}

/// What can be said while a test runs.
pub(crate) enum Progress {
    /// A region of this many bytes will be tested.
    Region { start: usize, bytes: usize },
    /// Another one is done, with errors or without.
    Tested { errors: bool },
}

/// The private anonymous mappings that can be written, from the text of /proc/self/maps, but those that hold an address of
/// `not`.
fn regions(maps: &str, not: [usize; 2]) -> Vec<(usize, usize)> {
    let hex = |s: &str| usize::from_str_radix(s, 16).ok();
    maps.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let (start, end) = (hex(start)?, hex(end)?);
            let anonymous = words.next()?.starts_with("rw-p")
                && words.nth(1)? == "00:00"
                && !matches!(words.nth(1), Some(name) if name.starts_with("[stack") || name.starts_with("[v"));
            (anonymous && !not.iter().any(|a| (start..end).contains(a))).then_some((start, end))
        })
        .take(MAX_REGIONS)
        .collect()
}

/// Copies word by word: the C library's own copying may use variables that are among the words.
fn copy_words(from: &[u64], to: &mut [u64]) {
    for (from, to) in from.iter().zip(to) {
        let (from, to): (*const u64, *mut u64) = (from, to);
        // SAFETY: both come from references.
        unsafe { to.write_volatile(from.read_volatile()) };
    }
}

/// Tests words that only this thread uses, and puts their contents back. Returns how many failed.
fn test_words(words: &mut [u64], keep: &mut [u64]) -> u64 {
    copy_words(words, keep);
    let mut errors = 0;
    let patterns: [fn(u64) -> u64; 4] = [
        |address| address,
        |address| !address,
        |_| 0x5555_5555_5555_5555,
        |_| 0xaaaa_aaaa_aaaa_aaaa,
    ];
    for pattern in patterns {
        for w in words.iter_mut() {
            let p: *mut u64 = w;
            // SAFETY: p comes from a reference.
            unsafe { p.write_volatile(pattern(p as u64)) };
        }
        flush_caches(words);
        for w in words.iter() {
            let p: *const u64 = w;
            // SAFETY: as above.
            let got = unsafe { p.read_volatile() };
            errors += u64::from(got != pattern(p as u64));
        }
    }
    copy_words(keep, words);
    errors
}

/// What is read next comes from memory.
fn flush_caches(words: &[u64]) {
    #[cfg(target_arch = "x86_64")]
    for line in words.chunks(8) {
        // SAFETY: every x86-64 has the instruction; the address is valid.
        unsafe { std::arch::x86_64::_mm_clflush(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = words;
}

/// Calls `f` while signals wait.
fn without_signals<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: the sets are valid places.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) =
            (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let r = f();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        r
    }
}

/// Tests a region for as long as there is time.
fn test_region(start: usize, end: usize, keep: &mut [u64], until: Instant, t: &mut MemoryTest) {
    let mut resident = [0u8; BLOCK_PAGES];
    let mut at = start;
    while at < end {
        let pages = ((end - at) / PAGE_SIZE).min(BLOCK_PAGES);
        if Instant::now() >= until {
            t.cut = true;
            return;
        }
        // SAFETY: the vector has room for a byte a page; the kernel checks the range.
        let rc = unsafe {
            libc::mincore(
                at as *mut _,
                pages * PAGE_SIZE,
                resident.as_mut_ptr().cast(),
            )
        };
        let mut page = 0;
        while rc == 0 && page < pages {
            let run = resident[page..pages]
                .iter()
                .take_while(|r| **r & 1 != 0)
                .count();
            if run > 0 {
                let first = (at + page * PAGE_SIZE) as *mut u64;
                let len = run * PAGE_SIZE / 8;
                // SAFETY: the pages are mapped, readable and writable, and nobody else runs: the other threads stand still,
                // signals wait, and this thread keeps nothing there that it uses meanwhile: its stack and its own storage
                // are left out, `keep` was mapped after the list was made.
                let errors = without_signals(|| unsafe {
                    let words = std::slice::from_raw_parts_mut(first, len);
                    test_words(words, &mut keep[..len])
                });
                t.errors += errors;
                t.bytes += (len * 8) as u64;
            }
            page += run.max(1);
        }
        at += pages * PAGE_SIZE;
    }
}

/// A buffer of its own pages.
fn map_block() -> Option<&'static mut [u64]> {
    // SAFETY: a new anonymous mapping, zeroed, that nobody else knows and that is never unmapped.
    unsafe {
        let p = libc::mmap(
            std::ptr::null_mut(),
            BLOCK_WORDS * 8,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
            -1,
            0,
        );
        (p != libc::MAP_FAILED)
            .then(|| std::slice::from_raw_parts_mut(p.cast::<u64>(), BLOCK_WORDS))
    }
}

/// Tests the memory of this process for at most `time`, and says how it gets on. None: it cannot be done, since somebody else
/// runs in this memory.
pub(crate) fn fast_memory_test(
    time: Duration,
    mut progress: impl FnMut(Progress),
) -> Option<MemoryTest> {
    if is_saving_child() || !freeze_other_threads() {
        return None;
    }
    let until = Instant::now() + time;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    // SAFETY: always sound. The C library keeps what belongs to a thread, and what the kernel writes to, around this address.
    let storage = unsafe { libc::pthread_self() } as usize;
    let stack = (&raw const storage) as usize;
    let list = regions(&maps, [storage, stack]);
    drop(maps);
    let keep = map_block()?;
    for (start, end) in &list {
        progress(Progress::Region {
            start: *start,
            bytes: end - start,
        });
    }
    let mut t = MemoryTest::default();
    for (start, end) in &list {
        let before = t.errors;
        test_region(*start, *end, keep, until, &mut t);
        progress(Progress::Tested {
            errors: t.errors > before,
        });
        if t.cut {
            break;
        }
    }
    Some(t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_tested() {
        let maps = "55d0c000-55d0e000 rw-p 00000000 00:00 0                                  [heap]\n\
                    7f000000-7f001000 r--p 00000000 08:01 123 /lib/libc.so.6\n\
                    7f001000-7f002000 rw-p 00001000 08:01 123 /lib/libc.so.6\n\
                    7f002000-7f004000 rw-p 00000000 00:00 0 \n\
                    7f004000-7f005000 ---p 00000000 00:00 0 \n\
                    7f005000-7f006000 rw-s 00000000 00:01 9 /dev/zero (deleted)\n\
                    7f006000-7f008000 rw-p 00000000 00:00 0 [anon:arena]\n\
                    7f008000-7f00a000 rw-p 00000000 00:00 0 \n\
                    7ffd0000-7ffd9000 rw-p 00000000 00:00 0                          [stack]\n\
                    7ffdd000-7ffde000 r-xp 00000000 00:00 0                          [vdso]\n\
                    nonsense\n";
        assert_eq!(
            regions(maps, [0x7f00_9000, 0x7ffd_1000]),
            [
                (0x55d0_c000, 0x55d0_e000),
                (0x7f00_2000, 0x7f00_4000),
                (0x7f00_6000, 0x7f00_8000)
            ]
        );
    }

    #[test]
    fn a_test_leaves_what_was_there() {
        let mut words: Vec<u64> = (0..5000).map(|i| i * 0x9e37_79b9).collect();
        let before = words.clone();
        let mut keep = vec![0; words.len()];
        assert_eq!(test_words(&mut words, &mut keep), 0);
        assert_eq!(words, before);
        assert_eq!(keep, before);
    }

    #[test]
    fn not_in_a_process_that_goes_on() {
        assert_eq!(fast_memory_test(Duration::from_secs(1), |_| {}), None);
    }
}
