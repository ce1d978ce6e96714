//! Random elements of a collection, as HRANDFIELD, SRANDMEMBER and ZRANDMEMBER answer with them.
//!
//! Must not know: what is in a value.

use crate::base::random::Prng;
use crate::server::Server;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::At;
use crate::store::entry::value::SlotValue;

/// Random elements between two looks at the client's output limit (HRANDFIELD_RANDOM_SAMPLE_LIMIT).
const SAMPLE_LIMIT: u64 = 1000;

impl Server {
    /// The count of HRANDFIELD and ZRANDMEMBER, and whether `pairs` follows it: then twice as many replies must be countable.
    /// `None`: an error has been sent.
    pub(super) fn random_count_or_reply(
        &mut self,
        cid: ClientId,
        args: &Args,
        pairs: &str,
    ) -> Option<(i64, bool)> {
        let count = self.get_range_long_or_reply(cid, args, 2, -i64::MAX, i64::MAX, None)?;
        if args.len() > 4 || (args.len() == 4 && !args.is(3, pairs)) {
            self.add_reply_syntax_error(cid);
            return None;
        }
        let with_pairs = args.len() == 4;
        if with_pairs && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
            self.add_reply_error(cid, "value is out of range");
            return None;
        }
        Some((count, with_pairs))
    }

    /// Answers with `wanted` random elements of the collection at `at`, each of which may come again: `draw` writes as many as
    /// it is told. A client whose output is over its limit gets no more.
    pub(super) fn add_reply_random_many<T: SlotValue>(
        &mut self,
        cid: ClientId,
        at: At,
        mut wanted: u64,
        mut draw: impl FnMut(&T, u64, &mut Prng, &mut Clients),
    ) {
        while wanted > 0 {
            let batch = wanted.min(SAMPLE_LIMIT);
            wanted -= batch;
            let Server {
                clients, dbs, rng, ..
            } = &mut *self;
            if let Some(value) = at.value::<T>(dbs) {
                draw(&value, batch, rng, clients);
            }
            if wanted > 0 && self.close_client_on_output_buffer_limit_reached(cid) {
                return;
            }
        }
    }
}
