//! What a command is (`Command`, the row that `commands/table` declares) and how one is found (`CommandTable`).
//!
//! Owns: the row types and their flag bits, the mapping name -> `CommandId`, `rename-command`, and the per-command
//! counters. `get_keys` finds the keys of a call by the row.
//!
//! Invariants: a `CommandId` is an index into `rows` and `stats`, never changes after start-up, and the subcommands of a
//! container have consecutive ids right behind their parent's. Renaming changes which names lead to an id, nothing else:
//! `Command::name` stays what it was, as upstream's `fullname` does.
//!
//! Must not know: any particular command, and how a reply is written.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::server::Server;
use crate::server::client::ClientId;
use crate::server::exec::Args;
use crate::server::histogram::Histogram;

mod get_keys;

pub use get_keys::{
    Argv, ArgvTail, GET_KEYSPEC_DEFAULT, GET_KEYSPEC_INCLUDE_NOT_KEYS, GET_KEYSPEC_RETURN_PARTIAL,
    GetKeysError, KeyRef, KeyRefs, get_keys_from_call, get_keys_from_command,
};

/// What runs a command.
pub type Proc = fn(&mut Server, ClientId, &Args);

/// Finds the keys of a command whose key specs do not tell all; appends to the `KeyRefs`. Called with an argument vector
/// of any length and content.
pub type GetKeysProc = fn(&dyn Argv, &mut KeyRefs) -> Result<(), GetKeysError>;

// Command flags (server.h, CMD_*). The comment on each is what COMMAND INFO calls it.

/// `write`
pub const CMD_WRITE: u64 = 1 << 0;
/// `readonly`
pub const CMD_READONLY: u64 = 1 << 1;
/// `denyoom`: refused when over maxmemory.
pub const CMD_DENYOOM: u64 = 1 << 2;
/// `module`
pub const CMD_MODULE: u64 = 1 << 3;
/// `admin`
pub const CMD_ADMIN: u64 = 1 << 4;
/// `pubsub`
pub const CMD_PUBSUB: u64 = 1 << 5;
/// `noscript`: refused inside a script.
pub const CMD_NOSCRIPT: u64 = 1 << 6;
/// `blocking`: may block the client.
pub const CMD_BLOCKING: u64 = 1 << 8;
/// `loading`: allowed while a data set is being loaded.
pub const CMD_LOADING: u64 = 1 << 9;
/// `stale`: allowed on a replica with a broken link and `replica-serve-stale-data no`.
pub const CMD_STALE: u64 = 1 << 10;
/// `skip_monitor`
pub const CMD_SKIP_MONITOR: u64 = 1 << 11;
/// `skip_slowlog`
pub const CMD_SKIP_SLOWLOG: u64 = 1 << 12;
/// `asking`: implies ASKING in cluster mode.
pub const CMD_ASKING: u64 = 1 << 13;
/// `fast`: its latency is sampled as `fast-command`.
pub const CMD_FAST: u64 = 1 << 14;
/// `no_auth`: allowed before authentication.
pub const CMD_NO_AUTH: u64 = 1 << 15;
/// May replicate without being a write (PUBLISH, EVAL). Not shown.
pub const CMD_MAY_REPLICATE: u64 = 1 << 16;
/// Exists in Sentinel mode. Not shown.
pub const CMD_SENTINEL: u64 = 1 << 17;
/// Exists in Sentinel mode only. Not shown.
pub const CMD_ONLY_SENTINEL: u64 = 1 << 18;
/// `no_mandatory_keys`: a call without any key is legal.
pub const CMD_NO_MANDATORY_KEYS: u64 = 1 << 19;
/// Guarded by `enable-debug-command` and its like. Not shown.
pub const CMD_PROTECTED: u64 = 1 << 20;
/// `no_async_loading`: refused while the old data set is served during an asynchronous load.
pub const CMD_NO_ASYNC_LOADING: u64 = 1 << 23;
/// `no_multi`: refused inside MULTI.
pub const CMD_NO_MULTI: u64 = 1 << 24;
/// `movablekeys`: the legacy (first, last, step) triple does not cover all keys.
pub const CMD_MOVABLE_KEYS: u64 = 1 << 25;
/// `allow_busy`: allowed while a script has been running for too long.
pub const CMD_ALLOW_BUSY: u64 = 1 << 26;
/// Touches keys that are not among its arguments (FLUSHALL, SWAPDB, SCAN). Not shown.
pub const CMD_TOUCHES_ARBITRARY_KEYS: u64 = 1 << 28;

