//! A timer that rings in the middle of whatever the thread that set it is doing: for scripts, which nothing else could
//! interrupt. The watchdog of the whole server has another (`start_watchdog`).
//!
//! One timer, of the thread that asked first; a child has none. What it calls runs within a signal's handler, and may do only
//! what is allowed there.

use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The timer; none: the system has not given one.
static TIMER: OnceLock<Option<usize>> = OnceLock::new();
/// What is called.
static HANDLER: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_signal(_signal: i32) {
    let handler = HANDLER.load(Ordering::Relaxed);
    if handler != 0 {
        // SAFETY: only `on_alarm` stores there, and only such a function.
        let handler = unsafe { std::mem::transmute::<usize, fn()>(handler) };
        handler();
    }
}

fn make() -> Option<usize> {
    super::install(
        libc::SIGVTALRM,
        on_signal as *const () as usize,
        libc::SA_RESTART,
    );
    // SAFETY: a zeroed sigevent is valid; gettid has no arguments.
    let event = unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGVTALRM;
        event.sigev_notify_thread_id = libc::gettid();
        event
    };
    let mut timer = MaybeUninit::<libc::timer_t>::uninit();
    let event = (&raw const event).cast_mut();
    // SAFETY: both records are valid for the call, which fills the second when it says so.
    unsafe {
        (libc::timer_create(libc::CLOCK_MONOTONIC, event, timer.as_mut_ptr()) == 0)
            .then(|| timer.assume_init().expose_provenance())
    }
}

/// What rings calls `handler`, in a signal's handler of this thread. False: there is no timer to be had.
pub(crate) fn on_alarm(handler: fn()) -> bool {
    HANDLER.store(handler as usize, Ordering::Relaxed);
    TIMER.get_or_init(make).is_some()
}

/// It rings once, `us` microseconds (at least 1) from now, and not at the time that was set before. May be called by what it
/// calls.
pub(crate) fn set_alarm(us: i64) {
    let Some(Some(timer)) = TIMER.get() else {
        return;
    };
    let us = us.max(1);
    let zero = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let at = libc::itimerspec {
        it_interval: zero,
        it_value: libc::timespec {
            tv_sec: us / 1_000_000,
            tv_nsec: us % 1_000_000 * 1000,
        },
    };
    let timer = std::ptr::with_exposed_provenance_mut(*timer);
    // SAFETY: the timer is never deleted, and the record is valid.
    unsafe { libc::timer_settime(timer, 0, &at, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_in_this_thread_and_can_be_set_by_what_it_calls() {
        static RUNG: AtomicUsize = AtomicUsize::new(0);
        fn ring() {
            if RUNG.fetch_add(1, Ordering::SeqCst) < 2 {
                set_alarm(1);
            }
        }
        assert!(on_alarm(ring));
        set_alarm(1000);
        while RUNG.load(Ordering::SeqCst) < 3 {
            std::hint::spin_loop();
        }
    }
}
