//! The list commands that wait for an element when there is none: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.
//!
//! Each does what its kin without the B does, and is propagated as that. When nothing is there it blocks its client and is
//! run again, from the start, when one of the keys holds a list.

use crate::ds::quicklist::End;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::execution::block::BlockType;
use crate::server::execution::blocked::TimeoutUnit;

use super::pop_word;

/// How a blocking pop answers.
enum Pop {
    /// A pair of key and element.
    One,
    /// A pair of key and an array of up to so many elements.
    UpTo(usize),
}

impl Server {
    /// Pops from the first list among the arguments `keys`, or waits for one (blockingPopGenericCommand).
    fn blocking_pop_generic_command(
        &mut self,
        cid: ClientId,
        args: &Args,
        keys: std::ops::Range<usize>,
        end: End,
        timeout_index: usize,
        pop: Pop,
    ) {
        let Some(timeout) =
            self.get_timeout_or_reply(cid, &args[timeout_index], TimeoutUnit::Seconds)
        else {
            return;
        };
        for i in keys.clone() {
            let key = &args[i];
            let Ok(found) = self.lookup_list_write(cid, key) else {
                return;
            };
            let Some(at) = found else { continue };
            match pop {
                Pop::One => {
                    self.add_reply_array_len(cid, 2);
                    self.add_reply_bulk(cid, key);
                    self.pop_and_reply(cid, at, key, end);
                    self.rewrite_client_command_vector(&[pop_word(end), key]);
                }
                Pop::UpTo(n) => self.pop_range_and_reply_with_key(cid, at, key, end, n),
            }
            return;
        }
        if self.is_blocking_denied(cid) {
            return self.add_reply_null_array(cid);
        }
        let keys = keys.map(|i| &args[i]);
        self.block_for_keys(cid, BlockType::List, keys, timeout, false, args.to_owned());
    }

    /// BLMOVE and BRPOPLPUSH (blmoveGenericCommand).
    fn blmove_generic_command(
        &mut self,
        cid: ClientId,
        args: &Args,
        from: End,
        to: End,
        timeout_index: usize,
        rewrite: &[&[u8]],
    ) {
        let Some(timeout) =
            self.get_timeout_or_reply(cid, &args[timeout_index], TimeoutUnit::Seconds)
        else {
            return;
        };
        let Ok(found) = self.lookup_list_write(cid, &args[1]) else {
            return;
        };
        if found.is_some() {
            return self.lmove_generic_command(cid, args, from, to, Some(rewrite));
        }
        if self.is_blocking_denied(cid) {
            return self.add_reply_null(cid);
        }
        let keys = std::iter::once(&args[1]);
        self.block_for_keys(cid, BlockType::List, keys, timeout, false, args.to_owned());
    }
}

/// `BLPOP key [key ...] timeout`
pub(crate) fn blpop_command(server: &mut Server, cid: ClientId, args: &Args) {
    let last = args.len() - 1;
    server.blocking_pop_generic_command(cid, args, 1..last, End::Head, last, Pop::One);
}

/// `BRPOP key [key ...] timeout`
pub(crate) fn brpop_command(server: &mut Server, cid: ClientId, args: &Args) {
    let last = args.len() - 1;
    server.blocking_pop_generic_command(cid, args, 1..last, End::Tail, last, Pop::One);
}

/// `BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]`
pub(crate) fn blmpop_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Some((keys, end, count)) = server.parse_lmpop(cid, args, 2) {
        server.blocking_pop_generic_command(cid, args, keys, end, 1, Pop::UpTo(count));
    }
}

/// BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout
pub(crate) fn blmove_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(from) = server.get_list_position_or_reply(cid, &args[3]) else {
        return;
    };
    let Some(to) = server.get_list_position_or_reply(cid, &args[4]) else {
        return;
    };
    let words: [&[u8]; 5] = [b"LMOVE", &args[1], &args[2], &args[3], &args[4]];
    server.blmove_generic_command(cid, args, from, to, 5, &words);
}

/// BRPOPLPUSH source destination timeout
pub(crate) fn brpoplpush_command(server: &mut Server, cid: ClientId, args: &Args) {
    let words: [&[u8]; 3] = [b"RPOPLPUSH", &args[1], &args[2]];
    server.blmove_generic_command(cid, args, End::Tail, End::Head, 3, &words);
}
