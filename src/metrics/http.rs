//! What is read and written of HTTP/1.1: a request's head, the head of an answer, chunks, Basic credentials.
//!
//! Invariants: nothing is kept of a request but what is asked for here; a head is bounded by [`HEAD_MAX`] bytes and
//! [`HEADERS_MAX`] lines; a request with a body is refused.
//!
//! Must not know sockets, nor what is served.

use std::net::{IpAddr, Ipv6Addr};

/// Bytes of a request's head, at the most.
pub(crate) const HEAD_MAX: usize = 8 * 1024;
/// Its lines, at the most.
const HEADERS_MAX: usize = 64;
/// Bytes of a name and password, at the most.
const CREDENTIALS_MAX: usize = 1024;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: Method,
    /// Without what follows a `?`.
    pub path: String,
    /// HTTP/1.1: chunks are understood.
    pub chunks: bool,
    /// The connection is to stay open.
    pub keep_alive: bool,
    pub accept: String,
    /// `Host`, without its port.
    pub host: Option<String>,
    /// Name and password.
    pub credentials: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Other,
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    BadRequest,
    TooLong,
    HasBody,
}

impl Refused {
    pub(crate) fn status(self) -> Status {
        match self {
            Refused::BadRequest => Status::BadRequest,
            Refused::TooLong => Status::HeadersTooLarge,
            Refused::HasBody => Status::ContentTooLarge,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    ContentTooLarge,
    HeadersTooLarge,
    Unavailable,
}

impl Status {
    pub(crate) fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::Unauthorized => "401 Unauthorized",
            Status::Forbidden => "403 Forbidden",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::ContentTooLarge => "413 Content Too Large",
            Status::HeadersTooLarge => "431 Request Header Fields Too Large",
            Status::Unavailable => "503 Service Unavailable",
        }
    }
}

/// How an answer's end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Bytes(usize),
    Chunks,
    /// The connection's end.
    Unknown,
}

/// Reads a request's head. `None`: it is not whole yet. The number says how many bytes it had.
///
/// # Errors
/// What is wrong with it: the connection is of no use any more.
pub(crate) fn parse_request(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let used = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(n)) if n <= HEAD_MAX => n,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refused::TooLong),
        Err(_) => return Err(Refused::BadRequest),
    };
    let target = parsed.path.ok_or(Refused::BadRequest)?;
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let chunks = parsed.version == Some(1);
    let mut request = Request {
        method: match parsed.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        path: path.into(),
        chunks,
        keep_alive: chunks,
        accept: String::new(),
        host: None,
        credentials: None,
    };
    for header in parsed.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        let value = value.trim();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("connection") {
            let mut words = value.split(',').map(str::trim);
            if words.clone().any(|w| w.eq_ignore_ascii_case("close")) {
                request.keep_alive = false;
            } else if words.any(|w| w.eq_ignore_ascii_case("keep-alive")) {
                request.keep_alive = true;
            }
        } else if is("accept") {
            if !request.accept.is_empty() {
                request.accept.push(',');
            }
            request.accept.push_str(value);
        } else if is("host") {
            request.host = Some(without_port(value).to_ascii_lowercase());
        } else if is("authorization") {
            request.credentials = basic_credentials(value);
        } else if is("transfer-encoding") || (is("content-length") && value != "0") {
            return Err(Refused::HasBody);
        }
    }
    Ok(Some((request, used)))
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

/// Whether a name in `Host` is one by which nobody else can lead a browser here: an address, or localhost. A name of somebody
/// else's that is made to mean this host would be a way past the loopback.
pub(crate) fn is_safe_host(host: Option<&str>) -> bool {
    host.is_none_or(|h| {
        h.is_empty()
            || h == "localhost"
            || h.ends_with(".localhost")
            || h.parse::<IpAddr>().is_ok()
            || h.parse::<Ipv6Addr>().is_ok()
    })
}

/// The head of an answer. `more` are whole lines, each with its end.
pub(crate) fn response_head(
    status: Status,
    content_type: &str,
    length: Length,
    keep_alive: bool,
    more: &str,
) -> Vec<u8> {
    let length = match length {
        Length::Bytes(n) => format!("Content-Length: {n}\r\n"),
        Length::Chunks => "Transfer-Encoding: chunked\r\n".into(),
        Length::Unknown => String::new(),
    };
    let connection = if keep_alive { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 {}\r\nContent-Type: {content_type}\r\n{length}Connection: {connection}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n{more}\r\n",
        status.line()
    )
    .into_bytes()
}

