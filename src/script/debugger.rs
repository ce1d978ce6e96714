//! The debugger of scripts (ldb of eval.c).
//!
//! SCRIPT DEBUG makes a client's next EVAL a session: in a forked process of its own, or, in sync mode, in the server, which serves
//! nobody else until it is over. The machine announces each line; where the script stops, commands are read from the client's
//! connection and answered with what was logged since the last stop.
//!
//! | file | owns |
//! |---|---|
//! | [`wire`] | the connection while a session runs |
//! | [`session`] | what a session knows: source, breakpoints, log |
//! | [`show`] | values and replies as text |
//! | [`calls`] | what scripts do, as it is logged; `redis.debug` and `redis.breakpoint` |
//! | [`stop`] | where a script stops, and the commands |
//! | [`life`] | SCRIPT DEBUG; how sessions begin and end, and their processes |
//!
//! Invariant: `Scripts::debugger` is set exactly while a session runs. When its client has sent its last, the script runs on to
//! its end, or to its time limit.

pub(crate) mod calls;
pub(crate) mod life;
pub(crate) mod session;
mod show;
pub(crate) mod stop;
mod wire;
