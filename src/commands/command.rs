//! COMMAND and its subcommands: everything the server tells about its own command table (server.c, commandCommand and the
//! like).
//!
//! All answers are made from the rows and from what `CommandTable` knows of names. Commands are listed in the order of the
//! table; clients may not rely on any (upstream's order changes with every start).

use crate::base::glob::string_match_len;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::execution::args::ArgvTail;
use crate::server::execution::command::{
    AclCategories, Arg, BeginSearch, Command, CommandFlags, CommandId, FindKeys, GetKeysError,
    KeyRefs, KeySearch, KeySpec, get_keys_from_command,
};

/// COMMAND without a subcommand.
pub(crate) fn command_command(server: &mut Server, c: ClientId, _args: &Args) {
    reply_info_of_all(server, c);
}

/// COMMAND COUNT
pub(crate) fn command_count_command(server: &mut Server, c: ClientId, _args: &Args) {
    let count = server.commands.callable().count();
    server.add_reply_long_long(c, i64::try_from(count).unwrap_or(i64::MAX));
}

/// `COMMAND INFO [name ...]`
pub(crate) fn command_info_command(server: &mut Server, c: ClientId, args: &Args) {
    if args.len() == 2 {
        reply_info_of_all(server, c);
        return;
    }
    server.add_reply_array_len(c, args.len() - 2);
    for i in 2..args.len() {
        match server.commands.lookup_command_by_full_name(&args[i]) {
            Some(id) => add_reply_command_info(server, c, id),
            None => server.add_reply_null(c),
        }
    }
}

/// `COMMAND DOCS [name ...]`: unknown names are passed over.
pub(crate) fn command_docs_command(server: &mut Server, c: ClientId, args: &Args) {
    let ids: Vec<CommandId> = if args.len() == 2 {
        server.commands.callable().collect()
    } else {
        (2..args.len())
            .filter_map(|i| server.commands.lookup_command_by_full_name(&args[i]))
            .collect()
    };
    server.add_reply_map_len(c, ids.len());
    for id in ids {
        add_named_command_docs(server, c, id);
    }
}

/// `COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN glob]`
pub(crate) fn command_list_command(server: &mut Server, c: ClientId, args: &Args) {
    let filter = match args.len() {
        2 => Some(ListFilter::All),
        5 if args[2].eq_ignore_ascii_case(b"filterby") => ListFilter::parse(&args[3], &args[4]),
        _ => None,
    };
    let Some(filter) = filter else {
        server.add_reply_error(c, "syntax error");
        return;
    };
    let table = &server.commands;
    let names: Vec<&'static str> = table
        .callable()
        .flat_map(|id| std::iter::once(id).chain(table.subcommands(id)))
        .map(|id| table.command(id))
        .filter(|command| filter.accepts(command))
        .map(|command| command.name)
        .collect();
    server.add_reply_array_len(c, names.len());
    for name in names {
        server.add_reply_bulk(c, name.as_bytes());
    }
}

enum ListFilter<'a> {
    All,
    /// There are no modules, so no command is of one.
    Module,
    /// `None`: no such category, which no command is in.
    AclCategory(Option<AclCategories>),
    Pattern(&'a [u8]),
}

