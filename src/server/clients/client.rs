//! Clients: who is connected, what is known of each, and their output buffers (client in server.h, parts of networking.c).
//!
//! A client lives in a slab and is named by a [`ClientId`] (slab key and generation), so an id that outlived its client is
//! found out instead of naming another. Clients are only freed in one place (networking.rs, `free_clients_in_async_queue`);
//! everybody else marks them, so an id never dangles within a call.
//!
//! An idle client owns no buffers: unread bytes wait in the kernel, an unfinished request is kept at its length, and reply
//! buffers come from a pool and go back to it when they are sent. What a client has is a size: of the reply buffer it gets
//! when it has something to say. It follows what the client used of its last ones (`client_buffers`).

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::ops::{Index, IndexMut, Range};
use std::rc::Rc;

use slab::Slab;

use crate::acl::user::User;
use crate::ae::FileId;
use crate::ds::sbuf::SBuf;
use crate::server::clients::connection::Connection;
use crate::server::clients::flags::{ClientFlags, ClientId, NO_REPLY};
use crate::server::clients::subscriptions::Subscriptions;
use crate::server::execution::block::Block;
use crate::server::execution::command::CommandId;
use crate::server::execution::multi_state::MultiState;
use crate::server::replica::{MasterStream, ReplState, Replica};
use crate::wire::resp::Parser;

/// Bytes of a reply buffer (PROTO_REPLY_CHUNK_BYTES).
pub(crate) const PROTO_REPLY_CHUNK_BYTES: usize = 16 * 1024;
/// The smallest reply buffer, in bytes (PROTO_REPLY_MIN_BYTES).
pub(crate) const PROTO_REPLY_MIN_BYTES: usize = 1024;
/// Bytes of a block behind the first buffer: what PROTO_REPLY_CHUNK_BYTES and a header come to in upstream's allocator. People
/// have tuned their output limits by that, so a longer reply is a multiple of it too.
const REPLY_BLOCK_BYTES: usize = 20 * 1024;
/// Sizes of reply buffers: the powers of two between these two.
const REPLY_SIZES: usize =
    (PROTO_REPLY_CHUNK_BYTES / PROTO_REPLY_MIN_BYTES).trailing_zeros() as usize + 1;
/// Reply buffers of up to this size are had without new pages, mostly.
const LARGE_REPLY_SIZE: usize = 4096;
/// Reply buffers of a size that are kept for reuse at the most.
const POOL_MAX: usize = 256;
/// Replies from this size on are sent from the value itself instead of a copy.
pub(crate) const SHARE_MIN: usize = 64 * 1024;

/// The classes that client-output-buffer-limit distinguishes (CLIENT_TYPE_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClientType {
    Normal = 0,
    Slave = 1,
    Pubsub = 2,
    Master = 3,
}

impl ClientType {
    /// The class by its name in commands and directives.
    pub(crate) fn by_name(name: &[u8]) -> Option<ClientType> {
        let is = |s: &str| name.eq_ignore_ascii_case(s.as_bytes());
        Some(match () {
            _ if is("normal") => ClientType::Normal,
            _ if is("slave") || is("replica") => ClientType::Slave,
            _ if is("pubsub") => ClientType::Pubsub,
            _ if is("master") => ClientType::Master,
            _ => return None,
        })
    }
}

/// One block of output behind the first buffer.
pub(crate) enum Chunk {
    Bytes(Vec<u8>),
    /// A part of a value, sent without copying it.
    Shared(SBuf, Range<usize>),
}

impl Chunk {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Chunk::Bytes(v) => v,
            Chunk::Shared(b, r) => &b.as_slice()[r.clone()],
        }
    }
    fn mem(&self) -> usize {
        match self {
            Chunk::Bytes(v) => v.capacity(),
            // Counted in full: it may be the last owner when its turn comes.
            Chunk::Shared(_, r) => r.len(),
        }
    }
}

