//! XLEN, XRANGE, XREVRANGE.

use super::Reply;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::Lookup;
use crate::store::stream::Stream;

/// XLEN key
pub(crate) fn xlen_command(server: &mut Server, cid: ClientId, args: &Args) {
    let n = match server.lookup_typed::<Stream>(cid, &args[1], Lookup::READ) {
        Ok(Some(at)) => {
            let s = at.value::<Stream>(&server.dbs);
            s.map_or(0, |s| s.0.meta.length)
        }
        Ok(None) => 0,
        Err(_) => return,
    };
    server.add_reply_long_long(cid, n as i64);
}

/// `XRANGE key start end [COUNT count]`
pub(crate) fn xrange_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.xrange_generic(cid, args, false);
}

/// `XREVRANGE key end start [COUNT count]`
pub(crate) fn xrevrange_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.xrange_generic(cid, args, true);
}

impl Server {
    fn xrange_generic(&mut self, cid: ClientId, args: &Args, rev: bool) {
        let (start, end) = if rev { (3, 2) } else { (2, 3) };
        let Some(start) = self.interval_start_or_reply(cid, &args[start]) else {
            return;
        };
        let Some(end) = self.interval_end_or_reply(cid, &args[end]) else {
            return;
        };
        // Without COUNT there is no limit, with COUNT 0 no answer.
        let mut count = None;
        let mut i = 4;
        while i < args.len() {
            if !args.is(i, "count") || i + 1 == args.len() {
                return self.add_reply_syntax_error(cid);
            }
            let Some(n) = self.get_long_long_or_reply(cid, args, i + 1) else {
                return;
            };
            count = Some(usize::try_from(n).unwrap_or(0));
            i += 2;
        }
        let at = match self.lookup_typed::<Stream>(cid, &args[1], Lookup::READ) {
            Ok(Some(at)) => at,
            Ok(None) => return self.add_reply_array_len(cid, 0),
            Err(_) => return,
        };
        if count == Some(0) {
            return self.add_reply_null_array(cid);
        }
        let mut reply = Reply::new(self, cid);
        if let Some(s) = at.value::<Stream>(&self.dbs) {
            let items = s.0.range(start, end, rev);
            reply.deferred_array(|r| r.items(items, count.unwrap_or(0)));
        }
        reply.send(self, cid);
    }
}