/// The flags that COMMAND INFO shows, in the order in which it shows them.
pub const COMMAND_FLAG_NAMES: &[(u64, &str)] = &[
    (CMD_WRITE, "write"),
    (CMD_READONLY, "readonly"),
    (CMD_DENYOOM, "denyoom"),
    (CMD_MODULE, "module"),
    (CMD_ADMIN, "admin"),
    (CMD_PUBSUB, "pubsub"),
    (CMD_NOSCRIPT, "noscript"),
    (CMD_BLOCKING, "blocking"),
    (CMD_LOADING, "loading"),
    (CMD_STALE, "stale"),
    (CMD_SKIP_MONITOR, "skip_monitor"),
    (CMD_SKIP_SLOWLOG, "skip_slowlog"),
    (CMD_ASKING, "asking"),
    (CMD_FAST, "fast"),
    (CMD_NO_AUTH, "no_auth"),
    (CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (CMD_NO_ASYNC_LOADING, "no_async_loading"),
    (CMD_NO_MULTI, "no_multi"),
    (CMD_MOVABLE_KEYS, "movablekeys"),
    (CMD_ALLOW_BUSY, "allow_busy"),
];

// ACL categories (server.h, ACL_CATEGORY_*).

pub const ACL_CATEGORY_KEYSPACE: u64 = 1 << 0;
pub const ACL_CATEGORY_READ: u64 = 1 << 1;
pub const ACL_CATEGORY_WRITE: u64 = 1 << 2;
pub const ACL_CATEGORY_SET: u64 = 1 << 3;
pub const ACL_CATEGORY_SORTEDSET: u64 = 1 << 4;
pub const ACL_CATEGORY_LIST: u64 = 1 << 5;
pub const ACL_CATEGORY_HASH: u64 = 1 << 6;
pub const ACL_CATEGORY_STRING: u64 = 1 << 7;
pub const ACL_CATEGORY_BITMAP: u64 = 1 << 8;
pub const ACL_CATEGORY_HYPERLOGLOG: u64 = 1 << 9;
pub const ACL_CATEGORY_GEO: u64 = 1 << 10;
pub const ACL_CATEGORY_STREAM: u64 = 1 << 11;
pub const ACL_CATEGORY_PUBSUB: u64 = 1 << 12;
pub const ACL_CATEGORY_ADMIN: u64 = 1 << 13;
pub const ACL_CATEGORY_FAST: u64 = 1 << 14;
pub const ACL_CATEGORY_SLOW: u64 = 1 << 15;
pub const ACL_CATEGORY_BLOCKING: u64 = 1 << 16;
pub const ACL_CATEGORY_DANGEROUS: u64 = 1 << 17;
pub const ACL_CATEGORY_CONNECTION: u64 = 1 << 18;
pub const ACL_CATEGORY_TRANSACTION: u64 = 1 << 19;
pub const ACL_CATEGORY_SCRIPTING: u64 = 1 << 20;

/// The ACL categories in the order in which ACL CAT and COMMAND INFO show them, without the `@`.
pub const ACL_CATEGORY_NAMES: &[(u64, &str)] = &[
    (ACL_CATEGORY_KEYSPACE, "keyspace"),
    (ACL_CATEGORY_READ, "read"),
    (ACL_CATEGORY_WRITE, "write"),
    (ACL_CATEGORY_SET, "set"),
    (ACL_CATEGORY_SORTEDSET, "sortedset"),
    (ACL_CATEGORY_LIST, "list"),
    (ACL_CATEGORY_HASH, "hash"),
    (ACL_CATEGORY_STRING, "string"),
    (ACL_CATEGORY_BITMAP, "bitmap"),
    (ACL_CATEGORY_HYPERLOGLOG, "hyperloglog"),
    (ACL_CATEGORY_GEO, "geo"),
    (ACL_CATEGORY_STREAM, "stream"),
    (ACL_CATEGORY_PUBSUB, "pubsub"),
    (ACL_CATEGORY_ADMIN, "admin"),
    (ACL_CATEGORY_FAST, "fast"),
    (ACL_CATEGORY_SLOW, "slow"),
    (ACL_CATEGORY_BLOCKING, "blocking"),
    (ACL_CATEGORY_DANGEROUS, "dangerous"),
    (ACL_CATEGORY_CONNECTION, "connection"),
    (ACL_CATEGORY_TRANSACTION, "transaction"),
    (ACL_CATEGORY_SCRIPTING, "scripting"),
];

/// The bit of an ACL category by its name without `@`, whatever its case.
pub fn acl_get_command_category_flag_by_name(name: &[u8]) -> Option<u64> {
    ACL_CATEGORY_NAMES
        .iter()
        .find(|(_, n)| n.as_bytes().eq_ignore_ascii_case(name))
        .map(|&(bit, _)| bit)
}

// Key spec flags (server.h, CMD_KEY_*).

/// The value is read, its metadata may change.
pub const CMD_KEY_RO: u32 = 1 << 0;
/// The value is changed.
pub const CMD_KEY_RW: u32 = 1 << 1;
/// The value is overwritten.
pub const CMD_KEY_OW: u32 = 1 << 2;
/// The key is deleted.
pub const CMD_KEY_RM: u32 = 1 << 3;
/// User data is returned, copied or used.
pub const CMD_KEY_ACCESS: u32 = 1 << 4;
/// User data is changed; the new value may depend on the old one.
pub const CMD_KEY_UPDATE: u32 = 1 << 5;
/// User data is added, none can be changed or deleted.
pub const CMD_KEY_INSERT: u32 = 1 << 6;
/// Some content of the value is deleted.
pub const CMD_KEY_DELETE: u32 = 1 << 7;
/// Not a key, only to be routed as one.
pub const CMD_KEY_NOT_KEY: u32 = 1 << 8;
/// The spec may not find all keys.
pub const CMD_KEY_INCOMPLETE: u32 = 1 << 9;
/// The true flags depend on the other arguments.
pub const CMD_KEY_VARIABLE_FLAGS: u32 = 1 << 10;

/// The key flags in the order in which COMMAND shows them.
pub const KEY_FLAG_NAMES: &[(u32, &str)] = &[
    (CMD_KEY_RO, "RO"),
    (CMD_KEY_RW, "RW"),
    (CMD_KEY_OW, "OW"),
    (CMD_KEY_RM, "RM"),
    (CMD_KEY_ACCESS, "access"),
    (CMD_KEY_UPDATE, "update"),
    (CMD_KEY_INSERT, "insert"),
    (CMD_KEY_DELETE, "delete"),
    (CMD_KEY_NOT_KEY, "not_key"),
    (CMD_KEY_INCOMPLETE, "incomplete"),
    (CMD_KEY_VARIABLE_FLAGS, "variable_flags"),
];

/// Where the keys of a spec begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginSearch {
    /// At this argument; the command's name is argument 0.
    Index { pos: i32 },
    /// Behind a keyword that is looked for from argument `start_from` on; a negative one counts from the end and
    /// searches backwards.
    Keyword {
        keyword: &'static str,
        start_from: i32,
    },
    /// Only the command's `get_keys` knows.
    Unknown,
}

