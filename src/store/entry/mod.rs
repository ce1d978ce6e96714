//! One key with its value in one allocation.
//!
//! ```text
//! offset 0   8 bytes  header: lru 24 bits | type 4 | encoding 4 | flags 4 | snapshot 4 | key length 24 bits (low to high)
//!            8 bytes  slot: the integer (INT) or the pointer to the value (PTR)              only with INT or PTR
//!            8 bytes  expiry, unix time in ms; 4 bytes its place in the expire index         only with EXPIRE
//!            8 bytes  key length                                                            only with LONG_KEY
//!            2 bytes  length of the inline value                                            without INT and PTR
//!            n bytes  key
//!            n bytes  inline value                                                          without INT and PTR
//! ```
//!
//! All offsets follow from the flags, so nothing else is stored. A string that is a canonical 64-bit integer sits in the
//! slot, one of up to [`INLINE_MAX`] bytes behind the key, a larger one in an [`SBuf`]. Every other type hangs off the slot
//! by one pointer, which type and encoding tell how to read ([`value`]).
//!
//! Invariants: the flags describe the layout that was allocated; a PTR slot owns its value; only a string is without PTR;
//! the key never changes.
//! An entry knows nothing of the table or the index that holds it: [`keyspace`] keeps those two in step.

pub(crate) mod capture;
mod dismiss;
pub(crate) mod index;
pub(crate) mod keyspace;
pub(crate) mod value;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::ds::sbuf::SBuf;
use crate::ds::table::Element;
use value::Value;

/// The longest string value kept inside the entry, in bytes.
pub(crate) const INLINE_MAX: usize = 1024;
/// The longest string that OBJECT ENCODING calls `embstr` (object.c).
pub(crate) const EMBSTR_MAX: usize = 44;

/// A value of so many allocations, or a string of so many bytes, is not freed where others wait for it. That takes some hundred
/// microseconds then.
const LARGE_ALLOCATIONS: usize = 4096;
const LARGE_BYTES: usize = 1 << 20;

/// The type of a value, with the numbers of server.h (OBJ_STRING ..).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Type {
    String = 0,
    List = 1,
    Set = 2,
    Zset = 3,
    Hash = 4,
    Stream = 6,
}

impl Type {
    /// The name that TYPE answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::Zset => "zset",
            Type::Hash => "hash",
            Type::Stream => "stream",
        }
    }
}

/// How a value is represented, with the numbers of server.h (OBJ_ENCODING_RAW ..).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Encoding {
    Raw = 0,
    Int = 1,
    /// A hash table (`hashtable`).
    Ht = 2,
    Intset = 6,
    /// A sorted set in a tree; the name is upstream's.
    Skiplist = 7,
    Embstr = 8,
    Quicklist = 9,
    Stream = 10,
    Listpack = 11,
}

impl Encoding {
    /// The name that OBJECT ENCODING answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::Int => "int",
            Encoding::Ht => "hashtable",
            Encoding::Intset => "intset",
            Encoding::Skiplist => "skiplist",
            Encoding::Embstr => "embstr",
            Encoding::Quicklist => "quicklist",
            Encoding::Stream => "stream",
            Encoding::Listpack => "listpack",
        }
    }
}

const EXPIRE: u64 = 1 << 32;
const INT: u64 = 1 << 33;
const PTR: u64 = 1 << 34;
const LONG_KEY: u64 = 1 << 35;
const LAYOUT_FLAGS: u64 = EXPIRE | INT | PTR | LONG_KEY;
const LRU_MASK: u64 = 0xff_ffff;
const TYPE_SHIFT: u32 = 24;
const ENC_SHIFT: u32 = 28;
/// Type and encoding.
const KIND_MASK: u64 = 0xff << TYPE_SHIFT;
const TYPE_MASK: u64 = 0xf << TYPE_SHIFT;
/// The number of the last snapshot that has this entry or is not to have it ([`capture`]); 0: none.
const SNAPSHOT_SHIFT: u32 = 36;
const SNAPSHOT_MASK: u64 = 0xf << SNAPSHOT_SHIFT;
const KEYLEN_SHIFT: u32 = 40;
const KEYLEN_MAX: u64 = 0xff_ffff;
/// No place in the expire index (yet).
pub(crate) const NO_INDEX: u32 = u32::MAX;

