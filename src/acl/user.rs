//! What a user is: a name, passwords, and selectors that each allow some commands on some keys, channels and databases.
//!
//! Invariants: a user has a root selector; `CommandSet` covers every command of the table; a key pattern stands once in its
//! selector, and none stands beside `all_keys` (the same holds for channels); a selector's `command_rules`, applied in turn to
//! all commands or to none, give its commands.
//!
//! Must not know: how rules are written, clients, and what becomes of a refused command.

use std::collections::{BTreeMap, BTreeSet};

use bitflags::bitflags;

use crate::base::glob::Glob;
use crate::server::execution::command::{CommandId, KeyFlags};

/// A password's SHA-256.
pub(crate) type PasswordHash = [u8; 32];

/// The user that a connection begins as.
pub(crate) const DEFAULT_USER: &[u8] = b"default";

bitflags! {
    /// What a key pattern allows (ACL_READ_PERMISSION and its like).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Permissions: u8 {
        const READ = 1 << 0;
        const WRITE = 1 << 1;
    }
}

impl Permissions {
    /// What is needed of a key that a command does this to. None: that some pattern matches it.
    pub(crate) fn needed(flags: KeyFlags) -> Permissions {
        const WRITES: KeyFlags =
            KeyFlags::of(&[KeyFlags::INSERT, KeyFlags::DELETE, KeyFlags::UPDATE]);
        let mut needed = Permissions::empty();
        needed.set(Permissions::READ, flags.intersects(KeyFlags::ACCESS));
        needed.set(Permissions::WRITE, flags.intersects(WRITES));
        needed
    }
}

/// How a key is compared with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Byte by byte.
    Literal,
    /// All but the star at the end is what a key begins with.
    Prefix,
    Glob,
}

/// Which keys may be used, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPattern {
    pub permissions: Permissions,
    shape: Shape,
    /// What every key that matches begins with, as much as is in one word, and which bits of the word that is.
    head: u64,
    head_mask: u64,
    pattern: Box<[u8]>,
}

/// A key as patterns are compared with it: most are told apart by the first bytes.
#[derive(Clone, Copy)]
pub(crate) struct KeyText<'a> {
    key: &'a [u8],
    head: u64,
}

impl<'a> KeyText<'a> {
    #[inline]
    pub(crate) fn new(key: &'a [u8]) -> KeyText<'a> {
        KeyText {
            key,
            head: head_of(key),
        }
    }
}

/// The first eight bytes, with zeros behind a shorter text.
#[inline]
fn head_of(text: &[u8]) -> u64 {
    if let Some(head) = text.first_chunk::<8>() {
        return u64::from_le_bytes(*head);
    }
    let mut head = [0; 8];
    head[..text.len()].copy_from_slice(text);
    u64::from_le_bytes(head)
}

impl KeyPattern {
    pub(crate) fn new(pattern: &[u8], permissions: Permissions) -> KeyPattern {
        let special = |b: &u8| matches!(b, b'*' | b'?' | b'[' | b'\\');
        let first_special = pattern.iter().position(special);
        let head_len = first_special.unwrap_or(pattern.len()).min(8);
        let shape = match first_special {
            None => Shape::Literal,
            Some(at) if at + 1 == pattern.len() && pattern[at] == b'*' => Shape::Prefix,
            Some(_) => Shape::Glob,
        };
        KeyPattern {
            permissions,
            shape,
            head: head_of(&pattern[..head_len]),
            head_mask: match head_len {
                8 => u64::MAX,
                n => (1 << (8 * n)) - 1,
            },
            pattern: pattern.into(),
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.pattern
    }

    /// Whether the key may be used for what is `needed`.
    #[inline]
    pub(crate) fn allows(&self, needed: Permissions, text: KeyText) -> bool {
        text.head & self.head_mask == self.head
            && self.permissions.contains(needed)
            && self.matches(text.key)
    }

    fn matches(&self, key: &[u8]) -> bool {
        match (self.shape, &*self.pattern) {
            // As everywhere, an empty text is matched by the empty pattern alone.
            (Shape::Prefix, [prefix @ .., _]) => !key.is_empty() && key.starts_with(prefix),
            (Shape::Glob, pattern) => Glob::new(pattern).matches(key),
            (_, pattern) => pattern == key,
        }
    }
}

/// Commands by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandSet([u64; CommandSet::MOST / 64]);

impl CommandSet {
    /// The most commands that a set can tell apart (USER_COMMAND_BITS_COUNT).
    pub(crate) const MOST: usize = 1024;
    pub(crate) const NONE: CommandSet = CommandSet([0; CommandSet::MOST / 64]);
    pub(crate) const ALL: CommandSet = CommandSet([u64::MAX; CommandSet::MOST / 64]);

    #[inline]
    pub(crate) fn has(&self, id: CommandId) -> bool {
        let word = self.0.get(usize::from(id.0) / 64);
        word.is_some_and(|word| word >> (id.0 % 64) & 1 == 1)
    }

