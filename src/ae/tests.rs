//! Tests of the reactor with a toy host over real sockets and pipes. No clock decides a test: a wait that should not be
//! one ends in [`WATCHDOG_MS`], by a panic.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::time_event::TimeProc;
use super::*;

/// A turn that waits for nothing is ended by a timer that panics.
const WATCHDOG_MS: u64 = 20_000;

/// With TIME for the watchdog's sake.
const POLL_ONCE: Flags = Flags(Flags::ALL.0 | Flags::DONT_WAIT.0);

struct Conn {
    /// None once the test has closed it.
    io: Option<File>,
    id: FileId,
    got: Vec<u8>,
    eof: bool,
    error: Option<ErrorKind>,
}

struct Toy {
    el: EventLoop<Toy>,
    /// The index is the handlers' client data.
    conns: Vec<Conn>,
    /// What was called, and with which client data.
    log: Vec<(&'static str, u64)>,
    /// What a read asks for, bytes.
    chunk: usize,
    /// Other ends that a test wants to stay open.
    kept: Vec<OwnedFd>,
    /// Nesting of turns: `flags[depth]` are those of the next inner one, while there are any.
    depth: usize,
    flags: Vec<Flags>,
    before: Vec<usize>,
    after: Vec<usize>,
    timers: Vec<TimeId>,
}

impl Host for Toy {
    fn event_loop(&mut self) -> &mut EventLoop<Toy> {
        &mut self.el
    }
    fn before_sleep(&mut self) {
        self.before.push(self.depth);
    }
    fn after_sleep(&mut self) {
        self.after.push(self.depth);
    }
}

fn watchdog(_: &mut Toy, _: TimeId) -> Next {
    panic!("the loop waited for something that does not come");
}

impl Toy {
    fn new() -> Toy {
        Toy::with_capacity(64)
    }

    fn with_capacity(events: usize) -> Toy {
        let mut el = EventLoop::new(events).unwrap();
        el.create_time_event(WATCHDOG_MS, watchdog);
        Toy {
            el,
            conns: Vec::new(),
            log: Vec::new(),
            chunk: 4096,
            kept: Vec::new(),
            depth: 0,
            flags: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            timers: Vec::new(),
        }
    }

    /// Registers a descriptor that does not block.
    fn add(&mut self, fd: impl Into<OwnedFd>) -> u64 {
        let io = File::from(fd.into());
        let id = self.el.add_file(io.as_raw_fd()).unwrap();
        self.conns.push(Conn {
            io: Some(io),
            id,
            got: Vec::new(),
            eof: false,
            error: None,
        });
        self.conns.len() as u64 - 1
    }

    /// Registers one end of a pair; the other, which blocks, is the peer.
    fn pair(&mut self) -> (u64, UnixStream) {
        let (ours, peer) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (self.add(ours), peer)
    }

    /// As [`Toy::pair`], over TCP.
    fn tcp_pair(&mut self) -> (u64, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        (self.add(ours), peer)
    }

    fn conn(&mut self, c: u64) -> &mut Conn {
        &mut self.conns[c as usize]
    }

    fn on(&mut self, c: u64, mask: Mask, handler: FileProc<Toy>) {
        let id = self.conn(c).id;
        self.el.create_file_event(id, mask, handler, c);
    }

    fn off(&mut self, c: u64, mask: Mask) {
        let id = self.conn(c).id;
        self.el.delete_file_event(id, mask);
    }

    fn clear(&mut self, c: u64, mask: Mask) {
        let id = self.conn(c).id;
        self.el.clear_ready(id, mask);
    }

    fn remove(&mut self, c: u64) {
        let id = self.conn(c).id;
        self.el.remove_file(id);
    }

    fn turn(&mut self) -> usize {
        let processed = process_events(self, Flags::ALL);
        self.el.check_queue();
        processed
    }

    fn poll_once(&mut self) -> usize {
        let processed = process_events(self, POLL_ONCE);
        self.el.check_queue();
        processed
    }

    /// Takes the edges that the kernel holds now; no handler may be ready.
    fn settle(&mut self) {
        assert_eq!(self.poll_once(), 0);
        assert!(self.el.ready.is_empty());
    }

    fn until(&mut self, done: impl Fn(&Toy) -> bool) {
        while !done(self) {
            self.turn();
        }
    }

    fn log(&mut self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut self.log)
    }

    /// Writes until the kernel takes no more, as an owner that sees a short write does.
    fn fill(&mut self, c: u64) -> usize {
        let mut sent = 0;
        let block = [b'x'; 65536];
        loop {
            match self.conn(c).io.as_mut().unwrap().write(&block) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => panic!("write: {e}"),
            }
        }
        self.clear(c, Mask::WRITABLE);
        sent
    }
}

/// Reads once, up to `chunk` bytes, by the reactor's rules; at the end or an error drops the registration.
fn read_some(t: &mut Toy, id: FileId, c: u64, _: Mask) {
    t.log.push(("read", c));
    let mut buf = vec![0; t.chunk];
    let conn = t.conn(c);
    match conn.io.as_mut().unwrap().read(&mut buf) {
        Ok(0) => {
            conn.eof = true;
            t.el.remove_file(id);
        }
        Ok(n) => {
            conn.got.extend_from_slice(&buf[..n]);
            if n < buf.len() {
                t.el.clear_ready(id, Mask::READABLE);
            }
        }
        Err(e) if e.kind() == ErrorKind::WouldBlock => t.el.clear_ready(id, Mask::READABLE),
        Err(e) => {
            conn.error = Some(e.kind());
            t.el.remove_file(id);
        }
    }
}

