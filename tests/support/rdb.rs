//! A minimal RDB writer of its own, for scripted masters and for damaged files.
//!
//! Writes string keys with optional expiry in one database, version 9 (read by every server from 5.0 on), with the
//! CRC-64 (Jones) footer. Reference: the RDB file format page of the Redis documentation and rdb.c's opcodes.

/// CRC-64/Redis: reflected polynomial 0xad93d23594c935a9, no final xor.
pub fn crc64(bytes: &[u8]) -> u64 {
    let poly = 0xad93_d235_94c9_35a9u64.reverse_bits();
    let mut crc = 0u64;
    for &b in bytes {
        crc ^= u64::from(b);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ poly
            } else {
                crc >> 1
            };
        }
    }
    crc
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    if len < 64 {
        out.push(len as u8);
    } else if len < 16384 {
        out.push(0x40 | (len >> 8) as u8);
        out.push(len as u8);
    } else {
        out.push(0x80);
        out.extend_from_slice(&(len as u32).to_be_bytes());
    }
}

fn put_string(out: &mut Vec<u8>, s: &[u8]) {
    put_len(out, s.len());
    out.extend_from_slice(s);
}

/// The file without its EOF opcode and checksum: what a truncated file starts with.
pub fn body(keys: &[(&str, &str, Option<u64>)]) -> Vec<u8> {
    let mut out = b"REDIS0009".to_vec();
    out.push(0xfa);
    put_string(&mut out, b"redis-ver");
    put_string(&mut out, b"5.0.0");
    if !keys.is_empty() {
        out.push(0xfe);
        put_len(&mut out, 0);
        out.push(0xfb);
        put_len(&mut out, keys.len());
        put_len(&mut out, keys.iter().filter(|k| k.2.is_some()).count());
    }
    for (key, value, expire_at_ms) in keys {
        if let Some(at) = expire_at_ms {
            out.push(0xfc);
            out.extend_from_slice(&at.to_le_bytes());
        }
        out.push(0);
        put_string(&mut out, key.as_bytes());
        put_string(&mut out, value.as_bytes());
    }
    out
}

/// A whole file: keys with values and expiry in Unix milliseconds, in database 0.
pub fn file(keys: &[(&str, &str, Option<u64>)]) -> Vec<u8> {
    let mut out = body(keys);
    out.push(0xff);
    let crc = crc64(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}
