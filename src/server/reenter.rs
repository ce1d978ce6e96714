//! Serving clients from inside a long operation (processEventsWhileBlocked of networking.c).

use crate::ae::{self, Flags};
use crate::server::Server;

impl Server {
    /// Lets the event loop run some turns while a load or the like is under way. Four are enough for the sequence accept,
    /// read, write, close; a turn without events ends it earlier. The cron does not run from here: see
    /// [`Server::while_blocked_cron`].
    pub fn process_events_while_blocked(&mut self) -> usize {
        // The clients' commands have a time of their own; the outer one's stays what it was.
        let clock = self.clock;
        let parser = std::mem::take(&mut self.exec.parser);
        let (client, cmd) = (self.exec.current_client.take(), self.exec.current_cmd);
        let rewrite = self.exec.rewrite.take();
        let queued = std::mem::take(&mut self.exec.also_propagate);
        let redacted = std::mem::take(&mut self.exec.redacted);
        let leftovers = std::mem::take(&mut self.exec.leftovers);
        let force = std::mem::take(&mut self.exec.force_propagate);
        let error = self.exec.error_reply_sent;
        let messages = std::mem::take(&mut self.exec.pending_push_messages);
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
        self.exec.parser = parser;
        if let Some(cid) = client {
            self.refresh_shortcuts(cid);
        }
        self.exec.current_cmd = cmd;
        self.exec.rewrite = rewrite;
        self.exec.also_propagate = queued;
        self.exec.redacted = redacted;
        self.exec.leftovers = leftovers;
        self.exec.force_propagate = force;
        self.exec.error_reply_sent = error;
        self.exec.pending_push_messages = messages;
        self.clock = clock;
        self.exec.clock_stale = true;
        count
    }
}
