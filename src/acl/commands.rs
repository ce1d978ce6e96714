//! The command ACL: arguments in, replies out.

use std::rc::Rc;

use crate::acl::check::{Asked, get_acl_error_message};
use crate::acl::rules::string_has_spaces;
use crate::acl::user::{DEFAULT_USER, Selector, User};
use crate::acl::users::SetUserError;
use crate::base::log::{self, Audit};
use crate::config::value::rule_without_secret;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::{Args, Argv, ArgvTail};
use crate::server::execution::command::AclCategories;

/// Most bits that GENPASS gives (GENPASS_MAX_BITS).
const GENPASS_MAX_BITS: i64 = 4096;

const NO_FILE: &str = "This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and \
     then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis \
     configuration.";

const HELP: &[&str] = &[
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

/// `ACL CAT [category]`
pub(crate) fn acl_cat_command(server: &mut Server, cid: ClientId, args: &Args) {
    let names: Vec<&str> = match args.len() {
        2 => AclCategories::all().names().collect(),
        3 => {
            let Some(category) = AclCategories::by_name(&args[2]) else {
                let text = [b"Unknown category '", shown_name(&args[2]), b"'"].concat();
                return server.add_reply_error_bytes(cid, &text);
            };
            let table = &server.commands;
            let in_it = |id: &_| table.command(*id).categories().intersects(category);
            let ids = table.ids().filter(in_it);
            ids.map(|id| table.full_name(id)).collect()
        }
        _ => return server.add_reply_subcommand_syntax_error(cid, args),
    };
    server.add_reply_array_len(cid, names.len());
    for name in names {
        server.add_reply_bulk(cid, name.as_bytes());
    }
}

/// What an error text shows of a category: 128 bytes.
fn shown_name(name: &[u8]) -> &[u8] {
    &name[..name.len().min(128)]
}

/// `ACL DELUSER name [name ...]`
pub(crate) fn acl_deluser_command(server: &mut Server, cid: ClientId, args: &Args) {
    if (2..args.len()).any(|i| args[i] == *DEFAULT_USER) {
        return server.add_reply_error(cid, "The 'default' user cannot be removed");
    }
    let before = user_of(server, cid);
    let who = server.audited_client(cid);
    let mut deleted = 0;
    for i in 2..args.len() {
        if server.acl_delete_user(&args[i]) {
            deleted += 1;
            let name = log::user_data(&args[i]);
            log::server_log_audit(Audit::Acl, format_args!("user {name} deleted, by {who}"));
        }
    }
    server.add_reply_long_long(cid, deleted);
    server.close_if_user_is_gone(cid, before);
}

/// The rules of ACL SETUSER for the log: without secrets, and no more than a line holds.
fn audited_rules<'a>(rules: impl Iterator<Item = &'a [u8]>) -> String {
    const SHOWN: usize = 400;
    let mut text = String::new();
    for rule in rules {
        if text.len() > SHOWN {
            text.push_str(" ...");
            break;
        }
        let rule = rule_without_secret(rule);
        // Patterns and selectors have names of users' data in them.
        let shown = match rule.first() {
            Some(b'~' | b'%' | b'&' | b'(') => log::user_data(&rule),
            _ => String::from_utf8_lossy(&rule),
        };
        text.push(' ');
        text.extend(shown.chars().take(SHOWN));
    }
    text
}

fn user_of(server: &Server, cid: ClientId) -> Option<Rc<User>> {
    server.clients.get(cid).and_then(|c| c.user.clone())
}

/// `ACL DRYRUN name command [arg ...]`
pub(crate) fn acl_dryrun_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(user) = server.acl.get(&args[2]).cloned() else {
        let text = [b"User '", &args[2], b"' not found"].concat();
        return server.add_reply_error_bytes(cid, &text);
    };
    let argv = ArgvTail {
        argv: args,
        from: 3,
    };
    let Some(id) = server.commands.lookup_command(&argv) else {
        let text = [b"Command '", &args[3], b"' not found"].concat();
        return server.add_reply_error_bytes(cid, &text);
    };
    let command = server.commands.command(id);
    if !command.accepts_argc(argv.argc()) {
        let text = format!("wrong number of arguments for '{}' command", command.name);
        return server.add_reply_error(cid, &text);
    }
    let db = server.client_db(cid);
    let said = server.acl_check_all_user_command_perm(&Asked {
        user: &user,
        id,
        argv: &argv,
        db,
    });
    match said {
        Ok(()) => server.add_reply_ok(cid),
        Err(denied) => {
            let object = argv.arg(denied.argument());
            let text = get_acl_error_message(&user, command.name, denied, object);
            server.add_reply_bulk(cid, &text);
        }
    }
}

