//! `redis-check-aof`: reads the commands of an append-only file, of one file or of all parts that a manifest names, and cuts
//! off what cannot be read or what is too new, if it is asked to (redis-check-aof.c).
//!
//! Invariants: only the last part is ever cut, and only after a yes or for a time stamp; nothing is cut inside a
//! transaction, and no file whose first bytes are not those of an append-only file. Commands are looked at as bytes: whether they make sense is the server's to say.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::rdb::check_rdb;
use super::{folder_of, shown};
use crate::base::num::strtol;
use crate::base::sys::{path_of, strerror};
use crate::persist::aof::log_manifest_error;
use crate::wire::aof::{
    AOF_ANNOTATION_LINE_MAX_LEN, AofManifest, MANIFEST_MAX_LINE, parse_command,
};
use crate::wire::rdb::{RdbReader, is_rdb_magic};

/// The longest line of a count or a length, with its end (the size of upstream's line buffer).
const LINE_MAX: usize = 128;
/// Bytes by which it is told whether a file begins with a command.
const FIRST_BYTES: u64 = 64 * 1024;
/// A first word that is longer is neither MULTI nor EXEC.
const VERB_MAX: usize = 8;

/// How a file begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// With a snapshot.
    Rdb,
    /// With commands.
    Resp,
}

/// Where a file stands among the parts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Last,
    BeforeOthers,
}

impl Place {
    fn of(number: usize, parts: usize) -> Place {
        match number == parts {
            true => Place::Last,
            false => Place::BeforeOthers,
        }
    }
}

/// The tool has said why it stops; the exit code is 1.
struct Stop;

/// How a file came out (AOF_CHECK_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Ok,
    Empty,
    Truncated,
    TimestampTruncated,
}

/// What an annotation means for the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Annotation {
    Passed,
    /// What follows is newer than wanted: the file was cut here.
    Newer,
    /// It ends in NULs instead of a line end.
    Cut,
}

/// A file that is read line by line, as stdio does it.
struct Input {
    r: BufReader<File>,
    /// The offset of the next byte.
    pos: u64,
    /// A read has met the end.
    eof: bool,
}

impl Input {
    fn new(file: File, pos: u64) -> Input {
        Input {
            r: BufReader::with_capacity(256 * 1024, file),
            pos,
            eof: false,
        }
    }

    /// The next byte, which is not consumed; `None` at the end.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        let next = self.r.fill_buf()?.first().copied();
        self.eof |= next.is_none();
        Ok(next)
    }

    /// A line with its end, or the first `max` bytes of one (fgets). Empty at the end of the file.
    fn line(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let limit = max as u64;
        let n = (&mut self.r).take(limit).read_until(b'\n', &mut line)?;
        self.pos += n as u64;
        self.eof |= n < max && line.last() != Some(&b'\n');
        Ok(line)
    }

    /// Consumes up to `n` bytes; the first of them go to `head`, the last two to `tail`. Returns how many there were.
    fn bytes(&mut self, n: u64, head: &mut Vec<u8>, tail: &mut [u8; 2]) -> io::Result<u64> {
        let mut left = n;
        while left > 0 {
            let buf = self.r.fill_buf()?;
            if buf.is_empty() {
                self.eof = true;
                break;
            }
            let here = usize::try_from(left).map_or(buf.len(), |l| l.min(buf.len()));
            let seen = &buf[..here];
            head.extend_from_slice(&seen[..here.min(VERB_MAX.saturating_sub(head.len()))]);
            match *seen {
                [.., a, b] => *tail = [a, b],
                [b] => *tail = [tail[1], b],
                [] => {}
            }
            self.r.consume(here);
            left -= here as u64;
        }
        self.pos += n - left;
        Ok(n - left)
    }
}

/// What is asked for and what was found so far.
struct AofCheck<'a> {
    out: &'a mut dyn Write,
    /// Where the yes comes from.
    answers: &'a mut dyn Read,
    fix: bool,
    /// Cut at the first annotation that is newer, in Unix seconds; zero: do not.
    to_timestamp: i64,
    /// Lines read, over all files.
    line: u64,
    /// Where what is wrong begins, and what it is.
    epos: u64,
    error: String,
}

