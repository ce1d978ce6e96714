//! The sets of flags that a command's row is made of: what the server must know before it runs the command, who may call
//! it, and what it does to its keys.
//!
//! Invariant: the tables of names list the flags that clients are shown, in upstream's order; a flag without a name there is
//! the server's own business.

use bitflags::{Flags, bitflags};

bitflags! {
    /// What a command is and where it may run (server.h, CMD_*). A doc that is one word is what COMMAND INFO calls the flag.
    /// The flags from `ALLOWED_IN_PUBSUB` on are for what upstream compares procedures for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct CommandFlags: u64 {
        /// `write`
        const WRITE = 1 << 0;
        /// `readonly`
        const READONLY = 1 << 1;
        /// `denyoom`: refused when over maxmemory.
        const DENYOOM = 1 << 2;
        /// `module`
        const MODULE = 1 << 3;
        /// `admin`
        const ADMIN = 1 << 4;
        /// `pubsub`
        const PUBSUB = 1 << 5;
        /// `noscript`: refused inside a script.
        const NOSCRIPT = 1 << 6;
        /// `blocking`: may block the client.
        const BLOCKING = 1 << 8;
        /// `loading`: allowed while a data set is being loaded.
        const LOADING = 1 << 9;
        /// `stale`: allowed on a replica with a broken link and `replica-serve-stale-data no`.
        const STALE = 1 << 10;
        /// `skip_monitor`
        const SKIP_MONITOR = 1 << 11;
        /// `skip_slowlog`
        const SKIP_SLOWLOG = 1 << 12;
        /// `asking`: implies ASKING in cluster mode.
        const ASKING = 1 << 13;
        /// `fast`: its latency is sampled as `fast-command`.
        const FAST = 1 << 14;
        /// `no_auth`: allowed before authentication.
        const NO_AUTH = 1 << 15;
        /// May replicate without being a write (PUBLISH, EVAL). Not shown.
        const MAY_REPLICATE = 1 << 16;
        /// Exists in Sentinel mode. Not shown.
        const SENTINEL = 1 << 17;
        /// Exists in Sentinel mode only. Not shown.
        const ONLY_SENTINEL = 1 << 18;
        /// `no_mandatory_keys`: a call without any key is legal.
        const NO_MANDATORY_KEYS = 1 << 19;
        /// Guarded by a directive: see `Guard`. Not shown; follows from the row's guard.
        const PROTECTED = 1 << 20;
        /// `no_async_loading`: refused while the old data set is served during an asynchronous load.
        const NO_ASYNC_LOADING = 1 << 23;
        /// `no_multi`: refused inside MULTI.
        const NO_MULTI = 1 << 24;
        /// `movablekeys`: the legacy (first, last, step) triple does not cover all keys. Follows from the key specs.
        const MOVABLE_KEYS = 1 << 25;
        /// `allow_busy`: allowed while a script has been running for too long.
        const ALLOW_BUSY = 1 << 26;
        /// Touches keys that are not among its arguments (FLUSHALL, SWAPDB, SCAN). Not shown.
        const TOUCHES_ARBITRARY_KEYS = 1 << 28;
        /// A RESP2 client may say it while it listens to channels: what it answers cannot be taken for a message.
        const ALLOWED_IN_PUBSUB = 1 << 32;
        /// Runs at once inside MULTI, where all others are queued.
        const RUNS_IN_MULTI = 1 << 33;
        /// Leaves MULTI without running what is queued: short memory is no reason to refuse it there.
        const LEAVES_MULTI = 1 << 34;
        /// EXEC: the flags of what is queued count for it, and it is refused by aborting the transaction.
        const RUNS_QUEUED = 1 << 35;
        /// MULTI: what follows is queued.
        const BEGINS_MULTI = 1 << 36;
        /// Refused while errors of the disk deny writes: whoever watches the server with PINGs shall see it.
        const TELLS_DISK_ERROR = 1 << 37;
        /// Renews the access time of its keys even for a client with NO-TOUCH: that is what it is for.
        const ALWAYS_TOUCHES = 1 << 38;
        /// It and its subcommands leave the word of CLIENT CACHING to the command after them.
        const KEEPS_CACHING = 1 << 39;
        /// Its argument 1 tells the script that it runs, which may declare flags of its own.
        const RUNS_SCRIPT = 1 << 41;
        /// Reaches another server: an append-only file may not have it.
        const REACHES_OUT = 1 << 40;
    }

    /// Who may call a command (server.h, ACL_CATEGORY_*); what ACL CAT lists. Most follow from a row's group and flags.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct AclCategories: u64 {
        const KEYSPACE = 1 << 0;
        const READ = 1 << 1;
        const WRITE = 1 << 2;
        const SET = 1 << 3;
        const SORTEDSET = 1 << 4;
        const LIST = 1 << 5;
        const HASH = 1 << 6;
        const STRING = 1 << 7;
        const BITMAP = 1 << 8;
        const HYPERLOGLOG = 1 << 9;
        const GEO = 1 << 10;
        const STREAM = 1 << 11;
        const PUBSUB = 1 << 12;
        const ADMIN = 1 << 13;
        const FAST = 1 << 14;
        const SLOW = 1 << 15;
        const BLOCKING = 1 << 16;
        const DANGEROUS = 1 << 17;
        const CONNECTION = 1 << 18;
        const TRANSACTION = 1 << 19;
        const SCRIPTING = 1 << 20;
    }

    /// What a command does to the keys of a spec (server.h, CMD_KEY_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct KeyFlags: u16 {
        /// The value is read, its metadata may change.
        const RO = 1 << 0;
        /// The value is changed.
        const RW = 1 << 1;
        /// The value is overwritten.
        const OW = 1 << 2;
        /// The key is deleted.
        const RM = 1 << 3;
        /// User data is returned, copied or used.
        const ACCESS = 1 << 4;
        /// User data is changed; the new value may depend on the old one.
        const UPDATE = 1 << 5;
        /// User data is added, none can be changed or deleted.
        const INSERT = 1 << 6;
        /// Some content of the value is deleted.
        const DELETE = 1 << 7;
        /// Not a key, only to be routed as one.
        const NOT_KEY = 1 << 8;
        /// The spec may not find all keys.
        const INCOMPLETE = 1 << 9;
        /// The true flags depend on the other arguments.
        const VARIABLE_FLAGS = 1 << 10;
    }

    /// How often an argument stands (server.h, CMD_ARG_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ArgFlags: u8 {
        /// `optional`
        const OPTIONAL = 1 << 0;
        /// `multiple`
        const MULTIPLE = 1 << 1;
        /// `multiple_token`: the token stands before every one of the multiple values.
        const MULTIPLE_TOKEN = 1 << 2;
    }

    /// What the documentation says of a command as a whole (server.h, CMD_DOC_*).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct DocFlags: u8 {
        /// `deprecated`
        const DEPRECATED = 1 << 0;
        /// `syscmd`: for internal use.
        const SYSCMD = 1 << 1;
    }
}