/// What is still to be sent to a client: a buffer of fixed size first, then a list of blocks.
#[derive(Default)]
pub(crate) struct Output {
    pub buf: Vec<u8>,
    /// Bytes of the first block (the buffer, or the list's first) that are sent.
    pub sent: usize,
    pub list: VecDeque<Chunk>,
    /// Bytes of the list's blocks, capacity counted (reply_bytes).
    pub list_bytes: usize,
}

/// A place in an output.
pub(crate) struct OutputMark {
    buf: usize,
    blocks: usize,
    last: usize,
}

impl Output {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.buf.is_empty() && self.list.is_empty()
    }

    /// Memory that the list uses (getClientOutputBufferMemoryUsage).
    pub(crate) fn memory(&self) -> usize {
        self.list_bytes + self.list.len() * size_of::<Chunk>()
    }

    /// Bytes still to be sent.
    pub(crate) fn pending(&self) -> usize {
        self.buf.len() + self.list.iter().map(|c| c.as_slice().len()).sum::<usize>() - self.sent
    }

    #[cold]
    fn push_list(&mut self, mut bytes: &[u8]) {
        if let Some(Chunk::Bytes(last)) = self.list.back_mut() {
            let n = bytes.len().min(last.capacity() - last.len());
            last.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
        }
        if !bytes.is_empty() {
            let mut v = Vec::with_capacity(bytes.len().next_multiple_of(REPLY_BLOCK_BYTES));
            v.extend_from_slice(bytes);
            self.list_bytes += v.capacity();
            self.list.push_back(Chunk::Bytes(v));
        }
    }

    /// Appends the first `n` of eight bytes: the head of a reply, moved as one word.
    #[inline(always)]
    pub(crate) fn push_head(&mut self, bytes: &[u8; 8], n: usize) {
        if self.list.is_empty() && self.buf.capacity() - self.buf.len() >= bytes.len() {
            let end = self.buf.len() + n;
            self.buf.extend_from_slice(bytes);
            self.buf.truncate(end);
            return;
        }
        self.push_spill(&bytes[..n]);
    }

    /// Appends bytes behind whatever is there.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.list.is_empty() && self.buf.capacity() - self.buf.len() >= bytes.len() {
            self.buf.extend_from_slice(bytes);
            return;
        }
        self.push_spill(bytes);
    }

    #[cold]
    fn push_spill(&mut self, mut bytes: &[u8]) {
        if self.list.is_empty() {
            let n = bytes.len().min(self.buf.capacity() - self.buf.len());
            self.buf.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
        }
        if !bytes.is_empty() {
            self.push_list(bytes);
        }
    }

    /// The list's last block, when there is room for `room` more bytes in it.
    #[inline]
    pub(crate) fn last_block(&mut self, room: usize) -> Option<&mut Vec<u8>> {
        match self.list.back_mut() {
            Some(Chunk::Bytes(v)) if v.capacity() - v.len() >= room => Some(v),
            _ => None,
        }
    }

    /// Takes the block out that more bytes would go to; true when that is the first buffer. To be given back with
    /// [`Output::put_last_block`] before anything else is written.
    #[inline]
    pub(crate) fn take_last_block(&mut self) -> (Vec<u8>, bool) {
        if self.list.is_empty() {
            return (std::mem::take(&mut self.buf), true);
        }
        match self.list.pop_back() {
            Some(Chunk::Bytes(v)) => {
                self.list_bytes -= v.capacity();
                (v, false)
            }
            Some(shared) => {
                self.list.push_back(shared);
                (Vec::new(), false)
            }
            None => (Vec::new(), false),
        }
    }

    /// Gives a block back, or adds one to the list.
    #[inline]
    pub(crate) fn put_last_block(&mut self, block: Vec<u8>, first: bool) {
        if first {
            self.buf = block;
        } else if !block.is_empty() {
            self.list_bytes += block.capacity();
            self.list.push_back(Chunk::Bytes(block));
        }
    }

    /// Appends bytes that were put together elsewhere; many of them are kept as they are.
    pub(crate) fn push_vec(&mut self, bytes: Vec<u8>) {
        if bytes.len() < PROTO_REPLY_CHUNK_BYTES {
            return self.push(&bytes);
        }
        self.list_bytes += bytes.capacity();
        self.list.push_back(Chunk::Bytes(bytes));
    }

    /// Appends a part of a value by reference.
    pub(crate) fn push_shared(&mut self, b: SBuf, r: Range<usize>) {
        let c = Chunk::Shared(b, r);
        self.list_bytes += c.mem();
        self.list.push_back(c);
    }

    /// The next bytes to send, up to `N` blocks.
    pub(crate) fn slices<const N: usize>(&self) -> ([&[u8]; N], usize) {
        let mut out: [&[u8]; N] = [&[]; N];
        let mut n = 0;
        let mut skip = self.sent;
        if !self.buf.is_empty() {
            out[0] = &self.buf[skip..];
            n = 1;
            skip = 0;
        }
        for c in &self.list {
            if n == N {
                break;
            }
            out[n] = &c.as_slice()[skip..];
            skip = 0;
            n += 1;
        }
        (out, n)
    }

    /// Notes that `n` bytes were sent; returns an emptied first buffer to give back to the pool.
    pub(crate) fn advance(&mut self, mut n: usize) -> Option<Vec<u8>> {
        let mut freed = None;
        if !self.buf.is_empty() {
            let left = self.buf.len() - self.sent;
            if n < left {
                self.sent += n;
                return None;
            }
            n -= left;
            self.sent = 0;
            freed = Some(std::mem::take(&mut self.buf));
        }
        while let Some(c) = self.list.front() {
            let left = c.as_slice().len() - self.sent;
            if n < left {
                self.sent += n;
                break;
            }
            n -= left;
            self.sent = 0;
            self.list_bytes -= c.mem();
            self.list.pop_front();
        }
        freed
    }

    /// Where the output ends now, for [`Output::cut_back`].
    #[inline]
    pub(crate) fn mark(&self) -> OutputMark {
        OutputMark {
            buf: self.buf.len(),
            blocks: self.list.len(),
            last: self.list.back().map_or(0, |c| c.as_slice().len()),
        }
    }

    /// Takes back what was appended since the mark; nothing may have been sent meanwhile.
    #[cold]
    pub(crate) fn cut_back(&mut self, mark: &OutputMark) {
        while self.list.len() > mark.blocks {
            if let Some(c) = self.list.pop_back() {
                self.list_bytes -= c.mem();
            }
        }
        if let Some(Chunk::Bytes(last)) = self.list.back_mut() {
            last.truncate(mark.last);
        }
        self.buf.truncate(mark.buf);
    }

    /// Throws away all that is not sent.
    pub(crate) fn clear(&mut self) {
        *self = Output::default();
    }
}

