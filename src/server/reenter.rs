//! Serving clients from inside a long operation (processEventsWhileBlocked of networking.c).
//!
//! What a running command has set in the state that all share (the table is in [`crate::server::exec`]) is put aside, so
//! that the commands of others find it as if nothing ran, and is put back as it was: nothing goes from the outer one to the
//! inner ones, nor back.

use crate::ae::{self, Flags};
use crate::server::Server;

impl Server {
    /// Lets the event loop run some turns while a load or the like is under way. Four are enough for the sequence accept,
    /// read, write, close; a turn without events ends it earlier. The cron does not run from here: see
    /// [`Server::while_blocked_cron`].
    pub fn process_events_while_blocked(&mut self) -> usize {
        // The clients' commands have a time of their own; the outer one's stays what it was.
        let clock = self.clock;
        let e = &mut self.exec;
        let (client, cmd) = (e.current_client.take(), e.current_cmd.take());
        let rewrite = e.rewrite.take();
        let queued = std::mem::take(&mut e.also_propagate);
        let redacted = std::mem::take(&mut e.redacted);
        let leftovers = std::mem::take(&mut e.leftovers);
        let force = std::mem::take(&mut e.force_propagate);
        let prevent = std::mem::take(&mut e.prevent_propagation);
        let in_exec = std::mem::take(&mut e.in_exec);
        let error = std::mem::take(&mut e.error_reply_sent);
        let messages = std::mem::take(&mut e.pending_push_messages);
        // Who waits for what the outer one has added is served after it, as ever.
        let ready = self.blocking.put_ready_keys_aside();
        self.update_cached_time();
        self.exec.blocked_depth += 1;
        let mut count = 0;
        for _ in 0..4 {
            let flags =
                Flags::FILE | Flags::DONT_WAIT | Flags::CALL_BEFORE_SLEEP | Flags::CALL_AFTER_SLEEP;
            let n = ae::process_events(self, flags);
            if n == 0 {
                break;
            }
            count += n;
        }
        self.while_blocked_cron();
        self.exec.blocked_depth -= 1;
        self.blocking.put_ready_keys_back(ready);
        if let Some(cid) = client {
            self.refresh_shortcuts(cid);
        }
        let e = &mut self.exec;
        e.current_client = client;
        e.current_cmd = cmd;
        e.rewrite = rewrite;
        e.also_propagate = queued;
        e.redacted = redacted;
        e.leftovers = leftovers;
        e.force_propagate = force;
        e.prevent_propagation = prevent;
        e.in_exec = in_exec;
        e.error_reply_sent = error;
        e.pending_push_messages = messages;
        self.clock = clock;
        self.exec.clock_stale = true;
        count
    }
}
