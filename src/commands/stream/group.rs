//! XGROUP: groups and consumers come and go.

use super::parse_id;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::keyspace::lookup::{At, Lookup, Replied};
use crate::server::keyspace::notify::NOTIFY_STREAM;
use crate::store::entry::value::Value;
use crate::store::entry::{NewValue, Type};
use crate::store::stream::{SCG_INVALID_ENTRIES_READ, Stream, StreamData, StreamId};

const HELP: &[&str] = &[
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
];

/// What may follow the id of XGROUP CREATE and XGROUP SETID.
struct Options {
    mkstream: bool,
    entries_read: i64,
}

/// The options behind argument 4, as many as upstream takes; MKSTREAM only where a group is created.
fn options_or_reply(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    create: bool,
) -> Result<Options, Replied> {
    let mut options = Options {
        mkstream: false,
        entries_read: SCG_INVALID_ENTRIES_READ,
    };
    let mut i = 5;
    while i < args.len() {
        if create && args.is(i, "mkstream") {
            options.mkstream = true;
            i += 1;
        } else if args.is(i, "entriesread") && i + 1 < args.len() {
            let Some(n) = server.get_long_long_or_reply(cid, args, i + 1) else {
                return Err(Replied);
            };
            if n < 0 && n != SCG_INVALID_ENTRIES_READ {
                server.add_reply_error(cid, "value for ENTRIESREAD must be positive or -1");
                return Err(Replied);
            }
            options.entries_read = n;
            i += 2;
        } else {
            server.add_reply_subcommand_syntax_error(cid, args);
            return Err(Replied);
        }
    }
    Ok(options)
}

/// Where the stream at argument 2 is, or an error to the client.
fn stream_or_reply(server: &mut Server, cid: ClientId, args: &Args) -> Result<At, Replied> {
    match server.lookup_typed::<Stream>(cid, &args[2], Lookup::WRITE)? {
        Some(at) => Ok(at),
        None => {
            no_stream(server, cid);
            Err(Replied)
        }
    }
}

fn no_stream(server: &mut Server, cid: ClientId) {
    server.add_reply_error(
        cid,
        "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
         option to create an empty stream automatically.",
    );
}

/// The same, for a group at argument 3 that must be there.
fn group_or_reply(server: &mut Server, cid: ClientId, args: &Args) -> Result<At, Replied> {
    let at = stream_or_reply(server, cid, args)?;
    if !server.has_group(at, &args[3]) {
        server.reply_no_group(cid, &args[2], &args[3]);
        return Err(Replied);
    }
    Ok(at)
}

/// XGROUP HELP
pub(crate) fn xgroup_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, HELP);
}

/// `XGROUP CREATE key group id|$ [MKSTREAM] [ENTRIESREAD entries-read]`
pub(crate) fn xgroup_create_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(options) = options_or_reply(server, cid, args, true) else {
        return;
    };
    let (key, name) = (&args[2], &args[3]);
    let db = server.client_db(cid);
    let Ok(at) = server.lookup_typed::<Stream>(cid, key, Lookup::WRITE) else {
        return;
    };
    if at.is_none() && !options.mkstream {
        return no_stream(server, cid);
    }
    if args.len() > 8 {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
    let id = match &args[4] {
        b"$" => server.last_id_of(at),
        id => match server.strict_id_or_reply(cid, id) {
            Some(id) => id,
            None => return,
        },
    };
    match at {
        Some(at) => {
            if server.has_group(at, name) {
                let text = "-BUSYGROUP Consumer Group name already exists";
                return server.add_reply_error(cid, text);
            }
            server.change_stream(at, |s| {
                s.create_cg(name, id, options.entries_read);
            });
        }
        None => {
            let mut s = Stream::new();
            s.0.create_cg(name, id, options.entries_read);
            let value = NewValue::Value(Value::Stream(s));
            server.db_add(db, key, value, None);
            server.signal_modified_key(cid, db, key);
        }
    }
    server.add_reply_ok(cid);
    server.dirty += 1;
    server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-create", key, db);
}

/// `XGROUP SETID key group id|$ [ENTRIESREAD entries-read]`
pub(crate) fn xgroup_setid_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(options) = options_or_reply(server, cid, args, false) else {
        return;
    };
    let Ok(at) = group_or_reply(server, cid, args) else {
        return;
    };
    if args.len() > 7 {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
    let (key, name) = (&args[2], &args[3]);
    let db = server.client_db(cid);
    let id = match &args[4] {
        b"$" => server.last_id_of(Some(at)),
        id => match parse_id(id, 0) {
            Some(id) => id,
            None => return server.reply_invalid_stream_id(cid),
        },
    };
    server.change_stream(at, |s| {
        if let Some(g) = s.lookup_cg_mut(name) {
            g.last_id = id;
            g.entries_read = options.entries_read;
        }
    });
    server.add_reply_ok(cid);
    server.dirty += 1;
    server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-setid", key, db);
}

/// XGROUP DESTROY key group
pub(crate) fn xgroup_destroy_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(at) = stream_or_reply(server, cid, args) else {
        return;
    };
    let (key, name) = (&args[2], &args[3]);
    let db = server.client_db(cid);
    if !server.has_group(at, name) {
        return server.add_reply_long_long(cid, 0);
    }
    server.change_stream(at, |s| s.destroy_cg(name));
    server.add_reply_long_long(cid, 1);
    server.dirty += 1;
    server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-destroy", key, db);
    // Whoever waits in this group gets an error.
    server.signal_key_as_ready(db, key, Type::Stream);
}

/// XGROUP CREATECONSUMER key group consumer
pub(crate) fn xgroup_createconsumer_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(at) = group_or_reply(server, cid, args) else {
        return;
    };
    let (key, name) = (&args[2], &args[3]);
    let db = server.client_db(cid);
    let now = server.command_time_ms();
    let created = server.change_stream(at, |s| {
        let g = s.lookup_cg_mut(name);
        g.is_some_and(|g| g.create_consumer(&args[4], now).is_some())
    });
    let created = created == Some(true);
    server.add_reply_long_long(cid, i64::from(created));
    if created {
        server.dirty += 1;
        server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-createconsumer", key, db);
    }
}

/// XGROUP DELCONSUMER key group consumer
pub(crate) fn xgroup_delconsumer_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Ok(at) = group_or_reply(server, cid, args) else {
        return;
    };
    let (key, name) = (&args[2], &args[3]);
    let db = server.client_db(cid);
    let pending = server.change_stream(at, |s| {
        let g = s.lookup_cg_mut(name);
        g.and_then(|g| g.del_consumer(&args[4]))
    });
    let pending = pending.flatten();
    server.add_reply_long_long(cid, pending.unwrap_or(0) as i64);
    if pending.is_some() {
        server.dirty += 1;
        server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-delconsumer", key, db);
    }
}

impl Server {
    /// Lets `f` change the stream that was found.
    fn change_stream<R>(&mut self, at: At, f: impl FnOnce(&mut StreamData) -> R) -> Option<R> {
        let done = self.change_value(at, |s: &mut Stream, _| f(&mut s.0));
        done.map(|(result, _)| result)
    }

    fn has_group(&self, at: At, name: &[u8]) -> bool {
        let stream = at.value::<Stream>(&self.dbs);
        stream.is_some_and(|s| s.0.lookup_cg(name).is_some())
    }

    fn last_id_of(&self, at: Option<At>) -> StreamId {
        let stream = at.and_then(|at| at.value::<Stream>(&self.dbs));
        stream.map_or(StreamId::MIN, |s| s.0.meta.last_id)
    }
}
