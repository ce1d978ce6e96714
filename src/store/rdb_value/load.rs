//! Values from their RDB form (rdbLoadObject), of every type and version, old encodings converted on the way.
//!
//! What comes in is hostile: a count sizes nothing but what bytes can still follow, encoded values are walked to their last
//! element before anything else looks at them, duplicates are refused.

use std::collections::HashSet;
use std::io::Read;

use super::{LoadLimits, Loaded, as_integer};
use crate::ds::field::FieldValue;
use crate::ds::intset::{self, Intset};
use crate::ds::listpack::{self, Listpack, LpValue};
use crate::ds::quicklist::{End, Quicklist};
use crate::ds::table::Resize;
use crate::ds::{ziplist, zipmap};
use crate::store::entry::value::Value;
use crate::store::hash::{Hash, HashTable};
use crate::store::list::List;
use crate::store::set::Set;
use crate::store::stream::{Group, StreamId, StreamMeta, StreamParts};
use crate::store::zset::{AddFlags, Added, Zset};
use crate::wire::rdb::{
    Poll, QUICKLIST_NODE_PACKED, QUICKLIST_NODE_PLAIN, RDB_TYPE_HASH, RDB_TYPE_HASH_LISTPACK,
    RDB_TYPE_HASH_ZIPLIST, RDB_TYPE_HASH_ZIPMAP, RDB_TYPE_LIST, RDB_TYPE_LIST_QUICKLIST,
    RDB_TYPE_LIST_QUICKLIST_2, RDB_TYPE_LIST_ZIPLIST, RDB_TYPE_SET, RDB_TYPE_SET_INTSET,
    RDB_TYPE_SET_LISTPACK, RDB_TYPE_STREAM_LISTPACKS, RDB_TYPE_STREAM_LISTPACKS_2,
    RDB_TYPE_STREAM_LISTPACKS_3, RDB_TYPE_STRING, RDB_TYPE_ZSET, RDB_TYPE_ZSET_2,
    RDB_TYPE_ZSET_LISTPACK, RDB_TYPE_ZSET_ZIPLIST, RdbError, RdbErrorKind, RdbReader, RdbString,
};

