//! jemalloc's functions where there is none: under Miri and under a fuzzer. Nothing is counted, no name is known.

use std::ffi::{c_char, c_int, c_void};

/// # Safety
/// None is asked for: it is unsafe as jemalloc's own is.
pub(super) unsafe fn nallocx(size: usize, _flags: c_int) -> usize {
    super::class::size_class(size)
}

/// # Safety
/// None is asked for: nothing is read or written.
pub(super) unsafe fn mallctl(
    _name: *const c_char,
    _old: *mut c_void,
    _old_len: *mut usize,
    _new: *mut c_void,
    _new_len: usize,
) -> c_int {
    libc::ENOENT
}

/// # Safety
/// None is asked for: nothing is read or written.
pub(super) unsafe fn mallctlnametomib(
    _name: *const c_char,
    _mib: *mut usize,
    _len: *mut usize,
) -> c_int {
    libc::ENOENT
}

/// # Safety
/// None is asked for: nothing is called.
pub(super) unsafe fn malloc_stats_print(
    _write: Option<unsafe extern "C" fn(*mut c_void, *const c_char)>,
    _to: *mut c_void,
    _options: *const c_char,
) {
}
