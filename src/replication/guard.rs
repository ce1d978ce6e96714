//! What a replica tells, and refuses, on its own: a link that does not work is named with its cure, attempts that fail are
//! spaced, and a master that came back without its data is not followed into the void (replica-refuse-empty-master).
//!
//! ```text
//!   an attempt ──finds what is wrong──► `link.found` ──ends──► `link.problem` ──a later one gets beyond its stage──► none
//!        ▲                                               │
//!        │                                               └► spaced by `link.pace`: a lost link comes back at once, and then
//!        └───────────── connect_when_due ◄────────────────  once a second; what never was up, or will fail again, waits ever
//!                                                           longer
//! ```
//!
//! A loop of replicas is found by the marks of `wire::replication::ring`. They go to the master with the handshake, for a loop need not have
//! a single link that is up, and then with the acknowledgement of each second.
//!
//! Invariants: every attempt that ends passes through [`Server::attempt_lost`] or [`Server::attempt_in_vain`]; a reason is
//! logged when it changes, not with each attempt; a refusal changes nothing of the data set or of the history that is known.

use std::io;

use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::master_link::MasterLink;
use crate::server::repl::Refusal;
use crate::server_log;
use crate::wire::replication::diagnose::{
    self, Disk, Ends, NoAnswer, NoConnection, Problem, Stage, Unloadable,
};
use crate::wire::replication::handshake::{Handshake, HandshakeState, Outcome};
use crate::wire::replication::replid::ReplId;

use super::id_text;
use super::link::LinkEnd;

/// The most milliseconds before a master that was refused is asked again, unless repl-sync-backoff-max is longer.
const ASK_AGAIN_MS: u64 = 30_000;
/// Seconds between two log lines on the same refusal.
const LOG_AGAIN: i64 = 3600;
/// Attempts that end alike before the next ones are only logged at verbose, where they may pass by themselves; those that
/// will not are so from the second on.
const LOGGED_ALIKE: u32 = 3;
/// A link that was up for so many milliseconds, and no longer, is lost for a reason that will be there next time; and one to a
/// master that refuses our REPLCONF, which ends with the acknowledgement of a second.
const SHORT_UP_MS: u64 = 1_000;
const REFUSED_UP_MS: u64 = 10_000;
/// Bytes of a problem's text at the most.
const TEXT_MAX: usize = 700;

impl Server {
    // Attempts and their ends -----------------------------------------------------------------------------------------

    /// The level of a line about an attempt: one that ends like those before it is not worth another.
    pub(crate) fn attempt_level(&self, level: Level) -> Level {
        let link = &self.repl.attempts;
        let logged = match &link.problem {
            Some(p) if p.lasting => 1,
            _ => LOGGED_ALIKE,
        };
        match link.alike < logged {
            true => level,
            false => level.min(Level::Verbose),
        }
    }

    /// Whether a step of the handshake is worth a line though others of its kind were not: the master offers another history
    /// than the refused one.
    pub(super) fn is_news(&self, outcome: &Outcome) -> bool {
        match (outcome, &self.repl.refusal) {
            (Outcome::Continue { .. }, _) => self.repl.attempts.alike == 0,
            (Outcome::FullResync(Some((id, _))), Some(r)) => *id != r.replid,
            _ => false,
        }
    }

    /// This attempt has found out what is wrong.
    pub(super) fn found(&mut self, problem: Problem) {
        self.repl.attempts.found = Some(problem);
    }

    /// The link has come so far: what was wrong up to there is no more.
    pub(super) fn link_reached(&mut self, stage: Stage) {
        let link = &mut self.repl.attempts;
        // Where the master's answer has said what will become of this attempt, going on after it proves nothing.
        if link.found.is_none() {
            link.problem.take_if(|p| p.stage <= stage);
        }
    }

    /// The link is up. Whether it stays so will be seen: see [`Self::link_was_up`].
    pub(super) fn link_is_up(&mut self) {
        let now = self.el.now_ms();
        let link = &mut self.repl.attempts;
        if link.refused.is_none() {
            link.problem = None;
        }
        link.found = None;
        link.was_up = true;
        link.up_at = now;
        link.pace.succeeded();
    }

