//! FUNCTION and its subcommands (functions.c).

use crate::base::glob::string_match_len;
use crate::script::eval::flush_mode;
use crate::script::flags::{Engine, ScriptFlags};
use crate::script::function_set::{CreateFlags, ENGINE_NAME, Restore};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::wire::rdb::{self, create_dump_payload, verify_dump_payload};

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

/// FUNCTION HELP
pub(crate) fn function_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, FUNCTION_HELP);
}

/// `FUNCTION LOAD [REPLACE] code`
pub(crate) fn function_load_command(server: &mut Server, cid: ClientId, args: &Args) {
    let last = args.len() - 1;
    let mut how = CreateFlags::empty();
    for i in 2..last {
        if !args.is(i, "replace") {
            let text = [b"Unknown option given: ", &args[i]].concat();
            return server.add_reply_error_bytes(cid, &text);
        }
        how |= CreateFlags::REPLACE;
    }
    how.set(CreateFlags::UNLIMITED, server.must_obey_client(cid));
    match server.functions_create(&args[last], how) {
        Ok(name) => {
            server.dirty += 1;
            server.add_reply_bulk(cid, &name);
        }
        Err(problem) => server.add_reply_error(cid, &problem),
    }
}

/// FUNCTION DELETE library
pub(crate) fn function_delete_command(server: &mut Server, cid: ClientId, args: &Args) {
    if !server.function_delete(&args[2]) {
        return server.add_reply_error(cid, "Library not found");
    }
    server.dirty += 1;
    server.add_reply_ok(cid);
}

/// `FUNCTION FLUSH [ASYNC|SYNC]`
pub(crate) fn function_flush_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() > 3 {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
    let Some(lazy) = flush_mode(server, args) else {
        return server.add_reply_error(cid, "FUNCTION FLUSH only supports SYNC|ASYNC option");
    };
    server.flush_functions(lazy);
    server.dirty += 1;
    server.add_reply_ok(cid);
}

/// FUNCTION KILL
pub(crate) fn function_kill_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.script_kill(cid, Engine::Functions);
}

/// `FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]`
pub(crate) fn function_list_command(server: &mut Server, cid: ClientId, args: &Args) {
    let (mut code, mut pattern) = (false, None);
    let mut i = 2;
    while i < args.len() {
        if !code && args.is(i, "withcode") {
            code = true;
        } else if pattern.is_none() && args.is(i, "libraryname") {
            i += 1;
            if i == args.len() {
                return server.add_reply_error(cid, "library name argument was not given");
            }
            pattern = Some(i);
        } else {
            let text = [b"Unknown argument ", &args[i]].concat();
            return server.add_reply_error_bytes(cid, &text);
        }
        i += 1;
    }
    let Server {
        scripts, clients, ..
    } = server;
    let chosen = |name: &[u8]| pattern.is_none_or(|p| string_match_len(&args[p], name, true));
    let libraries = || scripts.libraries.iter().filter(|l| chosen(&l.name));
    clients.add_reply_array_len(cid, libraries().count());
    for library in libraries() {
        clients.add_reply_map_len(cid, if code { 4 } else { 3 });
        clients.add_reply_bulk(cid, b"library_name");
        clients.add_reply_bulk(cid, &library.name);
        clients.add_reply_bulk(cid, b"engine");
        clients.add_reply_bulk(cid, ENGINE_NAME.as_bytes());
        clients.add_reply_bulk(cid, b"functions");
        clients.add_reply_array_len(cid, library.functions.len());
        for f in &library.functions {
            clients.add_reply_map_len(cid, 3);
            clients.add_reply_bulk(cid, b"name");
            clients.add_reply_bulk(cid, &f.name);
            clients.add_reply_bulk(cid, b"description");
            match &f.description {
                Some(text) => clients.add_reply_bulk(cid, text),
                None => clients.add_reply_null(cid),
            }
            clients.add_reply_bulk(cid, b"flags");
            let set = || {
                let names = ScriptFlags::NAMES.iter();
                names.filter(|(_, flag)| f.flags.contains(*flag))
            };
            clients.add_reply_set_len(cid, set().count());
            for (name, _) in set() {
                clients.add_reply_status(cid, name);
            }
        }
        if code {
            clients.add_reply_bulk(cid, b"library_code");
            clients.add_reply_bulk(cid, &library.code);
        }
    }
}

