//! Sessions that clients may come back to: as many as are configured, for as long.
//!
//! A session holds what its client has shown of certificates: another set of certificates or authorities has another store.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustls::server::StoresServerSessions;

/// Sessions kept where the configuration knows no limit.
const SESSIONS_MAX: usize = 1 << 20;
/// Bytes of all sessions, and of one: how many certificates it holds is the client's to choose.
const BYTES_MAX: usize = 16 << 20;
const SESSION_BYTES_MAX: usize = 8 << 10;

#[derive(Debug, Default)]
struct Kept {
    sessions: HashMap<Vec<u8>, (Instant, Vec<u8>)>,
    /// In the order in which they came; some are gone already.
    order: VecDeque<(Instant, Vec<u8>)>,
    /// Of the sessions that there are, keys counted.
    bytes: usize,
}

impl Kept {
    /// Forgets what is too old, and the oldest where there are too many.
    fn trim(&mut self, now: Instant, timeout: Duration, most: usize) {
        while let Some((since, key)) = self.order.front() {
            let old = now.duration_since(*since) > timeout;
            let gone = self.sessions.get(key).is_none_or(|(s, _)| s != since);
            if !old && !gone && self.order.len() <= most && self.bytes <= BYTES_MAX {
                break;
            }
            let Some((_, key)) = self.order.pop_front() else {
                break;
            };
            if !gone {
                self.remove(&key);
            }
        }
    }

    fn remove(&mut self, key: &[u8]) -> Option<(Instant, Vec<u8>)> {
        let session = self.sessions.remove(key)?;
        self.bytes -= key.len() + session.1.len();
        Some(session)
    }
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct SessionCache {
    kept: Mutex<Kept>,
    most: usize,
    timeout: Duration,
}

impl SessionCache {
    /// `most` sessions (0: very many), each for `timeout_s` seconds.
    pub(super) fn new(most: i32, timeout_s: i32) -> SessionCache {
        let most = usize::try_from(most).unwrap_or(0);
        SessionCache {
            kept: Mutex::default(),
            most: match most {
                0 => SESSIONS_MAX,
                n => n.min(SESSIONS_MAX),
            },
            timeout: Duration::from_secs(u64::from(timeout_s.unsigned_abs())),
        }
    }
}

impl StoresServerSessions for SessionCache {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let now = Instant::now();
        let Ok(mut kept) = self.kept.lock() else {
            return false;
        };
        if key.len() + value.len() > SESSION_BYTES_MAX {
            return false;
        }
        kept.remove(&key);
        kept.bytes += key.len() + value.len();
        kept.order.push_back((now, key.clone()));
        kept.sessions.insert(key, (now, value));
        kept.trim(now, self.timeout, self.most);
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let kept = self.kept.lock().ok()?;
        let (since, value) = kept.sessions.get(key)?;
        (since.elapsed() <= self.timeout).then(|| value.clone())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut kept = self.kept.lock().ok()?;
        let (since, value) = kept.remove(key)?;
        (since.elapsed() <= self.timeout).then_some(value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_a_ticket_is_taken_once() {
        let c = SessionCache::new(2, 300);
        for k in [b"a", b"b", b"c"] {
            assert!(c.put(k.to_vec(), k.to_vec()));
        }
        assert_eq!(c.get(b"a"), None);
        assert_eq!(c.take(b"b"), Some(b"b".to_vec()));
        assert_eq!(c.take(b"b"), None);
        assert_eq!(c.get(b"c"), Some(b"c".to_vec()));
    }

    #[test]
    fn bytes_are_bounded() {
        let c = SessionCache::new(0, 300);
        assert!(!c.put(vec![0; 32], vec![0; SESSION_BYTES_MAX]));
        for i in 0..10_000u32 {
            let key = i.to_be_bytes().to_vec();
            assert!(c.put(key.clone(), vec![0; 4000]));
            if i % 3 == 0 {
                assert!(c.take(&key).is_some());
            }
            assert!(c.put(b"same".to_vec(), vec![0; 4000]));
        }
        let kept = c.kept.lock().unwrap();
        let bytes = kept.sessions.iter().map(|(k, (_, v))| k.len() + v.len());
        assert_eq!(kept.bytes, bytes.sum::<usize>());
        assert!(kept.bytes <= BYTES_MAX && kept.sessions.len() > 3000);
    }

    #[test]
    fn a_session_ends_in_time() {
        let c = SessionCache::new(0, 0);
        assert!(c.put(b"a".to_vec(), b"1".to_vec()));
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(c.get(b"a"), None);
        assert!(c.put(b"b".to_vec(), b"2".to_vec()));
        let kept = c.kept.lock().unwrap();
        assert_eq!((kept.sessions.len(), kept.order.len()), (1, 1));
    }
}
