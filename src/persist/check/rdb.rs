//! `redis-check-rdb`: reads a snapshot from end to end, every value in depth, and tells where it is wrong and what it was
//! about to read there (redis-check-rdb.c).
//!
//! Invariant: the verdict is the one that a load would come to, but that databases of any number, data of modules and
//! function libraries are passed over by their structure. The same walk judges the preamble of an append-only file.

use std::fs::File;
use std::io::{Read, Write};

use super::{c_text, rdb_type_string, salvage};
use crate::base::clock::mstime;
use crate::base::sys::path_of;
use crate::config::fields::Config;
use crate::server::REDIS_VERSION;
use crate::store::rdb_value::{LoadLimits, rdb_load_entry};
use crate::wire::rdb::{
    RDB_MODULE_OPCODE_UINT, RDB_OPCODE_AUX, RDB_OPCODE_EOF, RDB_OPCODE_EXPIRETIME,
    RDB_OPCODE_EXPIRETIME_MS, RDB_OPCODE_FREQ, RDB_OPCODE_FUNCTION_PRE_GA, RDB_OPCODE_FUNCTION2,
    RDB_OPCODE_IDLE, RDB_OPCODE_KEY_META, RDB_OPCODE_MODULE_AUX, RDB_OPCODE_RESIZEDB,
    RDB_OPCODE_SELECTDB, RDB_OPCODE_SLOT_IMPORT, RDB_OPCODE_SLOT_INFO, RDB_TYPE_MODULE_2,
    RDB_VERSION, RDB_VERSION_CHECKSUM, RdbChecksum, RdbError, RdbErrorKind, RdbReader, is_valkey,
    module_type_name_by_id, no_poll, rdb_is_object_type,
};

/// What was being read (RDB_CHECK_DOING_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Start,
    ReadType,
    ReadExpire,
    ReadKey,
    ReadObjectValue,
    CheckSum,
    ReadLen,
    ReadAux,
    ReadModuleAux,
    ReadFunctions,
}

impl Doing {
    fn name(self) -> &'static str {
        match self {
            Doing::Start => "start",
            Doing::ReadType => "read-type",
            Doing::ReadExpire => "read-expire",
            Doing::ReadKey => "read-key",
            Doing::ReadObjectValue => "read-object-value",
            Doing::CheckSum => "check-sum",
            Doing::ReadLen => "read-len",
            Doing::ReadAux => "read-aux",
            Doing::ReadModuleAux => "read-module-aux",
            Doing::ReadFunctions => "read-functions",
        }
    }
}

/// What is known so far (rdbstate).
struct RdbCheck<'a> {
    out: &'a mut dyn Write,
    doing: Doing,
    /// The key that is being read.
    key: Option<Vec<u8>>,
    key_type: Option<u8>,
    keys: u64,
    expires: u64,
    already_expired: u64,
}