/// FUNCTION STATS
pub(crate) fn function_stats_command(server: &mut Server, cid: ClientId, _: &Args) {
    let now = crate::base::clock::ustime();
    let busy = server.busy_script_error();
    let Server {
        scripts, clients, ..
    } = server;
    match &scripts.run {
        Some(run) if run.engine == Engine::Eval => {
            return server.add_reply_error(cid, busy);
        }
        run => {
            clients.add_reply_map_len(cid, 2);
            clients.add_reply_bulk(cid, b"running_script");
            match run {
                None => clients.add_reply_null(cid),
                Some(run) => {
                    clients.add_reply_map_len(cid, 3);
                    clients.add_reply_bulk(cid, b"name");
                    clients.add_reply_bulk(cid, &run.name);
                    clients.add_reply_bulk(cid, b"command");
                    let words = scripts.command.as_args();
                    clients.add_reply_array_len(cid, words.len());
                    for word in words.iter() {
                        clients.add_reply_bulk(cid, word);
                    }
                    clients.add_reply_bulk(cid, b"duration_ms");
                    clients.add_reply_long_long(cid, (now - run.started_us).max(0) / 1000);
                }
            }
        }
    }
    clients.add_reply_bulk(cid, b"engines");
    clients.add_reply_map_len(cid, 1);
    clients.add_reply_bulk(cid, ENGINE_NAME.as_bytes());
    clients.add_reply_map_len(cid, 2);
    let counts = [
        ("libraries_count", scripts.libraries.len()),
        ("functions_count", scripts.libraries.functions_len()),
    ];
    for (field, n) in counts {
        clients.add_reply_bulk(cid, field.as_bytes());
        clients.add_reply_long_long(cid, n as i64);
    }
}

/// FUNCTION DUMP
pub(crate) fn function_dump_command(server: &mut Server, cid: ClientId, _: &Args) {
    let mut payload = Vec::new();
    for library in server.scripts.libraries.iter() {
        rdb::push_function(&mut payload, &library.code);
    }
    // As of DUMP.
    let version = server.config.rdb_save_version.of_files();
    create_dump_payload(&mut payload, version);
    server.add_reply_bulk(cid, &payload);
}

/// `FUNCTION RESTORE payload [FLUSH|APPEND|REPLACE]`
pub(crate) fn function_restore_command(server: &mut Server, cid: ClientId, args: &Args) {
    let how = match args.len() {
        3 => Restore::Append,
        4 if args.is(3, "append") => Restore::Append,
        4 if args.is(3, "replace") => Restore::Replace,
        4 if args.is(3, "flush") => Restore::Flush,
        4 => {
            let text =
                "Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.";
            return server.add_reply_error(cid, text);
        }
        _ => return server.add_reply_subcommand_syntax_error(cid, args),
    };
    let skip = server.debug.skip_checksum_validation;
    let check = server.config.rdb_version_check.into();
    let Ok((_, body)) = verify_dump_payload(&args[2], skip, check) else {
        return server.add_reply_error(cid, "DUMP payload version or checksum are wrong");
    };
    let codes = match rdb::read_functions(body) {
        Ok(codes) => codes,
        Err(problem) => return server.add_reply_error(cid, problem),
    };
    // What a client brings may be any code.
    let unlimited = server.must_obey_client(cid);
    match server.functions_restore(codes.iter().map(|c| &c[..]), how, unlimited) {
        Ok(()) => {
            server.dirty += 1;
            server.add_reply_ok(cid);
        }
        Err(problem) => server.add_reply_error(cid, &problem),
    }
}
