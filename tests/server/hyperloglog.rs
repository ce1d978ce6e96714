//! HyperLogLogs: estimates, encodings, merges, the cached estimate, corrupt values, what is propagated.

use super::transactions::stream_of;
use crate::support::*;

fn encoding(c: &mut Conn, key: &str) -> String {
    c.run(&format!("PFDEBUG ENCODING {key}")).text()
}

#[test]
fn add_count_and_merge() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(c.run("PFADD h"), 1);
    assert_eq!(c.run("PFADD h"), 0);
    assert_eq!(c.run("PFCOUNT h"), 0);
    assert_eq!(c.run("PFADD h a b c"), 1);
    assert_eq!(c.run("PFADD h c b a"), 0);
    assert_eq!(c.run("PFCOUNT h"), 3);
    assert_eq!(c.run("PFCOUNT none"), 0);
    assert_eq!(c.run("PFADD g c d"), 1);
    assert_eq!(c.run("PFCOUNT h g none"), 4);
    c.ok("PFMERGE m h g none");
    assert_eq!(c.run("PFCOUNT m"), 4);
    assert_eq!(c.run("OBJECT ENCODING m"), "raw");
    // The destination counts too; a lonely one is made.
    c.ok("PFMERGE h g");
    assert_eq!(c.run("PFCOUNT h"), 4);
    c.ok("PFMERGE lonely");
    assert_eq!(c.run("PFCOUNT lonely"), 0);
    assert_eq!(c.run("STRLEN lonely"), 18);
}

#[test]
fn one_dense_source_makes_a_dense_destination() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("PFADD a 1 2 3");
    c.run("PFADD b 3 4");
    c.ok("PFMERGE m a b");
    assert_eq!(encoding(&mut c, "m"), "sparse");
    assert_eq!(c.run("PFDEBUG TODENSE b"), 1);
    assert_eq!(c.run("PFDEBUG TODENSE b"), 0);
    c.ok("PFMERGE m a b");
    assert_eq!(encoding(&mut c, "m"), "dense");
    assert_eq!(
        (c.run("PFCOUNT m"), c.run("STRLEN m")),
        (Value::Int(4), Value::Int(12304))
    );
    c.ok("CONFIG SET hll-sparse-max-bytes 20");
    c.run("PFADD a more");
    assert_eq!(encoding(&mut c, "a"), "dense");
    assert_eq!(c.run("PFCOUNT a"), 4);
}

#[test]
fn what_is_no_hyperloglog_is_refused() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("SET s HYLLno");
    c.ok("SET n 12345678901234567");
    c.run("PFADD h a");
    c.run("SETRANGE h 4 x");
    for key in ["s", "n", "h"] {
        for line in [
            "PFADD k x",
            "PFCOUNT k",
            "PFCOUNT other k",
            "PFMERGE other k",
        ] {
            c.run(&line.replace(" k", &format!(" {key}")))
                .assert_error("WRONGTYPE Key is not a valid HyperLogLog string value.");
        }
    }
    c.run("PFADD cut a b c");
    c.run("APPEND cut x");
    let corrupt = "INVALIDOBJ Corrupted HLL object detected";
    c.run("PFCOUNT cut").assert_error(corrupt);
    c.run("PFCOUNT cut none").assert_error(corrupt);
    c.run("PFMERGE m cut").assert_error(corrupt);
    assert_eq!(c.run("EXISTS m"), 0);
    c.run("PFDEBUG TODENSE cut").assert_error(corrupt);
    c.run("PFDEBUG NOSUCH cut")
        .assert_error("ERR Unknown PFDEBUG subcommand 'NOSUCH'");
}

#[test]
fn a_new_estimate_is_propagated_and_a_kept_one_is_not() {
    let server = Server::aedile(&[]);
    let stream = stream_of(&server, |c| {
        c.run("PFADD h a b");
        c.run("PFADD h a b");
        c.run("PFCOUNT h");
        c.run("PFCOUNT h");
        c.run("PFMERGE m h");
    });
    assert_eq!(
        stream,
        ["SELECT 0", "PFADD h a b", "PFCOUNT h", "PFMERGE m h"]
    );
}

/// Upstream adds what comes before the element that meets the damage, and tells no replica.
#[test]
fn elements_added_to_a_damaged_value_change_nothing() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for i in 0..100 {
        c.run(&format!("PFADD whole w{i}"));
    }
    let whole = c.run("GET whole").bytes();
    // The registers behind the cut are gone: an element is good or bad by its own register.
    let cut = &whole[..16 + (whole.len() - 16) / 2];
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for i in 0..200 {
        let e = format!("e{i}");
        c.cmd(&[&b"SET"[..], b"h", cut]).assert_ok();
        let reply = c.run(&format!("PFADD h {e}"));
        if reply == 1 {
            good.push(e);
        } else if reply.is_error() {
            reply.assert_error("INVALIDOBJ Corrupted HLL object detected");
            assert!(c.run("GET h").bytes() == cut, "{e}");
            bad.push(e);
        }
    }
    assert!(good.len() > 20 && bad.len() > 20, "{good:?} {bad:?}");
    c.cmd(&[&b"SET"[..], b"h", cut]).assert_ok();
    let stream = stream_of(&server, |c| {
        for (g, b) in good.iter().zip(&bad) {
            c.run(&format!("PFADD h {g} {b}"))
                .assert_error("INVALIDOBJ Corrupted HLL object detected");
            assert!(c.run("GET h").bytes() == cut, "{g} {b}");
        }
        c.run(&format!("PFADD h {}", good[0]));
    });
    assert_eq!(stream[1..], [format!("PFADD h {}", good[0])]);
}