/// Writes one byte; on an error drops the registration.
fn write_one(t: &mut Toy, id: FileId, c: u64, _: Mask) {
    t.log.push(("write", c));
    let conn = t.conn(c);
    match conn.io.as_mut().unwrap().write(b"y") {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::WouldBlock => t.el.clear_ready(id, Mask::WRITABLE),
        Err(e) => {
            conn.error = Some(e.kind());
            t.el.remove_file(id);
        }
    }
}

/// Is called, and takes nothing.
fn look(t: &mut Toy, _: FileId, c: u64, _: Mask) {
    t.log.push(("look", c));
}

/// Bytes in which a lost or repeated part shows.
fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

/// Runs the rest of a test in a process of its own, where nothing else opens descriptors and signals hurt nobody. True
/// in that process; false in the other, for which the test is done.
fn in_own_process(test: &str, meanwhile: impl FnOnce(&mut std::process::Child)) -> bool {
    const VAR: &str = "AE_TEST_IN_OWN_PROCESS";
    let path = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    if std::env::var(VAR).is_ok_and(|v| v == path) {
        return true;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &path, "--nocapture", "--test-threads=1"])
        .env(VAR, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    meanwhile(&mut child);
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && text.contains("1 passed"),
        "{path} in its own process: {}\n{text}{}",
        out.status,
        String::from_utf8_lossy(&out.stderr)
    );
    // Not through `eprintln!`, which the harness swallows.
    let _ = io::stderr().write_all(&out.stderr);
    false
}

// Level semantics.

#[test]
fn a_bounded_reader_gets_everything_from_one_edge() {
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    t.chunk = 16;
    let sent = pattern(16_000);
    peer.write_all(&sent).unwrap();
    t.settle();
    // No edge comes any more: the thousand calls live on the ready bit.
    t.on(c, Mask::READABLE, read_some);
    for i in 1..=1000 {
        assert_eq!(t.turn(), 1);
        assert_eq!(t.conn(c).got.len(), 16 * i);
    }
    assert_eq!(t.conn(c).got, sent);
    // The last was not short: one call more, which sees WouldBlock.
    assert_eq!(t.poll_once(), 1);
    assert_eq!(t.poll_once(), 0);
    // And after that a new edge is all it takes.
    peer.write_all(b"more").unwrap();
    assert_eq!(t.turn(), 1);
    assert!(t.conn(c).got.ends_with(b"more"));
}

fn bounded_reader(mut t: Toy, c: u64, mut peer: impl Write + Send + 'static) {
    t.chunk = 16;
    t.on(c, Mask::READABLE, read_some);
    let sent = pattern(100_000);
    let writer = thread::spawn({
        let sent = sent.clone();
        move || {
            for part in sent.chunks(7777) {
                peer.write_all(part).unwrap();
            }
        }
    });
    t.until(|t| t.conns[0].eof || t.conns[0].error.is_some());
    writer.join().unwrap();
    assert_eq!(t.conn(c).error, None);
    assert!(t.conn(c).got == sent, "{} bytes came", t.conn(c).got.len());
    assert!(t.log.len() >= 100_000 / 16);
}

#[test]
fn a_bounded_reader_gets_everything_of_a_socket() {
    let mut t = Toy::new();
    let (c, peer) = t.pair();
    bounded_reader(t, c, peer);
}

#[test]
fn a_bounded_reader_gets_everything_of_a_connection() {
    let mut t = Toy::new();
    let (c, peer) = t.tcp_pair();
    bounded_reader(t, c, peer);
}

#[test]
fn a_bounded_reader_gets_everything_of_a_pipe() {
    let mut t = Toy::new();
    let (writer, reader) = mio::unix::pipe::new().unwrap();
    writer.set_nonblocking(false).unwrap();
    let c = t.add(reader);
    bounded_reader(t, c, writer);
}

#[test]
fn a_bounded_acceptor_accepts_everybody() {
    let mut t = Toy::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    fn accept_one(t: &mut Toy, id: FileId, c: u64, _: Mask) {
        let fd = t.conn(c).io.as_ref().unwrap().try_clone().unwrap();
        match TcpListener::from(OwnedFd::from(fd)).accept() {
            Ok(_) => t.log.push(("accept", c)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => t.el.clear_ready(id, Mask::READABLE),
            Err(e) => panic!("accept: {e}"),
        }
    }
    let peers: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let c = t.add(listener);
    t.on(c, Mask::READABLE, accept_one);
    t.until(|t| t.log.len() == peers.len());
}

#[test]
fn a_handler_on_a_ready_slot_fires_without_an_edge() {
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    peer.write_all(b"hello").unwrap();
    t.settle();
    t.settle();
    t.on(c, Mask::READABLE, read_some);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("read", c)]);
    // The same for the other direction, from inside a handler of the first.
    fn hand_over(t: &mut Toy, id: FileId, c: u64, mask: Mask) {
        read_some(t, id, c, mask);
        t.off(c, Mask::READABLE);
        t.on(c, Mask::WRITABLE, write_one);
    }
    t.on(c, Mask::READABLE, hand_over);
    peer.write_all(b"again").unwrap();
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("read", c)]);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("write", c)]);
}

#[test]
fn a_writer_goes_on_when_there_is_room_again() {
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    t.settle();
    let sent = t.fill(c);
    t.on(c, Mask::WRITABLE, write_one);
    t.settle();
    let mut buf = vec![0; sent];
    peer.read_exact(&mut buf).unwrap();
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("write", c)]);
    peer.read_exact(&mut buf[..1]).unwrap();
    assert_eq!(buf[0], b'y');
}

