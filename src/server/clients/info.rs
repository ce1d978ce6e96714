//! A client as one line of text: CLIENT LIST, CLIENT INFO, the log (catClientInfoString of networking.c).
//!
//! The fields and their order are 7.2's; tools split the line at blanks.

use std::os::fd::AsRawFd;

use crate::base::log;
use crate::server::Server;
use crate::server::clients::buffers::QUERYBUF_IDLE_S;
use crate::server::clients::client::Client;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::clients::networking::PROTO_IOBUF_LEN;
use crate::server::clients::subscriptions::{Kind, Subscriptions};
use crate::server::execution::args::Args;
use crate::server::execution::multi_state::MultiState;

/// Letters of the `flags` field, in their order; 'S' and 'O' (replica, monitor) come before them.
const FLAG_LETTERS: &[(ClientFlags, char)] = &[
    (ClientFlags::MASTER, 'M'),
    (ClientFlags::IMPORT, 'i'),
    (ClientFlags::PUBSUB, 'P'),
    (ClientFlags::MULTI, 'x'),
    (ClientFlags::BLOCKED, 'b'),
    (ClientFlags::TRACKING, 't'),
    (ClientFlags::TRACKING_BROKEN_REDIR, 'R'),
    (ClientFlags::TRACKING_BCAST, 'B'),
    (ClientFlags::DIRTY_CAS, 'd'),
    (ClientFlags::CLOSE_AFTER_REPLY, 'c'),
    (ClientFlags::UNBLOCKED, 'u'),
    (ClientFlags::CLOSE_ASAP, 'A'),
    (ClientFlags::UNIX_SOCKET, 'U'),
    (ClientFlags::READONLY, 'r'),
    (ClientFlags::NO_EVICT, 'e'),
    (ClientFlags::NO_TOUCH, 'T'),
];

/// The request that a client is running: it lies in the shared read buffer, not with the client.
#[derive(Clone, Copy)]
pub(crate) struct Running {
    /// Bytes of the request as it came, or as it would have come in canonical form.
    request: usize,
    /// Bytes of its arguments.
    argv: usize,
}

impl Running {
    pub(crate) fn of(args: &Args) -> Running {
        let argv = args.iter().map(<[u8]>::len).sum();
        let digits = |n: usize| crate::base::num::digits10(n as u64) as usize;
        let heads: usize = args.iter().map(|a| digits(a.len()) + 5).sum();
        Running {
            request: args
                .raw()
                .map_or(argv + heads + digits(args.len()) + 3, <[u8]>::len),
            argv,
        }
    }
}

/// Bytes of input that a client holds, unused room in them, and bytes of arguments.
fn input(c: &Client, running: Option<Running>) -> (usize, usize, usize) {
    if let Some(r) = running {
        return (r.request, PROTO_IOBUF_LEN.saturating_sub(r.request), r.argv);
    }
    let argv = c.parser.as_deref().map_or(0, |p| p.argv_len());
    // What came before a big argument counts as arguments.
    let (used, size) = match &c.big_arg {
        Some(big) => (big.buf.len(), big.buf.capacity()),
        None => (c.querybuf.len(), c.querybuf.capacity()),
    };
    (used, size - used.min(size), argv)
}

/// The line while it grows. CLIENT LIST has one of thirty fields for each client: they are put in without a formatter.
struct Line<'a>(&'a mut String);

impl Line<'_> {
    fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.push_str(name);
        self.0.push_str(value);
        self
    }

    fn number(&mut self, name: &str, n: impl itoa::Integer) -> &mut Self {
        self.text(name, itoa::Buffer::new().format(n))
    }
}

impl Server {
    /// Bytes that the client's next input may take at once: the common read buffer, unless the client is idle, and what is
    /// reserved for another argument as fat as its last one. It is room, not memory.
    fn read_room(&self, c: &Client) -> usize {
        let idle = self.clock.unix_s - c.last_interaction > QUERYBUF_IDLE_S;
        if c.conn.is_none() || c.last_cmd.is_none() || idle {
            return 0;
        }
        c.fat_room.max(PROTO_IOBUF_LEN)
    }

    /// Bytes that the client takes, its output included (getClientMemoryUsage).
    pub(crate) fn client_memory_usage(&self, cid: ClientId) -> usize {
        let Some(c) = self.clients.get(cid) else {
            return 0;
        };
        let (used, free, argv) = input(c, None);
        self.client_output_memory(cid)
            + used
            + free
            + size_of::<Client>()
            + c.out.buf.capacity()
            + argv
            + c.multi.as_deref().map_or(0, MultiState::mem_usage)
            + c.pubsub.as_deref().map_or(0, Subscriptions::mem_usage)
            + self.tracked_prefixes_memory(c)
    }

    fn tracked_prefixes_memory(&self, c: &Client) -> usize {
        if !c.has(ClientFlags::TRACKING_BCAST) {
            return 0;
        }
        self.tracking.prefix_memory(c.cid)
    }

    /// The line of a client that runs nothing just now.
    pub(crate) fn client_info_string(&self, cid: ClientId) -> String {
        let mut line = String::with_capacity(320);
        self.cat_client_info_string(&mut line, cid, None);
        line
    }

