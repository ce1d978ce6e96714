//! Reading a snapshot into the data set while clients are served now and then (rdbLoadRio, rdbLoad of rdb.c; loadDataFromDisk
//! of server.c; DEBUG RELOAD).
//!
//! Invariants: the reader and the counters belong to the loader; between two keys it borrows nothing from the server, and it
//! keeps no slot of a table while the event loop may run. What the file claims sizes nothing: only bytes that have come do. A
//! file that is refused leaves keys behind that were read before the fault; the caller decides what becomes of them.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::debug_delay;
use crate::ae::Mask;
use crate::base::clock::{LRU_CLOCK_MAX, monotonic_us, mstime};
use crate::base::log::{self, Level};
use crate::base::num::string2ll;
use crate::base::sys::strerror;
use crate::base::{alloc, sys};
use crate::config::value::{SanitizeDumpPayload, ScriptReplication};
use crate::script::function_set::CreateFlags;
use crate::server::Server;
use crate::server::aof::AofState;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::clients::networking::read_query_from_client;
use crate::server::execution::args::OwnedArgs;
use crate::server::keyspace::lookup::Free;
use crate::server::persist::{HIDDEN_SLOTS, Loading, RdbFlags, RdbLoadInfo, ReloadFlags};
use crate::server_log;
use crate::store::db::Db;
use crate::store::entry::Entry;
use crate::store::evict::LFU_INIT_VAL;
use crate::store::rdb_value::{LoadLimits, Usage, rdb_load_entry, rdb_load_object};
use crate::wire::rdb::{
    PollPoint, RDB_HEADER_LEN, RDB_TYPE_MAX, RDB_TYPE_MODULE_2, RDB_VERSION, RDB_VERSION_CHECKSUM,
    RdbChecksum, RdbError, RdbErrorKind, RdbReader, RdbRecord, VersionCheck,
    module_type_name_by_id, no_poll, parse_header,
};
use crate::wire::replication::diagnose::{self, Problem, Unloadable};
use crate::wire::replication::replid::REPLID_LEN;

/// Keys without a value that the log names.
const EMPTY_KEYS_SHOWN: u64 = 10;
/// Milliseconds between two lines about a long load.
const REPORT_MS: i64 = 5000;
/// Bytes that a key takes in a file at the least: its type, an empty name, an empty value.
const MIN_KEY_BYTES: u64 = 3;

/// Keys that are read and not yet added: while more of the file is read, the line of the table where each belongs comes from
/// memory, which is else half of a large load.
const PENDING_KEYS: usize = 16;

/// A key that waits.
struct PendingKey {
    db: usize,
    hash: u64,
    /// Bytes consumed when it was read.
    offset: u64,
    entry: Entry,
}

/// Waits for a source. See [`Server::rdb_load_stream`].
pub(super) type Wait<'a> = &'a mut dyn FnMut(&mut Server) -> io::Result<()>;

/// For the reader: waits where the source has nothing, and tells nobody of the progress.
fn wait_only<'a>(
    server: &'a mut Server,
    wait: Wait<'a>,
) -> impl FnMut(PollPoint) -> io::Result<()> + 'a {
    move |p| match p {
        PollPoint::Progress(_) => Ok(()),
        PollPoint::WouldBlock => wait(server),
    }
}

/// Why a snapshot was not loaded.
#[derive(Debug)]
pub(crate) enum LoadFailure {
    /// There is no such file.
    NotExist,
    /// It cannot be opened.
    Open(io::Error),
    /// The bytes are wrong, or they ended, or could not be read.
    Rdb(RdbError),
    /// A key comes twice, or is there already.
    DuplicateKey {
        /// Bytes consumed.
        offset: u64,
        /// Its name.
        key: Vec<u8>,
        /// Its database.
        db: usize,
    },
    /// It has something that another server has, and this one has not.
    Foreign {
        /// Bytes consumed.
        offset: u64,
        /// The key that it belongs to; empty: none, or one that cannot be told.
        key: Vec<u8>,
        /// The key's database.
        db: usize,
        /// What it is.
        kind: RdbErrorKind,
    },
    /// It has a database that this server has not.
    TooManyDatabases {
        /// Bytes consumed.
        offset: u64,
        /// The database.
        db: u64,
        /// How many this server has.
        databases: usize,
    },
    /// It has data of a module, which is not there.
    Module {
        /// Bytes consumed.
        offset: u64,
        /// The module type's name.
        name: String,
    },
    /// It has a function library that cannot be loaded.
    Function {
        /// Bytes consumed.
        offset: u64,
        /// FUNCTION LOAD's words.
        problem: String,
    },
}

impl From<RdbError> for LoadFailure {
    fn from(e: RdbError) -> LoadFailure {
        LoadFailure::Rdb(e)
    }
}

