//! The allocator: jemalloc, and how much of it is in use.
//!
//! Counting costs nothing a call: jemalloc keeps, for each thread, the bytes it has handed out and taken back, by size
//! class; the threads of this process register where theirs are, and [`used_memory`] adds them up. A sum over few threads
//! is what zmalloc_used_memory is upstream.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// jemalloc, which notes what it could not give: the end that follows (`handle_alloc_error` aborts) is reported with it. It is
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

// SAFETY: all is jemalloc's own doing.
unsafe impl GlobalAlloc for Noting {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        noted(unsafe { Jemalloc.alloc(layout) }, layout.size())
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        noted(unsafe { Jemalloc.alloc_zeroed(layout) }, layout.size())
    }

    #[inline(always)]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract.
        unsafe { Jemalloc.dealloc(p, layout) }
    }

    #[inline(always)]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        noted(unsafe { Jemalloc.realloc(p, layout, size) }, size)
    }
}

/// The size of the request that failed last, in bytes, if one has failed.
pub fn failed_request() -> Option<usize> {
    Some(FAILED_REQUEST.load(Ordering::SeqCst)).filter(|size| *size > 0)
}

/// Address space that is kept for a report on the lack of it, in bytes. It costs no memory.
const RESERVE: usize = 16 << 20;
/// Where it is; 0: it is not kept.
static RESERVE_AT: AtomicUsize = AtomicUsize::new(0);

