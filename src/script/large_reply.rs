//! Replies that are larger than most: what a script returns may say the same table again and again, so that a few tables make a
//! reply of any length.
//!
//! A reply begins as any other, in its caller's output, and has a number of steps. Where it needs more, what was written of it is
//! taken back, and it is made again in the output of the script client: there others are served meanwhile, the script can be ended,
//! and it has no more memory than the script may have. Only when it is whole its caller gets it.

use crate::base::clock::ustime;
use crate::script::convert::{Cut, ReplyPace};
use crate::script::lua::{Kind, Stack, Verdict};
use crate::server::Server;
use crate::server::clients::client::PROTO_REPLY_CHUNK_BYTES;
use crate::server::clients::flags::ClientId;

/// Steps that a reply may have at first ([`ReplyPace`]).
const FIRST_STEPS: usize = 1 << 18;
/// Steps between two looks at the time and at the memory.
const STEPS: usize = 1 << 14;
/// Microseconds between two turns of others.
const BETWEEN_TURNS_US: i64 = 5_000;

impl Server {
    /// Replies to the caller with the value on top of the stack, which is taken.
    pub(super) fn reply_of_script(
        &mut self,
        caller: ClientId,
        resp: u8,
        unlimited: bool,
        stack: &mut Stack,
    ) -> Result<(), Cut> {
        if stack.kind(-1) != Kind::Table {
            self.lua_reply_to_redis_reply(caller, resp, stack);
            return Ok(());
        }
        let mark = self.clients.get(caller).map(|c| c.out.mark());
        self.scripts.reply = ReplyPace::new(FIRST_STEPS, None);
        stack.push_copy(-1);
        self.lua_reply_to_redis_reply(caller, resp, stack);
        if self.scripts.reply.cut.is_none() {
            stack.pop(1);
            return Ok(());
        }
        if let (Some(c), Some(mark)) = (self.clients.get_mut(caller), mark) {
            c.out.cut_back(&mark);
        }
        self.large_reply(caller, resp, unlimited, stack)
    }

    #[cold]
    fn large_reply(
        &mut self,
        caller: ClientId,
        resp: u8,
        unlimited: bool,
        stack: &mut Stack,
    ) -> Result<(), Cut> {
        let Some(client) = self.scripts.client else {
            return Err(Cut::Unheard);
        };
        let limit = match unlimited || self.config.lua_memory_limit == 0 {
            true => usize::MAX,
            false => usize::try_from(self.config.lua_memory_limit).unwrap_or(usize::MAX),
        };
        self.scripts.reply = ReplyPace::new(STEPS, Some(limit));
        let form = self.clients.get(caller).map_or(2, |c| c.resp);
        if let Some(c) = self.clients.get_mut(client) {
            c.resp = form;
        }
        self.lua_reply_to_redis_reply(client, resp, stack);
        let Some(c) = self.clients.get_mut(client) else {
            return Err(Cut::Unheard);
        };
        c.resp = 2;
        let mut out = std::mem::take(&mut c.out);
        c.out.buf = Vec::with_capacity(PROTO_REPLY_CHUNK_BYTES);
        if let Some(cut) = self.scripts.reply.cut {
            return Err(cut);
        }
        self.clients.add_reply_proto(caller, &out.buf);
        while let Some(chunk) = out.list.pop_front() {
            self.clients.add_reply_proto(caller, chunk.as_slice());
        }
        Ok(())
    }

    /// The steps are used up: more of them, or the reply is not to go on (then false).
    #[cold]
    pub(crate) fn reply_pauses(&mut self) -> bool {
        if self.scripts.reply.cut.is_none() {
            self.scripts.reply.cut = self.why_cut();
        }
        if self.scripts.reply.cut.is_none() {
            self.scripts.reply.left = STEPS;
        }
        self.scripts.reply.cut.is_none()
    }

    fn why_cut(&mut self) -> Option<Cut> {
        let Some(limit) = self.scripts.reply.large else {
            return Some(Cut::Large);
        };
        let run = self.scripts.run.as_ref()?;
        let (caller, started_us) = (run.caller, run.started_us);
        let threshold = self.config.busy_reply_threshold.saturating_mul(1000);
        let now = ustime();
        if threshold > 0
            && now - started_us >= threshold
            && (now - self.scripts.reply.turn_us).abs() >= BETWEEN_TURNS_US
        {
            if self.script_interrupt() == Verdict::Kill {
                return Some(Cut::Killed);
            }
            self.scripts.reply.turn_us = ustime();
        }
        let client = self.scripts.client.and_then(|cid| self.clients.get(cid));
        if client.is_some_and(|c| c.out.memory() > limit) {
            return Some(Cut::OutOfMemory);
        }
        let heard = self.clients.prepare_client_to_write(caller).is_some();
        (!heard).then_some(Cut::Unheard)
    }
}
