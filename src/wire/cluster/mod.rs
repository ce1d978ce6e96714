//! The binary messages of the cluster bus, as 7.0 and 7.2 speak it (cluster.h of Redis 7.2): how they are written, and how they are read
//! without believing anything in them.
//!
//! ```text
//! byte 0     "RCmb"                     2128  master's name, or zeros      40
//!      4     length of all, u32         2168  announced address            46
//!      8     version (1), u16           2214  number of extensions, u16
//!     10     port, u16                  2216  unused                       30
//!     12     type, u16                  2246  the other port, u16
//!     14     gossip entries, u16        2248  bus port, u16
//!     16     current epoch, u64         2250  flags of the sender, u16
//!     24     config epoch, u64          2252  state of the cluster, u8
//!     32     replication offset, u64    2253  flags of the message         3
//!     40     sender's name     40       2256  what the type asks for
//!     80     slots           2048
//! ```
//!
//! A message of pub/sub to a node that says that it understands that has a header of 16 bytes, without all that stands there of its sender.
//!
//! All numbers are in network byte order. `port` is the one that the cluster itself uses (TLS with `tls-cluster`), the other port is
//! the other one.
//!
//! Invariants: what is read lies within the message's own length; names have forty characters of a-z and 0-9; addresses and names of
//! hosts have only characters that can stand in nodes.conf. Must not know: sockets, clocks, who is who.

mod format;
pub(crate) mod name;
mod read;
pub(crate) mod slot_set;
mod write;

#[cfg(test)]
pub(crate) use format::{CLUSTER_NAMELEN, HEADER_LEN};
pub(crate) use format::{
    KINDS, Kind, MessageFlags, NodeFlags, is_address, is_hostname, is_nodename,
};
pub(crate) use read::{
    Body, Gossip, Light, Message, PacketError, announced_length, parse, parse_light,
};
pub(crate) use write::{Header, MessageWriter, UpdateOf, light_publish};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::all_kinds as sound_messages;
