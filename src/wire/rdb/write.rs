//! Writes the primitives of an RDB file: header, opcodes, lengths, strings, end mark with checksum.
//!
//! Owns the buffer in front of the sink, the running CRC-64 and the byte count. Invariants: every byte handed in is in
//! the CRC exactly once, and `bytes_written` counts bytes handed in, whether they have reached the sink or not. The CRC
//! runs over whole buffers, never over single fields. Must not know values, databases, files or processes: which record
//! follows which is the caller's business (`persist/save`).
//!
//! Whoever wants to act while a long save goes on (an fsync every so many bytes, progress to a parent) puts a [`Paced`]
//! between the writer and the sink; the writer itself has no hooks.

use std::io::{self, Sink, Write};

use super::format::*;
use crate::base::crc::Crc64;
use crate::base::lzf::lzf_compress;
use crate::base::num::{LONG_STR_SIZE, ll2string, string2ll};

/// Bytes buffered in front of the sink, and so the usual size of one write.
const WRITE_BUFFER: usize = 64 * 1024;
/// Bytes that a writer in memory begins with: more than most values need.
const MEMORY_BUFFER: usize = 256;
/// A payload too large for the buffer goes to CRC and sink in steps of this, so that the sink reads it from the cache.
const DIRECT_STEP: usize = 256 * 1024;
/// A compression buffer larger than this is given back after use.
const LZF_BUFFER_KEPT: usize = 1024 * 1024;

/// What a save chooses about the format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RdbWriterOptions {
    /// RDB version announced, [`RDB_VERSION_MIN_WRITTEN`]`..=`[`RDB_VERSION`]. It is for the caller to emit only types
    /// that the version knows ([`rdb_type_since`]).
    pub version: u16,
    /// `rdbcompression`: try LZF on strings longer than 20 bytes.
    pub compression: bool,
    /// `rdbchecksum`: end the file in its CRC-64 instead of zero.
    pub checksum: bool,
}

impl Default for RdbWriterOptions {
    fn default() -> Self {
        RdbWriterOptions {
            version: RDB_VERSION,
            compression: true,
            checksum: true,
        }
    }
}

/// Writes RDB primitives into `W` through a buffer of 64 KB.
///
/// Methods that write return the sink's error; after one, the writer is of no further use. Nothing is written on drop:
/// an unfinished file stays visibly unfinished.
pub(crate) struct RdbWriter<W: Write> {
    sink: W,
    buf: Vec<u8>,
    /// Bytes that `buf` may hold before it is flushed; `usize::MAX` for a writer in memory.
    limit: usize,
    /// Bytes that have left `buf`.
    flushed: u64,
    crc: Crc64,
    options: RdbWriterOptions,
    /// The compressor's output, kept for the next string.
    lzf: Vec<u8>,
}

impl<W: Write> RdbWriter<W> {
    /// A writer that has written nothing.
    pub(crate) fn new(sink: W, options: RdbWriterOptions) -> Self {
        Self::with_limit(sink, options, WRITE_BUFFER, WRITE_BUFFER)
    }

    fn with_limit(sink: W, options: RdbWriterOptions, limit: usize, capacity: usize) -> Self {
        debug_assert!((RDB_VERSION_MIN_WRITTEN..=RDB_VERSION).contains(&options.version));
        RdbWriter {
            sink,
            buf: Vec::with_capacity(capacity),
            limit,
            flushed: 0,
            crc: Crc64::new(),
            options,
            lzf: Vec::new(),
        }
    }

    /// The RDB version that this file announces.
    pub(crate) fn version(&self) -> u16 {
        self.options.version
    }

