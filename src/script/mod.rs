//! Scripts and functions: EVAL to FCALL (eval.c, script.c, script_lua.c, functions.c, function_lua.c).
//!
//! | file | owns |
//! |---|---|
//! | [`lua`] | the virtual machine: the only file that calls its C interface |
//! | `prelude.lua`, [`machine`] | the sandbox; one machine for EVAL, one for functions |
//! | [`libraries`] | cjson, cmsgpack, struct, patterns, random numbers |
//! | [`api`], [`convert`], [`large_reply`] | `redis.*`; replies and Lua values |
//! | `lexer`, `source` | what is changed in a text before it is compiled |
//! | [`run`] | one run: its checks, its commands, its time, its end |
//! | [`cache`], [`eval`] | scripts by digest; EVAL and SCRIPT |
//! | [`function_set`], `register`, [`functions`], [`function_commands`] | libraries of functions; FUNCTION and FCALL |
//! | [`flags`] | what scripts declare, what is true of a run |
//! | [`verbatim`], [`known`] | scripts that go to replicas as they are |
//! | [`debugger`] | SCRIPT DEBUG |
//! | [`state`] | what `Server` keeps of all that |

pub(crate) mod api;
pub(crate) mod cache;
pub(crate) mod convert;
pub(crate) mod debugger;
pub(crate) mod eval;
pub(crate) mod flags;
mod foreign;
pub(crate) mod function_commands;
pub(crate) mod function_set;
pub(crate) mod functions;
pub(crate) mod known;
pub(crate) mod large_reply;
mod lexer;
pub(crate) mod libraries;
#[allow(unsafe_code)]
pub(crate) mod lua;
pub(crate) mod machine;
mod register;
pub(crate) mod run;
mod source;
pub(crate) mod state;
pub(crate) mod verbatim;

use crate::server::Server;
use crate::server::execution::args::Args;
use crate::server::execution::command::{CommandFlags, CommandId};

impl Server {
    /// The flags of a command that runs a script: the script may declare its own.
    #[cold]
    pub(crate) fn script_command_flags(
        &mut self,
        id: CommandId,
        args: &Args,
        flags: CommandFlags,
    ) -> CommandFlags {
        match self.commands.row(id).command.name {
            "eval" | "eval_ro" => self.eval_get_command_flags(args, flags, false),
            "evalsha" | "evalsha_ro" => self.eval_get_command_flags(args, flags, true),
            _ => self.fcall_get_command_flags(args, flags),
        }
    }
}