    /// The link was up, and is lost. One that did not last is an attempt like those before it.
    pub(super) fn link_was_up(&mut self) {
        let up_ms = self.el.now_ms().saturating_sub(self.repl.attempts.up_at);
        let refused = self.repl.attempts.refused.take();
        match refused {
            Some(said) if up_ms < REFUSED_UP_MS => {
                let (host, port) = self.master_address();
                let text = diagnose::replconf_refused(&said, &host, port);
                self.link_problem(Problem::passing(Stage::Stream, text));
            }
            _ if up_ms < SHORT_UP_MS => {}
            _ => {
                self.repl.attempts.alike = 0;
                self.repl.attempts.told = None;
                return;
            }
        }
        let link = &mut self.repl.attempts;
        link.alike = link.alike.saturating_add(1);
    }

    /// A problem of the link with its cure: told once, shown in INFO until the link gets beyond it.
    fn link_problem(&mut self, mut problem: Problem) {
        // Part of it may be a name or a word of somebody else's.
        problem.text = problem.text.replace(char::is_control, "?");
        let mut end = problem.text.len().min(TEXT_MAX);
        while !problem.text.is_char_boundary(end) {
            end -= 1;
        }
        problem.text.truncate(end);
        let link = &mut self.repl.attempts;
        if link.told.as_ref() != Some(&problem.text) {
            server_log!(Level::Warning, "MASTER link problem: {}", problem.text);
            link.alike = 0;
            link.told = Some(problem.text.clone());
        }
        link.problem = Some(problem);
    }

    /// An attempt is over, and no link is up. True: the next one will end in the same way.
    fn attempt_ended(&mut self) -> bool {
        match self.repl.attempts.found.take() {
            Some(problem) => {
                let lasting = problem.lasting;
                self.link_problem(problem);
                self.repl.attempts.alike = self.repl.attempts.alike.saturating_add(1);
                lasting
            }
            None => {
                let link = &mut self.repl.attempts;
                link.problem = None;
                link.alike = match link.told.take() {
                    Some(_) => 1,
                    None => link.alike.saturating_add(1),
                };
                false
            }
        }
    }

    /// An attempt had got somewhere and was lost: the next one follows at once, or when it may.
    pub(super) fn attempt_lost(&mut self) {
        if self.attempt_ended() {
            return self.put_off();
        }
        let now = self.el.now_ms();
        let wait = match self.never_worked() {
            Some(most) => {
                let random = self.random.next_u64();
                let pace = &mut self.repl.attempts.pace;
                pace.never_worked(true, now, most, random)
            }
            None => self.repl.attempts.pace.lost(now),
        };
        if wait > 0 {
            return;
        }
        if let Some(host) = &self.repl.master_host {
            server_log!(
                self.attempt_level(Level::Notice),
                "Reconnecting to MASTER {}:{} after failure",
                host,
                self.repl.master_port
            );
        }
        self.connect_with_master();
    }

    /// An attempt got nowhere: the cron makes the next one when it is time.
    pub(super) fn attempt_in_vain(&mut self) {
        if self.attempt_ended() {
            return self.put_off();
        }
        let now = self.el.now_ms();
        match self.never_worked() {
            Some(most) => {
                let random = self.random.next_u64();
                let pace = &mut self.repl.attempts.pace;
                pace.never_worked(false, now, most, random)
            }
            None => self.repl.attempts.pace.in_vain(now),
        };
    }

    /// Whether attempts at this link are to be spaced as ones that may never work, and the most milliseconds between them: it
    /// never was up, and the master has neither said that it will be there in a while nor begun to send a snapshot.
    fn never_worked(&self) -> Option<u64> {
        let link = &self.repl.attempts;
        let most = self.sync_backoff_most();
        (most > 0 && !link.was_up && !link.promising).then_some(most)
    }

    /// Whether the master says that it is busy with what will end: it loads its data, or waits for its own master.
    fn says_later(&self, line: &[u8]) -> bool {
        if line.starts_with(b"-NOMASTERLINK") {
            let (host, port) = self.master_address();
            // A loop waits for itself.
            return self.ring_problem().is_none()
                && !self.master_is_myself()
                && !self.somebody_replicates_from_here(&host, port);
        }
        line.starts_with(b"-LOADING")
    }