    /// Bytes written so far, those still buffered included.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.flushed + self.buf.len() as u64
    }

    /// The sink. Buffered bytes have not reached it.
    #[cfg(test)]
    pub(crate) fn sink_mut(&mut self) -> &mut W {
        &mut self.sink
    }

    /// Hands everything buffered to the sink and flushes that.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.flush_buffer()?;
        self.sink.flush()
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        if !self.buf.is_empty() {
            if self.options.checksum {
                self.crc.update(&self.buf);
            }
            self.sink.write_all(&self.buf)?;
            self.flushed += self.buf.len() as u64;
            self.buf.clear();
        }
        Ok(())
    }

    /// Writes bytes as they are (rdbWriteRaw).
    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.limit - self.buf.len() {
            return self.raw_slow(bytes);
        }
        self.buf.extend_from_slice(bytes);
        Ok(())
    }

    #[cold]
    fn raw_slow(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush_buffer()?;
        if bytes.len() < self.limit {
            self.buf.extend_from_slice(bytes);
            return Ok(());
        }
        for step in bytes.chunks(DIRECT_STEP) {
            if self.options.checksum {
                self.crc.update(step);
            }
            self.sink.write_all(step)?;
            self.flushed += step.len() as u64;
        }
        Ok(())
    }

    /// Writes one byte: a value's type or an opcode (rdbSaveType).
    #[inline]
    pub(crate) fn type_byte(&mut self, t: u8) -> io::Result<()> {
        debug_assert!(
            !rdb_is_object_type(t, RDB_VERSION) || rdb_type_since(t) <= Some(self.options.version),
            "type {t} is unknown to RDB version {}",
            self.options.version
        );
        self.raw(&[t])
    }

    /// The header: `REDIS` and the version in four digits.
    pub(crate) fn magic(&mut self) -> io::Result<()> {
        let v = self.options.version;
        let digit = |d: u16| b'0' + (v / d % 10) as u8;
        self.raw(RDB_MAGIC)?;
        self.raw(&[digit(1000), digit(100), digit(10), digit(1)])
    }

    /// A field about the file itself (rdbSaveAuxField).
    pub(crate) fn aux(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.raw(&[RDB_OPCODE_AUX])?;
        self.string(key)?;
        self.string(value)
    }

    /// A function library (rdbSaveFunctions).
    pub(crate) fn function(&mut self, code: &[u8]) -> io::Result<()> {
        self.raw(&[RDB_OPCODE_FUNCTION2])?;
        self.string(code)
    }

    /// A numeric field about the file itself (rdbSaveAuxFieldStrInt).
    pub(crate) fn aux_int(&mut self, key: &[u8], value: i64) -> io::Result<()> {
        self.raw(&[RDB_OPCODE_AUX])?;
        self.string(key)?;
        self.int_string(value)
    }

    /// The database that the following keys belong to.
    pub(crate) fn select_db(&mut self, id: u64) -> io::Result<()> {
        self.raw(&[RDB_OPCODE_SELECTDB])?;
        self.len(id)
    }

    /// Number of keys, and of keys with an expiry, of the selected database.
    pub(crate) fn resize_db(&mut self, keys: u64, expires: u64) -> io::Result<()> {
        self.raw(&[RDB_OPCODE_RESIZEDB])?;
        self.len(keys)?;
        self.len(expires)
    }

    /// Expiry of the next key, in Unix milliseconds.
    #[inline]
    pub(crate) fn expiry_ms(&mut self, at: i64) -> io::Result<()> {
        let mut b = [RDB_OPCODE_EXPIRETIME_MS; 9];
        b[1..].copy_from_slice(&at.to_le_bytes());
        self.raw(&b)
    }

    /// Idle time of the next key, in seconds.
    #[inline]
    pub(crate) fn idle(&mut self, seconds: u64) -> io::Result<()> {
        self.raw(&[RDB_OPCODE_IDLE])?;
        self.len(seconds)
    }

    /// LFU counter of the next key.
    #[inline]
    pub(crate) fn freq(&mut self, counter: u8) -> io::Result<()> {
        self.raw(&[RDB_OPCODE_FREQ, counter])
    }

    /// A length or count in the shortest of its four forms (rdbSaveLen).
    #[inline]
    pub(crate) fn len(&mut self, len: u64) -> io::Result<()> {
        if len < 1 << 6 {
            self.raw(&[RDB_6BITLEN << 6 | len as u8])
        } else if len < 1 << 14 {
            self.raw(&[RDB_14BITLEN << 6 | (len >> 8) as u8, len as u8])
        } else if let Ok(len) = u32::try_from(len) {
            let mut b = [RDB_32BITLEN; 5];
            b[1..].copy_from_slice(&len.to_be_bytes());
            self.raw(&b)
        } else {
            let mut b = [RDB_64BITLEN; 9];
            b[1..].copy_from_slice(&len.to_be_bytes());
            self.raw(&b)
        }
    }

    /// A string, in the form that upstream picks: canonical decimal text of 32 bits as an integer, else LZF where that is
    /// on and saves four bytes, else verbatim (rdbSaveRawString).
    #[inline]
    pub(crate) fn string(&mut self, s: &[u8]) -> io::Result<()> {
        if s.len() <= RDB_INT_TEXT_MAX {
            if matches!(s.first(), Some(b'0'..=b'9' | b'-'))
                && let Some(v) = string2ll(s)
                && let Some((b, n)) = encode_integer(v)
            {
                return self.raw(&b[..n]);
            }
        } else if s.len() > RDB_LZF_MIN && self.options.compression && self.lzf_string(s)? {
            return Ok(());
        }
        self.plain_string(s)
    }

    /// A string verbatim, without a try at a special encoding.
    #[inline]
    pub(crate) fn plain_string(&mut self, s: &[u8]) -> io::Result<()> {
        self.len(s.len() as u64)?;
        self.raw(s)
    }

    /// The decimal text of `value` as a string, without making the text where it fits in 32 bits
    /// (rdbSaveLongLongAsStringObject).
    #[inline]
    pub(crate) fn int_string(&mut self, value: i64) -> io::Result<()> {
        match encode_integer(value) {
            Some((b, n)) => self.raw(&b[..n]),
            None => self.plain_string(ll2string(&mut [0; LONG_STR_SIZE], value)),
        }
    }

    /// Writes `s` compressed, or writes nothing and returns false where that does not pay (rdbSaveLzfStringObject).
    fn lzf_string(&mut self, s: &[u8]) -> io::Result<bool> {
        let mut out = std::mem::take(&mut self.lzf);
        out.clear();
        let done = match lzf_compress(s, &mut out, s.len() - RDB_LZF_GAIN) {
            Some(_) => self.lzf_blob(&out, s.len() as u64).map(|()| true),
            None => Ok(false),
        };
        if out.capacity() <= LZF_BUFFER_KEPT {
            self.lzf = out;
        }
        done
    }

    /// A string that is already compressed, as quicklist nodes can be; `plain_len` is its length when expanded
    /// (rdbSaveLzfBlob).
    pub(crate) fn lzf_blob(&mut self, compressed: &[u8], plain_len: u64) -> io::Result<()> {
        self.raw(&[RDB_ENCVAL << 6 | RDB_ENC_LZF])?;
        self.len(compressed.len() as u64)?;
        self.len(plain_len)?;
        self.raw(compressed)
    }

    /// A score: 8 bytes, IEEE 754, little-endian (rdbSaveBinaryDoubleValue).
    #[inline]
    pub(crate) fn double(&mut self, value: f64) -> io::Result<()> {
        self.raw(&value.to_le_bytes())
    }

    /// A time inside a value: 8 bytes LE, Unix milliseconds (rdbSaveMillisecondTime).
    #[inline]
    pub(crate) fn millisecond_time(&mut self, at: i64) -> io::Result<()> {
        self.raw(&at.to_le_bytes())
    }

    /// Ends the file: the EOF opcode and the checksum (zero when it is off), all of it handed to the sink.
    pub(crate) fn eof(&mut self) -> io::Result<()> {
        self.raw(&[RDB_OPCODE_EOF])?;
        self.flush_buffer()?;
        let checksum = if self.options.checksum {
            self.crc.value()
        } else {
            0
        };
        self.raw(&checksum.to_le_bytes())?;
        self.flush()
    }
}