/// Which arguments are keys, counted from where the search began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindKeys {
    /// Every `key_step`th up to `last_key`, which is relative to the first key, or to the end of the arguments when
    /// negative. `limit` above 1 cuts the range to the first 1/`limit` of the remaining arguments.
    Range {
        last_key: i32,
        key_step: i32,
        limit: i32,
    },
    /// An argument at `keynum_idx` holds how many keys follow from `first_key` on.
    KeyNum {
        keynum_idx: i32,
        first_key: i32,
        key_step: i32,
    },
    /// Only the command's `get_keys` knows.
    Unknown,
}

/// Where one group of keys stands among a command's arguments, and what happens to them.
/// See <https://redis.io/docs/reference/key-specs/>.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    pub flags: u32,
    pub notes: Option<&'static str>,
    pub begin_search: BeginSearch,
    pub find_keys: FindKeys,
}

impl KeySpec {
    /// One key at argument `pos`; the methods below make other specs of it.
    pub const fn index(pos: i32, flags: u32) -> KeySpec {
        KeySpec {
            flags,
            notes: None,
            begin_search: BeginSearch::Index { pos },
            find_keys: FindKeys::Range {
                last_key: 0,
                key_step: 1,
                limit: 0,
            },
        }
    }

    /// One key behind a keyword.
    pub const fn keyword(keyword: &'static str, start_from: i32, flags: u32) -> KeySpec {
        KeySpec {
            begin_search: BeginSearch::Keyword {
                keyword,
                start_from,
            },
            ..KeySpec::index(0, flags)
        }
    }

    /// Keys at a place that only the command's `get_keys` can tell.
    pub const fn unknown(flags: u32) -> KeySpec {
        KeySpec {
            begin_search: BeginSearch::Unknown,
            find_keys: FindKeys::Unknown,
            ..KeySpec::index(0, flags)
        }
    }

    pub const fn range(self, last_key: i32, key_step: i32, limit: i32) -> KeySpec {
        KeySpec {
            find_keys: FindKeys::Range {
                last_key,
                key_step,
                limit,
            },
            ..self
        }
    }

    pub const fn keynum(self, keynum_idx: i32, first_key: i32, key_step: i32) -> KeySpec {
        KeySpec {
            find_keys: FindKeys::KeyNum {
                keynum_idx,
                first_key,
                key_step,
            },
            ..self
        }
    }

    pub const fn notes(self, notes: &'static str) -> KeySpec {
        KeySpec {
            notes: Some(notes),
            ..self
        }
    }
}

/// The type of an argument, as COMMAND DOCS names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgType {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl ArgType {
    pub const fn name(self) -> &'static str {
        match self {
            ArgType::String => "string",
            ArgType::Integer => "integer",
            ArgType::Double => "double",
            ArgType::Key => "key",
            ArgType::Pattern => "pattern",
            ArgType::UnixTime => "unix-time",
            ArgType::PureToken => "pure-token",
            ArgType::OneOf => "oneof",
            ArgType::Block => "block",
        }
    }

    /// Whether the argument is made of others.
    pub const fn is_compound(self) -> bool {
        matches!(self, ArgType::OneOf | ArgType::Block)
    }
}

/// `optional`
pub const CMD_ARG_OPTIONAL: u8 = 1 << 0;
/// `multiple`
pub const CMD_ARG_MULTIPLE: u8 = 1 << 1;
/// `multiple_token`: the token stands before every one of the multiple values.
pub const CMD_ARG_MULTIPLE_TOKEN: u8 = 1 << 2;

/// The argument flags in the order in which COMMAND DOCS shows them.
pub const ARG_FLAG_NAMES: &[(u8, &str)] = &[
    (CMD_ARG_OPTIONAL, "optional"),
    (CMD_ARG_MULTIPLE, "multiple"),
    (CMD_ARG_MULTIPLE_TOKEN, "multiple_token"),
];

/// One argument in the documentation of a command.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    pub name: &'static str,
    pub arg_type: ArgType,
    /// What to show instead of the name.
    pub display_text: Option<&'static str>,
    /// Which of the command's key specs finds this key.
    pub key_spec_index: Option<u8>,
    pub token: Option<&'static str>,
    pub summary: Option<&'static str>,
    pub since: Option<&'static str>,
    pub deprecated_since: Option<&'static str>,
    /// `CMD_ARG_*`
    pub flags: u8,
    /// The parts of a `OneOf` or `Block`.
    pub subargs: &'static [Arg],
}

