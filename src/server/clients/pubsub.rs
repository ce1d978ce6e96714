//! Pub/sub: who listens to which channel, pattern or shard channel, and how a message reaches them (the state and the low
//! level half of pubsub.c).
//!
//! Each name maps to the clients that listen, and each client that listens to anything has the same names with its place in
//! that list, so that leaving costs one look-up each way however many listen. The order within a list is not kept when
//! somebody leaves. A client without subscriptions owns nothing for it.
//!
//! A message is put into wire form once; its two protocol versions differ in the first byte. Small ones are copied into each
//! client's output, large ones to many are shared by reference, once a protocol version.
//!
//! Invariants: a client is in the list of a name if and only if the name is among its own, at that very place; no list is
//! empty; a client whose last subscription is gone has no `Subscriptions`.

use std::collections::HashMap;

use crate::base::glob::string_match_len;
use crate::ds::sbuf::SBuf;
use crate::ds::table::KeyHasher;
use crate::server::Server;
use crate::server::clients::client::{Client, Clients};
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::clients::subscriptions::{KINDS, Kind, Name};
use crate::server::execution::exec::Exec;
use crate::wire::resp;

/// A message of this many bytes is shared when it goes to [`SHARE_RECEIVERS`] or more.
const SHARE_BYTES: usize = 4096;
const SHARE_RECEIVERS: usize = 3;
/// Receivers beyond this number share a message of any size, as long as they have no buffer and would need a large one: the
/// pages of thousands of new buffers cost more than the message, and whoever publishes waits for them.
const SHARE_MANY: usize = 256;

impl Client {
    /// How many names of a kind the client listens to.
    pub(crate) fn subscriptions(&self, kind: Kind) -> usize {
        self.pubsub.as_deref().map_or(0, |s| s.count(kind))
    }
}

/// Listeners by name, for each kind.
pub(crate) struct Pubsub {
    listeners: [HashMap<Name, Vec<ClientId>, KeyHasher>; 3],
}

impl Pubsub {
    pub(crate) fn new(hasher: &KeyHasher) -> Pubsub {
        Pubsub {
            listeners: std::array::from_fn(|_| HashMap::with_hasher(hasher.clone())),
        }
    }

    /// Distinct names that somebody listens to.
    pub(crate) fn len(&self, kind: Kind) -> usize {
        self.listeners[kind as usize].len()
    }

    pub(crate) fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.listeners[kind as usize].keys().map(|n| &**n)
    }

    /// How many clients listen to a name.
    pub(crate) fn listeners(&self, kind: Kind, name: &[u8]) -> usize {
        self.listeners[kind as usize].get(name).map_or(0, Vec::len)
    }

    /// Adds a listener; false when it was one already.
    fn add(&mut self, kind: Kind, name: &[u8], c: &mut Client) -> bool {
        let mine = &mut c.pubsub.get_or_insert_default().places[kind as usize];
        if mine.contains_key(name) {
            return false;
        }
        let all = &mut self.listeners[kind as usize];
        let shared = match all.get_key_value(name) {
            Some((shared, _)) => shared.clone(),
            None => Name::from(name),
        };
        let list = all.entry(shared.clone()).or_default();
        mine.insert(shared, list.len() as u32);
        list.push(c.cid);
        true
    }

    /// Removes a listener; false when it was none.
    fn remove(&mut self, kind: Kind, name: &[u8], cid: ClientId, clients: &mut Clients) -> bool {
        let Some(c) = clients.get_mut(cid) else {
            return false;
        };
        let Some(mine) = c.pubsub.as_deref_mut() else {
            return false;
        };
        let Some(place) = mine.places[kind as usize].remove(name) else {
            return false;
        };
        if mine.is_empty() {
            c.pubsub = None;
        }
        let all = &mut self.listeners[kind as usize];
        let Some(list) = all.get_mut(name) else {
            return true;
        };
        list.swap_remove(place as usize);
        if list.is_empty() {
            all.remove(name);
        } else if let Some(moved) = list.get(place as usize)
            && let Some(moved) = clients
                .get_mut(*moved)
                .and_then(|c| c.pubsub.as_deref_mut())
            && let Some(p) = moved.places[kind as usize].get_mut(name)
        {
            *p = place;
        }
        true
    }
}

/// A message on its way: its RESP2 form, and what has been made of it for sharing, by protocol version.
struct Message {
    text: Vec<u8>,
    shared: [Option<SBuf>; 2],
}

impl Message {
    fn new(words: &[&[u8]]) -> Message {
        let mut text = Vec::with_capacity(words.iter().map(|w| w.len() + 16).sum::<usize>() + 8);
        resp::push_command(&mut text, words.iter().copied());
        Message {
            text,
            shared: [None, None],
        }
    }

