//! Two ends over a narrow pair of sockets, each driven by edges as the event loop has them.

use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use socket2::{Domain, Socket, Type};

use super::*;
use crate::server::clients::connection::Connection;

/// A certificate and its key, for a hundred years.
const PEM: &[u8] = include_bytes!("../../../tests/assets/tls.pem");

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

fn server_config() -> Arc<ServerConfig> {
    let cert = CertificateDer::from_pem_slice(PEM).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(PEM).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert], key);
    Arc::new(config.expect("a configuration"))
}

fn client_config(tls12: bool) -> Arc<ClientConfig> {
    let versions: &[&rustls::SupportedProtocolVersion] = match tls12 {
        true => &[&rustls::version::TLS12],
        false => &[&rustls::version::TLS13],
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    Arc::new(config)
}

fn socket_pair() -> (Socket, Socket) {
    let (a, b) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("sockets");
    for s in [&a, &b] {
        s.set_nonblocking(true).expect("nonblocking");
        s.set_send_buffer_size(8 * 1024).expect("a size");
    }
    (a, b)
}

/// Both ends, their handshake done.
fn pair(tls12: bool) -> (Connection, Connection) {
    let (a, b) = socket_pair();
    let scratch = Rc::new(Scratch::default());
    let a = TlsConnection::accept(a, server_config(), scratch.clone()).expect("a server");
    let b = TlsConnection::connect(b, client_config(tls12), scratch).expect("a client");
    let (mut a_done, mut b_done) = (false, false);
    for _ in 0..10_000 {
        b_done = b_done || b.handshake().expect("the client's handshake");
        a_done = a_done || a.handshake().expect("the server's handshake");
        if a_done && b_done {
            return (Connection::Tls(Rc::new(a)), Connection::Tls(Rc::new(b)));
        }
    }
    panic!("the handshake does not end");
}

/// One end: what it has to send, and how much of it was taken; what has come.
struct End {
    conn: Connection,
    to_send: Vec<u8>,
    taken: usize,
    got: Vec<u8>,
    /// As the slot of the event loop has them.
    readable: bool,
    writable: bool,
}

impl End {
    fn new(conn: Connection, to_send: Vec<u8>) -> End {
        End {
            conn,
            to_send,
            taken: 0,
            got: Vec::new(),
            readable: true,
            writable: true,
        }
    }

    fn state(&self) -> String {
        let socket = self.conn.socket();
        format!(
            "taken {} got {} readable {} writable {} unsent {} unread {} in the socket {} room {}",
            self.taken,
            self.got.len(),
            self.readable,
            self.writable,
            self.conn.has_unsent(),
            self.conn.has_unread(),
            unread(socket),
            has_room(socket)
        )
    }

    fn write(&mut self, most: usize, split: usize) {
        if !self.writable {
            return;
        }
        if self.conn.has_unsent() && (&self.conn).flush().is_err() {
            self.writable = false;
            return;
        }
        let bytes = &self.to_send[self.taken..];
        let bytes = &bytes[..bytes.len().min(most)];
        if bytes.is_empty() {
            return;
        }
        let (one, two) = bytes.split_at(split % (bytes.len() + 1));
        match self.conn.write_slices(&[one, two]) {
            Ok(n) => {
                self.taken += n;
                if n < bytes.len() || self.conn.has_unsent() {
                    self.writable = false;
                }
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::WouldBlock);
                self.writable = false;
            }
        }
    }

    fn read(&mut self, room: usize) {
        if !self.readable {
            return;
        }
        let mut buf = vec![0; room];
        match (&self.conn).read(&mut buf) {
            Ok(n) => {
                assert!(n > 0, "an end without an end");
                self.got.extend_from_slice(&buf[..n]);
                if n < room && !self.conn.has_unread() {
                    self.readable = false;
                }
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::WouldBlock);
                assert!(!self.conn.has_unread());
                self.readable = false;
            }
        }
    }
}

/// The kernel's edges: a socket that has become readable, or has got room.
fn edges(end: &mut End, received_before: usize, room_before: bool) {
    let fd = end.conn.socket();
    if unread(fd) > received_before {
        end.readable = true;
    }
    if !room_before && has_room(fd) {
        end.writable = true;
    }
}

fn unread(s: &Socket) -> usize {
    crate::base::sys::unread_bytes(std::os::fd::AsRawFd::as_raw_fd(s))
}

fn has_room(s: &Socket) -> bool {
    crate::base::sys::is_writable(std::os::fd::AsRawFd::as_raw_fd(s))
}

