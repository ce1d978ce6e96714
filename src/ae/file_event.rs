//! File events: slots with handlers, sticky ready bits, and the ready queue. See the parent for the contract.

use std::io;
use std::os::fd::RawFd;

use mio::unix::SourceFd;
use mio::{Interest, Token};

use super::{EventLoop, Host};

/// Directions, and BARRIER: writable before readable in the same turn (AE_READABLE, AE_WRITABLE, AE_BARRIER).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mask(u8);

impl Mask {
    pub(crate) const NONE: Mask = Mask(0);
    pub(crate) const READABLE: Mask = Mask(1);
    pub(crate) const WRITABLE: Mask = Mask(2);
    pub(crate) const BARRIER: Mask = Mask(4);

    #[inline]
    pub(crate) fn has(self, m: Mask) -> bool {
        self.0 & m.0 != 0
    }
    #[inline]
    fn with(self, m: Mask) -> Mask {
        Mask(self.0 | m.0)
    }
    #[inline]
    fn without(self, m: Mask) -> Mask {
        Mask(self.0 & !m.0)
    }
    #[inline]
    fn and(self, m: Mask) -> Mask {
        Mask(self.0 & m.0)
    }
}

impl std::ops::BitOr for Mask {
    type Output = Mask;
    fn bitor(self, o: Mask) -> Mask {
        self.with(o)
    }
}

/// Names one registration of a descriptor: slab key and generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct FileId {
    key: u32,
    generation: u32,
}

impl FileId {
    fn token(self) -> Token {
        Token((self.generation as usize) << 32 | self.key as usize)
    }
    fn from_token(t: Token) -> FileId {
        FileId {
            key: t.0 as u32,
            generation: (t.0 >> 32) as u32,
        }
    }
}

/// What the host wants to be told with an event: an id of its own.
pub(crate) type ClientData = u64;

/// A handler: the host, which registration, the host's own word, and the directions that are ready.
pub(crate) type FileProc<H> = fn(&mut H, FileId, ClientData, Mask);

pub(super) struct FileSlot<H> {
    fd: RawFd,
    generation: u32,
    installed: Mask,
    ready: Mask,
    /// The peer has shut its side or the socket failed: no further edge will come, so READABLE stays ready.
    closed: bool,
    queued: bool,
    readable: Option<(FileProc<H>, ClientData)>,
    writable: Option<(FileProc<H>, ClientData)>,
}

impl<H: Host> EventLoop<H> {
    /// Registers a descriptor for both directions, without handlers. The descriptor stays the caller's: remove the
    /// registration before closing it. A socket that connects must have begun to: before that the kernel reports it as
    /// hung up.
    pub(crate) fn add_file(&mut self, fd: RawFd) -> io::Result<FileId> {
        let generation = self.next_generation();
        let key = self.files.insert(FileSlot {
            fd,
            generation,
            installed: Mask::NONE,
            ready: Mask::NONE,
            closed: false,
            queued: false,
            readable: None,
            writable: None,
        });
        let id = FileId {
            key: key as u32,
            generation,
        };
        let both = Interest::READABLE | Interest::WRITABLE;
        let mut source = SourceFd(&fd);
        if let Err(e) = self.poll.registry().register(&mut source, id.token(), both) {
            self.files.remove(key);
            return Err(e);
        }
        Ok(id)
    }

    /// Forgets a registration; events of it that are still under way are dropped.
    pub(crate) fn remove_file(&mut self, id: FileId) {
        if self.slot(id).is_some() {
            let slot = self.files.remove(id.key as usize);
            // A failure means that the descriptor is closed already: then the kernel has forgotten it too.
            let _ = self.poll.registry().deregister(&mut SourceFd(&slot.fd));
        }
    }

    #[inline]
    fn slot(&mut self, id: FileId) -> Option<&mut FileSlot<H>> {
        self.files
            .get_mut(id.key as usize)
            .filter(|s| s.generation == id.generation)
    }

    /// Installs or replaces the handler of the directions in `mask` (aeCreateFileEvent). A direction that is ready already
    /// fires in the next turn without a new edge.
    pub(crate) fn create_file_event(
        &mut self,
        id: FileId,
        mask: Mask,
        handler: FileProc<H>,
        data: ClientData,
    ) {
        if let Some(s) = self.slot(id) {
            s.installed = s.installed.with(mask);
            if mask.has(Mask::READABLE) {
                s.readable = Some((handler, data));
            }
            if mask.has(Mask::WRITABLE) {
                s.writable = Some((handler, data));
            }
            self.enqueue(id);
        }
    }

    /// Removes handlers (aeDeleteFileEvent); removing WRITABLE removes BARRIER too.
    pub(crate) fn delete_file_event(&mut self, id: FileId, mask: Mask) {
        if let Some(s) = self.slot(id) {
            let mask = if mask.has(Mask::WRITABLE) {
                mask.with(Mask::BARRIER)
            } else {
                mask
            };
            s.installed = s.installed.without(mask);
        }
    }

