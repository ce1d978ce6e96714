//! What a server without modules can truly say about them: clients and tools ask for it to find out what they
//! talk to. The rest of these commands is refused (`Unbuilt` of `server::execution::command`).
//!
//! The answers are those of a 7.2 that was never given a module. The help texts are its own,
//! whole: people read in them what the command is for.

use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;

const MODULE_HELP: &[&str] = &[
    "LIST",
    "    Return a list of loaded modules.",
    "LOAD <path> [<arg> ...]",
    "    Load a module library from <path>, passing to it any optional arguments.",
    "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
    "    Load a module library from <path>, while passing it module configurations and optional arguments.",
    "UNLOAD <name>",
    "    Unload a module.",
];

/// MODULE HELP
pub(crate) fn module_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, MODULE_HELP);
}

/// MODULE LIST
pub(crate) fn module_list_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.add_reply_array_len(cid, 0);
}
