//! What a value is written of, whether it is written at once or by pieces: elements, and the nodes of lists.

use std::io::{self, Write};

use crate::ds::listpack::LpValue;
use crate::ds::quicklist::NodeRef;
use crate::wire::rdb::{QUICKLIST_NODE_PACKED, QUICKLIST_NODE_PLAIN, RdbWriter};

/// A value's text.
pub(super) fn save_value<W: Write>(w: &mut RdbWriter<W>, v: LpValue<'_>) -> io::Result<()> {
    match v {
        LpValue::Int(n) => w.int_string(n),
        LpValue::Str(s) => w.string(s),
    }
}

pub(super) fn save_list_node<W: Write>(w: &mut RdbWriter<W>, node: NodeRef<'_>) -> io::Result<()> {
    match node {
        NodeRef::Packed(bytes) => {
            w.len(QUICKLIST_NODE_PACKED)?;
            w.string(&bytes)
        }
        NodeRef::Lzf { data, raw_len } => {
            w.len(QUICKLIST_NODE_PACKED)?;
            w.lzf_blob(data, raw_len as u64)
        }
        NodeRef::Plain(bytes) => {
            w.len(QUICKLIST_NODE_PLAIN)?;
            w.string(bytes)
        }
    }
}
