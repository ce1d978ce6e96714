//! The replication stream's recent past: one segmented log that is the backlog and every replica's output buffer.
//!
//! Owns the bytes fed to the replication stream, the master replication offset, the backlog's bounds, and where each
//! replica ("reader") stands. Must not know clients, sockets, replication ids or time. Source: the global replication
//! buffer of replication.c in Redis 7.
//!
//! ```text
//!            first_byte_offset                                   master_repl_offset
//!            v                                                   v
//! offsets    1001 ........................ 2024 | 2025 ......... 2500
//! segments   [ full                            ] [ tail             ~~~ room ]
//! readers             ^ a: behind                      ^ b           ^ c: has all, waits for 2501
//! ```
//!
//! Invariants:
//!
//! - Offsets count bytes and begin at 1: the byte fed when `master_repl_offset` is n gets the offset n + 1.
//! - Segments are contiguous, none is empty, and all but the last are full; the last ends at `master_repl_offset`.
//! - A reader *stands in* a segment from its first byte until it moves on to the next, as upstream's references do; it
//!   moves when it has read a segment to the end and a next one exists. A reader that was given nothing yet stands in
//!   none. A segment in which a reader stands is never dropped, nor any after it: a slow replica keeps history alive,
//!   and the backlog may then exceed its size.
//! - While the backlog is active it holds every segment: `histlen` is the sum of their bytes.

use std::collections::VecDeque;
#[cfg(test)]
use std::io::IoSlice;

/// A segment holds at least this many bytes (PROTO_REPLY_CHUNK_BYTES).
pub(crate) const SEGMENT_MIN: usize = 16 * 1024;
/// The smallest `repl-backlog-size` (CONFIG_REPL_BACKLOG_MIN_SIZE).
pub(crate) const REPL_BACKLOG_MIN_SIZE: u64 = 16 * 1024;
/// Segments that one call of [`ReplicationLog::trim`] should drop at most (REPL_BACKLOG_TRIM_BLOCKS_PER_CALL).
pub(crate) const REPL_BACKLOG_TRIM_BLOCKS_PER_CALL: usize = 64;
/// Offsets are kept within this bound on either side of zero. They may come from a file or a master, and no stream ever
/// gets near it.
pub(crate) const OFFSET_BOUND: i64 = 1 << 62;
/// What a segment costs beside its bytes.
const SEGMENT_OVERHEAD: usize = size_of::<Segment>();
/// The list of segments gives room back when it holds less than a quarter of what it could, and could hold more than this.
const LIST_MIN: usize = 64;

/// A run of the stream. Its capacity is fixed when it is made.
struct Segment {
    /// Offset of its first byte.
    offset: i64,
    bytes: Vec<u8>,
    /// Bytes that it may hold.
    size: usize,
    /// Readers that stand in it.
    readers: usize,
}

impl ReplicationLog {
    /// The bytes of each segment, for what is done to their memory.
    pub(crate) fn segments_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.segments.iter_mut().map(|s| s.bytes.as_mut_slice())
    }
}

impl Segment {
    /// Offset past its last byte.
    fn end(&self) -> i64 {
        self.offset + self.bytes.len() as i64
    }
}

/// Segments that left a log all at once. They may be many: whoever minds the time it takes to free them drops this on
/// another thread (freeReplicationBacklogRefMemAsync).
#[derive(Default)]
pub(crate) struct Discarded(
    #[cfg_attr(not(test), expect(dead_code, reason = "it is there to be dropped"))]
    VecDeque<Segment>,
);

impl Discarded {
    /// Number of segments.
    #[cfg(test)]
    pub(crate) fn segment_count(&self) -> usize {
        self.0.len()
    }
}

/// Names a reader of one log. Numbers are reused, but a stale id is told from its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReaderId {
    index: usize,
    generation: u64,
}

/// A replica's place in the stream.
#[derive(Clone, Copy)]
struct Reader {
    generation: u64,
    /// Offset of the next byte to hand out.
    position: i64,
    /// Serial number of the segment it stands in.
    segment: Option<u64>,
}

/// The replication stream's recent past. See the head of the file.
pub(crate) struct ReplicationLog {
    segments: VecDeque<Segment>,
    /// Serial number of `segments[0]`; those of the others follow.
    first_serial: u64,
    master_repl_offset: i64,
    /// Bytes in the backlog; `None` when it is not active.
    histlen: Option<u64>,
    /// repl-backlog-size.
    size: u64,
    /// Sizes of all segments.
    mem: usize,
    readers: Vec<Option<Reader>>,
    reader_count: usize,
    /// Readers that stand in no segment.
    waiting: usize,
    next_generation: u64,
}

