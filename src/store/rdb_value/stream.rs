//! Streams in RDB form: nodes raw, then what is known of all entries, then the groups.
//!
//! A group has all its pending entries first, without owners; each consumer then lists the ids of its own. Version 11 of the
//! format added when a consumer was active last, version 10 the counters by which a group's lag is known.

use std::io::{self, Read, Write};

use crate::store::stream::{Group, Stream, StreamId, StreamMeta, StreamParts};
use crate::wire::rdb::{
    Poll, RDB_TYPE_STREAM_LISTPACKS, RDB_TYPE_STREAM_LISTPACKS_2, RDB_TYPE_STREAM_LISTPACKS_3,
    RdbError, RdbErrorKind, RdbReader, RdbWriter,
};

/// The first version of the format with [`RDB_TYPE_STREAM_LISTPACKS_3`].
const ACTIVE_TIME_SINCE: u16 = 11;

/// The type byte of streams in a file of this version.
pub(super) fn stream_type(version: u16) -> u8 {
    if version < ACTIVE_TIME_SINCE {
        RDB_TYPE_STREAM_LISTPACKS_2
    } else {
        RDB_TYPE_STREAM_LISTPACKS_3
    }
}

fn save_id<W: Write>(w: &mut RdbWriter<W>, id: StreamId) -> io::Result<()> {
    w.len(id.ms)?;
    w.len(id.seq)
}

/// Writes a stream as the type that [`stream_type`] says.
pub(super) fn save<W: Write>(w: &mut RdbWriter<W>, stream: &Stream) -> io::Result<()> {
    let s = &*stream.0;
    w.len(s.nodes().len() as u64)?;
    for (id, lp) in s.nodes().iter() {
        w.string(&id.to_bytes())?;
        w.string(lp.bytes())?;
    }
    let m = &s.meta;
    w.len(m.length)?;
    save_id(w, m.last_id)?;
    save_id(w, m.first_id)?;
    save_id(w, m.max_deleted_entry_id)?;
    w.len(m.entries_added)?;
    w.len(s.groups().len() as u64)?;
    s.groups().iter().try_for_each(|g| save_group(w, g))
}

fn save_group<W: Write>(w: &mut RdbWriter<W>, group: &Group) -> io::Result<()> {
    w.string(group.name())?;
    save_id(w, group.last_id)?;
    w.len(group.entries_read as u64)?;
    w.len(group.pel().len() as u64)?;
    for (id, nack) in group.pel().iter() {
        w.raw(&id.to_bytes())?;
        w.millisecond_time(nack.delivery_time)?;
        w.len(nack.delivery_count)?;
    }
    w.len(group.consumers_len() as u64)?;
    for c in group.consumers() {
        w.string(c.name())?;
        w.millisecond_time(c.seen_time)?;
        if w.version() >= ACTIVE_TIME_SINCE {
            w.millisecond_time(c.active_time)?;
        }
        w.len(c.pel().len() as u64)?;
        for (id, ()) in c.pel().iter() {
            w.raw(&id.to_bytes())?;
        }
    }
    Ok(())
}

fn load_id<R: Read>(r: &mut RdbReader<R>, poll: Poll<'_>) -> Result<StreamId, RdbError> {
    Ok(StreamId {
        ms: r.read_len(&mut *poll)?,
        seq: r.read_len(poll)?,
    })
}

fn load_raw_id<R: Read>(r: &mut RdbReader<R>, poll: Poll<'_>) -> Result<StreamId, RdbError> {
    r.read_array(poll).map(StreamId::from_bytes)
}