const HEADER: usize = 8;

/// Where the key starts, by the four layout flags.
const KEY_OFFSET: [u8; 16] = {
    let mut t = [0u8; 16];
    let mut f = 0;
    while f < 16 {
        let expire = f & 1 != 0;
        let slot = f & 6 != 0;
        let long = f & 8 != 0;
        t[f] = (HEADER
            + if slot { 8 } else { 2 }
            + if expire { 12 } else { 0 }
            + if long { 8 } else { 0 }) as u8;
        f += 1;
    }
    t
};

/// A string value as it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Str<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

/// A value to be stored; the entry chooses the layout.
pub(crate) enum NewValue<'a> {
    /// An integer (encoding `int`).
    Int(i64),
    /// Bytes to copy; `raw` keeps upstream's name `raw` also for a short one (the result of APPEND, SETRANGE, ...).
    Bytes { bytes: &'a [u8], raw: bool },
    /// A buffer to keep as it is (encoding `raw`).
    Buf(SBuf),
    /// A value of another type.
    Value(Value),
}

/// What goes into an allocation, the layout being decided.
enum Body<'a> {
    Int(i64),
    Inline {
        encoding: Encoding,
        bytes: &'a [u8],
    },
    /// A word that owns a value of this type and encoding.
    Ptr {
        value_type: Type,
        encoding: Encoding,
        word: NonNull<u8>,
    },
}

impl<'a> Body<'a> {
    #[inline]
    fn of(value: NewValue<'a>) -> Body<'a> {
        match value {
            NewValue::Int(n) => Body::Int(n),
            NewValue::Bytes { bytes, raw } if bytes.len() <= INLINE_MAX => Body::Inline {
                encoding: inline_encoding(bytes.len(), raw),
                bytes,
            },
            NewValue::Bytes { bytes, .. } => Body::buf(SBuf::from_slice(bytes)),
            NewValue::Buf(b) => Body::buf(b),
            NewValue::Value(v) => {
                let (value_type, encoding) = (v.value_type(), v.encoding());
                Body::Ptr {
                    value_type,
                    encoding,
                    word: v.into_word(),
                }
            }
        }
    }

    fn buf(b: SBuf) -> Body<'a> {
        Body::Ptr {
            value_type: Type::String,
            encoding: Encoding::Raw,
            word: b.into_raw(),
        }
    }
}

#[inline]
fn inline_encoding(len: usize, raw: bool) -> Encoding {
    if raw || len > EMBSTR_MAX {
        Encoding::Raw
    } else {
        Encoding::Embstr
    }
}

/// An owned key with its value. Eight bytes: a pointer to the allocation described above.
#[repr(transparent)]
pub(crate) struct Entry(NonNull<u8>);

// SAFETY: an entry owns its allocation; an SBuf and every Value may be dropped on any thread.
unsafe impl Send for Entry {}

// SAFETY: transparent over NonNull, movable.
unsafe impl Element for Entry {
    #[inline]
    fn key(&self) -> &[u8] {
        let h = self.header();
        let (off, len) = (key_offset(h), self.key_len(h));
        // SAFETY: the key's bytes were written at creation.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(off), len) }
    }
}

#[inline]
fn key_offset(header: u64) -> usize {
    usize::from(KEY_OFFSET[((header & LAYOUT_FLAGS) >> 32) as usize])
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap_or_else(|_| handle_alloc_error(Layout::new::<u64>()))
}

impl Entry {
    /// A new entry without LRU information. `expire` is unix time in ms.
    #[inline]
    pub(crate) fn new(key: &[u8], value: NewValue<'_>, expire: Option<i64>) -> Entry {
        let expire = expire.map(|at| (at, NO_INDEX));
        Entry::build(key, value, expire, 0)
    }

    #[inline]
    fn build(key: &[u8], value: NewValue<'_>, expire: Option<(i64, u32)>, lru: u64) -> Entry {
        Entry::allocate(key, Body::of(value), expire, lru)
    }

