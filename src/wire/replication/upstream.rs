//! The masters above a master, as it tells a replica of its own that asks for them: `+OK upstream=<host>:<port>/<link>,...`.
//!
//! Nearest first: the server's own master, then that one's, as it has been told itself; `<link>` is whether the server below
//! has its link to it (`up`, `down`). Nobody but an Aedile asks, so that a Redis sees nothing of it.
//!
//! Invariants: what is told fits the line of a handshake (`handshake::HANDSHAKE_LINE_SIZE`); no address is told twice, so that
//! a loop of replicas has an end; what is read is taken whole or not at all, and has no characters but those of addresses and
//! names.
//!
//! Must not know sockets, clients or clocks.

use crate::wire::replication::capabilities::plain_number;

/// Masters that are told and read at the most.
pub(crate) const MASTERS_MAX: usize = 8;
/// The longest text of them that is told and read, bytes.
pub(crate) const TEXT_MAX: usize = 224;

const WORD: &str = "upstream=";
const UP: &str = "/up";
const DOWN: &str = "/down";

/// A master further up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MasterAbove {
    /// `host:port`, as its replica calls it.
    pub address: String,
    /// Whether that replica has its link to it.
    pub up: bool,
}

/// The characters of addresses, their zones, and names.
fn is_host(host: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b".:-_%".contains(&b);
    !host.is_empty() && host.bytes().all(good)
}

/// The word of a status that tells a server's own master and those above that one; none where there is nothing that can be said.
pub(crate) fn tell(host: &str, port: u16, up: bool, above: &[MasterAbove]) -> Option<String> {
    if !is_host(host) || port == 0 {
        return None;
    }
    let own = MasterAbove {
        address: format!("{host}:{port}"),
        up,
    };
    let mut text = String::new();
    let mut told: Vec<&str> = Vec::new();
    for m in std::iter::once(&own).chain(above).take(MASTERS_MAX) {
        let comma = if told.is_empty() { "" } else { "," };
        let entry = [comma, &m.address, if m.up { UP } else { DOWN }].concat();
        if told.contains(&m.address.as_str()) || text.len() + entry.len() > TEXT_MAX {
            break;
        }
        text.push_str(&entry);
        told.push(&m.address);
    }
    (!told.is_empty()).then(|| [WORD, &text].concat())
}

/// The masters that a reply to `REPLCONF capa upstream` tells; none of them where it is no more than `+OK`. `None`: it makes no
/// sense.
pub(crate) fn hear(line: &[u8]) -> Option<Vec<MasterAbove>> {
    let text = std::str::from_utf8(line.strip_prefix(b"+OK")?).ok()?;
    if text.is_empty() {
        return Some(Vec::new());
    }
    let text = text.strip_prefix(' ')?.strip_prefix(WORD)?;
    if text.len() > TEXT_MAX {
        return None;
    }
    let mut all: Vec<MasterAbove> = Vec::new();
    for entry in text.split(',') {
        let (address, up) = match entry.strip_suffix(UP) {
            Some(address) => (address, true),
            None => (entry.strip_suffix(DOWN)?, false),
        };
        let (host, port) = address.rsplit_once(':')?;
        let number = plain_number(port.as_bytes())?;
        let plain = (1..=65535).contains(&number) && !port.starts_with('0');
        let again = all.iter().any(|m| m.address == address);
        if !is_host(host) || !plain || again || all.len() == MASTERS_MAX {
            return None;
        }
        let address = address.to_string();
        all.push(MasterAbove { address, up });
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::replication::handshake::HANDSHAKE_LINE_SIZE;

    fn above(addresses: &[&str]) -> Vec<MasterAbove> {
        let one = |a: &&str| MasterAbove {
            address: a.trim_end_matches('!').to_string(),
            up: !a.ends_with('!'),
        };
        addresses.iter().map(one).collect()
    }

    fn heard(told: Option<String>) -> Vec<MasterAbove> {
        let line = format!("+OK {}", told.expect("something is told"));
        assert!(line.len() + 2 < HANDSHAKE_LINE_SIZE, "{line}");
        hear(line.as_bytes()).expect("what is told is heard")
    }

    #[test]
    fn what_is_told_is_heard() {
        let told = tell(
            "10.0.0.1",
            6379,
            true,
            &above(&["::1:1", "db.example:65535!"]),
        );
        assert_eq!(
            told.as_deref(),
            Some("upstream=10.0.0.1:6379/up,::1:1/up,db.example:65535/down")
        );
        assert_eq!(
            heard(told),
            above(&["10.0.0.1:6379", "::1:1", "db.example:65535!"])
        );
        assert_eq!(
            heard(tell("fe80::1%eth0", 1, false, &[])),
            above(&["fe80::1%eth0:1!"])
        );
        assert_eq!(hear(b"+OK"), Some(Vec::new()));
    }

    #[test]
    fn it_has_a_bound() {
        let many: Vec<String> = (1..=40).map(|n| format!("10.1.1.{n}:6379")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let all = heard(tell("10.0.0.1", 6379, true, &above(&many)));
        assert_eq!(all.len(), MASTERS_MAX);
        let long = "n".repeat(90);
        let long: Vec<String> = (1..=4).map(|n| format!("{long}{n}:1")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        assert_eq!(heard(tell("a", 1, true, &above(&long))).len(), 3);
        assert_eq!(tell(&"n".repeat(TEXT_MAX), 1, true, &[]), None);
    }

    #[test]
    fn a_loop_has_an_end() {
        let all = heard(tell("a", 1, true, &above(&["b:1", "c:1", "a:1", "b:1"])));
        assert_eq!(all, above(&["a:1", "b:1", "c:1"]));
    }

    #[test]
    fn what_is_no_address_is_not_told() {
        for host in ["", "a b", "a,b", "<b>", "a\r\nb", "\u{fc}ber", "a/b", "\"a"] {
            assert_eq!(tell(host, 1, true, &[]), None, "{host}");
        }
        assert_eq!(tell("a", 0, true, &[]), None);
    }

    #[test]
    fn what_makes_no_sense_is_not_heard() {
        for line in [
            "",
            "OK upstream=a:1/up",
            "-OK upstream=a:1/up",
            "+OK ",
            "+OK behind",
            "+OK upstream",
            "+OK upstream=",
            "+OK upstream=,",
            "+OK upstream=a:1",
            "+OK upstream=a:1/",
            "+OK upstream=a:1/UP",
            "+OK upstream=a:1/up,",
            "+OK upstream=a:1/up, b:1/up",
            "+OK upstream=a:1/up b:1/up",
            "+OK upstream=a:0/up",
            "+OK upstream=a:01/up",
            "+OK upstream=a:+1/up",
            "+OK upstream=a:65536/up",
            "+OK upstream=a:/up",
            "+OK upstream=:1/up",
            "+OK upstream=a/up",
            "+OK upstream=a:1/up,a:1/down",
            "+OK upstream=<b>:1/up",
            "+OK upstream=a\tb:1/up",
            "+OK upstream=\u{fc}:1/up",
            "+OK  upstream=a:1/up",
        ] {
            assert_eq!(hear(line.as_bytes()), None, "{line}");
        }
        let nine: Vec<String> = (1..=9).map(|n| format!("a:{n}/up")).collect();
        assert_eq!(
            hear(format!("+OK upstream={}", nine.join(",")).as_bytes()),
            None
        );
        let long = format!("+OK upstream={}:1/up", "a".repeat(TEXT_MAX));
        assert_eq!(hear(long.as_bytes()), None);
        assert_eq!(hear(b"+OK upstream=\xff:1/up"), None);
    }
}
