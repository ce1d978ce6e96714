//! The set commands (t_set.c).
//!
//! A command of one key hashes it once and looks it up once. Those of several keys look all of them up first, since a
//! look-up may delete an expired key and with it move the others; what they read afterwards is borrowed from the keyspace.
//! What becomes of encodings is decided in `store::set`.

use super::change::{Collection, Left};
use crate::commands::keyspace::{Emit, scan_generic_command};
use crate::ds::intset::Intset;
use crate::ds::listpack::{Listpack, LpValue};
use crate::server::Server;
use crate::server::clients::client::Clients;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server::execution::propagate::Propagate;
use crate::server::keyspace::lookup::{At, Free, Lookup, Replied};
use crate::server::keyspace::notify::NOTIFY_SET;
use crate::store::entry::NewValue;
use crate::store::entry::value::{Value, ValueRef};
use crate::store::set::{Set, SetLimits};
use crate::wire::resp;

/// Members of one SREM that SPOP propagates.
const SREM_BATCH: usize = 1024;

/// What SUNION and SDIFF make of their sets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Union,
    Diff,
}

/// An argument that names a key, and the key's hash if there is one.
type Found = (usize, Option<u64>);

/// A source of SINTER and its kin: where its name is among the arguments, and the set, if there is one.
struct Source<'a> {
    arg: usize,
    set: Option<ValueRef<'a, Set>>,
}

impl Source<'_> {
    fn len(&self) -> usize {
        self.set.as_ref().map_or(0, |s| s.len())
    }

    fn intset(&self) -> Option<&Intset> {
        match self.set.as_deref()? {
            Set::Intset(set) => Some(set),
            _ => None,
        }
    }

    fn contains(&self, v: LpValue<'_>) -> bool {
        self.set.as_ref().is_some_and(|s| s.contains_value(v))
    }
}

#[inline]
fn add_reply_member(clients: &mut Clients, cid: ClientId, v: LpValue<'_>) {
    match v {
        LpValue::Str(s) => clients.add_reply_bulk(cid, s),
        LpValue::Int(n) => clients.add_reply_bulk_long_long(cid, n),
    }
}

/// All members of a set, or the empty set, as RESP's set.
fn add_reply_set(clients: &mut Clients, cid: ClientId, set: Option<&Set>) {
    clients.add_reply_set_len(cid, set.map_or(0, Set::len));
    if let Some(set) = set {
        add_reply_members(clients, cid, set);
    }
}

fn add_reply_members(clients: &mut Clients, cid: ClientId, set: &Set) {
    clients.write_bulks(cid, |w| {
        w.bulks(set.iter());
    });
}

impl Server {
    #[inline]
    fn set_limits(&self) -> SetLimits {
        SetLimits::new(&self.config, self.resize_policy())
    }

    /// The set at argument 1 for reading, and the clients to answer to. `Ok(None)`: there is none.
    #[inline(always)]
    fn set_to_read(
        &mut self,
        cid: ClientId,
        args: &Args,
    ) -> Result<(&mut Clients, Option<ValueRef<'_, Set>>), Replied> {
        let db = self.client_db(cid);
        let hash = self.dbs[db].keys.hash(&args[1]);
        let at = self.lookup_typed_hashed::<Set>(cid, db, hash, &args[1], Lookup::READ)?;
        let Server { clients, dbs, .. } = self;
        Ok((clients, at.and_then(|s| s.value(dbs))))
    }

    /// A set has changed.
    #[inline]
    fn set_changed(&mut self, cid: ClientId, db: usize, key: &[u8], event: &str) {
        self.signal_modified_key(cid, db, key);
        self.notify_keyspace_event(NOTIFY_SET, event, key, db);
    }

    /// Stores a result at a key, or deletes the key when the result is empty, and answers its size.
    fn store_set(&mut self, cid: ClientId, key: &[u8], set: Set, event: &str) {
        let len = set.len();
        let value = (len > 0).then(|| NewValue::Value(Value::Set(set)));
        self.store_result(cid, key, value, (NOTIFY_SET, event), 1);
        self.add_reply_long_long(cid, len as i64);
    }

