//! Messages of the bus, taken apart (the checks at the begin of clusterProcessPacket). A message that is cut, forged or wild is an error.

use std::fmt;

use super::format::{
    AT_CONFIG_EPOCH, AT_COUNT, AT_CPORT, AT_CURRENT_EPOCH, AT_EXTENSIONS, AT_FLAGS, AT_LENGTH,
    AT_MFLAGS, AT_MYIP, AT_OFFSET, AT_PORT, AT_PPORT, AT_SENDER, AT_SLAVEOF, AT_SLOTS, AT_TYPE,
    AT_VERSION, CLUSTER_NAMELEN, CLUSTER_PROTO_VER, EXT_FORGOTTEN_NODE, EXT_HOSTNAME,
    EXT_HUMAN_NODENAME, EXT_SHARDID, EXTENSION_HEAD, GOSSIP_LEN, HEADER_LEN, Kind, LIGHT,
    LIGHT_HEADER_LEN, MessageFlags, NET_IP_STR_LEN, NodeFlags, SIGNATURE, SLOT_BYTES, is_address,
    is_hostname, is_nodename,
};
use super::name::Name;
use super::slot_set::SlotBits;

/// Why a message is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PacketError {
    /// Not a message of this bus, or shorter than any: the connection is of no use any more.
    Signature,
    /// Of another version of the protocol.
    Version,
    /// Its length is not what its content takes.
    Length {
        kind: &'static str,
        is: u64,
        expected: u64,
    },
    /// An extension's length is no multiple of eight.
    Padding { kind: &'static str, len: u32 },
    /// An extension goes on behind the end.
    Extension { kind: &'static str, is: u64 },
    /// A name or an address has characters that none has.
    Text,
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PacketError::Signature => f.write_str("Bad message length or signature received"),
            PacketError::Version => {
                f.write_str("Received a packet of another version of the protocol")
            }
            PacketError::Length { kind, is, expected } => write!(
                f,
                "Received invalid {kind} packet of length {is} but expected length {expected}"
            ),
            PacketError::Padding { kind, len } => write!(
                f,
                "Received a {kind} packet without proper padding ({len} bytes)"
            ),
            PacketError::Extension { kind, is } => write!(
                f,
                "Received invalid {kind} packet with extension data that exceeds total packet length ({is})"
            ),
            PacketError::Text => {
                f.write_str("Received a packet with a name or an address that is none")
            }
        }
    }
}

/// What is told of a third node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gossip<'a> {
    pub name: Name,
    /// Unix seconds.
    pub ping_sent_s: u32,
    pub pong_received_s: u32,
    pub ip: &'a str,
    pub port: u16,
    pub cport: u16,
    pub flags: NodeFlags,
    pub pport: u16,
}

/// What the type asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// PING, PONG and MEET.
    Ping {
        gossip: Vec<Gossip<'a>>,
        hostname: Option<String>,
        human_nodename: Option<String>,
        shard_id: Option<Name>,
        /// Nodes that were forgotten, and for how many seconds more.
        forgotten: Vec<(Name, u64)>,
        /// Types of extensions that we do not know.
        unknown: Vec<u16>,
    },
    Fail {
        about: Name,
    },
    Publish {
        channel: &'a [u8],
        message: &'a [u8],
    },
    Update {
        config_epoch: u64,
        name: Name,
        slots: &'a SlotBits,
    },
    /// AUTH-REQ, AUTH-ACK and MFSTART: the header says all.
    Nothing,
    /// For a module.
    Module,
}

/// A message whose every length has been checked.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// None: a type that we do not know, with its number in `type_number`.
    pub kind: Option<Kind>,
    pub type_number: u16,
    pub port: u16,
    pub pport: u16,
    pub cport: u16,
    pub current_epoch: u64,
    pub config_epoch: u64,
    pub offset: u64,
    pub sender: Name,
    pub slaveof: Option<Name>,
    pub slots: &'a SlotBits,
    /// Empty: it is to be seen from the connection.
    pub ip: &'a str,
    pub flags: NodeFlags,
    pub message_flags: MessageFlags,
    pub body: Body<'a>,
}

/// Bytes of a message, all of which have been seen to be there.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&self, at: usize, len: usize) -> Option<&'a [u8]> {
        self.0.get(at..at.checked_add(len)?)
    }

    fn array<const N: usize>(&self, at: usize) -> Option<&'a [u8; N]> {
        self.bytes(at, N)?.first_chunk()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(|b| u16::from_be_bytes(*b))
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(|b| u32::from_be_bytes(*b))
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.array(at).map(|b| u64::from_be_bytes(*b))
    }

    fn name(&self, at: usize) -> Option<Name> {
        Name::parse(self.bytes(at, CLUSTER_NAMELEN)?)
    }

    /// An address, up to a zero. None: that is none.
    fn address(&self, at: usize) -> Option<&'a str> {
        let address = up_to_zero(self.bytes(at, NET_IP_STR_LEN)?);
        let valid = is_address(address);
        valid.then(|| str::from_utf8(address).ok()).flatten()
    }
}