/// What is wrong while this key is read, or before it is.
fn failure_at(e: RdbError, key: &[u8], db: usize) -> LoadFailure {
    match e.kind.is_foreign() {
        true => LoadFailure::Foreign {
            offset: e.offset,
            key: match e.kind {
                RdbErrorKind::SlotImport => Vec::new(),
                _ => key.to_vec(),
            },
            db,
            kind: e.kind,
        },
        false => LoadFailure::Rdb(e),
    }
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExist => write!(f, "no such file"),
            Self::Open(e) => write!(f, "{}", strerror(e)),
            Self::Rdb(RdbError {
                kind: RdbErrorKind::ChecksumMismatch { .. },
                ..
            }) => write!(f, "RDB CRC error"),
            Self::Rdb(e) => write!(f, "{}", e.kind),
            Self::Foreign { key, kind, .. } if key.is_empty() => write!(f, "{kind}"),
            Self::Foreign { key, db, kind, .. } => {
                write!(f, "{kind} (key '{}' in DB {db})", log::user_data(key))
            }
            Self::DuplicateKey { key, db, .. } => {
                let key = String::from_utf8_lossy(key);
                write!(f, "RDB has duplicated key '{key}' in DB {db}")
            }
            Self::TooManyDatabases { db, databases, .. } => write!(
                f,
                "FATAL: Data file was created with a Redis server configured to handle more than {databases} databases \
                 (it has keys in DB {db})"
            ),
            Self::Module { name, .. } => write!(
                f,
                "The RDB file contains AUX module data I can't load: no matching module '{name}'"
            ),
            Self::Function { problem, .. } => {
                write!(f, "Failed loading a function library: {problem}")
            }
        }
    }
}

impl LoadFailure {
    /// Bytes consumed before the fault.
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Self::NotExist | Self::Open(_) => 0,
            Self::Rdb(e) => e.offset,
            Self::DuplicateKey { offset, .. }
            | Self::Foreign { offset, .. }
            | Self::TooManyDatabases { offset, .. }
            | Self::Module { offset, .. }
            | Self::Function { offset, .. } => *offset,
        }
    }

    /// The bytes ended, or could not be read.
    pub(crate) fn is_read_error(&self) -> bool {
        matches!(self, Self::Rdb(e) if e.kind.is_read_error())
    }

    /// What it means for a full sync.
    pub(crate) fn problem(&self) -> Problem {
        let words = self.to_string();
        diagnose::unloadable(match self {
            Self::Rdb(e) => return diagnose::bad_rdb(&e.kind),
            Self::NotExist | Self::Open(_) => Unloadable::Unreadable(&words),
            Self::TooManyDatabases { db, databases, .. } => Unloadable::Databases {
                db: *db,
                databases: *databases,
            },
            Self::Module { name, .. } => Unloadable::Module(name),
            Self::Function { problem, .. } => Unloadable::Function(problem),
            Self::DuplicateKey { .. } => Unloadable::Damaged(&words),
            Self::Foreign { .. } => Unloadable::Foreign(&words),
        })
    }

    /// It never came to reading records; upstream has another last line for this.
    fn is_before_records(&self) -> bool {
        matches!(
            self,
            Self::NotExist
                | Self::Open(_)
                | Self::Rdb(RdbError {
                    kind: RdbErrorKind::BadMagic | RdbErrorKind::UnsupportedVersion(_),
                    ..
                })
        )
    }

    /// Tells the log, at this level, with the lines that upstream has for it.
    pub(super) fn log(&self, path: &Path, level: Level) {
        match self {
            Self::NotExist => return,
            Self::Open(e) => {
                server_log!(
                    level,
                    "Fatal error: can't open the RDB file {} for reading: {}",
                    path.display(),
                    strerror(e)
                );
                return;
            }
            Self::Rdb(RdbError {
                kind: RdbErrorKind::ChecksumMismatch { expected, found },
                ..
            }) => server_log!(
                level,
                "Wrong RDB checksum expected: ({:x}) but got ({:x}). Aborting now.",
                expected,
                found
            ),
            Self::Rdb(e) if e.kind.is_read_error() => server_log!(
                level,
                "Short read or OOM loading DB. Unrecoverable error, aborting now."
            ),
            _ => server_log!(level, "{}", self),
        }
        server_log!(
            level,
            "Internal error in RDB reading offset {} of {} -> {}",
            self.offset(),
            path.display(),
            self
        );
    }
}

/// The LRU bits of a loaded key (objectSetLRUOrLFU); `minutes` are the LFU clock.
fn lru_bits(
    usage: Usage,
    idle: Option<u64>,
    freq: Option<u8>,
    lru_clock: u32,
    minutes: u16,
) -> u32 {
    if usage == Usage::Lfu {
        return u32::from(minutes) << 8 | u32::from(freq.unwrap_or(LFU_INIT_VAL));
    }
    let Some(idle) = idle else {
        return lru_clock;
    };
    let idle = i64::try_from(idle).unwrap_or(i64::MAX);
    let mut at = i64::from(lru_clock).saturating_sub(idle);
    if at < 0 {
        // The clock has wrapped since.
        at = at.saturating_add(i64::from(LRU_CLOCK_MAX)).max(0);
    }
    at as u32 & LRU_CLOCK_MAX
}

