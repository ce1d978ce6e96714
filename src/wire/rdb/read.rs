//! Reads an RDB file record by record, and the primitives that values are made of.
//!
//! Owns the source, the read buffer, the exact offset of the next byte, the running CRC-64 and the attributes that come
//! before a key. Invariants: `bytes_read` counts consumed bytes, not those read ahead; a consumed byte is in the CRC
//! exactly once; nothing is ever allocated ahead of the bytes that came, whatever a length in the file claims. Must not
//! know the store: it yields bytes, integers and counts, and the loader builds values of them.
//!
//! # Giving control back
//!
//! A load may last minutes, and the server must go on serving clients meanwhile. The reader borrows nothing from the
//! server: every method that can take bytes from the source is handed a [`Poll`], a closure which the reader calls
//!
//! - with [`PollPoint::Progress`] when at least the poll interval has been consumed since the last call: between
//!   records, between the strings of a value, and between the chunks of one huge string;
//! - with [`PollPoint::WouldBlock`] when a non-blocking source has nothing to read: the closure waits (serving clients
//!   if it likes) and returns, and the read is tried again.
//!
//! The closure may borrow the server mutably, since reader and half-built value are the loader's own; its error ends the
//! load with [`RdbErrorKind::Io`]. A caller that has nothing to do passes [`no_poll`].

use std::io::{self, Empty, Read};

use super::error::{RdbError, RdbErrorKind};
use super::format::*;
use super::frame::{VersionCheck, parse_header};
use crate::base::crc::Crc64;
use crate::base::lzf::lzf_decompress;
use crate::base::num::push_ll;

/// Bytes asked of the source at a time.
const READ_BUFFER: usize = 64 * 1024;
/// Most bytes read straight into a long string at a time.
const DIRECT_STEP: usize = 1024 * 1024;
/// Bytes of a name, at the most, that is read only to be told.
const SHORT_STRING: u64 = 1024;
/// A buffer for long strings that is larger than this is given back before the next one.
const LONG_BUFFER_KEPT: usize = 1024 * 1024;

/// Why the reader calls its [`Poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollPoint {
    /// The poll interval has passed; the offset is that of the next byte.
    Progress(u64),
    /// The source has no bytes yet.
    WouldBlock,
}

/// Called by the reader where a long load can do something else. See the head of the file.
pub(crate) type Poll<'a> = &'a mut dyn FnMut(PollPoint) -> io::Result<()>;

/// A [`Poll`] for files and memory: ignores progress, and fails where a source would block.
pub(crate) fn no_poll(point: PollPoint) -> io::Result<()> {
    match point {
        PollPoint::Progress(_) => Ok(()),
        PollPoint::WouldBlock => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// A string of the file, borrowed from the reader: valid until the next read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RdbString<'a> {
    /// Stored as an integer; the string is its decimal text.
    Int(i64),
    /// Stored as bytes.
    Bytes(&'a [u8]),
}

impl RdbString<'_> {
    /// Appends the string's bytes to `out`.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Int(v) => push_ll(out, v),
            Self::Bytes(b) => out.extend_from_slice(b),
        }
    }
}

/// What precedes a value: its type and the attributes of its key. The key itself is in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RdbKey {
    /// The type byte: [`rdb_is_object_type`] holds for it in this file's version.
    pub rdb_type: u8,
    /// Expiry, in Unix milliseconds.
    pub expire_ms: Option<i64>,
    /// Idle time, in seconds.
    pub idle: Option<u64>,
    /// LFU counter.
    pub freq: Option<u8>,
}

/// How a file's checksum came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RdbChecksum {
    /// Present and right.
    Verified,
    /// Zero: the file was saved without one.
    DisabledAtSave,
    /// Present, but the reader was told not to look.
    NotVerified,
    /// Older than version 5: there is none.
    Absent,
}

/// A record of the file. Expiry, idle time and frequency are not records but parts of the key that follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RdbRecord<'a> {
    /// A field about the file.
    Aux {
        /// Its name.
        key: &'a [u8],
        /// Its value, integers as text.
        value: &'a [u8],
    },
    /// A hint about the selected database. A claim of the file: to be bounded before it sizes anything.
    ResizeDb {
        /// Keys.
        keys: u64,
        /// Keys with an expiry.
        expires: u64,
    },
    /// The keys that follow belong to this database.
    SelectDb(u64),
    /// The code of a function library.
    Function2(&'a [u8]),
    /// Data of a module follow: to be refused, or walked over with [`RdbReader::skip_module_value`].
    ModuleAux {
        /// The module type's id, see [`module_type_name_by_id`].
        id: u64,
        /// Whether the data belong before (1) or after (2) the keys.
        when: u64,
    },
    /// A key; its value is the caller's to read, by type, or to skip with [`RdbReader::skip_value`].
    Key(RdbKey),
    /// The end. Bytes that follow belong to somebody else.
    Eof(RdbChecksum),
}