    /// Looks up the sets named by these arguments, in their order: each argument, and its hash when there is such a key.
    ///
    /// # Errors
    /// One of them holds a value of another type: WRONGTYPE has been sent.
    fn look_up_sources(
        &mut self,
        cid: ClientId,
        args: &Args,
        keys: std::ops::Range<usize>,
    ) -> Result<Vec<Found>, Replied> {
        let db = self.client_db(cid);
        let mut found = Vec::with_capacity(keys.len());
        for arg in keys {
            let hash = self.dbs[db].keys.hash(&args[arg]);
            let at = self.lookup_typed_hashed::<Set>(cid, db, hash, &args[arg], Lookup::READ)?;
            found.push((arg, at.map(|_| hash)));
        }
        Ok(found)
    }

    /// The sets found by [`Server::look_up_sources`], now that no key goes away any more.
    fn sources(&self, db: usize, args: &Args, found: &[Found]) -> Vec<Source<'_>> {
        let keys = &self.dbs[db].keys;
        let source = |(arg, hash): &Found| Source {
            arg: *arg,
            set: hash
                .and_then(|hash| keys.find(hash, &args[*arg]))
                .and_then(|slot| keys.value::<Set>(slot)),
        };
        found.iter().map(source).collect()
    }
}

/// Adds the arguments from the second on; returns how many were no members.
#[inline(never)]
fn add_all(set: &mut Set, args: &Args, limits: &SetLimits) -> i64 {
    (2..args.len())
        .map(|i| i64::from(set.add(&args[i], limits)))
        .sum()
}

/// `SADD key member [member ...]`
pub(crate) fn sadd_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let key = &args[1];
    let hash = server.dbs[db].keys.hash(key);
    let found = server.lookup_typed_hashed::<Set>(cid, db, hash, key, Lookup::WRITE);
    let Ok(found) = found else {
        return;
    };
    let limits = server.set_limits();
    let members = args.len() - 2;
    let mut added = 0;
    match found {
        Some(at) => {
            if let Some(mut set) = at.value_mut::<Set>(&mut server.dbs) {
                set.maybe_convert(members, &limits);
                added = match members {
                    1 => i64::from(set.add(&args[2], &limits)),
                    _ => add_all(&mut set, args, &limits),
                };
            }
        }
        None => {
            let mut set = Set::create(&args[2], members, &limits);
            added = add_all(&mut set, args, &limits);
            server.db_add_hashed(db, hash, key, NewValue::Value(Value::Set(set)), None);
        }
    }
    if added > 0 {
        server.set_changed(cid, db, key, "sadd");
    }
    server.dirty += added;
    server.add_reply_long_long(cid, added);
}

/// `SREM key member [member ...]`
pub(crate) fn srem_command(server: &mut Server, cid: ClientId, args: &Args) {
    let key = &args[1];
    let limits = server.set_limits();
    let at = match server.lookup_typed::<Set>(cid, key, Lookup::WRITE) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_long_long(cid, 0),
        Err(Replied) => return,
    };
    let changed = server.change_value(at, |set: &mut Set, _| {
        let mut deleted = 0;
        for i in 2..args.len() {
            if set.remove(&args[i], &limits) {
                deleted += 1;
                if set.is_empty() {
                    break;
                }
            }
        }
        deleted
    });
    let Some((deleted, left)) = changed else {
        return;
    };
    if deleted > 0 {
        server.set_changed(cid, at.db, key, "srem");
        server.dirty += deleted;
    }
    server.delete_if_empty(at.db, key, left);
    server.add_reply_long_long(cid, deleted);
}

/// SMOVE source destination member
pub(crate) fn smove_command(server: &mut Server, cid: ClientId, args: &Args) {
    let db = server.client_db(cid);
    let (source, destination, member) = (&args[1], &args[2], &args[3]);
    let is_set = |server: &Server, at: At| at.value::<Set>(&server.dbs).is_some();
    let source_hash = server.dbs[db].keys.hash(source);
    let found = server.lookup_key_hashed(db, source_hash, source, Lookup::WRITE);
    let source_is_set = found.map(|at| is_set(server, at));
    let hash = server.dbs[db].keys.hash(destination);
    let found = server.lookup_key_hashed(db, hash, destination, Lookup::WRITE);
    let destination_is_set = found.map(|at| is_set(server, at));
    if source_is_set.is_none() {
        return server.add_reply_long_long(cid, 0);
    }
    if source_is_set == Some(false) || destination_is_set == Some(false) {
        return server.add_reply_wrong_type(cid);
    }
    let limits = server.set_limits();
    // The second look-up may have moved the first key.
    let Some(at) = server.find_hashed(db, source_hash, source) else {
        return server.add_reply_long_long(cid, 0);
    };
    if source == destination {
        let set = at.value::<Set>(&server.dbs);
        let there = set.is_some_and(|s| s.contains(member));
        return server.add_reply_long_long(cid, i64::from(there));
    }
    let removed = server.change_value(at, |set: &mut Set, _| set.remove(member, &limits));
    let Some((true, left)) = removed else {
        return server.add_reply_long_long(cid, 0);
    };
    server.notify_keyspace_event(NOTIFY_SET, "srem", source, db);
    server.delete_if_empty(db, source, left);
    server.signal_modified_key(cid, db, source);
    server.dirty += 1;
    let added = match server.find_hashed(db, hash, destination) {
        Some(at) => at
            .value_mut::<Set>(&mut server.dbs)
            .is_some_and(|mut set| set.add(member, &limits)),
        None => {
            let mut set = Set::create(member, 1, &limits);
            let added = set.add(member, &limits);
            let value = NewValue::Value(Value::Set(set));
            server.db_add_hashed(db, hash, destination, value, None);
            added
        }
    };
    if added {
        server.dirty += 1;
        server.set_changed(cid, db, destination, "sadd");
    }
    server.add_reply_long_long(cid, 1);
}

