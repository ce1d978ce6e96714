//! Client-side caching: which client may hold which key in a cache of its own, and how it learns that the key has changed
//! (tracking.c).
//!
//! In the default mode the keys of a client's reading commands are noted with the client; a change of such a key is told
//! once, and the note is gone. In broadcasting mode a client names prefixes; keys under them that change are gathered and
//! told before the loop sleeps. Notes outlive their client: they are dropped when the key changes, is pushed out of the
//! table, or everything is flushed.
//!
//! Invariants: a client is in [`Tracking::clients`] if and only if it has ClientFlags::TRACKING; it is among the clients of a
//! prefix if and only if the prefix is among its own, and has ClientFlags::TRACKING_BCAST then; no prefix is without clients;
//! `items` is the sum of all notes; the watch counter includes one for tracking exactly while there is a client or a note,
//! so that a change of a key costs nothing more while nobody tracks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use crate::ds::table::KeyHasher;
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::execution::command::{CommandFlags, CommandId, KeyRefs, get_keys_from_call};
use crate::wire::resp;

/// Where RESP2 clients get their messages.
const CHANNEL: &[u8] = b"__redis__:invalidate";
/// Keys pushed out of a table that is too large, in one call; the next calls do more when that was not enough.
const LIMIT_EFFORT: usize = 100;
/// All flags that CLIENT TRACKING sets.
const ALL_FLAGS: ClientFlags = ClientFlags::of(&[
    ClientFlags::TRACKING,
    ClientFlags::TRACKING_BROKEN_REDIR,
    ClientFlags::TRACKING_BCAST,
    ClientFlags::TRACKING_OPTIN,
    ClientFlags::TRACKING_OPTOUT,
    ClientFlags::TRACKING_CACHING,
    ClientFlags::TRACKING_NOLOOP,
]);

/// The clients that may hold a key (as [`ClientId::to_data`], sorted), and the key's place in the list of all.
struct Note {
    place: usize,
    clients: Vec<u64>,
}

/// The notes by key. The list of all keys is there to pick any of them.
pub(crate) struct Notes {
    by_key: HashMap<Arc<[u8]>, Note, KeyHasher>,
    all: Vec<Arc<[u8]>>,
    /// Clients of all keys together.
    items: usize,
}

impl Notes {
    fn new(hasher: &KeyHasher) -> Notes {
        Notes {
            by_key: HashMap::with_hasher(hasher.clone()),
            all: Vec::new(),
            items: 0,
        }
    }

    /// Keys with a note.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn add(&mut self, key: &[u8], client: u64) {
        if let Some(note) = self.by_key.get_mut(key) {
            if let Err(at) = note.clients.binary_search(&client) {
                note.clients.insert(at, client);
                self.items += 1;
            }
            return;
        }
        let name: Arc<[u8]> = key.into();
        let note = Note {
            place: self.all.len(),
            clients: vec![client],
        };
        self.all.push(name.clone());
        self.by_key.insert(name, note);
        self.items += 1;
    }

    /// Takes the clients of a key out.
    fn remove(&mut self, key: &[u8]) -> Option<Vec<u64>> {
        let note = self.by_key.remove(key)?;
        self.all.swap_remove(note.place);
        if let Some(moved) = self.all.get(note.place)
            && let Some(moved) = self.by_key.get_mut(moved)
        {
            moved.place = note.place;
        }
        self.items -= note.clients.len();
        Some(note.clients)
    }
}

/// A prefix that clients in broadcasting mode have named.
#[derive(Default)]
struct Prefix {
    clients: Vec<ClientId>,
    /// Keys changed since the loop slept last, and by whom last.
    changed: BTreeMap<Box<[u8]>, Option<ClientId>>,
}

/// What is known of a client that tracks.
#[derive(Default)]
struct Mode {
    /// The client that gets the messages instead: its public id, and the client itself.
    redirect: Option<(u64, ClientId)>,
    prefixes: BTreeSet<Box<[u8]>>,
    /// Bytes of the prefixes.
    prefix_bytes: usize,
}

