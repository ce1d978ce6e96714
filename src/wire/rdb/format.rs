//! The byte layout of an RDB file, as constants and pure functions on one byte or word.
//!
//! Owns every magic number of the format. Must not know how bytes are buffered, read or written, nor what a value means
//! to the store. Source: rdb.h and rdb.c of Redis 7.2, and the history of the format in the older ones; of what came later, Redis
//! 7.4, and what servers of Redis 8.2 and Valkey 9.1 write.
//!
//! # A file
//!
//! ```text
//! "REDIS" <version: four decimal digits, 1 to 79>, or "VALKEY" <version: three digits, from 80 on>
//! record*
//! EOF [checksum: CRC-64, 8 bytes LE, zero when it was switched off; from version 5 on]
//! ```
//!
//! A record is an opcode byte (243..=255) and its operands, or an object's type byte, a key (string) and a value. Redis and Valkey
//! went on from version 11 each by itself: what one and the same byte means is told by the version.
//!
//! | byte | opcode | operands | since |
//! |---|---|---|---|
//! | 243 | KEY_META | of Redis: len: classes; of each 4 bytes: its name and version, module value | 13 |
//! | 243 | SLOT_IMPORT | of Valkey: string: the import's name, len: ranges, of each two lens | 80 |
//! | 244 | SLOT_INFO | len: slot, len: keys, len: keys with an expiry; a hint | 12 |
//! | 245 | FUNCTION2 | string: the library's code | 10 |
//! | 246 | FUNCTION_PRE_GA | (7.0 release candidates only; refused) | - |
//! | 247 | MODULE_AUX | len: module id, len 2 (UINT), len: when, module value | 9 |
//! | 248 | IDLE | len: seconds, of the next key | 9 |
//! | 249 | FREQ | 1 byte: LFU counter, of the next key | 9 |
//! | 250 | AUX | string key, string value | 7 |
//! | 251 | RESIZEDB | len keys, len keys with an expiry | 7 |
//! | 252 | EXPIRETIME_MS | 8 bytes LE: Unix milliseconds, of the next key | 3 |
//! | 253 | EXPIRETIME | 4 bytes LE: Unix seconds, of the next key | 1 |
//! | 254 | SELECTDB | len: database | 1 |
//! | 255 | EOF | checksum | 1 |
//!
//! # A length
//!
//! The first byte tells the form by its top bits:
//!
//! | first byte | meaning | bytes in all |
//! |---|---|---|
//! | `00xxxxxx` | length in the 6 bits | 1 |
//! | `01xxxxxx` | length in 14 bits, big-endian | 2 |
//! | `10000000` (0x80) | length in the next 4 bytes, big-endian | 5 |
//! | `10000001` (0x81) | length in the next 8 bytes, big-endian | 9 |
//! | `11xxxxxx` | not a length: a string in the special encoding `xxxxxx` | |
//!
//! # A string
//!
//! A length and that many bytes; or one of the special encodings:
//!
//! | encoding | first byte | then |
//! |---|---|---|
//! | INT8 | 0xC0 | 1 byte, two's complement |
//! | INT16 | 0xC1 | 2 bytes LE |
//! | INT32 | 0xC2 | 4 bytes LE |
//! | LZF | 0xC3 | length compressed, length plain, compressed bytes |

/// `REDIS`, the first five bytes of a file.
pub(crate) const RDB_MAGIC: &[u8; 5] = b"REDIS";
/// Bytes of the header: the magic and four digits.
pub(crate) const RDB_HEADER_LEN: usize = 9;
/// `VALKEY`, the first six bytes of a file of Valkey's own versions.
pub(crate) const RDB_MAGIC_VALKEY: &[u8; 6] = b"VALKEY";
/// Newest version written, and the last one that Redis and Valkey share: that of Redis 7.2.
pub(crate) const RDB_VERSION: u16 = 11;
/// Newest version of Redis whose content is known: that of Redis 8.6.
pub(crate) const RDB_VERSION_REDIS: u16 = 13;
/// First version of Valkey's own, that of Valkey 9.0; those below belong to Redis.
pub(crate) const RDB_VERSION_VALKEY_MIN: u16 = 80;
/// Newest version of Valkey whose content is known: that of Valkey 9.1.
pub(crate) const RDB_VERSION_VALKEY: u16 = 80;
/// Oldest version that is written: that of Redis 5 and 6.
pub(crate) const RDB_VERSION_MIN_WRITTEN: u16 = 9;
/// First version whose files end in a checksum.
pub(crate) const RDB_VERSION_CHECKSUM: u16 = 5;