    /// The next attempt waits, the longer the more have failed, by a time that differs from replica to replica
    /// (repl-sync-backoff-max).
    fn put_off(&mut self) {
        let most = self.sync_backoff_most();
        let most = match self.repl.refusal {
            Some(_) => most.max(ASK_AGAIN_MS),
            None => most,
        };
        let random = self.random.next_u64();
        let pace = &mut self.repl.attempts.pace;
        let delay = pace.failed(self.el.now_ms(), most, random);
        server_log!(
            self.attempt_level(Level::Notice),
            "The full sync failed {} times in a row: the next attempt is in {} milliseconds",
            self.repl.attempts.pace.failures(),
            delay
        );
    }

    /// The most milliseconds that a full sync waits because others failed before it.
    pub(super) fn sync_backoff_most(&self) -> u64 {
        u64::try_from(self.config.repl_sync_backoff_max).unwrap_or(0) * 1000
    }

    /// REPLICAOF with the master that there is already: it is not put off any longer.
    pub(crate) fn attempt_at_once(&mut self) {
        self.repl.attempts.pace.reset();
    }

    // What is wrong ---------------------------------------------------------------------------------------------------

    /// Master host and port, as configured.
    fn master_address(&self) -> (String, u16) {
        let host = self.repl.master_host.clone().unwrap_or_default();
        (host, self.repl.master_port)
    }

    /// The connection could not be made.
    pub(super) fn found_no_connection(&mut self, e: &io::Error) {
        use io::ErrorKind::*;
        let how = match e.kind() {
            ConnectionRefused => NoConnection::Refused,
            HostUnreachable | NetworkUnreachable | NetworkDown => NoConnection::NoRoute,
            AddrNotAvailable if self.config.bind_source_addr.is_some() => NoConnection::NoSource,
            _ => NoConnection::Other,
        };
        let (host, port) = self.master_address();
        let text = diagnose::diagnose_connect(how, &strerror(e), &host, port);
        self.found(Problem::passing(Stage::Connect, text));
    }

    /// The link has ended, or is given up, while an answer or the payload was awaited. What was found before says more.
    pub(super) fn found_end(&mut self, how: NoAnswer<'_>) {
        if self.repl.attempts.found.is_some() {
            return;
        }
        let (stage, said) = match &self.repl.link {
            MasterLink::Connecting(_) => (Stage::Connect, &[][..]),
            MasterLink::Handshake(h) => {
                let stage = match h.handshake.state() {
                    HandshakeState::ReceivePingReply => Stage::Greeting,
                    HandshakeState::ReceiveAuthReply => Stage::Auth,
                    _ => Stage::Psync,
                };
                (stage, h.line.unfinished())
            }
            _ => (Stage::Transfer, &[][..]),
        };
        let (host, port) = self.master_address();
        let stranger = match stage {
            Stage::Greeting => diagnose::diagnose_stranger(said, &host, port),
            _ => None,
        };
        let text = stranger.unwrap_or_else(|| diagnose::diagnose_end(stage, how, &host, port));
        self.found(Problem::passing(stage, text));
    }

    /// The link broke.
    pub(super) fn found_broken(&mut self, why: &LinkEnd) {
        match why {
            LinkEnd::Closed => self.found_end(NoAnswer::Closed),
            // One and the same, seen a moment sooner or later.
            LinkEnd::Failed(e)
                if matches!(e.raw_os_error(), Some(libc::ECONNRESET | libc::EPIPE)) =>
            {
                self.found_end(NoAnswer::Closed);
            }
            LinkEnd::Failed(e) => self.found_end(NoAnswer::Broken(&strerror(e))),
        }
    }

    fn handshake_state(&self) -> HandshakeState {
        let link = self.repl.link.handshake();
        link.map_or(HandshakeState::Done, |h| h.handshake.state())
    }

