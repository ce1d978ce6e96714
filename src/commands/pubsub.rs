//! The commands on channels (the commands of pubsub.c). Who listens is the server's ([`crate::server::clients::pubsub`]).
//!
//! What a subscription answers is a push message even in RESP2: CLIENT REPLY does not silence it.

use crate::base::glob::string_match_len;
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::clients::subscriptions::Kind;
use crate::server::execution::args::Args;
use crate::server::execution::propagate::Propagate;
use crate::wire::resp;

const HELP: &[&str] = &[
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
    "SHARDCHANNELS [<pattern>]",
    "    Return the currently active shard level channels matching a <pattern> (default: '*').",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    Return the number of subscribers for the specified shard level channel(s)",
];

/// The word that confirms a subscription, and the one that confirms its end.
fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Channel => ("subscribe", "unsubscribe"),
        Kind::Pattern => ("psubscribe", "punsubscribe"),
        Kind::Shard => ("ssubscribe", "sunsubscribe"),
    }
}

fn subscribe_generic(server: &mut Server, cid: ClientId, args: &Args, kind: Kind) {
    for i in 1..args.len() {
        server.pubsub_subscribe(cid, kind, &args[i]);
        server.pubsub_confirm(cid, words(kind).0, kind, Some(&args[i]));
    }
    if let Some(c) = server.clients.get_mut(cid) {
        c.flags |= ClientFlags::PUBSUB;
    }
}

fn unsubscribe_generic(server: &mut Server, cid: ClientId, args: &Args, kind: Kind) {
    let word = words(kind).1;
    for i in 1..args.len() {
        server.pubsub_unsubscribe(cid, kind, &args[i]);
        server.pubsub_confirm(cid, word, kind, Some(&args[i]));
    }
    if args.len() == 1 {
        let mine = server.clients.get(cid).and_then(|c| c.pubsub.as_deref());
        let all: Vec<Vec<u8>> = mine
            .map(|s| s.names(kind).map(<[u8]>::to_vec).collect())
            .unwrap_or_default();
        for name in &all {
            server.pubsub_unsubscribe(cid, kind, name);
            server.pubsub_confirm(cid, word, kind, Some(name));
        }
        if all.is_empty() {
            server.pubsub_confirm(cid, word, kind, None);
        }
    }
    if let Some(c) = server.clients.get_mut(cid)
        && c.pubsub.is_none()
    {
        c.flags.remove(ClientFlags::PUBSUB);
    }
}

/// A client that expects one reply a command cannot listen; inside MULTI it may, as it always could.
fn refuse_deny_blocking(server: &mut Server, cid: ClientId, name: &str, even_multi: bool) -> bool {
    let refused = server.clients.get(cid).is_some_and(|c| {
        c.has(ClientFlags::DENY_BLOCKING) && (even_multi || !c.has(ClientFlags::MULTI))
    });
    if refused {
        let text = format!("{name} isn't allowed for a DENY BLOCKING client");
        server.add_reply_error(cid, &text);
    }
    refused
}

/// `SUBSCRIBE channel [channel ...]`
pub(crate) fn subscribe_command(server: &mut Server, cid: ClientId, args: &Args) {
    if !refuse_deny_blocking(server, cid, "SUBSCRIBE", false) {
        subscribe_generic(server, cid, args, Kind::Channel);
    }
}

/// `UNSUBSCRIBE [channel ...]`
pub(crate) fn unsubscribe_command(server: &mut Server, cid: ClientId, args: &Args) {
    unsubscribe_generic(server, cid, args, Kind::Channel);
}

/// `PSUBSCRIBE pattern [pattern ...]`
pub(crate) fn psubscribe_command(server: &mut Server, cid: ClientId, args: &Args) {
    if !refuse_deny_blocking(server, cid, "PSUBSCRIBE", false) {
        subscribe_generic(server, cid, args, Kind::Pattern);
    }
}

