//! From a user back to rules: what ACL LIST and GETUSER show, and what files are given (ACLDescribeUser).
//!
//! Invariant: the rules, applied to a new user, make the same user again.

use crate::acl::user::{KeyPattern, PasswordHash, Permissions, Selector, User};
use crate::base::split_args::sdscatrepr;

/// Appends a word, parted from what is there.
fn push_word(text: &mut Vec<u8>, parts: &[&[u8]]) {
    if !text.is_empty() {
        text.push(b' ');
    }
    for part in parts {
        text.extend_from_slice(part);
    }
}

/// Whether the words within a selector's parentheses have to be quoted for this one: it would open a quote, or end the
/// selector.
fn needs_quotes(word: &[u8]) -> bool {
    word.last() == Some(&b')') || word.iter().any(|b| matches!(b, b'"' | b'\''))
}

/// The words, each quoted where it must be.
fn quoted(words: &[u8], needed: fn(&[u8]) -> bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(words.len());
    for (i, word) in words.split(|b| *b == b' ').enumerate() {
        if i > 0 {
            text.push(b' ');
        }
        if needed(word) {
            sdscatrepr(&mut text, word);
        } else {
            text.extend_from_slice(word);
        }
    }
    text
}

/// The hash in its written form.
pub(super) fn hex(hash: &PasswordHash) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

impl KeyPattern {
    fn sigil(&self) -> &'static [u8] {
        match (
            self.permissions.contains(Permissions::READ),
            self.permissions.contains(Permissions::WRITE),
        ) {
            (true, false) => b"%R~",
            (false, true) => b"%W~",
            _ => b"~",
        }
    }
}

impl Selector {
    /// ACLDescribeSelectorCommandRules.
    pub(super) fn describe_commands(&self) -> Vec<u8> {
        let mut text = Vec::new();
        push_word(
            &mut text,
            &[if self.begins_with_all {
                b"+@all"
            } else {
                b"-@all"
            }],
        );
        for rule in &self.command_rules {
            let sign: &[u8] = if rule.allow { b"+" } else { b"-" };
            push_word(&mut text, &[sign, &rule.subject]);
        }
        text
    }

    pub(super) fn describe_keys(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        let mut text = Vec::new();
        for key in &self.keys {
            push_word(&mut text, &[key.sigil(), key.text()]);
        }
        text
    }

    pub(super) fn describe_channels(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        let mut text = Vec::new();
        for channel in &self.channels {
            push_word(&mut text, &[b"&", channel]);
        }
        text
    }

    /// None: every database, of which nothing is said, as who reads it may not know of databases.
    pub(super) fn describe_databases(&self) -> Option<Vec<u8>> {
        let databases = self.databases.as_ref()?;
        if databases.is_empty() {
            return Some(b"resetdbs".to_vec());
        }
        let numbers: Vec<String> = databases.iter().map(usize::to_string).collect();
        Some(format!("db={}", numbers.join(",")).into_bytes())
    }

    /// ACLDescribeSelector.
    fn describe(&self) -> Vec<u8> {
        let mut text = self.describe_keys();
        if !self.all_channels {
            push_word(&mut text, &[b"resetchannels"]);
        }
        for more in [
            Some(self.describe_channels()),
            self.describe_databases(),
            Some(self.describe_commands()),
        ]
        .into_iter()
        .flatten()
        .filter(|more| !more.is_empty())
        {
            push_word(&mut text, &[&more]);
        }
        text
    }
}

