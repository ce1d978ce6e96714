//! One row of the command table: all that is declared of a command, built up by `const` functions.
//!
//! A row says each fact once. What follows from others is worked out here: the ACL categories from the group and the flags,
//! `MOVABLE_KEYS` from the key specs, `PROTECTED` from the guard. A row writes down only where a command is an exception.
//!
//! Must not know: any particular command, and how a row is shown.

use super::flags::{AclCategories, ArgFlags, CommandFlags, DocFlags, KeyFlags};
use super::key_refs::{GetKeysError, KeyRefs};
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::{Args, Argv};

/// What runs a command.
pub(crate) type Proc = fn(&mut Server, ClientId, &Args);

/// Finds the keys of a command whose key specs do not tell all; appends to the `KeyRefs`. Called with an argument vector
/// of any length and content.
pub(crate) type GetKeysProc = fn(&dyn Argv, &mut KeyRefs) -> Result<(), GetKeysError>;

/// Where the keys of a spec begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BeginSearch {
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
pub(crate) enum FindKeys {
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
pub(crate) struct KeySpec {
    pub flags: KeyFlags,
    pub notes: Option<&'static str>,
    pub begin_search: BeginSearch,
    pub find_keys: FindKeys,
}

impl KeySpec {
    /// One key at argument `pos`; the methods below make other specs of it.
    pub(crate) const fn index(pos: i32, flags: &[KeyFlags]) -> KeySpec {
        KeySpec {
            flags: KeyFlags::of(flags),
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
    pub(crate) const fn keyword(
        keyword: &'static str,
        start_from: i32,
        flags: &[KeyFlags],
    ) -> KeySpec {
        KeySpec {
            begin_search: BeginSearch::Keyword {
                keyword,
                start_from,
            },
            ..KeySpec::index(0, flags)
        }
    }

    /// Keys at a place that only the command's `get_keys` can tell.
    pub(crate) const fn unknown(flags: &[KeyFlags]) -> KeySpec {
        KeySpec {
            begin_search: BeginSearch::Unknown,
            find_keys: FindKeys::Unknown,
            ..KeySpec::index(0, flags)
        }
    }

    pub(crate) const fn range(self, last_key: i32, key_step: i32, limit: i32) -> KeySpec {
        KeySpec {
            find_keys: FindKeys::Range {
                last_key,
                key_step,
                limit,
            },
            ..self
        }
    }

    pub(crate) const fn keynum(self, keynum_idx: i32, first_key: i32, key_step: i32) -> KeySpec {
        KeySpec {
            find_keys: FindKeys::KeyNum {
                keynum_idx,
                first_key,
                key_step,
            },
            ..self
        }
    }

    pub(crate) const fn notes(self, notes: &'static str) -> KeySpec {
        KeySpec {
            notes: Some(notes),
            ..self
        }
    }
}

/// What a call of a command touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touches {
    /// No key, no channel.
    Nothing,
    /// The key at this argument and no other, and no channel. What is done to it is at most this.
    Key(u16, KeyFlags),
    /// It has to be searched for.
    More,
}

/// Which arguments are channels that are published to or listened to; they begin behind the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelArgs {
    /// The first one.
    First,
    /// All of them.
    All,
    /// All of them, and they are patterns.
    AllPatterns,
}

/// Which databases a command may do something to, besides what its arguments say of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseArgs {
    /// The one that its client is in, if it uses data at all.
    Own,
    /// The one of its first argument, which its client is moved to.
    Selects,
    /// Those of these arguments, and not its client's.
    Instead(&'static [usize]),
    /// Those of these arguments, and its client's.
    Besides(&'static [usize]),
    /// Those that stand behind this word, and its client's.
    BehindOption(&'static str),
    /// Every one.
    All,
}

/// The type of an argument, as COMMAND DOCS names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArgType {
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
    pub(crate) const fn name(self) -> &'static str {
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
    pub(crate) const fn is_compound(self) -> bool {
        matches!(self, ArgType::OneOf | ArgType::Block)
    }
}

/// One argument in the documentation of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arg {
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
    pub flags: ArgFlags,
    /// The parts of a `OneOf` or `Block`.
    pub subargs: &'static [Arg],
}

impl Arg {
    /// A mandatory argument that stands once; the methods below add the rest.
    pub(crate) const fn new(name: &'static str, arg_type: ArgType) -> Arg {
        Arg {
            name,
            arg_type,
            display_text: None,
            key_spec_index: None,
            token: None,
            summary: None,
            since: None,
            deprecated_since: None,
            flags: ArgFlags::empty(),
            subargs: &[],
        }
    }

    /// A key, found by the command's key spec number `key_spec_index`.
    pub(crate) const fn key(name: &'static str, key_spec_index: u8) -> Arg {
        Arg {
            key_spec_index: Some(key_spec_index),
            ..Arg::new(name, ArgType::Key)
        }
    }

