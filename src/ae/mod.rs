//! The event loop (ae.c): file events and time events over mio, with the level-triggered contract that Redis' callbacks
//! were written for. It knows nothing of Redis: [`EventLoop`] is generic over its host, which owns it.
//!
//! mio is edge-triggered. So every descriptor is registered once for both directions, and its slot keeps *ready* bits: set
//! by an edge, cleared only by the owner of the I/O when a read or write came back short or with `WouldBlock`
//! ([`EventLoop::clear_ready`]). A slot whose ready bits meet an installed handler stands in the ready queue; while the queue
//! is not empty, the poll does not wait. Installing or removing a handler is a bit in the slab and no system call.
//!
//! Invariants:
//! - a slot is `queued` if and only if its id is in the queue (once);
//! - a slot with `ready & installed != 0` is queued, except while its own handlers are being called;
//! - an id names one registration for ever: a reused slab key has another generation, and an event or a queue entry that
//!   carries an old one is dropped before any handler is called;
//! - no borrow of the loop is held while a handler runs, so a handler may enter [`process_events`] again. The inner call
//!   goes on with the same queue, so sockets that the outer call has not come to yet are served there.

mod file_event;
mod time_event;

use std::collections::VecDeque;
use std::io;
use std::ops::{BitAnd, BitOr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use file_event::{ClientData, FileId, FileProc, Mask};
pub(crate) use time_event::{Next, TimeId};

use file_event::FileSlot;
use slab::Slab;
use time_event::TimeSlot;

/// What a call of [`process_events`] does (AE_FILE_EVENTS ..).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const FILE: Flags = Flags(1);
    pub(crate) const TIME: Flags = Flags(2);
    pub(crate) const ALL: Flags = Flags(3);
    /// Does not wait for events.
    pub(crate) const DONT_WAIT: Flags = Flags(4);
    pub(crate) const CALL_BEFORE_SLEEP: Flags = Flags(8);
    pub(crate) const CALL_AFTER_SLEEP: Flags = Flags(16);

    #[inline]
    pub(crate) fn has(self, f: Flags) -> bool {
        self.0 & f.0 != 0
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, o: Flags) -> Flags {
        Flags(self.0 | o.0)
    }
}

impl BitAnd for Flags {
    type Output = Flags;
    fn bitand(self, o: Flags) -> Flags {
        Flags(self.0 & o.0)
    }
}

/// The owner of an event loop: handlers get it as `&mut`, and reach the loop through it.
pub(crate) trait Host: Sized {
    fn event_loop(&mut self) -> &mut EventLoop<Self>;
    /// Called before the poll, when the flags ask for it; at any depth.
    fn before_sleep(&mut self);
    /// Called after the poll, when the flags ask for it.
    fn after_sleep(&mut self);
}

/// File and time events of one thread.
pub(crate) struct EventLoop<H> {
    poll: mio::Poll,
    events: mio::Events,
    files: Slab<FileSlot<H>>,
    /// Counts the registrations of files and timers. It wraps, so an id is ambiguous only to who keeps it for 2^32 of them.
    generation: u32,
    ready: VecDeque<FileId>,
    timers: Slab<TimeSlot<H>>,
    start: Instant,
    stop: bool,
    dont_wait: bool,
    waker: Waker,
}

/// Ends the loop's wait from another thread: a turn without events follows.
#[derive(Clone)]
pub(crate) struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Any number of calls before the turn count as one.
    pub(crate) fn wake(&self) {
        // It fails only where the loop is gone.
        let _ = self.0.wake();
    }
}

/// No file has this key and generation.
const WAKER: mio::Token = mio::Token(usize::MAX);

impl<H: Host> EventLoop<H> {
    /// A loop that takes up to `events` events of the kernel a turn.
    pub(crate) fn new(events: usize) -> io::Result<EventLoop<H>> {
        let poll = mio::Poll::new()?;
        let waker = Waker(Arc::new(mio::Waker::new(poll.registry(), WAKER)?));
        Ok(EventLoop {
            poll,
            waker,
            events: mio::Events::with_capacity(events),
            files: Slab::new(),
            generation: 0,
            ready: VecDeque::new(),
            timers: Slab::new(),
            start: Instant::now(),
            stop: false,
            dont_wait: false,
        })
    }

    fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    /// Makes [`main`] return after the current turn (aeStop).
    #[cfg(test)]
    pub(crate) fn stop(&mut self) {
        self.stop = true;
    }

    /// A descriptor that is readable when the kernel has events for this loop: for a host that has to wait inside a handler,
    /// and turns to [`process_events`] in between. None: there are events already, so there is nothing to wait for.
    pub(crate) fn wait_fd(&self) -> Option<RawFd> {
        self.ready.is_empty().then(|| self.poll.as_raw_fd())
    }

    /// While set, no turn waits (aeSetDontWait): there is work to do that no event announces.
    pub(crate) fn set_dont_wait(&mut self, yes: bool) {
        self.dont_wait = yes;
    }

    /// What another thread wakes the loop with.
    pub(crate) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Milliseconds on the loop's monotonic clock.
    pub(crate) fn now_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn poll_timeout(&self, flags: Flags) -> Option<Duration> {
        if flags.has(Flags::DONT_WAIT) || self.dont_wait || !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        if !flags.has(Flags::TIME) {
            return None;
        }
        let nearest = self.nearest_timer()?;
        // The kernel's wait is in ms: round up, so that the timer is due when it ends. It is a C int too: a wait that ends
        // early is a turn without events.
        let wait = Duration::from_millis(nearest).saturating_sub(self.start.elapsed());
        let ms = wait.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
        Some(Duration::from_millis(ms as u64))
    }

    /// Waits and turns the kernel's events into ready bits.
    fn wait(&mut self, flags: Flags) {
        let timeout = self.poll_timeout(flags);
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            // A signal arrived, or a debugger attached: a turn without events.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return,
            Err(e) => panic!("epoll_wait: {e}"),
        }
        // The buffer is taken out so that marking a slot can borrow the rest of the loop.
        let events = std::mem::replace(&mut self.events, mio::Events::with_capacity(0));
        for event in &events {
            self.mark_ready(event);
        }
        self.events = events;
    }
}

/// Does one turn: waits for events unless some are ready, calls their handlers, then the timers that are due. Returns how
/// many events were processed. May be called again from inside a handler.
pub(crate) fn process_events<H: Host>(host: &mut H, flags: Flags) -> usize {
    let mut processed = 0;
    if !flags.has(Flags::ALL) {
        return 0;
    }
    if flags.has(Flags::FILE) || !flags.has(Flags::DONT_WAIT) {
        if flags.has(Flags::CALL_BEFORE_SLEEP) {
            host.before_sleep();
        }
        host.event_loop().wait(flags);
        if flags.has(Flags::CALL_AFTER_SLEEP) {
            host.after_sleep();
        }
        if flags.has(Flags::FILE) {
            processed += file_event::process_ready(host);
        }
    }
    if flags.has(Flags::TIME) {
        processed += time_event::process_time_events(host);
    }
    processed
}

/// Turns until [`EventLoop::stop`] (aeMain).
pub(crate) fn main<H: Host>(host: &mut H) {
    host.event_loop().stop = false;
    while !host.event_loop().stop {
        process_events(
            host,
            Flags::ALL | Flags::CALL_BEFORE_SLEEP | Flags::CALL_AFTER_SLEEP,
        );
    }
}

#[cfg(test)]
mod tests;