/// The state of client-side caching.
pub(crate) struct Tracking {
    hasher: KeyHasher,
    notes: Notes,
    prefixes: BTreeMap<Box<[u8]>, Prefix>,
    clients: HashMap<ClientId, Mode>,
    /// A prefix has changed keys.
    to_broadcast: bool,
    /// The watch counter includes tracking.
    listens: bool,
    /// Calls in a row that left the table over its limit.
    over_limit: usize,
}

impl Tracking {
    pub(crate) fn new(hasher: &KeyHasher) -> Tracking {
        Tracking {
            hasher: hasher.clone(),
            notes: Notes::new(hasher),
            prefixes: BTreeMap::new(),
            clients: HashMap::new(),
            to_broadcast: false,
            listens: false,
            over_limit: 0,
        }
    }

    /// Clients that track (tracking_clients).
    #[inline]
    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Keys in the table (trackingGetTotalKeys).
    pub(crate) fn total_keys(&self) -> usize {
        self.notes.len()
    }

    /// Clients of all keys in the table (trackingGetTotalItems).
    pub(crate) fn total_items(&self) -> usize {
        self.notes.items
    }

    /// Prefixes that somebody has named (trackingGetTotalPrefixes).
    pub(crate) fn total_prefixes(&self) -> usize {
        self.prefixes.len()
    }

    #[inline]
    pub(crate) fn has_broadcasts(&self) -> bool {
        self.to_broadcast
    }

    /// The public id of the client that gets this one's messages, 0: itself; `None`: it does not track.
    pub(crate) fn redirection(&self, cid: ClientId) -> Option<u64> {
        let mode = self.clients.get(&cid)?;
        Some(mode.redirect.map_or(0, |r| r.0))
    }

    /// A client's prefixes, sorted.
    pub(crate) fn prefixes_of(&self, cid: ClientId) -> Vec<Box<[u8]>> {
        let mode = self.clients.get(&cid);
        mode.map_or(Vec::new(), |m| m.prefixes.iter().cloned().collect())
    }

    /// Bytes that a client's prefixes take.
    pub(crate) fn prefix_memory(&self, cid: ClientId) -> usize {
        let mode = self.clients.get(&cid);
        mode.map_or(0, |m| {
            m.prefix_bytes + m.prefixes.len() * 2 * size_of::<Box<[u8]>>()
        })
    }

    /// Why a client may not name these prefixes: two of them, or one and another that it has, would both be told of the
    /// same key (checkPrefixCollisionsOrReply).
    pub(crate) fn prefix_collision(&self, cid: ClientId, new: &[&[u8]]) -> Option<Vec<u8>> {
        let text = |p: &[u8], with: &str, q: &[u8]| {
            let end = b"'. Prefixes for a single client must not overlap.";
            let with = format!("' overlaps with {with} prefix '");
            Some([b"Prefix '", p, with.as_bytes(), q, end].concat())
        };
        let overlap = |p: &[u8], q: &[u8]| p.starts_with(q) || q.starts_with(p);
        let mine = self.clients.get(&cid).map(|m| &m.prefixes);
        for (i, p) in new.iter().enumerate() {
            if let Some(mine) = mine {
                // The empty one, the next before and the next behind: no other can overlap, since they do not among
                // themselves, but for the empty one.
                let before = (Bound::Unbounded, Bound::Included(*p));
                let behind = (Bound::Excluded(*p), Bound::Unbounded);
                let first = mine.first();
                let near = first
                    .into_iter()
                    .chain(mine.range::<[u8], _>(before).next_back())
                    .chain(mine.range::<[u8], _>(behind).next());
                for q in near {
                    if overlap(p, q) {
                        return text(p, "an existing", q);
                    }
                }
            }
            if let Some(q) = new[i + 1..].iter().find(|q| overlap(p, q)) {
                return text(p, "another provided", q);
            }
        }
        None
    }