impl RdbWriter<Sink> {
    /// A writer into memory, for DUMP: take the bytes with [`Self::into_bytes`].
    pub(crate) fn in_memory(options: RdbWriterOptions) -> Self {
        let options = RdbWriterOptions {
            checksum: false,
            ..options
        };
        Self::with_limit(io::sink(), options, usize::MAX, MEMORY_BUFFER)
    }

    /// Everything written and not taken from here yet.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buf
    }

    /// Everything written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.buf
    }
}

/// The special encoding of an integer that fits in 32 bits: bytes and how many of them (rdbEncodeInteger).
#[inline]
fn encode_integer(v: i64) -> Option<([u8; 5], usize)> {
    let mut b = [0; 5];
    if let Ok(v) = i8::try_from(v) {
        b[0] = RDB_ENCVAL << 6 | RDB_ENC_INT8;
        b[1] = v as u8;
        Some((b, 2))
    } else if let Ok(v) = i16::try_from(v) {
        b[0] = RDB_ENCVAL << 6 | RDB_ENC_INT16;
        b[1..3].copy_from_slice(&v.to_le_bytes());
        Some((b, 3))
    } else if let Ok(v) = i32::try_from(v) {
        b[0] = RDB_ENCVAL << 6 | RDB_ENC_INT32;
        b[1..5].copy_from_slice(&v.to_le_bytes());
        Some((b, 5))
    } else {
        None
    }
}