    fn allocate(key: &[u8], body: Body<'_>, expire: Option<(i64, u32)>, lru: u64) -> Entry {
        let (mut flags, value_type, encoding, tail) = match &body {
            Body::Int(_) => (INT, Type::String, Encoding::Int, 0),
            Body::Inline { encoding, bytes } => (0, Type::String, *encoding, bytes.len()),
            Body::Ptr {
                value_type,
                encoding,
                ..
            } => (PTR, *value_type, *encoding, 0),
        };
        if expire.is_some() {
            flags |= EXPIRE;
        }
        let len = key.len() as u64;
        if len >= KEYLEN_MAX {
            flags |= LONG_KEY;
        }
        let header = (lru & LRU_MASK)
            | (value_type as u64) << TYPE_SHIFT
            | (encoding as u64) << ENC_SHIFT
            | flags
            | len.min(KEYLEN_MAX) << KEYLEN_SHIFT;
        let off = key_offset(header);
        let l = layout(off + key.len() + tail);
        // SAFETY: the size is at least that of the header. Every write below stays inside: the offsets are those that
        // `key_offset` reserved for these flags, and `tail` bytes follow the key.
        unsafe {
            let p = alloc(l);
            let Some(ptr) = NonNull::new(p) else {
                handle_alloc_error(l)
            };
            p.cast::<u64>().write(header);
            let mut at = HEADER;
            match body {
                Body::Int(n) => {
                    p.add(at).cast::<i64>().write(n);
                    at += 8;
                }
                Body::Ptr { word, .. } => {
                    p.add(at).cast::<NonNull<u8>>().write(word);
                    at += 8;
                }
                Body::Inline { bytes, .. } => {
                    p.add(off - 2)
                        .cast::<u16>()
                        .write_unaligned(bytes.len() as u16);
                    std::ptr::copy_nonoverlapping(
                        bytes.as_ptr(),
                        p.add(off + key.len()),
                        bytes.len(),
                    );
                }
            }
            if let Some((when, index)) = expire {
                p.add(at).cast::<i64>().write(when);
                p.add(at + 8).cast::<u32>().write(index);
                at += 12;
            }
            if flags & LONG_KEY != 0 {
                p.add(at).cast::<u64>().write_unaligned(len);
            }
            std::ptr::copy_nonoverlapping(key.as_ptr(), p.add(off), key.len());
            Entry(ptr)
        }
    }

    #[inline]
    fn header(&self) -> u64 {
        // SAFETY: every entry starts with its header.
        unsafe { self.0.as_ptr().cast::<u64>().read() }
    }

    #[inline]
    fn set_header(&mut self, header: u64) {
        // SAFETY: as in `header`; the caller keeps the layout flags.
        unsafe { self.0.as_ptr().cast::<u64>().write(header) }
    }

    /// See [`capture`].
    #[inline]
    fn snapshot(&self) -> u8 {
        ((self.header() & SNAPSHOT_MASK) >> SNAPSHOT_SHIFT) as u8
    }

    /// Notes that a snapshot, of a number below 16, has the entry or is not to have it.
    #[inline]
    fn set_snapshot(&self, number: u8) {
        let h = (self.header() & !SNAPSHOT_MASK) | u64::from(number & 0xf) << SNAPSHOT_SHIFT;
        // SAFETY: the header is the entry's own, nobody keeps a reference to it, and entries are not shared between threads; the
        // layout flags stay.
        unsafe { self.0.as_ptr().cast::<u64>().write(h) }
    }

    #[inline]
    fn key_len(&self, header: u64) -> usize {
        let n = header >> KEYLEN_SHIFT;
        if n < KEYLEN_MAX {
            return n as usize;
        }
        let at = HEADER
            + if header & (INT | PTR) != 0 { 8 } else { 0 }
            + if header & EXPIRE != 0 { 12 } else { 0 };
        // SAFETY: LONG_KEY entries keep the length here.
        unsafe { self.0.as_ptr().add(at).cast::<u64>().read_unaligned() as usize }
    }

