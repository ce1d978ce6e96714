//! From a parsed request to a command that has run and is propagated: the command table, the checks, the call, transactions,
//! waiting, and serving others in the middle of it.

pub mod args;
pub mod block;
pub mod blocked;
pub mod call_state;
pub mod command;
pub mod exec;
pub mod multi;
pub mod multi_state;
pub mod propagate;
pub mod reenter;