/// Reads a value of type `rdb_type` (rdbLoadObject).
///
/// # Errors
/// What the reader finds wrong; a type that this server does not know is [`RdbErrorKind::UnknownType`], a value that is not
/// what its encoding promises [`RdbErrorKind::Value`].
pub fn rdb_load_object<R: Read>(
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
        RDB_TYPE_LIST => l.plain_list(poll)?,
        RDB_TYPE_SET => l.plain_set(poll)?,
        RDB_TYPE_ZSET | RDB_TYPE_ZSET_2 => l.plain_zset(rdb_type == RDB_TYPE_ZSET, poll)?,
        RDB_TYPE_HASH => l.plain_hash(poll)?,
        RDB_TYPE_LIST_QUICKLIST | RDB_TYPE_LIST_QUICKLIST_2 => {
            l.quicklist(rdb_type == RDB_TYPE_LIST_QUICKLIST_2, poll)?
        }
        RDB_TYPE_STREAM_LISTPACKS | RDB_TYPE_STREAM_LISTPACKS_2 | RDB_TYPE_STREAM_LISTPACKS_3 => {
            return l.stream(rdb_type, poll).map(Loaded::Value);
        }
        RDB_TYPE_HASH_ZIPMAP
        | RDB_TYPE_LIST_ZIPLIST
        | RDB_TYPE_SET_INTSET
        | RDB_TYPE_ZSET_ZIPLIST
        | RDB_TYPE_HASH_ZIPLIST
        | RDB_TYPE_HASH_LISTPACK
        | RDB_TYPE_ZSET_LISTPACK
        | RDB_TYPE_SET_LISTPACK => {
            let mut buf = std::mem::take(&mut l.buf);
            l.r.read_string_into(&mut buf, poll)?;
            let made = encoded(rdb_type, &buf, limits);
            made.map_err(|text| l.wrong(text))?
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
        RDB_TYPE_LIST_ZIPLIST => {
            let lp = listpack_of_ziplist(bytes).ok_or("Ziplist integrity check failed.")?;
            let mut list = List::Listpack(lp);
            list.fit(limits.list);
            Ok(Value::List(list))
        }
        RDB_TYPE_SET_INTSET => {
            if !intset::validate_integrity(bytes, limits.deep) {
                return Err("Intset integrity check failed.");
            }
            let mut set = Set::Intset(Intset::from_validated(bytes));
            set.maybe_convert(set.len(), &limits.set);
            Ok(Value::Set(set))
        }
        RDB_TYPE_SET_LISTPACK => {
            if !listpack_is_whole(bytes, 1) {
                return Err("Set listpack integrity check failed.");
            }
            let mut set = Set::Listpack(Listpack::from_validated(bytes));
            set.maybe_convert(set.len(), &limits.set);
            Ok(Value::Set(set))
        }
        RDB_TYPE_ZSET_ZIPLIST => {
            let lp = listpack_of_ziplist(bytes)
                .filter(pairs_are_unique)
                .ok_or("Zset ziplist integrity check failed.")?;
            listpack_zset(lp, limits)
        }
        RDB_TYPE_ZSET_LISTPACK => {
            if !listpack_is_whole(bytes, 2) {
                return Err("Zset listpack integrity check failed.");
            }
            listpack_zset(Listpack::from_validated(bytes), limits)
        }
        RDB_TYPE_HASH_ZIPLIST => {
            let lp = listpack_of_ziplist(bytes)
                .filter(pairs_are_unique)
                .ok_or("Hash ziplist integrity check failed.")?;
            Ok(listpack_hash(lp, limits))
        }
        RDB_TYPE_HASH_LISTPACK => {
            if !listpack_is_whole(bytes, 2) {
                return Err("Hash listpack integrity check failed.");
            }
            Ok(listpack_hash(Listpack::from_validated(bytes), limits))
        }
        _ => Err("Unknown RDB encoding type"),
    }
}

/// A listpack to its last element, in groups of `group` of which no two begin alike (lpValidateIntegrityAndDups).
fn listpack_is_whole(bytes: &[u8], group: usize) -> bool {
    let mut seen: HashSet<Vec<u8>> = HashSet::new();
    let mut n = 0usize;
    let unique = listpack::validate_integrity(bytes, true, &mut |v| {
        let first = n.is_multiple_of(group);
        n += 1;
        !first || seen.insert(v.to_vec())
    });
    unique && n.is_multiple_of(group)
}

fn pairs_are_unique(lp: &Listpack) -> bool {
    listpack_is_whole(lp.bytes(), 2)
}

fn listpack_of_ziplist(bytes: &[u8]) -> Option<Listpack> {
    let mut lp = Listpack::new();
    for v in ziplist::entries(bytes).ok()? {
        let v = v.ok()?;
        if !lp.safe_to_add(v.len_bytes()) {
            return None;
        }
        lp.append_value(v);
    }
    Some(lp)
}

/// A hash over the limits becomes a table.
fn listpack_hash(lp: Listpack, limits: &LoadLimits) -> Value {
    let lengths: Vec<usize> = lp.iter().map(LpValue::len_bytes).collect();
    let mut hash = Hash::Listpack(lp);
    hash.try_conversion(hash.len(), lengths.into_iter(), &limits.hash);
    Value::Hash(hash)
}

