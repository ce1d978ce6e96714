//! A TCP proxy that a test owns, to cut, delay, throttle, swallow or refuse a link.
//!
//! One thread accepts, two threads a link copy. All share one `Control`; a test changes it at any time. Byte counts
//! are of bytes handed on. It must not know what the bytes mean.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::server::free_listener;

/// A direction through the proxy, seen from the side that connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dir {
    /// From the connecting side to the target.
    Up = 0,
    /// From the target to the connecting side.
    Down = 1,
}

#[derive(Default)]
struct Control {
    stop: AtomicBool,
    refuse: AtomicBool,
    /// The next cut by `cut_after` refuses what comes after it.
    refuse_when_cut: AtomicBool,
    blackhole: AtomicBool,
    /// Bytes per direction before the link is cut; negative means no limit.
    cut_after: [AtomicI64; 2],
    /// Milliseconds before each chunk is handed on.
    delay_ms: AtomicU64,
    /// Bytes per second in the Down direction; 0 means no limit.
    throttle: AtomicU64,
    passed: [AtomicU64; 2],
    accepted: AtomicU64,
    /// Both ends of the present links, by number.
    links: Mutex<Vec<(u64, TcpStream)>>,
}

impl Control {
    fn cut(&self) {
        for (_, end) in self.links.lock().expect("links").drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// A running proxy to 127.0.0.1:`target`.
pub struct Proxy {
    pub port: u16,
    control: Arc<Control>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Proxy {
    pub fn start(target: u16) -> Proxy {
        Proxy::with_buffers(target, None)
    }

    /// A proxy whose sockets hold little, so that what does not pass waits in the sender, not in the kernel.
    pub fn narrow(target: u16) -> Proxy {
        Proxy::with_buffers(target, Some(16 * 1024))
    }

    fn with_buffers(target: u16, buffers: Option<usize>) -> Proxy {
        let listener = free_listener();
        let port = listener.local_addr().expect("local_addr").port();
        listener.set_nonblocking(true).expect("set_nonblocking");
        let control = Arc::new(Control::default());
        control.cut_after[0].store(-1, Ordering::SeqCst);
        control.cut_after[1].store(-1, Ordering::SeqCst);
        let shared = Arc::clone(&control);
        let thread = thread::spawn(move || accept_loop(&listener, target, buffers, &shared));
        Proxy {
            port,
            control,
            thread: Some(thread),
        }
    }

    /// Closes all links now. New ones are accepted.
    pub fn cut(&self) {
        self.control.cut();
    }

    /// Lifts every fault: from now on bytes pass, those that were held back first.
    pub fn heal(&self) {
        self.refuse(false);
        self.blackhole(false);
        self.delay(Duration::ZERO);
        self.throttle(0);
        for limit in &self.control.cut_after {
            limit.store(-1, Ordering::SeqCst);
        }
    }

    /// Cuts the links once `n` more bytes have passed in `dir`; once.
    pub fn cut_after(&self, dir: Dir, n: u64) {
        self.control.cut_after[dir as usize].store(n as i64, Ordering::SeqCst);
    }

    /// The same, and from that very moment on new connections are refused: whoever was cut stays as it is then.
    pub fn cut_after_and_refuse(&self, dir: Dir, n: u64) {
        self.control.refuse_when_cut.store(true, Ordering::SeqCst);
        self.cut_after(dir, n);
    }

    /// True when a `cut_after` has done its work.
    pub fn has_cut(&self) -> bool {
        self.control
            .cut_after
            .iter()
            .all(|c| c.load(Ordering::SeqCst) < 0)
    }

    /// Closes new connections at once, and the present ones.
    pub fn refuse(&self, on: bool) {
        self.control.refuse.store(on, Ordering::SeqCst);
        if on {
            self.cut();
        }
    }

    /// Keeps the links open but hands nothing on until switched off.
    pub fn blackhole(&self, on: bool) {
        self.control.blackhole.store(on, Ordering::SeqCst);
    }

    pub fn delay(&self, delay: Duration) {
        self.control
            .delay_ms
            .store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    /// Limits the Down direction; 0 lifts the limit.
    pub fn throttle(&self, bytes_per_second: u64) {
        self.control
            .throttle
            .store(bytes_per_second, Ordering::SeqCst);
    }

    /// Bytes handed on in a direction, over all links.
    pub fn passed(&self, dir: Dir) -> u64 {
        self.control.passed[dir as usize].load(Ordering::SeqCst)
    }

    /// Connections accepted, refused ones included.
    pub fn accepted(&self) -> u64 {
        self.control.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::SeqCst);
        self.cut();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.cut();
    }
}

/// Connects to 127.0.0.1:`target` with receive and send buffers of so many bytes.
fn connect(target: u16, buffers: Option<usize>) -> io::Result<TcpStream> {
    let Some(size) = buffers else {
        return TcpStream::connect(("127.0.0.1", target));
    };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Before the connection is made, or its window is a large one already.
    socket.set_recv_buffer_size(size)?;
    socket.set_send_buffer_size(size)?;
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], target)).into())?;
    Ok(socket.into())
}