/// How long a load may still take, in seconds, by its speed so far.
fn eta_seconds(loaded: u64, total: u64, elapsed_us: u64) -> u64 {
    let left = u128::from(total.saturating_sub(loaded));
    let eta = left * u128::from(elapsed_us) / u128::from(loaded.max(1)) / 1_000_000;
    u64::try_from(eta).unwrap_or(u64::MAX)
}

/// What of a field about the file matters beyond the log.
/// `notice` is the level of lines about it.
fn aux_field(key: &[u8], value: &[u8], info: &mut RdbLoadInfo, used_mem: &mut u64, notice: Level) {
    let text = || String::from_utf8_lossy(value);
    let number = || string2ll(value).unwrap_or(0);
    let is = |name: &str| key.eq_ignore_ascii_case(name.as_bytes());
    if key.first() == Some(&b'%') {
        // Whoever made the file wants this to be seen.
        server_log!(notice, "RDB '{}': {}", String::from_utf8_lossy(key), text());
    } else if is("repl-stream-db") {
        // Old versions may have written -1.
        info.repl_stream_db = usize::try_from(number()).ok();
    } else if is("repl-id") {
        info.repl_id = value.try_into().ok();
    } else if is("repl-offset") {
        info.repl_offset = number();
    } else if is(HIDDEN_SLOTS) {
        info.hidden_slots = value.to_vec();
    } else if is("redis-ver") {
        server_log!(notice, "Loading RDB produced by version {}", text());
    } else if is("valkey-ver") {
        server_log!(
            notice,
            "Loading RDB produced by version {} of Valkey",
            text()
        );
    } else if is("ctime") {
        let age = mstime().div_euclid(1000).saturating_sub(number()).max(0);
        server_log!(notice, "RDB age {} seconds", age);
    } else if is("used-mem") {
        *used_mem = u64::try_from(number()).unwrap_or(0);
        server_log!(
            notice,
            "RDB memory usage when created {:.2} Mb",
            *used_mem as f64 / (1024.0 * 1024.0)
        );
    } else if is("aof-preamble") {
        if number() != 0 {
            server_log!(notice, "RDB has an AOF tail");
        }
    } else if is("aof-base") {
        if number() != 0 {
            server_log!(notice, "RDB is base AOF");
        }
    } else if !is("redis-bits") {
        server_log!(
            Level::Debug,
            "Unrecognized RDB AUX field: '{}'",
            String::from_utf8_lossy(key)
        );
    }
}

impl Server {
    /// Whether values from outside are checked in depth (sanitize-dump-payload): `client` has sent them, or else they come
    /// from a file or a master's snapshot. A master is trusted as far as its files are.
    pub(crate) fn sanitizes_payloads(&self, client: Option<ClientId>) -> bool {
        match self.config.sanitize_dump_payload {
            SanitizeDumpPayload::Yes => true,
            SanitizeDumpPayload::No => false,
            SanitizeDumpPayload::Clients => {
                client.and_then(|c| self.clients.get(c)).is_some_and(|c| {
                    let trusted = c.user.as_ref().is_some_and(|u| u.skip_sanitize_payload);
                    !trusted && !c.has(ClientFlags::MASTER)
                })
            }
        }
    }

    /// From here on clients are told that a data set is being loaded (startLoading). `size` is in bytes.
    pub(crate) fn start_loading(&mut self, size: u64, is_async: bool) {
        let now = mstime();
        self.loading = Some(Loading {
            start: now.div_euclid(1000),
            total_bytes: size,
            loaded_bytes: 0,
            done_bytes: 0,
            rdb_used_mem: 0,
            peak_mem: 0,
            last_report_ms: now,
            is_async,
            functions: Vec::new(),
        });
        self.persist.last_load_keys_loaded = 0;
        self.persist.last_load_keys_expired = 0;
    }

    /// The load is over, well or not (stopLoading).
    pub(crate) fn stop_loading(&mut self) {
        self.loading = None;
        self.exec.clock_stale = true;
    }