    /// A word that stands for itself.
    pub(crate) const fn token_only(name: &'static str, token: &'static str) -> Arg {
        Arg {
            token: Some(token),
            ..Arg::new(name, ArgType::PureToken)
        }
    }

    pub(crate) const fn one_of(name: &'static str, subargs: &'static [Arg]) -> Arg {
        Arg {
            subargs,
            ..Arg::new(name, ArgType::OneOf)
        }
    }

    pub(crate) const fn block(name: &'static str, subargs: &'static [Arg]) -> Arg {
        Arg {
            subargs,
            ..Arg::new(name, ArgType::Block)
        }
    }

    /// For what is no `Key` but found by a key spec: the BY pattern of SORT.
    pub(crate) const fn key_spec(self, key_spec_index: u8) -> Arg {
        Arg {
            key_spec_index: Some(key_spec_index),
            ..self
        }
    }

    pub(crate) const fn display(self, text: &'static str) -> Arg {
        Arg {
            display_text: Some(text),
            ..self
        }
    }

    pub(crate) const fn token(self, token: &'static str) -> Arg {
        Arg {
            token: Some(token),
            ..self
        }
    }

    pub(crate) const fn since(self, version: &'static str) -> Arg {
        Arg {
            since: Some(version),
            ..self
        }
    }

    pub(crate) const fn deprecated_since(self, version: &'static str) -> Arg {
        Arg {
            deprecated_since: Some(version),
            ..self
        }
    }

    pub(crate) const fn optional(self) -> Arg {
        Arg {
            flags: self.flags.union(ArgFlags::OPTIONAL),
            ..self
        }
    }

    pub(crate) const fn multiple(self) -> Arg {
        Arg {
            flags: self.flags.union(ArgFlags::MULTIPLE),
            ..self
        }
    }

    pub(crate) const fn multiple_token(self) -> Arg {
        Arg {
            flags: self.flags.union(ArgFlags::MULTIPLE_TOKEN),
            ..self
        }
    }
}

/// The group of a command in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
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
    Geo,
    Stream,
    Bitmap,
    Sentinel,
}

impl Group {
    pub(crate) const fn name(self) -> &'static str {
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
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::Sentinel => "sentinel",
        }
    }

    /// The ACL category that the commands of the group are in unless a row says otherwise.
    const fn category(self) -> AclCategories {
        match self {
            Group::Generic => AclCategories::KEYSPACE,
            Group::String => AclCategories::STRING,
            Group::List => AclCategories::LIST,
            Group::Set => AclCategories::SET,
            Group::SortedSet => AclCategories::SORTEDSET,
            Group::Hash => AclCategories::HASH,
            Group::Pubsub => AclCategories::PUBSUB,
            Group::Transactions => AclCategories::TRANSACTION,
            Group::Connection => AclCategories::CONNECTION,
            Group::Scripting => AclCategories::SCRIPTING,
            Group::Hyperloglog => AclCategories::HYPERLOGLOG,
            Group::Geo => AclCategories::GEO,
            Group::Stream => AclCategories::STREAM,
            Group::Bitmap => AclCategories::BITMAP,
            Group::Server | Group::Cluster | Group::Sentinel => AclCategories::empty(),
        }
    }
}

/// What COMMAND DOCS tells about a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Docs {
    pub summary: &'static str,
    /// The version that brought the command.
    pub since: &'static str,
    pub group: Group,
    pub complexity: Option<&'static str>,
    pub doc_flags: DocFlags,
    pub deprecated_since: Option<&'static str>,
    pub replaced_by: Option<&'static str>,
    /// Pairs of a version and what it changed.
    pub history: &'static [(&'static str, &'static str)],
    pub args: &'static [Arg],
}

/// Which directive decides who may call a command (`enable-debug-command` and its like).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// `enable-debug-command`
    Debug,
}

/// A command or a subcommand, as it is declared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    /// Lower case. A subcommand bears its full name: `config|get`.
    pub name: &'static str,
    /// `None`: a container, good for nothing without a subcommand.
    pub proc: Option<Proc>,
    /// How many arguments it takes with its name (and its container's); `-n` means at least n.
    pub arity: i32,
    /// Without those that follow from other columns.
    declared_flags: CommandFlags,
    /// ACL categories besides those that follow from group and flags, and those of the group's that it is not in.
    further_categories: AclCategories,
    absent_categories: AclCategories,
    pub guard: Option<Guard>,
    pub key_specs: &'static [KeySpec],
    /// Needed where the key specs are incomplete, unknown, or have variable flags.
    pub get_keys: Option<GetKeysProc>,
    pub channels: Option<ChannelArgs>,
    pub databases: DatabaseArgs,
    /// Hints for clients and proxies. See <https://redis.io/docs/reference/command-tips/>.
    pub tips: &'static [&'static str],
    pub docs: Docs,
    pub subcommands: &'static [Command],
}

