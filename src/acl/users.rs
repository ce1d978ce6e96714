//! Users and clients: who a client is, authentication, and what becomes of the clients of a user that is changed or deleted.
//!
//! Invariant: a client's user is one of the set, or none; its flag RESTRICTED says whether that user may not do everything. So
//! whatever changes the set goes through all clients.

use std::rc::Rc;

use crate::acl::log::Reason;
use crate::acl::rules::{RuleContext, RuleError, hash_password, merge_selector_arguments};
use crate::acl::user::{DEFAULT_USER, User};
use crate::base::log::{self, Level};
use crate::config::value::AclPubsubDefault;
use crate::server::Server;
use crate::server::clients::client::{Client, ClientType};
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::clients::subscriptions::Kind;
use crate::server_log;

/// Why a user cannot be made of these rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SetUserError {
    /// A selector that this word opens is not closed.
    Unmatched(Vec<u8>),
    Rule(Vec<u8>, RuleError),
}

/// What a user's subscribers must still be allowed, of all its selectors together.
fn allows_channel(user: &User, channel: &[u8], is_pattern: bool) -> bool {
    user.all_selectors()
        .any(|s| s.allows_channel(channel, is_pattern))
}

/// Whether everything that one may listen to the other may too, as far as that can be told from the patterns.
fn listens_no_less(new: &User, old: &User) -> bool {
    let all = |user: &User| user.all_selectors().any(|s| s.all_channels);
    let has = |channel: &[u8]| {
        let mut selectors = new.all_selectors();
        selectors.any(|s| s.channels.iter().any(|own| **own == *channel))
    };
    all(new)
        || !all(old)
            && old
                .all_selectors()
                .all(|s| s.channels.iter().all(|channel| has(channel)))
}

impl Client {
    /// Makes the client this user's, or nobody's, who may do everything.
    fn set_user(&mut self, user: Option<Rc<User>>) {
        let restricted = user.as_ref().is_some_and(|u| !u.is_unrestricted());
        self.flags.set(ClientFlags::RESTRICTED, restricted);
        self.user = user;
    }

    pub(crate) fn is_user(&self, user: &Rc<User>) -> bool {
        self.user.as_ref().is_some_and(|own| Rc::ptr_eq(own, user))
    }
}

