//! From the text of a rule to a changed user (ACLSetUser, ACLSetSelector).
//!
//! Words of rules are in any case but for what they name: passwords, keys, channels. Where a rule cannot be, the user or
//! selector is left as it was.
//!
//! Must not know: who gives the rules, and whose they are.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::acl::user::{
    CommandRule, CommandSet, KeyPattern, PasswordHash, Permissions, Selector, User,
};
use crate::base::log::Level;
use crate::base::num::string2ll;
use crate::base::split_args::sdssplitargs;
use crate::base::strtod::is_space;
use crate::server::execution::command::{AclCategories, CommandId, CommandTable};
use crate::server_log;

/// What a rule means depends on these.
pub(crate) struct RuleContext<'a> {
    pub commands: &'a CommandTable,
    /// New selectors allow every channel (acl-pubsub-default).
    pub all_channels: bool,
    /// How many databases there are.
    pub databases: usize,
}

/// Why a rule cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleError {
    /// No such command or category. A file may have several; it is told of each.
    UnknownCommand,
    Syntax,
    KeyBesideAllKeys,
    ChannelBesideAllChannels,
    NoSuchPassword,
    BadPasswordHash,
    FirstArgOfSubcommand,
    DatabaseOutOfRange,
}

impl fmt::Display for RuleError {
    /// ACLSetUserStringError.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RuleError::UnknownCommand => "Unknown command or category name in ACL",
            RuleError::Syntax => "Syntax error",
            RuleError::KeyBesideAllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try \
                 'resetkeys' to start with an empty list of patterns"
            }
            RuleError::ChannelBesideAllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. \
                 Try 'resetchannels' to start with an empty list of channels"
            }
            RuleError::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            RuleError::BadPasswordHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            RuleError::FirstArgOfSubcommand => {
                "Allowing first-arg of a subcommand is not supported"
            }
            RuleError::DatabaseOutOfRange => "The provided database ID is out of range",
        })
    }
}

impl std::error::Error for RuleError {}

/// Whether a name or pattern would not survive being written down (ACLStringHasSpaces).
pub(super) fn string_has_spaces(s: &[u8]) -> bool {
    s.iter().any(|b| is_space(*b) || *b == 0)
}

/// ACLHashPassword.
pub(super) fn hash_password(password: &[u8]) -> PasswordHash {
    Sha256::digest(password).into()
}

/// The hash in its written form: 64 lower case hexadecimal digits.
fn parse_hash(text: &[u8]) -> Result<PasswordHash, RuleError> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut hash = [0; 32];
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != hash.len() || !rest.is_empty() {
        return Err(RuleError::BadPasswordHash);
    }
    for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
        let (high, low) = digit(*high)
            .zip(digit(*low))
            .ok_or(RuleError::BadPasswordHash)?;
        *byte = high << 4 | low;
    }
    Ok(hash)
}

/// Puts selectors together that were given as several words: `(+get`, `~x)` (ACLMergeSelectorArguments).
///
/// # Errors
/// The word that opens a selector which is not closed.
pub(crate) fn merge_selector_arguments<'a>(
    words: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Vec<u8>>, &'a [u8]> {
    let mut merged: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for word in words {
        let closes = word.last() == Some(&b')');
        match open.take() {
            Some((first, mut selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(word);
                if closes {
                    merged.push(selector);
                } else {
                    open = Some((first, selector));
                }
            }
            None if word.first() == Some(&b'(') && !closes => open = Some((word, word.to_vec())),
            None => merged.push(word.to_vec()),
        }
    }
    match open {
        Some((first, _)) => Err(first),
        None => Ok(merged),
    }
}

impl User {
    /// Applies a rule (ACLSetUser).
    ///
    /// # Errors
    /// The user is as it was.
    pub(crate) fn set(&mut self, rule: &[u8], context: &RuleContext) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"" => return Ok(()),
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"skip-sanitize-payload" => self.skip_sanitize_payload = true,
            b"sanitize-payload" => self.skip_sanitize_payload = false,
            b"nopass" => {
                self.nopass = true;
                self.passwords.clear();
            }
            b"resetpass" => {
                self.nopass = false;
                self.passwords.clear();
            }
            b"clearselectors" => self.selectors.clear(),
            b"reset" => {
                let name = std::mem::take(&mut self.name);
                *self = User::new(&name, context.all_channels);
            }
            _ => return self.set_parametric(rule, context),
        }
        Ok(())
    }

    /// A rule that is more than a word.
    fn set_parametric(&mut self, rule: &[u8], context: &RuleContext) -> Result<(), RuleError> {
        match rule {
            [b'>', password @ ..] => self.add_password(hash_password(password)),
            [b'#', hash @ ..] => self.add_password(parse_hash(hash)?),
            [b'<', password @ ..] => self.remove_password(&hash_password(password))?,
            [b'!', hash @ ..] => self.remove_password(&parse_hash(hash)?)?,
            [b'(', rules @ .., b')'] => {
                let mut selector = Selector::new(context.all_channels);
                for rule in sdssplitargs(rules).ok_or(RuleError::Syntax)? {
                    selector.set(&rule, context)?;
                }
                self.selectors.push(selector);
            }
            _ => self.root.set(rule, context)?,
        }
        Ok(())
    }

    fn add_password(&mut self, hash: PasswordHash) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.nopass = false;
    }

    fn remove_password(&mut self, hash: &PasswordHash) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|own| own == hash);
        self.passwords.remove(at.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }
}