macro_rules! say {
    ($check:expr, $($text:tt)*) => {{
        // Who does not listen any more needs no lines.
        let _ = writeln!($check.out, $($text)*);
    }};
}

impl AofCheck<'_> {
    fn fault(&mut self, text: String) {
        self.error = format!("0x{:16x}: {text}", self.epos);
    }

    /// Whether `end` is a line's end (consumeNewline).
    fn consume_newline(&mut self, end: &[u8]) -> bool {
        if end.starts_with(b"\r\n") {
            self.line += 1;
            return true;
        }
        let byte = |i: usize| end.get(i).copied().unwrap_or(0);
        self.fault(format!(
            "Expected \\r\\n, got: {:02x}{:02x}",
            byte(0),
            byte(1)
        ));
        false
    }

    /// The number of a line that begins with `prefix` (readLong). `None`: it is not there; at the end of the file there is
    /// no fault to name.
    fn read_long(&mut self, r: &mut Input, prefix: u8) -> io::Result<Option<i64>> {
        self.epos = r.pos;
        let line = r.line(LINE_MAX - 1)?;
        let Some((&first, rest)) = line.split_first() else {
            return Ok(None);
        };
        if first != prefix {
            self.fault(format!(
                "Expected prefix '{}', got: '{}'",
                char::from(prefix),
                char::from(first)
            ));
            return Ok(None);
        }
        let (n, used) = strtol(rest);
        Ok(self.consume_newline(&rest[used..]).then_some(n))
    }

    /// A word, whose first bytes go to `head` (readString). False: it is wrong.
    fn read_string(&mut self, r: &mut Input, head: &mut Vec<u8>) -> io::Result<bool> {
        let Some(len) = self.read_long(r, b'$')? else {
            return Ok(false);
        };
        let Some(want) = u64::try_from(len)
            .ok()
            .filter(|n| *n <= i64::MAX as u64 - 2)
        else {
            self.fault(format!(
                "Expected to read string of {len} bytes, which is not in the suitable range"
            ));
            return Ok(false);
        };
        self.epos = r.pos;
        head.clear();
        let mut tail = [0; 2];
        let got = r.bytes(want + 2, head, &mut tail)?;
        if got != want + 2 {
            self.fault(format!(
                "Expected to read {} bytes, got {got} bytes",
                want + 2
            ));
            return Ok(false);
        }
        head.truncate(usize::try_from(want).unwrap_or(usize::MAX));
        Ok(self.consume_newline(&tail))
    }

    /// One command (processRESP). False: it is wrong. `multi` counts the transactions that are open.
    fn process_resp(&mut self, r: &mut Input, name: &str, multi: &mut i32) -> io::Result<bool> {
        let Some(argc) = self.read_long(r, b'*')? else {
            return Ok(false);
        };
        let mut word = Vec::new();
        for i in 0..argc {
            if !self.read_string(r, &mut word)? {
                return Ok(false);
            }
            if i > 0 {
                continue;
            }
            if word.eq_ignore_ascii_case(b"multi") {
                *multi += 1;
                if *multi != 1 {
                    self.fault(format!("Unexpected MULTI in AOF {name}"));
                    return Ok(false);
                }
            } else if word.eq_ignore_ascii_case(b"exec") {
                *multi -= 1;
                if *multi != 0 {
                    self.fault(format!("Unexpected EXEC in AOF {name}"));
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// An annotation (processAnnotations).
    fn process_annotations(
        &mut self,
        r: &mut Input,
        path: &str,
        place: Place,
    ) -> Result<Annotation, Stop> {
        self.epos = r.pos;
        let line = match r.line(AOF_ANNOTATION_LINE_MAX_LEN) {
            Ok(line) => line,
            Err(_) => {
                say!(
                    self,
                    "Failed to read annotations from AOF {path}, aborting..."
                );
                return Err(Stop);
            }
        };
        if line.last() != Some(&b'\n') && line.contains(&0) {
            self.fault("Annotation without a line end".into());
            return Ok(Annotation::Cut);
        }
        let to = self.to_timestamp;
        let Some(stamp) = line.strip_prefix(b"#TS:").filter(|_| to != 0) else {
            return Ok(Annotation::Passed);
        };
        let (ts, used) = strtol(stamp);
        if stamp.get(used) != Some(&b'\r') {
            say!(self, "Invalid timestamp annotation");
            return Err(Stop);
        }
        if ts <= to {
            return Ok(Annotation::Passed);
        }
        if self.epos == 0 {
            say!(
                self,
                "AOF {path} has nothing before timestamp {to}, aborting..."
            );
            return Err(Stop);
        }
        if place != Place::Last {
            say!(
                self,
                "Failed to truncate AOF {path} to timestamp {to} to offset {} because it is not the last file.",
                self.epos
            );
            say!(
                self,
                "If you insist, please delete all files after this file according to the manifest file and delete the \
                 corresponding records in manifest file manually. Then re-run redis-check-aof."
            );
            return Err(Stop);
        }
        if r.r.get_ref().set_len(self.epos).is_err() {
            say!(self, "Failed to truncate AOF {path} to timestamp {to}");
            return Err(Stop);
        }
        Ok(Annotation::Newer)
    }

    /// One file (checkSingleAof): `name` is how it is called, `path` where it is.
    fn check_single_aof(
        &mut self,
        name: &str,
        path: &Path,
        place: Place,
        form: Form,
    ) -> Result<Outcome, Stop> {
        let path_shown = path.display().to_string();
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(f) => f,
            Err(e) => {
                say!(
                    self,
                    "Cannot open file {path_shown}: {}, aborting...",
                    strerror(&e)
                );
                return Err(Stop);
            }
        };
        let Ok(size) = file.metadata().map(|m| m.len()) else {
            say!(self, "Cannot stat file: {name}, aborting...");
            return Err(Stop);
        };
        if size == 0 {
            return Ok(Outcome::Empty);
        }
        let mut start = 0;
        if form == Form::Rdb {
            let mut r = RdbReader::new(&file);
            if !check_rdb(self.out, path_shown.as_bytes(), Some(&mut r)) {
                say!(self, "RDB preamble of AOF file is not sane, aborting.");
                return Err(Stop);
            }
            say!(self, "RDB preamble is OK, proceeding with AOF tail...");
            start = r.bytes_read();
        }
        if file.seek(SeekFrom::Start(start)).is_err() {
            say!(self, "Failed to read from AOF {name}, aborting...");
            return Err(Stop);
        }
        let mut r = Input::new(file, start);
        let (mut multi, mut commands) = (0, 0u64);
        // The end of the last whole command outside of a transaction.
        let mut pos = start;
        loop {
            if multi == 0 {
                pos = r.pos;
            }
            let read = match r.peek() {
                Ok(None) => break,
                Ok(Some(b'#')) => match self.process_annotations(&mut r, &path_shown, place)? {
                    Annotation::Passed => continue,
                    Annotation::Newer => return Ok(Outcome::TimestampTruncated),
                    Annotation::Cut => break,
                },
                Ok(Some(b'*')) => self.process_resp(&mut r, &path_shown, &mut multi),
                Ok(Some(_)) => {
                    say!(self, "AOF {name} format error");
                    break;
                }
                Err(e) => Err(e),
            };
            match read {
                Ok(true) => commands += 1,
                Ok(false) => break,
                Err(_) => {
                    say!(self, "Failed to read from AOF {name}, aborting...");
                    return Err(Stop);
                }
            }
        }
        if r.eof && multi != 0 && self.error.is_empty() {
            self.fault("Reached EOF before reading EXEC for MULTI".into());
        }
        if !self.error.is_empty() {
            say!(self, "{}", self.error);
        }
        let diff = size.saturating_sub(pos);
        if diff == 0 && self.to_timestamp != 0 {
            say!(
                self,
                "Truncate nothing in AOF {name} to timestamp {}",
                self.to_timestamp
            );
            return Ok(Outcome::Ok);
        }
        say!(
            self,
            "AOF analyzed: filename={name}, size={size}, ok_up_to={pos}, ok_up_to_line={}, diff={diff}",
            self.line
        );
        if diff == 0 {
            return Ok(Outcome::Ok);
        }
        let file = r.r.get_ref();
        let Ok(nuls) = trailing_nuls(file, pos, size) else {
            say!(self, "Failed to read from AOF {name}, aborting...");
            return Err(Stop);
        };
        if nuls > 0 && r.pos >= size - nuls {
            say!(
                self,
                "The last {nuls} bytes of AOF {name} are NULs, as a power loss leaves them."
            );
        }
        if !self.fix {
            say!(
                self,
                "AOF {name} is not valid. Use the --fix option to try fixing it."
            );
            return Err(Stop);
        }
        if commands == 0 && form == Form::Resp && !begins_with_a_command(file, pos, size - nuls) {
            say!(
                self,
                "AOF {name} does not begin with a command: it is no append-only file, or its beginning is damaged. Nothing is \
                 cut from it."
            );
            return Err(Stop);
        }
        if place != Place::Last {
            say!(
                self,
                "Failed to truncate AOF {name} because it is not the last file"
            );
            return Err(Stop);
        }
        say!(
            self,
            "This will shrink the AOF {name} from {size} bytes, with {diff} bytes, to {pos} bytes"
        );
        let _ = write!(self.out, "Continue? [y/N]: ").and_then(|()| self.out.flush());
        let mut answer = [0; 1];
        let answered = self.answers.read_exact(&mut answer);
        if answered.is_err() || !answer.eq_ignore_ascii_case(b"y") {
            say!(self, "Aborting...");
            return Err(Stop);
        }
        if r.r.get_ref().set_len(pos).is_err() {
            say!(self, "Failed to truncate AOF {name}");
            return Err(Stop);
        }
        Ok(Outcome::Truncated)
    }

    /// Says how a file came out (printAofStyle).
    fn print_style(&mut self, outcome: Outcome, name: &str, what: &str) {
        match outcome {
            Outcome::Ok => say!(self, "{what} {name} is valid"),
            Outcome::Empty => say!(self, "{what} {name} is empty"),
            Outcome::TimestampTruncated => say!(
                self,
                "Successfully truncated AOF {name} to timestamp {}",
                self.to_timestamp
            ),
            Outcome::Truncated => say!(self, "Successfully truncated AOF {name}"),
        }
    }

    /// The first bytes of a file, at most `n` of them.
    fn head_of(&mut self, path: &Path, n: u64) -> Result<Vec<u8>, Stop> {
        let mut head = Vec::new();
        match File::open(path).and_then(|f| f.take(n).read_to_end(&mut head)) {
            Ok(_) => Ok(head),
            Err(e) => Err(self.cannot_open(path, &e)),
        }
    }

    fn cannot_open(&mut self, path: &Path, e: &io::Error) -> Stop {
        say!(self, "Cannot open file {}: {}", path.display(), strerror(e));
        Stop
    }

    /// Whether a file begins as a snapshot does (fileIsRDB).
    fn form_of_file(&mut self, path: &Path) -> Result<Form, Stop> {
        // A header is eight bytes at least.
        let head = self.head_of(path, 8)?;
        Ok(match head.len() == 8 && is_rdb_magic(&head) {
            true => Form::Rdb,
            false => Form::Resp,
        })
    }

    /// Whether a file's first line that is no comment is one of a manifest (fileIsManifest).
    fn file_is_manifest(&mut self, path: &Path) -> Result<bool, Stop> {
        let opened = File::open(path);
        let mut r = match opened {
            Ok(f) => Input::new(f, 0),
            Err(e) => return Err(self.cannot_open(path, &e)),
        };
        loop {
            match r.line(MANIFEST_MAX_LINE) {
                Ok(line) if line.starts_with(b"#") => {}
                Ok(line) => return Ok(line.starts_with(b"file")),
                Err(_) => {
                    say!(self, "Cannot read file: {}", path.display());
                    return Err(Stop);
                }
            }
        }
    }

    /// All parts that a manifest names (checkMultiPartAof).
    fn check_multi_part_aof(&mut self, manifest: &[u8]) -> Result<(), Stop> {
        say!(self, "Start checking Multi Part AOF");
        let text = match std::fs::read(path_of(manifest)) {
            Ok(text) => text,
            Err(e) => {
                say!(
                    self,
                    "Cannot open file {}: {}",
                    shown(manifest),
                    strerror(&e)
                );
                return Err(Stop);
            }
        };
        let m = AofManifest::parse(&text).map_err(|e| {
            log_manifest_error(&e);
            Stop
        })?;
        let folder = folder_of(manifest);
        let parts = m.parts().count();
        let mut done = 0;
        if let Some(base) = &m.base {
            done += 1;
            let path = folder.join(path_of(&base.file_name));
            let form = self.form_of_file(&path)?;
            say!(
                self,
                "Start to check BASE AOF ({} format).",
                if form == Form::Rdb { "RDB" } else { "RESP" }
            );
            let name = shown(&base.file_name);
            let outcome = self.check_single_aof(&name, &path, Place::of(done, parts), form)?;
            self.print_style(outcome, &name, "BASE AOF");
        }
        if !m.incr.is_empty() {
            say!(self, "Start to check INCR files.");
        }
        for incr in &m.incr {
            done += 1;
            let path = folder.join(path_of(&incr.file_name));
            let name = shown(&incr.file_name);
            let outcome =
                self.check_single_aof(&name, &path, Place::of(done, parts), Form::Resp)?;
            self.print_style(outcome, &name, "INCR AOF");
        }
        say!(self, "All AOF files and manifest are valid");
        Ok(())
    }

    /// A file of whatever kind it is (getInputFileType and what follows it).
    fn check(&mut self, file: &[u8]) -> Result<(), Stop> {
        let path = path_of(file);
        if self.file_is_manifest(&path)? {
            return self.check_multi_part_aof(file);
        }
        let form = self.form_of_file(&path)?;
        say!(self, "Start checking Old-Style AOF");
        let name = shown(file);
        let outcome = self.check_single_aof(&name, &path, Place::Last, form)?;
        self.print_style(outcome, &name, "AOF");
        Ok(())
    }
}

/// How many NULs are at the end of what lies between the offsets `from` and `to`.
fn trailing_nuls(file: &File, from: u64, to: u64) -> io::Result<u64> {
    let mut buf = [0; 64 * 1024];
    let mut end = to;
    while end > from {
        let n = (end - from).min(buf.len() as u64);
        let part = &mut buf[..n as usize];
        file.read_exact_at(part, end - n)?;
        match part.iter().rposition(|b| *b != 0) {
            Some(last) => return Ok(to - (end - n + last as u64 + 1)),
            None => end -= n,
        }
    }
    Ok(to - from)
}

/// Whether what lies between the offsets is the front of a command, or nothing at all.
fn begins_with_a_command(file: &File, from: u64, to: u64) -> bool {
    let mut text = vec![0; (to - from).min(FIRST_BYTES) as usize];
    file.read_exact_at(&mut text, from).is_ok() && parse_command(&text, &mut Vec::new()).is_ok()
}

/// The tool (redis_check_aof_main). Returns the exit code: 0 when the files are valid, or were made so.
pub(crate) fn redis_check_aof_main(argv: &[Vec<u8>]) -> i32 {
    let (program, args) = argv
        .split_first()
        .map_or((&[][..], argv), |(p, a)| (&p[..], a));
    let mut out = std::io::stdout().lock();
    let mut answers = std::io::stdin().lock();
    let mut check = AofCheck {
        out: &mut out,
        answers: &mut answers,
        fix: false,
        to_timestamp: 0,
        line: 1,
        epos: 0,
        error: String::new(),
    };
    let file = match args {
        [file] => file,
        [option, file] if option == b"--fix" => {
            check.fix = true;
            file
        }
        [option, stamp, file] if option == b"--truncate-to-timestamp" => {
            let (n, used) = strtol(stamp);
            if used != stamp.len() {
                say!(check, "Invalid timestamp, aborting...");
                return 1;
            }
            check.to_timestamp = n;
            file
        }
        _ => {
            say!(
                check,
                "Usage: {} [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>",
                shown(program)
            );
            return 1;
        }
    };
    i32::from(check.check(file).is_err())
}