    /// The client names a prefix (enableBcastTrackingForPrefix).
    fn add_prefix(&mut self, cid: ClientId, prefix: &[u8]) {
        let Some(mode) = self.clients.get_mut(&cid) else {
            return;
        };
        if mode.prefixes.insert(prefix.into()) {
            mode.prefix_bytes += prefix.len();
            let of_all = self.prefixes.entry(prefix.into()).or_default();
            of_all.clients.push(cid);
        }
    }

    /// The client and its prefixes go; false when it did not track.
    fn remove(&mut self, cid: ClientId) -> bool {
        let Some(mode) = self.clients.remove(&cid) else {
            return false;
        };
        for name in mode.prefixes {
            if let Some(p) = self.prefixes.get_mut(&name) {
                p.clients.retain(|c| *c != cid);
                if p.clients.is_empty() {
                    self.prefixes.remove(&name);
                }
            }
        }
        true
    }

    /// A key under any prefix is kept for the next broadcast (trackingRememberKeyToBroadcast).
    fn remember_key_to_broadcast(&mut self, by: Option<ClientId>, key: &[u8]) {
        let mut changed = false;
        let mut add = |p: &mut Prefix| {
            p.changed.insert(key.into(), by);
            changed = true;
        };
        // As many looks as there are prefixes, or prefixes of the key, whichever are fewer.
        if self.prefixes.len() <= key.len() {
            for (name, p) in &mut self.prefixes {
                if key.starts_with(name) {
                    add(p);
                }
            }
        } else {
            for n in 0..=key.len() {
                if let Some(p) = self.prefixes.get_mut(&key[..n]) {
                    add(p);
                }
            }
        }
        self.to_broadcast |= changed;
    }
}

/// What a message tells.
enum Invalid<'a> {
    /// Keys, as an array in wire form.
    Keys(&'a [u8]),
    /// All keys there are.
    All,
}

/// An array of keys in wire form (trackingBuildBroadcastReply).
fn wire_form(keys: &[&[u8]]) -> Vec<u8> {
    let bytes: usize = keys.iter().map(|k| k.len() + 15).sum();
    let mut out = Vec::with_capacity(bytes + 15);
    resp::push_command(&mut out, keys.iter().copied());
    out
}