impl Selector {
    /// Applies a rule (ACLSetSelector).
    ///
    /// # Errors
    /// The selector is as it was.
    pub(super) fn set(&mut self, rule: &[u8], context: &RuleContext) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => {
                self.all_keys = true;
                self.keys.clear();
            }
            b"resetkeys" => {
                self.all_keys = false;
                self.keys.clear();
            }
            b"allchannels" | b"&*" => {
                self.all_channels = true;
                self.channels.clear();
            }
            b"resetchannels" => {
                self.all_channels = false;
                self.channels.clear();
            }
            b"alldbs" => self.databases = None,
            b"resetdbs" => self.databases = Some(Default::default()),
            b"allcommands" | b"+@all" => self.set_all_commands(true),
            b"nocommands" | b"-@all" => self.set_all_commands(false),
            _ => return self.set_parametric(rule, context),
        }
        Ok(())
    }

    /// A rule that is more than a word.
    fn set_parametric(&mut self, rule: &[u8], context: &RuleContext) -> Result<(), RuleError> {
        match rule {
            [b'~', pattern @ ..] => self.add_key_pattern(pattern, Permissions::all()),
            [b'%', ..] if self.all_keys => Err(RuleError::KeyBesideAllKeys),
            [b'%', rest @ ..] => {
                let (permissions, pattern) = parse_permissions(rest)?;
                self.add_key_pattern(pattern, permissions)
            }
            [b'&', pattern @ ..] => self.add_channel(pattern),
            [sign @ (b'+' | b'-'), b'@', category @ ..] => {
                self.set_category(category, *sign == b'+', context)
            }
            [b'+', command @ ..] => self.allow_command(command, context),
            [b'-', command @ ..] => {
                let id = lookup_command(context, command)?;
                self.change_command(id, false, context);
                self.update_command_rules(context.commands.full_name(id).as_bytes(), false);
                Ok(())
            }
            [b'd' | b'D', b'b' | b'B', b'=', ids @ ..] => {
                self.databases = Some(parse_databases(ids, context.databases)?);
                Ok(())
            }
            _ => Err(RuleError::Syntax),
        }
    }

    // Keys and channels ------------------------------------------------------------------------------------------------

    fn add_key_pattern(
        &mut self,
        pattern: &[u8],
        permissions: Permissions,
    ) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::KeyBesideAllKeys);
        }
        if string_has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|known| known.text() == pattern) {
            Some(known) => known.permissions |= permissions,
            None => self.keys.push(KeyPattern::new(pattern, permissions)),
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::ChannelBesideAllChannels);
        }
        if string_has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| **known == *pattern) {
            self.channels.push(pattern.into());
        }
        Ok(())
    }

    // Commands ---------------------------------------------------------------------------------------------------------

    fn set_all_commands(&mut self, allow: bool) {
        self.begins_with_all = allow;
        self.commands = match allow {
            true => CommandSet::ALL,
            false => CommandSet::NONE,
        };
        self.command_rules.clear();
        self.first_args.clear();
    }

    fn set_category(
        &mut self,
        name: &[u8],
        allow: bool,
        context: &RuleContext,
    ) -> Result<(), RuleError> {
        let category = AclCategories::by_name(name).ok_or(RuleError::UnknownCommand)?;
        let table = context.commands;
        for id in table.ids() {
            if table.command(id).categories().intersects(category) {
                self.change_command(id, allow, context);
            }
        }
        self.update_command_rules(&[b"@", name].concat(), allow);
        Ok(())
    }

    /// `command`, `command|subcommand`, or `command|first-argument`.
    fn allow_command(&mut self, text: &[u8], context: &RuleContext) -> Result<(), RuleError> {
        let table = context.commands;
        let Some(bar) = memchr::memrchr(b'|', text) else {
            let id = lookup_command(context, text)?;
            self.change_command(id, true, context);
            self.update_command_rules(table.full_name(id).as_bytes(), true);
            return Ok(());
        };
        let (command, argument) = (&text[..bar], &text[bar + 1..]);
        let id = lookup_command(context, command)?;
        if table.parent(id).is_some() {
            return Err(RuleError::FirstArgOfSubcommand);
        }
        // Blanks could not be written down.
        if argument.is_empty() || string_has_spaces(argument) {
            return Err(RuleError::Syntax);
        }
        if table.row(id).has_subcommands() {
            let id = lookup_command(context, text)?;
            self.change_command(id, true, context);
        } else {
            server_log!(
                Level::Warning,
                "Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse of ACL and may get \
                 disabled in the future (offender: +{})",
                String::from_utf8_lossy(text)
            );
            let argument = argument.to_ascii_lowercase().into_boxed_slice();
            self.first_args.entry(id).or_default().insert(argument);
        }
        self.update_command_rules(text, true);
        Ok(())
    }

    /// Allows or forbids a command with all its subcommands (ACLChangeSelectorPerm).
    fn change_command(&mut self, id: CommandId, allow: bool, context: &RuleContext) {
        self.first_args.remove(&id);
        let subcommands = context.commands.subcommands(id);
        for id in std::iter::once(id).chain(subcommands) {
            self.commands.put(id, allow);
        }
    }

    /// Notes a rule behind all others; those that it makes void go: the same one, and those about parts of its command
    /// (ACLUpdateCommandRules).
    fn update_command_rules(&mut self, subject: &[u8], allow: bool) {
        let subject = subject.to_ascii_lowercase().into_boxed_slice();
        self.command_rules.retain(|known| {
            let rest = known.subject.strip_prefix(&*subject);
            !matches!(rest, Some([] | [b'|', ..]))
        });
        self.command_rules.push(CommandRule { allow, subject });
    }
}