    /// Another stretch of the file is read: others get their turn (rdbLoadProgressCallback).
    pub(super) fn loading_progress(&mut self, offset: u64, started_us: u64) {
        let used = alloc::used_memory();
        self.stats.peak_memory = self.stats.peak_memory.max(used);
        let now = mstime();
        if let Some(l) = self.loading.as_mut() {
            let offset = l.done_bytes.saturating_add(offset);
            l.loaded_bytes = offset;
            l.peak_mem = l.peak_mem.max(used as u64);
            if now - l.last_report_ms >= REPORT_MS {
                l.last_report_ms = now;
                let us = monotonic_us().saturating_sub(started_us).max(1);
                // Bytes per microsecond are megabytes per second.
                let rate = offset as f64 / us as f64;
                if l.total_bytes == 0 {
                    // It streams in, and nobody knows how much there is.
                    server_log!(
                        Level::Notice,
                        "Loading DB: {:.1} MB, {:.1} MB/s",
                        offset as f64 / 1e6,
                        rate
                    );
                } else {
                    server_log!(
                        Level::Notice,
                        "Loading DB: {:.1}% of {:.1} MB, {:.1} MB/s, {} seconds to go",
                        offset as f64 * 100.0 / l.total_bytes as f64,
                        l.total_bytes as f64 / 1e6,
                        rate,
                        eta_seconds(offset, l.total_bytes, us)
                    );
                }
            }
        }
        if self.repl.link.transfer().is_some() {
            self.replication_send_newline_to_master();
        }
        self.process_events_while_blocked();
    }

    /// Loads an RDB file into the databases as they are (rdbLoad). On failure the log says where and why, keys that were read
    /// before stay, and the process goes on: the caller decides.
    ///
    /// # Errors
    /// Everything that can be wrong with a file; see [`LoadFailure`].
    pub(crate) fn rdb_load(
        &mut self,
        path: &Path,
        flags: RdbFlags,
    ) -> Result<RdbLoadInfo, LoadFailure> {
        let opened = File::open(path).and_then(|f| {
            let len = f.metadata()?.len();
            Ok((f, len))
        });
        let (file, size) = match opened {
            Ok(o) => o,
            Err(e) => {
                let e = match e.kind() {
                    io::ErrorKind::NotFound => LoadFailure::NotExist,
                    _ => LoadFailure::Open(e),
                };
                e.log(path, self.load_level(flags, Level::Warning));
                return Err(e);
            }
        };
        self.start_loading(size, false);
        let loaded = self.rdb_load_rio(&file, size, flags).map(|(info, _)| info);
        self.stop_loading();
        match &loaded {
            Ok(_) if !flags.contains(RdbFlags::KEEP_CACHE) => sys::drop_page_cache(&file),
            Ok(_) => {}
            Err(e) => e.log(path, self.load_level(flags, Level::Warning)),
        }
        loaded
    }

    /// The level of a line about a load: a full sync that failed in this way before is not worth another.
    fn load_level(&self, flags: RdbFlags, level: Level) -> Level {
        match flags.contains(RdbFlags::REPLICATION) {
            true => self.attempt_level(level),
            false => level,
        }
    }

    /// The records of a file (rdbLoadRioWithLoadingCtx). Returns, too, how many bytes of it they took.
    pub(super) fn rdb_load_rio(
        &mut self,
        file: &File,
        size: u64,
        flags: RdbFlags,
    ) -> Result<(RdbLoadInfo, u64), LoadFailure> {
        let mut r = RdbReader::new(file);
        let would_block = &mut |_: &mut Server| Err(io::ErrorKind::WouldBlock.into());
        let info = self.rdb_load_records(&mut r, size, flags, None, would_block)?;
        Ok((info, r.bytes_read()))
    }

    /// Loads a snapshot from a source that may have nothing to read yet: then `wait` is called, which serves others and
    /// returns when it is worth another try; its error ends the load. `size` in bytes, 0: not known. With `mark` the snapshot
    /// is followed by forty bytes; the answer says whether they are these. With `dbs` the keys go there. The caller calls
    /// [`Self::start_loading`] and [`Self::stop_loading`].
    ///
    /// # Errors
    /// Everything that can be wrong with a snapshot or a source; the log says it.
    pub(crate) fn rdb_load_stream<R: Read>(
        &mut self,
        source: R,
        size: u64,
        mark: Option<[u8; REPLID_LEN]>,
        dbs: Option<&mut Vec<Db>>,
        wait: Wait,
    ) -> Result<(RdbLoadInfo, bool), LoadFailure> {
        let mut r = RdbReader::new(source);
        let load = || {
            let info = self.rdb_load_records(&mut r, size, RdbFlags::REPLICATION, dbs, wait)?;
            let Some(mark) = mark else {
                return Ok((info, true));
            };
            Ok((
                info,
                r.read_array::<40>(&mut wait_only(self, wait))? == mark,
            ))
        };
        let loaded: Result<_, LoadFailure> = load();
        if let Err(e) = &loaded {
            let level = self.load_level(RdbFlags::REPLICATION, Level::Warning);
            e.log(Path::new("the link to the master"), level);
        }
        loaded
    }

