//! A synchronous RESP2/RESP3 client that keeps the bytes of each reply.
//!
//! Owns one socket and what was read from it but not yet consumed. Every read and write has a time bound. It sends
//! exactly what it is told, malformed bytes too. It must not know commands, beyond the few helpers at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::HANG;

/// A reply, parsed. Doubles and big numbers stay text, since their spelling is part of the contract.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*-1`
    NullArray,
    /// `_`
    Null,
    Bool(bool),
    Double(Vec<u8>),
    BigNumber(Vec<u8>),
    Verbatim(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Set(Vec<Value>),
    Push(Vec<Value>),
}

fn show(f: &mut fmt::Formatter<'_>, tag: &str, bytes: &[u8]) -> fmt::Result {
    let shown = &bytes[..bytes.len().min(300)];
    write!(f, "{tag}{:?}", String::from_utf8_lossy(shown))?;
    if shown.len() < bytes.len() {
        write!(f, "..({} bytes)", bytes.len())?;
    }
    Ok(())
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Simple(s) => show(f, "+", s),
            Value::Error(s) => show(f, "-", s),
            Value::Int(n) => write!(f, ":{n}"),
            Value::Bulk(s) => show(f, "", s),
            Value::NullBulk => f.write_str("$-1"),
            Value::NullArray => f.write_str("*-1"),
            Value::Null => f.write_str("_"),
            Value::Bool(b) => write!(f, "#{b}"),
            Value::Double(s) => show(f, ",", s),
            Value::BigNumber(s) => show(f, "(", s),
            Value::Verbatim(s) => show(f, "=", s),
            Value::Array(v) => f.debug_list().entries(v).finish(),
            Value::Map(v) => f
                .debug_map()
                .entries(v.iter().map(|(k, v)| (k, v)))
                .finish(),
            Value::Set(v) => f.debug_set().entries(v).finish(),
            Value::Push(v) => write!(f, ">{v:?}"),
        }
    }
}

impl Value {
    /// The text of a string-like reply (simple, error, bulk, verbatim, double, number), lossy.
    #[track_caller]
    pub fn text(&self) -> String {
        match self {
            Value::Simple(s)
            | Value::Error(s)
            | Value::Bulk(s)
            | Value::Verbatim(s)
            | Value::Double(s)
            | Value::BigNumber(s) => String::from_utf8_lossy(s).into_owned(),
            Value::Int(n) => n.to_string(),
            other => panic!("not a text: {other:?}"),
        }
    }

    #[track_caller]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Value::Simple(s) | Value::Bulk(s) | Value::Verbatim(s) => s.clone(),
            other => panic!("not a string: {other:?}"),
        }
    }

    #[track_caller]
    pub fn int(&self) -> i64 {
        match self {
            Value::Int(n) => *n,
            other => panic!("not an integer: {other:?}"),
        }
    }

    #[track_caller]
    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(v) | Value::Set(v) | Value::Push(v) => v,
            other => panic!("not an array: {other:?}"),
        }
    }

    /// A map, or an array read as pairs, as text.
    #[track_caller]
    pub fn pairs(&self) -> BTreeMap<String, String> {
        match self {
            Value::Map(v) => v.iter().map(|(k, v)| (k.text(), v.text())).collect(),
            Value::Array(v) => v.chunks(2).map(|p| (p[0].text(), p[1].text())).collect(),
            other => panic!("not a map: {other:?}"),
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null | Value::NullBulk | Value::NullArray)
    }

    #[track_caller]
    pub fn assert_ok(&self) {
        assert_eq!(*self, Value::Simple(b"OK".to_vec()));
    }

    /// Panics unless this is the error with exactly this text (without the `-`).
    #[track_caller]
    pub fn assert_error(&self, text: &str) {
        assert_eq!(*self, Value::Error(text.as_bytes().to_vec()));
    }

    /// Panics unless this is an error that starts so.
    #[track_caller]
    pub fn assert_error_prefix(&self, prefix: &str) {
        assert!(
            matches!(self, Value::Error(e) if e.starts_with(prefix.as_bytes())),
            "expected an error starting with {prefix:?}, got {self:?}"
        );
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        matches!(self, Value::Bulk(s) | Value::Simple(s) if s == other.as_bytes())
    }
}