/// A command or `command|subcommand` by the name that it has without renames (ACLLookupCommand).
fn lookup_command(context: &RuleContext, name: &[u8]) -> Result<CommandId, RuleError> {
    let found = context.commands.lookup_original_by_full_name(name);
    found.ok_or(RuleError::UnknownCommand)
}

/// What stands behind the `%`: permissions, and the pattern. Without a `~` there is no pattern, which is the empty key's.
fn parse_permissions(text: &[u8]) -> Result<(Permissions, &[u8]), RuleError> {
    let mut permissions = Permissions::empty();
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let permission = match first {
            b'r' | b'R' => Permissions::READ,
            b'w' | b'W' => Permissions::WRITE,
            b'~' if !permissions.is_empty() => return Ok((permissions, behind)),
            _ => return Err(RuleError::Syntax),
        };
        if permissions.contains(permission) {
            return Err(RuleError::Syntax);
        }
        permissions |= permission;
        rest = behind;
    }
    match permissions.is_empty() {
        true => Err(RuleError::Syntax),
        false => Ok((permissions, rest)),
    }
}

/// Numbers of databases, of which there are `databases`.
fn parse_databases(
    text: &[u8],
    databases: usize,
) -> Result<std::collections::BTreeSet<usize>, RuleError> {
    let number = |word: &[u8]| {
        let digits = word.strip_prefix(b"-").unwrap_or(word);
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(RuleError::Syntax);
        }
        let number = string2ll(word).and_then(|n| usize::try_from(n).ok());
        number
            .filter(|n| *n < databases)
            .ok_or(RuleError::DatabaseOutOfRange)
    };
    text.split(|b| *b == b',').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::process::startup::command_table;

    fn apply(user: &mut User, rules: &str, commands: &CommandTable) -> Result<(), RuleError> {
        let context = RuleContext {
            commands,
            all_channels: false,
            databases: 16,
        };
        let words = rules.split(' ').map(str::as_bytes);
        let merged = merge_selector_arguments(words).expect("closed");
        merged.iter().try_for_each(|rule| user.set(rule, &context))
    }

    fn user(rules: &str) -> User {
        let mut user = User::new(b"u", false);
        apply(&mut user, rules, &command_table(false)).expect(rules);
        user
    }

    fn allows(user: &User, command: &str) -> bool {
        let id = command_table(false).lookup_command_by_full_name(command.as_bytes());
        user.root.commands.has(id.expect(command))
    }

    #[test]
    fn every_command_has_its_place_in_a_set() {
        assert!(command_table(false).ids().count() <= CommandSet::MOST);
    }

    #[test]
    fn commands_subcommands_and_categories() {
        let u = user("+@all -@dangerous +keys -client|kill +CONFIG|get");
        assert!(allows(&u, "get") && allows(&u, "keys") && allows(&u, "config|get"));
        assert!(!allows(&u, "flushall") && !allows(&u, "config|set"));
        assert!(!u.is_unrestricted() && u.root.begins_with_all);
        let u = user("+config -config|set");
        assert!(allows(&u, "config") && allows(&u, "config|get") && !allows(&u, "config|set"));
        let u = user("+@all -get +get");
        assert!(u.root.commands == CommandSet::ALL && allows(&u, "get"));
        assert!(user("+get +@all").root.commands == CommandSet::ALL);
        assert!(!user("+@all nocommands").root.begins_with_all);
        let u = user("+select|0 +select|1 +SELECT|0");
        assert_eq!(u.root.first_args.values().next().map(|a| a.len()), Some(2));
        assert!(!allows(&u, "select"));
        assert!(user("+select|0 -select").root.first_args.is_empty());
        assert!(user("+select|0 -@fast").root.first_args.is_empty());
    }

    #[test]
    fn keys_channels_and_databases() {
        let u = user("~a %R~b %w~c %rW~d %R~e %W~e %R &x &x &y db=3,1,1");
        let shown: Vec<(&[u8], u8)> = u
            .root
            .keys
            .iter()
            .map(|k| (k.text(), k.permissions.bits()))
            .collect();
        let wanted: [(&[u8], u8); 6] = [
            (b"a", 3),
            (b"b", 1),
            (b"c", 2),
            (b"d", 3),
            (b"e", 3),
            (b"", 1),
        ];
        assert_eq!(shown, wanted);
        assert_eq!(u.root.channels.len(), 2);
        assert!(u.root.databases.iter().flatten().eq([&1, &3]));
        assert!(user("~a allkeys").root.keys.is_empty());
        assert!(user("db=1 DB=2").root.databases.iter().flatten().eq([&2]));
        assert!(user("db=1 alldbs").root.databases.is_none());
        assert!(
            user("resetdbs")
                .root
                .databases
                .is_some_and(|d| d.is_empty())
        );
    }

    #[test]
    fn passwords() {
        let foo = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let u = user(&format!("nopass >foo #{foo} >bar"));
        assert!(!u.nopass && u.passwords.len() == 2);
        assert!(u.has_password(&hash_password(b"foo")) && !u.has_password(&hash_password(b"fo")));
        assert!(user(&format!(">foo !{foo}")).passwords.is_empty());
        assert!(user(">foo <foo").passwords.is_empty());
        assert!(user(">foo nopass").nopass);
        let u = user("on >foo +@all ~* &* db=1 skip-sanitize-payload (~x) reset");
        assert_eq!(u, User::new(b"u", false));
    }

    #[test]
    fn selectors_in_one_word_and_in_several() {
        let u = user("(~a +get) ( %R~b -@all ) ()");
        assert_eq!(u.selectors.len(), 3);
        assert_eq!(u.selectors[1].keys[0].text(), b"b");
        let mut words = ["x", "(a", "b"].iter().map(|w| w.as_bytes());
        assert_eq!(merge_selector_arguments(&mut words), Err(&b"(a"[..]));
    }

    #[test]
    fn what_cannot_be_changes_nothing() {
        use RuleError::*;
        let table = command_table(false);
        let before = user("on >foo ~* &* +get");
        for (rule, error) in [
            ("+nosuch", UnknownCommand),
            ("-nosuch", UnknownCommand),
            ("+", UnknownCommand),
            ("+@nosuch", UnknownCommand),
            ("+config|nosuch", UnknownCommand),
            ("-config|nosuch", UnknownCommand),
            ("-get|x", UnknownCommand),
            ("+get|x|y", UnknownCommand),
            ("+config|get|x", FirstArgOfSubcommand),
            ("+get|", Syntax),
            ("~x", KeyBesideAllKeys),
            ("%X~a", KeyBesideAllKeys),
            ("&x", ChannelBesideAllChannels),
            ("<bar", NoSuchPassword),
            ("#2c26", BadPasswordHash),
            (
                "#2C26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                BadPasswordHash,
            ),
            ("(on)", Syntax),
            (")", Syntax),
            ("db=", Syntax),
            ("db=1,", Syntax),
            ("db=,1", Syntax),
            ("db=1,,2", Syntax),
            ("db=x", Syntax),
            ("db=-1", DatabaseOutOfRange),
            ("db=16", DatabaseOutOfRange),
            ("db=99999999999999999999", DatabaseOutOfRange),
            ("nonsense", Syntax),
        ] {
            let mut user = before.clone();
            assert_eq!(apply(&mut user, rule, &table), Err(error), "{rule}");
            assert_eq!(user, before, "{rule}");
        }
        for rule in [
            &b"~a b"[..],
            b"&a\0",
            b"+select|a b",
            b"(~\"x)",
            b"(~c (+get)",
            b"(+get)x",
            b"%",
            b"%~",
            b"%X~a",
            b"%RR~a",
            b"%~R",
        ] {
            let mut user = User::new(b"u", false);
            let context = RuleContext {
                commands: &table,
                all_channels: false,
                databases: 1,
            };
            assert_eq!(user.set(rule, &context), Err(Syntax));
        }
    }
}
