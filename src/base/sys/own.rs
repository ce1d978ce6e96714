//! What a process knows of itself and does to itself: its number, its first thread, its end, what it does on a signal.
//!
//! The other parts of `sys` and the allocator stand on this; it needs none of them.

pub(crate) fn getpid() -> i32 {
    // SAFETY: always sound.
    unsafe { libc::getpid() }
}

/// Whether the calling thread is the one that the process began with.
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: always sound.
    i64::from(getpid()) == unsafe { libc::syscall(libc::SYS_gettid) }
}

/// Ends the process without running destructors or exit handlers (the end of every forked child).
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: always sound.
    unsafe { libc::_exit(code) }
}

/// Says what is done on a signal: a function, or one of `SIG_DFL` and `SIG_IGN`.
pub(super) fn install(signal: i32, handler: libc::sighandler_t, flags: i32) {
    // SAFETY: a zeroed sigaction is valid; the handlers only touch atomics (the crash one is a last resort).
    unsafe {
        let mut act: libc::sigaction = std::mem::zeroed();
        libc::sigemptyset(&mut act.sa_mask);
        act.sa_sigaction = handler;
        act.sa_flags = flags;
        libc::sigaction(signal, &act, std::ptr::null_mut());
    }
}