impl PartialEq<i64> for Value {
    fn eq(&self, other: &i64) -> bool {
        matches!(self, Value::Int(n) if n == other)
    }
}

/// A command as a canonical multi-bulk.
pub fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut out =
        Vec::with_capacity(16 + args.iter().map(|a| a.as_ref().len() + 16).sum::<usize>());
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

/// A connection to a server.
pub struct Conn {
    socket: Socket,
    buf: Vec<u8>,
    at: usize,
}

impl Conn {
    /// Connects to 127.0.0.1.
    pub fn try_connect(port: u16) -> io::Result<Conn> {
        Conn::try_connect_to(&format!("127.0.0.1:{port}"))
    }

    pub fn try_connect_to(addr: &str) -> io::Result<Conn> {
        Conn::from_tcp(TcpStream::connect(addr)?)
    }

    #[track_caller]
    pub fn connect(port: u16) -> Conn {
        Conn::try_connect(port).unwrap_or_else(|e| panic!("connect to port {port}: {e}"))
    }

    pub fn from_tcp(stream: TcpStream) -> io::Result<Conn> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANG))?;
        stream.set_write_timeout(Some(HANG))?;
        Ok(Conn {
            socket: Socket::Tcp(stream),
            buf: Vec::new(),
            at: 0,
        })
    }

    pub fn connect_unix(path: &Path) -> io::Result<Conn> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(HANG))?;
        stream.set_write_timeout(Some(HANG))?;
        Ok(Conn {
            socket: Socket::Unix(stream),
            buf: Vec::new(),
            at: 0,
        })
    }

    /// Over TLS; the handshake is done on return.
    pub fn from_tls(mut tls: rustls::ClientConnection, mut stream: TcpStream) -> io::Result<Conn> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANG))?;
        stream.set_write_timeout(Some(HANG))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(Conn {
            socket: Socket::Tls(Box::new(rustls::StreamOwned::new(tls, stream))),
            buf: Vec::new(),
            at: 0,
        })
    }

    /// The TLS of a connection that has it.
    #[track_caller]
    pub fn tls(&mut self) -> &mut rustls::ClientConnection {
        match &mut self.socket {
            Socket::Tls(s) => &mut s.conn,
            _ => panic!("a connection without TLS"),
        }
    }

    /// A second handle on the same socket, to write from another thread. Only one of both may read.
    pub fn try_clone(&self) -> io::Result<Conn> {
        Ok(Conn {
            socket: match &self.socket {
                Socket::Tcp(s) => Socket::Tcp(s.try_clone()?),
                Socket::Unix(s) => Socket::Unix(s.try_clone()?),
                Socket::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
            },
            buf: Vec::new(),
            at: 0,
        })
    }

    pub fn set_timeout(&self, timeout: Duration) {
        let timeout = Some(timeout);
        match &self.socket {
            Socket::Tcp(s) => s.set_read_timeout(timeout),
            Socket::Unix(s) => s.set_read_timeout(timeout),
            Socket::Tls(s) => s.sock.set_read_timeout(timeout),
        }
        .expect("set_read_timeout");
    }

    /// The client's own address as the server's CLIENT LIST shows it.
    pub fn local_addr(&self) -> String {
        match &self.socket {
            Socket::Tcp(s) => s.local_addr().expect("local_addr").to_string(),
            Socket::Unix(_) => String::new(),
            Socket::Tls(s) => s.sock.local_addr().expect("local_addr").to_string(),
        }
    }

    /// Ends the sending direction only.
    pub fn shutdown_write(&self) {
        let how = std::net::Shutdown::Write;
        match &self.socket {
            Socket::Tcp(s) => s.shutdown(how),
            Socket::Unix(s) => s.shutdown(how),
            Socket::Tls(s) => s.sock.shutdown(how),
        }
        .expect("shutdown");
    }

    pub fn try_write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(s) => s.write_all(bytes),
            Socket::Unix(s) => s.write_all(bytes),
            Socket::Tls(s) => s.write_all(bytes).and_then(|()| s.flush()),
        }
    }

    #[track_caller]
    pub fn write_raw(&mut self, bytes: &[u8]) {
        self.try_write_raw(bytes)
            .unwrap_or_else(|e| panic!("write: {e}"));
    }

    /// Reads once into the buffer; 0 means the peer closed.
    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0u8; 65536];
        let n = loop {
            let read = match &mut self.socket {
                Socket::Tcp(s) => s.read(&mut chunk),
                Socket::Unix(s) => s.read(&mut chunk),
                Socket::Tls(s) => s.read(&mut chunk),
            };
            match read {
                // The machine may stop and continue its processes.
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buf.extend_from_slice(&chunk[..n]);
        Ok(n)
    }

    fn need(&mut self, n: usize) -> io::Result<()> {
        while self.buf.len() - self.at < n {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Exactly `n` bytes.
    pub fn read_exact(&mut self, n: usize) -> io::Result<Vec<u8>> {
        self.need(n)?;
        let out = self.buf[self.at..self.at + n].to_vec();
        self.at += n;
        Ok(out)
    }

    /// One line, without its CRLF or LF.
    pub fn read_line(&mut self) -> io::Result<Vec<u8>> {
        let mut scanned = 0;
        loop {
            if let Some(i) = self.buf[self.at + scanned..]
                .iter()
                .position(|&b| b == b'\n')
            {
                let end = self.at + scanned + i;
                let mut line = self.buf[self.at..end].to_vec();
                self.at = end + 1;
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            scanned = self.buf.len() - self.at;
            self.need(scanned + 1)?;
        }
    }

    /// Everything up to the peer's close. A reset counts as a close.
    pub fn read_to_close(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.fill() {
                Ok(0) => break,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => break,
                Err(e) => return Err(e),
            }
        }
        let out = self.buf[self.at..].to_vec();
        self.at = self.buf.len();
        Ok(out)
    }

    /// Panics unless the server closes; returns what it sent before.
    #[track_caller]
    pub fn expect_close(&mut self) -> Vec<u8> {
        self.read_to_close()
            .unwrap_or_else(|e| panic!("the server did not close: {e}"))
    }

    /// Bytes that arrive within `window`, without waiting for more than that. For "nothing was sent" checks.
    pub fn read_for(&mut self, window: Duration) -> Vec<u8> {
        let end = Instant::now() + window;
        self.set_timeout(Duration::from_millis(20).min(window));
        while Instant::now() < end {
            if matches!(self.fill(), Ok(0)) {
                break;
            }
        }
        self.set_timeout(HANG);
        let out = self.buf[self.at..].to_vec();
        self.at = self.buf.len();
        out
    }

    fn parse(&mut self) -> io::Result<Value> {
        let bad = |what: &[u8]| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("bad reply: {:?}", String::from_utf8_lossy(what)),
            )
        };
        let line = self.read_line()?;
        let (&kind, rest) = line.split_first().ok_or_else(|| bad(&line))?;
        let number = || -> io::Result<i64> {
            std::str::from_utf8(rest)
                .ok()
                .and_then(|s| s.parse().ok())
                .ok_or_else(|| bad(&line))
        };
        Ok(match kind {
            b'+' => Value::Simple(rest.to_vec()),
            b'-' => Value::Error(rest.to_vec()),
            b':' => Value::Int(number()?),
            b',' => Value::Double(rest.to_vec()),
            b'(' => Value::BigNumber(rest.to_vec()),
            b'_' => Value::Null,
            b'#' => Value::Bool(rest == b"t"),
            b'$' | b'=' | b'!' => {
                let n = number()?;
                if n < 0 {
                    return Ok(Value::NullBulk);
                }
                let body = self.read_exact(n as usize)?;
                if self.read_exact(2)? != b"\r\n" {
                    return Err(bad(&line));
                }
                match kind {
                    b'$' => Value::Bulk(body),
                    b'=' => Value::Verbatim(body),
                    _ => Value::Error(body),
                }
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let n = number()?;
                if n < 0 {
                    return Ok(Value::NullArray);
                }
                if kind == b'%' || kind == b'|' {
                    let mut map = Vec::new();
                    for _ in 0..n {
                        map.push((self.parse()?, self.parse()?));
                    }
                    return if kind == b'|' {
                        self.parse()
                    } else {
                        Ok(Value::Map(map))
                    };
                }
                let mut items = Vec::new();
                for _ in 0..n {
                    items.push(self.parse()?);
                }
                match kind {
                    b'*' => Value::Array(items),
                    b'~' => Value::Set(items),
                    _ => Value::Push(items),
                }
            }
            _ => return Err(bad(&line)),
        })
    }

    /// One reply.
    pub fn try_read(&mut self) -> io::Result<Value> {
        if self.at > 1 << 20 {
            self.buf.drain(..self.at);
            self.at = 0;
        }
        self.parse()
    }

    /// One reply and its exact bytes.
    pub fn try_read_bytes(&mut self) -> io::Result<(Value, Vec<u8>)> {
        self.buf.drain(..self.at);
        self.at = 0;
        let value = self.parse()?;
        Ok((value, self.buf[..self.at].to_vec()))
    }

    #[track_caller]
    pub fn read(&mut self) -> Value {
        self.try_read().unwrap_or_else(|e| panic!("read: {e}"))
    }

    pub fn try_cmd<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Value> {
        self.try_write_raw(&encode(args))?;
        self.try_read()
    }

    /// Sends one command and reads its reply.
    #[track_caller]
    pub fn cmd<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.try_cmd(args).unwrap_or_else(|e| {
            let shown: Vec<_> = args
                .iter()
                .take(4)
                .map(|a| {
                    String::from_utf8_lossy(&a.as_ref()[..a.as_ref().len().min(60)]).into_owned()
                })
                .collect();
            panic!("{shown:?}: {e}")
        })
    }

    /// `cmd` for a plain line of words.
    #[track_caller]
    pub fn run(&mut self, line: &str) -> Value {
        let args: Vec<&str> = line.split_whitespace().collect();
        self.cmd(&args)
    }

    /// `run`, which must answer +OK.
    #[track_caller]
    pub fn ok(&mut self, line: &str) {
        let reply = self.run(line);
        assert_eq!(reply, "OK", "{line}");
    }

    /// Sends only.
    #[track_caller]
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        self.write_raw(&encode(args));
    }

    /// Sends all commands in one write, then reads all replies.
    #[track_caller]
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, cmds: &[Vec<A>]) -> Vec<Value> {
        let mut out = Vec::new();
        for cmd in cmds {
            out.extend_from_slice(&encode(cmd));
        }
        self.write_raw(&out);
        cmds.iter().map(|_| self.read()).collect()
    }

    /// A field of INFO, or an empty string.
    #[track_caller]
    pub fn info(&mut self, field: &str) -> String {
        let text = self.cmd(&["INFO", "everything"]).text();
        text.lines()
            .find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))
            .unwrap_or("")
            .trim()
            .to_string()
    }

    #[track_caller]
    pub fn info_int(&mut self, field: &str) -> i64 {
        let text = self.info(field);
        text.parse()
            .unwrap_or_else(|_| panic!("INFO {field} is {text:?}"))
    }

    #[track_caller]
    pub fn config_get(&mut self, name: &str) -> String {
        let reply = self.cmd(&["CONFIG", "GET", name]);
        reply
            .pairs()
            .remove(name)
            .unwrap_or_else(|| panic!("CONFIG GET {name}: {reply:?}"))
    }

    #[track_caller]
    pub fn config_set(&mut self, name: &str, value: &str) {
        let reply = self.cmd(&["CONFIG", "SET", name, value]);
        assert_eq!(reply, "OK", "CONFIG SET {name} {value}");
    }
}
