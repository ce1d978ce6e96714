//! The allocator: jemalloc, and how much of it is in use.
//!
//! Counting costs nothing a call: jemalloc keeps, for each thread, the bytes it has handed out and taken back, by size
//! class; the threads of this process register where theirs are, and [`used_memory`] adds them up. A sum over few threads
//! is what zmalloc_used_memory is upstream.
//!
//! Under Miri, which runs no C code, and under a fuzzer, whose sanitizer must see each allocation, the system's allocator takes
//! jemalloc's place, and nobody asks for statistics.

use std::alloc::{GlobalAlloc, Layout};
use std::convert::Infallible;
use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

#[cfg(not(any(miri, fuzzing)))]
use tikv_jemalloc_sys as jemalloc;
#[cfg(not(any(miri, fuzzing)))]
use tikv_jemallocator::Jemalloc as Source;

#[cfg(any(miri, fuzzing))]
mod absent;
mod class;
#[cfg(any(miri, fuzzing))]
use absent as jemalloc;
#[cfg(any(miri, fuzzing))]
use std::alloc::System as Source;

pub(crate) use class::size_class;

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// The source, which notes what it could not give: the end that follows (`handle_alloc_error` aborts) is reported with it. It is
/// a note only, since a caller may know what to do instead (`try_reserve`).
struct Noting;

/// Size of the request that failed last, in bytes; 0: none has.
static FAILED_REQUEST: AtomicUsize = AtomicUsize::new(0);

#[cold]
fn note_failure(size: usize) -> *mut u8 {
    FAILED_REQUEST.store(size, Ordering::SeqCst);
    std::ptr::null_mut()
}

#[inline(always)]
fn noted(p: *mut u8, size: usize) -> *mut u8 {
    if p.is_null() { note_failure(size) } else { p }
}

// SAFETY: all is the source's own doing.
unsafe impl GlobalAlloc for Noting {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        noted(unsafe { Source.alloc(layout) }, layout.size())
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        noted(unsafe { Source.alloc_zeroed(layout) }, layout.size())
    }

    #[inline(always)]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract.
        unsafe { Source.dealloc(p, layout) }
    }

    #[inline(always)]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        noted(unsafe { Source.realloc(p, layout, size) }, size)
    }
}

/// The size of the request that failed last, in bytes, if one has failed.
pub(crate) fn failed_request() -> Option<usize> {
    Some(FAILED_REQUEST.load(Ordering::SeqCst)).filter(|size| *size > 0)
}

/// Address space that is kept for a report on the lack of it, in bytes. It costs no memory.
const RESERVE: usize = 16 << 20;
/// Where it is; 0: it is not kept.
static RESERVE_AT: AtomicUsize = AtomicUsize::new(0);

/// Keeps some address space back. Once, at the start.
pub(crate) fn keep_reserve() {
    if RESERVE_AT.load(Ordering::SeqCst) != 0 {
        return;
    }
    // SAFETY: a new mapping, of which nothing is ever read or written.
    let p = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            RESERVE,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if p != libc::MAP_FAILED {
        RESERVE_AT.store(p as usize, Ordering::SeqCst);
    }
}

/// Lets what was kept back be allocated.
pub(crate) fn release_reserve() {
    let at = RESERVE_AT.swap(0, Ordering::SeqCst);
    if at != 0 {
        // SAFETY: `keep_reserve` mapped it, and nobody else has its address; the swap lets one caller through.
        unsafe { libc::munmap(at as *mut c_void, RESERVE) };
    }
}

/// jemalloc reads this at its start. One arena does for one thread. Freed pages go back within a second or so. Slabs of the
/// classes that entries fall into are as large as jemalloc allows (512 regions): it keeps 128 bytes of its own for each slab,
/// which for a page of 128-byte entries is four bytes a key. The leaves of sorted sets and the chunks of their members (1,024 and
/// 2,048 bytes) come sixteen and eight to a slab for the same reason.
#[unsafe(export_name = "malloc_conf")]
static MALLOC_CONF: ConfPtr = ConfPtr(
    c"narenas:2,dirty_decay_ms:500,muzzy_decay_ms:0,\
      slab_sizes:16-16:2|32-32:4|48-48:6|64-64:8|80-80:10|96-96:12|112-112:14|128-128:16|160-160:20|192-192:24|256-256:16|\
      1024-1024:4|2048-2048:4"
        .as_ptr(),
);

