//! Values from their RDB form (rdbLoadObject), for an entry at once or later: of every type and version, old encodings
//! converted on the way.
//!
//! What comes in is hostile: a count sizes nothing but what bytes can still follow, encoded values are walked to their last
//! element before anything else looks at them, duplicates are refused.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::io::Read;

use crate::base::num::string2ll;
use crate::base::strtod::strtod;
use crate::config::fields::Config;
use crate::ds::field::FieldValue;
use crate::ds::intset::{self, Intset};
use crate::ds::listpack::{self, Listpack, ListpackBuilder, LpValue};
use crate::ds::owned::Own;
use crate::ds::quicklist::{End, Quicklist};
use crate::ds::table::Resize;
use crate::ds::{ziplist, zipmap};
use crate::store::entry::value::Value;
use crate::store::entry::{Entry, NewValue};
use crate::store::hash::{Hash, HashLimits, HashTable};
use crate::store::list::{List, ListLimits};
use crate::store::set::{Set, SetLimits, SetTable};
use crate::store::stream::{Group, StreamId, StreamMeta, StreamParts};
use crate::store::zset::{AddFlags, Added, Zset, ZsetLimits, ZsetTree};
use crate::wire::rdb::{
    Poll, QUICKLIST_NODE_PACKED, QUICKLIST_NODE_PLAIN, RDB_TYPE_HASH, RDB_TYPE_HASH_2,
    RDB_TYPE_HASH_LISTPACK, RDB_TYPE_HASH_LISTPACK_EX, RDB_TYPE_HASH_LISTPACK_EX_PRE_GA,
    RDB_TYPE_HASH_METADATA, RDB_TYPE_HASH_METADATA_PRE_GA, RDB_TYPE_HASH_ZIPLIST,
    RDB_TYPE_HASH_ZIPMAP, RDB_TYPE_LIST, RDB_TYPE_LIST_QUICKLIST, RDB_TYPE_LIST_QUICKLIST_2,
    RDB_TYPE_LIST_ZIPLIST, RDB_TYPE_MODULE_2, RDB_TYPE_MODULE_PRE_GA, RDB_TYPE_SET,
    RDB_TYPE_SET_INTSET, RDB_TYPE_SET_LISTPACK, RDB_TYPE_STREAM_LISTPACKS,
    RDB_TYPE_STREAM_LISTPACKS_2, RDB_TYPE_STREAM_LISTPACKS_3, RDB_TYPE_STREAM_LISTPACKS_4,
    RDB_TYPE_STRING, RDB_TYPE_ZSET, RDB_TYPE_ZSET_2, RDB_TYPE_ZSET_LISTPACK, RDB_TYPE_ZSET_ZIPLIST,
    RdbError, RdbErrorKind, RdbReader, RdbString, is_valkey, module_type_name_by_id,
    rdb_is_object_type,
};

/// Strings up to this length may be the decimal text of a 64-bit integer.
const INT_TEXT_MAX: usize = 20;
/// Elements that a table is made for at the most before they have come; beyond, it grows.
const ROOM_MAX: usize = 1 << 22;
/// Bytes that a different member of a large set takes in a file, about.
const MEMBER_BYTES: u64 = 4;

/// A value that was read and has no key yet.
pub(crate) enum Loaded {
    /// A string that is a canonical integer.
    Int(i64),
    /// Any other string.
    Bytes(Vec<u8>),
    Value(Value),
    /// A collection without elements, which cannot be.
    Empty,
}

impl Loaded {
    /// As an entry takes it; `None` when it is [`Loaded::Empty`].
    pub(crate) fn into_new_value(self, buf: &mut Vec<u8>) -> Option<NewValue<'_>> {
        Some(match self {
            Loaded::Int(n) => NewValue::Int(n),
            Loaded::Bytes(bytes) => {
                *buf = bytes;
                NewValue::Bytes {
                    bytes: buf,
                    raw: false,
                }
            }
            Loaded::Value(v) => NewValue::Value(v),
            Loaded::Empty => return None,
        })
    }
}

