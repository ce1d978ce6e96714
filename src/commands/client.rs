//! CLIENT and its subcommands (clientCommand of networking.c).

use std::collections::HashMap;
use std::rc::Rc;

use crate::acl::user::User;
use crate::base::num::string2ll;
use crate::commands::connection::{BAD_CLIENT_NAME, validate_client_attr};
use crate::server::Server;
use crate::server::clients::client::ClientType;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::clients::info::Running;
use crate::server::execution::args::Args;
use crate::server::execution::blocked::{PauseActions, PausePurpose};

const HELP: &[&str] = &[
    "CACHING (YES|NO)",
    "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
    "GETREDIR",
    "    Return the client ID we are redirecting to when tracking is enabled.",
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current client connection.",
    "KILL <ip:port>",
    "    Kill connection made from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Kill connections. Options are:",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made from the specified address",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "      Kill connections made to specified local address",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Kill connections by type.",
    "    * USER <username>",
    "      Kill connections authenticated by <username>.",
    "    * SKIPME (YES|NO)",
    "      Skip killing current connection (default: yes).",
    "LIST [options ...]",
    "    Return information about client connections. Options:",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "      Return clients of specified type.",
    "UNPAUSE",
    "    Stop the current client pause, resuming traffic.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Suspend all, or just write, clients for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
    "SETINFO <option> <value>",
    "    Set client meta attr. Options are:",
    "    * LIB-NAME: the client lib name.",
    "    * LIB-VER: the client lib version.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    Unblock the specified blocked client.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Control server assisted client side caching.",
    "TRACKINGINFO",
    "    Report tracking status for the current connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect current client connection from eviction.",
    "NO-TOUCH (ON|OFF)",
    "    Will not touch LRU/LFU stats when this mode is on.",
];

/// CLIENT HELP
pub(crate) fn client_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, HELP);
}

/// CLIENT ID
pub(crate) fn client_id_command(server: &mut Server, cid: ClientId, _: &Args) {
    let id = server.clients.get(cid).map_or(0, |c| c.id);
    server.clients.add_reply_long_long(cid, id as i64);
}

/// CLIENT INFO
pub(crate) fn client_info_command(server: &mut Server, cid: ClientId, args: &Args) {
    let mut line = String::with_capacity(320);
    server.cat_client_info_string(&mut line, cid, Some(Running::of(args)));
    line.push('\n');
    server
        .clients
        .add_reply_verbatim(cid, line.as_bytes(), *b"txt");
}

/// CLIENT NO-EVICT ON|OFF
pub(crate) fn client_no_evict_command(server: &mut Server, cid: ClientId, args: &Args) {
    switch(server, cid, args, ClientFlags::NO_EVICT);
}

/// CLIENT NO-TOUCH ON|OFF
pub(crate) fn client_no_touch_command(server: &mut Server, cid: ClientId, args: &Args) {
    switch(server, cid, args, ClientFlags::NO_TOUCH);
}

/// CLIENT GETNAME
pub(crate) fn client_getname_command(server: &mut Server, cid: ClientId, _: &Args) {
    match server.clients.get(cid).and_then(|c| c.name.clone()) {
        Some(name) => server.clients.add_reply_bulk(cid, &name),
        None => server.clients.add_reply_null(cid),
    }
}

/// CLIENT UNPAUSE
pub(crate) fn client_unpause_command(server: &mut Server, cid: ClientId, _: &Args) {
    server.unpause_actions(PausePurpose::ByClientCommand);
    server.clients.add_reply_ok(cid);
}

/// CLIENT GETREDIR
pub(crate) fn client_getredir_command(server: &mut Server, cid: ClientId, _: &Args) {
    let id = redirection(server, cid);
    server.clients.add_reply_long_long(cid, id);
}