fn accept_loop(
    listener: &TcpListener,
    target: u16,
    buffers: Option<usize>,
    control: &Arc<Control>,
) {
    while !control.stop.load(Ordering::SeqCst) {
        let Ok((near, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(2));
            continue;
        };
        let number = control.accepted.fetch_add(1, Ordering::SeqCst);
        if control.refuse.load(Ordering::SeqCst) {
            continue;
        }
        let Ok(far) = connect(target, buffers) else {
            continue;
        };
        if let Some(size) = buffers {
            let _ = SockRef::from(&near).set_send_buffer_size(size);
        }
        let _ = near.set_nonblocking(false);
        let _ = near.set_nodelay(true);
        let _ = far.set_nodelay(true);
        let (Ok(near2), Ok(far2), Ok(near3), Ok(far3)) = (
            near.try_clone(),
            far.try_clone(),
            near.try_clone(),
            far.try_clone(),
        ) else {
            continue;
        };
        {
            let mut links = control.links.lock().expect("links");
            links.push((number, near3));
            links.push((number, far3));
        }
        let shared = Arc::clone(control);
        thread::spawn(move || copy(number, near, far2, Dir::Up, &shared));
        let shared = Arc::clone(control);
        thread::spawn(move || copy(number, far, near2, Dir::Down, &shared));
    }
}

fn copy(number: u64, mut from: TcpStream, mut to: TcpStream, dir: Dir, control: &Control) {
    let mut buf = [0u8; 16384];
    'link: while let Ok(n) = from.read(&mut buf) {
        if n == 0 {
            break;
        }
        while control.blackhole.load(Ordering::SeqCst) {
            if control.stop.load(Ordering::SeqCst) {
                break 'link;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let delay = control.delay_ms.load(Ordering::SeqCst);
        if delay > 0 {
            thread::sleep(Duration::from_millis(delay));
        }
        let mut chunk = &buf[..n];
        let mut cut = false;
        let limit = &control.cut_after[dir as usize];
        let left = limit.load(Ordering::SeqCst);
        if left >= 0 {
            if chunk.len() as i64 >= left {
                chunk = &chunk[..left as usize];
                if control.refuse_when_cut.swap(false, Ordering::SeqCst) {
                    control.refuse.store(true, Ordering::SeqCst);
                }
                limit.store(-1, Ordering::SeqCst);
                cut = true;
            } else {
                limit.store(left - chunk.len() as i64, Ordering::SeqCst);
            }
        }
        while !chunk.is_empty() {
            let rate = control.throttle.load(Ordering::SeqCst);
            let step = if dir == Dir::Down && rate > 0 {
                thread::sleep(Duration::from_millis(10));
                chunk.len().min((rate / 100).max(1) as usize)
            } else {
                chunk.len()
            };
            if to.write_all(&chunk[..step]).is_err() {
                break 'link;
            }
            control.passed[dir as usize].fetch_add(step as u64, Ordering::SeqCst);
            chunk = &chunk[step..];
        }
        if cut {
            control.cut();
            break;
        }
    }
    // A link that has ended is forgotten, or a proxy of many links would run out of files.
    control
        .links
        .lock()
        .expect("links")
        .retain(|(n, _)| *n != number);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
