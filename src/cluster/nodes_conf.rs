//! nodes.conf: what a node keeps of its cluster beyond its own life, a line for each node (clusterGenNodesDescription, clusterLoadConfig,
//! clusterSaveConfig, clusterLockConfig). The same lines, without what only a file has, are the answer to CLUSTER NODES.
//!
//! Invariants: the file is replaced as a whole, and the lock is on the one that has the name. A file with a line that cannot be is not
//! loaded: half a cluster is worse than none.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::base::random::RandomSource;
use crate::base::split_args::sdssplitargs;
use crate::base::sys::{self, strerror};
use crate::cluster::node::{Node, NodeId};
use crate::cluster::state::{Cluster, Todo, random_name};
use crate::server::Server;
use crate::server_log;
use crate::wire::cluster::name::Name;
use crate::wire::cluster::slot_set::{SlotSet, parse_slot, slot_range};
use crate::wire::cluster::{NodeFlags, is_address, is_hostname, is_nodename};

/// Flags and their words, in the order in which they are shown.
const FLAG_WORDS: &[(NodeFlags, &str)] = &[
    (NodeFlags::MYSELF, "myself"),
    (NodeFlags::MASTER, "master"),
    (NodeFlags::SLAVE, "slave"),
    (NodeFlags::PFAIL, "fail?"),
    (NodeFlags::FAIL, "fail"),
    (NodeFlags::HANDSHAKE, "handshake"),
    (NodeFlags::NOADDR, "noaddr"),
    (NodeFlags::NOFAILOVER, "nofailover"),
];

/// Upstream adds 10000 to the port for clients where a file does not tell the bus' (CLUSTER_PORT_INCR).
pub(super) const CLUSTER_PORT_INCR: u16 = 10000;

/// For whom nodes are described.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reader {
    /// A client.
    Client,
    /// The file, which has more fields.
    File,
}

/// representClusterNodeFlags.
pub(super) fn flag_words(flags: NodeFlags) -> String {
    let words: Vec<&str> = FLAG_WORDS
        .iter()
        .filter(|(f, _)| flags.contains(*f))
        .map(|(_, word)| *word)
        .collect();
    match words.is_empty() {
        true => "noflags".into(),
        false => words.join(","),
    }
}

impl Cluster {
    /// A line about a node, without its end; `tls`: the first port is that for TLS (clusterGenNodeDescription).
    pub(super) fn node_description(&self, n: &Node, reader: Reader, tls: bool) -> String {
        let mut out = String::with_capacity(160);
        let _ = write!(out, "{} {}:{}@{}", n.name, n.ip, n.port(tls), n.cport);
        if !n.hostname.is_empty() {
            let _ = write!(out, ",{}", n.hostname);
        }
        if reader == Reader::File {
            if n.hostname.is_empty() {
                out.push(',');
            }
            let _ = match tls {
                true => write!(out, ",tcp-port={}", n.tcp_port),
                false => write!(out, ",tls-port={}", n.tls_port),
            };
            // One with characters that a file cannot bear comes from the configuration again.
            if !n.human_nodename.is_empty() && is_nodename(n.human_nodename.as_bytes()) {
                let _ = write!(out, ",nodename={}", n.human_nodename);
            }
            let _ = write!(out, ",shard-id={}", n.shard_id);
        }
        let _ = write!(out, " {} ", flag_words(n.flags));
        match n.slaveof {
            Some(master) => out.push_str(self[master].name.as_str()),
            None => out.push('-'),
        }
        let epoch = match n.slaveof {
            Some(master) if n.is_slave() => self[master].config_epoch,
            _ => n.config_epoch,
        };
        let up = n.link.is_some() || n.has(NodeFlags::MYSELF);
        let state = if up { "connected" } else { "disconnected" };
        let _ = write!(out, " {} {} {epoch} {state}", n.ping_sent, n.pong_received);
        for (first, last) in n.slots.ranges() {
            let _ = match first == last {
                true => write!(out, " {first}"),
                false => write!(out, " {first}-{last}"),
            };
        }
        if n.has(NodeFlags::MYSELF) {
            let mut open: Vec<u16> = self.migrating.keys().copied().collect();
            open.extend(self.importing.keys());
            open.sort_unstable();
            open.dedup();
            for slot in open {
                let _ = match (self.migrating.get(&slot), self.importing.get(&slot)) {
                    (Some(to), _) => write!(out, " [{slot}->-{}]", self[*to].name),
                    (_, Some(from)) => write!(out, " [{slot}-<-{}]", self[*from].name),
                    _ => Ok(()),
                };
            }
        }
        out
    }