/// `PUNSUBSCRIBE [pattern ...]`
pub(crate) fn punsubscribe_command(server: &mut Server, cid: ClientId, args: &Args) {
    unsubscribe_generic(server, cid, args, Kind::Pattern);
}

/// `SSUBSCRIBE shardchannel [shardchannel ...]`
pub(crate) fn ssubscribe_command(server: &mut Server, cid: ClientId, args: &Args) {
    if !refuse_deny_blocking(server, cid, "SSUBSCRIBE", true) {
        subscribe_generic(server, cid, args, Kind::Shard);
    }
}

/// `SUNSUBSCRIBE [shardchannel ...]`
pub(crate) fn sunsubscribe_command(server: &mut Server, cid: ClientId, args: &Args) {
    unsubscribe_generic(server, cid, args, Kind::Shard);
}

fn publish_generic(server: &mut Server, cid: ClientId, args: &Args, kind: Kind) {
    let receivers = server.pubsub_publish_message(&args[1], &args[2], kind);
    if server.config.cluster_enabled {
        // It has a way of its own to pass it on.
        server.cluster_propagate_publish(&args[1], &args[2], kind == Kind::Shard);
    } else {
        server.force_command_propagation(Propagate::REPL);
    }
    server.add_reply_long_long(cid, receivers as i64);
}

/// PUBLISH channel message
pub(crate) fn publish_command(server: &mut Server, cid: ClientId, args: &Args) {
    if server.config.sentinel_mode {
        return server.sentinel_publish(cid, args);
    }
    publish_generic(server, cid, args, Kind::Channel);
}

/// SPUBLISH shardchannel message
pub(crate) fn spublish_command(server: &mut Server, cid: ClientId, args: &Args) {
    publish_generic(server, cid, args, Kind::Shard);
}

/// PUBSUB HELP
pub(crate) fn pubsub_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, HELP);
}

/// `PUBSUB CHANNELS [pattern]`
pub(crate) fn pubsub_channels_command(server: &mut Server, cid: ClientId, args: &Args) {
    channel_list(server, cid, args, Kind::Channel);
}

/// `PUBSUB NUMSUB [channel ...]`
pub(crate) fn pubsub_numsub_command(server: &mut Server, cid: ClientId, args: &Args) {
    numsub(server, cid, args, Kind::Channel);
}

/// PUBSUB NUMPAT
pub(crate) fn pubsub_numpat_command(server: &mut Server, cid: ClientId, _: &Args) {
    let patterns = server.pubsub.len(Kind::Pattern);
    server.add_reply_long_long(cid, patterns as i64);
}

/// `PUBSUB SHARDCHANNELS [pattern]`
pub(crate) fn pubsub_shardchannels_command(server: &mut Server, cid: ClientId, args: &Args) {
    channel_list(server, cid, args, Kind::Shard);
}

/// `PUBSUB SHARDNUMSUB [shardchannel ...]`
pub(crate) fn pubsub_shardnumsub_command(server: &mut Server, cid: ClientId, args: &Args) {
    numsub(server, cid, args, Kind::Shard);
}

fn channel_list(server: &mut Server, cid: ClientId, args: &Args, kind: Kind) {
    if args.len() > 3 {
        return server.add_reply_subcommand_syntax_error(cid, args);
    }
    let pattern = args.get(2);
    let mut n = 0;
    let mut text = Vec::new();
    for name in server.pubsub.names(kind) {
        if pattern.is_none_or(|p| string_match_len(p, name, false)) {
            resp::push_bulk(&mut text, name);
            n += 1;
        }
    }
    server.add_reply_array_len(cid, n);
    server.add_reply_proto(cid, &text);
}

fn numsub(server: &mut Server, cid: ClientId, args: &Args, kind: Kind) {
    server.add_reply_array_len(cid, (args.len() - 2) * 2);
    for i in 2..args.len() {
        let n = server.pubsub.listeners(kind, &args[i]);
        server.add_reply_bulk(cid, &args[i]);
        server.add_reply_long_long(cid, n as i64);
    }
}