    fn for_version(&mut self, resp: u8) -> &[u8] {
        self.text[0] = if resp == 2 { b'*' } else { b'>' };
        &self.text
    }

    fn shared_for_version(&mut self, resp: u8) -> SBuf {
        let v = usize::from(resp != 2);
        if let Some(b) = &self.shared[v] {
            return b.clone();
        }
        let b = SBuf::from_slice(self.for_version(resp));
        self.shared[v].insert(b).clone()
    }
}

/// What delivering a message needs of the server.
struct Delivery<'a> {
    clients: &'a mut Clients,
    exec: &'a mut Exec,
    /// Clients whose output has outgrown its first buffer, and so may be past its limit.
    long_output: Vec<ClientId>,
}

impl Delivery<'_> {
    fn deliver(&mut self, list: &[ClientId], mut message: Message) {
        let share = message.text.len() >= SHARE_BYTES && list.len() >= SHARE_RECEIVERS;
        let many = list.len() > SHARE_MANY;
        for cid in list {
            let resp = self.clients.resp_version(*cid);
            if self.exec.call.client == Some(*cid) {
                // Not before, or within, the reply to the command that is running.
                let text = message.for_version(resp);
                self.exec.call.push_after_reply(text);
                continue;
            }
            let share = share || (many && self.clients.needs_large_buffer(*cid));
            let Some(c) = self.clients.prepare_client_to_push(*cid, !share) else {
                continue;
            };
            if share {
                let b = message.shared_for_version(resp);
                let all = 0..b.len();
                c.out.push_shared(b, all);
            } else {
                c.out.push(message.for_version(resp));
            }
            if !c.out.list.is_empty() {
                self.long_output.push(*cid);
            }
        }
    }
}

impl Server {
    /// The client listens to a name (pubsubSubscribeChannel, pubsubSubscribePattern); false when it did before.
    pub(crate) fn pubsub_subscribe(&mut self, cid: ClientId, kind: Kind, name: &[u8]) -> bool {
        match self.clients.get_mut(cid) {
            Some(c) => self.pubsub.add(kind, name, c),
            None => false,
        }
    }

    /// It listens no more (pubsubUnsubscribeChannel, pubsubUnsubscribePattern); false when it did not.
    pub(crate) fn pubsub_unsubscribe(&mut self, cid: ClientId, kind: Kind, name: &[u8]) -> bool {
        self.pubsub.remove(kind, name, cid, &mut self.clients)
    }

    /// Confirms a subscription or its end, with how many there are now: channels and patterns together, shard channels apart
    /// (addReplyPubsubSubscribed and its kin).
    pub(crate) fn pubsub_confirm(
        &mut self,
        cid: ClientId,
        word: &str,
        kind: Kind,
        name: Option<&[u8]>,
    ) {
        let Some(c) = self.clients.prepare_client_to_push(cid, true) else {
            return;
        };
        let count = match kind {
            Kind::Shard => c.subscriptions(Kind::Shard),
            _ => c.subscriptions(Kind::Channel) + c.subscriptions(Kind::Pattern),
        };
        let (prefix, null): (u8, &[u8]) = match c.resp {
            2 => (b'*', b"$-1\r\n"),
            _ => (b'>', b"_\r\n"),
        };
        let mut text = Vec::with_capacity(64 + name.map_or(0, <[u8]>::len));
        resp::push_header(&mut text, prefix, 3);
        resp::push_bulk(&mut text, word.as_bytes());
        match name {
            Some(name) => resp::push_bulk(&mut text, name),
            None => text.extend_from_slice(null),
        }
        resp::push_header(&mut text, b':', count as i64);
        c.out.push(&text);
    }

    /// Nobody listens to a shard channel any more: its slot has left. Each is told (pubsubShardUnsubscribeAllClients).
    pub(crate) fn pubsub_shard_unsubscribe_all_clients(&mut self, name: &[u8]) {
        let listeners = self.pubsub.listeners[Kind::Shard as usize]
            .get(name)
            .cloned();
        for cid in listeners.unwrap_or_default() {
            self.pubsub_unsubscribe(cid, Kind::Shard, name);
            self.pubsub_confirm(cid, "sunsubscribe", Kind::Shard, Some(name));
            if let Some(c) = self.clients.get_mut(cid)
                && c.pubsub.is_none()
            {
                c.flags.remove(ClientFlags::PUBSUB);
            }
        }
    }

    /// The client listens to nothing any more, and is not told.
    pub(crate) fn pubsub_unsubscribe_all(&mut self, cid: ClientId) {
        let Some(mine) = self.clients.get(cid).and_then(|c| c.pubsub.as_deref()) else {
            return;
        };
        let all: Vec<(Kind, Name)> = KINDS
            .into_iter()
            .flat_map(|k| mine.places[k as usize].keys().map(move |n| (k, n.clone())))
            .collect();
        for (kind, name) in all {
            self.pubsub_unsubscribe(cid, kind, &name);
        }
    }