/// How a string begins.
enum StringHead {
    Plain(u64),
    Int(i64),
    Lzf { packed: u64, plain: u64 },
}

/// Reads an RDB file out of `R`, through a buffer of 64 KB.
pub(crate) struct RdbReader<R: Read> {
    source: R,
    /// Fixed in length; `pos..end` is read and not consumed.
    buf: Vec<u8>,
    pos: usize,
    end: usize,
    /// Consumed bytes from here to `pos` are not in the CRC yet.
    crc_from: usize,
    /// Offset in the file of `buf[0]`.
    base: u64,
    crc: Crc64,
    verify_checksum: bool,
    version_check: VersionCheck,
    version: u16,
    poll_interval: u64,
    next_poll: u64,
    /// See [`RdbReader::set_limit`].
    limit: u64,
    total_len: Option<u64>,
    /// A string that is longer than `buf`.
    long: Vec<u8>,
    /// A string that was expanded.
    plain: Vec<u8>,
    aux_key: Vec<u8>,
    expire_ms: Option<i64>,
    idle: Option<u64>,
    freq: Option<u8>,
    /// Metadata of modules came before the next key.
    metadata: bool,
}

impl<R: Read> RdbReader<R> {
    /// A reader at the start of `source`, that verifies checksums and never reports progress.
    pub(crate) fn new(source: R) -> Self {
        Self::with_buffer(source, vec![0; READ_BUFFER], 0)
    }

    /// A reader with a buffer of `bytes`, no fewer than 64, for a caller that reads a little here and there.
    pub(crate) fn with_buffer_size(source: R, bytes: usize) -> Self {
        Self::with_buffer(source, vec![0; bytes.max(64)], 0)
    }

    fn with_buffer(source: R, buf: Vec<u8>, end: usize) -> Self {
        RdbReader {
            source,
            buf,
            pos: 0,
            end,
            crc_from: 0,
            base: 0,
            crc: Crc64::new(),
            verify_checksum: true,
            version_check: VersionCheck::Strict,
            version: RDB_VERSION,
            poll_interval: 0,
            next_poll: u64::MAX,
            limit: u64::MAX,
            total_len: None,
            long: Vec::new(),
            plain: Vec::new(),
            aux_key: Vec::new(),
            expire_ms: None,
            idle: None,
            freq: None,
            metadata: false,
        }
    }

    /// Which versions are read (`rdb-version-check`); strict, unless set.
    pub(crate) fn set_version_check(&mut self, check: VersionCheck) {
        self.version_check = check;
    }

    /// Whether the checksum is computed and compared at the end (`rdbchecksum`).
    pub(crate) fn set_verify_checksum(&mut self, on: bool) {
        self.verify_checksum = on;
    }

    /// Progress is reported each time so many bytes more are consumed; zero: never
    /// (`loading-process-events-interval-bytes`).
    pub(crate) fn set_poll_interval(&mut self, bytes: u64) {
        self.poll_interval = bytes;
        self.next_poll = next_multiple(self.bytes_read(), bytes);
    }

    /// Tells the length of the whole file where it is known, for [`Self::plausible_count`].
    pub(crate) fn set_total_len(&mut self, bytes: u64) {
        self.total_len = Some(bytes);
    }

    /// Bytes consumed: the offset of the next one.
    #[inline]
    pub(crate) fn bytes_read(&self) -> u64 {
        self.base + self.pos as u64
    }

    /// Goes on with `source`, whose next byte is at `offset` of the file. What was buffered is dropped, and so is the
    /// checksum: it is not verified from here on.
    pub(crate) fn resume(&mut self, source: R, offset: u64) {
        self.source = source;
        self.base = offset;
        (self.pos, self.end, self.crc_from) = (0, 0, 0);
        (self.expire_ms, self.idle, self.freq) = (None, None, None);
        self.metadata = false;
        self.verify_checksum = false;
        self.next_poll = next_multiple(offset, self.poll_interval);
    }

    /// A string that ends beyond this offset is a short read at once, before any of it is gathered.
    pub(crate) fn set_limit(&mut self, offset: u64) {
        self.limit = offset;
    }

    /// Reads on as in a file of this version, whose header was not read or is damaged.
    pub(crate) fn assume_version(&mut self, version: u16) {
        self.version = version;
    }