impl RdbCheck<'_> {
    /// A line with the offset it is about (rdbCheckInfo). Who does not listen any more needs no lines.
    fn info(&mut self, offset: u64, text: &str) {
        let _ = writeln!(self.out, "[offset {offset}] {text}");
    }

    /// What was counted (rdbShowGenericInfo).
    fn show_generic_info(&mut self) {
        let _ = writeln!(self.out, "[info] {} keys read", self.keys);
        let _ = writeln!(self.out, "[info] {} expires", self.expires);
        let _ = writeln!(self.out, "[info] {} already expired", self.already_expired);
    }

    /// The fault and all that is known about its place (rdbCheckError).
    fn error(&mut self, offset: u64, text: &str) {
        let _ = writeln!(self.out, "--- RDB ERROR DETECTED ---");
        self.info(offset, text);
        let _ = writeln!(
            self.out,
            "[additional info] While doing: {}",
            self.doing.name()
        );
        if let Some(key) = &self.key {
            let _ = writeln!(self.out, "[additional info] Reading key '{}'", c_text(key));
        }
        if let Some(t) = self.key_type {
            let _ = writeln!(
                self.out,
                "[additional info] Reading type {t} ({})",
                rdb_type_string(t)
            );
        }
        self.show_generic_info();
    }

    /// Reads all records; the fault's text is upstream's where it has one.
    fn records<R: Read>(&mut self, r: &mut RdbReader<R>) -> Result<(), (u64, String)> {
        match self.walk(r) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(text)) => Err((r.bytes_read(), text)),
            Err(RdbError { kind, .. }) => {
                let text = match kind {
                    RdbErrorKind::ChecksumMismatch { .. } => "RDB CRC error".to_string(),
                    kind => kind.to_string(),
                };
                Err((r.bytes_read(), text))
            }
        }
    }

    /// The inner result is a fault that only this walk finds.
    fn walk<R: Read>(&mut self, r: &mut RdbReader<R>) -> Result<Result<(), String>, RdbError> {
        let poll = &mut no_poll;
        let version = r.header(poll)?;
        // As for the loader: see there.
        let refuse_fields = version < RDB_VERSION_CHECKSUM;
        let mut limits = LoadLimits::new(&Config::default(), true);
        let now = mstime();
        limits.fields_expired_by = Some(now);
        let mut expire = None;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        loop {
            self.doing = Doing::ReadType;
            let rdb_type = match r.read_u8(poll)? {
                RDB_OPCODE_EXPIRETIME => {
                    self.doing = Doing::ReadExpire;
                    let seconds = i32::from_le_bytes(r.read_array(poll)?);
                    expire = Some(i64::from(seconds) * 1000);
                    continue;
                }
                RDB_OPCODE_EXPIRETIME_MS => {
                    self.doing = Doing::ReadExpire;
                    expire = Some(r.read_millisecond_time(poll)?).filter(|&t| t != -1);
                    continue;
                }
                RDB_OPCODE_FREQ => {
                    r.read_u8(poll)?;
                    continue;
                }
                RDB_OPCODE_IDLE => {
                    r.read_len(poll)?;
                    continue;
                }
                RDB_OPCODE_EOF => break,
                RDB_OPCODE_RESIZEDB | RDB_OPCODE_AUX if refuse_fields => {
                    return Err(r.error(RdbErrorKind::UnsupportedVersion(version.into())));
                }
                RDB_OPCODE_SELECTDB => {
                    self.doing = Doing::ReadLen;
                    let db = r.read_len(poll)?;
                    self.info(r.bytes_read(), &format!("Selecting DB ID {db}"));
                    continue;
                }
                RDB_OPCODE_RESIZEDB => {
                    self.doing = Doing::ReadLen;
                    r.read_len(poll)?;
                    r.read_len(poll)?;
                    continue;
                }
                RDB_OPCODE_AUX => {
                    self.doing = Doing::ReadAux;
                    r.read_string_into(&mut key, poll)?;
                    r.read_string_into(&mut value, poll)?;
                    let text = format!("AUX FIELD {} = '{}'", c_text(&key), c_text(&value));
                    self.info(r.bytes_read(), &text);
                    continue;
                }
                RDB_OPCODE_MODULE_AUX => {
                    self.doing = Doing::ReadModuleAux;
                    let id = r.read_len(poll)?;
                    let opcode = r.read_len(poll)?;
                    r.read_len(poll)?;
                    if opcode != RDB_MODULE_OPCODE_UINT {
                        return Ok(Err("bad when_opcode".into()));
                    }
                    let (name, _) = module_type_name_by_id(id);
                    self.info(
                        r.bytes_read(),
                        &format!("MODULE AUX for: {}", c_text(&name)),
                    );
                    r.skip_module_value(poll)?;
                    continue;
                }
                RDB_OPCODE_FUNCTION_PRE_GA => {
                    let version = r.version();
                    return Ok(Err(format!(
                        "Pre-release function format not supported {version}"
                    )));
                }
                RDB_OPCODE_FUNCTION2 => {
                    self.doing = Doing::ReadFunctions;
                    r.read_string_into(&mut value, poll)?;
                    continue;
                }
                RDB_OPCODE_SLOT_INFO if version > RDB_VERSION => {
                    self.doing = Doing::ReadLen;
                    for _ in 0..3 {
                        r.read_len(poll)?;
                    }
                    continue;
                }
                RDB_OPCODE_SLOT_IMPORT if is_valkey(version) => {
                    return Err(r.error(RdbErrorKind::SlotImport));
                }
                RDB_OPCODE_KEY_META if version > RDB_VERSION => {
                    return Err(r.error(RdbErrorKind::KeyMetadata));
                }
                t if rdb_is_object_type(t, version) => t,
                t => return Ok(Err(format!("Invalid object type: {t}"))),
            };
            self.key_type = Some(rdb_type);
            self.doing = Doing::ReadKey;
            r.read_string_into(&mut key, poll)?;
            self.key = Some(std::mem::take(&mut key));
            self.keys += 1;
            self.doing = Doing::ReadObjectValue;
            if rdb_type == RDB_TYPE_MODULE_2 {
                r.skip_value(rdb_type, poll)?;
            } else if rdb_load_entry(r, rdb_type, b"", expire, &limits, poll)?.is_none() {
                return Ok(Err("A collection without elements".into()));
            }
            if let Some(at) = expire.take() {
                self.expires += 1;
                self.already_expired += u64::from(at < now);
            }
            key = self.key.take().unwrap_or_default();
            self.key_type = None;
        }
        self.doing = Doing::CheckSum;
        match r.eof(poll)? {
            RdbChecksum::Absent | RdbChecksum::NotVerified => {}
            RdbChecksum::DisabledAtSave => self.info(
                r.bytes_read(),
                "RDB file was saved with checksum disabled: no check performed.",
            ),
            RdbChecksum::Verified => self.info(r.bytes_read(), "Checksum OK"),
        }
        Ok(Ok(()))
    }
}

