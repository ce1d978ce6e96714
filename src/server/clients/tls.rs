//! A connection over TLS: rustls' state machine between a socket that does not block and who reads and writes.
//!
//! An idle one owns no buffers. What comes is received into a buffer that all share and decrypted into the reader's; only a
//! record that is not whole, and what the reader had no room for, stay with the connection. What goes is encrypted into another
//! shared buffer, many records at a time, and sent at once; only what the socket does not take stays.
//!
//! Invariants: nothing more is encrypted while something encrypted waits for the socket, so that a connection keeps no more
//! than [`OUT_BATCH`] of it; what a peer has sent and is no whole message is bounded by [`PARTIAL_MAX`].
//!
//! Must not know: clients, files of certificates, and the event loop.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus,
};
use rustls::{ClientConfig, Error, ServerConfig};
use socket2::Socket;

/// Plain bytes of a record at the most.
const RECORD: usize = 16 * 1024;
/// What encryption adds to a record at the most, with room to spare.
const RECORD_OVERHEAD: usize = 64;
/// Plain bytes that are encrypted before they are sent.
const OUT_BATCH: usize = 16 * RECORD;
/// Bytes of the buffer for what is sent: a batch, and what the handshake or an alert may still have to say.
const OUT_BYTES: usize = OUT_BATCH + 16 * RECORD_OVERHEAD + 4 * RECORD;
/// Bytes received at a time, at the most and at the least.
const RECEIVE_MAX: usize = 256 * 1024;
const RECEIVE_MIN: usize = 4096;
/// Bytes that are kept of what is no whole record, or no whole message of a handshake: those have 64 KB at the most.
const PARTIAL_MAX: usize = 96 * 1024;
/// Bytes of a file that are read at a time.
const FILE_STEP: usize = OUT_BATCH;

/// Buffers that all connections share.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    input: RefCell<Vec<u8>>,
    output: RefCell<Vec<u8>>,
    gather: RefCell<Vec<u8>>,
    file: RefCell<Vec<u8>>,
}

/// Takes a shared buffer out; one that is taken already is made anew.
fn take(buf: &RefCell<Vec<u8>>, len: usize) -> Vec<u8> {
    let mut b = std::mem::take(&mut *buf.borrow_mut());
    if b.len() < len {
        b.resize(len, 0);
    }
    b
}

/// One of the two ends.
trait Side {
    type Data;
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
    /// The next word is its own.
    fn has_to_say(&self) -> bool;
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
    fn has_to_say(&self) -> bool {
        self.wants_write()
    }
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
    fn has_to_say(&self) -> bool {
        self.wants_write()
    }
}

enum Session {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

/// Where plain bytes go: the reader's room first, what does not fit is kept.
struct Sink<'a> {
    room: &'a mut [u8],
    filled: usize,
    kept: &'a mut Vec<u8>,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) {
        // In order: once something is kept, all is.
        let n = match self.kept.is_empty() {
            true => bytes.len().min(self.room.len() - self.filled),
            false => 0,
        };
        self.room[self.filled..self.filled + n].copy_from_slice(&bytes[..n]);
        self.filled += n;
        self.kept.extend_from_slice(&bytes[n..]);
    }
}

/// How far [`advance`] came.
#[derive(Default)]
struct Advance {
    /// Bytes that are done with.
    used: usize,
    /// The peer has said that nothing follows.
    ended: bool,
}

fn encode<D>(e: &mut EncodeTlsData<'_, D>, out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + 1024, 0);
    let n = match e.encode(&mut out[at..]) {
        Ok(n) => n,
        Err(EncodeError::InsufficientSize(s)) => {
            out.resize(at + s.required_size, 0);
            e.encode(&mut out[at..]).unwrap_or(0)
        }
        Err(EncodeError::AlreadyEncoded) => 0,
    };
    out.truncate(at + n);
}