    /// The next byte, if it is buffered already: a look at what follows, which consumes nothing.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.buf[self.pos..self.end].first().copied()
    }

    /// The version in the header; before it is read, [`RDB_VERSION`].
    pub(crate) fn version(&self) -> u16 {
        self.version
    }

    /// The source, which may be ahead of [`Self::bytes_read`] by what is buffered.
    pub(crate) fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// The source, and the bytes that were read from it but not consumed: what follows the RDB in an AOF or on a link.
    #[cfg(test)]
    pub(crate) fn into_parts(mut self) -> (R, Vec<u8>) {
        self.buf.truncate(self.end);
        self.buf.drain(..self.pos);
        (self.source, self.buf)
    }

    /// How many of `count` elements, each of at least `min_bytes` in the file, a caller may make room for at once: no
    /// more than the rest of the file can hold where its length is known, else no more than a few thousand.
    pub(crate) fn plausible_count(&self, count: u64, min_bytes: u64) -> usize {
        let most = match self.total_len {
            Some(total) => total.saturating_sub(self.bytes_read()) / min_bytes.max(1),
            None => 4096,
        };
        usize::try_from(count.min(most)).unwrap_or(usize::MAX)
    }

    /// Bytes held for strings, beside the read buffer.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.long.capacity() + self.plain.capacity() + self.aux_key.capacity()
    }

    /// An error at the present offset; for callers that find a value wrong.
    #[cold]
    pub(crate) fn error(&self, kind: RdbErrorKind) -> RdbError {
        RdbError {
            offset: self.bytes_read(),
            kind,
        }
    }

    // -- bytes ------------------------------------------------------------------------------------------------------

    /// Brings consumed bytes into the CRC.
    fn absorb(&mut self) {
        if self.verify_checksum {
            self.crc.update(&self.buf[self.crc_from..self.pos]);
        }
        self.crc_from = self.pos;
    }

    #[inline]
    fn poll_if_due(&mut self, poll: Poll<'_>) -> Result<(), RdbError> {
        if self.bytes_read() >= self.next_poll {
            self.poll_now(poll)
        } else {
            Ok(())
        }
    }

    #[cold]
    fn poll_now(&mut self, poll: Poll<'_>) -> Result<(), RdbError> {
        let offset = self.bytes_read();
        self.next_poll = next_multiple(offset, self.poll_interval);
        poll(PollPoint::Progress(offset)).map_err(|e| self.error(RdbErrorKind::Io(e.kind())))
    }

    /// Has at least `n` bytes, `n` no more than the buffer holds, at `pos`.
    #[inline]
    fn ensure(&mut self, n: usize, poll: Poll<'_>) -> Result<(), RdbError> {
        if self.end - self.pos >= n {
            Ok(())
        } else {
            self.fill(n, poll)
        }
    }

    #[cold]
    fn fill(&mut self, n: usize, poll: Poll<'_>) -> Result<(), RdbError> {
        self.poll_if_due(poll)?;
        self.absorb();
        self.buf.copy_within(self.pos..self.end, 0);
        self.base += self.pos as u64;
        self.end -= self.pos;
        self.pos = 0;
        self.crc_from = 0;
        while self.end < n {
            match read_some(&mut self.source, &mut self.buf[self.end..], poll) {
                Ok(got) => self.end += got,
                Err(kind) => return Err(self.error(kind)),
            }
        }
        Ok(())
    }

    /// Consumes `n` bytes: out of the buffer where they fit in it, else gathered in `self.long`.
    fn take_bytes(&mut self, n: u64, poll: Poll<'_>) -> Result<&[u8], RdbError> {
        self.within_limit(n)?;
        let n = self.addressable(n)?;
        if n <= self.buf.len() {
            self.ensure(n, poll)?;
            self.pos += n;
            return Ok(&self.buf[self.pos - n..self.pos]);
        }
        let mut long = std::mem::take(&mut self.long);
        long.clear();
        if long.capacity() > LONG_BUFFER_KEPT {
            long = Vec::new();
        }
        let done = self.collect(n, &mut long, poll);
        self.long = long;
        done?;
        Ok(&self.long)
    }

    #[inline]
    fn within_limit(&self, n: u64) -> Result<(), RdbError> {
        if n > self.limit.saturating_sub(self.bytes_read()) {
            return Err(self.error(RdbErrorKind::ShortRead));
        }
        Ok(())
    }

    fn addressable(&self, n: u64) -> Result<usize, RdbError> {
        match usize::try_from(n) {
            Ok(len) if len <= isize::MAX as usize => Ok(len),
            _ => Err(self.error(RdbErrorKind::TooLong(n))),
        }
    }

    /// Appends the next `n` bytes to `out`, which grows with what comes and ends up exactly as large as needed.
    fn collect(&mut self, n: usize, out: &mut Vec<u8>, poll: Poll<'_>) -> Result<(), RdbError> {
        let mut left = n;
        while left > 0 {
            let here = left.min(self.end - self.pos);
            if here > 0 {
                grow(out, here, left);
                out.extend_from_slice(&self.buf[self.pos..self.pos + here]);
                self.pos += here;
                left -= here;
            } else if left < self.buf.len() {
                self.fill(1, poll)?;
            } else {
                // The buffer is empty and much is left: read past it, in steps no larger than what has come already.
                self.absorb();
                self.base += self.pos as u64;
                (self.pos, self.end, self.crc_from) = (0, 0, 0);
                let have = out.len();
                let step = left.min(have.clamp(READ_BUFFER, DIRECT_STEP));
                grow(out, step, left);
                out.resize(have + step, 0);
                let read = read_some(&mut self.source, &mut out[have..], poll);
                out.truncate(have + *read.as_ref().unwrap_or(&0));
                let got = read.map_err(|kind| self.error(kind))?;
                if self.verify_checksum {
                    self.crc.update(&out[have..]);
                }
                self.base += got as u64;
                left -= got;
                self.poll_if_due(poll)?;
            }
        }
        Ok(())
    }

    /// Consumes `n` bytes without looking at them.
    fn skip_bytes(&mut self, mut n: u64, poll: Poll<'_>) -> Result<(), RdbError> {
        loop {
            let here =
                usize::try_from(n).map_or(self.end - self.pos, |n| n.min(self.end - self.pos));
            self.pos += here;
            n -= here as u64;
            if n == 0 {
                return Ok(());
            }
            self.fill(1, poll)?;
        }
    }

    /// The next `N` bytes as they are: stream ids, or a mark after the end of the file. Where they are not all there, none is
    /// consumed.
    #[inline]
    pub(crate) fn read_array<const N: usize>(
        &mut self,
        poll: Poll<'_>,
    ) -> Result<[u8; N], RdbError> {
        let mut a = [0; N];
        if N > self.end - self.pos {
            if self.buf.len() < N {
                // A payload's buffer may be smaller, and there is nothing behind it.
                return Err(self.error(RdbErrorKind::ShortRead));
            }
            self.fill(N, poll)?;
        }
        a.copy_from_slice(&self.buf[self.pos..self.pos + N]);
        self.pos += N;
        Ok(a)
    }

    /// The next byte.
    #[inline]
    pub(crate) fn read_u8(&mut self, poll: Poll<'_>) -> Result<u8, RdbError> {
        Ok(self.read_array::<1>(poll)?[0])
    }

    // -- primitives -------------------------------------------------------------------------------------------------

    /// A length or count, or a stream's number (rdbLoadLen).
    #[inline]
    pub(crate) fn read_len(&mut self, poll: Poll<'_>) -> Result<u64, RdbError> {
        let first = self.read_u8(poll)?;
        self.finish_len(first, poll)
    }

    #[inline]
    fn finish_len(&mut self, first: u8, poll: Poll<'_>) -> Result<u64, RdbError> {
        match first >> 6 {
            RDB_6BITLEN => Ok(u64::from(first)),
            RDB_14BITLEN => Ok(u64::from(first & 0x3f) << 8 | u64::from(self.read_u8(poll)?)),
            _ => match first {
                RDB_32BITLEN => Ok(u64::from(u32::from_be_bytes(self.read_array(poll)?))),
                RDB_64BITLEN => Ok(u64::from_be_bytes(self.read_array(poll)?)),
                _ => Err(self.error(RdbErrorKind::BadLength(first))),
            },
        }
    }

    #[inline]
    fn string_head(&mut self, poll: Poll<'_>) -> Result<StringHead, RdbError> {
        self.poll_if_due(poll)?;
        let first = self.read_u8(poll)?;
        if first >> 6 != RDB_ENCVAL {
            return self.finish_len(first, poll).map(StringHead::Plain);
        }
        Ok(match first & 0x3f {
            RDB_ENC_INT8 => StringHead::Int(i64::from(i8::from_le_bytes(self.read_array(poll)?))),
            RDB_ENC_INT16 => StringHead::Int(i64::from(i16::from_le_bytes(self.read_array(poll)?))),
            RDB_ENC_INT32 => StringHead::Int(i64::from(i32::from_le_bytes(self.read_array(poll)?))),
            RDB_ENC_LZF => {
                let packed = self.read_len(poll)?;
                let plain = self.read_len(poll)?;
                // Both lengths are claims; this ties the second to the bytes that must have come.
                if packed == 0 || plain == 0 || plain > packed.saturating_mul(LZF_MAX_EXPANSION) {
                    return Err(self.error(RdbErrorKind::LzfCorrupt));
                }
                StringHead::Lzf { packed, plain }
            }
            encoding => return Err(self.error(RdbErrorKind::UnknownEncoding(encoding))),
        })
    }

    /// A string, borrowed until the next read; short ones point into the read buffer (rdbGenericLoadStringObject).
    #[inline]
    pub(crate) fn read_string(&mut self, poll: Poll<'_>) -> Result<RdbString<'_>, RdbError> {
        match self.string_head(poll)? {
            StringHead::Plain(n) => self.take_bytes(n, poll).map(RdbString::Bytes),
            StringHead::Int(v) => Ok(RdbString::Int(v)),
            StringHead::Lzf { packed, plain } => {
                self.plain = self.expand(packed, plain, poll)?;
                Ok(RdbString::Bytes(&self.plain))
            }
        }
    }

    /// A string into `out`, replacing what is there; integers as text. Long strings are read straight into it.
    pub(crate) fn read_string_into(
        &mut self,
        out: &mut Vec<u8>,
        poll: Poll<'_>,
    ) -> Result<(), RdbError> {
        out.clear();
        match self.string_head(poll)? {
            StringHead::Plain(n) => {
                self.within_limit(n)?;
                let n = self.addressable(n)?;
                if n <= self.buf.len() {
                    self.ensure(n, poll)?;
                    out.extend_from_slice(&self.buf[self.pos..self.pos + n]);
                    self.pos += n;
                    Ok(())
                } else {
                    self.collect(n, out, poll)
                }
            }
            StringHead::Int(v) => {
                RdbString::Int(v).append_to(out);
                Ok(())
            }
            StringHead::Lzf { packed, plain } => {
                *out = self.expand(packed, plain, poll)?;
                Ok(())
            }
        }
    }

    /// Consumes `packed` compressed bytes and returns the `plain` bytes they stand for.
    fn expand(&mut self, packed: u64, plain: u64, poll: Poll<'_>) -> Result<Vec<u8>, RdbError> {
        let plain = self.addressable(plain)?;
        let bytes = lzf_decompress(self.take_bytes(packed, poll)?, plain);
        bytes.map_err(|_| self.error(RdbErrorKind::LzfCorrupt))
    }

    /// A string that is walked over.
    fn skip_string(&mut self, poll: Poll<'_>) -> Result<(), RdbError> {
        match self.string_head(poll)? {
            StringHead::Plain(n) | StringHead::Lzf { packed: n, .. } => self.skip_bytes(n, poll),
            StringHead::Int(_) => Ok(()),
        }
    }

    /// A score in 8 bytes (rdbLoadBinaryDoubleValue). May be NaN, which the caller must refuse.
    #[inline]
    pub(crate) fn read_double(&mut self, poll: Poll<'_>) -> Result<f64, RdbError> {
        self.read_array(poll).map(f64::from_le_bytes)
    }

    /// A score as text, the form before RDB version 8 (rdbLoadDoubleValue). May be NaN.
    pub(crate) fn read_text_double(&mut self, poll: Poll<'_>) -> Result<f64, RdbError> {
        match self.read_u8(poll)? {
            RDB_DOUBLE_NEG_INF => Ok(f64::NEG_INFINITY),
            RDB_DOUBLE_POS_INF => Ok(f64::INFINITY),
            RDB_DOUBLE_NAN => Ok(f64::NAN),
            n => {
                let text = std::str::from_utf8(self.take_bytes(u64::from(n), poll)?).unwrap_or("");
                text.trim()
                    .parse()
                    .map_err(|_| self.error(RdbErrorKind::BadDouble))
            }
        }
    }

    /// A time inside a value: Unix milliseconds (rdbLoadMillisecondTime).
    #[inline]
    pub(crate) fn read_millisecond_time(&mut self, poll: Poll<'_>) -> Result<i64, RdbError> {
        self.read_array(poll).map(i64::from_le_bytes)
    }

    // -- records ----------------------------------------------------------------------------------------------------

    /// The header; returns the version, one that [`Self::set_version_check`] allows.
    pub(crate) fn header(&mut self, poll: Poll<'_>) -> Result<u16, RdbError> {
        let h: [u8; RDB_HEADER_LEN] = self.read_array(poll)?;
        let version = parse_header(&h, self.version_check).map_err(|kind| match kind {
            RdbErrorKind::BadMagic => RdbError { offset: 0, kind },
            kind => self.error(kind),
        })?;
        self.version = version;
        Ok(version)
    }

    /// The next record. A key goes into `key`, replacing what is there; for other records `key` is left alone.
    ///
    /// After [`RdbRecord::Key`] and [`RdbRecord::ModuleAux`] the caller must read or skip the value before it asks for
    /// the next record.
    ///
    /// # Errors
    /// At [`RdbErrorKind::UnknownType`] and [`RdbErrorKind::KeyMetadata`], `key` has the key's name if that can be told, or is empty.
    pub(crate) fn next_record(
        &mut self,
        key: &mut Vec<u8>,
        poll: Poll<'_>,
    ) -> Result<RdbRecord<'_>, RdbError> {
        loop {
            self.poll_if_due(poll)?;
            match self.read_u8(poll)? {
                RDB_OPCODE_EXPIRETIME_MS => {
                    // Upstream's own "no expiry" is -1, also when it comes from a file.
                    self.expire_ms = Some(self.read_millisecond_time(poll)?).filter(|&t| t != -1);
                }
                RDB_OPCODE_EXPIRETIME => {
                    let seconds = i32::from_le_bytes(self.read_array(poll)?);
                    self.expire_ms = Some(i64::from(seconds) * 1000);
                }
                RDB_OPCODE_IDLE => self.idle = Some(self.read_len(poll)?),
                RDB_OPCODE_FREQ => self.freq = Some(self.read_u8(poll)?),
                RDB_OPCODE_SELECTDB => return self.read_len(poll).map(RdbRecord::SelectDb),
                RDB_OPCODE_RESIZEDB => {
                    let keys = self.read_len(poll)?;
                    let expires = self.read_len(poll)?;
                    return Ok(RdbRecord::ResizeDb { keys, expires });
                }
                RDB_OPCODE_AUX => return self.aux(poll),
                RDB_OPCODE_FUNCTION2 => {
                    let mut code = std::mem::take(&mut self.aux_key);
                    let done = self.read_string_into(&mut code, poll);
                    self.aux_key = code;
                    done?;
                    return Ok(RdbRecord::Function2(&self.aux_key));
                }
                RDB_OPCODE_FUNCTION_PRE_GA => return Err(self.error(RdbErrorKind::FunctionPreGa)),
                RDB_OPCODE_MODULE_AUX => {
                    let id = self.read_len(poll)?;
                    let opcode = self.read_len(poll)?;
                    if opcode != RDB_MODULE_OPCODE_UINT {
                        return Err(self.error(RdbErrorKind::ModuleData(opcode)));
                    }
                    let when = self.read_len(poll)?;
                    return Ok(RdbRecord::ModuleAux { id, when });
                }
                RDB_OPCODE_EOF => return self.eof(poll).map(RdbRecord::Eof),
                RDB_OPCODE_SLOT_INFO if self.version > RDB_VERSION => self.skip_lens(3, poll)?,
                RDB_OPCODE_SLOT_IMPORT if is_valkey(self.version) => {
                    return Err(self.error(RdbErrorKind::SlotImport));
                }
                RDB_OPCODE_KEY_META if self.version > RDB_VERSION => self.skip_key_meta(poll)?,
                rdb_type if rdb_is_object_type(rdb_type, self.version) => {
                    self.read_string_into(key, poll)?;
                    if std::mem::take(&mut self.metadata) {
                        return Err(self.error(RdbErrorKind::KeyMetadata));
                    }
                    return Ok(RdbRecord::Key(RdbKey {
                        rdb_type,
                        expire_ms: self.expire_ms.take(),
                        idle: self.idle.take(),
                        freq: self.freq.take(),
                    }));
                }
                unknown => {
                    let error = self.error(RdbErrorKind::UnknownType(unknown));
                    key.clear();
                    if unknown < RDB_OPCODE_UNKNOWN_MIN {
                        self.try_short_string(key, poll);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// The string that seems to come next, of [`SHORT_STRING`] bytes at the most; if it is none, nothing.
    fn try_short_string(&mut self, out: &mut Vec<u8>, poll: Poll<'_>) {
        let within = |n: &u64| *n <= SHORT_STRING;
        match self.string_head(poll) {
            Ok(StringHead::Plain(n)) if within(&n) => {
                if let Ok(bytes) = self.take_bytes(n, poll) {
                    out.extend_from_slice(bytes);
                }
            }
            Ok(StringHead::Int(v)) => RdbString::Int(v).append_to(out),
            Ok(StringHead::Lzf { packed, plain }) if within(&plain) => {
                *out = self.expand(packed, plain, poll).unwrap_or_default();
            }
            _ => {}
        }
    }

    /// Walks over the metadata that modules have for the next key.
    fn skip_key_meta(&mut self, poll: Poll<'_>) -> Result<(), RdbError> {
        for _ in 0..self.read_len(poll)? {
            self.skip_bytes(4, poll)?;
            self.skip_module_value(poll)?;
            self.metadata = true;
        }
        Ok(())
    }

    fn aux(&mut self, poll: Poll<'_>) -> Result<RdbRecord<'_>, RdbError> {
        let mut key = std::mem::take(&mut self.aux_key);
        let mut value = std::mem::take(&mut self.plain);
        let done = self
            .read_string_into(&mut key, poll)
            .and_then(|()| self.read_string_into(&mut value, poll));
        self.aux_key = key;
        self.plain = value;
        done?;
        Ok(RdbRecord::Aux {
            key: &self.aux_key,
            value: &self.plain,
        })
    }

    /// What follows the EOF opcode, for a caller that reads opcodes by itself.
    pub(crate) fn eof(&mut self, poll: Poll<'_>) -> Result<RdbChecksum, RdbError> {
        if self.version < RDB_VERSION_CHECKSUM {
            return Ok(RdbChecksum::Absent);
        }
        self.absorb();
        let expected = self.crc.value();
        let found = u64::from_le_bytes(self.read_array(poll)?);
        if !self.verify_checksum {
            Ok(RdbChecksum::NotVerified)
        } else if found == 0 {
            Ok(RdbChecksum::DisabledAtSave)
        } else if found == expected {
            Ok(RdbChecksum::Verified)
        } else {
            Err(self.error(RdbErrorKind::ChecksumMismatch { expected, found }))
        }
    }

    // -- walking over values ----------------------------------------------------------------------------------------

    /// Walks over a value of type `rdb_type` by its structure alone; strings are not expanded, packed ones not opened.
    ///
    /// Knows every type of the file's version but [`RDB_TYPE_MODULE_PRE_GA`], whose structure only its module knew.
    pub(crate) fn skip_value(&mut self, rdb_type: u8, poll: Poll<'_>) -> Result<(), RdbError> {
        match rdb_type {
            _ if !rdb_is_object_type(rdb_type, self.version) => {
                Err(self.error(RdbErrorKind::UnknownType(rdb_type)))
            }
            RDB_TYPE_STRING
            | RDB_TYPE_HASH_ZIPMAP
            | RDB_TYPE_LIST_ZIPLIST
            | RDB_TYPE_SET_INTSET
            | RDB_TYPE_ZSET_ZIPLIST
            | RDB_TYPE_HASH_ZIPLIST
            | RDB_TYPE_HASH_LISTPACK
            | RDB_TYPE_ZSET_LISTPACK
            | RDB_TYPE_SET_LISTPACK => self.skip_string(poll),
            RDB_TYPE_LIST | RDB_TYPE_SET | RDB_TYPE_LIST_QUICKLIST => {
                for _ in 0..self.read_len(poll)? {
                    self.skip_string(poll)?;
                }
                Ok(())
            }
            RDB_TYPE_HASH => {
                for _ in 0..self.read_len(poll)? {
                    self.skip_string(poll)?;
                    self.skip_string(poll)?;
                }
                Ok(())
            }
            RDB_TYPE_ZSET => {
                for _ in 0..self.read_len(poll)? {
                    self.skip_string(poll)?;
                    self.read_text_double(poll)?;
                }
                Ok(())
            }
            RDB_TYPE_ZSET_2 => {
                for _ in 0..self.read_len(poll)? {
                    self.skip_string(poll)?;
                    self.skip_bytes(8, poll)?;
                }
                Ok(())
            }
            RDB_TYPE_LIST_QUICKLIST_2 => {
                for _ in 0..self.read_len(poll)? {
                    let container = self.read_len(poll)?;
                    if container != QUICKLIST_NODE_PLAIN && container != QUICKLIST_NODE_PACKED {
                        return Err(self.error(RdbErrorKind::BadContainer(container)));
                    }
                    self.skip_string(poll)?;
                }
                Ok(())
            }
            RDB_TYPE_STREAM_LISTPACKS
            | RDB_TYPE_STREAM_LISTPACKS_2
            | RDB_TYPE_STREAM_LISTPACKS_3
            | RDB_TYPE_STREAM_LISTPACKS_4 => self.skip_stream(rdb_type, poll),
            RDB_TYPE_HASH_2 if is_valkey(self.version) => {
                for _ in 0..self.read_len(poll)? {
                    self.skip_string(poll)?;
                    self.skip_string(poll)?;
                    self.skip_bytes(8, poll)?;
                }
                Ok(())
            }
            RDB_TYPE_HASH_METADATA_PRE_GA | RDB_TYPE_HASH_METADATA => {
                if rdb_type == RDB_TYPE_HASH_METADATA {
                    self.skip_bytes(8, poll)?;
                }
                for _ in 0..self.read_len(poll)? {
                    self.read_len(poll)?;
                    self.skip_string(poll)?;
                    self.skip_string(poll)?;
                }
                Ok(())
            }
            RDB_TYPE_HASH_LISTPACK_EX_PRE_GA => self.skip_string(poll),
            RDB_TYPE_HASH_LISTPACK_EX => {
                self.skip_bytes(8, poll)?;
                self.skip_string(poll)
            }
            RDB_TYPE_MODULE_PRE_GA => Err(self.error(RdbErrorKind::ModulePreGa)),
            RDB_TYPE_MODULE_2 => {
                self.read_len(poll)?;
                self.skip_module_value(poll)
            }
            _ => Err(self.error(RdbErrorKind::UnknownType(rdb_type))),
        }
    }

    fn skip_lens(&mut self, n: u32, poll: Poll<'_>) -> Result<(), RdbError> {
        for _ in 0..n {
            self.read_len(poll)?;
        }
        Ok(())
    }

    fn skip_stream(&mut self, rdb_type: u8, poll: Poll<'_>) -> Result<(), RdbError> {
        let since_7_0 = rdb_type != RDB_TYPE_STREAM_LISTPACKS;
        let since_7_2 = rdb_type >= RDB_TYPE_STREAM_LISTPACKS_3;
        // Nodes: first id of the node, listpack.
        for _ in 0..self.read_len(poll)? {
            self.skip_string(poll)?;
            self.skip_string(poll)?;
        }
        // Length, last id; since 7.0 also first id, largest deleted id, entries added.
        self.skip_lens(if since_7_0 { 8 } else { 3 }, poll)?;
        for _ in 0..self.read_len(poll)? {
            // A group: name, last delivered id; since 7.0 also entries read.
            self.skip_string(poll)?;
            self.skip_lens(if since_7_0 { 3 } else { 2 }, poll)?;
            // Its pending entries: id, time and count of deliveries.
            for _ in 0..self.read_len(poll)? {
                self.skip_bytes(16 + 8, poll)?;
                self.read_len(poll)?;
            }
            // Its consumers: name, seen time, since 7.2 also active time, ids pending.
            for _ in 0..self.read_len(poll)? {
                self.skip_string(poll)?;
                self.skip_bytes(if since_7_2 { 16 } else { 8 }, poll)?;
                for _ in 0..self.read_len(poll)? {
                    self.skip_bytes(16, poll)?;
                }
            }
        }
        if rdb_type == RDB_TYPE_STREAM_LISTPACKS_4 {
            self.skip_idempotent_producers(poll)?;
        }
        Ok(())
    }

    /// Walks over what a stream of Redis 8.6 remembers of its producers. Returns how many these are.
    pub(crate) fn skip_idempotent_producers(&mut self, poll: Poll<'_>) -> Result<u64, RdbError> {
        // How long and how many entries are remembered.
        self.skip_lens(2, poll)?;
        let producers = self.read_len(poll)?;
        for _ in 0..producers {
            self.skip_string(poll)?;
            for _ in 0..self.read_len(poll)? {
                self.skip_string(poll)?;
                self.skip_lens(2, poll)?;
            }
        }
        // Entries added in this way, and duplicates.
        self.skip_lens(2, poll)?;
        Ok(producers)
    }

    /// Walks over the annotated fields of a module's data up to their end mark (rdbLoadCheckModuleValue).
    pub(crate) fn skip_module_value(&mut self, poll: Poll<'_>) -> Result<(), RdbError> {
        loop {
            match self.read_len(poll)? {
                RDB_MODULE_OPCODE_EOF => return Ok(()),
                RDB_MODULE_OPCODE_SINT | RDB_MODULE_OPCODE_UINT => self.skip_lens(1, poll)?,
                RDB_MODULE_OPCODE_FLOAT => self.skip_bytes(4, poll)?,
                RDB_MODULE_OPCODE_DOUBLE => self.skip_bytes(8, poll)?,
                RDB_MODULE_OPCODE_STRING => self.skip_string(poll)?,
                unknown => return Err(self.error(RdbErrorKind::ModuleData(unknown))),
            }
        }
    }
}

impl RdbReader<Empty> {
    /// A reader over the body of a DUMP payload: a type byte and a value, no header and no checksum of its own. It is read as
    /// of [`RDB_VERSION`], unless [`Self::assume_version`] says otherwise.
    pub(crate) fn for_payload(body: &[u8]) -> Self {
        let mut reader = Self::with_buffer(io::empty(), body.to_vec(), body.len());
        reader.verify_checksum = false;
        reader.total_len = Some(body.len() as u64);
        reader
    }
}

/// The first multiple of `step` past `n`; never, for a step of zero.
fn next_multiple(n: u64, step: u64) -> u64 {
    match n.checked_div(step) {
        Some(q) => q.saturating_add(1).saturating_mul(step),
        None => u64::MAX,
    }
}

/// Makes room for `now` bytes more where `left` are announced: at most as much again as has come, and in the end exactly
/// what is needed.
fn grow(out: &mut Vec<u8>, now: usize, left: usize) {
    if out.capacity() - out.len() < now {
        out.reserve_exact(left.min(out.len().max(now)));
    }
}

/// One read of at least one byte.
fn read_some<R: Read>(
    source: &mut R,
    into: &mut [u8],
    poll: Poll<'_>,
) -> Result<usize, RdbErrorKind> {
    loop {
        match source.read(into) {
            Ok(0) => return Err(RdbErrorKind::ShortRead),
            Ok(n) => return Ok(n),
            Err(e) => match e.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => {
                    poll(PollPoint::WouldBlock).map_err(|e| RdbErrorKind::Io(e.kind()))?
                }
                kind => return Err(RdbErrorKind::Io(kind)),
            },
        }
    }
}