fn up_to_zero(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    &bytes[..end]
}

/// A text up to its zero, or to the end.
fn text(bytes: &[u8], valid: fn(&[u8]) -> bool) -> Option<String> {
    let bytes = up_to_zero(bytes);
    valid(bytes).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// The length that the first eight bytes of a message announce.
///
/// # Errors
/// These are not the first bytes of a message.
pub(crate) fn announced_length(head: &[u8; 8]) -> Result<usize, PacketError> {
    let [a, b, c, d, len @ ..] = *head;
    let len = u32::from_be_bytes(len) as usize;
    if [a, b, c, d] != *SIGNATURE || len < LIGHT_HEADER_LEN {
        return Err(PacketError::Signature);
    }
    Ok(len)
}

/// Reads a message that is whole: as long as it says.
///
/// # Errors
/// It is not to be believed.
pub(crate) fn parse(bytes: &[u8]) -> Result<Message<'_>, PacketError> {
    let head = bytes.first_chunk().ok_or(PacketError::Signature)?;
    if announced_length(head)? != bytes.len() {
        return Err(PacketError::Signature);
    }
    debug_assert!(AT_LENGTH + 4 <= head.len());
    if bytes.len() < HEADER_LEN {
        return Err(PacketError::Signature);
    }
    // The header is there, so that none of its fields is missing.
    parse_whole(&Fields(bytes)).unwrap_or(Err(PacketError::Text))
}

/// A message of pub/sub with a short header.
pub(crate) struct Light<'a> {
    pub kind: Kind,
    pub channel: &'a [u8],
    pub message: &'a [u8],
}

/// Reads a message that is whole and has a short header; none: its header is a long one.
///
/// # Errors
/// It is not to be believed.
pub(crate) fn parse_light(bytes: &[u8]) -> Result<Option<Light<'_>>, PacketError> {
    let f = Fields(bytes);
    let (Some(version), Some(number)) = (f.u16(AT_VERSION), f.u16(AT_TYPE)) else {
        return Err(PacketError::Signature);
    };
    if number & LIGHT == 0 {
        return Ok(None);
    }
    if version != CLUSTER_PROTO_VER {
        return Err(PacketError::Version);
    }
    let kind = Kind::of(number & !LIGHT);
    let Some(kind @ (Kind::Publish | Kind::PublishShard)) = kind else {
        return Err(PacketError::Signature);
    };
    match publish(&f, LIGHT_HEADER_LEN) {
        Ok((channel, message)) => Ok(Some(Light {
            kind,
            channel,
            message,
        })),
        Err(expected) => Err(PacketError::Length {
            kind: kind.name(),
            is: bytes.len() as u64,
            expected,
        }),
    }
}

/// The channel and the message that stand at `at`, up to the end.
///
/// # Errors
/// The length that the whole should have.
fn publish<'a>(f: &Fields<'a>, at: usize) -> Result<(&'a [u8], &'a [u8]), u64> {
    let (Some(channel), Some(message)) = (f.u32(at), f.u32(at + 4)) else {
        return Err(at as u64 + 8);
    };
    let expected = at as u64 + 8 + u64::from(channel) + u64::from(message);
    let first = f.bytes(at + 8, channel as usize);
    let second = f.bytes(at + 8 + channel as usize, message as usize);
    match (first, second) {
        (Some(channel), Some(message)) if expected == f.0.len() as u64 => Ok((channel, message)),
        _ => Err(expected),
    }
}

/// `None`: a field is missing, or is a text that cannot be.
fn parse_whole<'a>(f: &Fields<'a>) -> Option<Result<Message<'a>, PacketError>> {
    if f.u16(AT_VERSION)? != CLUSTER_PROTO_VER {
        return Some(Err(PacketError::Version));
    }
    let type_number = f.u16(AT_TYPE)?;
    let kind = Kind::of(type_number);
    let [mflags, _, _] = *f.array(AT_MFLAGS)?;
    let message_flags = MessageFlags::from_bits_retain(mflags);
    let body = match kind {
        None => Body::Nothing,
        Some(kind) => match parse_body(f, kind, message_flags)? {
            Ok(body) => body,
            Err(e) => return Some(Err(e)),
        },
    };
    let slaveof = f.array::<CLUSTER_NAMELEN>(AT_SLAVEOF)?;
    let slaveof = match slaveof.iter().all(|b| *b == 0) {
        true => None,
        false => Some(Name::parse(slaveof)?),
    };
    Some(Ok(Message {
        kind,
        type_number,
        port: f.u16(AT_PORT)?,
        pport: f.u16(AT_PPORT)?,
        cport: f.u16(AT_CPORT)?,
        current_epoch: f.u64(AT_CURRENT_EPOCH)?,
        config_epoch: f.u64(AT_CONFIG_EPOCH)?,
        offset: f.u64(AT_OFFSET)?,
        sender: f.name(AT_SENDER)?,
        slaveof,
        slots: f.array::<SLOT_BYTES>(AT_SLOTS)?,
        ip: f.address(AT_MYIP)?,
        flags: NodeFlags::from_bits_truncate(f.u16(AT_FLAGS)?),
        message_flags,
        body,
    }))
}

