//! PING, ECHO, SELECT, AUTH, HELLO, QUIT, RESET: what a client says about its own connection (parts of server.c, acl.c and
//! networking.c).

use crate::acl::user::DEFAULT_USER;
use crate::base::num::string2ll;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::{REDIS_VERSION, Server};

/// Why a client's name is refused.
pub(crate) const BAD_CLIENT_NAME: &str =
    "Client names cannot contain spaces, newlines or special characters.";

const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.";

/// Whether a client's name, or its library's, keeps CLIENT LIST's lines splittable at blanks (validateClientAttr).
pub(crate) fn validate_client_attr(s: &[u8]) -> bool {
    s.iter().all(|b| (b'!'..=b'~').contains(b))
}

/// `PING [message]`
pub(crate) fn ping_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() > 2 {
        return server.add_reply_error_arity(cid);
    }
    let clients = &mut server.clients;
    let Some(c) = clients.prepare_client_to_write(cid) else {
        return;
    };
    if c.has(ClientFlags::PUBSUB) && c.resp == 2 {
        clients.add_reply_proto(cid, b"*2\r\n$4\r\npong\r\n");
        clients.add_reply_bulk(cid, if args.len() == 2 { &args[1] } else { b"" });
    } else if args.len() == 1 {
        c.out.push(b"+PONG\r\n");
    } else {
        reply_argument(server, cid, args, 1);
    }
}

/// ECHO message
pub(crate) fn echo_command(server: &mut Server, cid: ClientId, args: &Args) {
    reply_argument(server, cid, args, 1);
}

fn reply_argument(server: &mut Server, cid: ClientId, args: &Args, i: usize) {
    match args.big(i) {
        Some(b) => server.clients.add_reply_bulk_shared(cid, b, 0..b.len()),
        None => server.clients.add_reply_bulk(cid, &args[i]),
    }
}

/// SELECT index
pub(crate) fn select_command(server: &mut Server, cid: ClientId, args: &Args) {
    let (min, max) = (i64::from(i32::MIN), i64::from(i32::MAX));
    let Some(id) = server.get_range_long_or_reply(cid, args, 1, min, max, None) else {
        return;
    };
    if server.config.cluster_enabled && id != 0 {
        return server.add_reply_error(cid, "SELECT is not allowed in cluster mode");
    }
    let db = usize::try_from(id).ok().filter(|db| *db < server.dbs.len());
    let Some(db) = db else {
        return server.add_reply_error(cid, "DB index is out of range");
    };
    if let Some(c) = server.clients.get_mut(cid) {
        c.db = db;
    }
    server.clients.add_reply_ok(cid);
}

impl Server {
    /// Brings a normal connection back to the state of a new one; its library's name stays (clearClientConnectionState).
    fn clear_client_connection_state(&mut self, cid: ClientId) {
        self.client_set_default_auth(cid);
        self.discard_transaction(cid);
        self.pubsub_unsubscribe_all(cid);
        self.disable_tracking(cid);
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        let was_monitor = c.has(ClientFlags::MONITOR);
        if was_monitor {
            c.flags.remove(ClientFlags::MONITOR | ClientFlags::SLAVE);
        }
        c.db = 0;
        c.resp = 2;
        c.name = None;
        c.flags.remove(
            ClientFlags::ASKING
                | ClientFlags::ASKING_NEXT
                | ClientFlags::READONLY
                | ClientFlags::PUBSUB
                | ClientFlags::REPLY_OFF
                | ClientFlags::REPLY_SKIP_NEXT
                | ClientFlags::NO_TOUCH
                | ClientFlags::NO_EVICT,
        );
        if was_monitor {
            self.clients.monitors.retain(|m| *m != cid);
        }
        if self.config.maxmemory_clients != 0 {
            self.update_client_mem_usage_and_bucket(cid);
        }
    }
}

