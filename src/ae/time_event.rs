//! Time events: called in the order in which they are due. There are few, so a scan finds the nearest.

use super::{EventLoop, Host};

/// What a timer's handler wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// To be called again in this many milliseconds.
    After(u64),
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
    if el.nearest_timer().is_none_or(|t| t > now) {
        return 0;
    }
    let mut due: Vec<(u64, TimeId)> = el
        .timers
        .iter()
        .filter(|(_, t)| !t.running && t.when <= now)
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
        if t.when > now {
            continue;
        }
        t.running = true;
        let proc = t.proc;
        let next = proc(host, id);
        processed += 1;
        let el = host.event_loop();
        let now = el.now_ms();
        match next {
            Next::Stop => {
                el.delete_time_event(id);
            }
            Next::After(ms) => {
                if let Some(t) = el.timer(id) {
                    t.when = now.saturating_add(ms);
                    t.running = false;
                }
            }
        }
    }
    processed
}