    /// The master has sent a line of the handshake. Errors that the handshake passes over say nothing: a master with a
    /// password answers the PING before AUTH with one.
    pub(super) fn diagnose_reply(&mut self, line: &[u8]) {
        if self.says_later(line) {
            self.repl.attempts.promising = true;
        }
        let stage = match self.handshake_state() {
            HandshakeState::ReceivePingReply if Handshake::accepts_greeting(line) => return,
            HandshakeState::ReceivePingReply => Stage::Greeting,
            HandshakeState::ReceiveAuthReply => Stage::Auth,
            HandshakeState::ReceivePsyncReply => Stage::Psync,
            // It is not in before it has authenticated: the answer to PSYNC will say so too, if the master waits so long.
            _ if line.starts_with(b"-NOAUTH") => Stage::Psync,
            // So do old masters with an option; one that refuses the command as such takes no acknowledgement either.
            _ if line.starts_with(b"-NOPERM") || line.starts_with(b"-ERR unknown command") => {
                self.repl.attempts.refused = Some(String::from_utf8_lossy(line).into_owned());
                return;
            }
            _ => return,
        };
        let (host, port) = self.master_address();
        if stage == Stage::Greeting
            && let Some(text) = diagnose::diagnose_stranger(line, &host, port)
        {
            self.found(Problem::passing(stage, text));
        } else if let Some(text) = self.cure_of_error(line) {
            self.found(Problem::passing(stage, text));
        } else if stage == Stage::Greeting {
            let text = diagnose::no_greeting(line, &host, port);
            self.found(Problem::passing(stage, text));
        }
    }

    /// The master announced a full sync, and sends an error in the place of the snapshot.
    pub(super) fn found_aborted(&mut self, why: &[u8]) {
        // The error to PSYNC, where SYNC was tried after it, says the same.
        if self.repl.attempts.found.is_some() {
            return;
        }
        let (host, port) = self.master_address();
        let line = [b"-", why].concat();
        let problem = match self.cure_of_error(&line) {
            Some(text) => Problem::passing(Stage::Psync, text),
            None => diagnose::aborted(why, &host, port),
        };
        self.found(problem);
    }

    /// Something else than a payload's header has come.
    pub(super) fn found_no_payload(&mut self, said: &[u8]) {
        let (host, port) = self.master_address();
        self.found(diagnose::no_payload(said, &host, port));
    }

    /// The payload does not end as it should.
    pub(super) fn found_damaged(&mut self, words: &str) {
        self.found(diagnose::unloadable(Unloadable::Damaged(words)));
    }

    /// The disk of this server does not take the payload.
    pub(super) fn found_disk(&mut self, what: Disk<'_>, e: &io::Error) {
        self.found(diagnose::disk(what, &strerror(e)));
    }

    /// What to do about an error reply of the master's, where that is known.
    fn cure_of_error(&self, line: &[u8]) -> Option<String> {
        if line.first() != Some(&b'-') {
            return None;
        }
        let (host, port) = self.master_address();
        if self.master_is_myself() {
            // Whatever it says, we said it.
            return Some(diagnose::myself(&host, port));
        }
        if line.starts_with(b"-NOMASTERLINK")
            && let Some(text) = self.ring_problem()
        {
            return Some(text);
        }
        let ends = Ends {
            host: &host,
            port,
            has_password: self.config.masterauth.is_some(),
            has_user: self.config.masteruser.is_some(),
            master_is_our_replica: self.somebody_replicates_from_here(&host, port),
        };
        diagnose::diagnose_reply(line, &ends)
    }

    // Loops -----------------------------------------------------------------------------------------------------------

    /// A client that has announced the port of our master, from the address of our master.
    fn somebody_replicates_from_here(&self, host: &str, port: u16) -> bool {
        let peer = self
            .repl
            .link
            .conn()
            .and_then(|c| c.sock.peer_addr().ok()?.as_socket())
            .map(|a| a.ip().to_canonical().to_string());
        let mut ids = self.clients.ids().into_iter();
        ids.any(|cid| {
            self.sits_at(cid, host, port) || peer.iter().any(|p| self.sits_at(cid, p, port))
        })
    }

    /// A client that is a replica, or is about to become one, and listens at this address.
    fn sits_at(&self, cid: ClientId, host: &str, port: u16) -> bool {
        self.replica(cid).is_some_and(|r| r.listening_port == port)
            && self.replica_ip(cid).as_deref() == Some(host)
    }

    /// The connection leads back here.
    fn master_is_myself(&self) -> bool {
        let ends = self.repl.link.conn().and_then(|c| {
            let local = c.sock.local_addr().ok()?.as_socket()?;
            let peer = c.sock.peer_addr().ok()?.as_socket()?;
            Some((local.ip(), peer.ip(), peer.port()))
        });
        ends.is_some_and(|(local, peer, port)| {
            let own = match self.config.tls_replication {
                true => self.config.tls_port,
                false => self.config.port,
            };
            diagnose::is_myself(local, peer, port, own)
        })
    }

