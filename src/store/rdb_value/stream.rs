//! A stream's value: nodes, counters, groups with what is pending, consumers with what they own. Written whole or by parts, by the
//! same code.

use std::io::{self, Write};

use crate::ds::idmap::{IdMap, StreamId};
use crate::ds::listpack::Listpack;
use crate::store::stream::{Consumer, Group, Nack, StreamData};
use crate::wire::rdb::{RDB_TYPE_STREAM_LISTPACKS_2, RDB_TYPE_STREAM_LISTPACKS_3, RdbWriter};

fn save_id<W: Write>(w: &mut RdbWriter<W>, id: StreamId) -> io::Result<()> {
    w.len(id.ms)?;
    w.len(id.seq)
}

fn save_stream_node<W: Write>(w: &mut RdbWriter<W>, id: StreamId, lp: &Listpack) -> io::Result<()> {
    w.string(&id.to_bytes())?;
    w.string(lp.bytes())
}

/// What stands behind a stream's nodes, up to its groups.
fn save_stream_meta<W: Write>(
    w: &mut RdbWriter<W>,
    s: &StreamData,
    rdb_type: u8,
) -> io::Result<()> {
    w.len(s.meta.length)?;
    save_id(w, s.meta.last_id)?;
    if rdb_type >= RDB_TYPE_STREAM_LISTPACKS_2 {
        save_id(w, s.meta.first_id)?;
        save_id(w, s.meta.max_deleted_entry_id)?;
        w.len(s.meta.entries_added)?;
    }
    w.len(s.groups().len() as u64)
}

/// A group up to its pending entries.
fn save_group_head<W: Write>(w: &mut RdbWriter<W>, g: &Group, rdb_type: u8) -> io::Result<()> {
    w.string(g.name())?;
    save_id(w, g.last_id)?;
    if rdb_type >= RDB_TYPE_STREAM_LISTPACKS_2 {
        w.len(g.entries_read as u64)?;
    }
    w.len(g.pel().len() as u64)
}

fn save_nack<W: Write>(w: &mut RdbWriter<W>, id: StreamId, nack: &Nack) -> io::Result<()> {
    w.raw(&id.to_bytes())?;
    w.millisecond_time(nack.delivery_time)?;
    w.len(nack.delivery_count)
}

/// A consumer up to its pending entries.
fn save_consumer_head<W: Write>(
    w: &mut RdbWriter<W>,
    c: &Consumer,
    rdb_type: u8,
) -> io::Result<()> {
    w.string(c.name())?;
    w.millisecond_time(c.seen_time)?;
    if rdb_type >= RDB_TYPE_STREAM_LISTPACKS_3 {
        w.millisecond_time(c.active_time)?;
    }
    w.len(c.pel().len() as u64)
}

fn save_pel_id<W: Write>(w: &mut RdbWriter<W>, id: StreamId, (): &()) -> io::Result<()> {
    w.raw(&id.to_bytes())
}

/// How far a stream is written.
pub(super) enum StreamAt {
    /// Nodes from this id on.
    Nodes(StreamId),
    /// A group.
    Group(usize),
    /// Its pending entries from this id on.
    Pending(usize, StreamId),
    /// A consumer of it, and those of this consumer.
    Consumer(usize, usize),
    Owned(usize, usize, StreamId),
    Done,
}

/// Writes the items of a map from `from` on until `enough`. Returns where to go on; none: it is at its end.
fn some_of<V, W: Write>(
    w: &mut RdbWriter<W>,
    map: &IdMap<V>,
    from: StreamId,
    mut enough: impl FnMut(&RdbWriter<W>) -> bool,
    mut write: impl FnMut(&mut RdbWriter<W>, StreamId, &V) -> io::Result<()>,
) -> io::Result<Option<StreamId>> {
    let Some(first) = map.at_or_after(from) else {
        return Ok(None);
    };
    for (id, item) in map.iter_from(Some(first)) {
        if enough(w) {
            return Ok(Some(id));
        }
        write(w, id, item)?;
    }
    Ok(None)
}

impl StreamAt {
    /// Before the first node.
    pub(super) const START: StreamAt = StreamAt::Nodes(StreamId::MIN);

    /// Writes a part, and returns where to go on; it stops where the writer has written `until` bytes, or at the part's end.
    pub(super) fn more<W: Write>(
        self,
        w: &mut RdbWriter<W>,
        s: &StreamData,
        rdb_type: u8,
        until: u64,
    ) -> io::Result<StreamAt> {
        let enough = |w: &RdbWriter<W>| w.bytes_written() >= until;
        let groups = s.groups();
        // A group is there as long as it is counted.
        let behind = |group: usize| match group < groups.len() {
            true => StreamAt::Group(group),
            false => StreamAt::Done,
        };
        Ok(match self {
            StreamAt::Nodes(from) => match some_of(w, s.nodes(), from, enough, save_stream_node)? {
                Some(id) => StreamAt::Nodes(id),
                None => {
                    save_stream_meta(w, s, rdb_type)?;
                    behind(0)
                }
            },
            StreamAt::Group(g) => {
                save_group_head(w, &groups[g], rdb_type)?;
                StreamAt::Pending(g, StreamId::MIN)
            }
            StreamAt::Pending(g, from) => {
                match some_of(w, groups[g].pel(), from, enough, save_nack)? {
                    Some(id) => StreamAt::Pending(g, id),
                    None => {
                        w.len(groups[g].consumers_len() as u64)?;
                        StreamAt::Consumer(g, 0)
                    }
                }
            }
            StreamAt::Consumer(g, c) => match groups[g].consumer_at(c) {
                Some(consumer) => {
                    save_consumer_head(w, consumer, rdb_type)?;
                    StreamAt::Owned(g, c, StreamId::MIN)
                }
                None => behind(g + 1),
            },
            StreamAt::Owned(g, c, from) => {
                let Some(consumer) = groups[g].consumer_at(c) else {
                    return Ok(behind(g + 1));
                };
                match some_of(w, consumer.pel(), from, enough, save_pel_id)? {
                    Some(id) => StreamAt::Owned(g, c, id),
                    None => StreamAt::Consumer(g, c + 1),
                }
            }
            StreamAt::Done => StreamAt::Done,
        })
    }
}

/// Writes a whole stream.
pub(super) fn rdb_save_stream<W: Write>(
    w: &mut RdbWriter<W>,
    s: &StreamData,
    rdb_type: u8,
) -> io::Result<()> {
    w.len(s.nodes().len() as u64)?;
    let mut at = StreamAt::START;
    while !matches!(at, StreamAt::Done) {
        at = at.more(w, s, rdb_type, u64::MAX)?;
    }
    Ok(())
}