/// A sink that calls `pace(inner, total)` each time another `every` bytes have gone into the inner one.
///
/// For `rdb-save-incremental-fsync` (fsync every 4 MB) and for reports of progress. An error of `pace` fails the write
/// that reached the mark.
pub(crate) struct Paced<W: Write, F: FnMut(&mut W, u64) -> io::Result<()>> {
    inner: W,
    every: u64,
    total: u64,
    pace: F,
}

impl<W: Write, F: FnMut(&mut W, u64) -> io::Result<()>> Paced<W, F> {
    /// `every` is in bytes; zero is taken as one.
    pub(crate) fn new(inner: W, every: u64, pace: F) -> Self {
        Paced {
            inner,
            every: every.max(1),
            total: 0,
            pace,
        }
    }

    /// The inner sink.
    #[cfg(test)]
    pub(crate) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write, F: FnMut(&mut W, u64) -> io::Result<()>> Write for Paced<W, F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let left = self.every - self.total % self.every;
        let n = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let n = self.inner.write(&buf[..n])?;
        self.total += n as u64;
        if n > 0 && self.total.is_multiple_of(self.every) {
            (self.pace)(&mut self.inner, self.total)?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crc::crc64;

    fn plain() -> RdbWriterOptions {
        RdbWriterOptions {
            compression: false,
            ..Default::default()
        }
    }

    fn written(f: impl FnOnce(&mut RdbWriter<Sink>) -> io::Result<()>) -> Vec<u8> {
        let mut w = RdbWriter::in_memory(plain());
        f(&mut w).unwrap();
        w.into_bytes()
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        let cases: &[(u64, &[u8])] = &[
            (0, &[0]),
            (63, &[0x3f]),
            (64, &[0x40, 64]),
            (16383, &[0x7f, 0xff]),
            (16384, &[0x80, 0, 0, 0x40, 0]),
            (u32::MAX as u64, &[0x80, 0xff, 0xff, 0xff, 0xff]),
            (1 << 32, &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]),
            (u64::MAX, &[0x81, 255, 255, 255, 255, 255, 255, 255, 255]),
        ];
        for &(n, want) in cases {
            assert_eq!(written(|w| w.len(n)), want, "{n}");
        }
    }