impl Arg {
    /// A mandatory argument that stands once; the methods below add the rest.
    pub const fn new(name: &'static str, arg_type: ArgType) -> Arg {
        Arg {
            name,
            arg_type,
            display_text: None,
            key_spec_index: None,
            token: None,
            summary: None,
            since: None,
            deprecated_since: None,
            flags: 0,
            subargs: &[],
        }
    }

    /// A key, found by the command's key spec number `key_spec_index`.
    pub const fn key(name: &'static str, key_spec_index: u8) -> Arg {
        Arg {
            key_spec_index: Some(key_spec_index),
            ..Arg::new(name, ArgType::Key)
        }
    }

    /// A word that stands for itself.
    pub const fn token_only(name: &'static str, token: &'static str) -> Arg {
        Arg {
            token: Some(token),
            ..Arg::new(name, ArgType::PureToken)
        }
    }

    pub const fn one_of(name: &'static str, subargs: &'static [Arg]) -> Arg {
        Arg {
            subargs,
            ..Arg::new(name, ArgType::OneOf)
        }
    }

    pub const fn block(name: &'static str, subargs: &'static [Arg]) -> Arg {
        Arg {
            subargs,
            ..Arg::new(name, ArgType::Block)
        }
    }

    /// For what is no `Key` but found by a key spec: the BY pattern of SORT.
    pub const fn key_spec(self, key_spec_index: u8) -> Arg {
        Arg {
            key_spec_index: Some(key_spec_index),
            ..self
        }
    }

    pub const fn display(self, text: &'static str) -> Arg {
        Arg {
            display_text: Some(text),
            ..self
        }
    }

    pub const fn token(self, token: &'static str) -> Arg {
        Arg {
            token: Some(token),
            ..self
        }
    }

    pub const fn summary(self, summary: &'static str) -> Arg {
        Arg {
            summary: Some(summary),
            ..self
        }
    }

    pub const fn since(self, version: &'static str) -> Arg {
        Arg {
            since: Some(version),
            ..self
        }
    }

    pub const fn deprecated_since(self, version: &'static str) -> Arg {
        Arg {
            deprecated_since: Some(version),
            ..self
        }
    }

    pub const fn optional(self) -> Arg {
        Arg {
            flags: self.flags | CMD_ARG_OPTIONAL,
            ..self
        }
    }

    pub const fn multiple(self) -> Arg {
        Arg {
            flags: self.flags | CMD_ARG_MULTIPLE,
            ..self
        }
    }

    pub const fn multiple_token(self) -> Arg {
        Arg {
            flags: self.flags | CMD_ARG_MULTIPLE_TOKEN,
            ..self
        }
    }
}

/// The group of a command in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Pubsub,
    Transactions,
    Connection,
    Server,
    Scripting,
    Hyperloglog,
    Cluster,
    Sentinel,
    Geo,
    Stream,
    Bitmap,
    Module,
}

impl Group {
    pub const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Pubsub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Scripting => "scripting",
            Group::Hyperloglog => "hyperloglog",
            Group::Cluster => "cluster",
            Group::Sentinel => "sentinel",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::Module => "module",
        }
    }
}

/// `deprecated`
pub const CMD_DOC_DEPRECATED: u8 = 1 << 0;
/// `syscmd`: for internal use.
pub const CMD_DOC_SYSCMD: u8 = 1 << 1;

/// The documentation flags in the order in which COMMAND DOCS shows them.
pub const DOC_FLAG_NAMES: &[(u8, &str)] = &[
    (CMD_DOC_DEPRECATED, "deprecated"),
    (CMD_DOC_SYSCMD, "syscmd"),
];

/// What COMMAND DOCS tells about a command.
#[derive(Clone, Copy, Debug)]
pub struct Docs {
    pub summary: &'static str,
    /// The version that brought the command.
    pub since: &'static str,
    pub group: Group,
    pub complexity: Option<&'static str>,
    /// `CMD_DOC_*`
    pub doc_flags: u8,
    pub deprecated_since: Option<&'static str>,
    pub replaced_by: Option<&'static str>,
    /// Pairs of a version and what it changed.
    pub history: &'static [(&'static str, &'static str)],
    pub args: &'static [Arg],
}

impl Docs {
    pub const fn new(group: Group, since: &'static str, summary: &'static str) -> Docs {
        Docs {
            summary,
            since,
            group,
            complexity: None,
            doc_flags: 0,
            deprecated_since: None,
            replaced_by: None,
            history: &[],
            args: &[],
        }
    }
}

/// One row of the command table: a command or a subcommand.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Lower case. A subcommand bears its full name: `config|get`.
    pub name: &'static str,
    /// `None`: a container, good for nothing without a subcommand.
    pub proc: Option<Proc>,
    /// How many arguments it takes with its name (and its container's); `-n` means at least n.
    pub arity: i32,
    /// `CMD_*`
    pub flags: u64,
    /// `ACL_CATEGORY_*`, those that follow from the flags included.
    pub acl: u64,
    pub key_specs: &'static [KeySpec],
    /// Needed where the key specs are incomplete, unknown, or have variable flags.
    pub get_keys: Option<GetKeysProc>,
    /// Hints for clients and proxies. See <https://redis.io/docs/reference/command-tips/>.
    pub tips: &'static [&'static str],
    pub docs: Docs,
    pub subcommands: &'static [Command],
}

