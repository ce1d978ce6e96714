//! The replica's side of the replication handshake, from the connection's first event to the transfer, without sockets.
//!
//! Owns the order of commands, the reading of every reply, and the words upstream logs about them. Must not know sockets,
//! clients, timeouts or the store: the caller hands in reply lines and failures, and does what a [`Step`] says: logs its
//! lines, sends its bytes, acts on its outcome. Source: syncWithMaster, slaveTryPartialResynchronization,
//! readSyncBulkPayload and syncio.c of Redis 7.2.
//!
//! ```text
//! (connected) --> send PING --> ReceivePingReply
//!   +PONG, -NOAUTH, -NOPERM, -ERR operation not permitted --> SendHandshake:
//!     send [AUTH] REPLCONF listening-port .. [REPLCONF ip-address] REPLCONF capa .., all at once
//!   --> [ReceiveAuthReply] --> ReceivePortReply --> [ReceiveIpReply] --> ReceiveCapaReply --> SendPsync: send PSYNC
//!   --> ReceivePsyncReply --+FULLRESYNC--> Done: the payload follows
//!                           --+CONTINUE--> Done: the old stream goes on
//!                           --anything else but "try later"--> send SYNC --> Done: the payload follows
//! ```
//!
//! Invariants: the state moves only forward; once a step's outcome is an end, the machine takes no more lines. What was
//! sent decides which replies are awaited, whatever the configuration has become meanwhile. A line of the master is at
//! most what upstream's buffers hold, see [`LineReader`].

use memchr::memchr;

use crate::base::num::strtol;
use crate::wire::rdb::RDB_VERSION;
use crate::wire::replication::capabilities::{Capability, HEARS_BEHIND, ResumeRequest};
use crate::wire::replication::replid::{REPLID_LEN, ReplId};
use crate::wire::replication::upstream::{self, MasterAbove};
use crate::wire::resp;

/// Buffer for a reply line during the handshake, its end included.
pub(crate) const HANDSHAKE_LINE_SIZE: usize = 256;
/// Buffer for the line that precedes the RDB payload, its end included.
pub(crate) const BULK_HEADER_LINE_SIZE: usize = 1024;

/// States of the handshake; upstream's REPL_STATE_* of the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeState {
    /// Wait for PING's reply.
    ReceivePingReply,
    /// Send what follows PING. Passed through, never rested in.
    SendHandshake,
    /// Wait for AUTH's reply.
    ReceiveAuthReply,
    /// Wait for REPLCONF listening-port's reply.
    ReceivePortReply,
    /// Wait for REPLCONF ip-address' reply.
    ReceiveIpReply,
    /// Wait for REPLCONF capa's reply.
    ReceiveCapaReply,
    /// Send PSYNC. Passed through, never rested in.
    SendPsync,
    /// Wait for PSYNC's reply.
    ReceivePsyncReply,
    /// Over; the last step's outcome says how.
    Done,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogLevel {
    /// LL_NOTICE.
    Notice,
    /// LL_WARNING.
    Warning,
}

/// What upstream would log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    /// Severity.
    pub level: LogLevel,
    /// Text; what the master sent is in it as it came, but for bytes that are no UTF-8.
    pub text: String,
}

/// What the handshake needs to know of the server, read when a step needs it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HandshakeParams<'a> {
    /// `masteruser`.
    pub masteruser: Option<&'a [u8]>,
    /// `masterauth`.
    pub masterauth: Option<&'a [u8]>,
    /// `replica-announce-port`, else the TLS port where replication runs over TLS, else the port.
    pub listening_port: u16,
    /// `replica-announce-ip`.
    pub announce_ip: Option<&'a [u8]>,
    /// The history to go on with: the cached master's replication id, and the offset of the first byte not yet had.
    pub cached_master: Option<(&'a ReplId, i64)>,
    /// What there is of a snapshot whose transfer was interrupted; `None`: this replica does not resume.
    pub resume: Option<Option<ResumeRequest>>,
    /// What to tell of those behind this replica (`wire::replication::ring`); may be empty.
    pub behind: &'a str,
    /// This is a master that fails over to the instance it connects to.
    pub failover_in_progress: bool,
}

/// Where a step leaves the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Wait for the next line.
    Pending,
    /// A transient state of the master: close, connect again later.
    RetryLater,
    /// The handshake failed: close, connect again later.
    Error,
    /// The payload follows, and a new history begins: id and offset; `None` where the master's words made no sense, and no
    /// later PSYNC may be tried from it.
    FullResync(Option<(ReplId, i64)>),
    /// The stream goes on where it ended.
    Continue {
        /// The master's id, if it is not the one asked for: it is to become the first id, the old one the second.
        new_replid: Option<ReplId>,
    },
    /// The master knows no PSYNC: SYNC was sent, the payload follows, of a history without a name.
    FallBackToSync,
    /// The target of a failover did not take over: abort the failover ("Failover target rejected psync request").
    FailoverRejected,
}

/// What the caller is to do: log, send, act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Lines to log, in order.
    pub logs: Vec<LogLine>,
    /// Bytes to send to the master; may be empty.
    pub send: Vec<u8>,
    /// Where the handshake stands now.
    pub outcome: Outcome,
}