impl Command {
    /// A command that nothing is known of yet but this; the methods below add the rest.
    const fn new(group: Group, name: &'static str, arity: i32) -> Command {
        Command {
            name,
            proc: None,
            arity,
            declared_flags: CommandFlags::empty(),
            further_categories: AclCategories::empty(),
            absent_categories: AclCategories::empty(),
            guard: None,
            key_specs: &[],
            get_keys: None,
            channels: None,
            databases: DatabaseArgs::Own,
            tips: &[],
            docs: Docs {
                summary: "",
                since: "",
                group,
                complexity: None,
                doc_flags: DocFlags::empty(),
                deprecated_since: None,
                replaced_by: None,
                history: &[],
                args: &[],
            },
            subcommands: &[],
        }
    }

    /// A command or subcommand that `proc` runs.
    pub(crate) const fn row(group: Group, name: &'static str, arity: i32, proc: Proc) -> Command {
        Command {
            proc: Some(proc),
            ..Command::new(group, name, arity)
        }
    }

    /// A command that is good for nothing without a subcommand.
    pub(crate) const fn container(
        group: Group,
        name: &'static str,
        arity: i32,
        subcommands: &'static [Command],
    ) -> Command {
        Command::new(group, name, arity).subcommands(subcommands)
    }

    /// In alphabetical order.
    pub(crate) const fn subcommands(self, subcommands: &'static [Command]) -> Command {
        Command {
            subcommands,
            ..self
        }
    }

    /// All its flags but those that follow from other columns.
    pub(crate) const fn flags(self, flags: &[CommandFlags]) -> Command {
        Command {
            declared_flags: CommandFlags::of(flags),
            ..self
        }
    }

    /// Categories that follow neither from group nor flags.
    pub(crate) const fn also_in(self, categories: &[AclCategories]) -> Command {
        Command {
            further_categories: AclCategories::of(categories),
            ..self
        }
    }

    /// Categories that it would be in by its group and is not.
    pub(crate) const fn not_in(self, categories: &[AclCategories]) -> Command {
        Command {
            absent_categories: AclCategories::of(categories),
            ..self
        }
    }

    pub(crate) const fn guard(self, guard: Guard) -> Command {
        Command {
            guard: Some(guard),
            ..self
        }
    }

    pub(crate) const fn key_specs(self, key_specs: &'static [KeySpec]) -> Command {
        Command { key_specs, ..self }
    }

    pub(crate) const fn get_keys(self, get_keys: GetKeysProc) -> Command {
        Command {
            get_keys: Some(get_keys),
            ..self
        }
    }

    pub(crate) const fn channels(self, channels: ChannelArgs) -> Command {
        Command {
            channels: Some(channels),
            ..self
        }
    }

    pub(crate) const fn databases(self, databases: DatabaseArgs) -> Command {
        Command { databases, ..self }
    }

