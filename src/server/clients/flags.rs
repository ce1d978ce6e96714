//! What a client is called, and what is said of it in one word each (CLIENT_*, redisClient.flags).

use bitflags::bitflags;

bitflags! {
    /// What a client is, is about to be, or has asked for (CLIENT_* of server.h).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ClientFlags: u64 {
        const SLAVE = 1 << 0;
        const MASTER = 1 << 1;
        const MONITOR = 1 << 2;
        const MULTI = 1 << 3;
        const BLOCKED = 1 << 4;
        const DIRTY_CAS = 1 << 5;
        const CLOSE_AFTER_REPLY = 1 << 6;
        const UNBLOCKED = 1 << 7;
        /// Has no connection: the commands of scripts come from it.
        const SCRIPT = 1 << 8;
        const ASKING = 1 << 9;
        const CLOSE_ASAP = 1 << 10;
        const UNIX_SOCKET = 1 << 11;
        /// A command could not be queued: EXEC will refuse.
        const DIRTY_EXEC = 1 << 12;
        const MASTER_FORCE_REPLY = 1 << 13;
        /// ASKING has been said for the next command.
        const ASKING_NEXT = 1 << 14;
        const READONLY = 1 << 17;
        const PUBSUB = 1 << 18;
        const REPLY_OFF = 1 << 22;
        const REPLY_SKIP_NEXT = 1 << 23;
        const REPLY_SKIP = 1 << 24;
        /// SCRIPT DEBUG: its scripts are debugged, in a forked process or, with the other one, in this one.
        const LUA_DEBUG = 1 << 25;
        const LUA_DEBUG_SYNC = 1 << 26;
        const PROTECTED = 1 << 28;
        /// CLIENT TRACKING, and its options.
        const TRACKING = 1 << 31;
        /// The client that it redirects its messages to is gone.
        const TRACKING_BROKEN_REDIR = 1 << 32;
        const TRACKING_BCAST = 1 << 33;
        const TRACKING_OPTIN = 1 << 34;
        const TRACKING_OPTOUT = 1 << 35;
        /// CLIENT CACHING has been said for the next command.
        const TRACKING_CACHING = 1 << 36;
        const TRACKING_NOLOOP = 1 << 37;
        /// Its commands may not wait: they run in a transaction or a script.
        const DENY_BLOCKING = 1 << 41;
        const NO_EVICT = 1 << 43;
        const NO_TOUCH = 1 << 45;
        /// Has no connection: replays a file, or runs a command for the server itself.
        const FAKE = 1 << 48;
        /// Our master, while a script has been running for too long: its commands wait until that is over.
        const HELD = 1 << 49;
        /// Has opened its protocol with an error: it is not read any more.
        const PROTOCOL_ERROR = 1 << 50;
        /// A replica whose command had a reply, for which there is no place on its link: it is closed.
        const REPLY_ON_LINK = 1 << 51;
        /// Was closed since the clients took too much memory; nobody sees it any more.
        const EVICTED = 1 << 53;
        /// Its user may not do everything: what it asks for is looked at.
        const RESTRICTED = 1 << 56;
        /// A node of the cluster that sends slots with their keys.
        const IMPORT = 1 << 57;
        /// Its connection is that of a forked session of the debugger: here it is forgotten, not ended.
        const HANDED_OVER = 1 << 55;
    }
}

impl ClientFlags {
    /// All of these together.
    pub(crate) const fn of(mut flags: &[ClientFlags]) -> ClientFlags {
        let mut all = ClientFlags::empty();
        while let [flag, rest @ ..] = flags {
            all = all.union(*flag);
            flags = rest;
        }
        all
    }
}

/// A client with one of these gets no replies (the exceptions are handled where it matters).
pub(in crate::server) const NO_REPLY: ClientFlags = ClientFlags::of(&[
    ClientFlags::CLOSE_ASAP,
    ClientFlags::SLAVE,
    ClientFlags::CLOSE_AFTER_REPLY,
    ClientFlags::REPLY_OFF,
    ClientFlags::REPLY_SKIP,
    ClientFlags::MASTER,
    ClientFlags::FAKE,
]);

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