/// What decides about the encodings of values that are read, and how closely they are looked at.
#[derive(Clone, Debug)]
pub(crate) struct LoadLimits {
    pub list: ListLimits,
    pub set: SetLimits,
    pub hash: HashLimits,
    pub zset: ZsetLimits,
    /// Everything is checked that can be (sanitize-dump-payload), not only what a crash or a wrong read could come of.
    pub deep: bool,
    /// Unix milliseconds: hash fields whose expiry is before that are left out, as who wrote them would do; without it they are
    /// refused as those that are still to expire.
    pub fields_expired_by: Option<i64>,
    /// Encodings that were checked so.
    sanitizations: Cell<u64>,
}

impl LoadLimits {
    pub(crate) fn new(config: &Config, deep: bool) -> LoadLimits {
        LoadLimits {
            list: ListLimits {
                fill: config.list_max_listpack_size,
                compress: config.list_compress_depth,
                ..ListLimits::default()
            },
            set: SetLimits::new(config, Resize::Allow),
            hash: HashLimits::new(config, Resize::Allow),
            zset: ZsetLimits::new(config, Resize::Allow),
            deep,
            fields_expired_by: None,
            sanitizations: Cell::new(0),
        }
    }

    /// How many encodings were checked in depth, for INFO's `dump_payload_sanitizations`.
    pub(crate) fn sanitizations(&self) -> u64 {
        self.sanitizations.get()
    }

    /// Whether a hash field with this expiry is left out.
    ///
    /// # Errors
    /// The expiry would have to be kept.
    fn leaves_out(&self, expiry: FieldTime) -> Result<bool, RdbErrorKind> {
        match (expiry, self.fields_expired_by) {
            (None, _) => Ok(false),
            (Some(at), Some(now)) if at < now => Ok(true),
            _ => Err(RdbErrorKind::FieldExpiry),
        }
    }

    fn count_sanitization(&self) {
        if self.deep {
            self.sanitizations.set(self.sanitizations.get() + 1);
        }
    }
}

/// The expiry of a hash's field, in Unix milliseconds.
type FieldTime = Option<i64>;

/// The integer that a string is stored as, if it is one (tryObjectEncoding).
#[inline]
fn as_integer(s: &RdbString<'_>) -> Option<i64> {
    match *s {
        RdbString::Int(n) => Some(n),
        RdbString::Bytes(b) if b.len() <= INT_TEXT_MAX => string2ll(b),
        RdbString::Bytes(_) => None,
    }
}

/// Reads a value of type `rdb_type` straight into a new entry for `key`, without LRU information; `expire` is Unix
/// milliseconds. A string's bytes are copied once. `None`: a collection without elements.
///
/// # Errors
/// As [`rdb_load_object`].
#[inline]
pub(crate) fn rdb_load_entry<R: Read>(
    r: &mut RdbReader<R>,
    rdb_type: u8,
    key: &[u8],
    expire: Option<i64>,
    limits: &LoadLimits,
    poll: Poll<'_>,
) -> Result<Option<Entry>, RdbError> {
    if rdb_type != RDB_TYPE_STRING {
        let loaded = rdb_load_object(r, rdb_type, limits, poll)?;
        let mut buf = Vec::new();
        let value = loaded.into_new_value(&mut buf);
        return Ok(value.map(|v| Entry::new(key, v, expire)));
    }
    let s = r.read_string(poll)?;
    let value = match (as_integer(&s), s) {
        (Some(n), _) | (None, RdbString::Int(n)) => NewValue::Int(n),
        (None, RdbString::Bytes(bytes)) => NewValue::Bytes { bytes, raw: false },
    };
    Ok(Some(Entry::new(key, value, expire)))
}