    /// The records of a snapshot.
    fn rdb_load_records<R: Read>(
        &mut self,
        r: &mut RdbReader<R>,
        size: u64,
        flags: RdbFlags,
        mut dbs: Option<&mut Vec<Db>>,
        wait: Wait,
    ) -> Result<RdbLoadInfo, LoadFailure> {
        let mut pending = VecDeque::with_capacity(PENDING_KEYS + 1);
        let read = self.read_records(r, size, flags, dbs.as_deref_mut(), wait, &mut pending);
        // What is wrong with a key that waits comes before what is wrong behind it.
        self.add_pending(&mut pending, PENDING_KEYS, dbs, flags)?;
        let (info, empty) = read?;
        server_log!(
            Level::Notice,
            "Done loading RDB, keys loaded: {}, keys expired: {}{}.",
            self.persist.last_load_keys_loaded,
            self.persist.last_load_keys_expired,
            if empty > 0 {
                format!(", empty keys skipped: {empty}")
            } else {
                String::new()
            }
        );
        Ok(info)
    }

    /// Adds the first `n` of the keys that wait, or all that there are.
    fn add_pending(
        &mut self,
        pending: &mut VecDeque<PendingKey>,
        n: usize,
        mut dbs: Option<&mut Vec<Db>>,
        flags: RdbFlags,
    ) -> Result<(), LoadFailure> {
        for _ in 0..n {
            let Some(next) = pending.pop_front() else {
                break;
            };
            let PendingKey {
                db,
                hash,
                offset,
                entry,
            } = next;
            let keys = &mut dbs.as_deref_mut().unwrap_or(&mut self.dbs)[db].keys;
            if keys.find(hash, entry.name()).is_some() {
                if !flags.contains(RdbFlags::ALLOW_DUP) {
                    // What was read behind it is not taken.
                    pending.clear();
                    let key = entry.name().to_vec();
                    return Err(LoadFailure::DuplicateKey { offset, key, db });
                }
                drop(keys.remove_for_good(hash, entry.name()));
            }
            keys.add(hash, entry);
            self.persist.last_load_keys_loaded += 1;
        }
        Ok(())
    }

    /// The database of this number, which stands before `offset`.
    fn database_of(&self, n: u64, offset: u64) -> Result<usize, LoadFailure> {
        let databases = self.dbs.len();
        let fits = usize::try_from(n).ok().filter(|i| *i < databases);
        fits.ok_or(LoadFailure::TooManyDatabases {
            offset,
            db: n,
            databases,
        })
    }

    /// Looks for what this server cannot take, before an old data set goes: in front of the first key of a snapshot, which is
    /// little; and in all of one whose version is beyond that which is written here. Clients are served from the old data set
    /// meanwhile.
    ///
    /// # Errors
    /// The snapshot cannot be loaded.
    pub(crate) fn check_rdb_content(&mut self, path: &Path) -> Result<(), LoadFailure> {
        let opened = File::open(path).and_then(|f| Ok((f.metadata()?.len(), f)));
        let Ok((size, file)) = opened else {
            // The load will say so.
            return Ok(());
        };
        self.start_loading(size, true);
        let checked = self.check_records(&mut RdbReader::new(&file));
        self.stop_loading();
        if let Err(e) = &checked {
            e.log(path, self.load_level(RdbFlags::REPLICATION, Level::Warning));
        }
        checked
    }

    fn check_records(&mut self, r: &mut RdbReader<&File>) -> Result<(), LoadFailure> {
        r.set_version_check(self.config.rdb_version_check.into());
        // What it is summed by has been looked at, or will be.
        r.set_verify_checksum(false);
        r.set_poll_interval(self.config.loading_process_events_interval_bytes);
        let whole = r.header(&mut no_poll)? > RDB_VERSION;
        let started = monotonic_us();
        let limits = self.load_limits(RdbFlags::REPLICATION);
        let (mut key, mut db) = (Vec::new(), 0);
        loop {
            let mut poll = |p| match p {
                PollPoint::Progress(offset) => {
                    self.loading_progress(offset, started);
                    Ok(())
                }
                PollPoint::WouldBlock => Err(io::ErrorKind::WouldBlock.into()),
            };
            let record = r.next_record(&mut key, &mut poll);
            match record.map_err(|e| failure_at(e, &key, db))? {
                RdbRecord::Key(k) if whole => {
                    let done = match k.rdb_type > RDB_TYPE_MAX || k.rdb_type == RDB_TYPE_MODULE_2 {
                        true => rdb_load_object(r, k.rdb_type, &limits, &mut poll).map(drop),
                        false => r.skip_value(k.rdb_type, &mut poll),
                    };
                    done.map_err(|e| failure_at(e, &key, db))?;
                }
                RdbRecord::SelectDb(n) => db = self.database_of(n, r.bytes_read())?,
                RdbRecord::ModuleAux { id, .. } => return Err(no_module(id, r.bytes_read())),
                RdbRecord::Function2(code) => {
                    let code = code.to_vec();
                    let offset = r.bytes_read();
                    let failure = |problem| LoadFailure::Function { offset, problem };
                    self.functions_check(&code).map_err(failure)?;
                }
                RdbRecord::Aux { .. } | RdbRecord::ResizeDb { .. } => {}
                RdbRecord::Key(_) | RdbRecord::Eof(_) => return Ok(()),
            }
        }
    }