/// Checks the snapshot that `r` is at the start of, and tells `out` (redis_check_rdb and what surrounds it in
/// redis_check_rdb_main). `None` where there is nothing to read. True: it is sane.
pub(crate) fn check_rdb<R: Read>(
    out: &mut dyn Write,
    name: &[u8],
    r: Option<&mut RdbReader<R>>,
) -> bool {
    let mut check = RdbCheck {
        out,
        doing: Doing::Start,
        key: None,
        key_type: None,
        keys: 0,
        expires: 0,
        already_expired: 0,
    };
    check.info(0, &format!("Checking RDB file {}", c_text(name)));
    let Some(r) = r else {
        return false;
    };
    match check.records(r) {
        Ok(()) => {
            check.info(r.bytes_read(), "\\o/ RDB looks OK! \\o/");
            check.show_generic_info();
            true
        }
        Err((offset, text)) => {
            check.error(offset, &text);
            false
        }
    }
}

/// The tool (redis_check_rdb_main). Returns the exit code: 0 for a sane file, 1 for any other; for `--salvage` see
/// [`salvage`].
pub(crate) fn redis_check_rdb_main(argv: &[Vec<u8>]) -> i32 {
    let (program, args) = argv
        .split_first()
        .map_or((&[][..], argv), |(p, a)| (&p[..], a));
    let mut out = std::io::stdout().lock();
    match args {
        [option, rest @ ..] if option == b"--salvage" => {
            let [input, output] = rest else {
                eprintln!(
                    "Usage: {} --salvage <damaged-rdb-file> <new-rdb-file>",
                    String::from_utf8_lossy(program)
                );
                return salvage::EXIT_FAILED;
            };
            salvage::salvage_main(&mut out, input, output)
        }
        [option] if option == b"-v" || option == b"--version" => {
            let _ = writeln!(out, "redis-check-rdb {REDIS_VERSION}");
            0
        }
        [name] => {
            let file = File::open(path_of(name));
            let mut reader = file.ok().map(RdbReader::new);
            i32::from(!check_rdb(&mut out, name, reader.as_mut()))
        }
        _ => {
            eprintln!(
                "Usage: {} <rdb-file-name>",
                String::from_utf8_lossy(program)
            );
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rdb::{RdbWriter, RdbWriterOptions};

    fn checked(bytes: &[u8]) -> (bool, String) {
        let mut out = Vec::new();
        let mut r = RdbReader::new(bytes);
        let good = check_rdb(&mut out, b"dump.rdb", Some(&mut r));
        (good, String::from_utf8(out).expect("text"))
    }

    fn sample(checksum: bool) -> Vec<u8> {
        let options = RdbWriterOptions {
            checksum,
            ..RdbWriterOptions::default()
        };
        let mut bytes = Vec::new();
        let mut w = RdbWriter::new(&mut bytes, options);
        let written = (|| {
            w.magic()?;
            w.aux(b"redis-ver", b"7.2.4")?;
            w.select_db(3)?;
            w.resize_db(2, 1)?;
            w.expiry_ms(1000)?;
            w.type_byte(0)?;
            w.string(b"old")?;
            w.string(b"value")?;
            w.type_byte(1)?;
            w.string(b"list")?;
            w.len(1)?;
            w.string(b"element")?;
            w.eof()
        })();
        assert!(written.is_ok());
        drop(w);
        bytes
    }

    #[test]
    fn a_sane_file() {
        let want = "[offset 0] Checking RDB file dump.rdb\n\
                    [offset 26] AUX FIELD redis-ver = '7.2.4'\n\
                    [offset 28] Selecting DB ID 3\n\
                    [offset 75] Checksum OK\n\
                    [offset 75] \\o/ RDB looks OK! \\o/\n\
                    [info] 2 keys read\n[info] 1 expires\n[info] 1 already expired\n";
        assert_eq!(checked(&sample(true)), (true, want.into()));
        let (good, text) = checked(&sample(false));
        assert!(good && text.contains("saved with checksum disabled"));
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        let mut bytes = sample(true);
        bytes.truncate(62);
        let (good, text) = checked(&bytes);
        assert!(!good);
        let end = "--- RDB ERROR DETECTED ---\n\
                   [offset 59] Unexpected EOF reading RDB file\n\
                   [additional info] While doing: read-object-value\n\
                   [additional info] Reading key 'list'\n\
                   [additional info] Reading type 1 (list-linked)\n\
                   [info] 2 keys read\n[info] 1 expires\n[info] 1 already expired\n";
        assert!(text.ends_with(end), "{text}");
        let (good, text) = checked(b"REDIS0011\xfe\x00\x63");
        assert!(
            !good && text.contains("[offset 12] Invalid object type: 99\n"),
            "{text}"
        );
        let (good, text) = checked(b"nonsense and more");
        assert!(!good && text.contains("Wrong signature trying to load DB from file"));
    }

    #[test]
    fn every_cut_and_every_flip_is_seen() {
        let bytes = sample(true);
        for cut in 0..bytes.len() {
            assert!(!checked(&bytes[..cut]).0, "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                // Versions that share all these records differ in the checksum only.
                assert!(!checked(&bad).0, "bit {bit} of byte {at}");
            }
        }
    }
}