/// Runs the state machine over what has come, as far as it goes.
fn advance<S: Side>(
    side: &mut S,
    incoming: &mut [u8],
    sink: &mut Sink<'_>,
    out: &mut Vec<u8>,
) -> Result<Advance, Error> {
    let mut done = Advance::default();
    loop {
        let UnbufferedStatus { mut discard, state } = side.process(&mut incoming[done.used..]);
        let mut rests = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut t)) => {
                while let Some(record) = t.next_record() {
                    let record = record?;
                    discard += record.discard;
                    sink.put(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut e)) => encode(&mut e, out),
            Ok(ConnectionState::TransmitTlsData(t)) => t.done(),
            Ok(ConnectionState::PeerClosed) => done.ended = true,
            Ok(ConnectionState::Closed) => (done.ended, rests) = (true, true),
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                rests = true;
            }
            // Data before the handshake: they are not offered.
            Ok(_) => return Err(Error::HandshakeNotComplete),
            Err(e) => {
                // What the peer is to be told of it.
                let mut used = done.used + discard;
                while side.has_to_say() {
                    let UnbufferedStatus { discard, state } = side.process(&mut incoming[used..]);
                    let Ok(ConnectionState::EncodeTlsData(mut e)) = state else {
                        break;
                    };
                    encode(&mut e, out);
                    used += discard;
                }
                return Err(e);
            }
        }
        done.used += discard;
        if rests {
            return Ok(done);
        }
    }
}

/// Slices that are taken from in order.
struct Source<'a> {
    slices: &'a [&'a [u8]],
    at: usize,
}

impl<'a> Source<'a> {
    /// The plain bytes of the next record: a part of a slice, or small ones put together. Empty at the end.
    fn record<'b>(&mut self, gather: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        while let [first, rest @ ..] = self.slices {
            let left = &first[self.at..];
            if left.is_empty() {
                (self.slices, self.at) = (rest, 0);
                continue;
            }
            if left.len() >= RECORD || rest.is_empty() {
                let n = left.len().min(RECORD);
                self.at += n;
                return &left[..n];
            }
            break;
        }
        gather.clear();
        while let [first, rest @ ..] = self.slices {
            let left = &first[self.at..];
            let n = left.len().min(RECORD - gather.len());
            gather.extend_from_slice(&left[..n]);
            self.at += n;
            if gather.len() == RECORD {
                break;
            }
            (self.slices, self.at) = (rest, 0);
        }
        gather
    }
}

/// Encrypts records until the batch or the source is at its end. Returns the plain bytes that went, and the encrypted ones.
fn encrypt<S: Side>(
    side: &mut S,
    partial: &mut [u8],
    source: &mut Source<'_>,
    gather: &mut Vec<u8>,
    out: &mut [u8],
) -> io::Result<(usize, usize)> {
    let (mut plain, mut filled) = (0, 0);
    loop {
        match side.process(partial).state {
            Ok(ConnectionState::WriteTraffic(mut w)) => {
                while plain < OUT_BATCH {
                    let record = source.record(gather);
                    if record.is_empty() {
                        break;
                    }
                    filled +=
                        w.encrypt(record, &mut out[filled..])
                            .map_err(|e: EncryptError| {
                                io::Error::new(ErrorKind::BrokenPipe, e.to_string())
                            })?;
                    plain += record.len();
                }
                return Ok((plain, filled));
            }
            Ok(ConnectionState::EncodeTlsData(mut e)) => {
                filled += e
                    .encode(&mut out[filled..])
                    .map_err(|e| io::Error::new(ErrorKind::BrokenPipe, e.to_string()))?;
            }
            Ok(ConnectionState::TransmitTlsData(t)) => t.done(),
            Ok(ConnectionState::PeerClosed) => {}
            Ok(_) => return Err(ErrorKind::BrokenPipe.into()),
            Err(e) => return Err(failure(e)),
        }
    }
}

fn failure(e: Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, e)
}