impl Command {
    /// What a row need not spell out; every row gives name, arity and docs of its own.
    pub const ROW: Command = Command {
        name: "",
        proc: None,
        arity: 0,
        flags: 0,
        acl: 0,
        key_specs: &[],
        get_keys: None,
        tips: &[],
        docs: Docs::new(Group::Generic, "", ""),
        subcommands: &[],
    };

    /// The name without its container's: `get` of `config|get`.
    pub fn declared_name(&self) -> &'static str {
        match self.name.split_once('|') {
            Some((_, own)) => own,
            None => self.name,
        }
    }

    /// Whether a call with `argc` arguments, the names included, has a legal number of them.
    pub fn accepts_argc(&self, argc: usize) -> bool {
        arity_accepts(self.arity, argc)
    }

    /// Whether some argument may be a key (doesCommandHaveKeys).
    pub fn has_keys(&self) -> bool {
        self.get_keys.is_some()
            || self
                .key_specs
                .iter()
                .any(|s| s.flags & CMD_KEY_NOT_KEY == 0)
    }

    /// The triple (first key, last key, step) of COMMAND INFO, zeros when no range spec tells it; last is negative when it
    /// counts from the end. With it, whether it leaves keys out, i.e. `CMD_MOVABLE_KEYS`
    /// (populateCommandLegacyRangeSpec).
    pub fn legacy_range(&self) -> ((i32, i32, i32), bool) {
        let absolute = |pos: i32, last_key: i32| {
            if last_key >= 0 {
                pos.saturating_add(last_key)
            } else {
                last_key
            }
        };
        if let [spec] = self.key_specs
            && let BeginSearch::Index { pos } = spec.begin_search
            && let FindKeys::Range {
                last_key, key_step, ..
            } = spec.find_keys
        {
            let incomplete = spec.flags & CMD_KEY_INCOMPLETE != 0;
            return ((pos, absolute(pos, last_key), key_step), incomplete);
        }
        let mut movable = false;
        let mut range: Option<(i32, i32)> = None;
        for spec in self.key_specs {
            let BeginSearch::Index { pos } = spec.begin_search else {
                movable = true;
                continue;
            };
            let FindKeys::Range {
                last_key,
                key_step: 1,
                ..
            } = spec.find_keys
            else {
                movable = true;
                continue;
            };
            // Only specs that follow each other without a gap make one range.
            if range.is_some_and(|(_, last)| last != pos.saturating_sub(1)) {
                movable = true;
                continue;
            }
            movable |= spec.flags & CMD_KEY_INCOMPLETE != 0;
            let end = absolute(pos, last_key);
            range = Some(match range {
                None => (pos, end),
                // "From the end" reaches further than any absolute position, hence the unsigned comparison.
                Some((first, last)) => (
                    first.min(pos),
                    if end as u32 > last as u32 { end } else { last },
                ),
            });
        }
        match range {
            Some((first, last)) => ((first, last, 1), movable),
            None => ((0, 0, 0), !self.key_specs.is_empty()),
        }
    }
}

fn arity_accepts(arity: i32, argc: usize) -> bool {
    let argc = i32::try_from(argc).unwrap_or(i32::MAX);
    if arity >= 0 {
        argc == arity
    } else {
        argc >= arity.saturating_neg()
    }
}

/// A command or subcommand of the running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u16);

/// "No command", "no parent", "no name to compare": an id that is never given out.
const NONE: u16 = u16::MAX;

impl CommandId {
    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What running a command needs of its row, in half a cache line.
#[derive(Clone, Copy, Debug)]
pub struct CommandRow {
    pub proc: Option<Proc>,
    /// `CMD_*`
    pub flags: u64,
    pub command: &'static Command,
    /// The number of arguments is `min_args`, or up to `more_args` more.
    min_args: u16,
    more_args: u16,
    parent: u16,
    /// Ids of the subcommands: `first_sub .. first_sub + subs`.
    first_sub: u16,
    subs: u16,
}

impl CommandRow {
    /// Whether a call with `argc` arguments, the names included, has a legal number of them.
    #[inline]
    pub fn accepts_argc(&self, argc: usize) -> bool {
        let more = argc.wrapping_sub(usize::from(self.min_args));
        more <= usize::from(self.more_args) || (self.more_args == u16::MAX && more <= argc)
    }

    pub fn has_subcommands(&self) -> bool {
        self.subs != 0
    }

    pub fn parent(&self) -> Option<CommandId> {
        (self.parent != NONE).then_some(CommandId(self.parent))
    }
}

/// What INFO commandstats and latencystats count for a command.
#[derive(Debug, Default)]
pub struct CommandStats {
    pub calls: u64,
    /// Total time spent in calls, in microseconds.
    pub microseconds: u64,
    /// Calls that were refused before they ran.
    pub rejected_calls: u64,
    /// Calls that ran and answered with an error.
    pub failed_calls: u64,
    /// Durations, from the first call on.
    pub latency: Option<Box<Histogram>>,
}

/// Why a `rename-command` cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameError {
    NoSuchCommand,
    TargetExists,
}