/// A large argument on its way from the socket (see [`Parser::push_big`]).
pub(crate) struct BigArg {
    pub buf: SBuf,
    /// Its length without the CRLF.
    pub len: usize,
}

/// What is noted with a client.
#[derive(Clone, Copy, Default)]
pub(crate) struct MemUsage {
    /// Bytes of it that are in the total (last_memory_usage).
    pub(super) bytes: usize,
    /// The bucket it stands in, and its place there.
    pub(super) bucket: Option<u8>,
    pub(super) place: u32,
}

/// One connection, or a fake one.
pub(crate) struct Client {
    /// Counts up from 1, never reused: what CLIENT ID answers.
    pub id: u64,
    pub cid: ClientId,
    pub conn: Option<Connection>,
    /// The addresses of both ends, the other one's first, once somebody has asked.
    pub addresses: OnceCell<Box<[Box<str>; 2]>>,
    pub file: Option<FileId>,
    pub flags: ClientFlags,
    pub db: usize,
    /// 2 or 3.
    pub resp: u8,
    pub authenticated: bool,
    /// Who it is. None: one that may do everything, as our master's link and who replays a file.
    pub user: Option<Rc<User>>,
    /// An unfinished request: its bytes and what the parser made of them.
    pub querybuf: Vec<u8>,
    pub parser: Option<Box<Parser>>,
    pub big_arg: Option<Box<BigArg>>,
    pub out: Output,
    /// The size of the reply buffer it gets, a power of two (buf_usable_size).
    pub reply_size: usize,
    /// The most that it used of one since unix ms `reply_peak_reset` (buf_peak).
    pub reply_peak: usize,
    pub reply_peak_reset: i64,
    /// Bytes that its next big argument may reserve at once, beyond what anybody may: as many as its last one had.
    pub fat_room: usize,
    /// Bytes of its largest input since the cron's last look (querybuf_peak).
    pub querybuf_peak: usize,
    pub pending_write: bool,
    pub pending_free: bool,
    /// The write handler is installed.
    pub writing: bool,
    pub name: Option<Box<[u8]>>,
    pub lib_name: Option<Box<[u8]>>,
    pub lib_ver: Option<Box<[u8]>>,
    /// Unix seconds.
    pub ctime: i64,
    pub last_interaction: i64,
    pub last_cmd: Option<CommandId>,
    /// When the soft limit was first passed, unix seconds; 0: it is not.
    pub obuf_soft_limit_reached_time: i64,
    pub block: Option<Box<Block>>,
    pub replica: Option<Box<Replica>>,
    pub master_stream: Option<Box<MasterStream>>,
    /// Its transaction and watched keys; none when it has neither.
    pub multi: Option<Box<MultiState>>,
    /// What it listens to; none when it listens to nothing.
    pub pubsub: Option<Box<Subscriptions>>,
    /// Write offset that WAIT waits for (woff).
    pub woff: i64,
    /// What it takes, while there is a limit for that.
    pub mem: MemUsage,
}

