//! The users that there are, and how often something was denied.
//!
//! Invariants: there is always a user `default`; a user stands under its own name; nobody changes a user that stands here.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::acl::log::AclLog;
use crate::acl::user::{DEFAULT_USER, User};
use crate::server::execution::command::KeyRefs;

/// How often something was denied, by reason (aclInfo).
#[derive(Clone, Copy, Default)]
pub(crate) struct DeniedCounts {
    /// Failed AUTH and HELLO AUTH.
    pub auth: u64,
    pub cmd: u64,
    pub key: u64,
    pub channel: u64,
    pub db: u64,
    /// Certificates that name no user.
    pub tls_cert: u64,
}

/// All of it.
pub(crate) struct Acl {
    users: BTreeMap<Box<[u8]>, Rc<User>>,
    default: Rc<User>,
    pub log: AclLog,
    pub denied: DeniedCounts,
    /// Unix second of the last line for who audits, and how many there were in it.
    pub audits: (i64, u32),
    /// Room for the keys of a call.
    pub(super) keys: KeyRefs,
}

impl Default for Acl {
    fn default() -> Acl {
        let default = Rc::new(User::unrestricted_default());
        Acl {
            users: BTreeMap::from([(default.name.clone(), Rc::clone(&default))]),
            default,
            log: AclLog::default(),
            denied: DeniedCounts::default(),
            audits: (0, 0),
            keys: KeyRefs::default(),
        }
    }
}

impl Acl {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Rc<User>> {
        self.users.get(name)
    }

    /// All users, by the bytes of their names.
    pub(crate) fn users(&self) -> impl ExactSizeIterator<Item = &Rc<User>> {
        self.users.values()
    }

    pub(crate) fn default_user(&self) -> &Rc<User> {
        &self.default
    }

    /// Whether a connection need not authenticate.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.default.nopass && self.default.enabled
    }

    /// Puts the user in, in place of one of its name, which is given back.
    pub(super) fn put(&mut self, user: &Rc<User>) -> Option<Rc<User>> {
        if *user.name == *DEFAULT_USER {
            self.default = Rc::clone(user);
        }
        self.users.insert(user.name.clone(), Rc::clone(user))
    }

    /// Takes a user out, but not the default one.
    pub(super) fn remove(&mut self, name: &[u8]) -> Option<Rc<User>> {
        if *name == *DEFAULT_USER {
            return None;
        }
        self.users.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_user_stays() {
        let mut acl = Acl::default();
        assert!(acl.is_open() && acl.default_user().is_unrestricted());
        assert!(acl.remove(DEFAULT_USER).is_none());
        let closed = Rc::new(User::new(DEFAULT_USER, false));
        assert!(acl.put(&closed).is_some());
        assert!(!acl.is_open());
        assert!(
            acl.get(DEFAULT_USER)
                .is_some_and(|u| Rc::ptr_eq(u, &closed))
        );
        assert_eq!(acl.users().len(), 1);
    }
}