    pub(crate) fn put(&mut self, id: CommandId, allowed: bool) {
        if let Some(word) = self.0.get_mut(usize::from(id.0) / 64) {
            let bit = 1 << (id.0 % 64);
            match allowed {
                true => *word |= bit,
                false => *word &= !bit,
            }
        }
    }
}

/// A rule about commands, kept as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandRule {
    pub allow: bool,
    /// Lower case: a command, a command and a subcommand or first argument, or `@` and a category.
    pub subject: Box<[u8]>,
}

/// What is allowed together: commands, and the keys, channels and databases that they may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub commands: CommandSet,
    /// The rules begin with all commands, not with none: commands to come are allowed.
    pub begins_with_all: bool,
    pub command_rules: Vec<CommandRule>,
    /// First arguments, in lower case, with which a command that is not allowed is allowed all the same.
    pub first_args: BTreeMap<CommandId, BTreeSet<Box<[u8]>>>,
    pub all_keys: bool,
    pub keys: Vec<KeyPattern>,
    pub all_channels: bool,
    pub channels: Vec<Box<[u8]>>,
    /// None: every database.
    pub databases: Option<BTreeSet<usize>>,
}

impl Selector {
    /// One that allows nothing yet, but every channel where `all_channels` says so (acl-pubsub-default).
    pub(crate) fn new(all_channels: bool) -> Selector {
        Selector {
            commands: CommandSet::NONE,
            begins_with_all: false,
            command_rules: Vec::new(),
            first_args: BTreeMap::new(),
            all_keys: false,
            keys: Vec::new(),
            all_channels,
            channels: Vec::new(),
            databases: None,
        }
    }

    /// Whether it allows everything.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.commands == CommandSet::ALL
            && self.all_keys
            && self.all_channels
            && self.databases.is_none()
    }

    /// Whether this key may be used for what is `needed`.
    #[inline]
    pub(crate) fn allows_key(&self, needed: Permissions, key: &[u8]) -> bool {
        let text = KeyText::new(key);
        self.all_keys || self.keys.iter().any(|p| p.allows(needed, text))
    }

    /// Whether every key may be used for what `needed` says.
    pub(crate) fn has_unrestricted_key_access(&self, needed: Permissions) -> bool {
        let whole = |p: &KeyPattern| p.permissions.contains(needed) && *p.pattern == *b"*";
        self.all_keys || self.keys.iter().any(whole)
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub name: Box<[u8]>,
    /// One may authenticate as this user.
    pub enabled: bool,
    /// Every password is right.
    pub nopass: bool,
    /// What it gives to RESTORE is trusted.
    pub skip_sanitize_payload: bool,
    pub passwords: Vec<PasswordHash>,
    pub root: Selector,
    /// Further selectors: what one of all allows is allowed.
    pub selectors: Vec<Selector>,
}

impl User {
    /// One that nobody can be and that may do nothing (ACLCreateUser).
    pub(crate) fn new(name: &[u8], all_channels: bool) -> User {
        User {
            name: name.into(),
            enabled: false,
            nopass: false,
            skip_sanitize_payload: false,
            passwords: Vec::new(),
            root: Selector::new(all_channels),
            selectors: Vec::new(),
        }
    }

    /// The default user of a server that was told of none: everybody, and everything (ACLCreateDefaultUser).
    pub(crate) fn unrestricted_default() -> User {
        let root = Selector {
            commands: CommandSet::ALL,
            begins_with_all: true,
            all_keys: true,
            ..Selector::new(true)
        };
        User {
            enabled: true,
            nopass: true,
            root,
            ..User::new(DEFAULT_USER, true)
        }
    }

    /// All selectors, the root first.
    pub(crate) fn all_selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// Whether it may do everything.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.all_selectors().any(Selector::is_unrestricted)
    }

    /// Whether the password, by its hash, is one of its own. Takes the same time whichever it is, and however much of it is
    /// right (time_independent_strcmp).
    pub(crate) fn has_password(&self, given: &PasswordHash) -> bool {
        let mut found = false;
        for own in &self.passwords {
            let diff = own.iter().zip(given).fold(0, |diff, (a, b)| diff | (a ^ b));
            found |= std::hint::black_box(diff) == 0;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::glob::string_match_len;
    use proptest::prelude::*;

    #[test]
    fn passwords_are_compared_whole() {
        let mut user = User::new(b"u", false);
        assert!(!user.has_password(&[0; 32]));
        user.passwords = vec![[7; 32], [9; 32]];
        assert!(user.has_password(&[7; 32]) && user.has_password(&[9; 32]));
        for i in 0..32 {
            let mut other = [7; 32];
            other[i] ^= 0x80;
            assert!(!user.has_password(&other));
        }
    }

    #[test]
    fn command_sets_tell_all_commands_apart() {
        let mut set = CommandSet::NONE;
        for id in [0, 63, 64, 1023] {
            set.put(CommandId(id), true);
            assert!(set.has(CommandId(id)));
            set.put(CommandId(id), false);
        }
        assert_eq!(set, CommandSet::NONE);
        // What no set can hold is not allowed by it.
        set.put(CommandId(1024), true);
        assert!(!set.has(CommandId(1024)) && !CommandSet::ALL.has(CommandId(1024)));
    }

    proptest! {
        /// The short ways for patterns without, and with one star at the end mean what the long one does.
        #[test]
        fn shapes_match_as_globs_do(pattern in "a{0,9}[ab*?\\[\\]\\\\]{0,5}", key in "a{0,9}[ab*\\\\]{0,5}") {
            let (pattern, key) = (pattern.as_bytes(), key.as_bytes());
            let own = KeyPattern::new(pattern, Permissions::all());
            let text = KeyText::new(key);
            prop_assert_eq!(own.allows(Permissions::READ, text), string_match_len(pattern, key, false));
        }
    }
}
