//! Geo: places, distances, searches, storing, what is propagated. Known distances are those of the documentation.

use super::transactions::stream_of;
use crate::support::*;

fn sicily(c: &mut Conn) {
    let line = "GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";
    assert_eq!(c.run(line), 2);
}

/// The reply as one line, nested arrays in brackets.
fn flat(v: &Value) -> String {
    match v {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flat).collect();
            format!("[{}]", items.join(" "))
        }
        v if v.is_null() => "-".into(),
        v => v.text(),
    }
}

#[test]
fn places_and_distances() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    sicily(&mut c);
    for (line, want) in [
        ("GEODIST Sicily Palermo Catania", "166274.1516"),
        ("GEODIST Sicily Palermo Catania km", "166.2742"),
        ("GEODIST Sicily Palermo Catania MI", "103.3182"),
        ("GEODIST Sicily Palermo Palermo ft", "0.0000"),
        ("GEODIST Sicily Palermo Nowhere", "-"),
        ("GEODIST none Palermo Catania", "-"),
        (
            "GEOHASH Sicily Palermo Catania Nowhere",
            "[sqc8b49rny0 sqdtr74hyu0 -]",
        ),
        ("GEOHASH none a", "[-]"),
        (
            "GEOPOS Sicily Palermo Nowhere",
            "[[13.36138933897018433 38.11555639549629859] -]",
        ),
        ("ZSCORE Sicily Palermo", "3479099956230698"),
        ("TYPE Sicily", "zset"),
    ] {
        assert_eq!(flat(&c.run(line)), want, "{line}");
    }
    assert_eq!(c.run("GEOADD Sicily NX 1 1 Palermo"), 0);
    assert_eq!(c.run("GEOADD Sicily XX CH 13.4 38.1 Palermo 1 1 New"), 1);
    assert_eq!(c.run("ZCARD Sicily"), 2);
    c.run("HELLO 3");
    let pos = c.run("GEOPOS Sicily Catania");
    assert!(matches!(pos.items()[0].items()[0], Value::Double(_)));
}

#[test]
fn searches() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    sicily(&mut c);
    c.run("GEOADD Sicily 12.758489 38.788135 edge1 17.241510 38.788135 edge2");
    for (line, want) in [
        ("GEORADIUS Sicily 15 37 200 km ASC", "[Catania Palermo]"),
        ("GEORADIUS_RO Sicily 15 37 200 km DESC COUNT 1", "[Palermo]"),
        (
            "GEORADIUSBYMEMBER Sicily Palermo 100 km WITHDIST",
            "[[Palermo 0.0000] [edge1 91.4007]]",
        ),
        (
            "GEOSEARCH Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST WITHHASH",
            "[[Catania 56.4413 3479447370796909] [Palermo 190.4424 3479099956230698] \
             [edge2 279.7403 3481342659049484] [edge1 279.7405 3479273021651468]]",
        ),
        (
            "GEOSEARCH Sicily FROMMEMBER Catania BYRADIUS 1 m WITHCOORD",
            "[[Catania [15.08726745843887329 37.50266842333162032]]]",
        ),
        ("GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 1 m", "[]"),
        ("GEOSEARCH none FROMMEMBER x BYRADIUS 1 m", "[]"),
        ("GEORADIUSBYMEMBER none x 1 km", "[]"),
    ] {
        assert_eq!(flat(&c.run(line)), want, "{line}");
    }
    let any = c.run("GEOSEARCH Sicily FROMLONLAT 15 37 BYRADIUS 400 km COUNT 1 ANY");
    assert_eq!(any.items().len(), 1);
}