impl fmt::Display for RenameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RenameError::NoSuchCommand => "No such command in rename-command",
            RenameError::TargetExists => "Target command name already exists",
        })
    }
}

impl std::error::Error for RenameError {}

/// A command of 7.2 that is not built.
#[derive(Debug)]
pub struct Unbuilt {
    /// Lower case.
    pub name: &'static str,
    /// Whether its second argument is the name of a subcommand.
    pub container: bool,
    /// What it is about, as the error text names it.
    pub feature: &'static str,
    /// Answers what can be answered without the feature; the third argument is `name`. False: nothing has been sent.
    pub answer_probe: fn(&mut Server, ClientId, &str, &Args) -> bool,
}

/// All commands of the server, by name and by id.
#[derive(Debug)]
pub struct CommandTable {
    rows: Vec<CommandRow>,
    stats: Vec<CommandStats>,
    names: NameIndex,
    /// The names before the first `rename-command`, if there was one.
    original_names: Option<NameIndex>,
    /// Names of what is not built, lower case (renames applied).
    unbuilt: Vec<(Cow<'static, [u8]>, &'static Unbuilt)>,
}

impl CommandTable {
    /// Builds the table from its families. In Sentinel mode it has only the commands flagged `CMD_SENTINEL`, else all but
    /// those flagged `CMD_ONLY_SENTINEL`.
    pub fn new(families: &[&'static [Command]], sentinel_mode: bool) -> CommandTable {
        let exists = |c: &Command| {
            if sentinel_mode {
                c.flags & CMD_SENTINEL != 0
            } else {
                c.flags & CMD_ONLY_SENTINEL == 0
            }
        };
        let row = |command: &'static Command, parent: u16| CommandRow {
            proc: command.proc,
            flags: command.flags,
            command,
            min_args: command.arity.unsigned_abs() as u16,
            more_args: if command.arity < 0 { u16::MAX } else { 0 },
            parent,
            first_sub: NONE,
            subs: 0,
        };
        let mut rows: Vec<CommandRow> = Vec::new();
        let mut entries = Vec::new();
        for command in families.iter().copied().flatten().filter(|c| exists(c)) {
            let id = rows.len();
            rows.push(row(command, NONE));
            entries.push(Entry {
                name: Cow::Borrowed(command.name.as_bytes()),
                parent: NONE,
                id: id as u16,
            });
            for sub in command.subcommands.iter().filter(|c| exists(c)) {
                entries.push(Entry {
                    name: Cow::Borrowed(sub.declared_name().as_bytes()),
                    parent: id as u16,
                    id: rows.len() as u16,
                });
                rows.push(row(sub, id as u16));
            }
            let subs = rows.len() - id - 1;
            if subs != 0 {
                rows[id].first_sub = (id + 1) as u16;
                rows[id].subs = subs as u16;
            }
        }
        // Static data: there are some 400 rows.
        assert!(rows.len() < usize::from(NONE));
        CommandTable {
            stats: rows.iter().map(|_| CommandStats::default()).collect(),
            rows,
            names: NameIndex::new(entries),
            original_names: None,
            unbuilt: Vec::new(),
        }
    }

    /// The table with these names besides, which lead to no command but are not unknown either.
    #[must_use]
    pub fn with_unbuilt(mut self, list: &'static [Unbuilt]) -> CommandTable {
        let named = |u: &'static Unbuilt| (Cow::Borrowed(u.name.as_bytes()), u);
        self.unbuilt = list.iter().map(named).collect();
        self
    }