    /// Sends a message to those who listen to the channel, and to those who listen to a pattern that it matches unless it is
    /// a shard channel; returns to how many (pubsubPublishMessage).
    pub(crate) fn pubsub_publish_message(
        &mut self,
        channel: &[u8],
        message: &[u8],
        kind: Kind,
    ) -> usize {
        let mut receivers = 0;
        let mut delivery = Delivery {
            clients: &mut self.clients,
            exec: &mut self.exec,
            long_output: Vec::new(),
        };
        let listeners = &self.pubsub.listeners;
        if let Some(list) = listeners[kind as usize].get(channel) {
            let word: &[u8] = match kind {
                Kind::Shard => b"smessage",
                _ => b"message",
            };
            delivery.deliver(list, Message::new(&[word, channel, message]));
            receivers += list.len();
        }
        if kind == Kind::Channel {
            for (pattern, list) in &listeners[Kind::Pattern as usize] {
                if string_match_len(pattern, channel, false) {
                    let words: [&[u8]; 4] = [b"pmessage", pattern, channel, message];
                    delivery.deliver(list, Message::new(&words));
                    receivers += list.len();
                }
            }
        }
        for cid in delivery.long_output {
            self.close_client_on_output_buffer_limit_reached(cid);
            if self.config.maxmemory_clients != 0 {
                self.update_client_mem_usage_and_bucket(cid);
            }
        }
        receivers
    }

    /// Sends what was published to the client while its own command ran.
    #[cold]
    pub(crate) fn send_pending_push_messages(&mut self, cid: ClientId) {
        let text = self.exec.call.take_push_messages();
        if let Some(c) = self.clients.prepare_client_to_push(cid, true) {
            c.out.push(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(n: usize) -> (Pubsub, Clients, Vec<ClientId>) {
        let mut clients = Clients::default();
        let ids = (0..n).map(|_| clients.create_client(None, 0)).collect();
        (Pubsub::new(&KeyHasher::new([1, 2, 3, 4])), clients, ids)
    }

    /// Each client's places against the lists, both ways.
    fn check(p: &Pubsub, clients: &Clients) {
        for kind in KINDS {
            let lists = &p.listeners[kind as usize];
            let mut entries = 0;
            for (name, list) in lists {
                assert!(!list.is_empty());
                for (i, cid) in list.iter().enumerate() {
                    let mine = clients[*cid].pubsub.as_deref().unwrap();
                    assert_eq!(mine.places[kind as usize][name], i as u32);
                    entries += 1;
                }
            }
            let theirs: usize = clients.iter().map(|c| c.subscriptions(kind)).sum();
            assert_eq!(theirs, entries);
        }
        assert!(
            clients
                .iter()
                .all(|c| c.pubsub.as_deref().is_none_or(|s| !s.is_empty()))
        );
    }

    #[test]
    fn names_and_listeners_agree_whoever_leaves() {
        let (mut p, mut clients, ids) = setup(7);
        let mut x = 1u64;
        for _ in 0..3000 {
            x = x
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let r = (x >> 33) as usize;
            let (cid, kind) = (ids[r % 7], KINDS[r / 7 % 3]);
            let name = [b'a' + (r / 21 % 5) as u8];
            let had = clients[cid]
                .pubsub
                .as_deref()
                .is_some_and(|s| s.names(kind).any(|n| n == name));
            if (r / 105).is_multiple_of(2) {
                assert_eq!(p.add(kind, &name, &mut clients[cid]), !had);
            } else {
                assert_eq!(p.remove(kind, &name, cid, &mut clients), had);
            }
            check(&p, &clients);
        }
        for cid in &ids {
            for kind in KINDS {
                for name in b'a'..=b'e' {
                    p.remove(kind, &[name], *cid, &mut clients);
                }
            }
        }
        check(&p, &clients);
        assert!(KINDS.iter().all(|k| p.len(*k) == 0));
        assert!(clients.iter().all(|c| c.pubsub.is_none()));
    }

    #[test]
    fn a_message_is_shared_once_a_version() {
        let mut m = Message::new(&[b"message", b"c", b"hello"]);
        assert_eq!(
            m.for_version(2),
            b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n"
        );
        assert_eq!(m.for_version(3)[..4], *b">3\r\n");
        let (a, b, c) = (
            m.shared_for_version(2),
            m.shared_for_version(2),
            m.shared_for_version(3),
        );
        assert_eq!(a.as_slice().as_ptr(), b.as_slice().as_ptr());
        assert_eq!((a.as_slice()[0], c.as_slice()[0]), (b'*', b'>'));
    }
}