    /// The line of a client for the log: without the names that it has been given, where users' data is hidden.
    pub(crate) fn client_log_string(&self, cid: ClientId) -> String {
        let mut line = String::with_capacity(320);
        if let Some(c) = self.clients.get(cid) {
            self.put_client_info(&mut line, c, None, log::hides_user_data());
        }
        line
    }

    /// A client for who audits: its user and where it comes from.
    pub(crate) fn audited_client(&self, cid: ClientId) -> String {
        let user = self.clients.get(cid).and_then(|c| c.user.as_ref());
        let user = user.map_or("(superuser)".into(), |u| log::user_data(&u.name));
        format!("user={user} addr={}", self.client_peer(cid))
    }

    /// Appends the client's line without a line end (catClientInfoString); nothing when there is no such client.
    /// `running` is given for the client whose command asks.
    pub(crate) fn cat_client_info_string(
        &self,
        line: &mut String,
        cid: ClientId,
        running: Option<Running>,
    ) {
        if let Some(c) = self.clients.get(cid) {
            self.put_client_info(line, c, running, false);
        }
    }

    fn put_client_info(
        &self,
        line: &mut String,
        c: &Client,
        running: Option<Running>,
        hide_names: bool,
    ) {
        let cid = c.cid;
        let mut flags = String::with_capacity(4);
        if c.has(ClientFlags::SLAVE) {
            flags.push(if c.has(ClientFlags::MONITOR) {
                'O'
            } else {
                'S'
            });
        }
        flags.extend(FLAG_LETTERS.iter().filter(|(f, _)| c.has(*f)).map(|f| f.1));
        if flags.is_empty() {
            flags.push('N');
        }
        let events = match (c.file.is_some(), c.writing) {
            (true, true) => "rw",
            (true, false) => "r",
            (false, _) => "",
        };
        let (qbuf, mut qbuf_free, argv) = input(c, running);
        if running.is_none() {
            qbuf_free = qbuf_free.max(self.read_room(c));
        }
        let omem = self.client_output_memory(cid);
        let mut total = self.client_memory_usage(cid);
        if let Some(r) = running {
            total += r.argv;
        }
        let log_segments = c
            .repl()
            .filter(|_| c.is_replica())
            .and_then(|r| r.reader)
            .map_or(0, |r| self.repl.log.pending_segments(r));
        let text = |s: &Option<Box<[u8]>>| {
            let s = s.as_deref().unwrap_or_default();
            String::from_utf8_lossy(s).into_owned()
        };
        // The running command is noted with its client only when it has ended. EXEC stays what was called while it runs others.
        let cmd = if self.exec.call.client == Some(c.cid) && !self.exec.call.in_exec {
            self.exec.call.cmd
        } else {
            c.last_cmd
        };
        let cmd = cmd.map_or("NULL", |id| self.commands.full_name(id));
        let redir = self.tracking.redirection(cid).map_or(-1, |id| id as i64);
        let user = match &c.user {
            Some(_) if hide_names => "*redacted*".into(),
            Some(user) => String::from_utf8_lossy(&user.name),
            None => "(superuser)".into(),
        };
        let name = match &c.name {
            Some(_) if hide_names => "*redacted*".into(),
            name => text(name),
        };
        let since = |then: i64| self.clock.unix_s - then;
        let fd = c.conn.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let blocks = c.out.list.len() + log_segments;
        Line(line)
            .number("id=", c.id)
            .text(" addr=", &self.client_peer(cid))
            .text(" laddr=", &self.client_sock(cid))
            .number(" fd=", fd)
            .text(" name=", &name)
            .number(" age=", since(c.ctime))
            .number(" idle=", since(c.last_interaction))
            .text(" flags=", &flags)
            .number(" db=", c.db)
            .number(" sub=", c.subscriptions(Kind::Channel))
            .number(" psub=", c.subscriptions(Kind::Pattern))
            .number(" ssub=", c.subscriptions(Kind::Shard))
            .number(" multi=", c.multi_count())
            .number(" qbuf=", qbuf)
            .number(" qbuf-free=", qbuf_free)
            .number(" argv-mem=", argv)
            .number(" multi-mem=", c.multi_argv_len_sums())
            .number(" rbs=", c.reply_size)
            .number(" rbp=", c.reply_peak)
            .number(" obl=", c.out.buf.len())
            .number(" oll=", blocks)
            .number(" omem=", omem)
            .number(" tot-mem=", total)
            .text(" events=", events)
            .text(" cmd=", cmd)
            .text(" user=", &user)
            .number(" redir=", redir)
            .number(" resp=", c.resp)
            .text(" lib-name=", &text(&c.lib_name))
            .text(" lib-ver=", &text(&c.lib_ver));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::execution::args::OwnedArgs;

    #[test]
    fn a_running_request_counts_its_canonical_form() {
        let args = OwnedArgs::from_slices(&[b"client", b"list"]);
        let r = Running::of(&args.as_args());
        assert_eq!((r.request, r.argv), (26, 10));
        let long = [b'x'; 12];
        let args = OwnedArgs::from_slices(&[&long]);
        assert_eq!(Running::of(&args.as_args()).request, 4 + 5 + 14);
    }
}