/// SISMEMBER key member
pub(crate) fn sismember_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Ok((clients, set)) = server.set_to_read(cid, args) {
        let there = set.is_some_and(|s| s.contains(&args[2]));
        clients.add_reply_long_long(cid, i64::from(there));
    }
}

/// `SMISMEMBER key member [member ...]`
pub(crate) fn smismember_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Ok((clients, set)) = server.set_to_read(cid, args) {
        clients.add_reply_array_len(cid, args.len() - 2);
        for i in 2..args.len() {
            let there = set.as_ref().is_some_and(|s| s.contains(&args[i]));
            clients.add_reply_long_long(cid, i64::from(there));
        }
    }
}

/// SCARD key
pub(crate) fn scard_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Ok((clients, set)) = server.set_to_read(cid, args) {
        clients.add_reply_long_long(cid, set.map_or(0, |s| s.len() as i64));
    }
}

/// SMEMBERS key
pub(crate) fn smembers_command(server: &mut Server, cid: ClientId, args: &Args) {
    if let Ok((clients, set)) = server.set_to_read(cid, args) {
        add_reply_set(clients, cid, set.as_deref());
    }
}

/// `SSCAN key cursor [MATCH pattern] [COUNT count]`
pub(crate) fn sscan_command(server: &mut Server, cid: ClientId, args: &Args) {
    fn step(s: &Set, cursor: u64, f: &mut Emit<'_>) -> u64 {
        match s {
            Set::Table(t) => t.scan(cursor, |m| f(m, None)),
            _ => {
                s.iter().for_each(|v| v.with_bytes(|m| f(m, None)));
                0
            }
        }
    }
    scan_generic_command(server, cid, args, step);
}

// Random members ----------------------------------------------------------------------------------------------------------

/// What SPOP has taken, as the SREMs that it is propagated as. Nothing is gathered when nobody listens.
struct Removals<'a> {
    key: &'a [u8],
    wanted: bool,
    batches: Vec<OwnedArgs>,
    in_last: usize,
}

impl Removals<'_> {
    fn push(&mut self, member: LpValue<'_>) {
        if !self.wanted {
            return;
        }
        if self.batches.is_empty() || self.in_last == SREM_BATCH {
            self.batches
                .push(OwnedArgs::from_slices(&[b"SREM", self.key]));
            self.in_last = 0;
        }
        if let Some(last) = self.batches.last_mut() {
            member.with_bytes(|m| last.push(m));
            self.in_last += 1;
        }
    }
}