impl ReplicationLog {
    /// An empty log at offset 0 whose backlog, once active, is to hold `size` bytes (at least
    /// [`REPL_BACKLOG_MIN_SIZE`]).
    pub(crate) fn new(size: u64) -> Self {
        ReplicationLog {
            segments: VecDeque::new(),
            first_serial: 0,
            master_repl_offset: 0,
            histlen: None,
            size: size.max(REPL_BACKLOG_MIN_SIZE),
            mem: 0,
            readers: Vec::new(),
            reader_count: 0,
            waiting: 0,
            next_generation: 0,
        }
    }

    // -- the stream -------------------------------------------------------------------------------------------------

    /// Offset of the last byte fed: INFO's `master_repl_offset`.
    pub(crate) fn master_repl_offset(&self) -> i64 {
        self.master_repl_offset
    }

    /// Appends bytes to the stream (feedReplicationBuffer). Returns whether a segment was added: the time for the caller
    /// to look at the replicas' output buffer limits.
    ///
    /// With neither backlog nor readers nothing is kept and the offset stands still; see [`Self::bump_offset`].
    pub(crate) fn append(&mut self, mut bytes: &[u8]) -> bool {
        if self.histlen.is_none() && self.reader_count == 0 {
            return false;
        }
        let mut added = false;
        while !bytes.is_empty() {
            let room = |tail: &Segment| tail.size - tail.bytes.len();
            let full = self.segments.back().is_none_or(|tail| room(tail) == 0);
            if full {
                self.add_segment(bytes.len());
                added = true;
            }
            let Some(tail) = self.segments.back_mut() else {
                break;
            };
            let (now, later) = bytes.split_at(room(tail).min(bytes.len()));
            tail.bytes.extend_from_slice(now);
            self.master_repl_offset += now.len() as i64;
            if let Some(histlen) = &mut self.histlen {
                *histlen += now.len() as u64;
            }
            bytes = later;
            if self.waiting > 0 {
                self.place_waiting_readers();
            }
            if full {
                self.trim(REPL_BACKLOG_TRIM_BLOCKS_PER_CALL);
            }
        }
        added
    }

    /// Adds an empty tail, sized for `len` bytes but no larger than a sixteenth of the backlog, so that trimming can stay
    /// close to the backlog's size.
    #[cold]
    fn add_segment(&mut self, len: usize) {
        let most = usize::try_from(self.size / 16)
            .unwrap_or(usize::MAX)
            .max(SEGMENT_MIN);
        let size = len.clamp(SEGMENT_MIN, most);
        self.segments.push_back(Segment {
            offset: self.master_repl_offset + 1,
            bytes: Vec::with_capacity(size),
            size,
            readers: 0,
        });
        self.mem += size;
    }

    /// Gives readers that stand in no segment their place, if bytes have come for them.
    #[cold]
    fn place_waiting_readers(&mut self) {
        for reader in self.readers.iter_mut().flatten() {
            if reader.segment.is_none() {
                let i = self
                    .segments
                    .partition_point(|s| s.end() <= reader.position);
                if let Some(segment) = self.segments.get_mut(i) {
                    segment.readers += 1;
                    reader.segment = Some(self.first_serial + i as u64);
                    self.waiting -= 1;
                }
            }
        }
    }

    /// Moves the offset on without bytes: what upstream does for a write that only the append-only file
    /// takes, since its syncs are told by the offset.
    pub(crate) fn bump_offset(&mut self) {
        debug_assert!(self.histlen.is_none() && self.reader_count == 0);
        self.master_repl_offset += 1;
    }

    /// Starts a new history: drops everything held and takes `offset` as the master replication offset, brought
    /// within [`OFFSET_BOUND`]. For a replica that has adopted its master's history; it has no readers then.
    pub(crate) fn reset(&mut self, offset: i64) -> Discarded {
        debug_assert_eq!(self.reader_count, 0);
        let offset = offset.clamp(-OFFSET_BOUND, OFFSET_BOUND);
        let discarded = self.discard(self.segments.len());
        self.master_repl_offset = offset;
        if let Some(histlen) = &mut self.histlen {
            *histlen = 0;
        }
        for reader in self.readers.iter_mut().flatten() {
            reader.position = offset + 1;
            reader.segment = None;
        }
        self.waiting = self.reader_count;
        discarded
    }

