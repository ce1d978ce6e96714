//! The source of slots that move: the connection to the target, the keys, the writes behind them, and the pause at the end.
//!
//! # How the walk and the writes meet
//!
//! The walk goes over the slots in order, and over the keys of each by their places (`ds::slot_index`). Of a key that it has passed the
//! target has the value, so that every later write to it is passed on; of one that it has not come to nothing is passed on: the walk will
//! find what the writes have made of it. So nothing is copied for the sake of a moment, nothing is written twice, and what waits for
//! the target is no more than the connection takes and what is written meanwhile.
//!
//! - A command, or a transaction, with keys on both sides of the walk cannot be passed on: the values of its keys that have been
//!   passed are sent instead, as it leaves them.
//! - A bulky value goes by pieces. A command that would write to it meanwhile waits until it is sent ([`Export::holds_key`]). What
//!   cannot wait (expiry, eviction, a script's undeclared keys) makes the walk begin with it anew; after [`RESTARTS`] of these it is sent
//!   in one piece.
//! - The walk rests while [`OUT_SOFT`] bytes wait. Writes go on, up to the hard limit of a replica's output; then the job fails.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use crate::ae::{ClientData, FileId, Mask};
use crate::base::clock::{monotonic_us, mstime};
use crate::base::key_slot::{CLUSTER_SLOTS, key_hash_slot};
use crate::base::log::Level;
use crate::base::num::{LONG_STR_SIZE, ll2string};
use crate::base::sys::strerror;
use crate::cluster::failover::CLUSTER_MF_TIMEOUT;
use crate::cluster::migration::state::{
    Amid, End, Export, JobState, Link, Operation, Record, Walk, push_message,
};
use crate::cluster::node::NodeId;
use crate::cluster::state::Cluster;
use crate::ds::slot_index::WALK_END;
use crate::server::Server;
use crate::server::clients::connection::begin_connecting;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::clients::link_io::LinkState;
use crate::server::execution::args::Args;
use crate::server::execution::command::{
    CommandFlags, CommandId, KeyRefs, KeySearch, get_keys_from_command,
};
use crate::server_log;
use crate::store::entry::Entry;
use crate::store::rdb_value::{dump_payload, is_bulky};
use crate::store::rewrite::pieces::RewritePieces;
use crate::wire::cluster::name::Name;
use crate::wire::cluster::slot_set::SlotSet;
use crate::wire::reply::{Reply, ReplyReader};
use crate::wire::resp;

/// Bytes that wait for the target when the walk rests.
const OUT_SOFT: usize = 1 << 20;
/// Bytes of a bulky value that are made at once.
const PIECE: usize = 32 * 1024;
/// Bytes written in a turn.
const WRITE_CHUNK: usize = 256 * 1024;
const READ_CHUNK: usize = 16 * 1024;
/// How often a bulky value is begun anew.
const RESTARTS: u32 = 3;
/// Milliseconds for which writes to the slots wait at the most: for what waits to be sent, and then for the target to tell all that the
/// slots are its own. An import gives up far earlier (`import::TAKEOVER_MS`).
const PAUSE_MS: i64 = 2 * CLUSTER_MF_TIMEOUT;

impl Walk {
    fn is_over(&self) -> bool {
        usize::from(self.slot) >= CLUSTER_SLOTS
    }
}

impl Export {
    pub(super) fn new(
        id: u64,
        name: Name,
        me: Name,
        target: (NodeId, Name),
        slots: SlotSet,
        now: i64,
    ) -> Export {
        let first = slots.iter().next().unwrap_or(CLUSTER_SLOTS as u16);
        Export {
            record: Record::new(Operation::Export, name, (me, target.1), slots, now),
            end: None,
            id,
            target: target.0,
            link: None,
            out: Vec::new(),
            sent: 0,
            walk: Walk {
                slot: first,
                place: 0,
                done_here: Vec::new(),
                amid: None,
            },
            paused_until: 0,
            ack_sent: now,
            awaited: false,
        }
    }

