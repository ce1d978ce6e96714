//! Loading the append-only file: its parts in order, each a snapshot or commands that a client without a connection runs,
//! while others are served now and then (loadAppendOnlyFiles, loadSingleAppendOnlyFile of aof.c).
//!
//! Invariants: a command runs only when all of it has come; what a count or a length claims sizes nothing, only bytes that
//! were read do; a transaction without its EXEC changes nothing. A file that is refused ends the load with the reason and
//! the offset in the log; one that merely ends too early, or in NULs where a command should go on, is cut after its last whole
//! command, if the configuration allows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};

use super::aof::ManifestWritten;
use super::debug_delay;
use crate::base::clock::monotonic_us;
use crate::base::log::{self, Level};
use crate::base::sys::{path_of, strerror};
use crate::server::Server;
use crate::server::aof::AofState;
use crate::server::clients::client::Client;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::Args;
use crate::server::execution::command::{AclCategories, CommandFlags, CommandId};
use crate::server::execution::exec::shown_part;
use crate::server::persist::RdbFlags;
use crate::server_log;
use crate::wire::ahead::Ahead;
use crate::wire::aof::{
    AofManifest, MAX_COMMAND, Malformed, MarkReader, is_cut_short, parse_command,
};
use crate::wire::rdb::is_rdb_magic;
use crate::wire::resp::Span;

/// Commands between two turns of the event loop.
const COMMANDS_PER_TURN: u64 = 1024;
/// Bytes that are read at once, and the least that the window holds.
const WINDOW: usize = 256 * 1024;

/// How a load ended, well (AOF_OK ..).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AofLoaded {
    Ok,
    /// There is no append-only file.
    NotExist,
    /// There is nothing in it.
    Empty,
    /// It ended too early and was cut.
    Truncated,
}

/// How it ended, badly; the log says why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AofLoadFailed;

/// Why no command came out of the window.
#[derive(Debug)]
enum Stop {
    /// The file ends between two commands.
    End,
    /// The file ends within a command, or in NULs where one should go on; so many NULs are at its end.
    ShortRead(u64),
    /// These bytes are no command.
    Format,
    Io(io::Error),
}

/// A window over a file, and the command that begins at its start.
struct AofReader {
    file: File,
    buf: Vec<u8>,
    /// The bytes of `buf` that are read, and those that are consumed.
    end: usize,
    start: usize,
    /// Where in the file `buf` begins.
    offset: u64,
    eof: bool,
    /// Of the command at `start`, when `ahead` has it not.
    spans: Vec<Span>,
    /// The next commands, which begin at `group` in `buf`, as far as they are whole and plain; `nth` of them are consumed.
    ahead: Ahead,
    group: usize,
    nth: usize,
    /// Where the data set stands in the replication stream.
    marks: MarkReader,
}

impl AofReader {
    /// Reads on from `offset`, where the file is positioned.
    fn new(file: File, offset: u64) -> AofReader {
        AofReader {
            file,
            buf: Vec::new(),
            end: 0,
            start: 0,
            offset,
            eof: false,
            spans: Vec::new(),
            ahead: Ahead::default(),
            group: 0,
            nth: 0,
            marks: MarkReader::default(),
        }
    }

    /// The offset of what is not consumed.
    fn position(&self) -> u64 {
        self.offset + self.start as u64
    }