    /// Takes the first `count` segments out; `histlen` is the caller's to mend.
    fn discard(&mut self, count: usize) -> Discarded {
        let kept = self.segments.split_off(count);
        let gone = std::mem::replace(&mut self.segments, kept);
        self.first_serial += gone.len() as u64;
        self.mem -= gone.iter().map(|s| s.size).sum::<usize>();
        Discarded(gone)
    }

    /// Adds `base` to every offset (rebaseReplicationBuffer), as far as they stay within [`OFFSET_BOUND`]: a restarted
    /// master goes on from the offset that its RDB file holds, with what it has fed since as its backlog.
    pub(crate) fn rebase(&mut self, base: i64) {
        let offset = self.master_repl_offset.saturating_add(base);
        let offset = offset.clamp(-OFFSET_BOUND, OFFSET_BOUND);
        let moved = offset - self.master_repl_offset;
        self.master_repl_offset = offset;
        for segment in &mut self.segments {
            segment.offset += moved;
        }
        for reader in self.readers.iter_mut().flatten() {
            reader.position += moved;
        }
    }

    // -- the backlog ------------------------------------------------------------------------------------------------

    /// Begins to keep a backlog (createReplicationBacklog). What is held for readers already is part of it. No effect
    /// when it is active.
    pub(crate) fn activate_backlog(&mut self) {
        if self.histlen.is_none() {
            self.histlen = Some(self.segments.iter().map(|s| s.bytes.len() as u64).sum());
        }
    }

    /// Ceases to keep a backlog (freeReplicationBacklog). Readers keep what they have not read.
    pub(crate) fn deactivate_backlog(&mut self) -> Discarded {
        self.histlen = None;
        let needed = self.segments.iter().position(|s| s.readers > 0);
        self.discard(needed.unwrap_or(self.segments.len()))
    }

    /// Is there a backlog? INFO's `repl_backlog_active`.
    pub(crate) fn backlog_active(&self) -> bool {
        self.histlen.is_some()
    }

    /// INFO's `repl_backlog_size`, in bytes.
    pub(crate) fn backlog_size(&self) -> u64 {
        self.size
    }

    /// INFO's `repl_backlog_first_byte_offset`: 0 without a backlog; with an empty one, the offset of the byte to come.
    pub(crate) fn backlog_first_byte_offset(&self) -> i64 {
        self.histlen
            .map_or(0, |n| self.master_repl_offset - n as i64 + 1)
    }

    /// INFO's `repl_backlog_histlen`, in bytes; 0 without a backlog.
    pub(crate) fn backlog_histlen(&self) -> u64 {
        self.histlen.unwrap_or(0)
    }

    /// May a replica that asks for the stream from `offset` on be served from the backlog? So it is when `offset` is
    /// within the backlog, or the very next byte to come (masterTryPartialResynchronization).
    pub(crate) fn can_serve(&self, offset: i64) -> bool {
        self.histlen.is_some()
            && offset >= self.backlog_first_byte_offset()
            && offset <= self.master_repl_offset.saturating_add(1)
    }

    /// The last bytes of the backlog, `most` of them at the most.
    pub(crate) fn last_bytes(&self, most: usize) -> Vec<u8> {
        let mut left = most.min(usize::try_from(self.backlog_histlen()).unwrap_or(most));
        let mut parts: Vec<&[u8]> = Vec::new();
        for segment in self.segments.iter().rev() {
            let part = &segment.bytes[segment.bytes.len().saturating_sub(left)..];
            left -= part.len();
            parts.push(part);
            if left == 0 {
                break;
            }
        }
        parts.reverse();
        parts.concat()
    }

    /// Changes the backlog's size (resizeReplicationBacklog); below [`REPL_BACKLOG_MIN_SIZE`] that is taken.
    pub(crate) fn resize_backlog(&mut self, size: u64) {
        self.size = size.max(REPL_BACKLOG_MIN_SIZE);
        self.trim(REPL_BACKLOG_TRIM_BLOCKS_PER_CALL);
    }