    /// Bytes that wait for the target (remaining_repl_size).
    pub(super) fn pending(&self) -> usize {
        self.out.len() - self.sent
    }

    /// What is written is passed on, as far as the walk has come.
    fn is_fed(&self) -> bool {
        !matches!(
            self.record.state,
            JobState::Connecting
                | JobState::ReadingAuthResponse
                | JobState::ReadingEstablishResponse
        )
    }

    /// Writes to its slots wait.
    fn is_paused(&self) -> bool {
        self.paused_until != 0
    }

    /// Writes to this key wait until its value is sent.
    fn holds_key(&self, key: &[u8]) -> bool {
        self.walk.amid.as_ref().is_some_and(|a| *a.key == *key)
    }

    fn fail(&mut self, why: &str) {
        self.end.get_or_insert_with(|| End::failed(why));
    }

    // The walk ---------------------------------------------------------------------------------------------------------

    /// Whether the target has the key's value, or knows that there is none.
    fn is_sent(&self, server: &Server, slot: u16, key: &[u8]) -> bool {
        let w = &self.walk;
        if slot != w.slot {
            return slot < w.slot;
        }
        let place = server.dbs[0].keys.walk_place(key);
        place < w.place || place == w.place && w.done_here.iter().any(|k| **k == *key)
    }

    /// Sends keys until it is time, or enough waits. True: there is more to do at once.
    fn walk(&mut self, server: &Server, until: u64) -> bool {
        loop {
            if self.pending() >= OUT_SOFT {
                return false;
            }
            if self.walk.amid.is_some() {
                self.next_piece(server);
            } else if self.walk.is_over() {
                return false;
            } else {
                self.next_keys(server, until);
            }
            if monotonic_us() >= until {
                return true;
            }
        }
    }

    /// A stretch of the current slot.
    fn next_keys(&mut self, server: &Server, until: u64) {
        let keys = &server.dbs[0].keys;
        let (slot, from) = (self.walk.slot, self.walk.place);
        let stretch = keys.walk_slot(slot, from);
        for (place, key) in &stretch.keys {
            if *place > self.walk.place {
                self.walk.place = *place;
                self.walk.done_here.clear();
                if monotonic_us() >= until || self.pending() >= OUT_SOFT {
                    return;
                }
            }
            if self.walk.done_here.contains(key) {
                continue;
            }
            let Some(at) = server.find_key(0, key) else {
                continue;
            };
            let e = at.entry(&server.dbs);
            if server.entry_is_expired(e) {
                continue;
            }
            if is_bulky(e) {
                self.walk.amid = Some(Amid {
                    key: key.clone(),
                    pieces: RewritePieces::begin(e),
                    begun: false,
                    restarts: 0,
                });
                return;
            }
            self.push_value(server, e);
            self.walk.done_here.push(key.clone());
        }
        self.walk.place = stretch.next;
        self.walk.done_here.clear();
        if stretch.next >= WALK_END {
            let next = self.record.slots.iter().find(|s| *s > slot);
            self.walk.slot = next.unwrap_or(CLUSTER_SLOTS as u16);
            self.walk.place = 0;
        }
    }

    /// The next piece of a bulky value.
    fn next_piece(&mut self, server: &Server) {
        let Some(mut amid) = self.walk.amid.take() else {
            return;
        };
        let at = server.find_key(0, &amid.key);
        let e = at.as_ref().map(|at| at.entry(&server.dbs));
        if !amid.begun {
            self.push_command(&[b"DEL", &amid.key]);
            amid.begun = true;
        }
        let bytes = match amid.restarts < RESTARTS {
            true => PIECE,
            false => usize::MAX,
        };
        if e.is_some_and(|e| self.push_pieces(e, &mut amid.pieces, bytes)) {
            self.walk.amid = Some(amid);
            return;
        }
        self.walk.done_here.push(amid.key);
    }

    fn push_command(&mut self, words: &[&[u8]]) {
        resp::push_command(&mut self.out, words.iter().copied());
    }