/// A sorted set over the limits becomes a tree; one that is out of order, or has a score that is no number, is refused.
fn listpack_zset(lp: Listpack, limits: &LoadLimits) -> Result<Value, &'static str> {
    let mut longest = 0;
    let mut it = lp.iter();
    while let (Some(member), Some(score)) = (it.next(), it.next()) {
        longest = longest.max(member.len_bytes());
        let number = score.as_int().is_some()
            || score.with_bytes(|s| crate::base::strtod::strtod(s).value.is_finite() || is_inf(s));
        if !number {
            return Err("Zset listpack has a score that is not a number.");
        }
    }
    let zset = Zset::Listpack(lp);
    if zset.len() > limits.zset.listpack_entries || longest > limits.zset.listpack_value {
        let mut tree = Zset::create(usize::MAX, 0, &limits.zset_of(zset.len()));
        for (member, score) in zset.iter() {
            let done = member.with_bytes(|m| tree.add(score, m, AddFlags::default(), &limits.zset));
            if !matches!(done, Ok(Added::New(_))) {
                return Err("Zset listpack integrity check failed.");
            }
        }
        return Ok(Value::Zset(tree));
    }
    Ok(Value::Zset(zset))
}

fn is_inf(s: &[u8]) -> bool {
    let s = s.strip_prefix(b"-").or(s.strip_prefix(b"+")).unwrap_or(s);
    s.eq_ignore_ascii_case(b"inf") || s.eq_ignore_ascii_case(b"infinity")
}

fn zipmap_hash(bytes: &[u8], limits: &LoadLimits) -> Result<Value, &'static str> {
    const WRONG: &str = "Zipmap integrity check failed.";
    let mut hash = Hash::Listpack(Listpack::new());
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

    /// A count of elements, and how many of them there may be room made for.
    fn count(&mut self, min_bytes: u64, poll: Poll<'_>) -> Result<(u64, usize), RdbError> {
        let n = self.r.read_len(poll)?;
        Ok((n, self.r.plausible_count(n, min_bytes)))
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
        let (n, room) = self.count(1, poll)?;
        let limits = &self.limits.set;
        let mut set = Set::create(b"0", room, limits);
        for _ in 0..n {
            self.r.read_string_into(&mut self.buf, poll)?;
            if !set.add(&self.buf, limits) {
                return Err(self.wrong("Duplicate set members detected"));
            }
        }
        Ok(Value::Set(set))
    }

    fn plain_zset(&mut self, text: bool, poll: Poll<'_>) -> Result<Value, RdbError> {
        let (n, room) = self.count(2, poll)?;
        let limits = &self.limits.zset;
        let mut zset = Zset::create(room, 0, limits);
        for _ in 0..n {
            self.r.read_string_into(&mut self.buf, poll)?;
            let score = if text {
                self.r.read_text_double(poll)?
            } else {
                self.r.read_double(poll)?
            };
            match zset.add(score, &self.buf, AddFlags::default(), limits) {
                Ok(Added::New(_)) => {}
                Ok(_) => return Err(self.wrong("Duplicate zset fields detected")),
                Err(_) => return Err(self.wrong("Zset with NAN score detected")),
            }
        }
        Ok(Value::Zset(zset))
    }

    fn plain_hash(&mut self, poll: Poll<'_>) -> Result<Value, RdbError> {
        let (n, room) = self.count(2, poll)?;
        let limits = &self.limits.hash;
        let mut hash = if room > limits.listpack_entries {
            Hash::Table(Box::new(HashTable::new(room)))
        } else {
            Hash::Listpack(Listpack::new())
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
            if container == QUICKLIST_NODE_PLAIN {
                q.append_plain_node(&self.buf);
                continue;
            }
            let lp = if listpacks {
                listpack::validate_integrity(&self.buf, true, &mut |_| true)
                    .then(|| Listpack::from_validated(&self.buf))
                    .ok_or("Listpack integrity check failed.")
            } else {
                listpack_of_ziplist(&self.buf).ok_or("Ziplist integrity check failed.")
            };
            // Nodes without elements are left out.
            q.append_listpack(lp.map_err(|text| self.wrong(text))?);
        }
        let mut list = List::Quicklist(Box::new(q));
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
            return Err(self.wrong("NACK entry without consumer"));
        }
        Ok(())
    }
}

impl LoadLimits {
    /// Limits under which `members` members are a tree.
    fn zset_of(&self, members: usize) -> crate::store::zset::ZsetLimits {
        let mut l = self.zset;
        l.listpack_entries = members.saturating_sub(1);
        l.resize = Resize::Allow;
        l
    }
}
