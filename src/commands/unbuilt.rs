//! What a server without cluster mode, modules, scripts, functions and further users can truly say about them: clients and
//! tools ask for it to find out what they talk to. The rest of these commands is refused (`Unbuilt` of `server::execution::command`).
//!
//! The answers are those of a 7.2 that was never given a script, a function, a module or a user. The help texts are its own,
//! whole: people read in them what the command is for.

use crate::commands::connection::DEFAULT_USER;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::wire::rdb::{RDB_VERSION, create_dump_payload};

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

const FUNCTION_HELP: &[&str] = &[
    "LOAD [REPLACE] <FUNCTION CODE>",
    "    Create a new library with the given library name and code.",
    "DELETE <LIBRARY NAME>",
    "    Delete the given library.",
    "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
    "    Return general information on all the libraries:",
    "    * Library name",
    "    * The engine used to run the Library",
    "    * Library description",
    "    * Functions list",
    "    * Library code (if WITHCODE is given)",
    "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
    "STATS",
    "    Return information about the current function running:",
    "    * Function name",
    "    * Command used to run the function",
    "    * Duration in MS that the function is running",
    "    If no function is running, return nil",
    "    In addition, returns a list of available engines.",
    "KILL",
    "    Kill the current running function.",
    "FLUSH [ASYNC|SYNC]",
    "    Delete all the libraries.",
    "    When called without the optional mode argument, the behavior is determined by the",
    "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
    "    * ASYNC: Asynchronously flush the libraries.",
    "    * SYNC: Synchronously flush the libraries.",
    "DUMP",
    "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
    "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
    "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
    "    control how to handle existing libraries (default APPEND):",
    "    * FLUSH: delete all existing libraries.",
    "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
    "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
    "      libraries with the new libraries (notice that even on this option there is a chance of failure",
    "      in case of functions name collision with another library).",
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

const SCRIPT_HELP: &[&str] = &[
    "DEBUG (YES|SYNC|NO)",
    "    Set the debug mode for subsequent scripts executed.",
    "EXISTS <sha1> [<sha1> ...]",
    "    Return information about the existence of the scripts in the script cache.",
    "FLUSH [ASYNC|SYNC]",
    "    Flush the Lua scripts cache. Very dangerous on replicas.",
    "    When called without the optional mode argument, the behavior is determined by the",
    "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
    "    * ASYNC: Asynchronously flush the scripts cache.",
    "    * SYNC: Synchronously flush the scripts cache.",
    "KILL",
    "    Kill the currently executing Lua script.",
    "LOAD <script>",
    "    Load a script into the scripts cache without executing it.",
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

/// SCRIPT HELP
pub(crate) fn script_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, SCRIPT_HELP);
}

/// `SCRIPT EXISTS sha1 [sha1 ...]`
pub(crate) fn script_exists_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_array_len(cid, args.len() - 2);
    for _ in 2..args.len() {
        server.add_reply_long_long(cid, 0);
    }
}

/// `SCRIPT FLUSH [ASYNC|SYNC]`
pub(crate) fn script_flush_command(server: &mut Server, cid: ClientId, args: &Args) {
    match args.len() {
        2 => server.add_reply_ok(cid),
        3 if args.is(2, "sync") || args.is(2, "async") => server.add_reply_ok(cid),
        _ => server.add_reply_error(cid, "SCRIPT FLUSH only support SYNC|ASYNC option"),
    }
}

/// SCRIPT KILL
pub(crate) fn script_kill_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.add_reply_error(cid, "-NOTBUSY No scripts in execution right now.");
}

/// FUNCTION HELP
pub(crate) fn function_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, FUNCTION_HELP);
}

/// `FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]`
pub(crate) fn function_list_command(server: &mut Server, cid: ClientId, args: &Args) {
    let (mut code, mut library) = (false, false);
    let mut i = 2;
    while i < args.len() {
        if !code && args.is(i, "withcode") {
            code = true;
        } else if !library && args.is(i, "libraryname") {
            library = true;
            i += 1;
            if i == args.len() {
                return server.add_reply_error(cid, "library name argument was not given");
            }
        } else {
            let text = [b"Unknown argument ", &args[i]].concat();
            return server.add_reply_error_bytes(cid, &text);
        }
        i += 1;
    }
    server.add_reply_array_len(cid, 0);
}

/// `FUNCTION FLUSH [ASYNC|SYNC]`
pub(crate) fn function_flush_command(server: &mut Server, cid: ClientId, args: &Args) {
    match args.len() {
        2 => server.add_reply_ok(cid),
        3 if args.is(2, "sync") || args.is(2, "async") => server.add_reply_ok(cid),
        3 => server.add_reply_error(cid, "FUNCTION FLUSH only supports SYNC|ASYNC option"),
        _ => server.add_reply_subcommand_syntax_error(cid, args),
    }
}

/// FUNCTION KILL
pub(crate) fn function_kill_command(server: &mut Server, cid: ClientId, args: &Args) {
    script_kill_command(server, cid, args);
}

/// FUNCTION DUMP
pub(crate) fn function_dump_command(server: &mut Server, cid: ClientId, _: &Args) {
    let mut payload = Vec::new();
    create_dump_payload(&mut payload, RDB_VERSION);
    server.add_reply_bulk(cid, &payload);
}

/// FUNCTION DELETE library
pub(crate) fn function_delete_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.add_reply_error(cid, "Library not found");
}

/// FUNCTION STATS: nothing runs, and the one engine of 7.2 holds nothing.
pub(crate) fn function_stats_command(server: &mut Server, cid: ClientId, _: &Args) {
    let clients = &mut server.clients;
    clients.add_reply_map_len(cid, 2);
    clients.add_reply_bulk(cid, b"running_script");
    clients.add_reply_null(cid);
    clients.add_reply_bulk(cid, b"engines");
    clients.add_reply_map_len(cid, 1);
    clients.add_reply_bulk(cid, b"LUA");
    clients.add_reply_map_len(cid, 2);
    for field in ["libraries_count", "functions_count"] {
        clients.add_reply_bulk(cid, field.as_bytes());
        clients.add_reply_long_long(cid, 0);
    }
}
