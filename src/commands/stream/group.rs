//! XGROUP: groups and consumers come and go.

use super::parse_id;
use crate::ds::table::Slot;
use crate::server::Server;
use crate::server::client::ClientId;
use crate::server::exec::Args;
use crate::server::lookup::LOOKUP_WRITE;
use crate::server::notify::NOTIFY_STREAM;
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

/// XGROUP CREATE|SETID|DESTROY|CREATECONSUMER|DELCONSUMER|HELP ...
pub fn xgroup_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.is(1, "help") && args.len() == 2 {
        return server.add_reply_help(cid, args, HELP);
    }
    if args.len() < 4 {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
    let create = args.is(1, "create");
    let setid = args.is(1, "setid");
    let mut mkstream = false;
    let mut entries_read = SCG_INVALID_ENTRIES_READ;
    let mut i = 5;
    while i < args.len() {
        if create && args.is(i, "mkstream") {
            mkstream = true;
            i += 1;
        } else if (create || setid) && args.is(i, "entriesread") && i + 1 < args.len() {
            let Some(n) = server.get_long_long_or_reply(cid, args, i + 1) else {
                return;
            };
            if n < 0 && n != SCG_INVALID_ENTRIES_READ {
                let text = "value for ENTRIESREAD must be positive or -1";
                return server.add_reply_error(cid, text);
            }
            entries_read = n;
            i += 2;
        } else {
            return server.add_reply_subcommand_syntax_error(cid, args);
        }
    }
    let key = &args[2];
    let name = &args[3];
    let db = server.client_db(cid);
    let Ok(slot) = server.lookup_typed::<Stream>(cid, key, LOOKUP_WRITE) else {
        return;
    };
    if slot.is_none() && !mkstream {
        return server.add_reply_error(
            cid,
            "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
             option to create an empty stream automatically.",
        );
    }
    let stream = slot.and_then(|slot| server.dbs[db].keys.value::<Stream>(slot));
    let last_id = stream.as_ref().map_or(StreamId::MIN, |s| s.0.meta.last_id);
    let there = stream.is_some_and(|s| s.0.lookup_cg(name).is_some());
    let needs_group = setid || args.is(1, "createconsumer") || args.is(1, "delconsumer");
    if needs_group && !there {
        return server.reply_no_group(cid, key, name);
    }
    if create && (5..=8).contains(&args.len()) {
        let id = match &args[4] {
            b"$" => last_id,
            id => match server.strict_id_or_reply(cid, id) {
                Some(id) => id,
                None => return,
            },
        };
        if there {
            let text = "-BUSYGROUP Consumer Group name already exists";
            return server.add_reply_error(cid, text);
        }
        match slot {
            Some(_) => server.change_stream(db, slot, |s| {
                s.create_cg(name, id, entries_read);
            }),
            None => {
                let mut s = Stream::new();
                s.0.create_cg(name, id, entries_read);
                let value = NewValue::Value(Value::Stream(s));
                server.db_add(db, key, value, None);
                server.signal_modified_key(cid, db, key);
            }
        }
        server.add_reply_ok(cid);
        server.dirty += 1;
        server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-create", key, db);
    } else if setid && matches!(args.len(), 5 | 7) {
        let id = match &args[4] {
            b"$" => last_id,
            id => match parse_id(id, 0) {
                Some(id) => id,
                None => return server.reply_invalid_stream_id(cid),
            },
        };
        server.change_stream(db, slot, |s| {
            if let Some(g) = s.lookup_cg_mut(name) {
                g.last_id = id;
                g.entries_read = entries_read;
            }
        });
        server.add_reply_ok(cid);
        server.dirty += 1;
        server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-setid", key, db);
    } else if args.is(1, "destroy") && args.len() == 4 {
        if !there {
            return server.add_reply_long_long(cid, 0);
        }
        server.change_stream(db, slot, |s| {
            s.destroy_cg(name);
        });
        server.add_reply_long_long(cid, 1);
        server.dirty += 1;
        server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-destroy", key, db);
        // Whoever waits in this group gets an error.
        server.signal_key_as_ready(db, key, Type::Stream);
    } else if args.is(1, "createconsumer") && args.len() == 5 {
        let now = server.command_time_ms();
        let mut created = false;
        server.change_stream(db, slot, |s| {
            let g = s.lookup_cg_mut(name);
            created = g.is_some_and(|g| g.create_consumer(&args[4], now).is_some());
        });
        server.add_reply_long_long(cid, i64::from(created));
        if created {
            server.dirty += 1;
            server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-createconsumer", key, db);
        }
    } else if args.is(1, "delconsumer") && args.len() == 5 {
        let mut pending = None;
        server.change_stream(db, slot, |s| {
            let g = s.lookup_cg_mut(name);
            pending = g.and_then(|g| g.del_consumer(&args[4]));
        });
        server.add_reply_long_long(cid, pending.unwrap_or(0) as i64);
        if pending.is_some() {
            server.dirty += 1;
            server.notify_keyspace_event(NOTIFY_STREAM, "xgroup-delconsumer", key, db);
        }
    } else {
        server.add_reply_subcommand_syntax_error(cid, args);
    }
}

impl Server {
    /// Lets `f` change the stream that was found.
    fn change_stream(&mut self, db: usize, slot: Option<Slot>, f: impl FnOnce(&mut StreamData)) {
        if let Some(slot) = slot
            && let Some(mut s) = self.dbs[db].keys.value_mut::<Stream>(slot)
        {
            f(&mut s.0);
        }
    }
}
