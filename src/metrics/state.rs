//! What the server keeps for metrics: sockets that listen, connections, the last hour, how long turns of the loop take.
//!
//! Invariant: there is a value of this exactly while something listens for metrics; a connection's event is removed by whoever
//! takes the connection out.

use std::collections::VecDeque;
use std::rc::Rc;

use slab::Slab;
use socket2::Socket;

use super::exposition::Exposition;
use super::history::History;
use crate::ae::FileId;
use crate::server::clients::connection::{Connection, ListenKind};
use crate::server::execution::command::CommandId;
use crate::server::measures::exponential::Exponential;
use crate::server::measures::watched::WatchedMaster;

/// Connections at the most: so many descriptors are kept for them.
pub(crate) const METRICS_CONNS_MAX: u64 = 64;

/// See the head of the file.
pub(crate) struct Metrics {
    pub listeners: Vec<MetricsListener>,
    pub conns: Slab<Conn>,
    pub history: History,
    /// How long turns of the loop took, since the listener was opened.
    pub loop_duration: Exponential,
    /// Scrapes so far, and microseconds that the last one took of the loop.
    pub scrapes: u64,
    pub last_scrape_us: u64,
    /// Accepting has failed: the sockets have no handler until the next second.
    pub held: bool,
    /// Milliseconds on the loop's clock of the last look by the cron.
    pub looked: u64,
    /// Full syncs that were seen under way or over, oldest first.
    pub syncs: VecDeque<SeenSync>,
    /// The clients that were replicas at the last look.
    pub seen: Vec<u64>,
    /// The page with its policy.
    pub page: Option<Page>,
}

/// A socket that listens.
pub(crate) struct MetricsListener {
    pub socket: Socket,
    pub kind: ListenKind,
    /// The path of a Unix socket, or the port.
    pub address: Vec<u8>,
    pub file: Option<FileId>,
}

/// The page as it is sent.
#[derive(Clone)]
pub(crate) struct Page {
    pub html: Rc<[u8]>,
    /// The header lines that say what it may load: nothing.
    pub policy: Rc<str>,
}

/// A full sync of a replica of ours, as it was seen last.
pub(crate) struct SeenSync {
    pub replica: String,
    pub reason: &'static str,
    /// Unix milliseconds of the first look at it, and of the look at which it was over.
    pub began: i64,
    pub ended: Option<i64>,
    /// It ended with the replica online.
    pub done: bool,
    /// The client, to tell it from others of the same replica.
    pub client: u64,
}

/// One connection.
pub(crate) struct Conn {
    pub conn: Connection,
    pub file: FileId,
    /// It comes from this host.
    pub is_local: bool,
    /// What has come of requests and is not served yet.
    pub input: Vec<u8>,
    /// What is to be sent, from `out_at` on.
    pub out: Vec<u8>,
    pub out_at: usize,
    /// What is still to be produced.
    pub work: Work,
    /// The connection stays open after this answer.
    pub keep_alive: bool,
    /// Milliseconds on the loop's clock of the last progress.
    pub progress: u64,
    /// When its first byte of a request came, ms on the loop's clock; none: it is idle.
    pub request_since: Option<u64>,
}

/// What a connection does.
pub(crate) enum Work {
    /// It waits for a request, or sends what is in `out`.
    None,
    /// A body that is there already, from a place on.
    Body(Rc<[u8]>, usize),
    Scrape(Box<Scrape>),
    /// The last hour, as the first event of a stream; then it is [`Work::Events`].
    FirstEvent(FirstEvent),
    /// A stream of events: one a second.
    Events,
}

/// A scrape while it is made. See `scrape.rs`.
pub(crate) struct Scrape {
    pub exposition: Exposition,
    /// The answer is in chunks.
    pub chunked: bool,
    /// The step, and how far within it.
    pub step: usize,
    pub at: usize,
    /// INFO's fields, in its order, of the sections that were read so far.
    pub fields: Vec<(String, String)>,
    /// What a Sentinel watches, as far as it was read.
    pub watched: Vec<WatchedMaster>,
    pub commands: Vec<CommandId>,
    /// Microseconds that it has taken so far.
    pub us: u64,
}

/// The first event while it is made: which series come next.
#[derive(Default)]
pub(crate) struct FirstEvent {
    pub step: usize,
}