impl Client {
    /// The class of the client (getClientType).
    pub(crate) fn client_type(&self) -> ClientType {
        if self.has(ClientFlags::MASTER) {
            ClientType::Master
        } else if self.has(ClientFlags::SLAVE) && !self.has(ClientFlags::MONITOR) {
            ClientType::Slave
        } else if self.has(ClientFlags::PUBSUB) {
            ClientType::Pubsub
        } else {
            ClientType::Normal
        }
    }

    /// Whether it has one of these.
    #[inline]
    pub(crate) fn has(&self, any: ClientFlags) -> bool {
        self.flags.intersects(any)
    }

    /// A request is over: CLIENT REPLY SKIP and ASKING cover the one after it, ASKING all of a transaction.
    pub(crate) fn shift_reply_skip(&mut self) {
        const ASKS: ClientFlags = ClientFlags::of(&[ClientFlags::ASKING, ClientFlags::ASKING_NEXT]);
        if self.has(ASKS) {
            let asks = self.has(ClientFlags::ASKING_NEXT) || self.has(ClientFlags::MULTI);
            self.flags.remove(ASKS);
            self.flags.set(ClientFlags::ASKING, asks);
        }
        let next = self.has(ClientFlags::REPLY_SKIP_NEXT);
        self.flags
            .remove(ClientFlags::REPLY_SKIP | ClientFlags::REPLY_SKIP_NEXT);
        if next {
            self.flags |= ClientFlags::REPLY_SKIP;
        }
    }

    pub(crate) fn is_replica(&self) -> bool {
        self.has(ClientFlags::SLAVE)
    }

    /// The master's stream; only the link to our master has one.
    pub(crate) fn master_stream(&self) -> Option<&MasterStream> {
        self.master_stream.as_deref()
    }

    /// The replica part; only replicas of ours have one, and who has introduced itself as one.
    pub(crate) fn repl(&self) -> Option<&Replica> {
        self.replica.as_deref()
    }

    /// The replica part, made when it is not there.
    pub(crate) fn repl_mut(&mut self) -> &mut Replica {
        self.replica.get_or_insert_default()
    }
}

/// Where reply buffers of this size are in the pool.
#[inline]
fn pool_index(size: usize) -> usize {
    debug_assert!(size.is_power_of_two());
    let log = (size / PROTO_REPLY_MIN_BYTES).trailing_zeros() as usize;
    log.min(REPLY_SIZES - 1)
}