    /// What we tell our master of those behind us.
    pub(super) fn marks_behind(&self) -> String {
        let replicas = !self.clients.slaves.is_empty();
        self.repl.ring.tell(self.repl.cron_loops, replicas)
    }

    /// A replica, or somebody who wants to be one, has told who is behind it.
    pub(crate) fn replica_tells_behind(&mut self, cid: ClientId, marks: &[u8]) {
        let name = self.replication_get_slave_name(cid);
        self.repl.ring.hear(marks, &name, self.repl.cron_loops);
    }

    /// The line for the loop of replicas that this server is part of.
    fn ring_problem(&self) -> Option<String> {
        let host = self.repl.master_host.as_deref()?;
        let ring = self.repl.ring.ring(self.repl.cron_loops)?;
        Some(diagnose::ring(
            host,
            self.repl.master_port,
            ring.servers,
            &ring.replica,
        ))
    }

    /// Once a second: is there a master at the end of our chain, or do we replicate from ourselves?
    pub(super) fn diagnose_loop(&mut self) {
        if self.repl.master_host.is_none() {
            return;
        }
        let (host, port) = self.master_address();
        let connected = self.repl.link.is_connected();
        let stage = match connected {
            true => Stage::Stream,
            false => Stage::Psync,
        };
        if let Some(text) = self.ring_problem() {
            return self.link_problem(Problem::passing(stage, text));
        }
        if !connected {
            return;
        }
        let mut replicas = self.clients.slaves.iter();
        if replicas.any(|s| self.sits_at(*s, &host, port)) {
            let text = diagnose::replica_loop(&host, port);
            return self.link_problem(Problem::passing(stage, text));
        }
        let now = self.el.now_ms();
        let link = &mut self.repl.attempts;
        let up_ms = now.saturating_sub(link.up_at);
        if up_ms >= REFUSED_UP_MS {
            link.refused = None;
        }
        if link.refused.is_none() {
            link.problem = None;
        }
        if up_ms >= SHORT_UP_MS && link.problem.is_none() {
            link.told = None;
            link.alike = 0;
        }
    }

    // A history that is refused ---------------------------------------------------------------------------------------

    /// Whether the full sync that the master offers is refused: its history is not ours, and not longer. A user's REPLICAOF is
    /// consent, for the sync that follows it.
    pub(super) fn refuses_full_sync(&mut self, history: Option<(ReplId, i64)>) -> bool {
        let Some((id, offset)) = history else {
            return false;
        };
        let (ours, upto) = match &self.repl.cached_master {
            Some(c) => (c.replid, c.reploff),
            None => (self.repl.replid, self.repl.log.master_repl_offset()),
        };
        let related = id == ours || id == self.repl.replid || id == self.repl.replid2;
        let empty = self.dbs.iter().all(|d| d.keys.is_empty());
        if !self.config.replica_refuse_empty_master
            || self.repl.full_sync_consent
            || empty
            || related
            || offset > upto
        {
            self.repl.refusal = None;
            return false;
        }
        let now = self.clock.unix_s;
        let told = self
            .repl
            .refusal
            .as_ref()
            .is_some_and(|r| r.replid == id && now - r.logged < LOG_AGAIN);
        self.repl.refused_syncs += 1;
        let (host, port) = self.master_address();
        let problem = diagnose::refused_history(&host, port);
        if !told {
            server_log!(
                Level::Warning,
                "Refusing a full sync: MASTER {}:{} has another history ({} up to {}), not longer than ours ({} up to {}). It has \
                 probably restarted without its data. This replica keeps what it has; send it REPLICAOF {} {} to accept the \
                 master's data, or REPLICAOF NO ONE to promote it.",
                host,
                port,
                id_text(&id),
                offset,
                id_text(&ours),
                upto,
                host,
                port
            );
            self.repl.refusal = Some(Refusal {
                replid: id,
                offset,
                logged: now,
            });
            // That line says it all.
            self.repl.attempts.told = Some(problem.text.clone());
            self.repl.attempts.problem = Some(problem.clone());
            self.repl.attempts.alike = 0;
        }
        self.found(problem);
        true
    }

    /// REPLICAOF with the master that is refused: the user accepts its data. False: none is refused.
    pub(crate) fn consent_to_refused_sync(&mut self) -> bool {
        if self.repl.refusal.take().is_none() {
            return false;
        }
        self.repl.full_sync_consent = true;
        self.attempt_at_once();
        true
    }
}