/// Reads a value of type `rdb_type` (rdbLoadObject).
///
/// # Errors
/// What the reader finds wrong; a type that this server does not know is [`RdbErrorKind::UnknownType`], a value that is not
/// what its encoding promises [`RdbErrorKind::Value`]; and what cannot be kept here: see [`RdbErrorKind::is_foreign`].
pub(crate) fn rdb_load_object<R: Read>(
    r: &mut RdbReader<R>,
    rdb_type: u8,
    limits: &LoadLimits,
    poll: Poll<'_>,
) -> Result<Loaded, RdbError> {
    if rdb_type == RDB_TYPE_STRING {
        let s = r.read_string(poll)?;
        return Ok(match (as_integer(&s), s) {
            (Some(n), _) | (None, RdbString::Int(n)) => Loaded::Int(n),
            (None, RdbString::Bytes(b)) => Loaded::Bytes(b.to_vec()),
        });
    }
    let mut l = Loader {
        r,
        limits,
        buf: Vec::new(),
    };
    let value = match rdb_type {
        _ if !rdb_is_object_type(rdb_type, l.r.version()) => {
            return Err(l.r.error(RdbErrorKind::UnknownType(rdb_type)));
        }
        RDB_TYPE_LIST => l.plain_list(poll)?,
        RDB_TYPE_SET => l.plain_set(poll)?,
        RDB_TYPE_ZSET | RDB_TYPE_ZSET_2 => l.plain_zset(rdb_type == RDB_TYPE_ZSET, poll)?,
        RDB_TYPE_HASH => l.plain_hash(poll)?,
        RDB_TYPE_LIST_QUICKLIST | RDB_TYPE_LIST_QUICKLIST_2 => {
            l.quicklist(rdb_type == RDB_TYPE_LIST_QUICKLIST_2, poll)?
        }
        RDB_TYPE_STREAM_LISTPACKS
        | RDB_TYPE_STREAM_LISTPACKS_2
        | RDB_TYPE_STREAM_LISTPACKS_3
        | RDB_TYPE_STREAM_LISTPACKS_4 => {
            return l.stream(rdb_type, poll).map(Loaded::Value);
        }
        RDB_TYPE_HASH_2 if is_valkey(l.r.version()) => l.hash_of_valkey(poll)?,
        RDB_TYPE_HASH_METADATA_PRE_GA | RDB_TYPE_HASH_METADATA => l.hash_of_7_4(rdb_type, poll)?,
        RDB_TYPE_HASH_LISTPACK_EX_PRE_GA | RDB_TYPE_HASH_LISTPACK_EX => {
            l.listpack_hash_of_7_4(rdb_type, poll)?
        }
        RDB_TYPE_HASH_ZIPMAP
        | RDB_TYPE_LIST_ZIPLIST
        | RDB_TYPE_SET_INTSET
        | RDB_TYPE_ZSET_ZIPLIST
        | RDB_TYPE_HASH_ZIPLIST
        | RDB_TYPE_HASH_LISTPACK
        | RDB_TYPE_ZSET_LISTPACK
        | RDB_TYPE_SET_LISTPACK => {
            let made = match l.r.read_string(poll)? {
                RdbString::Bytes(bytes) => encoded(rdb_type, bytes, limits),
                RdbString::Int(n) => {
                    encoded(rdb_type, itoa::Buffer::new().format(n).as_bytes(), limits)
                }
            };
            made.map_err(|text| l.wrong(text))?
        }
        RDB_TYPE_MODULE_PRE_GA => return Err(l.r.error(RdbErrorKind::ModulePreGa)),
        RDB_TYPE_MODULE_2 => {
            let (name, _) = module_type_name_by_id(l.r.read_len(poll)?);
            return Err(l.r.error(RdbErrorKind::NoModuleType(name)));
        }
        _ => return Err(l.r.error(RdbErrorKind::UnknownType(rdb_type))),
    };
    Ok(if value.is_empty() {
        Loaded::Empty
    } else {
        Loaded::Value(value)
    })
}

