//! Messages that are written are read as what they were; what is not a message is found out.

use super::name::Name;
use super::read::PacketError;
use super::slot_set::{SlotSet, slots_of};
use super::*;
use proptest::prelude::*;

fn name(c: u8) -> Name {
    Name::parse(&[c; CLUSTER_NAMELEN]).expect("a name")
}

fn header(slots: &SlotSet) -> Header<'_> {
    Header {
        sender: name(b'a'),
        slaveof: Some(name(b'b')),
        slots: slots.bits(),
        current_epoch: 7,
        config_epoch: 5,
        offset: 1 << 40,
        ip: b"10.0.0.1",
        port: 7000,
        pport: 7443,
        cport: 17000,
        flags: NodeFlags::SLAVE,
        down: true,
        message_flags: MessageFlags::PAUSED,
    }
}

fn gossip(c: u8) -> Gossip<'static> {
    Gossip {
        name: name(c),
        ping_sent_s: 3,
        pong_received_s: 4,
        ip: "::1",
        port: 1,
        cport: 2,
        flags: NodeFlags::MASTER | NodeFlags::PFAIL,
        pport: 9,
    }
}

fn ping() -> Vec<u8> {
    let mut slots = SlotSet::default();
    slots.insert(0);
    slots.insert(16383);
    let mut w = MessageWriter::new(Kind::Ping, &header(&slots));
    w.gossip(&gossip(b'c'));
    w.gossip(&gossip(b'd'));
    w.hostname("one.example");
    w.human_nodename("one");
    w.forgotten_node(name(b'e'), 60);
    w.shard_id(name(b'f'));
    w.finish()
}

/// A message of each form.
pub(crate) fn all_kinds() -> Vec<Vec<u8>> {
    let mut slots = SlotSet::default();
    slots.insert(5);
    let h = header(&slots);
    let mut fail = MessageWriter::new(Kind::Fail, &h);
    fail.failing(name(b'x'));
    let mut update = MessageWriter::new(Kind::Update, &h);
    let of = UpdateOf {
        name: name(b'y'),
        config_epoch: 11,
        slots: slots.bits(),
    };
    update.update(&of, SlotSet::default().bits());
    let mut publish = MessageWriter::new(Kind::PublishShard, &h);
    publish.publish(b"channel", b"a message");
    let auth = MessageWriter::new(Kind::AuthRequest, &h);
    vec![
        ping(),
        fail.finish(),
        update.finish(),
        publish.finish(),
        auth.finish(),
    ]
}

#[test]
fn a_ping_is_read_as_it_was_written() {
    let bytes = ping();
    assert_eq!(bytes.len(), HEADER_LEN + 2 * 104 + 24 + 16 + 56 + 48);
    let m = parse(&bytes).expect("sound");
    assert_eq!((m.kind, m.sender), (Some(Kind::Ping), name(b'a')));
    assert_eq!((m.port, m.pport, m.cport), (7000, 7443, 17000));
    assert_eq!((m.current_epoch, m.config_epoch, m.offset), (7, 5, 1 << 40));
    assert_eq!((m.slaveof, m.ip), (Some(name(b'b')), "10.0.0.1"));
    assert_eq!(slots_of(m.slots).collect::<Vec<_>>(), [0, 16383]);
    assert_eq!(
        (bytes[2252], m.message_flags.contains(MessageFlags::PAUSED)),
        (1, true)
    );
    let Body::Ping {
        gossip: g,
        hostname,
        human_nodename,
        shard_id,
        forgotten,
        unknown,
    } = m.body
    else {
        panic!("a ping");
    };
    assert_eq!(g, [gossip(b'c'), gossip(b'd')]);
    assert_eq!(hostname.as_deref(), Some("one.example"));
    assert_eq!(human_nodename.as_deref(), Some("one"));
    assert_eq!(
        (shard_id, forgotten),
        (Some(name(b'f')), vec![(name(b'e'), 60)])
    );
    assert!(unknown.is_empty());
}

#[test]
fn the_other_kinds_are_read_too() {
    let all = all_kinds();
    assert_eq!(
        parse(&all[1]).unwrap().body,
        Body::Fail { about: name(b'x') }
    );
    assert!(matches!(
        parse(&all[2]).unwrap().body,
        Body::Update { config_epoch: 11, slots, .. } if slots_of(slots).eq([5])
    ));
    assert_eq!(
        parse(&all[3]).unwrap().body,
        Body::Publish {
            channel: b"channel",
            message: b"a message"
        }
    );
    assert_eq!(parse(&all[4]).unwrap().kind, Some(Kind::AuthRequest));
}