fn spop_with_count_command(server: &mut Server, cid: ClientId, args: &Args) {
    const TEXT: &str = "value is out of range, must be positive";
    let Some(count) = server.get_range_long_or_reply(cid, args, 2, 0, i64::MAX, Some(TEXT)) else {
        return;
    };
    let db = server.client_db(cid);
    let key = &args[1];
    let at = match server.lookup_typed::<Set>(cid, key, Lookup::WRITE) {
        Ok(Some(at)) if count > 0 => at,
        Ok(_) => return server.add_reply_set_len(cid, 0),
        Err(Replied) => return,
    };
    let size = at.value::<Set>(&server.dbs);
    let size = size.map_or(0, |s| s.len());
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(size);
    server.notify_keyspace_event(NOTIFY_SET, "spop", key, db);
    server.dirty += count as i64;
    if count == size {
        let Server { clients, dbs, .. } = &mut *server;
        add_reply_set(clients, cid, at.value::<Set>(dbs).as_deref());
        server.delete_if_empty(db, key, Left::Nothing);
        let free = Free::lazily_if(server.config.lazyfree_lazy_server_del);
        server.rewrite_client_command_vector(&[free.verb(), key]);
        return server.signal_modified_key(cid, db, key);
    }
    server.add_reply_set_len(cid, count);
    let limits = server.set_limits();
    let mut removals = Removals {
        key,
        wanted: server.propagation_wanted(),
        batches: Vec::new(),
        in_last: 0,
    };
    let Server {
        clients, dbs, rng, ..
    } = &mut *server;
    if let Some(mut set) = at.value_mut::<Set>(dbs) {
        set.pop_many(count, rng, &limits, |m| {
            add_reply_member(clients, cid, m);
            removals.push(m);
        });
    }
    for batch in removals.batches {
        server.also_propagate(db, batch, Propagate::BOTH);
    }
    // What was taken is chance: a replica is told which members, not how many.
    server.prevent_command_propagation();
    server.signal_modified_key(cid, db, key);
}

/// `SPOP key [count]`
pub(crate) fn spop_command(server: &mut Server, cid: ClientId, args: &Args) {
    match args.len() {
        2 => {}
        3 => return spop_with_count_command(server, cid, args),
        _ => return server.add_reply_syntax_error(cid),
    }
    let db = server.client_db(cid);
    let key = &args[1];
    let at = match server.lookup_typed::<Set>(cid, key, Lookup::WRITE) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_null(cid),
        Err(Replied) => return,
    };
    let limits = server.set_limits();
    let wanted = server.propagation_wanted();
    let mut member = None;
    let mut left = Left::Something;
    let Server {
        clients, dbs, rng, ..
    } = &mut *server;
    if let Some(mut set) = at.value_mut::<Set>(dbs) {
        member = set.pop_random(rng, &limits, |m| {
            add_reply_member(clients, cid, m);
            wanted.then(|| m.to_vec())
        });
        left = set.left();
    }
    server.notify_keyspace_event(NOTIFY_SET, "spop", key, db);
    if let Some(member) = member.flatten() {
        server.rewrite_client_command_vector(&[b"SREM", key, &member]);
    }
    server.delete_if_empty(db, key, left);
    server.signal_modified_key(cid, db, key);
    server.dirty += 1;
}

fn srandmember_with_count_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Some(count) = server.get_range_long_or_reply(cid, args, 2, -i64::MAX, i64::MAX, None)
    else {
        return;
    };
    let at = match server.lookup_typed::<Set>(cid, &args[1], Lookup::READ) {
        Ok(Some(at)) if count != 0 => at,
        Ok(_) => return server.add_reply_array_len(cid, 0),
        Err(Replied) => return,
    };
    if let Some(mut set) = at.value_mut::<Set>(&mut server.dbs) {
        set.rehash_step();
    }
    let wanted = count.unsigned_abs();
    if count > 1 {
        let Server {
            clients, dbs, rng, ..
        } = server;
        let Some(set) = at.value::<Set>(dbs) else {
            return;
        };
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(set.len());
        clients.add_reply_array_len(cid, wanted);
        if wanted == set.len() {
            return add_reply_members(clients, cid, &set);
        }
        return set.sample(wanted, rng, |m| add_reply_member(clients, cid, m));
    }
    server.add_reply_array_len(cid, usize::try_from(wanted).unwrap_or(usize::MAX));
    server.add_reply_random_many(cid, at, wanted, |set: &Set, n, rng, clients| {
        set.random_many(n, rng, |m| add_reply_member(clients, cid, m));
    });
}

/// `SRANDMEMBER key [count]`
pub(crate) fn srandmember_command(server: &mut Server, cid: ClientId, args: &Args) {
    match args.len() {
        2 => {}
        3 => return srandmember_with_count_command(server, cid, args),
        _ => return server.add_reply_syntax_error(cid),
    }
    let at = match server.lookup_typed::<Set>(cid, &args[1], Lookup::READ) {
        Ok(Some(at)) => at,
        Ok(None) => return server.add_reply_null(cid),
        Err(Replied) => return,
    };
    let Server {
        clients, dbs, rng, ..
    } = server;
    if let Some(mut set) = at.value_mut::<Set>(dbs) {
        set.rehash_step();
        if let Some(m) = set.random(rng) {
            add_reply_member(clients, cid, m);
        }
    }
}