/// All clients, and which of them have something to be written or to be freed.
pub(crate) struct Clients {
    slab: Slab<Box<Client>>,
    /// Generations, by slab key.
    generations: Vec<u32>,
    next_id: u64,
    pub pending_write: Vec<ClientId>,
    pub to_close: Vec<ClientId>,
    /// Ids of replicas and monitors, in the order in which they came.
    pub slaves: Vec<ClientId>,
    pub monitors: Vec<ClientId>,
    /// By size, the smallest first.
    pool: [Vec<Vec<u8>>; REPLY_SIZES],
}

impl Default for Clients {
    fn default() -> Clients {
        Clients {
            slab: Slab::new(),
            generations: Vec::new(),
            next_id: 1,
            pending_write: Vec::new(),
            to_close: Vec::new(),
            slaves: Vec::new(),
            monitors: Vec::new(),
            pool: [const { Vec::new() }; REPLY_SIZES],
        }
    }
}

impl Clients {
    /// Adds a client (createClient); `conn` is none for a fake one. `now` is unix seconds.
    pub(crate) fn create_client(&mut self, conn: Option<Connection>, now: i64) -> ClientId {
        let entry = self.slab.vacant_entry();
        let key = entry.key();
        if self.generations.len() <= key {
            self.generations.resize(key + 1, 0);
        }
        self.generations[key] = self.generations[key].wrapping_add(1);
        let cid = ClientId {
            key: key as u32,
            generation: self.generations[key],
        };
        let flags = match conn {
            Some(_) => ClientFlags::empty(),
            None => ClientFlags::FAKE,
        };
        entry.insert(Box::new(Client {
            id: self.next_id,
            cid,
            conn,
            addresses: OnceCell::new(),
            file: None,
            flags,
            db: 0,
            resp: 2,
            authenticated: false,
            user: None,
            querybuf: Vec::new(),
            parser: None,
            big_arg: None,
            out: Output::default(),
            reply_size: PROTO_REPLY_CHUNK_BYTES,
            reply_peak: PROTO_REPLY_CHUNK_BYTES,
            reply_peak_reset: now.saturating_mul(1000),
            fat_room: 0,
            querybuf_peak: 0,
            pending_write: false,
            pending_free: false,
            writing: false,
            name: None,
            lib_name: None,
            lib_ver: None,
            ctime: now,
            last_interaction: now,
            last_cmd: None,
            obuf_soft_limit_reached_time: 0,
            block: None,
            replica: None,
            master_stream: None,
            multi: None,
            pubsub: None,
            woff: 0,
            mem: MemUsage::default(),
        }));
        self.next_id += 1;
        cid
    }

    #[inline]
    pub(crate) fn get(&self, cid: ClientId) -> Option<&Client> {
        let c = self.slab.get(cid.key as usize)?;
        (c.cid.generation == cid.generation).then_some(&**c)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, cid: ClientId) -> Option<&mut Client> {
        let c = self.slab.get_mut(cid.key as usize)?;
        (c.cid.generation == cid.generation).then_some(&mut **c)
    }

    /// Takes a client out; only for networking.rs.
    pub(crate) fn remove(&mut self, cid: ClientId) -> Option<Box<Client>> {
        self.get(cid)?;
        Some(self.slab.remove(cid.key as usize))
    }