/// The names of those flags of `set` that `table` lists, in its order.
fn names<F: Flags + Copy>(
    set: F,
    table: &'static [(F, &'static str)],
) -> impl Iterator<Item = &'static str> + Clone {
    let shown = table.iter().filter(move |(flag, _)| set.contains(*flag));
    shown.map(|(_, name)| *name)
}

impl CommandFlags {
    const NAMES: &[(CommandFlags, &str)] = &[
        (CommandFlags::WRITE, "write"),
        (CommandFlags::READONLY, "readonly"),
        (CommandFlags::DENYOOM, "denyoom"),
        (CommandFlags::MODULE, "module"),
        (CommandFlags::ADMIN, "admin"),
        (CommandFlags::PUBSUB, "pubsub"),
        (CommandFlags::NOSCRIPT, "noscript"),
        (CommandFlags::BLOCKING, "blocking"),
        (CommandFlags::LOADING, "loading"),
        (CommandFlags::STALE, "stale"),
        (CommandFlags::SKIP_MONITOR, "skip_monitor"),
        (CommandFlags::SKIP_SLOWLOG, "skip_slowlog"),
        (CommandFlags::ASKING, "asking"),
        (CommandFlags::FAST, "fast"),
        (CommandFlags::NO_AUTH, "no_auth"),
        (CommandFlags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
        (CommandFlags::NO_ASYNC_LOADING, "no_async_loading"),
        (CommandFlags::NO_MULTI, "no_multi"),
        (CommandFlags::MOVABLE_KEYS, "movablekeys"),
        (CommandFlags::ALLOW_BUSY, "allow_busy"),
    ];

    /// All of these together.
    pub(crate) const fn of(mut flags: &[CommandFlags]) -> CommandFlags {
        let mut all = CommandFlags::empty();
        while let [flag, rest @ ..] = flags {
            all = all.union(*flag);
            flags = rest;
        }
        all
    }

    /// What COMMAND INFO shows of them.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        names(self, CommandFlags::NAMES)
    }

    /// The categories that a command with these flags is in (setImplicitACLCategories); what reads for a script is no reader
    /// itself.
    pub(super) const fn implied_categories(self, scripting: bool) -> AclCategories {
        let mut implied = if self.contains(CommandFlags::FAST) {
            AclCategories::FAST
        } else {
            AclCategories::SLOW
        };
        if self.contains(CommandFlags::WRITE) {
            implied = implied.union(AclCategories::WRITE);
        }
        if self.contains(CommandFlags::READONLY) && !scripting {
            implied = implied.union(AclCategories::READ);
        }
        if self.contains(CommandFlags::ADMIN) {
            implied = implied
                .union(AclCategories::ADMIN)
                .union(AclCategories::DANGEROUS);
        }
        if self.contains(CommandFlags::PUBSUB) {
            implied = implied.union(AclCategories::PUBSUB);
        }
        if self.contains(CommandFlags::BLOCKING) {
            implied = implied.union(AclCategories::BLOCKING);
        }
        implied
    }
}

