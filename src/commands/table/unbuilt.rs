//! Commands of 7.2 that are not built, and what each of them is about. They have no rows: COMMAND lists what works. Whoever
//! calls one is told so instead of that it is unknown, and `rename-command` takes their names. What of their families can be
//! answered all the same has rows, with procedures in `commands::unbuilt`.

use crate::config::value::{ACL, MODULES};
use crate::server::execution::command::Unbuilt;

const fn unbuilt(name: &'static str, feature: &'static str) -> Unbuilt {
    Unbuilt { name, feature }
}

/// All of them, for `CommandTable::with_unbuilt`.
pub(crate) static UNBUILT: &[Unbuilt] = &[
    unbuilt("acl|cat", ACL),
    unbuilt("acl|deluser", ACL),
    unbuilt("acl|dryrun", ACL),
    unbuilt("acl|genpass", ACL),
    unbuilt("acl|getuser", ACL),
    unbuilt("acl|list", ACL),
    unbuilt("acl|load", ACL),
    unbuilt("acl|log", ACL),
    unbuilt("acl|save", ACL),
    unbuilt("acl|setuser", ACL),
    unbuilt("module|load", MODULES),
    unbuilt("module|loadex", MODULES),
    unbuilt("module|unload", MODULES),
];
