//! HTTP as a test speaks it: one request a connection, the answer taken apart, chunks put together.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::HANG;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|l| {
            let (n, v) = l.split_once(':')?;
            n.eq_ignore_ascii_case(name).then_some(v.trim())
        })
    }
}

/// Takes an answer apart.
#[track_caller]
pub fn parse(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| panic!("no status: {head}"));
    let mut body = bytes[end + 4..].to_vec();
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        let mut rest = &body[..];
        let mut whole = Vec::new();
        while !rest.is_empty() {
            let line = rest.windows(2).position(|w| w == b"\r\n").expect("a size");
            let size = std::str::from_utf8(&rest[..line]).expect("a size");
            let size = usize::from_str_radix(size, 16).expect("a size");
            whole.extend_from_slice(&rest[line + 2..line + 2 + size]);
            rest = &rest[line + 2 + size + 2..];
            if size == 0 {
                assert!(rest.is_empty(), "something follows the last chunk");
                body = whole;
                return Answer { status, head, body };
            }
        }
        assert!(body.is_empty(), "no last chunk");
    }
    Answer { status, head, body }
}

/// Sends bytes and reads until the server closes.
#[track_caller]
pub fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Answer {
    stream.write_all(request).expect("written");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("read to the end");
    parse(&bytes)
}

/// GET from 127.0.0.1; `headers` are whole lines.
#[track_caller]
pub fn get(port: u16, path: &str, headers: &str) -> Answer {
    request(port, "GET", path, headers)
}

#[track_caller]
pub fn request(port: u16, method: &str, path: &str, headers: &str) -> Answer {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream
        .set_read_timeout(Some(HANG))
        .and_then(|()| stream.set_write_timeout(Some(Duration::from_secs(60))))
        .expect("timeouts");
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n"
    );
    exchange(stream, text.as_bytes())
}
