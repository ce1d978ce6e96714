//! The append-only file's format without files: the manifest that lists its parts, the parts' names, the framing of their
//! commands, the annotations (the format half of aof.c).
//!
//! A data set on disk is a base (a snapshot) and increments (the commands since), named in a manifest that is replaced
//! whole:
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b
//! file appendonly.aof.1.incr.aof seq 1 type h
//! file appendonly.aof.4.incr.aof seq 4 type i
//! ```
//!
//! `b` is the base (one at the most), `i` an increment, in order, `h` what a rewrite has made superfluous.
//!
//! Invariants: the increments' sequence numbers rise; a name is a plain file name. Must not know where the files are.

use std::fmt;

use super::replication::replid::ReplId;
use super::resp::Span;
use crate::base::num::{string2ll, strtol};
use crate::base::split_args::{sdscatrepr, sdsneedsrepr, sdssplitargs};

/// The longest line of a manifest, in bytes (MANIFEST_MAX_LINE).
pub(crate) const MANIFEST_MAX_LINE: usize = 1024;
/// The longest annotation line with its end, in bytes: one less than upstream's buffer for it (AOF_ANNOTATION_LINE_MAX_LEN).
pub(crate) const AOF_ANNOTATION_LINE_MAX_LEN: usize = 1023;
/// Prefix of the name of a file that is being written.
const TEMP_FILE_NAME_PREFIX: &[u8] = b"temp-";

/// What a part is (AOF_FILE_TYPE_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AofFileType {
    Base,
    Incr,
    Hist,
}

impl AofFileType {
    fn letter(self) -> char {
        match self {
            AofFileType::Base => 'b',
            AofFileType::Incr => 'i',
            AofFileType::Hist => 'h',
        }
    }
}

/// One part (aofInfo).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AofInfo {
    pub file_name: Vec<u8>,
    pub file_seq: i64,
    pub file_type: AofFileType,
}

impl AofInfo {
    /// The part's line (aofInfoFormat).
    fn format(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"file ");
        if sdsneedsrepr(&self.file_name) {
            sdscatrepr(out, &self.file_name);
        } else {
            out.extend_from_slice(&self.file_name);
        }
        let rest = format!(" seq {} type {}\n", self.file_seq, self.file_type.letter());
        out.extend_from_slice(rest.as_bytes());
    }
}

/// The parts of an append-only file (aofManifest).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct AofManifest {
    pub base: Option<AofInfo>,
    /// In the order in which they are to be loaded.
    pub incr: Vec<AofInfo>,
    /// Newest first.
    pub history: Vec<AofInfo>,
    pub curr_base_file_seq: i64,
    pub curr_incr_file_seq: i64,
    /// It differs from what is on the disk.
    pub dirty: bool,
}

/// What is wrong with a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ManifestError {
    /// From 1; 0 where no line is to blame.
    pub line: usize,
    /// The line's text.
    pub text: Vec<u8>,
    pub reason: &'static str,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

/// `name` names a file in whatever folder it is looked for (pathIsBaseName).
fn path_is_base_name(name: &[u8]) -> bool {
    !name.contains(&b'/') && !name.contains(&b'\\')
}

impl AofManifest {
    /// Reads a manifest (aofLoadManifestFromFile).
    ///
    /// # Errors
    /// The line, and upstream's word for what is wrong with it.
    pub(crate) fn parse(text: &[u8]) -> Result<AofManifest, ManifestError> {
        let mut m = AofManifest::default();
        if text.is_empty() {
            return Err(ManifestError {
                line: 0,
                text: Vec::new(),
                reason: "Found an empty AOF manifest",
            });
        }
        let mut max_seq = 0;
        for (i, line) in text.split_inclusive(|c| *c == b'\n').enumerate() {
            let wrong = |reason| {
                Err(ManifestError {
                    line: i + 1,
                    text: line.trim_ascii().to_vec(),
                    reason,
                })
            };
            if line.first() == Some(&b'#') {
                continue;
            }
            if line.last() != Some(&b'\n') || line.len() > MANIFEST_MAX_LINE {
                return wrong("The AOF manifest file contains too long line");
            }
            let Some(info) = Self::parse_line(line.trim_ascii()) else {
                return wrong("Invalid AOF manifest file format");
            };
            let info = match info {
                Ok(info) => info,
                Err(reason) => return wrong(reason),
            };
            match info.file_type {
                AofFileType::Base => {
                    if m.base.is_some() {
                        return wrong("Found duplicate base file information");
                    }
                    m.curr_base_file_seq = info.file_seq;
                    m.base = Some(info);
                }
                AofFileType::Hist => m.history.push(info),
                AofFileType::Incr => {
                    if info.file_seq <= max_seq {
                        return wrong("Found a non-monotonic sequence number");
                    }
                    max_seq = info.file_seq;
                    m.curr_incr_file_seq = info.file_seq;
                    m.incr.push(info);
                }
            }
        }
        Ok(m)
    }

