//! Looking up the addresses of a name where nobody waits for it: a resolver may take half a minute to say that it does not know.
//!
//! Invariants: there are at most [`MOST`] threads that look up, whatever becomes of those who asked; one that is not wanted any
//! more ends when the system answers it. It knows nothing of what the addresses are for.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use crate::base::sys;

/// Names that are looked up at once, at the most.
const MOST: usize = 8;

/// The addresses of a name, or why there are none.
pub(crate) type Addresses = io::Result<Vec<SocketAddr>>;

/// Looks names up.
#[derive(Default)]
pub(crate) struct Resolver {
    at_work: Arc<AtomicUsize>,
}

/// A name that is being looked up. Dropped, it is forgotten.
pub(crate) struct Lookup {
    answer: Receiver<Addresses>,
}

impl Lookup {
    /// The answer, once it is there.
    pub(crate) fn answer(&self) -> Option<Addresses> {
        match self.answer.try_recv() {
            Ok(found) => Some(found),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(io::ErrorKind::Other.into())),
        }
    }
}

/// The address that needs no looking up.
pub(crate) fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let ip: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

impl Resolver {
    /// Begins to look a name up; `done` is called by another thread when there is an answer.
    ///
    /// # Errors
    /// Too many names are being looked up, or there is no thread to be had.
    pub(crate) fn look_up(
        &self,
        host: &str,
        port: u16,
        done: impl FnOnce() + Send + 'static,
    ) -> io::Result<Lookup> {
        struct Seat(Arc<AtomicUsize>);
        impl Drop for Seat {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
        let seat = Seat(self.at_work.clone());
        if self.at_work.fetch_add(1, Ordering::AcqRel) >= MOST {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "too many names are being looked up",
            ));
        }
        let (to, answer) = channel();
        let host = host.to_owned();
        std::thread::Builder::new()
            .name("bio_resolve".into())
            .spawn(move || {
                sys::block_signals();
                let found = (host.as_str(), port).to_socket_addrs();
                // Whoever asked may not want to know any more.
                let _ = to.send(found.map(Iterator::collect));
                drop(seat);
                done();
            })?;
        Ok(Lookup { answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn names_are_looked_up_elsewhere() {
        assert_eq!(literal("::1", 7).map(|a| a.port()), Some(7));
        assert_eq!(literal("localhost", 7), None);
        let resolver = Resolver::default();
        let (to, told) = channel();
        let l = resolver
            .look_up("localhost", 7, move || {
                let _ = to.send(());
            })
            .expect("a thread");
        told.recv_timeout(Duration::from_secs(60))
            .expect("an answer");
        let found = l.answer().expect("it is there").expect("addresses");
        assert!(found.iter().all(|a| a.port() == 7 && a.ip().is_loopback()));
        let end = Instant::now() + Duration::from_secs(60);
        while resolver.at_work.load(Ordering::Acquire) > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(resolver.at_work.load(Ordering::Acquire), 0);
    }

    #[test]
    fn there_are_not_too_many_at_once() {
        let resolver = Resolver::default();
        resolver.at_work.store(MOST, Ordering::Release);
        assert!(resolver.look_up("localhost", 7, || {}).is_err());
        assert_eq!(resolver.at_work.load(Ordering::Acquire), MOST);
    }
}
