//! A network of the test's own: hosts in network namespaces, on one switch, whose ports can be plugged elsewhere.
//!
//! The namespaces have no names: they end with the test and what it started, even if it is killed. Whose is what:
//! - a host has the address `10.77.0.N`, and a loopback of its own: from within ([`Network::on`]), `127.0.0.1` is that host;
//! - the switch has several bridges; hosts on the same bridge reach each other, others do not.
//!
//! A namespace is a thread's: whoever is started within [`Network::on`] lives there. Needs root, and `ip` of iproute2.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;

/// Bridges of the switch.
pub const SIDES: usize = 4;

/// See the head of the file.
pub struct Network {
    /// Where the test's thread is at home.
    home: File,
    switch: File,
    hosts: Vec<File>,
}

fn here() -> File {
    File::open("/proc/thread-self/ns/net").expect("the thread's namespace")
}

fn enter(namespace: &File) {
    // SAFETY: setns takes no pointers; the descriptor is an open one.
    let rc = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(rc, 0, "setns: {}", std::io::Error::last_os_error());
}

/// A new namespace, with the loopback up. None: this process may not make one.
fn namespace() -> Option<File> {
    let made = std::thread::spawn(|| {
        // SAFETY: unshare takes no pointers; only this thread, which ends here, changes its namespace.
        (unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0).then(|| {
            ip("link set lo up");
            here()
        })
    });
    made.join().expect("a namespace")
}

#[track_caller]
fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).output();
    let done = done.expect("ip of iproute2");
    let text = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {words}: {text}");
}

impl Network {
    /// So many hosts, all on the first bridge. None, said aloud, where this is not possible.
    pub fn new(hosts: usize) -> Option<Network> {
        let has_ip = Command::new("ip").arg("-V").output().is_ok();
        let Some(switch) = has_ip.then(namespace).flatten() else {
            eprintln!("SKIPPED: no network namespaces; run as root, with iproute2");
            return None;
        };
        let all = (0..hosts).map(|_| namespace().expect("a namespace"));
        let net = Network {
            home: here(),
            switch,
            hosts: all.collect(),
        };
        net.within(&net.switch, || {
            for side in 0..SIDES {
                ip(&format!("link add side{side} type bridge forward_delay 0"));
                ip(&format!("link set side{side} up"));
            }
            for (n, host) in net.hosts.iter().enumerate() {
                ip(&format!("link add port{n} type veth peer name eth{n}"));
                let pid = std::process::id();
                ip(&format!(
                    "link set eth{n} netns /proc/{pid}/fd/{}",
                    host.as_raw_fd()
                ));
                ip(&format!("link set port{n} master side0"));
                ip(&format!("link set port{n} up"));
            }
        });
        for n in 0..hosts {
            net.on(n, || {
                ip(&format!("addr add {}/24 dev eth{n}", net.address(n)));
                ip(&format!("link set eth{n} up"));
            });
        }
        Some(net)
    }

    fn within<R>(&self, namespace: &File, f: impl FnOnce() -> R) -> R {
        struct Back<'a>(&'a File);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                enter(self.0);
            }
        }
        let back = Back(&self.home);
        enter(namespace);
        let result = f();
        drop(back);
        result
    }

    /// Does something as one who is on that host.
    pub fn on<R>(&self, host: usize, f: impl FnOnce() -> R) -> R {
        self.within(&self.hosts[host], f)
    }

    pub fn address(&self, host: usize) -> String {
        format!("10.77.0.{}", host + 1)
    }

    /// Plugs a host into that bridge.
    #[track_caller]
    pub fn plug(&self, host: usize, side: usize) {
        self.within(&self.switch, || {
            ip(&format!("link set port{host} master side{side}"));
        });
    }

    /// Cuts a host off, or lets it in again, where it is plugged.
    #[track_caller]
    pub fn link(&self, host: usize, up: bool) {
        let word = if up { "up" } else { "down" };
        self.within(&self.switch, || ip(&format!("link set port{host} {word}")));
    }

    /// All hosts are on the first bridge again.
    #[track_caller]
    pub fn heal(&self) {
        for host in 0..self.hosts.len() {
            self.plug(host, 0);
            self.link(host, true);
        }
    }
}