#[test]
fn short_headers_are_of_pubsub_alone() {
    let light = light_publish(Kind::PublishShard, b"channel", b"a message");
    assert_eq!(light.len(), 16 + 8 + 7 + 9);
    let m = parse_light(&light).expect("sound").expect("a short one");
    assert_eq!(
        (m.kind, m.channel, m.message),
        (Kind::PublishShard, &b"channel"[..], &b"a message"[..])
    );
    assert!(parse(&light).is_err());
    for cut in 0..light.len() {
        assert!(parse_light(&light[..cut]).is_err(), "{cut}");
    }
    for (at, byte) in [(9, 2), (13, 0), (13, 3), (19, 200), (23, 255)] {
        let mut bad = light.clone();
        bad[at] = byte;
        assert!(parse_light(&bad).is_err(), "{at}");
    }
    for long in all_kinds() {
        assert!(parse_light(&long).expect("sound").is_none());
    }
}

#[test]
fn lengths_that_lie_are_found_out() {
    let sound = ping();
    for cut in 0..sound.len() {
        let mut bytes = sound[..cut].to_vec();
        assert!(parse(&bytes).is_err(), "{cut}");
        if cut >= 8 {
            bytes[4..8].copy_from_slice(&(cut as u32).to_be_bytes());
            assert!(parse(&bytes).is_err(), "{cut} with its length mended");
        }
    }
    let with = |at: usize, field: &[u8]| {
        let mut bytes = sound.clone();
        bytes[at..at + field.len()].copy_from_slice(field);
        parse(&bytes).err()
    };
    let first_extension = HEADER_LEN + 2 * 104;
    assert_eq!(with(0, b"RCmB"), Some(PacketError::Signature));
    assert_eq!(with(8, &[0, 2]), Some(PacketError::Version));
    assert!(matches!(
        with(14, &[255, 255]),
        Some(PacketError::Length { .. })
    ));
    assert!(with(14, &[0, 1]).is_some());
    for len in [0u32, 1, 7] {
        let e = with(first_extension, &len.to_be_bytes());
        assert!(matches!(e, Some(PacketError::Padding { .. })), "{len}");
    }
    let e = with(first_extension, &0xffff_fff8u32.to_be_bytes());
    assert!(matches!(e, Some(PacketError::Extension { .. })));
    // A name that nodes.conf could not bear, and an address with a line end.
    assert_eq!(with(40, b"A"), Some(PacketError::Text));
    assert_eq!(with(2168, b"1\n2"), Some(PacketError::Text));
    // A name for people that cannot be kept, and what we do not know, are no faults.
    assert_eq!(with(first_extension + 8, b"a b"), None);
    assert_eq!(with(12, &[1, 0]), None);
}

#[test]
fn a_set_of_slots_counts_and_has_ranges() {
    let mut s = SlotSet::default();
    for slot in [0, 1, 2, 9, 16382, 16383] {
        assert!(s.insert(slot));
    }
    assert!(!s.insert(9) && s.len() == 6);
    assert_eq!(s.ranges(), [(0, 2), (9, 9), (16382, 16383)]);
    assert!(s.remove(1) && !s.remove(1) && s.contains(2));
    assert_eq!((s.len(), s.ranges()[0]), (5, (0, 0)));
}

#[test]
fn stray_slots_are_read_as_they_are_written() {
    let slots = SlotSet::parse("0-3,9,16383").expect("slots");
    assert_eq!(slots.ranges(), [(0, 3), (9, 9), (16383, 16383)]);
    assert_eq!(slots.text(","), "0-3,9-9,16383-16383");
    for bad in ["", "a", "1-", "16384", "-1", "1,,2", "5-99999"] {
        assert!(SlotSet::parse(bad).is_none(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn damage_is_borne(which in 0usize..5, hits in proptest::collection::vec((0usize..4800, any::<u8>()), 1..12), cut in 0usize..4900) {
        let mut bytes = all_kinds().swap_remove(which);
        for (at, byte) in hits {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if cut < bytes.len() {
            bytes.truncate(cut);
            if let Some(len) = bytes.get_mut(4..8) {
                len.copy_from_slice(&(cut as u32).to_be_bytes());
            }
        }
        if let Ok(m) = parse(&bytes) {
            prop_assert!(is_address(m.ip.as_bytes()));
            if let Body::Ping { gossip, .. } = m.body {
                prop_assert!(gossip.len() * 104 + HEADER_LEN <= bytes.len());
                prop_assert!(gossip.iter().all(|g| is_address(g.ip.as_bytes())));
            }
        }
    }
}