impl Server {
    pub(super) fn rule_context(&self) -> RuleContext<'_> {
        RuleContext {
            commands: &self.commands,
            all_channels: self.config.acl_pubsub_default == AclPubsubDefault::AllChannels,
            databases: self.dbs.len(),
        }
    }

    /// A new user that allows what acl-pubsub-default says.
    pub(super) fn acl_create_user(&self, name: &[u8]) -> User {
        User::new(name, self.rule_context().all_channels)
    }

    // Who a client is --------------------------------------------------------------------------------------------------

    /// Gives a client the rights of a new connection (clientSetDefaultAuth).
    pub(crate) fn client_set_default_auth(&mut self, cid: ClientId) {
        let (user, open) = (Rc::clone(self.acl.default_user()), self.acl.is_open());
        if let Some(c) = self.clients.get_mut(cid) {
            c.set_user(Some(user));
            c.authenticated = open;
        }
    }

    /// The client is who `other` is from here on: a script's commands are its caller's.
    pub(crate) fn acl_act_as(&mut self, cid: ClientId, other: ClientId) {
        let Some(other) = self.clients.get(other) else {
            return;
        };
        let (user, restricted) = (other.user.clone(), other.has(ClientFlags::RESTRICTED));
        if let Some(c) = self.clients.get_mut(cid) {
            c.user = user;
            c.flags.set(ClientFlags::RESTRICTED, restricted);
        }
    }

    /// Checks name and password; a client that passes is that user's from here on (ACLAuthenticateUser). False: nothing has
    /// changed, and the failure is logged under the command that it asked with.
    pub(crate) fn acl_authenticate_user(
        &mut self,
        cid: ClientId,
        name: &[u8],
        password: &[u8],
        command: &[u8],
    ) -> bool {
        let Some(user) = self.acl_check_user_credentials(name, password) else {
            self.add_acl_log_entry(cid, Reason::Auth, name, command);
            return false;
        };
        if let Some(c) = self.clients.get_mut(cid) {
            c.set_user(Some(user));
            c.authenticated = true;
        }
        self.refresh_shortcuts(cid);
        true
    }

    /// A client whose certificate has these names is the first user among them; where there is none, or it is not enabled, that is
    /// logged, and the client is who it would be without a certificate.
    pub(crate) fn acl_authenticate_by_certificate(&mut self, cid: ClientId, names: &[Vec<u8>]) {
        let Some(first) = names.first() else {
            return;
        };
        let user = names.iter().find_map(|n| self.acl.get(n));
        let Some(user) = user.filter(|u| u.enabled).cloned() else {
            return self.add_acl_log_entry(cid, Reason::TlsCert, first, b"");
        };
        let name = log::user_data(&user.name).into_owned();
        if let Some(c) = self.clients.get_mut(cid) {
            c.set_user(Some(user));
            c.authenticated = true;
        }
        server_log!(Level::Verbose, "TLS: Auto-authenticated client as {}", name);
    }

    /// The user of this name, if it is enabled and the password is one of its own (ACLCheckUserCredentials).
    pub(crate) fn acl_check_user_credentials(
        &self,
        name: &[u8],
        password: &[u8],
    ) -> Option<Rc<User>> {
        // First of all: that there is such a user shall not be told by the time it takes.
        let hash = hash_password(password);
        let user = self.acl.get(name)?;
        let right = user.nopass || user.has_password(&hash);
        (user.enabled && right).then(|| Rc::clone(user))
    }

    // Changed users ----------------------------------------------------------------------------------------------------

    /// Makes or changes a user by rules, all of them or none (ACLStringSetUser).
    pub(super) fn acl_string_set_user<'a>(
        &mut self,
        name: &[u8],
        rules: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), SetUserError> {
        let old = self.acl.get(name).cloned();
        let user = match &old {
            Some(old) => User::clone(old),
            None => self.acl_create_user(name),
        };
        let user = self.user_with_rules(user, rules)?;
        if let Some(old) = &old {
            self.acl_kill_pubsub_clients_if_needed(&user, old);
        }
        self.acl_put_user(user);
        Ok(())
    }

    /// The user with these rules besides its own.
    pub(super) fn user_with_rules<'a>(
        &self,
        mut user: User,
        rules: impl Iterator<Item = &'a [u8]>,
    ) -> Result<User, SetUserError> {
        let merged = merge_selector_arguments(rules)
            .map_err(|open| SetUserError::Unmatched(open.to_vec()))?;
        let context = self.rule_context();
        for rule in merged {
            if let Err(error) = user.set(&rule, &context) {
                return Err(SetUserError::Rule(rule, error));
            }
        }
        Ok(user)
    }

    /// Puts a user into the set, and in the place of its old self with all its clients.
    pub(super) fn acl_put_user(&mut self, user: User) {
        let user = Rc::new(user);
        let Some(old) = self.acl.put(&user) else {
            return;
        };
        for c in self.clients.iter_mut().filter(|c| c.is_user(&old)) {
            c.set_user(Some(Rc::clone(&user)));
        }
    }

    /// requirepass has changed: it is the default user's one password, or it has none (ACLUpdateDefaultUserPassword).
    pub(crate) fn acl_update_default_user_password(&mut self) {
        let mut user = User::clone(self.acl.default_user());
        user.passwords.clear();
        user.nopass = self.config.requirepass.is_none();
        user.passwords
            .extend(self.config.requirepass.as_deref().map(hash_password));
        self.acl_put_user(user);
    }

    /// Deletes a user; its clients are closed, the one that asks once it has its reply (ACLFreeUserAndKillClients). False: there
    /// is no such user.
    pub(super) fn acl_delete_user(&mut self, name: &[u8]) -> bool {
        let Some(old) = self.acl.remove(name) else {
            return false;
        };
        let default = Rc::clone(self.acl.default_user());
        let mut gone = Vec::new();
        for c in self.clients.iter_mut().filter(|c| c.is_user(&old)) {
            // It is on its way out; until then it shall not be more than anybody.
            c.set_user(Some(Rc::clone(&default)));
            if !c.has(ClientFlags::SCRIPT) {
                c.authenticated = false;
                gone.push(c.cid);
            }
        }
        for cid in gone {
            if self.exec.call.client != Some(cid) {
                self.free_client_async(cid);
            }
        }
        true
    }

    /// The client has lost its user by its own command: it is closed behind the reply. To be called when that is written.
    pub(super) fn close_if_user_is_gone(&mut self, cid: ClientId, before: Option<Rc<User>>) {
        let was = |user: Option<&Rc<User>>| user.is_some_and(|u| *u.name == *DEFAULT_USER);
        let is = self.clients.get(cid).and_then(|c| c.user.as_ref());
        if before.is_some() && !was(before.as_ref()) && was(is) {
            self.close_after_reply(cid);
        }
    }

    /// Closes those of the old user's clients that listen to what the new one may not (ACLKillPubsubClientsIfNeeded).
    pub(super) fn acl_kill_pubsub_clients_if_needed(&mut self, new: &User, old: &Rc<User>) {
        if listens_no_less(new, old) {
            return;
        }
        let forbidden = |c: &&Client| {
            let listens = |kind, is_pattern| {
                let names = c.pubsub.as_deref().into_iter().flat_map(|p| p.names(kind));
                names
                    .into_iter()
                    .any(|name| !allows_channel(new, name, is_pattern))
            };
            c.is_user(old)
                && c.client_type() == ClientType::Pubsub
                && (listens(Kind::Pattern, true)
                    || listens(Kind::Channel, false)
                    || listens(Kind::Shard, false))
        };
        let gone: Vec<ClientId> = self
            .clients
            .iter()
            .filter(forbidden)
            .map(|c| c.cid)
            .collect();
        for cid in gone {
            self.free_client_async(cid);
        }
    }
}