impl Step {
    fn new(outcome: Outcome) -> Self {
        Step {
            logs: Vec::new(),
            send: Vec::new(),
            outcome,
        }
    }

    fn notice(mut self, text: impl Into<String>) -> Self {
        self.logs.push(notice(text));
        self
    }

    fn warning(mut self, text: impl Into<String>) -> Self {
        self.logs.push(warning(text));
        self
    }

    fn command(mut self, args: &[&[u8]]) -> Self {
        push(&mut self.send, args);
        self
    }
}

pub(super) fn notice(text: impl Into<String>) -> LogLine {
    LogLine {
        level: LogLevel::Notice,
        text: text.into(),
    }
}

pub(super) fn warning(text: impl Into<String>) -> LogLine {
    LogLine {
        level: LogLevel::Warning,
        text: text.into(),
    }
}

fn push(out: &mut Vec<u8>, args: &[&[u8]]) {
    resp::push_command(out, args.iter().copied());
}

/// A line as upstream's C strings see it: up to the first NUL.
pub(super) fn c_string(line: &[u8]) -> &[u8] {
    memchr(0, line).map_or(line, |n| &line[..n])
}

pub(super) fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The handshake of one connection. See the head of the file.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    state: HandshakeState,
    auth_sent: bool,
    ip_sent: bool,
    /// The id sent with PSYNC.
    asked: Option<ReplId>,
    /// SYNC was sent in its place.
    sync_sent: bool,
    /// The master reads who is behind us.
    hears_behind: bool,
    /// The masters above the master, once it has said whether it has any.
    upstream: Option<Vec<MasterAbove>>,
}

impl Handshake {
    /// The connection is made: sends PING.
    pub(crate) fn begin() -> (Handshake, Step) {
        let handshake = Handshake {
            state: HandshakeState::ReceivePingReply,
            auth_sent: false,
            ip_sent: false,
            asked: None,
            sync_sent: false,
            hears_behind: false,
            upstream: None,
        };
        let step = Step::new(Outcome::Pending)
            .notice("Non blocking connect for SYNC fired the event.")
            .command(&[b"PING"]);
        (handshake, step)
    }

    /// The connection could not be made, so that there is no handshake; `why` is the system's text.
    pub(crate) fn not_connected(why: &str) -> Step {
        Step::new(Outcome::Error).warning(format!("Error condition on socket for SYNC: {why}"))
    }

    /// The master has said that it reads who is behind us.
    pub(crate) fn hears_behind(&self) -> bool {
        self.hears_behind
    }

    /// The masters above the master, once, when it has said whether it has any; what made no sense is as if it had said nothing.
    pub(crate) fn take_upstream(&mut self) -> Option<Vec<MasterAbove>> {
        self.upstream.take()
    }

    /// Whether the handshake goes on after this reply to PING: a master that wants a password may say so to it.
    pub(crate) fn accepts_greeting(line: &[u8]) -> bool {
        line.first() == Some(&b'+')
            || line.starts_with(b"-NOAUTH")
            || line.starts_with(b"-NOPERM")
            || line.starts_with(b"-ERR operation not permitted")
    }

    /// The present state.
    pub(crate) fn state(&self) -> HandshakeState {
        self.state
    }

    /// The master sent a line, given here without its end.
    pub(crate) fn on_reply(&mut self, line: &[u8], params: &HandshakeParams<'_>) -> Step {
        use HandshakeState::*;
        let line = c_string(line);
        let is_error = line.first() == Some(&b'-');
        match self.state {
            ReceivePingReply => {
                if !Self::accepts_greeting(line) {
                    let why = format!("Error reply to PING from master: '{}'", text(line));
                    return self.end(Outcome::Error).warning(why);
                }
                self.state = SendHandshake;
                let step = Step::new(Outcome::Pending)
                    .notice("Master replied to PING, replication can continue...");
                self.send_handshake(step, params)
            }
            ReceiveAuthReply if is_error => {
                let why = format!("Unable to AUTH to MASTER: {}", text(line));
                self.end(Outcome::Error).warning(why)
            }
            ReceiveAuthReply => {
                self.state = ReceivePortReply;
                Step::new(Outcome::Pending)
            }
            ReceivePortReply => {
                self.state = if self.ip_sent {
                    ReceiveIpReply
                } else {
                    ReceiveCapaReply
                };
                self.upstream = Some(upstream::hear(line).unwrap_or_default());
                optional("listening-port", is_error, line)
            }
            ReceiveIpReply => {
                self.state = ReceiveCapaReply;
                optional("ip-address", is_error, line)
            }
            ReceiveCapaReply => {
                self.state = SendPsync;
                self.hears_behind = line.strip_prefix(b"+") == Some(HEARS_BEHIND.as_bytes());
                self.send_psync(optional("capa", is_error, line), params)
            }
            ReceivePsyncReply => {
                self.slave_try_partial_resynchronization(line, params.failover_in_progress)
            }
            SendHandshake | SendPsync | Done => self.state_error(),
        }
    }