    /// Drops segments from the front, at most `max_segments` of them, that no reader needs and without which the backlog
    /// still exceeds its size (incrementalTrimReplicationBacklog). The last one always stays while there is a backlog.
    ///
    /// Called by the log itself where upstream calls it; a cron may call it, too, to get rid of what a departed reader has
    /// held.
    pub(crate) fn trim(&mut self, max_segments: usize) {
        for _ in 0..max_segments {
            let Some(first) = self.segments.front() else {
                return;
            };
            if first.readers > 0 {
                return;
            }
            match &mut self.histlen {
                Some(histlen) => {
                    let rest = *histlen - first.bytes.len() as u64;
                    if self.segments.len() <= 1 || rest <= self.size {
                        return;
                    }
                    *histlen = rest;
                }
                // A reader without a place waits for the byte after the last: it needs none of these.
                None => debug_assert!(
                    self.readers
                        .iter()
                        .flatten()
                        .all(|r| { r.segment.is_none_or(|serial| serial > self.first_serial) })
                ),
            }
            self.mem -= first.size;
            self.segments.pop_front();
            let room = self.segments.capacity();
            if room > LIST_MIN && self.segments.len() < room / 4 {
                self.segments.shrink_to(room / 2);
            }
            self.first_serial += 1;
        }
    }

    /// Bytes that the log takes, unused room in the tail included: upstream's `repl_buffer_mem`, INFO's
    /// `mem_total_replication_buffers`.
    pub(crate) fn mem_usage(&self) -> usize {
        self.mem + self.segments.capacity() * SEGMENT_OVERHEAD
    }

    /// Bytes that a backlog of the configured size takes, its segments' own cost included.
    pub(crate) fn backlog_mem_limit(&self) -> usize {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let segments = size / SEGMENT_MIN + 1;
        size.saturating_add(segments * SEGMENT_OVERHEAD)
    }

    /// Number of segments held.
    #[cfg(test)]
    pub(crate) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    // -- readers ----------------------------------------------------------------------------------------------------

    /// Adds a reader that gets what is fed from now on: a replica whose snapshot is being made.
    pub(crate) fn add_reader(&mut self) -> ReaderId {
        let position = self.master_repl_offset + 1;
        self.insert_reader(position, None)
    }

    /// Adds a reader at `offset` of the backlog (addReplyReplicationBacklog), and returns how many bytes wait for it;
    /// `None` where [`Self::can_serve`] says no.
    pub(crate) fn add_reader_at(&mut self, offset: i64) -> Option<(ReaderId, u64)> {
        if !self.can_serve(offset) {
            return None;
        }
        let segment = find_segment(&self.segments, offset).map(|i| self.first_serial + i as u64);
        let id = self.insert_reader(offset, segment);
        Some((id, self.pending(id)))
    }

    /// Adds a reader that stands where `other` stands (copyReplicaOutputBuffer): a replica that joins a snapshot on its way.
    pub(crate) fn add_reader_like(&mut self, other: ReaderId) -> Option<ReaderId> {
        let Reader {
            position, segment, ..
        } = *self.reader(other)?;
        Some(self.insert_reader(position, segment))
    }

    fn insert_reader(&mut self, position: i64, segment: Option<u64>) -> ReaderId {
        let generation = self.next_generation;
        self.next_generation += 1;
        match segment {
            Some(serial) => self.segment_mut(serial).readers += 1,
            None => self.waiting += 1,
        }
        let reader = Some(Reader {
            generation,
            position,
            segment,
        });
        self.reader_count += 1;
        let index = match self.readers.iter().position(Option::is_none) {
            Some(free) => {
                self.readers[free] = reader;
                free
            }
            None => {
                self.readers.push(reader);
                self.readers.len() - 1
            }
        };
        ReaderId { index, generation }
    }

    /// Removes a reader, and trims what it alone held. No effect if it is gone already.
    pub(crate) fn remove_reader(&mut self, id: ReaderId) {
        if let Some(&Reader { segment, .. }) = self.reader(id) {
            self.readers[id.index] = None;
            self.reader_count -= 1;
            match segment {
                Some(serial) => {
                    self.segment_mut(serial).readers -= 1;
                    self.trim(REPL_BACKLOG_TRIM_BLOCKS_PER_CALL);
                }
                None => self.waiting -= 1,
            }
        }
    }

    fn reader(&self, id: ReaderId) -> Option<&Reader> {
        self.readers
            .get(id.index)?
            .as_ref()
            .filter(|r| r.generation == id.generation)
    }

    fn index_of(&self, serial: u64) -> usize {
        debug_assert!(
            serial >= self.first_serial,
            "a segment with a reader in it was dropped"
        );
        (serial - self.first_serial) as usize
    }

    fn segment_mut(&mut self, serial: u64) -> &mut Segment {
        let i = self.index_of(serial);
        &mut self.segments[i]
    }

    /// Number of readers.
    #[cfg(test)]
    pub(crate) fn reader_count(&self) -> usize {
        self.reader_count
    }