// Several sets ------------------------------------------------------------------------------------------------------------

/// Whether `v` is in a set of integers. It is asked for ascending ones: all before `place`, which moves on, are less. So the
/// set is walked through once, in steps as wide as the gaps between what is asked for.
fn passes_by(set: &Intset, v: LpValue<'_>, place: &mut usize) -> bool {
    let LpValue::Int(n) = v else {
        return false;
    };
    let found = set.search_from(n, *place);
    *place = found.unwrap_or_else(|at| at);
    found.is_ok()
}

/// Calls `f` with each member that all the sets have, until it answers false. The smallest set is passed over, and the
/// others are asked from the smallest on.
fn intersect(sources: &mut [Source<'_>], mut f: impl FnMut(LpValue<'_>) -> bool) {
    sources.sort_by_key(Source::len);
    let Some((first, others)) = sources.split_first() else {
        return;
    };
    let Some(set) = &first.set else { return };
    let ascending = first.intset().is_some();
    let mut places = vec![0; others.len()];
    for v in set.iter() {
        let mut rest = others.iter().zip(&mut places);
        let in_all = rest.all(|(other, place)| match other.intset() {
            Some(intset) if ascending => passes_by(intset, v, place),
            _ => other.contains(v),
        });
        if in_all && !f(v) {
            return;
        }
    }
}

/// The sets named by `keys`; `None` when one of them is not there, so that nothing can be in all.
///
/// # Errors
/// As [`Server::look_up_sources`].
fn all_sources(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    keys: std::ops::Range<usize>,
) -> Result<Option<Vec<Found>>, Replied> {
    let found = server.look_up_sources(cid, args, keys)?;
    Ok(found
        .iter()
        .all(|(_, hash)| hash.is_some())
        .then_some(found))
}

/// `SINTER key [key ...]`
pub(crate) fn sinter_command(server: &mut Server, cid: ClientId, args: &Args) {
    let found = match all_sources(server, cid, args, 1..args.len()) {
        Ok(Some(found)) => found,
        Ok(None) => return server.add_reply_set_len(cid, 0),
        Err(Replied) => return,
    };
    // The number of members comes first, and is known last.
    let mut reply = Vec::new();
    let mut len = 0;
    let db = server.client_db(cid);
    intersect(&mut server.sources(db, args, &found), |v| {
        v.with_bytes(|m| resp::push_bulk(&mut reply, m));
        len += 1;
        true
    });
    server.add_reply_set_len(cid, len);
    server.add_reply_proto(cid, &reply);
}

/// `SINTERCARD numkeys key [key ...] [LIMIT limit]`
pub(crate) fn sintercard_command(server: &mut Server, cid: ClientId, args: &Args) {
    const TEXT: &str = "numkeys should be greater than 0";
    let Some(n) = server.get_range_long_or_reply(cid, args, 1, 1, i64::MAX, Some(TEXT)) else {
        return;
    };
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    if n > args.len() - 2 {
        return server.add_reply_error(cid, "Number of keys can't be greater than number of args");
    }
    let mut limit = 0;
    let mut i = 2 + n;
    while i < args.len() {
        if !args.is(i, "limit") || i + 1 == args.len() {
            return server.add_reply_syntax_error(cid);
        }
        let text = Some("LIMIT can't be negative");
        match server.get_range_long_or_reply(cid, args, i + 1, 0, i64::MAX, text) {
            Some(n) => limit = n,
            None => return,
        }
        i += 2;
    }
    let found = match all_sources(server, cid, args, 2..2 + n) {
        Ok(Some(found)) => found,
        Ok(None) => return server.add_reply_long_long(cid, 0),
        Err(Replied) => return,
    };
    let mut cardinality = 0;
    let db = server.client_db(cid);
    intersect(&mut server.sources(db, args, &found), |_| {
        cardinality += 1;
        cardinality != limit
    });
    server.add_reply_long_long(cid, cardinality);
}