    /// The entry up to the end of its key, and where the key is in that. None: the key has more than sixteen bytes.
    #[inline(always)]
    fn up_to_short_key(&self) -> Option<(&[u8], (u32, u32))> {
        let h = self.header();
        let (start, len) = (key_offset(h), h >> KEYLEN_SHIFT);
        if len > 16 {
            return None;
        }
        let end = start + len as usize;
        // SAFETY: all that stands before the key was written at creation, without gaps, as was the key.
        let text = unsafe { std::slice::from_raw_parts(self.0.as_ptr(), end) };
        Some((text, (start as u32, end as u32)))
    }

    #[inline]
    fn inline_len(&self, header: u64) -> usize {
        debug_assert!(header & (INT | PTR) == 0);
        // SAFETY: an entry without a slot keeps its value's length right before the key.
        let n = unsafe {
            let p = self.0.as_ptr().add(key_offset(header) - 2);
            p.cast::<u16>().read_unaligned()
        };
        usize::from(n)
    }

    /// Bytes of this allocation, without what hangs off it.
    fn size(&self) -> usize {
        let h = self.header();
        let inline = if h & (INT | PTR) == 0 {
            self.inline_len(h)
        } else {
            0
        };
        key_offset(h) + self.key_len(h) + inline
    }

    /// Bytes of the entry and of its value.
    pub(crate) fn mem_usage(&self) -> usize {
        self.mem_usage_by(Value::mem_usage)
    }

    /// The same, with a value that is no string as `f` measures it.
    pub(crate) fn mem_usage_by(&self, f: impl FnOnce(&Value) -> usize) -> usize {
        let own = crate::base::alloc::good_size(self.size());
        if self.header() & PTR == 0 {
            return own;
        }
        own + match self.buf() {
            Some(b) => crate::base::alloc::good_size(b.alloc_size()),
            None => self.any_value().map_or(0, |v| f(&v)),
        }
    }

    /// How many allocations it takes to free the value, about (lazyfreeGetFreeEffort).
    pub(crate) fn free_effort(&self) -> usize {
        if self.header() & PTR == 0 || self.buf().is_some() {
            return 1;
        }
        self.any_value().map_or(1, |v| v.free_effort())
    }

    /// Freeing it takes so long that others would notice: it is a matter for another thread, whoever asks.
    #[inline]
    pub(crate) fn is_large(&self) -> bool {
        self.header() & PTR != 0 && self.takes_long_to_free()
    }

    #[cold]
    fn takes_long_to_free(&self) -> bool {
        match self.buf() {
            Some(buf) => buf.len() >= LARGE_BYTES,
            None => self.free_effort() >= LARGE_ALLOCATIONS,
        }
    }

    /// Whether the value is of this type.
    #[inline]
    pub(crate) fn is_a(&self, t: Type) -> bool {
        self.header() & TYPE_MASK == (t as u64) << TYPE_SHIFT
    }

    #[inline]
    pub(crate) fn value_type(&self) -> Type {
        match (self.header() >> TYPE_SHIFT) & 0xf {
            1 => Type::List,
            2 => Type::Set,
            3 => Type::Zset,
            4 => Type::Hash,
            6 => Type::Stream,
            _ => Type::String,
        }
    }

    #[inline]
    pub(crate) fn encoding(&self) -> Encoding {
        match (self.header() >> ENC_SHIFT) & 0xf {
            1 => Encoding::Int,
            2 => Encoding::Ht,
            6 => Encoding::Intset,
            7 => Encoding::Skiplist,
            8 => Encoding::Embstr,
            9 => Encoding::Quicklist,
            10 => Encoding::Stream,
            11 => Encoding::Listpack,
            _ => Encoding::Raw,
        }
    }

    /// The 24 bits of LRU clock or LFU counter (object.c).
    #[inline]
    pub(crate) fn lru(&self) -> u32 {
        (self.header() & LRU_MASK) as u32
    }

    #[inline]
    pub(crate) fn set_lru(&mut self, lru: u32) {
        let h = self.header();
        self.set_header((h & !LRU_MASK) | (u64::from(lru) & LRU_MASK));
    }

    /// When the key expires, unix time in ms.
    #[inline]
    pub(crate) fn expire(&self) -> Option<i64> {
        let h = self.header();
        if h & EXPIRE == 0 {
            return None;
        }
        // SAFETY: EXPIRE entries keep it here; the offset is a multiple of eight.
        Some(unsafe { self.0.as_ptr().add(expire_offset(h)).cast::<i64>().read() })
    }

