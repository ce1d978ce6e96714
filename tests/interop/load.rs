//! A write load that runs beside a test, and the filling of a master.
//!
//! The load's expiries are either far away or a few milliseconds: a comparison must never race with one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::conn::encode;
use crate::support::*;

/// Writes `count` keys, every tenth with a far expiry.
pub fn populate(server: &Server, count: usize) {
    let mut c = server.connect();
    for chunk in (0..count).collect::<Vec<_>>().chunks(2000) {
        let mut out = Vec::new();
        for i in chunk {
            let key = format!("key:{i}");
            let value = format!("value-{i}-{}", "x".repeat(i % 50));
            if i % 10 == 0 {
                let ms = (2_000_000 + i).to_string();
                out.extend(encode(&["SET", &key, &value, "PX", &ms]));
            } else {
                out.extend(encode(&["SET", &key, &value]));
            }
        }
        c.write_raw(&out);
        for _ in chunk {
            c.read().assert_ok();
        }
    }
}

/// A running writer; it stops when dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts writing to `port`; something has been written when it returns. The writer ends quietly when the server goes away.
    pub fn start(port: u16, seed: u64) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let thread = std::thread::spawn(move || {
            let Ok(mut c) = Conn::try_connect(port) else {
                return;
            };
            let mut rng = Rng(seed);
            while !stopped.load(Ordering::SeqCst) {
                let mut out = Vec::new();
                for _ in 0..20 {
                    out.extend(write(&mut rng));
                }
                if c.try_write_raw(&out).is_err() {
                    break;
                }
                for _ in 0..20 {
                    match c.try_read() {
                        Ok(Value::Error(e)) => panic!("{}", String::from_utf8_lossy(&e)),
                        Ok(_) => {}
                        Err(_) => return,
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        wait_until("the load to begin", || {
            thread.is_finished() || written.load(Ordering::SeqCst) > 0
        });
        Load {
            stop,
            written,
            thread: Some(thread),
        }
    }

    /// Ends the load; it must have written something.
    #[track_caller]
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().expect("a running load");
        thread.join().expect("the load failed");
        assert!(self.written.load(Ordering::SeqCst) > 0);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(rng: &mut Rng) -> Vec<u8> {
    let key = format!("load:{}", rng.below(3000));
    let number = format!("count:{}", rng.below(50));
    let old = format!("key:{}", rng.below(1000));
    match rng.below(12) {
        0..=3 => encode(&["SET", &key, &rng.next_u64().to_string()]),
        4 => encode(&[
            "SET",
            &key,
            "soon gone",
            "PX",
            &(1 + rng.below(20)).to_string(),
        ]),
        5 => encode(&[
            "SET",
            &key,
            "stays",
            "EX",
            &(5000 + rng.below(20)).to_string(),
        ]),
        6 => encode(&["INCR", &number]),
        7 => encode(&["INCRBYFLOAT", &number, "0"]),
        8 => encode(&["DEL", &old]),
        9 => encode(&["APPEND", &key, "more"]),
        10 => encode(&["EXPIRE", &key, "9000"]),
        _ => encode(&["GETEX", &key, "PERSIST"]),
    }
}

/// A master, of a size of backlog that holds a whole test's writes.
#[track_caller]
pub fn master(kind: Kind, extra: &[&str]) -> Server {
    let mut args = vec![
        "--repl-diskless-sync-delay",
        "0",
        "--repl-backlog-size",
        "64mb",
        "--enable-debug-command",
        "yes",
    ];
    args.extend(extra);
    Server::start(kind, &args)
}
