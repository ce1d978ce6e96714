//! The digests of scripts that all replicas and the append-only file know (the script cache of replication.c before 7.0).
//!
//! Invariant: each digest in the index is in the queue once, and the other way round.

use std::collections::{HashSet, VecDeque};

use crate::ds::table::KeyHasher;
use crate::script::cache::Sha;

/// Digests that are remembered; the oldest goes first.
const REPLICATION_SCRIPT_CACHE_SIZE: usize = 10_000;

/// The digests that all replicas and the append-only file know.
#[derive(Default)]
pub(crate) struct ReplicationScriptCache {
    known: HashSet<Sha, KeyHasher>,
    fifo: VecDeque<Sha>,
}

impl ReplicationScriptCache {
    /// Nobody is sure to know any (replicationScriptCacheFlush).
    pub(crate) fn flush(&mut self) {
        self.known.clear();
        self.fifo.clear();
    }

    /// All of them know it from now on (replicationScriptCacheAdd).
    pub(super) fn add(&mut self, sha: Sha) {
        if !self.known.insert(sha) {
            return;
        }
        if self.fifo.len() == REPLICATION_SCRIPT_CACHE_SIZE
            && let Some(oldest) = self.fifo.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.fifo.push_back(sha);
    }

    /// (replicationScriptCacheExists)
    pub(super) fn exists(&self, sha: &Sha) -> bool {
        self.known.contains(sha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::cache::as_sha;

    #[test]
    fn the_oldest_digest_goes_first() {
        let sha = |n: usize| as_sha(format!("{n:040}").as_bytes()).expect("a digest");
        let mut known = ReplicationScriptCache::default();
        for n in 0..=REPLICATION_SCRIPT_CACHE_SIZE {
            known.add(sha(n));
            known.add(sha(n));
        }
        assert!(!known.exists(&sha(0)) && known.exists(&sha(1)));
        assert_eq!(known.fifo.len(), REPLICATION_SCRIPT_CACHE_SIZE);
        known.flush();
        assert!(!known.exists(&sha(1)) && known.fifo.is_empty());
    }
}