#[test]
fn a_turn_does_not_wait_while_a_slot_is_ready() {
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    peer.write_all(b"x").unwrap();
    t.on(c, Mask::READABLE, look);
    // The first turn takes the edge; the others would wait until the watchdog.
    for _ in 0..5 {
        assert_eq!(t.turn(), 1);
        assert_eq!(t.el.poll_timeout(Flags::ALL), Some(Duration::ZERO));
    }
    assert_eq!(t.log().len(), 5);
    // Without a handler it is not in the way of sleep.
    t.off(c, Mask::READABLE);
    t.settle();
    let timeout = t.el.poll_timeout(Flags::ALL).unwrap();
    assert!(timeout > Duration::ZERO);
    assert_eq!(t.el.poll_timeout(Flags::FILE), None);
    // Nor is it forgotten.
    t.on(c, Mask::READABLE, look);
    assert_eq!(t.turn(), 1);
}

#[test]
fn handlers_put_on_and_off_between_turns_queue_a_slot_once() {
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    peer.write_all(b"x").unwrap();
    t.settle();
    for _ in 0..3 {
        t.on(c, Mask::READABLE | Mask::WRITABLE, look);
        t.off(c, Mask::READABLE | Mask::WRITABLE);
        t.el.check_queue();
    }
    t.on(c, Mask::READABLE, look);
    assert_eq!(t.el.ready.len(), 1);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("look", c)]);
    let id = t.conn(c).id;
    assert_eq!(t.el.get_file_events(id), Mask::READABLE);
}

#[test]
fn more_ready_sockets_than_a_poll_takes_are_all_served() {
    let mut t = Toy::with_capacity(3);
    let mut peers = Vec::new();
    for _ in 0..20 {
        let (c, mut peer) = t.pair();
        t.on(c, Mask::READABLE, read_some);
        peer.write_all(b"x").unwrap();
        peers.push(peer);
    }
    t.until(|t| t.log.len() >= 20);
    let mut served: Vec<u64> = t.log().iter().map(|l| l.1).collect();
    served.sort_unstable();
    assert_eq!(served, (0..20).collect::<Vec<_>>());
}

#[test]
fn dont_wait_returns_at_once() {
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    t.on(c, Mask::READABLE, read_some);
    assert_eq!(process_events(&mut t, Flags::ALL | Flags::DONT_WAIT), 0);
    t.el.set_dont_wait(true);
    assert_eq!(t.turn(), 0);
    t.el.set_dont_wait(false);
    // Nor does it miss what is there.
    peer.write_all(b"x").unwrap();
    assert_eq!(process_events(&mut t, Flags::ALL | Flags::DONT_WAIT), 1);
    assert_eq!(t.log(), [("read", c)]);
    // Nothing asked, nothing done.
    peer.write_all(b"x").unwrap();
    let none = Flags::DONT_WAIT | Flags::CALL_BEFORE_SLEEP | Flags::CALL_AFTER_SLEEP;
    assert_eq!(process_events(&mut t, none), 0);
    assert!(t.before.is_empty() && t.after.is_empty() && t.log.is_empty());
    // TIME alone leaves the files alone.
    assert_eq!(process_events(&mut t, Flags::TIME | Flags::DONT_WAIT), 0);
    t.timer(0, tick);
    assert_eq!(process_events(&mut t, Flags::TIME), 1);
    assert_eq!(t.log(), [("tick", 0)]);
    // And FILE alone the timers.
    t.timer(0, tick);
    assert_eq!(process_events(&mut t, Flags::FILE), 1);
    assert_eq!(t.log(), [("read", c)]);
}

// Order, and what one handler does to another.

fn r(t: &mut Toy, _: FileId, c: u64, _: Mask) {
    t.log.push(("r", c));
}

fn w(t: &mut Toy, _: FileId, c: u64, _: Mask) {
    t.log.push(("w", c));
}

/// A slot that is ready both ways.
fn both_ways() -> (Toy, u64) {
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    peer.write_all(b"x").unwrap();
    t.kept.push(peer.into());
    (t, c)
}

#[test]
fn readable_comes_before_writable_and_barrier_inverts() {
    let (mut t, c) = both_ways();
    t.on(c, Mask::READABLE, r);
    t.on(c, Mask::WRITABLE, w);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("r", c), ("w", c)]);
    t.on(c, Mask::WRITABLE | Mask::BARRIER, w);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("w", c), ("r", c)]);
    // BARRIER goes with the writable handler.
    t.off(c, Mask::WRITABLE);
    t.on(c, Mask::WRITABLE, w);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("r", c), ("w", c)]);
}

#[test]
fn one_handler_for_both_directions_is_called_once() {
    let (mut t, c) = both_ways();
    fn both(t: &mut Toy, _: FileId, c: u64, mask: Mask) {
        assert_eq!(mask, Mask::READABLE | Mask::WRITABLE);
        t.log.push(("both", c));
    }
    t.on(c, Mask::READABLE | Mask::WRITABLE, both);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("both", c)]);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("both", c)]);
    // With data of its own a direction is a handler of its own.
    let id = t.conn(c).id;
    t.el.create_file_event(id, Mask::WRITABLE, both, 77);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("both", c), ("both", 77)]);
}