    /// A line for each node that has none of the flags of `filter` (clusterGenNodesDescription).
    pub(super) fn nodes_description(&self, reader: Reader, filter: NodeFlags, tls: bool) -> String {
        let mut out = String::new();
        for n in self.nodes().filter(|n| !n.has(filter)) {
            out.push_str(&self.node_description(n, reader, tls));
            out.push('\n');
        }
        out
    }

    /// What the file is to hold. Nodes whose name is not known yet are not worth keeping.
    fn file_content(&self, tls: bool, stray: &SlotSet) -> String {
        let mut out = self.nodes_description(Reader::File, NodeFlags::HANDSHAKE, tls);
        let _ = write!(
            out,
            "vars currentEpoch {} lastVoteEpoch {}",
            self.current_epoch, self.last_vote_epoch
        );
        if !stray.is_empty() {
            // Servers that do not know the variable pass it over.
            let _ = write!(out, " straySlots {}", stray.text(","));
        }
        out.push('\n');
        out
    }

    /// Writes the file; with `sync`, a crash of the machine does not lose it (clusterSaveConfig).
    ///
    /// # Errors
    /// The system's; the file is the old one then, unless only its folder could not be synced.
    pub(super) fn save_config(&mut self, server: &Server, sync: bool) -> io::Result<()> {
        self.todo.remove(Todo::SAVE_CONFIG);
        let path = sys::path_of(&server.config.cluster_config_file);
        let stray = &server.slot_migrations.hidden;
        let content = self.file_content(server.config.tls_cluster, stray);
        if sync {
            self.todo.remove(Todo::FSYNC_CONFIG);
        }
        let mut temp = path.clone().into_os_string();
        temp.push(format!(".tmp-{}-{}", std::process::id(), mstime()));
        let temp = PathBuf::from(temp);
        let written = write_locked(&temp, content.as_bytes(), sync)
            .and_then(|file| fs::rename(&temp, &path).map(|()| file));
        match written {
            Ok(file) => self.lock = Some(file),
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Could not write the cluster config file: {}",
                    strerror(&e)
                );
                let _ = fs::remove_file(&temp);
                return Err(e);
            }
        }
        if sync {
            sys::fsync_file_dir(&path).inspect_err(|e| {
                server_log!(
                    Level::Warning,
                    "Could not sync cluster config file dir: {}",
                    strerror(e)
                );
            })?;
        }
        Ok(())
    }

    /// The same; without its file a node may not go on (clusterSaveConfigOrDie).
    pub(super) fn save_config_or_die(&mut self, server: &mut Server, sync: bool) {
        if self.save_config(server, sync).is_err() {
            server_log!(Level::Warning, "Fatal: can't update cluster config file.");
            server.exit(1);
        }
    }
}

/// A new file with this content, locked.
fn write_locked(path: &Path, content: &[u8], sync: bool) -> io::Result<File> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(path)?;
    sys::lock_file(&file)?;
    file.write_all(content)?;
    if sync {
        file.sync_all()?;
    }
    Ok(file)
}

/// Locks the file, which is made if there is none: two nodes with one file would be one node twice (clusterLockConfig). None: the log has
/// why not.
pub(super) fn lock_config(path: &Path) -> Option<File> {
    let shown = path.display();
    let opened = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(e) => {
            server_log!(
                Level::Warning,
                "Can't open {} in order to acquire a lock: {}",
                shown,
                strerror(&e)
            );
            return None;
        }
    };
    match sys::lock_file(&file) {
        Ok(()) => Some(file),
        Err(e) if e.kind() == ErrorKind::WouldBlock => {
            server_log!(
                Level::Warning,
                "Sorry, the cluster configuration file {} is already used by a different Redis Cluster node. Please make \
                 sure that different nodes use different cluster configuration files.",
                shown
            );
            None
        }
        Err(e) => {
            server_log!(
                Level::Warning,
                "Impossible to lock {}: {}",
                shown,
                strerror(&e)
            );
            None
        }
    }
}