/// `CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]`
pub(crate) fn client_tracking_command(server: &mut Server, cid: ClientId, args: &Args) {
    let mut redirect = None;
    let mut options = ClientFlags::empty();
    let mut prefixes = Vec::new();
    let mut i = 3;
    while i < args.len() {
        let more = i + 1 < args.len();
        if args.is(i, "redirect") && more {
            i += 1;
            if redirect.is_some() {
                let text = "A client can only redirect to a single other client";
                return server.add_reply_error(cid, text);
            }
            let Some(id) = server.get_long_long_or_reply(cid, args, i) else {
                return;
            };
            // It may go away later, but a wrong number is better told now.
            let target = server.clients.by_id(id as u64).filter(|t| {
                let t = server.clients.get(*t);
                t.is_some_and(|t| !t.has(ClientFlags::FAKE | ClientFlags::CLOSE_ASAP))
            });
            let Some(target) = target else {
                let text = "The client ID you want redirect to does not exist";
                return server.add_reply_error(cid, text);
            };
            redirect = Some((id as u64, target));
        } else if args.is(i, "bcast") {
            options |= ClientFlags::TRACKING_BCAST;
        } else if args.is(i, "optin") {
            options |= ClientFlags::TRACKING_OPTIN;
        } else if args.is(i, "optout") {
            options |= ClientFlags::TRACKING_OPTOUT;
        } else if args.is(i, "noloop") {
            options |= ClientFlags::TRACKING_NOLOOP;
        } else if args.is(i, "prefix") && more {
            i += 1;
            prefixes.push(&args[i]);
        } else {
            return server.add_reply_syntax_error(cid);
        }
        i += 1;
    }
    if args.is(2, "on") {
        let flags = server
            .clients
            .get(cid)
            .map_or(ClientFlags::empty(), |c| c.flags);
        if let Some(text) = why_not_track(flags, options, prefixes.len()) {
            return server.add_reply_error(cid, text);
        }
        if let Some(text) = server.tracking.prefix_collision(cid, &prefixes) {
            return server.add_reply_error_bytes(cid, &text);
        }
        server.enable_tracking(cid, redirect, options, &prefixes);
    } else if args.is(2, "off") {
        server.disable_tracking(cid);
    } else {
        return server.add_reply_syntax_error(cid);
    }
    server.refresh_shortcuts(cid);
    server.clients.add_reply_ok(cid);
}

/// Options of CLIENT TRACKING ON that do not go together, or not with how the client, of these flags, tracks already.
fn why_not_track(
    flags: ClientFlags,
    options: ClientFlags,
    prefixes: usize,
) -> Option<&'static str> {
    const BOTH: ClientFlags = ClientFlags::TRACKING_OPTIN.union(ClientFlags::TRACKING_OPTOUT);
    let bcast = options.contains(ClientFlags::TRACKING_BCAST);
    let tracks = flags.contains(ClientFlags::TRACKING);
    Some(match () {
        _ if !bcast && prefixes > 0 => "PREFIX option requires BCAST mode to be enabled",
        _ if tracks && flags.contains(ClientFlags::TRACKING_BCAST) != bcast => {
            "You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with \
             a different mode."
        }
        _ if bcast && options.intersects(BOTH) => "OPTIN and OPTOUT are not compatible with BCAST",
        _ if options.contains(BOTH) => "You can't specify both OPTIN mode and OPTOUT mode",
        _ if options.intersects(BOTH)
            && (flags & BOTH).difference(options) != ClientFlags::empty() =>
        {
            "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with \
             a different mode."
        }
        _ => return None,
    })
}

/// CLIENT CACHING YES|NO
pub(crate) fn client_caching_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    let text = if !c.has(ClientFlags::TRACKING) {
        "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
    } else if args.is(2, "yes") && !c.has(ClientFlags::TRACKING_OPTIN) {
        "CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
    } else if args.is(2, "no") && !c.has(ClientFlags::TRACKING_OPTOUT) {
        "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
    } else if args.is(2, "yes") || args.is(2, "no") {
        c.flags |= ClientFlags::TRACKING_CACHING;
        return server.clients.add_reply_ok(cid);
    } else {
        return server.add_reply_syntax_error(cid);
    };
    server.add_reply_error(cid, text);
}