#[test]
fn a_readable_handler_decides_on_the_writable_one_of_its_slot() {
    fn remove_w(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("remove_w", c));
        t.off(c, Mask::WRITABLE);
    }
    fn replace_w(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("replace_w", c));
        t.on(c, Mask::WRITABLE, look);
    }
    fn use_up_w(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("use_up_w", c));
        t.fill(c);
    }
    let (mut t, c) = both_ways();
    t.on(c, Mask::READABLE, remove_w);
    t.on(c, Mask::WRITABLE, w);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("remove_w", c)]);
    t.on(c, Mask::READABLE, replace_w);
    t.on(c, Mask::WRITABLE, w);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("replace_w", c), ("look", c)]);
    t.on(c, Mask::READABLE, use_up_w);
    t.on(c, Mask::WRITABLE, w);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("use_up_w", c)]);
}

/// Two sockets that are ready in the same batch, with the same handler; whichever is called first acts on the other.
fn two_in_a_batch(handler: FileProc<Toy>) -> (Toy, Vec<(&'static str, u64)>) {
    let mut t = Toy::new();
    for _ in 0..2 {
        let (c, mut peer) = t.pair();
        peer.write_all(b"x").unwrap();
        t.kept.push(peer.into());
        t.on(c, Mask::READABLE, handler);
    }
    t.turn();
    let log = t.log();
    (t, log)
}

#[test]
fn a_handler_removed_by_another_of_its_batch_is_not_called() {
    fn remove_handler(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("first", c));
        t.off(c, Mask::READABLE);
        t.off(1 - c, Mask::READABLE);
    }
    fn remove_slot(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("first", c));
        t.remove(c);
        t.remove(1 - c);
        t.conn(1 - c).io = None;
    }
    for handler in [remove_handler as FileProc<Toy>, remove_slot] {
        let (mut t, log) = two_in_a_batch(handler);
        assert_eq!(log.len(), 1);
        t.settle();
        assert_eq!(t.log(), []);
    }
}

#[test]
fn a_handler_replaced_by_another_of_its_batch_is_called_as_the_new_one() {
    fn replace_other(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("replace", c));
        t.off(c, Mask::READABLE);
        t.on(1 - c, Mask::READABLE, read_some);
    }
    let (mut t, log) = two_in_a_batch(replace_other);
    let first = log[0].1;
    assert_eq!(log, [("replace", first), ("read", 1 - first)]);
    t.settle();
}

#[test]
fn a_handler_removes_or_replaces_itself() {
    fn once(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("once", c));
        t.off(c, Mask::READABLE);
    }
    fn become_reader(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("become", c));
        t.on(c, Mask::READABLE, read_some);
    }
    let (mut t, c) = both_ways();
    t.on(c, Mask::READABLE, once);
    assert_eq!(t.turn(), 1);
    t.settle();
    assert_eq!(t.log(), [("once", c)]);
    t.on(c, Mask::READABLE, become_reader);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("become", c)]);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("read", c)]);
    t.settle();
}

#[test]
fn a_handler_drops_its_own_slot_and_closes_it() {
    fn close(t: &mut Toy, id: FileId, c: u64, _: Mask) {
        t.log.push(("close", c));
        t.el.remove_file(id);
        t.conn(c).io = None;
        // What comes too late is refused.
        t.el.create_file_event(id, Mask::READABLE, look, c);
        t.el.clear_ready(id, Mask::READABLE);
        t.el.remove_file(id);
    }
    let (mut t, c) = both_ways();
    t.on(c, Mask::READABLE, close);
    t.on(c, Mask::WRITABLE, w);
    assert_eq!(t.turn(), 1);
    t.settle();
    assert_eq!(t.log(), [("close", c)]);
    assert_eq!(t.el.files(), 0);
    let id = t.conn(c).id;
    assert_eq!(t.el.get_file_events(id), Mask::NONE);
}

// Identity.

#[test]
fn a_reused_slot_does_not_see_the_old_event() {
    // Alone, so that the descriptor's number comes back.
    if !in_own_process("a_reused_slot_does_not_see_the_old_event", |_| ()) {
        return;
    }
    fn reuse_other(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("reuse", c));
        t.off(c, Mask::READABLE);
        let old = t.conn(1 - c).id;
        let fd = t.conn(1 - c).io.as_ref().unwrap().as_raw_fd();
        t.remove(1 - c);
        t.conn(1 - c).io = None;
        let (new, peer) = t.pair();
        t.kept.push(peer.into());
        t.on(new, Mask::READABLE, look);
        assert_eq!(t.conn(new).io.as_ref().unwrap().as_raw_fd(), fd);
        let id = t.conn(new).id;
        assert_ne!(id, old);
        assert_eq!(t.el.files(), 2);
    }
    let (mut t, log) = two_in_a_batch(reuse_other);
    assert_eq!(log.len(), 1);
    t.settle();
    assert_eq!(t.log(), []);
    // The new one works.
    let mut peer = File::from(t.kept.pop().unwrap());
    peer.write_all(b"x").unwrap();
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("look", 2)]);
}

#[test]
fn an_event_of_a_forgotten_registration_is_dropped() {
    let mut t = Toy::new();
    let (old, mut old_peer) = t.pair();
    t.on(old, Mask::READABLE, look);
    t.settle();
    // A copy of the descriptor keeps the kernel's registration alive, with the old token, when ours is closed.
    let io = t.conn(old).io.take().unwrap();
    t.kept.push(io.try_clone().unwrap().into());
    drop(io);
    t.remove(old);
    let (new, _new_peer) = t.pair();
    t.on(new, Mask::READABLE, look);
    t.settle();
    assert_ne!(t.conns[new as usize].id, t.conns[old as usize].id);
    assert_eq!(t.el.files(), 1);
    old_peer.write_all(b"x").unwrap();
    t.poll_once();
    assert_eq!(t.log(), []);
}