    #[test]
    fn strings_take_upstreams_form() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"", &[0]),
            (b"0", &[0xc0, 0]),
            (b"-1", &[0xc0, 0xff]),
            (b"127", &[0xc0, 127]),
            (b"128", &[0xc1, 128, 0]),
            (b"-32768", &[0xc1, 0, 0x80]),
            (b"32768", &[0xc2, 0, 0x80, 0, 0]),
            (b"2147483647", &[0xc2, 0xff, 0xff, 0xff, 0x7f]),
            (b"-2147483648", &[0xc2, 0, 0, 0, 0x80]),
            (b"2147483648", b"\x0a2147483648"),
            (b"01", b"\x0201"),
            (b"+1", b"\x02+1"),
            (b"-0", b"\x02-0"),
            (b"-", b"\x01-"),
            (b"1 ", b"\x021 "),
            (b"abc", b"\x03abc"),
        ];
        for &(s, want) in cases {
            assert_eq!(written(|w| w.string(s)), want, "{}", s.escape_ascii());
        }
        assert_eq!(written(|w| w.int_string(-7)), [0xc0, 0xf9]);
        assert_eq!(
            written(|w| w.int_string(i64::MIN)),
            b"\x14-9223372036854775808"
        );
    }

    #[test]
    fn lzf_only_where_it_pays() {
        let on = RdbWriterOptions::default();
        let bytes = |s: &[u8]| {
            let mut w = RdbWriter::in_memory(on);
            w.string(s).unwrap();
            w.into_bytes()
        };
        assert_eq!(bytes(&[b'a'; 20])[0], 20);
        let packed = bytes(&[b'a'; 100]);
        assert_eq!(packed[0], 0xc3);
        assert_eq!(packed[1] as usize, packed.len() - 4);
        assert_eq!(packed[2..4], [0x40, 100]);
        assert_eq!(bytes(b"qwertyuiopasdfghjklzx")[0], 21);
    }

    #[test]
    fn a_file_by_hand() {
        let mut out = Vec::new();
        let mut w = RdbWriter::new(&mut out, plain());
        w.magic().unwrap();
        w.aux(b"redis-ver", b"7.2.4").unwrap();
        w.aux_int(b"redis-bits", 64).unwrap();
        w.select_db(0).unwrap();
        w.resize_db(1, 1).unwrap();
        w.expiry_ms(0x0102030405060708).unwrap();
        w.idle(100).unwrap();
        w.freq(5).unwrap();
        w.type_byte(RDB_TYPE_STRING).unwrap();
        w.string(b"k").unwrap();
        w.string(b"v").unwrap();
        w.eof().unwrap();
        let n = w.bytes_written();
        let mut want =
            b"REDIS0011\xfa\x09redis-ver\x057.2.4\xfa\x0aredis-bits\xc0\x40\xfe\x00\xfb\x01\x01"
                .to_vec();
        want.extend(b"\xfc\x08\x07\x06\x05\x04\x03\x02\x01\xf8\x40\x64\xf9\x05\x00\x01k\x01v\xff");
        let sum = crc64(&want);
        want.extend(sum.to_le_bytes());
        assert_eq!(out, want);
        assert_eq!(n, want.len() as u64);
    }

    #[test]
    fn without_checksum_the_file_ends_in_zeroes() {
        let mut out = Vec::new();
        let mut w = RdbWriter::new(
            &mut out,
            RdbWriterOptions {
                version: 9,
                compression: false,
                checksum: false,
            },
        );
        w.magic().unwrap();
        w.eof().unwrap();
        assert_eq!(out, b"REDIS0009\xff\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn payloads_around_the_buffer_size_keep_order_and_checksum() {
        for size in [
            0,
            1,
            WRITE_BUFFER - 2,
            WRITE_BUFFER - 1,
            WRITE_BUFFER,
            WRITE_BUFFER + 1,
            3 * DIRECT_STEP + 5,
        ] {
            let big: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let mut out = Vec::new();
            let mut w = RdbWriter::new(&mut out, plain());
            for _ in 0..3 {
                w.raw(b"<").unwrap();
                w.raw(&big).unwrap();
            }
            w.eof().unwrap();
            assert_eq!(w.bytes_written(), 3 * (size as u64 + 1) + 9);
            let (body, sum) = out.split_at(out.len() - 8);
            let one = [b"<".as_slice(), &big].concat();
            assert!(
                body == [one.clone(), one.clone(), one, vec![0xff]].concat(),
                "{size}"
            );
            assert_eq!(sum, crc64(body).to_le_bytes());
        }
    }

    #[test]
    fn paced_stops_at_every_mark() {
        let mut marks = Vec::new();
        let mut p = Paced::new(Vec::new(), 10, |v: &mut Vec<u8>, total| {
            assert_eq!(v.len() as u64, total);
            marks.push(total);
            Ok(())
        });
        p.write_all(&[1; 9]).unwrap();
        p.write_all(&[2; 1]).unwrap();
        p.write_all(&[3; 25]).unwrap();
        assert_eq!(p.into_inner().len(), 35);
        assert_eq!(marks, [10, 20, 30]);

        let mut p = Paced::new(Vec::new(), 4, |_: &mut Vec<u8>, _| {
            Err(io::Error::other("full"))
        });
        assert!(p.write_all(b"abc").is_ok());
        assert!(p.write_all(b"d").is_err());
    }

    #[test]
    fn a_sinks_error_comes_back() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut w = RdbWriter::new(Full, plain());
        w.magic().unwrap();
        assert_eq!(w.eof().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