    pub(crate) const fn tips(self, tips: &'static [&'static str]) -> Command {
        Command { tips, ..self }
    }

    /// The version that brought it, and what it does.
    pub(crate) const fn docs(self, since: &'static str, summary: &'static str) -> Command {
        let docs = Docs {
            since,
            summary,
            ..self.docs
        };
        Command { docs, ..self }
    }

    pub(crate) const fn complexity(self, text: &'static str) -> Command {
        let docs = Docs {
            complexity: Some(text),
            ..self.docs
        };
        Command { docs, ..self }
    }

    /// The version from which on it is not to be used any more, and what is to be used instead.
    pub(crate) const fn deprecated(
        self,
        since: &'static str,
        replaced_by: &'static str,
    ) -> Command {
        let docs = Docs {
            doc_flags: self.docs.doc_flags.union(DocFlags::DEPRECATED),
            deprecated_since: Some(since),
            replaced_by: Some(replaced_by),
            ..self.docs
        };
        Command { docs, ..self }
    }

    /// It is for internal use.
    pub(crate) const fn syscmd(self) -> Command {
        let docs = Docs {
            doc_flags: self.docs.doc_flags.union(DocFlags::SYSCMD),
            ..self.docs
        };
        Command { docs, ..self }
    }

    /// Pairs of a version and what it changed.
    pub(crate) const fn history(self, history: &'static [(&'static str, &'static str)]) -> Command {
        let docs = Docs {
            history,
            ..self.docs
        };
        Command { docs, ..self }
    }

    pub(crate) const fn args(self, args: &'static [Arg]) -> Command {
        let docs = Docs { args, ..self.docs };
        Command { docs, ..self }
    }

    /// All flags.
    pub(crate) fn all_flags(&self) -> CommandFlags {
        let mut flags = self.declared_flags;
        let (_, movable) = self.legacy_range();
        flags.set(CommandFlags::MOVABLE_KEYS, movable);
        flags.set(CommandFlags::PROTECTED, self.guard.is_some());
        flags
    }

    /// All ACL categories.
    pub(crate) fn categories(&self) -> AclCategories {
        let own = self.docs.group.category() | self.further_categories;
        let own = own - self.absent_categories;
        let scripting = own.contains(AclCategories::SCRIPTING);
        own | self.declared_flags.implied_categories(scripting)
    }

    /// Whether the columns hold nothing that follows from others.
    #[cfg(test)]
    pub(crate) fn says_nothing_twice(&self) -> bool {
        let derived = CommandFlags::MOVABLE_KEYS | CommandFlags::PROTECTED;
        let group = self.docs.group.category();
        let implied = self.declared_flags.implied_categories(false);
        !self.declared_flags.intersects(derived)
            && !self.further_categories.intersects(group | implied)
            && group.contains(self.absent_categories)
            && !implied.intersects(self.absent_categories)
    }

    /// The name without its container's: `get` of `config|get`.
    pub(crate) fn declared_name(&self) -> &'static str {
        match self.name.split_once('|') {
            Some((_, own)) => own,
            None => self.name,
        }
    }

    /// Whether a call with `argc` arguments, the names included, has a legal number of them.
    pub(crate) fn accepts_argc(&self, argc: usize) -> bool {
        arity_accepts(self.arity, argc)
    }

    /// Whether some argument may be a key (doesCommandHaveKeys).
    pub(crate) fn has_keys(&self) -> bool {
        self.get_keys.is_some()
            || self
                .key_specs
                .iter()
                .any(|s| !s.flags.contains(KeyFlags::NOT_KEY))
    }

    /// What a call touches, as far as the row tells.
    pub(super) fn touches(&self) -> Touches {
        if self.channels.is_some() {
            return Touches::More;
        }
        if !self.has_keys() {
            return Touches::Nothing;
        }
        const ONE: FindKeys = FindKeys::Range {
            last_key: 0,
            key_step: 1,
            limit: 0,
        };
        const UNTOLD: KeyFlags = KeyFlags::of(&[KeyFlags::INCOMPLETE, KeyFlags::NOT_KEY]);
        let variable = |s: &KeySpec| s.flags.intersects(KeyFlags::VARIABLE_FLAGS);
        match self.key_specs {
            [spec]
                if spec.find_keys == ONE
                    && !spec.flags.intersects(UNTOLD)
                    && (self.get_keys.is_none() || variable(spec)) =>
            {
                let BeginSearch::Index { pos } = spec.begin_search else {
                    return Touches::More;
                };
                let flags = match variable(spec) {
                    true => KeyFlags::ACCESS | KeyFlags::UPDATE,
                    false => spec.flags,
                };
                u16::try_from(pos).map_or(Touches::More, |pos| Touches::Key(pos, flags))
            }
            _ => Touches::More,
        }
    }

    /// The triple (first key, last key, step) of COMMAND INFO, zeros when no range spec tells it; last is negative when it
    /// counts from the end. With it, whether it leaves keys out, i.e. `MOVABLE_KEYS`
    /// (populateCommandLegacyRangeSpec).
    pub(crate) fn legacy_range(&self) -> ((i32, i32, i32), bool) {
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
            let incomplete = spec.flags.contains(KeyFlags::INCOMPLETE);
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
            movable |= spec.flags.contains(KeyFlags::INCOMPLETE);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_range() {
        let of = |key_specs| {
            Command::new(Group::Generic, "x", 1)
                .key_specs(key_specs)
                .legacy_range()
        };
        assert_eq!(of(&[]), ((0, 0, 0), false));
        assert_eq!(
            of(const { &[KeySpec::index(1, &[]).range(-1, 2, 0)] }),
            ((1, -1, 2), false)
        );
        assert_eq!(
            of(const {
                &[
                    KeySpec::index(2, &[]),
                    KeySpec::index(3, &[]).range(-1, 1, 0),
                ]
            }),
            ((2, -1, 1), false)
        );
        assert_eq!(
            of(const { &[KeySpec::index(1, &[]), KeySpec::index(3, &[])] }),
            ((1, 1, 1), true)
        );
        assert_eq!(
            of(const {
                &[
                    KeySpec::index(3, &[]),
                    KeySpec::keyword("KEYS", -2, &[]).range(-1, 1, 0),
                ]
            }),
            ((3, 3, 1), true)
        );
        assert_eq!(
            of(const { &[KeySpec::index(1, &[]).keynum(0, 1, 1)] }),
            ((0, 0, 0), true)
        );
        assert_eq!(
            of(const { &[KeySpec::index(1, &[KeyFlags::INCOMPLETE])] }),
            ((1, 1, 1), true)
        );
    }
}