    /// One line; `None` when it is not of the form of one, an error when what it says cannot be. Pairs of unknown names are
    /// a later version's.
    fn parse_line(line: &[u8]) -> Option<Result<AofInfo, &'static str>> {
        let words = sdssplitargs(line)?;
        if words.len() < 6 || !words.len().is_multiple_of(2) {
            return None;
        }
        let (mut name, mut seq, mut kind) = (None, 0, 0);
        for pair in words.chunks_exact(2) {
            let (key, value) = (&pair[0], &pair[1]);
            if key.eq_ignore_ascii_case(b"file") {
                if !path_is_base_name(value) {
                    return Some(Err("File can't be a path, just a filename"));
                }
                name = Some(value.clone());
            } else if key.eq_ignore_ascii_case(b"seq") {
                seq = strtol(value).0;
            } else if key.eq_ignore_ascii_case(b"type") {
                kind = value.first().copied().unwrap_or(0);
            }
        }
        let name = name?;
        if seq == 0 || kind == 0 {
            return None;
        }
        let file_type = match kind {
            b'b' => AofFileType::Base,
            b'h' => AofFileType::Hist,
            b'i' => AofFileType::Incr,
            _ => return Some(Err("Unknown AOF file type")),
        };
        Some(Ok(AofInfo {
            file_name: name,
            file_seq: seq,
            file_type,
        }))
    }

    /// The manifest as it is written (getAofManifestAsString).
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for info in self.base.iter().chain(&self.history).chain(&self.incr) {
            info.format(&mut out);
        }
        out
    }

    /// Base and increments, in the order in which they are to be loaded.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &AofInfo> {
        self.base.iter().chain(&self.incr)
    }

    /// The name of a new base; the one that was there is history now (getNewBaseFileNameAndMarkPreAsHistory).
    pub(crate) fn new_base(&mut self, aof_filename: &[u8], rdb: bool) -> Vec<u8> {
        if let Some(mut old) = self.base.take() {
            old.file_type = AofFileType::Hist;
            self.history.insert(0, old);
        }
        self.curr_base_file_seq = self.curr_base_file_seq.saturating_add(1);
        let end = format!(
            ".{}.base.{}",
            self.curr_base_file_seq,
            if rdb { "rdb" } else { "aof" }
        );
        let name = [aof_filename, end.as_bytes()].concat();
        self.base = Some(AofInfo {
            file_name: name.clone(),
            file_seq: self.curr_base_file_seq,
            file_type: AofFileType::Base,
        });
        self.dirty = true;
        name
    }

    /// The name of a new increment (getNewIncrAofName).
    pub(crate) fn new_incr(&mut self, aof_filename: &[u8]) -> Vec<u8> {
        self.curr_incr_file_seq = self.curr_incr_file_seq.saturating_add(1);
        let end = format!(".{}.incr.aof", self.curr_incr_file_seq);
        let name = [aof_filename, end.as_bytes()].concat();
        self.incr.push(AofInfo {
            file_name: name.clone(),
            file_seq: self.curr_incr_file_seq,
            file_type: AofFileType::Incr,
        });
        self.dirty = true;
        name
    }

    /// The increment that is written to, made when there is none (getLastIncrAofName).
    pub(crate) fn last_incr(&mut self, aof_filename: &[u8]) -> Vec<u8> {
        match self.incr.last() {
            Some(i) => i.file_name.clone(),
            None => self.new_incr(aof_filename),
        }
    }

    /// A new base holds all that the increments hold, but for the one that is being written (markRewrittenIncrAofAsHistory).
    pub(crate) fn mark_rewritten_incr_as_history(&mut self, keep_last: bool) {
        let keep = usize::from(keep_last).min(self.incr.len());
        let rewritten = self.incr.len() - keep;
        if self.incr.is_empty() {
            return;
        }
        for mut old in self.incr.drain(..rewritten).rev().collect::<Vec<_>>() {
            old.file_type = AofFileType::Hist;
            self.history.insert(0, old);
        }
        self.dirty = true;
    }

    /// The data set was written by a version that knew one file only: that is the base (aofUpgradePrepare).
    pub(crate) fn upgraded(aof_filename: &[u8]) -> AofManifest {
        AofManifest {
            base: Some(AofInfo {
                file_name: aof_filename.to_vec(),
                file_seq: 1,
                file_type: AofFileType::Base,
            }),
            curr_base_file_seq: 1,
            dirty: true,
            ..AofManifest::default()
        }
    }
}