struct State {
    session: Session,
    scratch: Rc<Scratch>,
    /// What has come of a message that is not whole.
    partial: Vec<u8>,
    /// Decrypted and not read yet, from `plain_at` on.
    plain: Vec<u8>,
    plain_at: usize,
    /// Encrypted and not sent yet, from `out_at` on.
    out: Vec<u8>,
    out_at: usize,
    handshaking: bool,
    /// The last time the socket gave all that it was asked for.
    more: bool,
    /// Nothing more comes: the peer said so, or closed.
    ended: bool,
    /// Why it has ended, to be told by the next read.
    failed: Option<io::Error>,
    /// It has failed: the state machine is not to be run any more, which would look for bytes that are gone.
    dead: bool,
    /// The peer was told that nothing follows.
    closed: bool,
}

impl State {
    fn new(session: Session, scratch: Rc<Scratch>) -> State {
        State {
            session,
            scratch,
            partial: Vec::new(),
            plain: Vec::new(),
            plain_at: 0,
            out: Vec::new(),
            out_at: 0,
            handshaking: true,
            more: false,
            ended: false,
            failed: None,
            dead: false,
            closed: false,
        }
    }

    /// Runs the state machine over `incoming`, keeps what is not whole; returns the plain bytes in `room`.
    fn process(&mut self, incoming: &mut [u8], room: &mut [u8]) -> io::Result<usize> {
        let mut sink = Sink {
            room,
            filled: 0,
            kept: &mut self.plain,
        };
        let advanced = match &mut self.session {
            Session::Server(c) => advance(&mut **c, incoming, &mut sink, &mut self.out),
            Session::Client(c) => advance(&mut **c, incoming, &mut sink, &mut self.out),
        };
        let n = sink.filled;
        let done = match advanced {
            Ok(done) => done,
            Err(e) => {
                (self.ended, self.dead) = (true, true);
                self.partial = Vec::new();
                if self.handshaking && matches!(e, Error::InvalidMessage(_)) {
                    // What is no TLS does not understand an alert.
                    self.out.clear();
                }
                self.failed = Some(failure(e));
                return Ok(n);
            }
        };
        self.ended |= done.ended;
        let left = incoming.get(done.used..).unwrap_or_default();
        if left.is_empty() {
            self.partial = Vec::new();
        } else if left.len() > PARTIAL_MAX {
            (self.ended, self.dead) = (true, true);
            self.failed = Some(failure(Error::General("a message is too long".into())));
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(left);
        }
        self.handshaking = match &self.session {
            Session::Server(c) => c.is_handshaking(),
            Session::Client(c) => c.is_handshaking(),
        };
        Ok(n)
    }

    /// Receives once; returns the plain bytes that are in `room` then. What has failed, or ended, is in its field.
    fn receive(&mut self, mut socket: &Socket, room: &mut [u8]) -> io::Result<usize> {
        let scratch = self.scratch.clone();
        let mut buf = take(&scratch.input, RECEIVE_MAX + PARTIAL_MAX);
        let have = self.partial.len();
        buf[..have].copy_from_slice(&self.partial);
        let most = (room.len() + room.len() / 64 + RECORD_OVERHEAD).clamp(RECEIVE_MIN, RECEIVE_MAX);
        let got = socket.read(&mut buf[have..have + most]);
        let result = match got {
            Ok(0) => {
                self.more = false;
                self.ended = true;
                Ok(0)
            }
            Ok(n) => {
                self.more = n == most;
                self.process(&mut buf[..have + n], room)
            }
            Err(e) => {
                self.more = false;
                Err(e)
            }
        };
        *scratch.input.borrow_mut() = buf;
        result
    }