/// `ACL GENPASS [bits]`
pub(crate) fn acl_genpass_command(server: &mut Server, cid: ClientId, args: &Args) {
    let bits = match args.len() {
        2 => 256,
        3 => match server.get_long_long_or_reply(cid, args, 2) {
            Some(bits) => bits,
            None => return,
        },
        _ => return server.add_reply_subcommand_syntax_error(cid, args),
    };
    if !(1..=GENPASS_MAX_BITS).contains(&bits) {
        let text = format!(
            "ACL GENPASS argument must be the number of bits for the output password, a positive number up to \
             {GENPASS_MAX_BITS}"
        );
        return server.add_reply_error(cid, &text);
    }
    // Four bits a digit.
    let mut password = vec![0; (bits as usize).div_ceil(4)];
    server.random.get_random_hex_chars(&mut password);
    server.add_reply_bulk(cid, &password);
}

/// Replies with the fields of a selector (aclAddReplySelectorDescription).
fn reply_selector(server: &mut Server, cid: ClientId, selector: &Selector) {
    let fields = [
        ("commands", Some(selector.describe_commands())),
        ("keys", Some(selector.describe_keys())),
        ("channels", Some(selector.describe_channels())),
        ("databases", selector.describe_databases()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            server.add_reply_bulk(cid, name.as_bytes());
            server.add_reply_bulk(cid, &value);
        }
    }
}

/// How many fields that are.
fn selector_fields(selector: &Selector) -> usize {
    3 + usize::from(selector.databases.is_some())
}

/// ACL GETUSER name
pub(crate) fn acl_getuser_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(user) = server.acl.get(&args[2]).cloned() else {
        return server.add_reply_null(cid);
    };
    server.add_reply_map_len(cid, 3 + selector_fields(&user.root));
    server.add_reply_bulk(cid, b"flags");
    server.add_reply_set_len(cid, user.flag_names().count());
    for flag in user.flag_names() {
        server.add_reply_bulk(cid, flag.as_bytes());
    }
    server.add_reply_bulk(cid, b"passwords");
    server.add_reply_array_len(cid, user.passwords.len());
    for hash in &user.passwords {
        server.add_reply_bulk(cid, super::describe::hex(hash).as_bytes());
    }
    reply_selector(server, cid, &user.root);
    server.add_reply_bulk(cid, b"selectors");
    server.add_reply_array_len(cid, user.selectors.len());
    for selector in &user.selectors {
        server.add_reply_map_len(cid, selector_fields(selector));
        reply_selector(server, cid, selector);
    }
}

/// ACL HELP
pub(crate) fn acl_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, HELP);
}

/// ACL LIST
pub(crate) fn acl_list_command(server: &mut Server, cid: ClientId, _: &Args) {
    reply_users(server, cid, User::line);
}

/// ACL USERS
pub(crate) fn acl_users_command(server: &mut Server, cid: ClientId, _: &Args) {
    reply_users(server, cid, |user| user.name.to_vec());
}

fn reply_users(server: &mut Server, cid: ClientId, show: fn(&User) -> Vec<u8>) {
    let shown: Vec<Vec<u8>> = server.acl.users().map(|user| show(user)).collect();
    server.add_reply_array_len(cid, shown.len());
    for user in shown {
        server.add_reply_bulk(cid, &user);
    }
}

/// The ACL file's path, or an error to the client.
fn file_or_reply(server: &mut Server, cid: ClientId) -> Option<Vec<u8>> {
    let path = server.config.aclfile.clone();
    if path.is_empty() {
        server.add_reply_error(cid, NO_FILE);
        return None;
    }
    Some(path)
}

/// ACL LOAD
pub(crate) fn acl_load_command(server: &mut Server, cid: ClientId, _: &Args) {
    let Some(path) = file_or_reply(server, cid) else {
        return;
    };
    let before = user_of(server, cid);
    let who = server.audited_client(cid);
    match server.acl_load_from_file(&path) {
        Ok(()) => {
            let path = String::from_utf8_lossy(&path);
            log::server_log_audit(
                Audit::Acl,
                format_args!("users loaded from {path}, by {who}"),
            );
            server.add_reply_ok(cid);
            server.close_if_user_is_gone(cid, before);
        }
        Err(errors) => server.add_reply_error_bytes(cid, &errors),
    }
}