    /// About `bytes` of a bulky value, and its expiry after the last of them. True: there is more.
    fn push_pieces(&mut self, e: &Entry, pieces: &mut RewritePieces, bytes: usize) -> bool {
        if pieces.more(&mut self.out, e, bytes) {
            return true;
        }
        if let Some(ms) = e.expire() {
            let mut buf = [0; LONG_STR_SIZE];
            let ms = ll2string(&mut buf, ms);
            self.push_command(&[b"PEXPIREAT", e.name(), ms]);
        }
        false
    }

    /// The whole value of a key, whatever the target has of it.
    fn push_value(&mut self, server: &Server, e: &Entry) {
        let key = e.name();
        if is_bulky(e) {
            self.push_command(&[b"DEL", key]);
            let mut pieces = RewritePieces::begin(e);
            while self.push_pieces(e, &mut pieces, usize::MAX) {}
            return;
        }
        let config = &server.config;
        let version = config.rdb_save_version.of_files();
        let Some(payload) = dump_payload(e, version, config.rdbcompression) else {
            return self.fail("A value cannot be written");
        };
        let mut buf = [0; LONG_STR_SIZE];
        let ttl = ll2string(&mut buf, e.expire().unwrap_or(0));
        let words: [&[u8]; 6] = [b"RESTORE", key, ttl, &payload, b"REPLACE", b"ABSTTL"];
        self.push_command(&words);
    }

    // Writes -----------------------------------------------------------------------------------------------------------