/// What a line has cost: it cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine(pub String);

/// Reads a file's content (clusterLoadConfig). None: it is empty, as one is that was made to be locked.
///
/// # Errors
/// The first line that cannot be.
pub(super) fn parse_nodes_conf(
    text: &[u8],
    random: &mut RandomSource,
    now: i64,
    tls: bool,
) -> Result<Option<Cluster>, BadLine> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut lines = Vec::new();
    for line in text.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let bad = || BadLine(String::from_utf8_lossy(line).into_owned());
        let words = sdssplitargs(line).ok_or_else(bad)?;
        let words: Option<Vec<String>> = words
            .into_iter()
            .map(|w| String::from_utf8(w).ok())
            .collect();
        lines.push((words.ok_or_else(bad)?, bad()));
    }
    let is_me = |words: &[String]| {
        let flags = words.get(2).map_or("", String::as_str);
        flags.split(',').any(|f| f.eq_ignore_ascii_case("myself"))
    };
    let me = lines.iter().find(|(words, _)| is_me(words));
    let Some((words, bad)) = me else {
        return Err(BadLine("no line about this node itself".into()));
    };
    let name = Name::parse(words[0].as_bytes()).ok_or_else(|| BadLine(bad.0.clone()))?;
    let mut c = Cluster::new(name, random_name(random), now);
    let me = c.myself;
    c[me].flags = NodeFlags::empty();
    let mut reader = LineReader {
        c: &mut c,
        random,
        now,
        tls,
        has_shard: HashSet::new(),
    };
    for (words, bad) in lines {
        if words.is_empty() {
            continue;
        }
        reader.line(&words).ok_or(bad)?;
    }
    reader.agree_on_shards();
    for id in reader.c.ids() {
        // Slots are masters'.
        if reader.c[id].is_slave() {
            reader.c.del_node_slots(id);
        }
    }
    c[me].flags |= NodeFlags::MYSELF;
    // Somebody may have written into the file.
    c.current_epoch = c.max_epoch();
    c.todo = Todo::empty();
    c.left = Default::default();
    Ok(Some(c))
}

struct LineReader<'a> {
    c: &'a mut Cluster,
    random: &'a mut RandomSource,
    now: i64,
    tls: bool,
    /// Those whose line tells their shard.
    has_shard: HashSet<NodeId>,
}