    fn expire_index(&self) -> u32 {
        let h = self.header();
        debug_assert!(h & EXPIRE != 0);
        // SAFETY: as in `expire`; the caller has seen that the entry has one.
        unsafe {
            let p = self.0.as_ptr().add(expire_offset(h) + 8);
            p.cast::<u32>().read()
        }
    }

    fn set_expire_index(&mut self, index: u32) {
        let h = self.header();
        debug_assert!(h & EXPIRE != 0);
        // SAFETY: as in `expire_index`.
        unsafe {
            let p = self.0.as_ptr().add(expire_offset(h) + 8);
            p.cast::<u32>().write(index);
        }
    }

    /// Sets or clears the expiry; moves the entry when its layout changes.
    fn set_expire(&mut self, at: Option<i64>) {
        let h = self.header();
        match (at, h & EXPIRE != 0) {
            (Some(at), true) => {
                // SAFETY: as in `expire`.
                unsafe {
                    let p = self.0.as_ptr().add(expire_offset(h));
                    p.cast::<i64>().write(at);
                }
            }
            (None, false) => {}
            (at, _) => self.relayout(at.map(|at| (at, NO_INDEX))),
        }
    }

    /// Copies the entry into one with or without an expiry; the value moves along.
    fn relayout(&mut self, expire: Option<(i64, u32)>) {
        let h = self.header();
        let encoding = self.encoding();
        let new = if h & PTR != 0 {
            let body = Body::Ptr {
                value_type: self.value_type(),
                encoding,
                word: self.take_word(),
            };
            Entry::allocate(self.key(), body, expire, h)
        } else {
            let body = match self.string() {
                Str::Int(n) => Body::Int(n),
                Str::Bytes(bytes) => Body::Inline { encoding, bytes },
            };
            Entry::allocate(self.key(), body, expire, h)
        };
        *self = new;
    }

    /// The entry under another key: value, expiry and LRU bits go along.
    pub(crate) fn renamed(mut self, key: &[u8]) -> Entry {
        let h = self.header();
        let encoding = self.encoding();
        let expire = self.expire().map(|at| (at, NO_INDEX));
        let body = if h & PTR != 0 {
            Body::Ptr {
                value_type: self.value_type(),
                encoding,
                word: self.take_word(),
            }
        } else {
            match self.string() {
                Str::Int(n) => Body::Int(n),
                Str::Bytes(bytes) => Body::Inline { encoding, bytes },
            }
        };
        Entry::allocate(key, body, expire, h)
    }