/// Reads a stream of one of the three types.
///
/// # Errors
/// What the reader finds wrong, or what is wrong with the stream.
pub(super) fn load<R: Read>(
    r: &mut RdbReader<R>,
    rdb_type: u8,
    poll: Poll<'_>,
) -> Result<Stream, RdbError> {
    let mut parts = StreamParts::new();
    let (mut key, mut listpack) = (Vec::new(), Vec::new());
    for _ in 0..r.read_len(&mut *poll)? {
        r.read_string_into(&mut key, &mut *poll)?;
        r.read_string_into(&mut listpack, &mut *poll)?;
        let added = parts.add_node(&key, &listpack);
        added.map_err(|text| corrupt(r, text))?;
    }
    let length = r.read_len(&mut *poll)?;
    let last_id = load_id(r, &mut *poll)?;
    let set = if rdb_type == RDB_TYPE_STREAM_LISTPACKS {
        parts.set_old_meta(length, last_id)
    } else {
        let meta = StreamMeta {
            length,
            last_id,
            first_id: load_id(r, &mut *poll)?,
            max_deleted_entry_id: load_id(r, &mut *poll)?,
            entries_added: r.read_len(&mut *poll)?,
        };
        parts.set_meta(meta)
    };
    set.map_err(|text| corrupt(r, text))?;
    for _ in 0..r.read_len(&mut *poll)? {
        r.read_string_into(&mut key, &mut *poll)?;
        let last_id = load_id(r, &mut *poll)?;
        let entries_read = match rdb_type {
            RDB_TYPE_STREAM_LISTPACKS => None,
            _ => Some(r.read_len(&mut *poll)? as i64),
        };
        match parts.add_group(&key, last_id, entries_read) {
            Ok(group) => load_group(r, rdb_type, group, &mut *poll)?,
            Err(text) => return Err(corrupt(r, text)),
        }
    }
    Ok(parts.finish())
}

fn load_group<R: Read>(
    r: &mut RdbReader<R>,
    rdb_type: u8,
    group: &mut Group,
    poll: Poll<'_>,
) -> Result<(), RdbError> {
    for _ in 0..r.read_len(&mut *poll)? {
        let id = load_raw_id(r, &mut *poll)?;
        let delivery_time = r.read_millisecond_time(&mut *poll)?;
        let delivery_count = r.read_len(&mut *poll)?;
        if !group.load_nack(id, delivery_time, delivery_count) {
            let text = "Duplicated global PEL entry loading stream consumer group";
            return Err(corrupt(r, text));
        }
    }
    let mut name = Vec::new();
    for _ in 0..r.read_len(&mut *poll)? {
        r.read_string_into(&mut name, &mut *poll)?;
        let seen_time = r.read_millisecond_time(&mut *poll)?;
        let active_time = match rdb_type {
            RDB_TYPE_STREAM_LISTPACKS_3 => r.read_millisecond_time(&mut *poll)?,
            // The best that is known.
            _ => seen_time,
        };
        let Some(consumer) = group.create_consumer(&name, seen_time) else {
            return Err(corrupt(r, "Duplicate stream consumer detected."));
        };
        group.consumer_mut(consumer).active_time = active_time;
        for _ in 0..r.read_len(&mut *poll)? {
            let id = load_raw_id(r, &mut *poll)?;
            let owned = group.load_owner(id, consumer);
            owned.map_err(|text| corrupt(r, text))?;
        }
    }
    if !group.is_loaded() {
        return Err(corrupt(r, "Stream CG PEL entry without consumer"));
    }
    Ok(())
}