    /// Reads more behind what is not consumed. False: there is no more.
    fn fill(&mut self) -> io::Result<bool> {
        if self.eof {
            return Ok(false);
        }
        self.buf.copy_within(self.start..self.end, 0);
        self.offset += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.buf.len() - self.end < WINDOW / 2 {
            // Twice what has come: a length that lies cannot make it grow.
            let len = (self.end * 2).max(WINDOW);
            self.buf.resize(len, 0);
        }
        loop {
            match self.file.read(&mut self.buf[self.end..]) {
                Ok(0) => {
                    self.eof = true;
                    return Ok(false);
                }
                Ok(n) => {
                    self.end += n;
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Finds the next command; annotations are passed over. True: it is the first of a group, see [`Self::group`].
    fn next(&mut self) -> Result<bool, Stop> {
        let mut new = false;
        if self.nth == self.ahead.len() {
            (self.group, self.nth) = (self.start, 0);
            self.ahead.parse(&self.buf[self.start..self.end]);
            new = !self.ahead.is_empty();
            if !new {
                self.next_alone()?;
            }
        }
        self.marks.command();
        Ok(new)
    }

    /// The next command by itself, its words as spans of what begins at `start`.
    fn next_alone(&mut self) -> Result<(), Stop> {
        loop {
            let text = &self.buf[self.start..self.end];
            match parse_command(text, &mut self.spans) {
                Ok(Some(len)) if self.spans.is_empty() => {
                    self.marks.annotation(&text[..len]);
                    self.start += len;
                }
                Ok(Some(_)) => return Ok(()),
                Ok(None) if self.end - self.start > MAX_COMMAND => return Err(Stop::Format),
                Ok(None) => match self.fill() {
                    Ok(true) => {}
                    Ok(false) if self.start == self.end => return Err(Stop::End),
                    Ok(false) => return Err(Stop::ShortRead(self.nuls_at_end())),
                    Err(e) => return Err(Stop::Io(e)),
                },
                Err(Malformed) => {
                    return Err(match self.nul_tail() {
                        Ok(Some(nuls)) => Stop::ShortRead(nuls),
                        Ok(None) => Stop::Format,
                        Err(e) => Stop::Io(e),
                    });
                }
            }
        }
    }

    /// NULs at the end of what is read, which is the file's end.
    fn nuls_at_end(&self) -> u64 {
        trailing_nuls(&self.buf[self.start..self.end]) as u64
    }

    /// What is not consumed is no command. If all of the file from some place in there on is NULs, and what is before them may
    /// be the front of a command, that is a file whose end never came to the disk: how many NULs there are.
    #[cold]
    fn nul_tail(&mut self) -> io::Result<Option<u64>> {
        let text = &self.buf[self.start..self.end];
        let nuls = trailing_nuls(text);
        if nuls == 0 || !is_cut_short(&text[..text.len() - nuls]) {
            return Ok(None);
        }
        let mut nuls = nuls as u64;
        let mut buf = vec![0; WINDOW];
        loop {
            match self.file.read(&mut buf) {
                Ok(0) => return Ok(Some(nuls)),
                Ok(n) if trailing_nuls(&buf[..n]) == n => nuls += n as u64,
                Ok(_) => return Ok(None),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// The commands that are known ahead, and the bytes that they are in.
    fn group(&self) -> (&Ahead, &[u8]) {
        (&self.ahead, &self.buf[self.group..self.end])
    }

    /// The command that [`Self::next`] has found: bytes that it lies in, and its words as spans of these.
    fn command(&self) -> (&[u8], &[Span]) {
        if self.nth < self.ahead.len() {
            let (ahead, text) = self.group();
            ahead.get(self.nth, text)
        } else {
            (&self.buf[self.start..self.end], &self.spans)
        }
    }

    /// It has run: the next one may be looked for.
    fn consume(&mut self) {
        let (_, spans) = self.command();
        // The last word, and the line end after it.
        self.start += spans.last().map_or(0, |s| s.end as usize + 2);
        if self.nth < self.ahead.len() {
            self.nth += 1;
        }
    }
}

/// How many NULs there are at the end.
fn trailing_nuls(text: &[u8]) -> usize {
    text.iter().rev().take_while(|b| **b == 0).count()
}

impl Server {
    /// Loads the append-only file at the start of the process, which ends when that fails.
    pub(super) fn load_append_only_files_at_start(&mut self, start_us: u64) {
        match self.load_append_only_files() {
            Err(AofLoadFailed) => self.exit(1),
            Ok(AofLoaded::NotExist) => {}
            Ok(AofLoaded::Ok | AofLoaded::Empty | AofLoaded::Truncated) => server_log!(
                Level::Notice,
                "DB loaded from append only file: {:.3} seconds",
                monotonic_us().saturating_sub(start_us) as f64 / 1e6
            ),
        }
    }

    /// A data set of a version that knew one file only is made one of parts (aofUpgradePrepare). What fails ends the process;
    /// whatever happens, the next start can do it again.
    fn aof_upgrade_prepare(&mut self) {
        let filename = self.config.appendfilename.clone();
        if !self.create_append_only_dir() {
            self.exit(1);
        }
        let mut m = AofManifest::upgraded(&filename);
        if self.persist_aof_manifest(&mut m) != ManifestWritten::Synced {
            self.exit(1);
        }
        self.aof.manifest = m;
        let shown = String::from_utf8_lossy(&filename).into_owned();
        let dir = path_of(&self.config.appenddirname);
        if let Err(e) = fs::rename(path_of(&filename), self.aof_path(&filename)) {
            server_log!(
                Level::Warning,
                "Error trying to move the old AOF file {} into dir {}: {}",
                shown,
                dir.display(),
                strerror(&e)
            );
            self.exit(1);
        }
        server_log!(
            Level::Notice,
            "Successfully migrated an old-style AOF file ({}) into the AOF directory ({}).",
            shown,
            dir.display()
        );
    }

    fn aof_upgrade_is_due(&self) -> bool {
        let filename = &self.config.appendfilename;
        let m = &self.aof.manifest;
        if !path_of(filename).exists() {
            return false;
        }
        if !path_of(&self.config.appenddirname).is_dir() {
            return true;
        }
        match &m.base {
            _ if !m.incr.is_empty() => false,
            None => true,
            Some(b) => b.file_name == *filename && !self.aof_path(filename).exists(),
        }
    }

    /// Loads all parts in order (loadAppendOnlyFiles).
    ///
    /// # Errors
    /// A part is missing, cannot be read, or is damaged; the log says which and where.
    pub(crate) fn load_append_only_files(&mut self) -> Result<AofLoaded, AofLoadFailed> {
        if self.aof_upgrade_is_due() {
            self.aof_upgrade_prepare();
        }
        let parts: Vec<_> = self.aof.manifest.parts().cloned().collect();
        if parts.is_empty() {
            return Ok(AofLoaded::NotExist);
        }
        let mut sizes = Vec::with_capacity(parts.len());
        for p in &parts {
            match fs::metadata(self.aof_path(&p.file_name)) {
                Ok(m) => sizes.push(m.len()),
                Err(e) => {
                    server_log!(
                        Level::Warning,
                        "Unable to obtain the AOF file {} length. stat: {}",
                        String::from_utf8_lossy(&p.file_name),
                        strerror(&e)
                    );
                    return Err(AofLoadFailed);
                }
            }
        }
        let total: u64 = sizes.iter().sum();
        if total == 0 {
            return Ok(AofLoaded::Empty);
        }
        self.start_loading(total, false);
        let mut last = AofLoaded::Ok;
        let base = self.aof.manifest.base.is_some();
        for (i, (p, size)) in parts.iter().zip(&sizes).enumerate() {
            let what = if base && i == 0 { "base" } else { "incr" };
            match self.load_part(&p.file_name, what, i + 1 == parts.len()) {
                Ok(l) => last = l,
                Err(e) => {
                    self.stop_loading();
                    return Err(e);
                }
            }
            if let Some(l) = self.loading.as_mut() {
                l.done_bytes += size;
            }
        }
        self.aof.current_size = total;
        self.aof.rewrite_base_size = if base { sizes[0] } else { 0 };
        self.stop_loading();
        Ok(last)
    }

    fn load_part(
        &mut self,
        name: &[u8],
        what: &str,
        is_last: bool,
    ) -> Result<AofLoaded, AofLoadFailed> {
        let start = monotonic_us();
        let loaded = self.load_single_append_only_file(name)?;
        if loaded == AofLoaded::Truncated && !is_last {
            server_log!(
                Level::Warning,
                "Fatal error: the truncated file is not the last file"
            );
            return Err(AofLoadFailed);
        }
        if loaded != AofLoaded::Empty {
            server_log!(
                Level::Notice,
                "DB loaded from {} file {}: {:.3} seconds",
                what,
                String::from_utf8_lossy(name),
                monotonic_us().saturating_sub(start) as f64 / 1e6
            );
        }
        // The total is not zero, so one empty part is no empty data set.
        Ok(match loaded {
            AofLoaded::Empty => AofLoaded::Ok,
            other => other,
        })
    }

    /// Loads one part (loadSingleAppendOnlyFile).
    fn load_single_append_only_file(&mut self, name: &[u8]) -> Result<AofLoaded, AofLoadFailed> {
        let path = self.aof_path(name);
        let shown = String::from_utf8_lossy(name).into_owned();
        let opened = File::open(&path).and_then(|mut f| {
            let size = f.metadata()?.len();
            let mut sig = Vec::new();
            (&mut f).take(6).read_to_end(&mut sig)?;
            f.seek(SeekFrom::Start(0))?;
            Ok((f, size, sig))
        });
        let (mut file, size, sig) = match opened {
            Ok(o) => o,
            Err(e) => {
                server_log!(
                    Level::Warning,
                    "Fatal error: can't open the append log file {} for reading: {}",
                    shown,
                    strerror(&e)
                );
                return Err(AofLoadFailed);
            }
        };
        if size == 0 {
            return Ok(AofLoaded::Empty);
        }
        // A base does not say where it stands.
        self.aof.loaded_mark = None;
        // What is loaded must not be written again.
        let state = std::mem::replace(&mut self.aof.state, AofState::Off);
        let mut offset = 0;
        if is_rdb_magic(&sig) {
            let old_style = name == self.config.appendfilename;
            server_log!(
                Level::Notice,
                "{}",
                if old_style {
                    "Reading RDB preamble from AOF file..."
                } else {
                    "Reading RDB base file on AOF loading..."
                }
            );
            match self.rdb_load_rio(&file, size, RdbFlags::AOF_PREAMBLE) {
                Ok((_, end)) => offset = end,
                Err(e) => {
                    e.log(&path, Level::Warning);
                    server_log!(
                        Level::Warning,
                        "Error reading the RDB {} {}, AOF loading aborted",
                        if old_style {
                            "preamble of the AOF file"
                        } else {
                            "base file"
                        },
                        shown
                    );
                    self.aof.state = state;
                    return Err(AofLoadFailed);
                }
            }
            if old_style {
                server_log!(Level::Notice, "Reading the remaining AOF tail...");
            }
            if let Err(e) = file.seek(SeekFrom::Start(offset)) {
                self.aof.state = state;
                return self.aof_read_failed(&shown, &e);
            }
        }
        let client = self.clients.create_client(None, self.clock.unix_s);
        let outer = self.exec.call.client.replace(client);
        let loaded = self.load_commands(client, AofReader::new(file, offset), name);
        self.discard_transaction(client);
        self.free_client_async(client);
        self.exec.call.client = outer;
        self.aof.state = state;
        loaded
    }

    /// DEBUG LOADAOF: what is buffered is written, and the data set replaced by what the files have.
    ///
    /// # Errors
    /// The reply.
    pub(crate) fn debug_loadaof(&mut self, cid: ClientId) -> Result<(), &'static str> {
        self.flush_append_only_file(true);
        self.empty_data(None, false);
        self.flush_functions(false);
        self.protect_client(cid);
        self.aof_load_manifest_from_disk();
        self.aof_del_history_files();
        let loaded = self.load_append_only_files();
        self.unprotect_client(cid);
        // Loading is no change to propagate, whatever came of it.
        self.dirty = 0;
        if !matches!(loaded, Ok(AofLoaded::Ok | AofLoaded::Empty)) {
            return Err("Error trying to load the AOF files, check server logs.");
        }
        server_log!(Level::Notice, "Append Only File loaded by DEBUG LOADAOF");
        Ok(())
    }

    fn aof_read_failed(&self, shown: &str, e: &io::Error) -> Result<AofLoaded, AofLoadFailed> {
        server_log!(
            Level::Warning,
            "Unrecoverable error reading the append only file {}: {}",
            shown,
            strerror(e)
        );
        Err(AofLoadFailed)
    }

    /// Why a file may not have this command: it holds what changes the data set, and what can do no harm besides. Waiting
    /// needs no refusal, for a client without a connection never waits.
    fn refused_in_file(&self, client: ClientId, id: CommandId) -> Option<&'static str> {
        let row = self.commands.row(id);
        let of_a_connection = row.flags.contains(CommandFlags::NOSCRIPT)
            && row
                .command
                .categories()
                .intersects(AclCategories::CONNECTION | AclCategories::PUBSUB);
        if !row.flags.contains(CommandFlags::WRITE)
            && (row.flags.contains(CommandFlags::ADMIN) || of_a_connection)
        {
            return Some("it acts on the server or on a connection, not on the data set");
        }
        if row.flags.contains(CommandFlags::REACHES_OUT) {
            return Some("it reaches another server");
        }
        let multi = |c: &Client| c.has(ClientFlags::MULTI);
        (row.flags.contains(CommandFlags::BEGINS_MULTI)
            && self.clients.get(client).is_some_and(multi))
        .then_some("it begins a transaction within another one")
    }

    /// Runs the commands of a part as `client`'s.
    fn load_commands(
        &mut self,
        client: ClientId,
        mut r: AofReader,
        name: &[u8],
    ) -> Result<AofLoaded, AofLoadFailed> {
        let shown = String::from_utf8_lossy(name).into_owned();
        let started = monotonic_us();
        let mut commands = 0u64;
        let mut delays = 0;
        let mut before_multi = r.position();
        let stop = loop {
            if commands.is_multiple_of(COMMANDS_PER_TURN) {
                self.loading_progress(r.position(), started);
            }
            commands += 1;
            match r.next() {
                Ok(false) => {}
                Ok(true) => {
                    let (ahead, text) = r.group();
                    self.prefetch(client, ahead, text);
                }
                Err(stop) => break stop,
            }
            let (text, spans) = r.command();
            let args = Args::of_spans(text, spans);
            let found = self.commands.lookup(&args[0]);
            let id = match found {
                Some(id) if self.commands.row(id).has_subcommands() && args.len() > 1 => {
                    self.commands.lookup_subcommand(id, &args[1])
                }
                other => other,
            };
            let id = id.filter(|id| {
                let row = self.commands.row(*id);
                row.proc.is_some() && row.accepts_argc(args.len())
            });
            let Some(id) = id else {
                server_log!(
                    Level::Warning,
                    "Unknown command '{}' reading the append only file {} at offset {}",
                    log::user_data(shown_part(&args[0])),
                    shown,
                    r.position()
                );
                return Err(AofLoadFailed);
            };
            if self
                .commands
                .row(id)
                .flags
                .contains(CommandFlags::BEGINS_MULTI)
            {
                before_multi = r.position();
            }
            if let Some(reason) = self.refused_in_file(client, id) {
                server_log!(
                    Level::Warning,
                    "The append only file {} has the command '{}' at offset {}, which is not run: {}. No server writes it there; \
                     remove it from the file.",
                    shown,
                    self.commands.full_name(id).to_uppercase().replace('|', " "),
                    r.position(),
                    reason
                );
                return Err(AofLoadFailed);
            }
            self.run_loaded_command(client, id, &args);
            r.consume();
            if self.config.key_load_delay != 0 {
                debug_delay(self.config.key_load_delay, &mut delays);
            }
        };
        let in_multi = |s: &Server| {
            s.clients
                .get(client)
                .is_some_and(|c| c.has(ClientFlags::MULTI))
        };
        if let Stop::ShortRead(nuls @ 1..) = stop {
            server_log!(
                Level::Warning,
                "The last {} bytes of the AOF file {} are NULs, as a power loss leaves them. They count as a short read.",
                nuls,
                shown
            );
        }
        let valid_up_to = match stop {
            Stop::End if !in_multi(self) => {
                self.aof.loaded_mark = r.marks.mark();
                self.loading_progress(r.position(), started);
                return Ok(AofLoaded::Ok);
            }
            Stop::Io(e) => return self.aof_read_failed(&shown, &e),
            Stop::Format => {
                server_log!(
                    Level::Warning,
                    "What begins at offset {} of the append only file {} is no command",
                    r.position(),
                    shown
                );
                server_log!(
                    Level::Warning,
                    "Bad file format reading the append only file {}: make a backup of your AOF file, then use \
                     ./redis-check-aof --fix <filename.manifest>",
                    shown
                );
                return Err(AofLoadFailed);
            }
            Stop::End | Stop::ShortRead(_) if in_multi(self) => {
                server_log!(
                    Level::Warning,
                    "Revert incomplete MULTI/EXEC transaction in AOF file {}",
                    shown
                );
                before_multi
            }
            Stop::End | Stop::ShortRead(_) => {
                // Whatever is cut off was not run.
                self.aof.loaded_mark = r.marks.mark();
                r.position()
            }
        };
        if self.config.aof_load_truncated {
            server_log!(
                Level::Warning,
                "!!! Warning: short read while loading the AOF file {}!!!",
                shown
            );
            server_log!(
                Level::Warning,
                "!!! Truncating the AOF {} at offset {} !!!",
                shown,
                valid_up_to
            );
            let cut = OpenOptions::new()
                .write(true)
                .open(self.aof_path(name))
                .and_then(|f| f.set_len(valid_up_to));
            match cut {
                Ok(()) => {
                    server_log!(
                        Level::Warning,
                        "AOF {} loaded anyway because aof-load-truncated is enabled",
                        shown
                    );
                    return Ok(AofLoaded::Truncated);
                }
                Err(e) => server_log!(
                    Level::Warning,
                    "Error truncating the AOF file {}: {}",
                    shown,
                    strerror(&e)
                ),
            }
        }
        server_log!(
            Level::Warning,
            "Unexpected end of file reading the append only file {}. You can: 1) Make a backup of your AOF file, then use \
             ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration \
             option to yes and restart the server.",
            shown
        );
        Err(AofLoadFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn reader(bytes: &[u8]) -> AofReader {
        let (r, mut w) = crate::base::sys::pipe().expect("a pipe");
        w.write_all(bytes).expect("room in the pipe");
        AofReader::new(r, 0)
    }

    /// The commands of some bytes, and how they ended.
    fn read(bytes: &[u8]) -> (Vec<Vec<Vec<u8>>>, u64, &'static str) {
        let mut r = reader(bytes);
        let mut commands = Vec::new();
        loop {
            match r.next() {
                Ok(_) => {
                    let (text, spans) = r.command();
                    let words = spans.iter();
                    let words = words.map(|s| text[s.start as usize..s.end as usize].to_vec());
                    commands.push(words.collect());
                    r.consume();
                }
                Err(stop) => {
                    let how = match stop {
                        Stop::End => "end",
                        Stop::ShortRead(0) => "short",
                        Stop::ShortRead(_) => "nuls",
                        Stop::Format => "format",
                        Stop::Io(_) => "io",
                    };
                    return (commands, r.position(), how);
                }
            }
        }
    }

    #[test]
    fn commands_and_annotations() {
        let text = b"#TS:5\r\n*1\r\n$4\r\nPING\r\n#x\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n";
        let want = vec![vec![b"PING".to_vec()], vec![b"GET".to_vec(), Vec::new()]];
        assert_eq!(read(text), (want, text.len() as u64, "end"));
    }

    #[test]
    fn every_cut_is_found_where_the_last_command_ends() {
        let one: &[u8] = b"*2\r\n$3\r\nGET\r\n$2\r\nab\r\n";
        let text = [one, one].concat();
        for cut in 0..=text.len() {
            let (commands, at, how) = read(&text[..cut]);
            let whole = cut / one.len();
            assert_eq!(commands.len(), whole, "cut at {cut}");
            assert_eq!(at, (whole * one.len()) as u64, "cut at {cut}");
            let want = if cut % one.len() == 0 { "end" } else { "short" };
            assert_eq!(how, want, "cut at {cut}");
        }
    }

    /// Blocks of the file that never came to the disk: a cut at any place, and then NULs, few or more than the window holds.
    #[test]
    fn nuls_behind_a_cut_are_a_short_read() {
        let one: &[u8] = b"*2\r\n$3\r\nGET\r\n$12\r\nabcdefghijkl\r\n";
        let text = [one, b"#TS:1\r\n", one].concat();
        for cut in 0..=text.len() {
            for nuls in [1, 2, 30, 5000] {
                let file = [&text[..cut], &vec![0; nuls]].concat();
                let (commands, at, how) = read(&file);
                let (want, end) = match cut {
                    n if n == text.len() => (2, n),
                    n if n >= one.len() + 7 => (1, one.len() + 7),
                    n if n >= one.len() => (1, one.len()),
                    _ => (0, 0),
                };
                let place = format!("cut at {cut}, {nuls} NULs");
                assert_eq!(
                    (commands.len(), at, how),
                    (want, end as u64, "nuls"),
                    "{place}"
                );
                // One byte more, and it is no tail.
                if cut < text.len() {
                    assert_ne!(read(&[&file[..], b"x"].concat()).2, "end", "{place}");
                }
            }
        }
    }

    /// Plain commands come from groups, others alone, and annotations between them.
    #[test]
    fn groups_and_others_keep_their_order() {
        let (mut text, mut want) = (Vec::new(), Vec::new());
        for i in 0..100usize {
            if i % 23 == 5 {
                text.extend(format!("#TS:{i}\r\n").bytes());
            }
            let word = i
                .to_string()
                .repeat(if i % 31 == 7 { 600 } else { 1 + i % 5 });
            text.extend(format!("*2\r\n$3\r\nGET\r\n${}\r\n{word}\r\n", word.len()).bytes());
            want.push(vec![b"GET".to_vec(), word.into_bytes()]);
        }
        assert_eq!(read(&text), (want, text.len() as u64, "end"));
    }

    #[test]
    fn faults() {
        for text in [
            &b"GET a\r\n"[..],
            b"*0\r\n",
            b"*-1\r\n",
            b"*x\r\n",
            b"*1\r\n+4\r\nPING\r\n",
            b"*1\r\n$-4\r\nPING\r\n",
            b"*1\r\n$99999999999999999999999\r\n",
            b"*1\r\n$9223372036854775807\r\n",
            b"*11111111111111111111111111",
            b"*hello",
            b"*1\r\n$4\r\nPING\0\n",
            b"*1\r\n$4\r\nPING\0\0*1\r\n$4\r\nPING\r\n",
            b"*x\0\0\0",
            b"hello\0\0\0",
        ] {
            assert_eq!(read(text).2, "format", "{text:?}");
        }
        let long = [b"#".to_vec(), vec![b'x'; 2000]].concat();
        assert_eq!(read(&long).2, "format");
    }
}
