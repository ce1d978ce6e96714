//! Commands of 7.2 that are not built, and what each of them is about. They have no rows: COMMAND lists what works. Whoever
//! calls one is told so instead of that it is unknown, and `rename-command` takes their names. What of their families can be
//! answered all the same has rows, with procedures in `commands::unbuilt`.

use crate::config::value::MODULES;
use crate::server::execution::command::Unbuilt;

const fn unbuilt(name: &'static str, feature: &'static str) -> Unbuilt {
    Unbuilt { name, feature }
}

/// All of them, for `CommandTable::with_unbuilt`.
pub(crate) static UNBUILT: &[Unbuilt] = &[
    unbuilt("module|load", MODULES),
    unbuilt("module|loadex", MODULES),
    unbuilt("module|unload", MODULES),
];