/// The manifest's name.
pub(crate) fn manifest_file_name(aof_filename: &[u8]) -> Vec<u8> {
    [aof_filename, b".manifest"].concat()
}

/// The name under which a manifest is written.
pub(crate) fn temp_manifest_file_name(aof_filename: &[u8]) -> Vec<u8> {
    [TEMP_FILE_NAME_PREFIX, aof_filename, b".manifest"].concat()
}

/// The increment that is written while the first base of all is being made.
pub(crate) fn temp_incr_file_name(aof_filename: &[u8]) -> Vec<u8> {
    [TEMP_FILE_NAME_PREFIX, aof_filename, b".incr"].concat()
}

/// An annotation with the time in Unix seconds (genAofTimestampAnnotationIfNeeded).
pub(crate) fn timestamp_annotation(out: &mut Vec<u8>, unix_s: i64) {
    out.extend_from_slice(format!("#TS:{unix_s}\r\n").as_bytes());
}

/// The place in a replication stream that a data set stands at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReplicationMark {
    pub replid: ReplId,
    pub offset: i64,
    /// The database that the stream has selected.
    pub db: usize,
}

impl ReplicationMark {
    /// An annotation that says: the commands before this line, and no others, are the stream up to the mark. `before` is the
    /// last one in the same file: the id is written only where it differs.
    pub(crate) fn annotation(&self, before: Option<&ReplicationMark>, out: &mut Vec<u8>) {
        if before.is_none_or(|b| b.replid != self.replid) {
            out.extend_from_slice(b"#REPLID:");
            out.extend_from_slice(&self.replid);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("#REPL:{}:{}\r\n", self.offset, self.db).as_bytes());
    }
}

/// The most bytes of a command: no server that writes such files takes more from a client.
pub(crate) const MAX_COMMAND: usize = u32::MAX as usize;

/// The bytes are no command, however they go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Parses the command at the front of `text`: its length, and its words as spans, each with a line end behind it. An
/// annotation has no spans. `None`: it is not all there.
///
/// # Errors
/// It is no command.
pub(crate) fn parse_command(
    text: &[u8],
    spans: &mut Vec<Span>,
) -> Result<Option<usize>, Malformed> {
    spans.clear();
    let Some(&first) = text.first() else {
        return Ok(None);
    };
    if first == b'#' {
        let line = &text[..text.len().min(AOF_ANNOTATION_LINE_MAX_LEN)];
        return match memchr::memchr(b'\n', line) {
            None if line.len() == AOF_ANNOTATION_LINE_MAX_LEN => Err(Malformed),
            end => Ok(end.map(|n| n + 1)),
        };
    }
    if first != b'*' {
        return Err(Malformed);
    }
    let Some((argc, mut at)) = header(text, 0)? else {
        return Ok(None);
    };
    if argc < 1 {
        return Err(Malformed);
    }
    for _ in 0..argc {
        match text.get(at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(_) => return Err(Malformed),
        }
        let Some((len, start)) = header(text, at)? else {
            return Ok(None);
        };
        let len = usize::try_from(len).map_err(|_| Malformed)?;
        let end = start.checked_add(len).filter(|e| *e <= MAX_COMMAND);
        let end = end.ok_or(Malformed)?;
        match text.get(end..).unwrap_or_default() {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] => {}
            _ => return Err(Malformed),
        }
        spans.push(Span {
            start: start as u32,
            end: end as u32,
        });
        at = end + 2;
    }
    Ok(Some(at))
}

