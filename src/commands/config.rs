//! CONFIG GET, SET, RESETSTAT, REWRITE and HELP: arguments in, replies out. What they do is in `config`.

use crate::base::log::{self, Audit, Level};
use crate::config::apply::SetByClient;
use crate::config::rewrite::rewrite_config;
use crate::config::set::config_set;
use crate::config::value::ExtraLines;
use crate::config::{RowFlags, accepted_directives, config_get, lookup, strerror};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server_log;

/// `CONFIG GET pattern [pattern ...]`
pub(crate) fn config_get_command(server: &mut Server, cid: ClientId, args: &Args) {
    let found = config_get(&server.config, (2..args.len()).map(|i| &args[i]));
    server.add_reply_map_len(cid, found.len());
    for (name, value) in found {
        server.add_reply_bulk(cid, &name);
        server.add_reply_bulk(cid, &value);
    }
}

/// `CONFIG SET name value [name value ...]`
pub(crate) fn config_set_command(server: &mut Server, cid: ClientId, args: &Args) {
    if !args.len().is_multiple_of(2) {
        server.add_reply_error(cid, "syntax error");
        return;
    }
    let pairs: Vec<(&[u8], &[u8])> = (2..args.len())
        .step_by(2)
        .map(|i| (&args[i], &args[i + 1]))
        .collect();
    match config_set(&mut SetByClient { server, cid }, &pairs) {
        Ok(()) => {
            audit_changes(server, cid, &pairs);
            server.add_reply_status(cid, "OK");
        }
        Err(error) => server.add_reply_error_bytes(cid, &error.to_bytes()),
    }
}

/// A line of the log for each directive that was set: its name and value as the server has them, and who asked.
fn audit_changes(server: &Server, cid: ClientId, pairs: &[(&[u8], &[u8])]) {
    const SHOWN: usize = 200;
    let who = server.audited_client(cid);
    for row in pairs.iter().filter_map(|(name, _)| lookup(name)) {
        let value = row.get(&server.config);
        let value = match row.has(RowFlags::SENSITIVE) {
            true => "(redacted)".into(),
            false => String::from_utf8_lossy(&value[..value.len().min(SHOWN)]),
        };
        log::server_log_audit(
            Audit::Config,
            format_args!("{} is \"{value}\", by {who}", row.name),
        );
    }
}

/// CONFIG RESETSTAT
pub(crate) fn config_resetstat_command(server: &mut Server, cid: ClientId, _args: &Args) {
    server.reset_server_stats();
    server.add_reply_status(cid, "OK");
}

/// CONFIG REWRITE
pub(crate) fn config_rewrite_command(server: &mut Server, cid: ClientId, _args: &Args) {
    rewrite_config_or_reply(server, cid, false);
}

/// Rewrites the configuration file and replies. `force_all` is DEBUG CONFIG-REWRITE-FORCE-ALL: directives at their
/// default are written as well.
pub(crate) fn rewrite_config_or_reply(server: &mut Server, cid: ClientId, force_all: bool) {
    let Some(path) = &server.config.configfile else {
        server.add_reply_error(cid, "The server is running without a config file");
        return;
    };
    let users = ExtraLines {
        option: "user".into(),
        lines: server.acl_config_lines(),
        force: true,
    };
    match rewrite_config(&server.config, path, force_all, &[users]) {
        Ok(()) => {
            server_log!(Level::Notice, "CONFIG REWRITE executed with success.");
            let who = server.audited_client(cid);
            log::server_log_audit(Audit::Config, format_args!("rewritten, by {who}"));
            server.add_reply_status(cid, "OK");
        }
        Err(error) => {
            let reason = strerror(&error);
            server_log!(Level::Warning, "CONFIG REWRITE failed: {reason}");
            server.add_reply_error(cid, &format!("Rewriting config file: {reason}"));
        }
    }
}

/// CONFIG HELP
pub(crate) fn config_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    let accepted: Vec<&str> = accepted_directives().collect();
    let without_effect = format!("    Without effect here: {}.", accepted.join(", "));
    server.add_reply_help(
        cid,
        args,
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            &without_effect,
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    );
}
