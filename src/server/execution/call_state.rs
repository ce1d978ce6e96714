//! What a running call has set in the state that all clients share.
//!
//! A unit is a command, or EXEC with those that it runs; a command within a unit has a [`CommandState`] of its own. Who runs a
//! command takes the state as a whole and gives it back as a whole: `call` ends it, `call_in_unit` nests one in it, and
//! `process_events_while_blocked` puts all of it aside.
//!
//! Invariant: while anything is set that has to be looked at after the command, `leftovers` is set. Only the methods here set
//! such a thing. What it is for (who propagates, what is sent) is not known here.

use std::cell::Cell;

use crate::server::clients::flags::ClientId;
use crate::server::execution::args::OwnedArgs;
use crate::server::execution::command::CommandId;
use crate::server::execution::propagate::{Propagate, PropagateOp};

/// The state of the running unit.
#[derive(Default)]
pub(crate) struct CallState {
    /// Whose request is running; none: nobody's.
    pub client: Option<ClientId>,
    /// The running command; it stays behind the last one, for the report of a crash.
    pub cmd: Option<CommandId>,
    /// EXEC is running its commands.
    pub in_exec: bool,
    /// In cluster mode, the slot of the keys of the script that runs, if it has any yet.
    pub slot: Cell<Option<u16>>,
    /// When others were last served in the middle of its script, in unix microseconds: what TIME says, while all else has the
    /// time of its beginning.
    served_us: Option<i64>,
    also_propagate: Vec<PropagateOp>,
    pending_push_messages: Vec<u8>,
    leftovers: bool,
    /// The running command has said something of itself.
    said: bool,
    own: CommandState,
}

/// What the running command says of itself; over with it.
#[derive(Default)]
pub(crate) struct CommandState {
    /// It is propagated as these words instead of its own.
    pub rewrite: Option<OwnedArgs>,
    /// Arguments that neither the slow log nor monitors may show.
    redacted: Vec<usize>,
    /// Where it is propagated to even if it changed nothing.
    force_propagate: Propagate,
    /// It is not propagated, whatever it changes.
    prevent_propagation: bool,
    /// It has answered with an error.
    pub error_reply_sent: bool,
}

/// A command, and what it had said, while one runs within its unit.
pub(crate) struct OuterCommand {
    cmd: Option<CommandId>,
    /// None: it had said nothing.
    own: Option<CommandState>,
}

impl CommandState {
    /// Where the command is propagated to which has `changed` the data or has not.
    #[inline]
    pub(crate) fn propagation_target(&self, changed: bool) -> Propagate {
        match (self.prevent_propagation, changed) {
            (true, _) => Propagate::empty(),
            (false, true) => Propagate::BOTH,
            (false, false) => self.force_propagate,
        }
    }
}

impl CallState {
    // What a command says of itself ------------------------------------------------------------------------------------

    /// The command is propagated as `words`.
    pub(crate) fn rewrite_as(&mut self, words: OwnedArgs) {
        self.leftovers = true;
        self.said = true;
        self.own.rewrite = Some(words);
    }

    pub(crate) fn is_rewritten(&self) -> bool {
        self.own.rewrite.is_some()
    }

    pub(crate) fn prevent_propagation(&mut self) {
        self.leftovers = true;
        self.said = true;
        self.own.prevent_propagation = true;
    }

    /// The command is propagated to `target` even if it changes nothing.
    pub(crate) fn force_propagation(&mut self, target: Propagate) {
        self.leftovers = true;
        self.said = true;
        self.own.force_propagate |= target;
    }

    pub(crate) fn redact(&mut self, argument: usize) {
        self.leftovers = true;
        self.said = true;
        self.own.redacted.push(argument);
    }

    pub(crate) fn is_redacted(&self, argument: usize) -> bool {
        self.own.redacted.contains(&argument)
    }

    pub(crate) fn set_error_reply_sent(&mut self) {
        self.leftovers = true;
        self.said = true;
        self.own.error_reply_sent = true;
    }

    /// The error was nobody's, or is counted otherwise.
    #[inline]
    pub(crate) fn forget_error_reply(&mut self) {
        self.own.error_reply_sent = false;
    }

    /// Others were served while its script goes on, until `unix_us`.
    pub(crate) fn set_served(&mut self, unix_us: i64) {
        self.leftovers = true;
        self.served_us = Some(unix_us);
    }

    /// See [`CallState::set_served`]; none: nobody was.
    pub(crate) fn served_us(&self) -> Option<i64> {
        self.served_us
    }

