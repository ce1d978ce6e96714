//! Time events: called in the order in which they are due. There are few, so a scan finds the nearest.
//!
//! One that recurs at a pace ([`Next::Paced`]) may be called by a turn that is awake anyway up to a fifth of its period before it is
//! due, and keeps its pace. A process that wakes up pays for all its memory that others have pushed out of the caches: each wake-up
//! less is worth more than what the handler does. No turn wakes up for it early.

use super::{EventLoop, Host};

/// What a timer's handler wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// To be called again in this many milliseconds.
    After(u64),
    /// To be called each time that so many milliseconds have passed, give or take a fifth of them.
    Paced(u64),
    /// To be forgotten (AE_NOMORE).
    Stop,
}

/// Names one timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimeId {
    key: u32,
    generation: u32,
}

/// A timer's handler.
pub(super) type TimeProc<H> = fn(&mut H, TimeId) -> Next;

pub(super) struct TimeSlot<H> {
    generation: u32,
    /// When it is due, ms on the loop's clock.
    when: u64,
    /// By how much earlier a turn may call it, ms.
    slack: u64,
    proc: TimeProc<H>,
    /// Its handler is on the stack: an inner turn must not call it again.
    running: bool,
}

impl<H: Host> EventLoop<H> {
    /// Calls `proc` in `ms` milliseconds (aeCreateTimeEvent).
    pub(crate) fn create_time_event(&mut self, ms: u64, proc: TimeProc<H>) -> TimeId {
        let generation = self.next_generation();
        let when = self.now_ms().saturating_add(ms);
        let key = self.timers.insert(TimeSlot {
            generation,
            when,
            slack: 0,
            proc,
            running: false,
        });
        TimeId {
            key: key as u32,
            generation,
        }
    }

    /// Forgets a timer, from anywhere, its own handler included. False when it is gone already.
    pub(crate) fn delete_time_event(&mut self, id: TimeId) -> bool {
        let there = self.timer(id).is_some();
        if there {
            self.timers.remove(id.key as usize);
        }
        there
    }

    fn timer(&mut self, id: TimeId) -> Option<&mut TimeSlot<H>> {
        self.timers
            .get_mut(id.key as usize)
            .filter(|t| t.generation == id.generation)
    }

    /// When the nearest timer is due, ms on the loop's clock.
    pub(super) fn nearest_timer(&self) -> Option<u64> {
        self.timers
            .iter()
            .filter(|(_, t)| !t.running)
            .map(|(_, t)| t.when)
            .min()
    }
}

/// Calls the timers that are due at the start of the call, each once. Timers made meanwhile wait for the next turn.
pub(super) fn process_time_events<H: Host>(host: &mut H) -> usize {
    let el = host.event_loop();
    let now = el.now_ms();
    let may_run = |t: &TimeSlot<H>| !t.running && t.when.saturating_sub(t.slack) <= now;
    if !el.timers.iter().any(|(_, t)| may_run(t)) {
        return 0;
    }
    let mut due: Vec<(u64, TimeId)> = el
        .timers
        .iter()
        .filter(|(_, t)| may_run(t))
        .map(|(key, t)| {
            let id = TimeId {
                key: key as u32,
                generation: t.generation,
            };
            (t.when, id)
        })
        .collect();
    due.sort_by_key(|(when, id)| (*when, id.generation));
    let mut processed = 0;
    for (_, id) in due {
        let Some(t) = host.event_loop().timer(id) else {
            continue;
        };
        // An inner turn has called it meanwhile.
        if !may_run(t) {
            continue;
        }
        let was_due = t.when;
        t.running = true;
        let proc = t.proc;
        let next = proc(host, id);
        processed += 1;
        let el = host.event_loop();
        let now = el.now_ms();
        let (when, slack) = match next {
            Next::Stop => {
                el.delete_time_event(id);
                continue;
            }
            Next::After(ms) => (now.saturating_add(ms), 0),
            // One that was late does not hurry after its pace.
            Next::Paced(ms) => (was_due.max(now).saturating_add(ms), ms / 5),
        };
        if let Some(t) = el.timer(id) {
            (t.when, t.slack) = (when, slack);
            t.running = false;
        }
    }
    processed
}
