//! Client eviction: when the clients together take more than `maxmemory-clients`, the largest are closed until they do not
//! (evictClients of networking.c, updateClientMemUsageAndBucket of server.c).
//!
//! Nothing is counted, and no command pays, while `maxmemory-clients` is 0. Else what a client takes is looked at again
//! wherever it may have changed: after a read, before the client's next command, after a write, and when somebody else has
//! added to its output.
//!
//! Invariants: the total is the sum of what is noted with each client; a client stands in the bucket of its size exactly when
//! it may be evicted. A client that is to be closed anyway counts nothing, so nobody is evicted for what goes by itself.

use std::fmt::Write;

use crate::base::log::Level;
use crate::server::Server;
use crate::server::clients::client::{Client, ClientType, Clients};
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server_log;

/// The first bucket takes clients of less than 2^15 bytes (CLIENT_MEM_USAGE_BUCKET_MIN_LOG).
const BUCKET_MIN_LOG: u32 = 15;
/// The last one takes those of 2^32 bytes and more (CLIENT_MEM_USAGE_BUCKET_MAX_LOG).
const BUCKET_MAX_LOG: u32 = 33;
/// A bucket for each power of two (CLIENT_MEM_USAGE_BUCKETS).
const BUCKETS: usize = (1 + BUCKET_MAX_LOG - BUCKET_MIN_LOG) as usize;
/// A lower limit than this, in bytes, would leave nobody to set a higher one.
const MIN_LIMIT: u64 = 128 * 1024;

/// Clients of about the same size.
#[derive(Default)]
struct Bucket {
    bytes: usize,
    clients: Vec<ClientId>,
}

/// What the clients take, and who takes most.
#[derive(Default)]
pub(crate) struct ClientMemory {
    /// Bytes of all normal and Pub/Sub clients.
    total: usize,
    buckets: [Bucket; BUCKETS],
}

/// The bucket for a client of that many bytes: doubling moves it one up (getMemUsageBucket).
fn bucket_of(bytes: usize) -> u8 {
    let log = usize::BITS - bytes.leading_zeros();
    (log.clamp(BUCKET_MIN_LOG, BUCKET_MAX_LOG) - BUCKET_MIN_LOG) as u8
}

/// Whether a client counts at all: links of replication have limits of their own.
fn is_counted(c: &Client) -> bool {
    c.conn.is_some()
        && !c.has(ClientFlags::CLOSE_ASAP)
        && matches!(c.client_type(), ClientType::Normal | ClientType::Pubsub)
}

impl ClientMemory {
    /// Notes what a client takes now, and where it stands; `bucket` is none for a client that is not to be evicted.
    fn set(&mut self, clients: &mut Clients, cid: ClientId, bytes: usize, bucket: Option<u8>) {
        let Some(c) = clients.get_mut(cid) else {
            return;
        };
        let old = c.mem;
        c.mem.bytes = bytes;
        self.total = self.total - old.bytes + bytes;
        if let Some(b) = old.bucket {
            self.buckets[usize::from(b)].bytes -= old.bytes;
        }
        if let Some(b) = bucket {
            self.buckets[usize::from(b)].bytes += bytes;
        }
        if old.bucket == bucket {
            return;
        }
        c.mem.bucket = bucket;
        if let Some(b) = bucket {
            let to = &mut self.buckets[usize::from(b)].clients;
            c.mem.place = to.len() as u32;
            to.push(cid);
        }
        if let Some(b) = old.bucket {
            let from = &mut self.buckets[usize::from(b)].clients;
            from.swap_remove(old.place as usize);
            if let Some(moved) = from.get(old.place as usize)
                && let Some(moved) = clients.get_mut(*moved)
            {
                moved.mem.place = old.place;
            }
        }
    }

    /// Somebody of the largest.
    fn largest(&self) -> Option<ClientId> {
        let mut from_top = self.buckets.iter().rev();
        from_top.find_map(|b| b.clients.first().copied())
    }
}

impl Server {
    /// The limit in bytes; none when there is no limit (getClientEvictionLimit).
    pub(crate) fn get_client_eviction_limit(&self) -> Option<u64> {
        let limit = match self.config.maxmemory_clients {
            0 => return None,
            percent @ ..0 if self.config.maxmemory > 0 => {
                let part = u128::from(self.config.maxmemory) * u128::from(percent.unsigned_abs());
                u64::try_from(part / 100).unwrap_or(u64::MAX)
            }
            // A part of no limit is no limit.
            ..0 => return None,
            bytes => bytes.unsigned_abs(),
        };
        Some(limit.max(MIN_LIMIT))
    }

    /// Looks at what a client takes now (updateClientMemUsageAndBucket). To be called only while there is a limit.
    #[cold]
    pub(crate) fn update_client_mem_usage_and_bucket(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get(cid) else {
            return;
        };
        let (mut bytes, mut bucket) = (0, None);
        if is_counted(c) {
            let evictable = !c.has(ClientFlags::NO_EVICT);
            bytes = self.client_memory_usage(cid);
            bucket = evictable.then(|| bucket_of(bytes));
        }
        self.client_memory
            .set(&mut self.clients, cid, bytes, bucket);
    }