/// ACL SAVE
pub(crate) fn acl_save_command(server: &mut Server, cid: ClientId, _: &Args) {
    let Some(path) = file_or_reply(server, cid) else {
        return;
    };
    if server.acl_save_to_file(&path) {
        server.add_reply_ok(cid);
    } else {
        let text = "There was an error trying to save the ACLs. Please check the server logs for more information";
        server.add_reply_error(cid, text);
    }
}

/// `ACL LOG [count | RESET]`
pub(crate) fn acl_log_command(server: &mut Server, cid: ClientId, args: &Args) {
    let count = match args.len() {
        2 => 10,
        3 if args.is(2, "reset") => {
            server.acl.log.clear();
            return server.add_reply_ok(cid);
        }
        3 => match server.get_long_long_or_reply(cid, args, 2) {
            Some(count) => usize::try_from(count).unwrap_or(0),
            None => return,
        },
        _ => return server.add_reply_subcommand_syntax_error(cid, args),
    };
    let now = server.clock.unix_ms;
    let Server { acl, clients, .. } = server;
    let entries = acl.log.entries();
    clients.add_reply_array_len(cid, entries.len().min(count));
    for e in entries.take(count) {
        clients.add_reply_map_len(cid, 10);
        clients.add_reply_bulk(cid, b"count");
        clients.add_reply_long_long(cid, e.count as i64);
        for (name, value) in [
            ("reason", e.reason.name().as_bytes()),
            ("context", e.context.name().as_bytes()),
            ("object", &e.object),
            ("username", &e.username),
        ] {
            clients.add_reply_bulk(cid, name.as_bytes());
            clients.add_reply_bulk(cid, value);
        }
        clients.add_reply_bulk(cid, b"age-seconds");
        let age_ms = now.saturating_sub(e.timestamp_last_updated);
        clients.add_reply_double(cid, age_ms as f64 / 1000.0);
        clients.add_reply_bulk(cid, b"client-info");
        clients.add_reply_bulk(cid, e.client_info.as_bytes());
        for (name, n) in [
            ("entry-id", e.entry_id as i64),
            ("timestamp-created", e.timestamp_created),
            ("timestamp-last-updated", e.timestamp_last_updated),
        ] {
            clients.add_reply_bulk(cid, name.as_bytes());
            clients.add_reply_long_long(cid, n);
        }
    }
}

/// `ACL SETUSER name [rule ...]`
pub(crate) fn acl_setuser_command(server: &mut Server, cid: ClientId, args: &Args) {
    for i in 2..args.len() {
        server.redact_client_command_argument(cid, i);
    }
    let name = &args[2];
    if string_has_spaces(name) {
        return server.add_reply_error(cid, "Usernames can't contain spaces or null characters");
    }
    let who = server.audited_client(cid);
    match server.acl_string_set_user(name, (3..args.len()).map(|i| &args[i])) {
        Ok(()) => {
            let rules = audited_rules((3..args.len()).map(|i| &args[i]));
            let name = log::user_data(name);
            log::server_log_audit(
                Audit::Acl,
                format_args!("user {name} set:{rules}, by {who}"),
            );
            server.add_reply_ok(cid);
        }
        Err(SetUserError::Unmatched(word)) => {
            let text = [
                b"Unmatched parenthesis in acl selector starting at '",
                &word[..],
                b"'.",
            ];
            server.add_reply_error_bytes(cid, &text.concat());
        }
        Err(SetUserError::Rule(rule, error)) => {
            let error = error.to_string();
            let text = [
                b"Error in ACL SETUSER modifier '",
                &rule[..],
                b"': ",
                error.as_bytes(),
            ];
            server.add_reply_error_bytes(cid, &text.concat());
        }
    }
}

/// ACL WHOAMI
pub(crate) fn acl_whoami_command(server: &mut Server, cid: ClientId, _: &Args) {
    match user_of(server, cid) {
        Some(user) => server.add_reply_bulk(cid, &user.name),
        None => server.add_reply_null(cid),
    }
}
