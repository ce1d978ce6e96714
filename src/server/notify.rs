//! Keyspace notifications (notify.c): what happens to keys, published to two channels for each event.
//!
//! The classes are the letters of `notify-keyspace-events`; their string form is in `config::value`. An event costs one
//! test of a word when its class is off.

use crate::config::value::NotifyFlags;
use crate::server::Server;

/// Commands of any type.
pub const NOTIFY_GENERIC: u32 = NotifyFlags::GENERIC as u32;
pub const NOTIFY_STRING: u32 = NotifyFlags::STRING as u32;
pub const NOTIFY_LIST: u32 = NotifyFlags::LIST as u32;
pub const NOTIFY_SET: u32 = NotifyFlags::SET as u32;
pub const NOTIFY_HASH: u32 = NotifyFlags::HASH as u32;
pub const NOTIFY_ZSET: u32 = NotifyFlags::ZSET as u32;
pub const NOTIFY_STREAM: u32 = NotifyFlags::STREAM as u32;
pub const NOTIFY_EXPIRED: u32 = NotifyFlags::EXPIRED as u32;
pub const NOTIFY_EVICTED: u32 = NotifyFlags::EVICTED as u32;
pub const NOTIFY_KEY_MISS: u32 = NotifyFlags::KEY_MISS as u32;
pub const NOTIFY_NEW: u32 = NotifyFlags::NEW as u32;

impl Server {
    /// Tells those who asked for this class of events that `event` happened to `key` (notifyKeyspaceEvent). To be called
    /// after the change, in the order of upstream's calls.
    #[inline]
    pub fn notify_keyspace_event(&mut self, kind: u32, event: &str, key: &[u8], db: usize) {
        if self.config.notify_keyspace_events as u32 & kind != 0 {
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
        if flags & NotifyFlags::KEYSPACE != 0 {
            let channel = name(b"__keyspace@", key);
            self.pubsub_publish_message(&channel, event, false);
        }
        if flags & NotifyFlags::KEYEVENT != 0 {
            let channel = name(b"__keyevent@", event);
            self.pubsub_publish_message(&channel, key, false);
        }
    }
}