impl User {
    /// The words for its flags, in upstream's order.
    pub(super) fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        let payload = match self.skip_sanitize_payload {
            true => "skip-sanitize-payload",
            false => "sanitize-payload",
        };
        let on = if self.enabled { "on" } else { "off" };
        [Some(on), self.nopass.then_some("nopass"), Some(payload)]
            .into_iter()
            .flatten()
    }

    /// All of it, as rules (ACLDescribeUser).
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for flag in self.flag_names() {
            push_word(&mut text, &[flag.as_bytes()]);
        }
        for hash in &self.passwords {
            push_word(&mut text, &[b"#", hex(hash).as_bytes()]);
        }
        push_word(&mut text, &[&self.root.describe()]);
        for selector in &self.selectors {
            let rules = quoted(&selector.describe(), needs_quotes);
            push_word(&mut text, &[b"(", &rules, b")"]);
        }
        text
    }

    /// The line `user`, as ACL LIST and the ACL file have it.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = b"user".to_vec();
        push_word(&mut line, &[&self.name]);
        push_word(&mut line, &[&self.describe()]);
        line
    }

    /// The line for a configuration file, in which quotes mean something.
    pub(crate) fn config_line(&self) -> Vec<u8> {
        let needed =
            |word: &[u8]| word.is_empty() || word.iter().any(|b| matches!(b, b'"' | b'\'' | b'\\'));
        quoted(&self.line(), needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{acl_round_trip, acl_user};
    use proptest::prelude::*;

    #[test]
    fn the_order_is_upstreams() {
        let of = |rules: &str| {
            let user = acl_user(rules.split(' ').map(|w| w.as_bytes().to_vec()));
            String::from_utf8(user.line()).expect("text")
        };
        assert_eq!(of("off"), "user u off sanitize-payload resetchannels -@all");
        assert_eq!(
            of("+@all -@hash -@slow +hget &a ~x %R~y on nopass skip-sanitize-payload db=2,1"),
            "user u on nopass skip-sanitize-payload ~x %R~y resetchannels &a db=1,2 +@all -@hash -@slow +hget"
        );
        assert_eq!(
            of(">foo allkeys allchannels (+get ~\"x resetdbs)"),
            "user u off sanitize-payload #2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae ~* &* -@all"
        );
        assert_eq!(
            of("(+get \"~x)\" resetdbs) (allkeys)"),
            "user u off sanitize-payload resetchannels -@all (\"~x)\" resetchannels resetdbs -@all +get) \
             (~* resetchannels -@all)"
        );
        assert_eq!(
            of("+client|list +client|list +config|get +config +acl|list -acl"),
            "user u off sanitize-payload resetchannels -@all +client|list +config -acl"
        );
    }

    fn rule() -> impl Strategy<Value = Vec<u8>> {
        let odd = "[a-c\"'()\\\\*~&,]{0,4}";
        prop_oneof![
            prop::sample::select(vec![
                "on",
                "off",
                "nopass",
                "resetpass",
                "skip-sanitize-payload",
                "allkeys",
                "resetkeys",
                "allchannels",
                "+@all",
                "-@all",
                "+@read",
                "-@string",
                "+get",
                "-get",
                "+config",
                "-config|set",
                "+config|get",
                "db=1,3",
                "resetdbs",
                "alldbs",
                "clearselectors",
                "+client|id",
                "-@fast",
            ])
            .prop_map(|w| w.as_bytes().to_vec()),
            (
                prop::sample::select(vec!["~", "%R~", "%W~", "&", ">", "+select|", "+get|"]),
                odd
            )
                .prop_map(|(sigil, rest)| format!("{sigil}{rest}").into_bytes()),
        ]
    }

    proptest! {
        /// What is written down makes the same user again, through the ACL file, through a configuration file, and in itself.
        #[test]
        fn rules_round_trip(
            root in prop::collection::vec(rule(), 0..8),
            inner in prop::collection::vec(prop::collection::vec(rule(), 0..5), 0..3),
        ) {
            let selectors = inner.iter().map(|rules| {
                let mut text = b"(".to_vec();
                for (i, rule) in rules.iter().enumerate() {
                    if i > 0 {
                        text.push(b' ');
                    }
                    sdscatrepr(&mut text, rule);
                }
                text.push(b')');
                text
            });
            acl_round_trip(root.iter().cloned().chain(selectors));
        }
    }
}