    /// Clients, fake ones included.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slab.iter().map(|(_, c)| &**c)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.slab.iter_mut().map(|(_, c)| &mut **c)
    }

    /// Ids of all clients, oldest id first; for loops that may mark some of them.
    pub(crate) fn ids(&self) -> Vec<ClientId> {
        let mut v: Vec<&Client> = self.iter().collect();
        v.sort_by_key(|c| c.id);
        v.iter().map(|c| c.cid).collect()
    }

    /// The slab's keys in use go up to this; for a walk in steps with [`Clients::by_key`].
    pub(crate) fn capacity(&self) -> usize {
        self.generations.len()
    }

    pub(crate) fn by_key(&self, key: usize) -> Option<ClientId> {
        self.slab.get(key).map(|c| c.cid)
    }

    /// The client with this public id.
    pub(crate) fn by_id(&self, id: u64) -> Option<ClientId> {
        self.iter().find(|c| c.id == id).map(|c| c.cid)
    }

    /// The client, when it may be written to; notes that it has something to send (prepareClientToWrite).
    #[inline(always)]
    pub(crate) fn prepare_client_to_write(&mut self, cid: ClientId) -> Option<&mut Client> {
        let c = self.slab.get_mut(cid.key as usize)?;
        if c.cid.generation != cid.generation {
            return None;
        }
        if c.has(NO_REPLY) && !Self::may_reply_anyway(c, &mut self.to_close) {
            return None;
        }
        if !c.pending_write {
            Self::first_write(c, &mut self.pending_write, &mut self.pool);
        }
        Some(c)
    }

    /// The same for a push message, which CLIENT REPLY does not silence. Without `buffer` the client gets no reply buffer,
    /// for whoever appends by reference.
    pub(crate) fn prepare_client_to_push(
        &mut self,
        cid: ClientId,
        buffer: bool,
    ) -> Option<&mut Client> {
        const SILENT: ClientFlags = ClientFlags::REPLY_OFF.union(ClientFlags::REPLY_SKIP);
        let c = self.slab.get_mut(cid.key as usize)?;
        if c.cid.generation != cid.generation {
            return None;
        }
        if c.has(NO_REPLY.difference(SILENT)) {
            let silenced = c.flags & SILENT;
            c.flags.remove(SILENT);
            let may = Self::may_reply_anyway(c, &mut self.to_close);
            c.flags |= silenced;
            if !may {
                return None;
            }
        }
        if !c.pending_write {
            if buffer {
                Self::first_write(c, &mut self.pending_write, &mut self.pool);
            } else {
                Self::put_in_pending_write_queue(c, &mut self.pending_write);
            }
        }
        Some(c)
    }

    /// Whether the next bytes for the client take a reply buffer of more than a page or two.
    pub(crate) fn needs_large_buffer(&self, cid: ClientId) -> bool {
        self.get(cid).is_some_and(|c| {
            !c.pending_write && c.out.is_empty() && c.reply_size > LARGE_REPLY_SIZE
        })
    }

    /// The client gets a place in the queue and a reply buffer.
    #[cold]
    fn first_write(
        c: &mut Client,
        queue: &mut Vec<ClientId>,
        pool: &mut [Vec<Vec<u8>>; REPLY_SIZES],
    ) {
        Self::put_in_pending_write_queue(c, queue);
        if c.out.buf.capacity() == 0 {
            c.out.buf = pool[pool_index(c.reply_size)]
                .pop()
                .unwrap_or_else(|| Vec::with_capacity(c.reply_size));
        }
    }

    #[inline]
    fn put_in_pending_write_queue(c: &mut Client, queue: &mut Vec<ClientId>) {
        let may = c
            .replica
            .as_deref()
            .is_none_or(|r| matches!(r.state, ReplState::None) || r.streams());
        if may {
            c.pending_write = true;
            queue.push(c.cid);
        }
    }

    /// Queues a client for the write before the next sleep without adding output.
    pub(crate) fn queue_write(&mut self, cid: ClientId) {
        if let Some(c) = self.slab.get_mut(cid.key as usize)
            && c.cid.generation == cid.generation
            && !c.pending_write
            && !c.has(ClientFlags::CLOSE_ASAP)
        {
            Self::put_in_pending_write_queue(c, &mut self.pending_write);
        }
    }

    #[cold]
    fn may_reply_anyway(c: &mut Client, to_close: &mut Vec<ClientId>) -> bool {
        if c.has(NO_REPLY.difference(ClientFlags::MASTER | ClientFlags::SLAVE)) {
            return false;
        }
        if c.is_replica() && !c.has(ClientFlags::MONITOR) {
            // The reply would be taken for a part of the stream.
            c.flags |= ClientFlags::CLOSE_ASAP | ClientFlags::REPLY_ON_LINK;
            if !c.pending_free {
                c.pending_free = true;
                to_close.push(c.cid);
            }
            return false;
        }
        // A master is answered only where the caller forces it.
        !c.has(ClientFlags::MASTER) || c.has(ClientFlags::MASTER_FORCE_REPLY)
    }

    /// Reply buffers that a burst has left: of each size no more are kept than there are clients.
    pub(crate) fn trim_pool(&mut self) {
        let most = self.slab.len();
        for pool in &mut self.pool {
            if pool.len() > most {
                pool.truncate(most);
                pool.shrink_to(2 * most);
            }
        }
    }

    /// Frees all buffers that no client uses.
    pub(crate) fn empty_pool(&mut self) {
        for pool in &mut self.pool {
            *pool = Vec::new();
        }
    }

    /// Gives a sent buffer back.
    pub(crate) fn recycle(&mut self, mut buf: Vec<u8>) {
        let size = buf.capacity();
        if !(PROTO_REPLY_MIN_BYTES..=PROTO_REPLY_CHUNK_BYTES).contains(&size) {
            return;
        }
        let pool = &mut self.pool[pool_index(size)];
        if pool.len() < POOL_MAX {
            buf.clear();
            pool.push(buf);
        }
    }
}

