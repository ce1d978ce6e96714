//! Serving clients from inside a long operation (processEventsWhileBlocked of networking.c).
//!
//! What a running command has set in the state that all share (the table is in [`crate::server::execution::exec`]) is put aside, so
//! that the commands of others find it as if nothing ran, and is put back as it was: nothing goes from the outer one to the
//! inner ones, nor back.

use crate::ae::{self, Flags};
use crate::server::Server;

impl Server {
    /// Lets the event loop run some turns while a load or the like is under way. Four are enough for the sequence accept,
    /// read, write, close; a turn without events ends it earlier. The cron does not run from here: see
    /// [`Server::while_blocked_cron`].
    pub(crate) fn process_events_while_blocked(&mut self) -> usize {
        // The clients' commands have a time of their own; the outer one's stays what it was.
        let clock = self.clock;
        let outer = std::mem::take(&mut self.exec.call);
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
        if let Some(cid) = outer.client {
            self.refresh_shortcuts(cid);
        }
        self.exec.call = outer;
        self.clock = clock;
        self.exec.clock_stale = true;
        count
    }
}