    /// What the client takes is no longer counted: it is about to be freed.
    pub(crate) fn forget_client_memory(&mut self, cid: ClientId) {
        self.client_memory.set(&mut self.clients, cid, 0, None);
    }

    /// `maxmemory-clients` has changed: counting begins, or ends (applyClientMaxMemoryUsage).
    pub(crate) fn apply_client_max_memory_usage(&mut self) {
        let on = self.config.maxmemory_clients != 0;
        for cid in self.clients.ids() {
            if on {
                self.update_client_mem_usage_and_bucket(cid);
            } else {
                self.forget_client_memory(cid);
            }
        }
    }

    /// Closes the largest clients until the rest is within the limit (evictClients). They are marked, and their buffers are
    /// freed at once: what is evicted next, keys perhaps, is judged by the memory in use.
    #[cold]
    pub(crate) fn evict_clients(&mut self) {
        let Some(limit) = self.get_client_eviction_limit() else {
            return;
        };
        while self.client_memory.total as u64 >= limit {
            let Some(cid) = self.client_memory.largest() else {
                server_log!(
                    Level::Warning,
                    "Over client maxmemory after evicting all evictable clients"
                );
                return;
            };
            let info = self.client_log_string(cid);
            server_log!(Level::Notice, "Evicting client: {}", info);
            self.stats.evicted_clients += 1;
            self.free_client_async(cid);
            self.discard_transaction(cid);
            self.pubsub_unsubscribe_all(cid);
            self.disable_tracking(cid);
            if let Some(c) = self.clients.get_mut(cid) {
                c.flags |= ClientFlags::EVICTED;
                c.out.clear();
                c.querybuf = Vec::new();
                c.parser = None;
                c.big_arg = None;
            }
        }
    }

    /// Before a command: what its client takes by now, and what becomes of the largest (evictClients in processCommand).
    /// False when it is the client itself that goes.
    #[cold]
    pub(crate) fn survives_client_eviction(&mut self, cid: ClientId) -> bool {
        self.update_client_mem_usage_and_bucket(cid);
        self.evict_clients();
        self.clients
            .get(cid)
            .is_some_and(|c| !c.has(ClientFlags::CLOSE_ASAP))
    }

    /// The buckets as lines of text; none while there is no limit (DEBUG CLIENT-EVICTION).
    pub(crate) fn client_eviction_report(&self) -> Option<String> {
        if self.config.maxmemory_clients == 0 {
            return None;
        }
        let mut text = String::new();
        for (i, b) in self.client_memory.buckets.iter().enumerate() {
            let log = i as u32 + BUCKET_MIN_LOG;
            let from = if i == 0 { 0 } else { 1_u64 << (log - 1) };
            // Writing to a string cannot fail.
            let _ = write!(text, "bucket {from:10}");
            let _ = match i + 1 == BUCKETS {
                true => write!(text, "+            : "),
                false => write!(text, " - {:10}: ", (1_u64 << log) - 1),
            };
            let (bytes, clients) = (b.bytes, b.clients.len());
            let _ = writeln!(text, "tot-mem: {bytes:10}, clients: {clients}");
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bucket_is_a_power_of_two() {
        for (bytes, want) in [
            (0, 0),
            (32_767, 0),
            (32_768, 1),
            (65_535, 1),
            (65_536, 2),
            ((1 << 32) - 1, 17),
            (1 << 32, 18),
            (usize::MAX, 18),
        ] {
            assert_eq!(bucket_of(bytes), want, "{bytes}");
        }
    }

    fn check(m: &ClientMemory, clients: &Clients, all: &[ClientId]) {
        let noted = |cid: &ClientId| clients.get(*cid).map_or(0, |c| c.mem.bytes);
        assert_eq!(m.total, all.iter().map(noted).sum::<usize>());
        let mut standing = 0;
        for (i, b) in m.buckets.iter().enumerate() {
            assert_eq!(b.bytes, b.clients.iter().map(noted).sum::<usize>());
            standing += b.clients.len();
            for (place, cid) in b.clients.iter().enumerate() {
                let mem = clients[*cid].mem;
                assert_eq!(
                    (mem.bucket, mem.place as usize),
                    (Some(i as u8), place),
                    "{cid:?}"
                );
            }
        }
        let may_go = |cid: &&ClientId| clients[**cid].mem.bucket.is_some();
        assert_eq!(standing, all.iter().filter(may_go).count());
    }

    proptest! {
        #[test]
        fn sums_and_places_agree_whatever_changes(
            steps in prop::collection::vec((0..8_usize, 0..34_u32, any::<bool>()), 1..200)
        ) {
            let mut clients = Clients::default();
            let all: Vec<ClientId> = (0..8).map(|_| clients.create_client(None, 0)).collect();
            let mut m = ClientMemory::default();
            for (who, log, evictable) in steps {
                let bytes = (1_usize << log) - 1;
                let bucket = evictable.then(|| bucket_of(bytes));
                m.set(&mut clients, all[who], bytes, bucket);
                check(&m, &clients, &all);
                let top = all.iter().filter_map(|c| clients[*c].mem.bucket).max();
                prop_assert_eq!(m.largest().and_then(|c| clients[c].mem.bucket), top);
            }
            for cid in &all {
                m.set(&mut clients, *cid, 0, None);
            }
            prop_assert_eq!((m.total, m.largest()), (0, None));
        }
    }
}