impl LineReader<'_> {
    fn node(&mut self, name: &str) -> Option<NodeId> {
        let name = Name::parse(name.as_bytes())?;
        if let Some(id) = self.c.lookup(name) {
            return Some(id);
        }
        if self.c.is_full() {
            return None;
        }
        let shard = random_name(self.random);
        Some(self.c.add_node(name, shard, NodeFlags::empty(), self.now))
    }

    /// None: the line cannot be.
    fn line(&mut self, words: &[String]) -> Option<()> {
        if words[0].eq_ignore_ascii_case("vars") {
            return self.vars(&words[1..]);
        }
        let [
            name,
            address,
            flags,
            master,
            ping,
            pong,
            epoch,
            _state,
            slots @ ..,
        ] = words
        else {
            return None;
        };
        let id = self.node(name)?;
        self.address(id, address)?;
        for word in flags.split(',') {
            let word = word.to_ascii_lowercase();
            if word == "noflags" {
                continue;
            }
            let (flag, _) = FLAG_WORDS.iter().find(|(_, w)| *w == word)?;
            if flag.contains(NodeFlags::MYSELF) && id != self.c.myself {
                return None;
            }
            self.c[id].flags |= *flag;
            if flag.contains(NodeFlags::FAIL) {
                self.c[id].fail_time = self.now;
            }
        }
        if !master.starts_with('-') {
            let master = self.node(master)?;
            if master == id {
                return None;
            }
            self.c[id].slaveof = Some(master);
            self.c.add_slave(master, id);
        }
        if ping.parse::<i64>().ok()? != 0 {
            self.c[id].ping_sent = self.now;
        }
        if pong.parse::<i64>().ok()? != 0 {
            self.c[id].pong_received = self.now;
        }
        let epoch: u64 = epoch.parse().ok()?;
        let n = &mut self.c[id];
        n.config_epoch = if n.is_slave() && n.slaveof.is_some() {
            0
        } else {
            epoch
        };
        for word in slots {
            self.slots(id, word)?;
        }
        Some(())
    }

    fn vars(&mut self, words: &[String]) -> Option<()> {
        let (pairs, []) = words.as_chunks::<2>() else {
            return None;
        };
        for [name, value] in pairs {
            if name.eq_ignore_ascii_case("currentepoch") {
                self.c.current_epoch = value.parse().ok()?;
            } else if name.eq_ignore_ascii_case("lastvoteepoch") {
                self.c.last_vote_epoch = value.parse().ok()?;
            } else if name.eq_ignore_ascii_case("strayslots") {
                self.c.stray = SlotSet::parse(value)?;
            } else {
                server_log!(
                    Level::Notice,
                    "Skipping unknown cluster config variable '{}'",
                    name
                );
            }
        }
        Some(())
    }

    /// ip:port[@bus port][,host name][,field=value]*
    fn address(&mut self, id: NodeId, word: &str) -> Option<()> {
        let mut parts = word.split(',');
        let (ip, ports) = parts.next()?.rsplit_once(':')?;
        let hostname = parts.next().unwrap_or_default();
        if !is_address(ip.as_bytes()) || !is_hostname(hostname.as_bytes()) {
            return None;
        }
        let (port, bus) = match ports.split_once('@') {
            Some((port, bus)) => (port, Some(bus)),
            None => (ports, None),
        };
        let port: u16 = port.parse().ok()?;
        let (mut tcp, mut tls) = (None, None);
        for field in parts {
            let (key, value) = field.split_once('=')?;
            match key {
                "shard-id" => {
                    self.c[id].shard_id = Name::parse(value.as_bytes())?;
                    self.has_shard.insert(id);
                }
                "nodename" => {
                    if !is_nodename(value.as_bytes()) {
                        return None;
                    }
                    self.c[id].human_nodename = value.into();
                }
                "tcp-port" => tcp = Some(value.parse().ok()?),
                "tls-port" => tls = Some(value.parse().ok()?),
                _ => return None,
            }
        }
        let by_tls = self.tls;
        let n = &mut self.c[id];
        n.ip = ip.into();
        n.hostname = hostname.into();
        (n.tcp_port, n.tls_port) = match (tcp, tls) {
            // A file of before 7.2.
            (None, None) if by_tls => (0, port),
            (None, None) => (port, 0),
            (None, Some(tls)) => (port, tls),
            (Some(tcp), None) => (tcp, port),
            (Some(tcp), Some(tls)) => (tcp, tls),
        };
        n.cport = match bus {
            Some(bus) => bus.parse().ok()?,
            None => n.port(by_tls).checked_add(CLUSTER_PORT_INCR)?,
        };
        Some(())
    }

    /// A slot, a range, or one that is open: `[slot->-node]`, `[slot-<-node]`.
    fn slots(&mut self, id: NodeId, word: &str) -> Option<()> {
        if let Some(open) = word.strip_prefix('[') {
            let open = open.strip_suffix(']')?;
            let (slot, rest) = open.split_once('-')?;
            let slot = parse_slot(slot)?;
            let (direction, name) = rest.split_once('-')?;
            let other = self.node(name)?;
            match direction {
                ">" => self.c.migrating.insert(slot, other),
                "<" => self.c.importing.insert(slot, other),
                _ => return None,
            };
            return Some(());
        }
        for slot in slot_range(word)? {
            self.c.add_slot(id, slot);
        }
        Some(())
    }

    /// A replica is in its master's shard, whatever older versions have written.
    fn agree_on_shards(&mut self) {
        for id in self.c.ids() {
            let master = self.c.master_of(id);
            if master == id {
                continue;
            }
            if !self.has_shard.contains(&master) && self.has_shard.contains(&id) {
                self.c[master].shard_id = self.c[id].shard_id;
                self.has_shard.insert(master);
            }
            self.c[id].shard_id = self.c[master].shard_id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::key_slot::CLUSTER_SLOTS;
    use proptest::prelude::*;

    fn load(text: &str) -> Result<Option<Cluster>, BadLine> {
        parse_nodes_conf(text.as_bytes(), &mut RandomSource::new(), 1000, false)
    }

    fn n(c: char) -> String {
        c.to_string().repeat(40)
    }

    fn of_72() -> String {
        let (a, b, c, s) = (n('a'), n('b'), n('c'), n('5'));
        format!(
            "{a} 127.0.0.1:7000@17000,,tls-port=0,shard-id={s} myself,master - 0 0 3 connected 0-100 102 [102->-{c}] [5000-<-{c}]\n\
             {b} 127.0.0.1:7001@17001,host.example,tls-port=0,nodename=two,shard-id={s} slave {a} 12 13 3 disconnected\n\
             {c} ::1:7002@17002,,tls-port=7443,shard-id={} master,fail? - 0 14 9 connected 5000-5461\n\
             vars currentEpoch 9 lastVoteEpoch 4 straySlots 7-9,500-500\n",
            n('6')
        )
    }

    #[test]
    fn a_file_is_read_and_written_the_same() {
        let c = load(&of_72()).expect("sound").expect("something");
        assert_eq!((c.current_epoch, c.last_vote_epoch, c.len()), (9, 4, 3));
        assert_eq!((c.me().config_epoch, c.me().numslots()), (3, 102));
        assert_eq!(c.stray.ranges(), [(7, 9), (500, 500)]);
        let text = c.file_content(false, &c.stray);
        // Times are those of the load, and nothing is connected but this node.
        let expected = of_72()
            .replace(" 12 13 ", " 1000 1000 ")
            .replace(" 0 14 9 connected", " 0 1000 9 disconnected");
        // A node is known from the first line on that names it.
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&text), sorted(&expected));
        let again = load(&text).expect("sound").expect("something");
        assert_eq!(again.file_content(false, &again.stray), text);
    }

    #[test]
    fn a_file_of_an_older_version_is_read() {
        let (a, b) = (n('a'), n('b'));
        let text = format!(
            "{b} 127.0.0.1:7001@17001 slave {a} 0 0 1 connected\n\
             {a} 127.0.0.1:7000 myself,master - 0 0 1 connected 0-16383\n\
             vars currentEpoch 1 lastVoteEpoch 0 newVar 2\n\n"
        );
        let c = load(&text).expect("sound").expect("something");
        let replica = c.lookup_bytes(b.as_bytes()).expect("known");
        assert_eq!(c[replica].shard_id, c.me().shard_id);
        assert_eq!((c.me().cport, c.me().numslots()), (17000, CLUSTER_SLOTS));
        assert_eq!(c[replica].slaveof, Some(c.myself));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(load("").expect("no fault").is_none());
        let a = n('a');
        let sound = format!("{a} 127.0.0.1:7000@17000 myself,master - 0 0 1 connected");
        assert!(load(&sound).is_ok());
        for (from, to) in [
            ("myself,master", "master"),
            ("myself,master", "myself,king"),
            (&a[..], "short"),
            ("127.0.0.1:7000@17000", "127.0.0.1"),
            ("7000@", "70000@"),
            ("@17000", "@17000,,shard-id=x"),
            ("@17000", "@17000,,what=x"),
            ("connected", "connected 16384"),
            ("connected", "connected 5-x"),
            ("connected", "connected [5-x"),
            ("connected", "connected [5->-short]"),
            (" - 0 0 1 connected", ""),
            (" - ", " notanode "),
            (" 0 0 1 ", " 0 0 minus "),
        ] {
            let text = sound.replacen(from, to, 1);
            assert!(load(&text).is_err(), "{text}");
        }
        assert!(load(&format!("{sound}\nvars currentEpoch\n")).is_err());
        let twice = format!("{sound}\n{} 1.1.1.1:1@2 myself - 0 0 1 connected\n", n('b'));
        assert!(load(&twice).is_err());
    }

    proptest! {
        #[test]
        fn damage_is_borne(hits in proptest::collection::vec((0usize..700, any::<u8>()), 1..6), cut in 0usize..900) {
            let mut text = of_72().into_bytes();
            for (at, byte) in hits {
                let at = at % text.len();
                text[at] = byte;
            }
            text.truncate(cut);
            if let Ok(Some(c)) = parse_nodes_conf(&text, &mut RandomSource::new(), 1000, false) {
                // What it has made of it can be written, and read again.
                let text = c.file_content(false, &c.stray);
                prop_assert!(load(&text).is_ok(), "{}", text);
            }
        }
    }
}