#[cold]
fn corrupt<R: Read>(r: &RdbReader<R>, text: &'static str) -> RdbError {
    r.error(RdbErrorKind::Corrupt(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::stream::{IdChoice, NodeLimits, SCG_INVALID_ENTRIES_READ};
    use crate::wire::rdb::{RdbWriterOptions, no_poll};
    use proptest::prelude::*;

    fn sample(entries: usize) -> Stream {
        let mut s = Stream::new();
        let limits = NodeLimits {
            max_bytes: 0,
            max_entries: 7,
        };
        for i in 0..entries {
            let id = s.0.meta.next_id(IdChoice::Auto, (i / 3) as i64 + 1);
            let id = id.expect("ids rise");
            let value = vec![b'a' + i as u8 % 20; 30];
            let args: [&[u8]; 2] = [b"field", &value];
            assert!(s.0.append_item(id, 1, |i| args[i], limits));
        }
        s.0.delete_items(&[StreamId::new(2, 0), StreamId::new(3, 1)]);
        for (name, read) in [(&b"g"[..], 5), (b"other", SCG_INVALID_ENTRIES_READ)] {
            let g = s.0.create_cg(name, StreamId::new(4, 0), read);
            let g = g.expect("a new name");
            for n in 0..3u8 {
                let c = g.create_consumer(&[b'c', n], 1000 + i64::from(n));
                let c = c.expect("a new name");
                g.deliver(StreamId::new(1, u64::from(n)), c, 77);
                g.consumer_mut(c).active_time = 5 + i64::from(n);
            }
            g.redeliver(StreamId::new(1, 1), 99);
        }
        s
    }

    fn saved(s: &Stream, version: u16) -> Vec<u8> {
        let mut w = RdbWriter::in_memory(RdbWriterOptions {
            version,
            ..RdbWriterOptions::default()
        });
        save(&mut w, s).expect("memory");
        w.into_bytes()
    }

    #[test]
    fn a_stream_survives_with_its_groups() {
        for entries in [3, 100] {
            let s = sample(entries);
            for version in [10, 11] {
                let bytes = saved(&s, version);
                let mut r = RdbReader::for_payload(&bytes);
                let t = load(&mut r, stream_type(version), &mut no_poll).expect("valid");
                assert_eq!(r.bytes_read(), bytes.len() as u64);
                assert_eq!(t.0.meta, s.0.meta);
                assert_eq!(saved(&t, 10), saved(&s, 10));
                if version == 11 {
                    assert_eq!(saved(&t, 11), bytes);
                }
            }
        }
    }

    #[test]
    fn an_old_stream_counts_what_it_has() {
        let s = sample(10);
        let full = saved(&s, 10);
        // The older form lacks first id, deleted id and counter: all that is between the last id and the groups.
        let mut w = RdbWriter::in_memory(RdbWriterOptions::default());
        w.len(s.0.nodes().len() as u64).expect("memory");
        for (id, lp) in s.0.nodes().iter() {
            w.string(&id.to_bytes()).expect("memory");
            w.string(lp.bytes()).expect("memory");
        }
        w.len(s.0.meta.length).expect("memory");
        save_id(&mut w, s.0.meta.last_id).expect("memory");
        w.len(0).expect("memory");
        let old = w.into_bytes();
        assert!(old.len() < full.len());
        let mut r = RdbReader::for_payload(&old);
        let t = load(&mut r, RDB_TYPE_STREAM_LISTPACKS, &mut no_poll).expect("valid");
        assert_eq!(t.0.meta.first_id, StreamId::new(1, 0));
        assert_eq!(t.0.meta.entries_added, t.0.meta.length);
        assert!(t.0.meta.max_deleted_entry_id.is_zero());
    }

    proptest! {
        /// Damaged payloads are refused, or give a stream that holds together.
        #[test]
        fn payloads_that_lie_do_no_harm(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>(), cuts in any::<bool>()) {
            let mut bytes = saved(&sample(10), 11);
            for (at, to) in changes {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            if cuts {
                bytes.truncate(cut.index(bytes.len()));
            }
            for t in [RDB_TYPE_STREAM_LISTPACKS, RDB_TYPE_STREAM_LISTPACKS_2, RDB_TYPE_STREAM_LISTPACKS_3] {
                let mut r = RdbReader::for_payload(&bytes);
                if let Ok(s) = load(&mut r, t, &mut no_poll) {
                    prop_assert!(s.0.groups().iter().all(Group::is_loaded));
                    saved(&s, 11);
                    s.0.range(StreamId::MIN, StreamId::MAX, true).for_each(drop);
                }
            }
        }
    }
}
