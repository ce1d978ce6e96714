//! What a debugged script does, as its user is told: the commands it calls, their replies, errors, and `redis.debug`.

use crate::script::debugger::session::Session;
use crate::script::debugger::show;
use crate::script::lua::{Call, Returned};
use crate::server::Server;
use crate::server::execution::args::Args;

/// Words of a command that are shown.
const WORDS_SHOWN: usize = 10;

/// Only what is called within a session may ask for it.
pub(super) fn session(server: &mut Server) -> Option<&mut Session> {
    server.scripts.debugger.as_deref_mut()
}

/// `redis.breakpoint()`: whether there is a debugger to stop.
pub(in crate::script) fn breakpoint(call: &mut Call<Server>) -> Returned {
    let s = session(call.host());
    let debugged = s.is_some();
    if let Some(s) = s {
        s.breakpoint_called = true;
    }
    call.push_bool(debugged);
    Ok(1)
}

/// `redis.debug(value, ...)`
pub(in crate::script) fn debug(call: &mut Call<Server>) -> Returned {
    let Some(s) = session(call.host()).filter(|s| !s.wire.is_gone()) else {
        return Ok(0);
    };
    let mut entry = format!("<debug> line {}: ", s.current).into_bytes();
    for i in 1..=call.top() {
        if i > 1 {
            entry.extend_from_slice(b", ");
        }
        show::value(call, i, &mut entry, show::LONGEST);
    }
    if let Some(s) = session(call.host()) {
        s.log(entry);
    }
    Ok(0)
}

/// The session, where what the script calls is to be logged (ldbIsEnabled).
fn stepping(server: &mut Server) -> Option<&mut Session> {
    session(server).filter(|s| s.step)
}

/// A command that the script calls.
#[inline]
pub(in crate::script) fn log_command(server: &mut Server, args: &Args) {
    let Some(s) = stepping(server) else {
        return;
    };
    let mut entry = b"<redis>".to_vec();
    for (i, word) in args.iter().enumerate() {
        if i == WORDS_SHOWN {
            let more = args.len() - i - 1;
            entry.extend_from_slice(format!(" ... ({more} more)").as_bytes());
            break;
        }
        entry.push(b' ');
        entry.extend_from_slice(word);
    }
    s.log(entry);
}

/// What it has replied.
#[inline]
pub(in crate::script) fn log_reply(server: &mut Server, reply: &[u8]) {
    let Some(s) = stepping(server) else {
        return;
    };
    if reply.first() == Some(&b'-') {
        let end = memchr::memchr(b'\r', reply).unwrap_or(reply.len());
        s.log([b"<error> ", &reply[..end]].concat());
    }
    let mut entry = b"<reply> ".to_vec();
    show::reply(reply, &mut entry, s.limit());
    s.log_with_max_len(entry);
}

/// An error that the script is given.
#[inline]
pub(in crate::script) fn log_error(server: &mut Server, text: &[u8]) {
    if let Some(s) = stepping(server) {
        s.log([b"<error> ", text].concat());
    }
}
