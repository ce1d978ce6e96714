//! Which requests this node serves, and where others are sent (getNodeByQuery, clusterRedirectClient,
//! clusterRedirectBlockedClientIfNeeded).
//!
//! Must not know: how a request came.

use crate::base::key_slot::key_hash_slot;
use crate::cluster::node::NodeId;
use crate::cluster::state::Cluster;
use crate::config::value::ClusterEndpointType;
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::execution::block::BlockType;
use crate::server::execution::command::{CommandFlags, CommandId, KeyFlags, KeyRefs, Touches};
use crate::server::execution::exec::Route;

/// Why a request is not served here (CLUSTER_REDIR_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Redirect {
    CrossSlot,
    Unstable,
    Ask(u16, NodeId),
    Moved(u16, NodeId),
    DownState,
    DownUnbound,
    DownReadOnly,
}

/// What is asked of the cluster for one request.
struct Query {
    flags: CommandFlags,
    client_flags: ClientFlags,
    /// It is about shard channels, not keys.
    channels: bool,
    migrate: bool,
}

/// The keys of a request as far as they have been seen.
#[derive(Default)]
struct Seen<'a> {
    slot: Option<u16>,
    first: &'a [u8],
    several: bool,
    crosses: bool,
}

impl<'a> Seen<'a> {
    /// False: that is enough.
    fn key(&mut self, key: &'a [u8]) -> bool {
        let slot = key_hash_slot(key);
        match self.slot {
            None => {
                self.slot = Some(slot);
                self.first = key;
            }
            Some(s) if s != slot => self.crosses = true,
            Some(_) => self.several |= self.first != key,
        }
        !self.crosses
    }
}

impl Server {
    /// Whether this node serves a request, now. Notes the slot that the request is about.
    pub(crate) fn cluster_redirection(
        &mut self,
        cid: ClientId,
        id: CommandId,
        args: &Args,
        flags: CommandFlags,
        client_flags: ClientFlags,
    ) -> Route {
        self.exec.call.slot.set(None);
        if self.must_obey_client(cid) {
            return Route::Here;
        }
        match self.get_node_by_query(cid, id, args, flags, client_flags) {
            Ok(slot) => {
                self.exec.call.slot.set(slot);
                if !self.slot_migrations.exports.is_empty()
                    && self.slot_export_holds_back(cid, (id, flags, client_flags), args, slot)
                {
                    return Route::Later;
                }
                Route::Here
            }
            Err(why) => Route::Elsewhere(self.redirection_text(why)),
        }
    }