/// A value whose whole encoding is one string.
fn encoded(rdb_type: u8, bytes: &[u8], limits: &LoadLimits) -> Result<Value, &'static str> {
    match rdb_type {
        RDB_TYPE_HASH_ZIPMAP => zipmap_hash(bytes, limits),
        RDB_TYPE_LIST_ZIPLIST => ziplist_list(bytes, limits),
        RDB_TYPE_SET_INTSET => {
            limits.count_sanitization();
            if !intset::validate_integrity(bytes, true) {
                return Err("Intset integrity check failed.");
            }
            let mut set = Set::Intset(Intset::from_validated(bytes));
            set.maybe_convert(set.len(), &limits.set);
            Ok(Value::Set(set))
        }
        RDB_TYPE_SET_LISTPACK => {
            let lp =
                grouped_listpack(bytes, 1, limits).ok_or("Set listpack integrity check failed.")?;
            let n = lp.len();
            let mut set = Set::Listpack(lp);
            set.maybe_convert(n, &limits.set);
            if set.len() != n {
                return Err("Set listpack with dup elements");
            }
            Ok(Value::Set(set))
        }
        RDB_TYPE_ZSET_ZIPLIST => {
            let lp = pairs_of_ziplist(bytes).ok_or("Zset ziplist integrity check failed.")?;
            listpack_zset(lp, limits)
        }
        RDB_TYPE_ZSET_LISTPACK => {
            let lp = grouped_listpack(bytes, 2, limits);
            listpack_zset(lp.ok_or("Zset listpack integrity check failed.")?, limits)
        }
        RDB_TYPE_HASH_ZIPLIST => {
            let lp = pairs_of_ziplist(bytes).ok_or("Hash ziplist integrity check failed.")?;
            listpack_hash(lp, limits)
        }
        RDB_TYPE_HASH_LISTPACK => {
            let lp = grouped_listpack(bytes, 2, limits);
            listpack_hash(lp.ok_or("Hash listpack integrity check failed.")?, limits)
        }
        _ => Err("Unknown RDB encoding type"),
    }
}

/// A listpack. It is walked to its end whatever the limits say, since what reads it later relies on that.
fn whole_listpack(bytes: &[u8], limits: &LoadLimits) -> Option<Listpack> {
    limits.count_sanitization();
    let whole = listpack::validate_integrity(bytes, true, &mut |_| true);
    whole.then(|| Listpack::from_validated(bytes))
}

/// A listpack of groups of `group` elements; that no two of them begin alike is looked at when a deep check is asked for
/// (lpValidateIntegrityAndDups).
fn grouped_listpack(bytes: &[u8], group: usize, limits: &LoadLimits) -> Option<Listpack> {
    let lp = whole_listpack(bytes, limits)?;
    let good = lp.len().is_multiple_of(group) && (!limits.deep || is_unique(&lp, group));
    good.then_some(lp)
}

/// Whether no two groups begin alike, as strings.
fn is_unique(lp: &Listpack, group: usize) -> bool {
    let mut seen = HashSet::new();
    lp.iter()
        .step_by(group)
        .all(|v| seen.insert(v.as_int().map_or(v, LpValue::Int)))
}

/// The entries of a ziplist as a listpack.
fn listpack_of_ziplist(bytes: &[u8]) -> Option<Listpack> {
    let mut lp = ListpackBuilder::with_capacity(bytes.len());
    for v in ziplist::entries(bytes).ok()? {
        let v = v.ok()?;
        if lp.total_bytes().saturating_add(v.len_bytes()) > listpack::MAX_SAFETY_SIZE {
            return None;
        }
        lp.push_value(v);
    }
    Some(lp.finish())
}

/// The same for pairs, which must be whole and begin differently (ziplistPairsConvertAndValidateIntegrity).
fn pairs_of_ziplist(bytes: &[u8]) -> Option<Listpack> {
    let lp = listpack_of_ziplist(bytes)?;
    (lp.len().is_multiple_of(2) && is_unique(&lp, 2)).then_some(lp)
}