/// The id of the client that gets this one's messages; 0: itself, -1: it does not track.
fn redirection(server: &Server, cid: ClientId) -> i64 {
    server.tracking.redirection(cid).map_or(-1, |id| id as i64)
}

/// CLIENT TRACKINGINFO
pub(crate) fn client_trackinginfo_command(server: &mut Server, cid: ClientId, _: &Args) {
    let flags = server
        .clients
        .get(cid)
        .map_or(ClientFlags::empty(), |c| c.flags);
    let has = |all| flags.contains(all);
    let mut words: Vec<&str> = vec![if has(ClientFlags::TRACKING) {
        "on"
    } else {
        "off"
    }];
    for (flag, word) in [
        (ClientFlags::TRACKING_BCAST, "bcast"),
        (ClientFlags::TRACKING_OPTIN, "optin"),
        (
            ClientFlags::TRACKING_OPTIN | ClientFlags::TRACKING_CACHING,
            "caching-yes",
        ),
        (ClientFlags::TRACKING_OPTOUT, "optout"),
        (
            ClientFlags::TRACKING_OPTOUT | ClientFlags::TRACKING_CACHING,
            "caching-no",
        ),
        (ClientFlags::TRACKING_NOLOOP, "noloop"),
        (ClientFlags::TRACKING_BROKEN_REDIR, "broken_redirect"),
    ] {
        if has(flag) {
            words.push(word);
        }
    }
    let redirect = redirection(server, cid);
    let prefixes = server.tracking.prefixes_of(cid);
    let clients = &mut server.clients;
    clients.add_reply_map_len(cid, 3);
    clients.add_reply_bulk(cid, b"flags");
    clients.add_reply_set_len(cid, words.len());
    for w in words {
        clients.add_reply_bulk(cid, w.as_bytes());
    }
    clients.add_reply_bulk(cid, b"redirect");
    clients.add_reply_long_long(cid, redirect);
    clients.add_reply_bulk(cid, b"prefixes");
    clients.add_reply_array_len(cid, prefixes.len());
    for p in prefixes {
        clients.add_reply_bulk(cid, &p);
    }
}

/// The class named by an argument, or upstream's error.
fn type_or_reply(server: &mut Server, cid: ClientId, name: &[u8]) -> Option<ClientType> {
    let t = ClientType::by_name(name);
    if t.is_none() {
        let text = [b"Unknown client type '", name, b"'"].concat();
        server.add_reply_error_bytes(cid, &text);
    }
    t
}

/// Ids of the clients that can be seen: those with a connection, oldest first.
fn visible(server: &Server) -> Vec<ClientId> {
    let mut ids = server.clients.ids();
    ids.retain(|id| {
        server
            .clients
            .get(*id)
            .is_some_and(|c| !c.has(ClientFlags::FAKE | ClientFlags::EVICTED))
    });
    ids
}

/// `CLIENT LIST [TYPE type | ID id [id ...]]`
pub(crate) fn client_list_command(server: &mut Server, cid: ClientId, args: &Args) {
    let mut wanted = visible(server);
    if args.len() == 4 && args.is(2, "type") {
        let Some(kind) = type_or_reply(server, cid, &args[3]) else {
            return;
        };
        wanted.retain(|id| {
            server
                .clients
                .get(*id)
                .is_some_and(|c| c.client_type() == kind)
        });
    } else if args.len() > 3 && args.is(2, "id") {
        let by_id: HashMap<u64, ClientId> = wanted
            .iter()
            .filter_map(|id| Some((server.clients.get(*id)?.id, *id)))
            .collect();
        wanted.clear();
        for i in 3..args.len() {
            let Some(id) = string2ll(&args[i]) else {
                return server.add_reply_error(cid, "Invalid client ID");
            };
            wanted.extend(by_id.get(&(id as u64)));
        }
    } else if args.len() != 2 {
        return server.add_reply_syntax_error(cid);
    }
    let mut lines = String::with_capacity(wanted.len() * 320);
    for id in wanted {
        let running = (id == cid).then(|| Running::of(args));
        server.cat_client_info_string(&mut lines, id, running);
        lines.push('\n');
    }
    server
        .clients
        .add_reply_verbatim(cid, lines.as_bytes(), *b"txt");
}