    fn send_handshake(&mut self, mut step: Step, params: &HandshakeParams<'_>) -> Step {
        self.auth_sent = params.masterauth.is_some();
        if let Some(auth) = params.masterauth {
            match params.masteruser {
                Some(user) => push(&mut step.send, &[b"AUTH", user, auth]),
                None => push(&mut step.send, &[b"AUTH", auth]),
            }
        }
        // From who is not authenticated a master takes ten words at a time: what there is to say is spread.
        let port = params.listening_port.to_string();
        let reads = Capability::Rdb(RDB_VERSION).word();
        let asks = Capability::Upstream.word();
        push(
            &mut step.send,
            &[
                b"REPLCONF",
                b"listening-port",
                port.as_bytes(),
                b"capa",
                &reads,
                b"capa",
                &asks,
            ],
        );
        self.ip_sent = params.announce_ip.is_some();
        if let Some(ip) = params.announce_ip {
            push(&mut step.send, &[b"REPLCONF", b"ip-address", ip]);
        }
        let offer = Capability::offer(params.resume, params.behind);
        let offer: Vec<Vec<u8>> = offer.iter().map(Capability::word).collect();
        let mut capa: Vec<&[u8]> = vec![b"REPLCONF"];
        for word in &offer {
            capa.extend([&b"capa"[..], word]);
        }
        push(&mut step.send, &capa);
        self.state = if self.auth_sent {
            HandshakeState::ReceiveAuthReply
        } else {
            HandshakeState::ReceivePortReply
        };
        step
    }

    fn send_psync(&mut self, mut step: Step, params: &HandshakeParams<'_>) -> Step {
        let (id, offset): (&[u8], i64) = match params.cached_master {
            Some((id, offset)) => {
                self.asked = Some(*id);
                step = step.notice(format!(
                    "Trying a partial resynchronization (request {}:{offset}).",
                    text(id)
                ));
                (id, offset)
            }
            None => {
                step = step.notice("Partial resynchronization not possible (no cached master)");
                (b"?", -1)
            }
        };
        let offset = offset.to_string();
        let args: [&[u8]; 4] = [b"PSYNC", id, offset.as_bytes(), b"FAILOVER"];
        let count = if params.failover_in_progress { 4 } else { 3 };
        self.state = HandshakeState::ReceivePsyncReply;
        step.command(&args[..count])
    }