    /// How values of a snapshot are read.
    fn load_limits(&self, flags: RdbFlags) -> LoadLimits {
        let mut limits = LoadLimits::new(&self.config, self.sanitizes_payloads(None));
        // As with keys: a replica's master decides what has expired, and commands may follow a preamble.
        limits.fields_expired_by =
            (self.i_am_master() && !flags.contains(RdbFlags::AOF_PREAMBLE)).then(mstime);
        limits
    }

    /// Reads the records; keys go to `pending` first, and on from there while more come. Returns, too, how many keys without a
    /// value were left out.
    fn read_records<R: Read>(
        &mut self,
        r: &mut RdbReader<R>,
        size: u64,
        flags: RdbFlags,
        mut dbs: Option<&mut Vec<Db>>,
        wait: Wait,
        pending: &mut VecDeque<PendingKey>,
    ) -> Result<(RdbLoadInfo, u64), LoadFailure> {
        let verify = self.config.rdbchecksum && !self.debug.skip_checksum_validation;
        r.set_verify_checksum(verify);
        r.set_poll_interval(self.config.loading_process_events_interval_bytes);
        // A pipe has no size.
        if size > 0 {
            r.set_total_len(size);
        }
        let started = monotonic_us();
        let notice = self.load_level(flags, Level::Notice);
        let mut info = RdbLoadInfo::default();
        let mut key = Vec::new();
        let mut db = 0;
        let mut delays = 0;
        let (now, clock) = (mstime(), crate::base::clock::CachedClock::new());
        let usage = Usage::of(self.config.maxmemory_policy);
        let limits = self.load_limits(flags);
        let mut empty = 0u64;
        r.set_version_check(self.config.rdb_version_check.into());
        let version = r.header(&mut wait_only(self, wait))?;
        // Files without a checksum are older than these fields. One that has them has a damaged version, and a checksum that
        // nobody would look at.
        let refuse_fields = version < RDB_VERSION_CHECKSUM;
        loop {
            let mut poll = |p| match p {
                PollPoint::Progress(offset) => {
                    self.loading_progress(offset, started);
                    Ok(())
                }
                PollPoint::WouldBlock => wait(self),
            };
            let record = r.next_record(&mut key, &mut poll);
            let k = match record.map_err(|e| failure_at(e, &key, db))? {
                RdbRecord::Key(k) => k,
                RdbRecord::SelectDb(n) => {
                    db = self.database_of(n, r.bytes_read())?;
                    continue;
                }
                RdbRecord::Aux { .. } | RdbRecord::ResizeDb { .. } if refuse_fields => {
                    return Err(r
                        .error(RdbErrorKind::UnsupportedVersion(version.into()))
                        .into());
                }
                RdbRecord::ResizeDb { keys, .. } => {
                    let n = r.plausible_count(keys, MIN_KEY_BYTES);
                    dbs.as_deref_mut().unwrap_or(&mut self.dbs)[db]
                        .keys
                        .reserve(n);
                    continue;
                }
                RdbRecord::Aux { key: b"lua", value } => {
                    if self.config.script_replication == ScriptReplication::Verbatim {
                        let script = value.to_vec();
                        self.load_script(&script);
                    }
                    continue;
                }
                RdbRecord::Aux { key, value } => {
                    let mut used_mem = 0;
                    aux_field(key, value, &mut info, &mut used_mem, notice);
                    if let Some(l) = self.loading.as_mut().filter(|_| used_mem > 0) {
                        l.rdb_used_mem = used_mem;
                    }
                    continue;
                }
                RdbRecord::Function2(code) => {
                    let code = code.to_vec();
                    let offset = r.bytes_read();
                    let failure = |problem| LoadFailure::Function { offset, problem };
                    if dbs.is_some() {
                        // What is served meanwhile are the old ones.
                        if let Some(loading) = &mut self.loading {
                            loading.functions.push(code);
                        }
                    } else {
                        let mut how = CreateFlags::UNLIMITED;
                        how.set(CreateFlags::REPLACE, flags.contains(RdbFlags::ALLOW_DUP));
                        self.functions_create(&code, how).map_err(failure)?;
                    }
                    continue;
                }
                RdbRecord::ModuleAux { id, .. } => return Err(no_module(id, r.bytes_read())),
                RdbRecord::Eof(sum) => {
                    if sum == RdbChecksum::DisabledAtSave {
                        server_log!(
                            Level::Notice,
                            "RDB file was saved with checksum disabled: no check performed."
                        );
                    }
                    break;
                }
            };
            let loaded = rdb_load_entry(r, k.rdb_type, &key, k.expire_ms, &limits, &mut poll);
            let loaded = loaded.map_err(|e| failure_at(e, &key, db))?;
            let Some(mut e) = loaded else {
                if empty < EMPTY_KEYS_SHOWN {
                    server_log!(
                        Level::Notice,
                        "rdbLoadObject skipping empty key: {}",
                        log::user_data(&key)
                    );
                }
                empty += 1;
                continue;
            };
            let expired = k.expire_ms.is_some_and(|at| at < now);
            if expired && self.i_am_master() && !flags.contains(RdbFlags::AOF_PREAMBLE) {
                // A replica keeps it: its master decides, and sends a deletion.
                self.persist.last_load_keys_expired += 1;
                if flags.contains(RdbFlags::FEED_REPL) {
                    self.feed_deletion(db, &key);
                }
            } else {
                e.set_lru(lru_bits(
                    usage,
                    k.idle,
                    k.freq,
                    clock.lru_clock,
                    clock.lfu_minutes(),
                ));
                let keys = &dbs.as_deref().unwrap_or(&self.dbs)[db].keys;
                let hash = keys.hash(e.name());
                keys.prefetch_bucket(hash);
                pending.push_back(PendingKey {
                    db,
                    hash,
                    offset: r.bytes_read(),
                    entry: e,
                });
                if pending.len() > PENDING_KEYS {
                    self.add_pending(pending, 1, dbs.as_deref_mut(), flags)?;
                }
            }
            if self.config.key_load_delay != 0 {
                debug_delay(self.config.key_load_delay, &mut delays);
            }
        }
        self.stats.dump_payload_sanitizations += limits.sanitizations();
        Ok((info, empty))
    }

