//! What a client is called, and what is said of it in one word each (CLIENT_*, redisClient.flags).

// Flags of a client (CLIENT_* of server.h).
pub(crate) const CLIENT_SLAVE: u64 = 1 << 0;
pub(crate) const CLIENT_MASTER: u64 = 1 << 1;
pub(crate) const CLIENT_MONITOR: u64 = 1 << 2;
pub(crate) const CLIENT_MULTI: u64 = 1 << 3;
pub(crate) const CLIENT_BLOCKED: u64 = 1 << 4;
pub(crate) const CLIENT_DIRTY_CAS: u64 = 1 << 5;
/// Has no connection: the commands of scripts come from it.
pub(crate) const CLIENT_SCRIPT: u64 = 1 << 8;
pub(crate) const CLIENT_CLOSE_AFTER_REPLY: u64 = 1 << 6;
pub(crate) const CLIENT_UNBLOCKED: u64 = 1 << 7;
pub(crate) const CLIENT_ASKING: u64 = 1 << 9;
pub(crate) const CLIENT_CLOSE_ASAP: u64 = 1 << 10;
pub(crate) const CLIENT_UNIX_SOCKET: u64 = 1 << 11;
/// A command could not be queued: EXEC will refuse.
pub(crate) const CLIENT_DIRTY_EXEC: u64 = 1 << 12;
pub(crate) const CLIENT_MASTER_FORCE_REPLY: u64 = 1 << 13;
pub(crate) const CLIENT_READONLY: u64 = 1 << 17;
pub(crate) const CLIENT_PUBSUB: u64 = 1 << 18;
pub(crate) const CLIENT_REPLY_OFF: u64 = 1 << 22;
pub(crate) const CLIENT_REPLY_SKIP_NEXT: u64 = 1 << 23;
pub(crate) const CLIENT_REPLY_SKIP: u64 = 1 << 24;
pub(crate) const CLIENT_PROTECTED: u64 = 1 << 28;
/// CLIENT TRACKING, and its options.
pub(crate) const CLIENT_TRACKING: u64 = 1 << 31;
/// The client that it redirects its messages to is gone.
pub(crate) const CLIENT_TRACKING_BROKEN_REDIR: u64 = 1 << 32;
pub(crate) const CLIENT_TRACKING_BCAST: u64 = 1 << 33;
pub(crate) const CLIENT_TRACKING_OPTIN: u64 = 1 << 34;
pub(crate) const CLIENT_TRACKING_OPTOUT: u64 = 1 << 35;
/// CLIENT CACHING has been said for the next command.
pub(crate) const CLIENT_TRACKING_CACHING: u64 = 1 << 36;
pub(crate) const CLIENT_TRACKING_NOLOOP: u64 = 1 << 37;
/// Its commands may not wait: they run in a transaction or a script.
pub(crate) const CLIENT_DENY_BLOCKING: u64 = 1 << 41;
pub(crate) const CLIENT_NO_EVICT: u64 = 1 << 43;
pub(crate) const CLIENT_NO_TOUCH: u64 = 1 << 45;
/// Our master, while a script has been running for too long: its commands wait until that is over.
pub(crate) const CLIENT_HELD: u64 = 1 << 49;
/// Has no connection: replays a file, or runs a command for the server itself.
pub(crate) const CLIENT_FAKE: u64 = 1 << 48;
/// Has opened its protocol with an error: it is not read any more.
pub(crate) const CLIENT_PROTOCOL_ERROR: u64 = 1 << 50;
/// A replica whose command had a reply, for which there is no place on its link: it is closed.
pub(crate) const CLIENT_REPLY_ON_LINK: u64 = 1 << 51;
/// Was closed since the clients took too much memory; nobody sees it any more.
pub(crate) const CLIENT_EVICTED: u64 = 1 << 53;
/// A client with one of these gets no replies (the exceptions are handled where it matters).
pub(in crate::server) const NO_REPLY: u64 = CLIENT_CLOSE_ASAP
    | CLIENT_SLAVE
    | CLIENT_CLOSE_AFTER_REPLY
    | CLIENT_REPLY_OFF
    | CLIENT_REPLY_SKIP
    | CLIENT_MASTER
    | CLIENT_FAKE;

/// Names a client for ever: slab key and generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct ClientId {
    pub(super) key: u32,
    pub(super) generation: u32,
}

impl ClientId {
    /// As the event loop carries it.
    #[inline]
    pub(crate) fn to_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.key)
    }
    #[inline]
    pub(crate) fn from_data(data: u64) -> ClientId {
        ClientId {
            key: data as u32,
            generation: (data >> 32) as u32,
        }
    }
}