/// Whether `text` is the front of a command, or nothing at all.
pub(crate) fn is_cut_short(text: &[u8]) -> bool {
    matches!(parse_command(text, &mut Vec::new()), Ok(None))
}

/// The number of a `*` or `$` line at `at`, and where the next one begins; `None` when the line is not all there.
fn header(text: &[u8], at: usize) -> Result<Option<(i64, usize)>, Malformed> {
    /// A sign, 19 digits and a line end.
    const LINE_MAX: usize = 24;
    let line = &text[at + 1..];
    let Some(n) = memchr::memchr(b'\n', &line[..line.len().min(LINE_MAX)]) else {
        let digits = line.strip_suffix(b"\r").unwrap_or(line);
        return if line.len() < LINE_MAX && digits.iter().all(u8::is_ascii_digit) {
            Ok(None)
        } else {
            Err(Malformed)
        };
    };
    let digits = line[..n].strip_suffix(b"\r").unwrap_or(&line[..n]);
    let number = string2ll(digits).ok_or(Malformed)?;
    Ok(Some((number, at + 1 + n + 1)))
}

/// Follows the annotations of a file that is being loaded.
#[derive(Default)]
pub(crate) struct MarkReader {
    replid: Option<ReplId>,
    at: Option<(i64, usize)>,
}

impl MarkReader {
    /// An annotation, with its line end.
    pub(crate) fn annotation(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        if let Some(id) = line.strip_prefix(b"#REPLID:") {
            self.replid = id.try_into().ok();
            self.at = None;
        } else if let Some(at) = line.strip_prefix(b"#REPL:") {
            let text = std::str::from_utf8(at).unwrap_or_default();
            self.at = text.split_once(':').and_then(|(offset, db)| {
                let offset: i64 = offset.parse().ok().filter(|o| *o >= 0)?;
                Some((offset, db.parse().ok()?))
            });
        }
    }

    /// A command: what it counts in the stream nobody knows, so that the last mark is worth nothing any more.
    #[inline]
    pub(crate) fn command(&mut self) {
        self.at = None;
    }

