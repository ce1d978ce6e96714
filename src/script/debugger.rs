//! The debugger of scripts (ldb of eval.c).

use crate::script::lua::{Call, Returned};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;

pub(super) fn is_debugging(_server: &Server, _cid: ClientId) -> bool {
    false
}

pub(super) fn breakpoint(call: &mut Call<Server>) -> Returned {
    call.push_bool(false);
    Ok(1)
}

pub(super) fn debug(_call: &mut Call<Server>) -> Returned {
    Ok(0)
}

pub(super) fn log_command(_server: &mut Server, _args: &Args) {}

pub(super) fn log_reply(_server: &mut Server, _reply: &[u8]) {}

impl Server {
    pub(super) fn eval_with_debugging(&mut self, _cid: ClientId, _args: &Args, _evalsha: bool) {}
}

/// SCRIPT DEBUG YES|SYNC|NO
pub(crate) fn script_debug_command(server: &mut Server, cid: ClientId, _args: &Args) {
    server.add_reply_error(cid, "not yet");
}
