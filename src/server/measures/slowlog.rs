//! The slow log's memory (slowlog.c): the last commands that took long, newest first.

use std::collections::VecDeque;

use crate::base::log::Level;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server_log;

/// Arguments and bytes of one that an entry keeps (SLOWLOG_ENTRY_MAX_ARGC, SLOWLOG_ENTRY_MAX_STRING).
pub(crate) const SLOWLOG_ENTRY_MAX_ARGC: usize = 32;
pub(crate) const SLOWLOG_ENTRY_MAX_STRING: usize = 128;

/// One slow command.
pub(crate) struct SlowlogEntry {
    pub id: u64,
    /// Unix seconds.
    pub time: i64,
    pub duration_us: u64,
    pub args: Vec<Vec<u8>>,
    pub peer: String,
    pub name: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Slowlog {
    pub entries: VecDeque<SlowlogEntry>,
    pub next_id: u64,
}

impl Server {
    /// Remembers a command that took long (slowlogPushEntryIfNeeded).
    #[cold]
    pub(crate) fn slowlog_push_entry_if_needed(&mut self, cid: ClientId, args: &Args, us: u64) {
        let shown = args.len().min(SLOWLOG_ENTRY_MAX_ARGC);
        let mut words = Vec::with_capacity(shown);
        for i in 0..shown {
            if i == SLOWLOG_ENTRY_MAX_ARGC - 1 && args.len() > SLOWLOG_ENTRY_MAX_ARGC {
                let more = args.len() - SLOWLOG_ENTRY_MAX_ARGC + 1;
                words.push(format!("... ({more} more arguments)").into_bytes());
                break;
            }
            let a = &args[i];
            let secret = self.exec.call.is_redacted(i);
            if secret {
                words.push(b"(redacted)".to_vec());
            } else if a.len() > SLOWLOG_ENTRY_MAX_STRING {
                let mut w = a[..SLOWLOG_ENTRY_MAX_STRING].to_vec();
                let more = a.len() - SLOWLOG_ENTRY_MAX_STRING;
                w.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
                words.push(w);
            } else {
                words.push(a.to_vec());
            }
        }
        if let Some(run) = self.scripts.last_run.take() {
            let mut note = [b"script=", &run.name[..]].concat();
            if let Some((id, us)) = run.slowest {
                let name = self.commands.full_name(id);
                note.extend_from_slice(format!(" slowest={name} usec={us}").as_bytes());
            }
            words.push(note);
        }
        let entry = SlowlogEntry {
            id: self.slowlog.next_id,
            time: self.clock.unix_s,
            duration_us: us,
            args: words,
            peer: self.client_peer(cid),
            name: self
                .clients
                .get(cid)
                .and_then(|c| c.name.as_deref())
                .unwrap_or_default()
                .to_vec(),
        };
        if self.config.slowlog_to_log {
            self.log_slow_command(&entry, args.len());
        }
        self.slowlog.next_id += 1;
        self.slowlog.entries.push_front(entry);
        let max = usize::try_from(self.config.slowlog_max_len).unwrap_or(usize::MAX);
        self.slowlog.entries.truncate(max);
    }

    /// The line of a slow command: nothing in it is as the client sent it (slowlog-to-log).
    fn log_slow_command(&self, entry: &SlowlogEntry, words: usize) {
        let id = entry.args.first().and_then(|n| self.commands.lookup(n));
        let id = id.map(|id| {
            let sub = entry.args.get(1);
            sub.and_then(|sub| self.commands.lookup_subcommand(id, sub))
                .unwrap_or(id)
        });
        server_log!(
            Level::Notice,
            "Slow command: id={} usec={} cmd={} words={} addr={}",
            entry.id,
            entry.duration_us,
            id.map_or("unknown", |id| self.commands.full_name(id)),
            words,
            entry.peer
        );
    }

    /// The argument is not to be shown in the slow log or to monitors (redactClientCommandArgument).
    pub(crate) fn redact_client_command_argument(&mut self, _cid: ClientId, i: usize) {
        self.exec.call.redact(i);
    }
}
