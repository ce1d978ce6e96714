//! Function libraries in RDB form: each is an opcode and the library's code (rdbSaveFunctions, FUNCTION DUMP).

use super::{
    RDB_OPCODE_FUNCTION_PRE_GA, RDB_OPCODE_FUNCTION2, RdbReader, RdbWriter, RdbWriterOptions,
    no_poll,
};

/// Appends a library to the body of a FUNCTION DUMP payload.
pub(crate) fn push_function(payload: &mut Vec<u8>, code: &[u8]) {
    let mut w = RdbWriter::in_memory(RdbWriterOptions {
        checksum: false,
        ..RdbWriterOptions::default()
    });
    // Memory takes all that is written.
    if w.function(code).is_ok() {
        payload.extend_from_slice(&w.into_bytes());
    }
}

/// The libraries' codes in the body of a FUNCTION DUMP payload; the error is FUNCTION RESTORE's.
pub(crate) fn read_functions(body: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut r = RdbReader::for_payload(body);
    let mut codes = Vec::new();
    while r.bytes_read() < body.len() as u64 {
        match r.read_u8(&mut no_poll) {
            Err(_) => return Err("can not read data type"),
            Ok(RDB_OPCODE_FUNCTION_PRE_GA) => {
                return Err("Pre-GA function format not supported");
            }
            Ok(RDB_OPCODE_FUNCTION2) => {}
            Ok(_) => return Err("given type is not a function"),
        }
        let mut code = Vec::new();
        if r.read_string_into(&mut code, &mut no_poll).is_err() {
            return Err("failed loading the given functions payload");
        }
        codes.push(code);
    }
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dumped_is_read() {
        let mut payload = Vec::new();
        assert_eq!(read_functions(&payload), Ok(Vec::new()));
        for code in [&b"#!lua name=a\n"[..], b"123", b""] {
            push_function(&mut payload, code);
        }
        let codes = read_functions(&payload);
        assert_eq!(
            codes,
            Ok(vec![
                b"#!lua name=a\n".to_vec(),
                b"123".to_vec(),
                Vec::new()
            ])
        );
        for cut in 1..payload.len() {
            // Between two libraries it is whole.
            let read = read_functions(&payload[..cut]);
            assert!(read.is_err() || read.is_ok_and(|c| c.len() < 3), "{cut}");
        }
        assert_eq!(
            read_functions(b"\xf6\x01a"),
            Err("Pre-GA function format not supported")
        );
        assert_eq!(read_functions(b"\x00"), Err("given type is not a function"));
        assert_eq!(
            read_functions(b"\xf5\x05a"),
            Err("failed loading the given functions payload")
        );
    }
}
