//! From a parsed request to a command that has run and is propagated: the command table, the checks, the call, transactions,
//! waiting, and serving others in the middle of it.

pub(crate) mod args;
pub(crate) mod block;
pub(crate) mod blocked;
pub(crate) mod call_state;
pub(crate) mod command;
pub(crate) mod exec;
pub(crate) mod multi;
pub(crate) mod multi_state;
pub(crate) mod propagate;
pub(crate) mod reenter;
