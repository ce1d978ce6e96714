//! What a server without cluster mode, modules, scripts, functions and further users can truly say about them: clients and
//! tools ask for it to find out what they talk to. The rest of these commands is refused (`Unbuilt` of `server::execution::command`).
//!
//! The answers are those of a 7.2 that was never given a script, a function, a module or a user. The help texts are its own,
//! whole: people read in them what the command is for.

use crate::commands::connection::DEFAULT_USER;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;

const ACL_HELP: &[&str] = &[
    "CAT [<category>]",
    "    List all commands that belong to <category>, or all command categories",
    "    when no category is specified.",
    "DELUSER <username> [<username> ...]",
    "    Delete a list of users.",
    "DRYRUN <username> <command> [<arg> ...]",
    "    Returns whether the user can execute the given command without executing the command.",
    "GETUSER <username>",
    "    Get the user's details.",
    "GENPASS [<bits>]",
    "    Generate a secure 256-bit user password. The optional `bits` argument can",
    "    be used to specify a different size.",
    "LIST",
    "    Show users details in config file format.",
    "LOAD",
    "    Reload users from the ACL file.",
    "LOG [<count> | RESET]",
    "    Show the ACL log entries.",
    "SAVE",
    "    Save the current config to the ACL file.",
    "SETUSER <username> <attribute> [<attribute> ...]",
    "    Create or modify a user with the specified attributes.",
    "USERS",
    "    List all the registered usernames.",
    "WHOAMI",
    "    Return the current connection username.",
];

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

/// ASKING, READONLY, READWRITE and all of CLUSTER.
pub(crate) fn cluster_disabled_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.add_reply_error(cid, "This instance has cluster support disabled");
}

/// ACL HELP
pub(crate) fn acl_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, ACL_HELP);
}

/// ACL USERS
pub(crate) fn acl_users_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.add_reply_array_len(cid, 1);
    server.add_reply_bulk(cid, DEFAULT_USER.as_bytes());
}

/// ACL WHOAMI
pub(crate) fn acl_whoami_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.add_reply_bulk(cid, DEFAULT_USER.as_bytes());
}

/// MODULE HELP
pub(crate) fn module_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, MODULE_HELP);
}

/// MODULE LIST
pub(crate) fn module_list_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.add_reply_array_len(cid, 0);
}
