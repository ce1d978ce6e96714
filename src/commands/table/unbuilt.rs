//! Commands of 7.2 that are not built, and what each of them is about. They have no rows: COMMAND lists what works. Whoever
//! calls one is told so instead of that it is unknown, and `rename-command` takes their names. What clients probe a server
//! with is answered by `commands::unbuilt`.

use crate::commands::unbuilt::answer_probe;
use crate::config::value::{ACL, CLUSTER, MODULES};
use crate::server::command::Unbuilt;

const FUNCTIONS: &str = "functions";
const SCRIPTS: &str = "Lua scripts";

const fn unbuilt(name: &'static str, feature: &'static str) -> Unbuilt {
    Unbuilt {
        name,
        container: false,
        feature,
        answer_probe,
    }
}

const fn container(name: &'static str, feature: &'static str) -> Unbuilt {
    Unbuilt {
        container: true,
        ..unbuilt(name, feature)
    }
}

/// All of them, for `CommandTable::with_unbuilt`.
pub static UNBUILT: &[Unbuilt] = &[
    container("acl", ACL),
    unbuilt("asking", CLUSTER),
    container("cluster", CLUSTER),
    unbuilt("eval", SCRIPTS),
    unbuilt("eval_ro", SCRIPTS),
    unbuilt("evalsha", SCRIPTS),
    unbuilt("evalsha_ro", SCRIPTS),
    unbuilt("fcall", FUNCTIONS),
    unbuilt("fcall_ro", FUNCTIONS),
    container("function", FUNCTIONS),
    container("module", MODULES),
    unbuilt("readonly", CLUSTER),
    unbuilt("readwrite", CLUSTER),
    container("script", SCRIPTS),
];