    /// The string value. Panics when the value is no string.
    #[inline]
    pub(crate) fn string(&self) -> Str<'_> {
        let h = self.header();
        // SAFETY: the flags say which of the three layouts this is; the borrow of self keeps the bytes alive and unchanged.
        unsafe {
            let p = self.0.as_ptr();
            if h & (INT | PTR) == 0 {
                let start = key_offset(h) + self.key_len(h);
                Str::Bytes(std::slice::from_raw_parts(p.add(start), self.inline_len(h)))
            } else if h & INT != 0 {
                Str::Int(p.add(HEADER).cast::<i64>().read())
            } else {
                assert!(h & TYPE_MASK == 0, "not a string");
                // The buffer outlives this borrow: the entry owns one count of it and drops it only through &mut.
                let buf = &*p.add(HEADER).cast::<SBuf>();
                Str::Bytes(buf.as_slice())
            }
        }
    }

    /// The string's buffer, when it hangs off the entry.
    #[inline]
    pub(crate) fn buf(&self) -> Option<&SBuf> {
        if self.header() & (PTR | TYPE_MASK) != PTR {
            return None;
        }
        // SAFETY: a PTR slot of a string holds an SBuf, which is transparent over its pointer.
        Some(unsafe { &*self.0.as_ptr().add(HEADER).cast::<SBuf>() })
    }

    /// The word of a PTR slot.
    #[inline]
    fn word(&self) -> NonNull<u8> {
        debug_assert!(self.header() & PTR != 0);
        // SAFETY: a PTR slot holds a pointer, written as such.
        unsafe { self.0.as_ptr().add(HEADER).cast::<NonNull<u8>>().read() }
    }

    /// Takes the word out and leaves an integer in its place, so that dropping the entry does not free the value.
    #[inline]
    fn take_word(&mut self) -> NonNull<u8> {
        let word = self.word();
        let h = self.header();
        self.set_header((h & !PTR) | INT);
        word
    }

    /// Puts a word into the slot of an entry that has one and owns nothing.
    #[inline]
    fn put_word(&mut self, value_type: Type, encoding: Encoding, word: NonNull<u8>) {
        let h = self.header();
        debug_assert!(h & INT != 0);
        let kind = (value_type as u64) << TYPE_SHIFT | (encoding as u64) << ENC_SHIFT;
        self.set_header((h & !(KIND_MASK | INT)) | kind | PTR);
        // SAFETY: INT and PTR entries have the slot at the same place.
        unsafe {
            self.0
                .as_ptr()
                .add(HEADER)
                .cast::<NonNull<u8>>()
                .write(word)
        };
    }

    /// Frees what hangs off the slot.
    fn drop_word(&mut self) {
        let (value_type, encoding) = (self.value_type(), self.encoding());
        let word = self.take_word();
        if value_type == Type::String {
            // SAFETY: a PTR slot of a string owns an SBuf, and was just emptied.
            drop(unsafe { SBuf::from_raw(word) });
        } else {
            // SAFETY: the slot owned this word with this type and encoding, and was just emptied.
            drop(unsafe { Value::from_word(value_type, encoding, word) });
        }
    }

    /// Stores an integer or bytes in the place of the old value when the layout stays the same. False when it does not.
    #[inline]
    fn overwrite(&mut self, value: &NewValue<'_>) -> bool {
        let h = self.header();
        match value {
            NewValue::Int(n) if h & INT != 0 => {
                // SAFETY: INT entries keep the number in the slot.
                unsafe { self.0.as_ptr().add(HEADER).cast::<i64>().write(*n) };
                true
            }
            NewValue::Bytes { bytes, raw }
                if h & (INT | PTR) == 0 && self.inline_len(h) == bytes.len() =>
            {
                let e = inline_encoding(bytes.len(), *raw);
                self.set_header((h & !(0xf << ENC_SHIFT)) | (e as u64) << ENC_SHIFT);
                let start = key_offset(h) + self.key_len(h);
                // SAFETY: the inline value has exactly this length; the source is not inside this entry, which is borrowed
                // mutably.
                unsafe {
                    let to = self.0.as_ptr().add(start);
                    std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
                }
                true
            }
            _ => false,
        }
    }

    /// Replaces the value, keeping key, expiry and LRU bits; may move the entry.
    fn set_value(&mut self, value: NewValue<'_>) {
        if !self.overwrite(&value) {
            self.rebuild(value);
        }
    }

    /// The same for a value that does not fit in the place of the old one.
    #[inline]
    fn rebuild(&mut self, value: NewValue<'_>) {
        drop(self.replace_value(value));
    }

    /// The same for a value of any type; what was there before comes back as an entry of its own, which no index knows.
    #[inline]
    fn replace_value(&mut self, value: NewValue<'_>) -> Entry {
        let expire = self.expire().map(|at| (at, self.expire_index()));
        let new = Entry::build(self.key(), value, expire, self.header());
        std::mem::replace(self, new)
    }

    /// Converts a string value to a growable buffer; may move the entry. Panics when the value is no string.
    fn make_raw(&mut self) {
        if self.buf().is_none() {
            let buf = match self.string() {
                Str::Int(n) => SBuf::from_slice(itoa::Buffer::new().format(n).as_bytes()),
                Str::Bytes(b) => SBuf::from_slice(b),
            };
            self.set_value(NewValue::Buf(buf));
        }
    }

    /// The value as a growable buffer for APPEND, SETRANGE and SETBIT, after [`Entry::make_raw`]. Panics when it is none.
    fn raw_buf(&mut self) -> &mut SBuf {
        assert!(self.buf().is_some(), "a string without a buffer");
        // SAFETY: a PTR entry of a string; see `buf`.
        unsafe { &mut *self.0.as_ptr().add(HEADER).cast::<SBuf>() }
    }

    /// The address, for DEBUG OBJECT.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ptr() as usize
    }
}