/// `AUTH [username] password`
pub(crate) fn auth_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() > 3 {
        return server.add_reply_syntax_error(cid);
    }
    server.redact_client_command_argument(cid, 1);
    let (user, password) = if args.len() == 2 {
        if server.acl.default_user().nopass {
            return server.add_reply_error(
                cid,
                "AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?",
            );
        }
        (DEFAULT_USER, &args[1])
    } else {
        server.redact_client_command_argument(cid, 2);
        (&args[1], &args[2])
    };
    if server.acl_authenticate_user(cid, user, password, &args[0]) {
        server.clients.add_reply_ok(cid);
    } else {
        server.add_reply_error(cid, WRONGPASS);
    }
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]`
pub(crate) fn hello_command(server: &mut Server, cid: ClientId, args: &Args) {
    let mut version = 0;
    if args.len() > 1 {
        version = match string2ll(&args[1]) {
            Some(2) => 2,
            Some(3) => 3,
            Some(_) => {
                return server.add_reply_error(cid, "-NOPROTO unsupported protocol version");
            }
            None => {
                return server
                    .add_reply_error(cid, "Protocol version is not an integer or out of range");
            }
        };
    }
    let mut credentials = None;
    let mut name = None;
    let mut i = 2;
    while i < args.len() {
        let more = args.len() - 1 - i;
        if args.is(i, "AUTH") && more >= 2 {
            server.redact_client_command_argument(cid, i + 1);
            server.redact_client_command_argument(cid, i + 2);
            credentials = Some((&args[i + 1], &args[i + 2]));
            i += 3;
        } else if args.is(i, "SETNAME") && more >= 1 {
            if !validate_client_attr(&args[i + 1]) {
                return server.add_reply_error(cid, BAD_CLIENT_NAME);
            }
            name = Some(&args[i + 1]);
            i += 2;
        } else {
            let text = [b"Syntax error in HELLO option '", &args[i], b"'"].concat();
            return server.add_reply_error_bytes(cid, &text);
        }
    }
    if let Some((user, password)) = credentials
        && !server.acl_authenticate_user(cid, user, password, &args[0])
    {
        return server.add_reply_error(cid, WRONGPASS);
    }
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    if !c.authenticated {
        return server.add_reply_error(
            cid,
            "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        );
    }
    if let Some(name) = name {
        c.name = (!name.is_empty()).then(|| name.into());
    }
    if version != 0 {
        c.resp = version;
    }
    let (proto, id) = (i64::from(c.resp), c.id as i64);
    let role = match server.repl.master_host {
        Some(_) => "replica",
        None => "master",
    };
    let mode = server.config.mode_name();
    let with_role = !server.config.sentinel_mode;
    let clients = &mut server.clients;
    clients.add_reply_map_len(cid, 6 + usize::from(with_role));
    clients.add_reply_bulk(cid, b"server");
    clients.add_reply_bulk(cid, b"redis");
    clients.add_reply_bulk(cid, b"version");
    clients.add_reply_bulk(cid, REDIS_VERSION.as_bytes());
    clients.add_reply_bulk(cid, b"proto");
    clients.add_reply_long_long(cid, proto);
    clients.add_reply_bulk(cid, b"id");
    clients.add_reply_long_long(cid, id);
    clients.add_reply_bulk(cid, b"mode");
    clients.add_reply_bulk(cid, mode.as_bytes());
    if with_role {
        clients.add_reply_bulk(cid, b"role");
        clients.add_reply_bulk(cid, role.as_bytes());
    }
    clients.add_reply_bulk(cid, b"modules");
    clients.add_reply_array_len(cid, 0);
}

/// QUIT
pub(crate) fn quit_command(server: &mut Server, cid: ClientId, _args: &Args) {
    server.clients.add_reply_ok(cid);
    server.close_after_reply(cid);
}

/// RESET
pub(crate) fn reset_command(server: &mut Server, cid: ClientId, _args: &Args) {
    let Some(c) = server.clients.get(cid) else {
        return;
    };
    let replica = c.has(ClientFlags::SLAVE) && !c.has(ClientFlags::MONITOR);
    if replica || c.has(ClientFlags::MASTER) {
        return server.add_reply_error(cid, "can only reset normal client connections");
    }
    server.clear_client_connection_state(cid);
    server.refresh_shortcuts(cid);
    server.clients.add_reply_status(cid, "RESET");
}