    /// What is not built, by its name (renames applied), whatever its case.
    pub fn lookup_unbuilt(&self, name: &[u8]) -> Option<&'static Unbuilt> {
        let mut known = self.unbuilt.iter();
        known
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, u)| *u)
    }

    /// The command of that name (renames applied), whatever its case. Does not find subcommands.
    #[inline]
    pub fn lookup(&self, name: &[u8]) -> Option<CommandId> {
        self.names.find(NONE, name)
    }

    /// The subcommand of `parent` with that name, whatever its case.
    #[inline]
    pub fn lookup_subcommand(&self, parent: CommandId, name: &[u8]) -> Option<CommandId> {
        self.names.find(parent.0, name)
    }

    /// The command that these arguments call: the subcommand where there are subcommands and a second argument, even when
    /// the container has a procedure of its own.
    pub fn lookup_command(&self, argv: &(impl Argv + ?Sized)) -> Option<CommandId> {
        self.resolve(&self.names, argv)
    }

    /// As `lookup_command`, but a renamed or disabled command is found by its original name too.
    pub fn lookup_command_or_original(&self, argv: &(impl Argv + ?Sized)) -> Option<CommandId> {
        self.lookup_command(argv).or_else(|| {
            self.original_names
                .as_ref()
                .and_then(|names| self.resolve(names, argv))
        })
    }

    fn resolve(&self, names: &NameIndex, argv: &(impl Argv + ?Sized)) -> Option<CommandId> {
        if argv.argc() == 0 {
            return None;
        }
        let id = names.find(NONE, argv.arg(0))?;
        if argv.argc() > 1 && self.rows[id.index()].has_subcommands() {
            names.find(id.0, argv.arg(1))
        } else {
            Some(id)
        }
    }

    /// The command or subcommand by a name in the form `get` or `config|get`.
    pub fn lookup_command_by_full_name(&self, name: &[u8]) -> Option<CommandId> {
        match name.iter().position(|&b| b == b'|') {
            None => self.lookup(name),
            Some(bar) => {
                let id = self.lookup(&name[..bar])?;
                self.lookup_subcommand(id, &name[bar + 1..])
            }
        }
    }

    /// What running the command needs.
    ///
    /// # Panics
    ///
    /// Never for an id that this table gave out.
    #[inline]
    pub fn row(&self, id: CommandId) -> &CommandRow {
        &self.rows[id.index()]
    }

    /// The declaration of the command.
    #[inline]
    pub fn command(&self, id: CommandId) -> &'static Command {
        self.rows[id.index()].command
    }

    /// The name as declared, with the container's before it: `config|get`. A rename does not change it.
    pub fn full_name(&self, id: CommandId) -> &'static str {
        self.command(id).name
    }

    pub fn parent(&self, id: CommandId) -> Option<CommandId> {
        self.rows[id.index()].parent()
    }

    /// The ids of the subcommands, in declared order.
    pub fn subcommands(&self, id: CommandId) -> impl Iterator<Item = CommandId> + use<> {
        let row = &self.rows[id.index()];
        let ids: Range<u16> = if row.subs == 0 {
            0..0
        } else {
            row.first_sub..row.first_sub + row.subs
        };
        ids.map(CommandId)
    }

    /// The commands that can be called by some name, without subcommands, in declared order; renamed ones come last.
    pub fn callable(&self) -> impl Iterator<Item = CommandId> {
        self.names
            .entries
            .iter()
            .filter(|e| e.parent == NONE)
            .map(|e| CommandId(e.id))
    }

    /// All ids there are: subcommands and disabled commands too.
    pub fn ids(&self) -> impl Iterator<Item = CommandId> + use<> {
        (0..self.rows.len() as u16).map(CommandId)
    }

    #[inline]
    pub fn stats(&self, id: CommandId) -> &CommandStats {
        &self.stats[id.index()]
    }

    #[inline]
    pub fn stats_mut(&mut self, id: CommandId) -> &mut CommandStats {
        &mut self.stats[id.index()]
    }

    /// CONFIG RESETSTAT's part.
    pub fn reset_stats(&mut self) {
        self.stats.fill_with(CommandStats::default);
    }

    /// Lets the command `old` (its present name) be called by `new` only; an empty `new` disables it. Subcommands follow
    /// their container; they have no renames of their own.
    ///
    /// # Errors
    ///
    /// The table stays as it was when there is no `old`, or when `new` is taken by another command.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), RenameError> {
        let Some(id) = self.lookup(old) else {
            return self.rename_unbuilt(old, new);
        };
        if self.lookup_unbuilt(new).is_some() {
            return Err(RenameError::TargetExists);
        }
        if self.lookup(new).is_some_and(|holder| holder != id) {
            return Err(RenameError::TargetExists);
        }
        let mut entries = self.names.entries.clone();
        entries.retain(|e| e.parent != NONE || e.id != id.0);
        if !new.is_empty() {
            entries.push(Entry {
                name: Cow::Owned(new.to_ascii_lowercase()),
                parent: NONE,
                id: id.0,
            });
        }
        let before = std::mem::replace(&mut self.names, NameIndex::new(entries));
        self.original_names.get_or_insert(before);
        Ok(())
    }

    /// The same for a command that is not built: a configuration that hides it is good here too.
    fn rename_unbuilt(&mut self, old: &[u8], new: &[u8]) -> Result<(), RenameError> {
        let at = self
            .unbuilt
            .iter()
            .position(|(own, _)| own.eq_ignore_ascii_case(old))
            .ok_or(RenameError::NoSuchCommand)?;
        let mut others = self.unbuilt.iter().enumerate();
        let taken = others.any(|(i, (own, _))| i != at && own.eq_ignore_ascii_case(new));
        if taken || self.lookup(new).is_some() {
            return Err(RenameError::TargetExists);
        }
        if new.is_empty() {
            self.unbuilt.remove(at);
        } else {
            self.unbuilt[at].0 = Cow::Owned(new.to_ascii_lowercase());
        }
        Ok(())
    }
}

/// A name that leads to a command.
#[derive(Clone, Debug)]
struct Entry {
    /// Lower case.
    name: Cow<'static, [u8]>,
    /// The container of a subcommand, else `NONE`.
    parent: u16,
    id: u16,
}

/// Open addressing over (parent, name). The hash and the comparison work on two words that hold the name with bit 5 of
/// every byte set. For names of up to 16 letters the words hold all of the name, and equal words mean equal names up to
/// case: only `a`..`z` and `A`..`Z` become letters when bit 5 is set. Other names are compared byte by byte besides.
#[derive(Debug)]
struct NameIndex {
    /// A power of two of them, at most a quarter full, so that every probe ends at an empty one.
    slots: Box<[Slot]>,
    entries: Vec<Entry>,
}

/// 24 bytes.
#[derive(Clone, Copy, Debug)]
struct Slot {
    words: (u64, u64),
    /// Parent and length of the name.
    tag: u32,
    /// `NONE` in an empty slot.
    id: u16,
    /// The entry whose name has to be compared, or `NONE` where words and tag suffice.
    entry: u16,
}

const CASE_BITS: u64 = 0x2020_2020_2020_2020;