/// A list that was one ziplist; it stays a quicklist until it changes, as upstream has it.
fn ziplist_list(bytes: &[u8], limits: &LoadLimits) -> Result<Value, &'static str> {
    const WRONG: &str = "List ziplist integrity check failed.";
    let l = limits.list;
    let mut q = Quicklist::new(l.fill, l.compress);
    for v in ziplist::entries(bytes).map_err(|_| WRONG)? {
        let v = v.map_err(|_| WRONG)?;
        v.with_bytes(|s| q.push(End::Tail, s, l.large));
    }
    Ok(Value::List(List::Quicklist(Own::new(q))))
}

/// A hash of more fields than a listpack may have becomes a table; long ones stay until they change, as upstream has it.
fn listpack_hash(lp: Listpack, limits: &LoadLimits) -> Result<Value, &'static str> {
    let mut hash = Hash::Listpack(lp);
    let n = hash.len();
    hash.try_conversion(n, std::iter::empty(), &limits.hash);
    if hash.len() != n {
        return Err("Hash listpack with dup elements");
    }
    Ok(Value::Hash(hash))
}

/// A sorted set of more members than a listpack may have becomes a tree, and one that is out of order is put in order. A
/// score that is no number is refused.
fn listpack_zset(lp: Listpack, limits: &LoadLimits) -> Result<Value, &'static str> {
    let is_number = |score: LpValue<'_>| match score {
        LpValue::Int(_) => true,
        LpValue::Str(s) => {
            let d = strtod(s);
            d.len > 0 && !d.value.is_nan()
        }
    };
    if !lp.iter().skip(1).step_by(2).all(is_number) {
        return Err("Zset listpack has a score that is not a number.");
    }
    let zset = Zset::Listpack(lp);
    let ordered = zset.iter().is_sorted_by(|a, b| {
        let by_score = a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal);
        let order = by_score.then_with(|| a.0.with_bytes(|x| b.0.with_bytes(|y| x.cmp(y))));
        order == Ordering::Less
    });
    if ordered && zset.len() <= limits.zset.listpack_entries {
        return Ok(Value::Zset(zset));
    }
    let mut out = Zset::create(zset.len(), 0, &limits.zset);
    for (member, score) in zset.iter() {
        let done = member.with_bytes(|m| out.add(score, m, AddFlags::default(), &limits.zset));
        if !matches!(done, Ok(Added::New(_))) {
            return Err("Zset listpack with dup elements");
        }
    }
    Ok(Value::Zset(out))
}

fn zipmap_hash(bytes: &[u8], limits: &LoadLimits) -> Result<Value, &'static str> {
    const WRONG: &str = "Zipmap integrity check failed.";
    let mut hash = Hash::default();
    for pair in zipmap::pairs(bytes).map_err(|_| WRONG)? {
        let (field, value) = pair.map_err(|_| WRONG)?;
        if !hash.set(field, FieldValue::Bytes(value), &limits.hash) {
            return Err("Hash zipmap with dup elements");
        }
    }
    Ok(Value::Hash(hash))
}

struct Loader<'a, R: Read> {
    r: &'a mut RdbReader<R>,
    limits: &'a LoadLimits,
    buf: Vec<u8>,
}