    /// The reply to PSYNC: whether, and how, the stream goes on.
    fn slave_try_partial_resynchronization(&mut self, line: &[u8], failover: bool) -> Step {
        if line.is_empty() {
            // The master keeps the link alive while it prepares its answer.
            return Step::new(Outcome::Pending);
        }
        if line.starts_with(b"+FULLRESYNC") {
            self.state = HandshakeState::Done;
            let resync = parse_fullresync(line);
            let step = Step::new(Outcome::FullResync(resync));
            return match resync {
                Some((id, offset)) => {
                    step.notice(format!("Full resync from master: {}:{offset}", text(&id)))
                }
                None => step.warning("Master replied with wrong +FULLRESYNC syntax."),
            };
        }
        // Without a history to continue, this is no answer to what was asked.
        if line.starts_with(b"+CONTINUE")
            && let Some(asked) = self.asked
        {
            let new_replid = parse_continue(line).filter(|id| *id != asked);
            let mut step = self
                .end(Outcome::Continue { new_replid })
                .notice("Successful partial resynchronization with master.");
            if let Some(id) = new_replid {
                step = step.notice(format!("Master replication ID changed to {}", text(&id)));
            }
            return step
                .notice("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
        }
        let said = text(line);
        let (outcome, log) = if line.starts_with(b"-NOMASTERLINK") || line.starts_with(b"-LOADING")
        {
            let why =
                format!("Master is currently unable to PSYNC but should be in the future: {said}");
            (Outcome::RetryLater, notice(why))
        } else if line.starts_with(b"-ERR") {
            let why = format!("Master does not support PSYNC or is in error state (reply: {said})");
            (Outcome::FallBackToSync, notice(why))
        } else {
            let why = format!("Unexpected reply to PSYNC from master: {said}");
            (Outcome::FallBackToSync, warning(why))
        };
        let mut step = if failover {
            self.end(Outcome::FailoverRejected)
        } else {
            self.end(outcome)
        };
        step.logs.push(log);
        if step.outcome == Outcome::FallBackToSync {
            self.sync_sent = true;
            step.send.extend_from_slice(b"SYNC\r\n");
            step = step.notice("Retrying with SYNC...");
        }
        step
    }

    /// The connection failed, ended or timed out while a line was awaited; `why` is the system's text.
    pub(crate) fn on_read_error(&mut self, why: &str, failover_in_progress: bool) -> Step {
        let log = format!("Failed to read response from the server: {why}");
        if self.state != HandshakeState::ReceivePsyncReply {
            return self
                .end(Outcome::Error)
                .warning(log)
                .warning("Master did not respond to command during SYNC handshake");
        }
        let outcome = if failover_in_progress {
            Outcome::FailoverRejected
        } else {
            Outcome::RetryLater
        };
        self.end(outcome)
            .warning(log)
            .warning("Master did not reply to PSYNC, will try later")
    }

    /// The bytes of the last step could not be sent; `why` is the system's text. If PSYNC was among them, a failover is to
    /// be aborted ("Write error to failover target"): [`Self::state`] was `ReceivePsyncReply`.
    pub(crate) fn on_write_error(&mut self, why: &str) -> Step {
        let state = self.state;
        let step = self.end(Outcome::Error);
        const SENDING: &str = "Sending command to master in replication handshake";
        match state {
            _ if self.sync_sent => step.warning(format!("I/O error writing to MASTER: {why}")),
            HandshakeState::ReceivePsyncReply => step
                .warning(format!(
                    "Unable to send PSYNC to master: -Writing to master: {why}"
                ))
                .warning(format!("{SENDING}: Write error sending the PSYNC command.")),
            _ => step.warning(format!("{SENDING}: -Writing to master: {why}")),
        }
    }

    fn end(&mut self, outcome: Outcome) -> Step {
        self.state = HandshakeState::Done;
        Step::new(outcome)
    }

    /// A caller's mistake: an event that this state does not await.
    fn state_error(&mut self) -> Step {
        let why = format!(
            "syncWithMaster(): state machine error, state should be RECEIVE_PSYNC but is {:?}",
            self.state
        );
        self.end(Outcome::Error).warning(why)
    }
}

/// The step after a REPLCONF that old masters may not know.
fn optional(option: &str, is_error: bool, line: &[u8]) -> Step {
    let step = Step::new(Outcome::Pending);
    if !is_error {
        return step;
    }
    step.notice(format!(
        "(Non critical) Master does not understand REPLCONF {option}: {}",
        text(line)
    ))
}

/// Id and offset out of `+FULLRESYNC <40 bytes> <offset>`; `None` where the form is another.
///
/// The offset is what strtoll makes of the text: 0 where there is no number.
pub(crate) fn parse_fullresync(line: &[u8]) -> Option<(ReplId, i64)> {
    let at = memchr(b' ', line)?;
    let rest = &line[at + 1..];
    let id = ReplId::try_from(&rest[..memchr(b' ', rest)?]).ok()?;
    Some((id, strtol(&rest[REPLID_LEN + 1..]).0))
}

/// The new id out of `+CONTINUE <40 bytes>`, if there is one of that length (a master of PSYNC2).
pub(crate) fn parse_continue(line: &[u8]) -> Option<ReplId> {
    let rest = line.get(b"+CONTINUE ".len()..)?;
    let end = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
    ReplId::try_from(&rest[..end.unwrap_or(rest.len())]).ok()
}

/// Collects one line out of bytes that come piecemeal, as syncReadLine does with a buffer of `size` bytes: at most
/// `size - 1` characters; a longer line is cut there, and its rest is the next line.
#[derive(Clone, Debug)]
pub(crate) struct LineReader {
    line: Vec<u8>,
    size: usize,
    done: bool,
}

impl LineReader {
    /// A reader of lines up to `size - 1` bytes.
    pub(crate) fn new(size: usize) -> Self {
        LineReader {
            line: Vec::new(),
            size: size.max(2),
            done: false,
        }
    }

    /// Takes bytes up to the end of a line. Returns how many it took, which is all of them if the line is not complete,
    /// and the line once it is: without LF, and without a CR before that. What was not taken belongs to what comes next.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> (usize, Option<&[u8]>) {
        if std::mem::take(&mut self.done) {
            self.line.clear();
        }
        let room = self.size - 1 - self.line.len();
        let window = &bytes[..bytes.len().min(room)];
        let taken = match memchr(b'\n', window) {
            Some(n) => {
                self.line.extend_from_slice(&window[..n]);
                if self.line.last() == Some(&b'\r') {
                    self.line.pop();
                }
                self.done = true;
                n + 1
            }
            None => {
                self.line.extend_from_slice(window);
                self.done = self.line.len() == self.size - 1;
                window.len()
            }
        };
        (taken, self.done.then_some(self.line.as_slice()))
    }

    /// What is there of an unfinished line.
    pub(crate) fn unfinished(&self) -> &[u8] {
        if self.done { &[] } else { &self.line }
    }

    /// Bytes of an unfinished line.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> usize {
        self.unfinished().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &ReplId = b"0123456789abcdef0123456789abcdef01234567";
    const OTHER: &ReplId = b"ffffffffffffffffffffffffffffffffffffffff";

