//! What a server without cluster mode, modules, scripts, functions and further users can truly say about them: clients and
//! tools ask for it to find out what they talk to. The rest of these commands is refused (`Unbuilt` of `server::command`).
//!
//! The answers are those of a 7.2 that was never given a script, a function, a module or a user.

use crate::commands::connection::DEFAULT_USER;
use crate::server::Server;
use crate::server::client::ClientId;
use crate::server::exec::Args;
use crate::wire::rdb::{RDB_VERSION, create_dump_payload};

/// Answers a call of an unbuilt command whose original name is `name`, if that can be done without the feature. False:
/// nothing has been sent.
pub fn answer_probe(server: &mut Server, cid: ClientId, name: &str, args: &Args) -> bool {
    let sub = args.get(1).unwrap_or_default().to_ascii_lowercase();
    match (name, &sub[..], args.len()) {
        ("asking" | "readonly" | "readwrite", _, 1) | ("cluster", _, 2..) => {
            server.add_reply_error(cid, "This instance has cluster support disabled");
        }
        ("module", b"list", 2) | ("function", b"list", 2..) => server.add_reply_array_len(cid, 0),
        ("script", b"exists", 3..) => {
            server.add_reply_array_len(cid, args.len() - 2);
            for _ in 2..args.len() {
                server.clients.add_reply_long_long(cid, 0);
            }
        }
        ("script" | "function", b"flush", 2) => server.clients.add_reply_ok(cid),
        ("script" | "function", b"flush", 3) if args.is(2, "sync") || args.is(2, "async") => {
            server.clients.add_reply_ok(cid);
        }
        ("script" | "function", b"kill", 2) => {
            server.add_reply_error(cid, "-NOTBUSY No scripts in execution right now.");
        }
        ("function", b"stats", 2) => function_stats(server, cid),
        ("function", b"dump", 2) => {
            let mut payload = Vec::new();
            create_dump_payload(&mut payload, RDB_VERSION);
            server.clients.add_reply_bulk(cid, &payload);
        }
        ("function", b"delete", 3) => server.add_reply_error(cid, "Library not found"),
        ("acl", b"whoami", 2) => server.clients.add_reply_bulk(cid, DEFAULT_USER.as_bytes()),
        ("acl", b"users", 2) => {
            server.add_reply_array_len(cid, 1);
            server.clients.add_reply_bulk(cid, DEFAULT_USER.as_bytes());
        }
        _ => return false,
    }
    true
}

/// FUNCTION STATS: nothing runs, and the one engine of 7.2 holds nothing.
fn function_stats(server: &mut Server, cid: ClientId) {
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