fn bytes(n: usize, seed: u8) -> Vec<u8> {
    (0..n).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the sizes, all that one end sends comes to the other by edges alone, in order, and nothing waits for ever.
    #[test]
    fn all_of_it_comes(
        tls12: bool,
        sizes in (0usize..300_000, 0usize..300_000),
        steps in proptest::collection::vec((0u8..4, 700usize..70_000, 0usize..70_000), 1..200),
    ) {
        let (a, b) = pair(tls12);
        let mut ends = [End::new(a, bytes(sizes.0, 1)), End::new(b, bytes(sizes.1, 2))];
        let want = [ends[1].to_send.clone(), ends[0].to_send.clone()];
        let (mut turns, mut moved, mut last) = (0, 0, 0);
        let mut all = steps.iter().cycle();
        while (0..2).any(|i| ends[i].got.len() < want[i].len()) {
            turns += 1;
            let sum = ends.iter().map(|e| e.taken + e.got.len()).sum();
            if sum != last {
                (moved, last) = (turns, sum);
            }
            prop_assert!(turns - moved < 400, "nothing moves: {} {}", ends[0].state(), ends[1].state());
            let (what, n, split) = *all.next().expect("a cycle");
            // All four, in any order, so that none starves.
            for k in 0..4 {
                let op = (usize::from(what) + k) % 4;
                let of = |e: &End| (unread(e.conn.socket()), has_room(e.conn.socket()));
                let before = [of(&ends[0]), of(&ends[1])];
                match op {
                    0 => ends[0].write(n, split),
                    1 => ends[1].read(n),
                    2 => ends[1].write(n, split),
                    _ => ends[0].read(n),
                }
                for (e, (received, room)) in ends.iter_mut().zip(before) {
                    edges(e, received, room);
                }
            }
        }
        for i in 0..2 {
            prop_assert!(ends[i].got == want[i]);
        }
    }

    /// What is no TLS ends a handshake with an error, never with more memory or a panic.
    #[test]
    fn rubbish_is_refused(mut rubbish in proptest::collection::vec(any::<u8>(), 1..3000), as_record: bool, as_client: bool) {
        if as_record && rubbish.len() > 5 {
            let len = (rubbish.len() - 5) as u16;
            rubbish[..3].copy_from_slice(&[0x16, 3, 3]);
            rubbish[3..5].copy_from_slice(&len.to_be_bytes());
        }
        let (a, b) = socket_pair();
        let scratch = Rc::new(Scratch::default());
        let conn = match as_client {
            true => TlsConnection::connect(a, client_config(false), scratch),
            false => TlsConnection::accept(a, server_config(), scratch),
        };
        let conn = conn.expect("an end");
        let _ = conn.handshake();
        (&b).write_all(&rubbish).expect("room");
        drop(b);
        for _ in 0..10 {
            if conn.handshake().is_err() {
                break;
            }
        }
        prop_assert!(conn.handshake().is_err() && conn.is_handshaking());
        conn.send_close_notify();
        prop_assert!(conn.write(&[b"x"]).is_err());
    }

    /// What comes in the midst of a connection that is not what it must be ends it.
    #[test]
    fn damage_is_noticed(flip in 0usize..1_000, n in 1usize..20_000) {
        let (a, b) = pair(false);
        let _ = (&a).write(&bytes(n, 3)).expect("taken");
        // The record is damaged on its way.
        let mut on_the_way = vec![0; 300_000];
        let got = { b.socket() }.read(&mut on_the_way).expect("a record");
        on_the_way[flip % got] ^= 1;
        let fake = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("sockets");
        (&fake.0).write_all(&on_the_way[..got]).expect("room");
        drop(fake.0);
        fake.1.set_nonblocking(true).expect("nonblocking");
        let Connection::Tls(b) = b else { unreachable!() };
        let b = Rc::try_unwrap(b).ok().expect("one owner");
        let b = TlsConnection { socket: fake.1, state: b.state };
        let mut room = vec![0; 30_000];
        let mut came = Vec::new();
        let end = loop {
            match b.read(&mut room) {
                Ok(0) => break None,
                Ok(n) => came.extend_from_slice(&room[..n]),
                Err(e) => break Some(e),
            }
        };
        // The first byte of a record says nothing that its seal does not say, a longer one never ends, all else is noticed: what
        // comes is never something else.
        prop_assert!(bytes(n, 3).starts_with(&came), "{} of {n}", came.len());
        let after = b.write(&[b"x"]);
        prop_assert!(after.is_err() || end.is_none(), "{end:?} {after:?}");
    }
}

#[test]
fn an_idle_connection_keeps_no_buffers() {
    let (a, b) = pair(false);
    let sent = bytes(100_000, 4);
    let (mut a, mut b) = (End::new(a, sent.clone()), End::new(b, Vec::new()));
    while b.got.len() < sent.len() {
        (a.writable, b.readable) = (true, true);
        a.write(50_000, 0);
        b.read(16 * 1024);
    }
    assert!(b.got == sent);
    for end in [&a, &b] {
        let s = end.conn.tls().expect("TLS").state.borrow();
        let kept = [s.partial.capacity(), s.plain.capacity(), s.out.capacity()];
        assert_eq!(kept, [0; 3]);
    }
}