#[inline]
fn expire_offset(header: u64) -> usize {
    HEADER + if header & (INT | PTR) != 0 { 8 } else { 0 }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.header() & PTR != 0 {
            self.drop_word();
        }
        let size = self.size();
        // SAFETY: allocated in `build` with the same layout: the flags that decide the size are unchanged but for PTR -> INT,
        // which have the same size.
        unsafe { dealloc(self.0.as_ptr(), layout(size)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(b: &[u8]) -> NewValue<'_> {
        NewValue::Bytes {
            bytes: b,
            raw: false,
        }
    }

    #[test]
    fn every_layout_keeps_key_value_and_expiry() {
        let long = vec![b'k'; 0x0100_0000];
        let big = vec![b'v'; 5000];
        for key in [&b""[..], b"k", b"key:000000000001", &long] {
            for expire in [None, Some(1_700_000_000_123i64)] {
                let e = Entry::new(key, NewValue::Int(-5), expire);
                assert_eq!(
                    (e.key(), e.string(), e.expire()),
                    (key, Str::Int(-5), expire)
                );
                for v in [&b""[..], b"x", &big[..45], &big[..1024], &big] {
                    let mut e = Entry::new(key, bytes(v), expire);
                    e.set_lru(0x123456);
                    assert_eq!(e.key(), key);
                    assert_eq!(e.string(), Str::Bytes(v));
                    assert_eq!(e.expire(), expire);
                    e.set_expire(Some(9));
                    e.set_expire_index(77);
                    assert_eq!((e.expire(), e.expire_index()), (Some(9), 77));
                    e.set_value(NewValue::Int(3));
                    assert_eq!((e.expire(), e.expire_index()), (Some(9), 77));
                    assert_eq!((e.key(), e.string()), (key, Str::Int(3)));
                    e.set_value(bytes(v));
                    e.set_expire(None);
                    assert_eq!(
                        (e.key(), e.string(), e.expire()),
                        (key, Str::Bytes(v), None)
                    );
                    assert_eq!(e.lru(), 0x123456);
                    e.set_expire(expire);
                    let mut e = e.renamed(b"other");
                    assert_eq!((e.key(), e.string()), (&b"other"[..], Str::Bytes(v)));
                    assert_eq!((e.expire(), e.lru()), (expire, 0x123456));
                    e.set_expire(None);
                    let mut e = e.renamed(key);
                    assert_eq!(e.key(), key);
                    e.make_raw();
                    e.raw_buf().extend_from_slice(b"!");
                    assert_eq!(e.encoding(), Encoding::Raw);
                    let want = [v, b"!"].concat();
                    assert_eq!(e.string(), Str::Bytes(&want));
                    e.set_expire(Some(1));
                    assert_eq!(e.string(), Str::Bytes(&want));
                }
            }
        }
    }

    #[test]
    fn sizes_fit_the_classes_of_the_budget() {
        let size = |v: NewValue<'_>, ttl| Entry::new(b"key:000000000001", v, ttl).size();
        assert_eq!(size(NewValue::Int(1), None), 32);
        assert!(size(bytes(&[b'x'; 32]), None) <= 64);
        assert!(size(bytes(&[b'x'; 32]), Some(1)) <= 80);
        assert!(size(bytes(&[b'y'; 100]), None) <= 128);
    }

    #[test]
    fn encodings_are_named_as_upstream_names_them() {
        let e = |v| Entry::new(b"k", v, None).encoding();
        assert_eq!(e(NewValue::Int(1)), Encoding::Int);
        assert_eq!(e(bytes(&[b'x'; 44])), Encoding::Embstr);
        assert_eq!(e(bytes(&[b'x'; 45])), Encoding::Raw);
        assert_eq!(
            e(NewValue::Bytes {
                bytes: b"a",
                raw: true
            }),
            Encoding::Raw
        );
        assert_eq!(e(bytes(&[b'x'; 2000])), Encoding::Raw);
    }
}