/// Keeps some address space back. Once, at the start.
pub fn keep_reserve() {
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
pub fn release_reserve() {
    let at = RESERVE_AT.swap(0, Ordering::SeqCst);
    if at != 0 {
        // SAFETY: `keep_reserve` mapped it, and nobody else has its address; the swap lets one caller through.
        unsafe { libc::munmap(at as *mut c_void, RESERVE) };
    }
}

/// jemalloc reads this at its start. One arena does for one thread. Freed pages go back within a second or so. Slabs of the
/// classes that entries fall into are as large as jemalloc allows (512 regions): it keeps 128 bytes of its own for each slab,
/// which for a page of 128-byte entries is four bytes a key.
#[unsafe(export_name = "malloc_conf")]
static MALLOC_CONF: ConfPtr = ConfPtr(
    c"narenas:2,dirty_decay_ms:500,muzzy_decay_ms:0,\
      slab_sizes:16-16:2|32-32:4|48-48:6|64-64:8|80-80:10|96-96:12|112-112:14|128-128:16|160-160:20|192-192:24|256-256:16"
        .as_ptr(),
);

#[repr(transparent)]
struct ConfPtr(#[allow(dead_code)] *const c_char);
// SAFETY: it points to a string literal.
unsafe impl Sync for ConfPtr {}

const THREADS: usize = 8;
static COUNTERS: [[AtomicPtr<u64>; 2]; THREADS] =
    [const { [const { AtomicPtr::new(std::ptr::null_mut()) }; 2] }; THREADS];
static REGISTERED: AtomicUsize = AtomicUsize::new(0);

/// Reads a pointer-sized value of jemalloc's control tree.
fn mallctl_read<T: Copy + Default>(name: &CStr) -> Option<T> {
    let mut value = T::default();
    let mut len = size_of::<T>();
    // SAFETY: the name is terminated, value and len describe a writable place of the right size; jemalloc checks the size.
    let rc = unsafe {
        tikv_jemalloc_sys::mallctl(
            name.as_ptr(),
            (&raw mut value).cast(),
            &mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    (rc == 0 && len == size_of::<T>()).then_some(value)
}

/// Makes the calling thread's allocations count. Call it once in each thread that allocates for long; a thread that is
/// registered must live as long as the process.
pub fn register_thread() {
    let get = |name: &CStr| mallctl_read::<usize>(name).map(|p| p as *mut u64);
    if let (Some(a), Some(d)) = (get(c"thread.allocatedp"), get(c"thread.deallocatedp")) {
        let i = REGISTERED.fetch_add(1, Ordering::Relaxed);
        if i < THREADS {
            COUNTERS[i][0].store(a, Ordering::Release);
            COUNTERS[i][1].store(d, Ordering::Release);
        }
    }
}

/// Bytes in use, by jemalloc's size classes (zmalloc_used_memory).
#[inline]
pub fn used_memory() -> usize {
    let n = REGISTERED.load(Ordering::Relaxed).min(THREADS);
    let mut sum = 0u64;
    for c in &COUNTERS[..n] {
        let (a, d) = (c[0].load(Ordering::Acquire), c[1].load(Ordering::Acquire));
        if !a.is_null() && !d.is_null() {
            // SAFETY: registered threads never end, so their counters live; a torn read is impossible for an aligned u64.
            let (a, d) = unsafe { (a.read_volatile(), d.read_volatile()) };
            sum = sum.wrapping_add(a).wrapping_sub(d);
        }
    }
    if (sum as i64) < 0 { 0 } else { sum as usize }
}

/// The size class that a request of `size` bytes gets (malloc_usable_size of the result).
#[inline]
pub fn good_size(size: usize) -> usize {
    if size == 0 {
        return 0;
    }
    // SAFETY: nallocx only computes; size is not zero.
    unsafe { tikv_jemalloc_sys::nallocx(size, 0) }
}

/// `good_size`, computed here: jemalloc's classes are multiples of 16 up to 128, then four to each doubling. For values that
/// ask on every change. A test holds it against jemalloc; were it wrong, only memory would be wasted.
#[inline]
pub const fn size_class(size: usize) -> usize {
    if size <= 8 {
        return 8;
    }
    if size <= 128 {
        return (size + 15) & !15;
    }
    let step = 1usize << (size - 1).ilog2() >> 2;
    (size.saturating_add(step - 1)) & !(step - 1)
}

/// Allocations up to this size are moved by hand: jemalloc's quick ways of giving and taking cost a fifth of its `realloc`.
/// Larger ones may grow where they are, or move by their pages.
const MOVE_MAX: usize = 4096;

/// Makes an allocation larger or smaller, as `std::alloc::realloc`; only its first `used` bytes are kept.
///
/// # Safety
/// As `std::alloc::realloc`; `used` is at most the smaller of both sizes.
#[inline]
pub unsafe fn resize(p: *mut u8, old: Layout, new: Layout, used: usize) -> *mut u8 {
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
pub struct AllocatorInfo {
    pub allocated: usize,
    pub active: usize,
    pub resident: usize,
    pub retained: usize,
    pub muzzy: usize,
}

/// Refreshes and reads the allocator's statistics (zmalloc_get_allocator_info).
pub fn allocator_info() -> AllocatorInfo {
    let mut epoch = 1u64;
    let mut len = size_of::<u64>();
    // SAFETY: "epoch" takes and gives a u64.
    unsafe {
        tikv_jemalloc_sys::mallctl(
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
        retained: get(c"stats.retained"),
        muzzy: get(c"stats.arenas.4096.pmuzzy") * 4096,
    }
}

/// Lets pages go that have been unused for the decay time: an idle server allocates nothing, and jemalloc only looks when
/// something is allocated.
pub fn decay() {
    // SAFETY: "arena.4096.decay" (all arenas) takes and gives nothing.
    unsafe {
        tikv_jemalloc_sys::mallctl(
            c"arena.4096.decay".as_ptr(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        );
    }
}

/// Gives all unused pages back to the kernel (jemalloc_purge); false when the allocator refuses.
pub fn purge() -> bool {
    // SAFETY: "arena.4096.purge" (all arenas) takes and gives nothing.
    unsafe {
        tikv_jemalloc_sys::mallctl(
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
pub fn malloc_stats() -> Vec<u8> {
    let mut text: Vec<u8> = Vec::with_capacity(64 * 1024);
    // SAFETY: the callback gets the vector, which outlives the call; no options are given.
    unsafe {
        tikv_jemalloc_sys::malloc_stats_print(
            Some(append_report),
            (&raw mut text).cast(),
            std::ptr::null(),
        );
    }
    text
}

/// A number of jemalloc's control tree, by name, and a new value for it if there is one (DEBUG MALLCTL). `None` is a value
/// that can only be written.
///
/// # Errors
/// There is no such name, or what it names is no number.
pub fn mallctl_int(name: &CStr, new: Option<i64>) -> std::io::Result<Option<i64>> {
    let invalid = || std::io::Error::from_raw_os_error(libc::EINVAL);
    if name.to_bytes().ends_with(b"hooks") {
        // A pointer is no number.
        return Err(invalid());
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
                tikv_jemalloc_sys::mallctl(
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
pub fn mallctl_str(name: &CStr) -> std::io::Result<String> {
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
/// There is no such name, or it has a value.
pub fn mallctl_trigger(name: &CStr) -> std::io::Result<()> {
    let (null, no_len) = (std::ptr::null_mut, std::ptr::null_mut());
    // SAFETY: the name is terminated; a name that needs a place for a value refuses to go without, or does nothing.
    let rc = unsafe { tikv_jemalloc_sys::mallctl(name.as_ptr(), null(), no_len, null(), 0) };
    match rc {
        0 => Ok(()),
        rc => Err(std::io::Error::from_raw_os_error(rc)),
    }
}

/// What INFO calls `mem_allocator`.
pub fn name() -> String {
    let p = mallctl_read::<usize>(c"version").unwrap_or(0) as *const c_char;
    if p.is_null() {
        return "jemalloc".into();
    }
    // SAFETY: jemalloc's version is a static, terminated string.
    let v = unsafe { CStr::from_ptr(p) }.to_string_lossy();
    format!("jemalloc-{}", v.split('-').next().unwrap_or_default())
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
        assert!(mallctl_str(c"version").is_ok_and(|v| v.contains('.')));
        assert!(mallctl_str(c"opt.narenas").is_err());
        assert!(mallctl_trigger(c"thread.tcache.flush").is_ok());
        assert!(mallctl_trigger(c"no.such.name").is_err());
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
        register_thread();
        let before = used_memory();
        let v = vec![1u8; 10 << 20];
        let with = used_memory();
        assert!(with >= before + (10 << 20), "{before} {with}");
        drop(v);
        assert!(used_memory() < with - (9 << 20));
        assert_eq!(good_size(33), 48);
        for n in (1..70_000).chain((1..2000).map(|i| i * 100_003)) {
            assert_eq!(size_class(n), good_size(n), "{n}");
        }
        assert!(name().starts_with("jemalloc-5."));
    }
}