impl<R: Read> Loader<'_, R> {
    #[cold]
    fn wrong(&self, text: &'static str) -> RdbError {
        self.r.error(RdbErrorKind::Value(text))
    }

    /// A count of elements, and how many of them there may be room made for at once.
    fn count(&mut self, min_bytes: u64, poll: Poll<'_>) -> Result<(u64, usize), RdbError> {
        let n = self.r.read_len(poll)?;
        Ok((n, self.r.plausible_count(n, min_bytes).min(ROOM_MAX)))
    }

    fn plain_list(&mut self, poll: Poll<'_>) -> Result<Value, RdbError> {
        let (n, _) = self.count(1, poll)?;
        let limits = self.limits.list;
        let mut list = List::new();
        for _ in 0..n {
            self.r.read_string_into(&mut self.buf, poll)?;
            list.grow(limits, self.buf.len(), 1);
            list.push(End::Tail, &self.buf, limits);
        }
        list.fit(limits);
        Ok(Value::List(list))
    }

    fn plain_set(&mut self, poll: Poll<'_>) -> Result<Value, RdbError> {
        let (n, room) = self.count(MEMBER_BYTES, poll)?;
        let limits = &self.limits.set;
        let mut set = if n > limits.intset_entries as u64 {
            Set::Table(Own::new(SetTable::new(room)))
        } else {
            Set::Intset(Intset::new())
        };
        for _ in 0..n {
            self.r.read_string_into(&mut self.buf, poll)?;
            if !set.add(&self.buf, limits) {
                return Err(self.wrong("Duplicate set members detected"));
            }
        }
        Ok(Value::Set(set))
    }

    fn plain_zset(&mut self, text: bool, poll: Poll<'_>) -> Result<Value, RdbError> {
        let (n, room) = self.count(MEMBER_BYTES, poll)?;
        let limits = &self.limits.zset;
        let mut zset = if n > limits.listpack_entries as u64 {
            Zset::Tree(Own::new(ZsetTree::new(room)))
        } else {
            Zset::create(0, 0, limits)
        };
        let mut negative_zero = false;
        for _ in 0..n {
            self.r.read_string_into(&mut self.buf, poll)?;
            let score = if text {
                self.r.read_text_double(poll)?
            } else {
                self.r.read_double(poll)?
            };
            if score == 0.0 && score.is_sign_negative() {
                // A listpack would lose the sign, and a long member may still come that makes it none.
                negative_zero = true;
                zset.convert_to_tree(room);
            }
            match zset.add(score, &self.buf, AddFlags::default(), limits) {
                Ok(Added::New(_)) => {}
                Ok(_) => return Err(self.wrong("Duplicate zset fields detected")),
                Err(_) => return Err(self.wrong("Zset with NAN score detected")),
            }
        }
        if negative_zero {
            zset = zset.convert_to_listpack_if_needed(limits);
        }
        Ok(Value::Zset(zset))
    }

    fn plain_hash(&mut self, poll: Poll<'_>) -> Result<Value, RdbError> {
        let (n, room) = self.count(MEMBER_BYTES, poll)?;
        let limits = &self.limits.hash;
        let mut hash = if n > limits.listpack_entries as u64 {
            Hash::Table(Own::new(HashTable::new(room)))
        } else {
            Hash::default()
        };
        let mut field = Vec::new();
        for _ in 0..n {
            self.r.read_string_into(&mut field, poll)?;
            self.r.read_string_into(&mut self.buf, poll)?;
            if !hash.set(&field, FieldValue::Bytes(&self.buf), limits) {
                return Err(self.wrong("Duplicate hash fields detected"));
            }
        }
        Ok(Value::Hash(hash))
    }

    /// Fields with or without an expiry, `n` of them; `read` reads the next one into both buffers and returns its expiry.
    fn fields(
        &mut self,
        n: u64,
        poll: Poll<'_>,
        mut read: impl FnMut(&mut Self, &mut Vec<u8>, Poll<'_>) -> Result<FieldTime, RdbError>,
    ) -> Result<Value, RdbError> {
        let mut hash = Hash::default();
        let mut field = Vec::new();
        for _ in 0..n {
            let expiry = read(self, &mut field, poll)?;
            match self.limits.leaves_out(expiry) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(kind) => return Err(self.r.error(kind)),
            }
            if !hash.set(&field, FieldValue::Bytes(&self.buf), &self.limits.hash) {
                return Err(self.wrong("Duplicate hash fields detected"));
            }
        }
        Ok(Value::Hash(hash))
    }

    /// A hash of Valkey 9.0.
    fn hash_of_valkey(&mut self, poll: Poll<'_>) -> Result<Value, RdbError> {
        let n = self.r.read_len(poll)?;
        self.fields(n, poll, |l, field, poll| {
            l.r.read_string_into(field, poll)?;
            l.r.read_string_into(&mut l.buf, poll)?;
            let at = l.r.read_millisecond_time(poll)?;
            Ok((at >= 0).then_some(at))
        })
    }

    /// A hash of Redis 7.4, as a table.
    fn hash_of_7_4(&mut self, rdb_type: u8, poll: Poll<'_>) -> Result<Value, RdbError> {
        // Before its release expiries were absolute.
        let least = match rdb_type {
            RDB_TYPE_HASH_METADATA => Some(self.r.read_millisecond_time(poll)?),
            _ => None,
        };
        let n = self.r.read_len(poll)?;
        self.fields(n, poll, |l, field, poll| {
            let time = l.r.read_len(poll)?;
            l.r.read_string_into(field, poll)?;
            l.r.read_string_into(&mut l.buf, poll)?;
            let time = i64::try_from(time).unwrap_or(i64::MAX);
            Ok((time != 0).then(|| match least {
                Some(least) => least.saturating_add(time - 1),
                None => time,
            }))
        })
    }

    /// A hash of Redis 7.4, as a listpack.
    fn listpack_hash_of_7_4(&mut self, rdb_type: u8, poll: Poll<'_>) -> Result<Value, RdbError> {
        const WRONG: &str = "Hash listpack integrity check failed.";
        if rdb_type == RDB_TYPE_HASH_LISTPACK_EX {
            self.r.read_millisecond_time(poll)?;
        }
        self.r.read_string_into(&mut self.buf, poll)?;
        let lp = grouped_listpack(&self.buf, 3, self.limits).ok_or_else(|| self.wrong(WRONG))?;
        let n = lp.len() as u64 / 3;
        let mut elements = lp.iter();
        self.fields(n, poll, |l, field, _| {
            let mut next = || {
                elements
                    .next()
                    .ok_or_else(|| l.r.error(RdbErrorKind::Value(WRONG)))
            };
            let (name, value, time) = (next()?, next()?, next()?);
            field.clear();
            name.with_bytes(|b| field.extend_from_slice(b));
            l.buf.clear();
            value.with_bytes(|b| l.buf.extend_from_slice(b));
            let time = time.as_int().ok_or_else(|| l.wrong(WRONG))?;
            Ok((time != 0).then_some(time))
        })
    }

    /// A list of nodes: listpacks and plain elements, or, before 7.0, ziplists.
    fn quicklist(&mut self, listpacks: bool, poll: Poll<'_>) -> Result<Value, RdbError> {
        let (n, _) = self.count(1, poll)?;
        let limits = self.limits.list;
        let mut q = Quicklist::new(limits.fill, limits.compress);
        for _ in 0..n {
            let container = if listpacks {
                self.r.read_len(poll)?
            } else {
                QUICKLIST_NODE_PACKED
            };
            if container != QUICKLIST_NODE_PACKED && container != QUICKLIST_NODE_PLAIN {
                return Err(self.r.error(RdbErrorKind::BadContainer(container)));
            }
            self.r.read_string_into(&mut self.buf, poll)?;
            if self.buf.is_empty() {
                return Err(self.wrong("Quicklist node without bytes"));
            }
            if container == QUICKLIST_NODE_PLAIN {
                q.append_plain_node(&self.buf);
                continue;
            }
            let lp = if listpacks {
                whole_listpack(&self.buf, self.limits).ok_or("Listpack integrity check failed.")
            } else {
                listpack_of_ziplist(&self.buf).ok_or("Ziplist integrity check failed.")
            };
            // Nodes without elements are left out.
            q.append_listpack(lp.map_err(|text| self.wrong(text))?);
        }
        let mut list = List::Quicklist(Own::new(q));
        list.fit(limits);
        Ok(Value::List(list))
    }

    fn id(&mut self, poll: Poll<'_>) -> Result<StreamId, RdbError> {
        let ms = self.r.read_len(poll)?;
        let seq = self.r.read_len(poll)?;
        Ok(StreamId::new(ms, seq))
    }

    fn raw_id(&mut self, poll: Poll<'_>) -> Result<StreamId, RdbError> {
        Ok(StreamId::from_bytes(self.r.read_array::<16>(poll)?))
    }

    fn stream(&mut self, rdb_type: u8, poll: Poll<'_>) -> Result<Value, RdbError> {
        let newer = rdb_type >= RDB_TYPE_STREAM_LISTPACKS_2;
        let mut parts = StreamParts::new();
        let nodes = self.r.read_len(poll)?;
        let mut key = Vec::new();
        for _ in 0..nodes {
            self.r.read_string_into(&mut key, poll)?;
            self.r.read_string_into(&mut self.buf, poll)?;
            self.limits.count_sanitization();
            let added = parts.add_node(&key, &self.buf);
            added.map_err(|text| self.wrong(text))?;
        }
        let length = self.r.read_len(poll)?;
        let last_id = self.id(poll)?;
        let set = if newer {
            let first_id = self.id(poll)?;
            let max_deleted_entry_id = self.id(poll)?;
            let entries_added = self.r.read_len(poll)?;
            parts.set_meta(StreamMeta {
                length,
                last_id,
                first_id,
                max_deleted_entry_id,
                entries_added,
            })
        } else {
            parts.set_old_meta(length, last_id)
        };
        set.map_err(|text| self.wrong(text))?;
        let groups = self.r.read_len(poll)?;
        for _ in 0..groups {
            self.r.read_string_into(&mut key, poll)?;
            let last_id = self.id(poll)?;
            let read = if newer {
                Some(self.r.read_len(poll)? as i64)
            } else {
                None
            };
            let group = parts.add_group(&key, last_id, read);
            let group = group.map_err(|text| self.r.error(RdbErrorKind::Value(text)))?;
            self.group(group, rdb_type, poll)?;
        }
        if rdb_type == RDB_TYPE_STREAM_LISTPACKS_4 && self.r.skip_idempotent_producers(poll)? > 0 {
            return Err(self.r.error(RdbErrorKind::IdempotentProducers));
        }
        Ok(Value::Stream(parts.finish()))
    }

    fn group(&mut self, group: &mut Group, rdb_type: u8, poll: Poll<'_>) -> Result<(), RdbError> {
        let pending = self.r.read_len(poll)?;
        for _ in 0..pending {
            let id = self.raw_id(poll)?;
            let time = self.r.read_millisecond_time(poll)?;
            let count = self.r.read_len(poll)?;
            if !group.load_nack(id, time, count) {
                return Err(self.wrong("Duplicated global PEL entry loading stream consumer group"));
            }
        }
        let consumers = self.r.read_len(poll)?;
        let mut name = Vec::new();
        for _ in 0..consumers {
            self.r.read_string_into(&mut name, poll)?;
            let seen = self.r.read_millisecond_time(poll)?;
            let Some(c) = group.create_consumer(&name, seen) else {
                return Err(self.wrong("Duplicate stream consumer detected"));
            };
            // Before 7.2 a consumer was seen when it was active.
            let active = if rdb_type >= RDB_TYPE_STREAM_LISTPACKS_3 {
                self.r.read_millisecond_time(poll)?
            } else {
                seen
            };
            group.consumer_mut(c).active_time = active;
            let owned = self.r.read_len(poll)?;
            for _ in 0..owned {
                let id = self.raw_id(poll)?;
                let done = group.load_owner(id, c);
                done.map_err(|text| self.wrong(text))?;
            }
        }
        if !group.is_loaded() {
            return Err(self.wrong("Stream CG PEL entry without consumer"));
        }
        Ok(())
    }
}