    /// Offset of the reader's next byte.
    pub(crate) fn reader_position(&self, id: ReaderId) -> Option<i64> {
        self.reader(id).map(|r| r.position)
    }

    /// The bytes to write next for a reader, up to the end of a segment; `None` when it has all there is.
    #[inline]
    pub(crate) fn reader_slice(&self, id: ReaderId) -> Option<&[u8]> {
        let reader = self.reader(id)?;
        let mut i = self.index_of(reader.segment?);
        if reader.position == self.segments[i].end() {
            i += 1;
        }
        let segment = self.segments.get(i)?;
        let rest = &segment.bytes[(reader.position - segment.offset) as usize..];
        (!rest.is_empty()).then_some(rest)
    }

    /// Fills `slices` with the bytes to write next for a reader, for one vectored write, and returns how many it used.
    #[cfg(test)]
    pub(crate) fn reader_slices<'a>(&'a self, id: ReaderId, slices: &mut [IoSlice<'a>]) -> usize {
        let Some((reader, serial)) = self.reader(id).and_then(|r| Some((r, r.segment?))) else {
            return 0;
        };
        let mut position = reader.position;
        let mut used = 0;
        for segment in self.segments.range(self.index_of(serial)..) {
            let rest = &segment.bytes[(position - segment.offset) as usize..];
            if rest.is_empty() {
                continue;
            }
            let Some(slot) = slices.get_mut(used) else {
                break;
            };
            *slot = IoSlice::new(rest);
            used += 1;
            position = segment.end();
        }
        used
    }

    /// Notes that `n` bytes were written for a reader; more than wait for it count as those. Moves it on and trims what it
    /// alone held.
    pub(crate) fn advance(&mut self, id: ReaderId, n: usize) {
        let Some(&Reader {
            position,
            segment: Some(serial),
            ..
        }) = self.reader(id)
        else {
            return;
        };
        let last = self.master_repl_offset + 1;
        let position = i64::try_from(n).map_or(last, |n| position.saturating_add(n).min(last));
        let from = self.index_of(serial);
        let mut to = from;
        while position >= self.segments[to].end() && to + 1 < self.segments.len() {
            to += 1;
        }
        if let Some(reader) = &mut self.readers[id.index] {
            reader.position = position;
            reader.segment = Some(self.first_serial + to as u64);
        }
        if to != from {
            self.segments[from].readers -= 1;
            self.segments[to].readers += 1;
            self.trim(REPL_BACKLOG_TRIM_BLOCKS_PER_CALL);
        }
    }

    /// Bytes that wait for a reader.
    pub(crate) fn pending(&self, id: ReaderId) -> u64 {
        self.reader(id)
            .map_or(0, |r| (self.master_repl_offset + 1 - r.position) as u64)
    }

    /// Does anything wait for a reader? (clientHasPendingReplies)
    #[inline]
    pub(crate) fn has_pending(&self, id: ReaderId) -> bool {
        self.reader(id)
            .is_some_and(|r| r.position <= self.master_repl_offset)
    }

    /// Bytes of memory that a reader keeps alive: all segments from the one it stands in, with their overhead. What output
    /// buffer limits and `omem` count (getClientOutputBufferMemoryUsage).
    pub(crate) fn pending_memory(&self, id: ReaderId) -> usize {
        match self.reader(id).and_then(|r| r.segment) {
            Some(serial) => {
                let segments = self.segments.range(self.index_of(serial)..);
                // All but the last are full, so the sum is that of two numbers, whatever their count.
                let (n, Some(tail)) = (segments.len(), self.segments.back()) else {
                    return 0;
                };
                let first = &self.segments[self.index_of(serial)];
                (tail.offset - first.offset) as usize + tail.size + n * SEGMENT_OVERHEAD
            }
            None => 0,
        }
    }

    /// Segments from the one a reader stands in to the last: CLIENT LIST's `oll` of a replica.
    pub(crate) fn pending_segments(&self, id: ReaderId) -> usize {
        match self.reader(id).and_then(|r| r.segment) {
            Some(serial) => self.segments.len() - self.index_of(serial),
            None => 0,
        }
    }
}