fn parse_body<'a>(
    f: &Fields<'a>,
    kind: Kind,
    flags: MessageFlags,
) -> Option<Result<Body<'a>, PacketError>> {
    let is = f.0.len() as u64;
    let wrong = |expected: u64| {
        Some(Err(PacketError::Length {
            kind: kind.name(),
            is,
            expected,
        }))
    };
    let behind = |n: usize| (HEADER_LEN + n) as u64;
    Some(Ok(match kind {
        Kind::Ping | Kind::Pong | Kind::Meet => return parse_ping(f, kind, flags),
        Kind::AuthRequest | Kind::AuthAck | Kind::MfStart => {
            if is != behind(0) {
                return wrong(behind(0));
            }
            Body::Nothing
        }
        Kind::Fail => {
            if is != behind(CLUSTER_NAMELEN) {
                return wrong(behind(CLUSTER_NAMELEN));
            }
            Body::Fail {
                about: f.name(HEADER_LEN)?,
            }
        }
        Kind::Publish | Kind::PublishShard => {
            let (channel, message) = match publish(f, HEADER_LEN) {
                Ok(both) => both,
                Err(expected) => return wrong(expected),
            };
            Body::Publish { channel, message }
        }
        Kind::Update => {
            let len = 8 + CLUSTER_NAMELEN + SLOT_BYTES;
            if is != behind(len) {
                return wrong(behind(len));
            }
            Body::Update {
                config_epoch: f.u64(HEADER_LEN)?,
                name: f.name(HEADER_LEN + 8)?,
                slots: f.array(HEADER_LEN + 8 + CLUSTER_NAMELEN)?,
            }
        }
        Kind::Module => {
            // Its id, the length of the rest, its own type.
            let Some(len) = f.u32(HEADER_LEN + 8) else {
                return wrong(behind(13));
            };
            let expected = behind(13) + u64::from(len);
            if is != expected {
                return wrong(expected);
            }
            Body::Module
        }
    }))
}

fn parse_ping<'a>(
    f: &Fields<'a>,
    kind: Kind,
    flags: MessageFlags,
) -> Option<Result<Body<'a>, PacketError>> {
    let name = kind.name();
    let is = f.0.len();
    let count = usize::from(f.u16(AT_COUNT)?);
    let mut at = HEADER_LEN + count * GOSSIP_LEN;
    let extensions = match flags.contains(MessageFlags::EXT_DATA) {
        true => f.u16(AT_EXTENSIONS)?,
        false => 0,
    };
    let length = |expected: usize| PacketError::Length {
        kind: name,
        is: is as u64,
        expected: expected as u64,
    };
    if is < at {
        return Some(Err(length(at)));
    }
    let (mut hostname, mut human_nodename, mut shard_id) = (None, None, None);
    let (mut forgotten, mut unknown) = (Vec::new(), Vec::new());
    for _ in 0..extensions {
        let (Some(len), Some(kind)) = (f.u32(at), f.u16(at + 4)) else {
            let is = is as u64;
            return Some(Err(PacketError::Extension { kind: name, is }));
        };
        if len % 8 != 0 || (len as usize) < EXTENSION_HEAD {
            return Some(Err(PacketError::Padding { kind: name, len }));
        }
        let Some(data) = f.bytes(at + EXTENSION_HEAD, len as usize - EXTENSION_HEAD) else {
            let is = is as u64;
            return Some(Err(PacketError::Extension { kind: name, is }));
        };
        let data = Fields(data);
        match kind {
            // Names for people: without one that we could not keep, the node is as good.
            EXT_HOSTNAME => hostname = text(data.0, is_hostname),
            EXT_HUMAN_NODENAME => human_nodename = text(data.0, is_nodename),
            EXT_FORGOTTEN_NODE => forgotten.push((data.name(0)?, data.u64(CLUSTER_NAMELEN)?)),
            EXT_SHARDID => shard_id = Some(data.name(0)?),
            other => unknown.push(other),
        }
        at += len as usize;
    }
    if is != at {
        return Some(Err(length(at)));
    }
    let mut gossip = Vec::with_capacity(count);
    for i in 0..count {
        let g = Fields(f.bytes(HEADER_LEN + i * GOSSIP_LEN, GOSSIP_LEN)?);
        let after_ip = CLUSTER_NAMELEN + 8 + NET_IP_STR_LEN;
        gossip.push(Gossip {
            name: g.name(0)?,
            ping_sent_s: g.u32(CLUSTER_NAMELEN)?,
            pong_received_s: g.u32(CLUSTER_NAMELEN + 4)?,
            ip: g.address(CLUSTER_NAMELEN + 8)?,
            port: g.u16(after_ip)?,
            cport: g.u16(after_ip + 2)?,
            flags: NodeFlags::from_bits_truncate(g.u16(after_ip + 4)?),
            pport: g.u16(after_ip + 6)?,
        });
    }
    Some(Ok(Body::Ping {
        gossip,
        hostname,
        human_nodename,
        shard_id,
        forgotten,
        unknown,
    }))
}
