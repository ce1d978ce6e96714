//! Keyspace notifications (notify.c): what happens to keys, published to two channels for each event.
//!
//! The classes are the letters of `notify-keyspace-events`; their string form is in `config::value`. An event costs one
//! test of a word when its class is off.

use crate::config::value::NotifyFlags;
use crate::server::Server;
use crate::server::clients::subscriptions::Kind;

/// One class of events: what it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EventClass(NotifyFlags);

/// Commands of any type.
pub(crate) const NOTIFY_GENERIC: EventClass = EventClass(NotifyFlags::GENERIC);
pub(crate) const NOTIFY_STRING: EventClass = EventClass(NotifyFlags::STRING);
pub(crate) const NOTIFY_LIST: EventClass = EventClass(NotifyFlags::LIST);
pub(crate) const NOTIFY_SET: EventClass = EventClass(NotifyFlags::SET);
pub(crate) const NOTIFY_HASH: EventClass = EventClass(NotifyFlags::HASH);
pub(crate) const NOTIFY_ZSET: EventClass = EventClass(NotifyFlags::ZSET);
pub(crate) const NOTIFY_STREAM: EventClass = EventClass(NotifyFlags::STREAM);
pub(crate) const NOTIFY_EXPIRED: EventClass = EventClass(NotifyFlags::EXPIRED);
pub(crate) const NOTIFY_EVICTED: EventClass = EventClass(NotifyFlags::EVICTED);
pub(crate) const NOTIFY_KEY_MISS: EventClass = EventClass(NotifyFlags::KEY_MISS);
pub(crate) const NOTIFY_NEW: EventClass = EventClass(NotifyFlags::NEW);

impl Server {
    /// Tells those who asked for this class of events that `event` happened to `key` (notifyKeyspaceEvent). To be called
    /// after the change, in the order of upstream's calls.
    #[inline]
    pub(crate) fn notify_keyspace_event(
        &mut self,
        class: EventClass,
        event: &str,
        key: &[u8],
        db: usize,
    ) {
        if self.config.notify_keyspace_events.intersects(class.0) {
            self.publish_keyspace_event(event, key, db);
        }
    }

    #[cold]
    fn publish_keyspace_event(&mut self, event: &str, key: &[u8], db: usize) {
        let flags = self.config.notify_keyspace_events;
        let event = event.as_bytes();
        let mut channel = Vec::with_capacity(32 + key.len().max(event.len()));
        let mut name = |kind: &[u8], of: &[u8]| {
            channel.clear();
            channel.extend_from_slice(kind);
            channel.extend_from_slice(itoa::Buffer::new().format(db).as_bytes());
            channel.extend_from_slice(b"__:");
            channel.extend_from_slice(of);
            std::mem::take(&mut channel)
        };
        if flags.contains(NotifyFlags::KEYSPACE) {
            let channel = name(b"__keyspace@", key);
            self.pubsub_publish_message(&channel, event, Kind::Channel);
        }
        if flags.contains(NotifyFlags::KEYEVENT) {
            let channel = name(b"__keyevent@", event);
            self.pubsub_publish_message(&channel, key, Kind::Channel);
        }
    }
}