impl AclCategories {
    const NAMES: &[(AclCategories, &str)] = &[
        (AclCategories::KEYSPACE, "keyspace"),
        (AclCategories::READ, "read"),
        (AclCategories::WRITE, "write"),
        (AclCategories::SET, "set"),
        (AclCategories::SORTEDSET, "sortedset"),
        (AclCategories::LIST, "list"),
        (AclCategories::HASH, "hash"),
        (AclCategories::STRING, "string"),
        (AclCategories::BITMAP, "bitmap"),
        (AclCategories::HYPERLOGLOG, "hyperloglog"),
        (AclCategories::GEO, "geo"),
        (AclCategories::STREAM, "stream"),
        (AclCategories::PUBSUB, "pubsub"),
        (AclCategories::ADMIN, "admin"),
        (AclCategories::FAST, "fast"),
        (AclCategories::SLOW, "slow"),
        (AclCategories::BLOCKING, "blocking"),
        (AclCategories::DANGEROUS, "dangerous"),
        (AclCategories::CONNECTION, "connection"),
        (AclCategories::TRANSACTION, "transaction"),
        (AclCategories::SCRIPTING, "scripting"),
    ];

    /// All of these together.
    pub(crate) const fn of(mut categories: &[AclCategories]) -> AclCategories {
        let mut all = AclCategories::empty();
        while let [category, rest @ ..] = categories {
            all = all.union(*category);
            categories = rest;
        }
        all
    }

    /// The names as ACL CAT and COMMAND INFO show them, without the `@`.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        names(self, AclCategories::NAMES)
    }

    /// A category by its name without `@`, whatever its case (ACLGetCommandCategoryFlagByName).
    pub(crate) fn by_name(name: &[u8]) -> Option<AclCategories> {
        AclCategories::NAMES
            .iter()
            .find(|(_, n)| n.as_bytes().eq_ignore_ascii_case(name))
            .map(|&(category, _)| category)
    }
}

impl KeyFlags {
    const NAMES: &[(KeyFlags, &str)] = &[
        (KeyFlags::RO, "RO"),
        (KeyFlags::RW, "RW"),
        (KeyFlags::OW, "OW"),
        (KeyFlags::RM, "RM"),
        (KeyFlags::ACCESS, "access"),
        (KeyFlags::UPDATE, "update"),
        (KeyFlags::INSERT, "insert"),
        (KeyFlags::DELETE, "delete"),
        (KeyFlags::NOT_KEY, "not_key"),
        (KeyFlags::INCOMPLETE, "incomplete"),
        (KeyFlags::VARIABLE_FLAGS, "variable_flags"),
    ];

    /// All of these together.
    pub(crate) const fn of(mut flags: &[KeyFlags]) -> KeyFlags {
        let mut all = KeyFlags::empty();
        while let [flag, rest @ ..] = flags {
            all = all.union(*flag);
            flags = rest;
        }
        all
    }

    /// What COMMAND shows of them.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        names(self, KeyFlags::NAMES)
    }
}

impl ArgFlags {
    const NAMES: &[(ArgFlags, &str)] = &[
        (ArgFlags::OPTIONAL, "optional"),
        (ArgFlags::MULTIPLE, "multiple"),
        (ArgFlags::MULTIPLE_TOKEN, "multiple_token"),
    ];

    /// What COMMAND DOCS shows of them.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        names(self, ArgFlags::NAMES)
    }
}

impl DocFlags {
    const NAMES: &[(DocFlags, &str)] = &[
        (DocFlags::DEPRECATED, "deprecated"),
        (DocFlags::SYSCMD, "syscmd"),
    ];

    /// What COMMAND DOCS shows of them.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        names(self, DocFlags::NAMES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acl_categories_by_name() {
        assert_eq!(
            AclCategories::by_name(b"SortedSet"),
            Some(AclCategories::SORTEDSET)
        );
        assert_eq!(AclCategories::by_name(b"@read"), None);
        assert_eq!(AclCategories::by_name(b""), None);
        assert_eq!(AclCategories::all().names().count(), 21);
    }

    #[test]
    fn flags_imply_categories() {
        let of = |flags: &[CommandFlags], scripting| {
            let flags = CommandFlags::of(flags);
            flags
                .implied_categories(scripting)
                .names()
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&[], false), ["slow"]);
        let fast_read = &[CommandFlags::READONLY, CommandFlags::FAST];
        assert_eq!(of(fast_read, false), ["read", "fast"]);
        assert_eq!(of(fast_read, true), ["fast"]);
        assert_eq!(
            of(&[CommandFlags::WRITE, CommandFlags::BLOCKING], false),
            ["write", "slow", "blocking"]
        );
        assert_eq!(
            of(&[CommandFlags::ADMIN, CommandFlags::PUBSUB], false),
            ["pubsub", "admin", "slow", "dangerous"]
        );
    }
}