/// CLIENT REPLY ON|OFF|SKIP
pub(crate) fn client_reply_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(c) = server.clients.get_mut(cid) else {
        return;
    };
    if args.is(2, "on") {
        c.flags
            .remove(ClientFlags::REPLY_SKIP | ClientFlags::REPLY_OFF);
        server.clients.add_reply_ok(cid);
    } else if args.is(2, "off") {
        c.flags |= ClientFlags::REPLY_OFF;
    } else if args.is(2, "skip") {
        if !c.has(ClientFlags::REPLY_OFF) {
            c.flags |= ClientFlags::REPLY_SKIP_NEXT;
        }
    } else {
        server.add_reply_syntax_error(cid);
    }
}

/// ON or OFF for a flag.
fn switch(server: &mut Server, cid: ClientId, args: &Args, flag: ClientFlags) {
    let on = args.is(2, "on");
    if !on && !args.is(2, "off") {
        return server.add_reply_syntax_error(cid);
    }
    if let Some(c) = server.clients.get_mut(cid) {
        if on {
            c.flags |= flag;
        } else {
            c.flags.remove(flag);
        }
    }
    server.refresh_shortcuts(cid);
    if server.config.maxmemory_clients != 0 {
        server.update_client_mem_usage_and_bucket(cid);
    }
    server.clients.add_reply_ok(cid);
}

/// Which clients CLIENT KILL means.
#[derive(Default)]
struct KillFilter<'a> {
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    kind: Option<ClientType>,
    id: Option<u64>,
    user: Option<Rc<User>>,
    skip_me: bool,
}

impl KillFilter<'_> {
    fn matches(&self, server: &Server, cid: ClientId, me: ClientId) -> bool {
        let Some(c) = server.clients.get(cid) else {
            return false;
        };
        // The addresses last: each costs a system call.
        !(self.skip_me && cid == me)
            && self.kind.is_none_or(|k| c.client_type() == k)
            && self.id.is_none_or(|id| c.id == id)
            && self.user.as_ref().is_none_or(|user| c.is_user(user))
            && self
                .addr
                .is_none_or(|a| server.client_peer(cid).as_bytes() == a)
            && self
                .laddr
                .is_none_or(|a| server.client_sock(cid).as_bytes() == a)
    }
}

/// `CLIENT KILL address | filter value [filter value ...]`
pub(crate) fn client_kill_command(server: &mut Server, cid: ClientId, args: &Args) {
    let old_form = args.len() == 3;
    let mut filter = KillFilter {
        skip_me: !old_form,
        ..KillFilter::default()
    };
    if old_form {
        filter.addr = Some(&args[2]);
    }
    let mut i = if old_form { args.len() } else { 2 };
    while i < args.len() {
        if i + 1 == args.len() {
            return server.add_reply_syntax_error(cid);
        }
        let value = &args[i + 1];
        if args.is(i, "id") {
            match string2ll(value) {
                Some(id @ 1..) => filter.id = Some(id as u64),
                _ => return server.add_reply_error(cid, "client-id should be greater than 0"),
            }
        } else if args.is(i, "type") {
            let Some(kind) = type_or_reply(server, cid, value) else {
                return;
            };
            filter.kind = Some(kind);
        } else if args.is(i, "addr") {
            filter.addr = Some(value);
        } else if args.is(i, "laddr") {
            filter.laddr = Some(value);
        } else if args.is(i, "user") {
            filter.user = server.acl.get(value).cloned();
            if filter.user.is_none() {
                let text = [b"No such user '", value, b"'"].concat();
                return server.add_reply_error_bytes(cid, &text);
            }
        } else if args.is(i, "skipme") && value.eq_ignore_ascii_case(b"yes") {
            filter.skip_me = true;
        } else if args.is(i, "skipme") && value.eq_ignore_ascii_case(b"no") {
            filter.skip_me = false;
        } else {
            return server.add_reply_syntax_error(cid);
        }
        i += 2;
    }
    let mut killed = 0;
    let mut suicide = false;
    for id in visible(server) {
        if !filter.matches(server, id, cid) {
            continue;
        }
        killed += 1;
        if id == cid {
            suicide = true;
        } else {
            server.free_client_async(id);
        }
    }
    match (old_form, killed) {
        (true, 0) => server.add_reply_error(cid, "No such client"),
        (true, _) => server.clients.add_reply_ok(cid),
        (false, n) => server.clients.add_reply_long_long(cid, n),
    }
    if suicide {
        server.close_after_reply(cid);
    }
}

/// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`
pub(crate) fn client_unblock_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() > 4 {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
    let mut error = false;
    if args.len() == 4 {
        error = args.is(3, "error");
        if !error && !args.is(3, "timeout") {
            return server.add_reply_error(cid, "CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        }
    }
    let Some(id) = server.get_long_long_or_reply(cid, args, 2) else {
        return;
    };
    let target = server.clients.iter().find(|c| {
        c.id == id as u64 && c.block.as_deref().is_some_and(|b| !b.kind.ends_by_itself())
    });
    let target = target.map(|c| c.cid);
    if let Some(target) = target {
        server.unblock_client_on_timeout(target, error);
    }
    server
        .clients
        .add_reply_long_long(cid, i64::from(target.is_some()));
}

/// CLIENT SETNAME name
pub(crate) fn client_setname_command(server: &mut Server, cid: ClientId, args: &Args) {
    let name = &args[2];
    if !validate_client_attr(name) {
        return server.add_reply_error(cid, BAD_CLIENT_NAME);
    }
    if let Some(c) = server.clients.get_mut(cid) {
        c.name = (!name.is_empty()).then(|| name.into());
    }
    server.clients.add_reply_ok(cid);
}

/// CLIENT SETINFO LIB-NAME|LIB-VER value
pub(crate) fn client_setinfo_command(server: &mut Server, cid: ClientId, args: &Args) {
    let is_name = args.is(2, "lib-name");
    if !is_name && !args.is(2, "lib-ver") {
        let text = [b"Unrecognized option '", &args[2], b"'"].concat();
        return server.add_reply_error_bytes(cid, &text);
    }
    let value = &args[3];
    if !validate_client_attr(value) {
        let text = [
            &args[2],
            b" cannot contain spaces, newlines or special characters.",
        ]
        .concat();
        return server.add_reply_error_bytes(cid, &text);
    }
    if let Some(c) = server.clients.get_mut(cid) {
        let value = (!value.is_empty()).then(|| value.into());
        if is_name {
            c.lib_name = value;
        } else {
            c.lib_ver = value;
        }
    }
    server.clients.add_reply_ok(cid);
}

/// `CLIENT PAUSE timeout [WRITE|ALL]`
pub(crate) fn client_pause_command(server: &mut Server, cid: ClientId, args: &Args) {
    if args.len() > 4 {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
    let mut actions = PauseActions::CLIENT_ALL_SET;
    if args.len() == 4 {
        if args.is(3, "write") {
            actions = PauseActions::CLIENT_WRITE_SET;
        } else if !args.is(3, "all") {
            return server.add_reply_error(cid, "CLIENT PAUSE mode must be WRITE or ALL");
        }
    }
    let text = match string2ll(&args[2]) {
        None => "timeout is not an integer or out of range",
        Some(..0) => "timeout is negative",
        Some(ms) => match ms.checked_add(if ms > 0 { server.command_time_ms() } else { 0 }) {
            None => "timeout is out of range",
            Some(end) => {
                // Only this command pauses everything; the stricter of two pauses stays.
                if server.pause.actions.intersects(PauseActions::CLIENT_ALL) {
                    actions = PauseActions::CLIENT_ALL_SET;
                }
                server.pause_actions(PausePurpose::ByClientCommand, end, actions);
                return server.clients.add_reply_ok(cid);
            }
        },
    };
    server.add_reply_error(cid, text);
}