/// A part of an answer in chunks.
pub(crate) fn push_chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}

/// The end of an answer in chunks.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Name and password of `Authorization: Basic ...`.
fn basic_credentials(value: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, text) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || text.len() > CREDENTIALS_MAX {
        return None;
    }
    let both = base64_decode(text.trim().as_bytes())?;
    let colon = both.iter().position(|b| *b == b':')?;
    Some((both[..colon].to_vec(), both[colon + 1..].to_vec()))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |i| i + 1);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut have) = (0u32, 0);
    for b in &text[..end] {
        let six = BASE64.iter().position(|c| c == b)?;
        bits = bits << 6 | six as u32;
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
            bits &= (1 << have) - 1;
        }
    }
    // Bits that are left over must be none.
    (have < 6 && bits == 0 && text.len() - end <= 2).then_some(out)
}

pub(crate) fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            if i <= three.len() {
                let six = (bits >> (18 - 6 * i)) & 63;
                out.push(char::from(BASE64[six as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Option<(Request, usize)>, Refused> {
        parse_request(text.as_bytes())
    }

    #[test]
    fn a_request_is_read_however_it_comes() {
        let text = "GET /metrics?x=1 HTTP/1.1\r\nHost: [::1]:9121\r\nACCEPT: a\r\naccept: b\r\n\
                    Authorization: Basic bWU6cGFzczp3b3Jk\r\n\r\nGET / HTTP";
        for n in 0..text.len() - 10 {
            assert_eq!(request(&text[..n]), Ok(None), "{n}");
        }
        let (r, used) = request(text).expect("sound").expect("whole");
        assert_eq!(used, text.len() - "GET / HTTP".len());
        assert_eq!((r.method, r.path.as_str()), (Method::Get, "/metrics"));
        assert_eq!((r.accept.as_str(), r.host.as_deref()), ("a,b", Some("::1")));
        assert!(r.chunks && r.keep_alive);
        assert_eq!(r.credentials, Some((b"me".to_vec(), b"pass:word".to_vec())));
    }

    #[test]
    fn connections_stay_or_close() {
        for (text, keep) in [
            ("GET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            let (r, _) = request(text).expect("sound").expect("whole");
            assert_eq!(r.keep_alive, keep, "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(HEAD_MAX));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        for (text, why) in [
            ("GET\r\n\r\n", Refused::BadRequest),
            ("*1\r\n$4\r\nPING\r\n", Refused::BadRequest),
            ("\x16\x03\x01\x02\x00", Refused::BadRequest),
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
                Refused::HasBody,
            ),
            (
                "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                Refused::HasBody,
            ),
            (&long, Refused::TooLong),
            (&many, Refused::TooLong),
        ] {
            assert_eq!(request(text), Err(why), "{text:.40}");
        }
    }

    #[test]
    fn base64_there_and_back() {
        for n in 0..40u8 {
            let bytes: Vec<u8> = (0..n).map(|i| i.wrapping_mul(37)).collect();
            let text = base64_encode(&bytes);
            assert_eq!(text.len() % 4, 0);
            assert_eq!(base64_decode(text.as_bytes()).as_ref(), Some(&bytes));
            assert_eq!(
                base64_decode(text.trim_end_matches('=').as_bytes()),
                Some(bytes)
            );
        }
        assert_eq!(base64_encode(b"me:pass:word"), "bWU6cGFzczp3b3Jk");
        for bad in ["A", "AB=A", "A-==", "AAAAA", "AB", "AA==="] {
            assert_eq!(base64_decode(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(basic_credentials("Bearer AAAA"), None);
        assert_eq!(basic_credentials("Basic bm9jb2xvbg=="), None);
    }

    #[test]
    fn hosts_that_a_browser_may_name() {
        for host in [
            None,
            Some(""),
            Some("localhost"),
            Some("127.0.0.1"),
            Some("::1"),
        ] {
            assert!(is_safe_host(host), "{host:?}");
        }
        assert!(!is_safe_host(Some("evil.example")));
        assert!(!is_safe_host(Some("127.0.0.1.evil.example")));
        assert_eq!(without_port("[::1]:80"), "::1");
        assert_eq!(without_port("localhost:80"), "localhost");
    }
}