impl Index<ClientId> for Clients {
    type Output = Client;
    /// Panics when the client is gone: only for ids that were valid in the same call.
    #[inline]
    fn index(&self, cid: ClientId) -> &Client {
        let c = &self.slab[cid.key as usize];
        assert!(c.cid.generation == cid.generation, "stale client id");
        c
    }
}

impl IndexMut<ClientId> for Clients {
    #[inline]
    fn index_mut(&mut self, cid: ClientId) -> &mut Client {
        let c = &mut self.slab[cid.key as usize];
        assert!(c.cid.generation == cid.generation, "stale client id");
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_keeps_order_over_buffer_list_and_shared_parts() {
        let mut clients = Clients::default();
        let cid = clients.create_client(None, 0);
        let c = &mut clients[cid];
        c.out.buf = Vec::with_capacity(PROTO_REPLY_CHUNK_BYTES);
        let mut want = Vec::new();
        for i in 0..3000u32 {
            let s = format!("reply number {i};");
            c.out.push(s.as_bytes());
            want.extend_from_slice(s.as_bytes());
            if i % 1000 == 0 {
                let b = SBuf::from_slice(&vec![b'x'; 70_000]);
                want.extend_from_slice(&b.as_slice()[1..]);
                c.out.push_shared(b, 1..70_000);
            }
        }
        assert_eq!(c.out.pending(), want.len());
        let mut got = Vec::new();
        while !c.out.is_empty() {
            let (s, n) = c.out.slices::<4>();
            let all: Vec<u8> = s[..n].concat();
            let take = all.len().min(7_777);
            got.extend_from_slice(&all[..take]);
            c.out.advance(take);
        }
        assert!(got == want);
        assert_eq!((c.out.list_bytes, c.out.pending()), (0, 0));
    }

    #[test]
    fn what_is_cut_back_was_never_there() {
        for before in [0, 100, 20_000, 90_000] {
            let mut out = Output {
                buf: Vec::with_capacity(PROTO_REPLY_CHUNK_BYTES),
                ..Output::default()
            };
            out.push(&vec![b'a'; before]);
            let (bytes, mark) = (out.list_bytes, out.mark());
            for _ in 0..1000 {
                out.push(b"some words of a reply");
            }
            out.push_shared(SBuf::from_slice(&vec![b'x'; 70_000]), 0..70_000);
            out.cut_back(&mark);
            assert_eq!((out.pending(), out.list_bytes), (before, bytes));
            out.push(b"b");
            let (s, n) = out.slices::<8>();
            let all = s[..n].concat();
            assert!(all.len() == before + 1 && all.ends_with(b"b"), "{before}");
        }
    }

    #[test]
    fn a_reused_place_has_another_id() {
        let mut clients = Clients::default();
        let a = clients.create_client(None, 0);
        clients.remove(a);
        let b = clients.create_client(None, 0);
        assert_ne!(a, b);
        assert!(clients.get(a).is_none() && clients.get(b).is_some());
        assert_eq!(ClientId::from_data(b.to_data()), b);
    }
}