/// The first segment that holds `offset` or ends right before it.
fn find_segment(segments: &VecDeque<Segment>, offset: i64) -> Option<usize> {
    let i = segments.partition_point(|s| s.end() < offset);
    (i < segments.len()).then_some(i)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The whole stream as a plain vector, with positions; `stream[0]` has the offset 1.
    #[derive(Default)]
    struct Model {
        stream: Vec<u8>,
        readers: Vec<(ReaderId, usize)>,
    }

    fn bytes_from(log: &ReplicationLog, id: ReaderId) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 1000];
        let n = log.reader_slices(id, &mut slices);
        slices[..n].iter().flat_map(|s| s.to_vec()).collect()
    }

    fn check(log: &ReplicationLog, model: &Model) {
        assert_eq!(log.master_repl_offset(), model.stream.len() as i64);
        assert_eq!(log.reader_count(), model.readers.len());
        for &(id, at) in &model.readers {
            assert_eq!(log.reader_position(id), Some(at as i64 + 1));
            assert_eq!(log.pending(id), (model.stream.len() - at) as u64);
            assert_eq!(log.has_pending(id), at < model.stream.len());
            assert!(bytes_from(log, id) == model.stream[at..]);
            match log.reader_slice(id) {
                Some(s) => assert!(!s.is_empty() && model.stream[at..].starts_with(s)),
                None => assert_eq!(at, model.stream.len()),
            }
            let mem = log.pending_memory(id);
            assert!(mem <= log.mem_usage());
            assert!(mem as u64 >= log.pending(id));
            let stand = log.segments.len() - log.pending_segments(id);
            let sum: usize = log
                .segments
                .range(stand..)
                .map(|s| s.size + SEGMENT_OVERHEAD)
                .sum();
            assert_eq!(mem, sum);
        }
        // Structure.
        let mut next = log.segments.front().map(|s| s.offset);
        for (i, s) in log.segments.iter().enumerate() {
            assert_eq!(Some(s.offset), next);
            assert!(!s.bytes.is_empty() && s.bytes.len() <= s.size && s.bytes.capacity() >= s.size);
            assert!(i + 1 == log.segments.len() || s.bytes.len() == s.size);
            let serial = log.first_serial + i as u64;
            let here = log
                .readers
                .iter()
                .flatten()
                .filter(|r| r.segment == Some(serial))
                .count();
            assert_eq!(s.readers, here);
            next = Some(s.end());
        }
        assert!(log.segments.is_empty() || next == Some(log.master_repl_offset() + 1));
        let mem: usize = log.segments.iter().map(|s| s.size).sum();
        let list = log.segments.capacity() * SEGMENT_OVERHEAD;
        assert_eq!(log.mem_usage(), mem + list);
        // The backlog.
        let held: usize = log.segments.iter().map(|s| s.bytes.len()).sum();
        if log.backlog_active() {
            assert_eq!(log.backlog_histlen(), held as u64);
            assert_eq!(
                log.backlog_first_byte_offset(),
                log.master_repl_offset() - held as i64 + 1
            );
        } else {
            assert_eq!(log.backlog_histlen(), 0);
            assert_eq!(log.backlog_first_byte_offset(), 0);
            assert!(log.segments.is_empty() || log.segments[0].readers > 0);
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Append(usize),
        AddReader,
        AddReaderAt(prop::sample::Index),
        AddReaderLike(prop::sample::Index),
        Advance(prop::sample::Index, usize),
        Remove(prop::sample::Index),
        Resize(u64),
        Activate,
        Deactivate,
        Trim,
    }

    fn op() -> impl Strategy<Value = Op> {
        let index = any::<prop::sample::Index>;
        prop_oneof![
            6 => (0..300usize).prop_map(Op::Append),
            4 => (0..40_000usize).prop_map(Op::Append),
            1 => Just(Op::AddReader),
            2 => index().prop_map(Op::AddReaderAt),
            1 => index().prop_map(Op::AddReaderLike),
            6 => (index(), prop_oneof![0..100_000usize, Just(SEGMENT_MIN), Just(usize::MAX)])
                .prop_map(|(i, n)| Op::Advance(i, n)),
            2 => index().prop_map(Op::Remove),
            1 => (0..200_000u64).prop_map(Op::Resize),
            1 => Just(Op::Activate),
            1 => Just(Op::Deactivate),
            1 => Just(Op::Trim),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_plain_vector(ops in prop::collection::vec(op(), 1..60), active: bool) {
            let mut log = ReplicationLog::new(50_000);
            let mut model = Model::default();
            if active {
                log.activate_backlog();
            }
            for op in ops {
                match op {
                    Op::Append(n) => {
                        let at = model.stream.len();
                        let bytes: Vec<u8> = (at..at + n).map(|i| (i % 249) as u8).collect();
                        log.append(&bytes);
                        if log.backlog_active() || !model.readers.is_empty() {
                            model.stream.extend(bytes);
                        }
                    }
                    Op::AddReader => {
                        model.readers.push((log.add_reader(), model.stream.len()));
                    }
                    Op::AddReaderAt(i) => {
                        let offset = i.index(model.stream.len() + 3) as i64;
                        let can = log.can_serve(offset);
                        let got = log.add_reader_at(offset);
                        assert_eq!(got.is_some(), can);
                        if let Some((id, pending)) = got {
                            let at = offset as usize - 1;
                            assert_eq!(pending, (model.stream.len() - at) as u64);
                            model.readers.push((id, at));
                        }
                    }
                    Op::AddReaderLike(i) if !model.readers.is_empty() => {
                        let (other, at) = model.readers[i.index(model.readers.len())];
                        let id = log.add_reader_like(other).unwrap();
                        model.readers.push((id, at));
                    }
                    Op::Advance(i, n) if !model.readers.is_empty() => {
                        let i = i.index(model.readers.len());
                        let (id, at) = &mut model.readers[i];
                        log.advance(*id, n);
                        *at = at.saturating_add(n).min(model.stream.len());
                    }
                    Op::Remove(i) if !model.readers.is_empty() => {
                        let (id, _) = model.readers.swap_remove(i.index(model.readers.len()));
                        log.remove_reader(id);
                        assert_eq!(log.reader_position(id), None);
                        assert_eq!(log.reader_slice(id), None);
                        log.remove_reader(id);
                    }
                    Op::Resize(n) => log.resize_backlog(n),
                    Op::Activate => log.activate_backlog(),
                    Op::Deactivate => {
                        let before = log.segment_count();
                        let gone = log.deactivate_backlog().segment_count();
                        assert_eq!(log.segment_count(), before - gone);
                    }
                    Op::Trim => log.trim(REPL_BACKLOG_TRIM_BLOCKS_PER_CALL),
                    Op::AddReaderLike(_) | Op::Advance(..) | Op::Remove(_) => {}
                }
                check(&log, &model);
            }
        }
    }

    #[test]
    fn psync_offsets_that_are_served() {
        let mut log = ReplicationLog::new(REPL_BACKLOG_MIN_SIZE);
        // No backlog: nothing.
        for offset in [-1, 0, 1, 2] {
            assert!(!log.can_serve(offset), "{offset}");
        }
        // An empty backlog at offset 100: only the byte to come.
        log.reset(100);
        log.activate_backlog();
        assert_eq!(
            (log.backlog_first_byte_offset(), log.backlog_histlen()),
            (101, 0)
        );
        for (offset, want) in [
            (i64::MIN, false),
            (-1, false),
            (0, false),
            (100, false),
            (101, true),
            (102, false),
        ] {
            assert_eq!(log.can_serve(offset), want, "{offset}");
        }
        assert_eq!(log.add_reader_at(101).map(|r| r.1), Some(0));
        // Ten bytes, 101 to 110.
        log.append(b"0123456789");
        assert_eq!(
            (log.backlog_first_byte_offset(), log.backlog_histlen()),
            (101, 10)
        );
        let table = [
            (100, None),
            (101, Some(10)),
            (105, Some(6)),
            (110, Some(1)),
            (111, Some(0)),
            (112, None),
        ];
        for (offset, want) in table {
            assert_eq!(log.add_reader_at(offset).map(|r| r.1), want, "{offset}");
        }
        assert!(!log.can_serve(i64::MAX));
        log.deactivate_backlog();
        assert!(!log.can_serve(105));
        assert_eq!(log.backlog_first_byte_offset(), 0);
    }

    #[test]
    fn the_backlog_keeps_at_least_its_size_and_little_more() {
        let mut log = ReplicationLog::new(1 << 20);
        log.activate_backlog();
        for _ in 0..100_000 {
            log.append(&[b'x'; 100]);
        }
        assert_eq!(log.master_repl_offset(), 10_000_000);
        let over = log.backlog_histlen() - (1 << 20);
        assert!(over <= 2 * SEGMENT_MIN as u64, "{over}");
        assert_eq!(
            log.backlog_first_byte_offset(),
            10_000_001 - log.backlog_histlen() as i64
        );
        // One huge payload is cut into segments of a sixteenth.
        log.append(&vec![b'y'; 5 << 20]);
        assert!(log.segments.iter().all(|s| s.size <= (1 << 20) / 16));
        assert!(log.backlog_histlen() - (1 << 20) <= (1 << 20) / 16);
    }

    #[test]
    fn a_reader_that_stands_still_keeps_history_and_work_is_bounded() {
        let mut log = ReplicationLog::new(REPL_BACKLOG_MIN_SIZE);
        log.activate_backlog();
        let id = log.add_reader();
        for _ in 0..200 {
            log.append(&[b'x'; SEGMENT_MIN]);
        }
        assert_eq!(log.segment_count(), 200);
        assert_eq!(log.pending_segments(id), 200);
        assert_eq!(log.backlog_histlen(), 200 * SEGMENT_MIN as u64);
        assert!(log.can_serve(1));
        log.remove_reader(id);
        assert_eq!(log.segment_count(), 200 - REPL_BACKLOG_TRIM_BLOCKS_PER_CALL);
        log.trim(REPL_BACKLOG_TRIM_BLOCKS_PER_CALL);
        log.trim(REPL_BACKLOG_TRIM_BLOCKS_PER_CALL);
        log.trim(REPL_BACKLOG_TRIM_BLOCKS_PER_CALL);
        // Two: with one alone the backlog would not exceed its size any more.
        assert_eq!(log.segment_count(), 2);
        assert!(log.can_serve(198 * SEGMENT_MIN as i64 + 1));
        assert!(!log.can_serve(198 * SEGMENT_MIN as i64));
    }

    #[test]
    fn append_says_when_a_segment_was_added() {
        let mut log = ReplicationLog::new(1 << 20);
        assert!(!log.append(b"nobody listens"));
        assert_eq!(log.master_repl_offset(), 0);
        log.bump_offset();
        assert_eq!(log.master_repl_offset(), 1);
        log.activate_backlog();
        assert!(log.append(b"first"));
        assert!(!log.append(b"second"));
        assert!(log.append(&[0; SEGMENT_MIN]));
        assert!(!log.append(b""));
        assert_eq!(log.master_repl_offset(), 12 + SEGMENT_MIN as i64);
    }

    #[test]
    fn rebase_and_reset_move_the_offsets() {
        let mut log = ReplicationLog::new(1 << 20);
        log.activate_backlog();
        log.append(b"abcdef");
        log.rebase(1000);
        assert_eq!(log.master_repl_offset(), 1006);
        assert_eq!(log.backlog_first_byte_offset(), 1001);
        let (id, pending) = log.add_reader_at(1004).unwrap();
        assert_eq!(pending, 3);
        assert_eq!(log.reader_slice(id), Some(b"def".as_slice()));
        log.append(b"gh");
        assert_eq!(log.reader_slice(id), Some(b"defgh".as_slice()));
        log.remove_reader(id);
        log.reset(5);
        assert_eq!(
            (log.master_repl_offset(), log.backlog_first_byte_offset()),
            (5, 6)
        );
        assert_eq!((log.backlog_histlen(), log.mem_usage()), (0, 0));
        log.append(b"x");
        assert!(log.can_serve(6) && log.can_serve(7) && !log.can_serve(5));
    }

    #[test]
    fn absurd_offsets_are_harmless() {
        for offset in [i64::MIN, -1, i64::MAX] {
            let mut log = ReplicationLog::new(1 << 20);
            log.activate_backlog();
            log.append(b"abc");
            log.rebase(offset);
            log.rebase(offset);
            assert_eq!(log.backlog_histlen(), 3);
            let last = log.master_repl_offset();
            assert!(log.can_serve(last + 1) && log.can_serve(last - 2) && !log.can_serve(last - 3));
            log.reset(offset);
            let id = log.add_reader();
            log.append(b"de");
            assert_eq!(log.reader_slice(id), Some(b"de".as_slice()));
            assert_eq!(log.pending(id), 2);
            for asked in [i64::MIN, -1, 0, 1, i64::MAX] {
                log.can_serve(asked);
            }
        }
    }

    #[test]
    fn a_stale_id_names_nobody() {
        let mut log = ReplicationLog::new(1 << 20);
        log.activate_backlog();
        let old = log.add_reader();
        log.remove_reader(old);
        let new = log.add_reader();
        log.append(b"abc");
        assert_eq!(log.reader_slice(old), None);
        assert_eq!((log.pending(old), log.pending_memory(old)), (0, 0));
        assert_eq!(log.add_reader_like(old), None);
        log.advance(old, 2);
        log.remove_reader(old);
        assert_eq!(log.reader_slice(new), Some(b"abc".as_slice()));
    }
}