    /// Commands that belong together have run.
    fn feed(&mut self, server: &Server, ops: &[Args<'_>]) {
        // Of each that is about these slots: its keys, and whether the target has all of them, or none.
        let mut ours = Vec::new();
        let mut mixed = false;
        let mut keys = KeyRefs::default();
        for (i, op) in ops.iter().enumerate() {
            let Some(id) = server.commands.lookup_command_or_original(op) else {
                return self.fail("A command was propagated that is not known");
            };
            let command = server.commands.command(id);
            let _ = get_keys_from_command(command, op, KeySearch::RETURN_PARTIAL, &mut keys);
            let Some(slot) = keys.iter().next().map(|k| key_hash_slot(&op[k.pos])) else {
                continue;
            };
            if !self.record.slots.contains(slot) {
                continue;
            }
            if server
                .commands
                .row(id)
                .flags
                .contains(CommandFlags::RUNS_SCRIPT)
            {
                return self
                    .fail("A script was propagated as a whole, so that its keys are not known");
            }
            let (mut some, mut all) = (false, true);
            for k in keys.iter() {
                let key = &op[k.pos];
                let sent = self.is_sent(server, slot, key);
                some |= sent;
                all &= sent;
                if let Some(amid) = self.walk.amid.as_mut().filter(|a| *a.key == *key) {
                    amid.begun = false;
                    amid.restarts += 1;
                    let at = server.find_key(0, key);
                    if let Some(at) = at {
                        amid.pieces = RewritePieces::begin(at.entry(&server.dbs));
                    }
                }
            }
            if some {
                mixed |= !all;
                ours.push((i, slot, keys.iter().map(|k| k.pos).collect::<Vec<_>>()));
            }
        }
        if !mixed {
            for (i, ..) in ours {
                match ops[i].raw() {
                    Some(raw) => self.out.extend_from_slice(raw),
                    None => resp::push_command(&mut self.out, ops[i].iter()),
                }
            }
        } else {
            let mut done: Vec<&[u8]> = Vec::new();
            for (i, slot, positions) in &ours {
                for pos in positions {
                    let key = &ops[*i][*pos];
                    if done.contains(&key) || !self.is_sent(server, *slot, key) {
                        continue;
                    }
                    done.push(key);
                    match server.find_key(0, key) {
                        Some(at) => self.push_value(server, at.entry(&server.dbs)),
                        None => self.push_command(&[b"DEL", key]),
                    }
                }
            }
        }
        let [_, replicas, _] = &server.config.client_output_buffer_limit;
        let limit = replicas.hard_limit_bytes;
        if limit > 0 && self.pending() as u64 > limit {
            self.fail("The target did not take what was written as fast as it came: client-output-buffer-limit of replicas");
        }
    }

    // The connection ---------------------------------------------------------------------------------------------------

    fn connect(&mut self, c: &Cluster, server: &mut Server) -> io::Result<()> {
        let n = &c[self.target];
        let tls = server.config.tls_replication;
        let ip: IpAddr =
            n.ip.parse()
                .map_err(|_| io::Error::other("the node has no address"))?;
        let port = n.port(tls);
        server_log!(
            Level::Notice,
            "Connecting slot migration {} (ip: {}, port {})",
            self.record.description(),
            ip,
            port
        );
        let source = server.config.bind_source_addr.as_deref();
        let sock = begin_connecting(SocketAddr::new(ip, port), source)?;
        // Only a delay where it cannot be set.
        let _ = sock.set_tcp_nodelay(true);
        let conn = server.tls.outgoing(sock, tls)?;
        let file = server.el.add_file(conn.as_raw_fd())?;
        server
            .el
            .create_file_event(file, Mask::WRITABLE, export_ready, self.id);
        self.link = Some(Link {
            conn,
            file,
            state: LinkState::Connecting,
            reader: ReplyReader::default(),
        });
        Ok(())
    }

    fn close(&mut self, server: &mut Server) {
        if let Some(link) = self.link.take() {
            link.conn.end();
            server.el.remove_file(link.file);
        }
    }

    /// Does what the socket is ready for.
    fn progress(&mut self, server: &mut Server, mask: Mask) -> io::Result<()> {
        let id = self.id;
        let Some(link) = self.link.as_mut() else {
            return Ok(());
        };
        let state = &mut link.state;
        if !server.link_comes_up(&link.conn, link.file, state, export_ready, id)? {
            return Ok(());
        }
        if mask.has(Mask::READABLE) || link.conn.has_unread() {
            let mut buf = [0; READ_CHUNK];
            let n = server.link_read(&link.conn, link.file, &mut buf)?;
            link.reader.feed(&buf[..n]);
        }
        self.write(server)
    }

    fn write(&mut self, server: &mut Server) -> io::Result<()> {
        let Some(link) = self.link.as_ref().filter(|l| l.state == LinkState::Up) else {
            return Ok(());
        };
        let end = self.out.len().min(self.sent.saturating_add(WRITE_CHUNK));
        while self.sent < end {
            let n = server.link_write(&link.conn, link.file, &self.out[self.sent..end])?;
            if n == 0 {
                break;
            }
            self.sent += n;
            server.stats.net_repl_output_bytes += n as u64;
        }
        if self.sent < self.out.len() {
            if self.sent > OUT_SOFT {
                self.out.drain(..self.sent);
                self.sent = 0;
            }
            server
                .el
                .create_file_event(link.file, Mask::WRITABLE, export_ready, self.id);
            return Ok(());
        }
        self.out.clear();
        self.out.shrink_to(2 * OUT_SOFT);
        self.sent = 0;
        server.link_written(&link.conn, link.file)
    }

    // Steps ------------------------------------------------------------------------------------------------------------

    /// What the target has said.
    fn hear(&mut self, c: &Cluster, server: &Server) {
        while self.end.is_none() {
            let Some(link) = self.link.as_mut() else {
                return;
            };
            match link.reader.next_reply() {
                Ok(Some(reply)) => self.hear_one(c, server, reply),
                Ok(None) => return,
                Err(_) => self.fail("What the target says cannot be understood"),
            }
        }
    }

    fn hear_one(&mut self, c: &Cluster, server: &Server, reply: Reply) {
        let now = server.clock.unix_s;
        self.record.acked = now;
        let word = match (self.record.state, reply) {
            (JobState::ReadingAuthResponse, Reply::Status(_)) => {
                return self.send_establish(c, now);
            }
            (JobState::ReadingAuthResponse, Reply::Error(e)) => {
                let text = String::from_utf8_lossy(&e);
                return self.fail(&format!("Failed to AUTH to target node: -{text}"));
            }
            (JobState::ReadingEstablishResponse, Reply::Status(_)) => {
                // It takes the import online.
                push_message(&mut self.out, "ACK");
                server_log!(
                    Level::Notice,
                    "Beginning snapshot of slot migration {}.",
                    self.record.description()
                );
                return self.record.enter(JobState::Snapshotting, now);
            }
            (JobState::ReadingEstablishResponse, Reply::Error(e)) => {
                let text = String::from_utf8_lossy(&e);
                let why = format!("Received error during handshake to target: -{text}");
                return self.fail(&why);
            }
            (_, Reply::Array(words)) => match words.as_slice() {
                [Reply::Bulk(_), Reply::Bulk(_), Reply::Bulk(word)] => word.to_ascii_lowercase(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        match (&word[..], self.record.state) {
            (b"ack", _) => {}
            (b"request-pause", JobState::Replicating) => {
                self.record.enter(JobState::WaitingToPause, now);
            }
            (b"request-failover", JobState::FailoverPaused) => {
                self.paused_until = self.paused_until.max(mstime() + CLUSTER_MF_TIMEOUT);
                push_message(&mut self.out, "FAILOVER-GRANTED");
                self.record.enter(JobState::FailoverGranted, now);
            }
            (b"request-pause" | b"request-failover", _) => {
                self.fail("Unexpected state machine transition");
            }
            _ => self.fail("Unknown SYNCSLOTS subcommand used"),
        }
    }

    fn send_establish(&mut self, c: &Cluster, now: i64) {
        let me = c.me().name;
        let mut words: Vec<Vec<u8>> = vec![
            b"CLUSTER".to_vec(),
            b"SYNCSLOTS".to_vec(),
            b"ESTABLISH".to_vec(),
            b"SOURCE".to_vec(),
            me.as_bytes().to_vec(),
            b"NAME".to_vec(),
            self.record.name.as_bytes().to_vec(),
            b"SLOTSRANGE".to_vec(),
        ];
        for (first, last) in self.record.slots.ranges() {
            words.push(first.to_string().into_bytes());
            words.push(last.to_string().into_bytes());
        }
        resp::push_command(&mut self.out, words.iter().map(Vec::as_slice));
        self.record.enter(JobState::ReadingEstablishResponse, now);
    }

    /// Who has the slots, and how long it takes.
    fn look(&mut self, c: &Cluster, server: &Server) {
        let now_s = server.clock.unix_s;
        let granted = self.record.state == JobState::FailoverGranted;
        if c.me().is_slave() {
            return self.fail("I was demoted to a replica");
        }
        match c.owner_of_all(&self.record.slots) {
            Some(owner) if owner == c.myself => {}
            Some(owner) if owner == self.target => {
                self.end.get_or_insert(End::Success);
                return;
            }
            _ => return self.fail("Slots are no longer owned by myself"),
        }
        if c.get(self.target)
            .is_none_or(|n| n.name != self.record.target)
        {
            return self.fail("The target node is not known any more");
        }
        if self.is_paused() && mstime() > self.paused_until {
            if granted {
                server_log!(
                    Level::Warning,
                    "Write loss risk! During slot migration {}, new owner did not broadcast ownership before we unpaused \
                     ourselves. Any writes we have recorded since unpausing may be lost!",
                    self.record.description()
                );
                return self.fail(
                    "Unpaused before migration completed (migration may have succeeded with lost writes)",
                );
            }
            return self.fail("Timed out before streaming completed");
        }
        if !granted && now_s - self.record.acked > i64::from(server.config.repl_timeout) {
            self.fail("Timed out after too long with no interaction");
        }
    }

    /// One step. True: there is more to do at once.
    fn step(&mut self, c: &Cluster, server: &mut Server, until: u64) -> bool {
        let now = server.clock.unix_s;
        if self.link.is_none() && self.record.state == JobState::Connecting {
            if let Err(e) = self.connect(c, server) {
                let why = format!("Unable to connect to target node: {}", strerror(&e));
                self.fail(&why);
            }
            return false;
        }
        let is_up = self.link.as_ref().is_some_and(|l| l.state == LinkState::Up);
        if !is_up {
            return false;
        }
        if self.record.state == JobState::Connecting {
            match server.config.masterauth.as_deref() {
                Some(pass) => {
                    let user = server.config.masteruser.as_deref();
                    let words = [&b"AUTH"[..]].into_iter().chain(user).chain([pass]);
                    let words: Vec<&[u8]> = words.collect();
                    self.push_command(&words);
                    self.record.enter(JobState::ReadingAuthResponse, now);
                }
                None => self.send_establish(c, now),
            }
        }
        self.hear(c, server);
        if self.end.is_some() {
            return false;
        }
        let mut more = false;
        if self.record.state == JobState::Snapshotting {
            more = self.walk(server, until);
            if self.walk.is_over() && self.walk.amid.is_none() {
                push_message(&mut self.out, "SNAPSHOT-EOF");
                server_log!(
                    Level::Notice,
                    "Slot migration {} snapshot finished, starting streaming.",
                    self.record.description()
                );
                self.record.enter(JobState::Replicating, now);
            }
        }
        if self.record.state == JobState::WaitingToPause {
            let limit = server.config.slot_migration_max_failover_repl_bytes;
            let small = u64::try_from(limit).is_ok_and(|most| self.pending() as u64 <= most);
            if (small || limit < 0) && !server.slot_migrations.prevent_pause {
                server_log!(
                    Level::Notice,
                    "Pausing writes to allow slot migration {} to finalize failover.",
                    self.record.description()
                );
                self.paused_until = mstime() + PAUSE_MS;
                push_message(&mut self.out, "PAUSED");
                self.record.enter(JobState::FailoverPaused, now);
            }
        }
        if self.is_fed() && now > self.ack_sent {
            self.ack_sent = now;
            push_message(&mut self.out, "ACK");
        }
        if let Err(e) = self.write(server) {
            self.connection_lost(&strerror(&e));
        }
        more && self.end.is_none()
    }

    fn connection_lost(&mut self, why: &str) {
        if self.end.is_some() {
            return;
        }
        server_log!(
            Level::Notice,
            "Slot migration {} connection lost: {}",
            self.record.description(),
            why
        );
        match self.record.state {
            JobState::Connecting => {
                self.fail(&format!("Unable to connect to target node: {why}"));
            }
            // The target may have taken the slots: whether it has is waited for.
            JobState::FailoverGranted => {}
            _ => self.fail(
                "Connection lost to target. Check CLUSTER GETSLOTMIGRATIONS on the target node for more information.",
            ),
        }
    }
}

impl Cluster {
    /// All exports. True: there is more to do at once.
    pub(super) fn step_exports(&mut self, server: &mut Server, until: u64) -> bool {
        let mut more = false;
        let mut exports = std::mem::take(&mut server.slot_migrations.exports);
        let mut ended = false;
        let mut release = false;
        for e in &mut exports {
            let was_amid = e.walk.amid.is_some();
            if e.end.is_none() {
                e.look(self, server);
            }
            if e.end.is_none() {
                more |= e.step(self, server, until);
            }
            ended |= e.end.is_some();
            if e.awaited && was_amid && (e.walk.amid.is_none() || e.end.is_some()) {
                e.awaited = false;
                release = true;
            }
        }
        if ended {
            let most = server.log_of_slot_migrations();
            let now = server.clock.unix_s;
            for mut e in std::mem::take(&mut exports) {
                let Some(end) = e.end.take() else {
                    exports.push(e);
                    continue;
                };
                e.close(server);
                release |= e.is_paused();
                server.slot_migrations.remember(e.record, end, most, now);
            }
        }
        server.slot_migrations.exports = exports;
        if release {
            server.unblock_postponed_clients();
        }
        more
    }
}

impl Server {
    pub(super) fn log_of_slot_migrations(&self) -> usize {
        usize::try_from(self.config.cluster_slot_migration_log_max_len).unwrap_or(usize::MAX)
    }

    /// One of the keys of a call is such a one.
    fn names_key(&self, id: CommandId, args: &Args<'_>, is: impl Fn(&[u8]) -> bool) -> bool {
        let mut keys = KeyRefs::default();
        let command = self.commands.command(id);
        let _ = get_keys_from_command(command, args, KeySearch::RETURN_PARTIAL, &mut keys);
        keys.iter().any(|k| is(&args[k.pos]))
    }

    /// What is propagated goes to the targets of slots that move, too (clusterFeedSlotExportJobs).
    pub(crate) fn feed_slot_exports(&mut self, args: &Args<'_>) {
        if args.is(0, "multi") {
            self.slot_migrations.unit = Some(Vec::new());
            return;
        }
        if args.is(0, "exec") {
            let unit = self.slot_migrations.unit.take().unwrap_or_default();
            let ops: Vec<Args<'_>> = unit.iter().map(|op| op.as_args()).collect();
            return self.feed_unit(&ops);
        }
        match &mut self.slot_migrations.unit {
            Some(unit) => unit.push(args.to_owned()),
            None => self.feed_unit(std::slice::from_ref(args)),
        }
    }

    fn feed_unit(&mut self, ops: &[Args<'_>]) {
        let mut exports = std::mem::take(&mut self.slot_migrations.exports);
        for e in exports.iter_mut().filter(|e| e.is_fed() && e.end.is_none()) {
            e.feed(self, ops);
        }
        self.slot_migrations.exports = exports;
        self.wake_slot_migrations();
    }

    /// Whether a command that writes has to wait: its slot is about to leave, or its key is just being sent.
    #[cold]
    pub(in crate::cluster) fn slot_export_holds_back(
        &mut self,
        cid: ClientId,
        (id, flags, client_flags): (CommandId, CommandFlags, ClientFlags),
        args: &Args<'_>,
        slot: Option<u16>,
    ) -> bool {
        let runs_queued = flags.contains(CommandFlags::RUNS_QUEUED);
        let queues = client_flags.contains(ClientFlags::MULTI) && !runs_queued;
        let flags = match runs_queued {
            true => self.flags_inside_multi(cid, flags),
            false => flags,
        };
        if queues || !flags.intersects(CommandFlags::WRITE | CommandFlags::MAY_REPLICATE) {
            return false;
        }
        let exports = &self.slot_migrations.exports;
        let Some(slot) = slot else {
            // What a script without keys writes is not known.
            let runs = CommandFlags::RUNS_SCRIPT | CommandFlags::RUNS_QUEUED;
            return flags.intersects(runs) && exports.iter().any(Export::is_paused);
        };
        let Some(i) = exports.iter().position(|e| e.record.slots.contains(slot)) else {
            return false;
        };
        if exports[i].is_paused() {
            return true;
        }
        if exports[i].walk.amid.is_none() {
            return false;
        }
        let queue = self.clients.get(cid).and_then(|c| c.multi.as_deref());
        let held = match queue.filter(|_| runs_queued) {
            Some(queue) => queue
                .queued()
                .any(|(id, args)| self.names_key(id, &args, |k| exports[i].holds_key(k))),
            None => self.names_key(id, args, |k| exports[i].holds_key(k)),
        };
        if held {
            self.slot_migrations.exports[i].awaited = true;
        }
        held
    }
}

/// The socket to a target is ready.
fn export_ready(server: &mut Server, file: FileId, data: ClientData, mask: Mask) {
    server.exec.clock_stale = true;
    let mut exports = std::mem::take(&mut server.slot_migrations.exports);
    let found = exports.iter_mut().find(|e| e.id == data);
    if let Some(e) = found.filter(|e| e.link.as_ref().is_some_and(|l| l.file == file))
        && let Err(error) = e.progress(server, mask)
    {
        e.connection_lost(&strerror(&error));
        e.close(server);
    }
    server.slot_migrations.exports = exports;
    server.wake_slot_migrations();
}