/// A string value.
pub(crate) const RDB_TYPE_STRING: u8 = 0;
/// List: count, strings.
pub(crate) const RDB_TYPE_LIST: u8 = 1;
/// Set: count, strings.
pub(crate) const RDB_TYPE_SET: u8 = 2;
/// Sorted set: count, pairs of string and score as text (see [`RDB_DOUBLE_NAN`]).
pub(crate) const RDB_TYPE_ZSET: u8 = 3;
/// Hash: count, pairs of strings.
pub(crate) const RDB_TYPE_HASH: u8 = 4;
/// Sorted set: count, pairs of string and score as 8 bytes LE.
pub(crate) const RDB_TYPE_ZSET_2: u8 = 5;
/// Module value of the 4.0 release candidates; its length cannot be known without the module.
pub(crate) const RDB_TYPE_MODULE_PRE_GA: u8 = 6;
/// Module value: len module id, annotated fields, an EOF mark.
pub(crate) const RDB_TYPE_MODULE_2: u8 = 7;
/// Hash as a zipmap in one string.
pub(crate) const RDB_TYPE_HASH_ZIPMAP: u8 = 9;
/// List as a ziplist in one string.
pub(crate) const RDB_TYPE_LIST_ZIPLIST: u8 = 10;
/// Set of integers as an intset in one string.
pub(crate) const RDB_TYPE_SET_INTSET: u8 = 11;
/// Sorted set as a ziplist in one string.
pub(crate) const RDB_TYPE_ZSET_ZIPLIST: u8 = 12;
/// Hash as a ziplist in one string.
pub(crate) const RDB_TYPE_HASH_ZIPLIST: u8 = 13;
/// List: count, ziplists as strings.
pub(crate) const RDB_TYPE_LIST_QUICKLIST: u8 = 14;
/// Stream of Redis 5 and 6.
pub(crate) const RDB_TYPE_STREAM_LISTPACKS: u8 = 15;
/// Hash as a listpack in one string.
pub(crate) const RDB_TYPE_HASH_LISTPACK: u8 = 16;
/// Sorted set as a listpack in one string.
pub(crate) const RDB_TYPE_ZSET_LISTPACK: u8 = 17;
/// List: count, pairs of container ([`QUICKLIST_NODE_PLAIN`] or [`QUICKLIST_NODE_PACKED`]) and string.
pub(crate) const RDB_TYPE_LIST_QUICKLIST_2: u8 = 18;
/// Stream of Redis 7.0: adds first id, largest deleted id, entries added, entries read.
pub(crate) const RDB_TYPE_STREAM_LISTPACKS_2: u8 = 19;
/// Set as a listpack in one string.
pub(crate) const RDB_TYPE_SET_LISTPACK: u8 = 20;
/// Stream of Redis 7.2: adds each consumer's active time.
pub(crate) const RDB_TYPE_STREAM_LISTPACKS_3: u8 = 21;
/// The largest type byte that is written, and that Redis and Valkey share.
pub(crate) const RDB_TYPE_MAX: u8 = RDB_TYPE_STREAM_LISTPACKS_3;
/// Hash of the 7.4 release candidates: count, triples of expiry (len, Unix milliseconds, 0: none), string, string.
pub(crate) const RDB_TYPE_HASH_METADATA_PRE_GA: u8 = 22;
/// Hash of Valkey 9.0: count, triples of string, string, expiry (8 bytes LE, Unix milliseconds, -1: none).
pub(crate) const RDB_TYPE_HASH_2: u8 = 22;
/// Hash of the 7.4 release candidates: a listpack of triples of field, value, expiry (Unix milliseconds, 0: none) in one string.
pub(crate) const RDB_TYPE_HASH_LISTPACK_EX_PRE_GA: u8 = 23;
/// Hash of Redis 7.4: 8 bytes LE: the least expiry, then as the former, but each expiry relative to the least one, plus 1.
pub(crate) const RDB_TYPE_HASH_METADATA: u8 = 24;
/// Hash of Redis 7.4: 8 bytes LE: the least expiry, then the listpack as before, with absolute expiries.
pub(crate) const RDB_TYPE_HASH_LISTPACK_EX: u8 = 25;
/// Stream of Redis 8.6: adds idempotent producers behind the groups: len: seconds and len: entries that are remembered, len:
/// producers, of each a string and len: entries, of each a string and the id as two lens; len: entries added so, len: duplicates.
pub(crate) const RDB_TYPE_STREAM_LISTPACKS_4: u8 = 26;
/// What is below is a value's type, where it is not known; opcodes grow from above.
pub(crate) const RDB_OPCODE_UNKNOWN_MIN: u8 = 128;

