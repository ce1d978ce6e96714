//! The link to our master: one value, which owns all that its state needs. The code is in `replication/`, which draws the states.
//!
//! Invariants: a socket that is no client yet is in exactly one place, here, together with its event; what belongs to a state
//! goes with it. An event is removed by whoever takes the socket out.

use std::fs::File;
use std::path::PathBuf;

use crate::ae::FileId;
use crate::server::clients::connection::Connection;
use crate::server::clients::flags::ClientId;
use crate::server::clients::link_io::LinkState;
use crate::wire::rdb::FrameCheck;
use crate::wire::replication::capabilities::SnapshotId;
use crate::wire::replication::handshake::{Handshake, LineReader};
use crate::wire::replication::payload::EofMark;
use crate::wire::replication::replid::ReplId;

/// Our side of the link to the master (REPL_STATE_*).
#[derive(Default)]
pub(crate) enum MasterLink {
    /// Not a replica.
    #[default]
    None,
    /// Must connect.
    Connect,
    /// The connection is being made.
    Connecting(LinkSocket),
    Handshake(HandshakeLink),
    /// Receiving the RDB, or loading it.
    Transfer(Box<Transfer>),
    /// The link is a client, whose commands are the stream.
    Connected(ClientId),
}

/// The socket of a link that is no client yet.
pub(crate) struct LinkSocket {
    pub sock: Connection,
    pub file: FileId,
    /// Unix seconds of the last input.
    pub last_io: i64,
}

/// A link in its handshake.
pub(crate) struct HandshakeLink {
    pub conn: LinkSocket,
    pub handshake: Handshake,
    /// The line that is coming.
    pub line: LineReader,
    /// Bytes that the socket has not taken yet.
    pub out: Vec<u8>,
}

/// A connection to our master beside the link, which asks for one thing and is closed.
pub(crate) struct Inquiry {
    pub conn: LinkSocket,
    /// Once it is up, the question is sent.
    pub state: LinkState,
    /// Lines of the answer that precede the one of interest.
    pub skip: usize,
    pub line: LineReader,
}

/// The history that a master's stream belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    pub replid: ReplId,
    /// The offset at which the stream begins; -1: the master counts nothing, its stream cannot be asked for again.
    pub offset: i64,
}

/// How a payload's end is known.
pub(crate) enum PayloadEnd {
    /// The header line has not come yet.
    Unknown,
    /// After this many bytes.
    Size(u64),
    /// At these forty bytes.
    Mark(EofMark),
}

/// Where a payload goes.
pub(crate) enum PayloadTo {
    /// Into a temporary file.
    File { file: File, path: PathBuf },
    /// Into the data set, as it comes; the first bytes are held back until the file's header is known.
    Parser { held: Vec<u8> },
    /// It is being loaded: what it came into is the loader's.
    Loading,
}

/// An RDB payload on its way from the master.
pub(crate) struct Transfer {
    pub conn: LinkSocket,
    /// Whose data they are.
    pub history: History,
    pub to: PayloadTo,
    pub end: PayloadEnd,
    /// The snapshot's name, if the master may send the rest of it over another link.
    pub snapshot: Option<SnapshotId>,
    /// Tells whether what has come is a whole RDB file.
    pub frame: FrameCheck,
    /// Bytes read, and bytes known to be on the disk.
    pub read: u64,
    pub synced: u64,
    pub header: LineReader,
}

impl MasterLink {
    /// As ROLE shows it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            MasterLink::None => "none",
            MasterLink::Connect => "connect",
            MasterLink::Connecting(_) => "connecting",
            MasterLink::Handshake(_) => "handshake",
            MasterLink::Transfer(_) => "sync",
            MasterLink::Connected(_) => "connected",
        }
    }

    #[inline]
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self, MasterLink::Connected(_))
    }

    /// The master's client, once the link is one.
    #[inline]
    pub(crate) fn client(&self) -> Option<ClientId> {
        match self {
            MasterLink::Connected(cid) => Some(*cid),
            _ => None,
        }
    }

    /// The socket of a link that is no client yet.
    pub(crate) fn conn(&self) -> Option<&LinkSocket> {
        match self {
            MasterLink::Connecting(conn) => Some(conn),
            MasterLink::Handshake(h) => Some(&h.conn),
            MasterLink::Transfer(t) => Some(&t.conn),
            MasterLink::None | MasterLink::Connect | MasterLink::Connected(_) => None,
        }
    }

    pub(crate) fn conn_mut(&mut self) -> Option<&mut LinkSocket> {
        match self {
            MasterLink::Connecting(conn) => Some(conn),
            MasterLink::Handshake(h) => Some(&mut h.conn),
            MasterLink::Transfer(t) => Some(&mut t.conn),
            MasterLink::None | MasterLink::Connect | MasterLink::Connected(_) => None,
        }
    }

    /// The event of a link that is no client yet.
    pub(crate) fn file(&self) -> Option<FileId> {
        self.conn().map(|c| c.file)
    }

    pub(crate) fn handshake(&self) -> Option<&HandshakeLink> {
        match self {
            MasterLink::Handshake(h) => Some(h),
            _ => None,
        }
    }

    pub(crate) fn handshake_mut(&mut self) -> Option<&mut HandshakeLink> {
        match self {
            MasterLink::Handshake(h) => Some(h),
            _ => None,
        }
    }

    pub(crate) fn transfer(&self) -> Option<&Transfer> {
        match self {
            MasterLink::Transfer(t) => Some(t),
            _ => None,
        }
    }

    pub(crate) fn transfer_mut(&mut self) -> Option<&mut Transfer> {
        match self {
            MasterLink::Transfer(t) => Some(t),
            _ => None,
        }
    }

    /// Gives up a link that is no client yet: the next thing to do is to connect. Returns what it was.
    pub(crate) fn take_unfinished(&mut self) -> Option<MasterLink> {
        self.conn()?;
        Some(std::mem::replace(self, MasterLink::Connect))
    }

    /// The socket out of a link that is no client yet; what else the link had is dropped.
    pub(crate) fn into_conn(self) -> Option<LinkSocket> {
        match self {
            MasterLink::Connecting(conn) => Some(conn),
            MasterLink::Handshake(h) => Some(h.conn),
            MasterLink::Transfer(t) => Some(t.conn),
            MasterLink::None | MasterLink::Connect | MasterLink::Connected(_) => None,
        }
    }
}
