//! The sizes of clients' buffers, adapted to what they use (clientsCronResizeQueryBuffer, clientsCronResizeOutputBuffer,
//! clientsCronTrackExpansiveClients of server.c).
//!
//! The cron looks at a client about once a second, so nothing here is paid for by a command: the peaks it works with are
//! noted when a reply buffer has been written, or a big argument read.

use crate::server::Server;
use crate::server::clients::client::{PROTO_REPLY_CHUNK_BYTES, PROTO_REPLY_MIN_BYTES};
use crate::server::clients::flags::{ClientFlags, ClientId};

/// Seconds without a request or a reply after which a client is taken to be idle, and keeps no room for input.
pub(crate) const QUERYBUF_IDLE_S: i64 = 2;
/// Input buffers waste this many bytes before anything is done about it.
const QUERYBUF_WASTE: usize = 4 * 1024;
/// Room for input up to this size is not worth taking back from a busy client (PROTO_RESIZE_THRESHOLD).
const PROTO_RESIZE_THRESHOLD: usize = 32 * 1024;
/// Seconds that a peak is remembered (CLIENTS_PEAK_MEM_USAGE_SLOTS).
const CLIENTS_PEAK_MEM_USAGE_SLOTS: usize = 8;

/// The most that one client's input and output took in each of the last seconds, in bytes.
#[derive(Default, Clone, Copy)]
pub(crate) struct ClientPeaks {
    slots: [(usize, usize); CLIENTS_PEAK_MEM_USAGE_SLOTS],
    now: usize,
}

impl ClientPeaks {
    /// What is noted from here on belongs to this second; the oldest one is forgotten.
    pub(crate) fn begin(&mut self, unix_s: i64) {
        let n = CLIENTS_PEAK_MEM_USAGE_SLOTS;
        self.now = unix_s.rem_euclid(n as i64) as usize;
        self.slots[(self.now + 1) % n] = (0, 0);
    }

    fn note(&mut self, input: usize, output: usize) {
        let slot = &mut self.slots[self.now];
        *slot = (slot.0.max(input), slot.1.max(output));
    }

    /// The most of input and of output (getExpansiveClientsInfo).
    pub(crate) fn get(&self) -> (usize, usize) {
        self.slots
            .iter()
            .fold((0, 0), |m, s| (m.0.max(s.0), m.1.max(s.1)))
    }
}

/// The size of a reply buffer to change to, when the peak of what was used says so.
fn new_reply_size(size: usize, peak: usize) -> Option<usize> {
    if size / 2 >= PROTO_REPLY_MIN_BYTES && peak < size / 2 {
        Some((peak + 1).max(PROTO_REPLY_MIN_BYTES).next_power_of_two())
    } else if size < PROTO_REPLY_CHUNK_BYTES && peak >= size {
        Some(size * 2)
    } else {
        None
    }
}

impl Server {
    /// Gives back what a client does not need for its input.
    pub(crate) fn clients_cron_resize_query_buffer(&mut self, cid: ClientId) {
        let now = self.clock.unix_s;
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        let mut current = c.querybuf.len();
        if let Some(big) = &c.big_arg {
            current = current.max(big.len + 2);
        }
        if now - c.last_interaction > QUERYBUF_IDLE_S {
            c.fat_room = 0;
            if c.querybuf.capacity() - c.querybuf.len() > QUERYBUF_WASTE {
                c.querybuf.shrink_to_fit();
            }
            if let Some(big) = &mut c.big_arg
                && big.buf.capacity() - big.buf.len() > QUERYBUF_WASTE
            {
                big.buf.shrink_to_fit();
            }
        } else if c.fat_room > PROTO_RESIZE_THRESHOLD && c.fat_room / 2 > c.querybuf_peak {
            c.fat_room = 0;
        }
        c.querybuf_peak = current;
    }

    /// Lets the size of a client's reply buffers follow what it uses of them.
    pub(crate) fn clients_cron_resize_output_buffer(&mut self, cid: ClientId) {
        if !self.debug.reply_buffer_resizing {
            return;
        }
        let now = self.clock.unix_ms;
        let keep = self.debug.reply_buffer_peak_reset_ms;
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        let used = c.out.buf.len();
        c.reply_peak = c.reply_peak.max(used);
        if let Some(size) = new_reply_size(c.reply_size, c.reply_peak) {
            if size < c.reply_size {
                self.stats.reply_buffer_shrinks += 1;
            } else {
                self.stats.reply_buffer_expands += 1;
            }
            c.reply_size = size;
        }
        if keep >= 0 && now - c.reply_peak_reset >= keep {
            c.reply_peak = used;
            c.reply_peak_reset = now;
        }
    }

    /// Notes what a client takes for the peaks of INFO.
    pub(crate) fn clients_cron_track_expansive_clients(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get(cid).filter(|c| !c.has(ClientFlags::FAKE)) else {
            return;
        };
        let big = c.big_arg.as_ref().map_or(0, |b| b.buf.capacity());
        let argv = c.parser.as_deref().map_or(0, |p| p.argv_len());
        let input = c.querybuf.capacity() + big + argv;
        let output = self.client_output_memory(cid);
        self.stats.client_peaks.note(input, output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_buffers_follow_their_use() {
        for (size, peak, want) in [
            (16384, 16384, None),
            (16384, 8192, None),
            (16384, 8191, Some(8192)),
            (16384, 30, Some(1024)),
            (16384, 2000, Some(2048)),
            (2048, 1023, Some(1024)),
            (1024, 0, None),
            (1024, 1023, None),
            (1024, 1024, Some(2048)),
            (8192, 8192, Some(16384)),
        ] {
            assert_eq!(new_reply_size(size, peak), want, "{size} {peak}");
        }
    }

    #[test]
    fn peaks_are_forgotten_after_some_seconds() {
        let mut p = ClientPeaks::default();
        p.begin(100);
        p.note(7, 1);
        p.note(5, 9);
        for s in 101..107 {
            p.begin(s);
            assert_eq!(p.get(), (7, 9));
        }
        p.begin(107);
        assert_eq!(p.get(), (0, 0));
    }
}