/// The first version with function libraries, of Redis 7.0.
pub(crate) const RDB_VERSION_FUNCTIONS: u16 = 10;
/// Metadata of a module on the next key (Redis 8.6).
pub(crate) const RDB_OPCODE_KEY_META: u8 = 243;
/// Slots that are being imported (Valkey 9.0).
pub(crate) const RDB_OPCODE_SLOT_IMPORT: u8 = 243;
/// Sizes of a slot (Redis 7.4).
pub(crate) const RDB_OPCODE_SLOT_INFO: u8 = 244;
/// A function library's code.
pub(crate) const RDB_OPCODE_FUNCTION2: u8 = 245;
/// A function library of the 7.0 release candidates.
pub(crate) const RDB_OPCODE_FUNCTION_PRE_GA: u8 = 246;
/// Data of a module, outside the keys.
pub(crate) const RDB_OPCODE_MODULE_AUX: u8 = 247;
/// Idle time of the next key, in seconds.
pub(crate) const RDB_OPCODE_IDLE: u8 = 248;
/// LFU counter of the next key.
pub(crate) const RDB_OPCODE_FREQ: u8 = 249;
/// A key and a value about the file itself.
pub(crate) const RDB_OPCODE_AUX: u8 = 250;
/// Sizes of the selected database.
pub(crate) const RDB_OPCODE_RESIZEDB: u8 = 251;
/// Expiry of the next key, in Unix milliseconds.
pub(crate) const RDB_OPCODE_EXPIRETIME_MS: u8 = 252;
/// Expiry of the next key, in Unix seconds.
pub(crate) const RDB_OPCODE_EXPIRETIME: u8 = 253;
/// The database of the keys that follow.
pub(crate) const RDB_OPCODE_SELECTDB: u8 = 254;
/// End of the records.
pub(crate) const RDB_OPCODE_EOF: u8 = 255;

/// Top bits of a length in 6 bits.
pub(crate) const RDB_6BITLEN: u8 = 0;
/// Top bits of a length in 14 bits.
pub(crate) const RDB_14BITLEN: u8 = 1;
/// Top bits of a string in a special encoding.
pub(crate) const RDB_ENCVAL: u8 = 3;
/// First byte of a length in 32 bits.
pub(crate) const RDB_32BITLEN: u8 = 0x80;
/// First byte of a length in 64 bits.
pub(crate) const RDB_64BITLEN: u8 = 0x81;
/// Special encoding: one byte.
pub(crate) const RDB_ENC_INT8: u8 = 0;
/// Special encoding: two bytes, little-endian.
pub(crate) const RDB_ENC_INT16: u8 = 1;
/// Special encoding: four bytes, little-endian.
pub(crate) const RDB_ENC_INT32: u8 = 2;
/// Special encoding: compressed by LZF.
pub(crate) const RDB_ENC_LZF: u8 = 3;

/// Length byte of a textual score that stands for NaN.
pub(crate) const RDB_DOUBLE_NAN: u8 = 253;
/// Length byte of a textual score that stands for plus infinity.
pub(crate) const RDB_DOUBLE_POS_INF: u8 = 254;
/// Length byte of a textual score that stands for minus infinity.
pub(crate) const RDB_DOUBLE_NEG_INF: u8 = 255;

/// A quicklist node that is one element by itself.
pub(crate) const QUICKLIST_NODE_PLAIN: u64 = 1;
/// A quicklist node that is a listpack.
pub(crate) const QUICKLIST_NODE_PACKED: u64 = 2;

/// End of a module's value.
pub(crate) const RDB_MODULE_OPCODE_EOF: u64 = 0;
/// Field of a module's value: a signed integer, as a length.
pub(crate) const RDB_MODULE_OPCODE_SINT: u64 = 1;
/// Field of a module's value: an unsigned integer, as a length.
pub(crate) const RDB_MODULE_OPCODE_UINT: u64 = 2;
/// Field of a module's value: 4 bytes.
pub(crate) const RDB_MODULE_OPCODE_FLOAT: u64 = 3;
/// Field of a module's value: 8 bytes.
pub(crate) const RDB_MODULE_OPCODE_DOUBLE: u64 = 4;
/// Field of a module's value: a string.
pub(crate) const RDB_MODULE_OPCODE_STRING: u64 = 5;