    fn params() -> HandshakeParams<'static> {
        HandshakeParams {
            listening_port: 6380,
            ..Default::default()
        }
    }

    fn full() -> HandshakeParams<'static> {
        HandshakeParams {
            masteruser: Some(b"user"),
            masterauth: Some(b"pa\0ss"),
            listening_port: 1,
            announce_ip: Some(b"10.0.0.1"),
            cached_master: Some((ID, 1001)),
            resume: None,
            behind: "",
            failover_in_progress: false,
        }
    }

    /// Brings a handshake into a state by good replies.
    fn in_state(state: HandshakeState, p: &HandshakeParams<'_>) -> Handshake {
        let mut h = Handshake::begin().0;
        for _ in 0..6 {
            if h.state() == state {
                return h;
            }
            h.on_reply(b"+OK", p);
        }
        panic!("{state:?} cannot be reached");
    }

    /// Feeds a reply byte by byte, and gives the one step that comes of it.
    fn drip(h: &mut Handshake, reply: &[u8], p: &HandshakeParams<'_>) -> Step {
        let mut lines = LineReader::new(HANDSHAKE_LINE_SIZE);
        let wire = [reply, b"\r\n"].concat();
        for (i, b) in wire.iter().enumerate() {
            let (taken, line) = lines.feed(std::slice::from_ref(b));
            assert_eq!(taken, 1);
            if let Some(line) = line {
                assert_eq!(i + 1, wire.len());
                return h.on_reply(line, p);
            }
        }
        panic!("no line");
    }

    fn n(s: &str) -> LogLine {
        notice(s)
    }

    fn w(s: &str) -> LogLine {
        warning(s)
    }

    /// State, reply, and what must come of it: next state, logs, bytes sent, outcome.
    fn check(
        p: &HandshakeParams<'_>,
        state: HandshakeState,
        reply: &str,
        next: HandshakeState,
        outcome: Outcome,
        logs: &[LogLine],
        send: &str,
    ) {
        let mut h = in_state(state, p);
        let step = drip(&mut h, reply.as_bytes(), p);
        let what = format!("{state:?} <- {reply:?}");
        assert_eq!(step.outcome, outcome, "{what}");
        assert_eq!(h.state(), next, "{what}");
        assert_eq!(step.logs, logs, "{what}");
        assert_eq!(text(&step.send), send, "{what}");
        if h.state() == HandshakeState::Done {
            assert_eq!(h.on_reply(b"+OK", p).outcome, Outcome::Error);
        }
    }

    const CAPA: &str = "*7\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n$4\r\ncapa\r\n$6\r\nbehind\r\n";
    const PORT: &str = "*7\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n6380\r\n$4\r\ncapa\r\n$6\r\nrdb:11\r\n$4\r\ncapa\r\n$8\r\nupstream\r\n";
    const PSYNC_NEW: &str = "*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n";

    #[test]
    fn the_capability_to_tell_who_is_behind() {
        let p = HandshakeParams {
            behind: "a,b",
            ..params()
        };
        let mut h = Handshake::begin().0;
        let sent = h.on_reply(b"+PONG", &p).send;
        assert!(sent.ends_with(b"$4\r\ncapa\r\n$10\r\nbehind:a,b\r\n"));
        // Only a master that says so is told more.
        for (reply, hears) in [
            ("+OK", false),
            ("+OK behind", true),
            ("+OK behindx", false),
            ("-OK behind", false),
            ("OK behind", false),
        ] {
            let mut h = in_state(HandshakeState::ReceiveCapaReply, &p);
            h.on_reply(reply.as_bytes(), &p);
            assert_eq!(h.hears_behind(), hears, "{reply}");
        }
    }

    #[test]
    fn the_masters_above_the_master() {
        let p = params();
        let one = vec![MasterAbove {
            address: "a:1".into(),
            up: true,
        }];
        for (reply, told) in [
            ("+OK upstream=a:1/up", one),
            ("+OK", Vec::new()),
            ("+OK upstream=a", Vec::new()),
            ("-ERR unknown", Vec::new()),
        ] {
            let mut h = in_state(HandshakeState::ReceivePortReply, &p);
            assert_eq!(h.take_upstream(), None);
            h.on_reply(reply.as_bytes(), &p);
            assert_eq!(h.take_upstream(), Some(told), "{reply}");
            assert_eq!(h.take_upstream(), None);
        }
    }

    #[test]
    fn connect() {
        let (h, step) = Handshake::begin();
        assert_eq!(step.send, b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(
            step.logs,
            [n("Non blocking connect for SYNC fired the event.")]
        );
        assert_eq!(h.state(), HandshakeState::ReceivePingReply);
    }

    #[test]
    fn ping_replies() {
        use HandshakeState::*;
        let p = params();
        let sent = format!("{PORT}{CAPA}");
        let go = [n("Master replied to PING, replication can continue...")];
        for ok in [
            "+PONG",
            "+",
            "+anything",
            "-NOAUTH Authentication required.",
            "-NOPERM this user has no permissions",
            "-ERR operation not permitted",
        ] {
            check(
                &p,
                ReceivePingReply,
                ok,
                ReceivePortReply,
                Outcome::Pending,
                &go,
                &sent,
            );
        }
        for bad in [
            "",
            "-ERR operation",
            "-LOADING Redis is loading the dataset in memory",
            "-MASTERDOWN Link with MASTER is down",
            "-DENIED Redis is running in protected mode",
            "$4",
            "HTTP/1.1 400 Bad Request",
        ] {
            let log = [w(&format!("Error reply to PING from master: '{bad}'"))];
            check(&p, ReceivePingReply, bad, Done, Outcome::Error, &log, "");
        }
    }

    #[test]
    fn all_commands_of_the_handshake_are_sent_at_once() {
        use HandshakeState::*;
        let p = full();
        let sent = format!(
            "*3\r\n$4\r\nAUTH\r\n$4\r\nuser\r\n$5\r\npa\0ss\r\n\
             *7\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$1\r\n1\r\n$4\r\ncapa\r\n$6\r\nrdb:11\r\n$4\r\ncapa\r\n$8\r\nupstream\r\n\
             *3\r\n$8\r\nREPLCONF\r\n$10\r\nip-address\r\n$8\r\n10.0.0.1\r\n{CAPA}"
        );
        let go = [n("Master replied to PING, replication can continue...")];
        check(
            &p,
            ReceivePingReply,
            "+PONG",
            ReceiveAuthReply,
            Outcome::Pending,
            &go,
            &sent,
        );
        let p = HandshakeParams {
            masterauth: Some(b"x"),
            ..params()
        };
        let sent = format!("*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n{PORT}{CAPA}");
        check(
            &p,
            ReceivePingReply,
            "+PONG",
            ReceiveAuthReply,
            Outcome::Pending,
            &go,
            &sent,
        );
        // A user without a password is not sent.
        let p = HandshakeParams {
            masteruser: Some(b"user"),
            ..params()
        };
        let sent = format!("{PORT}{CAPA}");
        check(
            &p,
            ReceivePingReply,
            "+PONG",
            ReceivePortReply,
            Outcome::Pending,
            &go,
            &sent,
        );
    }

    #[test]
    fn auth_and_replconf_replies() {
        use HandshakeState::*;
        let p = full();
        for ok in ["+OK", "", "$3"] {
            check(
                &p,
                ReceiveAuthReply,
                ok,
                ReceivePortReply,
                Outcome::Pending,
                &[],
                "",
            );
            check(
                &p,
                ReceivePortReply,
                ok,
                ReceiveIpReply,
                Outcome::Pending,
                &[],
                "",
            );
            check(
                &p,
                ReceiveIpReply,
                ok,
                ReceiveCapaReply,
                Outcome::Pending,
                &[],
                "",
            );
            check(
                &params(),
                ReceivePortReply,
                ok,
                ReceiveCapaReply,
                Outcome::Pending,
                &[],
                "",
            );
        }
        let bad = "-WRONGPASS invalid username-password pair or user is disabled.";
        let log = [w(&format!("Unable to AUTH to MASTER: {bad}"))];
        check(&p, ReceiveAuthReply, bad, Done, Outcome::Error, &log, "");
        let bad = "-ERR unknown command 'REPLCONF'";
        let not = |o: &str| {
            n(&format!(
                "(Non critical) Master does not understand REPLCONF {o}: {bad}"
            ))
        };
        check(
            &p,
            ReceivePortReply,
            bad,
            ReceiveIpReply,
            Outcome::Pending,
            &[not("listening-port")],
            "",
        );
        check(
            &p,
            ReceiveIpReply,
            bad,
            ReceiveCapaReply,
            Outcome::Pending,
            &[not("ip-address")],
            "",
        );
        let none = n("Partial resynchronization not possible (no cached master)");
        let logs = [not("capa"), none.clone()];
        check(
            &params(),
            ReceiveCapaReply,
            bad,
            ReceivePsyncReply,
            Outcome::Pending,
            &logs,
            PSYNC_NEW,
        );
        for ok in ["+OK", ""] {
            let logs = std::slice::from_ref(&none);
            check(
                &params(),
                ReceiveCapaReply,
                ok,
                ReceivePsyncReply,
                Outcome::Pending,
                logs,
                PSYNC_NEW,
            );
        }
    }

    #[test]
    fn psync_asks_for_the_history_it_has() {
        use HandshakeState::*;
        let id = text(ID);
        let logs = [n(&format!(
            "Trying a partial resynchronization (request {id}:1001)."
        ))];
        let sent = format!("*3\r\n$5\r\nPSYNC\r\n$40\r\n{id}\r\n$4\r\n1001\r\n");
        check(
            &full(),
            ReceiveCapaReply,
            "+OK",
            ReceivePsyncReply,
            Outcome::Pending,
            &logs,
            &sent,
        );
        let p = HandshakeParams {
            failover_in_progress: true,
            ..full()
        };
        let sent = format!("*4\r\n$5\r\nPSYNC\r\n$40\r\n{id}\r\n$4\r\n1001\r\n$8\r\nFAILOVER\r\n");
        check(
            &p,
            ReceiveCapaReply,
            "+OK",
            ReceivePsyncReply,
            Outcome::Pending,
            &logs,
            &sent,
        );
    }

    #[test]
    fn psync_replies() {
        use HandshakeState::*;
        let id = text(ID);
        let other = text(OTHER);
        for p in [params(), full()] {
            check(
                &p,
                ReceivePsyncReply,
                "",
                ReceivePsyncReply,
                Outcome::Pending,
                &[],
                "",
            );
            for (offset, value) in [
                ("0", 0),
                ("12", 12),
                ("-1", -1),
                ("x", 0),
                ("", 0),
                ("99999999999999999999", i64::MAX),
            ] {
                let line = format!("+FULLRESYNC {id} {offset}");
                let log = [n(&format!("Full resync from master: {id}:{value}"))];
                let out = Outcome::FullResync(Some((*ID, value)));
                check(&p, ReceivePsyncReply, &line, Done, out, &log, "");
            }
            for bad in [
                "+FULLRESYNC".to_string(),
                "+FULLRESYNC ".into(),
                format!("+FULLRESYNC {id}"),
                format!("+FULLRESYNC {id}0 1"),
                "+FULLRESYNC short 1".into(),
                format!("+FULLRESYNC  {id} 1"),
            ] {
                let log = [w("Master replied with wrong +FULLRESYNC syntax.")];
                check(
                    &p,
                    ReceivePsyncReply,
                    &bad,
                    Done,
                    Outcome::FullResync(None),
                    &log,
                    "",
                );
            }
            for later in [
                "-NOMASTERLINK Can't SYNC while not connected with my master",
                "-LOADING x",
            ] {
                let log = [n(&format!(
                    "Master is currently unable to PSYNC but should be in the future: {later}"
                ))];
                check(
                    &p,
                    ReceivePsyncReply,
                    later,
                    Done,
                    Outcome::RetryLater,
                    &log,
                    "",
                );
            }
            let retry = n("Retrying with SYNC...");
            let bad = "-ERR unknown command 'PSYNC'";
            let why = n(&format!(
                "Master does not support PSYNC or is in error state (reply: {bad})"
            ));
            check(
                &p,
                ReceivePsyncReply,
                bad,
                Done,
                Outcome::FallBackToSync,
                &[why, retry.clone()],
                "SYNC\r\n",
            );
            for odd in [
                "-NOAUTH Authentication required.",
                "+OK",
                "$10",
                ":1",
                "nonsense",
                "\x01",
            ] {
                let why = w(&format!("Unexpected reply to PSYNC from master: {odd}"));
                check(
                    &p,
                    ReceivePsyncReply,
                    odd,
                    Done,
                    Outcome::FallBackToSync,
                    &[why, retry.clone()],
                    "SYNC\r\n",
                );
            }
        }
        let good = n("Successful partial resynchronization with master.");
        let taken = n("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
        for same in [
            "+CONTINUE".to_string(),
            "+CONTINUE ".into(),
            "+CONTINUE short".into(),
            format!("+CONTINUE {id}"),
        ] {
            let out = Outcome::Continue { new_replid: None };
            check(
                &full(),
                ReceivePsyncReply,
                &same,
                Done,
                out,
                &[good.clone(), taken.clone()],
                "",
            );
        }
        let new = format!("+CONTINUE {other}");
        let out = Outcome::Continue {
            new_replid: Some(*OTHER),
        };
        let changed = n(&format!("Master replication ID changed to {other}"));
        check(
            &full(),
            ReceivePsyncReply,
            &new,
            Done,
            out,
            &[good, changed, taken],
            "",
        );
        // Nothing was asked to be continued.
        let why = w(&format!("Unexpected reply to PSYNC from master: {new}"));
        let logs = [why, n("Retrying with SYNC...")];
        check(
            &params(),
            ReceivePsyncReply,
            &new,
            Done,
            Outcome::FallBackToSync,
            &logs,
            "SYNC\r\n",
        );
    }

    #[test]
    fn a_failover_ends_where_its_target_does_not_take_over() {
        let p = HandshakeParams {
            failover_in_progress: true,
            ..full()
        };
        for (reply, logs) in [("-LOADING x", 1), ("-ERR no", 1), ("+what", 1)] {
            let mut h = in_state(HandshakeState::ReceivePsyncReply, &p);
            let step = h.on_reply(reply.as_bytes(), &p);
            assert_eq!(step.outcome, Outcome::FailoverRejected);
            assert_eq!((step.logs.len(), step.send.len()), (logs, 0));
        }
        let mut h = in_state(HandshakeState::ReceivePsyncReply, &p);
        assert_eq!(
            h.on_read_error("x", true).outcome,
            Outcome::FailoverRejected
        );
        let mut h = in_state(HandshakeState::ReceivePsyncReply, &p);
        assert_eq!(
            h.on_reply(b"+CONTINUE", &p).outcome,
            Outcome::Continue { new_replid: None }
        );
    }

    #[test]
    fn failures_of_the_link_in_every_state() {
        use HandshakeState::*;
        let p = full();
        for state in [
            ReceivePingReply,
            ReceiveAuthReply,
            ReceivePortReply,
            ReceiveIpReply,
            ReceiveCapaReply,
        ] {
            let step = in_state(state, &p).on_read_error("Connection timed out", false);
            assert_eq!(step.outcome, Outcome::Error);
            let logs = [
                w("Failed to read response from the server: Connection timed out"),
                w("Master did not respond to command during SYNC handshake"),
            ];
            assert_eq!(step.logs, logs);
            let step = in_state(state, &p).on_write_error("Broken pipe");
            assert_eq!(step.outcome, Outcome::Error);
            let log = "Sending command to master in replication handshake: -Writing to master: Broken pipe";
            assert_eq!(step.logs, [w(log)]);
        }
        let mut h = in_state(ReceivePsyncReply, &p);
        let step = h.on_read_error("Connection reset by peer", false);
        assert_eq!(step.outcome, Outcome::RetryLater);
        let logs = [
            w("Failed to read response from the server: Connection reset by peer"),
            w("Master did not reply to PSYNC, will try later"),
        ];
        assert_eq!(step.logs, logs);
        let step = in_state(ReceivePsyncReply, &p).on_write_error("Broken pipe");
        let logs = [
            w("Unable to send PSYNC to master: -Writing to master: Broken pipe"),
            w(
                "Sending command to master in replication handshake: Write error sending the PSYNC command.",
            ),
        ];
        assert_eq!(
            (step.logs.as_slice(), step.outcome),
            (logs.as_slice(), Outcome::Error)
        );
        let mut h = in_state(ReceivePsyncReply, &p);
        h.on_reply(b"-ERR no", &p);
        let step = h.on_write_error("Broken pipe");
        assert_eq!(step.logs, [w("I/O error writing to MASTER: Broken pipe")]);
        let step = Handshake::not_connected("Connection refused");
        assert_eq!(
            step.logs,
            [w("Error condition on socket for SYNC: Connection refused")]
        );
        assert_eq!(step.outcome, Outcome::Error);
    }

    #[test]
    fn what_was_sent_decides_what_is_awaited() {
        let mut h = Handshake::begin().0;
        h.on_reply(b"+PONG", &params());
        // A password and an address that come too late.
        h.on_reply(b"+OK", &full());
        assert_eq!(h.state(), HandshakeState::ReceiveCapaReply);
        let mut h = Handshake::begin().0;
        h.on_reply(b"+PONG", &full());
        h.on_reply(b"+OK", &params());
        assert_eq!(h.state(), HandshakeState::ReceivePortReply);
        h.on_reply(b"+OK", &params());
        assert_eq!(h.state(), HandshakeState::ReceiveIpReply);
    }

    #[test]
    fn whatever_a_master_says_the_machine_goes_forward_and_ends() {
        let words: [&[u8]; 10] = [
            b"",
            b"+",
            b"-",
            b"$",
            b"+FULLRESYNC",
            b"+CONTINUE",
            b"+CONTINUE ",
            b"-ERR",
            b"\xff\xfe",
            b"+FULLRESYNC 0123456789abcdef0123456789abcdef01234567 99",
        ];
        // Every sequence of four of them, from every state that awaits a line.
        for n in 0..words.len().pow(4) {
            for p in [params(), full()] {
                let mut h = Handshake::begin().0;
                let mut state = h.state();
                for i in 0..4 {
                    let step = h.on_reply(words[n / words.len().pow(i) % words.len()], &p);
                    assert!(h.state() as u8 >= state as u8);
                    state = h.state();
                    let over = state == HandshakeState::Done;
                    assert_eq!(over, step.outcome != Outcome::Pending);
                    if over {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn a_nul_ends_a_line() {
        let mut h = in_state(HandshakeState::ReceivePingReply, &params());
        let step = h.on_reply(b"-bad\0hidden", &params());
        assert_eq!(step.logs, [w("Error reply to PING from master: '-bad'")]);
    }

    #[test]
    fn lines() {
        let feed_all = |size: usize, mut bytes: &[u8], step: usize| {
            let mut r = LineReader::new(size);
            let mut lines: Vec<Vec<u8>> = Vec::new();
            while !bytes.is_empty() {
                let (taken, line) = r.feed(&bytes[..step.min(bytes.len())]);
                assert!(taken > 0);
                lines.extend(line.map(Into::into));
                bytes = &bytes[taken..];
            }
            (lines, r.pending())
        };
        let cases: &[(&[u8], &[&str], usize)] = &[
            (b"+PONG\r\n", &["+PONG"], 0),
            (b"\n", &[""], 0),
            (b"\r\n", &[""], 0),
            (b"\n\n+OK\r\n+", &["", "", "+OK"], 1),
            (b"a\rb\r\r\n", &["a\rb\r"], 0),
            (b"no end", &[], 6),
            (b"0123456789abcde\r\n", &["0123456789abcde", ""], 0),
            (b"0123456789abcd\r\n", &["0123456789abcd\r", ""], 0),
            (b"0123456789abcd\n", &["0123456789abcd"], 0),
            (b"0123456789abcdefgh\r\n", &["0123456789abcde", "fgh"], 0),
        ];
        for (bytes, want, pending) in cases {
            for step in 1..=bytes.len() {
                let (lines, left) = feed_all(16, bytes, step);
                let lines: Vec<_> = lines.iter().map(|l| text(l)).collect();
                assert_eq!(
                    (lines, left),
                    (want.iter().map(|&s| s.into()).collect(), *pending),
                    "{}",
                    text(bytes)
                );
            }
        }
    }
}