    /// Where the data set stands, if that is known exactly.
    pub(crate) fn mark(&self) -> Option<ReplicationMark> {
        let (offset, db) = self.at?;
        Some(ReplicationMark {
            replid: self.replid?,
            offset,
            db,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(text: &str) -> (usize, &'static str) {
        match AofManifest::parse(text.as_bytes()) {
            Ok(m) => panic!("{text:?} was read as {m:?}"),
            Err(e) => (e.line, e.reason),
        }
    }

    #[test]
    fn a_mark_is_trusted_only_at_the_end() {
        let mark = ReplicationMark {
            replid: [b'a'; 40],
            offset: 1234,
            db: 3,
        };
        let mut text = Vec::new();
        mark.annotation(None, &mut text);
        let later = ReplicationMark {
            offset: 1300,
            ..mark
        };
        later.annotation(Some(&mark), &mut text);
        let mut r = MarkReader::default();
        assert_eq!(r.mark(), None);
        let mut seen = Vec::new();
        for line in text.split_inclusive(|c| *c == b'\n') {
            r.annotation(line);
            seen.push(r.mark());
        }
        assert_eq!(seen, [None, Some(mark), Some(later)]);
        r.annotation(b"#TS:1700000000\r\n");
        assert_eq!(r.mark(), Some(later));
        r.command();
        assert_eq!(r.mark(), None);
        for bad in [
            &b"#REPL:"[..],
            b"#REPL:1",
            b"#REPL:x:1",
            b"#REPL:-4:1",
            b"#REPL:1:-1",
        ] {
            r.annotation(bad);
            assert_eq!(r.mark(), None);
        }
        r.annotation(b"#REPLID:short\r\n");
        r.annotation(b"#REPL:1:1\r\n");
        assert_eq!(r.mark(), None);
    }

    #[test]
    fn a_manifest_reads_as_it_was_written() {
        let mut m = AofManifest::default();
        assert_eq!(m.new_base(b"a.aof", true), b"a.aof.1.base.rdb");
        assert_eq!(m.last_incr(b"a.aof"), b"a.aof.1.incr.aof");
        assert_eq!(m.new_incr(b"a.aof"), b"a.aof.2.incr.aof");
        assert_eq!(m.last_incr(b"a.aof"), b"a.aof.2.incr.aof");
        assert_eq!(m.new_base(b"a.aof", false), b"a.aof.2.base.aof");
        m.mark_rewritten_incr_as_history(true);
        let text = m.to_bytes();
        let want = "file a.aof.2.base.aof seq 2 type b\nfile a.aof.1.incr.aof seq 1 type h\n\
                    file a.aof.1.base.rdb seq 1 type h\nfile a.aof.2.incr.aof seq 2 type i\n";
        assert_eq!(String::from_utf8_lossy(&text), want);
        m.dirty = false;
        assert_eq!(AofManifest::parse(&text), Ok(m));
    }

    #[test]
    fn names_with_blanks_are_quoted() {
        let mut m = AofManifest::default();
        m.new_base(b"my file.aof", true);
        let text = m.to_bytes();
        assert_eq!(text, b"file \"my file.aof.1.base.rdb\" seq 1 type b\n");
        m.dirty = false;
        assert_eq!(AofManifest::parse(&text), Ok(m));
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let ok = "file a.1.incr.aof seq 1 type i\n";
        for (text, line, why) in [
            ("", 0, "Found an empty AOF manifest"),
            ("\n", 1, "Invalid AOF manifest file format"),
            (
                &ok[..ok.len() - 1],
                1,
                "The AOF manifest file contains too long line",
            ),
            ("file a seq 1\n", 1, "Invalid AOF manifest file format"),
            (
                "file a seq x type i\n",
                1,
                "Invalid AOF manifest file format",
            ),
            (
                "file a seq 1 type i odd\n",
                1,
                "Invalid AOF manifest file format",
            ),
            (
                "seq 1 type i other x\n",
                1,
                "Invalid AOF manifest file format",
            ),
            (
                "file a/b seq 1 type i\n",
                1,
                "File can't be a path, just a filename",
            ),
            ("file a seq 1 type x\n", 1, "Unknown AOF file type"),
            (
                "file a seq 1 type b\nfile b seq 2 type b\n",
                2,
                "Found duplicate base file information",
            ),
            (
                &format!("# a comment\n{ok}{ok}"),
                3,
                "Found a non-monotonic sequence number",
            ),
        ] {
            assert_eq!(reason(text), (line, why), "{text:?}");
        }
        let long = format!("file {} seq 1 type i\n", "x".repeat(MANIFEST_MAX_LINE));
        assert_eq!(
            reason(&long).1,
            "The AOF manifest file contains too long line"
        );
    }

    #[test]
    fn unknown_pairs_and_comments_are_passed_over() {
        let text = b"#x\nfile a seq 3 type i later yes\n";
        let m = AofManifest::parse(text).expect("valid");
        assert_eq!((m.incr.len(), m.curr_incr_file_seq), (1, 3));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = AofManifest::parse(&text);
        }
    }

    #[test]
    fn an_annotation_is_too_long_however_much_of_it_has_come() {
        let line = |len: usize| [&b"#"[..], &vec![b'x'; len - 2], b"\n"].concat();
        let parse = |text: &[u8]| parse_command(text, &mut Vec::new());
        let longest = line(AOF_ANNOTATION_LINE_MAX_LEN);
        let n = longest.len();
        assert_eq!(parse(&longest), Ok(Some(n)));
        assert_eq!(parse(&longest[..n - 1]), Ok(None));
        let longer = line(n + 1);
        for come in [n, n + 1] {
            assert_eq!(parse(&longer[..come]), Err(Malformed));
        }
        assert_eq!(parse(&longer[..n - 1]), Ok(None));
    }
}
