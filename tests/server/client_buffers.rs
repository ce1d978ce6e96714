//! What CLIENT LIST and INFO tell of clients' buffers, and how their sizes follow their use.

use std::time::Duration;

use crate::support::*;

/// A field of the line that CLIENT LIST has for the client of this name.
fn field(c: &mut Conn, name: &str, field: &str) -> i64 {
    let list = c.run("CLIENT LIST").text();
    let line = list
        .lines()
        .find(|l| l.contains(&format!("name={name} ")))
        .unwrap_or_default();
    line.split(' ')
        .find_map(|w| w.strip_prefix(&format!("{field}=")))
        .and_then(|v| v.parse().ok())
        .unwrap_or(-1)
}

#[test]
fn reply_buffers_shrink_and_grow() {
    let server = Server::aedile(&["--hz", "100", "--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.ok("DEBUG REPLYBUFFER PEAK-RESET-TIME 100");
    let mut other = server.connect();
    other.ok("CLIENT SETNAME other");
    assert_eq!(field(&mut c, "other", "rbs"), 16384);
    wait_until("a small reply buffer", || {
        field(&mut c, "other", "rbs") == 1024
    });
    assert!(c.info_int("reply_buffer_shrinks") > 0);
    c.ok("DEBUG REPLYBUFFER PEAK-RESET-TIME NEVER");
    let big = "x".repeat(40_000);
    c.ok(&format!("SET big {big}"));
    wait_until("a large reply buffer", || {
        assert_eq!(other.run("GET big"), big.as_str());
        field(&mut c, "other", "rbs") == 16384
    });
    assert!(c.info_int("reply_buffer_expands") >= 4);
    // With resizing off the size stays.
    c.ok("DEBUG REPLYBUFFER RESIZING 0");
    c.ok("DEBUG REPLYBUFFER PEAK-RESET-TIME 0");
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(field(&mut c, "other", "rbs"), 16384);
}

#[test]
fn replies_of_every_size_come_whole_from_buffers_of_every_size() {
    let server = Server::aedile(&["--hz", "100", "--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.ok("DEBUG REPLYBUFFER PEAK-RESET-TIME 10");
    for round in 0..6 {
        for n in [
            0usize, 1, 90, 500, 1010, 1017, 1024, 2040, 5000, 16380, 16384, 40_000, 70_000,
        ] {
            let value = "v".repeat(n + round);
            c.ok(&format!("SET k {value}x"));
            assert_eq!(c.run("GET k").text(), format!("{value}x"));
            assert_eq!(c.run("MGET k k k").items().len(), 3);
        }
        std::thread::sleep(Duration::from_millis(60));
    }
}

#[test]
fn a_fat_argument_leaves_room_for_another_until_the_client_idles() {
    let server = Server::aedile(&["--hz", "100", "--enable-debug-command", "yes"]);
    let mut c = server.connect();
    let mut other = server.connect();
    other.ok("CLIENT SETNAME other");
    assert_eq!(field(&mut c, "other", "qbuf-free"), 16384);
    c.ok("DEBUG PAUSE-CRON 1");
    other.ok(&format!("SET k {}", "A".repeat(400_000)));
    assert_eq!(field(&mut c, "other", "qbuf-free"), 400_002);
    assert!(field(&mut c, "other", "tot-mem") < 50_000);
    c.ok("DEBUG PAUSE-CRON 0");
    wait_until("the usual room", || {
        other.ok("SET k v");
        field(&mut c, "other", "qbuf-free") == 16384
    });
    // One that has begun to come has its memory, which an idle client gives back but for what is in it.
    other.write_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900000\r\nabc");
    wait_until("the argument's beginning", || {
        field(&mut c, "other", "qbuf") + field(&mut c, "other", "qbuf-free") >= 900_000
    });
    wait_until("less of it", || {
        field(&mut c, "other", "qbuf") + field(&mut c, "other", "qbuf-free") < 1000
    });
    assert!(c.info_int("client_recent_max_input_buffer") >= 900_000);
    other.write_raw(&vec![b'd'; 900_000 - 3]);
    other.write_raw(b"\r\n");
    assert_eq!(other.read(), "OK");
    assert_eq!(c.run("STRLEN k"), 900_000);
}
