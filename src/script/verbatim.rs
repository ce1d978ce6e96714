//! `script-replication verbatim`: scripts go to replicas and to the append-only file as they were called, not as what they did;
//! and the digests that all of them know, so that EVALSHA is enough (the script cache of replication.c before 7.0:
//! replicationScriptCacheInit, Flush, Add, Exists).
//!
//! - A call goes out as EVAL the first time and as EVALSHA from then on. What is known is forgotten when a replica attaches, when
//!   the append-only file is rewritten, and by SCRIPT FLUSH. Snapshots carry the scripts (the field `lua`, as versions before 7.0
//!   wrote it), so that a replica that loads one, and goes on with the stream from there, has them.
//! - What a master or a file has brought is not taken away to make room: EVALSHA may follow.
//! - A script has to do the same everywhere. So after a command whose result is another elsewhere it may not write, nor by such a
//!   command; what has no order of its own is sorted before the script sees it; random numbers begin anew with each script. What
//!   `pairs` visits first is another in each process, and is for the script's author to keep out of what is written.
//! - What a master or a file has as EVAL or EVALSHA runs so whatever is configured here.
//! - A script that declares itself read-only, or asks for it with `redis.replicate_commands()` before it writes, replicates its effects;
//!   functions always do.

use crate::config::value::ScriptReplication;
use crate::script::cache::as_sha;
use crate::script::flags::{Engine, RunFlags};
use crate::script::run::Invocation;
use crate::server::Server;
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::execution::command::CommandId;

/// The error of a write that may be another one elsewhere.
pub(super) const RANDOM_BEFORE_WRITE: &str = "Write commands not allowed after non deterministic commands. Call \
     redis.replicate_commands() at the start of your script in order to switch to single commands replication mode.";

/// A command's results are not the same everywhere.
fn is_random(tips: &[&str]) -> bool {
    tips.contains(&"nondeterministic_output")
}

/// A command's results have no order of their own.
fn has_no_order(tips: &[&str]) -> bool {
    tips.contains(&"nondeterministic_output_order")
}

impl Server {
    /// Whether a script that may write goes out as it is. What our master, or a file, has as a script, was a verbatim script there.
    /// While slots leave, their target gets what scripts do to keys of theirs: it is told of no others.
    pub(super) fn is_verbatim(&self, call: &Invocation, read_only: bool) -> bool {
        let asked = self.config.script_replication == ScriptReplication::Verbatim
            && self.slot_migrations.exports.is_empty();
        (asked || self.must_obey_client(call.caller))
            && call.engine == Engine::Eval
            && !read_only
            // Its user may do what its text does not.
            && self.scripts.debugger.is_none()
    }

    /// `redis.replicate_commands()`: from here on what the script does is what is replicated. False: it has written already.
    pub(super) fn replicate_script_effects(&mut self) -> bool {
        match &mut self.scripts.run {
            Some(run) if run.flags.contains(RunFlags::VERBATIM) => {
                let written = run.flags.contains(RunFlags::WRITE_DIRTY);
                run.flags.set(RunFlags::VERBATIM, written);
                !written
            }
            _ => true,
        }
    }

    /// Why a verbatim script may not call this command now, if it may not; and it is noted what it has called.
    pub(super) fn verbatim_refusal(&mut self, id: CommandId, writes: bool) -> Option<&'static str> {
        let random = is_random(self.commands.command(id).tips);
        let obey = self
            .scripts
            .run
            .as_ref()
            .is_some_and(|r| self.must_obey_client(r.caller));
        let run = self.scripts.run.as_mut()?;
        if !run.flags.contains(RunFlags::VERBATIM) {
            return None;
        }
        // A write that is itself random (SPOP, XADD) would be another one elsewhere.
        if writes && !obey && (random || run.flags.contains(RunFlags::RANDOM_DIRTY)) {
            return Some(RANDOM_BEFORE_WRITE);
        }
        if random {
            run.flags |= RunFlags::RANDOM_DIRTY;
        }
        None
    }

    /// The reply of a command, in an order that is the same everywhere; none where it is as it should be.
    pub(super) fn sorted_for_script(&self, id: CommandId, reply: &[u8]) -> Option<Vec<u8>> {
        let run = self.scripts.run.as_ref()?;
        if !run.flags.contains(RunFlags::VERBATIM) || !matches!(reply.first()?, b'*' | b'~') {
            return None;
        }
        if !has_no_order(self.commands.command(id).tips) {
            return None;
        }
        sorted_reply(reply)
    }

    /// A verbatim script that has changed something is over: it goes out as EVAL or EVALSHA.
    pub(super) fn propagate_verbatim(&mut self, args: &Args, name: &[u8]) {
        let Some(sha) = as_sha(name) else {
            return;
        };
        let known = self.scripts.known.exists(&sha);
        let body = match known {
            true => None,
            false => self.scripts.cache.peek(name).map(|s| s.body.clone()),
        };
        let mut words = OwnedArgs::default();
        match (known, body) {
            (false, Some(body)) => {
                words.push(b"EVAL");
                words.push(&body);
            }
            // It was taken away meanwhile: then it came with this very call.
            (false, None) => {
                words.push(b"EVAL");
                words.push(&args[1]);
            }
            (true, _) => {
                words.push(b"EVALSHA");
                words.push(&sha);
            }
        }
        for i in 2..args.len() {
            words.push(&args[i]);
        }
        self.scripts.known.add(sha);
        self.exec.call.rewrite_as(words);
    }

    /// The texts of all scripts, for a snapshot; none where nobody needs them.
    pub(crate) fn scripts_of_snapshot(&self) -> impl Iterator<Item = &[u8]> {
        let wanted = self.config.script_replication == ScriptReplication::Verbatim
            || self.scripts.has_obeyed;
        self.scripts
            .cache
            .iter()
            .filter(move |_| wanted)
            .map(|s| &s.body[..])
    }

    /// A replica attaches, or the append-only file begins anew: nobody is sure to know any script.
    pub(crate) fn replication_script_cache_flush(&mut self) {
        self.scripts.known.flush();
    }
}

/// An array of strings with its elements sorted; none for any other reply.
fn sorted_reply(reply: &[u8]) -> Option<Vec<u8>> {
    let head = memchr::memchr(b'\n', reply)? + 1;
    let mut elements = Vec::new();
    let mut rest = reply.get(head..)?;
    while !rest.is_empty() {
        if rest.first() != Some(&b'$') {
            return None;
        }
        let line = memchr::memchr(b'\r', rest)?;
        let n = crate::base::num::string2ll(rest.get(1..line)?)?;
        let from = line + 2;
        let end = from.checked_add(usize::try_from(n).ok()?)?;
        elements.push((rest.get(from..end)?, rest.get(..end + 2)?));
        rest = rest.get(end + 2..)?;
    }
    elements.sort_unstable();
    let mut sorted = reply[..head].to_vec();
    for (_, whole) in elements {
        sorted.extend_from_slice(whole);
    }
    Some(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_strings_are_sorted() {
        let sorted = sorted_reply(b"*3\r\n$1\r\nb\r\n$2\r\naa\r\n$0\r\n\r\n");
        assert_eq!(
            sorted.as_deref(),
            Some(&b"*3\r\n$0\r\n\r\n$2\r\naa\r\n$1\r\nb\r\n"[..])
        );
        assert_eq!(sorted_reply(b"*1\r\n:1\r\n"), None);
        assert_eq!(sorted_reply(b"*1\r\n$9\r\nx\r\n"), None);
    }
}
