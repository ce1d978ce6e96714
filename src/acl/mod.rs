//! Access control lists: users, the rules that make them, and who may do what (acl.c).
//!
//! A user is a value that nobody changes: whoever changes one makes another and puts it in its place, in the set and with all
//! clients that are it. A client names its user; one without a user may do everything (our master's link, a file that is
//! loaded). Whether a client's user is restricted at all is a flag of the client, so that who is not pays nothing.
//!
//! | file | owns |
//! |---|---|
//! | `user` | what a user is: passwords, and selectors with commands, keys, channels, databases |
//! | `state` | the set of users, and how often something was denied |
//! | `log` | the security log, its grouping |
//! | `rules` | from the text of a rule to a changed user |
//! | `describe` | the way back, from a user to rules |
//! | `check` | whether a call is allowed, and what is said if not |
//! | `users` | users and clients: authentication, changed and deleted users |
//! | `file` | `user` lines, the ACL file |
//! | `commands` | the command ACL |
//!
//! A client that has shown a certificate would be given its user where `users` gives one to a new connection.

pub(crate) mod check;
pub(crate) mod commands;
pub(crate) mod describe;
pub(crate) mod file;
pub(crate) mod log;
pub(crate) mod rules;
pub(crate) mod state;
pub(crate) mod user;
mod users;