    /// Sends what is encrypted; `WouldBlock`: something is left.
    fn flush(&mut self, mut socket: &Socket) -> io::Result<()> {
        while self.out_at < self.out.len() {
            match socket.write(&self.out[self.out_at..]) {
                Ok(n) => self.out_at += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if !self.out.is_empty() {
            (self.out, self.out_at) = (Vec::new(), 0);
        }
        Ok(())
    }

    fn take_plain(&mut self, room: &mut [u8]) -> usize {
        let left = &self.plain[self.plain_at..];
        let n = left.len().min(room.len());
        room[..n].copy_from_slice(&left[..n]);
        self.plain_at += n;
        if self.plain_at == self.plain.len() && n > 0 {
            (self.plain, self.plain_at) = (Vec::new(), 0);
        }
        n
    }

    fn has_plain(&self) -> bool {
        self.plain_at < self.plain.len()
    }

    fn read(&mut self, socket: &Socket, room: &mut [u8]) -> io::Result<usize> {
        let mut n = self.take_plain(room);
        let result = loop {
            if n > 0 || room.is_empty() {
                break Ok(n);
            }
            if self.ended {
                break match self.failed.take() {
                    Some(e) => Err(e),
                    None => Ok(0),
                };
            }
            match self.receive(socket, room) {
                Ok(read) => n = read,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
            if n == 0 && !self.more && !self.ended {
                break Err(ErrorKind::WouldBlock.into());
            }
        };
        if !self.out.is_empty() {
            // An answer to the peer's TLS, or an alert; what does not fit goes with the next write.
            let _ = self.flush(socket);
        }
        result
    }

    fn write(&mut self, mut socket: &Socket, slices: &[&[u8]]) -> io::Result<usize> {
        self.flush(socket)?;
        if self.dead || self.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let scratch = self.scratch.clone();
        let mut buf = take(&scratch.output, OUT_BYTES);
        let mut gather = std::mem::take(&mut *scratch.gather.borrow_mut());
        let mut source = Source { slices, at: 0 };
        let mut taken = 0;
        let result = loop {
            let partial = &mut self.partial;
            let encrypted = match &mut self.session {
                Session::Server(c) => {
                    encrypt(&mut **c, partial, &mut source, &mut gather, &mut buf)
                }
                Session::Client(c) => {
                    encrypt(&mut **c, partial, &mut source, &mut gather, &mut buf)
                }
            };
            let (plain, filled) = match encrypted {
                Ok((0, 0)) => break Ok(taken),
                Ok(n) => n,
                Err(e) => {
                    self.dead = true;
                    break Err(e);
                }
            };
            taken += plain;
            let sent = match socket.write(&buf[..filled]) {
                Ok(n) => n,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
                Err(e) => break Err(e),
            };
            if sent < filled {
                self.out.extend_from_slice(&buf[sent..filled]);
                break Ok(taken);
            }
            if plain < OUT_BATCH {
                break Ok(taken);
            }
        };
        *scratch.output.borrow_mut() = buf;
        *scratch.gather.borrow_mut() = gather;
        result
    }
}

/// See the head of the file.
pub(crate) struct TlsConnection {
    socket: Socket,
    state: RefCell<State>,
}

impl TlsConnection {
    /// The server's end of a socket that was accepted.
    ///
    /// # Errors
    /// rustls'.
    pub(crate) fn accept(
        socket: Socket,
        config: Arc<ServerConfig>,
        scratch: Rc<Scratch>,
    ) -> Result<TlsConnection, Error> {
        let session = Session::Server(Box::new(UnbufferedServerConnection::new(config)?));
        Ok(TlsConnection {
            socket,
            state: RefCell::new(State::new(session, scratch)),
        })
    }

    /// The client's end of a socket that connects. The peer's name is not looked at.
    ///
    /// # Errors
    /// rustls'.
    pub(crate) fn connect(
        socket: Socket,
        config: Arc<ClientConfig>,
        scratch: Rc<Scratch>,
    ) -> Result<TlsConnection, Error> {
        let name = ServerName::IpAddress(std::net::IpAddr::from([0, 0, 0, 0]).into());
        let session = Session::Client(Box::new(UnbufferedClientConnection::new(config, name)?));
        Ok(TlsConnection {
            socket,
            state: RefCell::new(State::new(session, scratch)),
        })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.state.borrow().handshaking
    }

    /// See [`super::connection::Connection::has_unread`].
    pub(crate) fn has_unread(&self) -> bool {
        let s = self.state.borrow();
        s.more || s.ended || s.has_plain()
    }

    /// See [`super::connection::Connection::has_unsent`].
    pub(crate) fn has_unsent(&self) -> bool {
        !self.state.borrow().out.is_empty()
    }

    /// Goes on with the handshake as far as the socket allows. True when it is done; else it goes on when the socket is
    /// readable, or, while something is unsent, writable.
    ///
    /// # Errors
    /// The peer's TLS is not what it must be, or the connection is gone: it has failed.
    pub(crate) fn handshake(&self) -> io::Result<bool> {
        let s = &mut *self.state.borrow_mut();
        if s.partial.is_empty() && !s.dead {
            // The first word of a client.
            s.process(&mut [], &mut [])?;
        }
        loop {
            match s.flush(&self.socket) {
                Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(e),
                _ => {}
            }
            if let Some(e) = s.failed.take() {
                return Err(e);
            }
            if !s.handshaking {
                return Ok(true);
            }
            if s.ended {
                return Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "Connection closed by peer during the TLS handshake",
                ));
            }
            match s.receive(&self.socket, &mut []) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    pub(crate) fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        self.state.borrow_mut().read(&self.socket, room)
    }

    /// Writes some slices as one; see the head of `connection` for what that means.
    pub(crate) fn write(&self, slices: &[&[u8]]) -> io::Result<usize> {
        self.state.borrow_mut().write(&self.socket, slices)
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.state.borrow_mut().flush(&self.socket)
    }

    /// See [`super::connection::Connection::send_file`].
    pub(crate) fn send_file(&self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
        let s = &mut *self.state.borrow_mut();
        s.flush(&self.socket)?;
        let scratch = s.scratch.clone();
        let mut buf = take(&scratch.file, FILE_STEP);
        let mut sent = 0;
        let result = loop {
            let want = (count - sent).min(FILE_STEP);
            if want == 0 || !s.out.is_empty() {
                break Ok(sent);
            }
            let n = match file.read_at(&mut buf[..want], offset + sent as u64) {
                Ok(0) => break Ok(sent),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => break Err(e),
            };
            match s.write(&self.socket, &[&buf[..n]]) {
                Ok(n) => sent += n,
                Err(e) => break Err(e),
            }
        };
        *scratch.file.borrow_mut() = buf;
        result
    }

    /// Tells the peer that nothing follows; once, and without waiting.
    pub(crate) fn send_close_notify(&self) {
        let s = &mut *self.state.borrow_mut();
        if s.closed || s.handshaking || s.dead {
            return;
        }
        s.closed = true;
        let mut alert = [0; 256];
        let partial = &mut s.partial;
        let n = match &mut s.session {
            Session::Server(c) => close_notify(&mut **c, partial, &mut alert),
            Session::Client(c) => close_notify(&mut **c, partial, &mut alert),
        };
        s.out.extend_from_slice(&alert[..n]);
        let _ = s.flush(&self.socket);
    }

    /// The certificate that the peer has shown, if it was asked for one.
    pub(crate) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        let s = self.state.borrow();
        let shown = match &s.session {
            Session::Server(c) => c.peer_certificates(),
            Session::Client(c) => c.peer_certificates(),
        };
        shown?.first().map(|c| c.clone().into_owned())
    }
}

fn close_notify<S: Side>(side: &mut S, partial: &mut [u8], out: &mut [u8]) -> usize {
    match side.process(partial).state {
        Ok(ConnectionState::WriteTraffic(mut w)) => w.queue_close_notify(out).unwrap_or(0),
        _ => 0,
    }
}