impl Server {
    /// Starts tracking for a client, or changes how (enableTracking). `redirect` is the public id of another client and that
    /// client; `options` are ClientFlags::TRACKING_BCAST, _OPTIN, _OPTOUT, _NOLOOP; the prefixes must have been checked.
    pub(crate) fn enable_tracking(
        &mut self,
        cid: ClientId,
        redirect: Option<(u64, ClientId)>,
        options: ClientFlags,
        prefixes: &[&[u8]],
    ) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        c.flags.remove(ALL_FLAGS & !ClientFlags::TRACKING_CACHING);
        c.flags |= ClientFlags::TRACKING | options;
        self.tracking.clients.entry(cid).or_default().redirect = redirect;
        if options.intersects(ClientFlags::TRACKING_BCAST) {
            if prefixes.is_empty() {
                self.tracking.add_prefix(cid, b"");
            }
            for p in prefixes {
                self.tracking.add_prefix(cid, p);
            }
        }
        self.tracking_listens();
    }

    /// The client does not track any more; its notes stay until they are met (disableTracking).
    pub(crate) fn disable_tracking(&mut self, cid: ClientId) {
        if self.tracking.remove(cid) {
            if let Some(c) = self.clients.get_mut(cid) {
                c.flags.remove(ALL_FLAGS);
            }
            self.tracking_listens();
        }
    }

    /// Tracking hears of changed keys as long as it has anything to do with them.
    fn tracking_listens(&mut self) {
        let t = &mut self.tracking;
        let wants = !(t.clients.is_empty() && t.notes.is_empty());
        if wants != t.listens {
            t.listens = wants;
            if wants {
                self.watch.listeners += 1;
            } else {
                self.watch.listeners -= 1;
            }
        }
    }

    /// After a command that has run, while somebody tracks: what it has read is noted, and CLIENT CACHING has had its turn.
    #[cold]
    pub(in crate::server) fn tracking_after_call(
        &mut self,
        id: CommandId,
        flags: CommandFlags,
        args: &Args,
    ) {
        let Some(cid) = self.exec.call.client else {
            return;
        };
        // What a script has read, its own commands tell.
        const NOT_ITSELF: CommandFlags =
            CommandFlags::of(&[CommandFlags::PUBSUB, CommandFlags::RUNS_SCRIPT]);
        if flags.contains(CommandFlags::READONLY) && !flags.intersects(NOT_ITSELF) {
            self.tracking_remember_keys(cid, id, args);
        }
        self.tracking_forget_caching(cid);
    }

    /// CLIENT CACHING is about the command or the transaction after it, and no further.
    #[cold]
    pub(in crate::server) fn tracking_forget_caching(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        // A command that waits has it still before it.
        if !c.has(ClientFlags::TRACKING_CACHING) || c.has(ClientFlags::MULTI) || c.block.is_some() {
            return;
        }
        let cmd = self.exec.call.cmd.map(|id| self.commands.container_row(id));
        if !cmd.is_some_and(|row| row.flags.contains(CommandFlags::KEEPS_CACHING)) {
            c.flags.remove(ClientFlags::TRACKING_CACHING);
        }
    }

    /// Notes the keys that a command of the client has read, `id` being the command itself (trackingRememberKeys).
    fn tracking_remember_keys(&mut self, cid: ClientId, id: CommandId, args: &Args) {
        let Some(c) = self.clients.get(cid) else {
            return;
        };
        let caching = c.has(ClientFlags::TRACKING_CACHING);
        if !c.has(ClientFlags::TRACKING)
            || c.has(ClientFlags::TRACKING_BCAST)
            || (c.has(ClientFlags::TRACKING_OPTIN) && !caching)
            || (c.has(ClientFlags::TRACKING_OPTOUT) && caching)
        {
            return;
        }
        let mut keys = KeyRefs::default();
        let command = self.commands.command(id);
        if get_keys_from_call(command, args, &mut keys).is_err() {
            return;
        }
        for k in keys.iter() {
            self.tracking.notes.add(&args[k.pos], cid.to_data());
        }
    }

    /// A key has changed, or `by` the server itself when that is none: who may hold it is told (trackingInvalidateKey).
    /// Without `broadcast` it has not changed, but nobody follows it any more.
    pub(in crate::server) fn tracking_invalidate_key(
        &mut self,
        by: Option<ClientId>,
        key: &[u8],
        broadcast: bool,
    ) {
        if broadcast && !self.tracking.prefixes.is_empty() {
            self.tracking.remember_key_to_broadcast(by, key);
        }
        let Some(ids) = self.tracking.notes.remove(key) else {
            return;
        };
        let message = wire_form(&[key]);
        for id in ids {
            let cid = ClientId::from_data(id);
            let Some(c) = self.clients.get(cid) else {
                continue;
            };
            // What it had noted before it went over to broadcasting does not count any more.
            let own = c.has(ClientFlags::TRACKING_NOLOOP) && self.exec.call.client == Some(cid);
            if c.has(ClientFlags::TRACKING) && !c.has(ClientFlags::TRACKING_BCAST) && !own {
                self.send_tracking_message(cid, &Invalid::Keys(&message));
            }
        }
        self.tracking_listens();
    }

    /// One database, or all, are being emptied: all clients forget all keys (trackingInvalidateKeysOnFlush). With `lazy` the
    /// table is freed in the background.
    pub(crate) fn tracking_invalidate_keys_on_flush(&mut self, lazy: bool) {
        if !self.tracking.listens {
            return;
        }
        let all: Vec<ClientId> = self.tracking.clients.keys().copied().collect();
        for cid in all {
            self.send_tracking_message(cid, &Invalid::All);
        }
        let new = Notes::new(&self.tracking.hasher);
        let old = std::mem::replace(&mut self.tracking.notes, new);
        if lazy {
            self.persist.lazyfree.free_notes(old);
        }
        self.tracking_listens();
    }

    /// Keeps the table within tracking-table-max-keys by giving up notes of any keys, within measure
    /// (trackingLimitUsedSlots).
    pub(crate) fn tracking_limit_used_slots(&mut self) {
        let max = self.config.tracking_table_max_keys;
        if max == 0 || self.tracking.notes.len() <= max {
            self.tracking.over_limit = 0;
            return;
        }
        for _ in 0..LIMIT_EFFORT.saturating_mul(self.tracking.over_limit + 1) {
            let all = &self.tracking.notes.all;
            let at = self.rng.index(all.len());
            let Some(key) = all.get(at).cloned() else {
                break;
            };
            self.tracking_invalidate_key(None, &key, false);
            if self.tracking.notes.len() <= max {
                self.tracking.over_limit = 0;
                return;
            }
        }
        self.tracking.over_limit += 1;
    }

    /// Before a command, while somebody tracks.
    #[cold]
    pub(in crate::server) fn tracking_before_command(&mut self, cid: ClientId) {
        self.tracking_limit_used_slots();
        if self.exec.call.has_push_messages() {
            self.send_pending_push_messages(cid);
        }
    }

    /// Before the loop sleeps: keys that have changed under the prefixes go out
    /// (trackingBroadcastInvalidationMessages).
    #[cold]
    pub(crate) fn tracking_broadcast_invalidation_messages(&mut self) {
        self.tracking.to_broadcast = false;
        let mut all = Vec::new();
        for p in self.tracking.prefixes.values_mut() {
            if !p.changed.is_empty() {
                all.push((std::mem::take(&mut p.changed), p.clients.clone()));
            }
        }
        for (changed, clients) in all {
            let keys: Vec<&[u8]> = changed.keys().map(|k| &**k).collect();
            let message = wire_form(&keys);
            for cid in clients {
                let noloop = |s: &Server| {
                    let c = s.clients.get(cid);
                    c.is_some_and(|c| c.has(ClientFlags::TRACKING_NOLOOP))
                };
                if !noloop(self) {
                    self.send_tracking_message(cid, &Invalid::Keys(&message));
                    continue;
                }
                let others = changed.iter().filter(|(_, by)| **by != Some(cid));
                let others: Vec<&[u8]> = others.map(|(k, _)| &**k).collect();
                if !others.is_empty() {
                    self.send_tracking_message(cid, &Invalid::Keys(&wire_form(&others)));
                }
            }
        }
    }

    /// Sends a message to the client, or to the one that gets its messages (sendTrackingMessage). Nothing reaches a RESP2
    /// client that does not listen to anything.
    fn send_tracking_message(&mut self, cid: ClientId, what: &Invalid) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        let own_resp = c.resp;
        let redirect = self.tracking.clients.get(&cid).and_then(|m| m.redirect);
        let mut text = Vec::new();
        let mut to = cid;
        if let Some((id, target)) = redirect {
            to = target;
            let gone = |s: &Server| {
                s.clients
                    .get(target)
                    .is_none_or(|t| t.has(ClientFlags::CLOSE_ASAP))
            };
            if gone(self) {
                if let Some(c) = self.clients.get_mut(cid) {
                    c.flags |= ClientFlags::TRACKING_BROKEN_REDIR;
                }
                if own_resp > 2 {
                    text.extend_from_slice(b">2\r\n$21\r\ntracking-redir-broken\r\n:");
                    text.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
                    text.extend_from_slice(b"\r\n");
                    self.push_tracking_message(cid, &text);
                }
                return;
            }
        }
        let Some(c) = self.clients.get(to) else {
            return;
        };
        if c.resp > 2 {
            text.extend_from_slice(b">2\r\n$10\r\ninvalidate\r\n");
        } else if redirect.is_some() && c.has(ClientFlags::PUBSUB) {
            resp::push_command(&mut text, [&b"message"[..], CHANNEL, b""].into_iter());
            // The third word is the keys.
            text.truncate(text.len() - b"$0\r\n\r\n".len());
        } else {
            return;
        }
        text.extend_from_slice(match what {
            Invalid::Keys(keys) => keys,
            Invalid::All if own_resp == 2 => b"$-1\r\n",
            Invalid::All => b"_\r\n",
        });
        self.push_tracking_message(to, &text);
    }

    /// Queues a message for a client; for the one whose command is running, behind the reply to it
    /// (trackingHandlePendingKeyInvalidations).
    fn push_tracking_message(&mut self, cid: ClientId, text: &[u8]) {
        if self.exec.call.client == Some(cid) {
            self.exec.call.push_after_reply(text);
            return;
        }
        let Some(c) = self.clients.prepare_client_to_push(cid, true) else {
            return;
        };
        c.out.push(text);
        let long = !c.out.list.is_empty();
        if long {
            self.close_client_on_output_buffer_limit_reached(cid);
        }
        if self.config.maxmemory_clients != 0 {
            self.update_client_mem_usage_and_bucket(cid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn notes_agree_with_a_plain_model(steps in prop::collection::vec((0..12_u8, 0..5_u64), 1..300)) {
            let mut notes = Notes::new(&KeyHasher::new([1, 2, 3, 4]));
            let mut model: HashMap<u8, HashSet<u64>> = HashMap::new();
            for (k, who) in steps {
                if who == 0 {
                    let got = notes.remove(&[k]).map(|v| v.into_iter().collect::<HashSet<_>>());
                    prop_assert_eq!(got, model.remove(&k));
                } else {
                    notes.add(&[k], who);
                    model.entry(k).or_default().insert(who);
                }
                prop_assert_eq!(notes.len(), model.len());
                prop_assert_eq!(notes.items, model.values().map(HashSet::len).sum::<usize>());
                for (i, key) in notes.all.iter().enumerate() {
                    prop_assert_eq!(notes.by_key[key].place, i);
                }
            }
        }

        #[test]
        fn overlaps_are_found_as_by_trying_all(
            words in prop::collection::vec("[ab]{0,3}", 1..12), start_empty in any::<bool>()
        ) {
            let mut t = Tracking::new(&KeyHasher::new([1, 2, 3, 4]));
            let cid = ClientId::from_data(1 << 32);
            t.clients.insert(cid, Mode::default());
            for (i, w) in words.iter().enumerate() {
                let w = w.as_bytes();
                let mine = t.prefixes_of(cid);
                let any = mine.iter().any(|q| w.starts_with(q) || q.starts_with(w));
                prop_assert_eq!(t.prefix_collision(cid, &[w]).is_some(), any);
                if !any {
                    t.add_prefix(cid, w);
                }
                if i == 2 && start_empty {
                    t.add_prefix(cid, b"");
                }
            }
        }

        #[test]
        fn a_key_goes_to_all_its_prefixes(
            prefixes in prop::collection::vec("[ab]{0,4}", 1..10), key in "[ab]{0,5}"
        ) {
            let mut t = Tracking::new(&KeyHasher::new([1, 2, 3, 4]));
            let cid = ClientId::from_data(1 << 32);
            t.clients.insert(cid, Mode::default());
            for p in &prefixes {
                t.add_prefix(cid, p.as_bytes());
            }
            t.remember_key_to_broadcast(None, key.as_bytes());
            for (name, p) in &t.prefixes {
                prop_assert_eq!(p.changed.len(), usize::from(key.as_bytes().starts_with(name)));
            }
            let any = prefixes.iter().any(|p| key.starts_with(&**p));
            prop_assert_eq!(t.has_broadcasts(), any);
            prop_assert!(t.remove(cid));
            prop_assert_eq!(t.total_prefixes(), 0);
        }
    }
}