    /// A key that was not loaded is deleted in the stream, too: replicas that go on with it may have it.
    fn feed_deletion(&mut self, db: usize, key: &[u8]) {
        let verb = Free::lazily_if(self.config.lazyfree_lazy_expire).verb();
        let words = OwnedArgs::from_slices(&[verb, key]);
        self.replication_feed_slaves(Some(db), &words.as_args());
    }

    /// Loads what the last run has left, at the start (loadDataFromDisk). No file is fine; a file that cannot be loaded ends
    /// the process.
    pub(crate) fn load_data_from_disk(&mut self) {
        let start = monotonic_us();
        if self.aof.state == AofState::On {
            self.load_append_only_files_at_start(start);
            return self.go_on_with_loaded_mark();
        }
        let mut flags = RdbFlags::empty();
        if self.i_am_master() {
            // Deletions of expired keys go there. It stays only if the file says which stream it belongs to.
            self.create_replication_backlog();
            flags |= RdbFlags::FEED_REPL;
        }
        let path = super::db_path(&self.config).to_owned();
        let mut goes_on = false;
        match self.rdb_load(&path, flags) {
            Ok(info) => {
                server_log!(
                    Level::Notice,
                    "DB loaded from disk: {:.3} seconds",
                    monotonic_us().saturating_sub(start) as f64 / 1e6
                );
                if info.is_valid() {
                    goes_on = true;
                    self.replication_restore_from_rdb(info);
                }
            }
            Err(LoadFailure::NotExist) => {}
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "{}",
                    if e.is_before_records() {
                        "Fatal error loading the DB, check server logs. Exiting."
                    } else {
                        "Terminating server after rdb file reading failure."
                    }
                );
                self.exit(1);
            }
        }
        if !goes_on {
            self.free_replication_backlog();
        }
    }

    /// The append-only file says exactly where it stands in the replication stream: that goes on from there, in both roles.
    fn go_on_with_loaded_mark(&mut self) {
        let Some(mark) = self.aof.loaded_mark.take() else {
            return;
        };
        server_log!(
            Level::Notice,
            "The append-only file stands at offset {} of the replication history {}",
            mark.offset,
            String::from_utf8_lossy(&mark.replid)
        );
        if self.i_am_master() {
            self.create_replication_backlog();
        }
        self.replication_restore_from_rdb(RdbLoadInfo {
            repl_stream_db: Some(mark.db),
            repl_id: Some(mark.replid),
            repl_offset: mark.offset,
            hidden_slots: Vec::new(),
        });
    }

    /// DEBUG RELOAD: saves, empties and loads the data set; each step but the last can be left out. Other clients are served meanwhile, `cid` is not.
    ///
    /// # Errors
    /// The reply, for `add_reply_error`.
    pub(crate) fn debug_reload(&mut self, cid: ClientId, how: ReloadFlags) -> Result<(), String> {
        if self.loading.is_some() {
            return Err("-LOADING Redis is loading the dataset in memory".into());
        }
        if !how.contains(ReloadFlags::NOSAVE) && !self.rdb_save_to_dbfilename() {
            return Err("-ERR".into());
        }
        let path = super::db_path(&self.config).to_owned();
        if let Err(e) = check_header(&path, self.config.rdb_version_check.into()) {
            // What is in memory would be gone for nothing.
            e.log(&path, Level::Warning);
            return Err(RELOAD_ERROR.into());
        }
        self.protect_client(cid);
        let checked = self.check_rdb_content(&path);
        self.unprotect_client(cid);
        if checked.is_err() {
            return Err(RELOAD_ERROR.into());
        }
        if !how.contains(ReloadFlags::NOFLUSH) {
            self.empty_data(None, false);
            self.flush_functions(false);
        }
        let mut flags = RdbFlags::empty();
        flags.set(RdbFlags::ALLOW_DUP, how.contains(ReloadFlags::MERGE));
        self.protect_client(cid);
        let loaded = self.rdb_load(&path, flags);
        self.unprotect_client(cid);
        if loaded.is_err() {
            return Err(RELOAD_ERROR.into());
        }
        server_log!(Level::Notice, "DB reloaded by DEBUG RELOAD");
        Ok(())
    }

    /// While the event loop runs inside this client's command, nothing is read from it or written to it (protectClient).
    pub(crate) fn protect_client(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        c.flags |= ClientFlags::PROTECTED;
        c.writing = false;
        if let Some(file) = c.file {
            self.el.delete_file_event(file, Mask::READABLE);
            self.el.delete_file_event(file, Mask::WRITABLE);
        }
    }

    /// Ends what [`Self::protect_client`] has begun (unprotectClient).
    pub(crate) fn unprotect_client(&mut self, cid: ClientId) {
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        c.flags.remove(ClientFlags::PROTECTED);
        if let Some(file) = c.file {
            self.el
                .create_file_event(file, Mask::READABLE, read_query_from_client, cid.to_data());
        }
        if self.client_has_pending_replies(cid) {
            self.clients.queue_write(cid);
        }
    }
}