#[test]
fn a_descriptor_is_registered_once() {
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    let fd = t.conn(c).io.as_ref().unwrap().as_raw_fd();
    let error = t.el.add_file(fd).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(t.el.files(), 1);
    assert!(t.el.add_file(-1).is_err());
    assert_eq!(t.el.files(), 1);
    // Once it is forgotten it may come again, under another name, and what it holds is told again.
    peer.write_all(b"x").unwrap();
    t.settle();
    let old = t.conn(c).id;
    t.remove(c);
    let id = t.el.add_file(fd).unwrap();
    assert_ne!(id, old);
    t.conn(c).id = id;
    t.on(c, Mask::READABLE, read_some);
    t.el.create_file_event(old, Mask::WRITABLE, look, c);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("read", c)]);
}

// Re-entrancy.

/// Enters a turn of its own, while there are flags for one.
fn nest(t: &mut Toy, id: FileId, c: u64, mask: Mask) {
    read_some(t, id, c, mask);
    if let Some(&flags) = t.flags.get(t.depth) {
        t.depth += 1;
        process_events(t, flags);
        t.depth -= 1;
    }
}

#[test]
fn turns_three_deep_serve_everybody_once_and_call_the_hooks_that_are_asked_for() {
    const HOOKS: [Flags; 4] = [
        Flags(0),
        Flags::CALL_BEFORE_SLEEP,
        Flags::CALL_AFTER_SLEEP,
        Flags(Flags::CALL_BEFORE_SLEEP.0 | Flags::CALL_AFTER_SLEEP.0),
    ];
    for combination in 0..256usize {
        let hooks: Vec<Flags> = (0..4).map(|d| HOOKS[combination >> (2 * d) & 3]).collect();
        let mut t = Toy::new();
        let mut peers = Vec::new();
        for _ in 0..8 {
            let (c, mut peer) = t.pair();
            peer.write_all(b"x").unwrap();
            t.on(c, Mask::READABLE, nest);
            peers.push(peer);
        }
        // The outermost turn is that of depth 0; three lie in it.
        t.flags = hooks[1..].iter().map(|h| POLL_ONCE | *h).collect();
        process_events(&mut t, Flags::ALL | hooks[0]);
        // Three served one each before they entered a turn, and the innermost turn the other five.
        let mut served: Vec<u64> = t.log().iter().map(|l| l.1).collect();
        served.sort_unstable();
        assert_eq!(served, (0..8).collect::<Vec<_>>());
        let asked = |flag| -> Vec<usize> { (0..4).filter(|d| hooks[*d].has(flag)).collect() };
        assert_eq!(t.before, asked(Flags::CALL_BEFORE_SLEEP));
        assert_eq!(t.after, asked(Flags::CALL_AFTER_SLEEP));
        t.settle();
    }
}

#[test]
fn an_inner_turn_serves_those_behind_the_outer_handler() {
    fn outer(t: &mut Toy, id: FileId, c: u64, mask: Mask) {
        read_some(t, id, c, mask);
        t.log.push(("in", c));
        assert_eq!(process_events(t, POLL_ONCE), 3);
        t.log.push(("out", c));
    }
    let mut t = Toy::new();
    let mut peers = Vec::new();
    for c in 0..4 {
        let (_, mut peer) = t.pair();
        peer.write_all(b"x").unwrap();
        peers.push(peer);
        // Queued one by one, so that the order is known.
        t.settle_queue(c);
        t.on(c, Mask::READABLE, if c == 0 { outer } else { read_some });
    }
    assert_eq!(t.turn(), 1);
    let log = t.log();
    let expected = [
        ("read", 0),
        ("in", 0),
        ("read", 1),
        ("read", 2),
        ("read", 3),
        ("out", 0),
    ];
    assert_eq!(log, expected);
    t.settle();
}

impl Toy {
    /// Takes the edges of `c`, which has no handler yet, and leaves the queue as it is.
    fn settle_queue(&mut self, c: u64) {
        let queued = self.el.ready.len();
        self.el.wait(POLL_ONCE);
        assert_eq!(self.el.ready.len(), queued);
        let id = self.conn(c).id;
        assert_eq!(self.el.get_file_events(id), Mask::NONE);
    }
}

#[test]
fn an_edge_that_an_inner_turn_takes_is_not_lost_to_the_outer_handler() {
    fn outer(t: &mut Toy, id: FileId, c: u64, mask: Mask) {
        read_some(t, id, c, mask);
        if t.depth == 0 {
            t.depth = 1;
            // The peer sends more, and the inner turn takes that edge for a socket whose handler is away.
            t.off(c, Mask::READABLE);
            let mut peer = File::from(t.kept.pop().unwrap());
            peer.write_all(b"two").unwrap();
            t.kept.push(peer.into());
            assert_eq!(process_events(t, POLL_ONCE), 0);
            t.on(c, Mask::READABLE, outer);
        }
    }
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    peer.write_all(b"one").unwrap();
    t.kept.push(peer.into());
    t.on(c, Mask::READABLE, outer);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.conn(c).got, b"one");
    assert_eq!(t.turn(), 1);
    assert_eq!(t.conn(c).got, b"onetwo");
}