/// The case-folded words of a name. Of names longer than 16 bytes the middle is missing.
#[inline]
fn fold(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (
            u64::from_le_bytes(*head) | CASE_BITS,
            u64::from_le_bytes(*tail) | CASE_BITS,
        )
    } else if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (
            u64::from(u32::from_le_bytes(*head)) | CASE_BITS,
            u64::from(u32::from_le_bytes(*tail)) | CASE_BITS,
        )
    } else if let [first, .., last] = *name {
        let mid = name[name.len() / 2];
        let word = u64::from(first) | u64::from(mid) << 8 | u64::from(last) << 16;
        (word | CASE_BITS, 0)
    } else {
        (u64::from(name.first().copied().unwrap_or(0)) | CASE_BITS, 0)
    }
}

#[inline]
fn tag_of(parent: u16, name: &[u8]) -> u32 {
    // Lengths that do not fit share a tag; the words of such names never suffice.
    u32::from(parent) << 16 | name.len().min(0xffff) as u32
}

#[inline]
fn hash(words: (u64, u64), tag: u32) -> u64 {
    let h = (words.0 ^ u64::from(tag)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ words.1.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    h ^ h >> 32
}

impl NameIndex {
    fn new(entries: Vec<Entry>) -> NameIndex {
        let empty = Slot {
            words: (0, 0),
            tag: 0,
            id: NONE,
            entry: NONE,
        };
        let mut slots =
            vec![empty; (entries.len() * 4).next_power_of_two().max(16)].into_boxed_slice();
        let mask = slots.len() - 1;
        for (n, e) in entries.iter().enumerate() {
            let words = fold(&e.name);
            let tag = tag_of(e.parent, &e.name);
            let exact = e.name.len() <= 16 && e.name.iter().all(u8::is_ascii_lowercase);
            let mut at = hash(words, tag) as usize & mask;
            while slots[at].id != NONE {
                at = (at + 1) & mask;
            }
            slots[at] = Slot {
                words,
                tag,
                id: e.id,
                entry: if exact { NONE } else { n as u16 },
            };
        }
        NameIndex { slots, entries }
    }

    #[inline]
    fn find(&self, parent: u16, name: &[u8]) -> Option<CommandId> {
        let words = fold(name);
        let tag = tag_of(parent, name);
        let mask = self.slots.len() - 1;
        let mut at = hash(words, tag) as usize & mask;
        loop {
            let slot = self.slots.get(at)?;
            if slot.id == NONE {
                return None;
            }
            if slot.words == words && slot.tag == tag {
                if slot.entry == NONE {
                    return Some(CommandId(slot.id));
                }
                return self.find_by_comparison(at, words, tag, name);
            }
            at = (at + 1) & mask;
        }
    }

    /// `find` from slot `at` on, for names that their words do not determine. Apart, so that the probing above has no call
    /// in its loop.
    #[cold]
    #[inline(never)]
    fn find_by_comparison(
        &self,
        mut at: usize,
        words: (u64, u64),
        tag: u32,
        name: &[u8],
    ) -> Option<CommandId> {
        let mask = self.slots.len() - 1;
        loop {
            let slot = self.slots.get(at)?;
            if slot.id == NONE {
                return None;
            }
            if slot.words == words
                && slot.tag == tag
                && (slot.entry == NONE || self.has_name(slot.entry, name))
            {
                return Some(CommandId(slot.id));
            }
            at = (at + 1) & mask;
        }
    }

    fn has_name(&self, entry: u16, name: &[u8]) -> bool {
        let same = |(own, byte): (&u8, &u8)| *own == byte.to_ascii_lowercase();
        self.entries
            .get(usize::from(entry))
            .is_some_and(|e| e.name.len() == name.len() && e.name.iter().zip(name).all(same))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_range() {
        let of = |key_specs| {
            Command {
                key_specs,
                ..Command::ROW
            }
            .legacy_range()
        };
        assert_eq!(of(&[]), ((0, 0, 0), false));
        assert_eq!(
            of(const { &[KeySpec::index(1, 0).range(-1, 2, 0)] }),
            ((1, -1, 2), false)
        );
        assert_eq!(
            of(const { &[KeySpec::index(2, 0), KeySpec::index(3, 0).range(-1, 1, 0)] }),
            ((2, -1, 1), false)
        );
        assert_eq!(
            of(const { &[KeySpec::index(1, 0), KeySpec::index(3, 0)] }),
            ((1, 1, 1), true)
        );
        assert_eq!(
            of(const {
                &[
                    KeySpec::index(3, 0),
                    KeySpec::keyword("KEYS", -2, 0).range(-1, 1, 0),
                ]
            }),
            ((3, 3, 1), true)
        );
        assert_eq!(
            of(const { &[KeySpec::index(1, 0).keynum(0, 1, 1)] }),
            ((0, 0, 0), true)
        );
        assert_eq!(
            of(const { &[KeySpec::index(1, CMD_KEY_INCOMPLETE)] }),
            ((1, 1, 1), true)
        );
    }

    #[test]
    fn acl_categories_by_name() {
        assert_eq!(
            acl_get_command_category_flag_by_name(b"SortedSet"),
            Some(ACL_CATEGORY_SORTEDSET)
        );
        assert_eq!(acl_get_command_category_flag_by_name(b"@read"), None);
        assert_eq!(acl_get_command_category_flag_by_name(b""), None);
    }
}
