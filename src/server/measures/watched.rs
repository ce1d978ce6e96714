//! A master as a Sentinel sees it, for those who look at the server from outside of `sentinel`.

/// See the head of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WatchedMaster {
    /// The user's name for it, and its address with the port, as clients are told it.
    pub name: String,
    pub address: String,
    /// `ok`, `sdown` or `odown`.
    pub status: &'static str,
    pub slaves: usize,
    /// Of these, those that clients are told of and that are not down.
    pub ok_slaves: usize,
    /// Sentinels of it, and those that are not down; both with this one.
    pub sentinels: usize,
    pub ok_sentinels: usize,
    /// Whether a failover could be agreed upon, and SENTINEL CKQUORUM's words for it.
    pub quorum_reachable: bool,
    pub quorum_text: String,
    pub quorum: u32,
    pub failover_timeout_ms: i64,
    pub parallel_syncs: i32,
    pub down_after_ms: i64,
    pub config_epoch: u64,
    /// Milliseconds since it answered a PING well.
    pub last_ok_ping_ms: i64,
}