    // What a unit gathers ----------------------------------------------------------------------------------------------

    /// Queues what is to be propagated before the unit's last command itself.
    pub(crate) fn queue(&mut self, op: PropagateOp) {
        self.leftovers = true;
        self.also_propagate.push(op);
    }

    #[inline]
    pub(crate) fn has_queued(&self) -> bool {
        !self.also_propagate.is_empty()
    }

    /// All that is queued. It comes back by [`CallState::recycle_queue`] when it is sent.
    pub(crate) fn take_queued(&mut self) -> Vec<PropagateOp> {
        std::mem::take(&mut self.also_propagate)
    }

    /// Takes an emptied queue for the next.
    pub(crate) fn recycle_queue(&mut self, mut queue: Vec<PropagateOp>) {
        queue.clear();
        if self.also_propagate.is_empty() {
            self.also_propagate = queue;
        }
    }

    /// A message to the client whose request is running: it follows the reply.
    pub(crate) fn push_after_reply(&mut self, text: &[u8]) {
        self.leftovers = true;
        self.pending_push_messages.extend_from_slice(text);
    }

    #[inline]
    pub(crate) fn has_push_messages(&self) -> bool {
        !self.pending_push_messages.is_empty()
    }

    pub(crate) fn take_push_messages(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending_push_messages)
    }

    // Beginning and end ------------------------------------------------------------------------------------------------

    /// Whether something is set that has to be looked at after the command.
    #[inline]
    pub(crate) fn has_leftovers(&self) -> bool {
        self.leftovers
    }

    /// What the command has said so far.
    #[inline]
    pub(crate) fn own(&mut self) -> &mut CommandState {
        &mut self.own
    }

    /// The command is over: what it has said goes, and is the caller's. What its unit has gathered stays.
    #[inline]
    pub(crate) fn end_command(&mut self) -> CommandState {
        self.leftovers = false;
        self.said = false;
        self.served_us = None;
        std::mem::take(&mut self.own)
    }

    /// A command begins within the running one's unit.
    pub(crate) fn begin_nested(&mut self, cmd: CommandId) -> OuterCommand {
        OuterCommand {
            cmd: self.cmd.replace(cmd),
            own: std::mem::take(&mut self.said).then(|| std::mem::take(&mut self.own)),
        }
    }

    /// The nested command is over, and the outer one goes on with what it had said. What the nested one has said is the
    /// caller's; none: nothing.
    #[inline]
    pub(crate) fn end_nested(&mut self, outer: OuterCommand) -> Option<CommandState> {
        self.cmd = outer.cmd;
        let own = std::mem::take(&mut self.said).then(|| std::mem::take(&mut self.own));
        if let Some(before) = outer.own {
            self.said = true;
            self.own = before;
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_command_takes_nothing_and_leaves_nothing() {
        let mut s = CallState {
            cmd: Some(CommandId(1)),
            ..CallState::default()
        };
        s.redact(1);
        s.prevent_propagation();
        let outer = s.begin_nested(CommandId(2));
        assert!(!s.is_redacted(1) && s.cmd == Some(CommandId(2)));
        assert_eq!(s.own().propagation_target(false), Propagate::empty());
        s.force_propagation(Propagate::AOF);
        s.redact(2);
        s.set_error_reply_sent();
        let inner = s.end_nested(outer).expect("it has said something");
        assert!(inner.error_reply_sent && inner.propagation_target(false) == Propagate::AOF);
        assert!(s.is_redacted(1) && !s.is_redacted(2) && s.cmd == Some(CommandId(1)));
        assert_eq!(s.own().propagation_target(true), Propagate::empty());
        assert!(!s.own().error_reply_sent);
    }

    #[test]
    fn what_a_unit_has_gathered_outlives_its_commands() {
        let mut s = CallState::default();
        s.push_after_reply(b"message");
        s.queue(PropagateOp {
            db: 0,
            args: OwnedArgs::default(),
            target: Propagate::AOF,
        });
        assert!(s.has_leftovers());
        let own = s.end_command();
        assert_eq!(own.propagation_target(true), Propagate::BOTH);
        assert!(!s.has_leftovers() && s.has_queued() && s.has_push_messages());
        assert_eq!(s.take_push_messages(), b"message");
        let queue = s.take_queued();
        assert_eq!(queue.len(), 1);
        s.recycle_queue(queue);
        assert!(!s.has_queued());
    }
}
