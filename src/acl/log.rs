//! The security log: what was denied, to whom, how often, newest first.
//!
//! Invariant: of entries that are alike there is one, as long as it is among the newest and not older than a minute.

use std::collections::VecDeque;

/// How long alike entries are one, in ms (ACL_LOG_GROUPING_MAX_TIME_DELTA).
const GROUPING_MAX_TIME_DELTA: i64 = 60_000;
/// How many of the newest entries are compared.
const COMPARED: usize = 10;

/// Why something was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Command,
    Key,
    Channel,
    Auth,
    Database,
    TlsCert,
}

impl Reason {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
            Reason::Auth => "auth",
            Reason::Database => "database",
            Reason::TlsCert => "tls-cert",
        }
    }
}

/// Where it was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Context {
    Toplevel,
    Multi,
    Lua,
}

impl Context {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Context::Toplevel => "toplevel",
            Context::Multi => "multi",
            Context::Lua => "lua",
        }
    }
}

/// What was denied, once or several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AclLogEntry {
    pub count: u64,
    pub reason: Reason,
    pub context: Context,
    /// The command, key, channel or number of a database.
    pub object: Box<[u8]>,
    pub username: Box<[u8]>,
    /// The client that asked last, as CLIENT LIST shows it.
    pub client_info: String,
    pub entry_id: u64,
    /// Unix ms.
    pub timestamp_created: i64,
    /// Unix ms.
    pub timestamp_last_updated: i64,
}

impl AclLogEntry {
    /// ACLLogMatchEntry.
    fn is_like(&self, other: &AclLogEntry) -> bool {
        self.reason == other.reason
            && self.context == other.context
            && (self.timestamp_last_updated).abs_diff(other.timestamp_last_updated)
                <= GROUPING_MAX_TIME_DELTA.unsigned_abs()
            && self.object == other.object
            && self.username == other.username
    }
}

/// The log.
#[derive(Default)]
pub(crate) struct AclLog {
    entries: VecDeque<AclLogEntry>,
    /// Entries there have been.
    created: u64,
}

impl AclLog {
    /// Newest first.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &AclLogEntry> {
        self.entries.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Adds an entry, or counts it with one that is like it; at most `most` are kept. Its id is given here. True: it is like none.
    pub(crate) fn add(&mut self, new: AclLogEntry, most: usize) -> bool {
        let compared = self.entries.iter().take(COMPARED);
        let alike = compared.into_iter().position(|old| old.is_like(&new));
        if let Some(mut old) = alike.and_then(|at| self.entries.remove(at)) {
            old.client_info = new.client_info;
            old.timestamp_last_updated = new.timestamp_last_updated;
            old.count += 1;
            self.entries.push_front(old);
            return false;
        }
        self.entries.push_front(AclLogEntry {
            entry_id: self.created,
            ..new
        });
        self.created += 1;
        self.entries.truncate(most);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(object: &str, at: i64) -> AclLogEntry {
        AclLogEntry {
            count: 1,
            reason: Reason::Key,
            context: Context::Toplevel,
            object: object.as_bytes().into(),
            username: b"u"[..].into(),
            client_info: format!("at {at}"),
            entry_id: 0,
            timestamp_created: at,
            timestamp_last_updated: at,
        }
    }

    fn shown(log: &AclLog) -> Vec<(String, u64, u64)> {
        let show = |e: &AclLogEntry| {
            let object = String::from_utf8_lossy(&e.object).into_owned();
            (object, e.count, e.entry_id)
        };
        log.entries().map(show).collect()
    }

    #[test]
    fn what_is_alike_is_one_for_a_minute() {
        let mut log = AclLog::default();
        for (object, at) in [("a", 0), ("b", 1), ("a", 60_000)] {
            log.add(entry(object, at), 10);
        }
        assert_eq!(shown(&log), [("a".into(), 2, 0), ("b".into(), 1, 1)]);
        let first = log.entries().next().expect("an entry");
        assert_eq!(
            (first.timestamp_created, first.timestamp_last_updated),
            (0, 60_000)
        );
        assert_eq!(first.client_info, "at 60000");
        log.add(entry("a", 120_001), 10);
        assert_eq!(shown(&log)[0], ("a".into(), 1, 2));
        let other = AclLogEntry {
            context: Context::Lua,
            ..entry("a", 120_001)
        };
        log.add(other, 10);
        assert_eq!(shown(&log)[0], ("a".into(), 1, 3));
    }

    #[test]
    fn old_entries_go_and_are_not_looked_at() {
        let mut log = AclLog::default();
        for i in 0..12 {
            log.add(entry(&i.to_string(), 0), 11);
        }
        assert_eq!(log.entries().len(), 11);
        log.add(entry("1", 0), 11);
        assert_eq!(shown(&log)[0], ("1".into(), 1, 12));
        log.add(entry("11", 0), 11);
        assert_eq!(shown(&log)[0], ("11".into(), 2, 11));
        log.add(entry("new", 0), 0);
        assert_eq!(log.entries().len(), 0);
    }
}