impl<'a> ListFilter<'a> {
    fn parse(kind: &[u8], value: &'a [u8]) -> Option<ListFilter<'a>> {
        if kind.eq_ignore_ascii_case(b"module") {
            Some(ListFilter::Module)
        } else if kind.eq_ignore_ascii_case(b"aclcat") {
            Some(ListFilter::AclCategory(AclCategories::by_name(value)))
        } else if kind.eq_ignore_ascii_case(b"pattern") {
            Some(ListFilter::Pattern(value))
        } else {
            None
        }
    }

    fn accepts(&self, command: &Command) -> bool {
        match *self {
            ListFilter::All => true,
            ListFilter::Module => command.all_flags().contains(CommandFlags::MODULE),
            ListFilter::AclCategory(category) => {
                category.is_some_and(|c| command.categories().contains(c))
            }
            ListFilter::Pattern(pattern) => {
                string_match_len(pattern, command.name.as_bytes(), true)
            }
        }
    }
}

/// `COMMAND GETKEYS command [arg ...]`
pub(crate) fn command_get_keys_command(server: &mut Server, c: ClientId, args: &Args) {
    get_keys_subcommand_impl(server, c, args, false);
}

/// `COMMAND GETKEYSANDFLAGS command [arg ...]`
pub(crate) fn command_get_keys_and_flags_command(server: &mut Server, c: ClientId, args: &Args) {
    get_keys_subcommand_impl(server, c, args, true);
}

fn get_keys_subcommand_impl(server: &mut Server, c: ClientId, args: &Args, with_flags: bool) {
    let keys = match keys_of_inner_command(server, args) {
        Ok(keys) => keys,
        Err(error) => {
            server.add_reply_error(c, error.message());
            return;
        }
    };
    server.add_reply_array_len(c, keys.len());
    for key in keys.iter() {
        if with_flags {
            server.add_reply_array_len(c, 2);
        }
        server.add_reply_bulk(c, &args[INNER_COMMAND + key.pos]);
        if with_flags {
            add_reply_flags(server, c, key.flags.names());
        }
    }
}

/// Where the command stands whose keys are asked for.
const INNER_COMMAND: usize = 2;

fn keys_of_inner_command(server: &Server, args: &Args) -> Result<KeyRefs, GetKeysError> {
    let inner = ArgvTail {
        argv: args,
        from: INNER_COMMAND,
    };
    let id = server
        .commands
        .lookup_command(&inner)
        .ok_or(GetKeysError::InvalidCommand)?;
    let command = server.commands.command(id);
    if !command.has_keys() {
        return Err(GetKeysError::NoKeyArguments);
    }
    if !command.accepts_argc(args.len() - INNER_COMMAND) {
        return Err(GetKeysError::InvalidNumberOfArguments);
    }
    let mut keys = KeyRefs::default();
    let found = get_keys_from_command(command, &inner, KeySearch::empty(), &mut keys);
    if command
        .all_flags()
        .contains(CommandFlags::NO_MANDATORY_KEYS)
    {
        return Ok(keys);
    }
    found?;
    if keys.is_empty() {
        return Err(GetKeysError::InvalidArguments);
    }
    Ok(keys)
}

/// COMMAND HELP
pub(crate) fn command_help_command(server: &mut Server, c: ClientId, args: &Args) {
    server.add_reply_help(
        c,
        args,
        &[
            "(no subcommand)",
            "    Return details about all Redis commands.",
            "COUNT",
            "    Return the total number of commands in this Redis server.",
            "LIST",
            "    Return a list of all commands in this Redis server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple Redis commands.",
            "    If no command names are given, documentation details for all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full Redis command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full Redis command.",
        ],
    );
}

/// COMMAND INFO of all commands: what every client of some libraries asks for first. It is made once.
fn reply_info_of_all(server: &mut Server, c: ClientId) {
    let resp3 = usize::from(server.clients.resp_version(c) > 2);
    if server.command_replies[resp3].is_none() {
        server.command_replies[resp3] = server.reply_of(c, |server| add_info_of_all(server, c));
    }
    if let Some(reply) = &server.command_replies[resp3] {
        server.clients.add_reply_shared_proto(c, reply);
    }
}

fn add_info_of_all(server: &mut Server, c: ClientId) {
    let ids: Vec<CommandId> = server.commands.callable().collect();
    server.add_reply_array_len(c, ids.len());
    for id in ids {
        add_reply_command_info(server, c, id);
    }
}

/// One element of COMMAND INFO.
fn add_reply_command_info(server: &mut Server, c: ClientId, id: CommandId) {
    let command = server.commands.command(id);
    let ((first, last, step), _) = command.legacy_range();
    server.add_reply_array_len(c, 10);
    server.add_reply_bulk(c, command.name.as_bytes());
    server.add_reply_long_long(c, i64::from(command.arity));
    add_reply_flags(server, c, command.all_flags().names());
    server.add_reply_long_long(c, i64::from(first));
    server.add_reply_long_long(c, i64::from(last));
    server.add_reply_long_long(c, i64::from(step));
    add_reply_command_categories(server, c, command);
    server.add_reply_set_len(c, command.tips.len());
    for tip in command.tips {
        server.add_reply_bulk(c, tip.as_bytes());
    }
    server.add_reply_set_len(c, command.key_specs.len());
    for spec in command.key_specs {
        add_reply_key_spec(server, c, spec);
    }
    let subs = server.commands.subcommands(id);
    match server.commands.subcommands(id).count() {
        0 => server.add_reply_set_len(c, 0),
        n => server.add_reply_array_len(c, n),
    }
    for sub in subs {
        add_reply_command_info(server, c, sub);
    }
}

fn add_reply_command_categories(server: &mut Server, c: ClientId, command: &Command) {
    let shown = command.categories().names();
    server.add_reply_set_len(c, shown.clone().count());
    for name in shown {
        server.add_reply_status(c, &format!("@{name}"));
    }
}

fn add_reply_key_spec(server: &mut Server, c: ClientId, spec: &KeySpec) {
    server.add_reply_map_len(c, 3 + usize::from(spec.notes.is_some()));
    add_optional_field(server, c, "notes", spec.notes);
    server.add_reply_bulk(c, b"flags");
    add_reply_flags(server, c, spec.flags.names());

    server.add_reply_bulk(c, b"begin_search");
    match spec.begin_search {
        BeginSearch::Unknown => add_reply_search(server, c, "unknown", 0),
        BeginSearch::Index { pos } => {
            add_reply_search(server, c, "index", 1);
            add_number_field(server, c, "index", pos);
        }
        BeginSearch::Keyword {
            keyword,
            start_from,
        } => {
            add_reply_search(server, c, "keyword", 2);
            add_field(server, c, "keyword", keyword);
            add_number_field(server, c, "startfrom", start_from);
        }
    }

    server.add_reply_bulk(c, b"find_keys");
    match spec.find_keys {
        FindKeys::Unknown => add_reply_search(server, c, "unknown", 0),
        FindKeys::Range {
            last_key,
            key_step,
            limit,
        } => {
            add_reply_search(server, c, "range", 3);
            add_number_field(server, c, "lastkey", last_key);
            add_number_field(server, c, "keystep", key_step);
            add_number_field(server, c, "limit", limit);
        }
        FindKeys::KeyNum {
            keynum_idx,
            first_key,
            key_step,
        } => {
            add_reply_search(server, c, "keynum", 3);
            add_number_field(server, c, "keynumidx", keynum_idx);
            add_number_field(server, c, "firstkey", first_key);
            add_number_field(server, c, "keystep", key_step);
        }
    }
}

/// The two fields of a search, up to the `fields` of its spec, which the caller adds.
fn add_reply_search(server: &mut Server, c: ClientId, kind: &str, fields: usize) {
    server.add_reply_map_len(c, 2);
    add_field(server, c, "type", kind);
    server.add_reply_bulk(c, b"spec");
    server.add_reply_map_len(c, fields);
}

/// One field of COMMAND DOCS: the full name, and what there is to tell.
fn add_named_command_docs(server: &mut Server, c: ClientId, id: CommandId) {
    let command = server.commands.command(id);
    let docs = &command.docs;
    let subs = server.commands.subcommands(id);
    let sub_count = server.commands.subcommands(id).count();
    server.add_reply_bulk(c, command.name.as_bytes());
    let fields = 3
        + usize::from(docs.complexity.is_some())
        + usize::from(!docs.doc_flags.is_empty())
        + usize::from(docs.deprecated_since.is_some())
        + usize::from(docs.replaced_by.is_some())
        + usize::from(!docs.history.is_empty())
        + usize::from(!docs.args.is_empty())
        + usize::from(sub_count != 0);
    server.add_reply_map_len(c, fields);
    add_field(server, c, "summary", docs.summary);
    add_field(server, c, "since", docs.since);
    add_field(server, c, "group", docs.group.name());
    add_optional_field(server, c, "complexity", docs.complexity);
    if !docs.doc_flags.is_empty() {
        server.add_reply_bulk(c, b"doc_flags");
        add_reply_flags(server, c, docs.doc_flags.names());
    }
    add_optional_field(server, c, "deprecated_since", docs.deprecated_since);
    add_optional_field(server, c, "replaced_by", docs.replaced_by);
    if !docs.history.is_empty() {
        server.add_reply_bulk(c, b"history");
        server.add_reply_set_len(c, docs.history.len());
        for (since, change) in docs.history {
            server.add_reply_array_len(c, 2);
            server.add_reply_bulk(c, since.as_bytes());
            server.add_reply_bulk(c, change.as_bytes());
        }
    }
    if !docs.args.is_empty() {
        server.add_reply_bulk(c, b"arguments");
        add_reply_command_arg_list(server, c, docs.args);
    }
    if sub_count != 0 {
        server.add_reply_bulk(c, b"subcommands");
        server.add_reply_map_len(c, sub_count);
        for sub in subs {
            add_named_command_docs(server, c, sub);
        }
    }
}

/// The arguments, and recursively the parts they are made of; how deep that goes is up to the rows.
fn add_reply_command_arg_list(server: &mut Server, c: ClientId, args: &[Arg]) {
    server.add_reply_array_len(c, args.len());
    for arg in args {
        // Either the text to display or the list of parts is there.
        let fields = 3
            + usize::from(arg.key_spec_index.is_some())
            + usize::from(arg.token.is_some())
            + usize::from(arg.summary.is_some())
            + usize::from(arg.since.is_some())
            + usize::from(arg.deprecated_since.is_some())
            + usize::from(!arg.flags.is_empty());
        server.add_reply_map_len(c, fields);
        add_field(server, c, "name", arg.name);
        add_field(server, c, "type", arg.arg_type.name());
        if !arg.arg_type.is_compound() {
            let text = arg.display_text.unwrap_or(arg.name);
            add_field(server, c, "display_text", text);
        }
        if let Some(n) = arg.key_spec_index {
            add_number_field(server, c, "key_spec_index", i32::from(n));
        }
        add_optional_field(server, c, "token", arg.token);
        add_optional_field(server, c, "summary", arg.summary);
        add_optional_field(server, c, "since", arg.since);
        add_optional_field(server, c, "deprecated_since", arg.deprecated_since);
        if !arg.flags.is_empty() {
            server.add_reply_bulk(c, b"flags");
            add_reply_flags(server, c, arg.flags.names());
        }
        if arg.arg_type.is_compound() {
            server.add_reply_bulk(c, b"arguments");
            add_reply_command_arg_list(server, c, arg.subargs);
        }
    }
}

fn add_field(server: &mut Server, c: ClientId, name: &str, value: &str) {
    server.add_reply_bulk(c, name.as_bytes());
    server.add_reply_bulk(c, value.as_bytes());
}

fn add_optional_field(server: &mut Server, c: ClientId, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        add_field(server, c, name, value);
    }
}

fn add_number_field(server: &mut Server, c: ClientId, name: &str, value: i32) {
    server.add_reply_bulk(c, name.as_bytes());
    server.add_reply_long_long(c, i64::from(value));
}

/// A set of names.
fn add_reply_flags(
    server: &mut Server,
    c: ClientId,
    names: impl Iterator<Item = &'static str> + Clone,
) {
    server.add_reply_set_len(c, names.clone().count());
    for name in names {
        server.add_reply_status(c, name);
    }
}