#[test]
fn an_inner_turn_may_drop_the_slot_of_the_outer_handler() {
    fn outer(t: &mut Toy, id: FileId, c: u64, mask: Mask) {
        read_some(t, id, c, mask);
        process_events(t, POLL_ONCE);
    }
    fn drop_first(t: &mut Toy, id: FileId, c: u64, mask: Mask) {
        read_some(t, id, c, mask);
        t.remove(0);
        t.conn(0).io = None;
        // The key is taken at once by somebody who is ready to write.
        let (new, peer) = t.pair();
        t.kept.push(peer.into());
        t.on(new, Mask::WRITABLE, w);
    }
    let mut t = Toy::new();
    let mut peers = Vec::new();
    for c in 0..2 {
        let (_, mut peer) = t.pair();
        peer.write_all(b"x").unwrap();
        peers.push(peer);
        t.settle_queue(c);
        t.on(c, Mask::READABLE, if c == 0 { outer } else { drop_first });
    }
    t.on(0, Mask::WRITABLE, look);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("read", 0), ("read", 1)]);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("w", 2)]);
}

// Ends and errors.

/// Ten bytes and the end, in one edge; the first read is short.
fn data_then_end(mut t: Toy, c: u64, mut peer: impl Write) {
    t.on(c, Mask::READABLE, read_some);
    peer.write_all(b"0123456789").unwrap();
    drop(peer);
    t.until(|t| t.conns[0].eof || t.conns[0].error.is_some());
    let conn = t.conn(c);
    assert_eq!(conn.error, None);
    assert_eq!(conn.got, b"0123456789");
}

#[test]
fn the_end_after_a_short_read_is_seen() {
    let mut t = Toy::new();
    let (c, peer) = t.pair();
    data_then_end(t, c, peer);
    let mut t = Toy::new();
    let (c, peer) = t.tcp_pair();
    data_then_end(t, c, peer);
    let mut t = Toy::new();
    let (writer, reader) = mio::unix::pipe::new().unwrap();
    let c = t.add(reader);
    data_then_end(t, c, writer);
}

#[test]
fn the_end_is_seen_by_a_handler_that_comes_later() {
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    peer.write_all(b"last").unwrap();
    drop(peer);
    t.settle();
    t.on(c, Mask::READABLE, read_some);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.turn(), 1);
    assert!(t.conn(c).eof);
    assert_eq!(t.log().len(), 2);
}

#[test]
fn a_half_closed_peer_still_reads() {
    /// Takes the end, and leaves the registration.
    fn read_end(t: &mut Toy, _: FileId, c: u64, _: Mask) {
        t.log.push(("end", c));
        let mut buf = [0; 64];
        let n = t.conn(c).io.as_mut().unwrap().read(&mut buf).unwrap();
        assert_eq!(n, 0);
        t.off(c, Mask::READABLE);
    }
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    t.settle();
    let sent = t.fill(c);
    t.on(c, Mask::WRITABLE, write_one);
    t.on(c, Mask::READABLE, read_end);
    peer.shutdown(Shutdown::Write).unwrap();
    // The half close does not say that there is room to write.
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("end", c)]);
    t.settle();
    let mut buf = vec![0; sent];
    peer.read_exact(&mut buf).unwrap();
    assert_eq!(t.turn(), 1);
    assert_eq!(t.log(), [("write", c)]);
    peer.read_exact(&mut buf[..1]).unwrap();
    assert_eq!(buf[0], b'y');
    // The end stays to be seen.
    t.off(c, Mask::WRITABLE);
    t.on(c, Mask::READABLE, read_some);
    t.clear(c, Mask::READABLE);
    assert_eq!(t.turn(), 1);
    assert!(t.conn(c).eof);
}

#[test]
fn a_reset_reaches_a_handler_that_only_writes() {
    let mut t = Toy::new();
    let (c, peer) = t.tcp_pair();
    t.fill(c);
    t.poll_once();
    t.fill(c);
    t.on(c, Mask::WRITABLE, write_one);
    // Closed with bytes unread: the kernel resets the connection.
    drop(peer);
    t.until(|t| t.conns[0].error.is_some());
    let error = t.conn(c).error;
    assert!(
        matches!(
            error,
            Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
        ),
        "{error:?}"
    );
}

#[test]
fn a_reset_reaches_a_handler_that_only_reads() {
    let mut t = Toy::new();
    let (c, peer) = t.tcp_pair();
    t.on(c, Mask::READABLE, read_some);
    t.conn(c).io.as_mut().unwrap().write_all(b"unread").unwrap();
    // It has come when the peer can see it.
    peer.peek(&mut [0; 6]).unwrap();
    drop(peer);
    t.until(|t| t.conns[0].error.is_some() || t.conns[0].eof);
    assert_eq!(t.conn(c).error, Some(ErrorKind::ConnectionReset));
}

#[test]
fn the_writer_of_a_pipe_learns_that_nobody_reads() {
    let mut t = Toy::new();
    let (writer, reader) = mio::unix::pipe::new().unwrap();
    let c = t.add(writer);
    t.settle();
    t.fill(c);
    t.on(c, Mask::WRITABLE, write_one);
    t.settle();
    drop(reader);
    assert_eq!(t.turn(), 1);
    assert_eq!(t.conn(c).error, Some(ErrorKind::BrokenPipe));
}

// Time.

/// Logs itself by its place in `timers`.
fn tick(t: &mut Toy, id: TimeId) -> Next {
    let place = t.timers.iter().position(|i| *i == id).unwrap();
    t.log.push(("tick", place as u64));
    Next::Stop
}

impl Toy {
    fn timer(&mut self, ms: u64, proc: TimeProc<Toy>) -> u64 {
        let id = self.el.create_time_event(ms, proc);
        self.timers.push(id);
        self.timers.len() as u64 - 1
    }

