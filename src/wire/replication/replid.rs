//! Replication ids: what a history is called.

/// Characters of a replication id (CONFIG_RUN_ID_SIZE).
pub(crate) const REPLID_LEN: usize = 40;

/// A replication id. Not always hexadecimal: whatever 40 bytes the master sent.
pub(crate) type ReplId = [u8; REPLID_LEN];