/// `SINTERSTORE destination key [key ...]`
pub(crate) fn sinterstore_command(server: &mut Server, cid: ClientId, args: &Args) {
    let limits = server.set_limits();
    let mut result = Set::Listpack(Listpack::new());
    match all_sources(server, cid, args, 2..args.len()) {
        Ok(Some(found)) => {
            let db = server.client_db(cid);
            let mut sources = server.sources(db, args, &found);
            let smallest = sources.iter().min_by_key(|s| s.len());
            if let Some(Set::Intset(_)) = smallest.and_then(|s| s.set.as_deref()) {
                result = Set::Intset(Intset::new());
            }
            let mut only_integers = true;
            intersect(&mut sources, |v| {
                only_integers = only_integers && v.as_int().is_some();
                result.add_value(v, &limits);
                true
            });
            if only_integers {
                result.convert_to_intset(&limits);
            }
        }
        Ok(None) => {}
        Err(Replied) => return,
    }
    server.store_set(cid, &args[1], result, "sinterstore");
}

/// The union of the sets.
fn union(sources: &[Source<'_>], limits: &SetLimits) -> Set {
    let mut result = Set::Intset(Intset::new());
    for set in sources.iter().filter_map(|s| s.set.as_ref()) {
        for v in set.iter() {
            result.add_value(v, limits);
        }
    }
    result
}

/// The first set without the members of the others.
fn difference(sources: &mut [Source<'_>], args: &Args, limits: &SetLimits) -> Set {
    let mut result = Set::Intset(Intset::new());
    let Some((first, others)) = sources.split_first_mut() else {
        return result;
    };
    let Some(set) = &first.set else { return result };
    // Nothing is left of a set without itself.
    if others.iter().any(|s| args[s.arg] == args[first.arg]) {
        return result;
    }
    // Either each member of the first set is looked for in the others, which is the better choice when it is small, or the
    // members of the others are taken from a copy of the first.
    let there = others.iter().filter(|s| s.set.is_some()).count();
    let by_look_up = set.len().saturating_mul(there + 1) / 2;
    let by_removal = others
        .iter()
        .map(Source::len)
        .fold(set.len(), usize::saturating_add);
    if by_look_up <= by_removal {
        // In the largest one a member is found the soonest.
        others.sort_by_key(|s| std::cmp::Reverse(s.len()));
        for v in set.iter() {
            if !others.iter().any(|s| s.contains(v)) {
                result.add_value(v, limits);
            }
        }
        return result;
    }
    for v in set.iter() {
        result.add_value(v, limits);
    }
    for set in others.iter().filter_map(|s| s.set.as_ref()) {
        for v in set.iter() {
            result.remove_value(v, limits);
        }
        if result.is_empty() {
            break;
        }
    }
    result
}

/// SUNION, SDIFF and those that store (sunionDiffGenericCommand); `None`: an error has been sent.
fn sunion_diff_generic_command(
    server: &mut Server,
    cid: ClientId,
    args: &Args,
    keys: std::ops::Range<usize>,
    op: Op,
) -> Option<Set> {
    let found = server.look_up_sources(cid, args, keys).ok()?;
    let limits = server.set_limits();
    let db = server.client_db(cid);
    let mut sources = server.sources(db, args, &found);
    Some(match op {
        Op::Union => union(&sources, &limits),
        Op::Diff => difference(&mut sources, args, &limits),
    })
}

/// `SUNION key [key ...]`
pub(crate) fn sunion_command(server: &mut Server, cid: ClientId, args: &Args) {
    let keys = 1..args.len();
    if let Some(set) = sunion_diff_generic_command(server, cid, args, keys, Op::Union) {
        add_reply_set(&mut server.clients, cid, Some(&set));
    }
}

/// `SUNIONSTORE destination key [key ...]`
pub(crate) fn sunionstore_command(server: &mut Server, cid: ClientId, args: &Args) {
    let keys = 2..args.len();
    if let Some(set) = sunion_diff_generic_command(server, cid, args, keys, Op::Union) {
        server.store_set(cid, &args[1], set, "sunionstore");
    }
}

/// `SDIFF key [key ...]`
pub(crate) fn sdiff_command(server: &mut Server, cid: ClientId, args: &Args) {
    let keys = 1..args.len();
    if let Some(set) = sunion_diff_generic_command(server, cid, args, keys, Op::Diff) {
        add_reply_set(&mut server.clients, cid, Some(&set));
    }
}

/// `SDIFFSTORE destination key [key ...]`
pub(crate) fn sdiffstore_command(server: &mut Server, cid: ClientId, args: &Args) {
    let keys = 2..args.len();
    if let Some(set) = sunion_diff_generic_command(server, cid, args, keys, Op::Diff) {
        server.store_set(cid, &args[1], set, "sdiffstore");
    }
}