    /// Sleeps until the loop's clock shows `ms`.
    fn sleep_until(&self, ms: u64) {
        while self.el.now_ms() < ms {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn time_turn(&mut self) -> usize {
        process_events(self, Flags::TIME | Flags::DONT_WAIT)
    }
}

#[test]
fn timers_are_called_in_the_order_in_which_they_are_due() {
    let mut t = Toy::new();
    for ms in [30, 10, 20, 0, 10] {
        t.timer(ms, tick);
    }
    // All due in one turn.
    t.sleep_until(t.el.now_ms() + 31);
    assert_eq!(t.time_turn(), 5);
    let expected = [3, 1, 4, 2, 0].map(|p| ("tick", p));
    assert_eq!(t.log(), expected);
    assert_eq!(t.time_turn(), 0);
    // One that stopped is gone.
    for id in t.timers.clone() {
        assert!(!t.el.delete_time_event(id));
    }
    // Each in its own.
    t.timers.clear();
    for ms in [60, 20, 40] {
        t.timer(ms, tick);
    }
    t.until(|t| t.log.len() == 3);
    assert_eq!(t.log(), [1, 2, 0].map(|p| ("tick", p)));
}

#[test]
fn a_turn_wakes_up_for_a_timer_and_not_before() {
    let mut t = Toy::new();
    for _ in 0..5 {
        t.timers.clear();
        let due = t.el.now_ms() + 3;
        t.timer(3, tick);
        // One turn, one wait: it does not spin until the time has come.
        assert_eq!(t.turn(), 1);
        assert!(t.el.now_ms() >= due);
        assert_eq!(t.log(), [("tick", 0)]);
    }
}

#[test]
fn a_turn_that_is_awake_takes_a_paced_timer_along() {
    const PERIOD_MS: u64 = 500;
    fn paced(t: &mut Toy, _: TimeId) -> Next {
        let now = t.el.now_ms();
        t.log.push(("paced", now));
        Next::Paced(PERIOD_MS)
    }
    let mut t = Toy::new();
    t.timer(0, paced);
    assert_eq!(t.turn(), 1);
    let first = t.log()[0].1;
    // Too early for anybody, unless this machine slept longer; and then a turn that would not have waited.
    t.sleep_until(first + PERIOD_MS / 2);
    if t.time_turn() == 0 {
        t.sleep_until(first + PERIOD_MS * 9 / 10);
        assert_eq!(t.time_turn(), 1);
    }
    let second = t.log()[0].1;
    assert!(second >= first + PERIOD_MS * 4 / 5, "{first} {second}");
    // Nobody wakes up for it early, and it keeps its pace: what it came early it goes later.
    assert_eq!(t.turn(), 1);
    let third = t.log()[0].1;
    assert!(
        third >= second.max(first + PERIOD_MS) + PERIOD_MS,
        "{first} {second} {third}"
    );
}

#[test]
fn a_timer_far_away_overflows_nothing() {
    let mut el = EventLoop::<Toy>::new(1).unwrap();
    let far = Duration::from_millis(i32::MAX as u64);
    for ms in [u64::MAX, u64::MAX - 1, 1 << 40, 1 << 32] {
        let id = el.create_time_event(ms, tick);
        assert_eq!(el.poll_timeout(Flags::ALL), Some(far));
        el.delete_time_event(id);
    }
    assert_eq!(el.poll_timeout(Flags::ALL), None);
}

#[test]
fn a_timer_is_deleted_from_inside_itself() {
    fn suicide(t: &mut Toy, id: TimeId) -> Next {
        t.log.push(("suicide", 0));
        assert!(t.el.delete_time_event(id));
        assert!(!t.el.delete_time_event(id));
        // The key is used again at once: the answer below is not for that one.
        t.timer(WATCHDOG_MS * 2, watchdog);
        Next::After(0)
    }
    let mut t = Toy::new();
    t.timer(0, suicide);
    assert_eq!(t.time_turn(), 1);
    assert_eq!(t.time_turn(), 0);
    assert_eq!(t.log(), [("suicide", 0)]);
    let heir = t.timers[1];
    assert!(!t.el.delete_time_event(t.timers[0]));
    assert!(t.el.delete_time_event(heir));
}

#[test]
fn a_timer_is_deleted_from_another() {
    fn murder(t: &mut Toy, id: TimeId) -> Next {
        t.log.push(("murder", 0));
        for victim in t.timers.clone() {
            if victim != id {
                t.el.delete_time_event(victim);
            }
        }
        Next::Stop
    }
    let mut t = Toy::new();
    t.timer(0, murder);
    t.timer(0, tick);
    t.timer(0, tick);
    assert_eq!(t.time_turn(), 1);
    assert_eq!(t.time_turn(), 0);
    assert_eq!(t.log(), [("murder", 0)]);
}

#[test]
fn a_periodic_timer_comes_again_until_it_stops() {
    fn five(t: &mut Toy, _: TimeId) -> Next {
        t.log.push(("five", t.el.now_ms()));
        if t.log.len() == 5 {
            Next::Stop
        } else {
            Next::After(3)
        }
    }
    let mut t = Toy::new();
    t.timer(0, five);
    t.until(|t| t.log.len() == 5);
    let log = t.log();
    assert!(log.windows(2).all(|w| w[1].1 >= w[0].1 + 3), "{log:?}");
    t.sleep_until(t.el.now_ms() + 5);
    assert_eq!(t.time_turn(), 0);
}

#[test]
fn a_timer_made_inside_a_timer_waits_for_the_next_turn() {
    fn parent(t: &mut Toy, _: TimeId) -> Next {
        t.log.push(("parent", 0));
        t.timer(0, tick);
        t.sleep_until(t.el.now_ms() + 2);
        Next::Stop
    }
    let mut t = Toy::new();
    t.timer(0, parent);
    assert_eq!(t.time_turn(), 1);
    assert_eq!(t.log(), [("parent", 0)]);
    assert_eq!(t.time_turn(), 1);
    assert_eq!(t.log(), [("tick", 1)]);
}

#[test]
fn a_timer_that_enters_a_turn_is_not_called_again_by_it() {
    fn enter(t: &mut Toy, _: TimeId) -> Next {
        t.log.push(("enter", 0));
        // The other one that is due is served here, and then not by the outer turn.
        assert_eq!(t.time_turn(), 1);
        // And this one, though overdue, keeps no inner turn from waiting.
        assert!(t.el.poll_timeout(Flags::ALL).unwrap() > Duration::ZERO);
        t.log.push(("leave", 0));
        Next::After(0)
    }
    let mut t = Toy::new();
    t.timer(0, enter);
    t.timer(0, tick);
    assert_eq!(t.time_turn(), 1);
    assert_eq!(t.log(), [("enter", 0), ("tick", 1), ("leave", 0)]);
    // It is on again. A periodic one that the inner turn has called is not due any more.
    fn often(t: &mut Toy, _: TimeId) -> Next {
        t.log.push(("often", 0));
        Next::After(WATCHDOG_MS)
    }
    t.timer(0, often);
    assert_eq!(t.time_turn(), 1);
    assert_eq!(t.log(), [("enter", 0), ("often", 0), ("leave", 0)]);
}

#[test]
fn main_turns_until_it_is_stopped_and_calls_both_hooks_each_turn() {
    fn third_stops(t: &mut Toy, _: TimeId) -> Next {
        t.log.push(("turn", 0));
        if t.log.len() == 3 {
            t.el.stop();
        }
        Next::After(1)
    }
    let mut t = Toy::new();
    t.el.stop();
    t.timer(1, third_stops);
    main(&mut t);
    assert_eq!(t.log.len(), 3);
    assert!(t.before.len() >= 3);
    assert_eq!(t.before.len(), t.after.len());
}

// Signals, and many.

#[test]
fn a_signal_is_a_turn_without_events() {
    // A stop and a continue, which end a wait without any handler. They stop a whole process: one of its own.
    let interrupt = |child: &mut std::process::Child| {
        let pid = child.id();
        let signal = |s: &str| {
            let command = format!("kill -{s} {pid}");
            let _ = Command::new("sh")
                .args(["-c", &command])
                .stderr(Stdio::null())
                .status();
        };
        // Nothing tells that it waits by now, so it is told again until it ends; its watchdog bounds that.
        let stat = format!("/proc/{pid}/stat");
        loop {
            thread::sleep(Duration::from_millis(50));
            signal("STOP");
            for _ in 0..100 {
                // Stopped, or a zombie.
                let state = std::fs::read_to_string(&stat).unwrap_or_default();
                if state.contains(") T") || state.contains(") Z") {
                    break;
                }
                thread::sleep(Duration::from_millis(1));
            }
            signal("CONT");
            if child.try_wait().unwrap().is_some() {
                break;
            }
        }
    };
    if !in_own_process("a_signal_is_a_turn_without_events", interrupt) {
        return;
    }
    let mut t = Toy::new();
    let (c, mut peer) = t.pair();
    t.on(c, Mask::READABLE, read_some);
    t.settle();
    // Nothing but a signal ends this one before the watchdog.
    let flags = Flags::ALL | Flags::CALL_BEFORE_SLEEP | Flags::CALL_AFTER_SLEEP;
    assert_eq!(process_events(&mut t, flags), 0);
    assert_eq!((t.before.len(), t.after.len()), (1, 1));
    assert_eq!(t.log(), []);
    peer.write_all(b"x").unwrap();
    t.until(|t| !t.log.is_empty());
    assert_eq!(t.log(), [("read", c)]);
}

#[test]
fn ten_thousand_idle_sockets_cost_a_turn_nothing() {
    const SOCKETS: usize = 10_000;
    // Alone, so that the other tests have descriptors left.
    if !in_own_process("ten_thousand_idle_sockets_cost_a_turn_nothing", |_| ()) {
        return;
    }
    let mut t = Toy::with_capacity(1024);
    // Both ends are registered.
    while t.conns.len() < SOCKETS {
        match UnixStream::pair() {
            Ok((a, b)) => {
                for end in [a, b] {
                    end.set_nonblocking(true).unwrap();
                    let c = t.add(end);
                    t.on(c, Mask::READABLE, read_some);
                }
            }
            Err(_) => {
                let _ = writeln!(
                    io::stderr(),
                    "TOO FEW DESCRIPTORS (ulimit -n): only {} idle sockets",
                    t.conns.len()
                );
                break;
            }
        }
    }
    assert!(t.conns.len() >= 100);
    // Each says once that it can be written to.
    for _ in 0..=SOCKETS / 1024 {
        t.settle();
    }
    assert_eq!(t.poll_once(), 0);
    assert!(t.el.events.is_empty());
    let last = t.conns.len() as u64 - 1;
    for (from, to) in [(last, last - 1), (0, 1), (last - 1, last)] {
        t.conn(from).io.as_mut().unwrap().write_all(b"x").unwrap();
        assert_eq!(t.turn(), 1);
        assert_eq!(t.log(), [("read", to)]);
        // What the kernel reported: the reader, and the room that the read made for the writer.
        assert!(t.el.events.iter().count() <= 2);
        assert!(t.el.ready.is_empty());
        assert_eq!(t.poll_once(), 0);
        assert!(t.el.events.iter().count() <= 1);
    }
}