    /// What is told instead of running a command of a script that `caller` has called; `may_cross`: it may use several slots
    /// (scriptVerifyClusterState).
    pub(crate) fn cluster_refusal_in_script(
        &mut self,
        caller: ClientId,
        id: CommandId,
        args: &Args,
        may_cross: bool,
    ) -> Option<&'static str> {
        let row = self.commands.row(id);
        if !self.exec.unusual && self.exec.is_at_home_of_script(row, args, may_cross) {
            return None;
        }
        if self.must_obey_client(caller) {
            return None;
        }
        let flags = row.flags;
        let client_flags = self.clients.get(caller).map_or(ClientFlags::empty(), |c| {
            c.flags & (ClientFlags::READONLY | ClientFlags::ASKING)
        });
        let slot = match self.get_node_by_query(caller, id, args, flags, client_flags) {
            Ok(slot) => slot,
            Err(Redirect::DownReadOnly) => {
                return Some(
                    "Script attempted to execute a write command while the cluster is down and readonly",
                );
            }
            Err(Redirect::DownState) => {
                return Some("Script attempted to execute a command while the cluster is down");
            }
            Err(_) => {
                return Some("Script attempted to access a non local key in a cluster node");
            }
        };
        if may_cross || slot.is_none() {
            return None;
        }
        match self.exec.call.slot.get() {
            None => self.exec.call.slot.set(slot),
            noted if noted != slot => {
                return Some("Script attempted to access keys that do not hash to the same slot");
            }
            _ => {}
        }
        None
    }

    /// The slot of a request that this node serves, none where it has no keys (getNodeByQuery).
    fn get_node_by_query(
        &self,
        cid: ClientId,
        id: CommandId,
        args: &Args,
        flags: CommandFlags,
        client_flags: ClientFlags,
    ) -> Result<Option<u16>, Redirect> {
        let Some(c) = self.cluster.as_deref() else {
            return Ok(None);
        };
        let command = self.commands.command(id);
        let mut seen = Seen::default();
        let mut query = Query {
            flags,
            client_flags,
            channels: is_about_channels(command),
            migrate: command.name == "migrate",
        };
        if flags.contains(CommandFlags::RUNS_QUEUED) {
            if !client_flags.contains(ClientFlags::MULTI) {
                return Ok(None);
            }
            query.flags = self.flags_inside_multi(cid, flags);
            let queued = self.clients.get(cid).and_then(|c| c.multi.as_deref());
            let all: Vec<_> = queued.iter().flat_map(|m| m.queued()).collect();
            for (id, args) in &all {
                let command = self.commands.command(*id);
                let all_seen = |keys: &KeyRefs| keys.iter().all(|k| seen.key(&args[k.pos]));
                if !self.exec.with_routed_keys(command, args, all_seen) {
                    break;
                }
            }
            let there = |want: bool| {
                all.iter().any(|(id, args)| {
                    let command = self.commands.command(*id);
                    let is_one =
                        |keys: &KeyRefs| keys.iter().any(|k| self.has_key(&args[k.pos]) == want);
                    self.exec.with_routed_keys(command, args, is_one)
                })
            };
            return self.judge(c, &query, &seen, there);
        }
        if let Touches::Key(pos, _) = self.commands.row(id).touches() {
            let Some(key) = args.get(usize::from(pos)) else {
                return Ok(None);
            };
            seen.key(key);
            return self.judge(c, &query, &seen, |want| self.has_key(key) == want);
        }
        self.exec.with_routed_keys(command, args, |keys| {
            // One that is in another slot is enough.
            let _ = keys.iter().all(|k| seen.key(&args[k.pos]));
            let there = |want: bool| keys.iter().any(|k| self.has_key(&args[k.pos]) == want);
            self.judge(c, &query, &seen, there)
        })
    }

    /// Whether a key is there, for nobody to notice.
    fn has_key(&self, key: &[u8]) -> bool {
        self.find_key(0, key)
            .is_some_and(|at| !self.entry_is_expired(at.entry(&self.dbs)))
    }

    /// `there(true)`: one of the keys is there; `there(false)`: one is not.
    fn judge(
        &self,
        c: &Cluster,
        query: &Query,
        seen: &Seen<'_>,
        there: impl Fn(bool) -> bool,
    ) -> Result<Option<u16>, Redirect> {
        let Some(slot) = seen.slot else {
            return Ok(None);
        };
        let Some(owner) = c.owner(slot) else {
            return Err(Redirect::DownUnbound);
        };
        if seen.crosses {
            return Err(Redirect::CrossSlot);
        }
        let mine = owner == c.myself;
        if !self.slot_migrations.hidden.is_empty() && self.slot_migrations.hidden.contains(slot) {
            if query.client_flags.contains(ClientFlags::IMPORT) {
                return Ok(Some(slot));
            }
            if mine {
                // It has come back while its old keys were being deleted.
                return Err(Redirect::Unstable);
            }
        }
        let migrating = c.migrating.get(&slot).copied().filter(|_| mine);
        let importing = migrating.is_none() && c.importing.contains_key(&slot);
        let writes = query.flags.contains(CommandFlags::WRITE);
        if c.down {
            let config = &self.config;
            if query.channels {
                if !config.cluster_allow_pubsubshard_when_down {
                    return Err(Redirect::DownState);
                }
            } else if !config.cluster_allow_reads_when_down {
                return Err(Redirect::DownState);
            } else if writes {
                return Err(Redirect::DownReadOnly);
            }
        }
        if (migrating.is_some() || importing) && query.migrate {
            return Ok(Some(slot));
        }
        let missing = |open: bool| open && !query.channels && there(false);
        if let Some(to) = migrating
            && missing(true)
        {
            return Err(match there(true) {
                true => Redirect::Unstable,
                false => Redirect::Ask(slot, to),
            });
        }
        if importing
            && (query.client_flags.contains(ClientFlags::ASKING)
                || query.flags.contains(CommandFlags::ASKING))
        {
            return match seen.several && missing(true) {
                true => Err(Redirect::Unstable),
                false => Ok(Some(slot)),
            };
        }
        let reads = query.client_flags.contains(ClientFlags::READONLY) || query.channels;
        if reads && !writes && c.me().is_slave() && c.me().slaveof == Some(owner) {
            return Ok(Some(slot));
        }
        match mine {
            true => Ok(Some(slot)),
            false => Err(Redirect::Moved(slot, owner)),
        }
    }

    /// What a client is told (clusterRedirectClient).
    fn redirection_text(&self, why: Redirect) -> String {
        let (word, slot, node) = match why {
            Redirect::CrossSlot => {
                return "-CROSSSLOT Keys in request don't hash to the same slot".into();
            }
            Redirect::Unstable => {
                return "-TRYAGAIN Multiple keys request during rehashing of slot".into();
            }
            Redirect::DownState => return "-CLUSTERDOWN The cluster is down".into(),
            Redirect::DownReadOnly => {
                return "-CLUSTERDOWN The cluster is down and only accepts read commands".into();
            }
            Redirect::DownUnbound => return "-CLUSTERDOWN Hash slot not served".into(),
            Redirect::Ask(slot, node) => ("ASK", slot, node),
            Redirect::Moved(slot, node) => ("MOVED", slot, node),
        };
        let Some(c) = self.cluster.as_deref() else {
            return String::new();
        };
        let n = &c[node];
        let endpoint = match self.config.cluster_preferred_endpoint_type {
            ClusterEndpointType::Ip => &n.ip[..],
            ClusterEndpointType::Hostname if n.hostname.is_empty() => "?",
            ClusterEndpointType::Hostname => &n.hostname,
            ClusterEndpointType::UnknownEndpoint => "",
        };
        let port = n.port(self.client_sees_tls());
        format!("-{word} {slot} {endpoint}:{port}")
    }

    /// Whether the current client is to be told the ports for TLS (shouldReturnTlsInfo).
    pub(super) fn client_sees_tls(&self) -> bool {
        let client = self.exec.call.client.and_then(|cid| self.clients.get(cid));
        match client.and_then(|c| c.conn.as_ref()) {
            Some(conn) => conn.tls().is_some(),
            None => self.config.tls_cluster,
        }
    }

    /// A client waits for a key of a slot that has left: it is told where to go (clusterRedirectBlockedClientIfNeeded).
    pub(crate) fn cluster_redirect_blocked_client(&mut self, cid: ClientId) {
        let Some(c) = self.cluster.as_deref() else {
            return;
        };
        let client = self.clients.get(cid);
        let Some((client, block)) = client.and_then(|c| Some((c, c.block.as_deref()?))) else {
            return;
        };
        let on_keys = matches!(
            block.kind,
            BlockType::List | BlockType::Zset | BlockType::Stream
        );
        let Some(waiting) = block.waiting.as_deref().filter(|_| on_keys) else {
            return;
        };
        let why = if c.down {
            Some(Redirect::DownState)
        } else if let Some(key) = waiting.first_key() {
            let slot = key_hash_slot(key);
            let owner = c.owner(slot);
            let flags = self.commands.row(waiting.command()).flags;
            let reads = client.has(ClientFlags::READONLY)
                && !flags.contains(CommandFlags::WRITE)
                && c.me().is_slave()
                && c.me().slaveof.is_some()
                && c.me().slaveof == owner;
            match owner {
                _ if owner == Some(c.myself) || reads || c.importing.contains_key(&slot) => None,
                None => Some(Redirect::DownUnbound),
                Some(owner) => Some(Redirect::Moved(slot, owner)),
            }
        } else {
            None
        };
        if let Some(why) = why {
            let before = self.exec.call.client.replace(cid);
            let text = self.redirection_text(why);
            self.exec.call.client = before;
            self.unblock_client_on_error(cid, &text);
        }
    }
}

/// A command of sharded pub/sub.
fn is_about_channels(command: &crate::server::execution::command::Command) -> bool {
    command
        .key_specs
        .iter()
        .any(|s| s.flags.contains(KeyFlags::NOT_KEY))
}