/// Strings up to this length may be canonical decimal text that fits in 32 bits.
pub(crate) const RDB_INT_TEXT_MAX: usize = 11;
/// Strings must be longer than this to be worth a try at LZF.
pub(crate) const RDB_LZF_MIN: usize = 20;
/// LZF must save at least this many bytes.
pub(crate) const RDB_LZF_GAIN: usize = 4;
/// No run of n LZF bytes expands to more than n times this: the longest back reference makes 264 bytes of 3.
pub(crate) const LZF_MAX_EXPANSION: u64 = 88;

/// Whether a file of this version is one of Valkey's own, and not of Redis' or of what both share.
pub(crate) const fn is_valkey(version: u16) -> bool {
    version >= RDB_VERSION_VALKEY_MIN
}

/// Whether these are the first bytes of a snapshot, of whatever version; six are enough.
pub(crate) fn is_rdb_magic(head: &[u8]) -> bool {
    head.starts_with(RDB_MAGIC) || head.starts_with(RDB_MAGIC_VALKEY)
}

/// Is `t` the type byte of a value in a file of this version? (rdbIsObjectType)
pub(crate) const fn rdb_is_object_type(t: u8, version: u16) -> bool {
    match t {
        0..=RDB_TYPE_MODULE_2 | RDB_TYPE_HASH_ZIPMAP..=RDB_TYPE_MAX => true,
        RDB_TYPE_HASH_2 => version > RDB_VERSION,
        RDB_TYPE_HASH_LISTPACK_EX_PRE_GA..=RDB_TYPE_STREAM_LISTPACKS_4 => {
            version > RDB_VERSION && !is_valkey(version)
        }
        _ => false,
    }
}

/// The RDB version that introduced the value type `t`, `None` for a byte that is no type, or one of which nothing is written.
///
/// A writer of version v may emit `t` only when this is `<= v`: an older server would refuse the file.
pub(crate) const fn rdb_type_since(t: u8) -> Option<u16> {
    Some(match t {
        RDB_TYPE_STRING..=RDB_TYPE_HASH => 1,
        RDB_TYPE_HASH_ZIPMAP..=RDB_TYPE_ZSET_ZIPLIST => 2,
        RDB_TYPE_HASH_ZIPLIST => 4,
        RDB_TYPE_LIST_QUICKLIST => 7,
        RDB_TYPE_ZSET_2 | RDB_TYPE_MODULE_PRE_GA | RDB_TYPE_MODULE_2 => 8,
        RDB_TYPE_STREAM_LISTPACKS => 9,
        RDB_TYPE_HASH_LISTPACK..=RDB_TYPE_STREAM_LISTPACKS_2 => 10,
        RDB_TYPE_SET_LISTPACK | RDB_TYPE_STREAM_LISTPACKS_3 => 11,
        _ => return None,
    })
}

/// The nine characters of a module type's name, and its encoding version 0..=1023, out of a module id
/// (moduleTypeNameByID: nine groups of six bits from the top, then ten bits).
pub(crate) const fn module_type_name_by_id(id: u64) -> ([u8; 9], u16) {
    const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut name = [0; 9];
    let mut i = 0;
    while i < 9 {
        name[i] = CHARS[(id >> (58 - 6 * i)) as usize & 63];
        i += 1;
    }
    (name, (id & 1023) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_byte_has_a_version_and_nothing_else() {
        for t in 0..=u8::MAX {
            let is_type = rdb_is_object_type(t, RDB_VERSION);
            assert_eq!(is_type, rdb_type_since(t).is_some(), "{t}");
        }
        for (t, redis, valkey) in [
            (8, false, false),
            (21, true, true),
            (22, true, true),
            (23, true, false),
            (26, true, false),
            (27, false, false),
        ] {
            assert_eq!(rdb_is_object_type(t, 12), redis, "{t}");
            assert_eq!(rdb_is_object_type(t, 80), valkey, "{t}");
            assert_eq!(rdb_is_object_type(t, 11), t == 21, "{t}");
        }
    }

    #[test]
    fn module_names() {
        // "ReJSON-RL" version 3, as ReJSON 2 writes it.
        let mut id = 0u64;
        for c in b"ReJSON-RL" {
            let set = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            id = id << 6 | set.iter().position(|x| x == c).unwrap() as u64;
        }
        let id = id << 10 | 3;
        assert_eq!(module_type_name_by_id(id), (*b"ReJSON-RL", 3));
        assert_eq!(module_type_name_by_id(0), (*b"AAAAAAAAA", 0));
        assert_eq!(module_type_name_by_id(u64::MAX), (*b"_________", 1023));
    }
}
