//! A stream from the parts that an RDB file has: nodes, meta data, groups with their pending entries and consumers.
//!
//! Whatever the bytes say, what comes out holds [`super`]'s promises to its callers. Errors are upstream's words for the log.

use super::node::stream_validate_listpack_integrity;
use super::{Edge, Group, Stream, StreamData, StreamId, StreamMeta};
use crate::ds::listpack::Listpack;
use crate::ds::owned::Own;

/// The most that a stream's length and its counter of entries may say.
const COUNT_MAX: u64 = i64::MAX as u64 / 2;

/// A stream that is being loaded. The parts come in this order: nodes, meta data, groups.
///
/// A group is filled through [`Group::load_nack`] for all its pending entries, then [`Group::create_consumer`] and
/// [`Group::load_owner`] for each consumer, and must be [`Group::is_loaded`] in the end.
#[derive(Default)]
pub(crate) struct StreamParts(StreamData);

impl StreamParts {
    pub(crate) fn new() -> StreamParts {
        StreamParts::default()
    }

    /// A node: the 16 bytes of its key, and its listpack, which is checked to the last element whatever
    /// sanitize-dump-payload says: reading a node that lies is an error here, not a crash.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn add_node(&mut self, key: &[u8], listpack: &[u8]) -> Result<(), &'static str> {
        let Ok(key) = <[u8; 16]>::try_from(key) else {
            return Err("Stream node key entry is not the size of a stream ID");
        };
        if !stream_validate_listpack_integrity(listpack, true) {
            return Err("Stream listpack integrity check failed.");
        }
        let lp = Listpack::from_validated(listpack);
        if !self.0.nodes.insert(StreamId::from_bytes(key), lp) {
            return Err("Listpack re-added with existing key");
        }
        Ok(())
    }

    /// The meta data, when the file has all of it (from RDB_TYPE_STREAM_LISTPACKS_2 on).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn set_meta(&mut self, meta: StreamMeta) -> Result<(), &'static str> {
        if meta.length > 0 && self.0.nodes.is_empty() {
            return Err("Stream length inconsistent with rax entries");
        }
        // Both are told as signed numbers and go up with every entry; no stream has come there one by one.
        if meta.length > COUNT_MAX || meta.entries_added > COUNT_MAX {
            return Err("Stream length or entries added beyond any real number");
        }
        self.0.meta = meta;
        Ok(())
    }

    /// The meta data of a file that knows only these two (RDB_TYPE_STREAM_LISTPACKS).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn set_old_meta(
        &mut self,
        length: u64,
        last_id: StreamId,
    ) -> Result<(), &'static str> {
        self.set_meta(StreamMeta {
            length,
            last_id,
            first_id: self.0.edge_id(Edge::First),
            max_deleted_entry_id: StreamId::MIN,
            entries_added: length,
        })
    }

    /// A group. `entries_read` is `None` when the file does not know it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn add_group(
        &mut self,
        name: &[u8],
        last_id: StreamId,
        entries_read: Option<i64>,
    ) -> Result<&mut Group, &'static str> {
        let read = entries_read
            .unwrap_or_else(|| self.0.meta.estimate_distance_from_first_ever_entry(last_id));
        self.0
            .create_cg(name, last_id, read)
            .ok_or("Duplicated consumer group name")
    }

    pub(crate) fn finish(self) -> Stream {
        Stream(Own::new(self.0))
    }
}