/// What DEBUG RELOAD answers where the file cannot be loaded.
const RELOAD_ERROR: &str = "Error trying to load the RDB dump, check server logs.";

/// Whether there is a file that begins as one that is read here.
fn check_header(path: &Path, check: VersionCheck) -> Result<(), LoadFailure> {
    let mut file = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => LoadFailure::NotExist,
        _ => LoadFailure::Open(e),
    })?;
    let mut header = [0; RDB_HEADER_LEN];
    let at = |kind| RdbError { offset: 0, kind };
    file.read_exact(&mut header).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => at(RdbErrorKind::ShortRead),
        kind => at(RdbErrorKind::Io(kind)),
    })?;
    parse_header(&header, check).map_err(at)?;
    Ok(())
}

fn no_module(id: u64, offset: u64) -> LoadFailure {
    let (name, _) = module_type_name_by_id(id);
    LoadFailure::Module {
        offset,
        name: String::from_utf8_lossy(&name).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_restored() {
        assert_eq!(lru_bits(Usage::Unused, None, None, 500, 9), 500);
        assert_eq!(lru_bits(Usage::Lru, Some(100), None, 500, 9), 400);
        assert_eq!(
            lru_bits(Usage::Lru, Some(600), None, 500, 9),
            LRU_CLOCK_MAX - 100
        );
        assert_eq!(lru_bits(Usage::Lru, Some(u64::MAX), None, 500, 9), 0);
        assert_eq!(lru_bits(Usage::Lfu, Some(100), Some(77), 500, 9), 0x94d);
        assert_eq!(lru_bits(Usage::Lfu, None, None, 500, 9), 0x905);
    }

    #[test]
    fn etas() {
        assert_eq!(eta_seconds(25, 100, 5_000_000), 15);
        assert_eq!(eta_seconds(0, 100, 5_000_000), 500);
        assert_eq!(eta_seconds(200, 100, 5_000_000), 0);
        assert_eq!(eta_seconds(1, u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn aux_fields_tell_the_stream() {
        let mut info = RdbLoadInfo::default();
        let mut mem = 0;
        let mut aux =
            |k: &str, v: &[u8]| aux_field(k.as_bytes(), v, &mut info, &mut mem, Level::Notice);
        aux("repl-id", b"short");
        aux("repl-stream-db", b"-1");
        aux("no-such-field", b"x");
        aux("used-mem", b"-5");
        assert!(!info.is_valid());
        assert_eq!(info, RdbLoadInfo::default());
        let mut aux =
            |k: &str, v: &[u8]| aux_field(k.as_bytes(), v, &mut info, &mut mem, Level::Notice);
        aux("REPL-ID", &[b'a'; 40]);
        aux("repl-stream-db", b"3");
        aux("repl-offset", b"1234");
        aux("used-mem", b"99");
        aux(HIDDEN_SLOTS, b"5-7,9-9");
        assert_eq!(
            info,
            RdbLoadInfo {
                repl_stream_db: Some(3),
                repl_id: Some([b'a'; 40]),
                repl_offset: 1234,
                hidden_slots: b"5-7,9-9".to_vec(),
            }
        );
        assert!(info.is_valid());
        assert_eq!(mem, 99);
    }
}
