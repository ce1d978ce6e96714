//! Users from the configuration and from the ACL file, and back.
//!
//! A file is taken whole or not at all: with one bad line nothing changes, and every bad line is named. It is written beside the
//! old one, synced and put in its place.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use crate::acl::rules::{RuleError, merge_selector_arguments, string_has_spaces};
use crate::acl::user::{DEFAULT_USER, User};
use crate::acl::users::SetUserError;
use crate::base::log::Level;
use crate::base::replace_file::{Step, replace_file};
use crate::base::sys;
use crate::config::value::{DeferredLine, rule_without_secret};
use crate::server::Server;
use crate::server_log;

/// Most bytes of an ACL file: a device or pipe without an end is a fault, not a way to fill the memory.
const MAX_FILE_LEN: u64 = 64 << 20;

/// Why the server's users cannot be set up.
pub(crate) enum StartError {
    /// A line of the configuration cannot be.
    Line(DeferredLine, String),
    /// The log has been told.
    Logged,
}

/// The file's path as texts show it.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The file's text, up to a NUL, as C reads it.
fn read(path: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    let file = fs::File::open(sys::path_of(path))?;
    let read = file.take(MAX_FILE_LEN + 1).read_to_end(&mut text)?;
    if read as u64 > MAX_FILE_LEN {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

impl Server {
    // Start ------------------------------------------------------------------------------------------------------------

    /// Sets up the users of a server that starts: requirepass, then the configuration's `user` lines or the ACL file
    /// (ACLLoadUsersAtStartup).
    ///
    /// # Errors
    /// The server must not start.
    pub(crate) fn acl_load_users_at_startup(&mut self) -> Result<(), StartError> {
        self.acl_update_default_user_password();
        let lines = std::mem::take(&mut self.config.users);
        for (i, line) in lines.iter().enumerate() {
            self.check_user_line(line, &lines[..i])
                .map_err(|reason| StartError::Line(line.clone(), reason))?;
        }
        let path = self.config.aclfile.clone();
        if !path.is_empty() && !lines.is_empty() {
            server_log!(
                Level::Warning,
                "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. This \
                 setup is very likely to lead to configuration errors and security holes, please define either an ACL file or \
                 declare users directly in your redis.conf, but not both."
            );
            return Err(StartError::Logged);
        }
        for line in &lines {
            if self.load_configured_user(line).is_err() {
                server_log!(
                    Level::Warning,
                    "Critical error while loading ACLs. Exiting."
                );
                return Err(StartError::Logged);
            }
        }
        if !path.is_empty()
            && let Err(errors) = self.acl_load_from_file(&path)
        {
            server_log!(
                Level::Warning,
                "Aborting Redis startup because of ACL errors: {}",
                String::from_utf8_lossy(&errors)
            );
            return Err(StartError::Logged);
        }
        Ok(())
    }

    /// What is wrong with a `user` line in itself, and beside those before it (ACLAppendUserForLoading). A command that is not
    /// known is told of later.
    fn check_user_line(&self, line: &DeferredLine, before: &[DeferredLine]) -> Result<(), String> {
        let Some((name, rules)) = line.args.get(1).zip(line.args.get(2..)) else {
            return Err("wrong number of arguments".into());
        };
        let told = |word: &[u8], what: &str| {
            let word = String::from_utf8_lossy(word);
            Err(format!("Error in user declaration '{word}': {what}"))
        };
        if before.iter().any(|other| other.args.get(1) == Some(name)) {
            let text = "Duplicate user found. A user can only be defined once in config files";
            return told(name, text);
        }
        let user = self.acl_create_user(name);
        match self.user_with_rules(user, rules.iter().map(|rule| &rule[..])) {
            Ok(_) | Err(SetUserError::Rule(_, RuleError::UnknownCommand)) => Ok(()),
            Err(SetUserError::Rule(rule, error)) => {
                told(&rule_without_secret(&rule), &error.to_string())
            }
            Err(SetUserError::Unmatched(word)) => told(&word, "Unmatched parenthesis"),
        }
    }

    /// Makes the user of a line that was checked (ACLLoadConfiguredUsers).
    fn load_configured_user(&mut self, line: &DeferredLine) -> Result<(), ()> {
        let Some((name, rules)) = line.args.get(1).zip(line.args.get(2..)) else {
            return Err(());
        };
        if string_has_spaces(name) {
            server_log!(Level::Warning, "Spaces not allowed in ACL usernames");
            return Err(());
        }
        let user = self.acl_create_user(name);
        let user = match self.user_with_rules(user, rules.iter().map(|rule| &rule[..])) {
            Ok(user) => user,
            Err(SetUserError::Unmatched(_)) => return Err(()),
            Err(SetUserError::Rule(rule, error)) => {
                server_log!(
                    Level::Warning,
                    "Error loading ACL rule '{}' for the user named '{}': {}",
                    shown(&rule_without_secret(&rule)),
                    shown(name),
                    error
                );
                return Err(());
            }
        };
        if !user.enabled {
            server_log!(
                Level::Notice,
                "The user '{}' is disabled (there is no 'on' modifier in the user description). Make sure this is not a \
                 configuration error.",
                shown(name)
            );
        }
        self.acl_put_user(user);
        Ok(())
    }

    // The ACL file -----------------------------------------------------------------------------------------------------

    /// Puts the users of a file in the place of all there are; the clients of those that were there are closed, but the default
    /// user's (ACLLoadFromFile).
    ///
    /// # Errors
    /// What is wrong with the file; nothing has changed then.
    pub(super) fn acl_load_from_file(&mut self, path: &[u8]) -> Result<(), Vec<u8>> {
        let text = read(path).map_err(|e| {
            let reason = sys::strerror(&e);
            format!(
                "Error loading ACLs, opening file '{}': {reason}",
                shown(path)
            )
            .into_bytes()
        })?;
        let mut users = self.parse_acl_file(path, &text)?;
        let default = users
            .remove(DEFAULT_USER)
            .unwrap_or_else(User::unrestricted_default);
        let old = Rc::clone(self.acl.default_user());
        self.acl_kill_pubsub_clients_if_needed(&default, &old);
        self.acl_put_user(default);
        let others: Vec<Box<[u8]>> = self.acl.users().map(|u| u.name.clone()).collect();
        for name in others {
            self.acl_delete_user(&name);
        }
        for user in users.into_values() {
            self.acl_put_user(user);
        }
        Ok(())
    }

    /// The users of a file's text; a line each, `user`, a name, and rules that are parted by single blanks.
    fn parse_acl_file(
        &self,
        path: &[u8],
        text: &[u8],
    ) -> Result<BTreeMap<Box<[u8]>, User>, Vec<u8>> {
        let mut users = BTreeMap::new();
        let mut errors: Vec<u8> = Vec::new();
        for (i, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            match self.parse_acl_line(line, &users) {
                Ok(user) => {
                    users.insert(user.name.clone(), user);
                }
                Err(told) => {
                    let place = [path, format!(":{}", i + 1).as_bytes()].concat();
                    for fault in told {
                        fault.tell(&mut errors, &place, i + 1);
                    }
                }
            }
        }
        if errors.is_empty() {
            return Ok(users);
        }
        errors.extend_from_slice(
            b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
        );
        Err(errors)
    }

    fn parse_acl_line(
        &self,
        line: &[u8],
        before: &BTreeMap<Box<[u8]>, User>,
    ) -> Result<User, Vec<LineFault>> {
        let mut words = line.split(|b| *b == b' ');
        let (Some(b"user"), Some(name)) = (words.next(), words.next()) else {
            return Err(vec![LineFault::NoUser]);
        };
        if string_has_spaces(name) {
            return Err(vec![LineFault::BadName(name.to_vec())]);
        }
        if before.contains_key(name) {
            return Err(vec![LineFault::Duplicate(name.to_vec())]);
        }
        let rules = words.map(<[u8]>::trim_ascii);
        let rules = merge_selector_arguments(rules).map_err(|_| vec![LineFault::Unmatched])?;
        let context = self.rule_context();
        let mut user = self.acl_create_user(name);
        let mut faults = Vec::new();
        let mut syntax_error = false;
        for rule in rules {
            match user.set(&rule, &context) {
                Ok(()) => {}
                // Of other faults only the first one is told: those behind it may come of it.
                Err(RuleError::UnknownCommand) => faults.push(LineFault::UnknownCommand(rule)),
                Err(error) => {
                    if !std::mem::replace(&mut syntax_error, true) {
                        faults.push(LineFault::Rule(error));
                    }
                }
            }
        }
        match faults.is_empty() {
            true => Ok(user),
            false => Err(faults),
        }
    }

    /// Writes all users to a file (ACLSaveToFile). False: it is as it was, and the log says why.
    pub(super) fn acl_save_to_file(&self, path: &[u8]) -> bool {
        let mut text = Vec::new();
        for user in self.acl.users() {
            text.extend_from_slice(&user.line());
            text.push(b'\n');
        }
        let told = |step: Step, error: &std::io::Error| {
            let what = match step {
                Step::Create => "Opening temp ACL file",
                Step::Write => "Writing ACL file",
                Step::Permit => "Setting the permissions of the ACL file",
                Step::Sync => "Syncing ACL file",
                Step::Rename => "Renaming ACL file",
                Step::SyncFolder => "Syncing ACL directory",
            };
            server_log!(
                Level::Warning,
                "{} for ACL SAVE: {}",
                what,
                sys::strerror(error)
            );
        };
        let path = sys::path_of(path);
        // A link stays a link: what it points to is replaced.
        let target = fs::canonicalize(&path).unwrap_or(path);
        replace_file(Path::new(&target), &text, told).is_ok()
    }

    /// The `user` lines of the configuration file (rewriteConfigUserOption); none where there is an ACL file.
    pub(crate) fn acl_config_lines(&self) -> Vec<Vec<u8>> {
        if !self.config.aclfile.is_empty() {
            return Vec::new();
        }
        self.acl.users().map(|user| user.config_line()).collect()
    }
}

/// What is wrong with a line of the ACL file.
enum LineFault {
    NoUser,
    BadName(Vec<u8>),
    Duplicate(Vec<u8>),
    Unmatched,
    UnknownCommand(Vec<u8>),
    Rule(RuleError),
}

impl LineFault {
    /// Appends the text for a line at `place`, which is number `number`.
    fn tell(&self, errors: &mut Vec<u8>, place: &[u8], number: usize) {
        let unknown = RuleError::UnknownCommand.to_string();
        let parts: &[&[u8]] = match self {
            LineFault::NoUser => &[
                place,
                b" should start with user keyword followed by the username. ",
            ],
            LineFault::BadName(name) => &[
                b"'",
                place,
                b": username '",
                name,
                b"' contains invalid characters. ",
            ],
            LineFault::Duplicate(name) => &[
                b"WARNING: Duplicate user '",
                name,
                b"' found on line ",
                &number.to_string().into_bytes(),
                b". ",
            ],
            LineFault::Unmatched => &[place, b": Unmatched parenthesis in selector definition. "],
            LineFault::UnknownCommand(rule) => &[
                place,
                b": Error in applying operation '",
                rule,
                b"': ",
                unknown.as_bytes(),
                b". ",
            ],
            LineFault::Rule(error) => &[place, b": ", &error.to_string().into_bytes(), b". "],
        };
        errors.extend(parts.concat());
    }
}