    /// The installed directions (aeGetFileEvents).
    pub(crate) fn get_file_events(&mut self, id: FileId) -> Mask {
        self.slot(id).map_or(Mask::NONE, |s| s.installed)
    }

    /// The I/O saw `WouldBlock` or was short: only a new edge makes the direction ready again. The readable side of a
    /// connection that the peer has closed stays ready, since its end is still to be read. To be called right after that
    /// I/O: a turn in between (an inner [`super::process_events`]) may have taken the next edge, which this would lose.
    #[inline]
    pub(crate) fn clear_ready(&mut self, id: FileId, mask: Mask) {
        if let Some(s) = self.slot(id) {
            let mask = if s.closed {
                mask.without(Mask::READABLE)
            } else {
                mask
            };
            s.ready = s.ready.without(mask);
        }
    }

    /// Something is left to read that the kernel will not announce, since it has been received already.
    pub(crate) fn mark_readable(&mut self, id: FileId) {
        if let Some(s) = self.slot(id) {
            s.ready = s.ready.with(Mask::READABLE);
            self.enqueue(id);
        }
    }

    /// Queues the slot when one of its handlers can run.
    #[inline]
    fn enqueue(&mut self, id: FileId) {
        if let Some(s) = self.slot(id)
            && !s.queued
            && s.ready.and(s.installed) != Mask::NONE
        {
            s.queued = true;
            self.ready.push_back(id);
        }
    }

    pub(super) fn mark_ready(&mut self, event: &mio::event::Event) {
        let id = FileId::from_token(event.token());
        let Some(s) = self.slot(id) else {
            return;
        };
        if event.is_readable() {
            s.ready = s.ready.with(Mask::READABLE);
        }
        if event.is_writable() {
            s.ready = s.ready.with(Mask::WRITABLE);
        }
        if event.is_error() || event.is_write_closed() {
            // As ae_epoll.c: whatever handler is there gets to see the error.
            s.closed = true;
            s.ready = s.ready.with(Mask::READABLE).with(Mask::WRITABLE);
        } else if event.is_read_closed() {
            // The peer may still read: this says nothing of the room to write.
            s.closed = true;
            s.ready = s.ready.with(Mask::READABLE);
        }
        self.enqueue(id);
    }

    /// Panics when the ready queue and the slots disagree; only between turns.
    #[cfg(test)]
    pub(super) fn check_queue(&self) {
        for (key, s) in &self.files {
            let id = FileId {
                key: key as u32,
                generation: s.generation,
            };
            let entries = self.ready.iter().filter(|q| **q == id).count();
            assert_eq!(entries, usize::from(s.queued), "{id:?} in the queue");
            assert!(
                s.queued || s.ready.and(s.installed) == Mask::NONE,
                "{id:?} is ready and not queued"
            );
        }
    }

    /// How many descriptors are registered.
    #[cfg(test)]
    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }
}

/// Calls the handlers of the slots that are queued now; those that stay ready are queued for the next turn.
pub(super) fn process_ready<H: Host>(host: &mut H) -> usize {
    let mut processed = 0;
    // An inner call may take entries of this round away; what it leaves or adds comes in this turn or the next.
    let mut round = host.event_loop().ready.len();
    while round > 0 {
        round -= 1;
        let Some(id) = host.event_loop().ready.pop_front() else {
            break;
        };
        if process_one(host, id) {
            processed += 1;
        }
    }
    processed
}

fn process_one<H: Host>(host: &mut H, id: FileId) -> bool {
    let Some(s) = host.event_loop().slot(id) else {
        return false;
    };
    s.queued = false;
    let fired = s.ready.and(s.installed);
    if fired == Mask::NONE {
        return false;
    }
    let order = if s.installed.has(Mask::BARRIER) {
        [Mask::WRITABLE, Mask::READABLE]
    } else {
        [Mask::READABLE, Mask::WRITABLE]
    };
    let mut called: Option<(FileProc<H>, ClientData)> = None;
    for direction in order {
        // The first handler may have removed or replaced the second, or the whole slot, or used up the other direction:
        // look again before each call. A handler that served both directions is called once.
        let Some(s) = host.event_loop().slot(id) else {
            return true;
        };
        if fired.and(direction).and(s.installed).and(s.ready) == Mask::NONE {
            continue;
        }
        let handler = if direction == Mask::READABLE {
            s.readable
        } else {
            s.writable
        };
        if let Some((proc, data)) = handler {
            if called.is_some_and(|(p, d)| std::ptr::fn_addr_eq(p, proc) && d == data) {
                continue;
            }
            called = Some((proc, data));
            proc(host, id, data, fired);
        }
    }
    host.event_loop().enqueue(id);
    true
}