#[repr(transparent)]
struct ConfPtr(#[allow(dead_code)] *const c_char);
// SAFETY: it points to a string literal.
unsafe impl Sync for ConfPtr {}

/// Threads that count; tests have more of them.
const THREADS: usize = if cfg!(test) { 1024 } else { 8 };

/// Where jemalloc counts what a thread was given, and what it gave back; null: nobody has this place.
struct Counter {
    allocated: AtomicPtr<u64>,
    deallocated: AtomicPtr<u64>,
}

/// Invariant: what a counter points to lives as long as the process.
static COUNTERS: [Counter; THREADS] = [const {
    Counter {
        allocated: AtomicPtr::new(std::ptr::null_mut()),
        deallocated: AtomicPtr::new(std::ptr::null_mut()),
    }
}; THREADS];
static REGISTERED: AtomicUsize = AtomicUsize::new(0);

/// Reads a pointer-sized value of jemalloc's control tree.
fn mallctl_read<T: Copy + Default>(name: &CStr) -> Option<T> {
    let mut value = T::default();
    let mut len = size_of::<T>();
    // SAFETY: the name is terminated, value and len describe a writable place of the right size; jemalloc checks the size.
    let rc = unsafe {
        jemalloc::mallctl(
            name.as_ptr(),
            (&raw mut value).cast(),
            &mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    (rc == 0 && len == size_of::<T>()).then_some(value)
}

/// Makes the allocations of the calling thread count.
///
/// # Safety
/// The thread must not end before the process does: its counters are read as long as there is a process.
unsafe fn register_thread() {
    let get = |name: &CStr| mallctl_read::<usize>(name);
    let (Some(a), Some(d)) = (get(c"thread.allocatedp"), get(c"thread.deallocatedp")) else {
        return;
    };
    let i = REGISTERED.fetch_add(1, Ordering::Relaxed);
    if let Some(counter) = COUNTERS.get(i) {
        let place = std::ptr::with_exposed_provenance_mut::<u64>;
        counter.deallocated.store(place(d), Ordering::Release);
        counter.allocated.store(place(a), Ordering::Release);
    }
}

/// Makes the allocations of the main thread count; of another one that calls this they do not.
pub(crate) fn register_main_thread() {
    if super::sys::is_main_thread() {
        // SAFETY: the process ends with its main thread, which nothing here ends but a return from `main`.
        unsafe { register_thread() };
    }
}

/// Makes the allocations of this thread count while it does `work`, which is the rest of its life.
pub(crate) fn work_for_ever(work: impl FnOnce() -> Infallible) -> ! {
    /// A panic would end the thread.
    struct Abort;
    impl Drop for Abort {
        fn drop(&mut self) {
            std::process::abort();
        }
    }
    let _abort = Abort;
    // SAFETY: `work` does not return, and does not unwind past `_abort`.
    unsafe { register_thread() };
    match work() {}
}

/// In a forked child, where this thread is the only one: what the others had in use is still that, and their counters are not
/// looked at any more.
pub(super) fn forget_other_threads() {
    static LAST: [[AtomicU64; 2]; THREADS] = [const { [const { AtomicU64::new(0) }; 2] }; THREADS];
    let mine = mallctl_read::<usize>(c"thread.allocatedp").unwrap_or(0);
    for (counter, last) in COUNTERS.iter().zip(&LAST) {
        if counter.allocated.load(Ordering::Relaxed).addr() != mine {
            for (place, last) in [&counter.allocated, &counter.deallocated]
                .into_iter()
                .zip(last)
            {
                last.store(counted(place), Ordering::Relaxed);
                place.store(last.as_ptr(), Ordering::Relaxed);
            }
        }
    }
}

/// One of jemalloc's counters, where there is one.
#[inline]
fn counted(place: &AtomicPtr<u64>) -> u64 {
    let place = place.load(Ordering::Acquire);
    if place.is_null() {
        return 0;
    }
    // SAFETY: it lives (invariant) and is aligned. Its thread, which alone writes it, does so with one move.
    unsafe { AtomicU64::from_ptr(place) }.load(Ordering::Relaxed)
}

impl Counter {
    /// Bytes that the thread was given, less those that it gave back; modulo 2^64.
    #[inline]
    fn in_use(&self) -> u64 {
        counted(&self.allocated).wrapping_sub(counted(&self.deallocated))
    }
}

/// Bytes in use, by jemalloc's size classes (zmalloc_used_memory).
#[inline]
pub(crate) fn used_memory() -> usize {
    let n = REGISTERED.load(Ordering::Relaxed).min(THREADS);
    let mut sum = 0u64;
    for c in &COUNTERS[..n] {
        sum = sum.wrapping_add(c.in_use());
    }
    if (sum as i64) < 0 { 0 } else { sum as usize }
}

/// The size class that a request of `size` bytes gets (malloc_usable_size of the result).
#[inline]
pub(crate) fn good_size(size: usize) -> usize {
    if size == 0 {
        return 0;
    }
    // SAFETY: nallocx only computes; size is not zero.
    unsafe { jemalloc::nallocx(size, 0) }
}

/// Allocations up to this size are moved by hand: jemalloc's quick ways of giving and taking cost a fifth of its `realloc`.
/// Larger ones may grow where they are, or move by their pages.
const MOVE_MAX: usize = 4096;

/// Makes an allocation larger or smaller, as `std::alloc::realloc`; only its first `used` bytes are kept.
///
/// # Safety
/// As `std::alloc::realloc`; `used` is at most the smaller of both sizes.
#[inline]
pub(crate) unsafe fn resize(p: *mut u8, old: Layout, new: Layout, used: usize) -> *mut u8 {
    // SAFETY: by the caller's word, `p` was allocated with `old`; `used` bytes lie within both.
    unsafe {
        if old.size().max(new.size()) > MOVE_MAX {
            return std::alloc::realloc(p, old, new.size());
        }
        let to = std::alloc::alloc(new);
        if !to.is_null() {
            std::ptr::copy_nonoverlapping(p, to, used);
            std::alloc::dealloc(p, old);
        }
        to
    }
}

/// jemalloc's own view, in bytes.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct AllocatorInfo {
    pub allocated: usize,
    pub active: usize,
    pub resident: usize,
}

/// Refreshes and reads the allocator's statistics (zmalloc_get_allocator_info).
pub(crate) fn allocator_info() -> AllocatorInfo {
    let mut epoch = 1u64;
    let mut len = size_of::<u64>();
    // SAFETY: "epoch" takes and gives a u64.
    unsafe {
        jemalloc::mallctl(
            c"epoch".as_ptr(),
            (&raw mut epoch).cast(),
            &mut len,
            (&raw mut epoch).cast(),
            size_of::<u64>(),
        );
    }
    let get = |name: &CStr| mallctl_read::<usize>(name).unwrap_or(0);
    AllocatorInfo {
        allocated: get(c"stats.allocated"),
        active: get(c"stats.active"),
        resident: get(c"stats.resident"),
    }
}

/// Lets pages go that have been unused for the decay time: an idle server allocates nothing, and jemalloc only looks when
/// something is allocated.
pub(crate) fn decay() {
    // SAFETY: "arena.4096.decay" (all arenas) takes and gives nothing.
    unsafe {
        jemalloc::mallctl(
            c"arena.4096.decay".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        );
    }
}

/// Lets pages go in a thread of the allocator's own, or in whichever thread allocates and frees (set_jemalloc_bg_thread). Not
/// before the process has forked to go into the background: a thread stays behind there. Where there is no thread to be had, nothing
/// changes.
pub(crate) fn set_background_thread(on: bool) {
    let mut on = on;
    // SAFETY: "background_thread" takes a bool.
    unsafe {
        jemalloc::mallctl(
            c"background_thread".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            (&raw mut on).cast(),
            size_of::<bool>(),
        );
    }
}

/// Gives what the calling thread keeps for its next allocations back to all: a thread that has freed much, and allocates little, would
/// keep a page here and there from being used.
pub(crate) fn flush_thread_cache() {
    // SAFETY: "thread.tcache.flush" takes and gives nothing.
    unsafe {
        jemalloc::mallctl(
            c"thread.tcache.flush".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        );
    }
}

/// Gives all unused pages back to the kernel (jemalloc_purge); false when the allocator refuses.
pub(crate) fn purge() -> bool {
    // SAFETY: "arena.4096.purge" (all arenas) takes and gives nothing.
    unsafe {
        jemalloc::mallctl(
            c"arena.4096.purge".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        ) == 0
    }
}

/// Takes a piece of jemalloc's report to the vector behind `text`.
extern "C" fn append_report(text: *mut c_void, piece: *const c_char) {
    if text.is_null() || piece.is_null() {
        return;
    }
    // SAFETY: `text` is the vector that malloc_stats handed over and nobody else uses meanwhile; `piece` is terminated.
    let (text, piece) = unsafe { (&mut *text.cast::<Vec<u8>>(), CStr::from_ptr(piece)) };
    text.extend_from_slice(piece.to_bytes());
}

/// The allocator's own report on all it keeps count of.
pub(crate) fn malloc_stats() -> Vec<u8> {
    let mut text: Vec<u8> = Vec::with_capacity(64 * 1024);
    // SAFETY: the callback gets the vector, which outlives the call; no options are given.
    unsafe {
        jemalloc::malloc_stats_print(
            Some(append_report),
            (&raw mut text).cast(),
            std::ptr::null(),
        );
    }
    text
}

/// Numbers of jemalloc's control tree that may be set; `*` stands for one part of a name. Whatever it takes for them, it keeps
/// to the contract of an allocator. There are others that take a pointer (`arenas.create`, `arena.*.dss`), or trust the number
/// (`tcache.destroy`).
const SETTABLE: &[&str] = &[
    "arena.*.dirty_decay_ms",
    "arena.*.muzzy_decay_ms",
    "arena.*.oversize_threshold",
    "arena.*.retain_grow_limit",
    "arenas.dirty_decay_ms",
    "arenas.muzzy_decay_ms",
    "background_thread",
    "epoch",
    "max_background_threads",
    "prof.active",
    "prof.gdump",
    "prof.reset",
    "prof.thread_active_init",
    "thread.arena",
    "thread.prof.active",
    "thread.tcache.enabled",
];

/// What it may be told to do. Others take allocations from under those who have them (`arena.*.reset`).
const TRIGGERS: &[&str] = &[
    "arena.*.decay",
    "arena.*.purge",
    "prof.reset",
    "stats.mutexes.reset",
    "thread.idle",
    "thread.peak.reset",
    "thread.tcache.flush",
];

/// Numbers that are made by being read: each read is an arena or a cache more, which stays.
const MADE_BY_READING: &[&str] = &[
    "arenas.create",
    "experimental.arenas_create_ext",
    "tcache.create",
];

/// Whether `name` is in the list.
fn is_listed(name: &CStr, list: &[&str]) -> bool {
    let parts = || name.to_bytes().split(|b| *b == b'.');
    list.iter().any(|listed| {
        let mut listed = listed.split('.');
        parts().all(|p| listed.next().is_some_and(|l| l == "*" || l.as_bytes() == p))
            && listed.next().is_none()
    })
}

/// Whether `name` is in the list.
///
/// # Errors
/// EPERM where it is not; ENOENT where jemalloc does not know it either.
fn allowed(name: &CStr, list: &[&str]) -> std::io::Result<()> {
    if is_listed(name, list) {
        return Ok(());
    }
    // The longest name has seven parts (CTL_MAX_DEPTH).
    let (mut mib, mut len) = ([0usize; 7], 7);
    // SAFETY: the name is terminated; `mib` has room for `len` numbers.
    let rc = unsafe { jemalloc::mallctlnametomib(name.as_ptr(), mib.as_mut_ptr(), &mut len) };
    let error = if rc == 0 { libc::EPERM } else { rc };
    Err(std::io::Error::from_raw_os_error(error))
}

/// A number of jemalloc's control tree, by name, and a new value for it if there is one (DEBUG MALLCTL). `None` is a value
/// that can only be written.
///
/// # Errors
/// There is no such name, or what it names is no number; EPERM: it is none that may be set, or reading it is an act.
pub(crate) fn mallctl_int(name: &CStr, new: Option<i64>) -> std::io::Result<Option<i64>> {
    let invalid = || std::io::Error::from_raw_os_error(libc::EINVAL);
    if name.to_bytes().ends_with(b"hooks") {
        // A pointer is no number.
        return Err(invalid());
    }
    if new.is_some() {
        allowed(name, SETTABLE)?;
    } else if is_listed(name, MADE_BY_READING) {
        return Err(std::io::Error::from_raw_os_error(libc::EPERM));
    }
    // Numbers have eight bytes, or four, and truths one; jemalloc says EINVAL when the size is another.
    for size in [8usize, 4, 1] {
        let ctl = |read: bool| {
            let mut old = 0i64;
            let mut value = new.unwrap_or(0);
            let mut len = size;
            let old_ptr = if read {
                &raw mut old
            } else {
                std::ptr::null_mut()
            };
            let len_ptr = if read {
                &raw mut len
            } else {
                std::ptr::null_mut()
            };
            let (new_ptr, new_len) = match new {
                Some(_) => (&raw mut value, size),
                None => (std::ptr::null_mut(), 0),
            };
            // SAFETY: the name is terminated; old and value have at least `size` bytes, of which jemalloc takes the first
            // on this little-endian machine; a null place is not used.
            let rc = unsafe {
                jemalloc::mallctl(
                    name.as_ptr(),
                    old_ptr.cast(),
                    len_ptr,
                    new_ptr.cast(),
                    new_len,
                )
            };
            (rc, old)
        };
        match ctl(true) {
            (0, old) => return Ok(Some(old)),
            (libc::EPERM, _) if new.is_some() && ctl(false).0 == 0 => return Ok(None),
            (libc::EINVAL, _) => {}
            (rc, _) => return Err(std::io::Error::from_raw_os_error(rc)),
        }
    }
    Err(invalid())
}

/// Names of jemalloc's control tree, or their ends, whose value is a text; of any other one the bytes would be no pointer.
const TEXTS: &[&str] = &[
    "version",
    "config.malloc_conf",
    "opt.dss",
    ".dss",
    "opt.junk",
    "opt.percpu_arena",
];

/// A text of jemalloc's control tree, by name (DEBUG MALLCTL-STR).
///
/// # Errors
/// There is no such name, or what it names is no text.
pub(crate) fn mallctl_str(name: &CStr) -> std::io::Result<String> {
    let is_text = TEXTS
        .iter()
        .any(|t| name.to_bytes().ends_with(t.as_bytes()));
    match mallctl_read::<usize>(name) {
        Some(p) if is_text && p != 0 => {
            // SAFETY: jemalloc gives a static, terminated string for these names.
            let text = unsafe { CStr::from_ptr(p as *const c_char) };
            Ok(text.to_string_lossy().into_owned())
        }
        _ => Err(std::io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// Does what a name of jemalloc's control tree stands for that has no value, as `thread.tcache.flush`.
///
/// # Errors
/// There is no such name, or it has a value; EPERM: it is nothing that may be done.
pub(crate) fn mallctl_trigger(name: &CStr) -> std::io::Result<()> {
    allowed(name, TRIGGERS)?;
    let (null, no_len) = (std::ptr::null_mut, std::ptr::null_mut());
    // SAFETY: the name is terminated; a name that needs a place for a value refuses to go without, or does nothing.
    let rc = unsafe { jemalloc::mallctl(name.as_ptr(), null(), no_len, null(), 0) };
    match rc {
        0 => Ok(()),
        rc => Err(std::io::Error::from_raw_os_error(rc)),
    }
}

/// What [`name`] has found out.
static NAME: OnceLock<String> = OnceLock::new();

/// What INFO calls `mem_allocator`.
pub(crate) fn name() -> &'static str {
    NAME.get_or_init(|| {
        let p = mallctl_read::<usize>(c"version").unwrap_or(0) as *const c_char;
        if p.is_null() {
            return "jemalloc".into();
        }
        // SAFETY: jemalloc's version is a static, terminated string.
        let v = unsafe { CStr::from_ptr(p) }.to_string_lossy();
        format!("jemalloc-{}", v.split('-').next().unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_tree_is_read_and_written_by_name() {
        let get = |name: &CStr| mallctl_int(name, None).ok().flatten();
        assert_eq!(get(c"arenas.page"), Some(4096));
        assert!(get(c"opt.narenas").is_some_and(|n| n == 2));
        assert!(get(c"config.stats").is_some_and(|n| n == 1));
        assert!(get(c"no.such.name").is_none());
        assert!(get(c"arena.0.extent_hooks").is_none());
        assert!(mallctl_int(c"epoch", Some(1)).is_ok());
        assert!(mallctl_int(c"arena.0.dirty_decay_ms", Some(500)).is_ok());
        assert!(mallctl_str(c"version").is_ok_and(|v| v.contains('.')));
        assert!(mallctl_str(c"opt.narenas").is_err());
        assert!(mallctl_trigger(c"thread.tcache.flush").is_ok());
        assert!(mallctl_trigger(c"no.such.name").is_err());
    }

    #[test]
    fn what_takes_a_pointer_or_frees_what_is_in_use_is_refused() {
        let error = |r: std::io::Result<()>| r.err().and_then(|e| e.raw_os_error());
        for name in [
            c"arena.0.dss",
            c"arena.0.name",
            c"arenas.create",
            c"arenas.lookup",
            c"experimental.hooks.install",
            c"tcache.destroy",
            c"tcache.flush",
            c"thread.arena.x",
            c"x.decay",
        ] {
            let e = error(mallctl_int(name, Some(64)).map(drop));
            assert!(
                matches!(e, Some(libc::EPERM | libc::ENOENT)),
                "{name:?} {e:?}"
            );
        }
        let arenas = || mallctl_int(c"arenas.narenas", None).ok().flatten();
        let before = arenas();
        for name in [c"arenas.create", c"tcache.create"] {
            let e = error(mallctl_int(name, None).map(drop));
            assert_eq!(e, Some(libc::EPERM), "{name:?}");
        }
        assert!(before.is_some() && arenas() == before);
        for name in [c"arena.0.reset", c"arena.1.destroy"] {
            assert_eq!(error(mallctl_trigger(name)), Some(libc::EPERM), "{name:?}");
        }
        assert_eq!(error(mallctl_trigger(c"arena.0.x")), Some(libc::ENOENT));
    }

    #[test]
    fn the_report_is_whole_and_pages_can_be_given_back() {
        let text = String::from_utf8_lossy(&malloc_stats()).into_owned();
        assert!(text.contains("Begin jemalloc statistics"), "{text}");
        assert!(text.contains("End jemalloc statistics"), "{text}");
        assert!(purge());
    }

    #[test]
    fn used_memory_follows_an_allocation() {
        let (to, from) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            work_for_ever(|| {
                // Of this thread alone: others allocate at the same time.
                let mine = mallctl_read::<usize>(c"thread.allocatedp");
                let place = |c: &&Counter| Some(c.allocated.load(Ordering::Acquire).addr()) == mine;
                let counter = COUNTERS.iter().find(place);
                let used = || counter.map_or(0, |c| c.in_use() as usize);
                let before = used();
                let v = vec![1u8; 10 << 20];
                let with = used();
                assert!(used_memory() > 0);
                drop(v);
                let _ = to.send((before, with, used()));
                loop {
                    std::thread::park();
                }
            })
        });
        let (before, with, after) = from.recv().expect("it has counted");
        // What this thread has freed for others makes it less than nothing.
        let grown = |from: usize, to: usize| to.wrapping_sub(from).cast_signed();
        assert!(grown(before, with) >= 10 << 20, "{before} {with}");
        assert!(grown(with, after) < -(9 << 20), "{after} {with}");
    }

    #[test]
    fn a_thread_that_may_end_is_not_counted() {
        // Tests run in threads of their own.
        let mine = mallctl_read::<usize>(c"thread.allocatedp").unwrap_or(0);
        register_main_thread();
        assert!(
            COUNTERS
                .iter()
                .all(|c| c.allocated.load(Ordering::Acquire).addr() != mine)
        );
    }

    #[test]
    fn size_classes_are_jemallocs() {
        assert_eq!(good_size(33), 48);
        for n in (1..70_000).chain((1..2000).map(|i| i * 100_003)) {
            assert_eq!(size_class(n), good_size(n), "{n}");
        }
        assert!(name().starts_with("jemalloc-5."));
    }
}