#[test]
fn errors() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    sicily(&mut c);
    c.ok("SET str x");
    for (line, want) in [
        (
            "GEOADD k 181 0 a",
            "ERR invalid longitude,latitude pair 181.000000,0.000000",
        ),
        (
            "GEOADD k 1 86 a",
            "ERR invalid longitude,latitude pair 1.000000,86.000000",
        ),
        ("GEOADD k x 0 a", "ERR value is not a valid float"),
        ("GEOADD k NX XX 1 1 a", "ERR syntax error"),
        ("GEOADD k 1 1 a 2", "ERR syntax error"),
        (
            "GEODIST Sicily a b yards",
            "ERR unsupported unit provided. please use M, KM, FT, MI",
        ),
        ("GEORADIUS Sicily 1 1 -1 m", "ERR radius cannot be negative"),
        ("GEORADIUS Sicily 1 1 x m", "ERR need numeric radius"),
        ("GEORADIUS_RO Sicily 1 1 1 m STORE k", "ERR syntax error"),
        ("GEORADIUS Sicily 1 1 1 m COUNT 0", "ERR COUNT must be > 0"),
        (
            "GEORADIUS Sicily 1 1 1 m ANY",
            "ERR the ANY argument requires COUNT argument",
        ),
        (
            "GEORADIUS Sicily 1 1 1 m WITHDIST STORE k",
            "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
        (
            "GEORADIUSBYMEMBER Sicily x 1 m",
            "ERR could not decode requested zset member",
        ),
        (
            "GEOSEARCH Sicily BYRADIUS 1 m WITHDIST ASC",
            "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH",
        ),
        (
            "geosearchstore k Sicily FROMLONLAT 1 1 ASC COUNT 1",
            "ERR exactly one of BYRADIUS and BYBOX can be specified for geosearchstore",
        ),
        (
            "GEOSEARCH Sicily FROMLONLAT 1 1 BYBOX -1 1 m",
            "ERR height or width cannot be negative",
        ),
        (
            "GEOSEARCH Sicily FROMLONLAT 1 1 BYBOX x 1 m",
            "ERR need numeric width",
        ),
        (
            "GEOSEARCH Sicily FROMLONLAT 1 1 BYBOX 1 x m",
            "ERR need numeric height",
        ),
        (
            "GEOSEARCH Sicily FROMLONLAT 1 1 FROMMEMBER Palermo BYRADIUS 1 m",
            "ERR syntax error",
        ),
        (
            "GEOPOS str a",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ] {
        c.run(line).assert_error(want);
    }
    assert_eq!(c.run("EXISTS k"), 0);
}

#[test]
fn storing() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    sicily(&mut c);
    c.ok("SET dst x");
    assert_eq!(c.run("GEORADIUS Sicily 15 37 200 km STORE dst"), 2);
    assert_eq!(flat(&c.run("GEOHASH dst Palermo")), "[sqc8b49rny0]");
    let line = "GEOSEARCHSTORE dst Sicily FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 STOREDIST";
    assert_eq!(c.run(line), 1);
    let score = c.run("ZSCORE dst Catania").text();
    assert!(score.starts_with("56.441257"), "{score}");
    assert_eq!(c.run("GEORADIUS Sicily 100 0 1 km STOREDIST dst"), 0);
    assert_eq!(c.run("EXISTS dst"), 0);
    c.ok("SET dst x");
    assert_eq!(c.run("GEORADIUSBYMEMBER none m 1 km STORE dst"), 0);
    assert_eq!(c.run("EXISTS dst"), 0);
}

#[test]
fn an_addition_is_propagated_as_zadd() {
    let server = Server::aedile(&[]);
    let stream = stream_of(&server, |c| {
        c.run("GEOADD g NX CH 13.361389 38.115556 Palermo");
        c.run("GEOADD g NX CH 13.361389 38.115556 Palermo");
        c.run("GEOSEARCH g FROMLONLAT 13 38 BYRADIUS 100 km");
        c.run("GEORADIUS g 13 38 100 km STORE dst");
    });
    assert_eq!(
        stream,
        [
            "SELECT 0",
            "zadd g NX CH 3479099956230698 Palermo",
            "GEORADIUS g 13 38 100 km STORE dst"
        ]
    );
}

/// A point on the far edges lies one cell outside the grid, so that a search around it looks elsewhere. So it does upstream.
#[test]
fn a_search_around_the_far_corner() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("ZADD g 1632074807894589 west 1e17 corner");
    assert_eq!(flat(&c.run("GEODIST g corner west km")), "1801.5802");
    for center in ["FROMMEMBER corner", "FROMLONLAT 180 85.05112878"] {
        let found = c.run(&format!("GEOSEARCH g {center} BYRADIUS 4096.127 km"));
        assert_eq!(flat(&found), "[]");
    }
    let line = "GEOSEARCH g FROMLONLAT 179.9 85.05 BYRADIUS 4096.127 km";
    assert_eq!(flat(&c.run(line)), "[west]");
}
